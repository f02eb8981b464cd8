"""A user's module in the ablation: a row beside the others, and an MLP of its size that sees no windows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from support.tiny import DIM, tiny_model
from torch import nn

import mswin_viz as mv
from mswin_viz.analysis.experiments.ablation_heads import OWN, OWN_CONTROL, PLAIN, own_rows
from mswin_viz.errors import OptionError
from mswin_viz.model.training.heads import n_parameters
from mswin_viz.view.reports.ablation_words import full

PEOPLE = mv.People(4, 8, 11, ("standard",))


class Pool(nn.Module):
    """Attention pooling; given a width, its vector stands behind the CLS token."""

    def __init__(self, width: int | None = None) -> None:
        super().__init__()
        self.combine = "concatenate" if width else "add"
        self.score, self.out = nn.Linear(DIM, 1), nn.Linear(DIM, width or DIM)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.out((self.score(patches).softmax(dim=1) * patches).sum(dim=1))


class Mean(nn.Module):
    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return patches.mean(dim=1)


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model(addon=False)


@pytest.mark.parametrize("source", [Pool, lambda: Pool(4), Pool()])
def test_the_module_and_its_control_have_rows_whatever_rows_are_asked_for(model, source) -> None:
    plan = mv.AblationPlan((2, 4), 2, mv.Schedule(2), ("windows_2_4",), addon=source)
    found = mv.ablate_people(model, plan, PEOPLE, progress=False)
    assert list(found["rows"]) == [PLAIN, "windows_2_4", OWN, OWN_CONTROL]
    assert found["rows"][OWN]["words"] == "Pool"
    assert found["rows"][OWN]["parameters"] == n_parameters(own_rows(source, DIM, 12)[0].make(0))
    assert "test_own_ablation.Pool (" in found["settings"]["plan"]["addon"]
    stored = json.loads(json.dumps(found))
    cells = stored["scores"]["standard"]
    own, control = (cells[name]["RGB"]["mAP"] for name in (OWN, OWN_CONTROL))
    assert control["own_minus"]["mean"] == pytest.approx(own["mean"] - control["mean"])
    assert "own_minus" not in own
    text = full(stored)
    assert "| control: MLP on the mean patch, " in text
    assert "Against its own control, an MLP on the mean patch, Pool is better in mAP in" in text


def test_a_row_is_what_training_and_measuring_by_hand_give(model) -> None:
    plan = mv.AblationPlan((2, 4), 1, mv.Schedule(2), ("windows_2_4",), addon=Pool)
    found = mv.ablate_people(model, plan, PEOPLE, progress=False)
    (crowd,), test = PEOPLE.training, PEOPLE.tests["standard"]
    tokens, classes = mv.modality_classes([mv.labelled_tokens(model, crowd, progress=False)])
    trained = mv.train_addon(tokens, classes, addon=Pool, schedule=plan.schedule, progress=False).addon
    world = mv.labelled_tokens(model, test, progress=False)
    with torch.no_grad():
        rgb = world.tokens["RGB"]
        features = (rgb.cls + trained(rgb.patches)).numpy()
    expected = mv.retrieval(features, world.pids, world.camids).mAP
    assert found["scores"]["standard"][OWN]["RGB"]["mAP"]["mean"] == pytest.approx(expected, abs=1e-6)


def test_the_control_is_as_large_as_the_module_or_the_smallest_there_is() -> None:
    large = own_rows(lambda: nn.Sequential(nn.Flatten(1), nn.Linear(12 * DIM, DIM)), DIM, 12)
    sizes = [n_parameters(row.make(0)) for row in large]
    assert abs(sizes[0] - sizes[1]) <= DIM + 1
    assert large[1].words == "control: MLP on the mean patch, as large as Sequential"
    small = own_rows(lambda: nn.Sequential(Mean(), nn.LayerNorm(DIM)), DIM, 12)
    assert [n_parameters(row.make(0)) for row in small] == [2 * DIM, 3 * DIM + 1]
    assert "the smallest, larger than Sequential" in small[1].words


def test_every_run_of_a_class_is_drawn_by_its_seed_and_a_module_keeps_its_weights() -> None:
    drawn, kept = (own_rows(source, DIM, 12)[0] for source in (Pool, Pool()))
    weights = lambda head: head.body.module.out.weight.detach().numpy()  # noqa: E731
    np.testing.assert_array_equal(weights(drawn.make(1)), weights(drawn.make(1)))
    assert not np.array_equal(weights(drawn.make(1)), weights(drawn.make(2)))
    np.testing.assert_array_equal(weights(kept.make(1)), weights(kept.make(2)))


def test_a_module_without_weights_is_measured_as_it_is_without_a_control(model) -> None:
    (row,) = own_rows(Mean, DIM, 12)
    assert not row.is_trained
    plan = mv.AblationPlan((2, 4), 2, mv.Schedule(1), ("windows_2_4",), addon=Mean)
    found = mv.ablate_people(model, plan, PEOPLE, progress=False)
    assert list(found["rows"]) == [PLAIN, "windows_2_4", OWN]
    assert found["rows"][OWN]["runs"] == 1
    assert "its own control" not in full(found)


def test_a_module_that_does_not_fit_is_refused_before_anyone_is_drawn(model, monkeypatch) -> None:
    monkeypatch.setattr(
        "mswin_viz.analysis.experiments.ablation_run.labelled_tokens", lambda *_, **__: pytest.fail("drawn")
    )
    plan = mv.AblationPlan((2, 4), addon=lambda: nn.Sequential(Mean(), nn.Linear(DIM, 3)))
    with pytest.raises(OptionError, match=r"must have its width, 10: .*Sequential returned width 3"):
        mv.ablate_people(model, plan, PEOPLE, progress=False)
