"""Streams of record batches cut to size, against a slice of the whole table."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from vecsearch.common.batches import BatchBuffer, rebatch


@given(st.lists(st.integers(0, 12), max_size=12), st.integers(1, 10))
def test_batches_have_exactly_the_rows_asked_for(sizes: list[int], rows: int) -> None:
    stream = [
        pa.record_batch({"n": list(range(size))}, pa.schema({"n": pa.int64()})) for size in sizes
    ]
    cut = list(rebatch(stream, rows))
    total = sum(sizes)
    assert [batch.num_rows for batch in cut] == [rows] * (total // rows) + [total % rows] * (
        total % rows > 0
    )
    values = [value for batch in cut for value in batch.column(0).to_pylist()]
    assert values == [value for size in sizes for value in range(size)]


def test_a_batch_ends_with_the_piece_that_brings_it_to_the_bytes() -> None:
    stream = [pa.record_batch({"n": pa.array(range(4), pa.int64())}) for _ in range(5)]
    assert [batch.num_rows for batch in rebatch(stream, 100, max_bytes=64)] == [8, 8, 4]
    assert [batch.num_rows for batch in rebatch(stream, 6, max_bytes=64)] == [6, 6, 6, 2]


def test_a_buffer_starts_over_after_take() -> None:
    buffer = BatchBuffer(5)
    assert buffer.take() is None and not buffer.full
    for _ in range(2):
        buffer.add(pa.record_batch({"n": [1, 2, 3]}))
    assert buffer.full and buffer.count == 6
    batch = buffer.take()
    assert batch is not None and batch.column(0).to_pylist() == [1, 2, 3, 1, 2, 3]
    assert not buffer.full and buffer.take() is None
