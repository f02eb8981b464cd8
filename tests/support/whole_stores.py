"""What a store must be after an extraction into it was killed, and once the same call has gone on to its end."""

from __future__ import annotations

from pathlib import Path

import mswin_viz as mv
from mswin_viz.data.store.store_record import is_store
from support.image_files import shard_bytes

__all__ = ["assert_holds_what_was_committed", "assert_whole"]


def assert_holds_what_was_committed(store: Path) -> None:
    """Each row once, and each as it was written; whatever was killed."""
    if is_store(store):
        opened = mv.open_store(store)
        ids = opened.column("id").tolist()
        assert len(set(ids)) == len(ids) == opened.n_rows
        assert opened.verify() == []


def assert_whole(store: Path, n_samples: int, wanted: dict[str, bytes]) -> None:
    opened = mv.open_store(store)
    n_images = sum(2 if number % 3 == 2 else 3 for number in range(n_samples))
    assert opened.column("id").tolist() == list(range(n_images))
    assert shard_bytes(store) == wanted
    assert not list(store.rglob("*.unfinished"))
