"""The mixture of experts is held against its equations in plain loops, and read and written whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.host_files import DIM, MIXTURE, mixture_state, window_state
from torch import nn

from mswin_viz.errors import OptionError, WeightsError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon, TopK
from mswin_viz.model.addon.mixture_files import mixture_state as first_version
from mswin_viz.model.weights.addon_files import save_addon
from mswin_viz.model.weights.checkpoints import load_addon

ASSUMED = "ignore:.*temperature:UserWarning"
CASES = {
    "as published": {},
    "two scales": {"scales": (4, 16)},
    "a remainder and a fallback": {"scales": (5, 200)},
    "one layer": {"layers": (1, 1)},
    "three and four layers": {"layers": (3, 4), "hidden": 17},
}


# ---- the equations, float64, one image at a time ---------------------------------------------------


def layer(state: dict, key: str, norm: str, x: list[float]) -> list[float]:
    """gelu(LN(Lin(x)))"""
    u = [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(state[f"{key}.weight"], state[f"{key}.bias"], strict=True)]  # fmt: skip
    mean = sum(u) / len(u)
    length = math.sqrt(sum((v - mean) ** 2 for v in u) / len(u) + 1e-5)
    n = [(v - mean) / length * g + b for v, g, b in zip(u, state[f"{norm}.weight"], state[f"{norm}.bias"], strict=True)]  # fmt: skip
    return [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in n]


def mixture(
    state: dict, tokens: np.ndarray, scales, layers, temperature, given: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The vector added to the CLS, and the gate's weights (or those given), of one image's tokens ``[N, D]``."""
    pooled = []
    for i, scale in enumerate(scales):
        if len(tokens) < scale:
            pooled.append(tokens.mean(axis=0))
            continue
        kernel = state[f"multi_scale_extractor.sliding_windows.{i}.weight"]
        total = np.zeros(len(kernel))
        for w in range(len(tokens) // scale):
            total += state[f"multi_scale_extractor.sliding_windows.{i}.bias"]
            for k in range(scale):
                total += kernel[:, :, k] @ tokens[w * scale + k]
        pooled.append(total / (len(tokens) // scale))
    at, g = "moe_fusion.gating_network.gate.", list(np.concatenate(pooled))
    for j in range(layers[1] - 1):
        g = layer(state, f"{at}{4 * j}", f"{at}{4 * j + 1}", g)
    last = f"{at}{4 * (layers[1] - 1)}"
    logits = (state[f"{last}.weight"] @ np.array(g) + state[f"{last}.bias"]) / temperature
    weights = np.exp(logits) / np.exp(logits).sum() if given is None else given
    mixed = np.zeros(len(pooled[0]))
    for i, f in enumerate(pooled):
        at, h = f"moe_fusion.experts.{i}.expert.", list(f)
        for j in range(layers[0]):
            h = layer(state, f"{at}{4 * j}", f"{at}{4 * j + 1}", h)
        mixed += weights[i] * (np.array(h) + f)
    last = "moe_fusion.final_fusion."
    return np.array(layer(state, f"{last}0", f"{last}1", list(mixed))), weights


@pytest.fixture
def patches() -> torch.Tensor:
    return torch.randn(2, 128, DIM, generator=torch.Generator().manual_seed(8))


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("case", CASES)
def test_output_and_gate_follow_the_equations(saved, patches, case, temperature):
    given = {"scales": (4, 8, 16), "layers": (2, 2)} | CASES[case]
    state = mixture_state(**CASES[case])
    addon = load_addon(saved(state), temperature=temperature)
    own = {key.removeprefix(MIXTURE): value.double().numpy() for key, value in state.items()}
    with torch.no_grad():
        found, gate = addon(patches), addon.gate(patches)
    for i, tokens in enumerate(patches.double().numpy()):
        expected, weights = mixture(own, tokens, given["scales"], given["layers"], temperature)
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=2e-5)
        np.testing.assert_allclose(gate[i], weights, rtol=1e-4, atol=1e-6)


def test_the_stored_fusion_of_the_extractor_is_never_read(saved, patches):
    state = mixture_state()
    changed = {k: v * 3 if ".fusion." in k.replace("moe_fusion", "") else v for k, v in state.items()}
    a, b = (load_addon(saved(s), temperature=1.0) for s in (state, changed))
    assert torch.equal(a(patches), b(patches))


def test_a_colder_gate_is_more_decided(saved, patches):
    path = saved(mixture_state())
    warm, cold = (load_addon(path, temperature=t).gate(patches).max(dim=1).values for t in (2.0, 0.2))
    assert (cold > warm).all()


# ---- routing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "mode", "expected"),
    [
        (1, "soft", [0.0, 0.0, 1.0]),
        (2, "soft", [0.3 / 0.8, 0.0, 0.5 / 0.8]),
        (3, "soft", [0.3, 0.2, 0.5]),
        (1, "hard", [0.0, 0.0, 0.5]),
        (2, "hard", [0.3, 0.0, 0.5]),
    ],
)
def test_only_the_largest_weights_count(k, mode, expected):
    found = TopK(k, mode)(torch.tensor([[0.3, 0.2, 0.5], [0.2, 0.5, 0.3]], dtype=torch.float64))
    np.testing.assert_allclose(found[0], expected, atol=1e-12)
    np.testing.assert_allclose(found[1], np.array(expected)[[1, 2, 0]], atol=1e-12)


@pytest.mark.parametrize(("k", "mode"), [(1, "soft"), (2, "soft"), (2, "hard")])
def test_a_routed_mixture_follows_the_equations(saved, patches, k, mode):
    state = mixture_state()
    addon = load_addon(saved(state), temperature=0.7)
    addon.top_k = TopK(k, mode)
    own = {key.removeprefix(MIXTURE): value.double().numpy() for key, value in state.items()}
    for i, tokens in enumerate(patches.double().numpy()):
        _, weights = mixture(own, tokens, (4, 8, 16), (2, 2), 0.7)
        kept = np.where(weights >= np.sort(weights)[-k], weights, 0)
        kept = kept / kept.sum() if mode == "soft" else kept
        np.testing.assert_allclose(addon.gate(patches)[i].detach(), kept, rtol=1e-4, atol=1e-6)
        expected, _ = mixture(own, tokens, (4, 8, 16), (2, 2), 0.7, kept)
        np.testing.assert_allclose(addon(patches)[i].detach(), expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("wrong", [(0, "soft"), (2, "firm")])
def test_routing_that_is_none_is_refused(wrong):
    with pytest.raises(OptionError, match="top-k routing keeps at least one expert"):
        TopK(*wrong)


def test_routing_is_not_lost_in_a_file_but_refused(saved, tmp_path):
    addon = load_addon(saved(mixture_state()), temperature=1.0)
    addon.top_k = TopK(2)
    with pytest.raises(OptionError, match=r"top-k routing .* set its top_k to None"):
        save_addon(addon, tmp_path / "routed.pth")


# ---- later versions of the published mixture -------------------------------------------------------------


def below(state: dict) -> dict:
    return {key.removeprefix(MIXTURE): value for key, value in state.items()}


@pytest.mark.parametrize("fixed", [(0.2, 0.3, 0.5), (1.0, 0.0, 3.0)])
def test_fixed_weights_are_a_gate_that_answers_with_them(saved, patches, fixed):
    state = {key: value for key, value in below(mixture_state()).items() if ".gating_network." not in key}
    addon = load_addon(saved(first_version(state, "here", fixed=fixed)), temperature=1.0)
    expected = np.array(fixed) / sum(fixed)
    np.testing.assert_allclose(addon.gate(patches).detach(), np.tile(expected, (2, 1)), rtol=1e-5, atol=1e-8)


def test_a_gate_layer_stored_twice_is_read_once(saved, patches):
    state = mixture_state()
    at = f"{MIXTURE}moe_fusion.gating_network."
    twice = {f"{at}gate_output.{name}": state[f"{at}gate.4.{name}"] for name in ("weight", "bias")}
    a, b = (load_addon(saved(s), temperature=1.0) for s in (state, state | twice))
    assert torch.equal(a(patches), b(patches))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda s: {k: v for k, v in s.items() if ".gating_network." not in k},
            "has none; a run with fixed weights .MOE_USE_FIXED_WEIGHTS. stores neither gate nor weights",
        ),
        (
            lambda s: s | {"moe_fusion.gate_fusion.gate_network.0.weight": torch.zeros(3, 3)},
            "a gate in front of the experts .USE_GATE_FUSION.*not read here",
        ),
        (
            lambda s: s | {"moe_fusion.attention_fusion.multihead_attn.in_proj_bias": torch.zeros(3)},
            "attention between the scales .*USE_ATTENTION_FUSION.*not read here",
        ),
        (
            lambda s: {k.replace("expert.4.", "expert.3."): v for k, v in s.items() if ".expert.1." not in k},
            r"experts without LayerNorms \(moe_fusion\.experts\.0\.expert\.3\.weight and no expert\.1\)",
        ),
    ],
)
def test_mixtures_of_later_versions_are_refused_by_what_they_have(saved, change, said):
    for prefix in ("", MIXTURE):
        state = {prefix + key: value for key, value in change(below(mixture_state())).items()}
        with pytest.raises(WeightsError, match=said):
            load_addon(saved(state), temperature=1.0)


