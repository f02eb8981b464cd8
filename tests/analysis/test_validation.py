"""Who is held out, and the score training validates by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mswin_viz as mv
from mswin_viz.analysis.validation import head_features, held_out, validation_map
from mswin_viz.errors import OptionError
from mswin_viz.model.heads import mean_patch_control
from mswin_viz.model.tokens import Tokens
from mswin_viz.model.worlds import WorldTokens


@pytest.fixture
def world() -> WorldTokens:
    generator = torch.Generator().manual_seed(2)
    tokens = {
        name: Tokens(
            torch.randn(12, 6, generator=generator), torch.randn(12, 4, 6, generator=generator), (2, 2)
        )
        for name in ("RGB", "TI")
    }
    pids = np.repeat([5, 6, 9, 11], 3)
    return WorldTokens(tokens, pids, np.tile([1, 2, 3], 4), pids)


def test_whole_identities_are_held_out_by_the_seed() -> None:
    pids = np.repeat(np.arange(20), 3)
    chosen = held_out(pids, fraction=0.25, seed=1)
    assert len(np.unique(pids[chosen])) == 5
    assert not set(pids[chosen]) & set(pids[~chosen])
    assert (chosen == held_out(pids, fraction=0.25, seed=1)).all()
    assert (chosen != held_out(pids, fraction=0.25, seed=2)).any()


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.9])
def test_too_few_identities_on_a_side_are_refused(fraction) -> None:
    with pytest.raises(OptionError, match="two identities each"):
        held_out(np.repeat(np.arange(8), 2), fraction=fraction)


def test_the_score_is_the_map_of_the_joined_enhanced_features(world) -> None:
    head = mean_patch_control(6, 200)
    with torch.no_grad():
        joint = np.concatenate([(t.cls + head(t)).numpy() for t in world.tokens.values()], axis=1)
    expected = mv.retrieval(joint, world.pids, world.camids).mAP
    assert validation_map(world)(head) == pytest.approx(expected, abs=1e-9)
    each = [mv.retrieval(t.cls.numpy(), world.pids, world.camids).mAP for t in world.tokens.values()]
    assert validation_map(world, joined=False)(None) == pytest.approx(np.mean(each))
    assert [f.shape for f in head_features(world, None)] == [(12, 6), (12, 6), (12, 12)]
