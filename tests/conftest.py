"""Fixtures for every test, the check of shapes, and which tests are quick."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import shapes
from support.longest import LONGEST
from support.quick import QUICK

pytest_plugins = ["support.lanes", "support.browser_failures"]

if "--benchmark-only" not in sys.argv:  # what is timed is the package as users have it
    shapes.install()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="only the files of tests/support/quick.py, as make check"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption("--quick") or collection_path.is_dir():
        return None
    return collection_path.name not in QUICK or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that may take minutes end by themselves; of several processes none is left with a long file at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: LONGEST.get(item.path.name, len(LONGEST)))
    for item in items:
        if item.get_closest_marker("torture") or item.get_closest_marker("smoke"):
            item.add_marker(pytest.mark.timeout(0))


def pytest_collection_finish() -> None:
    """Modules and tests live to the end: a search for garbage, which takes a second in them, passes them over."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def shapes_hold() -> Iterator[None]:
    """Every array that the package took or returned during the test has the shape that its annotation states."""
    shapes.MISMATCHES.clear()
    yield
    assert shapes.MISMATCHES == []


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> str:
    """Each device a test is run on; CUDA is skipped, visibly, on machines without it."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: this machine has none")
    return request.param
