"""The recipe of the embedded CLIP: trained from scratch on the synthetic world, with open_clip's own classes.

A step sees 24 people, each in two visible, one near-infrared and one thermal picture, and six texts for
each. A text counts as positive for every person it is true of, not only the one it was written for.
Infrared pictures are matched with texts that name no colour. Beside the contrast there are a supervised
contrast over identities and throw-away attribute heads on CLS and on the mean patch token; only the CLIP
is kept.
"""

from __future__ import annotations

import copy
import math
import multiprocessing
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import open_clip
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from mswin_viz.data.synthetic import attributes, caption_of, render, sample_identity
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8

__all__ = ["CLIP_CONFIG", "Recipe", "pretrain", "training_pictures"]

CLIP_CONFIG = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": [256, 128], "layers": 6, "width": 192, "head_width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 3},
}
"""open_clip model configuration of the embedded model (GELU)."""

_COLOURLESS = ("pattern", "upper_type", "lower_type", "bag", "hair", "hat")
_COLOURS = ("upper_colour", "lower_colour", "bag_colour", "hat_colour", "shoes_colour", "hair_colour")
_NAMED = _COLOURLESS + _COLOURS
_FULL = ("upper_colour", "pattern", "upper_type", "lower_colour", "lower_type", "bag", "bag_colour")
_VOCABULARY_PEOPLE = 900  # enough that every word of every caption occurs
_N_VISIBLE = 2  # pictures in RGB for each person of a batch; then one NI and one TI


