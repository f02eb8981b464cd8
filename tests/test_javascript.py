"""Runs the tests of our JavaScript with node's own test runner."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "js"


@pytest.mark.node
def test_the_javascript_tests_pass() -> None:
    node = shutil.which("node")
    if node is None and os.environ.get("CI"):
        pytest.fail("node must be installed where CI is set: the canvas's JavaScript is tested with it")
    if node is None:
        pytest.skip("JavaScript tests skipped: node is not installed")
    files = [str(path) for path in sorted(FOLDER.glob("*.test.mjs"))]
    run = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=120)
    assert files
    assert run.returncode == 0, run.stdout + run.stderr
