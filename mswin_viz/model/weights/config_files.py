"""A host model's YAML file, read as the host reads it: of a key given twice, the last counts."""

from __future__ import annotations

import codecs
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mswin_viz.data.shown_text import counted, short_text
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import ConfigError, ConfigNotFoundError
from mswin_viz.model.archives.weight_files import file_at
from mswin_viz.model.weights.config_keys import sorted_keys
from mswin_viz.model.weights.config_values import checked_value
from mswin_viz.model.weights.host_config import HostConfig
from mswin_viz.model.weights.host_families import family_of_keys

_SECTIONS = ("MODEL", "INPUT", "TEST", "DATASETS")
_DEEPEST = 8
MOST_BYTES, _MOST_VALUES, _MOST_DEEP = 2**18, 5000, 32
_MOST_TEXT, _MOST_DIGITS = 10_000, 64  # characters of one value, and of one number
_DAMAGED = (
    yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError, OSError, LookupError, AttributeError,
)  # fmt: skip
"""What PyYAML raises: its own errors, and Python's where a value does not fit its tag."""


def read_config(path: str | Path, *, family: str | None = None) -> HostConfig:
    r"""The configuration in a host model's YAML file, which is read as it is.

    Parameters
    ----------
    path
        The file of the run.
    family
        The code base, ``"MambaPro"``, ``"DeMo"`` or ``"MDReID"``, where the file's keys do not say it.

    Returns
    -------
    config
        Every key accounted for: read, or listed as left out, idle or unknown.

    Raises
    ------
    ConfigNotFoundError
        If there is no such file.
    ConfigError
        If it is not YAML, has no section MODEL or keys of two code bases, or a value that is read here is not of its
        kind; key, value and kind are named.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("run.yml").write_text("MODEL: {SIE_COE: 1, PROMPT: true}\nINPUT: {SIZE_TEST: [256, 128]}")
    >>> config = mv.read_config("run.yml")
    >>> config.sie_coe, config.prompt, config.grid, config.family
    (1.0, True, (16, 8), 'MambaPro')
    """
    if not isinstance(path, str | Path):
        raise ConfigError(f"a configuration is a YAML file or a HostConfig: got {path!r}")
    file, problem = file_at(path)
    if problem:
        raise ConfigNotFoundError(
            f"a configuration must be an existing file: {short_text(path, 300)} {problem}; check the path"
        )
    content, repeated = _parsed(file)
    values = _flat_keys(content, file)
    fields = {f.metadata["key"]: f for f in dataclasses.fields(HostConfig) if "key" in f.metadata}
    family = family or family_of_keys(values, values.get("MODEL.NAME"), file.name)
    if empty := [key for key, value in values.items() if key in fields and value is None]:
        kind = fields[empty[0]].metadata["kind"]
        raise ConfigError(f"{empty[0]} must be {kind}: {file.name} has nothing there; correct it there")
    options: dict[str, Any] = {fields[key].name: value for key, value in values.items() if key in fields}
    options |= sorted_keys(values, fields, family)
    options["feat_norm"], remarks = _feat_norm(options, file.name)
    remarks += [
        f"{key} of {file.name} is given more than once ({words}): the last counts, as for the host"
        for key, words in repeated.items()
        if key in _SECTIONS or (key in fields and len(set(words.split(", then "))) > 1)
    ]
    options["repeated"] = tuple(f"{key} ({words})" for key, words in repeated.items())
    return HostConfig(**options, family=family, source=file.name, remarks=tuple(remarks))


def _feat_norm(values: Mapping[str, Any], source: str) -> tuple[Any, list[str]]:
    """TEST.FEAT_NORM as the data set's evaluator takes it, with a remark where that differs from what it says."""
    value, dataset = values.get("feat_norm", "yes"), values.get("dataset", "RGBNT201")
    is_off = value is False or value == "no"
    if not is_off or checked_value("DATASETS.NAMES", dataset, "a word", source).upper() == "MSVR310":
        return value, []
    return "yes", [
        "TEST.FEAT_NORM is 'no', which the published evaluator follows for MSVR310 only: features are scaled to unit "
        "length all the same"
    ]


