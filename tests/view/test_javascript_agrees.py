"""The browser and the kernel mean the same by the values of the controls, and draw the same windows."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.data.sample import Sample
from mswin_viz.view.widgets.assets import SCRIPTS
from mswin_viz.view.widgets.labels import ROWS, VALUES
from mswin_viz.view.widgets.map_places import arrow

pytestmark = pytest.mark.node
SCALES_ASKED = (1, 3, 5, 12)


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory):
    folder, samples = tmp_path_factory.mktemp("people"), []
    for number, picture in enumerate(pictures(2)):
        Image.fromarray(picture).save(folder / f"{number}.png")
        samples.append(Sample(number, number, {"RGB": folder / f"{number}.png"}))
    explorer = mv.ScaleExplorer(tiny_model(), samples)
    yield explorer
    explorer.close()


def in_node(expression: str, **constants: Any) -> Any:
    """The value of an expression in which ``panels`` and ``map_geometry`` are the modules of these names."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    named = "".join(f"const {name} = {json.dumps(value)};" for name, value in constants.items())
    imports = "".join(
        f"import * as {name} from {json.dumps((SCRIPTS / f'{name}.mjs').as_uri())};"
        for name in ("panels", "map_geometry")
    )
    program = f"{imports} {named} console.log(JSON.stringify({expression}));"
    run = subprocess.run(
        ["node", "--input-type=module", "-e", program], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_board_watches_what_the_browser_compares(explorer: mv.ScaleExplorer) -> None:
    names = set(in_node("[...panels.GEOMETRY, ...panels.PICTURES]"))
    assert names <= set(explorer.board.watched)


def settled(explorer: mv.ScaleExplorer) -> mv.ScaleExplorer:
    """The explorer with its work in the background done."""
    thread = explorer._every_scale.worker.thread
    if thread is not None:
        thread.join(30)
    return explorer


def test_the_browser_moves_alone_exactly_where_only_the_free_panel_follows(
    explorer: mv.ScaleExplorer,
) -> None:
    controls = explorer.controls
    cases = {
        "runs": {}, "tiles": {"windows": "tiles"}, "stride": {"stride": 2}, "slot": {"slot_4": "free"}, "off": {"slot_4": "off"},
    }  # fmt: skip
    for name, settings in cases.items():
        before = {control: getattr(controls, control).value for control in settings}
        for control, value in settings.items():
            getattr(controls, control).value = value
        board = settled(explorer).board
        moved = controls.asked | {"scale": controls.asked["scale"] + 1}
        status = in_node(
            "panels.statusOf({ key: 'free' }, moved, { answered, failed: null, fused, fits })",
            moved=moved, answered=board.answered, fused=board.free_is_fused, fits=board.fits,
        )  # fmt: skip
        assert status == ("live" if name in ("runs", "off") else "busy"), name
        assert controls.scale.is_followed == (status == "busy"), name
        for control, value in before.items():
            getattr(controls, control).value = value


def test_the_second_image_matters_to_the_pictures_of_a_pair_alone(explorer: mv.ScaleExplorer) -> None:
    cases = [explorer.controls.asked | {"rows": rows} for rows in ROWS]
    moved = "cases.map((asked) => panels.pictureStatus({ ...asked, second: -1 }, { answered: asked, failed: null }))"
    assert in_node(moved, cases=cases) == ["busy" if rows == "pair" else "" for rows in ROWS]


@pytest.mark.parametrize("value", VALUES)
def test_every_scale_in_the_browser_is_the_kernels(explorer: mv.ScaleExplorer, value: str) -> None:
    explorer.controls.value.value = value
    board = settled(explorer).board
    sent = {**board.pyramid, "values": list(board.pyramid["values"])}
    read = in_node(
        "asked.map((scale) => panels.readPyramid({ ...sent, values: new DataView(Uint8Array.from(sent.values).buffer) }, rows, cols, 1)"
        ".at(scale)).map(({ title, origin, unit, signed, words, values }) => ({ title, origin, unit, signed, words, values: [...values[0]] }))",
        asked=SCALES_ASKED, sent=sent, rows=board.grid_rows, cols=board.grid_cols,
    )  # fmt: skip
    for scale, live in zip(SCALES_ASKED, read, strict=True):
        explorer.controls.scale.value = scale
        (free,) = (column for column in board.columns if column["key"] == "free")
        wanted = np.frombuffer(free["values"], "<f4")
        np.testing.assert_allclose(live["values"], wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())
        for name in ("title", "origin", "unit", "signed", "words"):
            assert live[name] == free[name]


@pytest.mark.parametrize("end", [(0.4, 0.6), (0.1, 0.21), (-0.7, 0.2), (0.1, 0.2)])
def test_a_saved_page_draws_the_arrows_of_the_live_maps(end: tuple[float, float]) -> None:
    start = np.array([0.1, 0.2])
    drawn = in_node("map_geometry.arrowLine(start, end)", start=start.tolist(), end=end)
    assert np.array(drawn) == pytest.approx(np.array(arrow(start, np.array(end))))
