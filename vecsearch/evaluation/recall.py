"""Measure a live collection's recall against exact search."""

from __future__ import annotations

import warnings

import numpy as np

from vecsearch.common.arrays import Positions, Scores, Vectors
from vecsearch.errors import InvalidInputError, RecallWarning
from vecsearch.evaluation.metrics import bootstrap_interval, recall_at_k
from vecsearch.index.kernels.loader import LOADER
from vecsearch.query.searcher import Searcher
from vecsearch.storage.selection import RowSelection
from vecsearch.types import RecallReport


def measure_recall(
    searcher: Searcher,
    k: int,
    n_queries: int,
    selection: RowSelection,
    target: float,
    queries: Vectors | None,
    seed: int,
    query_source: str = "the user's own queries",
) -> RecallReport:
    """Recall@k of searches with a recall target, over the selected rows.

    Warns (RecallWarning) if the recall is below the target by more than chance: if the upper end of
    its 99% interval is.

    Args:
        searcher: The version to search.
        k: The number of hits.
        n_queries: How many random rows to search for, where there are no queries.
        selection: The rows that may be found.
        target: The recall that the searches ask for.
        queries: float32, shape (nq, dim), normalized as the rows are; None searches for random
            rows, each of which is to find its neighbors but not itself.
        seed: Seed of the choice of rows.
        query_source: What the queries are, for the report.

    Returns:
        Mean recall, and its 99% bootstrap interval.

    Raises:
        InvalidInputError: There is nothing to measure.
    """
    rows = searcher.snapshot.live.rows
    if not len(rows) or not selection.count or n_queries < 1:
        raise InvalidInputError("there is nothing to measure: no row matches, or there is no query")
    query_rows = None
    if queries is None:
        rng = np.random.default_rng(seed)
        query_rows = rng.choice(rows, min(n_queries, len(rows)), replace=False)
        queries = searcher.snapshot.stored_vectors(query_rows)
        query_source = "rows of the collection"
    recalls = recall_of_each(searcher, queries, k, selection, target, query_rows)
    if not recalls:
        raise InvalidInputError("there is nothing to measure: only the query rows themselves match")
    low, high = bootstrap_interval(recalls)
    report = RecallReport(float(np.mean(recalls)), low, high, k, len(recalls), target, query_source)
    if high < target:
        warnings.warn(
            RecallWarning(
                f"recall@{k} is {report.recall:.3f} (at most {high:.3f}), below the target of "
                f"{target:g}",
                hint="build_index() measures the collection again, and build_index(queries=...) "
                "with queries like these; until then search with exact=True",
                command_hint="`vecsearch build` measures the collection again, with --queries on "
                "queries like these; until then search with --exact",
            ),
            stacklevel=3,
        )
    return report


def recall_of_each(
    searcher: Searcher,
    queries: Vectors,
    k: int,
    selection: RowSelection,
    target: float,
    query_rows: Positions | None = None,
) -> list[float]:
    """Recall@k of each query; queries for which no row may be found are left out.

    Args:
        searcher: The version to search.
        queries: float32, shape (nq, dim), normalized as the rows are.
        k: The number of hits.
        selection: The rows that may be found.
        target: The recall that the searches ask for.
        query_rows: The row that each query is, int64 (nq,), which does not count as found; None if
            the queries are no rows.

    Returns:
        The recalls, in order.
    """
    # One hit more than k, as a query row finds itself. Queries are searched one by one, like
    # `search`.
    width = min(k + (query_rows is not None), selection.count)
    LOADER.kernels(len(queries))  # compiled, if there are many
    found = [searcher.search(query, width, selection, target, False) for query in queries]
    exact = searcher.scorer.search_final(queries, width, selection, 1 if len(queries) == 1 else 2)
    recalls = []
    for number, hits in enumerate(found):
        query_row = -1 if query_rows is None else int(query_rows[number])
        best, best_scores = _without(query_row, exact[number][1], exact[number][0], k)
        if not len(best):
            continue
        rows, scores = _without(query_row, hits.positions, hits.scores, k)
        padding = k - len(rows)
        recall = recall_at_k(
            np.pad(rows, (0, padding), constant_values=-1)[None],
            np.pad(scores, (0, padding), constant_values=-np.inf)[None],
            best[None],
            best_scores[None],
            k,
            len(best),
        )
        recalls.append(float(recall[0]))
    return recalls


def _without(row: int, rows: Positions, scores: Scores, k: int) -> tuple[Positions, Scores]:
    """The first k rows and scores, leaving out one row."""
    others = rows != row
    return rows[others][:k], scores[others][:k]
