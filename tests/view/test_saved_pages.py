"""Pages without a kernel hold what the live view shows, and nothing that they should not."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets as widgets
import numpy as np
import pytest
from PIL import Image
from support.hostile import WORDS, hostile_model, hostile_samples
from support.saved_pages import ReadPage
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.scales.pyramid import free_panels
from mswin_viz.data.progress import Progress
from mswin_viz.data.sample import Sample
from mswin_viz.errors import ClosedError, OptionError, OutputError, StoppedError
from mswin_viz.view.page.page_images import folderless
from mswin_viz.view.page.page_plan import menu_choice, menu_values
from mswin_viz.view.page.page_values import PageValues, json_text
from mswin_viz.view.widgets.assets import as_function
from mswin_viz.view.widgets.markup import TAGS, Markup, page_document, reworded, tag

MODEL = tiny_model()
METHOD = "gradcam"
PROMPT = "a person wearing <b>red</b>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people of the test")
    for at, picture in enumerate(pictures(6)):
        Image.fromarray(picture).save(folder / f"p{at}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def samples(folder: Path) -> list[Sample]:
    images = [{"RGB": folder / f"p{2 * at}.png", "NI": folder / f"p{2 * at + 1}.png"} for at in range(3)]
    return [
        *(Sample(at, at, own) for at, own in enumerate(images)),
        Sample(9, 0, {"RGB": folder / "broken.png"}),
    ]


@pytest.fixture(scope="module")
def saved(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """An explorer, the page it was saved as, and what was said on the way."""
    explorer, said = mv.ScaleExplorer(MODEL, samples, prompt=PROMPT), []
    path = explorer.to_html(tmp_path_factory.mktemp("out") / "scales.html", progress=False, say=said.append)
    yield SimpleNamespace(explorer=explorer, page=ReadPage.of(path), said=said, path=path)
    explorer.close()


def choose(explorer: mv.ScaleExplorer, place: int, modality: str, rows: str, value: str) -> None:
    explorer.controls.rows.value = rows
    explorer.controls.value.value = value
    explorer.strip.modality = modality
    explorer.strip.selected = place


class Elements(HTMLParser):
    """Collects the names of elements and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def assert_same_numbers(board: Mapping[str, Any], explorer: mv.ScaleExplorer) -> None:
    """Every column of a page's board, and the free windows at every scale, are those of the live explorer."""
    for column, own in zip(board["columns"], explorer.board.columns, strict=True):
        found, expected = (np.frombuffer(one["values"], np.float32) for one in (column, own))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    panels = explorer._shown.panels_of_every_scale(lambda: False)
    expected = np.concatenate([panel.values.ravel() for panel in panels])
    sent = np.frombuffer(board["pyramid"]["values"], np.float32)
    np.testing.assert_allclose(sent, expected, rtol=1e-5, atol=1e-7)


CHOICES = list(
    itertools.product(
        (0, 2),
        ("RGB", "NI"),
        ("one", "modalities"),
        ("removal", "push", "share", "norm", "cosine", "channel"),
    )
)


@pytest.mark.parametrize("chosen", CHOICES[::3], ids=str)
def test_an_answer_is_what_the_live_explorer_shows(saved: SimpleNamespace, chosen: tuple[Any, ...]) -> None:
    explorer = saved.explorer
    choose(explorer, *chosen)
    board = saved.page.on_board(*chosen)
    live = {column["key"]: column for column in explorer.board.columns}
    assert [row["name"] for row in board["rows"]] == [row["name"] for row in explorer.board.rows]
    assert [column["key"] for column in board["columns"]] == list(live)
    for column in board["columns"]:
        own = live[column["key"]]
        found, expected = (np.frombuffer(one["values"], np.float32) for one in (column, own))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
        assert {name: column[name] for name in ("title", "words", "unit", "scale")} == {
            name: own[name] for name in ("title", "words", "unit", "scale")
        }
    words = saved.page.words(*chosen)
    assert str(explorer._html["scores"].value) in words


