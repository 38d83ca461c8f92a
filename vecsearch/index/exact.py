"""Exact scores and exact search over arrays, by FAISS's kernels. With faiss_index.py the only module that imports faiss.

`score` is larger-is-better for every metric: cosine collections hold unit vectors, so their score is the inner product;
Euclidean distance is the negative of its square. Vectors are float32 or float16 (rows, dim) arrays, mapped files included:
float32 is read in place, float16 is widened a block at a time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Positions, Scores, StoredVectors, Vectors
from vecsearch.types import Metric

WIDEN_ROWS = 8192  # float16 rows widened at a time: 12 MB at 384 dimensions
BLOCK_BYTES = 48 * 1024 * 1024  # of rows copied at a time, to search some of them or widened ones
MATRIX_QUERIES = 20  # from so many on FAISS searches by matrix products
CANCELS = 1e-3  # squared distances below this share of the query's squared length are not left to a matrix product
SORTED_WHOLE = 512  # up to so many scores are sorted whole: quicker than picking the best first
_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def omp_threads(threads: int) -> Iterator[None]:
    """Run FAISS with `threads` OpenMP threads, and give the caller's setting back. One thread in a forked child: the team
    of its parent did not come along, and OpenMP would wait for it for ever."""
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


def score_rows(vectors: StoredVectors, query: Vectors, rows: Positions, metric: Metric) -> Scores:
    """Score listed rows against one query (float32, (dim,)): float32, one a row."""
    count = len(rows)
    scores = np.empty(count, np.float32)
    if not count:
        return scores
    if vectors.dtype == np.float16:
        for at in range(0, count, WIDEN_ROWS):
            block: Scores = vectors[rows[at : at + WIDEN_ROWS]].astype(np.float32)
            scores[at : at + WIDEN_ROWS] = _numpy_scores(block, query, metric)
        return scores
    kernel = faiss.fvec_L2sqr_by_idx if metric is Metric.L2 else faiss.fvec_inner_products_by_idx
    swig = faiss.swig_ptr
    before = faiss.omp_get_max_threads()
    if (
        before != 1
    ):  # the kernel would call up a team of threads for one query, and wait for it on a busy machine
        faiss.omp_set_num_threads(1)
    kernel(swig(scores), swig(query), swig(vectors), swig(rows), vectors.shape[1], 1, count)
    if before != 1:
        faiss.omp_set_num_threads(before)
    return np.subtract(0, scores, out=scores) if metric is Metric.L2 else scores


def best_of(
    vectors: StoredVectors, query: Vectors, rows: Positions, k: int, metric: Metric
) -> tuple[Scores, Positions]:
    """The k best of a few listed rows for one query: `best(score_rows(...))`, in one call of FAISS where it can be one."""
    wanted = k + 1  # one more, to see whether the last is tied with what follows
    if vectors.dtype == np.float16 or len(rows) < wanted:
        return best(score_rows(vectors, query, rows, metric), rows, k)
    scores, found = np.empty(wanted, np.float32), np.empty(wanted, np.int64)
    kernel = faiss.knn_L2sqr_by_idx if metric is Metric.L2 else faiss.knn_inner_products_by_idx
    swig = faiss.swig_ptr
    dim, width = len(query), len(rows)
    kernel(
        swig(query),
        swig(vectors),
        swig(rows),
        dim,
        1,
        len(vectors),
        width,
        wanted,
        swig(scores),
        swig(found),
        width,
    )
    if (scores[1:] == scores[:-1]).any():
        return best(score_rows(vectors, query, rows, metric), rows, k)
    if metric is Metric.L2:
        np.subtract(0, scores, out=scores)
    return scores[:k], found[:k]


def score_lists(
    vectors: StoredVectors, queries: Vectors, rows: Positions, metric: Metric, threads: int
) -> Scores:
    """Score listed rows, int64 (nq, width) with -1 for none, against each one's query: float32 (nq, width), -inf for none."""
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
    """The k best (score, row), best first; equal scores in the order of their rows, so that results do not wander."""
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
    kept: npt.NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> tuple[Scores, Positions]:
    """The k best rows for each query by scoring every row that is kept.

    queries: float32 (nq, dim), C-contiguous. kept: which rows may be found (all, when None).
    Returns scores float32 and rows int64, both (nq, k), padded with -inf and -1 where fewer rows are kept.
    """
    listed = None if kept is None else np.flatnonzero(kept)
    width = min(k, len(vectors) if listed is None else len(listed))
    scores = np.full((len(queries), k), -np.inf, np.float32)
    rows = np.full((len(queries), k), -1, np.int64)
    if not width or not len(queries):
        return scores, rows
    if listed is None and vectors.dtype == np.float32:
        scores[:, :width], rows[:, :width] = _knn(vectors, queries, width, metric, threads)
    elif len(queries) < MATRIX_QUERIES:
        chosen = np.arange(len(vectors)) if listed is None else listed
        for number, query in enumerate(queries):
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
    """Search copies of the listed rows (all, when None), a block at a time: matrix products, which FAISS does not use to skip
    rows, take a sixth of the time; float16 is widened on the way."""
    merged = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    step = max(1, BLOCK_BYTES // (4 * vectors.shape[1]))
    for at in range(0, len(vectors) if listed is None else len(listed), step):
        chosen = None if listed is None else listed[at : at + step]
        block = np.ascontiguousarray(
            vectors[at : at + step] if chosen is None else vectors[chosen], np.float32
        )
        scores, rows = _knn(block, queries, min(k, len(block)), metric, threads)
        rows = rows + at if chosen is None else chosen[rows]
        merged = merge([merged, (scores, rows)], k)
    return merged


def _knn(
    vectors: Vectors, queries: Vectors, k: int, metric: Metric, threads: int
) -> tuple[Scores, Positions]:
    """All rows against all queries, k at most the number of rows."""
    count, dim = vectors.shape
    scores = np.empty((len(queries), k), np.float32)
    rows = np.empty((len(queries), k), np.int64)
    kernel = faiss.knn_L2sqr if metric is Metric.L2 else faiss.knn_inner_product
    swig = faiss.swig_ptr
    with omp_threads(threads):
        kernel(swig(queries), swig(vectors), dim, len(queries), count, k, swig(scores), swig(rows))
    if metric is not Metric.L2:
        return scores, rows
    np.subtract(0, scores, out=scores)
    if len(queries) >= MATRIX_QUERIES:
        # |x - y|² = |x|² - 2xy + |y|² cancels where vectors lie close together and far from the origin: there one by one.
        for number in np.flatnonzero(-scores[:, -1] < CANCELS * np.square(queries).sum(axis=1)):
            chosen = np.arange(count)
            scores[number], rows[number] = best(
                score_rows(vectors, queries[number], chosen, metric), chosen, k
            )
    return scores, rows


def merge(parts: list[tuple[Scores, Positions]], k: int) -> tuple[Scores, Positions]:
    """Merge results over disjoint rows: the k best of several (nq, width) pairs, padding (-1) last."""
    scores = np.concatenate([scores for scores, _ in parts], axis=1)
    rows = np.concatenate([rows for _, rows in parts], axis=1)
    scores = np.where(rows < 0, np.float32(-np.inf), scores)
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
