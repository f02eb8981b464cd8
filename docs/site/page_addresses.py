"""The addresses in a page, a style sheet or an SVG picture: what a reader may follow, and what a browser loads by itself.

Where addresses stand is a table, ``TAKEN_APART``. The text of scripts is not searched: an address that a script puts
together could not be found in it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

NESTED = re.compile(r"data:(text/html|text/css|application/xhtml\+xml|image/svg\+xml)\b", re.IGNORECASE)
"""Addresses that hold a page, a style sheet or an SVG picture themselves."""
FOLLOWED = {"a", "area"}
"""Elements whose ``href`` is followed when somebody clicks on it."""
NOT_LOADED = {"canonical", "search", "next", "prev", "index", "genindex", "author", "copyright"}
"""Kinds of ``<link>`` that are only followed by people and machines."""

_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_UNREAD = re.compile(
    rf"({_STRING}|url\(\s*[^\"'\s)][^)]*)|/\*.*?(?:\*/|$)|@namespace[^;]*", re.DOTALL | re.IGNORECASE
)
_ESCAPED = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.IGNORECASE | re.DOTALL)
_IN_STYLE = re.compile(
    r"(?:\b(?:url|src)\(\s*|@import\s*(?=[\"']))(?:\"([^\"]*)|'([^']*)|([^)\s]*))", re.IGNORECASE
)
_SET = re.compile(r"image-set\(((?:[^()\"']|\"[^\"]*\"|'[^']*'|\([^()]*\))*)", re.IGNORECASE)
_CANDIDATE = re.compile(r"([^\s,]\S*[^\s,]|[^\s,])(?:\s+[^,]*)?(?:,|$)")
_REFRESH = re.compile(r"\s*[\d.]+[\s;,]*(?:url\s*=\s*)?[\"']?([^\"']*)", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """One address, and where it stands: ``<img src>``, for example."""

    text: str
    place: str
    is_loaded: bool = True


def of_style(text: str) -> list[str]:
    """What a style sheet, or a ``style`` attribute, loads: ``url()``, ``@import``, ``image-set()``; escapes are resolved."""
    text = _ESCAPED.sub(_character, _UNREAD.sub(lambda found: found[1] or " ", text))
    sets = " ".join(re.sub(r"\w+\([^()]*\)", "", found[1]) for found in _SET.finditer(text))
    return [
        address
        for found in [*_IN_STYLE.finditer(text), *re.finditer(r"\"([^\"]*)\"|'([^']*)'", sets)]
        if (address := "".join(part or "" for part in found.groups()))
    ]


def _character(escape: re.Match[str]) -> str:
    code = int(escape[1] or "0", 16)
    return (escape[2] or "").replace("\n", "") or (chr(code) if 0 < code < 0xD800 else "\ufffd")


def _one(text: str) -> list[str]:
    return [text]


TAKEN_APART: dict[str, Callable[[str], list[str]]] = {
    **dict.fromkeys(
        ("src", "href", "poster", "background", "data", "action", "formaction", "manifest"), _one
    ),
    **dict.fromkeys(("srcset", "imagesrcset"), _CANDIDATE.findall),
    **dict.fromkeys(("ping", "attributionsrc"), str.split),
    **dict.fromkeys(("style", "fill", "stroke", "filter", "mask", "clip-path", "cursor"), of_style),
    **dict.fromkeys(("marker", "marker-start", "marker-mid", "marker-end"), of_style),
}
"""Attributes of any element that hold addresses, and how those are found in their text; SVG has addresses in its colours too."""
ONLY_OF = {"data": {"object"}, "action": {"form"}, "formaction": {"button", "input"}, "manifest": {"html"}}
"""Attributes that mean something else, or nothing, on other elements."""
_ANIMATED = ("to", "from", "by", "values")


@dataclass
class Page(HTMLParser):
    """The names of elements on a page or in an SVG picture, and its addresses in order."""

    names: set[str] = field(default_factory=set)
    addresses: list[Address] = field(default_factory=list)
    _style: list[str] | None = None  # the parts of the style element that is being read

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        tag = tag.rpartition(":")[2]  # svg:image
        given = {
            name.rpartition(":")[2]: text or "" for name, text in reversed(attrs)
        }  # xlink:href; the first counts
        self.names |= {name for name in (given.get("id"), tag == "a" and given.get("name")) if name}
        self._style = [] if tag == "style" else None
        for name in given:
            if name in TAKEN_APART and tag in ONLY_OF.get(name, {tag}):
                for text in TAKEN_APART[name](given[name]):
                    self._add(text, f"<{tag} {name}>", is_loaded=not _is_followed(tag, name, given))
        for text in _of_other_attributes(tag, given):
            self._add(text, f"<{tag}>")
        if "srcdoc" in given:
            self.addresses += _of_inner(page_of(given["srcdoc"]))

    def handle_endtag(self, tag: str) -> None:
        for text in of_style("".join(self._style or ())):
            self._add(text, "<style>")
        self._style = None

    def handle_data(self, data: str) -> None:
        if self._style is not None:
            self._style.append(data)

    def close(self) -> None:
        if self._style is not None:  # browsers close it at the end of the page
            self.feed("</style>")
        super().close()

    def handle_pi(self, data: str) -> None:
        named = re.match(r"xml-stylesheet\b.*?\bhref\s*=\s*[\"']([^\"']*)", data, re.DOTALL)
        if named:
            self._add(named[1], "<?xml-stylesheet?>")

    def _add(self, text: str, place: str, *, is_loaded: bool = True) -> None:
        if text.strip() or not is_loaded:
            self.addresses += with_nested(Address(text, place, is_loaded))


def _is_followed(tag: str, name: str, given: dict[str, str]) -> bool:
    if name != "href":
        return False
    return tag in FOLLOWED or (tag == "link" and not set(given.get("rel", "").lower().split()) - NOT_LOADED)


def _of_other_attributes(tag: str, given: dict[str, str]) -> Iterator[str]:
    if tag == "meta" and given.get("http-equiv", "").strip().lower() == "refresh":
        yield from _REFRESH.findall(given.get("content", ""))
    if tag in ("set", "animate"):
        is_address = given.get("attributename", "").lower().endswith("href")
        for text in (given[name] for name in _ANIMATED if name in given):
            yield from text.split(";") if is_address else of_style(text)


def page_of(text: str) -> Page:
    """A page or an SVG picture, read."""
    page = Page()
    page.feed(text)
    page.close()
    return page


def style_sheet(text: str) -> Page:
    """A style sheet: addresses, no names."""
    return Page(
        addresses=[one for text in of_style(text) for one in with_nested(Address(text, "style sheet"))]
    )


def with_nested(address: Address) -> list[Address]:
    """An address, and those in the page, style sheet or picture that it holds as ``data:``; the names in that are its own."""
    kind = NESTED.match(address.text.strip())
    if kind is None:
        return [address]
    head, _, body = address.text.partition(",")
    content = unquote_to_bytes(body)
    try:
        content = base64.b64decode(content) if head.lower().rstrip().endswith("base64") else content
    except binascii.Error:
        return [address]
    read = style_sheet if kind[1].lower() == "text/css" else page_of
    return [address, *_of_inner(read(content.decode("utf-8", "replace")))]


def _of_inner(page: Page) -> list[Address]:
    """The addresses of a page inside of another, without those that name its own elements."""
    return [one for one in page.addresses if not one.text.strip().startswith("#")]
