"""Commands about data sets and the installation: ``samples`` and ``doctor``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mswin_viz.cli.checks import (
    at_least,
    check_apart,
    check_seed,
    existing,
    has_no_effect,
    to_read,
    to_write,
    written_path,
)
from mswin_viz.cli.shared_options import answer, note, shared
from mswin_viz.cli.tag_options import TAG_OPTIONS, tag_choice
from mswin_viz.data.sets.contact_sheet import SHEET_ENDINGS
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.storage.output_checks import output_file, output_folder
from mswin_viz.errors import OutputError

if TYPE_CHECKING:
    from mswin_viz.data.sets.report import DataReport
    from mswin_viz.data.store.stored_images import StoredImages


def samples(
    out: Annotated[
        Path,
        typer.Argument(
            parser=written_path, metavar="OUT", help="Folder in which to create RGBNT201/; made if missing."
        ),
    ],
    identities: Annotated[int, typer.Option(help="How many people to draw.")] = 24,
    cameras: Annotated[int, typer.Option(help="How many cameras, at most 4.")] = 4,
    shots: Annotated[int, typer.Option(help="Shots of each person by each camera.")] = 2,
    seed: Annotated[int, typer.Option(help="World number; a different number draws different people.")] = 0,
    look_alikes: Annotated[
        bool, typer.Option("--look-alikes", help="Draw groups of four people who differ in one small detail.")
    ] = False,
    sheet: Annotated[
        Path | None, to_write("FILE", "Also write a contact sheet of the first 32 people to this file.")
    ] = None,
) -> None:
    """Draw synthetic pedestrians in RGB, near and thermal infrared, in the layout of RGBNT201."""
    check_seed(seed)
    out = output_folder(out, "OUT")
    sheet = sheet and output_file(sheet, "--sheet", endings=SHEET_ENDINGS)
    check_apart(OUT=out, sheet=sheet)
    if sheet is not None and (out / "RGBNT201").resolve() in sheet.resolve().parents:
        raise OutputError(
            f"--sheet must lie outside the samples: {sheet} is in {out / 'RGBNT201'}; choose another folder"
        )
    from mswin_viz.data.sets.contact_sheet import contact_sheet, save_sheet
    from mswin_viz.data.sets.layouts import samples as read_samples
    from mswin_viz.data.synthetic.write_samples import write_samples

    root = write_samples(
        out, identities=identities, cameras=cameras, shots=shots, seed=seed, lookalikes=look_alikes
    )
    note(f"{counted(identities * cameras * shots, 'shots')} in three modalities: {root}")
    if sheet is not None:
        each, drawn = cameras * shots, read_samples(root)
        save_sheet(contact_sheet([drawn[n * each + n % each] for n in range(min(identities, 32))]), sheet)
        note(f"contact sheet of the first people: {sheet}")
    answer(
        {
            "folder": shown_text(root),
            "shots": identities * cameras * shots,
            "sheet": None if sheet is None else shown_text(sheet),
        }
    )


def doctor(
    context: typer.Context,
    data: Annotated[Path | None, to_read("PATH", "Open and check every image of this data set.")] = None,
    store: Annotated[
        Path | None, to_read("STORE", "Read every byte of this store and compare it with its hashes.")
    ] = None,
    layout: Annotated[
        str, typer.Option(help="Layout of the data set, as in mswin_viz.samples(); auto recognises it.")
    ] = "auto",
    every: Annotated[
        bool, typer.Option("--all", help="List every file with a problem, not just ten of each kind.")
    ] = False,
    workers: Annotated[int, typer.Option(help="How many threads open files.")] = 4,
) -> None:
    """Show versions, devices, weights and what notebooks need, and how to get what is missing; with --data, check a data set, with --store a store."""
    if data is None:
        has_no_effect(context, ("layout", "every", "workers", *TAG_OPTIONS), "without --data")
    at_least(1, workers=workers)
    from mswin_viz.data.sets.layouts import scan

    names = None if data is None else scan(existing(data, "--data"), layout, **tag_choice())
    opened = None if store is None else _opened(existing(store, "--store"))
    from mswin_viz.data.sets.verification import verify

    found = _environment()
    missing = {
        name: words for rows in found.values() for name, words in rows.items() if words.startswith("MISSING")
    }
    if not shared().json:
        _print_tables(found)
    report = None if names is None else verify(names, workers=workers)
    if report is not None and not shared().json:
        _print_report(report, every=every)
    about = None if opened is None else _store_record(opened)
    if about is not None and not shared().json:
        _print_store(about)
    sound = not missing and (report is None or report.sound) and (about is None or about["sound"])
    told = report and _data_record(report, every=every)
    answer({**found, "missing": missing, "data": told, "store": about, "sound": sound})
    if not sound:
        raise typer.Exit(1)


def _environment() -> dict[str, dict[str, str]]:
    """Title of a table -> its rows."""
    from mswin_viz.model import environment

    return {
        "versions": environment.versions(),
        "devices": environment.devices(),
        "weights": environment.available_weights(),
        "kernel": environment.kernel_parts(),
        "optional": environment.optional_packages(),
        "browser tests": environment.browser(),
    }


def _print_tables(found: dict[str, dict[str, str]]) -> None:
    from rich.console import Console

    console = Console()
    for title, rows in found.items():
        console.print(_two_columns(title, rows))


def _print_report(report: DataReport, *, every: bool) -> None:
    from rich.console import Console

    from mswin_viz.data.sets.report import MOST_PATHS, tables

    console = Console()
    for table in tables(report, most=None if every else MOST_PATHS):
        console.print(table)


def _data_record(report: DataReport, *, every: bool) -> dict[str, Any]:
    """A report for ``--json``, with some or all of its problems."""
    from mswin_viz.data.sets.report import MOST_PATHS

    shown = report.problems if every else report.problems[:MOST_PATHS]
    return {
        "root": shown_text(report.root),
        "layout": report.layout,
        "splits": [asdict(split) for split in report.splits],
        "opened": report.opened,
        "counts": report.counts,
        "problems": [{"kind": one.kind, "path": shown_text(one.path), "detail": one.detail} for one in shown],
        "sound": report.sound,
    }


def _opened(folder: Path) -> StoredImages:
    from mswin_viz.data.store.stored_images import StoredImages, store_parts

    return StoredImages(**store_parts(folder))


def _store_record(store: StoredImages) -> dict[str, Any]:
    """What a store holds and whether it is as it was written; rows that failed and shards to come are no damage."""
    damaged = store.verify()
    return {
        "folder": shown_text(store.folder),
        "images": store.n_rows,
        "failed": store.n_failed,
        "shards": len(store.commits),
        "of_shards": store.record.n_shards,
        "complete": store.is_complete,
        "damaged": damaged,
        "sound": not damaged,
    }


def _print_store(about: dict[str, Any]) -> None:
    from rich.console import Console

    to_do = "complete" if about["complete"] else "not complete: extract again to go on"
    remedy = f"{len(about['damaged'])} DAMAGED: delete the commit of such a shard and extract again"
    rows = {
        "images": f"{about['images']:,}, of which {about['failed']:,} {'has' if about['failed'] == 1 else 'have'} no features",
        "shards": f"{about['shards']:,} of {about['of_shards']:,} {'is' if about['shards'] == 1 else 'are'} done; {to_do}",
        "hashes": "every file holds what was written to it" if about["sound"] else remedy,
    }
    rows |= {f"damaged {number}": words for number, words in enumerate(about["damaged"], start=1)}
    Console().print(_two_columns(f"store {about['folder']}", rows))


def _two_columns(title: str, rows: dict[str, str]) -> object:
    from rich.table import Table
    from rich.text import Text  # as it stands: "[export]" is no markup

    table = Table(title=Text(title), title_justify="left", title_style="bold", show_header=False)
    table.add_column(style="cyan")
    table.add_column(overflow="fold")
    for name, words in rows.items():
        table.add_row(
            Text(name), Text(words), style="red" if "MISSING" in words or "DAMAGED" in words else ""
        )
    return table
