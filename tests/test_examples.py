"""Every public name has an example in its docstring that runs as printed, and a place in the API reference."""

from __future__ import annotations

import doctest
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from ipywidgets import Widget

import mswin_viz as mv
from mswin_viz import errors

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
NAMES = sorted(set(mv.__all__) - {"__version__"})
PREAMBLE = """
import numpy as np, torch
import mswin_viz as mv

model = mv.load_model()
samples = mv.samples()
tokens = model.encode([sample.images["RGB"] for sample in samples[:4]])
text = model.encode_text("a person wearing a red top")[0]
"""
"""What stands before every example; the first page of the API reference says so."""
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


KEPT = re.compile(r"#\s*doctest:.*|^\s*(?:```|~~~).*|^.*::$|^\s*\.\. .*::.*", re.MULTILINE)
"""Options of doctest, fences, literal blocks and directives: what of a docstring would look like an example and not run as printed."""


def kept_from_the_run(text: str) -> list[str]:
    """Whatever of a docstring shows code that doctest would not run, or not compare as it is printed."""
    return KEPT.findall(text)


@pytest.fixture(scope="module")
def preamble() -> Iterator[dict[str, Any]]:
    """The names that examples may use; on a CPU, as the first page says."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: False)
        patch.setattr("torch.backends.mps.is_available", lambda: False)
        exec(PREAMBLE, names)
        yield names


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to write to; views and figures that an example leaves open are closed."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    Widget.close_all()
    plt.close("all")


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of a class, those of the package's own bases too."""
    for base in cls.__mro__:
        if base.__module__.startswith("mswin_viz"):
            kinds = (property, cached_property, classmethod, staticmethod)
            for name, member in vars(base).items():
                if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, kinds)):
                    yield f"{base.__name__}.{name}", member


def docstrings(name: str) -> dict[str, str | None]:
    """A public name's docstring and, of a class, those of its public members, by their dotted names."""
    found = {name: inspect.cleandoc(getattr(mv, name).__doc__ or "")}
    if isinstance(getattr(mv, name), type):
        found |= {member: getattr(one, "__func__", one).__doc__ for member, one in members(getattr(mv, name))}
    return found


def owners() -> dict[str, str]:
    """A docstring's dotted name and the public name whose test runs it: methods of a shared base are run once."""
    found: dict[str, str] = {}
    for name in NAMES:
        for dotted in docstrings(name):
            found.setdefault(dotted, name)
    return found


OWNERS = owners()


@pytest.mark.parametrize("name", NAMES)
def test_examples_run_as_printed(name: str, preamble: dict[str, Any], folder: Path) -> None:
    runner, said = doctest.DocTestRunner(optionflags=OPTIONS), []
    for dotted, text in docstrings(name).items():
        if OWNERS[dotted] == name:
            test = doctest.DocTestParser().get_doctest(text or "", dict(preamble), dotted, None, 0)
            runner.run(test, out=said.append, clear_globs=True)
    assert "".join(said) == ""
    assert runner.tries > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_has_an_example_that_shows_a_result(name: str) -> None:
    text = docstrings(name)[name] or ""
    assert re.search(r"^Examples\n--------\n", text, re.MULTILINE)
    examples = doctest.DocTestParser().get_examples(text.partition("Examples\n--------\n")[2])
    assert any(example.want for example in examples)


@pytest.mark.parametrize("name", NAMES)
def test_no_part_of_an_example_is_left_out_of_the_run(name: str) -> None:
    for dotted, text in docstrings(name).items():
        assert kept_from_the_run(text or "") == [], dotted


@pytest.mark.parametrize(
    ("text", "n_kept"),
    [
        (">>> 1 + 1\n2", 0),
        (">>> 1 + 1  # two, doctest or not\n2", 0),
        (">>> 1 + 1  # doctest: +SKIP\n3", 1),
        (">>> int('a')  #doctest:+IGNORE_EXCEPTION_DETAIL\nTraceback (most recent call last):\nValueError: b", 1),
        (">>> a = [  # doctest: +ELLIPSIS\n...     1]", 1),
        ("Like this:\n\n```python\n1 + 1\n```", 2),
        ("Like this:\n\n    ~~~\n    1 + 1\n    ~~~", 2),
        ("Like this::\n\n    1 + 1", 1),
        ("Like this:\n\n.. code-block:: python\n\n    1 + 1", 1),
        ("Inline ``code`` and `a.b` alone.", 0),
    ],
)  # fmt: skip
def test_what_keeps_an_example_from_the_run_is_found(text: str, n_kept: int) -> None:
    assert len(kept_from_the_run(text)) == n_kept


@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(getattr(mv, name), type)])
def test_every_public_method_and_property_says_what_it_does(name: str) -> None:
    assert [dotted for dotted, text in docstrings(name).items() if not text] == []


def placed(pattern: str, *pages: Path) -> Counter[str]:
    """How often each name stands in pages, without the package's."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    return Counter(re.findall(pattern, text, re.MULTILINE))


def test_every_public_name_has_one_place_in_the_reference() -> None:
    own = {f"errors.{name}" for name, one in vars(errors).items() if inspect.isclass(one)}
    own -= {"errors.MswinVizError"}  # which is public itself
    assert placed(r"^\.\. auto(?:function|class|exception):: mswin_viz\.(\S+)$", *PAGES) == Counter(
        {*NAMES, *own}
    )


def test_the_first_page_of_the_reference_has_a_table_of_all_names_and_the_preamble() -> None:
    first = ROOT / "docs" / "api" / "index.md"
    assert placed(r"^   ~mswin_viz\.(\w+)$", first) == Counter(NAMES)
    assert PREAMBLE.strip() in first.read_text(encoding="utf-8")
    assert all(f"\n{page.stem}\n" in first.read_text(encoding="utf-8") for page in PAGES if page != first)
