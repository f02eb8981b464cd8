"""The architecture of a CLIP: named by open_clip, or inferred from the shapes of a file's tensors."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import open_clip

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, WeightsError
from mswin_viz.model.archives.state_dicts import StateDict
from mswin_viz.model.weights.load_report import checked_fit

POSITIONS = "visual.positional_embedding"
"""Key of the image tower's position embeddings in open_clip's and OpenAI's layout."""
VOCABULARY = "token_embedding.weight"
"""Key of the text side's token embeddings."""
NO_TEXT: Mapping[str, int] = MappingProxyType(
    {"context_length": 77, "vocab_size": 1, "width": 64, "heads": 1, "layers": 1}
)
"""Stands in for a text side without weights; never run."""
FIT_RULE = "weights must fit the architecture key by key; give another arch= if the file is undamaged"
_CLIPS_WORDS = 49408


def architecture_of(state: StateDict, arch: str | None, *, heads: int | None = None) -> dict[str, Any]:
    """The named architecture, or the one that shapes tell; ``heads`` of the image tower, where they are known."""
    stem = {"visual.conv1.weight": 4, "visual.proj": 2, POSITIONS: 2}
    if missing := [key for key in stem if key not in state]:
        raise WeightsError(
            f"a CLIP file holds every tensor of its tower: missing {', '.join(missing)}; copy it again"
        )
    if wrong := [key for key, n_axes in stem.items() if state[key].ndim != n_axes or 0 in state[key].shape]:
        got = ", ".join(f"{key} is {tuple(state[key].shape)}" for key in wrong)
        raise WeightsError(
            f"sizes are read from kernels [W, 3, P, P] and tables [rows, W]: got {got}; copy the file again"
        )
    if arch is None:
        return _inferred(state, heads)
    architecture = named_architecture(arch)
    check_architecture(arch, architecture)
    return architecture


def activation(
    architecture: Mapping[str, Any], arch: str | None, *, known_quick: bool
) -> tuple[bool, tuple[str, ...]]:
    """Whether QuickGELU is used: as a named architecture has it, else yes; with a note where the file contradicts it."""
    quick = True if arch is None else bool(architecture.get("quick_gelu", False))
    return quick, (gelu_note(f"arch={arch!r}"),) if known_quick and not quick else ()


def gelu_note(option: str) -> str:
    """A note on GELU for a file that was trained with QuickGELU."""
    return f"GELU, as {option} says, but files of this layout were trained with QuickGELU"


def named_architecture(arch: str) -> dict[str, Any]:
    """open_clip's own entry for an architecture; a name with a colon would be looked up on a hub, and is refused."""
    architecture = None if ":" in arch else open_clip.get_model_config(arch)
    if architecture is None:
        near = near_architectures(arch)
        raise OptionError(f"open_clip has no architecture {arch!r}; similar: {', '.join(near) or 'none'}")
    return architecture


def near_architectures(name: str) -> list[str]:
    """Names of models that resemble a mistyped one, nearest first."""
    return difflib.get_close_matches(name, [*open_clip.list_models(), "embedded"], n=3)


def check_architecture(arch: str, architecture: Mapping[str, Any]) -> None:
    """Refuse, before any download, an architecture without a CLS feature or with another text tokenizer."""
    vision, text = architecture["vision_cfg"], architecture["text_cfg"]
    reasons = {
        f"a timm tower ({vision.get('timm_model_name')})": "timm_model_name" in vision,
        "a convolutional tower (ResNet)": isinstance(vision.get("layers"), list),
        "attention pooling": bool(vision.get("attentional_pool")),
        f"{vision.get('pool_type', 'tok')!r} pooling": vision.get("pool_type", "tok") != "tok",
        "its last LayerNorm after the pooling": bool(vision.get("final_ln_after_pool")),
    }
    if wrong := [reason for reason, holds in reasons.items() if holds]:
        raise OptionError(
            "the image feature must be the CLS token of open_clip's own VisionTransformer: "
            f"{arch} has {' and '.join(wrong)}; use for example ViT-B-16/openai"
        )
    if architecture.get("custom_text") or "hf_tokenizer_name" in text:
        kind = text.get("hf_tokenizer_name") or text.get("hf_model_name") or "its own"
        raise OptionError(
            f"prompts are read with CLIP's BPE tokenizer: {arch} has a text side of another kind ({kind})"
        )


