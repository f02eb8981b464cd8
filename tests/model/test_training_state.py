"""A damaged state is refused in one line, whatever is wrong with it, and changes nothing."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mswin_viz as mv
from mswin_viz.analysis.experiments.addon_training import state_file
from mswin_viz.errors import MswinVizError, OptionError, OutputError, WeightsError
from mswin_viz.model.training.fit import Watch, train_head
from mswin_viz.model.training.heads import window_head
from mswin_viz.model.training.run import Run, Schedule, TrainingStep
from mswin_viz.model.training.training_state import content_digest, only_training, write_state

SCHEDULE = Schedule(6, check_every=2)


def run(learning_rate: float = 3.5e-4) -> Run:
    """A training at its beginning: six people, five patch tokens of width 4."""
    generator = torch.Generator().manual_seed(0)
    tokens = mv.Tokens(
        torch.randn(18, 4, generator=generator), torch.randn(18, 5, 4, generator=generator), (5, 1)
    )
    schedule = Schedule(6, learning_rate, check_every=2)
    return Run(tokens, np.repeat(np.arange(6), 3), window_head(4, (2,), seed=1), seed=1, schedule=schedule)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict[str, Any]:
    """What the state after three steps and a validation holds."""
    own, file = run(), tmp_path_factory.mktemp("good") / "run.state"
    own.advance(), own.advance()
    own.note(0.25)
    own.advance()
    own.save(file)
    return torch.load(file, weights_only=True)


def stored(state: Any, file: Path, *, signed: bool = False) -> Path:
    """A state file with that content; signed, its digest is that of the content."""
    if signed:
        write_state(file, {name: value for name, value in state.items() if name != "digest"})
    else:
        torch.save(state, file)
    return file


def content_of(own: Run) -> str:
    """Of everything that a training would go on from."""
    parts = (own.head, own._loss, own._optimiser)
    return content_digest([*(dict(part.state_dict()) for part in parts), str(own._rng.bit_generator.state),
                           own.losses, own.checks, own._best])  # fmt: skip


@cache
def beside() -> Run:
    """A training after its first step, which no refused state may change."""
    own = run()
    own.advance()
    return own


@cache
def content_beside() -> str:
    return content_of(beside())


def refusal(file: Path, error: type[MswinVizError] = WeightsError) -> str:
    """The one line that a file is refused with; the training is left as it was."""
    own = beside()
    with pytest.raises(error) as caught:
        own.restore(file)
    assert content_of(own) == content_beside()
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 900
    assert str(file) in said
    assert "delete it" in said
    return said


def test_a_state_gives_everything_back(good, tmp_path) -> None:
    own, other = run(), run()
    own.restore(stored(good, tmp_path / "run.state"))
    assert (own.step, own.checks) == (3, [(2, 0.25)])
    own.save(tmp_path / "again.state")
    other.restore(tmp_path / "again.state")
    assert content_of(own) == content_of(other)
    assert own.advance() == other.advance()


WRONG: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "text": lambda: "abc",
    "a truth": lambda: True,
    "a list": lambda: [],
    "a nested list": lambda: [[[]]],
    "a dictionary": lambda: {},
    "a dictionary of numbers": lambda: {1: 2},
    "a negative number": lambda: -1,
    "a huge number": lambda: 10**5000,
    "a tensor": lambda: torch.zeros(3),
    "bytes": lambda: bytearray(b"\0"),
}


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every place in a state, from the whole fields down to single numbers; of many parameters the first and the last."""
    if path:
        yield path
    if isinstance(value, dict | list | tuple):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        is_of_parameters = len(keys) > 3 and len({type(value[key]) for key in keys} - {int, str}) == 1
        for key in keys if path in ((), ("training",)) or not is_of_parameters else (keys[0], keys[-1]):
            yield from places(value[key], (*path, key))


