"""The linear map that a torch function becomes at one input once everything that is not linear is held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.frozen.calls import InOnePrecision
from mswin_viz.analysis.frozen.frozen_pass import READ, FrozenPass
from mswin_viz.errors import ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float

_CLOSE = 1e-6  # a cast to float32 inside is followed in float64
_UNSEEN = "code outside torch's functions"
UNEXPLAINED_FROM = 1e-5
"""From this residual on, a part of the score is called unexplained; below, it is rounding."""
Constants = Callable[[str], bool]


@dataclass(frozen=True, eq=False)
class InputShares:
    """A score as a sum: every number of the inputs, the constants, and what neither explains; float64.

    Attributes
    ----------
    score
        ``v . f(x)``, ``[B]``.
    inputs
        Of each input, the share of each of its numbers, shaped as the input.
    constants
        Share of the biases and of everything else that is added without depending on the input, ``[B]``.
    unexplained
        ``score`` minus all of these, ``[B]``: rounding, or the part that is not linear and could not be held.
    residual
        ``|unexplained|`` over the sum of the sizes of the constants and of each vector of an input, ``[B]``.
    left
        Names of the operations that are not known to be linear once held, if the residual is above
        :data:`UNEXPLAINED_FROM`; else empty.
    """

    score: Float[np.ndarray, " batch"]
    inputs: tuple[Float[np.ndarray, "batch ..."], ...]
    constants: Float[np.ndarray, " batch"]
    unexplained: Float[np.ndarray, " batch"]
    residual: Float[np.ndarray, " batch"]
    left: tuple[str, ...]


class FrozenMap:
    """``function`` at ``inputs``, as a map that is linear (affine) in them.

    Parameters
    ----------
    function
        From tensors ``[B, ...]`` to ``[B, D]``; a row of the result depends on no other row of the inputs.
    inputs
        Floating-point tensors of one batch. Computation is in their precision.
    module
        Where the function's parameters and buffers come from, to name the constants by.
    compares
        Whether the function also runs with nothing held, for untested code: any difference is unexplained.

    Attributes
    ----------
    output
        ``function(*inputs)``, ``[B, D]``.
    left
        As in :class:`InputShares`.
    """

    def __init__(
        self,
        function: Callable[..., torch.Tensor],
        inputs: Sequence[torch.Tensor],
        module: torch.nn.Module | None = None,
        *,
        compares: bool = True,
    ) -> None:
        self._function = function
        self._names = {} if module is None else _names(module)
        self._inputs = tuple(x.detach().clone().requires_grad_() for x in inputs)
        run = FrozenPass(self._names, self._inputs)
        self._output = self._run(run, self._inputs)
        self._plain = self._checked(self._output.detach()) if compares else self._output.detach()
        self._held, self._moved = run.kept, self._moved_constants(run.constants) if compares else ()
        run.left |= {READ} if self._moved else set()
        self.left = tuple(sorted(run.left))

    @property
    def output(self) -> Float[torch.Tensor, "batch dim"]:
        """What the function gives at the inputs."""
        return self._plain

    def __call__(
        self, *inputs: Float[torch.Tensor, "batch ..."], constants: bool | Constants = True
    ) -> Float[torch.Tensor, "batch dim"]:
        """The map at other inputs, everything held as it is at the first ones.

        Parameters
        ----------
        inputs
            Shaped as the first ones.
        constants
            Whether biases and other constants count, or which, by the name of the parameter.
        """
        counts = constants if callable(constants) else lambda _name: bool(constants)
        leaves = [x.detach().requires_grad_() for x in inputs]
        return self._run(FrozenPass(self._names, leaves, self._held, counts, self._moved), leaves).detach()

    def gradients(self, direction: Float[torch.Tensor, "batch dim"]) -> tuple[torch.Tensor, ...]:
        """The factor of each number of each input in the score along a direction; zero where it is not read."""
        if not self._output.requires_grad:
            return tuple(torch.zeros_like(x) for x in self._inputs)
        score = (self._output * direction).sum()
        found = torch.autograd.grad(score, self._inputs, retain_graph=True, allow_unused=True)
        return tuple(
            torch.zeros_like(x) if g is None else g for x, g in zip(self._inputs, found, strict=True)
        )

    def constants(
        self, direction: Float[torch.Tensor, "batch dim"], which: bool | Constants = True
    ) -> np.ndarray:
        """The share of all constants or of some of them, ``[B]``: the map at zero inputs."""
        at_zero = self(*(torch.zeros_like(x) for x in self._inputs), constants=which)
        return (at_zero * direction).sum(dim=1).double().cpu().numpy()

    def shares(self, direction: Float[torch.Tensor, "batch dim"]) -> InputShares:
        """The score along a direction, split."""
        score = (self._plain * direction).sum(dim=1).detach().double().cpu().numpy()
        products = [
            (x * g).detach().double().cpu().numpy()
            for x, g in zip(self._inputs, self.gradients(direction), strict=True)
        ]
        constants = self.constants(direction)
        explained, size = constants.copy(), np.abs(constants)
        for product in products:
            of_rows = product.sum(axis=-1).reshape(len(product), -1)
            explained += of_rows.sum(axis=1)
            size += np.abs(of_rows).sum(axis=1)
        unexplained = score - explained
        residual = np.abs(unexplained) / np.maximum(np.maximum(size, np.abs(score)), np.finfo(float).tiny)
        left = self.reasons(residual)
        return InputShares(score, tuple(products), constants, unexplained, residual, left)

    def reasons(self, residual: Float[np.ndarray, " batch"]) -> tuple[str, ...]:
        """The operations that leave a residual; empty if it is rounding."""
        return (self.left or (_UNSEEN,)) if (residual > UNEXPLAINED_FROM).any() else ()

    def _checked(self, output: torch.Tensor) -> torch.Tensor:
        """The output of the function with nothing held, if it differs."""
        try:
            with torch.no_grad(), InOnePrecision():
                plain = self._function(*(x.detach().clone() for x in self._inputs))
        except Exception:  # it needs what a pass holds, such as gradients
            return output
        is_other = plain.shape != output.shape or (plain - output).abs().max() > _CLOSE * output.abs().max()
        return plain.to(output) if plain.shape == output.shape and is_other else output

    def _moved_constants(self, constants: Sequence[torch.Tensor]) -> tuple[int, ...]:
        """Which constants are others at other inputs: made of numbers that left torch on their way."""
        others = [_far_from(x) for x in self._inputs], [x.detach() * (1 + 1e-3) for x in self._inputs]
        for inputs in others:  # far away, code may take another branch, whose constants are not these
            run = FrozenPass(self._names, [x.requires_grad_() for x in inputs])
            with suppress(Exception):
                self._run(run, inputs)
            if len(run.constants) == len(constants):
                pairs = enumerate(zip(constants, run.constants, strict=True))
                return tuple(i for i, (here, there) in pairs if not _is_same(here, there))
        return ()

    def _run(self, run: FrozenPass, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        with torch.enable_grad(), run:
            output = self._function(*(x.clone() for x in inputs))  # a copy, which may be changed in place
        if isinstance(output, torch.Tensor) and not output.requires_grad:
            output = run.constant(output, output)  # or held as a whole, which stays unexplained
        if not isinstance(output, torch.Tensor) or output.ndim != 2 or len(output) != len(inputs[0]):
            shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise ShapeError(
                f"shares need a function that returns one vector for each image, [{len(inputs[0])}, D]: got {shape}"
            )
        return output


def _far_from(x: torch.Tensor) -> torch.Tensor:
    """Another input of that size, always the same one."""
    drawn = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(x)
    return x.detach().mean() + drawn * x.detach().std(correction=0).clamp(min=1e-3)


def _is_same(here: torch.Tensor, there: torch.Tensor) -> bool:
    return here.shape == there.shape and torch.allclose(here, there, rtol=1e-6, atol=0, equal_nan=True)


def _names(module: torch.nn.Module) -> dict[int, str]:
    """Storage address of each parameter and buffer -> its name."""
    named = (*module.named_parameters(), *module.named_buffers())
    return {tensor.untyped_storage().data_ptr(): name for name, tensor in named}
