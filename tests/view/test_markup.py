"""The module that makes HTML: what is text stays text, and only harmless elements can be made."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswin_viz.data.shown_text import shown_text
from mswin_viz.errors import OptionError
from mswin_viz.view.widgets.markup import Html, Markup, fragment, tag

from .test_hostile_names import Page


def test_an_element_has_its_classes_style_and_title() -> None:
    made = tag("div", "a", css="mswin-x", style={"max-width": "3px", "color": "#fff"}, title='"')
    assert made == '<div class="mswin-x" style="max-width:3px;color:#fff" title="&#34;">a</div>'
    assert isinstance(made, Markup)


def test_children_are_text_unless_they_are_markup() -> None:
    assert tag("b", "<i>", 3, tag("br"), fragment("&", "'")) == "<b>&lt;i&gt;3<br>&amp;&#39;</b>"


@given(st.text(st.characters()))
def test_any_string_comes_back_as_it_is_shown(words: str) -> None:
    made = tag("div", words, title=words)
    made.encode("utf-8")  # as the browser gets it
    assert Page(made).text == Page(made).titles[0] == shown_text(words)


@pytest.mark.parametrize("words", ["a\x00b", "a\udce9b", "a\u202eb", "a\nb"])
def test_what_is_no_valid_text_or_turns_it_round_is_escaped(words: str) -> None:
    assert words[1] not in tag("b", words, title=words)
    assert "\\" in tag("b", words)


class Sly(str):
    """Says of itself that it is HTML."""

    def __html__(self) -> str:
        return "<script>"

    def __str__(self) -> str:
        return self


def test_a_string_that_calls_itself_html_is_text_too() -> None:
    assert tag("b", Sly("<i>")) == "<b>&lt;i&gt;</b>"
    assert Html(Sly("<i>")).value == "&lt;i&gt;"


@pytest.mark.parametrize(
    "name", ["script", "iframe", "a", "svg", "style", "b onclick=x", "B", "", "object", "form"]
)
def test_no_element_can_be_made_that_runs_or_loads(name: str) -> None:
    with pytest.raises(OptionError, match="an element must be one of b, br"):
        tag(name)


@pytest.mark.parametrize("name", ["onclick", "href", "srcdoc", "x y", "on error", "id", "action"])
def test_no_attribute_can_be_made_that_runs_or_loads(name: str) -> None:
    with pytest.raises(OptionError, match="an attribute must be one of alt, class"):
        tag("div", **{name: "x"})


@pytest.mark.parametrize("value", ["x", "javascript:1", "data:text/html,x", "data:image/svg+xml;base64,aa", "//a/b",
                                   "data:image/png;base64,aa'"])  # fmt: skip
def test_a_picture_is_given_by_its_own_bytes(value: str) -> None:
    with pytest.raises(OptionError, match="a picture must be written as data:image/png"):
        tag("img", src=value)


@pytest.mark.parametrize("style", [
    {"color": "red;position:fixed"}, {"background": "url(//a.b/c)"}, {"background": "URL (x)"}, {"color": '"'},
    {"color": "x}y{"}, {"a;b": "c"}, {"color": "\\75rl(x)"}, {"color": ""}, {"color": "expression<"},
])  # fmt: skip
def test_a_style_declares_one_value_and_loads_nothing(style: dict) -> None:
    with pytest.raises(OptionError, match="a style has names such as"):
        tag("div", style=style)


def test_the_widget_shows_markup_as_it_is_and_everything_else_as_text() -> None:
    made = Html(tag("b", "x"))
    assert made.value == made.get_state()["value"] == "<b>x</b>"
    made.value = "<b>x</b>"
    assert made.value == "&lt;b&gt;x&lt;/b&gt;"
    made.value = made.value  # what is text already is not escaped again
    assert made.value == "&lt;b&gt;x&lt;/b&gt;"
    assert type(made.get_state()["value"]) is str
    json.dumps(made.get_state())


def test_what_a_page_sends_back_is_text() -> None:
    made = Html()
    made.set_state({"value": "<script>"})
    assert made.value == "&lt;script&gt;"
