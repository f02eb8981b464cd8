"""The ablation table: every row measured, differences paired, and sentences that follow from the numbers."""

from __future__ import annotations

import dataclasses
import json
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny import DIM, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.experiments import ablation_run
from mswin_viz.analysis.experiments.ablation_heads import CONTROLS, PLAIN, head_rows
from mswin_viz.analysis.experiments.ablation_report import as_json
from mswin_viz.analysis.experiments.ablation_run import People, ablate_people, ablate_samples, checked_samples
from mswin_viz.analysis.experiments.ablation_table import Ablation, AblationPlan, QueryScores, run_ablation
from mswin_viz.analysis.experiments.head_costs import HeadCost
from mswin_viz.data.sample import Sample
from mswin_viz.data.storage import destinations
from mswin_viz.data.synthetic.crowd import Crowd
from mswin_viz.errors import DataError, OptionError, OutputError, ShapeError
from mswin_viz.model.training.heads import n_parameters
from mswin_viz.model.training.labelled_tokens import LabelledTokens
from mswin_viz.model.training.run import Schedule
from mswin_viz.view.reports.ablation_words import ablation_brief, ablation_sentences, full

COST = HeadCost(100, 5_000_000, 0.01, 2**20)
ROWS = ("windows_2_4", "untrained_random", *CONTROLS)


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model(addon=False)


@pytest.fixture(scope="module")
def worlds() -> dict:
    return {}


@pytest.fixture(autouse=True)
def drawn_once(monkeypatch, worlds) -> None:
    """The same people need not be drawn and encoded for every test: that is most of what an ablation takes here."""
    draw = ablation_run.labelled_tokens

    def once(model: mv.Model, crowd: Crowd, *, scales: tuple[int, ...], **options: Any) -> LabelledTokens:
        if (crowd, scales) not in worlds:
            worlds[crowd, scales] = draw(model, crowd, scales=scales, **options | {"folder": None})
        return worlds[crowd, scales]

    monkeypatch.setattr(ablation_run, "labelled_tokens", once)


def made(shifts: dict[str, float], *, spread: float = 0.01) -> Ablation:
    """Twenty identities with two queries each in one column; every row's precision is plain's plus its shift."""
    rng = np.random.default_rng(4)
    plain = rng.uniform(0.3, 0.6, size=(1, 40, 1))
    scores = {PLAIN: QueryScores(plain, (plain > 0.45) * 1.0)}
    for name in ROWS:
        runs = 3 if name != "untrained_random" else 1
        ap = plain + shifts.get(name, 0.0) + rng.normal(0, spread, size=(runs, 40, 1))
        scores[name] = QueryScores(ap, (ap > 0.45) * 1.0)
    trained = tuple(name for name in ROWS if name != "untrained_random")
    groups = np.repeat(np.arange(20), 2)
    return Ablation(
        ("RGB",),
        "windows_2_4",
        dict.fromkeys(ROWS, COST),
        trained,
        {"standard": scores},
        {"standard": groups},
    )


def summary(shifts: dict[str, float], **options: float) -> dict:
    return json.loads(json.dumps(as_json(made(shifts, **options), {"words": "Made for a test."})))


def cell(found: dict, name: str, measure: str = "mAP") -> dict:
    return found["scores"]["standard"][name]["RGB"][measure]


def test_rows_are_single_scales_pairs_all_scheme_2_initialisations_and_matched_controls() -> None:
    rows = {row.name: row for row in head_rows(32, (2, 4, 8))}
    assert list(rows) == [
        "windows_2", "windows_4", "windows_8", "windows_2_4", "windows_2_8", "windows_4_8", "windows_2_4_8",
        "windows_2_4_8_from_mean", "scheme_2", "untrained_random", "untrained_mean", *CONTROLS,
    ]  # fmt: skip
    size = n_parameters(rows["windows_2_4_8"].make(0))
    assert all(abs(n_parameters(rows[name].make(0)) - size) <= 33 for name in CONTROLS)
    assert [name for name, row in rows.items() if not row.is_trained] == [
        "untrained_random",
        "untrained_mean",
    ]


def test_a_row_that_does_not_exist_is_refused() -> None:
    with pytest.raises(OptionError, match="windows_3"):
        head_rows(8, (2, 4), only=("windows_3",))


