"""Every public function refuses what it cannot take in words, whichever of its arguments it is."""

from __future__ import annotations

STRANGE = (None, "m", 7, object(), [1, 2])
"""What is no model, sample, table, tokens, record, grid or array of numbers for each image."""
GIVEN = {
    "ablate_people": "model", "attribute": "model image target", "attributions_figure": "pictures maps", "change_figure": "view",
    "cls_by_block": "model image vector", "cls_by_patch": "model image vector", "compare": "array array pids",
    "compare_with_nulls": "array array nulls pids", "coupling_sweep": "array array", "cross_modality": "table",
    "curves_figure": "checks", "decompose": "tokens addon vector", "describe_windows": "geometry", "embed": "model samples",
    "embedding_view": "table", "estimate_extraction": "samples", "exact_shares": "tokens addon target", "export_store": "store",
    "extend": "projection array array", "extract": "samples", "findings_figure": "found", "fusion_weights": "addon",
    "gap_figure": "gap", "gate_weights": "tokens addon", "held_out": "pids", "labelled_tokens": "model crowd", "maps_figure": "view",
    "measures_figure": "view", "missing_modalities": "table", "modality_classes": "worlds", "near_duplicates": "table",
    "neighbours": "table row", "net_pushes": "tokens addon vector", "norm_shares": "tokens addon", "null_features": "model tokens",
    "nulls_figure": "nulls", "occlusion_curves": "model samples", "open_store": "store", "outliers": "table",
    "pair_window_shares": "model table row row", "project": "array array", "project_some": "array array", "query_and_gallery": "samples",
    "query_table": "table", "randomisation_check": "model image target", "randomisation_figure": "picture checks",
    "rank_methods": "model image target", "ranked_figure": "table lists", "remove_each_window": "tokens weights vector slot",
    "rerank": "table", "retrieval": "array pids", "sample_tokens": "model samples", "search_text": "model table prompt",
    "share_gap": "tokens addon target", "shuffle_windows": "tokens weights run", "silhouette_figure": "view", "similarity_figure": "view",
    "split_leaks": "table", "text_recall": "model table samples", "thermal_range": "samples", "tiles": "grid tile",
    "train_addon": "tokens pids", "verify": "report", "windows": "grid scale", "wrong_identities": "table",
}  # fmt: skip
