"""Recommendations: rows ranked by examples of what is wanted and of what is not.

The formulas are Qdrant's:

- average: the metric's score of a row with `avg(positive) + avg(positive) - avg(negative)`.
- sum_scores: the sum of its scores with the positives less that of its scores with the negatives.
- best_score: its best score with a positive; if a negative is as near or nearer, less than nothing:
  minus the square of that score.
- context: over pairs of a positive and a negative, the sum of min(score with the positive - score
  with the negative, 0).
- discovery: over the same pairs, how many more positives than negatives are nearer, plus a part
  between 0 and 1 that grows with the score of a target.

Examples have weights, with which their scores are multiplied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.common.deadline import check_time
from vecsearch.common.lazy import lazy
from vecsearch.errors import InvalidInputError
from vecsearch.query.examples import Examples, cosine_direction
from vecsearch.query.paths import Found
from vecsearch.query.plan import exact_plan
from vecsearch.query.ranking import (
    FEW_EXCLUDED,
    Ranking,
    ScoredRanking,
    at_least,
    first_of,
)
from vecsearch.query.request import Request
from vecsearch.query.searcher import OVERFETCH
from vecsearch.types import Metric

STRATEGIES = ("average", "best_score", "sum_scores")
BLOCK = 8192  # rows whose scores with all examples are computed together
SHALLOW = 100  # candidates for each example, up to which indexes are measured

Matrix: TypeAlias = "npt.NDArray[np.float64]"
Formula = Callable[[Matrix], Matrix]  # scores (examples, rows) -> a score for each row


def recommendation(
    strategy: str, positive: Examples, negative: Examples, request: Request
) -> Ranking:
    """The ranking of a strategy. Raises InvalidInputError if it cannot serve the examples."""
    metric = request.searcher.metric
    if strategy == "average":
        if not len(positive):
            raise InvalidInputError(
                "the strategy average needs a positive example",
                hint='strategy="best_score" and "sum_scores" can do with negative ones',
                command_hint="--strategy best_score and sum_scores can do with negative ones",
            )
        mean = positive.mean
        target = mean + mean - negative.mean if len(negative) else mean
        return request.by_vector(_query(cosine_direction(target, metric), metric))
    if strategy == "sum_scores":
        if metric is not Metric.L2:  # a sum of inner products is one with the sum
            total = positive.sum - negative.sum
            query = _query(cosine_direction(total, metric), metric)
            length = float(np.linalg.norm(total)) if metric is Metric.COSINE else 1.0
            return ScaledRanking(request.by_vector(query), length)
        return FormulaRanking(_sum_scores(positive, negative), *_both(positive, negative), request)
    if metric is Metric.L2 and (len(negative) or (positive.weights != 1.0).any()):
        raise InvalidInputError(
            "the strategy best_score squares and weights similarities, and l2 scores are negative "
            "distances",
            hint='take strategy="average" or "sum_scores"',
            command_hint="take --strategy average or sum_scores",
        )
    formula = _best_score(positive.weights, negative.weights)
    return BestScoreRanking(formula, positive, negative, request)


def discovery(
    target: Examples, positive: Examples, negative: Examples, request: Request
) -> Ranking:
    """The ranking by pairs of examples, `positive[i]` and `negative[i]`; `target` has 1 or none."""
    vectors = np.concatenate([target.vectors, positive.vectors, negative.vectors])
    targets, pairs = len(target), len(positive)

    def formula(scores: Matrix) -> Matrix:
        nearer = scores[targets : targets + pairs] - scores[targets + pairs :]
        if not targets:
            return np.asarray(np.minimum(nearer, 0.0).sum(axis=0))
        similar = scores[0] / (1.0 + np.abs(scores[0]))
        return np.asarray(np.sign(nearer).sum(axis=0) + (1.0 + similar) / 2.0)

    return FormulaRanking(formula, vectors, request)


def _query(total: Matrix, metric: Metric) -> Vectors:
    """A vector that is searched for, as the encoder would give it."""
    if metric is Metric.COSINE:
        total = total / np.linalg.norm(total)
    return total.astype(np.float32)


def _both(positive: Examples, negative: Examples) -> tuple[Vectors]:
    return (np.concatenate([positive.vectors, negative.vectors]),)


def _sum_scores(positive: Examples, negative: Examples) -> Formula:
    weights = np.concatenate([positive.weights, -negative.weights])
    return lambda scores: np.asarray(weights @ scores)


def _best_score(positive: Matrix, negative: Matrix) -> Formula:
    def formula(scores: Matrix) -> Matrix:
        weighted = np.concatenate([positive, negative])[:, None] * scores
        wanted, unwanted = weighted[: len(positive)], weighted[len(positive) :]
        best = np.max(wanted, axis=0, initial=-np.inf)
        worst = np.max(unwanted, axis=0, initial=-np.inf)
        if not len(negative):
            return np.asarray(best)
        return np.asarray(np.where(best > worst, best, -np.square(worst)))

    return formula


class ScaledRanking:
    """A ranking whose scores are multiplied by a number above 0."""

    documents = False

    def __init__(self, ranking: Ranking, factor: float) -> None:
        self._ranking = ranking
        self._factor = factor

    @property
    def total(self) -> int:
        return self._ranking.total

    def fetch(self, width: int) -> Found:
        return self._scaled(self._ranking.fetch(width))

    def among(self, rows: Positions) -> ScaledRanking:
        return ScaledRanking(self._ranking.among(rows), self._factor)

    def matches(self, min_score: float) -> Found:
        slightly_less = min_score / self._factor - 1e-6 * abs(min_score / self._factor) - 1e-30
        return at_least(self._scaled(self._ranking.matches(slightly_less)), min_score)

    def _scaled(self, found: Found) -> Found:
        if self._factor == 1.0:
            return found
        scores = (found.scores.astype(np.float64) * self._factor).astype(np.float32)
        return Found(found.positions, scores, found.plan)


class FormulaRanking:
    """Rows by a formula over their scores with all examples; every row is scored."""

    documents = False

    def __init__(self, formula: Formula, vectors: Vectors, request: Request) -> None:
        self._formula = formula
        self._vectors = np.ascontiguousarray(vectors)
        self._request = request

    @lazy
    def rows(self) -> Positions:
        """The rows that may be found."""
        rows, excluded = self._request.selection.rows, self._request.excluded
        return rows if excluded is None else rows[~np.isin(rows, excluded)]

    @property
    def total(self) -> int:
        return len(self.rows)

    @lazy
    def _all(self) -> ScoredRanking:
        reason = "the score follows from all examples"
        plan = exact_plan(self._request.searcher.stats(self._request.selection), reason)
        return ScoredRanking(self._ranked(self.rows)._replace(plan=plan))

    def fetch(self, width: int) -> Found:
        return self._all.fetch(width)

    def among(self, rows: Positions) -> Ranking:
        return self._all.among(rows)

    def matches(self, min_score: float) -> Found:
        return self._all.matches(min_score)

    def _ranked(self, rows: Positions) -> Found:
        """Some rows with their scores, best first; then by position."""
        scores = np.empty(len(rows))
        for first in range(0, len(rows), BLOCK):
            check_time()
            block = rows[first : first + BLOCK]
            listed = np.broadcast_to(block, (len(self._vectors), len(block)))
            each = self._request.searcher.scorer.final_scores(self._vectors, listed)
            scores[first : first + BLOCK] = self._formula(each)
        order = np.lexsort((rows, -scores))
        plan = exact_plan(self._request.searcher.stats(self._request.selection), "")
        return Found(rows[order], scores[order].astype(np.float32), plan)


class BestScoreRanking(FormulaRanking):
    """Rows by their best score with a positive, found among the nearest of each positive.

    A row that is not among the `depth` nearest of a positive scores no more with it than the last
    of these. So if enough rows score more than that, no other row belongs to them.
    """

    def __init__(
        self, formula: Formula, positive: Examples, negative: Examples, request: Request
    ) -> None:
        super().__init__(formula, *_both(positive, negative), request)
        self._positive = positive
        self._negatives = len(negative)

    def fetch(self, width: int) -> Found:
        found = self._by_candidates(width)
        return super().fetch(width) if found is None else found

    def _by_candidates(self, width: int) -> Found | None:
        request, positive = self._request, self._positive
        excluded = np.empty(0, np.int64) if request.excluded is None else request.excluded
        depth = min(width, self.total) + len(excluded)
        few = len(positive) and len(excluded) <= max(width, FEW_EXCLUDED)
        if request.exact or not few or depth >= request.selection.count:
            return None
        recall = 1.0 - (1.0 - request.recall) * width / depth
        while depth <= max(SHALLOW, width + len(excluded)):
            check_time()
            if request.searcher.plan(depth, recall, False, request.selection).method == "exact":
                return None
            lists = request.searcher.batch(
                positive.vectors, depth, [request.selection] * len(positive), recall, False
            )
            rows = np.unique(np.concatenate([each.positions for each in lists]))
            found = self._ranked(rows[~np.isin(rows, excluded)])
            last = [float(each.scores[-1]) for each in lists]
            bound = float(np.max(positive.weights * np.array(last)))
            if self._negatives:
                bound = max(bound, 0.0)  # rows near a negative score at most 0
            if len(found.positions) >= width and found.scores[width - 1] > bound:
                return first_of(found._replace(plan=lists[0].plan), width)
            depth *= OVERFETCH
        return None
