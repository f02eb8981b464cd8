"""The retrieval view of several models on one query: its lists, orders, words, figure and page."""

from __future__ import annotations

from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from support.saved_pages import ReadPage
from support.tiny import tiny_model, two_modalities
from traitlets import TraitError

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.neighbours import neighbours
from mswin_viz.analysis.embeddings.pair_shares import pair_window_shares
from mswin_viz.analysis.embeddings.query_table import query_table
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.sample import Sample
from mswin_viz.errors import DataError, OptionError
from mswin_viz.view.retrieval.rankings import ALL
from mswin_viz.view.retrieval.view import RetrievalView

ONE, TWO = tiny_model(), tiny_model(seed=9)
HOSTILE = "<img src=x onerror=alert(1)> $x^2$ \u202e" + "long " * 30


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Nine samples of three people in two modalities; the fourth has no NI, the last one's RGB is broken."""
    folder = tmp_path_factory.mktemp("people") / "a folder"
    folder.mkdir()
    found = two_modalities(folder, 9, n_people=3)
    del found[3].images["NI"]
    found[8].images["RGB"].write_bytes(b"broken")
    return found


@pytest.fixture(scope="module")
def tables(samples: list[Sample]) -> dict[str, EmbeddingTable]:
    """The second in another order, with other sample numbers, a wider feature and another metric."""
    one, two = embed(ONE, samples, progress=False), embed(TWO, samples[::-1], progress=False)
    wide = np.concatenate([two.enhanced, two.plain[:, :3]], axis=1)
    return {"baseline": one, "windows": replace(two, enhanced=wide, metric="euclidean")}


@pytest.fixture
def view(tables: dict[str, EmbeddingTable]) -> RetrievalView:
    return RetrievalView(tables, k=4)


def row_of(table: EmbeddingTable, path: object) -> int:
    return [str(one) for one in table.path].index(str(path))


def test_every_name_is_a_ranked_list_of_its_own_table(view, tables) -> None:
    assert len(view._samples) == 9
    for query, modality in ((4, "NI"), (0, "RGB")):
        view.query, view.modality = query, modality
        assert list(view.results) == ["baseline", "windows"]
        asked = view._samples[query].images[modality]
        for name, found in view.results.items():
            own = tables[name]
            expected = neighbours(own, row_of(own, asked), k=4, feature="enhanced")
            shown = [view.strip.table.path[row] for row in found.rows]
            assert shown == [own.path[row] for row in expected.rows]
            np.testing.assert_allclose(found.similarity, expected.similarity)
            assert found.metric == own.metric
        titles = [one["title"] for one in view.strip.lists]
        assert titles == ["baseline", "windows"]
        assert view.strip.lists[1]["before"] == {"title": "baseline", "short": "baseline"}


def test_a_result_says_its_rank_in_the_first_list(view) -> None:
    first, second = (one["items"] for one in view.strip.lists)
    places = {item["row"]: at for at, item in enumerate(first, 1)}
    assert [item["plain_rank"] for item in second] == [places.get(item["row"], 0) for item in second]
    assert {item["plain_rank"] for item in first} == {None}


def test_a_name_may_be_of_plain_features_and_one_table_may_be_alone(tables) -> None:
    one = tables["baseline"]
    both = RetrievalView({"CLIP": (one, "plain"), "windows": one}, k=3)
    assert both.results["CLIP"].rows.tolist() == neighbours(one, both.strip.row, k=3).rows.tolist()
    alone = RetrievalView({"only": one}, k=3)
    assert list(alone.results) == ["only"]
    assert [value for _, value in alone.controls.order.options] == [
        "as listed", "AP, only", "margin, only", "first match, only",
    ]  # fmt: skip
    assert "mAP only" in alone._html["summary"].value
    for made in (both, alone):
        made.close()


def test_samples_may_be_given_and_keep_their_captions(samples, tables) -> None:
    captioned = [replace(sample, caption=f"coat {at}") for at, sample in enumerate(samples)]
    view = RetrievalView(tables, captioned, k=3)
    view.controls.search.value = "coat 5"
    assert view.query == 5
    assert view.strip.table.path[view.strip.row] == samples[5].images["RGB"]


