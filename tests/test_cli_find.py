"""``mswin-viz find``: a table of each kind and one page, from a data set and from a store, and what it refuses."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
from support.saved_pages import ReadPage
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.errors import MswinVizError

KINDS = ("wrong_identities", "near-duplicates", "split_leaks", "outliers")


def run(line: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line; errors come out."""
    done = CliRunner().invoke(cli.app, shlex.split(line))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six shots in the test split; the first is there twice: its file has a second name, as a second shot."""
    root = mv.write_samples(
        tmp_path_factory.mktemp("people") / "set", identities=3, cameras=2, shots=1, seed=3
    )
    for sample in mv.samples(root)[:1]:
        for file in sample.images.values():
            Path(str(file)).with_name(Path(str(file)).name.replace("_00.", "_07.")).write_bytes(
                Path(str(file)).read_bytes()
            )
    return root


@pytest.fixture(scope="module")
def store(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "store"
    mv.extract(mv.samples(people), folder, model=mv.load_model(), tokens="none", workers=0, progress=False)
    return folder


def test_a_data_set_gives_a_table_of_each_kind_and_a_page_and_leaks_are_left_out_with_words(
    people: Path, tmp_path: Path
) -> None:
    code, out, _ = run(f"find {people} --out {tmp_path / 'found'}")
    assert code == 0
    assert "1 pair of near-duplicates among 7 items." in out.splitlines()
    assert "leaks were not checked: all samples are in training, or none is" in out.splitlines()
    written = {file.name for file in (tmp_path / "found").iterdir()}
    assert written == {"findings.html", *(f"{kind}.csv" for kind in KINDS if kind != "split_leaks")}
    pairs = pd.read_csv(tmp_path / "found" / "near-duplicates.csv")
    assert pairs.what.tolist() == ["same file"]
    assert pairs.evidence[0].count("_07.") == 1
    page = ReadPage((tmp_path / "found" / "findings.html").read_text("utf-8"))
    assert len(page.data["tables"][0]["answers"]) == 3


def test_a_store_is_read_as_it_is_and_the_document_says_what_was_found(store: Path, tmp_path: Path) -> None:
    line = f"--json find {store} --what near-duplicates --feature enhanced --out {tmp_path / 'found'}"
    code, out, _ = run(line)
    found = json.loads(out)
    (one,) = found["found"]
    assert (code, one["kind"], one["listed"], one["checked"]) == (0, "near-duplicates", 1, 7)
    assert [(item["row"], item["what"]) for item in one["items"]] == [(0, "same file")]
    assert Path(found["page"]).name == "findings.html"
    assert {file.name for file in (tmp_path / "found").iterdir()} == {
        "findings.html",
        "near-duplicates.csv",
    }


def test_what_there_is_not_to_look_for_is_refused_before_anything_is_written(
    people: Path, tmp_path: Path
) -> None:
    with pytest.raises(MswinVizError, match=r"--what .*wrong-identities.*faults"):
        run(f"find {people} --what faults --out {tmp_path / 'found'}")
    with pytest.raises(MswinVizError, match=r"--feature .*plain.*both"):
        run(f"find {people} --feature both --out {tmp_path / 'found'}")
    assert not (tmp_path / "found").exists()


def test_leaks_that_are_asked_for_alone_need_two_sides_of_the_split(store: Path, tmp_path: Path) -> None:
    with pytest.raises(MswinVizError, match="train"):
        run(f"find {store} --what split-leaks --out {tmp_path / 'found'}")
