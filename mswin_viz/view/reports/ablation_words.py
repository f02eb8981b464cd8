"""A stored ablation (`ablation_report.as_json`) as sentences that follow from its numbers, and whole with its tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mswin_viz.analysis.experiments.ablation_heads import CONTROLS, OWN, OWN_CONTROL, row_words
from mswin_viz.analysis.experiments.stored_results import check_ablation
from mswin_viz.data.shown_text import counted, n_of
from mswin_viz.view.reports.ablation_tables import (
    NOT_MEASURED,
    Stored,
    ablation_table,
    column_words,
    costs_table,
    differences_table,
    has_inp,
    scores_table,
    split_heading,
    split_words,
)

HOPED = 1.0
"""Points of mAP and of Rank-1 that the add-on was hoped to bring, at least."""
_UNMEASURED = (
    "Not measured: fewer than two identities (or groups of look-alikes) have a query with a match, so no difference "
    "has an interval or a test; measure on images of more identities, each in several cameras."
)
_DIFFERENCE = (
    "Difference in mAP to plain CLS, and of all windows to each row (▲ better, ▼ worse, = not told apart)."
)


def ablation_sentences(stored: Stored) -> list[str]:
    """What the table says: trained heads against plain CLS, windows against controls, and the gain hoped for.

    Parameters
    ----------
    stored
        From :func:`ablate_people` or :func:`embedded_ablation`.

    Returns
    -------
    sentences
        In the order in which they should be read.

    Raises
    ------
    DataError
        If it is not the summary of an ablation.

    Examples
    --------
    >>> print(mv.ablation_sentences(mv.embedded_ablation())[0])
    Against plain CLS, the ... trained heads are better in mAP in ... of ... comparisons, worse in ...
    """
    check_ablation(stored)
    if not any(_is_measured(cell) for name in stored["rows"] for cell in _cells(stored, name, "minus_plain")):
        return [*_queries(stored), _UNMEASURED]
    if stored["reference"] not in stored["rows"]:
        row = f"The row of all scales ({row_words(stored['reference'])})"
        missing = f"{row} was not run, so the windows are not compared with the controls."
        return [*_queries(stored), _against_plain(stored), missing, *_own_against_its_control(stored)]
    counts = _windows_against_controls(stored)
    against = [_against_plain(stored), _against_controls(counts), *_own_against_its_control(stored)]
    return [*_queries(stored), *against, *_hope(stored), _meaning(counts)]


def full(stored: Stored) -> str:
    """Every split, row and column with intervals, then differences, costs, rule and sentences."""
    check_ablation(stored)
    about = stored["settings"].get("words", "")
    measures = f"mAP [95 % interval] / Rank-1{' / mINP' if has_inp(stored) else ''}"
    lines = [f"{about} {measures}, percent.".strip()]
    for split in stored["scores"]:
        lines += ["", f"**{split_heading(split)}**", "", *scores_table(stored, split), "", _DIFFERENCE, ""]
        lines += differences_table(stored, split)
    lines += ["", *costs_table(stored), "", stored["rule"], "", *ablation_sentences(stored)]
    return "\n".join(lines)


def ablation_brief(stored: Stored) -> str:
    """:func:`ablation_table` and :func:`ablation_sentences`, for a README.

    Parameters
    ----------
    stored
        From :func:`ablate_people` or :func:`embedded_ablation`.

    Returns
    -------
    text
        Markdown.

    Raises
    ------
    DataError
        If it is not the summary of an ablation.

    Examples
    --------
    >>> brief = mv.ablation_brief(mv.embedded_ablation())
    >>> print(brief.splitlines()[2][:60])
    | head | parameters | MMACs | standard split: mAP | minus pl
    """
    return "\n".join([ablation_table(stored), "", " ".join(ablation_sentences(stored))])


def _against_plain(stored: Stored) -> str:
    trained = [name for name, row in stored["rows"].items() if row["trained"]]
    if not trained:
        return "No head was trained, so none is compared with plain CLS."
    cells = [cell for name in trained for cell in _cells(stored, name, "minus_plain") if _is_measured(cell)]
    count = Counter(cell["verdict"] for cell in cells)
    heads = f"{len(trained)} trained heads are" if len(trained) > 1 else "trained head is"
    return (
        f"Against plain CLS, the {heads} better in mAP in {count['better']} of {counted(len(cells), 'comparisons')}, worse in "
        f"{count['worse']}, and not told apart in {count['not told apart']}."
    )


def _own_against_its_control(stored: Stored) -> list[str]:
    """How a user's module does beside the MLP of its size; nothing where there is none."""
    if OWN_CONTROL not in stored["rows"]:
        return []
    cells = [cell for cell in _cells(stored, OWN_CONTROL, "own_minus") if _is_measured(cell)]
    count = Counter(cell["verdict"] for cell in cells)
    return [
        f"Against its own control, an MLP on the mean patch, {stored['rows'][OWN]['words']} is better in mAP in "
        f"{count['better']} of {counted(len(cells), 'comparisons')}, worse in {count['worse']}, and not told apart in "
        f"{count['not told apart']}."
    ]


