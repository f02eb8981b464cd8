"""Windows against the heads of their size, where the windows can win and where they cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.tiny import DIM, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.experiments.ablation_heads import CONTROLS, PLAIN, windows_against_controls
from mswin_viz.analysis.experiments.ablation_report import as_json
from mswin_viz.analysis.experiments.ablation_run import People
from mswin_viz.analysis.experiments.ablation_table import AblationPlan, run_ablation
from mswin_viz.errors import OptionError
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.labelled_tokens import LabelledTokens
from mswin_viz.view.reports.ablation_words import ablation_sentences

N_TOKENS, SCALES = 16, (2, 4)
WINDOWS = "windows_2_4"


def planted(where: str, *, people: int, seed: int) -> LabelledTokens:
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
    return LabelledTokens(tokens, pids, np.arange(len(pids)) % 4, pids)


def measured(where: str) -> dict[str, Any]:
    plan = AblationPlan(SCALES, 3, mv.Schedule(60, 5e-3), windows_against_controls(SCALES))
    training, test = planted(where, people=60, seed=1), planted(where, people=40, seed=2)
    ablation = run_ablation(tiny_model(addon=False), [training], {"test": test}, plan, progress=False)
    return as_json(ablation, {})


@pytest.fixture(scope="module")
def in_order() -> dict[str, Any]:
    return measured("order")


@pytest.fixture(scope="module")
def in_cls() -> dict[str, Any]:
    return measured("cls")


def verdicts(found: dict[str, Any], row: str) -> list[str]:
    return [cell["mAP"]["windows_minus"]["verdict"] for cell in found["scores"]["test"][row].values()]


def test_windows_beat_the_controls_where_only_the_order_of_patches_tells_people_apart(in_order) -> None:
    assert [verdicts(in_order, name) for name in CONTROLS] == [["better"] * 3] * 2
    assert (
        "the windows are better in mAP in 3 of 3 comparisons; a control is better in 0"
        in ablation_sentences(in_order)[1]
    )
    assert ablation_sentences(in_order)[-1].startswith("What the windows find is not found without them")


def test_windows_do_not_beat_the_controls_where_cls_alone_tells_people_apart(in_cls) -> None:
    assert verdicts(in_cls, "mlp_on_cls") == ["worse"] * 3
    assert (
        "the windows are better in mAP in 0 of 3 comparisons; a control is better in 3"
        in ablation_sentences(in_cls)[1]
    )
    assert ablation_sentences(in_cls)[-1].startswith(
        "What a trained head gains here is not due to the windows"
    )


def test_a_head_that_reads_what_matters_beats_plain_cls_on_people_it_was_not_trained_on(in_cls) -> None:
    for cell in in_cls["scores"]["test"]["mlp_on_cls"].values():
        assert cell["mAP"]["minus_plain"]["mean"] > 0.1
        assert cell["mAP"]["minus_plain"]["verdict"] == "better"


def test_every_head_is_trained_with_every_seed_and_the_sizes_match(in_order) -> None:
    rows = in_order["rows"]
    assert list(rows) == [PLAIN, WINDOWS, *CONTROLS]
    assert in_order["columns"] == ["RGB", "TI", "together"]
    for name in (WINDOWS, *CONTROLS):
        per_seed = in_order["scores"]["test"][name]["RGB"]["mAP"]["per_seed"]
        assert len(set(per_seed)) == 3, f"the seeds of {name} are all alike"
        assert rows[name]["parameters"] == pytest.approx(rows[WINDOWS]["parameters"], abs=DIM + 1)


def test_differences_are_the_windows_minus_the_other_head_of_the_same_seed(in_order) -> None:
    scores = in_order["scores"]["test"]
    for name in CONTROLS:
        for column in in_order["columns"]:
            windows, other = (scores[row][column]["mAP"]["per_seed"] for row in (WINDOWS, name))
            by_hand = [w - o for w, o in zip(windows, other, strict=True)]
            assert scores[name][column]["mAP"]["windows_minus"]["per_seed"] == pytest.approx(by_hand)


def test_people_are_trained_on_and_measured_in_different_worlds() -> None:
    people = People(5, 8, 11, trained_on="both")
    assert [(crowd.split, crowd.people, crowd.seed) for crowd in people.training] == [
        ("standard", 2, 12),
        ("look_alikes", 2, 12),
    ]
    assert {split: (crowd.people, crowd.seed) for split, crowd in people.tests.items()} == {
        "standard": (8, 11),
        "look_alikes": (8, 11),
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"trained_on": "twins"}, "got 'twins'"),
        ({"trained": 3}, "got 3 and 150"),
        ({"measured": 7}, "got 300 and 7"),
    ],
)
def test_people_that_cannot_answer_are_refused(wrong, message) -> None:
    with pytest.raises(OptionError, match=message):
        People(**wrong)
