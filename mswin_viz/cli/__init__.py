"""Layer `cli` of mswin_viz: the command ``mswin-viz``."""

import sys

try:
    from mswin_viz.cli.app import app, main
except KeyboardInterrupt:  # its imports take a moment, in which nothing else would catch this
    print("interrupted", file=sys.stderr)
    raise SystemExit(130) from None

__all__ = ["app", "main"]
