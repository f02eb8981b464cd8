"""Files that would run code if their readers let them: each makes a canary file when it does."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save

from support.archive_writing import (
    PROTOCOL,
    STOP,
    archive,
    imported,
    members,
    module,
    number,
    packed,
    pickled,
    storage,
    tensor,
    text,
)

_MAGIC = 0x1950A86A20F9469CFC6C  # of torch before 1.6


def run(canary: Path) -> bytes:
    return text(f"touch {canary}")


def _attribute(of: bytes, name: str) -> bytes:
    return imported("builtins", "getattr") + packed(of, text(name)) + b"R"


def _mapped(canary: Path, new: bytes) -> bytes:
    """A tuple of what os.system answers; both it and the map are made by ``__new__`` alone."""
    calls = imported("builtins", "map") + packed(imported("os", "system"), packed(run(canary))) + new
    return imported("builtins", "tuple") + packed(calls) + new


CODE_THAT_RUNS: dict[str, Callable[[Path], bytes]] = {
    "os.system by REDUCE": lambda c: imported("os", "system") + packed(run(c)) + b"R",
    "posix.system by REDUCE": lambda c: imported("posix", "system") + packed(run(c)) + b"R",
    "eval by REDUCE": lambda c: imported("builtins", "eval") + packed(text(f"open({str(c)!r}, 'w')")) + b"R",
    "exec of python 2": lambda c: (
        imported("__builtin__", "exec") + packed(text(f"open({str(c)!r}, 'w')")) + b"R"
    ),
    "a chain of getattr": lambda c: (
        _attribute(_attribute(imported("os", "path"), "os"), "system") + packed(run(c)) + b"R"
    ),
    "by NEWOBJ": lambda c: _mapped(c, b"\x81"),
    "by NEWOBJ_EX": lambda c: _mapped(c, b"}\x92"),
    "by INST": lambda c: b"(" + run(c) + b"ios\nsystem\n",
    "by OBJ": lambda c: b"(" + imported("os", "system") + run(c) + b"o",
    "by STACK_GLOBAL": lambda c: text("os") + text("system") + b"\x93" + packed(run(c)) + b"R",
    "by EXT1": lambda c: b"\x82\x01" + packed(run(c)) + b"R",
    "by BUILD, twice": lambda c: (
        imported("types", "SimpleNamespace")
        + b")\x81}"
        + text("__setstate__")
        + imported("os", "system")
        + b"sb"
        + run(c)
        + b"b"
    ),
    "torch's own loader": lambda c: imported("torch.jit", "load") + packed(text(str(c))) + b"R",
    "torch.save": lambda c: imported("torch", "save") + packed(number(1), text(str(c))) + b"R",
    "numpy's loader": lambda c: imported("numpy", "load") + packed(text(str(c))) + b"R",
    "numpy's writer": lambda c: (
        imported("numpy", "memmap")
        + packed(text(str(c)), text("uint8"), text("w+"), number(0), packed(number(1)))
        + b"R"
    ),
    "a name under __torch__ that is a module": lambda c: (
        imported("__torch__.os", "system") + packed(run(c)) + b"R"
    ),
    "__torch__ itself": lambda c: imported("__torch__", "os.system") + packed(run(c)) + b"R",
    "a class of torch's own": lambda c: imported("__torch__.torch.classes.x", "Y") + b")\x81" + run(c) + b"b",
}
"""What the pickle does, and its operations."""
WORTHLESS_ALONE = {
    "by EXT1": "the program must have registered an extension",
    "torch's own loader": "opens one more file",
    "numpy's loader": "opens one more file",
    "a name under __torch__ that is a module": "for readers of TorchScript",
    "__torch__ itself": "for readers of TorchScript",
    "a class of torch's own": "for readers of TorchScript",
}
"""Those that make no canary where Python itself reads them -> why."""


def _legacy(value: bytes, keys: bytes = b"]") -> bytes:
    """A file of torch before 1.6: number, version, system, content, keys of the storages."""
    system = b"}(" + text("little_endian") + b"\x88" + text("protocol_version") + number(1001) + b"u"
    return b"".join(pickled(part) for part in (number(_MAGIC), number(1001), system, value, keys))


def _tar(value: bytes) -> bytes:
    """A tar archive of torch before 0.2."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as packing:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            member = tarfile.TarInfo(name)
            member.size = len(pickled(value))
            packing.addfile(member, io.BytesIO(pickled(value)))
    return stream.getvalue()


