"""One module of the package writes, renames, makes and deletes files and folders; every other goes through it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "mswin_viz"
WRITER = "data/storage/file_writing.py"
ALLOWED = {
    "data/storage/destinations.py": {
        "folder.mkdir",
        "tempfile",
        "tempfile.TemporaryFile",
    },  # makes missing folders
    "data/storage/file_locks.py": {"filelock.FileLock", "filelock.SoftFileLock"},
    "data/storage/appended_lines.py": {"os.open", "os.write", "os.ftruncate"},  # what is there stays
    "data/storage/shared_blocks.py": {"os.open"},  # memory
    "data/storage/temporary_folders.py": {
        "atexit.register",
        "shutil.rmtree",
        "tempfile",
        "tempfile.gettempdir",
        "tempfile.mkdtemp",
    },
    "data/images/decoder_messages.py": {
        "os.fdopen",
        "os.ftruncate",
        "os.write",
        "tempfile",
        "tempfile.TemporaryFile",
    },  # memory, and the terminal
    "data/images/picture_files.py": {"os.open"},  # reads, without waiting for a pipe
    "view/widgets/lifetime.py": {"atexit.register"},  # ends threads, writes nothing
    "cli/rendering.py": {"explorer.to_html"},  # a method of ours
    "analysis/extraction/ray_engine.py": {"os.open"},  # the null device, where Ray may say what it likes
    "view/attributions/saved_maps.py": {"numpy.savez"},  # into memory
    "model/archives/zip_members.py": {"io.FileIO", "self._archive.open"},  # reads
}
"""Module -> what it may use all the same."""
OURS = {"run.save", "self.save", "self.strip.replace", "strip.replace"}
"""Methods of this package that are called as those of a library are."""

_OS = (
    "open fdopen remove unlink rename renames replace rmdir removedirs mkdir makedirs link symlink mkfifo mknod truncate "
    "ftruncate chmod chown utime popen system write"
)
_SHUTIL = "copy copy2 copyfile copyfileobj copytree move rmtree make_archive unpack_archive"
FORBIDDEN = {
    *(f"os.{name}" for name in _OS.split()), *(f"shutil.{name}" for name in _SHUTIL.split()),
    "numpy.save", "numpy.savez", "numpy.savez_compressed", "numpy.savetxt",
    "safetensors.torch.save_file", "safetensors.torch.save_model", "safetensors.numpy.save_file", "io.FileIO",
    "logging.FileHandler", "shelve.open", "sqlite3.connect", "mmap.mmap", "matplotlib.image.imsave",
    "torchvision.utils.save_image", "torch.jit.save", "atexit.register", "filelock.FileLock", "filelock.SoftFileLock",
}  # fmt: skip
"""Dotted names that no other module may use in any way."""
MODULES = ("tempfile",)
"""Modules of which nothing may be used."""
METHODS = {
    "write_text", "write_bytes", "mkdir", "touch", "unlink", "rmdir", "symlink_to", "hardlink_to", "chmod", "lchmod",
    "tofile", "save_pretrained", "imsave", "imwrite", "write_html", "write_image", "to_pickle", "to_hdf", "to_excel",
    "to_feather", "to_stata", "to_sql", "to_disk", "save_model",
}  # fmt: skip
"""Methods that write whatever they are called on."""
TO_A_PATH = {
    "to_csv",
    "to_parquet",
    "to_json",
    "to_html",
    "to_string",
    "to_latex",
    "to_markdown",
    "to_xml",
    "to_orc",
}
"""Methods of tables that give their text, unless they are given a place."""
TO_A_STREAM = {"save", "savefig", "dump", "print_figure", "savetxt", "extract", "extractall"}
"""Functions and methods that write to what they are given: allowed into memory."""
MAPPERS = {"memmap": 2, "open_memmap": 1}
"""Functions that map a file, for writing unless they are told otherwise; the place of the mode among their arguments."""
OPENERS = {"open", "ZipFile", "TarFile", "GzipFile", "BZ2File", "LZMAFile", "fromfile", "load"}


def dotted(node: ast.AST, aliases: dict[str, str]) -> str:
    """``np.lib.save`` -> ``numpy.lib.save``; empty where it is no chain of names."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([aliases.get(node.id, node.id), *reversed(parts)])


