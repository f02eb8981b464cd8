"""The package as it is installed: the wheel in an environment of its own, used from an empty folder.

What the package needs is seen through the environment of the tests (a line in a .pth file); this repository is not.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).resolve().parents[1]
CHECK = ROOT / "tests" / "support" / "wheel_check.py"
TOP = """
    .ci .git-blame-ignore-revs .github .gitignore .pre-commit-config.yaml CHANGELOG.md CITATION.cff CONTRIBUTING.md LICENSE Makefile PKG-INFO
    README.md SECURITY.md conda constraints.txt data_samples docs environment.yml mswin_viz notebooks pyproject.toml tests
"""
"""What lies in the archive of the sources, on top."""
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGE = PYPROJECT["project"]["urls"]["Source"] + "/blob/v$HFPR_VERSION/"
"""Where the rules for links in pyproject.toml lead; the build puts the version in."""
RAW = PAGE.replace("github.com", "raw.githubusercontent.com").replace("/blob/", "/")
FOLDERS = (".ci", ".github", "conda", "data_samples", "docs", "mswin_viz", "notebooks", "tests")
JUNK = re.compile(
    r"__pycache__|node_modules|\.ipynb_checkpoints|\.(lock|unfinished|pyc)$|_cache/|^docs/(.*/)?(_?build|generated)/|^docs/notebooks/.*\.(ipynb|py)$|\.DS_Store"
)


def build(source: Path, to: Path, *kinds: str) -> None:
    kinds = tuple(word for kind in kinds for word in ("--target", kind))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(to), *kinds], cwd=source, check=True
    )


def unpacked(archive: Path, to: Path) -> Path:
    """The folder of sources that an archive holds."""
    with tarfile.open(archive) as opened:
        opened.extractall(to, filter="data")
    (source,) = to.iterdir()
    return source


def contents(wheel: Path) -> dict[str, int]:
    """Name of each file in a wheel -> its checksum."""
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, with the archive of the sources beside it."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder, "sdist", "wheel")
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it."""
    home = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(home, with_pip=False)
    (packages,) = {
        Path(sysconfig.get_path(kind, vars={"base": str(home), "platbase": str(home)}))
        for kind in ("purelib", "platlib")
    }
    borrowed = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (packages / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(program(home, "python"))]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(built)], check=True)
    return home


def program(home: Path, name: str) -> Path:
    return home / ("Scripts" if os.name == "nt" else "bin") / name


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, with no trace of this repository in the environment."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix) / "share" / "jupyter"))  # ipywidgets' own part
    monkeypatch.setenv(
        "PATH", str(Path(sys.executable).parent), prepend=os.pathsep
    )  # and JupyterLab's program
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_of_the_source_archive_is_that_of_the_repository(
    built: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    (archive,) = built.parent.glob("*.tar.gz")
    source = unpacked(archive, tmp_path)
    build(source, tmp_path / "dist", "wheel")
    (again,) = (tmp_path / "dist").glob("*.whl")
    assert contents(again) == contents(built)
    size = f"{built.stat().st_size / 1e6:.1f} MB, {len(contents(built))} files"
    record_property(
        "lane note", f"{built.name}: {size}; {archive.name}: {archive.stat().st_size / 1e6:.1f} MB"
    )


def test_the_wheel_holds_the_package_alone_and_whatever_stands_in_its_folder(built: Path) -> None:
    tracked = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mswin_viz").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".lock"
    }
    assert {name for name in contents(built) if ".dist-info/" not in name} == tracked


def test_the_source_archive_holds_what_the_tests_and_the_documents_need_and_nothing_else(
    built: Path, tmp_path: Path
) -> None:
    (archive,) = built.parent.glob("*.tar.gz")
    source = unpacked(archive, tmp_path)
    assert {path.name for path in source.iterdir()} == set(TOP.split())
    held = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    here = {
        path.relative_to(ROOT).as_posix()
        for name in FOLDERS
        for path in (ROOT / name).rglob("*")
        if path.is_file()
    }
    assert [name for name in held if JUNK.search(name)] == []
    assert {name for name in here if not JUNK.search(name)} - held == set()


