"""The retrieval view without a browser: its traits, its background work, and what it says."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from support.own_modules import TINY_ADDONS, tiny_model_with
from support.tiny import SCALES, tiny_model, two_modalities
from traitlets import TraitError

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.neighbours import neighbours, ranked_queries
from mswin_viz.analysis.embeddings.pair_shares import pair_window_shares
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.sample import Sample
from mswin_viz.errors import DataError, OptionError
from mswin_viz.view.retrieval.pair_panel import pair_html
from mswin_viz.view.retrieval.rankings import ALL, ALL_EQUALISED
from mswin_viz.view.retrieval.view import RetrievalView
from mswin_viz.view.widgets.labels import VALUES

MODEL = tiny_model()


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Eight samples of three people in two modalities; the fourth has no NI, the last one's RGB is broken."""
    found = two_modalities(tmp_path, 8, n_people=3)
    del found[3].images["NI"]
    found[7].images["RGB"].write_bytes(b"broken")
    return found


@pytest.fixture
def table(samples: list[Sample]) -> EmbeddingTable:
    return embed(MODEL, samples, progress=False)


@pytest.fixture
def view(samples: list[Sample], table: EmbeddingTable) -> RetrievalView:
    return RetrievalView(MODEL, samples, table=table, k=4)


def text(view: RetrievalView, part: str) -> str:
    return view._html[part].value


def test_nothing_is_embedded_before_the_button(samples: list[Sample]) -> None:
    view = RetrievalView(MODEL, samples)
    assert view.table is None
    assert view.results == {}
    assert "8 samples, 15 images, not embedded yet" in text(view, "summary")
    view.start().join(60)
    assert len(view.table) == 14
    assert list(view.results) == ["plain", "enhanced"]
    assert "done" in view.worker.status.value


def test_work_can_be_stopped_and_begun_again(samples: list[Sample]) -> None:
    view = RetrievalView(MODEL, samples)
    view.worker._work(lambda _progress: None, lambda: True)
    assert view.table is None
    assert "stopped" in view.worker.status.value
    view.start().join(60)
    assert view.table is not None


def test_the_lists_are_the_querys_neighbours_in_the_chosen_modality(view, table) -> None:
    view.query, view.modality = 4, "NI"
    row = table.row_of(4, "NI")
    for feature, found in view.results.items():
        assert found.rows.tolist() == neighbours(table, row, k=4, feature=feature).rows.tolist()
    view.k, view.rule = 3, "none"
    assert view.results["plain"].rows.tolist() == neighbours(table, row, k=3, rule="none").rows.tolist()
    assert (view.controls.k.value, view.controls.rule.value, view.controls.query.value) == (3, "none", 4)


def test_all_modalities_are_joined_raw_or_equalised(view, table) -> None:
    view.query = 5
    for modality, equalised in ((ALL, False), (ALL_EQUALISED, True)):
        view.modality = modality
        joint = table.concatenated(("RGB", "NI"), equalised=equalised)
        expected = neighbours(joint, joint.row_of(5, "RGB+NI"), k=4)
        np.testing.assert_array_equal(view.results["plain"].similarity, expected.similarity)


def test_joined_modalities_have_one_name_on_screen_and_their_old_values(view) -> None:
    assert view.controls.modality.options == (
        ("RGB", "RGB"), ("NI", "NI"), ("RGB and NI together", "all, raw"), ("RGB and NI together, equalised", "all, equalised"),
    )  # fmt: skip
    view.modality = ALL_EQUALISED
    assert "<b>RGB and NI together, equalised</b>" in view._html["summary"].value
    assert "Ranked by RGB and NI together, equalised, rule camera" in view.figure().get_supxlabel().replace(
        "\n", " "
    )


def test_a_control_and_its_trait_are_one(view) -> None:
    view.controls.modality.value = "NI"
    view.controls.query.value = 2
    assert (view.modality, view.query) == ("NI", 2)
    view.controls.following.click()
    assert (view.query, view.controls.query.value) == (3, 3)
    assert "has no NI row" in text(view, "message")
    view.controls.previous.click()
    assert "has no NI row" not in text(view, "message")
    assert view.results


def test_a_search_narrows_the_menu_and_asks_its_first_find(view) -> None:
    view.query = 1
    view.controls.search.value = "id 2"
    assert [at for _, at in view.controls.query.options] == [2, 5]
    assert view.query == 2
    view.controls.search.value = "nobody"
    assert "no query matches" in view.controls.count.value
    assert view.query == 2


@pytest.mark.parametrize("modality", ["RGB", "NI", ALL])
def test_jumps_visit_the_worst_queries_in_turn(view, table, modality: str) -> None:
    view.modality = modality
    chosen = table.concatenated(("RGB", "NI")) if modality == ALL else table[table.rows(modality)]
    after = ranked_queries(chosen).precisions["enhanced"]
    order = [
        int(chosen.sample[row]) for row in np.argsort(np.round(after, 9), kind="stable") if after[row] >= 0
    ]
    visited = []
    for _ in range(3):
        view.controls.jumps["worst"].click()
        visited.append(view.query)
    assert visited == order[:3]
    assert "worst: 3 of" in text(view, "jump")