def imported_names(tree: ast.AST) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def in_memory(tree: ast.AST) -> set[str]:
    """Names that are only ever given a ``BytesIO()`` or ``StringIO()``."""
    found, other = set(), set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target, value in _pairs(node):
            is_memory = isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] in (
                "BytesIO",
                "StringIO",
            )
            (found if is_memory else other).add(ast.unparse(target))
    return found - other


def _pairs(node: ast.Assign) -> Iterator[tuple[ast.AST, ast.AST]]:
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value


def opens_for_writing(call: ast.Call, name: str) -> bool:
    """Whether a call opens a file in a mode that may write; a mode that is no text in the code may."""
    method = name.split(".")[-1]
    if method == "open" and isinstance(call.func, ast.Attribute) and name.split(".")[0] == "PIL":
        return False
    modes = [word.value for word in call.keywords if word.arg in ("mode", "mmap_mode")]
    is_function = not isinstance(call.func, ast.Attribute) or name.split(".")[0] in (
        "io", "gzip", "bz2", "lzma", "tarfile", "zipfile", "codecs", "builtins",
    )  # fmt: skip
    if method in ("load", "fromfile"):
        modes = [word.value for word in call.keywords if word.arg == "mmap_mode"]
    elif not modes:
        modes = call.args[1:2] if is_function else call.args[:1]
    if any(word.arg is None for word in call.keywords) or any(
        isinstance(arg, ast.Starred) for arg in call.args
    ):
        return method == "open"
    return any(
        not isinstance(mode, ast.Constant)
        or (isinstance(mode.value, str) and not set(mode.value) <= set("rbtU|:*gzx2") | set("c"))
        or (isinstance(mode.value, str) and mode.value.startswith("x"))
        for mode in modes
    )


def _maps_for_reading(call: ast.Call, place: int) -> bool:
    modes = [word.value for word in call.keywords if word.arg == "mode"] or call.args[place : place + 1]
    return any(
        isinstance(mode, ast.Constant) and mode.value in ("r", "c", "readonly", "copyonwrite")
        for mode in modes
    )


def goes_to_memory(call: ast.Call, memory: set[str]) -> bool:
    places = [ast.unparse(arg) for arg in call.args] + [ast.unparse(word.value) for word in call.keywords]
    return any(place in memory for place in places)


