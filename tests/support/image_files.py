"""Small image files on disk, in three modalities, for what reads files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mswin_viz.data.images.image_source import MODALITIES, Crop
from mswin_viz.data.sample import Sample


def sample_files(
    folder: Path, n_samples: int = 7, *, size: tuple[int, int] = (40, 20), seed: int = 2
) -> list[Sample]:
    """Samples of noise, ``size`` is height and width; every third one has no TI image."""
    rng, samples = np.random.default_rng(seed), []
    for number in range(n_samples):
        images = {}
        for modality in MODALITIES[: 2 if number % 3 == 2 else 3]:
            (folder / modality).mkdir(exist_ok=True, parents=True)
            images[modality] = folder / modality / f"{number:04d}.png"
            Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(images[modality])
        about = {"scene": number % 2 if number else None, "split": "test", "caption": f"person {number}"}
        samples.append(Sample(number // 2, number % 3, images, root=folder, **about))
    return samples


def strip_files(folder: Path, n_samples: int = 3) -> list[Sample]:
    """Samples whose three modalities stand side by side in one file, as in RGBNT100."""
    rng, samples = np.random.default_rng(4), []
    for number in range(n_samples):
        file = folder / f"{number:04d}.png"
        Image.fromarray(rng.integers(0, 256, (20, 90, 3), dtype=np.uint8)).save(file)
        boxes = {name: (30 * place, 0, 30 * place + 30, 20) for place, name in enumerate(MODALITIES)}
        images = {name: Crop(file, box, (90, 20)) for name, box in boxes.items()}
        samples.append(Sample(number, 1, images, root=folder))
    return samples


def shard_bytes(store: Path) -> dict[str, bytes]:
    """The files of every shard; not ``store.json``, which names the list of samples."""
    every = sorted(path for path in store.rglob("part-*") if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in every}
