"""The add-on learns planted identities from tokens alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import mswin_viz as mv
from mswin_viz.errors import OptionError, ScaleError, ShapeError, WeightsError
from mswin_viz.model.training.fit import Watch, train_head
from mswin_viz.model.training.heads import mean_patch_control, window_head
from mswin_viz.model.training.run import Schedule, TrainingStep


@pytest.fixture(scope="module")
def planted() -> tuple[mv.Tokens, np.ndarray]:
    """Ten people whose patches differ in one faint direction each; the CLS tokens are noise."""
    generator = torch.Generator().manual_seed(0)
    pids = np.repeat(np.arange(10), 6)
    signs = torch.randn(10, 1, 16, generator=generator)[pids]
    patches = signs + torch.randn(60, 12, 16, generator=generator)
    return mv.Tokens(torch.randn(60, 16, generator=generator), patches, (4, 3)), pids


def test_training_lowers_the_loss_and_raises_map(planted) -> None:
    tokens, pids = planted
    trained = mv.train_addon(tokens, pids, scales=(2, 3), steps=60, learning_rate=8e-3, progress=False)
    assert trained.losses[-10:].mean() < 0.6 * trained.losses[:10].mean()
    with torch.no_grad():
        enhanced = tokens.cls + trained.addon(tokens.patches)
    cameras = np.arange(60)
    assert (
        mv.retrieval(enhanced.numpy(), pids, cameras).mAP
        > mv.retrieval(tokens.cls.numpy(), pids, cameras).mAP + 0.2
    )


def test_one_seed_gives_one_set_of_weights(planted) -> None:
    states = [
        mv.train_addon(*planted, scales=(3,), steps=3, seed=4, progress=False).addon.state_dict()
        for _ in "ab"
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_training_leaves_the_generator_alone(planted) -> None:
    before = torch.get_rng_state()
    mv.train_addon(*planted, scales=(3,), steps=2, progress=False)
    assert torch.equal(before, torch.get_rng_state())


def test_an_addon_trained_on_folded_tokens_is_the_one_trained_on_all(planted) -> None:
    head = window_head(16, (2, 3), seed=5)
    losses = train_head(*planted, head, seed=5, schedule=Schedule(12), progress=False).losses
    trained = mv.train_addon(*planted, scales=(2, 3), seed=5, steps=12, progress=False)  # 12 tokens become 6
    np.testing.assert_allclose(trained.losses, losses, rtol=1e-4)
    for one, other in zip(trained.addon.parameters(), head.body.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3)


def test_any_head_is_trained_in_place_and_left_in_evaluation_mode(planted) -> None:
    tokens, pids = planted
    head = mean_patch_control(16, 2000)
    losses = train_head(tokens, pids, head, schedule=Schedule(60, 8e-3), progress=False).losses
    assert not head.training
    assert losses.shape == (60,)
    assert losses[-10:].mean() < 0.6 * losses[:10].mean()


def test_pids_that_do_not_match_the_tokens_are_refused(planted) -> None:
    with pytest.raises(ShapeError, match="59 pids for 60 images"):
        mv.train_addon(planted[0], planted[1][:-1], scales=(3,))


def test_identities_with_one_image_each_are_refused(planted) -> None:
    with pytest.raises(OptionError, match="two identities"):
        mv.train_addon(planted[0], np.arange(60), scales=(3,))


@pytest.mark.parametrize("scales", [(9999,), (2, 13), (10**30,)])
def test_windows_longer_than_an_image_are_refused_before_training(planted, scales) -> None:
    with pytest.raises(ScaleError, match=r"in 1\.\.12: got|at most 256 scales"):
        mv.train_addon(*planted, scales=scales)


def validated(planted, scores: list[float], **schedule) -> tuple:
    """A training whose validations give these scores in turn; the head's weights at each of them."""
    seen, left = [], iter(scores)

    def score(head) -> float:
        assert not head.training
        seen.append({key: value.clone() for key, value in head.state_dict().items()})
        return next(left)

    head = window_head(16, (3,), seed=1)
    log = train_head(
        *planted, head, schedule=Schedule(check_every=2, **schedule), watch=Watch(score), progress=False
    )
    return head, log, seen


