"""A stored ablation (`ablation_report.as_json`) as Markdown tables and as sentences that follow from its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mswin_viz.analysis.ablation_heads import CONTROLS, row_words
from mswin_viz.analysis.stored_results import check_ablation

__all__ = ["HOPED", "brief", "full", "one_table", "sentences"]

HOPED = 1.0
"""Points of mAP and of Rank-1 that the add-on was hoped to bring, at least."""
_COLUMNS = {"three_together": "three together", "together": "all together"}
_SPLITS = {"standard": "standard split", "look_alikes": "look-alike split", "test": "test split"}
_SIGNS = {"better": "▲", "worse": "▼", "not told apart": "=", "not measured": "not measured"}

_UNMEASURED = (
    "Not measured: fewer than two identities (or groups of look-alikes) have a query with a match, so no difference "
    "has "
    "an interval or a test; measure on images of more identities, each in several cameras."
)

Stored = Mapping[str, Any]


def sentences(found: Stored) -> list[str]:
    """What the table says: trained heads against plain CLS, windows against controls, and the gain hoped for."""
    check_ablation(found)
    if not any(_measured(cell) for name in found["rows"] for cell in _cells(found, name, "minus_plain")):
        return [*_queries(found), _UNMEASURED]
    if found["reference"] not in found["rows"]:
        missing = (
            f"The row of all scales ({row_words(found['reference'])}) was not run, so nothing is said of windows against "
            "controls, nor of the gain that was hoped for."
        )
        return [*_queries(found), _against_plain(found), missing]
    said = [_against_plain(found), _against_controls(found)]
    return [*_queries(found), *said, *_hope(found), _meaning(found)]


def full(found: Stored) -> str:
    """Every split, row and column with intervals, then differences, costs, rule and sentences."""
    check_ablation(found)
    lines = [f"{found['settings'].get('words', '')} mAP [95 % interval] / Rank-1, percent.".strip()]
    for split in found["scores"]:
        heading = _SPLITS.get(split, split)
        lines += ["", f"**{heading[0].upper()}{heading[1:]}**", "", *_scores(found, split)]
        lines += [
            "",
            "Difference in mAP to plain CLS, and of all windows to each row (▲ better, ▼ worse, = not told apart).",
        ]
        lines += ["", *_differences(found, split)]
    lines += ["", *_costs(found), "", found["rule"], "", *sentences(found)]
    return "\n".join(lines)


def brief(found: Stored) -> str:
    """`one_table` and `sentences`; for a README."""
    return "\n".join([one_table(found), "", " ".join(sentences(found))])


def one_table(found: Stored) -> str:
    """One line for each row: cost, and the modalities together in every split."""
    check_ablation(found)
    column, splits = found["columns"][-1], list(found["scores"])
    heads = [f"{_SPLITS.get(s, s)}: mAP | to plain | Rank-1" for s in splits]
    lines = [
        f"{found['settings'].get('words', '')} {_column(column)[0].upper()}{_column(column)[1:]}; mAP and Rank-1 in percent, mAP with "
        "its 95 % interval.",
        "",
        f"| | parameters | MMACs | {' | '.join(heads)} |",
        "|---|---|---|" + "---|" * 3 * len(splits),
    ]
    for name, row in found["rows"].items():
        cells = [row["words"], f"{row.get('parameters', 0):,}", f"{row.get('macs', 0) / 1e6:.1f}"]
        for split in splits:
            cell = found["scores"][split][name][column]
            minus = cell["mAP"].get("minus_plain")
            cells += [
                _interval(cell["mAP"]),
                _change(minus) if minus else "",
                _percent(cell["rank1"]),
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _scores(found: Stored, split: str) -> list[str]:
    columns = found["columns"]
    lines = [f"| | {' | '.join(map(_column, columns))} |", "|---|" + "---|" * len(columns)]
    for name, cells in found["scores"][split].items():
        values = [f"{_interval(cells[c]['mAP'])} / {_percent(cells[c]['rank1'])}" for c in columns]
        lines.append(f"| {row_words(name)} | {' | '.join(values)} |")
    return lines


def _differences(found: Stored, split: str) -> list[str]:
    columns = found["columns"]
    names = [f"{_column(c)}: minus plain | windows minus it" for c in columns]
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * 2 * len(columns)]
    for name, cells in found["scores"][split].items():
        values = []
        for column in columns:
            cell = cells[column]["mAP"]
            values += [
                _change(cell[kind]) if kind in cell else "" for kind in ("minus_plain", "windows_minus")
            ]
        lines.append(f"| {row_words(name)} | {' | '.join(values)} |")
    return lines


def _costs(found: Stored) -> list[str]:
    lines = [
        "| | parameters | MMACs of an image | time / encode time | MiB of results, 16 images | runs |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["rows"].values():
        if "parameters" in row:
            lines.append(
                f"| {row['words']} | {row['parameters']:,} | {row['macs'] / 1e6:.1f} | {row['time_ratio']:.3f} | "
                f"{row['memory'] / 2**20:.1f} | {row['runs'] if row['trained'] else 'untrained'} |"
            )
    return lines


def _against_plain(found: Stored) -> str:
    trained = [name for name, row in found["rows"].items() if row["trained"]]
    if not trained:
        return "No head was trained, so none is compared with plain CLS."
    told = [_verdict(c) for name in trained for c in _cells(found, name, "minus_plain") if _measured(c)]
    count = {words: told.count(words) for words in _SIGNS}
    return (
        f"Against plain CLS, the {f'{len(trained)} trained heads are' if len(trained) > 1 else 'trained head is'} better in mAP in {count['better']} of {len(told)} "
        f"comparisons, worse in {count['worse']}, and not told apart in {count['not told apart']}."
    )


def _against_controls(found: Stored) -> str:
    present = [name for name in CONTROLS if name in found["rows"]]
    if not present:
        return "No control was run, so nothing can be said of windows."
    pairs = list(zip(*(_cells(found, name, "windows_minus") for name in present), strict=True))
    pairs = [cells for cells in pairs if all(map(_measured, cells))]
    won = sum(all(_verdict(c) == "better" for c in cells) for cells in pairs)
    lost = sum(any(_verdict(c) == "worse" for c in cells) for cells in pairs)
    return (
        f"Against {'both controls' if len(present) > 1 else 'the control'} of their size without windows, the windows "
        f"are better in mAP in {won} of {len(pairs)} comparisons; a control is better in {lost}, and in "
        f"{len(pairs) - won - lost} neither can be said."
    )


def _hope(found: Stored) -> list[str]:
    said, column = [], found["columns"][-1]
    for split, by_row in found["scores"].items():
        cell = by_row[found["reference"]][column]
        gains = {name: cell[m]["minus_plain"] for name, m in (("mAP", "mAP"), ("Rank-1", "rank1"))}
        if not all(map(_measured, gains.values())):
            said.append(f"{_SPLITS.get(split, split).capitalize()}, {_column(column)}: not measured.")
            continue
        reached = all(100 * some["mean"] >= HOPED and some["verdict"] == "better" for some in gains.values())
        words = " and ".join(
            f"{100 * some['mean']:+.1f} {name} ({some['verdict']})" for name, some in gains.items()
        )
        said.append(
            f"{_SPLITS.get(split, split).capitalize()}, {_column(column)}: {row_words(found['reference'])} change "
            "plain "
            f"CLS by {words}; the gain of 1 to 2 points in both that was hoped for is {'reached' if reached else 'not reached'}."
        )
    return said


def _meaning(found: Stored) -> str:
    present = [name for name in CONTROLS if name in found["rows"]]
    cells = [[_verdict(c) for c in _cells(found, name, "windows_minus")] for name in present]
    pairs = [pair for pair in zip(*cells, strict=True) if "not measured" not in pair]
    won = sum(all(words == "better" for words in pair) for pair in pairs)
    if pairs and won == len(pairs):
        return "What the windows find is not found without them: the order of the patches carries something here."
    if won:
        return f"Windows find something that heads without them do not in {won} of {len(pairs)} comparisons only."
    if pairs and all("worse" in pair for pair in pairs):
        return (
            "What a trained head gains here is not due to the windows: everywhere a head of their size that sees none "
            "does better."
        )
    return (
        "No evidence here that the windows help: in no comparison are they better than every control. Where no "
        "difference is told, a small one may still be there."
    )


def _queries(found: Stored) -> list[str]:
    """Over how many queries each split is measured, where not over all."""
    return [
        f"{_SPLITS.get(split, split).capitalize()}: measured over {n['answered']} of {n['asked']} queries; the others "
        "have no match under the rule."
        for split, n in found.get("queries", {}).items()
        if n["answered"] < n["asked"]
    ]


def _cells(found: Stored, name: str, kind: str) -> list[Stored]:
    """Of every split and column; none where the row has no such cells, as plain CLS has no difference to itself."""
    every = [by_row[name][c]["mAP"] for by_row in found["scores"].values() for c in found["columns"]]
    return [cell[kind] for cell in every if kind in cell]


def _measured(cell: Stored) -> bool:
    return _verdict(cell) != "not measured"


def _verdict(cell: Stored) -> str:
    return cell["verdict"]


def _interval(cell: Stored) -> str:
    if cell["mean"] is None:
        return "not measured"
    span = "" if cell["low"] is None else f" [{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]"
    return f"{_percent(cell)}{span}"


def _percent(cell: Stored) -> str:
    return "not measured" if cell["mean"] is None else f"{100 * cell['mean']:.1f}"


def _change(cell: Stored) -> str:
    if cell["mean"] is None:
        return _SIGNS[cell["verdict"]]
    span = "" if cell["low"] is None else f" [{_points(cell['low'])}, {_points(cell['high'])}]"
    return f"{_points(cell['mean'])}{span} {_SIGNS[cell['verdict']]}"


def _points(fraction: float) -> str:
    """Percent with a sign; nothing is ever -0.0."""
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"


def _column(name: str) -> str:
    return _COLUMNS.get(name, name)
