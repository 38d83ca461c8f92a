"""Measure a live collection against exact search."""

from __future__ import annotations

import numpy as np

from vecsearch.errors import InvalidInputError
from vecsearch.evaluate import bootstrap_interval, recall_at_k
from vecsearch.exact import Scores
from vecsearch.search import Searcher
from vecsearch.snapshot import Kept
from vecsearch.types import RecallReport


def measure_recall(
    searcher: Searcher, k: int, n_queries: int, kept: Kept, target: float, queries: Scores | None, seed: int
) -> RecallReport:
    """Recall@k of `search(recall=target)` over the kept rows. queries: float32 (nq, dim) as stored, or None for random rows."""
    rows = searcher.snapshot.live.rows
    if not len(rows) or not kept.count or n_queries < 1:
        raise InvalidInputError("there is nothing to measure: no row matches, or no query was asked for")
    own = np.full(0, -1, np.int64)
    if queries is None:
        own = np.random.default_rng(seed).choice(rows, min(n_queries, len(rows)), replace=False)
        queries = searcher.snapshot.stored_vectors(own)
    wider = min(k + (len(own) > 0), kept.count)  # one more, for the query row itself
    found = searcher.batch(queries, wider, [kept] * len(queries), target, False)
    exact_scores, exact_rows = searcher.exact(queries, wider, kept, 2)
    recalls = []
    for number, item in enumerate(found):
        mine = own[number] if len(own) else -1
        left, right = item.positions != mine, exact_rows[number] != mine
        truth_rows, truth_scores = exact_rows[number][right][:k], exact_scores[number][right][:k]
        if not len(truth_rows):
            continue
        got = np.full(k, -1, np.int64)
        scores = np.full(k, -np.inf)
        positions = item.positions[left][:k]
        got[: len(positions)] = positions
        scores[: len(positions)] = item.scores[left][:k]
        recalls.append(recall_at_k(got[None], scores[None], truth_rows[None], truth_scores[None], k, len(truth_rows))[0])
    if not recalls:
        raise InvalidInputError("there is nothing to measure: only the query rows themselves match")
    low, high = bootstrap_interval(recalls)
    asked_with = "rows of the collection" if len(own) else "the queries given"
    return RecallReport(float(np.mean(recalls)), low, high, k, len(recalls), target, asked_with)
