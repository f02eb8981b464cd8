"""Add-ons that learned nothing: what they give, and the trained one against them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.own_modules import TINY_ADDONS, tiny_model_with
from support.planted import identities
from support.tiny import pictures, tiny_model

import mswin_viz as mv
from mswin_viz.errors import OptionError, ShapeError, StoppedError
from mswin_viz.model.training.shuffled_weights import shuffled
from mswin_viz.model.training.untrained import with_untrained_addon


@pytest.fixture(scope="module")
def model() -> mv.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def tokens(model) -> mv.Tokens:
    return model.encode(pictures(7), progress=False)


def test_every_null_gives_features_of_its_own(model, tokens):
    found = mv.null_features(model, tokens, seeds=2)
    assert list(found) == [
        "shuffled, seed 0",
        "shuffled, seed 1",
        "untrained, seed 0",
        "untrained, seed 1",
        "zero shift",
    ]
    enhanced = model.enhance(tokens).cls.numpy()
    for name, features in found.items():
        assert features.shape == (7, model.dim)
        assert not np.allclose(features, enhanced), name
    assert len({features.tobytes() for features in found.values()}) == 5


def test_shuffled_nulls_are_those_of_the_shuffled_model(model, tokens):
    found = mv.null_features(model, tokens, seeds=1, seed=4, kinds=("shuffled",))
    by_hand = shuffled(model, "add-on", seed=4).enhance(tokens).cls.numpy()
    np.testing.assert_array_equal(found["shuffled, seed 4"], by_hand)


def test_the_window_mean_shifts_nothing(model, tokens):
    found = mv.null_features(model, tokens, kinds=("mean",))
    np.testing.assert_array_equal(found["zero shift"], tokens.cls.numpy())


def test_batch_after_batch_gives_the_same(model, tokens):
    whole = mv.null_features(model, tokens, seeds=1)
    parts = mv.null_features(
        model, (tokens[[at, at + 1]] if at < 6 else tokens[[6]] for at in (0, 2, 4, 6)), seeds=1
    )
    for name, features in whole.items():
        np.testing.assert_allclose(parts[name], features, rtol=1e-5, atol=1e-5)


def test_an_untrained_addon_is_that_of_a_fresh_constructor(model):
    found = with_untrained_addon(model, seed=3).addon
    with torch.random.fork_rng():
        torch.manual_seed(3)
        fresh = mv.CLIPMultiScaleFeatureExtractor(model.dim, model.addon.scales)
    for name, parameter in fresh.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], parameter)
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_the_model_itself_stays_as_it_is(model, tokens):
    before = {name: value.clone() for name, value in model.addon.state_dict().items()}
    mv.null_features(model, tokens, seeds=1)
    for name, value in model.addon.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_scheme_2_has_nulls_too(model, tokens):
    wide = mv.CLIPWithProjectionMultiScale(model.dim, 12, (2, 4)).eval()
    found = mv.null_features(mv.Model(model.tower, wide, "scheme 2", model.device), tokens, seeds=1)
    np.testing.assert_array_equal(found["zero shift"], tokens.cls.numpy())


@pytest.mark.parametrize("kind", list(TINY_ADDONS))
def test_any_add_on_has_nulls_that_compare(kind):
    model = tiny_model_with(kind)
    tokens = model.encode(pictures(7), progress=False)
    enhanced = model.enhance(tokens).cls.numpy()
    found = mv.null_features(model, tokens, seeds=1)
    assert list(found) == ["shuffled, seed 0", "untrained, seed 0", "zero shift"]
    np.testing.assert_array_equal(found["zero shift"], tokens.cls.numpy())
    assert all(found[name].shape == enhanced.shape for name in list(found)[:2])
    result = mv.compare_with_nulls(
        tokens.cls.numpy(), enhanced, found, [0, 0, 1, 1, 2, 2, 2], rule="none", draws=20
    )
    assert list(result.nulls) == list(found)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"kinds": ("zeros",)}, OptionError, "zeros"),
        ({"kinds": ()}, OptionError, "got"),
        ({"seeds": 0}, OptionError, "and 0"),
        ({"tokens": []}, ShapeError, "at least one image"),
    ],
)
def test_input_that_does_not_fit_is_an_error(model, tokens, options, error, said):
    with pytest.raises(error, match=said):
        mv.null_features(**{"model": model, "tokens": tokens, **options})


def test_a_model_without_an_addon_has_no_nulls(tokens):
    with pytest.raises(OptionError, match="without an add-on"):
        mv.null_features(tiny_model(addon=False), tokens)
    with pytest.raises(OptionError, match="without an add-on"):
        mv.null_features(tiny_model(addon=False), tokens, kinds=("random",))


PLAIN, PIDS, CAMIDS = identities(96, 12, spread=2.0)
RNG = np.random.default_rng(8)
NULLS = {f"null {at}": PLAIN + 0.3 * RNG.normal(size=PLAIN.shape) for at in range(3)}
CENTRES = identities(96, 12, spread=0)[0]


def test_a_trained_addon_that_helps_beats_nulls_that_do_not():
    found = mv.compare_with_nulls(PLAIN, PLAIN + CENTRES, NULLS, PIDS, CAMIDS)
    assert found.trained.verdict == "better"
    assert all(some.verdict == "better" for some in found.against.values())
    assert "0 of them raise mAP at least as much" in found.sentences()[1]
    assert "better, beyond chance, than each of them" in found.sentences()[-1]
    table = found.to_pandas()
    assert table.index.tolist() == ["trained", "null 0", "null 1", "null 2"]
    assert np.isnan(table.loc["trained", "p_trained_minus_null"])
    assert table.loc["null 1", "trained_minus_null"] == pytest.approx(
        table.loc["trained", "mAP"] - table.loc["null 1", "mAP"]
    )


def test_a_trained_addon_that_does_what_nulls_do_is_called_that():
    trained = PLAIN + 0.3 * RNG.normal(size=PLAIN.shape)
    found = mv.compare_with_nulls(PLAIN, trained, NULLS, PIDS, CAMIDS, rule="none")
    assert "does not retrieve better, beyond chance, than: null 0; null 1; null 2" in found.sentences()[-1]


def test_progress_and_stop_between_comparisons():
    seen = []
    with pytest.raises(StoppedError, match="after 3 of 7"):
        mv.compare_with_nulls(
            PLAIN,
            PLAIN,
            NULLS,
            PIDS,
            CAMIDS,
            report=lambda progress: seen.append((progress.done, progress.total)),
            stop=lambda: len(seen) == 3,
        )
    assert seen == [(1, 7), (2, 7), (3, 7)]
    with pytest.raises(OptionError, match="at least one null"):
        mv.compare_with_nulls(PLAIN, PLAIN, {}, PIDS, CAMIDS)


def test_nulls_need_names():
    with pytest.raises(OptionError, match=r"nulls are a dictionary, name -> features.*got list"):
        mv.compare_with_nulls(PLAIN, PLAIN, list(NULLS.values()), PIDS, CAMIDS)


def test_nulls_are_compared_without_camera_numbers_too():
    found = mv.compare_with_nulls(PLAIN, PLAIN + 0.1, NULLS, PIDS)
    assert "No camera numbers" in " ".join(found.trained.notes)