@pytest.mark.parametrize("chosen", CHOICES[1::4], ids=str)
def test_every_scale_of_an_answer_is_that_of_the_images_alone(
    saved: SimpleNamespace, chosen: tuple[Any, ...]
) -> None:
    explorer = saved.explorer
    choose(explorer, *chosen)
    result = explorer.result
    panels = free_panels(result.subject, result.view_request)
    expected = np.concatenate([panel.values.ravel() for panel in panels])
    sent = saved.page.on_board(*chosen)["pyramid"]
    rounding = 1e-6 * np.abs(expected).max()  # of sums in another order, whatever is left of them
    np.testing.assert_allclose(np.frombuffer(sent["values"], np.float32), expected, rtol=0, atol=rounding)
    assert sent["words"] == [panel.words for panel in panels]


def test_every_choice_of_the_page_has_an_answer(saved: SimpleNamespace) -> None:
    table = saved.page.data["tables"][0]
    menus = [values for _, _, values in table["axes"]]
    assert menus[2] == ["one", "modalities"]
    chosen = itertools.product(range(4), ("RGB", "NI"), menus[2], menus[3])
    assert {json_text(list(one)) for one in chosen} == set(table["answers"])
    for table in saved.page.data["tables"]:
        for answer in table["answers"].values():
            for traits in answer["changes"].values():
                value = saved.page.value(traits)
                assert (
                    value["value"] == "" or value["value"] in saved.page.templates
                    if "value" in value
                    else value
                )


def test_a_broken_image_has_its_reason_in_place_of_an_answer(saved: SimpleNamespace, folder: Path) -> None:
    answer = saved.page.data["tables"][0]["answers"][json_text([3, "RGB", "one", "norm"])]
    assert answer["failed"] is True
    assert "broken.png" in saved.page.words(3, "RGB", "one", "norm")


def test_nothing_names_a_folder_of_this_machine(saved: SimpleNamespace, folder: Path) -> None:
    for place in (folder, folder.name, Path.home(), Path.cwd(), "/tmp"):
        assert str(place) not in html.unescape(saved.page.text)


def test_the_browser_is_told_that_only_the_page_s_own_script_runs(saved: SimpleNamespace) -> None:
    policy = saved.page.policy
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == saved.page.script_digest
    assert policy["img-src"] == "data: blob:"
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:|//)""", saved.page.text)


def test_words_from_outside_are_text(saved: SimpleNamespace) -> None:
    assert PROMPT not in saved.page.text
    assert html.escape(PROMPT) in saved.page.text


def test_the_size_is_said_before_and_is_about_right(saved: SimpleNamespace) -> None:
    before, failed, after = saved.said
    assert failed.startswith("24 of 96 choices have no pictures")
    expected, written = (float(re.search(r"([\d.]+) MB", words)[1]) for words in (before, after))
    assert before.startswith("4 of 4 images, about ")
    assert written == round(saved.path.stat().st_size / 1e6, 1)
    assert 0.6 < expected / written < 1.6


def test_the_foot_says_what_is_fixed_and_with_which_version(saved: SimpleNamespace) -> None:
    foot = saved.page.text.split("<footer>")[1].split("</footer>")[0]
    assert "Works without a kernel" in foot
    assert html.escape(PROMPT) in foot
    assert f"mswin_viz {mv.__version__}" in foot
    assert re.search(r"Saved \d{4}-\d\d-\d\d \d\d:\d\d UTC", foot)


@pytest.mark.parametrize(("images", "positions"), [(1, [2]), (2, [0, 2]), (3, [0, 1, 2]), (9, [0, 1, 2, 3])])
def test_a_page_holds_so_many_images_with_the_one_on_screen(
    samples, images: int, positions: list[int]
) -> None:
    explorer = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    explorer.strip.selected = 2
    (strip,) = ReadPage(explorer.page(images=images)).models_with("items")
    assert [item["name"] for item in strip["items"]] == [samples[at].name for at in positions]
    assert strip["selected"] == positions.index(2)
    explorer.close()