def test_means_seeds_and_intervals_are_those_of_the_queries() -> None:
    ablation = made({"windows_2_4": 0.05})
    found = as_json(ablation, {})
    ap = ablation.scores["standard"]["windows_2_4"].ap[:, :, 0]
    own = cell(found, "windows_2_4")
    assert own["mean"] == pytest.approx(ap.mean())
    assert own["per_seed"] == pytest.approx(ap.mean(axis=1).tolist())
    assert own["low"] < own["mean"] < own["high"]
    plain = ablation.scores["standard"][PLAIN].ap[0, :, 0]
    assert own["minus_plain"]["mean"] == pytest.approx((ap - plain).mean())
    control = ablation.scores["standard"]["mlp_on_cls"].ap[:, :, 0]
    assert cell(found, "mlp_on_cls")["windows_minus"]["mean"] == pytest.approx((ap - control).mean())


def test_what_is_better_worse_and_the_same_is_told_so() -> None:
    found = summary({"windows_2_4": 0.03, "mlp_on_cls": 0.06, "mlp_on_mean_patch": 0.03}, spread=0.02)
    assert cell(found, "windows_2_4")["minus_plain"]["verdict"] == "better"
    assert cell(found, "mlp_on_cls")["windows_minus"]["verdict"] == "worse"
    assert cell(found, "mlp_on_mean_patch")["windows_minus"]["verdict"] == "not told apart"
    assert cell(found, "untrained_random")["minus_plain"]["verdict"] == "not told apart"


def test_seeds_that_disagree_are_not_told_apart_whatever_the_test_says() -> None:
    ablation = made({}, spread=0.0)
    scores = ablation.scores["standard"]["windows_2_4"]
    scores.ap[:] += np.array([0.2, 0.2, -0.01])[:, None, None]
    found = as_json(ablation, {})["scores"]["standard"]["windows_2_4"]["RGB"]["mAP"]["minus_plain"]
    assert (found["p"] < 0.01, found["verdict"]) == (True, "not told apart")


def test_queries_without_a_match_are_left_out() -> None:
    ablation = made({"windows_2_4": 0.1}, spread=0.0)
    for scores in ablation.scores["standard"].values():
        scores.ap[:, :10] = np.nan
    found = as_json(ablation, {})["scores"]["standard"]
    plain = ablation.scores["standard"][PLAIN].ap[0, 10:, 0]
    assert found[PLAIN]["RGB"]["mAP"]["mean"] == pytest.approx(plain.mean())
    assert found["windows_2_4"]["RGB"]["mAP"]["minus_plain"]["mean"] == pytest.approx(0.1)


def test_the_sentences_say_plainly_that_windows_do_not_beat_the_controls() -> None:
    said = ablation_sentences(summary({"windows_2_4": 0.03, "mlp_on_cls": 0.06, "mlp_on_mean_patch": 0.05}))
    assert said[0].startswith(
        "Against plain CLS, the 3 trained heads are better in mAP in 3 of 3 comparisons"
    )
    assert "the windows are better in mAP in 0 of 1 comparison; a control is better in 1" in said[1]
    assert said[-1].startswith("What a trained head gains here is not due to the windows")


def test_the_sentences_say_so_where_windows_do_beat_both_and_the_hope_is_reached() -> None:
    found = summary({"windows_2_4": 0.1, "mlp_on_cls": 0.02})
    said = ablation_sentences(found)
    assert "better in mAP in 1 of 1 comparison; a control is better in 0" in said[1]
    reached = cell(found, "windows_2_4", "rank1")["minus_plain"]["verdict"] == "better"
    assert ("is reached" in said[2]) == reached
    assert said[-1].startswith("What the windows find is not found without them")


def test_a_tie_with_the_controls_is_no_evidence_for_windows() -> None:
    said = ablation_sentences(summary({"windows_2_4": 0.03, "mlp_on_cls": 0.03, "mlp_on_mean_patch": 0.03}))
    assert said[-1].startswith("No evidence here that the windows help")
    assert said[-1].endswith("A difference too small to detect may still exist.")


def test_a_gain_below_one_point_is_not_the_one_hoped_for() -> None:
    said = ablation_sentences(summary({"windows_2_4": 0.008}, spread=0.0001))
    assert "+0.8 mAP (better)" in said[2]
    assert "is not reached" in said[2]


def test_tables_hold_every_row_and_end_with_the_sentences() -> None:
    found = summary({"windows_2_4": 0.03})
    words = ("plain CLS", "windows 2 + 4", "untrained, random initialisation", "control: MLP on CLS")
    for text in (full(found), ablation_brief(found)):
        assert all(f"| {row} |" in text for row in words)
        assert text.startswith("Made for a test.")
        assert text.endswith(ablation_sentences(found)[-1])
    value = cell(found, "windows_2_4")
    assert (
        f"{100 * value['mean']:.1f} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"
        in ablation_brief(found)
    )
    assert "-0.0" not in full(found)


