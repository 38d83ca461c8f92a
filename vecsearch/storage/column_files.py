"""A segment whose later columns are in files of their own.

Adding a column, or changing one in many rows, writes that column and nothing else: the vectors stay
where they are. A column file holds all rows of the segment, or one row that stands for all. A
column is read from the last file that holds it; if it is of type null there, the segment has none,
as after `drop_column`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.errors import CorruptedError
from vecsearch.storage.disk import FileRef
from vecsearch.storage.manifest import ColumnsEntry, SegmentEntry
from vecsearch.storage.segment import Segment
from vecsearch.types import Id


def open_segment(
    root: Path,
    entry: SegmentEntry,
    first: Segment | None = None,
    place: Callable[[FileRef], tuple[Path, FileRef]] | None = None,
) -> Segment:
    """Open a segment with its column files.

    Args:
        root: The collection.
        entry: The segment in the manifest.
        first: Its first file, if it is open already.
        place: Where a file is now, if some are not below `root` yet: a folder, and what describes
            the file in it.

    Raises:
        CorruptedError: A file is damaged, or is not what the manifest says.
    """
    place = place or (lambda ref: (root, ref))
    first = first or Segment(*place(entry.file), entry.rows)
    if not entry.columns:
        return first
    parts = [_open_columns(*place(part.file), part.names, first) for part in entry.columns]
    return ComposedSegment(first, parts)


def still_read(columns: Sequence[ColumnsEntry]) -> tuple[ColumnsEntry, ...]:
    """The column files that are still read: not those whose columns later files hold too."""
    kept: list[ColumnsEntry] = []
    later: set[str] = set()
    for part in reversed(columns):
        if not set(part.names) <= later:
            kept.append(part)
        later |= set(part.names)
    return tuple(reversed(kept))


def _open_columns(root: Path, ref: FileRef, names: Sequence[str], first: Segment) -> Segment:
    stored = Segment(root, ref, None)
    if tuple(stored.schema.names) != tuple(names):
        raise CorruptedError(
            f"{stored.file.path}: its columns are not those the manifest names: "
            "see `vecsearch check`"
        )
    if stored.rows == first.rows:
        return stored
    if stored.rows != 1:
        raise CorruptedError(
            f"{stored.file.path} has {stored.rows} rows where its segment has {first.rows}"
        )
    return RepeatedSegment(stored, first.rows)


class RepeatedSegment(Segment):
    """Columns with the same value in every row, of which a file holds one."""

    def __init__(self, stored: Segment, rows: int) -> None:
        self.stored, self.rows = stored, rows
        self.file, self.batch, self.schema = stored.file, stored.batch, stored.schema

    def column(self, name: str) -> pa.Array:
        """A whole column, verified."""
        return self.stored.column(name).take(pa.array(np.zeros(self.rows, np.int64)))

    def take(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """The values of some rows, verified."""
        return self.stored.select(names).take(pa.array(np.zeros(len(rows), np.int64)))


class ComposedSegment(Segment):
    """A segment in several files.

    What is mapped is mapped file by file; `file` and `batch` are those of the first one, which
    holds ids, texts and vectors.
    """

    def __init__(self, first: Segment, others: Sequence[Segment]) -> None:
        self.files = (first, *others)
        self.file, self.batch, self.rows = first.file, first.batch, first.rows
        last = {name: part for part in self.files for name in part.schema.names}
        self._owners = {
            name: part
            for name, part in last.items()
            if part is first or not pa.types.is_null(part.schema.field(name).type)
        }
        self.schema = pa.schema([part.schema.field(name) for name, part in self._owners.items()])
        self._schemas = {}

    def column(self, name: str) -> pa.Array:
        """A whole column, verified."""
        return self._owners[name].column(name)

    def select(self, names: Iterable[str]) -> pa.RecordBatch:
        """Whole columns, verified, as a record batch."""
        names = list(names)
        if not names:
            return self.batch.select([])
        return pa.RecordBatch.from_arrays(
            [self.column(name) for name in names], schema=self._schema_of(tuple(names))
        )

    def take(self, names: Sequence[str], rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Rows of columns; only the blocks they are in are verified."""
        if not names:
            return self.files[0].take(names, rows)
        taken: dict[str, pa.Array] = {}
        for part in self.files:
            own = [name for name in names if self._owners[name] is part]
            if own:
                batch = part.take(own, rows)
                taken |= dict(zip(own, batch.columns, strict=True))
        return pa.RecordBatch.from_arrays(
            [taken[name] for name in names], schema=self._schema_of(tuple(names))
        )

    def ids(self, rows: npt.NDArray[np.int64]) -> list[Id]:
        """The ids of a few rows as Python values; they never change."""
        return self.files[0].ids(rows)

    def verify_all(self) -> None:
        """Compare every block of each file with its checksum."""
        for part in self.files:
            part.file.verify_all()
