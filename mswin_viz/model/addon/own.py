"""A module of the user's own behind a tower: what it reads, what it gives, and where it comes from."""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import nn

from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["Addon", "as_addon", "imported_addon", "is_import"]

Window = int | tuple[int, int]
_IMPORT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class Addon(nn.Module):
    """Any module as an add-on: from patch tokens ``[B, N, D]``, and the CLS token ``[B, D]`` if it takes two, to a vector.

    Weights, keys of the state dict and device are the module's own.

    Parameters
    ----------
    module
        Called as ``module(patches)``, or as ``module(patches, cls)`` if its ``forward`` has two arguments without a
        default. It treats the images of a batch one by one.
    combine
        ``"add"``: its vector ``[B, D]`` is added to the CLS token; ``"concatenate"``: its vector, of any width, stands
        behind it. By default the module's attribute ``combine``, else ``"add"``.
    windows
        Windows that its maps are summed over at first: scales (tokens in a run), or ``(rows, columns)`` of tiles. By
        default the module's attribute ``windows`` where that is such a sequence, else none.

    Attributes
    ----------
    feat_dim
        Width of the tokens; None until a model takes it.
    out_dim
        Width of its vector; None until then.

    Raises
    ------
    OptionError
        If it is no module, or ``combine`` or a window is something else.
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
                f"an add-on is a torch.nn.Module: got {module!r:.80}; make an object of the class, such as MyModule(512)"
            )
        self.module = module
        self.combine = combine or getattr(module, "combine", "add")
        if self.combine not in ("add", "concatenate"):
            raise OptionError(f'combine must be "add" or "concatenate": got {self.combine!r}')
        self.geometries = _checked_windows(
            getattr(module, "windows", ()) if windows is None else windows, windows
        )
        self.reads_cls = _n_arguments(module) >= 2
        self.feat_dim: int | None = getattr(module, "feat_dim", None)
        self.out_dim: int | None = None

    def forward(
        self,
        patches: Float[torch.Tensor, "batch token dim"],
        cls: Float[torch.Tensor, "batch dim"] | None = None,
    ) -> Float[torch.Tensor, "batch wide"]:
        """The module's vector."""
        return self.module(patches, cls) if self.reads_cls else self.module(patches)

    def activations(
        self, patches: Float[torch.Tensor, "batch token dim"]
    ) -> Float[torch.Tensor, "batch token wide"] | None:
        """What the module says of each token, ``module.activations(patches)``; None where it says nothing."""
        tell = getattr(self.module, "activations", None)
        return cast("torch.Tensor", tell(patches)) if callable(tell) else None

    def fitted(self, dim: int, n_tokens: int) -> Addon:
        """This add-on, once it has run on tokens of a model: width and count of the tokens as they are there.

        Raises
        ------
        OptionError
            If the module fails on them, or does not give one vector an image, of width ``dim`` if it is added.
        """
        reference = next(self.module.parameters(), torch.empty(0))
        patches = torch.zeros(2, n_tokens, dim, device=reference.device, dtype=reference.dtype)
        was_training = self.training
        try:
            with torch.no_grad():
                vector = self.eval()(patches, patches[:, 0])
        except Exception as problem:
            raise OptionError(
                f"an add-on takes patch tokens [B, {n_tokens}, {dim}]{' and CLS tokens' if self.reads_cls else ''}: "
                f"{self.words} failed on them with {type(problem).__name__}: {problem}"
            ) from problem
        finally:
            self.train(was_training)
        shape = tuple(vector.shape) if isinstance(vector, torch.Tensor) else type(vector).__name__
        if not isinstance(vector, torch.Tensor) or vector.ndim != 2 or len(vector) != 2:
            raise OptionError(
                f"an add-on gives one vector an image, [B, {dim}]: {self.words} gave {shape} for 2 images"
            )
        if self.combine == "add" and vector.shape[1] != dim:
            raise OptionError(
                f"what is added to the CLS token is as wide as it is, {dim}: {self.words} gave {vector.shape[1]}; "
                'mswin_viz.Addon(module, combine="concatenate") puts it behind the CLS token'
            )
        self.feat_dim, self.out_dim = dim, vector.shape[1]
        return self

    @property
    def scales(self) -> tuple[int, ...]:
        """No scale of its own has a slot."""
        return ()

    @property
    def words(self) -> str:
        """Class and module of the code."""
        kind = type(self.module)
        return f"{kind.__module__}.{kind.__qualname__}"

    @property
    def description(self) -> str:
        """Class, file of the code, number of parameters, and how its vector is used."""
        try:
            file = inspect.getsourcefile(type(self.module)) or "no file"
        except TypeError:
            file = "no file"
        n_weights = sum(weight.numel() for weight in self.module.parameters())
        how = "added to" if self.combine == "add" else f"{self.out_dim} wide, behind"
        return f"{self.words} ({file}), {n_weights:,} parameters, {how} the CLS"


def as_addon(module: nn.Module) -> Any:
    """A module as it is if it is one of the package's or wrapped already, else wrapped."""
    is_known = isinstance(module, Addon) or hasattr(module, "window_parts")
    return cast("Any", module if is_known else Addon(module))


def is_import(name: object) -> bool:
    """Whether it names code, ``"package.module:Name"``, and no file of that name exists."""
    return isinstance(name, str) and bool(_IMPORT.fullmatch(name)) and not os.path.exists(name)


def imported_addon(name: str) -> nn.Module:
    """The module that ``"package.module:Name"`` names: a class or function called without arguments, or an object.

    The code of that module runs.

    Raises
    ------
    OptionError
        If it cannot be imported or made, or is no module.
    """
    home, _, member = name.partition(":")
    try:
        made = getattr(importlib.import_module(home), member)
        made = made if isinstance(made, nn.Module) else made()
    except Exception as problem:
        raise OptionError(
            f'an add-on of yours is named "package.module:Name", importable from here and made without arguments: '
            f"{name!r} failed with {type(problem).__name__}: {problem}; or pass the module itself, addon=MyModule(512)"
        ) from problem
    return made if isinstance(made, nn.Module) else Addon(made)


def _n_arguments(module: nn.Module) -> int:
    """How many arguments ``forward`` must be given."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return 1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters)


def _checked_windows(given: object, asked: object) -> tuple[Window, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        if asked is None:
            return ()
        given = (given,)
    checked = []
    for window in given:
        sides = tuple(window) if isinstance(window, (tuple, list)) else (window,)
        is_whole = all(isinstance(side, int) and not isinstance(side, bool) and side >= 1 for side in sides)
        if not is_whole or len(sides) not in (1, 2):
            raise OptionError(f"windows are scales, such as 8, or tiles, such as (4, 4): got {window!r}")
        checked.append(sides[0] if len(sides) == 1 else (sides[0], sides[1]))
    return tuple(checked)
