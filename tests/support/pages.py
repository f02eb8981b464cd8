"""What stands in a saved page, as its script reads it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class PageText:
    """The whole text of a page."""

    text: str

    @cached_property
    def data(self) -> dict[str, Any]:
        found = re.search(
            r'<script type="application/json" id="mswin-page-data">(.*?)</script>', self.text, re.DOTALL
        )
        assert found
        return json.loads(found[1])

    @cached_property
    def templates(self) -> dict[str, str]:
        return dict(re.findall(r'<template id="(\w+)">(.*?)</template>', self.text, re.DOTALL))

    def of(self, value: Any) -> Any:
        """A value of the page, with what stands for others in it replaced."""
        if isinstance(value, list):
            return [self.of(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "$" in value:
            return self.of(self.data["values"][value["$"]])
        if "$b" in value:
            return base64.b64decode(self.data["buffers"][value["$b"]])
        return {name: self.of(one) for name, one in value.items()}

    def model(self, css: str = "", *, trait: str = "") -> tuple[str, dict[str, Any]]:
        """Id and traits of the only model that has a class, or a trait."""
        every = {name: self.of(traits) for name, traits in self.data["models"].items()}
        (found,) = [
            (name, traits)
            for name, traits in every.items()
            if css in traits["_dom_classes"] or trait in traits
        ]
        return found

    def answer(self, *chosen: Any, table: int = 0) -> dict[str, dict[str, Any]]:
        """Id of a model -> its traits, for these values of a table's axes."""
        key = json.dumps(list(chosen), ensure_ascii=False, separators=(",", ":"))
        return {
            name: {trait: self.of(value) for trait, value in self.of(traits).items()}
            for name, traits in self.data["tables"][table]["answers"][key]["changes"].items()
        }

    def words(self, name: str) -> str:
        """The HTML that a value of an HTML widget stands for."""
        return self.templates[name] if name else ""

    def shown(self, answer: dict[str, dict[str, Any]], css: str) -> str:
        """What an answer shows in the HTML widget of a class."""
        return self.words(answer[self.model(css)[0]]["value"])

    @property
    def broken_references(self) -> list[Any]:
        """What stands for a value, a run of bytes or a piece of HTML that the page does not have."""
        html = {
            name for name, traits in self.data["models"].items() if traits.get("_model_name") == "HTMLModel"
        }
        shown = [self.data["models"][name].get("value", "") for name in html]
        for table in self.data["tables"]:
            for answer in table["answers"].values():
                shown += [
                    traits.get("value", "") for name, traits in answer["changes"].items() if name in html
                ]
        unknown = [name for name in shown if name and name not in self.templates]
        return unknown + [one for one in _references(self.data) if not self._is_there(one)]

    def _is_there(self, reference: dict[str, int]) -> bool:
        ((kind, at),) = reference.items()
        return 0 <= at < len(self.data["buffers" if kind == "$b" else "values"])


def _references(value: Any) -> Iterator[dict[str, int]]:
    if isinstance(value, dict) and (set(value) == {"$"} or set(value) == {"$b"}):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)
