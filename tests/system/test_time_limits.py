"""`timeout=` and Ctrl-C at every point where an operation looks at the clock."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.common import deadline
from vecsearch.query import selection

VECTORS = np.random.default_rng(2).normal(size=(90, 6)).astype(np.float32)


class Clock:
    """A clock that advances a second each time it is read, and may press Ctrl-C at one of them."""

    def __init__(self) -> None:
        self.now = 0
        self.interrupts_at: int | None = None

    def monotonic(self) -> float:
        self.now += 1
        if self.now == self.interrupts_at:
            signal.raise_signal(signal.SIGINT)
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    # Ctrl-C raises KeyboardInterrupt, whatever the tests before did with signals.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(deadline, "time", clock)
    monkeypatch.setattr(selection, "FILTER_ROWS", 20)
    monkeypatch.setattr(selection, "DOCUMENTS", 20)
    return clock


@pytest.fixture
def collection(root: Path) -> vs.Collection:
    """Three segments with deleted rows; texts in several passages."""
    c = vs.create(root, embedder="toy:64", chunker=lambda text: [(0, 6), (6, len(text))])
    for part in range(3):
        rows = range(part * 30, part * 30 + 30)
        c.add([{"id": i, "text": f"text {i} and more", "year": i % 7} for i in rows])
    c.delete(range(0, 90, 9))
    return c


WHERE = "year > 1 AND text LIKE '%an%' OR year IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)"
READS: dict[str, Callable[[vs.Collection, float | None], Any]] = {
    "search": lambda c, t: c.search("text 5", where=WHERE, ids=range(70), timeout=t).ids,
    "exact": lambda c, t: c.search("text 5", exact=True, passages=True, timeout=t).ids,
    "batch": lambda c, t: [h.ids for h in c.search_batch(["a", "b"], where=WHERE, timeout=t)],
    "range": lambda c, t: c.search_range("text 5", 0.1, where=WHERE, timeout=t).ids,
    "count": lambda c, t: c.count(WHERE, ids=range(70), timeout=t),
    "to_arrow": lambda c, t: c.to_arrow(["id"], where=WHERE, timeout=t).to_pylist(),
    "to_pandas": lambda c, t: c.to_pandas(["id"], where=WHERE, timeout=t)["id"].tolist(),
    "scan": lambda c, t: [
        batch.to_pylist() for batch in c.scan(["id"], where=WHERE, batch_rows=7, timeout=t)
    ],
}
WRITES: dict[str, Callable[[vs.Collection, float | None], Any]] = {
    "delete": lambda c, t: c.delete(range(50), where=WHERE, timeout=t).deleted,
    "update": lambda c, t: c.update(WHERE, {"year": 3}, ids=range(80), timeout=t).updated,
    "update each": lambda c, t: (
        c.update(WHERE, {"year": np.arange(80)}, ids=range(80), timeout=t).updated
    ),
    "update texts": lambda c, t: (
        c.update(
            WHERE, {"text": [f"changed {i}" for i in range(9)]}, ids=range(9), timeout=t
        ).updated
    ),
}


def attempts(
    call: Callable[[vs.Collection, float | None], Any], c: vs.Collection, clock: Clock
) -> Iterator[tuple[int, Any]]:
    """Call with longer and longer limits until it succeeds; the last item is its result."""
    for seconds in range(1, 2000):
        clock.now = 0
        fresh = vs.open(c.path, chunker=c._given_chunker)
        try:
            yield seconds, call(fresh, seconds)
            return
        except vs.OperationTimeoutError as error:
            assert f"{seconds:g} s" in str(error) and isinstance(error, TimeoutError)
            yield seconds, None
    raise AssertionError("it never succeeded")


@pytest.mark.parametrize("name", READS)
def test_a_read_ends_in_time_or_gives_its_result(
    collection: vs.Collection, clock: Clock, name: str
) -> None:
    expected = READS[name](collection, None)
    results = list(attempts(READS[name], collection, clock))
    assert results[-1][1] == expected
    assert len(results) > 3  # it looks at the clock on the way
    assert READS[name](collection, 10**6) == expected


@pytest.mark.parametrize("name", WRITES)
def test_a_change_that_is_too_late_does_not_land(
    collection: vs.Collection, clock: Clock, name: str
) -> None:
    before, rows = collection.info(), collection.to_arrow()
    files = {file for file in collection.path.rglob("*") if file.is_file()}
    results = []
    for seconds, result in attempts(WRITES[name], collection, clock):
        results.append(result)
        if result is None:
            latest = vs.open(collection.path)
            assert latest.info() == before and latest.to_arrow().equals(rows), seconds
            left = {file for file in collection.path.rglob("*") if file.is_file()} - files
            assert {file.name for file in left} <= {"LOCK"}
    assert results[-1] > 0 and len(results) > 3
    assert not collection.refresh().check() and collection.info().version == before.version + 1


@pytest.mark.parametrize("name", [*READS, *WRITES])
def test_ctrl_c_leaves_the_collection_usable(
    collection: vs.Collection, clock: Clock, name: str
) -> None:
    call = (READS | WRITES)[name]
    before, rows = collection.info(), collection.to_arrow()
    for interrupts_at in range(2, 2000, 3):
        clock.now, clock.interrupts_at = 0, interrupts_at
        try:
            call(collection, 10**6)
            break
        except KeyboardInterrupt:
            assert collection.refresh().info() == before
            assert collection.to_arrow().equals(rows)
    assert interrupts_at > 2
    clock.interrupts_at = None
    assert collection.refresh().check() == []
    assert collection.delete([1]).version == collection.info().version  # the lock is free


def test_the_wait_for_another_writer_counts(root: Path) -> None:
    c = vs.create(root, dim=2)
    c.add([[1.0, 0.0]])
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with vs.open(root)._store.locked():
            inside.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(60)
    try:
        with pytest.raises(vs.OperationTimeoutError, match=r"0\.05 s"):
            c.delete([0], timeout=0.05)
        c.delete([0], dry_run=True)  # takes no lock
    finally:
        done.set()
        holder.join()
    assert c.delete([0], timeout=60).deleted == 1


def test_a_limit_ends_with_its_operation(root: Path) -> None:
    c = vs.create(root, dim=2)
    c.add([[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(vs.OperationTimeoutError):
        c.search([1.0, 0.0], timeout=1e-9)
    assert deadline.seconds_left() is None and len(c.search([1.0, 0.0])) == 2
    batches = c.scan(batch_rows=1, timeout=1e6)
    next(batches)
    assert deadline.seconds_left() is None  # between two batches
    with deadline.time_limit(5), deadline.time_limit(1e6):
        left = deadline.seconds_left()
        assert left is not None and left <= 5  # the outer limit holds


@pytest.mark.parametrize("wrong", [0, -1, "1", True, float("nan"), [1]])
def test_a_wrong_timeout_is_refused(root: Path, wrong: Any) -> None:
    c = vs.create(root, dim=2)
    c.add([[1.0, 0.0]])
    calls: list[Callable[[], Any]] = [
        lambda: c.search([1.0, 0.0], timeout=wrong),
        lambda: c.search_batch([[1.0, 0.0]], timeout=wrong),
        lambda: c.search_range([1.0, 0.0], 0.5, timeout=wrong),
        lambda: c.count(timeout=wrong),
        lambda: c.to_arrow(timeout=wrong),
        lambda: list(c.scan(timeout=wrong)),
        lambda: c.delete([1], timeout=wrong),
        lambda: c.update(None, {}, timeout=wrong),
    ]
    for call in calls:
        with pytest.raises(vs.InvalidInputError, match="timeout is"):
            call()
    assert len(c.search([1.0, 0.0], timeout=np.float64(9))) == 1
    assert c.count(timeout=float("inf")) == 1


def test_a_long_filter_is_read_in_pieces(clock: Clock) -> None:
    schema = pa.schema([("x", pa.int64())])
    text = " AND ".join(f"x <> {number}" for number in range(500))
    before = clock.now
    with deadline.time_limit(10**9):
        selection.compile_filter(text, schema)
    assert clock.now - before > 500
    with pytest.raises(vs.OperationTimeoutError), deadline.time_limit(100):
        selection.compile_filter(f"{text} AND x <> -1", schema)


def test_exact_search_of_many_queries_is_done_in_pieces(
    root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecsearch.index import exact, products

    c = vs.create(root, dim=6)
    c.add(VECTORS)
    queries = np.repeat(VECTORS, 5, axis=0)
    expected = [hits.ids for hits in c.search_batch(queries, k=3)]
    monkeypatch.setattr(exact, "KERNEL_WORK", 6 * 90 * 7)
    clock.now = 0
    monkeypatch.setattr(products, "BLOCK_ROWS", 7)
    assert [hits.ids for hits in c.search_batch(queries, k=3, timeout=10**6)] == expected
    assert clock.now > 20
    monkeypatch.setattr(products, "LEAST_QUERIES", 10**6)  # of FAISS, as in a forked process
    clock.now = 0
    assert [hits.ids for hits in c.search_batch(queries, k=3, timeout=10**6)] == expected
    assert clock.now > 20
