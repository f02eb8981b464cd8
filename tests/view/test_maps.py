"""The linked maps: colours, places, arrows, selection, tooltips. What the browser does is tested in tests/browser."""

from __future__ import annotations

import base64
import dataclasses

import numpy as np
import pytest
from matplotlib.colors import to_hex

from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.view.widgets.colours import distinct_colours
from mswin_viz.view.widgets.map_colours import MISSING, by_category, by_value, legend_html
from mswin_viz.view.widgets.map_places import MapPoints, arrow, unit_square
from mswin_viz.view.widgets.maps import MOST_ARROWS, LinkedMaps, SelectionError

N = 7
PNG = b"\x89PNG rest of a file"


def points(n: int = N) -> MapPoints:
    rng = np.random.default_rng(3)
    aside = np.array([5.0, 0.0])
    return MapPoints(
        rng.normal(size=(n, 2)),
        rng.normal(size=(n, 2)) + aside,
        {"identity": [f"{row}" for row in range(n)]},
    )


def maps(n: int = N, **options) -> LinkedMaps:
    return LinkedMaps(points(n), by_category([f"{row % 3}" for row in range(n)]), **options)


# ---- colours ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 8, 9, 257, 1500])
def test_any_number_of_colours_differ(n: int) -> None:
    colours = distinct_colours(n)
    assert len(colours) == len(set(colours)) == n


def test_no_category_is_grey_like_what_is_missing() -> None:
    assert MISSING not in distinct_colours(500)


def test_categories_have_one_colour_each_in_their_order() -> None:
    found = by_category(["b", "a", "b"], order=("b", "a", "c"))
    assert found.codes.tolist() == [0, 1, 0]
    assert len(found.colours) == 3
    assert found.of_points[0] == found.of_points[2] != found.of_points[1]


def test_a_category_that_is_not_listed_is_refused() -> None:
    with pytest.raises(OptionError, match="'z'"):
        by_category(["a", "z"], order=("a",))


def test_a_missing_value_is_grey_and_does_not_move_the_scale() -> None:
    found, whole = by_value(np.array([0.0, np.nan, 1.0])), by_value(np.array([0.0, 0.5, 1.0]))
    assert found.of_points[1] == MISSING
    assert found.n_missing == 1
    assert [found.of_points[at] for at in (0, 2)] == [whole.of_points[at] for at in (0, 2)]


def test_a_signed_scale_has_zero_in_its_middle() -> None:
    found = by_value(np.array([-0.2, 0.0, 0.4]), signed=True)
    assert found.ends == (-0.4, 0.4)
    assert abs(found.codes[1] - 128.5) <= 0.5


def test_values_that_are_all_missing_have_a_scale_nevertheless() -> None:
    found = by_value(np.full(3, np.nan), signed=True)
    assert found.of_points == [MISSING] * 3
    assert "no match (3)" in legend_html(found, "change of AP")


def test_a_legend_names_few_categories_and_counts_many() -> None:
    few, many = by_category(list("ab")), by_category([f"{n}" for n in range(300)])
    assert "</span> a</span>" in legend_html(few, "identity")
    assert "300 colours" in legend_html(many, "identity")


def test_names_in_a_legend_are_escaped() -> None:
    names = [f"{n}" for n in range(9000)]
    very_many = by_category(names, order=names)
    assert len(set(very_many.colours)) == 1000
    assert very_many.of_points[7] == very_many.of_points[1007] != very_many.of_points[8]
    assert "1,000 colours for 9,000 values; hover names the point" in legend_html(very_many, "identity")
    assert "<script>" not in legend_html(by_category(["<script>"]), "<b>")


# ---- places -------------------------------------------------------------------------------------


def test_a_missing_place_is_refused_where_jupyter_scatter_would_put_it_at_zero() -> None:
    good = points()
    broken = good.enhanced.copy()
    broken[4, 1] = np.nan
    with pytest.raises(ShapeError, match="row 4"):
        dataclasses.replace(good, enhanced=broken)


def test_maps_of_different_lengths_or_of_nothing_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(7, 2\) and \(6, 2\)"):
        MapPoints(points().plain, points().enhanced[:-1], {})
    with pytest.raises(ShapeError, match=r"\(0, 2\)"):
        MapPoints(np.zeros((0, 2)), np.zeros((0, 2)), {})


