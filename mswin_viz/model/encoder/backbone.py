"""Any open_clip image tower with a CLS feature -> projected CLS and patch tokens."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import open_clip
import torch
from PIL import Image

from mswin_viz.data.images.image_lists import listed_images
from mswin_viz.data.images.image_source import ImageSource
from mswin_viz.data.images.picture_facts import PictureFacts, warn_of
from mswin_viz.data.progress import progress_bar
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.own import Addon
from mswin_viz.model.encoder import preprocessing
from mswin_viz.model.encoder.hooks import outputs_of
from mswin_viz.model.encoder.image_tags import (
    Cameras,
    Conditions,
    ImageTag,
    Modalities,
    Tags,
    chosen_conditions,
    conditions_of,
    one_each,
)
from mswin_viz.model.encoder.image_tower import ImageTower, image_tower
from mswin_viz.model.encoder.locks import OwnLock
from mswin_viz.model.encoder.precision import autocast, precision_words
from mswin_viz.model.encoder.preprocessing import FittedImage, ModelImages
from mswin_viz.model.encoder.prompts import prompt_ids, unknown_words
from mswin_viz.model.encoder.provenance import metric_of, tower_items
from mswin_viz.model.host.tower import conditions
from mswin_viz.model.tokens.enhanced import enhanced
from mswin_viz.model.tokens.tokens import Tokens, are_tokens
from mswin_viz.model.weights.checkpoints import StoredAddon
from mswin_viz.model.weights.clip_towers import Tower
from mswin_viz.model.weights.load_report import LoadReport

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Real


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A CLIP, the add-on behind it, and the device they run on.

    Attributes
    ----------
    tower
        open_clip's model and what is known of its weights.
    addon
        The multi-scale module; None for plain CLIP.
    addon_origin
        Where the add-on's weights come from, in words.
    device
        Where ``encode`` runs and tokens lie.
    precision
        ``"float32"``, ``"mixed"`` or ``"auto"``, see :meth:`autocast`.

    Examples
    --------
    >>> tokens = model.encode(samples[0].images["RGB"])  # a person in green trousers
    >>> tuple(tokens.cls.shape), tuple(tokens.patches.shape), tokens.grid
    ((1, 512), (1, 128, 512), (16, 8))
    >>> prompts = model.encode_text(["a person in red trousers", "a person in green trousers"])
    >>> int(torch.cosine_similarity(model.enhance(tokens).cls, prompts).argmax())
    1
    """

    tower: Tower
    addon: StoredAddon | Addon | None
    addon_origin: str
    device: torch.device
    precision: str = "auto"
    _lock: OwnLock = field(default_factory=OwnLock)
    _bound: Conditions = field(default=(None, None))

    def __repr__(self) -> str:
        return f"Model({self.provenance})"

    @property
    def clip(self) -> open_clip.CLIP:
        """The untouched open_clip model."""
        return self.tower.clip

    @property
    def visual(self) -> ImageTower:
        """Its image tower."""
        return image_tower(self.clip)

    @property
    def image_size(self) -> tuple[int, int]:
        """Input height and width, pixels."""
        return self.tower.image_size

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patch tokens."""
        return self.visual.grid_size

    @property
    def dim(self) -> int:
        """Width ``D`` of the joint image and text space."""
        return self.visual.proj.shape[1]

    @property
    def metric(self) -> str:
        """How retrieval compares features: ``"cosine"``, or ``"euclidean"`` of raw features as a host may (FEAT_NORM)."""
        return metric_of(self.tower)

    @property
    def provenance_items(self) -> dict[str, str]:
        """Which weights, activation, input and normalisation are in use; name -> words."""
        device = f"{self.device}, {precision_words(self.device, self.precision)}"
        return tower_items(self.tower, addon=self.addon_origin, device=device)

    @property
    def load_report(self) -> LoadReport | None:
        """What became of every key of the weight file; None for weights that were not read from a user's file."""
        return self.tower.report

    @property
    def provenance(self) -> str:
        """:attr:`provenance_items` as one line."""
        return "; ".join(f"{name}: {words}" for name, words in self.provenance_items.items())

    def displayed(self, source: ImageSource) -> Image.Image:
        """The picture as the model sees it, before normalisation; errors as in :meth:`opened`."""
        return preprocessing.fitted(self.tower, source).shown

    def picture_notes(self, facts: Sequence[PictureFacts], *, even_of_one: bool = False) -> tuple[str, ...]:
        """What is worth saying about pictures, with counts: few grey levels; strong distortion, of one only if ``even_of_one``."""
        return preprocessing.notes_on(self.tower, facts, even_of_one=even_of_one)

    def preprocess(self, images: ModelImages) -> Float[torch.Tensor, "batch 3 height width"]:
        """Exactly what :meth:`encode` feeds the tower: resized, scaled and normalised, on the CPU."""
        opened = self.opened(images)
        warn_of(self.picture_notes([image.facts for image in opened]))
        return preprocessing.normalised(self.tower, opened)

    def opened(self, images: ModelImages) -> list[FittedImage]:
        """One or several images as :meth:`displayed` shows them, opened once and taken like files; errors as in :meth:`encode`."""
        sources = listed_images(images)
        return preprocessing.fitted_images(self.tower, sources, first=0 if len(sources) > 1 else None)

    def encode(
        self, images: ModelImages, *, tags: Tags | None = None, camera: Cameras = None,
        modality: Modalities = None, batch_size: int = 32, progress: bool = True,
    ) -> Tokens:  # fmt: skip
        """CLS and patch tokens of images, both through ``ln_post`` and the tower's projection.

        The CLS is open_clip's own ``encode_image``, bit for bit, on the same batch and under the same :meth:`autocast`;
        with a host model whose retrieval looks behind its BatchNorm (NECK_FEAT after), it is that feature. Tokens are float32 on ``device``.

        Parameters
        ----------
        images
            One or several: paths, the content of files, PIL images, arrays or tensors, 8-bit or float of 0..1, ``[H, W, 3]``, grey or with
            transparency, or 16-bit; a list, any iterable, or an array of four axes. Odd ones among several give one warning with counts.
        tags
            What is known of the images, ``ImageTag(modality, camid)``: one for all or one for each; read by weights with a camera embedding,
            or with prompts or heads for each modality.
        camera, modality
            In place of tags. The camera is a row of the weights' camera embedding, counted from 0, or ``"mean"`` for
            images of no known camera, and is refused by weights without one; the modality is ``"RGB"``, ``"NI"`` or
            ``"TI"``. One for all images or one for each.
        batch_size, progress
            Images in one pass, and whether a bar is shown when there is more than one batch.

        Raises
        ------
        ImageFileError, ImageError
            If an image cannot be read, with its place in the list; nothing is encoded in its place.
        OptionError
            If a camera or modality that the weights read is missing or does not exist, or is given twice.

        Examples
        --------
        >>> tuple(model.encode([s.images["TI"] for s in samples[:3]], tags=mv.ImageTag("TI")).patches.shape)
        (3, 128, 512)
        """
        if batch_size < 1:
            raise OptionError(f"batch_size must be at least 1: got {batch_size}; 32 suits most machines")
        sources, facts, parts = listed_images(images), [], []
        given = self.conditions(len(sources), tags=tags, camera=camera, modality=modality)
        starts, is_shown = range(0, len(sources), batch_size), progress and len(sources) > batch_size
        for start in progress_bar(starts, desc="encoding", unit="batch", disable=not is_shown):
            batch = slice(start, start + batch_size)
            first = start if len(sources) > 1 else None
            opened = preprocessing.fitted_images(self.tower, sources[batch], first=first)
            facts += [image.facts for image in opened]
            parts.append(self.encode_fitted(opened, *(tensor[batch] for tensor in given)))
        warn_of(self.picture_notes(facts))
        return Tokens.joined(parts)

    def encode_fitted(self, images: Sequence[FittedImage], *given: Int[torch.Tensor, " batch"]) -> Tokens:
        """Tokens of opened images in one pass, without notes; ``given`` as :meth:`conditions` gives it."""
        return self._encode_batch(preprocessing.normalised(self.tower, images), *given)

    def encode_pixels(
        self, pixels: Real[torch.Tensor, "batch 3 height width"], *given: Int[torch.Tensor, " batch"]
    ) -> Tokens:
        """The same of pictures that are at the input's size already, 0..255; from pinned memory, while the device works."""
        pixels = pixels.to(self.device, non_blocking=True)
        return self._encode_batch(preprocessing.normalised_pixels(self.tower, pixels), *given)

    def encode_options(self, modality: str | None = None, camid: int = -1) -> dict[str, Any]:
        """The ``camera=`` and ``modality=`` for an image; ``encode(images, tags=ImageTag(modality, camid))`` replaces it."""
        instead = "use encode(images, tags=ImageTag(modality, camid))"
        warnings.warn(f"encode_options is no longer needed: {instead}", DeprecationWarning, stacklevel=2)
        read = zip(("camera", "modality"), conditions_of(self.tower, ImageTag(modality, camid)), strict=True)
        return {name: value for name, value in read if value is not None}

    def bound(
        self, *, tags: Tags | None = None, camera: Cameras = None, modality: Modalities = None
    ) -> Model:
        """The same model for images with these tags, so that they need not be given again; as for :meth:`encode`.

        For functions that take a model and images, such as :func:`mswin_viz.attribute`. One for each image binds it to that many images.
        """
        return replace(self, _bound=chosen_conditions(self.tower, tags, camera, modality))

    def conditions(
        self, n_images: int, *, tags: Tags | None = None, camera: Cameras = None, modality: Modalities = None
    ) -> tuple[Int[torch.Tensor, " batch"], ...]:
        """What the tower reads beside the pixels: rows of its camera embedding and numbers of modalities, ``[B]`` each."""
        listed = None if tags is None else one_each(tags, n_images)
        camera, modality = chosen_conditions(self.tower, listed, camera, modality, self._bound)
        return conditions(self.clip.visual, n_images, camera, modality)

    def enhance(self, tokens: Tokens) -> Tokens:
        """``cls + add-on(patches)``, or the add-on's vector behind ``cls``; patches untouched. Without an add-on, the tokens as they are.

        Where the tokens have a neck the sum is taken before it, as the host does, and ``cls`` is what comes out behind.
        Differentiable in the tokens; the add-on's own parameters are frozen. The result lies where the model does.

        Raises
        ------
        ShapeError
            If it is given something other than tokens, or they are not as wide as the model's.
        """
        tokens = are_tokens(tokens, width=self.dim).to(self.device)
        return tokens if self.addon is None else enhanced(self.addon, tokens)

    def autocast(self) -> AbstractContextManager:
        """The precision :meth:`encode` runs the tower in: mixed on CUDA, unless :attr:`precision` is ``"float32"``."""
        return autocast(self.device, self.precision)

    def encode_text(self, prompts: str | Sequence[str]) -> Float[torch.Tensor, "prompt dim"]:
        """Text features of prompts, not normalised, ``[P, D]`` float32.

        Raises
        ------
        PromptError
            If a prompt is empty, longer than the context, or made only of words the text tower never saw;
            some such words give a warning that names them.
        OptionError
            If the weights hold no text tower.
        """
        if not self.tower.has_text:
            raise OptionError(
                f"prompts need a text tower: {self.tower.weights} has none; use an image as target"
            )
        ids = prompt_ids(prompts, self.clip.context_length, self.tower.token_ids)
        with torch.no_grad():
            return self.clip.encode_text(ids.to(self.device)).float()

    def unknown_words(self, prompt: str) -> list[str]:
        """Words of a prompt that the text tower was never trained on; none where it was trained on all."""
        return unknown_words(prompt, self.tower.token_ids)

    def retrieval_feature(self, tokens: Tokens) -> Float[torch.Tensor, "batch dim"]:
        """What the host model hands to retrieval: the enhanced CLS, behind its BatchNorm where NECK_FEAT is after."""
        return self.enhance(tokens).cls

    def read_out(
        self,
        cls: Float[torch.Tensor, "batch dim"],
        patches: Float[torch.Tensor, "batch token dim"],
        *given: Int[torch.Tensor, " batch"],
    ) -> Tokens:
        """Tokens of projected CLS and patches, the CLS as retrieval compares it; differentiable, see :meth:`conditions`."""
        if (readout := self.tower.readout) is None:
            return Tokens(cls, patches, self.grid)
        return Tokens(readout(cls, patches, *given[1:]), patches, self.grid, readout.neck)

    def _encode_batch(self, batch: torch.Tensor, *given: torch.Tensor) -> Tokens:
        batch, visual = batch.to(self.device), self.visual
        given = tuple(tensor.to(self.device) for tensor in given)
        with torch.no_grad(), self._lock, self.autocast(), outputs_of(visual.ln_post) as normed:
            cls = visual(batch, *given) if given else self.clip.encode_image(batch)
            patches = normed[0][:, 1:] @ visual.proj
        return self.read_out(cls.float(), patches.float(), *given)
