"""Any CLIP with a CLS feature loads from any kind of file, encodes as open_clip does, and says what it is."""

from __future__ import annotations

import copy
import dataclasses
import io
import threading
import warnings

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from mswin_viz.errors import (
    DeviceError,
    ImageError,
    ImageFileError,
    OptionError,
    PromptError,
    WeightsError,
    WeightsNotFoundError,
)
from mswin_viz.model import addon_loading as addons
from mswin_viz.model import loading
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.loading import load_model
from mswin_viz.model.weights.addon_files import save_addon
from mswin_viz.model.weights.clip_towers import embedded_tower
from mswin_viz.model.weights.embedded_config import save_embedded
from mswin_viz.model.weights.positions import resized_positions

from .conftest import CONFIG, UPRIGHT, tiny_clip

ASSUMED = "ignore:.*QuickGELU and OpenAI's normalisation are assumed:UserWarning"
HOST_ADDON = "BACKBONE.clip_multi_scale_extractor."


@pytest.fixture
def model(openai_file, device) -> Model:
    """The tiny CLIP at 96x32, a 6x2 grid."""
    return load_model(openai_file, image_size=UPRIGHT, device=device)


@pytest.fixture
def random_addon() -> CLIPMultiScaleFeatureExtractor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return CLIPMultiScaleFeatureExtractor(24, (2, 5))


# ---- encode ---------------------------------------------------------------------------------


def test_cls_equals_encode_image_of_open_clip_bit_for_bit(model, people):
    batch = model.preprocess(people).to(model.device)
    with torch.no_grad(), model.autocast():
        expected = model.clip.encode_image(batch).float()
    assert torch.equal(model.encode(people).cls, expected)


def test_cls_equals_a_clip_that_open_clip_built_itself(openai_file, clip, people):
    model = load_model(openai_file, device="cpu")
    with torch.no_grad():
        expected = clip.encode_image(model.preprocess(people))
    assert torch.equal(model.encode(people).cls, expected)


def test_patches_are_the_normed_tokens_through_the_towers_own_projection(model, people):
    tower = copy.deepcopy(model.clip.visual)
    tower.output_tokens = True
    with torch.no_grad(), model.autocast():
        _, normed = tower(model.preprocess(people).to(model.device))
        expected = (normed @ tower.proj).float()
    assert torch.equal(model.encode(people).patches, expected)


def test_tokens_are_ordinary_float32_on_the_models_device(model, people):
    tokens = model.encode(people)
    assert tokens.grid == (6, 2)
    assert tokens.cls.shape == (3, 24)
    assert tokens.patches.shape == (3, 12, 24)
    for tensor in (tokens.cls, tokens.patches):
        assert tensor.dtype == torch.float32
        assert tensor.device.type == model.device.type
        assert not tensor.requires_grad
        assert not tensor.is_inference()


def test_patch_tokens_are_row_major_on_the_grid(model):
    plain = np.full((96, 32, 3), 90, np.uint8)
    spotted = plain.copy()
    spotted[64:80, 16:32] = 255  # row 4, column 1
    plain_tokens, spotted_tokens = (model.encode([image]).patches for image in (plain, spotted))
    change = (spotted_tokens - plain_tokens).norm(dim=2)[0]
    assert int(change.argmax()) == 4 * 2 + 1


