"""Pages of the retrieval view and of the embedding explorer, opened from the disk by a browser without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect
from support.axe import axe_file, serious_findings
from support.lab import Lab
from support.offline_browser import Opened, offline
from support.tiny import tiny_model, two_modalities

import mswin_viz as mv
from browser.conftest import unavailable

pytestmark = pytest.mark.browser
CARD = ".mswin-page-map-card"
PAINTED = "(canvas) => canvas.toDataURL()"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each view, of twelve images of four people in two modalities."""
    model, folder = tiny_model(), tmp_path_factory.mktemp("views")
    samples = two_modalities(folder, 12, n_people=4)
    table = mv.embed(model, samples, progress=False)
    retrieval = mv.RetrievalView(model, samples, table=table)
    embeddings = mv.EmbeddingExplorer(model, samples, table=table, view=mv.embedding_view(table))
    saved = {
        name: view.to_html(folder / f"{name}.html", progress=False, say=lambda _words: None)
        for name, view in (("retrieval", retrieval), ("embeddings", embeddings))
    }
    retrieval.close()
    embeddings.close()
    return saved


@pytest.fixture
def ranked(lab: Lab, files: dict[str, Path]) -> Iterator[Opened]:
    with offline(lab, files["retrieval"].as_uri()) as found:
        found.page.wait_for_selector(".mswin-neighbour")
        yield found


@pytest.fixture
def maps(lab: Lab, files: dict[str, Path]) -> Iterator[Opened]:
    with offline(lab, files["embeddings"].as_uri()) as found:
        found.page.wait_for_selector(".mswin-page-maps[data-drawn]")
        yield found


def test_queries_modalities_and_rules_are_answered_without_a_kernel(ranked: Opened) -> None:
    page = ranked.page
    root, query = page.locator(".mswin-neighbours"), page.locator(".mswin-neighbours-query")
    assert page.locator(".mswin-tags, .mswin-tag-name").count() == 0  # of no use without a kernel
    for act in (
        lambda: page.locator(".mswin-retrieval-query select").select_option(index=5),
        lambda: page.get_by_role("button", name="NI", exact=True).click(),
        lambda: page.locator(".mswin-retrieval-rule select").select_option(index=1),
    ):
        n_drawn = int(root.get_attribute("data-drawn"))
        act()
        expect(root).not_to_have_attribute("data-drawn", str(n_drawn))
    assert query.inner_text().startswith("query")
    assert "id 1, camera 5" in query.inner_text()
    assert page.locator(".mswin-used figcaption").inner_text() == "NI"
    assert page.locator(".mswin-retrieval-summary").inner_text().startswith("NI: mAP plain")
    assert page.locator(".mswin-neighbour-picture").evaluate_all(
        "(all) => all.every((picture) => picture.complete && picture.naturalWidth > 0)"
    )
    assert page.locator(".mswin-retrieval-modality [aria-pressed=true]").all_inner_texts() == ["NI"]
    chosen = page.locator(".mswin-neighbour").nth(3)
    chosen.click()
    expect(chosen).to_have_attribute("aria-selected", "true")


def place_of(maps: Opened, row: int) -> tuple[Locator, dict[str, float]]:
    """The plain map, and where the point of a row is in it: its ring, as the keyboard finds it."""
    plain = maps.page.locator(".mswin-page-map-plain .mswin-page-map-marks")
    plain.focus()
    maps.page.keyboard.press("Home")
    for _ in range(row):
        maps.page.keyboard.press("ArrowRight")
    expect(maps.page.locator(".mswin-page-maps")).to_have_attribute("data-hovered", str(row))
    box = plain.evaluate(
        """(canvas) => {
          const { width, height } = canvas;
          const alpha = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          let [n, x, y] = [0, 0, 0];
          for (let i = 0; i < width * height; i += 1)
            if (alpha[4 * i + 3] > 0) [n, x, y] = [n + 1, x + (i % width), y + Math.floor(i / width)];
          return { x: x / n / devicePixelRatio, y: y / n / devicePixelRatio };
        }"""
    )
    return plain, box


