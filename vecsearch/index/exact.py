"""Exact scores and exact search over arrays, with FAISS's kernels.

A score is larger-is-better for every metric. Cosine collections store unit vectors, so their score
is the inner product; the Euclidean score is the negative squared distance. Vectors are float32 or
float16 (rows, dim) arrays, memory-mapped ones included: float32 is read in place, float16 is
widened a block at a time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import faiss
import numpy as np

from vecsearch.common.arrays import Mask, Positions, Scores, StoredVectors, Vectors
from vecsearch.common.deadline import check_time
from vecsearch.types import Metric

WIDEN_ROWS = 8192  # float16 rows widened at a time: 12 MB at 384 dimensions
BLOCK_BYTES = 48 * 1024 * 1024  # of rows copied at a time, to search some of them or widened ones
COPY_QUERIES = 20  # copying the rows pays off from this many queries on
# Below faiss.cvar.distance_compute_blas_threshold: above it FAISS uses matrix products, which lose
# digits where vectors lie close together and far from the origin.
KERNEL_QUERIES = 16_384
# Products of numbers between two looks at the clock: about a second of one core.
KERNEL_WORK = 4_000_000_000
SORTED_WHOLE = 512  # up to this many scores, sorting all is faster than selecting the best first
_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_after_fork)


def is_forked() -> bool:
    """Whether this is a forked child, in which no library may use the threads of its parent."""
    return _forked


@contextlib.contextmanager
def omp_threads(threads: int) -> Iterator[None]:
    """Run FAISS with `threads` OpenMP threads, then restore the caller's setting.

    A forked child gets one thread: its parent's threads do not exist there, and OpenMP would wait
    for them forever.
    """
    threads = 1 if _forked else threads
    before = faiss.omp_get_max_threads()
    if before == threads:
        yield
        return
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def threads_for(queries: int, threads: int) -> int:
    """How many of `threads` FAISS searches for so many queries with.

    Given more threads than queries, it divides the rows, and takes three times as long.
    """
    return max(1, min(threads, queries))


def score_rows(vectors: StoredVectors, query: Vectors, rows: Positions, metric: Metric) -> Scores:
    """Score listed rows against one query.

    Args:
        vectors: float32 or float16 (n, dim).
        query: float32 (dim,).
        rows: int64, the rows to score.
        metric: What to score by.

    Returns:
        float32, one score a row.
    """
    count = len(rows)
    scores = np.empty(count, np.float32)
    if not count:
        return scores
    if vectors.dtype == np.float16:
        for first in range(0, count, WIDEN_ROWS):
            block: Scores = vectors[rows[first : first + WIDEN_ROWS]].astype(np.float32)
            scores[first : first + WIDEN_ROWS] = _numpy_scores(block, query, metric)
        return scores
    kernel = faiss.fvec_L2sqr_by_idx if metric is Metric.L2 else faiss.fvec_inner_products_by_idx
    swig = faiss.swig_ptr
    before = faiss.omp_get_max_threads()
    if before != 1:  # several threads for one query would only wait for each other
        faiss.omp_set_num_threads(1)
    kernel(swig(scores), swig(query), swig(vectors), swig(rows), vectors.shape[1], 1, count)
    if before != 1:
        faiss.omp_set_num_threads(before)
    return np.subtract(0, scores, out=scores) if metric is Metric.L2 else scores


def score_lists(
    vectors: StoredVectors, queries: Vectors, rows: Positions, metric: Metric, threads: int
) -> Scores:
    """Score each query's own rows.

    Args:
        vectors: float32 or float16 (n, dim).
        queries: float32 (nq, dim), C-contiguous.
        rows: int64 (nq, width), -1 for no row.
        metric: What to score by.
        threads: OpenMP threads to use.

    Returns:
        float32 (nq, width), -inf for no row.
    """
    if vectors.dtype == np.float16:
        scores = np.full(rows.shape, -np.inf, np.float32)
        for query, listed, out in zip(queries, rows, scores, strict=True):
            out[listed >= 0] = score_rows(vectors, query, listed[listed >= 0], metric)
        return scores
    scores = np.empty(rows.shape, np.float32)
    kernel = faiss.fvec_L2sqr_by_idx if metric is Metric.L2 else faiss.fvec_inner_products_by_idx
    swig = faiss.swig_ptr
    rows = np.ascontiguousarray(rows)
    with omp_threads(threads):
        kernel(
            swig(scores), swig(queries), swig(vectors), swig(rows), vectors.shape[1], *rows.shape
        )
    return np.subtract(0, scores, out=scores) if metric is Metric.L2 else scores


def _numpy_scores(vectors: Vectors, query: Vectors, metric: Metric) -> Scores:
    if metric is not Metric.L2:
        return np.asarray(vectors @ query)
    difference = vectors - query
    return np.asarray(-np.einsum("ij,ij->i", difference, difference))


def best(scores: Scores, rows: Positions, k: int) -> tuple[Scores, Positions]:
    """The k best scores and their rows, best first; equal scores in the order of their rows."""
    if len(scores) > max(k, SORTED_WHOLE):
        part = np.argpartition(scores, len(scores) - k)
        threshold = scores[part[len(scores) - k]]
        keep = np.flatnonzero(scores >= threshold)
        scores, rows = scores[keep], rows[keep]
    order = np.lexsort((rows, -scores))[:k]
    return scores[order], rows[order]


def search(
    vectors: StoredVectors,
    queries: Vectors,
    k: int,
    metric: Metric,
    selected: Mask | None = None,
    threads: int = 1,
) -> tuple[Scores, Positions]:
    """Find the k best rows for each query by scoring every selected row.

    Args:
        vectors: float32 or float16 (n, dim).
        queries: float32 (nq, dim), C-contiguous.
        k: How many rows to find.
        metric: What to score by.
        selected: Which rows may be found; None for all.
        threads: OpenMP threads to use.

    Returns:
        Scores, float32, and rows, int64, both (nq, k), best first; padded with -inf and -1 if
        fewer rows are selected.
    """
    if selected is None and vectors.dtype == np.float32 and 0 < k <= len(vectors) and len(queries):
        return _knn(vectors, queries, k, metric, threads)
    listed = None if selected is None else np.flatnonzero(selected)
    width = min(k, len(vectors) if listed is None else len(listed))
    scores = np.full((len(queries), k), -np.inf, np.float32)
    rows = np.full((len(queries), k), -1, np.int64)
    if not width or not len(queries):
        return scores, rows
    if listed is None and vectors.dtype == np.float32:
        scores[:, :width], rows[:, :width] = _knn(vectors, queries, width, metric, threads)
    elif len(queries) < COPY_QUERIES:
        chosen = np.arange(len(vectors)) if listed is None else listed
        for number, query in enumerate(queries):
            check_time()
            scores[number, :width], rows[number, :width] = best(
                score_rows(vectors, query, chosen, metric), chosen, width
            )
    else:
        scores[:, :width], rows[:, :width] = _in_blocks(
            vectors, queries, width, metric, listed, threads
        )
    return scores, rows


def _in_blocks(
    vectors: StoredVectors,
    queries: Vectors,
    k: int,
    metric: Metric,
    listed: Positions | None,
    threads: int,
) -> tuple[Scores, Positions]:
    """Search copies of the listed rows (all if None), a block at a time; widens float16."""
    merged = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    step = max(1, BLOCK_BYTES // (4 * vectors.shape[1]))
    for first in range(0, len(vectors) if listed is None else len(listed), step):
        chosen = None if listed is None else listed[first : first + step]
        copied = vectors[first : first + step] if chosen is None else vectors[chosen]
        block = np.ascontiguousarray(copied, np.float32)
        scores, rows = _knn(block, queries, min(k, len(block)), metric, threads)
        rows = rows + first if chosen is None else chosen[rows]
        merged = merge([merged, (scores, rows)], k)
    return merged


def _knn(
    vectors: Vectors, queries: Vectors, k: int, metric: Metric, threads: int
) -> tuple[Scores, Positions]:
    """The k best of all rows for each query; k is at most the number of rows."""
    count, dim = vectors.shape
    scores = np.empty((len(queries), k), np.float32)
    rows = np.empty((len(queries), k), np.int64)
    kernel = faiss.knn_L2sqr if metric is Metric.L2 else faiss.knn_inner_product
    swig = faiss.swig_ptr
    step = min(max(KERNEL_WORK // (count * dim), 8 * threads), KERNEL_QUERIES)
    with omp_threads(threads_for(len(queries), threads)):
        for first in range(0, len(queries), step):
            check_time()
            part = slice(first, first + step)
            batch, out, found = queries[part], scores[part], rows[part]
            kernel(swig(batch), swig(vectors), dim, len(batch), count, k, swig(out), swig(found))
    if metric is Metric.L2:
        np.subtract(0, scores, out=scores)
    if (scores[:, 1:] == scores[:, :-1]).any():  # FAISS lists equal inner products last row first
        return merge([(scores, rows)], k)
    return scores, rows


def merge(parts: list[tuple[Scores, Positions]], k: int) -> tuple[Scores, Positions]:
    """The k best of results over disjoint rows, (nq, width) pairs each; padding (-1) comes last."""
    scores = np.concatenate([scores for scores, _ in parts], axis=1)
    rows = np.concatenate([rows for _, rows in parts], axis=1)
    scores = np.where(rows < 0, np.float32(-np.inf), scores)
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