# ---- files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.filterwarnings(ASSUMED)
def test_it_is_found_in_a_whole_checkpoint_before_the_windows_beside_it(saved, prefix):
    state = mixture_state(layers=(3, 1), hidden=11) | window_state()
    addon = load_addon(saved({prefix + key: value for key, value in state.items()}))
    assert isinstance(addon, MixtureOfExpertsAddon)
    assert not addon.training
    assert addon.scales == (4, 8, 16)
    own = addon.state_dict()
    assert all(
        torch.equal(own[k.removeprefix(MIXTURE)], v) for k, v in state.items() if k.startswith(MIXTURE)
    )


def test_without_a_temperature_one_is_assumed_and_said(saved):
    with pytest.warns(UserWarning, match="temperature: 1 is assumed"):
        assert load_addon(saved(mixture_state())).temperature == 1


@pytest.mark.parametrize("name", ["mixture.safetensors", "mixture.pth"])
def test_it_is_read_back_with_its_temperature_in_the_gates_last_layer(saved, tmp_path, patches, name):
    addon = load_addon(saved(mixture_state()), temperature=0.7)
    save_addon(addon, tmp_path / name)
    again = load_addon(tmp_path / name)
    assert again.temperature == 1
    torch.testing.assert_close(again.gate(patches), addon.gate(patches), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(again(patches), addon(patches), rtol=1e-5, atol=1e-5)
    assert addon.temperature == 0.7


class Literal(nn.Module):
    """The module as published, written from its key table: Conv1d, mean, Linear, LayerNorm, GELU, softmax."""

    def __init__(self, dim: int, scales: tuple[int, ...], hidden: int, temperature: float) -> None:
        super().__init__()
        n = len(scales)
        self.scales, self.temperature = scales, temperature
        self.multi_scale_extractor = nn.Module()
        self.multi_scale_extractor.sliding_windows = nn.ModuleList(nn.Conv1d(dim, dim, s, s) for s in scales)
        self.multi_scale_extractor.fusion = nn.Sequential(
            nn.Linear(dim * n, dim), nn.ReLU(), nn.Dropout(0.1), nn.Linear(dim, dim)
        )
        self.moe_fusion = nn.Module()
        self.moe_fusion.experts = nn.ModuleList(nn.Module() for _ in scales)
        for expert in self.moe_fusion.experts:
            expert.expert = nn.Sequential(
                nn.Linear(dim, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(0.1),
                nn.Linear(hidden, dim), nn.LayerNorm(dim), nn.GELU(), nn.Dropout(0.1),
            )  # fmt: skip
        half = dim * n // 2
        self.moe_fusion.gating_network = nn.Module()
        self.moe_fusion.gating_network.gate = nn.Sequential(
            nn.Linear(dim * n, half), nn.LayerNorm(half), nn.GELU(), nn.Dropout(0.1), nn.Linear(half, n)
        )
        self.moe_fusion.final_fusion = nn.Sequential(
            nn.Linear(dim, dim), nn.LayerNorm(dim), nn.GELU(), nn.Dropout(0.1)
        )

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        x = patches.transpose(1, 2)
        f = [conv(x).mean(dim=2) for conv in self.multi_scale_extractor.sliding_windows]
        a = (self.moe_fusion.gating_network.gate(torch.cat(f, dim=1)) / self.temperature).softmax(dim=1)
        e = [m.expert(v) + v for m, v in zip(self.moe_fusion.experts, f, strict=True)]
        return self.moe_fusion.final_fusion(sum(a[:, i : i + 1] * e[i] for i in range(len(e))))


@pytest.mark.filterwarnings(ASSUMED)
def test_what_we_write_loads_into_the_module_as_published_and_back(saved, tmp_path, patches):
    addon = load_addon(saved(mixture_state()), temperature=0.5)
    save_addon(addon, tmp_path / "ours.pth")
    published = Literal(DIM, (4, 8, 16), 40, 1.0).eval()
    published.load_state_dict(torch.load(tmp_path / "ours.pth", weights_only=True))
    torch.testing.assert_close(published(patches), addon(patches), rtol=1e-4, atol=1e-5)
    back = load_addon(saved({MIXTURE + key: value for key, value in published.state_dict().items()}))
    torch.testing.assert_close(back(patches), addon(patches), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "key",
    [
        "multi_scale_extractor.sliding_windows.1.weight",
        "moe_fusion.experts.2.expert.5.bias",
        "moe_fusion.gating_network.gate.4.weight",
        "moe_fusion.final_fusion.1.weight",
    ],
)
def test_a_missing_or_misshapen_tensor_is_named(saved, key):
    state = mixture_state()
    for broken in (
        {k: v for k, v in state.items() if k != MIXTURE + key},
        state | {MIXTURE + key: state[MIXTURE + key][:-1]},
    ):
        with pytest.raises(WeightsError, match=r"missing|not \(|slots|\[D, D, scale\]"):
            load_addon(saved(broken), temperature=1.0)


def test_a_mixture_without_experts_is_refused(saved):
    state = {k: v for k, v in mixture_state().items() if ".experts." not in k}
    with pytest.raises(WeightsError, match="lacks them"):
        load_addon(saved(state), temperature=1.0)


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0}, {"temperature": math.inf}, {"gate_layers": 0}, {"hidden_dim": 0}]
)
def test_sizes_that_are_none_are_refused(wrong):
    with pytest.raises(OptionError, match="temperature above 0"):
        MixtureOfExpertsAddon(6, (2,), **wrong)
