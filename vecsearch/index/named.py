"""A collection seen by its named vectors: the same rows, with the vectors of another column.

The index of named vectors is an ordinary index of such a view. Whatever builds, calibrates, grows
or searches an index takes a snapshot and a store, and need not know whose vectors they show. Rows
without such a vector are not live in the view.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import Mask, Positions, Vectors
from vecsearch.common.fork import Lock
from vecsearch.common.lazy import lazy
from vecsearch.errors import ConflictError
from vecsearch.index.muvera import encoding_for
from vecsearch.storage.layout import NO_INDEX_SETTING
from vecsearch.storage.manifest import Manifest, replace
from vecsearch.storage.named_vectors import VectorColumn, matrix_of, vector_columns
from vecsearch.storage.segment import Segment
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.staging import Staging
from vecsearch.storage.store import Store
from vecsearch.types import Metric

UNIT = 5e-7  # a squared length so near 1 is that of a unit vector in float32
BLOCK_VALUES = 1 << 24  # numbers of vectors that are read or encoded together
NO_INDEX_OF = f"{NO_INDEX_SETTING}_of"  # the setting of each column, in the collection's


def manifest_of(manifest: Manifest, name: str) -> Manifest:
    """A version as its named vectors are indexed. Raises ConflictError if they are gone."""
    column = vector_columns(manifest.schema).get(name)
    if column is None:
        raise ConflictError(f"the vectors {name!r} were removed meanwhile")
    settings = {key: value for key, value in manifest.settings.items() if key != NO_INDEX_SETTING}
    if name in settings.get(NO_INDEX_OF, ()):
        settings[NO_INDEX_SETTING] = True
    return replace(
        manifest,
        metric=Metric.IP if column.multi else column.metric,
        dim=encoding_for(column.dim).dim if column.multi else column.dim,
        dtype="float32",
        embedder=None,
        shards=1,  # one index of all rows, wherever they are
        indexes=manifest.vector_indexes.get(name, ()),
        settings=settings,
    )


def with_indexes_of(latest: Manifest, name: str, following: Manifest) -> Manifest:
    """The version of the collection that a change to the view of its latest one stands for."""
    refused = {*latest.settings.get(NO_INDEX_OF, ())} - {name}
    if following.settings.get(NO_INDEX_SETTING):
        refused.add(name)
    settings = {key: value for key, value in latest.settings.items() if key != NO_INDEX_OF}
    if refused:
        settings[NO_INDEX_OF] = sorted(refused)
    groups = {key: group for key, group in latest.vector_indexes.items() if key != name}
    if following.indexes:
        groups[name] = following.indexes
    return replace(
        following,
        metric=latest.metric,
        dim=latest.dim,
        dtype=latest.dtype,
        embedder=latest.embedder,
        shards=latest.shards,
        indexes=latest.indexes,
        settings=settings,
        vector_indexes=groups,
    )


class _Column(NamedTuple):
    """The vectors of a segment: None where a row has several; and which rows have some."""

    vectors: Vectors | None
    present: Mask | None  # None for all


class NamedSnapshot(Snapshot):
    """A version seen by named vectors. Thread-safe. It holds the version that it shows.

    Of rows with several vectors it shows the encoding of the list (`muvera.py`).

    Raises:
        ConflictError: The version has no vectors of this name.
    """

    def __init__(self, whole: Snapshot, name: str) -> None:
        self.manifest = manifest_of(whole.manifest, name)
        self.root, self.files = whole.root, whole.files
        self.starts, self.rows = whole.starts, whole.rows
        self._memo, self._memo_lock = {}, Lock()
        self._lock = whole._lock
        self.column = name
        self.whole = whole
        self.kind: VectorColumn = vector_columns(whole.manifest.schema)[name]

    @lazy
    def segments(self) -> Any:
        return self.whole.segments

    @lazy
    def live(self) -> RowSelection:
        whole = self.whole.live
        parts = [self._column(number).present for number in range(len(self.manifest.segments))]
        if all(part is None for part in parts):
            return whole
        sizes = [entry.rows for entry in self.manifest.segments]
        filled = [
            np.ones(size, bool) if part is None else part
            for part, size in zip(parts, sizes, strict=True)
        ]
        mask = np.concatenate(filled)
        if whole.mask is not None:
            mask &= whole.mask
        return RowSelection(mask, int(np.count_nonzero(mask)))

    def vectors_of(self, number: int) -> npt.NDArray[np.floating]:
        vectors = self._column(number).vectors
        if vectors is None:  # of rows with several
            rows = np.arange(self.manifest.segments[number].rows) + int(self.starts[number])
            return self.stored_vectors(rows)
        return vectors

    def scattered_vectors(self, positions: Positions) -> npt.NDArray[np.float32]:
        return self.stored_vectors(positions)

    def stored_vectors(self, positions: Positions) -> npt.NDArray[np.float32]:
        if not self.kind.multi:
            return super().stored_vectors(positions)
        encoding = encoding_for(self.kind.dim)
        out = np.zeros((len(positions), encoding.dim), np.float32)
        for part in self.blocks(positions):
            vectors, counts = self.lists_of(positions[part])
            has = np.flatnonzero(counts)
            out[part.start + has] = encoding.documents(vectors, counts[has])
        return out

    def blocks(self, positions: Positions) -> Iterator[slice]:
        """Parts of some rows that are few enough to be read together."""
        values = max(self.manifest.dim, 64 * self.kind.dim)
        step = max(1, BLOCK_VALUES // values)
        for first in range(0, len(positions), step):
            yield slice(first, min(first + step, len(positions)))

    def lists_of(self, positions: Positions) -> tuple[Vectors, npt.NDArray[np.int64]]:
        """The vectors of rows with several, one row after the other, of unit length for cosine.

        Returns:
            float32 (vectors, dim), and how many each row has, 0 if it has none: int64 (rows,).
        """
        array = self.whole.take_stored([self.column], positions).column(0)
        counts = np.zeros(len(positions), np.int64)
        present = array.is_valid().to_numpy(zero_copy_only=False)
        array = array.drop_null()
        counts[present] = array.value_lengths().to_numpy(zero_copy_only=False)
        return self.comparable(matrix_of(array.flatten(), self.kind.dim)), counts

    def comparable(self, vectors: Vectors) -> Vectors:
        """Vectors as they are compared: of unit length for cosine."""
        return _unit(vectors) if self.kind.metric is Metric.COSINE else vectors

    def _column(self, number: int) -> _Column:
        entry = self.manifest.segments[number]
        return self.files.remembered(
            f"vectors {self.column} of {entry.name}",
            (entry.name,),
            lambda: _read(self.segments[number], self.column, self.kind),
        )


def _read(segment: Segment, name: str, kind: VectorColumn) -> _Column:
    """The vectors of a segment, in the file where that is possible."""
    array = segment.column(name)
    present: Mask | None = None
    if array.null_count:
        present = array.is_valid().to_numpy(zero_copy_only=False)
    if kind.multi:
        lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        return _Column(None, None if lengths.all() else lengths > 0)
    if array.null_count == len(array):
        return _Column(np.zeros((len(array), kind.dim), np.float32), present)
    values = _values(array, kind.dim)
    if present is not None:
        values = np.where(present[:, None], values, np.float32(0))
    return _Column(_unit(values) if kind.metric is Metric.COSINE else values, present)


def _values(array: pa.FixedSizeListArray, dim: int) -> Vectors:
    """The numbers of lists, those of missing ones too: float32 (rows, dim)."""
    inner = array.values.slice(array.offset * dim, len(array) * dim)
    numbers = np.asarray(inner.to_numpy(zero_copy_only=False), np.float32)
    return np.ascontiguousarray(numbers.reshape(-1, dim))


def _unit(vectors: Vectors) -> Vectors:
    """Vectors with unit length; those that have it already are not copied. Zeros stay."""
    step = max(1, BLOCK_VALUES // max(1, vectors.shape[1]))
    squares = np.concatenate(
        [np.empty(0)]
        + [
            np.square(vectors[first : first + step].astype(np.float64)).sum(axis=1)
            for first in range(0, len(vectors), step)
        ]
    )
    squares[squares == 0] = 1.0
    if (np.abs(squares - 1.0) <= UNIT).all():
        return vectors
    out = np.empty_like(vectors)
    for first in range(0, len(vectors), step):
        part = slice(first, first + step)
        out[part] = vectors[part].astype(np.float64) / np.sqrt(squares[part])[:, None]
    return out


class NamedStore(Store):
    """A collection's folder seen by named vectors, for what builds and commits their indexes."""

    def __init__(self, whole: Store, name: str) -> None:
        self.whole, self.column = whole, name
        self.root, self.files = whole.root, whole.files
        self.lock_timeout, self.limits = whole.lock_timeout, whole.limits
        self._latest: Manifest | None = None

    def snapshot(self, version: int | None = None, *, pulled: bool = False) -> Snapshot:
        return NamedSnapshot(self.whole.snapshot(version, pulled=pulled), self.column)

    @contextlib.contextmanager
    def staging(self) -> Iterator[Staging]:
        with self.whole.staging() as staging:
            yield staging

    @contextlib.contextmanager
    def locked(self, most: float = threading.TIMEOUT_MAX) -> Iterator[Snapshot]:
        with self.whole.locked(most) as latest:
            self._latest = latest.manifest
            yield NamedSnapshot(latest, self.column)

    def commit(self, staging: Staging | None, version: Manifest) -> None:
        assert self._latest is not None  # the lock is held
        self.whole.commit(staging, with_indexes_of(self._latest, self.column, version))
