"""The model that a function is given, checked before anything is made of it."""

from __future__ import annotations

from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.model.encoder.backbone import Model


def checked_model(model: object) -> Model:
    """A model. Raises OptionError for anything else."""
    return of_kind(model, Model, "model must be a model", "make one with mswin_viz.load_model")
