"""Work ahead of time, in a thread of its own: thumbnails, then tokens, with progress and a way to stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from mswin_viz.data.layouts import Sample
from mswin_viz.data.progress import Progress
from mswin_viz.model.token_cache import MOST_KEPT, TokenCache
from mswin_viz.view.guarded import Guard
from mswin_viz.view.lifetime import check_open, joined
from mswin_viz.view.pictures import computed_ahead, thumbnail
from mswin_viz.view.strip import ThumbnailStrip, images_in_turn

__all__ = ["Background"]

_EVERY = 0.2  # seconds between two reports


@dataclass(frozen=True, eq=False)
class Background:
    """The thread behind a strip; at most one works at a time.

    Attributes
    ----------
    cache
        Where tokens are kept.
    strip
        Where thumbnails and progress are shown.
    guarded
        Says what goes wrong.
    """

    cache: TokenCache
    strip: ThumbnailStrip
    guarded: Guard
    _stops: list[threading.Event] = field(default_factory=list, repr=False)
    _threads: list[threading.Thread] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def start(self, samples: Sequence[Sample]) -> threading.Thread:
        """Start again with these samples; work in progress is abandoned.

        Raises
        ------
        ClosedError
            If the view was closed.
        """
        check_open(self.guarded.view)
        self.stop()
        stopped = threading.Event()
        thread = self.guarded.thread("work in the background", self._work, list(samples), stopped)
        with self._lock:
            self._stops.append(stopped)
            self._threads[:] = [some for some in self._threads if some.is_alive()]
            thread.start()
            self._threads.append(thread)
        return thread

    def stop(self) -> None:
        """Stop the work after the current file."""
        with self._lock:
            for stopped in self._stops:
                stopped.set()
            self._stops.clear()

    def close(self) -> None:
        """End the work, and wait until it has ended."""
        self.stop()
        joined(self._threads)
        self._threads.clear()

    def _work(self, samples: Sequence[Sample], stopped: threading.Event) -> None:
        with self.guarded("drawing thumbnails", failed=self._report_failure):
            self._draw_thumbnails(samples, stopped)
        with self.guarded("computing tokens in the background", failed=self._report_failure):
            self._compute_tokens(samples, stopped)

    def _compute_tokens(self, samples: Sequence[Sample], stopped: threading.Event) -> None:
        images = images_in_turn(samples, self.strip.modality)
        waited = [time.monotonic()]

        def report(now: Progress) -> None:
            if not stopped.is_set() and (now.done == now.total or time.monotonic() - waited[0] > _EVERY):
                waited[0] = time.monotonic()
                self._report(now.fraction, f"{now.words}: {now.done} of {now.total} images")

        if all(path in self.cache for path, _ in images[:MOST_KEPT]):
            return
        n_bad = computed_ahead(self.cache, images, report=report, stop=stopped.is_set)
        words = f"{n_bad} of {len(images)} images cannot be read" if n_bad else ""
        self._report(1.0, "stopped" if stopped.is_set() else words)

    def _draw_thumbnails(self, samples: Sequence[Sample], stopped: threading.Event) -> None:
        """Sent a few at a time, in growing portions, so that the first are seen at once."""
        found: list[bytes] = []
        due = 24
        for modality in self.strip.modalities:
            for at, sample in enumerate(samples):
                if stopped.is_set():
                    return
                wanted = at < MOST_KEPT and modality in sample.images
                found.append(thumbnail(sample.images[modality]) if wanted else b"")
                if len(found) >= due:
                    due, self.strip.thumbs = 3 * len(found), list(found)
        self.strip.thumbs = found

    def _report_failure(self) -> None:
        self._report(1.0, "failed: the message says why; images are computed when they are chosen")

    def _report(self, done: float, words: str) -> None:
        with self.strip.hold_sync():
            self.strip.progress, self.strip.status = done, words
