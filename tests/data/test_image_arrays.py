"""Arrays and tensors as images: one reading of each shape and type, or a refusal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mswin_viz.data.images.image_source import open_image
from mswin_viz.errors import ImageError

HIGH, WIDE = 9, 5


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, size=(HIGH, WIDE, 3), dtype=np.uint8)


def as_tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.copy())


@pytest.mark.parametrize(
    "handed_over",
    [
        lambda a: a,
        lambda a: a[:, ::-1][:, ::-1],
        lambda a: np.asfortranarray(a),
        lambda a: a.astype(np.float32) / 255,
        lambda a: a.astype(np.float64) / 255,
        lambda a: as_tensor(a),
        lambda a: as_tensor(a).permute(2, 0, 1),
        lambda a: as_tensor(a).permute(2, 0, 1).float() / 255,
        lambda a: (as_tensor(a).permute(2, 0, 1).float() / 255).requires_grad_(),
        lambda a: (as_tensor(a).permute(2, 0, 1).double() / 255),
        lambda a: np.concatenate([a, np.full((HIGH, WIDE, 1), 255, np.uint8)], axis=2),
        lambda a: torch.cat([as_tensor(a).permute(2, 0, 1), torch.full((1, HIGH, WIDE), 255, dtype=torch.uint8)]),
    ],
    ids=[
        "uint8", "reversed-twice", "fortran", "float32", "float64", "tensor-hwc", "tensor-chw", "float-chw",
        "with-gradient", "double-chw", "rgba", "rgba-chw",
    ],
)  # fmt: skip
def test_every_layout_of_a_colour_picture_gives_its_pixels(pixels, handed_over):
    np.testing.assert_array_equal(np.asarray(open_image(handed_over(pixels))), pixels)


@pytest.mark.parametrize(
    "handed_over",
    [
        lambda g: g,
        lambda g: g[..., None],
        lambda g: g / np.float32(255),
        lambda g: as_tensor(g),
        lambda g: as_tensor(g)[None],
        lambda g: as_tensor(g)[..., None],
        lambda g: as_tensor(g)[None].float() / 255,
    ],
    ids=["hw", "hw1", "float", "tensor", "1hw", "hw1-tensor", "float-1hw"],
)
def test_every_layout_of_a_grey_picture_gives_it_three_times(pixels, handed_over):
    grey = pixels[..., 0]
    opened = np.asarray(open_image(handed_over(grey)))
    np.testing.assert_array_equal(opened, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_the_nearest_of_256_values(dtype):
    opened = open_image(torch.full((3, HIGH, WIDE), 0.5, dtype=dtype))
    assert opened.getpixel((1, 2)) == (128, 128, 128)


@pytest.mark.parametrize("shape", [(3, 3, 3), (3, HIGH, 3), (1, HIGH, 3), (3, HIGH, 1), (4, HIGH, 3)])
def test_a_tensor_whose_channels_could_be_first_or_last_is_refused_with_both_ways_out(shape):
    with pytest.raises(ImageError, match=r"either fits; pass tensor\.permute\(1, 2, 0\)\.numpy\(\)"):
        open_image(torch.zeros(shape, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((8, 4, 2), np.uint8), r"got uint8 \(8, 4, 2\); move channels last"),
        (np.zeros((3, 8, 5), np.uint8), r"\(3, 8, 5\); move channels last"),
        (torch.zeros((6, 8, 5), dtype=torch.uint8), r"\(6, 8, 5\); move channels last"),
        (np.zeros((2, 8, 4, 3), np.uint8), r"pass a batch \[B, H, W, 3\] by itself"),
        (np.zeros(8, np.uint8), r"got uint8 \(8,\); cut it into pictures"),
        (np.ma.masked_equal(np.eye(8, 5, dtype=np.uint8), 1), r"masked array; fill it with"),
        (np.zeros((0, 4, 3), np.uint8), "which is empty"),
        (np.zeros((8, 5), bool), "got bool"),
        (torch.zeros((1, 8, 5), dtype=torch.bool), "got bool"),
        (np.zeros((8, 5), complex), "got complex128"),
        (np.zeros((8, 5), "datetime64[s]"), "datetime64"),
        (np.full((8, 5, 3), 200, np.int64), r"int64 .* values 200\.\.200; convert it to uint8"),
        (np.full((8, 5), -3, np.int16), r"values -3\.\.-3; convert it to uint8"),
        (np.full((8, 5, 4), 300, np.uint16), "one or three channels"),
        (np.full((8, 5, 3), 200.0), r"values 200\.\.200; divide it by 255"),
        (
            torch.full((3, 8, 5), -1.7),
            r"\(3, 8, 5\) with values -1\.7\.\.-1\.7; pass the picture as it was before it was normalised",
        ),
        (np.full((8, 5), 29_500.0), r"thermal_range=\(lo, hi\)"),
        (np.full((8, 5), np.nan), "replace NaN"),
        (torch.zeros((3, 8, 5)).to_sparse(), "NumPy cannot read"),
        (torch.zeros((3, 8, 5), device="meta"), "NumPy cannot read"),
    ],
)
def test_what_has_no_known_meaning_is_refused_with_what_was_got(array, said):
    with pytest.raises(ImageError, match=said):
        open_image(array)


def test_float_pictures_may_leave_0_to_1_by_rounding_only():
    assert open_image(np.full((8, 5), 1 + 1e-7)).getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(ImageError, match=r"1\.01"):
        open_image(np.full((8, 5), 1.01))
