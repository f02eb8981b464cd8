"""The host model's configuration: its YAML as it is, with every key accounted for.

Keys, defaults and meanings are those of the published code: MambaPro (AAAI 2025) with its multi-scale fork, DeMo
(AAAI 2025) and MDReID (NeurIPS 2025). A key that affects the features of an image is read into :class:`HostConfig`;
every other key is listed there as left out, idle or unknown. None is dropped silently.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import ConfigError
from mswin_viz.model.weights.config_keys import listed
from mswin_viz.model.weights.config_values import checked_value
from mswin_viz.model.weights.host_families import DEMO, FAMILIES, MAMBAPRO, MDREID

FIRST_CAMERA = {"RGBNT201": 1, "RGBNT100": 1, "MSVR310": 0}
"""The number, in a data set's file names, of the camera whose embedding comes first."""
N_CAMERAS = {"RGBNT201": 4, "RGBNT100": 8, "MSVR310": 8}
"""How many cameras a data set has: the first rows of a camera table."""
MOST_PATCHES = 2**16
"""Patch tokens of an image: a grid of 256x256."""
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
    family
        The code base: ``"MambaPro"`` (with its multi-scale fork), ``"DeMo"`` or ``"MDReID"``. None: MDReID where
        ``add_share`` is on, DeMo where ``global_local``, ``hdm`` or ``atm`` is, otherwise MambaPro until the
        checkpoint's keys say more.
    prompt, adapter
        Whether every block has prompts (SRP) and a parallel adapter (PFA). None: on in MambaPro, off in DeMo and
        MDReID, as there. No MambaPro checkpoint says so.
    stride_size
        Of the patch convolution, pixels down and across.
    sie_camera, sie_view, sie_coe
        Camera embedding; whether its table was built with views too, whose rows the host never reads; its factor,
        which no checkpoint holds.
    n_cameras
        How many rows of a table built with views are cameras. None: those of the data set, where it is known.
    size_train, size_test
        Input height and width; the first fixes the grid of the positions.
    pixel_mean, pixel_std
        Normalisation for each channel.
    neck_feat
        ``"before"`` or ``"after"`` the BatchNorm neck: the feature that the host retrieves by. DeMo and MDReID have
        the key but no such neck.
    feat_norm
        Whether the host scales features to unit length before retrieval, which is cosine distance; otherwise distances
        are Euclidean. The published evaluator follows a ``'no'`` for MSVR310 only; for other data sets any word means
        yes, for :func:`read_config` too. True and False given in Python count as given.
    flops_test
        The host then reads camera 0 for every image; not followed here.
    mamba, hdm, atm
        Fusion of the modalities with Mamba (None: on in MambaPro only), or in DeMo with attention over them and with
        experts. All of it acts behind the image branch, outside this package.
    global_local
        DeMo, MDReID: whether a head for each modality fuses the CLS feature with the mean patch feature.
    add_share, token
        MDReID: a second token beside the class token, for what the modalities share; then ``token`` says whose feature
        is taken, the class token's (``"specific"``) or the second one's (``"shared"``). The host joins the two.
    use_clip_multi_scale, use_multi_scale_moe
        The multi-scale add-on; both: its mixture of experts. The second alone runs nothing in the host.
    clip_multi_scale_scales, moe_scales, moe_expert_hidden_dim, moe_expert_layers, moe_gate_layers
        Read from the file where None; must agree with it where given.
    moe_temperature
        Of the gate; no checkpoint holds it.
    moe_use_top_k_routing, moe_top_k, moe_top_k_mode
        Only the ``moe_top_k`` largest of the gate's weights count, scaled to a sum of one (``"soft"``) or left as they
        are (``"hard"``).
    moe_use_fixed_weights, moe_fixed_weights
        The same weights for every image in place of a gate, scaled to a sum of one.
    use_gate_fusion, use_attention_fusion
        Modules in front of the experts, of later versions of the fork; a mixture that has one is refused.
    dataset
        Name of the data set, which decides the number of its first camera and how many cameras there are.
    source
        The file it was read from, or "given in Python".
    left_out, idle, unknown
        Keys that act in the host behind the image branch, outside this package; keys that the published code does not
        read when it evaluates; and keys that it does not have, which are not read here.
    repeated
        Keys given more than once, with the values; the last counts, as for the host.
    remarks
        Values that the host reads differently from what they say.
    defaulted
        Fields that took the code base's defaults.

    Raises
    ------
    ConfigError
        If a value is not of its kind, the tower is not CLIP's, or keys contradict each other.

    Examples
    --------
    >>> config = mv.HostConfig(prompt=True, adapter=True, stride_size=(12, 12), dataset="RGBNT201")
    >>> config.grid, config.cameras, config.addon_kind  # rows and columns of patches at 256x128 pixels
    ((21, 10), 4, 'none')
    >>> mv.HostConfig(sie_coe="three")
    Traceback (most recent call last):
        ...
    mswin_viz.errors.ConfigError: MODEL.SIE_COE must be a finite number: ...
    """

    transformer_type: str = _key("MODEL.TRANSFORMER_TYPE", _TOWER, "a word")
    prompt: bool | None = _key("MODEL.PROMPT", None, "True or False")
    adapter: bool | None = _key("MODEL.ADAPTER", None, "True or False")
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
    mamba: bool | None = _key("MODEL.MAMBA", None, "True or False")
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
    family: str | None = None
    feat_norm: bool = _key("TEST.FEAT_NORM", True, "yes or no")
    global_local: bool = _key("MODEL.GLOBAL_LOCAL", False, "True or False")
    hdm: bool = _key("MODEL.HDM", False, "True or False")
    atm: bool = _key("MODEL.ATM", False, "True or False")
    add_share: bool = _key("MODEL.ADD_SHARE", False, "True or False")
    token: str = field(default="specific", metadata={"kind": "specific or shared"})
    n_cameras: int | None = field(default=None, metadata={"kind": "a whole number above 0"})
    moe_use_top_k_routing: bool = _key("MODEL.MOE_USE_TOP_K_ROUTING", False, "True or False")
    moe_top_k: int = _key("MODEL.MOE_TOP_K", 2, "a whole number above 0")
    moe_top_k_mode: str = _key("MODEL.MOE_TOP_K_MODE", "soft", "soft or hard")
    moe_use_fixed_weights: bool = _key("MODEL.MOE_USE_FIXED_WEIGHTS", False, "True or False")
    moe_fixed_weights: tuple[float, ...] = _key(
        "MODEL.MOE_FIXED_WEIGHTS", (0.33, 0.33, 0.34), "numbers of at least 0, not all 0"
    )
    use_gate_fusion: bool = _key("MODEL.USE_GATE_FUSION", False, "True or False")
    use_attention_fusion: bool = _key("MODEL.USE_ATTENTION_FUSION", False, "True or False")
    left_out: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    defaulted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._settle_family()
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if "kind" not in f.metadata or (value is None and f.default is None):
                continue  # None leaves it open
            name = f.metadata.get("key", f"{f.name}=")
            object.__setattr__(self, f.name, checked_value(name, value, f.metadata["kind"], self.source))
        if self.transformer_type != _TOWER:
            raise ConfigError(
                f"MODEL.TRANSFORMER_TYPE must be {_TOWER!r}, the CLIP tower: {self.source} has "
                f"{self.transformer_type!r}, another network; only CLIP checkpoints are read here"
            )
        if self.add_share and self.global_local:
            raise ConfigError(
                "MODEL.ADD_SHARE and MODEL.GLOBAL_LOCAL are not read together: the published code averages the shared "
                f"token with the patches or not, as modalities are missing; {self.source} has both on"
            )
        if self.token == "shared" and not self.add_share:
            raise ConfigError(
                'token="shared" needs the second token of MDReID, MODEL.ADD_SHARE: it is off; use token="specific"'
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
    def cameras(self) -> int | None:
        """How many cameras the run had: as given, or the data set's; None where neither is known."""
        return self.n_cameras or N_CAMERAS.get((self.dataset or "").upper())

    @property
    def addon_kind(self) -> str:
        """``"mixture"``, ``"windows"`` or ``"none"``: what the host runs behind its tower."""
        if not self.use_clip_multi_scale:
            return "none"
        return "mixture" if self.use_multi_scale_moe else "windows"

    @property
    def has_neck(self) -> bool:
        """Whether the host retrieves by the feature behind a BatchNorm; DeMo and MDReID never do."""
        return self.neck_feat == "after" and self.family == MAMBAPRO

    @property
    def words(self) -> str:
        """Where it comes from, its code base, and what was not read, in one line."""
        words = f"{self.source} ({self.family}{', assumed' if 'family' in self.defaulted else ''})"
        if self.idle:
            words += f"; {counted(len(self.idle), 'keys')} of training, data and logging, which the host does not read in evaluation"
        lists = {
            "behind the image branch, left out": self.left_out,
            "given more than once, the last counts": self.repeated,
            "not read here": self.unknown,
        }
        return words + "".join(f"; {what}: {listed(keys)}" for what, keys in lists.items() if keys)

    def as_family(self, family: str) -> HostConfig:
        """The same configuration for another code base, whose defaults replace the old ones.

        Raises
        ------
        ConfigError
            If there is no such code base.
        """
        open_again = dict.fromkeys(name for name in self.defaulted if name != "family")
        return dataclasses.replace(self, **open_again, family=family, defaulted=())

    def _settle_family(self) -> None:
        """Find the code base from what was given, then take its defaults for what was left open."""
        family, assumed = self.family, ()
        if family is None:
            in_demo = self.global_local or self.hdm or self.atm
            family = MDREID if self.add_share else DEMO if in_demo else MAMBAPRO
            assumed = ("family",) if family == MAMBAPRO else ()
        family = {name.lower(): name for name in FAMILIES}.get(str(family).lower())
        if family is None:
            raise ConfigError(
                f"a code base is one of {', '.join(FAMILIES)}: {self.source} has {self.family!r}"
            )
        if family == MAMBAPRO and (wrong := [n for n in _ELSEWHERE if getattr(self, n)]):
            raise ConfigError(
                f"{', '.join(f'MODEL.{name.upper()}' for name in wrong)} belongs to DeMo or MDReID: {self.source} is a "
                f"configuration of MambaPro; give family={DEMO!r} or {MDREID!r}"
            )
        object.__setattr__(self, "family", family)
        left_open = tuple(name for name in _BY_FAMILY if getattr(self, name) is None)
        for name in left_open:
            object.__setattr__(self, name, family == MAMBAPRO)
        defaulted = tuple(dict.fromkeys((*self.defaulted, *assumed, *left_open)))
        object.__setattr__(self, "defaulted", defaulted)


