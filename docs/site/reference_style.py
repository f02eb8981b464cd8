"""How the reference shows docstrings and signatures.

Names and errors that share a sentence stand together. Of a result, the name is given, since its type
stands in the signature; there, an array is ``ndarray['batch window']``, a tensor ``Tensor['batch window']``, and what ``Model.encode``
takes is ``Images``.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import NumpyDocstring

_SHAPED = re.compile(r"\b[A-Z]\w+\[(?:np\.|torch\.)?(ndarray|Tensor), (['\"]) *([^'\"]*)\2\]")
"""An annotation of jaxtyping: its kind of number, array and shape."""


def attributes(parser: NumpyDocstring, _section: str) -> list[str]:
    """``Attributes`` as ``Parameters`` are: a list, not an entry of the index for each."""
    return parser._format_fields("Attributes", parser._consume_fields())


def named_results(parser: NumpyDocstring, preprocess_types: bool = False) -> list[Any]:
    """The fields of ``Returns``, whose single words are names."""
    return parser._consume_fields(prefer_type=False)


def raised(parser: NumpyDocstring, _section: str) -> list[str]:
    """``Raises``, each error with a link to it."""
    lines = []
    for _, errors, words in parser._consume_fields(parse_type=False, prefer_type=True):
        linked = ", ".join(f":py:exc:`.{error}`" for error in errors.split(", "))
        lines += parser._format_block(f"    * {linked} -- ", [line for line in words if line])
    return [":Raises:", *lines, ""]


def functions_of(thing: Any) -> Iterator[Any]:
    """A function, or the functions of a class and of its bases: methods, and those behind properties."""
    if not isinstance(thing, type):
        yield inspect.unwrap(thing)
        return
    for base in thing.__mro__:
        for member in vars(base).values() if base.__module__.startswith("mswin_viz") else ():
            inside = getattr(member, "fget", None) or getattr(member, "func", None)
            function = inside or getattr(member, "__func__", member)
            if inspect.isfunction(function):
                yield function


class _Made:
    """Stands for a default that is made for each record."""

    def __repr__(self) -> str:
        return "..."


def record_signature(record: type) -> inspect.Signature:
    """The signature of a dataclass without what is private."""
    signature = inspect.signature(record)
    shown = [
        one.replace(default=_Made()) if repr(one.default) == "<factory>" else one
        for name, one in signature.parameters.items()
        if not name.startswith("_")
    ]
    return signature.replace(parameters=shown)


def shorten_signatures(_app: Sphinx) -> None:
    """Shorten the annotations of everything public, and leave out that of options, which are listed below."""
    import mswin_viz

    public = [getattr(mswin_viz, name) for name in sorted(set(mswin_viz.__all__) - {"__version__"})]
    for thing in public:
        for function in functions_of(thing):
            annotations = function.__annotations__
            for key, text in list(annotations.items()):
                if isinstance(text, str):
                    annotations[key] = _SHAPED.sub(r"\1['\3']", text).replace("ModelImages", "Images")
                    if text.startswith("Unpack["):
                        del annotations[key]
        if dataclasses.is_dataclass(thing):
            thing.__signature__ = record_signature(thing)


def of_others(_app: Sphinx, what: str, _name: str, member: Any, _skip: bool, _options: Any) -> bool | None:
    """True for what a class has from another package, and for traits, which its ``Attributes`` list."""
    inside = getattr(member, "fget", None) or getattr(member, "func", None)
    module = getattr(inside or getattr(member, "__func__", member), "__module__", None)
    return True if what == "class" and not str(module).startswith("mswin_viz") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("builder-inited", shorten_signatures)
    app.connect("autodoc-skip-member", of_others)
    NumpyDocstring._parse_attributes_section = attributes
    NumpyDocstring._consume_returns_section = named_results
    NumpyDocstring._parse_raises_section = raised
    return {"parallel_read_safe": True, "parallel_write_safe": True}
