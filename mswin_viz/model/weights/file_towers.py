"""A CLIP from a file or folder: OpenAI's archives, open_clip's and Hugging Face's checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import open_clip
import torch

from mswin_viz.errors import OptionError
from mswin_viz.model.archives.state_dicts import StateDict, WeightFile
from mswin_viz.model.weights.architectures import (
    POSITIONS,
    VOCABULARY,
    activation,
    architecture_of,
    check_architecture,
    check_sizes,
    gelu,
    gelu_note,
    text_stem_problem,
)
from mswin_viz.model.weights.clip_layouts import ClipKeys, clip_keys
from mswin_viz.model.weights.clip_towers import (
    NO_WEIGHTS,
    OPENAI_NUMBERS,
    Tower,
    built,
    grid_of,
    pair,
    text_keys,
)
from mswin_viz.model.weights.load_report import LoadReport, fit_problems
from mswin_viz.model.weights.positions import grid_doubt, source_grid
from mswin_viz.model.weights.stored_settings import StoredSettings, stored_settings
from mswin_viz.model.weights.tower_options import TowerOptions

_MEAN, _STD = tuple(open_clip.OPENAI_DATASET_MEAN), tuple(open_clip.OPENAI_DATASET_STD)
_IDLE = NO_WEIGHTS | {f"{side}embeddings.position_ids" for side in ("vision_model.", "text_model.", "")}
_TEXT = ("transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection")
_OTHER_TEXT = ("text.", "text_model.", "text_projection.", "text_encoder.", "bert.")
_SCALE = "logit_scale"
_ADDON = "sliding_windows."


@dataclass(frozen=True, eq=False)
class _Parts:
    """A file's tensors, sorted: the model's, unused keys with the reason, and the keys a text side would have."""

    model: StateDict
    unused: Mapping[str, str]
    text_problem: str
    text_keys: tuple[str, ...]


def file_tower(file: WeightFile, options: TowerOptions) -> Tower:
    """The tower in OpenAI's archive, an open_clip or Hugging Face checkpoint, or a bare image tower.

    The image tower must be complete. A text side is used where it is complete too, and otherwise left out with the
    reason; the report has keys that belong to no part of a CLIP, and a missing ``logit_scale``.
    """
    keys = clip_keys(file.state, file.path)
    stored = stored_settings(file.settings, is_hugging_face=keys.is_hugging_face)
    options.refuse_contradictions(stored.activation, stored.mean, stored.std, stored.source)
    architecture, parts = _architecture(keys, stored, options)
    settled = _settled(stored, options, architecture, is_openai=not OPENAI_NUMBERS.isdisjoint(file.state))
    grid = _input(keys.state, stored, options, architecture)
    size, quick = grid.size, settled.activation == "QuickGELU"
    made = built({**architecture, "quick_gelu": quick}, parts.model, size, source=grid.source)
    notes = settled.notes
    if parts.text_problem:
        notes += (f"no prompts: its text side is left out ({parts.text_problem})",)
    return Tower(
        clip=made.clip,
        weights=f"{'folder' if file.path.is_dir() else 'file'} {file.path.name}{settled.origin}",
        image_size=size,
        mean=settled.mean,
        std=settled.std,
        activation=settled.activation,
        positions=made.positions + grid.doubt,
        native_resize=stored.resize if size[0] == size[1] else None,
        crops=stored.crops,
        has_text=VOCABULARY in parts.model,
        notes=(*notes, *_camera_note(file), *_addon_note(parts.unused)),
        report=_report(file, keys, parts),
    )


def _camera_note(file: WeightFile) -> tuple[str, ...]:
    """A note on the camera embedding that re-ID code other than the known hosts (CLIP-ReID) adds to its tower."""
    tables = [key for key in file.state if key.rpartition(".")[2] == "cv_embed"]
    if not tables:
        return ()
    return (
        f"the file's camera embedding ({tables[0]}) is NOT applied, since only host checkpoints (BACKBONE.*) with their "
        "configuration say how; features differ from those of the code that trained it",
    )


def _addon_note(unused: Iterable[str]) -> tuple[str, ...]:
    """A note on an add-on among the tensors: it is found where it is asked for, since a plain CLIP's file says nothing of one."""
    keys = [key for key in unused if _ADDON in key]
    return (
        (f"its add-on ({keys[0]}) is not loaded with the CLIP, but by addon= with the same path",)
        if keys
        else ()
    )


