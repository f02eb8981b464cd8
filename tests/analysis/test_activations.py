"""Window activations against torch's own convolution and pooling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.oracles import resampled_kernel
from torch.nn import functional as F

from mswin_viz.analysis.scales.panels import shared_range
from mswin_viz.analysis.windows.activations import (
    WindowActivations,
    nearest_trained_scale,
    reduce_activations,
    resampling_matrix,
    window_activations,
)
from mswin_viz.analysis.windows.geometry import windows
from mswin_viz.errors import OptionError, ScaleError, ShapeError
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.tokens.tokens import Tokens

from .conftest import DIM, GRID, SCALES

N_TOKENS = GRID[0] * GRID[1]
shared_fixtures = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def convolved(patches, weight, bias, stride):
    return F.conv1d(patches.transpose(1, 2), weight, bias, stride=stride).transpose(1, 2).detach().numpy()


@pytest.mark.parametrize("stride", [None, 1, 3, 9])
@pytest.mark.parametrize("index", range(len(SCALES)))
def test_a_trained_scale_gives_the_convolution_itself(tokens, addon, index, stride):
    scale, conv = SCALES[index], addon.multi_scale_window.sliding_windows[index]
    activations = window_activations(tokens, addon, scale, stride=stride)
    expected = convolved(tokens.patches, conv.weight, conv.bias, stride or scale)
    np.testing.assert_allclose(activations.values, expected, rtol=1e-5, atol=1e-5)
    assert activations.origin == "trained"
    assert activations.source_scale == activations.scale == scale
    assert activations.values.dtype == np.float32
    assert activations.values.shape == (len(tokens), activations.geometry.n_windows, DIM)


@given(scale=st.integers(1, N_TOKENS), source=st.sampled_from(SCALES), stride=st.none() | st.integers(1, 5))
@shared_fixtures
def test_a_resampled_scale_is_a_convolution_with_the_resampled_kernel(tokens, addon, scale, source, stride):
    conv = addon.multi_scale_window.sliding_windows[SCALES.index(source)]
    activations = window_activations(
        tokens, addon, scale, kernel="resampled", source_scale=source, stride=stride
    )
    kernel = resampled_kernel(conv.weight, scale)
    expected = convolved(tokens.patches, kernel, conv.bias, stride or scale)
    np.testing.assert_allclose(activations.values, expected, rtol=1e-4, atol=1e-4)
    assert activations.source_scale == source


def test_a_free_scale_is_resampled_from_the_nearest_trained_scale(tokens, addon):
    activations = window_activations(tokens, addon, 5)
    expected = window_activations(tokens, addon, 5, kernel="resampled", source_scale=4)
    assert (activations.origin, activations.source_scale) == ("resampled", 4)
    np.testing.assert_array_equal(activations.values, expected.values)


def test_plain_means_are_average_pooling_without_a_bias(tokens, addon):
    expected = F.avg_pool1d(tokens.patches.transpose(1, 2), 4).transpose(1, 2).numpy()
    for module, kernel in [(addon, "mean"), (None, "mean"), (None, "auto")]:
        activations = window_activations(tokens, module, 4, kernel=kernel)
        assert (activations.origin, activations.source_scale) == ("mean", None)
        np.testing.assert_allclose(activations.values, expected, rtol=1e-5, atol=1e-6)


def test_a_trained_scale_above_the_tokens_falls_back_to_the_mean_of_all(tokens, addon_with_fallback):
    activations = window_activations(tokens, addon_with_fallback, 20)
    assert activations.origin == "fallback"
    assert activations.scale == 20
    assert activations.geometry.n_windows == 1
    np.testing.assert_allclose(
        activations.values[:, 0], tokens.patches.mean(dim=1).numpy(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("scale", [0, -3, 16, 19])
def test_an_untrained_scale_outside_the_tokens_is_an_error(tokens, addon_with_fallback, scale):
    with pytest.raises(ScaleError, match=f"got {scale}"):
        window_activations(tokens, addon_with_fallback, scale)


def test_scheme_2_windows_see_the_projected_tokens(tokens):
    torch.manual_seed(0)
    scheme_2 = CLIPWithProjectionMultiScale(DIM, 9, (2, 4))
    activations = window_activations(tokens, scheme_2, 4)
    conv = scheme_2.multi_scale_extractor.multi_scale_window.sliding_windows[1]
    expected = convolved(scheme_2.projection(tokens.patches), conv.weight, conv.bias, 4)
    np.testing.assert_allclose(activations.values, expected, rtol=1e-5, atol=1e-5)
    assert window_activations(tokens, scheme_2, 4, kernel="mean").values.shape == (3, 3, 9)


def test_windows_alone_and_their_wrapper_give_the_same(tokens, addon):
    np.testing.assert_array_equal(
        window_activations(tokens, addon.multi_scale_window, 4).values,
        window_activations(tokens, addon, 4).values,
    )


def test_a_half_precision_add_on_still_gives_float32_numbers(tokens, addon):
    expected = window_activations(tokens, addon, 5).values
    values = window_activations(tokens, addon.to(torch.bfloat16), 5).values
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected, atol=0.2)


def test_each_image_is_on_its_own(tokens, addon):
    values = window_activations(tokens, addon, 5).values
    for i in range(len(tokens)):
        alone = window_activations(tokens[i], addon, 5).values
        np.testing.assert_allclose(alone[0], values[i], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kernel": "gaussian"}, "got 'gaussian'"),
        ({"kernel": "trained"}, r"\(2, 4, 7\): got 5"),
        ({"source_scale": 3}, "got 3"),
    ],
)
def test_a_kernel_that_does_not_exist_is_an_error(tokens, addon, options, said):
    with pytest.raises(OptionError, match=said):
        window_activations(tokens, addon, 5, **options)


def test_without_an_add_on_a_kernel_is_an_error(tokens):
    with pytest.raises(OptionError, match="mean"):
        window_activations(tokens, None, 5, kernel="resampled")


def test_any_other_module_gives_plain_means_and_has_no_kernel(tokens):
    activations = window_activations(tokens, torch.nn.Linear(2, 2), 5)
    plain = window_activations(tokens, None, 5)
    assert activations.origin == "mean"
    np.testing.assert_array_equal(activations.values, plain.values)
    with pytest.raises(OptionError, match="only an add-on of windows has a kernel"):
        window_activations(tokens, torch.nn.Linear(2, 2), 5, kernel="trained")


def test_tokens_of_another_width_are_an_error(tokens, addon):
    narrow = Tokens(tokens.cls[:, :5], tokens.patches[:, :, :5], tokens.grid)
    with pytest.raises(ShapeError, match="as wide as the add-on's, 6"):
        window_activations(narrow, addon, 4)


@given(st.integers(1, 40), st.integers(1, 40))
def test_resampling_keeps_the_sum_loses_no_tap_and_mirrors(source, target):
    matrix = resampling_matrix(source, target)
    assert matrix.shape == (source, target)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)
    assert (matrix >= 0).all()
    assert (matrix.sum(axis=0) > 0).all()
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-12)


@given(st.integers(1, 60))
def test_resampling_to_the_same_number_of_taps_is_exactly_the_identity(taps):
    np.testing.assert_array_equal(resampling_matrix(taps, taps), np.eye(taps))


def test_resampling_is_a_triangle_filter_at_half_pixel_centres():
    np.testing.assert_allclose(resampling_matrix(4, 2), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(resampling_matrix(2, 4), [[0.5, 0.375, 0.125, 0], [0, 0.125, 0.375, 0.5]])


def test_a_resampled_kernel_answers_a_constant_image_as_its_source_does(addon):
    kernel = addon.multi_scale_window.sliding_windows[1].weight.detach()
    for scale in (1, 3, 11):
        resampled = resampled_kernel(kernel, scale)
        assert resampled.shape == (DIM, DIM, scale)
        torch.testing.assert_close(resampled.sum(dim=2), kernel.sum(dim=2))


def test_a_kernel_without_taps_is_an_error():
    with pytest.raises(ScaleError, match="4 and 0"):
        resampling_matrix(4, 0)


@pytest.mark.parametrize(
    ("scales", "scale", "nearest"),
    [
        ((4, 8, 16), 5, 4),
        ((4, 8, 16), 6, 8),
        ((4, 8, 16), 12, 16),
        ((4, 8, 16), 100, 16),
        ((4, 8, 16), 1, 4),
        ((4, 16), 8, 16),
        ((12, 3), 6, 12),
    ],
)
def test_nearness_of_scales_is_by_ratio_and_ties_go_to_the_larger(scales, scale, nearest):
    assert nearest_trained_scale(scales, scale) == nearest


def activations_of(values: list) -> WindowActivations:
    array = np.array(values, dtype=np.float32)
    return WindowActivations(array, "mean", windows((1, array.shape[1]), 1), 1)


def test_reductions_of_three_windows_by_hand():
    activations = activations_of([[[3, 4], [0, 0], [-6, 8]]])
    np.testing.assert_allclose(reduce_activations(activations, "norm"), [[5, 0, 10]])
    np.testing.assert_allclose(reduce_activations(activations, "norm", relative=True), [[1, 0, 2]])
    np.testing.assert_allclose(reduce_activations(activations, "channel", channel=0), [[3, 0, -6]])
    np.testing.assert_allclose(
        reduce_activations(activations, "channel", channel=0, relative=True), [[1, 0, -2]]
    )
    cosine = reduce_activations(activations, "cosine", direction=np.array([2.0, 0.0]))
    np.testing.assert_allclose(cosine, [[0.6, 0, -0.6]], rtol=1e-6)


def test_a_cosine_takes_one_direction_for_each_image():
    activations = activations_of([[[1, 0], [0, 1]], [[1, 0], [0, 1]]])
    cosine = reduce_activations(activations, "cosine", direction=np.array([[1, 0], [0, -1]]))
    np.testing.assert_allclose(cosine, [[1, 0], [0, -1]])


def test_relative_numbers_of_an_image_of_zeros_are_zero():
    assert not reduce_activations(activations_of([[[0, 0], [0, 0]]]), "norm", relative=True).any()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"how": "loudness"}, OptionError),
        ({"how": "channel"}, OptionError),
        ({"how": "channel", "channel": 2}, OptionError),
        ({"how": "channel", "channel": -1}, OptionError),
        ({"how": "cosine"}, ShapeError),
        ({"how": "cosine", "direction": np.ones(3)}, ShapeError),
        ({"how": "cosine", "direction": np.zeros(2)}, ShapeError),
        ({"how": "cosine", "direction": np.ones(2), "relative": True}, OptionError),
    ],
)
def test_a_reduction_that_cannot_be_is_an_error(options, error):
    with pytest.raises(error, match="got"):
        reduce_activations(activations_of([[[3, 4], [0, 0]]]), **options)


def test_one_colour_range_spans_all_arrays_and_skips_what_is_not_finite():
    arrays = [np.array([1.0, np.nan, 3.0]), np.array([[-0.5, np.inf]])]
    assert shared_range(arrays, signed=False) == (-0.5, 3.0)
    assert shared_range(arrays, signed=True) == (-3.0, 3.0)


def test_a_colour_range_of_nothing_is_still_a_range():
    assert shared_range([], signed=False) == (0.0, 1.0)
    assert shared_range([np.array([np.nan])], signed=True) == (-1.0, 1.0)
    assert shared_range([np.zeros(3)], signed=True) == (-1.0, 1.0)
