"""What searches find that stop at one effort, for each query and number of candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Scores
from vecsearch.common.lazy import lazy
from vecsearch.index.kernels.misses import (
    LEAST,
    crowding,
    expected_misses,
    first_depth,
    next_depth,
)
from vecsearch.index.ruler import Truth, Wide, found_within

MANY_DEEP, DEEP = 6, 64  # the largest depth apart from the whole pool: 6 k + 64
BIN = 0.5  # width of the bins of contrast by which queries are weighted in a fit


@dataclass(eq=False)
class Tried:
    """All queries searched with one effort.

    Attributes:
        effort: The effort.
        micros: Estimated cost of finding the candidates of a query.
        latency: Measured microseconds for that,
        candidate_latency: and for scoring one of them.
        distances: Of the candidates' codes, nearest first, float64 (nq, pool).
        scores: Their final scores, float64 (nq, pool), -inf for none.
        complete: Whether the candidates are all rows.
        starts_over: Whether a query that needs a larger effort is searched again from the start.
    """

    effort: int
    micros: float
    latency: float
    candidate_latency: float
    distances: Wide
    scores: Wide
    complete: bool
    starts_over: bool = False

    @lazy
    def first(self) -> Wide:
        """The score of the first candidate that has one, float64 (nq, 1); 0 if none has."""
        has = np.isfinite(self.scores)
        first = np.take_along_axis(self.scores, has.argmax(axis=1)[:, None], axis=1)
        return np.where(np.isfinite(first), first, 0.0)

    @lazy
    def sums(self) -> tuple[Wide, ...]:
        """What `expected_misses` takes, for each number of candidates: float64 (nq, pool)."""
        near = self.distances - self.distances[:, :1]
        high = np.where(np.isfinite(self.scores), self.scores, self.first) - self.first
        return tuple(
            np.cumsum(part, axis=1) for part in (near, high, near * near, near * high, high * high)
        )

    def let_go(self) -> None:
        """Release what only `outcome_of` takes: for all efforts together it is hundreds of MB."""
        self.distances = self.scores = np.empty((0, 0))
        for name in ("first", "sums"):
            self.__dict__.pop(name, None)


@dataclass
class Outcome:
    """What one effort finds of the k best, for each query and number of candidates.

    Attributes:
        tried: The effort.
        kth: Score of the k-th best row, float64 (nq,).
        contrast: Of the candidate of rank k, float64 (nq,); None if it is not known.
        last: Score of that candidate, float64 (nq,), -inf for none.
        depths: Numbers of candidates, ascending; the last is all of them.
        recalls: Recall of scoring so many, float32 (nq, depths); there are hundreds of outcomes.
        misses: Hits expected among the others, float32 (nq, depths).
    """

    tried: Tried
    kth: Wide
    contrast: Wide | None
    last: Wide
    depths: npt.NDArray[np.int64]
    recalls: Scores
    misses: Scores
    _curve: tuple[float, float] | None = None

    @property
    def mean(self) -> float:
        """Mean recall if all candidates are scored."""
        return float(self.recalls[:, -1].mean())

    def knows_far(self, kinds: npt.NDArray[np.int64], farthest: float, few: float) -> bool:
        """Whether a share of at most `few` queries, of those of which recall is promised, has its
        candidate farther away."""
        last = self.last[kinds[: len(self.last)] == 0]
        return bool(np.count_nonzero(last < farthest) <= few * len(last))

    def farthest(self, kinds: npt.NDArray[np.int64]) -> float:
        """The lowest score of the k-th best row of a query of which recall is promised."""
        return float(self.kth[kinds[: len(self.kth)] == 0].min(initial=np.inf))

    def curve(self, kinds: npt.NDArray[np.int64]) -> tuple[float, float]:
        """Level and slope by which the share that is missed falls with the contrast."""
        if self._curve is None:
            assert self.contrast is not None
            near = (self.kth >= self.farthest(kinds)) & np.isfinite(self.contrast)
            if near.any():
                self._curve = _fit_logistic(self.contrast[near], 1 - self.recalls[near, -1])
            else:  # this effort finds fewer than k rows, and no query stops at it
                self._curve = 0.0, 1.0
        return self._curve

    def stops(self, allowed: float) -> npt.NDArray[np.int64]:
        """At which of the depths each query stops; -1 if at none."""
        enough = self.misses <= allowed
        if self.tried.complete:
            enough[:, -1] = True
        return np.where(enough.any(axis=1), enough.argmax(axis=1), -1)


def outcome_of(tried: Tried, truth: Truth, k: int, contrast: Wide | None) -> Outcome:
    """Work out what an effort finds.

    Args:
        tried: The effort, at least k candidates.
        truth: The k best of the first queries.
        k: Rows to find.
        contrast: Of each query's k-th candidate.
    """
    count = len(truth.rows)
    scores = tried.scores[:count]
    depths = list(_depths(k, scores.shape[1]))
    return Outcome(
        tried,
        truth.scores[:, k - 1],
        None if contrast is None else contrast[:count],
        scores[:, k - 1].copy(),
        np.array(depths),
        (found_within(scores, truth, k, depths) / k).astype(np.float32),
        _expected(tried, count, k, depths),
    )


def _depths(k: int, pool: int) -> Iterator[int]:
    """Numbers of candidates to look at. A search looks at more of them where few do not suffice."""
    depth = first_depth(k)
    while depth < min(pool, MANY_DEEP * k + DEEP):
        yield depth
        depth = next_depth(depth)
    yield pool


def _expected(tried: Tried, count: int, k: int, depths: Sequence[int]) -> Scores:
    """Hits expected among the candidates behind each number of them, (nq, depths)."""
    distances, scores = tried.distances[:count], tried.scores[:count]
    first = tried.first[:count, 0]
    expected = np.full((count, len(depths)), np.inf, np.float32)
    best, seen = scores[:, :0], 0
    for place, depth in enumerate(depths):
        if depth < max(k, LEAST):
            continue
        last = depth - 1
        best = _largest(np.concatenate([best, scores[:, seen:depth]], axis=1), k)
        seen = depth
        kth = best[:, 0] - first
        x, y, xx, xy, yy = (part[:count, last] for part in tried.sums)
        end = distances[:, last] - distances[:, 0]
        found = expected_misses(depth, x, y, xx, xy, yy, end, crowding(distances.T, depth), kth)
        with np.errstate(over="ignore"):  # more than float32 holds is infinitely many
            expected[:, place] = np.where(np.isfinite(scores[:, last]), found, np.inf)
    return expected


def _largest(scores: Wide, k: int) -> Wide:
    """The k largest of each row, the least of them first."""
    return np.partition(scores, scores.shape[1] - k, axis=1)[:, -k:]


def _fit_logistic(contrast: Wide, missed: Wide) -> tuple[float, float]:
    """Level and slope of the share that is missed: 1 / (1 + exp(slope * contrast - level)).

    Logistic regression by Newton's method with halved steps, held to a slope of at least a tenth.
    Rare contrasts count for more than their number, so that the fit also holds where few queries
    are.
    """
    bins = np.floor(contrast / BIN).astype(np.int64)
    _, inverse, counts = np.unique(bins, return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(counts[inverse])
    weights *= len(contrast) / weights.sum()
    middle = float(np.average(contrast, weights=weights))
    columns = np.stack([np.ones_like(contrast), middle - contrast], axis=1)
    prior = np.array([1e-3, 1e-2])

    def cost(at: Wide) -> float:
        exponents = columns @ at
        losses = np.logaddexp(0, exponents) - missed * exponents
        return float(weights @ losses + 0.5 * prior @ np.square(at - start))

    share = float(np.clip(np.average(missed, weights=weights), 1e-4, 1 - 1e-4))
    start = np.array([np.log(share / (1 - share)), 1.0])
    fitted, now = start, cost(start)
    for _ in range(30):
        shares = 1 / (1 + np.exp(-np.clip(columns @ fitted, -30, 30)))
        curvature = weights * shares * (1 - shares)
        gradient = columns.T @ (weights * (missed - shares)) - prior * (fitted - start)
        step = np.linalg.solve(
            columns.T @ (columns * curvature[:, None]) + np.diag(prior), gradient
        )
        while (after := cost(fitted + step)) > now and np.abs(step).max() > 1e-6:
            step = step / 2
        fitted, now = fitted + step, after
        if np.abs(step).max() < 1e-4:
            break
    slope = max(float(fitted[1]), 0.1)
    return float(fitted[0]) + slope * middle, slope
