"""What a store holds is what embedding gives; a run that ends early is gone on with, byte for byte."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from support.image_files import sample_files, shard_bytes, strip_files
from support.tiny import SCALES, tiny_addon, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.extraction import decoding
from mswin_viz.data.images import image_source
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.sample import Sample
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.errors import DataError, OptionError, OutputError, ScaleError, StoppedError, StoreError
from mswin_viz.model.encoder.preprocessing import fitting_rule

MODEL = tiny_model()
HOW = {"model": MODEL, "shard_images": 6, "batch_size": 4, "workers": 0, "progress": False}
"""Shards of two samples."""


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return sample_files(tmp_path / "set")


def damaged(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("chosen", [MODALITIES, ("TI",), ("NI", "RGB")])
def test_its_rows_are_what_embedding_gives(samples, tmp_path, chosen) -> None:
    store = mv.extract(samples, tmp_path / "store", modalities=chosen, **HOW)
    expected = mv.embed(MODEL, samples, modalities=chosen, batch_size=1, progress=False)
    table = mv.embed(MODEL, store, modalities=chosen)
    assert table.files == expected.files
    for name in ("sample", "modality", "pid", "camid", "scene", "split"):
        if not (name == "sample" and chosen == ("TI",)):  # samples without one are not in the store
            np.testing.assert_array_equal(getattr(table, name), getattr(expected, name))
    for name in ("plain", "enhanced"):
        wanted = getattr(expected, name)
        np.testing.assert_allclose(getattr(table, name), wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
    assert (table.root, table.metric) == (expected.root, expected.metric)


def test_it_can_be_given_wherever_samples_are_taken(samples, tmp_path) -> None:
    store = mv.extract(samples, tmp_path / "store", **HOW)
    assert list(store) == samples
    assert (len(store), store[3], store[-2:], store[1].root) == (7, samples[3], samples[-2:], samples[1].root)
    assert mv.samples(tmp_path / "store") == samples
    assert mv.query_and_gallery(store) == mv.query_and_gallery(samples)


def test_an_image_that_cannot_be_used_has_a_row_that_says_why(samples, tmp_path) -> None:
    samples[2].images["NI"].write_bytes(b"no picture")
    samples[5].images["RGB"].unlink()
    store = mv.extract(samples, tmp_path / "store", **HOW)
    whole = mv.embed(MODEL, samples, progress=False)
    table = store.table()
    assert store.n_rows == len(table) + 2
    assert table.failed == whole.failed[::-1] or set(table.failed) == set(whole.failed)
    np.testing.assert_allclose(table.plain, whole.plain, atol=2e-6)
    failed = store.where(status="failed").to_arrow().to_pylist()
    assert [(row["sample"], row["modality"]) for row in failed] == [(2, "NI"), (5, "RGB")]
    assert all(row["width"] is None for row in failed)
    assert np.isnan([row["cls_plain"] + row["cls_enhanced"] for row in failed]).all()
    assert "no picture" in failed[0]["reason"] or "cannot be read" in failed[0]["reason"]
    assert failed[0]["content_hash"] is not None
    assert failed[1]["content_hash"] is None


def test_its_parquet_files_are_of_the_types_that_other_tools_read(samples, tmp_path) -> None:
    store = mv.extract(samples, tmp_path / "store", dtype="float16", **HOW)
    parts = sorted((tmp_path / "store" / "manifest").glob("*.parquet"))
    assert [path.name for path in parts] == [f"part-{number:05d}.parquet" for number in range(4)]
    table = pa.concat_tables([pq.read_table(path) for path in parts])
    assert table.schema.field("id").type == pa.int64()
    assert table.schema.field("cls_plain").type == pa.list_(pa.float16(), MODEL.dim)
    assert table["id"].to_pylist() == list(range(store.n_rows))
    assert table["path"][1].as_py() == "NI/0000.png"
    assert (
        pq.read_metadata(parts[0]).metadata[b"mswin_viz.weights_hash"].decode() == store.record.weights_hash
    )
    np.testing.assert_array_equal(
        np.array(table["cls_plain"].to_pylist(), np.float32), store.features("plain")
    )


@pytest.mark.parametrize("keep", ["all", "summaries", "none"])
def test_it_keeps_the_tokens_that_were_asked_for(samples, tmp_path, keep) -> None:
    options = {"tokens": keep, "scales": (2, 4), "token_dtype": "float32"}
    store = mv.extract(samples, tmp_path / "store", **options, **HOW)
    sources = [source for sample in samples for source in sample.images.values()]
    patches = MODEL.encode(sources, progress=False).patches.numpy()
    if keep == "all":
        np.testing.assert_allclose(store.summary("patches"), patches, atol=2e-6)
        one = store.where(modality="TI").tokens(2)
        expected = MODEL.encode(samples[3].images["TI"], progress=False)
        torch.testing.assert_close(
            (one.patches, one.cls), (expected.patches, expected.cls), rtol=0, atol=2e-6
        )
        assert one.grid == expected.grid
        return
    with pytest.raises(StoreError, match=f"keeps {'none' if keep == 'none' else 'phase_means'}.*tokens=all"):
        store.tokens(0)
    assert (tmp_path / "store" / "tokens" / "part-00000.safetensors").exists() == (keep == "summaries")
    if keep == "summaries":
        rows, cols = MODEL.grid
        phases = np.stack([patches[:, phase::4].mean(axis=1) for phase in range(4)], axis=1)
        stripes = np.stack(
            [patches[:, row * cols : (row + 1) * cols].mean(axis=1) for row in range(rows)], axis=1
        )
        np.testing.assert_allclose(store.summary("phase_means"), phases, atol=2e-6)
        np.testing.assert_allclose(store.summary("stripe_means"), stripes, atol=2e-6)


def test_a_run_is_gone_on_with_where_it_ended_byte_for_byte(samples, tmp_path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    mv.extract(samples, whole, tokens="all", **HOW)
    steps = iter([False] * 4 + [True] * 9)
    with pytest.raises(StoppedError, match="goes on"):
        mv.extract(samples, broken, tokens="all", stop=lambda: next(steps), **HOW)
    done = [path.name for path in (broken / "commits").iterdir()]
    assert 0 < len(done) < 4
    assert mv.open_store(broken).is_complete is False
    n_there = sum(commit.n_rows for commit in mv.open_store(whole).commits[: len(done)])
    assert mv.open_store(broken).n_rows == n_there > 0
    (broken / "manifest" / ".part-00003.parquet.1a2b.unfinished").write_bytes(b"half")
    encoded = []
    counted = dataclasses.replace(MODEL)
    report = encoded.append
    mv.extract(samples, broken, tokens="all", report=report, **(HOW | {"model": counted}))
    assert encoded[0].done > n_there  # counts what is there; the rest was embedded
    assert shard_bytes(broken) == shard_bytes(whole)
    assert not list(broken.rglob("*.unfinished"))


def test_processes_and_this_one_write_the_same_bytes(samples, tmp_path) -> None:
    mv.extract(samples, tmp_path / "here", **HOW)
    mv.extract(samples, tmp_path / "there", **(HOW | {"workers": 2}))
    assert shard_bytes(tmp_path / "here") == shard_bytes(tmp_path / "there")


def test_more_samples_are_added_and_other_ones_refused(samples, tmp_path) -> None:
    first = mv.extract(samples[:3], tmp_path / "store", **HOW)
    grown = mv.extract(samples, tmp_path / "store", **HOW)
    mv.extract(samples, tmp_path / "at once", **HOW)
    assert (first.n_rows, grown.n_rows) == (8, 19)
    assert shard_bytes(tmp_path / "store") == shard_bytes(tmp_path / "at once")
    before = shard_bytes(tmp_path / "store")
    others = [samples[1], samples[0], *samples[2:]]
    relabelled = [dataclasses.replace(samples[0], pid=77), *samples[1:]]
    for given in (others, relabelled, samples[:3]):
        with pytest.raises(StoreError, match="continued with the samples it was begun with"):
            mv.extract(given, tmp_path / "store", **HOW)
    assert shard_bytes(tmp_path / "store") == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": tiny_model(seed=4)}, "one model.*weights hash"),
        ({"model": tiny_model(addon=False)}, "one model.*addon hash"),
        ({"dtype": "float16"}, "options it was begun with.*dtype float32 there and float16 now"),
        ({"modalities": ("RGB",)}, "modalities"),
        ({"shard_images": 9}, "shard samples 2 there and 3 now"),
        ({"tokens": "none"}, "tokens summaries there and none now"),
    ],
)
def test_rows_of_another_model_or_form_are_refused(samples, tmp_path, change, words) -> None:
    mv.extract(samples, tmp_path / "store", **HOW)
    before = shard_bytes(tmp_path / "store")
    with pytest.raises(StoreError, match=words):
        mv.extract(samples, tmp_path / "store", **(HOW | change))
    assert shard_bytes(tmp_path / "store") == before


def test_embedding_with_another_model_than_the_stores_is_refused(samples, tmp_path) -> None:
    store = mv.extract(samples, tmp_path / "store", tokens="none", **HOW)
    with pytest.raises(StoreError, match="the model that made it"):
        mv.embed(tiny_model(seed=4), store)
    with pytest.raises(StoreError, match="keeps none"):
        mv.embed(dataclasses.replace(MODEL, addon=tiny_addon(biases=False)), store)


@pytest.mark.parametrize("options", [{"tokens": "all"}, {"scales": (20,)}], ids=["patches", "no phases"])
def test_another_add_on_reads_the_tokens_that_are_kept(samples, tmp_path, options) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        other = dataclasses.replace(MODEL, addon=tiny_addon())
    store = mv.extract(samples, tmp_path / "store", token_dtype="float32", **options, **HOW)
    if "scales" in options:  # 20 phases do not divide 12 tokens
        with pytest.raises(StoreError, match="keeps stripe_means"):
            mv.embed(other, store)
        return
    chosen = ("TI", "RGB")
    expected = mv.embed(other, samples, modalities=chosen, progress=False)
    np.testing.assert_allclose(
        mv.embed(other, store, modalities=chosen).enhanced, expected.enhanced, atol=1e-5
    )
    plain = dataclasses.replace(MODEL, addon=None)
    table = mv.embed(plain, store)
    np.testing.assert_array_equal(table.plain, table.enhanced)


def test_another_add_on_reads_phase_means_if_its_windows_see_no_more(samples, tmp_path) -> None:
    assert SCALES == (2, 4, 5)
    model = tiny_model()
    windows = mv.CLIPMultiScaleFeatureExtractor(model.dim, (2, 4)).eval().requires_grad_(False)
    store = mv.extract(samples, tmp_path / "store", token_dtype="float32", scales=(4,), **HOW)
    other = dataclasses.replace(MODEL, addon=windows)
    expected = mv.embed(other, samples, progress=False).enhanced
    np.testing.assert_allclose(mv.embed(other, store).enhanced, expected, atol=1e-5)


def test_one_program_at_a_time_extracts_into_a_store(samples, tmp_path) -> None:
    (tmp_path / "store").mkdir()
    with (
        locked(tmp_path / "store" / "extraction", busy=""),
        pytest.raises(OutputError, match="one program at a time"),
    ):
        mv.extract(samples, tmp_path / "store", **HOW)
    assert mv.extract(samples, tmp_path / "store", **HOW).is_complete


@pytest.mark.parametrize("kind", ["manifest", "tokens"])
def test_a_flipped_bit_is_found_by_its_hash(samples, tmp_path, kind) -> None:
    store = mv.extract(samples, tmp_path / "store", **HOW)
    assert store.verify() == []
    (file,) = (tmp_path / "store" / kind).glob("part-00001*")
    damaged(file)
    (problem,) = store.verify()
    assert str(file) in problem
    if kind == "manifest":
        with pytest.raises(StoreError, match=r"part-00001.*extract again"):
            mv.open_store(tmp_path / "store").table()
        (tmp_path / "store" / "commits" / "part-00001.json").unlink()
        assert mv.extract(samples, tmp_path / "store", **HOW).verify() == []


def test_a_file_that_holds_three_modalities_is_decoded_once(tmp_path, monkeypatch) -> None:
    strips, opened = strip_files(tmp_path), []
    decode = image_source.decoded
    monkeypatch.setattr(
        image_source, "decoded", lambda image, **how: opened.append(image) or decode(image, **how)
    )
    with pytest.warns(UserWarning, match=r"2 of 2 shards have notes.*6 of 6 images are strongly distorted"):
        store = mv.extract(strips, tmp_path / "store", **HOW)
    assert (store.n_rows, len(opened)) == (9, 3)
    with pytest.warns(UserWarning, match="9 of 9 images are strongly"):
        expected = mv.embed(MODEL, strips, progress=False)
    np.testing.assert_allclose(store.table().plain, expected.plain, atol=2e-6)
    assert list(store) == strips
    assert store.to_pandas()["part"][1] == "#xywh=30,0,30,20&of=90,20"


def test_a_file_that_cannot_be_cut_takes_no_other_part_with_it(tmp_path) -> None:
    (strip,) = strip_files(tmp_path, 1)
    wrong = dataclasses.replace(strip.images["NI"], box=(30, 0, 300, 20), size=None)
    batch = decoding.decoded(
        decoding.DecodingJob((strip.images["RGB"], wrong, strip.images["TI"]), fitting_rule(MODEL.tower))
    )
    assert (batch.places, list(batch.problems)) == ([0, 2], [1])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"tokens": "some"}, OptionError, "tokens is one of none, summaries, all: got 'some'"),
        ({"dtype": "float64"}, OptionError, "dtype is one of float16, float32"),
        ({"engine": "spark"}, OptionError, "engine is one of local, ray"),
        ({"workers": -1}, OptionError, "workers must be a whole number of at least 0: got -1"),
        ({"shard_images": 2.5}, OptionError, "shard_images must be a whole number"),
        ({"actors": 2}, OptionError, "of the engine ray"),
        ({"modalities": ("IR",)}, OptionError, "modalities are some of RGB, NI, TI"),
        (
            {"modalities": "RGB"},
            OptionError,
            "modalities are a list of different ones of RGB, NI, TI: got 'RGB'",
        ),
        ({"modalities": ("RGB", "RGB")}, OptionError, "modalities are a list of different ones"),
        (
            {"scales": 3},
            ScaleError,
            "scales must be a list of one or more whole numbers of at least 1: got 3",
        ),
        (
            {"model": "embedded"},
            OptionError,
            r"model must be a model: got 'embedded'; make one with mswin_viz\.load_model",
        ),
        ({"batchsize": 2}, OptionError, "did you mean batch_size"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_written(
    samples, tmp_path, options, error, words
) -> None:
    with pytest.raises(error, match=words):
        mv.extract(samples, tmp_path / "store", **(HOW | options))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("given", ["photos", ["photos/a.jpg"], 3, None], ids=str)
def test_anything_but_samples_is_refused(given, tmp_path) -> None:
    with pytest.raises(OptionError, match="samples must be a list of Sample records"):
        mv.extract(given, tmp_path / "store", **HOW)
    with pytest.raises(OptionError, match="samples must be a list of Sample records"):
        mv.estimate_extraction(given, model=HOW["model"])
    assert not (tmp_path / "store").exists()


def test_pictures_in_memory_and_no_pictures_are_refused(samples, tmp_path) -> None:
    in_memory = dataclasses.replace(samples[0], images={"RGB": Image.new("RGB", (4, 4))})
    with pytest.raises(DataError, match=r"made of image files.*save it"):
        mv.extract([in_memory], tmp_path / "store", **HOW)
    with pytest.raises(DataError, match="at least one RGB or NI or TI image: got none in 0"):
        mv.extract([], tmp_path / "store", **HOW)


def test_a_store_has_a_folder_of_its_own(samples, tmp_path) -> None:
    before = sorted(path.name for path in (tmp_path / "set").iterdir())
    with pytest.raises(OutputError, match=r"a folder of its own: .*set holds NI, RGB, TI; choose another"):
        mv.extract(samples, tmp_path / "set", **HOW)
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == before


def test_samples_find_their_store_wherever_the_program_goes_on(samples, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    mv.extract(samples, "store", **HOW)
    some = [*mv.open_store("store")[:2], mv.samples("store")[4]]
    monkeypatch.chdir(tmp_path / "set")
    assert len(mv.embed(MODEL, some, progress=False)) == 9


def test_a_limit_takes_the_first_samples_that_have_so_many_images(samples, tmp_path) -> None:
    store = mv.extract(samples, tmp_path / "store", limit=7, **HOW)
    assert (list(store), store.n_rows) == (samples[:3], 8)


def test_names_that_are_no_text_come_back_as_they_were(tmp_path) -> None:
    samples = sample_files(tmp_path / "set", 1)
    odd = tmp_path / "set" / os.fsdecode(b"caf\xe9 \n.png")
    samples[0].images["RGB"].rename(odd)
    sample = dataclasses.replace(samples[0], images={"RGB": odd}, caption="two\nlines")
    store = mv.extract([sample], tmp_path / "store", **HOW)
    assert list(mv.open_store(store.folder)) == [sample]
    assert store.to_pandas()["path"][0] == "caf\\udce9 \\n.png"


def test_a_data_set_that_was_moved_is_found_where_it_lies_now(samples, tmp_path) -> None:
    mv.extract(samples, tmp_path / "store", **HOW)
    (tmp_path / "set").rename(tmp_path / "elsewhere")
    store = mv.open_store(tmp_path / "store", root=tmp_path / "elsewhere")
    assert all(file.exists() for sample in store for file in sample.files)
    with pytest.raises(DataError, match=r"root="):
        mv.samples(tmp_path / "store")
    with pytest.raises(StoreError, match=r"store\.json"):
        mv.open_store(tmp_path / "elsewhere")


def test_an_estimate_writes_nothing_and_says_how_large_it_gets(samples, tmp_path) -> None:
    estimate = mv.estimate_extraction(samples, tmp_path / "store", **HOW)
    assert not (tmp_path / "store").exists()
    assert (estimate.n_images, estimate.n_shards) == (19, 4)
    each = (2 * MODEL.dim) * 4 + 6 * MODEL.dim * 2 + 150  # scales 2, 4 and 5 have no phases of 12 tokens
    assert estimate.n_bytes == 19 * each
    assert estimate.seconds == pytest.approx(19 / estimate.images_per_second)
    assert "19 images in 4 shards" in str(estimate)


def test_every_row_is_of_its_own_picture_however_far_the_device_is_ahead(
    tmp_path, device, monkeypatch
) -> None:
    """Batches of other sizes, shards that end within the flight of a batch, features and tokens that are copied meanwhile."""
    samples = sample_files(tmp_path / "set", 40)
    drawn, place = tiny_model(), torch.device(device)
    drawn.clip.to(place)
    model = dataclasses.replace(drawn, addon=drawn.addon.to(place), device=place, precision="float32")
    options = HOW | {"tokens": "all", "token_dtype": "float32"}
    store = mv.extract(samples, tmp_path / "there", **options | {"model": model, "workers": 1})
    here = mv.extract(samples, tmp_path / "here", **options)
    assert store.verify() == []
    assert store.column("id").tolist() == list(range(here.n_rows))
    for given, wanted in (
        (store.features("plain"), here.features("plain")),
        (store.features("enhanced"), here.features("enhanced")),
        (store.summary("patches"), here.summary("patches")),
    ):
        np.testing.assert_allclose(given, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
