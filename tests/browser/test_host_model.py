"""The explorer on a host model with a mixture of experts, in a real JupyterLab: the gate's bars are drawn and move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import numpy as np
import pytest

if TYPE_CHECKING:
    from support.lab import Lab

pytestmark = pytest.mark.browser
CELL = """import mswin_viz as mv
model = mv.load_host_model("MambaPro.yml", "host.pth", device="cpu")
explorer = mv.ScaleExplorer(model, mv.samples()[:3])
explorer.controls.rows.value = "modalities"
explorer"""
BARS = "() => [...document.querySelectorAll('.mswin-gate-row')].map((row) => [row.firstChild.textContent, ...[...row.querySelectorAll('div > span:nth-child(2)')].map((track) => track.firstChild.getBoundingClientRect().width / track.getBoundingClientRect().width)])"


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Lab:
    import torch
    from support.host_files import MIXTURE_ON, mixture_state, tower_state, yml

    torch.save(tower_state(width=64, depth=2) | mixture_state(), lab.root / "host.pth")
    yml(lab.root, more=MIXTURE_ON)
    cells = [nbformat.v4.new_code_cell(CELL)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), lab.root / "host.ipynb")
    lab.open("host.ipynb")
    lab.run_all()
    return lab


def bars(lab: Lab) -> dict[str, list[float]]:
    return {name: widths for name, *widths in lab.page.evaluate(BARS)}


def gate(lab: Lab) -> np.ndarray:
    return np.array(eval(lab.ask("explorer.view.cosine.gate.tolist()")))


def test_bars_of_the_three_modalities_are_as_long_as_the_gate_says(notebook: Lab) -> None:
    found = bars(notebook)
    assert list(found) == ["RGB", "NI", "TI"]
    np.testing.assert_allclose(list(found.values()), gate(notebook), atol=0.01)
    notebook.check()


def test_bars_follow_a_slot_that_is_switched_off(notebook: Lab) -> None:
    before = bars(notebook)
    notebook.control(".mswin-slot-4 button", has_text="off").click()
    notebook.wait_idle()
    after = bars(notebook)
    assert np.abs(np.array(list(after.values())) - np.array(list(before.values()))).max() > 0.002
    np.testing.assert_allclose(list(after.values()), gate(notebook), atol=0.01)
    notebook.check()
