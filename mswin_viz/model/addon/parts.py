"""What an add-on is, and how it names its parts: the interface that the package's modules and a user's share.

Anything that maps patch tokens ``[B, N, D]`` to a vector ``[B, D]`` is an add-on: :class:`AddonModule` says what the
package reads of it. A module of windows also names its layers (:class:`WindowParts`), from which every share has a
closed form; any other module is split by holding what is not linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float


@runtime_checkable
class AddonModule(Protocol):
    """An ``nn.Module`` behind a tower.

    Optional attributes, with their defaults: ``reads_cls`` (False), whether it is called with the CLS tokens too;
    ``combine`` (``"add"``) and ``n_behind`` (0), whether its vector is appended to the CLS token, and how wide it then is;
    ``description`` (its scales), what it is in words.

    Attributes
    ----------
    feat_dim
        Width ``D`` of the patch tokens it reads.
    scales
        Window lengths of its slots, in tokens; empty without slots.
    """

    feat_dim: int
    scales: tuple[int, ...]

    def __call__(self, patches: Float[torch.Tensor, "batch token dim"]) -> Float[torch.Tensor, "batch dim"]:
        """The vector that is added to the CLS token."""
        ...


@dataclass(frozen=True, eq=False)
class TwoLayers:
    """A fusion ``last(relu(first(pooled)))``, followed by a Linear and a LayerNorm, or by nothing."""

    first: nn.Module
    last: nn.Module
    back: tuple[nn.Module, nn.Module] | None = None


@dataclass(frozen=True, eq=False)
class GatedExperts:
    """A fusion of one expert for each scale, mixed by a softmax gate; layers are Linear, LayerNorm, GELU in turn.

    ``thinned`` keeps the largest of the gate's weights; None keeps all.
    """

    experts: tuple[nn.Module, ...]
    gate: nn.Module
    temperature: float
    last: nn.Module
    thinned: Callable[[torch.Tensor], torch.Tensor] | None = None


@dataclass(frozen=True, eq=False)
class WindowParts:
    """The layers of an add-on whose windows are pooled and fused.

    Attributes
    ----------
    windows
        The convolutions, a ``CLIPMultiScaleSlidingWindow``.
    fusion
        What turns the pooled vectors into the vector that is added.
    projection
        Layers that each token passes before the windows: Linear, LayerNorm, ReLU, Linear; None if there are none.
    settings
        Numbers that the result depends on and that no tensor holds.
    """

    windows: Any
    fusion: TwoLayers | GatedExperts
    projection: tuple[nn.Module, nn.Module, nn.Module] | None = None
    settings: tuple[Any, ...] = ()

    def seen(
        self, patches: Float[torch.Tensor, "batch token dim"]
    ) -> Float[torch.Tensor, "batch token wide"]:
        """The tokens that the windows read: the patches, or their projections."""
        if self.projection is None:
            return patches
        first, norm, last = self.projection
        return last(norm(first(patches)).relu())


def window_parts(addon: nn.Module | None) -> WindowParts | None:
    """The layers of an add-on of windows; None for any other module, and without one."""
    parts: Callable[[], WindowParts] | None = getattr(addon, "window_parts", None)
    return None if parts is None else parts()


def addon_words(addon: Any) -> str:
    """An add-on's description of itself; its scales where it has none."""
    return getattr(addon, "description", None) or f"scales {'/'.join(map(str, addon.scales))}"
