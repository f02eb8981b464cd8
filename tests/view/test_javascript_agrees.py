"""The browser and the kernel mean the same by the values of the controls, and compute the same window means."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.scales.request import ViewRequest
from mswin_viz.analysis.shares.part_values import PART_VALUES
from mswin_viz.data.sample import Sample
from mswin_viz.view.widgets.assets import SCRIPTS
from mswin_viz.view.widgets.labels import KERNELS, ROWS, VALUES, WINDOWS

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory):
    folder, samples = tmp_path_factory.mktemp("people"), []
    for number, picture in enumerate(pictures(2)):
        Image.fromarray(picture).save(folder / f"{number}.png")
        samples.append(Sample(number, number, {"RGB": folder / f"{number}.png"}))
    explorer = mv.ScaleExplorer(tiny_model(), samples)
    explorer.controls.kernel.value = "mean"
    yield explorer
    explorer.close()


def in_node(expression: str, **constants: Any) -> Any:
    """The value of an expression in which ``panels`` is the module of that name."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    named = "".join(f"const {name} = {json.dumps(value)};" for name, value in constants.items())
    program = f"import * as panels from {json.dumps((SCRIPTS / 'panels.mjs').as_uri())}; {named} console.log(JSON.stringify({expression}));"
    run = subprocess.run(
        ["node", "--input-type=module", "-e", program], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_board_watches_what_the_browser_compares(explorer: mv.ScaleExplorer) -> None:
    names = set(in_node("[...panels.GEOMETRY, ...panels.LIVE, ...panels.PICTURES]"))
    assert names <= set(explorer.board.watched)


def test_the_browser_computes_exactly_what_the_kernel_calls_a_plain_mean(explorer: mv.ScaleExplorer) -> None:
    answered = explorer.controls.asked
    cases = [
        answered | {"scale": answered["scale"] + 1, "kernel": kernel, "windows": layout, "value": value}
        for kernel, layout, value in itertools.product(KERNELS, WINDOWS, VALUES)
    ]
    statuses = in_node(
        "cases.map((asked) => panels.statusOf({ key: 'free' }, asked, { answered, failed: null, hasTokens: true, hasDirections: true }))",
        cases=cases, answered=answered,
    )  # fmt: skip
    for case, status in zip(cases, statuses, strict=True):
        tile = (1, 1) if case["windows"] == "tiles" else None
        request = ViewRequest(case["scale"], case["kernel"], case["value"], tile=tile)
        assert status == ("live" if request.is_mean and case["value"] not in PART_VALUES else "busy"), case


def test_the_second_image_matters_to_the_pictures_of_a_pair_alone(explorer: mv.ScaleExplorer) -> None:
    cases = [explorer.controls.asked | {"rows": rows} for rows in ROWS]
    moved = "cases.map((asked) => panels.pictureStatus({ ...asked, second: -1 }, { answered: asked, failed: null }))"
    assert in_node(moved, cases=cases) == ["busy" if rows == "pair" else "" for rows in ROWS]


@pytest.mark.parametrize("value", sorted(set(VALUES) - set(PART_VALUES)))
def test_window_means_of_the_browser_are_the_kernels(explorer: mv.ScaleExplorer, value: str) -> None:
    explorer.controls.value.value = value
    board = explorer.board
    (free,) = (column for column in board.columns if column["key"] == "free")
    row = board.rows[0]
    live = in_node(
        "(({ title, unit, signed, values }) => ({ title, unit, signed, values: [...values[0]] }))"
        "(panels.liveColumn({ key: 'free' }, asked, rows, cols, [{ patches, direction, dim: direction.length }]))",
        asked=explorer.controls.asked, rows=board.grid_rows, cols=board.grid_cols,
        patches=np.frombuffer(row["tokens"], "<f4").tolist(), direction=np.frombuffer(row["direction"], "<f4").tolist(),
    )  # fmt: skip
    np.testing.assert_allclose(live["values"], np.frombuffer(free["values"], "<f4"), rtol=1e-5, atol=1e-6)
    assert [live[name] for name in ("title", "unit", "signed")] == [
        free[name] for name in ("title", "unit", "signed")
    ]
