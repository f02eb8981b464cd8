"""Exact shares, integrated gradients and maps of one image, beside Captum, pytorch-grad-cam and torchcam."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from captum.attr import InputXGradient, IntegratedGradients
from measuring import Row, Work
from pytorch_grad_cam import GradCAM as OtherGradCAM
from torchcam.methods import GradCAM as TorchCAM

import mswin_viz as mv
from mswin_viz.analysis.shares.decomposition import decompose_fusion
from mswin_viz.analysis.shares.fusion_weights import fusion_weights

STEPS = 50


def rows() -> Iterator[Row]:
    """On tokens of 64 images, then on the pixels of one image through the embedded model."""
    yield from _shares(64).rows()
    model = mv.load_model(device="cpu")
    image = mv.samples()[0].images["RGB"]
    along = model.encode_text("a person wearing a black top")[0].double().numpy()
    yield from _pixels(model, image, along).rows()
    yield from _map(model, image, along).rows()


def _shares(images: int) -> Work:
    torch.manual_seed(0)
    addon = mv.CLIPMultiScaleFeatureExtractor(512).eval().requires_grad_(False)
    cls, patches = torch.randn(images, 512), torch.randn(images, 128, 512)
    tokens, v = mv.Tokens(cls, patches, (16, 8)), np.random.default_rng(0).normal(size=512)
    weights, along = fusion_weights(addon), torch.from_numpy(v).float()

    def score(cls: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
        return (cls + addon(patches)) @ along

    def captum(method: type, **how: object) -> object:
        inputs = tuple(each.clone().requires_grad_() for each in (cls, patches))
        return method(score).attribute(inputs, **how)

    def forward() -> None:
        with torch.no_grad():
            score(cls, patches)

    exact = decompose_fusion(tokens, weights, v)
    by_gradient = captum(InputXGradient)[1].sum(dim=2).detach().numpy()
    np.testing.assert_allclose(sum(exact.tokens.values()), by_gradient, atol=2e-3)
    return Work(
        group="shares",
        what=f"shares of the tokens of {images} images in a score (N = 128, D = 512)",
        ours=("`decompose`, in float64", lambda: decompose_fusion(tokens, weights, v)),
        peers={
            f"Captum's integrated gradients, {STEPS} steps": lambda: captum(
                IntegratedGradients, n_steps=STEPS, internal_batch_size=64
            ),
            "Captum's gradient x input": lambda: captum(InputXGradient),
        },
        floor=("one forward pass of the add-on, in float32", forward),
        rounds=5,
    )


def _pixels(model: mv.Model, image: object, along: np.ndarray) -> Work:
    pixels, v = model.preprocess(image), torch.from_numpy(along).float()
    target = mv.Target.direction(along)

    def score(pixels: torch.Tensor) -> torch.Tensor:
        return _feature(model, pixels) @ v

    def captum() -> torch.Tensor:
        return IntegratedGradients(score).attribute(pixels.clone().requires_grad_(), n_steps=STEPS)

    def floor() -> None:
        for _ in range(STEPS // 10):
            x = pixels.repeat(10, 1, 1, 1).requires_grad_()
            torch.autograd.grad(score(x).sum(), x)

    found = mv.attribute(model, image, target, n_steps=STEPS).values[0]
    np.testing.assert_allclose(
        found, captum().sum(dim=1)[0].detach().numpy(), atol=1e-4 * abs(found).max() + 1e-6
    )
    return Work(
        group="pixels",
        what=f"integrated gradients of one image's pixels, {STEPS} steps, embedded model",
        ours=("`attribute`", lambda: mv.attribute(model, image, target, n_steps=STEPS)),
        peers={"Captum as documented": captum},
        floor=(f"{STEPS} gradients of the score, ten at a time", floor),
        rounds=5,
    )


def _map(model: mv.Model, image: object, along: np.ndarray) -> Work:
    grid, v = model.encode([image], progress=False).grid, torch.from_numpy(along).float()
    pixels, block = model.preprocess(image), len(model.clip.visual.transformer.resblocks) - 2
    network = _Scored(model, v).eval()
    layer = model.clip.visual.transformer.resblocks[block]

    def reshaped(state: torch.Tensor) -> torch.Tensor:
        return state[:, 1:].transpose(1, 2).reshape(len(state), -1, *grid)

    def grad_cam() -> np.ndarray:
        with OtherGradCAM(network, [layer], reshape_transform=reshaped) as cam:
            return cam(pixels.clone(), targets=[lambda output: output[0]])

    probe = _Probed(model, v, block, grid).eval()

    def torchcam() -> torch.Tensor:
        with TorchCAM(probe, target_layer=probe.maps) as cam:
            return cam(0, probe(pixels.clone().requires_grad_()))[0]

    def ours(method: str, **where: int) -> object:
        return mv.attribute(model, image, mv.Target.direction(along), method=method, level="tokens", **where)

    def floor() -> None:
        x = pixels.clone().requires_grad_()
        torch.autograd.grad(network(x).sum(), x)

    positive = np.maximum(ours("gradcam", block=block).on_patches()[0], 0)
    theirs = torchcam().flatten().numpy()
    np.testing.assert_allclose(positive / positive.max(), theirs / theirs.max(), atol=1e-3)
    return Work(
        group="map",
        what="Grad-CAM of one image behind the last block but one, embedded model",
        ours=("`attribute(method='gradcam')`", lambda: ours("gradcam", block=block)),
        peers={
            "pytorch-grad-cam": grad_cam,
            "torchcam": torchcam,
            "our exact split of the score over all patches": lambda: ours("exact_split"),
        },
        floor=("one forward and one backward pass", floor),
    )


class _Scored(torch.nn.Module):
    """The model as other libraries take it: pixels in, one score out."""

    def __init__(self, model: mv.Model, along: torch.Tensor) -> None:
        super().__init__()
        self.model, self.along, self.visual, self.addon = model, along, model.clip.visual, model.addon

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return (_feature(self.model, pixels) @ self.along)[:, None]


class _Probed(_Scored):
    """The same with a layer that has the patch tokens of a block as a feature map."""

    def __init__(self, model: mv.Model, along: torch.Tensor, block: int, grid: tuple[int, int]) -> None:
        super().__init__(model, along)
        self.maps, self.block, self.grid = torch.nn.Identity(), block, grid

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        layers = self.visual.transformer.resblocks
        state = self.visual._embeds(pixels)
        for at, layer in enumerate(layers):
            state = layer(state)
            if at == self.block:
                channels = state[:, 1:].transpose(1, 2).reshape(len(state), -1, *self.grid)
                state = torch.cat([state[:, :1], self.maps(channels).flatten(2).transpose(1, 2)], dim=1)
        return (_read(self.model, state) @ self.along)[:, None]


def _feature(model: mv.Model, pixels: torch.Tensor) -> torch.Tensor:
    visual = model.clip.visual
    return _read(model, visual.transformer(visual._embeds(pixels)))


def _read(model: mv.Model, state: torch.Tensor) -> torch.Tensor:
    visual = model.clip.visual
    projected = visual.ln_post(state) @ visual.proj
    return projected[:, 0] + model.addon(projected[:, 1:])
