"""Every public function refuses in words what it cannot take for a model, for samples or for a result, whatever else it gets."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from support.tiny import direction, pictures, tiny_model, two_modalities

import mswin_viz as mv
from mswin_viz.errors import DataError, MswinVizError, OptionError

STRANGE = MappingProxyType(
    {"nothing": None, "a text": "m", "a number": 7, "an object": object(), "a list": [1, 2]}
)
FITTING = MappingProxyType(
    {
        "addon": "nothing",
        "folder": "a text",
        "grid": "a list",
        "out": "a text",
        "pids": "a list",
        "place": "a text",
    }
    | {
        "prompts": "a text",
        "query": "a number",
        "scale": "a number",
        "store": "a text",
        "tile": "a list",
        "weights": "nothing",
    }
)
"""Parameter -> what of that it takes after all."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What fits, by the name of the parameter."""
    model, samples = tiny_model(), two_modalities(tmp_path_factory.mktemp("good"), 6, n_people=3)
    table, tokens = mv.embed(model, samples, progress=False), model.encode(pictures())
    return {
        "model": model, "samples": samples, "table": table, "tokens": tokens, "addon": model.addon, "weights": mv.fusion_weights(model.addon),
        "direction": direction(), "target": mv.Target.shift(), "images": pictures(), "inputs": pictures(), "maps": {}, "plain": table.plain,
        "enhanced": table.enhanced, "features": table.plain, "pids": table.pid, "nulls": {"noise": table.plain}, "query": 0, "a": 0, "b": 1,
        "scale": 2, "run": 2, "slot_index": 0, "prompts": ["a person"], "grid": (6, 2), "tile": (2, 2), "results": {}, "to": "atlas", "folder": "out",
    }  # fmt: skip


def required(made: Any) -> list[inspect.Parameter]:
    parameters = inspect.signature(made).parameters.values()
    return [one for one in parameters if one.default is one.empty and one.kind is not one.VAR_KEYWORD]


def given() -> Iterator[tuple[str, str]]:
    """Each function and view of the package, and each of its arguments that must be given by place."""
    for name in mv.__all__:
        made = getattr(mv, name)
        if inspect.isfunction(made) or (isinstance(made, type) and hasattr(made, "close")):
            for parameter in required(made):
                if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                    yield name, parameter.name


@pytest.mark.parametrize(("name", "parameter"), list(given()))
def test_what_is_of_another_kind_is_refused_in_words(
    name: str, parameter: str, good: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = getattr(mv, name)
    arguments = {one.name: good.get(one.name) for one in required(made)}
    for strange, value in STRANGE.items():
        if strange != FITTING.get(parameter):
            with pytest.raises(MswinVizError):
                made(**{**arguments, parameter: value})


def test_the_folder_of_tags_must_exist(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "mine.jsonl"):
        with pytest.raises(
            DataError, match=r"root must be a folder that exists, that of the data set: got .*gone"
        ):
            mv.open_tags(place, root=tmp_path / "gone")
        with pytest.raises(OptionError, match="is given by its path: got 7"):
            mv.open_tags(place, root=7)  # pyright: ignore[reportArgumentType]
    assert mv.open_tags(tmp_path / "mine.jsonl", root=tmp_path).root == tmp_path
