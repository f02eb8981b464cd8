"""What turns the pooled vectors of the scales into the vector added to the CLS token, as float64 arrays.

Either head answers three questions: what it gives (``fused``), how a direction looks from its inputs with everything
that is not linear frozen as it stands (``pulled_back``), and what it gives when parts of its inputs are taken away
(``without``, where nothing is frozen).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.special import ndtr, softmax

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


_ROUNDING = 5e-6
"""Of what goes into the gates, where single precision computed it: more than ten times the usual."""


@dataclass(frozen=True, eq=False)
class Trace:
    """Frozen in one layer: the deviation that its LayerNorm divides by, and the factor ``Phi`` of its ``x Phi(x)``."""

    deviation: Float[np.ndarray, "*batch 1"]
    factor: Float[np.ndarray, "*batch width"]


@dataclass(frozen=True, eq=False)
class Fused:
    """What a head adds to the CLS at one input (``shift``), what went in, and what is frozen there."""

    shift: Float[np.ndarray, "*batch dim"]
    pooled: tuple[Float[np.ndarray, "*batch wide"], ...]
    hidden: Float[np.ndarray, "*batch hidden"]  # of the MLP, before the ReLU; of no width in a mixture
    gates: Bool[np.ndarray, "*batch hidden"]  # whether each ReLU gate is open
    gate: Float[
        np.ndarray, "*batch slot"
    ]  # of the mixture, the weight of each expert; of no width in the MLP
    traces: tuple[tuple[Trace, ...], ...] = ()  # of each layer of each expert, and last of the closing layer

    def spread(self, which: Int[np.ndarray, " window"] | None = None) -> Fused:
        """With an axis of windows behind the images, and no traces: of length one, or the ``which``-th of an axis there is."""
        at = (slice(None), None) if which is None else (slice(None), which)
        pooled = tuple(p[at] for p in self.pooled)
        return Fused(self.shift[at], pooled, self.hidden[at], self.gates[at], self.gate[at])


class PulledBack(NamedTuple):
    """How a score depends on what each slot hands to the head, all that is not linear frozen; the biases' share."""

    directions: tuple[Float[np.ndarray, "*batch wide"], ...]
    bias: Float[np.ndarray, "*batch"]


@dataclass(frozen=True, eq=False)
class MlpHead:
    """The fusion of scheme 1: ``ms = W2 relu(W1 [p_1; p_2; ...] + b1) + b2``."""

    W1: Float[np.ndarray, "hidden slots_times_dim"]
    b1: Float[np.ndarray, " hidden"]
    W2: Float[np.ndarray, "dim hidden"]
    b2: Float[np.ndarray, " dim"]

    @property
    def dim(self) -> int:
        """Width ``D``."""
        return len(self.b2)

    @property
    def width(self) -> int:
        """Width of the pooled vectors."""
        return len(self.b2)

    def fused(self, pooled: Sequence[Float[np.ndarray, "batch dim"]], n_images: int) -> Fused:
        """What it gives for the pooled vectors of a batch."""
        stacked = np.concatenate([np.zeros((n_images, 0)), *pooled], axis=1)
        return self._of(stacked @ self.W1.T + self.b1, pooled)

    def pulled_back(self, v: Float[np.ndarray, "*batch dim"], fused: Fused) -> PulledBack:
        """The direction seen from each slot, and the share of the biases; ReLU gates frozen."""
        gated = fused.gates * (v @ self.W2)  # [B, hidden]: how the score moves with h
        back = gated @ self.W1  # [B, slots * D]
        slots = tuple(back[..., start : start + self.dim] for start in range(0, back.shape[-1], self.dim))
        return PulledBack(slots, gated @ self.b1 + v @ self.b2)

    def pulled_back_to(
        self, index: int, v: Float[np.ndarray, "*batch dim"], fused: Fused
    ) -> Float[np.ndarray, "*batch wide"]:
        """The direction seen from one slot."""
        return (fused.gates * (v @ self.W2)) @ self._of_slot(index)

    def without(self, fused: Fused, removed: Mapping[int, Float[np.ndarray, "batch window wide"]]) -> Fused:
        """What it gives with parts of its slots taken away; ``fused`` is :meth:`Fused.spread`."""
        hidden = fused.hidden
        for index, parts in removed.items():
            hidden = hidden - parts @ self._of_slot(index).T
        return self._of(hidden, ())  # the pooled vectors are not needed again

    def near_a_switch(self, fused: Fused) -> Bool[np.ndarray, "*batch"]:
        """Whether products in single precision in what went in may have put a gate on the wrong side."""
        size = np.sqrt((fused.hidden**2).mean(axis=-1, keepdims=True))
        return (np.abs(fused.hidden) <= _ROUNDING * size).any(axis=-1)

    def _of_slot(self, index: int) -> Float[np.ndarray, "hidden dim"]:
        return self.W1[:, index * self.dim : (index + 1) * self.dim]

    def _of(self, hidden: Float[np.ndarray, "*batch hidden"], pooled: Sequence[np.ndarray]) -> Fused:
        gates = hidden > 0
        shift = np.where(gates, hidden, 0) @ self.W2.T + self.b2
        return Fused(shift, tuple(pooled), hidden, gates, gate=np.zeros((*hidden.shape[:-1], 0)))


