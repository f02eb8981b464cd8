"""Ranks the gallery by its cosine with texts, each modality by itself, a block of rows at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from mswin_viz.analysis.arrays import check_counts, unit_rows, unit_rows_or_nan
from mswin_viz.analysis.attribution.target import FEATURES
from mswin_viz.analysis.embeddings.given import checked_table
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.ranking import DIGITS, ranked
from mswin_viz.analysis.text_search.record import TextHits, TextSearch
from mswin_viz.data.options import options_of
from mswin_viz.data.sample import SPLITS
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.given import checked_model

if TYPE_CHECKING:
    from jaxtyping import Float, Int

GALLERY = ("gallery", "test", "")
"""The splits whose rows a text finds unless others are asked for; ``""`` is that of rows without one."""
_BLOCK = 2048  # rows compared at once


class TextSearchOptions(TypedDict, total=False):
    """Options of :func:`search_text` by keyword; see there."""

    modalities: Sequence[str] | None
    feature: str
    k: int
    splits: Sequence[str] | None


@dataclass(frozen=True)
class TextSearchRequest:
    """`TextSearchOptions` with their defaults, checked."""

    modalities: Sequence[str] | None = None
    feature: str = "plain"
    k: int = 10
    splits: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_counts(1, k=self.k)
        if self.feature not in FEATURES:
            raise OptionError(f"feature must be one of {', '.join(FEATURES)}: got {self.feature!r}")
        for name in ("modalities", "splits"):
            given = getattr(self, name)
            if given is not None and (isinstance(given, str) or not given):
                raise OptionError(f"{name} is a list of at least one name: got {given!r}; write [{given!r}]")
        strange = [name for name in self.splits or () if name not in (*SPLITS, "")]
        if strange:
            raise OptionError(
                f'splits are some of {", ".join(SPLITS)}, and "" for rows without one: got {strange[0]!r}'
            )


def search_text(
    model: Model,
    table: EmbeddingTable,
    prompts: str | Sequence[str],
    **options: Unpack[TextSearchOptions],
) -> TextSearch:
    """Rank the rows of a table by their cosine with one text or several, each modality by itself.

    Rows of the query split are left out where a table has one: it is the gallery that is searched. Cosines equal to 12
    decimals keep the table's order. Features are compared a block of rows at a time: memory beside the table stays
    below 100 MB.

    Parameters
    ----------
    model
        Whose text tower reads the prompts; the one that embedded the table.
    table
        From :func:`mswin_viz.embed`, not joined: a text is compared with one image.
    prompts
        A text, or several.
    modalities : list of str
        Which rows are ranked; all there are by default.
    feature : str
        ``"plain"`` (the default) or ``"enhanced"``.
    k : int
        Hits in each modality, at most; 10 by default.
    splits : list of str
        Of which splits rows are ranked; by default of gallery, test and no split (``""``), or, where the table has no
        such row, of the training split.

    Returns
    -------
    found
        The hits of each prompt in each modality, and the words that the text tower was never trained on.

    Raises
    ------
    PromptError
        If a prompt is empty, too long, or made only of words the text tower never saw.
    OptionError
        If there is no such modality, feature or split in the table, the model has no text tower, or one of the two is
        something else.
    DataError
        If the table has no rows.
    ShapeError
        If rows are joined modalities, or of another width than the model's features.

    Examples
    --------
    >>> table = mv.embed(model, samples, progress=False)
    >>> found = mv.search_text(model, table, "a person in green trousers", modalities=["RGB"], k=4)
    >>> [samples[table.sample[row]].label for row in found.of("RGB").rows]
    ['id 1, camera 2', 'id 13, camera 2', 'id 1, camera 2', 'id 13, camera 1']
    >>> found.unknown["a person in green trousers"], found.splits
    ((), ('test',))
    """
    request = options_of(TextSearchRequest, options, function="search_text")
    table = checked_table(table)
    directions, unknown = text_directions(checked_model(model), prompts)
    modalities = searched_modalities(table, request.modalities)
    splits = searched_splits(table, request.splits)
    rows_of = {name: gallery_rows(table, name, splits) for name in modalities}
    cosines = {name: text_cosines(table, rows, directions, request.feature) for name, rows in rows_of.items()}
    hits = [
        _hits(prompt, name, rows_of[name], cosines[name][at], request.k)
        for at, prompt in enumerate(unknown)
        for name in modalities
    ]
    return TextSearch(
        table=table,
        hits=tuple(hits),
        prompts=tuple(unknown),
        directions=directions,
        unknown=unknown,
        feature=request.feature,
        splits=splits,
    )


def text_directions(
    model: Model, prompts: str | Sequence[str]
) -> tuple[Float[np.ndarray, "prompt dim"], dict[str, tuple[str, ...]]]:
    """Unit features of prompts, each once, float64, and each prompt's unknown words; errors as in `search_text`.

    The words are returned, and there is no warning of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        given = _each_once(prompts)
        features = model.encode_text(given)
    return unit_rows(features, "text"), {prompt: tuple(model.unknown_words(prompt)) for prompt in given}


