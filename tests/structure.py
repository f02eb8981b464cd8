"""The structure of the package in figures: rooms and arrows, long modules, long parameter lists, bare public names.

``python tests/structure.py`` prints the table; ``make check`` runs it. It ends with 1 where a rule is broken.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mswin_viz"
LAYERS = ("data", "model", "analysis", "view", "cli")
MOST_LINES = 300
MOST_PARAMETERS = 6
DATA_TABLES: frozenset[str] = frozenset()
"""Modules that are tables of data and may be longer."""
TORCH_SIGNATURES = {"analysis.frozen"}
"""Rooms whose functions stand in for torch's and have its parameters."""
TOWER_CALLS = {"encode_image", "visual"}
"""Calls that run the image tower."""
TOWER_ROOMS = ["model.encoder.backbone", "model.encoder.block_outputs"]
"""Modules that may: ``Model.encode``, the one road from image to tokens, and the pass whose gradients attributions need."""


@dataclass(frozen=True)
class Module:
    """One source file, parsed."""

    path: Path
    name: str
    tree: ast.Module
    n_lines: int

    @property
    def layer(self) -> str:
        """The layer it belongs to; a file of the top level is its own."""
        return self.name.split(".")[0]

    @property
    def room(self) -> str:
        """Layer and folder, or layer and file where the file stands in no folder."""
        return ".".join(self.name.split(".")[:2])


def modules(package: Path = PACKAGE) -> list[Module]:
    """Every module of the package, ``__init__`` files apart."""
    found = []
    for path in sorted(package.rglob("*.py")):
        if path.name != "__init__.py":
            text = path.read_text(encoding="utf-8")
            name = ".".join(path.relative_to(package).with_suffix("").parts)
            found.append(Module(path, name, ast.parse(text), text.count("\n")))
    return found


def imports(all_modules: list[Module]) -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports anywhere, inside functions too."""
    names = {module.name for module in all_modules}
    return {
        module.name: {
            name for full in imported_names(module) if (name := full.removeprefix("mswin_viz.")) in names
        }
        for module in all_modules
    }


def imported_names(module: Module) -> set[str]:
    """Dotted names that a module imports, of other packages too."""
    full = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            full |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            full |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return full


def rooms(all_modules: list[Module], layer: str) -> tuple[set[str], set[tuple[str, str]]]:
    """The rooms of a layer, and the arrows between them."""
    graph, room_of = imports(all_modules), {module.name: module.room for module in all_modules}
    there = {module.room for module in all_modules if module.layer == layer}
    arrows = {
        (room_of[name], room_of[below])
        for name, lower in graph.items()
        for below in lower
        if room_of[name] in there and room_of[below] in there and room_of[name] != room_of[below]
    }
    return there, arrows


def functions(module: Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method of a module, with its dotted name."""

    def visit(node: ast.AST, above: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{above}{child.name}", child
            name = f"{above}{child.name}." if hasattr(child, "name") else above
            yield from visit(child, name)

    yield from visit(module.tree, "")


def n_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Parameters that a caller may give, ``self`` and ``cls`` apart; ``*args`` and ``**options`` count as one each."""
    args = function.args
    named = [arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return len([name for name in named if name not in ("self", "cls")]) + bool(args.vararg) + bool(args.kwarg)


def long_modules(all_modules: list[Module]) -> list[str]:
    """Modules over ``MOST_LINES`` lines that are no table of data."""
    return [
        f"{module.name}: {module.n_lines} lines"
        for module in all_modules
        if module.n_lines > MOST_LINES and module.name not in DATA_TABLES
    ]


def long_signatures(all_modules: list[Module]) -> list[str]:
    """Functions over ``MOST_PARAMETERS`` parameters, the commands' own apart."""
    return [
        f"{module.name}.{name}: {n_parameters(function)} parameters"
        for module in all_modules
        if module.layer != "cli" and module.room not in TORCH_SIGNATURES
        for name, function in functions(module)
        if n_parameters(function) > MOST_PARAMETERS
    ]


def without_docstring(all_modules: list[Module]) -> list[str]:
    """Public functions, methods and classes that say nothing of themselves; overridden dunder methods may."""
    bare = []
    for module in all_modules:
        for node in [module.tree, *(n for n in ast.walk(module.tree) if isinstance(n, ast.ClassDef))]:
            if isinstance(node, ast.ClassDef) and node.name.startswith("_"):
                continue
            owner = f"{module.name}.{node.name}" if isinstance(node, ast.ClassDef) else module.name
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
            for child in node.body:
                if (
                    isinstance(child, kinds)
                    and not child.name.startswith("_")
                    and "overload" not in map(ast.unparse, child.decorator_list)
                    and not ast.get_docstring(child)
                ):
                    bare.append(f"{owner}.{child.name}")
    return bare


def tower_runs(all_modules: list[Module]) -> list[str]:
    """Modules that run the image tower themselves: the routes from image to tokens."""
    return [
        module.name
        for module in all_modules
        if any(
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) in TOWER_CALLS
            for node in ast.walk(module.tree)
        )
    ]


def n_lines(folder: Path) -> int:
    """Lines of Python below a folder."""
    return sum(path.read_text(encoding="utf-8").count("\n") for path in folder.rglob("*.py"))


def main() -> int:
    """Print the figures; 1 where a rule is broken."""
    everything = modules()
    print(f"{'layer':10} {'modules':>7} {'rooms':>5} {'arrows':>6} {'lines':>6}")
    for layer in LAYERS:
        there, arrows = rooms(everything, layer)
        inside = [module for module in everything if module.layer == layer]
        lines = sum(module.n_lines for module in inside)
        print(f"{layer:10} {len(inside):7} {len(there):5} {len(arrows):6} {lines:6}")
    print(f"lines: package {n_lines(PACKAGE)}, tests {n_lines(ROOT / 'tests')}")
    rules = {
        f"modules over {MOST_LINES} lines": long_modules(everything),
        f"functions over {MOST_PARAMETERS} parameters, outside the command line": long_signatures(everything),
        "public names without a docstring": without_docstring(everything),
        "other routes from image to tokens": [n for n in tower_runs(everything) if n not in TOWER_ROOMS],
    }
    for rule, broken in rules.items():
        print(f"{rule}: {len(broken)}", *broken, sep="\n  ")
    return 1 if any(rules.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
