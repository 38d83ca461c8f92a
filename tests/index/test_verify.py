"""A check with a few queries tells whether a calibration still holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from support.data import brute_force, clustered

import vecsearch as vs
from vecsearch.index.attached import attach
from vecsearch.index.calibration import Calibration, OperatingPoint
from vecsearch.index.faiss import FaissIndex
from vecsearch.index.scorer import VectorScorer
from vecsearch.index.verify import still_holds
from vecsearch.types import Metric

FULL_CALIBRATION = True

ROWS, DIM = 6000, 40


class Built(NamedTuple):
    collection: vs.Collection
    vectors: np.ndarray
    queries: np.ndarray
    index: FaissIndex
    labels: np.ndarray
    calibration: Calibration

    def holds(
        self,
        calibration: Calibration,
        queries: np.ndarray | None = None,
        made: Sequence[np.ndarray] = (),
    ) -> bool:
        scorer, labels = VectorScorer(self.collection._snapshot), self.labels
        asked = self.queries if queries is None else queries
        return still_holds(scorer, self.index, labels, asked, calibration, 0.95, 1, made)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    vectors = clustered(ROWS + 300, DIM, seed=3, clusters=60)
    path = tmp_path_factory.mktemp("verify") / "c.vs"
    with vs.create(path, dim=DIM, metric="l2", auto_index=False) as c:
        c.add(vectors[:ROWS])
        c.build_index("low-latency")
        attached = attach(c._snapshot)
        assert attached.index is not None and attached.labels is not None
        parts = attached.index, attached.labels, attached.calibration
        yield Built(c, vectors[:ROWS], vectors[ROWS:], *parts)


def promising(calibration: Calibration, low: float) -> Calibration:
    """The same searches, of which more is promised."""

    def more(points: tuple[OperatingPoint, ...]) -> tuple[OperatingPoint, ...]:
        return tuple(replace(point, low=max(point.low, low)) for point in points)

    return replace(calibration, points=more(calibration.points), code_points=())


def test_what_was_measured_holds_for_other_rows_of_the_same_kind(built: Built) -> None:
    assert len(built.calibration.points) > 20
    assert built.holds(built.calibration)


def test_a_promise_that_searches_do_not_reach_does_not_hold(built: Built) -> None:
    """The oracle: real searches, judged in float64."""
    assert not built.holds(promising(built.calibration, 0.9999))
    found = []
    for query in built.queries:
        hits = built.collection.search(query, 10, recall=0.8)
        scores = brute_force(built.vectors, query, Metric.L2)
        kth = np.sort(scores)[-10]
        found.append(np.mean([scores[row] >= kth - 1e-9 for row in hits.ids]))
    mean, points = float(np.mean(found)), built.calibration.points
    cheap = [p for p in points if p.k >= 10 and p.low >= 0.8]
    used = min(cheap, key=lambda point: point.micros)
    assert 0.92 <= mean < 0.985 and used.ladder == built.collection.plan(k=10, recall=0.8).ladder
    for promised, holds in ((mean - 0.01, True), (mean + 0.015, False)):
        lifted = (replace(used, low=promised),)
        assert built.holds(replace(built.calibration, points=lifted, code_points=())) is holds


def test_queries_that_would_all_be_searched_exactly_ask_for_a_new_calibration(
    built: Built,
) -> None:
    """Their recall is 1, as exact search has it, but searches would be slow."""
    far = built.queries + np.float32(30)
    assert not built.holds(built.calibration, far)
    few = built.queries.copy()
    few[:3] += np.float32(30)
    assert built.holds(built.calibration, few)


def test_of_few_queries_more_may_be_farther(built: Built) -> None:
    """Of others like them 1 / n lie beyond the farthest of n, and up to 4.6 / n by chance."""
    some = built.queries.copy()
    some[:12] += np.float32(30)  # 4 of 100
    assert not built.holds(replace(built.calibration, queries=2000), some)
    assert built.holds(replace(built.calibration, queries=150), some)


def test_made_queries_are_to_reach_what_they_did_before(built: Built) -> None:
    """Means of two rows reach less than is promised of rows, which some points say."""
    rng = np.random.default_rng(4)
    one, other = built.vectors[rng.integers(0, ROWS, (2, 400))]
    before = built.calibration
    assert built.holds(before, made=[one])
    points = {
        made: tuple(replace(p, made=made) for p in before.points) for made in (0.0, 0.85, 1.0)
    }
    kept = {
        made: built.holds(replace(before, points=some), made=[(one + other) / 2])
        for made, some in points.items()
    }
    assert kept == {0.0: False, 0.85: True, 1.0: False}


def test_points_of_older_versions_are_checked_at_one_effort(built: Built) -> None:
    old = [
        replace(point, steps=(), aim=0.0, depth=point.effort) for point in built.calibration.points
    ]
    few = replace(built.calibration, points=tuple(old), code_points=())
    assert not built.holds(promising(few, 0.9999))
    wide = tuple(replace(point, effort=2048, depth=2048) for point in old)
    assert built.holds(replace(few, points=wide))
