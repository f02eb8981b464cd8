"""A folder of kept tokens: whatever happens to it, tokens are those of the images, weights and scales asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import shutil
import time
import warnings
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.disks import mounted_disk
from support.killing import Attempts, attempts, needs_fork
from support.tiny import SIZE, tiny_model

from mswin_viz.analysis.experiments import sample_tokens as module
from mswin_viz.analysis.experiments.sample_tokens import sample_tokens
from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.sample import Sample
from mswin_viz.data.storage import destinations, temporary_folders
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.data.storage.stored_arrays import _hash_of_value, array_record, stored_array
from mswin_viz.errors import OutputError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.training import stored_tokens
from mswin_viz.model.training.labelled_tokens import LabelledTokens

ALL = ("RGB", "NI", "TI")


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model(addon=False)


def picture(file: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    return file


def people(folder: Path, n: int = 3, names: Sequence[str] = ALL) -> list[Sample]:
    """Two shots of each identity, every picture another."""
    folder.mkdir(exist_ok=True)
    return [
        Sample(
            1 + at // 2,
            1 + at % 2,
            {name: picture(folder / f"{name}_{at}.png", 10 * at + i) for i, name in enumerate(names)},
        )
        for at in range(n)
    ]


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return people(tmp_path / "images")


@pytest.fixture
def kept(tmp_path: Path, model: Model, samples: list[Sample]) -> Path:
    """A folder with the tokens of the samples."""
    tokens_of(model, samples, tmp_path / "kept")
    return tmp_path / "kept"


def tokens_of(model: Model, samples: Sequence[Sample], folder: Path | None) -> LabelledTokens:
    return sample_tokens(model, samples, folder=folder, progress=False).world


def entry(folder: Path) -> Path:
    (found,) = folder.glob("tokens-*")
    return found


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def check_right(found: LabelledTokens, model: Model, samples: Sequence[Sample]) -> None:
    """The tokens are those of the images, encoded without a folder."""
    wanted = tokens_of(model, samples, None)
    assert list(found.tokens) == list(wanted.tokens)
    assert found.pids.tolist() == wanted.pids.tolist()
    for name, tokens in wanted.tokens.items():
        assert found.tokens[name].grid == tokens.grid
        torch.testing.assert_close(found.tokens[name].cls, tokens.cls, rtol=0, atol=0)
        torch.testing.assert_close(found.tokens[name].patches, tokens.patches, rtol=0, atol=0)


@contextlib.contextmanager
def nothing_encoded() -> Iterator[None]:
    def refused(*_, **__):
        raise AssertionError("nothing is to be encoded")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "encoded_batch", refused)
        yield


def check_rebuilt(model: Model, samples: Sequence[Sample], folder: Path, reason: str) -> None:
    """Right tokens, one warning with the reason; then they are read in silence."""
    with pytest.warns(UserWarning, match=f"cannot be used and are computed again: .*{reason}") as said:
        found = tokens_of(model, samples, folder)
    assert len(said) == 1
    check_right(found, model, samples)
    with nothing_encoded():
        found = tokens_of(model, samples, folder)
    check_right(found, model, samples)


def saved(array: np.ndarray) -> bytes:
    stream = BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def edited(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[bytes], bytes]:
    return lambda content: saved(change(np.load(BytesIO(content))))


def with_nan(array: np.ndarray) -> np.ndarray:
    array[1, 2] = np.nan
    return array


# ---- damage ---------------------------------------------------------------------------------

DAMAGED_ARRAYS = {
    "cut": (lambda content: content[:-40], "RGB_patches.npy has"),
    "cut and padded": (lambda content: content[:-40] + bytes(40), "does not hold what was written"),
    "longer": (lambda content: content + bytes(4), "RGB_patches.npy has"),
    "empty": (lambda content: b"", "RGB_patches.npy has 0 bytes"),
    "missing": (None, "RGB_patches.npy is missing"),
    "double": (edited(lambda array: array.astype(np.float64)), "RGB_patches.npy has"),
    "integers": (edited(lambda array: array.astype(np.int32)), "does not hold what was written"),
    "half": (edited(lambda array: array.astype(np.float16)), "RGB_patches.npy has"),
    "big-endian": (edited(lambda array: array.astype(">f4")), "does not hold what was written"),
    "NaN": (edited(with_nan), "does not hold what was written"),
    "zeros": (edited(np.zeros_like), "does not hold what was written"),
    "rows and columns swapped": (edited(lambda array: array.reshape(3, 2, 6, 10)), "RGB_patches.npy"),
    "images swapped": (edited(lambda array: array[::-1].copy()), "does not hold what was written"),
    "columns first": (edited(np.asfortranarray), "does not hold what was written"),
    "one image fewer": (edited(lambda array: array[:2]), "RGB_patches.npy has"),
    "no array": (lambda content: b"x" * len(content), "does not hold what was written"),
}


@pytest.mark.parametrize("damage", DAMAGED_ARRAYS)
def test_a_damaged_array_is_computed_anew_and_said_once(kept, model, samples, damage) -> None:
    change, reason = DAMAGED_ARRAYS[damage]
    file = entry(kept) / "RGB_patches.npy"
    content = file.read_bytes()
    file.unlink()
    if change is not None:
        file.write_bytes(change(content))
    check_rebuilt(model, samples, kept, reason)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_instead_of_an_array_is_not_waited_for(kept, model, samples) -> None:
    file = entry(kept) / "TI_cls.npy"
    file.unlink()
    os.mkfifo(file)
    check_rebuilt(model, samples, kept, "TI_cls.npy is not a regular file")


def test_arrays_of_another_modality_are_not_read(kept, model, samples) -> None:
    shutil.copy(entry(kept) / "NI_patches.npy", entry(kept) / "TI_patches.npy")
    check_rebuilt(model, samples, kept, "TI_patches.npy does not hold what was written")


DAMAGED_INDICES = {
    "missing": None,
    "empty": "",
    "half": '{"format": 2, "key',
    "a list": "[]",
    "null": "null",
    "no keys": "{}",
    "not finite": '{"dim": NaN}',
    "nested": "[" * 100_000,
    "binary": "\0\0",
}


@pytest.mark.parametrize("damage", DAMAGED_INDICES)
def test_tokens_without_a_good_index_are_computed_anew(kept, model, samples, damage) -> None:
    file = entry(kept) / "index.json"
    file.unlink()
    if DAMAGED_INDICES[damage] is not None:
        file.write_text(DAMAGED_INDICES[damage])
    check_rebuilt(model, samples, kept, "the index")


CHANGED = {
    "format": 3,
    "key": "0" * 32,
    "images": [],
    "modalities": ["RGB"],
    "grid": [2, 6],
    "dim": 11,
    "filling": {"kept": [0, 1], "failed": [{"sample": 2, "modality": "RGB", "reason": ""}], "notes": []},
    "arrays": {},
}


@pytest.mark.parametrize("is_hashed", [False, True], ids=["as it is", "with a hash that fits"])
@pytest.mark.parametrize("name", CHANGED)
def test_an_index_that_was_changed_is_not_believed(kept, model, samples, name, is_hashed) -> None:
    file = entry(kept) / "index.json"
    index = json.loads(file.read_text())
    index[name] = CHANGED[name]
    if is_hashed and name != "filling":
        index["blake2b"] = _hash_of_value({key: index[key] for key in index if key != "blake2b"})
    file.write_text(json.dumps(index))
    check_rebuilt(model, samples, kept, "the index")


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_change_of_bytes_anywhere_gives_other_tokens(kept, model, samples, data) -> None:
    file = data.draw(st.sampled_from(sorted(entry(kept).iterdir())))
    content = bytearray(file.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    content[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    file.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_right(tokens_of(model, samples, kept), model, samples)


# ---- what is asked for ----------------------------------------------------------------------


def test_tokens_of_three_modalities_are_not_read_for_one(kept, model, samples) -> None:
    fewer = [Sample(s.pid + 10, s.camid, {"RGB": s.images["RGB"]}) for s in samples]
    found = tokens_of(model, fewer, kept)
    assert list(found.tokens) == ["RGB"]
    check_right(found, model, fewer)
    assert names_in(entry(kept)) == ["RGB_cls.npy", "RGB_patches.npy", "index.json"]
    check_right(tokens_of(model, samples, kept), model, samples)


def test_files_that_are_taken_for_another_modality_are_encoded_again(tmp_path, model) -> None:
    near = people(tmp_path / "images", names=("NI",))
    thermal = [Sample(s.pid, s.camid, {"TI": s.images["NI"]}) for s in near]
    tokens_of(model, near, tmp_path / "kept")
    assert list(tokens_of(model, thermal, tmp_path / "kept").tokens) == ["TI"]


@pytest.mark.parametrize("change", ["order", "fewer", "file", "scales", "weights"])
def test_tokens_of_anything_else_are_replaced(kept, model, samples, change) -> None:
    options, other = {}, model
    before = entry(kept).name
    if change == "order":
        samples = samples[::-1]
    elif change == "fewer":
        samples = samples[1:]
    elif change == "file":
        picture(samples[1].images["TI"], 99)
    elif change == "scales":
        options["scales"] = (2, 4)
    else:
        other = tiny_model(addon=False, seed=4)
    found = sample_tokens(other, samples, folder=kept, progress=False, **options).world
    assert entry(kept).name != before
    if not options:
        check_right(found, other, samples)
    assert found.tokens["NI"].grid == ((1, 4) if options else (6, 2))


def test_tokens_that_are_mapped_stay_when_others_replace_them(kept, model, samples) -> None:
    with nothing_encoded():
        mapped = tokens_of(model, samples, kept)
    tokens_of(model, samples[:2], kept)
    check_right(mapped, model, samples)


def test_changes_to_tokens_never_reach_the_files(tmp_path, model, samples) -> None:
    for _ in range(2):
        tokens_of(model, samples, tmp_path / "kept").tokens["RGB"].patches.zero_()
    check_right(tokens_of(model, samples, tmp_path / "kept"), model, samples)


def test_files_that_change_while_they_are_encoded_are_used_and_not_kept(
    tmp_path, model, samples, monkeypatch
) -> None:
    encode = module._encoded

    def slow(*args, **options):
        filling = encode(*args, **options)
        picture(samples[0].images["NI"], 77)
        return filling

    monkeypatch.setattr(module, "_encoded", slow)
    with pytest.warns(UserWarning, match=r"not kept in .*kept: files changed while they were encoded"):
        found = tokens_of(model, samples, tmp_path / "kept")
    assert len(found) == 3
    assert found.tokens["NI"].patches.abs().sum(dim=(1, 2)).min() > 0
    assert names_in(tmp_path / "kept") == []
    monkeypatch.undo()
    check_right(tokens_of(model, samples, tmp_path / "kept"), model, samples)


def test_a_sample_with_tokens_that_are_not_finite_is_left_out_each_time(
    tmp_path, model, samples, monkeypatch
) -> None:
    encode = module.encoded_batch

    def broken(model, sources, tags):
        batch = encode(model, sources, tags)
        if tags[0].modality == "NI":
            batch.tokens.patches[1, 3, 2] = np.inf
        return batch

    monkeypatch.setattr(module, "encoded_batch", broken)
    for _ in range(2):
        world, left_out = sample_tokens(model, samples, folder=tmp_path / "kept", progress=False)
        assert (left_out[0].path, left_out[0].reason) == (
            *(samples[1].images["NI"], "the model gave it tokens that are not finite"),
        )
        assert world.pids.tolist() == [1, 2]
    monkeypatch.undo()
    for name, whole in tokens_of(model, samples, None).tokens.items():
        assert torch.equal(world.tokens[name].patches, whole.patches[[0, 2]])


def test_a_file_that_is_gone_leaves_its_sample_out(tmp_path, model, samples) -> None:
    samples[2].images["TI"].unlink()
    for _ in range(2):
        world, left_out = sample_tokens(model, samples, folder=tmp_path / "kept", progress=False)
        assert len(world) == 2
        assert left_out[0].path == samples[2].images["TI"]


@pytest.mark.skipif(os.name == "nt", reason="names that are not Unicode")
def test_names_that_are_not_unicode_are_kept_too(tmp_path, model) -> None:
    samples = people(tmp_path / "caf\udce9 ä\n")
    broken, lying = (tmp_path / f"{name}\udce9.png" for name in ("broken", "lying"))
    broken.write_bytes(b"nothing")
    Image.new("RGB", (90, 20)).save(lying)
    samples[0].images["NI"], samples[1].images["NI"] = broken, lying
    said = r"strongly distorted.*lying\\udce9\.png"
    with pytest.warns(UserWarning, match=said):
        first, left_out = sample_tokens(model, samples, folder=tmp_path / "kept", progress=False)
    with nothing_encoded(), pytest.warns(UserWarning, match=said):
        again = sample_tokens(model, samples, folder=tmp_path / "kept", progress=False)
    assert again.left_out == left_out
    assert torch.equal(again.world.tokens["NI"].patches, first.tokens["NI"].patches)


# ---- the folder -----------------------------------------------------------------------------


def version_1(folder: Path) -> None:
    """Files as the first version left them, of other people."""
    folder.mkdir(exist_ok=True)
    for name in ALL:
        np.save(folder / f"{name}_cls.npy", np.zeros((5, 10), np.float32))
        np.save(folder / f"{name}_patches.npy", np.zeros((5, 12, 10), np.float32))
    index = {"key": "0" * 32, "kept": [0, 1], "failed": [], "grid": [6, 2], "notes": []}
    (folder / "index.json").write_text(json.dumps(index))


def test_files_of_the_first_version_are_replaced(tmp_path, model, samples) -> None:
    version_1(tmp_path / "kept")
    check_rebuilt(
        model, samples, tmp_path / "kept", "it holds RGB_cls.npy, .* of an earlier version.* replaced"
    )
    assert names_in(tmp_path / "kept") == [entry(tmp_path / "kept").name]


def test_files_that_only_look_like_the_first_version_are_named_and_left_alone(
    tmp_path, model, samples
) -> None:
    version_1(tmp_path / "kept")
    (tmp_path / "kept" / "index.json").write_text('{"mine": 1}')
    before = names_in(tmp_path / "kept")
    check_rebuilt(model, samples, tmp_path / "kept", "they can be deleted")
    assert set(before) < set(names_in(tmp_path / "kept"))


def test_nothing_but_tokens_is_deleted(kept, model, samples, tmp_path) -> None:
    stranger = f"tokens-{'0' * 32}"
    (kept / stranger).mkdir()
    (kept / stranger / "thesis.txt").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "RGB_cls.npy").write_text("mine")
    (kept / f"tokens-{'1' * 32}").symlink_to(tmp_path / "elsewhere")
    (kept / "tokens-old").mkdir()
    (kept / "tokens-old" / "RGB_cls.npy").write_text("mine")
    (kept / "notes.txt").write_text("mine")
    tokens_of(model, samples[:2], kept)
    for name in (f"{stranger}/thesis.txt", "tokens-old/RGB_cls.npy", "notes.txt"):
        assert (kept / name).read_text() == "mine"
    assert (tmp_path / "elsewhere" / "RGB_cls.npy").read_text() == "mine"


def test_a_damaged_entry_with_other_files_in_it_is_not_replaced(kept, model, samples) -> None:
    (entry(kept) / "thesis.txt").write_text("mine")
    (entry(kept) / "RGB_cls.npy").unlink()
    with (
        pytest.warns(UserWarning, match="missing"),
        pytest.raises(OutputError, match=r"is taken by thesis\.txt; move"),
    ):
        tokens_of(model, samples, kept)
    assert (entry(kept) / "thesis.txt").read_text() == "mine"


def test_a_file_in_the_place_of_an_entry_is_not_replaced(kept, model, samples) -> None:
    place = entry(kept)
    shutil.rmtree(place)
    place.write_text("mine")
    with nothing_encoded(), pytest.raises(OutputError, match="a token cache needs a folder of its own"):
        tokens_of(model, samples, kept)
    assert place.read_text() == "mine"


def test_an_index_of_the_users_own_in_the_folder_is_no_fault(tmp_path, model, samples) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "index.json").write_text("{}")
    tokens_of(model, samples, tmp_path / "kept")
    assert (tmp_path / "kept" / "index.json").read_text() == "{}"


def test_what_a_killed_program_left_goes_when_tokens_are_next_written(kept, model, samples) -> None:
    left = kept / f".tokens-{'a' * 32}.01234567.unfinished"
    left.mkdir()
    (left / "RGB_cls.npy").write_bytes(b"half")
    tokens_of(model, samples[:2], kept)
    assert not left.exists()


def test_the_folder_may_be_in_the_home(tmp_path, model, samples, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tokens_of(model, samples, Path("~/deep/kept"))
    with nothing_encoded():
        check = tokens_of(model, samples, tmp_path / "deep" / "kept")
    check_right(check, model, samples)


def test_a_complete_copy_is_read_without_a_permission_to_write(kept, model, samples, monkeypatch) -> None:
    copy = shutil.copytree(kept, kept.with_name("copy"), ignore=lambda *_: [".tokens.lock"])

    def read_only(path, *_, **__):
        raise OutputError(f"{path} cannot be written")

    for name in ("locked", "new_folder"):
        monkeypatch.setattr(stored_tokens, name, read_only)
    with nothing_encoded():
        found = tokens_of(model, samples, copy)
    check_right(found, model, samples)


@pytest.mark.parametrize(
    "place", ["file", "file/below", "a\0b", pytest.param("/proc/kept", marks=needs_fork)]
)
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_encoded(
    tmp_path, model, samples, place
) -> None:
    (tmp_path / "file").write_text("mine")
    with nothing_encoded(), pytest.raises(OutputError, match=r"output (must be writable|needs a valid path)"):
        tokens_of(model, samples, Path(f"{tmp_path}/{place}" if place[0] != "/" else place))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_disk_without_room_is_refused_before_anything_is_encoded(kept, model, samples, monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 999, 999)
    monkeypatch.setattr(destinations.shutil, "disk_usage", lambda _: usage)
    with nothing_encoded(), pytest.raises(OutputError) as problem:
        tokens_of(model, samples[:2], kept)
    n_bytes = 3 * 2 * (1 + 12) * 10 * 4
    assert f"tokens of 2 samples need {n_bytes:,} bytes: {kept} has 999 free" in str(problem.value)
    monkeypatch.undo()
    with nothing_encoded():
        found = tokens_of(model, samples, kept)
    check_right(found, model, samples)


def test_space_that_cannot_be_reserved_is_refused_with_its_bytes(kept, model, samples, monkeypatch) -> None:
    def full(handle: int, start: int, n_bytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    before = names_in(kept)
    with nothing_encoded(), pytest.raises(OutputError, match=r"kept.*No space left on device: 80 bytes"):
        tokens_of(model, samples[:2], kept)
    assert names_in(kept) == before


def test_tokens_that_cannot_be_finished_are_used_and_not_lost(kept, model, samples, monkeypatch) -> None:
    def full(file: Path, index: object) -> None:
        raise OutputError(f"{file} cannot be written (No space left on device)")

    monkeypatch.setattr(stored_tokens, "write_index", full)
    before = names_in(kept)
    with pytest.warns(UserWarning, match=r"used but not kept in .*kept: .*No space left"):
        found = tokens_of(model, samples[:2], kept)
    check_right(found, model, samples[:2])
    assert names_in(kept) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    with mounted_disk(tmp_path / "disk", "64k") as place:
        yield place


def test_a_disk_that_is_full_ends_in_an_error_and_not_the_program(small_disk, model, tmp_path) -> None:
    samples = people(tmp_path / "images", 50)
    with nothing_encoded(), pytest.raises(OutputError, match=r"need 78,000 bytes: .*disk has"):
        tokens_of(model, samples, small_disk)
    assert names_in(small_disk) == []
    check_right(tokens_of(model, samples[:9], small_disk), model, samples[:9])


def test_many_tokens_without_a_folder_go_to_a_temporary_one_with_room(
    model, samples, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 100)
    monkeypatch.setattr(temporary_folders.tempfile, "tempdir", str(tmp_path))
    check_right(tokens_of(model, samples, None), model, samples)
    assert list(tmp_path.rglob("*.npy")) == []
    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 999, 999)
    monkeypatch.setattr(destinations.shutil, "disk_usage", lambda _: usage)
    with (
        nothing_encoded(),
        pytest.raises(OutputError, match=r"need 4,680 bytes: .* has 999 free; set TMPDIR"),
    ):
        tokens_of(model, samples, None)


# ---- several programs, and programs that are killed -------------------------------------------


def test_another_program_that_writes_is_waited_for_said_once_and_its_tokens_read(
    kept, model, samples, tmp_path, monkeypatch
) -> None:
    finished, waiting = shutil.copytree(entry(kept), tmp_path / "finished"), stored_tokens._say_waiting
    place = entry(kept)
    shutil.rmtree(place)
    with contextlib.ExitStack() as other:
        other.enter_context(locked(kept / "tokens", busy=""))

        def said(folder: Path) -> None:
            waiting(folder)
            finished.rename(place)
            other.close()

        monkeypatch.setattr(stored_tokens, "_say_waiting", said)
        with nothing_encoded(), pytest.warns(UserWarning, match="another program is writing tokens") as told:
            found = tokens_of(model, samples, kept)
    assert len(told) == 1
    check_right(found, model, samples)


SETUP = """
import os, shutil, sys, warnings
sys.path.insert(0, {tests!r})
import torch
from pathlib import Path
from analysis.test_stored_tokens import check_right, people, tokens_of
from support.tiny import tiny_model
from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.sample import Sample
warnings.simplefilter("ignore")
torch.set_num_threads(1)
model, images = tiny_model(addon=False), Path("images")
if not images.exists():
    people(images, 4)
