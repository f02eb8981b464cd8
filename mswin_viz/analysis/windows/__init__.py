"""Windows of tokens, and their activations."""

from mswin_viz.renamed import moved

__getattr__ = moved(__name__)
