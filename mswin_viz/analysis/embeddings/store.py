"""An open store of features, with its rows as tables and tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.store.stored_images import StoredImages, store_parts
from mswin_viz.errors import DataError, OptionError, StoreError
from mswin_viz.model.addon.parts import window_parts
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.encoded_batch import Failure
from mswin_viz.model.fingerprint import addon_hash, weights_hash
from mswin_viz.model.tokens.readout import Neck
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_BATCH = 1024


@dataclass(frozen=True, eq=False, repr=False)
class Store(StoredImages):
    """Features of the images of a data set, in a folder; made by :func:`mswin_viz.extract`, opened by :func:`mswin_viz.open_store`.

    Taken wherever samples are taken: it is a sequence of them. What it holds is not computed again. Nothing but its description is
    read until it is asked for.

    Attributes
    ----------
    folder
        Where the store lies.
    record
        What its rows are: the model, the input size, the width, what is kept of the tokens.
    commits
        Its shards that are done.
    root
        The folder of the data set, below which image files are looked for.

    Examples
    --------
    >>> store = mv.extract(samples[:6], "store", model=model, modalities=["RGB", "TI"], progress=False)
    >>> len(store), store.n_rows, store.n_failed, store.is_complete  # samples, and their images
    (6, 12, 0, True)
    >>> thermal = store.where(modality="TI", camid=1)  # rows that fit
    >>> thermal.n_rows, thermal.features("enhanced").shape
    (4, (4, 512))
    >>> mv.embed(model, store, modalities=["TI"]).plain.shape, store.verify()  # read, not computed
    ((6, 512), [])
    """

    def table(self, modalities: Sequence[str] = MODALITIES) -> EmbeddingTable:
        """Rows in view that have features, modality by modality, as :func:`mswin_viz.embed` gives them; the others in ``failed``.

        ``sample`` counts the samples in view.

        Raises
        ------
        DataError
            If no row of these modalities has features.
        OptionError
            For an unknown modality.
        """
        kept, failed = self.rows_of(modalities)
        if not len(kept):
            raise DataError(
                f"a table needs at least one image with features: got {self!r}; see its failed rows"
            )
        modality = self.column("modality").tolist()
        sources = [source for sample in self for source in sample.images.values()]
        reasons = self.column("reason").tolist()
        return EmbeddingTable(
            sample=self.sample_of_row[kept],
            modality=np.array(modality)[kept],
            pid=self.column("pid")[kept],
            camid=self.column("camid")[kept],
            scene=self.column("scene")[kept],
            split=np.array([name or "" for name in self.column("split")[kept]]),
            files=tuple({modality[row]: sources[row]} for row in kept.tolist()),
            plain=self.features("plain")[kept],
            enhanced=self.features("enhanced")[kept],
            failed=tuple(Failure(sources[row], reasons[row]) for row in failed.tolist()),
            metric=self.record.metric,
            root=self.root,
        )

    def rows_of(
        self, modalities: Sequence[str]
    ) -> tuple[Int[np.ndarray, " row"], Int[np.ndarray, " failed"]]:
        """Rows in view of some modalities, one modality behind the other: those with features, and those without.

        Raises
        ------
        OptionError
            For an unknown modality.
        """
        if isinstance(modalities, str) or not set(modalities) <= set(MODALITIES):
            raise OptionError(
                f"modalities are a list of some of {', '.join(MODALITIES)}: got {modalities!r:.60}"
            )
        places = np.array([MODALITIES.index(name) for name in self.column("modality")])
        wanted = np.flatnonzero(np.isin(places, [MODALITIES.index(name) for name in modalities]))
        order = wanted[np.argsort(places[wanted], kind="stable")]
        is_ok = self.column("status")[order] == "ok"
        return order[is_ok], order[~is_ok]

    def tokens(self, row: int, *, model: Model | None = None) -> Tokens:
        """The tokens of one image, by its row in view; nothing else is read.

        The model adds its neck, where it has one.

        Raises
        ------
        StoreError
            If the store keeps no patch tokens, the row has failed, or the store is of another model.
        """
        if model is not None:
            self.check_model(model)
        one = self.rows([row])
        if one.column("status")[0] != "ok":
            raise StoreError(f"row {row} must have tokens: it has failed ({one.column('reason')[0]})")
        patches = torch.from_numpy(one.summary("patches").astype(np.float32))
        rows, cols = self.record.grid
        neck = None if model is None else neck_of(model)
        return Tokens(torch.from_numpy(one.features("plain")), patches, (rows, cols), neck)

    def check_model(self, model: Model) -> None:
        """Refuse a model whose image tower did not make the plain features.

        Raises
        ------
        StoreError
            If the weights or the input size are others.
        OptionError
            For anything but a model.
        """
        if not isinstance(model, Model):
            raise OptionError(
                f"a store goes with a model: got {model!r:.60}; make one with mswin_viz.load_model"
            )
        if weights_hash(model) != self.record.weights_hash:
            raise StoreError(
                f"a store goes with the model that made it: {shown_text(self.folder)} is of {self.record.model['weights']}, "
                f"the model is {model.tower.weights}; load that model, or extract with this one to another folder"
            )
        if list(model.image_size) != self.record.input_size:
            height, width = self.record.input_size
            raise StoreError(
                f"a store goes with the input size it was made at: got {model.image_size}; load the model with "
                f"image_size=({height}, {width})"
            )


def store_of(samples: Sequence[Sample]) -> Store | None:
    """The store that all of some samples were read from; None if there is no one such store."""
    if isinstance(samples, Store):
        return samples
    folders = {sample.stored and sample.stored.folder for sample in samples}
    folder = folders.pop() if len(folders) == 1 else None
    return None if folder is None else open_store(folder)


def rows_in_store(store: Store, images: Iterable[tuple[Sample, str]]) -> Int[np.ndarray, " image"]:
    """The row in view of each sample's image of a modality; StoreError if the store holds one no longer."""
    every = zip(store.column("sample").tolist(), store.column("modality").tolist(), strict=True)
    row_of = {image: row for row, image in enumerate(every)}
    rows = [row_of.get((sample.stored.number, name), -1) if sample.stored else -1 for sample, name in images]
    if -1 in rows:
        raise StoreError(
            f"a store must hold the images of the samples that were read from it: {shown_text(store.folder)} holds some "
            "no longer; read the samples again"
        )
    return np.array(rows, np.int64)


