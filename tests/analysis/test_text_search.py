"""Texts that rank a gallery, the map of their words, and the recall of captions: against plain loops."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.small_tables import small_table
from support.tiny import tiny_model, two_modalities

import mswin_viz as mv
from mswin_viz.analysis.text_search.recall import first_rank
from mswin_viz.analysis.text_search.search import text_directions
from mswin_viz.model.encoder.prompts import prompt_ids

MODEL = tiny_model()
PROMPTS = ("a red top", "a dog")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[mv.Sample]:
    return two_modalities(tmp_path_factory.mktemp("people"), 7, n_people=3)


@pytest.fixture(scope="module")
def table(samples: list[mv.Sample]) -> mv.EmbeddingTable:
    return mv.embed(MODEL, samples, progress=False)


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """From its formula, with numbers of Python alone."""
    dot = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(float(x) ** 2 for x in a)) / math.sqrt(sum(float(y) ** 2 for y in b))


@pytest.mark.parametrize("feature", ["plain", "enhanced"])
def test_the_rows_of_each_modality_come_by_their_cosine_with_each_prompt(
    feature: str, table: mv.EmbeddingTable
) -> None:
    found = mv.search_text(MODEL, table, PROMPTS, feature=feature, k=4)
    for prompt in PROMPTS:
        text = MODEL.encode_text(prompt)[0].tolist()
        for modality in ("RGB", "NI"):
            rows = [row for row in range(len(table)) if table.modality[row] == modality]
            of_row = {row: cosine(text, getattr(table, feature)[row]) for row in rows}
            expected = sorted(rows, key=lambda row: -of_row[row])[:4]
            hits = found.of(modality, prompt)
            assert hits.rows.tolist() == expected
            np.testing.assert_allclose(hits.cosine, [of_row[row] for row in expected], rtol=1e-6)
            assert (hits.n_ranked, hits.n_left_out) == (7, 0)


def test_a_block_of_rows_at_a_time_gives_the_same(table, monkeypatch) -> None:
    whole = mv.search_text(MODEL, table, PROMPTS, k=7)
    monkeypatch.setattr("mswin_viz.analysis.text_search.search._BLOCK", 3)
    for one, other in zip(whole.hits, mv.search_text(MODEL, table, PROMPTS, k=7).hits, strict=True):
        assert one.rows.tolist() == other.rows.tolist()


def test_equal_cosines_keep_the_order_of_the_table(table) -> None:
    same = replace(table, plain=np.repeat(table.plain[:1], len(table), axis=0))
    found = mv.search_text(MODEL, same, "a dog", k=7)
    assert found.of("NI").rows.tolist() == same.rows("NI").tolist()


def test_queries_are_left_out_and_training_rows_are_ranked_only_where_nothing_else_is(table) -> None:
    split = np.array(["query", "gallery", "train", "gallery", "query", "", "test"] * 2)
    found = mv.search_text(MODEL, replace(table, split=split), "a dog")
    assert sorted(found.of("RGB").rows.tolist()) == [1, 3, 5, 6]
    assert found.splits == ("gallery", "test", "")
    asked = mv.search_text(MODEL, replace(table, split=split), "a dog", splits=["query"])
    assert sorted(asked.of("RGB").rows.tolist()) == [0, 4]
    train = mv.search_text(MODEL, replace(table, split=np.full(14, "train")), "a dog")
    assert (train.splits, len(train.of("RGB").rows)) == (("train",), 7)


def test_a_row_without_a_direction_is_left_out_and_counted(table) -> None:
    plain = table.plain.copy()
    plain[[2, 9]] = [[0.0], [np.nan]]
    found = mv.search_text(MODEL, replace(table, plain=plain), "a dog")
    assert [hits.n_left_out for hits in found.hits] == [1, 1]
    assert 2 not in found.of("RGB").rows
    assert "1 without a direction left out" in found.sentences()[0]


def test_what_was_appended_behind_the_cls_has_no_part_in_the_product_but_in_the_length(table) -> None:
    wide = np.hstack([table.enhanced, np.ones((len(table), 3), np.float32)])
    hits = mv.search_text(MODEL, replace(table, enhanced=wide), "a dog", feature="enhanced", k=1).of("RGB")
    text = [*MODEL.encode_text("a dog")[0].tolist(), 0, 0, 0]
    np.testing.assert_allclose(hits.cosine[0], max(cosine(text, row) for row in wide[:7]), rtol=1e-6)


def test_unknown_words_are_in_the_record_and_not_a_warning(table) -> None:
    known = frozenset(mv.load_model().tower.token_ids)
    model = replace(MODEL, tower=replace(MODEL.tower, token_ids=known))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mv.search_text(model, table, ["red zebra top", "a red top"])
    assert found.unknown == {"red zebra top": ("zebra",), "a red top": ()}
    assert found.unknown_sentences() == [
        "The text tower was never trained on: zebra (in “red zebra top”); what it makes of them means nothing."
    ]
    with pytest.raises(mv.errors.PromptError, match="needs a word the text tower was trained on"):
        mv.search_text(model, table, "a zebra")


def test_the_record_as_a_table_has_a_line_for_each_hit(table) -> None:
    frame = mv.search_text(MODEL, table, PROMPTS, k=2).to_pandas()
    assert frame.columns.tolist() == [*table.to_pandas().columns, "prompt", "rank", "cosine"]
    assert frame["rank"].tolist() == [1, 2] * 4
    assert frame["sample"].tolist() == table.sample[frame.index].tolist()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"modalities": ["TI"]}, "modalities are some of the table's RGB, NI: got 'TI'"),
        ({"modalities": "RGB"}, "modalities is a list of at least one name: got 'RGB'"),
        ({"splits": ["val"]}, "got 'val'"),
        ({"splits": ["query"]}, '7 RGB rows of the splits "", none of query'),
        ({"feature": "shift"}, "got 'shift'"),
        ({"k": 0}, "k is a whole number of at least 1: got 0"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(options: dict, words: str, table) -> None:
    with pytest.raises(mv.MswinVizError) as problem:
        mv.search_text(MODEL, table, "a dog", **options)
    assert words in str(problem.value)


@pytest.mark.parametrize(
    ("model", "given", "prompts", "words"),
    [
        (None, "table", "a dog", "model must be a model: got None"),
        (MODEL, "nothing", "a dog", "table must be a table of embeddings: got None"),
        (MODEL, "no row", "a dog", "a table needs rows: got none"),
        (MODEL, "table", None, "a prompt must be a text: got None"),
        (MODEL, "table", ["a dog", ["a"]], "a prompt must be a text: got ['a']"),
        (MODEL, "table", b"a dog", "a prompt must be a text: got b'a dog'"),
    ],
)
def test_what_cannot_be_searched_is_refused(model, given: str, prompts, words: str, samples, table) -> None:
    other = {"table": table, "nothing": None, "no row": table[[]]}[given]
    with pytest.raises(mv.MswinVizError) as problem:
        mv.search_text(model, other, prompts)
    assert words in str(problem.value)
    if prompts == "a dog":
        with pytest.raises(mv.MswinVizError, match=words):
            mv.text_recall(model, other, samples)


def test_joined_rows_are_refused(table) -> None:
    with pytest.raises(mv.errors.ShapeError, match="wide as its own feature, 10: got 20"):
        mv.search_text(MODEL, table.concatenated(("RGB", "NI")), "a dog")


@pytest.mark.parametrize("feature", ["plain", "enhanced"])
def test_the_map_of_the_words_and_the_rest_add_up_to_the_cosine(feature: str, samples, table) -> None:
    found = mv.search_text(MODEL, table, "a red top", feature=feature, k=3)
    for hits in found.hits:
        pictures = [samples[table.sample[row]].images[hits.modality] for row in hits.rows]
        split = mv.cls_by_patch(MODEL, pictures, found.directions[0], feature=feature).cosine()
        for image in range(3):
            total = sum(split.patches[image].tolist())
            for rest in (split.class_token, split.positions, split.biases, split.baseline, split.unexplained):
                total += float(rest[image])
            assert total == pytest.approx(hits.cosine[image], abs=2e-6)


# ---- the recall of captions ------------------------------------------------------------------------


def test_the_rank_of_each_caption_is_that_of_a_loop_over_the_sorted_rows(samples, table) -> None:
    found = mv.text_recall(MODEL, table, samples)
    assert found.captions == tuple(f"number {at}" for at in range(7))
    for modality, first in found.first.items():
        rows = [row for row in range(len(table)) if table.modality[row] == modality]
        expected = []
        for at, sample in enumerate(samples):
            text = MODEL.encode_text(f"number {at}")[0].tolist()
            order = sorted(rows, key=lambda row: -cosine(text, table.plain[row]))
            expected.append(next(i for i, row in enumerate(order, 1) if table.pid[row] == sample.pid))
        assert first.tolist() == expected
        for rank in (1, 5, 10):
            assert found.recall[modality][rank] == sum(one <= rank for one in expected) / 7
        shown = [sum(table.pid[row] == sample.pid for row in rows) / 7 for sample in samples]
        assert found.chance[modality] == pytest.approx(sum(shown) / 7)


def test_unknown_identities_and_missing_captions_are_passed_over_and_long_ones_counted(
    samples, table
) -> None:
    changed = [
        replace(samples[0], pid=-1),
        replace(samples[1], caption=None),
        replace(samples[2], caption="word " * 20),
        replace(samples[3], pid=99),
        *samples[4:],
    ]
    found = mv.text_recall(MODEL, table, changed, modalities=["RGB"])
    assert found.captions == tuple(f"number {at}" for at in (3, 4, 5, 6))
    assert math.isnan(found.first["RGB"][0])  # the gallery has no image of 99
    assert list(found.left_out) == ["word " * 20]
    first, last = found.sentences()
    assert "over 3 of 4 captions" in first
    assert last.startswith("1 caption could not be searched for; the first: a prompt may have 8 BPE tokens")
    with pytest.raises(mv.errors.DataError, match="got 1 sample, 0 captions"):
        mv.text_recall(MODEL, table, changed[1:2])


def test_a_rank_counts_ties_in_the_order_of_the_rows() -> None:
    cosines = np.array([0.5, np.nan, 0.9, 0.5, 0.5])
    assert first_rank(cosines, np.array([False, True, False, True, True])) == 3
    assert math.isnan(first_rank(cosines, np.array([False, True, False, False, False])))


def test_the_search_for_captions_reports_and_stops(samples, table) -> None:
    seen: list[mv.Progress] = []
    mv.text_recall(MODEL, table, samples, report=seen.append)
    assert (seen[-1].done, seen[-1].total) == (7, 7)
    with pytest.raises(mv.errors.StoppedError, match="after 0 of 7 captions"):
        mv.text_recall(MODEL, table, samples, stop=lambda: True)


def test_a_prompt_given_twice_is_encoded_once() -> None:
    directions, unknown = text_directions(MODEL, ["a dog", "a dog"])
    assert (directions.shape, list(unknown)) == ((1, 10), ["a dog"])


def test_odd_tables_are_searched(tmp_path: Path) -> None:
    """Of a sample without NI, a broken file and an unknown identity."""
    table = small_table(tmp_path)
    wide = np.hstack([table.plain, np.zeros((len(table), 3), np.float32)])
    found = mv.search_text(MODEL, replace(table, plain=wide), "a dog", k=20)
    assert [len(hits.rows) for hits in found.hits] == [6, 5]


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("\N{SLIGHTLY SMILING FACE} red top", ("\N{SLIGHTLY SMILING FACE}",)),
        ("red \N{BLACK STAR}\N{BLACK STAR} № top", ("\N{BLACK STAR}\N{BLACK STAR}", "№")),
        ("a red top, with: a bag.", ()),
        ("a person, wearing a red t-shirt", ()),
        ("a red top with 5 zebras!!!", ("5", "zebras")),
    ],
)
def test_every_symbol_that_the_text_tower_never_saw_is_named(text: str, unknown: tuple[str, ...]) -> None:
    model = mv.load_model(device="cpu")
    assert tuple(model.unknown_words(text)) == unknown
    for one in unknown:
        ids = set(prompt_ids(one, 32).ravel().tolist()) - {0}
        assert not ids <= model.tower.token_ids  # by the tokenizer's own ids
