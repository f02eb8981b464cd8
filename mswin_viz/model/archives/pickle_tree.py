"""A pickle as a tree of plain values: every call in it is recorded, none is made."""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MOST_BYTES = 32 * 2**20
"""Largest pickle that is read. Tensors lie beside it; the largest CLIP's pickle has less than 1 MiB."""
_MOST_STEPS = 2_000_000
_MOST_WRITTEN_OUT = 4_000_000
_PER_VALUE = 16  # characters or bytes of a text that count as one value
_NEWEST_PROTOCOL = 3
_DICT, _SET = "builtins.dict", "builtins.set"


class PickleAbuseError(Exception):
    """A pickle has steps that no weight file needs, or too many. Whatever reads the file catches it."""


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
    """What a pickle would make by calling ``by``: ``builtins.dict``, or ``a value`` where the callee has no name.

    ``pairs`` are the items it would set, in order (key None where it would append them), ``states`` what it would pass
    to ``__setstate__`` or set as attributes by name.
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
    """A pickle's value (which may contain itself), the names it would import and every call, dicts too, in order."""

    value: Any = None
    globals: set[str] = field(default_factory=set)
    made: list[Made] = field(default_factory=list)
    end: int = 0  # length of the pickle in bytes


def pickle_tree(data: bytes) -> PickleTree:
    """The first pickle in ``data``; PickleAbuseError if it has other operations than torch writes, or too many.

    Nothing is imported, called, hashed or compared, and there is no recursion, so that the steps bound the time. Keys
    and arguments that would be millions of values when written out (a list within itself, tuples that double, a long
    text copied again and again) are refused too.
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
        elif name != "PROTO":
            raise PickleAbuseError(f"its pickle has an operation that weights do not need ({name})")
        elif argument > _NEWEST_PROTOCOL:
            raise PickleAbuseError(
                f"it was saved with pickle protocol {argument}, and torch reads no code-free pickle beyond "
                f"{_NEWEST_PROTOCOL}; leave pickle_protocol= out"
            )

    def take(self, n_values: int) -> list[Any]:
        start = len(self.stack) - n_values
        if start < 0:
            raise IndexError
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def since_mark(self) -> list[Any]:
        return self.take(len(self.stack) - self.marks.pop())

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
            raise PickleAbuseError("its pickle appends to something that is not a list")

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, Made) or len(values) % 2:
            raise PickleAbuseError("its pickle sets items of something that is not a dict")
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
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(machine.take(3))),
    "EMPTY_DICT": lambda machine, _: machine.push(Made(Global(_DICT))),
    "GLOBAL": _Machine.name,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "APPEND": lambda machine, _: machine.add(machine.take(1)),
    "APPENDS": lambda machine, _: machine.add(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "BINPERSID": lambda machine, _: machine.stack.append(Stored(machine.stack.pop())),
}
"""What each operation does; whatever is not listed here is refused."""
