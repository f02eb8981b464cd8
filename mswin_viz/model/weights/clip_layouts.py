"""Translates CLIP's keys, as Hugging Face, a bare image tower or open_clip writes them, to open_clip's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch

from mswin_viz.errors import WeightsError
from mswin_viz.model.archives.state_dicts import StateDict
from mswin_viz.model.weights.foreign_files import foreign_kind

State = Mapping[str, torch.Tensor]

_POSITIONS = "visual.positional_embedding"
_BARE = ("class_embedding", "conv1.weight", "positional_embedding", "ln_pre.weight", "ln_post.weight")
_BARE_KEY = re.compile(
    r"(class_embedding|conv1\.weight|positional_embedding|proj|(ln_pre|ln_post|transformer)\..*)"
)
_TOWERS = {"vision_model.": "visual.", "text_model.": ""}
_NAMES = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": _POSITIONS,
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "visual_projection.weight": "visual.proj",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "text_projection.weight": "text_projection",
    "logit_scale": "logit_scale",
}
"""Hugging Face's key -> open_clip's, outside the blocks; pre_layrnorm is their spelling."""
_BLOCK = re.compile(r"(vision_model\.|text_model\.)encoder\.layers\.(\d+)\.(.+)")
_IN_BLOCKS = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip
_STACKED = re.compile(r"self_attn\.([qkv])_proj\.(weight|bias)")
_NOT_CLIPS = re.compile(r"\.(self_attn\.qkv|pre_layernorm)\.")
"""Keys that BLIP and OWL-ViT have beside an image tower named as CLIP's."""
_TRANSPOSED = ("visual.proj", "text_projection")
"""Matrices that open_clip multiplies from the right, and Hugging Face's Linears from the left."""


@dataclass(frozen=True, eq=False)
class ClipKeys:
    """A file's tensors under open_clip's keys; keys that no CLIP has stay as they are."""

    state: StateDict
    sources: Mapping[str, tuple[str, ...]]  # open_clip's key -> the keys of the file it was made of
    layout: str  # whose keys they were

    @property
    def is_hugging_face(self) -> bool:
        """Whether transformers wrote the file, so that its own settings file says more."""
        return self.layout == "Hugging Face"


def clip_keys(full: State, path: object) -> ClipKeys:
    """Tensors of a file under open_clip's keys; a file without a CLIP image tower is refused by what it is instead."""
    state = {f"vision_model.{key}": value for key, value in full.items()} if _is_vision_model(full) else full
    if "vision_model.embeddings.class_embedding" in state and not any(map(_NOT_CLIPS.search, state)):
        return _from_hugging_face(state, full, path)
    if root := _bare_root(full):
        names = {_visual(key, root): key for key in full}
        sources = MappingProxyType({name: (key,) for name, key in names.items()})
        return ClipKeys({name: full[key] for name, key in names.items()}, sources, "a bare image tower")
    if _POSITIONS in full and not any(key.startswith("visual.attn_pool.") for key in full):
        return ClipKeys(dict(full), MappingProxyType({key: (key,) for key in full}), "open_clip")
    if "visual.class_embedding" in full and not any(key.startswith("visual.attn_pool.") for key in full):
        raise WeightsError(
            f"a CLIP file holds every tensor of its tower: {path} is missing {_POSITIONS}; copy it again"
        )
    raise WeightsError(_foreign(full, path))


def _foreign(full: State, path: object) -> str:
    if kind := foreign_kind(full):
        what, more = f"{path} holds {kind}", ""
    else:
        what = f"{path} has none of them; it begins with {', '.join(list(full)[:3])}"
        more = ". Pass an add-on alone as addon=, beside a model"
    return (
        "a CLIP file has an image tower with a CLS token, keys visual.* or vision_model.*, a host model "
        f'BACKBONE.base.*: {what}. Load for example "ViT-B-16/openai", OpenAI\'s .pt, or a CLIP ViT checkpoint of '
        f"open_clip or Hugging Face{more}"
    )


