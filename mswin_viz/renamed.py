"""Names of the last release that were renamed or moved: they still work for one release, and warn."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["install", "moved", "public_name"]

RENAMED: dict[str, str] = {}
"""Old public name -> the public name of today."""
MOVED: dict[str, dict[str, str]] = {}
"""Module that the documents showed -> its names that they showed -> the public names of today."""


def public_name(name: str) -> str:
    """The name of today for a public name; a renamed one gives a warning."""
    if name not in RENAMED:
        return name
    _warn(f"mswin_viz.{name}", RENAMED[name])
    return RENAMED[name]


def moved(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module whose names are public names now."""

    def attribute(name: str) -> Any:
        if name not in MOVED[module]:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        public = MOVED[module][name]
        _warn(f"{module}.{name}", public)
        return getattr(importlib.import_module("mswin_viz"), public)

    return attribute


def install() -> None:
    """Let the modules of :data:`MOVED` be imported that are gone."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Comes last: it is asked for modules that do not exist."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__getattr__"] = moved(module.__name__)


def _warn(old: str, public: str) -> None:
    warnings.warn(
        f"{old} will be gone in the next release: use mswin_viz.{public}", DeprecationWarning, stacklevel=4
    )