@dataclass(frozen=True)
class _Comparisons:
    """Windows against the controls of their size: how many were measured, won against every control, lost to any."""

    n_controls: int
    n: int
    won: int
    lost: int


def _windows_against_controls(stored: Stored) -> _Comparisons:
    present = [name for name in CONTROLS if name in stored["rows"]]
    cells = zip(*(_cells(stored, name, "windows_minus") for name in present), strict=True)
    verdicts = [{cell["verdict"] for cell in pair} for pair in cells if all(map(_is_measured, pair))]
    won = sum(each == {"better"} for each in verdicts)
    return _Comparisons(len(present), len(verdicts), won, sum("worse" in each for each in verdicts))


def _against_controls(counts: _Comparisons) -> str:
    if not counts.n_controls:
        return "No control was run, so nothing can be said of windows."
    return (
        f"Against {'both controls' if counts.n_controls > 1 else 'the control'} of their size without windows, the windows "
        f"are better in mAP in {counts.won} of {counted(counts.n, 'comparisons')}; a control is better in {counts.lost}, and neither in "
        f"{counts.n - counts.won - counts.lost}."
    )


def _meaning(counts: _Comparisons) -> str:
    if counts.n and counts.won == counts.n:
        return "What the windows find is not found without them: the order of the patches carries something here."
    if counts.won:
        return f"The windows find something that heads without them do not in {counts.won} of {counted(counts.n, 'comparisons')} only."
    if counts.n and counts.lost == counts.n:
        return (
            "What a trained head gains here is not due to the windows: in every comparison a head of the same size without "
            "windows does better."
        )
    return (
        "No evidence here that the windows help: in no comparison do they beat every control. A difference too small to "
        "detect may still exist."
    )


def _hope(stored: Stored) -> list[str]:
    lines, column, reference = [], stored["columns"][-1], stored["reference"]
    for split, by_row in stored["scores"].items():
        cell = by_row[reference][column]
        gains = {name: cell[m]["minus_plain"] for name, m in (("mAP", "mAP"), ("Rank-1", "rank1"))}
        where = f"{split_words(split).capitalize()}, {column_words(stored)[column]}"
        if not all(map(_is_measured, gains.values())):
            lines.append(f"{where}: {NOT_MEASURED}.")
            continue
        reached = all(100 * gain["mean"] >= HOPED and gain["verdict"] == "better" for gain in gains.values())
        changes = [f"{100 * gain['mean']:+.1f} {name} ({gain['verdict']})" for name, gain in gains.items()]
        words = " and ".join(changes)
        lines.append(
            f"{where}: {row_words(reference)} change plain CLS by {words}; the gain of 1 to 2 points in both "
            f"that was hoped for is {'reached' if reached else 'not reached'}."
        )
    return lines


def _queries(stored: Stored) -> list[str]:
    """Over how many queries each split is measured, where not over all."""
    return [
        f"{split_heading(split)}: measured over {n_of(n['answered'], n['asked'], 'queries')}; the others "
        "have no match under the rule."
        for split, n in stored.get("queries", {}).items()
        if n["answered"] < n["asked"]
    ]


def _cells(stored: Stored, name: str, kind: str) -> list[Stored]:
    """Of every split and column; none where the row has no such cells, as plain CLS has no difference to itself."""
    every = [by_row[name][c]["mAP"] for by_row in stored["scores"].values() for c in stored["columns"]]
    return [cell[kind] for cell in every if kind in cell]


def _is_measured(cell: Stored) -> bool:
    return cell["verdict"] != NOT_MEASURED
