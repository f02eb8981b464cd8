"""Files made to run code, to hang or to take memory are refused in our words, soon, and nothing of them runs."""

import io
import pickle
import re
import struct
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from support.archive_writing import (
    CODE,
    FLOATS,
    GOOD,
    PROTOCOL,
    STOP,
    archive,
    imported,
    members,
    module,
    number,
    numbers,
    packed,
    pickled,
    storage,
    tensor,
    text,
)
from support.refusals import said_by
from support.running_pickles import CODE_THAT_RUNS

from mswin_viz.errors import WeightsError
from mswin_viz.model.archives.weight_files import read_state_dict, read_weights


def refusal(path: Path, content: bytes) -> str:
    """What is said of a file; it must be said by us, soon, in little memory, in one line."""
    path.write_bytes(content)
    said = said_by(lambda: read_weights(path))
    assert str(path.name) in said
    return said


def memo(at: int) -> bytes:
    return b"r" + struct.pack("<I", at)


def again(at: int) -> bytes:
    return b"j" + struct.pack("<I", at)


def doubled(levels: int = 60) -> bytes:
    """A tuple of 2**levels values when written out, left on the stack."""
    pairs = b"".join(again(1000 + n) + b"\x86" + memo(1001 + n) for n in range(levels))
    return b")" + memo(1000) + pairs


@pytest.mark.parametrize("how", CODE_THAT_RUNS)
@pytest.mark.parametrize("is_script", [True, False])
def test_no_operation_of_a_pickle_runs_code(tmp_path, how, is_script):
    canary = tmp_path / "canary"
    value = CODE_THAT_RUNS[how](canary)
    pickles = {"attribute": module({"w": tensor(), "other": value}), "all": value}
    for place, content in pickles.items():
        content = pickled(content if is_script else b"}(" + text("w") + content + b"u")
        held = members(content)
        if not is_script:
            held = {name: held[name] for name in ("a/data.pkl", "a/data/0", "a/version")}
        assert refusal(tmp_path / f"{place}.pt", archive(held))
        assert refusal(tmp_path / f"{place}.pth", content)
        assert not canary.exists()


CYCLE = imported("__torch__", "M") + b")\x81" + memo(7) + b"}(" + text("inner") + again(7) + b"ub"
TWINS = b"".join(
    imported("__torch__", "M") + b")\x81}("
    + (text("inner") + again(n) + text("twin") + again(n) if n else text("w") + tensor()) + b"ub" + memo(n + 1)
    for n in range(40)
)  # fmt: skip
ABUSE = {
    "a module within itself": CYCLE,
    "modules that double": TWINS,
    "a list within itself": b"]" + memo(1) + again(1) + b"a",
    "tuples that double, as a key": b"}" + doubled() + b"Ns",
    "tuples that double, as arguments": imported("collections", "OrderedDict") + doubled() + b"R",
    "many lists within each other": b"]" * 300_000 + b"a" * 299_999,
    "many tuples within each other": b")" + b"\x85" * 300_000,
    "two million steps": b"N" * 2_000_001,
    "a memo that is not there": again(3),
    "a memo of four billions": module({"w": tensor()}) + memo(2**32 - 1) + b"0",
    "duplicates": b"N" + b"2" * 1000,
    "marks that are not there": b"t",
    "nothing on the stack": b"\x86",
    "a text of four gigabytes": b"X" + struct.pack("<I", 2**32 - 1) + b"abc",
    "a text of exabytes": b"\x8d" + struct.pack("<Q", 2**62) + b"abc",
    "bytes of exabytes": b"\x8e" + struct.pack("<Q", 2**62),
    "a frame of exabytes": b"\x95" + struct.pack("<Q", 2**62),
    "a number with a negative length": b"\x8b" + struct.pack("<i", -5),
    "a number in words": b"I" + b"9" * 100_000 + b"\n",
    "attributes in no dict": imported("__torch__", "M") + b")\x81" + packed(text("w"), tensor()) + b"b",
    "attributes twice": imported("__torch__", "M") + b")\x81}b}b",
    "an attribute twice": module({"w": tensor()}).replace(b"ub", text("w") + b"Nub"),
    "an attribute without a name": imported("__torch__", "M") + b")\x81}(" + number(3) + tensor() + b"ub",
    "a class that is not in the code": module({"w": tensor()}, name="N"),
    "a file of code that is not there": module({"w": tensor()}, within="__torch__.a.b"),
    "a path as a class": module({"w": tensor()}, within="__torch__.../../../etc/passwd"),
    "no module": b"}",
    "a number": number(3),
    "nothing": b"",
}


