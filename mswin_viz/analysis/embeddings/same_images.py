"""Tables of the same images brought into one order: row ``i`` of each is the same image, found by its file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mswin_viz.analysis.attribution.target import FEATURES
from mswin_viz.analysis.embeddings.given import checked_table
from mswin_viz.analysis.embeddings.named_features import MOST_OF_A_NAME, NamedFeatures, features_of
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, is_encodable, short_text, shown_text
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import DataError, OptionError

TablesByName = Mapping[str, EmbeddingTable | tuple[EmbeddingTable, str]]
"""Name -> a table, whose enhanced features are meant, or a table and ``"plain"`` or ``"enhanced"``."""
_ABOUT = {"pid": "identity", "camid": "camera", "scene": "scene", "split": "split"}
_MOST_NAMED = 3  # files
_Key = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class SameImages:
    """Named features whose tables have the same rows in the same order, and the samples that these rows belong to.

    ``numbers`` are those of each row's sample in the first table that was given.
    """

    features: NamedFeatures
    samples: list[Sample]
    numbers: np.ndarray


def ranked_features(given: EmbeddingTable | TablesByName) -> NamedFeatures:
    """A list for each of what was given: one table's plain and enhanced features, or tables by name, of the images that all have.

    Samples are counted as in the first table. Raises as :func:`same_images`, and `OptionError` for anything else.
    """
    if isinstance(given, EmbeddingTable):
        return features_of(checked_table(given))
    if not isinstance(given, Mapping):
        raise OptionError(
            f"ranked lists are of a table from mswin_viz.embed(), or of a dictionary name -> table: got {value_words(given)}"
        )
    found = same_images(given)
    return found.features.of_samples(found.numbers)


def is_tables(given: object) -> bool:
    """Whether something is meant as tables by name: a mapping with at least one table in it, alone or with a feature."""
    return isinstance(given, Mapping) and any(
        isinstance(value, EmbeddingTable)
        or (isinstance(value, tuple) and isinstance(value[:1] and value[0], EmbeddingTable))
        for value in given.values()
    )


def same_images(tables: TablesByName, samples: Sequence[Sample] | None = None) -> SameImages:
    """The images that every table has, in the first one's order.

    Rows are the same image if they have the same modality and file. Those that only some tables have are left out, and the
    notes name them.

    Parameters
    ----------
    tables
        Name -> table, or ``(table, "plain")`` for its plain features.
    samples
        Those of the rows, found by their files; put together from the rows if None.

    Raises
    ------
    OptionError
        If there is no table, a name is no text, a value no table, a feature unknown, or the tables say different things of an image.
    DataError
        If there is no image that all have, or one that no sample has.
    """
    if not isinstance(tables, Mapping):
        raise OptionError(
            f"tables have names to show: got {value_words(tables)}; give a dictionary, such as {{'baseline': table}}"
        )
    if not tables:
        raise OptionError(
            "ranked lists need at least one table: got an empty dictionary; see mswin_viz.embed()"
        )
    of = {checked_name(name): _checked(name, given) for name, given in tables.items()}
    keys = {name: row_keys(table) for name, (table, _) in of.items()}
    places = {name: {key: row for row, key in enumerate(found)} for name, found in keys.items()}
    first = next(iter(of))
    shared = [key for key in keys[first] if all(key in found for found in places.values())]
    if not shared:
        raise DataError(_nothing_shared(keys))
    rows = {name: np.array([found[key] for key in shared]) for name, found in places.items()}
    _check_agreement(of, rows)
    owners, listed = _owners(of[first][0][rows[first]], shared, samples)
    aligned = {
        name: (replace(table[rows[name]], sample=owners), feature) for name, (table, feature) in of.items()
    }
    return SameImages(
        NamedFeatures(_kept_once(of, aligned), notes=tuple(_left_out(keys, set(shared)))),
        listed,
        of[first][0].sample[rows[first]],
    )


def row_keys(table: EmbeddingTable) -> list[_Key]:
    """What each row is an image of: modality, files, and which of several rows of the same files it is, by split."""
    plain = [
        (modality, _files(files))
        for modality, files in zip(table.modality.tolist(), table.files, strict=True)
    ]
    return _numbered(plain, table.split.tolist())


def checked_name(name: object) -> str:
    """A name as it can be shown; an `OptionError` for anything but a text with something in it."""
    if not isinstance(name, str) or not name.strip():
        raise OptionError(
            f"tables have names to show: got {value_words(name)}; name each, such as 'baseline'"
        )
    if not is_encodable(name):
        raise OptionError(
            f"a name must be a text that UTF-8 can hold: got {short_text(name, 60)!r}; write it anew"
        )
    return str(name)


def _checked(name: str, given: object) -> tuple[EmbeddingTable, str]:
    table, feature = given if isinstance(given, tuple) and len(given) == 2 else (given, "enhanced")
    if not isinstance(table, EmbeddingTable):
        raise OptionError(
            f"a name leads to a table of mswin_viz.embed, or to a pair such as (table, 'plain'): got {value_words(given)} for "
            f"{short_text(name, MOST_OF_A_NAME)!r}"
        )
    if feature not in FEATURES:
        raise OptionError(
            f"features are {' or '.join(FEATURES)}: got {feature!r:.40} for {short_text(name, MOST_OF_A_NAME)!r}"
        )
    if not len(table):
        raise DataError(
            f"a table needs rows: got none in {short_text(name, MOST_OF_A_NAME)!r}; embed some images"
        )
    return table, feature


def _files(files: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{name} {os.path.abspath(str(file))}" for name, file in files.items())


def _numbered(keys: Sequence[_Key], splits: Sequence[str]) -> list[_Key]:
    """Each with how many equal ones come before it, in the order of their splits."""
    seen: Counter[_Key] = Counter()
    numbered: list[_Key] = [()] * len(keys)
    for at in sorted(range(len(keys)), key=lambda at: splits[at]):
        numbered[at] = (*keys[at], seen[keys[at]])
        seen[keys[at]] += 1
    return numbered


def _nothing_shared(keys: Mapping[str, Sequence[_Key]]) -> str:
    firsts = ", ".join(f"{shown_text(found[0][1][0])} in {name!r}" for name, found in list(keys.items())[:3])
    return (
        f"tables must be of the same images, which are compared by modality and file: got none that all {len(keys)} have (the "
        f"first rows: {firsts}); embed the same samples with each model"
    )


def _check_agreement(of: Mapping[str, tuple[EmbeddingTable, str]], rows: Mapping[str, np.ndarray]) -> None:
    """Refuse tables that differ in what they know of an image: their rankings would not be comparable."""
    first = next(iter(of))
    for column, word in _ABOUT.items():
        wanted = getattr(of[first][0], column)[rows[first]]
        for name, (table, _) in of.items():
            differs = np.flatnonzero(getattr(table, column)[rows[name]] != wanted)
            if len(differs):
                at = differs[0]
                path = table.path[rows[name][at]]
                raise OptionError(
                    f"tables must agree on the {word} of each image: got {wanted[at]} in {first!r} and "
                    f"{getattr(table, column)[rows[name][at]]} in {name!r} for {shown_text(path.name)}, and {counted(len(differs), 'images that differ', 'image that differs')} "
                    "in all; embed the same samples with each model"
                )


def _owners(
    table: EmbeddingTable, keys: Sequence[_Key], samples: Sequence[Sample] | None
) -> tuple[np.ndarray, list[Sample]]:
    """The sample of each row, numbered anew, and the samples."""
    if samples is None:
        numbers = {old: new for new, old in enumerate(dict.fromkeys(table.sample.tolist()))}
        owners = np.array([numbers[old] for old in table.sample.tolist()])
        return owners, [_sample_of(table, np.flatnonzero(owners == at)) for at in range(len(numbers))]
    listed = list(samples)
    by_key = _sample_keys(listed)
    found = [_sample_at(key, by_key) for key in keys]
    missing = [key for key, at in zip(keys, found, strict=True) if at is None]
    if missing:
        raise DataError(
            f"samples must be those of the tables: got {counted(len(missing), 'rows')} that none of the {counted(len(listed), 'samples')} has, the "
            f"first of {shown_text(_short(missing[0]))}; pass the samples that were embedded, or leave samples out"
        )
    return np.array(found), listed


def _sample_of(table: EmbeddingTable, rows: np.ndarray) -> Sample:
    images = {name: file for row in rows for name, file in table.files[row].items()}
    row = int(rows[0])
    scene = int(table.scene[row])
    return Sample(
        int(table.pid[row]), int(table.camid[row]), images,
        scene=None if scene < 0 else scene, split=str(table.split[row]) or None, root=table.root,
    )  # fmt: skip


def _sample_keys(samples: Sequence[Sample]) -> dict[_Key, int]:
    """Where each image is among the samples, by the text of its file and its place among equals."""
    entries = [
        ((_files({name: image})[0],), sample.split or "", at)
        for at, sample in enumerate(samples)
        for name, image in sample.images.items()
    ]
    numbered = _numbered([key for key, _, _ in entries], [split for _, split, _ in entries])
    return {key: at for key, (_, _, at) in zip(numbered, entries, strict=True)}


def _sample_at(key: _Key, by_key: Mapping[_Key, int]) -> int | None:
    """The sample of a row: of joined modalities, that of the first file."""
    _, files, number = key
    return by_key.get((files[0], number))


def _left_out(keys: Mapping[str, Sequence[_Key]], shared: set[_Key]) -> Iterable[str]:
    """For each table, which rows of the others it lacks."""
    every = dict.fromkeys(key for found in keys.values() for key in found if key not in shared)
    for name, found in keys.items():
        has = set(found)
        lacking = [key for key in every if key not in has]
        if lacking:
            named = ", ".join(shown_text(_short(key)) for key in lacking[:_MOST_NAMED])
            more = f" and {len(lacking) - _MOST_NAMED} more" if len(lacking) > _MOST_NAMED else ""
            yield (
                f"“{short_text(name, MOST_OF_A_NAME)}” lacks {counted(len(lacking), 'images')} that "
                f"another table has, left out of every list: {named}{more}."
            )


def _short(key: _Key) -> str:
    """Modality and name of a row's first file."""
    modality, files, _ = key
    return f"{os.path.basename(files[0])} ({modality})"


def _kept_once(
    of: Mapping[str, tuple[EmbeddingTable, str]], aligned: Mapping[str, tuple[EmbeddingTable, str]]
) -> dict[str, tuple[EmbeddingTable, str]]:
    """The aligned tables, one and the same where two names were given one table, so that it is prepared once."""
    kept: dict[int, EmbeddingTable] = {}
    return {
        name: (kept.setdefault(id(of[name][0]), table), feature) for name, (table, feature) in aligned.items()
    }