@dataclass(frozen=True, eq=False)
class Normed:
    """``LayerNorm(W x + b)``; with the deviation held it is affine."""

    W: Float[np.ndarray, "to width"]
    b: Float[np.ndarray, " to"]
    scale: Float[np.ndarray, " to"]
    offset: Float[np.ndarray, " to"]
    eps: float

    def __call__(self, x: Float[np.ndarray, "*batch width"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The result, the part of it that is linear in ``x``, and the deviation."""
        linear = x @ self.W.T
        linear = linear - linear.mean(axis=-1, keepdims=True)
        constant = self.b - self.b.mean()
        centred = linear + constant
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + self.eps)
        return centred / deviation * self.scale + self.offset, linear / deviation * self.scale, deviation

    def pulled_back(
        self, v: Float[np.ndarray, "*batch to"], deviation: Float[np.ndarray, "*batch 1"]
    ) -> tuple[Float[np.ndarray, "*batch width"], Float[np.ndarray, "*batch"]]:
        """The direction on the input, and the biases' share."""
        bias, v = v @ self.offset, v * self.scale / deviation
        v = v - v.mean(axis=-1, keepdims=True)
        return v @ self.W, bias + v @ self.b


@dataclass(frozen=True, eq=False)
class NormedLayer:
    """``gelu(LayerNorm(W x + b))``; frozen it is affine: the mean is linear, the deviation and the factor are held."""

    norm: Normed

    def __call__(self, x: Float[np.ndarray, "*batch width"]) -> tuple[Float[np.ndarray, "*batch to"], Trace]:
        """The answer and what it has frozen."""
        normed, _, deviation = self.norm(x)
        factor = ndtr(normed)
        return normed * factor, Trace(deviation, factor)

    def pulled_back(
        self, v: Float[np.ndarray, "*batch to"], trace: Trace
    ) -> tuple[Float[np.ndarray, "*batch width"], Float[np.ndarray, "*batch"]]:
        """The direction on the layer's input, and the biases' share."""
        return self.norm.pulled_back(v * trace.factor, trace.deviation)


@dataclass(frozen=True, eq=False)
class MixtureHead:
    """Experts, gate and closing layer of a :class:`MixtureOfExpertsAddon`.

    An expert's input is added to its answer. ``gate`` are the gate's layers but the last, which is ``logits``;
    ``top_k`` thins out the gate's weights, None lets every expert count.
    """

    experts: tuple[tuple[NormedLayer, ...], ...]
    gate: tuple[NormedLayer, ...]
    logits: Float[np.ndarray, "slot width"]
    logits_bias: Float[np.ndarray, " slot"]
    temperature: float
    last: NormedLayer
    top_k: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def dim(self) -> int:
        """Width ``D``."""
        return len(self.last.norm.b)

    @property
    def width(self) -> int:
        """Width of the pooled vectors."""
        return len(self.last.norm.b)

    def fused(self, pooled: Sequence[Float[np.ndarray, "*batch dim"]], n_images: int) -> Fused:
        """What it gives for the pooled vectors of a batch."""
        weights, traces, mixed = self.weights(pooled), [], np.zeros(pooled[0].shape)
        for i, (layers, x) in enumerate(zip(self.experts, pooled, strict=True)):
            h, traces_of_expert = x, []
            for layer in layers:
                h, trace = layer(h)
                traces_of_expert.append(trace)
            traces.append(tuple(traces_of_expert))
            mixed = mixed + weights[..., i : i + 1] * (h + x)
        shift, trace = self.last(mixed)
        none = np.zeros((*shift.shape[:-1], 0))
        return Fused(
            shift=shift,
            pooled=tuple(pooled),
            hidden=none,
            gates=none > 0,
            gate=weights,
            traces=(*traces, (trace,)),
        )

    def pulled_back(self, v: Float[np.ndarray, "*batch dim"], fused: Fused) -> PulledBack:
        """The direction seen from each slot, and the share of the biases; gate, deviations and factors frozen."""
        r, bias = self.last.pulled_back(v, fused.traces[-1][0])
        back, biases = zip(*(self._through(i, r, fused) for i in range(len(self.experts))), strict=True)
        return PulledBack(back, bias + sum(biases))

    def pulled_back_to(
        self, index: int, v: Float[np.ndarray, "*batch dim"], fused: Fused
    ) -> Float[np.ndarray, "*batch wide"]:
        """The direction seen from one slot."""
        return self._through(index, self.last.pulled_back(v, fused.traces[-1][0])[0], fused)[0]

    def _through(
        self, index: int, r: Float[np.ndarray, "*batch dim"], fused: Fused
    ) -> tuple[Float[np.ndarray, "*batch wide"], Float[np.ndarray, "*batch"]]:
        """From the mixture back to one expert's input, and its biases' share."""
        around = through = fused.gate[..., index : index + 1] * r
        bias = np.zeros(r.shape[:-1])
        for layer, trace in zip(reversed(self.experts[index]), reversed(fused.traces[index]), strict=True):
            through, more = layer.pulled_back(through, trace)
            bias = bias + more
        return around + through, bias

    def without(self, fused: Fused, removed: Mapping[int, Float[np.ndarray, "batch window wide"]]) -> Fused:
        """What it gives with parts of its slots taken away; ``fused`` is :meth:`Fused.spread`."""
        left = (p - removed[i] if i in removed else p for i, p in enumerate(fused.pooled))
        return self.fused(np.broadcast_arrays(*left), len(fused.shift))

    def near_a_switch(self, fused: Fused) -> Bool[np.ndarray, "*batch"]:
        """Whether products in single precision may have chosen other experts: always, as how near that is is not known."""
        return np.full(fused.gate.shape[:-1], self.top_k is not None)

    def weights(self, pooled: Sequence[Float[np.ndarray, "*batch dim"]]) -> Float[np.ndarray, "*batch slot"]:
        """The weight that the gate gives each expert."""
        x = np.concatenate(list(pooled), axis=-1)
        for layer in self.gate:
            x, _ = layer(x)
        weights = softmax((x @ self.logits.T + self.logits_bias) / self.temperature, axis=-1)
        return weights if self.top_k is None else self.top_k(torch.from_numpy(weights)).numpy()
