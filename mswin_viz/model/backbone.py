"""Any open_clip image tower with a CLS feature -> projected CLS and patch tokens."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import open_clip
import torch
from PIL import Image
from torchvision.transforms import v2
from tqdm.auto import tqdm

from mswin_viz.data.images import ImageSource, check_orientation, open_image
from mswin_viz.errors import ImageError, OptionError
from mswin_viz.model.addons import Addon
from mswin_viz.model.checkpoint_report import LoadReport
from mswin_viz.model.hooks import outputs_of
from mswin_viz.model.host_tower import MEAN_CAMERA, Camera, HostParts, HostTower, conditions
from mswin_viz.model.prompts import prompt_ids, unknown_words
from mswin_viz.model.tokens import Tokens
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
    """

    tower: Tower
    addon: Addon | None
    addon_origin: str
    device: torch.device
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
    def provenance_items(self) -> dict[str, str]:
        """Which weights, activation, input and normalisation are in use; name -> words."""
        (height, width), (rows, cols) = self.image_size, self.grid
        items = {
            "weights": self.tower.weights,
            "add-on": self.addon_origin,
            "activation": self.tower.activation,
            "input": f"{height}x{width} (height x width), grid {rows}x{cols}, {self._resizing}",
            "positions": self.tower.positions,
            "normalisation": f"mean {_numbers(self.tower.mean)}, std {_numbers(self.tower.std)}",
            "device": f"{self.device}{', mixed precision' if self.device.type == 'cuda' else ''}",
        }
        items |= self._host_items
        return items | ({"note": "; ".join(self.tower.notes)} if self.tower.notes else {})

    @property
    def load_report(self) -> LoadReport | None:
        """What became of every key of the weight file; None for weights that come from no file of one's own."""
        return self.tower.report

    @property
    def provenance(self) -> str:
        """:attr:`provenance_items` as one line."""
        return "; ".join(f"{name}: {words}" for name, words in self.provenance_items.items())

    def displayed(self, source: ImageSource) -> Image.Image:
        """The picture as the model sees it, before normalisation: RGB at the input's size.

        Raises
        ------
        ImageFileError, ImageError
            If the source cannot be read, or lies where the input stands.
        """
        image = open_image(source)
        check_orientation(image, self.image_size)
        height, width = self.image_size
        mode = v2.InterpolationMode(self.tower.native_resize or "bilinear")
        if self.tower.native_resize is None or not self.tower.crops:
            return v2.functional.resize(image, [height, width], mode)
        return v2.functional.center_crop(
            v2.functional.resize(image, min(height, width), mode), [height, width]
        )

    def preprocess(
        self, images: ImageSource | Sequence[ImageSource]
    ) -> Float[torch.Tensor, "batch 3 rows cols"]:
        """Exactly what :meth:`encode` feeds the tower: resized, scaled and normalised, on the CPU."""
        pixels = [v2.functional.pil_to_tensor(self.displayed(source)) for source in _listed(images)]
        batch = torch.stack(pixels).float() / 255
        mean, std = (torch.tensor(v)[None, :, None, None] for v in (self.tower.mean, self.tower.std))
        return (batch - mean) / std

    def encode(
        self,
        images: ImageSource | Sequence[ImageSource],
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
            Paths, PIL images or uint8 arrays.
        batch_size
            Images in one pass.
        camera
            Row of the weights' camera embedding, counted from 0 (:meth:`encode_options` gives it for a camera's
            number), or ``"mean"`` for images of no known camera; one for all images or one for each. Needed by
            weights with a camera embedding, refused by others.
        modality
            ``"RGB"``, ``"NI"`` or ``"TI"``, one for all images or one for each. Needed by weights with prompts,
            without effect on others.
        progress
            Show a bar when there is more than one batch.

        Raises
        ------
        ImageFileError, ImageError
            If an image cannot be read or does not fit; nothing is encoded in its place.
        OptionError
            If a camera or modality is missing or does not exist.
        """
        if batch_size < 1:
            raise OptionError(f"batch_size must be at least 1: got {batch_size}; 32 suits most machines")
        sources = _listed(images)
        given = self.conditions(len(sources), camera=camera, modality=modality)
        starts = range(0, len(sources), batch_size)
        parts = [
            self._encode_batch(
                self.preprocess(sources[start : start + batch_size]),
                *(tensor[start : start + batch_size] for tensor in given),
            )
            for start in tqdm(starts, desc="encoding", unit="batch", disable=not progress or len(starts) == 1)
        ]
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
        if parts.has_prompts:
            options["modality"] = modality
        if parts.n_cameras:
            first = self.tower.first_camera
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
        Differentiable in the tokens; the add-on's own parameters are frozen.
        """
        if self.addon is None:
            return tokens
        return replace(tokens, cls=tokens.plus(self.addon(tokens.patches)))

    def autocast(self) -> AbstractContextManager:
        """The precision :meth:`encode` runs the tower in: mixed on CUDA, plain float32 elsewhere."""
        if self.device.type != "cuda":
            return nullcontext()
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.autocast("cuda", torch.bfloat16 if native else torch.float16)

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
        return Tokens(readout(cls, patches), patches, self.grid, readout.neck)

    @property
    def _host_items(self) -> dict[str, str]:
        """What a host model's checkpoint and configuration add to the provenance."""
        items, visual = {}, self.clip.visual
        if isinstance(visual, HostTower):
            items["host parts"] = visual.parts.words
        if self.tower.readout is not None:
            items["neck"] = (
                "NECK_FEAT after: plain and enhanced CLS and every share are behind the host's BatchNorm; "
                "activations of windows are before it"
            )
        if self.tower.config is not None:
            items["configuration"] = self.tower.config.words
        if self.tower.report is not None:
            items["file"] = self.tower.report.summary
        return items

    @property
    def _resizing(self) -> str:
        if self.tower.native_resize is None:
            return "resized bilinearly"
        how = "shorter side resized and centre cropped" if self.tower.crops else "resized"
        return f"{how}, {self.tower.native_resize}, as open_clip does"

    def _encode_batch(self, batch: torch.Tensor, *given: torch.Tensor) -> Tokens:
        batch, visual = batch.to(self.device), self.clip.visual
        given = tuple(tensor.to(self.device) for tensor in given)
        with torch.no_grad(), self._lock, self.autocast(), outputs_of(visual.ln_post) as normed:
            cls = visual(batch, *given) if given else self.clip.encode_image(batch)
            patches = normed[0][:, 1:] @ visual.proj
        return self.read_out(cls.float(), patches.float(), *given)


def _listed(images: ImageSource | Sequence[ImageSource]) -> list[ImageSource]:
    sources = list(images) if isinstance(images, (list, tuple)) else [images]
    if not sources:
        raise ImageError("there must be at least one image: got an empty list")
    return sources


def _numbers(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else " ".join(f"{value:.3f}" for value in values)
