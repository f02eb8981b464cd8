"""Picture files are opened in one place: regular files, in picture formats, of no more pixels than the limit."""

from __future__ import annotations

import ast
import io
import os
import socket
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from support.picture_kinds import HIGH, WIDE, damaged, files, picture, saved

from mswin_viz.data.images.image_source import Crop, open_image, opened
from mswin_viz.data.images.picture_files import LIMIT, picture_formats
from mswin_viz.data.sets.files import image_suffixes
from mswin_viz.errors import ImageError, ImageFileError, OptionError

PACKAGE = Path(__file__).resolve().parents[2] / "mswin_viz"


def reason(source: object) -> str:
    with pytest.raises(ImageFileError) as refusal:
        open_image(source)
    return str(refusal.value)


# ---- one place ------------------------------------------------------------------------------


def test_nothing_in_the_package_opens_pictures_past_the_one_place_that_does():
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name.endswith(("Image.open", "ImageFile.Parser", "imread")) or ".OPEN[" in name:
                found.append(f"{path.name}: {name}")
    assert found == []


# ---- regular files --------------------------------------------------------------------------


@pytest.fixture
def special(tmp_path: Path) -> dict[str, Path]:
    """Files that are none, by what they are."""
    found = {
        "a pipe": tmp_path / "pipe.jpg",
        "a socket": tmp_path / "socket.jpg",
        "a folder": tmp_path / "f.jpg",
    }
    os.mkfifo(found["a pipe"])
    found["a folder"].mkdir()
    where = os.getcwd()
    os.chdir(tmp_path)  # a socket's address is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("socket.jpg")
    finally:
        os.chdir(where)
    return found


@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a folder"])
@pytest.mark.parametrize("through_link", [False, True])
def test_what_is_no_regular_file_is_refused_at_once_by_name(kind, through_link, special, tmp_path):
    path = special[kind]
    if through_link:
        (tmp_path / "link.jpg").symlink_to(path)
        path = tmp_path / "link.jpg"
    found: list[BaseException] = []

    def tried() -> None:
        try:
            open_image(path)
        except ImageFileError as problem:
            found.append(problem)

    thread = threading.Thread(target=tried, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits for another program"
    assert path.name in str(found[0])
    assert kind in str(found[0])


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full", "/dev/tty"])
def test_a_device_is_refused(device, tmp_path):
    if not Path(device).exists():
        pytest.skip(f"needs {device}")
    (tmp_path / "device.png").symlink_to(device)
    assert "a device" in reason(tmp_path / "device.png")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("path", ["/proc/self/status", "/proc/self/mem", "/proc/kmsg"])
def test_a_file_of_the_kernel_that_says_it_is_empty_is_refused(path):
    assert "cannot be read" in reason(path)


def test_standard_input_is_refused_whether_or_not_something_comes():
    code = (
        "from mswin_viz.data.images.image_source import open_image\n"
        "try:\n    open_image('/dev/stdin')\nexcept OSError as problem:\n    print(problem)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert "a pipe" in process.stdout.readline()
        process.stdin.close()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("a\0b.jpg", "null"),
        ("n" * 300 + ".jpg", "too long"),
        ("x/" * 3000 + "a.jpg", "too long"),
        ("missing\udce9.jpg", "No such file"),
        ("missing.jpg#xywh=1,2,3,4", "No such file"),
        ("missing.jpg#xywh=" + "9" * 5000 + ",2,3,4", "too long"),
        ("~nobody-of-this-name/a.jpg", "No such file"),
        ("", "No such file"),
    ],
    ids=["NUL", "long name", "long path", "surrogate", "part", "part of a huge number", "tilde", "empty"],
)
def test_a_path_that_no_file_can_have_is_refused_in_words(path, words):
    found = reason(path)
    assert words in found
    assert len(found) < 7000
    assert found.isprintable()


