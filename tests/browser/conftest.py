"""The ``lab`` fixture: one JupyterLab and one browser for all browser tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.lab import Lab


def unavailable(reason: str) -> None:
    """Skip a browser test, saying why; under CI it fails."""
    if os.environ.get("CI"):
        pytest.fail(f"browser tests must run where CI is set: {reason}")
    pytest.skip(f"browser tests skipped: {reason}")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running ``Lab`` over an empty folder, ``lab.root``; put notebooks there, then ``lab.open`` them."""
    try:
        from support.lab import Lab, NoChromiumError
    except ImportError as error:
        unavailable(str(error))
    running = Lab(tmp_path_factory.mktemp("notebooks"))
    try:
        running.start()
    except NoChromiumError as error:
        running.stop()
        unavailable(str(error))
    except BaseException:
        running.stop()
        raise
    yield running
    running.stop()
