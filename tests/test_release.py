"""What a release is made of: the project's addresses, one version, citation, changelog, workflow and recipe."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import mswin_viz as mv

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
SOURCE, SITE = PROJECT["urls"]["Source"], PROJECT["urls"]["Homepage"]
RAW = SOURCE.replace("github.com", "raw.githubusercontent.com") + "/v$HFPR_VERSION/"
"""Where the package's description has its pictures: the build puts the version into it."""

_spec = importlib.util.spec_from_file_location("release", ROOT / ".ci/release.py")
release = sys.modules["release"] = importlib.util.module_from_spec(_spec)  # a dataclass looks for its module
_spec.loader.exec_module(release)


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


def test_the_python_versions_and_systems_that_are_named_are_those_the_tests_were_run_on() -> None:
    (page,) = (ROOT / "docs").rglob("platforms.md")
    rows = re.findall(
        r"^\| (.+?) \| (3\.[^|]+) \|.*\| (.*?) \| (.+?) \|$", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    run = [
        (system, python)
        for system, python, what, when in rows
        if when != "not run here" and re.search(r"all tests|the quick tests", what)
    ]
    named = {one for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)}
    assert named == {
        f"Programming Language :: Python :: {'.'.join(python.split('.')[:2])}" for _, python in run
    }
    systems = {one for one in PROJECT["classifiers"] if one.startswith("Operating System")}
    assert systems == {"Operating System :: POSIX :: Linux"}
    assert {re.split(r"[ ,]", system)[0] for system, _ in run} <= {"Debian", "Linux"}


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
    """Every text of the project in which an address may stand; tests have wrong ones on purpose."""
    folders = ("docs", ".github", ".ci", "conda", "mswin_viz")
    kinds = {".md", ".py", ".pyi", ".yml", ".yaml", ".toml", ".cff", ".mjs", ".css", ""}
    found = [*ROOT.iterdir(), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    return [path for path in found if path.is_file() and path.suffix in kinds]


def test_the_projects_addresses_are_spelled_alike_everywhere_and_lead_to_files_that_are_here() -> None:
    wrong = []
    for path in written_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        for address in re.findall(r"https?://[^\s)\"'<>`\]\\]*mswin-viz[^\s)\"'<>`\]\\]*", text):
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


# The changelog


CHANGES = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


def headings(marks: str) -> list[str]:
    return re.findall(rf"^{marks} (.+)$", text_of("CHANGELOG.md"), re.MULTILINE)


def test_the_changelog_has_the_headings_of_keep_a_changelog() -> None:
    assert headings("#") == ["Changelog"]
    sections = headings("##")
    assert sections[0] == "[Unreleased]"
    assert [
        one for one in sections[1:] if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", one)
    ] == []
    assert headings("####") == []
    for date, words in release.changelog_of().values():
        kinds = re.findall(r"^### (.+)$", words, re.MULTILINE)
        assert kinds == [kind for kind in CHANGES if kind in kinds], date  # each once, in that order
        assert len(re.findall(r"^- ", words, re.MULTILINE)) >= len(kinds)


def test_versions_of_the_changelog_are_in_order_and_none_is_newer_than_the_package() -> None:
    dated = [(Version(name), date) for name, (date, _) in release.changelog_of().items() if date]
    assert dated == sorted(dated, reverse=True)
    assert all(version <= Version(mv.__version__) for version, _ in dated)


def test_every_section_of_the_changelog_has_its_address() -> None:
    links = dict(re.findall(r"^\[([^\]]+)\]: (\S+)$", text_of("CHANGELOG.md"), re.MULTILINE))
    assert list(links) == list(release.changelog_of())
    assert [address for address in links.values() if not address.startswith(f"{SOURCE}/")] == []


# What the workflow of a release runs


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A project of version 1.2.0 with what a release of it needs."""
    (tmp_path / "mswin_viz").mkdir()
    (tmp_path / "mswin_viz/__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CITATION.cff").write_text('version: 1.2.0\ndate-released: "2024-02-03"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2024-02-03\n\n### Added\n\n- A [page](docs/a.md), and [more](https://b.org).\n\n"
        "## [1.1.0] - 2024-01-01\n\n### Fixed\n\n- One.\n\n[Unreleased]: https://a.org/c\n[1.2.0]: https://a.org/d\n"
    )
    return tmp_path


def rewritten(project: Path, file: str, old: str, new: str) -> None:
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))


def test_a_tag_that_fits_version_changelog_and_citation_can_be_released(ready: Path) -> None:
    assert release.problems("v1.2.0", ready) == []


NEWEST, BULLET = "## [1.2.0] - 2024-02-03", "- A [page](docs/a.md), and [more](https://b.org)."


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("mswin_viz/__init__.py", "1.2.0", "1.3.0", "the tag must be v1.3.0"),
        ("CHANGELOG.md", NEWEST, "## [1.2.1] - 2024-02-03", "must have a section of the version"),
        ("CHANGELOG.md", NEWEST, "## [1.2.0]", "must date its section of 1.2.0"),
        ("CHANGELOG.md", "2024-02-03", "2024-02-30", "with a day that exists, as YYYY-MM-DD: got 2024-02-30"),
        ("CHANGELOG.md", "2024-02-03", "20240203", "as YYYY-MM-DD: got 20240203"),
        ("CHANGELOG.md", "2024-01-01", "2024-99-99", "must date its section of 1.1.0"),
        ("CHANGELOG.md", "2024-02-03", "9999-01-01", "must not date 1.2.0 in the future: got 9999-01-01"),
        ("CHANGELOG.md", "[Unreleased]\n\n", "[Unreleased] - 2024-02-04\n\n", "must not date [Unreleased]"),
        ("CHANGELOG.md", "### Added\n\n" + BULLET, "", "what 1.2.0 brings: its section has no bullet"),
        ("CHANGELOG.md", BULLET, "### Changed\n\n<!-- later -->", "what 1.2.0 brings"),
        ("CHANGELOG.md", BULLET, "- ", "what 1.2.0 brings"),
        ("CHANGELOG.md", "- One.", "", "what 1.1.0 brings"),
        ("CHANGELOG.md", BULLET, "```\n- a list of a shell\n```", "what 1.2.0 brings"),
        ("CHANGELOG.md", "[1.1.0] - 2024-01-01", "[1.2.0] - 2024-02-03", "one section of 1.2.0: got another in line 11; join them"),
        ("CHANGELOG.md", "## [1.1.0] -", "## 1.1.0 -", "got ## 1.1.0 - 2024-01-01"),
        ("CHANGELOG.md", "## [1.1.0] -", "## [1.1.0] \u2013", "got ## [1.1.0] \u2013 2024-01-01"),
        ("CHANGELOG.md", "2024-01-01", "2024-01-01 [YANKED]", "got ## [1.1.0] - 2024-01-01 [YANKED]"),
        ("CHANGELOG.md", "## [1.1.0] - 2024-01-01", "[1.1.0] - 2024-01-01\n----", "got [1.1.0] - 2024-01-01"),
        ("CHANGELOG.md", "## [1.1.0] - 2024-01-01", "# Old", "got # Old"),
        ("CHANGELOG.md", "[Unreleased]\n\n", "[Unreleased]\n\n### Added\n\n- New.\n\n", "move the entries below ## [1.2.0]"),
        ("CHANGELOG.md", BULLET, "- A [page](</docs/a b.md>).", "must write the links of 1.2.0 as"),
        ("CITATION.cff", "1.2.0", "1.1.0", "must have the line version: 1.2.0, once: got 1.1.0"),
        ("CITATION.cff", "version: 1.2.0", "version: 1.2.0\nversion: 1.1.0", "once: got 1.2.0 and 1.1.0"),
        ("CITATION.cff", "version: 1.2.0", "", "version: 1.2.0, once: got none"),
        ("CITATION.cff", "2024-02-03", "2024-02-04", "must have the line date-released: 2024-02-03"),
        ("CITATION.cff", "version:", "- version:", "CITATION.cff must be YAML"),
    ],
)  # fmt: skip
def test_a_tag_that_does_not_fit_is_refused_with_the_reason(
    ready: Path, file: str, old: str, new: str, said: str
) -> None:
    rewritten(ready, file, old, new)
    assert [one for one in release.problems("v1.2.0", ready) if said in one] != []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("CHANGELOG.md", "2024-01-01\n", "2024-01-01  \n"),  # blanks that nobody sees
        ("CHANGELOG.md", "- One.", "- One.\n\n  ```text\n  ## [9.9.9]\n  ```"),
        ("CHANGELOG.md", "- One.", "- One.\n\n~~~\n## [9.9.9]\n~~~"),
        ("CHANGELOG.md", "- One.", "<!--\n## 0.9\n-->\n\n- One."),
        ("CHANGELOG.md", "[Unreleased]\n\n", "[Unreleased]\n\n<!-- what is new comes here -->\n\n"),
        ("CITATION.cff", "version: 1.2.0", "version: '1.2.0'  # as in __init__.py"),
        ("CITATION.cff", '"2024-02-03"', "2024-02-03"),
        ("CITATION.cff", "version: 1.2.0", "version: 1.2.0\nreferences:\n  - version: 3.0"),
    ],
)
def test_what_reads_the_same_can_be_released_too(ready: Path, file: str, old: str, new: str) -> None:
    rewritten(ready, file, old, new)
    assert release.problems("v1.2.0", ready) == []


def test_a_changelog_without_one_heading_is_refused(ready: Path) -> None:
    (ready / "CHANGELOG.md").write_text("# Changelog\n")
    assert release.problems("v1.2.0", ready) == [
        "CHANGELOG.md must have a section of the version, ## [1.2.0] - YYYY-MM-DD: got none"
    ]


def test_a_release_is_dated_today_at_the_latest(ready: Path) -> None:
    today, later = release.latest_day(), release.latest_day() + timedelta(days=2)
    for day, n_problems in ((today, 0), (later, 1)):
        for file in ("CHANGELOG.md", "CITATION.cff"):
            rewritten(ready, file, "2024-02-03" if day == today else str(today), str(day))
        assert len(release.problems("v1.2.0", ready)) == n_problems


def test_the_notes_of_a_release_are_its_section_with_links_to_the_files_of_its_tag(ready: Path) -> None:
    assert release.notes("v1.2.0", "https://a.org/x", ready) == (
        "### Added\n\n- A [page](https://a.org/x/blob/v1.2.0/docs/a.md), and [more](https://b.org)."
    )
    assert release.notes("v1.1.0", "https://a.org/x", ready) == "### Fixed\n\n- One."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("- `[a](docs/a.md)` and [b](b.md#part).", "- `[a](docs/a.md)` and [b](https://x/blob/v1.2.0/b.md#part)."),
        ("- ``a ` [a](a.md)``.", "- ``a ` [a](a.md)``."),
        ("- A.\n\n```\n[a](a.md)\n## [9.9.9]\n[b]: c.md\n```", "- A.\n\n```\n[a](a.md)\n## [9.9.9]\n[b]: c.md\n```"),
        ("- [a](#added) <https://b.org> [c](mailto:d@e.org).", "- [a](#added) <https://b.org> [c](mailto:d@e.org)."),
        ("- ![A map](https://b.org/a.png) <!-- [a](a.md -->", "- ![A map](https://b.org/a.png) <!-- [a](a.md -->"),
        ("- model[a](b.md), x[0] (see `y[1](z)`).", "- model[a](https://x/blob/v1.2.0/b.md), x[0] (see `y[1](z)`)."),
    ],
)  # fmt: skip
def test_notes_change_the_paths_of_links_and_nothing_else(ready: Path, words: str, said: str) -> None:
    rewritten(ready, "CHANGELOG.md", BULLET, words)
    assert release.notes("v1.2.0", "https://x", ready) == f"### Added\n\n{said}"


@pytest.mark.parametrize(
    ("words", "got"),
    [
        ("- [a](<a b.md>)", "a%20b.md"),
        ("- [a](</a.md>)", "/a.md"),
        ("- [a](/a.md)", "/a.md"),
        ("- [a](//b.org)", "//b.org"),
        ("- [a](../a.md)", "../a.md"),
        ("- [a](docs/../a.md)", "docs/../a.md"),
        ("- [a](a.md 'A title')", "a.md"),
        ("- [a](<a.md>)", "a.md"),
        ("- [a](file:///home/me/a.md)", "file:///home/me/a.md"),
        ("- [a][b]\n\n[b]: docs/x.md", "docs/x.md"),
        ("- What [1.2.0] has.", "https://a.org/d"),
        ("- ![A map](docs/a.png)", "docs/a.png"),
        ('- <a href="a.md">a</a>', '<a href="a.md">'),
        ("- A.\n\n~~~\n[a](a.md)\n~~~", "[a](a.md)"),
    ],
)
def test_links_that_notes_could_not_lead_anywhere_are_refused(ready: Path, words: str, got: str) -> None:
    rewritten(ready, "CHANGELOG.md", BULLET, words)
    found = [one for one in release.problems("v1.2.0", ready) if "must write the links of 1.2.0" in one]
    assert len(found) == 1
    assert got in found[0].partition("got ")[2]
    with pytest.raises(release.NotesError, match=r"must write the links of 1\.2\.0 as \[words\]"):
        release.notes("v1.2.0", "https://x", ready)


@pytest.mark.parametrize("tag", ["v9", "v9.0.0", "vUnreleased", "1.2.0", "v", "vv1.2.0", "v1.2.0\n", ""])
def test_what_is_no_released_version_has_no_notes(
    ready: Path, tag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release.main(["notes", tag], ready) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert f"got {tag}; there is v1.2.0, v1.1.0" in said.err
    assert release.problems(tag, ready) != []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (NEWEST, "## [1.2.0]", "must date its section of 1.2.0"),
        (BULLET, "", "its section has no bullet"),
        ("## [1.1.0] -", "## 1.1.0 -", "got ## 1.1.0 - 2024-01-01"),
        ("[1.1.0] - 2024-01-01", "[1.2.0] - 2024-02-03", "one section of 1.2.0"),
    ],
)
def test_notes_are_not_made_of_a_changelog_that_cannot_be_read_for_certain(
    ready: Path, old: str, new: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten(ready, "CHANGELOG.md", old, new)
    assert release.main(["notes", "v1.2.0"], ready) == 1
    assert said in capsys.readouterr().err


def test_what_is_not_released_yet_has_headings_and_links_that_could_be() -> None:
    sections, found = release.parsed()
    assert found == []
    for name, section in sections.items():
        assert release.linked(name, section, "https://x/") != "" or name == "Unreleased"


def test_a_check_ends_with_1_and_a_line_for_each_problem(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release.main(["check", "v1.2.0"], ready) == 0
    assert capsys.readouterr().out == "v1.2.0 can be released\n"
    assert release.main(["check", "v1.2.1"], ready) == 1
    assert capsys.readouterr().out.startswith("the tag must be v1.2.0")


def test_this_version_is_released_with_a_date_alone() -> None:
    found = release.problems(f"v{release.version_of()}")
    assert release.version_of() == mv.__version__
    assert found == [] or all("CHANGELOG.md" in one for one in found)


def test_the_workflow_of_a_release_checks_the_tag_before_it_builds_and_publishes_without_a_password() -> None:
    workflow = yaml.safe_load(text_of(".github/workflows/release.yml"))
    jobs = workflow["jobs"]
    lines = [step.get("run", "") for step in jobs["build"]["steps"]]
    order = [next(at for at, line in enumerate(lines) if word in line) for word in ('".[test]"', "release.py check", "release.py notes", "test_wheel.py", "hatchling build", "twine check")]  # fmt: skip
    assert order == sorted(order)
    assert (jobs["publish"]["needs"], jobs["describe"]["needs"]) == ("build", "publish")
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in text_of(".github/workflows/release.yml")


def test_every_workflow_uses_the_same_release_of_an_action() -> None:
    used = [
        one
        for path in (ROOT / ".github/workflows").glob("*.yml")
        for one in re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8"))
    ]
    assert [one for one in used if "@" not in one] == []
    assert len({one.partition("@")[0] for one in used}) == len(set(used))


# The recipe for conda


CONDA_NAMES = {
    "huggingface-hub": "huggingface_hub",
    "jupyter-client": "jupyter_client",
    "jupyter-core": "jupyter_core",
    "lazy-loader": "lazy_loader",
    "matplotlib": "matplotlib-base",
    "seaborn": "seaborn-base",
    "torch": "pytorch",
}
"""Name of a package here -> that on conda-forge, where they differ."""
RECIPE = yaml.safe_load(text_of("conda/recipe/recipe.yaml"))


def for_conda(requirement: str) -> str:
    """A requirement as conda-forge spells it."""
    one = Requirement(requirement)
    bounds = sorted((str(bound) for bound in one.specifier), reverse=True)  # the lower one first
    return f"{CONDA_NAMES.get(one.name, one.name)} {','.join(bounds)}"


def test_the_recipe_needs_what_the_package_needs() -> None:
    python, *others = RECIPE["requirements"]["run"]
    assert python == "python >=${{ python_min }}"
    assert PROJECT["requires-python"] == f">={RECIPE['context']['python_min']}"
    assert others == [for_conda(one) for one in PROJECT["dependencies"]]
    build = [one for one in RECIPE["requirements"]["host"] if not one.startswith(("python ", "pip"))]
    assert build == [for_conda(one) for one in PYPROJECT["build-system"]["requires"]]


def test_the_recipe_describes_this_package() -> None:
    assert RECIPE["context"]["version"] == mv.__version__
    (script,) = PROJECT["scripts"].items()
    assert RECIPE["build"]["python"]["entry_points"] == [" = ".join(script)]
    about, urls = RECIPE["about"], PROJECT["urls"]
    assert (about["summary"], about["license"]) == (PROJECT["description"], PROJECT["license"])
    assert [about["license_file"]] == PROJECT["license-files"]
    assert (about["homepage"], about["documentation"], about["repository"]) == (
        urls["Homepage"], urls["Documentation"], urls["Source"],
    )  # fmt: skip


def test_the_recipe_takes_the_sources_from_the_projects_own_release() -> None:
    assert RECIPE["source"]["url"].startswith(f"{SOURCE}/releases/download/v")
    assert re.fullmatch(r"[0-9a-f]{64}", RECIPE["source"]["sha256"])


# Where the tools are pinned


def test_what_builds_the_package_is_what_the_tests_build_it_with() -> None:
    extras = PROJECT["optional-dependencies"]["test"]
    assert [one for one in PYPROJECT["build-system"]["requires"] if one not in extras] == []
