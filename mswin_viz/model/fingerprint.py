"""What identifies a model whatever device it is on: hashes of its tensors, and how it reads and runs pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import nn

from mswin_viz.model.encoder.backbone import Model


def weights_hash(model: Model) -> str:
    """32 hexadecimal digits of every tensor of the image tower, and of what reads out its feature."""
    readout = model.tower.readout
    return _hash([model.clip.visual, *([] if readout is None else [readout])])


def addon_hash(model: Model) -> str | None:
    """The same of the add-on; None for plain CLIP."""
    return None if model.addon is None else _hash([model.addon])


def how_it_runs(model: Model) -> dict[str, str]:
    """:attr:`Model.provenance_items` of the tower, with the precision in place of the device."""
    about = {key: words for key, words in model.provenance_items.items() if key != "add-on"}
    about["device"] = about["device"].partition(", ")[2]
    return about


def _hash(modules: Iterable[nn.Module]) -> str:
    content = hashlib.blake2b(digest_size=16)
    for name, value in (item for module in modules for item in module.state_dict().items()):
        content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return content.hexdigest()
