"""Files derived from segments. They can be rebuilt at any time: losing one loses no data.

Each kind implements `DerivedFiles`: the sorted ids here, indexes in `vecsearch.index.derived`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.errors import CorruptedError
from vecsearch.storage import disk
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.ids import id_keys, read_ids, write_ids
from vecsearch.storage.layout import SEGMENTS
from vecsearch.storage.manifest import Manifest, SegmentEntry, replace
from vecsearch.storage.schema import id_name
from vecsearch.storage.segment import Segment
from vecsearch.storage.snapshot import Snapshot

IDS_SUFFIX = ".ids.arrow"


class FileWriter(Protocol):
    """What derived files are written with: `Staging`, which publishes them with the next commit."""

    def write(self, place: str, suffix: str, write: Callable[[Path], None]) -> FileRef: ...

    def write_rows(self, place: str, suffix: str, rows: npt.NDArray[np.integer]) -> FileRef: ...

    def path_of(self, ref: FileRef) -> Path: ...


@dataclass(frozen=True, slots=True)
class Comparison:
    """One check of derived files against the segments.

    Attributes:
        files: The file that is blamed for a difference, then the other files it reads.
        run: Raises CorruptedError if the files disagree.
    """

    files: tuple[str, ...]
    run: Callable[[], None]


class DerivedFiles(Protocol):
    """One kind of derived file."""

    @property
    def kind(self) -> str:
        """Its name in reports of damage."""

    @property
    def remedy(self) -> str:
        """What to do about a damaged one."""

    def files(self, manifest: Manifest) -> Iterator[FileRef]:
        """The files of this kind that a version names."""

    def check(self, root: Path, manifest: Manifest) -> Iterator[Comparison]:
        """The comparisons of a version's files with its segments."""

    def merge(
        self, latest: Snapshot, version: Manifest, writer: FileWriter, *, purge: bool
    ) -> Manifest:
        """Adapt the files of `latest` to a version with the same live rows in merged segments.

        With `purge` nothing may stay that was derived from a deleted row.
        """

    def repair(
        self,
        root: Path,
        versions: Mapping[int, Manifest],
        latest: Manifest,
        damaged: Collection[str],
        writer: FileWriter,
    ) -> tuple[Manifest, list[str]]:
        """Write damaged files again, or take them out of the version.

        Args:
            root: The collection.
            versions: The readable versions, by number.
            latest: The version to change.
            damaged: Names of the damaged files, of this and other kinds.
            writer: Writes new files.

        Returns:
            The changed version (`latest` itself if nothing changes), and what was done, for people.
        """


class IdFiles:
    """The sorted ids that are written with each segment."""

    kind = "ids"
    remedy = "repair makes it again"

    def write(self, batch: pa.RecordBatch, writer: FileWriter) -> FileRef:
        """Write the ids of a new segment."""
        ids = batch.column(id_name(batch.schema))
        return writer.write(SEGMENTS, IDS_SUFFIX, lambda path: write_ids(path, ids))

    def files(self, manifest: Manifest) -> Iterator[FileRef]:
        for entry in manifest.segments:
            yield entry.ids

    def check(self, root: Path, manifest: Manifest) -> Iterator[Comparison]:
        for entry in manifest.segments:
            yield Comparison((entry.ids.name, entry.file.name), partial(_compare_ids, root, entry))

    def merge(
        self, latest: Snapshot, version: Manifest, writer: FileWriter, *, purge: bool
    ) -> Manifest:
        return version  # merged segments were written with their ids

    def repair(
        self,
        root: Path,
        versions: Mapping[int, Manifest],
        latest: Manifest,
        damaged: Collection[str],
        writer: FileWriter,
    ) -> tuple[Manifest, list[str]]:
        return written_again(
            "ids",
            versions,
            latest,
            damaged,
            lambda version, entry: (
                None if entry.file.name in damaged else _rewrite_ids(root, entry, writer)
            ),
        )


IDS = IdFiles()


def _compare_ids(root: Path, entry: SegmentEntry) -> None:
    segment = Segment(root, entry.file, entry.rows)
    keys = id_keys(segment.column(id_name(segment.schema)))
    stored = read_ids(CheckedFile(root, entry.ids))
    order = np.argsort(keys, kind="stable")
    if not (
        np.array_equal(stored.column("key"), keys[order])
        and np.array_equal(stored.column("row"), order)
    ):
        raise CorruptedError(f"it does not agree with {entry.file.name}")


def _rewrite_ids(root: Path, entry: SegmentEntry, writer: FileWriter) -> FileRef:
    """Write a segment's ids again: in the old place if the bytes are those that were lost."""
    segment = Segment(root, entry.file, entry.rows)
    new = IDS.write(segment.select([id_name(segment.schema)]), writer)
    if new.sums or (new.bytes, new.crc32) != (entry.ids.bytes, entry.ids.crc32):
        return new
    disk.move(writer.path_of(new), root / entry.ids.name)
    disk.sync_folder(root / SEGMENTS)
    return entry.ids


def written_again(
    field: Literal["ids", "text"],
    versions: Mapping[int, Manifest],
    latest: Manifest,
    damaged: Collection[str],
    rewrite: Callable[[Manifest, SegmentEntry], FileRef | None],
) -> tuple[Manifest, list[str]]:
    """Make the damaged files of a kind again that belong to one segment each.

    Args:
        field: Where the entry of a segment names the file.
        versions: All versions.
        latest: The version that gets the new files.
        damaged: The names of damaged files.
        rewrite: Makes the file of a segment; None if it cannot be made of what is left.

    Returns:
        The version with the new files, and a line for each.
    """
    new: dict[str, FileRef] = {}
    for version in versions.values():
        for entry in version.segments:
            old: FileRef | None = getattr(entry, field)
            if old is None or old.name not in damaged or old.name in new:
                continue
            made = rewrite(version, entry)
            if made is not None:
                new[old.name] = made

    def renewed(entry: SegmentEntry) -> SegmentEntry:
        old: FileRef | None = getattr(entry, field)
        return (
            entry
            if old is None or old.name not in new
            else replace(entry, **{field: new[old.name]})
        )

    segments = tuple(map(renewed, latest.segments))
    done = [f"{name} written again" for name in new]
    return (latest if segments == latest.segments else replace(latest, segments=segments)), done
