"""The host model's configuration: its YAML as it is, with every key accounted for.

Keys, defaults and meanings are those of the published code (MambaPro, AAAI 2025, and its multi-scale fork). A key
that decides what an image becomes is read into :class:`HostConfig`; keys of training, data and logging are listed
as idle; anything else is listed as unknown. Nothing is swallowed.
"""

from __future__ import annotations

import ast
import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mswin_viz.errors import ConfigError, ConfigNotFoundError

__all__ = ["FIRST_CAMERA", "HostConfig", "read_config"]

FIRST_CAMERA = {"RGBNT201": 1, "RGBNT100": 1, "MSVR310": 0}
"""Data set -> the number, in its file names, of the camera whose embedding comes first."""
_TOWER = "ViT-B-16"


def _key(name: str, default: Any, kind: str) -> Any:
    """A field that is read from the YAML key ``name`` and checked to be of a kind."""
    return field(default=default, metadata={"key": name, "kind": kind})


@dataclass(frozen=True)
class HostConfig:
    """What decides the features of an image; defaults are the published code's.

    Attributes
    ----------
    transformer_type
        ``"ViT-B-16"`` for the CLIP tower, the only one that is read here.
    prompt, adapter
        Whether every block has prompts (SRP) and a parallel adapter (PFA); no checkpoint says so.
    stride_size
        Of the patch convolution, pixels down and across.
    sie_camera, sie_view, sie_coe
        Camera embedding; whether its table was built with views too; its factor, which no checkpoint holds.
    size_train, size_test
        Input height and width; the first fixes the grid of the positions.
    pixel_mean, pixel_std
        Normalisation for each channel.
    neck_feat
        ``"before"`` or ``"after"`` the BatchNorm neck: what the host hands to retrieval.
    flops_test
        The host then reads camera 0 for every image; not followed here.
    mamba
        Whether the host fuses the modalities with Mamba, which is outside this package.
    use_clip_multi_scale, use_multi_scale_moe
        The multi-scale add-on; both: its mixture of experts. The second alone runs nothing in the host.
    clip_multi_scale_scales, moe_scales, moe_expert_hidden_dim, moe_expert_layers, moe_gate_layers
        Read off the file where None; must agree with it where given.
    moe_temperature
        Of the gate; no checkpoint holds it.
    dataset
        Name of the data set; it says with which number cameras begin.
    source
        The file it was read from, or "given in Python".
    idle
        Keys of training, data and logging: read, and without effect here.
    unknown
        Keys that the published code does not have, or whose effect is not known.
    """

    transformer_type: str = _key("MODEL.TRANSFORMER_TYPE", _TOWER, "a word")
    prompt: bool = _key("MODEL.PROMPT", True, "True or False")
    adapter: bool = _key("MODEL.ADAPTER", True, "True or False")
    stride_size: tuple[int, int] = _key("MODEL.STRIDE_SIZE", (16, 16), "two whole numbers above 0")
    sie_camera: bool = _key("MODEL.SIE_CAMERA", True, "True or False")
    sie_view: bool = _key("MODEL.SIE_VIEW", False, "True or False")
    sie_coe: float = _key("MODEL.SIE_COE", 3.0, "a finite number")
    size_train: tuple[int, int] = _key("INPUT.SIZE_TRAIN", (256, 128), "two whole numbers above 0")
    size_test: tuple[int, int] = _key("INPUT.SIZE_TEST", (256, 128), "two whole numbers above 0")
    pixel_mean: tuple[float, ...] = _key("INPUT.PIXEL_MEAN", (0.5,) * 3, "three finite numbers")
    pixel_std: tuple[float, ...] = _key("INPUT.PIXEL_STD", (0.5,) * 3, "three numbers above 0")
    neck_feat: str = _key("TEST.NECK_FEAT", "before", "before or after")
    flops_test: bool = _key("MODEL.FLOPS_TEST", False, "True or False")
    mamba: bool = _key("MODEL.MAMBA", True, "True or False")
    use_clip_multi_scale: bool = _key("MODEL.USE_CLIP_MULTI_SCALE", False, "True or False")
    use_multi_scale_moe: bool = _key("MODEL.USE_MULTI_SCALE_MOE", False, "True or False")
    clip_multi_scale_scales: tuple[int, ...] | None = _key(
        "MODEL.CLIP_MULTI_SCALE_SCALES", None, "whole numbers above 0"
    )
    moe_scales: tuple[int, ...] | None = _key("MODEL.MOE_SCALES", None, "whole numbers above 0")
    moe_expert_hidden_dim: int | None = _key("MODEL.MOE_EXPERT_HIDDEN_DIM", None, "a whole number above 0")
    moe_expert_layers: int | None = _key("MODEL.MOE_EXPERT_LAYERS", None, "a whole number above 0")
    moe_gate_layers: int | None = _key("MODEL.MOE_GATE_LAYERS", None, "a whole number above 0")
    moe_temperature: float = _key("MODEL.MOE_TEMPERATURE", 1.0, "a number above 0")
    dataset: str | None = _key("DATASETS.NAMES", None, "a word")
    source: str = "given in Python"
    idle: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, (key, kind) in _fields().items():
            given = getattr(self, name)
            if given is None and name in _OPTIONAL:
                continue
            object.__setattr__(self, name, _checked(key, given, kind, self.source))
        if self.transformer_type != _TOWER:
            raise ConfigError(
                f"MODEL.TRANSFORMER_TYPE must be {_TOWER!r}, the CLIP tower: {self.source} has "
                f"{self.transformer_type!r}, another network; only CLIP checkpoints are read here"
            )
        _grid(self)  # refuses sizes and strides that the host cannot run either

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patch tokens."""
        return _grid(self)

    @property
    def first_camera(self) -> int:
        """Number of the first camera in file names; 1 where the data set is not known."""
        return FIRST_CAMERA.get((self.dataset or "").upper(), 1)

    @property
    def addon_kind(self) -> str:
        """``"mixture"``, ``"windows"`` or ``"none"``: what the host runs behind its tower."""
        if not self.use_clip_multi_scale:
            return "none"
        return "mixture" if self.use_multi_scale_moe else "windows"

    @property
    def words(self) -> str:
        """Where it comes from and what was not understood, in one line."""
        unknown = f"; unknown keys: {', '.join(self.unknown)}" if self.unknown else ""
        idle = f"; {len(self.idle)} keys of training, data and logging without effect" if self.idle else ""
        return f"{self.source}{idle}{unknown}"


def read_config(path: str | Path) -> HostConfig:
    """The host model's YAML file as it is.

    Raises
    ------
    ConfigNotFoundError
        If there is no such file.
    ConfigError
        If it is no YAML, or a value that is read here is not of its kind; key, value and kind are named.
    """
    if not isinstance(path, str | Path):
        raise ConfigError(f"a configuration is a YAML file or a HostConfig: got a {type(path).__name__}")
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigNotFoundError(f"a configuration must be an existing file: {file} is none; check the path")
    flat = _flat(_parsed(file), file)
    names = {key: name for name, (key, _) in _fields().items()}
    values = {names[key]: value for key, value in flat.items() if key in names}
    if empty := [key for key, value in flat.items() if key in names and value is None]:
        kind = _fields()[names[empty[0]]][1]
        raise ConfigError(f"{empty[0]} must be {kind}: {file.name} has nothing there; correct it there")
    rest = [key for key in flat if key not in names]
    return HostConfig(
        **values,
        source=file.name,
        idle=tuple(key for key in rest if _is_idle(key)),
        unknown=tuple(key for key in rest if not _is_idle(key)),
    )


def _grid(config: HostConfig) -> tuple[int, int]:
    """Rows and columns, if the positions of SIZE_TRAIN fit the patches of SIZE_TEST."""
    found = []
    for side, way in enumerate(("down", "across")):
        stride, declared, seen = (v[side] for v in (config.stride_size, config.size_train, config.size_test))
        positions, patches = declared // stride, (seen - 16) // stride + 1
        if seen < 16 or positions != patches:
            raise ConfigError(
                "INPUT.SIZE_TRAIN // MODEL.STRIDE_SIZE positions must meet the 16-pixel patches of INPUT.SIZE_TEST: "
                f"{config.source} has {positions} against {max(patches, 0)} {way} (sizes {declared} and {seen}, "
                f"stride {stride}); the host model cannot run it either. For 256 and 128, strides 10 and 12 to 16 fit"
            )
        found.append(patches)
    return found[0], found[1]


_IDLE_SECTIONS = ("SOLVER", "DATALOADER", "DATASETS")
_IDLE = {
    "MODEL": "DEVICE DEVICE_ID NAME PRETRAIN_PATH PRETRAIN_PATH_T PRETRAIN_CHOICE PRETRAIN_HW DIST_TRAIN NECK "
    "IF_WITH_CENTER IF_LABELSMOOTH ID_LOSS_TYPE ID_LOSS_WEIGHT TRIPLET_LOSS_WEIGHT METRIC_LOSS_TYPE NO_MARGIN COS_LAYER "
    "LAST_STRIDE FROZEN DIRECT DROP_PATH DROP_OUT ATT_DROP_RATE PREFIX_NUM LAYER MAMBA_BI MOE_EXPERT_THRESHOLD "
    "MOE_RESIDUAL_WEIGHT",
    "INPUT": "PROB PADDING RE_PROB",
    "TEST": "IMS_PER_BATCH RE_RANKING WEIGHT FEAT_NORM DIST_MAT EVAL MISS",
}
"""Keys of the published code that change nothing in the features of an image."""


_IDLE_NAMES = re.compile(r"MODEL\.MOE_\w+_(DROPOUT|LOSS_WEIGHT)|MODEL\.MOE_DROPOUT|OUTPUT_DIR")
_OPTIONAL = {
    "clip_multi_scale_scales",
    "moe_scales",
    "moe_expert_hidden_dim",
    "moe_expert_layers",
    "moe_gate_layers",
    "dataset",
}
"""Fields that None leaves open."""


def _is_idle(key: str) -> bool:
    section, _, name = key.partition(".")
    return (
        bool(_IDLE_NAMES.fullmatch(key))
        or section in _IDLE_SECTIONS
        or name in _IDLE.get(section, "").split()
    )


def _fields() -> dict[str, tuple[str, str]]:
    """Field -> its key in the YAML and what kind of value it takes."""
    return {
        f.name: (f.metadata["key"], f.metadata["kind"])
        for f in dataclasses.fields(HostConfig)
        if "key" in f.metadata
    }


class _UniqueKeys(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, of which YAML would keep the last in silence."""


