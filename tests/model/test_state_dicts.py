"""Wrappers are opened, prefixes removed, choices reported, and nothing is guessed between two models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mswin_viz.errors import WeightsError
from mswin_viz.model.archives.state_dicts import unwrapped

FILE = Path("run.pth")
BARE = {"visual.conv1.weight": torch.ones(2), "visual.proj": torch.zeros(1), "logit_scale": torch.ones(())}
AVERAGE = {key: value + 5 for key, value in BARE.items()}


def behind(prefix: str, state: dict = BARE) -> dict:
    return {prefix + key: value for key, value in state.items()}


WRAPPERS = {
    "nothing": lambda s: s,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3},
    "model": lambda s: {"model": s},
    "model_state_dict": lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {0: BARE}}},
    "net": lambda s: {"net": s, "acc": 90.5, "epoch": 4},
    "network": lambda s: {"network": s},
    "weights": lambda s: {"weights": s},
    "params": lambda s: {"params": s},
    "student": lambda s: {"student": s},
    "model.state_dict": lambda s: {"model": {"state_dict": s}},
    "state_dict.model": lambda s: {"state_dict": {"model": s}},
    "model.model.state_dict": lambda s: {"model": {"model": {"state_dict": s}, "step": 2}},
    "an unknown name": lambda s: {
        "clip_weights": s,
        "optimizer": {"state": {0: BARE}},
        "lr_scheduler": {"a": 1},
    },
}


@pytest.mark.parametrize("how", WRAPPERS)
def test_a_state_dict_is_found_in_every_wrapper(how):
    found = unwrapped(WRAPPERS[how](BARE), FILE)
    assert {key: value.sum() for key, value in found.state.items()} == {k: v.sum() for k, v in BARE.items()}
    assert not found.cautions
    if "." in how or how in ("net", "state_dict"):
        assert found.notes == (f"read from its entry {how}",)


@pytest.mark.parametrize(
    "prefix",
    [
        "module.", "_orig_mod.", "model.", "module.module.", "module._orig_mod.", "_orig_mod.module.",
        "model._orig_mod.", "module.model.", "_orig_mod._orig_mod.", "_fsdp_wrapped_module.", "clip.",
        "module.clip_model.", "net.backbone.",
    ],
)  # fmt: skip
def test_prefixes_come_off_as_often_as_they_stand_there_and_are_reported(prefix):
    found = unwrapped({"state_dict": behind(prefix)}, FILE)
    assert sorted(found.state) == sorted(BARE)
    assert " removed from 3 of 3 keys" in found.notes[-1]


@pytest.mark.parametrize(
    "key", ["visual._orig_mod.conv1.weight", "module.visual._fsdp_wrapped_module.conv1._orig_mod.weight"]
)
def test_names_of_wrapping_modules_come_off_inside_a_key(key):
    assert list(unwrapped({key: torch.ones(2)}, FILE).state) == ["visual.conv1.weight"]


def test_keys_without_the_models_prefix_stay_as_they_are():
    found = unwrapped(behind("model.") | {"loss_fn.centers": torch.ones(2)}, FILE)
    assert sorted(found.state) == sorted([*BARE, "loss_fn.centers"])
    assert found.notes == ("model. removed from 3 of 4 keys",)


@pytest.mark.parametrize(
    "pair", [("", "module."), ("module.", "model."), ("_orig_mod.", "module._orig_mod.")]
)
def test_a_key_with_and_without_a_prefix_is_refused(pair):
    with pytest.raises(WeightsError, match=r"not both: run\.pth has both of visual\.conv1\.weight"):
        unwrapped(behind(pair[0]) | behind(pair[1], AVERAGE), FILE)


def test_two_models_behind_prefixes_are_refused_by_name():
    with pytest.raises(WeightsError, match=r"has several, with keys student\.\*, teacher\.\*"):
        unwrapped(behind("student.") | behind("teacher."), FILE)


@pytest.mark.parametrize(
    ("plain", "average"),
    [("model", "model_ema"), ("state_dict", "state_dict_ema"), ("net", "ema"), ("student", "teacher")],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_the_plain_weights_are_taken_beside_their_average_with_a_caution(plain, average, is_first):
    entries = [(plain, BARE), (average, AVERAGE)]
    found = unwrapped(dict(entries if is_first else entries[::-1]), FILE)
    assert torch.equal(found.state["visual.conv1.weight"], torch.ones(2))
    (caution,) = found.cautions
    assert f"{plain} is read, not {average} (a moving average);" in caution


@pytest.mark.parametrize("name", ["state_dict_ema", "model_ema", "ema"])
def test_an_average_alone_is_read_with_a_caution(name):
    found = unwrapped({name: BARE, "epoch": 2}, FILE)
    assert sorted(found.state) == sorted(BARE)
    assert found.cautions == (f"the file's only weights are a moving average, {name}, which is read",)


def test_entries_of_unknown_names_are_not_guessed_between():
    with pytest.raises(
        WeightsError, match=r"has tensors in generator, discriminator, and nothing says which"
    ):
        unwrapped({"generator": BARE, "discriminator": AVERAGE}, FILE)


@pytest.mark.parametrize(
    "content", [{"optimizer": {"state": {0: BARE}}}, {"model": {}}, {"model": "ViT"}, {}]
)
def test_a_file_of_no_weights_says_what_it_holds(content):
    with pytest.raises(
        WeightsError, match=r"holds tensors by key: run\.pth has none \((optimizer|model|nothing)"
    ):
        unwrapped(content, FILE)


def test_the_state_of_an_optimizer_is_named():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])
    with pytest.raises(WeightsError, match=r"run\.pth holds the state of an optimizer"):
        unwrapped(optimizer.state_dict(), FILE)


@pytest.mark.parametrize("content", [torch.ones(2), [BARE], 3, None, "weights"])
def test_what_is_no_state_dict_is_named_by_its_kind(content):
    with pytest.raises(WeightsError, match=rf"run\.pth holds a {type(content).__name__}"):
        unwrapped(content, FILE)
