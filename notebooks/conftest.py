"""nbval compares what notebooks say in words; pictures, and pages that hold them, are not stored."""

from __future__ import annotations

import pytest


def pytest_collectstart(collector: pytest.Collector) -> None:
    """A view's ``text/html`` is a picture of it; what its ``text/plain`` says is compared."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("text/html",)