def _unique_mapping(loader: _UniqueKeys, node: yaml.MappingNode, deep: bool = False) -> dict:
    loader.flatten_mapping(node)
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = sorted({str(key) for key in keys if keys.count(key) > 1})
    if twice:
        raise yaml.constructor.ConstructorError(
            None, None, f"{', '.join(twice)} given twice", node.start_mark
        )
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def _parsed(file: Path) -> Mapping[Any, Any]:
    try:
        found = yaml.load(file.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError, OSError) as problem:
        raise ConfigError(
            f"a configuration is a YAML file of plain values: {file} cannot be read "
            f"({' '.join(str(problem).split())[:300]}); copy it again from the run"
        ) from problem
    if not isinstance(found, Mapping):
        raise ConfigError(
            f"a configuration has sections MODEL, INPUT, TEST: {file} holds {_short(found)}; is it another file?"
        )
    return found


def _flat(found: Mapping[Any, Any], file: Path) -> dict[str, Any]:
    """Dotted key -> value, one level deep as the host writes it; deeper levels go on."""
    flat: dict[str, Any] = {}
    levels: list[tuple[str, Mapping[Any, Any]]] = [("", found)]
    while levels:
        prefix, level = levels.pop(0)
        if len(prefix.split(".")) > 8:
            raise ConfigError(
                f"a configuration has sections of keys: {file} goes deeper than that at {prefix}"
            )
        for name, value in level.items():
            key = f"{prefix}{name}"
            if isinstance(value, Mapping) and value:
                levels.append((f"{key}.", value))
            else:
                flat[key] = value
    sections = {"MODEL", "INPUT", "TEST"}
    if bare := sorted(sections & set(flat)):
        raise ConfigError(
            f"{bare[0]} is a section of keys: {file} has {_short(flat[bare[0]])}; indent the keys below it"
        )
    return flat


