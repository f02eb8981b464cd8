"""A score as a function of pixels, tokens or windows: what every attribution method and every check runs on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torchvision.transforms.v2 import functional

from mswin_viz.analysis.attribution.input_levels import BASELINES, InputLevel, check_target
from mswin_viz.analysis.attribution.target import Target
from mswin_viz.analysis.token_checks import checked_tokens
from mswin_viz.analysis.windows.geometry import WindowGeometry
from mswin_viz.data.shown_text import numbered
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.block_outputs import block_outputs, n_blocks, tokens_from, tokens_of_pixels
from mswin_viz.model.encoder.preprocessing import FittedImage, ModelImages
from mswin_viz.model.tokens.tokens import Tokens, are_tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class UnitValues(NamedTuple):
    """A method's numbers for each pixel, token or window, and for the rest: the tokens that no window covers."""

    values: Float[torch.Tensor, "batch ..."]
    rest: Float[torch.Tensor, " batch"]


@dataclass(frozen=True, eq=False)
class ScoredInputs:
    """Inputs of a batch, preprocessed pixels or patch tokens, and the score they get.

    Attributes
    ----------
    context
        Tensors that the score needs beside the inputs, row by row.
    score
        ``score(inputs, *context) -> [B]``, differentiable; evaluation mode, float32.
    groups, n_groups
        Which unit each element belongs to (the image's patches, its tokens, or its windows; tokens that no window
        covers are one more unit, the last), broadcastable to the inputs; and how many units there are.
    norm, value
        Norm of the target's feature, and the score, at the inputs.
    """

    inputs: Float[torch.Tensor, "batch ..."]
    context: tuple[torch.Tensor, ...]
    score: Callable[..., torch.Tensor]
    groups: Int[torch.Tensor, "one ..."]
    n_groups: int
    grid: tuple[int, int]
    geometry: WindowGeometry | None
    level: InputLevel
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

    def summed(self, each: Float[torch.Tensor, "batch ..."]) -> UnitValues:
        """Numbers of all elements, added up to one for each pixel, token or window."""
        if self.level.name == "pixels":
            return UnitValues(each.sum(dim=1), each.new_zeros(len(each)))
        on_tokens = each.sum(dim=2)
        if self.geometry is None:
            return UnitValues(on_tokens, each.new_zeros(len(each)))
        on_windows = on_tokens[:, torch.from_numpy(self.geometry.tokens.copy())].sum(dim=2)
        dropped = on_tokens[:, torch.from_numpy(self.geometry.dropped.copy())]
        return UnitValues(on_windows, dropped.sum(dim=1))

    @property
    def group_sizes(self) -> Float[torch.Tensor, "one ..."]:
        """How many elements share the unit that each element belongs to."""
        full = self.groups.expand(1, *self.inputs.shape[1:])
        return torch.bincount(full.flatten(), minlength=self.n_groups)[self.groups].to(self.inputs)


def scored_inputs(
    model: Model,
    inputs: ModelImages | Tokens,
    target: Target,
    level: InputLevel,
    *,
    frozen_norm: bool = False,
) -> ScoredInputs:
    """A target's score as a function of a level of the model.

    Tokens from :meth:`Model.encode` stand for images at the tower's output: then the backbone does not run. A
    ``frozen_norm`` divides a cosine by the norm as it is at the inputs, a constant. Raises OptionError if the target
    does not depend on the level, or tokens are given for a level before the tower's output; ScaleError if the scale
    does not fit.
    """
    check_target(model, target, level)
    grid = inputs.grid if isinstance(inputs, Tokens) else model.grid
    geometry, entry = level.geometry(grid), _entry(model, inputs, level)
    directions = target.directions(model, len(entry.values))

    def score(x: torch.Tensor, *context: torch.Tensor) -> torch.Tensor:
        *carried, direction, norm = context
        plain = entry.onwards(x, *carried)
        return target.score(plain, _enhanced(model, plain, target), direction, norm if frozen_norm else None)

    norm, value = _at_inputs(model, target, entry, directions)
    groups, n_groups = _groups(level, grid, geometry, model.image_size)
    return ScoredInputs(
        inputs=entry.values,
        context=(*entry.carried, directions, norm),
        score=score,
        groups=groups.to(entry.values.device),
        n_groups=n_groups,
        grid=grid,
        geometry=geometry,
        level=level,
        norm=norm,
        value=value,
    )


def opened_inputs(model: Model, inputs: ModelImages | Tokens) -> list[FittedImage] | Tokens:
    """Inputs that can be used more than once: images opened, tokens as they are."""
    return inputs if isinstance(inputs, Tokens) else model.opened(inputs)


