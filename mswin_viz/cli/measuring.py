"""Commands that measure: ``evaluate``, ``controls`` and ``ablate``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mswin_viz.cli.checks import (
    at_least,
    check_apart,
    check_seed,
    existing,
    has_no_effect,
    output_file,
    output_folder,
    read_path,
    whole_numbers,
    written_path,
)
from mswin_viz.cli.terminal import echo
from mswin_viz.data.deep_images import checked_range
from mswin_viz.data.file_writing import write_json, write_kept_json
from mswin_viz.data.wardrobe import MOST_PEOPLE
from mswin_viz.errors import OutputError

if TYPE_CHECKING:
    from mswin_viz.model.backbone import Model

__all__ = ["ThermalRange", "ablate", "check_scales", "controls", "cores", "evaluate"]

_OF_PEOPLE, _OF_DATA = ("people", "identities", "seed"), ("cache", "rule", "thermal_range")
_OF_A_RUN = ("model", "data", "seeds", "steps", "scales", "rows", *_OF_DATA, *_OF_PEOPLE)
ThermalRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--thermal-range",
        metavar="LO HI",
        help="With --data: values shown as black and white in images of more than 8 bits; without it each image is stretched by itself.",
    ),
]


def evaluate(
    model: Annotated[str, typer.Option(help="As in load_model().")] = "embedded",
    identities: Annotated[int, typer.Option(help="People of each split, freshly drawn.")] = 150,
    seed: Annotated[int, typer.Option(help="World number; training used world 20000.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as fractions.")] = False,
) -> None:
    """Measure retrieval, zero-shot attributes and captions on people drawn for this run, beside baselines."""
    at_least(2, most=MOST_PEOPLE, identities=identities)
    check_seed(seed)
    from mswin_viz.analysis.evaluation import evaluate_model
    from mswin_viz.analysis.evaluation_table import table
    from mswin_viz.model.loading import load_model

    found = evaluate_model(load_model(model), identities=identities, seed=seed, workers=cores())
    stored = found.as_json()
    _show(json.dumps(stored, indent=1) if as_json else table(found), stored, "evaluation.json")


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
    at_least(1, steps=steps)
    at_least(1, most=MOST_PEOPLE, people=people, identities=identities)
    check_seed(seed)
    from mswin_viz.analysis.controls import Trial, run_trial
    from mswin_viz.analysis.controls_report import as_json as nested
    from mswin_viz.analysis.controls_report import table
    from mswin_viz.model.loading import load_model
    from mswin_viz.model.training import Schedule

    trial = Trial(people, identities, seed, seeds, trained_on, Schedule(steps))
    found = run_trial(load_model(model, addon=None), trial, workers=cores())
    stored = nested(found, trial)
    _show(json.dumps(stored, indent=1) if as_json else table(found, trial), stored, "controls.json")


def ablate(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="As in load_model().")] = "embedded",
    data: Annotated[
        Path | None,
        typer.Option(
            parser=read_path,
            metavar="PATH",
            help="Data set with a training and a test split; else people drawn.",
        ),
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
    cache: Annotated[
        Path | None,
        typer.Option(parser=written_path, metavar="FOLDER", help="With --data: folder that keeps tokens."),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="With --data: what a query leaves out: camera, scene or none; the data set's own rule if not given."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(parser=written_path, metavar="FILE", help="Store everything measured as JSON."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as fractions.")] = False,
    markdown: Annotated[
        Path | None,
        typer.Option(
            parser=read_path, metavar="FILE", help="Run nothing: print the tables of a stored JSON."
        ),
    ] = None,
    brief: Annotated[bool, typer.Option("--brief", help="One table, modalities together.")] = False,
    thermal_range: ThermalRange = None,
) -> None:
    """Fill the ablation table: single scales, pairs, all, scheme 2, initialisations, controls without windows."""
    out = output_file(out, "out", endings=(".json",), inputs=(data, markdown, model))
    if markdown is not None:
        has_no_effect(context, _OF_A_RUN, "with --markdown, which runs nothing")
        from mswin_viz.analysis.stored_results import stored_ablation

        found = stored_ablation(existing(markdown, "markdown"))
    else:
        has_no_effect(
            context,
            _OF_DATA if data is None else _OF_PEOPLE,
            f"with{'out' * (data is None)} --data",
        )
        at_least(1, seeds=seeds, steps=steps)
        at_least(1, most=MOST_PEOPLE, people=people, identities=identities)
        check_seed(seed)
        checked_range(thermal_range)
        data = existing(data, "data")
        cache = output_folder(cache, "cache", inputs=(data, model))
        check_apart(out=out, cache=cache)
        names = tuple(name.strip() for name in rows.split(",")) if rows else None
        found = _ablated(
            model,
            data or (people, identities, seed),
            (whole_numbers(scales, "scales"), seeds, steps, names),
            _DataOptions(cache, rule, thermal_range),
        )
    not_stored = None if out is None else _not_stored(found, out)
    from mswin_viz.analysis import ablation_words

    words = ablation_words.brief if brief else ablation_words.full
    _show(json.dumps(found, indent=1) if as_json else words(found), found, "ablation.json")
    if not_stored is not None:
        raise not_stored


def _show(words: str, found: dict[str, Any], name: str) -> None:
    """Print a result; where its place is full, keep it elsewhere, and say so."""
    try:
        echo(words)
    except OutputError as problem:
        raise OutputError(f"{problem}; the result is kept in {write_kept_json(name, found)}") from problem


def _not_stored(found: dict[str, Any], out: Path) -> OutputError | None:
    """Store a result that took hours; where that has become impossible, keep it elsewhere, and the error that says so."""
    try:
        write_json(out, found)
    except OutputError as problem:
        try:
            kept = f"the result is kept in {write_kept_json(out.name, found)}"
        except OutputError:
            echo(json.dumps(found))
            kept = "the result is the JSON on standard output"
        return OutputError(f"{problem}; {kept}")
    return None


class _DataOptions(NamedTuple):
    """What `ablate` is told of a data set."""

    cache: Path | None
    rule: str | None
    thermal_range: tuple[float, float] | None


def _ablated(
    model: str,
    on: Path | tuple[int, int, int],
    plan: tuple[tuple[int, ...], int, int, tuple[str, ...] | None],
    options: _DataOptions,
) -> dict[str, Any]:
    """What `ablate` measures: a data set, or people drawn for the run (how many, and of which world)."""
    from mswin_viz.analysis.ablation_run import People, ablate_people, ablate_samples, checked_samples
    from mswin_viz.analysis.ablation_table import AblationPlan
    from mswin_viz.data.layouts import samples as read_samples
    from mswin_viz.model.loading import load_model
    from mswin_viz.model.training import Schedule

    scales, seeds, steps, rows = plan
    wanted = AblationPlan(scales, seeds, Schedule(steps), rows)
    subjects = read_samples(on) if isinstance(on, Path) else People(*on)
    if not isinstance(subjects, People):
        for note in checked_samples(subjects, options.rule)[2]:
            echo(note, err=True)
    encoder = load_model(model, addon=None, thermal_range=options.thermal_range)
    check_scales(encoder, scales)
    if isinstance(subjects, People):
        return ablate_people(encoder, wanted, subjects, workers=cores())
    return ablate_samples(encoder, subjects, wanted, folder=options.cache, rule=options.rule)


def check_scales(model: Model, scales: Sequence[int]) -> None:
    """Refuse a window that is longer than the model's picture: nothing would train it.

    Raises
    ------
    ScaleError
        Naming the scale and the grid.
    """
    from mswin_viz.analysis.windows import windows

    for scale in scales:
        windows(model.grid, scale)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
