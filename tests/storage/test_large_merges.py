"""Large merges hold no caller up, and lose or double nothing, whatever comes between."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vecsearch as vs
from vecsearch.errors import StorageError
from vecsearch.maintenance.check import find_damage
from vecsearch.storage import large_merges, log, merge
from vecsearch.storage.large_merges import merge_large
from vecsearch.storage.merge import FAN_OUT, MANY

LIMITS = vs.Limits(smallest_index_rows=1)
OF_THE_THREAD = merge.merge_segments


@pytest.fixture(autouse=True)
def every_merge_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "LATER_BYTES", 1)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Events: the thread came to its merge; it may begin."""
    there, go = threading.Event(), threading.Event()

    def merged(*arguments: Any) -> Any:
        there.set()
        assert go.wait(20)
        return OF_THE_THREAD(*arguments)

    monkeypatch.setattr(large_merges, "merge_segments", merged)
    yield there, go
    go.set()


def add(c: vs.Collection, first: int, count: int = 1) -> None:
    """Add so many times two rows; the ids of the first are `2 * first` and the next."""
    for n in range(2 * first, 2 * (first + count), 2):
        c.add([{"id": each, "n": each % 3, "vector": [each, 1]} for each in (n, n + 1)])


def ids_of(c: vs.Collection) -> list[int]:
    return list(c.to_arrow(["id"])["id"].to_pylist())


def left_in_staging(root: Path) -> list[str]:
    return [path.name for path in (root / "staging").iterdir() if path.name.startswith("work-")]


def created(root: Path) -> vs.Collection:
    return vs.create(root, dim=2, metric="l2", limits=LIMITS, auto_index=False)


def test_adds_go_on_while_segments_are_merged(
    root: Path, held: tuple[threading.Event, threading.Event]
) -> None:
    there, go = held
    with created(root) as c:
        add(c, 0, FAN_OUT + 1)
        assert there.wait(60)
        parts = log.load(root).segments
        add(c, FAN_OUT + 1, 5)
        assert c.delete([2]).deleted == 1
        now = log.load(root).segments
        assert now[2 : len(parts)] == parts[2:] and now[1].file == parts[1].file
        wanted = [n for n in range(2 * FAN_OUT + 12) if n != 2]
        assert ids_of(c) == wanted
        go.set()
    assert not left_in_staging(root)
    version = log.load(root)
    assert version.operation == "merge"
    assert [entry.rows for entry in version.segments] == [2 * FAN_OUT + 2] + [2] * 5
    with vs.open(root) as c:
        assert ids_of(c) == wanted and find_damage(root) == []
        assert [list(row) for row in c.to_arrow(["vector"])["vector"].to_pylist()] == [
            [n, 1] for n in wanted
        ]


def test_the_order_of_rows_does_not_depend_on_the_thread(
    tmp_path: Path, held: tuple[threading.Event, threading.Event]
) -> None:
    go, orders = held[1], []
    for when in ("at once", "sometime", "at the end"):
        if when == "at the end":
            go.clear()
        else:
            go.set()
        with created(tmp_path / when) as c:
            for n in range(0, 33, 3):
                c.add([{"id": n, "n": 0, "vector": [n, 1]}])
                c.add([{"vector": [n, 2], "id": n + 1, "n": 1}], on_conflict="replace")
                c.update(f"id = {n // 2}", {"n": 5})
                if when == "at once":
                    c._store.large_merges.wait()
            go.set()
            c._store.large_merges.wait()
            c.refresh()
            orders.append(c.to_arrow())
    assert orders[0].equals(orders[1]) and orders[0].equals(orders[2])


FOLLOWED: dict[str, Callable[[vs.Collection], object]] = {
    "nothing": lambda c: None,
    "add": lambda c: c.add([{"id": 99, "n": 0, "vector": [0, 0]}]),
    "delete": lambda c: c.delete([2, 5, 8]),
    "delete and go back": lambda c: (c.delete([9]), c.rollback(c.info().version - 1)),
    "words": lambda c: c.build_text_index(["word"], "german", progress=False),
    "replace": lambda c: c.add([{"id": 4, "n": 7, "vector": [9, 9]}], on_conflict="replace"),
}
GIVEN_UP: dict[str, Callable[[vs.Collection], object]] = {
    "delete a segment": lambda c: c.delete([3, 4, 5]),
    "index": lambda c: c.build_index("Flat"),
    "update": lambda c: c.update("n = 1", {"n": 8}),
    "add a column": lambda c: c.add_column("tag", "string", "x"),
    "drop a column": lambda c: c.drop_column("n"),
    "alter a column": lambda c: c.alter_column("n", "float64"),
    "compact": lambda c: c.compact(),
    "bring rows back": lambda c: c.rollback(c.info().version - 1),
    "reshard": lambda c: c.reshard(2),
}


