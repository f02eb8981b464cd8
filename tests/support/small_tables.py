"""A small table of embeddings over real picture files, with everything that can go wrong in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mswin_viz.analysis.embeddings.table import EmbeddingTable

PIDS = (3, 3, 5, 5, 3, -1)
CAMIDS = (1, 2, 1, 2, 1, -1)
N = len(PIDS)


def small_table(folder: Path, *, lying: bool = False) -> EmbeddingTable:
    """Six samples in RGB and NI; sample 2 has no NI, the RGB file of sample 3 is broken, nobody knows sample 5."""
    rng = np.random.default_rng(1)
    keys = [("RGB", i) for i in range(N)] + [("NI", i) for i in range(N) if i != 2]
    files = []
    for name, at in keys:
        path = folder / f"{name}_{at}.png"
        shape = (16, 40, 3) if lying else (40, 16, 3)
        Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8)).save(path)
        files.append({name: path})
    files[3]["RGB"].write_bytes(b"no picture")
    owners = np.array([at for _, at in keys])
    return EmbeddingTable(
        sample=owners,
        modality=np.array([name for name, _ in keys]),
        pid=np.array(PIDS)[owners],
        camid=np.array(CAMIDS)[owners],
        scene=np.full(len(keys), -1),
        split=np.full(len(keys), "test"),
        files=tuple(files),
        plain=rng.normal(size=(len(keys), 7)).astype(np.float32) + 1,
        enhanced=rng.normal(size=(len(keys), 7)).astype(np.float32) + 1,
    )
