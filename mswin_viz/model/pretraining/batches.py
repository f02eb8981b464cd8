"""What one step of the embedded CLIP's training sees: pictures in three modalities, captions and prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import open_clip
import torch
from torch.utils.data import Dataset

from mswin_viz.data.synthetic.captions import caption_of
from mswin_viz.data.synthetic.identity import Identity, attributes, sample_identity
from mswin_viz.data.synthetic.render import render
from mswin_viz.model.pretraining.drawing_cache import drawn_once
from mswin_viz.model.pretraining.local_supervision import STEP, part_shares
from mswin_viz.model.pretraining.recipe import Recipe

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8

SHOTS_EACH = 2
"""Pictures of each person of a batch in each modality."""
PROMPT_LENGTH = 16
"""BPE tokens of a prompt about one attribute, start and end included."""

_SHAPES = ("upper_type", "lower_type", "any_bag", "bag", "hair", "hat")
_COLOURS = ("upper_colour", "lower_colour", "bag_colour", "hat_colour", "shoes_colour", "hair_colour")
NAMED = ("pattern", *_SHAPES, *_COLOURS)
"""Attributes that texts name."""
SEEN = {"RGB": NAMED, "NI": ("pattern", *_SHAPES), "TI": _SHAPES}
"""What each modality can see of them: near infrared no dye, thermal infrared no pattern either."""
_FULL = ("upper_colour", "pattern", "upper_type", "lower_colour", "lower_type", "bag", "bag_colour")
_VOCABULARY_PEOPLE = 900  # enough that every word of every caption occurs


def training_pictures(recipe: Recipe, cache: Path | None) -> UInt8[np.ndarray, "person shot 5 rows cols"]:
    """Every training picture, RGB then NI then TI as 5 planes; rendered once, then read from ``cache``."""
    return drawn_once(recipe, _person_pictures, cache, "people")


def _person_pictures(job: tuple[int, int, int]) -> UInt8[np.ndarray, "shot 5 rows cols"]:
    seed, pid, shots = job
    person = sample_identity(pid, seed=seed)
    planes = []
    for shot in range(shots):
        seen = render(person, camera=shot % 4, shot=shot // 4, seed=seed)
        planes.append(np.concatenate([seen["RGB"], seen["NI"][..., :1], seen["TI"][..., :1]], axis=2))
    return np.stack(planes).transpose(0, 3, 1, 2)


def _augmented(
    picture: UInt8[np.ndarray, "c rows cols"],
    parts: UInt8[np.ndarray, "half_rows half_cols"],
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "3 rows cols"], UInt8[np.ndarray, "half_rows half_cols"]]:
    """Flip, shifted crop, brightness and erasing; three planes, in -1..1, and the part map that goes with them."""
    if rng.random() < 0.5:
        picture, parts = picture[..., ::-1], parts[..., ::-1]
    rows, cols = picture.shape[1:]
    down, right = int(rng.integers(-10, 11)), int(rng.integers(-6, 7))
    padded = np.pad(picture, ((0, 0), (10, 10), (6, 6)), mode="edge")
    image = padded[:, 10 + down : 10 + down + rows, 6 + right : 6 + right + cols].astype(np.float32)
    image = np.clip(image * rng.uniform(0.75, 1.25), 0, 255) / 127.5 - 1
    parts = _shifted_parts(parts, down, right)
    if rng.random() < 0.3:
        height, width = int(rng.integers(24, 90)), int(rng.integers(16, 64))
        top, left = int(rng.integers(0, rows - height)), int(rng.integers(0, cols - width))
        image[:, top : top + height, left : left + width] = rng.uniform(-1, 1)
        parts[top // STEP : (top + height) // STEP, left // STEP : (left + width) // STEP] = 0
    return np.broadcast_to(image, (3, rows, cols)), parts


def _shifted_parts(
    parts: UInt8[np.ndarray, "half_rows half_cols"], down: int, right: int
) -> UInt8[np.ndarray, "half_rows half_cols"]:
    """A part map moved as its picture is, to the nearest point of the map."""
    rows, cols = parts.shape
    down, right = round(down / STEP), round(right / STEP)
    padded = np.pad(parts, ((5, 5), (3, 3)), mode="edge")
    return padded[5 + down : 5 + down + rows, 3 + right : 3 + right + cols].copy()


def class_labels(
    words: Sequence[dict[str, str]],
) -> tuple[dict[str, list[str]], Int[np.ndarray, "person key"]]:
    """The words each attribute can be, and which of them each person has; -1 where there is nothing to colour."""
    classes = {}
    for key in NAMED:
        values = {word[key] for word in words}
        classes[key] = sorted(values - {"none"} if key in _COLOURS else values)
    labels = [[classes[k].index(word[k]) if word[k] in classes[k] else -1 for k in NAMED] for word in words]
    return classes, np.array(labels)


class TokenTable:
    """Maps CLIP's BPE ids to the few that the texts use, so that training carries no dead embeddings."""

    def __init__(self, seed: int, context_length: int) -> None:
        self.tokenizer = open_clip.SimpleTokenizer(context_length=context_length)
        rng = np.random.default_rng([seed, 5])
        people = [sample_identity(pid, seed=seed) for pid in range(_VOCABULARY_PEOPLE)]
        texts = [caption_of(p, [key], rng=rng) for p in people for key in NAMED]
        texts += [caption_of(p, NAMED[i : i + 4], rng=rng) for p in people for i in range(0, len(NAMED), 4)]
        used = {0} | {token for text in texts for token in self.tokenizer.encode(text)}
        self.ids = sorted(used | {self.tokenizer.sot_token_id, self.tokenizer.eot_token_id})
        self.size = len(self.ids)
        self._compact = {token: index for index, token in enumerate(self.ids)}

    def __call__(self, texts: Sequence[str], length: int | None = None) -> Int[torch.Tensor, "text context"]:
        """Compact ids, padded with zeros to ``length``."""
        rows = self.tokenizer(list(texts), context_length=length).tolist()
        return torch.tensor([[self._compact[token] for token in row] for row in rows])


