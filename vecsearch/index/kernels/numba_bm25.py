"""Scores of documents by their words, compiled: see `numpy_bm25.py`, with which this agrees.

Compiled without fast math, so that both give equal bits.
"""

from __future__ import annotations

from typing import Any

import numba
from numba import types

from vecsearch.index.kernels.compiled import EXACT, array_type, entry_point


def _best_rows(
    lists: Any,
    weights: Any,
    groups: Any,
    idf: Any,
    rows: Any,
    counts: Any,
    norms: Any,
    k1: Any,
    mask: Any,
    early: Any,
    scores: Any,
    sums: Any,
    found: Any,
    found_scores: Any,
) -> Any:
    for group in range(idf.shape[0]):
        first, after, factor = groups[group], groups[group + 1], idf[group]
        if after - first == 1:
            field, weight = lists[first, 2], weights[first]
            for place in range(lists[first, 0], lists[first, 1]):
                row = rows[place]
                if early and not mask[row]:
                    continue
                value = weight * counts[place] * norms[field, row]
                scores[row] += factor * value / (k1 + value)
            continue
        for number in range(first, after):
            field, weight = lists[number, 2], weights[number]
            for place in range(lists[number, 0], lists[number, 1]):
                row = rows[place]
                if early and not mask[row]:
                    continue
                sums[row] += weight * counts[place] * norms[field, row]
        for number in range(first, after):
            for place in range(lists[number, 0], lists[number, 1]):
                row = rows[place]
                value = sums[row]
                if value > 0:
                    scores[row] += factor * value / (k1 + value)
                    sums[row] = 0.0
    count, size, worst, masked = 0, found.shape[0], 0.0, mask.shape[0] > 0
    for number in range(lists.shape[0]):
        for place in range(lists[number, 0], lists[number, 1]):
            row = rows[place]
            score = scores[row]
            if score <= 0:  # not selected, or done
                continue
            scores[row] = 0.0
            if score < worst or (masked and not mask[row]):
                continue
            last = count
            if count == size:
                last = count - 1
                if score == found_scores[last] and row > found[last]:
                    continue
            while last > 0 and (
                found_scores[last - 1] < score
                or (found_scores[last - 1] == score and found[last - 1] > row)
            ):
                found[last], found_scores[last] = found[last - 1], found_scores[last - 1]
                last -= 1
            found[last], found_scores[last] = row, score
            count = min(count + 1, size)
            if count == size:
                worst = found_scores[size - 1]
    return count


_INT64, _DOUBLES = array_type(types.int64), array_type(types.float64)

best_rows = entry_point(
    numba.njit(
        types.int64(
            *(array_type(types.int64, 2), _DOUBLES, _INT64, _DOUBLES),
            *(array_type(types.uint32, readonly=True), array_type(types.uint16, readonly=True)),
            *(array_type(types.float64, 2), types.float64, array_type(types.boolean), types.int64),
            *(_DOUBLES, _DOUBLES, _INT64, _DOUBLES),
        ),
        **EXACT,
    )(_best_rows)
)
