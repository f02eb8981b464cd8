"""Command line: ``mswin-viz samples | evaluate | controls | train-embedded | lab``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from mswin_viz.errors import MswinVizError

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def samples(
    out: Path,
    identities: Annotated[int, typer.Option(help="How many people.")] = 24,
    cameras: Annotated[int, typer.Option(help="Cameras, at most 4.")] = 4,
    shots: Annotated[int, typer.Option(help="Shots of each person in each camera.")] = 2,
    seed: Annotated[int, typer.Option(help="World number.")] = 0,
    look_alikes: Annotated[
        bool, typer.Option("--look-alikes", help="Groups of four who differ in one small thing.")
    ] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Also draw a contact sheet of the first 32 people into this file.")
    ] = None,
) -> None:
    """Draw synthetic pedestrians in RGB, near and thermal infrared, in the layout of RGBNT201."""
    from mswin_viz.data.contact_sheet import contact_sheet
    from mswin_viz.data.layouts import samples as read_samples
    from mswin_viz.data.sample_files import write_samples

    root = write_samples(
        out, identities=identities, cameras=cameras, shots=shots, seed=seed, lookalikes=look_alikes
    )
    typer.echo(f"{identities * cameras * shots} shots in three modalities: {root}")
    if sheet is not None:
        each, found = cameras * shots, read_samples(root)
        contact_sheet([found[n * each + n % each] for n in range(min(identities, 32))]).save(sheet)
        typer.echo(f"contact sheet of the first people: {sheet}")


@app.command()
def evaluate(
    model: Annotated[str, typer.Option(help="As in load_model().")] = "embedded",
    identities: Annotated[int, typer.Option(help="People of each split, freshly drawn.")] = 150,
    seed: Annotated[int, typer.Option(help="World number; training used world 20000.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as fractions.")] = False,
) -> None:
    """Measure retrieval, zero-shot attributes and captions on people drawn for this run, beside baselines."""
    from mswin_viz.analysis.evaluation import evaluate_model
    from mswin_viz.analysis.evaluation_table import table
    from mswin_viz.model.backbone import load_model

    found = evaluate_model(load_model(model), identities=identities, seed=seed, workers=_cores())
    typer.echo(json.dumps(found.as_json(), indent=1) if as_json else table(found))


@app.command()
def controls(
    model: Annotated[str, typer.Option(help="As in load_model().")] = "embedded",
    seeds: Annotated[int, typer.Option(help="Training runs of each head.")] = 5,
    people: Annotated[int, typer.Option(help="People the heads are trained on, of world SEED + 1.")] = 300,
    identities: Annotated[int, typer.Option(help="People of each split they are measured on.")] = 150,
    seed: Annotated[int, typer.Option(help="World number; training used worlds 20000 and 20001.")] = 1,
    steps: Annotated[int, typer.Option(help="Training steps of each head.")] = 300,
    trained_on: Annotated[str, typer.Option(help="standard, look_alikes or both.")] = "standard",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as fractions.")] = False,
) -> None:
    """Train the windows, and heads of their size without windows, on frozen tokens; say which is better."""
    from mswin_viz.analysis.controls import Trial, run_trial
    from mswin_viz.analysis.controls_report import as_json as nested
    from mswin_viz.analysis.controls_report import table
    from mswin_viz.model.backbone import load_model
    from mswin_viz.model.training import Schedule

    trial = Trial(people, identities, seed, seeds, trained_on, Schedule(steps))
    found = run_trial(load_model(model, addon=None), trial, workers=_cores())
    typer.echo(json.dumps(nested(found, trial), indent=1) if as_json else table(found, trial))


@app.command("train-embedded")
def train_embedded(
    work: Annotated[
        Path, typer.Argument(help="Folder for pictures, resumable state and the finished model.")
    ],
    steps: Annotated[
        int | None,
        typer.Option(
            help="Training steps of the CLIP, the recipe's if not given; the schedules stretch with them."
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="bfloat16 as shipped, or float32: faster where there are no bfloat16 units.")
    ] = "bfloat16",
    device: Annotated[str, typer.Option(help="A torch device.")] = "cpu",
) -> None:
    """Train the embedded CLIP and its add-on from scratch (hours on a laptop); run again to resume."""
    from mswin_viz.model.embedding import train_embedded_model
    from mswin_viz.model.recipe import Recipe

    recipe = Recipe(precision=precision)
    folder = train_embedded_model(recipe if steps is None else recipe.scaled(steps), work, device=device)
    typer.echo(f"finished model: {folder}")


@app.command()
def lab(notebook: Annotated[str, typer.Argument(help="A notebook to open.")] = "") -> None:
    """Open JupyterLab."""
    jupyter = shutil.which("jupyter-lab", path=str(Path(sys.executable).parent)) or shutil.which(
        "jupyter-lab"
    )
    if jupyter is None:
        raise typer.BadParameter("JupyterLab is not installed beside this Python; pip install jupyterlab")
    raise typer.Exit(subprocess.call([jupyter, *([notebook] if notebook else [])]))


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Run the command line; our own errors are one line, not a traceback."""
    try:
        app()
    except MswinVizError as problem:
        typer.secho(f"{type(problem).__name__}: {problem}", err=True, fg="red")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
