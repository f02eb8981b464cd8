"""Layer `data` of mswin_viz."""
