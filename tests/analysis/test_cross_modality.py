"""Query and gallery in different modalities, against a plain loop over pairs of images."""

from __future__ import annotations

import numpy as np
import pytest
from support.planted_shots import loop, planted

import mswin_viz as mv
from mswin_viz.errors import DataError, OptionError, StoppedError

DRAWS = {"draws": 60, "flips": 60}


@pytest.mark.parametrize("rule", ["camera", "scene", "none"])
@pytest.mark.parametrize(("metric", "coarse"), [("cosine", False), ("cosine", True), ("euclidean", True)])
def test_every_pair_of_sets_is_that_of_a_plain_loop(rule, metric, coarse):
    table = planted(coarse=coarse, metric=metric)
    sets = {"queries": ["RGB", "TI"], "galleries": ["RGB", "NI", "NI|TI"]}
    joined = {"queries": ["NI+TI"], "galleries": ["NI+TI", "RGB+NI"]}
    for names in (sets, joined):
        for (query, gallery), found in mv.cross_modality(table, **names, rule=rule, **DRAWS).cells.items():
            for report, features in ((found.plain, table.plain), (found.enhanced, table.enhanced)):
                expected = loop(table, query, gallery, features, rule=rule, metric=metric)
                np.testing.assert_allclose(report.per_query_ap, expected[:, 0], rtol=1e-9)
                np.testing.assert_allclose(report.per_query_inp, expected[:, 1], rtol=1e-9)


def test_one_modality_against_itself_is_retrieval_within_it():
    table = planted()
    found = mv.cross_modality(table, **DRAWS).cells["NI", "NI"]
    near = table[table.rows("NI")]
    alone = mv.compare(near.plain, near.enhanced, near.pid, near.camid, **DRAWS)
    np.testing.assert_array_equal(found.plain.per_query_ap, alone.plain.per_query_ap)
    assert (found.difference_interval, found.test) == (alone.difference_interval, alone.test)
    assert (found.inp_difference_interval, found.inp_test) == (alone.inp_difference_interval, alone.inp_test)
    assert found.verdict == alone.verdict


def test_without_cameras_the_own_shot_in_another_modality_is_no_match():
    table = planted()
    twins = mv.EmbeddingTable(
        sample=np.array([0, 1, 0, 1]), modality=np.array(["RGB", "RGB", "NI", "NI"]), pid=np.zeros(4, int),
        camid=np.full(4, -1), scene=np.full(4, -1), split=np.array([""] * 4), files=table.files[:4],
        plain=np.float32([[1, 0], [0, 1], [1, 0], [0, 1]]), enhanced=np.float32([[1, 0], [0, 1], [1, 0], [0, 1]]),
    )  # fmt: skip
    for rule in ("camera", "none"):
        report = mv.cross_modality(twins, rule=rule, **DRAWS).cells["RGB", "NI"].plain
        assert report.first_match.tolist() == [1, 1]
        assert (
            report.n_answered == 2
        )  # the other shot; with its own shot in the gallery there would be two matches
        assert report.per_query_inp.tolist() == [1, 1]


def test_queries_and_gallery_can_be_rows_of_the_table():
    table = planted()
    query, gallery = table.sample < 9, table.sample >= 9
    found = mv.cross_modality(table, query=query, gallery=gallery, **DRAWS)
    some, rest = table[query], table[gallery]
    report = found.cells["NI", "TI"].plain
    assert report.n_queries == len(some.rows("NI"))
    both = np.concatenate([some.rows("NI"), len(some) + rest.rows("TI")])
    rows = np.concatenate([some.plain, rest.plain])[both]
    pid, camid = (
        np.concatenate([getattr(some, name), getattr(rest, name)])[both] for name in ("pid", "camid")
    )
    n = len(some.rows("NI"))
    alone = mv.retrieval(rows, pid, camid, query=np.arange(n), gallery=np.arange(n, len(both)))
    np.testing.assert_array_equal(report.per_query_ap, alone.per_query_ap)


