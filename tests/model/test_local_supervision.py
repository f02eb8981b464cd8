"""What single patches are asked for: parts under patches, which patches were kept, and the two losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mswin_viz.data.synthetic.identity import sample_identity
from mswin_viz.data.synthetic.render import part_masks
from mswin_viz.model.pretraining.batches import NAMED, _augmented
from mswin_viz.model.pretraining.local_supervision import (
    PART_OF,
    PARTS,
    KeptPatches,
    kept_shares,
    local_prompt_loss,
    part_loss,
    part_shares,
    training_parts,
)
from mswin_viz.model.pretraining.recipe import Recipe


def test_a_part_map_is_what_the_masks_say() -> None:
    recipe = Recipe(seed=3, first_pid=5, identities=2, shots=2)
    maps = training_parts(recipe)
    assert maps.shape == (2, 2, 128, 64)
    masks = part_masks(sample_identity(6, seed=3), camera=1, shot=0, seed=3)
    for part in ("hair", "upper", "bag"):
        found, mask = maps[1, 1] == PARTS.index(part), masks[part][::2, ::2]
        assert not (found & ~mask).any()
        assert found.sum() >= 0.8 * mask.sum()  # at the seam of two parts both masks are true


def test_shares_are_those_of_the_patch_in_row_major_order() -> None:
    parts = np.zeros((128, 64), np.uint8)
    parts[8:12, 16:24] = PARTS.index("bag")  # upper half of the patch in row 1, column 2
    shares = part_shares(parts)
    assert shares.shape == (128, len(PARTS))
    assert shares[8 + 2, PARTS.index("bag")] == 0.5
    assert shares[:, PARTS.index("bag")].sum() == 0.5
    np.testing.assert_allclose(shares.sum(axis=1), 1)


@pytest.mark.parametrize("seed", range(6))
def test_a_part_map_moves_with_its_picture(seed) -> None:
    picture = np.zeros((1, 256, 128), np.uint8)
    picture[:, 60:120, 40:90] = 255
    parts = (picture[0, ::2, ::2] > 0).astype(np.uint8) * PARTS.index("upper")
    image, moved = _augmented(picture, parts, np.random.default_rng(seed))
    bright = image[0, ::2, ::2] > 0
    edges = 2 * (60 // 2 + 50 // 2)  # the map rounds a move to two pixels
    erased = 90 * 64 // 4
    assert (bright != (moved == PARTS.index("upper"))).sum() <= edges + (erased if (moved == 0).any() else 0)
    overlap = (bright & (moved == PARTS.index("upper"))).sum()
    assert overlap > 0.5 * (moved == PARTS.index("upper")).sum()


def test_dropout_remembers_which_patches_it_kept() -> None:
    tokens = torch.arange(7.0)[None, :, None].expand(3, 7, 2)
    dropout = KeptPatches().train()
    dropout.prob = 0.5
    kept = dropout(tokens)
    assert kept.shape == (3, 4, 2)
    assert (kept[:, 0] == 0).all()
    assert torch.equal(kept[:, 1:, 0], dropout.kept + 1.0)
    shares = torch.arange(6.0)[None, :, None].expand(3, 6, 4)
    assert torch.equal(kept_shares(shares, dropout.kept)[..., 0], dropout.kept.float())
    dropout.eval()
    assert dropout(tokens) is tokens
    assert dropout.kept is None
    assert kept_shares(shares, None) is shares


def test_a_patch_names_a_part_only_where_enough_of_it_is_seen() -> None:
    logits, labels = torch.zeros(2, 3, 4), torch.tensor([1, -1])
    logits[0, 0, 1] = 100.0  # right, and seen
    logits[0, 1, 2] = 100.0  # wrong, but hardly seen
    logits[1, :, 0] = 100.0  # of somebody with nothing to name
    share = torch.tensor([[0.8, 0.1, 0.0], [1.0, 1.0, 1.0]])
    assert local_prompt_loss(logits, labels, share).item() == pytest.approx(0, abs=1e-6)
    assert local_prompt_loss(logits, torch.tensor([2, -1]), share).item() == pytest.approx(100)
    assert local_prompt_loss(logits, torch.tensor([-1, -1]), share) is None


def test_the_part_loss_is_least_where_the_logits_are_the_shares() -> None:
    shares = torch.tensor([[[0.25, 0.75], [1.0, 0.0]]])
    right = part_loss((shares + 1e-9).log(), shares)
    assert right < part_loss(torch.zeros(1, 2, 2), shares)
    assert right.item() == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)) / 2, abs=1e-4)


def test_every_attribute_with_a_part_is_named_by_texts() -> None:
    assert set(PART_OF) < set(NAMED)
    assert set(PART_OF.values()) < set(PARTS)
