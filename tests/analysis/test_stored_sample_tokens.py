"""Training and measuring on a store's samples takes their tokens from it, and gives what encoding the images gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.image_files import sample_files
from support.tiny import tiny_model

import mswin_viz as mv
from mswin_viz.data.sample import Sample
from mswin_viz.errors import DataError, StoreError
from mswin_viz.model.encoder.backbone import Model

MODEL = tiny_model()
HOW = {"model": MODEL, "shard_images": 6, "workers": 0, "progress": False, "token_dtype": "float32"}


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return sample_files(tmp_path / "set", 8)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images went through the tower in each pass."""
    passes, encode = [], Model._encode_batch
    counted = lambda model, batch, *given: passes.append(len(batch)) or encode(model, batch, *given)  # noqa: E731
    monkeypatch.setattr(Model, "_encode_batch", counted)
    return passes


def assert_same(first, second) -> None:
    assert first.left_out == second.left_out
    assert list(first.world.tokens) == list(second.world.tokens)
    for name, tokens in first.world.tokens.items():
        for part in ("cls", "patches"):
            expected = getattr(second.world.tokens[name], part)
            np.testing.assert_allclose(
                getattr(tokens, part), expected, rtol=0, atol=1e-6 * expected.abs().max().item()
            )
        assert tokens.grid == second.world.tokens[name].grid
    for about in ("pids", "camids", "groups", "scenes"):
        np.testing.assert_array_equal(getattr(first.world, about), getattr(second.world, about))


@pytest.mark.parametrize(
    ("kept", "scales"), [({"tokens": "all"}, ()), ({"tokens": "all"}, (2, 4)), ({"scales": (4,)}, (2, 4))]
)
@pytest.mark.parametrize("read", ["store", "its folder", "some of its samples"])
def test_tokens_are_those_of_encoding_again(samples, tmp_path, encoded, kept, scales, read) -> None:
    store = mv.extract(samples, tmp_path / "store", **kept, **HOW)
    given = {"store": store, "its folder": mv.samples(store.folder), "some of its samples": store[5:1:-1]}[
        read
    ]
    expected = mv.sample_tokens(MODEL, samples[5:1:-1] if read.startswith("some") else samples, scales=scales)
    encoded.clear()
    assert_same(mv.sample_tokens(MODEL, given, scales=scales), expected)
    assert encoded == []


def test_an_image_that_failed_leaves_its_sample_out(samples, tmp_path) -> None:
    samples[3].images["NI"].write_bytes(b"no picture")
    store = mv.extract(samples, tmp_path / "store", tokens="all", **HOW)
    expected = mv.sample_tokens(MODEL, samples, progress=False)
    found = mv.sample_tokens(MODEL, store, progress=False)
    assert [failure.path for failure in found.left_out] == [failure.path for failure in expected.left_out]
    np.testing.assert_array_equal(found.world.pids, expected.world.pids)


def test_what_the_store_does_not_keep_is_encoded_again(samples, tmp_path, encoded) -> None:
    store = mv.extract(samples, tmp_path / "store", scales=(4,), **HOW)
    expected = mv.sample_tokens(MODEL, samples, scales=(3,), progress=False)
    encoded.clear()
    assert_same(mv.sample_tokens(MODEL, store, scales=(3,), progress=False), expected)
    assert sum(encoded) > 0


def test_a_folder_of_tokens_does_not_mix_up_a_store_and_its_images(samples, tmp_path) -> None:
    store = mv.extract(samples, tmp_path / "store", **(HOW | {"token_dtype": "float16", "tokens": "all"}))
    kept = mv.sample_tokens(MODEL, store, folder=tmp_path / "tokens", progress=False)
    again = mv.sample_tokens(MODEL, samples, folder=tmp_path / "tokens", progress=False)
    halves = kept.world.tokens["RGB"].patches.numpy()
    np.testing.assert_array_equal(halves, halves.astype(np.float16))
    assert not np.array_equal(halves, again.world.tokens["RGB"].patches)


@pytest.mark.parametrize("function", [mv.embed, mv.sample_tokens])
def test_a_store_of_another_tower_is_refused(samples, tmp_path, function) -> None:
    store = mv.extract(samples, tmp_path / "store", tokens="all", **HOW)
    with pytest.raises(StoreError, match="the model that made it"):
        function(tiny_model(seed=4), store[:4], progress=False)


def test_some_samples_of_a_store_are_not_embedded_again(samples, tmp_path, encoded) -> None:
    store = mv.extract(samples, tmp_path / "store", **HOW)
    encoded.clear()
    some = [store[5], store[0], store[5]]
    table = mv.embed(MODEL, some, progress=False)
    assert encoded == []
    assert table.sample.tolist() == [0, 1, 2, 0, 1, 2, 1]
    np.testing.assert_array_equal(table.plain[0], table.plain[2])
    expected = mv.embed(MODEL, [samples[5], samples[0], samples[5]], progress=False)
    assert table.files == expected.files
    np.testing.assert_allclose(
        table.enhanced, expected.enhanced, rtol=0, atol=1e-6 * np.abs(expected.enhanced).max()
    )


def test_samples_whose_images_all_failed_have_no_tokens(samples, tmp_path) -> None:
    samples[3].images["NI"].write_bytes(b"no picture")
    store = mv.extract(samples, tmp_path / "store", tokens="all", **HOW)
    with pytest.raises(
        DataError, match=r"at least one sample must be usable: all 1 failed, the first: .*0003\.png"
    ):
        mv.sample_tokens(MODEL, store[3:4], progress=False)


@pytest.mark.parametrize("function", [mv.embed, mv.sample_tokens])
def test_samples_of_a_store_that_was_made_again_with_fewer_are_not_mixed_up(
    samples, tmp_path, function
) -> None:
    held = list(mv.extract(samples, tmp_path / "store", tokens="all", **HOW))
    shutil.rmtree(tmp_path / "store")
    mv.extract(samples[:3], tmp_path / "store", tokens="all", **HOW)
    with pytest.raises(StoreError, match="holds some no longer; read the samples again"):
        function(MODEL, held[4:], progress=False)
