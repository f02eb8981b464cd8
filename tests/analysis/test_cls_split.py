"""A CLS feature split over input patches, blocks and heads: sums, plain loops, host towers, add-ons of any kind."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from support.host_files import (
    DEMO_ON,
    MDREID_ON,
    demo_state,
    demo_yml,
    mdreid_state,
    tower_state,
    yml,
)
from support.own_modules import ADDON_KINDS, with_addon
from support.tiny import DEPTH, DIM, GRID, SIZE, direction, pictures, tiny_model
from torch import nn

import mswin_viz as mv
from mswin_viz.analysis.shares.cls_split import SplitPlan, split_batch
from mswin_viz.analysis.shares.exact_tower import exact_batches
from mswin_viz.errors import OptionError, ShapeError

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Mamba aggregation:UserWarning",
    "ignore:.*camera table; SIE_CAMERA is off in:UserWarning",
    "ignore:.*generalFusion.*NOT applied:UserWarning",
    "ignore:.*the host joins two features:UserWarning",
)
N = GRID[0] * GRID[1]
FEATURES = ("plain", "enhanced", "shift")


def assert_adds_up(split, *, within: float = 1e-12) -> None:
    total = split.patches.sum(axis=1) + split.constants + split.unexplained
    np.testing.assert_allclose(total, split.score, atol=1e-9 * max(1, np.abs(split.score).max()))
    assert split.residual.max() < within
    assert split.left == ()


# ---- sums on every kind of tower ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded() -> mv.Model:
    return mv.load_model(device="cpu")


@pytest.fixture(scope="module")
def people() -> list[Path]:
    return [sample.images["RGB"] for sample in mv.samples()[:3]]


@pytest.mark.parametrize("feature", FEATURES)
def test_shares_of_the_embedded_model_add_up_to_the_score(embedded, people, feature) -> None:
    v, tokens = embedded.encode_text("a black top")[0].numpy(), embedded.encode(people)
    split = mv.cls_by_patch(embedded, people, v, feature=feature)
    assert_adds_up(split)
    enhanced = embedded.enhance(tokens)
    features = {"plain": tokens.cls, "enhanced": enhanced.cls, "shift": enhanced.cls - tokens.cls}
    np.testing.assert_allclose(split.score, features[feature].detach().numpy() @ v, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(split.norm, features[feature].detach().norm(dim=1), rtol=1e-4)
    assert split.patches.shape == (3, 128)
    assert split.grid == (16, 8)


@pytest.mark.parametrize("activation", ["GELU", "QuickGELU"])
@pytest.mark.parametrize("layer_scale", [None, 0.3])
def test_shares_of_open_clip_towers_add_up_to_the_score(activation, layer_scale) -> None:
    vision = {
        "image_size": list(SIZE), "layers": 2, "width": 24, "head_width": 8, "patch_size": 8, "ls_init_value": layer_scale,
    }  # fmt: skip
    text = {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
    torch.manual_seed(4)
    clip = open_clip.CLIP(DIM, vision, text, quick_gelu=activation == "QuickGELU").eval()
    for parameter in clip.visual.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    tiny = tiny_model(addon=False)
    model = dataclasses.replace(tiny, tower=dataclasses.replace(tiny.tower, clip=clip))
    assert_adds_up(mv.cls_by_patch(model, pictures(3), direction()))
    assert_heads_add_up(mv.cls_by_block(model, pictures(3), direction()), n_heads=3)


def host(folder: Path, more: str = "", **changes) -> mv.Model:
    stride = changes.get("stride", [16, 16])
    n_tokens = ((256 - 16) // stride[0] + 1) * ((128 - 16) // stride[1] + 1)
    torch.save(tower_state(width=64, depth=2, n_tokens=n_tokens), folder / "host.pth")
    return mv.load_host_model(
        yml(folder, more=more, **changes), folder / "host.pth", addon=None, device="cpu"
    )


def demo(folder: Path) -> mv.Model:
    torch.save(demo_state(width=64, depth=2), folder / "demo.pth")
    return mv.load_host_model(demo_yml(folder, DEMO_ON), folder / "demo.pth", addon=None, device="cpu")


def mdreid(folder: Path, token: str) -> mv.Model:
    torch.save(mdreid_state(width=64, depth=2), folder / "mdreid.pth")
    config = dataclasses.replace(mv.read_config(demo_yml(folder, MDREID_ON)), token=token)
    return mv.load_host_model(config, folder / "mdreid.pth", addon=None, device="cpu")


HOSTS: dict[str, Callable[[Path], mv.Model]] = {
    "camera embedding": lambda folder: host(folder, prompt=False, adapter=False),
    "prompts": lambda folder: host(folder, sie=False, adapter=False),
    "adapters": lambda folder: host(folder, sie=False, prompt=False),
    "everything": host,
    "stride 12": lambda folder: host(folder, stride=[12, 12]),
    "neck": lambda folder: host(folder, neck="after"),
    "second token": lambda folder: mdreid(folder, "specific"),
    "second token, shared": lambda folder: mdreid(folder, "shared"),
    "heads of the modalities": demo,
}
TAGS = [mv.ImageTag("RGB", 1), mv.ImageTag("TI", 2)]


@pytest.fixture
def noise() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, 256, (256, 128, 3), dtype=np.uint8) for _ in range(2)]


@pytest.mark.parametrize("name", HOSTS)
def test_shares_of_host_towers_add_up_to_the_score(tmp_path, noise, name) -> None:
    model = HOSTS[name](tmp_path)
    v = np.random.default_rng(3).normal(size=model.dim)
    split = mv.cls_by_patch(model, noise, v, tags=TAGS)
    assert_adds_up(split)
    np.testing.assert_allclose(
        split.score, model.encode(noise, tags=TAGS).cls.numpy() @ v, rtol=1e-3, atol=1e-3
    )
    assert split.patches.shape[1] == model.grid[0] * model.grid[1]
    assert np.abs(split.class_token).min() > 0


@pytest.mark.parametrize("name", HOSTS)
def test_shares_behind_a_block_of_host_towers_add_up_to_the_score(tmp_path, noise, name) -> None:
    model = HOSTS[name](tmp_path)
    v = np.random.default_rng(3).normal(size=model.dim)
    (batch,) = exact_batches(model, noise, v, tags=TAGS)
    split = split_batch(batch, SplitPlan(block=0, baseline="mean"))
    assert_adds_up(split)
    whole = mv.cls_by_patch(model, noise, v, tags=TAGS)
    np.testing.assert_allclose(split.score, whole.score, rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in HOSTS if name != "heads of the modalities"])
def test_blocks_of_host_towers_add_up_to_the_score(tmp_path, noise, name) -> None:
    model = HOSTS[name](tmp_path)
    v = np.random.default_rng(3).normal(size=model.dim)
    parts = mv.cls_by_block(model, noise, v, tags=TAGS)
    assert_heads_add_up(parts, n_heads=1)
    np.testing.assert_allclose(parts.score, mv.cls_by_patch(model, noise, v, tags=TAGS).score, rtol=1e-12)


def test_a_camera_moves_its_share_from_one_class_token_to_another(tmp_path, noise) -> None:
    model = HOSTS["camera embedding"](tmp_path)
    v = np.random.default_rng(3).normal(size=model.dim)
    one, other = (
        mv.cls_by_patch(model, noise[:1], v, tags=mv.ImageTag("RGB", camera)).class_token for camera in (1, 2)
    )
    assert abs(one - other).min() > 1e-6


# ---- plain loops ------------------------------------------------------------------------------------------------------


class ByParts:
    """The tiny tower in NumPy, one token and one head at a time, on several parts of its state at once.

    ``parts[p, token]`` are vectors that add up to the state; the last part takes every bias.
    """

    def __init__(self, model: mv.Model) -> None:
        self.w = {k: t.detach().double().numpy() for k, t in model.clip.visual.state_dict().items()}

    def norm(self, key: str, parts: np.ndarray) -> np.ndarray:
        out = np.zeros_like(parts)
        for t in range(parts.shape[1]):
            deviation = np.sqrt(parts[:, t].sum(axis=0).var() + 1e-5)
            for p in range(len(parts)):
                out[p, t] = (parts[p, t] - parts[p, t].mean()) / deviation * self.w[f"{key}.weight"]
            out[-1, t] += self.w[f"{key}.bias"]
        return out

    def linear(self, weight: np.ndarray, bias: np.ndarray, parts: np.ndarray) -> np.ndarray:
        out = np.zeros((*parts.shape[:2], len(bias)))
        for t in range(parts.shape[1]):
            for p in range(len(parts)):
                out[p, t] = weight @ parts[p, t]
            out[-1, t] += bias
        return out

    def attention(self, key: str, parts: np.ndarray, n_heads: int = 2) -> np.ndarray:
        q, k, v = (
            self.linear(weight, bias, parts)
            for weight, bias in zip(
                np.split(self.w[f"{key}.in_proj_weight"], 3), np.split(self.w[f"{key}.in_proj_bias"], 3), strict=True
            )
        )  # fmt: skip
        whole_q, whole_k, out = q.sum(axis=0), k.sum(axis=0), np.zeros_like(v)
        depth = v.shape[2] // n_heads
        for h in range(n_heads):
            at = slice(h * depth, (h + 1) * depth)
            for t in range(v.shape[1]):
                logits = np.array([whole_q[t, at] @ whole_k[s, at] for s in range(v.shape[1])]) / depth**0.5
                weights = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
                for s in range(v.shape[1]):
                    out[:, t, at] += weights[s] * v[:, s, at]
        return self.linear(self.w[f"{key}.out_proj.weight"], self.w[f"{key}.out_proj.bias"], out)

    def mlp(self, key: str, parts: np.ndarray) -> np.ndarray:
        hidden = self.linear(self.w[f"{key}.c_fc.weight"], self.w[f"{key}.c_fc.bias"], parts)
        whole = torch.from_numpy(hidden.sum(axis=0))
        factor = (nn.functional.gelu(whole) / whole).numpy()
        return self.linear(self.w[f"{key}.c_proj.weight"], self.w[f"{key}.c_proj.bias"], hidden * factor)

    def state(self, pixels: np.ndarray) -> np.ndarray:
        """Parts: each patch, the class token, the positions, the biases."""
        parts = np.zeros((N + 3, 1 + N, len(self.w["class_embedding"])))
        for t in range(N):
            row, col = divmod(t, GRID[1])
            patch = pixels[:, 8 * row : 8 * row + 8, 8 * col : 8 * col + 8]
            parts[t, 1 + t] = (self.w["conv1.weight"] * patch).sum(axis=(1, 2, 3))
        parts[N, 0] = self.w["class_embedding"]
        parts[N + 1] = self.w["positional_embedding"]
        return self.norm("ln_pre", parts)

    def cls(self, pixels: np.ndarray) -> np.ndarray:
        parts = self.state(pixels)
        for i in range(DEPTH):
            block = f"transformer.resblocks.{i}"
            parts = parts + self.attention(f"{block}.attn", self.norm(f"{block}.ln_1", parts))
            parts = parts + self.mlp(f"{block}.mlp", self.norm(f"{block}.ln_2", parts))
        return self.norm("ln_post", parts)[:, 0] @ self.w["proj"]


@pytest.fixture(scope="module")
def tiny() -> mv.Model:
    return tiny_model(addon=False)


def test_the_split_is_that_of_plain_loops(tiny) -> None:
    images, v = pictures(2), direction()
    split = mv.cls_by_patch(tiny, images, v)
    for i, pixels in enumerate(tiny.preprocess(images).double().numpy()):
        shares = ByParts(tiny).cls(pixels) @ v
        np.testing.assert_allclose(split.patches[i], shares[:N], atol=1e-11)
        np.testing.assert_allclose(split.class_token[i], shares[N], atol=1e-11)
        np.testing.assert_allclose(split.positions[i], shares[N + 1], atol=1e-11)
        np.testing.assert_allclose(split.biases[i], shares[N + 2], atol=1e-11)


def test_blocks_are_those_of_plain_loops(tiny) -> None:
    images, v = pictures(2), direction()
    found, loops = mv.cls_by_block(tiny, images, v), ByParts(tiny)
    for i, pixels in enumerate(tiny.preprocess(images).double().numpy()):
        state = loops.state(pixels).sum(axis=0)[None]
        added = [state[0, 0]]
        for b in range(DEPTH):
            block = f"transformer.resblocks.{b}"
            for write, norm in ((loops.attention, "ln_1"), (loops.mlp, "ln_2")):
                out = write(
                    f"{block}.{'attn' if norm == 'ln_1' else 'mlp'}", loops.norm(f"{block}.{norm}", state)
                )
                added.append(out[0, 0])
                state = state + out
        deviation = np.sqrt(state[0, 0].var() + 1e-5)
        back = loops.w["proj"] @ v
        shares = [((part - part.mean()) / deviation * loops.w["ln_post.weight"]) @ back for part in added]
        np.testing.assert_allclose(found.embedding[i], shares[0], atol=1e-11)
        np.testing.assert_allclose(found.attention[i], shares[1::2], atol=1e-11)
        np.testing.assert_allclose(found.mlp[i], shares[2::2], atol=1e-11)
        np.testing.assert_allclose(found.biases[i], loops.w["ln_post.bias"] @ back, atol=1e-11)


def assert_heads_add_up(parts, *, n_heads: int) -> None:
    total = parts.embedding + parts.attention.sum(axis=1) + parts.mlp.sum(axis=1) + parts.biases
    np.testing.assert_allclose(total, parts.score, atol=1e-9)
    assert parts.residual.max() < 1e-12
    assert parts.heads.shape[2] == n_heads
    np.testing.assert_allclose(parts.heads.sum(axis=2) + parts.output_bias, parts.attention, atol=1e-10)


def test_heads_and_the_output_bias_are_the_attention_of_a_block(tiny, embedded, people) -> None:
    assert_heads_add_up(mv.cls_by_block(tiny, pictures(2), direction()), n_heads=2)
    v = embedded.encode_text("a black top")[0]
    assert_heads_add_up(mv.cls_by_block(embedded, people, v), n_heads=3)


# ---- add-ons ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADDON_KINDS)
@pytest.mark.parametrize("feature", ["enhanced", "shift"])
def test_shares_go_through_any_addon_down_to_the_patches(name, feature) -> None:
    model, images = ADDON_KINDS[name](), pictures(3)
    v = np.random.default_rng(1).normal(size=2 * DIM if "concatenated" in name else DIM)
    split = mv.cls_by_patch(model, images, v, feature=feature)
    assert_adds_up(split)
    tokens = model.encode(images)
    wide = model.enhance(tokens).cls.detach().numpy()
    if feature == "shift":
        wide[:, :DIM] -= tokens.cls.numpy()
    np.testing.assert_allclose(split.score, wide @ v, rtol=1e-4, atol=1e-4)


def test_patches_of_the_plain_cls_and_of_the_shift_are_those_of_the_enhanced() -> None:
    model, images, v = tiny_model(), pictures(2), direction()
    plain, shift, enhanced = (
        mv.cls_by_patch(model, images, v, feature=f) for f in ("plain", "shift", "enhanced")
    )
    np.testing.assert_allclose(plain.patches + shift.patches, enhanced.patches, atol=1e-10)
    np.testing.assert_allclose(plain.biases + shift.biases, enhanced.biases, atol=1e-10)


def test_tokens_behind_the_last_block_are_the_shares_of_the_addon() -> None:
    model, images, v = tiny_model(), pictures(2), direction()
    (batch,) = exact_batches(model, images, v, tags=None, feature="shift")
    split = split_batch(batch, SplitPlan("shift", block=DEPTH - 1))
    parts = mv.decompose(model.encode(images), model.addon, v)
    np.testing.assert_allclose(split.score, parts.score - parts.cls, rtol=1e-4, atol=1e-5)
    assert_adds_up(split)
    assert np.abs(split.class_token).max() == 0


def test_a_norm_is_split_along_the_features_own_direction() -> None:
    model, images = tiny_model(), pictures(2)
    (batch,) = exact_batches(model, images, np.zeros(DIM), tags=None)
    split = split_batch(batch, SplitPlan(is_norm=True))
    np.testing.assert_allclose(split.score, model.encode(images).cls.norm(dim=1), rtol=1e-5)
    assert_adds_up(split)


# ---- batches, baselines, copies -----------------------------------------------------------------------------------------


def test_an_image_has_the_same_shares_alone_and_in_a_batch() -> None:
    model, images = tiny_model(), pictures(11)  # more than go through in one pass
    v = np.random.default_rng(2).normal(size=(11, DIM))
    together, blocks = (
        mv.cls_by_patch(model, images, v, feature="enhanced"),
        mv.cls_by_block(model, images, v),
    )
    for i in (0, 7, 8, 10):
        alone = mv.cls_by_patch(model, images[i], v[i], feature="enhanced")
        np.testing.assert_allclose(alone.patches[0], together.patches[i], atol=1e-10)
        for name in ("class_token", "positions", "biases", "score"):
            np.testing.assert_allclose(getattr(alone, name)[0], getattr(together, name)[i], atol=1e-10)
        np.testing.assert_allclose(
            mv.cls_by_block(model, images[i], v[i]).heads[0], blocks.heads[i], atol=1e-10
        )


def test_against_the_mean_patch_the_mean_has_a_share_of_its_own(tiny) -> None:
    zero, mean = (mv.cls_by_patch(tiny, pictures(2), direction(), baseline=b) for b in ("zero", "mean"))
    assert_adds_up(mean)
    np.testing.assert_allclose(zero.patches.sum(axis=1), mean.patches.sum(axis=1) + mean.baseline, atol=1e-10)
    assert np.abs(zero.baseline).max() == 0
    flat = [np.full((*SIZE, 3), 90, dtype=np.uint8)]
    alike = mv.cls_by_patch(tiny, flat, direction(), baseline="mean")
    assert np.abs(alike.patches).max() < 1e-10


def test_the_cosine_divides_every_share_by_both_norms(tiny) -> None:
    split = mv.cls_by_patch(tiny, pictures(2), 3 * direction()).cosine()
    cls = tiny.encode(pictures(2)).cls.numpy()
    expected = cls @ direction() / np.linalg.norm(cls, axis=1) / np.linalg.norm(direction())
    np.testing.assert_allclose(split.score, expected, atol=1e-5)
    np.testing.assert_allclose(split.patches.sum(axis=1) + split.constants, split.score, atol=1e-12)


def test_a_changed_weight_changes_the_shares() -> None:
    model = tiny_model(addon=False)
    before = mv.cls_by_patch(model, pictures(1), direction()).score
    with torch.no_grad():
        model.clip.visual.conv1.weight.mul_(1.5)
    after = mv.cls_by_patch(model, pictures(1), direction())
    np.testing.assert_allclose(after.score, model.encode(pictures(1)).cls.numpy() @ direction(), rtol=1e-4)
    assert abs(after.score - before) > 1e-3


def test_the_model_stays_as_it_is(tiny) -> None:
    before = {key: value.clone() for key, value in tiny.clip.state_dict().items()}
    tokens = tiny.encode(pictures(2))
    mv.cls_by_patch(tiny, pictures(2), direction())
    mv.cls_by_block(tiny, pictures(2), direction())
    assert all(torch.equal(value, before[key]) for key, value in tiny.clip.state_dict().items())
    assert torch.equal(tiny.encode(pictures(2)).cls, tokens.cls)
    assert not tiny.clip.visual.conv1._forward_hooks


def test_two_threads_split_their_own_images(tiny) -> None:
    images, found = pictures(4), {}
    alone = [mv.cls_by_patch(tiny, image, direction()).patches for image in images]

    def split(i: int) -> None:
        for _ in range(3):
            found[i] = mv.cls_by_patch(tiny, images[i], direction()).patches

    threads = [threading.Thread(target=split, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        np.testing.assert_array_equal(found[i], alone[i])


class Named(nn.Module):
    """A user's module whose parameters are called as it pleases."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.held = nn.ParameterDict({name: nn.Parameter(torch.zeros(DIM)) for name in names})

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        position, token, prompt = self.held.values()
        first = (token + prompt).expand(len(patches), 1, DIM)
        return nn.functional.gelu(torch.cat([first, patches + position], dim=1)).mean(dim=1)


