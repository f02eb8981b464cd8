"""A score as a function of pixels, tokens or windows: what every attribution method and every check runs on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torchvision.transforms.v2 import functional

from mswin_viz.analysis.attribution_target import Target, as_target
from mswin_viz.analysis.token_checks import checked_tokens
from mswin_viz.analysis.windows import WindowGeometry, windows
from mswin_viz.data.image_lists import Images
from mswin_viz.errors import OptionError
from mswin_viz.model.backbone import Model
from mswin_viz.model.preprocessing import FittedImage
from mswin_viz.model.stages import block_outputs, n_blocks, tokens_from, tokens_of_pixels
from mswin_viz.model.tokens import Tokens, are_tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = [
    "BASELINES",
    "LEVELS",
    "Images",
    "ScoredInputs",
    "baseline_of",
    "checked_target",
    "opened_inputs",
    "scored_inputs",
]

LEVELS = ("pixels", "tokens", "windows")
BASELINES = {"pixels": ("zero", "mean", "blur"), "tokens": ("zero", "mean"), "windows": ("zero", "mean")}
"""Level -> what "absent" can mean: zero after normalisation (its mean colour; a token of zeros), the image's own
mean colour or mean token, or a strongly blurred image."""


@dataclass(frozen=True, eq=False)
class ScoredInputs:
    """Inputs of a batch and the score they get.

    Attributes
    ----------
    inputs
        Preprocessed pixels ``[B, 3, H, W]`` or patch tokens ``[B, N, width]``.
    context
        Tensors ``[B, ...]`` that the score needs beside the inputs, row by row.
    score
        ``score(inputs, *context) -> [B]``, differentiable; evaluation mode, float32.
    groups
        Which unit each element belongs to, broadcastable to the inputs: the image's patches, its tokens, or
        its windows; tokens that no window covers are one more unit, the last.
    n_groups
        How many units there are.
    grid, geometry
        Rows and columns of patches; the windows at the window level.
    level, block
        As asked for.
    norm, value
        Length of the target's feature, and the score, at the inputs ``[B]``.
    """

    inputs: Float[torch.Tensor, "batch ..."]
    context: tuple[torch.Tensor, ...]
    score: Callable[..., torch.Tensor]
    groups: Int[torch.Tensor, "one ..."]
    n_groups: int
    grid: tuple[int, int]
    geometry: WindowGeometry | None
    level: str
    block: int | None
    norm: Float[torch.Tensor, " batch"]
    value: Float[torch.Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, rows: slice) -> ScoredInputs:
        """Some of the images."""
        return dataclasses.replace(
            self,
            inputs=self.inputs[rows],
            context=tuple(tensor[rows] for tensor in self.context),
            norm=self.norm[rows],
            value=self.value[rows],
        )

    def summed(self, each: Float[torch.Tensor, "batch ..."]) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers of all elements, added up to one for each pixel, token or window; and what none of them holds.

        Returns
        -------
        values, rest
            ``[B, H, W]``, ``[B, N]`` or ``[B, n_windows]``; and ``[B]``, the share of tokens in no window.
        """
        if self.level == "pixels":
            return each.sum(dim=1), each.new_zeros(len(each))
        on_tokens = each.sum(dim=2)
        if self.geometry is None:
            return on_tokens, each.new_zeros(len(each))
        on_windows = on_tokens[:, torch.from_numpy(self.geometry.tokens.copy())].sum(dim=2)
        return on_windows, on_tokens[:, torch.from_numpy(self.geometry.dropped.copy())].sum(dim=1)

    @property
    def group_sizes(self) -> Float[torch.Tensor, "one ..."]:
        """How many elements share the unit that each element belongs to."""
        full = self.groups.expand(1, *self.inputs.shape[1:])
        return torch.bincount(full.flatten(), minlength=self.n_groups)[self.groups].to(self.inputs)


