"""The index that serves a snapshot: which rows it holds, and where they are now."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Positions
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
    """

    def __init__(
        self, index: FaissIndex, labels: Positions | None, stop: int, calibration: Calibration
    ) -> None:
        self.index = index
        self.labels = labels
        self.stop = stop
        self.calibration = calibration

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
        mask = np.ones(self.stop, bool)
        mask[self.labels[self.labels >= 0] if self.has_gaps else self.labels] = False
        return np.flatnonzero(mask)


class AttachedIndex:
    """The last index of a snapshot's manifest, attached to the snapshot's rows. Thread-safe.

    Without a usable index `entry` and `index` are None, and searches are exact. Use `attach`, which
    attaches once for each snapshot.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        # Not the snapshot: it holds this object, and a cycle would delay the release of its lock.
        self._root, self._manifest = snapshot.root, snapshot.manifest
        self._files, self._starts = snapshot.files, snapshot.starts
        self._covered: CoveredRows | None = None  # set by `entry`, which the others read first

    @lazy
    def entry(self) -> IndexEntry | None:
        """The index in use; None if there is none, or if its files are damaged or missing."""
        if not self._manifest.indexes:
            return None
        entry = self._manifest.indexes[-1]
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
    def unindexed_rows(self) -> Positions:
        """Positions of the rows outside the index, deleted ones included."""
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

        def cover() -> CoveredRows:
            labels = self._read_labels(entry)
            calibration = Calibration.from_mapping(self._files.calibration(entry))
            stops = [start + rows for start, rows in (places[name] for name in entry.covers)]
            return CoveredRows(self._open(entry), labels, max(stops, default=0), calibration)

        if entry.calibration is None:
            return cover()
        key = (entry.files[0].name, entry.rows, others, covered)
        return self._files.remembered("index", key, cover)

    def _open(self, entry: IndexEntry) -> FaissIndex:
        def open_index() -> FaissIndex:
            for ref in entry.files:
                CheckedFile(self._root, ref).verify_all()
            return read_index(self._root / entry.files[0].name)

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
    """The attached index of a snapshot, the same object for every caller."""
    return snapshot.memo("index", lambda: AttachedIndex(snapshot))


def _require(true: bool, entry: IndexEntry, what: str) -> None:
    if not true:
        raise CorruptedError(f"the index {entry.name} {what}: repair builds it again.")
