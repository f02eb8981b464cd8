"""The measures beside the maps say over what they are."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from support.small_tables import small_table

from mswin_viz.analysis.embeddings.view import EmbeddingView, ViewSettings, embedding_view
from mswin_viz.analysis.measures.null_comparison import compare_with_nulls
from mswin_viz.model.encoder.encoded_batch import Failure
from mswin_viz.view.embeddings.figures import measures_figure, nulls_figure, silhouette_figure
from mswin_viz.view.embeddings.measure_table import measures_html


def words(view: EmbeddingView) -> str:
    return unescape(measures_html(view))


@pytest.fixture
def table(tmp_path: Path):
    return small_table(tmp_path)


def test_fewer_answered_queries_than_rows_stand_beside_the_number(table) -> None:
    view = embedding_view(table, ViewSettings("RGB"))
    assert "(5 of 6 queries)" in words(view)
    assert "RGB: 1 query has no match: 1 of unknown identity." in words(view)
    assert "RGB over 5 of 6 queries." in " ".join(
        text.get_text() for text in figure_texts(measures_figure(view))
    )


def test_images_without_a_row_and_unknown_cameras_are_said(table) -> None:
    failed = replace(table, failed=(Failure(Path("cut.png"), "broken"),), camid=np.full(len(table), -1))
    said = words(embedding_view(failed, ViewSettings("RGB")))
    assert "1 image could not be embedded" in said
    assert "RGB: No camera numbers" in said


def test_where_nothing_was_measured_the_cell_says_so(table) -> None:
    one_camera = replace(table, camid=np.ones(len(table), int))
    said = words(embedding_view(one_camera, ViewSettings("RGB")))
    assert (
        "not measured: no query has a match (1 of unknown identity, 5 whose identity has no image from"
        in said
    )
    assert "cannot be told apart" not in said


def test_figures_name_the_metric_and_what_was_not_measured(table) -> None:
    view = embedding_view(replace(table, metric="euclidean"), ViewSettings("RGB"))
    for figure in (measures_figure(view), silhouette_figure(view)):
        assert "euclidean distance" in " ".join(text.get_text() for text in figure_texts(figure)).lower()
    rng = np.random.default_rng(0)
    plain, enhanced, null = rng.normal(size=(3, 8, 4))
    nulls = compare_with_nulls(plain, enhanced, {"a null": null}, np.zeros(8), np.arange(8))
    caption = " ".join(text.get_text() for text in figure_texts(nulls_figure(nulls)))
    assert "Not measured: only one identity has a match" in caption.replace("\n", " ")


def figure_texts(figure) -> list:
    return figure.findobj(lambda artist: hasattr(artist, "get_text"))
