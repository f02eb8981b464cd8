"""Draws docs/figures/attributions.png: methods side by side on two samples, beside the exact window shares and the exact split.

Run: python docs/figures/attributions.py
"""

from __future__ import annotations

from saved_picture import save_picture

import mswin_viz as mv
from mswin_viz.analysis.attribution.share_gap import exact_shares
from mswin_viz.view.attributions.figures import attributions_figure
from mswin_viz.view.parts.figure_file import figure_bytes

PROMPT = "a person wearing a black top"
ATTENTION = ("attention_rollout", "legrad", "attention_relevance")


def main() -> None:
    model, samples = mv.load_model(device="cpu"), mv.samples()
    images = [samples[at].images["RGB"] for at in range(0, len(samples), len(samples) // 4)][:2]
    target, tokens = mv.Target.text(PROMPT), model.encode(images, progress=False)
    maps = {f"exact shares, scale {s}": exact_shares(model, tokens, target, s) for s in model.addon.scales}
    maps["exact_split"] = mv.attribute(
        model, images, target, method="exact_split", level="tokens", baseline="mean"
    )
    for method in ("integrated_gradients", "smoothgrad", "occlusion", "feature_ablation"):
        maps[method] = mv.attribute(model, images, target, method=method)
    block = model.clip.visual.transformer.layers - 2
    maps["gradcam"] = mv.attribute(model, images, target, method="gradcam", level="tokens", block=block)
    maps |= {m: mv.attribute(model, images, target, method=m, level="tokens") for m in ATTENTION}
    words = f"cosine with “{PROMPT}”, enhanced CLS; {model.provenance}"
    figure = attributions_figure([model.displayed(image) for image in images], maps, provenance=words)
    save_picture(figure_bytes(figure, "png", dpi=100), "attributions")


if __name__ == "__main__":
    main()