def test_what_is_no_stored_ablation_is_refused() -> None:
    with pytest.raises(DataError, match="scores: field required"):
        full({key: {} for key in ("settings", "reference", "columns", "rows", "rule")})


def test_a_small_ablation_measures_every_row_on_both_splits(model) -> None:
    plan = AblationPlan((2, 4), 2, Schedule(2))
    found = ablate_people(model, plan, People(4, 8, 11), progress=False)
    names = [PLAIN, *(row.name for row in head_rows(DIM, (2, 4)))]
    assert list(found["scores"]) == ["standard", "look_alikes"]
    for by_row in found["scores"].values():
        assert list(by_row) == names
        assert list(by_row["scheme_2"]) == ["RGB", "NI", "TI", "three_together"]
        assert by_row["untrained_mean"]["RGB"]["mAP"]["minus_plain"]["per_seed"] == [0.0]
        assert len(by_row["windows_2"]["RGB"]["mAP"]["per_seed"]) == 2
    assert found["rows"]["windows_2_4"]["macs"] == DIM * DIM * (2 + 4 + 2 + 1)
    assert found["rows"]["scheme_2"]["memory"] >= 2 * 16 * 12 * 15 * 4
    json.dumps(found)


def test_one_plan_gives_one_table(model) -> None:
    plan = AblationPlan((2, 4), 2, Schedule(2), ("windows_2_4", "mlp_on_cls"))
    one, other = (ablate_people(model, plan, People(4, 8, 11), progress=False)["scores"] for _ in "ab")
    assert one == other


def split_samples(root_samples: list[Sample]) -> list[Sample]:
    """The first 12 people train; of the others, the first camera asks and the second answers."""
    split = lambda s: "train" if s.pid <= 12 else "query" if s.camid == 1 else "gallery"  # noqa: E731
    return [Sample(s.pid, s.camid, s.images, split=split(s)) for s in root_samples]


def test_a_data_set_is_trained_and_measured_on_its_own_splits(model) -> None:
    plan = AblationPlan((2, 4), 2, Schedule(2), ("windows_2_4", "mlp_on_cls"))
    found = ablate_samples(model, split_samples(mv.samples()), plan, progress=False)
    assert list(found["scores"]) == ["test"]
    assert "48 samples of 12 identities; measured on 48 samples of 12 others" in found["settings"]["words"]
    test = [s for s in split_samples(mv.samples()) if s.split != "train"]
    features = model.encode([s.images["RGB"] for s in test], progress=False).cls.numpy()
    asked = [at for at, s in enumerate(test) if s.split == "query"]
    expected = mv.retrieval(
        features, [s.pid for s in test], [s.camid for s in test], query=asked,
        gallery=[at for at, s in enumerate(test) if s.split == "gallery"],
    )  # fmt: skip
    assert found["scores"]["test"][PLAIN]["RGB"]["mAP"]["mean"] == pytest.approx(expected.mAP, abs=1e-6)


def test_splits_that_share_identities_or_are_missing_are_refused(model) -> None:
    with pytest.raises(DataError, match="got 0 training and 96 test samples"):
        ablate_samples(model, mv.samples(), progress=False)
    shared = [Sample(s.pid, s.camid, s.images, split="train") for s in mv.samples()[:4]]
    with pytest.raises(DataError, match="1 identity in both"):
        ablate_samples(model, [*mv.samples(), *shared], progress=False)


