"""The files of tests that ``make check`` runs: no browser, no notebook, no training, no embedded model, about a minute in all."""

from __future__ import annotations

__all__ = ["QUICK"]

_PROJECT = "architecture check_site counted html_sources release shapes writers"
_DATA = """
    caption_table contact_sheet damaged_headers deep_images image_arrays image_lists images layouts names options
    output_checks picture_facts reid_sets shown_text spreadsheet_cells stored_records thermal_range typed_paths
    unreadable_folders
"""
_MODEL = "addon_files config heads losses mixture positions sliding_window state_dicts stored_settings tokens zip_directories"
_ANALYSIS = """
    ablation activations decomposition feature_spaces fusion mixture_shares paired_statistics projection_quality
    retrieval scale_view shuffling windows zeroshot
"""
_VIEW = "maps markup query_choice"
QUICK = frozenset(f"test_{name}.py" for name in f"{_PROJECT} {_DATA} {_MODEL} {_ANALYSIS} {_VIEW}".split())
"""Names of files; a new file whose tests take a second or two belongs here."""
