"""The search kernels: compiled, in numpy, and FAISS in their place give the same answers."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import faiss
import numpy as np
import pytest
from support.data import brute_force, clustered

import vecsearch as vs
from vecsearch.index.faiss import LOADER, train_index
from vecsearch.index.faiss.graph_search import GraphSearch, table_of
from vecsearch.index.kernels import loader, numpy_hnsw, numpy_scores
from vecsearch.index.kernels.arguments import (
    COSINE,
    EUCLIDEAN,
    INNER_PRODUCT,
    NO_MASK,
    NOTHING_OUTSIDE,
    TOO_FEW,
    UNSURE,
    Effort,
    Request,
    fixed_effort,
)
from vecsearch.index.kernels.misses import allowed_misses
from vecsearch.index.kernels.query_codes import encode_queries, rounding_error
from vecsearch.index.recipe import IndexRecipe
from vecsearch.query.encode import unit_of, units_of

pytestmark = pytest.mark.skipif(
    find_spec("numba") is None, reason="the extra 'fast' (numba) is not installed"
)

SOAK = bool(os.environ.get("VECSEARCH_SOAK"))
ROWS, DIM = 5000, 48
NO_ROWS = np.empty(0, np.int64)
FILTERS = (None, "share < 0.5", "share < 0.1", "fifth = 2", "share > 2")


@pytest.fixture
def compiled() -> ModuleType:
    module = LOADER.load()
    assert module is not None
    return module


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where collections with an index are kept, one for each metric, to be copied."""
    return tmp_path_factory.mktemp("built")


@pytest.fixture
def collection(tmp_path: Path, built: Path, metric: str, small_exact: None) -> vs.Collection:
    if not (built / metric).exists():
        build_collection(built / metric, metric)
    shutil.copytree(built / metric, tmp_path / "c.vs")
    return vs.open(tmp_path / "c.vs")


def build_collection(path: Path, metric: str) -> None:
    rows = 1500 if metric == "ip" else ROWS  # FAISS alone searches them
    vectors = clustered(rows, DIM)
    with vs.create(path, dim=DIM, metric=metric) as c:
        for part in np.array_split(np.arange(rows), 3):  # segments lie apart in memory
            c.add(
                [
                    {
                        "id": int(row),
                        "vector": vectors[row],
                        "share": row / ROWS,
                        "fifth": int(row) % 5,
                    }
                    for row in part
                ]
            )
        c.build_index(recipe="low-latency", recall=0.9)


def near_rows(count: int, seed: int) -> np.ndarray:
    """Queries near some rows: others are unlike all that the index was measured with."""
    rng, rows = np.random.default_rng(seed), clustered(ROWS, DIM)
    chosen = rows[rng.choice(ROWS, count, replace=False)]
    return np.asarray(chosen + rng.normal(0, 0.1, chosen.shape), np.float32)


def answer_with(monkeypatch: pytest.MonkeyPatch, kernels: ModuleType | None) -> None:
    """Queries are answered by these kernels; None: by FAISS."""
    monkeypatch.setattr(LOADER, "kernels", lambda queries=1: kernels)


def change_rows(c: vs.Collection, step: str) -> None:
    if step == "added":
        new = clustered(600, DIM, seed=9)
        c.add(
            [
                {"id": ROWS + row, "vector": vector, "share": 0.3, "fifth": 2}
                for row, vector in enumerate(new)
            ]
        )
    elif step == "deleted":
        c.delete(range(0, ROWS, 7))
    elif step == "compacted":
        c.compact()


