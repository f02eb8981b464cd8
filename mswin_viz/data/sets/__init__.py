"""Data sets on disk: their layouts, readers, manifests and reports."""
