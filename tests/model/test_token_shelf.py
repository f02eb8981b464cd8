"""Tokens put in portions, in memory and on disk, and seen as one."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
import torch

from mswin_viz.errors import OutputError
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.token_store import TokenLayout, TokenStore, TokenView


def some(n_images: int, seed: int) -> Tokens:
    generator = torch.Generator().manual_seed(seed)
    return Tokens(
        torch.randn(n_images, 3, generator=generator),
        torch.randn(n_images, 6, 3, generator=generator),
        (3, 2),
    )


LAYOUT = TokenLayout(9, ("TI", "RGB"), (3, 2), 3)


@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("on_disk", [False, True])
def test_what_is_put_in_portions_comes_out_whole(tmp_path, on_disk, stays) -> None:
    shelf = TokenStore(LAYOUT, tmp_path / "kept" if on_disk else None, stays=stays)
    first, second = some(4, 1), some(3, 2)
    for portion in (first, second):
        shelf.add("TI", portion)
        shelf.add("RGB", portion)
    found = shelf.tokens()
    assert list(found) == ["TI", "RGB"]
    assert torch.equal(found["RGB"].patches, torch.cat([first.patches, second.patches]))
    assert torch.equal(found["TI"].cls, torch.cat([first.cls, second.cls]))


def test_the_room_of_tokens_is_known_before_there_are_any() -> None:
    assert LAYOUT.n_bytes == 2 * 9 * (1 + 6) * 3 * 4
    assert LAYOUT.shapes["RGB_patches"] == (9, 6, 3)


def test_files_that_stay_hold_the_tokens(tmp_path) -> None:
    shelf, tokens = TokenStore(LAYOUT, tmp_path, stays=True), some(9, 1)
    shelf.add("RGB", tokens)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("RGB_cls.npy", "RGB_patches.npy", "TI_cls.npy", "TI_patches.npy")
    ]
    np.testing.assert_array_equal(np.load(tmp_path / "RGB_patches.npy"), tokens.patches)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the files of mapped arrays")
def test_files_that_need_not_stay_leave_nothing_even_if_the_program_is_killed(tmp_path) -> None:
    shelf, tokens = TokenStore(LAYOUT, tmp_path), some(9, 1)
    assert list(tmp_path.iterdir()) == []
    shelf.add("RGB", tokens)
    assert torch.equal(shelf.tokens()["RGB"].patches, tokens.patches)


def test_room_that_is_not_there_is_refused_with_its_bytes(tmp_path, monkeypatch) -> None:
    def full(handle: int, start: int, n_bytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(
        OutputError, match=r"TI_cls.npy is not \(No space left on device: 108 bytes are needed"
    ):
        TokenStore(LAYOUT, tmp_path)


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
