"""Commands that measure: ``evaluate``, ``controls`` and ``ablate``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from mswin_viz.errors import OptionError

__all__ = ["ablate", "controls", "cores", "evaluate", "whole_numbers"]


def evaluate(
    model: Annotated[str, typer.Option(help="As in load_model().")] = "embedded",
    identities: Annotated[int, typer.Option(help="People of each split, freshly drawn.")] = 150,
    seed: Annotated[int, typer.Option(help="World number; training used world 20000.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as fractions.")] = False,
) -> None:
    """Measure retrieval, zero-shot attributes and captions on people drawn for this run, beside baselines."""
    from mswin_viz.analysis.evaluation import evaluate_model
    from mswin_viz.analysis.evaluation_table import table
    from mswin_viz.model.loading import load_model

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
    from mswin_viz.model.loading import load_model
    from mswin_viz.model.training import Schedule

    trial = Trial(people, identities, seed, seeds, trained_on, Schedule(steps))
    found = run_trial(load_model(model, addon=None), trial, workers=cores())
    typer.echo(json.dumps(nested(found, trial), indent=1) if as_json else table(found, trial))


def ablate(
    model: Annotated[str, typer.Option(help="As in load_model().")] = "embedded",
    data: Annotated[
        Path | None, typer.Option(help="Data set with a training and a test split; else people drawn.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Training runs of each head.")] = 3,
    steps: Annotated[int, typer.Option(help="Training steps of each head.")] = 200,
    scales: Annotated[str, typer.Option(help="Window lengths of the full add-on, with commas.")] = "4,8,16",
    people: Annotated[int, typer.Option(help="Without --data: people trained on, of world SEED + 1.")] = 300,
    identities: Annotated[
        int, typer.Option(help="Without --data: people of each test split, of world SEED.")
    ] = 150,
    seed: Annotated[int, typer.Option(help="Without --data: world number.")] = 1,
    rows: Annotated[str, typer.Option(help="Only these rows, with commas; all if not given.")] = "",
    cache: Annotated[Path | None, typer.Option(help="With --data: folder that keeps tokens.")] = None,
    out: Annotated[Path | None, typer.Option(help="Store everything measured as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as fractions.")] = False,
    markdown: Annotated[
        Path | None, typer.Option(help="Run nothing: print the tables of a stored JSON.")
    ] = None,
    brief: Annotated[bool, typer.Option("--brief", help="One table, modalities together.")] = False,
) -> None:
    """Fill the ablation table: single scales, pairs, all, scheme 2, initialisations, controls without windows."""
    from mswin_viz.analysis import ablation_words
    from mswin_viz.analysis.ablation_run import People, ablate_people, ablate_samples
    from mswin_viz.analysis.ablation_table import AblationPlan
    from mswin_viz.data.layouts import samples as read_samples
    from mswin_viz.model.loading import load_model
    from mswin_viz.model.training import Schedule

    if markdown is not None:
        found = json.loads(markdown.read_text(encoding="utf-8"))
    else:
        plan = AblationPlan(
            whole_numbers(scales, "scales"), seeds, Schedule(steps), tuple(rows.split(",")) if rows else None
        )
        encoder = load_model(model, addon=None)
        if data is None:
            found = ablate_people(encoder, plan, People(people, identities, seed), workers=cores())
        else:
            found = ablate_samples(encoder, read_samples(data), plan, folder=cache)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    words = ablation_words.brief if brief else ablation_words.full
    typer.echo(json.dumps(found, indent=1) if as_json else words(found))


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def whole_numbers(text: str, name: str) -> tuple[int, ...]:
    """Numbers with commas between them."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"{name} are whole numbers with commas between them: got {text!r}") from None
