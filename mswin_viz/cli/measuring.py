"""Commands that measure: ``evaluate``, ``controls`` and ``ablate``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mswin_viz.cli.checks import (
    at_least,
    check_apart,
    check_seed,
    existing,
    has_no_effect,
    to_read,
    to_write,
    whole_numbers,
)
from mswin_viz.cli.own_addons import AddonWeights, AnyAddon, OwnAddon, checked_import, chosen_addon
from mswin_viz.cli.shared_options import answer
from mswin_viz.cli.tag_options import TAG_OPTIONS, tag_choice
from mswin_viz.cli.terminal import echo
from mswin_viz.data.images.deep_images import checked_range
from mswin_viz.data.storage.file_writing import write_json
from mswin_viz.data.storage.output_checks import output_file, output_folder
from mswin_viz.data.storage.temporary_folders import write_kept_json
from mswin_viz.data.storage.worker_processes import cores
from mswin_viz.data.synthetic.identity import MOST_PEOPLE
from mswin_viz.errors import OutputError

if TYPE_CHECKING:
    from mswin_viz.analysis.experiments.ablation_run import People
    from mswin_viz.analysis.experiments.ablation_table import AblationPlan
    from mswin_viz.model.encoder.backbone import Model

_OF_PEOPLE, _OF_DATA = (
    ("people", "identities", "seed", "trained_on"),
    ("cache", "rule", "thermal_range", *TAG_OPTIONS),
)
_OF_A_RUN = ("model", "data", "seeds", "steps", "scales", "rows", "addon", *_OF_DATA, *_OF_PEOPLE)
_SCALES = (4, 8, 16)
ModelName = Annotated[str, typer.Option(help="Which model, as in load_model().")]
Seeds = Annotated[int, typer.Option(help="Training runs of each head.")]
Steps = Annotated[int, typer.Option(help="Training steps of each head.")]
PeopleTrained = Annotated[int, typer.Option(help="People drawn to train on, of world SEED + 1.")]
PeopleMeasured = Annotated[int, typer.Option(help="People drawn for each test split, of world SEED.")]
World = Annotated[
    int, typer.Option(help="World number of the people drawn; the embedded CLIP saw worlds 20000 and 20001.")
]
TrainedOn = Annotated[str, typer.Option(help="People drawn to train on: standard, look_alikes or both.")]
ThermalRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--thermal-range",
        metavar="LO HI",
        help="Of a data set: values shown as black and white in images of more than 8 bits; without it each image is stretched by itself.",
    ),
]


def evaluate(
    model: ModelName = "embedded",
    identities: Annotated[int, typer.Option(help="People of each split, freshly drawn.")] = 150,
    seed: Annotated[
        int, typer.Option(help="World number: which people are drawn; training used world 20000.")
    ] = 1,
    addon: AnyAddon = None,
    addon_weights: AddonWeights = None,
    reranking: Annotated[
        bool,
        typer.Option(
            "--reranking", help="Re-rank every list by k-reciprocal neighbours: k1 20, k2 6, lambda 0.3."
        ),
    ] = False,
) -> None:
    """Measure retrieval, zero-shot attributes and captions on people drawn for this run, beside baselines."""
    at_least(2, most=MOST_PEOPLE, identities=identities)
    check_seed(seed)
    chosen = chosen_addon(addon, addon_weights and existing(addon_weights, "--addon-weights"))
    from mswin_viz.analysis.experiments.evaluation import evaluate_model
    from mswin_viz.analysis.measures.reranking_record import Reranking
    from mswin_viz.model.loading import load_model
    from mswin_viz.view.reports.evaluation_table import table

    evaluation = evaluate_model(
        load_model(model, addon=chosen), identities=identities, seed=seed, workers=cores(),
        reranking=Reranking() if reranking else None,
    )  # fmt: skip
    stored = evaluation.as_json()
    _show(lambda: table(evaluation), stored, "evaluation.json")


def controls(
    model: ModelName = "embedded",
    seeds: Seeds = 3,
    steps: Steps = 200,
    people: PeopleTrained = 300,
    identities: PeopleMeasured = 150,
    seed: World = 1,
    trained_on: TrainedOn = "standard",
) -> None:
    """Do the windows help? The same as ablate --rows windows_4_8_16,mlp_on_cls,mlp_on_mean_patch."""
    _check_counts(seeds, steps, people, identities, seed)
    from mswin_viz.analysis.experiments.ablation_heads import windows_against_controls
    from mswin_viz.analysis.experiments.ablation_run import People

    drawn = People(trained=people, measured=identities, seed=seed, trained_on=trained_on)
    plan = _plan(_SCALES, seeds, steps, windows_against_controls(_SCALES))
    stored = _ablated(model, drawn, plan)
    _show_ablation(stored, brief=False)


def ablate(
    context: typer.Context,
    model: ModelName = "embedded",
    data: Annotated[
        Path | None,
        to_read("PATH", "Data set with a training and a test split; without it, people are drawn."),
    ] = None,
    seeds: Seeds = 3,
    steps: Steps = 200,
    scales: Annotated[str, typer.Option(help="Scales of the full add-on, separated by commas.")] = "4,8,16",
    people: PeopleTrained = 300,
    identities: PeopleMeasured = 150,
    seed: World = 1,
    trained_on: TrainedOn = "standard",
    rows: Annotated[str, typer.Option(help="Only these rows, separated by commas; by default all.")] = "",
    addon: OwnAddon = None,
    cache: Annotated[Path | None, to_write("FOLDER", "With --data: folder that keeps tokens.")] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="With --data: what a query leaves out: camera, scene or none; by default the data set's own rule."
        ),
    ] = None,
    out: Annotated[Path | None, to_write("FILE", "Store everything measured as JSON.")] = None,
    markdown: Annotated[
        Path | None, to_read("FILE", "Run nothing: print the tables of a stored JSON.")
    ] = None,
    brief: Annotated[bool, typer.Option("--brief", help="One table, modalities together.")] = False,
    thermal_range: ThermalRange = None,
) -> None:
    """Fill the ablation table: single scales, pairs, all, scheme 2, initialisations, controls without windows; your module."""
    out = out and output_file(out, "--out", endings=(".json",), inputs=(data, markdown, model))
    if markdown is not None:
        has_no_effect(context, _OF_A_RUN, "with --markdown, which runs nothing")
        from mswin_viz.analysis.experiments.stored_results import stored_ablation

        stored = stored_ablation(existing(markdown, "--markdown"))
    else:
        ignored, why = (_OF_DATA, "without --data") if data is None else (_OF_PEOPLE, "with --data")
        has_no_effect(context, ignored, why)
        _check_counts(seeds, steps, people, identities, seed)
        checked_range(thermal_range)
        data = data and existing(data, "--data")
        cache = cache and output_folder(cache, "--cache", inputs=(data, model))
        check_apart(out=out, cache=cache)
        names = tuple(name.strip() for name in rows.split(",")) if rows else None
        plan = _plan(whole_numbers(scales, "scales"), seeds, steps, names, addon and checked_import(addon))
        from mswin_viz.analysis.experiments.ablation_run import People

        drawn = People(trained=people, measured=identities, seed=seed, trained_on=trained_on)
        stored = _ablated(model, drawn if data is None else _DataSet(data, cache, rule, thermal_range), plan)
    not_stored = None if out is None else _not_stored(stored, out)
    _show_ablation(stored, brief=brief)
    if not_stored is not None:
        raise not_stored


def _check_counts(seeds: int, steps: int, people: int, identities: int, seed: int) -> None:
    """What can be refused before anything is loaded."""
    at_least(1, seeds=seeds, steps=steps)
    at_least(1, most=MOST_PEOPLE, people=people, identities=identities)
    check_seed(seed)


def _show_ablation(stored: dict[str, Any], *, brief: bool) -> None:
    """Print an ablation as tables and sentences, or as JSON with fractions in place of percentages."""
    from mswin_viz.view.reports import ablation_words

    words = ablation_words.ablation_brief if brief else ablation_words.full
    _show(lambda: words(stored), stored, "ablation.json")


def _show(words: Callable[[], str], found: dict[str, Any], name: str) -> None:
    """Print a result; where its place is full, keep it elsewhere, and say so."""
    try:
        answer(found, words)
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


class _DataSet(NamedTuple):
    """A data set to measure on, and how."""

    path: Path
    cache: Path | None
    rule: str | None
    thermal_range: tuple[float, float] | None


def _plan(
    scales: tuple[int, ...], seeds: int, steps: int, rows: tuple[str, ...] | None, addon: str | None = None
) -> AblationPlan:
    from mswin_viz.analysis.experiments.ablation_table import AblationPlan
    from mswin_viz.model.training.run import Schedule

    return AblationPlan(scales, seeds, Schedule(steps), rows, addon)


def _ablated(model: str, subjects: _DataSet | People, plan: AblationPlan) -> dict[str, Any]:
    """What :func:`ablate` measures."""
    from mswin_viz.analysis.experiments.ablation_run import ablate_people, ablate_samples, checked_samples
    from mswin_viz.data.sets.layouts import samples as read_samples
    from mswin_viz.model.loading import load_model

    if not isinstance(subjects, _DataSet):
        encoder = load_model(model, addon=None)
        check_scales(encoder, plan.scales)
        return ablate_people(encoder, plan, subjects, workers=cores())
    samples = read_samples(subjects.path, **tag_choice())
    for note in checked_samples(samples, subjects.rule)[2]:
        echo(note, err=True)
    encoder = load_model(model, addon=None, thermal_range=subjects.thermal_range)
    check_scales(encoder, plan.scales)
    return ablate_samples(encoder, samples, plan, folder=subjects.cache, rule=subjects.rule)


def check_scales(model: Model, scales: Sequence[int]) -> None:
    """Refuse a window that is longer than the model's picture: nothing would train it."""
    from mswin_viz.analysis.windows.geometry import windows

    for scale in scales:
        windows(model.grid, scale)
