"""Cut streams of record batches to size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa


class BatchBuffer:
    """Collects record batches of one schema until it holds enough rows or bytes.

    Attributes:
        rows: Rows that are enough.
        max_bytes: Bytes that are enough; None sets no limit.
        count: Rows collected so far.
    """

    def __init__(self, rows: int, max_bytes: int | None = None) -> None:
        self.rows = rows
        self.max_bytes = max_bytes
        self.count = 0
        self._bytes = 0
        self._batches: list[pa.RecordBatch] = []

    @property
    def full(self) -> bool:
        """Whether it holds enough."""
        return self.count >= self.rows or (
            self.max_bytes is not None and self._bytes >= self.max_bytes
        )

    def add(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._batches.append(batch)
            self.count += batch.num_rows
            self._bytes += batch.nbytes

    def take(self) -> pa.RecordBatch | None:
        """What was collected, as one batch, and start over; None if there is nothing."""
        batches, self._batches, self.count, self._bytes = self._batches, [], 0, 0
        if not batches:
            return None
        return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def rebatch(
    batches: Iterable[pa.RecordBatch], rows: int, max_bytes: int | None = None
) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of exactly `rows`; the last one may be shorter.

    Args:
        batches: Batches of one schema.
        rows: Rows of a batch that is yielded.
        max_bytes: A batch also ends with the piece that brings it to this many bytes.
    """
    buffer = BatchBuffer(rows, max_bytes)
    for batch in batches:
        while batch.num_rows:
            piece = batch.slice(0, rows - buffer.count)
            batch = batch.slice(piece.num_rows)
            buffer.add(piece)
            if buffer.full:
                yield buffer.take()
    last = buffer.take()
    if last is not None:
        yield last
