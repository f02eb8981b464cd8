"""The output of every window of a scale, by trained, resampled and mean kernels, and one number for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch

from mswin_viz.analysis.token_checks import checked_tokens
from mswin_viz.analysis.windows.geometry import WindowGeometry, fallback_geometry, windows
from mswin_viz.analysis.windows.reducing import reduced
from mswin_viz.errors import OptionError, ScaleError, ShapeError
from mswin_viz.model.addon.parts import window_parts
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

    from mswin_viz.model.addon.sliding_window import CLIPMultiScaleSlidingWindow

Origin = Literal["trained", "resampled", "mean", "fallback", "tokens"]
_KERNELS = ("auto", "trained", "resampled", "mean")


@dataclass(frozen=True, eq=False)
class WindowActivations:
    """Outputs of one scale's windows.

    Attributes
    ----------
    values
        Convolution outputs, bias included, ``[B, n_windows, D]`` float32.
    origin
        ``"trained"``; ``"resampled"`` from the kernel of ``source_scale``; ``"mean"``, the plain mean of the
        window's tokens; ``"fallback"``, the mean of all tokens because the image has fewer than the scale.
    geometry
        Which tokens the windows cover.
    scale, source_scale
        The scale asked for (above ``geometry.scale`` in a fallback), and the trained one of the kernel; None for means.

    Examples
    --------
    >>> trained = mv.window_activations(tokens, model.addon, 8)
    >>> trained.values.shape, trained.origin, trained.source_scale
    ((4, 16, 512), 'trained', 8)
    >>> between = mv.window_activations(tokens, model.addon, 10)
    >>> between.values.shape, between.origin, between.source_scale
    ((4, 12, 512), 'resampled', 8)
    """

    values: Float[np.ndarray, "batch window dim"]
    origin: Origin
    geometry: WindowGeometry
    scale: int
    source_scale: int | None = None


class SeenTokens(NamedTuple):
    """The tokens that windows are made of, ``[B, N, wide]``, and what they are.

    ``"patches"`` as the tower gives them; ``"projected"``, what the windows of scheme 2 read; ``"activations"``, what a
    module says of each patch by its method of that name.
    """

    values: Float[torch.Tensor, "batch token wide"]
    kind: Literal["patches", "projected", "activations"]


def window_activations(
    tokens: Tokens,
    addon: torch.nn.Module | None,
    scale: int,
    *,
    kernel: str = "auto",
    source_scale: int | None = None,
    stride: int | None = None,
) -> WindowActivations:
    """The windows' outputs at any scale from 1 to N.

    Parameters
    ----------
    tokens
        Of a batch of images; their patches are read.
    addon
        Of windows (in scheme 2 they see the projected tokens); any other module and None give plain means only: of the
        patches, or of what the method ``activations(patches)`` of a module says of each.
    scale
        Tokens in a window, 1..N.
    kernel
        ``"auto"``: the trained kernel where ``scale`` is trained, else one resampled from ``source_scale``;
        ``"trained"``, ``"resampled"`` and ``"mean"`` insist.
    source_scale
        The trained scale to resample from; if None the nearest by ratio, the larger of two.
    stride
        Tokens between two windows' starts; ``scale`` if None.

    Returns
    -------
    activations
        ``values [B, n_windows, D]``, by which kernel they were made, and which tokens each window covers.

    Raises
    ------
    ScaleError
        If the scale is outside 1..N, unless it is a trained one above N (``"fallback"``, as in the module).
    OptionError
        If there is no such kernel or ``source_scale``.
    ShapeError
        If there are no tokens, they are not as wide as the add-on's, or they hold NaN or infinity.

    Examples
    --------
    >>> activations = mv.window_activations(tokens, model.addon, 8)
    >>> activations.values.shape  # four images, 16 windows of 8 tokens
    (4, 16, 512)
    >>> norms = np.linalg.norm(activations.values, axis=2)
    >>> norms.shape, bool((norms > 0).all())
    ((4, 16), True)
    >>> mv.window_activations(tokens, None, 8).origin  # plain CLIP has no kernel
    'mean'
    """
    if kernel not in _KERNELS:
        raise OptionError(f"kernel must be one of {', '.join(_KERNELS)}: got {kernel!r}")
    parts = window_parts(addon)
    module = None if parts is None else parts.windows
    with torch.no_grad():
        seen = seen_tokens(tokens, addon)
        patches = seen.values
        if module is not None and scale in module.scales and scale > patches.shape[1]:
            mean = _array(patches.mean(dim=1, keepdim=True))
            geometry = fallback_geometry(tokens.grid)
            return WindowActivations(values=mean, origin="fallback", geometry=geometry, scale=int(scale))
        geometry = windows(tokens.grid, scale, stride=stride)
        if kernel == "mean" or (module is None and kernel == "auto"):
            return token_means(seen, geometry)
        windowed = patches[:, torch.tensor(geometry.tokens, device=patches.device)]  # [B, n, s, D]
        if module is None:
            raise OptionError(
                f'only an add-on of windows has a kernel to use: got kernel={kernel!r}; use kernel="mean"'
            )
        source = _source(module, scale, kernel, source_scale)
        values = _array(_convolved(windowed, module.convolutions[module.scales.index(source)]))
    return WindowActivations(
        values=values,
        origin="trained" if source == scale else "resampled",
        geometry=geometry,
        scale=geometry.scale,
        source_scale=source,
    )


def token_means(seen: SeenTokens, geometry: WindowGeometry) -> WindowActivations:
    """The plain mean of each window's tokens, for any geometry: runs, overlapping runs, 2-D tiles. Untrained."""
    with torch.no_grad():
        patches = seen.values
        means = patches[:, torch.tensor(geometry.tokens, device=patches.device)].mean(dim=2)
    return WindowActivations(values=_array(means), origin="mean", geometry=geometry, scale=geometry.scale)


