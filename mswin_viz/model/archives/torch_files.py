"""Files of ``torch.save`` and ``torch.jit.save``, read without running their code or reserving too much memory."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.errors import WeightsError
from mswin_viz.model.archives.pickle_tree import MOST_BYTES, PickleAbuseError, PickleTree, pickle_tree
from mswin_viz.model.archives.stored_tensors import check_claims
from mswin_viz.model.archives.torchscript import is_torchscript, torchscript_state
from mswin_viz.model.archives.zip_members import Members, opened_members

FORMATS = "a weight file is a safetensors file, a torch.save file or a TorchScript archive"
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_GLOBAL = re.compile(r"GLOBAL ([\w.<>]+)")
_REMEDY = "save its state_dict() alone, torch.save(model.state_dict(), path), and load that"
_PICKLE = "data.pkl"
_MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle in a file that ``torch.save`` wrote without a zip archive."""
_LEADING_PICKLES = 5  # of torch before 1.6: number, version, system, content, keys
_EXPORTED = ("archive_format", "serialized_exported_program.json")
_PACKAGED = (".data/extern_modules", ".data/python_version")


def first_words(problem: BaseException) -> str:
    """The first line of an error's message, without colour codes."""
    lines = [line.strip() for line in _COLOUR.sub("", str(problem)).splitlines() if line.strip()]
    return (lines or [type(problem).__name__])[0][:200]


def read_archive(file: Path) -> Any:
    """What a zip archive of ``torch.save`` holds, or the state dict of a TorchScript archive."""
    with opened_members(file) as members:
        if is_torchscript(members):
            return torchscript_state(members)
        if _PICKLE not in members.sizes:
            raise WeightsError(f"{FORMATS}: {shown_text(file)} {_foreign(members)}")
        _check(file, members.content(_PICKLE, most=MOST_BYTES), sum(members.sizes.values()))
        for name in members.sizes:  # torch does not compare checksums
            members.check(name)
    return _loaded(file)


def read_pickle(file: Path) -> Any:
    """What a ``torch.save`` file holds that is a plain pickle, as torch wrote them before 1.6."""
    with file.open("rb") as stream:
        data = stream.read(MOST_BYTES)
    if _check(file, data, 0).value != _MAGIC:
        raise WeightsError(
            f"{FORMATS}: {shown_text(file)} is a pickle that torch.save did not write; where it was made, {_REMEDY}"
        )
    for _ in range(_LEADING_PICKLES):
        data = data[_check(file, data, file.stat().st_size).end :]
    return _loaded(file)


def _check(file: Path, data: bytes, n_bytes: int) -> PickleTree:
    """The tree of a pickle that claims no more than ``n_bytes``."""
    try:
        tree = pickle_tree(data)
        check_claims(tree, n_bytes)
    except PickleAbuseError as problem:
        raise WeightsError(
            f"a weight file holds tensors and little else: {shown_text(file)} cannot be read: {problem}; copy it again, "
            f"or where it was written, {_REMEDY}"
        ) from problem
    return tree


def _loaded(file: Path) -> Any:
    try:
        with warnings.catch_warnings(), _numpy_allowed(), file.open("rb") as stream:
            warnings.simplefilter("ignore")
            return torch.load(stream, map_location="cpu", weights_only=True)  # it believes a path's ending
    except pickle.UnpicklingError as problem:
        raise _refusal(file, problem) from problem


def _foreign(members: Members) -> str:
    """What a zip archive is that holds no pickle of torch."""
    names = list(members.sizes)
    if any(name in members.sizes for name in _EXPORTED):
        return (
            "is an exported program (torch.export, .pt2); where it was made, save its weights with "
            "torch.save(exported.state_dict, path), and load that"
        )
    if any(name in members.sizes for name in _PACKAGED):
        return f"is a package of code (torch.package); where it was made, {_REMEDY}"
    if names and all(name.endswith(".npy") for name in names):
        return "holds NumPy arrays (.npz); save tensors by key, torch.save(state_dict, path)"
    shown = ", ".join(short_text(name, 60) for name in names[:3]) or "nothing"
    return f"is a zip archive of {shown}; unpack it and give the file inside"


def _numpy_allowed() -> AbstractContextManager:
    """Allow :func:`_numpy_globals` inside a ``with`` block, beside what the user allows anyway."""
    allowed = torch.serialization.get_safe_globals()
    return torch.serialization.safe_globals([each for each in _numpy_globals() if each not in allowed])


def _numpy_globals() -> list[Callable]:
    """What NumPy's numbers and arrays are made of, under the names that NumPy 1 and NumPy 2 write; no objects."""
    functions = {"scalar": np.float64(0).__reduce__()[0], "_reconstruct": np.zeros(0).__reduce__()[0]}
    makers = [
        _under_the_name(function, module, name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name, function in functions.items()
    ]
    kinds = [
        kind
        for name, kind in vars(np.dtypes).items()
        if name.endswith("DType") and name not in ("ObjectDType", "VoidDType")
    ]
    return [np.dtype, np.ndarray, bytes, *kinds, *makers]


def _under_the_name(function: Any, module: str, name: str) -> Callable:
    def stand_in(*args: Any) -> Any:
        return function(*args)

    stand_in.__module__, stand_in.__name__, stand_in.__qualname__ = module, name, name
    return stand_in


def _refusal(file: Path, problem: pickle.UnpicklingError) -> WeightsError:
    """What an unpickling error means, with the name of what stands in the way."""
    text = _COLOUR.sub("", str(problem))
    if "global" not in text.lower() and "unsupported" not in text.lower():
        return WeightsError(f"{FORMATS}: {shown_text(file)} has another format; check the path")
    needed = sorted({*_GLOBAL.findall(text), *_needed_globals(file)})
    others = f" and {len(needed) - 5} more" if len(needed) > 5 else ""
    more = f"needs {', '.join(needed[:5])}{others}" if needed else "needs more than tensors and numbers"
    return WeightsError(
        f"weight files are read without running code from them: {shown_text(file)} {more}; where it was written, {_REMEDY}"
    )


def _needed_globals(file: Path) -> list[str]:
    try:
        with _numpy_allowed():
            return torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except Exception:  # files of torch before 1.6 cannot be asked
        return []
