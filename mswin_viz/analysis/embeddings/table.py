"""Plain and enhanced CLS features of a data set: one row for each image, with what is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.arrays import unit_rows_or_nan
from mswin_viz.analysis.attribution.target import FEATURES
from mswin_viz.analysis.measures.ranking import check_metric
from mswin_viz.data.images.image_source import MODALITIES, Crop, joined_name
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.errors import DataError, OptionError, ShapeError
from mswin_viz.model.encoder.encoded_batch import Failure
from mswin_viz.model.tokens.tensors import float_tensor

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float, Int

_KNOWN = ("pid", "camid", "scene", "split")
_N_AXES = dict.fromkeys(("sample", "modality", *_KNOWN), 1) | dict.fromkeys(FEATURES, 2)


@dataclass(frozen=True, eq=False)
class EmbeddingTable:
    """One row for each image that could be embedded, or, after :meth:`concatenated`, for each sample.

    Attributes
    ----------
    sample
        Index of the row's sample among the samples given to :func:`mswin_viz.embed`, ``[n]``.
    modality
        ``"RGB"``, ``"NI"``, ``"TI"``, or several joined with ``+``, ``[n]``.
    pid, camid, scene
        Identity, camera and scene, ``[n]``; -1 where not known.
    split
        ``"train"``, ``"query"``, ``"gallery"`` or ``"test"``, ``[n]``; empty where not known.
    files
        Modality -> file of each row.
    plain, enhanced
        CLS features before and after the add-on, ``[n, D]`` float32, not normalised; equal without an add-on. Where
        the add-on's feature is concatenated, ``enhanced`` is ``[n, D + E]``.
    failed
        Images without a row, and why.
    is_equalised
        Whether each modality was brought to unit length before it was joined to the others.
    metric
        By what rows are ranked: ``"cosine"``, or ``"euclidean"`` distance of the features as they are (the way of a
        host whose configuration sets FEAT_NORM to no).
    root
        Folder of the data set that every sample came from; None if there is no one such folder.
    feature_names
        What ``plain`` and ``enhanced`` are called, where they are the features of two models.

    Raises
    ------
    ShapeError
        If a column has not one entry for each row.
    OptionError
        If there is no such metric.

    Examples
    --------
    >>> table = mv.embed(model, samples[:8], progress=False)
    >>> table.rows("TI").tolist(), table[table.pid == 1].modality.tolist()[:2]
    ([16, 17, 18, 19, 20, 21, 22, 23], ['RGB', 'RGB'])
    >>> table.concatenated().plain.shape  # a row for each sample: RGB, NI and TI behind one another
    (8, 1536)
    >>> table.to_pandas().columns.tolist()[:4]
    ['sample', 'modality', 'pid', 'camid']
    """

    sample: Int[np.ndarray, " row"]
    modality: np.ndarray
    pid: Int[np.ndarray, " row"]
    camid: Int[np.ndarray, " row"]
    scene: Int[np.ndarray, " row"]
    split: np.ndarray
    files: tuple[Mapping[str, Path | Crop], ...]
    plain: Float[np.ndarray, "row dim"]
    enhanced: Float[np.ndarray, "row wide"]
    failed: tuple[Failure, ...] = ()
    is_equalised: bool = False
    metric: str = "cosine"
    root: Path | None = None
    feature_names: tuple[str, str] = FEATURES

    def __post_init__(self) -> None:
        check_metric(self.metric)
        for name in FEATURES:
            given = getattr(self, name)
            if not (type(given) is np.ndarray and given.dtype in (np.float32, np.float64)):
                found = float_tensor(given, f"the {name} features of a table").detach().cpu().numpy()
                object.__setattr__(self, name, found)
        n_rows = len(self.files)
        for name, n_axes in _N_AXES.items():
            shape = np.shape(getattr(self, name))
            if len(shape) != n_axes or shape[0] != n_rows:
                raise ShapeError(
                    f"a table has one entry for each of its {counted(n_rows, 'rows')}: got {name} of shape {shape}"
                )

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        kinds = ", ".join(f"{len(self.rows(name))} {name}" for name in self.modalities)
        bad = f", {counted(len(self.failed), 'images')} failed" if self.failed else ""
        dim, wide = self.plain.shape[1], self.enhanced.shape[1]
        width = f"dim {dim}" if dim == wide else f"dim {dim}, enhanced {wide}"
        return f"EmbeddingTable({counted(len(self), 'rows')}: {kinds}; {width}{bad})"

    def __getitem__(self, rows: Sequence[int] | slice | np.ndarray) -> EmbeddingTable:
        """A table of some rows, in that order."""
        if not isinstance(rows, slice) and np.ndim(np.asarray(rows)) == 0:
            raise OptionError(
                f"a table is indexed by a slice or by several rows: got {rows!r}; use table[[{rows!r}]]"
            )
        at = np.arange(len(self))[rows]
        columns = {name: getattr(self, name)[at] for name in _N_AXES}
        files = tuple(self.files[row] for row in at)
        return replace(self, **columns, files=files)

    @property
    def path(self) -> tuple[Path | Crop, ...]:
        """The file (or part of one) of each row; of joined modalities the first one's."""
        return tuple(next(iter(files.values())) for files in self.files)

    @cached_property
    def modalities(self) -> tuple[str, ...]:
        """The values of :attr:`modality` that occur, in the order of the rows."""
        return tuple(dict.fromkeys(self.modality.tolist()))

    def rows(self, modality: str) -> Int[np.ndarray, " some"]:
        """Positions of the rows of one modality, or of a joint one such as ``"RGB+NI+TI"``."""
        return np.flatnonzero(self.modality == modality)

    def row_of(self, sample: int, modality: str) -> int:
        """Position of a sample's row; -1 where it has none."""
        found = np.flatnonzero((self.sample == sample) & (self.modality == modality))
        return int(found[0]) if len(found) else -1

    def unit(self, feature: str) -> Float[np.ndarray, "row dim"]:
        """Features of unit length, float64, kept; a row without a direction is NaN.

        Raises
        ------
        OptionError
            If ``feature`` is not one of ``FEATURES``.
        """
        return self._units[_checked_feature(feature)]

    def compared(self, feature: str) -> Float[np.ndarray, "row dim"]:
        """Features as :attr:`metric` compares them, float64, kept: of unit length for the cosine, else as they are.

        Raises
        ------
        OptionError
            If ``feature`` is not one of ``FEATURES``.
        """
        return (self._units if self.metric == "cosine" else self._raw)[_checked_feature(feature)]

    def concatenated(
        self, modalities: Sequence[str] = MODALITIES, *, equalised: bool = False
    ) -> EmbeddingTable:
        """One row for each sample that has all of some modalities, their features joined in that order.

        Features are joined raw and have unit length only as a whole, at ranking (the way of MambaPro and its kin), so
        that a modality with longer features has more say. What stands behind the CLS tokens comes after all of them.

        Parameters
        ----------
        modalities
            Which, in order.
        equalised
            Bring each modality to unit length first, so that all have the same say. Named in :attr:`is_equalised`.

        Raises
        ------
        OptionError
            If there is no modality, or one twice.
        DataError
            If no sample has all of them.
        """
        if not modalities or len(set(modalities)) < len(modalities):
            raise OptionError(f"name each modality to join exactly once: got {tuple(modalities)}")
        found = [{int(self.sample[row]): row for row in self.rows(name)} for name in modalities]
        shared = [sample for sample in found[0] if all(sample in rows for rows in found)]
        if not shared:
            raise DataError(
                f"a joint row needs a sample with all of {', '.join(modalities)}: got {self!r}; choose "
                "modalities that occur together"
            )
        at = [[rows[sample] for sample in shared] for rows in found]
        joint = {
            name: _joined([_scaled(getattr(self, name)[rows], equalised) for rows in at], self.plain.shape[1])
            for name in FEATURES
        }
        files = tuple(
            {k: v for row in rows for k, v in self.files[row].items()} for rows in zip(*at, strict=True)
        )
        about = {name: getattr(self, name)[at[0]] for name in ("sample", *_KNOWN)}
        kind = np.full(len(shared), joined_name(modalities))
        return replace(self, **about, **joint, modality=kind, files=files, is_equalised=equalised)

    def to_pandas(self) -> pd.DataFrame:
        """Everything but the features, one line for each row; the index is the row's position.

        Whatever is not valid text in a path is escaped; :attr:`path` has the files themselves.
        """
        import pandas as pd  # slow to import, and not needed to rank

        columns = {name: getattr(self, name) for name in ("sample", "modality", *_KNOWN)}
        return pd.DataFrame(columns | {"path": [shown_text(path) for path in self.path]})

    @cached_property
    def _raw(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(getattr(self, name), np.float64) for name in FEATURES}

    @cached_property
    def _units(self) -> dict[str, np.ndarray]:
        return {name: unit_rows_or_nan(getattr(self, name)) for name in FEATURES}


def _checked_feature(feature: str) -> str:
    if feature not in FEATURES:
        raise OptionError(f"feature must be one of {', '.join(FEATURES)}: got {feature!r}")
    return feature


def _scaled(features: Float[np.ndarray, "row dim"], equalised: bool) -> Float[np.ndarray, "row dim"]:
    return unit_rows_or_nan(features).astype(np.float32) if equalised else features


def _joined(features: Sequence[Float[np.ndarray, "row each"]], dim: int) -> Float[np.ndarray, "row all"]:
    """CLS tokens side by side, then what stands behind each: so plain and enhanced have the same columns first."""
    cls, behind = ([feature[:, part] for feature in features] for part in (slice(dim), slice(dim, None)))
    return np.concatenate([*cls, *behind], axis=1)
