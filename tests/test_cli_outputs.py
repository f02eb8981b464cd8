"""Where a command writes is checked before it works; what it has worked out is not lost; any terminal will do."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tqdm
from PIL import Image
from typer.testing import CliRunner

from mswin_viz import cli
from mswin_viz.cli.terminal import Notices
from mswin_viz.data.synthetic.write_samples import write_samples
from mswin_viz.errors import OutputError

COMMAND = [sys.executable, "-m", "mswin_viz.cli"]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a file, a folder, and links that lead astray."""
    folder = tmp_path_factory.mktemp("place")
    write_samples(folder, identities=2, cameras=1, shots=1, seed=5)
    (folder / "file").write_text("mine")
    (folder / "table.csv").write_text("RGB,pid\n")
    (folder / "pictures.csv").write_text(f"RGB,pid\n{PICTURE},1\n{PICTURE.replace('000001', '000002')},2\n")
    (folder / "weights").mkdir()
    (folder / "weights" / "model.safetensors").write_text("weights")
    (folder / "weights" / "config.json").write_text("{}")
    (folder / "folder.json").mkdir()
    (folder / "loop.json").symlink_to("loop.json")
    (folder / "astray.json").symlink_to("file/x.json")
    (folder / "work" / "embedded").mkdir(parents=True)
    (folder / "work" / "embedded" / "notes.txt").write_text("mine")
    return folder


LONG = "x" * 300
PICTURE = "RGBNT201/test/RGB/000001_cam1_0_00.jpg"
UNWRITABLE = {
    "folder.json": "is a folder", "file/x.json": "is a file", "loop.json": "links form a loop",
    "astray.json": "is a file", f"{LONG}.json": "too long", f"new/{LONG}/x.json": "too long", "": "must not be empty",
    "~no_such_user/x.json": "no home folder", "/proc/x.json": "/proc is not writable",
}  # fmt: skip
OUTPUTS = (
    "ablate --out", "train --out", "train --out a.pth --state", "samples new --sheet", "samples", "train-embedded",
    "train --out a.pth --data RGBNT201 --cache", "ablate --data RGBNT201 --cache",
)  # fmt: skip
FOLDERS = ("samples", "train-embedded", "cache")
CASES = [
    (output, path, words)
    for output in OUTPUTS
    for path, words in UNWRITABLE.items()
    if not (path == "folder.json" and output.endswith(FOLDERS))
]
INPUTS = [
    (line, path, words)
    for line in ("doctor --data", "train --out a.pth --data", "ablate --data", "ablate --markdown", "lab")
    for path, words in {
        "nosuch": "must exist", "": "must not be empty", LONG: "File name too long", "loop.json": "must exist", "file/x": "must exist",
    }.items()
]  # fmt: skip
SAME = [
    ("train --data table.csv --out", "table.csv", "--out must not replace what is read"),
    ("train --data table.csv --out a.pth --state", "./table.csv", "--state must not replace what is read"),
    ("train --model file --out", "file", "--out must not replace what is read"),
    ("train --data RGBNT201 --out a.pth --cache", "RGBNT201", "--cache must not replace what is read"),
    ("ablate --markdown r.json --out", "r.json", "--out must not replace what is read"),
    ("samples . --sheet", "RGBNT201/sheet.png", "--sheet must lie outside the samples"),
    ("train-embedded", "work", "also holds notes.txt"),
    ("train --out", "/dev/full", "a device or pipe"),
    ("train --data RGBNT201 --out", PICTURE, "already exists in the input RGBNT201"),
    ("train --data . --out", "RGBNT201/attributes.csv", "already exists in the input ."),
    ("train --model weights --out", "weights/model.safetensors", "already exists in the input weights"),
    ("ablate --model weights --out", "weights/config.json", "already exists in the input weights"),
    ("train --data pictures.csv --validation 0 --out", PICTURE, "is a picture of the data set"),
    ("train --data RGBNT201 --out x --cache", "x", "--out and --cache must be different places"),
    ("train --data RGBNT201 --out x --cache", "x/tokens", "--out and --cache must be different places"),
    ("train --out x/a.pth --state", "x", "--state and --out must be different places"),
    (
        "train --data RGBNT201 --out a.pth --cache",
        "a.pth.state",
        "--state and --cache must be different places",
    ),
    ("ablate --data RGBNT201 --out x.json --cache", "x.json", "--out and --cache must be different places"),
    ("samples x.png --sheet", "./x.png", "OUT and --sheet must be different places"),
    ("train --out a.pth --people", "100001", "--people must be at most 100,000: got 100,001"),
    ("evaluate --identities", "99999999", "--identities must be at most 100,000"),
    ("controls --people", "99999999", "--people must be at most 100,000"),
    ("ablate --identities", "99999999", "--identities must be at most 100,000"),
    ("samples new --identities", "999999999", "identities must be at most 100,000: got 999,999,999"),
    ("samples new --identities 99999 --shots", "99", "at most 1,000,000 shots: got 39,599,604"),
]


