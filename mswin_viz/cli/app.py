"""Command line: everything ``mswin-viz`` can do, and how errors are shown."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from mswin_viz import __version__
from mswin_viz.cli import data, measuring, training
from mswin_viz.cli.checks import existing, read_path
from mswin_viz.cli.terminal import echo, take_any_character
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import MswinVizError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="See what a CLIP image encoder, and a sliding-window module on top of it, look at.",
)
for name, command in {
    "doctor": data.doctor,
    "samples": data.samples,
    "evaluate": measuring.evaluate,
    "ablate": measuring.ablate,
    "controls": measuring.controls,
    "train": training.train,
    "train-embedded": training.train_embedded,
}.items():
    app.command(name)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        echo(f"mswin-viz {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


@app.command()
def lab(
    notebook: Annotated[
        Path | None, typer.Argument(parser=read_path, metavar="[NOTEBOOK]", help="A notebook to open.")
    ] = None,
) -> None:
    """Open JupyterLab."""
    notebook = existing(notebook, "NOTEBOOK")
    jupyter = shutil.which("jupyter-lab", path=str(Path(sys.executable).parent)) or shutil.which(
        "jupyter-lab"
    )
    if jupyter is None:
        raise typer.BadParameter("JupyterLab is not installed beside this Python; pip install jupyterlab")
    raise typer.Exit(subprocess.call([jupyter, *([str(notebook)] if notebook else [])]))


def main() -> None:
    """Run the command line; our own errors, and those of the file system, are one line, not a traceback."""
    take_any_character()
    try:
        app()
    except (MswinVizError, OSError) as problem:
        words = " ".join(line.strip() for line in shown_text(problem, keep="\n").splitlines())
        words = f"{type(problem).__name__}: {words}"
        with contextlib.suppress(OSError):  # nobody is left to read it
            echo(typer.style(words, fg="red") if sys.stderr and sys.stderr.isatty() else words, err=True)
        raise SystemExit(1) from None
