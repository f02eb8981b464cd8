"""The live curve takes reports and keeps numbers."""

from __future__ import annotations

from mswin_viz.model.training.run import TrainingStep
from mswin_viz.view.parts.training_curve import TrainingCurve


def told(curve: TrainingCurve, losses: list[float], scores: dict[int, float]) -> None:
    for step, loss in enumerate(losses, start=1):
        curve(TrainingStep(step, len(losses), loss, scores.get(step)))


def test_every_loss_and_every_validation_arrives_in_order() -> None:
    curve = TrainingCurve()
    told(curve, [3.0, 2.5, 2.0, 1.5, 1.0], {2: 0.4, 4: 0.6, 5: 0.5})
    assert curve.losses == [3.0, 2.5, 2.0, 1.5, 1.0]
    assert (curve.checked, curve.scores, curve.steps) == ([2, 4, 5], [40.0, 60.0, 50.0], 5)
    assert curve.status == "step 5 of 5, loss 1.000; best mAP 60.0 at step 4"


def test_a_second_training_begins_an_empty_curve() -> None:
    curve = TrainingCurve(plain=55.0)
    told(curve, [3.0, 2.5], {2: 0.4})
    told(curve, [1.0], {})
    assert (curve.losses, curve.scores, curve.plain) == ([1.0], [], 55.0)


def test_steps_in_quick_succession_are_sent_together(monkeypatch) -> None:
    curve, sent = TrainingCurve(), []
    curve.observe(lambda change: sent.append(len(change["new"])), "losses")
    monkeypatch.setattr("mswin_viz.view.parts.training_curve.time.monotonic", lambda: curve._sent + 0.01)
    told(curve, [1.0] * 40, {20: 0.1})
    assert sent == [20, 40]