@dataclass(frozen=True)
class Recipe:
    """What decides the weights, beside the code. Steps, not wall time, drive every schedule.

    Attributes
    ----------
    first_pid
        Training people are ``first_pid .. first_pid + identities - 1`` of world ``seed``.
    patch_dropout
        ``(until this fraction of the steps, share of patch tokens dropped)`` pairs.
    """

    seed: int = 20_000
    first_pid: int = 0
    identities: int = 900
    shots: int = 8
    steps: int = 1150
    people_per_step: int = 24
    learning_rate: float = 8e-4
    weight_decay: float = 0.05
    warmup_steps: int = 30
    patch_dropout: tuple[tuple[float, float], ...] = ((0.78, 0.6), (0.93, 0.35), (1.01, 0.0))
    checkpoint_every: int = 100

    def dropout_at(self, step: int) -> float:
        """Share of patch tokens dropped at a step."""
        return next(share for until, share in self.patch_dropout if step < until * self.steps)

    def rate_at(self, step: int) -> float:
        """Learning rate at a step: linear warm-up, then cosine to zero."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def training_pictures(
    recipe: Recipe, cache: Path | None = None
) -> UInt8[np.ndarray, "person shot 5 rows cols"]:
    """Every training picture, RGB then NI then TI as 5 planes; rendered once, then read from ``cache``."""
    if cache is not None and cache.exists():
        return np.load(cache, mmap_mode="r")
    jobs = [(recipe.seed, recipe.first_pid + i, recipe.shots) for i in range(recipe.identities)]
    with multiprocessing.get_context("spawn").Pool() as pool:
        people = list(
            tqdm(pool.imap(_person_pictures, jobs, chunksize=4), total=len(jobs), desc="drawing people")
        )
    pictures = np.stack(people)
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.save(cache, pictures)
    return pictures


def pretrain(recipe: Recipe, work: Path, *, device: str = "cpu") -> tuple[open_clip.CLIP, list[int]]:
    """Train the embedded CLIP, resuming from ``work/state.pt`` if it is there.

    Parameters
    ----------
    recipe
        Data, schedule and seed.
    work
        Folder of the picture cache and of the resumable state (weights, heads, optimiser, step).
    device
        A torch device.

    Returns
    -------
    clip, token_ids
        The CLIP with its full vocabulary (unused token embeddings are zero), in evaluation mode, and the ids
        of the tokens that the training texts used.
    """
    work.mkdir(parents=True, exist_ok=True)
    pictures = training_pictures(recipe, work / "pictures.npy")
    people = [sample_identity(recipe.first_pid + i, seed=recipe.seed) for i in range(recipe.identities)]
    words = [attributes(person) for person in people]
    table = _TokenTable(recipe.seed)
    torch.manual_seed(recipe.seed)
    trainee = _Trainee(words, table.size).to(device)
    optimiser = torch.optim.AdamW(
        _parameter_groups(trainee, recipe.weight_decay), lr=recipe.learning_rate, betas=(0.9, 0.98)
    )
    state_file, start = work / "state.pt", 0
    if state_file.exists():
        start = _resume(state_file, recipe, trainee, optimiser)
    progress = tqdm(
        range(start, recipe.steps), initial=start, total=recipe.steps, desc="training", smoothing=0.02
    )
    for step in progress:
        rng = np.random.default_rng([recipe.seed, step, 3])
        batch = _draw_batch(pictures, people, words, table, recipe, rng)
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate_at(step)
        losses = _train_step(trainee, optimiser, batch.to(device), recipe.dropout_at(step), step)
        if step % 10 == 0:
            progress.set_postfix({name: f"{value:.2f}" for name, value in losses.items()})
        if (step + 1) % recipe.checkpoint_every == 0 or step + 1 == recipe.steps:
            _save_state(state_file, recipe, trainee, optimiser, step + 1)
    return trainee.full_clip(table), table.ids


# ---- pictures -------------------------------------------------------------------------------


def _person_pictures(job: tuple[int, int, int]) -> UInt8[np.ndarray, "shot 5 rows cols"]:
    seed, pid, shots = job
    person = sample_identity(pid, seed=seed)
    planes = []
    for shot in range(shots):
        seen = render(person, camera=shot % 4, shot=shot // 4, seed=seed)
        planes.append(np.concatenate([seen["RGB"], seen["NI"][..., :1], seen["TI"][..., :1]], axis=2))
    return np.stack(planes).transpose(0, 3, 1, 2)


def _augmented(picture: UInt8[np.ndarray, "c rows cols"], rng: np.random.Generator) -> np.ndarray:
    """Flip, shifted crop, brightness and erasing; three planes, in -1..1."""
    image = np.broadcast_to(picture, (3, *picture.shape[1:]))
    if rng.random() < 0.5:
        image = image[..., ::-1]
    rows, cols = image.shape[1:]
    down, right = int(rng.integers(-10, 11)), int(rng.integers(-6, 7))
    image = np.pad(image, ((0, 0), (10, 10), (6, 6)), mode="edge")
    image = image[:, 10 + down : 10 + down + rows, 6 + right : 6 + right + cols].astype(np.float32)
    image = np.clip(image * rng.uniform(0.75, 1.25), 0, 255) / 127.5 - 1
    if rng.random() < 0.3:
        height, width = int(rng.integers(24, 90)), int(rng.integers(16, 64))
        top, left = int(rng.integers(0, rows - height)), int(rng.integers(0, cols - width))
        image[:, top : top + height, left : left + width] = rng.uniform(-1, 1)
    return image


# ---- texts ----------------------------------------------------------------------------------


class _TokenTable:
    """Maps CLIP's BPE ids to the few that the captions use, so that training carries no dead embeddings."""

    def __init__(self, seed: int) -> None:
        self.tokenizer = open_clip.SimpleTokenizer(context_length=CLIP_CONFIG["text_cfg"]["context_length"])
        rng = np.random.default_rng([seed, 5])
        people = [sample_identity(pid, seed=seed) for pid in range(_VOCABULARY_PEOPLE)]
        texts = [caption_of(p, [key], rng=rng) for p in people for key in _NAMED]
        texts += [caption_of(p, _NAMED[i : i + 4], rng=rng) for p in people for i in range(0, len(_NAMED), 4)]
        used = {0} | {token for text in texts for token in self.tokenizer.encode(text)}
        self.ids = sorted(used | {self.tokenizer.sot_token_id, self.tokenizer.eot_token_id})
        self.size = len(self.ids)
        self._compact = {token: index for index, token in enumerate(self.ids)}

    def __call__(self, texts: Sequence[str]) -> Int[torch.Tensor, "text context"]:
        rows = self.tokenizer(list(texts)).tolist()
        return torch.tensor([[self._compact[token] for token in row] for row in rows])


