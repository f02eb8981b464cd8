"""Builds an untouched open_clip model from a tag, a local file or the embedded weights, at any input size."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
import torch

from mswin_viz.errors import OptionError, WeightsError, WeightsNotFoundError
from mswin_viz.model.archives.state_dicts import StateDict
from mswin_viz.model.archives.torch_files import first_words
from mswin_viz.model.archives.weight_files import read_state_dict
from mswin_viz.model.tokens.readout import Readout
from mswin_viz.model.weights.architectures import (
    FIT_RULE,
    NO_TEXT,
    POSITIONS,
    VOCABULARY,
    check_architecture,
    check_sizes,
    gelu,
    named_architecture,
)
from mswin_viz.model.weights.embedded_config import EMBEDDED, load_embedded
from mswin_viz.model.weights.host_config import MOST_PATCHES, HostConfig
from mswin_viz.model.weights.hub import connected_or_offline, not_downloaded
from mswin_viz.model.weights.load_report import LoadReport, checked_fit
from mswin_viz.model.weights.positions import grid_doubt, resized_positions, source_grid
from mswin_viz.model.weights.tower_options import TowerOptions

HOST_SIZE = (256, 128)
"""Input height and width of re-ID models of persons."""

OPENAI_NUMBERS = {"input_resolution", "context_length", "vocab_size"}
"""Entries beside the weights that OpenAI's archives carry, and only they."""
NO_WEIGHTS = OPENAI_NUMBERS | {"attn_mask", "text.attn_mask"}
"""Entries no weight depends on; a TorchScript archive also holds the causal mask."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Tower:
    """A CLIP with its weights, and what is known of them."""

    clip: open_clip.CLIP  # in evaluation mode
    weights: str  # where they come from, in words
    image_size: tuple[int, int]  # input height and width
    mean: tuple[float, ...]
    std: tuple[float, ...]
    activation: str  # GELU or QuickGELU
    positions: str  # the grid, and whether positions were resized, in words
    native_resize: str | None = None  # open_clip's interpolation; None: a plain bilinear resize to image_size
    crops: bool = True  # open_clip resizes the shorter side and crops the centre; else it stretches
    token_ids: frozenset[int] | None = None  # BPE ids the text tower knows; None: all of them
    state: Mapping[str, torch.Tensor] | None = None  # tensors of a host checkpoint's add-on
    has_text: bool = True
    notes: tuple[str, ...] = ()  # what was assumed or left out; a warning each when the model is loaded
    first_camera: int = 1  # number, in file names, of the camera whose embedding comes first
    report: LoadReport | None = None  # None for the embedded weights and those of open_clip's list
    config: HostConfig | None = None  # the host model's, where one was given
    readout: Readout | None = None  # between the tokens and the feature that a host retrieves by
    thermal_range: tuple[float, float] | None = None  # of deep images; None: each one's percentiles
    knows_drawings_only: bool = False  # trained on this package's drawn people, and on nothing else

    @property
    def dim(self) -> int:
        """Width ``D`` of the joint image and text space."""
        return self.clip.get_parameter("visual.proj").shape[1]


def embedded_tower(image_size: tuple[int, int] | None, folder: Path = EMBEDDED) -> Tower:
    """The small CLIP inside the package, trained on synthetic pedestrians."""
    embedded = load_embedded(folder)
    config = embedded.config
    if config["quick_gelu"]:
        raise WeightsError(
            f"an embedded model's activation is GELU: {folder} says quick_gelu; train it again"
        )
    size = image_size or pair(config["vision_cfg"]["image_size"])
    architecture = {key: config[key] for key in ("embed_dim", "vision_cfg", "text_cfg")}
    rows, cols = (n // config["vision_cfg"]["patch_size"] for n in config["vision_cfg"]["image_size"])
    made = built(architecture, embedded.clip.state_dict(), size, source=(rows, cols))
    return Tower(
        clip=made.clip,
        weights="embedded CLIP (trained here on synthetic pedestrians)",
        image_size=size,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        activation="GELU",
        positions=made.positions,
        token_ids=embedded.token_ids,
        knows_drawings_only=True,
    )


def tagged_tower(name: str, options: TowerOptions) -> Tower:
    """An ``"ARCH/TAG"`` pair of open_clip's list; downloaded once, into open_clip's own cache."""
    arch, _, tag = name.partition("/")
    architecture = named_architecture(arch)
    check_architecture(arch, architecture)
    pretrained = open_clip.get_pretrained_cfg(arch, tag)
    if not pretrained:
        tags = open_clip.list_pretrained_tags_by_model(arch)
        raise OptionError(
            f"open_clip has weights {', '.join(tags) or '(none)'} for {arch}: got {tag!r}; choose one"
        )
    quick = bool(pretrained.get("quick_gelu", architecture.get("quick_gelu", False)))
    mean = tuple(pretrained.get("mean", open_clip.OPENAI_DATASET_MEAN))
    std = tuple(pretrained.get("std", open_clip.OPENAI_DATASET_STD))
    options.refuse_contradictions(gelu(quick), mean, std, f"{name}, as open_clip lists it,")
    state = read_state_dict(_downloaded(name, dict(pretrained)))
    trained = pair(architecture["vision_cfg"]["image_size"])
    size = options.image_size or trained
    source = grid_of(trained, architecture["vision_cfg"]["patch_size"], state)
    made = built({**architecture, "quick_gelu": quick}, state, size, source=source)
    return Tower(
        clip=made.clip,
        weights=name,
        image_size=size,
        mean=mean,
        std=std,
        activation=gelu(quick),
        positions=made.positions,
        native_resize=pretrained.get("interpolation", "bicubic") if size[0] == size[1] else None,
        crops=pretrained.get("resize_mode", "shortest") == "shortest",
    )


def _downloaded(name: str, pretrained: dict[str, Any]) -> str:
    """The weight file of an open_clip pair, from its cache or the network."""
    try:
        with connected_or_offline(str(pretrained.get("hf_hub", ""))):
            file = open_clip.download_pretrained(pretrained)
    except Exception as problem:  # every client of every hub has errors of its own
        raise not_downloaded(name, problem) from problem
    if not file:
        raise WeightsNotFoundError(
            f"open_clip does not know where to download {name}; pass the path of a file instead"
        )
    return file


def grid_of(size: tuple[int, int], patch: int, state: Mapping[str, torch.Tensor]) -> tuple[int, int] | None:
    """The grid of an input size if the file holds that many positions; None otherwise."""
    rows, cols = size[0] // patch, size[1] // patch
    n_positions = len(state[POSITIONS]) - 1 if POSITIONS in state and state[POSITIONS].ndim else -1
    return (rows, cols) if rows * cols == n_positions else None


class BuiltClip(NamedTuple):
    """open_clip's model with its weights, and what became of its position embeddings, in words."""

    clip: open_clip.CLIP
    positions: str