@dataclass(frozen=True)
class _Settled:
    """Activation and normalisation, and what had to be assumed."""

    activation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...]
    origin: str


def _settled(
    stored: StoredSettings, options: TowerOptions, architecture: Mapping[str, Any], *, is_openai: bool
) -> _Settled:
    """What the user gives, else what is stored, else what the layout implies, else an assumption with a note."""
    quick, notes = activation(architecture, options.arch, known_quick=is_openai)
    is_known, assumed = bool(is_openai or options.arch), []
    words = options.activation or stored.activation
    if words is None:
        words = gelu(quick)
        assumed += [] if is_known else [words]
    elif is_openai:
        notes = (gelu_note("activation="),) if words == "GELU" else ()
    if not is_known:
        absent = [name for name in ("mean", "std") if not (getattr(options, name) or getattr(stored, name))]
        assumed += ["OpenAI's normalisation"] if len(absent) == 2 else [f"OpenAI's {name}" for name in absent]
    if assumed:
        verb = "are" if len(assumed) > 1 else "is"
        notes += (
            f"{' and '.join(assumed)} {verb} assumed, since the file does not say; set activation=, mean=, std= or "
            "arch= if that is wrong",
        )
    options_given = [name for name in ("activation", "mean", "std") if getattr(options, name) is not None]
    origin = f", settings of {stored.source}" if stored.source else ""
    return _Settled(
        activation=words,
        mean=options.mean or stored.mean or _MEAN,
        std=options.std or stored.std or _STD,
        notes=notes,
        origin=origin + (f", {' and '.join(options_given)} as given" if options_given else ""),
    )


def _architecture(
    keys: ClipKeys, stored: StoredSettings, options: TowerOptions
) -> tuple[dict[str, Any], _Parts]:
    """The architecture, and the file's tensors sorted by whether the architecture has them."""
    state = {key: value.float() if value.is_floating_point() else value for key, value in keys.state.items()}
    has_any_text = any(key.startswith((*_TEXT, *_OTHER_TEXT)) for key in state)
    stem = text_stem_problem(state, heads=stored.text_heads) or stored.text_refusal
    problem = stem if has_any_text else ""
    if stored.architecture is None:
        known = _image_side(state) if problem else state
        architecture = _with_stored(architecture_of(known, options.arch, heads=stored.heads), stored)
    else:
        if options.arch is not None:
            raise OptionError(
                f"arch= is only for plain files, which do not state it: {stored.source} states the architecture, got "
                f"{options.arch!r}; leave it out"
            )
        architecture = {**stored.architecture}
        check_architecture(stored.source, architecture)
        architecture_of(state, None)  # for its checks of the tensors that sizes are read from
        check_sizes(architecture, _image_side(state))
    text = _wanted_text(architecture)
    if has_any_text and not problem:
        wanted = {key: shape for key, shape in text.items() if key != _SCALE}
        more = [key for key in state if key.startswith(_TEXT) and key not in text]
        problem = _shortened(fit_problems(wanted, state, unexpected=more))
    return architecture, _sorted(keys, state, tuple(text), problem)


