"""Files with NumPy's numbers in them are read, those that need more are refused by the name of what they need."""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mswin_viz.errors import WeightsError, WeightsNotFoundError
from mswin_viz.model.weight_files import read_state_dict, read_weights

STATE = {"visual.a": torch.ones(2, 3), "visual.b": torch.zeros(1)}
NUMBERS = [
    np.float64(0.71), np.float32(0.5), np.float16(1), np.int64(7), np.int32(-1), np.uint8(3), np.bool_(True),
    np.str_("best"), np.complex128(1j), np.arange(3.0), np.array([[1, 2]], np.int32), np.zeros((0, 2), bool),
    np.datetime64("2024-05-01"),
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: f"{type(n).__name__}-{np.asarray(n).dtype}")
@pytest.mark.parametrize("is_zip", [True, False])
def test_numbers_and_arrays_of_numpy_beside_tensors_are_read(tmp_path, number, is_zip):
    content = {"epoch": 3, "best": number, "state_dict": STATE, "scaler": {"scale": number}}
    torch.save(content, tmp_path / "run.pt", _use_new_zipfile_serialization=is_zip)
    found = read_state_dict(tmp_path / "run.pt")
    assert all(torch.equal(found[key], value) for key, value in STATE.items())


@pytest.mark.parametrize("written", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_numpys_names_of_version_1_and_2_are_both_read(tmp_path, written):
    path = tmp_path / "run.pt"
    torch.save(
        {"best": np.float64(1), "last": np.ones(2), "model": STATE},
        path,
        _use_new_zipfile_serialization=False,
    )
    data = path.read_bytes()
    assert b"numpy._core.multiarray" in data or b"numpy.core.multiarray" in data
    path.write_bytes(re.sub(rb"numpy\._?core\.multiarray", written.encode(), data))
    assert sorted(read_state_dict(path)) == sorted(STATE)


def test_reading_leaves_what_torch_allows_as_it_was(tmp_path):
    before = set(torch.serialization.get_safe_globals())
    torch.save({"best": np.float64(1), "model": STATE}, tmp_path / "run.pt")
    read_state_dict(tmp_path / "run.pt")
    assert set(torch.serialization.get_safe_globals()) == before


def test_what_the_user_allows_stays_allowed(tmp_path):
    torch.save({"best": np.float64(1), "model": STATE}, tmp_path / "run.pt")
    with torch.serialization.safe_globals([np.dtype]):
        read_state_dict(tmp_path / "run.pt")
        assert np.dtype in torch.serialization.get_safe_globals()


class Config:
    """A class of whoever trained."""


NEEDED = {
    "argparse.Namespace": argparse.Namespace(lr=1e-3),
    "pathlib.PosixPath": pathlib.PosixPath("logs"),
    f"{__name__}.Config": Config(),
    "collections.deque": collections.deque([1]),
    "torch.nn.modules.linear.Linear": torch.nn.Linear(2, 3),
}


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("is_zip", [True, False])
def test_what_a_file_needs_beyond_tensors_is_named_with_what_to_do(tmp_path, name, is_zip):
    path = tmp_path / "run.pt"
    torch.save({"args": NEEDED[name], "state_dict": STATE}, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(WeightsError) as refusal:
        read_state_dict(path)
    said = str(refusal.value)
    assert f"needs {name}" in said or f", {name}" in said
    assert "torch.save(model.state_dict(), path)" in said
    assert "\x1b" not in said
    assert "\n" not in said


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.95])
def test_damage_is_said_in_one_line(tmp_path, cut):
    torch.save(STATE, tmp_path / "run.pt")
    whole = (tmp_path / "run.pt").read_bytes()
    (tmp_path / "run.pt").write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(WeightsError) as refusal:
        read_state_dict(tmp_path / "run.pt")
    assert "\n" not in str(refusal.value)
    assert "\x1b" not in str(refusal.value)


# ---- folders --------------------------------------------------------------------------------


def sharded(folder, names=("model-1.safetensors", "model-2.safetensors")):
    places = dict(zip(STATE, names, strict=True))
    for key, name in places.items():
        save_file({key: STATE[key]}, folder / name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def test_shards_are_put_together_from_the_folder_or_its_index(tmp_path):
    sharded(tmp_path)
    for path in (tmp_path, tmp_path / "model.safetensors.index.json"):
        assert sorted(read_weights(path).state) == sorted(STATE)
    assert read_weights(tmp_path).notes == ("read from model.safetensors.index.json",)


def test_a_missing_shard_is_named(tmp_path):
    sharded(tmp_path)
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(WeightsNotFoundError, match=r"names model-2\.safetensors, which is not there"):
        read_weights(tmp_path)


def test_a_shard_outside_the_folder_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    save_file(STATE, tmp_path / "secret.safetensors")
    index = {"weight_map": dict.fromkeys(STATE, "../secret.safetensors")}
    (tmp_path / "in" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsNotFoundError, match="lies elsewhere"):
        read_weights(tmp_path / "in")


def test_a_key_that_no_shard_holds_is_named(tmp_path):
    sharded(tmp_path)
    save_file({"other": torch.ones(1)}, tmp_path / "model-2.safetensors")
    with pytest.raises(WeightsError, match=r"lacks visual\.b"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    "index", ["[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 3}}', "{", "\u00e9"]
)
def test_a_broken_index_is_refused(tmp_path, index):
    (tmp_path / "model.safetensors.index.json").write_text(index, encoding="latin-1")
    with pytest.raises(WeightsError, match=r"model\.safetensors\.index\.json"):
        read_weights(tmp_path)


def test_a_folder_without_weights_says_what_it_holds(tmp_path):
    (tmp_path / "epoch_3.pth").write_bytes(b"")
    with pytest.raises(WeightsNotFoundError, match=r"holds one of open_clip_model.*holds epoch_3\.pth"):
        read_weights(tmp_path)
