"""Exact search against plain numpy, for every metric, type, mask and width."""

from __future__ import annotations

import contextlib
import os

import numpy as np
import pytest
from support.data import brute_force, clustered

from vecsearch.index import exact
from vecsearch.types import Metric


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("share", [None, 0.0, 0.02, 0.7, 1.0])
@pytest.mark.parametrize("queries", [1, 30])
def test_search_equals_numpy(
    metric: Metric, dtype: type, share: float | None, queries: int
) -> None:
    vectors = clustered(20_000 if dtype == np.float16 else 4000, 16).astype(dtype)
    asked = clustered(queries, 16, seed=3)
    kept = None if share is None else np.random.default_rng(1).random(len(vectors)) < share
    for k in (1, 10, 500):
        scores, rows = exact.search(vectors, asked, k, metric, kept, threads=2)
        for query, found_scores, found in zip(asked, scores, rows, strict=True):
            truth = brute_force(
                vectors.astype(np.float32), query, "l2" if metric is Metric.L2 else "ip"
            )
            allowed = truth if kept is None else truth[kept]
            best = np.sort(allowed)[::-1][:k]
            assert np.count_nonzero(found >= 0) == len(best) and (found[len(best) :] == -1).all()
            assert len(set(found[: len(best)].tolist())) == len(best)
            np.testing.assert_allclose(found_scores[: len(best)], best, rtol=1e-4, atol=1e-3)
            np.testing.assert_allclose(truth[found[: len(best)]], best, rtol=1e-4, atol=1e-3)
            assert kept is None or kept[found[: len(best)]].all()


