"""How well items are recommended: each held-out item among all items, by its rank."""

from __future__ import annotations

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
    """
    weights = [histories(cases, scorer.half_life) for scorer in scorers]
    targets = cases.targets
    out = np.empty(len(cases), np.int64)
    step = max(1, CELLS // max(1, weights[0].shape[1]))
    for start in range(0, len(cases), step):
        blocks = [each[start : start + step] for each in weights]
        scores = sum(scorer.scores(block) for scorer, block in zip(scorers, blocks, strict=True))
        assert isinstance(scores, np.ndarray)  # there is a scorer
        scores[blocks[0].nonzero()] = -np.inf
        wanted = targets[start : start + step]
        # By their places: weights of long histories may be 0.
        seen = np.repeat(np.arange(len(scores)), np.diff(blocks[0].indptr))
        scores[seen, blocks[0].indices] = -np.inf
        own = scores[np.arange(len(wanted)), wanted][:, None]
        better = (scores > own).sum(axis=1)
        before = np.arange(scores.shape[1])[None, :] < wanted[:, None]
        out[start : start + step] = better + ((scores == own) & before).sum(axis=1)
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
