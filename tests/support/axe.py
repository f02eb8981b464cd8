"""axe-core, the automated accessibility check: where its file is, and what it finds in a part of a page.

It is fetched for tests only: ``npm install --prefix .venv --no-save axe-core@4`` (``.ci/run`` does so).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
SERIOUS = ("serious", "critical")


def axe_file() -> Path | None:
    """``$AXE_CORE``, or what npm has put into .venv or beside the project; None where there is none."""
    named = os.environ.get("AXE_CORE")
    folders = [ROOT / ".venv" / "node_modules", ROOT / "node_modules"]
    places = [Path(named)] if named else [folder / "axe-core" / "axe.min.js" for folder in folders]
    return next((place for place in places if place.is_file()), None)


def serious_findings(page: Page, css: str, script: Path) -> list[str]:
    """Rule, and the first elements that break it, of everything serious inside ``css``."""
    page.evaluate("(code) => { window.axe ?? new Function(code)(); }", script.read_text())
    found: dict[str, Any] = page.evaluate(
        "(css) => axe.run(document.querySelector(css), { resultTypes: ['violations'] })", css
    )
    return [
        f"{one['id']} ({len(one['nodes'])}): {one['nodes'][0]['html'][:220]} | {one['nodes'][0]['failureSummary'][:200]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
    ]
