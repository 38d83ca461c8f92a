"""Exact search against plain numpy, for every metric, type, mask and width."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import brute_force, clustered

from vecsearch import exact
from vecsearch.types import Metric


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("share", [None, 0.0, 0.02, 0.7, 1.0])
@pytest.mark.parametrize("queries", [1, 30])
def test_equals_numpy(metric: Metric, dtype: type, share: float | None, queries: int) -> None:
    vectors = clustered(20_000 if dtype == np.float16 else 4000, 16).astype(dtype)
    asked = clustered(queries, 16, seed=3)
    kept = None if share is None else np.random.default_rng(1).random(len(vectors)) < share
    for k in (1, 10, 500):
        scores, rows = exact.search(vectors, asked, k, metric, kept, threads=2)
        for query, found_scores, found in zip(asked, scores, rows, strict=True):
            truth = brute_force(vectors.astype(np.float32), query, "l2" if metric is Metric.L2 else "ip")
            allowed = truth if kept is None else truth[kept]
            best = np.sort(allowed)[::-1][:k]
            assert np.count_nonzero(found >= 0) == len(best) and (found[len(best) :] == -1).all()
            assert len(set(found[: len(best)].tolist())) == len(best)
            np.testing.assert_allclose(found_scores[: len(best)], best, rtol=1e-4, atol=1e-3)
            np.testing.assert_allclose(truth[found[: len(best)]], best, rtol=1e-4, atol=1e-3)
            assert kept is None or kept[found[: len(best)]].all()


def test_ties_come_in_the_order_of_their_rows() -> None:
    scores = np.array([1, 3, 3, 2, 3, 1], np.float32)
    assert [part.tolist() for part in exact.best(scores, np.arange(6), 2)] == [[3, 3], [1, 2]]
    assert exact.best(scores, np.arange(6), 10)[1].tolist() == [1, 2, 4, 3, 0, 5]


def test_merge_puts_padding_last() -> None:
    left = (np.array([[-5.0, -np.inf]], np.float32), np.array([[3, -1]]))
    right = (np.array([[-7.0, -1.0]], np.float32), np.array([[8, 9]]))
    scores, rows = exact.merge([left, right], 4)
    assert rows.tolist() == [[9, 3, 8, -1]] and scores[0, :3].tolist() == [-1, -5, -7]


def test_the_callers_thread_setting_comes_back() -> None:
    import faiss

    before = faiss.omp_get_max_threads()
    with exact.omp_threads(before + 3):
        assert faiss.omp_get_max_threads() == before + 3
    assert faiss.omp_get_max_threads() == before
