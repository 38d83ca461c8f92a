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
from vecsearch.index.kernels.intrinsics import (
    load_byte,
    load_float32,
    load_float64,
    load_uint16,
    load_uint32,
    prefetch,
    sum_of_products,
)
from vecsearch.index.kernels.numba_fusion import fuse as fuse
from vecsearch.index.kernels.numba_fusion import merge as merge
from vecsearch.index.kernels.numba_fusion import part_of, scale_of
from vecsearch.index.kernels.numba_scores import address_of, keep_best, score_between, strict
from vecsearch.index.kernels.numpy_bm25 import (
    FIELD,
    FIRST,
    LENGTH,
    ROWS,
    SCORES,
    SEGMENT,
    SHIFT,
    SKIPS,
    UPPERS,
    VALUES,
)

HASH = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio: Fibonacci hashing
AHEAD = 6  # vectors that are fetched before they are scored
STEP = (1 + 1e-9) / 255  # of a group's bound, of which each row has a byte of steps at most
WORTH_LEAVING = 0.5  # postings to come, for each row found, that are worth a look at the bounds


@strict
def _place_in(lists: Any, number: Any, given: Any) -> Any:
    """Where a row is in a list; -1 if it is not there."""
    row = given - lists[number, FIRST]
    if row < 0 or row >= lists[number, SEGMENT]:
        return -1
    rows, skips, low, left = lists[number, ROWS], lists[number, SKIPS], 0, lists[number, LENGTH]
    if skips != 0:
        block = row >> lists[number, SHIFT]
        low = load_uint32(skips, block)
        left = load_uint32(skips, block + 1) - low
    while left > 1:  # without a branch that depends on the rows
        half = left >> 1
        low += half * (load_uint32(rows, low + half - 1) < row)
        left -= half
    return low if left == 1 and load_uint32(rows, low) == row else -1


@strict
def _are_apart(lists: Any, first: Any, after: Any) -> Any:
    """Whether some lists are of different segments, so that no row is in two of them."""
    for number in range(first + 1, after):
        if lists[number, FIRST] == lists[number - 1, FIRST]:
            return False
    return True


@strict
def _threshold(touched: Any, until: Any, scores: Any, mask: Any, heap: Any) -> Any:
    """The k-th best score so far of a selected row, or -1 if there are fewer."""
    count, size, masked, worst = 0, heap.shape[0], mask.shape[0] > 0, 0.0
    for number in range(until):
        row = touched[number]
        score = scores[row]
        if score <= worst or (masked and not mask[row]):
            continue
        if count < size:  # the smallest of the best is heap[0]
            place = count
            count += 1
            while place > 0 and heap[(place - 1) >> 1] > score:
                heap[place] = heap[(place - 1) >> 1]
                place = (place - 1) >> 1
        else:
            place = 0
            while 2 * place + 1 < size:
                below = 2 * place + 1
                if below + 1 < size and heap[below + 1] < heap[below]:
                    below += 1
                if heap[below] >= score:
                    break
                heap[place] = heap[below]
                place = below
        heap[place] = score
        if count == size:
            worst = heap[0]
    return worst if count == size else -1.0


@strict
def _sum_of(bounds: Any, first: Any, until: Any) -> Any:
    """The most that some groups can add up to."""
    total = 0.0
    for group in range(first, until):
        total += bounds[group]
    return total


