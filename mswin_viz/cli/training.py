"""Commands that train: ``train`` and ``train-embedded``."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from mswin_viz.cli.checks import (
    at_least,
    check_apart,
    check_not_read,
    check_seed,
    existing,
    has_no_effect,
    to_read,
    to_write,
    whole_numbers,
    written_path,
)
from mswin_viz.cli.measuring import ThermalRange, check_scales
from mswin_viz.cli.own_addons import checked_import
from mswin_viz.cli.shared_options import answer, note, say_left_out
from mswin_viz.cli.tag_options import TAG_OPTIONS, tag_choice
from mswin_viz.cli.terminal import echo
from mswin_viz.data.images.deep_images import checked_range
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.data.storage.file_writing import remove_file
from mswin_viz.data.storage.output_checks import output_file, output_folder
from mswin_viz.data.storage.temporary_folders import temporary_folder
from mswin_viz.data.storage.worker_processes import cores
from mswin_viz.data.synthetic.identity import MOST_PEOPLE
from mswin_viz.errors import OutputError

if TYPE_CHECKING:
    from mswin_viz.analysis.experiments.addon_training import AddonPlan, FittedAddon
    from mswin_viz.data.sample import Sample
    from mswin_viz.model.encoder.backbone import Model
    from mswin_viz.model.training.labelled_tokens import LabelledTokens

_BUSY = "only one training may write {} at a time: another program is writing it; wait until it ends, or choose another"


def train(
    context: typer.Context,
    out: Annotated[
        Path, to_write("FILE", "File for the add-on: .safetensors, or any other ending for torch.save.")
    ],
    data: Annotated[Path | None, to_read("PATH", "Data set; without it, people are drawn.")] = None,
    model: Annotated[str, typer.Option(help="Model that makes the tokens, as in load_model().")] = "embedded",
    scales: Annotated[str, typer.Option(help="Scales of the add-on, separated by commas.")] = "4,8,16",
    modality: Annotated[
        str, typer.Option(help="shared: one add-on for all modalities; per: one for each.")
    ] = "shared",
    seed: Annotated[int, typer.Option(help="Decides initial weights, batches, and who is held out.")] = 0,
    steps: Annotated[int, typer.Option(help="Batches of 16 identities x 4 images.")] = 300,
    learning_rate: Annotated[
        float, typer.Option(help="Learning rate of AdamW; decays along a cosine.")
    ] = 3.5e-4,
    validation: Annotated[float, typer.Option(help="Fraction of identities held out; 0 for none.")] = 0.2,
    patience: Annotated[int, typer.Option(help="Validations without a new best before training stops.")] = 6,
    state: Annotated[Path | None, to_write("FILE", "File to resume from; by default OUT.state.")] = None,
    cache: Annotated[Path | None, to_write("FOLDER", "Folder that keeps tokens for the next run.")] = None,
    people: Annotated[int, typer.Option(help="Without --data: how many are drawn, 5 shots each.")] = 300,
    rule: Annotated[
        str | None,
        typer.Option(
            help="With --data: what a validation query leaves out: camera, scene or none; scene if all samples have one, else camera."
        ),
    ] = None,
    layout: Annotated[
        str, typer.Option(help="Keys of the file: host, host-dropout (fusion.3) or bare.")
    ] = "host",
    addon: Annotated[
        str | None,
        typer.Option(
            help="What to train in place of scheme 1: scheme-2, or PACKAGE.MODULE:NAME, your own torch module. Importing it "
            "runs its code; the current folder is searched, too. OUT then holds the module's own state dict."
        ),
    ] = None,
    thermal_range: ThermalRange = None,
) -> None:
    """Train an add-on on frozen tokens and write it for the host model; run again to resume."""
    if data is None:
        has_no_effect(context, ("cache", "rule", "thermal_range", *TAG_OPTIONS), "without --data")
    else:
        has_no_effect(context, ("people",), "with --data")
    if addon is not None:
        has_no_effect(
            context, ("layout",) if addon == "scheme-2" else ("layout", "scales"), f"with --addon {addon}"
        )
        layout = "bare"
    at_least(1, steps=steps, patience=patience)
    at_least(1, most=MOST_PEOPLE, people=people)
    check_seed(seed)
    checked_range(thermal_range)
    wanted = whole_numbers(scales, "scales")
    data = data and existing(data, "--data")
    out, kept, cache = _outputs(out, state, cache, inputs=(data, model))
    if addon not in (None, "scheme-2"):
        checked_import(addon, remedy="or scheme-2")
    from mswin_viz.analysis.experiments.addon_training import AddonPlan, fit_addons, state_file
    from mswin_viz.analysis.measures.head_retrieval import held_out
    from mswin_viz.model.loading import load_model
    from mswin_viz.model.training.run import Schedule
    from mswin_viz.model.weights.addon_files import file_words

    schedule = Schedule(steps, learning_rate, patience=patience)
    plan = AddonPlan(wanted, modality, seed, validation, schedule, addon)
    file = _file_of(out, "shared" if modality == "shared" else "MODALITY")
    words = file_words(file, layout) if addon is None else file_words(file, layout, keys=f"of {addon}")
    samples = _training_samples(data, plan, rule, out=out)
    if samples is None and validation:
        held_out(range(people), fraction=validation, seed=seed)
    context.with_resource(locked(out, busy=_BUSY.format(out)))  # until the command ends
    encoder = load_model(model, addon=None, thermal_range=thermal_range)
    if addon in (None, "scheme-2"):
        check_scales(encoder, wanted)
    _check_space(encoder, plan, out, kept)
    note(f"will write {words}")
    world = _training_world(encoder, samples, plan.token_scales, cache=cache, people=people, rule=rule)
    note(
        f"{counted(len(world), 'samples')} of {counted(len(set(world.pids.tolist())), 'identities')} in {', '.join(world.tokens)}"
    )
    try:
        fitted = fit_addons(world, plan, state=kept)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; the same command resumes from {kept}") from None
    for each in fitted:
        try:
            _write(each, _file_of(out, each.name), layout)
        except OutputError as problem:
            raise OutputError(
                f"{problem}; nothing is lost: run the same command with another --out and --state {kept} to write it"
            ) from problem
        if state is None and (file := state_file(kept, each.name)) is not None:
            remove_file(file)
    answer([_record(each, _file_of(out, each.name)) for each in fitted])


def _file_of(out: Path, name: str) -> Path:
    """Where one add-on goes: with one for each modality, its name is put into the file's."""
    return out if name == "shared" else out.with_name(f"{out.stem}_{name}{out.suffix}")


