"""The values of a saved page as JSON, in which everything that occurs twice is written once."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from mswin_viz.data.shown_text import is_encodable
from mswin_viz.errors import OptionError
from mswin_viz.view.widgets.markup import Markup, reworded

_SHORT = 40  # characters of JSON that are written where they are
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair, which UTF-8 cannot hold
_MODEL = "IPY_MODEL_"


class PageValues:
    """Collects values, and gives for each what stands for it in the page: ``js/offline_model.mjs`` reads them.

    ``{"$": n}`` stands for ``values[n]``, ``{"$b": n}`` for the bytes of ``buffers[n]`` in base64, and ``templates`` are
    the pieces of HTML, by the name that stands for each.

    Parameters
    ----------
    models
        Widget's id -> its id in the page.
    words
        What becomes of the words in pieces of HTML.
    """

    def __init__(self, models: Mapping[str, str], words: Callable[[str], str] = str) -> None:
        self._models, self._words = models, words
        self.values: list[Any] = []
        self.buffers: list[str] = []
        self.templates: dict[str, Markup] = {}
        self._known: dict[str, int] = {}
        self._bytes: dict[bytes, int] = {}
        self._names: dict[str, str] = {}
        self.n_bytes = 0  # so far

    def of(self, value: Any) -> Any:
        """What stands for a value: a plain one, a list or mapping of such, bytes or HTML. Raises OptionError for others."""
        if isinstance(value, Markup):
            return self._template(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return {"$b": self._buffer(bytes(value))}
        if isinstance(value, Mapping):
            if any(str(name).startswith("$") for name in value):
                raise OptionError(f"names in a page must not begin with $: got {', '.join(map(str, value))}")
            return self._once({str(name): self.of(one) for name, one in value.items()})
        if isinstance(value, list | tuple):
            return self._once([self.of(one) for one in value])
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, str):
            return self._once(self._reference(value))
        if value is None or isinstance(value, bool | int | float):
            return value
        raise OptionError(
            f"a page holds numbers, words, lists, mappings and bytes: got {type(value).__name__}"
        )

    def _once(self, value: Any) -> Any:
        text = json_text(value)
        if len(text) <= _SHORT:
            return value
        if text not in self._known:
            self._known[text] = len(self.values)
            self.values.append(value)
            self.n_bytes += len(text)
        return {"$": self._known[text]}

    def _buffer(self, data: bytes) -> int:
        if data not in self._bytes:
            self._bytes[data] = len(self.buffers)
            self.buffers.append(base64.b64encode(data).decode("ascii"))
            self.n_bytes += len(self.buffers[-1])
        return self._bytes[data]

    def _template(self, markup: Markup) -> str:
        if not markup:
            return ""
        text = str(markup)
        if text not in self._names:
            self._names[text] = f"h{len(self._names)}"
            self.templates[self._names[text]] = reworded(markup, self._words)
            self.n_bytes += len(text)
        return self._names[text]

    def _reference(self, text: str) -> str:
        known = self._models.get(text.removeprefix(_MODEL)) if text.startswith(_MODEL) else None
        return text if known is None else f"{_MODEL}{known}"


def json_text(value: Any) -> str:
    """JSON as JavaScript writes it, so that equal values are equal texts on both sides."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text if is_encodable(text) else _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
