"""The state dict of a TorchScript archive, read without running any of its code.

``torch.jit.load`` calls the ``__setstate__`` of the modules in an archive. Here the archive's pickle becomes a tree of
plain values; of its code only the lists of parameters, buffers and attributes are read, as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

import torch

from mswin_viz.data.shown_text import short_text, shown_text
from mswin_viz.errors import WeightsError
from mswin_viz.model.archives.pickle_tree import MOST_BYTES, Made, PickleAbuseError, pickle_tree
from mswin_viz.model.archives.state_dicts import StateDict
from mswin_viz.model.archives.stored_tensors import DENSE, TensorPlace, tensor_place
from mswin_viz.model.archives.zip_members import Members

_PICKLE, _CONSTANTS, _CODE = "data.pkl", "constants.pkl", "code/"
_MOST_CODE = 16 * 2**20  # bytes of one file
_MOST_STEPS, _DEEPEST, _LONGEST = 300_000, 100, 1_000
_CLASSES = "__torch__"
_CUSTOM = "__torch__.torch.classes."
_TAGGED = "torch.jit._pickle.restore_type_tag"
_KNOWN = re.compile(
    r"__torch__\..+|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|collections\.OrderedDict"
    r"|torch\.jit\._pickle\.\w+|torch\.\w+Storage|torch\.device|torch\.Size|torch\.per_(tensor|channel)_\w+"
    r"|torch\.serialization\._get_layout|builtins\.complex"
)
"""What the pickle of a module refers to when ``torch.jit.save`` wrote it."""
_CLASS = re.compile(r"^class (\w+)(?:\(([\w.]*)\))?:$", re.M)
_OUTSIDE = re.compile(r"^\S", re.M)
_LISTED = r"^  __{}__ = \[(.*)\]$"
_ATTRIBUTE = re.compile(r'^  (?:(\w+) : |__annotations__\["([^"\n]+)"\] = )(.+)$', re.M)
_METHOD = re.compile(r"^  def ", re.M)
_RESTORES = re.compile(r"^  def __setstate__\(", re.M)
_SAVE = "where it was made, save the tensors alone, torch.save(module.state_dict(), path), and load that"
_NOT_MODULES = (
    ("bytecode.pkl", "is made for mobile devices (the lite interpreter)"),
    ("model.json", "is a TorchScript archive of an early torch (model.json)"),
)


@dataclass(frozen=True)
class _Class:
    """What the code says of a class."""

    is_module: bool
    parameters: frozenset[str]
    buffers: frozenset[str]
    attributes: Mapping[str, str]  # name -> declared type, in order
    restores_itself: bool  # it has a ``__setstate__``


def is_torchscript(members: Members) -> bool:
    """Whether ``torch.jit.save`` wrote the archive, in any of its formats."""
    return _CONSTANTS in members.sizes or any(
        name == "model.json" or (name.startswith(_CODE) and name.endswith(".py")) for name in members.sizes
    )


def torchscript_state(members: Members) -> StateDict:
    """What ``torch.jit.load(path).state_dict()`` is, bit by bit: parameters, then buffers, then submodules.

    Tensors that share a storage share it here too. Each storage is read once, and only if a tensor needs it.
    """
    for member, what in _NOT_MODULES:
        if member in members.sizes:
            raise _refused(members, f"{what}, whose tensors are packed or have no names; {_SAVE}")
    if _PICKLE not in members.sizes:
        raise _refused(members, f"has no {_PICKLE}; copy it again")
    if "byteorder" in members.sizes and members.content("byteorder", most=16).strip() != b"little":
        raise _refused(members, f"is not in little-endian byte order; {_SAVE}")
    try:
        tree = pickle_tree(members.content(_PICKLE, most=MOST_BYTES))
        _check_globals(members, tree.globals)
        classes = _classes(members, {made.by.name for made in tree.made if made.by.name.startswith(_CLASSES)})
        pairs = list(_places(members, tree.value, classes))
        places = dict(pairs)
        if len(places) < len(pairs):
            raise PickleAbuseError("two of its tensors have the same name")
    except PickleAbuseError as problem:
        raise _refused(members, f"cannot be read: {problem}; copy it again, or {_SAVE}") from problem
    if not places and any(name.startswith("constants/") for name in members.sizes):
        raise _refused(
            members,
            "holds its tensors as constants without names, as torch.jit.freeze and tracing a function leave them; "
            f"before that, {_SAVE}",
        )
    return _tensors(members, places)


def _refused(members: Members, what: str) -> WeightsError:
    return WeightsError(
        f"a TorchScript archive is read without running code from it: {shown_text(members.path)} {what}"
    )


def _check_globals(members: Members, names: set[str]) -> None:
    if custom := sorted(name for name in names if name.startswith(_CUSTOM)):
        named = ", ".join(short_text(name.removeprefix(_CUSTOM), 60) for name in custom[:3])
        raise _refused(
            members,
            f"holds weights packed by torch's own classes ({named}), as quantised modules do; {_SAVE}",
        )
    if other := sorted(name for name in names if not _KNOWN.fullmatch(name)):
        named = ", ".join(short_text(name, 60) for name in other[:5])
        raise _refused(members, f"needs {named}; {_SAVE}")


def _classes(members: Members, names: set[str]) -> dict[str, _Class]:
    """What the code says of these classes, read as text."""
    by_file: dict[str, set[str]] = {}
    for name in names:
        by_file.setdefault(f"{_CODE}{name.rpartition('.')[0].replace('.', '/')}.py", set()).add(name)
    classes: dict[str, _Class] = {}
    for file, wanted in by_file.items():
        if file not in members.sizes:
            raise _refused(members, f"lacks the code of {short_text(sorted(wanted)[0], 80)}; copy it again")
        text = members.content(file, most=_MOST_CODE).decode("utf-8", errors="replace")
        module = next(iter(wanted)).rpartition(".")[0]
        for header in _CLASS.finditer(text):
            if (name := f"{module}.{header[1]}") in wanted:
                end = _OUTSIDE.search(text, header.end())
                classes[name] = _class(header[2] or "", text[header.end() : end.start() if end else None])
    if absent := names - set(classes):
        raise _refused(members, f"lacks the code of {short_text(sorted(absent)[0], 80)}; copy it again")
    if itself := sorted(name for name, each in classes.items() if each.restores_itself):
        named = short_text(itself[0], 80)
        raise _refused(members, f"holds {named}, which only its own code can restore (__setstate__); {_SAVE}")
    return classes


def _class(base: str, body: str) -> _Class:
    head = _METHOD.split(body, maxsplit=1)[0]
    return _Class(
        is_module=base == "Module",
        parameters=_listed("parameters", head),
        buffers=_listed("buffers", head),
        attributes={plain or quoted: declared for plain, quoted, declared in _ATTRIBUTE.findall(head)},
        restores_itself=bool(_RESTORES.search(body)),
    )


def _listed(name: str, head: str) -> frozenset[str]:
    line = re.search(_LISTED.format(name), head, re.M)
    return frozenset(re.findall(r'"([^"]*)"', line[1])) if line else frozenset()


def _places(
    members: Members, value: object, classes: Mapping[str, _Class]
) -> Iterator[tuple[str, TensorPlace]]:
    """Key and place of every tensor of a module."""
    waiting, n_steps = [("", value, 0)], 0
    while waiting:
        prefix, module, depth = waiting.pop()
        if not _is_module(module, classes):
            raise PickleAbuseError("it does not hold a module")
        kind, held = classes[module.by.name], _attributes(module)
        n_steps += 1 + len(held) + len(kind.attributes)
        if n_steps > _MOST_STEPS or depth > _DEEPEST or len(prefix) > _LONGEST:
            raise PickleAbuseError("it has too many modules, or they are nested too deeply")
        for name in _tensor_names(kind):
            if (place := _place_of(members, held.get(name), prefix + name)) is not None:
                yield prefix + name, place
        inner = [
            (f"{prefix}{name}.", held[name], depth + 1)
            for name, declared in kind.attributes.items()
            if declared.startswith(f"{_CLASSES}.") and _is_module(held.get(name), classes)
        ]
        waiting.extend(reversed(inner))


def _tensor_names(kind: _Class) -> list[str]:
    """Parameters, then buffers, as the class declares them; torch leaves out a buffer that may be None."""
    parameters = [name for name in kind.attributes if name in kind.parameters]
    return parameters + [
        name for name, declared in kind.attributes.items() if name in kind.buffers and declared == "Tensor"
    ]


def _is_module(value: object, classes: Mapping[str, _Class]) -> TypeGuard[Made]:
    return isinstance(value, Made) and value.by.name in classes and classes[value.by.name].is_module


def _attributes(module: Made) -> dict[str, object]:
    if len(module.states) != 1 or not isinstance(module.states[0], Made) or not module.states[0].is_dict:
        raise PickleAbuseError(f"{short_text(module.by.name, 80)} in it has no attributes by name")
    pairs = module.states[0].pairs
    held = {name: value for name, value in pairs if isinstance(name, str)}
    if len(held) != len(pairs):
        raise PickleAbuseError(
            f"{short_text(module.by.name, 80)} in it has an attribute twice, or without a name"
        )
    return held


def _place_of(members: Members, value: object, key: str) -> TensorPlace | None:
    """Where a parameter or buffer lies; None where it has no value."""
    if value is None:
        return None
    if not isinstance(value, Made) or value.by.name not in DENSE:
        raise _refused(members, f"has a {short_text(key, 80)} that is not a dense tensor of numbers; {_SAVE}")
    if len(value.arguments) > 6 and not _is_empty_dict(value.arguments[6]):
        raise _refused(members, f"has a {short_text(key, 80)} that is conjugate or negated lazily; {_SAVE}")
    try:
        return tensor_place(value)
    except PickleAbuseError as problem:
        raise PickleAbuseError(f"{short_text(key, 80)}: {problem}") from problem


def _is_empty_dict(value: object) -> bool:
    """Whether it is an empty dict; also one that TorchScript wraps in a note of its type."""
    if isinstance(value, Made) and value.by.name == _TAGGED and isinstance(value.arguments, tuple):
        value = value.arguments[0] if value.arguments else None
    return isinstance(value, Made) and value.is_dict and not value.pairs


def _tensors(members: Members, places: Mapping[str, TensorPlace]) -> StateDict:
    storages: dict[str, torch.UntypedStorage] = {}
    tensors: StateDict = {}
    for key, place in places.items():
        name, n_bytes = f"data/{place.key}", place.n_stored * place.dtype.itemsize
        if members.sizes.get(name, -1) not in range(n_bytes, n_bytes + place.dtype.itemsize):
            held = f"{members.sizes[name]:,}" if name in members.sizes else "no"
            named = short_text(key, 80)
            raise _refused(members, f"holds {held} bytes for {named}, which needs {n_bytes:,}; copy it again")
        if name not in storages:
            room = torch.empty(members.sizes[name], dtype=torch.uint8)
            members.read_into(name, room.numpy().data)
            storages[name] = room.untyped_storage()
        empty = torch.empty(0, dtype=place.dtype)
        tensors[key] = empty.set_(storages[name], place.offset, place.size, place.stride)
    return tensors
