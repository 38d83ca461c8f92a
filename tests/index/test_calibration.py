"""What an index promises: lower bounds and thresholds by hand, and the calibration in manifests."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecsearch.index import calibrate
from vecsearch.index.adaptive import AIMS
from vecsearch.index.builder import extension_queries
from vecsearch.index.calibrate import (
    CODE_CANDIDATES,
    CODE_QUERIES,
    COMMON_K,
    KS,
    Answers,
    Sample,
    calibrate_codes,
    calibrate_index,
)
from vecsearch.index.calibration import (
    Calibration,
    OperatingPoint,
    describe_recall,
    merge_points,
    point_within,
)
from vecsearch.index.costs import exact_micros
from vecsearch.index.faiss import read_index
from vecsearch.index.recipe import stored_recipe
from vecsearch.index.ruler import Truth, found_within
from vecsearch.index.simulation import promise

FULL_CALIBRATION = True

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = ["format1", "format2"]


def test_the_promise_is_the_one_sided_99_percent_lower_bound() -> None:
    """By hand: recalls 1, 1/2, 0, 0, 1/2; mean .4, variance .14."""
    assert promise(np.array([1, 0.5, 0, 0, 0.5])) == (
        0.4,
        round(0.4 - 2.326 * (0.14 / 5) ** 0.5, 5),
    )
    assert promise(np.array([1, 0.5, 0, 0, 0.5]))[1] == 0.01079


def test_the_promise_exceeds_the_true_recall_in_one_calibration_of_a_hundred() -> None:
    """Calibrations with 400 queries, each of whose 10 best is found with probability .95."""
    rng = np.random.default_rng(3)
    promises = np.array(
        [promise((rng.random((400, 10)) < 0.95).mean(axis=1))[1] for _ in range(2000)]
    )
    assert 0.002 < float(np.mean(promises > 0.95)) < 0.02
    assert 0.94 < np.mean(promises) < 0.95


def test_a_row_counts_as_found_if_it_scores_like_the_kth_best() -> None:
    truth = truth_of([[5, 4, 3, 2, 1]])
    for found, recall in (
        ([5.0, 3.0], 0.5),
        ([5.0, 4.0], 1.0),  # another row than the second best, of the same score
        ([5.0, 4 - 1e-7], 1.0),
        ([5.0, 4 - 1e-3], 0.5),
        ([4.0, 4.0], 0.5),  # which does not make up for the best row
    ):
        assert (found_within(np.array([found]), truth, 2, [2]) / 2).tolist() == [[recall]]


def test_answers_for_large_k_are_known_for_the_first_queries_only() -> None:
    scores = -np.sort(np.random.default_rng(0).random((300, 500)), axis=1)

    def exact(queries: np.ndarray, k: int) -> Truth:
        return truth_of(scores[queries[:, 0].astype(int), :k])

    truth = Answers.of(np.arange(300, dtype=np.float32)[:, None], 500, exact)
    assert len(truth.at(150, 300).rows) == 300 and len(truth.at(151, 300).rows) == 200
    for k, queries in ((100, 300), (500, 250), (1, 7)):
        known = truth.at(k, queries)
        np.testing.assert_array_equal(known.scores, scores[: len(known.scores), :k])
    few = Answers.of(np.arange(150, dtype=np.float32)[:, None], 500, exact)
    assert len(few.at(100, 300).rows) == 150


def truth_of(scores: Any) -> Truth:
    """The exact answers of queries with these scores, best first."""
    scores = np.array(scores, np.float64)
    rows = np.tile(np.arange(scores.shape[1]), (len(scores), 1))
    return Truth(rows, scores, np.full(scores.shape, 2e-7))


def all_score(score: float, queries: int, k: int) -> Truth:
    return truth_of(np.full((queries, k), score))


def test_merged_points_take_the_larger_effort_and_depth() -> None:
    before = [
        OperatingPoint(8, 20, 10, 0.91, 0.90, 50.0),
        OperatingPoint(32, 20, 10, 0.96, 0.95, 90.0),
        OperatingPoint(8, 5, 1, 0.96, 0.95, 40.0),
    ]
    now = [
        OperatingPoint(16, 10, 10, 0.94, 0.93, 60.0),
        OperatingPoint(24, 40, 10, 0.98, 0.97, 80.0),
        OperatingPoint(8, 99, 50, 0.96, 0.95, 99.0),
    ]
    assert merge_points(before, now) == (
        OperatingPoint(16, 20, 10, 0.91, 0.90, 60.0),  # for .90
        OperatingPoint(32, 40, 10, 0.96, 0.95, 90.0),  # for .91 to .95
        # above .95 the first was not measured; k=1 and k=50 were not measured by both
    )


def test_a_calibration_survives_a_manifest() -> None:
    calibration = Calibration(
        points=(
            OperatingPoint(
                *(16, 20, 10, 0.96, 0.95, 10.5, 12, 0.9, 0.25, ((16, 4.5), (32, 3)), 0.94, 32, 15)
            ),
        ),
        exact_micros_per_row=0.2,
        code_points=(OperatingPoint(0, 40, 10, 0.99, 0.98, 40.0),),
        code_micros_per_row=0.01,
        target=0.95,
        calibrated_on="held-out rows",
        queries=400,
        memory_bytes=5_000,
        threads=2,
        seed=7,
    )
    stored = json.loads(json.dumps(calibration.to_mapping()))
    assert Calibration.from_mapping(stored) == calibration
    assert stored["surface"] == [
        [16, 20, 10, 0.96, 0.95, 10.5, 12, 0.9, 0.25, [[16, 4.5], [32, 3]], 0.94, 32, 15]
    ]
    assert stored["codes"] == {
        "surface": [[0, 40, 10, 0.99, 0.98, 40.0, 0.0, 0.0, 0.0, [], 0.0, 0, 0]],
        "micros_per_row": 0.01,
    }
    assert set(stored) == {
        *("target", "calibrated_on", "queries", "surface", "exact_micros_per_row"),
        *("codes", "memory_bytes", "threads", "seed"),
    }
    nothing = Calibration.from_mapping({})
    assert nothing == Calibration((), 0.25, (), 0.02, 0.0, "", 0, 0, 0, 0)


def test_the_promise_in_words_names_the_cheapest_point_that_reaches_the_target() -> None:
    points = (
        OperatingPoint(8, 10, 10, 0.93, 0.92, 10.0),
        OperatingPoint(64, 10, 10, 0.98, 0.97, 90.0, 1234.0),
        OperatingPoint(32, 20, 10, 0.97, 0.96, 30.0, 40.4),
        OperatingPoint(8, 50, 50, 0.99, 0.99, 1.0),
    )
    said = describe_recall(Calibration(points, target=0.95))
    assert said == "recall@10 of 0.970 (at least 0.960) in about 40 µs a query"
    assert "did not reach recall 0.98 at k=10" in describe_recall(Calibration(points, target=0.98))


@pytest.mark.parametrize("name", FORMATS)
def test_the_calibration_of_older_formats_is_read(name: str) -> None:
    entry = newest_index(name)
    calibration = Calibration.from_mapping(entry["facts"])
    assert [
        (point.effort, point.depth, point.k, point.recall, point.low, point.micros)
        for point in calibration.points
    ] == [tuple(row[:6]) for row in entry["facts"]["surface"]]
    assert calibration.points and calibration.calibrated_on == "held-out rows"


@pytest.mark.parametrize("name", FORMATS)
def test_a_stored_recipe_with_the_removed_key_rescore_is_read(name: str) -> None:
    entry = newest_index(name)
    assert entry["recipe"]["rescore"] is True
    recipe = stored_recipe(entry["recipe"])
    assert (recipe.name, recipe.kind, recipe.factory) == ("HNSW8", "factory", "HNSW8")
    index = read_index(GOLDEN / name / "indexed" / entry["files"][0]["name"])
    assert index.recipe == recipe and index.n == entry["rows"]


def newest_index(name: str) -> dict[str, Any]:
    """The index in the newest manifest of a golden collection, as it is on disk."""
    path = max((GOLDEN / name / "indexed" / "manifests").glob("*.json"))
    (entry,) = json.loads(path.read_text(encoding="utf-8"))["body"]["indexes"]
    return dict(entry)


# -- measuring an index ---------------------------------------------------------------------------


class RankedIndex:
    """Row r is every query's r-th best. What a query misses, and in what order it finds the rest,
    is set for each effort.

    Args:
        rows: Rows in the index.
        missed: By effort, every how manyth query misses its best row; 0 for none.
        clock: The seconds that have passed, which each call moves on.
    """

    starts_over = False

    def __init__(self, rows: int, missed: dict[int, int], clock: list[float]) -> None:
        self.n = rows
        self.missed = missed
        self.clock = clock
        self.measured: list[tuple[int, int, int]] = []  # queries, depth and effort of each call

    def efforts(self) -> list[int]:
        return list(self.missed)

    def labels(self, query: int, depth: int, effort: int) -> list[int]:
        """Candidates in pairs of neighbors, the better one last."""
        every = self.missed[effort]
        misses = every and query % every == 0
        order = [row + (1 if row % 2 == 0 else -1) for row in range(self.n + 2)]
        return [row for row in order if row < self.n and not (misses and row == 0)][:depth]

    def pool(self, effort: int) -> int:
        return min(effort, self.n)

    def scores_at_large(self, queries: np.ndarray) -> None:
        return None

    def estimated(
        self, queries: np.ndarray, depth: int, effort: int, threads: int
    ) -> tuple[np.ndarray, np.ndarray, float]:
        assert threads == 3
        self.measured.append((len(queries), depth, effort))
        found = [self.labels(int(query[0]), depth, effort) for query in queries]
        labels = np.array([row + [-1] * (depth - len(row)) for row in found])
        distances = np.tile(np.arange(depth) * 1.0, (len(queries), 1))
        return labels, distances, effort * 10.0

    def candidates(self, query: np.ndarray, depth: int, effort: int) -> tuple[np.ndarray, None]:
        self.clock[0] += 30e-6
        return self.estimated(query, depth, effort, 3)[0], None

    def by_codes(
        self, queries: np.ndarray, depth: int, threads: int
    ) -> tuple[np.ndarray, np.ndarray] | None:
        self.codes_asked = len(queries), depth
        return self.estimated(queries, min(depth, 60), 8, threads)[:2]


def measured(
    index: RankedIndex, queries: int, row_micros: float, timed: Any = None
) -> list[OperatingPoint]:
    vectors = np.arange(queries, dtype=np.float32)[:, None]
    alike = np.zeros(queries, np.int64)
    return calibrate_index(
        index,  # type: ignore[arg-type]
        Sample(vectors, alike, alike, ranked_truth(index.n, queries)),
        lambda part, labels: ranked_scores(index, labels),
        rows=index.n,
        row_micros=row_micros,
        threads=3,
        timed_search=timed,
    )


def ranked_truth(rows: int, queries: int) -> Answers:
    best = truth_of(np.tile(-np.arange(rows), (queries, 1)))
    return Answers(best.first(queries, COMMON_K), best.first(200, 1000))


def ranked_scores(index: RankedIndex, labels: np.ndarray) -> np.ndarray:
    index.clock[0] += 0.5e-6 * labels.shape[1]
    return np.where(labels < 0, -np.inf, -labels)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    passed = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: passed[0])
    return passed


def test_an_index_is_measured_at_every_effort_worth_using(clock: list[float]) -> None:
    """The points that no other beats, and no effort beyond one that finds every row."""
    index = RankedIndex(60, {8: 2, 16: 10, 32: 0, 64: 0}, clock)
    points = measured(index, 40, 40.0)
    # With 32 every row is found for every k up to 32; with 64 for all 60, at 640 of 2,400 µs.
    assert [(asked[1:]) for asked in index.measured if asked[0] == 40] == [
        *((8, 8), (16, 16), (32, 32), (60, 64))
    ]
    for one in points:
        beaten = [
            other
            for other in points
            if other.k == one.k and other.micros <= one.micros and other.low >= one.low
        ]
        assert beaten == [one]
        assert one.steps[0][0] == one.effort and one.aim in AIMS
    assert [point.k for point in points] == sorted(point.k for point in points)
    assert {point.k for point in points} == {k for k in KS if k <= 60}


def test_no_effort_is_tried_beyond_a_recall_of_all_rows(clock: list[float]) -> None:
    index = RankedIndex(30, {8: 2, 32: 0, 64: 0}, clock)
    measured(index, 40, 40.0)
    assert {effort for _, _, effort in index.measured} == {8, 32}


def test_an_effort_dearer_than_half_an_exact_search_is_not_used_but_the_first(
    clock: list[float],
) -> None:
    def used(row_micros: float) -> set[int]:
        index = RankedIndex(60, {8: 2, 16: 4, 32: 2}, clock)
        points = [one for one in measured(index, 40, row_micros) if one.k == 1 and not one.rank]
        return {effort for point in points for effort, _ in point.steps}

    assert exact_micros(60, 5.0) == 320  # and an effort of 16 costs 160
    assert used(5.0) == used(5.01) == {16} and used(4.99) == {8}
    assert used(1e-6) == {8}


def test_high_efforts_are_measured_with_fewer_queries(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "MAX_CANDIDATES", 3200)
    monkeypatch.setattr(calibrate, "WIDE_QUERIES", 70)
    index = RankedIndex(60, {8: 2, 16: 2, 32: 2, 64: 2}, clock)
    measured(index, 500, 1000.0)
    asked = {effort: queries for queries, _, effort in index.measured if queries > 1}
    assert asked == {8: 400, 16: 200, 32: 100, 64: 70}


def test_latency_is_that_of_finding_the_candidates_and_of_scoring_each(clock: list[float]) -> None:
    """30 µs to find them, and half a microsecond for each that is scored."""
    index = RankedIndex(60, {64: 0}, clock)
    points = measured(index, 40, 40.0)
    assert points
    for point in points:
        assert point.latency == pytest.approx(30 + 0.5 * point.depth, abs=0.3)
    assert {asked[1:] for asked in index.measured if asked[0] == 1} == {(60, 64)}


def test_latency_of_a_compiled_search_is_split_by_two_numbers_of_candidates(
    clock: list[float],
) -> None:
    """The time of one call grows by 2 µs with each candidate, from 10."""
    index = RankedIndex(60, {64: 0}, clock)
    asked: list[tuple[int, int]] = []

    def search(query: np.ndarray, depth: int, effort: int) -> None:
        assert query.shape == (1,)
        asked.append((depth, effort))
        clock[0] += (10 + 2 * depth) * 1e-6

    points = measured(index, 40, 40.0, search)
    assert points and set(asked) == {(8, 64), (60, 64)} and len(asked) == 2 * 40
    for point in points:
        assert point.latency == pytest.approx(10 + 2 * point.depth, abs=1.1)


def test_few_queries_are_timed_and_fewer_with_many_candidates(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "TIMED_CANDIDATES", 640)
    index = RankedIndex(400, {8: 2, 32: 2, 256: 2}, clock)
    timed: dict[int, int] = {}

    def search(query: np.ndarray, depth: int, effort: int) -> None:
        timed[effort] = timed.get(effort, 0) + 1

    measured(index, 300, 1000.0, search)
    assert timed == {8: 2 * 50, 32: 2 * 20, 256: 2 * 5}


def test_a_scan_of_all_codes_is_measured_by_its_candidates(clock: list[float]) -> None:
    index = RankedIndex(500, {8: 2}, clock)
    queries = np.arange(450, dtype=np.float32)[:, None]
    points = calibrate_codes(
        index,  # type: ignore[arg-type]
        queries,
        ranked_truth(500, 450),
        lambda part, labels: ranked_scores(index, labels),
        3,
    )
    assert index.codes_asked == (CODE_QUERIES, CODE_CANDIDATES) == (400, 400)
    assert {point.k for point in points} == {k for k in KS if k <= 60}
    for point in points:
        assert (point.effort, point.micros, point.latency) == (60, point.depth, 0)
        assert point.k <= point.depth <= 60 and point.low <= point.recall
    small = calibrate_codes(
        index,  # type: ignore[arg-type]
        queries,
        ranked_truth(20, 450),
        lambda part, labels: ranked_scores(index, labels),
        3,
    )
    assert max(point.k for point in small) == 20  # no more rows than there are
    monkey: Any = RankedIndex(500, {8: 2}, clock)
    monkey.by_codes = lambda *_: None
    assert calibrate_codes(monkey, queries, ranked_truth(500, 450), lambda a, b: a, 3) == []


def test_the_true_scores_are_searched_for_as_many_rows_as_there_are() -> None:
    asked: list[tuple[int, int]] = []

    def exact(queries: np.ndarray, k: int) -> Truth:
        asked.append((len(queries), k))
        return all_score(0.0, len(queries), k)

    queries = np.zeros((250, 1), np.float32)
    truth = Answers.of(queries, 5000, exact)
    assert (truth.common.rows.shape, truth.wide.rows.shape) == ((250, 150), (200, 1250))
    truth = Answers.of(queries, 30, exact)
    assert (truth.common.rows.shape, truth.wide.rows.shape) == ((250, 30), (200, 30))
    assert asked == [(200, 1250), (50, 150), (200, 30), (50, 30)]


def test_the_cheapest_point_of_the_next_k_serves_and_none_of_a_larger_one() -> None:
    points = (
        OperatingPoint(8, 10, 10, 0.93, 0.92, 10.0),
        OperatingPoint(64, 10, 10, 0.98, 0.97, 90.0),
        OperatingPoint(32, 20, 20, 0.97, 0.96, 30.0),
    )
    calibration = Calibration(points)
    assert calibration.cheapest(10, 0.92) == points[0]
    assert calibration.cheapest(10, 0.93) == calibration.cheapest(9, 0.965) == points[1]
    assert calibration.cheapest(11, 0.9) == points[2]
    assert calibration.cheapest(20, 0.97) is None and calibration.cheapest(21, 0.5) is None


def test_a_point_for_some_of_the_rows_goes_on_by_what_they_need() -> None:
    """Contrasts are those of the k rows, efforts at least those of all that are looked through."""
    few = OperatingPoint(
        *(16, 20, 20, 0.98, 0.97, 30.0),
        steps=((16, 2.5), (32, 4.0), (64, 3.9), (128, 3.0)),
    )
    many = OperatingPoint(*(64, 90, 40, 0.97, 0.96, 50.0), steps=((64, 1.0), (128, 2.0)), aim=0.95)
    points = few, many
    both = point_within(points, 20, 40, 0.95)
    assert both is not None
    assert both.steps == ((64, 3.9), (128, 3.0)) and (both.effort, both.depth) == (64, 90)
    assert (both.stop_rank, both.low, both.micros) == (20, 0.96, 80.0)
    assert point_within(points, 20, 20, 0.95) is few
    assert point_within(points, 20, 40, 0.965) is point_within(points, 20, 41, 0.9) is None
    level = point_within((few, replace(many, effort=16)), 20, 40, 0.95)
    assert level is not None and (level.steps, level.micros) == (few.steps, 50.0)
    larger = replace(many, effort=256, steps=((256, 0.5),))
    beyond = point_within((few, larger), 20, 40, 0.95)
    assert beyond is not None and beyond.steps == ((256, 3.0),) and beyond.effort == 256
    old = point_within((replace(few, steps=()), replace(many, steps=())), 20, 40, 0.95)
    assert old is not None and old.ladder is None and (old.effort, old.depth) == (64, 90)


def test_a_grown_index_promises_no_more_than_before() -> None:
    before = Calibration(
        (OperatingPoint(32, 20, 10, 0.96, 0.95, 90.0),),
        code_points=(OperatingPoint(0, 40, 10, 0.96, 0.95, 40.0),),
        queries=7,
    )
    now = Calibration(
        (OperatingPoint(16, 10, 10, 0.97, 0.95, 60.0),),
        code_points=(OperatingPoint(0, 50, 10, 0.96, 0.95, 50.0),),
        queries=9,
    )
    merged = now.merged_with(before)
    assert merged.points == (OperatingPoint(32, 20, 10, 0.96, 0.95, 90.0),)
    assert merged.code_points == (OperatingPoint(0, 50, 10, 0.96, 0.95, 50.0),)
    assert merged.queries == 9


@pytest.mark.parametrize(
    ("new", "indexed", "queries"),
    [
        (400, 4_000, 200),  # half of the new rows go in first
        (800, 8_000, 400),
        (20_000, 200_000, 400),
        (100_000, 1_000_000, 400),
        (500_000, 1_000_000, 666),
        (10_000_000, 20_000_000, 666),
    ],
)
def test_an_extension_is_calibrated_with_queries_for_its_own_rows(
    new: int, indexed: int, queries: int
) -> None:
    """Each query passes over all rows, so their number follows the share of new ones."""
    assert extension_queries(new, indexed) == queries
