"""Everything the maps show, as tables: CSV and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mswin_viz.analysis.comparison_record import Comparison
from mswin_viz.analysis.embedding_view import EmbeddingView
from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMATS", "export", "identities_frame", "measures_frame", "points_frame"]

FORMATS = ("csv", "parquet")


def points_frame(view: EmbeddingView) -> pd.DataFrame:
    """One line for each row of the maps: who and which file, both places, and what is measured of it."""
    frame = view.table.to_pandas()
    for name, places in (("plain", view.projection.plain), ("enhanced", view.projection.enhanced)):
        frame[f"{name}_x"], frame[f"{name}_y"] = places.T
    for name in (
        "plain_ap",
        "enhanced_ap",
        "ap_change",
        "overlap",
        "plain_silhouette",
        "enhanced_silhouette",
    ):
        frame[name] = getattr(view, name)
    return frame


def identities_frame(view: EmbeddingView) -> pd.DataFrame:
    """One line for each modality and identity: mean average precision before and after."""
    import pandas as pd  # slow to import, and not needed to look

    parts = []
    for modality, comparison in view.comparisons.items():
        part = comparison.to_pandas()[0]
        part.insert(0, "modality", modality)
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"modality": [], "pid": []})


def measures_frame(view: EmbeddingView) -> pd.DataFrame:
    """One line for each modality: every measure of the full space; and the quality of the maps, which is of all rows.

    mAP, Rank-1 and overlap are fractions, over ``n_queries`` of ``n_asked`` queries; ``low`` and ``high`` end the 95 % interval of the change of mAP; a
    ``map_`` column says how faithful a map is to its own full space.
    """
    import pandas as pd

    quality = {
        f"map_{name}_{measure}": getattr(getattr(view.projection, f"{name}_quality"), measure)
        for name in ("plain", "enhanced")
        for measure in ("trustworthiness", "continuity", "knn_recall")
    }
    lines = [
        {"modality": modality, **_measures(comparison), **quality}
        for modality, comparison in view.comparisons.items()
    ]
    return pd.DataFrame(lines or [{"modality": "+".join(view.table.modalities), **quality}])


def export(
    view: EmbeddingView,
    folder: str | Path,
    *,
    formats: Sequence[str] = FORMATS,
    provenance: str = "",
) -> list[Path]:
    """Write points, identities and measures as tables, one file for each and each format.

    Parameters
    ----------
    view
        What is shown.
    folder
        Made if it is not there; files of the same names are replaced.
    formats
        Some of ``FORMATS``.
    provenance
        Which weights: written into a column, so that it stays with the numbers.

    Returns
    -------
    paths
        What was written.

    Raises
    ------
    OptionError
        If a format is none of these.
    """
    strange = [name for name in formats if name not in FORMATS]
    if strange or not formats:
        raise OptionError(f"formats are some of {', '.join(FORMATS)}: got {tuple(formats)}")
    folder, settings = Path(folder), view.settings
    folder.mkdir(parents=True, exist_ok=True)
    frames = {
        "points": points_frame(view),
        "identities": identities_frame(view),
        "measures": measures_frame(view).assign(**vars(settings)),
    }
    written = []
    for name, frame in frames.items():
        whole = _as_text(frame.assign(weights=provenance) if provenance else frame)
        for kind in formats:
            path = folder / f"{name}.{kind}"
            if kind == "csv":
                whole.to_csv(path, index=False)
            else:
                whole.to_parquet(path, index=False)
            written.append(path)
    return written


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with names of files and weights as text that every format takes."""
    words = frame.select_dtypes(include=["object", "string"])
    return frame.assign(**{name: words[name].map(_shown) for name in words})


def _shown(value: object) -> object:
    return shown_text(value) if isinstance(value, str) else value


def _measures(comparison: Comparison) -> dict[str, float | str]:
    gap = comparison.difference_interval
    numbers = {
        "plain_mAP": comparison.plain.mAP,
        "enhanced_mAP": comparison.enhanced.mAP,
        "change": gap.value,
        "low": gap.low,
        "high": gap.high,
        "p": comparison.test.p,
        "verdict": comparison.verdict,
        "n_identities": len(comparison.identities),
        "n_queries": comparison.plain.n_answered,
        "n_asked": comparison.plain.n_queries,
        "metric": comparison.plain.metric,
        "overlap": float(comparison.overlap.mean()),
        "overlap_k": comparison.k,
        "cka": comparison.cka,
    }
    for name, report in (("plain", comparison.plain), ("enhanced", comparison.enhanced)):
        numbers |= {f"{name}_rank{rank}": value for rank, value in report.cmc.items()}
    return numbers