def test_the_summary_is_that_of_the_retrieval_measures(view, table) -> None:
    rgb = table[table.rows("RGB")]
    for feature in ("plain", "enhanced"):
        assert f"{np.nanmean(ranked_queries(rgb).precisions[feature]):.3f}" in text(view, "summary")
    (note,) = ranked_queries(rgb).notes
    assert note.startswith("1 image could not be embedded")
    assert note in unescape(text(view, "summary"))


def test_a_chosen_result_shows_its_shares_and_the_latest_choice_wins(view, table) -> None:
    rows = view.results["enhanced"].rows.tolist()
    view.strip.clicked = rows[0]
    view.strip.clicked = rows[1]
    while view.pair_worker.thread.is_alive():
        view.pair_worker.thread.join(60)
    expected = pair_window_shares(MODEL, table, view.strip.row, rows[1])
    assert view.pair.shares.similarity == pytest.approx(expected.similarity)
    assert [column["key"] for column in view.pair.board.columns] == [f"scale-{s}" for s in SCALES] + ["fused"]
    assert [row["name"] for row in view.pair.board.rows] == ["query", "result"]
    assert view.pair.layout.display is None
    view.query = 3
    assert view.pair.shares is None
    assert view.pair.layout.display == "none"


def test_the_heatmaps_of_a_pair_show_the_value_that_is_chosen(view) -> None:
    view.modality = ALL
    view.strip.clicked = int(view.results["plain"].rows[0])
    view.pair_worker.thread.join(60)
    panel, seen = view.pair, []
    assert panel.value.value == "removal"
    panel.modality.value = "NI"
    for value in ("removal", "push", "share"):
        panel.value.value = value
        for column in panel.board.columns:
            assert column["unit"] == value
            shown = np.frombuffer(column["values"], np.float32).reshape(2, -1)
            for row, sides in zip(shown, (panel.shares.a, panel.shares.b), strict=True):
                numbers = sides["NI"].values(value)
                key = column["key"].removeprefix("scale-")
                expected = numbers.fused if key == "fused" else numbers.windows[int(key)]
                np.testing.assert_allclose(row, expected, rtol=1e-6)
        assert VALUES[value] in panel._legend.value
        assert "the other image" in panel._legend.value
        seen.append(panel.board.columns[0]["values"])
    assert len(set(seen)) == 3


def test_joined_modalities_have_all_bars_and_one_picture_at_a_time(view) -> None:
    view.modality = ALL
    view.strip.clicked = int(view.results["plain"].rows[0])
    view.pair_worker.thread.join(60)
    assert view.pair.modality.options == ("RGB", "NI")
    first = view.pair.board.rows[0]["image"]
    view.pair.modality.value = "NI"
    assert view.pair.board.rows[0]["image"] != first
    for label in ("RGB CLS", "NI CLS", "RGB bias", "NI bias", "NI scale 5", "= cosine"):
        assert view.pair._bars.value.count(label) == 2  # of the query and of the result


def test_the_printed_bars_add_up_to_the_printed_cosine(table) -> None:
    joint = table.concatenated(("RGB", "NI"))
    shares = pair_window_shares(MODEL, joint, 0, 1)
    html = pair_html(shares, ("<a>", "b"))
    numbers = [float(number) for number in re.findall(r">([+-]?\d\.\d{3})</span>", html)]
    assert len(numbers) == 2 * (4 + 2 + 2 * (len(SCALES) + 1) + 1)
    for side in (numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]):
        plain, other, norm, cls, *of_cls_and_parts, enhanced = side
        of_cls, parts = of_cls_and_parts[:2], of_cls_and_parts[2:]
        assert plain == pytest.approx(shares.plain_similarity, abs=0.0006)
        assert plain + other + norm == pytest.approx(cls, abs=0.002)
        assert sum(of_cls) == pytest.approx(cls, abs=0.002)
        assert cls + sum(parts) == pytest.approx(enhanced, abs=0.0005 * len(side))
        assert enhanced == pytest.approx(shares.similarity, abs=0.0006)
    assert "&lt;a&gt;" in html


def test_pressing_the_button_without_a_choice_says_what_to_do(view) -> None:
    view.pair_worker.start().join(60)
    assert "click one" in view.pair_worker._message.value


def test_a_table_of_another_model_is_found_out(samples, table) -> None:
    view = RetrievalView(tiny_model(seed=9), samples, table=table)
    view.strip.clicked = int(view.results["plain"].rows[0])
    view.pair_worker.thread.join(60)
    assert "another model" in view.pair._notes.value