def changed(state: Any, path: tuple, value: Any, *, removed: bool = False) -> Any:
    """A copy of a state with another value at one place, or without that place."""
    first, *rest = path
    held = state if isinstance(state, dict) else dict(enumerate(state))
    new = {key: inner for key, inner in held.items() if not (removed and not rest and key == first)}
    if rest:
        new[first] = changed(new[first], tuple(rest), value, removed=removed)
    elif not removed:
        new[first] = value
    return new if isinstance(state, dict) else type(state)(new.values())


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_value_anywhere_is_refused(good, tmp_path, wrong: str) -> None:
    tried, value = 0, WRONG[wrong]()
    for path in places(good):
        if content_digest(state := changed(good, path, value)) != content_digest(good):
            refusal(stored(state, tmp_path / "run.state"))
            tried += 1
    assert tried > 40


@pytest.mark.parametrize("wrong", sorted({*WRONG} - {"a huge number"}))
@pytest.mark.parametrize("field", ["training", "head", "loss", "optimiser", "rng", "losses"])
def test_a_wrong_field_is_refused_even_where_its_digest_is_right(good, tmp_path, wrong, field) -> None:
    value = WRONG[wrong]()
    assert field in refusal(stored(good | {field: value}, tmp_path / "run.state", signed=True))


def test_every_place_that_is_missing_is_refused(good, tmp_path) -> None:
    tried = [refusal(stored(changed(good, path, None, removed=True), tmp_path / "run.state"))
             for path in places(good)]  # fmt: skip
    assert len(tried) > 40


def test_a_field_too_many_is_refused(good, tmp_path) -> None:
    assert "more: extra inputs" in refusal(stored(good | {"more": 1}, tmp_path / "run.state"))


def edited(
    state: dict[str, Any], field: str, key: str, edit: Callable[[torch.Tensor], Any]
) -> dict[str, Any]:
    inner = dict(state[field])
    inner[key] = edit(inner[key])
    return state | {field: inner}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda t: t[:-1], r"is float32 \(3,\) in place of float32 \(4,\)"),
        (lambda t: t.double(), r"is float64 \(4,\) in place of float32 \(4,\)"),
        (lambda t: t.half(), "float16"),
        (lambda t: t * float("nan"), "holds NaN or infinity"),
        (lambda t: t + float("inf"), "holds NaN or infinity"),
        (lambda t: t.to_sparse(), "plain tensor"),
        (lambda t: t.to("meta"), "plain tensor"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.quint8), "plain tensor"),
        (lambda t: torch.zeros(1).expand(10**10), "plain tensor"),
        (lambda t: torch.zeros(0), r"\(0,\) in place of"),
        (lambda t: t.to(torch.complex64), "complex64"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*quant.*")
def test_tensors_that_do_not_fit_are_refused_by_name(good, tmp_path, edit, said) -> None:
    key = "body.multi_scale_window.fusion.2.bias"
    state = edited(good, "head", key, edit)
    line = refusal(stored(state, tmp_path / "run.state", signed="plain" not in said))
    assert key in line
    assert re.search(said, line)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda o: o | {"state": {7: o["state"][0]}}, "exp_avg is"),
        (lambda o: o | {"state": {99: o["state"][0]}}, "belongs to no parameter"),
        (lambda o: o | {"state": {-1: o["state"][0]}}, "belongs to no parameter"),
        (lambda o: o | {"state": {0: o["state"][0] | {"max_exp_avg_sq": torch.zeros(1)}}}, "unexpected max_exp_avg_sq"),
        (lambda o: o | {"state": {0: {"step": torch.tensor(3.0)}}}, "lacks exp_avg"),
        (lambda o: o | {"state": {0: o["state"][0] | {"step": torch.tensor(4.0)}}}, "not at step 3"),
        (lambda o: o | {"state": {0: o["state"][0] | {"step": torch.tensor(2.5)}}}, "not at step 3"),
        (lambda o: o | {"state": {0: o["state"][0] | {"step": torch.tensor(3)}}}, "int64"),
        (lambda o: o | {"state": {0: o["state"][0] | {"exp_avg_sq": -1 - o["state"][0]["exp_avg_sq"]}}}, "not at step 3"),
        (lambda o: o | {"param_groups": []}, "another optimiser"),
        (lambda o: o | {"param_groups": o["param_groups"] * 2}, "another optimiser"),
        (lambda o: o | {"param_groups": [o["param_groups"][0] | {"params": [0]}]}, "another optimiser"),
        (lambda o: o | {"param_groups": [o["param_groups"][0] | {"weight_decay": 0.5}]}, "another optimiser"),
        (lambda o: o | {"param_groups": [o["param_groups"][0] | {"betas": (0.1, 0.2)}]}, "another optimiser"),
    ],
)  # fmt: skip
def test_an_optimiser_that_does_not_fit_is_refused(good, tmp_path, edit, said) -> None:
    state = good | {"optimiser": edit(good["optimiser"])}
    assert said in refusal(stored(state, tmp_path / "run.state", signed=True))


