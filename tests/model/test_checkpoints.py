"""Weight files are read safely, add-ons are found in every form they come in, and nothing is half loaded."""

from __future__ import annotations

import os
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.refusals import said_by

from mswin_viz.errors import WeightsError, WeightsNotFoundError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor, CLIPMultiScaleSlidingWindow
from mswin_viz.model.archives.weight_files import read_state_dict
from mswin_viz.model.weights.addon_files import save_addon
from mswin_viz.model.weights.checkpoints import load_addon
from mswin_viz.model.weights.embedded_config import load_embedded, save_embedded

from .conftest import CONFIG

DIM, SCALES = 6, (2, 5)
HOST = "BACKBONE.clip_multi_scale_extractor."


@pytest.fixture
def addon() -> CLIPMultiScaleFeatureExtractor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        return CLIPMultiScaleFeatureExtractor(DIM, SCALES)


@pytest.fixture
def patches() -> torch.Tensor:
    return torch.randn(3, 10, DIM, generator=torch.Generator().manual_seed(12))


def assert_same(loaded: torch.nn.Module, original: torch.nn.Module, patches: torch.Tensor) -> None:
    assert not loaded.training
    assert loaded.scales == original.scales
    with torch.no_grad():
        assert torch.equal(loaded(patches), original(patches))


# ---- add-ons --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["addon.safetensors", "addon.pth", "new/folder/addon.pt"])
def test_an_add_on_is_read_back_as_it_was_written(tmp_path, addon, patches, name):
    save_addon(addon, tmp_path / name)
    assert_same(load_addon(tmp_path / name), addon, patches)


def test_scheme_two_is_read_back_as_it_was_written(tmp_path, patches):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(13)
        addon = CLIPWithProjectionMultiScale(DIM, 9, SCALES)
    save_addon(addon, tmp_path / "two.safetensors")
    loaded = load_addon(tmp_path / "two.safetensors")
    assert isinstance(loaded, CLIPWithProjectionMultiScale)
    assert_same(loaded, addon, patches)


def test_an_add_on_stored_in_half_precision_runs_in_single(tmp_path, addon, patches):
    save_addon(addon, tmp_path / "half.safetensors", dtype=torch.float16)
    assert all(value.dtype == torch.float16 for value in load_file(tmp_path / "half.safetensors").values())
    loaded = load_addon(tmp_path / "half.safetensors")
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())
    torch.testing.assert_close(loaded(patches), addon(patches), rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("prefix", ["", "multi_scale_window.", HOST + "multi_scale_window."])
@pytest.mark.parametrize("parallel", ["", "module."])
@pytest.mark.parametrize("last", [2, 3])
def test_scheme_one_is_found_under_every_prefix_and_last_linear(
    saved, host_state, addon, patches, prefix, parallel, last
):
    bare = addon.multi_scale_window.state_dict()
    state = {prefix + key.replace("fusion.2", f"fusion.{last}"): value for key, value in bare.items()}
    if prefix.startswith("BACKBONE."):
        state |= host_state
    loaded = load_addon(saved({parallel + key: value for key, value in state.items()}))
    assert isinstance(loaded, CLIPMultiScaleFeatureExtractor)
    assert_same(loaded, addon, patches)


def test_scales_are_read_in_slot_order(saved, patches):
    bare = CLIPMultiScaleSlidingWindow(DIM, (7, 2, 4))
    assert load_addon(saved(bare.state_dict())).scales == (7, 2, 4)


@pytest.mark.parametrize("key", ["sliding_windows.1.bias", "fusion.0.weight", "fusion.2.bias"])
def test_a_missing_tensor_is_named(saved, addon, key):
    state = addon.multi_scale_window.state_dict()
    del state[key]
    with pytest.raises(WeightsError, match=f"missing multi_scale_window.{key}"):
        load_addon(saved(state))


def test_a_skipped_slot_is_refused(saved, addon):
    state = addon.multi_scale_window.state_dict()
    state["sliding_windows.3.weight"] = state.pop("sliding_windows.1.weight")
    with pytest.raises(WeightsError, match=r"slots \[0, 3\]"):
        load_addon(saved(state))


@pytest.mark.parametrize("key", ["fusion.0.weight", "fusion.2.weight", "sliding_windows.0.bias"])
def test_a_wrong_shape_is_named_with_both_shapes(saved, addon, key):
    state = addon.multi_scale_window.state_dict()
    state[key] = state[key][:-1]
    with pytest.raises(WeightsError, match=rf"{key} is \({len(state[key])}"):
        load_addon(saved(state))


def test_kernels_that_are_not_square_in_the_width_are_refused(saved, addon):
    state = addon.multi_scale_window.state_dict()
    state["sliding_windows.0.weight"] = torch.zeros(DIM, DIM + 1, 2)
    with pytest.raises(WeightsError, match=r"\[D, D, scale\]"):
        load_addon(saved(state))


def expert(layer: int) -> str:
    return f"moe_fusion.experts.0.expert.{layer}.weight"


def mixture() -> dict[str, torch.Tensor]:
    return MixtureOfExpertsAddon(256, (2, 3), hidden_dim=512).state_dict()


WINDOWS = "multi_scale_window.sliding_windows."
CLAIMS = {
    "experts and gate have at most 64 layers": lambda: mixture()
    | {expert(n): torch.zeros(1, 1) for n in range(8, 5000)},
    "(4194304, 1), not (4194304, 256)": lambda: mixture() | {expert(0): torch.zeros(2**22, 1)},
    "(1, 4194304), not (6, 4194304)": lambda: CLIPWithProjectionMultiScale(4, 6, (2,)).state_dict()
    | {"projection.projection.0.weight": torch.zeros(1, 2**22)},
    "an add-on has at most 256 scales": lambda: {f"{WINDOWS}{n}.weight": torch.zeros(1, 1, 1) for n in range(300)},
    "unexpected multi_scale_window.sliding_windows.9": lambda: CLIPMultiScaleFeatureExtractor(4, (2,)).state_dict()
    | {f"{WINDOWS}{'9' * 5000}.weight": torch.zeros(4, 4, 2)},
}  # fmt: skip


@pytest.mark.parametrize("words", CLAIMS)
def test_an_add_on_that_claims_more_than_it_holds_is_refused_before_it_is_built(saved, words):
    path = saved(CLAIMS[words]())
    assert words in said_by(lambda: load_addon(path))


def test_loading_an_add_on_leaves_the_global_random_state_alone(saved, addon):
    path, before = saved(addon.state_dict()), torch.get_rng_state()
    load_addon(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_tensor_beside_the_add_on_is_named(saved, addon):
    state = addon.multi_scale_window.state_dict() | {"fusion.6.weight": torch.zeros(DIM, DIM)}
    with pytest.raises(WeightsError, match=r"unexpected multi_scale_window\.fusion\.6\.weight"):
        load_addon(saved(state))


def test_a_baseline_checkpoint_has_no_add_on_and_says_which_keys_it_lacks(saved, host_state):
    with pytest.raises(WeightsError, match=r"sliding_windows\.\* and fusion\.\*"):
        load_addon(saved(host_state))


# ---- state dicts ----------------------------------------------------------------------------


def test_a_torchscript_archive_is_read_like_a_state_dict(openai_file, clip):
    state = read_state_dict(openai_file)
    assert all(torch.equal(state[key], value) for key, value in clip.state_dict().items())


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}]
)
def test_wrapped_state_dicts_are_unwrapped(saved, wrap):
    state = read_state_dict(saved(wrap({"module.a": torch.ones(2), "module.b": torch.zeros(1)})))
    assert sorted(state) == ["a", "b"]