def test_images_that_one_table_lacks_and_images_that_failed_are_named(tables) -> None:
    one = tables["baseline"]
    view = RetrievalView({"a": one, "b": one[one.sample != 2]}, k=3)
    assert "“b” lacks 2 images that another table has, left out of every list" in view._html["summary"].value
    assert "RGB_8.png" in view._html["message"].value
    assert "(in a and b)" in view._html["message"].value


@pytest.mark.parametrize(
    "order", ["AP, windows", "loss, windows", "gain, windows", "margin, baseline", "disagreement"]
)
def test_an_order_lists_the_queries_with_their_values_and_shows_the_first(view, tables, order: str) -> None:
    view.controls.order.value = order
    assert view.order == order
    frame = query_table(tables, modality="RGB", k=4)
    key = {
        "AP, windows": frame["windows_ap"], "loss, windows": frame["windows_change"],
        "gain, windows": -frame["windows_change"], "margin, baseline": -frame["baseline_margin"],
        "disagreement": frame["in_common"] - 1e-3 * frame["windows_change"].abs(),
    }[order]  # fmt: skip
    listed = [at for _, at in view.controls.query.options]
    paths = [str(view._samples[at].images.get("RGB")) for at in listed][: len(frame)]
    assert paths == frame["path"][key.round(9).sort_values(kind="stable").index].tolist()
    assert view.query == listed[0]
    label, value = view.controls.query.options[0][0], abs(float(key.min()))
    assert (
        label.startswith(f"{frame['in_common'].min():.0f} of 4 shared | ")
        if order == "disagreement"
        else f"{value:.3f} | " in label
    )
    assert view.controls.order_note.value


def test_another_modality_sorts_anew_and_keeps_the_query(view) -> None:
    view.order = "AP, windows"
    asked, before = view.query, [label for label, _ in view.controls.query.options]
    view.modality = "NI"
    assert view.query == asked
    assert [label for label, _ in view.controls.query.options] != before
    view.order = "as listed"
    assert [at for _, at in view.controls.query.options] == list(range(9))
    with pytest.raises(TraitError, match=r"order must be one of as listed; .*got 'worst'"):
        view.order = "worst"


def test_many_queries_are_ranked_in_the_background_before_they_are_sorted(view, monkeypatch) -> None:
    monkeypatch.setattr("mswin_viz.view.retrieval.ranking_work._QUICK", 3)
    monkeypatch.setattr("mswin_viz.view.retrieval.query_menu._MOST_LISTED", 5)
    view.rule = "none"
    view.order = "disagreement"
    view.worker.thread.join(60)
    labels = [label for label, _ in view.controls.query.options]
    assert len(labels) <= 6
    assert all(" shared | " in label for label in labels)
    assert "first 5 of 9" in view.controls.count.value


def test_jumps_go_by_the_last_list_and_by_the_spread(view, tables) -> None:
    frame = query_table(tables, modality="RGB")
    for kind, key in (("worst", frame["windows_ap"]), ("most changed", -frame["windows_change"].abs())):
        view.jump(kind)
        assert str(view._samples[view.query].images["RGB"]) == frame["path"][key.round(9).idxmin()]
        assert f"{kind}: 1 of" in view._html["jump"].value
        assert "AP baseline 0." in view._html["jump"].value or "AP baseline 1." in view._html["jump"].value


def test_the_frame_of_the_view_is_that_of_the_tables(view, tables) -> None:
    frame, alone = view.queries(), query_table(tables, modality="RGB", k=4)
    assert frame.columns.tolist() == alone.columns.tolist()
    assert frame.reset_index(drop=True).equals(alone.reset_index(drop=True))
    view.modality = ALL
    assert set(view.queries()["modality"]) == {"RGB+NI"}


def test_the_summary_has_each_list_with_its_interval_and_the_test_of_the_change(view, tables) -> None:
    frame, words = query_table(tables, modality="RGB"), view._html["summary"].value
    for name in tables:
        assert f"{100 * frame[f'{name}_ap'].mean():.1f} %" in words
        assert f"{100 * frame[f'{name}_inp'].mean():.1f} %" in words
    assert f"{100 * frame['windows_change'].mean():+.1f} (" in words
    assert "Against baseline, over 8 queries" in words
    assert "Holm" not in words
    three = RetrievalView({**tables, "CLIP": (tables["baseline"], "plain")}, k=3)
    assert "after Holm's correction for 2 tests" in unescape(three._html["summary"].value)
    assert list(three.results) == ["baseline", "windows", "CLIP"]


