"""Names that a page, a formula or a style sheet would run, and a data set and a model that bear them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mswin_viz.data.sample import Sample
from mswin_viz.model.encoder.backbone import Model
from support.tiny import pictures, tiny_model

HIT = "window.__hit=1"
NAMES = (
    f"<img src=x onerror={HIT}>",
    f'"><svg onload={HIT}>',
    f"'-{HIT}-'",
    f'" onmouseover="{HIT}" autofocus onfocus="{HIT}" x="',
    "&lt;b&gt;&amp;&quot;",
    f"javascript:{HIT}",
    "".join(["$", "\\href{javascript:", HIT, "}{x}$"]),
    f"`${{{HIT}}}` {{{{{HIT}}}}}",
    "<!-- <b>bold",
    "_under $ \\frac{ $x_$",
)
"""As file names: without a slash."""
WORDS = (
    *NAMES,
    f"</style><script>{HIT}</script>",
    f"</textarea></option></select></td></table><img src=x onerror={HIT}>",
    f"\\({HIT}\\) \\[x\\]",
)
"""As prompts, captions, and names of weights."""
BROKEN = (
    "two\nlines\r\tand a tab",
    "bell\x07 escape\x1b[31m delete\x7f next\x85",
    "no text \udce9 \udcff",
    "turned \u202egnp.exe\u202c \u2066round\u2069",
    "line\u2028separator paragraph\u2029",
    "n" * 240,
)
"""What breaks lines, files and the order of letters, or is very long; as file names, too."""


def hostile_samples(folder: Path, names: Sequence[str] = NAMES) -> list[Sample]:
    """A sample for each name, in RGB and NI, in a folder whose path holds a closing tag; half of unknown identity."""
    folder = folder / "set<" / f"style><script>{HIT}<" / "script>"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for at, (name, picture) in enumerate(zip(names, pictures(len(names)), strict=True)):
        files = {}
        for turn, kind in enumerate(("RGB", "NI")):
            (folder / kind).mkdir(exist_ok=True)
            files[kind] = folder / kind / f"{name}.png"
            Image.fromarray(np.roll(picture, turn, axis=2)).save(files[kind], format="PNG")
        known = at < len(names) // 2
        caption = WORDS[-1 - at % len(WORDS)] if names is NAMES else f"{name}\0 of a caption"
        found.append(Sample(at % 2 if known else -1, at if known else -1, files, caption=caption))
    return found


def hostile_model() -> Model:
    """The tiny model with hostile names of weights, add-on and notes."""
    model = tiny_model()
    tower = replace(model.tower, weights=WORDS[-3], notes=(WORDS[0], WORDS[-2]))
    return replace(model, tower=tower, addon_origin=WORDS[-2])
