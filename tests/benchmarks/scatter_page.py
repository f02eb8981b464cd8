"""The page docs/concepts/why_maps_scatter.md, made from docs/measurements/scatter.json: no figure on it is typed."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mswin_viz.analysis.attribution.attribute import METHOD_LABELS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "concepts" / "why_maps_scatter.md"
_TEXT = """# Why maps of a ViT scatter

A map of a Vision Transformer rarely shows one clean blob on the person. Patches light up alone, neighbours have opposite signs, and some of the map
lies on the background. Which of the usual causes are at work here, how strong is each, and what can you do about it?

![Two people: the image, the norms of its patch tokens, and three maps, each beside the map of the same image with a little noise](../figures/why_maps_scatter.png)

Measured on the embedded model (six blocks, a grid of 16 x 8) and the samples that come with it, which are drawn people; the target is the plain
CLS token's cosine with each image's own caption. **CLIP's own weights were not run here**: a large model that was trained on photographs may
differ in every figure. `python tests/benchmarks/scatter.py` repeats the measurement ({machine}, {measured}).

## The methods side by side

Absolute values of each map on {n_images} images, scaled so that they add up to one. *On the person*: the part that lies on the drawn person, who covers {cover} of the image,
with a 95 % interval over images. *Roughness*: the mean step between neighbouring patches (total variation), as a multiple of the map's mean;
in brackets, that of the same values in random order. *Spread*: entropy, 1 if every patch has the same value. *Under noise*: rank correlation with the map of the
image plus noise of {noise} grey levels of 255.

| method | on the person | roughness | spread | under noise |
|---|---|---|---|---|
{rows}

