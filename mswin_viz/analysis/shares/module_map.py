"""Any torch module behind a tower, split over its patch tokens with what is not linear held at the input."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from mswin_viz.analysis.frozen.calls import InOnePrecision
from mswin_viz.analysis.frozen.frozen_map import FrozenMap, InputShares
from mswin_viz.analysis.shares.addon_map import Split, Without
from mswin_viz.analysis.shares.slots import Slot, SlotShares
from mswin_viz.analysis.token_checks import checked_tokens
from mswin_viz.analysis.windows.geometry import WindowGeometry
from mswin_viz.errors import MswinVizError, OptionError, ShapeError
from mswin_viz.model.addon.given import bare_module, copied
from mswin_viz.model.tokens.enhanced import addon_vector, enhanced_width, is_concatenated
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Kept = TypeVar("Kept")

_AT_ONCE = 64  # images in one pass where windows are taken away
_MOST_KEPT, _MOST_IMAGES = 4, 16  # batches that stay held while their tokens live, and images in one of them
_MOST_ANSWERS = 16  # directions, and kinds of windows, whose answers such a batch keeps


@dataclass(frozen=True, eq=False)
class ModuleMap:
    """A frozen float64 copy of a module; its windows are whatever geometry is asked for, single tokens by default.

    ``scales`` is empty: nothing in it is a slot.
    """

    module: nn.Module
    dim: int
    scales: tuple[int, ...] = ()
    trained_slots: tuple[Slot, ...] = ()
    _held: Any = field(default_factory=WeakIdKeyDictionary, repr=False)
    _single: list[nn.Module] = field(default_factory=list, repr=False)

    @property
    def declared(self) -> tuple[Slot, ...]:
        """The windows that the module declares, by which its shares are grouped."""
        given = dict.fromkeys(getattr(self.module, "geometries", ()))
        return tuple(
            Slot(window, "mean")
            if isinstance(window, int)
            else Slot(window[0] * window[1], "mean", tile=window)
            for window in given
        )

    @property
    def is_projected(self) -> bool:
        """No: its windows are groups of patch tokens."""
        return False

    @property
    def feature_dim(self) -> int:
        """Width of the enhanced CLS."""
        return enhanced_width(self.module, self.dim)

    def run(
        self,
        tokens: Tokens,
        slots: Sequence[Slot] | None = None,
        pooled: Sequence[Any] | None = None,
    ) -> ModuleState:
        """The module at a batch of tokens; of ``slots`` the first says by which windows shares are grouped."""
        given, tokens = tokens, checked_tokens(tokens)
        if tokens.patches.shape[2] != self.dim:
            raise ShapeError(
                f"tokens must be as wide as the add-on's, {self.dim}: got patches "
                f"{tuple(tokens.patches.shape)}; use the add-on that was made for this model"
            )
        slot = slots[0] if slots else Slot(1, "mean")
        return ModuleState(self._held_at(given, tokens), slot, slot.geometry(tokens.grid))

    def _held_at(self, given: Tokens, tokens: Tokens) -> HeldModule:
        """The module held at tokens; that of the last few batches is kept while their patches live."""
        key = (given.patches._version, id(given.cls), given.cls._version, id(given.neck))
        kept = self._held.get(given.patches)  # with the CLS tokens and the neck, so that no id is given twice
        held = None if kept is None or kept[0] != key else kept[1]
        if held is None:
            place = next(self.module.parameters(), torch.empty(0)).device
            cls, patches = (x.detach().to(place, torch.float64) for x in (tokens.cls, tokens.patches))
            gain = torch.ones_like(cls[0]) if tokens.neck is None else tokens.neck.scale.to(cls)
            held = HeldModule(self, cls, patches, gain)
            if len(self._held) >= _MOST_KEPT:
                self._held.clear()
            if len(tokens) <= _MOST_IMAGES:
                self._held[given.patches] = (key, held, given.cls, given.neck)
        return held

    def features(self, cls: torch.Tensor, patches: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        """The enhanced CLS, in torch."""
        return self.with_vector(cls, addon_vector(self.module, patches, cls), gain)

    def with_vector(self, cls: torch.Tensor, vector: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        """The enhanced CLS from what the module gives."""
        return torch.cat([cls, vector], dim=1) if is_concatenated(self.module) else cls + vector * gain

    def in_single(self) -> nn.Module:
        """The module in float32, for what is run once for every token."""
        if not self._single:
            self._single.append(copied(self.module).float())
        return self._single[0]


class HeldModule:
    """A module held at one batch of tokens, and its last split."""

    def __init__(
        self, module_map: ModuleMap, cls: torch.Tensor, patches: torch.Tensor, gain: torch.Tensor
    ) -> None:
        self.module_map, self.inputs, self.gain = module_map, (cls, patches), gain
        with told(module_map.module):
            self._frozen = FrozenMap(
                lambda c, p: module_map.features(c, p, gain), self.inputs, module_map.module
            )
        self.output = self._frozen.output.cpu().numpy()
        self._shares: OrderedDict[bytes, InputShares] = OrderedDict()
        self._emptied: OrderedDict[bytes, Float[np.ndarray, "batch window wide"]] = OrderedDict()

    def shares(self, v: Float[np.ndarray, "batch wide"]) -> InputShares:
        """The score along a direction, split over every token; of the last few directions it is kept."""
        with told(self.module_map.module):
            return _once(
                self._shares, v.tobytes(), lambda: self._frozen.shares(torch.tensor(v).to(self.inputs[0]))
            )

    def emptied(self, places: Int[np.ndarray, "window tap"]) -> Float[np.ndarray, "batch window wide"]:
        """The enhanced CLS with the tokens of each window zero."""
        with told(self.module_map.module):
            return self._without(places, self.module_map.module, torch.float64).cpu().numpy()

    def every_emptied(self, places: Int[np.ndarray, "window tap"]) -> Float[np.ndarray, "batch window wide"]:
        """The same with the module in float32; of the last few kinds of windows it is kept.

        What float32 itself changes, without anything zero, is taken out again.
        """
        key = b"%d %d " % places.shape + places.tobytes()
        with told(self.module_map.module):
            return _once(self._emptied, key, lambda: self._quickly(places))

    def _quickly(self, places: Int[np.ndarray, "window tap"]) -> Float[np.ndarray, "batch window wide"]:
        single = self.module_map.in_single()
        left, whole = (self._without(p, single, torch.float32) for p in (places, np.zeros((1, 0), np.int64)))
        return (left - whole).cpu().numpy() + self.output[:, None]

    def _without(
        self, places: Int[np.ndarray, "window tap"], module: nn.Module, dtype: torch.dtype
    ) -> Float[torch.Tensor, "batch window wide"]:
        (cls, patches), enhanced = self.inputs, []
        chosen = torch.tensor(places, device=patches.device)
        with torch.no_grad(), InOnePrecision():
            for image in range(len(cls)):
                for some in chosen.split(_AT_ONCE):
                    emptied = patches[image].to(dtype).repeat(len(some), 1, 1)
                    emptied[torch.arange(len(some), device=some.device)[:, None], some] = 0
                    own = cls[image].expand(len(some), -1)
                    vector = addon_vector(module, emptied, own.to(dtype)).double()
                    enhanced.append(self.module_map.with_vector(own, vector, self.gain))
        return torch.cat(enhanced).reshape(len(cls), len(places), -1)


class ModuleState:
    """A module at one batch of tokens; see :class:`mswin_viz.analysis.shares.addon_map.AddonState`."""

    def __init__(self, held: HeldModule, slot: Slot, geometry: WindowGeometry) -> None:
        self._held, self._slot, self._geometry = held, slot, geometry
        n_images = len(held.output)
        self.cls = held.inputs[0].cpu().numpy()
        self.enhanced = held.output
        self.n_tokens = held.inputs[1].shape[1]
        self.gates = np.zeros((n_images, 0), bool)
        self.gate = np.zeros((n_images, 0))
        self.pooled = ()

    def geometry(self, index: int) -> WindowGeometry | None:
        """The windows that shares are grouped by."""
        return self._geometry if index == 0 else None

    def split(self, v: Float[np.ndarray, "batch wide"]) -> Split:
        """Shares of every patch token, summed over windows; a token in several windows is divided equally among them."""
        shares = self._held.shares(v)
        of_cls, of_tokens = (product.sum(axis=-1) for product in shares.inputs)
        places = self._geometry.tokens
        covers = np.bincount(places.ravel(), minlength=of_tokens.shape[1])
        windows = (of_tokens / np.maximum(covers, 1))[:, places].sum(axis=2)
        in_windows = of_tokens * (covers > 0)
        none = np.zeros(len(v))
        slot = SlotShares(self._slot, "tokens", self._geometry, windows, in_windows, none)
        outside = (of_tokens * (covers == 0)).sum(axis=1)
        return Split(of_cls, shares.constants, (slot,), outside, shares.left)

    def pulled_back(self, v: Float[np.ndarray, "batch wide"]) -> tuple[Float[np.ndarray, "batch wide"], ...]:
        """Empty: there are no slots."""
        return ()

    def without(self, slots: Sequence[int], window: int | slice) -> Without:
        """The tokens of a window become zero, and everything is computed again."""
        chosen = slice(window, window + 1) if isinstance(window, int) else window
        return _left(self._held.emptied(self._geometry.tokens[chosen]))

    def without_token(self, token: int) -> Without:
        """One patch token becomes zero."""
        return _left(self._held.emptied(np.array([[token]])))

    def without_each(self, slots: Sequence[int]) -> Without:
        """The tokens of every window in turn become zero."""
        return _left(self._held.every_emptied(self._geometry.tokens))

    def without_each_token(self) -> Without:
        """Every patch token in turn becomes zero."""
        return _left(self._held.every_emptied(np.arange(self.n_tokens)[:, None]))


def _left(enhanced: Float[np.ndarray, "batch window wide"]) -> Without:
    """There are no ReLU gates to count."""
    return Without(enhanced, np.zeros((*enhanced.shape[:2], 0), bool))


def module_map(addon: nn.Module) -> ModuleMap:
    """A frozen float64 copy of any module with the width of its tokens, ``feat_dim``."""
    dim = getattr(addon, "feat_dim", None)
    if not isinstance(dim, int):
        raise OptionError(
            f"an add-on must have feat_dim, the width of the tokens it reads: got a {type(addon).__name__} without it; "
            "use mswin_viz.load_model(addon=module).addon, which has it"
        )
    module = copied(bare_module(addon)).double().eval().requires_grad_(False)
    return ModuleMap(
        module.cpu() if next(module.parameters(), torch.empty(0)).device.type == "mps" else module, dim
    )


def _once(kept: OrderedDict[bytes, Kept], key: bytes, make: Callable[[], Kept]) -> Kept:
    if key not in kept:
        kept[key] = make()
        while len(kept) > _MOST_ANSWERS:
            kept.popitem(last=False)
    return kept[key]


@contextmanager
def told(module: nn.Module) -> Iterator[None]:
    """Turn an error inside into an OptionError that names the add-on; running out of memory stays what it is."""
    try:
        yield
    except (MswinVizError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as problem:
        words = getattr(module, "words", type(module).__name__)
        raise OptionError(
            f"an add-on must run in float64 for its shares: {words} failed with {type(problem).__name__}: "
            f"{str(problem).rstrip('.')}; compute in the dtype of the tokens, and call torch.utils.checkpoint only if self.training"
        ) from problem
