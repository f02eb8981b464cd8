"""Damaged, mutilated and strange files: an error of ours or a report of every key, never a crash, never silence."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.host_files import MIXTURE_ON, mixture_state, other_heads, tower_state, window_state, yml

import mswin_viz as mv
from mswin_viz.errors import MswinVizError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
SIZES = {"width": 64, "depth": 1, "dim": 8}


@pytest.fixture(scope="module")
def whole() -> dict[str, torch.Tensor]:
    scales = (2, 4)
    return (
        tower_state(**SIZES) | other_heads(8) | window_state(8, scales) | mixture_state(8, scales, hidden=5)
    )


def ways_to_load(path: Path, folder: Path) -> list:
    """Everything that reads weights, each as a function."""
    return [
        lambda: mv.load_model(path, device="cpu"),
        lambda: mv.load_host_model(yml(folder, more=MIXTURE_ON), path, device="cpu"),
        lambda: mv.load_host_model(yml(folder, more=MIXTURE_ON, neck="after", sie=False), path, device="cpu"),
        lambda: mv.load_addon(path),
    ]


def outcome(load) -> object | None:
    """What was loaded; None where it was refused by one of ours. Anything else that is raised fails the test."""
    try:
        return load()
    except MswinVizError as refusal:
        return None if len(str(refusal)) > 30 else pytest.fail(f"{refusal!r} does not say what is wrong")


@pytest.mark.parametrize("name", ["whole.pth", "whole.safetensors"])
def test_a_file_cut_anywhere_is_refused(tmp_path, whole, name):
    path, rng = tmp_path / name, random.Random(1)
    save_file(whole, path) if path.suffix == ".safetensors" else torch.save(whole, path)
    data = path.read_bytes()
    cuts = [0, 1, 7, 8, 100, len(data) - 1, *(rng.randrange(len(data)) for _ in range(6))]
    for cut in cuts:
        path.write_bytes(data[:cut])
        for load in ways_to_load(path, tmp_path):
            assert outcome(load) is None, f"{name} cut at {cut}"


@pytest.mark.parametrize("name", ["whole.pth", "whole.safetensors"])
def test_a_file_with_wrong_bytes_crashes_nothing(tmp_path, whole, name):
    path, rng = tmp_path / name, random.Random(2)
    save_file(whole, path) if path.suffix == ".safetensors" else torch.save(whole, path)
    data = path.read_bytes()
    for trial in range(20):
        broken = bytearray(data)
        near = min(len(data), 4000) if trial % 2 else len(data)  # the headers are at the beginning
        for _ in range(rng.choice((1, 8, 200))):
            broken[rng.randrange(near)] = rng.randrange(256)
        path.write_bytes(bytes(broken))
        outcome(ways_to_load(path, tmp_path)[trial % 4])


@pytest.mark.parametrize("kind", range(6))
def test_noise_is_refused(tmp_path, kind):
    rng = random.Random(kind)
    heads = (
        b"",
        b"PK\x03\x04",
        b"\x80\x02}q\x00",
        b"\x80\x04\x95",
        b"\x10\x00\x00\x00\x00\x00\x00\x00{",
        b"{}",
    )
    for suffix in (".pth", ".safetensors"):
        path = tmp_path / f"noise{suffix}"
        path.write_bytes(heads[kind] + rng.randbytes(500))
        for load in ways_to_load(path, tmp_path):
            assert outcome(load) is None


def mutations(rng: random.Random):
    """Ways to spoil one tensor: name and function; each must be noticed."""
    return {
        "longer": lambda t: torch.cat([t, t[:1]]),
        "flatter": lambda t: t.flatten() if t.ndim > 1 else t[None],
        "a number": lambda t: torch.tensor(1.0),
        "empty": lambda t: t[:0],
        "whole numbers": lambda t: t.int(),
        "complex": lambda t: t.to(torch.complex64),
        "not finite": lambda t: t / 0,
        "sparse": lambda t: t.to_sparse(),
        "another thing": lambda t: [1, 2, rng.random()],
        "gone": lambda t: None,
    }


@pytest.mark.parametrize("how", mutations(random.Random(0)))
def test_a_spoilt_tensor_is_refused_or_was_not_to_be_used(tmp_path, whole, how):
    rng, path = random.Random(how), tmp_path / "spoilt.pth"
    spoil = mutations(rng)[how]
    used = {  # key -> which ways of loading read it
        key: [at for at, load in enumerate(_models(tmp_path, whole)) if key in load] for key in whole
    }
    for key in rng.sample(sorted(whole), 6):
        if not whole[key].ndim:
            continue
        state = dict(whole)
        state[key] = spoil(state[key])
        torch.save({k: v for k, v in state.items() if v is not None}, path)
        for at, load in enumerate(ways_to_load(path, tmp_path)[1:3]):
            model = outcome(load)
            assert model is None or at not in used[key], f"{key} {how} passed in silence"
            if model is not None:
                report = model.load_report
                tensors = [k for k, v in state.items() if isinstance(v, torch.Tensor)]
                assert sorted([*report.used, *report.unused]) == sorted(tensors)


_KEPT: dict[int, list[set[str]]] = {}


def _models(folder: Path, whole: dict) -> list[set[str]]:
    """Keys that each way of loading the whole file uses."""
    if id(whole) not in _KEPT:
        path = folder / "good.pth"
        torch.save(whole, path)
        _KEPT[id(whole)] = [set(outcome(load).load_report.used) for load in ways_to_load(path, folder)[1:3]]
    return _KEPT[id(whole)]


def test_keys_beyond_those_known_are_refused_or_reported(tmp_path, whole):
    rng, path = random.Random(5), tmp_path / "more.pth"
    for trial in range(12):
        prefix = rng.choice(
            ["BACKBONE.base.", "BACKBONE.", "", "AAM.", "BACKBONE.clip_multi_scale_moe.", "visual."]
        )
        extra = f"{prefix}{''.join(rng.choices('abc.01', k=7))}"
        torch.save(whole | {extra: torch.zeros(trial % 3, 2)}, path)
        for load in ways_to_load(path, tmp_path)[1:3]:
            model = outcome(load)
            assert model is None or model.load_report.unused[extra]


@pytest.mark.parametrize("seed", range(30))
def test_a_mangled_configuration_is_refused_or_accounted_for(tmp_path, seed):
    rng, path = random.Random(seed), yml(tmp_path, more=MIXTURE_ON)
    text = path.read_text()
    for _ in range(rng.choice((1, 2, 6))):
        at = rng.randrange(len(text))
        piece = rng.choice(
            ["", "[", "}", ": ", "\n", "\t", "- ", "&a ", "*a", "!!int ", "'", "1e999", "é", "0x", "~", "? "]
        )
        text = text[:at] + piece + text[at + rng.randrange(4) :]
    path.write_text(text, encoding="utf-8")
    config = outcome(lambda: mv.read_config(path))
    assert config is None or isinstance(config, mv.HostConfig)


@pytest.mark.parametrize("seed", range(10))
def test_a_configuration_of_noise_is_refused(tmp_path, seed):
    path = tmp_path / "noise.yml"
    path.write_bytes(random.Random(seed).randbytes(200))
    assert outcome(lambda: mv.read_config(path)) is None


@pytest.mark.parametrize("seed", range(12))
def test_spoilt_image_towers_are_refused_and_spoilt_text_sides_left_out(tmp_path, clip, seed):
    rng, path = random.Random(seed), tmp_path / "clip.pth"
    state = {key: value for key, value in clip.state_dict().items() if key != "attn_mask"}
    key = rng.choice(sorted(key for key in state if state[key].ndim))
    how = rng.choice(sorted(set(mutations(rng)) - {"another thing"}))
    state[key] = mutations(rng)[how](state[key])
    torch.save({k: v for k, v in state.items() if v is not None}, path)
    model = outcome(lambda: mv.load_model(path, device="cpu"))
    if key.startswith("visual."):
        assert model is None, f"{key} {how}"
    else:
        assert model is not None, f"{key} {how}"
        assert not model.tower.has_text
        assert key in model.load_report.unused or key in model.load_report.missing
