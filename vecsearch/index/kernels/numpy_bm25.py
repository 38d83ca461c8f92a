"""Scores of documents by their words, in numpy: the numbers of `numba_bm25.py`, bit by bit.

A group is what a word of a question stands for: one list of postings, or several that count as one
(the columns of a document, the words that begin alike). With `x` the sum over a group's lists of
`weight * count / (1 - b + b * length / mean length)`, a row scores the sum over groups of
`idf * x / (k1 + x)`. That is BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework:
BM25 and Beyond", 2009) for one list, and BM25F for several columns.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Mask
from vecsearch.index.kernels.numpy_fusion import fuse as fuse
from vecsearch.index.kernels.numpy_fusion import merge as merge

Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


def best_rows(
    lists: Numbers,
    weights: Doubles,
    groups: Numbers,
    factors: Doubles,
    bounds: Doubles,
    rows: npt.NDArray[np.uint32],
    counts: npt.NDArray[np.uint16],
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
    """The best rows of a segment: how many there are, at most as many as `found` has places for.

    Args:
        lists: int64 (lists, 7): where a list begins in `rows`, where it ends, and its field; then
            what only compiled code uses: the address and the shift of its skips (see
            `query/text/skips.py`), and if the list is a group by itself, the address of what each
            of its rows scores (float64) and of the most that each row of the segment scores
            (uint8, of 255 steps up to the bound). Addresses are 0 for none.
        weights: Of each list.
        groups: Where each group begins among the lists, and the number of lists.
        factors: What each group counts: its idf, times what the question gives it.
        bounds: The most that each group can add to a score; not needed here.
        rows: The rows of all lists, ascending in each.
        counts: How often a row has the term.
        norms: float64 (fields, rows): `1 / (1 - b + b * length / mean length)`.
        k1: How soon a count saturates.
        mask: Which rows may be found; empty for all.
        early: Whether to leave out other rows before they are scored; the result is the same.
        scores: Zeros, one for each row of the segment; zeros again afterwards.
        sums: The same.
        touched: One more than rows of the segment, of any values; not needed here.
        found: Takes the rows, best first, equal scores in the order of rows.
        found_scores: Takes their scores.
    """
    seen = [np.empty(0, np.int64)]
    for group in range(len(factors)):
        parts = []
        for number in range(groups[group], groups[group + 1]):
            start, stop, field = lists[number, :3].tolist()
            part, times = rows[start:stop], counts[start:stop]
            if early:
                kept = mask[part]
                part, times = part[kept], times[kept]
            sums[part] += weights[number] * times * norms[field][part]
            parts.append(part)
        for part in parts:
            values = sums[part]
            scores[part] += factors[group] * values / (k1 + values)
            sums[part] = 0
        seen.extend(np.asarray(part, np.int64) for part in parts)
    return _take_best(np.concatenate(seen), scores, mask, found, found_scores)


def scores_of(
    lists: Numbers,
    weights: Doubles,
    groups: Numbers,
    factors: Doubles,
    rows: npt.NDArray[np.uint32],
    counts: npt.NDArray[np.uint16],
    norms: Doubles,
    k1: float,
    given: Numbers,
    found: Doubles,
) -> None:
    """Write the score of each given row into `found`; the other arguments are as above."""
    found[:] = 0
    wanted = given.astype(rows.dtype)  # so that the lists are not copied
    for group in range(len(factors)):
        sums = np.zeros(len(given))
        for number in range(groups[group], groups[group + 1]):
            start, stop, field = lists[number, :3].tolist()
            part = rows[start:stop]
            at = np.minimum(np.searchsorted(part, wanted), len(part) - 1)
            here = np.flatnonzero(part[at] == wanted)
            times = counts[start:stop][at[here]]
            sums[here] += weights[number] * times * norms[field][given[here]]
        found += factors[group] * sums / (k1 + sums)


def best_sums(
    lists: Numbers,
    weights: Doubles,
    groups: Numbers,
    factors: Doubles,
    rows: npt.NDArray[np.uint32],
    impacts: npt.NDArray[np.float32],
    mask: Mask,
    scores: Doubles,
    found: Numbers,
    found_scores: Doubles,
) -> int:
    """The best rows by `sum of factor * weight * impact`; see `best_rows` for the arguments.

    Args:
        lists: As above, of terms with weights.
        weights: Of each list.
        groups: Where each term begins among the lists.
        factors: The weight of each term in the question.
        rows: As above.
        impacts: The weight of the term in each row, above 0.
        mask: As above.
        scores: Zeros, one for each row of the segment; zeros again afterwards.
        found: As above.
        found_scores: As above.
    """
    seen = [np.empty(0, np.int64)]
    for group in range(len(factors)):
        for number in range(groups[group], groups[group + 1]):
            start, stop = lists[number, :2].tolist()
            part = rows[start:stop]
            scores[part] += factors[group] * weights[number] * impacts[start:stop].astype(float)
            seen.append(np.asarray(part, np.int64))
    return _take_best(np.concatenate(seen), scores, mask, found, found_scores)


def sums_of(
    lists: Numbers,
    weights: Doubles,
    groups: Numbers,
    factors: Doubles,
    rows: npt.NDArray[np.uint32],
    impacts: npt.NDArray[np.float32],
    given: Numbers,
    found: Doubles,
) -> None:
    """Write the score of each given row by `best_sums` into `found`."""
    found[:] = 0
    wanted = given.astype(rows.dtype)
    for group in range(len(factors)):
        for number in range(groups[group], groups[group + 1]):
            start, stop = lists[number, :2].tolist()
            part = rows[start:stop]
            at = np.minimum(np.searchsorted(part, wanted), len(part) - 1)
            here = np.flatnonzero(part[at] == wanted)
            own = impacts[start:stop][at[here]].astype(float)
            found[here] += factors[group] * weights[number] * own


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
