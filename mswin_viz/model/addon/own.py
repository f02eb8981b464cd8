"""A user's module behind a tower: what it reads, what it returns, and where it comes from."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, cast

import torch
from torch import nn

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, WeightsError
from mswin_viz.model.addon.given import asks_for_cls, bare_module, copied
from mswin_viz.model.addon.imported import is_import, is_there, made_addon

if TYPE_CHECKING:
    from jaxtyping import Float

Window = int | tuple[int, int]
AddonSource = nn.Module | str | Callable[[], nn.Module]
"""A module, the name of code that makes one (``"package.module:Name"``), or a class or function called without arguments."""
_PASSED = "as passed"
_CLOSE = 1e-3  # relative, of a vector's largest value: float32, and float16 on a GPU


class Addon(nn.Module):
    """Any module as an add-on: it maps patch tokens ``[B, N, D]``, and the CLS token ``[B, D]`` if it asks for it, to a vector.

    Weights, state dict and device are the module's own.

    Parameters
    ----------
    module
        Called as ``module(patches)``, or as ``module(patches, cls)`` if its ``forward`` has two arguments without a
        default. The vector of an image must not depend on the rest of the batch. DataParallel and ``torch.compile``
        wrappers are removed.
    combine
        ``"add"``: its vector ``[B, D]`` is added to the CLS token; ``"concatenate"``: its vector, of any width, is
        appended to the CLS token. By default the module's attribute ``combine``, else ``"add"``.
    windows
        Windows over which the explorers first sum its shares: scales (tokens in a run), or ``(rows, columns)`` of tiles.
        By default the module's attribute ``windows`` if that is such a sequence, else none.

    Attributes
    ----------
    feat_dim, out_dim
        Width of the tokens, and of its vector; None until the add-on is loaded into a model.
    weights
        Where its weights come from, in words.

    Raises
    ------
    OptionError
        If it is not an eager module, its ``forward`` needs more arguments, or ``combine`` or a window is invalid.

    Examples
    --------
    >>> module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(128 * 512, 8))  # any of yours
    >>> mine = mv.load_model(addon=mv.Addon(module, combine="concatenate"))
    >>> tuple(mine.enhance(tokens).cls.shape), mine.addon.out_dim
    ((4, 520), 8)
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        combine: Literal["add", "concatenate"] | None = None,
        windows: Sequence[Window] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise OptionError(
                f"an add-on must be a torch.nn.Module: got {module!r:.80}; pass an instance, such as MyModule(512)"
            )
        self.module = module = bare_module(module)
        its_own = getattr(module, "combine", None)
        self.combine = combine if combine is not None else its_own if isinstance(its_own, str) else "add"
        if self.combine not in ("add", "concatenate"):
            raise OptionError(
                f'combine must be "add" or "concatenate": got {self.combine!r}; choose one, or rename the '
                "module's attribute combine"
            )
        self.geometries = _checked_windows(getattr(module, "windows", ()) if windows is None else windows)
        self.weights = _PASSED
        self.reads_cls = asks_for_cls(module)
        self.feat_dim: int | None = getattr(module, "feat_dim", None)
        self.out_dim: int | None = None

    def forward(
        self,
        patches: Float[torch.Tensor, "batch token dim"],
        cls: Float[torch.Tensor, "batch dim"] | None = None,
    ) -> Float[torch.Tensor, "batch wide"]:
        """The module's vector."""
        return self._given(patches, cls)

    def _given(self, patches: torch.Tensor, cls: torch.Tensor | None) -> Any:
        """What the module returns for copies of the tokens, which it may change in place."""
        return self.module(*(x.clone() for x in (patches, cls)[: 1 + self.reads_cls] if x is not None))

    def activations(self, patches: Float[torch.Tensor, "batch token dim"]) -> Any:
        """What the module says of each token, ``module.activations(patches)``; None if it has no such method.

        It is to be ``[batch, token, wide]``, which is checked where windows show it: ``window_activations``.
        """
        tell = getattr(self.module, "activations", None)
        return tell(patches.clone()) if callable(tell) else None

    @property
    def n_behind(self) -> int:
        """How many numbers it appends to the CLS token; 0 where its vector is added."""
        return (self.out_dim or 0) if self.combine == "concatenate" else 0

    def fitted(self, dim: int, n_tokens: int) -> Addon:
        """This add-on, after a trial run on random tokens of a model's width and number.

        Raises
        ------
        OptionError
            If the module fails on them, does not return one finite vector for each image, of width ``dim`` if it is
            added, or if an image's vector changes with the rest of the batch.
        """
        reference = next((w for w in self.module.parameters() if w.is_floating_point()), torch.empty(0))
        drawn = torch.randn(2, n_tokens + 1, dim, generator=torch.Generator().manual_seed(0)).to(reference)
        if drawn.is_meta:
            raise OptionError(
                f"an add-on needs weights with values: {self.words} is on torch's meta device; load its weights first"
            )
        vectors = self._tried(drawn)
        if self.combine == "add" and vectors.shape[1] != dim:
            raise OptionError(
                f"a vector that is added to the CLS token must have its width, {dim}: {self.words} returned width "
                f'{vectors.shape[1]}; mswin_viz.Addon(module, combine="concatenate") appends a vector of any width'
            )
        if not bool(vectors.isfinite().all()):
            raise OptionError(
                f"an add-on must return finite numbers: {self.words} returned NaN or infinity; check its weights"
            )
        alone = self._tried(drawn[1:])
        close = max(_CLOSE, 16 * torch.finfo(vectors.dtype).eps)
        if (alone[0] - vectors[1]).abs().max() > close * vectors.abs().max():
            raise OptionError(
                f"an image's vector must not depend on the rest of the batch, or on chance: that of {self.words} changed "
                "when the image ran alone; reduce over tokens (dim=1), not over the batch (dim=0), and draw no random "
                "numbers in eval()"
            )
        self.feat_dim, self.out_dim = dim, vectors.shape[1]
        return self

    def _tried(self, tokens: Float[torch.Tensor, "batch token dim"]) -> Float[torch.Tensor, "batch wide"]:
        """Its vectors of some images, CLS tokens first; OptionError if it fails, or they are no vectors."""
        n_images, n_patches, dim = len(tokens), tokens.shape[1] - 1, tokens.shape[2]
        was_training = self.training
        try:
            with torch.no_grad():
                vectors = self.eval()._given(tokens[:, 1:], tokens[:, 0])
        except Exception as problem:
            raise OptionError(
                f"an add-on must accept patch tokens [B, {n_patches}, {dim}]{' and CLS tokens' if self.reads_cls else ''}: "
                f"{self.words} failed with {type(problem).__name__}: {problem}; build it for {counted(n_patches, 'tokens')} of width {dim}"
            ) from problem
        finally:
            self.train(was_training)
        shape = tuple(vectors.shape) if isinstance(vectors, torch.Tensor) else type(vectors).__name__
        is_dense = isinstance(vectors, torch.Tensor) and vectors.layout == torch.strided
        if is_dense and not vectors.is_floating_point():
            raise OptionError(
                f"an add-on gives real numbers: {self.words} gave {str(vectors.dtype).removeprefix('torch.')}; "
                "return out.float(), of complex numbers their parts, torch.view_as_real(out).flatten(1)"
            )
        if not is_dense or vectors.ndim != 2 or len(vectors) != n_images:
            raise OptionError(
                f"an add-on must return one vector for each image, [B, {dim}]: {self.words} returned {shape} for "
                f"{counted(n_images, 'images')}; {_way_out(vectors)}"
            )
        return vectors

    @property
    def scales(self) -> tuple[int, ...]:
        """Empty: it has no slots."""
        return ()

    @property
    def words(self) -> str:
        """Module and class of the code."""
        kind = type(self.module)
        return f"{kind.__module__}.{kind.__qualname__}"

    @property
    def description(self) -> str:
        """Class, source file, number of parameters, where they come from, and how its vector is combined."""
        try:
            file = _from_here(inspect.getsourcefile(type(self.module)) or "no file")
        except (TypeError, OSError):  # a class of no file, a current folder that is gone
            file = "no file"
        n_weights = sum(weight.numel() for weight in self.module.parameters())
        how = "added to" if self.combine == "add" else f"{self.out_dim} numbers appended to"
        weights = f" {self.weights}" if n_weights else ""
        return f"{self.words} ({file}), {counted(n_weights, 'parameters')}{weights}, {how} the CLS"