# -- the numpy kernels equal the compiled ones -------------------------------------------------


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("seed", range(16 if SOAK else 2))
def test_numpy_kernels_equal_the_compiled_ones(
    compiled: ModuleType, metric: str, seed: int
) -> None:
    """Rows and scores, bit by bit, where hundreds of rows share a code."""
    rng = np.random.default_rng(seed)
    vectors = clustered(3000, 40, seed=seed)
    for first in range(0, 2000, 200):
        vectors[first : first + 200] = vectors[first]
        vectors[first : first + 100] += rng.normal(0, 1e-5, (100, 40)).astype(np.float32)
    if metric == "cosine":
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    recipe = IndexRecipe("graph", "hnsw", code="sq8", M=12, ef_construction=64, seed=seed)
    index = train_index(recipe, metric, 40, lambda: iter([vectors]), len(vectors), vectors)
    search = index.graph_search
    assert search is not None
    more = clustered(400, 40, seed=seed + 70)
    more[:100] = vectors[:2000:20]  # as near as rows of the graph
    if metric == "cosine":
        more /= np.linalg.norm(more, axis=1, keepdims=True)
    table = table_of([vectors, more], np.array([0, 3000, 3400]))
    assert table is not None
    positions = np.where(rng.random(400) < 0.2, -1, np.arange(3000, 3400)).astype(np.int32)
    rows_outside = NOTHING_OUTSIDE if seed == 0 else (index.codes(more), positions)
    seen_outside = 0
    masks = [NO_MASK, rng.random(3400) < 0.5, rng.random(3400) < 0.05]
    queries = np.concatenate([vectors[::200], clustered(10, 40, seed=seed + 50)])
    if metric == "cosine":
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    answered, gave_up = 0, set()
    far = float(np.median(queries @ vectors.T)) if metric == "cosine" else -1e9
    code = EUCLIDEAN if metric == "l2" else COSINE
    for mask in masks:
        for k, effort, depth in ((1, 8, 8), (10, 32, 25), (10, 300, 300), (50, 16, 100)):
            extra = np.sort(rng.choice(3000, 5, replace=False)) if k == 10 else np.empty(0, int)
            row_map = index.row_map(np.where(np.arange(3000) % 11 == 0, -1, np.arange(3000)))
            enough = 0 if k == 50 else k
            nodes = np.flatnonzero(rng.random(3000) < 0.3).astype(np.int32)
            nodes = nodes[row_map[nodes] >= 0]
            ladders = [
                fixed_effort(max(effort, depth)),
                Effort(
                    np.array([depth, depth + 9, 2 * depth, 300 + depth]),
                    np.array([4.0, 3.5, 3.0, 2.0]),
                    min(k, depth),
                    far,
                    1 + k % 3,
                    allowed_misses(k, 0.95),
                ),
            ]
            for number, query in enumerate(np.ascontiguousarray(queries, np.float32)):
                request = Request(
                    *(row_map, mask, extra, *rows_outside, *table, code),
                    ladders[number % 2],
                    depth,
                    depth // 2,
                    enough,
                )
                for source in (None, nodes):
                    ours = search.search(numpy_hnsw, query, k, request, source)
                    theirs = search.search(compiled, query, k, request, source)
                    answered += theirs[2] >= 0
                    gave_up |= {theirs[2]} if theirs[2] < 0 else set()
                    assert ours[2] == theirs[2]
                    assert ours[0].tolist() == theirs[0].tolist()
                    assert ours[1].tolist() == theirs[1].tolist()
                    seen_outside += int(np.count_nonzero(ours[0] >= 3000))
    assert (seen_outside > 500) == (seed != 0)
    assert answered > 100 and {TOO_FEW, UNSURE} <= gave_up


def test_a_search_that_goes_on_finds_what_a_larger_one_finds(compiled: ModuleType) -> None:
    """Also when more nodes were compared than are remembered."""
    vectors = clustered(20_000, 16, seed=3)
    recipe = IndexRecipe("graph", "hnsw", code="sq8", M=24, ef_construction=40, seed=1)
    index = train_index(recipe, "l2", 16, lambda: iter([vectors]), len(vectors), vectors)
    search, table = index.graph_search, table_of([vectors], np.array([0, len(vectors)]))
    assert search is not None and table is not None
    row_map = index.row_map(np.arange(len(vectors)))
    found = []
    for sizes in ((1500,), (16, 1500), (16, 20, 64, 1500), (1200, 1500)):
        # The contrast is never reached before the last effort, and always there.
        contrasts = np.array([1e9] * (len(sizes) - 1) + [-1e9])
        effort = Effort(np.array(sizes), contrasts, 10, -np.inf, 1, np.inf)
        request = Request(
            row_map, NO_MASK, NO_ROWS, *NOTHING_OUTSIDE, *table, EUCLIDEAN, effort, 1500, 10, 10
        )
        for kernels in (compiled, numpy_hnsw):
            answers = [search.search(kernels, query, 1500, request) for query in vectors[:3] + 0.1]
            found.append([(rows.tolist(), count) for rows, _, count in answers])
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("shift", [0.0, 300.0])
def test_a_query_has_one_code_however_it_is_summed(compiled: ModuleType, shift: float) -> None:
    """One at a time, in a batch, and in float64: the same codes, for centers near and far."""
    rng = np.random.default_rng(5)
    matrix = rng.normal(0, 20, (64, 200)).astype(np.float32)
    center = np.full(200, shift, np.float32)
    offset = -(matrix @ center)
    queries = (center + rng.normal(0, 0.2, (3000, 200))).astype(np.float32)
    precision = rounding_error(matrix), float(np.linalg.norm(center))
    batch = encode_queries(queries, matrix, offset, *precision)
    single = [encode_queries(query[None], matrix, offset, *precision)[0] for query in queries]
    assert np.array_equal(batch, single)
    exact = queries.astype(np.float64) @ matrix.T.astype(np.float64) + offset
    assert np.array_equal(batch, np.clip(np.rint(exact), -127, 127))


