"""Checkpoints and configurations of DeMo and MDReID: their image branch, held against its equations in plain loops."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from support.host_equations import head, tower
from support.host_files import (
    BASE,
    DEMO_ON,
    DIM,
    MDREID_ON,
    N_CAMERAS,
    demo_state,
    demo_yml,
    mdreid_state,
    tower_state,
    yml,
)

import mswin_viz as mv
from mswin_viz.errors import OptionError, WeightsError
from mswin_viz.model.encoder.block_outputs import block_outputs, n_blocks, tokens_from, tokens_of_pixels
from mswin_viz.model.encoder.image_tags import conditions_of
from mswin_viz.model.host.tower import HostTower

BEHIND = "ignore:.*generalFusion.*NOT applied:UserWarning"
TWO = "ignore:.*the host joins two features:UserWarning"
MODALITIES = ("RGB", "NI", "TI")
NO_CAMERAS = "ignore:.*camera table; SIE_CAMERA is off in:UserWarning"
pytestmark = pytest.mark.filterwarnings(BEHIND, TWO, NO_CAMERAS)


@pytest.fixture(scope="module")
def demo() -> dict[str, torch.Tensor]:
    return demo_state(width=64, depth=2)


@pytest.fixture(scope="module")
def mdreid() -> dict[str, torch.Tensor]:
    return mdreid_state(width=64, depth=2)


@pytest.fixture
def people() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, 256, (256, 128, 3), dtype=np.uint8) for _ in range(3)]


@pytest.fixture
def load(tmp_path, saved):
    """A model from tensors and a configuration of DeMo or MDReID."""

    def loading(state: dict, more: str = DEMO_ON, *, addon: str | None = None, **changes) -> mv.Model:
        return mv.load_host_model(
            demo_yml(tmp_path, more, **changes), saved(state), addon=addon, device="cpu"
        )

    return loading


def assert_near(found: torch.Tensor, expected: np.ndarray) -> None:
    assert np.abs(found.double().numpy() - expected).max() < 2e-5 * np.abs(expected).max()


# ---- DeMo -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("sie", [False, True])
def test_the_feature_of_demo_is_the_head_of_its_modality(load, demo, people, modality, sie):
    model = load(demo, sie=sie, coe=3.0)
    tokens = model.encode(people[:1], camera=2 if sie else None, modality=modality)
    pixels = model.preprocess(people[0])[0].double().numpy()
    expected = tower(demo, pixels, camera=2 if sie else None, coe=3.0)
    assert_near(tokens.patches[0], expected[1:])
    assert_near(tokens.cls[0], head(demo, modality, expected[0], expected[1:]))


def test_without_its_heads_the_feature_is_the_class_token(load, demo, people):
    with pytest.warns(
        UserWarning, match=r"heads of the modalities, .*GLOBAL_LOCAL on .*off in the configuration"
    ):
        model = load(demo, DEMO_ON.replace("GLOBAL_LOCAL: True", "GLOBAL_LOCAL: False"))
    pixels = model.preprocess(people[0])[0].double().numpy()
    tokens = model.encode(people[:1], camera=1)
    assert_near(tokens.cls[0], tower(demo, pixels, camera=1)[0])
    assert conditions_of(model.tower, mv.ImageTag("NI", 2)) == (1, None)


def test_absent_prompts_and_adapters_are_off_in_demo(load, demo):
    model = load(demo)
    assert (model.tower.config.prompt, model.tower.config.adapter) == (False, False)
    assert "prompts" not in model.provenance_items["host parts"]
    assert (
        model.provenance_items["host parts"]
        == "camera embedding of 4 cameras, factor 1, a head for each modality"
    )
    assert "run.yml (DeMo)" in model.provenance_items["configuration"]
    assert "mean patch feature" in model.provenance_items["heads"]
    assert "neck" not in model.provenance_items


def test_adapters_of_demo_are_half_as_wide_as_the_tower(load, people):
    state = demo_state(width=64, depth=2, adapter=True)
    model = load(state, DEMO_ON + "  ADAPTER: True\n")
    pixels = model.preprocess(people[0])[0].double().numpy()
    expected = tower(state, pixels, camera=0, adapter=True)
    tokens = model.encode(people[:1], camera=0, modality="TI")
    assert_near(tokens.patches[0], expected[1:])
    assert_near(tokens.cls[0], head(state, "TI", expected[0], expected[1:]))


def test_what_fuses_the_modalities_is_left_out_by_name(load, demo, tmp_path, saved):
    with pytest.warns(
        UserWarning, match=r"HDM, the attention and ATM, the experts over the modalities.*NOT applied"
    ):
        model = mv.load_host_model(demo_yml(tmp_path), saved(demo), device="cpu")
    report = model.load_report
    assert sorted([*report.used, *report.unused]) == sorted(demo)
    expected = {
        "generalFusion.r_token": "HDM: attention over the modalities, not run here",
        "generalFusion.moe.gating_network.gate.q_.weight": "ATM: experts over the modalities, not run here",
        "classifier_moe.weight": "classifier of training identities",
        "bottleneck_moe.bias": "BatchNorm neck of the outer model: training only",
        "bottleneck.weight": "BatchNorm neck of the outer model: training only",
    }
    assert {key: report.unused[key] for key in expected} == expected
    assert {"rgb_reduce.0.weight", "tir_reduce.1.bias", "BACKBONE.cv_embed"} <= set(report.used)
    assert "without effect" not in model.provenance
    assert "left out: MODEL.HDM, MODEL.ATM, MODEL.HEAD" in model.provenance


def test_a_batch_of_several_modalities_is_the_images_one_by_one(load, demo, people):
    model = load(demo)
    together = model.encode(people, camera=[0, 1, 2], modality=MODALITIES)
    for i, modality in enumerate(MODALITIES):
        alone = model.encode([people[i]], camera=i, modality=modality)
        torch.testing.assert_close(together.cls[i], alone.cls[0], rtol=1e-4, atol=1e-5)


def test_heads_ask_for_the_modality_with_prompts_off(load, demo, people):
    model = load(demo, sie=False)
    assert conditions_of(model.tower, mv.ImageTag("TI", 3)) == (None, "TI")
    with pytest.raises(
        OptionError, match="modality= is one of RGB, NI, TI, since these weights have prompts or heads"
    ):
        model.encode(people[:1])
    tags = [mv.ImageTag("RGB", 1), mv.ImageTag("NI", 2), mv.ImageTag("TI")]
    assert torch.equal(model.encode(people, tags=tags).cls, model.encode(people, modality=MODALITIES).cls)


def test_the_gradient_reaches_the_pixels_through_the_head(load, demo, people):
    model = load(demo, sie=False)
    given = model.conditions(1, modality="NI")
    pixels = model.preprocess(people[0]).requires_grad_(True)
    tokens = tokens_of_pixels(model, pixels, *given)
    tokens.cls.sum().backward()
    assert float(pixels.grad.abs().max()) > 0
    state = block_outputs(model, model.preprocess(people[0]), *given)
    for block in range(n_blocks(model)):
        again = tokens_from(model, state[block + 1], block, *given)
        torch.testing.assert_close(again.cls, tokens.cls.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("feature", ["plain", "enhanced"])
def test_patch_tokens_at_the_output_are_refused_since_the_head_reads_them(load, demo, people, feature):
    bound = load(demo, addon="mean").bound(camera=0, modality="RGB")
    target = mv.Target.direction(np.random.default_rng(4).normal(size=DIM), feature=feature)
    for inputs in (people[:1], bound.encode(people[:1])):
        with pytest.raises(
            OptionError, match=r"depends on the patch tokens at the tower's output.*block=0\.\.1"
        ):
            mv.attribute(bound, inputs, target, method="gradient_x_input", level="tokens")


def test_behind_the_last_block_the_plain_feature_depends_on_the_patches(load, demo, people):
    bound = load(demo).bound(camera=0, modality="RGB")
    target = mv.Target.direction(np.random.default_rng(4).normal(size=DIM), feature="plain")
    found = mv.attribute(bound, people[:1], target, method="gradient_x_input", level="tokens", block=1)
    assert np.abs(found.values).max() > 0


@pytest.mark.parametrize("key", ["nir_reduce.1.weight", "tir_reduce.0.bias"])
def test_a_missing_or_misshapen_head_is_named(load, demo, key):
    with pytest.raises(
        WeightsError, match=rf"GLOBAL_LOCAL is on, so the file must hold a head.*missing {key}"
    ):
        load({name: value for name, value in demo.items() if name != key})
    with pytest.raises(WeightsError, match=rf"{key} is .*, not"):
        load(demo | {key: demo[key][:-1]})


def test_a_camera_table_of_any_other_shape_is_refused_with_both_that_are_read(load, demo):
    for table in (torch.zeros(4, 2, 64), torch.zeros(3), torch.zeros(0, 1, 64)):
        with pytest.raises(WeightsError, match=r"\[cameras, W\] or \[cameras, 1, W\]: .* has one of shape"):
            load(demo | {"BACKBONE.cv_embed": table})


# ---- MDReID -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("token", "row"), [("specific", 0), ("shared", 1)])
@pytest.mark.parametrize("sie", [False, True])
def test_both_tokens_of_mdreid_follow_the_equations(tmp_path, saved, mdreid, people, token, row, sie):
    config = dataclasses.replace(mv.read_config(demo_yml(tmp_path, MDREID_ON, sie=sie, coe=2.0)), token=token)
    model = mv.load_host_model(config, saved(mdreid), addon=None, device="cpu")
    pixels = model.preprocess(people[0])[0].double().numpy()
    expected = tower(mdreid, pixels, camera=3 if sie else None, coe=2.0)
    tokens = model.encode(people[:1], camera=3 if sie else None)
    assert tokens.grid == (16, 8)
    assert_near(tokens.cls[0], expected[row])
    assert_near(tokens.patches[0], expected[2:])


def test_the_token_that_is_not_taken_is_said(load, mdreid, people):
    with pytest.warns(
        UserWarning, match=r'this is the specific one; token="shared" of HostConfig gives the other'
    ):
        model = load(mdreid, MDREID_ON)
    assert "a second token for what the modalities share" in model.provenance
    assert model.load_report.unused["classifier_rs.weight"] == "classifier of training identities"
    assert model.load_report.unused["bottleneck_s.bias"] == "BatchNorm neck of the outer model: training only"
    assert f"{BASE}add_image_token" in model.load_report.used
    given = model.conditions(1, camera=0)
    state = block_outputs(model, model.preprocess(people[0]), *given)
    assert {tuple(x.shape) for x in state} == {(1, 1 + 128 + 1, 64)}


def test_a_second_token_of_two_axes_is_the_same_token(load, mdreid, people):
    key = f"{BASE}add_image_token"
    a, b = (
        load(state, MDREID_ON).encode(people[:1], camera=0)
        for state in (mdreid, mdreid | {key: mdreid[key][None]})
    )
    assert torch.equal(a.cls, b.cls)


def test_a_second_token_that_the_configuration_has_off_is_refused(load, mdreid):
    with pytest.raises(WeightsError, match=r"a second token.*ADD_SHARE on saves it: it is off in run\.yml"):
        load(mdreid, MDREID_ON.replace("ADD_SHARE: True", "ADD_SHARE: False"))
    with pytest.raises(WeightsError, match=r"missing BACKBONE\.base\.add_image_token"):
        load(demo_state(width=64, depth=2), MDREID_ON)


@pytest.mark.parametrize("token", ["specific", "shared"])
def test_attention_maps_of_two_tokens_have_one_value_for_each_patch(tmp_path, saved, mdreid, people, token):
    config = dataclasses.replace(mv.read_config(demo_yml(tmp_path, MDREID_ON)), token=token)
    model = mv.load_host_model(config, saved(mdreid), addon=None, device="cpu").bound(camera=0)
    target = mv.Target.direction(np.ones(DIM), feature="plain")
    for method in ("legrad", "attention_rollout"):
        found = mv.attribute(model, people[:1], target, method=method, level="tokens")
        assert found.values.shape == (1, 128)
        assert found.values.min() >= 0
        assert found.values.sum() > 0


@pytest.mark.parametrize("block", [0, 1])
def test_the_way_on_from_a_block_carries_the_second_token(load, mdreid, people, block):
    model = load(mdreid, MDREID_ON)
    given = model.conditions(1, camera=2)
    state = block_outputs(model, model.preprocess(people[0]), *given)
    again = tokens_from(model, state[block + 1], block, *given)
    expected = model.encode(people[:1], camera=2)
    torch.testing.assert_close(again.cls, expected.cls, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(again.patches, expected.patches, rtol=1e-4, atol=1e-5)


# ---- which code base a file is of -------------------------------------------------------------------


@pytest.mark.parametrize("parallel", ["", "module."])
def test_flags_that_leave_the_code_base_open_take_it_from_the_files_keys(saved, demo, people, load, parallel):
    state = {parallel + key: value for key, value in demo.items()}
    flags = mv.HostConfig(sie_coe=1.0, family="DeMo", global_local=True)
    expected = load(demo).encode(people, camera=0, modality="NI")
    model = mv.load_model(saved(state), config=flags, addon=None, device="cpu")
    assert torch.equal(model.encode(people, camera=0, modality="NI").cls, expected.cls)
    with pytest.warns(UserWarning, match="GLOBAL_LOCAL on saves them; it is off in the configuration"):
        bare = mv.load_model(saved(state), config=mv.HostConfig(sie_coe=1.0), addon=None, device="cpu")
    assert bare.tower.config.family == "DeMo"
    assert not bare.tower.config.prompt


def test_the_architecture_of_a_file_of_demo_is_in_its_keys(saved, demo):
    with pytest.raises(OptionError, match="of DeMo decide its architecture: got arch='ViT-B-16'"):
        mv.load_model(saved(demo), arch="ViT-B-16", device="cpu")


def test_where_neither_keys_nor_file_say_the_code_base_the_way_to_say_it_is_named(
    tmp_path, saved, demo, people
):
    bare = {key: value for key, value in demo.items() if key.startswith(BASE)}
    flags = {"sie_camera": False}
    with pytest.raises(
        WeightsError, match=r'PROMPT is not in it: on, as in MambaPro; give family="DeMo".*missing'
    ):
        mv.load_model(saved(bare), config=mv.HostConfig(**flags), device="cpu")
    model = mv.load_model(saved(bare), config=mv.HostConfig(**flags, family="DeMo"), addon=None, device="cpu")
    expected = tower(bare, model.preprocess(people[0])[0].double().numpy())
    assert_near(model.encode(people[:1]).cls[0], expected[0])


def test_a_configuration_of_another_code_base_is_refused(tmp_path, saved, demo):
    with pytest.raises(
        WeightsError, match=r"from one code base: MambaPro\.yml belongs to MambaPro, the keys of .* DeMo"
    ):
        mv.load_host_model(yml(tmp_path), saved(demo), device="cpu")
    whole = tower_state(width=64, depth=2)
    with pytest.raises(WeightsError, match=r"run\.yml belongs to DeMo, the keys of .* to MambaPro"):
        mv.load_host_model(demo_yml(tmp_path), saved(whole), device="cpu")


def test_without_a_configuration_the_keys_of_demo_say_what_was_on(saved, demo, people):
    with pytest.warns(UserWarning, match="camera embedding is NOT applied: its factor is in no checkpoint"):
        model = mv.load_model(saved(demo), addon=None, device="cpu")
    pixels = model.preprocess(people[0])[0].double().numpy()
    expected = tower(demo, pixels)
    assert_near(model.encode(people[:1], modality="RGB").cls[0], head(demo, "RGB", expected[0], expected[1:]))
    assert "NOT applied" in model.load_report.unused["BACKBONE.cv_embed"]


def test_without_a_configuration_the_second_token_of_mdreid_is_read(saved, mdreid, people):
    state = {key: value for key, value in mdreid.items() if key != "BACKBONE.cv_embed"}
    model = mv.load_model(saved(state), addon=None, device="cpu")
    assert isinstance(model.clip.visual, HostTower)
    expected = tower(state, model.preprocess(people[0])[0].double().numpy())
    assert_near(model.encode(people[:1]).cls[0], expected[0])


def test_a_neck_or_blanked_modalities_are_remarked_on(load, demo, tmp_path):
    path = demo_yml(tmp_path)
    path.write_text(path.read_text().replace("'before'", "'after'").replace('"nothing"', '"nt"'))
    torch.save(demo, tmp_path / "host.pth")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = mv.load_host_model(path, tmp_path / "host.pth", device="cpu")
    said = " ".join(str(warning.message) for warning in caught)
    assert "NECK_FEAT is after, but the published DeMo has no such neck" in said
    assert "TEST.MISS is set: the host then leaves out or blanks the images of some modalities" in said
    assert model.tower.readout.neck is None


@pytest.mark.parametrize("spoil", ["gone", "longer", "not finite", "whole numbers"])
def test_a_spoilt_tensor_that_is_used_is_refused_by_its_key(load, demo, mdreid, spoil):
    for state, more in ((demo, DEMO_ON), (mdreid, MDREID_ON)):
        for key in load(state, more).load_report.used[::9]:
            value = state[key]
            changed = {
                "longer": torch.cat([value, value[:1]]),
                "not finite": value / 0,
                "whole numbers": value.int(),
            }
            broken = {**state, key: changed.get(spoil, value)}
            if spoil == "gone":
                del broken[key]
            if key == "BACKBONE.cv_embed" and spoil == "longer":
                continue  # a camera more is a table too
            with pytest.raises(WeightsError, match=key.replace("BACKBONE.base.", "").replace(".", r"\.")):
                load(broken, more)


# ---- views in the camera table ----------------------------------------------------------------------


@pytest.mark.parametrize("axes", [2, 3])
def test_rows_of_views_are_no_cameras_and_not_in_the_mean(load, people, axes):
    state = demo_state(width=64, depth=2, n_cameras=24)
    if axes == 2:
        state["BACKBONE.cv_embed"] = state["BACKBONE.cv_embed"][:, 0]
    with pytest.warns(UserWarning, match="the first 8 of the 24 rows of the camera table are cameras"):
        model = load(state, DEMO_ON + "  SIE_VIEW: True\n", dataset="RGBNT100")
    assert "camera embedding of 8 cameras" in model.provenance
    with pytest.raises(OptionError, match=r"camera= is one of 0\.\.7"):
        model.encode(people[:1], camera=8, modality="RGB")
    pixels = model.preprocess(people[0])[0].double().numpy()
    mean = state | {"BACKBONE.cv_embed": state["BACKBONE.cv_embed"][:8].mean(dim=0, keepdim=True)}
    expected = tower(mean, pixels, camera=0)
    tokens = model.encode(people[:1], camera="mean", modality="RGB")
    assert_near(tokens.patches[0], expected[1:])


def test_where_the_cameras_cannot_be_told_that_is_said(tmp_path, saved):
    state = demo_state(width=64, depth=2, n_cameras=6)
    path = demo_yml(tmp_path, DEMO_ON + "  SIE_VIEW: True\n", dataset="OurStreet")
    with pytest.warns(UserWarning, match=r"6 rows, and nothing says which of them are cameras.*n_cameras="):
        model = mv.load_host_model(path, saved(state), device="cpu")
    assert model.clip.visual.parts.n_cameras == 6
    flags = mv.HostConfig(family="DeMo", global_local=True, sie_view=True, n_cameras=3)
    with pytest.warns(UserWarning, match="the first 3 of the 6 rows"):
        assert mv.load_model(saved(state), config=flags, device="cpu").clip.visual.parts.n_cameras == 3
    with pytest.raises(WeightsError, match=r"at most the rows of the camera table, 6 in .*: got 7"):
        mv.load_model(saved(state), config=dataclasses.replace(flags, n_cameras=7), device="cpu")


def test_a_table_of_views_with_one_view_has_no_other_rows(load, demo):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*rows of the camera table.*")
        model = load(demo, DEMO_ON + "  SIE_VIEW: True\n")
    assert model.clip.visual.parts.n_cameras == N_CAMERAS
