"""Pictures and tokens that are computed once, and the strip that chooses among them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from traitlets import TraitError

import mswin_viz as mv
from mswin_viz.data.progress import Progress
from mswin_viz.errors import ImageFileError, MswinVizError
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.view.parts import pictures as module
from mswin_viz.view.parts.pictures import computed_ahead, thumbnail
from mswin_viz.view.widgets.strip import ThumbnailStrip, images_in_turn, second_choice


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return mv.load_model(device="cpu")


@pytest.fixture
def files() -> list[Path]:
    return [sample.images["RGB"] for sample in mv.samples()[:4]]


def test_tokens_are_computed_once(model, files, monkeypatch) -> None:
    calls, encode = [], type(model).encode_fitted
    monkeypatch.setattr(type(model), "encode_fitted", lambda *a, **k: calls.append(1) or encode(*a, **k))
    pictures = TokenCache(model)
    assert pictures.picture(files[0]) is pictures.picture(files[0])
    assert len(calls) == 1


def test_of_more_pictures_than_are_kept_the_longest_unused_go(model, files) -> None:
    pictures = TokenCache(model, most=2)
    for at in (0, 1, 0, 2):
        pictures.picture(files[at])
    assert [path in pictures for path in files] == [True, False, True, False]


def test_work_ahead_takes_more_at_once_reports_skips_what_cannot_be_read_and_stops_when_told(
    model, files, tmp_path, monkeypatch
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a picture")
    monkeypatch.setattr(module, "_SOON", 60)
    seen: list[Progress] = []
    cache = TokenCache(model)
    images = [(file, ImageTag("RGB")) for file in (files[0], broken, *files[1:])]
    n_bad = computed_ahead(cache, images, report=seen.append, stop=lambda: len(seen) == 2)
    assert n_bad == 1
    assert [(now.done, now.total) for now in seen] == [(1, 5), (3, 5)]
    assert [file in cache for file in files] == [True, True, False, False]
    with pytest.raises(ImageFileError):
        cache.picture(broken)


def test_work_ahead_takes_fewer_at_once_where_a_choice_would_have_to_wait(model, files, monkeypatch) -> None:
    monkeypatch.setattr(module, "_SOON", 0)
    seen: list[Progress] = []
    images = [(file, ImageTag("RGB")) for file in files]
    computed_ahead(TokenCache(model), images, report=seen.append, stop=lambda: False)
    assert [now.done for now in seen] == [1, 2, 3, 4]


def test_no_more_are_computed_ahead_than_are_kept(model, files) -> None:
    cache, seen = TokenCache(model, most=2), []
    images = [(file, ImageTag("RGB")) for file in files]
    computed_ahead(cache, images, report=seen.append, stop=lambda: False)
    assert seen[-1] == Progress(2, 2, "computing tokens: 2 of 2 images")


def test_a_thumbnail_is_small_and_of_what_cannot_be_read_there_is_none(files, tmp_path) -> None:
    with Image.open(BytesIO(thumbnail(files[0]))) as image:
        assert (image.format, image.height) == ("JPEG", 64)
    assert thumbnail(tmp_path / "gone.jpg") == b""


def sample(pid: int, camid: int, *modalities: str) -> mv.Sample:
    return mv.Sample(
        pid, camid, {name: Path(f"/{name}/{pid}_{camid}.jpg") for name in modalities or ("RGB",)}
    )


def test_the_second_image_is_the_same_identity_in_another_camera_or_else_another() -> None:
    people = [sample(1, 1), sample(1, 1), sample(2, 2), sample(1, 2)]
    assert second_choice(people) == 3
    assert second_choice(people[:3]) == 1
    assert second_choice(people[:1]) == 0
    assert second_choice([sample(-1, -1), sample(-1, -2)]) == 1


def test_images_come_modality_by_modality_the_shown_one_first() -> None:
    both = [sample(1, 1, "RGB", "TI"), sample(2, 1, "TI")]
    assert [(str(path), tag) for path, tag in images_in_turn(both, "TI")] == [
        ("/TI/1_1.jpg", ImageTag("TI", 1)),
        ("/TI/2_1.jpg", ImageTag("TI", 1)),
        ("/RGB/1_1.jpg", ImageTag("RGB", 1)),
    ]


def test_a_strip_knows_each_sample_and_refuses_to_choose_another() -> None:
    strip = ThumbnailStrip([sample(1, 1, "RGB", "NI"), sample(2, 3)])
    assert strip.items[0] == {
        "name": "1_1",
        "pid": 1,
        "camid": 1,
        "caption": None,
        "modalities": ["RGB", "NI"],
    }
    with pytest.raises(MswinVizError, match=r"0\.\.1: got 2"):
        strip.selected = 2
    with pytest.raises(TraitError):
        strip.modality = "XX"
    assert (strip.selected, strip.second, strip.modality) == (0, 1, "RGB")


def test_other_samples_start_at_the_first_in_a_modality_that_it_has() -> None:
    strip = ThumbnailStrip([sample(1, 1, "RGB", "NI"), sample(2, 3)], modality="NI", selected=1)
    strip.replace([sample(5, 1, "RGB")])
    assert (strip.selected, strip.second, strip.modality, strip.thumbs) == (0, 0, "RGB", [])
