"""A read-only view of one version of a collection.

Each row has a position: its number when the segments follow each other in the order of the
manifest. Positions are valid within one snapshot. A snapshot holds a shared lock on its manifest,
so that garbage collection leaves alone the files it may still open.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import Mask, Positions, bools_in_numpy, numbers_in_arrow
from vecsearch.common.deadline import check_time
from vecsearch.common.fork import Lock
from vecsearch.common.lazy import lazy
from vecsearch.common.mapped import will_need
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError, VersionNotFoundError
from vecsearch.storage import locks, log
from vecsearch.storage.ids import id_keys
from vecsearch.storage.locks import FileLock
from vecsearch.storage.manifest import Manifest, replace
from vecsearch.storage.named_vectors import vector_columns
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.origins import hold
from vecsearch.storage.schema import decode_vectors, vector_array, vector_field, vector_view
from vecsearch.storage.segment import Segment, without_unused
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.shards import part_of
from vecsearch.types import NORM, RESERVED, VECTOR, Id, Metric

T = TypeVar("T")
FEW_ROWS = 256  # so few ids are read faster one by one than through Arrow
TABLE_ROWS, TABLE_BYTES = 65_536, 64 * 1024 * 1024  # read at a time for a table, at most
PASS_ROWS = 1_000_000  # rows that are compared with many ids at a time, at least
MANY_IDS = 16  # rows for one id, up to which a pass over all ids is faster than looking each up


class Snapshot:
    """One version, opened for reading. Thread-safe.

    Opening reads the manifest only; files are mapped when they are first needed.
    """

    column = ""  # the named vectors that it shows; "" for the collection's own

    def __init__(
        self,
        root: Path,
        manifest: Manifest,
        files: OpenFiles,
        lock: FileLock,
        release: Callable[[], None] | None = None,
    ) -> None:
        """Read a version.

        Args:
            root: The collection.
            manifest: The version.
            files: The files that this process has open.
            lock: The shared lock on the manifest.
            release: Ends what keeps the version elsewhere, if the folder is a copy.
        """
        self.root = root
        self.manifest = manifest
        self.files = files
        self.starts: Positions = np.cumsum([0, *(entry.rows for entry in manifest.segments)])
        self.rows = int(self.starts[-1])
        self._memo: dict[str, Any] = {}
        self._memo_lock = Lock()
        self._finalizer = weakref.finalize(self, lock.release)
        if release is not None:
            weakref.finalize(self, release)
        self._lock = lock
        self._whole: Snapshot | None = None  # of which this is a part

    def is_in_place(self) -> bool:
        """Whether the manifest that this snapshot holds is still the file at its path."""
        return self._lock.is_in_place()

    def is_latest(self) -> bool:
        """Whether this is still the latest version, and the manifest it holds in its place."""
        newest = log.versions(self.root)[-1:]
        return newest == [self.manifest.version] and self.is_in_place()

    def read_as(self, schema: pa.Schema) -> Snapshot:
        """The same rows with wider columns, for the change that is about to be committed.

        It holds no lock of its own: this snapshot must outlive it.
        """
        wider = object.__new__(Snapshot)
        wider.root, wider.files = self.root, self.files
        wider.manifest = replace(self.manifest, schema=schema)
        wider.starts, wider.rows = self.starts, self.rows
        wider._memo, wider._memo_lock = {}, Lock()
        return wider

    def of_shards(self, shards: Iterable[int]) -> Snapshot:
        """The rows and indexes of some shards alone. It holds this snapshot, and so its lock."""
        part = object.__new__(Snapshot)
        part.root, part.files = self.root, self.files
        part.manifest = part_of(self.manifest, shards)
        part.starts = np.cumsum([0, *(entry.rows for entry in part.manifest.segments)])
        part.rows = int(part.starts[-1])
        part._memo, part._memo_lock = {}, Lock()
        part._lock, part._whole = self._lock, self
        return part

    def memo(self, name: str, make: Callable[[], T]) -> T:
        """An object that another package derives from this snapshot, made once.

        It must not refer to the snapshot: a cycle would delay the release of the lock.
        """
        with self._memo_lock:
            if name not in self._memo:
                self._memo[name] = make()
            derived: T = self._memo[name]
            return derived

    # -- rows ---------------------------------------------------------------------------------

    @lazy
    def segments(self) -> Sequence[Segment]:
        """The segments, each opened when first used: a damaged one leaves the others readable."""
        return _Segments(self.files, self.manifest)

    def verify(self) -> None:
        """Compare all segments with their checksums. Raises CorruptedError."""
        for segment in self.segments:
            segment.verify_all()

    @lazy
    def live(self) -> RowSelection:
        """The rows that are not deleted."""
        if not self.manifest.deleted:
            return RowSelection(None, self.rows)
        mask = np.ones(self.rows, bool)
        for start, entry in zip(self.starts, self.manifest.segments, strict=False):
            mask[start + self.files.tombstones(entry)] = False
        return RowSelection(mask, self.rows - self.manifest.deleted)

    def locate(self, ids: pa.Array) -> tuple[Positions, Positions]:
        """Find the live rows of some ids.

        Args:
            ids: Ids, of the collection's id type.

        Returns:
            Two int64 arrays of equal length, ordered by both: the index of an id in `ids`, and the
            position of one of its rows.
        """
        keys = id_keys(ids)
        order = np.argsort(keys, kind="stable")  # sorted keys are found several times as fast
        keys = keys[order]
        owners, positions = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for number, entry in enumerate(self.manifest.segments):
            found, rows = self.files.ids(entry).find(keys)
            check_time()
            if not len(rows):
                continue
            owner = order[found]
            matches = ~_among(rows, self.files.tombstones(entry))
            if not pa.types.is_integer(ids.type):  # keys are digests: compare the ids themselves
                stored = self.segments[number].take([self.manifest.id_column], rows).column(0)
                same = pc.equal(stored, ids.take(numbers_in_arrow(owner)))
                matches &= bools_in_numpy(same)
            owners.append(owner[matches])
            positions.append(rows[matches] + self.starts[number])
        owner, position = np.concatenate(owners), np.concatenate(positions)
        by_owner = np.lexsort((position, owner))
        return owner[by_owner], position[by_owner]

    def select_ids(self, ids: pa.Array) -> RowSelection:
        """The live rows of some ids, of the collection's id type; unknown ids select nothing.

        Few ids are found by their keys, many by one pass over the column of ids.
        """
        mask = np.zeros(self.rows, bool)
        if len(ids) * MANY_IDS < self.rows:
            mask[self.locate(ids)[1]] = True
            return RowSelection(mask, int(np.count_nonzero(mask)))
        waiting: list[pa.Array] = []  # a pass makes a table of the ids, so it takes many rows
        done = 0
        for entry, stop in zip(self.manifest.segments, self.starts[1:].tolist(), strict=True):
            waiting.append(self.files.segment(entry).column(self.manifest.id_column))
            if stop - done >= max(len(ids), PASS_ROWS) or stop == self.rows:
                found = pc.is_in(pa.chunked_array(waiting, ids.type), value_set=ids)
                parts = [np.empty(0, bool), *map(bools_in_numpy, found.chunks)]
                mask[done:stop] = np.concatenate(parts)
                waiting, done = [], stop
                check_time()
        if self.live.mask is not None:
            mask &= self.live.mask
        return RowSelection(mask, int(np.count_nonzero(mask)))

    def split(self, positions: Positions) -> Iterator[tuple[int, Positions, Positions]]:
        """Group positions by segment.

        Yields:
            The number of a segment, indices into `positions`, and the rows in the segment.
        """
        if len(self.manifest.segments) == 1:
            yield 0, np.arange(len(positions)), positions
            return
        if not len(positions):
            return
        ends = np.array([positions.min(), positions.max()])
        first, last = (np.searchsorted(self.starts, ends, "right") - 1).tolist()
        if first == last:  # as where all rows are read in order
            yield first, np.arange(len(positions)), positions - self.starts[first]
            return
        owner = np.searchsorted(self.starts, positions, "right") - 1
        for number in np.unique(owner).tolist():
            indices = np.flatnonzero(owner == number)
            yield number, indices, positions[indices] - self.starts[number]

    # -- reading ------------------------------------------------------------------------------

    @property
    def columns(self) -> list[str]:
        """The columns that `scan` returns by default: all but vecsearch's own."""
        return [name for name in self.manifest.schema.names if name not in RESERVED]

    @lazy
    def payload(self) -> list[str]:
        """The columns that hits and documents show by default: those without vectors."""
        vectors = (VECTOR, *vector_columns(self.manifest.schema))
        return [name for name in self.columns if name not in vectors]

    def check_columns(self, names: Sequence[str]) -> None:
        """Raises InvalidInputError for a missing column, naming the nearest."""
        for name in names:
            if not isinstance(name, str) or name not in self.manifest.schema.names:
                known = did_you_mean(name, self.manifest.schema.names)
                raise InvalidInputError(f"there is no column {shown(name)}{known}")

    def take(self, names: Sequence[str], positions: Positions) -> pa.RecordBatch:
        """Columns of rows, in the order of `positions`. Vectors are returned as they were given."""
        batch = self.take_stored(self._stored_names(names), positions)
        return without_unused(self._as_given(names, batch))

    def take_stored(self, names: Sequence[str], positions: Positions) -> pa.RecordBatch:
        """Columns of rows as they are stored, in the order of `positions`."""
        pieces, order = [], []
        for number, indices, rows in self.split(positions):
            pieces.append(self.segments[number].take(names, rows))
            order.append(indices)
        if not pieces:
            schema = self.schema_of(names)  # `from_pylist` would import pandas
            return pa.RecordBatch.from_arrays(
                [pa.nulls(0, of.type) for of in schema], schema=schema
            )
        if len(pieces) == 1:
            return pieces[0]
        joined, places = pa.concat_batches(pieces), np.concatenate(order)
        if (places[1:] > places[:-1]).all():
            return joined
        return joined.take(numbers_in_arrow(np.argsort(places, kind="stable")))

    def ids_at(self, positions: Positions) -> list[Id]:
        """The ids of some rows, as Python values."""
        if len(positions) > FEW_ROWS:
            return list(self.take([self.manifest.id_column], positions).column(0).to_pylist())
        if len(self.manifest.segments) == 1:
            return self.segments[0].ids(positions)
        groups: dict[int, list[int]] = {}  # for few rows faster than `split`
        starts, listed = self._start_list, positions.tolist()
        for at, position in enumerate(listed):
            groups.setdefault(bisect_right(starts, position) - 1, []).append(at)
        ids: list[Id] = [0] * len(listed)
        for number, indices in groups.items():
            rows = np.array([listed[at] - starts[number] for at in indices])
            for at, name in zip(indices, self.segments[number].ids(rows), strict=True):
                ids[at] = name
        return ids

    @lazy
    def _start_list(self) -> list[int]:
        return [int(start) for start in self.starts]

    def scan(
        self,
        names: Sequence[str] | None = None,
        selection: RowSelection | None = None,
        batch_rows: int = 8192,
    ) -> Iterator[pa.RecordBatch]:
        """Stream rows in order (all live ones by default), at most `batch_rows` at a time."""
        names = self.columns if names is None else list(names)
        self.check_columns(names)
        rows = (self.live if selection is None else selection).rows
        for at in range(0, len(rows), batch_rows):
            check_time()
            yield self.take(names, rows[at : at + batch_rows])

    def table_rows(self, names: Sequence[str]) -> int:
        """How many rows to read at a time for a table of all: few pieces, of bounded memory."""
        width = 4 * self.manifest.dim if VECTOR in names else 0
        return max(1024, min(TABLE_ROWS, TABLE_BYTES // max(1, width)))

    def vectors_at(self, positions: Positions) -> npt.NDArray[np.float32]:
        """Vectors as they were given: float32 (len(positions), dim)."""
        batch = self.take([VECTOR], positions)
        return vector_view(batch.column(0), self.manifest.dim).astype(np.float32, copy=False)

    def vectors_of(self, number: int) -> npt.NDArray[np.floating]:
        """The stored vectors of a segment, not verified: float32 or float16 (rows, dim)."""
        return self.segments[number].vectors

    def stored_vectors(self, positions: Positions) -> npt.NDArray[np.float32]:
        """Vectors as they are stored (unit length for cosine): float32 (len(positions), dim)."""
        out = np.empty((len(positions), self.manifest.dim), np.float32)
        for number, indices, rows in self.split(positions):
            out[indices] = self.vectors_of(number)[rows]
        return out

    def scattered_vectors(self, positions: Positions) -> npt.NDArray[np.float32]:
        """`stored_vectors` of rows that lie far apart: the disk reads their pages and no others."""
        out = np.empty((len(positions), self.manifest.dim), np.float32)
        for number, indices, rows in self.split(positions):
            vectors = self.segments[number].scattered
            width = vectors.strides[0]
            starts = vectors.ctypes.data + rows * width
            will_need(starts, starts + width)
            out[indices] = vectors[rows]
        return out

    def documents_in(self, selection: RowSelection) -> int:
        """How many documents have a selected row."""
        if not self.manifest.chunked:
            return selection.count
        if selection is self.live:
            return self.manifest.documents
        return len(pc.unique(self.take([self.manifest.id_column], selection.rows).column(0)))

    def _stored_names(self, names: Sequence[str]) -> list[str]:
        stored = list(names)
        if VECTOR in stored and self.manifest.metric is Metric.COSINE and NORM not in stored:
            stored.append(NORM)
        return stored

    def schema_of(self, names: Sequence[str]) -> pa.Schema:
        """The schema of what `take` and `scan` return."""
        return pa.schema([self._given_field(name) for name in names])

    def _given_field(self, name: str) -> pa.Field:
        """The field of a column as it was given. A cosine collection stores unit vectors: times
        their length, numbers can be too large for float16."""
        if name == VECTOR and self.manifest.metric is Metric.COSINE:
            return vector_field(self.manifest.dim, "float32")
        return self.manifest.schema.field(name)

    def _as_given(self, names: Sequence[str], batch: pa.RecordBatch) -> pa.RecordBatch:
        """Stored rows with their vectors as they were given."""
        if VECTOR in names and self.manifest.metric is Metric.COSINE:
            at = batch.schema.names.index(VECTOR)
            vectors = vector_array(decode_vectors(batch))
            batch = batch.set_column(at, self._given_field(VECTOR), vectors)
        return batch.select(list(names))


def _among(rows: Positions, sorted_rows: Positions) -> Mask:
    """Which of a few rows are among many ascending ones."""
    if not len(sorted_rows):
        return np.zeros(len(rows), bool)
    nearest = np.minimum(np.searchsorted(sorted_rows, rows), len(sorted_rows) - 1)
    found: Mask = sorted_rows[nearest] == rows
    return found


class _Segments(Sequence[Segment]):
    """The segments of a version, each opened when it is first used."""

    def __init__(self, files: OpenFiles, manifest: Manifest) -> None:
        self._files = files
        self._manifest = manifest
        self._opened: list[Segment | None] = [None] * len(manifest.segments)

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
            stored = self._files.segment(self._manifest.segments[number])
            segment = self._opened[number] = stored.read_as(self._manifest.schema)
        return segment


def open_snapshot(root: Path, files: OpenFiles, version: int | None = None) -> Snapshot:
    """Open one version, or the latest, and hold its manifest against removal.

    Raises CollectionNotFoundError, VersionNotFoundError, CorruptedError.
    """
    for _ in range(100):
        manifest = log.load(root, version)
        path = log.path_of(root, manifest.version)
        try:
            lock = locks.lock_shared(path)
        except FileNotFoundError:
            continue  # removed between reading and locking: read again
        if path.exists():
            return Snapshot(root, manifest, files, lock, hold(root, manifest.version))
        lock.release()
    raise VersionNotFoundError(f"{root} changes too fast to be opened: try again")
