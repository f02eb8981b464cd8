"""What a release is checked against, and what is said of it; the standard library alone.

    python .ci/release.py check v0.1.0    # ends with 1, and a line for each thing that does not fit the tag
    python .ci/release.py notes v0.1.0    # prints the changelog's section of that version

The hosted workflow runs both (.github/workflows/release.yml); docs/developers/releasing.md has the steps around them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>\S+))?$", re.MULTILINE)
_LINKS = re.compile(r"^\[[^\]]+\]: \S+$", re.MULTILINE)
_LOCAL = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)\s]+)")


def version_of(root: Path = ROOT) -> str:
    """The package's version, from the one place where it stands."""
    source = (root / "mswin_viz" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    return version


def changelog_of(root: Path = ROOT) -> dict[str, tuple[str | None, str]]:
    """Name of each section of the changelog, the newest first -> its date, and what it says."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = list(HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return {
        heading["name"]: (heading["date"], _LINKS.sub("", text[heading.end() : end]).strip())
        for heading, end in zip(headings, ends, strict=True)
    }


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """What keeps a tag from being a release, in words; empty if nothing does."""
    version, sections, found = version_of(root), changelog_of(root), []
    if tag != f"v{version}":
        found.append(
            f"the tag must be v{version}, as mswin_viz/__init__.py says: got {tag}; change one of the two"
        )
    date, words = sections.get(version, (None, ""))
    if version not in sections:
        found.append(
            f"CHANGELOG.md must have a section of the version, ## [{version}] - YYYY-MM-DD: got {', '.join(sections)}"
        )
    elif not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date or ""):
        found.append(f"CHANGELOG.md must date its section of {version}, as YYYY-MM-DD: got {date}")
    elif not words:
        found.append(f"CHANGELOG.md must say what {version} brings: its section is empty")
    cited = (root / "CITATION.cff").read_text(encoding="utf-8")
    for key, value in {"version": version, "date-released": date}.items():
        if value and not re.search(rf"^{key}: ['\"]?{re.escape(value)}['\"]?$", cited, re.MULTILINE):
            found.append(f"CITATION.cff must have the line {key}: {value}")
    return found


def notes(tag: str, address: str, root: Path = ROOT) -> str:
    """The changelog's section of a tag, with links that lead to the files of that tag; empty if there is none."""
    _, words = changelog_of(root).get(tag.removeprefix("v"), (None, ""))
    return _LOCAL.sub(rf"\1{address}/blob/{tag}/\2", words)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in ("check", "notes"):
        print(__doc__, file=sys.stderr)
        return 2
    what, tag = arguments
    if what == "check":
        found = problems(tag)
        print(*(found or [f"{tag} can be released"]), sep="\n")
        return bool(found)
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    print(notes(tag, project["urls"]["Source"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
