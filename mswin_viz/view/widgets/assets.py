"""The widgets' scripts and styles, as the browser gets them."""

from __future__ import annotations

import re
from pathlib import Path

SCRIPTS = Path(__file__).parent / "js"
_IMPORT = re.compile(r'^import .* from "\./(\w+)\.mjs";$\n?', re.MULTILINE)


def script(name: str) -> str:
    """An ES module of ours, behind every module that it imports, as one that imports nothing."""
    return "\n".join(_modules(name, {}).values())


def style(*names: str) -> str:
    """Style sheets, one after the other."""
    return "\n".join((SCRIPTS / f"{name}.css").read_text(encoding="utf-8") for name in names)


def _modules(name: str, modules: dict[str, str]) -> dict[str, str]:
    text = (SCRIPTS / f"{name}.mjs").read_text(encoding="utf-8")
    for imported in _IMPORT.findall(text):
        if imported not in modules:
            _modules(imported, modules)
    modules[name] = _IMPORT.sub("", text)
    return modules
