"""What is in the training split and in another one: copies of images, and people."""

from __future__ import annotations

import numpy as np

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.compared import compared_items
from mswin_viz.analysis.findings.copy_pairs import copy_pairs, few_words, n_steps
from mswin_viz.analysis.findings.near_duplicates import in_order, pair_findings, pair_words
from mswin_viz.analysis.findings.people_leaks import PeopleLeaks, people_leaks
from mswin_viz.analysis.findings.record import Findings, findings_of
from mswin_viz.analysis.findings.same_file_pairs import one_for_two_samples
from mswin_viz.analysis.measures.matching import matching
from mswin_viz.data.progress import Report, StepCounter, Stop, reporter
from mswin_viz.errors import DataError


def split_leaks(
    table: EmbeddingTable,
    *,
    feature: str = "plain",
    rule: str = "camera",
    read_files: bool = True,
    report: Report | None = None,
    stop: Stop | None = None,
) -> Findings:
    """What training has in common with query, gallery and test: copies of images, and people, by their images alone.

    Copies are the pairs of :func:`near_duplicates` of which one image is of the training split and the other is not.

    Two identities are taken for one person if each is the other's nearest across the split for more than half of its images,
    and their distance (the median over these images) is at most a cut that the set itself gives: where as many of its people are
    farther from themselves as are nearer to the next person, always seen by other cameras. Numbers have no part in it,
    because splits often use the same ones for different people. How often that cut is wrong on the set itself is said in ``criterion``.
    With many more people in training than elsewhere, chance resemblance is more likely than it says.

    Parameters
    ----------
    table, feature, rule, report, stop
        As in :func:`wrong_identities`; the table must have splits.
    read_files
        As in :func:`near_duplicates`.

    Returns
    -------
    findings
        Copies first, then people. ``what`` is that of :func:`near_duplicates` or ``"same person"``; ``score`` is 1 minus the
        ratio of copies, or 1 minus the distance of two people over the cut. ``suggested`` is the identity in training.

    Raises
    ------
    OptionError, StoppedError
        As in :func:`wrong_identities`.
    DataError
        If the table has no row of the training split, or none of another.

    Examples
    --------
    >>> from dataclasses import replace
    >>> training = [replace(sample, split="train") for sample in samples[:20]]
    >>> table = mv.embed(model, [*training, *samples[20:40], samples[4]], progress=False)
    >>> found = mv.split_leaks(table)
    >>> found.what[0], found.reasons[0]
    ('same file', 'the same file as id 2, camera 1 in test (this one: train)')
    """
    items = compared_items(table, feature)
    groups = items.groups
    _check_splits(table)
    who = matching(table.pid, table.camid, rule=rule, scenes=table.scene)
    n = sum(len(group) + n_steps(group, read_files=read_files) for group in groups)
    steps = StepCounter(n, reporter(report), stop, "comparing splits")
    copies = [copy_pairs(table, group, steps, read_files=read_files) for group in groups]
    people = [people_leaks(table, group, who, steps) for group in groups]
    found = [
        one
        for pairs in copies
        for one in pair_findings(table, pairs, read_files=read_files, between_splits=True)
    ]
    found = one_for_two_samples(table, found)
    found = sorted([*found, *(one for each in people for one in each.found)], key=in_order)
    words = f"Listed: {pair_words(copies, read_files=read_files)}; and {_people_words(people)}."
    notes = [*few_words(copies), *who.notes()]
    return findings_of("split leaks", table, feature, found, items=items, words=(words, notes))


def _check_splits(table: EmbeddingTable) -> None:
    is_train = table.split == "train"
    if is_train.all() or not is_train.any():
        names = ", ".join(str(name) or "none" for name in np.unique(table.split))
        raise DataError(
            f"leaks are looked for between the training split and others: got rows of {names} alone; read the data set with "
            "all of its splits"
        )


def _people_words(people: list[PeopleLeaks]) -> str:
    told = [each for each in people if np.isfinite(each.cut)]
    if not told:
        return "no people, of whom there are too few with images from two cameras"
    cuts = " or ".join(f"{each.cut:.3g}" for each in told)
    errors = " or ".join(f"{100 * each.error:.1f}" for each in told)
    return (
        f"people who are each other's nearest and at most {cuts} apart, a cut that is wrong for {errors} % of the people "
        "within a split"
    )