def test_models_split_the_similarity_of_a_chosen_result_each_its_own(tables, samples) -> None:
    view = RetrievalView(tables, models={"windows": TWO, "baseline": ONE}, k=3)
    assert list(view.pairs) == ["baseline", "windows"]
    row = int(view.results["windows"].rows[0])
    view.strip.clicked = row
    for work in view.pairs.values():
        work.worker.thread.join(60)
    expected = pair_window_shares(ONE, view.strip.table, view.strip.row, row)
    assert view.pairs["baseline"].panel.shares.similarity == pytest.approx(expected.similarity)
    assert view.pairs["windows"].panel.shares.similarity != pytest.approx(expected.similarity)
    figure = view.figure(n_shares=2)
    titles = [part.get_suptitle() for side in figure.subfigs for part in side.subfigs]
    assert [title.split(":")[0] for title in titles] == ["baseline", "windows", "windows"]
    view.close()


def test_without_a_model_a_chosen_result_says_what_it_needs(view) -> None:
    assert view.pair is None
    view.strip.clicked = int(view.results["windows"].rows[0])
    assert "needs the model that made a table" in view._pairs._note.value
    view.strip.clicked = -1
    assert view._pairs._note.value == ""
    with pytest.raises(OptionError, match="needs the model of a table"):
        view.figure(n_shares=1)


def test_the_figure_and_the_page_have_every_list_under_its_name(view, tables, samples) -> None:
    figure = view.figure()
    titles = [part.get_suptitle().split(":")[0] for part in figure.subfigs[1].subfigs]
    assert titles == ["baseline", "windows"]
    words = figure.get_supxlabel().replace("\n", " ")
    assert "baseline: features enhanced, 10 numbers, ranked by cosine" in words
    view.order = "disagreement"
    page = ReadPage(view.page(images=3))
    assert page.broken_references == []
    assert "a folder" not in page.text
    assert "the queries in the order “where the lists disagree first” of RGB, rule camera" in page.text
    strip, _ = page.model(trait="lists")
    answer = page.answer(0, "RGB", "none")
    view.rule = "none"
    order = [at for _, at in view.controls.query.options]
    shown = [one["title"] for one in answer[strip]["lists"]]
    assert shown == ["baseline", "windows"]
    assert "mswin-list-changes" in page.html("mswin-retrieval-summary", answer)
    assert len(order) == 9


def test_a_hostile_name_is_text_wherever_it_stands(tables) -> None:
    view = RetrievalView({HOSTILE: tables["baseline"], "b": tables["windows"]}, k=3)
    view.order = f"AP, {HOSTILE}"
    view.jump("worst")
    parts = [view._html["summary"].value, view._html["jump"].value, view.children[0].value]
    assert not any("<img" in part for part in parts)
    assert "\u202e" not in view.strip.lists[0]["title"]
    assert len(view.strip.lists[0]["title"]) <= 40
    assert len(view.strip.lists[1]["before"]["short"]) <= 14
    assert "<img src=x" not in ReadPage(view.page(images=1)).text
    assert view.figure().axes
    assert repr(view).startswith("RetrievalView(9 samples, <img")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda t, s: RetrievalView(t, table=t["windows"]), OptionError, "as the first argument: got table= too"),
        (lambda t, s: RetrievalView(t, models={"other": ONE}), OptionError, "'baseline', 'windows': got 'other'"),
        (lambda t, s: RetrievalView(t, models=ONE), OptionError, "a mapping of names to models"),
        (lambda t, s: RetrievalView(t, models={"windows": 7}), OptionError, "shows a model: got 7"),
        (lambda t, s: RetrievalView(ONE, s, models={"a": ONE}), OptionError, "models= belongs to tables by name"),
        (lambda t, s: RetrievalView(ONE), OptionError, "a list of Sample records: got None"),
        (lambda t, s: RetrievalView({"a": t["windows"], "b": ONE}), OptionError, "a table of mswin_viz.embed"),
        (lambda t, s: RetrievalView(t, s[:3]), DataError, "samples must be those of the tables"),
        (lambda t, s: RetrievalView(t, modalities=("TI",)), DataError, "needs samples with TI"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_words(make, error, words, tables, samples) -> None:
    with pytest.raises(error, match=words):
        make(tables, samples)
