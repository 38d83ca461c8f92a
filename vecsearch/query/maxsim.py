"""Searches rows with several vectors by MaxSim: an index of their encodings proposes candidates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.index.attached import attach
from vecsearch.index.faiss import NOTHING_OUTSIDE, FaissIndex
from vecsearch.index.maxsim_scorer import EncodedIndex, MaxSimScorer, Queries, queries_of
from vecsearch.index.named import NamedSnapshot
from vecsearch.index.outside import Outside, OutsideCodes
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.listed import FaissSearch
from vecsearch.query.paths import Found, Unanswered
from vecsearch.query.plan import exact_plan, plan
from vecsearch.query.selection import Selector
from vecsearch.query.selection_state import SelectionStates
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Plan

UNANSWERED = {
    Unanswered.TOO_FEW: "too few candidates match the filter, so every matching row was scored",
    Unanswered.UNSURE: "the encodings of the index do not tell the query's hits apart",
    Unanswered.FAR: "the query is farther from the rows than any the index was measured on",
}


class MaxSimSearcher:
    """Searches one version by vectors of which a row has several. Thread-safe."""

    def __init__(self, snapshot: NamedSnapshot) -> None:
        self.snapshot = snapshot
        self.scorer = MaxSimScorer(snapshot)
        self.attached = attach(snapshot)
        self.selector = Selector(snapshot)
        scorer = cast(VectorScorer, self.scorer)
        self._states = SelectionStates(
            self.attached, scorer, _WithoutCodes(snapshot, self.attached)
        )
        index = self.attached.index
        self._by_index = None
        if index is not None:
            encoded = cast(FaissIndex, EncodedIndex(index))
            self._by_index = FaissSearch(encoded, self.attached, scorer, self._states)

    def query_of(self, vectors: Vectors) -> Queries:
        """A query, float32 (number, dim), as `search` takes it."""
        return queries_of(self.snapshot, [vectors])

    def queries_at(self, rows: Positions) -> Queries:
        """Rows as queries."""
        vectors, counts = self.snapshot.lists_of(rows)
        lists = np.split(vectors, np.cumsum(counts)[:-1]) if len(rows) else []
        return queries_of(self.snapshot, lists)

    def plan(self, k: int, recall: float, exact_search: bool, selection: RowSelection) -> Plan:
        """How a search runs."""
        stats = self._states.of(selection).stats
        return plan(min(k, selection.count or 1), recall, exact_search, stats)

    def search(
        self, query: Any, k: int, selection: RowSelection, recall: float, exact_search: bool
    ) -> Found:
        """The k best selected rows for a query, as `query_of` gives it."""
        how = self.plan(k, recall, exact_search, selection)
        k = min(k, selection.count or 1)
        if how.method == "empty":
            return Found(np.empty(0, np.int64), np.empty(0, np.float32), how)
        if how.method == "index" and self._by_index is not None:
            (answer,) = self._by_index.run_many(query, k, selection, how, 1)
            if isinstance(answer, Found):
                return answer
            tried = f"index tried first (effort {how.effort})"
            instead = exact_plan(self._states.of(selection).stats, UNANSWERED[answer])
            how = replace(instead, steps=(*how.steps, tried))
        scores, rows = self.scorer.search(query, k, selection)
        return Found(rows, scores, how)

    def within(self, query: Any, min_score: float, selection: RowSelection) -> Found:
        """Every selected row that scores at least `min_score`, best first."""
        scores, rows = self.scorer.search(query, selection.count, selection)
        kept = scores.astype(np.float64) >= min_score
        reason = f"every row that scores at least {min_score:g} was asked for"
        stats = self._states.of(selection).stats
        return Found(rows[kept], scores[kept], exact_plan(stats, reason))


class _WithoutCodes(Outside):
    """The rows outside an index; MaxSim decides about all of them."""

    @property
    def codes(self) -> OutsideCodes:
        rows = self.rows
        return OutsideCodes(rows[:0], NOTHING_OUTSIDE[0], rows)