def test_both_maps_are_scaled_alike_and_keep_their_shape() -> None:
    some = points()
    plain, enhanced = unit_square(some.plain, some.enhanced)
    both, before = np.concatenate([plain, enhanced]), np.concatenate([some.plain, some.enhanced])
    assert np.abs(both).max() <= 1
    ratio = np.linalg.norm(before[1:] - before[:-1], axis=1) / np.linalg.norm(both[1:] - both[:-1], axis=1)
    np.testing.assert_allclose(ratio, ratio[0])


def test_points_that_all_lie_in_one_place_are_drawn_in_the_middle() -> None:
    plain, enhanced = unit_square(np.full((3, 2), 4.0), np.full((3, 2), 4.0))
    assert (plain == 0).all()
    assert (enhanced == 0).all()


def test_an_arrow_begins_and_ends_where_the_point_was_and_goes() -> None:
    corners = arrow(np.array([0.0, 0.5]), np.array([0.4, 0.1]))
    assert corners[0] == (0.0, 0.5)
    assert corners[1] == corners[3] == (0.4, 0.1)
    barbs = np.array([corners[2], corners[4]]) - corners[1]
    np.testing.assert_allclose(np.linalg.norm(barbs, axis=1), np.linalg.norm(barbs[0]))
    assert (barbs @ (np.array(corners[1]) - corners[0]) < 0).all()  # both point back


def test_a_point_that_stays_has_an_arrow_without_a_head() -> None:
    assert arrow(np.ones(2), np.ones(2)) == [(1.0, 1.0), (1.0, 1.0)]


# ---- the maps -----------------------------------------------------------------------------------


def test_selecting_in_one_map_selects_in_the_other() -> None:
    some = maps()
    some.scatters[1].widget.selection = np.array([5, 2], dtype=np.uint32)
    assert some.selected == [2, 5]
    assert [sorted(s.widget.selection.tolist()) for s in some.scatters] == [[2, 5], [2, 5]]


def test_a_row_that_is_not_on_the_map_is_refused_and_the_selection_stays() -> None:
    some = maps()
    some.selected = [1]
    with pytest.raises(SelectionError, match=r"0\.\.6"):
        some.selected = [7]
    assert some.selected == [1]


def test_arrows_go_from_the_plain_to_the_enhanced_place_of_what_is_selected() -> None:
    some = maps()
    some.selected = [4]
    (line,) = some.scatters[0].annotations()["annotations"]
    plain, enhanced = unit_square(points().plain, points().enhanced)
    np.testing.assert_allclose(line.vertices[0], plain[4])
    np.testing.assert_allclose(line.vertices[1], enhanced[4])
    some.has_arrows = False
    assert some.scatters[0].annotations()["annotations"] == []


def test_no_more_arrows_are_drawn_than_can_be_read() -> None:
    some = maps(MOST_ARROWS + 5)
    some.selected = list(range(MOST_ARROWS + 5))
    assert len(some.scatters[0].annotations()["annotations"]) == MOST_ARROWS


def test_morphing_moves_the_plain_map_to_the_enhanced_places_and_back() -> None:
    some = maps()
    plain, enhanced = (s.widget.points[:, :2].copy() for s in some.scatters)
    assert np.abs(plain - enhanced).max() > 0.1
    some.is_morphed = True
    np.testing.assert_array_equal(some.scatters[0].widget.points[:, :2], enhanced)
    assert some.scatters[0].widget.transition_points
    some.is_morphed = False
    np.testing.assert_array_equal(some.scatters[0].widget.points[:, :2], plain)


def test_identities_beyond_256_keep_their_own_colours_in_the_map() -> None:
    n = 300
    colouring = by_category([f"{row}" for row in range(n)], order=[f"{row}" for row in range(n)])
    widget = LinkedMaps(points(n), colouring).scatters[0].widget
    assert widget.color_scale == "categorical"
    assert len({tuple(colour) for colour in widget.color}) == n
    np.testing.assert_array_equal(widget.points[:, 2], np.arange(n))


def test_colours_change_in_both_maps_and_not_the_places() -> None:
    some = maps()
    before = some.scatters[1].widget.points[:, :2].copy()
    values = np.array([0.9, 0.1, np.nan, 0.1, 0.0, 1.0, 0.5])
    some.colour(by_value(values))
    for scatter in some.scatters:
        drawn = [to_hex(scatter.widget.color[int(code)]) for code in scatter.widget.points[:, 2]]
        assert drawn == by_value(values).of_points
    np.testing.assert_array_equal(some.scatters[1].widget.points[:, :2], before)