def test_without_an_add_on_there_is_one_list_and_no_window(samples: list[Sample]) -> None:
    plain = tiny_model(addon=False)
    view = RetrievalView(plain, samples, table=embed(plain, samples, progress=False))
    assert list(view.results) == ["plain"]
    view.strip.clicked = int(view.results["plain"].rows[0])
    view.pair_worker.thread.join(60)
    assert "no window has a share" in view.pair._notes.value
    assert view.figure().axes


def test_images_that_failed_are_named(view) -> None:
    assert "RGB_7.png" in text(view, "message")


def test_the_figure_is_of_what_is_ranked(view, samples, table) -> None:
    figure = view.figure(n_shares=2, scale=4)
    words = " ".join(some.get_text() for axis in figure.axes for some in axis.texts)
    assert f"{view.results['enhanced'].similarity[1]:.3f}" in words
    assert "Ranked by RGB, rule camera" in figure.get_supxlabel().replace("\n", " ")
    with pytest.raises(OptionError, match="got scale=8, and scales 2, 4, 5"):
        view.figure(n_shares=1, scale=8)
    with pytest.raises(OptionError, match="none yet"):
        RetrievalView(MODEL, samples).figure()


def test_a_figure_of_a_query_without_a_row_names_the_query_and_not_the_button(view) -> None:
    view.query = 7
    with pytest.raises(OptionError, match=r"id 1, camera 7.* has none by RGB; choose another query"):
        view.figure()


def test_the_gallery_does_not_ask(samples, table) -> None:
    splits = ["gallery" if at % 2 else "query" for at in range(len(samples))]
    split = [replace(sample, split=name) for sample, name in zip(samples, splits, strict=True)]
    view = RetrievalView(MODEL, split, table=replace(table, split=np.array(splits)[table.sample]))
    assert [at for _, at in view.controls.query.options] == [0, 2, 4, 6]
    assert set(table.sample[view.results["plain"].rows]) <= {1, 3, 5, 7}


def test_one_image_alone_is_a_sentence_and_no_failure(samples: list[Sample]) -> None:
    view = RetrievalView(MODEL, samples[:1])
    view.start().join(60)
    assert "at least one candidate" in view.strip.message
    assert "no query has a match" in text(view, "summary")
    view.jump("worst")
    assert "no query has a match" in text(view, "jump")


@pytest.mark.parametrize(
    ("trait", "value"), [("query", 8), ("query", -1), ("modality", "TI"), ("k", 0), ("k", 99)]
)
def test_values_that_do_not_exist_are_refused_and_the_old_ones_stay(view, trait: str, value: object) -> None:
    old = getattr(view, trait)
    with pytest.raises(TraitError, match=str(value)):
        setattr(view, trait, value)
    assert getattr(view, trait) == old


def test_samples_that_cannot_be_ranked_are_errors(samples, table) -> None:
    with pytest.raises(DataError, match="0 samples"):
        RetrievalView(MODEL, [])
    with pytest.raises(DataError, match="TI"):
        RetrievalView(MODEL, samples, modalities=("TI",))
    with pytest.raises(OptionError, match="3 samples and a row of sample 7"):
        RetrievalView(MODEL, samples[:3], table=table)
    with pytest.raises(DataError, match="all 8 samples are of the gallery"):
        RetrievalView(MODEL, [replace(sample, split="gallery") for sample in samples])


@pytest.mark.parametrize("kind", list(TINY_ADDONS))
def test_any_add_on_is_ranked_split_and_drawn(samples: list[Sample], kind: str) -> None:
    model = tiny_model_with(kind)
    view = RetrievalView(model, samples, table=embed(model, samples, progress=False), k=4)
    assert list(view.results) == ["plain", "enhanced"]
    view.strip.clicked = int(view.results["enhanced"].rows[0])
    view.pair_worker.thread.join(60)
    keys, bars = [column["key"] for column in view.pair.board.columns], view.pair._bars.value
    has_scales = kind in ("scheme 2", "mixture")
    assert keys == [*(f"scale-{scale}" for scale in SCALES if has_scales), "fused"]
    assert bars.count(">tokens<") == (0 if has_scales else 2)
    assert bars.count(">unexplained<") == (2 if kind == "unexplained" else 0)
    assert ("exp adds" in view.pair._notes.value) == (kind == "unexplained")
    assert ("has no scales" in view.pair._notes.value) == (not has_scales)
    figure = view.figure(n_shares=2)
    words = " ".join(some.get_text() for axis in figure.axes for some in axis.texts)
    assert ("windows +" in words or "windows -" in words) == has_scales
    assert ("unexplained" in words) == (kind == "unexplained")
    assert "lead to the enhanced one" in figure.get_supxlabel().replace("\n", " ")


def test_a_scale_of_an_add_on_that_has_none_is_an_error(samples: list[Sample]) -> None:
    model = tiny_model_with("attention pooling")
    view = RetrievalView(model, samples, table=embed(model, samples, progress=False))
    with pytest.raises(
        OptionError, match=r"patch by patch with scale=None: got scale=4, and scales \(none\)"
    ):
        view.figure(n_shares=1, scale=4)
