"""What a view is given, checked before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping

from mswin_viz.analysis.embeddings.view import EmbeddingView
from mswin_viz.data.shown_text import is_encodable, short_text
from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model


def given_model(model: object) -> Model:
    """The one model of a view; an `OptionError` for anything else, two models among them."""
    if isinstance(model, Model):
        return model
    if isinstance(model, Mapping | list | tuple):
        raise OptionError(
            f"a view shows one model: got a {type(model).__name__} of {len(model)}; make a view for each, or compare two "
            "models in a ScaleExplorer"
        )
    raise OptionError(
        f"an explorer shows a model: got {value_words(model)}; make one with mswin_viz.load_model"
    )


def given_view(view: object) -> EmbeddingView:
    """A view of embeddings. Raises OptionError for anything else."""
    return of_kind(
        view, EmbeddingView, "view must be a view of embeddings", "make one with mswin_viz.embedding_view"
    )


def given_prompt(prompt: object) -> str:
    """The text of a prompt; an `OptionError` for anything else."""
    if isinstance(prompt, str) and is_encodable(prompt):
        return prompt
    if isinstance(prompt, str):
        raise OptionError(
            f"prompt must be a text that UTF-8 can hold: got {short_text(prompt, 60)!r}; write its words anew"
        )
    raise OptionError(
        f"prompt must be a text: got {value_words(prompt)}; give a sentence such as 'a person wearing a red top'. A "
        "ScaleExplorer takes several, one a line"
    )
