"""A stored ablation (`ablation_report.as_json`) as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mswin_viz.analysis.experiments.stored_results import check_ablation
from mswin_viz.analysis.markdown_tables import NO_NUMBER, markdown_table, percent
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.data.images.image_source import joined_name

_SPLITS = {"standard": "standard split", "look_alikes": "look-alike split", "test": "test split"}
NOT_MEASURED = "not measured"
_SIGNS = {"better": "▲", "worse": "▼", "not told apart": "=", NOT_MEASURED: NOT_MEASURED}

Stored = Mapping[str, Any]


def ablation_table(stored: Stored) -> str:
    """One line for each row: cost, and the modalities together in every split.

    Parameters
    ----------
    stored
        From :func:`ablate_people` or :func:`embedded_ablation`.

    Returns
    -------
    table
        Markdown, a sentence about it first.

    Raises
    ------
    DataError
        If it is not the summary of an ablation.

    Examples
    --------
    >>> lines = mv.ablation_table(mv.embedded_ablation()).splitlines()
    >>> len(lines), lines[2].split("|")[1].strip(), lines[4].split("|")[1].strip()
    (18, 'head', 'plain CLS')
    """
    check_ablation(stored)
    column, splits = stored["columns"][-1], list(stored["scores"])
    heads, lines, with_inp = ["head", "parameters", "MMACs"], [], has_inp(stored)
    for split in splits:
        heads += [f"{split_words(split)}: mAP", "minus plain", "Rank-1", *(["mINP"] if with_inp else [])]
    for name, row in stored["rows"].items():
        line = [row["words"], f"{row.get('parameters', 0):,}", f"{row.get('macs', 0) / 1e6:.1f}"]
        for split in splits:
            cell = stored["scores"][split][name][column]
            line += [_interval(cell["mAP"]), _change(cell["mAP"].get("minus_plain")), _percent(cell["rank1"])]
            line += [_inp(cell)] if with_inp else []
        lines.append(line)
    words = column_words(stored)[column]
    measures = "mAP, Rank-1 and mINP" if with_inp else "mAP and Rank-1"
    title = f"{words[0].upper()}{words[1:]}; {measures} in percent, mAP with its 95 % interval."
    about = f"{stored['settings'].get('words', '')} {title}".strip()
    return "\n".join([about, "", *markdown_table(heads, lines)])


def scores_table(stored: Stored, split: str) -> list[str]:
    """Every row and column of a split: mAP with its interval, Rank-1, and mINP where it was stored."""
    with_inp = has_inp(stored)

    def words(cell: Stored) -> str:
        inp = f" / {_inp(cell)}" if with_inp else ""
        return f"{_interval(cell['mAP'])} / {_percent(cell['rank1'])}{inp}"

    rows = (
        [stored["rows"][name]["words"], *(words(cells[c]) for c in stored["columns"])]
        for name, cells in stored["scores"][split].items()
    )
    return markdown_table(["head", *column_words(stored).values()], rows)


def differences_table(stored: Stored, split: str) -> list[str]:
    """What each row of a split gains over plain CLS, and all windows over it."""
    kinds = {"minus_plain": "minus plain", "windows_minus": "windows minus it"}
    columns = [(column, kind) for column in stored["columns"] for kind in kinds]
    heads = (f"{column_words(stored)[column]}: {kinds[kind]}" for column, kind in columns)
    rows = (
        [
            stored["rows"][name]["words"],
            *(_change(cells[column]["mAP"].get(kind)) for column, kind in columns),
        ]
        for name, cells in stored["scores"][split].items()
    )
    return markdown_table(["head", *heads], rows)


def has_inp(stored: Stored) -> bool:
    """Whether any cell has a mINP; results stored by earlier versions have none, and no column for it."""
    cells = (row[c] for by_row in stored["scores"].values() for row in by_row.values() for c in row)
    return any(cell.get("mINP") is not None for cell in cells)


def column_words(stored: Stored) -> dict[str, str]:
    """Column -> its words; two joined modalities are named."""
    names, joined = stored["columns"], joined_name(stored["columns"][:-1])
    return {name: modality_words(joined if name == "together" else name) for name in names}


def costs_table(stored: Stored) -> list[str]:
    """What each head costs."""
    columns: dict[str, Callable[[Stored], str]] = {
        "head": lambda row: row["words"],
        "parameters": lambda row: f"{row['parameters']:,}",
        "MMACs of an image": lambda row: f"{row['macs'] / 1e6:.1f}",
        "time / encode time": lambda row: f"{row['time_ratio']:.3f}",
        "MiB of results, 16 images": lambda row: f"{row['memory'] / 2**20:.1f}",
        "runs": lambda row: f"{row['runs'] if row['trained'] else 'untrained'}",
    }
    measured = [row for row in stored["rows"].values() if "parameters" in row]
    return markdown_table(list(columns), ([cell(row) for cell in columns.values()] for row in measured))


def _interval(cell: Stored) -> str:
    if cell["mean"] is None:
        return NOT_MEASURED
    span = "" if cell["low"] is None else f" [{percent(cell['low'])}, {percent(cell['high'])}]"
    return f"{_percent(cell)}{span}"


def _inp(cell: Stored) -> str:
    """mINP in percent; a dash where it was not stored."""
    return NO_NUMBER if cell.get("mINP") is None else _percent(cell["mINP"])


def _percent(cell: Stored) -> str:
    return NOT_MEASURED if cell["mean"] is None else percent(cell["mean"])


def _change(cell: Stored | None) -> str:
    """A difference with its interval and sign; empty for plain CLS, which is not compared with itself."""
    if cell is None:
        return ""
    if cell["mean"] is None:
        return _SIGNS[cell["verdict"]]
    span = "" if cell["low"] is None else f" [{_points(cell['low'])}, {_points(cell['high'])}]"
    return f"{_points(cell['mean'])}{span} {_SIGNS[cell['verdict']]}"


def _points(fraction: float) -> str:
    """Percent with a sign; nothing is ever -0.0."""
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"


def split_words(name: str) -> str:
    """A split in words."""
    return _SPLITS.get(name, name)


def split_heading(name: str) -> str:
    """The same with a capital letter."""
    return f"{split_words(name)[0].upper()}{split_words(name)[1:]}"
