"""Rows that follow each other are read as slices of the mapped file, verified all the same."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import vecsearch
from vecsearch.errors import CorruptedError
from vecsearch.storage import disk
from vecsearch.storage.segment import Segment
from vecsearch.storage.segment_file import write_batch

ROWS = 30_000


def _batch(rows: int = ROWS) -> pa.RecordBatch:
    numbers = np.arange(rows)
    return pa.RecordBatch.from_pydict(
        {
            "id": pa.array(numbers),
            "text": pa.array([f"text {n}" * (n % 7) for n in numbers], pa.large_string()),
            "maybe": pa.array([None if n % 5 == 0 else n / 2 for n in numbers.tolist()]),
            "is_odd": pa.array(numbers % 2 == 1),
            "tags": pa.array([[str(n)] * (n % 3) for n in numbers.tolist()]),
        }
    )


def _segment(folder: Path, batch: pa.RecordBatch) -> Segment:
    path = folder / "rows.arrow"
    path.unlink(missing_ok=True)
    write_batch(path, batch)
    return Segment(folder, disk.describe(folder, path, path.name), batch.num_rows)


@pytest.fixture(scope="module")
def given() -> pa.RecordBatch:
    return _batch()


def test_any_range_holds_the_rows_that_were_written(tmp_path: Path, given: pa.RecordBatch) -> None:
    random = np.random.default_rng(1)
    edges = [(0, ROWS), (0, 65), (0, 64), (ROWS - 65, ROWS), (1, ROWS - 1)]
    edges += [tuple(sorted(random.choice(ROWS + 1, 2, False))) for _ in range(20)]
    for start, stop in edges:
        segment = _segment(tmp_path, given)
        read = segment.take(given.schema.names, np.arange(start, stop))
        assert read.equals(given.slice(start, stop - start)), (start, stop)
    again = segment.take(["text", "id"], np.arange(100, 9_000))
    assert again.equals(given.select(["text", "id"]).slice(100, 8_900))
    mixed = np.r_[np.arange(100, 300), 5, np.arange(400, 300, -1)]
    assert segment.take(["text"], mixed).equals(given.select(["text"]).take(pa.array(mixed)))


def test_a_range_is_not_copied(tmp_path: Path, given: pa.RecordBatch) -> None:
    segment = _segment(tmp_path, given)
    read = segment.take(["id", "text"], np.arange(1_000, 20_000))
    start = segment.file.buffer.address
    for column in read.columns:
        for buffer in column.buffers():
            assert buffer is None or start <= buffer.address < start + segment.file.buffer.size


def test_what_is_handed_out_is_not_pickled_with_the_rest_of_its_file(tmp_path: Path) -> None:
    rows = 5_000
    vectors = np.random.default_rng(2).normal(size=(rows, 8)).astype(np.float32)
    table = pa.Table.from_batches([_batch(rows)]).append_column(
        "vector", pa.FixedSizeListArray.from_arrays(vectors.ravel(), 8)
    )
    for metric in ("l2", "cosine"):
        c = vecsearch.create(tmp_path / f"{metric}.vs", dim=8, metric=metric)
        c.add(table)
        for batch in c.scan(batch_rows=1_000):
            assert len(pickle.dumps(batch)) < 1.5 * batch.nbytes + 20_000
        few = c.to_arrow(where="id < 500")
        assert len(few) == 500 and len(pickle.dumps(few)) < 1.5 * few.nbytes + 20_000
        everything = c.to_arrow()
        assert len(pickle.dumps(everything)) < 2.5 * everything.nbytes
        again = pickle.loads(pickle.dumps(everything))
        assert again.drop_columns(["vector"]).equals(everything.drop_columns(["vector"]))


def test_no_range_holds_a_damaged_byte(tmp_path: Path, given: pa.RecordBatch) -> None:
    """A byte of each block is changed in turn; what is handed out is what was written."""
    path = tmp_path / "rows.arrow"
    write_batch(path, given)
    ref = disk.describe(tmp_path, path, path.name)
    content = path.read_bytes()
    refused = 0
    assert ref.bytes > 4 * disk.BLOCK
    for at in range(disk.BLOCK + 1_000, ref.bytes - disk.BLOCK, disk.BLOCK):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        segment = Segment(tmp_path, ref, ROWS)
        here = 0
        for first in range(0, ROWS, 3_000):
            rows = np.arange(first, first + 3_000)
            for name in given.schema.names:
                try:
                    read = segment.take([name], rows)
                except CorruptedError:
                    here += 1
                else:
                    assert read.equals(given.select([name]).slice(first, 3_000)), (at, name)
        assert here, f"the byte {at} belongs to no column"
        refused += here
    assert refused


def test_texts_that_are_not_utf8_are_refused_in_any_range(tmp_path: Path) -> None:
    """The checksums are right: the writer was wrong."""
    batch = _batch(1_000)
    text = batch.column(1)
    validity, offsets, characters = text.buffers()
    spoiled = bytearray(characters.to_pybytes())
    spoiled[text.buffers()[1].to_pybytes()[0] + 3_000] = 0xFF
    bad = pa.Array.from_buffers(
        text.type, len(text), [validity, offsets, pa.py_buffer(bytes(spoiled))]
    )
    segment = _segment(tmp_path, batch.set_column(1, batch.schema.field(1), bad))
    places = np.frombuffer(offsets, np.int64, count=1_001)
    row = int(np.searchsorted(places, 3_000, "right")) - 1
    before = segment.take(["text"], np.arange(0, row))
    assert before.equals(batch.select(["text"]).slice(0, row))
    after = segment.take(["text"], np.arange(row + 1, 1_000))
    assert after.equals(batch.select(["text"]).slice(row + 1))
    for _ in range(2):
        with pytest.raises(CorruptedError, match="text"):
            segment.take(["text"], np.arange(row - 70, 1_000))
    with pytest.raises(CorruptedError, match="text"):
        segment.column("text")


def test_reading_costs_no_call_per_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, rows = tmp_path / "c.vs", 10_000
    vectors = np.random.default_rng(2).normal(size=(rows, 8)).astype(np.float32)
    table = pa.Table.from_batches([_batch(rows)]).append_column(
        "vector", pa.FixedSizeListArray.from_arrays(vectors.ravel(), 8)
    )
    vecsearch.create(path, dim=8, metric="l2").add(table)
    calls = 0
    verify, many = disk.CheckedFile.verify, disk.CheckedFile.verify_many

    def counted_verify(self: disk.CheckedFile, start: int, stop: int) -> None:
        nonlocal calls
        calls += 1
        verify(self, start, stop)

    def counted_many(self: disk.CheckedFile, starts: np.ndarray, stops: np.ndarray) -> None:
        nonlocal calls
        calls += 1
        many(self, starts, stops)

    monkeypatch.setattr(disk.CheckedFile, "verify", counted_verify)
    monkeypatch.setattr(disk.CheckedFile, "verify_many", counted_many)
    given = table.cast(vecsearch.open(path).to_arrow().schema)
    for read in (
        lambda c: c.to_arrow(),
        lambda c: pa.Table.from_batches(c.scan()),
        lambda c: c.to_arrow(where="id >= 0"),
        lambda c: c.to_arrow(ids=range(rows)),
    ):
        calls = 0
        assert read(vecsearch.open(path)).equals(given)
        assert calls < 200, calls
    c = vecsearch.open(path)
    calls = 0
    documents = c.get(range(rows - 1, -1, -1))
    assert calls < 200, calls
    assert documents == given.drop_columns(["vector"]).to_pylist()[::-1]
    assert c.delete(where="id % 1000 = 7").deleted == 10
    left = given.filter(pa.array(np.arange(rows) % 1000 != 7))
    calls = 0
    assert c.to_arrow().equals(left)
    assert pa.Table.from_batches(c.scan(batch_rows=100)).equals(left)
    assert calls < 20 * rows / 100, calls
