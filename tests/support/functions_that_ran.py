"""Finds functions of the package by what they call, and notes which functions run: for inventories that a new one fails."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

Ran = set[tuple[str, str, int]]
"""File, name and first line of each function that ran."""


@dataclass(frozen=True)
class Function:
    """A function, by where it stands."""

    file: Path
    name: str
    first: int
    last: int

    def is_in(self, ran: Ran) -> bool:
        """Whether it, or a function inside it, ran."""
        return any(file == str(self.file) and self.first <= line <= self.last for file, _, line in ran)


def functions_that_call(names: set[str], folder: Path) -> list[Function]:
    """The functions below a folder that call something of these names; of those inside one another, the innermost."""
    found = []
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and names & set(_called(node)):
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                found.append(Function(file, node.name, first, node.end_lineno or first))
    return found


def _called(function: ast.FunctionDef) -> Iterator[str]:
    """What a function calls or hands on, without what functions inside it call."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Name):
            yield node.id
        if isinstance(node, ast.Attribute):
            yield f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else ""
            yield f".{node.attr}"
        left += [one for one in ast.iter_child_nodes(node) if not isinstance(one, ast.FunctionDef)]


@contextmanager
def noted(folder: Path) -> Iterator[Ran]:
    """Every function below a folder that runs meanwhile, also in threads that start meanwhile."""
    ran: Ran = set()
    known: dict[int, object] = {}  # code objects are kept, so that no number is given twice

    def note(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and id(code) not in known:
            known[id(code)] = code
            if code.co_filename.startswith(str(folder)):
                ran.add((code.co_filename, code.co_name, code.co_firstlineno))

    threading.setprofile(note)
    sys.setprofile(note)  # not settrace, which measures coverage
    try:
        yield ran
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
