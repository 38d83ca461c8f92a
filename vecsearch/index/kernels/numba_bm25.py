"""Scores of documents by their words, compiled: see `numpy_bm25.py`, with which this agrees.

Words that are in few rows come first. Once the rest cannot lift a row that has none of them among
the k best, the long lists of the rest are not read: the rows found so far are looked up in them
(MaxScore: Turtle and Flood, 1995). This leaves out rows that cannot be hits, and changes no score.

Compiled without fast math, so that both give equal bits.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

from vecsearch.index.kernels.compiled import EXACT, array_type, entry_point
from vecsearch.index.kernels.numba_fusion import fuse as fuse
from vecsearch.index.kernels.numba_fusion import merge as merge
from vecsearch.index.kernels.numba_scores import strict

MUCH_MORE = 3  # times as many rows in the lists to come as in those before, to look at bounds


@strict
def _insert(found: Any, scores: Any, count: Any, row: Any, score: Any) -> Any:
    """Insert a row among the best, equal scores in the order of their rows: how many there are."""
    place = count
    if count == found.shape[0]:
        place = count - 1
        if score < scores[place] or (score == scores[place] and row > found[place]):
            return count
    while place > 0 and (
        scores[place - 1] < score or (scores[place - 1] == score and found[place - 1] > row)
    ):
        found[place], scores[place] = found[place - 1], scores[place - 1]
        place -= 1
    found[place], scores[place] = row, score
    return min(count + 1, found.shape[0])


@strict
def _place_in(rows: Any, start: Any, stop: Any, row: Any) -> Any:
    """Where a row is in a list; -1 if it is not there."""
    low, left = start, stop - start
    while left > 1:  # without a branch that depends on the rows
        half = left >> 1
        low += half * (rows[low + half - 1] < row)
        left -= half
    return low if left == 1 and rows[low] == row else -1


@strict
def _count_in(rows: Any, counts: Any, start: Any, stop: Any, row: Any) -> Any:
    """How often a row has the term of a list; 0 if it is not in the list."""
    place = _place_in(rows, start, stop, row)
    return counts[place] if place >= 0 else 0


@strict
def _threshold(
    lists: Any, until: Any, rows: Any, mask: Any, scores: Any, sums: Any, found: Any, values: Any
) -> Any:
    """The k-th best score so far of a selected row, or -1 if there are fewer."""
    count, size, masked = 0, found.shape[0], mask.shape[0] > 0
    for number in range(until):
        for place in range(lists[number, 0], lists[number, 1]):
            row = rows[place]
            score = scores[row]
            if sums[row] == 0.0 and score > 0.0:
                sums[row] = 1.0
                if masked and not mask[row]:
                    continue
                if count < size or score > values[size - 1]:
                    count = _insert(found, values, count, row, score)
    for number in range(until):
        for place in range(lists[number, 0], lists[number, 1]):
            sums[rows[place]] = 0.0
    return values[size - 1] if count == size else -1.0


@strict
def _sum_of(bounds: Any, until: Any) -> Any:
    """The most that the first groups can add up to."""
    total = 0.0
    for group in range(until):
        total += bounds[group]
    return total


def _best_rows(
    lists: Any,
    weights: Any,
    groups: Any,
    factors: Any,
    bounds: Any,
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
    left = 0
    for number in range(lists.shape[0]):
        left += lists[number, 1] - lists[number, 0]
    done, threshold, last = 0, -1.0, factors.shape[0]
    for group in range(factors.shape[0]):
        first, after, factor = groups[group], groups[group + 1], factors[group]
        if done >= found.shape[0] and left > MUCH_MORE * done:
            rest = 0.0
            for other in range(group, factors.shape[0]):
                rest += bounds[other]
            if rest < _sum_of(bounds, group):
                threshold = _threshold(lists, first, rows, mask, scores, sums, found, found_scores)
                if rest < threshold:
                    last = group
                    break
        if after - first == 1:
            field, weight = lists[first, 2], weights[first]
            for place in range(lists[first, 0], lists[first, 1]):
                row = rows[place]
                if early and not mask[row]:
                    continue
                value = weight * counts[place] * norms[field, row]
                scores[row] += factor * value / (k1 + value)
        else:
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
        for number in range(first, after):
            done += lists[number, 1] - lists[number, 0]
            left -= lists[number, 1] - lists[number, 0]
    count, size, worst, masked = 0, found.shape[0], 0.0, mask.shape[0] > 0
    for number in range(groups[last]):
        for place in range(lists[number, 0], lists[number, 1]):
            row = rows[place]
            score = scores[row]
            if score <= 0:  # not selected, or done
                continue
            scores[row] = 0.0
            if last < factors.shape[0]:
                most = score
                for group in range(last, factors.shape[0]):
                    most += bounds[group]
                if most < threshold or most < worst or (masked and not mask[row]):
                    continue
                for group in range(last, factors.shape[0]):
                    value = 0.0
                    for other in range(groups[group], groups[group + 1]):
                        times = _count_in(rows, counts, lists[other, 0], lists[other, 1], row)
                        if times > 0:
                            value += weights[other] * times * norms[lists[other, 2], row]
                    if value > 0:
                        score += factors[group] * value / (k1 + value)
            if score < worst or (masked and not mask[row]):
                continue
            count = _insert(found, found_scores, count, row, score)
            if count == size:
                worst = found_scores[size - 1]
    return count


def _scores_of(
    lists: Any,
    weights: Any,
    groups: Any,
    factors: Any,
    rows: Any,
    counts: Any,
    norms: Any,
    k1: Any,
    given: Any,
    found: Any,
) -> None:
    for at in range(given.shape[0]):
        row, score = given[at], 0.0
        for group in range(factors.shape[0]):
            value = 0.0
            for number in range(groups[group], groups[group + 1]):
                times = _count_in(rows, counts, lists[number, 0], lists[number, 1], row)
                if times > 0:
                    value += weights[number] * times * norms[lists[number, 2], row]
            if value > 0:
                score += factors[group] * value / (k1 + value)
        found[at] = score


def _best_sums(
    lists: Any,
    weights: Any,
    groups: Any,
    factors: Any,
    rows: Any,
    impacts: Any,
    mask: Any,
    scores: Any,
    found: Any,
    found_scores: Any,
) -> Any:
    for group in range(factors.shape[0]):
        for number in range(groups[group], groups[group + 1]):
            factor = factors[group] * weights[number]
            for place in range(lists[number, 0], lists[number, 1]):
                scores[rows[place]] += factor * np.float64(impacts[place])
    count, size, worst, masked = 0, found.shape[0], 0.0, mask.shape[0] > 0
    for number in range(groups[factors.shape[0]]):
        for place in range(lists[number, 0], lists[number, 1]):
            row = rows[place]
            score = scores[row]
            scores[row] = 0.0
            if score <= 0 or score < worst or (masked and not mask[row]):
                continue
            count = _insert(found, found_scores, count, row, score)
            if count == size:
                worst = found_scores[size - 1]
    return count


def _sums_of(
    lists: Any,
    weights: Any,
    groups: Any,
    factors: Any,
    rows: Any,
    impacts: Any,
    given: Any,
    found: Any,
) -> None:
    for at in range(given.shape[0]):
        row, score = given[at], 0.0
        for group in range(factors.shape[0]):
            for number in range(groups[group], groups[group + 1]):
                place = _place_in(rows, lists[number, 0], lists[number, 1], row)
                if place >= 0:
                    score += factors[group] * weights[number] * np.float64(impacts[place])
        found[at] = score


_INT64, _DOUBLES = array_type(types.int64), array_type(types.float64)

best_rows = entry_point(
    numba.njit(
        types.int64(
            *(array_type(types.int64, 2), _DOUBLES, _INT64, _DOUBLES, _DOUBLES),
            *(array_type(types.uint32, readonly=True), array_type(types.uint16, readonly=True)),
            *(array_type(types.float64, 2), types.float64, array_type(types.boolean), types.int64),
            *(_DOUBLES, _DOUBLES, _INT64, _DOUBLES),
        ),
        **EXACT,
    )(_best_rows)
)

scores_of = entry_point(
    numba.njit(
        types.void(
            *(array_type(types.int64, 2), _DOUBLES, _INT64, _DOUBLES),
            *(array_type(types.uint32, readonly=True), array_type(types.uint16, readonly=True)),
            *(array_type(types.float64, 2), types.float64, _INT64, _DOUBLES),
        ),
        **EXACT,
    )(_scores_of)
)

_IMPACTS = array_type(types.float32, readonly=True)
_POSTINGS = (array_type(types.uint32, readonly=True), _IMPACTS)

best_sums = entry_point(
    numba.njit(
        types.int64(
            *(array_type(types.int64, 2), _DOUBLES, _INT64, _DOUBLES, *_POSTINGS),
            *(array_type(types.boolean), _DOUBLES, _INT64, _DOUBLES),
        ),
        **EXACT,
    )(_best_sums)
)

sums_of = entry_point(
    numba.njit(
        types.void(
            *(array_type(types.int64, 2), _DOUBLES, _INT64, _DOUBLES, *_POSTINGS, _INT64, _DOUBLES),
        ),
        **EXACT,
    )(_sums_of)
)