def test_batches_of_any_size_give_the_same_tokens(model, people):
    whole, single = model.encode(people, progress=False), model.encode(people, batch_size=1, progress=False)
    tolerance = 1e-5 if model.device.type == "cpu" else 5e-2
    torch.testing.assert_close(whole.cls, single.cls, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(whole.patches, single.patches, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("batch_size", "shown"), [(1, True), (3, False)])
def test_a_progress_bar_is_shown_only_over_several_batches(model, people, capfd, batch_size, shown):
    model.encode(people, batch_size=batch_size)
    assert ("encoding" in capfd.readouterr().err) is shown


def test_paths_pil_images_and_arrays_are_encoded_alike(model, people, tmp_path):
    Image.fromarray(people[1]).save(tmp_path / "person.png")
    sources = [people[1], Image.fromarray(people[1]), tmp_path / "person.png", str(tmp_path / "person.png")]
    tokens = [model.encode(source) for source in sources]
    assert all(torch.equal(other.cls, tokens[0].cls) for other in tokens)


def test_no_hook_is_left_behind_even_when_the_tower_fails(model, people):
    model.encode(people)
    assert not model.clip.visual.ln_post._forward_hooks
    with pytest.raises(RuntimeError):
        model._encode_batch(torch.zeros(1, 3, 64, 64))
    assert not model.clip.visual.ln_post._forward_hooks


def test_threads_that_encode_at_once_do_not_mix_their_tokens(openai_file):
    model = load_model(openai_file, image_size=UPRIGHT, device="cpu")
    images = [np.full((96, 32, 3), value, np.uint8) for value in (10, 90, 170, 250)]
    expected = [model.encode([image]).patches for image in images]
    mixed = []

    def work(index: int) -> None:
        for _ in range(5):
            model.clip.encode_image(model.preprocess(images[index]))
            if not torch.equal(model.encode([images[index]]).patches, expected[index]):
                mixed.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not mixed


def test_a_camera_is_refused_where_no_camera_embedding_is_applied(model, people):
    with pytest.raises(OptionError, match="camera"):
        model.encode(people, camera=1)


def test_an_empty_list_and_an_empty_batch_are_refused(model, people):
    with pytest.raises(ImageError, match="at least one image"):
        model.encode([])
    with pytest.raises(OptionError, match="got 0"):
        model.encode(people, batch_size=0)


def test_one_broken_file_is_named_and_nothing_is_encoded_in_its_place(model, people, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ImageFileError, match=r"broken\.jpg"):
        model.encode([people[0], tmp_path / "broken.jpg"])


# ---- preprocess -----------------------------------------------------------------------------


def test_a_rectangular_input_is_resized_bilinearly_and_normalised(openai_file, people):
    model = load_model(openai_file, image_size=UPRIGHT, device="cpu")
    resized = Image.fromarray(people[1]).resize((32, 96), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.asarray(resized).astype(np.float32)).permute(2, 0, 1) / 255
    mean, std = (
        torch.tensor(v)[:, None, None] for v in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    torch.testing.assert_close(model.preprocess(people[1])[0], (pixels - mean) / std, rtol=0, atol=1e-6)


def test_a_square_input_is_prepared_by_the_rules_of_open_clip(openai_file, people):
    model = load_model(openai_file, device="cpu")
    transform = open_clip.image_transform(64, is_train=False)
    expected = torch.stack([transform(Image.fromarray(image)) for image in people])
    torch.testing.assert_close(model.preprocess(people), expected, rtol=0, atol=1e-6)


def test_pictures_of_every_shape_are_resized_to_the_input(openai_file, lying):
    model = load_model(openai_file, image_size=UPRIGHT, device="cpu")
    expected = np.asarray(lying.resize((32, 96), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(np.asarray(model.displayed(lying)), expected)
    assert model.encode([lying]).grid == (6, 2)
    assert load_model(openai_file, device="cpu").encode([lying]).grid == (4, 4)


@pytest.mark.parametrize("call", ["encode", "preprocess"])
def test_strongly_distorted_pictures_of_a_list_are_counted_once(model, people, lying, call):
    with pytest.warns(UserWarning, match="strongly distorted") as said:
        getattr(model, call)([*people, lying, *people])
    (one,) = said
    assert "1 of 7 images is strongly distorted" in str(one.message)
    assert "image_size" not in str(one.message)
    assert one.filename == __file__


def test_the_count_is_over_all_batches(model, people, lying):
    with pytest.warns(UserWarning, match=r"2 of 4 images are strongly distorted") as said:
        model.encode([lying, people[0], lying, people[1]], batch_size=1, progress=False)
    assert len(said) == 1


def test_a_list_that_mostly_lies_across_names_the_size_to_load(model, people, lying):
    with pytest.warns(UserWarning, match=r"probably transposed: load the model with image_size=\(32, 96\)"):
        model.encode([lying, lying, people[0]])


def test_a_model_that_crops_the_centre_distorts_nothing(openai_file, lying):
    assert load_model(openai_file, device="cpu").encode([lying] * 3).grid == (4, 4)  # no warning


@pytest.mark.parametrize(
    "handed_over",
    [
        lambda arrays: (array for array in arrays),
        lambda arrays: map(Image.fromarray, arrays),
        lambda arrays: [torch.from_numpy(array).permute(2, 0, 1) for array in arrays],
        lambda arrays: [torch.from_numpy(array).permute(2, 0, 1) / 255 for array in arrays],
        lambda arrays: dict(enumerate(arrays)).values(),
        lambda arrays: [png_bytes(array) for array in arrays],
        lambda arrays: [io.BytesIO(png_bytes(array)) for array in arrays],
    ],
    ids=["generator", "map", "tensors", "float-tensors", "values", "bytes", "BytesIO"],
)
def test_images_may_be_handed_over_in_any_kind_that_is_unambiguous(model, people, handed_over):
    given = handed_over(people)
    assert torch.equal(
        model.encode(given, batch_size=2, progress=False).cls,
        model.encode(people, batch_size=2, progress=False).cls,
    )


@pytest.mark.parametrize("is_tensor", [False, True])
def test_a_batch_is_its_images(model, is_tensor):
    batch = np.random.default_rng(4).integers(0, 256, (3, 96, 32, 3), dtype=np.uint8)
    given = torch.from_numpy(batch).permute(0, 3, 1, 2) if is_tensor else batch
    assert torch.equal(model.encode(given).cls, model.encode(list(batch)).cls)


def png_bytes(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


# ---- more than 8 bits -----------------------------------------------------------------------


def test_a_thermal_range_maps_counts_and_is_in_the_provenance(openai_file):
    counts = np.linspace(29_000, 31_000, 96 * 32).reshape(96, 32).astype(np.uint16)
    with_range = load_model(openai_file, image_size=UPRIGHT, device="cpu", thermal_range=(29_315, 30_815))
    expected = np.round(np.clip((counts - 29_315.0) / 1500, 0, 1) * 255)
    np.testing.assert_array_equal(np.asarray(with_range.displayed(counts))[..., 1], expected)
    assert with_range.provenance_items["above 8 bits"] == "29315..30815 -> 0..255"
    without = load_model(openai_file, image_size=UPRIGHT, device="cpu")
    assert without.provenance_items["above 8 bits"] == "percentiles 1..99 of each image -> 0..255"
    assert not torch.equal(with_range.encode(counts).cls, without.encode(counts).cls)


def test_a_thermal_range_leaves_pictures_of_8_bits_as_they_are(openai_file, people):
    plain, ranged = (
        load_model(openai_file, image_size=UPRIGHT, device="cpu", thermal_range=given)
        for given in (None, (10, 90))
    )
    assert torch.equal(plain.preprocess(people), ranged.preprocess(people))


def test_a_thermal_range_that_is_none_is_refused_before_weights_are_looked_for():
    with pytest.raises(OptionError, match=r"thermal_range must be two finite numbers.*got \(2, 1\)"):
        load_model("missing.pt", thermal_range=(2, 1))


@pytest.mark.parametrize(
    ("band", "said"), [((0, 65535), "closer to what the files hold"), ((0, 100), "outside the range")]
)
def test_a_range_that_leaves_few_greys_is_said_once(openai_file, band, said):
    model = load_model(openai_file, image_size=UPRIGHT, device="cpu", thermal_range=band)
    counts = np.linspace(7000, 8500, 96 * 32).reshape(96, 32).astype(np.uint16)
    with pytest.warns(UserWarning, match=rf"3 of 3 keep fewer than 32 grey levels.*{said}") as caught:
        model.encode([counts] * 3, batch_size=2, progress=False)
    assert len(caught) == 1


# ---- input size and positions ---------------------------------------------------------------


def test_positions_are_resized_from_the_stored_square_and_provenance_says_so(openai_file, clip):
    model = load_model(openai_file, image_size=UPRIGHT, device="cpu")
    stored = clip.visual.positional_embedding.detach()
    expected = resized_positions(stored, (4, 4), (6, 2))
    assert torch.equal(model.clip.visual.positional_embedding, expected)
    assert "resized 4x4 -> 6x2, bilinear" in model.provenance


def test_one_number_is_a_square_and_none_the_size_of_the_weights(openai_file):
    assert load_model(openai_file, image_size=32, device="cpu").grid == (2, 2)
    model = load_model(openai_file, device="cpu")
    assert model.image_size == (64, 64)
    assert "4x4, as stored" in model.provenance


@pytest.mark.filterwarnings(ASSUMED)
def test_a_file_with_positions_of_a_two_to_one_grid_is_upright_unless_asked(saved):
    path = saved(tiny_clip(image_size=(128, 64)).state_dict())
    assert load_model(path, device="cpu").image_size == (128, 64)
    assert (
        load_model(path, image_size=(64, 128), device="cpu").provenance_items["positions"] == "4x8, as stored"
    )


@pytest.mark.parametrize("image_size", [(100, 32), 8, (16, 0), (96, 32, 3), (96.0, 32), -16])
def test_an_input_size_the_weights_cannot_serve_is_refused(openai_file, image_size):
    with pytest.raises(OptionError, match=r"image_size is|multiple of the 16-pixel patch"):
        load_model(openai_file, image_size=image_size, device="cpu")


# ---- files ----------------------------------------------------------------------------------


def test_an_openai_archive_loads_without_assumptions(openai_file):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model(openai_file, device="cpu")
    items = model.provenance_items
    assert items["activation"] == "QuickGELU"
    assert "ViT-tiny.pt" in items["weights"]
    assert "0.481 0.458 0.408" in items["normalisation"]
    assert items["device"] == "cpu, float32"


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_plain_state_dict_loads_with_the_assumptions_in_a_warning(saved, clip, people, half, prefix):
    state = {prefix + k: v.half() if half else v for k, v in clip.state_dict().items()}
    with pytest.warns(UserWarning, match="QuickGELU and OpenAI's normalisation are assumed"):
        model = load_model(saved(state), device="cpu")
    assert "assumed" in model.provenance
    with torch.no_grad():
        expected = clip.encode_image(model.preprocess(people))
    tolerance = 2e-2 if half else 0
    torch.testing.assert_close(model.encode(people).cls, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings(ASSUMED)
def test_a_safetensors_file_and_a_training_checkpoint_load(saved, clip, tmp_path, people):
    save_file(clip.state_dict(), tmp_path / "clip.safetensors")
    paths = [tmp_path / "clip.safetensors", saved({"epoch": 2, "state_dict": clip.state_dict()})]
    first, second = (load_model(path, device="cpu").encode(people) for path in paths)
    assert torch.equal(first.cls, second.cls)


def test_an_architecture_by_name_decides_heads_and_activation(saved, people, monkeypatch):
    config = copy.deepcopy(CONFIG) | {"quick_gelu": False}
    config["vision_cfg"]["head_width"] = 32
    monkeypatch.setattr(
        open_clip, "get_model_config", lambda name: copy.deepcopy(config) if name == "tiny" else None
    )
    made = open_clip.CLIP(**copy.deepcopy(config)).eval()
    model = load_model(saved(made.state_dict()), arch="tiny", device="cpu")
    assert model.provenance_items["activation"] == "GELU"
    with torch.no_grad():
        assert torch.equal(model.encode(people).cls, made.encode_image(model.preprocess(people)))


def test_an_unknown_architecture_is_refused_with_the_nearest_names(openai_file):
    with pytest.raises(OptionError, match=r"ViT-B-16"):
        load_model(openai_file, arch="ViT-B-61", device="cpu")


def test_an_architecture_that_does_not_fit_names_the_tensors(openai_file):
    with pytest.raises(WeightsError, match=r"visual\.conv1\.weight is \(64, 3, 16, 16\), not \(384"):
        load_model(openai_file, arch="ViT-S-16-alt", device="cpu")


def test_a_gelu_architecture_on_openais_archive_is_obeyed_with_a_warning(openai_file, monkeypatch):
    monkeypatch.setattr(
        open_clip, "get_model_config", lambda _name: copy.deepcopy(CONFIG) | {"quick_gelu": False}
    )
    with pytest.warns(UserWarning, match="trained with QuickGELU"):
        model = load_model(openai_file, arch="tiny", device="cpu")
    assert model.provenance_items["activation"] == "GELU"


def test_an_architecture_beside_anything_but_a_file_is_refused():
    with pytest.raises(OptionError, match="architecture of a local file"):
        load_model("ViT-B-16/openai", arch="ViT-B-16")


@pytest.mark.filterwarnings(ASSUMED)
@pytest.mark.parametrize(
    "key",
    ["visual.proj", "visual.conv1.weight", "visual.ln_post.bias", "visual.positional_embedding"],
)
def test_a_missing_tensor_is_named_never_left_random(saved, clip, key):
    state = {k: v for k, v in clip.state_dict().items() if k != key}
    with pytest.raises(WeightsError, match=f"missing {key}"):
        load_model(saved(state), device="cpu")


def test_an_add_on_in_the_place_of_a_model_is_refused_with_what_to_do(tmp_path, random_addon):
    save_addon(random_addon, tmp_path / "addon.safetensors")
    with pytest.raises(WeightsError, match="addon="):
        load_model(tmp_path / "addon.safetensors", device="cpu")


def test_loading_leaves_the_global_random_state_alone(openai_file):
    before = torch.get_rng_state()
    load_model(openai_file, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


# ---- host-model checkpoints -----------------------------------------------------------------


def test_a_host_checkpoint_gives_its_tower_at_256x128_with_its_own_normalisation(saved, host_state):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model(saved({"module." + key: value for key, value in host_state.items()}), device="cpu")
    assert model.image_size == (256, 128)
    assert model.grid == (16, 8)
    items = model.provenance_items
    assert items["normalisation"] == "mean 0.5, std 0.5"
    assert items["activation"] == "QuickGELU"
    assert items["positions"] == "16x8, as stored"
    assert "no add-on comes with these weights: untrained window mean" in items["add-on"]
    assert model.encode([np.zeros((60, 30, 3), np.uint8)]).patches.shape == (1, 128, 24)


def test_a_host_checkpoint_of_vehicles_is_asked_for_by_its_size(saved, host_state):
    model = load_model(saved(host_state), image_size=(128, 256), device="cpu")
    assert model.provenance_items["positions"] == "8x16, as stored"


def test_a_host_checkpoint_brings_its_own_add_on(saved, host_state, random_addon):
    addon = {
        HOST_ADDON + key.replace("fusion.2", "fusion.3"): v for key, v in random_addon.state_dict().items()
    }
    model = load_model(saved(host_state | addon), device="cpu")
    assert model.addon.scales == (2, 5)
    assert torch.equal(
        model.addon.multi_scale_window.fusion[2].bias, random_addon.multi_scale_window.fusion[2].bias
    )
    assert "scales 2/5, from the same file" in model.provenance


def test_a_host_checkpoint_has_no_text_tower_and_says_so(saved, host_state):
    model = load_model(saved(host_state), device="cpu")
    with pytest.raises(OptionError, match="text tower"):
        model.encode_text("a person")
    assert model.clip.token_embedding.weight.isnan().all()


def test_a_camera_embedding_that_is_not_applied_gives_a_warning(saved, host_state):
    with pytest.warns(UserWarning, match=r"camera embedding is NOT applied.*config="):
        model = load_model(saved(host_state | {"BACKBONE.cv_embed": torch.zeros(4, 64)}), device="cpu")
    assert "camera embedding" in model.provenance


# ---- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("ViT-B-16-SigLIP/webli", "timm tower"),
        ("coca_ViT-B-32/laion2b_s13b_b90k", "attention pooling"),
        ("RN50/openai", "convolutional"),
        ("ViT-L-14-CLIPA/datacomp1b", "'last' pooling|'avg' pooling"),
        ("xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k", "xlm-roberta-base"),
        ("ViT-H-14-worldwide/metaclip2_worldwide", "xlm-v-base"),
    ],
)
def test_models_without_a_cls_feature_or_clips_tokenizer_are_refused_by_name_before_any_download(
    name, named, monkeypatch
):
    monkeypatch.setattr(
        open_clip, "download_pretrained", lambda _cfg: pytest.fail("nothing may be downloaded")
    )
    with pytest.raises(OptionError, match=named) as refusal:
        load_model(name, device="cpu")
    assert name.split("/")[0] in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ViT-B-61/openai", "ViT-B-16"),
        ("ViT-B-16/opnai", "laion400m_e32"),
        ("embeded/x", "similar: embedded"),
    ],
)
def test_unknown_names_are_refused_with_those_on_offer(name, said):
    with pytest.raises(OptionError, match=said):
        load_model(name, device="cpu")


@pytest.mark.parametrize("name", ["nowhere/ViT-B-16.pt", "./nowhere/weights", "ViT-B-16.pt", "ViT-B-16", ""])
def test_a_file_that_is_not_there_is_said_to_be_missing(name):
    with pytest.raises(WeightsNotFoundError, match="existing file"):
        load_model(name, device="cpu")


@pytest.mark.parametrize("name", [None, 5, b"ViT-B-16.pt", ["ViT-B-16"]])
def test_what_is_neither_name_nor_path_is_refused(name):
    with pytest.raises(OptionError, match='a model is a name, such as "embedded", or a path: got'):
        load_model(name, device="cpu")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "~nobody/weights.pt", "~nobody/weights"])
def test_names_that_can_be_no_file_are_missing_files(name):
    with pytest.raises(WeightsNotFoundError, match="existing file or folder"):
        load_model(name, device="cpu")


def test_a_failed_download_says_what_to_do_and_loads_nothing(monkeypatch):
    def offline(_cfg):
        raise OSError("network is unreachable")

    monkeypatch.setattr(open_clip, "download_pretrained", offline)
    with pytest.raises(WeightsNotFoundError, match=r"network is unreachable.*pass their path"):
        load_model("ViT-B-16/openai", device="cpu")


def test_a_tag_takes_activation_and_normalisation_from_open_clips_list(monkeypatch, openai_file, people):
    monkeypatch.setattr(open_clip, "download_pretrained", lambda _cfg: str(openai_file))
    monkeypatch.setattr(
        open_clip, "get_model_config", lambda _name: copy.deepcopy(CONFIG) | {"quick_gelu": False}
    )
    model = load_model("ViT-B-16/openai", device="cpu")
    assert model.provenance_items["weights"] == "ViT-B-16/openai"
    assert model.provenance_items["activation"] == "QuickGELU"
    assert "bicubic, as open_clip does" in model.provenance
    assert model.encode(people).grid == (4, 4)


def test_a_tag_that_stretches_its_images_is_fed_stretched_images(monkeypatch, openai_file, people):
    monkeypatch.setattr(open_clip, "download_pretrained", lambda _cfg: str(openai_file))
    monkeypatch.setattr(open_clip, "get_model_config", lambda _name: copy.deepcopy(CONFIG))
    model = load_model("ViT-H-14-quickgelu/dfn5b", device="cpu")
    transform = open_clip.image_transform(64, is_train=False, resize_mode="squash", interpolation="bicubic")
    torch.testing.assert_close(
        model.preprocess(people[1])[0], transform(Image.fromarray(people[1])), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "cudaa"])