def _captions(person, rng: np.random.Generator) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Attribute names of the four colour texts and the two colourless ones of a person."""
    extra = ("hat", "hat_colour") if person.hat != "none" else ("hair", "hair_colour")
    full = [_FULL, (*_FULL[:5], *extra)]
    single = [
        (str(rng.choice(_COLOURS[:2])),),
        tuple(rng.choice(_NAMED, size=int(rng.integers(1, 3)), replace=False)),
    ]
    infrared = [_COLOURLESS[:4], tuple(rng.choice(_COLOURLESS, size=int(rng.integers(1, 3)), replace=False))]
    return full + single, infrared


def _holds(keys: Sequence[str], author: dict[str, str], words: Sequence[dict[str, str]]) -> list[bool]:
    """For which people a text about these attributes of its author is true as well."""
    return [all(other[key] == author[key] for key in keys) for other in words]


# ---- one step -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Batch:
    """People lie along the first axis of ``images`` in the order RGB, RGB, NI, TI."""

    images: Float[torch.Tensor, "image 3 rows cols"]
    people: Int[torch.Tensor, " image"]
    texts: Int[torch.Tensor, "text context"]
    coloured: Bool[torch.Tensor, " text"]
    true_of: Bool[torch.Tensor, "image text"]
    persons: Int[torch.Tensor, " image"]

    def to(self, device: str) -> _Batch:
        return _Batch(**{name: value.to(device) for name, value in vars(self).items()})


def _draw_batch(pictures, people, words, table, recipe: Recipe, rng: np.random.Generator) -> _Batch:
    chosen = rng.choice(len(people), size=recipe.people_per_step, replace=False)
    images, owner = [], []
    for row, index in enumerate(chosen):
        shots = rng.choice(recipe.shots, size=_N_VISIBLE + 2, replace=False)
        for shot, planes in zip(shots, (slice(0, 3), slice(0, 3), slice(3, 4), slice(4, 5)), strict=True):
            images.append(_augmented(pictures[index, shot, planes], rng))
            owner.append(row)
    texts, coloured, true_of = [], [], []
    chosen_words = [words[index] for index in chosen]
    for index in chosen:
        visible, infrared = _captions(people[index], rng)
        for keys in visible + infrared:
            texts.append(caption_of(people[index], keys, rng=rng))
            true_of.append(_holds(keys, words[index], chosen_words))
        coloured += [True] * len(visible) + [False] * len(infrared)
    owner = torch.tensor(owner)
    return _Batch(
        torch.from_numpy(np.stack(images)), owner, table(texts), torch.tensor(coloured),
        torch.tensor(true_of).T[owner], torch.from_numpy(chosen)[owner],
    )  # fmt: skip


class _Trainee(nn.Module):
    """The CLIP with a compact vocabulary, and the heads that are thrown away."""

    def __init__(self, words: Sequence[dict[str, str]], vocabulary: int) -> None:
        super().__init__()
        config = copy.deepcopy(CLIP_CONFIG)
        config["text_cfg"]["vocab_size"] = vocabulary
        config["vision_cfg"]["patch_dropout"] = (
            0.5  # only so that the layer exists; the recipe sets the share
        )
        self.clip = open_clip.CLIP(**config, output_dict=False)
        self.clip.visual.output_tokens = True
        self.classes = {key: sorted({word[key] for word in words}) for key in _NAMED}
        index = {key: {value: i for i, value in enumerate(values)} for key, values in self.classes.items()}
        labels = [[index[key][word[key]] for key in _NAMED] for word in words]
        self.register_buffer("labels", torch.tensor(labels), persistent=False)
        n_logits = sum(len(values) for values in self.classes.values())
        self.cls_heads = nn.Sequential(nn.BatchNorm1d(512), nn.Linear(512, n_logits))
        self.patch_heads = nn.Sequential(nn.BatchNorm1d(512), nn.Linear(512, n_logits))

    def full_clip(self, table: _TokenTable) -> open_clip.CLIP:
        """The trained CLIP under CLIP's own vocabulary."""
        clip = open_clip.CLIP(**copy.deepcopy(CLIP_CONFIG), output_dict=False)
        state = {name: value.detach().cpu().clone() for name, value in self.clip.state_dict().items()}
        rows = state["token_embedding.weight"]
        full = torch.zeros(CLIP_CONFIG["text_cfg"]["vocab_size"], rows.shape[1])
        full[table.ids] = rows
        clip.load_state_dict(state | {"token_embedding.weight": full})
        return clip.eval()