A map that lies on the person is not faithful because of that: the model may well look at the background, and a drawn person on a drawn
background is an easy case. [Is the map faithful?](../how_to/attribute.md#is-the-map-faithful) asks the other question.

## Tokens that stand out

Large models use a few background patches as memory: their tokens have several times the norm of the others, and maps of attention light up
there (Darcet et al. 2024, "Vision Transformers Need Registers").

| behind block | {heads} |
|---|{lines}|
| tokens more than three deviations above the median norm | {far} |
| largest norm / median | {largest} |
| of those tokens' area, on the person | {on_person} |

{norms_words}

The deviation is 1.4826 times the median absolute deviation of the image's own tokens, so that a normal distribution would have
0.13 % above. What you can do: look at the norms of your own model first;
`mswin_viz.model.encoder.block_outputs.block_outputs` has the tokens behind each block. Where a few of them stand out far from the person,
distrust attention there, or use weights that were trained with registers.

## Attention mixes places

A patch token is not only about its patch. Below, the part that comes from its own place, and from the 3 x 3 patches around it:

| | {heads} | exact split |
|---|{lines}|---|
| own patch | {own} | {exact_own} |
| 3 x 3 around it | {around} | {exact_around} |
| how evenly a patch attends (entropy, 1: to all alike) | {attends} | |

The columns with numbers are [rollout](../how_to/attribute.md) behind each block; by chance, 3 x 3 patches would hold {chance}. The last column is the exact split of the
last patch tokens, each along itself, over the input's patches less their mean (sizes of shares). Both are on {mix_images} images.

{mixing_words}

A map of the tower's *output tokens*, such as Grad-CAM or the
exact shares of windows, says which token was used; the content of that token may come from elsewhere. What you can do: take the question back to the input, with
`exact_split`, occlusion or integrated gradients of pixels.

## A coarse grid, and windows in one dimension

The person covers the area of {person_patches} of the 128 patches. A window is a run of tokens in reading order, and at scale 8 a whole row of the image. Of the windows that
hold a patch with a tenth or more of the person in it, the person fills, on average:

| scale | {scales} |
|---|{scale_lines}|
| filled by the person | {filled} |

No add-on can change that: what looks like attention to the background beside the person may be the shape of the
window. What you can do: read window maps by rows, not by columns, and split the enhanced CLS over the patches of the input with
`mv.cls_by_patch`.

## Saturation

On the straight line from the image's mean colour to the image, gradient x input sees only the end. Over the {sat_images} images whose score changes by more than 0.05 on the
way, half of the way brings {half_way} of the change (median), and the slope at the image is {slope} of the mean slope; for {wrong_way} of them it even points the other
way.

{saturation_words}

What you can do: use integrated gradients in place of the gradient at one point, or methods that take things away.

## Noise in the gradient

Gradients of deep networks can change from one pixel to the next without the image changing visibly.

{noise_words}

What you can do: run the same check on your own
images, as the script does; where the maps change, average over noise with SmoothGrad or compare patches, not pixels.

## What follows

- **A speckled map does not prove a bad model**, nor a smooth one a good one: rollout is smooth because it averages, whatever the text is.
- **Mixing, saturation and the grid are strong here**; tokens that stand out and noise are not, though they may be in a large tower. Which of them
  a particular speckle comes from, these figures do not show.
- **Ask at the input** when the question is "where in the image", and at the tokens when it is "what does the add-on read".
- **Compare two kinds of method**, and rank them on your images with `mv.rank_methods` before you show one.
- **Choose the target with care.** A cosine with a caption may rest on one garment; a map that lies on one garment is then right.
"""


def scatter_page(data: Mapping[str, Any]) -> str:
    """The page as the JSON has it."""
    norms, mixing, windows, way = data["norms"], data["mixing"], data["windows"], data["saturation"]
    on = data["machine"]
    return _TEXT.format(
        machine=f"{on['cores']} cores, torch {on['versions']['torch']}",
        measured=data["measured"],
        n_images=data["n_images"],
        cover=_percent(data["cover"]),
        noise=f"{data['noise']:g}",
        rows="\n".join(_row(name, one) for name, one in data["methods"].items()),
        heads=" | ".join(str(block) for block in range(len(norms))),
        lines="|".join("---" for _ in norms),
        far=" | ".join(_percent(one["far"], 1) for one in norms),
        largest=" | ".join(f"{one['largest']:.2f}" for one in norms),
        on_person=" | ".join(_percent(one["on_person"]) for one in norms),
        own=" | ".join(_percent(one["own"]) for one in mixing["rollout"]),
        around=" | ".join(_percent(one["around"]) for one in mixing["rollout"]),
        attends=" | ".join(f"{one:.2f}" for one in mixing["entropy"]),
        exact_own=_percent(mixing["exact"]["own"]),
        exact_around=_percent(mixing["exact"]["around"]),
        mix_images=mixing["images"],
        chance=_percent(mixing["around_by_chance"]),
        person_patches=f"{windows['patches']:.0f}",
        scales=" | ".join(windows["of_windows"]),
        scale_lines="|".join("---" for _ in windows["of_windows"]),
        filled=" | ".join(_percent(part) for part in windows["of_windows"].values()),
        sat_images=way["images"],
        half_way=_percent(way["half_way"]),
        slope=_percent(way["slope_at_image"]),
        wrong_way=_percent(way["wrong_way"]),
        norms_words=_wrapped(_NORMS, last=_percent(norms[-1]["far"], 1), largest=f"{norms[-1]['largest']:.1f}"),
        mixing_words=_wrapped(_MIXING, own=_percent(mixing["exact"]["own"]), around=_percent(mixing["exact"]["around"])),
        saturation_words=_wrapped(_SATURATION),
        noise_words=_wrapped(_NOISE, noise=f"{data['noise']:g}", **{name: f"{one:.2f}" for name, one in data["noise_on_pixels"].items()}),
    )  # fmt: skip


_NORMS = (
    "In this small tower no token stands out like that: the largest norm behind the last block is {largest} times the median, and {last} of the tokens are "
    "beyond that limit. From block 1 on, those few do lie off the person."
)
_MIXING = (
    "By the exact split, {own} of what a patch token holds comes from its own patch and {around} from the patches around and including it: the rest comes from farther "
    "away. Rollout, which takes an average over heads and leaves out what values carry, sees even less."
)
_SATURATION = (
    "So the gradient at the image says how the score would change from here, and not what has made it: it is where gradient x input and SmoothGrad "
    "part from integrated gradients in the table."
)
_NOISE = (
    "Not in this model: with noise of {noise} grey levels, the rank correlation of single pixels is {gradient_x_input} for gradient x input and "
    "{integrated_gradients} for integrated gradients, and that of patches is in the table. The speckle is not noise; it is what these methods say "
    "of the model, every time."
)


def _row(name: str, one: Mapping[str, Any]) -> str:
    method, comma, rest = name.partition(",")
    mean, low, high = (_percent(part) for part in one["person"])
    return (
        f"| {METHOD_LABELS[method]}{comma}{rest} | {mean} [{low}, {high}] | {one['roughness']:.2f} ({one['shuffled']:.2f}) "
        f"| {one['entropy']:.2f} | {one['noise']:.3f} |"
    )


def _wrapped(words: str, **numbers: str) -> str:
    return textwrap.fill(words.format(**numbers), 140)


def _percent(part: float, digits: int = 0) -> str:
    return f"{100 * part:.{digits}f} %"