def test_a_pair_is_saved_as_it_is_on_screen(samples) -> None:
    explorer = mv.ScaleExplorer(MODEL, samples, prompt="a person")
    explorer.controls.rows.value = "pair"
    explorer.strip.second = 2
    explorer.controls.value.value = "share"
    page = ReadPage(explorer.page(images=1))
    (strip,) = page.models_with("items")
    assert [item["name"] for item in strip["items"]] == [samples[0].name, samples[2].name]
    board = page.on_board(0, "RGB", "pair", "share")
    for column, own in zip(board["columns"], explorer.board.columns, strict=True):
        assert column["values"] == own["values"]
    assert json_text([1, "RGB", "pair", "share"]) not in page.data["tables"][0]["answers"]
    explorer.close()


@pytest.mark.parametrize("how", ["tiles", "free slot", "stride"])
def test_where_scales_cannot_be_computed_ahead_the_slider_is_disabled(samples, how: str) -> None:
    explorer = mv.ScaleExplorer(MODEL, samples[:1], prompt="a person")
    c = explorer.controls
    if how == "tiles":
        c.windows.value = "tiles"
    elif how == "stride":
        c.stride.value = 1
    else:
        c.slots[0].value = "free"
    page = ReadPage(explorer.page())
    (slider,) = page.models_with("is_followed")
    assert slider["disabled"]
    assert "one scale" in slider["tooltip"]
    assert page.on_board(0, "RGB", "one", "norm")["pyramid"] == {}
    explorer.close()


def test_a_target_in_the_chosen_modality_has_an_answer_for_each(samples) -> None:
    explorer = mv.ScaleExplorer(MODEL, samples[:3], prompt="a person")
    explorer.controls.target.value, explorer.strip.second = "image", 2
    page = ReadPage(explorer.page(images=1))
    for modality, rows in itertools.product(("RGB", "NI"), ("modalities", "one")):
        choose(explorer, 0, modality, rows, "share")
        board = page.on_board(0, modality, rows, "share")
        assert_same_numbers(board, explorer)
    assert samples[2].name in page.text.split("<footer>")[1]
    explorer.close()


def test_images_of_one_modality_are_saved_whatever_was_chosen(samples) -> None:
    only_rgb = [Sample(at, at, {"RGB": sample.images["RGB"]}) for at, sample in enumerate(samples[:2])]
    explorer = mv.ScaleExplorer(MODEL, [*only_rgb, samples[2]], prompt="a person")
    explorer.controls.rows.value, explorer.strip.modality = "modalities", "NI"
    page = ReadPage(explorer.page(images=2))
    (strip,) = page.models_with("items")
    assert (strip["modalities"], strip["modality"]) == (["RGB"], "RGB")
    assert [row["name"] for row in page.on_board(1, "RGB", "modalities", "norm")["rows"]] == ["RGB"]
    explorer.close()


def test_plain_clip_offers_the_values_that_it_has(samples) -> None:
    explorer = mv.ScaleExplorer(replace(MODEL, addon=None), samples[:1], prompt="a person")
    page = ReadPage(explorer.page())
    assert page.data["tables"][0]["axes"][3][2] == ["norm", "cosine", "channel"]
    assert "pins" not in page.text.split("<footer>")[1].split("</footer>")[0]
    explorer.close()


def test_no_word_on_screen_names_a_folder_of_this_machine(samples, folder: Path) -> None:
    origin = "own.Module (/home/somebody/secret place/own.py)"
    explorer = mv.ScaleExplorer(replace(MODEL, addon_origin=origin), samples, prompt="a person")
    explorer.strip.selected = 3  # broken: its message is on screen
    text = html.unescape(ReadPage(explorer.page(images=2)).text)
    assert "own.py" in text
    assert "/home/somebody" not in text
    assert str(folder) not in text
    explorer.close()


