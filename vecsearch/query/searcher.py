"""Execute a plan: mask → candidates → true scores → the k best, merged with the rows outside the index.

Every score handed out is the true score of the stored vector; an index only proposes rows.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Mask, Positions, Scores, Vectors
from vecsearch.index import exact
from vecsearch.index.attached import attach
from vecsearch.index.calibration import Calibration
from vecsearch.index.exact import best
from vecsearch.index.faiss import LOADER, NO_MASK, Request
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.plan import Stats, exact_plan, plan
from vecsearch.query.selection import CACHED_FILTERS, Selector
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric, Plan

BATCH_QUERIES = 1024  # queries of a batch searched together
NOTHING, NO_SCORES = np.empty(0, np.int64), np.empty(0, np.float32)
PLANS = 1024  # remembered a filter
OVERFETCH = 4  # passages fetched a document wanted, when hits are one a document; more when they do not suffice


@dataclass(frozen=True, slots=True)
class Found:
    """Positions found for one query, best first: positions int64, scores float32."""

    positions: Positions
    scores: Scores
    plan: Plan


@dataclass(slots=True)
class _Filtered:
    """What is remembered of the rows that one filter keeps, for it is asked with many queries.

    plans: by k, recall, exactness, and whether codes may be compared. nodes: the index's own rows among them.
    """

    selection: RowSelection
    stats: Stats
    plans: dict[tuple[int, float, bool, bool], Plan]
    nodes: npt.NDArray[np.int32] | None = None


class Searcher:
    """Searches one snapshot. Thread-safe."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.metric = snapshot.manifest.metric
        self.attached = attach(snapshot)
        self.scorer = VectorScorer(snapshot)
        self.selector = Selector(snapshot)
        self._filters: dict[int, _Filtered] = {}
        self._lock = threading.Lock()

    # -- planning --------------------------------------------------------------------------------------------------------

    def plan(
        self,
        k: int,
        recall: float,
        exact_search: bool,
        selection: RowSelection,
        *,
        batch: bool = False,
    ) -> Plan:
        """What a search for k rows would do, alone or as one of a batch."""
        codes = not batch and LOADER.module is not None and self.scorer.table is not None
        known = self._known(selection)
        key = (k, recall, exact_search, codes)
        remembered = known.plans.get(key)
        if remembered is not None:
            return remembered
        made = plan(
            k, recall, exact_search, known.stats if codes else replace(known.stats, codes=())
        )
        if len(known.plans) >= PLANS:
            known.plans = {}
        known.plans[key] = made
        return made

    def stats(self, selection: RowSelection) -> Stats:
        """What plans for these rows rest on."""
        return self._known(selection).stats

    def _known(self, selection: RowSelection) -> _Filtered:
        known = self._filters.get(id(selection))
        if (
            known is not None and known.selection is selection
        ):  # an id may come back for another object
            return known
        known = _Filtered(selection, self._stats(selection), {})
        with self._lock:
            if len(self._filters) >= CACHED_FILTERS:
                self._filters.clear()
            self._filters[id(selection)] = known
        return known

    def _stats(self, selection: RowSelection) -> Stats:
        entry = self.attached.entry
        if entry is None:
            return Stats(selection.count)
        unindexed = self.attached.unindexed_rows
        unindexed_selected = (
            len(unindexed)
            if selection.mask is None
            else int(np.count_nonzero(selection.mask[unindexed]))
        )
        return Stats(
            selection.count,
            entry.rows,
            selection.count - unindexed_selected,
            self._calibration.points,
            self._calibration.exact_micros_per_row,
            self._calibration.code_points,
            self._calibration.code_micros_per_row,
        )

    @cached_property
    def _calibration(self) -> Calibration:
        entry = self.attached.entry
        return Calibration.from_mapping(entry.calibration if entry else {})

    # -- one query -------------------------------------------------------------------------------------------------------

    def search(
        self, query: Vectors, k: int, selection: RowSelection, recall: float, exact_search: bool
    ) -> Found:
        """The k best kept rows for one query (float32 (dim,), as stored: unit length for cosine)."""
        chosen = self.plan(k, recall, exact_search, selection)
        if chosen.method == "index":
            index = self.attached.index
            assert index is not None
            if self.metric is not Metric.COSINE and not index.covers(query[None])[0]:
                return self._exact(query, k, selection, self._far(selection))
            compiled = LOADER.after_queries()
            if (
                compiled is not None
                and index.graph_search is not None
                and self.scorer.table is not None
            ):
                return self._search_graph(compiled, query, k, selection, chosen)
            rows, _ = index.candidates(
                query[None], chosen.depth, chosen.effort, 1, self.attached.row_map
            )
            return self._finish(query, rows[0], k, selection, chosen)
        if chosen.method == "scan":
            return self._scanned(query, k, selection, chosen)
        return self._exact(query, k, selection, chosen)

    def _far(self, selection: RowSelection) -> Plan:
        return exact_plan(
            self.stats(selection),
            "the query is longer or farther than anything the index was trained on",
        )

    def _search_graph(
        self, compiled: ModuleType, query: Vectors, k: int, selection: RowSelection, chosen: Plan
    ) -> Found:
        """What `candidates` and `_finish` do, in one compiled call."""
        index = self.attached.index
        assert index is not None and index.graph_search is not None
        found = index.graph_search.search(compiled, query, k, self._request(k, selection, chosen))
        if found is None:
            return self._exact(query, k, selection, self._not_enough(chosen, k, selection))
        return Found(*found, chosen)

    def _scanned(self, query: Vectors, k: int, selection: RowSelection, chosen: Plan) -> Found:
        """Codes of all kept rows choose candidates, and their vectors decide."""
        index = self.attached.index
        compiled = LOADER.module
        assert index is not None and index.graph_search is not None and compiled is not None
        if self.metric is Metric.L2 and not index.covers(query[None])[0]:
            return self._exact(query, k, selection, self._far(selection))
        return Found(
            *index.graph_search.scan(
                compiled, query, k, self._nodes(selection), self._request(k, selection, chosen)
            ),
            chosen,
        )

    def _request(self, k: int, selection: RowSelection, chosen: Plan) -> Request:
        """The plan, and where things lie, for compiled code."""
        assert self.scorer.table is not None
        return Request(
            self.attached.row_map,
            NO_MASK if selection.mask is None else selection.mask,
            self._unindexed(selection) if chosen.unindexed_rows else NOTHING,
            *self.scorer.table,
            self.metric is Metric.L2,
            chosen.effort,
            chosen.depth,
            chosen.depth if selection.mask is None else chosen.candidate_window,
            min(k, self.stats(selection).indexed_kept),
        )

    def _nodes(self, selection: RowSelection) -> npt.NDArray[np.int32]:
        """The index's own rows that are kept, ascending."""
        known = self._known(selection)
        if known.nodes is None:
            assert self.attached.row_map is not None
            row_map = self.attached.row_map[:-1]
            there = row_map >= 0
            if selection.mask is not None:
                there &= selection.mask[row_map]
            known.nodes = np.flatnonzero(there).astype(np.int32)
        return known.nodes

    def _finish(
        self, query: Vectors, rows: Positions, k: int, selection: RowSelection, chosen: Plan
    ) -> Found:
        """Re-score what the index proposed, or turn exact when too little of it matches."""
        if selection.mask is None:
            if self.attached.has_gaps or rows[-1] < 0:
                rows = rows[rows >= 0]
            if len(rows) < k and len(rows) < self.stats(selection).indexed_kept:
                return self._exact(query, k, selection, self._not_enough(chosen, k, selection))
        else:
            matching = selection.mask[rows] & (rows >= 0)
            if np.count_nonzero(matching[: chosen.candidate_window]) < min(
                k, self.stats(selection).indexed_kept
            ):
                return self._exact(query, k, selection, self._not_enough(chosen, k, selection))
            rows = rows[matching]
        if chosen.unindexed_rows:
            rows = np.concatenate([rows, self._unindexed(selection)])
        scores, rows = self.scorer.best(query, rows, k)
        return Found(rows, scores, chosen)

    def _not_enough(self, chosen: Plan, k: int, selection: RowSelection) -> Plan:
        window = f"the first {chosen.candidate_window:,} candidates"
        why = f"fewer than {k} of {window} match the filter, so every matching row was scored"
        return replace(
            exact_plan(self.stats(selection), why),
            steps=(f"index tried first (effort {chosen.effort})",),
        )

    def _exact(self, query: Vectors, k: int, selection: RowSelection, chosen: Plan) -> Found:
        scores, rows = self.scorer.search(query[None], min(k, selection.count), selection, 1)
        return Found(rows[0], scores[0], chosen)

    def _unindexed(self, selection: RowSelection) -> Positions:
        unindexed = self.attached.unindexed_rows
        return unindexed if selection.mask is None else unindexed[selection.mask[unindexed]]

    # -- exact, and batches ----------------------------------------------------------------------------------------------

    def within(self, query: Vectors, min_score: float, selection: RowSelection) -> Found:
        """Every kept row that scores at least `min_score`, best first: exact."""
        scores = self.scorer.score(query, selection.rows)
        hit = np.flatnonzero(scores >= min_score)
        scores, rows = best(scores[hit], selection.rows[hit], len(hit))
        return Found(
            rows,
            scores,
            exact_plan(
                self.stats(selection), f"every row that scores at least {min_score:g} was asked for"
            ),
        )

    def batch(
        self,
        queries: Vectors,
        k: int,
        selections: Sequence[RowSelection],
        recall: float,
        exact_search: bool,
        threads: int | None = None,
    ) -> list[Found]:
        """Search many queries (float32 (nq, dim)), each with its own kept rows, using all cores."""
        threads = threads or os.cpu_count() or 1
        found: list[Found | None] = [None] * len(queries)
        groups: dict[int, list[int]] = {}
        for number, selection in enumerate(selections):
            groups.setdefault(id(selection), []).append(number)
        for numbers in groups.values():
            selection = selections[numbers[0]]
            for at in range(0, len(numbers), BATCH_QUERIES):
                some = numbers[at : at + BATCH_QUERIES]
                for number, item in zip(
                    some,
                    self._group(queries[some], k, selection, recall, exact_search, threads),
                    strict=True,
                ):
                    found[number] = item
        return [item for item in found if item is not None]

    def _group(
        self,
        queries: Vectors,
        k: int,
        selection: RowSelection,
        recall: float,
        exact_search: bool,
        threads: int,
    ) -> list[Found]:
        """Queries that share their kept rows: by the index those that it can answer, the others exactly, each kind at once."""
        chosen = self.plan(k, recall, exact_search, selection, batch=True)
        found: list[Found] = [Found(NOTHING, NO_SCORES, chosen)] * len(queries)
        left = np.arange(len(queries))
        plans = dict.fromkeys(left.tolist(), chosen)
        if chosen.method == "index":
            answered, rows, scores, far = self._by_index(queries, k, selection, chosen, threads)
            for at, row, score in zip(np.flatnonzero(answered).tolist(), rows, scores, strict=True):
                found[at] = Found(row, score, chosen)
            left = np.flatnonzero(~answered)
            for at in left.tolist():
                plans[at] = (
                    self._far(selection) if far[at] else self._not_enough(chosen, k, selection)
                )
        if len(left):
            scores, rows = self.scorer.search(
                queries[left], min(k, selection.count), selection, threads
            )
            for at, row, score in zip(left.tolist(), rows, scores, strict=True):
                found[at] = Found(row, score, plans[at])
        return found

    def _by_index(
        self, queries: Vectors, k: int, selection: RowSelection, chosen: Plan, threads: int
    ) -> tuple[Mask, Positions, Scores, Mask]:
        """What `_finish` does, for many queries: which were answered, their rows and scores, and which lie too far."""
        index = self.attached.index
        assert index is not None
        far = (
            np.zeros(len(queries), bool) if self.metric is Metric.COSINE else ~index.covers(queries)
        )
        compiled = LOADER.after_queries(len(queries))
        if (
            compiled is not None
            and index.graph_search is not None
            and self.scorer.table is not None
        ):
            k = min(k, selection.count)
            request = self._request(k, selection, chosen)
            rows, scores, counts = index.graph_search.search_many(
                compiled, queries, k, request, threads
            )
            answered = (counts >= 0) & ~far
            return answered, rows[answered], scores[answered], far
        rows, _ = index.candidates(
            queries, chosen.depth, chosen.effort, threads, self.attached.row_map
        )
        matching = rows >= 0
        if selection.mask is not None:
            matching &= selection.mask[rows]
        enough = np.count_nonzero(matching[:, : chosen.candidate_window], axis=1) >= min(
            k, self.stats(selection).indexed_kept
        )
        answered = enough & ~far
        rows = np.where(matching, rows, -1)[answered]
        if chosen.unindexed_rows:
            unindexed = self._unindexed(selection)
            rows = np.concatenate(
                [rows, np.broadcast_to(unindexed, (len(rows), len(unindexed)))], axis=1
            )
        scores = self.scorer.score_lists(queries[answered], rows, threads)
        scores, rows = exact.merge([(scores, rows)], min(k, selection.count))
        return answered, rows, scores, far

    # -- one hit a document ----------------------------------------------------------------------------------------------

    def documents(
        self, query: Vectors, k: int, selection: RowSelection, recall: float, exact_search: bool
    ) -> Found:
        """The k best documents, each by its best passage: fetch passages until they come from k documents."""
        width = min(k * OVERFETCH, selection.count)
        while True:
            found = self.search(query, max(width, 1), selection, recall, exact_search)
            first: dict[object, int] = {}
            for at, name in enumerate(self.snapshot.ids_at(found.positions)):
                first.setdefault(name, at)
            if len(first) >= k or width >= selection.count:
                chosen = np.array(list(first.values())[:k], np.int64)
                return Found(found.positions[chosen], found.scores[chosen], found.plan)
            width = min(width * OVERFETCH, selection.count)
