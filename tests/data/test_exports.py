"""A store's rows come out the same in the tools that they are exported to; each is opened by the tool where it is installed."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.image_files import sample_files, strip_files
from support.tiny import tiny_model
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.analysis.embeddings.store import Store
from mswin_viz.data.exports.write_export import FORMATS
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.errors import DataError, ImageFileError, OptionError, OutputError, StoppedError, StoreError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "export.md"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Seven samples in three shards; one image is damaged, one file name begins like a formula."""
    folder = tmp_path_factory.mktemp("store")
    samples = sample_files(folder / "set", 7)
    samples[1].images["NI"].write_bytes(b"no picture")
    samples[3] = mv.Sample(1, 0, samples[3].images, root=folder / "set", caption="=1+1", split="test")
    return mv.extract(
        samples, folder / "store", model=tiny_model(), shard_images=6, workers=0, progress=False
    )


def needed(name: str) -> Any:
    """A tool's package; the test is skipped, with the reason, where it is not installed."""
    return pytest.importorskip(name, reason=f"the package {name} is not installed")


def sound(store: Store) -> Store:
    """The rows that have features."""
    return store.where(status="ok")


def opened(title: str, folder: Path) -> dict[str, Any]:
    """The names that the Python of a section of the page leaves, run as printed but for the folder."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    names: dict[str, Any] = {}
    exec(re.sub(r"""(?<=["'])out(?=["'/])""", str(folder), "\n".join(lines)), names)
    return names


def test_a_view_of_parts_is_the_whole_view(store) -> None:
    for view in (store, store.where(modality=["RGB", "TI"]).rows([0, 3, 4, 9])):
        parts = list(view.by_part())
        assert len(parts) > 1
        assert [i for part in parts for i in part.column("id")] == view.column("id").tolist()
        np.testing.assert_array_equal(
            np.concatenate([part.features("plain") for part in parts]), view.features("plain")
        )
        assert sum(part.n_failed for part in parts) == view.n_failed == len(view.failed)


def test_csv_has_every_row_in_a_table_that_no_spreadsheet_computes_and_in_arrays(store, tmp_path) -> None:
    out = mv.export_store(store, tmp_path / "out", to="csv")
    frame = pd.read_csv(out / "images.csv")
    assert frame["id"].tolist() == list(range(store.n_rows))
    assert frame["caption"].tolist().count("'=1+1") == 3
    assert frame["scene"].dropna().unique().tolist() == [1, 0]
    assert "1.0" not in (out / "images.csv").read_text()
    assert frame["file"].map(os.path.isfile).all()
    assert frame["reason"].notna().tolist() == [row == 4 for row in range(store.n_rows)]
    for name in ("plain", "enhanced"):
        np.testing.assert_array_equal(np.load(out / f"cls_{name}.npy"), store.features(name))
    as_printed = opened("CSV and NumPy", out)
    assert len(as_printed["images"]) == len(as_printed["features"]) == store.n_rows


def test_atlas_gets_vectors_places_and_pictures_in_one_file(store, tmp_path) -> None:
    table = store.table()
    map_of = mv.project(table.plain, table.enhanced, method="separate", perplexity=3)
    out = mv.export_store(store, tmp_path / "out", to="atlas", projection=map_of, images=True)
    frame = pd.read_parquet(out / "images.parquet")
    np.testing.assert_array_equal(np.stack(frame["cls_enhanced"]), sound(store).features("enhanced"))
    kept, _ = store.rows_of(MODALITIES)
    by_id = {row: map_of.plain[map_of.place_of[place]] for place, row in enumerate(kept.tolist())}
    np.testing.assert_allclose(
        frame[["plain_x", "plain_y"]], np.stack([by_id[row] for row in frame["id"]]), rtol=1e-6
    )
    assert all(picture["bytes"][:2] == b"\xff\xd8" for picture in frame["image"])
    assert frame["file"].tolist() == [picture["path"] for picture in frame["image"]]


def test_embedding_atlas_reads_its_file_and_takes_the_vectors(store, tmp_path) -> None:
    utils = needed("embedding_atlas.utils")
    projection = needed("embedding_atlas.projection")
    out = mv.export_store(store, tmp_path / "out", to="atlas")
    frame = utils.load_pandas_data(str(out / "images.parquet"))
    series = projection.nw.from_native(frame)["cls_enhanced"]
    vectors = projection._to_canonical_vector(series)
    np.testing.assert_array_equal(np.stack(vectors), sound(store).features("enhanced"))


def test_a_picture_is_put_in_whatever_bytes_its_name_has(tmp_path) -> None:
    samples = sample_files(tmp_path / "set", 2)
    odd = tmp_path / "set" / os.fsdecode(b"caf\xe9 \n.png")
    samples[1].images["RGB"].rename(odd)
    samples[1] = replace(samples[1], images={"RGB": odd})
    samples[0].images["NI"].write_bytes(b"no picture")
    named = mv.extract(samples, tmp_path / "store", model=tiny_model(), workers=0, progress=False)
    out = mv.export_store(named, tmp_path / "out", to="atlas", images=True)
    rows = pq.read_table(out / "images.parquet").to_pylist()
    assert len(rows) == named.n_rows - 1
    with Image.open(io.BytesIO(rows[-1]["image"]["bytes"])) as picture, Image.open(odd) as original:
        assert picture.size == original.size
    assert rows[-1]["file"].endswith("caf\\udce9 \\n.png")


def test_a_part_of_a_file_is_the_picture_that_is_put_in(tmp_path) -> None:
    samples = strip_files(tmp_path, 2)
    with pytest.warns(UserWarning, match="strongly distorted"):
        strips = mv.extract(samples, tmp_path / "store", model=tiny_model(), workers=0, progress=False)
    out = mv.export_store(strips, tmp_path / "out", to="atlas", images=True)
    frame = pd.read_parquet(out / "images.parquet")
    (tmp_path / "one.jpg").write_bytes(frame["image"][1]["bytes"])
    with Image.open(tmp_path / "one.jpg") as picture:
        assert picture.size == (30, 20)


def test_fiftyone_gets_a_sample_for_each_image_and_a_group_for_each_shot(store, tmp_path) -> None:
    out = mv.export_store(store, tmp_path / "out", to="fiftyone")
    described = json.loads((out / "metadata.json").read_text())
    samples = json.loads((out / "samples.json").read_text())["samples"]
    whole = sound(store)
    assert [one["image_id"] for one in samples] == whole.column("id").tolist()
    assert [one["group"]["name"] for one in samples] == whole.column("modality").tolist()
    assert all(os.path.isfile(one["filepath"]) for one in samples)
    groups: dict[str, set[int]] = {}
    for one in samples:
        groups.setdefault(one["group"]["_id"]["$oid"], set()).add(one["sample"])
    assert [*groups.values()] == [{number} for number in range(7)]
    assert len({one["_id"]["$oid"] for one in samples}) == len(samples)
    hidden = {"_media_type", "_rand"}
    named = {field["db_field"] for field in described["sample_fields"]}
    assert set(samples[0]) - hidden == named - {"created_at", "last_modified_at"}


def test_fiftyone_reads_its_folder_with_its_own_classes(store, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # it writes there
    needed("fiftyone")
    from fiftyone.core import odm
    from fiftyone.core.fields import VectorField
    from fiftyone.utils.data.importers import FiftyOneDatasetImporter

    out = mv.export_store(store, tmp_path / "out", to="fiftyone")
    importer = FiftyOneDatasetImporter(str(out))
    importer.setup()
    described = odm.DatasetDocument.from_dict(importer._dataset_dict)
    fields = {one.name: one.to_field() for one in described.sample_fields}
    assert isinstance(fields["cls_plain"], VectorField)
    samples, _ = odm.import_collection(importer._samples_path, key="samples")
    vectors = [fields["cls_plain"].to_python(one["cls_plain"]) for one in samples]
    np.testing.assert_array_equal(np.stack(vectors), sound(store).features("plain"))


def test_lancedb_finds_a_row_by_its_vector_as_the_page_says(store, tmp_path) -> None:
    needed("lancedb")
    out = mv.export_store(store, tmp_path / "out", to="lancedb")
    as_printed = opened("LanceDB", out)
    table = as_printed["table"]
    assert as_printed["nearest"]["id"][0] == sound(store).column("id")[0]
    assert table.count_rows() == store.n_rows - 1
    row = sound(store).rows([7])
    found = table.search(row.features("enhanced")[0], vector_column_name="cls_enhanced").limit(1).to_arrow()
    assert found["id"].to_pylist() == row.column("id").tolist()


def test_faiss_answers_with_the_rows_of_the_largest_cosine_as_the_page_says(store, tmp_path) -> None:
    faiss = needed("faiss")
    out = mv.export_store(store, tmp_path / "out", to="faiss")
    as_printed = opened("faiss", out)
    for name in ("plain", "enhanced"):
        index = faiss.read_index(str(out / f"cls_{name}.faiss"))
        features = sound(store).features(name)
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        cosines, found = index.search(unit, 3)
        order = np.argsort(-(unit @ unit.T), axis=1)[:, :3]
        np.testing.assert_array_equal(found, sound(store).column("id")[order])
        np.testing.assert_allclose(cosines, np.take_along_axis(unit @ unit.T, order, axis=1), atol=1e-6)
    assert as_printed["ids"][:, 0].tolist() == [0, 1]
    assert as_printed["images"].loc[int(found[0, 0])]["modality"] == "RGB"
    assert sorted(path.name for path in out.iterdir()) == [
        "cls_enhanced.faiss", "cls_plain.faiss", "export.json", "images.parquet",
    ]  # fmt: skip


def test_faiss_compares_as_the_model_does_where_that_is_by_euclidean_distance(store, tmp_path) -> None:
    faiss = needed("faiss")
    raw = replace(store, record=store.record.model_copy(update={"metric": "euclidean"}))
    out = mv.export_store(raw, tmp_path / "out", to="faiss")
    features = sound(store).features("plain")
    index = faiss.read_index(str(out / "cls_plain.faiss"), faiss.IO_FLAG_MMAP_IFC)
    distances, found = index.search(features[3:5], 2)
    squares = ((features[3:5, None] - features[None]) ** 2).sum(2)
    order = np.argsort(squares, axis=1)[:, :2]
    np.testing.assert_array_equal(found, sound(store).column("id")[order])
    np.testing.assert_allclose(distances, np.take_along_axis(squares, order, axis=1), rtol=1e-4, atol=1e-4)


def test_duckdb_reads_a_store_as_it_is(store) -> None:
    duckdb = needed("duckdb")
    counts = store.to_pandas().groupby("modality").size()
    assert opened("DuckDB", store.folder)["counts"].fetchall() == list(counts.items())
    query = f"select cls_plain from '{store.folder}/manifest/*.parquet' order by id limit 1"
    ((first,),) = duckdb.sql(query).fetchall()
    np.testing.assert_array_equal(np.float32(first), store.features("plain")[0])


def test_polars_reads_a_store_as_it_is(store) -> None:
    needed("polars")
    frame = opened("Polars", store.folder)["frame"]
    assert frame["camid"].to_list() == store.column("camid").tolist()
    vectors = frame.filter(frame["status"] == "ok")["cls_enhanced"]
    np.testing.assert_array_equal(vectors.to_numpy(), sound(store).features("enhanced"))


def test_an_earlier_export_is_replaced_and_nothing_else_is(store, tmp_path) -> None:
    out = mv.export_store(store, tmp_path / "out", to="csv")
    mv.export_store(store.where(modality="TI"), out, to="atlas")
    assert sorted(path.name for path in out.iterdir()) == ["export.json", "images.parquet"]
    assert set(pq.read_table(out / "images.parquet")["modality"].to_pylist()) == {"TI"}
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"nothing but an earlier one.*holds notes\.txt; choose another"):
        mv.export_store(store, out, to="csv")
    for folder, why in {
        store.folder: "is an input",
        store.folder / "manifest": "outside the store",
        store.root: "is an input",
    }.items():
        with pytest.raises(OutputError, match=why):
            mv.export_store(store, folder, to="csv")


def test_what_stops_an_export_leaves_what_was_there(store, tmp_path) -> None:
    out = mv.export_store(store, tmp_path / "out", to="csv")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    seen: list[int] = []
    with pytest.raises(StoppedError):
        mv.export_store(store, out, to="atlas", report=lambda p: seen.append(p.done), stop=lambda: bool(seen))
    damaged = Path(shutil.copytree(store.folder, tmp_path / "damaged"))
    part = damaged / "manifest" / "part-00001.parquet"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    for to in ("atlas", "fiftyone"):
        with pytest.raises(StoreError, match=r"part-00001\.parquet does not"):
            mv.export_store(damaged, out, to=to)
    with pytest.raises(ImageFileError):
        mv.export_store(mv.open_store(store.folder, root=tmp_path), out, to="atlas", images=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "out"]


def test_a_damaged_part_is_named_by_way_of_lancedb_too(store, tmp_path) -> None:
    needed("lancedb")
    damaged = Path(shutil.copytree(store.folder, tmp_path / "damaged"))
    (damaged / "manifest" / "part-00001.parquet").write_bytes(b"")
    with pytest.raises(StoreError, match=r"part-00001\.parquet does not"):
        mv.export_store(damaged, tmp_path / "out", to="lancedb")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_refused_before_anything_is_written(store, tmp_path, monkeypatch) -> None:
    out = tmp_path / "out"
    with pytest.raises(OptionError, match=r"to is one of atlas, .*got 'excel'"):
        mv.export_store(store, out, to="excel")
    with pytest.raises(OptionError, match="atlas only"):
        mv.export_store(store, out, to="csv", images=True)
    with pytest.raises(OptionError, match="has no option 'image'"):
        mv.export_store(store, out, to="csv", image=True)  # pyright: ignore[reportCallIssue]
    with pytest.raises(DataError, match="at least one image with features"):
        mv.export_store(store.where(status="failed"), out, to="csv")
    table = store.where(modality="RGB").table()
    map_of = mv.project(table.plain, table.enhanced, method="separate", perplexity=2)
    with pytest.raises(OptionError, match=r"a map of store\.table\(\), 18 rows: got one of 7"):
        mv.export_store(store, out, to="csv", projection=map_of)
    with pytest.raises(
        OptionError, match=r"a map, as mv\.project\(table\.plain, table\.enhanced\) gives: got array"
    ):
        mv.export_store(store, out, to="csv", projection=map_of.plain)  # pyright: ignore[reportArgumentType]
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(OptionError, match=r"not installed .*pip install 'mswin-viz\[export\]'"):
        mv.export_store(store, out, to="faiss")
    assert not out.exists()


def test_the_command_writes_what_the_function_does(store, tmp_path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(cli.app, ["export", str(store.folder), "--to", "csv", "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert f"{out}: {store.n_rows - 1} images in cls_enhanced.npy, cls_plain.npy, images.csv; 1 image has no features" in done.output  # fmt: skip
    twin = mv.export_store(store, tmp_path / "twin", to="csv")
    assert (out / "images.csv").read_bytes() == (twin / "images.csv").read_bytes()
    as_json = CliRunner().invoke(
        cli.app, ["export", str(store.folder), "--to", "atlas", "-o", str(out), "--json"]
    )
    assert json.loads(as_json.stdout)["files"] == ["images.parquet"]
    words = CliRunner().invoke(cli.app, ["export", "--help"]).output
    assert all(name in words for name in FORMATS)


def test_the_command_that_extracts_names_what_it_left_out_on_standard_error(tmp_path) -> None:
    (tmp_path / "set").mkdir()
    for number in range(11):
        (tmp_path / "set" / f"{number:02}.png").write_bytes(b"no picture")
    Image.new("RGB", (32, 64)).save(tmp_path / "set" / "11.png")
    given = ["extract", str(tmp_path / "set"), "--out", str(tmp_path / "store"), "--workers", "0"]
    run = CliRunner().invoke(cli.app, given)
    assert run.exit_code == 0, run.output
    named = [line for line in run.stderr.splitlines() if line.startswith("left out: ")]
    assert [line.split(":")[1].strip() for line in named[:2]] == ["00.png", "01.png"]
    assert len(named) == 11
    assert named[-1] == "left out: 1 more, which --json lists"
    assert "11 could not be used" in run.stdout
