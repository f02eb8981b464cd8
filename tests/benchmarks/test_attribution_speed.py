"""What attributions cost, each beside what it replaces, run in turns; nothing fails on a clock."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from measured_pages import note_timing

import mswin_viz as mv
from mswin_viz.analysis.frozen.frozen_map import FrozenMap
from mswin_viz.analysis.shares.decomposition import decompose_fusion
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.model.addon.own import Addon
from mswin_viz.model.weights.clip_towers import Tower

STEPS = 50


def in_turns(*calls: Callable[[], object], rounds: int = 3) -> list[float]:
    """Median seconds of each call, after a first one that is not counted."""
    taken = np.empty((rounds, len(calls)))
    for call in calls:
        call()
    for turn in range(rounds):
        for at, call in enumerate(calls):
            started = time.perf_counter()
            call()
            taken[turn, at] = time.perf_counter() - started
    return np.median(taken, axis=0).tolist()


def clip_of(size: int, *, width: int, layers: int, dim: int) -> mv.Model:
    """A CLIP of ViT-B/16's shape, or a smaller one, with weights nobody trained and an untrained add-on."""
    vision = {"image_size": [size, size], "layers": layers, "width": width, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    torch.manual_seed(0)
    clip = open_clip.CLIP(embed_dim=dim, vision_cfg=vision, text_cfg=text).eval()
    tower = Tower(
        clip=clip,
        weights="untrained",
        image_size=(size, size),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        activation="GELU",
        positions="as drawn",
    )
    addon = mv.CLIPMultiScaleFeatureExtractor(dim).eval().requires_grad_(False)
    return mv.Model(tower, addon, "untrained", torch.device("cpu"))


class Pooling(torch.nn.Module):
    """A module of the user's own: a query over the tokens, and a two-layer network."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.key, self.first, self.last = (torch.nn.Linear(dim, to) for to in (1, dim, dim))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        pooled = (self.key(patches).softmax(dim=1) * patches).sum(dim=1)
        return self.last(torch.nn.functional.gelu(self.first(pooled)))


def tokens_and_direction(images: int) -> tuple[mv.Tokens, np.ndarray]:
    """D = 512, N = 128."""
    generator = torch.Generator().manual_seed(0)
    cls = torch.randn(images, 512, generator=generator)
    patches = torch.randn(images, 128, 512, generator=generator)
    return mv.Tokens(cls, patches, (16, 8)), np.random.default_rng(0).normal(size=512)


ADDONS = {
    "scheme 1": lambda: mv.CLIPMultiScaleFeatureExtractor(512),
    "scheme 2": lambda: mv.CLIPWithProjectionMultiScale(512, 768),
    "mixture": lambda: mv.MixtureOfExpertsAddon(512),
    "own module": lambda: Addon(Pooling(512)).fitted(512, 128),
}


@pytest.mark.parametrize("kind", list(ADDONS))
def test_exact_shares_of_any_add_on_against_integrated_gradients(benchmark, kind) -> None:
    """16 images; scheme 2 without the projections of the last tokens, which the explorer keeps."""
    torch.manual_seed(0)
    addon = ADDONS[kind]().eval().requires_grad_(False)
    model = replace(clip_of(32, width=64, layers=1, dim=512), addon=addon)
    tokens, v = tokens_and_direction(16)
    target, weights = mv.Target.direction(v), fusion_weights(addon)

    def exact_shares() -> object:
        return decompose_fusion(replace(tokens, patches=tokens.patches.clone()), weights, v)

    exact, captum = in_turns(
        exact_shares, lambda: mv.attribute(model, tokens, target, level="tokens", n_steps=STEPS)
    )
    print(
        f"\n{kind}: integrated gradients / exact shares, 16 images: {captum / exact:.0f}x ({captum:.2f} s, {exact:.4f} s)"
    )
    note_timing("captum", kind, captum / exact)
    benchmark.pedantic(exact_shares, rounds=3)


@pytest.mark.parametrize("kind", ["scheme 1", "scheme 2", "mixture"])
def test_the_closed_form_against_the_frozen_map_of_the_module(benchmark, kind) -> None:
    """One image, float64, what an explorer asks for at every step; both give the same shares."""
    torch.manual_seed(0)
    addon = ADDONS[kind]().eval().requires_grad_(False)
    tokens, v = tokens_and_direction(1)
    weights, module = fusion_weights(addon), copy.deepcopy(addon).double()
    inputs, direction = (tokens.cls.double(), tokens.patches.double()), torch.from_numpy(v)[None]

    def closed() -> object:
        return decompose_fusion(tokens, weights, v)

    def frozen() -> object:
        return FrozenMap(lambda cls, patches: cls + module(patches), inputs, module).shares(direction)

    by_form, by_map = in_turns(closed, frozen, rounds=9)
    print(
        f"\n{kind}: frozen map / closed form, one image: {by_map / by_form:.1f}x ({1e3 * by_map:.1f} ms, {1e3 * by_form:.1f} ms)"
    )
    note_timing("frozen", kind, by_map / by_form)
    benchmark.pedantic(closed, rounds=3)


MEMORY = """
import sys, threading, time
sys.path.insert(0, {folder!r})
import numpy as np, psutil
import mswin_viz as mv
from test_attribution_speed import clip_of
model = clip_of(224, width=768, layers=12, dim=512)
image, target = np.zeros((224, 224, 3), np.uint8), mv.Target.direction(np.ones(512))
process, seen, done = psutil.Process(), [], threading.Event()
def watch():
    while not done.wait(0.01):
        seen.append(process.memory_info().rss)
before = process.memory_info().rss
threading.Thread(target=watch).start()
mv.attribute(model, image, target, n_steps=int(sys.argv[1]))
done.set()
print((max(seen) - before) / 2**20)
"""


def test_memory_of_integrated_gradients_of_a_vit_b_16_at_224(benchmark) -> None:
    """Peak over the model alone, in MiB: bounded by the batch that fits, whatever the number of steps."""
    script = MEMORY.format(folder=str(Path(__file__).parent))

    def peak(steps: int) -> float:
        command = [sys.executable, "-c", script, str(steps)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])

    few, many = peak(8), benchmark.pedantic(peak, (STEPS,), rounds=1)
    print(f"\npeak MiB over the model, one 224x224 image, 8 and {STEPS} steps: {few:.0f}, {many:.0f}")
    for steps, megabytes in ((8, few), (STEPS, many)):
        note_timing("gradients_memory", f"{steps} steps", megabytes)
