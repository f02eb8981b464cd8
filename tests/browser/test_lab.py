"""The harness itself: it must see what a notebook hides."""

from __future__ import annotations

import nbformat
import pytest
from support.lab import Lab

pytestmark = pytest.mark.browser

CELL = (
    "import ipywidgets\n"
    "slider = ipywidgets.IntSlider(value=2, min=0, max=8)\n"
    "slider.add_class('count')\n"
    "slider.observe(lambda change: 1 / (change['new'] - 3), 'value')\n"
    "slider"
)


@pytest.fixture
def opened(lab: Lab) -> Lab:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbformat.write(notebook, lab.root / "slider.ipynb")
    lab.open("slider.ipynb")
    return lab


def test_an_error_in_a_callback_and_a_request_elsewhere_are_found(opened: Lab) -> None:
    opened.run_all()
    opened.move_slider(".count", keys=1)
    opened.page.evaluate("() => fetch('https://example.com/').catch(() => null)")
    found = "\n".join(opened.problems())
    assert "callback: ZeroDivisionError" in found
    assert "refused request: https://example.com/" in found
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        opened.check()


def test_keyboard_and_mouse_move_the_slider_in_the_kernel_too(opened: Lab) -> None:
    opened.run_all()
    assert opened.move_slider(".count", keys=4) == 6
    opened.wait_idle()
    assert opened.ask("slider.value") == "6"
    assert opened.move_slider(".count", drag=0.25) == 2


def test_a_failing_cell_is_found(lab: Lab) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(notebook, lab.root / "broken.ipynb")
    lab.open("broken.ipynb")
    with pytest.raises(AssertionError, match="cell: ZeroDivisionError"):
        lab.run_all()
