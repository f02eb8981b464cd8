"""Check the built site without a network: ``python docs/site/check_site.py build/docs``.

Every link, and everything loaded, leads to a file of the site and, where it names one, to an element of that page; no
page, style sheet or SVG picture loads anything from elsewhere or names a file of this machine; addresses of this project are spelled
as pyproject.toml spells them. The text of scripts is not searched: what they load, only a browser shows.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from page_addresses import Address, Page, page_of, style_sheet

ROOT = Path(__file__).resolve().parents[2]
READ = {".html": page_of, ".htm": page_of, ".xhtml": page_of, ".svg": page_of, ".css": style_sheet}
"""The kinds of files that are searched."""
TEMPLATES = {Path("_static/webpack-macros.html")}
"""Files that the theme copies along with its scripts: pages are made from them, no page leads to them, and the addresses in
them are expressions."""
_LONGEST = 150  # characters of an address in a message
_REFUSED = (ValueError, OSError, RuntimeError)  # what Python says to a path that cannot be


@dataclass(frozen=True)
class Site:
    """What was read of a site: its folder, its files with addresses, and the project's own addresses."""

    folder: Path
    pages: dict[Path, Page]
    own: tuple[str, ...]


def problems_of(folder: Path) -> Iterator[str]:
    """One line for everything that is wrong with the site in a folder."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    site = Site(folder, {}, (urls["Source"], urls["Documentation"]))
    for file in sorted(folder.rglob("*")):
        where = file.relative_to(folder)
        if file.suffix.lower() in READ and where not in TEMPLATES and file.is_file():
            yield from (f"{where} {fault}" for fault in _read(site, file))
    for file, page in site.pages.items():
        for address in page.addresses:
            if fault := _fault(site, file, address):
                yield f"{file.relative_to(folder)}: {address.place} {_short(address.text)} {fault}"


def _read(site: Site, file: Path) -> Iterator[str]:
    """Read one file into the site, and say what hinders."""
    try:
        text = file.read_bytes()
        site.pages[file] = READ[file.suffix.lower()](text.decode("utf-8-sig", "replace"))
        text.decode("utf-8")
    except UnicodeDecodeError as problem:
        yield f"must be UTF-8: {problem}"
    except (OSError, AssertionError) as problem:  # html.parser asserts
        yield f"cannot be read: {problem}"


def _fault(site: Site, file: Path, address: Address) -> str:
    """What is wrong with an address, or nothing."""
    text = _as_browsers_read(address.text)
    try:
        parts = urlsplit(text)
        if address.place == "<base href>":
            return "moves every other address of its page: leave it out"
        if parts.scheme == "data" and address.is_loaded:
            return ""
        if parts.scheme or text.startswith("//"):
            return _fault_elsewhere(site, text, is_loaded=address.is_loaded)
        return _fault_inside(site, file, unquote(parts.path), unquote(parts.fragment))
    except _REFUSED as problem:
        return f"is no address that can be followed: {getattr(problem, 'strerror', None) or problem}"


def _as_browsers_read(text: str) -> str:
    text = re.sub(r"[\t\r\n]", "", text).strip("".join(map(chr, range(33))))
    return text if text.lower().startswith("data:") else text.replace("\\", "/")


def _fault_elsewhere(site: Site, text: str, *, is_loaded: bool) -> str:
    parts = urlsplit(text)
    if parts.scheme == "file":
        return "names a file of the machine that built the site: give its place from this page"
    if is_loaded:
        return "is loaded from elsewhere or sent there, and the site must open from the disk: keep a copy beside it"
    if parts.scheme not in ("http", "https", "mailto") or (parts.scheme != "mailto" and not parts.hostname):
        return "must be a place in the site, or begin with https:// or mailto:"
    if "mswin-viz" in text.lower() and not _is_below(text, site.own):
        return "is not below an address of [project.urls]"
    return ""


def _is_below(text: str, own: tuple[str, ...]) -> bool:
    return any(re.match(rf"{re.escape(one.rstrip('/'))}(?:[/?#]|$)", text) for one in own)


def _fault_inside(site: Site, file: Path, path: str, fragment: str) -> str:
    target = (file.parent / path).resolve() if path else file
    if not target.is_relative_to(site.folder) or not target.exists():
        return "leads to no file of the site"
    if target.is_dir():
        return "leads to a folder, which shows a list of files when it is opened from the disk"
    if (
        fragment
        and target.suffix != ".css"
        and target in site.pages
        and fragment not in site.pages[target].names
    ):
        return "names no element of that page"
    return ""


def _short(text: str) -> str:
    text = _as_browsers_read(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def main(folder: str) -> int:
    """Print what is wrong; 1 if anything is."""
    site = Path(folder).resolve()
    if not (site / "index.html").is_file():
        print(f"a site must have been built: {site} has no index.html; run make docs")
        return 1
    problems = [line.encode("ascii", "backslashreplace").decode() for line in problems_of(site)]
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{len(list(site.rglob('*.html')))} pages, {len(problems)} problems")
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
