"""Pictures of every kind arrive upright, 8-bit and RGB, or are refused by name."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mswin_viz.data.images.image_source import Crop, open_image, opened, source_name
from mswin_viz.errors import ImageError, ImageFileError

HIGH, WIDE = 9, 5


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, size=(HIGH, WIDE, 3), dtype=np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    path = tmp_path / "photo.jpg"
    Image.fromarray(rng.integers(0, 256, size=(90, 50, 3), dtype=np.uint8)).save(path)
    return path


def test_an_array_a_pil_image_a_path_and_its_name_give_the_same_picture(pixels, tmp_path):
    path = tmp_path / "person.png"
    Image.fromarray(pixels).save(path)
    for source in (pixels, Image.fromarray(pixels), path, str(path)):
        opened = open_image(source)
        assert opened.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(opened), pixels)


def test_exif_orientation_is_applied_to_files_and_to_pil_images(pixels, tmp_path):
    path, exif = tmp_path / "turned.png", Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees, clockwise
    Image.fromarray(pixels).save(path, exif=exif)
    upright = np.rot90(pixels, k=-1)
    np.testing.assert_array_equal(np.asarray(open_image(path)), upright)
    with Image.open(path) as lying:
        np.testing.assert_array_equal(np.asarray(open_image(lying)), upright)


def test_grey_is_repeated_over_the_three_channels(pixels):
    grey = pixels[..., 0]
    for source in (grey, Image.fromarray(grey)):
        np.testing.assert_array_equal(np.asarray(open_image(source)), np.repeat(grey[..., None], 3, axis=2))


def test_transparency_is_laid_on_white(pixels):
    alpha = np.zeros((HIGH, WIDE, 1), np.uint8)
    alpha[2:] = 255
    opened = np.asarray(open_image(np.concatenate([pixels, alpha], axis=2)))
    assert (opened[:2] == 255).all()
    np.testing.assert_array_equal(opened[2:], pixels[2:])


@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_gives_its_colours_and_its_holes_are_white(tmp_path, transparent):
    image = Image.new("P", (WIDE, HIGH), 0)
    image.putpalette([200, 10, 30, 0, 90, 250])
    image.putpixel((1, 0), 1)
    path = tmp_path / "palette.png"
    image.save(path, **({"transparency": 0} if transparent else {}))
    opened = open_image(path)
    assert opened.getpixel((1, 0)) == (0, 90, 250)
    assert opened.getpixel((0, 0)) == ((255, 255, 255) if transparent else (200, 10, 30))


@pytest.mark.parametrize("mode", ["1", "LA", "CMYK", "YCbCr", "LAB", "HSV"])
def test_other_modes_become_rgb(mode):
    assert open_image(Image.new(mode, (WIDE, HIGH))).mode == "RGB"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused_by_name(photo, share):
    whole = photo.read_bytes()
    photo.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ImageFileError, match=r"photo\.jpg"):
        open_image(photo)


def test_a_truncated_png_is_refused_by_name(tmp_path):
    path = tmp_path / "half.png"
    noise = np.random.default_rng(5).integers(0, 256, size=(64, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ImageFileError, match=r"half\.png"):
        open_image(path)


def test_a_truncated_file_is_refused_when_pil_has_opened_it_already(photo):
    photo.write_bytes(photo.read_bytes()[:1500])
    with Image.open(photo) as lazy, pytest.raises(ImageFileError, match=r"photo\.jpg"):
        open_image(lazy)


@pytest.mark.parametrize("name", ["missing.jpg", "notes.txt", "."])
def test_what_is_no_image_file_is_refused_by_name(tmp_path, name):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ImageFileError, match="cannot be read"):
        open_image(tmp_path / name)


# ---- files that are not paths ---------------------------------------------------------------


class Place:
    """A path of another library."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


@pytest.mark.parametrize(
    "handed_over",
    [
        Path.read_bytes,
        lambda path: bytearray(path.read_bytes()),
        lambda path: memoryview(path.read_bytes()),
        lambda path: io.BytesIO(path.read_bytes()),
        Place,
    ],
    ids=["bytes", "bytearray", "memoryview", "BytesIO", "PathLike"],
)
def test_the_content_of_a_file_gives_the_picture_of_the_file(photo, handed_over):
    np.testing.assert_array_equal(np.asarray(open_image(handed_over(photo))), np.asarray(open_image(photo)))


def test_a_file_object_is_read_from_its_start_wherever_it_stands_and_stays_open(photo):
    with photo.open("rb") as file:
        file.seek(100)
        first, second = (np.asarray(open_image(file)) for _ in range(2))
        assert not file.closed
    np.testing.assert_array_equal(first, second)


