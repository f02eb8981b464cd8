"""Tokens put in portions, in memory and on disk, and seen as one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mswin_viz.model.token_shelf import TokenShelf, TokenView, read_shelf
from mswin_viz.model.tokens import Tokens


def some(n_images: int, seed: int) -> Tokens:
    generator = torch.Generator().manual_seed(seed)
    return Tokens(
        torch.randn(n_images, 3, generator=generator),
        torch.randn(n_images, 6, 3, generator=generator),
        (3, 2),
    )


@pytest.mark.parametrize("on_disk", [False, True])
def test_what_is_put_in_portions_comes_out_whole(tmp_path, on_disk) -> None:
    shelf, first, second = TokenShelf(9, tmp_path / "kept" if on_disk else None), some(4, 1), some(3, 2)
    for portion in (first, second):
        shelf.add("TI", portion)
        shelf.add("RGB", portion)
    found = shelf.tokens()
    assert list(found) == ["TI", "RGB"]
    assert torch.equal(found["RGB"].patches, torch.cat([first.patches, second.patches]))
    if on_disk:
        again = read_shelf(tmp_path / "kept", 7, (3, 2))
        assert list(again) == ["TI", "RGB"]
        assert torch.equal(again["TI"].cls, torch.cat([first.cls, second.cls]))


@pytest.mark.parametrize("chosen", [[6, 0, 3, 3], slice(2, 6), np.array([5])])
def test_a_view_of_several_parts_is_indexed_as_if_they_were_one(chosen) -> None:
    parts = [some(4, 1), some(3, 2)]
    whole = torch.cat([part.patches for part in parts])
    view = TokenView(parts)
    assert (len(view), view.grid) == (7, (3, 2))
    assert torch.equal(view[chosen].patches, whole[chosen])
    assert torch.equal(TokenView(parts, [1, 5, 6])[[2, 0]].patches, whole[[6, 1]])
    assert torch.equal(TokenView([TokenView(parts, [1, 5, 6]), parts[0]])[[2, 3]].patches, whole[[6, 0]])
    assert torch.equal(TokenView(parts, [4, 0]).cls, torch.cat([part.cls for part in parts])[[4, 0]])
