"""Any torch module behind a tower, split over its patch tokens with what is not linear held at the input."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from mswin_viz.analysis.frozen.frozen_map import FrozenMap
from mswin_viz.analysis.shares.addon_map import Split, Without
from mswin_viz.analysis.shares.slots import Slot, SlotShares
from mswin_viz.analysis.token_checks import checked_tokens
from mswin_viz.analysis.windows.geometry import WindowGeometry
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["ModuleMap", "module_map"]

_AT_ONCE = 64  # images in one pass where windows are taken away


@dataclass(frozen=True, eq=False)
class ModuleMap:
    """A frozen float64 copy of a module; its windows are whatever geometry is asked for, single tokens by default.

    ``scales`` is empty: nothing in it is a slot.
    """

    module: nn.Module
    dim: int
    scales: tuple[int, ...] = ()
    trained_slots: tuple[Slot, ...] = ()

    @property
    def is_concatenated(self) -> bool:
        """Whether its vector stands behind the CLS token and is not added to it."""
        return getattr(self.module, "combine", "add") == "concatenate"

    @property
    def feature_dim(self) -> int:
        """Width of the enhanced CLS."""
        return self.dim + getattr(self.module, "out_dim", 0) if self.is_concatenated else self.dim

    def run(
        self,
        tokens: Tokens,
        slots: Sequence[Slot] | None = None,
        pooled: Sequence[Any] | None = None,
    ) -> ModuleState:
        """The module at a batch of tokens; of ``slots`` the first says by which windows shares are grouped."""
        tokens = checked_tokens(tokens)
        if tokens.patches.shape[2] != self.dim:
            raise ShapeError(
                f"tokens must be as wide as the add-on's, {self.dim}: got patches "
                f"{tuple(tokens.patches.shape)}; use the add-on that was made for this model"
            )
        slot = slots[0] if slots else Slot(1, "mean")
        place = next(self.module.parameters(), torch.empty(0)).device
        cls, patches = (x.detach().to(place, torch.float64) for x in (tokens.cls, tokens.patches))
        gain = torch.ones_like(cls[0]) if tokens.neck is None else tokens.neck.scale.to(cls)
        return ModuleState(self, cls, patches, gain, slot, slot.geometry(tokens.grid))

    def features(self, cls: torch.Tensor, patches: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        """The enhanced CLS, in torch."""
        vector = (
            self.module(patches, cls) if getattr(self.module, "reads_cls", False) else self.module(patches)
        )
        return torch.cat([cls, vector], dim=1) if self.is_concatenated else cls + vector * gain


class ModuleState:
    """A module at one batch of tokens, see :class:`mswin_viz.analysis.shares.addon_map.AddonState`."""

    def __init__(
        self,
        module_map: ModuleMap,
        cls: torch.Tensor,
        patches: torch.Tensor,
        gain: torch.Tensor,
        slot: Slot,
        geometry: WindowGeometry,
    ) -> None:
        self._module, self._inputs, self._gain = module_map, (cls, patches), gain
        self._slot, self._geometry = slot, geometry
        self._frozen = FrozenMap(
            lambda c, p: module_map.features(c, p, gain), self._inputs, module_map.module
        )
        self.cls = cls.cpu().numpy()
        self.enhanced = self._frozen.output.cpu().numpy()
        self.gates = np.zeros((len(cls), 0), bool)
        self.gate = np.zeros((len(cls), 0))
        self.pooled = ()

    def geometry(self, index: int) -> WindowGeometry | None:
        """The windows that shares are grouped by."""
        return self._geometry if index == 0 else None

    def split(self, v: Float[np.ndarray, "batch wide"]) -> Split:
        """Shares of every patch token, summed over windows; a token in several windows gives each an equal part."""
        shares = self._frozen.shares(torch.tensor(v).to(self._inputs[0]))
        of_cls, of_tokens = (product.sum(axis=-1) for product in shares.inputs)
        places = self._geometry.tokens
        covers = np.bincount(places.ravel(), minlength=of_tokens.shape[1])
        windows = (of_tokens / np.maximum(covers, 1))[:, places].sum(axis=2)
        in_windows = of_tokens * (covers > 0)
        none = np.zeros(len(v))
        slot = SlotShares(self._slot, "tokens", self._geometry, windows, in_windows, none)
        outside = (of_tokens * (covers == 0)).sum(axis=1)
        return Split(of_cls, shares.constants, (slot,), outside, shares.left)

    def without(self, index: int, window: int | slice) -> Without:
        """The tokens of a window become zero, and everything is computed again."""
        places = (
            self._geometry.tokens[window : window + 1]
            if isinstance(window, int)
            else self._geometry.tokens[window]
        )
        cls, patches = self._inputs
        enhanced = []
        with torch.no_grad():
            for image in range(len(cls)):
                for start in range(0, len(places), _AT_ONCE):
                    chosen = places[start : start + _AT_ONCE]
                    emptied = patches[image].expand(len(chosen), -1, -1).clone()
                    for row, tokens in zip(emptied, chosen, strict=True):
                        row[tokens.tolist()] = 0
                    enhanced.append(
                        self._module.features(cls[image].expand(len(chosen), -1), emptied, self._gain)
                    )
        features = torch.cat(enhanced).reshape(len(cls), len(places), -1).cpu().numpy()
        return Without(features, np.zeros((len(cls), len(places), 0), bool))


def module_map(addon: nn.Module) -> ModuleMap:
    """A frozen float64 copy of any module with the width of its tokens, ``feat_dim``."""
    dim = getattr(addon, "feat_dim", None)
    if not isinstance(dim, int):
        raise OptionError(
            f"an add-on says how wide the tokens it reads are, feat_dim: got a {type(addon).__name__} without; "
            "wrap it, mswin_viz.Addon(module, feat_dim=...)"
        )
    module = copy.deepcopy(addon).double().eval().requires_grad_(False)
    return ModuleMap(
        module.cpu() if next(module.parameters(), torch.empty(0)).device.type == "mps" else module, dim
    )
