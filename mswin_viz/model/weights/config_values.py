"""The kinds of value in a host configuration: how each is checked, and what it becomes."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import ConfigError


def checked_value(key: str, value: Any, kind: str, source: str) -> Any:
    """The value converted to its kind; ConfigError names key, value and kind."""
    read = _literal(value) if kind != "a word" or str(value)[:1] in "([" else value
    if kind == "a word" and isinstance(read, list | tuple) and len(read) == 1:
        read = read[0]  # DATASETS.NAMES: ('RGBNT201')
    is_right, made = _KINDS[kind]
    if not is_right(read):
        raise ConfigError(f"{key} must be {kind}: {source} has {value_words(value)}; correct it there")
    return made(read)


def _literal(value: Any) -> Any:
    """Tuples are text to YAML: ``(256, 128)``."""
    if not isinstance(value, str) or len(value) > 1000:
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return value


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _is_weight(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _all(is_right: Callable[[Any], bool], n: int | None) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list | tuple) and len(value) == (n or len(value)) > 0 and all(map(is_right, value))
    )


def _one_of(*words: str) -> tuple[Callable[[Any], bool], Callable[[Any], Any]]:
    return lambda v: isinstance(v, str) and v.strip().lower() in words, lambda v: v.strip().lower()


def _floats(value: Any) -> tuple[float, ...]:
    return tuple(map(float, value))


_KINDS: Mapping[str, tuple[Callable[[Any], bool], Callable[[Any], Any]]] = {
    "a word": (lambda v: isinstance(v, str) and bool(v.strip()), lambda v: v.strip()),
    "before or after": (lambda v: v in ("before", "after"), str),
    "soft or hard": _one_of("soft", "hard"),
    "specific or shared": _one_of("specific", "shared"),
    "yes or no": (lambda v: isinstance(v, bool) or v in ("yes", "no"), lambda v: v is True or v == "yes"),
    "True or False": (lambda v: isinstance(v, bool), bool),
    "a finite number": (_is_number, float),
    "a number above 0": (lambda v: _is_number(v) and v > 0, float),
    "a whole number above 0": (_is_count, int),
    "whole numbers above 0": (_all(_is_count, None), tuple),
    "two whole numbers above 0": (_all(_is_count, 2), tuple),
    "three finite numbers": (_all(_is_number, 3), _floats),
    "three numbers above 0": (_all(lambda v: _is_number(v) and v > 0, 3), _floats),
    "numbers of at least 0, not all 0": (lambda v: _all(_is_weight, None)(v) and sum(v) > 0, _floats),
}