def _outputs(
    out: Path, state: Path | None, cache: Path | None, *, inputs: tuple[Path | str | None, ...]
) -> tuple[Path, Path, Path | None]:
    """Where the add-on, the state and the tokens go, all of them checked."""
    out = output_file(out, "--out", inputs=inputs)
    # a state may lie beside what is read: one of another kind is refused when it is read
    files = [path for path in inputs if path is not None and not os.path.isdir(path)]
    kept = output_file(state or out.with_name(f"{out.name}.state"), "--state", inputs=files)
    cache = cache and output_folder(cache, "--cache", inputs=inputs)
    check_apart(out=out, state=kept, cache=cache)
    return out, kept, cache


def _check_space(model: Model, plan: AddonPlan, out: Path, state: Path) -> None:
    """Room for every file of weights and its state, which holds four times as much: weights, the best, and two moments."""
    from mswin_viz.analysis.experiments.addon_training import state_file
    from mswin_viz.model.training.heads import addon_head
    from mswin_viz.model.weights.addon_files import addon_bytes, module_bytes

    names, source = ("shared",) if plan.modality == "shared" else MODALITIES, plan.source(model.dim)
    n_bytes = len(names) * (
        addon_bytes(model.dim, plan.scales)
        if source is None
        else module_bytes(addon_head(source, model.dim, math.prod(model.grid)))
    )
    for name in names:
        output_file(_file_of(out, name), "--out", n_bytes=n_bytes)
        if (file := state_file(state, name)) is not None:
            output_file(file, "--state", n_bytes=4 * n_bytes)


