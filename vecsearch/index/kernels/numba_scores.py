"""The scores that users see, compiled: the same numbers as `numpy_scores.py`, bit by bit.

These functions are compiled without fast math, which may change the order of sums.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from vecsearch.index.kernels.arguments import COSINE, EUCLIDEAN
from vecsearch.index.kernels.intrinsics import sum_of_products, sum_of_squares
from vecsearch.index.kernels.numpy_scores import LARGEST, TINY

strict = numba.njit(nogil=True, boundscheck=False, fastmath=False)


@strict
def address_of(row: Any, starts: Any, addresses: Any, dim: Any) -> Any:
    """Address of the float32 vector of a position."""
    segment = 0
    while segment + 1 < starts.shape[0] and starts[segment + 1] <= row:
        segment += 1
    return addresses[segment] + (row - starts[segment]) * (4 * dim)


@strict
def _score(vector: Any, target: Any, dim: Any, metric: Any, square: Any) -> Any:
    """`numpy_scores.final_scores` of the vector at an address; square: of the query's length."""
    if metric == EUCLIDEAN:
        score = 0.0 - sum_of_squares(vector, target, dim)
    else:
        score = sum_of_products(vector, target, dim)
        if metric == COSINE:
            lengths = np.sqrt(sum_of_products(vector, vector, dim) * square)
            return min(max(score / max(lengths, TINY), -1.0), 1.0)
    if abs(score) > LARGEST:
        return score * np.inf
    return score


@strict
def score_lists(
    queries: Any, rows: Any, starts: Any, addresses: Any, metric: Any, scores: Any
) -> None:
    """Write the score of each query's rows into `scores`, float64, unless a row is -1."""
    dim = queries.shape[1]
    for number in range(queries.shape[0]):
        target = queries[number].ctypes.data
        square = sum_of_products(target, target, dim)
        for place in range(rows.shape[1]):
            row = rows[number, place]
            if row >= 0:
                vector = address_of(row, starts, addresses, dim)
                scores[number, place] = _score(vector, target, dim, metric, square)


@strict
def rank(query: Any, candidates: Any, request: Any, rows: Any, scores: Any) -> Any:
    """The best of the candidates and the unindexed rows, into `rows` and `scores`: how many."""
    found, dim, target = 0, query.shape[0], query.ctypes.data
    square = sum_of_products(target, target, dim)
    for listed in (candidates, request.unindexed):
        for row in listed:
            vector = address_of(row, request.starts, request.addresses, dim)
            score = _score(vector, target, dim, request.metric, square)
            found = _keep_best(rows, scores, found, row, score)
    return found


@strict
def _keep_best(rows: Any, scores: Any, count: Any, row: Any, score: Any) -> Any:
    """Insert a row among the best, equal scores in the order of their rows: how many there are."""
    place = count
    if count == rows.shape[0]:
        place = count - 1
        if score < scores[place] or (score == scores[place] and row > rows[place]):
            return count
    while place > 0 and (
        scores[place - 1] < score or (scores[place - 1] == score and rows[place - 1] > row)
    ):
        scores[place], rows[place] = scores[place - 1], rows[place - 1]
        place -= 1
    scores[place], rows[place] = score, row
    return min(count + 1, rows.shape[0])
