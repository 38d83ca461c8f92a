"""How well items are recommended: each held-out item among all items, by its rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.training.item_scores import Factors
from vecsearch.training.sessions import Cases, Floats, Ints

CELLS = 4_000_000  # scores that are held at a time
K = 10
DEEP = 100  # ranks that count where settings are compared: fewer cases are all or nothing


def histories(cases: Cases, half_life: float | None) -> Any:
    """The weights of the items before each case: a csr_array of float64 (cases, items).

    Weights halve every `half_life` places back, and sum to 1.
    """
    from scipy.sparse import csr_array

    sessions = cases.sessions
    first = sessions.starts[cases.units]
    lengths = cases.rows - first
    ends = np.cumsum(lengths)
    within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
    case = np.repeat(np.arange(len(cases)), lengths)
    items = sessions.items[first[case] + within]
    back = lengths[case] - 1 - within
    weights = np.ones(len(back)) if half_life is None else 0.5 ** (back / half_life)
    totals = np.bincount(case, weights, minlength=len(cases))
    cells = (weights / totals[case], (case, items))
    return csr_array(cells, shape=(len(cases), len(sessions.keys)))


@dataclass(frozen=True)
class Scorer:
    """A method as a part of a sum.

    Attributes:
        method: Factors, a sparse matrix of items by items, or one score for each item, whatever the
            history.
        half_life: By how many places back in a history a weight halves; None weights all alike.
        factor: What its scores are multiplied with.
    """

    method: Factors | Floats | Any
    half_life: float | None = None
    factor: float = 1.0

    def scores(self, weights: Any) -> npt.NDArray[np.float32]:
        """The scores of all items for histories: float32 (cases, items)."""
        if isinstance(self.method, np.ndarray):
            scores = np.tile(self.method.astype(np.float32), (weights.shape[0], 1))
        elif isinstance(self.method, Factors):
            queries = np.asarray(weights @ self.method.queries, np.float32)
            scores = queries @ self.method.documents.T.astype(np.float32)
        else:
            scores = (weights @ self.method).toarray().astype(np.float32)
        return np.asarray(scores * np.float32(self.factor))


def ranks(cases: Cases, *scorers: Scorer) -> Ints:
    """The rank of each held-out item among all items that are not in its history, from 0.

    Items of equal score are ranked in the order of their names.

    Args:
        cases: The held-out items.
        scorers: What scores them; several are added.

    Returns:
        int64 (cases,).
    """
    found: Ints = ranks_of_sums(cases, scorers, np.ones((1, len(scorers))))[0]
    return found


def ranks_of_sums(cases: Cases, scorers: Sequence[Scorer], factors: Floats) -> Ints:
    """The ranks by several weighted sums of the same scorers: int64 (sums, cases).

    Args:
        cases: The held-out items.
        scorers: What scores them.
        factors: float64 (sums, scorers): what each one's scores are multiplied with in each sum.
    """
    weights = [histories(cases, scorer.half_life) for scorer in scorers]
    targets = cases.targets
    out = np.empty((len(factors), len(cases)), np.int64)
    step = max(1, CELLS // max(1, len(cases.sessions.keys)))
    for start in range(0, len(cases), step):
        blocks = [each[start : start + step] for each in weights]
        parts = [scorer.scores(block) for scorer, block in zip(scorers, blocks, strict=True)]
        wanted = targets[start : start + step, None]
        # By their places: weights of long histories may be 0.
        rows = np.arange(len(wanted))
        seen = np.repeat(rows, np.diff(blocks[0].indptr))
        before = np.arange(len(cases.sessions.keys)) < wanted
        for number, each in enumerate(factors.astype(np.float32)):
            scores = np.zeros(before.shape, np.float32)
            for factor, part in zip(each, parts, strict=True):
                if factor:
                    scores += factor * part
            scores[seen, blocks[0].indices] = -np.inf
            own = scores[rows, wanted[:, 0]][:, None]
            better = (scores > own) | ((scores == own) & before)
            out[number, start : start + step] = better.sum(axis=1)
    return out


def hits(found: Ints, cases: Cases) -> Floats:
    """The hit-rate@10 of each session that has a case, in the order of the sessions."""
    return _by_session((found < K).astype(np.float64), cases)


def gains(found: Ints, cases: Cases, depth: int = K) -> Floats:
    """The nDCG of each session: one item is relevant, so it is 1 / log2(rank + 2)."""
    gained = np.where(found < depth, 1.0 / np.log2(found + 2.0), 0.0)
    return _by_session(gained, cases)


def _by_session(values: Floats, cases: Cases) -> Floats:
    numbers = np.unique(cases.units, return_inverse=True)[1]
    return np.asarray(np.bincount(numbers, values) / np.bincount(numbers))