def test_the_best_validated_weights_are_kept_and_training_stops_when_patience_ends(planted) -> None:
    head, log, seen = validated(planted, [0.1, 0.5, 0.4, 0.5], steps=20, patience=2)
    assert (log.best_step, log.stopped_early, len(log.losses)) == (4, True, 8)
    assert log.checked.tolist() == [2, 4, 6, 8]
    assert all(torch.equal(value, seen[1][key]) for key, value in head.state_dict().items())


def test_scores_that_rise_let_training_run_to_its_end(planted) -> None:
    _, log, _ = validated(planted, [0.1, 0.2, 0.3], steps=5, patience=1)
    assert (log.best_step, log.stopped_early, log.checked.tolist()) == (5, False, [2, 4, 5])


def test_a_validation_that_is_no_number_is_refused(planted) -> None:
    with pytest.raises(OptionError, match="nan at step 2"):
        validated(planted, [float("nan")], steps=4, patience=1)


def test_every_step_is_reported_and_validations_with_their_score(planted) -> None:
    told: list[TrainingStep] = []
    head, watch = window_head(16, (3,)), Watch(lambda _: 0.5, told.append)
    log = train_head(*planted, head, schedule=Schedule(5, check_every=2), watch=watch, progress=False)
    assert [(p.step, p.score) for p in told] == [(1, None), (2, 0.5), (3, None), (4, 0.5), (5, 0.5)]
    assert [p.loss for p in told] == log.losses.tolist()


class Interrupted(Exception):
    pass


def interrupted_at(planted, step: int, state: Path) -> None:
    def stop(progress: TrainingStep) -> None:
        if progress.step == step:
            raise Interrupted

    with pytest.raises(Interrupted):
        train_head(*planted, window_head(16, (3,), seed=2), seed=2, schedule=Schedule(8, check_every=2),
                   watch=Watch(lambda head: float(head.body.multi_scale_window.fusion[2].bias[0]), stop, state),
                   progress=False)  # fmt: skip


def resumed(planted, state: Path | None) -> tuple:
    head = window_head(16, (3,), seed=2)
    watch = Watch(lambda head: float(head.body.multi_scale_window.fusion[2].bias[0]), state=state)
    log = train_head(*planted, head, seed=2, schedule=Schedule(8, check_every=2), watch=watch, progress=False)
    return head, log


def test_a_training_taken_up_again_ends_as_one_that_never_stopped(planted, tmp_path) -> None:
    state = tmp_path / "deeper" / "run.state"
    interrupted_at(planted, 5, state)
    (whole, log), (again, resumed_log) = resumed(planted, None), resumed(planted, state)
    assert resumed_log.losses.tolist() == log.losses.tolist()
    assert resumed_log.best_step == log.best_step
    assert all(torch.equal(v, whole.state_dict()[k]) for k, v in again.state_dict().items())
    finished, last_log = resumed(planted, state)  # a finished state gives its result again
    assert all(torch.equal(v, whole.state_dict()[k]) for k, v in finished.state_dict().items())
    assert len(last_log.losses) == 8


def test_the_state_of_another_training_is_refused_with_what_differs(planted, tmp_path) -> None:
    state = tmp_path / "run.state"
    interrupted_at(planted, 5, state)
    tokens, pids = planted
    with pytest.raises(OptionError, match=r"tokens, identities, head, seed differ"):
        train_head(tokens[list(range(30))], pids[:30], window_head(16, (2,)), seed=3,
                   schedule=Schedule(8, check_every=2), watch=Watch(state=state), progress=False)  # fmt: skip


def test_a_damaged_state_is_refused(planted, tmp_path) -> None:
    state = tmp_path / "run.state"
    interrupted_at(planted, 5, state)
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(WeightsError, match="delete it"):
        resumed(planted, state)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"learning_rate": 0.0}, {"patience": 0}, {"check_every": -1}]
)
def test_a_schedule_that_does_nothing_is_refused(wrong) -> None:
    with pytest.raises(OptionError, match="positive"):
        Schedule(**wrong)
