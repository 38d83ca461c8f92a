"""measure_recall, with a searcher whose answers and recall are known."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import vecsearch as vs
from vecsearch.evaluation.recall import measure_recall

ROWS = 400


class LineSearcher:
    """Rows 0 to 399 on a line; row n's best rows are n, n + 1, n + 2, ... (around the end).

    Its searches find these, but for `missed` of each query's first four.

    Attributes:
        widths: How many hits each search asked for.
    """

    def __init__(self, missed: dict[int, list[int]]) -> None:
        self.missed = missed
        self.widths: set[int] = set()
        live = SimpleNamespace(rows=np.arange(ROWS), count=ROWS)
        self.snapshot = SimpleNamespace(live=live, stored_vectors=self.vectors)
        self.scorer = SimpleNamespace(search_final=self.exact)
        self.selection = live

    def vectors(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return np.asarray(rows, np.float32)[:, None]

    def best(self, query: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
        return (int(query[0]) + np.arange(k)) % ROWS

    def exact(
        self, queries: npt.NDArray[np.float32], k: int, selection: Any, threads: int
    ) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
        return [(-np.arange(k, dtype=np.float32), self.best(query, k)) for query in queries]

    def search(
        self, query: npt.NDArray[np.float32], k: int, selection: Any, recall: float, exact: bool
    ) -> SimpleNamespace:
        self.widths.add(k)
        missed = self.missed.get(int(query[0]), [])
        found = np.array([rank for rank in range(k + len(missed)) if rank not in missed][:k])
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
