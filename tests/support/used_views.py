"""Every kind of view, made and used once, over a tiny model: for tests of what is left of it."""

from __future__ import annotations

import mswin_viz as mv
from mswin_viz.model.training.run import TrainingStep
from mswin_viz.view.widgets.board import HeatmapBoard
from support.tiny import tiny_model

MODEL, OTHER = tiny_model(), tiny_model(seed=8)


def scales(samples, **_) -> mv.ScaleExplorer:
    explorer = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    explorer._background.on_strip({"kind": "shown"}, explorer._samples)
    return explorer


def comparisons(samples, **_) -> mv.ScaleExplorer:
    explorer = mv.ScaleExplorer({"one": MODEL, "other": OTHER}, samples, prompt="a person")
    explorer.controls.scale.value = 3
    return explorer


def attributions(samples, **_) -> mv.AttributionExplorer:
    explorer = mv.AttributionExplorer(MODEL, samples, prompt="a person")
    explorer.controls.methods.value = ("gradient_x_input",)
    explorer.controls.n_steps.value = 4
    explorer.start()
    return explorer


def embeddings(samples, table, view) -> mv.EmbeddingExplorer:
    explorer = mv.EmbeddingExplorer(MODEL, samples, table=table, view=view)
    explorer._show(view)  # new maps in the place of the first
    explorer.open_row(0)
    explorer.strip.clicked = int(explorer.strip.results["plain"].rows[0])
    return explorer


def rankings(samples, table, **_) -> mv.RetrievalView:
    view = mv.RetrievalView(MODEL, samples, table=table, k=3)
    view.strip.clicked = int(view.strip.results["plain"].rows[0])
    view.start()
    return view


def texts(samples, table, **_) -> mv.TextSearchView:
    view = mv.TextSearchView(MODEL, samples, table=table, prompt="a person", k=3)
    view.selected = [int(view.results.hits[0].rows[0])]
    view.start()
    return view


def tables(samples, table, **_) -> mv.RetrievalView:
    view = mv.RetrievalView({"one": (table, "plain"), "other": table}, samples, k=3)
    view.order = "disagreement"
    view.strip.clicked = int(view.strip.results["other"].rows[0])
    return view


def compared(samples, table, **_) -> mv.EmbeddingExplorer:
    return mv.EmbeddingExplorer({"one": (table, "plain"), "other": table}, samples)


def findings(table, **_) -> mv.FindingsView:
    view = mv.FindingsView([mv.outliers(table), mv.near_duplicates(table, read_files=False)])
    view.place = 1
    return view


def neighbours(table, **_) -> mv.NeighbourStrip:
    return mv.NeighbourStrip(table, row=1)


def curve(**_) -> mv.TrainingCurve:
    curve = mv.TrainingCurve(plain=40.0)
    curve(TrainingStep(step=1, steps=2, loss=1.5, score=0.5))
    return curve


def board(**_) -> HeatmapBoard:
    return HeatmapBoard((6, 2))


USED_VIEWS = [
    scales,
    comparisons,
    attributions,
    embeddings,
    rankings,
    tables,
    compared,
    texts,
    findings,
    neighbours,
    curve,
    board,
]
"""Each takes ``samples``, their ``table`` and its ``view`` by name."""
