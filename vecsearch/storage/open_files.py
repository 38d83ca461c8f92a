"""The files of a collection that this process has open."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Positions
from vecsearch.storage import disk, manifest
from vecsearch.storage.disk import CheckedFile
from vecsearch.storage.ids import IdIndex
from vecsearch.storage.manifest import Manifest, SegmentEntry
from vecsearch.storage.segment import Segment

if TYPE_CHECKING:
    from vecsearch.index.faiss import FaissIndex


class OpenFiles:
    """Segments, id files and indexes that are open, by name. Names are never reused, so snapshots share them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._segments: dict[str, Segment] = {}
        self._ids: dict[str, IdIndex] = {}
        self._tombstones: dict[str, Positions] = {}
        self._indexes: dict[str, FaissIndex] = {}

    def segment(self, entry: SegmentEntry) -> Segment:
        with self._lock:
            if entry.name not in self._segments:
                self._segments[entry.name] = Segment(self.root, entry.file, entry.rows)
            return self._segments[entry.name]

    def ids(self, entry: SegmentEntry) -> IdIndex:
        with self._lock:
            if entry.ids.name not in self._ids:
                self._ids[entry.ids.name] = IdIndex(self.root, entry.ids)
            return self._ids[entry.ids.name]

    def tombstones(self, entry: SegmentEntry) -> Positions:
        """Rows of the segment that are deleted: int64, ascending."""
        if entry.tombstones is None:
            return np.empty(0, np.int64)
        with self._lock:
            if entry.tombstones.name not in self._tombstones:
                self._tombstones[entry.tombstones.name] = read_rows(self.root, entry.tombstones)
            return self._tombstones[entry.tombstones.name]

    def index(self, entry: manifest.IndexEntry) -> FaissIndex:
        from vecsearch.index.faiss import read_index

        with self._lock:
            if entry.name not in self._indexes:
                for ref in entry.files:
                    CheckedFile(self.root, ref).verify_all()
                self._indexes[entry.name] = read_index(self.root / entry.files[0].name)
            return self._indexes[entry.name]

    def keep_only(self, kept: Iterable[Manifest]) -> None:
        """Let go of files no snapshot in use names."""
        names = {ref.name for version in kept for ref in version.files()}
        indexes = {entry.name for version in kept for entry in version.indexes}
        with self._lock:
            self._segments = {name: item for name, item in self._segments.items() if name in names}
            self._ids = {name: item for name, item in self._ids.items() if name in names}
            self._tombstones = {name: item for name, item in self._tombstones.items() if name in names}
            self._indexes = {name: item for name, item in self._indexes.items() if name in indexes}


def read_rows(root: Path, ref: disk.FileRef) -> Positions:
    """A file of row numbers (tombstones, labels): int64."""
    file = CheckedFile(root, ref)
    file.verify_all()
    batch = pa.ipc.open_file(pa.BufferReader(file.buffer)).get_batch(0)
    return np.asarray(batch.column("row").to_numpy()).astype(np.int64)