def _training_samples(
    data: Path | None, plan: AddonPlan, rule: str | None, *, out: Path
) -> list[Sample] | None:
    """The training split of a data set (all of it where it has no such split), checked for validation; None for drawn people."""
    from mswin_viz.analysis.experiments.addon_training import training_notes
    from mswin_viz.data.sets.layouts import samples as read_samples

    if data is None:
        return None
    samples = read_samples(data, **tag_choice())
    check_not_read(out, "--out", samples)
    training = [sample for sample in samples if sample.split == "train"]
    if not training:
        there = ", ".join(sorted({sample.split or "no split" for sample in samples}))
        echo(f"{data} has no training split: training on all of it ({there})", err=True)
    for words in training_notes(training or samples, plan, rule=rule):
        echo(words, err=True)
    return training or list(samples)


def _training_world(
    model: Model,
    samples: list[Sample] | None,
    scales: tuple[int, ...],
    *,
    cache: Path | None,
    people: int,
    rule: str | None,
) -> LabelledTokens:
    from mswin_viz.analysis.experiments.sample_tokens import sample_tokens
    from mswin_viz.data.synthetic.crowd import Crowd
    from mswin_viz.model.training.labelled_tokens import labelled_tokens, token_layout

    if samples is None:
        crowd, folder = Crowd(people, 2, shots=2), None
        if not scales:  # eight times as many tokens: on disk
            n_bytes = token_layout(model, len(crowd), MODALITIES).n_bytes
            folder = temporary_folder("mswin_viz_tokens_", n_bytes=n_bytes)
        world = labelled_tokens(model, crowd, scales=scales, folder=folder, workers=cores())
        return world.part(np.arange(len(world)) % 8 < 5)
    world, left_out = sample_tokens(model, samples, scales=scales, folder=cache, rule=rule)
    say_left_out(((failure.path, failure.reason) for failure in left_out), is_in_json=False)
    return world


def _write(fitted: FittedAddon, path: Path, layout: str) -> None:
    from mswin_viz.model.weights.addon_files import save_addon

    save_addon(fitted.trained.addon, path, layout=layout)
    log = fitted.trained.log
    words = f"weights of step {log.best_step}{', stopped early' if log.stopped_early else ''}"
    if not np.isnan(fitted.enhanced_mAP):
        words += (
            f"; mAP of held-out identities {100 * fitted.plain_mAP:.1f} with plain CLS, "
            f"{100 * fitted.enhanced_mAP:.1f} with the add-on"
        )
    note(f"{path} ({fitted.name}): {words}")


def _record(fitted: FittedAddon, path: Path) -> dict[str, object]:
    """What became of a training, for ``--json``; null where nobody was held out."""
    scores = {"plain_mAP": fitted.plain_mAP, "enhanced_mAP": fitted.enhanced_mAP}
    return {
        "file": shown_text(path),
        "modality": fitted.name,
        "best_step": fitted.trained.log.best_step,
        "stopped_early": fitted.trained.log.stopped_early,
        **{name: None if np.isnan(score) else float(score) for name, score in scores.items()},
    }


def train_embedded(
    context: typer.Context,
    work: Annotated[
        Path,
        typer.Argument(
            parser=written_path,
            metavar="WORK",
            help="Folder for pictures, resumable state and the finished model.",
        ),
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
    if steps is not None:
        at_least(1, steps=steps)
    work = output_folder(work, "WORK")
    from mswin_viz.model.loading import checked_device
    from mswin_viz.model.pretraining.make_embedded import finished_folder, train_embedded_model
    from mswin_viz.model.pretraining.recipe import Recipe

    recipe = Recipe(precision=precision)
    checked_device(device)
    finished_folder(work)
    context.with_resource(locked(work / "embedded", busy=_BUSY.format(work)))  # until the command ends
    folder = train_embedded_model(recipe if steps is None else recipe.scaled(steps), work, device=device)
    note(f"finished model: {folder}")
    answer({"folder": shown_text(folder)})
