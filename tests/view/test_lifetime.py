"""Views that are closed leave nothing; views that are not leave little: widgets, threads and memory are counted."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from PIL import Image

import mswin_viz as mv
from mswin_viz.analysis.embedding_table import EmbeddingTable, embed
from mswin_viz.analysis.fusion import fusion_weights
from mswin_viz.analysis.kept_tokens import KeptTokens
from mswin_viz.analysis.projection import fast_settings
from mswin_viz.errors import ClosedError
from mswin_viz.view.heatmap import HeatmapBoard
from mswin_viz.view.lifetime import is_closed, parts_of
from tests.analysis.tiny import SIZE, tiny_model
