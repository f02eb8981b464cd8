"""Records of shares as they are printed: a few lines, whatever they hold."""

import re

import numpy as np
import pytest
from support.own_modules import ADDON_KINDS

import mswin_viz as mv
from mswin_viz.analysis.shares.sums_in_words import sums_in_words


def numbers(line):
    """The total, and the sum of what stands behind the equals sign."""
    total, parts = line.split(" = ")
    signed = re.findall(
        r"([+-]?) ?(?:CLS|windows of \d+|bias|patches|class token|positions|embedding|attention|mlp|biases|outside) (\S+)",
        parts,
    )
    return float(total), sum(-float(n) if sign == "-" else float(n) for sign, n in signed)


@pytest.mark.parametrize("kind", ADDON_KINDS)
@pytest.mark.parametrize("batch", [1, 3, 7])
def test_printed_parts_add_up_to_the_printed_score(kind, batch):
    model = ADDON_KINDS[kind]()
    images = [np.full((48, 16, 3), 30 * i, np.uint8) for i in range(batch)]
    direction = np.random.default_rng(0).normal(size=model.dim)
    tokens = model.encode(images)
    of_blocks = mv.cls_by_block(model, images, direction)
    for record in (
        mv.decompose(tokens, model.addon, direction),
        mv.cls_by_patch(model, images, direction),
        of_blocks,
    ):
        lines = repr(record).removesuffix("\n)").split("(", 1)[1].strip().splitlines()
        assert len(repr(record)) < 1000
        assert len(lines) == (batch if batch <= 4 else 5)
        for line in lines[:4]:
            total, parts = numbers(line)
            assert parts == pytest.approx(total, abs=2e-3 * max(abs(total), 1))
    assert f"{batch} images" in repr(record) if batch > 4 else "images" not in repr(record)


def test_a_part_that_is_zero_everywhere_is_left_out_and_no_image_is_no_error():
    record = sums_in_words("Sum", np.ones(2), {"a": np.array([0.0, 1.0]), "b": np.zeros(2)}, np.zeros(2))
    assert "a" in record
    assert "b" not in record
    assert sums_in_words("Sum", np.zeros(0), {}, np.zeros(0)) == "Sum(\n)"
    assert "nan" in sums_in_words("Sum", np.array([np.nan]), {"a": np.array([np.nan])}, np.array([np.nan]))
