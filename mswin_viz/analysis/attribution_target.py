"""What an attribution explains: one number computed from the plain or the enhanced CLS feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.backbone import Model
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["FEATURES", "Target"]

FEATURES = ("enhanced", "plain")
"""The CLS with the add-on's vector added, or as CLIP gives it."""


@dataclass(frozen=True, eq=False)
class Target:
    """One score of an image. Made by :meth:`direction`, :meth:`text`, :meth:`image`, :meth:`norm`,
    :meth:`shift` or :meth:`identity`, each for ``feature="enhanced"`` or ``"plain"``.

    Attributes
    ----------
    kind
        ``"direction"``: v . f; ``"cosine"``: v . f / (|v| |f|); ``"norm"``: |f|; ``"shift"``: |enhanced - plain|.
    words
        The target in words.
    feature
        Which CLS feature f is.
    vector
        v, ``[D]`` or one for each image ``[B, D]``; None where the kind has none or a prompt gives it.
    prompt
        The text whose feature is v.
    """

    kind: str
    words: str
    feature: str = "enhanced"
    vector: Float[np.ndarray, "*batch dim"] | None = None
    prompt: str | None = None

    def __post_init__(self) -> None:
        if self.feature not in FEATURES:
            raise OptionError(f"a target's feature is one of {', '.join(FEATURES)}: got {self.feature!r}")
        if (
            self.kind == "cosine"
            and self.vector is not None
            and not np.linalg.norm(self.vector, axis=-1).all()
        ):
            raise OptionError(
                "a cosine needs vectors of some length: got a zero vector; choose another target"
            )

    @staticmethod
    def direction(v: Float[np.ndarray, "*batch dim"] | torch.Tensor, *, feature: str = "enhanced") -> Target:
        """The score v . f along a fixed direction, ``[D]`` or ``[B, D]``."""
        return Target("direction", "a fixed direction", feature, _array(v))

    @staticmethod
    def text(prompt: str, *, feature: str = "enhanced") -> Target:
        """The cosine with a prompt's feature."""
        return Target("cosine", f"the text “{prompt}”", feature, prompt=prompt)

    @staticmethod
    def image(image: Float[np.ndarray, "*batch dim"] | torch.Tensor, *, feature: str = "enhanced") -> Target:
        """The cosine with another image's feature, ``[D]`` or ``[B, D]``: how similar the two are."""
        return Target("cosine", "another image's feature", feature, _array(image))

    @staticmethod
    def norm(*, feature: str = "enhanced") -> Target:
        """The length of the feature."""
        return Target("norm", f"the length of the {feature} CLS", feature)

    @staticmethod
    def shift(*, feature: str = "enhanced") -> Target:
        """The length of what the add-on adds, |enhanced - plain|.

        Raises
        ------
        OptionError
            For ``feature="plain"``, which nothing is added to.
        """
        if feature != "enhanced":
            raise OptionError('a shift is what makes the CLS enhanced: got feature="plain"; leave it out')
        return Target("shift", "the length of the add-on's shift", feature)

    @staticmethod
    def identity(
        k: int,
        features: Float[np.ndarray, "image dim"] | torch.Tensor | None = None,
        pids: Sequence[int] | None = None,
        *,
        feature: str = "enhanced",
    ) -> Target:
        """The cosine with identity ``k``: the mean of the unit features that a gallery holds of it.

        Parameters
        ----------
        k
            An identity in ``pids``.
        features, pids
            The gallery's features ``[n, D]``, and whose they are; a model holds no classifier that could stand in
            for them.

        Raises
        ------
        ShapeError, OptionError
            If the gallery is missing, does not fit itself, or does not hold the identity.
        """
        if features is None or pids is None:
            raise OptionError(
                f"an identity is known by its gallery images: got k={k} alone; give their features [n, D] and pids "
                "(a model holds no classifier)"
            )
        known, gallery = np.asarray(pids), _array(features)
        if gallery.ndim != 2 or known.shape != gallery.shape[:1]:
            raise ShapeError(
                f"a gallery has one pid for each feature [n, D]: got features {gallery.shape} and pids {known.shape}"
            )
        own = gallery[known == k]
        if len(own) == 0:
            raise OptionError(
                f"an identity is one in the gallery ({len(set(known.tolist()))} of them): got {k}"
            )
        centre = (own / np.linalg.norm(own, axis=1, keepdims=True)).mean(axis=0)
        return Target("cosine", f"identity {k}, mean of {len(own)} gallery images", feature, centre)

    def resolved(self, model: Model) -> Target:
        """The same target with a prompt's feature looked up, so that no text tower is needed from here on."""
        if self.prompt is None or self.vector is not None:
            return self
        vector = model.encode_text(self.prompt)[0].double().cpu().numpy()
        return Target(self.kind, self.words, self.feature, vector, self.prompt)

    def directions(self, model: Model, n_images: int) -> Float[torch.Tensor, "batch dim"]:
        """v of each image, float32 on the model's device: unit length for a cosine, zero where unused.

        Raises
        ------
        ShapeError
            If the vector does not fit the model or the number of images.
        """
        shape, vector = (n_images, model.dim), self.resolved(model).vector
        if vector is None:
            return torch.zeros(shape, device=model.device)
        if vector.shape not in (shape, shape[1:]):
            raise ShapeError(
                f"a target's vector is [D] or [B, D], here {shape[1:]} or {shape}: got {vector.shape}"
            )
        if self.kind == "cosine":
            vector = vector / np.linalg.norm(vector, axis=-1, keepdims=True)
        each = np.ascontiguousarray(np.broadcast_to(vector, shape), dtype=np.float32)
        return torch.from_numpy(each).to(model.device)

    def score(
        self,
        plain: Tokens,
        enhanced: Tokens,
        directions: Float[torch.Tensor, "batch dim"],
        norm: Float[torch.Tensor, " batch"] | None = None,
    ) -> Float[torch.Tensor, " batch"]:
        """The score, differentiable; a cosine is divided by ``norm`` if given, else by the feature's own length."""
        feature = (enhanced if self.feature == "enhanced" else plain).cls
        if self.kind == "shift":
            return torch.linalg.vector_norm(enhanced.cls - plain.cls, dim=1)
        if self.kind == "norm":
            return torch.linalg.vector_norm(feature, dim=1)
        dots = (feature * directions).sum(dim=1)
        if self.kind == "direction":
            return dots
        return dots / (torch.linalg.vector_norm(feature, dim=1) if norm is None else norm)


def _array(values: np.ndarray | torch.Tensor) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().double().cpu().numpy()
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array