def _is_vision_model(full: State) -> bool:
    """Whether these are the keys of transformers' CLIPVisionModel as its version 5 writes them."""
    names = {"embeddings.class_embedding", "embeddings.patch_embedding.weight", "pre_layrnorm.weight"}
    return names <= full.keys()


def _bare_root(full: State) -> str | None:
    """The prefix of a bare image tower's keys, or "." for no prefix; None where there is no such tower."""
    roots = [key.removesuffix(_BARE[0]) for key in full if key == _BARE[0] or key.endswith(f".{_BARE[0]}")]
    roots = [root for root in roots if root != "visual." and all(root + name in full for name in _BARE)]
    return (roots[0] or ".") if len(roots) == 1 else None


def _visual(key: str, root: str) -> str:
    name = key.removeprefix(root)
    is_inside = root == "." or key.startswith(root)
    return f"visual.{name}" if is_inside and _BARE_KEY.fullmatch(name) else key


def _from_hugging_face(state: State, full: State, path: object) -> ClipKeys:
    if "visual_projection.weight" not in state:
        raise WeightsError(
            f"a CLIP's image tower ends in a projection into the space of its prompts: {path} is a CLIPVisionModel "
            "without one, missing visual_projection.weight; load the CLIPModel, or a CLIPVisionModelWithProjection"
        )
    if twice := [key for key in state if key.startswith("visual.")]:
        raise WeightsError(
            f"a weight file has one layout: {path} has Hugging Face's keys and {', '.join(twice[:3])} of open_clip's; "
            "save one of the two alone"
        )
    tensors: StateDict = {}
    sources: dict[str, tuple[str, ...]] = {}
    parts: dict[str, dict[str, str]] = {}
    for key in state:
        name, part = _open_clip_key(key)
        if part:
            parts.setdefault(name, {})[part] = key
        else:
            tensors[name] = state[key].T if name in _TRANSPOSED and state[key].ndim == 2 else state[key]
            sources[name] = (key,)
    for name, thirds in parts.items():
        if set(thirds) == set("qkv"):
            tensors[name] = _stacked([state[thirds[part]] for part in "qkv"], thirds["q"], path)
            sources[name] = tuple(thirds[part] for part in "qkv")
        else:  # left under their own names, so that the fit names what is missing
            tensors |= {key: state[key] for key in thirds.values()}
            sources |= {key: (key,) for key in thirds.values()}
    shorter = {key: key if key in full else key.removeprefix("vision_model.") for key in state}
    sources = {name: tuple(shorter[key] for key in keys) for name, keys in sources.items()}
    return ClipKeys(tensors, MappingProxyType(sources), "Hugging Face")


def _open_clip_key(key: str) -> tuple[str, str]:
    """open_clip's key, and which third (q, k or v) of a stacked tensor this is; unknown keys stay as they are."""
    if key in _NAMES:
        return _NAMES[key], ""
    block = _BLOCK.fullmatch(key)
    if block is None:
        return key, ""
    tower, number, rest = block.groups()
    before = f"{_TOWERS[tower]}transformer.resblocks.{number}."
    if part := _STACKED.fullmatch(rest):
        return f"{before}attn.in_proj_{part[2]}", part[1]
    layer, _, kind = rest.rpartition(".")
    return (f"{before}{_IN_BLOCKS[layer]}.{kind}", "") if layer in _IN_BLOCKS else (key, "")


def _stacked(thirds: list[torch.Tensor], key: str, path: object) -> torch.Tensor:
    shapes = {tuple(third.shape) for third in thirds}
    if len(shapes) > 1 or not thirds[0].ndim:
        raise WeightsError(
            f"queries, keys and values must have the same shape: {path} has {sorted(shapes)} at {key}; copy it again"
        )
    return torch.cat(thirds)
