"""measure_recall, with a searcher whose answers and recall are known."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import vecsearch as vs
from vecsearch.evaluation.recall import measure_recall
from vecsearch.index.ruler import Truth

ROWS = 400


class LineSearcher:
    """Rows 0 to 399 on a line; row n's best rows are n, n + 1, n + 2, ... (around the end).

    Its searches find these, but for `missed` of each query's first four.

    Attributes:
        widths: How many hits each search asked for.
        most: The most hits that a search finds.
        threads: With how many threads exact searches were made.
    """

    def __init__(self, missed: dict[int, list[int]], most: int = ROWS) -> None:
        self.missed = missed
        self.most = most
        self.threads: set[int] = set()
        self.widths: set[int] = set()
        live = SimpleNamespace(rows=np.arange(ROWS), count=ROWS)
        self.snapshot = SimpleNamespace(live=live, stored_vectors=self.vectors)
        self.scorer = SimpleNamespace(truth=self.truth, final_scores=self.scores)
        self.selection = live

    def vectors(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return np.asarray(rows, np.float32)[:, None]

    def best(self, query: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
        return (int(query[0]) + np.arange(k)) % ROWS

    def truth(
        self, queries: npt.NDArray[np.float32], k: int, selection: Any, threads: int
    ) -> Truth:
        self.threads.add(threads)
        rows = np.stack([self.best(query, k) for query in queries])
        return Truth(rows, self.scores(queries, rows), np.full(rows.shape, 1e-6))

    def scores(
        self, queries: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        return np.where(rows < 0, -np.inf, -((rows - queries[:, :1]) % ROWS))

    def search(
        self, query: npt.NDArray[np.float32], k: int, selection: Any, recall: float, exact: bool
    ) -> SimpleNamespace:
        self.widths.add(k)
        missed = self.missed.get(int(query[0]), [])
        ranks = [rank for rank in range(k + len(missed)) if rank not in missed]
        found = np.array(ranks[: min(k, self.most)], np.int64)
        return SimpleNamespace(
            positions=(int(query[0]) + found) % ROWS, scores=-found.astype(np.float32)
        )


def measured(searcher: LineSearcher, k: int, target: float, queries: Any = None) -> vs.RecallReport:
    stand_in: Any = searcher
    return measure_recall(stand_in, k, ROWS, stand_in.selection, target, queries, seed=0)


def test_a_row_as_query_is_compared_over_its_k_other_rows() -> None:
    """Every fourth row misses its third neighbor: of k = 3 neighbors it finds two."""
    searcher = LineSearcher({row: [3] for row in range(0, ROWS, 4)})
    report = measured(searcher, 3, 0.5)
    assert searcher.widths == {4}  # the row itself, and three neighbors
    assert report.recall == pytest.approx((3 / 4) + (1 / 4) * (2 / 3))
    assert (report.queries, report.query_source) == (ROWS, "rows of the collection")


def test_a_query_row_does_not_count_as_found() -> None:
    """Every row finds itself, and half of them miss their nearest neighbor."""
    searcher = LineSearcher({row: [1] for row in range(0, ROWS, 2)})
    assert measured(searcher, 1, 0.1).recall == 1 / 2


def test_given_queries_are_compared_over_all_k_rows() -> None:
    """The row at a query's place is a row like any other."""
    searcher = LineSearcher({row: [0] for row in range(0, ROWS, 2)})
    queries = searcher.vectors(np.arange(ROWS))
    report = measured(searcher, 2, 0.1, queries)
    assert searcher.widths == {2}
    assert report.recall == pytest.approx((1 + 1 / 2) / 2)


def test_a_target_within_the_interval_is_not_warned_of() -> None:
    searcher = LineSearcher({row: [3] for row in range(0, ROWS, 4)})
    report = measured(searcher, 3, 0.5)
    target = (report.recall + report.high) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = measured(searcher, 3, target)
    assert report.low < report.recall < target <= report.high


def test_a_target_above_the_interval_is_warned_of() -> None:
    searcher = LineSearcher({row: [3] for row in range(0, ROWS, 4)})
    with pytest.warns(vs.RecallWarning, match=r"recall@3 is 0.917 .* below the target of 0.99"):
        report = measured(searcher, 3, 0.99)
    assert report.high < 0.99


