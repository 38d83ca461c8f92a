"""Files that are written but not yet part of any version."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.storage import disk
from vecsearch.storage.disk import FileRef
from vecsearch.storage.ids import write_ids
from vecsearch.storage.layout import MODELS, SEGMENTS
from vecsearch.storage.manifest import Manifest, SegmentEntry
from vecsearch.storage.open_files import read_rows
from vecsearch.storage.segment import Segment, write_batch
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import CHUNK, ID


def delete_rows(
    snapshot: Snapshot, positions: npt.NDArray[np.int64], staging: Staging
) -> tuple[SegmentEntry, ...]:
    """The segments after some rows are deleted. A segment left without rows goes, unless an index counts on it."""
    covered = {name for index in snapshot.manifest.indexes for name in index.covers}
    segments = list(snapshot.manifest.segments)
    for number, _, rows in snapshot.split(positions):
        segments[number] = staging.add_tombstones(segments[number], snapshot.segments[number], rows)
    return tuple(entry for entry in segments if entry.live or entry.name in covered)


class Staging:
    """Files written but not yet part of any version. Each already has the name it will be known by."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self._staged: dict[str, Path] = {}
        self._moved: list[Path] = []

    def write(self, place: str, suffix: str, write: Callable[[Path], None]) -> FileRef:
        """Write one file that will live below `place` ("segments", "indexes")."""
        name = f"{uuid.uuid4().hex}{suffix}"
        path = self.folder / name
        disk.write_file(path, write)
        final = f"{place}/{name}"
        self._staged[final] = path
        return disk.describe(self.root, path, final)

    def write_model(self, prefix: str, save: Callable[[Path], None]) -> tuple[FileRef, ...]:
        """Let `save` write a new folder, syncing what it writes; it will live below "models". Its files."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        path = self.folder / name
        save(path)
        self._staged[f"{MODELS}/{name}"] = path
        files = sorted(item for item in path.rglob("*") if item.is_file())
        return tuple(
            disk.describe(self.root, item, f"{MODELS}/{name}/{item.relative_to(path).as_posix()}")
            for item in files
        )

    def write_segment(self, batch: pa.RecordBatch) -> SegmentEntry:
        """Write a segment and its id file. Raises StorageError before writing when they will not fit."""
        disk.require_space(self.folder, batch.nbytes)
        file = self.write(SEGMENTS, ".arrow", lambda path: write_batch(path, batch))
        ids = self.write(SEGMENTS, ".ids.arrow", lambda path: write_ids(path, batch.column(ID)))
        return SegmentEntry(file, ids, batch.num_rows, count_documents(batch))

    def write_rows(self, place: str, suffix: str, rows: npt.NDArray[np.integer]) -> FileRef:
        """Write a file of row numbers (tombstones: uint32; labels: int64)."""
        return self.write(
            place, suffix, lambda path: write_batch(path, pa.record_batch({"row": rows}))
        )

    def open_segment(self, entry: SegmentEntry) -> Segment:
        """Open a segment that is still in staging."""
        path = self._staged[entry.name]
        return Segment(path.parent, replace(entry.file, name=path.name), entry.rows)

    def path_of(self, ref: FileRef) -> Path:
        return self._staged[ref.name]

    def add_tombstones(
        self, entry: SegmentEntry, segment: Segment, rows: npt.NDArray[np.int64]
    ) -> SegmentEntry:
        """The entry of a segment after some more of its rows are deleted."""
        before = np.empty(0, np.int64)
        if entry.tombstones is not None:
            staged = self._staged.get(entry.tombstones.name)
            home, ref = (
                (self.root, entry.tombstones)
                if staged is None
                else (staged.parent, replace(entry.tombstones, name=staged.name))
            )
            before = read_rows(home, ref)
        dead = np.union1d(before, rows)
        live = np.ones(entry.rows, bool)
        live[dead] = False
        documents = int(np.count_nonzero(live))
        if CHUNK in segment.schema.names:
            documents = int(np.count_nonzero(segment.column(CHUNK).to_numpy()[live] == 0))
        tombstones = self.write_rows(SEGMENTS, ".dead.arrow", dead.astype(np.uint32))
        return replace(entry, tombstones=tombstones, deleted=len(dead), documents=documents)

    def publish(self, version: Manifest) -> set[str]:
        """Move what this version names to its places; the folders that got something."""
        wanted = dict.fromkeys(place_of(ref) for ref in version.files())
        moved = [name for name in wanted if name in self._staged]
        changed = {name.split("/")[0] for name in moved}
        if MODELS in changed and not (self.root / MODELS).exists():  # most collections have none
            with disk.storage_errors("creating", self.root / MODELS):
                (self.root / MODELS).mkdir(exist_ok=True)
            changed.add(".")
        for name in moved:
            disk.move(self._staged.pop(name), self.root / name)
            self._moved.append(self.root / name)
        return changed

    def withdraw(self) -> None:
        """Remove what was moved to its place for a version that was not made after all."""
        for path in self._moved:
            with contextlib.suppress(OSError):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    disk.remove(path)


def place_of(ref: FileRef) -> str:
    """What is moved as one and removed as one: the file, or the folder of a model it belongs to."""
    return "/".join(ref.name.split("/")[:2])


def count_documents(batch: pa.RecordBatch) -> int:
    if CHUNK not in batch.schema.names:
        return int(batch.num_rows)
    return int(np.count_nonzero(batch.column(CHUNK).to_numpy() == 0))
