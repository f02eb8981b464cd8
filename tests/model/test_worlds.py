"""Frozen tokens of crowds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import mswin_viz as mv
from mswin_viz.data.synthetic import crowd as crowds
from mswin_viz.data.synthetic import render as synthetic
from mswin_viz.data.synthetic.crowd import Crowd
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.heads import phase_means
from mswin_viz.model.training.labelled_tokens import (
    LabelledTokens,
    labelled_tokens,
    modality_classes,
    token_layout,
)


@pytest.fixture(scope="module")
def model(openai_file: Path) -> mv.Model:
    return mv.load_model(openai_file, image_size=(96, 32), device="cpu")


def test_each_shot_is_drawn_once_for_its_three_modalities(model, monkeypatch) -> None:
    drawn = []

    def counted(*args, **options):
        drawn.append((args, tuple(options.items())))
        return synthetic.render(*args, **options)

    monkeypatch.setattr(crowds, "render", counted)
    world = labelled_tokens(model, Crowd(2, 3, shots=1), progress=False)
    assert len(drawn) == len(set(drawn)) == 8
    assert list(world.tokens) == ["RGB", "NI", "TI"]


def test_the_tokens_are_those_of_the_pictures(model: mv.Model) -> None:
    crowd = Crowd(2, 6, "look_alikes", shots=1)
    world = labelled_tokens(model, crowd, progress=False)
    images = [shot["TI"] for shot in crowds.pictures(crowd)]
    torch.testing.assert_close(world.tokens["TI"].patches, model.encode(images).patches)
    assert world.pids.tolist() == [0] * 4 + [1] * 4
    assert world.camids.tolist() == [0, 1, 2, 3] * 2
    assert world.groups.tolist() == [0] * 8


def test_tokens_on_disk_are_those_in_memory_and_leave_no_file(model: mv.Model, tmp_path: Path) -> None:
    crowd = Crowd(1, 6, shots=1)
    for scales in ((), (2, 3)):
        near, far = (
            labelled_tokens(model, crowd, scales=scales, folder=folder, progress=False).tokens["TI"]
            for folder in (None, tmp_path / "tokens")
        )
        assert (torch.equal(near.patches, far.patches), near.grid) == (True, far.grid)
    assert os.name == "nt" or list((tmp_path / "tokens").iterdir()) == []


@pytest.mark.parametrize("scales", [(), (2, 3), (5,)])
def test_the_room_of_tokens_is_what_they_take(model: mv.Model, scales: tuple[int, ...]) -> None:
    layout = token_layout(model, 4, ("RGB", "NI", "TI"), scales)
    tokens = labelled_tokens(model, Crowd(1, 6, shots=1), scales=scales, progress=False).tokens
    assert layout.grid == tokens["NI"].grid
    assert layout.n_bytes == sum(4 * (some.cls.numel() + some.patches.numel()) for some in tokens.values())


def test_with_scales_only_what_their_windows_can_tell_apart_is_kept(model: mv.Model) -> None:
    crowd = Crowd(1, 6, shots=1)
    whole, some = (labelled_tokens(model, crowd, scales=s, progress=False).tokens["NI"] for s in ((), (2, 3)))
    assert some.patches.shape[1] == 6
    torch.testing.assert_close(some.patches, phase_means(whole, (2, 3)).patches)


def test_a_person_in_one_modality_is_one_class_in_every_world() -> None:
    def world(people: int, first: float) -> LabelledTokens:
        pids = np.repeat(np.arange(people), 2)
        tokens = {
            name: Tokens(torch.full((len(pids), 2), first + i), torch.zeros(len(pids), 3, 2), (3, 1))
            for i, name in enumerate(("RGB", "TI"))
        }
        return LabelledTokens(tokens, pids, pids * 0, pids)

    tokens, labels = modality_classes([world(2, 0), world(3, 10)])
    assert labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9]
    assert tokens.cls[:, 0].tolist() == [0] * 4 + [1] * 4 + [10] * 6 + [11] * 6
