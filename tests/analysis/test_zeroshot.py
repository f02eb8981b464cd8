"""Zero-shot classification by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mswin_viz.analysis.measures.zeroshot import text_to_image, zero_shot
from mswin_viz.errors import OptionError, ShapeError

TEXTS = np.array([[5.0, 0], [0, 0.1], [-1, -1]])
IMAGES = np.array([[1.0, 0.2], [0.1, 9], [3, 1], [-1, -2], [1, 2]])


def test_each_image_takes_the_nearest_prompt_whatever_the_lengths():
    report = zero_shot(IMAGES, TEXTS, [0, 1, 1, 2, 1])
    assert report.predictions.tolist() == [0, 1, 0, 2, 1]
    assert report.accuracy == pytest.approx(4 / 5)
    assert report.chance == pytest.approx(1 / 3)
    assert report.majority == pytest.approx(3 / 5)
    assert report.confusion.tolist() == [[1, 0, 0], [1, 2, 0], [0, 0, 1]]


def test_the_confusion_is_that_of_a_plain_loop():
    rng = np.random.default_rng(0)
    images, texts, labels = rng.normal(size=(50, 4)), rng.normal(size=(6, 4)), rng.integers(0, 5, 50)
    expected = np.zeros((6, 6), int)
    for image, label in zip(images, labels, strict=True):
        cosines = [image @ t / np.linalg.norm(image) / np.linalg.norm(t) for t in texts]
        expected[label, int(np.argmax(cosines))] += 1
    report = zero_shot(images, texts, labels)
    np.testing.assert_array_equal(report.confusion, expected)
    assert report.accuracy == pytest.approx(np.trace(expected) / 50)


@pytest.mark.parametrize(
    ("images", "texts", "labels", "error"),
    [
        (np.ones((0, 2)), TEXTS, [], ShapeError),
        (IMAGES, TEXTS[:, :1], [0] * 5, ShapeError),
        (IMAGES, TEXTS, [0] * 4, ShapeError),
        (IMAGES * 0, TEXTS, [0] * 5, ShapeError),
        (IMAGES, TEXTS, [0, 1, 2, 3, 0], OptionError),
        (IMAGES, TEXTS, [0, 1, 2, -1, 0], OptionError),
        (IMAGES, TEXTS, [0.5] * 5, OptionError),
    ],
)
def test_input_that_does_not_fit_is_an_error(images, texts, labels, error):
    with pytest.raises(error, match="got"):
        zero_shot(images, texts, labels)


def test_each_text_finds_its_nearest_image_and_counts_it_if_it_fits():
    fits = np.array([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 1, 1, 0, 0]], bool)
    report = text_to_image(IMAGES, TEXTS, fits)
    assert report.first.tolist() == [0, 1, 3]
    assert report.rank1 == pytest.approx(2 / 3)
    assert report.chance == pytest.approx(5 / 15)


@pytest.mark.parametrize(
    ("images", "texts", "shape"),
    [(IMAGES, TEXTS, (5, 3)), (IMAGES[:, :1], TEXTS, (3, 5)), (IMAGES * 0, TEXTS, (3, 5))],
)
def test_a_search_that_does_not_fit_is_an_error(images, texts, shape):
    with pytest.raises(ShapeError, match="got"):
        text_to_image(images, texts, np.zeros(shape, bool))