@pytest.mark.parametrize("metric", [INNER_PRODUCT, COSINE, EUCLIDEAN])
@pytest.mark.parametrize("dim", [1, 2, 31, 32, 33, 64, 100, 384])
def test_final_scores_are_the_same_bit_by_bit_whatever_computes_them(
    compiled: ModuleType, metric: int, dim: int
) -> None:
    """Compiled and in numpy: sums in the order that `numpy_scores.py` states, and right."""
    rng = np.random.default_rng(dim)
    vectors = rng.normal(0, 1, (300, dim)).astype(np.float32)
    vectors[1], vectors[2], vectors[3] = 0, vectors[2] * 1e18, vectors[0]
    vectors[4] *= 1e-18
    queries = np.concatenate([vectors[:5], rng.normal(0, 1, (3, dim)).astype(np.float32)])
    rows = rng.integers(-1, 300, (len(queries), 40))
    scores = np.full(rows.shape, -np.inf)
    starts, addresses = np.array([0]), np.array([vectors.ctypes.data])
    compiled.final(queries, rows, starts, addresses, metric, scores)
    for query, listed, found in zip(queries, rows, scores, strict=True):
        present = listed[listed >= 0]
        assert (found[listed < 0] == -np.inf).all()
        ours = numpy_scores.final_scores(vectors[present], query, metric)
        assert ours.tolist() == found[listed >= 0].tolist()
        assert ours.tolist() == [lane_score(vectors[row], query, metric) for row in present]
        true = right_score(vectors[present].astype(np.float64), query.astype(np.float64), metric)
        np.testing.assert_allclose(ours, np.where(np.abs(true) > LARGEST, -np.inf, true), 1e-9)


LARGEST = float(np.finfo(np.float32).max)


def lane_score(vector: np.ndarray, query: np.ndarray, metric: int) -> float:
    """The stated order of a sum, one term after the other in plain Python."""

    def summed(terms: list[float]) -> float:
        lanes = [0.0] * 16
        for place, term in enumerate(terms):
            lanes[place % 16] += term
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [left + right for left, right in zip(lanes[:half], lanes[half:], strict=True)]
        return lanes[0]

    left, right = vector.astype(np.float64).tolist(), query.astype(np.float64).tolist()
    pairs = list(zip(left, right, strict=True))
    if metric == EUCLIDEAN:
        score = 0.0 - summed([(a - b) * (a - b) for a, b in pairs])
    else:
        score = summed([a * b for a, b in pairs])
    if metric == COSINE:
        squares = summed([a * a for a in left]) * summed([b * b for b in right])
        score = score / max(squares**0.5, float(np.finfo(np.float64).tiny))
        return min(max(score, -1.0), 1.0)
    return score * np.inf if abs(score) > LARGEST else score


def right_score(vectors: np.ndarray, query: np.ndarray, metric: int) -> np.ndarray:
    if metric == EUCLIDEAN:
        return np.asarray(-((vectors - query) ** 2).sum(axis=1))
    products = vectors @ query
    if metric == COSINE:
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
        products = products / np.where(lengths > 0, lengths, 1)
    return np.asarray(products)


# -- one answer, whatever the process did before -----------------------------------------------