def test_two_models_have_the_rows_of_the_live_explorer(samples) -> None:
    plain = replace(MODEL, addon=None)
    explorer = mv.ScaleExplorer({"plain": plain, "windows": MODEL}, samples[:2], prompt="a person")
    page = ReadPage(explorer.page())
    for rows, modality in (("one", "NI"), ("modalities", "RGB")):
        choose(explorer, 1, modality, rows, "norm")
        board = page.on_board(1, modality, rows, "norm")
        assert [row["name"] for row in board["rows"]] == [row["name"] for row in explorer.board.rows]
        assert_same_numbers(board, explorer)
    assert "windows" in page.words(1, "NI", "one", "norm")
    explorer.close()


def test_a_split_cls_is_in_the_page(samples) -> None:
    explorer = mv.ScaleExplorer(MODEL, samples[:1], prompt="a person")
    explorer.controls.cls.value = True
    page = ReadPage(explorer.page())
    columns = page.on_board(0, "RGB", "one", "share")["columns"]
    assert columns[0]["key"] == "cls"
    assert np.isfinite(np.frombuffer(columns[0]["values"], np.float32)).all()
    explorer.close()


def test_an_explorer_that_moves_on_meanwhile_does_not_change_its_page(samples) -> None:
    explorer = mv.ScaleExplorer(MODEL, samples[:2], prompt="a person")

    def move(_progress: Progress) -> None:
        explorer.controls.kernel.value = "mean"
        explorer.controls.slots[0].value = "off"

    moved = ReadPage(explorer.page(report=move))
    explorer.controls.reset()
    still = ReadPage(explorer.page())
    assert moved.on_board(1, "RGB", "one", "norm") == still.on_board(1, "RGB", "one", "norm")
    explorer.close()


def test_names_and_prompts_that_a_page_would_run_are_text(tmp_path: Path) -> None:
    model = hostile_model()
    explorer = mv.ScaleExplorer(model, hostile_samples(tmp_path)[:3], prompt="\n".join(WORDS))
    page = ReadPage(explorer.page(images=2))
    assert page.policy["script-src"] == page.script_digest
    data = page.text.split('id="mswin-page-data">')[1]
    assert "<" not in data.split("</script>")[0]
    reader = Elements()
    reader.feed(page.text)
    assert reader.tags <= {
        *TAGS,
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "noscript",
        "footer",
        "template",
        "script",
    }
    assert not {
        name
        for name in reader.attributes
        if name.startswith("on") or name in ("href", "action", "formaction")
    }
    explorer.close()


# ---- what is refused, and how it ends -----------------------------------------------------------


@pytest.mark.parametrize("images", [0, -1, 1.5, "3", True])
def test_a_number_of_images_that_is_none_is_refused(saved: SimpleNamespace, images: Any) -> None:
    with pytest.raises(OptionError, match="images must be a whole number, 1 or more"):
        saved.explorer.page(images=images)


def test_the_file_is_checked_before_anything_is_computed(saved: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"must end in \.html"):
        saved.explorer.to_html(tmp_path / "scales.png")
    with pytest.raises(OutputError, match="folder"):
        saved.explorer.to_html(tmp_path)


def test_a_page_can_be_stopped(saved: SimpleNamespace) -> None:
    seen: list[Progress] = []
    with pytest.raises(StoppedError, match="not finished"):
        saved.explorer.page(report=seen.append, stop=lambda: len(seen) > 3)
    assert [progress.done for progress in seen] == [1, 2, 3, 4]


def test_a_closed_explorer_has_no_page(samples) -> None:
    explorer = mv.ScaleExplorer(MODEL, samples[:1], prompt="a person")
    explorer.close()
    with pytest.raises(ClosedError):
        explorer.page()


