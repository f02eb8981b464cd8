"""Whatever a file or a pasted text holds, each reader reads it or refuses it in our words, soon, and none of it runs."""

from __future__ import annotations

import os
import random
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.functions_that_ran import functions_that_call, noted
from support.mutations import mutated
from support.readers import READERS
from support.refusals import MEBIBYTES, OF_PYTHON, memory
from support.running_pickles import harmful

import mswin_viz
from mswin_viz.errors import MswinVizError

PACKAGE = Path(mswin_viz.__file__).parent
READING = {
    "open", ".open", "os.open", ".read_text", ".read_bytes", "torch.load", "np.load", "json.loads", "json.load", "yaml.safe_load",
    "yaml.compose", "load_file", "safe_open", "pq.ParquetFile", "csv.reader", "csv.DictReader", "zipfile.ZipFile",
    "pickletools.genops", ".open_memmap", "np.memmap", "np.fromfile", "json_value", "read_json", "read_index", "read_table",
    "read_lines", "stored_array", ".literal_eval", ".fdopen", ".readlines", ".readinto", "io.open", "codecs.open", "mmap.mmap", "tarfile.open",
    "gzip.open", "bz2.open", "lzma.open", "np.loadtxt", "np.genfromtxt", "np.load_npz", "pd.read_csv", "pd.read_json", "pd.read_parquet",
    "pd.read_excel", "pd.read_table", "pd.read_feather", "pq.read_table", "pq.read_schema", "pq.read_metadata", "pa.memory_map", ".OSFile",
    ".open_file", ".open_stream", ".dataset", "csv.read_csv", "json.JSONDecoder", "tomllib.load", "tomllib.loads", "configparser.ConfigParser",
    "ET.parse", "ET.fromstring", "torch.from_file", "safetensors.deserialize", "load", "loads", "safe_load", "urlopen", ".urlopen",
    ".from_pretrained", "Image.open",
}  # fmt: skip
"""What reads files and texts, by its name or as it is called."""
NO_READERS = {
    "analysis/attribution/settings.py:_free_bytes": "the system's memory",
    "analysis/extraction/ray_engine.py:_closed_stderr": "writes nowhere",
    "analysis/extraction/shard_rows.py:__init__": "keeps arrays",
    "cli/jupyter.py:demo": "the notebook that comes along",
    "data/exports/faiss_index.py:write_faiss": "what it has just written",
    "data/images/decoder_messages.py:_c_file": "what decoders print",
    "data/images/decoder_messages.py:_sort": "what decoders print",
    "data/storage/file_writing.py:write_bytes": "writes",
    "data/storage/file_writing.py:new_file": "writes",
    "data/storage/file_writing.py:mapped_array": "writes",
    "data/storage/file_writing.py:mapped_tensors": "writes",
    "data/storage/file_writing.py:_flush": "writes",
    "data/storage/file_writing.py:_opened_special": "writes",
    "data/storage/shared_blocks.py:hand_over": "memory that processes share",
    "view/widgets/assets.py:style": "scripts that come along",
    "view/widgets/assets.py:_modules": "scripts that come along",
}
"""Functions that open files and read none of a user's -> what they do."""
NO_FILES = ("a pipe", "a link to itself", "a broken link", "a device without end", "a folder")
TEXTS = ("state of an explorer", "a store's rows under another hash")
"""Kinds whose content these tests themselves read."""
PATIENCE = 30  # seconds
SECONDS = 10  # of a processor
QUICK, WHOLE = 3, 32  # mutated files of each kind

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.skipif(
        not Path("/proc/self/clear_refs").exists(), reason="measures memory as Linux gives it"
    ),
]
EACH = pytest.mark.parametrize("kind", READERS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, dict[Path, bytes]]]:
    """A kind of file -> a good one, and everything that belongs to it; each is made once."""
    known: dict[str, tuple[Path, dict[Path, bytes]]] = {}

    def one(kind: str) -> tuple[Path, dict[Path, bytes]]:
        if kind not in known:
            folder = tmp_path_factory.mktemp("good")
            file = READERS[kind].make(folder)
            there = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            known[kind] = (file, there)
        return known[kind]

    return one


