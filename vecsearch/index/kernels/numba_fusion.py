"""Two lists of rows become one, compiled: see `numpy_fusion.py`, with which this agrees.

Compiled without fast math, so that both give equal bits.
"""

from __future__ import annotations

import math
from typing import Any

import numba
from numba import types

from vecsearch.index.kernels.compiled import EXACT, array_type, entry_point
from vecsearch.index.kernels.numba_scores import strict
from vecsearch.index.kernels.numpy_fusion import DBSF, FLAT, LARGEST, RRF, WEIGHTED


def _merge(
    keys: Any,
    shift: Any,
    text_scores: Any,
    vector_scores: Any,
    rows: Any,
    ranks: Any,
    scores: Any,
    missing: Any,
) -> Any:
    first, size, below = text_scores.shape[0], keys.shape[0], (1 << shift) - 1
    count, at, lacking_text, lacking_vector = 0, 0, 0, 0
    while at < size:
        row, tag = keys[at] >> shift, keys[at] & below
        text_rank, vector_rank, text_score, vector_score = 0, 0, 0.0, 0.0
        at += 1
        if tag < first:
            text_rank, text_score = tag + 1, text_scores[tag]
            if at < size and keys[at] >> shift == row:
                tag = keys[at] & below
                at += 1
        if tag >= first:
            vector_rank, vector_score = tag - first + 1, vector_scores[tag - first]
        rows[count] = row
        ranks[0, count], scores[0, count] = text_rank, text_score
        ranks[1, count], scores[1, count] = vector_rank, vector_score
        if text_rank == 0:
            missing[0, lacking_text] = count
            lacking_text += 1
        if vector_rank == 0:
            missing[1, lacking_vector] = count
            lacking_vector += 1
        count += 1
    return count


@strict
def _within(value: Any) -> Any:
    return min(max(value, -LARGEST), LARGEST)


@strict
def scale_of(listed: Any, zeros: Any, method: Any) -> Any:
    """Mean and deviation by which the scores of a list are standardized; whether it is flat."""
    count = listed.shape[0]
    mean, squares, size = 0.0, 0.0, count + (zeros if method == WEIGHTED else 0)
    if method == RRF or count == 0:
        return 0.0, 1.0, True
    for at in range(count):
        mean += _within(listed[at])
    mean /= size
    for at in range(count):
        around = _within(listed[at]) - mean
        squares += around * around
    squares += (size - count) * (mean * mean)
    deviation = math.sqrt(squares / size)
    return mean, deviation, deviation <= FLAT * max(1.0, abs(mean))


@strict
def part_of(rank: Any, score: Any, count: Any, scale: Any, method: Any, k: Any) -> Any:
    """What a list of so many rows adds to the score of one, before it is weighted."""
    mean, deviation, flat = scale
    if method == RRF:
        return 1.0 / (k + rank) if rank > 0 else 0.0
    if count == 0:
        return 0.0
    part = 0.0 if rank > 0 else -1.0
    if not flat:
        part = (_within(score) - mean) / deviation
    if method == DBSF:
        part = min(max((part + 3.0) / 6.0, 0.0), 1.0) if rank > 0 else 0.0
    return part


@strict
def _add(
    ranks: Any,
    scores: Any,
    listed: Any,
    zeros: Any,
    method: Any,
    share: Any,
    k: Any,
    total: Any,
) -> None:
    count, scale = listed.shape[0], scale_of(listed, zeros, method)
    for at in range(total.shape[0]):
        total[at] += share * part_of(ranks[at], scores[at], count, scale, method, k)


def _fuse(
    text_ranks: Any,
    text_scores: Any,
    text_listed: Any,
    text_zeros: Any,
    vector_ranks: Any,
    vector_scores: Any,
    vector_listed: Any,
    vector_zeros: Any,
    method: Any,
    text: Any,
    k: Any,
    total: Any,
) -> None:
    total[:] = 0.0
    _add(vector_ranks, vector_scores, vector_listed, vector_zeros, method, 1.0 - text, k, total)
    _add(text_ranks, text_scores, text_listed, text_zeros, method, text, k, total)


_INT64, _DOUBLES = array_type(types.int64), array_type(types.float64)

merge = entry_point(
    numba.njit(
        types.int64(
            *(_INT64, types.int64, _DOUBLES, _DOUBLES, _INT64),
            *(array_type(types.int64, 2), array_type(types.float64, 2), array_type(types.int64, 2)),
        ),
        **EXACT,
    )(_merge)
)

_LIST = (_INT64, _DOUBLES, _DOUBLES, types.int64)

fuse = entry_point(
    numba.njit(
        types.void(*_LIST, *_LIST, types.int64, types.float64, types.float64, _DOUBLES), **EXACT
    )(_fuse)
)
