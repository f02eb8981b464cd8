"""Modalities absent from query and gallery, against features that are joined and ranked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.planted_shots import loop, planted

import mswin_viz as mv
from mswin_viz.errors import DataError, ShapeError, StoppedError

DRAWS = {"draws": 60, "flips": 60}
COLUMNS = {
    "none": "RGB+NI+TI",
    "RGB": "NI+TI",
    "NI": "RGB+TI",
    "TI": "RGB+NI",
    "RGB+NI": "TI",
    "RGB+TI": "NI",
    "NI+TI": "RGB",
}


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return mv.load_model(device="cpu")


@pytest.mark.parametrize("rule", ["camera", "scene", "none"])
@pytest.mark.parametrize(("metric", "coarse"), [("cosine", False), ("euclidean", True)])
def test_every_column_is_that_of_a_plain_loop_over_the_modalities_that_remain(rule, metric, coarse):
    table = planted(coarse=coarse, metric=metric)
    complete = table[
        np.isin(table.sample, table.sample[table.rows("TI")])
    ]  # shots without TI are in no column
    found = mv.missing_modalities(table, rule=rule, **DRAWS)
    assert list(found.cells) == list(COLUMNS)
    for column, there in COLUMNS.items():
        for report, features in (
            (found.cells[column].plain, complete.plain),
            (found.cells[column].enhanced, complete.enhanced),
        ):
            expected = loop(complete, there, there, features, rule=rule, metric=metric)
            np.testing.assert_allclose(report.per_query_ap, expected[:, 0], rtol=1e-9)
            np.testing.assert_allclose(report.per_query_inp, expected[:, 1], rtol=1e-9)
    assert any(note.startswith("4 shots lack a modality") for note in found.notes)


def test_a_blank_image_is_an_input_of_zeros_whose_feature_is_joined(model):
    """The host's forward pass by hand: zeros in place of the normalised image, then three features side by side."""
    table = mv.embed(model, mv.samples()[:10], progress=False)
    with torch.no_grad():
        zeros = model.clip.encode_image(torch.zeros(1, 3, *model.image_size)).numpy()
    found = mv.missing_modalities(table, model=model, **DRAWS)
    parts = {name: table.plain[table.rows(name)] for name in ("RGB", "NI", "TI")}
    rows = table.rows("RGB")
    for column in ("RGB", "NI+TI"):
        joined = [
            np.repeat(zeros, len(rows), axis=0) if name in column.split("+") else part
            for name, part in parts.items()
        ]
        report = mv.retrieval(np.concatenate(joined, axis=1), table.pid[rows], table.camid[rows])
        np.testing.assert_allclose(found.cells[column].plain.per_query_ap, report.per_query_ap, atol=1e-9)
    assert found.way == "blank image"
    assert "zeros" in found.sentences()[0]
    with pytest.raises(ShapeError, match="the model must be the one that made the table"):
        mv.missing_modalities(planted(), model=model)


def test_the_table_has_the_columns_of_papers_and_their_mean():
    found = mv.missing_modalities(planted(), **DRAWS)
    frame = found.to_pandas()
    assert frame.index.tolist() == [
        "none",
        "M(RGB)",
        "M(NI)",
        "M(TI)",
        "M(RGB+NI)",
        "M(RGB+TI)",
        "M(NI+TI)",
        "mean",
    ]
    each = [found.cells[name].plain.mINP for name in list(COLUMNS)[1:]]
    assert frame.loc["mean", "plain_mINP"] == pytest.approx(sum(each) / 6)
    assert math.isnan(frame.loc["mean", "p"])
    assert found.sentences()[-2].startswith("Without NI and TI: mAP ")


def test_p_is_also_given_after_holms_correction_for_all_columns():
    found = mv.missing_modalities(planted(), **DRAWS)
    p = sorted((cell.test.p, name) for name, cell in found.cells.items())
    expected, largest = {}, 0.0
    for at, (one, name) in enumerate(p):
        largest = max(largest, min(1.0, (len(p) - at) * one))
        expected[name] = largest
    frame = found.to_pandas()
    assert frame.p_adjusted.tolist()[:-1] == pytest.approx([expected[name] for name in found.cells])
    assert math.isnan(frame.loc["mean", "p_adjusted"])
    assert found.sentences()[-1].startswith(
        "Each p is of one test by itself. After Holm's correction for 7 tests, "
    )


def test_queries_and_gallery_are_chosen_by_their_shots():
    table = planted()
    found = mv.missing_modalities(table, query=table.sample < 9, gallery=table.sample >= 9, **DRAWS)
    joint = table.concatenated(("NI", "TI"))
    expected = mv.retrieval(
        joint.plain, joint.pid, joint.camid, query=joint.sample < 9, gallery=joint.sample >= 9
    )
    np.testing.assert_array_equal(found.cells["RGB"].plain.per_query_ap, expected.per_query_ap)


def test_two_modalities_have_two_columns_and_one_has_none():
    table = planted()
    two = table[table.modality != "NI"]
    assert list(mv.missing_modalities(two, **DRAWS).cells) == ["none", "RGB", "TI"]
    with pytest.raises(DataError, match="only where there are two: got a table with RGB;"):
        mv.missing_modalities(table[table.rows("RGB")])
    with pytest.raises(DataError, match=r"got a table with RGB\+NI; embed the images of several"):
        mv.missing_modalities(table.concatenated(("RGB", "NI")))
    apart = table[
        ((table.modality == "RGB") & (table.sample < 5)) | ((table.modality == "NI") & (table.sample >= 5))
    ]
    with pytest.raises(DataError, match="at least one shot must have all of RGB, NI: got none"):
        mv.missing_modalities(apart)


def test_it_reports_after_each_column_and_stops():
    seen = []
    mv.missing_modalities(planted(), report=seen.append, **DRAWS)
    assert [progress.done for progress in seen] == list(range(1, 8))
    with pytest.raises(StoppedError, match="after 1 of 7 columns"):
        mv.missing_modalities(planted(), stop=lambda: True, **DRAWS)