every = [
    [  # of the same files: all, one modality alone, other people
        Sample(1 + at // 2, 1 + at % 2, dict((name, images / f"{{name}}_{{at}}.png") for name in names))
        for at in order
    ]
    for names, order in ((("RGB", "NI", "TI"), range(4)), (("RGB",), range(4)), (("RGB", "NI", "TI"), (3, 1)))
]
for some in every:
    tokens_of(model, some, None)

def use(which):
    check_right(tokens_of(model, every[which], Path("kept")), model, every[which])

def together(*which):
    children = []
    for one in which:
        child = os.fork()
        if not child:
            try:
                use(one)
                os._exit(0)
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """The folder of images and of kept tokens."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def program(place: Path) -> Iterator[Attempts]:
    """A program with ``use(which)``: tokens from one folder for one of three sets, compared with fresh ones."""
    with attempts(SETUP.format(tests=str(Path(__file__).parents[1])), cwd=place) as program:
        yield program


def renewed(program: Attempts, folder: Path, **moment: float) -> bool:
    """Kill a program that renews the folder for a changed file, renew it again, and bring the old file back.

    ``use`` fails in the program where a value is wrong.
    """
    file, old = folder / "images" / "NI_1.png", folder / "old.png"
    assert not program.run("use(0)")
    shutil.copy2(file, old)
    picture(file, 1000)
    was_killed = program.run("use(0)", **moment)
    assert not program.run("use(0)"), "tokens of the file that they were renewed for"
    old.replace(file)
    assert not program.run("use(0)"), "tokens of the old file"
    return was_killed


@needs_fork
def test_a_program_killed_while_it_renews_tokens_never_leaves_wrong_ones(program, place) -> None:
    killed = [renewed(program, place, events=events) for events in (0, 5, 15, 25, 40, 50, 60, 70)]
    assert sum(killed) >= 6, "there are moments between the first operation and the last"


@needs_fork
def test_two_programs_with_one_folder_each_get_their_tokens(program) -> None:
    for which in ((0, 0), (0, 1), (1, 2)):
        assert not program.run(f"together{which}")
        for one in which:
            assert not program.run(f"use({one})")


@pytest.mark.torture
@needs_fork
def test_a_program_killed_at_every_operation_never_leaves_wrong_tokens(program, place) -> None:
    n_tried = 0
    while renewed(program, place, events=n_tried):
        n_tried += 1
    assert n_tried >= 40
    print(f"tried {n_tried}, right {n_tried}")


@pytest.mark.torture
@needs_fork
def test_a_program_killed_after_forty_times_never_leaves_wrong_tokens(program, place) -> None:
    killed = [renewed(program, place, seconds=0.012 * at) for at in range(40)]
    assert sum(killed) >= 20
    print(f"tried {len(killed)}, killed {sum(killed)}, right {len(killed)}")


@pytest.mark.torture
@needs_fork
@pytest.mark.parametrize("which", [(0, 0), (0, 1), (0, 2), (1, 2, 0)], ids=str)
def test_programs_with_one_folder_get_their_tokens_ten_times(program, place, which) -> None:
    for _ in range(10):
        shutil.rmtree(place / "kept", ignore_errors=True)
        assert not program.run(f"together{which}")
        for one in which:
            assert not program.run(f"use({one})")


# ---- sources --------------------------------------------------------------------------------


def whole_of(file: Path) -> bytes:
    return file.read_bytes()


IN_ANY_FORM: dict[str, Callable[[Path], object]] = {
    "a PIL image": lambda file: Image.open(file).copy(),
    "a PIL image of a file": Image.open,
    "an array": lambda file: np.asarray(Image.open(file)),
    "bytes": whole_of,
    "a stream": lambda file: BytesIO(whole_of(file)),
    "text": str,
    "a crop": lambda file: Crop(file, (2, 3, 12, 40)),
    "the text of a crop": lambda file: str(Crop(file, (2, 3, 12, 40))),
}


def in_form(samples: Sequence[Sample], form: Callable[[Path], object]) -> list[Sample]:
    return [
        dataclasses.replace(one, images={name: form(file) for name, file in one.images.items()})
        for one in samples
    ]


@pytest.mark.parametrize("form", IN_ANY_FORM)
def test_pictures_in_any_form_are_kept_and_read_again(tmp_path, model, samples, form) -> None:
    check_right(tokens_of(model, in_form(samples, IN_ANY_FORM[form]), tmp_path / "kept"), model,
                in_form(samples, IN_ANY_FORM[form]))  # fmt: skip
    with nothing_encoded():
        found = tokens_of(model, in_form(samples, IN_ANY_FORM[form]), tmp_path / "kept")
    check_right(found, model, in_form(samples, IN_ANY_FORM[form]))


@pytest.mark.parametrize("form", IN_ANY_FORM)
def test_another_picture_in_the_same_place_is_encoded_again(tmp_path, model, samples, form) -> None:
    tokens_of(model, in_form(samples, IN_ANY_FORM[form]), tmp_path / "kept")
    picture(samples[1].images["NI"], 500)
    others = in_form(samples, IN_ANY_FORM[form])
    check_right(tokens_of(model, others, tmp_path / "kept"), model, in_form(samples, IN_ANY_FORM[form]))


def test_another_part_of_a_file_is_encoded_again(tmp_path, model, samples) -> None:
    for left in (1, 4):
        parts = in_form(samples, lambda file, left=left: Crop(file, (left, 3, left + 9, 40)))
        check_right(tokens_of(model, parts, tmp_path / "kept"), model, parts)


def test_a_file_replaced_by_another_of_its_size_and_time_is_encoded_again(tmp_path, model) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    samples = [Sample(1, at, {"RGB": picture(folder / f"{at}.bmp", at)}) for at in range(2)]  # BMP: one size
    tokens_of(model, samples, tmp_path / "kept")
    file = samples[1].images["RGB"]
    before = file.stat()
    picture(file, 500)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    check_right(tokens_of(model, samples, tmp_path / "kept"), model, samples)


def test_a_picture_in_memory_that_cannot_be_read_leaves_its_sample_out(tmp_path, model, samples) -> None:
    broken = [*samples, Sample(9, 1, {**samples[0].images, "TI": b"no picture"})]
    for _ in range(2):
        found = sample_tokens(model, broken, folder=tmp_path / "kept", progress=False)
        assert found.world.pids.tolist() == [one.pid for one in samples]
        assert [failure.path for failure in found.left_out] == [b"no picture"]


# ---- what goes wrong after or beside the work ---------------------------------------------------


def test_tokens_whose_folder_is_deleted_when_they_are_done_are_used_and_not_lost(
    tmp_path, model, samples, monkeypatch
) -> None:
    monkeypatch.setattr(stored_tokens, "remove_others", lambda folder, key: shutil.rmtree(folder))
    with pytest.warns(UserWarning, match=r"the tokens are used but not kept in .*: they are gone again"):
        found = tokens_of(model, samples, tmp_path / "kept")
    check_right(found, model, samples)


def test_tokens_whose_folder_is_deleted_while_they_are_encoded_are_used_and_not_lost(
    tmp_path, model, samples, monkeypatch
) -> None:
    real = module.encoded_batch

    def deleting(*given):
        shutil.rmtree(tmp_path / "kept", ignore_errors=True)
        return real(*given)

    monkeypatch.setattr(module, "encoded_batch", deleting)
    with pytest.warns(UserWarning, match="tokens are used but not kept"):
        found = tokens_of(model, samples, tmp_path / "kept")
    monkeypatch.undo()
    check_right(found, model, samples)


def test_an_error_while_encoding_is_not_taken_for_one_of_the_folder(
    tmp_path, model, samples, monkeypatch
) -> None:
    problem = BrokenPipeError(errno.EPIPE, "Broken pipe")

    def broken(*_):
        raise problem

    monkeypatch.setattr(module, "encoded_batch", broken)
    with pytest.raises(BrokenPipeError) as caught:
        tokens_of(model, samples, tmp_path / "kept")
    assert caught.value is problem
    assert names_in(tmp_path / "kept") == []


def test_a_copy_a_move_and_a_link_of_the_folder_are_read(kept, model, samples, tmp_path) -> None:
    shutil.copytree(kept, tmp_path / "copy", copy_function=shutil.copyfile)  # with other times
    kept.rename(tmp_path / "moved")
    (tmp_path / "link").symlink_to(tmp_path / "moved")
    with nothing_encoded():
        for name in ("copy", "moved", "link"):
            assert list(tokens_of(model, samples, tmp_path / name).tokens) == list(ALL)


def test_images_that_were_moved_are_encoded_again(kept, model, samples, tmp_path) -> None:
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    moved = in_form(samples, lambda file: tmp_path / "elsewhere" / file.name)
    check_right(tokens_of(model, moved, kept), model, moved)


def test_tokens_are_read_where_the_working_folder_is_gone(
    kept, model, samples, tmp_path, monkeypatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with nothing_encoded():
        tokens_of(model, samples, kept)
    with pytest.raises(OutputError, match="needs a valid path"):
        tokens_of(model, samples, Path("kept"))


def test_headers_of_arrays_are_parsed_by_one_thread_at_a_time(tmp_path: Path, monkeypatch) -> None:
    """Python 3.11 raises a SystemError now and then where two threads parse text at once."""
    inside, met, mapped = [], [], np.lib.format.open_memmap

    def watched(file, **options):
        met.extend(inside)
        inside.append(file)
        time.sleep(0.002)
        try:
            return mapped(file, **options)
        finally:
            inside.remove(file)

    files = [tmp_path / f"{number}.npy" for number in range(8)]
    for number, file in enumerate(files):
        np.save(file, np.full(5, number, np.float32))
    records = [array_record(file) for file in files]
    monkeypatch.setattr(np.lib.format, "open_memmap", watched)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(stored_array, files, records))
    assert [array[0] for array in found] == list(range(8))
    assert met == []
