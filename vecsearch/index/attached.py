"""The indexes that serve a snapshot: which rows they hold, and where these are now.

The first index of a manifest is the main one. Tails, indexes of rows that were added later, follow.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Mask, Positions
from vecsearch.common.lazy import lazy
from vecsearch.errors import CorruptedError
from vecsearch.index.calibration import Calibration
from vecsearch.index.faiss import FaissIndex, RowMap, read_index
from vecsearch.index.faiss.sound import are_distinct
from vecsearch.storage.disk import CheckedFile
from vecsearch.storage.manifest import IndexEntry
from vecsearch.storage.open_files import read_rows
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import counted


class CoveredRows:
    """An index and where its rows are. It holds for all versions that have the covered segments in
    the same places, so that a commit does not make it again. Thread-safe.

    Attributes:
        index: The index.
        labels: Position of each label, int64, -1 for deleted rows; None if label i is position i.
        stop: The positions of the covered segments are below this.
        calibration: What was measured of the index.
        key: What all this was made of; None if it is not remembered.
    """

    def __init__(
        self,
        index: FaissIndex,
        labels: Positions | None,
        stop: int,
        calibration: Calibration,
        key: tuple[Any, ...] | None,
    ) -> None:
        self.index = index
        self.labels = labels
        self.stop = stop
        self.calibration = calibration
        self.key = key

    @lazy
    def row_map(self) -> RowMap:
        return self.index.row_map(self.labels)

    @lazy
    def has_gaps(self) -> bool:
        return self.labels is not None and bool((self.labels < 0).any())

    @lazy
    def outside(self) -> Positions:
        """Positions below `stop` of rows that are not in the index."""
        if self.labels is None:
            return np.arange(self.index.n, self.stop)
        return np.flatnonzero(~self.mask())

    @lazy
    def own(self) -> Positions:
        """Positions of the rows in the index, ascending."""
        return np.arange(self.index.n) if self.labels is None else np.flatnonzero(self.mask())

    def mask(self) -> Mask:
        """Which of the positions below `stop` are of rows in the index."""
        mask = np.zeros(self.stop, bool)
        if self.labels is None:
            mask[: self.index.n] = True
        else:
            mask[self.labels[self.labels >= 0] if self.has_gaps else self.labels] = True
        return mask


class OutsideRows(NamedTuple):
    """Rows in no index: those at `below`, and all from `stop` on."""

    below: Positions
    stop: int


class Tails(NamedTuple):
    """Which indexes of later rows can be used, by number; those with rows of another cannot."""

    usable: tuple[int, ...]
    overlapping: tuple[int, ...]
    outside: OutsideRows | None


def choose_tails(main: CoveredRows, others: Sequence[CoveredRows]) -> Tails:
    """Choose those with no row of the main index, nor of one before."""
    stop = max(part.stop for part in (main, *others))
    taken = np.zeros(stop, bool)
    taken[: main.stop] = main.mask()
    usable, overlapping = [], []
    for number, other in enumerate(others):
        if taken[other.own].any():
            overlapping.append(number)
            continue
        other.index.share_projection(main.index)
        usable.append(number)
        taken[other.own] = True
    return Tails(tuple(usable), tuple(overlapping), OutsideRows(np.flatnonzero(~taken), stop))


class AttachedIndex:
    """One index of a snapshot's manifest, attached to the snapshot's rows. Thread-safe.

    Without a usable index `entry` and `index` are None, and its rows are searched exactly. Use
    `attach`, which attaches once for each snapshot.
    """

    def __init__(self, snapshot: Snapshot, number: int = 0) -> None:
        """number: of the index in the manifest; 0 is the main one."""
        # Not the snapshot: it holds this object, and a cycle would delay the release of its lock.
        self._root, self._manifest, self._number = snapshot.root, snapshot.manifest, number
        self._files, self._starts = snapshot.files, snapshot.starts
        self._column = snapshot.column
        self._covered: CoveredRows | None = None  # set by `entry`, which the others read first
        self._others = tuple(
            AttachedIndex(snapshot, other)
            for other in range(1, len(self._manifest.indexes) if number == 0 else 0)
        )

    @lazy
    def entry(self) -> IndexEntry | None:
        """The index in use; None if there is none, or if its files are damaged or missing."""
        if self._number >= len(self._manifest.indexes):
            return None
        entry = self._manifest.indexes[self._number]
        try:
            self._covered = self._cover(entry)
        except CorruptedError as error:
            warnings.warn(f"{error} Until then searches are exact.", RuntimeWarning, stacklevel=2)
            return None
        except Exception as error:  # an index is a help: no search fails for want of it
            warnings.warn(
                f"the index {entry.name} cannot be used ({type(error).__name__}: {error}): "
                "repair builds it again. Until then searches are exact.",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        return entry

    @lazy
    def covered(self) -> CoveredRows | None:
        """The index in use and where its rows are."""
        return self._covered if self.entry else None

    @property
    def calibration(self) -> Calibration:
        """What was measured of the index; empty without one."""
        return self.covered.calibration if self.covered else Calibration()

    @property
    def index(self) -> FaissIndex | None:
        return self.covered.index if self.covered else None

    @property
    def labels(self) -> Positions | None:
        """Position of each label, int64, -1 for deleted rows; None if label i is position i."""
        return self.covered.labels if self.covered else None

    @property
    def row_map(self) -> RowMap:
        """Maps the index's own row numbers to positions."""
        return self.covered.row_map if self.covered else None

    @property
    def has_gaps(self) -> bool:
        """Whether the index holds rows that the snapshot no longer has."""
        return self.covered is not None and self.covered.has_gaps

    @lazy
    def _usable(self) -> Tails:
        """Which other indexes of the manifest serve beside this one; remembered like `covered`."""
        present = [other.covered for other in self._others if other.covered is not None]
        if self.covered is None or not present:
            return Tails((), (), None)

        def choose() -> Tails:
            assert self.covered is not None
            return choose_tails(self.covered, present)

        keys = tuple(part.key for part in (self.covered, *present))
        if self.covered.key is None or None in keys:
            return choose()
        return self._files.remembered(f"tails {self._column}", (self.covered.key[0], keys), choose)

    @lazy
    def tails(self) -> tuple[AttachedIndex, ...]:
        """The usable indexes of later rows; only the main index has any."""
        present = [other for other in self._others if other.covered is not None]
        for number in self._usable.overlapping:
            entry = present[number].entry
            assert entry is not None
            warnings.warn(
                f"the index {entry.name} has rows of another index: repair builds it "
                "again. Until then these rows are searched exactly.",
                RuntimeWarning,
                stacklevel=2,
            )
        return tuple(present[number] for number in self._usable.usable)

    @lazy
    def parts(self) -> tuple[AttachedIndex, ...]:
        """This index and its tails; none without a usable index."""
        return () if self.entry is None else (self, *self.tails)

    @property
    def own_rows(self) -> Positions:
        """Positions of the rows in this index, ascending; rows deleted since may be among them."""
        return self.covered.own if self.covered else np.empty(0, np.int64)

    @lazy
    def unindexed_rows(self) -> Positions:
        """Positions of the rows in no index, deleted ones included.

        For a tail there are none: the search of the main index takes them.
        """
        if self._number:
            return np.empty(0, np.int64)
        outside = self._usable.outside if self.tails else None
        if outside is None:
            return self.later_rows
        return np.concatenate([outside.below, np.arange(outside.stop, int(self._starts[-1]))])

    @lazy
    def later_rows(self) -> Positions:
        """Positions of the rows outside this index, deleted ones included."""
        rows = int(self._starts[-1])
        if self.covered is None:
            return np.arange(rows)
        return np.concatenate([self.covered.outside, np.arange(self.covered.stop, rows)])

    def _cover(self, entry: IndexEntry) -> CoveredRows:
        """The index with its rows; remembered, because most commits leave them where they are."""
        places = {
            segment.name: (start, segment.rows)
            for segment, start in zip(self._manifest.segments, self._starts.tolist(), strict=False)
        }
        covered = tuple((name, *places.get(name, ())) for name in entry.covers)
        others = tuple(ref.name for ref in (entry.labels, entry.calibration) if ref)
        key = (entry.files[0].name, entry.rows, others, covered)
        known = entry.calibration is not None

        def cover() -> CoveredRows:
            labels = self._read_labels(entry)
            calibration = Calibration.from_mapping(self._files.calibration(entry))
            stops = [start + rows for start, rows in (places[name] for name in entry.covers)]
            stop = max(stops, default=0)
            return CoveredRows(self._open(entry), labels, stop, calibration, key if known else None)

        kind = f"index {self._column} {self._number}"
        return self._files.remembered(kind, key, cover) if known else cover()

    def _open(self, entry: IndexEntry) -> FaissIndex:
        def open_index() -> FaissIndex:
            file, *others = (CheckedFile(self._root, ref) for ref in entry.files)
            for other in others:
                other.verify_all()
            return read_index(file.path, file=file)

        return self._files.get(entry.files[0].name, open_index)

    def _read_labels(self, entry: IndexEntry) -> Positions | None:
        segments, starts = self._manifest.segments, self._starts
        order = {segment.name: number for number, segment in enumerate(segments)}
        _require(
            set(entry.covers) <= order.keys(),
            entry,
            "covers segments that the version does not have",
        )
        _require(len(set(entry.covers)) == len(entry.covers), entry, "covers a segment twice")
        numbers = [order[name] for name in entry.covers]
        index, rows = self._open(entry), sum(segments[number].rows for number in numbers)
        dim = self._manifest.dim
        _require(
            index.n == entry.rows,
            entry,
            f"has {counted(index.n, 'row')} where the manifest says {entry.rows}",
        )
        _require(
            index.dim == dim, entry, f"is of vectors of {counted(index.dim, 'number')}, not {dim}"
        )
        metric = str(self._manifest.metric)
        _require(index.metric == metric, entry, f"compares by {index.metric}, not {metric}")
        _require(
            entry.labels is not None or entry.rows <= rows,
            entry,
            "has more rows than the segments it covers",
        )
        in_order = numbers == list(range(len(numbers)))
        if entry.labels is None and in_order:
            return None
        labels = None if entry.labels is None else read_rows(self._root, entry.labels, pa.int64())
        if labels is not None:
            _require(
                len(labels) == entry.rows,
                entry,
                f"has {counted(entry.rows, 'row')} and {len(labels)} labels",
            )
            present = labels[labels >= 0]
            _require(
                not len(labels) or bool(labels.min() >= -1 and labels.max() < rows),
                entry,
                "has labels of rows that are not there",
            )
            _require(are_distinct(present, rows), entry, "has two labels of one row")
            if in_order:
                return labels
        covered = np.concatenate(
            [np.empty(0, np.int64), *(np.arange(starts[n], starts[n + 1]) for n in numbers)]
        )
        return (
            covered[: entry.rows] if labels is None else np.where(labels < 0, -1, covered[labels])
        )


def attach(snapshot: Snapshot) -> AttachedIndex:
    """The attached main index of a snapshot, the same object for every caller."""
    return snapshot.memo("index", lambda: AttachedIndex(snapshot))


def _require(true: bool, entry: IndexEntry, what: str) -> None:
    if not true:
        raise CorruptedError(f"the index {entry.name} {what}: repair builds it again.")