@pytest.mark.parametrize("name", [*FOLLOWED, *GIVEN_UP])
def test_what_others_commit_while_the_thread_merges_stays(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deletions go into the merged segment; after another change of its parts it is given up."""
    change = (FOLLOWED | GIVEN_UP)[name]
    with created(root) as c, vs.open(root, limits=LIMITS) as other:
        for n in range(0, 3 * FAN_OUT, 3):
            ids = range(n, n + 3)
            c.add([{"id": m, "n": m % 3, "word": f"word {m}", "vector": [m, 1]} for m in ids])
        c.delete([0, 7])

        def merged(*arguments: Any) -> Any:
            monkeypatch.setattr(large_merges, "merge_segments", OF_THE_THREAD)
            done = OF_THE_THREAD(*arguments)
            change(other.refresh())
            wanted.append(other.refresh().to_arrow())
            return done

        wanted: list[Any] = []
        monkeypatch.setattr(large_merges, "merge_segments", merged)
        merge_large(c._store)
        table = c.refresh().to_arrow()
        assert table.equals(wanted[0])
        merges = [each for each in c.versions() if each.operation == "merge"]
        assert len(merges) == (name in FOLLOWED)
        assert c.count() == table.num_rows
        vectors = table["vector"].to_pylist()
        for number in (0, table.num_rows - 1) if table.num_rows else ():
            found = c.search(vectors[number], k=1, exact=True)
            assert found.ids[0] == table["id"][number].as_py()
    assert find_damage(root) == [] and not left_in_staging(root)


def test_a_merge_that_fails_is_left_to_the_next_change(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any) -> Any:
        raise StorageError(None, "the disk is full")

    monkeypatch.setattr(large_merges, "merge_segments", fails)
    with created(root) as c:
        add(c, 0, FAN_OUT + 1)
        c._store.large_merges.wait()
        assert len(log.load(root).segments) == FAN_OUT + 1
        monkeypatch.setattr(merge, "merge_segments", fails)
        with pytest.raises(StorageError, match="the disk is full"):
            add(c, 50)  # whoever adds is told
        monkeypatch.setattr(merge, "merge_segments", OF_THE_THREAD)
        add(c, 50)
        assert len(log.load(root).segments) == 2
        assert ids_of(c) == [*range(2 * FAN_OUT + 2), 100, 101]
    assert not left_in_staging(root)


def test_many_processes_that_add_once_leave_few_segments(root: Path) -> None:
    created(root).close()
    for n in range(3 * FAN_OUT):
        with vs.open(root) as c:
            add(c, n)
    assert len(log.load(root).segments) <= FAN_OUT + 2
    with vs.open(root) as c:
        assert ids_of(c) == list(range(6 * FAN_OUT))


def test_segments_stay_few_when_the_thread_is_slow(
    root: Path, held: tuple[threading.Event, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_merges, "MOST_SMALL", 20)
    with created(root) as c:
        add(c, 0, 60)
        assert held[0].is_set() and not held[1].is_set()
        assert len(log.load(root).segments) <= 20 + FAN_OUT < MANY
        held[1].set()
    with vs.open(root) as c:
        assert ids_of(c) == list(range(120))


def test_a_purge_waits_for_the_thread(
    root: Path, held: tuple[threading.Event, threading.Event]
) -> None:
    with created(root) as c:
        add(c, 0, FAN_OUT + 1)
        assert held[0].wait(60)
        c.delete([3])
        threading.Timer(0.05, held[1].set).start()
        c.compact(purge=True)
        assert not left_in_staging(root) and len(c.versions()) == 1
        assert ids_of(c) == [n for n in range(2 * FAN_OUT + 2) if n != 3]


FORKING = """
import os, sys, threading
import vecsearch as vs
from vecsearch.storage import large_merges, merge
merge.LATER_BYTES = 1
there, go, whole = threading.Event(), threading.Event(), large_merges.merge_segments

def merged(*arguments):
    there.set()
    assert go.wait(60)
    return whole(*arguments)

large_merges.merge_segments = merged
c = vs.open(sys.argv[1])
for n in range(9):
    c.add([{"id": n, "n": 0, "vector": [n, 1]}])
assert there.wait(60)
pid = os.fork()
if pid == 0:
    large_merges.merge_segments = whole
    c.add([{"id": 9, "n": 0, "vector": [9, 1]}])
    c.close()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
if sys.argv[2] == "killed":
    os._exit(7)
go.set()
if sys.argv[2] == "closed":
    c.close()
"""


@pytest.mark.parametrize("how", ["closed", "ended", "killed"])
def test_a_child_and_the_end_of_its_parent(root: Path, how: str) -> None:
    """A child has no thread to wait for. A process that ends merges to the end, unless killed."""
    created(root).close()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = [sys.executable, "-c", FORKING, str(root), how]
    assert subprocess.run(code, env=environment, timeout=100).returncode == 7 * (how == "killed")
    with vs.open(root) as c:
        assert ids_of(c) == list(range(10))
        add(c, 5)
        assert ids_of(c) == list(range(12))
    assert not left_in_staging(root) and find_damage(root) == []
    assert len(log.load(root).segments) <= 4
