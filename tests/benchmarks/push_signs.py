"""How often share and net push say what removing a window does, on the shipped samples.

``python tests/benchmarks/push_signs.py``: for every trained window of every image (RGB) and three prompts, whether the sign
is that of the window's removal: a part that raises the cosine lowers it when it is removed. No test: a few minutes.
"""

from __future__ import annotations

import numpy as np

import mswin_viz as mv
from mswin_viz.analysis.shares.decomposition import decomposed
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.net_push import pushes_of, shares_of_norm
from mswin_viz.analysis.shares.window_removal import remove_each_window

PROMPTS = ("a person wearing a red top", "a person in blue trousers", "a person carrying a backpack")


def main() -> None:
    """Print the agreement for each prompt, and for each scale over all prompts."""
    model, samples = mv.load_model(), mv.samples("data_samples")
    weights = fusion_weights(model.addon)
    tokens = model.encode([sample.images["RGB"] for sample in samples])
    state = weights.run(tokens)
    counts = {}
    for prompt in PROMPTS:
        direction = model.encode_text(prompt)[0].double().numpy()
        cosine = decomposed(state, np.tile(direction, (len(tokens), 1))).cosine()
        pushes = pushes_of(cosine, shares_of_norm(state))
        for slot, scale in enumerate(weights.scales):
            left = remove_each_window(tokens, weights, direction, slot)
            said = {
                "share": cosine.slot(slot).windows,
                "share, norm kept": cosine.slot(slot).windows,
                "net push": pushes.slot(slot).windows,
            }
            removed = dict.fromkeys(said, -left.cosine_change)
            removed["share, norm kept"] = -left.change
            for name, values in said.items():
                agree = np.sign(values) == np.sign(removed[name])
                for key in ((prompt, name), (f"scale {scale}", name), ("all", name)):
                    right, n = counts.get(key, (0, 0))
                    counts[key] = (right + int(agree.sum()), n + agree.size)
    for (which, name), (right, n) in sorted(counts.items()):
        print(f"{which}: {name} has the removal's sign in {right} of {n} windows, {100 * right / n:.1f} %")


if __name__ == "__main__":
    main()