def test_static_shows_the_whole_page_in_a_frame_of_its_own(samples) -> None:
    explorer = mv.ScaleExplorer(MODEL, samples[:1], prompt="a person")
    static = explorer.static(height=500)
    shown = static._repr_html_()
    assert 'sandbox="allow-scripts"' in shown
    assert "height:500px" in shown
    inside = re.search(r'srcdoc="([^"]*)"', shown)
    assert inside
    assert html.unescape(inside[1]) == static.document
    explorer.close()


def test_the_button_downloads_the_page_of_so_many_images(samples) -> None:
    explorer, sent = mv.ScaleExplorer(MODEL, samples, prompt="a person"), []
    explorer.board.send = lambda content, buffers=None: sent.append((content, buffers))
    explorer.bar.page.images.value = 2
    explorer.bar.page.worker.start().join()
    ((content, buffers),) = sent
    assert content == {"kind": "download", "name": "scales.html"}
    (strip,) = ReadPage(buffers[0].decode()).models_with("items")
    assert len(strip["items"]) == 2
    assert "scales.html: " in explorer.bar.page.worker.status.value
    explorer.close()


def test_attributions_are_saved_for_each_image_and_modality(samples) -> None:
    explorer = mv.AttributionExplorer(MODEL, samples, prompt="a person")
    explorer.controls.methods.value = (METHOD,)
    page = ReadPage(explorer.page(images=2))
    explorer.controls.strip.selected, explorer.controls.strip.modality = 1, "NI"
    explorer.start().join()
    for column, own in zip(page.on_board(1, "NI")["columns"], explorer.board.columns, strict=True):
        found, expected = (np.frombuffer(one["values"], np.float32) for one in (column, own))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    explorer.close()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (tag("b", "in /a/b/c.py", title="/a/b/c.py"), tag("b", "in c.py", title="c.py")),
        (tag("td", "1/2 < 3/4 & w/o"), tag("td", "1/2 < 3/4 & w/o")),
        (tag("div", tag("b", "x"), tag("br"), "~/y/z.png"), tag("div", tag("b", "x"), tag("br"), "z.png")),
    ],
)
def test_words_are_changed_and_elements_are_not(before: Markup, after: Markup) -> None:
    assert reworded(before, folderless([])) == after


# ---- the pieces ----------------------------------------------------------------------------------


def test_what_occurs_twice_is_written_once() -> None:
    values = PageValues({})
    long = ["a text of more than forty characters, said twice"] * 2
    first, second = values.of({"a": long}), values.of([long, b"123", b"123"])
    assert len(values.buffers) == 1
    assert sum("said twice" in str(value) for value in values.values) == 1
    assert first != second


@pytest.mark.parametrize("value", [object(), {"$": 1}, {1, 2}])
def test_a_value_that_a_page_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(OptionError, match="page"):
        PageValues({}).of(value)


def test_a_menu_in_which_a_label_occurs_twice_keeps_all_its_values() -> None:
    menu = widgets.Dropdown(options=[("same", 1), ("same", 2), ("other", 3)])
    assert menu_values(menu, {}) == [1, 2, 3]
    assert menu_values(menu, menu_choice(menu, [3], 3)) == [3]


@pytest.mark.parametrize(
    "module",
    [
        "import x from 'y';\nexport default { a };",
        "export const a = 1, b = 2;\nexport { a };",
        "export default a;",
    ],
)
def test_a_script_that_is_no_plain_module_is_refused(module: str) -> None:
    with pytest.raises(OptionError, match="script of a page"):
        as_function(module)


@pytest.mark.parametrize("script", ["'</script>'", "a <!-- b"])
def test_a_script_that_would_end_its_element_is_refused(script: str) -> None:
    with pytest.raises(OptionError, match="must not contain"):
        page_document("t", tag("div"), templates={}, data="{}", script=script, style="")
