"""What a release is checked against, and what is said of it; run with the packages of the tests.

    python .ci/release.py check v0.1.0    # ends with 1, and a line for each thing that does not fit the tag
    python .ci/release.py notes v0.1.0    # prints the changelog's section of that version, or ends with 1 and says why not

The hosted workflow runs both (.github/workflows/release.yml); docs/developers/releasing.md has the steps around them.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]
MARKDOWN = MarkdownIt("commonmark", {"inline_definitions": True})
"""Lines `[name]: address` are tokens, and every address is a link: one with file: would otherwise be words, and not refused."""
MARKDOWN.validateLink = lambda url: True
HEADING = re.compile(r"## \[(?P<name>Unreleased|\d+\.\d+\.\d+)\](?: - (?P<date>\S+))?")
_PATH = r"(?!\.{0,2}/)[\w.-]+(?:/[\w.-]+)*(?:#[\w-]+)?"
_WHOLE = re.compile(r"https?:|mailto:|#")
_LINK_OR_CODE = re.compile(rf"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)|(?<=\]\()({_PATH})(?=\))", re.DOTALL)


class NotesError(ValueError):
    """There are no notes of a tag, or they would not read as the changelog does."""


@dataclass(frozen=True)
class Section:
    """One version's part of the changelog: its date, its Markdown without the addresses of headings, and what that parses to."""

    date: str | None
    words: str
    tokens: list[Token]

    def has_bullet(self) -> bool:
        pairs = pairwise(self.tokens)
        return any(a.type == "list_item_open" and b.type != "list_item_close" for a, b in pairs)