def as_addon(module: nn.Module) -> Any:
    """The module itself if it is one of the package's or already wrapped, else the module in an :class:`Addon`."""
    module = bare_module(module)
    is_known = isinstance(module, Addon) or hasattr(module, "window_parts")
    return cast("Any", module if is_known else Addon(module))


def prepared_addon(source: AddonSource, dim: int, n_tokens: int, *, seed: int | None = None) -> Any:
    """A float32 copy of the module that is passed, built or imported, checked against a model's tokens.

    With a seed, the initial weights that a class, a function or an import draws follow from it; the global generator is
    left as it was.

    Raises
    ------
    OptionError
        If it cannot be imported, built or copied, is not a module, or does not fit (see :meth:`Addon.fitted`).
    WeightsError
        If it is one of the package's add-ons and has another width.
    """
    with nullcontext() if seed is None else torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        made = source if isinstance(source, nn.Module) else made_addon(source)
        module = _own_copy(as_addon(made), is_given=made is source or is_there(source, made)).float()
        if not isinstance(module, Addon):
            return checked_width(module, dim)
        if module.weights == _PASSED and made is not source:
            module.weights = f"as made by {source if isinstance(source, str) else module.words}"
        return module.fitted(dim, n_tokens)


def _own_copy(module: nn.Module, *, is_given: bool) -> nn.Module:
    """A copy; the module itself if it was built just now and cannot be copied."""
    try:
        return copied(module)
    except OptionError:
        if is_given:
            raise
        return module