@pytest.mark.parametrize("dim", [1, 3, 16, 17, 64, 100])
def test_a_query_has_one_length_alone_in_a_batch_and_compiled(
    compiled: ModuleType, monkeypatch: pytest.MonkeyPatch, dim: int
) -> None:
    rng = np.random.default_rng(dim)
    scales = 10.0 ** rng.integers(-15, 15, (100, 1))
    vectors = (rng.standard_normal((100, dim)) * scales).astype(np.float32)
    sums = numpy_scores.squares(vectors)
    batch, lengths = units_of(vectors)
    alone = [unit_of(vector) for vector in vectors]
    monkeypatch.setattr(LOADER, "module", None)
    before = [unit_of(vector) for vector in vectors]
    for found, squares in (units_of(vectors), units_of(np.asfortranarray(vectors))):
        assert np.array_equal(found, batch) and np.array_equal(squares, lengths)
    assert np.array_equal(lengths, sums)
    for number in range(100):
        for unit, square in (alone[number], before[number]):
            assert square == sums[number] and np.array_equal(unit, batch[number])
    exact = vectors.astype(np.longdouble)
    exact /= np.sqrt((exact**2).sum(axis=1, keepdims=True))
    assert np.abs(batch - exact).max() <= 2**-24  # rounded once


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_answers_are_the_same_before_and_after_loading(
    collection: vs.Collection,
    compiled: ModuleType,
    metric: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    c, queries = collection, near_rows(12, seed=5)
    methods = set()
    for step in ("built", "added", "deleted", "compacted"):
        change_rows(c, step)
        for where in FILTERS:
            for k in (1, 10, 50):
                answers = []
                for kernels in (numpy_hnsw, compiled):
                    answer_with(monkeypatch, kernels)
                    hits = [c.search(query, k, where=where) for query in queries]
                    answers.append([(str(h.plan), h.ids, h.scores.tolist()) for h in hits])
                    methods |= {h.plan.method for h in hits}
                assert answers[0] == answers[1], (step, where, k)
    assert {"index", "scan"} <= methods


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("kernel", ["compiled", "numpy", "faiss"])
def test_a_batch_gives_what_single_calls_give(
    collection: vs.Collection,
    compiled: ModuleType,
    kernel: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    c, queries = collection, near_rows(60, seed=8)
    queries[7] *= 100  # outside what the index was fitted to, for l2
    change_rows(c, "added")
    change_rows(c, "deleted")
    kernels = {"compiled": compiled, "numpy": numpy_hnsw, "faiss": None}[kernel]
    answer_with(monkeypatch, kernels)
    methods = set()
    for where in FILTERS:
        for k in (1, 10, 6000):
            batch = c.search_batch(queries, k, where=where)
            for query, hits in zip(queries, batch, strict=True):
                alone = c.search(query, k, where=where)
                assert (str(alone.plan), alone.ids) == (str(hits.plan), hits.ids)
                assert np.array_equal(alone.scores, hits.scores)
                methods.add(alone.plan.method)
    assert {"index", "scan", "exact", "empty"} <= methods


SCRIPT = """
import json, sys
import numpy as np
import vecsearch as vs
c = vs.open(sys.argv[1])
queries = np.load(sys.argv[2])
found = []
for where in (None, "share < 0.5", "share < 0.1"):
    hits = [c.search(query, 10, where=where) for query in queries]
    found.append([[str(h.plan), h.ids] for h in hits])
print(json.dumps([c.info().indexes[0].kernel, "numba" in sys.modules, found]))
"""


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_plans_and_ids_do_not_depend_on_numba(collection: vs.Collection, tmp_path: Path) -> None:
    """In processes with and without the compiled kernels; codes of these rows do not tie."""
    np.save(tmp_path / "queries.npy", near_rows(15, seed=3))
    found = {}
    for switch in ("0", "1"):
        line = [sys.executable, "-c", SCRIPT, str(collection.path), str(tmp_path / "queries.npy")]
        environment = os.environ | {loader.SWITCH: switch}
        run = subprocess.run(line, capture_output=True, text=True, check=True, env=environment)
        kernel, imported, found[switch] = json.loads(run.stdout)
        assert (kernel, imported) == ("faiss" if switch == "0" else "numba", False)
    assert found["0"] == found["1"]
    methods = {plan.split()[0] for answers in found["0"] for plan, _ in answers}
    assert methods == {"index", "scan"}


# -- right answers --


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_kernels_find_what_faiss_finds(
    collection: vs.Collection,
    metric: str,
    compiled: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    c, queries = collection, near_rows(30, seed=5)
    for step in ("built", "added", "deleted", "compacted"):
        change_rows(c, step)
        same = total = searched = 0
        scanned: list[float] = []
        for where in FILTERS:
            for k in (1, 10, 50):
                for query in queries:
                    answer_with(monkeypatch, None)
                    by_faiss = c.search(query, k, where=where)
                    answer_with(monkeypatch, compiled)
                    hits = c.search(query, k, where=where)
                    assert (len(hits), hits.plan) == (len(by_faiss), by_faiss.plan)
                    np.testing.assert_allclose(
                        hits.scores, true_scores(c, query, hits, metric), rtol=1e-4, atol=1e-4
                    )
                    assert (np.diff(hits.scores) <= 0).all()
                    searched += hits.plan.method == "index"
                    if hits.plan.method == "scan":
                        exact = c.search(query, k, where=where, exact=True)
                        scanned.append(len(set(exact.ids) & set(hits.ids)) / len(exact))
                        assert hits.ids == by_faiss.ids
                    else:
                        same += len(set(by_faiss.ids) & set(hits.ids))
                        total += len(by_faiss)
        # FAISS may order equal distances of codes in another way.
        assert same >= 0.998 * total, step
        assert np.mean(scanned) > 0.95, step
        assert searched > 50 and len(scanned) > 50, (step, searched, len(scanned))


def true_scores(c: vs.Collection, query: np.ndarray, hits: vs.Hits, metric: str) -> np.ndarray:
    vectors = c.features(hits.ids)
    if metric == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        query = query / np.linalg.norm(query)
    return brute_force(vectors, query, "l2" if metric == "l2" else "ip")


@pytest.mark.parametrize("metric", ["cosine"])
def test_hundreds_of_searches_on_two_threads_equal_a_batch(
    collection: vs.Collection, compiled: ModuleType
) -> None:
    """Marks of visited nodes are cleared every 255 searches, and each thread has its own."""
    queries = near_rows(700, seed=6)
    found: dict[int, vs.Hits] = {}

    def work(first: int) -> None:
        for number in range(first, len(queries), 2):
            found[number] = collection.search(queries[number], k=10)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batch = collection.search_batch(queries, k=10)
    assert [found[number].ids for number in range(len(queries))] == [hits.ids for hits in batch]


@pytest.mark.parametrize("metric", ["cosine"])
def test_new_rows_of_a_grown_index_are_found(
    collection: vs.Collection, compiled: ModuleType
) -> None:
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
def test_an_index_of_inner_products_is_searched_by_faiss(
    collection: vs.Collection, compiled: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GraphSearch, "search", lambda *_: pytest.fail("a kernel was called"))
    assert collection.search(clustered(1, DIM)[0], k=5).plan.method == "index"
    assert collection._searching().kernel == collection.info().indexes[0].kernel == "faiss"


@pytest.mark.parametrize("metric", ["cosine"])
def test_info_names_the_kernel_without_opening_the_index(
    collection: vs.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert collection._searching().kernel == "numba"
    opened = vs.open(collection.path)
    monkeypatch.setattr(faiss, "read_index", lambda *_: pytest.fail("the index was opened"))
    assert [index.kernel for index in opened.info().indexes] == ["numba"]
    monkeypatch.setenv(loader.SWITCH, "0")
    assert [index.kernel for index in opened.info().indexes] == ["faiss"]


# -- loading --


def test_the_kernels_are_loaded_in_a_thread_after_some_queries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = loader.Loader()
    monkeypatch.setattr(loader, "AFTER_QUERIES", 3)
    assert [ours.kernels() for _ in range(3)] == [numpy_hnsw] * 3
    assert ours.module is None
    ours.kernels()
    for thread in threading.enumerate():
        if thread.name == "vecsearch-kernels":
            thread.join()
    assert ours.kernels() is ours.module is not None


def test_a_large_batch_loads_the_kernels_at_once() -> None:
    ours = loader.Loader()
    assert ours.kernels(loader.LARGE_BATCH + 1) is ours.module is not None


def test_much_exact_work_loads_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = loader.Loader()
    monkeypatch.setattr(loader, "MUCH_WORK", 1_000)
    begun: list[int] = []
    monkeypatch.setattr(ours, "_load_beside", lambda: begun.append(1))
    for numbers in (600, 400, 600, 600, 600):  # a thread is begun once
        ours.count_work(numbers)
    assert len(begun) == 1 and ours.module is None
    ours.count_work(4_001)
    assert ours.module is not None


@pytest.mark.parametrize("how", ["switched off", "not installed"])
def test_without_numba_the_kernels_are_not_available(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "switched off":
        monkeypatch.setenv(loader.SWITCH, "0")
    else:
        monkeypatch.setattr(loader, "find_spec", lambda name: None)
    ours = loader.Loader()
    assert not ours.available() and ours.load() is None


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


def test_a_broken_compiler_is_logged_once_and_faiss_serves(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "vecsearch.index.kernels.numba_hnsw", None)
    ours = loader.Loader()
    with caplog.at_level(logging.WARNING, "vecsearch"):
        assert ours.load() is None and ours.load() is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "numba cannot compile" in caplog.text and loader.SWITCH in caplog.text
    assert ours.kernels() is None and not ours.available()


@pytest.mark.parametrize("metric", ["cosine"])
def test_few_queries_do_not_import_numba_and_a_process_that_loads_it_ends_well(
    collection: vs.Collection, tmp_path: Path
) -> None:
    script = (
        "import sys, numpy as np, vecsearch as vs; c = vs.open(sys.argv[1])\n"
        f"for row in range(int(sys.argv[2])): c.search(np.arange(row, row + {DIM}), k=3)\n"
        "print('numba' in sys.modules)"
    )
    for queries, environment in (
        ("20", os.environ),
        ("60", os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "empty")}),
    ):
        line = [sys.executable, "-c", script, str(collection.path), queries]
        run = subprocess.run(
            line, capture_output=True, text=True, check=True, env=environment, timeout=60
        )
        assert run.stderr == ""
        assert queries == "60" or run.stdout.strip() == "False"


def test_compiled_code_is_kept_by_the_sources_of_all_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of any file asks for another folder; one that cannot be written is passed over."""
    (tmp_path / "a.py").write_text("A = 1")
    (tmp_path / "b.py").write_text("B = 1")
    monkeypatch.setattr(loader, "FOLDER", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))

    def folder(given: str = "") -> Path:
        config = SimpleNamespace(CACHE_DIR=given)
        with loader._cache_folder(config):
            used = Path(config.CACHE_DIR)
        assert given == config.CACHE_DIR and used.is_dir()
        return used

    first = folder()
    assert first.parent == tmp_path / "__pycache__" and folder() == first
    (tmp_path / "b.py").write_text("B = 2")
    second = folder()
    assert second.parent == first.parent and second != first
    assert folder(str(tmp_path / "given")) == tmp_path / "given" / second.name
    shutil.rmtree(tmp_path / "__pycache__")
    (tmp_path / "__pycache__").write_text("not a folder")
    assert folder() == tmp_path / "user" / "vecsearch" / second.name


@pytest.mark.slow
def test_warm_compiles_once(tmp_path: Path) -> None:
    """In processes of their own, with an empty folder for compiled code."""
    command = [str(Path(sys.executable).with_name("vecsearch")), "warm", "--json"]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}

    def warm(**more: str) -> dict[str, object]:
        done = subprocess.run(
            command, env=environment | more, capture_output=True, text=True, check=True, timeout=300
        )
        return dict(json.loads(done.stdout))

    first, second = warm(), warm()
    assert first["available"] and first["compiled"] and second["available"]
    assert not second["compiled"] and second["folder"] == first["folder"]
    assert list(Path(str(first["folder"])).rglob("*.nbc"))
    assert not warm(VECSEARCH_COMPILED="0")["available"]
    # A process that used numba before keeps its code in the same folder.
    program = (
        "import numba; numba.njit(lambda number: number + 1)(1)\n"
        "from vecsearch.index.kernels.loader import warm\nprint(warm().compiled)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]