def test_the_tests_of_the_source_archive_can_be_collected(built: Path, tmp_path: Path) -> None:
    (archive,) = built.parent.glob("*.tar.gz")
    source = unpacked(archive, tmp_path)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider"]
    outside = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(command, cwd=source, env=outside, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_package_is_described_by_the_readme_with_links_that_work_on_any_page(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        described = message_from_bytes(archive.read(name))
    assert described["Description-Content-Type"] == "text/markdown"
    text = described.get_payload(decode=True).decode()
    found = re.findall(
        r"""\]\(([^)\s]+)|(?:src|srcset|href)=["']([^"']+)|^\[[^\]^]+\]: (\S+)""", text, re.MULTILINE
    )
    addresses = [one for groups in found for one in groups if one]
    assert [one for one in addresses if not one.startswith(("https://", "mailto:", "#"))] == []
    relative = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(addresses) >= len(re.findall(r"\]\([^)\s]+\)", relative)) > 0
    tagged = [place.replace("$HFPR_VERSION", described["Version"]) for place in (PAGE, RAW)]
    files = [one for one in addresses if re.search(r"/blob/|//raw\.", one)]
    assert [one for one in files if not one.startswith(tuple(tagged))] == []  # a release keeps its own pages
    assert [place for place in tagged if not any(one.startswith(place) for one in files)] == []
    assert "$HFPR" not in text
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)", text)
    assert [one for one in pictures if "/blob/" in one] == []  # that is a page, not the picture


@pytest.mark.parametrize(
    ("written", "described"),
    [
        ("![A map](docs/a.png)", f"![A map]({RAW}docs/a.png)"),
        ("[![A map](docs/a.webp)](docs/a.md#b)", f"[![A map]({RAW}docs/a.webp)]({PAGE}docs/a.md#b)"),
        ('<img alt="a" src="./docs/a.png">', f'<img alt="a" src="{RAW}docs/a.png">'),
        ('<a href="LICENSE">', f'<a href="{PAGE}LICENSE">'),
        ("[one]: docs/a.md", f"[one]: {PAGE}docs/a.md"),
        ("[here](#here), [there](https://a.org/b.md)", "[here](#here), [there](https://a.org/b.md)"),
    ],
)
def test_a_link_of_the_readme_becomes_a_whole_address(written: str, described: str) -> None:
    rules = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    for rule in rules:
        flags = [getattr(re, flag) for flag in rule.get("flags", [])]
        written = re.sub(rule["pattern"], rule["replacement"], written, flags=sum(flags))
    assert written == described


def test_every_explorer_works_from_the_wheel_in_an_empty_folder(installed: Path, empty: Path) -> None:
    python = program(installed, "python")
    found = json.loads(
        said(python, "-W", "error::DeprecationWarning:mswin_viz", "-c", CHECK.read_text()).splitlines()[-1]
    )
    assert all(Path(file).is_relative_to(installed) for file in [found["package"], *found["modules"]])
    assert [
        path for path in found["path"] if Path(path) == ROOT or Path(path).is_relative_to(ROOT / "mswin_viz")
    ] == []
    assert found["version"] == found["installed"]
    for name, scripts in found["scripts"].items():
        assert scripts, name
        assert {widget: sizes for widget, sizes in scripts.items() if min(sizes) == 0} == {}, name
        page = (empty / f"{name}.html").read_text(encoding="utf-8")
        assert str(ROOT) not in page
        assert len(page) > 50_000
    assert {path.name for path in empty.glob("*.png")} == {"scales.png"}


def test_the_commands_of_the_wheel_run_in_an_empty_folder(installed: Path, empty: Path) -> None:
    command = program(installed, "mswin-viz")
    assert (
        said(command, "--version").split()[-1]
        == said(program(installed, "python"), "-c", "import mswin_viz; print(mswin_viz.__version__)").strip()
    )
    assert json.loads(said(command, "doctor", "--json"))
    assert "wrote" in said(command, "demo", "here", "--version")  # JupyterLab says its version, and ends
    assert (empty / "here" / "mswin_viz_demo.ipynb").is_file()