def test_the_warning_names_the_line_that_called_the_caller() -> None:
    """`Collection.measure_recall` calls `measure_recall`, and is called by the user."""
    searcher = LineSearcher({row: [3] for row in range(0, ROWS, 4)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        measured(searcher, 3, 0.99)
    assert [(item.filename, item.lineno) for item in caught] == [(__file__, line)]


def test_a_search_that_finds_too_few_rows_has_missed_the_others() -> None:
    """Of 4 rows one is found. Of a query near row 0 that row is not, though 0 is its number."""
    searcher = LineSearcher({ROWS - 1: [0, 1]}, most=1)
    given = searcher.vectors(np.arange(ROWS))
    assert measured(searcher, 4, 0.1, given).recall == pytest.approx(1 / 4)
    one = given[ROWS - 1 :]  # its rows are 399, 0, 1 and 2, and the search finds 1
    assert measured(searcher, 4, 0.1, one).recall == pytest.approx(1 / 4)
    nothing = LineSearcher({}, most=0)
    with pytest.warns(vs.RecallWarning, match="recall@4 is 0.000"):
        assert measured(nothing, 4, 0.1, given).recall == 0


def test_k_may_exceed_the_matching_rows() -> None:
    searcher = LineSearcher({}, most=ROWS)
    assert measured(searcher, ROWS + 50, 0.9).recall == 1
    assert searcher.widths == {ROWS}  # a row is compared with the 399 others


def test_exact_search_takes_one_thread_for_one_query_and_two_for_more() -> None:
    searcher = LineSearcher({})
    measured(searcher, 3, 0.9, searcher.vectors(np.arange(1)))
    assert searcher.threads == {1}
    measured(searcher, 3, 0.9, searcher.vectors(np.arange(2)))
    assert searcher.threads == {1, 2}


@pytest.mark.parametrize("queries", [0, -1])
def test_no_query_is_nothing_to_measure(queries: int) -> None:
    searcher: Any = LineSearcher({})
    with pytest.raises(vs.InvalidInputError, match="nothing to measure"):
        measure_recall(searcher, 3, queries, searcher.selection, 0.9, None, seed=0)
    assert measure_recall(searcher, 3, 1, searcher.selection, 0.9, None, seed=0).queries == 1


def test_without_rows_that_match_there_is_nothing_to_measure() -> None:
    searcher: Any = LineSearcher({})
    with pytest.raises(vs.InvalidInputError, match="no row matches"):
        nothing = SimpleNamespace(rows=np.arange(0), count=0)
        measure_recall(searcher, 3, 5, nothing, 0.9, None, seed=0)
    searcher.snapshot.live = SimpleNamespace(rows=np.arange(0), count=0)
    with pytest.raises(vs.InvalidInputError, match="no row matches"):
        measure_recall(searcher, 3, 5, searcher.selection, 0.9, None, seed=0)


def test_the_report_says_how_recall_is_spread() -> None:
    """One query in five misses two of its four neighbors; one in ten misses one."""
    missed = {row: [1, 2] for row in range(0, ROWS, 5)} | {row: [3] for row in range(1, ROWS, 10)}
    report = measured(LineSearcher(missed), 4, 0.8)
    assert report.below_target == pytest.approx(0.3)
    assert report.worst_tenth == 0.5
    assert report.regions == ()


def test_the_recall_of_each_region_is_reported(tmp_path: Path) -> None:
    """Two groups far apart; searches of one are exact, those of the other find nothing right."""
    rng = np.random.default_rng(0)
    right, wrong = rng.normal(size=(2, 300, 8)).astype(np.float32) + np.array([[[0]], [[100]]])
    c = vs.create(tmp_path / "c", dim=8, metric="l2")
    c.add(np.concatenate([right, wrong]).astype(np.float32))
    searcher = c._searching()
    plain = searcher.search

    def search(query: Any, *arguments: Any) -> Any:
        return plain(query if query.mean() < 50 else -query, *arguments)

    searcher.search = search  # type: ignore[method-assign]
    report = c.measure_recall(k=5, n_queries=600, recall=0.1, regions=2)
    assert [(region.recall, region.queries) for region in report.regions] == [(0, 300), (1, 300)]
    assert report.recall == 0.5
    for regions in (-1, 2.5, True, "2", 10**6):
        with pytest.raises(vs.InvalidInputError, match="regions is"):
            c.measure_recall(regions=regions)  # type: ignore[arg-type]
