"""A call of a torch function in one form: positional arguments, one precision, and the tensor it writes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mswin_viz.analysis.frozen.operations import CASTS, NARROW, RULES, is_narrowing, name_of, out_of_place

_FIRST = ("input", "self", "x", "tensors", "tensor")
_SECOND = ("other", "mat2", "vec", "vec2", "tensor", "exponent")
_NAMED = {
    "where": ("condition", "input", "other"), "addcmul": ("input", "tensor1", "tensor2"), "addcdiv": ("input", "tensor1", "tensor2"),
    "addmm": ("input", "mat1", "mat2"), "addmv": ("input", "mat", "vec"), "addr": ("input", "vec1", "vec2"),
    "addbmm": ("input", "batch1", "batch2"), "baddbmm": ("input", "batch1", "batch2"), "lerp": ("input", "end", "weight"),
    "bilinear": ("input1", "input2"),
}  # fmt: skip
"""What torch calls the tensors of an operation that has names of its own for them."""


@dataclass(frozen=True, eq=False)
class Call:
    """A call as rules read it.

    Attributes
    ----------
    func, name
        The function that leaves its arguments as they are where a rule is to make it linear, and its name.
    args, kwargs
        What it is given; the first two tensors by position.
    target
        What the result is written to, a tensor or several; None where it is new.
    writes
        Whether the function itself writes to its first argument.
    """

    func: Callable
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    target: Any
    writes: bool

    @staticmethod
    def of(func: Callable, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        """The call of a function, its floating-point tensors in float64 if one of them is."""
        (name, in_place), named = name_of(func), dict(kwargs)
        target = named.pop("out", None)
        if func is torch.Tensor.where:  # the method is given the condition after the tensor
            func, args, named = torch.where, (), _of_method(args, named)
        args, writes_input = _by_position(name, args, named), bool(named.pop("inplace", False))
        args, named = lifted(args, named, writes=in_place or name == "setitem")
        has_rule = name in RULES
        if has_rule and (in_place or writes_input):
            target = args[0]
        if has_rule and in_place:
            func = out_of_place(name, func)
        return Call(func, name, args, named, target, in_place and not has_rule)

    def run(self) -> Any:
        """The function as it is."""
        result = self.func(*self.args, **self.kwargs)
        return written(self.target, result)


class InOnePrecision(TorchFunctionMode):
    """Code that runs in float64 although it makes float32 tensors on its way."""

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, in_place = name_of(func)
        if name in CASTS and is_narrowing(func, args, kwargs or {}):
            return args[0]
        named = dict(kwargs or {})
        target = named.pop("out", None)
        args, named = lifted(args, named, writes=in_place or name == "setitem")
        return written(target, func(*args, **named))


def lifted(
    args: tuple[Any, ...], kwargs: dict[str, Any], *, writes: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same arguments in float64 if one of their tensors is; what is written to changes its type itself."""
    if not any(tensor.dtype == torch.float64 for tensor in tensors_in((args, tuple(kwargs.values())))):
        return args, kwargs
    if writes and isinstance(args[0], torch.Tensor) and args[0].dtype in NARROW and not args[0].requires_grad:
        args[0].data = args[0].data.double()
    if kwargs.get("dtype") in NARROW:
        kwargs = {**kwargs, "dtype": torch.float64}
    return _each(args, _wide), {key: _each(value, _wide) for key, value in kwargs.items()}


def tensors_in(value: Any) -> Iterable[torch.Tensor]:
    """Every tensor of nested lists and tuples."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors_in(part)


def without_own_gradients(value: Any, inputs: Iterable[torch.Tensor]) -> Any:
    """Tensors that require a gradient and do not come from the inputs are constants."""
    known = {id(tensor) for tensor in inputs}
    return _each(value, lambda t: t.detach() if t.requires_grad and t.is_leaf and id(t) not in known else t)


def written(target: Any, result: Any) -> Any:
    """A result, in what it is to be written to if there is that: one tensor, or as many as results."""
    if target is None:
        return result
    if isinstance(target, torch.Tensor):
        return _into(target, result)
    return type(result)(_into(tensor, part) for tensor, part in zip(target, result, strict=True))


def _into(target: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
    """A tensor that becomes the result, in the result's precision; an empty one takes its shape, as torch's ``out=`` does."""
    is_narrow = target.dtype in NARROW and result.dtype == torch.float64
    if not target.requires_grad and (is_narrow or not target.numel()):
        shape = target.shape if target.numel() else result.shape
        target.data = target.new_empty(shape, dtype=result.dtype)
    return target.copy_(result)


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype not in NARROW or tensor.requires_grad:
        return tensor
    wide = tensor.double()
    for mark, value in vars(tensor).items():  # held, gate, name
        setattr(wide, mark, value)
    return wide


def _each(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if type(value) in (list, tuple):
        return type(value)(_each(part, change) for part in value)
    return value


def _by_position(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The first two tensors, or all that an operation is named for, out of the keywords, whatever torch calls them."""
    if name not in RULES:
        return args
    wanted = [(key,) for key in _NAMED[name]] if name in _NAMED else (_FIRST, _SECOND)
    for place, names in enumerate(wanted):
        given = next((key for key in names if key in kwargs), None)
        if given is not None and len(args) == place:
            args = (*args, kwargs.pop(given))
    return args


def _of_method(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the method ``where`` by the names of the function."""
    return {**dict(zip(("input", "condition", "other"), args, strict=False)), **kwargs}
