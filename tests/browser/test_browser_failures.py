"""A browser test that fails leaves a picture and what was said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

TESTS = Path(__file__).resolve().parents[1]
INNER = """
import pytest
from browser.conftest import lab

pytestmark = pytest.mark.browser

def test_passes(lab): pass

@pytest.mark.parametrize("name", ["a/b: c"])
def test_fails(lab, name):
    lab.page.set_content("<body style='background: rgb(200, 30, 10)'>")
    lab.page.evaluate("() => console.warn('three windows are missing')")
    assert 1 == 2
"""


def test_the_picture_and_the_console_of_a_failed_test_are_kept_and_named(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(INNER)
    (tmp_path / "conftest.py").write_text("pytest_plugins = ['support.browser_failures']")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = browser: one\n")
    kept = tmp_path / "kept"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--browser-failures", str(kept)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    picture, text = kept / "test_inner.py_test_fails_a_b_c.png", kept / "test_inner.py_test_fails_a_b_c.txt"
    assert sorted(kept.iterdir()) == [picture, text]
    assert f"picture of about:blank: {picture}" in done.stdout
    assert "warning: three windows are missing" in text.read_text()
    assert "Jupyter Server" in text.read_text()
    assert np.median(np.asarray(Image.open(picture).convert("RGB")), axis=(0, 1)).tolist() == [200, 30, 10]
