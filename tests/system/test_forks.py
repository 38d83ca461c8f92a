"""Children that are forked while threads of their parent search, open and add."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import forge
from support.data import clustered

import vecsearch as vs

SOAK = bool(os.environ.get("VECSEARCH_SOAK"))
CHILDREN = 60 if SOAK else 3

SCRIPT = """
import faulthandler, itertools, os, signal, sys, threading, time
import numpy as np, vecsearch as vs
root, what, children = sys.argv[1], sys.argv[2], int(sys.argv[3])
small = vs.Limits(smallest_index_rows=20)
shared = vs.open(root, lock_timeout=20, limits=small)
queries = np.random.default_rng(0).standard_normal((16, 16)).astype(np.float32)
right = [list(shared.search(query, k=5, exact=True).ids) for query in queries]
stop, numbers, errors = threading.Event(), itertools.count(), []

def work():
    n = next(numbers)
    query = queries[n % len(queries)]
    if what == "filter":
        shared.search(query, k=5, where=f"n > {n % 1000} AND n < {n + 2000}")
    elif what == "open":
        with vs.open(root, limits=small) as c:
            c.search(query, k=5)
    elif what == "first":  # a new object, searched by all threads
        fresh.search(query, k=5, where="n >= 0")
    elif what == "refresh":
        shared.refresh().search(query, k=5)
    elif what == "batch":
        shared.search_batch(queries, k=5)
    else:
        shared.get([n % 100])
        shared.add([{"id": 10_000 + n, "vector": queries[0] + 90, "n": -1}])

def run():
    while not stop.is_set():
        try:
            work()
        except Exception as error:
            errors.append(repr(error))
            return

def child():
    found = [list(shared.search(query, k=5, exact=True).ids) for query in queries]
    assert found == right, (found, right)
    assert [len(hits) for hits in shared.search_batch(queries, k=5)] == [5] * len(queries)
    assert len(shared.search(queries[0], k=3, where="n < 500 AND id <> 7")) == 3
    assert shared.get([1], ["id"]) == [{"id": 1}]
    mine = 10**6 + os.getpid()
    assert shared.add([{"id": mine, "vector": queries[1] + 90, "n": -2}]).added == 1
    with vs.open(root, limits=small) as c:
        assert c.get([mine], ["n"]) == [{"n": -2}] and len(c.search(queries[0], k=2)) == 2

fresh = vs.open(root, limits=small)
threads = [threading.Thread(target=run, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
codes = []
for number in range(children):
    fresh = vs.open(root, limits=small)
    time.sleep(0.003 * (number % 7))
    pid = os.fork()
    if pid == 0:
        faulthandler.dump_traceback_later(100)  # of a child that waits for ever; then it ends
        signal.alarm(120)
        try:
            child()
            os._exit(0)
        except BaseException as error:
            print("child:", repr(error), file=sys.stderr, flush=True)
            os._exit(4)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
stop.set()
for thread in threads:
    thread.join(60)
print(codes.count(0), errors, [code for code in codes if code])
os._exit(0)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole") / "c.vs"
    with vs.create(root, dim=16, limits=vs.Limits(smallest_index_rows=20)) as c:
        vectors = clustered(1500, 16)
        c.add([{"id": n, "vector": vector, "n": n} for n, vector in enumerate(vectors)])
        c.build_index(
            vs.IndexRecipe(name="g", kind="hnsw", code="sq8", M=8, ef_construction=40), threads=1
        )
    return root


@pytest.mark.parametrize("what", ["filter", "open", "first", "refresh", "batch", "add"])
def test_children_forked_while_threads_work(what: str, whole: Path, tmp_path: Path) -> None:
    root = forge.copy(whole, tmp_path / "c.vs")
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(root), what, str(CHILDREN)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.stdout.strip() == f"{CHILDREN} [] []", (done.stdout, done.stderr[-5000:])