def scored_inputs(
    model: Model,
    inputs: Images | Tokens,
    target: Target,
    *,
    level: str = "pixels",
    scale: int | None = None,
    block: int | None = None,
    frozen_norm: bool = False,
) -> ScoredInputs:
    """A target's score as a function of a level of the model.

    Parameters
    ----------
    inputs
        Images; or tokens from :meth:`Model.encode`, for the tokens and windows of the tower's output: then
        the backbone does not run.
    level, scale
        One of ``LEVELS``; ``scale`` is the windows', in tokens.
    block
        Where the tokens are taken: behind this block of the tower; None for the tower's output, which the
        add-on reads. The CLS token stays as it is there.
    frozen_norm
        Divide a cosine by the norm as it is at the inputs, a constant, instead of the norm of what is scored.

    Raises
    ------
    OptionError
        If the level does not exist or the target does not depend on it.
    ScaleError
        If the scale does not fit the grid.
    """
    checked_target(model, target, level, block)
    _check_level(level, scale, block, inputs)
    grid = inputs.grid if isinstance(inputs, Tokens) else model.grid
    geometry = windows(grid, scale) if level == "windows" else None
    values, base, tokens_of = _entry(model, inputs, level, block)
    directions = target.directions(model, len(values))

    def score(x: torch.Tensor, *context: torch.Tensor) -> torch.Tensor:
        *own, direction, norm = context
        plain = tokens_of(x, *own)
        return target.score(plain, _enhanced(model, plain, target), direction, norm if frozen_norm else None)

    norm, value = _at_inputs(model, target, tokens_of, (values, *base), directions)
    groups, n_groups = _groups(level, grid, geometry, model.image_size)
    return ScoredInputs(
        values, (*base, directions, norm), score, groups.to(values.device), n_groups, grid, geometry,
        level, block, norm, value,
    )  # fmt: skip


def opened_inputs(model: Model, inputs: Images | Tokens) -> list[FittedImage] | Tokens:
    """Inputs that can be used more than once: images opened, tokens as they are."""
    return inputs if isinstance(inputs, Tokens) else model.opened(inputs)


def checked_target(model: Model, target: Target, level: str, block: int | None) -> None:
    """Refuse a target that is constant in what it is to be attributed to, where the gradient is exactly zero."""
    target = as_target(target)
    if target.kind == "shift" and model.addon is None:
        raise OptionError("a shift needs an add-on: got a model without one; load the model with addon=")
    readout = model.tower.readout
    if (
        level in ("tokens", "windows")
        and block is None
        and target.kind != "shift"
        and readout
        and readout.reads_patches
    ):
        raise OptionError(
            "with a head for each modality (GLOBAL_LOCAL) the CLS feature depends on the patch tokens at the tower's "
            f"output, which are held fixed there: attribute at a block (block=0..{n_blocks(model) - 1}) or at the "
            "pixels"
        )
    reads_patches = target.kind == "shift" or (target.feature == "enhanced" and model.addon is not None)
    reads_patches |= readout is not None and readout.reads_patches
    last = block is None or block == n_blocks(model) - 1
    if level in ("tokens", "windows") and last and not reads_patches:
        place = "at the tower's output" if block is None else "behind the last block"
        raise OptionError(
            f"the plain CLS does not depend on the patch tokens {place}: its gradient there is exactly zero; "
            f"attribute at an earlier block (block=0..{n_blocks(model) - 2}) or at the pixels, or choose the "
            "enhanced feature of a model with an add-on"
        )


