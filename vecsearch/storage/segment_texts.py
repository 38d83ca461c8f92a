"""Which segments get a file of postings, and when it is written: with the segment, or later.

The file is written with its segment, before the writer's lock is taken. A segment of little text
gets none: making the postings again takes a millisecond, and a file costs an add as much.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

import pyarrow as pa

from vecsearch.storage.derived import FileWriter
from vecsearch.storage.disk import FileRef
from vecsearch.storage.layout import SEGMENTS
from vecsearch.storage.manifest import FullTextEntry, Manifest, SegmentEntry, replace
from vecsearch.storage.segment import Segment
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.text_files import (
    TEXT_SUFFIX,
    batch_columns,
    is_weighted,
    open_postings,
    postings_of_batch,
    text_columns,
    write_postings,
)
from vecsearch.text.postings import Postings, kept_postings, merged_postings

LITTLE_TEXT = 8192  # bytes
FEW_ROWS = 2000  # whose texts are read again sooner than their postings are merged


class TextWriter(FileWriter, Protocol):
    """`Staging`, which also opens segments that it wrote."""

    def open_now(self, entry: SegmentEntry) -> Segment: ...


class SegmentTexts:
    """Writes the postings of the segments of one change.

    Args:
        latest: The version to be changed; None for a new collection.
    """

    def __init__(self, latest: Manifest | None) -> None:
        self._full_text = None if latest is None else latest.full_text
        self._embedded = 0 if latest is None else len(latest.text_columns)
        self._columns = () if latest is None else text_columns(latest)
        self._decided: set[str] = set()

    def reads(self, columns: Iterable[str]) -> bool:
        """Whether one of these columns is searched by words."""
        return not set(columns).isdisjoint(self._columns)

    def write(
        self,
        name: str,
        batch: pa.RecordBatch,
        writer: FileWriter,
        postings: Callable[[], Postings] | None,
    ) -> FileRef | None:
        """Write the postings of a new segment of this name; None if it gets no file."""
        if self._full_text is None:
            return None
        self._decided.add(name)
        columns = batch_columns(self._full_text, self._embedded, batch.schema)
        if not _is_much(batch, columns, self._full_text):
            return None
        made = postings() if postings else postings_of_batch(batch, columns, self._full_text)
        return writer.write(SEGMENTS, TEXT_SUFFIX, lambda path: write_postings(path, made))

    def complete(self, version: Manifest, new: Collection[str], writer: TextWriter) -> Manifest:
        """The version with the postings that the segments named in `new` lack."""
        full_text = version.full_text
        if full_text is None:
            if any(entry.text for entry in version.segments):
                bare = tuple(replace(entry, text=None) for entry in version.segments)
                version = replace(version, segments=bare)
            return version
        before = self._full_text
        same = before is not None and (before.analyzer, before.columns) == (
            full_text.analyzer,
            full_text.columns,
        )
        segments = list(version.segments)
        for number, entry in enumerate(segments):
            if entry.name not in new or (same and (entry.text or entry.name in self._decided)):
                continue
            segments[number] = replace(entry, text=write_text(version, entry, writer))
        return replace(version, segments=tuple(segments))


def write_text(version: Manifest, entry: SegmentEntry, writer: TextWriter) -> FileRef | None:
    """Write the postings of a segment that is written already; None if it gets no file."""
    assert version.full_text is not None
    names = text_columns(version)
    segment = writer.open_now(entry).read_as(version.schema)
    batch = segment.select(names)
    if not _is_much(batch, names, version.full_text):
        return None
    made = postings_of_batch(batch, names, version.full_text)
    return writer.write(SEGMENTS, TEXT_SUFFIX, lambda path: write_postings(path, made))


def merged_texts(snapshot: Snapshot, run: Sequence[int]) -> Callable[[], Postings] | None:
    """What makes the postings of segments that are merged; None to make them of the texts.

    Postings of deleted rows must not stay, and a form of a word may be a deleted row's only.
    Weights, which may come from a model, are always taken from the postings that there are.
    """
    entries = [snapshot.manifest.segments[number] for number in run]
    if is_weighted(snapshot.manifest):
        return lambda: merged_postings([_live_postings(snapshot, number) for number in run])
    if (
        snapshot.manifest.full_text is None
        or any(entry.deleted for entry in entries)
        or sum(entry.rows for entry in entries) < FEW_ROWS
    ):
        return None
    return lambda: merged_postings([open_postings(snapshot, number) for number in run])


def _live_postings(snapshot: Snapshot, number: int) -> Postings:
    """The postings with weights of the rows of a segment that are not deleted."""
    postings, mask = open_postings(snapshot, number), snapshot.live.mask
    entry, first = snapshot.manifest.segments[number], int(snapshot.starts[number])
    if mask is None or not entry.deleted:
        return postings
    return kept_postings(postings, mask[first : first + entry.rows])


def _is_much(batch: pa.RecordBatch, columns: Sequence[str], full_text: FullTextEntry) -> bool:
    here = [name for name in columns if name in batch.schema.names]
    if "weights" in full_text.analyzer:
        return any(batch.column(name).null_count < batch.num_rows for name in here)
    return bool(sum(batch.column(name).nbytes for name in here) > LITTLE_TEXT)