def test_a_file_cut_short_while_it_is_open_never_ends_the_program(tmp_path):
    """Pillow maps uncompressed files into memory; reading beyond the end of such a map kills Python."""
    path = tmp_path / "big.bmp"
    Image.new("RGB", (2000, 1000)).save(path)
    code = (
        "import os, sys\nfrom mswin_viz.data.images import picture_files as p\n"
        "with p.opened_file(sys.argv[1], 'big') as image:\n"
        "    os.truncate(sys.argv[1], 5000)\n"
        "    try:\n        p.loaded(image)\n    except OSError as problem:\n        print('refused', problem)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "refused" in done.stdout


# ---- formats --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n", "a PostScript document"),
        (b"\xc5\xd0\xd3\xc6" + bytes(60), "a PostScript document"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
        (b"\xd7\xcd\xc6\x9a" + bytes(60), "a Windows metafile"),
        (struct.pack("<LL", 1, 108) + bytes(32) + b" EMF" + bytes(40), "a Windows metafile (EMF)"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="x"/>', "an SVG drawing"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html></html>", "an HTML page"),
        (b"<html><body>404</body></html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "git lfs pull"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "an HDF5 file"),
        (b"SIMPLE  =                    T", "a FITS file"),
        (b"GRIB\0\0\0\1" + bytes(60), "a GRIB file"),
        (b"BUFR\0\0\0\1" + bytes(60), "a BUFR file"),
        (b"PK\x03\x04" + bytes(60), "a ZIP archive"),
        (b"\x1f\x8b\x08" + bytes(60), "a gzip archive"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "a HEIC picture"),
        (b"\0\0\0\x18ftypisom" + bytes(60), "a film"),
        (b"\x93NUMPY\1\0" + bytes(60), "a NumPy array"),
        (b"a,b\n1,2\n", "it is text"),
        (b"\0\1\2\3" * 20, "not in a supported image format"),
        (b"", "it is empty"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("given", ["file", "bytes"])
def test_what_is_no_picture_is_refused_with_what_it_is(content, words, given, tmp_path):
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    assert words in reason(path if given == "file" else content)


def test_no_other_program_is_started_for_a_postscript_file(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(subprocess, "check_call", lambda *args, **_: started.append(args))
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **_: started.append(args))
    (tmp_path / "a.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    )
    assert "PostScript" in reason(tmp_path / "a.jpg")
    assert started == []


@pytest.mark.parametrize("kind", files())
def test_each_format_that_is_read_gives_its_picture(kind):
    image = open_image(files()[kind])
    assert sorted(image.size) == [WIDE, HIGH]
    assert image.mode == "RGB"


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", ".bmp", ".webp", ".gif", ".ppm", ".jp2", ".tga"])
def test_ordinary_endings_are_those_of_pictures(ending):
    assert ending in image_suffixes()


@pytest.mark.parametrize(
    "ending", [".eps", ".ps", ".pdf", ".wmf", ".emf", ".fits", ".grib", ".h5", ".ico", ".icns", ".mpg"]
)
def test_endings_of_documents_drawings_and_stubs_are_not(ending):
    assert ending not in image_suffixes()


def test_a_format_without_a_mark_is_read_only_under_its_own_ending(tmp_path):
    content = files()["tga"]
    for name in ("a.tga", "a.TGA", "a"):
        (tmp_path / name).write_bytes(content)
        assert open_image(tmp_path / name).size == (WIDE, HIGH)
    (tmp_path / "a.jpg").write_bytes(content)
    assert "not in a supported image format" in reason(tmp_path / "a.jpg")


def test_a_format_that_the_user_adds_to_pillow_is_read(monkeypatch):
    class Own(ImageFile.ImageFile):
        format = "OWN"

        def _open(self) -> None:
            self._mode, self._size = "L", (3, 2)
            self.tile = [ImageFile._Tile("raw", (0, 0, 3, 2), 4, ("L", 0, 1))]

    monkeypatch.setitem(Image.OPEN, "OWN", (Own, lambda start: start.startswith(b"OWN!")))
    assert open_image(b"OWN!" + bytes([9] * 6)).getpixel((2, 1)) == (9, 9, 9)


# ---- pixels ---------------------------------------------------------------------------------


def empty_png(width: int, height: int, *, rows: int = 0) -> bytes:
    """A grey PNG whose header claims a size; data of a few rows only."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    header = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes((width + 1) * rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(size: tuple[int, int], tile: tuple[int, int]) -> bytes:
    """A grey TIFF without data, of a size and in tiles of another."""
    values = {
        256: size[0],
        257: size[1],
        258: 8,
        259: 8,
        262: 1,
        277: 1,
        322: tile[0],
        323: tile[1],
        324: 200,
        325: 9,
    }
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in values.items())
    return b"II*\0" + struct.pack("<LH", 8, len(values)) + entries + bytes(300)


HUGE = {
    "png": lambda: empty_png(15000, 10000),
    "png of one row": lambda: empty_png(150_000_000, 1),
    "png beyond Pillow's own limit": lambda: empty_png(60000, 60000),
    "bmp": lambda: saved(Image.new("RGB", (1, 1)), "BMP").replace(struct.pack("<LL", 1, 1), struct.pack("<LL", 12000, 12000), 1),
    "gif": lambda: saved(Image.new("L", (1, 1)), "GIF").replace(struct.pack("<HH", 1, 1), struct.pack("<HH", 12000, 12000)),
    "ppm": lambda: b"P5 20000 20000 255\n" + bytes(100),
    "tiff": lambda: tiff((12000, 12000), (16, 16)),
    "tiff of huge tiles": lambda: tiff((8, 8), (12000, 8400)),
}  # fmt: skip


@pytest.mark.parametrize("kind", HUGE)
@pytest.mark.parametrize("given", ["file", "bytes", "part"])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(kind, given, tmp_path, monkeypatch):
    path = tmp_path / "huge"
    path.write_bytes(HUGE[kind]())
    decoded = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: decoded.append(image.size))
    monkeypatch.setattr(
        Image, "MAX_IMAGE_PIXELS", None
    )  # GIF and TIFF look at sizes inside the file, and warn
    found = reason({"file": path, "bytes": path.read_bytes(), "part": Crop(path, (0, 0, 5, 5))}[given])
    assert "at most 100,000,000 pixels" in found
    assert LIMIT in found
    assert decoded == []


@pytest.mark.parametrize(
    "kind", ["png", "png of one row", "png beyond Pillow's own limit", "bmp", "ppm", "tiff"]
)
def test_pillows_own_limit_neither_warns_nor_raises(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "at most 100,000,000 pixels" in reason(HUGE[kind]())


def test_the_limit_is_exact_and_can_be_set(monkeypatch, tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (30, 20)).save(path)
    monkeypatch.setenv(LIMIT, "600")
    assert open_image(path).size == (30, 20)
    monkeypatch.setenv(LIMIT, "599")
    found = reason(path)
    assert "at most 599 pixels" in found
    assert f"{path} has a picture 30 wide and 20 high" in found
    with Image.open(path) as lazy:
        assert "at most 599 pixels" in reason(lazy)
        lazy.load()
        assert open_image(lazy).size == (30, 20), "what is in memory already is no danger"
    assert open_image(np.zeros((20, 30), np.uint8)).size == (30, 20)


@pytest.mark.parametrize("kind", [*files(), "avif", "jpeg 2000"])
@pytest.mark.parametrize("given", ["bytes", "lazy"])
def test_the_limit_holds_for_each_format(kind, given, monkeypatch):
    missing = {"avif": "AVIF", "jpeg 2000": "JPEG2000"}
    if kind in missing:
        if missing[kind] not in Image.SAVE and missing[kind] not in picture_formats():
            pytest.skip(f"needs a Pillow that writes {missing[kind]}")
        content = saved(picture(), missing[kind])
    else:
        content = files()[kind]
    n_pixels = WIDE * HIGH
    monkeypatch.setenv(LIMIT, str(n_pixels))
    assert open_image(content).size in ((WIDE, HIGH), (HIGH, WIDE))
    monkeypatch.setenv(LIMIT, str(n_pixels - 1))
    if given == "bytes":
        assert "pixels" in reason(content)
    else:
        with Image.open(io.BytesIO(content)) as lazy:
            assert "pixels" in reason(lazy)


def test_a_limit_above_pillows_own_is_kept_to_without_its_warning(monkeypatch):
    monkeypatch.setenv(LIMIT, "1000")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(saved(Image.new("RGBA", (31, 30)), "PNG")).size == (31, 30)
        part = open_image(saved(Image.new("L", (31, 30), 5), "BMP"))
        assert part.size == (31, 30)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("asked", ["0", "-5", "1e6", "many", "1_000", "9" * 30, "½", "10 000"])
def test_a_limit_that_is_no_number_is_refused(asked, monkeypatch):
    monkeypatch.setenv(LIMIT, asked)
    with pytest.raises(OptionError, match="whole number of pixels"):
        open_image(files()["png"])


def test_a_part_is_cut_out_exactly_whatever_pillow_allows(monkeypatch, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    cut = open_image(Crop(tmp_path / "a.png", (3, 7, 65, 44)))
    np.testing.assert_array_equal(np.asarray(cut), pixels[7:44, 3:65])


def test_transparency_of_a_picture_of_several_bands_is_laid_on_white(monkeypatch):
    monkeypatch.setattr("mswin_viz.data.images.decoded_pixels._BAND", 100)
    pixels = np.random.default_rng(1).integers(0, 256, (51, 30, 4), dtype=np.uint8)
    image = Image.fromarray(pixels)
    expected = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    np.testing.assert_array_equal(np.asarray(open_image(image)), np.asarray(expected))


# ---- whatever Pillow raises -----------------------------------------------------------------

ERRORS = [
    OSError("late"), SyntaxError("late"), ValueError("late"), struct.error("late"), KeyError("late"), IndexError("late"),
    AttributeError("late"), TypeError("late"), RecursionError("late"), MemoryError(), ZeroDivisionError("late"),
    OverflowError("late"), RuntimeError("late"), NotImplementedError(), AssertionError(), EOFError(), UserWarning("late"),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "late"), Image.DecompressionBombError("late"), zlib.error("late"),
]  # fmt: skip


@pytest.mark.parametrize("raised", ERRORS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("where", ["header", "pixels", "conversion"])
def test_whatever_a_decoder_raises_is_an_error_that_names_the_file(raised, where, tmp_path, monkeypatch):
    path = tmp_path / "odd.gif"
    path.write_bytes(files()["gif"])

    def raising(*_: object, **__: object) -> None:
        raise raised

    if where == "header":
        Image.init()
        monkeypatch.setitem(Image.OPEN, "GIF", (raising, Image.OPEN["GIF"][1]))
    else:
        monkeypatch.setattr(Image.Image if where == "conversion" else ImageFile.ImageFile,
                            "convert" if where == "conversion" else "load", raising)  # fmt: skip
    found = reason(path)
    assert "odd.gif cannot be read (" in found
    assert "late" in found or type(raised).__name__ in found


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_wish_to_stop_is_no_damage(stop, monkeypatch):
    def stopping(*_: object) -> None:
        raise stop

    monkeypatch.setattr(ImageFile.ImageFile, "load", stopping)
    with pytest.raises(stop):
        open_image(files()["gif"])


def gone(path: Path, lazy: Image.Image) -> None:
    path.write_bytes(path.read_bytes()[:60])


def closed(path: Path, lazy: Image.Image) -> None:
    lazy.close()


def without_file(path: Path, lazy: Image.Image) -> None:
    lazy.fp = None


@pytest.mark.parametrize("fate", [gone, closed, without_file])
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "gif", "bmp", "webp"])
def test_a_lazy_image_that_fails_late_is_named_by_its_file(fate, ending, tmp_path):
    path = tmp_path / f"lazy.{ending}"
    noise = np.random.default_rng(2).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    with Image.open(path) as lazy:
        fate(path, lazy)
        try:
            found = reason(lazy)
        except (pytest.fail.Exception, AssertionError):
            assert ending == "webp", "only WebP holds its whole file from the start"
        else:
            assert f"lazy.{ending}" in found


def test_an_image_whose_handle_was_closed_is_named_as_what_it_is():
    file = io.BytesIO(files()["png"])
    lazy = Image.open(file)
    file.close()
    assert "the PIL image cannot be read" in reason(lazy)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_of_no_pixels_is_refused(size):
    with pytest.raises((ImageFileError, ImageError), match=f"{size[0]} wide and {size[1]} high"):
        open_image(Image.new("RGB", size))


# ---- many damaged files ---------------------------------------------------------------------


def tried(kind: str, seed: int, n_files: int) -> int:
    """How many damaged files of a format gave a picture; any error but ours ends the test."""
    rng, content, good = np.random.default_rng(seed), files()[kind], 0
    for _ in range(n_files):
        try:
            found = opened(damaged(content, rng))
        except (ImageFileError, ImageError):
            continue
        else:
            assert found.image.mode == "RGB"
            assert min(found.image.size) > 0
            good += 1
    return good


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", files())
def test_a_damaged_file_gives_a_picture_or_an_error_that_names_it(kind, capfd):
    assert 0 <= tried(kind, 11, 30) < 30
    assert "TIFF" not in capfd.readouterr().err


@pytest.mark.torture
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", files())
def test_a_thousand_damaged_files_of_each_format_give_a_picture_or_an_error(kind, capfd):
    assert tried(kind, 12, 1000) < 1000
    assert "Decode" not in capfd.readouterr().err


def test_the_whole_picture_still_opens_after_all_this():
    np.testing.assert_array_equal(np.asarray(open_image(files()["bmp"])), np.asarray(picture()))