def baseline_of(scored: ScoredInputs, name: str) -> Float[torch.Tensor, "batch ..."]:
    """Inputs in which nothing is left, one of ``BASELINES`` of the level.

    Raises
    ------
    OptionError
        If the level has no such baseline.
    """
    if name not in BASELINES[scored.level]:
        raise OptionError(
            f"a baseline of {scored.level} is one of {', '.join(BASELINES[scored.level])}: got {name!r}"
        )
    x = scored.inputs
    if name == "zero":
        return torch.zeros_like(x)
    if scored.level != "pixels":
        return x.mean(dim=1, keepdim=True).expand_as(x).contiguous()
    if name == "mean":
        return x.mean(dim=(2, 3), keepdim=True).expand_as(x).contiguous()
    sigma = max(x.shape[2:]) / 16
    reach = int(min(2 * sigma, (min(x.shape[2:]) - 1) // 2))
    return functional.gaussian_blur(x, [2 * reach + 1, 2 * reach + 1], [sigma, sigma])


def _check_level(level: str, scale: int | None, block: int | None, inputs: Images | Tokens) -> None:
    if level not in LEVELS:
        raise OptionError(f"a level is one of {', '.join(LEVELS)}: got {level!r}")
    if (scale is None) == (level == "windows"):
        raise OptionError(f'scale= is needed by level="windows" and by no other: got {scale} with {level!r}')
    if block is not None and level == "pixels":
        raise OptionError(
            f'pixels come before every block: got block={block}; leave it out, or use level="tokens"'
        )
    if isinstance(inputs, Tokens) and (level == "pixels" or block is not None):
        where = "pixels" if level == "pixels" else f"block {block}"
        raise OptionError(
            f"tokens are those of the tower's output, and cannot be followed back to {where}: pass the images"
        )


def _entry(
    model: Model, inputs: Images | Tokens, level: str, block: int | None
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], Callable[..., Tokens]]:
    """Where the score starts: the values there, what goes with them, and the way on to tokens."""
    if isinstance(inputs, Tokens):
        return _entry_at_output(inputs, model)
    pixels = model.preprocess(inputs).to(model.device)
    given = tuple(tensor.to(model.device) for tensor in model.conditions(len(pixels)))
    if level == "pixels":
        return pixels, given, lambda x, *given: tokens_of_pixels(model, x, *given)
    if block is None:
        with torch.no_grad():
            return _entry_at_output(tokens_of_pixels(model, pixels, *given), model)
    if not 0 <= block < n_blocks(model):
        raise OptionError(f"a block of this tower is one of 0..{n_blocks(model) - 1}: got {block}")
    state, n_tokens = block_outputs(model, pixels, *given)[block + 1], model.grid[0] * model.grid[1]
    carried = (state[:, 1 + n_tokens :], *given) if given else ()  # means of prompts stand behind the patches

    def onwards(x: torch.Tensor, cls: torch.Tensor, *carried: torch.Tensor) -> Tokens:
        return tokens_from(model, torch.cat([cls, x, *carried[:1]], dim=1), block, *carried[1:])

    return state[:, 1 : 1 + n_tokens].contiguous(), (state[:, :1], *carried), onwards


def _entry_at_output(
    tokens: Tokens, model: Model
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], Callable[..., Tokens]]:
    tokens = are_tokens(checked_tokens(tokens).to(model.device), width=model.dim)
    neck = tokens.neck
    tensors = (tokens.cls, tokens.patches, *((neck.scale, neck.offset) if neck else ()))
    if any(tensor.is_inference() for tensor in tensors):  # autograd takes no tensor of inference mode
        neck = neck and dataclasses.replace(neck, scale=neck.scale.clone(), offset=neck.offset.clone())
        tokens = dataclasses.replace(
            tokens, cls=tokens.cls.clone(), patches=tokens.patches.clone(), neck=neck
        )
    return tokens.patches, (tokens.cls,), lambda x, cls: dataclasses.replace(tokens, cls=cls, patches=x)


def _enhanced(model: Model, plain: Tokens, target: Target) -> Tokens:
    """The enhanced tokens, where the target asks for them."""
    return model.enhance(plain) if target.feature == "enhanced" else plain


def _at_inputs(
    model: Model,
    target: Target,
    tokens_of: Callable[..., Tokens],
    rows: tuple[torch.Tensor, ...],
    directions: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Length of the target's feature, and the score, of the inputs as they are."""
    with torch.no_grad():
        plain = tokens_of(*rows)
        enhanced = _enhanced(model, plain, target)
        norm = torch.linalg.vector_norm((enhanced if target.feature == "enhanced" else plain).cls, dim=1)
        value = target.score(plain, enhanced, directions)
    if target.kind == "shift" and not (value > 0).all():
        raise OptionError(
            "the length of a shift of zero has no gradient: got an add-on that shifts nothing; train one"
        )
    if target.kind == "cosine" and not (norm > 0).all():
        raise OptionError(
            "a cosine needs a feature of non-zero length: got one of length 0; use Target.direction"
        )
    return norm, value


def _groups(
    level: str, grid: tuple[int, int], geometry: WindowGeometry | None, image_size: tuple[int, int]
) -> tuple[torch.Tensor, int]:
    """Which patch, token or window each element belongs to, and how many there are."""
    rows, cols = grid
    tokens = torch.arange(rows * cols)
    if level == "pixels":
        down, across = (torch.arange(side) * n // side for side, n in zip(image_size, grid, strict=True))
        return (down[:, None] * cols + across)[None, None], rows * cols
    if geometry is None:
        return tokens[None, :, None], rows * cols
    owner = torch.full((rows * cols,), geometry.n_windows)
    owner[torch.from_numpy(geometry.tokens.copy())] = torch.arange(geometry.n_windows)[:, None]
    return owner[None, :, None], geometry.n_windows + (len(geometry.dropped) > 0)
