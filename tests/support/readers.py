"""Every kind of file and pasted text that the package reads: how a good one is made, and what reads it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

import mswin_viz as mv
from mswin_viz.analysis.experiments.stored_results import stored_ablation
from mswin_viz.data.sample import Sample
from mswin_viz.data.storage.temporary_folders import temporary_folder
from mswin_viz.data.synthetic.drawn_people import is_drawn
from mswin_viz.data.synthetic.shipped_samples import _RECORD, _is_whole
from mswin_viz.data.synthetic.write_samples import write_samples
from mswin_viz.model.archives.weight_files import read_state_dict
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.pretraining.drawing_cache import drawn_once
from mswin_viz.model.pretraining.recipe import Recipe
from mswin_viz.model.training.heads import window_head
from mswin_viz.model.training.run import Run, Schedule
from mswin_viz.model.weights.embedded_config import EMBEDDED, load_embedded
from support.archive_writing import archive, members
from support.host_files import MIXTURE_ON, mixture_state, other_heads, tower_state, window_state, yml
from support.hugging_face_files import hugging_face_folder, hugging_face_state
from support.image_files import sample_files
from support.tiny import tiny_addon, tiny_model, two_modalities
from support.trees import grow

CLIP: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": [64, 64], "layers": 1, "width": 64, "head_width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1},
}


@dataclass(frozen=True)
class Reader:
    """A kind of file.

    Attributes
    ----------
    make
        Writes a good one, and what belongs to it, into a folder; gives the file.
    load
        Reads it, given its path.
    """

    make: Callable[[Path], Path]
    load: Callable[[Path], object]


@cache
def _model() -> Model:
    return tiny_model()


@cache
def _clip() -> open_clip.CLIP:
    return open_clip.CLIP(**CLIP, quick_gelu=True).eval()


@cache
def _host() -> dict[str, torch.Tensor]:
    sizes = {"width": 64, "depth": 1, "dim": 8}
    return (
        tower_state(**sizes) | other_heads(8) | window_state(8, (2, 4)) | mixture_state(8, (2, 4), hidden=5)
    )


def _host_file(folder: Path, *, is_zip: bool = True) -> Path:
    yml(folder, more=MIXTURE_ON)
    torch.save(_host(), folder / "host.pth", _use_new_zipfile_serialization=is_zip)
    return folder / "host.pth"


def _addon_file(folder: Path) -> Path:
    mv.save_addon(tiny_addon(), folder / "addon.safetensors")
    return folder / "addon.safetensors"


def _script(folder: Path) -> Path:
    (folder / "script.pt").write_bytes(archive(members()))
    return folder / "script.pt"


def _open_clip(folder: Path) -> Path:
    content = {
        "model_cfg": CLIP | {"quick_gelu": True},
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3},
    }
    state = {key: value for key, value in _clip().state_dict().items() if key.startswith("visual.")}
    save_file(
        {key: value.contiguous() for key, value in state.items()}, folder / "open_clip_model.safetensors"
    )
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    return folder / "open_clip_config.json"


def _hugging_face(folder: Path, name: str) -> Path:
    state = hugging_face_state(_clip(), text=False)
    hugging_face_folder(folder, state)
    if name.endswith(".index.json"):
        part = folder / "model-00001-of-00001.safetensors"
        (folder / "model.safetensors").rename(part)
        weights = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(state, part.name)}
        (folder / name).write_text(json.dumps(weights))
    return folder / name


def _embedded(folder: Path, name: str) -> Path:
    for file in ("config.json", "clip.safetensors"):
        shutil.copyfile(EMBEDDED / file, folder / file)
    return folder / name


def _ablation(folder: Path) -> Path:
    shutil.copyfile(EMBEDDED / "ablation.json", folder / "ablation.json")
    return folder / "ablation.json"


def _run() -> Run:
    generator = torch.Generator().manual_seed(0)
    cls, patches = torch.randn(18, 4, generator=generator), torch.randn(18, 5, 4, generator=generator)
    pids = np.repeat(np.arange(6), 3)
    schedule = Schedule(6, 3.5e-4, check_every=2)
    return Run(mv.Tokens(cls, patches, (5, 1)), pids, window_head(4, (2,), seed=1), seed=1, schedule=schedule)


def _training(folder: Path) -> Path:
    run = _run()
    run.advance()
    run.save(folder / "run.state")
    return folder / "run.state"


@cache
def _people(folder: Path) -> list[Sample]:
    (folder / "people").mkdir(exist_ok=True)
    return two_modalities(folder / "people", 4, n_people=2)


def _tokens(folder: Path, name: str) -> Path:
    _with_tokens(folder / "kept")
    return next(file for file in (folder / "kept").rglob(name))


def _with_tokens(kept: Path) -> object:
    return mv.sample_tokens(_model(), _people(kept.parent), folder=kept, progress=False)


def _drawings(folder: Path, name: str = "drawn.npy") -> Path:
    _drawn(folder)
    return folder / name


def _drawn(folder: Path) -> object:
    recipe = Recipe(seed=3, first_pid=5, identities=1, shots=2)
    return drawn_once(recipe, lambda job: np.full((job[2], 3, 2), job[0], np.uint8), folder / "drawn.npy", "people")  # fmt: skip


def _drawn_set(folder: Path, name: str) -> Path:
    return write_samples(folder / "set", identities=1, cameras=1, shots=1, seed=5) / name


def _again(folder: Path) -> object:
    return write_samples(folder, identities=1, cameras=1, shots=1, seed=5)


def _manifest(folder: Path) -> Path:
    people = _people(folder)
    rows = [
        f'{one.pid},{one.camid},{one.images["RGB"].name},{one.images["NI"].name},"a, b"' for one in people
    ]
    (folder / "people" / "set.csv").write_text("\n".join(["pid,camid,RGB,NI,caption", *rows]))
    return folder / "people" / "set.csv"


def _captions(folder: Path) -> Path:
    grow(folder / "set", *(f"test/{m}/000001_cam1_0_00.jpg" for m in ("RGB", "NI", "TI")))
    (folder / "set" / "attributes.csv").write_text("pid,caption\n1,a person\n")
    return folder / "set" / "attributes.csv"


def _lists(folder: Path) -> Path:
    grow(folder / "RegDB", *(f"{kind}/1/a_{kind[0]}_1.bmp" for kind in ("Visible", "Thermal")))
    (folder / "RegDB" / "idx").mkdir()
    for kind in ("Visible", "Thermal"):
        for part in ("train", "test"):
            file = folder / "RegDB" / "idx" / f"{part}_{kind.lower()}_1.txt"
            file.write_text(f"{kind}/1/a_{kind[0]}_1.bmp 0\n")
    return folder / "RegDB" / "idx" / "train_visible_1.txt"


def _ids(folder: Path) -> Path:
    root = grow(folder / "SYSU-MM01", *(f"cam{camera}/0001/0001.jpg" for camera in (1, 3)))
    (root / "exp").mkdir()
    (root / "exp" / "train_id.txt").write_text("1,2,3\n")
    return root / "exp" / "train_id.txt"


def _store(folder: Path, name: str) -> Path:
    shutil.copytree(_stored(), folder, dirs_exist_ok=True)
    return next(file for file in (folder / "store").rglob(name))


@cache
def _stored() -> Path:
    folder = temporary_folder("mswin_viz_store_")
    mv.extract(sample_files(folder / "set", 2), folder / "store", model=_model(), batch_size=4, workers=0, tokens="all",
               progress=False)  # fmt: skip
    return folder


def _store_read(store: Path) -> object:
    """All that a store gives: one error after another may be met."""
    opened = mv.open_store(store)
    opened.verify()
    return opened.table(), opened.where(pid=0), opened.failed, opened.tokens(0), opened.features("plain")


def _renewed(file: Path) -> Path:
    """The store of rows whose commit has the hash of what they are now, as an attacker would give it."""
    commit = next(file.parents[1].glob("commits/part-*.json"))
    content = commit.read_text()
    old = next(value for name, value in json.loads(content).items() if name == "manifest")
    new = {
        "n_bytes": file.stat().st_size,
        "blake2b": hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest(),
    }
    commit.write_text(json.dumps(json.loads(content) | {"manifest": old | new}))
    return file.parents[1]


def _version_1(folder: Path) -> Path:
    _tokens(folder, "index.json")
    (folder / "kept" / "RGB_cls.npy").write_bytes(b"")
    older = {"key": "", "kept": [], "failed": [], "grid": [], "notes": []}
    (folder / "kept" / "index.json").write_text(json.dumps(older))
    return folder / "kept" / "index.json"


def _shipped(folder: Path) -> Path:
    (folder / "one.jpg").write_bytes(b"12")
    (folder / _RECORD).write_text(json.dumps({"one.jpg": 2}))
    return folder / _RECORD


def _export(folder: Path) -> Path:
    _store(folder, "store.json")
    mv.export_store(folder / "store", folder / "out", to="csv")
    return folder / "out" / "export.json"


def _tags(folder: Path) -> Path:
    samples = _people(folder)
    mv.open_tags(folder).add(samples, "half hidden", note="by a car")
    return folder / "tags.jsonl"


def _state(folder: Path) -> Path:
    samples = _people(folder)
    explorer = mv.ScaleExplorer(_model(), samples, prompt="a person")
    (folder / "state.json").write_text(json.dumps(explorer.state))
    explorer.close()
    return folder / "state.json"


def _state_pasted(file: Path) -> object:
    explorer = _explorer(file.parent)
    text = file.read_bytes().decode(errors="replace")
    explorer.bar.paste.text = text
    return mv.ScaleExplorer.from_state(_model(), explorer._samples, text).close()


@cache
def _explorer(folder: Path) -> mv.ScaleExplorer:
    return mv.ScaleExplorer(_model(), _people(folder))


def _picture(folder: Path) -> Path:
    Image.fromarray(np.zeros((48, 16, 3), np.uint8)).save(folder / "one.png")
    return folder / "one.png"


def _copies(folder: Path) -> Path:
    """A picture of a table in which another one is its copy."""
    for name in ("one", "copy", "third"):
        shape = (40, 16, 3)
        pixels = np.random.default_rng(len(name) // 4).integers(0, 255, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    shutil.copyfile(folder / "one.png", folder / "copy.png")
    return folder / "one.png"


def _copies_found(file: Path) -> mv.Findings:
    files = tuple({"RGB": file.with_name(f"{name}.png")} for name in ("one", "copy", "third"))
    features, n = np.eye(len(files), 4, dtype=np.float32) + 1, np.arange(len(files))
    table = mv.EmbeddingTable(
        sample=n, modality=np.full(len(n), "RGB"), pid=n, camid=n, scene=n, split=np.full(len(n), "test"), files=files,
        plain=features, enhanced=features,
    )  # fmt: skip
    return mv.near_duplicates(table)


READERS: dict[str, Reader] = {
    "host checkpoint": Reader(_host_file, lambda file: mv.load_host_model(file.parent / "MambaPro.yml", file, device="cpu")),
    "legacy checkpoint": Reader(lambda folder: _host_file(folder, is_zip=False), mv.load_addon),
    "safetensors": Reader(_addon_file, mv.load_addon),
    "TorchScript": Reader(_script, read_state_dict),
    "configuration in YAML": Reader(lambda folder: yml(folder, more=MIXTURE_ON), mv.read_config),
    "open_clip's settings": Reader(_open_clip, lambda file: mv.load_model(file.parent, device="cpu")),
    "Hugging Face's settings": Reader(lambda folder: _hugging_face(folder, "config.json"), lambda file: mv.load_model(file.parent, device="cpu")),
    "Hugging Face's numbers of images": Reader(lambda folder: _hugging_face(folder, "preprocessor_config.json"), lambda file: mv.load_model(file.parent, device="cpu")),
    "index of weights": Reader(lambda folder: _hugging_face(folder, "model.safetensors.index.json"), lambda file: mv.load_model(file.parent, device="cpu")),
    "the embedded model's settings": Reader(lambda folder: _embedded(folder, "config.json"), lambda file: load_embedded(file.parent)),
    "the embedded model's weights": Reader(lambda folder: _embedded(folder, "clip.safetensors"), lambda file: load_embedded(file.parent)),
    "stored ablation": Reader(_ablation, stored_ablation),
    "training state": Reader(_training, lambda file: _run().restore(file)),
    "index of kept tokens": Reader(lambda folder: _tokens(folder, "*.json"), lambda file: _with_tokens(file.parents[1])),
    "kept tokens": Reader(lambda folder: _tokens(folder, "*_cls.npy"), lambda file: _with_tokens(file.parents[1])),
    "index of drawings": Reader(lambda folder: _drawings(folder, "drawn.npy.json"), lambda file: _drawn(file.parent)),
    "drawings": Reader(_drawings, lambda file: _drawn(file.parent)),
    "table of drawn people": Reader(lambda folder: _drawn_set(folder, "attributes.csv"), lambda file: is_drawn(mv.samples(file.parent)[0])),
    "samples that are there": Reader(lambda folder: _drawn_set(folder, "test/NI/000001_cam1_0_00.jpg"), lambda file: _again(file.parents[3])),
    "manifest": Reader(_manifest, mv.samples),
    "captions": Reader(_captions, lambda file: mv.samples(file.parent)),
    "lists of RegDB": Reader(_lists, lambda file: mv.samples(file.parents[1])),
    "lists of SYSU-MM01": Reader(_ids, lambda file: mv.samples(file.parents[1])),
    "a store's record": Reader(lambda folder: _store(folder, "store.json"), lambda file: _store_read(file.parent)),
    "a store's commit": Reader(lambda folder: _store(folder, "part-*.json"), lambda file: _store_read(file.parents[1])),
    "a store's rows": Reader(lambda folder: _store(folder, "part-*.parquet"), lambda file: _store_read(file.parents[1])),
    "a store's tokens": Reader(lambda folder: _store(folder, "part-*.safetensors"), lambda file: _store_read(file.parents[1])),
    "a store's rows under another hash": Reader(lambda folder: _store(folder, "part-*.parquet"), lambda file: _store_read(_renewed(file))),
    "index of kept tokens of version 1": Reader(_version_1, lambda file: _with_tokens(file.parent)),
    "record of the samples that come along": Reader(_shipped, lambda file: _is_whole(file.parent)),
    "record of an export": Reader(_export, lambda file: mv.export_store(file.parents[1] / "store", file.parent, to="csv")),
    "tags": Reader(_tags, mv.open_tags),
    "state of an explorer": Reader(_state, _state_pasted),
    "a picture and its copy": Reader(_copies, _copies_found),
    "picture": Reader(_picture, lambda file: _model().encode([file], progress=False)),
}  # fmt: skip
"""What the file holds -> its reader."""
