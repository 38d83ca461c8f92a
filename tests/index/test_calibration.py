"""What an index promises: lower bounds and thresholds by hand, and the calibration in manifests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecsearch.index.calibrate import Answers, _recalls
from vecsearch.index.calibration import (
    Calibration,
    OperatingPoint,
    describe_recall,
    merge_points,
)
from vecsearch.index.faiss import read_index
from vecsearch.index.recipe import stored_recipe
from vecsearch.index.ruler import Truth

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = ["format1", "format2"]


def test_the_promise_is_the_one_sided_99_percent_lower_bound() -> None:
    """By hand for two candidates: recalls 1, 1/2, 0, 0, 1/2; mean .4, variance .14."""
    found = [[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1]]
    scores, truth = np.array(found, np.float64), all_score(1.0, queries=5, k=2)
    assert _recalls(scores, truth, 2) == [
        (2, 0.4, round(0.4 - 2.326 * (0.14 / 5) ** 0.5, 5)),
        (3, 0.6, round(0.6 - 2.326 * (0.14 / 5) ** 0.5, 5)),
        (4, 0.8, round(0.8 - 2.326 * (0.16 / 5) ** 0.5, 5)),
    ]
    assert _recalls(scores, truth, 2)[0][2] == 0.01079


def test_the_promise_exceeds_the_true_recall_in_one_calibration_of_a_hundred() -> None:
    """Calibrations with 400 queries, each of whose 10 best is found with probability .95."""
    rng = np.random.default_rng(3)
    truth = all_score(1.0, queries=400, k=10)
    promises = []
    for _ in range(2000):
        found = rng.random((400, 10)) < 0.95
        ((width, _, low),) = _recalls(found.astype(np.float64), truth, 10)
        assert width == 10
        promises.append(low)
    too_high = float(np.mean(np.array(promises) > 0.95))
    assert 0.002 < too_high < 0.02
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
        assert [mean for _, mean, _ in _recalls(np.array([found]), truth, 2)] == [recall]


def test_answers_for_large_k_are_known_for_the_first_queries_only() -> None:
    scores = -np.sort(np.random.default_rng(0).random((300, 500)), axis=1)

    def exact(queries: np.ndarray, k: int) -> Truth:
        return truth_of(scores[queries[:, 0].astype(int), :k])

    truth = Answers.of(np.arange(300, dtype=np.float32)[:, None], 500, exact)
    assert len(truth.at(100, 300).rows) == 300 and len(truth.at(101, 300).rows) == 200
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
        points=(OperatingPoint(16, 20, 10, 0.96, 0.95, 10.5, 12.0),),
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
    assert stored["surface"] == [[16, 20, 10, 0.96, 0.95, 10.5, 12.0]]
    assert stored["codes"] == {
        "surface": [[0, 40, 10, 0.99, 0.98, 40.0, 0.0]],
        "micros_per_row": 0.01,
    }
    assert set(stored) == {
        *("target", "calibrated_on", "queries", "surface", "exact_micros_per_row"),
        *("codes", "memory_bytes", "threads", "seed"),
    }
    assert Calibration.from_mapping({}) == Calibration()


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
