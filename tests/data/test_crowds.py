"""Crowds: who is drawn, in which order, by how many processes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mswin_viz.data.synthetic.crowd import Crowd, picture_batches, pictures
from mswin_viz.data.synthetic.identity import sample_identity
from mswin_viz.data.synthetic.lookalikes import sample_lookalike
from mswin_viz.data.synthetic.render import render
from mswin_viz.errors import OptionError


def test_shots_come_in_the_order_of_person_camera_and_shot() -> None:
    crowd = Crowd(2, 5, shots=2)
    expected = [(p, c, s) for p in range(2) for c in range(4) for s in range(2)]
    assert len(crowd) == len(expected) == 16
    assert crowd.pids.tolist() == [p for p, _, _ in expected]
    assert crowd.camids.tolist() == [c for _, c, _ in expected]
    for (p, c, s), shot in zip(expected, pictures(crowd), strict=True):
        by_hand = render(sample_identity(p, seed=5), camera=c, shot=s, seed=5)
        assert all(np.array_equal(shot[name], by_hand[name]) for name in ("RGB", "NI", "TI"))


def test_people_of_the_look_alike_split_are_look_alikes_in_groups_of_four() -> None:
    crowd = Crowd(6, 3, "look_alikes", shots=1)
    assert [crowd.person(pid) for pid in range(6)] == [sample_lookalike(pid, seed=3) for pid in range(6)]
    assert crowd.groups.tolist() == [0] * 16 + [1] * 8


def test_people_of_the_standard_split_are_a_group_each() -> None:
    assert Crowd(3, 3, shots=1).groups.tolist() == Crowd(3, 3, shots=1).pids.tolist()


def test_two_processes_draw_the_same_pictures_in_the_same_order_as_one() -> None:
    crowd = Crowd(3, 1, shots=1)
    for one, two in zip(pictures(crowd), pictures(crowd, workers=2), strict=True):
        assert one.keys() == two.keys()
        assert all(np.array_equal(one[name], two[name]) for name in one)


def test_batches_hold_every_shot_once_and_the_last_is_shorter() -> None:
    crowd = Crowd(1, 2, shots=2)
    batches = list(picture_batches(crowd, size=3, progress=False))
    assert [len(batch["NI"]) for batch in batches] == [3, 3, 2]
    flat = [image for batch in batches for image in batch["RGB"]]
    for image, shot in zip(flat, pictures(crowd), strict=True):
        np.testing.assert_array_equal(image, shot["RGB"])


def test_processes_that_draw_need_no_torch() -> None:
    code = "import sys, mswin_viz.data.synthetic.crowd; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"split": "twins"}, "standard, look_alikes: got 'twins'"),
        ({"people": 0}, "got people=0"),
        ({"shots": 0}, "shots=0"),
    ],
)
def test_a_crowd_that_cannot_be_drawn_is_refused(wrong, message) -> None:
    with pytest.raises(OptionError, match=message):
        Crowd(**{"people": 2, "seed": 0, **wrong})


def test_no_worker_is_refused() -> None:
    with pytest.raises(OptionError, match="workers must be at least 1, got 0"):
        next(pictures(Crowd(1, 0), workers=0))