def test_the_model_and_the_generator_are_left_alone(model) -> None:
    before, state = model.clip.visual.proj.clone(), torch.get_rng_state()
    plan = AblationPlan((2, 4), 1, Schedule(1), ("windows_2_4",))
    ablate_people(model, plan, People(4, 8, 11, ("standard",)), progress=False)
    assert torch.equal(model.clip.visual.proj, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_fewer_answered_queries_than_asked_are_said_beside_the_table() -> None:
    ablation = made({"windows_2_4": 0.1})
    assert not any(
        "queries" in line and "of 40" in line for line in ablation_sentences(as_json(ablation, {}))
    )
    for scores in ablation.scores["standard"].values():
        scores.ap[:, :10], scores.first[:, :10] = np.nan, np.nan
    found = json.loads(json.dumps(as_json(ablation, {}), allow_nan=False))
    assert found["queries"] == {"standard": {"asked": 40, "answered": 30}}
    assert "measured over 30 of 40 queries" in ablation_sentences(found)[0]
    assert "measured over 30 of 40 queries" in ablation_brief(found)


@pytest.mark.parametrize("n_answered", [0, 2])
def test_where_nothing_was_measured_no_sentence_says_that_nothing_differs(n_answered) -> None:
    ablation = made({"windows_2_4": 0.1})
    for scores in ablation.scores["standard"].values():
        scores.ap[:, n_answered:], scores.first[:, n_answered:] = np.nan, np.nan  # one identity, or nobody
    found = json.loads(json.dumps(as_json(ablation, {"words": "Made."}), allow_nan=False))
    assert cell(found, "windows_2_4")["minus_plain"]["verdict"] == "not measured"
    words = ablation_sentences(found)
    assert words[-1].startswith("Not measured: fewer than two identities")
    for text in (full(found), ablation_brief(found)):
        assert "not measured" in text
        assert "not told apart in" not in text
        assert "nan" not in text.lower().replace("nance", "")


@pytest.mark.parametrize(("camera", "said"), [(1, "no image from another camera.*manifest"), (None, None)])
def test_an_ablation_that_cannot_be_measured_is_refused_before_anything_is_encoded(
    model, monkeypatch, camera, said
) -> None:
    samples = [
        Sample(s.pid, s.camid if camera is None else camera, s.images, split="train" if s.pid % 2 else "test")
        for s in mv.samples()
    ]
    monkeypatch.setattr("mswin_viz.analysis.experiments.ablation_run.sample_tokens", lambda *_, **__: 1 / 0)
    with pytest.raises(*((OptionError,) if said else (ZeroDivisionError,)), match=said):
        ablate_samples(model, samples, progress=False)


@pytest.mark.parametrize(
    ("n", "said"), [(1, "Only 1 identity has a query"), (5, "Only 5 identities have a query"), (6, None)]
)
def test_too_few_identities_for_any_verdict_are_said_before_anything_is_encoded(n, said) -> None:
    """A sign-flip test over five identities gives p = 0.0625 at least."""
    samples = [Sample(s.pid, s.camid, s.images, split="train" if s.pid > n else "test") for s in mv.samples()]
    notes = checked_samples(samples)[2]
    assert [note.split(" with")[0].startswith(str(said)) for note in notes] == [True] * (said is not None)


def test_a_table_without_the_row_of_all_scales_says_what_it_cannot_say() -> None:
    ablation = made({"windows_2_4": 0.1})
    kept = {
        split: {name: scores for name, scores in by_row.items() if name != "windows_2_4"}
        for split, by_row in ablation.scores.items()
    }
    found = json.loads(json.dumps(as_json(dataclasses.replace(ablation, scores=kept), {})))
    words = ablation_sentences(found)
    assert words[-1].startswith("The row of all scales (windows 2 + 4) was not run")
    assert not any("Against the control" in line or "Against both" in line for line in words)
    for text in (full(found), ablation_brief(found)):
        assert text.endswith(words[-1])


def test_one_modality_keeps_its_capitals_in_the_heading() -> None:
    found = summary({"windows_2_4": 0.03})
    only = {
        split: {name: {"RGB": cells["RGB"]} for name, cells in by_row.items()}
        for split, by_row in found["scores"].items()
    }
    assert "RGB; mAP and Rank-1 in percent" in ablation_brief({**found, "columns": ["RGB"], "scores": only})


def test_an_ablation_without_room_for_its_tokens_is_refused_before_anything_is_drawn(
    model, monkeypatch
) -> None:
    def refused(*_, **__):
        raise AssertionError("nothing is to be drawn")

    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 999, 999)
    monkeypatch.setattr(destinations.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(ablation_run, "labelled_tokens", refused)
    n_bytes = 3 * (4 * 8 * 2 + 4 * 8 * 2 + 4 * 4) * (1 + 12) * DIM * 4  # four cameras, two shots or one
    with pytest.raises(OutputError, match=f"need {n_bytes:,} bytes: .* has 999 free; set TMPDIR"):
        ablate_people(model, AblationPlan((2, 4), n_seeds=1), People(4, 8, 11), progress=False)


def test_a_plan_of_no_run_is_refused() -> None:
    with pytest.raises(OptionError, match="trained at least once: got n_seeds=0; use 1 or more"):
        mv.AblationPlan(n_seeds=0)


def test_tests_of_other_modalities_than_the_training_are_refused(model) -> None:
    seen = mv.sample_tokens(model, mv.samples()[:4], progress=False).world
    one = dataclasses.replace(seen, tokens={"RGB": seen.tokens["RGB"]})
    with pytest.raises(
        ShapeError, match=r"the same modalities: got \[\('RGB',\), \('RGB', 'NI', 'TI'\)\]; choose"
    ):
        run_ablation(model, [one], {"test": seen}, progress=False)