def _train_step(trainee: _Trainee, optimiser, batch: _Batch, dropout: float, step: int) -> dict[str, float]:
    trainee.train()
    trainee.clip.visual.patch_dropout.prob = dropout
    torch.manual_seed(step)
    cls, tokens = trainee.clip.visual(batch.images)
    features = F.normalize(cls, dim=1)
    texts = F.normalize(trainee.clip.encode_text(batch.texts), dim=1)
    scale = trainee.clip.logit_scale.exp()
    visible = torch.arange(len(cls), device=cls.device) % (_N_VISIBLE + 2) < _N_VISIBLE
    parts = {
        "rgb": _contrast(features[visible], texts, batch.true_of[visible], batch.coloured, scale),
        "infrared": _contrast(features[~visible], texts, batch.true_of[~visible], ~batch.coloured, scale),
        "identity": 0.3 * _identity_contrast(features, batch.people),
        "cls heads": 2.0 * _attribute_loss(trainee, trainee.cls_heads(cls), batch.persons, visible),
        "patch heads": _attribute_loss(
            trainee,
            trainee.patch_heads((tokens @ trainee.clip.visual.proj).mean(dim=1)),
            batch.persons,
            visible,
        ),
    }
    optimiser.zero_grad(set_to_none=True)
    sum(parts.values()).backward()
    nn.utils.clip_grad_norm_(trainee.parameters(), 1.0)
    optimiser.step()
    with torch.no_grad():
        trainee.clip.logit_scale.clamp_(0, math.log(60))
    return {name: float(value.detach()) for name, value in parts.items()}


def _contrast(features, texts, true_of, kept, scale) -> torch.Tensor:
    """Both directions of the contrast with several positives: the mean log-probability of a positive."""
    logits, positive = scale * features @ texts[kept].T, true_of[:, kept].float()
    images = -(F.log_softmax(logits, 1) * positive).sum(1) / positive.sum(1).clamp_min(1)
    sentences = -(F.log_softmax(logits, 0) * positive).sum(0) / positive.sum(0).clamp_min(1)
    return (images.mean() + sentences.mean()) / 2


def _identity_contrast(features, people, temperature: float = 0.1) -> torch.Tensor:
    """Supervised contrast (Khosla et al. 2020, equation 2) over every picture of the batch."""
    itself = torch.eye(len(people), dtype=torch.bool, device=people.device)
    logits = (features @ features.T / temperature).masked_fill(itself, -1e9)
    positive = ((people[:, None] == people[None]) & ~itself).float()
    return -((F.log_softmax(logits, 1) * positive).sum(1) / positive.sum(1)).mean()


def _attribute_loss(trainee: _Trainee, logits, persons, visible) -> torch.Tensor:
    """Mean cross-entropy over attributes; colours are asked of visible pictures only."""
    labels, losses, start = trainee.labels[persons], [], 0
    for column, key in enumerate(_NAMED):
        stop = start + len(trainee.classes[key])
        asked = visible if key in _COLOURS else torch.ones_like(visible)
        losses.append(F.cross_entropy(logits[asked, start:stop], labels[asked, column]))
        start = stop
    return torch.stack(losses).mean()


# ---- state ----------------------------------------------------------------------------------


def _parameter_groups(module: nn.Module, weight_decay: float) -> list[dict]:
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def _save_state(file: Path, recipe: Recipe, trainee: _Trainee, optimiser, step: int) -> None:
    """Written beside and renamed, so that an interrupted save leaves the last good state."""
    partial = file.with_suffix(".part")
    state = {
        "recipe": asdict(recipe),
        "step": step,
        "trainee": trainee.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    torch.save(state, partial)
    partial.replace(file)


def _resume(file: Path, recipe: Recipe, trainee: _Trainee, optimiser) -> int:
    state = torch.load(file, weights_only=True)
    if state["recipe"] != asdict(recipe):
        raise OptionError(
            f"a run is resumed with the recipe it began with: {file} holds {state['recipe']}, "
            f"got {asdict(recipe)}; give its recipe, or another folder"
        )
    trainee.load_state_dict(state["trainee"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"]
