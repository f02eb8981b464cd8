"""What an attribution explains: one number computed from the plain or the enhanced CLS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mswin_viz.analysis.arrays import finite_vectors, known_numbers, real_numbers, unit_rows
from mswin_viz.analysis.attribution.target_prompts import check_prompt, listed_prompts
from mswin_viz.analysis.shares.decomposition import direction_of_images
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.tokens.enhanced import enhanced_width, shift
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

FEATURES = ("plain", "enhanced")
"""The CLS as CLIP gives it, or with the add-on's vector added."""
_LARGEST = 1e30


@dataclass(frozen=True, eq=False)
class Target:
    """One score of an image. Made by :meth:`direction`, :meth:`text`, :meth:`image`, :meth:`norm`, :meth:`shift` or
    :meth:`identity`, each for ``feature="enhanced"`` or ``"plain"``.

    Attributes
    ----------
    kind
        ``"direction"``: ``v . f``; ``"cosine"``: ``v . f / (|v| |f|)``; ``"norm"``: ``|f|``; ``"shift"``: ``|enhanced - plain|``.
    words
        The target in words.
    feature
        Which CLS feature f is.
    vector
        v, ``[D]`` or one for each image ``[B, D]``; None where the kind has none or a prompt gives it.
    prompt
        The text whose feature is v, or one text for each image.

    Raises
    ------
    OptionError
        If there is no such feature, or the kind needs a vector that is missing or zero.
    ShapeError
        If the vector is not ``[D]`` or ``[B, D]``, not finite, or too large for float32.

    Examples
    --------
    >>> text = mv.Target.text("a person wearing a red top")
    >>> [target.kind for target in (text, mv.Target.image(tokens.cls[1]), mv.Target.shift())]
    ['cosine', 'cosine', 'shift']
    >>> text.words
    'the text “a person wearing a red top”'
    >>> tuple(text.directions(model, n_images=4).shape)  # one direction for each of four images
    (4, 512)
    """

    kind: str
    words: str
    feature: str = "enhanced"
    vector: Float[np.ndarray, "*batch dim"] | None = None
    prompt: str | tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.feature not in FEATURES:
            raise OptionError(f"a target's feature is one of {', '.join(FEATURES)}: got {self.feature!r}")
        if self.vector is None and (self.prompt is not None or self.kind not in ("direction", "cosine")):
            return
        vector = _checked_vector(self.vector)
        object.__setattr__(self, "vector", vector)
        if self.kind == "cosine" and not np.linalg.norm(vector, axis=-1).all():
            raise OptionError(
                "a cosine needs vectors of non-zero norm: got a zero vector; choose another target"
            )

    @staticmethod
    def direction(v: Float[np.ndarray, "*batch dim"] | torch.Tensor, *, feature: str = "enhanced") -> Target:
        """The score v . f along a fixed direction, ``[D]`` or ``[B, D]``.

        Raises
        ------
        ShapeError
            If the direction has another shape or is not finite.
        """
        return Target("direction", "a fixed direction", feature, _checked_vector(v))

    @staticmethod
    def text(prompt: str | Sequence[str], *, feature: str = "enhanced") -> Target:
        """The cosine with a prompt's feature; several prompts are one for each image, in the images' order.

        Raises
        ------
        PromptError
            If there is no prompt, or one is not a text or is empty.
        """
        if isinstance(prompt, str):
            check_prompt(prompt)
            return Target("cosine", f"the text “{prompt}”", feature, prompt=str(prompt))
        prompts = listed_prompts(prompt)
        words = "; ".join(f"image {number}: “{one}”" for number, one in enumerate(prompts, 1))
        return Target("cosine", f"one text for each image ({words})", feature, prompt=prompts)

    @staticmethod
    def image(image: Float[np.ndarray, "*batch dim"] | torch.Tensor, *, feature: str = "enhanced") -> Target:
        """The cosine with another image's feature, ``[D]`` or ``[B, D]``: how similar the two are.

        Raises
        ------
        ShapeError
            If the feature has another shape or is not finite.
        OptionError
            If it is zero.
        """
        return Target("cosine", "another image's feature", feature, _checked_vector(image))

    @staticmethod
    def norm(*, feature: str = "enhanced") -> Target:
        """The norm of the feature."""
        return Target("norm", f"the norm of the {feature} CLS", feature)

    @staticmethod
    def shift(*, feature: str = "enhanced") -> Target:
        """The norm of what the add-on adds, ``|enhanced - plain|``.

        Raises
        ------
        OptionError
            For ``feature="plain"``, which nothing is added to.
        """
        if feature != "enhanced":
            raise OptionError('the shift leads to the enhanced CLS: got feature="plain"; leave feature out')
        return Target("shift", "the norm of the add-on's shift", feature)

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
        OptionError
            If the gallery is missing, or does not hold the identity.
        ShapeError
            If features and pids do not fit each other, or a feature of the identity is not finite or has no length.

        Examples
        --------
        >>> pids = [sample.pid for sample in samples[:4]]
        >>> mv.Target.identity(1, tokens.cls, pids).words
        'identity 1, mean of 4 gallery images'
        """
        if features is None or pids is None:
            raise OptionError(
                f"an identity needs its gallery images: got k={k} alone; pass their features [n, D] and pids "
                "(a model holds no classifier)"
            )
        known, gallery = known_numbers(pids, "pids"), real_numbers(features, "a gallery's features")
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 0:
            raise OptionError(
                f"an identity is a number of the gallery, 0 or above (below 0 stands for unknown): got {k!r}"
            )
        if gallery.ndim != 2 or known.shape != gallery.shape[:1]:
            raise ShapeError(
                f"a gallery has one pid for each feature [n, D]: got features {gallery.shape} and pids {known.shape}"
            )
        images = gallery[known == k]
        if len(images) == 0:
            n_known = len(np.unique(known[known >= 0]))
            raise OptionError(
                f"the gallery must hold the identity: got {k}, none of its {counted(n_known, 'identities')}"
            )
        centre = unit_rows(images, f"identity {k}").mean(axis=0)
        return Target(
            "cosine", f"identity {k}, mean of {counted(len(images), 'gallery images')}", feature, centre
        )

    def of_images(self, rows: slice) -> Target:
        """The target of some of the images: their own vectors and prompts, where each image has its own."""
        vector, prompt = self.vector, self.prompt
        return replace(
            self,
            vector=vector[rows] if vector is not None and vector.ndim == 2 else vector,
            prompt=prompt[rows] if isinstance(prompt, tuple) else prompt,
        )

    def resolved(self, model: Model) -> Target:
        """The same target with a prompt's feature looked up, so that no text tower is needed from here on."""
        if self.prompt is None or self.vector is not None:
            return self
        prompts = [self.prompt] if isinstance(self.prompt, str) else list(self.prompt)
        features = model.encode_text(prompts)
        vector = features[0] if isinstance(self.prompt, str) else features
        return replace(self, vector=_checked_vector(vector))

    def directions(self, model: Model, n_images: int) -> Float[torch.Tensor, "batch wide"]:
        """v of each image, float32 on the model's device: unit length for a cosine, zero where unused.

        As wide as the target's feature: a vector of the CLS token's width is zero along what an add-on put behind it.

        Raises
        ------
        ShapeError
            If the vector does not fit the model or the number of images.
        """
        if isinstance(self.prompt, tuple) and len(self.prompt) != n_images:
            raise ShapeError(
                f"a list of prompts needs one for each image: got {counted(len(self.prompt), 'prompts')} for {counted(n_images, 'images')}; "
                "give one prompt as a text, not a list, to score all images with it"
            )
        width = enhanced_width(model.addon, model.dim) if self.feature == "enhanced" else model.dim
        vector = self.resolved(model).vector
        if vector is None:
            return torch.zeros((n_images, width), device=model.device)
        if self.kind == "cosine":
            vector = vector / np.linalg.norm(vector, axis=-1, keepdims=True)
        each = direction_of_images(vector, n_images, model.dim, width)
        return torch.from_numpy(np.ascontiguousarray(each, dtype=np.float32)).to(model.device)

    def score(
        self,
        plain: Tokens,
        enhanced: Tokens,
        directions: Float[torch.Tensor, "batch wide"],
        norm: Float[torch.Tensor, " batch"] | None = None,
    ) -> Float[torch.Tensor, " batch"]:
        """The score, differentiable; a cosine is divided by ``norm`` if given, else by the feature's norm."""
        feature = (enhanced if self.feature == "enhanced" else plain).cls
        if self.kind == "shift":
            return torch.linalg.vector_norm(shift(plain, enhanced), dim=1)
        if self.kind == "norm":
            return torch.linalg.vector_norm(feature, dim=1)
        dots = (feature * directions).sum(dim=1)
        if self.kind == "direction":
            return dots
        return dots / (torch.linalg.vector_norm(feature, dim=1) if norm is None else norm)


