"""Retrieval of covered queries in a gallery, and the statistics of all features over the same identities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mswin_viz.analysis.experiments.occlusion_record import OcclusionPoint
from mswin_viz.analysis.experiments.occlusion_request import OcclusionRequest
from mswin_viz.analysis.measures.matching import Matching
from mswin_viz.analysis.measures.paired_statistics import bootstrap_means, interval, sign_flip
from mswin_viz.analysis.measures.retrieval import RetrievalReport, retrieval

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Row = tuple[int, str]
"""A sample's position, and the modality."""


class Split(NamedTuple):
    """Positions of the query and of the gallery samples."""

    query: frozenset[int]
    gallery: frozenset[int]


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """Features of some images, each feature by its name, ``[row, wide]`` float32, and whose rows they are."""

    rows: Mapping[Row, int]
    features: Mapping[str, np.ndarray]

    def joined(self, name: str, samples: Sequence[int], modalities: Sequence[str]) -> np.ndarray:
        """One row for each of some samples: its modalities' features raw, one behind the other."""
        parts = [[self.rows[sample, modality] for sample in samples] for modality in modalities]
        return np.concatenate([self.features[name][part] for part in parts], axis=1)

    def samples(self, modalities: Sequence[str]) -> list[int]:
        """Positions of the samples that have all of some modalities, ascending."""
        every = sorted({sample for sample, _ in self.rows})
        return [sample for sample in every if all((sample, name) in self.rows for name in modalities)]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Queries of one set of modalities in their gallery: how they are ranked, by which rule, and how often is drawn."""

    who: Matching
    split: Split
    metric: str
    request: OcclusionRequest

    def reports(
        self, covered: FeatureRows, gallery: FeatureRows, modalities: Sequence[str]
    ) -> Iterator[tuple[str, RetrievalReport]]:
        """Retrieval by each feature; features equal to the plain ones are not ranked again."""
        samples = gallery.samples(modalities)
        query = [sample for sample in samples if sample in self.split.query]
        rest = [sample for sample in samples if sample in self.split.gallery]
        if not query or not rest:
            return
        place = np.array(query + rest)
        # A query's own image stands in the gallery, too: it has the same number here, and is left out with it.
        groups = np.unique(self.who.groups, return_inverse=True)[1][place]
        plain = of_plain = None
        for name in covered.features:
            rows = np.concatenate(
                [covered.joined(name, query, modalities), gallery.joined(name, rest, modalities)]
            )
            if plain is not None and of_plain is not None and np.array_equal(rows, plain):
                yield name, of_plain
                continue
            report = retrieval(
                rows,
                self.who.pids[place],
                groups,
                query=np.arange(len(query)),
                gallery=np.arange(len(query), len(place)),
                ranks=(1,),
                metric=self.metric,
            )
            if plain is None:
                plain, of_plain = rows, report
            yield name, report


def points_of(
    reports: Mapping[str, RetrievalReport], ranking: Ranking, leading: str, place: Mapping[str, object]
) -> list[OcclusionPoint]:
    """A point for each feature; all from the same draws of identities. ``place``: what the points have in common."""
    if not reports:
        return []
    ap = np.stack([report.per_query_ap for report in reports.values()], axis=1)  # [query, name]
    pids = next(iter(reports.values())).query_pids
    answered = ~np.isnan(ap[:, 0])
    identities, owner, counts = np.unique(pids[answered], return_inverse=True, return_counts=True)
    names = list(reports)
    leads = ap[:, [names.index(leading)]] - ap
    sums = _sums(np.concatenate([ap, leads], axis=1)[answered], owner, len(identities))
    request, seed, n = ranking.request, ranking.request.seed, len(names)
    drawn = bootstrap_means(sums, counts, draws=request.draws, seed=seed) if len(identities) > 1 else None
    points = []
    for at, (name, report) in enumerate(reports.items()):
        mean = interval(report.mAP, None if drawn is None else drawn[:, at])
        lead = interval(
            reports[leading].mAP - report.mAP, None if drawn is None or name == leading else drawn[:, n + at]
        )
        test = sign_flip(sums[:, n + at], counts, flips=request.flips, seed=seed)
        points.append(
            OcclusionPoint(
                **place,  # pyright: ignore[reportArgumentType]  # modality, fraction, rows and masked
                name=name,
                mAP=mean.value,
                low=mean.low,
                high=mean.high,
                rank1=report.cmc[1],
                mINP=report.mINP,
                n_queries=report.n_answered,
                n_identities=len(identities),
                lead=float("nan") if name == leading else lead.value,
                lead_low=lead.low,
                lead_high=lead.high,
                p=float("nan") if name == leading else test.p,
            )
        )
    return points


def _sums(
    values: Float[np.ndarray, "query column"], owner: Int[np.ndarray, " query"], n: int
) -> Float[np.ndarray, "identity column"]:
    """Sums over the queries of each identity."""
    sums = np.zeros((n, values.shape[1]))
    np.add.at(sums, owner, values)
    return sums