def put_back(there: dict[Path, bytes]) -> None:
    """Whatever a reader wrote anew or removed is as it was."""
    for path, content in there.items():
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def outcome(kind: str, file: Path, what: object) -> str:
    """What a reader said of a file; empty where it took it. It must be said by us, soon, and in little memory."""
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far begins anew
    before, began, said, refusal = memory("VmRSS"), time.process_time(), "", None
    try:
        READERS[kind].load(file)
    except MswinVizError as problem:
        refusal, said = problem, str(problem)
    except Exception as problem:
        raise AssertionError(f"{kind}, {what}: {problem!r} is no error of ours") from problem
    if refusal is not None:
        assert len(said) > 30, f"{kind}, {what}: {refusal!r} does not say what is wrong"
        assert "\n" not in said, f"{kind}, {what}: {said!r}"
        assert len(said) < 1200, f"{kind}, {what}: {said!r}"
        assert not OF_PYTHON.search(said), f"{kind}, {what}: {said!r}"
        said.encode()
    assert time.process_time() - began < SECONDS, f"{kind}, {what}"
    assert memory("VmHWM") - before < MEBIBYTES, f"{kind}, {what}"
    return said


def test_every_reader_of_the_package_reads_a_good_file_here(made) -> None:
    with noted(PACKAGE) as ran:
        for kind in READERS:
            file, there = made(kind)
            assert outcome(kind, file, "a good file") == ""
            put_back(there)
    wanted = {f"{one.file.relative_to(PACKAGE).as_posix()}:{one.name}": one for one in functions_that_call(READING, PACKAGE)}  # fmt: skip
    assert set(NO_READERS) <= set(wanted)
    assert [name for name, one in wanted.items() if name not in NO_READERS and not one.is_in(ran)] == []


@EACH
@pytest.mark.parametrize("share", ["quick", pytest.param("whole", marks=pytest.mark.torture)])
def test_a_mutated_file_is_read_or_refused(kind: str, share: str, made) -> None:
    file, there = made(kind)
    first, last = {"quick": (0, QUICK), "whole": (0, WHOLE)}[share]
    n_refused = 0
    for seed in range(first, last):
        file.write_bytes(mutated(there[file], random.Random(f"{kind} {seed}")))
        try:
            n_refused += outcome(kind, file, f"seed {seed}") != ""
        finally:
            put_back(there)
    print(f"{kind}: {n_refused} of {last - first} refused")


def put_in_its_place(file: Path, what: str) -> None:
    """Something that is no file, and for which a reader might wait."""
    file.unlink()
    if what == "a pipe":
        os.mkfifo(file)
    elif what == "a link to itself":
        file.symlink_to(file)
    elif what == "a broken link":
        file.symlink_to(file.with_name("nowhere"))
    elif what == "a device without end":
        file.symlink_to("/dev/zero")
    elif what == "a folder":
        file.mkdir()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [kind for kind in READERS if kind not in TEXTS])
@pytest.mark.parametrize("share", ["quick", pytest.param("whole", marks=pytest.mark.torture)])
def test_no_reader_waits_for_what_is_no_file(kind: str, share: str, made, tmp_path: Path) -> None:
    (file, there), quick = made(kind), random.Random(kind).choice(NO_FILES)
    for what in [quick] if share == "quick" else NO_FILES:
        put_in_its_place(file, what)
        said: list[object] = []
        reading = threading.Thread(
            target=lambda said=said, what=what: said.append(kept(kind, file, what)), daemon=True
        )
        reading.start()
        reading.join(PATIENCE)
        try:
            assert said, f"{kind}: it waits for {what}"
            assert not isinstance(said[0], BaseException), said[0]
            assert stat.S_ISCHR(os.stat("/dev/zero").st_mode), f"{kind}: the device itself was replaced"
        finally:
            file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink(missing_ok=True)
            put_back(there)


def kept(kind: str, file: Path, what: str) -> object:
    """What :func:`outcome` gives or raises."""
    try:
        return outcome(kind, file, what)
    except BaseException as problem:
        return problem


@EACH
@pytest.mark.parametrize("share", ["quick", pytest.param("whole", marks=pytest.mark.torture)])
def test_no_crafted_file_runs_code(kind: str, share: str, made, tmp_path: Path) -> None:
    (file, there), canary = made(kind), tmp_path / "canary"
    every = harmful(canary)
    names = list(every) if share == "whole" else random.Random(kind).sample(sorted(every), 5)
    for name in names:
        file.write_bytes(every[name])
        try:
            outcome(kind, file, name)
        finally:
            put_back(there)
        assert not canary.exists(), f"{kind}: {name}"
