"""Fixtures for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import shapes

shapes.install()


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