def baseline_of(scored: ScoredInputs, name: str) -> Float[torch.Tensor, "batch ..."]:
    """Inputs in which nothing is left, one of ``BASELINES`` of the level."""
    level = scored.level.name
    if name not in BASELINES[level]:
        raise OptionError(f"a baseline of {level} is one of {', '.join(BASELINES[level])}: got {name!r}")
    x = scored.inputs
    if name == "zero":
        return torch.zeros_like(x)
    if level != "pixels":
        return x.mean(dim=1, keepdim=True).expand_as(x).contiguous()
    if name == "mean":
        return x.mean(dim=(2, 3), keepdim=True).expand_as(x).contiguous()
    sigma = max(x.shape[2:]) / 16
    reach = int(min(2 * sigma, (min(x.shape[2:]) - 1) // 2))
    return functional.gaussian_blur(x, [2 * reach + 1, 2 * reach + 1], [sigma, sigma])


class _Entry(NamedTuple):
    """Where a score starts: the values there, what goes with them row by row, and the way on to tokens."""

    values: torch.Tensor
    carried: tuple[torch.Tensor, ...]
    onwards: Callable[..., Tokens]


def _entry(model: Model, inputs: ModelImages | Tokens, level: InputLevel) -> _Entry:
    if isinstance(inputs, Tokens):
        if not level.is_at_output:
            where = "pixels" if level.block is None else f"block {level.block}"
            raise OptionError(
                f"tokens of the tower's output cannot be followed back to {where}: got tokens; pass the images"
            )
        return _entry_at_output(inputs, model)
    pixels = model.preprocess(inputs).to(model.device)
    conditions = tuple(tensor.to(model.device) for tensor in model.conditions(len(pixels)))
    if level.name == "pixels":
        return _Entry(pixels, conditions, lambda x, *carried: tokens_of_pixels(model, x, *carried))
    if level.block is None:
        with torch.no_grad():
            return _entry_at_output(tokens_of_pixels(model, pixels, *conditions), model)
    if not 0 <= level.block < n_blocks(model):
        raise OptionError(f"a block of this tower is {numbered(n_blocks(model))}: got {level.block}")
    return _entry_at_block(model, pixels, conditions, level.block)


def _entry_at_block(
    model: Model, pixels: torch.Tensor, conditions: tuple[torch.Tensor, ...], block: int
) -> _Entry:
    state, n_tokens = block_outputs(model, pixels, *conditions)[block + 1], model.grid[0] * model.grid[1]
    behind = state[:, 1 + n_tokens :]  # means of prompts stand behind the patches
    carried = (behind, *conditions) if conditions else ()

    def onwards(x: torch.Tensor, cls: torch.Tensor, *carried: torch.Tensor) -> Tokens:
        return tokens_from(model, torch.cat([cls, x, *carried[:1]], dim=1), block, *carried[1:])

    return _Entry(state[:, 1 : 1 + n_tokens].contiguous(), (state[:, :1], *carried), onwards)


def _entry_at_output(tokens: Tokens, model: Model) -> _Entry:
    tokens = are_tokens(checked_tokens(tokens).to(model.device), width=model.dim)
    neck = tokens.neck
    tensors = (tokens.cls, tokens.patches, *((neck.scale, neck.offset) if neck else ()))
    if any(tensor.is_inference() for tensor in tensors):  # autograd takes no tensor of inference mode
        neck = neck and dataclasses.replace(neck, scale=neck.scale.clone(), offset=neck.offset.clone())
        tokens = dataclasses.replace(
            tokens, cls=tokens.cls.clone(), patches=tokens.patches.clone(), neck=neck
        )
    return _Entry(
        tokens.patches, (tokens.cls,), lambda x, cls: dataclasses.replace(tokens, cls=cls, patches=x)
    )


def _enhanced(model: Model, plain: Tokens, target: Target) -> Tokens:
    """The enhanced tokens, where the target asks for them."""
    return model.enhance(plain) if target.feature == "enhanced" else plain


def _at_inputs(
    model: Model, target: Target, entry: _Entry, directions: torch.Tensor
) -> tuple[Float[torch.Tensor, " batch"], Float[torch.Tensor, " batch"]]:
    """Norm of the target's feature, and the score, of the inputs as they are."""
    with torch.no_grad():
        plain = entry.onwards(entry.values, *entry.carried)
        enhanced = _enhanced(model, plain, target)
        norm = torch.linalg.vector_norm((enhanced if target.feature == "enhanced" else plain).cls, dim=1)
        value = target.score(plain, enhanced, directions)
    if target.kind == "shift" and not (value > 0).all():
        raise OptionError(
            "the norm of a shift of zero has no gradient: got an add-on that shifts nothing; train one"
        )
    if target.kind == "cosine" and not (norm > 0).all():
        raise OptionError(
            "a cosine needs a feature of non-zero norm: got one of norm 0; use Target.direction"
        )
    return norm, value


def _groups(
    level: InputLevel, grid: tuple[int, int], geometry: WindowGeometry | None, image_size: tuple[int, int]
) -> tuple[torch.Tensor, int]:
    """Which patch, token or window each element belongs to, and how many there are."""
    rows, cols = grid
    tokens = torch.arange(rows * cols)
    if level.name == "pixels":
        down, across = (torch.arange(side) * n // side for side, n in zip(image_size, grid, strict=True))
        return (down[:, None] * cols + across)[None, None], rows * cols
    if geometry is None:
        return tokens[None, :, None], rows * cols
    owner = torch.full((rows * cols,), geometry.n_windows)
    owner[torch.from_numpy(geometry.tokens.copy())] = torch.arange(geometry.n_windows)[:, None]
    return owner[None, :, None], geometry.n_windows + (len(geometry.dropped) > 0)