def test_reranking_reaches_every_pair():
    table = planted()
    how = mv.Reranking(k1=4, k2=2)
    found = mv.cross_modality(table, queries=["NI"], galleries=["RGB", "RGB|NI|TI"], reranking=how, **DRAWS)
    report = found.cells["NI", "RGB"].plain
    rows = np.concatenate([table.rows("NI"), table.rows("RGB")])
    n = len(table.rows("NI"))
    distances = mv.rerank(table.plain[rows], how, query=range(n), gallery=range(n, len(rows)))
    q = int(np.flatnonzero(np.isfinite(report.first_match))[0])
    order = np.argsort(distances[q], kind="stable")
    own = [
        at
        for at in order
        if at != q and not (table.pid[at] == table.pid[q] and table.camid[at] == table.camid[q])
    ]
    first = next(place for place, at in enumerate(own, start=1) if table.pid[at] == table.pid[q])
    assert report.first_match[q] == first
    assert "re-ranked" in found.sentences()[1]


def test_the_table_and_the_sentences_hold_every_pair():
    found = mv.cross_modality(planted(), **DRAWS)
    frame = found.to_pandas()
    assert frame[["query", "gallery"]].values.tolist() == [list(pair) for pair in found.cells]
    assert frame.loc[1, "plain_mINP"] == found.cells["RGB", "NI"].plain.mINP
    said = found.sentences()
    assert "own shot is left out in every modality" in said[0]
    assert sum(" to " in line and "mINP" in line for line in said) == 9


def test_a_set_without_a_match_is_said_not_to_be_measured():
    table = planted()
    nobody = mv.cross_modality(table[table.pid < 0], **DRAWS)
    assert all("not measured: no query has a match" in line for line in nobody.sentences()[-9:])
    assert nobody.to_pandas()["plain_mAP"].isna().all()


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        (
            {"queries": ["NI+TI"], "galleries": ["RGB"]},
            OptionError,
            r"NI\+TI \(2 joined\), RGB; join as many on both",
        ),
        ({"queries": ["IR"]}, DataError, "the set 'IR' needs IR rows: got a table with RGB, NI, TI"),
        ({"queries": ["NI|"]}, DataError, "needs named rows"),
        ({"queries": "NI"}, OptionError, "names each set once, and each modality of a set once, in a list"),
        ({"galleries": ["NI", "NI"]}, OptionError, "names each set once"),
        ({"queries": ["NI|NI"]}, OptionError, "each modality of a set once"),
        ({"galleries": ["NI|TI|NI"]}, OptionError, "each modality of a set once"),
        ({"galleries": []}, OptionError, "names each set once"),
        ({"queries": ["NI+NI"], "galleries": ["NI+TI"]}, OptionError, "exactly once"),
        ({"rule": "cam"}, OptionError, "rule is one of"),
        ({"draws": 0}, OptionError, "draws is a whole number"),
        ({"camids": None}, OptionError, "cross_modality has no option 'camids'"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(names, error, words):
    with pytest.raises(error, match=words):
        mv.cross_modality(planted(), **names)


def test_what_is_no_table_and_no_model_is_refused():
    for call in (mv.cross_modality, mv.missing_modalities):
        with pytest.raises(OptionError, match=r"table must be a table of embeddings: got \[\]"):
            call([])
        with pytest.raises(DataError, match="a table needs rows: got none"):
            call(planted()[[]])
    with pytest.raises(OptionError, match="needs their comparison: got EmbeddingTabl"):
        mv.cross_modality_figure(planted())
    with pytest.raises(OptionError, match="model must be a model: got 'tiny'"):
        mv.missing_modalities(planted(), model="tiny")


def test_it_reports_after_each_pair_and_stops():
    seen = []
    mv.cross_modality(planted(), queries=["NI"], report=seen.append, **DRAWS)
    assert [progress.done for progress in seen] == [1, 2, 3]
    with pytest.raises(StoppedError, match="after 1 of 9 pairs"):
        mv.cross_modality(planted(), stop=lambda: True, **DRAWS)
