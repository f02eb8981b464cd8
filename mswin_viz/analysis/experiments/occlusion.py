"""Retrieval while rows of the pictures are covered: by plain and enhanced CLS, and by every control on the same tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Unpack

import numpy as np

from mswin_viz.analysis.experiments.occluded_images import Cover, covered_rows, fill_words
from mswin_viz.analysis.experiments.occlusion_measures import FeatureRows, Ranking, Row, Split, points_of
from mswin_viz.analysis.experiments.occlusion_passes import Passes, other_readers, own_readers
from mswin_viz.analysis.experiments.occlusion_record import OcclusionCurves, OcclusionPoint
from mswin_viz.analysis.experiments.occlusion_request import OcclusionOptions, OcclusionRequest
from mswin_viz.analysis.measures.matching import sample_matching
from mswin_viz.data.images.image_source import joined_name
from mswin_viz.data.images.picture_facts import warn_of
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import Progress, StepCounter, progress_bar, reporter
from mswin_viz.data.sample import Sample, listed_samples
from mswin_viz.data.sets.layouts import query_and_gallery
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import DataError, StoppedError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.given import checked_model


def occlusion_curves(
    model: Model, samples: Sequence[Sample], **options: Unpack[OcclusionOptions]
) -> OcclusionCurves:
    """Measure retrieval while more and more rows of the pictures are covered, by plain, enhanced and control features.

    Rows are covered in the picture that the tower sees, after the resize and before the normalisation; a fraction is
    rounded to whole rows, a half upwards, and what was covered exactly stands beside it. Each covered picture goes through
    the tower once, and every add-on, null and control reads the same tokens. Intervals and tests are over identities,
    paired. Memory holds the features of the clean and of one covered set of images; tokens are not kept, and files are
    opened again for each fraction.

    Parameters
    ----------
    model
        Without an add-on there is only ``"plain"``, and what is given as ``others``.
    samples
        With known identities; where there is a query and a gallery split, queries are ranked in the gallery.
    fractions : array_like
        Of the rows, 0 to below 1, ascending; 0, 0.1 to 0.6 if not given.
    side : str
        ``"bottom"``, ``"top"``, ``"middle"``, or ``"random"``: one block at a height drawn for each sample, the same in
        every modality.
    masked : str
        ``"query"``: the gallery stays whole. ``"both"``.
    fill : str or three int
        ``"mean"``: the mean colour of the normalisation, rounded to 8 bits, so about zero behind it; ``"own_mean"``: that of
        the picture; ``"black"``; or red, green and blue, 0..255.
    modalities : sequence of str
        Measured each alone and, where there are several, joined raw in that order.
    rule : str
        As in :func:`retrieval`; by default the data set's own.
    controls : bool or sequence of str
        The nulls of :func:`null_features`: all kinds, none, or some of ``"shuffled"``, ``"random"``, ``"mean"``.
    null_seeds : int
        Add-ons of each random kind, 3 by default.
    others : mapping
        Name -> a model with the same tower, an add-on as :func:`load_model` takes it, or a head of the ablation.
    draws, flips, seed : int
        Of the bootstrap (2,000) and the tests (10,000) over identities; ``seed`` is also that of nulls and random blocks.
    batch_size, progress, report, stop
        As in :func:`embed`.

    Returns
    -------
    curves
        mAP with 95 % intervals of every feature at every fraction; ``print(curves)`` says where the lead is beyond chance.

    Raises
    ------
    OptionError
        If an option is not one of those on offer, no query has a match, or one of ``others`` has another tower.
    DataError
        If there is no image to measure, or none that could be encoded.
    StoppedError
        If ``stop`` returned True.

    Examples
    --------
    >>> some = {"modalities": ["TI"], "fractions": (0, 0.3), "null_seeds": 1, "draws": 200, "progress": False}
    >>> curves = mv.occlusion_curves(model, samples[:24], **some)
    >>> curves.names
    ('plain', 'enhanced', 'shuffled, seed 0', 'untrained, seed 0', 'zero shift')
    >>> table = curves.to_pandas()
    >>> len(table), table.loc[table.name == "plain", "rows"].tolist()  # of 256
    (10, [0, 77])
    """
    request = options_of(OcclusionRequest, options, function="occlusion_curves")
    model, known = checked_model(model), listed_samples(samples)
    query, gallery = query_and_gallery(known)
    who = sample_matching(known, request.rule).checked(
        "an occlusion curve", np.array(query), np.array(gallery)
    )
    ranking = Ranking(who, Split(frozenset(query), frozenset(gallery)), model.metric, request)
    readers = own_readers(model)
    others = other_readers(model, request.others, ["plain", "enhanced"])
    plan = _plan(model, known, request, ranking.split)
    n_names = len(readers) + len(others) + (request.n_nulls if model.addon is not None else 0)
    total = plan.n_images + len(plan.covers) * len(request.sets) * n_names
    with progress_bar(total=total, desc="occlusion", unit="step", disable=not request.progress) as bar:
        steps = StepCounter(total, _reporting(request, bar.update), request.stop, "occlusion")
        passes = Passes(model, known, request, readers, others, steps)
        results = _results(passes, plan, ranking)
    warn_of(model.picture_notes(passes.facts))
    return _record(results, passes, plan, ranking)


class _Plan(NamedTuple):
    """What is covered at each fraction, and which images that concerns: all, and those of queries."""

    covers: list[Cover]
    every: list[Row]
    of_queries: list[Row]
    is_of_both: bool

    @property
    def n_images(self) -> int:
        """How many pictures go through the tower."""
        if self.is_of_both:
            return len(self.covers) * len(self.every)
        return len(self.every) + sum(cover.n_rows > 0 for cover in self.covers) * len(self.of_queries)


class _Result(NamedTuple):
    """What one fraction gave: points, and each query's average precision by each feature."""

    points: list[OcclusionPoint]
    ap: dict[str, dict[str, np.ndarray]]


