"""Layer `view` of mswin_viz."""
