"""The command that looks for what is wrong with the data: ``find``, as tables and one page with pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mswin_viz.cli.checks import existing, one_of, read_path, to_write
from mswin_viz.cli.measuring import ModelName
from mswin_viz.cli.shared_options import answer, note, say_left_out, shared
from mswin_viz.cli.tag_options import tag_choice
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.output_checks import output_folder
from mswin_viz.data.storage.spreadsheet_cells import csv_file

if TYPE_CHECKING:
    from mswin_viz.analysis.embeddings.table import EmbeddingTable
    from mswin_viz.analysis.findings.record import Findings

_LOOKS: tuple[str, ...] = ("wrong-identities", "near-duplicates", "split-leaks", "outliers")
_ALL = "all"
_IN_PAGE = 200  # findings of each kind with pictures


def find(
    source: Annotated[
        Path,
        typer.Argument(
            parser=read_path, metavar="ROOT", help="A store, a data set, a folder of images, or a CSV table."
        ),
    ],
    out: Annotated[Path, to_write("FOLDER", "Folder for a CSV table of each kind, and findings.html.")],
    what: Annotated[str, typer.Option(help=f"What to look for: {', '.join(_LOOKS)} or {_ALL}.")] = _ALL,
    feature: Annotated[str, typer.Option(help="By which CLS: plain or enhanced.")] = "plain",
    model: ModelName = "embedded",
) -> None:
    """Look for wrong identities, near-duplicates, leaks between splits and outliers; write them as tables and a page with pictures."""
    one_of((*_LOOKS, _ALL), what=what)
    one_of(("plain", "enhanced"), feature=feature)
    source = existing(source, "ROOT")
    out = output_folder(out, "--out", inputs=[source])
    table = _table(source, model)
    found = [_looked(name, table, feature) for name in _chosen(what, table)]
    from mswin_viz.view.findings.view import FindingsView

    view = FindingsView(found)
    try:
        page = view.page(images=_IN_PAGE).encode()
    finally:
        view.close()
    files = {
        one.kind: write_bytes(out / f"{one.kind.replace(' ', '_')}.csv", csv_file(one.to_pandas()))
        for one in found
    }
    html = write_bytes(out / "findings.html", page)
    failed = {shown_text(failure.path): failure.reason for failure in table.failed}
    say_left_out(failed.items())
    note(f"wrote {shown_text(html)}")
    answer(
        {
            "folder": shown_text(out),
            "page": shown_text(html),
            "left_out": failed,
            "found": [_about(one, files[one.kind]) for one in found],
        },
        lambda: "\n".join(_lines(found)),
    )


def _chosen(what: str, table: EmbeddingTable) -> list[str]:
    """What to look for; leaks only where there is a training split and another, unless they are asked for alone."""
    if what != _ALL:
        return [what]
    is_train = table.split == "train"
    if is_train.any() and not is_train.all():
        return list(_LOOKS)
    note("leaks were not checked: all samples are in training, or none is")
    return [name for name in _LOOKS if name != "split-leaks"]


def _looked(name: str, table: EmbeddingTable, feature: str) -> Findings:
    from mswin_viz.analysis.findings.near_duplicates import near_duplicates
    from mswin_viz.analysis.findings.outliers import outliers
    from mswin_viz.analysis.findings.split_leaks import split_leaks
    from mswin_viz.analysis.findings.wrong_identities import wrong_identities

    look = (wrong_identities, near_duplicates, split_leaks, outliers)[_LOOKS.index(name)]
    return look(table, feature=feature)


def _table(source: Path, model: str) -> EmbeddingTable:
    """The features of a store, or of a data set that is embedded now."""
    from mswin_viz.analysis.embeddings.batch import embed
    from mswin_viz.analysis.embeddings.store import open_store
    from mswin_viz.data.sets.layouts import samples
    from mswin_viz.data.store.store_record import is_store
    from mswin_viz.data.tags.choice import chosen_rows
    from mswin_viz.model.loading import load_model

    if is_store(source):
        return chosen_rows(open_store(source), **tag_choice()).table()
    return embed(load_model(model), samples(source, **tag_choice()), progress=not shared().quiet)


def _lines(found: Sequence[Findings]) -> Iterator[str]:
    """How many of each kind there are, and below it what could not be checked, each note once."""
    said: set[str] = set()
    for one in found:
        yield one.sentences()[0]
        yield from (f"  {words}" for words in one.notes if words not in said)
        said.update(one.notes)


def _about(found: Findings, file: Path) -> dict[str, Any]:
    frame = found.to_pandas()
    return {
        "kind": found.kind,
        "file": shown_text(file),
        "listed": len(found),
        "checked": found.n_checked,
        "criterion": found.criterion,
        "notes": list(found.notes),
        "items": frame.assign(row=frame.index).to_dict(orient="records"),
    }
