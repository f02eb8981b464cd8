"""Where a score starts: at an image's pixels, at its patch tokens, or at windows of tokens."""

from __future__ import annotations

from dataclasses import dataclass

from mswin_viz.analysis.attribution.target import Target, as_target
from mswin_viz.analysis.windows.geometry import WindowGeometry, windows
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.block_outputs import n_blocks

LEVELS = ("pixels", "tokens", "windows")
BASELINES = {"pixels": ("zero", "mean", "blur"), "tokens": ("zero", "mean"), "windows": ("zero", "mean")}
"""Level -> what "absent" can mean: zero after normalisation (its mean colour; a token of zeros), the image's own
mean colour or mean token, or a strongly blurred image."""


@dataclass(frozen=True)
class InputLevel:
    """What a score is a function of: one of ``LEVELS``; ``scale``, the tokens in a window, at the window level only.

    Tokens are taken behind the ``block`` of the tower; None for its output, which the add-on reads. The CLS token
    stays as it is there. Raises OptionError if there is no such level, or the scale or block does not belong to it.
    """

    name: str = "pixels"
    scale: int | None = None
    block: int | None = None

    def __post_init__(self) -> None:
        if self.name not in LEVELS:
            raise OptionError(f"a level is one of {', '.join(LEVELS)}: got {self.name!r}")
        if (self.scale is None) == (self.name == "windows"):
            raise OptionError(
                f'scale= is needed by level="windows" and by no other: got {self.scale} with {self.name!r}'
            )
        if self.block is not None and self.name == "pixels":
            raise OptionError(
                f'pixels come before every block: got block={self.block}; leave it out, or use level="tokens"'
            )

    @property
    def is_at_output(self) -> bool:
        """Whether the score starts at the tokens of the tower's output."""
        return self.name != "pixels" and self.block is None

    def geometry(self, grid: tuple[int, int]) -> WindowGeometry | None:
        """The windows on a grid; None at other levels."""
        return None if self.scale is None else windows(grid, self.scale)


def check_target(model: Model, target: Target, level: InputLevel) -> None:
    """Refuse a target that does not depend on the inputs of a level, where the gradient is exactly zero."""
    target = as_target(target)
    if target.kind == "shift" and model.addon is None:
        raise OptionError("a shift needs an add-on: got a model without one; load the model with addon=")
    readout, last = model.tower.readout, n_blocks(model) - 1
    head_reads_patches = readout is not None and readout.reads_patches
    if level.is_at_output and target.kind != "shift" and head_reads_patches:
        raise OptionError(
            "with a head for each modality (GLOBAL_LOCAL) the CLS feature depends on the patch tokens at the tower's "
            f"output, which are held fixed there: attribute at a block (block=0..{last}) or at the pixels"
        )
    addon_reads_patches = target.feature == "enhanced" and model.addon is not None
    if target.kind == "shift" or addon_reads_patches or head_reads_patches:
        return
    if level.is_at_output or (level.name != "pixels" and level.block == last):
        place = "at the tower's output" if level.block is None else "behind the last block"
        raise OptionError(
            f"the plain CLS does not depend on the patch tokens {place}: its gradient there is exactly zero; "
            f"attribute at an earlier block (block=0..{last - 1}) or at the pixels, or choose the "
            "enhanced feature of a model with an add-on"
        )
