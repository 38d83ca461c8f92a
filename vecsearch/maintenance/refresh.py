"""Which rows of an add say what the collection says already: they are left out.

A row with an id is compared with the document of this id. Rows without ids are compared with all
documents, so that adding the same file twice doubles nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Mask, Positions
from vecsearch.ingest.rows import RowChecker, Rows
from vecsearch.query.documents import first_rows, whole_texts
from vecsearch.storage.ids import id_keys
from vecsearch.storage.schema import encode_vectors, vector_view
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import NORM, VECTOR

_BLOCK = 4096  # documents that are looked at together
MAX_ALIKE = 100  # documents of one key that a row is compared with


def refreshing(base: Snapshot, checker: RowChecker) -> Refresher:
    """What leaves out the rows of an add that change nothing."""
    return Refresher(base, checker)


class Refresher:
    """Leaves out the rows that a version has already.

    Args:
        base: The version that the change began with.
        checker: What checked the rows.
    """

    def __init__(self, base: Snapshot, checker: RowChecker) -> None:
        self.base = base
        self.checker = checker
        self.unchanged = 0
        self._stored: tuple[npt.NDArray[np.int64], Positions] | None = None

    def complete(self, rows: Rows, names: Sequence[str]) -> list[Rows]:
        """The rows that are new or changed."""
        if not self.base.manifest.documents or not len(rows.numbers):
            return [rows]
        if self.checker.generates_ids:
            same = self._found_by_content(rows, names)
        else:
            owners, positions = self.base.locate(rows.ids)
            found, starts, counts = np.unique(owners, return_index=True, return_counts=True)
            if rows.vectors is not None:
                found, starts = found[counts == 1], starts[counts == 1]
            same = np.zeros(len(rows.numbers), bool)
            same[found] = self._same(_taken(rows, found), positions[starts], names)
        self.unchanged += int(np.count_nonzero(same))
        return [rows.keep(~same)]

    def recheck(self, latest: Snapshot) -> None:
        """Nothing: what another writer changed meanwhile is replaced, or stays as it was left."""

    def _same(self, rows: Rows, positions: Positions, names: Sequence[str]) -> Mask:
        """Which rows say what the documents at these positions say, their ids apart."""
        manifest = self.base.manifest
        same = np.ones(len(positions), bool)
        if not len(positions):
            return same
        id_column, texts = manifest.id_column, manifest.text_columns
        known = manifest.schema.names
        compared = [n for n in rows.batch.schema.names if n not in (id_column, *texts)]
        compared = [name for name in compared if name in known or name in names]
        stored = self.base.take([name for name in compared if name in known], positions)
        for name in compared:
            new = rows.batch.column(name)
            old = stored.column(name) if name in known else pa.nulls(len(new), new.type)
            same &= _equal(new, old)
        shown = [name for name in texts if name in rows.batch.schema.names]
        if shown:
            ids = self.base.take([id_column], positions).column(0)
            for name, old_texts in zip(shown, whole_texts(self.base, ids, shown), strict=True):
                same &= _alike(rows.batch.column(name).to_pylist(), old_texts)
        if rows.vectors is not None:
            same &= self._same_vectors(rows, positions)
        return same

    def _same_vectors(self, rows: Rows, positions: Positions) -> Mask:
        manifest = self.base.manifest
        assert rows.vectors is not None
        columns = encode_vectors(rows.vectors, manifest.metric, manifest.dtype)
        stored = self.base.take_stored(list(columns), positions)
        found = [vector_view(each, manifest.dim) for each in (columns[VECTOR], stored[VECTOR])]
        same: Mask = (found[0] == found[1]).all(axis=1)
        if NORM in columns:
            same &= columns[NORM].to_numpy() == stored[NORM].to_numpy()
        return same

    def _found_by_content(self, rows: Rows, names: Sequence[str]) -> Mask:
        """Which rows are those of any document."""
        same = np.zeros(len(rows.numbers), bool)
        by_vector = rows.vectors is not None
        if self._stored is None:
            keys, positions = self._stored_keys(by_vector)
            order = np.argsort(keys, kind="stable")
            self._stored = keys[order], positions[order]
        keys, positions = self._stored
        if rows.vectors is not None:
            manifest = self.base.manifest
            columns = encode_vectors(rows.vectors, manifest.metric, manifest.dtype)
            wanted = _vector_keys(vector_view(columns[VECTOR], manifest.dim))
        else:
            wanted = self._text_keys(rows.batch)
        first = np.searchsorted(keys, wanted)
        last = np.searchsorted(keys, wanted, side="right")
        for number in range(MAX_ALIKE):
            left = np.flatnonzero(~same & (first + number < last))
            if not len(left):
                break
            same[left] = self._same(_taken(rows, left), positions[first[left] + number], names)
        return same

    def _stored_keys(self, by_vector: bool) -> tuple[npt.NDArray[np.int64], Positions]:
        """A key of the content of each document, and the position of its first row."""
        manifest = self.base.manifest
        positions = first_rows(self.base)
        found = []
        for start in range(0, len(positions), _BLOCK):
            block = positions[start : start + _BLOCK]
            if by_vector:
                vectors = self.base.take_stored([VECTOR], block).column(0)
                found.append(_vector_keys(vector_view(vectors, manifest.dim)))
            else:
                names = list(manifest.text_columns)
                ids = self.base.take([manifest.id_column], block).column(0)
                texts = whole_texts(self.base, ids, names)
                found.append(self._text_keys(pa.record_batch(texts, names)))
        return np.concatenate(found) if found else np.zeros(0, np.int64), positions

    def _text_keys(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """A key of the text in the main text column."""
        name = self.base.manifest.text_column
        values = batch.column(name).to_pylist() if name else []
        texts = [value if isinstance(value, str) else repr(value) for value in values]
        return id_keys(pa.array(texts, pa.large_string()))


def _taken(rows: Rows, at: npt.NDArray[np.int64]) -> Rows:
    mask = np.zeros(len(rows.numbers), bool)
    mask[at] = True
    return rows.keep(mask)


def _equal(new: pa.Array, old: pa.Array) -> Mask:
    """Where two columns have the same value, or both none."""
    if isinstance(new, pa.ExtensionArray) or pa.types.is_nested(new.type):
        return _alike(new.to_pylist(), old.to_pylist())
    try:
        old = old.cast(new.type)
        both = pc.equal(new, old).fill_null(False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _alike(new.to_pylist(), old.to_pylist())
    both = pc.or_(both, pc.and_(new.is_null(), old.is_null()))
    if pa.types.is_floating(new.type):
        both = pc.or_(both, pc.and_(pc.is_nan(new), pc.is_nan(old)).fill_null(False))
    return np.asarray(both.to_numpy(zero_copy_only=False), bool)


def _alike(new: Sequence[object], old: Sequence[object]) -> Mask:
    return np.array([one == other for one, other in zip(new, old, strict=True)], bool)


def _vector_keys(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """A key of the bits of each vector; vectors that are not the same may share one."""
    words = np.ascontiguousarray(vectors).view(f"u{vectors.dtype.itemsize}").astype(np.uint64)
    factors = np.random.default_rng(1).integers(1, 2**63, words.shape[1], np.uint64) | np.uint64(1)
    keys: npt.NDArray[np.int64] = (words * factors).sum(axis=1, dtype=np.uint64).view(np.int64)
    return keys
