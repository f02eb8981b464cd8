"""Ranks the exact split, and what it could be changed to without losing its sum, among the other methods.

Prints a Markdown table for each feature: gains beyond random orders with 95 % intervals over images, and what each
change brings over the split as it is, image by image. Minutes on a CPU, seconds on a GPU.

Run: python tests/benchmarks/exact_split_ranking.py [cpu|cuda] [n_images] [first] [prompt]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
import torch

import mswin_viz as mv
from mswin_viz.analysis.attribution.attribute import METHOD_LABELS, attribute, refusal
from mswin_viz.analysis.attribution.faithfulness import Faithfulness, bootstrap_interval, faithfulness
from mswin_viz.analysis.frozen import operations

OTHERS = (
    "integrated_gradients", "gradient_x_input", "smoothgrad", "gradcam", "occlusion", "feature_ablation",
    "attention_rollout", "legrad", "attention_relevance",
)  # fmt: skip
SPLITS = {
    "exact split": {},
    "exact split, mean patch": {"baseline": "mean"},
    "exact split, block 0": {"block": 0},
    "exact split, block 0, mean token": {"block": 0, "baseline": "mean"},
    "exact split, block 1": {"block": 1},
    "exact split, block 1, mean token": {"block": 1, "baseline": "mean"},
}
LET_GO = {"attention 1/4": ("attention", 0.25), "attention 1/2": ("attention", 0.5), "attention": ("attention", 1.0), "norms": ("layer_norm", 1.0), "activations": ("gelu", 1.0)}  # fmt: skip
"""What is not held whole -> the part of its own derivative that counts; its value stays, so the sum does."""


def let_go(kind: str, part: float) -> Mapping[str, object]:
    """Rules under which some of an operation's derivative passes; the constants take what that leaves over."""
    name = "multi_head_attention_forward" if kind == "attention" else kind
    held = operations.RULES[name]

    def of(value):
        return value[0] if isinstance(value, tuple) else value

    def rule(run, func, *args, **options):
        if run._held is not None:  # constants are counted with everything held
            return held(run, func, *args, **options)
        kept = held(run, func, *args, **options)
        if (
            kind == "attention"
        ):  # the way through the values is the held map: what is more goes through the weights
            query, key, value, *others = args
            free = of(func(query, key, value.detach(), *others, **options))
            return kept[0] + part * (free - free.detach()), None
        free = func(*args, **options)
        return kept + part * (free - kept)

    return {name: rule}


def maps_of(model: mv.Model, images: list, target: mv.Target) -> dict[str, np.ndarray]:
    """Every map on the image's patches."""
    maps = {}
    for name in OTHERS:
        level = "tokens" if refusal(name, "pixels") else "pixels"
        block = {"block": len(model.visual.transformer.resblocks) - 2} if name == "gradcam" else {}
        more = {"occluder": 32} if name == "occlusion" else {}
        found = attribute(model, images, target, method=name, level=level, **block, **more)
        maps[METHOD_LABELS[name]] = found.on_patches()
    for name, options in SPLITS.items():
        found = attribute(model, images, target, method="exact_split", level="tokens", **options)
        assert np.abs(found.delta).max() < 1e-9
        maps[name] = found.values
    rules = dict(operations.RULES)
    for name, (kind, part) in LET_GO.items():
        operations.RULES.update(let_go(kind, part))
        for words, baseline in (("", "zero"), (", mean patch", "mean")):
            found = attribute(model, images, target, method="exact_split", level="tokens", baseline=baseline)
            maps[f"{name} let go{words}"] = found.values
        operations.RULES.update(rules)
    return maps


def table(checks: Faithfulness) -> str:
    """Gains, and differences from the exact split, as Markdown."""
    rows = [
        f"| {' | '.join(['method', *(f'gain, {b}' for b in checks.baselines), 'beyond the exact split'])} |"
    ]
    rows.append("|---" * (len(checks.baselines) + 2) + "|")
    gains = {name: [checks.gain(name, b) for b in checks.baselines] for name in checks.ranked()}
    for name, each in gains.items():
        more = np.mean(each, axis=0) - np.mean(gains["exact split"], axis=0)
        cells = [words(gain) for gain in each] + ["" if name == "exact split" else words(more)]
        rows.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(rows)


def words(values: np.ndarray) -> str:
    low, high = bootstrap_interval(values)
    return f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def main(
    device: str = "cpu", n_images: str = "40", first: str = "0", prompt: str = "a person wearing a black top"
) -> None:
    model, samples = mv.load_model(device=device), mv.samples()
    places = np.linspace(int(first), len(samples) - 1, int(n_images)).astype(int)
    images = model.opened([samples[int(place)].images["RGB"] for place in places])
    for feature in ("plain", "enhanced"):
        target = mv.Target.text(prompt, feature=feature).resolved(model)
        checks = faithfulness(model, images, target, maps_of(model, images, target))
        print(
            f"\n{len(images)} images, “{prompt}”, {feature} CLS, {torch.__version__} on {device}\n\n{table(checks)}",
            flush=True,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
