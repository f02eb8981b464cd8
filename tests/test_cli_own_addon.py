"""A user's module on a command line: trained, measured, ablated; refused before any work."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import mswin_viz as mv
from mswin_viz import cli
from mswin_viz.data.synthetic.write_samples import write_samples

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.out = nn.Linear(512, 1), nn.Linear(512, 512)

    def forward(self, patches):
        return self.out((self.score(patches).softmax(dim=1) * patches).sum(dim=1))

def narrow():
    return nn.Sequential(nn.Flatten(1), nn.Linear(128 * 512, 3))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    """A current folder with the user's code in it, which is on no path."""
    (tmp_path / "owncode.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.delitem(sys.modules, "owncode", raising=False)
    return tmp_path


@pytest.fixture
def pictures(tmp_path_factory) -> Path:
    return write_samples(tmp_path_factory.mktemp("set"), identities=4, cameras=2, shots=1, seed=5)


def run(line: str) -> str:
    done = CliRunner().invoke(cli.app, line.split())
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def refused(line: str) -> str:
    done = CliRunner().invoke(cli.app, line.split())
    assert isinstance(done.exception, mv.MswinVizError), (done.exception, done.output)
    return str(done.exception)


def test_a_users_module_is_trained_and_its_file_fills_it_again(here: Path, pictures: Path) -> None:
    small = "--steps 2 --validation 0"
    output = run(f"train --data {pictures} --out own.safetensors --addon owncode:Net {small}")
    assert "importing owncode:Net: its code runs" in output
    assert "will write own.safetensors: safetensors, a state dict with keys of owncode:Net" in output
    module = sys.modules["owncode"].Net()
    assert mv.read_state_dict(here / "own.safetensors").keys() == module.state_dict().keys()
    addon = mv.load_addon(here / "own.safetensors", into=module)
    assert not torch.equal(addon.module.out.weight, module.out.weight)
    assert not list(here.glob("*.state"))


def test_scheme_2_is_trained_by_its_name(here: Path, pictures: Path) -> None:
    run(f"train --data {pictures} --out two.pth --addon scheme-2 --scales 4,8 --steps 1 --validation 0")
    addon = mv.load_addon(here / "two.pth")
    assert (addon.feat_dim, addon.windows.feat_dim, addon.scales) == (512, 768, (4, 8))


def test_a_users_module_has_a_row_beside_the_others_and_its_control(here: Path) -> None:
    small = "--people 4 --identities 8 --steps 1 --seeds 1 --rows mlp_on_cls --scales 4,8"
    output = run(f"ablate --addon owncode:Net {small} --out one.json")
    assert "| Net |" in output
    assert "| control: MLP on the mean patch, as large as Net |" in output
    stored = json.loads((here / "one.json").read_text())
    assert list(stored["rows"]) == ["plain_cls", "mlp_on_cls", "own_module", "own_module_control"]
    sizes = [stored["rows"][name]["parameters"] for name in ("own_module", "own_module_control")]
    assert abs(sizes[0] - sizes[1]) <= 512
    own = stored["settings"]["plan"]["addon"]
    assert own.startswith(f"owncode.Net (owncode.py), {sizes[0]:,} parameters")
    assert "| Net |" in run("ablate --markdown one.json --brief")


def test_evaluate_measures_a_users_module_with_its_weights(here: Path, monkeypatch) -> None:
    seen = []

    class MeasuredError(Exception):
        pass

    def measured(model: mv.Model, **_: object) -> None:
        seen.append(model.addon_origin)
        raise MeasuredError

    monkeypatch.setattr("mswin_viz.analysis.experiments.evaluation.evaluate_model", measured)
    sys.path.insert(0, str(here))
    import owncode  # pyright: ignore[reportMissingImports]

    mv.save_addon(owncode.Net(), here / "own.pth")
    for options in ("", "--addon-weights own.pth"):
        done = CliRunner().invoke(cli.app, f"evaluate --addon owncode:Net {options}".split())
        assert isinstance(done.exception, MeasuredError), (done.exception, done.output)
    done = CliRunner().invoke(cli.app, ["evaluate", "--addon", "none"])
    assert "parameters as made by owncode:Net," in seen[0]
    assert "parameters from own.pth," in seen[1]
    assert seen[2] == "none: plain CLIP"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "train --out a.pth --addon owncode",
            "--addon must name code as package.module:Name: got 'owncode'; or scheme-2",
        ),
        (
            "train --out a.pth --addon owncode:Nosuch",
            "AttributeError: module 'owncode' has no attribute 'Nosuch'",
        ),
        ("train --out a.pth --addon nosuch.code:Net", "No module named 'nosuch'"),
        (
            "train --out a.pth --addon owncode:Net --scales 4",
            "--scales would have no effect with --addon owncode:Net",
        ),
        ("train --out a.pth --addon owncode:Net --layout host", "--layout would have no effect with --addon"),
        (
            "train --out a.pth --addon scheme-2 --layout host",
            "--layout would have no effect with --addon scheme-2",
        ),
        ("train --out a.pth --addon owncode:narrow", "must have its width, 512"),
        ("ablate --addon scheme-2", "--addon must name code as package.module:Name: got 'scheme-2'"),
        ("ablate --addon owncode:Nosuch", "has no attribute 'Nosuch'"),
        ("ablate --addon owncode:narrow", "must have its width, 512"),
        ("ablate --markdown owncode.py --addon owncode:Net", "--addon would have no effect with --markdown"),
        ("evaluate --addon-weights owncode.py", "--addon-weights fills the module that --addon names"),
        ("evaluate --addon a.pth --addon-weights owncode.py", "--addon-weights fills a module"),
        ("evaluate --addon owncode:Net --addon-weights nosuch.pth", "--addon-weights must exist"),
        ("evaluate --addon nosuch.pth", "weights must be an existing file: nosuch.pth does not exist"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anyone_is_drawn(line, said, here: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        "mswin_viz.data.synthetic.crowd.render", lambda *_, **__: pytest.fail("somebody was drawn")
    )
    assert said in refused(line)
    assert not (here / "a.pth").exists()
