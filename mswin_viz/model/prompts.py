"""Text prompts -> BPE ids; refused rather than cut short or answered with noise."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from typing import TYPE_CHECKING

import open_clip

from mswin_viz.errors import PromptError

if TYPE_CHECKING:
    import torch
    from jaxtyping import Int

__all__ = ["prompt_ids", "unknown_words"]

_EXAMPLE = "a person wearing a red top"
_WORD = re.compile(r"[^\W\d_]+|\d")
_ARTICLES = ("a", "an", "the", "of", "and", "or", "with", "in", "on", "at", "to", "is", "are")
_FILLERS = frozenset((*_ARTICLES, "person", "photo", "wearing", "someone", "carrying"))
"""Words that say nothing about which person is meant."""


def prompt_ids(
    prompts: str | Sequence[str], context_length: int, known: frozenset[int] | None = None
) -> Int[torch.Tensor, "prompt context"]:
    """BPE ids of prompts, start and end included, padded with zeros.

    Parameters
    ----------
    prompts
        One or more.
    context_length
        Ids the text tower reads, start and end included.
    known
        Ids it was trained on; None for all.

    Raises
    ------
    PromptError
        If there is no prompt, or one is empty, too long, or says nothing but words the text tower never
        saw. Where only some of its words are such, a warning names them.
    """
    texts = _listed(prompts)
    for text in texts:
        _check(text, context_length, known)
    return _tokenizer(context_length)(texts)


def unknown_words(prompt: str, known: frozenset[int] | None) -> list[str]:
    """Words of a prompt, in order and lower case, with a token the text tower was never trained on.

    Raises
    ------
    PromptError
        If it is not a text.
    """
    _check_text(prompt)
    if known is None:
        return []
    encode = _tokenizer(None).encode
    return [
        word for word in dict.fromkeys(_WORD.findall(prompt.lower())) if not known.issuperset(encode(word))
    ]


def _listed(prompts: object) -> list:
    """One prompt or several as a list; whether each is a text is checked one by one."""
    if isinstance(prompts, str):
        return [prompts]
    if isinstance(prompts, (bytes, Mapping, Set)) or not isinstance(prompts, Iterable):
        raise PromptError(
            f"prompts are a text or a list of texts: got {_short(prompts)}; write for example {_EXAMPLE!r}"
        )
    try:
        texts = list(prompts)
    except Exception as problem:  # an array or tensor without axes is iterable in name only
        raise PromptError(
            f"prompts are a text or a list of texts: got {_short(prompts)}; write for example {_EXAMPLE!r}"
        ) from problem
    if not texts:
        raise PromptError(
            f"there must be at least one prompt: got an empty list; write for example {_EXAMPLE!r}"
        )
    return texts


def _check_text(prompt: object) -> None:
    if not isinstance(prompt, str):
        raise PromptError(f"a prompt must be a text: got {_short(prompt)}; write for example {_EXAMPLE!r}")


def _short(value: object) -> str:
    words = repr(value)
    return words if len(words) <= 60 else f"{words[:60]}..."


def _check(prompt: str, context_length: int, known: frozenset[int] | None) -> None:
    _check_text(prompt)
    if not prompt.strip():
        raise PromptError(f"a prompt must say something: got {prompt!r}; write for example {_EXAMPLE!r}")
    n_tokens = len(_tokenizer(None).encode(prompt)) + 2
    if n_tokens > context_length:
        shown = prompt if len(prompt) <= 60 else prompt[:60] + "..."
        raise PromptError(
            f"a prompt may have {context_length} BPE tokens, start and end included: got {n_tokens} in "
            f"{shown!r}; shorten it, nothing is cut off in silence"
        )
    if known is None:
        return
    unknown = unknown_words(prompt, known)
    telling = set(_WORD.findall(prompt.lower())) - _FILLERS
    said = ", ".join(unknown) or repr(prompt)
    if (unknown or not _WORD.search(prompt)) and telling.issubset(unknown):
        raise PromptError(
            f"a prompt needs a word the text tower was trained on: it never saw {said}; the model card lists "
            "its words"
        )
    if unknown:
        warnings.warn(f"the text tower never saw: {said}; what it makes of them means nothing", stacklevel=4)


@lru_cache
def _tokenizer(context_length: int | None) -> open_clip.SimpleTokenizer:
    return open_clip.SimpleTokenizer(context_length=context_length)
