"""What a search by text found: ranked rows of each modality, and the words that mean nothing to the text tower."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.data.shown_text import counted, short_text
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.prompts import words_shown

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float, Int

    from mswin_viz.analysis.embeddings.table import EmbeddingTable

_MOST_OF_A_PROMPT = 80  # characters in a sentence


@dataclass(frozen=True, eq=False, kw_only=True)
class TextHits:
    """The first rows of one modality for one prompt, the nearest first.

    Attributes
    ----------
    prompt, modality
        What was looked for, and among which rows.
    rows, cosine
        Rows of the table and their cosine with the prompt, ``[k]``; fewer where there are fewer rows.
    n_ranked, n_left_out
        How many rows were ranked, and how many have no direction (all 0 or not finite) and were not.
    """

    prompt: str
    modality: str
    rows: Int[np.ndarray, " k"]
    cosine: Float[np.ndarray, " k"]
    n_ranked: int
    n_left_out: int


@dataclass(frozen=True, eq=False, kw_only=True)
class TextSearch:
    """The rows of a table that are nearest to texts. Made by :func:`mswin_viz.search_text`.

    Attributes
    ----------
    table
        What was searched.
    hits
        One for each prompt and modality, prompt by prompt.
    prompts
        The texts, in order.
    directions
        Their features of unit length, ``[P, D]`` float64.
    unknown
        Prompt -> its words and symbols that the text tower was never trained on; empty where it knows all.
    feature, splits
        ``"plain"`` or ``"enhanced"``, and the splits whose rows were ranked; ``""`` is that of rows without one.

    Examples
    --------
    >>> table = mv.embed(model, samples[:16], progress=False)
    >>> found = mv.search_text(model, table, "a person with a zebra and a red top", k=3)
    >>> print(found.sentences()[0])
    The text tower was never trained on: zebra (in “a person with a zebra and a red top”); what it makes of them means nothing.
    >>> found.of("TI").rows.shape, found.to_pandas().columns.tolist()[-3:]
    ((3,), ['prompt', 'rank', 'cosine'])
    """

    table: EmbeddingTable
    hits: tuple[TextHits, ...]
    prompts: tuple[str, ...]
    directions: Float[np.ndarray, "prompt dim"]
    unknown: Mapping[str, tuple[str, ...]]
    feature: str
    splits: tuple[str, ...]

    def __repr__(self) -> str:
        kinds = ", ".join(dict.fromkeys(found.modality for found in self.hits))
        n = len(self.prompts)
        return f"TextSearch({counted(n, 'prompts')} in {kinds}; {self.feature} CLS)"

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def of(self, modality: str, prompt: str | None = None) -> TextHits:
        """The hits of one modality, for the first prompt unless another is named. Raises OptionError if there are none."""
        wanted = self.prompts[0] if prompt is None else prompt
        for found in self.hits:
            if found.modality == modality and found.prompt == wanted:
                return found
        there = ", ".join(dict.fromkeys(found.modality for found in self.hits))
        raise OptionError(
            f"hits are of a modality and a prompt that were searched: got {modality!r} and {wanted!r:.80}; the modalities "
            f"are {there}, the prompts are in .prompts"
        )

    def sentences(self) -> list[str]:
        """Words that mean nothing, then what was ranked and the best cosine in each modality, prompt by prompt."""
        return [*self.unknown_sentences(), *map(self._in_words, self.hits)]

    def unknown_sentences(self) -> list[str]:
        """For each prompt with such words, which the text tower was never trained on."""
        return [
            f"The text tower was never trained on: {words_shown(words)} (in “{short_text(prompt, _MOST_OF_A_PROMPT)}”); "
            "what it makes of them means nothing."
            for prompt, words in self.unknown.items()
            if words
        ]

    def to_pandas(self) -> pd.DataFrame:
        """A line for each hit: the columns of :meth:`EmbeddingTable.to_pandas`, then prompt, rank (from 1) and cosine.

        The index is the row in the table.
        """
        import pandas as pd  # slow to import, and not needed to rank

        about = self.table[np.concatenate([found.rows for found in self.hits])].to_pandas()
        about["prompt"] = [found.prompt for found in self.hits for _ in found.rows]
        about["rank"] = np.concatenate([np.arange(1, len(found.rows) + 1) for found in self.hits])
        about["cosine"] = np.concatenate([found.cosine for found in self.hits])
        about.index = pd.Index(np.concatenate([found.rows for found in self.hits]))
        return about

    def _in_words(self, found: TextHits) -> str:
        bad = f"; {found.n_left_out} without a direction left out" if found.n_left_out else ""
        return (
            f"“{short_text(found.prompt, _MOST_OF_A_PROMPT)}” in {found.modality}: {counted(found.n_ranked, 'images')} ranked by the "
            f"cosine of the {self.feature} CLS, from {found.cosine[0]:.3f} down to {found.cosine[-1]:.3f} at rank "
            f"{len(found.rows)}{bad}."
        )
