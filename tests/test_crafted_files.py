"""The files that try to run code do so where a reader lets them, and the package has no such reader."""

from __future__ import annotations

import ast
import contextlib
import io
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from support.archive_writing import pickled
from support.functions_that_ran import functions_that_call
from support.running_pickles import CODE_THAT_RUNS, FORMS, TEXTS, WORTHLESS_ALONE, harmful

import mswin_viz

PACKAGE = Path(mswin_viz.__file__).parent
RUNS_CODE = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "torch.jit.load", "torch.package", "yaml.load", "yaml.load_all", "yaml.unsafe_load",
    "yaml.full_load", "yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader", "marshal.load", "marshal.loads", "shelve.open", "pd.read_pickle",
    "pandas.read_pickle", "joblib.load", "dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads", "eval", "exec", "compile", "os.system",
    "runpy.run_path", "torch.hub.load",
}  # fmt: skip
"""What runs what a file says, as it is called."""


class _Believing(pickle.Unpickler):
    """Takes whatever torch and TorchScript name for something that can be called and filled, and imports all else."""

    def find_class(self, module: str, name: str) -> Any:
        return _Anything if module.startswith(("torch", "__torch__")) else super().find_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        return None


class _Anything:
    def __init__(self, *_given: Any) -> None: ...


def _member(name: str) -> Callable[[bytes], object]:
    def read(file: bytes) -> object:
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            return _Believing(io.BytesIO(archive.read(name))).load()

    return read


def _torch(file: bytes) -> object:
    with tempfile.NamedTemporaryFile() as real:  # torch looks for a tar archive in real files alone
        real.write(file)
        real.flush()
        return torch.load(real.name, weights_only=False)


def _numpy(file: bytes) -> object:
    found = np.load(io.BytesIO(file), allow_pickle=True)
    return found["w"] if isinstance(found, np.lib.npyio.NpzFile) else found


def _parquet(file: bytes) -> object:
    schema = pq.read_schema(io.BytesIO(file))
    return pickle.loads((schema.field("id").metadata or schema.metadata)[b"ARROW:extension:metadata"])


BELIEVING: dict[str, Callable[[bytes], object]] = {
    "a pickle": pickle.loads,
    "a pickle of protocol 5": pickle.loads,
    "in a dictionary": pickle.loads,
    "in an archive of torch": _torch,
    "in a storage's name": _torch,
    "as a persistent id": _torch,
    "in a persistent id": _torch,
    "as a tensor's size": _torch,
    "in TorchScript": _member("a/data.pkl"),
    "in TorchScript's constants": _member("a/constants.pkl"),
    "in a file of torch before 1.6": _torch,
    "among the keys before 1.6": _torch,
    "before the number of 1.6": _torch,
    "in a tar archive": _torch,
    "in an array of objects": _numpy,
    "in an archive of arrays": _numpy,
    "in the metadata of Parquet": _parquet,
}
"""Where a pickle stands -> a reader that believes it."""
NEVER_READ = {"in the header of safetensors"}
"""Places where it is text for every reader."""
BELIEVING_TEXTS: dict[str, Callable[[str], object]] = {
    "apply": yaml.unsafe_load,
    "apply in a value": yaml.unsafe_load,
    "new": yaml.unsafe_load,
    "state": yaml.unsafe_load,
    "Python": eval,
}
OTHERS_RUN = {"module", "a class in JSON", "a formula"}
"""Texts that only import, or that programs run which are not installed here."""


@pytest.mark.parametrize("how", [how for how in CODE_THAT_RUNS if how not in WORTHLESS_ALONE])
def test_each_operation_runs_code_in_python(how: str, tmp_path: Path) -> None:
    with contextlib.suppress(Exception):  # what comes after it may fail
        pickle.loads(pickled(CODE_THAT_RUNS[how](tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("where", BELIEVING)
def test_each_place_is_one_that_a_believing_reader_runs(where: str, tmp_path: Path) -> None:
    file = harmful(tmp_path / "canary")[f"os.system by REDUCE, {where}"]
    with contextlib.suppress(Exception):
        BELIEVING[where](file)
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("what", BELIEVING_TEXTS)
def test_each_text_runs_where_it_is_believed(what: str, tmp_path: Path) -> None:
    with contextlib.suppress(Exception):
        BELIEVING_TEXTS[what](TEXTS[what](tmp_path / "canary"))
    assert (tmp_path / "canary").exists()


def test_every_operation_place_and_text_is_tried() -> None:
    assert set(BELIEVING) | NEVER_READ == set(FORMS)
    assert set(BELIEVING_TEXTS) | OTHERS_RUN == set(TEXTS)
    assert set(WORTHLESS_ALONE) < set(CODE_THAT_RUNS)


def test_the_package_calls_nothing_that_runs_what_a_file_says() -> None:
    assert [f"{one.file.name}: {one.name}" for one in functions_that_call(RUNS_CODE, PACKAGE)] == []


def test_the_package_asks_no_reader_to_believe_a_pickle() -> None:
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            given = {word.arg: ast.unparse(word.value) for word in call.keywords}
            is_load = ast.unparse(call.func) in ("torch.load", "torch.serialization.load")
            if given.get("allow_pickle", "False") != "False" or (
                is_load and given.get("weights_only") != "True"
            ):
                found.append(f"{file.name}:{call.lineno}")
    assert found == []