def as_target(target: Target) -> Target:
    """The target, checked to be one."""
    if isinstance(target, Target):
        return target
    kind = "text" if _is_text(target) else "image" if isinstance(target, (np.ndarray, torch.Tensor)) else ""
    advice = {
        "text": "make one of a prompt with mv.Target.text(prompt)",
        "image": "make one of a feature with mv.Target.image(feature), of a direction with mv.Target.direction(v)",
        "": "make one with mv.Target.text(prompt), .image(feature), .direction(v), .norm(), .shift() or .identity(...)",
    }[kind]
    shown = f" {target!r:.60}" if kind == "text" else ""
    raise OptionError(f"a target must be a mv.Target: got {type(target).__name__}{shown}; {advice}")


def _checked_vector(vector: Float[np.ndarray, "*batch dim"] | torch.Tensor | None) -> np.ndarray:
    if vector is None:
        raise OptionError(
            "a direction or cosine needs a vector: got None; pass the feature or direction, [D] or [B, D]"
        )
    vector = finite_vectors(vector, "a target's vector")
    vector.setflags(write=False)
    if (largest := np.abs(vector).max()) > _LARGEST:
        raise ShapeError(
            f"a target's vector must be at most {_LARGEST:g} in size, or scores overflow in float32: got "
            f"{largest:g}; divide the vector by its norm"
        )
    return vector


def _is_text(target: Any) -> bool:
    several = isinstance(target, (list, tuple)) or (isinstance(target, np.ndarray) and target.ndim == 1)
    return isinstance(target, str) or (several and any(isinstance(one, str) for one in target))
