"""A read-only view of one version of a collection.

Rows have a position: segments in manifest order, run together. Positions are valid within one snapshot. A snapshot holds a
shared lock on its manifest, so that garbage collection leaves the files it may still open alone.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Mask, Positions
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import CorruptedError, InvalidInputError, VersionNotFoundError
from vecsearch.query.filter import Filter, compile_filter
from vecsearch.storage import locks, log, manifest
from vecsearch.storage.ids import id_keys
from vecsearch.storage.locks import FileLock
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.open_files import OpenFiles, read_rows
from vecsearch.storage.schema import vector_array, vector_view
from vecsearch.storage.segment import Segment
from vecsearch.storage.selection import RowSelection
from vecsearch.types import CHUNK, ID, NORM, RESERVED, VECTOR, Id, Metric

if TYPE_CHECKING:
    from vecsearch.index.faiss import FaissIndex, RowMap

FEW_ROWS = 256  # up to so many ids are read one by one: quicker than through Arrow
CACHED_MASKS = 64  # filters whose masks a snapshot remembers; a mask has one byte a row


class Snapshot:
    """One version, opened for reading. Thread-safe. Opening reads the manifest only; files are mapped when first needed."""

    def __init__(self, root: Path, facts: Manifest, files: OpenFiles, lock: FileLock) -> None:
        self.root = root
        self.facts = facts
        self.files = files
        self.starts: Positions = np.cumsum([0, *(entry.rows for entry in facts.segments)])
        self.rows = int(self.starts[-1])
        self._kept: OrderedDict[str, RowSelection] = OrderedDict()
        self._labels: Positions | None = None  # of the index, once index_entry has looked
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, lock.release)

    # -- rows ------------------------------------------------------------------------------------------------------------

    @cached_property
    def segments(self) -> Sequence[Segment]:
        """The segments, each opened when it is first asked for: a damaged one leaves the others readable."""
        return _Segments(self.files, self.facts)

    @cached_property
    def chunked(self) -> bool:
        """Whether rows are passages of documents."""
        return CHUNK in self.facts.schema.names

    def verify(self) -> None:
        """Compare all segments with their checksums, before work that rests on every vector. Raises CorruptedError."""
        for segment in self.segments:
            segment.file.verify_all()

    @cached_property
    def live(self) -> RowSelection:
        """The rows that are not deleted."""
        if not self.facts.deleted:
            return RowSelection(None, self.rows)
        mask = np.ones(self.rows, bool)
        for start, entry in zip(self.starts, self.facts.segments, strict=False):
            mask[start + self.files.tombstones(entry)] = False
        return RowSelection(mask, self.rows - self.facts.deleted)

    def kept(self, where: str | pc.Expression | None) -> RowSelection:
        """The live rows for which a filter is true. Raises FilterError."""
        if where is None:
            return self.live
        compiled = None if isinstance(where, str) else compile_filter(where, self.filter_schema)
        key = f"text:{where}" if compiled is None else compiled.key  # the same text again needs no compiling
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        kept = self._evaluate(compiled or compile_filter(where, self.filter_schema))
        with self._lock:
            self._kept[key] = kept
            if len(self._kept) > CACHED_MASKS:
                self._kept.popitem(last=False)
        return kept

    @cached_property
    def filter_schema(self) -> pa.Schema:
        """The columns a filter may name."""
        return pa.schema([field for field in self.facts.schema if field.name not in RESERVED])

    def _evaluate(self, compiled: Filter) -> RowSelection:
        masks = [compiled.mask(segment.select(compiled.columns)) for segment in self.segments]
        mask = np.concatenate(masks) if masks else np.empty(0, bool)
        if self.live.mask is not None:
            mask &= self.live.mask
        return RowSelection(mask, int(np.count_nonzero(mask)))

    def locate(self, ids: pa.Array) -> tuple[Positions, Positions]:
        """Live rows of some ids (of the collection's id type): (which of `ids`, position), ordered by both."""
        keys = id_keys(ids)
        owners, positions = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for start, entry in zip(self.starts, self.facts.segments, strict=False):
            owner, rows = self.files.ids(entry).find(keys)
            if not len(rows):
                continue
            alive = ~np.isin(rows, self.files.tombstones(entry)) if entry.deleted else np.ones(len(rows), bool)
            if not pa.types.is_integer(ids.type):  # keys are digests: compare the ids themselves
                real = self.files.segment(entry).take([ID], rows).column(0)
                alive &= pc.equal(real, ids.take(pa.array(owner))).to_numpy(zero_copy_only=False)
            owners.append(owner[alive])
            positions.append(rows[alive] + start)
        owner, position = np.concatenate(owners), np.concatenate(positions)
        order = np.lexsort((position, owner))
        return owner[order], position[order]

    def split(self, positions: Positions) -> Iterator[tuple[int, Positions, Positions]]:
        """Group positions by segment: (segment number, indices into `positions`, rows in the segment)."""
        if len(self.facts.segments) == 1:
            yield 0, np.arange(len(positions)), positions
            return
        owner = np.searchsorted(self.starts, positions, "right") - 1
        for number in np.unique(owner).tolist():
            indices = np.flatnonzero(owner == number)
            yield number, indices, positions[indices] - self.starts[number]

    # -- reading ---------------------------------------------------------------------------------------------------------

    @property
    def columns(self) -> list[str]:
        """The columns handed out when none are named: all but vecsearch's own."""
        return [name for name in self.facts.schema.names if name not in RESERVED]

    def check_columns(self, names: Sequence[str]) -> None:
        """Raises InvalidInputError for a column that is not there, naming the nearest."""
        for name in names:
            if name not in self.facts.schema.names:
                raise InvalidInputError(f"there is no column {name!r}{did_you_mean(name, self.facts.schema.names)}")

    def take(self, names: Sequence[str], positions: Positions) -> pa.RecordBatch:
        """Some columns of some rows, in the order asked for. Vectors come back as they were given."""
        stored = self._stored_names(names)
        pieces, order = [], []
        for number, indices, rows in self.split(positions):
            pieces.append(self.segments[number].take(stored, rows))
            order.append(indices)
        if not pieces:
            return self._restore(names, pa.RecordBatch.from_pylist([], schema=self._schema_of(stored)))
        batch = pieces[0]
        if len(pieces) > 1:
            batch = pa.concat_batches(pieces).take(pa.array(np.argsort(np.concatenate(order), kind="stable")))
        return self._restore(names, batch)

    def ids_at(self, positions: Positions) -> list[Id]:
        """The ids of some rows, as Python values."""
        if len(positions) > FEW_ROWS:
            return list(self.take([ID], positions).column(0).to_pylist())
        if len(self.facts.segments) == 1:
            return self.segments[0].ids(positions)
        ids: list[Id] = [0] * len(positions)
        for number, indices, rows in self.split(positions):
            for at, name in zip(indices.tolist(), self.segments[number].ids(rows), strict=True):
                ids[at] = name
        return ids

    def scan(
        self, names: Sequence[str] | None = None, where: str | pc.Expression | None = None, batch_rows: int = 8192
    ) -> Iterator[pa.RecordBatch]:
        """Stream the live rows in order, `batch_rows` at most at a time."""
        names = self.columns if names is None else list(names)
        self.check_columns(names)
        rows = self.kept(where).rows
        for at in range(0, len(rows), batch_rows):
            yield self.take(names, rows[at : at + batch_rows])

    def schema_of(self, names: Sequence[str]) -> pa.Schema:
        """The schema of what `take` and `scan` hand out."""
        return self._schema_of(names)

    def vectors_at(self, positions: Positions) -> npt.NDArray[np.float32]:
        """Vectors as they were given: float32 (len(positions), dim)."""
        return vector_view(self.take([VECTOR], positions).column(0), self.facts.dim).astype(np.float32, copy=False)

    def stored_vectors(self, positions: Positions) -> npt.NDArray[np.float32]:
        """Vectors as they are stored (unit length for cosine): float32 (len(positions), dim)."""
        out = np.empty((len(positions), self.facts.dim), np.float32)
        for number, indices, rows in self.split(positions):
            out[indices] = self.segments[number].vectors[rows]
        return out

    def documents_in(self, mask: Mask | None) -> int:
        """How many documents have a live row under the mask."""
        kept = self.live if mask is None else RowSelection(mask, int(np.count_nonzero(mask)))
        if not self.chunked:
            return kept.count
        if mask is None:
            return self.facts.documents
        return len(pc.unique(self.take([ID], kept.rows).column(0)))

    def _stored_names(self, names: Sequence[str]) -> list[str]:
        stored = list(names)
        if VECTOR in stored and self.facts.metric is Metric.COSINE and NORM not in stored:
            stored.append(NORM)
        return stored

    def _schema_of(self, names: Sequence[str]) -> pa.Schema:
        return pa.schema([self.facts.schema.field(name) for name in names])

    def _restore(self, names: Sequence[str], batch: pa.RecordBatch) -> pa.RecordBatch:
        """Give unit vectors their length back."""
        if VECTOR in names and self.facts.metric is Metric.COSINE:
            unit = vector_view(batch.column(VECTOR), self.facts.dim)
            norms = batch.column(NORM).to_numpy()
            if not (norms == 1).all():
                original = (unit.astype(np.float32) * norms[:, None]).astype(unit.dtype)
                batch = batch.set_column(batch.schema.names.index(VECTOR), batch.schema.field(VECTOR), vector_array(original))
        return batch.select(list(names))

    # -- the index -------------------------------------------------------------------------------------------------------

    @cached_property
    def index_entry(self) -> manifest.IndexEntry | None:
        """The index in use; None where there is none, or where its files are damaged or gone: that costs speed, no answer."""
        if not self.facts.indexes:
            return None
        entry = self.facts.indexes[-1]
        try:
            self._labels = self._labels_of(entry)
        except CorruptedError as error:
            warnings.warn(f"{error} Until then searches are exact.", RuntimeWarning, stacklevel=2)
            return None
        return entry

    @cached_property
    def index(self) -> FaissIndex | None:
        return self.files.index(self.index_entry) if self.index_entry else None

    @cached_property
    def labels(self) -> Positions | None:
        """Where each label of the index is now (int64 positions, -1 for rows gone); None when label i is position i."""
        return self._labels if self.index_entry else None

    def _labels_of(self, entry: manifest.IndexEntry) -> Positions | None:
        order = {segment.name: number for number, segment in enumerate(self.facts.segments)}
        _require_index(set(entry.covers) <= order.keys(), entry, "covers segments that the version does not have")
        numbers = [order[name] for name in entry.covers]
        index, rows = self.files.index(entry), sum(self.facts.segments[number].rows for number in numbers)
        _require_index(index.n == entry.rows, entry, f"has {index.n} rows where the manifest says {entry.rows}")
        _require_index(index.dim == self.facts.dim, entry, f"is of vectors of {index.dim} numbers, not {self.facts.dim}")
        _require_index(entry.labels is not None or entry.rows <= rows, entry, "has more rows than the segments it covers")
        if entry.labels is None and numbers == list(range(len(numbers))):
            return None
        labels = None if entry.labels is None else read_rows(self.root, entry.labels)
        if labels is not None:
            _require_index(len(labels) == entry.rows, entry, f"has {entry.rows} rows and {len(labels)} labels")
            _require_index(not len(labels) or int(labels.max()) < rows, entry, "has labels of rows that are not there")
            if numbers == list(range(len(numbers))):
                return labels
        covered = np.concatenate([np.empty(0, np.int64), *(np.arange(self.starts[n], self.starts[n + 1]) for n in numbers)])
        return covered[: entry.rows] if labels is None else np.where(labels < 0, -1, covered[labels])

    @cached_property
    def places(self) -> RowMap:
        """What the index needs to know to return positions instead of its labels."""
        return self.index.places(self.labels) if self.index else None

    @cached_property
    def has_gaps(self) -> bool:
        """Whether some labels of the index have no row any more."""
        return self.labels is not None and bool((self.labels < 0).any())

    @cached_property
    def fresh(self) -> Positions:
        """Positions outside the index: rows added since it was built (deleted ones included)."""
        if self.index_entry is None:
            return np.arange(self.rows)
        mask = np.ones(self.rows, bool)
        if self.labels is None:
            mask[: self.index_entry.rows] = False
        else:
            mask[self.labels[self.labels >= 0] if self.has_gaps else self.labels] = False
        return np.flatnonzero(mask)


def _require_index(true: bool, entry: manifest.IndexEntry, what: str) -> None:
    if not true:
        raise CorruptedError(f"the index {entry.name} {what}: repair builds it again.")


class _Segments(Sequence[Segment]):
    def __init__(self, files: OpenFiles, facts: Manifest) -> None:
        self._files = files
        self._facts = facts
        self._opened: list[Segment | None] = [None] * len(facts.segments)

    def __len__(self) -> int:
        return len(self._opened)

    @overload
    def __getitem__(self, number: int) -> Segment: ...
    @overload
    def __getitem__(self, number: slice) -> list[Segment]: ...
    def __getitem__(self, number: int | slice) -> Segment | list[Segment]:
        if isinstance(number, slice):
            return [self[each] for each in range(len(self))[number]]
        segment = self._opened[number]
        if segment is None:
            segment = self._files.segment(self._facts.segments[number])
            if not segment.schema.equals(self._facts.schema):
                raise CorruptedError(
                    f"{segment.file.path}: its columns are not those the manifest names: see `vecsearch check`"
                )
            self._opened[number] = segment
        return segment


def open_snapshot(root: Path, files: OpenFiles, version: int | None = None) -> Snapshot:
    """Open one version, or the latest, and hold its manifest against removal.

    Raises CollectionNotFoundError, VersionNotFoundError, CorruptedError.
    """
    for _ in range(100):
        facts = log.load(root, version)
        path = log.path_of(root, facts.version)
        try:
            lock = locks.lock_shared(path)
        except FileNotFoundError:
            continue  # removed between reading and locking: look again
        if path.exists():
            return Snapshot(root, facts, files, lock)
        lock.release()
    raise VersionNotFoundError(f"{root} changes too fast to be opened: try again")