LONG = (
    "many lists within each other", "many tuples within each other", "two million steps",
    "tuples that double, as a key", "tuples that double, as arguments",
)  # fmt: skip
"""They take a second or more, and stop where all formats are alike: in the pickle."""


@pytest.mark.parametrize("how", ABUSE)
def test_a_pickle_that_hangs_or_takes_memory_is_refused(tmp_path, how):
    content = pickled(ABUSE[how])
    assert "TorchScript archive" in refusal(tmp_path / "m.pt", archive(members(content)))
    if how in LONG:
        return
    held = {"a/data.pkl": content, "a/data/0": FLOATS, "a/version": b"3"}
    refusal(tmp_path / "zipped.pth", archive(held))
    refusal(tmp_path / "plain.pth", content)


def test_deep_modules_are_refused(tmp_path):
    value = module({"w": tensor()})
    for _ in range(300):
        value = module({"inner": value})
    assert "nested too deeply" in refusal(tmp_path / "m.pt", archive(members(pickled(value))))


def test_two_tensors_with_one_name_are_refused(tmp_path):
    code = CODE.replace("  inner :", '  __annotations__["inner.w"] = Tensor\n  inner :').replace(
        '"w", ]', '"w", "inner.w", ]'
    )
    value = pickled(module({"inner.w": tensor(), "inner": module({"w": tensor()})}))
    assert "two of its tensors have the same name" in refusal(
        tmp_path / "m.pt", archive(members(value, code=code))
    )


PLACES = {
    "an offset beyond": tensor(offset=1),
    "an offset far beyond": tensor(offset=2**62),
    "a negative offset": tensor(offset=-1),
    "a size beyond": tensor((3, 3)),
    "64 GB": tensor((2**17, 2**17), (2**17, 1)),
    "a negative size": tensor((-2, 3)),
    "a size no number holds": tensor((2**70, 1)),
    "a product no number holds": tensor((0, 2**40, 2**40), (0, 0, 0)),
    "a stride beyond": tensor((2, 3), (4, 1)),
    "a negative stride": tensor((2, 3), (-3, 1)),
    "a stride no number holds": tensor((1, 1), (2**70, 1)),
    "fewer strides than sizes": tensor((2, 3), (1,)),
    "a storage larger than its member": tensor(of=storage(n=7)),
    "a storage smaller than its member": tensor((1, 3), (3, 1), of=storage(n=3)),
    "a storage of exabytes": tensor((2**60,), (1,), of=storage(n=2**60)),
    "a storage of a negative size": tensor(of=storage(n=-6)),
    "a storage that is not there": tensor(of=storage("1")),
    "a storage elsewhere": tensor(of=storage("../data.pkl")),
    "a storage of another width": tensor(of=storage(kind="DoubleStorage")),
    "a storage of an unknown kind": tensor(of=storage(kind="SecretStorage")),
    "a storage that is a function": tensor(of=storage(kind="load")),
    "a storage without data": tensor(of=storage(device="meta")),
    "no storage": tensor(of=number(3)),
    "a reference to a module": tensor(of=packed(text("module"), text("0")) + b"Q"),
    "quantised": tensor(by="_rebuild_qtensor"),
    "sparse": tensor(by="_rebuild_sparse_tensor"),
    "on the meta device": tensor(by="_rebuild_meta_tensor_no_storage"),
    "no tensor": number(3),
    "a list of tensors": b"](" + tensor() + b"e",
}


@pytest.mark.parametrize("how", PLACES)
def test_a_tensor_that_is_not_in_its_bytes_is_refused(tmp_path, how):
    said = refusal(tmp_path / "m.pt", archive(members(pickled(module({"w": PLACES[how]})))))
    assert re.search(r"\bw\b", said) or "needs torch.load" in said


