"""The host's image tower is held against its equations, written out in plain loops apart from the product."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image
from support.host_equations import tower
from support.host_files import BASE, DEPTH, N_CAMERAS, tower_state, yml

import mswin_viz as mv
from mswin_viz.errors import OptionError, ShapeError, WeightsError
from mswin_viz.model.encoder.image_tags import conditions_of
from mswin_viz.model.host.blocks import HostParts
from mswin_viz.model.host.tower import HostTower

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Mamba aggregation:UserWarning", "ignore:.*camera table; SIE_CAMERA is off in:UserWarning"
)


# ---- fixtures -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files() -> dict[str, torch.Tensor]:
    return tower_state()


@pytest.fixture
def loaded(tmp_path, files):
    """The model of a configuration with some changes."""

    def load(**changes) -> mv.Model:
        torch.save(files, tmp_path / "host.pth")
        return mv.load_host_model(yml(tmp_path, **changes), tmp_path / "host.pth", addon=None, device="cpu")

    return load


@pytest.fixture
def people() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, 256, (256, 128, 3), dtype=np.uint8) for _ in range(3)]


def assert_same(tokens: mv.Tokens, image: int, expected: np.ndarray) -> None:
    found = torch.cat([tokens.cls[image : image + 1], tokens.patches[image]]).double().numpy()
    assert np.abs(found - expected).max() < 2e-5 * np.abs(expected).max()


# ---- against the equations ------------------------------------------------------------------------


@pytest.mark.parametrize("modality", ["RGB", "NI", "TI"])
@pytest.mark.parametrize("adapter", [False, True])
@pytest.mark.parametrize("prompt", [False, True])
@pytest.mark.parametrize("sie", [False, True])
def test_every_token_follows_the_equations(loaded, files, people, modality, adapter, prompt, sie):
    model = loaded(sie=sie, coe=3.0, prompt=prompt, adapter=adapter)
    tokens = model.encode(people[:1], camera=2 if sie else None, modality=modality)
    expected = tower(
        files, model.preprocess(people[0])[0].double().numpy(),
        camera=2 if sie else None, coe=3.0, modality=modality if prompt else None, adapter=adapter,
    )  # fmt: skip
    assert tokens.grid == (16, 8)
    assert_same(tokens, 0, expected)


def test_a_tower_as_wide_as_published_follows_the_equations(tmp_path, people):
    files = tower_state(width=768, depth=2, dim=512, seed=6)
    torch.save({f"module.{key}": value for key, value in files.items()}, tmp_path / "host.pth")
    model = mv.load_host_model(yml(tmp_path), tmp_path / "host.pth", addon=None, device="cpu")
    expected = tower(
        files, model.preprocess(people[0])[0].double().numpy(), camera=3, modality="TI", adapter=True
    )
    assert_same(model.encode(people[:1], camera=3, modality="TI"), 0, expected)


@pytest.mark.parametrize(
    ("size", "stride", "grid"),
    [([256, 128], [12, 12], (21, 10)), ([128, 256], [16, 16], (8, 16)), ([256, 128], [12, 16], (21, 8))],
)
def test_other_sizes_and_strides_follow_the_equations(tmp_path, size, stride, grid):
    files = tower_state(width=64, depth=2, n_tokens=grid[0] * grid[1], seed=7)
    torch.save(files, tmp_path / "host.pth")
    model = mv.load_host_model(
        yml(tmp_path, size=size, stride=stride), tmp_path / "host.pth", addon=None, device="cpu"
    )
    image = np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8)
    tokens = model.encode([image], camera=0, modality="NI")
    assert tokens.grid == model.grid == grid
    pixels = model.preprocess(image)[0].double().numpy()
    expected = tower(files, pixels, camera=0, modality="NI", adapter=True, stride=tuple(stride))
    assert_same(tokens, 0, expected)
    across = Image.fromarray(image).transpose(Image.Transpose.ROTATE_90)
    assert model.encode([across], camera=0, modality="NI").grid == grid  # resized, as the host does
    with pytest.raises(ShapeError, match="grid"):
        model.clip.visual(torch.zeros(1, 3, size[1], size[0]), *model.conditions(1, camera=0, modality="NI"))


def test_a_batch_of_several_cameras_and_modalities_is_the_images_one_by_one(loaded, people):
    model = loaded()
    cameras, modalities = [3, 0, 1], ["TI", "RGB", "NI"]
    together = model.encode(people, batch_size=2, camera=cameras, modality=modalities, progress=False)
    for i, (camera, modality) in enumerate(zip(cameras, modalities, strict=True)):
        alone = model.encode([people[i]], camera=camera, modality=modality)
        torch.testing.assert_close(together.cls[i], alone.cls[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.patches[i], alone.patches[0], rtol=1e-4, atol=1e-5)


def test_prompts_change_with_the_modality_and_the_camera_moves_only_what_it_should(loaded, people):
    model = loaded(adapter=False)
    a, b = (model.encode(people[:1], camera=0, modality=name).cls for name in ("RGB", "TI"))
    assert float((a - b).abs().max()) > 0.01
    plain = loaded(prompt=False)
    a, b = (plain.encode(people[:1], camera=0, modality=name).cls for name in ("RGB", "TI"))
    assert torch.equal(a, b)


def test_without_any_part_open_clips_own_tower_runs(loaded, files, people):
    model = loaded(sie=False, prompt=False, adapter=False)
    assert not isinstance(model.clip.visual, HostTower)
    assert_same(model.encode(people[:1]), 0, tower(files, model.preprocess(people[0])[0].double().numpy()))


def test_images_across_the_input_of_a_run_are_not_told_to_change_its_size(loaded):
    cars = [np.random.default_rng(i).integers(0, 256, (60, 130, 3), dtype=np.uint8) for i in range(3)]
    with pytest.warns(
        UserWarning, match=r"3 of 3 images lie across.*has INPUT\.SIZE_TEST \(128, 256\)"
    ) as said:
        loaded().encode(cars, camera=0, modality="RGB")
    assert not any("image_size=" in str(warning.message) for warning in said)


def test_pixels_are_resized_bilinearly_and_normalised_with_a_half(loaded):
    image = np.random.default_rng(4).integers(0, 256, (150, 60, 3), dtype=np.uint8)
    resized = np.asarray(Image.fromarray(image).resize((128, 256), Image.Resampling.BILINEAR), np.float32)
    expected = torch.from_numpy((resized / 255 - 0.5) / 0.5).permute(2, 0, 1)
    torch.testing.assert_close(loaded().preprocess(image)[0], expected, rtol=0, atol=1e-6)


# ---- cameras and modalities ------------------------------------------------------------------------


def test_the_mean_camera_is_the_mean_row(loaded, files, people):
    model = loaded(prompt=False, adapter=False)
    pixels = model.preprocess(people[0])[0].double().numpy()
    mean = files | {"BACKBONE.cv_embed": files["BACKBONE.cv_embed"].mean(dim=0, keepdim=True)}
    assert_same(model.encode(people[:1], camera="mean"), 0, tower(mean, pixels, camera=0))


@pytest.mark.parametrize("camera", [None, -1, N_CAMERAS, 1.0, True, "first", [0, 1, N_CAMERAS]])
def test_cameras_that_have_no_row_are_refused_with_the_rows(loaded, people, camera):
    with pytest.raises(OptionError, match=rf"camera= is one of 0\.\.{N_CAMERAS - 1}"):
        loaded().encode(people, camera=camera, modality="RGB")


@pytest.mark.parametrize("modality", [None, "rgb", "NIR", ["RGB", "NI", None]])
def test_prompts_need_a_modality_by_its_name(loaded, people, modality):
    with pytest.raises(OptionError, match="modality= is one of RGB, NI, TI"):
        loaded().encode(people, camera=0, modality=modality)


def test_as_many_cameras_and_modalities_as_images_or_one(loaded, people):
    with pytest.raises(OptionError, match="got 2 for 3"):
        loaded().encode(people, camera=[0, 1], modality="RGB")
    with pytest.raises(OptionError, match="got 1 for 3"):
        loaded().encode(people, camera=0, modality=["RGB"])


def test_a_camera_is_refused_where_the_configuration_has_none(loaded, people):
    with pytest.raises(OptionError, match="none is applied"):
        loaded(sie=False).encode(people, camera=0, modality="RGB")


def test_a_tag_names_a_camera_by_its_number(loaded, tmp_path, people):
    model = loaded()
    cases = {1: 0, 4: 3, -1: "mean"}
    for number, row in cases.items():
        tokens = model.encode(people[:1], tags=mv.ImageTag("NI", number))
        assert torch.equal(tokens.cls, model.encode(people[:1], camera=row, modality="NI").cls)
    with pytest.raises(OptionError, match=r"cameras 1\.\.4: got an image of camera 5"):
        model.encode(people[:1], tags=mv.ImageTag("NI", 5))
    bare = loaded(sie=False, prompt=False)
    assert torch.equal(bare.encode(people, tags=mv.ImageTag("NI", 9)).cls, bare.encode(people).cls)
    text = yml(tmp_path).read_text().replace("RGBNT201", "MSVR310")
    (tmp_path / "cars.yml").write_text(text)
    cars = mv.load_host_model(tmp_path / "cars.yml", tmp_path / "host.pth", addon=None, device="cpu")
    assert conditions_of(cars.tower, mv.ImageTag("TI", 0)) == (0, "TI")


@pytest.mark.parametrize("camid", [None, "1", 1.0, True])
def test_a_cameras_number_that_is_no_number_is_refused(loaded, people, camid):
    with pytest.raises(OptionError, match=r"a camera's number must be whole, as Sample\.camid"):
        loaded().encode(people[:1], tags=mv.ImageTag("NI", camid))


def test_tags_are_one_for_all_or_one_for_each_and_given_once(loaded, people):
    model, tag = loaded(), mv.ImageTag("NI", 1)
    one = model.encode(people, tags=tag)
    assert torch.equal(one.cls, model.encode(people, tags=[tag] * len(people)).cls)
    with pytest.raises(OptionError, match=rf"one for each: got 2 for {len(people)}"):
        model.encode(people, tags=[tag, tag])
    with pytest.raises(OptionError, match=r"a tag is ImageTag\(modality, camid\): got 'NI'"):
        model.encode(people[:1], tags=["NI"])
    with pytest.raises(OptionError, match="given by tags=, or by camera= and modality="):
        model.encode(people, tags=tag, camera=0)


def test_the_options_that_tags_replace_still_work_with_a_warning(loaded):
    model = loaded()
    with pytest.warns(DeprecationWarning, match=r"tags=ImageTag\(modality, camid\)"):
        assert model.encode_options("NI", 1) == {"modality": "NI", "camera": 0}


def test_a_bound_model_needs_no_camera_and_modality_again(loaded, people):
    model = loaded()
    bound = model.bound(tags=[mv.ImageTag("TI", number) for number in (1, 2, 3)])
    expected = model.encode(people, camera=[0, 1, 2], modality="TI")
    assert torch.equal(bound.encode(people).cls, expected.cls)


def test_the_tower_itself_refuses_to_guess(loaded):
    with pytest.raises(OptionError, match="this tower reads the camera of an image"):
        loaded().clip.visual(torch.zeros(1, 3, 256, 128))


# ---- the module -----------------------------------------------------------------------------------


def test_state_dict_keys_and_shapes_are_the_published_ones(loaded, files):
    visual = loaded().clip.visual
    published = {key.removeprefix(BASE).removeprefix("BACKBONE."): tuple(v.shape) for key, v in files.items()}
    own = {key: tuple(value.shape) for key, value in visual.state_dict().items()}
    assert own == {key: shape for key, shape in published.items() if not key.startswith("bottleneck")}
    assert len([key for key in own if key != "cv_embed"]) == 8 + DEPTH * 35


def test_what_was_loaded_comes_out_again(loaded, files):
    state = loaded().clip.visual.state_dict()
    assert all(torch.equal(value, files[BASE + key]) for key, value in state.items() if key != "cv_embed")
    assert torch.equal(state["cv_embed"], files["BACKBONE.cv_embed"])


def test_parts_say_what_they_are():
    assert HostParts().words == "none"
    assert HostParts(
        stride=(12, 16), has_prompts=True, has_adapters=True, n_cameras=4, sie_coe=1.0
    ).words == (
        "camera embedding of 4 cameras, factor 1, prompts for each modality, adapters beside the MLPs, stride 12x16"
    )


@pytest.mark.parametrize("key", ["transformer.resblocks.1.adapter_t.3.bias", "proj", "ln_pre.bias"])
def test_a_missing_or_misshapen_tensor_is_named(tmp_path, files, key):
    whole = files[BASE + key]
    shape = re.escape(str(tuple(whole[:-1].shape)))
    for broken, said in (
        ({k: v for k, v in files.items() if k != BASE + key}, rf"missing .*{key}"),
        (files | {BASE + key: whole[:-1]}, rf"{key} is {shape}, not"),
        (files | {BASE + key: whole / 0}, rf"{key} holds NaN or infinite"),
        (files | {BASE + key: whole.int()}, rf"{key} holds int32 values"),
    ):
        torch.save(broken, tmp_path / "host.pth")
        with pytest.raises(WeightsError, match=said):
            mv.load_host_model(yml(tmp_path), tmp_path / "host.pth", addon=None, device="cpu")
