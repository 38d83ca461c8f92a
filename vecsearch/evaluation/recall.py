"""Measure a live collection against exact search."""

from __future__ import annotations

import warnings

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.errors import InvalidInputError, RecallWarning
from vecsearch.evaluation.metrics import bootstrap_interval, recall_at_k
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
    """Recall@k of `search(recall=target)` over the kept rows. queries: float32 (nq, dim) as stored, or None for random rows.

    Warns (RecallWarning) when the recall lies below the target by more than chance.
    """
    rows = searcher.snapshot.live.rows
    if not len(rows) or not selection.count or n_queries < 1:
        raise InvalidInputError(
            "there is nothing to measure: no row matches, or no query was asked for"
        )
    own = None
    if queries is None:
        own = np.random.default_rng(seed).choice(rows, min(n_queries, len(rows)), replace=False)
        queries = searcher.snapshot.stored_vectors(own)
        query_source = "rows of the collection"
    measured = recall_of_each(searcher, queries, k, selection, target, own)
    if not measured:
        raise InvalidInputError("there is nothing to measure: only the query rows themselves match")
    low, high = bootstrap_interval(measured)
    report = RecallReport(
        float(np.mean(measured)), low, high, k, len(measured), target, query_source
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
    searcher: Searcher,
    queries: Vectors,
    k: int,
    selection: RowSelection,
    target: float,
    own: Positions | None = None,
) -> list[float]:
    """Recall of each query. own: the row each query is itself, int64 (nq,), which it is not to find."""
    wider = min(k + (own is not None), selection.count)  # one more, for the query row itself
    found = [
        searcher.search(query, wider, selection, target, False) for query in queries
    ]  # as `search` does, not as a batch
    exact_scores, exact_rows = searcher.scorer.search(
        queries, wider, selection, 1 if len(queries) == 1 else 2
    )
    out = []
    for number, item in enumerate(found):
        mine = -1 if own is None else own[number]
        left, right = item.positions != mine, exact_rows[number] != mine
        truth_rows, truth_scores = exact_rows[number][right][:k], exact_scores[number][right][:k]
        if not len(truth_rows):
            continue
        got = np.full(k, -1, np.int64)
        scores = np.full(k, -np.inf)
        positions = item.positions[left][:k]
        got[: len(positions)] = positions
        scores[: len(positions)] = item.scores[left][:k]
        out.append(
            float(
                recall_at_k(
                    got[None],
                    scores[None],
                    truth_rows[None],
                    truth_scores[None],
                    k,
                    len(truth_rows),
                )[0]
            )
        )
    return out
