"""Attention relevance against the paper's formula in loops; towers with prompts, adapters and second tokens; refusals."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from support.host_files import BASE, MDREID_ON, demo_state, demo_yml, tower_state, yml
from support.host_files import DIM as HOST_DIM
from support.tiny import DEPTH, DIM, direction, pictures, tiny_model
from torch import nn

import mswin_viz as mv
from mswin_viz.analysis.attribution.relevance import opened_attention
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.model.encoder.block_outputs import block_outputs, tokens_of_pixels
from mswin_viz.model.host.blocks import HostBlock
from mswin_viz.model.tokens.tokens import Tokens

TOKENS = {"method": "attention_relevance", "level": "tokens"}
ALONG = mv.Target.direction(direction())


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


def _attended(attn: nn.MultiheadAttention, z: torch.Tensor, kept: list[list[torch.Tensor]]) -> torch.Tensor:
    """Self-attention of one image, head by head, from its parameters; its weights are kept."""
    (q, k, v), width = (z @ attn.in_proj_weight.T + attn.in_proj_bias).chunk(3, dim=1), attn.head_dim
    weights, mixed = [], []
    for head in range(attn.num_heads):
        own = slice(head * width, (head + 1) * width)
        a = torch.softmax(q[:, own] @ k[:, own].T / np.sqrt(width), dim=1)
        weights.append(a if a.requires_grad else a.requires_grad_())
        mixed.append(weights[-1] @ v[:, own])
    kept.append(weights)
    return torch.cat(mixed, dim=1) @ attn.out_proj.weight.T + attn.out_proj.bias


def _block(block: nn.Module, x: torch.Tensor, modality: int, kept: list) -> torch.Tensor:
    """What a block puts out for one image."""
    has_prompts = isinstance(block, HostBlock) and block.has_prompts
    z = block._with_prompts(x[None], torch.tensor([modality]))[0] if has_prompts else x
    u = z + _attended(block.attn, block.ln_1(z), kept)
    out = u + block.mlp(block.ln_2(u))
    if isinstance(block, HostBlock) and block.has_adapters:
        out = out + block.adapter_ffn(u)
    if not has_prompts:
        return out
    n = len(out) - 12
    return torch.cat([out[:n], (out[n : n + 4] + out[n + 4 : n + 8] + out[n + 8 :]) / 3])


def _relevance(
    gradients: list[list[np.ndarray]], kept: list[list[np.ndarray]], n_tokens: int, modality: int
) -> np.ndarray:
    """R of all tokens to all tokens, block by block, by equations 5 and 6; prompts begin with nothing of the image."""
    r, carried = np.eye(n_tokens), np.zeros((4, n_tokens))
    for of_block, weights in zip(gradients, kept, strict=True):
        n = len(weights[0])
        mean = np.zeros((n, n))
        for gradient, a in zip(of_block, weights, strict=True):
            for i in range(n):
                for j in range(n):
                    mean[i, j] += max(0.0, gradient[i, j] * a[i, j]) / len(weights)
        prompts = np.zeros((n - n_tokens, n_tokens))
        if len(prompts):
            prompts[4 * modality : 4 * modality + 4] = carried
        whole = np.concatenate([r, prompts])
        whole = whole + mean @ whole
        r = whole[:n_tokens]
        if len(prompts):
            carried = np.mean([whole[n_tokens + 4 * m : n_tokens + 4 * m + 4] for m in range(3)], axis=0)
    return r


def oracle(
    model: mv.Model, images: list, target: mv.Target, *, first: int = 0, scale: float = 1.0
) -> np.ndarray:
    """The map of each image, in float64, one image at a time."""
    visual, addon = copy.deepcopy(model.visual).double(), copy.deepcopy(model.addon)
    addon = addon and addon.double()
    given = model.conditions(len(images))
    states = block_outputs(model, model.preprocess(images), *given)[0].double()
    directions, maps = target.directions(model, len(images)).double(), []
    for at, x in enumerate(states):
        kept: list[list[torch.Tensor]] = []
        modality = int(given[1][at]) if given else 0
        n_tokens = len(x)
        for block in visual.transformer.resblocks:
            x = _block(block, x, modality, kept)
        x = x[: 1 + model.grid[0] * model.grid[1]]
        out = visual.ln_post(x) @ visual.proj
        cls, patches = out[:1], out[1:]
        plain = Tokens(cls, patches[None], model.grid)
        if target.feature == "enhanced" and addon is not None:
            cls = cls + addon(patches[None])
        score = target.score(plain, Tokens(cls, patches[None], model.grid), directions[at : at + 1])
        flat = [a for weights in kept[first:] for a in weights]
        gradients = iter(torch.autograd.grad(scale * score.sum(), flat))
        of_blocks = [[next(gradients).numpy() for _ in weights] for weights in kept[first:]]
        held = [[a.detach().numpy() for a in weights] for weights in kept[first:]]
        maps.append(_relevance(of_blocks, held, n_tokens, modality)[0])
    n = model.grid[0] * model.grid[1]
    return np.stack([one[1 : 1 + n] for one in maps])


def targets(model: mv.Model) -> dict[str, tuple[mv.Target, float]]:
    """Name -> a target, and what its score is multiplied by."""
    gallery = np.random.default_rng(0).normal(size=(4, DIM))
    scale, pair = float(model.clip.logit_scale.detach().exp()), model.encode(pictures()).cls.flip(0)
    return {
        "direction": (ALONG, 1),
        "text": (mv.Target.text("a red top"), scale),
        "texts, plain": (mv.Target.text(["a red top", "a bag"], feature="plain"), scale),
        "pair": (mv.Target.image(pair, feature="plain"), scale),
        "identity": (mv.Target.identity(8, gallery, [8, 1, 8, 2]), scale),
        "norm": (mv.Target.norm(feature="plain"), 1),
        "shift": (mv.Target.shift(), 1),
    }


@pytest.mark.parametrize("name", ["direction", "text", "texts, plain", "pair", "identity", "norm", "shift"])
def test_a_map_is_the_row_of_the_cls_in_the_paper_s_product(model, name) -> None:
    target, scale = targets(model)[name]
    found = mv.attribute(model, pictures(), target, **TOKENS)
    np.testing.assert_allclose(
        found.values, oracle(model, pictures(), target, scale=scale), rtol=1e-4, atol=1e-5
    )
    assert found.values.min() >= 0
    assert found.values.max() > 1e-4
    assert found.parameters == {"norm": "recomputed", "first_block": 0, "score_scale": scale}


@pytest.mark.parametrize(("asked", "first"), [(1, 1), (-1, DEPTH - 1)])
def test_blocks_before_the_first_one_do_not_count(model, asked, first) -> None:
    found = mv.attribute(model, pictures(), ALONG, **TOKENS, first_block=asked)
    np.testing.assert_allclose(
        found.values, oracle(model, pictures(), ALONG, first=first), rtol=1e-4, atol=1e-5
    )
    assert found.parameters["first_block"] == asked


def host_model(folder, config, state) -> mv.Model:
    torch.save(state, folder / "weights.pth")
    model = mv.load_host_model(config, folder / "weights.pth", addon=None, device="cpu")
    return model.bound(tags=[mv.ImageTag("TI", 2), mv.ImageTag("RGB", 4)])


def host_images() -> list[np.ndarray]:
    return [np.random.default_rng(seed).integers(0, 256, (48, 32, 3), dtype=np.uint8) for seed in range(2)]


HOST_TARGET = mv.Target.direction(np.random.default_rng(1).normal(size=HOST_DIM), feature="plain")


@pytest.mark.filterwarnings("ignore:.*off in the configuration, so it is left out:UserWarning")
@pytest.mark.parametrize(("prompt", "adapter"), [(True, True), (True, False), (False, True), (False, False)])
def test_prompts_and_adapters_of_a_host_model_take_part(tmp_path, prompt, adapter) -> None:
    config = yml(tmp_path, prompt=prompt, adapter=adapter, size=[48, 32])
    model = host_model(tmp_path, config, tower_state(width=64, depth=3, n_tokens=6))
    for first in (0, 1):
        found = mv.attribute(model, host_images(), HOST_TARGET, **TOKENS, first_block=first)
        expected = oracle(model, host_images(), HOST_TARGET, first=first)
        np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-5)
        assert found.values.max() > 1e-3


@pytest.mark.filterwarnings("ignore:.*(is NOT applied|left out|ADD_SHARE).*:UserWarning")
@pytest.mark.parametrize("token", ["specific", "shared"])
def test_a_second_token_passes_on_what_it_read(tmp_path, token) -> None:
    state = demo_state(width=64, depth=2, n_tokens=6)
    positions = state[f"{BASE}positional_embedding"]
    state[f"{BASE}positional_embedding"] = torch.cat([positions[:1], positions])
    state[f"{BASE}add_image_token"] = torch.randn(64, generator=torch.Generator().manual_seed(4))
    config = mv.read_config(demo_yml(tmp_path, MDREID_ON, size=[48, 32]))
    model = host_model(tmp_path, dataclasses.replace(config, token=token), state)
    found = mv.attribute(model, host_images(), HOST_TARGET, **TOKENS)
    assert found.values.shape == (2, 6)
    np.testing.assert_allclose(found.values, oracle(model, host_images(), HOST_TARGET), rtol=1e-4, atol=1e-5)


def test_the_tower_gives_the_same_tokens_while_its_attention_is_read(model) -> None:
    pixels = model.preprocess(pictures())
    plain, seen = tokens_of_pixels(model, pixels), []
    with opened_attention(model, lambda: seen.append(1)) as weights:
        again = tokens_of_pixels(model, pixels)
    torch.testing.assert_close(again.cls, plain.cls, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(again.patches, plain.patches, atol=1e-5, rtol=1e-5)
    assert len(seen) == len(weights) == DEPTH
    for a in weights:
        torch.testing.assert_close(a.sum(dim=3), torch.ones(a.shape[:3]))


def test_a_caller_s_mode_and_the_precision_of_encode_change_nothing(model) -> None:
    found = mv.attribute(model, pictures(), ALONG, **TOKENS).values
    mixed = dataclasses.replace(model, precision="mixed")
    with torch.inference_mode():
        assert np.array_equal(mv.attribute(mixed, pictures(), ALONG, **TOKENS).values, found)
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(mv.attribute(mixed, pictures(), ALONG, **TOKENS).values, found)


def test_every_device_gives_the_map(model, device) -> None:
    visual = copy.deepcopy(model.clip).to(device)
    there = dataclasses.replace(
        model,
        tower=dataclasses.replace(model.tower, clip=visual),
        addon=copy.deepcopy(model.addon).to(device),
        device=torch.device(device),
    )
    found = mv.attribute(there, pictures(), ALONG, **TOKENS)
    np.testing.assert_allclose(found.values, oracle(model, pictures(), ALONG), rtol=1e-3, atol=1e-4)


def hooked(model: mv.Model) -> list[nn.Module]:
    return [module for module in model.clip.modules() if module._forward_hooks]


def test_no_hook_stays_also_where_the_work_is_stopped(model) -> None:
    mv.attribute(model, pictures(), ALONG, **TOKENS)
    assert hooked(model) == []
    with pytest.raises(StoppedError, match="stopped at 2 of 6 rows"):
        mv.attribute(model, pictures(), ALONG, **TOKENS, stop=lambda: True)
    assert hooked(model) == []


def changed(model: mv.Model, change) -> mv.Model:
    """A copy whose blocks are changed."""
    clip = copy.deepcopy(model.clip)
    change(clip.visual.transformer.resblocks)
    return dataclasses.replace(model, tower=dataclasses.replace(model.tower, clip=clip))


class OtherAttention(nn.Module):
    def forward(self, q, k, v, **_):
        return v, None


class Without(nn.Module):
    """A block that the last patch goes past."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block, self.attn = block, block.attn

    def forward(self, x: torch.Tensor, **_: object) -> torch.Tensor:
        return torch.cat([self.block(x[:, :-1]), x[:, -1:]], dim=1)