@pytest.mark.parametrize(("line", "path", "words"), [*CASES, *INPUTS, *SAME])
def test_a_place_that_is_of_no_use_is_refused_in_one_line_before_any_work(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys, line: str, path: str, words: str
) -> None:
    monkeypatch.chdir(place)
    (place / "r.json").write_text("{}")
    for work in (
        "model.loading.load_model",
        "data.synthetic.write_samples.render",
        "model.pretraining.make_embedded.train_embedded_model",
    ):
        monkeypatch.setattr(f"mswin_viz.{work}", lambda *_, **__: pytest.fail("work was started"))
    monkeypatch.setattr(sys, "argv", ["mswin-viz", *line.split(), path])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert words in said.err or ("--sheet must end in" in said.err)
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
    assert not (place / "new").exists()
    assert (place / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "line",
    [
        "ablate --out file/x.json",
        "train --out /proc/a.pth",
        "samples file",
        "train-embedded file",
        "doctor --data nosuch",
    ],
)
def test_a_refusal_takes_no_time_and_shows_no_traceback(place: Path, line: str) -> None:
    start = time.perf_counter()
    ended = subprocess.run(
        [*COMMAND, *line.split()], cwd=place, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert time.perf_counter() - start < 20, (
        "weights take that long; this takes half a second on a machine that is free"
    )
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (1, "", 1)


def test_a_warning_is_one_line_that_does_not_say_where_in_the_program_it_arose(place: Path) -> None:
    (place / "wide").mkdir()
    for number in range(2):
        Image.new("RGB", (300, 20), (90, 20, number)).save(place / "wide" / f"{number}.png")
    ended = subprocess.run(
        [*COMMAND, "extract", "wide", "--out", "store", "--quiet"],
        cwd=place,
        env=ENVIRONMENT | {"PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0
    (line,) = ended.stderr.splitlines()
    assert line.startswith("warning: 2 of 2 images are strongly distorted: ")
    assert ".py:" not in line


def test_too_little_space_is_told_before_the_training(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Encoder:
        dim, grid = 512, (16, 8)

    full = shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6)
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: full)
    monkeypatch.setattr("mswin_viz.model.loading.load_model", lambda *_, **__: Encoder())
    done = CliRunner().invoke(cli.app, ["train", "--out", str(place / "a.pth")])
    assert isinstance(done.exception, OutputError), done.exception
    assert "--out needs 33," in str(done.exception)
    assert "1,000,000 free" in str(done.exception)


MEASURED = {"measured": [1, 2.5]}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An ablation whose folder becomes a file while it runs; temporary files go to the test's folder."""

    def run(*_: object) -> dict:
        (tmp_path / "out").write_text("in the way")
        return MEASURED

    monkeypatch.setattr("mswin_viz.cli.measuring._ablated", run)
    monkeypatch.setattr("mswin_viz.view.reports.ablation_words.full", lambda _found: "the table")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_result_that_cannot_be_stored_in_the_end_is_printed_and_kept(measured: Path) -> None:
    done = CliRunner().invoke(cli.app, ["ablate", "--out", str(measured / "out" / "r.json")])
    assert done.exit_code == 1
    assert "the table" in done.stdout
    kept = next(measured.glob("mswin_viz_kept_*/r.json"))
    assert json.loads(kept.read_text()) == MEASURED
    assert f"the result is kept in {kept}" in str(done.exception)


def test_a_result_that_can_be_kept_nowhere_is_on_standard_output(measured: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(measured / "nowhere"))
    monkeypatch.setattr("mswin_viz.data.storage.output_checks.why_not_writable", lambda _folder: "")
    done = CliRunner().invoke(cli.app, ["ablate", "--out", str(measured / "out" / "r.json")])
    assert json.loads(done.stdout.splitlines()[0]) == MEASURED
    assert "the result is the JSON on standard output" in str(done.exception)


ENCODINGS = (
    "ascii",
    "cp1252",
    "latin-1",
    "ascii:strict",
    "cp437:strict",
    "utf-8",
    "utf-8:strict",
    "utf-16",
    "koi8-r",
)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_encoding_of_the_terminal_will_do(tmp_path: Path, encoding: str) -> None:
    folder = tmp_path / "caf\u00e9 \u4eba\u0416"
    folder.mkdir()
    code = "import sys; from mswin_viz.cli import main; sys.argv = ['mswin-viz', 'doctor', '--data', {!r}]; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code.format(str(folder))], env=ENVIRONMENT | {"PYTHONIOENCODING": encoding},
        capture_output=True,
    )  # fmt: skip
    said = ended.stderr.decode(encoding.split(":")[0])
    assert ended.returncode == 1
    assert said.startswith("DataError: samples need at least one image")
    assert "Traceback" not in said


@pytest.mark.parametrize("encoding", ["ascii:strict", "cp1252:strict", "utf-8:strict", "utf-16:strict"])
def test_what_is_printed_is_escaped_where_the_terminal_lacks_it(encoding: str) -> None:
    code = (
        "import typer, rich.console\n"
        "import sys, mswin_viz.cli\n"
        "module = sys.modules['mswin_viz.cli.app']\n"
        "def said():\n"
        "    module.echo('\\u2013 \\u00b1 \\u4eba \\udce9')\n"
        "    rich.console.Console().print('\\u2013 \\u00b1 \\u4eba \\udce9')\n"
        "module.app = said\n"
        "module.main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT | {"PYTHONIOENCODING": encoding}, capture_output=True
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert "\\udce9" in ended.stdout.decode(encoding.split(":")[0])


CLOSED = ("| true", ">&-", "2>&-", ">&- 2>&-", "> /dev/full")


@pytest.mark.parametrize(
    ("line", "closed"),
    [*itertools.product(("--help", "samples new2 --identities 1"), CLOSED), ("doctor", "| true")],
)
def test_an_output_that_nobody_reads_is_no_traceback(place: Path, line: str, closed: str) -> None:
    command = f"{sys.executable} -m mswin_viz.cli {line} {closed}"
    ended = subprocess.run(
        ["bash", "-c", command], cwd=place, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_progress_that_nobody_reads_ends_no_work(place: Path) -> None:
    command = f"{sys.executable} -m mswin_viz.cli doctor --data RGBNT201 2>&-"
    ended = subprocess.run(
        ["bash", "-c", command], cwd=place, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended
    assert "2 samples can be used; no problem found; 6 image files" in ended.stdout.replace("\n", " ")


class Full(io.StringIO):
    """A stream to a full disk."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("stream", [None, Full(), io.StringIO()], ids=["none", "full", "closed"])
def test_a_bar_goes_on_where_its_stream_takes_nothing(stream: io.StringIO | None) -> None:
    if stream is not None and not isinstance(stream, Full):
        stream.close()
    notices = Notices(stream)
    assert list(tqdm.tqdm(range(3), file=notices)) == [0, 1, 2]
    print("a note", file=notices, flush=True)
    assert not notices.isatty()


def test_notices_pass_on_what_their_stream_takes() -> None:
    stream = io.StringIO()
    print("a note", file=Notices(stream))
    assert stream.getvalue() == "a note\n"


@pytest.mark.parametrize("command", ["evaluate", "controls", "ablate"])
def test_a_result_that_standard_output_has_no_room_for_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    class Found:
        def as_json(self) -> dict:
            return MEASURED

    monkeypatch.setattr("mswin_viz.analysis.experiments.evaluation.evaluate_model", lambda *_, **__: Found())
    monkeypatch.setattr("mswin_viz.cli.measuring._ablated", lambda *_: MEASURED)
    monkeypatch.setattr("mswin_viz.model.loading.load_model", lambda *_, **__: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["mswin-viz", command, "--json"])
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OutputError, match="No space left on device") as problem:
        cli.app(standalone_mode=False)
    kept = next(tmp_path.glob("mswin_viz_kept_*/*.json"))
    assert json.loads(kept.read_text()) == MEASURED
    assert f"the result is kept in {kept}" in str(problem.value)


def test_a_folder_that_is_gone_is_said_in_a_line(tmp_path: Path) -> None:
    command = f"mkdir gone; cd gone; rmdir ../gone; {sys.executable} -m mswin_viz.cli doctor"
    ended = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("DataError: commands need a current folder that exists")