def test_a_batch_by_blocks_finds_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are copied a few at a time if some are filtered out, or if they are float16."""
    vectors, asked = clustered(3000, 16), clustered(25, 16, seed=3)
    kept = np.random.default_rng(1).random(len(vectors)) < 0.8
    whole = exact.search(vectors, asked, 40, Metric.COSINE, kept, threads=1)
    monkeypatch.setattr(exact, "BLOCK_BYTES", 4 * 16 * 37)
    np.testing.assert_array_equal(
        exact.search(vectors, asked, 40, Metric.COSINE, kept, threads=1)[1], whole[1]
    )
    halves = vectors.astype(np.float16)
    rows = exact.search(halves, asked, 40, Metric.COSINE, None, threads=1)[1]
    truth = asked @ halves.astype(np.float32).T
    np.testing.assert_allclose(
        np.take_along_axis(truth, rows, 1), -np.sort(-truth, axis=1)[:, :40], rtol=1e-5
    )


def test_queries_in_parts_give_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, asked = clustered(3000, 16), clustered(25, 16, seed=3)
    for metric in Metric:
        whole = exact.search(vectors, asked, 40, metric, None, threads=1)
        with monkeypatch.context() as patch:
            patch.setattr(exact, "KERNEL_QUERIES", 7)
            parts = exact.search(vectors, asked, 40, metric, None, threads=1)
        np.testing.assert_array_equal(parts[1], whole[1])
        np.testing.assert_array_equal(parts[0], whole[0])


def test_no_batch_is_large_enough_for_matrix_products() -> None:
    import faiss

    assert faiss.cvar.distance_compute_blas_threshold > exact.KERNEL_QUERIES


def test_euclidean_distances_far_from_the_origin_are_exact() -> None:
    """|x - y|² by |x|² - 2xy + |y|² would lose every digit here."""
    vectors = (clustered(2000, 16) + 20_000).astype(np.float32)
    asked = vectors[:64] + np.float32(0.25)
    scores, rows = exact.search(vectors, asked, 5, Metric.L2, None, threads=1)
    for query, found, listed in zip(asked, scores, rows, strict=True):
        truth = brute_force(vectors, query, "l2")
        np.testing.assert_allclose(truth[listed], np.sort(truth)[::-1][:5], rtol=1e-5)
        np.testing.assert_allclose(found, truth[listed], rtol=1e-5)


@pytest.mark.parametrize("metric", list(Metric))
def test_scores_of_listed_rows_equal_numpy(metric: Metric) -> None:
    vectors, asked = clustered(500, 16), clustered(4, 16, seed=3)
    rows = np.random.default_rng(0).integers(-1, 500, (4, 30))
    scores = exact.score_lists(vectors, asked, rows, metric, threads=1)
    for query, listed, found in zip(asked, rows, scores, strict=True):
        truth = brute_force(vectors, query, "l2" if metric is Metric.L2 else "ip")
        np.testing.assert_allclose(
            found, np.where(listed < 0, -np.inf, truth[listed]), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("queries", [1, 30])
@pytest.mark.parametrize("share", [None, 0.5])
def test_ties_in_a_search_come_in_the_order_of_their_rows(
    metric: Metric, queries: int, share: float | None
) -> None:
    """Eight different vectors in 3,000 rows, so that the k-th place is always tied."""
    rng = np.random.default_rng(0)
    vectors = rng.integers(2, size=(3000, 3)).astype(np.float32)
    asked = rng.integers(2, size=(queries, 3)).astype(np.float32)
    selected = None if share is None else rng.random(3000) < share
    listed = np.arange(3000) if selected is None else np.flatnonzero(selected)
    for k in (1, 10, 150):
        _, rows = exact.search(vectors, asked, k, metric, selected, threads=2)
        for query, found in zip(asked, rows, strict=True):
            truth = brute_force(vectors[listed], query, "l2" if metric is Metric.L2 else "ip")
            assert found.tolist() == listed[np.lexsort((listed, -truth))[:k]].tolist()


@pytest.mark.parametrize("levels", [1, 3])
def test_ties_among_many_scores_come_in_the_order_of_their_rows(levels: int) -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(levels, size=5000).astype(np.float32)
    rows = rng.permutation(5000)
    for k in (1, 10, 600, 3000):
        expected = np.lexsort((rows, -scores))[:k]
        found_scores, found = exact.best(scores, rows, k)
        assert found.tolist() == rows[expected].tolist()
        assert found_scores.tolist() == scores[expected].tolist()
    assert exact.best(np.ones(5000, np.float32), np.arange(5000), 10)[1].tolist() == list(range(10))


def test_ties_come_in_the_order_of_their_rows() -> None:
    scores = np.array([1, 3, 3, 2, 3, 1], np.float32)
    assert [part.tolist() for part in exact.best(scores, np.arange(6), 2)] == [[3, 3], [1, 2]]
    assert exact.best(scores, np.arange(6), 10)[1].tolist() == [1, 2, 4, 3, 0, 5]


def test_merge_puts_padding_last() -> None:
    left = (np.array([[-5.0, -np.inf]], np.float32), np.array([[3, -1]]))
    right = (np.array([[-7.0, -1.0]], np.float32), np.array([[8, 9]]))
    scores, rows = exact.merge([left, right], 4)
    assert rows.tolist() == [[9, 3, 8, -1]] and scores[0, :3].tolist() == [-1, -5, -7]


def test_the_callers_thread_setting_is_restored() -> None:
    import faiss

    before = faiss.omp_get_max_threads()
    with exact.omp_threads(before + 3):
        assert faiss.omp_get_max_threads() == before + 3
    assert faiss.omp_get_max_threads() == before


def test_a_forked_child_searches_with_one_thread() -> None:
    """The other threads do not exist there, and OpenMP would wait for them forever."""
    import faiss

    with exact.omp_threads(2):
        assert faiss.omp_get_max_threads() == 2
    child = os.fork()
    if not child:
        with exact.omp_threads(2):
            os._exit(faiss.omp_get_max_threads())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_a_search_takes_one_thread_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noted(threads: int) -> contextlib.AbstractContextManager[None]:
        asked.append(threads)
        return contextlib.nullcontext()

    monkeypatch.setattr(exact, "omp_threads", noted)
    vectors = clustered(50, 8)
    exact.search(vectors, vectors[:3], 2, Metric.L2)
    exact.search(vectors, vectors[:3], 2, Metric.L2, threads=2)
    assert asked == [1, 2]
    exact.search(vectors, vectors[:3], 2, Metric.L2, threads=8)
    exact.search(vectors, vectors[:1], 2, Metric.IP, threads=8)
    assert asked[2:] == [3, 1]  # with more threads than queries FAISS is three times slower
