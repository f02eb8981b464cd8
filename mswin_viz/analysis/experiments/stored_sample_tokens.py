"""Tokens to train on and to measure by, taken from a store instead of encoding the images again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mswin_viz.analysis.embeddings.store import Store, neck_of, rows_in_store
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import DataError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.heads import phase_grid, phase_means
from mswin_viz.model.training.stored_tokens import FailedImage, Filling
from mswin_viz.model.training.token_store import TokenStore

_BATCH = 1024


def holds_tokens(store: Store, model: Model, scales: Sequence[int]) -> bool:
    """Whether a store keeps what windows of some scales can tell apart; every patch token is needed without scales."""
    shapes = store.record.token_shapes
    if "patches" in shapes:
        return True
    period = shapes["phase_means"][0] if "phase_means" in shapes else 0
    return bool(scales) and bool(period) and phase_grid(model.grid, scales)[1] == period


def fill_from_store(
    model: Model, store: Store, samples: Sequence[Sample], scales: Sequence[int], shelf: TokenStore
) -> Filling:
    """Fill the shelf with the tokens of some of the store's samples, as :func:`holds_tokens` says they are there.

    StoreError if the store is of another model.
    """
    store.check_model(model)
    modalities = tuple(samples[0].images)
    status, reasons = store.column("status"), store.column("reason")
    found = rows_in_store(store, ((sample, name) for sample in samples for name in modalities))
    rows = found.reshape(len(samples), len(modalities)).tolist()
    kept, failed = [], []
    for place, own in enumerate(rows):
        bad = [at for at, row in enumerate(own) if status[row] != "ok"]
        if bad:
            failed.append(
                FailedImage(
                    sample=place, modality=modalities[bad[0]], reason=shown_text(reasons[own[bad[0]]])
                )
            )
        else:
            kept.append(place)
    if not kept:
        raise DataError(
            f"at least one sample must be usable: all {len(failed)} failed, the first: {failed[0].reason}"
        )
    for start in range(0, len(kept), _BATCH):
        for at, name in enumerate(modalities):
            chosen = [rows[place][at] for place in kept[start : start + _BATCH]]
            shelf.add(name, _tokens(model, store, chosen, scales))
    return Filling(kept=kept, failed=failed, notes=[])


def _tokens(model: Model, store: Store, rows: Sequence[int], scales: Sequence[int]) -> Tokens:
    """Tokens of some rows, in their order, reduced to what windows of the scales can tell apart."""
    some, order = store.rows(rows), np.argsort(np.argsort(rows, kind="stable"), kind="stable")
    kept = "patches" if "patches" in store.record.token_shapes else "phase_means"
    patches = torch.from_numpy(some.summary(kept).astype(np.float32)[order])
    cls = torch.from_numpy(some.features("plain")[order])
    grid = model.grid if kept == "patches" else (1, patches.shape[1])
    tokens = Tokens(cls, patches, grid, neck_of(model))
    return phase_means(tokens, scales) if scales and kept == "patches" else tokens