def _plan(model: Model, samples: Sequence[Sample], request: OcclusionRequest, split: Split) -> _Plan:
    height = model.image_size[0]
    covers = [
        Cover(covered_rows(fraction, height), height, request.side, request.fill, request.seed)
        for fraction in request.fractions
    ]
    every = [
        (at, name)
        for name in request.modalities
        for at, sample in enumerate(samples)
        if name in sample.images and at in split.query | split.gallery
    ]
    if not any(at in split.query for at, _ in every) or not any(at in split.gallery for at, _ in every):
        raise DataError(
            f"an occlusion curve needs query and gallery images in {' or '.join(request.modalities)}: got "
            f"{counted(len(every), 'images')}; choose other modalities"
        )
    of_queries = [row for row in every if row[0] in split.query]
    return _Plan(covers, every, of_queries, request.masked == "both")


def _results(passes: Passes, plan: _Plan, ranking: Ranking) -> list[_Result]:
    """Fraction by fraction; the features of one are let go before those of the next are computed."""
    clean, found = None, []
    if not plan.is_of_both:
        clean = passes.features(_nothing(plan.covers[0]), plan.every)
    for cover, fraction in zip(plan.covers, passes.request.fractions, strict=True):
        if clean is None or plan.is_of_both:
            covered = passes.features(cover, plan.every if clean is None else list(clean.rows))
            clean = covered
        elif cover.n_rows == 0:
            covered = clean
        else:
            covered = passes.features(cover, [row for row in clean.rows if row[0] in ranking.split.query])
        found.append(_measured(covered, clean, ranking, (cover, fraction), passes))
        del covered
    return found


def _measured(
    covered: FeatureRows, gallery: FeatureRows, ranking: Ranking, at: tuple[Cover, float], passes: Passes
) -> _Result:
    (cover, fraction), result = at, _Result([], {})
    leading = "enhanced" if "enhanced" in covered.features else "plain"
    for modalities in passes.request.sets:
        name = joined_name(modalities)
        reports = {}
        for feature, report in ranking.reports(covered, gallery, modalities):
            reports[feature] = report
            if passes.steps.passed(1):
                raise StoppedError(
                    f"occlusion was stopped after {passes.steps.done} of {counted(passes.steps.total, 'steps')}"
                )
        place = {"modality": name, "fraction": fraction, "rows": cover.n_rows, "masked": cover.fraction}
        result.points.extend(points_of(reports, ranking, leading, place))
        if reports:
            result.ap[name] = {feature: report.per_query_ap for feature, report in reports.items()}
    return result


def _record(results: Sequence[_Result], passes: Passes, plan: _Plan, ranking: Ranking) -> OcclusionCurves:
    points = [point for result in results for point in result.points]
    request, kept = passes.request, [joined_name(some) for some in passes.request.sets]
    kept = [name for name in kept if name in results[0].ap]
    if not kept:
        raise DataError(
            "an occlusion curve needs a query and a gallery image that could be encoded: "
            f"{len(passes.failed)} of {counted(len(plan.every), 'images')} failed"
        )
    names = tuple(results[0].ap[kept[0]])
    own = (*passes.readers, *passes.others)
    points.sort(key=lambda point: (kept.index(point.modality), names.index(point.name), point.rows))
    ap = {
        name: np.stack([np.stack([result.ap[name][feature] for result in results]) for feature in names])
        for name in kept
    }
    return OcclusionCurves(
        points=tuple(points),
        modalities=tuple(kept),
        names=names,
        nulls=tuple(name for name in names if name not in own),
        leading="enhanced" if "enhanced" in names else "plain",
        fractions=request.fractions,
        rows=tuple(cover.n_rows for cover in plan.covers),
        height=plan.covers[0].height,
        query_ap=ap,
        side=request.side,
        masked=request.masked,
        fill=fill_words(request.fill),
        rule=ranking.who.rule,
        draws=request.draws,
        failed=tuple(passes.failed),
        notes=ranking.who.notes(np.array(sorted(ranking.split.query | ranking.split.gallery))),
    )


def _nothing(cover: Cover) -> Cover:
    return cover._replace(n_rows=0)


def _reporting(request: OcclusionRequest, update: Callable[[int], object]) -> Callable[[Progress], None]:
    """Moves the bar, and tells the caller."""
    report, done = reporter(request.report), [0]

    def told(progress: Progress) -> None:
        update(progress.done - done[0])
        done[0] = progress.done
        if report is not None:
            report(progress)

    return told
