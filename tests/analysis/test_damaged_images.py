"""Whatever is wrong with one image takes that image out by name, in every function alike, and no other."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.tiny import SIZE, pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.experiments.sample_tokens import sample_tokens
from mswin_viz.data.sets.report import DataReport
from mswin_viz.errors import ImageError, ImageFileError

HIGH, WIDE = SIZE
N_GOOD = 4


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


def saved(kind: str, seed: int = 0, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pictures(1, seed=seed)[0]).save(file, kind, **options)
    return file.getvalue()


def corrupted(content: bytes, at: float) -> bytes:
    start = int(len(content) * at)
    return content[:start] + bytes(40) + content[start + 40 :]


BAD = {
    "empty.jpg": lambda: b"",
    "text.png": lambda: b"not a picture",
    "truncated.jpg": lambda: saved("JPEG")[:400],
    "truncated.png": lambda: saved("PNG")[:200],
    "broken.tif": lambda: corrupted(saved("TIFF", compression="tiff_adobe_deflate"), 0.5),
    "broken.webp": lambda: saved("WEBP")[:100],
    "late.gif": lambda: saved("GIF")[:-300],
    "script.jpg": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage",
    "huge.bmp": lambda: saved("BMP").replace(
        np.array([WIDE, HIGH], "<u4").tobytes(), np.array([20000, 9000], "<u4").tobytes(), 1
    ),
    "float.tif": lambda: _tiff(np.linspace(290, 310, WIDE * HIGH, dtype=np.float32).reshape(HIGH, WIDE)),
}


def _tiff(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF")
    return file.getvalue()


BROKEN_HEADER = b"Exif\0\0II*\0" + b"\xff" * 30


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A market-style set: four good pictures, one whose EXIF header is broken, and each of `BAD`."""
    folder = tmp_path / "set" / "bounding_box_test"
    folder.mkdir(parents=True)
    for at in range(N_GOOD):
        (folder / f"000{at % 2 + 1}_c{at // 2 + 1}s1_00000{at}_00.png").write_bytes(saved("PNG", at + 1))
    (folder / "0001_c3s1_000007_00.jpg").write_bytes(saved("JPEG", 9, exif=BROKEN_HEADER))
    for at, (name, made) in enumerate(BAD.items()):
        (folder / f"0002_c1s1_0001{at:02}_{name}").write_bytes(made())
    os.mkfifo(folder / "0002_c1s1_000099_pipe.jpg")
    return tmp_path / "set"


@pytest.fixture
def scanned(mixed: Path) -> DataReport:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pipe, which `scan` lists
        return mv.scan(mixed)


def short(path: Path) -> str:
    return path.name.rsplit("_", 1)[1]


def test_embed_and_doctor_leave_out_the_same_images_by_name_and_keep_the_rest(model, scanned):
    with pytest.warns(UserWarning, match="1 of 5 image files is damaged though") as said:
        table = mv.embed(model, scanned.samples, batch_size=3, progress=False)
    assert "EXIF header" in str(said[0].message)
    assert {short(one.path) for one in table.failed} == set(BAD)
    assert all(short(one.path) in one.reason for one in table.failed)
    checked = mv.verify(scanned, progress=False)
    corrupt = {one.path for one in checked.problems if one.kind == "corrupt image"}
    assert corrupt == {one.path for one in table.failed}
    assert [next(iter(one.images.values())) for one in checked.samples] == list(table.path)
    assert [one.path.name for one in checked.problems if one.kind == "damaged image"] == [
        "0001_c3s1_000007_00.jpg"
    ]
    assert not checked.sound


def test_those_that_are_kept_have_the_features_they_have_alone(model, scanned):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = mv.embed(model, scanned.samples, batch_size=4, progress=False)
        for path, feature in zip(table.path, table.plain, strict=True):
            alone = model.encode(path, progress=False).cls[0].numpy()
            np.testing.assert_allclose(feature, alone, rtol=1e-4, atol=1e-5)


def test_tokens_to_train_on_leave_out_the_same_images(model, scanned):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sample_tokens(model, scanned.samples, progress=False)
    assert {short(one.path) for one in found.left_out} == set(BAD)
    assert len(found.world.pids) == N_GOOD + 1


