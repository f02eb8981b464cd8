"""The design's modules: the fast pooled path equals the convolution as written, keys and sizes are the design's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refusals import said_by

from mswin_viz.errors import OptionError, ScaleError, ShapeError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor, CLIPMultiScaleSlidingWindow


def module_and_patches(dim: int = 6, scales: tuple[int, ...] = (2, 3, 5), shape: tuple[int, int] = (3, 17)):
    torch.manual_seed(1)
    return CLIPMultiScaleSlidingWindow(dim, scales), torch.randn(*shape, dim)


def assert_paths_agree(module: CLIPMultiScaleSlidingWindow, patches: torch.Tensor) -> None:
    fast, literal = module(patches), module.forward_literal(patches)
    assert (fast - literal).norm() <= 1e-5 * literal.norm()


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 3), n_tokens=st.integers(1, 40), dim=st.integers(1, 9),
    scales=st.lists(st.integers(1, 20), min_size=1, max_size=4), seed=st.integers(0, 99),
)  # fmt: skip
def test_the_pooled_path_equals_the_convolution_for_any_shape(batch, n_tokens, dim, scales, seed) -> None:
    torch.manual_seed(seed)
    assert_paths_agree(CLIPMultiScaleSlidingWindow(dim, scales), torch.randn(batch, n_tokens, dim))


def test_the_pooled_path_follows_a_loaded_state_dict() -> None:
    module, patches = module_and_patches()
    module(patches)
    module.load_state_dict({key: value * 2 + 1 for key, value in module.state_dict().items()})
    assert_paths_agree(module, patches)


def test_the_pooled_path_follows_an_optimiser_step() -> None:
    module, patches = module_and_patches()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.5)
    module(patches).square().sum().backward()
    optimiser.step()
    assert_paths_agree(module, patches)


def test_the_pooled_path_follows_a_change_of_dtype() -> None:
    module, patches = module_and_patches()
    module(patches)
    assert module.double()(patches.double()).dtype == torch.float64
    assert_paths_agree(module, patches.double())


def test_the_pooled_path_runs_on_every_device(device: torch.device) -> None:
    module, patches = module_and_patches()
    assert_paths_agree(module.to(device), patches.to(device))


def test_both_paths_have_the_same_gradients() -> None:
    module, patches = module_and_patches()
    gradients = []
    for forward in (module.forward, module.forward_literal):
        module.zero_grad()
        tokens = patches.clone().requires_grad_()
        forward(tokens).square().sum().backward()
        gradients.append([tokens.grad, *(p.grad.clone() for p in module.parameters())])
    for fast, literal in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, literal, rtol=1e-4, atol=1e-5)


def test_a_scale_beyond_the_tokens_pools_the_plain_mean() -> None:
    module, patches = module_and_patches(scales=(4, 30))
    torch.testing.assert_close(module.pooled(patches)[1], patches.mean(dim=1))


def test_scheme_1_has_the_design_s_parameter_count() -> None:
    assert sum(p.numel() for p in CLIPMultiScaleSlidingWindow(512, (4, 8, 16)).parameters()) == 8_391_168


def keys(*linears: str, windows: str = "", n: int = 2) -> set[str]:
    stems = [f"{windows}sliding_windows.{i}" for i in range(n)]
    stems += [f"{windows}fusion.{i}" for i in (0, 2)] + list(linears)
    return {f"{stem}.{part}" for stem in stems for part in ("weight", "bias")}


def test_scheme_1_has_the_design_s_keys() -> None:
    assert set(CLIPMultiScaleSlidingWindow(4, (2, 3)).state_dict()) == keys()
    assert set(CLIPMultiScaleFeatureExtractor(4, (2, 3)).state_dict()) == keys(windows="multi_scale_window.")


def test_scheme_2_has_the_design_s_keys() -> None:
    projections = [f"projection.projection.{i}" for i in (0, 1, 3)] + [f"back_projection.{i}" for i in (0, 1)]
    wanted = keys(*projections, windows="multi_scale_extractor.multi_scale_window.")
    assert set(CLIPWithProjectionMultiScale(4, 6, (2, 3)).state_dict()) == wanted


def test_scheme_2_maps_the_clip_width_to_itself() -> None:
    assert CLIPWithProjectionMultiScale(4, 6, (2, 3))(torch.randn(2, 9, 4)).shape == (2, 4)


@pytest.mark.parametrize(("n_tokens", "scales"), [(12, (2, 3)), (13, (2, 3)), (24, (4, 8)), (6, (4, 8))])
def test_scheme_2_with_few_tokens_projected_equals_every_token_projected(n_tokens, scales) -> None:
    torch.manual_seed(2)
    module, patches = CLIPWithProjectionMultiScale(4, 6, scales), torch.randn(3, n_tokens, 4)
    whole = module.back_projection(module.multi_scale_extractor(module.projection(patches)))
    for path in (module, module.forward_literal):
        torch.testing.assert_close(path(patches), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "module",
    [
        CLIPMultiScaleFeatureExtractor(4, (2, 3), init="mean"),
        CLIPWithProjectionMultiScale(4, 6, (2, 3), init="mean"),
    ],
    ids=["scheme 1", "scheme 2"],
)
def test_a_mean_initialised_module_moves_nothing_at_all(module: torch.nn.Module) -> None:
    assert torch.equal(module(torch.randn(2, 9, 4)), torch.zeros(2, 4))


def test_mean_initialised_windows_are_window_means() -> None:
    module, patches = CLIPMultiScaleSlidingWindow(4, (3,), init="mean"), torch.randn(2, 9, 4)
    answers = module.sliding_windows[0](patches.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(answers, patches.reshape(2, 3, 3, 4).mean(dim=2))


@pytest.mark.parametrize("scales", [(), (0, 4), (2.5,), ("4",), (float("nan"),), (None,), (float("inf"),)])
def test_scales_that_are_no_window_lengths_are_refused(scales) -> None:
    with pytest.raises(ScaleError, match="whole numbers"):
        CLIPMultiScaleSlidingWindow(4, scales)


@pytest.mark.parametrize(
    "made", [CLIPMultiScaleSlidingWindow, CLIPMultiScaleFeatureExtractor, MixtureOfExpertsAddon]
)
@pytest.mark.parametrize("scales", [(9999,), (10**6,), (2**63,), (10**30,), (4,) * 10_000, (2, 4095)])
def test_kernels_of_more_than_4_gib_are_refused_before_memory_is_taken(made, scales) -> None:
    said = said_by(lambda: made(512, scales), error=ScaleError)
    assert "an add-on has at most 256 scales and 1,073,741,824 weights" in said


def test_the_longest_window_of_a_large_picture_is_taken() -> None:
    with torch.device("meta"):  # ViT-L/14 at 336 pixels
        assert CLIPMultiScaleSlidingWindow(768, (4, 576)).scales == (4, 576)


def test_tokens_of_another_width_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 9, 5\)"):
        CLIPMultiScaleSlidingWindow(4, (2,))(torch.randn(2, 9, 5))


def test_an_unknown_initialisation_is_refused() -> None:
    with pytest.raises(OptionError, match="zeros"):
        CLIPMultiScaleSlidingWindow(4, (2,), init="zeros")