def test_attention_that_cannot_be_had_is_refused_in_words(model) -> None:
    other = changed(model, lambda blocks: setattr(blocks[1], "attn", OtherAttention()))
    with pytest.raises(
        OptionError, match=r"reads torch's MultiheadAttention .* with OtherAttention; use a method"
    ):
        mv.attribute(other, pictures(), ALONG, **TOKENS)
    separate = nn.MultiheadAttention(16, 2, batch_first=True, add_zero_attn=True)
    with pytest.raises(OptionError, match="one projection for queries, keys and values"):
        mv.attribute(
            changed(model, lambda blocks: setattr(blocks[0], "attn", separate)), pictures(), ALONG, **TOKENS
        )
    assert hooked(other) == []


def test_tokens_that_are_dropped_between_blocks_are_refused(model) -> None:
    def drop(blocks) -> None:
        blocks[1] = Without(blocks[1])

    with pytest.raises(
        OptionError, match=r"the same 12 patches through all blocks: got blocks of 12, 13 tokens"
    ):
        mv.attribute(changed(model, drop), pictures(), ALONG, **TOKENS)


@pytest.mark.parametrize("first_block", [DEPTH, -2, True, 1.5, "0"])
def test_a_first_block_that_the_tower_lacks_is_refused(model, first_block) -> None:
    with pytest.raises(
        OptionError, match=r"first_block is one of 0\.\.2, the blocks of this tower, or -1 for the last: got"
    ):
        mv.attribute(model, pictures(), ALONG, **TOKENS, first_block=first_block)


def test_a_block_is_refused_and_the_first_one_named_instead(model) -> None:
    with pytest.raises(
        OptionError, match=r"goes through all blocks: got block=1; leave it out, or give first_block="
    ):
        mv.attribute(model, pictures(), ALONG, **TOKENS, block=1)