def test_a_point_under_the_mouse_shows_its_picture_and_is_marked_in_both_maps(maps: Opened) -> None:
    page, root = maps.page, maps.page.locator(".mswin-page-maps")
    assert page.locator(".mswin-tags, .mswin-tag-name").count() == 0  # of no use without a kernel
    plain, place = place_of(maps, 4)
    root.evaluate("() => document.activeElement.blur()")
    expect(page.locator(CARD)).to_have_count(0)
    bare = page.locator(".mswin-page-map-enhanced .mswin-page-map-marks").evaluate(PAINTED)
    plain.hover(position=place)
    expect(page.locator(f".mswin-page-map-plain {CARD}")).to_be_visible()
    assert root.get_attribute("data-hovered") == "4"
    words = page.locator(CARD).inner_text().split("\n")
    assert words[:4] == ["identity", "0", "camera", "camera 4"]
    picture = page.locator(f"{CARD} img")
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalHeight)") == 112
    assert page.locator(".mswin-page-map-enhanced .mswin-page-map-marks").evaluate(PAINTED) != bare
    plain.click(position=place)
    expect(root).to_have_attribute("data-selected", "4")
    page.mouse.move(5, 5)
    with_arrow = plain.evaluate(PAINTED)
    page.get_by_label("arrows of the selection").uncheck()
    page.wait_for_function(
        "(before) => document.querySelector('.mswin-page-map-plain .mswin-page-map-marks').toDataURL() !== before",
        arg=with_arrow,
    )
    plain.click(position={"x": 3, "y": 3})
    expect(root).to_have_attribute("data-selected", "")


def test_the_wheel_a_drag_and_a_double_click_move_both_maps(maps: Opened) -> None:
    page, root = maps.page, maps.page.locator(".mswin-page-maps")
    both = [page.locator(f".mswin-page-map-{name} .mswin-page-map-points") for name in ("plain", "enhanced")]
    whole = [canvas.evaluate(PAINTED) for canvas in both]
    reach = root.get_attribute("data-reach")

    def waited(before: list[str]) -> list[str]:
        page.wait_for_timeout(200)
        now = [canvas.evaluate(PAINTED) for canvas in both]
        assert all(a != b for a, b in zip(before, now, strict=True))
        return now

    page.locator(".mswin-page-map-enhanced .mswin-page-map-marks").hover(position={"x": 200, "y": 150})
    page.mouse.wheel(0, -300)
    near = waited(whole)
    assert float(root.get_attribute("data-reach")) < float(reach)
    page.mouse.down()
    box = page.locator(".mswin-page-map-enhanced").bounding_box()
    page.mouse.move(box["x"] + 260, box["y"] + 220, steps=4)
    page.mouse.up()
    waited(near)
    assert root.get_attribute("data-selected") == ""  # a drag is no click
    page.locator(".mswin-page-map-plain .mswin-page-map-marks").dblclick(position={"x": 3, "y": 3})
    page.wait_for_timeout(200)
    assert [canvas.evaluate(PAINTED) for canvas in both] == whole


def test_colours_and_morph_work(maps: Opened) -> None:
    page, root = maps.page, maps.page.locator(".mswin-page-maps")
    both = [page.locator(f".mswin-page-map-{name} .mswin-page-map-points") for name in ("plain", "enhanced")]
    before = [canvas.evaluate(PAINTED) for canvas in both]
    page.locator(".mswin-map-colour select").select_option("modality")
    expect(page.locator(".mswin-embedding-legend")).to_contain_text("modality RGB NI")
    page.wait_for_timeout(200)
    coloured = [canvas.evaluate(PAINTED) for canvas in both]
    assert all(a != b for a, b in zip(before, coloured, strict=True))
    page.locator(".mswin-map-morph").click()
    expect(root).to_have_attribute("data-part", "1")
    assert both[0].evaluate(PAINTED) == both[1].evaluate(PAINTED)
    assert "moved to its enhanced places" in page.locator(".mswin-page-map-plain b").inner_text()
    page.locator(".mswin-map-morph").click()
    expect(root).to_have_attribute("data-part", "0")
    assert both[0].evaluate(PAINTED) == coloured[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["retrieval", "embeddings"])
def test_the_pages_have_no_serious_accessibility_finding(
    lab: Lab, files: dict[str, Path], name: str, scheme: str
) -> None:
    axe = axe_file()
    if axe is None:
        unavailable("axe-core is not installed")
    with offline(lab, files[name].as_uri(), bypass_csp=True, color_scheme=scheme) as found:
        found.page.wait_for_selector(".mswin-neighbour, .mswin-page-maps[data-drawn]")
        assert serious_findings(found.page, "body", axe) == []
