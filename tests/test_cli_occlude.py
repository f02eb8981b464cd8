"""``mswin-viz occlude`` on a data set of two modalities, with a tiny model."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import pytest
from support.tiny import tiny_model, two_modalities
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a manifest of nine samples; the model of every command is tiny."""
    (tmp_path / "photos").mkdir()
    samples = two_modalities(tmp_path / "photos", 9, n_people=3)
    lines = [f"photos/RGB_{at}.png,photos/NI_{at}.png,{s.pid},{s.camid}" for at, s in enumerate(samples)]
    (tmp_path / "people.csv").write_text("\n".join(["RGB,NI,pid,camid", *lines]))
    monkeypatch.setattr("mswin_viz.model.loading.load_model", lambda *_, **__: tiny_model())
    monkeypatch.chdir(tmp_path)
    return tmp_path


LINE = "occlude --data people.csv --modalities RGB,NI --fractions 0,50 --null-seeds 1"


def test_the_table_the_figure_and_the_json_have_the_points_of_the_function(place: Path) -> None:
    done = CliRunner().invoke(
        cli.app, [*shlex.split(f"{LINE} --out new/table.csv --figure curves.svg"), "--json"]
    )
    assert done.exit_code == 0, (done.output, done.exception)
    found = json.loads(done.stdout)
    options = {"modalities": ("RGB", "NI"), "fractions": (0, 0.5), "null_seeds": 1, "progress": False}
    curves = mv.occlusion_curves(tiny_model(), mv.samples("people.csv"), **options)
    with open("new/table.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, stored, point in zip(rows, found["points"], curves.points, strict=True):
        assert (row["modality"], row["name"], int(row["rows"])) == (point.modality, point.name, point.rows)
        assert float(row["mAP"]) == pytest.approx(point.mAP) == stored["mAP"]
    assert found["points"][2]["lead"] is None  # of the enhanced CLS over itself
    assert found["sentences"] == curves.sentences()
    assert Path("curves.svg").read_bytes().startswith(b"<?xml")


def test_the_sentences_are_printed(place: Path) -> None:
    done = CliRunner().invoke(cli.app, shlex.split(f"{LINE} --quiet --null-seeds 0 --modalities RGB"))
    assert done.exit_code == 0, (done.output, done.exception)
    assert "RGB, 0% to 50% of the rows covered: mAP plain" in done.output
    assert "control" not in done.output
    assert Path("occlusion.csv").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--fractions a,b", "--fractions takes per cent of the rows, from 0 to below 100, ascending"),
        ("--fractions 0,100", "from 0 to below 100"),
        ("--fractions 30,10", "got '30,10'"),
        ("--fractions=-5,10", "got '-5,10'"),
        ("--side left", "--side is one of bottom, top, middle, random: got 'left'"),
        ("--masked gallery", "--masked is one of query, both"),
        ("--fill grey", "--fill is one of mean, own_mean, black"),
        ("--modalities IR", "--modalities is one of RGB, NI, TI: got 'IR'"),
        ("--modalities RGB,RGB", "each once"),
        ("--null-seeds -1", "--null-seeds must be at least 0"),
        ("--out table.txt", "--out must end in .csv"),
        ("--figure curves.jpg", "--figure must end in .png or .pdf or .svg"),
        ("--out a.csv --figure nosuch/a.csv", "--figure must end in"),
        ("--data nosuch.csv", "--data must exist"),
        ("--rule scenes", "--rule is one of camera, scene, none"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_model_is_loaded(
    place: Path, options, said, monkeypatch
) -> None:
    monkeypatch.setattr("mswin_viz.model.loading.load_model", lambda *_, **__: pytest.fail("loaded"))
    done = CliRunner().invoke(cli.app, shlex.split(f"{LINE} {options}"))
    assert isinstance(done.exception, mv.MswinVizError), done.output
    assert said in str(done.exception)
