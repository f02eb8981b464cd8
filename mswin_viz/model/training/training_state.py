"""The file that a training resumes from: read without running code, and checked whole before any of it is used."""

from __future__ import annotations

import hashlib
import io
import pickle
import stat
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
from pydantic import AfterValidator

from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.stored_records import StoredRecord, checked
from mswin_viz.errors import OptionError, WeightsError

REMEDY = "delete it to start again, or choose another file"
_SLACK, _FEW = 2**19, 2**16  # bytes and numbers that a state may have beside its tensors and the losses
_MOST_DEEP = 16  # dictionaries and lists in one another
_MOMENTS = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of a parameter, beside its step
_SETTINGS = ("betas", "eps", "weight_decay", "amsgrad", "maximize")  # of AdamW, besides its learning rate


def _plain(value: torch.Tensor) -> torch.Tensor:
    is_plain = not (value.is_nested or value.is_quantized) and value.layout == torch.strided
    if not is_plain or value.device.type != "cpu" or value.nbytes > value.untyped_storage().nbytes():
        raise ValueError("must be a plain tensor")
    return value


PlainTensor = Annotated[torch.Tensor, AfterValidator(_plain)]
"""One with all its numbers in memory: neither sparse, nested, quantised, repeated by strides, nor of the meta device."""


class StoredOptimiser(StoredRecord):
    """What AdamW hands out as its state: moments by a parameter's number, and settings of groups of parameters."""

    state: dict[int, dict[str, PlainTensor]]
    param_groups: list[dict[str, bool | float | str | list[int] | tuple[float, float] | None]]


class TrainingState(StoredRecord, extra="forbid"):
    """What every such file holds; the digest is of everything else in it."""

    optimiser: StoredOptimiser
    digest: str


_State = TypeVar("_State", bound=TrainingState)


def only_training(path: Path) -> AbstractContextManager[None]:
    """Hold a lock, so that no other training uses the state file; OutputError if another one does."""
    busy = f"a training state belongs to one training at a time: another program is training with {path}; wait until it ends, or choose another file"
    return locked(path, busy=busy)


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state with a digest of its content; the old file stays until the new one is whole."""
    buffer = io.BytesIO()
    torch.save({**state, "digest": content_digest(state)}, buffer)
    write_bytes(path, buffer.getbuffer())


def read_state(path: Path, kind: type[_State], *, most_bytes: int, most_numbers: int) -> _State:
    """A state of :func:`write_state`; WeightsError if the file is another, or is too large or damaged.

    Its tensors may have ``most_bytes`` together, and beside them it may hold ``most_numbers`` losses and their names.
    """
    loaded = _loaded(path, most_bytes, _SLACK + 16 * most_numbers)
    if not isinstance(loaded, dict) or _is_endless(loaded, _FEW + most_numbers):
        raise refusal(path, "it is not a dictionary of tensors and numbers")
    state = checked(kind, loaded, what=named_state(path), remedy=REMEDY, error=WeightsError)
    written = {name: value for name, value in loaded.items() if name != "digest"}
    if state.digest != content_digest(written):
        raise refusal(path, "its content is not what was written")
    return state


def check_tensors(
    path: Path, stored: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], name: str
) -> None:
    """WeightsError for the first key, shape or dtype that the module to take them has not, or value that is not finite."""
    if strange := sorted(set(stored) ^ set(wanted)):
        what = "lacks" if strange[0] in wanted else "has an unexpected"
        raise refusal(path, f"{name} {what} {short_text(strange[0], 80)}")
    for key, value in stored.items():
        if (value.shape, value.dtype) != (wanted[key].shape, wanted[key].dtype):
            raise refusal(path, f"{name}.{key} is {_kind(value)} in place of {_kind(wanted[key])}")
        if not torch.isfinite(value).all():
            raise refusal(path, f"{name}.{key} holds NaN or infinity")


def check_optimiser(
    path: Path, stored: StoredOptimiser, optimiser: torch.optim.Optimizer, *, steps: int
) -> None:
    """WeightsError if a stored AdamW, after so many steps, does not fit the one that resumes, learning rates aside."""
    groups = optimiser.state_dict()["param_groups"]
    if len(groups) != len(stored.param_groups) or not all(
        theirs.get("params") == ours["params"]
        and all(theirs.get(key, value) == value for key, value in ours.items() if key in _SETTINGS)
        for ours, theirs in zip(groups, stored.param_groups, strict=True)
    ):
        raise refusal(path, "optimiser.param_groups is of another optimiser")
    parameters: list[torch.Tensor] = [each for group in optimiser.param_groups for each in group["params"]]
    for number, kept in stored.state.items():
        name = f"optimiser.state.{number}"
        if not 0 <= number < len(parameters):
            raise refusal(path, f"{name} belongs to no parameter: there are {len(parameters)}")
        like = dict.fromkeys(_MOMENTS, parameters[number]) | {"step": torch.tensor(0.0)}
        check_tensors(path, kept, like, name)
        step = float(kept["step"])
        if not 1 <= step <= steps or step != int(step) or (kept["exp_avg_sq"] < 0).any():
            raise refusal(path, f"{name} is not at step {steps}")


def resume_optimiser(optimiser: torch.optim.Optimizer, stored: StoredOptimiser) -> None:
    """Take over the moments; the settings stay."""
    optimiser.load_state_dict({"state": stored.state, "param_groups": optimiser.state_dict()["param_groups"]})


def check_finite(state: Mapping[str, Any], *, step: int) -> None:
    """OptionError for tensors of a diverged training: they must not replace a good state, nor can training resume from them."""
    for name, value in _named_tensors(state, ""):
        if not torch.isfinite(value).all():
            raise OptionError(
                f"a training needs finite numbers: {name} holds NaN or infinity after step {step}; lower the learning rate, "
                "or look for values in the tokens that are not finite"
            )


def _named_tensors(value: Any, name: str) -> Iterable[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _named_tensors(inner, f"{name}.{key}" if name else str(key))


def n_bytes(*modules: torch.nn.Module) -> int:
    """Bytes of everything in the state dicts of modules."""
    return sum(value.nbytes for module in modules for value in module.state_dict().values())


def content_digest(value: Any) -> str:
    """A hash of tensors, numbers and text in dictionaries and lists, with their types."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in _parts(value):
        hasher.update(part)
    return hasher.hexdigest()


