"""The command line."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from support.image_files import sample_files
from support.tiny import tiny_model
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.data.synthetic.write_samples import write_samples
from mswin_viz.model.archives.weight_files import read_state_dict
from mswin_viz.model.weights.embedded_config import EMBEDDED


def test_samples_writes_a_data_set_that_loads(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli.app,
        ["samples", str(tmp_path), "--identities", "2", "--cameras", "3", "--shots", "1", "--seed", "5",
         "--sheet", str(tmp_path / "sheet.png")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert len(mv.samples(tmp_path / "RGBNT201")) == 6
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_evaluate_prints_both_splits_baselines_attributes_and_captions() -> None:
    done = CliRunner().invoke(cli.app, ["evaluate", "--identities", "2", "--seed", "9"])
    assert done.exit_code == 0, done.output
    rows = ("plain CLS", "enhanced CLS", "random network", "mean colours, 16x8", "chance")
    assert all(done.stdout.count(f"| {row} |") >= 2 for row in rows)
    assert all(
        f"| {row} |" in done.stdout for row in ("upper colour", "bag yes/no", "everybody's full caption")
    )


def test_evaluate_prints_json_and_nothing_else_on_standard_output() -> None:
    done = CliRunner().invoke(cli.app, ["evaluate", "--identities", "2", "--seed", "9", "--json"])
    found = json.loads(done.stdout)
    assert 0 <= found["retrieval"]["look_alikes"]["plain_cls"]["three_together"]["mAP"] <= 1


def test_our_errors_are_one_line_and_exit_1(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["mswin-viz", "samples", str(tmp_path), "--identities", "0"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith("OptionError:")


def test_an_error_of_several_lines_is_shown_as_one(monkeypatch, capsys) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise mv.MswinVizError("first line\n  second line")

    monkeypatch.setattr("mswin_viz.model.loading.load_model", refuse)
    monkeypatch.setattr(sys, "argv", ["mswin-viz", "evaluate"])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == "MswinVizError: first line second line\n"


def test_doctor_says_what_is_installed_and_which_weights_are_here() -> None:
    done = CliRunner().invoke(cli.app, ["doctor"])
    assert done.exit_code == 0, done.output
    assert all(word in done.stdout for word in ("mswin-viz", "torch", "cpu", "embedded", "with its add-on"))


def test_doctor_says_words_in_brackets_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "mswin_viz.model.environment.optional_packages",
        lambda: {"lancedb": "pip install 'mswin-viz[export]'", "[red]": "1"},
    )
    said = CliRunner().invoke(cli.app, ["doctor"]).stdout
    assert "'mswin-viz[export]'" in said
    assert "[red]" in said


def test_doctor_opens_every_image_and_fails_on_a_broken_one(tmp_path: Path) -> None:
    root = write_samples(tmp_path, identities=2, cameras=2, shots=1, seed=5)
    sound = CliRunner().invoke(cli.app, ["doctor", "--data", str(root)])
    assert sound.exit_code == 0, sound.output
    assert "no problem found; 12 image files were opened" in " ".join(sound.stdout.split())
    (root / "test" / "TI" / "000001_cam1_0_00.jpg").write_bytes(b"no picture")
    broken = CliRunner().invoke(cli.app, ["doctor", "--data", str(root)])
    assert broken.exit_code == 1
    assert "corrupt image" in broken.stdout


def test_doctor_says_whether_a_store_is_complete_and_fails_on_a_damaged_file(tmp_path: Path) -> None:
    how = {"model": tiny_model(), "shard_images": 6, "workers": 0, "progress": False}
    samples = sample_files(tmp_path / "set")
    store = mv.extract(samples[:4], tmp_path / "store", **how)
    command = ["doctor", "--store", str(store.folder)]
    sound = CliRunner().invoke(cli.app, command)
    words = " ".join(sound.stdout.split())
    assert sound.exit_code == 0, sound.output
    assert "11, of which 0 have no features" in words
    assert "2 of 2 are done; complete" in words
    assert "every file holds what was written to it" in words
    (store.folder / "commits" / "part-00001.json").unlink()
    begun = json.loads(CliRunner().invoke(cli.app, [*command, "--json"]).stdout)
    assert begun["sound"]
    assert [begun["store"][name] for name in ("complete", "shards", "of_shards")] == [False, 1, 2]
    samples[5].images["RGB"].unlink()
    mv.extract(samples, store.folder, **how)
    file = store.folder / "manifest" / "part-00001.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    damaged = CliRunner().invoke(cli.app, [*command, "--json"])
    found = json.loads(damaged.stdout)
    assert damaged.exit_code == 1
    assert not found["sound"]
    assert (found["store"]["images"], found["store"]["failed"]) == (19, 1)
    assert [file.name in words for words in found["store"]["damaged"]] == [True]
    shown = CliRunner().invoke(cli.app, command)
    assert shown.exit_code == 1
    assert "1 DAMAGED: delete the commit" in " ".join(shown.stdout.split())


def test_train_writes_an_add_on_under_the_host_models_keys(tmp_path: Path) -> None:
    root = write_samples(tmp_path, identities=8, cameras=2, shots=1, seed=5)
    file = tmp_path / "out" / "addon.pth"
    small = ["--steps", "2", "--scales", "4,8", "--validation", "0.25", "--cache", str(tmp_path / "tokens")]
    done = CliRunner().invoke(cli.app, ["train", "--data", str(root), "--out", str(file), *small])
    assert done.exit_code == 0, done.output
    assert "mAP of held-out identities" in done.output
    assert "has no training split" in done.output
    assert all(key.startswith("BACKBONE.clip_multi_scale_extractor.") for key in read_state_dict(file))
    assert mv.load_addon(file).scales == (4, 8)
    assert not list(file.parent.glob("*.state"))


def test_train_writes_one_add_on_for_each_modality_and_keeps_a_state_asked_for(tmp_path: Path) -> None:
    root = write_samples(tmp_path, identities=4, cameras=2, shots=1, seed=5)
    small = ["--steps", "1", "--scales", "4", "--validation", "0", "--modality", "per", "--layout", "bare"]
    state = ["--state", str(tmp_path / "run.state")]
    done = CliRunner().invoke(
        cli.app, ["train", "--data", str(root), "--out", str(tmp_path / "a.safetensors"), *small, *state]
    )
    assert done.exit_code == 0, done.output
    for modality in ("RGB", "NI", "TI"):
        assert mv.load_addon(tmp_path / f"a_{modality}.safetensors").scales == (4,)
        assert (tmp_path / f"run_{modality}.state").exists()


@pytest.fixture
def no_work(monkeypatch) -> None:
    """Whatever loads weights, draws people or encodes images fails the test."""

    def started(*_: object, **__: object) -> None:
        pytest.fail("work was started before the arguments were checked")

    for place in (
        "mswin_viz.model.loading.load_model",
        "mswin_viz.data.synthetic.write_samples.render",
        "mswin_viz.data.synthetic.crowd.render",
        "mswin_viz.analysis.experiments.sample_tokens.sample_tokens",
        "mswin_viz.model.environment.available_weights",
        "mswin_viz.model.pretraining.make_embedded.train_embedded_model",
        "subprocess.call",
    ):
        monkeypatch.setattr(place, started)


def refused(line: str, folder: Path) -> str:
    """What a command line is refused with, ``{}`` standing for a folder: one of our errors, of one line."""
    done = CliRunner().invoke(cli.app, line.replace("{}", str(folder)).split())
    assert isinstance(done.exception, mv.MswinVizError), (done.exception, done.output)
    assert len(str(done.exception).splitlines()) == 1
    return str(done.exception)


REFUSED = {
    "train --out {}/a.pth --steps 0": "--steps must be at least 1: got 0",
    "train --out {}/a.pth --patience 0": "--patience must be at least 1: got 0",
    "train --out {}/a.pth --people -3": "--people must be at least 1: got -3",
    "train --out {}/a.pth --seed -1": "--seed must be at least 0 and below 2**32: got -1",
    "train --out {}/a.pth --seed 4294967296": "below 2**32: got 4294967296",
    "train --out {}/a.pth --people 3": "at least two identities each: 0.2 of 3 holds out 1",
    "train --out {}/a.pth --validation 1": "below 1: got 1.0",
    "train --out {}/a.pth --learning-rate 0": "must be positive",
    "train --out {}/a.pth --learning-rate nan": "must be positive",
    "train --out {}/a.pth --learning-rate inf": "must be positive",
    "train --out {}/a.pth --scales four": "--scales takes different whole numbers",
    "train --out {}/a.pth --scales 4,,8": "--scales takes different whole numbers",
    "train --out {}/a.pth --scales 0": "of at least 1, with commas between them: got '0'",
    "train --out {}/a.pth --scales 4,8,4": "--scales takes different whole numbers",
    "train --out {}/a.pth --modality both": "one of shared, per: got 'both'",
    "train --out {}/a.pth --layout onnx": "one of host, host-dropout, bare: got 'onnx'",
    "train --out {}": "--out must be a file: {} is a folder",
    "train --out .": "--out must be a file: . is a folder; add a file name",
    "train --out /": "--out must be a file: / is a folder; add a file name",
    "train --out {}/file/a.pth": "{}/file, on the way to {}/file/a.pth, is a file",
    "train --out {}/a.pth --state {}/a.pth": "--out and --state must be different places",
    "train --out {}/a.pth --state {}": "--state must be a file",
    "train --out {}/a.pth --data {}/nosuch": "--data must exist: got {}/nosuch",
    "train --out {}/a.pth --data {}/empty": "found none below {}/empty",
    "train --out {}/a.pth --data {}/RGBNT201 --cache {}/file": "--cache must be a folder: {}/file is a file",
    "train --out {}/a.pth --data {}/RGBNT201 --people 9": "--people would have no effect with --data",
    "train --out {}/a.pth --data {}/RGBNT201": "0.2 of 2 holds out 0; add identities, or use 0 for no validation",
    "train --out {}/a.pth --cache {}": "--cache would have no effect without --data",
    "ablate --rows nosuch": "rows must be among windows_4,",
    "ablate --rows windows_4,": "got ''; choose from these",
    "ablate --rows windows_4_8 --scales 4,16": "got 'windows_4_8'",
    "ablate --steps 0": "--steps must be at least 1: got 0",
    "ablate --seeds 0": "--seeds must be at least 1: got 0",
    "ablate --seed -1": "--seed must be at least 0 and below 2**32: got -1",
    "ablate --scales 8,-4": "--scales takes different whole numbers",
    "ablate --people 3": "at least 4 people to train on",
    "ablate --identities 7": "and 8, two groups of look-alikes",
    "ablate --out {}": "--out must be a file",
    "ablate --out {}/table.md": "--out must end in .json: got {}/table.md",
    "ablate --data {}/nosuch": "--data must exist",
    "ablate --data {}/RGBNT201 --people 9 --seed 4": "--people, --seed would have no effect with --data; leave them",
    "ablate --cache {}": "--cache would have no effect without --data",
    "ablate --rule none": "--rule would have no effect without --data",
    "ablate --data {}/RGBNT201": "got 0 training and 2 test samples",
    "ablate --data {}/RGBNT201 --rule nosuch": "got 0 training and 2 test samples",
    "ablate --data {}/splits": "training needs at least two identities with two images each",
    "ablate --data {}/RGBNT201 --thermal-range 5 5": "the smaller one first",
    "ablate --thermal-range 5 9": "--thermal-range would have no effect without --data",
    "train --out {}/a.pth --data {}/RGBNT201 --thermal-range 9 5": "the smaller one first",
    "train --out {}/a.pth --rule none": "--rule would have no effect without --data",
    "train --out {}/a.pth --data {}/RGBNT201 --rule nosuch": "rule is one of camera, scene, none: got 'nosuch'",
    "train --out {}/a.pth --data {}/RGBNT201 --validation 0": "two identities with two images each",
    "ablate --markdown {}/nosuch.json": "--markdown must exist",
    "ablate --markdown {}/file": "the stored ablation {}/file must be JSON",
    "ablate --markdown {}/list.json": "the stored ablation {}/list.json cannot be used: the whole",
    "ablate --markdown {}/other.json": "{}/other.json cannot be used: settings: field required",
    "ablate --markdown {}/changed.json": "{}/changed.json cannot be used: settings: input should be",
    "ablate --markdown {}/list.json --rows windows_4": "--rows would have no effect with --markdown",
    "controls --seeds 0": "--seeds must be at least 1: got 0",
    "controls --steps 0": "--steps must be at least 1: got 0",
    "controls --seed -1": "--seed must be at least 0 and below 2**32: got -1",
    "controls --people 3": "at least 4 people",
    "controls --identities 7": "8, two groups of look-alikes",
    "controls --trained-on nobody": "standard, look_alikes or both: got 'nobody'",
    "ablate --data {}/RGBNT201 --trained-on both": "--trained-on would have no effect with --data",
    "evaluate --identities 1": "--identities must be at least 2: got 1",
    "evaluate --seed -1": "--seed must be at least 0 and below 2**32: got -1",
    "train-embedded {}/file": "WORK must be a folder: {}/file is a file",
    "train-embedded {}/new --steps 0": "--steps must be at least 1: got 0",
    "train-embedded {}/new --precision int8": "float32 or bfloat16: got 'int8'",
    "train-embedded {}/new --device abacus": "must be there: got abacus",
    "lab {}/nosuch.ipynb": "NOTEBOOK must exist",
    "samples {}/new --identities 0": "identities must be at least 1: got 0",
    "samples {}/new --shots -1": "shots must be at least 1: got -1",
    "samples {}/new --cameras 5": "cameras must be at most 4: got 5",
    "samples {}/new --seed -1": "--seed must be at least 0 and below 2**32: got -1",
    "samples {}/file": "OUT must be a folder: {}/file is a file",
    "samples {}/new --sheet {}": "--sheet must be a file",
    "samples {}/new --sheet {}/sheet.nosuch": "--sheet must end in",
    "doctor --data {}/nosuch": "--data must exist",
    "doctor --data {}/empty": "found none below {}/empty",
    "doctor --data {}/RGBNT201 --workers 0": "--workers must be at least 1: got 0",
    "doctor --data {}/RGBNT201 --layout nosuch": "got 'nosuch'",
    "doctor --layout folder": "--layout would have no effect without --data",
    "export {}/nosuch --to csv -o {}/new": "STORE must exist: got {}/nosuch",
    "export {}/empty --to csv -o {}/new": "a store is a folder with store.json and commits: {}/empty has none",
    "export {}/empty --to csv -o {}/new --root {}/nosuch": "--root must exist",
    "doctor --store {}/nosuch": "--store must exist",
    "doctor --store {}/empty": "a store is a folder with store.json and commits: {}/empty has none",
    "doctor --all": "--all would have no effect without --data",
}  # fmt: skip
"""A command line -> part of what it is refused with; ``{}`` is a folder."""


@pytest.mark.parametrize("line", REFUSED)
def test_arguments_are_checked_before_any_work(line: str, refusal_folder: Path, no_work: None) -> None:
    assert REFUSED[line].replace("{}", str(refusal_folder)) in refused(line, refusal_folder)
    assert not (refusal_folder / "new").exists()
    assert not (refusal_folder / "a.pth").exists()


@pytest.fixture(scope="module")
def refusal_folder(tmp_path_factory) -> Path:
    """A data set of two people in one camera, a text file, an empty folder, and JSON that is no ablation."""
    folder = tmp_path_factory.mktemp("refused")
    write_samples(folder, identities=2, cameras=1, shots=1, seed=5)
    (folder / "file").write_text("a text\n")
    (folder / "empty").mkdir()
    (folder / "splits").mkdir()
    (folder / "splits" / "train").symlink_to(folder / "RGBNT201" / "test")
    for modality in ("RGB", "NI", "TI"):
        (folder / "splits" / "test" / modality).mkdir(parents=True)
        picture = folder / "RGBNT201" / "test" / modality / "000001_cam1_0_00.jpg"
        shutil.copy(picture, folder / "splits" / "test" / modality / "000009_cam1_0_00.jpg")
    (folder / "list.json").write_text("[1]")
    (folder / "other.json").write_text("{}")
    keys = ("settings", "reference", "columns", "rows", "scores", "rule")
    (folder / "changed.json").write_text(json.dumps(dict.fromkeys(keys, 3)))
    return folder


@pytest.mark.parametrize("command", ["train --out {}/a.pth", "ablate"])
def test_a_window_longer_than_the_picture_is_refused_before_anyone_is_drawn(
    command: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(
        "mswin_viz.data.synthetic.crowd.render", lambda *_, **__: pytest.fail("somebody was drawn")
    )
    assert "1..128 on a 16x8 grid: got 129" in refused(f"{command} --scales 4,129", tmp_path)


@pytest.mark.parametrize("line", ["evaluate", "controls", "ablate", "train --out {}/a.pth"])
@pytest.mark.parametrize("name", ["nosuch", "nosuch.pth", "ViT-B-16/nosuch", "folder/deeper/nosuch"])
def test_an_unknown_model_is_refused_before_anyone_is_drawn(
    line: str, name: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(
        "mswin_viz.data.synthetic.crowd.render", lambda *_, **__: pytest.fail("somebody was drawn")
    )
    assert "nosuch" in refused(f"{line} --model {name}", tmp_path)


@pytest.mark.parametrize("command", ["train --out {}/locked/a.pth", "ablate --out {}/locked/a.json"])
def test_a_folder_that_cannot_be_written_to_is_named_before_any_work(
    command: str, tmp_path: Path, monkeypatch, no_work: None
) -> None:
    def locked(**place: Path) -> None:
        raise PermissionError(13, "Permission denied", str(place["dir"]))

    (tmp_path / "locked").mkdir()
    monkeypatch.setattr("tempfile.TemporaryFile", locked)
    assert f"{tmp_path}/locked is not writable (Permission denied)" in refused(command, tmp_path)


@pytest.mark.parametrize(
    "line", ["train", "train --out a.pth --steps many", "ablate --nosuch", "nosuch", "evaluate --seed 1.5"]
)
def test_what_is_no_command_line_at_all_is_a_usage_error(line: str, no_work: None) -> None:
    done = CliRunner().invoke(cli.app, line.split())
    assert done.exit_code == 2
    assert "Usage:" in done.output


def test_the_version_is_that_of_the_package() -> None:
    done = CliRunner().invoke(cli.app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"mswin-viz {mv.__version__}\n")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.xyz", "", "a.xyz: a torch.save file whatever its ending says, a state dict with keys BACKBONE.clip_multi_"),
        ("a", "", "a: a torch.save file whatever its ending says"),
        ("a.pth", "--layout bare", "a.pth: a torch.save file, a state dict with keys multi_scale_window.*"),
        ("a.safetensors", "--modality per", "a_MODALITY.safetensors: safetensors, a state dict with keys BACKBONE."),
    ],
)  # fmt: skip
def test_train_names_what_it_will_write_before_it_draws_anyone(
    name: str, options: str, words: str, tmp_path: Path, monkeypatch
) -> None:
    class DrawnError(Exception):
        pass

    def drawn(*_: object, **__: object) -> None:
        raise DrawnError

    monkeypatch.setattr("mswin_viz.model.training.labelled_tokens.picture_batches", drawn)
    done = CliRunner().invoke(cli.app, ["train", "--out", str(tmp_path / name), *options.split()])
    assert isinstance(done.exception, DrawnError), done.exception
    assert f"will write {tmp_path}/{words}" in done.output


@pytest.fixture
def drawn_once(monkeypatch: pytest.MonkeyPatch, worlds: dict) -> None:
    """The same people need not be drawn and encoded for every test."""
    from mswin_viz.analysis.experiments import ablation_run

    draw = ablation_run.labelled_tokens

    def once(model: object, crowd: object, **options: object) -> object:
        if crowd not in worlds:
            worlds[crowd] = draw(model, crowd, **options | {"workers": 1, "folder": None})
        return worlds[crowd]

    monkeypatch.setattr(ablation_run, "labelled_tokens", once)


@pytest.fixture(scope="module")
def worlds() -> dict:
    return {}


def test_ablate_stores_what_it_prints_and_prints_what_is_stored(tmp_path: Path, drawn_once: None) -> None:
    stored = tmp_path / "deeper" / "ablation.json"
    small = ["--people", "4", "--identities", "8", "--steps", "1", "--seeds", "1", "--scales", "4,8"]
    rows = ["--rows", "windows_4_8,mlp_on_cls"]
    done = CliRunner().invoke(cli.app, ["ablate", *small, *rows, "--out", str(stored)])
    assert done.exit_code == 0, done.output
    assert all(f"| {row} |" in done.stdout for row in ("plain CLS", "windows 4 + 8", "control: MLP on CLS"))
    again = CliRunner().invoke(cli.app, ["ablate", "--markdown", str(stored)])
    assert again.stdout == done.stdout[-len(again.stdout) :]
    brief = CliRunner().invoke(cli.app, ["ablate", "--markdown", str(stored), "--brief"])
    assert "standard split: mAP" in brief.stdout
    as_json = CliRunner().invoke(cli.app, ["ablate", "--markdown", str(stored), "--json"])
    assert json.loads(as_json.stdout) == json.loads(stored.read_text())


def test_controls_is_the_ablation_of_the_windows_and_the_heads_of_their_size(monkeypatch) -> None:
    asked: list[tuple] = []
    stored = json.loads((EMBEDDED / "ablation.json").read_text())
    monkeypatch.setattr(
        "mswin_viz.cli.measuring._ablated", lambda *ablation: asked.append(ablation) or stored
    )
    options = ["--people", "40", "--seed", "5", "--trained-on", "both"]
    rows = ["--rows", "windows_4_8_16,mlp_on_cls,mlp_on_mean_patch"]
    printed = [
        CliRunner().invoke(cli.app, line).stdout
        for line in (["controls", *options], ["ablate", *rows, *options])
    ]
    assert asked[0] == asked[1]
    assert printed[0] == printed[1]
    assert "Against both controls of their size without windows" in printed[0]


@pytest.mark.parametrize("row", ["windows_4", "untrained_mean", "mlp_on_cls"])
def test_one_row_alone_can_be_asked_for(row: str, tmp_path: Path, drawn_once: None) -> None:
    small = ["--people", "4", "--identities", "8", "--steps", "1", "--seeds", "1", "--scales", "4,8"]
    done = CliRunner().invoke(cli.app, ["ablate", *small, "--rows", row, "--out", str(tmp_path / "one.json")])
    assert done.exit_code == 0, done.output
    assert "The row of all scales (windows 4 + 8) was not run" in done.stdout
    assert row in json.loads((tmp_path / "one.json").read_text())["rows"]


def test_what_was_measured_is_stored_even_if_it_cannot_be_printed(tmp_path: Path, monkeypatch) -> None:
    def broken(_found: object) -> str:
        raise KeyError("words")

    monkeypatch.setattr("mswin_viz.cli.measuring._ablated", lambda *_: {"measured": 1})
    monkeypatch.setattr("mswin_viz.view.reports.ablation_words.full", broken)
    done = CliRunner().invoke(cli.app, ["ablate", "--out", str(tmp_path / "one.json")])
    assert isinstance(done.exception, KeyError)
    assert json.loads((tmp_path / "one.json").read_text()) == {"measured": 1}


@pytest.mark.parametrize("command", [["train", "--out", "addon.pth"], ["ablate"]])
@pytest.mark.parametrize(("ends", "got"), [(("2", "1"), r"(2.0, 1.0)"), (("-5", "nan"), "(-5.0, nan)")])
def test_a_thermal_range_is_checked_before_any_work(command, ends, got, tmp_path) -> None:
    done = CliRunner().invoke(cli.app, [*command, "--data", str(tmp_path), "--thermal-range", *ends])
    assert done.exit_code != 0
    assert "two finite numbers, the smaller one first, in the units of the files" in str(done.exception)
    assert got in str(done.exception)