@pytest.mark.parametrize(
    "how", [how for how in PLACES if "smaller than" not in how and how != "a list of tensors"]
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_torch_is_not_asked_for_a_tensor_that_is_not_in_its_bytes(tmp_path, how, is_zip):
    content = pickled(b"}" + text("w") + PLACES[how] + b"s")
    if is_zip:
        content = archive({"a/data.pkl": content, "a/data/0": FLOATS, "a/version": b"3"})
    refusal(tmp_path / "w.pth", content)


def test_the_archive_that_all_of_these_change_is_read(tmp_path):
    (tmp_path / "m.pt").write_bytes(archive(members()))
    assert torch.equal(read_state_dict(tmp_path / "m.pt")["w"], torch.arange(6.0).reshape(2, 3))


# ---- zip archives ---------------------------------------------------------------------------------


def twice(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packing:
        for each, content in members().items():
            packing.writestr(each, content)
        with pytest.warns(UserWarning, match="Duplicate name"):
            packing.writestr(name, b"other")
    return stream.getvalue()


def claiming(n_bytes: int, *, compressed: int | None = None) -> bytes:
    """An archive whose directory says that the storage has so many bytes."""
    content = archive(members())
    at = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    assert content[at + 46 : at + 54] == b"a/data/0"
    sizes = struct.pack("<II", n_bytes if compressed is None else compressed, n_bytes)
    return content[: at + 20] + sizes + content[at + 28 :]


def changed(what: bytes, by: bytes, held: dict | None = None) -> bytes:
    content = archive(held or members())
    assert content.count(what) == 1
    return content.replace(what, by)


def compressed(name: str, content: bytes) -> bytes:
    return archive(members() | {name: content}, compression=zipfile.ZIP_DEFLATED)


def flagged() -> bytes:
    content = bytearray(archive(members()))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


ZIPS = {
    "has a/data/0 more than once": lambda: twice("a/data/0"),
    "has a/data.pkl more than once": lambda: twice("a/data.pkl"),
    "names that lead out of it (../../etc/cron.d/x)": lambda: archive(members() | {"../../etc/cron.d/x": b""}),
    "names that lead out of it (/etc/passwd)": lambda: archive(members() | {"/etc/passwd": b""}),
    "names that lead out of it (a/data/../0)": lambda: archive(members() | {"a/data/../0": b""}),
    "is damaged: its members claim": lambda: claiming(2**32 - 2),
    "its data/0 has other bytes than were written": lambda: changed(FLOATS[4:], FLOATS[5:] + b"\x01"),
    "its code/__torch__.py has other bytes": lambda: changed(b"w : Tensor\n  b", b"v : Tensor\n  b"),
    "its data.pkl has other bytes": lambda: changed(text("storage"), text("storagf")),
    "is not in little-endian byte order": lambda: archive(members(a__byteorder=b"big")),
    "not in little-endian byte order": lambda: archive(members(a__byteorder=b"???")),
    "is encrypted": flagged,
    "is compressed in a way that torch does not read": lambda: archive(members(), compression=zipfile.ZIP_LZMA),
    "compressed in a way": lambda: archive(members(), compression=zipfile.ZIP_BZIP2),
    "data.pkl in an archive of weights has at most 33,554,432": lambda: compressed("a/data.pkl", bytes(40 * 2**20)),
    "bytes when unpacked": lambda: compressed("a/more", bytes(200 * 2**20)),
    "code/__torch__.py in an archive of weights has at most": lambda: compressed("a/code/__torch__.py", b" " * 2**25),
    "byteorder in an archive of weights has at most 16 bytes": lambda: compressed("a/byteorder", b"little" * 2**20),
    "has no data.pkl": lambda: archive({n: v for n, v in members().items() if n != "a/data.pkl"}),
    "lacks the code of __torch__.M": lambda: archive(members(code="")),
    "lacks the code of": lambda: archive({n: v for n, v in members().items() if not n.endswith(".py")}),
}  # fmt: skip


@pytest.mark.parametrize("words", ZIPS)
def test_a_zip_archive_that_lies_is_refused(tmp_path, words):
    assert words in refusal(tmp_path / "m.pt", ZIPS[words]())


@pytest.mark.parametrize("n_bytes", [2**32 - 2, 2**31, 10**6])
@pytest.mark.parametrize("is_script", [True, False])
def test_members_that_overlap_or_claim_more_than_there_is_are_refused(tmp_path, n_bytes, is_script):
    content = claiming(n_bytes)
    if not is_script:
        content = content.replace(b"constants.pkl", b"constantS.pkl").replace(
            b"a/code/__torch__.py", b"a/kode/__torch__.py"
        )
    assert "claim" in refusal(tmp_path / "m.pt", content)


def test_a_pickle_of_torch_that_inflates_is_refused_before_it_is_read(tmp_path):
    held = {"a/data.pkl": bytes(60 * 2**20), "a/data/0": FLOATS, "a/version": b"3"}
    said = refusal(tmp_path / "w.pth", archive(held, compression=zipfile.ZIP_DEFLATED))
    assert "data.pkl in an archive of weights has at most 33,554,432 bytes" in said


def test_an_archive_cut_anywhere_is_refused(tmp_path):
    content = archive(members())
    for cut in range(4, len(content), 37):
        refusal(tmp_path / "m.pt", content[:cut])


def test_an_archive_with_any_byte_changed_gives_its_tensors_or_is_refused(tmp_path):
    content, path = archive(members()), tmp_path / "m.pt"
    for at in range(4, len(content), 5):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x41]) + content[at + 1 :])
        try:
            found = read_state_dict(path)
        except WeightsError:
            continue
        assert torch.equal(found["w"], torch.arange(6.0).reshape(2, 3)), at