def _parsed(file: Path) -> tuple[Mapping[Any, Any], dict[str, str]]:
    """What the file holds, and dotted key -> words for each key that it gives more than once."""
    try:
        text = _text(file)
        _check_size(yaml.SafeLoader(text))
        content = yaml.safe_load(text)
        repeated = _repeated(yaml.compose(text, Loader=yaml.SafeLoader))
    except ConfigError:
        raise
    except _DAMAGED as problem:
        why = " ".join(str(problem).split())[:300]
        raise ConfigError(
            f"a configuration is a YAML file of plain values: {file} cannot be read ({why}); correct it there, or "
            "copy it again from the run"
        ) from problem
    if not isinstance(content, Mapping):
        held = "is empty" if content is None else f"holds {value_words(content)}"
        raise ConfigError(
            f"a configuration has sections MODEL, INPUT, TEST: {file} {held}; check that it is the run's configuration"
        )
    if content.get("MODEL", {}) == {}:
        names = short_text(", ".join(map(str, content)), 80)
        raise ConfigError(
            f"a configuration has a section MODEL with keys, which say what the run built: {file} has "
            f"{names or 'no key'}; give the file of one run, not one for data or for several runs"
        )
    return content, repeated


def _flat_keys(content: Mapping[Any, Any], file: Path) -> dict[str, Any]:
    """Values by dotted key, of sections within sections too."""
    flat: dict[str, Any] = {}
    seen: set[str] = set()
    levels: list[tuple[str, Mapping[Any, Any]]] = [("", content)]
    while levels:
        prefix, level = levels.pop(0)
        if len(prefix.split(".")) > _DEEPEST:
            raise ConfigError(
                f"a configuration has at most {_DEEPEST} levels: {file} goes deeper at {prefix}"
            )
        for name, value in level.items():
            key = f"{prefix}{name}"
            if key in seen:
                raise ConfigError(
                    f"a key must have one spelling: {file} gives {value_words(key)} in two, such as with a dot and in a "
                    "section, or as a number and as text; remove one"
                )
            seen.add(key)
            if isinstance(value, Mapping) and value:
                levels.append((f"{key}.", value))
            else:
                flat[key] = value
    sections = {"MODEL", "INPUT", "TEST"}
    if bare := sorted(key for key in sections & set(flat) if flat[key] != {}):
        raise ConfigError(
            f"{bare[0]} is a section of keys: {file} has {value_words(flat[bare[0]])}; indent the keys below it"
        )
    return {key: value for key, value in flat.items() if key not in sections}


def _text(file: Path) -> str:
    """The file's text; bytes that are not UTF-8, as in comments in another encoding, become a replacement character."""
    with file.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    if content.startswith((b"PK\x03\x04", b"\x80\x02")):
        raise ConfigError(
            f"a configuration is a YAML file: {file} is a weight file; the configuration comes first, then the weights"
        )
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16") if is_utf_16 else content.decode("utf-8-sig", errors="replace")


def _check_size(loader: yaml.SafeLoader) -> None:
    """Count a file's values without building anything; what an alias stands for counts each time."""
    total, sizes = 0, {}
    around: list[tuple[str | None, int]] = []  # anchor of each collection around, and the count before it
    while loader.check_event():
        event = loader.get_event()
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in [anchor for anchor, _ in around]:
                raise ValueError(f"*{short_text(event.anchor, 80)} is nested in itself")
            total += sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.ScalarEvent):
            _check_scalar(loader, event)
            total, sizes[event.anchor] = total + 1, 1
        elif isinstance(event, yaml.CollectionStartEvent):
            around.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = around.pop()
            sizes[anchor] = total - before
        if total > _MOST_VALUES or len(around) > _MOST_DEEP:
            raise ValueError(f"it has more than {_MOST_VALUES:,} values, or {_MOST_DEEP} in one another")


def _check_scalar(loader: yaml.SafeLoader, event: yaml.ScalarEvent) -> None:
    """Refuse a text or a number that is too long."""
    tag = event.tag or loader.resolve(yaml.ScalarNode, event.value[:_MOST_TEXT], event.implicit)
    most = _MOST_DIGITS if tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") else _MOST_TEXT
    if (n := len(event.value)) > most:
        line = event.start_mark.line + 1
        raise ValueError(f"a value in line {line} has {counted(n, 'characters')}; at most {most:,} are read")


def _repeated(root: yaml.Node | None) -> dict[str, str]:
    """Keys given more than once in one section, with each value as it is written."""
    repeated: dict[str, str] = {}
    levels, seen = [("", root)], set()
    while levels:
        prefix, node = levels.pop(0)
        if not isinstance(node, yaml.MappingNode) or id(node) in seen:
            continue
        seen.add(id(node))  # an alias leads to the same node again
        nodes: dict[str, list[yaml.Node]] = {}
        for key, value in node.value:
            nodes.setdefault(str(key.value), []).append(value)
            levels.append((f"{prefix}{key.value}.", value))
        for name, values in nodes.items():
            if len(values) > 1:
                repeated[f"{prefix}{name}"] = ", then ".join(map(_written, values))
    return repeated


def _written(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return short_text(node.value, 80) or "nothing"
    if isinstance(node, yaml.MappingNode):
        return "a section"
    return short_text(f"[{', '.join(map(_written, node.value))}]", 80)
