"""What is kept of a model's pictures: computed once, shared by all that are open, and never out of date."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny import SIZE, tiny_model

import mswin_viz as mv
from mswin_viz.data.images.image_source import Crop
from mswin_viz.errors import ClosedError, ImageFileError
from mswin_viz.model.encoder import preprocessing
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.token_cache import MOST_AT_ONCE, TokenCache


@pytest.fixture
def model() -> Model:
    return tiny_model()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "one.png", 3)


@pytest.fixture
def batch_sizes(model: Model, monkeypatch) -> list[int]:
    """Of each pass of the tower, how many images."""
    sizes, encode = [], type(model).encode_fitted
    monkeypatch.setattr(
        type(model),
        "encode_fitted",
        lambda self, images, *given: sizes.append(len(images)) or encode(self, images, *given),
    )
    return sizes


def written(path: Path, seed: int) -> Path:
    """A picture whose time stamp differs from every earlier one's."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    os.utime(path, ns=(seed * 10**9, seed * 10**9))
    return path


def test_tokens_are_those_of_the_model(model, file) -> None:
    tokens, wanted = TokenCache(model).picture(file).tokens, model.encode(file)
    torch.testing.assert_close(tokens.cls, wanted.cls)
    torch.testing.assert_close(tokens.patches, wanted.patches)


def test_all_views_of_a_model_share_what_is_kept(model, file) -> None:
    one, other = TokenCache(model), TokenCache(model)
    assert one.picture(file) is other.picture(file)
    assert one.picture(file).tokens is other.picture(file).tokens
    assert (file in other, len(other)) == (True, 1)


def test_other_models_and_those_with_a_number_of_their_own_share_nothing(model, file) -> None:
    first = TokenCache(model).picture(file)
    for apart in (TokenCache(tiny_model()), TokenCache(model, most=2)):
        assert file not in apart
        assert apart.picture(file) is not first


def test_what_is_kept_goes_with_the_last_that_is_open(model, file) -> None:
    one, other = TokenCache(model), TokenCache(model)
    picture = weakref.ref(one.picture(file))
    one.close()
    one.close()
    gc.collect()
    assert other.picture(file) is picture()
    other.close()
    gc.collect()
    assert picture() is None
    with pytest.raises(ClosedError, match="was closed"):
        one.picture(file)


def test_what_is_kept_does_not_keep_the_model(file) -> None:
    model = tiny_model()
    kept, gone = TokenCache(model), weakref.ref(model)
    kept.picture(file)
    del kept, model
    gc.collect()
    assert gone() is None


def test_a_file_that_was_written_anew_is_read_again(model, file) -> None:
    kept = TokenCache(model)
    before = kept.picture(file)
    written(file, 8)
    after = kept.picture(file)
    assert not torch.equal(before.tokens.cls, after.tokens.cls)
    torch.testing.assert_close(after.tokens.cls, model.encode(file).cls)
    assert (kept.picture(file) is after, len(kept)) == (True, 1)


def test_a_file_that_is_gone_still_shows_what_was_read_of_it(model, file) -> None:
    kept = TokenCache(model)
    before = kept.picture(file)
    file.unlink()
    assert kept.picture(file) is before
    with pytest.raises(ImageFileError):
        TokenCache(model, most=2).picture(file)


def test_other_weights_of_the_tower_give_other_tokens(model, file) -> None:
    kept = TokenCache(model)
    before = kept.picture(file).tokens
    with torch.no_grad():
        model.clip.visual.proj.mul_(2)
    torch.testing.assert_close(kept.picture(file).tokens.cls, 2 * before.cls)


def test_parts_of_a_file_are_kept_apart(model, tmp_path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (SIZE[0], 2 * SIZE[1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "two.png")
    left, right = (Crop(tmp_path / "two.png", (at, 0, at + SIZE[1], SIZE[0])) for at in (0, SIZE[1]))
    kept = TokenCache(model)
    assert kept.picture(left) is not kept.picture(right)
    assert np.array_equal(np.asarray(kept.picture(right).shown), pixels[:, SIZE[1] :])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [written(tmp_path / f"{seed}.png", seed) for seed in range(1, 22)]


def test_pictures_of_a_batch_are_those_of_single_images(model, files) -> None:
    together = TokenCache(model).pictures(files)
    for file, picture in zip(files, together, strict=True):
        alone = model.encode(file)
        for part in ("cls", "patches"):
            batched, single = getattr(picture.tokens, part), getattr(alone, part)
            torch.testing.assert_close(batched, single, rtol=1e-6, atol=1e-6)
            assert batched.untyped_storage().nbytes() == 4 * batched.numel()  # not a view of the whole batch


def test_what_is_missing_is_computed_in_batches_and_nothing_twice(model, files, batch_sizes) -> None:
    cache = TokenCache(model)
    first = cache.pictures([files[0], files[0]])
    assert first[0] is first[1]
    assert cache.pictures(files)[0] is first[0]
    assert batch_sizes == [1, MOST_AT_ONCE, 4]


def test_a_bad_image_takes_no_other_with_it(model, files, batch_sizes) -> None:
    files[1].write_bytes(b"not a picture")
    cache = TokenCache(model)
    with pytest.raises(ImageFileError, match=r"2\.png"):
        cache.pictures(files[:3])
    found = cache.pictures_or_problems(files[:3])
    assert isinstance(found[1], ImageFileError)
    assert (len(cache), batch_sizes) == (2, [2])
    written(files[1], 30)
    assert len(cache.pictures(files[:3])) == 3


def test_a_file_is_opened_once(model, files, monkeypatch) -> None:
    opened, real = [], preprocessing.opened
    monkeypatch.setattr(preprocessing, "opened", lambda *a, **k: opened.append(a[0]) or real(*a, **k))
    picture = TokenCache(model).picture(files[0])
    model.encode([picture.image])
    model.preprocess([picture.image])
    mv.attribute(model, [picture.image], mv.Target.direction(np.ones(model.dim)), method="gradient_x_input")
    assert opened == [files[0]]


def test_two_threads_that_need_one_image_compute_it_once(model, files, batch_sizes) -> None:
    caches = [TokenCache(model) for _ in range(6)]
    with ThreadPoolExecutor(len(caches)) as pool:
        found = list(pool.map(lambda cache: cache.pictures(files[:5]), caches))
    assert all(pictures == found[0] for pictures in found)
    assert sum(batch_sizes) == 5


def test_an_interrupted_computation_is_taken_up_by_who_waits_for_it(model, files, monkeypatch) -> None:
    began, interrupted = threading.Event(), threading.Event()
    encode = type(model).encode_fitted

    def interrupt(*_given):
        monkeypatch.setattr(type(model), "encode_fitted", encode)
        began.set()
        interrupted.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(model), "encode_fitted", interrupt)
    caches = [TokenCache(model) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(caches[0].picture, files[0])
        assert began.wait(10)
        second = pool.submit(caches[1].picture, files[0])
        interrupted.set()
        assert isinstance(first.exception(), KeyboardInterrupt)
        assert second.result().facts.size == (SIZE[1], SIZE[0])
