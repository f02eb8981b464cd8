"""Measures why maps of the embedded model scatter, and writes docs/measurements/scatter.json and the page made from it.

Two minutes on two quiet cores. Run: python tests/benchmarks/scatter.py [n_images]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured_pages import FOLDER, machine
from scatter_page import PAGE, scatter_page
from scipy.stats import spearmanr

import mswin_viz as mv
from mswin_viz.analysis.attribution.faithfulness import bootstrap_interval
from mswin_viz.analysis.attribution.relevance import opened_attention
from mswin_viz.analysis.frozen.frozen_map import FrozenMap
from mswin_viz.analysis.shares.cls_split import _at_patches
from mswin_viz.analysis.shares.exact_tower import array, exact_batches
from mswin_viz.data.synthetic.draw_person import draw_person
from mswin_viz.data.synthetic.identity import sample_identity
from mswin_viz.data.synthetic.render import _in_front
from mswin_viz.data.synthetic.shading import SHAPE, halved
from mswin_viz.data.synthetic.shots import shot_conditions
from mswin_viz.data.synthetic.write_samples import SHIPPED
from mswin_viz.model.encoder.block_outputs import block_outputs, tokens_of_pixels

NOISE = 2.0
"""Standard deviation of the noise, grey levels of 255."""
FAR = 3 * 1.4826
"""Median absolute deviations above the median: three standard deviations of a normal distribution."""
CALLS: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"n_steps": 20},
    "gradient_x_input": {},
    "smoothgrad": {"n_samples": 10},
    "occlusion": {"occluder": 32},
    "feature_ablation": {},
    "gradcam": {"level": "tokens", "block": -2},
    "attention_rollout": {"level": "tokens"},
    "legrad": {"level": "tokens"},
    "attention_relevance": {"level": "tokens"},
    "attention_relevance, the last block alone": {"level": "tokens", "first_block": -1},
    "exact_split": {"level": "tokens", "baseline": "mean"},
}
"""Row of the table -> keyword arguments of ``attribute``."""


def person_on_patches(sample: mv.Sample, grid: tuple[int, int]) -> np.ndarray:
    """Which part of each patch the drawn person covers, 0..1, as it was drawn; ``[N]``."""
    identity, camera = sample_identity(sample.pid, seed=SHIPPED["seed"]), sample.camid - 1
    shot_number = int(sample.name.rpartition("_")[2])
    shot = shot_conditions(identity, camera, shot_number, SHIPPED["seed"])
    drawn = np.asarray(draw_person(identity, shot.pose, SHAPE)[0]) > 0
    seen = halved(drawn.view(np.uint8) * 255) >= 127
    hiding = _in_front(identity, shot, camera, shot_number, SHIPPED["seed"])
    seen = seen if hiding is None else seen & (hiding[0] < 0.5)
    rows, cols = grid
    return seen.reshape(rows, SHAPE[0] // rows, cols, SHAPE[1] // cols).mean(axis=(1, 3)).ravel()


def norms(model: mv.Model, images: Sequence, person: np.ndarray) -> list[dict[str, float]]:
    """Behind each block: how far the patch tokens' norms spread, and where the far ones lie."""
    n_patches, found = person.shape[1], []
    for state in block_outputs(model, model.preprocess(images))[1:]:
        length = state[:, 1 : 1 + n_patches].norm(dim=2).numpy()
        median = np.median(length, axis=1, keepdims=True)
        spread = np.median(np.abs(length - median), axis=1, keepdims=True)
        far = length > median + FAR * spread
        found.append(
            {
                "far": float(far.mean()),
                "largest": float((length.max(axis=1) / median[:, 0]).mean()),
                "on_person": float(person[far].mean()),
            }
        )
    return found


