"""Scores of documents by their words, in numpy: the numbers of `numba_bm25.py`, bit by bit.

A group is what a word of a question stands for: one list of postings, or several that count as one
(the columns of a document, the words that begin alike). With `x` the sum over a group's lists of
`weight * count / (1 - b + b * length / mean length)`, a row scores the sum over groups of
`idf * x / (k1 + x)`. That is BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework:
BM25 and Beyond", 2009) for one list, and BM25F for several columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Mask
from vecsearch.index.kernels.numpy_fusion import fuse as fuse
from vecsearch.index.kernels.numpy_fusion import merge as merge

Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

# What a row of `lists` says of a list. Addresses are 0 for none.
ROWS = 0  # address of its rows: uint32, ascending, counted from the first of their segment
VALUES = 1  # address of how often each row has the term (uint16), or of its weight there (float32)
LENGTH = 2  # how many rows it has, above 0
FIELD = 3  # the number of its column
FIRST = 4  # the first row of its segment
SEGMENT = 5  # how many rows the segment has
SKIPS, SHIFT = 6, 7  # address and shift of its skips, see `query/text/skips.py`
SCORES = 8  # address of what each row scores (float64), where no row is in two lists of the group
UPPERS = 9  # of a group's first list: address of the most that each row of all segments scores
#             (uint8, of 255 steps up to the group's bound)
WIDTH = 10


def best_rows(
    lists: Numbers,
    weights: Doubles,
    groups: Numbers,
    factors: Doubles,
    bounds: Doubles,
    norms: Doubles,
    k1: float,
    mask: Mask,
    early: int,
    scores: Doubles,
    sums: Doubles,
    touched: Numbers,
    found: Numbers,
    found_scores: Doubles,
) -> int:
    """The best rows: how many there are, at most as many as `found` has places for.

    Args:
        lists: int64 (lists, WIDTH): what the constants above say. Skips, scores and uppers make
            compiled code faster; they are not needed here.
        weights: Of each list.
        groups: Where each group begins among the lists, and the number of lists.
        factors: What each group counts: its idf, times what the question gives it.
        bounds: The most that each group can add to a score; not needed here.
        norms: float64 (fields, rows): `1 / (1 - b + b * length / mean length)`.
        k1: How soon a count saturates.
        mask: Which rows may be found; empty for all.
        early: Whether to leave out other rows before they are scored; the result is the same.
        scores: Zeros, one for each row; zeros again afterwards.
        sums: The same.
        touched: One more than rows, of any values; not needed here.
        found: Takes the rows, best first, equal scores in the order of rows.
        found_scores: Takes their scores.
    """
    seen = [np.empty(0, np.int64)]
    for group in range(len(factors)):
        parts = []
        for number in range(groups[group], groups[group + 1]):
            part, times = _rows_of(lists[number]), _values_of(lists[number], np.uint16)
            if early:
                kept = mask[part]
                part, times = part[kept], times[kept]
            sums[part] += weights[number] * times * norms[lists[number, FIELD]][part]
            parts.append(part)
        for part in parts:
            values = sums[part]
            scores[part] += factors[group] * values / (k1 + values)
            sums[part] = 0
        seen.extend(parts)
    return _take_best(np.concatenate(seen), scores, mask, found, found_scores)


def scores_of(
    lists: Numbers,
    weights: Doubles,
    groups: Numbers,
    factors: Doubles,
    norms: Doubles,
    k1: float,
    given: Numbers,
    found: Doubles,
) -> None:
    """Write the score of each given row into `found`; the other arguments are as above."""
    found[:] = 0
    for group in range(len(factors)):
        sums = np.zeros(len(given))
        for number in range(groups[group], groups[group + 1]):
            here, times = _values_at(lists[number], np.uint16, given)
            norm = norms[lists[number, FIELD]][given[here]]
            sums[here] += weights[number] * times * norm
        found += factors[group] * sums / (k1 + sums)


def best_sums(
    lists: Numbers,
    weights: Doubles,
    groups: Numbers,
    factors: Doubles,
    mask: Mask,
    scores: Doubles,
    found: Numbers,
    found_scores: Doubles,
) -> int:
    """The best rows by `sum of factor * weight * value`; see `best_rows` for the arguments.

    Args:
        lists: As above, of terms with weights.
        weights: Of each list.
        groups: Where each term begins among the lists.
        factors: The weight of each term in the question.
        mask: As above.
        scores: Zeros, one for each row; zeros again afterwards.
        found: As above.
        found_scores: As above.
    """
    seen = [np.empty(0, np.int64)]
    for group in range(len(factors)):
        for number in range(groups[group], groups[group + 1]):
            part = _rows_of(lists[number])
            own = _values_of(lists[number], np.float32).astype(float)
            scores[part] += factors[group] * weights[number] * own
            seen.append(part)
    return _take_best(np.concatenate(seen), scores, mask, found, found_scores)


def sums_of(
    lists: Numbers,
    weights: Doubles,
    groups: Numbers,
    factors: Doubles,
    given: Numbers,
    found: Doubles,
) -> None:
    """Write the score of each given row by `best_sums` into `found`."""
    found[:] = 0
    for group in range(len(factors)):
        for number in range(groups[group], groups[group + 1]):
            here, own = _values_at(lists[number], np.float32, given)
            found[here] += factors[group] * weights[number] * own.astype(float)


class _Memory:
    """Numbers at an address, which numpy reads in place."""

    def __init__(self, address: int, count: int, kind: Any) -> None:
        self.__array_interface__ = {
            "version": 3,
            "data": (address, True),
            "shape": (count,),
            "typestr": np.dtype(kind).str,
        }


def _values_of(place: Numbers, kind: Any) -> npt.NDArray[Any]:
    """The values of a list."""
    return np.asarray(_Memory(int(place[VALUES]), int(place[LENGTH]), kind))


def _rows_of(place: Numbers) -> Numbers:
    """The rows of a list, counted from the first of all."""
    rows = np.asarray(_Memory(int(place[ROWS]), int(place[LENGTH]), np.uint32))
    listed: Numbers = np.add(rows, place[FIRST], dtype=np.int64)
    return listed


def _values_at(place: Numbers, kind: Any, given: Numbers) -> tuple[Numbers, npt.NDArray[Any]]:
    """Which of the given rows are in a list, and their values."""
    rows = np.asarray(_Memory(int(place[ROWS]), int(place[LENGTH]), np.uint32))
    inside = np.flatnonzero((given >= place[FIRST]) & (given < place[FIRST] + place[SEGMENT]))
    wanted = (given[inside] - place[FIRST]).astype(np.uint32)  # so that the list is not copied
    at = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    here = np.flatnonzero(rows[at] == wanted)
    return inside[here], _values_of(place, kind)[at[here]]


def _take_best(
    seen: Numbers, scores: Doubles, mask: Mask, found: Numbers, found_scores: Doubles
) -> int:
    """Write the best of the rows that have scores, and make these zeros; how many there are."""
    listed = np.unique(seen)
    values = scores[listed]
    scores[listed] = 0
    kept = values > 0
    if len(mask):
        kept &= mask[listed]
    listed, values = listed[kept], values[kept]
    best = np.lexsort((listed, -values))[: len(found)]
    found[: len(best)], found_scores[: len(best)] = listed[best], values[best]
    return len(best)
