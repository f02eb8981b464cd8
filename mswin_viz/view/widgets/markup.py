"""HTML: the one module that makes it, and that escapes what comes from files, folders, prompts and weights.

``tag`` puts words into elements; ``Html`` shows them. A plain string is text, whatever is in it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import traitlets
from markupsafe import Markup, escape

from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import OptionError

TAGS = frozenset(
    {"b", "br", "code", "details", "div", "img", "li", "span", "summary", "table", "td", "th", "tr", "ul"}
)
"""The elements that may be made: none of them runs, loads or sends anything."""
ATTRIBUTES = frozenset({"alt", "class", "colspan", "role", "src", "style", "title"})
"""Their attributes; ``src`` takes the bytes of a picture, not an address."""
FONT = {"font": "13px/1.45 var(--jp-ui-font-family, sans-serif)", "color": "var(--jp-ui-font-color1, #222)"}
"""How words beside the pictures are set, in the page's letters."""
SMALL = {"font-size": "12px"}
NOTE = SMALL | {"opacity": ".75"}
"""A remark below numbers."""
COLUMNS = {"display": "flex", "flex-wrap": "wrap", "gap": "8px 28px"}
"""Blocks beside each other, as many as fit."""
CELL = {"padding": "1px 10px 1px 0", "text-align": "right", "font-variant-numeric": "tabular-nums"}
"""A number in a table."""
_WRONG = {"border-left": "3px solid var(--jp-error-color1, #c33)", "padding": "2px 8px", "margin": "2px 0"}
_LESS = "\\u003c"  # in JSON: so that no word of the data can end the element it stands in
_VOID = frozenset({"br", "img"})
_DECLARED = re.compile(r"(?!.*url)[\w\s#%.,()/+-]+", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/]*={0,2}")


def tag(
    name: str,
    *children: object,
    css: str = "",
    style: Mapping[str, object] | None = None,
    **attributes: object,
) -> Markup:
    """One element, of ``TAGS``; an ``OptionError`` refuses an element, attribute or value that is not allowed in a page.

    Parameters
    ----------
    children
        What stands in it, in order. ``Markup`` stays as it is; everything else is text: escaped, and control characters
        shown as :func:`mswin_viz.data.shown_text.shown_text` does.
    css
        Its classes.
    style
        Property -> value.
    attributes
        Among ``ATTRIBUTES``; their values are text.
    """
    if name not in TAGS:
        raise OptionError(f"an element must be one of {', '.join(sorted(TAGS))}: got {name!r}")
    if name in _VOID and children:
        raise OptionError(f"an element {name!r} has no content: got {len(children)} children")
    written = {"class": css} if css else {}
    written |= ({"style": _declared(style)} if style else {}) | attributes
    opened = f"<{name}{''.join(_attribute(key, value) for key, value in written.items())}>"
    return Markup(opened if name in _VOID else f"{opened}{fragment(*children)}</{name}>")


def fragment(*children: object) -> Markup:
    """Several children, as :func:`tag` takes them, without an element around them."""
    return Markup("").join(_text(child) for child in children)


def text_of(messages: Sequence[str]) -> str:
    """Messages one after the other as plain text, for what shows no HTML."""
    return Markup(" ").join(_text(message) for message in messages).striptags()


def message_html(messages: Sequence[str]) -> Markup:
    """What went wrong, a line for each message; nothing for none."""
    if not messages:
        return fragment()
    lines = (tag("div", message, style=_WRONG) for message in messages)
    return tag("div", *lines, css="mswin-message", style=FONT, role="alert")


def reworded(markup: Markup, words: Callable[[str], str]) -> Markup:
    """The same elements, with every text and every ``title`` and ``alt`` as ``words`` gives it."""

    def in_tag(found: re.Match[str]) -> str:
        return f'{found[1]}="{escape(words(_as_text(found[2])))}"'

    parts = re.split(r"(<[^>]*>)", str(markup))
    made = (
        re.sub(r'\b(title|alt)="([^"]*)"', in_tag, part)
        if part.startswith("<")
        else escape(words(_as_text(part)))
        for part in parts
    )
    return Markup("").join(Markup(part) for part in made)


def page_document(
    title: str, foot: Markup, *, templates: Mapping[str, Markup], data: str, script: str, style: str
) -> str:
    """A whole page that loads and sends nothing: its own script alone runs in it, and a browser is told so.

    Parameters
    ----------
    title
        Its name, as text.
    foot
        What stands below the part that the script draws.
    templates
        Name -> pieces of HTML for the script.
    data
        JSON for the script.
    script, style
        Of this package, without words from elsewhere.

    Raises
    ------
    OptionError
        If script or style would end the element they stand in.
    """
    for name, text in (("script", script), ("style", style)):
        if re.search(rf"</{name}|<!--", text, re.IGNORECASE):
            raise OptionError(f"the {name} of a page must not contain </{name} or <!--: got one that does")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    pieces = "".join(
        f'<template id="{escape(name)}">{piece}</template>\n' for name, piece in templates.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>\n{style}\n</style>\n</head>\n"
        '<body class="mswin-saved-page">\n<main id="mswin-page"></main>\n'
        "<noscript>This page draws its pictures with JavaScript, which is switched off here.</noscript>\n"
        f"<footer>{foot}</footer>\n{pieces}"
        f'<script type="application/json" id="mswin-page-data">{data.replace("<", _LESS)}</script>\n'
        f'<script type="module">{script}</script>\n</body>\n</html>\n'
    )


def framed(document: str, *, height: int) -> str:
    """A whole page inside of another one, ``height`` CSS pixels high: its scripts run, but see nothing around it."""
    rules = f"width:100%;height:{int(height)}px;border:0"
    return f'<iframe sandbox="allow-scripts" allow="fullscreen" style="{rules}" srcdoc="{escape(document)}"></iframe>'


class _Words(traitlets.TraitType[Markup, Any]):
    """A trait that holds ``Markup``; whatever else is set becomes text."""

    default_value = Markup("")
    info_text = "Markup, or text that is then escaped"

    def validate(self, _owner: object, value: object) -> Markup:
        return _text(value)


class Html(widgets.HTML):
    """ipywidgets' HTML widget, which shows as text what was not made by :func:`tag`."""

    value = _Words(help="What is shown").tag(sync=True, to_json=lambda value, _widget: str(value))


def _text(value: object) -> Markup:
    return value if isinstance(value, Markup) else escape(_plain(value))


def _plain(value: object) -> str:
    """A string and nothing more: an instance of a subclass may call itself HTML."""
    return str.__str__(shown_text(value))


def _as_text(escaped: str) -> str:
    return html.unescape(escaped)


def _attribute(name: str, value: object) -> str:
    if name not in ATTRIBUTES:
        raise OptionError(f"an attribute must be one of {', '.join(sorted(ATTRIBUTES))}: got {name!r}")
    if name == "src" and not _PICTURE.fullmatch(str(value)):
        raise OptionError(f"a picture must be written as data:image/png;base64,...: got {str(value)[:40]!r}")
    return f' {name}="{escape(_plain(value))}"'


def _declared(style: Mapping[str, object]) -> str:
    for name, value in style.items():
        if not (re.fullmatch(r"[a-z-]+", name) and _DECLARED.fullmatch(str(value))):
            raise OptionError(
                f"a style has names such as 'max-width' and values such as '3px' or 'var(--x, #eee)', without an "
                f"address: got {name!r}: {value!r}"
            )
    return ";".join(f"{name}:{value}" for name, value in style.items())
