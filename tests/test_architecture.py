"""One direction of imports, between layers and between the rooms of a layer. Changing the map is a design decision."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import structure

LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "renamed": set(),
    "data": {"errors"},
    "model": {"errors", "data"},
    "analysis": {"errors", "data", "model"},
    "view": {"errors", "data", "model", "analysis"},
    "cli": {"errors", "data", "model", "analysis", "view"},
}
"""Layer -> the layers below it that it may import, beside itself."""
ROOMS = {
    "data": ("options", "progress", "shown_text", "storage", "images", "sample", "store", "tags", "exports", "synthetic", "names", "sets"),
    "model": (
        "addon", "archives", "tokens", "weights", "host", "encoder", "fingerprint", "addon_loading", "loading", "training", "pretraining",
        "environment",
    ),
    "analysis": (
        "arrays", "blas_threads", "markdown_tables", "token_checks", "frozen", "windows", "shares", "scales", "measures",
        "attribution", "projection", "embeddings", "text_search", "findings", "extraction", "experiments",
    ),
    "view": (
        "widgets", "parts", "page", "scales", "attributions", "retrieval", "text_search", "embeddings", "findings", "reports", "paper",
    ),
}  # fmt: skip
"""Layer -> its rooms, the lowest first: a room imports from those before it. A module in no room is a room of its own."""
MODULES = structure.modules()
IMPORTS = structure.imports(MODULES)
NUMBERS_OF_TORCH = {"cpu", "numpy", "double", "detach"}
"""Methods that only a tensor has: what draws must not call them."""


def test_the_map_is_held_against_modules_that_exist() -> None:
    assert len(MODULES) > 200
    assert {module.layer for module in MODULES} == set(LAYERS)


def test_every_room_is_on_the_map_and_every_room_on_the_map_exists() -> None:
    for layer in LAYERS:
        there = {
            module.room.split(".")[1] for module in MODULES if module.layer == layer and "." in module.name
        }
        assert there == set(ROOMS.get(layer, there)), layer


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_imports_from_its_own_layer_and_those_below(module: structure.Module) -> None:
    allowed = LAYERS[module.layer] | {module.layer}
    outside = {name for name in IMPORTS[module.name] if name.split(".")[0] not in allowed}
    assert not outside, f"{module.name} may import from {sorted(allowed)}: it imports {sorted(outside)}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_imports_from_its_own_room_and_those_below(module: structure.Module) -> None:
    rooms = ROOMS.get(module.layer, ())
    if "." not in module.name or not rooms:
        return
    order = {f"{module.layer}.{room}": at for at, room in enumerate(rooms)}
    own = order[module.room]
    above = {
        name
        for name in IMPORTS[module.name]
        if name.split(".")[0] == module.layer and order[".".join(name.split(".")[:2])] > own
    }
    assert not above, f"{module.name} imports from rooms above its own: {sorted(above)}"


def test_no_import_is_relative() -> None:
    for module in MODULES:
        for node in ast.walk(module.tree):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{module.name}: hides the layer"


def test_no_module_imports_itself_through_others() -> None:
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"import cycle: {' -> '.join([*above, name])}"
        if name not in done:
            for below in IMPORTS[name]:
                visit(below, (*above, name))
            done.add(name)

    for name in IMPORTS:
        visit(name, ())


@pytest.mark.parametrize("module", [m for m in MODULES if m.layer == "view"], ids=lambda module: module.name)
def test_what_draws_sees_no_tensor_and_no_pyplot(module: structure.Module) -> None:
    imported = structure.imported_names(module)
    assert not {name for name in imported if name.split(".")[0] == "torch" or "pyplot" in name}
    calls = {
        f"line {node.lineno}: .{node.func.attr}()"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args
        if node.func.attr in NUMBERS_OF_TORCH
    }
    assert not calls


def test_the_package_keeps_its_measures() -> None:
    assert structure.long_modules(MODULES) == []
    assert structure.long_signatures(MODULES) == []
    assert structure.without_docstring(MODULES) == []
    assert structure.tower_runs(MODULES) == structure.TOWER_ROOMS


def test_a_broken_measure_is_seen(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    bare = "def f(a, b, c, d, *, e, f, g):\n    pass\n" + "x = 1\n" * 300
    (tmp_path / "data" / "long.py").write_text(bare)
    found = structure.modules(tmp_path)
    assert structure.long_modules(found) == ["data.long: 302 lines"]
    assert structure.long_signatures(found) == ["data.long.f: 7 parameters"]
    assert structure.without_docstring(found) == ["data.long.f"]
