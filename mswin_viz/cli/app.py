"""Command line: everything ``mswin-viz`` can do, and how errors are shown."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from typing import Annotated

import typer

from mswin_viz import __version__
from mswin_viz.cli import (
    attributing,
    data,
    finding,
    jupyter,
    measuring,
    occluding,
    ranking,
    rendering,
    storing,
    tagging,
    training,
)
from mswin_viz.cli.shared_options import Command, Commands
from mswin_viz.cli.tag_options import ImageCommand
from mswin_viz.cli.terminal import Notices, echo, take_any_character
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import DataError, MswinVizError

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="See what a CLIP image encoder, and a sliding-window add-on on top of it, look at.",
    epilog="Exit codes: 0, done; 1, an error (one line), or problems found by doctor; 2, a wrong command line; 130, interrupted.",
)
COMMANDS = {
    "lab": (jupyter.lab, "mswin-viz lab analysis.ipynb"),
    "demo": (jupyter.demo, "mswin-viz demo"),
    "doctor": (data.doctor, "mswin-viz doctor --data RGBNT201"),
    "samples": (data.samples, "mswin-viz samples drawn --identities 50 --sheet people.png"),
    "tag": (tagging.tag, "mswin-viz tag RGBNT201 --add 'half hidden' RGBNT201/test/RGB/000258_cam1_0_00.jpg"),
    "extract": (storing.extract, "mswin-viz extract RGBNT201 --out features"),
    "export": (storing.export, "mswin-viz export features --to csv --out tables"),
    "find": (finding.find, "mswin-viz find RGBNT201 --what wrong-identities --out findings"),
    "train": (training.train, "mswin-viz train --data RGBNT201 --out addon.safetensors"),
    "evaluate": (measuring.evaluate, "mswin-viz evaluate --addon addon.safetensors"),
    "ablate": (measuring.ablate, "mswin-viz ablate --seeds 1 --steps 50 --brief"),
    "controls": (measuring.controls, "mswin-viz controls --trained-on both"),
    "occlude": (occluding.occlude, "mswin-viz occlude --data RGBNT201 --figure occlusion.pdf"),
    "attribute": (
        attributing.attribute,
        "mswin-viz attribute photos --out maps --method gradcam --prompt 'a red jacket'",
    ),
    "render": (
        rendering.render,
        "mswin-viz render photos --out heatmaps --format pdf --sheet sheet.png --scale 8",
    ),
    "rank": (ranking.rank, "mswin-viz rank RGBNT201 --out lists --worst 20 --k 10 --modality NI"),
    "train-embedded": (training.train_embedded, "mswin-viz train-embedded work --device cuda"),
}
"""Name -> what it runs, and its example."""
READ_IMAGES = (
    "doctor",
    "extract",
    "export",
    "train",
    "ablate",
    "occlude",
    "attribute",
    "render",
    "rank",
    "find",
)
"""The commands that read images or a store: they take ``--tagged``, ``--without`` and ``--tags``."""
for name, (command, example) in COMMANDS.items():
    handed_on = jupyter.HANDED_ON if name in ("lab", "demo") else {}
    kind = ImageCommand if name in READ_IMAGES else Command
    app.command(name, cls=kind, epilog=f"Example: {example}", context_settings=handed_on)(command)


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


def main() -> None:
    """Run the command line; our own errors, and those of the file system, are one line, not a traceback."""
    take_any_character()
    warnings.formatwarning = _warning_line
    with contextlib.redirect_stderr(Notices(sys.stderr)):
        _run()


def _warning_line(message: Warning | str, *_where: object, **_more: object) -> str:
    return f"warning: {shown_text(message)}\n"


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