# ---- code that is not as torch writes it ----------------------------------------------------------

CODES = {
    "no list of parameters": "class M(Module):\n  w : Tensor\n",
    "no attributes": 'class M(Module):\n  __parameters__ = ["w", ]\n',
    "no module": 'class M:\n  __parameters__ = ["w", ]\n  w : Tensor\n',
    "another name": 'class N(Module):\n  __parameters__ = ["w", ]\n  w : Tensor\n',
    "brackets": "(" * 2**20,
    "one long line": "class M(Module):\n  " + "a" * 2**22,
    "empty lines": "class M(Module):\n" + "\n" * 2**22,
    "many classes": "class M(Module):\n" * 2**17,
    "zeros": "\0" * 2**20,
}


@pytest.mark.parametrize("how", CODES)
def test_code_that_torch_did_not_write_is_refused(tmp_path, how):
    refusal(tmp_path / "m.pt", archive(members(code=CODES[how])))


# ---- files of torch.save --------------------------------------------------------------------------


def torch_file(content: object, **options: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize(
    "view",
    [
        torch.zeros(1).expand(2**34),
        torch.zeros(1).expand(2**10, 2**10, 2**7),
        torch.zeros(3, 1, dtype=torch.float16).expand(3, 2**30),
        torch.zeros(2**12).as_strided((2**11, 2**11, 2**4), (1, 1, 0)),
        torch.nn.Parameter(torch.zeros(1)).expand(2**34).detach(),
    ],
    ids=["64 GB", "three axes", "half", "overlapping", "parameter"],
)
def test_a_view_that_repeats_a_few_bytes_is_refused_by_its_key(tmp_path, view, is_zip):
    content = torch_file(
        {"a": torch.ones(2), "visual.conv1.weight": view}, _use_new_zipfile_serialization=is_zip
    )
    said = refusal(tmp_path / "w.pth", content)
    assert "visual.conv1.weight of shape" in said
    assert "not an expanded view of it" in said


def test_many_views_that_together_repeat_too_much_are_refused(tmp_path):
    content = torch_file({f"w.{n}": torch.zeros(1).expand(2**22) for n in range(20)})
    assert "of shape (4194304,)" in refusal(tmp_path / "w.pth", content)


def test_an_expanded_kernel_in_an_archive_is_refused_by_its_key(tmp_path):
    value = pickled(module({"w": tensor((2**17, 2**17), (0, 0))}))
    assert "has w of shape (131072, 131072)" in refusal(tmp_path / "m.pt", archive(members(value)))


@pytest.mark.parametrize("is_zip", [True, False])
def test_small_expanded_tied_and_strided_tensors_are_read(tmp_path, is_zip):
    row = torch.arange(12.0)
    state = {"row": row, "tied": row, "part": row[2:7:2], "turned": row.view(3, 4).t(), "empty": row[:0]}
    state |= {"expanded": torch.ones(1).expand(1000), "scalar": torch.tensor(2.0)}
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=is_zip)
    found = read_state_dict(tmp_path / "w.pth")
    assert all(torch.equal(found[key], value) for key, value in state.items())
    assert found["row"].data_ptr() == found["tied"].data_ptr()


