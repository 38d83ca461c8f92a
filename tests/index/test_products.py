"""Batches by products of matrices give the rows and scores of single queries, and of float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.data import clustered

import vecsearch
from vecsearch.common import blas as common_blas
from vecsearch.common.deadline import time_limit
from vecsearch.errors import OperationTimeoutError
from vecsearch.index import products
from vecsearch.index.scorer import VectorScorer
from vecsearch.storage.selection import RowSelection

DIM = 24


def _near_copies(rows: int) -> np.ndarray:
    """Groups of vectors whose scores float32 cannot order, and copies."""
    random = np.random.default_rng(5)
    groups = clustered(rows // 20, DIM, seed=1).repeat(20, axis=0)
    groups += (random.normal(size=groups.shape) * 1e-7).astype(np.float32)
    groups[: rows // 10] = groups[0]
    return groups


def _errors(queries: np.ndarray, longest: float) -> np.ndarray:
    return np.full(len(queries), 1e-4)


DATA = {
    "clusters": clustered(9_000, DIM, seed=2),
    "near copies": _near_copies(9_000),
    "far from the origin": clustered(9_000, DIM, seed=3) + np.float32(3_000),
    "of many lengths": clustered(9_000, DIM, seed=4)
    * np.geomspace(1e-3, 1e3, 9_000, dtype=np.float32)[:, None],
}


def _scorer(path: Path, vectors: np.ndarray, metric: str, dtype: str) -> VectorScorer:
    c = vecsearch.create(path, dim=DIM, metric=metric, dtype=dtype)
    for part in np.array_split(vectors, 3):  # several segments
        c.add(part)
    return VectorScorer(vecsearch.open(path)._snapshot)


def _oracle(scorer: VectorScorer, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    stored = scorer.snapshot.stored_vectors(rows).astype(np.float64)
    wide = query.astype(np.float64)
    if str(scorer.metric) == "l2":
        return -((stored - wide) ** 2).sum(axis=1)
    scores = stored @ wide
    if str(scorer.metric) == "cosine":
        scores /= np.linalg.norm(stored, axis=1) * np.linalg.norm(wide)
    return scores


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("data", list(DATA))
def test_a_batch_equals_single_queries_bit_for_bit(
    tmp_path: Path, metric: str, dtype: str, data: str
) -> None:
    if data == "of many lengths" and dtype == "float16":
        pytest.skip("float16 holds no such lengths")
    scorer = _scorer(tmp_path / "c.vs", DATA[data], metric, dtype)
    rows = scorer.snapshot.rows
    random = np.random.default_rng(6)
    queries = scorer.snapshot.stored_vectors(np.sort(random.choice(rows, 60, replace=False)))
    queries[::2] += (random.normal(size=queries[::2].shape) * 0.1).astype(np.float32)
    if metric == "cosine":
        queries /= np.linalg.norm(queries, axis=1)[:, None]
    mask = random.random(rows) < 0.3
    mask[3_000:6_000] = False  # a segment of which nothing is selected
    for selection in (
        RowSelection(None, rows),
        RowSelection(mask, int(np.count_nonzero(mask))),
        RowSelection(np.arange(rows) < 7, 7),
    ):
        for k in (1, 10, 300):
            batch = scorer.search_final(queries, k, selection, 2)
            again = scorer.search_final(queries[:9], k, selection, 1)
            for number in range(0, 60, 7):
                query = queries[number : number + 1]
                ((scores, found),) = scorer.search_final(query, k, selection, 1)
                np.testing.assert_array_equal(batch[number][1], found)
                np.testing.assert_array_equal(batch[number][0], scores)
                if number < 9:
                    np.testing.assert_array_equal(again[number][1], found)
            everything = (
                np.arange(rows) if selection.mask is None else np.flatnonzero(selection.mask)
            )
            for number in range(0, 60, 20):
                truth = _oracle(scorer, queries[number], everything)
                best = np.sort(truth)[::-1][:k]
                found = _oracle(scorer, queries[number], batch[number][1])
                assert len(found) == min(k, selection.count)
                np.testing.assert_allclose(np.sort(found)[::-1], best, rtol=1e-12, atol=1e-12)


def test_a_query_with_a_crowd_at_its_kth_place_is_answered_by_itself(tmp_path: Path) -> None:
    """All of 9,000 rows are equal: no bound tells them apart, and memory must not grow."""
    scorer = _scorer(tmp_path / "c.vs", np.ones((9_000, DIM), np.float32), "cosine", "float32")
    queries = clustered(20, DIM, seed=7)
    queries /= np.linalg.norm(queries, axis=1)[:, None]
    selection = RowSelection(None, 9_000)
    parts = [(vectors, 0, None) for vectors in scorer.vectors]
    assert products.candidates(parts, queries, 5, scorer.product_errors, False, 2) == [None] * 20
    for _, rows in scorer.search_final(queries, 5, selection, 2):
        np.testing.assert_array_equal(rows, np.arange(5))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_damaged_vector_hides_no_other(bad: float) -> None:
    """Vectors are not verified before a search: what is not a number must not spread."""
    vectors, queries = clustered(5_000, DIM), clustered(20, DIM, seed=3)
    clean = products.candidates([(vectors, 0, None)], queries, 5, _errors, False, 1)
    for row in (0, 511, 512, 4_999):
        spoiled = vectors.copy()
        spoiled[row] = bad
        found = products.candidates([(spoiled, 0, None)], queries, 5, _errors, False, 1)
        for number, (one, other) in enumerate(zip(clean, found, strict=True)):
            best = np.argsort(-(vectors.astype(np.float64) @ queries[number]))[:4]
            assert one is not None and other is not None
            assert set(best) <= set(one)
            assert set(best) - {row} <= set(other), (row, number)
    if np.isnan(bad):  # more of them than rows are wanted
        spoiled = vectors.copy()
        spoiled[:40] = bad
        found = products.candidates([(spoiled, 0, None)], queries, 5, _errors, False, 1)
        for number, rows in enumerate(found):
            best = 40 + np.argsort(-(vectors[40:].astype(np.float64) @ queries[number]))[:5]
            assert rows is not None and set(best) <= set(rows)


def test_a_time_limit_holds_in_a_batch(tmp_path: Path) -> None:
    scorer = _scorer(tmp_path / "c.vs", DATA["clusters"], "ip", "float32")
    with pytest.raises(OperationTimeoutError), time_limit(0.001):
        for _ in range(1_000):
            scorer.search_final(DATA["clusters"][:300], 10, scorer.snapshot.live, 2)


def test_numpy_gets_its_threads_back() -> None:
    blas = common_blas._BLAS
    with common_blas.one_blas_thread():
        if blas._library is None:
            pytest.skip("numpy has another library here")
        inside = blas._library.scipy_openblas_get_num_threads64_()
        with common_blas.one_blas_thread():
            pass
        assert blas._library.scipy_openblas_get_num_threads64_() == inside == 1
    assert blas._library.scipy_openblas_get_num_threads64_() == blas._before