def test_a_device_that_is_not_there_is_refused(openai_file, device):
    with pytest.raises(DeviceError, match=device):
        load_model(openai_file, device=device)


def test_the_automatic_device_is_the_fastest_that_is_there(openai_file):
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert load_model(openai_file).device.type == expected


# ---- add-ons --------------------------------------------------------------------------------


def test_the_mean_add_on_and_none_leave_the_cls_as_it_is(openai_file, people, device):
    for addon, words in (("mean", "untrained window mean, zero shift"), (None, "none: plain CLIP")):
        model = load_model(openai_file, addon=addon, device=device)
        tokens = model.encode(people)
        assert torch.equal(model.enhance(tokens).cls, tokens.cls)
        assert words in model.provenance_items["add-on"]
    assert model.addon is None


def test_enhance_adds_the_add_on_to_cls_and_leaves_patches_untouched(
    openai_file, people, tmp_path, random_addon, device
):
    save_addon(random_addon, tmp_path / "addon.safetensors")
    model = load_model(openai_file, addon=tmp_path / "addon.safetensors", device=device)
    tokens = model.encode(people)
    enhanced = model.enhance(tokens)
    shift = random_addon.to(device)(tokens.patches).detach()
    torch.testing.assert_close(enhanced.cls, tokens.cls + shift)
    assert float(shift.abs().max()) > 0.01
    assert enhanced.patches is tokens.patches
    assert not enhanced.cls.requires_grad
    assert "scales 2/5 from addon.safetensors" in model.provenance


