"""From the plain cosine to the enhanced one: the steps add up, the norm's is its own, and the CLS share stands between."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mswin_viz as mv
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.waterfall import cosine_waterfall

from .conftest import BATCH
from .test_any_addon import EXACT, made
from .test_net_push import direction as direction  # a fixture


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("kind", EXACT)
def test_the_steps_lead_from_the_plain_cosine_to_the_enhanced_one(tokens, direction, kind):
    addon = made(kind)
    parts = mv.decompose(tokens, addon, direction).cosine()
    cls, enhanced = tokens.cls.double().numpy(), parts.enhanced
    v = np.pad(direction, (0, enhanced.shape[1] - len(direction)))
    names = [f"slot {i}" for i in range(len(parts.slots))]
    for image in range(BATCH):
        plain = cosine(cls[image], direction)
        found = cosine_waterfall(parts, image, names, plain)
        assert found.plain == plain
        assert found.enhanced == pytest.approx(cosine(enhanced[image], v))
        assert found.plain + sum(step.value for step in found.steps) == pytest.approx(found.enhanced)
        assert found.cls == pytest.approx(parts.cls[image])
        cls_share = cls[image] @ direction / np.linalg.norm(enhanced[image]) / np.linalg.norm(v)
        through = parts.cls[image] - cls_share
        assert found.by_kind["norm"] == pytest.approx(cls_share - found.plain)
        assert found.by_kind.get("cls", 0) == pytest.approx(through, abs=1e-9)
        assert ("cls" in found.by_kind) == (
            kind == "reads the CLS"
        )  # one that is concatenated adds nothing along it
        assert found.lengths == (pytest.approx(np.linalg.norm(enhanced[image]) / np.linalg.norm(cls[image])),)
        assert [step.name for step in found.parts if step.kind == "windows"] == names
        windows = sum(shares[image].sum() for shares in parts.windows.values())
        assert found.by_kind["windows"] == pytest.approx(windows)


def test_without_an_add_on_nothing_moves_the_cosine(tokens, direction):
    parts = mv.decompose(tokens, None, direction).cosine()
    found = cosine_waterfall(parts, 1, [], cosine(tokens.cls[1].double().numpy(), direction))
    assert found.plain == pytest.approx(found.enhanced)
    assert all(step.value == pytest.approx(0, abs=1e-12) for step in found.steps)


def test_a_pair_begins_at_the_cosine_of_both_plain_ones(tokens, addon):
    weights = fusion_weights(addon)
    enhanced = weights.run(tokens).enhanced
    parts = mv.decompose(tokens[0], addon, torch.tensor(enhanced[1])).cosine()
    cls = tokens.cls.double().numpy()
    found = cosine_waterfall(
        parts, 0, ["2", "4", "7"], cosine(cls[0], enhanced[1]), pair=cosine(cls[0], cls[1])
    )
    assert found.plain == pytest.approx(cosine(cls[0], cls[1]))
    assert found.by_kind["other"] == pytest.approx(cosine(cls[0], enhanced[1]) - cosine(cls[0], cls[1]))
    assert found.plain + sum(step.value for step in found.steps) == pytest.approx(
        cosine(enhanced[0], enhanced[1])
    )
