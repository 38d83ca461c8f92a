"""Measures of search quality and speed, as pure functions over arrays and plain sequences.

vecsearch uses this definition of recall everywhere:

    recall@k = |found ∩ exact| / min(k, rows that match)

where ties at the k-th score count as found. Which scores are ties says `vecsearch.index.ruler`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vecsearch.errors import InvalidInputError
from vecsearch.index.ruler import TOLERANCE
from vecsearch.types import counted

FloatArray = npt.NDArray[np.float64]
RowArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Id = TypeVar("Id", bound=Hashable)


def recall_at_k(
    found_rows: npt.ArrayLike,
    found_scores: npt.ArrayLike | None,
    exact_rows: npt.ArrayLike,
    exact_scores: npt.ArrayLike,
    k: int,
    matching: int | npt.ArrayLike | None = None,
    *,
    tolerance: float | npt.ArrayLike | None = None,
) -> FloatArray:
    """Recall@k of each query.

    A found row counts if it is one of the exact top rows, or ties with the last of them. Ties fill
    only the ranks that ties have in the exact answer: rows that score like the k-th do not make up
    for a missed better one. A row found twice counts once, and padding never. If no row matches,
    recall is 1.

    Args:
        found_rows: int, shape (n, m): the found rows, padded with -1; columns after the k-th are
            ignored. A row that the filter excludes must be given as -1.
        found_scores: float, shape (n, m): the exact scores of those rows, larger is better, not an
            index's estimates. None does not look for ties.
        exact_rows: int, shape (n, j): the exact answer, best first, padded with -1; j must be at
            least min(k, the number of matching rows).
        exact_scores: float, shape (n, j): their scores.
        k: The number of hits.
        matching: How many rows match each query's filter: one number, or shape (n,). None takes the
            rows in `exact_rows`.
        tolerance: Scores this far below the k-th are ties with it: one number, or shape (n,). None
            takes 2e-7 of the query's largest exact score, what float32 can tell apart.

    Returns:
        float64, shape (n,), from 0 to 1.

    Raises:
        InvalidInputError: Shapes do not fit, or there are too few exact rows.

    Example:
        >>> recall_at_k([[7, 3]], None, [[7, 5]], [[0.9, 0.8]], k=2)
        array([0.5])
    """
    if k < 1:
        raise InvalidInputError(f"k must be at least 1, not {k}")
    found = _row_numbers(found_rows, "found_rows")[:, :k]
    exact = _row_numbers(exact_rows, "exact_rows")[:, :k]
    truth = _scores(exact_scores, "exact_scores", np.shape(exact_rows))[:, :k]
    if len(exact) != len(found):
        raise InvalidInputError(
            f"found_rows has {counted(len(found), 'query', 'queries')}, but exact_rows has "
            f"{len(exact)}"
        )
    valid = exact >= 0
    wanted = _wanted(matching, valid, k)
    if not exact.shape[1]:
        return np.ones(len(found))

    # Exact rows that are clearly better than the k-th, and those that tie with it.
    kth = np.take_along_axis(truth, np.maximum(wanted - 1, 0)[:, None], axis=1)
    if tolerance is None:
        tolerance = TOLERANCE * np.abs(np.where(valid, truth, 0.0)).max(axis=1)
    slack = np.broadcast_to(np.asarray(tolerance, np.float64), len(found))[:, None]
    in_answer = valid & (np.arange(exact.shape[1]) < wanted[:, None])
    better = in_answer & (truth > kth + slack)

    distinct = (found >= 0) & ~_repeated(found)
    hit_better = distinct & _member(found, np.where(better, exact, -1))
    tie = _member(found, np.where(in_answer, exact, -1))
    if found_scores is not None:
        tie |= _scores(found_scores, "found_scores", np.shape(found_rows))[:, :k] >= kth - slack
    ties = (tie & distinct & ~hit_better).sum(axis=1)
    hits = hit_better.sum(axis=1) + np.minimum(ties, wanted - better.sum(axis=1))
    recall: FloatArray = np.where(wanted > 0, hits / np.maximum(wanted, 1), 1.0)
    return recall


def bootstrap_interval(
    values: npt.ArrayLike, confidence: float = 0.99, *, seed: int = 0, resamples: int = 10_000
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean.

    Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979). A resample is generated as
    counts of the distinct values, which has the same distribution as sampling the n values one by
    one and is much faster: recall@10 has 11 values. If all values are equal, both ends are that
    value, as a sample without spread cannot show its error.

    Args:
        values: float, shape (n,).
        confidence: The probability that the interval is to contain the mean.
        seed: Seed of the resampling.
        resamples: How many resamples to generate.

    Returns:
        (low, high).

    Raises:
        InvalidInputError: There is no value, one is NaN or infinite, or the confidence is not
            between 0 and 1.

    Example:
        >>> bootstrap_interval([0.5, 0.5, 0.5])
        (0.5, 0.5)
    """
    sample = np.asarray(values, dtype=np.float64).ravel()
    if sample.size == 0 or not np.isfinite(sample).all():
        raise InvalidInputError(
            "bootstrap_interval needs at least one value, and all of them finite"
        )
    if not 0.0 < confidence < 1.0:
        raise InvalidInputError(f"confidence must lie between 0 and 1, not {confidence}")
    if resamples < 1:
        raise InvalidInputError(f"resamples must be at least 1, not {resamples}")
    distinct, counts = np.unique(sample, return_counts=True)
    shares = counts / sample.size
    rng = np.random.default_rng(seed)
    chunk = max(1, 2_000_000 // len(distinct))  # bounds the counts in memory to 16 MB
    means = [
        rng.multinomial(sample.size, shares, size=min(chunk, resamples - start))
        @ distinct
        / sample.size
        for start in range(0, resamples, chunk)
    ]
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(np.concatenate(means), [tail, 1.0 - tail])
    return float(low), float(high)


def ndcg_at_k(
    found: Sequence[Sequence[Id]], relevance: Sequence[Mapping[Id, float]], k: int
) -> FloatArray:
    """nDCG@k of each query, as trec_eval computes it.

    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002). The gain of
    a hit is its judged relevance (not 2^relevance - 1), the discount is log2(rank + 1). A document
    without a judgement, or judged below zero, has no gain. The ideal ranking is that of the judged
    documents. A query without a relevant document scores 0. A repeated id gains once.

    Args:
        found: The ids of each query's hits, best first.
        relevance: For each query, judged id -> relevance.
        k: The number of hits.

    Returns:
        float64, shape (n,), from 0 to 1.

    Raises:
        InvalidInputError: `k` is below 1, or the lengths differ.

    Example:
        >>> ndcg_at_k([["a", "b"]], [{"a": 1}], k=2)
        array([1.])
    """
    _check_pairs(found, relevance, k)
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    scores = np.zeros(len(found))
    for i, (ranking, judged) in enumerate(zip(found, relevance, strict=True)):
        gains = _gains(ranking[:k], judged)
        ideal = np.sort([max(value, 0.0) for value in judged.values()])[::-1][:k]
        best = float(ideal @ discount[: len(ideal)]) if len(ideal) else 0.0
        if best > 0.0:
            scores[i] = float(gains @ discount[: len(gains)]) / best
    return scores


def mrr_at_k(
    found: Sequence[Sequence[Id]], relevance: Sequence[Mapping[Id, float]], k: int
) -> FloatArray:
    """Reciprocal rank of each query's first relevant hit; the mean is MRR@k.

    Args:
        found: The ids of each query's hits, best first.
        relevance: For each query, judged id -> relevance; above zero is relevant.
        k: The number of hits.

    Returns:
        float64, shape (n,); 0 where no relevant document is among the first k hits.

    Raises:
        InvalidInputError: `k` is below 1, or the lengths differ.

    Example:
        >>> mrr_at_k([["b", "a"]], [{"a": 1}], k=2)
        array([0.5])
    """
    _check_pairs(found, relevance, k)
    scores = np.zeros(len(found))
    for i, (ranking, judged) in enumerate(zip(found, relevance, strict=True)):
        for rank, hit in enumerate(ranking[:k], start=1):
            if judged.get(hit, 0.0) > 0.0:
                scores[i] = 1.0 / rank
                break
    return scores


@dataclass(frozen=True)
class LatencySummary:
    """Latencies of queries that run one after another.

    Attributes:
        queries: How many queries ran.
        mean_ms: Mean latency in milliseconds.
        p50_ms: Median latency in milliseconds.
        p95_ms: 95th percentile in milliseconds.
        p99_ms: 99th percentile in milliseconds.
        qps: Queries per second.
    """

    queries: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    qps: float


def summarize_latency(seconds: npt.ArrayLike) -> LatencySummary:
    """Summarize latencies; percentiles are interpolated.

    Args:
        seconds: float, shape (n,): the latency of each query in seconds.

    Returns:
        The summary; `qps` is n divided by the sum of the latencies.

    Raises:
        InvalidInputError: There is no latency, or one is not finite or not above zero.

    Example:
        >>> summarize_latency([0.001, 0.003]).qps
        500.0
    """
    times = np.asarray(seconds, dtype=np.float64).ravel()
    if times.size == 0 or not np.isfinite(times).all() or (times <= 0.0).any():
        raise InvalidInputError(
            "summarize_latency needs at least one latency, and all of them finite and above zero"
        )
    p50, p95, p99 = (float(value) * 1e3 for value in np.percentile(times, [50, 95, 99]))
    return LatencySummary(
        times.size, float(times.mean()) * 1e3, p50, p95, p99, times.size / float(times.sum())
    )


def _row_numbers(values: npt.ArrayLike, name: str) -> RowArray:
    array = np.asarray(values)
    if array.ndim != 2 or (array.size and array.dtype.kind not in "iu"):
        raise InvalidInputError(
            f"{name} must be integers of shape (queries, hits), not {array.dtype} of shape "
            f"{array.shape}"
        )
    return array.astype(np.int64, copy=False)


def _scores(values: npt.ArrayLike, name: str, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise InvalidInputError(f"{name} has shape {array.shape}, but its rows have shape {shape}")
    return array


def _wanted(matching: int | npt.ArrayLike | None, valid: Mask, k: int) -> RowArray:
    """How many rows a perfect answer of each query has: min(k, matching rows), shape (n,)."""
    shown: RowArray = valid.sum(axis=1, dtype=np.int64)
    if matching is None:
        return shown
    wanted: RowArray = np.minimum(
        np.broadcast_to(np.asarray(matching, dtype=np.int64), shown.shape), k
    )
    if (wanted < 0).any() or (shown < wanted).any():
        worst = int(np.argmax((shown < wanted) | (wanted < 0)))
        raise InvalidInputError(
            f"query {worst}: {wanted[worst]} of its matching rows are needed for k={k}, but "
            f"exact_rows has {shown[worst]}"
        )
    return wanted


def _repeated(rows: RowArray) -> Mask:
    """Mark each row number that occurs further left in the same line."""
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    equal = np.zeros(rows.shape, dtype=bool)
    equal[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    marks = np.zeros_like(equal)
    np.put_along_axis(marks, order, equal, axis=1)
    return marks


def _member(rows: RowArray, of: RowArray) -> Mask:
    """Mark each entry of `rows` that occurs in the same line of `of`; padding never does."""
    span = max(int(rows.max(initial=0)), int(of.max(initial=0))) + 1
    lines = np.arange(len(rows), dtype=np.int64)[:, None] * span
    wanted = (lines + of)[of >= 0]
    return (rows >= 0) & np.isin(lines + rows, wanted)


def _check_pairs(found: Sequence[object], relevance: Sequence[object], k: int) -> None:
    if k < 1:
        raise InvalidInputError(f"k must be at least 1, not {k}")
    if len(found) != len(relevance):
        raise InvalidInputError(
            f"there are {len(found)} rankings but {len(relevance)} sets of judgements"
        )


def _gains(ranking: Sequence[Id], judged: Mapping[Id, float]) -> FloatArray:
    """The gain at each rank; a repeated id gains nothing, but keeps its rank."""
    gains = {document: max(value, 0.0) for document, value in judged.items()}
    return np.array([gains.pop(hit, 0.0) for hit in ranking], dtype=np.float64)