def test_enhance_is_differentiable_in_the_tokens(openai_file, people, tmp_path, random_addon):
    save_addon(random_addon, tmp_path / "addon.pth")
    model = load_model(openai_file, addon=tmp_path / "addon.pth", device="cpu")
    tokens = model.encode(people)
    patches = tokens.patches.clone().requires_grad_()
    model.enhance(dataclasses.replace(tokens, patches=patches)).cls.sum().backward()
    assert float(patches.grad.abs().max()) > 0


@pytest.mark.parametrize(
    "addon", [CLIPMultiScaleFeatureExtractor(20, (2,)), CLIPWithProjectionMultiScale(20, 30, (2,))]
)
def test_an_add_on_of_another_width_is_refused_with_both_widths(openai_file, tmp_path, addon):
    save_addon(addon, tmp_path / "narrow.pth")
    with pytest.raises(WeightsError, match=r"reads 20, the tower gives 24"):
        load_model(openai_file, addon=tmp_path / "narrow.pth", device="cpu")


# ---- text -----------------------------------------------------------------------------------


def test_text_features_are_those_of_open_clip(model, clip):
    prompts = ["a person wearing a red top", "a bus"]
    features = model.encode_text(prompts)
    assert features.shape == (2, 24)
    assert features.dtype == torch.float32
    with torch.no_grad():
        expected = clip.encode_text(open_clip.SimpleTokenizer(context_length=16)(prompts))
    torch.testing.assert_close(features.cpu(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.encode_text(prompts[1])[0], features[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prompts", ["", "  \n", [], ["a bus", ""], [None]])
def test_empty_prompts_are_refused(model, prompts):
    with pytest.raises(PromptError, match=r"must not be empty|must be a text|at least one prompt"):
        model.encode_text(prompts)


@pytest.mark.parametrize(
    "prompts",
    [5, None, 2.5, True, b"a bus", {"a bus": 1}, ["a bus", None], [["a bus"]], [5], [b"a bus"], torch.tensor(3.0),
     np.zeros((2, 3)), np.array(3), object()],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_text_is_refused_with_an_example(model, prompts):
    with pytest.raises(PromptError, match=r"got .*write for example 'a person wearing a red top'"):
        model.encode_text(prompts)


@pytest.mark.parametrize(
    "prompts", [("a bus", "a car"), np.array(["a bus", "a car"]), iter(["a bus", "a car"])]
)
def test_any_series_of_texts_is_a_list_of_prompts(model, prompts):
    expected = model.encode_text(["a bus", "a car"])
    assert torch.equal(model.encode_text(prompts), expected)


def test_a_prompt_that_utf_8_cannot_hold_is_refused(model):
    with pytest.raises(PromptError, match=r"text that UTF-8 can hold: got 'a \\\\udce9'; write for example"):
        model.encode_text("a \udce9")


@pytest.mark.parametrize("prompt", [5, None, ["a bus"], b"a bus"])
def test_unknown_words_are_those_of_a_text(model, prompt):
    with pytest.raises(PromptError, match="a prompt must be a text"):
        model.unknown_words(prompt)


def test_a_prompt_may_fill_the_context_and_not_exceed_it(model):
    model.encode_text(" ".join(["red"] * 14))
    with pytest.raises(PromptError, match=r"16 BPE tokens.*got 17"):
        model.encode_text(" ".join(["red"] * 15))


# ---- the embedded model ---------------------------------------------------------------------


@pytest.fixture
def embedded(tmp_path, monkeypatch, random_addon) -> Model:
    """A random stand-in that knows the words of two prompts."""
    tokenizer = open_clip.SimpleTokenizer()
    ids = sorted({0, 49406, 49407, *tokenizer.encode("a person wearing a red top, a blue bag")})
    config = copy.deepcopy(CONFIG) | {"mean": [0.5] * 3, "std": [0.5] * 3, "quick_gelu": False}
    config["vision_cfg"]["image_size"] = [128, 64]
    save_embedded(tiny_clip(image_size=(128, 64), quick_gelu=False), config, ids, tmp_path)
    save_addon(random_addon, tmp_path / "addon.safetensors", dtype=torch.float16)
    monkeypatch.setattr(addons, "EMBEDDED", tmp_path)
    monkeypatch.setattr(loading, "embedded_tower", lambda size: embedded_tower(size, tmp_path))
    return load_model("embedded", device="cpu")


def test_the_embedded_model_brings_its_size_add_on_and_normalisation(embedded):
    assert embedded.image_size == (128, 64)
    assert embedded.addon.scales == (2, 5)
    items = embedded.provenance_items
    assert "embedded" in items["weights"]
    assert "trained here" in items["add-on"]
    assert items["normalisation"] == "mean 0.5, std 0.5"
    assert items["activation"] == "GELU"
    assert (
        load_model(image_size=(64, 128), device="cpu")
        .provenance_items["positions"]
        .startswith("resized 8x4 -> 4x8")
    )


def test_words_the_embedded_model_never_saw_are_named(embedded):
    assert embedded.unknown_words("a RED zebra, wearing a top!") == ["zebra"]
    with pytest.warns(UserWarning, match="never saw: zebra"):
        assert embedded.encode_text("a red zebra").shape == (1, 24)


def test_known_words_pass_without_a_warning(embedded):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedded.encode_text(["a person wearing a red top.", "a Blue bag"])


@pytest.mark.parametrize("prompt", ["a zebra", "zebra giraffe", "a person with a zebra", "?!"])
def test_a_prompt_of_words_never_seen_is_refused(embedded, prompt):
    with pytest.raises(PromptError, match="needs a word"):
        embedded.encode_text(prompt)


def test_models_trained_on_all_words_know_every_word(model):
    assert model.unknown_words("an ocelot in velvet") == []
