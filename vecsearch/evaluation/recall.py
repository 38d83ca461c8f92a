"""Measure a live collection's recall against exact search."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Positions
from vecsearch.errors import InvalidInputError, RecallWarning
from vecsearch.evaluation.metrics import bootstrap_interval, recall_at_k
from vecsearch.index.faiss.regions import regions_of
from vecsearch.index.kernels.loader import LOADER
from vecsearch.index.maxsim_scorer import as_documents
from vecsearch.query.maxsim import MaxSimSearcher
from vecsearch.query.named import each_query
from vecsearch.query.ranking import DocumentRanking, VectorRanking
from vecsearch.query.searcher import Searcher
from vecsearch.storage.selection import RowSelection
from vecsearch.types import RecallReport, RegionRecall

ROWS_A_REGION = 500  # sampled to find the regions
ROUNDING = 1e-9


def measure_recall(
    searcher: Searcher | MaxSimSearcher,
    k: int,
    n_queries: int,
    selection: RowSelection,
    target: float,
    queries: Any,
    seed: int,
    query_source: str = "the user's own queries",
    regions: int = 0,
    *,
    documents: bool = False,
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
        queries: As the searcher takes them, such as float32 (nq, dim), normalized as the rows are;
            None searches for random rows, each of which is to find its neighbors but not itself.
        seed: Seed of the choice of rows.
        query_source: What the queries are, for the report.
        regions: Regions of the data to measure apart; 0 for none.
        documents: Whether documents are to be found, each by its best passage, and not rows.

    Returns:
        Mean recall and its 99% bootstrap interval, and how the recall is spread over the queries.

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
        if isinstance(searcher, MaxSimSearcher):
            queries = searcher.queries_at(query_rows)
        else:
            queries = searcher.snapshot.stored_vectors(query_rows)
        query_source = "rows of the collection"
    of_each = recall_of_documents if documents else recall_of_each
    recalls = of_each(searcher, queries, k, selection, target, query_rows)
    measured = ~np.isnan(recalls)
    queries, recalls = queries[measured], recalls[measured]
    if not len(recalls):
        raise InvalidInputError("there is nothing to measure: only the query rows themselves match")
    low, high = bootstrap_interval(recalls)
    worst = np.sort(recalls)[: max(1, len(recalls) // 10)]
    report = RecallReport(
        float(np.mean(recalls)),
        low,
        high,
        k,
        len(recalls),
        target,
        query_source,
        below_target=float(np.mean(recalls < target - ROUNDING)),
        worst_tenth=float(np.mean(worst)),
        regions=_by_region(searcher, queries, recalls, regions, seed),
    )
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
    searcher: Searcher | MaxSimSearcher,
    queries: Any,
    k: int,
    selection: RowSelection,
    target: float,
    query_rows: Positions | None = None,
) -> npt.NDArray[np.float64]:
    """Recall@k of each query; NaN for a query for which no row may be found.

    Args:
        searcher: The version to search.
        queries: float32, shape (nq, dim), normalized as the rows are.
        k: The number of hits.
        selection: The rows that may be found.
        target: The recall that the searches ask for.
        query_rows: The row that each query is, int64 (nq,), which does not count as found; None if
            the queries are no rows.

    Returns:
        float64 (nq,).
    """
    # One hit more than k, as a query row finds itself. Queries are searched one by one, like
    # `search`.
    width = min(k + (query_rows is not None), selection.count)
    LOADER.kernels(len(queries))  # compiled, if there are many
    scorer: Any = searcher.scorer
    each = each_query(queries)
    found = [searcher.search(query, width, selection, target, False) for query in each]
    truth = scorer.truth(queries, width, selection, 1 if len(queries) == 1 else 2)
    recalls = np.full(len(queries), np.nan)
    for number, hits in enumerate(found):
        query_row = -1 if query_rows is None else int(query_rows[number])
        best = _without(query_row, truth.rows[number], k)
        wanted = int(np.count_nonzero(truth.rows[number, best] >= 0))
        if not wanted:
            continue
        positions = hits.positions[_without(query_row, hits.positions, k)]
        rows = np.full((1, k), -1, np.int64)
        rows[0, : len(positions)] = positions
        recall = recall_at_k(
            rows,
            scorer.final_scores(queries[number : number + 1], rows),
            truth.rows[number : number + 1, best],
            truth.scores[number : number + 1, best],
            k,
            wanted,
            tolerance=truth.tolerances[number, best[wanted - 1]],
        )
        recalls[number] = recall[0]
    return recalls


def recall_of_documents(
    searcher: Searcher | MaxSimSearcher,
    queries: Any,
    k: int,
    selection: RowSelection,
    target: float,
    query_rows: Positions | None = None,
) -> npt.NDArray[np.float64]:
    """`recall_of_each` where documents are found, each by its best passage.

    A query that is a passage is not to find its own document.
    """
    snapshot = searcher.snapshot
    recalls = np.full(len(queries), np.nan)
    for number, query in enumerate(each_query(queries)):
        own = None
        if query_rows is not None:
            name = snapshot.take([snapshot.manifest.id_column], query_rows[number : number + 1])
            own = snapshot.locate(name.column(0))[1]
        found, truth = (
            DocumentRanking(
                VectorRanking(searcher, query, selection, target, exact, own), snapshot
            ).fetch(k)
            for exact in (False, True)
        )
        wanted = len(truth.positions)
        if wanted:
            right = set(snapshot.ids_at(truth.positions))
            least = float(truth.scores[-1]) - ROUNDING * abs(float(truth.scores[-1]))
            ids = snapshot.ids_at(found.positions)
            hits = [
                which in right or score >= least
                for which, score in zip(ids, found.scores.tolist(), strict=True)
            ]
            recalls[number] = min(sum(hits), wanted) / wanted
    return recalls


def _by_region(
    searcher: Searcher | MaxSimSearcher,
    queries: Any,
    recalls: npt.NDArray[np.float64],
    count: int,
    seed: int,
) -> tuple[RegionRecall, ...]:
    """The recall of each region of the data that has queries, the worst first."""
    rows = searcher.snapshot.live.rows
    count = min(count, len(rows))
    if count < 1:
        return ()
    rng = np.random.default_rng(seed)
    sample = rng.choice(rows, min(len(rows), ROWS_A_REGION * count), replace=False)
    vectors = searcher.snapshot.stored_vectors(np.sort(sample))
    if queries.dtype.names:  # of several vectors each
        queries = as_documents(queries)
    region = regions_of(vectors, queries, count, seed)
    found = [recalls[region == number] for number in range(count)]
    reports = [RegionRecall(*_interval(part), len(part)) for part in found if len(part)]
    return tuple(sorted(reports, key=lambda report: report.recall))


def _interval(recalls: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    return float(np.mean(recalls)), *bootstrap_interval(recalls)


def _without(row: int, rows: Positions, k: int) -> Positions:
    """Places of the first k rows, leaving out one row."""
    return np.flatnonzero(rows != row)[:k]
