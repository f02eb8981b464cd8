"""One direction of imports: errors, data, model, analysis, view, cli. Changing the map is a design decision."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "mswin_viz"
MAY_IMPORT = {
    "errors": set(),
    "data": {"errors"},
    "model": {"errors", "data"},
    "analysis": {"errors", "data", "model"},
    "view": {"errors", "data", "model", "analysis"},
    "cli": {"errors", "data", "model", "analysis", "view"},
}
"""Layer -> the layers below it that it may import, beside itself."""
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported(path: Path) -> set[str]:
    """Dotted names that a module imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_imports(path: Path) -> set[str]:
    """Modules of this package that a module imports."""
    names = {name_of(module) for module in MODULES}
    return {name for full in imported(path) if (name := full.removeprefix("mswin_viz.")) in names}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_from_its_own_layer_and_those_below(path: Path) -> None:
    layer = name_of(path).split(".")[0]
    allowed = MAY_IMPORT[layer] | {layer}
    outside = {name for name in own_imports(path) if name.split(".")[0] not in allowed}
    assert not outside, f"{name_of(path)} may import from {sorted(allowed)}: it imports {sorted(outside)}"


def test_no_module_imports_itself_through_others() -> None:
    graph = {name_of(path): own_imports(path) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"import cycle: {' -> '.join([*above, name])}"
        if name not in done:
            for below in graph[name]:
                visit(below, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", sorted((ROOT / "view").glob("*.py")), ids=name_of)
def test_what_draws_sees_no_tensor_and_no_pyplot(path: Path) -> None:
    assert not {name for name in imported(path) if name.split(".")[0] == "torch" or "pyplot" in name}