def check_sizes(architecture: Mapping[str, Any], state: StateDict) -> None:
    """Compare what an architecture claims with the tensors that decide its size, before anything is built."""
    vision, text = architecture["vision_cfg"], architecture["text_cfg"]
    width, patch, dim = vision["width"], vision["patch_size"], architecture["embed_dim"]
    wanted = {"visual.conv1.weight": (width, 3, patch, patch), "visual.proj": (width, dim)}
    wanted |= _sizes_of_blocks("visual.transformer.resblocks.", vision)
    if VOCABULARY in state:
        wanted |= {
            VOCABULARY: (text["vocab_size"], text["width"]),
            "positional_embedding": (text["context_length"], text["width"]),
        } | _sizes_of_blocks("transformer.resblocks.", text)
    checked_fit(wanted, state, FIT_RULE)


def _sizes_of_blocks(prefix: str, side: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes in the first layer and in the last."""
    width = side["width"]
    inner = int(width * side.get("mlp_ratio", 4.0))
    return {
        f"{prefix}0.mlp.c_fc.weight": (inner, width),
        f"{prefix}{side['layers'] - 1}.ln_1.weight": (width,),
    }


def gelu(quick: bool) -> str:
    """The activation's name."""
    return "QuickGELU" if quick else "GELU"


def text_stem_problem(state: StateDict, *, heads: int | None = None) -> str:
    """Why the sizes of a text side cannot be read from its tensors; empty where they can."""
    stem = (VOCABULARY, "positional_embedding")
    if missing := [key for key in stem if key not in state]:
        return f"missing {', '.join(missing)}"
    if wrong := [key for key in stem if state[key].ndim != 2 or 0 in state[key].shape]:
        return ", ".join(f"{key} is {tuple(state[key].shape)}" for key in wrong)
    rows, width = state[VOCABULARY].shape
    if rows != _CLIPS_WORDS:
        return (
            f"its vocabulary has {counted(rows, 'entries')}, not the {_CLIPS_WORDS} of CLIP's BPE tokenizer"
        )
    if not _depth(state, "transformer.resblocks."):
        return "missing transformer.resblocks.*"
    if heads is None and width > 64 and width % (width // 64):
        return f"heads are 64 wide, and its width of {width} is not a multiple of 64"
    if heads is not None and width % heads:
        return f"its width {width} is not a multiple of its {counted(heads, 'heads')}"
    return ""


def _inferred(state: StateDict, heads: int | None) -> dict[str, Any]:
    """The sizes of OpenAI's ViT layout, from the shapes."""
    conv, proj = state["visual.conv1.weight"], state["visual.proj"]
    width, layers = conv.shape[0], _depth(state, "visual.transformer.resblocks.")
    if not layers:
        raise WeightsError("a tower has transformer blocks: got none (visual.transformer.resblocks.*)")
    head_width = _head_width(width, layers, heads)
    vision = {"layers": layers, "width": width, "patch_size": conv.shape[2], "head_width": head_width}
    vision |= _mlp_ratio(state, "visual.transformer.resblocks.0.mlp.c_fc.weight", width)
    text: dict[str, Any] = dict(NO_TEXT)
    if VOCABULARY in state:
        vocabulary, text_width = state[VOCABULARY].shape
        text = {
            "context_length": len(state["positional_embedding"]),
            "vocab_size": vocabulary,
            "width": text_width,
            "heads": max(1, text_width // 64),
            "layers": _depth(state, "transformer.resblocks."),
        } | _mlp_ratio(state, "transformer.resblocks.0.mlp.c_fc.weight", text_width)
    return {"embed_dim": proj.shape[1], "vision_cfg": vision, "text_cfg": text}


def _mlp_ratio(state: StateDict, key: str, width: int) -> dict[str, float]:
    """open_clip cuts width times ratio to a whole number: half a neuron more keeps it from rounding down."""
    inner = state[key].shape[0] if key in state and state[key].ndim == 2 else 0
    return {} if inner in (0, 4 * width) else {"mlp_ratio": (inner + 0.5) / width}


def _head_width(width: int, layers: int, heads: int | None) -> int:
    """64 as in OpenAI's models, unless open_clip lists towers of this width and depth with another."""
    if heads is not None:
        if width % heads:
            raise WeightsError(
                f"a tower's width must be a multiple of its heads: got {counted(heads, 'heads')} for a width of {width}"
            )
        return width // heads
    known = (named_architecture(name)["vision_cfg"] for name in open_clip.list_models())
    listed = {v.get("head_width", 64) for v in known if (v.get("width"), v.get("layers")) == (width, layers)}
    head = listed.pop() if len(listed) == 1 else 64
    if width % head:
        raise WeightsError(
            f"heads are 64 wide where nothing says otherwise: a width of {width} is not a multiple of 64; give arch="
        )
    return head


def _depth(state: StateDict, prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})
