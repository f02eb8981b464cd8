"""Layer `cli` of mswin_viz: the command ``mswin-viz``."""

from mswin_viz.cli.app import app, main

__all__ = ["app", "main"]
