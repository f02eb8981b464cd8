"""What the documents show works as printed: Python blocks run, command lines parse, names and files exist."""

from __future__ import annotations

import ast
import pkgutil
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import typer
from ipywidgets import Widget
from model.conftest import tiny_clip
from PIL import Image
from support.host_files import WINDOWS_ON, tower_state, window_state, yml

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.data.synthetic.write_samples import write_samples
from mswin_viz.errors import WeightsNotFoundError
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.view.widgets.glossary import TERMS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    *(
        ROOT / name
        for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "data_samples/README.md")
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "mswin_viz/model/embedded/CARD.md",
]
DOWNLOADS = "# downloads once"
"""Marks a statement that needs a network; it must fail without one, with the error that says so."""
OF_A_RECIPE = re.compile(r"# [\w/]+\.(pyi?|md)(, |\n)")
"""Begins a block that is a file or goes into one: tests/test_recipes.py puts it there and runs what comes of it."""
COMMAND = typer.main.get_command(cli.app)
SCRIPTS = [*sorted((ROOT / "docs").rglob("*.py")), *sorted((ROOT / "tests/benchmarks").glob("*.py"))]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
SETTINGS = set(re.findall(r"^(\w+) \?=", (ROOT / "Makefile").read_text(), re.MULTILINE))
ELSEWHERE = {"pip", "cd", "bash"}
"""Commands that are not ours to check."""
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
PAGES = [document for document in DOCUMENTS if document.is_relative_to(ROOT / "docs")]
INCLUDED = re.compile(r"^:::\{include\} (\S+)", re.MULTILINE)
"""A document that a page of the site shows as its own text."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its document, language, first line and text."""

    document: Path
    language: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks_of(document: Path) -> list[Block]:
    """Every fenced block of a document, in order."""
    text = document.read_text(encoding="utf-8")
    found = re.finditer(r"^ *```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [Block(document, one[1], text[: one.start()].count("\n") + 2, one[2]) for one in found]


def prose_of(document: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(
        r"^ *```.*?^ *```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


def code_spans(document: Path) -> list[str]:
    """What stands between single backticks, line breaks as blanks."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose_of(document))]


BLOCKS = [block for document in DOCUMENTS for block in blocks_of(document)]


@pytest.fixture
def bench(tmp_path: Path, tmp_path_factory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that snippets run in, with every file they name; half of the shipped samples; no network."""
    shipped = tmp_path_factory.mktemp("shipped") / "RGBNT201"
    person = mv.samples()[0].images
    shutil.copytree(
        person["RGB"].parents[2], shipped, ignore=lambda _, names: [n for n in names if "000013" <= n < "1"]
    )
    monkeypatch.setattr("mswin_viz.data.sets.layouts.shipped_samples", lambda: shipped.parent)
    shutil.copy(person["RGB"], tmp_path / "person.jpg")
    counts = np.linspace(29315, 30815, 96 * 48).reshape(96, 48)
    Image.fromarray(counts.astype(np.uint16)).save(tmp_path / "thermal.png")
    write_samples(tmp_path, identities=3, cameras=2, shots=1, seed=5)
    yml(tmp_path, more=WINDOWS_ON)
    torch.save(tower_state() | window_state(), tmp_path / "MambaPro_best.pth")
    numbers = {"input_resolution": 64, "context_length": 16, "vocab_size": 49408}
    clip = tiny_clip().state_dict() | {name: torch.tensor(value) for name, value in numbers.items()}
    torch.save(clip, tmp_path / "ViT-B-16.pt")
    mv.save_addon(CLIPMultiScaleFeatureExtractor(24, (4, 8)), tmp_path / "addon.safetensors")

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("open_clip.download_pretrained", unreachable)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    Widget.close_all()
    plt.close("all")


def run(block: Block, names: dict[str, object]) -> None:
    """Run a block as it is printed; a traceback names the document and the line."""
    tree = ast.parse(block.text)
    ast.increment_lineno(tree, block.line - 1)
    lines = block.text.splitlines()
    for statement in tree.body:
        code = compile(ast.Module([statement], []), str(block.document), "exec")
        first, last = statement.lineno - block.line, statement.end_lineno - block.line
        if any(DOWNLOADS in line for line in lines[first : last + 1]):
            with pytest.raises(WeightsNotFoundError, match="run once with a network"):
                exec(code, names)
        else:
            exec(code, names)


@pytest.mark.parametrize(
    "document", [d for d in DOCUMENTS if any(b.language == "python" and not OF_A_RECIPE.match(b.text) for b in blocks_of(d))],
    ids=lambda d: d.name,
)  # fmt: skip
def test_python_blocks_run_as_printed_one_after_the_other(document: Path, bench: Path) -> None:
    names: dict[str, object] = {}
    for block in blocks_of(document):
        if block.language == "python" and not OF_A_RECIPE.match(block.text):
            run(block, names)


def test_every_block_is_one_that_is_checked() -> None:
    assert {
        str(block): block.language for block in BLOCKS if block.language not in ("python", "console")
    } == {}
    assert sum(block.language == "python" for block in BLOCKS) >= 6
    in_files = {block.document for block in BLOCKS if OF_A_RECIPE.match(block.text)}
    assert in_files == set((ROOT / "docs" / "developers").glob("recipe_*.md"))
    fences = sum(
        line.lstrip().startswith("```") for d in DOCUMENTS for line in d.read_text("utf-8").splitlines()
    )
    assert fences == 2 * len(BLOCKS)


def command_lines() -> list[tuple[str, str]]:
    """Where, and what: each line of a console block, and each command in running text."""
    found = [
        (f"{block}", line)
        for block in BLOCKS
        if block.language == "console"
        for line in block.text.replace("\\\n", " ").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    for document in DOCUMENTS:
        where = str(document.relative_to(ROOT))
        found += [
            (where, span) for span in code_spans(document) if re.match(r"(mswin-viz|make|python) .", span)
        ]
    return found


@pytest.mark.parametrize(("where", "line"), command_lines())
def test_command_lines_are_ones_the_command_takes(where: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    program, arguments = words[0], words[1:]
    if program == "mswin-viz":
        parsed(arguments)
    elif program == "make":
        settings = {word.partition("=")[0] for word in arguments if "=" in word}
        assert {word for word in arguments if "=" not in word} <= TARGETS
        assert settings <= SETTINGS
    elif program == "git":
        is_release = arguments[0] in ("tag", "push") and "releasing" in where
        assert is_release or arguments == ["clone", URLS["Source"]], (
            f"{where}: the project lies at {URLS['Source']}"
        )
    elif program == "python":
        files = [word.split("::")[0] for word in arguments if word.endswith(".py")]
        assert files == [word for word in files if (ROOT / word).is_file()]
    else:
        assert program in ELSEWHERE, f"{where}: nothing checks {program!r}"


def parsed(arguments: list[str]) -> None:
    """Parse a line as the command would, without running it: options exist, values are of their kind."""
    if arguments == ["--version"]:
        return
    if len(arguments) == 1:  # a command by its name alone, as running text has it
        assert arguments[0] in COMMAND.commands, f"no such command: {arguments[0]}"
        return
    with COMMAND.make_context("mswin-viz", list(arguments)) as context:
        name, command, rest = COMMAND.resolve_command(context, arguments)
        command.make_context(name, rest, parent=context).close()


@pytest.mark.parametrize(
    "line",
    [
        "train --steps 3",
        "train --out a --nosuch",
        "evaluate --seed x",
        "nosuch",
        "nosuch --seed 1",
        "doctor extra",
    ],
)
def test_the_check_of_command_lines_refuses_wrong_ones(line: str) -> None:
    with pytest.raises(Exception, match=r"(?i)missing|no such|valid integer|unexpected"):
        parsed(line.split())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_names_in_running_text_are_public(document: Path) -> None:
    named = {one for span in code_spans(document) for one in re.findall(r"\bmv\.(\w+)", span)}
    assert sorted(named - set(mv.__all__)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_links_and_pictures_lead_to_files_that_are_here(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    local = [link for link in links if not re.match(r"https?:|mailto:", link)]
    missing = [link for link in local if not (document.parent / link.partition("#")[0]).exists()]
    assert missing == []
    sections = [link for link in local if "#" in link]
    assert [link for link in sections if not leads_to_a_heading(document, link)] == []


def leads_to_a_heading(document: Path, link: str) -> bool:
    """Whether a link's anchor is that of a heading, as GitHub makes them."""
    file, _, anchor = link.partition("#")
    text = text_of((document.parent / file) if file else document)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in headings}


def text_of(document: Path) -> str:
    """What a document says, with what it includes."""
    text = document.read_text(encoding="utf-8")
    return "\n".join([text, *((document.parent / one).read_text("utf-8") for one in INCLUDED.findall(text))])


@pytest.mark.parametrize("document", PAGES, ids=lambda d: str(d.relative_to(ROOT)))
def test_every_page_begins_with_a_title_and_a_sentence(document: Path) -> None:
    text = re.sub(
        r"^:::\{toctree\}\n:hidden:\n.*?^:::\n\n", "", document.read_text("utf-8"), flags=re.M | re.S
    )
    title, blank, first = text.splitlines()[:3]
    assert title.startswith("# ")
    assert blank == ""
    assert re.match(r"(?!\* )[\w*`\[]", first), f"no sentence, but {first!r}"


@pytest.mark.parametrize("document", PAGES, ids=lambda d: str(d.relative_to(ROOT)))
def test_pages_and_files_that_directives_name_are_here(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    brought = {f"notebooks/{file.stem}" for file in (ROOT / "notebooks").glob("*.ipynb")}  # by make docs
    named = re.findall(r"\{doc\}`[^<`]*<([^>`]+)>`", text)
    for listed in re.findall(r"^:::\{toctree\}\n(.*?)^:::$", text, re.MULTILINE | re.DOTALL):
        named += re.findall(r"^(?:.+ <)?([\w/]+)>?$", listed, re.MULTILINE)
    named += re.findall(r"^:link: (\S+)\n:link-type: doc", text, re.M)
    places = [(document.parent / name).resolve().relative_to(ROOT / "docs").as_posix() for name in named]
    assert [one for one in places if not (ROOT / "docs" / f"{one}.md").is_file() and one not in brought] == []
    assert [one for one in INCLUDED.findall(text) if not (document.parent / one).is_file()] == []


def test_every_picture_has_a_script_that_draws_it_and_a_page_that_shows_it() -> None:
    pictures = sorted((ROOT / "docs" / "figures").glob("*.png"))
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [one.name for one in pictures if not one.with_suffix(".py").is_file()] == []
    assert [one.name for one in pictures if f"figures/{one.name})" not in shown] == []


def test_every_command_and_every_explorer_answers_a_question_of_the_table() -> None:
    table = (ROOT / "docs" / "which_tool.md").read_text(encoding="utf-8")
    explorers = {"ScaleExplorer", "AttributionExplorer", "EmbeddingExplorer", "RetrievalView"}
    assert [name for name in sorted(COMMAND.commands) if f"`mswin-viz {name}" not in table] == []
    assert [name for name in sorted(explorers) if f"mv.{name}" not in table] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_files_of_the_project_named_in_running_text_exist(document: Path) -> None:
    folders = r"(?:mswin_viz|tests|notebooks|docs|data_samples)"
    named = {one for span in code_spans(document) for one in re.findall(rf"{folders}/[\w./-]+\.\w+", span)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    dotted = {one for span in code_spans(document) for one in re.findall(r"\bmswin_viz(?:\.\w+)+", span)}
    assert all(pkgutil.resolve_name(name) is not None for name in dotted)


def test_the_glossary_page_says_what_the_screen_says() -> None:
    rows = re.findall(
        r"^\| (.+?) \| (.+) \|$", (ROOT / "docs" / "concepts" / "glossary.md").read_text(), re.MULTILINE
    )
    assert dict(rows[1:]) == TERMS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_that_nothing_runs_import_what_exists(script: Path) -> None:
    imports = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.ImportFrom)]
    names = [
        f"{node.module}:{alias.name}" for node in imports if (node.module or "").startswith("mswin_viz")
        for alias in node.names
    ]  # fmt: skip
    assert [
        name
        for name in names
        if not hasattr(pkgutil.resolve_name(name.partition(":")[0]), name.partition(":")[2])
    ] == []


def test_what_the_numbers_allow_is_quoted_as_the_program_says_it() -> None:
    page = (ROOT / "docs" / "numbers.md").read_text(encoding="utf-8")
    quoted = " ".join(line[1:] for line in page.splitlines() if line.startswith(">"))
    said = " ".join(mv.ablation_sentences(mv.embedded_ablation()))
    assert quoted.split() == said.split()