def checked_width(module: Any, dim: int) -> Any:
    """The same add-on, one of the package's; WeightsError if it reads tokens of another width."""
    if module.feat_dim != dim:
        raise WeightsError(
            f"an add-on must have the tower's width: the add-on reads {module.feat_dim}, the tower gives {dim}; "
            'pass another, or addon="mean"'
        )
    return module


def is_addon_source(value: object) -> TypeGuard[AddonSource]:
    """Whether it is a module, a class or function that builds one, or the name of code; not a path."""
    return isinstance(value, nn.Module) or is_import(value) or callable(value)


def _from_here(file: str) -> str:
    """The path of a file, relative to the current folder if it is inside it."""
    folder = os.path.join(os.getcwd(), "")
    return file if folder == os.sep else file.removeprefix(folder)


def _way_out(given: Any) -> str:
    """How to turn what a module returned into one vector for each image."""
    if isinstance(given, (tuple, list, dict)):
        return "return the vector alone, such as out[0]"
    if isinstance(given, torch.Tensor) and given.ndim == 3:
        return (
            "return out.squeeze(1)"
            if given.shape[1] == 1
            else "pool over the tokens, such as out.mean(dim=1)"
        )
    if isinstance(given, torch.Tensor) and given.layout != torch.strided:
        return "return out.to_dense()"
    return "return a tensor [B, D], for a single image too"


def _checked_windows(given: object) -> tuple[Window, ...]:
    """Scales and tiles; none if an attribute of that name holds something other than numbers."""
    if isinstance(given, int) and not isinstance(given, bool):
        given = (given,)
    if not isinstance(given, Sequence) or isinstance(given, str):
        return ()
    checked = []
    for window in given:
        sides = tuple(window) if isinstance(window, (tuple, list)) else (window,)
        is_whole = all(isinstance(side, int) and not isinstance(side, bool) and side >= 1 for side in sides)
        if not is_whole or len(sides) not in (1, 2):
            raise OptionError(
                f"windows must be scales, such as 8, or tiles, such as (4, 4): got {window!r}; if the module's attribute "
                "windows means something else, mswin_viz.Addon(module, windows=()) ignores it"
            )
        checked.append(sides[0] if len(sides) == 1 else (sides[0], sides[1]))
    return tuple(checked)