RESERVES = {
    "bytearray": imported("builtins", "bytearray") + packed(number(2**36)) + b"R",
    "bytes": imported("builtins", "bytes") + packed(number(2**36)) + b"R",
    "a tensor by its size": imported("torch", "FloatTensor") + packed(number(2**20), number(2**16)) + b"R",
    "a tensor by a torch.Size": imported("torch", "FloatTensor")
    + packed(imported("torch", "Size") + packed(numbers(2**20, 2**16)) + b"R")
    + b"R",
    "a tensor by a list": imported("torch", "FloatTensor") + b"](" + number(2**20) + number(2**16) + b"eR",
    "a storage": imported("torch.storage", "UntypedStorage") + packed(number(2**36)) + b"R",
    "an array": imported("numpy.core.multiarray", "_reconstruct")
    + packed(imported("numpy", "ndarray"), numbers(2**36), text("b"))
    + b"R",
    "a tensor made larger by its state": imported("torch", "FloatTensor")
    + b")\x81"
    + packed(storage(), number(0), numbers(2**34), numbers(1))
    + b"b",
}


@pytest.mark.parametrize("how", RESERVES)
@pytest.mark.parametrize("is_zip", [True, False])
def test_what_reserves_memory_without_data_is_refused(tmp_path, how, is_zip):
    content = pickled(b"}(" + text("w") + tensor() + text("x") + RESERVES[how] + b"u")
    if is_zip:
        content = archive({"a/data.pkl": content, "a/data/0": FLOATS, "a/version": b"3"})
    assert "cannot be read: " in refusal(tmp_path / "w.pth", content)


def values(*items: bytes) -> bytes:
    """A dict of a tensor and these values."""
    named = b"".join(text(f"v{at}") + each for at, each in enumerate(items))
    return b"}(" + text("w") + tensor() + named + b"u"


LONG_TEXT = b"X" + struct.pack("<I", 2**23) + b"a" * 2**23
KEPT = text("kept") + LONG_TEXT + memo(9)
ENCODED = imported("_codecs", "encode") + packed(again(9), text("latin1")) + b"R"
COUNTED = imported("collections", "Counter") + packed(ENCODED) + b"R"
LARGE_DICT = b"}" + memo(9) + b"(" + b"".join(number(n) + b"N" for n in range(100_000)) + b"u"
SUBCLASS = imported("torch._tensor", "_rebuild_from_type_v2")
REPEATED = {
    "a text encoded again and again": KEPT + values(*[ENCODED] * 300)[2:-1],
    "bytes counted again and again": KEPT + values(*[COUNTED] * 300)[2:-1],
    "a dict copied again and again": text("kept") + LARGE_DICT + values(
        *[imported("collections", "OrderedDict") + packed(again(9)) + b"R"] * 300
    )[2:-1],
    "a type with a long name": values(imported("numpy", "dtype") + packed(LONG_TEXT, b"\x89", b"\x88") + b"R")[2:-1],
}  # fmt: skip


@pytest.mark.parametrize("how", REPEATED)
def test_calls_that_copy_one_long_value_again_and_again_are_refused(tmp_path, how):
    content = pickled(b"}(" + REPEATED[how] + b"u")
    held = {"a/data.pkl": content, "a/data/0": FLOATS, "a/version": b"3"}
    said = refusal(tmp_path / "w.pth", archive(held))
    assert "millions when written out" in said or "is called with a text of 8,388,608 characters" in said


