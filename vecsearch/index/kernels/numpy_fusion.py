"""Two lists of rows become one: which rows there are, and what a list adds to their scores."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
WEIGHTED, RRF, DBSF = 0, 1, 2  # methods
LARGEST = 1e30  # a score that is larger, or infinite, counts as this
FLAT = 1e-9  # times the mean: a deviation up to which all scores are equal


def merge(
    keys: Numbers,
    shift: int,
    text_scores: Doubles,
    vector_scores: Doubles,
    rows: Numbers,
    ranks: Numbers,
    scores: Doubles,
    missing: Numbers,
) -> int:
    """Merge a list of rows by words and one by vectors; how many rows there are.

    Args:
        keys: `row << shift | place` of each row of both lists, ascending. Places are numbered
            through the first list and then the second.
        shift: How many bits a place has.
        text_scores: The scores in the list by words, best first.
        vector_scores: The scores in the list by vectors, best first.
        rows: Gets each row once, ascending; with room for both lists, as all that follow.
        ranks: int64 (2, room). Gets the rank of each row in both lists, from 1; 0 for none.
        scores: float64 (2, room). Gets their scores there; 0 for none.
        missing: int64 (2, room). Gets the places in `rows` of those that each list lacks.
    """
    found, at = np.unique(keys >> shift, return_inverse=True)
    tags, count, first = keys & ((1 << shift) - 1), len(found), len(text_scores)
    rows[:count] = found
    ranks[:, :count], scores[:, :count] = 0, 0.0
    for which, own, listed, start in (
        (0, tags < first, text_scores, 0),
        (1, tags >= first, vector_scores, first),
    ):
        places = tags[own] - start
        ranks[which, at[own]], scores[which, at[own]] = places + 1, listed[places]
        lacking = np.flatnonzero(ranks[which, :count] == 0)
        missing[which, : len(lacking)] = lacking
    return count


def fuse(
    text_ranks: Numbers,
    text_scores: Doubles,
    text_listed: Doubles,
    text_zeros: int,
    vector_ranks: Numbers,
    vector_scores: Doubles,
    vector_listed: Doubles,
    vector_zeros: int,
    method: int,
    text: float,
    k: float,
    total: Doubles,
) -> None:
    """The scores of rows by what two lists say of them.

    Args:
        text_ranks: Of each row in the list by words, from 1; 0 for none.
        text_scores: Of each row there.
        text_listed: The scores by which all are standardized.
        text_zeros: How many of 0 are added to these, by WEIGHTED.
        vector_ranks: The same of the list by vectors.
        vector_scores: Of each row there.
        vector_listed: The scores by which all are standardized.
        vector_zeros: How many of 0 are added to these, by WEIGHTED.
        method: WEIGHTED, RRF or DBSF.
        text: The share of the words; the rest is that of the vectors.
        k: Of RRF.
        total: Gets the scores.
    """
    total[:] = 0
    for ranks, scores, listed, zeros, share in (
        (vector_ranks, vector_scores, vector_listed, vector_zeros, 1.0 - text),
        (text_ranks, text_scores, text_listed, text_zeros, text),
    ):
        if method == RRF:
            total += np.where(ranks > 0, share * (1.0 / (k + np.maximum(ranks, 1))), 0.0)
        elif len(listed):
            size = len(listed) + (zeros if method == WEIGHTED else 0)
            total += share * _standard(ranks, scores, listed, size, method)


def _standard(ranks: Numbers, scores: Doubles, listed: Doubles, size: int, method: int) -> Doubles:
    """Standardized scores, by a list that is filled up to a size with scores of 0."""
    listed = np.clip(listed, -LARGEST, LARGEST)
    mean = float(_sum(listed)) / size
    squares = float(_sum(np.square(listed - mean))) + (size - len(listed)) * (mean * mean)
    deviation = math.sqrt(squares / size)
    part = np.where(ranks > 0, 0.0, -1.0)
    if deviation > FLAT * max(1.0, abs(mean)):
        part = (np.clip(scores, -LARGEST, LARGEST) - mean) / deviation
    if method == DBSF:
        part = np.where(ranks > 0, np.clip((part + 3) / 6, 0.0, 1.0), 0.0)
    return part


def _sum(values: Doubles) -> float:
    """The sum of values one after the other, as compiled code adds them."""
    return float(np.cumsum(values)[-1])
