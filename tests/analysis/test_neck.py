"""A host whose retrieval looks behind its BatchNorm: features, shares, measures and training all look there too."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from support.host_files import MIXTURE_ON, WINDOWS_ON, mixture_state, tower_state, window_state, yml
from support.oracles import decompose_pair

import mswin_viz as mv
from mswin_viz.analysis.attribution.share_gap import share_gap
from mswin_viz.analysis.experiments.sample_tokens import sample_tokens
from mswin_viz.analysis.measures.head_retrieval import validation_map
from mswin_viz.analysis.scales.request import Subject
from mswin_viz.analysis.scales.token_panels import plain_panel
from mswin_viz.analysis.shares.fusion_weights import fusion_weights
from mswin_viz.analysis.shares.window_removal import remove_each_window
from mswin_viz.model.tokens.readout import Neck
from mswin_viz.model.training.heads import Head, enhanced_features, phase_means
from mswin_viz.model.training.shuffled_weights import shuffled

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Mamba aggregation:UserWarning", "ignore:.*camera table; SIE_CAMERA is off in:UserWarning"
)
ADDONS = {"windows": (WINDOWS_ON, window_state()), "mixture": (MIXTURE_ON, mixture_state())}
PACKAGE = Path(mv.__file__).parent


@pytest.fixture(scope="module")
def files() -> dict[str, torch.Tensor]:
    return tower_state(width=64, depth=2)


@pytest.fixture(scope="module")
def load(tmp_path_factory, files):
    def load(neck: str, addon: str = "windows") -> mv.Model:
        folder = tmp_path_factory.mktemp("host")
        more, state = ADDONS.get(addon, ("", {}))
        torch.save(files | state, folder / "host.pth")
        config = yml(folder, more=more, neck=neck, prompt=False, adapter=False, sie=False)
        return mv.load_host_model(config, folder / "host.pth", device="cpu")

    return load


@pytest.fixture(scope="module", params=list(ADDONS))
def both(load, request) -> tuple[mv.Model, mv.Model]:
    """The same checkpoint, its neck on and off."""
    return load("after", request.param), load("before", request.param)


@pytest.fixture(scope="module")
def people() -> list[Path]:
    return [sample.images["RGB"] for sample in mv.samples()[:3]]


def behind(files: dict[str, torch.Tensor], features: np.ndarray) -> np.ndarray:
    """BatchNorm as its definition has it, one number at a time."""
    state = {
        key.rsplit(".", 1)[1]: value.double().numpy() for key, value in files.items() if ".bottleneck." in key
    }
    out = np.zeros(features.shape)
    for i, row in enumerate(np.asarray(features, np.float64)):
        for j, value in enumerate(row):
            centred = (value - state["running_mean"][j]) / np.sqrt(state["running_var"][j] + 1e-5)
            out[i, j] = centred * state["weight"][j] + state["bias"][j]
    return out


def published_map(features: np.ndarray, pids: np.ndarray, camids: np.ndarray) -> float:
    """mAP as re-ID code computes it: unit features, Euclidean distance, same identity and camera dropped."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    precisions = []
    for q in range(len(unit)):
        distance = [float(((unit[q] - unit[g]) ** 2).sum()) for g in range(len(unit))]
        ranked = [
            g
            for g in np.argsort(distance, kind="stable")
            if not (pids[g] == pids[q] and camids[g] == camids[q])
        ]
        hits = [pids[g] == pids[q] for g in ranked]
        if any(hits):
            found = np.cumsum(hits)
            precisions.append(np.mean([found[i] / (i + 1) for i, hit in enumerate(hits) if hit]))
    return float(np.mean(precisions))


def test_plain_and_enhanced_cls_are_behind_the_neck_and_patches_before_it(both, files, people):
    after, before = both
    tokens, raw = after.encode(people), before.encode(people)
    assert torch.equal(tokens.patches, raw.patches)
    np.testing.assert_allclose(tokens.cls, behind(files, raw.cls.numpy()), atol=1e-5)
    enhanced = behind(files, before.enhance(raw).cls.detach().numpy())
    np.testing.assert_allclose(after.enhance(tokens).cls.detach(), enhanced, atol=1e-5)
    np.testing.assert_allclose(after.retrieval_feature(tokens).detach(), enhanced, atol=1e-5)