@pytest.mark.parametrize(
    "rng",
    ["", "{", "[]", "null", "7", json.dumps(np.random.default_rng(0).bit_generator.state)[:-9],
     json.dumps(np.random.default_rng(0).bit_generator.state | {"bit_generator": "MT19937"}),
     json.dumps(np.random.default_rng(0).bit_generator.state | {"has_uint32": 5}),
     json.dumps(np.random.default_rng(0).bit_generator.state | {"state": {"state": -1, "inc": 1}}),
     json.dumps(np.random.default_rng(0).bit_generator.state | {"state": {"state": 2**128, "inc": 1}}),
     json.dumps(np.random.default_rng(0).bit_generator.state | {"uinteger": "0"}),
     "9" * 900, "[" * 900, "NaN"],
)  # fmt: skip
def test_numbers_of_another_generator_are_refused(good, tmp_path, rng) -> None:
    assert "rng of the training state" in refusal(
        stored(good | {"rng": rng}, tmp_path / "run.state", signed=True)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"losses": [1.0] * 7}, {"losses": [float("nan")] * 3}, {"losses": ["1.0"] * 3}, {"losses": [True] * 3},
        {"losses": [10**400] * 3}, {"checks": [(4, 0.25)]}, {"checks": [(0, 0.25)]}, {"checks": [(2, 0.2), (1, 0.1)]},
        {"checks": [(2, 0.2), (2, 0.1)]}, {"checks": [(2, float("nan"))]}, {"checks": [(2, 0.1, 0.2)]},
        {"checks": [(2.0, 0.1)]}, {"checks": []}, {"best": None}, {"best": {}},
    ],
)  # fmt: skip
def test_losses_and_validations_that_cannot_be_are_refused(good, tmp_path, change) -> None:
    refusal(stored(good | change, tmp_path / "run.state", signed=True))


def test_a_state_changed_by_hand_is_refused_though_every_value_is_possible(good, tmp_path) -> None:
    for change in ({"losses": [0.5, *good["losses"][1:]]}, {"checks": [(2, 0.75)]}, {"head": good["best"]}):
        said = refusal(stored(good | change, tmp_path / "run.state"))
        assert "its content is not what was written" in said


def test_a_state_cut_off_anywhere_is_refused(good, tmp_path) -> None:
    whole = stored(good, tmp_path / "whole.state").read_bytes()
    for length in [*range(0, 200, 13), *np.linspace(200, len(whole) - 1, 60, dtype=int)]:
        (tmp_path / "run.state").write_bytes(whole[:length])
        refusal(tmp_path / "run.state")


def test_a_state_with_a_changed_byte_is_refused_or_means_the_same(good, tmp_path) -> None:
    whole, rng = stored(good, tmp_path / "whole.state").read_bytes(), np.random.default_rng(3)
    wanted = run()
    wanted.restore(tmp_path / "whole.state")
    refused, own = 0, run()
    for at in rng.choice(len(whole), 60, replace=False):
        content = bytearray(whole)
        content[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "run.state").write_bytes(content)
        try:
            own.restore(tmp_path / "run.state")
        except WeightsError:
            refused += 1
        else:
            assert content_of(own) == content_of(wanted)
            own = run()
    assert refused > 20


