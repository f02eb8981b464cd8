"""A store of very many rows with drawn features and no image files: what opening, searching and exporting cost grows with these."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mswin_viz.analysis.embeddings.store import Store, open_store
from mswin_viz.analysis.extraction.options import ExtractSettings, work_of
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.sample import Sample
from mswin_viz.data.store.manifest import ImageRow, manifest_bytes
from mswin_viz.data.store.shard_files import ShardFiles, made_folders
from mswin_viz.data.store.store_record import Commit, write_record
from mswin_viz.model.encoder.backbone import Model


def feature_store(
    folder: Path, n_images: int, model: Model, *, dim: int = 64, shard_images: int = 10_000
) -> Store:
    """A store of ``n_images`` rows with features of width ``dim``, four images to an identity, around its centre."""
    root = folder / "nowhere"
    samples = list(_samples(n_images, root))
    work = work_of(samples, folder, model, ExtractSettings(tokens="none", shard_images=shard_images))
    record = work.record.model_copy(update={"dim": dim, "wide": dim, "root": str(root)})
    made_folders(folder)
    write_record(folder, record)
    for number in range(work.plan.n_shards):
        shard = work.plan.shard(number)
        rng = np.random.default_rng(number)
        pids = np.array([image.sample.pid for image in shard.images])
        centres = np.stack(
            [np.random.default_rng(pid).normal(size=dim) for pid in range(pids.min(), pids.max() + 1)]
        )
        plain = (centres[pids - pids.min()] + 0.8 * rng.normal(size=(len(pids), dim))).astype(np.float32)
        features = {"plain": plain, "enhanced": plain + 0.2 * rng.normal(size=plain.shape).astype(np.float32)}
        rows = [
            ImageRow(image, hashlib.blake2b(str(image.id).encode(), digest_size=16).hexdigest(), (64, 128))
            for image in shard.images
        ]
        files = ShardFiles(folder, number)
        content = manifest_bytes(rows, features, root=root, dtype="float32", about={})
        files.write_commit(
            Commit(
                shard=number, first_id=shard.first_id, first_sample=shard.first_sample, n_samples=shard.n_samples,
                n_rows=len(rows), n_failed=0, plan=shard.plan(root), manifest=files.write_manifest(content), tokens=None, notes=[],
            )
        )  # fmt: skip
    return open_store(folder)


def _samples(n_images: int, root: Path) -> Iterator[Sample]:
    for number in range(-(-n_images // 3)):
        modalities = MODALITIES[: min(3, n_images - 3 * number)]
        images = {name: root / name / f"{number:08d}.jpg" for name in modalities}
        yield Sample(number // 4, number % 4, images, split="test", root=root)
