"""Builds an untouched open_clip model from a tag, a local file or the embedded weights, at any input size."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch

from mswin_viz.errors import OptionError, WeightsError, WeightsNotFoundError
from mswin_viz.model.checkpoint_report import LoadReport, checked_fit
from mswin_viz.model.checkpoints import EMBEDDED, StateDict, load_embedded, read_state_dict
from mswin_viz.model.config import HostConfig
from mswin_viz.model.positions import resized_positions, source_grid
from mswin_viz.model.readout import Readout

__all__ = [
    "HOST_SIZE",
    "POSITIONS",
    "Tower",
    "activation",
    "architecture_of",
    "built",
    "embedded_tower",
    "file_tower",
    "gelu",
    "tagged_tower",
    "text_keys",
    "without_text",
]

HOST_SIZE = (256, 128)
"""Input height and width of re-ID models of persons."""

_OPENAI_NUMBERS = {"input_resolution", "context_length", "vocab_size"}
"""Entries beside the weights that OpenAI's archives carry, and only they."""
_NO_WEIGHTS = _OPENAI_NUMBERS | {"attn_mask", "text.attn_mask"}
"""Entries no weight depends on; a TorchScript archive also holds the causal mask."""
_OPENAI = (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
POSITIONS = "visual.positional_embedding"
"""Key of the image tower's position embeddings in open_clip's and OpenAI's layout."""


@dataclass(frozen=True, eq=False)
class Tower:
    """A CLIP with its weights, and what is known of them.

    Attributes
    ----------
    clip
        open_clip's model, in evaluation mode.
    weights
        Where the weights come from, in words.
    image_size
        Input height and width.
    mean, std
        Pixel normalisation, for each channel.
    activation, positions
        The activation function, and whether positions were resized, in words.
    native_resize
        Interpolation of open_clip's own preprocessing; None: a plain bilinear resize to ``image_size``.
    crops
        Whether open_clip's own preprocessing resizes the shorter side and crops the centre, or stretches.
    token_ids
        BPE ids the text tower knows; None for all of them.
    state
        Tensors of a host checkpoint that belong to its add-on.
    has_text
        Whether there is a text tower.
    notes
        What was assumed or left out, to be said aloud.
    first_camera
        The number, in file names, of the camera whose embedding comes first.
    report
        What became of every key of the file; None for weights that are no single file of one's own.
    config
        The host model's configuration, where one was given.
    readout
        What a host model puts between its tokens and the feature it retrieves by; None for nothing.
    """

    clip: open_clip.CLIP
    weights: str
    image_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    activation: str
    positions: str
    native_resize: str | None = None
    crops: bool = True
    token_ids: frozenset[int] | None = None
    state: Mapping[str, torch.Tensor] | None = None
    has_text: bool = True
    notes: tuple[str, ...] = ()
    first_camera: int = 1
    report: LoadReport | None = None
    config: HostConfig | None = None
    readout: Readout | None = None


def embedded_tower(image_size: tuple[int, int] | None, folder: Path = EMBEDDED) -> Tower:
    """The small CLIP inside the package, trained on synthetic pedestrians."""
    clip, config, token_ids = load_embedded(folder)
    size = image_size or tuple(config["vision_cfg"]["image_size"])
    architecture = {key: config[key] for key in ("embed_dim", "vision_cfg", "text_cfg")}
    source = tuple(n // config["vision_cfg"]["patch_size"] for n in config["vision_cfg"]["image_size"])
    clip, positions = built(architecture, clip.state_dict(), size, source=source)
    mean, std = tuple(config["mean"]), tuple(config["std"])
    words = "embedded CLIP (trained here on synthetic pedestrians)"
    return Tower(clip, words, size, mean, std, "GELU", positions, token_ids=token_ids)


def tagged_tower(name: str, image_size: tuple[int, int] | None) -> Tower:
    """``"ARCH/TAG"`` as open_clip lists them; downloads once, into open_clip's own cache."""
    arch, _, tag = name.partition("/")
    architecture = _architecture(arch)
    _check_architecture(arch, architecture)
    found = open_clip.get_pretrained_cfg(arch, tag)
    if not found:
        tags = open_clip.list_pretrained_tags_by_model(arch)
        raise OptionError(
            f"open_clip has weights {', '.join(tags) or '(none)'} for {arch}: got {tag!r}; choose one"
        )
    try:
        file = open_clip.download_pretrained(found)
    except Exception as problem:  # every client of every hub has errors of its own
        raise WeightsNotFoundError(
            f"the weights {name} must be on this machine or downloadable: the download failed "
            f"({type(problem).__name__}: {(str(problem) or 'no message').splitlines()[0]}); run "
            "once with a network, or copy the file here and pass its path as the name"
        ) from problem
    if not file:
        raise WeightsNotFoundError(
            f"open_clip knows no place to download {name} from; pass a file's path instead"
        )
    quick = bool(found.get("quick_gelu", architecture.get("quick_gelu", False)))
    size = image_size or _pair(architecture["vision_cfg"]["image_size"])
    clip, positions = built({**architecture, "quick_gelu": quick}, read_state_dict(file), size)
    mean, std = tuple(found.get("mean", _OPENAI[0])), tuple(found.get("std", _OPENAI[1]))
    resize = found.get("interpolation", "bicubic") if size[0] == size[1] else None
    crops = found.get("resize_mode", "shortest") == "shortest"
    return Tower(clip, name, size, mean, std, gelu(quick), positions, native_resize=resize, crops=crops)


def file_tower(
    full: Mapping[str, torch.Tensor], path: Path, image_size: tuple[int, int] | None, arch: str | None
) -> Tower:
    """OpenAI's archive or an open_clip checkpoint, as :func:`read_state_dict` gives it."""
    state = {key: value.float() if value.is_floating_point() else value for key, value in full.items()}
    if POSITIONS not in state:
        raise WeightsError(
            f"a CLIP file has visual.* keys, a host model BACKBONE.base.*: {path} has neither; it begins with "
            f"{', '.join(list(full)[:3])}. An add-on alone is given as addon=, beside a model"
        )
    architecture = architecture_of(state, arch)
    quick, assumed = activation(architecture, arch, known_quick=not _OPENAI_NUMBERS.isdisjoint(full))
    size = image_size or _trained_size(state)
    clip, positions = built({**architecture, "quick_gelu": quick}, state, size)
    has_text = "token_embedding.weight" in state
    idle = {key: "a number beside the weights" for key in _NO_WEIGHTS if key in full}
    used = tuple(key for key in full if key not in idle)
    return Tower(
        clip, f"file {path.name}", size, tuple(_OPENAI[0]), tuple(_OPENAI[1]), gelu(quick), positions,
        native_resize="bicubic" if size[0] == size[1] else None, has_text=has_text, notes=assumed,
        report=LoadReport(path.name, used, idle, () if has_text else text_keys(clip)),
    )  # fmt: skip


def architecture_of(state: StateDict, arch: str | None) -> dict[str, Any]:
    """The architecture named, or read off the shapes.

    Raises
    ------
    WeightsError
        If a tensor that sizes are read off is missing or of another kind.
    """
    _check_stem(state)
    if arch is None:
        return _inferred(state)
    architecture = _architecture(arch)
    _check_architecture(arch, architecture)
    return architecture


def text_keys(clip: open_clip.CLIP) -> tuple[str, ...]:
    """Keys of the text side, which files of an image tower alone lack."""
    return tuple(key for key in clip.state_dict() if not key.startswith("visual.") and key not in _NO_WEIGHTS)


def built(
    architecture: Mapping[str, Any],
    state: StateDict,
    size: tuple[int, int],
    *,
    source: tuple[int, int] | None = None,
) -> tuple[open_clip.CLIP, str]:
    """open_clip's model of that architecture and input size, holding exactly ``state``."""
    config = copy.deepcopy(dict(architecture))
    patch = config["vision_cfg"]["patch_size"]
    if any(n < patch or n % patch for n in size):
        raise OptionError(
            f"an input side must be a multiple of the {patch}-pixel patch: got {size[0]}x{size[1]} (height x "
            f"width); {max(1, size[0] // patch) * patch}x{max(1, size[1] // patch) * patch} would do"
        )
    config["vision_cfg"]["image_size"] = list(size)
    clip = open_clip.CLIP(**config)
    target = tuple(n // patch for n in size)
    stored = state[POSITIONS]
    source = source or source_grid(len(stored) - 1, target)
    fitted = dict(state) | {POSITIONS: resized_positions(stored, source, target)}
    _load_exactly(clip, fitted)
    grids = [f"{rows}x{cols}" for rows, cols in (source, target)]
    words = f"{grids[1]}, as stored" if source == target else f"resized {grids[0]} -> {grids[1]}, bilinear"
    return clip.eval(), words


def _load_exactly(clip: open_clip.CLIP, state: StateDict) -> None:
    wanted = {key: tuple(value.shape) for key, value in clip.state_dict().items() if key not in _NO_WEIGHTS}
    has_text = "token_embedding.weight" in state
    needed = {key: shape for key, shape in wanted.items() if has_text or key.startswith("visual.")}
    extra = [key for key in state if key not in wanted and key not in _NO_WEIGHTS]
    rule = "weights must fit the architecture key by key; give the right arch= if they are whole"
    checked_fit(needed, state, rule, unexpected=extra)
    clip.load_state_dict({key: value for key, value in state.items() if key in wanted}, strict=False)
    if not has_text:
        without_text(clip)


def without_text(clip: open_clip.CLIP) -> None:
    """Mark a text side that has no weights: a text feature nobody trained is no number."""
    torch.nn.init.constant_(clip.token_embedding.weight, float("nan"))


def _check_architecture(arch: str, architecture: Mapping[str, Any]) -> None:
    """Refuse, by name and before any download, what gives no CLS feature or reads prompts another way."""
    vision, text = architecture["vision_cfg"], architecture["text_cfg"]
    reasons = {
        f"a timm tower ({vision.get('timm_model_name')})": "timm_model_name" in vision,
        "a convolutional tower (ResNet)": isinstance(vision.get("layers"), list),
        "attention pooling": bool(vision.get("attentional_pool")),
        f"{vision.get('pool_type', 'tok')!r} pooling": vision.get("pool_type", "tok") != "tok",
        "its last LayerNorm behind the pooling": bool(vision.get("final_ln_after_pool")),
    }
    found = [reason for reason, holds in reasons.items() if holds]
    if found:
        raise OptionError(
            "the image feature must be the CLS token of open_clip's own VisionTransformer: "
            f"{arch} has {' and '.join(found)}; use for example ViT-B-16/openai"
        )
    if architecture.get("custom_text") or "hf_tokenizer_name" in text:
        own = text.get("hf_tokenizer_name") or text.get("hf_model_name") or "its own"
        raise OptionError(
            f"prompts are read with CLIP's BPE tokenizer: {arch} has a text side of another kind ({own})"
        )


def _check_stem(state: StateDict) -> None:
    """The few tensors that sizes are read off; the others are compared one by one when loaded."""
    stem = {"visual.conv1.weight": 4, "visual.proj": 2, POSITIONS: 2}
    if "token_embedding.weight" in state:
        stem |= {"token_embedding.weight": 2, "positional_embedding": 2}
    missing = [key for key in stem if key not in state]
    if missing:
        raise WeightsError(
            f"a CLIP file holds every tensor of its tower: missing {', '.join(missing)}; copy it again"
        )
    wrong = [
        f"{key} is {tuple(state[key].shape)}"
        for key, n_axes in stem.items()
        if state[key].ndim != n_axes or 0 in state[key].shape
    ]
    if wrong:
        raise WeightsError(
            f"sizes are read off kernels [W, 3, P, P] and tables [rows, W]: got {', '.join(wrong)}; copy "
            "the file again"
        )


def activation(
    architecture: Mapping[str, Any], arch: str | None, *, known_quick: bool
) -> tuple[bool, tuple[str, ...]]:
    """Whether QuickGELU is used, and what had to be assumed about the file."""
    quick = True if arch is None else bool(architecture.get("quick_gelu", False))
    if known_quick and not quick:
        return quick, (f"GELU, as arch={arch!r} says, but files of this layout were trained with QuickGELU",)
    if known_quick or arch is not None:
        return quick, ()
    return quick, (
        "QuickGELU and OpenAI's normalisation are assumed, the file cannot tell; arch= names another",
    )


def _architecture(arch: str) -> dict[str, Any]:
    found = open_clip.get_model_config(arch)
    if found is None:
        near = difflib.get_close_matches(arch, open_clip.list_models(), n=3)
        raise OptionError(f"open_clip has no architecture {arch!r}; near: {', '.join(near) or 'none'}")
    return found


def _inferred(state: StateDict) -> dict[str, Any]:
    """OpenAI's ViT layout read off the shapes."""
    conv, proj = state["visual.conv1.weight"], state["visual.proj"]
    width, layers = conv.shape[0], _depth(state, "visual.transformer.resblocks.")
    if not layers:
        raise WeightsError("a tower has transformer blocks: got none (visual.transformer.resblocks.*)")
    vision = {
        "layers": layers,
        "width": width,
        "patch_size": conv.shape[2],
        "head_width": _head_width(width, layers),
    }
    text = {"context_length": 77, "vocab_size": 1, "width": 64, "heads": 1, "layers": 1}
    if "token_embedding.weight" in state:
        vocabulary, width = state["token_embedding.weight"].shape
        if width > 64 and width % (width // 64):
            raise WeightsError(
                f"heads of the text side are 64 wide: its width {width} has no whole number of them"
            )
        text = {
            "context_length": len(state["positional_embedding"]),
            "vocab_size": vocabulary,
            "width": width,
            "heads": max(1, width // 64),
            "layers": _depth(state, "transformer.resblocks."),
        }
    return {"embed_dim": proj.shape[1], "vision_cfg": vision, "text_cfg": text}


def _head_width(width: int, layers: int) -> int:
    """64 as in OpenAI's models, unless open_clip lists towers of this width and depth with another."""
    known = (open_clip.get_model_config(name)["vision_cfg"] for name in open_clip.list_models())
    listed = {v.get("head_width", 64) for v in known if (v.get("width"), v.get("layers")) == (width, layers)}
    head = listed.pop() if len(listed) == 1 else 64
    if width % head:
        raise WeightsError(
            f"heads are 64 wide where nothing says otherwise: a tower {width} wide has no whole number of "
            "them; give arch="
        )
    return head


def _depth(state: StateDict, prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})


def _trained_size(state: StateDict) -> tuple[int, int]:
    patch = state["visual.conv1.weight"].shape[2]
    rows, cols = source_grid(len(state[POSITIONS]) - 1, (0, 0))
    return rows * patch, cols * patch


def _pair(size: int | list[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def gelu(quick: bool) -> str:
    return "QuickGELU" if quick else "GELU"
