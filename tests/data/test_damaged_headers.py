"""A picture whose file is damaged only beside its pixels is read, upright where that is known, and the damage is told."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.picture_kinds import HIGH, WIDE, files, picture, saved, turned_by

from mswin_viz.data.images.image_source import open_image, opened
from mswin_viz.data.images.jpeg_headers import apart
from mswin_viz.data.images.picture_facts import PictureFacts, picture_notes

TURNS = {
    1: lambda x: x, 2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2), 6: lambda x: np.rot90(x, -1), 7: lambda x: np.rot90(x.transpose(1, 0, 2), 2),
    8: lambda x: np.rot90(x),
}  # fmt: skip


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    """The picture as JPEG, with segments of these markers and contents behind its first bytes."""
    content = saved(picture(), "JPEG")
    made = b"".join(struct.pack(">BBH", 0xFF, marker, 2 + len(data)) + data for marker, data in segments)
    return content[:2] + made + content[2:]


def header(*entries: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    """An EXIF header of one directory: tag, type, count, and four bytes."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    packed = b"".join(struct.pack(f"{order}HHL", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0" + mark + struct.pack(f"{order}LH", 8, len(entries)) + packed + bytes(4)


STORED = np.asarray(Image.open(io.BytesIO(saved(picture(), "JPEG"))))
TURN_6 = (0x0112, 3, 1, struct.pack("<HH", 6, 0))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_each_rotation_is_applied(turn, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    found = np.asarray(open_image(saved(picture(), kind, exif=turned_by(turn), **options)))
    plain = np.asarray(open_image(saved(picture(), kind, **options)))
    np.testing.assert_array_equal(found, TURNS[turn](plain))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("number_type", "value"), [(3, "HH"), (4, "L"), (1, "BBH")], ids=["short", "long", "byte"]
)
def test_a_rotation_is_read_in_either_byte_order_and_any_whole_type(order, number_type, value):
    data = struct.pack(f"{order}{value}", 8, *[0] * (len(value) - 1))
    found = opened(jpeg_with((0xE1, header((0x0112, number_type, 1, data), order=order))))
    np.testing.assert_array_equal(np.asarray(found.image), TURNS[8](STORED))
    assert found.remarks == ()


SOUND = {
    "no header": b"",
    "an empty header": b"Exif\0\0",
    "a header without a rotation": header((0x010F, 2, 4, b"cam\0")),
    "a rotation of 0, not known": header((0x0112, 3, 1, bytes(4))),
}


@pytest.mark.parametrize("kind", SOUND)
def test_a_header_that_says_nothing_of_rotation_leaves_the_picture_as_it_is(kind):
    found = opened(jpeg_with((0xE1, SOUND[kind])))
    np.testing.assert_array_equal(np.asarray(found.image), STORED)
    assert found.remarks == ()


