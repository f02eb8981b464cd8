"""Whole host checkpoints: every variant loads by its configuration, every key is accounted for, every doubt is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from support.host_files import (
    BASE,
    BOTTLENECKS,
    DIM,
    MIXTURE,
    MIXTURE_ON,
    WINDOWS,
    WINDOWS_ON,
    mixture_state,
    other_heads,
    tower_state,
    window_state,
    yml,
)

import mswin_viz as mv
from mswin_viz.errors import OptionError, WeightsError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.host.tower import HostTower
from mswin_viz.model.training.untrained import untrained
from mswin_viz.model.weights.addon_files import save_addon
from mswin_viz.model.weights.checkpoints import addon_in

MAMBA = "ignore:.*Mamba aggregation:UserWarning"
LEFT_OUT = "ignore:.*off in the configuration, so it is left out:UserWarning"
PROMPTS = ("adapter_prompt_rgb", "adapter_prompt_nir", "adapter_prompt_tir")


@pytest.fixture(scope="module")
def tower() -> dict[str, torch.Tensor]:
    return tower_state(width=64, depth=2)


@pytest.fixture(scope="module")
def whole(tower) -> dict[str, torch.Tensor]:
    """Everything the fork saves when both flags are on."""
    return tower | other_heads() | window_state() | mixture_state()


@pytest.fixture
def people() -> list[np.ndarray]:
    return [np.random.default_rng(2).integers(0, 256, (256, 128, 3), dtype=np.uint8)]


@pytest.fixture
def load(tmp_path, saved):
    """A model from tensors and changes to the configuration."""

    def loading(state: dict, addon: str | None = "default", **changes) -> mv.Model:
        return mv.load_host_model(yml(tmp_path, **changes), saved(state), addon=addon, device="cpu")

    return loading


def untouched(tower: dict) -> dict[str, torch.Tensor]:
    """The same tower with prompts and adapters as they are before training: zero prompts, zero biases."""
    initial = (*PROMPTS, "adapter_ffn.0.bias", "adapter_ffn.2.bias")
    return {key: torch.zeros_like(v) if key.endswith(initial) else v for key, v in tower.items()}


# ---- variants ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings(MAMBA)
@pytest.mark.parametrize("parallel", ["", "module."])
def test_the_mixture_of_a_whole_checkpoint_runs_with_its_temperature(load, whole, people, parallel):
    model = load({parallel + key: value for key, value in whole.items()}, more=MIXTURE_ON)
    assert isinstance(model.addon, MixtureOfExpertsAddon)
    assert model.addon.temperature == 0.7
    tokens = model.encode(people, camera=1, modality="TI")
    alone = load_addon_of(whole, MIXTURE, temperature=0.7)
    torch.testing.assert_close(model.enhance(tokens).cls, tokens.cls + alone(tokens.patches))
    assert "mixture of experts, scales 4/8/16, temperature 0.7, from the same file" in model.provenance


def load_addon_of(state: dict, prefix: str, **settings) -> torch.nn.Module:
    return addon_in({key: v for key, v in state.items() if key.startswith(prefix)}, "here", **settings)


@pytest.mark.filterwarnings(MAMBA)
@pytest.mark.parametrize("parallel", ["", "module."])
@pytest.mark.parametrize("last", [2, 3])
def test_the_windows_of_a_whole_checkpoint_run(load, tower, people, parallel, last):
    state = tower | other_heads() | window_state(last=last)
    model = load({parallel + key: value for key, value in state.items()}, more=WINDOWS_ON)
    assert isinstance(model.addon, CLIPMultiScaleFeatureExtractor)
    tokens = model.encode(people, camera=1, modality="TI")
    plain = {
        key.removeprefix(f"{WINDOWS}multi_scale_window."): v for key, v in state.items() if WINDOWS in key
    }
    x = tokens.patches.transpose(1, 2)
    pooled = [
        torch.nn.functional.conv1d(
            x, plain[f"sliding_windows.{i}.weight"], plain[f"sliding_windows.{i}.bias"], stride=s
        ).mean(dim=2)
        for i, s in enumerate((4, 8, 16))
    ]
    hidden = torch.relu(torch.cat(pooled, dim=1) @ plain["fusion.0.weight"].T + plain["fusion.0.bias"])
    shift = hidden @ plain[f"fusion.{last}.weight"].T + plain[f"fusion.{last}.bias"]
    torch.testing.assert_close(model.enhance(tokens).cls, tokens.cls + shift, rtol=1e-4, atol=1e-5)
    assert all(key in model.load_report.used for key in state if key.startswith(WINDOWS))


@pytest.mark.filterwarnings(MAMBA, LEFT_OUT)
@pytest.mark.parametrize("more", ["", "  USE_MULTI_SCALE_MOE: True\n"])
def test_flags_that_run_nothing_in_the_host_run_nothing_here(load, whole, people, more):
    model = load(whole, more=more)
    tokens = model.encode(people, camera=0, modality="RGB")
    assert torch.equal(model.enhance(tokens).cls, tokens.cls)
    assert "no add-on comes with these weights" in model.provenance_items["add-on"]


@pytest.mark.filterwarnings(MAMBA)
def test_an_add_on_left_out_by_the_configuration_is_said(load, whole):
    with pytest.warns(
        UserWarning, match="USE_CLIP_MULTI_SCALE is off in the configuration, so it is left out"
    ):
        load(whole)


@pytest.mark.filterwarnings(MAMBA)
def test_another_add_on_may_be_put_behind_a_host_tower(load, whole, saved, tmp_path, people):
    own = CLIPMultiScaleFeatureExtractor(DIM, (5,)).eval()
    save_addon(own, tmp_path / "own.safetensors")
    model = load(whole, addon=tmp_path / "own.safetensors", more=MIXTURE_ON)
    assert model.addon.scales == (5,)
    assert "mixture of experts: not in use" in model.load_report.reasons
    assert load(whole, addon=None, more=MIXTURE_ON).addon is None


# ---- the report -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings(MAMBA, LEFT_OUT)
@pytest.mark.parametrize(
    "changes",
    [
        {"more": MIXTURE_ON},
        {"more": MIXTURE_ON, "neck": "after"},
        {"sie": False, "prompt": False},
        {"adapter": False},
        {"sie": False, "prompt": False, "adapter": False},
    ],
)
def test_every_key_is_used_or_unused_with_a_reason(load, whole, changes):
    report = load(whole, **changes).load_report
    assert sorted([*report.used, *report.unused]) == sorted(whole)
    assert all(report.unused.values())
    assert all(not key.startswith(("BACKBONE.", "AAM.", "visual.")) for key in report.missing)
    assert "token_embedding.weight" in report.missing


@pytest.mark.filterwarnings(MAMBA)
def test_reasons_are_the_right_ones(load, whole):
    reasons = load(whole, more=MIXTURE_ON).load_report.unused
    expected = {
        "AAM.mamba.layers.0.mixer.D": "Mamba head: not run here, since it needs CUDA-only code",
        "BACKBONE.classifier.weight": "classifier of training identities",
        "classifier_fuse.weight": "classifier of training identities",
        "bottleneck_fuse.weight": "BatchNorm neck of the outer model: training only",
        "BACKBONE.bottleneck.weight": "BatchNorm neck: NECK_FEAT is before",
        f"{MIXTURE}multi_scale_extractor.fusion.3.bias": "stored by the mixture but never read",
        f"{WINDOWS}multi_scale_window.fusion.0.weight": "multi-scale windows: not in use",
        f"{BASE}transformer.resblocks.0.adapter_transfer.0.weight": "prompts: the first block has no incoming prompts to transfer",
    }
    assert {key: reasons[key] for key in expected} == expected
    assert f"{BASE}transformer.resblocks.1.adapter_transfer.0.weight" not in reasons


@pytest.mark.filterwarnings(MAMBA, LEFT_OUT)
def test_parts_that_are_off_are_unused_for_that_reason(load, whole):
    reasons = load(whole, sie=False, prompt=False, adapter=False).load_report.unused
    assert "SIE_CAMERA is off in the configuration" in reasons["BACKBONE.cv_embed"]
    block = f"{BASE}transformer.resblocks.1."
    assert "ADAPTER is off in the configuration" in reasons[f"{block}adapter_ffn.0.weight"]
    for name in (*PROMPTS, *(f"{name}.3.bias" for name in BOTTLENECKS)):
        assert "PROMPT is off in the configuration" in reasons[f"{block}{name}"]


@pytest.mark.filterwarnings(MAMBA)
def test_it_prints_every_key_and_its_summary_is_in_the_provenance(load, whole):
    model = load(whole, more=MIXTURE_ON)
    printed = str(model.load_report)
    assert all(key in printed for key in whole)
    assert "2 Mamba head, " in model.load_report.summary
    assert "NOT applied, since it needs CUDA-only code" in model.provenance
    assert model.load_report.summary in model.provenance
    assert "MambaPro.yml" in model.provenance_items["configuration"]
    assert "camera embedding of 4 cameras, factor 1" in model.provenance_items["host parts"]


def test_files_of_plain_clip_have_a_report_too(openai_file, clip):
    report = mv.load_model(openai_file, device="cpu").load_report
    assert set(report.unused) == {"input_resolution", "context_length", "vocab_size", "attn_mask"} & {
        *report.unused
    }
    assert set(report.used) >= {key for key, _ in clip.named_parameters()}
    assert report.missing == ()
    assert mv.load_model(device="cpu").load_report is None


# ---- Mamba ---------------------------------------------------------------------------------------


def test_mamba_keys_are_reported_and_the_rest_is_loaded(load, tower, people):
    with pytest.warns(UserWarning, match=r"Mamba aggregation \(AAM.*NOT applied.*CUDA-only"):
        model = load(tower | other_heads())
    assert model.encode(people, camera=0, modality="NI").cls.shape == (1, DIM)


def test_mamba_keys_that_the_configuration_has_off_are_only_listed(tmp_path, saved, tower):
    path = yml(tmp_path)
    path.write_text(path.read_text().replace("MAMBA: True", "MAMBA: False"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = mv.load_host_model(path, saved(tower | other_heads()), device="cpu")
    assert "Mamba head: MAMBA is off in the configuration" in model.load_report.reasons


# ---- without a configuration ------------------------------------------------------------------------


@pytest.mark.parametrize(("kept", "named"), [(PROMPTS, "PROMPT"), (("adapter_ffn.2.bias",), "ADAPTER")])
def test_trained_prompts_or_adapters_are_refused_without_a_configuration(saved, tower, kept, named):
    state = untouched(tower) | {key: value for key, value in tower.items() if key.endswith(kept)}
    with pytest.raises(WeightsError, match=rf"whether {named} was on.*config=.*HostConfig\(prompt=True"):
        mv.load_model(saved(state), device="cpu")


def test_flags_given_in_python_open_the_same_model(saved, load, tower, people):
    flags = mv.HostConfig(prompt=True, adapter=True, sie_camera=True, sie_coe=1.0)
    a = mv.load_model(saved(tower), config=flags, device="cpu").encode(people, camera=2, modality="TI")
    b = load(tower).encode(people, camera=2, modality="TI")
    assert torch.equal(a.cls, b.cls)


@pytest.mark.filterwarnings(LEFT_OUT)
def test_flags_that_say_no_open_the_bare_tower(saved, tower, people):
    flags = mv.HostConfig(prompt=False, adapter=False, sie_camera=False)
    model = mv.load_model(saved(tower), config=flags, device="cpu")
    assert not isinstance(model.clip.visual, HostTower)
    assert model.encode(people).cls.shape == (1, DIM)


@pytest.mark.filterwarnings(LEFT_OUT)
def test_untrained_prompts_and_adapters_are_taken_as_off_and_said(saved, tower, people):
    state = {key: v for key, v in untouched(tower).items() if key != "BACKBONE.cv_embed"}
    with pytest.warns(UserWarning, match=r"all zero, so both are taken as off.*config="):
        model = mv.load_model(saved(state), device="cpu")
    flags = mv.HostConfig(prompt=False, adapter=False, sie_camera=False)
    bare = mv.load_model(saved(tower), config=flags, device="cpu")
    assert torch.equal(model.encode(people).cls, bare.encode(people).cls)
    assert "taken as off" in model.load_report.unused[f"{BASE}transformer.resblocks.0.adapter_ffn.0.weight"]


def test_a_mixture_without_a_configuration_runs_at_temperature_one_and_says_so(saved, tower):
    state = {key: v for key, v in tower.items() if ".adapter_" not in key and "cv_embed" not in key}
    with pytest.warns(UserWarning, match=r"MOE_TEMPERATURE is in no checkpoint: 1 is assumed"):
        model = mv.load_model(saved(state | mixture_state() | window_state()), device="cpu")
    assert isinstance(model.addon, MixtureOfExpertsAddon)
    assert set(mixture_state()) - {k for k in mixture_state() if "extractor.fusion" in k} <= {
        *model.load_report.used
    }


# ---- keys of later versions of the mixture -------------------------------------------------------------

ROUTED = MIXTURE_ON + "  MOE_USE_TOP_K_ROUTING: True\n"


@pytest.mark.filterwarnings(MAMBA)
@pytest.mark.parametrize(
    ("more", "k", "mode"),
    [("", 2, "soft"), ("  MOE_TOP_K: 1\n", 1, "soft"), ("  MOE_TOP_K_MODE: hard\n", 2, "hard")],
)
def test_top_k_routing_that_is_on_is_applied(load, whole, people, more, k, mode):
    model = load(whole, more=ROUTED + more)
    tokens = model.encode(people, camera=1, modality="TI")
    dense = load_addon_of(whole, MIXTURE, temperature=0.7)
    weights = dense.gate(tokens.patches)[0]
    kept = torch.where(weights >= weights.sort().values[-k], weights, 0)
    expected = kept / kept.sum() if mode == "soft" else kept
    torch.testing.assert_close(model.addon.gate(tokens.patches)[0], expected)
    assert not torch.allclose(model.enhance(tokens).cls, tokens.cls + dense(tokens.patches))
    assert f"top {k} ({mode})" in model.provenance
    assert model.tower.config.unknown == ()


@pytest.mark.filterwarnings(MAMBA)
def test_more_experts_than_there_are_cannot_be_kept(load, whole):
    with pytest.raises(WeightsError, match=r"MOE_TOP_K is at most the number of experts, 3 .* has 4"):
        load(whole, more=ROUTED + "  MOE_TOP_K: 4\n")


@pytest.mark.filterwarnings(MAMBA)
def test_fixed_weights_of_the_configuration_stand_in_for_the_gate(load, whole, people):
    state = {key: value for key, value in whole.items() if ".gating_network." not in key}
    fixed = "  MOE_USE_FIXED_WEIGHTS: True\n  MOE_FIXED_WEIGHTS: [1, 1, 2]\n  MOE_GATE_LAYERS: 2\n"
    model = load(state, more=MIXTURE_ON + fixed)
    tokens = model.encode(people, camera=1, modality="TI")
    torch.testing.assert_close(model.addon.gate(tokens.patches)[0], torch.tensor([0.25, 0.25, 0.5]))
    with pytest.raises(WeightsError, match=r"MOE_USE_FIXED_WEIGHTS.*give the run's configuration"):
        load(state, more=MIXTURE_ON)
    with pytest.raises(WeightsError, match="one weight for each expert: got 2 for the 3"):
        load(state, more=MIXTURE_ON + fixed.replace("[1, 1, 2]", "[1, 1]"))


@pytest.mark.filterwarnings(MAMBA)
@pytest.mark.parametrize("key", ["USE_GATE_FUSION", "USE_ATTENTION_FUSION"])
def test_modules_in_front_of_the_experts_are_refused_by_name(load, whole, key):
    with pytest.raises(WeightsError, match=rf"MODEL\.{key} puts a module in front of the experts"):
        load(whole, more=MIXTURE_ON + f"  {key}: True\n")
    assert load(whole, addon=None, more=MIXTURE_ON + f"  {key}: True\n").addon is None


def test_keys_that_are_not_read_are_said_without_a_claim_about_their_effect(load, tower):
    with pytest.warns(
        UserWarning, match=r"not read here: MODEL\.MOE_SHARPEN; where one of them changes features"
    ):
        model = load(tower, more="  MOE_SHARPEN: True\n")
    assert "no effect" not in model.provenance
    assert "not read here: MODEL.MOE_SHARPEN" in model.provenance


def test_a_repeated_key_that_acts_is_said_with_both_values(load, tower):
    with pytest.warns(
        UserWarning, match=r"MODEL\.SIE_COE of MambaPro\.yml is given more than once \(1\.0, then 2\.5\)"
    ):
        model = load(tower, more="  SIE_COE: 2.5\n")
    assert model.clip.visual.parts.sie_coe == 2.5


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "key"),
    [
        (WINDOWS_ON, f"{WINDOWS}multi_scale_window.sliding_windows.0.weight"),
        (MIXTURE_ON, f"{MIXTURE}multi_scale_extractor.sliding_windows.0.weight"),
    ],
)
def test_a_baseline_for_a_multi_scale_configuration_names_the_missing_keys(load, tower, more, key):
    with pytest.raises(WeightsError, match=f"baseline without it, missing {key}"):
        load(tower, more=more)
    assert load(tower, addon="mean", more=more).addon.scales == (4, 8, 16)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (MIXTURE_ON + "  MOE_SCALES: [4, 16]\n", r"MOE_SCALES \(4, 16\) against"),
        (MIXTURE_ON + "  MOE_EXPERT_HIDDEN_DIM: 1024\n", "MOE_EXPERT_HIDDEN_DIM 1024 against 40"),
        (MIXTURE_ON + "  MOE_EXPERT_LAYERS: 3\n", "MOE_EXPERT_LAYERS 3 against 2"),
        (MIXTURE_ON + "  MOE_GATE_LAYERS: 1\n", "MOE_GATE_LAYERS 1 against 2"),
    ],
)
@pytest.mark.filterwarnings(MAMBA)
def test_a_configuration_of_another_run_is_refused(load, whole, more, said):
    with pytest.raises(WeightsError, match=rf"{said}.*If they are .*take them out of a copy"):
        load(whole, more=more)


@pytest.mark.filterwarnings(MAMBA)
def test_a_configuration_of_other_windows_is_refused(load, tower):
    more = WINDOWS_ON + "  CLIP_MULTI_SCALE_SCALES: [4, 8]\n"
    with pytest.raises(WeightsError, match=r"CLIP_MULTI_SCALE_SCALES \(4, 8\) against \(4, 8, 16\)"):
        load(tower | other_heads() | window_state(), more=more)


def test_positions_of_another_grid_are_refused(load, tower):
    with pytest.raises(WeightsError, match=r"positional_embedding is \(129, 64\), not \(211, 64\)"):
        load(tower, stride=[12, 12])


def test_a_camera_embedding_that_is_on_must_be_in_the_file(load, tower):
    state = {key: value for key, value in tower.items() if key != "BACKBONE.cv_embed"}
    with pytest.raises(WeightsError, match=r"SIE_CAMERA is on.*BACKBONE\.cv_embed.*has none"):
        load(state)
    with pytest.raises(WeightsError, match=r"one of shape \(3,\)"):
        load(state | {"BACKBONE.cv_embed": torch.zeros(3)})
    with pytest.raises(WeightsError, match=r"BACKBONE\.cv_embed is \(4, 3\), not \(4, 64\)"):
        load(state | {"BACKBONE.cv_embed": torch.zeros(4, 3)})


def test_a_neck_that_is_used_must_be_in_the_file(load, tower):
    state = {key: value for key, value in tower.items() if key != "BACKBONE.bottleneck.running_var"}
    with pytest.raises(WeightsError, match=r"NECK_FEAT is after.*missing BACKBONE\.bottleneck\.running_var"):
        load(state, neck="after")
    with pytest.raises(WeightsError, match="variance must be at least 0"):
        load(tower | {"BACKBONE.bottleneck.running_var": -torch.ones(DIM)}, neck="after")


def test_a_strange_key_in_the_tower_is_refused_and_elsewhere_said(load, tower):
    with pytest.raises(WeightsError, match=r"unexpected BACKBONE\.base\.conv2\.weight"):
        load(tower | {f"{BASE}conv2.weight": torch.zeros(3)})
    with pytest.warns(
        UserWarning, match=r"1 key belongs to no published model and is not used: BACKBONE\.extra"
    ):
        report = load(tower | {"BACKBONE.extra": torch.zeros(3)}).load_report
    assert report.unused["BACKBONE.extra"] == "not a key of the published model"


def test_an_add_on_alone_is_no_host_model(load):
    with pytest.raises(WeightsError, match=r"keys BACKBONE\.base\.\*"):
        load(window_state())


def test_a_configuration_beside_anything_else_is_refused(tmp_path, openai_file):
    for name in (openai_file, "embedded", "ViT-B-16/openai", tmp_path / "nowhere.pth"):
        with pytest.raises(OptionError, match=r"belongs to a host-model checkpoint"):
            mv.load_host_model(yml(tmp_path), name, device="cpu")


@pytest.mark.parametrize("option", [{"image_size": (256, 128)}, {"arch": "ViT-B-16"}])
def test_options_that_the_configuration_decides_are_refused_beside_it(tmp_path, saved, tower, option):
    with pytest.raises(OptionError, match="leave them out"):
        mv.load_model(saved(tower), config=yml(tmp_path), device="cpu", **option)


def test_a_key_with_and_without_module_is_refused(saved):
    with pytest.raises(WeightsError, match="has both of a"):
        mv.load_model(saved({"a": torch.zeros(1), "module.a": torch.ones(1)}), device="cpu")


def test_tensors_that_are_not_dense_are_refused(saved):
    with pytest.raises(WeightsError, match=r"dense tensors.*a is sparse"):
        mv.load_model(saved({"a": torch.eye(3).to_sparse(), "b": torch.zeros(1)}), device="cpu")


# ---- the rest of the package ------------------------------------------------------------------------


def test_loading_leaves_the_global_random_state_alone(load, tower):
    before = torch.get_rng_state()
    load(tower)
    assert torch.equal(torch.get_rng_state(), before)


def test_flops_test_is_not_followed_and_said(load, tower):
    with pytest.warns(UserWarning, match="FLOPS_TEST is on"):
        load(tower, more="  FLOPS_TEST: True\n")


def test_an_untrained_copy_keeps_no_trained_part(load, tower, people):
    model = load(tower)
    random = untrained(model)
    own, drawn = (m.clip.visual.state_dict() for m in (model, random))
    for key in (
        "cv_embed",
        "transformer.resblocks.1.adapter_prompt_nir",
        "transformer.resblocks.0.adapter_ffn.0.weight",
    ):
        assert not torch.equal(own[key], drawn[key])
    assert random.encode(people, camera=0, modality="RGB").cls.shape == (1, DIM)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("integrated_gradients", {"n_steps": 4}),
        ("integrated_gradients", {"level": "tokens", "block": 0, "n_steps": 60}),
        ("gradcam", {"level": "tokens", "block": 1}),
        ("shapley", {"level": "windows", "scale": 32, "n_samples": 2}),
        ("occlusion", {"occluder": 64}),
    ],
)
def test_attributions_see_the_camera_and_the_modality(load, tower, people, method, settings):
    model = load(tower | window_state(), more=WINDOWS_ON)
    target = mv.Target.direction(np.random.default_rng(1).normal(size=DIM))
    images = [*people, people[0][:, ::-1].copy()]
    bound = model.bound(tags=[mv.ImageTag("TI", 2), mv.ImageTag("RGB", 4)])
    found = mv.attribute(bound, images, target, method=method, **settings)
    tokens = model.enhance(model.encode(images, camera=[1, 3], modality=["TI", "RGB"]))
    expected = (tokens.cls.double().numpy() * target.vector).sum(axis=1)
    np.testing.assert_allclose(found.score, expected, rtol=1e-4, atol=1e-4)
    if "block" in settings and method == "integrated_gradients":
        np.testing.assert_allclose(
            found.delta, 0, atol=0.05 * np.abs(found.score - found.baseline_score).max()
        )


@pytest.mark.filterwarnings(LEFT_OUT)
def test_attributions_of_overlapping_patches_add_up_too(tmp_path, saved):
    state = tower_state(width=64, depth=1, n_tokens=210)
    model = mv.load_host_model(
        yml(tmp_path, stride=[12, 12], sie=False, prompt=False), saved(state), addon=None, device="cpu"
    )
    image = np.random.default_rng(2).integers(0, 256, (256, 128, 3), dtype=np.uint8)
    target = mv.Target.direction(np.ones(DIM))
    found = mv.attribute(model, [image], target, method="gradient_x_input")
    assert found.on_patches().shape == (1, 210)
    np.testing.assert_allclose(found.on_patches().sum(), found.values.sum())


def test_attention_methods_refuse_blocks_with_prompts_and_run_without(load, tower, people):
    target = mv.Target.direction(np.ones(DIM))
    with pytest.raises(OptionError, match="HostBlock"):
        mv.attribute(
            load(tower).bound(camera=0, modality="NI"), people, target, method="legrad", level="tokens"
        )
    model = load(tower, prompt=False, adapter=False).bound(camera=3)
    for method in ("legrad", "attention_rollout"):
        found = mv.attribute(model, people, target, method=method, level="tokens")
        assert found.values.shape == (1, 128)
        assert found.values.min() >= 0
    found = mv.attribute(model, people, target, level="tokens", block=0, n_steps=8)
    assert found.values.shape == (1, 128)


# ---- what the file shows was on, and the configuration says was off ---------------------------------------


@pytest.mark.filterwarnings(MAMBA)
def test_windows_beside_a_mixture_are_refused_as_untrained(load, whole):
    with pytest.raises(WeightsError, match=r"never trained: USE_MULTI_SCALE_MOE is off in .*has a mixture"):
        load(whole, more=WINDOWS_ON)
    assert load(whole, None, more=WINDOWS_ON).addon is None


@pytest.mark.filterwarnings(MAMBA, LEFT_OUT)
def test_a_camera_table_that_the_configuration_leaves_out_is_a_warning(load, whole):
    with pytest.warns(UserWarning, match=r"holds a camera table; SIE_CAMERA is off in the"):
        load(whole, sie=False)


def test_the_state_dict_of_the_backbone_alone_is_read_as_the_hosts(load, tower, people):
    alone = {
        key.removeprefix("BACKBONE."): value for key, value in tower.items() if key.startswith("BACKBONE.")
    }
    model, whole = load(alone, neck="after"), load(tower, neck="after")
    options = {"camera": 0, "modality": "NI"}
    torch.testing.assert_close(model.encode(people, **options).cls, whole.encode(people, **options).cls)
    assert "BACKBONE alone" in str(model.load_report)
