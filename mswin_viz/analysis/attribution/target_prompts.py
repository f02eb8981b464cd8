"""The prompts of a target, checked before any text tower reads them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any

from mswin_viz.errors import PromptError


def listed_prompts(prompts: Any) -> tuple[str, ...]:
    """One prompt for each image, in the images' order."""
    if isinstance(prompts, Set):
        raise PromptError(
            f"prompts for several images must be in the images' order: got the set {prompts!r:.80}; pass a list"
        )
    listed: tuple[Any, ...] = (prompts,)
    with suppress(TypeError):  # not iterable; an array or tensor without axes is so in name only
        listed = listed if isinstance(prompts, bytes | Mapping) else tuple(prompts)
    for prompt in listed:
        check_prompt(prompt)
    if not listed:
        raise PromptError("a text target needs a prompt, or one for each image: got an empty list")
    return listed


def check_prompt(prompt: object) -> None:
    """Refuse anything but a text that says something."""
    if not isinstance(prompt, str) or not prompt.strip():
        raise PromptError(
            f"a prompt must be a non-empty text: got {prompt!r}; write for example 'a person wearing a red top'"
        )
