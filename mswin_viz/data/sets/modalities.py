"""Tells modalities by the names of folders, and brings together the pictures of one shot across them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.sample import Problem
from mswin_viz.data.sets.files import Picture, Tree

AMBIGUOUS = "infrared"
"""The `modality_word` of a name that may mean near or thermal infrared."""
UNCLEAR = "may be near or thermal infrared: rename the folder to NI or TI, or list the pictures in a table manifest.csv"
"""What messages say about a folder with such a name."""
_WORDS = {
    "RGB": "rgb vis visible visual visiblelight color colors colour colours truecolor",
    "NI": "ni nir near nearir nearinfrared nearinfra",
    "TI": "ti tir th thermal thermals thermalir thermalinfrared therm lwir longwave longwaveir longwaveinfrared fir "
    "farir farinfrared",
    AMBIGUOUS: "ir infrared infra infrareds swir mwir",
}
_MEANING = {word: modality for modality, words in _WORDS.items() for word in words.split()}
_PLAIN_IN_PAIRS = {
    "ni", "near", "ti", "th", "color", "colors", "colour", "colours", "vis", "visual", "fir", "infra",
}  # fmt: skip
_FILLERS = {
    "image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos", "frame", "frames",
    "file", "files", "filename", "path", "paths", "modality", "modal", "data", "folder", "dir", "crop", "crops",
}  # fmt: skip
_NUMBERED = re.compile(r"^\d{1,2}[_\-. ]+(?=\D)")  # a place in a list: 2_NI
_SEPARATORS = re.compile(r"([_\-. ]+)")
_TOKENS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")


@dataclass(frozen=True)
class Shot:
    """The pictures of one moment."""

    place: tuple[str, ...]  # names of the folders above, without those that name a modality
    stem: str  # of the file name; endings may differ between the modalities
    files: Mapping[str, Path]  # by modality
    absent: Mapping[str, Path]  # where the file of a modality should be that other shots have


@dataclass(frozen=True)
class Contents:
    """A tree whose pictures are sorted by the names of their folders."""

    tree: Tree
    shots: tuple[Shot, ...]  # pictures in folders that name a modality
    plain: tuple[Picture, ...]  # pictures in folders that name none
    unclear: tuple[Picture, ...]  # pictures in folders that may mean near or thermal infrared
    problems: tuple[Problem, ...]  # files that share their name and modality with another one


@lru_cache(maxsize=4096)
def modality_word(name: str) -> tuple[str | None, str]:
    """The modality that a name means (or `AMBIGUOUS`, or None), and its other words, such as ``"train"`` of ``train_nir``.

    Case, separators, a plural, a number before the name and words such as "images" do not matter: ``near-infrared``,
    ``NIR_images`` and ``Ni`` mean the same. Short words with other meanings (``th``, ``near``) count only if they stand
    alone.
    """
    tokens = [token.lower() for token in _TOKENS.findall(_NUMBERED.sub("", name))]
    core = [token for token in tokens if token not in _FILLERS]
    joined = "".join(core)
    whole = _MEANING.get(joined) or _MEANING.get(joined.removesuffix("s"))
    if whole is not None:
        return whole, ""
    words, rest, at = set(), [], 0
    while at < len(core):
        length, word = _longest(core[at:])
        words |= {word} - {None}
        rest += [] if word else [core[at]]
        at += length
    return (words.pop(), "_".join(rest)) if len(words) == 1 else (None, name)


def _longest(tokens: list[str]) -> tuple[int, str | None]:
    """How many of the first tokens make a word that names a modality even beside other words, and which."""
    for length in (3, 2, 1):
        text = "".join(tokens[:length])
        if len(tokens) >= length and text in _MEANING and text not in _PLAIN_IN_PAIRS:
            return length, _MEANING[text]
    return 1, None


def modality_of(name: str) -> str | None:
    """The modality that a name states beyond doubt, without other words than those such as "images"."""
    word, rest = modality_word(name)
    return word if word in MODALITIES and not rest else None


def mentions_infrared(name: str, *, certain: bool = False) -> bool:
    """Whether a part of a name can mean infrared light; with ``certain``, whether it can mean nothing else."""
    tokens = {token.lower() for token in _TOKENS.findall(name)}
    words = {token for token in tokens if _MEANING.get(token) not in (None, "RGB")} - {"near"}
    return bool(words - _PLAIN_IN_PAIRS if certain else words)


@dataclass(frozen=True)
class _Placed:
    """A picture whose folder names a modality, ``level`` folders above the file."""

    picture: Picture
    modality: str
    place: tuple[str, ...]
    level: int


def contents(tree: Tree) -> Contents:
    """Sort a tree's pictures by modality, and bring together those of one place and name as shots."""
    meaning = cache(_meaning)
    placed, plain, unclear = [], [], []
    for picture in tree.pictures:
        word, place, level = meaning(picture.parts)
        if word in MODALITIES:
            placed.append(_Placed(picture, word, place, level))
        else:
            (plain if word is None else unclear).append(picture)
    shots, problems = _shots(placed)
    return Contents(tree, tuple(shots), tuple(plain), tuple(unclear), tuple(problems))