def test_a_member_of_a_zip_archive_and_a_stream_that_cannot_go_back_are_read(photo, tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(photo, "photo.jpg")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive, archive.open("photo.jpg") as member:
        assert open_image(member).size == (50, 90)
    forward = io.BytesIO(photo.read_bytes())
    forward.seek = lambda *_: (_ for _ in ()).throw(io.UnsupportedOperation("seek"))
    assert open_image(forward).size == (50, 90)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0"], ids=["empty", "text", "cut"])
@pytest.mark.parametrize("kind", [bytes, io.BytesIO])
def test_content_that_is_no_picture_is_refused_without_a_memory_address(content, kind):
    with pytest.raises(ImageFileError, match=r"the (bytes|BytesIO) given cannot be read \(") as refusal:
        open_image(kind(content))
    assert "0x" not in str(refusal.value)


def test_a_closed_file_object_and_one_of_text_are_refused(photo):
    with photo.open("rb") as file:
        pass
    with pytest.raises(ImageError, match=r"open and binary: got a closed one .*photo\.jpg"):
        open_image(file)
    text = photo.with_name("words.txt")
    text.write_text("words")
    with text.open() as file, pytest.raises(ImageError, match="open and binary: got one of text"):
        open_image(file)
    with pytest.raises(ImageError, match="got one of text"):
        open_image(io.StringIO("words"))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/b.png", "a/b.png"),
        (Place(Path("c.png")), "c.png"),
        (b"x", "the bytes given"),
        (np.zeros((2, 3), np.uint8), "the ndarray given"),
        (Image.new("L", (2, 3)), "the PIL image"),
        (Crop(Path("d.png"), (0, 0, 2, 3)), "d.png#xywh=0,0,2,3"),
    ],
)
def test_messages_call_a_source_by_its_file_or_by_what_it_is(source, name):
    assert source_name(source) == name


# ---- modes and frames -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (77, 255), (77, 77, 77)),
        ("LA", (77, 0), (255, 255, 255)),
        ("La", (77, 255), (77, 77, 77)),
        ("PA", (0, 0), (255, 255, 255)),
        ("RGBA", (200, 10, 30, 255), (200, 10, 30)),
        ("RGBA", (0, 0, 0, 0), (255, 255, 255)),
        ("RGBa", (200, 10, 30, 255), (200, 10, 30)),
        ("RGBX", (200, 10, 30, 0), (200, 10, 30)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("YCbCr", (77, 128, 128), (77, 77, 77)),
        ("HSV", (0, 255, 255), (255, 0, 0)),
    ],
)
def test_each_mode_gives_the_colour_it_means_with_transparency_on_white(mode, colour, expected):
    image = Image.new(mode, (WIDE, HIGH), colour)
    shown = opened(image)
    assert shown.image.getpixel((2, 3)) == expected
    assert shown.levels is None


@pytest.mark.parametrize("ending", ["gif", "tiff", "webp", "png"])
def test_of_several_frames_the_first_is_taken(tmp_path, ending):
    frames = [Image.new("RGB", (WIDE, HIGH), colour) for colour in ("red", "blue")]
    path = tmp_path / f"moving.{ending}"
    options = {"lossless": True} if ending == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    assert open_image(path).getpixel((2, 3)) == (255, 0, 0)


@pytest.mark.parametrize("source", [None, 3, {"RGB": "a.png"}, [np.zeros((4, 3), np.uint8)]])
def test_what_holds_no_picture_is_refused_with_its_type(source):
    with pytest.raises(ImageError, match=f"got {type(source).__name__}; convert it"):
        open_image(source)


def test_opening_a_bright_image_warns_of_nothing(photo):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_image(photo)


def test_a_part_of_a_file_is_cut_out_and_so_is_its_text_form(pixels, tmp_path):
    path = tmp_path / "two.png"
    Image.fromarray(pixels).save(path)
    part = Crop(path, (1, 2, 4, 8), (WIDE, HIGH))
    for source in (part, str(part), Path(str(part))):
        np.testing.assert_array_equal(np.asarray(open_image(source)), pixels[2:8, 1:4])
    assert str(part).endswith("two.png#xywh=1,2,3,6&of=5,9")
    assert (part.name, part.stem) == ("two.png", "two")


@pytest.mark.parametrize("size", [[WIDE, HIGH], np.array([WIDE, HIGH])])
def test_the_size_of_the_whole_file_may_come_in_any_sequence(pixels, size, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "two.png")
    assert open_image(Crop(tmp_path / "two.png", (1, 2, 4, 8), size)).size == (3, 6)


def test_a_file_whose_own_name_looks_like_a_part_is_opened_whole(pixels, tmp_path):
    path = tmp_path / "odd#xywh=0,0,1,1"
    Image.fromarray(pixels).save(path, format="PNG")
    assert open_image(path).size == (WIDE, HIGH)


@pytest.mark.parametrize(
    ("box", "size"), [((0, 0, 6, 9), None), ((3, 0, 3, 9), None), ((0, 0, 1, 1), (9, 5))]
)
def test_a_part_outside_of_its_file_or_of_a_file_of_another_size_is_refused(pixels, tmp_path, box, size):
    path = tmp_path / "whole.png"
    Image.fromarray(pixels).save(path)
    with pytest.raises(ImageFileError, match=r"whole\.png"):
        open_image(Crop(path, box, size))


@pytest.mark.parametrize(
    "box", [(0.5, 0, 2, 2), ("0", 0, 2, 2), (0, 0, 2), (0, 0, 2, None), "0022", None, 3, {1, 2, 3, 4}]
)
def test_a_part_of_no_whole_numbers_is_refused(box, tmp_path):
    with pytest.raises(ImageError, match=r"four whole numbers of pixels.*a\.png"):
        open_image(Crop(tmp_path / "a.png", box))


def test_what_opens_files_without_knowing_of_parts_fails(tmp_path):
    with pytest.raises(TypeError):
        Path(Crop(tmp_path / "a.png", (0, 0, 1, 1)))
