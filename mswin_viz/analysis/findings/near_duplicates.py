"""Pairs of images that are the same picture, or nearly."""

from __future__ import annotations

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.compared import compared_items, item_files
from mswin_viz.analysis.findings.copy_pairs import CopyPairs, copy_pairs, few_words, n_steps
from mswin_viz.analysis.findings.exact_copies import SAME, how_alike, same_files
from mswin_viz.analysis.findings.outlying import UNUSUAL
from mswin_viz.analysis.findings.record import Finding, Findings, findings_of, named_beside
from mswin_viz.analysis.findings.same_file_pairs import one_for_two_samples
from mswin_viz.data.progress import Report, StepCounter, Stop, reporter

_NEAR = "near"


def near_duplicates(
    table: EmbeddingTable,
    *,
    feature: str = "plain",
    read_files: bool = True,
    report: Report | None = None,
    stop: Stop | None = None,
) -> Findings:
    """Pairs of images that are the same picture, or nearly: less apart than the set's different pictures are.

    Features propose, pictures decide: of each image's 10 nearest by features, of any camera, identity and split, the pictures are
    compared, small and grey, whatever their brightness and contrast, and if one is cut by up to 8 % at each side. How far
    each image is from the one it is least apart from says what is usual. A pair is listed if the modified z-score (Iglewicz
    and Hoaglin 1993) of the logarithm of its distance is below -3.5 among those, and its distance is at most half of the median: a set of video frames, which all
    resemble the next one, asks for more than one of single shots. Without files, the distance is that of features over the spacing
    around both (the median distance to the 2nd to 10th nearest), and copies that were brightened or cut are mostly missed.

    Exact copies are told apart: the same file (equal bytes, in any two modalities or samples), the same pixels once decoded, or the
    same features. Two samples that share files are one finding, with every modality in which they do.

    Parameters
    ----------
    table, feature, report, stop
        As in :func:`wrong_identities`.
    read_files
        Whether files may be opened. If not, copies of files between modalities are not found, and exact ones only by their
        features.

    Returns
    -------
    findings
        ``score`` is 1 minus the pair's distance over the usual one (a median), 1 for exact copies. ``what`` is ``"same file"``, ``"same pixels"``,
        ``"same features"`` or ``"near"``, in this order. ``rows`` has one of each pair, ``evidence`` the other.

    Raises
    ------
    OptionError, DataError, StoppedError
        As in :func:`wrong_identities`.

    Examples
    --------
    >>> table = mv.embed(model, [*samples[:32], samples[4]], progress=False)  # a sample twice
    >>> found = mv.near_duplicates(table)
    >>> found.rows.tolist(), found.evidence, found.what, found.reasons[0]
    ([4], ((32,),), ('same file',), 'the same file as id 2, camera 1')
    """
    items = compared_items(table, feature)
    groups = items.groups
    n = sum(n_steps(group, read_files=read_files) for group in groups)
    steps = StepCounter(n, reporter(report), stop, "looking for copies")
    copies = [copy_pairs(table, group, steps, read_files=read_files) for group in groups]
    found = [one for pairs in copies for one in pair_findings(table, pairs, read_files=read_files)]
    found = one_for_two_samples(table, found, same_files(table) if read_files else [])
    found.sort(key=in_order)
    words = f"Listed: {pair_words(copies, read_files=read_files)}."
    items = items._replace(n_checked=items.n_checked * (len(table) > 1))
    return findings_of(
        "near-duplicates", table, feature, found, items=items, words=(words, few_words(copies))
    )


def pair_findings(
    table: EmbeddingTable, copies: CopyPairs, *, read_files: bool, between_splits: bool = False
) -> list[Finding]:
    """A finding for each pair of a group; of those between training and another split alone, if wanted."""
    rows, modality = copies.group.rows, copies.group.modality
    is_train = table.split[rows] == "train"
    pairs = zip(
        copies.one.tolist(),
        copies.other.tolist(),
        copies.part.tolist(),
        copies.has_same_features.tolist(),
        strict=True,
    )
    found = []
    for one, other, part, is_same in pairs:
        if not between_splits or is_train[one] != is_train[other]:
            row, twin = int(rows[one]), int(rows[other])
            files = [item_files(table, at, modality) for at in (row, twin)]
            alike = how_alike(*files, has_same_features=is_same) if read_files else SAME[2] * is_same
            found.append(_finding(table, (row, twin), modality, part, alike))
    return found


def pair_words(copies: list[CopyPairs], *, read_files: bool) -> str:
    """When a pair is listed, with the cut that the set gave for those that are only near, if it gave one."""
    cuts = " or ".join(f"{100 * pairs.cut:.2g} %" for pairs in copies if pairs.cut > 0)
    what = "pictures" if read_files else "features"
    exact = "pairs with the same file, pixels or features" if read_files else "pairs with the same features"
    if not cuts:
        return exact
    return (
        f"{exact}; and pairs of {what} at most {cuts} as far apart as an image and the one least apart from it usually are, the cut where the "
        f"modified z-score of the logarithm is -{UNUSUAL} (half at most)"
    )


def in_order(one: Finding) -> tuple[int, float, int]:
    """What pairs are sorted by: exact copies first, then the nearest."""
    return (
        [*SAME, _NEAR].index(one.what) if one.what in (*SAME, _NEAR) else len(SAME) + 1,
        -one.score,
        one.row,
    )


def _finding(table: EmbeddingTable, pair: tuple[int, int], modality: str, part: float, alike: str) -> Finding:
    row, other = pair
    who = named_beside(table, row, other)
    reason = {
        SAME[0]: f"the same file as {who}",
        SAME[1]: f"another file with the same pixels as {who}",
        SAME[2]: f"the same features as {who}",
        "": f"{100 * part:.2g} % of the usual distance away from {who}",
    }[alike]
    return Finding(row, modality, alike or _NEAR, 1.0 if alike else 1 - part, reason, (other,))
