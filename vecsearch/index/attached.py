"""The indexes that serve a snapshot: which rows they hold, and where these are now.

The first index of a manifest is the main one. Tails, indexes of rows that were added later, follow.
"""

from __future__ import annotations

import warnings

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
        self._labels: Positions | None = None  # set by `entry`, which `labels` reads first
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
            self._labels = self._read_labels(entry)
            Calibration.from_mapping(entry.calibration)
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
    def calibration(self) -> Calibration:
        """What was measured of the index; empty without one."""
        return Calibration.from_mapping(self.entry.calibration if self.entry else {})

    @lazy
    def index(self) -> FaissIndex | None:
        return self._open(self.entry) if self.entry else None

    @property
    def labels(self) -> Positions | None:
        """Position of each label, int64, -1 for deleted rows; None if label i is position i."""
        return self._labels if self.entry else None

    @lazy
    def row_map(self) -> RowMap:
        """Maps the index's own row numbers to positions."""
        return self.index.row_map(self.labels) if self.index else None

    @lazy
    def has_gaps(self) -> bool:
        """Whether the index holds rows that the snapshot no longer has."""
        return self.labels is not None and bool((self.labels < 0).any())

    @lazy
    def tails(self) -> tuple[AttachedIndex, ...]:
        """The usable indexes of later rows; only the main index has any."""
        if self.entry is None:
            return ()
        usable, taken = [], self._mask_of_own()
        for other in self._others:
            if other.entry is None:
                continue
            own = other._mask_of_own()
            if (taken & own).any():
                warnings.warn(
                    f"the index {other.entry.name} has rows of another index: repair builds it "
                    "again. Until then these rows are searched exactly.",
                    RuntimeWarning,
                    stacklevel=2,
                )
                continue
            if self.index is not None and other.index is not None:
                other.index.share_projection(self.index)
            usable.append(other)
            taken |= own
        return tuple(usable)

    @lazy
    def parts(self) -> tuple[AttachedIndex, ...]:
        """This index and its tails; none without a usable index."""
        return () if self.entry is None else (self, *self.tails)

    @lazy
    def own_rows(self) -> Positions:
        """Positions of the rows in this index, ascending; rows deleted since may be among them."""
        return np.flatnonzero(self._mask_of_own())

    @lazy
    def unindexed_rows(self) -> Positions:
        """Positions of the rows in no index, deleted ones included.

        For a tail there are none: the search of the main index takes them.
        """
        if self._number:
            return np.empty(0, np.int64)
        if not self.tails:
            return self.later_rows
        mask = np.zeros(int(self._starts[-1]), bool)
        mask[self.later_rows] = True
        for tail in self.tails:
            mask[tail.own_rows] = False
        return np.flatnonzero(mask)

    @lazy
    def later_rows(self) -> Positions:
        """Positions of the rows outside this index, deleted ones included."""
        return np.flatnonzero(~self._mask_of_own())

    def _mask_of_own(self) -> Mask:
        mask = np.zeros(int(self._starts[-1]), bool)
        if self.entry is None:
            return mask
        if self.labels is None:
            mask[: self.entry.rows] = True
        else:
            mask[self.labels[self.labels >= 0] if self.has_gaps else self.labels] = True
        return mask

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
    """The attached main index of a snapshot, the same object for every caller."""
    return snapshot.memo("index", lambda: AttachedIndex(snapshot))


def _require(true: bool, entry: IndexEntry, what: str) -> None:
    if not true:
        raise CorruptedError(f"the index {entry.name} {what}: repair builds it again.")
