"""The scores that users see, compiled: the same numbers as `numpy_scores.py`, bit by bit.

These functions are compiled without fast math, which may change the order of sums.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from vecsearch.index.kernels.arguments import COSINE, EUCLIDEAN, TILE, UNSURE
from vecsearch.index.kernels.contrast import spread_at_large
from vecsearch.index.kernels.intrinsics import sum_of_products, sum_of_squares
from vecsearch.index.kernels.misses import LEAST, crowding, expected_misses, next_depth
from vecsearch.index.kernels.numpy_scores import LARGEST, TINY
from vecsearch.index.kernels.stages import next_stage, stage_after

strict = numba.njit(nogil=True, boundscheck=False, fastmath=False)
misses, crowded = strict(expected_misses), strict(crowding)
deeper, spread = strict(next_depth), strict(spread_at_large)
higher_stage, after_contrast = strict(next_stage), strict(stage_after)


@strict
def address_of(row: Any, starts: Any, addresses: Any, dim: Any) -> Any:
    """Address of the float32 vector of a position."""
    segment = 0
    while segment + 1 < starts.shape[0] and starts[segment + 1] <= row:
        segment += 1
    return addresses[segment] + (row - starts[segment]) * (4 * dim)


@strict
def score_between(vector: Any, target: Any, dim: Any, metric: Any, square: Any) -> Any:
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
                scores[number, place] = score_between(vector, target, dim, metric, square)


@strict
def write_unit(vector: Any, unit: Any) -> Any:
    """Write a vector at length 1, unless it is 0 or not finite: the square of its length."""
    place = vector.ctypes.data
    square = sum_of_products(place, place, vector.shape[0])
    if 0 < square < np.inf:
        inverse = 1.0 / np.sqrt(square)
        for number in range(vector.shape[0]):
            unit[number] = np.float32(np.float64(vector[number]) * inverse)
    return square


@strict
def reaches(products: Any, bounds: Any) -> Any:
    """Whether any product reaches its bound; without a branch, so by vector instructions."""
    reached = False
    for place in range(products.shape[0]):
        reached |= products[place] >= bounds[place]
    return reached


@strict
def list_near(
    products: Any, less: Any, least: Any, first: Any, owners: Any, places: Any, values: Any
) -> Any:
    """List the products that reach their query's bound: how many, and the next row.

    Args:
        products: float32 (rows, queries); from those of each row, `less` is taken in place.
        less: float32 (rows,), or empty.
        least: float32, one bound for each query.
        first: The row to begin with.
        owners, places, values: Where the queries, rows and products are written. It stops before
            TILE rows for which they may be too short.
    """
    height, width = products.shape
    found, flat, bounds = 0, products.ravel(), least.repeat(TILE).reshape((width, TILE)).T.ravel()
    for start in range(first, height, TILE):
        stop = min(start + TILE, height)
        if found + TILE * width > owners.shape[0]:
            return found, start
        if less.shape[0] > 0:
            for place in range(start, stop):
                for owner in range(width):
                    products[place, owner] -= less[place]
        if not reaches(flat[start * width : stop * width], bounds):
            continue
        for place in range(start, stop):
            row = products[place]
            if reaches(row, least):
                for owner in range(width):
                    if row[owner] >= least[owner]:
                        owners[found], places[found], values[found] = owner, place, row[owner]
                        found += 1
    return found, height


@strict
def at_large(query: Any, code: Any, moments: Any, metric: Any) -> Any:
    """Mean and standard deviation of the scores of a query with all rows; see `contrast.py`."""
    target, center = query.ctypes.data, moments.mean.ctypes.data
    dim = query.shape[0]
    if metric == EUCLIDEAN:
        square = sum_of_squares(center, target, dim)
        mean = 0.0 - (square + moments.own_mean)
    else:
        square = sum_of_products(target, target, dim)
        mean = sum_of_products(center, target, dim)
    return mean, spread(code, moments, square, metric)


@strict
def score_of(query: Any, row: Any, request: Any) -> Any:
    """The final score of one position."""
    dim, target = query.shape[0], query.ctypes.data
    square = sum_of_products(target, target, dim)
    vector = address_of(row, request.starts, request.addresses, dim)
    return score_between(vector, target, dim, request.metric, square)


@strict
def rank(
    query: Any,
    positions: Any,
    distances: Any,
    outside: Any,
    complete: Any,
    request: Any,
    rows: Any,
    scores: Any,
) -> Any:
    """The best of the candidates and the rows outside, into `rows` and `scores`: how many.

    Outside are `request.unindexed` and the positions of `outside`; all of them are scored.
    Candidates are scored in their order until no more than `request.effort.misses` hits are
    expected among the others; UNSURE if more are expected when all are scored, unless they are
    `complete`, all that there are.
    """
    found, dim, target, k = 0, query.shape[0], query.ctypes.data, rows.shape[0]
    square = sum_of_products(target, target, dim)
    for row in request.unindexed:
        vector = address_of(row, request.starts, request.addresses, dim)
        score = score_between(vector, target, dim, request.metric, square)
        found = keep_best(rows, scores, found, row, score)
    for row in outside:
        vector = address_of(row, request.starts, request.addresses, dim)
        score = score_between(vector, target, dim, request.metric, square)
        found = keep_best(rows, scores, found, row, score)
    fixed, count = np.isinf(request.effort.misses), positions.shape[0]
    done, until, first = 0, min(request.depth, count), 0.0
    x, y, xx, xy, yy = 0.0, 0.0, 0.0, 0.0, 0.0
    while True:
        for number in range(done, until):
            row = positions[number]
            vector = address_of(row, request.starts, request.addresses, dim)
            score = score_between(vector, target, dim, request.metric, square)
            found = keep_best(rows, scores, found, row, score)
            if number == 0:
                first = score
            near, high = np.float64(distances[number] - distances[0]), score - first
            x, y = x + near, y + high
            xx, xy, yy = xx + near * near, xy + near * high, yy + high * high
        done = until
        if fixed or (complete and done == count):
            return found
        if found == k and done >= LEAST:
            end, kth = np.float64(distances[done - 1] - distances[0]), scores[k - 1] - first
            expected = misses(done, x, y, xx, xy, yy, end, crowded(distances, done), kth)
            if expected <= request.effort.misses:
                return found
        if done == count:
            return UNSURE
        until = min(deeper(done), count)


@strict
def keep_best(rows: Any, scores: Any, count: Any, row: Any, score: Any) -> Any:
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
