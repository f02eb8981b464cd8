"""What the tower gave for the images of a shard, gathered batch by batch, and written when all of them are there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mswin_viz.analysis.extraction.decoding import DecodedBatch
from mswin_viz.data.images.picture_facts import PictureFacts
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.store.manifest import FEATURES, ImageRow, manifest_bytes
from mswin_viz.data.store.planned_images import PlannedImage, Shard
from mswin_viz.data.store.shard_files import ShardFiles
from mswin_viz.data.store.store_record import Commit, StoreRecord

BatchFeatures = dict[str, np.ndarray]
"""Of the images of a batch that have any: ``"plain"``, ``"enhanced"``, and the tokens that a store keeps, by name."""


class ShardRows:
    """A shard that is being filled. Its images come in order; :meth:`write` ends it.

    The file of tokens is reserved when it is made, so a full disk is found out before the tower has worked for it.
    """

    def __init__(self, shard: Shard, folder: Path, record: StoreRecord) -> None:
        self.shard, self._record = shard, record
        self._root = None if record.root is None else Path(record.root)
        self._files, self._stack = ShardFiles(folder, shard.number), contextlib.ExitStack()
        n_rows = len(shard.images)
        widths = {"plain": record.dim, "enhanced": record.wide}
        self._features = {name: np.zeros((n_rows, width), np.float32) for name, width in widths.items()}
        self._rows: list[ImageRow] = []
        self._facts: list[PictureFacts] = []
        self._files.begin()
        shapes = {name: (n_rows, *shape) for name, shape in record.token_shapes.items()}
        self._tokens: dict[str, np.memmap] = {}
        if shapes:
            self._tokens = self._stack.enter_context(self._files.token_arrays(shapes, record.token_dtype))

    @property
    def is_full(self) -> bool:
        """Whether every image of the shard has its row."""
        return len(self._rows) == len(self.shard.images)

    def add(
        self,
        images: Sequence[PlannedImage],
        decoded: DecodedBatch,
        places: Sequence[int],
        features: BatchFeatures,
        problems: dict[int, str],
    ) -> None:
        """The next images: ``features`` of those at some ``places``, and why the others have none."""
        first = len(self._rows)
        rows = first + np.asarray(places, int)
        for name, values in features.items():
            kept = self._features.get(name)
            (self._tokens[name] if kept is None else kept)[rows] = values
        facts = dict(zip(decoded.places, decoded.facts, strict=True))
        for place, image in enumerate(images):
            size = facts[place].size if place in facts else None
            self._rows.append(ImageRow(image, decoded.hashes[place], size, problems.get(place)))
        self._facts += [facts[place] for place in places]

    def write(self, notes: Callable[[Sequence[PictureFacts]], Sequence[str]]) -> Commit:
        """Write rows and tokens, and commit the shard; ``notes`` says what is worth knowing of its pictures."""
        about = {"weights_hash": self._record.weights_hash, "addon_hash": self._record.addon_hash or ""}
        features = {name: self._features[name] for name in FEATURES}
        content = manifest_bytes(self._rows, features, root=self._root, dtype=self._record.dtype, about=about)
        self._stack.close()
        shard, files = self.shard, self._files
        commit = Commit(
            shard=shard.number,
            first_id=shard.first_id,
            first_sample=shard.first_sample,
            n_samples=shard.n_samples,
            n_rows=len(self._rows),
            n_failed=sum(row.reason is not None for row in self._rows),
            plan=shard.plan(self._root),
            manifest=files.write_manifest(content),
            tokens=files.token_record() if self._tokens else None,
            notes=[shown_text(note) for note in notes(self._facts)],
        )
        files.write_commit(commit)
        return commit

    def give_up(self) -> None:
        """Delete what is half written."""
        self._stack.__exit__(GeneratorExit, GeneratorExit(), None)