def mixing(model: mv.Model, images: Sequence) -> dict[str, Any]:
    """How much of a patch token comes from its own place, by rollout behind each block and by the exact split."""
    near = neighbours(model.grid)
    n_patches = len(near)
    rollout, entropy = [], []
    with torch.no_grad(), opened_attention(model, lambda: None) as weights:
        tokens_of_pixels(model, model.preprocess(images))
    mixed = torch.eye(1 + n_patches)
    for a in weights:
        mean = a.detach().mean(dim=1)
        mixed = (mean + torch.eye(1 + n_patches)) / 2 @ mixed
        of_patches = mixed[:, 1:, 1:] / mixed[:, 1:, 1:].sum(dim=2, keepdim=True)
        own, around = np.diagonal(of_patches, axis1=1, axis2=2), (of_patches.numpy() * near).sum(axis=2)
        rollout.append({"own": float(own.mean()), "around": float(around.mean())})
        row = a.detach()[:, :, 1:].double()
        entropy.append(float((-(row * row.clamp(min=1e-30).log()).sum(dim=3)).mean() / np.log(1 + n_patches)))
    own, around = zip(*(exact_places(model, image, near) for image in images), strict=True)
    exact = {"own": float(np.mean(own)), "around": float(np.mean(around))}
    return {
        "images": len(images),
        "rollout": rollout,
        "exact": exact,
        "entropy": entropy,
        "around_by_chance": float(near.mean()),
    }


def neighbours(grid: tuple[int, int]) -> np.ndarray:
    """Whether two patches are the same or touch, ``[N, N]``."""
    row, col = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    return (np.abs(row[:, None] - row) <= 1) & (np.abs(col[:, None] - col) <= 1)


def exact_places(model: mv.Model, image: Any, near: np.ndarray) -> tuple[float, float]:
    """Of the sizes of all patches' shares in a patch token, along itself, that of its own place, and of the 3 x 3 around."""
    at = torch.arange(4, len(near), 9)  # every ninth token, so that all columns take part
    n, each = len(at), torch.arange(len(at))
    (batch,) = exact_batches(model, [image], np.ones(model.dim), tags=None)
    batch = batch._replace(pixels=batch.pixels.expand(n, -1, -1, -1), direction=batch.direction.expand(n, -1))
    entry = _at_patches(batch)
    frozen = FrozenMap(
        lambda x: entry.onwards(x).patches[each, at], [entry.values], model.visual, compares=False
    )
    (gradient,) = frozen.gradients(frozen.output / frozen.output.norm(dim=1, keepdim=True))
    less_mean = entry.values - entry.values.mean(dim=1, keepdim=True)
    sizes = np.abs(array((gradient * less_mean).sum(dim=2)))
    sizes /= sizes.sum(axis=1, keepdims=True)
    return float(sizes[each, at].mean()), float((sizes * near[at]).sum(axis=1).mean())


def windows_on_person(person: np.ndarray, grid: tuple[int, int]) -> dict[str, Any]:
    """Which part of the windows that hold some of the person is the person, by scale."""
    parts = {}
    for scale in (1, 4, 8, 16):
        tokens = mv.windows(grid, scale).tokens
        cover = person[:, tokens].mean(axis=2)
        parts[str(scale)] = float(cover[person[:, tokens].max(axis=2) > 0.1].mean())
    return {"patches": float(person.sum(axis=1).mean()), "of_windows": parts}


def saturation(model: mv.Model, images: Sequence, target: mv.Target) -> dict[str, float]:
    """How the score and its gradient go on the way from the mean colour to the image."""
    pixels = model.preprocess(images)
    start = pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels)
    directions, steps, scores, slopes = target.directions(model, len(pixels)), np.linspace(0, 1, 21), [], []
    for step in steps:
        x = (start + float(step) * (pixels - start)).detach().requires_grad_()
        plain = tokens_of_pixels(model, x)
        score = target.score(plain, plain, directions)
        (gradient,) = torch.autograd.grad(score.sum(), x)
        slopes.append((gradient * (pixels - start)).sum(dim=(1, 2, 3)).numpy())
        scores.append(score.detach().numpy())
    way = (np.stack(scores) - scores[0]) / (scores[-1] - scores[0])
    risen = np.abs(scores[-1] - scores[0]) > 0.05
    late = np.abs(np.stack(slopes)[-1]) / np.abs(np.stack(slopes)).mean(axis=0)
    return {
        "images": int(risen.sum()),
        "half_way": float(np.median(way[10, risen])),
        "slope_at_image": float(np.median(late[risen])),
        "wrong_way": float((np.stack(slopes)[-1, risen] * (scores[-1] - scores[0])[risen] < 0).mean()),
    }


