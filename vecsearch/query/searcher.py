"""Searches one snapshot: select rows, plan, run an access path, fall back to exact search.

Every score is the true score of the stored vector; an index only proposes rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vecsearch.common.arrays import Mask, Vectors
from vecsearch.common.cores import cores
from vecsearch.common.deadline import check_time
from vecsearch.common.lazy import lazy
from vecsearch.index.attached import attach
from vecsearch.index.kernels.loader import LOADER, Kernel
from vecsearch.index.outside import Outside
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.listed import FaissSearch
from vecsearch.query.paths import (
    AccessPath,
    CodeScan,
    ExactScan,
    Found,
    KernelSearch,
    Unanswered,
)
from vecsearch.query.plan import Stats, exact_plan, plan, scan_plan
from vecsearch.query.selection import Selector
from vecsearch.query.selection_state import SelectionStates
from vecsearch.query.text.search import TextSearcher
from vecsearch.query.union import IndexUnion, PartOfRows
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric, Plan

BATCH_QUERIES = 1024  # queries of a batch that are searched together
# Passages fetched for each document wanted, if hits are documents; more if they do not suffice.
OVERFETCH = 4


class Searcher:
    """Searches one snapshot. Thread-safe."""

    def __init__(self, snapshot: Snapshot, part: PartOfRows | None = None) -> None:
        """part: the index to search, and the scorer; None for all indexes of the snapshot."""
        self.snapshot = snapshot
        self.metric = snapshot.manifest.metric
        self.chunked = snapshot.manifest.chunked
        self.attached = attach(snapshot) if part is None else part.attached
        self.scorer = VectorScorer(snapshot) if part is None else part.scorer
        self.selector = Selector(snapshot)
        outside = Outside(snapshot, self.attached)
        self.states = SelectionStates(self.attached, self.scorer, outside)
        self._is_part = part is not None
        self.exact = ExactScan(self.scorer)
        self._numba = LOADER.available()
        self._has_range = self.metric is not Metric.COSINE  # unit vectors are always in range

    @property
    def kernel(self) -> Kernel:
        """What searches the index: "numba" (or numpy until it is loaded), or "faiss"."""
        index = self.attached.index
        fits = self._numba and self.scorer.float32 and index is not None
        return "numba" if fits and index is not None and index.graph_search else "faiss"

    @lazy
    def words(self) -> TextSearcher:
        """What searches by words. Raises QueryError if the collection has no text index."""
        return TextSearcher(self.snapshot)

    @lazy
    def paths(self) -> dict[str, AccessPath]:
        """The access path of each method that a plan may name."""
        paths: dict[str, AccessPath] = {"exact": self.exact, "empty": self.exact}
        index = self.attached.index
        if index is None:
            return paths
        self.scorer.scattered = index.on_disk
        graph, compiled = index.graph_search, self.kernel == "numba"
        # Rows in a graph of bytes may lie outside it with codes of their own: kernels know these.
        judged = self._numba and self.scorer.float32 and graph is None and not index.on_disk
        given = index, self.attached, self.scorer, self.states
        paths["index"] = faiss = FaissSearch(*given, compiled=judged)
        if graph is not None:
            paths["scan"] = CodeScan(graph, self.states, compiled=compiled)
            if compiled:
                paths["index"] = KernelSearch(graph, self.states, faiss)
        return paths

    @lazy
    def union(self) -> IndexUnion | None:
        """What searches several indexes together; None if there is only one."""
        parts = () if self._is_part else self.attached.parts
        if len(parts) < 2:
            return None
        searchers = [Searcher(self.snapshot, PartOfRows(part, self.scorer)) for part in parts]
        return IndexUnion(searchers, self.scorer)

    def _divided(self, recall: float, exact_search: bool) -> IndexUnion | None:
        return None if exact_search or recall >= 1 else self.union

    @lazy
    def named(self) -> dict[str, Any]:
        """What searches the named vectors of this version, by column, as it is needed."""
        return {}

    # -- planning ------------------------------------------------------------------------------

    def plan(self, k: int, recall: float, exact_search: bool, selection: RowSelection) -> Plan:
        """How a search for k rows runs, alone or in a batch. `recall` is the target in 0..1."""
        union = self._divided(recall, exact_search)
        if union is not None:
            return union.plan(k, recall, selection)
        state = self.states.of(selection)
        k = min(k, selection.count or 1)
        key = (k, recall, exact_search)
        remembered = state.plans.get(key)
        if remembered is None:
            remembered = plan(k, recall, exact_search, state.stats)
            state.remember(key, remembered)
        return remembered

    def stats(self, selection: RowSelection) -> Stats:
        """What plans for these rows rest on."""
        return self.states.of(selection).stats

    def _out_of_range(self, selection: RowSelection) -> Plan:
        reason = "the query is longer or farther than anything the index was trained on"
        return exact_plan(self.stats(selection), reason)

    def _instead(
        self, tried: Plan, why: Unanswered, k: int, recall: float, selection: RowSelection
    ) -> Plan:
        """How to search for what a plan did not find."""
        stats, window = self.stats(selection), tried.candidate_window
        reason = {
            Unanswered.TOO_FEW: (
                f"fewer than {k} of the first {window:,} candidates match the filter, "
                "so every matching row was scored"
            ),
            Unanswered.UNSURE: "the codes of the index do not tell the query's hits apart",
            Unanswered.FAR: "the query is farther from the rows than any the index was measured on",
        }[why]
        scanned = None
        if why is Unanswered.UNSURE and tried.method == "index":
            scanned = scan_plan(k, recall, stats, reason)
        instead = scanned or exact_plan(stats, reason)
        step = f"index tried first (effort {tried.effort})"
        if tried.method == "scan":
            step = f"codes tried first ({tried.depth} candidates)"
        return replace(instead, steps=(*tried.steps, step))

    def _covered(self, queries: Vectors, plan: Plan) -> Mask:
        """Which queries a plan is for: an index was fitted to a range of vectors."""
        if not self._has_range or plan.method not in ("index", "scan"):
            return np.ones(len(queries), bool)
        assert self.attached.index is not None
        return self.attached.index.covers(queries)

    # -- searching -----------------------------------------------------------------------------

    def search(
        self, query: Vectors, k: int, selection: RowSelection, recall: float, exact_search: bool
    ) -> Found:
        """The k best selected rows for one query.

        Args:
            query: float32 (dim,), as stored: unit length for cosine.
            k: How many rows to find.
            selection: The rows that may be found.
            recall: The target in 0..1.
            exact_search: Score every selected row.
        """
        plan = self.plan(k, recall, exact_search, selection)
        k = min(k, selection.count or 1)
        if plan.parts and self.union is not None:
            return self.union.search(query, k, selection, recall)
        if self._has_range and not self._covered(query[None], plan).all():
            plan = self._out_of_range(selection)
        found = self.paths[plan.method].run(query, k, selection, plan)
        while isinstance(found, Unanswered):
            plan = self._instead(plan, found, k, recall, selection)
            found = self.paths[plan.method].run(query, k, selection, plan)
        return found

    def batch(
        self,
        queries: Vectors,
        k: int,
        selections: Sequence[RowSelection],
        recall: float,
        exact_search: bool,
        threads: int | None = None,
    ) -> list[Found]:
        """Search many queries, float32 (nq, dim), each with its own selection, on all cores.

        The results are those of `search` for each query.
        """
        threads = threads or cores()
        groups: dict[RowSelection, list[int]] = {}
        for number, selection in enumerate(selections):
            groups.setdefault(selection, []).append(number)
        found: dict[int, Found] = {}
        for selection, numbers in groups.items():
            for start in range(0, len(numbers), BATCH_QUERIES):
                check_time()
                part = numbers[start : start + BATCH_QUERIES]
                answers = self.group(queries[part], k, selection, recall, exact_search, threads)
                found.update(zip(part, answers, strict=True))
        return [found[number] for number in range(len(queries))]

    def group(
        self,
        queries: Vectors,
        k: int,
        selection: RowSelection,
        recall: float,
        exact_search: bool,
        threads: int,
    ) -> list[Found]:
        """`search` for queries that share a selection."""
        plan = self.plan(k, recall, exact_search, selection)
        k = min(k, selection.count or 1)
        if plan.parts and self.union is not None:
            return self.union.search_many(queries, k, selection, recall, threads)
        covered = self._covered(queries, plan)
        found: dict[int, Found] = {}
        waiting = {plan: np.flatnonzero(covered).tolist()}
        if not covered.all():
            waiting[self._out_of_range(selection)] = np.flatnonzero(~covered).tolist()
        while waiting:
            plan, numbers = waiting.popitem()
            path = self.paths[plan.method]
            answers = path.run_many(queries[numbers], k, selection, plan, threads)
            for number, answer in zip(numbers, answers, strict=True):
                if isinstance(answer, Unanswered):
                    instead = self._instead(plan, answer, k, recall, selection)
                    waiting.setdefault(instead, []).append(number)
                else:
                    found[number] = answer
        return [found[number] for number in range(len(queries))]

    def within(self, query: Vectors, min_score: float, selection: RowSelection) -> Found:
        """Every selected row that scores at least `min_score`, best first, by exact search."""
        selected = selection.rows
        scores = self.scorer.score(query, selected)
        near = selected[scores >= min_score - self.scorer.rounding_error(query, min_score)]
        scores, rows = self.scorer.final_one(query, near, len(near))
        hits = np.flatnonzero(scores.astype(np.float64) >= min_score)
        scores, rows = scores[hits], rows[hits]
        reason = f"every row that scores at least {min_score:g} was asked for"
        return Found(rows, scores, exact_plan(self.stats(selection), reason))
