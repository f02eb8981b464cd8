"""Images of more than 8 bits: one stated rule, a fixed range on request, and what is left is counted."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mswin_viz.data.images.deep_images import checked_range, eight_bit, rule_words
from mswin_viz.data.images.image_source import Crop, open_image, opened
from mswin_viz.errors import ImageError, OptionError

HIGH, WIDE = 40, 24
BANDS = [(7000, 8500), (21000, 23500), (29315, 30815)]


def ramp(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, HIGH * WIDE).reshape(HIGH, WIDE).round()


def grey(source: object, deep_range: tuple[float, float] | None = None) -> np.ndarray:
    """The picture's one channel, after a look at the others."""
    pixels = np.asarray(open_image(source, deep_range=deep_range))
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 1])
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])
    return pixels[..., 0]


def pnm(values: np.ndarray, largest: int) -> bytes:
    """A binary PGM file, as cameras write 12 bits."""
    return f"P5 {values.shape[1]} {values.shape[0]} {largest}\n".encode() + values.astype(">u2").tobytes()


def png_of_16_bit_channels(values: np.ndarray) -> bytes:
    """A colour PNG of 16 bits a channel, which PIL can read and not write."""
    high, wide, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def saved(folder: Path, values: np.ndarray, ending: str, **options: object) -> Path:
    path = folder / f"thermal.{ending}"
    if ending == "pgm":  # which Pillow 10 writes from 32-bit counts alone
        path.write_bytes(pnm(values, 65535))
        return path
    Image.fromarray(values).save(path, **options)
    return path