UNWRITTEN = {
    "a small tensor": imported("torch", "FloatTensor") + numbers(2, 3) + b"R",
    "a tensor as a subclass": SUBCLASS
    + packed(imported("torch", "FloatTensor"), imported("torch", "Tensor"), numbers(2, 3), b"}")
    + b"R",
    "a tensor as a subclass of a subclass": SUBCLASS
    + packed(
        SUBCLASS,
        imported("torch", "Tensor"),
        packed(imported("torch", "FloatTensor"), imported("torch", "Tensor"), numbers(2, 3), b"}"),
        b"}",
    )
    + b"R",
    "an array": imported("numpy", "ndarray") + packed(numbers(2, 3)) + b"R",
    "many bytes": imported("builtins", "bytearray") + numbers(2**20) + b"R",
}


@pytest.mark.parametrize("how", UNWRITTEN)
def test_numbers_that_are_in_no_file_are_no_weights(tmp_path, how):
    content = pickled(b"}" + text("w") + UNWRITTEN[how] + b"s")
    held = {"a/data.pkl": content, "a/data/0": FLOATS, "a/version": b"3"}
    assert "for numbers that the file does not hold" in refusal(tmp_path / "w.pth", archive(held))


@pytest.mark.parametrize("is_zip", [True, False])
def test_what_training_code_saves_beside_weights_is_no_abuse(tmp_path, is_zip):
    beside = {
        "seen": {100, 200, 300, 400, 500, 600, 700},
        "milestones": Counter([40, 70, 4000, 50000]),
        "best": np.float64(0.5),
        "curve": np.arange(10_000.0),
        "random": np.random.RandomState(1).get_state(),
        "bytes": b"abc" * 10_000,
        "more bytes": bytearray(b"abc"),
        "size": torch.Size([2, 3]),
        "number": 2**70,
        "complex": 1 + 2j,
        "history": [float(n) for n in range(10_000)],
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "conjugate": torch.tensor([1 + 2j]).conj(),
    }
    torch.save(
        {"model": {"w": torch.arange(6.0)}, **beside},
        tmp_path / "w.pth",
        _use_new_zipfile_serialization=is_zip,
    )
    assert torch.equal(read_state_dict(tmp_path / "w.pth")["w"], torch.arange(6.0))


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("protocol", [4, 5])
def test_a_file_of_a_later_pickle_protocol_is_refused_with_what_to_leave_out(tmp_path, protocol, is_zip):
    content = torch_file(
        {"w": torch.ones(2)}, pickle_protocol=protocol, _use_new_zipfile_serialization=is_zip
    )
    said = refusal(tmp_path / "w.pth", content)
    assert f"saved with pickle protocol {protocol}" in said
    assert "leave pickle_protocol= out" in said


def test_the_storages_of_an_old_file_are_no_larger_than_the_file(tmp_path):
    content = torch_file({"w": torch.ones(2, 3)}, _use_new_zipfile_serialization=False)
    at = content.index(b"cpuq") + 5
    at = content.index(b"K\x06", at)
    claimed = content[:at] + b"J" + struct.pack("<i", 2**31 - 1) + content[at + 2 :]
    assert "its tensors claim 8,589,934,588 bytes" in refusal(tmp_path / "w.pth", claimed)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_plain_pickle_of_another_program_is_refused(tmp_path, protocol):
    refusal(tmp_path / "w.pth", pickle.dumps({"w": [1.0, 2.0]}, protocol=protocol))


def test_a_changed_byte_in_a_tensor_is_noticed(tmp_path):
    content = torch_file({"w": torch.arange(1000.0)})
    at = content.index(struct.pack("<3f", 500, 501, 502))
    said = refusal(tmp_path / "w.pth", content[:at] + b"\x01" + content[at + 1 :])
    assert "its data/0 has other bytes than were written" in said


def test_a_file_that_torch_wrote_without_checksums_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"w": torch.arange(6.0)}, tmp_path / "w.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert torch.equal(read_state_dict(tmp_path / "w.pth")["w"], torch.arange(6.0))


# ---- number formats ----------------------------------------------------------------------------


