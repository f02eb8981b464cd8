"""Images that probably have the wrong identity: their neighbours from other cameras agree on another one.

This is confident learning (Northcutt et al. 2021) with the votes of nearest neighbours in place of a classifier's
probabilities, so that nothing depends on the scale of a model's similarities.
"""

from __future__ import annotations

from mswin_viz.analysis.arrays import check_counts
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.compared import compared_items
from mswin_viz.analysis.findings.record import Finding, Findings, findings_of
from mswin_viz.analysis.findings.votes import Suspect, Votes
from mswin_viz.analysis.measures.matching import matching
from mswin_viz.data.progress import Report, StepCounter, Stop, reporter
from mswin_viz.data.shown_text import counted

_PLACE = {"camera": "from other cameras", "scene": "from other scenes", "none": "of the others"}


def wrong_identities(
    table: EmbeddingTable,
    *,
    feature: str = "plain",
    rule: str = "camera",
    k: int = 5,
    report: Report | None = None,
    stop: Stop | None = None,
) -> Findings:
    """Images whose nearest neighbours from other cameras agree on another identity than theirs.

    An image's *share* for an identity is the part of its ``m`` nearest from other cameras that have it, where ``m`` is
    ``k``, or the number of images of that identity in other cameras if there are fewer. An image is listed if, of all
    identities for which its share is at least the mean share that the identity's own images have for it, the one with
    the largest share is another than its own, and more than half of the votes are for it. Those are the rule of
    confident learning (Northcutt et al. 2021, equation 2) and a majority; they hold for features of any scale, and ask
    less of an identity that is hard to recognise.

    Training images are compared with each other, and all other images with each other, because splits often use the same
    numbers for different people. Images of unknown identity are neither listed nor asked. An image that is the only one of
    its identity outside its camera can have no share for it: it is listed only if it is also nearer to the other identity than
    half of all images are to their own.

    Parameters
    ----------
    table
        From :func:`mswin_viz.embed`. Samples with every modality of it are compared by all of them joined, the images of others
        one by one; ``table[table.rows("TI")]`` looks at one modality alone.
    feature
        ``"plain"`` or ``"enhanced"``.
    rule
        Who votes: ``"camera"``, images of other cameras; ``"scene"``, of other scenes; ``"none"``, every other image. A camera or
        scene that is not known is like no other.
    k
        How many votes, at most.
    report, stop
        Called with the progress, and asked whether to stop, before each block of images.

    Returns
    -------
    findings
        ``score`` is the share for the suggested identity minus that for the image's own, above 0 and at most 1; equal ones
        are in the order of how much nearer the suggested identity is. ``evidence`` are the ``m`` nearest, then the nearest of
        its own identity.

    Raises
    ------
    OptionError
        If there is no such feature or rule, or ``k`` is not a whole number from 1.
    DataError
        If the table has no row.
    StoppedError
        If ``stop`` returned True.

    Examples
    --------
    >>> table = mv.embed(model, samples[:32], progress=False)
    >>> table.pid[table.sample == 9] = 8  # all three images of one sample
    >>> found = mv.wrong_identities(table)
    >>> print(found.sentences()[0], table.sample[found.rows], found.modality, found.suggested)
    1 probably wrong identity among 32 items. [9] ('RGB+NI+TI',) [3]
    """
    check_counts(1, k=k)
    items = compared_items(table, feature)
    groups = items.groups
    who = matching(table.pid, table.camid, rule=rule, scenes=table.scene)
    steps = StepCounter(sum(len(group) for group in groups), reporter(report), stop, "comparing identities")
    votes = [Votes.of(table, group, who, k, steps) for group in groups]
    found = [one for each in votes for one in each.suspects()]
    found.sort(key=lambda one: one.order, reverse=True)
    listed = [_finding(table, one, _PLACE[rule]) for one in found]
    words = (
        f"Listed: more than half of the (at most {k}) nearest {_PLACE[rule]} have one other identity, at least as large "
        "a part as that identity's own images have on average, and a larger part than have its own."
    )
    return findings_of(
        "wrong identities", table, feature, listed, items=items._replace(n_checked=sum(one.n_checked for one in votes)),
        words=(words, [*_notes(table, votes, rule), *who.notes()]),
    )  # fmt: skip


def _finding(table: EmbeddingTable, one: Suspect, place: str) -> Finding:
    rows, row = one.votes.group.rows, int(one.votes.group.rows[one.item])
    pid, n_own = int(table.pid[row]), one.n_own
    there = f"{n_own or 'none'} {'are' if n_own > 1 else 'is'} id {pid}"
    if one.is_alone:
        there = f"id {pid} has no other image there"
    shown = [*one.voters.tolist(), *one.votes.own.at[one.item].tolist()]
    suggested = one.suggested // 2
    return Finding(
        row=row,
        modality=one.votes.group.modality,
        what="wrong identity",
        score=one.order[0],
        reason=f"{one.n_votes} of its {len(one.voters)} nearest {place} are id {suggested}, {there}",
        evidence=tuple(int(rows[at]) for at in dict.fromkeys(shown) if at >= 0),
        suggested=suggested,
    )


def _notes(table: EmbeddingTable, votes: list[Votes], rule: str) -> list[str]:
    unknown = sum(int((one.group.asked & (table.pid[one.group.rows] < 0)).sum()) for one in votes)
    n_alone = sum(one.n_alone for one in votes)
    nobody = counted(unknown, "items of unknown identity were", "item of unknown identity was")
    notes = [f"{nobody} not checked and had no vote."] if unknown else []
    if n_alone:
        alone = "is the only one" if n_alone == 1 else "are the only ones"
        place = "" if rule == "none" else f" outside {'its' if n_alone == 1 else 'their'} {rule}"
        notes.append(
            f"{n_alone:,} {alone} of {'its' if n_alone == 1 else 'their'} identity{place}: the identity itself cannot vote."
        )
    return notes