def test_a_colouring_of_other_points_is_refused() -> None:
    with pytest.raises(ShapeError, match="each of 7"):
        maps().colour(by_category(["a"]))


def test_a_picture_is_read_when_its_point_is_hovered_and_only_once() -> None:
    asked = []
    some = maps(thumbnail=lambda row: asked.append(row) or PNG)
    sent = []
    widget = some.scatters[0].widget
    widget.send = lambda content, buffers=None: sent.append(content)
    assert asked == []
    for _ in range(2):
        widget._handle_custom_msg({"type": "tooltip", "index": 5, "preview": "picture", "properties": []}, [])
    assert asked == [5]
    assert sent[0]["properties"] == {"identity": "5"}
    assert base64.b64decode(sent[0]["preview"].removeprefix("data:image/png;base64,")) == PNG


@pytest.mark.parametrize(
    "content", [{"type": "tooltip", "index": 99}, {"type": "other"}, {"type": "tooltip"}]
)
def test_a_message_about_no_point_is_not_answered(content: dict) -> None:
    some, sent = maps(), []
    widget = some.scatters[0].widget
    widget.send = lambda content, buffers=None: sent.append(content)
    widget._handle_custom_msg(content, [])
    assert sent == []


def test_the_maps_script_is_part_of_the_package_and_nothing_is_loaded_from_elsewhere() -> None:
    import jscatter.widget

    script = (jscatter.widget.JupyterScatter._esm).__class__.__name__
    text = str(maps().scatters[0].widget._esm)
    assert len(text) > 1_000_000, script
    for loader in ("unpkg.com", "cdn.jsdelivr.net", "esm.sh", "cdnjs.cloudflare.com"):
        assert loader not in text


def test_the_text_form_counts_points_and_what_is_selected() -> None:
    shown = maps()
    shown.selected = [1, 4]
    assert repr(shown) == "LinkedMaps(7 points, 2 selected)"


def test_the_point_under_the_mouse_in_either_map_is_told() -> None:
    shown, seen = maps(), []
    shown.observe(lambda change: seen.append(change["new"]), "hovered")
    shown.scatters[0].widget.hovering = 5
    shown.scatters[1].widget.hovering = 2
    shown.scatters[1].widget.hovering = None
    assert seen == [5, 2, -1]


def test_both_maps_follow_the_theme_and_keep_their_points() -> None:
    shown = maps()
    before = [np.array(scatter.widget.points) for scatter in shown.scatters]
    grounds = []
    for is_dark in (True, False):
        shown._theme.is_dark = is_dark
        grounds.append([tuple(scatter.widget.background_color) for scatter in shown.scatters])
        tips = [tuple(scatter.widget.tooltip_color) for scatter in shown.scatters]
        assert tips == grounds[-1]
    assert all(sum(colour[:3]) < 1 for colour in grounds[0])
    assert all(sum(colour[:3]) > 2.5 for colour in grounds[1])
    for scatter, points_before in zip(shown.scatters, before, strict=True):
        np.testing.assert_array_equal(scatter.widget.points, points_before)


def test_a_point_whose_picture_cannot_be_read_has_its_words_alone() -> None:
    shown, sent = maps(thumbnail=lambda row: b""), []
    shown.scatters[0].widget.send = sent.append
    shown._on_message(shown.scatters[0].widget, {"type": "tooltip", "index": 3}, [])
    assert sent == [{"type": "tooltip", "index": 3, "preview": "", "properties": {"identity": "3"}}]


def test_words_of_points_are_one_for_each() -> None:
    with pytest.raises(
        ShapeError, match=r"one for each of 7 points: got \{'identity': 6\}|one for each of 7 points"
    ):
        dataclasses.replace(points(), words={"identity": ["a"] * 6})


def test_a_number_of_colours_is_none_or_more_and_24_bits_do_not_hold_every_one() -> None:
    with pytest.raises(OptionError, match="at least 0: got -1"):
        distinct_colours(-1)
    with pytest.raises(OptionError, match=r"no more than [\d,]+ colours differ: got 100000"):
        distinct_colours(100_000)


def test_values_to_colour_by_are_one_for_each_point() -> None:
    with pytest.raises(ShapeError, match=r"one value for each point: got values of shape \(2, 2\)"):
        by_value(np.zeros((2, 2)))
