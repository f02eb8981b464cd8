"""Reads saved pages back, to compare what stands in them with what a live view shows."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ReadPage:
    """The text of a saved page and what is in it."""

    text: str

    @classmethod
    def of(cls, path: Path) -> ReadPage:
        return cls(path.read_text(encoding="utf-8"))

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

    @property
    def script(self) -> str:
        found = re.search(r'<script type="module">(.*?)</script>', self.text, re.DOTALL)
        assert found
        return found[1]

    @property
    def policy(self) -> dict[str, str]:
        """The directives of the page's Content-Security-Policy."""
        reader = _Policy()
        reader.feed(self.text)
        return dict(part.strip().split(" ", 1) for part in reader.content.split(";"))

    @property
    def script_digest(self) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(self.script.encode()).digest()).decode() + "'"

    def value(self, value: Any) -> Any:
        """A value with everything in it that it refers to."""
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "$" in value:
            return self.value(self.data["values"][value["$"]])
        if "$b" in value:
            return base64.b64decode(self.data["buffers"][value["$b"]])
        return {name: self.value(one) for name, one in value.items()}

    def answer(self, *chosen: Any, table: int = 0) -> dict[str, dict[str, Any]]:
        """Widget's id in the page -> traits of an answer."""
        answers = self.data["tables"][table]["answers"]
        return self.value(
            answers[json.dumps(list(chosen), separators=(",", ":"), ensure_ascii=False)]["changes"]
        )

    def on_board(self, *chosen: Any) -> dict[str, Any]:
        return self.answer(*chosen)[self.data["board"]]

    def words(self, *chosen: Any) -> str:
        """The HTML of every line that an answer writes."""
        lines = [traits.get("value", "") for traits in self.answer(*chosen).values()]
        return "\n".join(self.templates[line] for line in lines if isinstance(line, str) and line)

    def models_with(self, trait: str) -> list[dict[str, Any]]:
        """The traits of every model that has this one."""
        models = (self.value(traits) for traits in self.data["models"].values())
        return [traits for traits in models if trait in traits]

    def model(self, css: str = "", *, trait: str = "") -> tuple[str, dict[str, Any]]:
        """Id and traits of the only model that has a class, or a trait."""
        every = {name: self.value(traits) for name, traits in self.data["models"].items()}
        (found,) = [
            (name, traits)
            for name, traits in every.items()
            if css in traits["_dom_classes"] or trait in traits
        ]
        return found

    def html(self, css: str, answer: dict[str, dict[str, Any]] | None = None) -> str:
        """What the HTML widget of a class shows at first, or in an answer."""
        name, traits = self.model(css)
        template = (traits if answer is None else answer[name])["value"]
        return self.templates[template] if template else ""

    @property
    def broken_references(self) -> list[Any]:
        """What stands for a value, a run of bytes or a piece of HTML that the page does not have."""
        models = self.data["models"]
        html = {name for name, traits in models.items() if traits.get("_model_name") == "HTMLModel"}
        answers = [answer["changes"] for table in self.data["tables"] for answer in table["answers"].values()]
        shown = [changes[name].get("value") for changes in (models, *answers) for name in html & set(changes)]
        n_there = {"$": len(self.data["values"]), "$b": len(self.data["buffers"])}
        lost = [(kind, at) for kind, at in _references(self.data) if not 0 <= at < n_there[kind]]
        return [*lost, *(name for name in shown if name and name not in self.templates)]


def _references(value: Any) -> Iterator[tuple[str, int]]:
    if isinstance(value, list):
        for one in value:
            yield from _references(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from [(name, one)] if name in ("$", "$b") else _references(one)


class _Policy(HTMLParser):
    content = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if named.get("http-equiv") == "Content-Security-Policy":
            self.content = named["content"] or ""