BROKEN = {
    "text": b"Exif\0\0no header at all",
    "cut in its mark": b"Exif\0\0II",
    "cut behind its mark": b"Exif\0\0II*\0",
    "directory beyond its end": b"Exif\0\0II*\0" + struct.pack("<L", 2**31),
    "more entries than there are": b"Exif\0\0II*\0" + struct.pack("<LH", 8, 60000) + bytes(24),
    "cut in its entries": header((0x010F, 2, 4, b"cam\0"), TURN_6)[:-12],
    "a rotation of 9": header((0x0112, 3, 1, struct.pack("<HH", 9, 0))),
    "a rotation of 65535": header((0x0112, 3, 1, b"\xff" * 4)),
    "a rotation as text": header((0x0112, 2, 1, b"six\0")),
    "a rotation of many numbers": header((0x0112, 3, 70000, b"\6\0\0\0")),
    "a rotation as a fraction": header((0x0112, 5, 1, bytes(4))),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_a_broken_header_leaves_the_picture_as_stored_and_is_told(kind, format_):
    content = jpeg_with((0xE1, BROKEN[kind]))
    stored = STORED
    if format_ != "JPEG":
        options = {"lossless": True} if format_ == "WEBP" else {}
        content, stored = saved(picture(), format_, exif=BROKEN[kind], **options), np.asarray(picture())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = opened(content)
    np.testing.assert_array_equal(np.asarray(found.image), stored)
    (remark,) = found.remarks
    assert "EXIF header" in remark
    assert "may not be upright" in remark


OTHER_DAMAGE = {
    "other tags of a header": (0xE1, header(TURN_6, (0x010F, 2, 90000, b"\xff" * 4), (0x9999, 77, 1, b"\xff" * 4))),
    "a colour profile": (0xE2, b"ICC_PROFILE\0\1\1" + b"\xff" * 60),
    "an index of pictures": (0xE2, b"MPF\0" + b"\xff" * 40),
    "XMP": (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><broken" + b"\xff" * 20),
    "an application's segment": (0xE9, b"\xff\xd9" * 20),
    "a comment": (0xFE, b"\xff" * 40),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHER_DAMAGE)
def test_damage_that_concerns_neither_pixels_nor_rotation_changes_nothing(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = opened(jpeg_with(OTHER_DAMAGE[kind]))
    turned = TURNS[6 if kind == "other tags of a header" else 1](STORED)
    np.testing.assert_array_equal(np.asarray(found.image), turned)
    assert found.remarks == ()


@pytest.mark.parametrize("text", ['<x tiff:Orientation="6"/>', "<tiff:Orientation>6</tiff:Orientation>"])
def test_a_rotation_in_xmp_is_applied_where_exif_has_none(text):
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + text.encode()
    np.testing.assert_array_equal(np.asarray(open_image(jpeg_with((0xE1, xmp)))), TURNS[6](STORED))
    both = jpeg_with((0xE1, xmp), (0xE1, header((0x0112, 3, 1, b"\1\0\0\0"))))
    np.testing.assert_array_equal(np.asarray(open_image(both)), STORED)


def test_a_rotation_in_xmp_that_is_no_number_is_told():
    (remark,) = opened(jpeg_with((0xE1, b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='up'/>"))).remarks
    assert "may not be upright" in remark


def test_a_rotation_that_was_set_in_memory_is_applied():
    image = picture()
    image.getexif()[0x0112] = 3
    np.testing.assert_array_equal(np.asarray(open_image(image)), TURNS[3](np.asarray(picture())))


@pytest.mark.parametrize("cut", range(2, 700, 23))
def test_a_jpeg_cut_anywhere_is_taken_apart_without_losing_a_byte_of_the_rest(cut):
    content = files()["jpeg"][:cut]
    rest, headers = apart(content)
    assert len(rest) <= len(content)
    assert rest[:2] == content[:2]
    assert set(headers) <= {"exif", "xmp"}


@pytest.mark.parametrize(
    "tail", [b"\xff", b"\xff\xff", b"\xff\xe1", b"\xff\xe1\0", b"\xff\xe1\0\0", b"\xff\xe1\0\1x", b"\0"]
)
def test_a_jpeg_whose_markers_lead_nowhere_is_taken_apart(tail):
    rest, headers = apart(b"\xff\xd8" + tail)
    assert rest.startswith(b"\xff\xd8")
    assert headers == {}


def test_markers_that_are_filled_up_are_followed():
    content = jpeg_with((0xE1, header(TURN_6)))
    np.testing.assert_array_equal(
        np.asarray(open_image(content[:2] + b"\xff\xff" + content[2:])), TURNS[6](STORED)
    )


def test_damage_is_told_with_counts_and_the_first_file():
    facts = [
        PictureFacts(f"{at}.jpg", (WIDE, HIGH), None, ("its header is damaged",) * (at > 1))
        for at in range(4)
    ]
    (note,) = picture_notes(facts, (HIGH, WIDE), stretches=True, deep_range=None)
    assert note.startswith(
        "2 of 4 image files are damaged though their pictures could be read (first: 2.jpg: its"
    )


def test_a_path_with_a_broken_header_is_read_too(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(jpeg_with((0xE1, BROKEN["text"])))
    assert open_image(tmp_path / "a.jpg").size == (WIDE, HIGH)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("handed_over", ["path", "lazy"])
def test_a_picture_that_was_turned_is_not_turned_again(kind, handed_over, tmp_path: Path):
    path = tmp_path / "a.picture"
    path.write_bytes(saved(picture(), kind, exif=turned_by(6)))
    with Image.open(path) as lazy:
        once = open_image(path if handed_over == "path" else lazy)
    assert once.size == (HIGH, WIDE)
    np.testing.assert_array_equal(np.asarray(open_image(once)), np.asarray(once))
