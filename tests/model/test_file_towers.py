"""Plain CLIP files: what belongs to the model is taken, what does not is reported, what is not known may be said."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import open_clip
import pytest
import torch

from mswin_viz.errors import OptionError, WeightsError
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.loading import load_model

from .conftest import tiny_clip

ASSUMED = "ignore:.*QuickGELU and OpenAI's normalisation are assumed:UserWarning"
NO_TEXT = "ignore:.*no prompts. its text side is left out:UserWarning"
pytestmark = [pytest.mark.filterwarnings(ASSUMED), pytest.mark.filterwarnings(NO_TEXT)]

PLAIN = {"activation": "quick_gelu", "mean": 0.5, "std": 0.25}


def features(model, people) -> torch.Tensor:
    return model.encode(people, progress=False).cls


@pytest.mark.parametrize("word", ["quick_gelu", "QuickGELU", "quickgelu", "gelu", "GELU"])
def test_an_activation_is_written_as_the_provenance_writes_it_or_in_small_letters(saved, clip, word):
    model = load_model(saved(clip.state_dict()), device="cpu", **(PLAIN | {"activation": word}))
    assert model.tower.activation == ("QuickGELU" if "quick" in word.lower() else "GELU")


# ---- keys that are not the model's, and those that are missing ---------------------------------


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("classifier.weight", "not part of a CLIP"),
        ("head.bias", "not part of a CLIP"),
        ("image_projection.0.weight", "not part of a CLIP"),
        ("logit_bias", "a number of the training loss"),
        ("text_model.embeddings.word_embeddings.weight", "text side: of another layout"),
        ("n_averaged", "not part of a CLIP"),
        ("x.sliding_windows.0.weight", "part of an add-on"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*its add-on .x.sliding_windows:UserWarning")
def test_keys_beside_a_whole_model_are_reported_and_stop_nothing(saved, clip, people, key, reason):
    model = load_model(saved({**clip.state_dict(), key: torch.ones(3, 2)}), device="cpu", **PLAIN)
    assert model.load_report.unused[key].startswith(reason)
    assert model.tower.has_text
    with torch.no_grad():
        assert torch.equal(features(model, people), clip.encode_image(model.preprocess(people)))


def test_an_add_on_beside_a_plain_clip_is_named_and_loaded_where_it_is_asked_for(saved, clip):
    addon = CLIPMultiScaleFeatureExtractor(clip.state_dict()["visual.proj"].shape[1], (2, 4))
    path = saved({**clip.state_dict(), **{f"x.{key}": value for key, value in addon.state_dict().items()}})
    with pytest.warns(
        UserWarning,
        match=r"its add-on \(x\.multi_scale_window\.sliding_windows\.\S+\) is not loaded with the CLIP",
    ):
        model = load_model(path, device="cpu", **PLAIN)
    assert "no add-on comes with these weights" in model.addon_origin
    with pytest.warns(UserWarning, match="by addon= with the same path"):
        model = load_model(path, addon=path, device="cpu", **PLAIN)
    assert model.addon.scales == (2, 4)


def test_a_model_is_shown_as_what_it_is_in_one_line(saved, clip):
    shown = repr(load_model(saved(clip.state_dict()), device="cpu", **PLAIN))
    assert shown.startswith("Model(weights: file ")
    assert "add-on: no add-on comes with these weights" in shown
    assert "\n" not in shown


@pytest.mark.parametrize("scale", [None, torch.ones(1), torch.tensor(3)])
def test_a_logit_scale_that_is_missing_or_of_another_kind_stops_nothing(saved, clip, scale):
    state = dict(clip.state_dict())
    del state["logit_scale"]
    model = load_model(
        saved(state | ({} if scale is None else {"logit_scale": scale})), device="cpu", **PLAIN
    )
    assert model.tower.has_text
    assert model.load_report.missing == ("logit_scale",)
    assert ("logit_scale" in model.load_report.unused) is (scale is not None)


def spoilt(key: str, how: str, clip: open_clip.CLIP) -> dict[str, torch.Tensor]:
    state = {name: value.clone() for name, value in clip.state_dict().items()}
    if how == "missing":
        del state[key]
    elif how == "longer":
        state[key] = torch.cat([state[key], state[key][:1]])
    else:
        state[key][0] = float("nan")
    return state


TEXT_KEYS = (
    "token_embedding.weight", "positional_embedding", "text_projection", "ln_final.bias", "transformer.resblocks.0.ln_1.weight",
)  # fmt: skip


@pytest.mark.parametrize(
    ("key", "how"),
    [
        (key, how)
        for key in TEXT_KEYS
        for how in ("missing", "longer", "not finite")
        if (key, how)
        != ("positional_embedding", "longer")  # which is the whole text side of a longer context
    ],
)
def test_half_a_text_side_is_left_out_with_the_reason(saved, clip, people, key, how):
    with pytest.warns(UserWarning, match="no prompts: its text side is left out") as caught:
        model = load_model(saved(spoilt(key, how, clip)), device="cpu", **PLAIN)
    assert any(key in str(each.message) or "vocabulary" in str(each.message) for each in caught)
    assert model.clip.token_embedding.weight.isnan().all()
    with pytest.raises(OptionError, match="text tower"):
        model.encode_text("a bus")
    text = [
        name for name in model.load_report.unused if not name.startswith("visual.") and name != "attn_mask"
    ]
    assert all("text side" in model.load_report.unused[name] or name == "logit_scale" for name in text)
    with torch.no_grad():
        assert torch.equal(features(model, people), clip.encode_image(model.preprocess(people)))


def test_a_text_side_with_another_vocabulary_is_left_out(saved):
    other = tiny_clip(
        text_cfg={"context_length": 16, "vocab_size": 700, "width": 64, "heads": 1, "layers": 1}
    )
    with pytest.warns(UserWarning, match=r"700 entries, not the 49408 of CLIP's BPE"):
        assert not load_model(saved(other.state_dict()), device="cpu", **PLAIN).tower.has_text


def test_a_text_side_with_more_layers_than_the_architecture_named_is_left_out(saved, monkeypatch):
    from .conftest import CONFIG

    deep = tiny_clip(text_cfg={**CONFIG["text_cfg"], "layers": 3})
    config = {**CONFIG, "vision_cfg": {**CONFIG["vision_cfg"], "image_size": 64}}
    monkeypatch.setattr(open_clip, "get_model_config", lambda _name: config)
    with pytest.warns(UserWarning, match=r"unexpected transformer\.resblocks\.1\."):
        assert not load_model(saved(deep.state_dict()), arch="tiny", device="cpu").tower.has_text


@pytest.mark.parametrize(
    "key", ["visual.head.weight", "visual.transformer.resblocks.0.attn.extra", "visual.ln_mid.bias"]
)
def test_a_key_of_the_image_tower_that_is_not_known_is_refused(saved, clip, key):
    with pytest.raises(WeightsError, match=f"unexpected {key}"):
        load_model(saved({**clip.state_dict(), key: torch.ones(3)}), device="cpu")


@pytest.mark.parametrize("prefix", ["", "image_encoder.", "encoder.visual_tower.", "module.backbone."])
def test_a_bare_image_tower_is_a_tower_whatever_stands_before_it(saved, clip, people, prefix):
    state = {prefix + key: value for key, value in clip.visual.state_dict().items()}
    model = load_model(saved({**state, "classifier.weight": torch.ones(2, 24)}), device="cpu", **PLAIN)
    assert not model.tower.has_text
    assert "keys of a bare image tower" in model.provenance_items["file"]
    with torch.no_grad():
        assert torch.equal(features(model, people), clip.encode_image(model.preprocess(people)))


def test_a_camera_embedding_that_is_not_applied_is_named(saved, clip):
    state = {f"image_encoder.{key}": value for key, value in clip.visual.state_dict().items()}
    file = saved(state | {"cv_embed": torch.ones(4, 128)})
    with pytest.warns(UserWarning, match=r"camera embedding \(cv_embed\) is NOT applied"):
        load_model(file, device="cpu", **PLAIN)


@pytest.mark.parametrize("ratio", [2.0, 3.0, 4.3637, 4.9231])
def test_the_width_of_the_mlps_is_read_off_the_file(saved, people, ratio):
    vision = {"image_size": [64, 64], "layers": 2, "width": 64, "head_width": 64, "patch_size": 16}
    wide = tiny_clip(vision_cfg=vision | {"mlp_ratio": ratio})
    model = load_model(saved(wide.state_dict()), device="cpu", **PLAIN)
    with torch.no_grad():
        assert torch.equal(features(model, people), wide.encode_image(model.preprocess(people)))


# ---- how the file was read -------------------------------------------------------------------


def test_the_report_and_the_provenance_say_how_a_file_was_read(saved, clip):
    state = {f"module._orig_mod.{key}": value for key, value in clip.state_dict().items()}
    model = load_model(saved({"epoch": np.float64(3), "model": {"state_dict": state}}), device="cpu", **PLAIN)
    said = f"read from its entry model.state_dict, module._orig_mod. removed from {len(state)} of {len(state)} keys"
    assert said in model.provenance_items["file"]
    assert "module._orig_mod. removed from" in str(model.load_report)


def test_the_plain_weights_beside_their_average_are_used_with_a_warning(saved, clip, people):
    average = {key: value + 1 for key, value in clip.state_dict().items()}
    path = saved({"model_ema": average, "model": clip.state_dict()})
    with pytest.warns(UserWarning, match=r"model is read, not model_ema \(a moving average\);"):
        model = load_model(path, device="cpu", **PLAIN)
    assert "model_ema" in model.provenance_items["note"]
    with torch.no_grad():
        assert torch.equal(features(model, people), clip.encode_image(model.preprocess(people)))


# ---- activation and normalisation of plain files -----------------------------------------------


@pytest.mark.parametrize(("activation", "words"), [("gelu", "GELU"), ("quick_gelu", "QuickGELU")])
def test_activation_and_normalisation_may_be_given_and_nothing_is_assumed_then(
    saved, people, activation, words
):
    clip = tiny_clip(quick_gelu=activation == "quick_gelu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model(
            saved(clip.state_dict()),
            activation=activation,
            mean=(0.1, 0.2, 0.3),
            std=[0.5, 0.6, 0.7],
            device="cpu",
        )
    items = model.provenance_items
    assert items["activation"] == words
    assert items["normalisation"] == "mean 0.100 0.200 0.300, std 0.500 0.600 0.700"
    assert "activation and mean and std as given" in items["weights"]
    assert "note" not in items
    white = model.preprocess(np.full((64, 64, 3), 255, np.uint8))
    np.testing.assert_allclose(
        white[0, :, 0, 0], (1 - np.array([0.1, 0.2, 0.3])) / [0.5, 0.6, 0.7], rtol=1e-5
    )
    with torch.no_grad():
        assert torch.equal(features(model, people), clip.encode_image(model.preprocess(people)))


@pytest.mark.parametrize(
    ("given", "assumed"),
    [
        ({"activation": "gelu"}, "OpenAI's normalisation is assumed"),
        ({"mean": 0.5, "std": 0.5}, ": QuickGELU is assumed"),
        ({"mean": 0.5}, "QuickGELU and OpenAI's std are assumed"),
        ({"activation": "gelu", "std": 0.5}, ": OpenAI's mean is assumed"),
    ],
)
def test_only_what_is_not_given_is_assumed(saved, clip, given, assumed):
    with pytest.warns(UserWarning, match=assumed):
        load_model(saved(clip.state_dict()), device="cpu", **given)


@pytest.mark.parametrize(
    "value",
    [
        np.array([0.1, 0.2, 0.3]),
        torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64),
        (np.float32(0.5),) * 3,
        0,
    ],
)
def test_a_normalisation_may_be_an_array_or_one_number(saved, clip, value):
    model = load_model(saved(clip.state_dict()), mean=value, std=1, activation="gelu", device="cpu")
    assert len(model.tower.mean) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"activation": "relu"}, "activation is one of gelu, quick_gelu: got 'relu'"),
        ({"activation": True}, "activation is one of"),
        ({"activation": ["gelu"]}, "activation is one of"),
        ({"mean": (0.5, 0.5)}, "mean is three finite numbers"),
        ({"mean": "0.5"}, "mean is three finite numbers"),
        ({"mean": (0.5, float("nan"), 0.5)}, "mean is three finite numbers"),
        ({"mean": True}, "mean is three finite numbers"),
        ({"std": (0.5, 0.0, 0.5)}, "std divides, so it must be above 0"),
        ({"std": -1}, "std divides, so it must be above 0"),
        ({"mean": (123.675, 116.28, 103.53)}, "divide numbers of 0 to 255 by 255"),
        ({"arch": 16}, "arch is one of open_clip"),
        ({"precision": "half"}, "precision is one of auto, float32, mixed: got 'half'"),
        ({"precision": None}, "precision is one of"),
        ({"precision": "mixed"}, r"mixed precision needs CUDA: got precision=\"mixed\" on cpu"),
    ],
)  # fmt: skip
def test_options_that_are_none_of_their_kind_are_refused_before_any_file_is_read(given, said):
    with pytest.raises(OptionError, match=said):
        load_model("nowhere.pt", device="cpu", **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"activation": "quick_gelu"}, "embedded CLIP .* has GELU, got QuickGELU"),
        ({"mean": 0.1}, "embedded CLIP .* has mean .*, got 0.1 0.1 0.1"),
    ],
)
def test_the_embedded_model_keeps_its_own_settings(given, said):
    with pytest.raises(OptionError, match=said):
        load_model("embedded", device="cpu", **given)


@pytest.mark.parametrize("given", [{"activation": "gelu"}, {"mean": 0.4}, {"std": 0.4}])
def test_a_host_model_keeps_its_own_settings(saved, host_state, given):
    with pytest.raises(OptionError, match=r"host-model checkpoint weights\.pth has"):
        load_model(saved(host_state), device="cpu", **given)
    own = {"activation": "quick_gelu", "mean": 0.5, "std": 0.5}
    assert load_model(saved(host_state), device="cpu", **own).grid == (16, 8)


def test_a_pair_keeps_its_own_settings_and_is_not_downloaded_first(monkeypatch):
    monkeypatch.setattr(
        open_clip, "download_pretrained", lambda _cfg: pytest.fail("nothing may be downloaded")
    )
    with pytest.raises(OptionError, match=r"ViT-B-16/openai, as open_clip lists it, has QuickGELU, got GELU"):
        load_model("ViT-B-16/openai", activation="gelu", device="cpu")


def test_an_openai_archive_with_another_activation_is_obeyed_with_a_warning(openai_file):
    with pytest.warns(UserWarning, match="GELU, as activation= says, but files of this layout"):
        assert load_model(openai_file, activation="gelu", device="cpu").tower.activation == "GELU"


# ---- position grids ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trained", "asked", "words"),
    [
        ((144, 64), (144, 64), "9x4, as stored (of 36 positions, which also make 6x6; 9x4 is as the input asks for)"),
        ((64, 144), (64, 144), "4x9, as stored (of 36 positions, which also make 6x6; 4x9 is as the input asks for)"),
        ((96, 96), (96, 96), "6x6, as stored"),
        ((128, 64), (64, 128), "4x8, as stored"),
        ((144, 64), None, "6x6, as stored (of 36 positions, which also make 9x4, 4x9; 6x6 is assumed; the image_size of the training decides)"),
        ((128, 64), None, "8x4, as stored (of 32 positions, which also make 4x8; 8x4 is assumed; the image_size of the training decides)"),
        ((64, 64), None, "4x4, as stored"),
        ((128, 64), (64, 64), "resized 8x4 -> 4x4, bilinear (of 32 positions, which also make 4x8; 8x4 is assumed; the image_size of the training decides)"),
        ((64, 64), (96, 32), "resized 4x4 -> 6x2, bilinear"),
        ((80, 48), (80, 48), "5x3, as stored"),
    ],
)  # fmt: skip
def test_positions_of_a_plain_file_lie_on_the_grid_asked_for_and_doubt_is_in_the_provenance(
    saved, trained, asked, words
):
    clip = tiny_clip(image_size=trained)
    model = load_model(saved(clip.state_dict()), image_size=asked, device="cpu", **PLAIN)
    assert model.provenance_items["positions"] == words
    if "as stored" in words:
        assert torch.equal(model.clip.visual.positional_embedding, clip.visual.positional_embedding)


def test_the_input_of_an_openai_archive_is_known_whatever_is_asked_for(openai_file):
    model = load_model(openai_file, image_size=(128, 32), device="cpu")  # 16 positions would fit 8x2
    assert model.provenance_items["positions"] == "resized 4x4 -> 8x2, bilinear"


@pytest.mark.parametrize("number", [-64.0, float("nan"), 0.0, 48.0])
def test_an_input_of_an_archive_that_its_positions_do_not_fit_is_not_believed(saved, clip, number):
    state = clip.state_dict() | {"input_resolution": torch.tensor(number)}
    assert load_model(saved(state), device="cpu").provenance_items["positions"] == "4x4, as stored"


def test_positions_that_are_missing_are_refused(saved, clip):
    state = clip.state_dict() | {"visual.positional_embedding": torch.ones(1, 64)}
    with pytest.raises(WeightsError, match=r"got 0 of them \(grids"):
        load_model(saved(state), device="cpu")


# ---- precision --------------------------------------------------------------------------------


def test_the_precision_is_in_the_provenance(openai_file):
    model = load_model(openai_file, device="cpu", precision="float32")
    assert model.precision == "float32"
    assert model.provenance_items["device"] == "cpu, float32"
    on_cuda = replace(model, device=torch.device("cuda"))
    assert on_cuda.provenance_items["device"] == "cuda, float32"
    assert "mixed precision" in replace(on_cuda, precision="auto").provenance_items["device"]


def test_float32_on_cuda_casts_nothing_and_keeps_convolutions_from_tf32(openai_file):
    model = replace(load_model(openai_file, device="cpu"), device=torch.device("cuda"), precision="float32")
    before = torch.backends.cudnn.allow_tf32
    with model.autocast():
        assert not torch.is_autocast_enabled("cuda")
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 is before


@pytest.mark.parametrize("precision", ["auto", "mixed"])
@pytest.mark.filterwarnings("ignore:.*CUDA is not available:UserWarning")
def test_mixed_precision_on_cuda_is_autocast(openai_file, precision):
    model = replace(load_model(openai_file, device="cpu"), device=torch.device("cuda"), precision=precision)
    assert isinstance(model.autocast(), torch.autocast)
