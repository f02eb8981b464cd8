"""Check the built site without a network: ``python docs/site/check_site.py build/docs``.

Every link and picture leads to a file of the site and, where it names one, to an element of that page; no page loads
anything from elsewhere; addresses of this project are spelled as pyproject.toml spells them.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""Elements that a browser loads something for, and where they say what."""
NOT_LOADED = {"canonical", "search", "next", "prev", "index", "genindex", "author", "copyright"}
"""Kinds of ``<link>`` that are only followed by people and machines."""


@dataclass
class Page(HTMLParser):
    """The names of elements on a page, and what it links and loads."""

    names: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.names |= {name for name in (given.get("id"), tag == "a" and given.get("name")) if name}
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        is_followed = tag == "link" and not set(str(given.get("rel")).split()) - NOT_LOADED
        if tag in LOADED and given.get(LOADED[tag]):
            (self.links if is_followed else self.loaded).append(str(given[LOADED[tag]]))


def problems_of(site: Path) -> Iterator[str]:
    """One line for everything that is wrong with the site in a folder."""
    pages = {
        file: _read(file)
        for file in sorted(site.rglob("*.html"))
        if not {"_static", "live"} & set(file.relative_to(site).parts)
    }
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    for file, page in pages.items():
        where = file.relative_to(site)
        for address in page.loaded:
            if urlsplit(address).scheme not in ("", "data") or address.startswith("//"):
                yield f"{where} loads {address}: the site must open from the disk, so keep a copy beside it"
        for address in [*page.links, *page.loaded]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if "mswin-viz" in address and not address.startswith((urls["Source"], urls["Documentation"])):
                    yield f"{where} leads to {address}, which is not below an address of [project.urls]"
            elif fault := _fault(site, file, pages, unquote(parts.path), unquote(parts.fragment)):
                yield f"{where}: {address} {fault}"


def _fault(site: Path, file: Path, pages: dict[Path, Page], path: str, fragment: str) -> str:
    target = (file.parent / path).resolve() if path else file
    if not target.is_relative_to(site) or not target.exists():
        return "leads to no file of the site"
    if target.is_dir():
        return "leads to a folder, which shows a list of files when it is opened from the disk"
    if fragment and target in pages and fragment not in pages[target].names:
        return "names no element of that page"
    return ""


def _read(file: Path) -> Page:
    page = Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


def main(folder: str) -> int:
    """Print what is wrong; 1 if anything is."""
    site = Path(folder).resolve()
    if not (site / "index.html").is_file():
        print(f"a site must have been built: {site} has no index.html; run make docs")
        return 1
    problems = list(problems_of(site))
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{len(list(site.rglob('*.html')))} pages, {len(problems)} problems")
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
