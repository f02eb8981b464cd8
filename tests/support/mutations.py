"""Files as accidents and attackers leave them: cut, overwritten, with values of other kinds, and archives packed anew."""

from __future__ import annotations

import io
import json
import random
import zipfile
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 1e308, 10**4, 2**31, 2**40, 2**62, 10**19, 10**400, "", "x", "-1", "é\0\n", "\udce9", "../" * 9, "x" * 5000, [], [[]],
    {}, {"a": 1}, [None] * 99, "/dev/zero", "NaN",
)  # fmt: skip
"""What stands where another value was."""
PIECES = (
    b"",
    b"\0",
    b"\xff",
    b"{",
    b"]",
    b'"',
    b"\n",
    b",",
    b"-",
    b"9" * 400,
    b"1e999",
    b"NaN",
    b"&a *a",
    b"!!int ",
    b"'",
    b"\x80\x04",
)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The content with one or several faults."""
    if content[:1] in (b"{", b"[") and rng.random() < 0.6:
        first, end, rest = content.partition(b"}\n{")  # of lines of JSON, the first one
        return _with_other_values(json.loads(first + end[:1]), rng) + end[1:] + rest
    if content[:2] == b"PK" and rng.random() < 0.6:
        return _packed_anew(content, rng)
    return _spoilt(content, rng)


def _spoilt(content: bytes, rng: random.Random) -> bytes:
    """Faults of bytes: at the beginning, at the end, or anywhere."""
    near = rng.choice((min(len(content), 64), min(len(content), 4000), len(content)))
    at = rng.randrange(near + 1)
    at = len(content) - at if rng.random() < 0.3 else at
    wide = rng.choice((1, 4, 300))
    how = rng.randrange(6)
    if how == 0:
        return content[:at]
    if how == 1:
        return content[:at] + bytes(wide) + content[at + wide :]
    if how == 2:
        return content[:at] + content[at + wide :]
    if how == 3:
        return content[:at] + rng.choice(PIECES) + content[at + rng.randrange(3) :]
    if how == 4:
        return content[:at] + content[at // 2 : at] + content[at:]
    broken = bytearray(content)
    for _ in range(min(wide, len(broken))):
        broken[(at + rng.randrange(wide)) % len(broken)] = rng.randrange(256)
    return bytes(broken)


def _with_other_values(value: Any, rng: random.Random) -> bytes:
    """JSON with other values, or without some."""
    for _ in range(rng.choice((1, 1, 3))):
        value = _changed(value, rng)
    text = json.dumps(value)
    return b"[" * 3000 + text.encode() if rng.random() < 0.03 else text.encode()


def _changed(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or rng.random() < 0.15:
        return rng.choice(VALUES)
    keys = sorted(value) if isinstance(value, dict) else range(len(value))
    key, changed = rng.choice(keys), value.copy()
    if rng.random() < 0.15:
        changed.pop(key)
    elif isinstance(changed, dict) and rng.random() < 0.1:
        changed[rng.choice(("x", "", "__proto__", "\udce9", "a" * 999))] = changed.pop(key)
    else:
        changed[key] = _changed(changed[key], rng)
    return changed


def _packed_anew(content: bytes, rng: random.Random) -> bytes:
    """An archive in which one member is spoilt, missing, doubled or compressed, with the checksum of what it is now."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as there, zipfile.ZipFile(stream, "w") as made:
        names = there.namelist()
        which = rng.choice([name for name in names if name.endswith(".pkl")] if rng.random() < 0.6 else names)
        how = rng.randrange(6)
        for name in names:
            held = there.read(name)
            if name == which and how == 0:
                continue
            if name == which and how > 1:
                held = _spoilt(held, rng)
            kind = zipfile.ZIP_DEFLATED if name == which and how == 1 else zipfile.ZIP_STORED
            made.writestr(name, held, kind)
    return stream.getvalue()
