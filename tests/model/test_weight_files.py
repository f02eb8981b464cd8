"""Files with NumPy's numbers in them are read, those that need more are refused by the name of what they need."""

from __future__ import annotations

import argparse
import collections
import gzip
import io
import json
import pathlib
import re
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from support.refusals import said_by

from mswin_viz.errors import OptionError, WeightsError, WeightsNotFoundError
from mswin_viz.model.archives.weight_files import read_state_dict, read_weights

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


# ---- formats, whatever the ending ------------------------------------------------------------


def torch_file(**options) -> bytes:
    stream = io.BytesIO()
    torch.save(STATE, stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [save(STATE), torch_file(), torch_file(_use_new_zipfile_serialization=False)],
    ids=["safetensors", "zip", "pickle"],
)
@pytest.mark.parametrize("name", ["a.pth", "a.bin", "a.safetensors", "a.SAFETENSORS", "a.pth.tar", "a"])
def test_the_content_of_a_file_decides_its_format(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    found = read_state_dict(tmp_path / name)
    assert all(torch.equal(found[key], value) for key, value in STATE.items())


def archive(kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as packed:
            packed.writestr("readme.txt", "hello")
    elif kind == "tar":
        with tarfile.open(fileobj=stream, mode="w") as packed:
            content = torch_file()
            entry = tarfile.TarInfo("model.pt")
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    else:
        np.savez(stream, a=np.ones(2))
    return stream.getvalue()


OTHERS = {
    "is empty; download it again": b"",
    "is a web page": b"\n<!DOCTYPE html><html><title>404</title>",
    "is a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12\n",
    "is JSON; give the weights": b'{"error": "Repository not found"}',
    "is a compressed archive": gzip.compress(torch_file()),
    "is a zip archive of readme.txt; unpack it": archive("zip"),
    "is a tar archive; unpack it": archive("tar"),
    "holds NumPy arrays (.npz)": archive("npz"),
    "is an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "is a picture": b"\xff\xd8\xff\xe0" + bytes(100),
}


@pytest.mark.parametrize("words", OTHERS)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_file_of_another_kind_is_named_as_what_it_is(tmp_path, words, name):
    (tmp_path / name).write_bytes(OTHERS[words])
    with pytest.raises(WeightsError, match=re.escape(words)):
        read_weights(tmp_path / name)


def test_arrays_of_numpy_by_key_are_named(tmp_path):
    torch.save({key: value.numpy() for key, value in STATE.items()}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"holds NumPy arrays.*torch\.from_numpy"):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("path", [None, 3, True, {}])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(OptionError, match="weights must be the path of a file or folder"):
        read_weights(path)


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


@pytest.mark.parametrize("name", ["x" * 300, "a\nb", "a\0b", "\ud800", "..", ""])
def test_an_index_that_names_what_cannot_be_a_file_is_refused_in_one_line(tmp_path, name):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    said = said_by(lambda: read_weights(tmp_path), error=WeightsNotFoundError)
    assert "the files of an index must lie in its folder" in said


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


# ---- one of several files -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model-00001-of-00002.safetensors", "pytorch_model-00001-of-00002.bin"])
def test_one_shard_alone_is_named_with_the_index_to_give(tmp_path, name):
    torch.save(STATE, tmp_path / name) if name.endswith("bin") else save_file(STATE, tmp_path / name)
    index = name.replace("-00001-of-00002", "") + ".index.json"
    with pytest.raises(
        WeightsError, match=f"is number 1 of 2; give the folder, or {re.escape(index)}, which"
    ):
        read_weights(tmp_path / name)
    (tmp_path / index).write_text(json.dumps({"weight_map": dict.fromkeys(STATE, name)}))
    with pytest.raises(WeightsError, match=f"give the folder, or .*{re.escape(index)}"):
        read_weights(tmp_path / name)
    assert sorted(read_weights(tmp_path / index).state) == sorted(STATE)


@pytest.mark.parametrize(
    "name", ["model-00001-of-00001.safetensors", "epoch-3-of-10.safetensors", "a-1-of.bin"]
)
def test_a_whole_file_with_such_a_name_is_read(tmp_path, name):
    save_file(STATE, tmp_path / name)
    assert sorted(read_weights(tmp_path / name).state) == sorted(STATE)


def test_a_key_in_two_shards_is_read_from_the_one_that_the_index_names(tmp_path):
    sharded(tmp_path)
    save_file(
        {"visual.b": STATE["visual.b"], "visual.a": torch.zeros(2, 3)}, tmp_path / "model-2.safetensors"
    )
    assert torch.equal(read_weights(tmp_path).state["visual.a"], STATE["visual.a"])


def test_a_shard_without_tensors_by_key_is_refused(tmp_path):
    places = {"visual.a": "pytorch_model-1.bin"}
    torch.save([torch.ones(2, 3)], tmp_path / "pytorch_model-1.bin")
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    with pytest.raises(WeightsError, match=r"pytorch_model-1\.bin holds a list"):
        read_weights(tmp_path)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a": NaN}', " " * (9 * 2**20), "[1]", '"x"', ""])
@pytest.mark.parametrize("name", ["model.safetensors.index.json", "config.json"])
def test_json_beside_weights_that_is_damaged_or_too_large_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    if name == "config.json":
        save_file(STATE, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=re.escape(name)) as refusal:
        read_weights(tmp_path)
    assert len(str(refusal.value)) < 600
