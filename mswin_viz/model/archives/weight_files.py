"""Tensors by key from weight files and folders as people save them, read without running code from them."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors.torch import load_file

from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.data.storage.stored_records import read_json
from mswin_viz.errors import MswinVizError, OptionError, WeightsError, WeightsNotFoundError
from mswin_viz.model.archives.state_dicts import StateDict, WeightFile, unwrapped
from mswin_viz.model.archives.torch_files import FORMATS, first_words, read_archive, read_pickle

_OPEN_CLIP = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin",
)  # fmt: skip
_TRANSFORMERS = (
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
)  # fmt: skip
FOLDER_WEIGHTS = (*_OPEN_CLIP, *_TRANSFORMERS)
"""Names under which folders of open_clip and of Hugging Face hold weights, in the order they are looked for."""
SETTINGS = ("open_clip_config.json", "config.json", "preprocessor_config.json", "processor_config.json")
"""Files beside them that say how the model is built and what it is fed."""

_AGAIN = "download it again"
_BEGINNINGS = (
    (rb"version https://git-lfs", "is a pointer of Git LFS; fetch the file itself with git lfs pull"),
    (rb"\s*(<!doctype|<html|<\?xml|<head)", f"is a web page, perhaps an error or a login; {_AGAIN}"),
    (rb"\s*[{\[]", "is JSON; give the weights in the same folder"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!", "is a compressed archive; unpack it and give the file inside"),
    (rb"\x89HDF", "is an HDF5 file, as Keras writes them; convert it to PyTorch"),
    (rb"\x93NUMPY", "is a NumPy array; save tensors by key, torch.save(state_dict, path)"),
    (rb".{4}PTMF", "is a TorchScript module for mobile devices (.ptl); where it was made, save its weights with "
     "torch.save(module.state_dict(), path)"),
    (rb"\xff\xd8\xff|\x89PNG|GIF8|%PDF", "is a picture or document; check the path"),
)  # fmt: skip
"""How a file begins that holds no weights, and what it then is."""
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.\w+)", re.A)
_MOST_HEADER = 16 * 2**20  # bytes: more than 100,000 tensors
_COPY = "copy the folder again"
_JSON = {
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}
"""Of values that are no object: class of Python -> what JSON calls them."""
_MOST_SHOWN = 300  # characters of a path


def read_state_dict(path: str | Path) -> StateDict:
    """Tensors of a weight file, by key: of safetensors, ``torch.save`` or TorchScript, or of an open_clip or Hugging Face folder.

    A file's content decides its format, not its ending. Wrappers such as ``state_dict`` are opened and prefixes such as
    ``module.`` removed. Pickles are read with ``weights_only=True``: no code of the file runs.

    Parameters
    ----------
    path
        The file or folder.

    Returns
    -------
    state
        Key -> tensor, on the CPU, in the type that the file has.

    Raises
    ------
    WeightsNotFoundError
        If there is no such file, or the folder holds none of the known names.
    WeightsError
        If the file is damaged, of another kind, holds no tensors, or would need to run code to be read.
    OptionError
        If ``path`` is not a path.

    Examples
    --------
    >>> torch.save({"state_dict": {"module.fusion.weight": torch.ones(2, 3)}}, "run.pth")
    >>> {key: tuple(value.shape) for key, value in mv.read_state_dict("run.pth").items()}
    {'fusion.weight': (2, 3)}
    """
    return read_weights(path).state


def read_weights(path: str | Path) -> WeightFile:
    """Tensors of a weight file (safetensors, ``torch.save``, TorchScript), or of an open_clip or Hugging Face folder.

    A file's content decides its format, not its ending. Wrappers are opened and prefixes removed, as
    :func:`mswin_viz.model.archives.state_dicts.unwrapped` says. Pickles are read with ``weights_only=True``; beside
    tensors they may hold NumPy numbers and arrays.

    Raises
    ------
    WeightsNotFoundError
        If there is no such file, or the folder holds none of the known names.
    WeightsError
        If the file is damaged, of another kind, holds no tensors, or would need to run code to be read.
    OptionError
        If ``path`` is not a path.
    """
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"weights must be the path of a file or folder: got {path!r}")
    file, problem = file_at(path, _file_in)
    if problem:
        raise WeightsNotFoundError(
            f"weights must be an existing file: {short_text(str(path), _MOST_SHOWN)} {problem}; check the path"
        )
    _refuse_shard(file)
    read = unwrapped(_sharded(file) if file.name.endswith(".index.json") else _content(file), file)
    place, settings = Path(path).expanduser(), {}
    if place.is_dir() or file.name in FOLDER_WEIGHTS:
        settings = {name: _json(file.with_name(name)) for name in SETTINGS if file.with_name(name).is_file()}
    where = (f"read from {file.name}",) if place.is_dir() else ()
    return replace(read, path=place, settings=MappingProxyType(settings), notes=(*where, *read.notes))


def file_at(path: str | Path, of_folder: Callable[[Path], Path] | None = None) -> tuple[Path, str]:
    """The regular file of a path, or that in a folder, and why it cannot be read; empty where it can."""
    try:
        file = Path(path).expanduser()
        if of_folder is not None and file.is_dir():
            file = of_folder(file)
        if file.is_file():
            return file, ""
        if file.is_dir():
            return file, "is a folder"
        return file, "is not a regular file" if file.exists() else "does not exist"
    except MswinVizError:
        raise
    except (OSError, RuntimeError, ValueError) as problem:  # too long, no such user, a NUL
        return Path(), f"cannot be looked up ({getattr(problem, 'strerror', None) or problem})"


def _file_in(folder: Path) -> Path:
    for name in FOLDER_WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    held = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    raise WeightsNotFoundError(
        f"a folder of weights holds one of {', '.join(FOLDER_WEIGHTS)}: {folder} holds "
        f"{', '.join(held[:6]) or 'nothing'}; give the path of a file"
    )


def _refuse_shard(file: Path) -> None:
    """Refuse a single file of a checkpoint that was split into several."""
    parts = _SHARD.fullmatch(file.name)
    if parts is None or int(parts[3]) < 2:
        return
    index = f"{parts[1]}{parts[4]}.index.json"
    where = file.with_name(index) if file.with_name(index).is_file() else f"{index}, which belongs beside it"
    raise WeightsError(
        f"a checkpoint in several files is read as a whole: {shown_text(file)} is number {int(parts[2])} of "
        f"{int(parts[3])}; give the folder, or {shown_text(where)}"
    )


def _content(file: Path) -> Any:
    try:
        read, problem = _reader(file)
    except OSError as error:
        raise WeightsError(
            f"a weight file must be readable: {shown_text(file)} is not ({error.strerror})"
        ) from error
    if problem:
        raise WeightsError(f"{FORMATS}: {shown_text(file)} {problem}")
    try:
        return read(file)
    except WeightsError:
        raise
    except Exception as problem:  # a damaged file fails in any way: the readers have no error of their own
        raise WeightsError(
            f"a weight file must be whole: {shown_text(file)} cannot be read ({first_words(problem)}); copy it again"
        ) from problem


def _reader(file: Path) -> tuple[Callable[[Path], Any], str]:
    """The function that reads a file, whatever its ending, and what is wrong with a file that holds no weights."""
    with file.open("rb") as stream:
        start = stream.read(64)
    if not start:
        return read_pickle, f"is empty; {_AGAIN}"
    length = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and length <= file.stat().st_size:
        return load_file, f"has a header of {length:,} bytes; {_AGAIN}" if length > _MOST_HEADER else ""
    if kind := next((words for begin, words in _BEGINNINGS if re.match(begin, start, re.I | re.S)), None):
        return read_pickle, kind
    if start.startswith(b"PK"):
        return read_archive, ""
    if start.startswith(b"\x80"):
        return read_pickle, ""
    if tarfile.is_tarfile(file):
        return read_pickle, "is a tar archive; unpack it and give the file inside"
    return load_file if file.suffix.lower() == ".safetensors" else read_pickle, ""


def _sharded(index: Path) -> StateDict:
    """All tensors of the files that a Hugging Face index names."""
    places = _json(index).get("weight_map")
    if not isinstance(places, dict) or not places or any(not isinstance(n, str) for n in places.values()):
        raise WeightsError(
            f"an index of weights has a weight_map from key to file: {index} has none; copy it again"
        )
    names = sorted(set(places.values()))
    outside = [name for name in names if Path(name).name != name]
    unusable = outside or [name for name in names if file_at(index.parent / name)[1]]
    if unusable:
        named = ", ".join(short_text(name, 60) for name in unusable[:4])
        raise WeightsNotFoundError(
            f"the files of an index must lie in its folder: {index} names {named}, which "
            f"{'lies elsewhere' if outside else 'is not there'}; copy the whole folder"
        )
    tensors: StateDict = {}
    for name in names:
        held = _content(index.parent / name)
        if not isinstance(held, Mapping):
            raise WeightsError(
                f"the files of an index hold tensors by key: {shown_text(index.parent / name)} holds a "
                f"{type(held).__name__}; {_COPY}"
            )
        tensors |= {key: value for key, value in held.items() if places.get(key, name) == name}
    if missing := [key for key in places if key not in tensors]:
        raise WeightsError(
            f"the files of an index hold every key it names: {index.parent} lacks "
            f"{', '.join(short_text(key, 80) for key in missing[:4])}; {_COPY}"
        )
    return tensors


def _json(file: Path) -> Mapping[str, Any]:
    content = read_json(file, what="the file beside weights", remedy="copy it again", error=WeightsError)
    if not isinstance(content, dict):
        raise WeightsError(
            f"{file.name} beside weights must be a JSON object: {shown_text(file)} holds {_JSON[type(content)]}; copy it again"
        )
    return content
