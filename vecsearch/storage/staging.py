"""Files that are written but not yet part of any version."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import Positions, numbers_in_arrow
from vecsearch.storage import disk
from vecsearch.storage.column_files import open_segment, still_read
from vecsearch.storage.derived import IDS
from vecsearch.storage.disk import FileRef
from vecsearch.storage.layout import MODELS, SEGMENTS, place_of
from vecsearch.storage.manifest import ColumnsEntry, Manifest, SegmentEntry, replace
from vecsearch.storage.own_files import Removal
from vecsearch.storage.schema import count_documents, id_name
from vecsearch.storage.segment import Segment
from vecsearch.storage.segment_file import Pieces, write_batch
from vecsearch.storage.segment_texts import SegmentTexts
from vecsearch.storage.shards import by_shard
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.tombstones import read_tombstones, tombstone_batch
from vecsearch.text.postings import Postings
from vecsearch.types import VECTOR


class Staging:
    """Files written but not yet part of any version. Each already has its final name."""

    def __init__(self, root: Path, folder: Path, latest: Manifest | None = None) -> None:
        """Begin to write.

        Args:
            root: The collection.
            folder: Where files are written, which this process has locked.
            latest: The version to be changed; None for a new collection.
        """
        self.root = root
        self.folder = folder
        self._texts = SegmentTexts(latest)
        self._shards = 1 if latest is None else latest.shards
        self._staged: dict[str, Path] = {}
        self._moved: list[Path] = []

    def write(self, place: str, suffix: str, write: Callable[[Path], None]) -> FileRef:
        """Write one file that will be in the folder `place` ("segments", "indexes")."""
        name = f"{uuid.uuid4().hex}{suffix}"
        path = self.folder / name
        disk.write_file(path, write)
        final = f"{place}/{name}"
        self._staged[final] = path
        ref = disk.put_sums_apart(disk.describe(self.root, path, final), path)
        if ref.checksum_file is not None:
            self._staged[ref.checksum_file.name] = path.with_name(path.name + disk.SUMS_SUFFIX)
        return ref

    def write_model(self, prefix: str, save: Callable[[Path], None]) -> tuple[FileRef, ...]:
        """Let `save` write and sync a new folder that will be in "models"; the files in it."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        path = self.folder / name
        save(path)
        self._staged[f"{MODELS}/{name}"] = path
        files = sorted(item for item in path.rglob("*") if item.is_file())
        return tuple(
            disk.describe(self.root, item, f"{MODELS}/{name}/{item.relative_to(path).as_posix()}")
            for item in files
        )

    def write_segment(
        self,
        batch: pa.RecordBatch,
        pieces: Pieces | None = None,
        postings: Callable[[], Postings] | None = None,
        shard: int = 0,
    ) -> SegmentEntry:
        """Write a segment, its ids and its postings.

        Args:
            batch: The rows.
            pieces: As in `write_batch`.
            postings: Makes the postings of their texts, if that is less work than reading these.
            shard: The shard that all rows are in.

        Raises StorageError at once if they will not fit.
        """
        disk.require_space(self.folder, batch.nbytes)
        file = self.write(SEGMENTS, ".arrow", lambda path: write_batch(path, batch, pieces))
        documents = count_documents(batch)
        text = self._texts.write(file.name, batch, self, postings)
        ids = IDS.write(batch, self)
        entry = SegmentEntry(file, ids, batch.num_rows, documents, text=text, shard=shard)
        written = self.open_segment(entry)  # what a reader will check, before it is published
        written.select([name for name in written.schema.names if name != VECTOR])
        return entry

    def write_rows_by_shard(
        self, batch: pa.RecordBatch, shards: int | None = None
    ) -> list[tuple[SegmentEntry, Positions]]:
        """Write rows of any shards: a segment for each shard, with the numbers of its rows.

        shards: how many shards there are; None for as many as the collection has.
        """
        ids = batch.column(id_name(batch.schema))
        return [
            (
                self.write_segment(
                    batch if len(rows) == batch.num_rows else batch.take(numbers_in_arrow(rows)),
                    shard=shard,
                ),
                rows,
            )
            for shard, rows in by_shard(ids, self._shards if shards is None else shards)
        ]

    def write_columns(self, entry: SegmentEntry, batch: pa.RecordBatch) -> SegmentEntry:
        """Write new columns of a segment, or new values of columns, in a file of their own.

        Args:
            entry: The segment, whose rows, ids and tombstones stay.
            batch: The columns: all rows of the segment, or one row that stands for all.

        Returns:
            The entry of the segment with these columns.
        """
        disk.require_space(self.folder, batch.nbytes)
        file = self.write(SEGMENTS, ".columns.arrow", lambda path: write_batch(path, batch))
        path = self._staged[file.name]
        Segment(path.parent, replace(file, name=path.name), batch.num_rows).whole()
        part = ColumnsEntry(file, tuple(batch.schema.names))
        text = None if self._texts.reads(part.names) else entry.text
        return replace(entry, columns=still_read((*entry.columns, part)), text=text)

    def write_rows(self, place: str, suffix: str, rows: npt.NDArray[np.integer]) -> FileRef:
        """Write a file of row numbers (labels: int64)."""
        return self.write(
            place, suffix, lambda path: write_batch(path, pa.record_batch({"row": rows}))
        )

    def open_segment(self, entry: SegmentEntry) -> Segment:
        """Open a segment that is still in staging."""
        path = self._staged[entry.file.name]
        return Segment(path.parent, replace(entry.file, name=path.name), entry.rows)

    def path_of(self, ref: FileRef) -> Path:
        """Where a staged file is now."""
        return self._staged[ref.name]

    def place_of(self, ref: FileRef) -> tuple[Path, FileRef]:
        """The folder where a file is now, and what describes it there."""
        staged = self._staged.get(ref.name)
        if staged is None:
            return self.root, ref
        return staged.parent, replace(ref, name=staged.name)

    def with_texts(self, version: Manifest) -> Manifest:
        """A version that is about to be committed, with the postings it is to have.

        Those of columns that were updated are written now, and those of segments that were written
        while another writer changed the analyzer.
        """
        new = {entry.name for entry in version.segments if entry.name in self._staged}
        return self._texts.complete(version, new, self)

    def open_now(self, entry: SegmentEntry) -> Segment:
        """Open a segment some of whose files may be in staging."""
        return open_segment(self.root, entry, place=self.place_of)

    def add_tombstones(
        self, entry: SegmentEntry, segment: Segment, rows: Positions
    ) -> SegmentEntry:
        """The entry of a segment after more of its rows are deleted."""
        live = np.ones(entry.rows, bool)
        live[self._tombstones(entry)] = False
        live[rows] = False
        batch = tombstone_batch(np.flatnonzero(~live), entry.rows)
        return replace(
            entry,
            tombstones=self.write(SEGMENTS, ".dead.arrow", lambda path: write_batch(path, batch)),
            deleted=entry.rows - int(np.count_nonzero(live)),
            documents=segment.count_documents(live),
        )

    def _tombstones(self, entry: SegmentEntry) -> Positions:
        """The rows of a segment that are deleted so far; the file may still be in staging."""
        ref = entry.tombstones
        if ref is None:
            return np.empty(0, np.int64)
        return read_tombstones(*self.place_of(ref), entry)

    def publish(self, version: Manifest) -> set[str]:
        """Move what this version names to its final places; the folders that changed."""
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
        """Remove what `publish` moved, because the version was not committed."""
        removal = Removal()
        for path in self._moved:
            removal.remove(path)
        removal.warn()


def delete_rows(
    snapshot: Snapshot, positions: Positions, staging: Staging
) -> tuple[SegmentEntry, ...]:
    """The segments of a version after some of its rows are deleted.

    A segment without live rows is left out, unless an index covers it.
    """
    covered = snapshot.manifest.covered
    segments = list(snapshot.manifest.segments)
    for number, _, rows in snapshot.split(positions):
        segments[number] = staging.add_tombstones(segments[number], snapshot.segments[number], rows)
    return tuple(entry for entry in segments if entry.live or entry.name in covered)
