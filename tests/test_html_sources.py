"""Only ``view/widgets/markup.py`` makes HTML, and no script of ours puts words into a page as HTML."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "mswin_viz"
THE_MODULE = ROOT / "view" / "widgets" / "markup.py"
PAGES = {"view/page/saved_page.py": {"to_html", "_repr_html_"}, "cli/rendering.py": {"to_html"}}
"""Modules that save a page, which the one module makes, and the names they need for it."""
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != THE_MODULE)
SCRIPTS = sorted(ROOT.rglob("*.mjs"))

ELEMENTS = (
    "a abbr address area article aside audio b base bdi bdo blockquote body br button canvas caption center circle cite "
    "code col colgroup data datalist dd del details dfn dialog div dl dt em embed fieldset figcaption figure font footer "
    "foreignobject form frame frameset g h[1-6] head header hgroup hr html i iframe image img input ins kbd label legend "
    "li line link main map mark marquee math menu meta meter nav noscript object ol optgroup option output p param path "
    "picture plaintext portal pre progress q rect rp rt ruby s samp script search section select slot small source span "
    "strong style sub summary sup svg table tbody td template text textarea tfoot th thead time title tr track tt u ul "
    "use var video wbr xmp"
).replace(" ", "|")
TAGGED = re.compile(
    rf"</?({ELEMENTS})(\s[^>]*)?/?(>|$)|</?({ELEMENTS})\s|<!(doctype|--)|</?[%{{]", re.IGNORECASE
)
"""A tag, one that is still open, or one whose name is filled in."""
ENTITY = re.compile(r"&(#\d+|#x[\da-f]+|[a-z]{2,8});", re.IGNORECASE)
MAKERS = {
    "html",
    "markupsafe",
    "xml",
    "bleach",
    "jinja2",
    "lxml",
    "bs4",
    "dominate",
    "htpy",
    "mako",
    "nh3",
    "IPython",
}
"""Packages that escape or make HTML."""
NAMES = {
    "HTML", "HTMLMath", "Markdown", "Javascript", "SVG", "Latex", "Math", "Label", "Output", "to_html", "_repr_html_",
    "_repr_markdown_", "_repr_latex_", "_repr_javascript_", "_repr_svg_", "description_allow_html", "display_html",
    "publish_display_data", "quoteattr", "export_html",
}  # fmt: skip
"""Of classes and functions that show a string as HTML, as Markdown or as a formula (MathJax), or make such a string."""
READ_NOT_MADE = {rb"\s*(<!doctype|<html|<\?xml|<head)", b"<!doctype html", b"<html", b"<svg"}
"""What recognises a web page or a drawing that was saved in place of weights or of a picture."""


def docstrings(tree: ast.AST) -> set[ast.AST]:
    """Strings that stand alone: documentation."""
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def html_made(source: str) -> list[str]:
    """What a source does that only the one module may do."""
    tree = ast.parse(source)
    ignored = docstrings(tree)
    return [
        f"line {getattr(node, 'lineno', 0)}: {words}"
        for node in ast.walk(tree)
        if node not in ignored
        for words in (*_strings(node), *_imports(node), *_names(node))
    ]


def _strings(node: ast.AST) -> Iterator[str]:
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str | bytes)
        and node.value not in READ_NOT_MADE
    ):
        text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
        if TAGGED.search(text) or ENTITY.search(text):
            yield f"a tag or an entity in {text!r}"
        if text in NAMES or text.split(".")[0] in MAKERS - {"xml", "html"} or text == "text/markdown":
            yield f"the name {text!r}"
    parts = node.values if isinstance(node, ast.JoinedStr) else ()
    for before, after in pairwise(parts):
        if (
            isinstance(after, ast.FormattedValue)
            and isinstance(before, ast.Constant)
            and _is_half(before.value)
        ):
            yield f"a tag with a name that is filled in after {before.value!r}"
    if (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Add)
        and _is_half(getattr(node.left, "value", ""))
    ):
        yield "a tag that is put together"


def _is_half(text: object) -> bool:
    return (
        isinstance(text, str) and re.search(r"(^|[^<\s])?</?$", text) is not None and not text.endswith(" <")
    )


def _imports(node: ast.AST) -> Iterator[str]:
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom):
        modules = [node.module or ""]
        yield from (f"import of {alias.name}" for alias in node.names if alias.name in NAMES)
    yield from (f"import of {name}" for name in modules if name.split(".")[0] in MAKERS)
    if isinstance(node, ast.Call) and node.args and "import" in ast.unparse(node.func):
        name = getattr(node.args[0], "value", "")
        if isinstance(name, str) and name.split(".")[0] in MAKERS:
            yield f"import of {name}"


def _names(node: ast.AST) -> Iterator[str]:
    called = node.func if isinstance(node, ast.Call) else None
    if (
        isinstance(called, ast.Name | ast.Attribute)
        and getattr(called, "id", getattr(called, "attr", "")) == "Markup"
    ):
        yield "Markup(...) without escaping"
    name = getattr(node, "attr", getattr(node, "id", getattr(node, "arg", getattr(node, "name", None))))
    if name in NAMES:
        yield f"the name {name}"
    if isinstance(node, ast.Attribute) and node.attr == "unescape":
        yield "unescape"


MADE = [
    'x = f"<b>{name}</b>"',
    "x = '<div class=' + css + '>'",
    'x = "<i>%s</i>" % name',
    'x = "<SPAN style=\\"color:red\\">"',
    'x = "".join(["<td>", name, "</td>"])',
    'x = f"<{tag}>{name}</{tag}>"',
    'x = "<{}>".format(tag)',
    'x = "<%s>" % tag',
    'x = "<" + tag + ">"',
    'x = "</" + tag + ">"',
    'x = "<img src=x"',
    'x = "<br/>"',
    'x = "<br>"',
    'x = "<svg onload=1>"',
    'x = "<!-- a comment -->"',
    'x = b"<p>" + name',
    'x = "one&nbsp;two"',
    'x = "&#60;b&#62;"',
    "import html",
    "from html import escape",
    "import html.parser",
    "from markupsafe import Markup",
    "import markupsafe as m",
    "from xml.sax.saxutils import escape",
    "from IPython.display import HTML",
    "from IPython import display",
    "import importlib\nm = importlib.import_module('markupsafe')",
    "m = __import__('html')",
    "import ipywidgets as widgets\nx = widgets.HTML(name)",
    "from ipywidgets import HTML as H",
    "import ipywidgets\nx = ipywidgets.HTMLMath(name)",
    "x = widgets.Label(name)",
    "x = getattr(widgets, 'HTML')(name)",
    "x = widgets.Button(description=name, description_allow_html=True)",
    "x.description_allow_html = True",
    "class A:\n    def _repr_html_(self):\n        return self.name",
    "class A:\n    def _repr_markdown_(self):\n        return self.name",
    "x = frame.to_html()",
    "from mswin_viz.view.widgets.markup import Markup\nx = Markup(name)",
    "from mswin_viz.view.widgets import markup\nx = markup.Markup(name)",
    "x = {'text/markdown': name}",
]
LEFT = [
    '"""Gives <b>bold</b> words."""\nx = 1',
    "# <b>\nx = 1",
    'x = "sub-folders {train,test}/<id>/{vis,ni,th}"',
    "x = re.compile(r'(?P<pid>\\\\d+)_c(?P<cam>\\\\d+)')",
    'x = f"need 3 < {n}"',
    'x = word.removesuffix("</w>")',
    'from mswin_viz.view.widgets.markup import tag\nx = tag("b", name)',
    'x = "a -> b, c <- d"',
    'x = "html"',
    "from mswin_viz.view.widgets.markup import Markup\ndef f() -> Markup: ...",
]


@pytest.mark.parametrize("source", MADE)
def test_every_way_of_making_html_is_found(source: str) -> None:
    assert html_made(source)


@pytest.mark.parametrize("source", LEFT)
def test_what_makes_no_html_is_left_alone(source: str) -> None:
    assert html_made(source) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_module_makes_html(path: Path) -> None:
    allowed = {f"the name {name}" for name in PAGES.get(path.relative_to(ROOT).as_posix(), ())}
    found = [
        words
        for words in html_made(path.read_text(encoding="utf-8"))
        if words.partition(": ")[2] not in allowed
    ]
    assert found == []


# ---- scripts -----------------------------------------------------------------------------------

SINKS = re.compile(
    r"""\b(innerHTML|outerHTML|insertAdjacentHTML|setHTML(Unsafe)?|createContextualFragment|DOMParser|srcdoc|XSLTProcessor
    |parseHTML(Unsafe)?|dangerouslySetInnerHTML|cssText|insertRule|CSSStyleSheet|eval\s*\(
    |new\s+Function|Function\s*\(|importScripts|execCommand|open\s*\()
    |\bdocument\s*\.\s*write|javascript:|text/html|image/svg|<\s*/?\s*(script|iframe|style|img|div|span|svg|b|a)\b
    |set(Timeout|Interval)\s*\(\s*["'`]
    |setAttribute(NS)?\s*\(\s*["'`](on|style|href|src|xlink|formaction|action)
    |\.on\w+\s*=[^=]|\[\s*["'`]on|["'`]on(error|load|click)
    |import\s*\(|createElement\s*\(\s*["'`](script|iframe|style|object|embed|base|link|meta|form)
    |\burl\(\s*[$"'`\\]
    |(querySelector(All)?|matches|closest)\s*\(\s*(`[^`]*\$\{|[^"'`)]|["'][^"']*["']\s*\+)
    |location\s*(\.\s*(href|assign|replace))?\s*=[^=]|\.\s*(href|src|action)\s*=(?!\s*url\b)
    |\b(href|src|action|formAction)\s*:(?!\s*url\b)""",
    re.VERBOSE,
)
"""What can run or load a string, and addresses that are not made by ``URL.createObjectURL``."""
URLS = re.compile(r"\burl\s*=(?!\s*URL\.createObjectURL\(|\s*source\(at\))")


def unsafe_lines(script: str) -> list[str]:
    lines = [line.split("//")[0] if "://" not in line else line for line in script.splitlines()]
    return [line.strip() for line in lines if SINKS.search(line) or URLS.search(line)]


UNSAFE = [
    "el.innerHTML = name;",
    "el['innerHTML'] = name;",
    "Object.assign(el, { innerHTML: name });",
    "el.outerHTML = `${name}`;",
    "el.insertAdjacentHTML('beforeend', name);",
    "document.write(name);",
    "document.writeln (name);",
    "range.createContextualFragment(name);",
    "new DOMParser().parseFromString(name, kind);",
    "el.setHTMLUnsafe(name);",
    "frame.srcdoc = name;",
    "eval(name);",
    "new Function(name)();",
    "setTimeout('run(' + name + ')', 1);",
    "link.href = name;",
    "image.src = name;",
    "Object.assign(link, { href: name });",
    "Object.assign(image, { src: `data:${name}` });",
    "el.setAttribute('onclick', name);",
    "el.setAttribute(\"href\", name);",
    "el.setAttribute('style', name);",
    "el.onclick = name;",
    "el.style.cssText = name;",
    "el.style.backgroundImage = `url(${name})`;",
    "document.querySelector(`[data-name=\"${name}\"]`);",
    "list.querySelector('#' + name);",
    "list.querySelectorAll(name);",
    "el.closest(name);",
    "window.open(name);",
    "location.href = name;",
    "location = name;",
    "import(name);",
    "document.createElement('script');",
    "const url = name;",
    "const kind = 'text/html';",
    "const words = '<b>' + name;",
]  # fmt: skip
SAFE = [
    "el.textContent = name;",
    "option.title = `${item.name}`;",
    "const url = URL.createObjectURL(new Blob([bytes]));",
    'node(option, "img", "").src = url;',
    "Object.assign(link, { href: url, download: name });",
    'event.target.closest("[role=option]");',
    'el.setAttribute("aria-label", name);',
    'import { bytesOf } from "./numbers.mjs";',
    "// never innerHTML",
    "setTimeout(() => URL.revokeObjectURL(url), 10000);",
]


@pytest.mark.parametrize("line", UNSAFE)
def test_every_way_into_a_page_but_as_text_is_found(line: str) -> None:
    assert unsafe_lines(line)


@pytest.mark.parametrize("line", SAFE)
def test_text_and_pictures_are_left_alone(line: str) -> None:
    assert unsafe_lines(line) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_our_scripts_put_words_into_the_page_as_text_alone(path: Path) -> None:
    assert unsafe_lines(path.read_text(encoding="utf-8")) == []


def test_our_style_sheets_load_nothing() -> None:
    for path in sorted(ROOT.rglob("*.css")):
        assert not re.search(r"url\(|@import|expression\(", path.read_text(encoding="utf-8")), path.name