def methods(
    model: mv.Model, images: Sequence, person: np.ndarray, prompts: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The table: where each method's map lies, how rough and how spread it is, and whether it stays under noise."""
    noisy, maps = with_noise(images), {}
    for name, call in CALLS.items():
        print(name, flush=True)
        target = mv.Target.text(prompts, feature="plain")
        maps[name] = [patch_map(model, seen, target, name, call) for seen in (images, noisy)]
    return {name: row(*maps[name], person, model.grid) for name in CALLS}


def with_noise(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The same pictures with a little noise, in whole grey levels."""
    rng = np.random.default_rng(0)
    noisy = [image + rng.normal(0, NOISE, image.shape) for image in images]
    return [np.clip(image, 0, 255).round().astype(np.uint8) for image in noisy]


def noise_on_pixels(
    model: mv.Model, images: Sequence[np.ndarray], prompts: Sequence[str]
) -> dict[str, float]:
    """Rank correlation of the values of single pixels, signed, with those of the image with noise."""
    target, found = mv.Target.text(prompts, feature="plain"), {}
    for name in ("gradient_x_input", "integrated_gradients"):
        clean, noisy = (
            mv.attribute(model, seen, target, method=name, **CALLS[name]).values.reshape(len(images), -1)
            for seen in (images, with_noise(images))
        )
        found[name] = float(np.mean([spearmanr(a, b)[0] for a, b in zip(clean, noisy, strict=True)]))
    return found


def patch_map(
    model: mv.Model, images: Sequence, target: mv.Target, name: str, call: dict[str, Any]
) -> np.ndarray:
    """The map on patches, ``[B, N]``."""
    call = dict(call)
    if call.get("block") == -2:
        call["block"] = len(model.visual.transformer.resblocks) - 2
    method = name.partition(",")[0]
    return mv.attribute(model, images, target, method=method, **call).on_patches()


def row(found: np.ndarray, noisy: np.ndarray, person: np.ndarray, grid: tuple[int, int]) -> dict[str, Any]:
    """One method's numbers, means over images; the sizes of a map add up to one."""
    sizes = np.abs(found) / np.abs(found).sum(axis=1, keepdims=True)
    on, rng = (sizes * person).sum(axis=1), np.random.default_rng(0)
    spread = -(sizes * np.log(np.maximum(sizes, 1e-30))).sum(axis=1) / np.log(sizes.shape[1])
    rough = [roughness(one.reshape(grid)) for one in sizes]
    shuffled = [np.mean([roughness(rng.permutation(one).reshape(grid)) for _ in range(20)]) for one in sizes]
    return {
        "person": [float(on.mean()), *bootstrap_interval(on)],
        "roughness": float(np.mean(rough)),
        "shuffled": float(np.mean(shuffled)),
        "entropy": float(spread.mean()),
        "noise": float(np.mean([spearmanr(a, b)[0] for a, b in zip(found, noisy, strict=True)])),
    }


def roughness(sizes: np.ndarray) -> float:
    """Total variation: the mean step between patches that touch by a side, in multiples of the map's mean size."""
    steps = np.concatenate([np.abs(np.diff(sizes, axis=axis)).ravel() for axis in (0, 1)])
    return float(steps.mean() / sizes.mean())


def measured(n_images: int) -> dict[str, Any]:
    """Everything that the page says."""
    torch.manual_seed(0)
    model, samples = mv.load_model(device="cpu"), mv.samples()
    person = np.stack([person_on_patches(sample, model.grid) for sample in samples])
    places = np.linspace(0, len(samples) - 1, n_images).astype(int)
    chosen = [samples[at] for at in places]
    images = [np.asarray(model.displayed(sample.images["RGB"])) for sample in chosen]
    prompts = [sample.caption for sample in chosen]
    return {
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "n_samples": len(samples),
        "n_images": n_images,
        "noise": NOISE,
        "cover": float(person[places].mean()),
        "norms": norms(model, [sample.images["RGB"] for sample in samples], person),
        "mixing": mixing(model, images[:: max(1, n_images // 4)]),
        "windows": windows_on_person(person, model.grid),
        "saturation": saturation(model, images, mv.Target.text(prompts, feature="plain")),
        "noise_on_pixels": noise_on_pixels(model, images, prompts),
        "methods": methods(model, images, person[places], prompts),
    }


def main(n_images: str = "12") -> None:
    data = measured(int(n_images))
    (FOLDER / "scatter.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    Path(PAGE).write_text(scatter_page(data), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