def test_tokens_are_kept_and_read_again_without_those_images(model, scanned, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, again = (
            sample_tokens(model, scanned.samples, folder=tmp_path / "kept", progress=False) for _ in range(2)
        )
    assert [one.path for one in first.left_out] == [one.path for one in again.left_out]


@pytest.mark.parametrize("name", BAD)
def test_encode_names_the_image_by_its_place_and_its_file(name, model, tmp_path):
    (tmp_path / name).write_bytes(BAD[name]())
    images = [*pictures(3), tmp_path / name, *pictures(2)]
    for batch_size in (1, 2, 32):
        with pytest.raises((ImageFileError, ImageError), match=rf"image 3, counted from 0: .*{name}"):
            model.encode(images, batch_size=batch_size, progress=False)
        with pytest.raises((ImageFileError, ImageError), match="image 3"):
            model.encode((one for one in images), batch_size=batch_size, progress=False)


def late(tmp_path: Path, kind: str) -> Image.Image:
    """A PIL image that fails only when its pixels are asked for."""
    if kind == "handle closed":
        file = io.BytesIO(saved("PNG"))
        image = Image.open(file)
        file.close()
        return image
    path = tmp_path / f"{kind.replace(' ', '-')}.png"
    noise = np.random.default_rng(4).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    image = Image.open(path)
    if kind == "file truncated":
        path.write_bytes(path.read_bytes()[:100])
    else:
        image.close()
    return image


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["handle closed", "file truncated", "image closed"])
def test_a_pil_image_that_fails_late_takes_no_other_with_it(kind, model, tmp_path):
    good = [Image.fromarray(one) for one in pictures(3)]
    images = [good[0], late(tmp_path, kind), good[1], good[0], good[2]]
    with pytest.raises(ImageFileError, match="image 1, counted from 0"):
        model.encode(images, progress=False)
    found = [mv.Sample(at, -1, {"RGB": image}) for at, image in enumerate(images)]
    table = mv.embed(model, found, progress=False)
    assert table.sample.tolist() == [0, 2, 3, 4]
    assert [one.path for one in table.failed] == [images[1]]
    np.testing.assert_array_equal(table.plain[0], table.plain[2])


def test_one_image_object_twice_gives_its_feature_twice(model, tmp_path):
    (tmp_path / "a.png").write_bytes(saved("PNG"))
    with Image.open(tmp_path / "a.png") as lazy, (tmp_path / "a.png").open("rb") as file:
        found = model.encode([lazy, file, lazy, file, tmp_path / "a.png"], progress=False).cls
    for row in found[1:]:
        np.testing.assert_allclose(row, found[0], rtol=1e-5, atol=1e-6)


def test_a_set_in_which_nothing_can_be_read_is_refused_with_the_first_reason(model, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(mv.MswinVizError, match=r"a\.jpg"):
        mv.embed(model, mv.samples(tmp_path), progress=False)


def test_a_picture_that_its_header_turns_is_turned_once(model, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    (tmp_path / "turned.png").write_bytes(saved("PNG", exif=exif))
    upright = pictures(1, seed=0)[0][::-1, ::-1]
    table = mv.embed(model, [mv.Sample(1, 1, {"RGB": tmp_path / "turned.png"})], progress=False)
    np.testing.assert_array_equal(table.plain[0], model.encode(upright).cls[0].numpy())
    np.testing.assert_array_equal(
        np.asarray(model.displayed(model.displayed(tmp_path / "turned.png"))), upright
    )


def test_two_parts_of_one_file_are_judged_apart(model, tmp_path):
    (tmp_path / "a.png").write_bytes(saved("PNG"))
    inside, outside = (mv.Crop(tmp_path / "a.png", (0, 0, width, 8)) for width in (8, WIDE + 1))
    samples = (mv.Sample(1, 1, {"RGB": inside, "NI": outside}), mv.Sample(2, 1, {"RGB": outside}))
    checked = mv.verify(DataReport(tmp_path, "manifest", samples), progress=False)
    assert [one.images for one in checked.samples] == [{"RGB": inside}]
    table = mv.embed(model, samples, progress=False)
    assert list(table.files) == [{"RGB": inside}]
    assert {one.path for one in table.failed} == {outside}
