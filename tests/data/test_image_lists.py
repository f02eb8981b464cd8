"""Images as they are handed over: which are one, which are several, and which are refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from mswin_viz.data.images.image_lists import listed_images
from mswin_viz.data.images.image_source import Crop
from mswin_viz.errors import ImageError

PATHS = [Path("b.png"), Path("a.png")]


@pytest.mark.parametrize(
    "one",
    [
        "a.png",
        Path("a.png"),
        Crop(Path("a.png"), (0, 0, 2, 3)),
        b"content",
        bytearray(b"content"),
        memoryview(b"content"),
        io.BytesIO(b"content"),
        Image.new("L", (2, 3)),
        np.zeros((4, 3), np.uint8),
        np.zeros((4, 3, 3), np.uint8),
        torch.zeros((3, 5, 4), dtype=torch.uint8),
        5,
        None,
    ],
    ids=lambda one: type(one).__name__,
)
def test_one_image_is_a_list_of_itself(one):
    (found,) = listed_images(one)
    assert found is one


@pytest.mark.parametrize(
    "several",
    [
        PATHS,
        tuple(PATHS),
        (path for path in PATHS),
        map(Path, ["b.png", "a.png"]),
        iter(PATHS),
        dict(enumerate(PATHS)).values(),
        dict.fromkeys(PATHS).keys(),
        np.array(PATHS, dtype=object),
        pd.Series(PATHS),
        pd.Index(PATHS),
    ],
    ids=["list", "tuple", "generator", "map", "iterator", "values", "keys", "objects", "Series", "Index"],
)
def test_several_images_are_listed_in_their_order(several):
    assert listed_images(several) == PATHS


@pytest.mark.parametrize("names", [np.array(["b.png", "a.png"]), pd.Series(["b.png", "a.png"])])
def test_names_in_an_array_are_paths(names):
    assert listed_images(names) == ["b.png", "a.png"]


def test_a_single_path_in_an_array_is_one_image():
    assert listed_images(np.array("a.png")) == ["a.png"]


@pytest.mark.parametrize(
    "batch",
    [
        np.arange(2 * 5 * 4 * 3, dtype=np.uint8).reshape(2, 5, 4, 3),
        torch.arange(2 * 5 * 4 * 3, dtype=torch.uint8).reshape(2, 3, 5, 4),
    ],
    ids=["array", "tensor"],
)
def test_a_batch_is_its_images_in_order(batch):
    found = listed_images(batch)
    assert len(found) == 2
    for one, expected in zip(found, batch, strict=True):
        assert (np.asarray(one) == np.asarray(expected)).all()


@pytest.mark.parametrize(
    "none", [[], (), iter(()), np.zeros((0, 4, 3, 3), np.uint8), pd.Series([], dtype=object)]
)
def test_no_image_is_refused(none):
    with pytest.raises(ImageError, match="at least one image"):
        listed_images(none)


@pytest.mark.parametrize(
    ("several", "way_out"),
    [
        ({"RGB": "a.png"}, r"got a dict; pass one image, or list\(images\.values\(\)\)"),
        (pd.DataFrame({"path": ["a.png"]}), "got a DataFrame; pass one of its columns"),
        ({"a.png", "b.png"}, r"got a set; pass sorted\(images\)"),
        (frozenset({"a.png"}), r"got a frozenset; pass sorted\(images\)"),
    ],
)
def test_what_has_no_order_of_images_is_refused_with_the_way_out(several, way_out):
    with pytest.raises(ImageError, match=way_out):
        listed_images(several)