def _meaning(parts: tuple[str, ...]) -> tuple[str | None, tuple[str, ...], int]:
    """The modality of the deepest folder that names one, the place without such folders, and how far up that folder is."""
    words = [modality_word(name) for name in parts]
    named = [at for at, (word, _) in enumerate(words) if word is not None]
    if not named:
        return None, parts, 0
    at = named[-1]
    if words[at][0] == AMBIGUOUS:  # an infrared folder inside one that says which infrared
        clear = [n for n in named if words[n][0] in ("NI", "TI")]
        if not clear:
            return AMBIGUOUS, parts, 0
        at = clear[-1]
    place = [name if word is None else rest for name, (word, rest) in zip(parts, words, strict=True)]
    return words[at][0], tuple(filter(None, place)), len(parts) - at


def _shots(placed: list[_Placed]) -> tuple[list[Shot], list[Problem]]:
    groups: dict[tuple[tuple[str, ...], str], list[_Placed]] = defaultdict(list)
    folders: dict[tuple[str, ...], dict[str, Path]] = defaultdict(dict)
    folded = {one.place: tuple(name.casefold() for name in one.place) for one in placed}
    for one in placed:
        place = folded[one.place]
        groups[place, _bare(one.picture.path.stem, one.modality)].append(one)
        folders[place].setdefault(one.modality, one.picture.path.parent)
    present = {one.modality for one in placed}
    paired = any(len({one.modality for one in group}) > 1 for group in groups.values())
    expected = [name for name in MODALITIES if name in present] if paired else []
    shots, problems = [], []
    for (place, stem), group in groups.items():
        for files, clashes in _without_clashes(group):
            beside = next(iter(files.values()))
            lacking = [] if clashes else [name for name in expected if name not in files]
            absent = {name: _where(name, beside, folders[place]) for name in lacking}
            paths = {name: files[name].picture.path for name in MODALITIES if name in files}
            shots.append(Shot(group[0].place, stem, paths, absent))
            problems += clashes
    if len(present) > 1 and not paired:
        problems.append(_unpaired(placed))
    return shots, problems


def _bare(stem: str, modality: str) -> str:
    """A name without the word for its modality: ``0001_nir`` in a folder of near infrared is ``0001``."""
    pieces = _SEPARATORS.split(stem)  # words at even positions, separators at odd ones
    stated = [n for n in range(0, len(pieces), 2) if _MEANING.get(pieces[n].lower()) == modality]
    for n in reversed(stated):
        del pieces[max(n - 1, 0) : n + 1 if n else 2]
    return "".join(pieces) or stem


def _without_clashes(group: list[_Placed]) -> list[tuple[dict[str, _Placed], list[Problem]]]:
    """The files of one place and name, divided into shots with at most one file of each modality."""
    if len({one.modality for one in group}) == len(group):
        return [({one.modality: one for one in group}, [])]
    counts = Counter(one.picture.path.suffix for one in group)
    shots: list[dict[str, _Placed]] = []
    rest = sorted(group, key=lambda one: -counts[one.picture.path.suffix])
    while rest:  # files of one ending belong together
        shot: dict[str, _Placed] = {}
        wanted = rest[0].picture.path.suffix
        for one in sorted(rest, key=lambda one: one.picture.path.suffix != wanted):
            shot.setdefault(one.modality, one)
        shots.append(shot)
        rest = [one for one in rest if one not in shot.values()]
    first = shots[0]
    return [(first, [])] + [
        (shot, [_clash(one, first[one.modality]) for one in shot.values()]) for shot in shots[1:]
    ]


def _clash(one: _Placed, other: _Placed) -> Problem:
    file, known = one.picture.path, other.picture.path
    shown = known.name if known.parent == file.parent else f"{known.parent.name}/{known.name}"
    detail = f"{shown} has the same name and modality; loaded as another sample"
    return Problem("same name twice", file, detail)


def _where(modality: str, beside: _Placed, folders: Mapping[str, Path]) -> Path:
    """Where the file of a missing modality should be, judged by that of another one."""
    path = beside.picture.path
    if modality in folders:
        return folders[modality] / path.name
    names = list(path.parts)
    if beside.level < len(names):
        names[-1 - beside.level] = modality
    return Path(*names)


def _unpaired(placed: Iterable[_Placed]) -> Problem:
    first = {}
    for one in placed:
        first.setdefault(one.modality, one.picture.path)
    names = ", ".join(f"{modality}: {path.name}" for modality, path in first.items())
    detail = f"no name is in two modalities ({names}); each file is loaded as a sample of its own modality"
    return Problem("modalities not paired", next(iter(first.values())), detail)
