"""Panels of one number for each patch: shares of tokens, cosines to the plain CLS, and the CLS by input patch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.scales.panels import Panel, token_panel
from mswin_viz.analysis.scales.request import Subject
from mswin_viz.analysis.shares.cls_split import ClsSplit
from mswin_viz.analysis.shares.fusion import float64
from mswin_viz.analysis.windows.geometry import windows

if TYPE_CHECKING:
    from jaxtyping import Float

CLS_PANEL = "cls"
"""Key of the panel of the CLS by input patch, which is there only on request."""

CLS_IN_WORDS = (
    "each input patch's exact part of the CLS share, through all blocks of the tower, with attention, norms and "
    "activations held. Held attention leaves out that a patch also decides where the tower looks: exact, not causal"
)


_THROUGH_ALL = {
    "removal": "what the cosine changes by when the patch's terms are removed from all slots, norm and gates computed again",
    "push": "each patch's exact net push on the cosine, through all slots of the fusion together",
    "share": "each patch's exact share of the cosine, through all slots of the fusion together",
}
_OF_A_MODULE = {
    "removal": "what the cosine changes by when the patch token is zero and the module runs again",
    "push": "each patch token's net push on the cosine",
    "share": "each patch token's share of the cosine",
}


def fused_panel(subject: Subject, values: Float[np.ndarray, "batch token"], value: str) -> Panel:
    """What each patch token does to the cosine, through all slots together or through a module without slots."""
    geometry = windows(subject.tokens.grid, 1)
    words = (_OF_A_MODULE if subject.is_of_tokens else _THROUGH_ALL)[value]
    title = ("token shares" if value == "share" else "tokens") if subject.is_of_tokens else "fused"
    return token_panel("fused", title, geometry, values, value, words)


def plain_panel(subject: Subject) -> Panel:
    """Cosine of each patch token to its image's plain CLS: what CLIP shows with no add-on; both behind the neck."""
    tokens = subject.tokens
    patches = tokens.patches if tokens.neck is None else tokens.neck(tokens.patches)
    cls, patches = float64(tokens.cls), float64(patches)
    lengths = np.linalg.norm(cls, axis=1)[:, None] * np.linalg.norm(patches, axis=2)
    dots = np.einsum("bd,bnd->bn", cls, patches)
    values = np.divide(dots, lengths, out=np.full_like(dots, np.nan), where=lengths > 0)
    words = "cosine of each patch token to the image's plain CLS: no add-on in it"
    return token_panel("plain", "plain CLS", windows(tokens.grid, 1), values, "cosine", words)


PLAIN_PANELS = {"plain": plain_panel}
"""Key -> panel of one number for each patch token that needs no add-on; every view has them, in this order."""
PATCH_PANELS = ("fused", *PLAIN_PANELS)
"""Keys of the panels whose numbers are of patch tokens that an add-on, if there is one, reads."""


def cls_panel(
    subject: Subject, splits: Sequence[ClsSplit] | None, order: Sequence[int] | None = None
) -> Panel:
    """The CLS share of each image by input patch; no number before it is split.

    ``splits`` has one of one image for each row, in units of the cosine. ``order`` says which patch stands at each place
    where tokens are shuffled: the tower saw them before that.
    """
    n_tokens = subject.tokens.patches.shape[1]
    if splits is None:
        values, words = np.full((len(subject.tokens), n_tokens), np.nan), "computing ..."
    else:
        values, words = np.concatenate([split.patches for split in splits]), CLS_IN_WORDS
        values = values if order is None else values[:, np.asarray(order)]
    return token_panel(
        CLS_PANEL, "CLS by input patch", windows(subject.tokens.grid, 1), values, "share", words
    )
