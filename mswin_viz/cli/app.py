"""Command line: everything ``mswin-viz`` can do, and how errors are shown."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from mswin_viz import __version__
from mswin_viz.cli import data, measuring, rendering, storing, training
from mswin_viz.cli.checks import existing, read_path
from mswin_viz.cli.terminal import Notices, echo, take_any_character
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import DataError, MswinVizError


class _Commands(TyperGroup):
    def invoke(self, ctx: typer.Context) -> object:
        """Run a command; one that is interrupted says so in a line, and how to go on where it knows."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            echo(str(interrupt) or "interrupted", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="See what a CLIP image encoder, and a sliding-window add-on on top of it, look at.",
    epilog="Exit codes: 0, done; 1, an error (one line), or problems found by doctor; 2, a wrong command line; 130, interrupted.",
)
for name, command in {
    "doctor": data.doctor,
    "samples": data.samples,
    "extract": storing.extract,
    "export": storing.export,
    "evaluate": measuring.evaluate,
    "ablate": measuring.ablate,
    "controls": measuring.controls,
    "train": training.train,
    "render": rendering.render,
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
    try:
        os.getcwd()
    except OSError as problem:
        raise DataError(
            "commands need a current folder that exists: this one has been removed; change to another folder"
        ) from problem


@app.command()
def lab(
    notebook: Annotated[
        Path | None, typer.Argument(parser=read_path, metavar="[NOTEBOOK]", help="A notebook to open.")
    ] = None,
) -> None:
    """Open JupyterLab, at a notebook if one is given."""
    notebook = notebook and existing(notebook, "NOTEBOOK")
    name, beside = "jupyter-lab", str(Path(sys.executable).parent)
    jupyter = shutil.which(name, path=beside) or shutil.which(name)
    if jupyter is None:
        raise typer.BadParameter("JupyterLab is not installed for this Python; run pip install jupyterlab")
    server = subprocess.Popen([jupyter, *([str(notebook)] if notebook else [])])
    while server.poll() is None:
        with contextlib.suppress(KeyboardInterrupt):  # JupyterLab gets it too, asks, and ends its kernels
            server.wait()
    raise typer.Exit(server.returncode if server.returncode >= 0 else 128 - server.returncode)


def main() -> None:
    """Run the command line; our own errors, and those of the file system, are one line, not a traceback."""
    take_any_character()
    with contextlib.redirect_stderr(Notices(sys.stderr)):
        _run()


def _run() -> None:
    try:
        app()
    except KeyboardInterrupt:  # before a command runs
        echo("interrupted", err=True)
        raise SystemExit(130) from None
    except (MswinVizError, OSError) as problem:
        words = " ".join(line.strip() for line in shown_text(problem, keep="\n").splitlines())
        words = f"{type(problem).__name__}: {words}"
        echo(typer.style(words, fg="red") if sys.stderr.isatty() else words, err=True)
        raise SystemExit(1) from None
