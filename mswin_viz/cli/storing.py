"""The commands about a store: ``extract`` fills one, ``export`` writes its rows for other tools."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mswin_viz.cli.checks import (
    at_least,
    existing,
    has_no_effect,
    read_path,
    to_read,
    whole_numbers,
    written_path,
)
from mswin_viz.cli.measuring import ModelName, ThermalRange
from mswin_viz.cli.own_addons import AddonWeights, AnyAddon, chosen_addon
from mswin_viz.cli.shared_options import answer, note, say_left_out
from mswin_viz.cli.tag_options import tag_choice
from mswin_viz.data.images.deep_images import checked_range
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from mswin_viz.analysis.embeddings.store import Store


def extract(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            parser=read_path, metavar="ROOT", help="A data set, a folder of images, or a CSV table."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", parser=read_path, metavar="STORE", help="The folder of the store."),
    ] = None,
    layout: Annotated[str, typer.Option(help="Layout of the data set, as in mswin_viz.samples().")] = "auto",
    split: Annotated[str | None, typer.Option(help="One split only: train, test, query or gallery.")] = None,
    model: ModelName = "embedded",
    addon: AnyAddon = None,
    addon_weights: AddonWeights = None,
    thermal_range: ThermalRange = None,
    modalities: Annotated[
        str, typer.Option(help="Which images of each sample, with commas between them.")
    ] = ",".join(MODALITIES),
    tokens: Annotated[
        str,
        typer.Option(
            help="What is kept of the patch tokens: none, summaries (means over windows' phases and rows) or all."
        ),
    ] = "summaries",
    dtype: Annotated[str, typer.Option(help="Of the features: float32 or float16.")] = "float32",
    token_dtype: Annotated[str, typer.Option(help="Of the tokens: float16 or float32.")] = "float16",
    scales: Annotated[
        str | None,
        typer.Option(help="Window scales that the kept means serve; those of the add-on if left out."),
    ] = None,
    shard_images: Annotated[int, typer.Option(help="About how many images make a shard.")] = 10_000,
    batch_size: Annotated[
        int | None, typer.Option(help="Images in one pass; 32, on a GPU 256, if left out.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that open files; one less than the cores if left out.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="About how many images at most: the first samples.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="local, or ray to share the shards on a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="With --engine ray: of a cluster that is running.")
    ] = None,
    actors: Annotated[int, typer.Option(help="With --engine ray: how many share the work.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how long it takes and how large it gets; write nothing.")
    ] = False,
) -> None:
    """Embed every image of a data set into a store, a folder of Parquet files; run it again to go on where it ended."""
    if out is None and not dry_run:
        raise OptionError("a store needs a folder: name it with --out STORE")
    if engine != "ray":
        has_no_effect(context, ("address", "actors"), "without --engine ray")
    at_least(1, shard_images=shard_images, actors=actors, **{} if limit is None else {"limit": limit})
    source = existing(source, "ROOT")
    checked_range(thermal_range)
    chosen = chosen_addon(addon, addon_weights and existing(addon_weights, "--addon-weights"))
    options: dict[str, Any] = {
        "modalities": tuple(name.strip() for name in modalities.split(",")),
        "tokens": tokens,
        "dtype": dtype,
        "token_dtype": token_dtype,
        "scales": scales and whole_numbers(scales, "scales"),
        "shard_images": shard_images,
        "batch_size": batch_size,
        "workers": workers,
        "limit": limit,
        "engine": engine,
        "address": address,
        "actors": actors,
    }
    from mswin_viz.analysis.extraction.estimate import estimate_extraction
    from mswin_viz.analysis.extraction.extract import extract as fill
    from mswin_viz.data.sets.layouts import samples
    from mswin_viz.model.loading import load_model

    read = samples(source, layout, split, **tag_choice())
    encoder = load_model(model, addon=chosen, thermal_range=thermal_range)
    if dry_run:
        estimate = estimate_extraction(read, model=encoder, store=out, **options)
        answer(asdict(estimate), lambda: str(estimate))
        return
    store = fill(read, out or Path(), model=encoder, **options)
    about = _about(store)
    say_left_out((failed["path"], failed["reason"]) for failed in about["failed"])
    answer(about, lambda: _words(about))


def export(
    store: Annotated[
        Path, typer.Argument(parser=read_path, metavar="STORE", help="A store, as extract writes it.")
    ],
    to: Annotated[
        str, typer.Option(help="The tool that opens the files: atlas, fiftyone, lancedb, faiss or csv.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            parser=written_path,
            metavar="OUT",
            help="The folder to write; an earlier export there is replaced.",
        ),
    ],
    root: Annotated[Path | None, to_read("FOLDER", "Where the data set lies now, if it was moved.")] = None,
    images: Annotated[
        bool, typer.Option("--images", help="With --to atlas: put the pictures into the file.")
    ] = False,
) -> None:
    """Write a store's rows as files that another tool opens."""
    from mswin_viz.analysis.embeddings.store import open_store
    from mswin_viz.analysis.embeddings.store_export import export_store
    from mswin_viz.data.exports.export_record import read_export_record
    from mswin_viz.data.tags.choice import chosen_rows

    opened = open_store(existing(store, "STORE"), root=root and existing(root, "--root"))
    choice = tag_choice()
    opened = chosen_rows(opened, **choice)
    if not opened.is_complete:
        note(f"the store is not complete, what is done is exported: {opened!r}")
    record = read_export_record(export_store(opened, out, to=to, images=images, tags=choice.get("tags")))
    failures = (
        f"; {counted(record.n_failed, 'images have', 'image has')} no features" if record.n_failed else ""
    )
    answer(
        record.model_dump() | {"folder": shown_text(out)},
        lambda: (
            f"{shown_text(out)}: {counted(record.n_images, 'images')} in {', '.join(record.files)}{failures}"
        ),
    )


def _about(store: Store) -> dict[str, Any]:
    failed = store.failed.to_pylist()
    return {
        "store": shown_text(store.folder),
        "images": store.n_rows,
        "failed": [{name: row[name] for name in ("path", "modality", "reason")} for row in failed],
        "shards": len(store.commits),
        "n_bytes": sum(c.manifest.n_bytes + (c.tokens.n_bytes if c.tokens else 0) for c in store.commits),
    }


def _words(about: dict[str, Any]) -> str:
    n_failed = len(about["failed"])
    failures = f"; {n_failed:,} could not be used" if n_failed else ""
    shards = f"{counted(about['shards'], 'shards')}"
    return f"{about['store']}: {counted(about['images'], 'images')} in {shards}, {about['n_bytes']:,} bytes{failures}"
