"""Weight files and folders as people save them -> tensors by key, read without running code from them."""

from __future__ import annotations

import json
import os
import pickle
import re
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from mswin_viz.errors import OptionError, WeightsError, WeightsNotFoundError
from mswin_viz.model.state_dicts import StateDict, unwrapped

__all__ = ["FOLDER_WEIGHTS", "SETTINGS", "WeightFile", "first_words", "read_state_dict", "read_weights"]

_OPEN_CLIP = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
_TRANSFORMERS = (
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
)  # fmt: skip
FOLDER_WEIGHTS = (*_OPEN_CLIP, *_TRANSFORMERS)
"""Names under which folders of open_clip and of Hugging Face hold weights, in the order they are looked for."""
SETTINGS = ("open_clip_config.json", "config.json", "preprocessor_config.json", "processor_config.json")
"""Files beside them that say how the model is built and what it is fed."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_GLOBAL = re.compile(r"GLOBAL ([\w.<>]+)")
_FORMATS = "a weight file is a safetensors file, a torch.save file or a TorchScript archive"
_AGAIN = "download it again"
_BEGINNINGS = (
    (rb"version https://git-lfs", "is a pointer of Git LFS; fetch the file itself with git lfs pull"),
    (rb"\s*(<!doctype|<html|<\?xml|<head)", f"is a web page, perhaps an error or a login; {_AGAIN}"),
    (rb"\s*[{\[]", "is JSON; give the weights that lie beside it"),
    (
        rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!",
        "is a compressed archive; unpack it and give the file inside",
    ),
    (rb"\x89HDF", "is an HDF5 file, as Keras writes them; convert it to PyTorch"),
    (rb"\x93NUMPY", "is an array of NumPy; save tensors by key, torch.save(state_dict, path)"),
    (rb"\xff\xd8\xff|\x89PNG|GIF8|%PDF", "is a picture or document; check the path"),
)
"""What a file begins with that holds no weights, and what it then is."""
_REMEDY = "save its state_dict() alone, torch.save(model.state_dict(), path), and load that"


@dataclass(frozen=True, eq=False)
class WeightFile:
    """Tensors of a file or folder, and what stands beside them.

    Attributes
    ----------
    path
        The file, or the folder.
    state
        Tensors by key.
    settings
        Name of a settings file -> its content, of folders and of files with a standard name.
    notes, cautions
        As in :class:`mswin_viz.model.state_dicts.Unwrapped`.
    """

    path: Path
    state: StateDict
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


def read_state_dict(path: str | Path) -> StateDict:
    """Tensors of :func:`read_weights`, by key."""
    return read_weights(path).state


def read_weights(path: str | Path) -> WeightFile:
    """Tensors of a ``.safetensors``, ``torch.save`` or TorchScript file, or of a folder as open_clip and
    Hugging Face lay them out, sharded or whole.

    A file's content decides its format, not its ending. Wrappers are opened and prefixes taken off as
    :func:`mswin_viz.model.state_dicts.unwrapped` says. Pickles are read with ``weights_only=True``; beside tensors they
    may hold NumPy's numbers and arrays.

    Raises
    ------
    WeightsNotFoundError
        If there is no such file, or the folder holds none of the known names.
    WeightsError
        If the file is damaged, of another kind, holds no tensors, or would need to run code to be read.
    OptionError
        If it is no path.
    """
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"weights are the path of a file or folder: got {path!r}")
    given = Path(path).expanduser()
    file = _file_in(given) if given.is_dir() else given
    if not file.is_file():
        raise WeightsNotFoundError(f"weights must be an existing file: {file} does not exist; check the path")
    found = _sharded(file) if file.name.endswith(".index.json") else _content(file)
    taken = unwrapped(found, file)
    settings = _settings(file.parent) if given.is_dir() or file.name in FOLDER_WEIGHTS else {}
    where = (f"read from {file.name}",) if given.is_dir() else ()
    return WeightFile(given, taken.state, MappingProxyType(settings), (*where, *taken.notes), taken.cautions)


def first_words(problem: BaseException) -> str:
    """The first line of an error's message, without colour codes."""
    lines = [line.strip() for line in _COLOUR.sub("", str(problem)).splitlines() if line.strip()]
    return (lines or [type(problem).__name__])[0][:200]


def _file_in(folder: Path) -> Path:
    for name in FOLDER_WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    held = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    raise WeightsNotFoundError(
        f"a folder of weights holds one of {', '.join(FOLDER_WEIGHTS)}: {folder} holds "
        f"{', '.join(held[:6]) or 'nothing'}; give the path of a file"
    )


def _content(file: Path) -> Any:
    try:
        is_safetensors, problem = _kind(file)
    except OSError as error:
        raise WeightsError(f"a weight file must be readable: {file} is not ({error.strerror})") from error
    if problem:
        raise WeightsError(f"{_FORMATS}: {file} {problem}")
    try:
        return load_file(file) if is_safetensors else _read_torch(file)
    except pickle.UnpicklingError as problem:
        raise _refusal(file, problem) from problem
    except Exception as problem:  # a damaged file fails in any way: the readers have no error of their own
        raise WeightsError(
            f"a weight file must be whole: {file} cannot be read ({first_words(problem)}); copy it again"
        ) from problem


