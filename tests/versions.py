"""Runs tests with other versions of what the package needs, in a new environment.

    python tests/versions.py lowest                       # each direct dependency at its lower bound
    python tests/versions.py newest                       # the newest of all, pre-releases too
    python tests/versions.py newest "pandas<3" "numpy<2.1" --python python3.12 -- -q --quick

``make lowest`` and ``make newest`` are the first two. Torch and what belongs to it are several GB: where ``.venv`` has them for the same Python,
they are linked from there, at the version that is there; ``--own-torch`` installs them like the rest. Needs uv (``pip install uv``), which
only resolves; pip installs. What follows ``--`` goes to pytest; without it the quick tests are run, and warnings are no errors.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH = re.compile(r"(torch|torchvision|triton|nvidia[-_].*|cuda[-_].*)$")
LINKED = ("torch", "torchgen", "functorch", "torchvision", "torchvision.libs", "triton", "nvidia", "cuda")
SHOWN = (
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "pillow",
    "pyarrow",
    "pydantic",
    "open-clip-torch",
)
SHOWN += (
    "captum",
    "ipywidgets",
    "anywidget",
    "jupyterlab",
    "typer",
    "rich",
    "pytest",
    "torch",
    "torchvision",
)
QUICK = ["-q", "--quick", "-W", "default"]  # what old and coming versions warn of is theirs
SAY = """import importlib.metadata as m, platform, sys
print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
print(", ".join(f"{name} {m.version(name)}" for name in sys.argv[1:]))"""


def main() -> int:
    options = parsed(sys.argv[1:])
    folder = ROOT / "build" / f"versions-{options.which}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lent = None if options.own_torch else packages_of(Path(sys.prefix))
    found = {} if lent is None else distributions(lent)
    (folder / "constraints.txt").write_text(
        "\n".join(
            [*options.only, *(f"{name}=={found[name]}" for name in ("torch", "torchvision") if name in found)]
        )
    )
    listed = resolved(options, folder)
    if lent is not None:
        listed = [line for line in listed if not TORCH.match(line.partition("==")[0])]
    (folder / "installed.txt").write_text("\n".join(listed) + "\n")
    run([options.python, "-m", "venv", str(folder / "venv")])
    python = str(folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps"]
    run([*pip, "-r", str(folder / "installed.txt")])
    run([*pip, "-e", str(ROOT)])
    if lent is not None:
        link(lent, packages_of(folder / "venv"))
    run([python, "-c", SAY, *SHOWN])
    tests = subprocess.run([python, "-m", "pytest", *(options.pytest or QUICK)], cwd=ROOT, check=False)
    if not options.keep:
        shutil.rmtree(folder / "venv")
    return tests.returncode


def parsed(arguments: list[str]) -> argparse.Namespace:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description="Run tests with other versions of the dependencies.")
    parser.add_argument("which", choices=["lowest", "newest"])
    parser.add_argument("only", nargs="*", help='bounds of single packages, such as "pandas<3"')
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the new environment")
    parser.add_argument("--own-torch", action="store_true", help="install torch too, instead of linking it")
    parser.add_argument("--keep", action="store_true", help="leave the environment, build/versions-.../venv")
    options = parser.parse_args(arguments[:end])
    options.only = [bound for bound in options.only if bound]
    options.pytest = arguments[end + 1 :]
    return options


def resolved(options: argparse.Namespace, folder: Path) -> list[str]:
    """``name==version`` of everything to install."""
    how = ["lowest-direct"] if options.which == "lowest" else ["highest", "--prerelease", "allow"]
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--resolution", *how, "--extra", "test", "--python", options.python]
    command += ["--constraints", str(folder / "constraints.txt"), "pyproject.toml"]
    text = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [line for line in text.splitlines() if "==" in line]


def packages_of(environment: Path) -> Path:
    """The site-packages of an environment."""
    return next(
        iter(sorted(environment.glob("lib/python3.*/site-packages"))), environment / "Lib" / "site-packages"
    )


def distributions(packages: Path) -> dict[str, str]:
    """Name -> version of torch and what belongs to it, in a site-packages."""
    names = (path.name.removesuffix(".dist-info").rpartition("-") for path in packages.glob("*.dist-info"))
    return {name: version for name, _, version in names if TORCH.match(name)}


def link(source: Path, target: Path) -> None:
    """Torch, and what belongs to it, of one site-packages in another."""
    names = [f"{name}-{version}.dist-info" for name, version in distributions(source).items()]
    for name in (*LINKED, *names):
        if (source / name).exists() and not (target / name).exists():
            (target / name).symlink_to(source / name)


def run(command: list[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
