"""Shares of the similarity of two rows: everything adds up to the cosine, over all modalities together."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.oracles import decompose_pair
from support.own_modules import TINY_ADDONS, tiny_model_with
from support.tiny import GRID, SCALES, pictures, tiny_model

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.pair_record import PairShares
from mswin_viz.analysis.embeddings.pair_shares import pair_panels, pair_window_shares
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.shares.addon_map import AddonState, Without
from mswin_viz.analysis.shares.decomposition import decomposed
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.data.sample import Sample
from mswin_viz.errors import ImageFileError, OptionError, StoppedError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.token_cache import TokenCache

N_TOKENS = GRID[0] * GRID[1]


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model()


@pytest.fixture(scope="module")
def table(model: Model, tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """Three samples in three modalities."""
    folder, found = tmp_path_factory.mktemp("pictures"), []
    for at in range(3):
        files = {}
        for picture, name in zip(pictures(3, seed=at), ("RGB", "NI", "TI"), strict=True):
            files[name] = folder / f"{name}{at}.png"
            Image.fromarray(picture).save(files[name])
        found.append(Sample(at, at, files))
    return embed(model, found, progress=False)


def total(sides) -> float:
    return sum(s.cls + s.bias + sum(map(np.sum, s.windows.values())) for s in sides.values())


@pytest.fixture(scope="module", params=list(TINY_ADDONS))
def any_pair(request, table) -> tuple[str, Model, EmbeddingTable]:
    """A model with an add-on of each kind, and its own table of the same images."""
    model = tiny_model_with(request.param)
    samples = [
        Sample(
            at, at, {str(table.modality[row]): table.path[row] for row in np.flatnonzero(table.sample == at)}
        )
        for at in range(3)
    ]
    return request.param, model, embed(model, samples, progress=False)


def cosine(table: EmbeddingTable, a: int, b: int, feature: str = "enhanced") -> float:
    u, v = (getattr(table, feature)[row].astype(float) for row in (a, b))
    return float(u @ v / np.linalg.norm(u) / np.linalg.norm(v))


def tables(table: EmbeddingTable) -> dict[str, EmbeddingTable]:
    return {
        "one": table,
        "raw": table.concatenated(),
        "equalised": table.concatenated(equalised=True),
        "two": table.concatenated(("TI", "NI")),
    }


@pytest.mark.parametrize("kind", ["one", "raw", "equalised", "two"])
def test_either_sides_shares_add_up_to_the_cosine_of_the_enhanced_rows(model, table, kind) -> None:
    chosen = tables(table)[kind]
    shares = pair_window_shares(model, chosen, 0, 2)
    assert total(shares.a) == pytest.approx(shares.similarity, abs=1e-12)
    assert total(shares.b) == pytest.approx(shares.similarity, abs=1e-12)
    assert shares.residual < 1e-12
    assert shares.similarity == pytest.approx(cosine(chosen, 0, 2), abs=1e-6)
    assert shares.table_similarity == pytest.approx(cosine(chosen, 0, 2), abs=1e-9)
    assert shares.plain_similarity == pytest.approx(cosine(chosen, 0, 2, "plain"), abs=1e-6)


def test_each_modalitys_part_is_the_same_from_either_side(model, table) -> None:
    shares = pair_window_shares(model, table.concatenated(), 0, 1)
    assert list(shares.a) == list(shares.b) == ["RGB", "NI", "TI"]
    for name in shares.a:
        assert shares.a[name].total == pytest.approx(shares.b[name].total, abs=1e-12)


def test_a_modalitys_part_is_its_own_product_over_the_joint_lengths(model, table) -> None:
    joint = table.concatenated()
    shares = pair_window_shares(model, joint, 0, 1)
    lengths = np.prod([np.linalg.norm(joint.enhanced[row].astype(float)) for row in (0, 1)])
    for at, name in enumerate(("RGB", "NI", "TI")):
        a, b = (joint.enhanced[row, 10 * at : 10 * at + 10].astype(float) for row in (0, 1))
        assert shares.a[name].total == pytest.approx(a @ b / lengths, abs=1e-6)


def test_one_modality_gives_the_pair_decomposition_itself(model, table) -> None:
    at = [table.row_of(sample, "NI") for sample in (2, 1)]
    shares = pair_window_shares(model, table, *at)
    a, b = (model.encode([table.path[row]], progress=False) for row in at)
    pair = decompose_pair(a, b, model.addon)
    assert shares.scales == SCALES
    for scale in SCALES:
        np.testing.assert_allclose(shares.a["NI"].windows[scale], pair.a.windows[scale][0], atol=1e-12)
        np.testing.assert_allclose(shares.b["NI"].windows[scale], pair.b.windows[scale][0], atol=1e-12)
        assert shares.a["NI"].geometry[scale].n_windows == N_TOKENS // scale
    assert shares.a["NI"].bias == pytest.approx(pair.a.bias[0])


def test_without_an_add_on_the_cls_has_it_all(table) -> None:
    plain = tiny_model(addon=False)
    shares = pair_window_shares(plain, table.concatenated(), 0, 1)
    assert shares.scales == ()
    assert sum(side.cls for side in shares.a.values()) == pytest.approx(shares.similarity)
    assert shares.similarity == pytest.approx(shares.plain_similarity)
    assert shares.similarity != pytest.approx(shares.table_similarity, abs=1e-4)  # another model's table


def test_tokens_are_kept_and_the_longest_unused_go(model, table) -> None:
    cache, tags = TokenCache(model, most=2), [ImageTag("RGB", number) for number in range(3)]
    first = cache.picture(table.path[0], tags[0])
    assert cache.picture(table.path[0], tags[0]) is first
    for row in (1, 0, 2):  # the second goes
        cache.picture(table.path[row], tags[row])
    assert cache.picture(table.path[0], tags[0]) is first
    assert [path in cache for path in table.path[:3]] == [True, False, True]
    assert isinstance(pair_window_shares(model, table, 0, 1, kept=cache), PairShares)


def test_pairs_that_do_not_exist_are_errors(model, table, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"0\.\.8: got 0 and 9"):
        pair_window_shares(model, table, 0, 9)
    with pytest.raises(OptionError, match="RGB and NI"):
        pair_window_shares(model, table, 0, 3)
    with pytest.raises(StoppedError):
        pair_window_shares(model, table, 0, 1, stop=lambda: True)
    gone = replace(table[[0, 1]], files=({"RGB": tmp_path / "gone.png"},) * 2)
    with pytest.raises(ImageFileError, match=r"gone\.png"):
        pair_window_shares(model, gone, 0, 1)


def test_panels_hold_both_images_of_each_modality_in_turn(model, table) -> None:
    shares = pair_window_shares(model, table.concatenated(("NI", "TI")), 0, 1)
    panels = {panel.key: panel for panel in pair_panels(shares)}
    assert list(panels) == ["scale-2", "scale-4", "scale-5", "fused"]
    np.testing.assert_array_equal(panels["scale-5"].values[0], shares.a["NI"].windows[5])
    np.testing.assert_array_equal(panels["scale-5"].values[3], shares.b["TI"].windows[5])
    windows = sum(panels[f"scale-{scale}"].values.sum(axis=1) for scale in SCALES)
    np.testing.assert_allclose(panels["fused"].values.sum(axis=1), windows, atol=1e-12)
    assert panels["fused"].geometry.grid == GRID


def test_without_an_add_on_there_are_no_panels(table) -> None:
    assert pair_panels(pair_window_shares(tiny_model(addon=False), table, 0, 1)) == ()


def test_where_distances_rank_it_is_said_that_the_cosine_is_split(model, table) -> None:
    by_distance = pair_window_shares(model, replace(table, metric="euclidean"), 0, 1)
    assert by_distance.similarity == pair_window_shares(model, table, 0, 1).similarity
    assert "ranking is by Euclidean distance of raw features; the shares split the cosine" in by_distance.note
    assert pair_window_shares(model, table, 0, 1).note == ""


@pytest.mark.parametrize("kind", ["one", "raw", "equalised", "two"])
def test_shares_of_any_add_on_add_up_to_the_cosine_of_its_rows(any_pair, kind) -> None:
    _, model, own_table = any_pair
    chosen = tables(own_table)[kind]
    shares = pair_window_shares(model, chosen, 0, 2)
    for sides in (shares.a, shares.b):
        assert sum(side.total for side in sides.values()) == pytest.approx(shares.similarity, abs=1e-12)
    assert shares.residual < 1e-12
    assert shares.similarity == pytest.approx(cosine(chosen, 0, 2), abs=1e-6)


def test_any_add_ons_parts_are_its_scales_or_its_tokens(any_pair) -> None:
    name, model, own_table = any_pair
    shares = pair_window_shares(model, own_table, 0, 1)
    side, has_scales = shares.a["RGB"], name in ("scheme 2", "mixture")
    between = [f"scale-{scale}" for scale in SCALES] if has_scales else ["tokens"]
    rest = ["unexplained"] if name == "unexplained" else []
    assert list(side.parts) == ["cls", *between, "bias", *rest]
    assert shares.scales == (SCALES if has_scales else ())
    panels = {panel.key: panel for panel in pair_panels(shares)}
    assert list(panels) == ["fused"] if not has_scales else [*between, "fused"]
    by_part = sum(side.parts[part] for part in between)
    assert panels["fused"].values[0].sum() == pytest.approx(by_part, abs=1e-12)


def test_an_operation_that_cannot_be_held_is_named_in_the_note(any_pair) -> None:
    name, model, own_table = any_pair
    note = pair_window_shares(model, own_table, 0, 1).note
    assert note.startswith("What exp adds in this add-on") if name == "unexplained" else note == ""


def test_what_no_window_covers_is_a_part_of_its_own(model, table) -> None:
    side = replace(pair_window_shares(model, table, 0, 1).a["RGB"], outside=0.25)
    assert list(side.parts)[-2:] == ["outside", "bias"]
    assert side.total == pytest.approx(replace(side, outside=0.0).total + 0.25)


@pytest.mark.parametrize("kind", ["one", "raw", "equalised", "two"])
def test_the_waterfall_of_either_row_leads_from_the_plain_cosine_to_the_enhanced_one(any_pair, kind) -> None:
    _, model, table = any_pair
    rows = tables(table)[kind]
    shares = pair_window_shares(model, rows, 0, 1)
    for side, sides in (("a", shares.a), ("b", shares.b)):
        found = shares.waterfall(side)
        assert found.plain == pytest.approx(rows.unit("plain")[0] @ rows.unit("plain")[1], abs=1e-5)
        assert found.plain + sum(step.value for step in found.steps) == pytest.approx(
            shares.similarity, abs=1e-7
        )
        assert found.cls == pytest.approx(sum(one.cls for one in sides.values()))
        assert len(found.lengths) == (len(sides) if kind == "equalised" else 1)
        kinds = [step.kind for step in found.before]
        assert kinds[:2] == ["other", "norm"]
        assert kinds[2:] in ([], ["cls"])


def test_the_norm_s_step_is_the_plain_features_at_the_enhanced_norms(model, table) -> None:
    joint = table.concatenated()
    shares = pair_window_shares(model, joint, 0, 1)
    plain, enhanced = (getattr(joint, name).astype(float) for name in ("plain", "enhanced"))
    half = plain[0] @ enhanced[1] / np.linalg.norm(plain[0]) / np.linalg.norm(enhanced[1])
    at_norm = plain[0] @ enhanced[1] / np.linalg.norm(enhanced[0]) / np.linalg.norm(enhanced[1])
    found = shares.waterfall("a")
    assert found.by_kind["norm"] == pytest.approx(at_norm - half, abs=1e-5)
    assert found.by_kind["other"] == pytest.approx(half - shares.plain_similarity, abs=1e-5)
    assert found.lengths[0] == pytest.approx(np.linalg.norm(enhanced[0]) / np.linalg.norm(plain[0]), rel=1e-4)


# ---- net push, and change when removed ------------------------------------------------------------


def joint(features: list[np.ndarray], kind: str) -> np.ndarray:
    """The vector that the table holds for several modalities."""
    return np.concatenate([x / np.linalg.norm(x) if kind == "equalised" else x for x in features])


def states_of(model: Model, table: EmbeddingTable, row: int) -> dict[str, AddonState]:
    weights = fusion_weights(model.addon)
    return {
        name: weights.run(model.encode([file], tags=[ImageTag(name, int(table.camid[row]))], progress=False))
        for name, file in table.files[row].items()
    }


def cosine_between(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def change(rest, target: np.ndarray, whole: float, kind: str, left: Without) -> float:
    """Of the joint cosine, with what is left of one modality between the others."""
    before, after = rest
    return cosine_between(joint([*before, left.enhanced[0, 0], *after], kind), target) - whole


@pytest.mark.parametrize("kind", ["one", "raw", "equalised", "two"])
def test_a_removal_is_the_cosine_of_the_joint_features_made_again_without_the_part(any_pair, kind) -> None:
    _, model, own_table = any_pair
    table = tables(own_table)[kind]
    shares = pair_window_shares(model, table, 0, 2)
    both = [states_of(model, table, row) for row in (0, 2)]
    for sides, own, other in ((shares.a, *both), (shares.b, *both[::-1])):
        features = [state.enhanced[0] for state in own.values()]
        target = joint([other[name].enhanced[0] for name in own], kind)
        whole = cosine_between(joint(features, kind), target)
        assert whole == pytest.approx(shares.similarity)
        for at, (name, state) in enumerate(own.items()):
            rest = features[:at], features[at + 1 :]
            without = partial(change, rest, target, whole, kind)
            removal = sides[name].values("removal")
            assert list(removal.windows) == list(shares.scales)
            for slot, (_scale, changes) in enumerate(removal.windows.items()):
                expected = [without(state.without((slot,), window)) for window in range(len(changes))]
                np.testing.assert_allclose(changes, expected, atol=1e-6)
            expected = [without(state.without_token(token)) for token in range(N_TOKENS)]
            np.testing.assert_allclose(removal.fused, expected, atol=1e-6)
            assert np.abs(removal.fused).max() > 1e-4


@pytest.mark.parametrize("kind", ["one", "raw", "equalised", "two"])
def test_a_push_is_the_share_without_the_cosine_s_part_of_the_joint_norm(any_pair, kind) -> None:
    _, model, own_table = any_pair
    table = tables(own_table)[kind]
    shares = pair_window_shares(model, table, 0, 2)
    both = [states_of(model, table, row) for row in (0, 2)]
    for sides, own, other in ((shares.a, *both), (shares.b, *both[::-1])):
        size = sum(float(state.enhanced[0] @ state.enhanced[0]) for state in own.values())
        for name, state in own.items():
            push, side = sides[name].values("push"), sides[name]
            e = state.enhanced
            if kind == "equalised":
                cosine, length = cosine_between(e[0], other[name].enhanced[0]), float(e[0] @ e[0]) * len(own)
            else:
                cosine, length = shares.similarity, size
            slots = [slot for slot in decomposed(state, e).slots if slot is not None]
            for slot, scale in zip(slots, shares.scales, strict=bool(shares.scales)):
                expected = side.windows[scale] - cosine * slot.windows[0] / length
                np.testing.assert_allclose(push.windows[scale], expected, atol=1e-12)
            of_norm = sum(slot.tokens[0] for slot in slots) / length
            np.testing.assert_allclose(push.fused, side.fused - cosine * of_norm, atol=1e-12)


def test_a_small_removal_moves_the_joint_cosine_as_the_push_says(model, table) -> None:
    """The limit of a removal: a hundred-thousandth of a window taken away, its gates as they are."""
    chosen, small = table.concatenated(), 1e-5
    shares = pair_window_shares(model, chosen, 0, 1)
    own, other = (states_of(model, chosen, row) for row in (0, 1))
    target = np.concatenate([state.enhanced[0] for state in other.values()])
    whole = np.concatenate([state.enhanced[0] for state in own.values()])
    at, state = 1, own["NI"]
    view = state.slots[0]
    for window, push in enumerate(shares.a["NI"].values("push").windows[SCALES[0]]):
        term = small * view.terms(state.weights, window) / view.geometry.n_windows
        left = state.moved({0: term}).enhanced[0, 0]
        again = whole.copy()
        again[10 * at : 10 * at + 10] = left
        moved = cosine_between(again, target) - cosine_between(whole, target)
        assert -moved / small == pytest.approx(push, rel=1e-3, abs=1e-8)


def test_panels_show_the_value_that_is_asked_for_and_refuse_others(model, table) -> None:
    shares = pair_window_shares(model, table, 0, 1)
    for value in ("removal", "push", "share"):
        panels = {panel.key: panel for panel in pair_panels(shares, value=value)}
        assert {panel.unit for panel in panels.values()} == {value}
        np.testing.assert_array_equal(panels["fused"].values[1], shares.b["RGB"].values(value).fused)
        np.testing.assert_array_equal(panels["scale-4"].values[0], shares.a["RGB"].values(value).windows[4])
    with pytest.raises(OptionError, match="one of share, push, removal: got 'norm'; choose"):
        pair_panels(shares, value="norm")
