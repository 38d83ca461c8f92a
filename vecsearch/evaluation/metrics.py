"""Measures of search quality and speed: recall@k, a bootstrap interval, nDCG@k, MRR@k and a summary of latencies.

Pure functions over arrays and plain sequences. The recall defined here is the one every promise of vecsearch is about:

    recall@k = |found ∩ exact| / min(k, rows that match),  ties at the k-th score counting as found.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vecsearch.errors import InvalidInputError

FloatArray = npt.NDArray[np.float64]
RowArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Id = TypeVar("Id", bound=Hashable)
SCORE_TOLERANCE = 1e-6
"""Two scores this close, relative to the query's largest exact score, are a tie: float32 sums differ with their order."""


def recall_at_k(
    found_rows: npt.ArrayLike,
    found_scores: npt.ArrayLike | None,
    exact_rows: npt.ArrayLike,
    exact_scores: npt.ArrayLike,
    k: int,
    matching: int | npt.ArrayLike | None = None,
    *,
    tolerance: float = SCORE_TOLERANCE,
) -> FloatArray:
    """Recall@k of each query: float64, shape (n,), each in [0, 1].

    A found row counts when it is one of the exact top rows, or ties with the last of them. Ties fill only the places that
    ties have in the exact answer: rows that all score as the k-th do not make up for a missed better one. A row found twice
    counts once, and -1 (padding) never. Where no row matches there is nothing to miss, and recall is 1.

    found_rows    int, shape (n, m): rows found, padded with -1; columns after the k-th are not looked at.
    found_scores  float, shape (n, m): the *true* scores of those rows (larger is better), not an index's estimates. A row that
                  the filter excludes must stand as -1 in `found_rows`. None: ties are not looked for.
    exact_rows    int, shape (n, j), best first, padded with -1; j at least min(k, the most rows that match).
    exact_scores  float, shape (n, j): their scores.
    matching      rows that match each query's filter: one number for all, or shape (n,). None: as many as `exact_rows` shows.

    Raises InvalidInputError when shapes do not fit or the exact rows are too few.
    """
    if k < 1:
        raise InvalidInputError(f"k must be at least 1, not {k}")
    found = _row_numbers(found_rows, "found_rows")[:, :k]
    exact = _row_numbers(exact_rows, "exact_rows")[:, :k]
    truth = _scores(exact_scores, "exact_scores", np.shape(exact_rows))[:, :k]
    if len(exact) != len(found):
        raise InvalidInputError(
            f"found_rows has {len(found)} queries, but exact_rows has {len(exact)}"
        )
    valid = exact >= 0
    wanted = _wanted(matching, valid, k)
    if not exact.shape[1]:
        return np.ones(len(found))

    # The k-th exact score of each query, and which exact rows are clearly better than it: the others tie.
    kth = np.take_along_axis(truth, np.maximum(wanted - 1, 0)[:, None], axis=1)
    slack = tolerance * np.abs(np.where(valid, truth, 0.0)).max(axis=1, keepdims=True)
    in_answer = valid & (np.arange(exact.shape[1]) < wanted[:, None])
    better = in_answer & (truth > kth + slack)

    fresh = (found >= 0) & ~_repeated(found)
    hit_better = fresh & _member(found, np.where(better, exact, -1))
    tie = _member(found, np.where(in_answer, exact, -1))
    if found_scores is not None:
        tie |= _scores(found_scores, "found_scores", np.shape(found_rows))[:, :k] >= kth - slack
    ties = (tie & fresh & ~hit_better).sum(axis=1)
    hits = hit_better.sum(axis=1) + np.minimum(ties, wanted - better.sum(axis=1))
    recall: FloatArray = np.where(wanted > 0, hits / np.maximum(wanted, 1), 1.0)
    return recall


def bootstrap_interval(
    values: npt.ArrayLike, confidence: float = 0.99, *, seed: int = 0, resamples: int = 10_000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` (float, shape (n,)): (low, high).

    After Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979). A resample is drawn as counts of the distinct
    values, which has the same distribution as drawing the n values one by one and costs far less: recall@10 has 11 values.
    When all values are equal, both ends are that value: a sample without spread cannot show how far off it is.

    Raises InvalidInputError for no values, a NaN or infinite one, or a confidence outside (0, 1).
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
    """nDCG@k of each query: float64, shape (n,), as trec_eval computes it.

    The gain of a hit is its judged relevance (not 2^relevance - 1), the discount log2(rank + 1); a document without a
    judgement or judged below zero has no gain. The ideal ranking is that of the judged documents. A query with no relevant
    document scores 0. An id that stands twice in a ranking gains once. Järvelin & Kekäläinen, "Cumulated gain-based
    evaluation of IR techniques" (2002).

    found      ids of the hits of each query, best first.
    relevance  for each query, judged id -> relevance.
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
    """Reciprocal rank of each query's first relevant hit (relevance above zero) among the first k, or 0: float64, shape (n,).

    Its mean is MRR@k. Arguments as for `ndcg_at_k`.
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
    """Latencies of single queries run one after another: percentiles and mean in milliseconds, and queries per second."""

    queries: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    qps: float


def summarize_latency(seconds: npt.ArrayLike) -> LatencySummary:
    """Summary of the latencies `seconds` (float, shape (n,)): `qps` is n over their sum. Percentiles are interpolated.

    Raises InvalidInputError for no latencies, a NaN or infinite one, or one that is not above zero.
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
            f"{name} must be integers of shape (queries, hits), not {array.dtype} of shape {array.shape}"
        )
    return array.astype(np.int64, copy=False)


def _scores(values: npt.ArrayLike, name: str, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise InvalidInputError(f"{name} has shape {array.shape}, but its rows have shape {shape}")
    return array


def _wanted(matching: int | npt.ArrayLike | None, valid: Mask, k: int) -> RowArray:
    """How many rows a perfect answer of each query has: min(k, rows that match), shape (n,)."""
    shown: RowArray = valid.sum(axis=1, dtype=np.int64)
    if matching is None:
        return shown
    wanted: RowArray = np.minimum(
        np.broadcast_to(np.asarray(matching, dtype=np.int64), shown.shape), k
    )
    if (wanted < 0).any() or (shown < wanted).any():
        worst = int(np.argmax((shown < wanted) | (wanted < 0)))
        raise InvalidInputError(
            f"query {worst}: {wanted[worst]} of its matching rows are wanted at k={k}, but exact_rows has {shown[worst]}"
        )
    return wanted


def _repeated(rows: RowArray) -> Mask:
    """Marks each row number that stands further left in the same line already."""
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    again = np.zeros(rows.shape, dtype=bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    marks = np.zeros_like(again)
    np.put_along_axis(marks, order, again, axis=1)
    return marks


def _member(rows: RowArray, of: RowArray) -> Mask:
    """Marks each entry of `rows` that stands in the same line of `of`; padding stands nowhere."""
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
    """The gain at each rank; an id met before gains nothing, but keeps its rank."""
    left = {document: max(value, 0.0) for document, value in judged.items()}
    return np.array([left.pop(hit, 0.0) for hit in ranking], dtype=np.float64)
