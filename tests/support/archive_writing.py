"""Pickles and archives put together by hand, as torch writes them and as an attacker would."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

PROTOCOL, STOP = b"\x80\x02", b"."
CODE = """class M(Module):
  __parameters__ = ["w", ]
  __buffers__ = ["b", ]
  w : Tensor
  b : Tensor
  other : Tensor
  inner : __torch__.M
  twin : __torch__.M
  def forward(self: __torch__.M) -> NoneType:
    return None
"""


def imported(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def packed(*values: bytes) -> bytes:
    return b"(" + b"".join(values) + b"t"


def numbers(*values: int) -> bytes:
    return packed(*map(number, values))


def storage(key: str = "0", n: int = 6, kind: str = "FloatStorage", device: str = "cpu") -> bytes:
    parts = text("storage"), imported("torch", kind), text(key), text(device), number(n)
    return packed(*parts) + b"Q"


def tensor(
    size: tuple[int, ...] = (2, 3),
    stride: tuple[int, ...] = (3, 1),
    *,
    offset: int = 0,
    of: bytes | None = None,
    by: str = "_rebuild_tensor_v2",
) -> bytes:
    hooks = imported("collections", "OrderedDict") + b")R"
    place = (of or storage(), number(offset), numbers(*size), numbers(*stride), b"\x89", hooks)
    return imported("torch._utils", by) + packed(*place) + b"R"


def module(attributes: Mapping[str, bytes], *, name: str = "M", within: str = "__torch__") -> bytes:
    items = b"".join(text(key) + value for key, value in attributes.items())
    return imported(within, name) + b")\x81}(" + items + b"ub"


def pickled(value: bytes) -> bytes:
    return PROTOCOL + value + STOP


GOOD = pickled(module({"w": tensor()}))
FLOATS = struct.pack("<6f", *range(6))


def members(content: bytes = GOOD, *, code: str = CODE, **more: bytes) -> dict[str, bytes]:
    """Members of a TorchScript archive, by name; ``more`` with ``__`` for the slash, None to leave one out."""
    held = {
        "a/data.pkl": content, "a/data/0": FLOATS, "a/code/__torch__.py": code.encode(),
        "a/constants.pkl": b"\x80\x02).", "a/version": b"3\n", "a/byteorder": b"little",
    }  # fmt: skip
    return held | {name.replace("__", "/"): value for name, value in more.items()}


def archive(held: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as packing:
        for name, value in held.items():
            packing.writestr(name, value)
    return stream.getvalue()
