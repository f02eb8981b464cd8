"""What is said about a set of pictures: counts of strong distortion, transposed inputs, and few grey levels."""

from __future__ import annotations

import numpy as np
import pytest

from mswin_viz.data.images.deep_images import Levels
from mswin_viz.data.images.picture_facts import PictureFacts, picture_notes

UPRIGHT, LYING = (256, 128), (128, 256)


def notes(
    sizes: list[tuple[int, int]], image_size: tuple[int, int], stretches: bool = True
) -> tuple[str, ...]:
    """Of pictures of these widths and heights."""
    facts = [PictureFacts(f"{at}.jpg", size, None) for at, size in enumerate(sizes)]
    return picture_notes(facts, image_size, stretches=stretches, deep_range=None)


def deep(levels: list[Levels], deep_range: tuple[float, float] | None = None) -> str:
    """The note on deep images, among one of 8 bits; empty for none."""
    facts = [PictureFacts(f"{at}.png", (64, 128), one) for at, one in enumerate(levels)]
    found = picture_notes(
        [*facts, PictureFacts("8.jpg", (64, 128), None)], UPRIGHT, stretches=True, deep_range=deep_range
    )
    return "".join(found)


@pytest.mark.parametrize(
    ("size", "image_size"),
    [
        ((64, 128), UPRIGHT),  # Market-1501
        ((128, 256), UPRIGHT),  # RGBNT201
        ((60, 190), UPRIGHT),
        ((128, 128), UPRIGHT),
        ((50, 200), UPRIGHT),
        ((256, 128), LYING),  # RGBNT100
        ((128, 128), LYING),  # a car from the front
        ((64, 128), (224, 224)),
    ],
)
def test_of_ordinary_crops_nothing_is_said(size, image_size):
    assert notes([size] * 2, image_size) == ()


@pytest.mark.parametrize("n_across", [1, 4, 9])
def test_distorted_pictures_are_counted_among_all_with_the_worst_by_name(n_across):
    sizes = [(101, 100)] * (n_across - 1) + [(300, 100)] + [(64, 128)] * 20
    (note,) = notes(sizes, UPRIGHT)
    assert (
        f"{n_across} of {n_across + 20} images {'is' if n_across == 1 else 'are'} strongly distorted" in note
    )
    whose = "its" if n_across == 1 else "their"
    assert f"256x128 (height x width) changes {whose} aspect ratio more than 2 times" in note
    assert f"{n_across - 1}.jpg, 100 high and 300 wide" in note
    assert "transposed" not in note


def test_of_one_picture_the_shape_is_told_only_if_asked():
    facts = [PictureFacts("wide.jpg", (400, 60), None)]
    assert picture_notes(facts, UPRIGHT, stretches=True, deep_range=None) == ()
    (note,) = picture_notes(facts, UPRIGHT, stretches=True, deep_range=None, even_of_one=True)
    assert note == (
        "wide.jpg is strongly distorted: resizing it from 60x400 to the input of 256x128 (height x width) changes its "
        "aspect ratio 13.3 times"
    )
    ordinary = [PictureFacts("square.jpg", (128, 128), None)]
    assert picture_notes(ordinary, UPRIGHT, stretches=True, deep_range=None, even_of_one=True) == ()


@pytest.mark.parametrize(("image_size", "size"), [(UPRIGHT, (256, 128)), (LYING, (128, 256))])
def test_where_most_lie_across_the_input_the_transposed_size_is_named_once(image_size, size):
    (note,) = notes([size] * 3 + [size[::-1]] * 2, image_size)
    assert "3 of 5 images are strongly distorted" in note
    assert "3 of 5 images lie across the input" in note
    assert f"image_size=({image_size[1]}, {image_size[0]})" in note


def test_half_of_a_set_across_is_no_sign_of_a_transposed_input():
    (note,) = notes([(256, 128), (128, 256)], UPRIGHT)
    assert "1 of 2 images is strongly distorted" in note
    assert "transposed" not in note


@pytest.mark.parametrize("size", [(256, 128), (1000, 10)])
def test_of_a_single_picture_the_shape_is_not_reported(size):
    assert notes([size], UPRIGHT) == ()


def test_most_across_without_strong_distortion_is_said_too():
    (note,) = notes([(210, 200)] * 3, (220, 200))
    assert note.startswith("3 of 3 images lie across")


@pytest.mark.parametrize("size", [(256, 128), (128, 256), (1000, 10)])
def test_a_square_input_has_no_pictures_across_and_one_that_crops_distorts_none(size):
    assert "transposed" not in "".join(notes([size] * 3, (224, 224)))
    assert notes([size] * 3, (224, 224), stretches=False) == ()


def test_nothing_is_said_of_nothing():
    assert notes([], UPRIGHT) == ()


@pytest.mark.parametrize(("count", "is_few"), [(1, True), (6, True), (31, True), (32, False), (256, False)])
def test_fewer_than_32_greys_are_said_with_counts_file_and_values(count, is_few):
    note = deep([Levels(200, 0, 65535, 0), Levels(count, 7000, 7012, 0)])
    assert ("grey levels" in note) == is_few
    if is_few:
        assert "percentiles 1..99 of each image" in note
        assert (
            f"1 of 2 keeps fewer than 32 grey levels (fewest: {count} in 1.png, which holds 7000..7012)"
            in note
        )
        assert "check how they were written" in note


def test_several_images_stretched_one_by_one_are_counted_with_the_way_to_one_range():
    counts, colour = [Levels(256, 7000, 8500, 0)], Levels(200, np.nan, np.nan, 0)
    note = deep(counts * 3 + [colour])
    assert note.startswith(
        "3 images of more than 8 bits are stretched one by one (percentiles 1..99 of each image"
    )
    assert "mv.thermal_range(samples)" in note
    assert [deep(some) for some in (counts, [], [colour] * 2)] == [""] * 3
    assert deep(counts * 3, (7000, 8500)) == ""


def test_with_a_range_that_is_too_wide_a_closer_one_is_advised():
    note = deep([Levels(6, 7000, 8500, 0)] * 3, (0, 65535))
    assert "3 of 3 keep fewer than 32" in note
    assert "thermal_range closer to what the files hold than 0..65535, or leave it out" in note


def test_a_range_that_most_pixels_lie_outside_of_is_said():
    note = deep([Levels(256, 0, 65535, 0.98), Levels(256, 29_400, 30_800, 0.9)], (29315, 30815))
    assert (
        "1 of 2 has more than 90% of its pixels outside the range (most: 0.png, which holds 0..65535)" in note
    )


def test_of_a_colour_file_it_is_said_that_its_lower_bits_are_not_read():
    note = deep([Levels(7, np.nan, np.nan, 0)])
    assert "7 in 0.png, a colour file of which the upper 8 bits are read" in note
    assert "save these colour files as one grey channel" in note


def test_grey_and_colour_files_with_a_range_get_the_advice_of_both():
    words = deep([Levels(7, 7000, 8500, 0.0), Levels(7, np.nan, np.nan, 0.0)], (0, 65535))
    assert "choose a thermal_range closer to what the files hold than 0..65535" in words
    assert words.endswith(
        "save these colour files as one grey channel of 16 bits, of which every bit is read"
    )
