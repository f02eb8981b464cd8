"""Everything the maps show, as tables: CSV and Parquet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.embeddings.view import EmbeddingView
from mswin_viz.analysis.measures.comparison_record import Comparison
from mswin_viz.data.images.image_source import Crop, joined_name
from mswin_viz.data.shown_text import shown_text, without_home
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.output_checks import output_file, output_folder
from mswin_viz.data.storage.spreadsheet_cells import csv_file
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "parquet")
_TABLES = ("points", "identities", "measures")


def points_frame(view: EmbeddingView) -> pd.DataFrame:
    """One line for each row of the maps: who and which file, both places, and what is measured of it.

    Paths are relative to the folder of the data set; of a file outside it, the name alone. Where the samples came
    from no single data set, they are relative to the folder around all files.
    """
    frame = view.table.to_pandas().assign(path=_names_below(view.table))
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

    mAP, mINP, Rank-1 and overlap are fractions, over ``n_queries`` of ``n_asked`` queries; ``low`` and ``high`` end the 95
    % interval of the change of mAP; a ``map_`` column says how faithful a map is to its own full space.
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
    return pd.DataFrame(lines or [{"modality": joined_name(view.table.modalities), **quality}])


def export(
    view: EmbeddingView, folder: str | Path, *, formats: Sequence[str] = FORMATS, provenance: str = ""
) -> list[Path]:
    """Write points, identities and measures as tables, one file for each and each format; gives their paths.

    The folder is made if it is not there; files of the same names are replaced. In CSV, text that a spreadsheet would
    take for a formula has a ``'`` in front. The provenance, which weights, is written into a column, so that it stays
    with the numbers, with ``~`` for the home folder. Raises OptionError if a format is not one of ``FORMATS``;
    OutputError if a file cannot be written.
    """
    strange = [name for name in formats if name not in FORMATS]
    if strange or not formats:
        raise OptionError(f"formats are some of {', '.join(FORMATS)}: got {tuple(formats)}")
    folder = output_folder(folder)
    paths = {(name, kind): output_file(folder / f"{name}.{kind}") for name in _TABLES for kind in formats}
    frames = {
        "points": points_frame(view),
        "identities": identities_frame(view),
        "measures": measures_frame(view).assign(**vars(view.settings)),
    }
    about = {"weights": without_home(shown_text(provenance))} if provenance else {}
    for (name, kind), path in paths.items():
        whole = frames[name].assign(**about)
        write_bytes(path, csv_file(whole) if kind == "csv" else whole.to_parquet(index=False))
    return list(paths.values())


def _names_below(table: EmbeddingTable) -> list[str]:
    """Each row's file without the folders above the data set."""
    files = [os.path.abspath(one.path if isinstance(one, Crop) else one) for one in table.path]
    root = os.path.abspath(table.root) if table.root else os.path.commonpath(map(os.path.dirname, files))
    return [shown_text(_below(one, file, root)) for one, file in zip(table.path, files, strict=True)]


def _below(source: Path | Crop, file: str, root: str) -> Path | Crop:
    path = Path(file)
    name = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    return replace(source, path=name) if isinstance(source, Crop) else name


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
    inp_gap = comparison.inp_difference_interval
    numbers |= {"plain_mINP": comparison.plain.mINP, "enhanced_mINP": comparison.enhanced.mINP}
    numbers |= {"mINP_change": inp_gap.value, "mINP_low": inp_gap.low, "mINP_high": inp_gap.high}
    numbers["mINP_p"] = comparison.inp_test.p
    for name, report in (("plain", comparison.plain), ("enhanced", comparison.enhanced)):
        numbers |= {f"{name}_rank{rank}": value for rank, value in report.cmc.items()}
    return numbers
