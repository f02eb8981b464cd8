"""What a release is made of: the project's addresses, one version, citation, changelog, workflow and recipe."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import mswin_viz as mv

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
SOURCE, SITE = PROJECT["urls"]["Source"], PROJECT["urls"]["Homepage"]
RAW = SOURCE.replace("github.com", "raw.githubusercontent.com") + "/main/"


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# The project's addresses


def test_every_address_of_the_project_is_its_repository_or_its_site() -> None:
    assert set(PROJECT["urls"]) == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert [url for url in PROJECT["urls"].values() if not url.startswith((SOURCE, SITE))] == []


def test_the_changelogs_address_is_that_of_a_file_here() -> None:
    branch = f"{SOURCE}/blob/main/"
    assert PROJECT["urls"]["Changelog"].startswith(branch)
    assert (ROOT / PROJECT["urls"]["Changelog"].removeprefix(branch)).is_file()


def test_the_python_versions_and_systems_that_are_named_are_those_that_were_run() -> None:
    rows = re.findall(r"^\| (.+?) \| (3\.[^|]+) \|.*\| (.+?) \|$", text_of("docs/platforms.md"), re.MULTILINE)
    run = [(system, python) for system, python, when in rows if when != "not run here"]
    assert run
    named = {one for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)}
    assert named == {
        f"Programming Language :: Python :: {'.'.join(python.split('.')[:2])}" for _, python in run
    }
    systems = {one for one in PROJECT["classifiers"] if one.startswith("Operating System")}
    assert (systems, {system.split()[0] for system, _ in run}) == (
        {"Operating System :: POSIX :: Linux"},
        {"Debian"},
    )


# One version


def test_the_version_is_the_packages_and_stands_nowhere_else_in_the_package() -> None:
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "mswin_viz/__init__.py"
    assert "version" in PROJECT["dynamic"]
    sources = [
        path
        for path in (ROOT / "mswin_viz").rglob("*")
        if path.suffix in (".py", ".pyi", ".mjs", ".css", ".md", ".toml")
    ]
    holding = [
        path.name
        for path in sources
        if re.search(rf"(?<![\d.]){re.escape(mv.__version__)}(?![\d.])", path.read_text(encoding="utf-8"))
    ]
    assert holding == ["__init__.py"]


def written_files() -> list[Path]:
    """Every text of the project in which an address may stand."""
    folders = ("docs", ".github", ".ci", "conda", "tests", "mswin_viz")
    kinds = {".md", ".py", ".pyi", ".yml", ".yaml", ".toml", ".cff", ".mjs", ".css", ""}
    found = [*ROOT.iterdir(), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    return [path for path in found if path.is_file() and path.suffix in kinds]


def test_the_projects_addresses_are_spelled_alike_everywhere_and_lead_to_files_that_are_here() -> None:
    wrong = []
    for path in written_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        for address in re.findall(r"https?://[^\s)\"'<>`\]]*mswin-viz[^\s)\"'<>`\]]*", text):
            known = address.startswith((f"{SOURCE}/", SITE, RAW)) or address == SOURCE
            file = re.match(rf"{re.escape(SOURCE)}/(?:blob|tree)/main/([^#?]+)", address)
            if not known or (file and not (ROOT / file[1]).exists()):
                wrong.append(f"{path.relative_to(ROOT)}: {address}")
    assert wrong == []


# Citation, security and templates


def test_the_citation_has_the_packages_version_licence_and_addresses() -> None:
    cited = yaml.safe_load(text_of("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)  # what the format requires
    assert (cited["version"], cited["license"]) == (mv.__version__, PROJECT["license"])
    assert (cited["repository-code"], cited["url"]) == (SOURCE, SITE)
    assert [author["name"] for author in cited["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]
    assert cited["authors"][0]["name"] in text_of("LICENSE")


def test_the_citation_has_a_date_once_its_version_has_one() -> None:
    cited = yaml.safe_load(text_of("CITATION.cff"))
    dated = re.search(rf"^## \[{re.escape(mv.__version__)}\] - (\S+)$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert str(cited.get("date-released")) == (dated[1] if dated else "None")


def test_a_report_of_a_problem_asks_for_what_doctor_says() -> None:
    form = yaml.safe_load(text_of(".github/ISSUE_TEMPLATE/bug.yml"))
    (asked,) = (part for part in form["body"] if part.get("id") == "doctor")
    assert "mswin-viz doctor --json" in asked["attributes"]["label"]
    assert asked["validations"] == {"required": True}


@pytest.mark.parametrize("name", ["bug.yml", "feature.yml"])
def test_a_form_has_what_the_host_of_the_repository_requires(name: str) -> None:
    form = yaml.safe_load(text_of(f".github/ISSUE_TEMPLATE/{name}"))
    assert {"name", "description", "body"} <= set(form)
    for part in form["body"]:
        assert part["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes")
        needed = {"markdown": {"value"}, "dropdown": {"label", "options"}}.get(part["type"], {"label"})
        assert needed <= set(part["attributes"])
    names = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(names) == len(set(names)) > 0


def test_a_security_problem_is_reported_privately_and_links_lead_there() -> None:
    private = f"{SOURCE}/security/advisories/new"
    links = yaml.safe_load(text_of(".github/ISSUE_TEMPLATE/config.yml"))["contact_links"]
    assert private in text_of("SECURITY.md")
    assert private in [link["url"] for link in links]