@pytest.mark.parametrize("feature", ["enhanced", "shift"])
def test_parameters_of_an_addon_are_biases_whatever_they_are_called(feature) -> None:
    names = (
        ("pos_embed", "cls_token", "prompt"),
        ("positional_embedding", "query_embedding", "token"),
        ("a", "b", "c"),
    )
    one, two, other = (
        mv.cls_by_patch(with_addon(Named(*of)), pictures(2), direction(), feature=feature) for of in names
    )
    for field in ("patches", "class_token", "positions", "biases"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        np.testing.assert_array_equal(getattr(two, field), getattr(other, field))
    assert_adds_up(one)
    assert np.abs(one.biases).min() > 1e-3


def test_an_addon_that_no_held_pass_can_run_is_named() -> None:
    class Exported(nn.Module):
        def forward(self, patches: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(patches.numpy().mean(axis=1))

    model = with_addon(Exported())
    with pytest.raises(OptionError, match=r"Exported failed with RuntimeError: Can't call numpy\(\)"):
        mv.cls_by_patch(model, pictures(1), direction(), feature="enhanced")
    assert_adds_up(mv.cls_by_patch(model, pictures(1), direction()))


def test_an_operation_that_cannot_be_held_is_a_part_of_its_own() -> None:
    class Unknown(nn.Module):
        def forward(self, patches: torch.Tensor) -> torch.Tensor:
            return torch.exp(patches).mean(dim=1)

    model = with_addon(Unknown())
    split = mv.cls_by_patch(model, pictures(2), direction(), feature="enhanced")
    assert split.left == ("exp",)
    assert split.residual.min() > 1e-5
    np.testing.assert_allclose(
        split.patches.sum(axis=1) + split.constants + split.unexplained, split.score, atol=1e-10
    )


# ---- what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words", "how"),
    [
        (OptionError, "baseline must be one of zero, mean: got 'blur'", {"baseline": "blur"}),
        (OptionError, "feature must be one of plain, enhanced, shift: got 'both'", {"feature": "both"}),
        (OptionError, "a shift needs an add-on", {"feature": "shift"}),
        (ShapeError, r"a direction must have shape \[D\] or \[B, D\]", {"direction": np.ones(3)}),
        (ShapeError, "a direction must be a vector: got the text 'red'", {"direction": "red"}),
    ],
)
def test_what_does_not_exist_is_refused(tiny, error, words, how) -> None:
    with pytest.raises(error, match=words):
        mv.cls_by_patch(tiny, pictures(2), **{"direction": direction(), **how})


def test_blocks_of_a_tower_with_heads_behind_it_are_refused(tmp_path, noise) -> None:
    with pytest.raises(OptionError, match="use cls_by_patch"):
        mv.cls_by_block(demo(tmp_path), noise, np.ones(24), tags=TAGS)


class Wrapped(torch.nn.Module):
    """Attention of another class."""

    def __init__(self, attention: torch.nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, *args, **options):
        return self.attention(*args, **options)


def test_heads_of_attention_that_is_not_torchs_own_are_refused_and_its_patches_have_shares() -> None:
    model, own = tiny_model(), tiny_model()
    block = own.clip.visual.transformer.resblocks[1]
    block.attn = Wrapped(block.attn)
    with pytest.raises(
        OptionError, match="MultiheadAttention in every block: got another kind; use cls_by_patch"
    ):
        mv.cls_by_block(own, pictures(2), direction())
    found, expected = (mv.cls_by_patch(m, pictures(2), direction()) for m in (own, model))
    np.testing.assert_allclose(found.patches, expected.patches, atol=1e-10)


def test_a_block_that_does_not_exist_is_refused(tiny) -> None:
    (batch,) = exact_batches(tiny, pictures(1), direction(), tags=None)
    with pytest.raises(OptionError, match=r"one of 0\.\.2: got 3"):
        split_batch(batch, SplitPlan(block=3))
