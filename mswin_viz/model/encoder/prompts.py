"""Text prompts -> BPE ids; a prompt that is too long or has no known word is refused, never cut short."""

from __future__ import annotations

import contextlib
import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from typing import TYPE_CHECKING

import open_clip

from mswin_viz.data.shown_text import is_encodable, short_text
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import PromptError

if TYPE_CHECKING:
    import torch
    from jaxtyping import Int

_EXAMPLE = "a person wearing a red top"
_ARTICLES = ("a", "an", "the", "of", "and", "or", "with", "in", "on", "at", "to", "is", "are")
_FILLERS = frozenset((*_ARTICLES, "person", "photo", "wearing", "someone", "carrying"))
"""Words that say nothing about which person is meant."""


def prompt_ids(
    prompts: str | Sequence[str], context_length: int, known: frozenset[int] | None = None
) -> Int[torch.Tensor, "prompt context"]:
    """BPE ids of prompts, start and end included, padded with zeros; ``known`` are those of the training, None for all.

    PromptError if there is no prompt, or one is empty, longer than the text tower's context, or made only of words it
    never saw; a warning names such words where there are others too.
    """
    texts = _listed(prompts)
    for text in texts:
        _check(text, context_length, known)
    return _tokenizer(context_length)(texts)


def unknown_words(prompt: str, known: frozenset[int] | None) -> list[str]:
    """Words and symbols of a prompt, in order and lower case, that the text tower was never trained on.

    Symbols that stand together, such as emoji, are one, as the tokenizer has them. Punctuation is not named.
    """
    _check_text(prompt)
    if known is None:
        return []
    encode = _tokenizer(None).encode
    return [part for part in dict.fromkeys(_parts(prompt)) if not known.issuperset(encode(part))]


def words_shown(words: Iterable[str]) -> str:
    """Words with commas between them; symbols stand in quotation marks."""
    return ", ".join(word if word.isalnum() else f"“{word}”" for word in words)


def _parts(prompt: str) -> list[str]:
    """The words, digits and runs of symbols of which the tokenizer makes ids, without punctuation."""
    tokenizer = _tokenizer(None)
    every = tokenizer.pat.findall(tokenizer.clean_fn(prompt).lower())
    return [part for part in every if not all(unicodedata.category(sign)[0] == "P" for sign in part)]


def _listed(prompts: object) -> list:
    """One prompt or several as a list; whether each is a text is checked one by one."""
    if isinstance(prompts, str):
        return [prompts]
    texts = None
    if isinstance(prompts, Iterable) and not isinstance(prompts, (bytes, Mapping, Set)):
        with contextlib.suppress(Exception):  # an array or tensor without axes is iterable in name only
            texts = list(prompts)
    if texts is None:
        raise _refusal(f"prompts must be a text or a list of texts: got {value_words(prompts)}")
    if not texts:
        raise _refusal("there must be at least one prompt: got an empty list")
    return texts


def _check_text(prompt: object) -> None:
    if not isinstance(prompt, str):
        raise _refusal(f"a prompt must be a text: got {value_words(prompt)}")
    if not is_encodable(prompt):
        raise _refusal(f"a prompt must be a text that UTF-8 can hold: got {short_text(prompt, 60)!r}")


def _refusal(words: str) -> PromptError:
    return PromptError(f"{words}; write for example {_EXAMPLE!r}")


def _check(prompt: str, context_length: int, known: frozenset[int] | None) -> None:
    _check_text(prompt)
    if not prompt.strip():
        raise _refusal(f"a prompt must not be empty: got {prompt!r}")
    n_tokens = len(_tokenizer(None).encode(prompt)) + 2
    if n_tokens > context_length:
        shown = prompt if len(prompt) <= 60 else prompt[:60] + "..."
        raise PromptError(
            f"a prompt may have {context_length} BPE tokens, start and end included: got {n_tokens} in {shown!r}; "
            "shorten it, since nothing is cut off silently"
        )
    if known is None:
        return
    unknown, words = unknown_words(prompt, known), [part for part in _parts(prompt) if part.isalnum()]
    named = words_shown(unknown) or repr(prompt)
    if (unknown or not words) and _FILLERS.union(unknown).issuperset(words):
        raise PromptError(
            f"a prompt needs a word the text tower was trained on, and that describes someone: it never saw {named}; the model card lists "
            "its words"
        )
    if unknown:
        warnings.warn(f"the text tower never saw: {named}; what it makes of them means nothing", stacklevel=4)


@lru_cache
def _tokenizer(context_length: int | None) -> open_clip.SimpleTokenizer:
    return open_clip.SimpleTokenizer(context_length=context_length)