def resampling_matrix(source: int, target: int) -> Float[np.ndarray, "source target"]:
    """How much of each source tap goes to each target tap when a kernel is resized linearly.

    The triangle filter of Pillow's bilinear resizing, widened when shrinking so that no tap is lost, but normalised
    over the target: each row sums to one, so the kernel's sum over taps is kept. The identity for equal sizes.
    """
    if source < 1 or target < 1:
        raise ScaleError(f"kernels have at least one tap: got {source} and {target}")
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    reach = max(1.0, source / target)
    distance = np.abs(np.clip(centres, 0, source - 1)[None] - np.arange(source)[:, None])
    weights = np.clip(1 - distance / reach, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def nearest_trained_scale(scales: Sequence[int], scale: int) -> int:
    """The trained scale nearest by ratio, by ``|log(trained / scale)|``; the larger of two as near."""
    return min(scales, key=lambda trained: (round(abs(math.log(trained / scale)), 12), -trained))


def seen_tokens(tokens: Tokens, addon: torch.nn.Module | None) -> SeenTokens:
    """The tokens that an add-on's windows see, where its weights are; of other modules, what they say of each token.

    Raises ShapeError if the tokens are not as wide as the add-on's, or a module's ``activations(patches)`` are not one
    vector for each token.
    """
    return seen_patches(checked_tokens(tokens, addon).patches, addon)


def seen_patches(
    patches: Float[torch.Tensor, "batch token dim"], addon: torch.nn.Module | None
) -> SeenTokens:
    """:func:`seen_tokens` of patch tokens alone."""
    if addon is None:
        return SeenTokens(patches, "patches")
    width, parts = getattr(addon, "feat_dim", patches.shape[2]), window_parts(addon)
    if patches.shape[2] != width:
        raise ShapeError(
            f"tokens must be as wide as the add-on's, {width}: got patches {tuple(patches.shape)}; "
            "use the add-on that was trained for this model"
        )
    patches = patches.to(next(addon.parameters(), patches))
    with torch.no_grad():
        if parts is not None:
            return SeenTokens(parts.seen(patches), "patches" if parts.projection is None else "projected")
        tell = getattr(addon, "activations", None)
        told = None if tell is None else tell(patches)
    if told is None:
        return SeenTokens(patches, "patches")
    shape = tuple(told.shape) if isinstance(told, torch.Tensor) else type(told).__name__
    if not isinstance(told, torch.Tensor) or told.ndim != 3 or told.shape[:2] != patches.shape[:2]:
        raise ShapeError(
            f"activations(patches) of a module are one vector for each token, [{patches.shape[0]}, {patches.shape[1]}, "
            f"wide]: got {shape}"
        )
    return SeenTokens(told, "activations")


def reduce_activations(
    activations: WindowActivations,
    how: str,
    *,
    direction: Float[np.ndarray, "*batch dim"] | None = None,
    channel: int | None = None,
    relative: bool = False,
) -> Float[np.ndarray, "batch window"]:
    """One number for each window: its ``"norm"``, its ``"cosine"`` to a direction, or the value of one ``"channel"``.

    The cosine is 0 where the norm is 0; the direction is ``[D]``, or one for each image ``[B, D]``. ``relative``
    divides by the mean size over the image's windows, so that scales compare; a cosine has no unit to remove.
    """
    if how == "cosine" and relative:
        raise OptionError(
            "relative divides norms and channels: got how='cosine', which has no unit to remove"
        )
    numbers = reduced(activations.values, how, direction=direction, channel=channel)
    if not relative:
        return numbers
    size = np.abs(numbers).mean(axis=1, keepdims=True)
    return np.divide(numbers, size, out=np.zeros_like(numbers), where=size > 0)


def _source(module: CLIPMultiScaleSlidingWindow, scale: int, kernel: str, source: int | None) -> int:
    if source is not None and source not in module.scales:
        raise OptionError(f"source_scale must be one of the trained scales {module.scales}: got {source}")
    if kernel == "trained" and (scale not in module.scales or source not in (None, scale)):
        raise OptionError(
            f"trained kernels exist for scales {module.scales}: got {scale}; use kernel='resampled'"
        )
    if source is not None:
        return source
    if scale in module.scales and kernel != "resampled":
        return scale
    return nearest_trained_scale(module.scales, scale)


def _convolved(
    windowed: Float[torch.Tensor, "batch window tap dim"], conv: torch.nn.Conv1d
) -> Float[torch.Tensor, "batch window dim"]:
    """The convolution; the tokens are resampled in place of the kernel, of D * D * s numbers: the same sum."""
    (source,) = conv.kernel_size
    taps = windowed.transpose(2, 3)  # [B, n, D, s]
    if taps.shape[3] != source:
        taps = taps @ torch.from_numpy(resampling_matrix(source, taps.shape[3]).T.copy()).to(taps)
    return torch.nn.functional.linear(taps.flatten(2), conv.weight.flatten(1), conv.bias)


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy()
