"""Layer `model` of mswin_viz."""
