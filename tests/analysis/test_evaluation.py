"""The figures of the model card, against the same figures worked out by hand."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

import mswin_viz as mv
from mswin_viz.analysis.experiments.evaluation import (
    PROMPTS,
    Evaluation,
    _mean_colours,
    evaluate_model,
    prompt_of,
)
from mswin_viz.data.synthetic.captions import caption_of
from mswin_viz.data.synthetic.crowd import Crowd, pictures
from mswin_viz.data.synthetic.identity import attributes, sample_identity
from mswin_viz.data.synthetic.lookalikes import sample_lookalike
from mswin_viz.data.synthetic.write_samples import CAPTIONED
from mswin_viz.errors import OptionError
from mswin_viz.view.reports.evaluation_table import table

PEOPLE, WORLD = 3, 9


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return mv.load_model(device="cpu")


@pytest.fixture(scope="module")
def found(model: mv.Model) -> Evaluation:
    return evaluate_model(model, identities=PEOPLE, seed=WORLD, progress=False)


@pytest.fixture(scope="module")
def shots() -> list[dict[str, np.ndarray]]:
    return list(pictures(Crowd(PEOPLE, WORLD, "look_alikes")))


@pytest.fixture(scope="module")
def rgb(model: mv.Model) -> np.ndarray:
    """Plain CLS of the standard split, of unit length."""
    cls = model.encode([shot["RGB"] for shot in pictures(Crowd(PEOPLE, WORLD))], progress=False).cls.numpy()
    return cls / np.linalg.norm(cls, axis=1, keepdims=True)


def by_hand(features: np.ndarray) -> mv.RetrievalReport:
    return mv.retrieval(
        features, np.repeat(np.arange(PEOPLE), 8), np.tile(np.repeat(np.arange(4), 2), PEOPLE)
    )


def test_both_splits_have_the_same_rows_and_columns(found: Evaluation) -> None:
    rows = ["plain_cls", "enhanced_cls", "random_network", "mean_colour_grid", "chance"]
    assert list(found.retrieval) == ["standard", "look_alikes"]
    for split in found.retrieval.values():
        assert list(split) == rows
        assert all(list(cells) == ["RGB", "NI", "TI", "three_together"] for cells in split.values())


def test_retrieval_is_that_of_raw_features_and_their_raw_concatenation(model, shots, found) -> None:
    tokens = {name: model.encode([shot[name] for shot in shots], progress=False) for name in shots[0]}
    for row, features in {
        "plain_cls": {name: some.cls.numpy() for name, some in tokens.items()},
        "enhanced_cls": {name: model.enhance(some).cls.numpy() for name, some in tokens.items()},
    }.items():
        features["three_together"] = np.hstack([features[name] for name in ("RGB", "NI", "TI")])
        for column, some in features.items():
            cell, report = found.retrieval["look_alikes"][row][column], by_hand(some)
            assert (cell.mAP, cell.rank1) == pytest.approx((report.mAP, report.cmc[1]))


def test_the_mean_colour_grid_is_that_of_16_by_8_cells(shots, found: Evaluation) -> None:
    cells = [
        shot["RGB"].reshape(16, 16, 8, 16, 3).mean(axis=(1, 3)).round().reshape(-1).astype(float)
        for shot in shots
    ]
    cell = found.retrieval["look_alikes"]["mean_colour_grid"]["RGB"]
    assert cell.mAP == pytest.approx(by_hand(np.array(cells)).mAP, abs=0.02)


def test_an_attribute_is_named_by_the_nearest_prompt(model, rgb, found: Evaluation) -> None:
    people = [sample_identity(pid, seed=WORLD) for pid in range(PEOPLE)]
    truth = np.repeat([person.lower_type for person in people], 8)
    values = sorted(set(truth))
    said = {"skirt": "a person wearing a skirt"}
    prompts = [said.get(value, f"a person wearing {value}") for value in values]
    nearest = (rgb @ normalised(model.encode_text(prompts).numpy()).T).argmax(axis=1)
    row = found.zero_shot["lower_type"]
    assert row.accuracy == pytest.approx(np.mean([values[i] for i in nearest] == truth))
    assert row.chance == pytest.approx(1 / len(values))
    assert row.commonest == pytest.approx(max(np.mean(truth == value) for value in values))
    assert row.prompts == tuple(prompts)


def test_a_caption_hits_if_everything_it_names_is_true_of_the_first_picture(model, rgb, found) -> None:
    people = [sample_identity(pid, seed=WORLD) for pid in range(PEOPLE)]
    hits, fitting = [], []
    for pid, person in enumerate(people):
        caption = caption_of(person, CAPTIONED, rng=np.random.default_rng(pid))
        first = int((rgb @ model.encode_text(caption).numpy()[0]).argmax())
        same = [all(attributes(o)[k] == attributes(person)[k] for k in CAPTIONED) for o in people]
        hits.append(same[first // 8])
        fitting.append(np.mean(same))
    assert found.text_to_image.rank1 == pytest.approx(np.mean(hits))
    assert found.text_to_image.chance == pytest.approx(np.mean(fitting))


def test_the_model_beats_the_random_network_and_chance(found: Evaluation) -> None:
    standard = {row: cells["RGB"].mAP for row, cells in found.retrieval["standard"].items()}
    assert standard["plain_cls"] > 2 * max(standard["random_network"], standard["chance"])


def test_look_alikes_are_harder(found: Evaluation) -> None:
    hard, easy = (found.retrieval[split]["plain_cls"]["RGB"].mAP for split in ("look_alikes", "standard"))
    assert hard < easy


def test_one_world_gives_the_same_figures_twice(model: mv.Model) -> None:
    first, again = (evaluate_model(model, identities=2, seed=3, progress=False).as_json() for _ in "ab")
    assert first == again


def test_without_text_tower_and_addon_their_rows_are_left_out_and_said_so(model: mv.Model) -> None:
    tower = dataclasses.replace(model.tower, has_text=False)
    found = evaluate_model(
        mv.Model(tower, None, "none: plain CLIP", model.device), identities=2, seed=1, progress=False
    )
    assert "enhanced_cls" not in found.retrieval["standard"]
    assert found.zero_shot is None
    assert found.text_to_image is None
    assert "no text tower: zero-shot and text to image are left out" in table(found)


def test_another_input_size_is_evaluated_as_well() -> None:
    model = mv.load_model(image_size=(128, 64), addon=None, device="cpu")
    found = evaluate_model(model, identities=2, seed=1, progress=False)
    assert 0 < found.retrieval["standard"]["plain_cls"]["three_together"].mAP <= 1


def test_the_json_holds_every_number_of_the_table(found: Evaluation) -> None:
    stored = json.loads(json.dumps(found.as_json()))
    printed = table(found)
    for rows in stored["retrieval"].values():
        for cells in rows.values():
            for cell in cells.values():
                assert f"{100 * cell['mAP']:.1f} / {100 * cell['rank1']:.1f}" in printed
    for row in stored["zero_shot"].values():
        assert f"| {100 * row['accuracy']:.1f} | {100 * row['chance']:.1f} |" in printed
    assert (stored["identities"], stored["seed"], stored["cameras"], stored["shots_per_camera"]) == (
        PEOPLE, WORLD, 4, 2,
    )  # fmt: skip


def test_the_table_says_what_the_splits_are_and_which_weights_were_measured(found: Evaluation) -> None:
    printed = table(found)
    assert "people drawn independently" in printed
    assert "groups of four who share everything but one small thing" in printed
    assert "embedded CLIP" in printed
    assert "scales 4/8/16" in printed


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("upper_colour", "orange", "a person wearing an orange top"),
        ("upper_colour", "red", "a person wearing a red top"),
        ("pattern", "striped", "a person wearing a striped top"),
        ("lower_type", "skirt", "a person wearing a skirt"),
        ("lower_type", "trousers", "a person wearing trousers"),
        ("lower_colour", "blue", "a person wearing blue bottoms"),
        ("any_bag", "yes", "a person carrying a bag"),
        ("any_bag", "no", "a person carrying no bag"),
    ],
)
def test_prompts_are_english(name: str, value: str, sentence: str) -> None:
    assert prompt_of(name, value) == sentence


def test_every_zero_shot_attribute_is_one_the_people_have() -> None:
    assert PROMPTS.keys() <= attributes(sample_lookalike(0)).keys()


def test_one_person_cannot_be_retrieved_among_others(model: mv.Model) -> None:
    with pytest.raises(OptionError, match="two identities: got 1"):
        evaluate_model(model, identities=1, seed=0)


def test_a_picture_lighter_on_the_left_stays_so_on_the_grid(model: mv.Model) -> None:
    left = np.zeros((256, 128, 3), np.uint8)
    left[:, :48] = (200, 100, 50)
    (row,) = _mean_colours(model.opened(Image.fromarray(left)))
    grid = row.reshape(16, 8, 3)
    assert (grid[:, :3] == (200, 100, 50)).all()
    assert (grid[:, 3:] == 0).all()


def normalised(features: np.ndarray) -> np.ndarray:
    return features / np.linalg.norm(features, axis=1, keepdims=True)