def _best_rows(
    lists: Any,
    weights: Any,
    groups: Any,
    factors: Any,
    bounds: Any,
    norms: Any,
    k1: Any,
    mask: Any,
    early: Any,
    scores: Any,
    sums: Any,
    touched: Any,
    found: Any,
    found_scores: Any,
) -> Any:
    left = 0
    for number in range(lists.shape[0]):
        left += lists[number, LENGTH]
    size, masked, many = found.shape[0], mask.shape[0] > 0, factors.shape[0]
    seen, threshold, last = 0, -1.0, many  # `seen` rows are `touched`: they have a score
    for group in range(many):
        first, after, factor = groups[group], groups[group + 1], factors[group]
        if seen >= size and left > WORTH_LEAVING * seen:
            rest = _sum_of(bounds, group, many)
            if rest < _sum_of(bounds, 0, group):
                threshold = _threshold(touched, seen, scores, mask, found_scores)
                if rest < threshold:
                    last = group
                    break
        apart = _are_apart(lists, first, after)
        for number in range(first, after):
            rows, values, start = (
                lists[number, ROWS],
                lists[number, VALUES],
                lists[number, FIRST],
            )
            own, field, weight = lists[number, SCORES], lists[number, FIELD], weights[number]
            if own != 0:
                for place in range(lists[number, LENGTH]):
                    row = start + load_uint32(rows, place)
                    if early and not mask[row]:
                        continue
                    before = scores[row]
                    scores[row] = before + load_float64(own, place)
                    touched[seen] = row
                    seen += before == 0.0 and scores[row] > 0.0
            elif apart:
                for place in range(lists[number, LENGTH]):
                    row = start + load_uint32(rows, place)
                    if early and not mask[row]:
                        continue
                    value = weight * load_uint16(values, place) * norms[field, row]
                    before = scores[row]
                    score = before + factor * value / (k1 + value)
                    scores[row] = score
                    touched[seen] = row
                    seen += before == 0.0 and score > 0.0
            else:
                for place in range(lists[number, LENGTH]):
                    row = start + load_uint32(rows, place)
                    if early and not mask[row]:
                        continue
                    sums[row] += weight * load_uint16(values, place) * norms[field, row]
        if not apart:
            for number in range(first, after):
                rows, start = lists[number, ROWS], lists[number, FIRST]
                for place in range(lists[number, LENGTH]):
                    row = start + load_uint32(rows, place)
                    value = sums[row]
                    if value > 0:
                        before = scores[row]
                        score = before + factor * value / (k1 + value)
                        scores[row] = score
                        touched[seen] = row
                        seen += before == 0.0 and score > 0.0
                        sums[row] = 0.0
        for number in range(first, after):
            left -= lists[number, LENGTH]
    if last == many:
        threshold = -1.0
        if seen > size:
            threshold = _threshold(touched, seen, scores, mask, found_scores)
    # Rows that are among the best already come first: so the bound for the others is high.
    count, worst = 0, max(threshold, 0.0)
    for turn in range(2):
        for at in range(seen):
            row = touched[at]
            score = scores[row]
            if turn == 0 and score < threshold:
                continue
            scores[row] = 0.0
            if score == 0.0 or (masked and not mask[row]):
                continue
            most = score
            for group in range(last, many):
                uppers = lists[groups[group], UPPERS] if groups[group] < groups[group + 1] else 0
                if uppers != 0:
                    most += load_byte(uppers, row) * (bounds[group] * STEP)
                else:
                    most += bounds[group]
            if most < worst:
                continue
            for group in range(last, many):
                most = score
                for other in range(group, many):
                    most += bounds[other]
                if most < worst:
                    score = -1.0
                    break
                score += _part_of(lists, weights, groups, factors, norms, k1, group, row)
            if score < worst:
                continue
            count = keep_best(found, found_scores, count, row, score)
            if count == size:
                worst = max(worst, found_scores[size - 1])
    return count


@strict
def _part_of(
    lists: Any,
    weights: Any,
    groups: Any,
    factors: Any,
    norms: Any,
    k1: Any,
    group: Any,
    row: Any,
) -> Any:
    """What a group adds to the score of a row."""
    value = 0.0
    for number in range(groups[group], groups[group + 1]):
        place = _place_in(lists, number, row)
        if place >= 0:
            own = lists[number, SCORES]
            if own != 0:
                return load_float64(own, place)
            times = load_uint16(lists[number, VALUES], place)
            value += weights[number] * times * norms[lists[number, FIELD], row]
    return factors[group] * value / (k1 + value) if value > 0 else 0.0


def _scores_of(
    lists: Any,
    weights: Any,
    groups: Any,
    factors: Any,
    norms: Any,
    k1: Any,
    given: Any,
    found: Any,
) -> None:
    for at in range(given.shape[0]):
        score = 0.0
        for group in range(factors.shape[0]):
            score += _part_of(lists, weights, groups, factors, norms, k1, group, given[at])
        found[at] = score


