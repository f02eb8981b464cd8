"""Tokens of a data set: computed once, kept, and said where they could not be."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mswin_viz as mv
from mswin_viz.analysis.experiments.sample_tokens import sample_tokens
from mswin_viz.data.sample import Sample
from mswin_viz.data.synthetic.write_samples import write_samples
from mswin_viz.errors import DataError


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return mv.load_model(device="cpu", addon=None)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_samples(tmp_path, identities=2, cameras=2, shots=1, seed=5)


def test_tokens_are_those_of_the_files_with_identity_and_camera(model, people) -> None:
    samples = mv.samples(people)
    world, left_out = sample_tokens(model, samples, batch_size=3, progress=False)
    assert list(world.tokens) == ["RGB", "NI", "TI"]
    expected = model.encode([sample.images["TI"] for sample in samples], progress=False)
    torch.testing.assert_close(world.tokens["TI"].patches, expected.patches, rtol=1e-4, atol=1e-4)
    assert (world.pids.tolist(), world.camids.tolist()) == ([1, 1, 2, 2], [1, 2, 1, 2])
    assert (world.query, left_out) == (None, ())


def test_a_broken_or_incomplete_sample_is_left_out_and_said(model, people) -> None:
    broken = people / "test" / "NI" / "000001_cam2_0_00.jpg"
    broken.write_bytes(broken.read_bytes()[:500])
    (people / "test" / "TI" / "000002_cam1_0_00.jpg").unlink()
    world, left_out = sample_tokens(model, mv.scan(people).samples, scales=(4, 8), progress=False)
    assert world.pids.tolist() == [1, 2]
    assert all(len(tokens) == 2 and tokens.grid == (1, 8) for tokens in world.tokens.values())
    assert "has no TI" in left_out[0].reason
    assert left_out[1].path == broken


def test_tokens_kept_in_a_folder_are_not_computed_again_until_a_file_changes(model, people, tmp_path) -> None:
    samples, folder = mv.samples(people), tmp_path / "kept"
    first = sample_tokens(model, samples, scales=(4,), folder=folder, progress=False).world
    (file,) = folder.glob("tokens-*/RGB_patches.npy")
    stamp = file.stat().st_mtime_ns
    again = sample_tokens(model, samples, scales=(4,), folder=folder, progress=False).world
    assert file.stat().st_mtime_ns == stamp
    assert list(again.tokens) == list(first.tokens)
    torch.testing.assert_close(again.tokens["NI"].patches, first.tokens["NI"].patches)
    file = samples[0].images["RGB"]
    Image.open(samples[1].images["RGB"]).save(file)
    changed = sample_tokens(model, samples, scales=(4,), folder=folder, progress=False).world
    torch.testing.assert_close(
        changed.tokens["RGB"].cls[0], changed.tokens["RGB"].cls[1], rtol=0.3, atol=0.3
    )  # the picture of the second, saved once more
    assert not torch.allclose(changed.tokens["RGB"].cls[0], first.tokens["RGB"].cls[0], atol=0.1)


def test_query_gallery_and_scenes_are_kept(model, people) -> None:
    found = mv.samples(people)
    splits = ("query", "gallery", "query", "gallery")
    samples = [
        Sample(s.pid, s.camid, s.images, scene=10 + at, split=split)
        for at, (s, split) in enumerate(zip(found, splits, strict=True))
    ]
    world = sample_tokens(model, samples, progress=False).world
    assert world.scenes.tolist() == [10, 11, 12, 13]
    assert (world.camids.tolist(), world.rule) == ([1, 2, 1, 2], "scene")
    assert sample_tokens(model, samples, rule="none", progress=False).world.rule == "none"
    np.testing.assert_array_equal(world.query, [0, 2])
    np.testing.assert_array_equal(world.gallery, [1, 3])


def test_samples_without_identities_are_refused(model, people) -> None:
    files = [Sample(-1, -1, s.images) for s in mv.samples(people)]
    with pytest.raises(DataError, match="pid column"):
        sample_tokens(model, files, progress=False)
    for sample in mv.samples(people):
        sample.images["RGB"].write_bytes(b"nothing")
    with pytest.raises(DataError, match="all 4 failed"):
        sample_tokens(model, mv.samples(people), progress=False)


@pytest.mark.filterwarnings("ignore:.*images of more than 8 bits are stretched one by one:UserWarning")
def test_kept_tokens_are_computed_anew_for_another_thermal_range(people, tmp_path) -> None:
    samples, folder = mv.samples(people), tmp_path / "kept"
    for sample in samples:
        with Image.open(sample.images["TI"]) as image:
            grey = np.asarray(image.convert("L"), np.float64)
        sample.images["TI"].unlink()
        sample.images["TI"] = sample.images["TI"].with_suffix(".png")
        Image.fromarray(np.round(29_315 + grey * (1500 / 255)).astype(np.uint16)).save(sample.images["TI"])
    ranges = (None, (29_315, 30_815), (29_315, 30_900), None)
    models = [mv.load_model(device="cpu", addon=None, thermal_range=given) for given in ranges]
    found = [
        sample_tokens(one, samples, folder=folder, progress=False).world.tokens["TI"].cls.clone()
        for one in models
    ]
    assert not any(torch.allclose(a, b, atol=1e-3) for a, b in itertools.pairwise(found))
    torch.testing.assert_close(found[0], found[3])


def test_distorted_pictures_are_counted_also_where_tokens_were_kept(model, people, tmp_path) -> None:
    samples = mv.samples(people)
    with Image.open(samples[1].images["NI"]) as image:
        lying = image.transpose(Image.Transpose.ROTATE_90)
    lying.save(samples[1].images["NI"])
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"1 of 12 images is strongly distorted") as said:
            sample_tokens(model, samples, folder=tmp_path / "kept", progress=False)
        assert len(said) == 1
