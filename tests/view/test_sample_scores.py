"""The strip's scores: those of the first prompt, with every image's plain and enhanced CLS, computed when they are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.data.sample import Sample

MODEL = tiny_model()


@pytest.fixture
def explorer(tmp_path: Path) -> Iterator[mv.ScaleExplorer]:
    samples = []
    for at, picture in enumerate(pictures(5)):
        path = tmp_path / f"{at}.png"
        Image.fromarray(picture).save(path)
        samples.append(Sample(at % 2, at, {"RGB": path} | ({"NI": path} if at == 1 else {})))
    (tmp_path / "3.png").write_bytes(b"no picture")
    made = mv.ScaleExplorer(MODEL.bound(), samples, prompt="a person\na dog")
    yield made
    made.close()


def wanted(explorer: mv.ScaleExplorer) -> list[list[float] | None]:
    """The scores once the browser has asked for them."""
    explorer._scores._on_strip({"kind": "scores"})
    thread = explorer._scores.worker.thread
    assert thread is not None
    thread.join(60)
    return explorer.strip.scores


def one_by_one(explorer: mv.ScaleExplorer, at: int, prompt: str) -> tuple[float, float]:
    """Cosines of a prompt with plain and enhanced CLS, by hand."""
    model = explorer.model
    text = model.encode_text(prompt)[0].double().numpy()
    tokens = model.encode([explorer._samples[at].images["RGB"]], progress=False)
    plain = tokens.cls[0].double().numpy()
    enhanced = plain + model.addon(tokens.patches)[0].detach().double().numpy()
    return tuple(float(text @ cls / np.linalg.norm(text) / np.linalg.norm(cls)) for cls in (plain, enhanced))


def test_nothing_is_scored_before_it_is_wanted(explorer: mv.ScaleExplorer) -> None:
    assert explorer.strip.has_scores
    assert explorer.strip.scores == []
    assert explorer._scores.worker.thread is None


def test_every_image_has_its_plain_and_enhanced_cosine_with_the_first_prompt(explorer) -> None:
    scores = wanted(explorer)
    assert scores[3] is None  # it cannot be read
    for at in (0, 1, 2, 4):
        np.testing.assert_allclose(scores[at], one_by_one(explorer, at, "a person"), rtol=1e-5)
    assert (explorer.strip.progress, explorer.strip.status) == (1.0, "")


def test_scores_follow_prompt_and_modality_and_are_those_of_the_score_on_screen(explorer) -> None:
    before = wanted(explorer)
    explorer.controls.prompt.value = "a dog"
    explorer._scores.worker.thread.join(60)
    assert explorer.strip.scores[0] != before[0]
    shown = explorer.result.plain_scores[0, 0], explorer.result.enhanced_scores[0, 0]
    np.testing.assert_allclose(explorer.strip.scores[0], shown, rtol=1e-9)
    explorer.strip.selected = 1
    explorer.strip.modality = "NI"
    explorer._scores.worker.thread.join(60)
    assert [score is not None for score in explorer.strip.scores] == [False, True, False, False, False]


def test_no_prompt_leaves_no_scores(explorer) -> None:
    assert wanted(explorer)
    explorer.controls.prompt.value = ""
    explorer._scores.worker.thread.join(60)
    assert explorer.strip.scores == []


def test_other_samples_are_scored_anew(explorer, tmp_path: Path) -> None:
    wanted(explorer)
    folder = tmp_path / "others"
    folder.mkdir()
    for at, picture in enumerate(pictures(2)):
        Image.fromarray(picture).save(folder / f"{at}.png")
    explorer.bar.path.value = str(folder)
    explorer._scores.worker.thread.join(60)
    assert len(explorer.strip.scores) == len(explorer.strip.items) == 2
