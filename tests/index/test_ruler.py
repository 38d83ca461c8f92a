"""Which rows count as found: the stated tolerances, and counts against a search of all answers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from vecsearch.index.ruler import Truth, found_within, tolerances
from vecsearch.types import Metric


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("spread", [1e-3, 1.0])
def test_a_tolerance_covers_what_float32_does_to_a_score_and_little_more(
    metric: Metric, spread: float
) -> None:
    """Vectors in float64 and the same in float32, near each other and apart, of many lengths."""
    rng = np.random.default_rng(1)
    queries = rng.normal(size=(2000, 48)) * 10 ** rng.uniform(-2, 2, (2000, 1))
    vectors = queries + spread * np.abs(queries).mean() * rng.normal(size=queries.shape)
    if metric is Metric.COSINE:
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = score(metric, queries, vectors)
    rounded = score(
        metric, queries.astype(np.float32).astype(float), vectors.astype(np.float32).astype(float)
    ).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    allowed = tolerances(metric, exact[:, None], lengths[:, None], np.linalg.norm(queries, axis=1))
    share = np.abs(rounded - exact) / allowed[:, 0]
    assert share.max() <= 1
    assert share.max() > 0.02  # not so wide that differences that float32 can show are ties


def test_tolerances_by_hand() -> None:
    """d² = 4, so d = 2; |q| = 2 and |x| = 3: 2e-7 * (4 + 2 * 2 * 5), and 2e-7 * 2 * 3."""
    scores, lengths, own = np.array([[-4.0, 0.0, 1e-9]]), np.full((1, 3), 3.0), np.array([2.0])
    expected = [[2e-7 * 24, 0.0, 0.0]]
    np.testing.assert_allclose(tolerances(Metric.L2, scores, lengths, own), expected, rtol=1e-12)
    np.testing.assert_allclose(tolerances(Metric.IP, scores, lengths, own), [[1.2e-6] * 3])
    assert tolerances(Metric.COSINE, scores).tolist() == [[2e-7] * 3]


def score(metric: Metric, queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    if metric is Metric.L2:
        return np.asarray(-((queries - vectors) ** 2).sum(axis=1))
    products = (queries * vectors).sum(axis=1)
    if metric is Metric.COSINE:
        products /= np.linalg.norm(queries, axis=1) * np.linalg.norm(vectors, axis=1)
    return np.asarray(products)


def test_found_rows_are_the_best_overlap_with_any_right_answer() -> None:
    """Scores of few levels, so that the k-th is tied; an answer is any k rows that rank right."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        rows, k = int(rng.integers(2, 8)), int(rng.integers(1, 5))
        k = min(k, rows)
        levels = rng.integers(0, 3, rows).astype(float)
        ranked = np.argsort(-levels, kind="stable")
        noise = rng.uniform(-0.9e-7, 0.9e-7, rows)
        found = rng.permutation(rows)[: rng.integers(1, rows + 1)]
        best = ranked[:k]
        truth = Truth(best[None], levels[best][None], np.full((1, k), 2e-7))
        counted = found_within((levels + noise)[found][None], truth, k, range(1, len(found) + 1))[0]
        kth = levels[best[-1]]
        must, may = np.flatnonzero(levels > kth), np.flatnonzero(levels == kth)
        answers = [{*must, *some} for some in combinations(may, k - len(must))]
        for width, count in enumerate(counted, 1):
            seen = set(found[:width].tolist())
            assert count == max(len(seen & answer) for answer in answers)