def writes(source: str) -> list[str]:
    """What a module writes by itself: line and call."""
    tree = ast.parse(source)
    aliases, memory, found = imported_names(tree), in_memory(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = dotted(node, aliases)
            if (
                name in FORBIDDEN
                or name.startswith(tuple(f"{module}." for module in MODULES))
                or name in MODULES
            ):
                found.append(f"line {node.lineno}: {name}")
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append(f"line {node.lineno}: {node.module}")
        if isinstance(node, ast.Call) and _call_writes(node, aliases, memory):
            found.append(f"line {node.lineno}: {ast.unparse(node.func)}")
    return found


def _call_writes(call: ast.Call, aliases: dict[str, str], memory: set[str]) -> bool:
    name, written_as = dotted(call.func, aliases), ast.unparse(call.func)
    method = written_as.split(".")[-1] if isinstance(call.func, ast.Attribute) else name.split(".")[-1]
    if name.startswith("mswin_viz.") or written_as in OURS:
        return False
    is_method = isinstance(call.func, ast.Attribute)
    if method in OPENERS:
        return opens_for_writing(call, name or written_as)
    if method in MAPPERS:
        return not _maps_for_reading(call, MAPPERS[method])
    if method in METHODS:
        return is_method
    if method in TO_A_PATH:
        places = {"path", "path_or_buf", "buf", "path_or_buffer"}
        return bool(call.args) or any(word.arg in places or word.arg is None for word in call.keywords)
    if method in TO_A_STREAM:
        is_pure = name in ("safetensors.torch.save", "yaml.dump") and len(call.args) + len(call.keywords) == 1
        return not is_pure and not goes_to_memory(call, memory)
    if (
        method in ("rename", "replace") and is_method
    ):  # of a path: one place; of text two, of records and tables by name
        return len(call.args) == 1 and not call.keywords
    return name == "getattr" and any(
        isinstance(arg, ast.Constant) and arg.value in METHODS for arg in call.args
    )


def modules() -> list[str]:
    found = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
    return [name for name in found if name != WRITER]


@pytest.mark.parametrize("name", modules())
def test_only_one_module_writes_renames_makes_or_deletes_files(name: str) -> None:
    allowed = ALLOWED.get(name, set())
    found = [
        use for use in writes((ROOT / name).read_text(encoding="utf-8")) if use.split(": ")[1] not in allowed
    ]
    assert not found, f"{name}: go through mswin_viz.data.storage.file_writing instead of {found}"


@pytest.mark.parametrize("name", ALLOWED)
def test_what_a_module_may_use_it_does_use(name: str) -> None:
    assert {use.split(": ")[1] for use in writes((ROOT / name).read_text(encoding="utf-8"))} == ALLOWED[name]


def test_the_module_that_writes_is_seen_to_write() -> None:
    assert len(writes((ROOT / WRITER).read_text(encoding="utf-8"))) > 10


WRITING = """
open('a', 'w')
open('a', mode='a')
open('a', 'r+b')
open('a', 'xb')
open('a', mode)
open(*given)
open('a', **options)
path.open('wb')
path.open(mode='w', encoding='utf-8')
(folder / 'a').open('a')
import io; io.open('a', 'w')
from io import open as other; other('a', 'w')
import io; io.FileIO('a', 'w')
import codecs; codecs.open('a', 'w')
import gzip; gzip.open('a', 'wb')
import gzip; gzip.GzipFile('a', 'wb')
import bz2; bz2.open('a', 'wt')
import lzma; lzma.open('a', mode='xb')
import zipfile; zipfile.ZipFile('a', 'w')
from zipfile import ZipFile; ZipFile('a', mode='a')
import tarfile; tarfile.open('a', 'w:gz')
import os; os.open('a', os.O_WRONLY)
import os as system; system.open('a', flags)
import os; os.fdopen(3, 'w')
import os; os.write(3, b'')
path.write_text('a')
path.write_bytes(b'a')
write = path.write_bytes; getattr(path, 'write_bytes')(b'a')
path.touch()
path.mkdir(parents=True)
path.unlink(missing_ok=True)
path.rmdir()
path.rename(other)
path.replace(other)
path.symlink_to(other)
path.hardlink_to(other)
path.chmod(0o600)
import os; os.replace('a', 'b')
from os import replace; replace('a', 'b')
from os import rename as move; move('a', 'b')
import os; move = os.rename
import os; os.remove('a')
import os; os.unlink('a')
import os; os.mkdir('a')
import os; os.makedirs('a', exist_ok=True)
import os; os.rmdir('a')
import os; os.symlink('a', 'b')
import os; os.link('a', 'b')
import os; os.truncate('a', 0)
import os; os.mkfifo('a')
import shutil; shutil.rmtree('a')
from shutil import copyfile; copyfile('a', 'b')
import shutil; shutil.copy('a', 'b')
import shutil; shutil.copytree('a', 'b')
import shutil; shutil.move('a', 'b')
import shutil; shutil.make_archive('a', 'zip')
import tempfile; tempfile.mkdtemp()
import tempfile; tempfile.NamedTemporaryFile()
from tempfile import TemporaryDirectory; TemporaryDirectory()
import tempfile as t; t.gettempdir()
import numpy as np; np.save('a', array)
import numpy as np; np.savez('a', x=array)
import numpy; numpy.savez_compressed('a', x=array)
from numpy import savetxt; savetxt('a', array)
import numpy as np; np.memmap('a', mode='w+')
import numpy as np; np.memmap('a')
import numpy as np; np.memmap('a', np.uint8, mode)
from numpy.lib.format import open_memmap; open_memmap('a')
import numpy as np; np.lib.format.open_memmap('a', 'w+')
from numpy.lib.format import open_memmap; open_memmap('a', mode='w+')
import numpy as np; np.load('a', mmap_mode='r+')
array.tofile('a')
import torch; torch.save(state, path)
import torch; torch.save(state, f=path)
from torch import save; save(state, path)
import torch; torch.jit.save(module, path)
from safetensors.torch import save_file; save_file(state, path)
import safetensors.torch as st; st.save_file(state, path)
import pickle; pickle.dump(value, stream)
import json; json.dump(value, stream)
import yaml; yaml.dump(value, stream)
import shelve; shelve.open('a')
import sqlite3; sqlite3.connect('a')
import logging; logging.FileHandler('a')
frame.to_csv(path)
frame.to_csv(path_or_buf=path)
frame.to_csv(**options)
frame.to_parquet(path, index=False)
frame.to_parquet(path=path)
frame.to_json('a')
frame.to_html(buf='a')
frame.to_pickle('a')
frame.to_excel('a')
frame.to_feather('a')
figure.savefig(path)
figure.savefig(path, format='png')
picture.save(path)
picture.save(fp=path)
file = BytesIO(); file = path; picture.save(file)
from matplotlib.image import imsave; imsave('a', array)
import torchvision; torchvision.utils.save_image(x, 'a')
model.save_pretrained('a')
figure.write_html('a')
archive.extractall('a')
from filelock import FileLock; FileLock('a')
import atexit; atexit.register(clean)
import os; os.system('rm a')
""".strip().splitlines()
"""Snippets that write, each in its own way."""


@pytest.mark.parametrize("source", WRITING)
def test_every_way_to_write_is_seen(source: str) -> None:
    assert writes(source)


HARMLESS = """
open('a')
open('a', 'rb')
open('a', mode='r', encoding='utf-8')
path.open()
path.open('rb')
from PIL import Image; Image.open(path)
from PIL import Image; Image.open(path, formats=['PNG'])
import zipfile; zipfile.ZipFile('a')
import tarfile; tarfile.open('a', 'r:gz')
import gzip; gzip.open('a', 'rb')
path.read_bytes()
'a'.replace('b', 'c')
from dataclasses import replace; replace(record, pid=3)
frame.rename(columns=names)
names.remove('a')
frame.to_csv(index=False)
frame.to_parquet(index=False)
import json; json.dumps(value)
import safetensors.torch; safetensors.torch.save(state)
import io; file = io.BytesIO(); figure.savefig(file, format='png')
from io import BytesIO; buffer = BytesIO(); picture.save(buffer, 'JPEG')
import io; found, file = 3, io.BytesIO(); picture.save(file, format='PNG')
import io, torch; file = io.BytesIO(); torch.save(state, file)
import numpy as np; np.load('a', mmap_mode='r')
import numpy as np; np.memmap('a', np.uint8, 'r')
import numpy as np; np.lib.format.open_memmap('a', mode='c')
import os; os.path.exists('a')
import os; os.scandir('a')
import shutil; shutil.which('a')
import shutil; shutil.disk_usage('a')
from mswin_viz.data.storage.file_writing import write_bytes; write_bytes('a', b'')
from mswin_viz.data.storage import file_writing; file_writing.write_bytes('a', b'')
def mkdir(): pass
""".strip().splitlines()
"""Snippets that write nothing to a disk, or go through the module that does."""


@pytest.mark.parametrize("source", HARMLESS)
def test_nothing_else_is_taken_for_writing(source: str) -> None:
    assert not writes(source)
