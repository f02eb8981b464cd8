"""Rows of a store are found by place and by what is known of them, as a table of all rows would give them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from support.feature_store import feature_store
from support.image_files import sample_files
from support.tiny import tiny_model

import mswin_viz as mv
from mswin_viz.analysis.embeddings.store import Store
from mswin_viz.errors import DataError, OptionError, StoreError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    samples = sample_files(folder / "set", 8)
    return mv.extract(
        samples, folder / "store", model=tiny_model(), shard_images=6, workers=0, progress=False
    )


@pytest.mark.parametrize(
    "values",
    [
        {"modality": "TI"},
        {"modality": ["NI", "TI"], "camid": 1},
        {"pid": np.int64(2)},
        {"pid": np.array([0, 3]), "status": "ok"},
        {"scene": None},
        {"split": "train"},
        {"caption": "person 3", "modality": ("RGB",)},
    ],
    ids=str,
)
def test_rows_that_fit_are_those_of_a_plain_loop(store, values) -> None:
    frame = store.to_pandas()
    fits = np.ones(len(frame), bool)
    for name, value in values.items():
        wanted = [value] if value is None or np.isscalar(value) else list(value)
        fits &= [
            any((one is None and entry != entry) or one == entry for one in wanted) for entry in frame[name]
        ]
    chosen = store.where(**values)
    assert chosen.column("id").tolist() == frame["id"][fits].tolist()
    np.testing.assert_array_equal(chosen.features("plain"), store.features("plain")[fits])
    assert chosen.n_rows == fits.sum()
    assert len(chosen) == frame["sample"][fits].nunique()
    assert [list(s.images) for s in chosen] == [
        group.tolist() for _, group in frame[fits].groupby("sample")["modality"]
    ]


def test_a_condition_of_arrow_and_further_ones_narrow_the_rows(store) -> None:
    chosen = store.where(pc.field("pid") > 1).where(modality="RGB").rows(slice(1, None))
    assert chosen.column("sample").tolist() == [5, 6, 7]
    assert chosen[0].pid == 2


@pytest.mark.parametrize("places", [[3], [5, 1, 1], slice(2, 20, 5), [-1, 0]], ids=str)
def test_rows_by_place_keep_the_order_of_the_store_each_once(store, places) -> None:
    every = np.arange(store.n_rows)[places if isinstance(places, slice) else np.array(places)]
    assert store.rows(places).column("id").tolist() == np.unique(every).tolist()


def test_truth_values_choose_the_rows_that_they_are_true_of(store) -> None:
    is_second = store.column("pid") == 1
    chosen = store.rows(is_second)
    assert chosen.column("id").tolist() == np.flatnonzero(is_second).tolist()
    assert store.rows(is_second.tolist()).n_rows == is_second.sum() > 2


@pytest.mark.parametrize(
    "places", [[1.5], np.array([1.0]), [True, False], "abc", None, [[1, 2]], [10**30], [[1], [2, 3]]], ids=str
)
def test_what_names_no_rows_is_refused_and_not_cut_to_whole_numbers(store, places) -> None:
    with pytest.raises(
        OptionError, match=r"whole numbers, a slice, or one truth value for each of the 22 rows"
    ):
        store.rows(places)


@pytest.mark.parametrize(
    "places", [range(3), {0, 1, 2}, (n for n in (2, 0, 1)), np.arange(3, dtype=np.uint8)]
)
def test_places_come_from_whatever_gives_whole_numbers(store, places) -> None:
    assert store.rows(places).column("id").tolist() == [0, 1, 2]
    assert store.rows([]).n_rows == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"pid": 1.5}, r"pid takes whole numbers.*got 1\.5"),
        ({"pid": "x"}, "pid takes whole numbers.*got 'x'"),
        ({"camid": True}, "camid takes whole numbers.*got True"),
        ({"pid": 10**30}, "pid takes whole numbers"),
        ({"modality": 3}, "modality takes text.*got 3"),
        ({"path": Path("a")}, "path takes text"),
    ],
    ids=str,
)
def test_values_of_another_kind_are_refused(store, values, words) -> None:
    with pytest.raises(OptionError, match=words):
        store.where(**values)


def test_none_nan_and_minus_one_all_mean_not_known(tmp_path) -> None:
    samples = [replace(one, pid=-1, scene=None) for one in sample_files(tmp_path / "set", 2)]
    store = mv.extract(samples, tmp_path / "store", model=tiny_model(), workers=0, progress=False)
    for unknown in (None, np.nan, -1, [5, -1]):
        assert store.where(pid=unknown).n_rows == store.where(scene=unknown).n_rows == store.n_rows
    assert store.where(pid=[5]).n_rows == store.where(scene=[5]).n_rows == 0


@pytest.mark.parametrize(
    "condition", ["pid == 1", pc.field("colour") == 1, pc.field("pid") == "x", pc.field("pid") + 1], ids=str
)
def test_a_condition_that_is_none_is_one_error(store, condition) -> None:
    with pytest.raises(OptionError, match="a condition"):
        store.where(condition)


@pytest.mark.parametrize("read", ["column", "columns"])
@pytest.mark.parametrize("name", ["colour", "cls_plain"])
def test_a_column_that_is_none_is_no_damage(store, read, name) -> None:
    for view in (store, store.rows([])):
        with pytest.raises(
            OptionError, match=rf"columns are a list of names among id, .*got '{name}'; features come from"
        ):
            view.column(name) if read == "column" else view.columns(["pid", name])
    with pytest.raises(OptionError, match="got 'pid'"):
        store.columns("pid")


@pytest.mark.parametrize("modalities", ["RGB", ["XX"], ["RGB", 3]], ids=str)
def test_a_table_of_modalities_that_are_none_is_refused(store, modalities) -> None:
    with pytest.raises(OptionError, match="modalities are a list of some of RGB, NI, TI"):
        store.table(modalities)


def test_what_is_not_there_is_refused(store, tmp_path) -> None:
    with pytest.raises(OptionError, match=r"rows are chosen by id, sample, path.*got colour"):
        store.where(colour=1)
    with pytest.raises(OptionError, match=r"numbered 0\.\.21: got 22"):
        store.rows([22])
    with pytest.raises(
        OptionError, match=r"rows in view can be chosen where there are some; there are none: got 0"
    ):
        store.rows([]).rows([0])
    with pytest.raises(OptionError, match="plain or enhanced"):
        store.features("both")
    with pytest.raises(OptionError, match=r"a store goes with a model: got 'x'; make one with"):
        store.tokens(0, model="x")  # pyright: ignore[reportArgumentType]
    with pytest.raises(StoreError, match="a store goes with the model that made it"):
        store.tokens(0, model=tiny_model(seed=4))
    other_size = tiny_model(size=(51, 17))  # of the same patches, and so of the same weights
    with pytest.raises(StoreError, match=r"got \(51, 17\); load the model with image_size=\(48, 16\)"):
        store.tokens(0, model=other_size)
    with pytest.raises(OptionError, match=r"patches, phase_means, stripe_means: got 'x'"):
        store.summary("x")
    with pytest.raises(StoreError, match=r"store\.json"):
        mv.open_store(tmp_path)
    with pytest.raises(OptionError, match=r"the path of its folder: got None"):
        mv.open_store(None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match="root must be the folder"):
        mv.open_store(store.folder, root=tmp_path / "nowhere")


def test_rows_that_have_all_failed_have_neither_a_table_nor_tokens(tmp_path) -> None:
    samples = sample_files(tmp_path / "set", 2)
    samples[1].images["NI"].write_bytes(b"no picture")
    made = mv.extract(
        samples, tmp_path / "store", model=tiny_model(), tokens="all", workers=0, progress=False
    )
    failed = made.where(status="failed")
    with pytest.raises(DataError, match=r"at least one image with features: got .*1 image; .*failed rows"):
        failed.table()
    with pytest.raises(StoreError, match=r"row 0 must have tokens: it has failed \(.*0001\.png"):
        failed.tokens(0)


@pytest.mark.parametrize("name", ["store.json", "commits/part-00001.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[1", b'{"format": 2}', b"\xff\xfe"])
def test_a_damaged_description_is_one_error(store, tmp_path, name, content) -> None:
    copy = Path(shutil.copytree(store.folder, tmp_path / "copy"))
    (copy / name).write_bytes(content)
    is_later = name == "store.json" and b"format" in content  # of a version to come, not damaged
    with pytest.raises(StoreError, match="update" if is_later else "delete"):
        mv.open_store(copy)


@pytest.mark.parametrize("where", ["the name of a column", "a value"])
def test_text_of_a_shard_that_is_not_in_utf_8_is_damage(store, tmp_path, where) -> None:
    copy = Path(shutil.copytree(store.folder, tmp_path / "copy"))
    file = copy / "manifest" / "part-00000.parquet"
    if where == "a value":
        table = pq.read_table(file)
        places = pa.py_buffer(np.arange(table.num_rows + 1, dtype=np.int32))
        paths = pa.StringArray.from_buffers(table.num_rows, places, pa.py_buffer(b"\xff" * table.num_rows))
        at = table.column_names.index("path")
        pq.write_table(table.set_column(at, table.schema.field("path"), paths), file)
    else:
        file.write_bytes(file.read_bytes().replace(b"modality", b"m\x8fdality"))
    opened = mv.open_store(copy)
    with pytest.raises(StoreError, match=r"part-00000\.parquet cannot be read \(.*UTF-?8.*extract again"):
        opened.column("path")


@pytest.mark.parametrize(
    "other",
    [{"dim": 7}, {"wide": 7}, {"wide": 2**31 - 1}, {"wide": 2**40}, {"dim": 10**19}, {"grid": [3, 1]}, {"grid": [-1, 1]}, {"grid": [2**30, 9]}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("what", ["features", "tokens", "to_arrow"])
def test_a_description_of_another_store_is_told_before_memory_is_taken(tmp_path, other, what) -> None:
    made = mv.extract(
        sample_files(tmp_path / "set", 2), tmp_path / "store", model=tiny_model(), tokens="all", workers=0, progress=False
    )  # fmt: skip
    file = made.folder / "store.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | other))
    reads = {
        "features": lambda store: (store.features("plain"), store.features("enhanced")),
        "tokens": lambda store: store.tokens(0),
        "to_arrow": lambda store: store.to_arrow(),
    }
    if what != "tokens" and other in ({"grid": [3, 1]}, {"grid": [2**30, 9]}):  # it says nothing of features
        reads[what](mv.open_store(made.folder))
        return
    with pytest.raises(StoreError, match="extract again"):
        reads[what](mv.open_store(made.folder))


@pytest.mark.parametrize("n_rows", [10**9, 2**40, 2**62, 10**19])
def test_a_commit_of_more_rows_than_its_file_has_bytes_is_refused_as_it_is_opened(
    store, tmp_path, n_rows
) -> None:
    copy = Path(shutil.copytree(store.folder, tmp_path / "copy"))
    file = copy / "commits" / "part-00000.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"n_rows": n_rows}))
    with pytest.raises(StoreError, match=r"part-00000\.json.*delete it, and extract again"):
        mv.open_store(copy)


def test_opening_reads_no_rows(store, tmp_path) -> None:
    copy = Path(shutil.copytree(store.folder, tmp_path / "copy"))
    shutil.rmtree(copy / "manifest")
    opened = mv.open_store(copy)
    assert opened.n_rows == store.n_rows
    with pytest.raises(StoreError, match=r"part-0000\d.*extract again"):
        opened.to_pandas()


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="threads are counted in /proc, which only Linux has"
)
def test_reading_leaves_no_thread_of_arrow_behind_that_could_abort_the_program_as_it_ends(tmp_path) -> None:
    feature_store(tmp_path / "store", 300, tiny_model(), shard_images=90)
    script = f"""
import os, time
import pyarrow.compute as pc
import mswin_viz as mv

store = mv.open_store({str(tmp_path / "store")!r})
before = len(os.listdir("/proc/self/task"))
chosen = store.where(modality="TI", camid=[1, 3]).where(pc.field("pid") > 3)
assert 0 < chosen.n_rows < 100
chosen.features("plain"), chosen.to_arrow(), chosen.to_pandas(), store.failed, chosen[0], store.verify()
assert store.where(status="failed").n_rows == 0
until = time.monotonic() + 30  # a thread that was joined may be there for a moment more
while len(os.listdir("/proc/self/task")) > before and time.monotonic() < until:
    time.sleep(0.05)
print(len(os.listdir("/proc/self/task")) - before)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["0"]