def _kind(file: Path) -> tuple[bool, str]:
    """Whether a file is a safetensors file, whatever its ending, and what it is where it holds no weights."""
    with file.open("rb") as stream:
        start = stream.read(64)
    if not start:
        return False, f"is empty; {_AGAIN}"
    length = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and length <= file.stat().st_size:
        return True, ""
    if found := next((words for begin, words in _BEGINNINGS if re.match(begin, start, re.I)), None):
        return False, found
    if start.startswith(b"PK"):
        return False, _foreign_archive(file)
    if start.startswith(b"\x80"):  # a pickle
        return False, ""
    if tarfile.is_tarfile(file):
        return False, "is a tar archive; unpack it and give the file inside"
    return file.suffix.lower() == ".safetensors", ""


def _foreign_archive(file: Path) -> str:
    """What a zip archive is that torch did not write; empty for torch's own."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return ""  # damaged: torch says how
    if any(name.rpartition("/")[2] in ("data.pkl", "constants.pkl") for name in names):
        return ""
    if names and all(name.endswith(".npy") for name in names):
        return "holds arrays of NumPy (.npz); save tensors by key, torch.save(state_dict, path)"
    return f"is a zip archive of {', '.join(names[:3]) or 'nothing'}; unpack it and give the file inside"


def _read_torch(file: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates TorchScript; OpenAI's archives are nothing else
        try:
            return torch.jit.load(file, map_location="cpu").state_dict()
        except RuntimeError:
            with _numpy_allowed(), file.open("rb") as stream:  # of a path torch believes the ending
                return torch.load(stream, map_location="cpu", weights_only=True)


def _numpy_allowed() -> AbstractContextManager:
    """Allow :func:`_numpy_globals` for a while, beside what the user allows anyway."""
    allowed = torch.serialization.get_safe_globals()
    return torch.serialization.safe_globals([each for each in _numpy_globals() if each not in allowed])


def _numpy_globals() -> list[Callable]:
    """What NumPy's numbers and arrays are made of, under the names that NumPy 1 and NumPy 2 write; no objects."""
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]
    makers = [
        _under_the_name(function, module, name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for function, name in ((scalar, "scalar"), (array, "_reconstruct"))
    ]
    kinds = [
        kind
        for name, kind in vars(np.dtypes).items()
        if name.endswith("DType") and name not in ("ObjectDType", "VoidDType")
    ]
    return [np.dtype, np.ndarray, bytes, *kinds, *makers]


def _under_the_name(function: Callable, module: str, name: str) -> Callable:
    def stand_in(*args: Any) -> Any:
        return function(*args)

    stand_in.__module__, stand_in.__name__, stand_in.__qualname__ = module, name, name
    return stand_in


def _refusal(file: Path, problem: pickle.UnpicklingError) -> WeightsError:
    """What an unpickling error means, with the name of what stands in the way."""
    text = _COLOUR.sub("", str(problem))
    if "global" not in text.lower() and "unsupported" not in text.lower():
        return WeightsError(f"{_FORMATS}: {file} has another format; check the path")
    needed = sorted({*_GLOBAL.findall(text), *_needed_globals(file)})
    others = f" and {len(needed) - 5} more" if len(needed) > 5 else ""
    more = f"needs {', '.join(needed[:5])}{others}" if needed else "needs more than tensors and numbers"
    return WeightsError(
        f"weight files are read without running code from them: {file} {more}; where it was written, {_REMEDY}"
    )


def _needed_globals(file: Path) -> list[str]:
    try:
        with _numpy_allowed():
            return torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except Exception:  # files of torch before 1.6 cannot be asked
        return []


def _sharded(index: Path) -> StateDict:
    """All tensors of the files that an index of Hugging Face names."""
    places = _json(index).get("weight_map")
    if (
        not isinstance(places, dict)
        or not places
        or not all(isinstance(name, str) for name in places.values())
    ):
        raise WeightsError(
            f"an index of weights has a weight_map, key to file: {index} has none; copy it again"
        )
    names = sorted(set(places.values()))
    outside = [name for name in names if Path(name).name != name]
    absent = [name for name in names if name not in outside and not (index.parent / name).is_file()]
    if outside or absent:
        raise WeightsNotFoundError(
            f"the files of an index lie beside it: {index} names {', '.join((outside or absent)[:4])}, which "
            f"{'lies elsewhere' if outside else 'is not there'}; copy the whole folder"
        )
    found: StateDict = {}
    for name in names:
        found |= _content(index.parent / name)
    if missing := [key for key in places if key not in found]:
        raise WeightsError(
            f"the files of an index hold every key it names: {index.parent} lacks {', '.join(missing[:4])}; copy "
            "the folder again"
        )
    return found


def _settings(folder: Path) -> dict[str, Mapping[str, Any]]:
    return {name: _json(folder / name) for name in SETTINGS if (folder / name).is_file()}


def _json(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as problem:
        raise WeightsError(
            f"{file.name} beside weights is JSON: {file} cannot be read ({first_words(problem)}); copy it again"
        ) from problem
    if not isinstance(content, dict):
        raise WeightsError(
            f"{file.name} beside weights is a JSON object: {file} is a {type(content).__name__}"
        )
    return content