def version_of(root: Path = ROOT) -> str:
    """The package's version, from the one place where it stands."""
    source = (root / "mswin_viz" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    return version


def parsed(root: Path = ROOT) -> tuple[dict[str, Section], list[str]]:
    """Name of each section of the changelog, the newest first -> the section; and what is wrong with its headings, in words."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    lines, tokens = text.split("\n"), MARKDOWN.parse(text)
    for token in tokens:
        if token.type == "definition":
            lines[token.map[0] : token.map[1]] = [""] * (token.map[1] - token.map[0])
    starts = [n for n, one in enumerate(tokens) if one.type == "heading_open" and one.level == 0 and one.tag in ("h1", "h2")]  # fmt: skip
    sections, found = {}, []
    for start, end in pairwise([*starts, len(tokens)]):
        at, below = tokens[start].map
        last = tokens[end].map[0] if end < len(tokens) else len(lines)
        heading, words = HEADING.fullmatch(lines[at].rstrip()), "\n".join(lines[below:last]).strip()
        if heading is None:
            if start or tokens[start].tag != "h1":
                found.append(
                    f"CHANGELOG.md must have headings ## [Unreleased] and ## [X.Y.Z] - YYYY-MM-DD alone: got {lines[at]}"
                )
        elif heading["name"] in sections:
            found.append(
                f"CHANGELOG.md must have one section of {heading['name']}: got another in line {at + 1}; join them"
            )
        else:
            sections[heading["name"]] = Section(heading["date"], words, tokens[start + 3 : end])
    return sections, found


def changelog_of(root: Path = ROOT) -> dict[str, tuple[str | None, str]]:
    """Name of each section of the changelog, the newest first -> its date, and what it says."""
    return {name: (one.date, one.words) for name, one in parsed(root)[0].items()}


def latest_day() -> date:
    """The day where it is latest on Earth: a maintainer may live east of the machine that checks."""
    return datetime.now(timezone(timedelta(hours=14))).date()


def date_problem(name: str, written: str | None) -> str | None:
    """What is wrong with the date of a section, in words."""
    if name == "Unreleased":
        return f"CHANGELOG.md must not date [Unreleased]: got {written}" if written else None
    try:
        day = date.fromisoformat(written or "")
    except ValueError:
        day = None
    if day is None or day.isoformat() != written:
        return f"CHANGELOG.md must date its section of {name} with a day that exists, as YYYY-MM-DD: got {written}"
    if day > latest_day():
        return f"CHANGELOG.md must not date {name} in the future: got {written}; write the day of the release"
    return None


def changelog_problems(version: str, root: Path = ROOT) -> list[str]:
    """What keeps the changelog from describing a release of a version, in words."""
    sections, found = parsed(root)
    found += [problem for name, one in sections.items() if (problem := date_problem(name, one.date))]
    found += [
        f"CHANGELOG.md must say what {name} brings: its section has no bullet"
        for name, one in sections.items()
        if name != "Unreleased" and not one.has_bullet()
    ]
    if version not in sections:
        found.append(
            f"CHANGELOG.md must have a section of the version, ## [{version}] - YYYY-MM-DD: got {', '.join(sections) or 'none'}"
        )
    elif "Unreleased" in sections and any(one.type == "inline" for one in sections["Unreleased"].tokens):
        found.append(
            f"CHANGELOG.md must have nothing under [Unreleased] when {version} is released: move the entries below ## [{version}]"
        )
    return found


def citation_problems(version: str, day: str | None, root: Path = ROOT) -> list[str]:
    """Where CITATION.cff does not have a version and its date, each once, in words."""
    try:
        cited = yaml.compose((root / "CITATION.cff").read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        return [f"CITATION.cff must be YAML: {error}"]
    lines = cited.value if isinstance(cited, yaml.MappingNode) else []
    found = []
    for key, value in {"version": version, "date-released": day}.items():
        got = [str(written.value) for name, written in lines if name.value == key]
        if value and got != [value]:
            found.append(
                f"CITATION.cff must have the line {key}: {value}, once: got {' and '.join(got) or 'none'}"
            )
    return found


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """What keeps a tag from being a release, in words; empty if nothing does."""
    version, sections = version_of(root), parsed(root)[0]
    found = changelog_problems(version, root)
    if tag != f"v{version}":
        found.insert(
            0, f"the tag must be v{version}, as mswin_viz/__init__.py says: got {tag}; change one of the two"
        )
    if version in sections:
        try:
            linked(version, sections[version], "https://host/blob/tag/")
        except NotesError as error:
            found.append(str(error))
    return found + citation_problems(version, sections[version].date if version in sections else None, root)


def parts(tokens: list[Token]) -> tuple[list[str], list[str], list[str], list[str]]:
    """Addresses of links, addresses of pictures, code and HTML of Markdown, each in its order; comments are no HTML here."""
    flat = [one for token in tokens for one in (token, *(token.children or ()))]
    links = [str(one.attrs["href"]) for one in flat if one.type == "link_open"]
    pictures = [str(one.attrs["src"]) for one in flat if one.type == "image"]
    code = [one.content for one in flat if one.type in ("code_inline", "fence", "code_block")]
    html = [one.content.strip() for one in flat if one.type in ("html_inline", "html_block")]
    return links, pictures, code, [one for one in html if not re.fullmatch(r"<!--.*-->", one, re.DOTALL)]


def linked(name: str, section: Section, files: str) -> str:
    """A section's words, its paths led to an address of files; the result is parsed again to see that nothing else changed."""
    links, pictures, code, html = parts(section.tokens)
    local = [one for one in links if not _WHOLE.match(one)]
    wrong = [one for one in local if not re.fullmatch(_PATH, one) or ".." in one.split("/")]
    wrong += [one for one in pictures if not one.startswith("https://")] + html
    wanted = [one if _WHOLE.match(one) else files + one for one in links]
    words = _LINK_OR_CODE.sub(lambda hit: files + hit[2] if hit[2] else hit[0], section.words)
    if not wrong and parts(MARKDOWN.parse(words)) != (wanted, pictures, code, html):
        wrong = local or links or code
    if wrong:
        raise NotesError(
            f"CHANGELOG.md must write the links of {name} as [words](path/of/a/file.md), from the top of the repository, or with a whole "
            f"address, a picture with a whole address, and no HTML; links by a name in brackets are not followed: got {', '.join(wrong)}"
        )
    return words


def notes(tag: str, address: str, root: Path = ROOT) -> str:
    """The changelog's section of a tag, with links that lead to the files of that tag; a NotesError for a tag without a section."""
    sections, found = parsed(root)
    versions = [name for name in sections if name != "Unreleased"]
    if found:
        raise NotesError("; ".join(found))
    name = tag.removeprefix("v")
    if not tag.startswith("v") or name not in versions:
        raise NotesError(
            f"notes are of a version that CHANGELOG.md has a section of, with a v before it: got {tag}; "
            f"there is {', '.join(f'v{one}' for one in versions) or 'no version yet, only [Unreleased]'}"
        )
    if problem := date_problem(name, sections[name].date):
        raise NotesError(problem)
    if not sections[name].has_bullet():
        raise NotesError(f"CHANGELOG.md must say what {name} brings: its section has no bullet")
    return linked(name, sections[name], f"{address}/blob/{tag}/")


def main(arguments: list[str], root: Path = ROOT) -> int:
    if len(arguments) != 2 or arguments[0] not in ("check", "notes"):
        print(__doc__, file=sys.stderr)
        return 2
    what, tag = arguments
    if what == "check":
        found = problems(tag, root)
        print(*(found or [f"{tag} can be released"]), sep="\n")
        return bool(found)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        print(notes(tag, project["urls"]["Source"], root))
    except NotesError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