def _each_once(prompts: Any) -> list[str]:
    """The prompts in order; if one is no text, that one alone, for the text tower to refuse."""
    is_list = isinstance(prompts, Iterable) and not isinstance(prompts, str | bytes)
    listed: list[Any] = list(prompts) if is_list else [prompts]
    strange = [one for one in listed if not isinstance(one, str)]
    return strange[:1] or list(dict.fromkeys(listed))


def gallery_rows(table: EmbeddingTable, modality: str, splits: Sequence[str]) -> Int[np.ndarray, " row"]:
    """Rows of one modality and some splits. Raises OptionError if there are no such rows."""
    rows = table.rows(modality)
    chosen = rows[np.isin(table.split[rows], splits)]
    if not len(chosen):
        there = ", ".join(sorted({name or '""' for name in table.split[rows].tolist()}))
        wanted = ", ".join(name or '""' for name in splits)
        raise OptionError(
            f"a text needs at least one image to rank: got {counted(len(rows), f'{modality} rows')} of the splits {there}, none of "
            f"{wanted}; name others with splits="
        )
    return chosen


def text_cosines(
    table: EmbeddingTable,
    rows: Int[np.ndarray, " row"],
    directions: Float[np.ndarray, "prompt dim"],
    feature: str,
) -> Float[np.ndarray, "prompt row"]:
    """Cosine of each prompt with each row, NaN where a row has no direction; behind the CLS token a text has nothing."""
    features, dim = getattr(table, feature), directions.shape[1]
    if table.plain.shape[1] != dim:
        raise ShapeError(
            f"a text is compared with rows as wide as its own feature, {dim}: got {table.plain.shape[1]}, in a table of "
            f"{', '.join(table.modalities)}; use a table of the same model whose modalities are not joined"
        )
    cosines = np.empty((len(directions), len(rows)))
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        cosines[:, block] = directions @ unit_rows_or_nan(features[rows[block]])[:, :dim].T
    return cosines


def searched_modalities(table: EmbeddingTable, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The wanted modalities, or all there are. Raises OptionError for one that the table lacks."""
    chosen = tuple(dict.fromkeys(table.modalities if wanted is None else wanted))
    missing = [name for name in chosen if name not in table.modalities]
    if missing:
        raise OptionError(
            f"modalities are some of the table's {', '.join(table.modalities)}: got {missing[0]!r}; embed it first, or "
            "leave it out"
        )
    return chosen


def searched_splits(table: EmbeddingTable, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The splits that are ranked, of those there are; the training split where nothing else may be."""
    there = dict.fromkeys(table.split.tolist())
    if wanted is not None:
        return tuple(dict.fromkeys(wanted))
    return tuple(name for name in GALLERY if name in there) or ("train",)


def _hits(
    prompt: str, modality: str, rows: Int[np.ndarray, " row"], cosines: Float[np.ndarray, " row"], k: int
) -> TextHits:
    has_direction = np.isfinite(cosines)
    rows, cosines = rows[has_direction], cosines[has_direction]
    if not len(rows):
        raise ShapeError(
            f"a text needs at least one image with a direction: got {counted(len(has_direction), f'{modality} rows')}, all 0 or not "
            "finite; leave this modality out with modalities="
        )
    order = ranked(cosines)[:k]
    return TextHits(
        prompt=prompt,
        modality=modality,
        rows=rows[order],
        cosine=np.round(cosines[order], DIGITS),
        n_ranked=len(rows),
        n_left_out=int((~has_direction).sum()),
    )
