"""Windows against controls where windows can win, where they cannot, and the rule that tells them apart."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

import mswin_viz as mv
from mswin_viz.analysis.controls import (
    CONTROLS,
    HeadComparison,
    Trial,
    compare_heads,
    paired_difference,
    run_trial,
)
from mswin_viz.analysis.controls_report import as_json, compact, embedded_controls, table, verdict
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.tokens import Tokens
from mswin_viz.model.training import Schedule
from mswin_viz.model.worlds import WorldTokens

DIM, N_TOKENS = 8, 16
TRIAL = Trial(people=60, identities=40, seed=0, n_seeds=3, schedule=Schedule(120, 3e-3))


def planted(where: str, *, people: int, seed: int) -> WorldTokens:
    """Four images of each person in two modalities; who it is stands in one place only, the rest is noise.

    ``"order"``: added to even tokens and taken from odd ones, so that the mean patch does not know it.
    ``"cls"``: half of CLS, beside a louder half that says nothing.
    """
    rng = np.random.default_rng(seed)
    pids = np.repeat(np.arange(people), 4)
    code = rng.normal(size=(people, DIM))[pids]
    tokens = {}
    for modality in ("RGB", "TI"):
        cls, patches = rng.normal(size=(len(pids), DIM)), rng.normal(size=(len(pids), N_TOKENS, DIM))
        if where == "order":
            patches += code[:, None] * np.where(np.arange(N_TOKENS) % 2, -1, 1)[None, :, None]
        else:
            cls = np.where(np.arange(DIM) < DIM // 2, code + 0.3 * cls, 3 * cls)
        tokens[modality] = Tokens(torch.from_numpy(cls).float(), torch.from_numpy(patches).float(), (8, 2))
    return WorldTokens(tokens, pids, np.arange(len(pids)) % 4, pids)


def compared(where: str) -> HeadComparison:
    return compare_heads(
        [planted(where, people=60, seed=1)],
        {"standard": planted(where, people=40, seed=2)},
        scales=(2, 4),
        n_seeds=3,
        schedule=TRIAL.schedule,
        progress=False,
    )


@pytest.fixture(scope="module")
def in_order() -> HeadComparison:
    return compared("order")


@pytest.fixture(scope="module")
def in_cls() -> HeadComparison:
    return compared("cls")


def test_windows_beat_the_controls_where_only_the_order_of_patches_tells_people_apart(in_order) -> None:
    for name in CONTROLS:
        assert all(
            some.verdict == "windows better" for some in in_order.differences["standard"][name].values()
        )
    assert verdict(in_order) == "The windows beat both controls in mAP, in all 3 comparisons."


def test_windows_do_not_beat_the_controls_where_cls_alone_tells_people_apart(in_cls) -> None:
    on_cls = in_cls.differences["standard"]["mlp_on_cls"]
    assert all(some.verdict == "windows worse" for some in on_cls.values())
    assert verdict(in_cls).startswith(
        "The windows do not beat the controls in mAP in any of 3 comparisons: in 3 a control is better"
    )


def test_a_head_that_reads_what_matters_beats_plain_cls_on_people_it_was_not_trained_on(in_cls) -> None:
    plain, scores = in_cls.plain["standard"], in_cls.scores["standard"]
    assert (scores["mlp_on_cls"].mAP.mean(axis=0) > plain.mAP[0] + 0.1).all()


def test_every_head_is_trained_with_every_seed_and_the_sizes_match(in_order) -> None:
    assert list(in_order.sizes) == [
        "windows_2_4",
        "windows_2",
        "windows_4",
        "mlp_on_cls",
        "mlp_on_mean_patch",
    ]
    assert in_order.columns == ("RGB", "TI", "three_together")
    for name, scores in in_order.scores["standard"].items():
        assert scores.mAP.shape == scores.rank1.shape == (3, 3)
        assert len(np.unique(scores.mAP[:, 0])) == 3, f"the seeds of {name} are all alike"
    for name in CONTROLS:
        assert in_order.sizes[name] == pytest.approx(in_order.sizes["windows_2_4"], abs=DIM + 1)


def test_differences_are_the_windows_minus_the_other_head_of_the_same_seed(in_order) -> None:
    scores = in_order.scores["standard"]
    for name, by_column in in_order.differences["standard"].items():
        for c, column in enumerate(in_order.columns):
            by_hand = [scores["windows_2_4"].mAP[s, c] - scores[name].mAP[s, c] for s in range(3)]
            assert by_column[column].per_seed == pytest.approx(by_hand)
            assert by_column[column].mean == pytest.approx(sum(by_hand) / 3)
            error = np.sqrt(sum((d - np.mean(by_hand)) ** 2 for d in by_hand) / 2 / 3)
            assert by_column[column].standard_error_seeds == pytest.approx(error)


def test_the_groups_precision_is_that_of_their_queries(in_order) -> None:
    scores = in_order.scores["standard"]["mlp_on_cls"]
    assert scores.group_ap.shape == (40, 3)
    np.testing.assert_allclose(scores.group_ap.mean(axis=0), scores.mAP.mean(axis=0))


EVEN = np.full(30, 0.02) + np.linspace(-0.02, 0.02, 30)


@pytest.mark.parametrize(
    ("per_seed", "per_group", "expected"),
    [
        ([0.02, 0.021, 0.019], EVEN, "windows better"),
        ([-0.02, -0.021, -0.019], -EVEN, "windows worse"),
        ([0.02, 0.021, -0.001], EVEN, "cannot be told apart"),  # the seeds disagree
        ([0.02, 0.021], EVEN, "cannot be told apart"),  # two seeds are too few
        ([0.001, 0.059, 0.001], EVEN, "cannot be told apart"),  # the seeds' spread
        ([0.02, 0.021, 0.019], EVEN * 40 - 0.78, "cannot be told apart"),  # the people's spread
        ([0.0, 0.0, 0.0], EVEN * 0, "cannot be told apart"),
    ],
)
def test_the_rule_asks_for_one_sign_and_two_standard_errors(per_seed, per_group, expected) -> None:
    assert paired_difference(np.array(per_seed), np.array(per_group)).verdict == expected


def test_one_group_of_people_has_no_spread() -> None:
    with pytest.raises(ShapeError, match="got 3 and 1"):
        paired_difference(np.ones(3), np.ones(1))


def test_a_win_in_some_comparisons_is_said_to_be_in_those_only(in_order) -> None:
    one = in_order.differences["standard"]
    tie = {
        name: {
            column: dataclasses.replace(some, verdict="cannot be told apart") if column != "TI" else some
            for column, some in by_column.items()
        }
        for name, by_column in one.items()
    }
    mixed = dataclasses.replace(in_order, differences={"standard": tie})
    assert verdict(mixed) == (
        "The windows beat both controls in mAP in 1 of 3 comparisons (standard TI); in 0 a control is better, "
        "in 2 the windows cannot be told apart from at least one control."
    )


def test_the_json_holds_scores_by_seed_differences_rule_and_verdict(in_cls) -> None:
    stored = json.loads(json.dumps(as_json(in_cls, TRIAL)))
    cell = stored["scores"]["standard"]["mlp_on_cls"]["three_together"]["mAP"]
    values = in_cls.scores["standard"]["mlp_on_cls"].mAP[:, 2]
    assert cell["per_seed"] == pytest.approx(values.tolist())
    assert (cell["mean"], cell["standard_deviation"]) == pytest.approx((values.mean(), values.std(ddof=1)))
    assert stored["windows_minus"]["standard"]["mlp_on_cls"]["RGB"]["verdict"] == "windows worse"
    assert stored["settings"]["training_world"] == 1
    assert stored["verdict"] == verdict(in_cls)


def test_the_table_shows_mean_and_spread_and_ends_with_the_verdict(in_cls) -> None:
    printed = table(in_cls, TRIAL)
    values = 100 * in_cls.scores["standard"]["mlp_on_mean_patch"].mAP[:, 0]
    assert f"{values.mean():.1f} ± {values.std(ddof=1):.1f}" in printed
    assert "| windows 2 + 4 |" in printed
    assert printed.endswith(verdict(in_cls))


def test_a_trial_trains_and_measures_in_different_worlds_and_leaves_the_model_alone() -> None:
    model = mv.load_model(device="cpu")
    before = {key: value.clone() for key, value in model.addon.state_dict().items()}
    trial = Trial(4, 8, 11, 2, "both", Schedule(2))
    assert {crowd.seed for crowd in trial.training_crowds} == {12}
    assert [(crowd.split, crowd.people) for crowd in trial.training_crowds] == [
        ("standard", 2),
        ("look_alikes", 2),
    ]
    found = run_trial(model, trial, progress=False)
    assert list(found.scores) == ["standard", "look_alikes"]
    assert found.columns == ("RGB", "NI", "TI", "three_together")
    assert len(found.scores["look_alikes"]["windows_16"].group_ap) == 2
    assert all(torch.equal(value, before[key]) for key, value in model.addon.state_dict().items())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_seeds": 1}, "at least two training runs: got 1"),
        ({"trained_on": "twins"}, "got 'twins'"),
        ({"people": 3}, "people=3"),
        ({"identities": 7}, "identities=7"),
    ],
)
def test_a_trial_that_cannot_answer_is_refused(wrong, message) -> None:
    with pytest.raises(OptionError, match=message):
        Trial(**wrong)


def test_the_short_table_holds_every_head_and_the_verdict() -> None:
    comparison = compared("cls")
    lines = compact(as_json(comparison, TRIAL)).splitlines()
    assert lines[0].split() == ["standard", "split", "RGB", "TI", "three", "together"]
    assert [line[2:24].strip() for line in lines[1:-2]] == [
        "plain CLS", "windows 2 + 4", "windows 2", "windows 4", "MLP on CLS", "MLP on the mean patch",
    ]  # fmt: skip
    assert lines[-1] == verdict(comparison)
    plain = comparison.plain["standard"].mAP[0]
    assert [float(cell) for cell in lines[1].split()[2:]] == [round(100 * value, 1) for value in plain]


def test_the_embedded_models_comparison_is_stored_whole() -> None:
    found = embedded_controls()
    assert found["settings"]["n_seeds"] >= 3
    assert set(found["scores"]) == {"standard", "look_alikes"}
    assert {"plain_cls", "windows_4_8_16", *CONTROLS} <= set(found["scores"]["standard"])
    sizes = [found["parameters"][name] for name in ("windows_4_8_16", *CONTROLS)]
    assert max(sizes) - min(sizes) < 1100
    assert found["verdict"] in compact(found)