def _checked(key: str, value: Any, kind: str, source: str) -> Any:
    """The value as its kind, or a refusal that names key, value and kind."""
    read = _literal(value) if kind != "a word" or str(value)[:1] in "([" else value
    if kind == "a word" and isinstance(read, list | tuple) and len(read) == 1:
        read = read[0]  # DATASETS.NAMES: ('RGBNT201')
    is_right, made = _KINDS[kind]
    if not is_right(read):
        raise ConfigError(f"{key} must be {kind}: {source} has {_short(value)}; correct it there")
    return made(read)


def _literal(value: Any) -> Any:
    """Tuples are text to YAML: ``(256, 128)``."""
    if not isinstance(value, str) or len(value) > 1000:
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return value


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _all(is_right: Callable[[Any], bool], n: int | None) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list | tuple) and len(value) == (n or len(value)) > 0 and all(map(is_right, value))
    )


_KINDS: Mapping[str, tuple[Callable[[Any], bool], Callable[[Any], Any]]] = {
    "a word": (lambda v: isinstance(v, str) and bool(v.strip()), lambda v: v.strip()),
    "before or after": (lambda v: v in ("before", "after"), str),
    "True or False": (lambda v: isinstance(v, bool), bool),
    "a finite number": (_is_number, float),
    "a number above 0": (lambda v: _is_number(v) and v > 0, float),
    "a whole number above 0": (_is_count, int),
    "whole numbers above 0": (_all(_is_count, None), tuple),
    "two whole numbers above 0": (_all(_is_count, 2), tuple),
    "three finite numbers": (_all(_is_number, 3), lambda v: tuple(map(float, v))),
    "three numbers above 0": (_all(lambda v: _is_number(v) and v > 0, 3), lambda v: tuple(map(float, v))),
}


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except RecursionError:
        text = "a value nested in itself"
    return text if len(text) <= 80 else f"{text[:77]}..."
