"""Tells splits by the names of folders, and finds the data set's folder around them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_WORDS = {
    "train": r"(bounding_box_|bbox_|image_)?train(ing)?(_(set|\d+))?|mask_train_v2|trainset",
    "query": r"(image_)?query\d?|(image_)?probe|bounding_box_query",
    "gallery": r"gallery|bounding_box_test|bounding_box_gallery|bbox_test|image_test|image_gallery",
    "test": r"test(ing)?(_(set|\d+))?|testset|mask_test_v2",
}
_PATTERNS = {split: re.compile(words) for split, words in _WORDS.items()}


@lru_cache(maxsize=65536)
def split_level(place: tuple[str, ...]) -> tuple[int, str | None]:
    """Position of the deepest folder that names a split, and the split; the length and None if none does."""
    for at in range(len(place) - 1, -1, -1):
        for split, pattern in _PATTERNS.items():
            if pattern.fullmatch(place[at].lower()):
                return at, split
    return len(place), None


def splits_of(places: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[tuple[str, ...], str | None]]:
    """Place -> folder of the data set around its split folder, and the split; ``test`` beside a query is the gallery."""
    levels = {place: split_level(place) for place in places}
    with_query = {place[:at] for place, (at, split) in levels.items() if split == "query"}
    return {
        place: (place[:at], "gallery" if split == "test" and place[:at] in with_query else split)
        for place, (at, split) in levels.items()
    }