def _grid(config: HostConfig) -> tuple[int, int]:
    """Rows and columns, if the positions of SIZE_TRAIN fit the patches of SIZE_TEST."""
    grid = []
    for side, way in enumerate(("down", "across")):
        stride, declared, seen = (v[side] for v in (config.stride_size, config.size_train, config.size_test))
        positions, patches = declared // stride, (seen - 16) // stride + 1
        if seen < 16 or positions != patches:
            raise ConfigError(
                "INPUT.SIZE_TRAIN // MODEL.STRIDE_SIZE positions must match the 16-pixel patches of INPUT.SIZE_TEST: "
                f"{config.source} has {positions} against {max(patches, 0)} {way} (sizes {declared} and {seen}, "
                f"stride {stride}); the host model cannot run it either. For 256 and 128, strides 10 and 12 to 16 fit"
            )
        grid.append(patches)
    if grid[0] * grid[1] > MOST_PATCHES:
        raise ConfigError(
            f"an image has at most {MOST_PATCHES:,} patches: {config.source} has {grid[0]} down and {grid[1]} across "
            "(INPUT.SIZE_TEST, MODEL.STRIDE_SIZE); correct the sizes"
        )
    return grid[0], grid[1]


_BY_FAMILY = ("prompt", "adapter", "mamba")
"""Fields whose default is the code base's."""
_ELSEWHERE = ("global_local", "hdm", "atm", "add_share")
"""Fields that MambaPro does not have."""
