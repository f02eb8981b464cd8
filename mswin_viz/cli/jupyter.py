"""Commands that open JupyterLab: ``lab`` and ``demo``."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from mswin_viz.cli.checks import existing, read_path, written_path
from mswin_viz.cli.shared_options import answer, note
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.output_checks import output_folder
from mswin_viz.errors import OptionError

_NAME = "mswin_viz_demo"
HANDED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""For a command whose other options are JupyterLab's."""


def lab(
    context: typer.Context,
    notebook: Annotated[
        Path | None, typer.Argument(parser=read_path, metavar="[NOTEBOOK]", help="A notebook to open.")
    ] = None,
) -> None:
    """Open JupyterLab, at a notebook if one is given; other options, such as --no-browser, go to JupyterLab."""
    if notebook is not None and str(notebook).startswith("-"):  # an option of JupyterLab in its place
        context.args.insert(0, str(notebook))
        notebook = None
    notebook = notebook and existing(notebook, "NOTEBOOK")
    _run_lab(_jupyter_lab(), notebook, context.args)


def demo(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            parser=written_path,
            metavar="[FOLDER]",
            help=f"Where the notebook is written; {_NAME} in the current folder if left out.",
        ),
    ] = None,
) -> None:
    """Open the scale explorer on the embedded model, in a new notebook; other options, such as --no-browser, go to JupyterLab."""
    if folder is not None and str(folder).startswith("-"):
        context.args.insert(0, str(folder))
        folder = None
    folder = output_folder(folder or Path(_NAME), "FOLDER").absolute()
    jupyter = _jupyter_lab()
    notebook = write_bytes(_unused(folder), files("mswin_viz.cli").joinpath(f"{_NAME}.ipynb").read_bytes())
    note(f"wrote {shown_text(notebook)}; run its cell with Shift+Enter")
    _run_lab(jupyter, notebook, context.args)


def _unused(folder: Path) -> Path:
    """A name in the folder that no file has: a notebook that is there may have been changed."""
    names = itertools.chain((f"{_NAME}.ipynb",), (f"{_NAME}_{n}.ipynb" for n in itertools.count(2)))
    return next(path for name in names if not (path := folder / name).exists())


def _jupyter_lab() -> str:
    """The program, that of this Python first."""
    name, beside = "jupyter-lab", str(Path(sys.executable).parent)
    jupyter = shutil.which(name, path=beside) or shutil.which(name)
    if jupyter is None:
        raise OptionError(
            "JupyterLab must be installed for this Python: it is not; run pip install jupyterlab"
        )
    return jupyter


def _run_lab(jupyter: str, notebook: Path | None, options: list[str]) -> None:
    """Run JupyterLab until it ends, and end as it does."""
    server = subprocess.Popen([jupyter, *([str(notebook)] if notebook else []), *options])
    while server.poll() is None:
        with contextlib.suppress(KeyboardInterrupt):  # JupyterLab gets it too, asks, and ends its kernels
            server.wait()
    code = server.returncode if server.returncode >= 0 else 128 - server.returncode
    answer({"notebook": None if notebook is None else shown_text(notebook), "exit_code": code})
    raise typer.Exit(code)
