"""A module built by the user's code: a class or a function, passed or named as ``"package.module:Name"``."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable

from torch import nn

from mswin_viz.errors import OptionError

_IMPORT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_NAMED = 'addon="package.module:Name" must name a module, class or function that can be imported here, and called without arguments'
_PASSED = "a class or function passed as addon= must build a module without arguments"
_ADVICE = "pass the module itself, addon=MyModule(512)"


def is_import(name: object) -> bool:
    """Whether it names code, ``"package.module:Name"``, and no file of that name exists."""
    return isinstance(name, str) and bool(_IMPORT.fullmatch(name)) and not os.path.exists(name)


def made_addon(source: str | Callable[[], nn.Module]) -> nn.Module:
    """The module that a class or function builds without arguments; ``"package.module:Name"`` names one of them.

    The name may also be that of an existing module. Importing it runs the user's code.

    Raises
    ------
    OptionError
        If it cannot be imported or built, or is not a module.
    """
    rule = _NAMED if isinstance(source, str) else _PASSED
    name = repr(source) if isinstance(source, str) else getattr(source, "__qualname__", repr(source))
    try:
        made = _imported(source) if isinstance(source, str) else source
        made = made if isinstance(made, nn.Module) else made()
    except Exception as problem:
        is_file = isinstance(source, str) and ".py:" in source
        advice = f'drop ".py": {source.replace(".py:", ":")!r}, or {_ADVICE}' if is_file else _ADVICE
        raise OptionError(
            f"{rule}: {name} failed with {type(problem).__name__}: {problem}; {advice}"
        ) from problem
    if not isinstance(made, nn.Module):
        kind = type(made).__name__
        raise OptionError(f"{rule}: {name} returned a {kind}, not a torch.nn.Module; {_ADVICE}")
    return made


def is_there(source: object, made: nn.Module) -> bool:
    """Whether a name is that of the module itself, and not of code that builds one."""
    return isinstance(source, str) and _imported(source) is made


def _imported(name: str) -> Callable[[], nn.Module]:
    home, _, member = name.partition(":")
    return getattr(importlib.import_module(home), member)
