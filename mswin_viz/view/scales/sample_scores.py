"""The score of every image in the strip for the first prompt, computed in the background once the strip sorts by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mswin_viz.analysis.blas_threads import one_blas_thread
from mswin_viz.analysis.shares.directions import encoded_prompts, plain_and_enhanced_cosines
from mswin_viz.data.progress import Progress, Report, Stop
from mswin_viz.data.sample import Sample
from mswin_viz.errors import MswinVizError
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.view.parts.worker import Worker
from mswin_viz.view.scales.controls import Controls
from mswin_viz.view.scales.explored_models import ExploredModels
from mswin_viz.view.widgets.guarded import Guard

_AT_ONCE = 16


class SampleScores:
    """Fills the strip's ``scores``, and again for another prompt, modality or set of samples once they were wanted.

    They are the first model's, and the strip says so. ``samples`` gives those that are in the strip.
    """

    def __init__(
        self,
        models: ExploredModels,
        controls: Controls,
        samples: Callable[[], Sequence[Sample]],
        guarded: Guard,
    ) -> None:
        self._results, self._controls, self._samples = models.caches[0], controls, samples
        self._is_wanted = False
        self.worker = Worker(self._work, guarded, show=self._show, name="scoring the images", restarts=True)
        strip = controls.strip
        strip.has_scores = self._results.model.tower.has_text
        strip.scored_by = models.names[0] if len(models.names) > 1 else ""
        strip.on_msg(guarded("scoring the images")(lambda _strip, content, _buffers: self._on_strip(content)))
        for control, trait in ((controls.prompt, "value"), (strip, "modality"), (strip, "items")):
            control.observe(guarded("scoring the images")(lambda _change: self._renew()), trait)

    def close(self) -> None:
        """End the work, and wait until it has ended."""
        self.worker.close()

    def _on_strip(self, content: Mapping[str, Any]) -> None:
        if content.get("kind") == "scores" and not self._is_wanted:
            self._is_wanted = True
            self._renew()
        elif content.get("kind") == "stop":
            self.worker.stop()

    def _renew(self) -> None:
        """Those of another prompt are gone at once: nothing is sorted by them."""
        self._controls.strip.scores = []
        if self._is_wanted:
            self.worker.start()

    def _work(self, report: Report, stop: Stop) -> None:
        samples, strip = self._samples(), self._controls.strip
        prompts = encoded_prompts(self._results.model, self._controls.prompts[:1])
        if not prompts.texts:
            return
        modality = strip.modality
        there = [at for at, sample in enumerate(samples) if modality in sample.images]
        scores: list[list[float] | None] = [None] * len(samples)
        weights = self._results.weights()
        for start in range(0, len(there), _AT_ONCE):
            if stop():
                report(Progress(1, 1, "stopped"))
                return
            report(Progress(start, len(there), f"scoring the images: {start} of {len(there)}"))
            positions = there[start : start + _AT_ONCE]
            tags = [ImageTag(modality, samples[at].camid) for at in positions]
            pictures = self._results.tokens.pictures_or_problems(
                [samples[at].images[modality] for at in positions], tags
            )
            good = [
                (at, picture)
                for at, picture in zip(positions, pictures, strict=True)
                if not isinstance(picture, MswinVizError)
            ]
            if not good:
                continue
            tokens = Tokens.joined([picture.tokens for _, picture in good])
            with one_blas_thread():
                pairs = plain_and_enhanced_cosines(prompts.features[0], tokens, weights)
            for (at, _), pair in zip(good, pairs.tolist(), strict=True):
                scores[at] = pair
        if not stop():
            strip.set_trait("scores", scores)
            report(Progress(1, 1, ""))

    def _show(self, progress: Progress) -> None:
        strip = self._controls.strip
        with strip.hold_sync():
            strip.progress, strip.status = progress.fraction, progress.words
