"""The widgets' scripts and styles, as the browser gets them."""

from __future__ import annotations

import re
from pathlib import Path

from mswin_viz.errors import OptionError

SCRIPTS = Path(__file__).parent / "js"
_DEFAULT = re.compile(r"^export default \{ (\w+) \};$", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?(function|const|class)\b)", re.MULTILINE)
_IMPORT = re.compile(r'^import .* from "\./(\w+)\.mjs";$\n?', re.MULTILINE)


def script(name: str) -> str:
    """An ES module of ours, behind every module that it imports, as one that imports nothing."""
    return "\n".join(_modules(name, {}).values())


def as_function(module: str) -> str:
    """A module that imports nothing, as an expression whose value is its default export: for pages without modules.

    Raises OptionError for a module that imports, or that exports in a way of which ours make no use.
    """
    body = _EXPORT.sub("", _DEFAULT.sub(r"return { \1 };", module))
    if re.search(r"^(import|export)\b", body, re.MULTILINE):
        raise OptionError(
            "a script of a page must import nothing and end in export default {...}: got another one"
        )
    return f"(() => {{\n{body}\n}})()"


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