def test_the_affine_neck_is_torchs_batch_norm(files):
    norm = torch.nn.BatchNorm1d(24).eval()
    norm.load_state_dict(
        {k.rsplit(".", 1)[1]: v for k, v in files.items() if k.startswith("BACKBONE.bottleneck.")}
    )
    features = torch.randn(5, 24, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(Neck.of(norm)(features), norm(features), rtol=1e-6, atol=1e-6)


def test_the_badge_says_which_side_of_the_neck_is_measured(load):
    assert (
        load("after")
        .provenance_items["neck"]
        .startswith("NECK_FEAT after: plain and enhanced CLS and every share")
    )
    assert "neck" not in load("before").provenance_items


def test_shares_add_up_to_the_score_behind_the_neck(both, people):
    model, _ = both
    tokens = model.encode(people)
    direction = np.random.default_rng(0).normal(size=model.dim)
    parts = mv.decompose(tokens, model.addon, direction)
    score = model.enhance(tokens).cls.detach().double().numpy() @ direction
    np.testing.assert_allclose(parts.score, score, atol=1e-4)
    assert parts.residual.max() < 1e-12
    total = parts.cls + parts.bias + sum(shares.sum(axis=1) for shares in parts.windows.values())
    np.testing.assert_allclose(total, parts.score, atol=1e-10)
    np.testing.assert_allclose(parts.cls, tokens.cls.double().numpy() @ direction, atol=1e-10)


def test_a_windows_share_is_that_of_an_add_on_whose_last_layer_holds_the_necks_scale(load, people):
    model = load("after")
    tokens = model.encode(people)
    absorbed = mv.CLIPMultiScaleFeatureExtractor(model.dim, model.addon.scales)
    absorbed.load_state_dict(model.addon.state_dict())
    with torch.no_grad():
        last = absorbed.multi_scale_window.fusion[-1]
        last.weight.mul_(tokens.neck.scale[:, None])
        last.bias.mul_(tokens.neck.scale)
    direction = np.random.default_rng(1).normal(size=model.dim)
    expected = mv.decompose(mv.Tokens(tokens.cls, tokens.patches, tokens.grid), absorbed, direction)
    parts = mv.decompose(tokens, model.addon, direction)
    for scale, shares in expected.windows.items():
        np.testing.assert_allclose(parts.windows[scale], shares, atol=1e-5)
    np.testing.assert_allclose(parts.bias, expected.bias, atol=1e-5)


def test_a_removed_window_changes_the_score_behind_the_neck(both, people):
    after, before = both
    tokens, raw = after.encode(people), before.encode(people)
    weights = fusion_weights(after.addon)
    for channel in (
        0,
        7,
    ):  # without a neck, the change of one channel at a time; the neck multiplies it by its scale
        alone = remove_each_window(raw, weights, np.eye(after.dim)[channel], 1).change
        behind_it = remove_each_window(tokens, weights, np.eye(after.dim)[channel], 1).change
        np.testing.assert_allclose(behind_it, alone * float(tokens.neck.scale[channel]), atol=1e-6)


def test_a_pair_is_split_into_its_similarity_behind_the_neck(both, people):
    model, _ = both
    tokens = model.encode(people)
    pair = decompose_pair(tokens[:2], tokens[[1, 2]], model.addon)
    enhanced = model.enhance(tokens).cls.detach()
    expected = torch.cosine_similarity(enhanced[:2], enhanced[[1, 2]])
    np.testing.assert_allclose(pair.similarity, expected, atol=1e-5)
    for side in (pair.a, pair.b):
        total = side.cls + side.bias + sum(shares.sum(axis=1) for shares in side.windows.values())
        np.testing.assert_allclose(total, pair.similarity, atol=1e-10)


def test_gradients_from_pixels_blocks_and_tokens_all_pass_the_neck(load, people):
    model = load("after")
    target = mv.Target.direction(np.random.default_rng(3).normal(size=model.dim))
    score = mv.decompose(model.encode(people), model.addon, target.vector).score
    for options in ({"level": "pixels"}, {"level": "tokens"}, {"level": "tokens", "block": 0}):
        found = mv.attribute(model, people, target, method="gradient_x_input", progress=False, **options)
        np.testing.assert_allclose(found.score, score, atol=1e-4)
    tokens = model.encode(people)
    shares = sum(mv.decompose(tokens, model.addon, target.vector).tokens.values())
    found = mv.attribute(model, tokens, target, method="gradient_x_input", level="tokens", progress=False)
    np.testing.assert_allclose(found.values, shares, atol=1e-4)
    gap = share_gap(model, tokens, target, 8, n_steps=5)
    np.testing.assert_allclose(gap.score, score, atol=1e-4)


def test_patches_are_compared_with_the_plain_cls_behind_the_neck(load, files, people):
    model = load("after")
    tokens = model.encode(people[:1])
    values = plain_panel(
        Subject(tokens, model.addon, fusion_weights(model.addon), np.ones(model.dim))
    ).values[0]
    patches = behind(files, tokens.patches[0].numpy())
    cls = tokens.cls[0].double().numpy()
    expected = [patch @ cls / np.linalg.norm(patch) / np.linalg.norm(cls) for patch in patches]
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_embed_and_retrieval_give_the_hosts_map_behind_its_neck(both, files):
    after, before = both
    samples = mv.samples()[::2]
    tables = [mv.embed(model, samples, progress=False).concatenated() for model in (after, before)]
    pids, camids = (np.array([getattr(sample, name) for sample in samples]) for name in ("pid", "camid"))
    dim = after.dim
    for feature in ("plain", "enhanced"):
        raw = getattr(tables[1], feature)
        host = np.concatenate([behind(files, raw[:, at : at + dim]) for at in range(0, 3 * dim, dim)], axis=1)
        measured = mv.retrieval(getattr(tables[0], feature), tables[0].pid, tables[0].camid).mAP
        assert measured == pytest.approx(published_map(host, pids, camids), abs=1e-9)
    assert measured != pytest.approx(mv.retrieval(tables[1].enhanced, pids, camids).mAP, abs=1e-6)


def test_the_explorers_bars_add_up_to_a_cosine_behind_the_neck(load):
    model = load("after")
    explorer = mv.ScaleExplorer(model, mv.samples()[:2])
    tokens = model.encode([mv.samples()[0].images["RGB"]])
    wanted = torch.cosine_similarity(model.enhance(tokens).cls, tokens.cls).item()
    assert explorer.view.cosine.score[0] == pytest.approx(wanted, abs=1e-5)
    assert explorer.view.cosine.residual.max() < 1e-12


def test_tokens_keep_their_neck_when_they_are_cut_joined_folded_and_stored(load, tmp_path):
    model = load("after")
    samples = mv.samples()[:6]
    tokens = model.encode([sample.images["NI"] for sample in samples])
    joined = mv.Tokens.joined([tokens[:2], tokens[[2, 3]], tokens[4]])
    assert all(some.neck is tokens.neck for some in (tokens[0], joined, phase_means(tokens, (4, 8))))
    found = [
        sample_tokens(model, samples, scales=(4, 8, 16), folder=tmp_path, progress=False) for _ in range(2)
    ]
    for world in (found[0].world, found[1].world, found[1].world.part(np.arange(len(samples)) < 4)):
        stored = world.tokens["NI"][[0, 1, 2]]
        torch.testing.assert_close(stored.cls, tokens.cls[:3], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(stored.neck.scale, tokens.neck.scale)


def test_another_neck_is_not_read_from_a_cache(load, tmp_path):
    stored = [
        sample_tokens(load(neck), mv.samples()[:4], folder=tmp_path, progress=False).world.tokens["RGB"]
        for neck in ("after", "before")
    ]
    assert stored[0].neck is not None
    assert stored[1].neck is None
    assert float((stored[0].cls - stored[1].cls).abs().max()) > 0.1


def test_heads_are_trained_and_validated_behind_the_neck(load):
    model = load("after")
    world = sample_tokens(model, mv.samples(), progress=False).world
    tokens = world.tokens["RGB"]
    expected = model.enhance(tokens).cls.detach().numpy()
    np.testing.assert_allclose(enhanced_features(Head(model.addon, "patches"), tokens), expected, atol=1e-5)
    joint = np.concatenate(
        [model.enhance(some).cls.detach().numpy() for some in world.tokens.values()], axis=1
    )
    score = validation_map(world)(Head(model.addon, "patches"))
    assert score == pytest.approx(mv.retrieval(joint, world.pids, world.camids).mAP)


def test_nulls_and_shuffled_copies_keep_the_neck(load, people):
    model = load("after")
    tokens = model.encode(people)
    nulls = mv.null_features(model, tokens, seeds=1, kinds=("shuffled", "mean"))
    np.testing.assert_allclose(nulls["zero shift"], tokens.cls, atol=1e-6)
    mixed = shuffled(model, "add-on", seed=0)
    np.testing.assert_allclose(nulls["shuffled, seed 0"], mixed.enhance(tokens).cls.detach(), atol=1e-6)


def test_tokens_are_made_where_a_tower_or_a_file_gives_them_and_elsewhere_copied_with_their_neck():
    makers = {
        "model/encoder/backbone.py",
        "model/encoder/encoded_batch.py",
        "model/training/token_store.py",
        "analysis/experiments/head_costs.py",
        "analysis/experiments/stored_sample_tokens.py",
        "analysis/embeddings/store.py",
    }
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Tokens"
    }
    assert found == makers


def test_a_neck_of_inference_mode_is_attributed_as_others_are(load, people):
    model = load("after")
    tokens = model.encode(people)
    with torch.inference_mode():
        neck = Neck(tokens.neck.scale.clone(), tokens.neck.offset.clone())
    options = {"method": "gradient_x_input", "level": "tokens", "progress": False}
    found = mv.attribute(model, dataclasses.replace(tokens, neck=neck), mv.Target.norm(), **options)
    np.testing.assert_allclose(
        found.values, mv.attribute(model, tokens, mv.Target.norm(), **options).values, atol=1e-6
    )