def _best_sums(
    lists: Any,
    weights: Any,
    groups: Any,
    factors: Any,
    mask: Any,
    scores: Any,
    found: Any,
    found_scores: Any,
) -> Any:
    for group in range(factors.shape[0]):
        for number in range(groups[group], groups[group + 1]):
            rows, impacts, start = (
                lists[number, ROWS],
                lists[number, VALUES],
                lists[number, FIRST],
            )
            factor = factors[group] * weights[number]
            for place in range(lists[number, LENGTH]):
                row = start + load_uint32(rows, place)
                scores[row] += factor * load_float32(impacts, place)
    count, size, worst, masked = 0, found.shape[0], 0.0, mask.shape[0] > 0
    for number in range(groups[factors.shape[0]]):
        rows, start = lists[number, ROWS], lists[number, FIRST]
        for place in range(lists[number, LENGTH]):
            row = start + load_uint32(rows, place)
            score = scores[row]
            scores[row] = 0.0
            if score <= 0 or score < worst or (masked and not mask[row]):
                continue
            count = keep_best(found, found_scores, count, row, score)
            if count == size:
                worst = found_scores[size - 1]
    return count


def _sums_of(lists: Any, weights: Any, groups: Any, factors: Any, given: Any, found: Any) -> None:
    for at in range(given.shape[0]):
        row, score = given[at], 0.0
        for group in range(factors.shape[0]):
            for number in range(groups[group], groups[group + 1]):
                place = _place_in(lists, number, row)
                if place >= 0:
                    impact = load_float32(lists[number, VALUES], place)
                    score += factors[group] * weights[number] * impact
        found[at] = score


_scored = strict(_scores_of)


@strict
def _slot_of(table: Any, shift: Any, row: Any, candidates: Any) -> Any:
    """Where the place of a row is in a hash table, or goes: an entry is 1 more than a place."""
    slot = np.int64((np.uint64(row) * HASH) >> np.uint64(shift))
    while table[slot] > 0 and candidates[table[slot] - 1] != row:
        slot = (slot + 1) & (table.shape[0] - 1)
    return slot


def _fuse_rows(
    text_rows: Any,
    text_scores: Any,
    vector_rows: Any,
    vector_floats: Any,
    text_zeros: Any,
    lists: Any,
    weights: Any,
    groups: Any,
    factors: Any,
    norms: Any,
    k1: Any,
    query: Any,
    starts: Any,
    addresses: Any,
    metric: Any,
    method: Any,
    share: Any,
    k: Any,
    depth: Any,
    wanted: Any,
    numbers: Any,
    scores: Any,
) -> Any:
    """Merge two lists of rows, score those that one of them lacks, fuse, and order: how many.

    A row that the list by words lacks scores there no more than the last row of that list. Where
    not all rows are wanted in order, it is looked up only if that could make it one of the best.

    Args beside those of `scores_of`, `score_lists` and `fuse`:
        text_rows: The rows of the list by words, int64.
        vector_rows: The rows of the list by vectors, int64.
        vector_floats: Their scores, float32.
        depth: How many of each list say how its scores are standardized.
        wanted: How many of the best are put in order, if there are more rows; else none is.
        numbers: int64 (7, room), for rows, those of the list by words first; their ranks by words
            and by vectors, 0 for none; the places of the best; the best; what is looked up.
        scores: float64 (7, room), for the scores by words, by vectors and of both, what vectors
            add, the best scores, those looked up, and those of the list by vectors. Of a row that
            is not among the best, the first and the third may be too high.
    """
    candidates, text_ranks, vector_ranks, order = numbers[0], numbers[1], numbers[2], numbers[3]
    asked, places = numbers[5], numbers[6]
    by_text, by_vector, total, added = scores[0], scores[1], scores[2], scores[3]
    listed, count, found, vector_scores = (
        text_rows.shape[0],
        text_rows.shape[0],
        scores[5],
        scores[6],
    )
    bits = 1
    while (1 << bits) < 2 * candidates.shape[0]:
        bits += 1
    table, shift = np.zeros(1 << bits, np.int64), 64 - bits
    for at in range(listed):
        candidates[at], text_ranks[at], vector_ranks[at] = text_rows[at], at + 1, 0
        by_text[at] = text_scores[at]
        table[_slot_of(table, shift, text_rows[at], candidates)] = at + 1
    for at in range(vector_rows.shape[0]):
        vector_scores[at] = vector_floats[at]
        slot = _slot_of(table, shift, vector_rows[at], candidates)
        place = table[slot] - 1
        if place < 0:
            place = count
            candidates[place], text_ranks[place], table[slot] = vector_rows[at], 0, place + 1
            count += 1
        vector_ranks[place], by_vector[place] = at + 1, vector_scores[at]
    lacking = 0
    for at in range(listed):
        if vector_ranks[at] == 0:
            places[lacking] = at
            lacking += 1
    dim, target = query.shape[0], query.ctypes.data
    square = sum_of_products(target, target, dim)
    for at in range(lacking):
        if at + AHEAD < lacking:
            later = candidates[places[at + AHEAD]]
            prefetch(address_of(later, starts, addresses, dim), 4 * dim)
        vector = address_of(candidates[places[at]], starts, addresses, dim)
        by_vector[places[at]] = score_between(vector, target, dim, metric, square)
    text_count, vector_count = min(listed, depth), min(vector_rows.shape[0], depth)
    text_scale = scale_of(text_scores[:text_count], text_zeros, method)
    vector_scale = scale_of(vector_scores[:vector_count], 0, method)
    for at in range(count):
        part = part_of(vector_ranks[at], by_vector[at], vector_count, vector_scale, method, k)
        added[at] = (1.0 - share) * part
    size = min(wanted, count)
    kept, least, rows_kept, best = 0, -np.inf, numbers[4, :size], scores[4, :size]
    for at in range(listed):
        part = part_of(at + 1, by_text[at], text_count, text_scale, method, k)
        total[at] = added[at] + share * part
        if size < count:
            kept = keep_best(rows_kept, best, kept, candidates[at], total[at])
    if 0 < kept == size:
        least = best[size - 1]
    highest = text_scores[listed - 1] if listed >= depth else 0.0
    most, looked = share * part_of(0, highest, text_count, text_scale, method, k), 0
    for at in range(listed, count):
        by_text[at], total[at] = highest, added[at] + most
        if not total[at] < least:
            places[looked], asked[looked] = at, candidates[at]
            looked += 1
    _scored(lists, weights, groups, factors, norms, k1, asked[:looked], found[:looked])
    for number in range(looked):
        at = places[number]
        by_text[at] = found[number]
        part = part_of(0, by_text[at], text_count, text_scale, method, k)
        total[at] = added[at] + share * part
        if size < count:
            kept = keep_best(rows_kept, best, kept, candidates[at], total[at])
    if size < count:
        for at in range(size):
            order[at] = table[_slot_of(table, shift, rows_kept[at], candidates)] - 1
    return count


