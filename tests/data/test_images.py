"""Pictures of every kind arrive upright, 8-bit and RGB, or are refused by name."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mswin_viz.data.images import Crop, check_orientation, open_image, readable
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


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_sixteen_bits_are_scaled_linearly_to_eight(tmp_path, ending):
    values = np.linspace(0, 65535, HIGH * WIDE).reshape(HIGH, WIDE).round().astype(np.uint16)
    path = tmp_path / f"thermal.{ending}"
    Image.fromarray(values).save(path)
    expected = np.round(values.astype(float) * 255 / 65535)
    np.testing.assert_array_equal(np.asarray(open_image(path))[..., 1], expected)


def test_a_dark_sixteen_bit_image_is_announced_with_the_factor_that_stretches_it(tmp_path):
    path = tmp_path / "dark.png"
    Image.fromarray(np.full((HIGH, WIDE), 1000, np.uint16)).save(path)
    with pytest.warns(UserWarning, match=r"almost black.*multiply its values by 65\.5"):
        open_image(path)


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


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 3, 3), np.float32),
        np.zeros((4, 3), np.uint16),
        np.zeros((3, 8, 4, 3), np.uint8),
        np.zeros((8, 4, 2), np.uint8),
        np.zeros((3, 8, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=["float", "uint16", "batch", "two-channels", "channels-first", "empty"],
)
def test_an_array_of_another_type_or_shape_is_refused(array):
    with pytest.raises(ImageError, match="uint8"):
        open_image(array)


@pytest.mark.parametrize("source", [None, 3, b"bytes", [np.zeros((4, 3), np.uint8)]])
def test_what_is_neither_path_nor_picture_nor_array_is_refused(source):
    with pytest.raises(ImageError, match=type(source).__name__):
        open_image(source)


def test_floating_point_files_are_refused_as_images_not_as_files(tmp_path):
    path = tmp_path / "depth.tiff"
    Image.fromarray(np.full((HIGH, WIDE), 0.5, np.float32)).save(path)
    with pytest.raises(ImageError, match="floating-point"):
        open_image(path)


def test_thirty_two_bit_values_beyond_sixteen_bits_are_refused():
    with pytest.raises(ImageError, match="65535"):
        open_image(Image.fromarray(np.full((HIGH, WIDE), 70_000, np.int32)))


def test_one_broken_file_never_sinks_a_batch(photo, tmp_path, pixels):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo.read_bytes()[:700])
    good, problems = readable([photo, broken, pixels, tmp_path / "missing.png"])
    assert len(good) == 2
    assert good[0] is photo
    assert good[1] is pixels
    assert len(problems) == 2
    assert "broken.jpg" in problems[0]
    assert "missing.png" in problems[1]


@pytest.mark.parametrize("image_size", [(256, 128), (128, 256)])
def test_a_transposed_picture_is_refused_by_a_rectangular_model(image_size):
    height, width = image_size
    with pytest.raises(ImageError, match=f"{width} high and {height} wide"):
        check_orientation(Image.new("RGB", (height, width)), image_size)


@pytest.mark.parametrize(
    ("size", "image_size"), [((128, 256), (256, 128)), ((64, 64), (256, 128)), ((300, 20), (224, 224))]
)
def test_pictures_that_lie_like_the_input_and_square_ones_are_taken(size, image_size):
    check_orientation(Image.new("RGB", size), image_size)


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


def test_what_opens_files_without_knowing_of_parts_fails(tmp_path):
    with pytest.raises(TypeError):
        Path(Crop(tmp_path / "a.png", (0, 0, 1, 1)))
