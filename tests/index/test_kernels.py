"""The compiled walk against FAISS's own search and numpy: the same rows and true scores, whatever happened to the rows."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.data import brute_force, clustered

import vecsearch as vs
from vecsearch.index.faiss import LOADER, graph_search
from vecsearch.index.kernels import loader

pytestmark = pytest.mark.skipif(
    find_spec("numba") is None, reason="the extra 'fast' (numba) is not installed"
)

ROWS, DIM = 5000, 48


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever came before, the walk is loaded, and a test may take it away."""
    module = LOADER.load()
    assert module is not None
    monkeypatch.setattr(LOADER, "module", module)
    yield


@pytest.fixture
def collection(tmp_path: Path, metric: str, small_exact: None) -> vs.Collection:
    c = vs.create(tmp_path / "c.vs", dim=DIM, metric=metric)
    vectors = clustered(ROWS, DIM)
    for part in np.array_split(np.arange(ROWS), 3):  # several segments, whose vectors lie apart
        c.add(
            [
                {"id": int(row), "vector": vectors[row], "share": row / ROWS, "fifth": int(row) % 5}
                for row in part
            ]
        )
    c.build_index(recipe="low-latency", recall=0.9)
    return c


def both(
    c: vs.Collection, monkeypatch: pytest.MonkeyPatch, query: np.ndarray, k: int, where: str | None
) -> list[vs.Hits]:
    """The same search by FAISS and by the compiled walk."""
    found = [c.search(query, k, where=where)]
    with monkeypatch.context() as patch:
        patch.setattr(LOADER, "module", None)
        found.insert(0, c.search(query, k, where=where))
    return found


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_finds_what_faiss_finds(
    collection: vs.Collection, metric: str, compiled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    c, queries = collection, clustered(30, DIM, seed=5)
    walked = []
    search = graph_search.GraphSearch.search
    monkeypatch.setattr(
        graph_search.GraphSearch, "search", lambda *args: walked.append(1) or search(*args)
    )

    def check(stage: str) -> None:
        same = total = used = 0
        scanned: list[float] = []
        for where in (None, "share < 0.5", "share < 0.1", "fifth = 2", "share > 2"):
            for k in (1, 10, 50):
                for query in queries:
                    before = len(walked)
                    by_faiss, by_walk = both(c, monkeypatch, query, k, where)
                    used += len(walked) - before
                    assert len(by_faiss) == len(by_walk)
                    np.testing.assert_allclose(
                        by_walk.scores, true_scores(c, query, by_walk, metric), rtol=1e-4, atol=1e-4
                    )
                    assert (np.diff(by_walk.scores) <= 0).all()
                    if by_walk.plan.method == "scan":
                        exact = c.search(query, k, where=where, exact=True)
                        scanned.append(len(set(exact.ids) & set(by_walk.ids)) / len(exact))
                    elif by_walk.plan.method == by_faiss.plan.method:
                        same += len(set(by_faiss.ids) & set(by_walk.ids))
                        total += len(by_faiss)
        assert same >= 0.998 * total, (
            stage
        )  # equal distances of bytes may be taken in another order
        assert np.mean(scanned) > 0.95, stage
        assert used > 50 and len(scanned) > 50, (stage, used, len(scanned))

    check("built")
    c.add(
        [
            {"id": ROWS + row, "vector": vector, "share": 0.3, "fifth": 2}
            for row, vector in enumerate(clustered(600, DIM, seed=9))
        ]
    )
    check("added")
    c.delete(range(0, ROWS, 7))
    check("deleted")
    c.compact()
    check("compacted")


def true_scores(c: vs.Collection, query: np.ndarray, hits: vs.Hits, metric: str) -> np.ndarray:
    vectors = c.features(hits.ids)
    if metric == "cosine":
        vectors, query = (
            vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
            query / np.linalg.norm(query),
        )
    return brute_force(vectors, query, "l2" if metric == "l2" else "ip")


@pytest.mark.parametrize("metric", ["cosine"])
def test_many_searches_and_threads(collection: vs.Collection, compiled: None) -> None:
    """Marks of visited nodes are wiped every 255 searches, and each thread has its own."""
    queries = clustered(700, DIM, seed=6)
    found: dict[int, vs.Hits] = {}

    def work(first: int) -> None:
        for number in range(first, len(queries), 2):
            found[number] = collection.search(queries[number], k=10)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_faiss = collection.search_batch(queries, k=10)
    same = np.array(
        [len(set(found[number].ids) & set(hits.ids)) for number, hits in enumerate(by_faiss)]
    )
    for part in np.array_split(same, 5):  # as good at the end as at the beginning
        assert part.mean() >= 9.9


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_a_batch_is_the_same_as_one_by_one(collection: vs.Collection, compiled: None) -> None:
    c, queries = collection, clustered(600, DIM, seed=8)
    c.delete(range(0, ROWS, 9))
    c.add(
        [
            {"id": ROWS + row, "vector": vector, "share": 0.3, "fifth": 2}
            for row, vector in enumerate(clustered(50, DIM, seed=9))
        ]
    )
    used = 0
    for where, k in ((None, 10), ("share < 0.5", 10), ("share > 0.9", 3), ("share < 0.5", 1)):
        batch = c.search_batch(queries, k, where=where)
        for query, hits in zip(queries, batch, strict=True):
            alone = c.search(query, k, where=where)
            if alone.plan == hits.plan:
                used += alone.plan.method == "index"
                assert alone.ids == hits.ids
                np.testing.assert_allclose(alone.scores, hits.scores, rtol=1e-5, atol=1e-5)
    assert used > 1000


@pytest.mark.parametrize("metric", ["cosine"])
def test_an_index_that_grew_is_walked_anew(collection: vs.Collection, compiled: None) -> None:
    new = clustered(800, DIM, seed=11)
    collection.search(new[0], k=5)
    collection.add(
        [
            {"id": ROWS + row, "vector": vector, "share": 0.0, "fifth": 0}
            for row, vector in enumerate(new)
        ]
    )
    assert collection.build_index(recipe="low-latency", recall=0.9).how == "extended"
    hits = [collection.search(vector, k=1) for vector in new]
    assert {item.plan.method for item in hits} == {"index"}
    assert np.mean([item.ids == [ROWS + row] for row, item in enumerate(hits)]) > 0.9


@pytest.mark.parametrize("metric", ["ip"])
def test_other_kinds_go_through_faiss(
    collection: vs.Collection, compiled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        graph_search.GraphSearch, "search", lambda *_: pytest.fail("an inner product was walked")
    )
    assert collection.search(clustered(1, DIM)[0], k=5).plan.method == "index"


def test_loaded_after_some_queries_and_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = loader.Loader()
    monkeypatch.setattr(loader, "AFTER_QUERIES", 3)
    asked = [ours.after_queries() for _ in range(4)]
    assert asked[:3] == [None] * 3
    for thread in threading.enumerate():
        if thread.name == "vecsearch-compiled":
            thread.join()
    assert ours.after_queries() is not None


@pytest.mark.parametrize("how", ["switched off", "not installed", "broken"])
def test_without_it_faiss_searches(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "switched off":
        monkeypatch.setenv(loader.SWITCH, "0")
    elif how == "not installed":
        monkeypatch.setattr(loader, "find_spec", lambda name: None)
    else:
        monkeypatch.setitem(sys.modules, "vecsearch.index.kernels.numba_hnsw", None)
    assert loader.Loader().load() is None


def test_loading_it_leaves_the_standard_streams_alone() -> None:
    """It is loaded in a thread, while another may redirect them."""
    script = """
import sys
from vecsearch.index.kernels.loader import LOADER
assert LOADER.load() is not None
from numba.core import errors
before = sys.stdout
class Watched(type(sys)):
    def __setattr__(self, name, value):
        if name in ("stdout", "stderr"):
            raise AssertionError(f"sys.{name} is set")
        super().__setattr__(name, value)
sys.__class__ = Watched
assert errors.termcolor().errmsg("a message") == "a message"
print("untouched")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "untouched\n", done.stderr


def test_few_queries_do_not_import_it() -> None:
    script = "import sys, vecsearch.index.faiss; print('numba' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "False"
    )
