"""Whatever a name holds, every figure draws it as plain text, whatever matplotlib is set to and in every format."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.analysis.attribution.faithfulness import REFERENCES, Faithfulness
from mswin_viz.analysis.attribution.randomisation import Randomisation
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.analysis.attribution.removal_curves import Curves
from mswin_viz.analysis.attribution.share_gap import ShareGap
from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.neighbours import neighbours
from mswin_viz.analysis.embeddings.pair_shares import pair_window_shares
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.embeddings.view import EmbeddingView
from mswin_viz.analysis.experiments.occlusion_record import OcclusionCurves, OcclusionPoint
from mswin_viz.analysis.measures.null_comparison import compare_with_nulls
from mswin_viz.analysis.measures.paired_retrieval import paired_retrieval
from mswin_viz.analysis.windows.geometry import windows
from mswin_viz.data.sample import Sample
from mswin_viz.view.attributions import figures as attribution_figures
from mswin_viz.view.embeddings import change_figure, map_figures, protocol_figures
from mswin_viz.view.embeddings import figures as embedding_figures
from mswin_viz.view.paper import occlusion as occlusion_figures
from mswin_viz.view.parts import figure_file as figures
from mswin_viz.view.parts import neighbour_figure
from mswin_viz.view.parts.figure_file import NotebookFigure, figure_bytes
from mswin_viz.view.parts.figure_text import named_legend
from mswin_viz.view.retrieval import figures as retrieval_figures
from mswin_viz.view.scales import figure as scale_figure
from mswin_viz.view.scales.shown_results import shown_results
from mswin_viz.view.widgets.map_colours import by_category

VIEW = Path(figures.__file__).parents[1]
NAMES = {
    "formulas": ("_$\\frac{ $x_$ \\$5", "_$\\frac{ $x_$ \\$5"),
    "a number's own formula": ("$\\mathdefault{x", "$\\mathdefault{x"),
    "a whole formula": ("$\\href{a}{b}$ $x$", "$\\href{a}{b}$ $x$"),
    "TeX": ("%&#{}^~ \\input{x} \\\\", "%&#{}^~ \\input{x} \\\\"),
    "lines and no text": ("two\nlines\x07\udce9\u202e", "two\\nlines\\x07\\udce9\\u202e"),
    "no sign in the font": ("人 \U0001f9f6", "\\u4eba \\U0001f9f6"),
    "right to left": ("שלום é", "שלום é"),
    "one long word": ("n" * 5000, "nnnnnnnnnn"),
    "many long words": ("some words " * 450, "some words"),
}
"""What is called so, and how it is drawn, or its beginning."""
SETTINGS = {
    "TeX": {"text.usetex": True},
    "numbers as formulas": {"axes.formatter.use_mathtext": True, "text.parse_math": True},
}
GRID, IMAGE = (3, 2), Image.new("RGB", (8, 12), "white")
Make = Callable[[str], Figure]


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder, found = tmp_path_factory.mktemp("people"), []
    for at, picture in enumerate(pictures(6)):
        Image.fromarray(picture).save(folder / f"{at}.png")
        found.append(Sample(at % 2, at, {"RGB": folder / f"{at}.png"}))
    return found


@pytest.fixture(scope="module")
def table(model, samples) -> EmbeddingTable:
    return embed(model, samples, progress=False)


@pytest.fixture(scope="module")
def view(table) -> EmbeddingView:
    return mv.embedding_view(table)


@pytest.fixture(scope="module")
def look(model, samples):
    explorer = mv.ScaleExplorer(model, samples, prompt="a person")
    look = explorer.result
    explorer.close()
    return look


def attribution(name: str) -> Attribution:
    one = np.ones(1)
    return Attribution(np.array([[0, 0, 4.0, 0, -4, 0]]), one, one, 0 * one, one, one, "gradcam", "tokens", name, GRID,
                       None, 0.1, {}, name)  # fmt: skip


def renamed(table: EmbeddingTable, name: str) -> EmbeddingTable:
    files = tuple({name: next(iter(files.values()))} for files in table.files)
    return replace(table, modality=np.array([name.replace("\udce9", "")] * len(table)), files=files)


def named_view(view: EmbeddingView, name: str) -> EmbeddingView:
    (found,) = view.comparisons.values()
    return replace(view, table=renamed(view.table, name), comparisons={name.replace("\udce9", ""): found})


@pytest.fixture(scope="module")
def makers(model, samples, table, view, look) -> dict[str, Make]:
    """Figure -> what draws it with a name wherever one may stand."""

    def of_the_view(draw: Callable[..., Figure], **options: str) -> Make:
        return lambda name: draw(named_view(view, name), provenance=name, **options)

    def nulls(name: str) -> Figure:
        plain, enhanced, null = np.random.default_rng(0).normal(size=(3, 8, 4))
        pids, camids = np.arange(8) // 2, np.arange(8)
        found = compare_with_nulls(plain, enhanced, {name: null}, pids, camids)
        return embedding_figures.nulls_figure(found, provenance=name)

    def crossed(name: str) -> Figure:
        plain, enhanced = np.random.default_rng(0).normal(size=(2, 8, 4))
        reports = [mv.retrieval(rows, np.arange(8) // 2, np.arange(8)) for rows in (plain, enhanced)]
        found = paired_retrieval(*reports, draws=20, flips=20, seed=0)
        sets = name.replace("\udce9", "")
        return mv.cross_modality_figure(
            mv.CrossModality((sets,), (sets,), {(sets, sets): found}), provenance=name
        )

    def curves(name: str) -> Figure:
        line, found = np.linspace(0, 1, 5), {}
        for key in (name, *REFERENCES):
            noise = 0.01 * np.random.default_rng(1).normal(size=(3, 1))
            found[key, "blur"] = Curves(line, 1 - line + noise, line + noise)
        checks = Faithfulness((name,), ("blur",), "patches", found, {}, 0)
        return attribution_figures.curves_figure(checks, provenance=name)

    def randomised(name: str) -> Figure:
        token = attribution(name)
        check = Randomisation({name: token}, {(name, name): token}, {(name, name): np.array([0.25])})
        return attribution_figures.randomisation_figure(IMAGE, check, provenance=name)

    def gap(name: str) -> Figure:
        shares = [np.random.default_rng(2).normal(size=(1, 3)) for _ in range(5)]
        one = np.array([1.0])
        found = ShareGap(
            2, windows(GRID, 2), *shares, np.array([[0, 2, 0]]), one, 0.5 * one, 3 * one, np.array([7])
        )
        return attribution_figures.gap_figure(found, provenance=name)

    def ranked(name: str) -> Figure:
        asked = replace(renamed(table, name), scene=np.full(len(table), -1))
        found = {kind: neighbours(asked, 0, feature=kind, k=2) for kind in ("plain", "enhanced")}
        shares = [pair_window_shares(model, table, 0, int(found["enhanced"].rows[0]))]
        return retrieval_figures.ranked_figure(asked, found, shares=shares, provenance=name)

    def occluded(name: str) -> Figure:
        points = [
            OcclusionPoint("RGB", one, row / 8, row, row / 8, *[0.5] * 5, 4, 2, *[0.1] * 3, 0.01)
            for one in ("plain", "enhanced", name)
            for row in (0, 4)
        ]
        ap = {"RGB": np.full((3, 2, 4), 0.5)}
        found = OcclusionCurves(tuple(points), ("RGB",), ("plain", "enhanced", name), (), "enhanced", (0.0, 0.5), (0, 4),
                                8, ap, "bottom", "query", "black", "camera", 9)  # fmt: skip
        return occlusion_figures.occlusion_figure(found, provenance=name)

    def curve(name: str) -> Figure:
        return mv.TrainingCurve(
            score_name=name, losses=[2.0, 1.0], checked=[1, 2], scores=[0.5, 1.0], plain=1
        ).figure()

    def scales(name: str) -> Figure:
        named = replace(look, names=(name,) * len(look.names), target=name)
        return scale_figure.scales_figure(shown_results(("",), [named]), provenance=name)

    def maps(name: str) -> Figure:
        return attribution_figures.attributions_figure([IMAGE], {name: attribution(name)}, provenance=name)

    return {
        "scales_figure": scales,
        "maps_figure": of_the_view(map_figures.maps_figure, by="modality"),
        "change_figure": of_the_view(change_figure.change_figure),
        "similarity_figure": of_the_view(embedding_figures.similarity_figure),
        "silhouette_figure": of_the_view(embedding_figures.silhouette_figure),
        "measures_figure": of_the_view(embedding_figures.measures_figure),
        "nulls_figure": nulls,
        "cross_modality_figure": crossed,
        "attributions_figure": maps,
        "randomisation_figure": randomised,
        "curves_figure": curves,
        "gap_figure": gap,
        "ranked_figure": ranked,
        "occlusion_figure": occluded,
        "TrainingCurve.figure": curve,
    }


FIGURES = [
    "scales_figure",
    "maps_figure",
    "change_figure",
    "similarity_figure",
    "silhouette_figure",
    "measures_figure",
    "nulls_figure",
    "cross_modality_figure",
    "attributions_figure",
    "randomisation_figure",
    "curves_figure",
    "gap_figure",
    "ranked_figure",
    "occlusion_figure",
]
EVERY = [*FIGURES, "TrainingCurve.figure"]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """Every line of text that is drawn, and whether it is a formula."""
    found, draw_text = [], RendererAgg.draw_text

    def noting(self, gc, x, y, s, prop, angle, ismath=False, mtext=None) -> None:
        found.append((s, ismath))
        draw_text(self, gc, x, y, s, prop, angle, ismath=ismath, mtext=mtext)

    monkeypatch.setattr(RendererAgg, "draw_text", noting)
    return found


def without_blanks(words: str) -> str:
    return "".join(words.split())


@pytest.mark.parametrize("figure", EVERY)
@pytest.mark.parametrize("kind", NAMES)
def test_every_name_is_drawn_as_it_is(kind: str, figure: str, makers, drawn) -> None:
    name, wanted = NAMES[kind]
    made = makers[figure](name)
    figure_bytes(made, "png", dpi=30)
    assert not any(ismath for _, ismath in drawn)
    if figure == "curves_figure":  # titles of maps have blanks for underscores
        drawn[:] = [(words.replace("_", " "), ismath) for words, ismath in drawn]
        wanted = wanted.replace("_", " ")
    assert without_blanks(wanted) in without_blanks("".join(words for words, _ in drawn)).replace("…", "")
    assert max(made.get_size_inches()) < 20


@pytest.mark.parametrize("figure", EVERY)
def test_the_smallest_letters_are_large_enough_to_print(figure: str, makers) -> None:
    made = makers[figure]("a name")
    figure_bytes(made, "png", dpi=30)
    texts = [text for text in made.findobj(Text) if text.get_text().strip() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= 6


@pytest.mark.parametrize("figure", EVERY)
@pytest.mark.parametrize("setting", SETTINGS)
def test_no_setting_makes_a_formula_of_a_name(setting: str, figure: str, makers, drawn) -> None:
    name, _ = NAMES["formulas"]
    with matplotlib.rc_context(SETTINGS[setting]):
        made = makers[figure](name)
        figure_bytes(made, "png", dpi=30)
    formulas = [words for words, ismath in drawn if ismath]
    assert all(ismath is True for _, ismath in drawn if ismath)  # never "TeX"
    assert all(words.startswith("$\\mathdefault{") and "frac" not in words for words in formulas)


@pytest.mark.parametrize("figure", ["maps_figure", "measures_figure"])
@pytest.mark.parametrize("kind", ["svg", "pdf"])
def test_a_vector_file_holds_them_too(kind: str, figure: str, makers) -> None:
    for name, _ in NAMES.values():
        with matplotlib.rc_context({"text.usetex": True, "svg.fonttype": "none"}):
            assert len(figure_bytes(makers[figure](name), kind, dpi=30)) > 1000


def test_the_numbers_of_a_logarithmic_axis_stay_formulas(drawn) -> None:
    figure = NotebookFigure(figsize=(3, 2))
    axis = figure.subplots()
    axis.plot([1, 1000], [1, 2])
    axis.set_xscale("log")
    axis.set_title("$x$")
    figure_bytes(figure, "png", dpi=30)
    assert ("$x$", False) in drawn
    assert any("10^{" in words and ismath for words, ismath in drawn)


def test_names_beside_an_axis_and_added_later_are_plain(drawn) -> None:
    figure = NotebookFigure(figsize=(3, 2))
    axis = figure.subplots()
    axis.barh(["$a$", "_b\udce9", "人"], [1, 2, 3])
    axis.set_xticks([0, 1], ["$c$", "\\d"])
    figure_bytes(figure, "png", dpi=30)
    assert {("$a$", False), ("_b\\udce9", False), ("\\u4eba", False), ("$c$", False), ("\\d", False)} <= set(
        drawn
    )


def test_a_legend_has_every_name(drawn) -> None:
    figure = NotebookFigure(figsize=(3, 2))
    axis = figure.subplots()
    lines = [axis.plot([at])[0] for at in range(3)]
    legend = named_legend(axis, lines, ["_a", "$b$", ""])
    assert [text.get_text() for text in legend.get_texts()] == ["_a", "$b$", ""]
    figure_bytes(figure, "png", dpi=30)
    assert {("_a", False), ("$b$", False)} <= set(drawn)


def test_the_maps_legend_has_modalities_that_begin_with_an_underscore(view) -> None:
    figure = map_figures.maps_figure(named_view(view, "_thermal"), by="modality")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["_thermal"]
    assert by_category(["_thermal"]).names == ("_thermal",)


@pytest.mark.parametrize("path", sorted(VIEW.rglob("*.py")), ids=lambda path: path.name)
def test_no_figure_and_no_legend_is_made_any_other_way(path: Path) -> None:
    called = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = [getattr(some, "attr", getattr(some, "id", "")) for some in called]
    assert not {"Figure", "figure_factory", "subplot_mosaic", "set_usetex", "rc_context"} & set(names) or (
        path.name == "figure_text.py"
    )


def test_every_function_that_draws_is_tested_here(makers) -> None:
    modules = (
        attribution_figures,
        change_figure,
        embedding_figures,
        map_figures,
        neighbour_figure,
        occlusion_figures,
        protocol_figures,
        retrieval_figures,
        scale_figure,
    )
    public = {
        name
        for module in modules
        for name, made in vars(module).items()
        if name.endswith("_figure") and not name.startswith("_") and made.__module__ == module.__name__
    }
    assert public - {"neighbours_figure", "named_figure"} == set(
        FIGURES
    )  # ranked_figure without shares; scales_figure with a name
    assert set(makers) == set(EVERY)
