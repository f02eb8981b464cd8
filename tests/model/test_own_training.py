"""Any module is trained as the windows are: from its weights or drawn by the seed, resumed alike, refused where nothing learns."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import mswin_viz as mv
from mswin_viz.errors import OptionError, WeightsError
from mswin_viz.model.training.heads import addon_head, enhanced_features, scheme_2_head

DIM = 16


class Pool(nn.Module):
    def __init__(self, width: int = DIM) -> None:
        super().__init__()
        self.score, self.out = nn.Linear(DIM, 1), nn.Linear(DIM, width)
        self.drop = nn.Dropout(0.3)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.out(self.drop((self.score(patches).softmax(dim=1) * patches).sum(dim=1)))


class WithCls(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(2 * DIM, DIM)

    def forward(self, patches: torch.Tensor, cls: torch.Tensor) -> torch.Tensor:
        return self.out(torch.cat([patches.mean(dim=1), cls], dim=1))


class Mean(nn.Module):
    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return patches.mean(dim=1)


class Wide(Pool):
    combine = "concatenate"

    def __init__(self) -> None:
        super().__init__(5)


@pytest.fixture(scope="module")
def planted() -> tuple[mv.Tokens, np.ndarray]:
    """Ten people whose patches differ in one faint direction each; the CLS tokens are noise."""
    generator = torch.Generator().manual_seed(0)
    pids = np.repeat(np.arange(10), 6)
    signs = torch.randn(10, 1, DIM, generator=generator)[pids]
    patches = signs + torch.randn(60, 12, DIM, generator=generator)
    return mv.Tokens(torch.randn(60, DIM, generator=generator), patches, (4, 3)), pids


def same(one: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[key]) for key, value in one.state_dict().items())


@pytest.mark.parametrize("kind", [Pool, WithCls, Wide])
def test_training_any_module_raises_map(planted, kind) -> None:
    tokens, pids = planted
    trained = mv.train_addon(tokens, pids, addon=kind, steps=60, learning_rate=8e-3, progress=False)
    assert trained.losses[-10:].mean() < 0.8 * trained.losses[:10].mean()
    assert not trained.addon.training
    features = enhanced_features(addon_head(trained.addon, DIM, 12), tokens)
    assert features.shape == (60, DIM + 5 if kind is Wide else DIM)
    cameras, plain = np.arange(60), tokens.cls.numpy()
    assert mv.retrieval(features, pids, cameras).mAP > mv.retrieval(plain, pids, cameras).mAP + 0.05


def test_a_module_is_copied_and_trained_from_the_weights_it_has(planted) -> None:
    module = Pool().double()
    before = copy.deepcopy(module)
    trained = mv.train_addon(*planted, addon=module, steps=1, learning_rate=1e-9, progress=False).addon
    assert same(module, before)
    assert {value.dtype for value in module.parameters()} == {torch.float64}
    for key, value in trained.module.state_dict().items():
        torch.testing.assert_close(value, module.state_dict()[key].float(), rtol=0, atol=1e-6)
    assert "parameters trained here, added" in trained.description


def test_what_a_class_draws_follows_from_the_seed_and_the_generator_is_left_alone(planted) -> None:
    state = torch.get_rng_state()
    one, again, other = (
        mv.train_addon(*planted, addon=Pool, steps=3, seed=seed, progress=False).addon for seed in (4, 4, 5)
    )
    assert torch.equal(state, torch.get_rng_state())
    assert same(one, again)
    assert not same(one, other)


@pytest.mark.parametrize("kind", [Pool, Wide])
def test_an_interrupted_training_goes_on_as_one_that_was_not(planted, kind, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(step) -> None:
        if step.step == 5:
            raise StoppedError

    schedule = mv.Schedule(8, 8e-3, check_every=2)
    options = {"addon": kind, "schedule": schedule, "seed": 2, "progress": False}
    whole = mv.train_addon(*planted, **options)
    file = tmp_path / "own.state"
    with pytest.raises(StoppedError):
        mv.train_addon(*planted, watch=mv.Watch(report=stop, state=file), **options)
    resumed = mv.train_addon(*planted, watch=mv.Watch(state=file), **options)
    np.testing.assert_array_equal(resumed.losses, whole.losses)
    assert same(resumed.addon, whole.addon)


def test_the_state_of_another_module_is_refused(planted, tmp_path: Path) -> None:
    class Other(Pool):
        pass

    watch = mv.Watch(state=tmp_path / "own.state")
    mv.train_addon(*planted, addon=Pool, steps=2, watch=watch, progress=False)
    with pytest.raises(OptionError, match=r"of another \(head differ\)"):
        mv.train_addon(*planted, addon=Other, steps=2, watch=watch, progress=False)


def test_validation_keeps_the_best_weights_of_a_concatenated_vector(planted) -> None:
    world = mv.LabelledTokens({"RGB": planted[0]}, planted[1], np.arange(60), planted[1])
    held = mv.held_out(world.pids, fraction=0.3)
    tokens, classes = mv.modality_classes([world.part(~held)])
    watch = mv.Watch(mv.validation_map(world.part(held)))
    schedule = mv.Schedule(20, 8e-3, check_every=5)
    trained = mv.train_addon(tokens, classes, addon=Wide, schedule=schedule, watch=watch, progress=False)
    score = watch.validate(addon_head(trained.addon, DIM, 12))
    assert score == pytest.approx(trained.log.scores.max(), abs=1e-6)


def test_scheme_2_is_trained_on_every_token(planted) -> None:
    made = scheme_2_head(DIM, (2, 3), seed=3).body
    trained = mv.train_addon(*planted, addon=made, steps=2, progress=False).addon
    assert trained.scales == (2, 3)
    assert not same(trained, made)


def test_a_module_that_learns_nothing_is_refused(planted) -> None:
    with pytest.raises(
        OptionError, match=r"whose 4 parameters need no gradient; thaw them with requires_grad_"
    ):
        mv.train_addon(*planted, addon=Pool().requires_grad_(False), steps=1, progress=False)
    with pytest.raises(OptionError, match="whose 0 parameters need no gradient"):
        mv.train_addon(*planted, addon=Mean, steps=1, progress=False)


class Extra(Pool):
    def get_extra_state(self):
        return {"k": 3}

    def set_extra_state(self, state):
        pass


def test_a_module_whose_state_is_more_than_tensors_is_refused(planted) -> None:
    with pytest.raises(
        OptionError, match=r"kept as tensors: got Addon, .* more at .*_extra_state; make it a buffer"
    ):
        mv.train_addon(*planted, addon=Extra, steps=1, progress=False)


class Spectrum(nn.Module):
    """A learned filter over the tokens, complex."""

    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.randn(1, DIM, dtype=torch.cfloat))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft(torch.fft.rfft(patches, dim=1) * self.filter, n=patches.shape[1], dim=1).amax(
            1
        )


def test_complex_weights_are_trained_and_kept(planted, tmp_path: Path) -> None:
    trained = mv.train_addon(*planted, addon=Spectrum, steps=2, progress=False)
    assert np.isfinite(trained.losses).all()
    for name in ("filter.safetensors", "filter.pth"):
        mv.save_addon(trained.addon, tmp_path / name)
        assert same(mv.load_addon(tmp_path / name, into=Spectrum()), trained.addon)


def test_scales_and_a_module_together_are_refused(planted) -> None:
    with pytest.raises(OptionError, match=r"scales are of a scheme-1 add-on: got \(2,\) with addon="):
        mv.train_addon(*planted, addon=Pool, scales=(2,), steps=1)
    with pytest.raises(WeightsError, match="reads 8, the tower gives 16"):
        mv.train_addon(*planted, addon=mv.CLIPMultiScaleFeatureExtractor(8, (2,)), steps=1)
    with pytest.raises(OptionError, match="did you mean steps"):
        mv.train_addon(*planted, addon=Pool, step=1)