def _numpy(value: bytes) -> bytes:
    stream = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + pickled(value)


def _parquet(value: bytes) -> bytes:
    """Rows whose column is of a Python class, pickled in its metadata (CVE-2023-47248)."""
    stream = io.BytesIO()
    about = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickled(value)}
    field = pa.field("id", pa.int64(), metadata=about)
    schema = pa.schema([field], metadata={b"pandas": pickled(value)})
    pq.write_table(pa.table({"id": [1]}).cast(schema), stream)
    return stream.getvalue()


def _of_torch(value: bytes) -> bytes:
    held = members(pickled(value))
    return archive({name: held[name] for name in ("a/data.pkl", "a/data/0", "a/version")})


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "a pickle": pickled,
    "a pickle of protocol 5": lambda value: b"\x80\x05" + value + STOP,
    "in a dictionary": lambda value: pickled(b"}(" + text("w") + value + b"u"),
    "in an archive of torch": _of_torch,
    "in a storage's name": lambda value: _of_torch(tensor(of=storage().replace(text("cpu"), value))),
    "as a persistent id": lambda value: _of_torch(value + b"Q"),
    "in a persistent id": lambda value: _legacy(packed(text("storage"), value, text("0")) + b"Q"),
    "as a tensor's size": lambda value: _of_torch(tensor().replace(packed(number(2), number(3)), value)),
    "in TorchScript": lambda value: archive(members(pickled(module({"w": tensor(), "other": value})))),
    "in TorchScript's constants": lambda value: archive(members(**{"a__constants.pkl": pickled(value)})),
    "in a file of torch before 1.6": _legacy,
    "among the keys before 1.6": lambda value: _legacy(b"}", value),
    "before the number of 1.6": lambda value: PROTOCOL + value + STOP + _legacy(b"}"),
    "in a tar archive": _tar,
    "in an array of objects": _numpy,
    "in an archive of arrays": lambda value: archive({"w.npy": _numpy(value)}),
    "in the metadata of Parquet": _parquet,
    "in the header of safetensors": lambda value: save({"w": np.zeros(2)}, {"format": value.hex()}),
}
"""Where a pickle stands, and the file around it."""

TEXTS: dict[str, Callable[[Path], str]] = {
    "apply": lambda canary: f"!!python/object/apply:os.system ['touch {canary}']",
    "apply in a value": lambda canary: f"MODEL:\n  A: !!python/object/apply:os.system ['touch {canary}']",
    "new": lambda canary: (
        f"!!python/object/new:tuple [!!python/object/new:map [!!python/name:os.system , ['touch {canary}']]]"
    ),
    "state": lambda canary: (
        "!!python/object/new:type\nargs: [z, !!python/tuple [], {extend: !!python/name:exec }]\n"
        f"listitems: \"open('{canary}', 'w')\""
    ),
    "module": lambda canary: f"!!python/module:this\n# {canary}",
    "a class in JSON": lambda canary: (
        f'{{"py/reduce": [{{"py/function": "os.system"}}, ["touch {canary}"]]}}'
    ),
    "a formula": lambda canary: f"pid,camid,RGB\n\"=cmd|'/c touch {canary}'!A1\",1,x.png\n",
    "Python": lambda canary: f"__import__('os').system('touch {canary}')",
}
"""YAML, JSON, tables and Python."""


def harmful(canary: Path) -> dict[str, bytes]:
    """Every file, by what it is; also one pickle as Python itself writes it."""
    found = {
        f"{how}, {where}": form(code(canary))
        for how, code in CODE_THAT_RUNS.items()
        for where, form in FORMS.items()
    }
    found |= {f"text: {name}": words(canary).encode() for name, words in TEXTS.items()}
    return found | {"by Python": pickle.dumps(_Runs(canary))}


class _Runs:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple:
        import os

        return os.system, (f"touch {self.canary}",)
