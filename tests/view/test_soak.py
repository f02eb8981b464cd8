"""A view that is used for hours, or opened again and again, takes no more than it took after some minutes."""

from __future__ import annotations

from pathlib import Path

import pytest
from ipywidgets import Widget
from support.soak import Held, soaked
from support.used_views import USED_VIEWS

import mswin_viz as mv

TINY = """
from pathlib import Path
from support.tiny import two_modalities
from support.used_views import *
samples = two_modalities(Path({folder!r}), 8, n_people=2)
"""
MOVED = TINY + "found = moved(scales(samples), n_moves=300, n_switches=45)"
EMBEDDED = """
explorer = mv.ScaleExplorer(mv.load_model(device="cpu"), mv.samples())
found = moved(explorer, n_moves=2000, n_switches=300)
"""
OPENED = (
    TINY
    + """
table = mv.embed(MODEL, samples, progress=False)
view = mv.embedding_view(table)
makers = [make for make in USED_VIEWS if make.__name__ in {names}]
found = [each for make in makers for each in opened_and_closed(lambda: make(samples=samples, table=table, view=view), {times})]
"""
)


def assert_flat(found: list[Held], *, n_warm: int, growth: float) -> None:
    """Threads, open files and widgets as after the warm-up, and hardly more memory."""
    first, *later = found[n_warm:]
    assert {each.widgets for each in later} == {first.widgets}
    assert max(each.threads for each in later) <= first.threads
    assert max(each.files for each in later) <= first.files
    assert max(each.mebibytes for each in later) <= (1 + growth) * first.mebibytes


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(MOVED, id="some moves"),
        pytest.param(EMBEDDED, id="2,000 moves of the embedded model", marks=pytest.mark.torture),
    ],
)
def test_an_explorer_whose_slider_moves_for_hours_takes_no_more_memory(code: str, tmp_path: Path) -> None:
    found = soaked(code.format(folder=str(tmp_path)))
    assert len(found) == 10
    assert_flat(found, n_warm=3, growth=0.05)


def test_every_kind_of_view_is_opened_again_and_again() -> None:
    public = [each for each in (getattr(mv, name) for name in mv.__all__) if isinstance(each, type)]
    views = {each.__name__ for each in public if issubclass(each, Widget)}
    made = {make.__annotations__["return"].removeprefix("mv.") for make in USED_VIEWS}
    assert views <= made


NAMES = [make.__name__ for make in USED_VIEWS]


@pytest.mark.parametrize(
    ("names", "times"),
    [
        pytest.param(NAMES, 5, id="all, five times"),
        *(pytest.param([name], 50, id=f"{name}, 50 times", marks=pytest.mark.torture) for name in NAMES),
    ],
)
def test_views_opened_and_closed_again_and_again_give_everything_back(names, times, tmp_path: Path) -> None:
    found = soaked(OPENED.format(folder=str(tmp_path), names=names, times=times))
    for at in range(len(names)):
        assert_flat(found[at * times : (at + 1) * times], n_warm=times // 5, growth=0.01)