def stored_features(
    model: Model, store: Store, rows: Int[np.ndarray, " image"]
) -> tuple[Float[np.ndarray, "image dim"], Float[np.ndarray, "image wide"]]:
    """Plain and enhanced features of some rows, for a model; NaN where a row has none.

    The enhanced features of another add-on than the store's are computed from the patch tokens that it keeps, or from
    their phase means where the add-on's windows can tell no more apart; to the precision of these. StoreError if the
    store is of another tower, or keeps no such tokens.
    """
    store.check_model(model)
    distinct, places = np.unique(rows, return_inverse=True)
    chosen = store.rows(distinct)
    plain = chosen.features("plain")
    if addon_hash(model) == store.record.addon_hash:
        enhanced = chosen.features("enhanced")
    elif model.addon is None:
        enhanced = plain
    else:
        kept = _tokens_for(model, store)
        batches = (slice(start, start + _BATCH) for start in range(0, len(distinct), _BATCH))
        enhanced = np.concatenate([_enhanced(model, chosen.rows(batch), kept) for batch in batches])
    return plain[places], enhanced[places]


def neck_of(model: Model) -> Neck | None:
    """The BatchNorm between a model's tower and its feature, on the CPU; None without one."""
    readout = model.tower.readout
    return None if readout is None or readout.neck is None else readout.neck.to(torch.device("cpu"))


def _tokens_for(model: Model, store: Store) -> str:
    """Which tokens of the store hold all that the model's add-on sees."""
    shapes, parts = store.record.token_shapes, window_parts(model.addon)
    if "patches" in shapes:
        return "patches"
    if "phase_means" in shapes and parts is not None and parts.projection is None:
        period = shapes["phase_means"][0]
        if all(period % scale == 0 for scale in model.addon.scales):  # pyright: ignore[reportOptionalMemberAccess]
            return "phase_means"
    raise StoreError(
        f"another add-on than that of the store needs its patch tokens: {shown_text(store.folder)} keeps "
        f"{', '.join(shapes) or 'none'}; extract again with tokens='all', or with this add-on"
    )


def _enhanced(model: Model, store: Store, kept: str) -> Float[np.ndarray, "row wide"]:
    patches = torch.from_numpy(store.summary(kept).astype(np.float32))
    grid = model.grid if kept == "patches" else (1, patches.shape[1])
    tokens = Tokens(torch.from_numpy(store.features("plain")), patches, grid, neck_of(model))
    with torch.no_grad():
        return model.enhance(tokens.to(model.device)).cls.cpu().numpy()


def open_store(folder: str | Path, *, root: str | Path | None = None) -> Store:
    """Open a store; nothing but its description is read yet.

    Parameters
    ----------
    folder
        That :func:`mswin_viz.extract` wrote to.
    root
        Where the data set lies now, if it was moved.

    Returns
    -------
    store
        All of its rows in view.

    Raises
    ------
    StoreError
        If the folder is not a store, or its description is damaged.
    OptionError
        If ``folder`` is no path, or ``root`` no folder.

    Examples
    --------
    >>> _ = mv.extract(samples[:4], "store", model=model, modalities=["RGB"], tokens="all", progress=False)
    >>> store = mv.open_store("store")
    >>> store.n_rows, store.record.dim, store[0].label
    (4, 512, 'id 1, camera 1')
    >>> tuple(store.tokens(2, model=model).patches.shape)
    (1, 128, 512)
    """
    if not isinstance(folder, str | Path):
        raise OptionError(
            f"a store is opened by the path of its folder: got {folder!r:.60}; write mv.open_store('store')"
        )
    if root is not None and not Path(root).is_dir():
        raise OptionError(
            f"root must be the folder of the data set: got {shown_text(root)}, which is not a folder"
        )
    return Store(**store_parts(Path(folder).expanduser(), root))
