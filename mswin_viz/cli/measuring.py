"""Commands that measure: ``evaluate`` and ``controls``."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

__all__ = ["controls", "cores", "evaluate"]


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

    found = evaluate_model(load_model(model), identities=identities, seed=seed, workers=cores())
    typer.echo(json.dumps(found.as_json(), indent=1) if as_json else table(found))


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
    found = run_trial(load_model(model, addon=None), trial, workers=cores())
    typer.echo(json.dumps(nested(found, trial), indent=1) if as_json else table(found, trial))


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
