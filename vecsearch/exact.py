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

from vecsearch.types import Metric

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.floating]
WIDEN_ROWS = 8192  # float16 rows widened at a time: 12 MB at 384 dimensions
LIST_BELOW = 0.35  # kept fraction under which scoring a list of rows beats scanning past the others


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


def score_rows(vectors: Vectors, query: Scores, rows: Rows, metric: Metric) -> Scores:
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
    if before != 1:  # the kernel would call up a team of threads for one query, and wait for it on a busy machine
        faiss.omp_set_num_threads(1)
    kernel(swig(scores), swig(query), swig(vectors), swig(rows), vectors.shape[1], 1, count)
    if before != 1:
        faiss.omp_set_num_threads(before)
    return np.subtract(0, scores, out=scores) if metric is Metric.L2 else scores


def _numpy_scores(vectors: Scores, query: Scores, metric: Metric) -> Scores:
    if metric is not Metric.L2:
        return np.asarray(vectors @ query)
    difference = vectors - query
    return np.asarray(-np.einsum("ij,ij->i", difference, difference))


def best(scores: Scores, rows: Rows, k: int) -> tuple[Scores, Rows]:
    """The k best (score, row), best first; equal scores in the order of their rows, so that results do not wander."""
    if len(scores) > k:
        part = np.argpartition(scores, len(scores) - k)
        threshold = scores[part[len(scores) - k]]
        keep = np.flatnonzero(scores >= threshold)
        scores, rows = scores[keep], rows[keep]
    order = np.lexsort((rows, -scores))[:k]
    return scores[order], rows[order]


def search(
    vectors: Vectors, queries: Scores, k: int, metric: Metric, kept: npt.NDArray[np.bool_] | None = None, threads: int = 1
) -> tuple[Scores, Rows]:
    """The k best rows for each query by scoring every row that is kept.

    queries: float32 (nq, dim), C-contiguous. kept: which rows may be found (all, when None).
    Returns scores float32 and rows int64, both (nq, k), padded with -inf and -1 where fewer rows are kept.
    """
    found = len(vectors) if kept is None else int(np.count_nonzero(kept))
    width = min(k, found)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    rows = np.full((len(queries), k), -1, np.int64)
    if not width or not len(queries):
        return scores, rows
    if kept is not None and (found < LIST_BELOW * len(vectors) or len(queries) == 1):
        listed = np.flatnonzero(kept)
        if len(queries) == 1:
            scores[0, :width], rows[0, :width] = best(score_rows(vectors, queries[0], listed, metric), listed, width)
            return scores, rows
        vectors, kept = vectors[listed], None  # a copy of the kept rows, so that a batch runs as one matrix product
        scores[:, :width], rows[:, :width] = _scan(vectors, queries, width, metric, None, threads)
        rows[:, :width] = listed[rows[:, :width]]
        return scores, rows
    scores[:, :width], rows[:, :width] = _scan(vectors, queries, width, metric, kept, threads)
    return scores, rows


def _scan(
    vectors: Vectors, queries: Scores, k: int, metric: Metric, kept: npt.NDArray[np.bool_] | None, threads: int
) -> tuple[Scores, Rows]:
    if vectors.dtype == np.float32:
        return _knn(vectors, queries, k, metric, kept, threads)
    merged_scores = np.empty((len(queries), 0), np.float32)
    merged_rows = np.empty((len(queries), 0), np.int64)
    for at in range(0, len(vectors), WIDEN_ROWS):
        block = vectors[at : at + WIDEN_ROWS].astype(np.float32)
        block_kept = None if kept is None else kept[at : at + WIDEN_ROWS]
        scores, rows = search(block, queries, k, metric, block_kept, threads)
        rows[rows >= 0] += at
        merged_scores, merged_rows = merge([(merged_scores, merged_rows), (scores, rows)], k)
    return merged_scores, merged_rows


def _knn(
    vectors: Scores, queries: Scores, k: int, metric: Metric, kept: npt.NDArray[np.bool_] | None, threads: int
) -> tuple[Scores, Rows]:
    count, dim = vectors.shape
    scores = np.empty((len(queries), k), np.float32)
    rows = np.empty((len(queries), k), np.int64)
    kernel = faiss.knn_L2sqr if metric is Metric.L2 else faiss.knn_inner_product
    swig = faiss.swig_ptr
    bits = None if kept is None else np.packbits(kept, bitorder="little")
    selector = None if bits is None else faiss.IDSelectorBitmap(count, swig(bits))
    with omp_threads(threads):
        arguments = (swig(queries), swig(vectors), dim, len(queries), count, k, swig(scores), swig(rows))
        if metric is Metric.L2:
            kernel(*arguments, None, selector)
        else:
            kernel(*arguments, selector)
    return (np.subtract(0, scores, out=scores) if metric is Metric.L2 else scores), rows


def merge(parts: list[tuple[Scores, Rows]], k: int) -> tuple[Scores, Rows]:
    """Merge results over disjoint rows: the k best of several (nq, width) pairs, padding (-1) last."""
    scores = np.concatenate([scores for scores, _ in parts], axis=1)
    rows = np.concatenate([rows for _, rows in parts], axis=1)
    scores = np.where(rows < 0, np.float32(-np.inf), scores)
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
