"""The check of shapes during the tests: what it notes, and what it leaves alone."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from support import shapes

SOURCE = """
from __future__ import annotations
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING
import numpy as np
if TYPE_CHECKING:
    from jaxtyping import Float

def summed(a: Float[np.ndarray, "row dim"], b: Float[np.ndarray, "row dim"]) -> Float[np.ndarray, " row"]:
    if len(a) == 0:
        raise ValueError("no row")
    return (np.asarray(a) + b).sum(axis=1 - a.shape[0] // 9)

def warned(a: Float[np.ndarray, "row dim"]) -> None:
    warnings.warn("of the caller", stacklevel=2)

def warned_of(a: Float[np.ndarray, "row dim"]) -> None:
    _warn()

def _warn() -> None:
    warnings.warn("of the caller's caller", stacklevel=3)

def by_scale(values: dict[int, Float[np.ndarray, "batch window"]]) -> None: ...

@dataclass(frozen=True)
class Pair:
    rows: Float[np.ndarray, "row dim"]
    labels: Float[np.ndarray, " row"] | None = None
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that is imported as those of the package are."""
    (tmp_path / "shaped.py").write_text(SOURCE)
    import mswin_viz

    monkeypatch.setattr(mswin_viz, "__path__", [*mswin_viz.__path__, str(tmp_path)])
    yield importlib.import_module("mswin_viz.shaped")
    del sys.modules["mswin_viz.shaped"]


@pytest.fixture
def noted() -> Callable[[], list[str]]:
    """What was noted so far; taken from the list, so that this test does not fail of it."""

    def take() -> list[str]:
        taken = list(shapes.MISMATCHES)
        shapes.MISMATCHES.clear()
        return taken

    return take


def test_shapes_that_hold_are_not_noted(module: ModuleType, noted: Callable[[], list[str]]) -> None:
    module.summed(np.zeros((3, 2)), np.ones((3, 2)))
    module.Pair(np.zeros((3, 2)), np.zeros(3))
    assert noted() == []


def test_an_axis_of_one_name_must_have_one_length(module: ModuleType, noted: Callable[[], list[str]]) -> None:
    module.summed(np.zeros((3, 2)), np.ones((1, 2)))
    assert noted() == [
        "mswin_viz.shaped.summed: b is not Float[ndarray, 'row dim']: ndarray float64[1, 2]",
    ]


def test_a_result_of_another_shape_is_noted(module: ModuleType, noted: Callable[[], list[str]]) -> None:
    module.summed(np.zeros((9, 2)), np.ones((9, 2)))
    assert [line.split(":")[1] for line in noted()] == [" return is not Float[ndarray, 'row']"]


def test_a_record_whose_fields_do_not_belong_together_is_noted(
    module: ModuleType, noted: Callable[[], list[str]]
) -> None:
    module.Pair(np.zeros((3, 2)), np.zeros(4))
    module.Pair(np.zeros((3, 2)), None)
    assert len(noted()) == 1


def test_lists_and_whole_numbers_may_be_passed_where_a_function_converts_them(
    module: ModuleType, noted: Callable[[], list[str]]
) -> None:
    module.summed(np.zeros((3, 2), dtype=int), np.ones((3, 2)))
    assert noted() == []


def test_windows_of_two_scales_may_differ_in_number(
    module: ModuleType, noted: Callable[[], list[str]]
) -> None:
    module.by_scale({4: np.zeros((2, 5)), 8: np.zeros((2, 3))})
    assert noted() == []
    module.by_scale({4: np.zeros(5)})
    assert len(noted()) == 1


def test_a_refused_input_is_not_noted(module: ModuleType, noted: Callable[[], list[str]]) -> None:
    with pytest.raises(ValueError, match="no row"):
        module.summed(np.zeros((0, 2)), np.ones(7))
    assert noted() == []


@pytest.mark.parametrize("name", ["warned", "warned_of"])
def test_a_warning_is_attributed_to_the_caller_as_without_the_check(module: ModuleType, name: str) -> None:
    with pytest.warns(UserWarning, match="of the caller") as caught:
        getattr(module, name)(np.zeros((3, 2)))
    assert [one.filename for one in caught] == [__file__]
