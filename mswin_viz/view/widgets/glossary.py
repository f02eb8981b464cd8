"""The words used on screen, in messages and on the documents' page ``docs/concepts/glossary.md``, one sentence or two each."""

from __future__ import annotations

from typing import TypeVar

import ipywidgets as widgets

Control = TypeVar("Control", bound=widgets.DOMWidget)

TERMS = {
    "token": "One vector of the image tower's output: the CLS token stands for the image, each patch token for one patch.",
    "patch": "One square of the input image (16 x 16 pixels in ViT-B/16), and its token. Patches are counted row by row.",
    "grid": "Rows and columns of patches; 16 x 8 for an upright input of 256 x 128 pixels.",
    "add-on": "The module behind CLIP: it reads the patch tokens and returns a vector that is added to the CLS token, or appended to it.",
    "plain CLS": "The image's feature as CLIP gives it, without the add-on.",
    "enhanced CLS": "The image's feature with the add-on: the plain CLS with the add-on's vector added or appended.",
    "shift": "Enhanced minus plain CLS: what the add-on adds.",
    "window": "Patch tokens in a row, in reading order, that one kernel reads at a time. A window may run over the end of a row.",
    "tile": "A square of patch tokens, shown for comparison; the add-on was not trained on tiles.",
    "scale": "The length of a window, in tokens.",
    "free scale": "The scale on the slider. Its windows are computed for looking; the score does not change unless they are put into a slot.",
    "stride": "How many tokens the next window starts further on. Trained windows start where the last one ends.",
    "dropped token": "A token that no window of a scale covers, because the grid is not a multiple of the scale. It is hatched.",
    "kernel": "The weights that turn one window's tokens into its activation: trained for the add-on's own scales, "
    "resampled from the nearest of them or a plain mean elsewhere.",
    "activation": "The vector that a kernel gives for one window.",
    "channel": "One of the numbers that a feature or an activation consists of, counted from 0.",
    "activation norm": "The Euclidean length of an activation, in the units of the activations.",
    "pooled vector": "The mean of the activations of all windows of one scale.",
    "value": "The number that is painted over a window: what removing it changes, its net push, its share of the cosine, its activation norm, its cosine to the target, or one channel of its activation.",
    "slot": "A place in the fusion's input, one for each trained scale. It holds that scale's pooled vector, nothing, or the free windows.",
    "fusion": "The two-layer network that turns the pooled vectors of all slots into the shift.",
    "shuffle": "Putting runs of patch tokens into another order. Where windows stay whole, their scale's pooled vector stays the same.",
    "ReLU gate": "Whether a hidden unit of the fusion is on for this image. Shares hold the gates as they are.",
    "gate": "The weights with which a mixture of experts adds up its experts, one set for each modality.",
    "expert": "One of several fusions in an add-on that is a mixture of experts.",
    "target": "What the score compares the image with: a prompt, another image, one channel, or the shift.",
    "direction": "The vector that belongs to a target; a score is the product of a feature with it.",
    "prompt": "A sentence that the text tower turns into a direction.",
    "score": "The number that is split: a product of the enhanced CLS with a direction, or their cosine.",
    "share": "The exact part of a score that comes from one window, one token, the plain CLS or the biases. All shares add up to the score. A positive share of a cosine need not raise it: every part also makes the norm longer that all shares are divided by.",
    "share of the norm": "The exact part of the enhanced CLS's length that comes from one part, as a fraction. All of them add up to 1.",
    "net push": "A part's share minus the cosine times its share of the norm: exact, and over all parts it adds up to 0. A little more of a part with a positive push raises the cosine.",
    "change when removed": "What the cosine becomes without a window or token, minus what it is: its terms are zero, norm and gates are computed again. Negative where the window helps. It is not minus the share, mostly because the norm is shorter without the window.",
    "waterfall": "Bars from the plain cosine to the enhanced one, each beginning where the last ended: what the change of the norm takes from the CLS, then what scales and biases add.",
    "fused": "Through all slots of the fusion at once; the fused heatmap shows each patch token's part.",
    "CLS by input patch": "How the CLS share splits over the patches of the input, through all blocks of the tower, with attention held as it "
    "is. This leaves out that a patch also decides where the tower looks: exact, not causal.",
    "outside windows": "The share of patch tokens that no window on screen covers, in modules that read every token.",
    "unexplained": "The part of a score that no share accounts for, because an operation is not linear and cannot be held. The operation is named beside it.",
    "bias share": "The part of a score that comes from the biases of the add-on, not from any token.",
    "residual": "The score minus the sum of all shares, relative to the sum of their sizes: rounding, below 1e-5, unless a part is unexplained.",
    "attribution": "How much each pixel, token or window adds to a score, as one of several methods estimates it. The exact split is not an estimate: its parts add up to the score.",
    "identity": "Which person or vehicle an image shows; its number is the pid.",
    "camera": "Which camera took an image; its number is the camid.",
    "modality": "What an image was taken in: RGB, near infrared (NI) or thermal infrared (TI).",
    "together": "Several modalities of one sample as one: their features joined and ranked as they are, or, equalised, each brought to unit length first.",
    "query": "The image whose identity is looked for.",
    "gallery": "The images that are ranked for a query.",
    "match": "An image of the gallery that shows the query's identity.",
    "result": "One of the gallery images that come first in a query's ranking; k is how many are shown.",
    "matching rule": "Which images are left out of a query's gallery: those of the same identity and camera, of the same identity and scene, or none.",
    "mAP": "The mean over queries of the average precision, 0..1: how early all matches come in the ranking.",
    "mINP": "The mean over queries of the number of matches divided by the rank of the last one, 0..1: how far down the "
    "hardest match is.",
    "Rank-1": "The part of the queries whose first result is a match.",
    "margin": "Similarity of a query's best wrong result minus that of its worst match: above 0, something wrong comes before a match.",
    "perplexity": "About how many neighbours of each image a map keeps close to it. With few images it is lowered.",
    "coupling": "How strongly a joint map pulls the plain and the enhanced place of one image together. "
    "How similar the two maps look is set by it, so judge an add-on by the measures.",
    "thermal range": "The values shown as black and white in images of more than 8 bits.",
    "SIE": "A host model's embedding of the camera, added to the tokens.",
    "neck": "A host model's BatchNorm behind the feature. Shares, measures and training follow it where retrieval looks behind it.",
    "provenance": "Which weights, add-on, activation, input size and normalisation a result comes from.",
}
"""Term -> what it means."""


def explained(control: Control, *terms: str, hint: str = "") -> Control:
    """The control, with what its term means as its tooltip; several terms and a hint stand on lines of their own."""
    lines = [TERMS[term] if len(terms) == 1 else f"{term}: {TERMS[term]}" for term in terms]
    control.tooltip = "\n".join([*lines, hint] if hint else lines)
    return control
