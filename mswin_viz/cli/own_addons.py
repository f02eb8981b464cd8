"""A user's own add-on on the command line: ``--addon package.module:Name``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mswin_viz.cli.checks import to_read
from mswin_viz.cli.shared_options import shared
from mswin_viz.cli.terminal import echo
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from mswin_viz.model.addon.own import Addon
    from mswin_viz.model.weights.checkpoints import StoredAddon

OwnAddon = Annotated[
    str | None,
    typer.Option(
        "--addon",
        metavar="PACKAGE.MODULE:NAME",
        help="Your own torch module. Importing it runs its code; the current folder is searched, too.",
    ),
]

AnyAddon = Annotated[
    str | None,
    typer.Option(
        help="Add-on in place of the one in the weights: a file, mean, none, or PACKAGE.MODULE:NAME, your own module, whose code runs."
    ),
]
AddonWeights = Annotated[
    Path | None, to_read("FILE", "Weights for the module that --addon imports, as written by train.")
]


def checked_import(name: str, *, remedy: str = "correct it") -> str:
    """The same name, once its code has been imported and has built a module; the current folder is searched, too."""
    from mswin_viz.model.addon.imported import is_import, made_addon

    if not is_import(name):
        raise OptionError(f"--addon must name code as package.module:Name: got {name!r}; {remedy}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    if not shared().quiet:
        echo(f"importing {name}: its code runs", err=True)
    made_addon(name)
    return name


def chosen_addon(name: str | None, weights: Path | None) -> str | StoredAddon | Addon | None:
    """What ``--addon`` and ``--addon-weights`` mean to ``load_model(addon=...)``: code, and a file for it; or a file alone.

    Without either, ``"default"``.
    """
    from mswin_viz.model.addon.imported import is_import, made_addon
    from mswin_viz.model.weights.checkpoints import load_addon

    if name is None:
        if weights is not None:
            raise OptionError(
                "--addon-weights fills the module that --addon names: name it, or give the file as --addon"
            )
        return "default"
    if not is_import(name):
        if weights is not None:
            raise OptionError(
                f"--addon-weights fills a module, --addon package.module:Name: got {name!r}; leave one out"
            )
        return None if name == "none" else name
    checked_import(name)
    return name if weights is None else load_addon(weights, into=made_addon(name))