@pytest.mark.parametrize("band", [*BANDS, (0, 4095), (0, 65535)])
@pytest.mark.parametrize("ending", ["png", "tiff", "pgm", "jp2"])
def test_a_file_of_any_band_is_stretched_from_its_1st_to_its_99th_percentile(tmp_path, band, ending):
    values = ramp(*band).astype(np.uint16)
    low, high = np.percentile(values, (1, 99))
    expected = np.clip((values - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(grey(saved(tmp_path, values, ending)), expected, atol=0.51)
    assert opened(saved(tmp_path, values, ending)).levels.count > 200


def test_one_hot_and_one_dead_pixel_do_not_take_the_contrast(tmp_path):
    values = ramp(29315, 30815).astype(np.uint16)
    values[0, 0], values[7, 3] = 65535, 0
    shown = grey(saved(tmp_path, values, "png"))
    assert shown[1:].std() > 60


@pytest.mark.parametrize("band", BANDS)
def test_a_fixed_range_gives_the_same_count_the_same_grey_in_every_file(band):
    low, high = band
    narrow, wide = (grey(np.full((HIGH, WIDE), low + 300, np.uint16), band) for _ in range(2))
    expected = round(300 / (high - low) * 255)
    assert (narrow == expected).all()
    assert (wide == expected).all()
    ends = grey(np.array([[0, low, high, 65535]] * 2, np.uint16), band)
    np.testing.assert_array_equal(ends, [[0, 0, 255, 255]] * 2)


@pytest.mark.parametrize("band", BANDS)
def test_eight_bits_stored_as_counts_come_back_from_their_range_bit_for_bit(band):
    low, high = band
    picture = np.random.default_rng(5).integers(0, 256, size=(HIGH, WIDE), dtype=np.uint8)
    counts = np.round(low + picture * ((high - low) / 255)).astype(np.uint16)
    np.testing.assert_array_equal(grey(counts, band), picture)


@pytest.mark.parametrize(
    "handed_over",
    [
        lambda v, _: v,
        lambda v, _: v.astype(">u2"),
        lambda v, _: v[..., None],
        lambda v, _: np.repeat(v[..., None], 3, axis=2),
        lambda v, _: torch.from_numpy(v),
        lambda v, _: torch.from_numpy(v)[None],
        lambda v, _: Image.fromarray(v),
        lambda v, _: Image.fromarray(v.astype(np.int32)),
        lambda v, folder: saved(folder, v, "png").read_bytes(),
        lambda v, folder: saved(folder, v, "tiff"),
        lambda v, folder: saved(folder, v, "tiff", compression="tiff_lzw"),
        lambda v, _: Image.frombytes("I;16B", (WIDE, HIGH), v.astype(">u2").tobytes()),
        lambda v, _: pnm(v, 65535),
        lambda v, _: pnm(v, 30_900),
    ],
    ids=[
        "uint16", "big-endian", "hw1", "three-channels", "tensor", "tensor-1hw", "I;16", "I", "bytes", "tiff",
        "compressed", "I;16B", "pgm", "pgm-of-fewer-bits",
    ],
)  # fmt: skip
@pytest.mark.parametrize("deep_range", [None, (29_000, 31_000)])
def test_arrays_tensors_and_modes_of_the_same_counts_give_the_same_picture(tmp_path, handed_over, deep_range):
    values = ramp(29315, 30815).astype(np.uint16)
    expected, _ = eight_bit(values, "x", deep_range)
    shown = grey(handed_over(values, tmp_path), deep_range)
    np.testing.assert_allclose(shown.astype(int), expected, atol=1)  # percentiles lie between two pixels


@pytest.mark.parametrize("value", [0, 8, 29_000, 65535])
def test_a_constant_image_is_middle_grey(value):
    shown, levels = eight_bit(np.full((HIGH, WIDE), value, np.uint16), "x", None)
    assert (shown == 128).all()
    assert levels == (1, value, value, 0.0)


def test_a_small_object_before_a_flat_background_is_not_lost():
    values = np.full((HIGH, WIDE), 29_000, np.uint16)
    values[3:5, 4:6] = [[29_100, 29_200], [29_300, 29_400]]
    shown = grey(values)
    assert shown[0, 0] == 0
    np.testing.assert_array_equal(shown[3:5, 4:6], [[64, 128], [191, 255]])


def test_a_part_of_a_file_is_stretched_by_its_own_percentiles(tmp_path):
    left, right = ramp(7000, 8500), ramp(29_315, 30_815)
    path = saved(tmp_path, np.concatenate([left, right], axis=1).astype(np.uint16), "png")
    part = Crop(path, (WIDE, 0, 2 * WIDE, HIGH))
    np.testing.assert_array_equal(grey(part), grey(right.astype(np.uint16)))


@pytest.mark.parametrize("values", [ramp(293.15, 308.15), ramp(-20, 40)])
def test_floating_point_temperatures_need_a_range_and_are_then_mapped_by_it(tmp_path, values):
    path = saved(tmp_path, values.astype(np.float32), "tiff")
    with pytest.raises(ImageError, match=r"floating-point.*thermal\.tiff.*thermal_range=\(lo, hi\)"):
        open_image(path)
    low, high = float(values.min()), float(values.max())
    for source in (path, values, values.astype(np.float32), torch.from_numpy(values)):
        expected = np.round((values - low) / (high - low) * 255)
        np.testing.assert_allclose(grey(source, (low, high)), expected, atol=1)


def test_counts_beyond_sixteen_bits_and_below_zero_need_a_range(tmp_path):
    for values in (np.full((HIGH, WIDE), 70_000, np.int32), np.full((HIGH, WIDE), -500, np.int32)):
        path = saved(tmp_path, values, "tiff")
        with pytest.raises(ImageError, match=r"counts of 0\.\.65535: .*thermal\.tiff.*thermal_range"):
            open_image(path)
        assert (grey(path, (-1000, 71_000)) == round((values[0, 0] + 1000) / 72_000 * 255)).all()


def test_values_that_are_not_finite_are_refused_by_name(tmp_path):
    values = ramp(290, 300).astype(np.float32)
    values[2, 3] = np.nan
    with pytest.raises(ImageError, match=r"thermal\.tiff holds NaN"):
        open_image(saved(tmp_path, values, "tiff"), deep_range=(290, 300))


@pytest.mark.parametrize("deep_range", [None, (290, 300)])
def test_a_signalling_nan_is_refused_like_any_other_and_warns_of_nothing(tmp_path, deep_range):
    values = ramp(290, 300).astype(np.float32)
    values.view(np.uint32)[2, 3] = 0x7FA00000
    with pytest.raises(ImageError, match=r"thermal\.tiff holds NaN"):
        open_image(saved(tmp_path, values, "tiff"), deep_range=deep_range)


@pytest.mark.parametrize("deep_range", [None, (29_315, 30_815)])
def test_eight_bits_are_never_touched(tmp_path, deep_range):
    picture = np.random.default_rng(6).integers(90, 99, size=(HIGH, WIDE, 3), dtype=np.uint8)
    for source in (picture, Image.fromarray(picture), saved(tmp_path, picture, "png"), picture / 255):
        shown = opened(source, deep_range=deep_range)
        np.testing.assert_array_equal(np.asarray(shown.image), picture)
        assert shown.levels is None


def test_a_colour_file_of_sixteen_bits_is_read_in_its_upper_eight_and_its_greys_are_counted():
    values = np.repeat(ramp(7000, 8500)[..., None], 3, axis=2)
    shown = opened(io.BytesIO(png_of_16_bit_channels(values)), deep_range=(7000, 8500))
    np.testing.assert_array_equal(np.asarray(shown.image), values.astype(int) // 256)
    assert shown.levels.count == 7  # of 1501 counts
    assert np.isnan(shown.levels.low)
    picture = np.random.default_rng(7).integers(0, 65536, size=(HIGH, WIDE, 3))
    assert opened(png_of_16_bit_channels(picture)).levels.count > 200


def test_levels_say_what_the_file_holds_and_what_lies_outside_the_range():
    values = np.repeat([[100, 200, 300, 400]], 4, axis=0).astype(np.uint16)
    assert opened(values, deep_range=(150, 350)).levels == (4, 100, 400, 0.5)
    assert opened(values).levels.outside == 0


@settings(max_examples=60, deadline=None)
@given(
    low=st.integers(0, 60_000),
    width=st.integers(1, 5535),
    seed=st.integers(0, 99),
    deep_range=st.one_of(st.none(), st.just((20_000.0, 30_000.0))),
)
def test_a_brighter_count_is_never_shown_darker(low, width, seed, deep_range):
    values = np.random.default_rng(seed).integers(low, low + width + 1, size=(9, 5)).astype(np.uint16)
    shown, levels = eight_bit(values, "x", deep_range)
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(shown.ravel()[order].astype(int)) >= 0).all()
    assert levels.count == len(np.unique(shown))


@pytest.mark.parametrize(
    "asked", [(1, 2), [1.5, 2], np.array([1, 2]), (-40.0, 60), (np.float32(1), np.int64(2))]
)
def test_a_range_of_two_numbers_is_taken(asked):
    assert checked_range(asked) == tuple(float(value) for value in asked)


@pytest.mark.parametrize(
    "asked",
    [
        5,
        (1,),
        (1, 2, 3),
        (2, 1),
        (1, 1),
        (1, np.nan),
        (-np.inf, 1),
        ("1", "2"),
        "12",
        (True, 2),
        {1, 2},
        (),
        (None, 1),
    ],
)
def test_a_range_that_is_none_is_refused(asked):
    with pytest.raises(OptionError, match="thermal_range must be two finite numbers, the smaller one first"):
        checked_range(asked)


def test_the_rule_in_words_keeps_every_digit_of_a_range():
    assert rule_words(None) == "percentiles 1..99 of each image -> 0..255"
    assert rule_words((29315.0, 30815.0)) == "29315..30815 -> 0..255"
    assert rule_words((293.15, 1234567.5)) == "293.15..1234567.5 -> 0..255"