FLOAT8 = [kind for kind in vars(torch).values() if isinstance(kind, torch.dtype) and "float8" in str(kind)]


@pytest.mark.parametrize("kind", FLOAT8, ids=str)
@pytest.mark.parametrize("write", [torch_file, save])
def test_weights_of_8_bits_are_refused_by_key_and_kind(tmp_path, kind, write):
    if write is save and "fnuz" in str(kind):
        pytest.skip("safetensors has no such kind")
    content = write({"good": torch.ones(2), "w": torch.ones(2, 3).to(kind)})
    assert f"w is of {str(kind).removeprefix('torch.')}" in refusal(tmp_path / "w.bin", content)


STRANGE = {
    "w is quantised": lambda: torch.quantize_per_tensor(torch.ones(2, 3), 0.1, 0, torch.qint8),
    "w is sparse (sparse_coo)": lambda: torch.eye(3).to_sparse(),
    "w is sparse (sparse_csr)": lambda: torch.eye(3).to_sparse_csr(),
    "w is without data (on the meta device)": lambda: torch.ones(2, 3, device="meta"),
    "w is of float4_e2m1fn_x2": lambda: torch.zeros(2, 3, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
}


@pytest.mark.filterwarnings("ignore")  # torch warns of layouts that are not final
@pytest.mark.parametrize("words", STRANGE)
def test_tensors_that_are_not_dense_numbers_are_refused_as_what_they_are(tmp_path, words):
    assert words in refusal(tmp_path / "w.pth", torch_file({"w": STRANGE[words]()}))


@pytest.mark.parametrize(
    "kind",
    [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
     torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.complex64, torch.complex128],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("is_zip", [True, False])
def test_other_number_formats_are_read_as_they_are(tmp_path, kind, is_zip):
    if not is_zip and kind in (torch.uint16, torch.uint32, torch.uint64):
        pytest.skip("torch writes these, and cannot read them again")
    value = torch.tensor([[0, 1, 2], [3, 0, 5]]).to(kind)
    (tmp_path / "w.pth").write_bytes(torch_file({"w": value}, _use_new_zipfile_serialization=is_zip))
    found = read_state_dict(tmp_path / "w.pth")["w"]
    assert found.dtype == kind
    assert found.tolist() == value.tolist()


# ---- safetensors ----------------------------------------------------------------------------------


def safetensors(header: str, data: bytes = FLOATS, *, length: int | None = None) -> bytes:
    text_bytes = header.encode()
    return struct.pack("<Q", len(text_bytes) if length is None else length) + text_bytes + data


HEADERS = {
    "more bytes than there are": '{"w":{"dtype":"F32","shape":[16,1073741824],"data_offsets":[0,68719476736]}}',
    "a shape larger than its bytes": '{"w":{"dtype":"F32","shape":[131072,131072],"data_offsets":[0,24]}}',
    "a shape no number holds": '{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,24]}}',
    "a negative size": '{"w":{"dtype":"F32","shape":[-2,3],"data_offsets":[0,24]}}',
    "offsets turned round": '{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[24,0]}}',
    "overlapping tensors": '{"v":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}',
    "an unknown kind": '{"w":{"dtype":"F3","shape":[2,3],"data_offsets":[0,24]}}',
    "lists in lists": '{"w":' + "[" * 100_000,
    "no object": "[]",
}


@pytest.mark.parametrize("how", HEADERS)
def test_a_header_that_lies_is_refused(tmp_path, how):
    refusal(tmp_path / "w.safetensors", safetensors(HEADERS[how]))


def test_a_header_of_millions_of_tensors_is_refused_before_it_is_read(tmp_path):
    header = "{" + '"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},' * 400_000 + "}"
    assert "has a header of 21,200,002 bytes" in refusal(tmp_path / "w.safetensors", safetensors(header))


@pytest.mark.parametrize("length", [2**62, 10**9, 5])
def test_a_header_with_a_wrong_length_is_refused(tmp_path, length):
    header = '{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
    refusal(tmp_path / "w.safetensors", safetensors(header, length=length))


def test_the_good_pickle_is_one_that_torch_would_take():
    assert GOOD.startswith(PROTOCOL)
    assert GOOD.endswith(STOP)
