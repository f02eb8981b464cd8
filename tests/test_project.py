"""The project's own files hold together: build, environment, public names, stored notebooks."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from support import notebooks
from support.quick import QUICK

import mswin_viz as mv

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_the_conda_environment_installs_this_project_with_extras_it_has() -> None:
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = (entry["pip"] for entry in dependencies if isinstance(entry, dict))
    (install,) = pip
    extras = install.removeprefix("-e .[").removesuffix("]").split(",")
    assert f"python{PROJECT['requires-python']}" in dependencies
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    assert {"test", "lint"} <= set(extras)


def test_every_dependency_has_a_lower_bound_and_an_upper_major() -> None:
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    assert [line for line in PROJECT["dependencies"] + extras if ">=" not in line or ",<" not in line] == []


def test_importing_the_package_imports_nothing_heavy() -> None:
    check = "import sys, mswin_viz; print([m for m in ('torch', 'numpy', 'matplotlib', 'IPython') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(mv.__all__))
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(mv, name) is not None


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_stored_executed_without_pictures_in_short_cells(notebook: Path) -> None:
    assert list(notebooks.problems(notebook)) == []


def test_a_notebook_with_pictures_state_long_or_unexecuted_cells_is_named(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell("x = 1\n" * 11, execution_count=2)]
    cells[0].outputs = [nbformat.v4.new_output("display_data", {"image/png": "AA=="})]
    path = tmp_path / "wrong.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {}}), path)
    assert len(list(notebooks.problems(path))) == 4


def test_the_quick_tests_are_files_that_exist() -> None:
    assert {path.name for path in (ROOT / "tests").rglob("test_*.py")} >= QUICK


def test_a_corrupted_stored_output_makes_nbval_fail(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ipynb"
    broken.write_text(
        (ROOT / "notebooks" / "explore_scales.ipynb").read_text().replace("96 shots", "97 shots")
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--nbval",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(broken),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1, done.stdout
