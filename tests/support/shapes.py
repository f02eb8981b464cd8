"""jaxtyping's shapes are checked while the tests run: of every annotated function's arguments and result, and of records.

:func:`install` wraps the functions and dataclasses of the package as its modules are imported. A call is checked once it
has returned, so that an input which the package refuses is its own affair; a shape that does not hold is noted in
:data:`MISMATCHES`, and fails the test in which it occurred.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.abc
import importlib.machinery
import inspect
import sys
import threading
import types
import typing
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["MISMATCHES", "install", "wrapped"]

MISMATCHES: list[str] = []
"""What did not hold since the list was last cleared."""
_KINDS = ("Float", "Int", "Bool", "UInt8", "Shaped", "Num", "Integer", "Inexact", "Real", "UInt", "Complex")
_ISSUE = warnings.warn
_PARSING = threading.Lock()  # the parser of Python 3.11 counts its depth for all threads together


def install() -> None:
    """Check every module of the package that is imported from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
        warnings.warn = _warn


def _warn(
    message: Warning | str,
    category: type[Warning] | None = None,
    stacklevel: int = 1,
    source: Any = None,
    **options: Any,
) -> None:
    """``warnings.warn``, whose ``stacklevel`` does not count the wrappers of this module."""
    frame, n_frames = sys._getframe(1), 1
    while n_frames < stacklevel and frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_filename == __file__:
            stacklevel += 1
        n_frames += 1
    _ISSUE(message, category, stacklevel + 1, source, **options)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith("mswin_viz."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: types.ModuleType) -> None:
        super().exec_module(module)
        names = _Names(module)
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if isinstance(value, types.FunctionType):
                setattr(module, name, wrapped(value, names))
            elif isinstance(value, type):
                _wrap_class(value, names)


class _Names(dict[str, Any]):
    """A module's names, with those that it imports for type checkers only; read when they are first needed."""

    def __init__(self, module: types.ModuleType) -> None:
        super().__init__()
        self.module = module

    def filled(self) -> _Names:
        if not self:
            names: dict[str, Any] = {"__builtins__": __builtins__}
            with _PARSING:
                tree = ast.parse(Path(str(self.module.__file__)).read_text(encoding="utf-8"))
            for node in tree.body:
                if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                    imports = ast.Module(body=node.body, type_ignores=[])
                    with _PARSING:
                        code = compile(imports, str(self.module.__file__), "exec")
                    exec(code, names)
            self.update(names | vars(self.module))  # at once: other threads may look at the same time
        return self


def wrapped(function: Callable[..., Any], names: _Names) -> Callable[..., Any]:
    """The function, with its annotated shapes checked after each call; as it is, where it has none."""
    texts = {
        name: text
        for name, text in getattr(function, "__annotations__", {}).items()
        if isinstance(text, str) and _has_shape(text)
    }
    if not texts or inspect.isgeneratorfunction(function):
        return function
    signature = inspect.signature(function)
    hints: dict[str, Any] = {}

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if not hints:
            hints.update({name: eval(text, names.filled()) for name, text in texts.items()})
        values = dict(signature.bind(*args, **kwargs).arguments) | {"return": result}
        _check(
            {name: (values[name], hint) for name, hint in hints.items() if name in values},
            function,
            is_call=True,
        )
        return result

    return checked


def _wrap_class(cls: type, names: _Names) -> None:
    for name, value in list(vars(cls).items()):
        if isinstance(value, types.FunctionType) and not (
            name == "__init__" and dataclasses.is_dataclass(cls)
        ):
            setattr(cls, name, wrapped(value, names))
        elif isinstance(value, classmethod | staticmethod):
            setattr(cls, name, type(value)(wrapped(value.__func__, names)))
        elif isinstance(value, property) and value.fget is not None:
            setattr(cls, name, property(wrapped(value.fget, names), value.fset, value.fdel, value.__doc__))
    if dataclasses.is_dataclass(cls) and "__init__" in vars(cls):
        _wrap_record(cls, names)


def _wrap_record(cls: type, names: _Names) -> None:
    texts = {field.name: field.type for field in dataclasses.fields(cls) if _has_shape(str(field.type))}
    if not texts:
        return
    make, hints = cls.__init__, {}

    @functools.wraps(make)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        if not hints:
            hints.update({name: eval(str(text), names.filled()) for name, text in texts.items()})
        _check({name: (getattr(self, name), hint) for name, hint in hints.items()}, cls, is_call=False)

    cls.__init__ = checked


def _has_shape(text: str) -> bool:
    return any(f"{kind}[" in text for kind in _KINDS)


def _check(values: Mapping[str, tuple[Any, Any]], what: Any, *, is_call: bool) -> None:
    from jaxtyping import jaxtyped

    with jaxtyped("context"):
        for name, (value, hint) in values.items():
            if not _fits(value, hint, is_argument=is_call and name != "return"):
                MISMATCHES.append(
                    f"{what.__module__}.{what.__qualname__}: {name} is not {_words(hint)}: {_seen(value)}"
                )


def _fits(value: Any, hint: Any, *, is_argument: bool) -> bool:
    """Whether a value is as annotated, as far as arrays go; other types are the type checker's.

    What is passed may be a list, or of another kind of number, where a function converts it; its shape must fit.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    fits = functools.partial(_fits, is_argument=is_argument)
    if origin in (typing.Union, types.UnionType):
        arrays = [part for part in parts if _is_array_hint(part)]
        return not hasattr(value, "shape") or not arrays or any(fits(value, part) for part in arrays)
    if origin is tuple and isinstance(value, tuple):
        if len(parts) == 2 and parts[1] is Ellipsis:
            return all(_fits_alone(each, parts[0], is_argument=is_argument) for each in value)
        return len(parts) == len(value) and all(map(fits, value, parts))
    if isinstance(value, Mapping) and len(parts) == 2:
        return all(_fits_alone(each, parts[1], is_argument=is_argument) for each in value.values())
    if isinstance(value, list | tuple) and parts:
        return all(_fits_alone(each, parts[0], is_argument=is_argument) for each in value)
    if not _is_array_hint(hint):
        return True
    if is_argument:
        from jaxtyping import Shaped

        return not isinstance(value, hint.array_type) or isinstance(
            value, Shaped[hint.array_type, hint.dim_str]
        )
    return isinstance(value, hint)


def _fits_alone(value: Any, hint: Any, *, is_argument: bool) -> bool:
    """One of many: two arrays of a list or mapping may differ in an axis of one name, as windows of two scales do."""
    from jaxtyping import jaxtyped

    with jaxtyped("context"):
        return _fits(value, hint, is_argument=is_argument)


def _is_array_hint(hint: Any) -> bool:
    return isinstance(hint, type) and hasattr(hint, "dim_str")


def _words(hint: Any) -> str:
    return f"{hint.__name__}" if isinstance(hint, type) else str(hint)


def _seen(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"{type(value).__name__} {getattr(value, 'dtype', '')}{list(value.shape)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_seen(each)}" for key, each in list(value.items())[:4]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_seen(each) for each in value[:4]) + "]"
    return type(value).__name__