def test_safetensors_are_read(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    assert torch.equal(read_state_dict(tmp_path / "a.safetensors")["a"], torch.ones(2))


class Payload:
    """Unpickling this would run code."""

    def __reduce__(self):
        return print, ("this must never be printed",)


def test_a_pickle_that_runs_code_is_refused(saved, capsys):
    with pytest.raises(WeightsError, match="without running code"):
        read_state_dict(saved({"state_dict": Payload()}))
    assert capsys.readouterr().out == ""


def test_a_whole_pickled_module_is_refused_with_what_to_do(saved, addon):
    with pytest.raises(WeightsError, match=r"save its state_dict\(\) alone"):
        read_state_dict(saved(addon))


@pytest.mark.parametrize("name", ["notes.pt", "notes.safetensors"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, name):
    (tmp_path / name).write_text("no weights in here, only words\n")
    with pytest.raises(WeightsError, match="notes"):
        read_state_dict(tmp_path / name)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_truncated_file_is_refused(tmp_path, addon, name):
    save_addon(addon, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="must be whole"):
        read_state_dict(tmp_path / name)


@pytest.mark.parametrize("content", [torch.ones(3), {"epoch": 3}, {}, [1, 2]])
def test_a_file_without_tensors_by_key_is_refused(saved, content):
    with pytest.raises(WeightsError, match="a weight file holds"):
        read_state_dict(saved(content))


def test_a_plain_pickle_is_refused(tmp_path):
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(WeightsError, match=r"plain\.pkl"):
        read_state_dict(tmp_path / "plain.pkl")


@pytest.mark.parametrize("read", [read_state_dict, load_addon])
@pytest.mark.parametrize("path", ["x" * 300, "a/" * 3000, "a\0b", "~nobody-of-this-name/a.pth"])
def test_a_path_that_no_system_takes_is_refused(read, path):
    assert "weights must be an existing file" in said_by(lambda: read(path), error=WeightsNotFoundError)


def test_a_pipe_is_no_weight_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    said = said_by(lambda: read_state_dict(tmp_path / "pipe"), error=WeightsNotFoundError)
    assert "is not a regular file" in said


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(WeightsNotFoundError, match=r"nowhere\.pt"):
        read_state_dict(tmp_path / "nowhere.pt")


# ---- the embedded model ---------------------------------------------------------------------


def test_the_embedded_model_is_read_back_with_only_its_own_tokens(clip, tmp_path):
    tokens = [0, 320, 2533, 49406, 49407]
    save_embedded(clip, CONFIG, tokens, tmp_path)
    embedded = load_embedded(tmp_path)
    assert embedded.token_ids == frozenset(tokens)
    assert embedded.config["embed_dim"] == 24
    assert load_file(tmp_path / "clip.safetensors")["token_embedding.weight"].shape == (5, 64)
    state = embedded.clip.state_dict()
    for key, value in clip.state_dict().items():
        expected = value.half().float()
        if key == "token_embedding.weight":
            assert torch.equal(state[key][tokens], expected[tokens])
            assert state[key].abs().sum() == state[key][tokens].abs().sum()
        else:
            assert torch.equal(state[key], expected), key


def test_an_embedded_folder_without_weights_says_what_is_missing(tmp_path):
    with pytest.raises(WeightsNotFoundError, match=r"clip\.safetensors"):
        load_embedded(tmp_path)
