"""Grad-CAM, attention rollout and LeGrad, against other implementations and loops; hooks that are always removed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.tiny import DEPTH, GRID, direction, pictures, tiny_model
from torchcam.methods import GradCAM

import mswin_viz as mv
from mswin_viz.analysis.attribution.attention import attention_weights
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.block_outputs import block_outputs, tokens_from
from mswin_viz.model.encoder.hooks import outputs_of

ALONG = mv.Target.direction(direction())
V = torch.from_numpy(direction()).float()


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def states(model: mv.Model) -> list[torch.Tensor]:
    return block_outputs(model, model.preprocess(pictures()))


def hooked(model: mv.Model) -> list[torch.nn.Module]:
    return [m for m in model.clip.modules() if m._forward_hooks or m._forward_pre_hooks or m._backward_hooks]


class FromBlock(torch.nn.Module):
    """The rest of the tower behind a block as a network on feature maps, for another library to explain."""

    def __init__(self, model: mv.Model, block: int, cls: torch.Tensor) -> None:
        super().__init__()
        self.maps, self.model, self.block, self.cls = torch.nn.Identity(), model, block, cls

    def forward(self, channels: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.cls, self.maps(channels).flatten(2).transpose(1, 2)], dim=1)
        enhanced = self.model.enhance(tokens_from(self.model, x, self.block)).cls
        return (enhanced @ V)[:, None]


def test_gradcam_agrees_with_torchcam_s(model, states) -> None:
    found = mv.attribute(model, pictures(), ALONG, method="gradcam", level="tokens", block=1)
    state = states[2]
    network = FromBlock(model, 1, state[:, :1]).eval()
    channels = state[:, 1:].transpose(1, 2).reshape(2, -1, *GRID).clone().requires_grad_()
    with GradCAM(network, target_layer=network.maps) as other:
        scores = network(channels)
        (cams,) = other(0, scores, normalized=False)
    np.testing.assert_allclose(np.maximum(found.values, 0), cams.flatten(1).numpy(), rtol=1e-4, atol=1e-5)
    assert (found.values > 0).any()


def test_attention_weights_are_those_torch_gives_when_asked(model, states) -> None:
    for block, x in zip(model.clip.visual.transformer.resblocks, states, strict=False):
        normed = block.ln_1(x)
        _, expected = block.attn(normed, normed, normed, need_weights=True, average_attn_weights=False)
        torch.testing.assert_close(attention_weights(block, x), expected, atol=1e-6, rtol=1e-5)


def test_rollout_is_the_plain_product_and_with_the_cls_adds_up_to_one(model, states) -> None:
    found = mv.attribute(model, pictures(), ALONG, method="attention_rollout", level="tokens").values
    for image in range(2):
        product = np.eye(13)
        for block, x in zip(model.clip.visual.transformer.resblocks, states, strict=False):
            normed = block.ln_1(x[image : image + 1])
            weights = block.attn(normed, normed, normed, need_weights=True)[1][0].detach().numpy()
            product = (0.5 * weights + 0.5 * np.eye(13)) @ product
        np.testing.assert_allclose(found[image], product[0, 1:], atol=1e-6)
        assert found[image].sum() + product[0, 0] == pytest.approx(1, abs=1e-6)


def test_rollout_knows_of_no_target_and_says_so(model) -> None:
    other = mv.Target.direction(-direction())
    maps = [
        mv.attribute(model, pictures(), t, method="attention_rollout", level="tokens") for t in (ALONG, other)
    ]
    assert np.array_equal(maps[0].values, maps[1].values)
    assert maps[0].parameters["target"].startswith("none")


def test_legrad_is_the_mean_positive_slope_of_each_block_s_score_in_its_attention(model, states) -> None:
    """By differences, in the attention of one block at a time, written head by head."""
    found = mv.attribute(model, pictures(), ALONG, method="legrad", level="tokens").values
    image, total = 1, np.zeros(12)
    for block, x in zip(model.clip.visual.transformer.resblocks, states, strict=False):
        x = x[image : image + 1].double()
        total += _positive_slopes(model, block, x)[:, :, 1:].mean(axis=(0, 1))
    np.testing.assert_allclose(found[image], total / DEPTH, rtol=2e-3, atol=1e-5)


def _positive_slopes(model: mv.Model, block: torch.nn.Module, x: torch.Tensor) -> np.ndarray:
    """max(0, ds / dA) by central differences, ``[head, query, key]``; float64."""
    attn, n_tokens = block.attn, x.shape[1]
    p = {name: parameter.detach().double() for name, parameter in block.named_parameters()}

    def normed(z: torch.Tensor, name: str) -> torch.Tensor:
        return torch.nn.functional.layer_norm(z, z.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    q, k, v = (normed(x, "ln_1")[0] @ p["attn.in_proj_weight"].T + p["attn.in_proj_bias"]).chunk(3, dim=1)
    width = attn.head_dim
    heads = [slice(h * width, (h + 1) * width) for h in range(attn.num_heads)]
    weights = torch.stack([(q[:, h] @ k[:, h].T / width**0.5).softmax(dim=1) for h in heads])

    def score(a: torch.Tensor) -> float:
        mixed = torch.cat([a[i] @ v[:, h] for i, h in enumerate(heads)], dim=1)
        z = x[0] + mixed @ p["attn.out_proj.weight"].T + p["attn.out_proj.bias"]
        hidden = normed(z, "ln_2") @ p["mlp.c_fc.weight"].T + p["mlp.c_fc.bias"]
        z = z + torch.nn.functional.gelu(hidden) @ p["mlp.c_proj.weight"].T + p["mlp.c_proj.bias"]
        visual = model.clip.visual
        z = torch.nn.functional.layer_norm(
            z, z.shape[-1:], visual.ln_post.weight.double(), visual.ln_post.bias.double()
        )
        z = z @ visual.proj.double()
        windows = {key: value.double() for key, value in model.addon.state_dict().items()}
        shift = torch.func.functional_call(model.addon, windows, (z[None, 1:],))[0]
        return float((z[0] + shift) @ V.double())

    slopes, step = np.zeros((len(heads), n_tokens, n_tokens)), 1e-5
    with torch.no_grad():
        for place in np.ndindex(slopes.shape):
            up, down = weights.clone(), weights.clone()
            up[place] += step
            down[place] -= step
            slopes[place] = (score(up) - score(down)) / (2 * step)
    return np.maximum(slopes, 0)


def test_stages_are_what_each_block_puts_out_and_lead_to_the_encoder_s_tokens(model, states) -> None:
    tokens = model.encode(pictures())
    assert len(states) == DEPTH + 1
    for block in range(DEPTH):
        with torch.no_grad():
            onwards = tokens_from(model, states[block + 1], block)
        torch.testing.assert_close(onwards.cls, tokens.cls, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(onwards.patches, tokens.patches, atol=1e-5, rtol=1e-4)
    with pytest.raises(OptionError, match=r"one of 0\.\.2: got 3"):
        tokens_from(model, states[0], 3)


def test_another_kind_of_attention_is_refused_by_name() -> None:
    with pytest.raises(OptionError, match="ResidualAttentionBlock: got a Linear"):
        attention_weights(torch.nn.Linear(2, 2), torch.zeros(1, 2, 2))


def test_no_attribution_leaves_a_hook_behind(model) -> None:
    for method in ("integrated_gradients", "legrad", "attention_rollout", "gradcam"):
        level, block = ("pixels", {}) if method == "integrated_gradients" else ("tokens", {})
        mv.attribute(model, pictures(), ALONG, method=method, level=level, n_steps=2, **block)
    assert hooked(model) == []


def test_hooks_are_removed_also_when_the_work_inside_fails(model) -> None:
    visual = model.clip.visual
    seen: list[int] = []

    def fail(_module: torch.nn.Module, _inputs: tuple) -> None:
        seen.append(len(hooked(model)))
        raise ZeroDivisionError

    breaks = visual.ln_post.register_forward_pre_hook(fail)
    with pytest.raises(ZeroDivisionError):
        block_outputs(model, model.preprocess(pictures()))
    breaks.remove()
    assert seen == [DEPTH + 2]  # ln_pre, the blocks, and the one that fails
    assert hooked(model) == []


def test_hooks_are_removed_also_when_one_of_them_cannot_be_set(model) -> None:
    with pytest.raises(AttributeError), outputs_of(model.clip.visual.ln_pre, None):
        pass
    assert hooked(model) == []


@pytest.mark.parametrize("method", ["legrad", "attention_rollout"])
def test_a_map_through_all_blocks_takes_no_block(model, method) -> None:
    with pytest.raises(OptionError, match=rf"{method} goes through all blocks: got block=1; leave it out"):
        mv.attribute(model, pictures(), ALONG, method=method, level="tokens", block=1)
