"""The files of a collection that this process has open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Positions, numbers_in_numpy
from vecsearch.common.fork import Lock
from vecsearch.errors import CorruptedError
from vecsearch.storage import disk
from vecsearch.storage.arrow_file import read_numbers
from vecsearch.storage.calibration_file import read_calibration
from vecsearch.storage.column_files import open_segment
from vecsearch.storage.disk import CheckedFile
from vecsearch.storage.ids import IdIndex
from vecsearch.storage.manifest import IndexEntry, Manifest, SegmentEntry
from vecsearch.storage.opened_folder import OpenedFolder
from vecsearch.storage.segment import Segment
from vecsearch.storage.segment_masks import SegmentMasks
from vecsearch.storage.tombstones import read_tombstones

T = TypeVar("T")


class OpenFiles:
    """Open files by name. A name is never used twice, so all snapshots share them. Thread-safe.

    Attributes:
        masks: Which rows of the segments the filters used last keep.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = OpenedFolder(root)
        self._lock = Lock()
        self._open: dict[str, Any] = {}
        self._remembered: dict[str, tuple[tuple[Any, ...], Any]] = {}
        self._computed: dict[tuple[str, ...], Any] = {}
        self.masks = SegmentMasks()

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

    def calibration(self, entry: IndexEntry) -> Mapping[str, Any]:
        """What was measured of an index."""
        if entry.calibration is None:
            return read_calibration(self.root, entry)
        return self.get(entry.calibration.name, lambda: read_calibration(self.root, entry))

    def remembered(self, kind: str, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """What was made of some files last, if it was made of the same; else `make` makes it.

        Args:
            kind: What it is; one of each kind is remembered.
            key: What it is made of. It begins with the name of a file.
            make: Makes it. It may use this object.
        """
        with self._lock:
            before = self._remembered.get(kind)
        if before is not None and before[0] == key:
            known: T = before[1]
            return known
        made = make()
        with self._lock:
            self._remembered[kind] = key, made
        return made

    def computed(self, names: tuple[str, ...], make: Callable[[], T]) -> T:
        """What was computed from the files of these names, as long as a version has all of them.

        make: computes it. It may use this object.
        """
        with self._lock:
            if names in self._computed:
                known: T = self._computed[names]
                return known
        made = make()
        with self._lock:
            self._computed[names] = made
        return made

    def keep_only(self, manifests: Iterable[Manifest]) -> None:
        """Close the files that none of these versions names."""
        names = {ref.name for version in manifests for ref in version.files()}
        self.masks.keep_only(names)
        with self._lock:
            self._open = {name: item for name, item in self._open.items() if name in names}
            self._computed = {
                made_of: item
                for made_of, item in self._computed.items()
                if names.issuperset(made_of)
            }
            self._remembered = {
                kind: (key, made)
                for kind, (key, made) in self._remembered.items()
                if key[0] in names
            }


def read_rows(root: Path, ref: disk.FileRef, kind: pa.DataType) -> Positions:
    """A file of row numbers of this type. Returns int64.

    Raises CorruptedError.
    """
    file = CheckedFile(root, ref)
    file.verify_all()
    return numbers_in_numpy(read_numbers(file, {"row": kind}).column(0)).astype(np.int64)
