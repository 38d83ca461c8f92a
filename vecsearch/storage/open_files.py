"""The files of a collection that this process has open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Positions
from vecsearch.common.fork import Lock
from vecsearch.errors import CorruptedError
from vecsearch.storage import disk
from vecsearch.storage.arrow_file import read_numbers
from vecsearch.storage.column_files import open_segment
from vecsearch.storage.disk import CheckedFile
from vecsearch.storage.ids import IdIndex
from vecsearch.storage.manifest import Manifest, SegmentEntry
from vecsearch.storage.opened_folder import OpenedFolder
from vecsearch.storage.segment import Segment

T = TypeVar("T")


class OpenFiles:
    """Open files by name. A name is never used twice, so all snapshots share them. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = OpenedFolder(root)
        self._lock = Lock()
        self._open: dict[str, Any] = {}

    def get(self, name: str, open_file: Callable[[], T]) -> T:
        """The open file of this name; `open_file` opens it if it is not open yet."""
        with self._lock:
            if name not in self._open:
                try:
                    self._open[name] = open_file()
                except CorruptedError:
                    self.folder.check()  # it may be missing because the folder is another one
                    raise
            opened: T = self._open[name]
            return opened

    def segment(self, entry: SegmentEntry) -> Segment:
        first = self.get(entry.file.name, lambda: Segment(self.root, entry.file, entry.rows))
        if not entry.columns:
            return first
        return self.get(entry.name, lambda: open_segment(self.root, entry, first))

    def ids(self, entry: SegmentEntry) -> IdIndex:
        return self.get(entry.ids.name, lambda: IdIndex(self.root, entry.ids, entry.rows))

    def tombstones(self, entry: SegmentEntry) -> Positions:
        """Deleted rows of the segment: int64, ascending."""
        ref = entry.tombstones
        if ref is None:
            return np.empty(0, np.int64)
        return self.get(ref.name, lambda: read_tombstones(self.root, ref, entry))

    def keep_only(self, manifests: Iterable[Manifest]) -> None:
        """Close the files that none of these versions names."""
        names = {ref.name for version in manifests for ref in version.files()}
        with self._lock:
            self._open = {name: item for name, item in self._open.items() if name in names}


def read_rows(root: Path, ref: disk.FileRef, kind: pa.DataType) -> Positions:
    """A file of row numbers: tombstones (uint32) or labels (int64). Returns int64.

    Raises CorruptedError.
    """
    file = CheckedFile(root, ref)
    file.verify_all()
    numbers = read_numbers(file, {"row": kind}).column(0).to_numpy()
    return np.asarray(numbers).astype(np.int64)


def read_tombstones(root: Path, ref: disk.FileRef, entry: SegmentEntry) -> Positions:
    """The deleted rows of a segment: int64, ascending. Raises CorruptedError."""
    rows, path = read_rows(root, ref, pa.uint32()), root / ref.name
    if len(rows) != entry.deleted:
        raise CorruptedError(
            f"{path} has {len(rows)} rows where the manifest says {entry.deleted}: "
            "see `vecsearch check`"
        )
    if (np.diff(rows) <= 0).any():
        raise CorruptedError(f"{path}: its rows are not ascending: see `vecsearch check`")
    if len(rows) and rows[-1] >= entry.rows:
        raise CorruptedError(
            f"{path} names rows that its segment of {entry.rows} does not have: "
            "see `vecsearch check`"
        )
    return rows
