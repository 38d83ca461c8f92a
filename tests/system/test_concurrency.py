"""Many at once: readers keep their version while others write, compact and collect; histories of
rivals have one order.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
from support.data import clustered

import vecsearch as vs
from vecsearch.maintenance.check import find_damage
from vecsearch.storage import locks, log, merge
from vecsearch.storage.garbage import collect
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.store import Store

SOAK = bool(os.environ.get("VECSEARCH_SOAK"))
SEED = int(os.environ.get("VECSEARCH_SEED", random.SystemRandom().randrange(10**6) if SOAK else 1))
SPAWN = multiprocessing.get_context("spawn")


def run_all(target: Callable[..., None], arguments: list[tuple[Any, ...]]) -> list[Any]:
    """Run processes that each put one result into a queue; their results."""
    results: Any = SPAWN.Queue()
    workers = [SPAWN.Process(target=target, args=(*some, results)) for some in arguments]
    for worker in workers:
        worker.start()
    out = [results.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    return out


# -- readers and one writer ------------------------------------------------------------------------

BATCH = 5  # rows that come and go together


def batch(number: int) -> list[dict[str, object]]:
    return [
        {"id": f"{number}-{n}", "text": f"batch {number} 第 {n} 行", "batch": number}
        for n in range(BATCH)
    ]


def read_for_a_while(path: Path, versions: int, results: Any) -> None:
    """Look at the newest version, and at it again after a while, when later commits have collected
    it.
    """
    problems: list[str] = []
    seen: set[int] = set()
    while len(seen) < versions:
        with vs.open(path) as c:
            version = c.info().version
            numbers = c.to_arrow(["batch"])["batch"].to_pylist()
            if len(numbers) != BATCH * len(set(numbers)) or len(c) != len(numbers):
                problems.append(f"version {version} has part of a batch")
            time.sleep(0.05)
            table = c.to_arrow(
                ["id", "text", "vector"]
            )  # columns not read before, of files that may be collected by now
            if [
                int(name.split("-")[0]) for name in table["id"].to_pylist()
            ] != numbers or c.info().version != version:
                problems.append(f"version {version} changed under its reader")
            hits = c.search(f"batch {numbers[0]}" if numbers else "nothing", k=1)
            if len(hits) != min(1, len(numbers)) or (
                numbers and not hits[0]["text"].startswith("batch")
            ):
                problems.append(f"version {version} cannot be searched")
            if seen and version < max(seen):
                problems.append(f"version {version} after {max(seen)}")
            seen.add(version)
    results.put(problems)


def test_readers_keep_their_version_while_one_writes(root: Path) -> None:
    c = vs.create(root, embedder="toy:8", keep_versions=1)
    c.add(batch(0))
    stop = threading.Event()

    def write() -> None:
        rng = random.Random(SEED)
        live = [0]
        number = 0
        while not stop.is_set():
            number += 1
            c.add(batch(number))
            live.append(number)
            if len(live) > 6:
                gone = live.pop(rng.randrange(len(live)))
                c.delete(where=f"batch = {gone}")
            if number % 7 == 0:
                c.compact()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        problems = run_all(read_for_a_while, [(root, 500 if SOAK else 8)] * (4 if SOAK else 2))
    finally:
        stop.set()
        writer.join()
    assert problems == [[]] * len(problems)
    assert find_damage(root) == []


def test_collection_of_garbage_leaves_what_a_reader_needs(root: Path) -> None:
    c = vs.create(root, embedder="toy:8", keep_versions=1)
    c.add(batch(0))
    with vs.open(
        root
    ) as reader:  # nothing is mapped yet: only the lock on its manifest protects the files
        held = log.load(root)
        c.delete(where="batch = 0")
        for number in range(1, 30):
            c.add(batch(number))
        assert c.info().version > held.version + 25 and len(c.versions()) < 15
        assert all((root / ref.name).exists() for ref in held.files())
        assert sorted(reader.to_arrow(["batch"])["batch"].to_pylist()) == [0] * BATCH
    del reader
    collect(root, OpenFiles(root), 1)
    assert not any((root / ref.name).exists() for ref in held.files())


# -- writers ---------------------------------------------------------------------------------------


def test_a_second_writer_waits_for_the_first(root: Path) -> None:
    c = vs.create(root, dim=2)
    c.add(np.ones((3, 2)))
    held, seen = threading.Event(), []

    def hold() -> None:
        with locks.lock_exclusive(root / "LOCK", 1):
            held.set()
            time.sleep(0.3)
            seen.append("released")

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    assert c.delete([0]).deleted == 1 and seen == ["released"]
    holder.join()


def test_a_thread_that_waits_too_long_gets_an_error(root: Path) -> None:
    vs.create(root, dim=2).close()
    store = Store(root, 0.05)
    with store.locked():
        errors: Queue[BaseException] = Queue()

        def write() -> None:
            try:
                with store.locked():
                    pass
            except vs.VecsearchError as error:
                errors.put(error)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        error = errors.get_nowait()
        assert isinstance(error, vs.LockTimeoutError) and "another thread" in str(error)
    with store.locked() as latest:
        assert latest.manifest.version == 1


def test_a_writer_that_died_holds_nobody_up(root: Path) -> None:
    vs.create(root, dim=2).close()
    code = (
        "import os, sys; from pathlib import Path; from vecsearch.storage import locks\n"
        f"lock = locks.lock_exclusive(Path({str(root)!r}) / 'LOCK', 1); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with vs.open(root, lock_timeout=0) as c:
        assert c.add(np.ones((1, 2))).added == 1


# -- histories -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """One operation: when it was asked for and answered, what it was, what came back, and the
    version it speaks of.
    """

    start: int
    end: int
    kind: str
    ids: tuple[int, ...]
    value: str
    result: Any
    version: int


def rival(path: Path, name: str, steps: int, seed: int, threads: bool, results: Any) -> None:
    if threads:
        merge.LATER_BYTES = 1  # every merge is done beside the callers
    ids_at_most = 60 if threads else 12  # so that segments keep some of their rows
    rng = random.Random(seed)
    history = []
    with vs.open(path, lock_timeout=120) as c:
        for step in range(steps):
            kind = rng.choice(
                [
                    "skip",
                    "replace",
                    "replace",
                    "error",
                    "delete",
                    "delete",
                    "read",
                    "read",
                    "update",
                    "compact",
                ]
            )
            many = (
                1 if kind == "skip" else rng.randrange(1, 5)
            )  # which of several were skipped, counts do not tell
            if threads and kind == "compact":
                kind = "replace"
            ids = tuple(sorted(rng.sample(range(ids_at_most), many)))
            start = time.monotonic_ns()
            value = f"{name}-{step}"
            result, version = perform(c, kind, ids, value)
            history.append(Done(start, time.monotonic_ns(), kind, ids, value, result, version))
    results.put(history)


def perform(c: vs.Collection, kind: str, ids: tuple[int, ...], value: str) -> tuple[Any, int]:
    rows = [{"id": n, "vector": [1.0, n], "value": value} for n in ids]
    if kind in ("skip", "replace"):
        added = c.add(rows, on_conflict=kind)
        return (added.added, added.replaced, added.skipped), added.version
    if kind == "error":
        try:
            return "added", c.add(rows).version
        except vs.DuplicateIdError:
            return "refused", 0
    if kind == "delete":
        deleted = c.delete(ids)
        return (deleted.deleted, deleted.missing), deleted.version
    if kind == "update":
        updated = c.update(f"id IN ({', '.join(map(str, ids))})", {"value": value})
        return updated.updated, updated.version
    if kind == "compact":
        return None, c.compact()
    c.refresh()
    table = c.to_arrow(["id", "value"])
    return dict(
        zip(table["id"].to_pylist(), table["value"].to_pylist(), strict=True)
    ), c.info().version


def expected(state: dict[int, str], op: Done) -> tuple[dict[int, str], Any]:
    """What an operation makes of a state, and what it should answer."""
    there = [n for n in op.ids if n in state]
    new = dict.fromkeys(op.ids, op.value)
    if op.kind == "skip":
        return new | state, (len(op.ids) - len(there), 0, len(there))
    if op.kind == "replace":
        return state | new, (len(op.ids) - len(there), len(there), 0)
    if op.kind == "error":
        return (state, "refused") if there else (state | new, "added")
    if op.kind == "delete":
        return {n: v for n, v in state.items() if n not in op.ids}, (
            len(there),
            len(op.ids) - len(there),
        )
    if op.kind == "update":
        return state | dict.fromkeys(there, op.value), len(there)
    return state, state if op.kind == "read" else None


def commits(op: Done) -> bool:
    """Whether an operation made a version (a compaction may find nothing to do)."""
    changed = {
        "skip": lambda r: r[0],
        "replace": lambda r: True,
        "delete": lambda r: r[0],
        "update": bool,
        "error": "added".__eq__,
    }
    return op.kind in changed and bool(changed[op.kind](op.result))


def assert_one_order(history: list[Done], first: int, merges: Collection[int] = ()) -> None:
    """The versions give an order in which every answer is right, and which respects who was done
    before whom.

    merges: the versions that threads made, which change no answer.
    """
    made = {op.version: op for op in history if commits(op)}
    assert len(made) == sum(map(commits, history)), "two changes made one version"
    states = {first: dict[int, str]()}
    last = max([first, *(op.version for op in history)])
    for version in range(first + 1, last + 1):
        op = made.get(version)  # None: a compaction, or an add whose row a rival added first
        states[version], answer = (
            expected(states[version - 1], op) if op else (states[version - 1], None)
        )
        assert op is None or op.result == answer, f"{op} should have answered {answer}"
    unchanged = {op.version for op in history if op.kind in ("compact", "skip") and not commits(op)}
    assert set(range(first + 1, last + 1)) - set(made) <= unchanged.union(merges)
    for op in history:
        known = max([first, *(other.version for other in history if other.end < op.start)])
        possible = [number for number, by in made.items() if by.start < op.end]
        newest = max([known, *possible])
        if op.kind == "error" and op.result == "refused":
            assert any(set(op.ids) & set(states[v]) for v in range(known, newest + 1)), (
                f"{op} was refused for nothing"
            )
            continue
        assert op.version >= known, f"{op} does not know of version {known}"
        if commits(op):
            assert op.version > known
        else:
            assert expected(states[op.version], op)[1] == op.result, (
                f"{op}: version {op.version} is {states[op.version]}"
            )
            assert op.version not in made or made[op.version].start < op.end


@pytest.mark.parametrize("threads", [False, True], ids=["alone", "beside merges"])
def test_rivals_have_one_order(root: Path, threads: bool) -> None:
    c = vs.create(root, dim=2, keep_versions=5000 if threads else 3)
    c.add([{"id": 0, "vector": [1.0, 1.0], "value": "first"}])
    c.delete([0])
    rivals, steps = (4, 300) if SOAK else (3, 25)
    histories = run_all(
        rival, [(root, f"r{n}", steps, SEED * 1000 + n, threads) for n in range(rivals)]
    )
    history = sorted((op for some in histories for op in some), key=lambda op: op.start)
    overlapping = sum(a.end > b.start for a, b in pairwise(history))
    assert overlapping  # they were rivals indeed
    merges = {each.version for each in c.versions() if each.operation == "merge"}
    assert bool(merges) == threads
    assert_one_order(history, c.info().version, merges)
    assert find_damage(root) == []
    print(
        f"{len(history)} operations of {rivals} processes, {overlapping} overlapping, seed {SEED}: "
        "one order"
    )


def test_a_history_without_an_order_is_seen() -> None:
    add = Done(0, 1, "replace", (1,), "a", (1, 0, 0), 2)
    stale = Done(2, 3, "read", (), "", {}, 1)  # was asked for after version 2 was there
    with pytest.raises(AssertionError, match="does not know of version 2"):
        assert_one_order([add, stale], 1)
    with pytest.raises(AssertionError, match="should have answered"):
        assert_one_order([add, Done(2, 3, "delete", (1,), "", (2, 0), 3)], 1)
    with pytest.raises(AssertionError, match="one version"):
        assert_one_order([add, Done(0, 1, "replace", (2,), "b", (1, 0, 0), 2)], 1)


# -- threads and forks -----------------------------------------------------------------------------


def test_threads_search_while_a_build_runs(root: Path) -> None:
    vectors = clustered(1500, 8)
    c = vs.create(root, dim=8)
    c.add(vectors)
    c.add_column("note", "int64")
    right = [c.search(vector, k=5, exact=True).ids for vector in vectors[:20]]
    stop, wrong = threading.Event(), []

    def search() -> None:
        while not stop.is_set():
            for number, vector in enumerate(vectors[:20]):
                if (
                    c.search(vector, k=5, exact=True).ids != right[number]
                    or len(c.search(vector, k=5)) != 5
                ):
                    wrong.append(number)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert c.build_index("HNSW16").rows == 1500
        c.update("id < 100", {"note": 1})
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []


FORK = """
import os, sys, signal, threading, time
import numpy as np, vecsearch as vs
from pathlib import Path
from vecsearch.storage import locks
c = vs.open({root!r}, lock_timeout=5)
queries = np.random.default_rng(0).standard_normal((64, 16)).astype(np.float32)
before = [hits.ids for hits in c.search_batch(queries, k=5)]  # starts FAISS's threads in the parent
child = os.fork()
if child == 0:
    try:
        signal.alarm(60)
        same = [c.search(query, k=5).ids for query in queries] == before
        same &= [hits.ids for hits in c.search_batch(queries, k=5)] == before
        c.add(np.ones((1, 16)))
        same &= len(c) == 4001 and len(c.to_arrow(["id"])) == 4001
        os._exit(0 if same else 3)
    except BaseException as error:
        print("child:", repr(error), file=sys.stderr, flush=True)
        os._exit(4)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert status == 0, status
assert [hits.ids for hits in c.search_batch(queries, k=5)] == before and len(c) == 4000
assert len(c.refresh()) == 4001

# A child forked while another thread commits does not keep the writer's lock once that thread
# releases it.
with locks.lock_exclusive(Path({root!r}) / "LOCK", 1):
    sleeper = os.fork()
    if sleeper == 0:
        time.sleep(60)
        os._exit(0)
assert c.add(np.ones((1, 16))).added == 1
# ... but what it reads is kept for it.
version = c.info().version
reader = os.fork()
if reader == 0:
    time.sleep(60)
    os._exit(0)
c.delete([0])
try:
    c.compact(purge=True)
    raise AssertionError("purged under a reader")
except vs.ConflictError as error:
    assert f"version {{version}}" in str(error) or "version" in str(error)
for child in (sleeper, reader):
    os.kill(child, 9)
    os.waitpid(child, 0)
c.compact(purge=True)
assert len(c) == 4001 and len(c.versions()) == 1
print("done")
"""


def test_a_process_that_forks(root: Path) -> None:
    with vs.create(root, dim=16) as c:
        c.add(clustered(4000, 16))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK.format(root=str(root))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "done", done.stderr