def _prompt(example: Identity, key: str, word: str, rng: np.random.Generator) -> str:
    """A text that says this one thing about a person and nothing else."""
    change = {"bag": "none" if word == "no" else "handbag"} if key == "any_bag" else {key: word}
    return caption_of(replace(example, **change), [key], rng=rng)


def _captions(
    person: Identity, rng: np.random.Generator
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Attribute names of the three coloured texts and the colourless one about a person."""
    extra = ("hat", "hat_colour") if person.hat != "none" else ("hair", "hair_colour")
    pair = tuple(str(key) for key in rng.choice(NAMED, size=2, replace=False))
    shapes = tuple(str(key) for key in rng.permutation(_SHAPES)[: int(rng.integers(2, 5))])
    return [_FULL, (*_FULL[:5], *extra), pair], [shapes]


@dataclass(frozen=True)
class Batch:
    """The pictures lie modality by modality: all RGB, all NI, all TI; within one, person by person."""

    images: Float[torch.Tensor, "image 3 rows cols"]  # augmented, in -1..1
    people: Int[torch.Tensor, " image"]  # index among all training people
    shares: Float[torch.Tensor, "image patch part"]  # of `local_supervision.PARTS` in a patch, 0..1
    texts: Int[torch.Tensor, "text context"]  # captions
    coloured: Bool[torch.Tensor, " text"]  # whether a caption names a colour
    true_of: Bool[torch.Tensor, "image text"]  # of which pictures a caption is true
    prompts: Int[
        torch.Tensor, "prompt length"
    ]  # one for each word of each attribute, ordered as by `class_labels`

    def to(self, device: str) -> Batch:
        """The same batch on another device."""
        return Batch(**{name: value.to(device) for name, value in vars(self).items()})


class Batches(Dataset):
    """Batch number ``step`` of a recipe: the same at every call, so that a resumed run sees what it missed."""

    def __init__(self, recipe: Recipe, pictures: np.ndarray, parts: np.ndarray, table: TokenTable) -> None:
        self.recipe, self.pictures, self.parts, self.table = recipe, pictures, parts, table
        pids = range(recipe.first_pid, recipe.first_pid + recipe.identities)
        self.people = [sample_identity(pid, seed=recipe.seed) for pid in pids]
        self.words = [attributes(person) for person in self.people]
        self.classes, self.labels = class_labels(self.words)

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng([self.recipe.seed, step, 3])
        chosen = rng.choice(len(self.people), size=self.recipe.people_per_step, replace=False)
        planes = {"RGB": slice(0, 3), "NI": slice(3, 4), "TI": slice(4, 5)}
        seen = [
            _augmented(self.pictures[person, shot, planes[modality]], self.parts[person, shot], rng)
            for modality in planes
            for person in chosen
            for shot in rng.choice(self.recipe.shots, size=SHOTS_EACH, replace=False)
        ]
        shares = np.stack([part_shares(parts) for _, parts in seen])
        rows = np.tile(np.repeat(np.arange(len(chosen)), SHOTS_EACH), len(planes))
        texts, coloured, true_of = self._texts(chosen, rng)
        prompts = [
            _prompt(self.people[chosen[0]], key, word, rng) for key in NAMED for word in self.classes[key]
        ]
        return Batch(
            torch.from_numpy(np.stack([image for image, _ in seen])), torch.from_numpy(chosen[rows]),
            torch.from_numpy(shares), self.table(texts), torch.tensor(coloured),
            torch.from_numpy(true_of[rows]), self.table(prompts, PROMPT_LENGTH),
        )  # fmt: skip

    def _texts(
        self, chosen: Int[np.ndarray, " person"], rng: np.random.Generator
    ) -> tuple[list[str], list[bool], Bool[np.ndarray, "person text"]]:
        """Captions of the chosen people, whether they name colours, and of which of the people they are true."""
        texts, coloured, true_of = [], [], []
        for index in chosen:
            visible, infrared = _captions(self.people[index], rng)
            for keys in visible + infrared:
                texts.append(caption_of(self.people[index], keys, rng=rng))
                true_of.append([all(self.words[o][k] == self.words[index][k] for k in keys) for o in chosen])
            coloured += [True] * len(visible) + [False] * len(infrared)
        return texts, coloured, np.array(true_of).T