def _sorted(keys: ClipKeys, state: StateDict, text: tuple[str, ...], problem: str) -> _Parts:
    """Tensors of the image tower and of a complete text side, and why each of the others is not used."""
    model, unused = {}, {}
    taken = () if problem else text
    for key, value in state.items():
        is_fit = key != _SCALE or (value.shape == () and value.is_floating_point())
        if key.startswith("visual.") or (key in taken and is_fit) or key.startswith("vision_model."):
            model[key] = value
        else:
            unused |= {source: _reason(key, problem) for source in keys.sources[key]}
    idle = {key: _reason(key, problem) for key in model if key in _IDLE}
    model = {key: value for key, value in model.items() if key not in idle}
    return _Parts(model, unused | idle, problem, text)


def _reason(key: str, text_problem: str) -> str:
    if key in _IDLE:
        return "a number stored beside the weights"
    if key in (_SCALE, "logit_bias"):
        return "a number of the training loss"
    if key.startswith((*_TEXT, *_OTHER_TEXT)):
        return f"text side: {text_problem or 'of another layout than open_clip reads'}"
    if _ADDON in key:
        return "part of an add-on, which addon= of load_model and load_addon read from a file"
    return "not part of a CLIP (a classifier, for example)"


def _image_side(state: StateDict) -> StateDict:
    return {key: value for key, value in state.items() if not key.startswith(_TEXT)}


def _with_stored(architecture: dict[str, Any], stored: StoredSettings) -> dict[str, Any]:
    """The architecture with the heads of the text side and LayerNorm's epsilon that the stored settings give."""
    vision = {**architecture["vision_cfg"], **stored.vision}
    text = {**architecture["text_cfg"], **stored.text}
    if stored.text_heads is not None and text["vocab_size"] > 1:  # of one word: only a stand-in
        text["heads"] = stored.text_heads
    return {**architecture, "vision_cfg": vision, "text_cfg": text}


def _wanted_text(architecture: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of an architecture's text side."""
    sizes: dict[str, Any] = {key: dict(architecture[key]) for key in ("vision_cfg", "text_cfg")}
    sizes["vision_cfg"].pop("image_size", None)
    with torch.device("meta"):
        clip = open_clip.CLIP(embed_dim=architecture["embed_dim"], **sizes)
    state = clip.state_dict()
    return {key: tuple(state[key].shape) for key in text_keys(clip)}


def _shortened(problems: list[str]) -> str:
    return "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")


class _Input(NamedTuple):
    """Input size, the grid of the stored positions (None: only their number tells it), and a note on doubts."""

    size: tuple[int, int]
    source: tuple[int, int] | None
    doubt: str = ""


def _input(
    state: StateDict, stored: StoredSettings, options: TowerOptions, architecture: Mapping[str, Any]
) -> _Input:
    patch = architecture["vision_cfg"]["patch_size"]
    known = _known_size(state, stored)
    source = grid_of(known, patch, state) if known else None
    if options.image_size is not None:
        return _Input(options.image_size, source)
    named = architecture["vision_cfg"].get("image_size") if options.arch else None
    if source is None and named is not None:
        source = grid_of(pair(named), patch, state)
    n_positions = len(state[POSITIONS]) - 1
    rows, cols = source or source_grid(n_positions, (0, 0))
    doubt = "" if source else grid_doubt(n_positions, (0, 0))
    return _Input((rows * patch, cols * patch), (rows, cols), doubt)


def _known_size(state: StateDict, stored: StoredSettings) -> tuple[int, int] | None:
    """The input size that a number beside the weights, or a settings file, says the positions were made for."""
    number = state.get("input_resolution")
    if number is not None and number.numel() == 1 and bool(number.isfinite()) and int(number) > 0:
        return (int(number), int(number))
    return stored.image_size


def _report(file: WeightFile, keys: ClipKeys, parts: _Parts) -> LoadReport:
    used = tuple(source for key in parts.model for source in keys.sources[key])
    missing = tuple(key for key in parts.text_keys if key not in parts.model)
    layout = () if keys.layout == "open_clip" else (f"keys of {keys.layout}",)
    return LoadReport(
        file=file.path.name, used=used, unused=parts.unused, missing=missing, reading=(*file.notes, *layout)
    )