class Runs:
    """A pickle that would run code."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 500, b"PK\x03\x04" + b"\0" * 50, b"{}", b"<html>", pickle.dumps({"training": {}}),
     pickle.dumps(Runs()), b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b".", b"\x93NUMPY", random.Random(1).randbytes(999)],
)  # fmt: skip
def test_a_file_of_another_kind_is_refused(tmp_path, monkeypatch, content) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.state").write_bytes(content)
    refusal(tmp_path / "run.state")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", [Runs(), torch.zeros(2), [1, 2], "text", None, {"a": {1, 2}}])
def test_an_archive_of_torch_that_holds_something_else_is_refused(tmp_path, monkeypatch, value) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(value, tmp_path / "run.state")
    refusal(tmp_path / "run.state")
    assert not (tmp_path / "ran").exists()


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def laughs() -> list:
    """Forty lists, each of which is ten times in the next: 10^40 values."""
    value: list = [1.0]
    for _ in range(40):
        value = [value] * 10
    return value


@pytest.mark.parametrize("field", ["losses", "training", "head", "optimiser", "best", "more"])
@pytest.mark.parametrize("value", [nested(17), nested(400), laughs(), [0.0] * 10**5], ids=len)
def test_what_is_nested_deeply_or_without_end_is_refused_early(good, tmp_path, field, value) -> None:
    refusal(stored(good | {field: value}, tmp_path / "run.state"))


def test_a_deep_nest_written_by_hand_is_refused(good, tmp_path) -> None:
    source, deep = io.BytesIO(), b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b"."
    torch.save(good, source)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "run.state", "w") as new:
        for name in old.namelist():
            new.writestr(name, deep if name.endswith("data.pkl") else old.read(name))
    refusal(tmp_path / "run.state")


def test_a_state_of_many_megabytes_is_refused_before_it_is_read(good, tmp_path, monkeypatch) -> None:
    file = stored(good, tmp_path / "run.state")
    with file.open("r+b") as stream:
        stream.truncate(2**33)  # a hole: nothing on the disk
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read"))
    assert "has 8,589,934,592 bytes, this training's at most" in refusal(file)


def test_an_archive_that_grows_as_it_is_unpacked_is_refused(tmp_path) -> None:
    source = io.BytesIO()
    torch.save({"head": torch.zeros(2**22)}, source)
    with (
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(tmp_path / "run.state", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert "no compressed archive" in refusal(tmp_path / "run.state")


def test_a_folder_and_a_pipe_are_refused(tmp_path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("link")
    assert "it is a folder" in refusal(tmp_path / "folder")
    assert "not a regular file" in refusal(tmp_path / "pipe")
    assert "cannot be read" in refusal(tmp_path / "link")


def test_the_state_of_another_training_keeps_its_own_error(good, tmp_path) -> None:
    other = good | {"training": good["training"] | {"seed": 5}}
    assert "(seed differ)" in refusal(stored(other, tmp_path / "run.state", signed=True), OptionError)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path) -> None:
    own = run(learning_rate=1e30)
    own.advance()
    own.save(tmp_path / "run.state")
    with pytest.raises(OptionError, match=r"finite loss: got (nan|inf) at step 2; lower the learning rate"):
        own.advance()
    assert own.step == 1


def test_only_one_training_uses_a_state_file(tmp_path) -> None:
    own = run()
    watch = Watch(state=tmp_path / "run.state")
    with (
        only_training(tmp_path / "run.state"),
        pytest.raises(
            OutputError, match=r"another program is training with .*run\.state; wait until it ends"
        ),
    ):
        train_head(own.tokens, np.repeat(np.arange(6), 3), window_head(4, (2,)), watch=watch, progress=False)
    train_head(
        own.tokens, np.repeat(np.arange(6), 3), window_head(4, (2,)), schedule=SCHEDULE, watch=watch, progress=False
    )  # fmt: skip
    assert (tmp_path / "run.state").exists()


def test_the_digest_tells_types_shapes_and_order_apart() -> None:
    values = [1, 1.0, True, "1", None, [1], (1,), {1: 1}, [[1]], torch.ones(1), torch.ones(1, 1), torch.ones(1).int(),
              {"a": 1, "b": 2}, {"b": 2, "a": 1}, ["a", "b"], ["ab"]]  # fmt: skip
    assert len({content_digest(value) for value in values}) == len(values)
    assert content_digest(copy.deepcopy(values)) == content_digest(values)


# ---- trainings that diverge, and names of states ----------------------------------------------


class Ended(Exception):
    """In place of a kill."""


def ended_after(steps: int) -> Callable[[TrainingStep], None]:
    def report(now: TrainingStep) -> None:
        if now.step == steps:
            raise Ended

    return report


def trained(
    state: Path | str | None, *, rate: float = 3.5e-4, report: Callable[[TrainingStep], None] | None = None
) -> dict[str, torch.Tensor]:
    """Weights after six steps, saved at each."""
    head, own = window_head(4, (2,), seed=1), run()
    schedule = Schedule(6, rate, check_every=1)
    train_head(own.tokens, np.repeat(np.arange(6), 3), head, seed=1, schedule=schedule,
               watch=Watch(report=report, state=state), progress=False)  # fmt: skip
    return head.state_dict()


@pytest.mark.parametrize("rate", [1e10, 1e20, 1e38, 1e300])
@pytest.mark.parametrize("has_state", [True, False])
def test_a_training_that_diverges_says_so_and_leaves_nothing_that_is_no_number(
    tmp_path, rate: float, has_state: bool
) -> None:
    file = tmp_path / "run.state" if has_state else None
    for _ in range(2):  # the second goes on from what the first left
        with pytest.raises(OptionError, match=r"a training needs .*finite.*; lower the learning rate"):
            trained(file, rate=rate)
        if has_state and file.exists():
            kept = torch.load(file, weights_only=True)
            assert all(value.isfinite().all() for value in kept["head"].values())


def test_a_state_is_not_replaced_by_one_with_moments_that_are_no_numbers(tmp_path) -> None:
    own, file = run(), tmp_path / "run.state"
    own.advance()
    own.check_finite()
    own.save(file)
    next(iter(own._optimiser.state.values()))["exp_avg_sq"].fill_(torch.inf)
    with pytest.raises(
        OptionError, match=r"optimiser\.state\.0\.exp_avg_sq holds NaN or infinity after step 1;"
    ):
        own.check_finite()


def names_of_one_file(folder: Path) -> dict[str, Path | str]:
    """As a user may give it, from the folder, which is also the home."""
    (folder / "linked").symlink_to(folder / "run.state")
    (folder / "sub").mkdir()
    return {
        "text": str(folder / "run.state"), "relative": Path("run.state"), "relative text": "sub/../run.state",
        "home": Path("~/run.state"), "home text": "~/run.state", "link": folder / "linked",
    }  # fmt: skip


def test_a_training_goes_on_from_its_state_however_the_file_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    whole = trained(None)
    names = names_of_one_file(tmp_path)
    for first, second in zip(names, [*names][1:] + [*names][:1], strict=True):
        (tmp_path / "run.state").unlink(missing_ok=True)
        with pytest.raises(Ended):
            trained(names[first], report=ended_after(4))
        steps: list[int] = []
        found = trained(names[second], report=lambda now, steps=steps: steps.append(now.step))
        assert steps == [5, 6], (first, second)
        assert all(torch.equal(found[key], whole[key]) for key in whole)


def test_two_hard_links_of_a_state_go_their_own_ways(tmp_path) -> None:
    with pytest.raises(Ended):
        trained(tmp_path / "a.state", report=ended_after(4))
    (tmp_path / "b.state").hardlink_to(tmp_path / "a.state")
    before = (tmp_path / "b.state").read_bytes()
    found, whole = trained(tmp_path / "a.state"), trained(None)
    assert (tmp_path / "b.state").read_bytes() == before
    assert all(torch.equal(found[key], whole[key]) for key in whole)


def test_a_state_of_a_module_for_each_modality_may_be_text() -> None:
    assert state_file("runs/a.state", "NI") == Path("runs/a_NI.state")
    assert state_file("a.state", "shared") == "a.state"
    assert state_file(None, "NI") is None