def text_keys(clip: open_clip.CLIP) -> tuple[str, ...]:
    """Keys of the text side, which files of an image tower alone lack."""
    return tuple(key for key in clip.state_dict() if not key.startswith("visual.") and key not in NO_WEIGHTS)


def built(
    architecture: Mapping[str, Any],
    state: StateDict,
    size: tuple[int, int],
    *,
    source: tuple[int, int] | None = None,
) -> BuiltClip:
    """open_clip's model of that architecture and input size, holding exactly ``state``."""
    config = copy.deepcopy(dict(architecture))
    patch = config["vision_cfg"]["patch_size"]
    if any(n < patch or n % patch for n in size):
        fitting = "x".join(str(max(1, n // patch) * patch) for n in size)
        raise OptionError(
            f"an input side must be a multiple of the {patch}-pixel patch: got {size[0]}x{size[1]} (height x "
            f"width); {fitting} would do"
        )
    target = (size[0] // patch, size[1] // patch)
    if target[0] * target[1] > MOST_PATCHES:
        raise OptionError(
            f"an input has at most {MOST_PATCHES:,} patches: {size[0]}x{size[1]} has {target[0] * target[1]:,} of "
            f"{patch} pixels; give a smaller image_size"
        )
    check_sizes(config, state)
    config["vision_cfg"]["image_size"] = list(size)
    if VOCABULARY not in state:
        config["text_cfg"] = dict(NO_TEXT)
    clip = _made(config)
    stored = state[POSITIONS]
    doubt = "" if source else grid_doubt(len(stored) - 1, target)
    source = source or source_grid(len(stored) - 1, target)
    fitted = dict(state) | {POSITIONS: resized_positions(stored, source, target)}
    _load_exactly(clip, fitted)
    grids = [f"{rows}x{cols}" for rows, cols in (source, target)]
    words = f"{grids[1]}, as stored" if source == target else f"resized {grids[0]} -> {grids[1]}, bilinear"
    return BuiltClip(clip.eval(), words + doubt)


def _made(config: dict[str, Any]) -> open_clip.CLIP:
    try:
        return open_clip.CLIP(**config)
    except Exception as problem:  # open_clip and torch raise errors of many kinds
        raise WeightsError(
            f"open_clip must be able to build the architecture of the weights: it cannot ({type(problem).__name__}: "
            f"{first_words(problem)}); copy the settings beside the weights again, or give arch="
        ) from problem


def _load_exactly(clip: open_clip.CLIP, state: StateDict) -> None:
    wanted = {key: tuple(value.shape) for key, value in clip.state_dict().items() if key not in NO_WEIGHTS}
    has_text = VOCABULARY in state
    needed = {k: v for k, v in wanted.items() if k.startswith("visual.") or (has_text and k != "logit_scale")}
    extra = [key for key in state if key not in wanted and key not in NO_WEIGHTS]
    checked_fit(needed, state, FIT_RULE, unexpected=extra)
    clip.load_state_dict({key: value for key, value in state.items() if key in wanted}, strict=False)
    if not has_text:
        without_text(clip)


def without_text(clip: open_clip.CLIP) -> None:
    """Mark a text side that has no weights: the feature of an untrained text side is NaN."""
    torch.nn.init.constant_(clip.get_parameter(VOCABULARY), float("nan"))


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width, from one number or two."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
