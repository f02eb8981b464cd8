"""Work ahead of time: thumbnails, then tokens, with progress in the strip."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mswin_viz.data.progress import Progress, Report, Stop
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import n_of
from mswin_viz.model.encoder.token_cache import MOST_KEPT, TokenCache
from mswin_viz.view.parts.pictures import computed_ahead, thumbnail
from mswin_viz.view.parts.worker import Worker
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.strip import ThumbnailStrip, images_in_turn


class Background:
    """The work behind a strip: it shows thumbnails and progress, and the caches, if any, keep the tokens of their models.

    It begins on ``samples()`` once the strip is shown, and ends at its stop button.
    """

    def __init__(
        self,
        caches: Sequence[TokenCache],
        strip: ThumbnailStrip,
        samples: Callable[[], Sequence[Sample]],
        guarded: Guard,
    ) -> None:
        self._caches, self._strip, self._guarded = caches, strip, guarded
        self._samples: Sequence[Sample] = ()
        name = "work in the background"
        self._worker = Worker(self._work, guarded, show=self._show, name=name, restarts=True)
        strip_guarded = guarded("following the strip")
        strip.on_msg(strip_guarded(lambda _strip, content, _buffers: self.on_strip(content, samples())))

    def on_strip(self, content: Mapping[str, Any], samples: Sequence[Sample]) -> None:
        """What the strip says."""
        if content.get("kind") == "shown":
            self.start(samples)
        elif content.get("kind") == "stop":
            self.stop()

    def start(self, samples: Sequence[Sample]) -> threading.Thread:
        """Start again with these samples; work in progress is abandoned."""
        self._samples = list(samples)
        return self._worker.start()

    def stop(self) -> None:
        """Stop the work after the current file."""
        self._worker.stop()

    def close(self) -> None:
        """End the work, and wait until it has ended."""
        self._worker.close()

    def _work(self, report: Report, stop: Stop) -> None:
        samples = self._samples
        with self._guarded("drawing thumbnails", failed=self._show_failure):
            self._draw_thumbnails(samples, stop)
        with self._guarded("computing tokens in the background", failed=self._show_failure):
            for cache in self._caches:
                self._compute_tokens(cache, samples, report, stop)

    def _compute_tokens(
        self, cache: TokenCache, samples: Sequence[Sample], report: Report, stop: Stop
    ) -> None:
        images = images_in_turn(samples, self._strip.modality)
        if all(path in cache for path, _ in images[:MOST_KEPT]):
            report(Progress(1, 1))  # what was said of other images goes
            return
        n_bad = computed_ahead(cache, images, report=report, stop=stop)
        words = f"{n_of(n_bad, len(images), 'images')} cannot be read" if n_bad else ""
        report(Progress(1, 1, "stopped" if stop() else words))

    def _draw_thumbnails(self, samples: Sequence[Sample], stop: Stop) -> None:
        """Sent a few at a time, in growing portions, so that the first are seen at once."""
        thumbs: list[bytes] = []
        due = 24
        for modality in self._strip.modalities:
            for position, sample in enumerate(samples):
                if stop():
                    return
                is_drawn = position < MOST_KEPT and modality in sample.images
                thumbs.append(thumbnail(sample.images[modality]) if is_drawn else b"")
                if len(thumbs) >= due:
                    due, self._strip.thumbs = 3 * len(thumbs), list(thumbs)
        self._strip.thumbs = thumbs

    def _show_failure(self) -> None:
        self._show(Progress(1, 1, "failed: the message says why; images are computed when they are chosen"))

    def _show(self, progress: Progress) -> None:
        with self._strip.hold_sync():
            self._strip.progress, self._strip.status = progress.fraction, progress.words
