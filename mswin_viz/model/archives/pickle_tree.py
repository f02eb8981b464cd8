"""A pickle as a tree of plain values: every call in it is written down, none is made."""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["MOST_BYTES", "Global", "Made", "PickleAbuseError", "PickleTree", "Stored", "pickle_tree"]

MOST_BYTES = 32 * 2**20
"""Of one pickle. Tensors lie beside it; that of the largest CLIP has less than 1 MiB."""
_MOST_STEPS = 2_000_000
_MOST_WRITTEN_OUT = 4_000_000
_PER_VALUE = 16  # characters or bytes of a text that count as one value
_NEWEST_PROTOCOL = 3
_DICT, _SET = "builtins.dict", "builtins.set"


class PickleAbuseError(ValueError):
    """A pickle has steps that no file of weights needs, or too many. Caught by whatever reads the file."""


@dataclass(frozen=True, slots=True)
class Global:
    """A name that a pickle would import, such as ``torch._utils._rebuild_tensor_v2``."""

    name: str


_UNNAMED = Global("a value")


@dataclass(frozen=True, eq=False, slots=True)
class Stored:
    """What a pickle refers to outside itself."""

    identity: Any


@dataclass(frozen=True, eq=False, slots=True)
class Made:
    """What a pickle would make by a call.

    Attributes
    ----------
    by
        What it would call; ``builtins.dict`` for a dict, ``a value`` for what has no name.
    arguments
        Of the call.
    pairs
        Items that would be set, in order; without a key where they would be appended.
    states
        What it would be brought into (``__setstate__``, or attributes by name).
    """

    by: Global
    arguments: Any = ()
    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)

    @property
    def is_dict(self) -> bool:
        """Whether it is a plain dict."""
        return self.by.name == _DICT


@dataclass(eq=False)
class PickleTree:
    """A pickle's value, and all that it would import, call or read on the way.

    Attributes
    ----------
    value
        Built of None, numbers, texts, bytes, tuples, lists, and the classes of this module. It may hold itself.
    globals
        Names.
    made
        Every call, in order; dicts too.
    end
        How many bytes the pickle has.
    """

    value: Any = None
    globals: set[str] = field(default_factory=set)
    made: list[Made] = field(default_factory=list)
    end: int = 0


def pickle_tree(data: bytes) -> PickleTree:
    """The first pickle in ``data``.

    Known are the operations that ``torch.save`` and ``torch.jit.save`` write. Nothing is imported, called, hashed or
    compared, and there is no recursion, so that the steps bound the time.

    Raises
    ------
    PickleAbuseError
        If an operation is not one of those, lacks what it works on, or there are too many; or if what is used as keys
        and arguments would be millions of values when written out (a list within itself, tuples that double, a long
        text that is copied again and again).
    """
    machine, stream = _Machine(), io.BytesIO(data)
    try:
        for n_steps, (operation, argument, _) in enumerate(pickletools.genops(stream)):
            if n_steps > _MOST_STEPS:
                raise PickleAbuseError(
                    f"its pickle has more than {_MOST_STEPS:,} steps, and tensors need few of them"
                )
            if operation.name == "STOP":
                machine.tree.value, machine.tree.end = machine.stack.pop(), stream.tell()
                return machine.tree
            machine.step(operation.name, argument)
    except (IndexError, KeyError, TypeError) as problem:
        raise PickleAbuseError("its pickle uses a value that is not there") from problem
    except PickleAbuseError:
        raise
    except (ValueError, OverflowError) as problem:
        raise PickleAbuseError("its pickle is damaged") from problem
    raise PickleAbuseError("its pickle has no end")


class _Machine:
    """The stack on which a pickle is put together."""

    def __init__(self) -> None:
        self.tree = PickleTree()
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.written_out = 0

    def step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _GETS:
            self.stack.append(self.memo[argument])
        elif name in _PUTS:
            self.memo[argument] = self.stack[-1]
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name == "PROTO":
            _check_protocol(argument)
        else:
            raise PickleAbuseError(f"its pickle has an operation that weights do not need ({name})")

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def tuple_of(self, n_values: int) -> None:
        if len(self.stack) < n_values:
            raise IndexError
        self.stack[-n_values:] = [tuple(self.stack[-n_values:])]

    def collect(self, _: Any) -> None:
        self.stack.append(tuple(self.since_mark()))

    def name(self, argument: str) -> None:
        name = argument.replace(" ", ".")
        self.tree.globals.add(name)
        self.stack.append(Global(name))

    def call(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.count(arguments)
        self.push(Made(function if isinstance(function, Global) else _UNNAMED, arguments))

    def push(self, made: Made) -> None:
        self.tree.made.append(made)
        self.stack.append(made)

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], Made):
            raise PickleAbuseError("its pickle sets the state of a value that has none")
        self.stack[-1].states.append(state)

    def add(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Made) and not target.is_dict:
            target.pairs.extend((None, value) for value in values)
        else:
            raise PickleAbuseError("its pickle adds to what is not a list")

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, Made) or len(values) % 2:
            raise PickleAbuseError("its pickle sets items of what is not a dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            self.count(key)
            target.pairs.append((key, value))

    def count(self, value: Any) -> None:
        """Count the values that hashing this one, or copying it, would touch."""
        waiting = [value]
        while waiting:
            self.written_out += 1
            each = waiting.pop()
            if isinstance(each, tuple | list):
                waiting.extend(each)
            elif isinstance(each, Made):
                waiting += [each.arguments, *each.states, *each.pairs]
            elif isinstance(each, str | bytes):
                self.written_out += len(each) // _PER_VALUE
            if self.written_out + len(waiting) > _MOST_WRITTEN_OUT:
                raise PickleAbuseError("its pickle holds values within values, millions when written out")


def _check_protocol(version: int) -> None:
    if version > _NEWEST_PROTOCOL:
        raise PickleAbuseError(
            f"it was saved with pickle protocol {version}, and torch reads no code-free pickle beyond "
            f"{_NEWEST_PROTOCOL}; leave pickle_protocol= out"
        )


def _two(machine: _Machine) -> list[Any]:
    value, key = machine.stack.pop(), machine.stack.pop()
    return [key, value]


_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": lambda: Made(Global(_SET)),
}
_GETS, _PUTS = {"BINGET", "LONG_BINGET"}, {"BINPUT", "LONG_BINPUT"}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": _Machine.collect,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "EMPTY_DICT": lambda machine, _: machine.push(Made(Global(_DICT))),
    "GLOBAL": _Machine.name,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "APPEND": lambda machine, _: machine.add([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.add(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items(_two(machine)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "BINPERSID": lambda machine, _: machine.stack.append(Stored(machine.stack.pop())),
}
"""What each operation does; whatever is not listed here is refused."""