def _parts(value: Any) -> Iterable[bytes | memoryview]:
    if isinstance(value, dict):
        yield f"dictionary of {len(value)}\n".encode()
        for key, inner in value.items():
            yield from _parts(key)
            yield from _parts(inner)
    elif isinstance(value, list | tuple):
        yield f"{type(value).__name__} of {len(value)}\n".encode()
        for inner in value:
            yield from _parts(inner)
    elif isinstance(value, torch.Tensor):
        yield f"{_kind(value)}\n".encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    else:  # whole numbers may be of any length
        text = f"{value:#x}" if type(value) is int else repr(value)
        yield f"{type(value).__name__} {text}\n".encode(errors="backslashreplace")


def _loaded(path: Path, most_bytes: int, most_beside: int) -> Any:
    """What :func:`torch.load` makes of the file, if that can be read at all, and is no larger than it may be."""
    try:
        content = _content(path, most_bytes + 2 * most_beside)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
        if any(each.compress_type for each in entries) or sum(e.file_size for e in entries) > len(content):
            raise refusal(path, "torch.save writes no compressed archive")
        if sum(e.file_size for e in entries if e.filename.endswith(".pkl")) > most_beside:
            raise refusal(path, "it holds more than tensors and numbers")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about the inside of a foreign file
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except pickle.UnpicklingError as problem:
        raise refusal(path, "it holds more than tensors and numbers") from problem
    except Exception as problem:  # a damaged file fails in any way: the readers have no error of their own
        is_said = isinstance(problem, OSError | zipfile.BadZipFile) and str(problem)
        why = short_text(next(iter(str(problem).splitlines())), 120) if is_said else "it is damaged"
        raise refusal(path, f"it cannot be read ({why})") from problem


def _content(path: Path, most_bytes: int) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise refusal(path, "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is not a regular file")
    if status.st_size > most_bytes:
        raise refusal(path, f"it has {status.st_size:,} bytes, this training's at most {most_bytes:,}")
    return path.read_bytes()


def _is_endless(value: Any, most: int) -> bool:
    """Whether values are nested more deeply, or are more, than in any state; what is in it several times counts as often."""
    level, n_values = [value], 0
    for _ in range(_MOST_DEEP):
        inner = []
        for outer in level:
            if isinstance(outer, dict):
                inner += [*outer.keys(), *outer.values()]
            elif isinstance(outer, list | tuple | set | frozenset):
                inner += outer
            if n_values + len(inner) > most:
                return True
        if not inner:
            return False
        level, n_values = inner, n_values + len(inner)
    return True


def _kind(value: torch.Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def named_state(path: Path) -> str:
    """The file as errors name it."""
    return f"the training state {shown_text(path)}"


def refusal(path: Path, why: str) -> WeightsError:
    """The error that says why a state cannot be used, and what to do."""
    return WeightsError(f"{named_state(path)} cannot be used: {why}; {REMEDY}")
