"""Layer `analysis` of mswin_viz."""