_INT64, _DOUBLES = array_type(types.int64), array_type(types.float64)

best_rows = entry_point(
    numba.njit(
        types.int64(
            *(array_type(types.int64, 2), _DOUBLES, _INT64, _DOUBLES, _DOUBLES),
            *(array_type(types.float64, 2), types.float64, array_type(types.boolean), types.int64),
            *(_DOUBLES, _DOUBLES, _INT64, _INT64, _DOUBLES),
        ),
        **EXACT,
    )(_best_rows)
)

scores_of = entry_point(
    numba.njit(
        types.void(
            *(array_type(types.int64, 2), _DOUBLES, _INT64, _DOUBLES),
            *(array_type(types.float64, 2), types.float64, _INT64, _DOUBLES),
        ),
        **EXACT,
    )(_scores_of)
)

fuse_rows = entry_point(
    numba.njit(
        types.int64(
            *(_INT64, _DOUBLES, _INT64, array_type(types.float32), types.int64),
            *(array_type(types.int64, 2), _DOUBLES, _INT64, _DOUBLES),
            *(array_type(types.float64, 2), types.float64),
            *(array_type(types.float32), _INT64, _INT64, types.int64),
            *(types.int64, types.float64, types.float64, types.int64, types.int64),
            *(array_type(types.int64, 2), array_type(types.float64, 2)),
        ),
        **EXACT,
    )(_fuse_rows)
)

best_sums = entry_point(
    numba.njit(
        types.int64(
            *(array_type(types.int64, 2), _DOUBLES, _INT64, _DOUBLES),
            *(array_type(types.boolean), _DOUBLES, _INT64, _DOUBLES),
        ),
        **EXACT,
    )(_best_sums)
)

sums_of = entry_point(
    numba.njit(
        types.void(array_type(types.int64, 2), _DOUBLES, _INT64, _DOUBLES, _INT64, _DOUBLES),
        **EXACT,
    )(_sums_of)
)
