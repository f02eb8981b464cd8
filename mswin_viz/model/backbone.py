"""Any open_clip image tower with a CLS feature -> projected CLS and patch tokens."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import open_clip
import torch
from PIL import Image
from tqdm.auto import tqdm

from mswin_viz.data.deep_images import rule_words
from mswin_viz.data.image_lists import Images, listed_images
from mswin_viz.data.images import ImageSource
from mswin_viz.data.picture_facts import PictureFacts, say
from mswin_viz.errors import ImageError, ImageFileError, OptionError
from mswin_viz.model.checkpoint_report import LoadReport
from mswin_viz.model.checkpoints import Addon
from mswin_viz.model.hooks import outputs_of
from mswin_viz.model.host_tower import MEAN_CAMERA, Camera, HostParts, HostTower, conditions
from mswin_viz.model.preprocessing import fitted, normalised, notes_on, resizing_words
from mswin_viz.model.prompts import prompt_ids, unknown_words
from mswin_viz.model.tokens import Tokens, are_tokens
from mswin_viz.model.towers import Tower

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["Model"]


@dataclass(frozen=True, eq=False)
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
    """

    tower: Tower
    addon: Addon | None
    addon_origin: str
    device: torch.device
    precision: str = "auto"
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _bound: tuple[Any, Any] = field(default=(None, None), repr=False)

    @property
    def clip(self) -> open_clip.CLIP:
        """The untouched open_clip model."""
        return self.tower.clip

    @property
    def image_size(self) -> tuple[int, int]:
        """Input height and width, pixels."""
        return self.tower.image_size

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patch tokens."""
        return tuple(self.clip.visual.grid_size)

    @property
    def dim(self) -> int:
        """Width ``D`` of the joint image and text space."""
        return self.clip.visual.proj.shape[1]

    @property
    def metric(self) -> str:
        """How retrieval compares features: ``"cosine"``, or ``"euclidean"`` of raw features as a host may (FEAT_NORM)."""
        config = self.tower.config
        return "cosine" if config is None or config.feat_norm else "euclidean"

    @property
    def provenance_items(self) -> dict[str, str]:
        """Which weights, activation, input and normalisation are in use; name -> words."""
        (height, width), (rows, cols) = self.image_size, self.grid
        items = {
            "weights": self.tower.weights,
            "add-on": self.addon_origin,
            "activation": self.tower.activation,
            "input": f"{height}x{width} (height x width), grid {rows}x{cols}, {resizing_words(self.tower)}",
            "positions": self.tower.positions,
            "normalisation": f"mean {_numbers(self.tower.mean)}, std {_numbers(self.tower.std)}",
            "above 8 bits": rule_words(self.tower.thermal_range),
            "device": f"{self.device}, {self._precision_in_words}",
        }
        items |= self._host_items
        return items | ({"note": "; ".join(self.tower.notes)} if self.tower.notes else {})

    @property
    def load_report(self) -> LoadReport | None:
        """What became of every key of the weight file; None for weights that were not read from a user's file."""
        return self.tower.report

    @property
    def provenance(self) -> str:
        """:attr:`provenance_items` as one line."""
        return "; ".join(f"{name}: {words}" for name, words in self.provenance_items.items())

    def displayed(self, source: ImageSource) -> Image.Image:
        """The picture as the model sees it, before normalisation: RGB at the input's size.

        Pictures of every shape are resized to it, as host models do.

        Raises
        ------
        ImageFileError, ImageError
            If the source cannot be read.
        """
        return self.displayed_with_facts(source)[0]

    def displayed_with_facts(self, source: ImageSource) -> tuple[Image.Image, PictureFacts]:
        """:meth:`displayed`, and what :meth:`picture_notes` needs to know of the picture as it was."""
        return fitted(self.tower, source)

    def picture_notes(self, facts: Sequence[PictureFacts], *, even_of_one: bool = False) -> tuple[str, ...]:
        """What is worth saying about a set of pictures, with counts: strong distortion, few grey levels.

        Of a single picture, the distortion is left out unless ``even_of_one``.
        """
        return notes_on(self.tower, facts, even_of_one=even_of_one)

    def preprocess(self, images: Images) -> Float[torch.Tensor, "batch 3 rows cols"]:
        """Exactly what :meth:`encode` feeds the tower: resized, scaled and normalised, on the CPU."""
        facts: list[PictureFacts] = []
        batch = self._pixels(listed_images(images), facts)
        say(self.picture_notes(facts))
        return batch

    def encode(
        self,
        images: Images,
        *,
        batch_size: int = 32,
        camera: Camera | Sequence[Camera] | None = None,
        modality: str | Sequence[str] | None = None,
        progress: bool = True,
    ) -> Tokens:
        """CLS and patch tokens of images, both through ``ln_post`` and the tower's projection.

        The CLS is open_clip's own ``encode_image``, bit for bit, on the same batch and under the same
        :meth:`autocast`; with a host model whose retrieval looks behind its BatchNorm (NECK_FEAT after), it is that
        feature. Runs under ``no_grad``; the tokens are float32 on :attr:`device`.

        Parameters
        ----------
        images
            One or several: paths, the content of files, PIL images, arrays or tensors, see
            :func:`mswin_viz.data.images.open_image`; a list, any iterable, or an array or tensor of four axes.
            Of several, strongly distorted ones and deep ones with few grey levels give one warning with counts.
        batch_size
            Images in one pass.
        camera
            Row of the weights' camera embedding, counted from 0 (:meth:`encode_options` gives it for a camera's
            number), or ``"mean"`` for images of no known camera; one for all images or one for each. Needed by
            weights with a camera embedding, refused by others.
        modality
            ``"RGB"``, ``"NI"`` or ``"TI"``, one for all images or one for each. Needed by weights with prompts or
            heads for each modality, without effect on others.
        progress
            Show a bar when there is more than one batch.

        Raises
        ------
        ImageFileError, ImageError
            If an image cannot be read, with its place in the list; nothing is encoded in its place.
        OptionError
            If a camera or modality is missing or does not exist.
        """
        if batch_size < 1:
            raise OptionError(f"batch_size must be at least 1: got {batch_size}; 32 suits most machines")
        sources, facts = listed_images(images), []
        given = self.conditions(len(sources), camera=camera, modality=modality)
        starts = range(0, len(sources), batch_size)
        parts = [
            self._encode_batch(
                self._pixels(sources[start : start + batch_size], facts),
                *(tensor[start : start + batch_size] for tensor in given),
            )
            for start in tqdm(starts, desc="encoding", unit="batch", disable=not progress or len(starts) == 1)
        ]
        say(self.picture_notes(facts))
        return Tokens.joined(parts)

    def encode_options(self, modality: str | None = None, camid: int = -1) -> dict[str, Any]:
        """The ``camera=`` and ``modality=`` that :meth:`encode` asks for with these weights; empty for plain CLIP.

        Parameters
        ----------
        modality
            Of the image.
        camid
            The camera's number as a file name gives it (:attr:`Sample.camid`): RGBNT201 and RGBNT100 count from 1,
            MSVR310 as the table does. Below 0, where no camera is known, the mean camera is taken.

        Raises
        ------
        OptionError
            If the weights have no row for that camera.
        """
        parts, options = getattr(self.clip.visual, "parts", HostParts()), {}
        if parts.reads_modality:
            options["modality"] = modality
        if parts.n_cameras:
            first = self.tower.first_camera
            if not isinstance(camid, int | np.integer) or isinstance(camid, bool):
                raise OptionError(
                    f"a camera's number is whole, as Sample.camid: got {camid!r}; give -1 where it is not known"
                )
            options["camera"] = MEAN_CAMERA if camid < 0 else camid - first
            if camid >= 0 and not first <= camid < first + parts.n_cameras:
                raise OptionError(
                    f"these weights know the cameras {first}..{first + parts.n_cameras - 1}: got an image of camera "
                    f'{camid}; encode it with camera="{MEAN_CAMERA}" or as another camera'
                )
        return options

    def bound(
        self,
        *,
        camera: Camera | Sequence[Camera] | None = None,
        modality: str | Sequence[str] | None = None,
    ) -> Model:
        """The same model for images of a camera and modality, so that neither need be given again.

        For functions that take a model and images, such as :func:`mswin_viz.attribute`. One for each image binds
        the model to that many images.
        """
        return replace(self, _bound=(camera, modality))

    def bound_to(self, kinds: Sequence[tuple[str | None, int]]) -> Model:
        """:meth:`bound` to images of these modalities and camera numbers, one pair each; as it is for plain CLIP."""
        asked = [self.encode_options(*kind) for kind in kinds]
        return self.bound(**{name: [options[name] for options in asked] for name in asked[0]})

    def conditions(
        self,
        n_images: int,
        *,
        camera: Camera | Sequence[Camera] | None = None,
        modality: str | Sequence[str] | None = None,
    ) -> tuple[Int[torch.Tensor, " batch"], ...]:
        """What the tower reads beside the pixels, see :func:`mswin_viz.model.host_tower.conditions`."""
        chosen = (
            own if given is None else given
            for given, own in zip((camera, modality), self._bound, strict=True)
        )
        return conditions(self.clip.visual, n_images, *chosen)

    def enhance(self, tokens: Tokens) -> Tokens:
        """``cls + add-on(patches)``; patches untouched. Without an add-on, the tokens as they are.

        Where the tokens have a neck the sum is taken before it, as the host does, and ``cls`` is what comes out behind.
        Differentiable in the tokens; the add-on's own parameters are frozen. The result lies where the model does.

        Raises
        ------
        ShapeError
            If it is given something other than tokens, or they are not as wide as the model's.
        """
        tokens = are_tokens(tokens, width=self.dim).to(self.device)
        if self.addon is None:
            return tokens
        return replace(tokens, cls=tokens.plus(self.addon(tokens.patches)))

    def autocast(self) -> AbstractContextManager:
        """The precision :meth:`encode` runs the tower in.

        Mixed on CUDA, unless :attr:`precision` is ``"float32"``: then convolutions do not round to TF32 either.
        Plain float32 elsewhere.
        """
        if self.device.type != "cuda":
            return nullcontext()
        if self.precision == "float32":
            cudnn = torch.backends.cudnn
            kept = {"benchmark": cudnn.benchmark, "deterministic": cudnn.deterministic}
            return cudnn.flags(enabled=cudnn.enabled, allow_tf32=False, **kept)
        return torch.autocast("cuda", _half())

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
        """The tokens of projected CLS and patches, the CLS as retrieval compares it; differentiable.

        ``given`` as :meth:`conditions` gives it.
        """
        readout = self.tower.readout
        if readout is None:
            return Tokens(cls, patches, self.grid)
        return Tokens(readout(cls, patches, *given[1:]), patches, self.grid, readout.neck)

    @property
    def _host_items(self) -> dict[str, str]:
        """What a host model's checkpoint and configuration add to the provenance."""
        items, visual = {}, self.clip.visual
        if isinstance(visual, HostTower):
            items["host parts"] = visual.parts.words
        if self.tower.readout is not None:
            items |= self.tower.readout.words
        if self.tower.config is not None:
            items["configuration"] = self.tower.config.words
        if self.metric != "cosine":
            items["ranking"] = "FEAT_NORM no: by the Euclidean distance of features that are not normalised"
        if self.tower.report is not None:
            items["file"] = self.tower.report.summary
        return items

    @property
    def _precision_in_words(self) -> str:
        if self.device.type != "cuda" or self.precision == "float32":
            return "float32"
        return f"mixed precision ({str(_half()).removeprefix('torch.')})"

    def _pixels(self, sources: Sequence[ImageSource], facts: list[PictureFacts]) -> torch.Tensor:
        """Normalised pixels; what is known of each picture is added to ``facts``."""
        shown = []
        for at, source in enumerate(sources, start=len(facts)):
            try:
                picture, known = fitted(self.tower, source)
            except (ImageFileError, ImageError) as problem:
                if at == 0 and len(sources) == 1:
                    raise
                raise type(problem)(f"image {at}, counted from 0: {problem}") from problem
            shown.append(picture)
            facts.append(known)
        return normalised(self.tower, shown)

    def _encode_batch(self, batch: torch.Tensor, *given: torch.Tensor) -> Tokens:
        batch, visual = batch.to(self.device), self.clip.visual
        given = tuple(tensor.to(self.device) for tensor in given)
        with torch.no_grad(), self._lock, self.autocast(), outputs_of(visual.ln_post) as normed:
            cls = visual(batch, *given) if given else self.clip.encode_image(batch)
            patches = normed[0][:, 1:] @ visual.proj
        return self.read_out(cls.float(), patches.float(), *given)


def _half() -> torch.dtype:
    """The half precision that this GPU computes in."""
    is_native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if is_native else torch.float16


def _numbers(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else " ".join(f"{value:.3f}" for value in values)
