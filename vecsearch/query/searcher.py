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
from vecsearch.index.calibration import OperatingPoint, operating_points
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

    kept: RowSelection
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

    def plan(self, k: int, recall: float, exactly: bool, kept: RowSelection, *, batch: bool = False) -> Plan:
        """What a search for k rows would do, alone or as one of a batch."""
        codes = not batch and LOADER.module is not None and self.scorer.table is not None
        known = self._known(kept)
        key = (k, recall, exactly, codes)
        remembered = known.plans.get(key)
        if remembered is not None:
            return remembered
        made = plan(k, recall, exactly, known.stats if codes else replace(known.stats, codes=()))
        if len(known.plans) >= PLANS:
            known.plans = {}
        known.plans[key] = made
        return made

    def stats(self, kept: RowSelection) -> Stats:
        """What plans for these rows rest on."""
        return self._known(kept).stats

    def _known(self, kept: RowSelection) -> _Filtered:
        known = self._filters.get(id(kept))
        if known is not None and known.kept is kept:  # an id may come back for another object
            return known
        known = _Filtered(kept, self._stats(kept), {})
        with self._lock:
            if len(self._filters) >= CACHED_FILTERS:
                self._filters.clear()
            self._filters[id(kept)] = known
        return known

    def _stats(self, kept: RowSelection) -> Stats:
        entry = self.attached.entry
        if entry is None:
            return Stats(kept.count)
        fresh = self.attached.unindexed_rows
        fresh_kept = len(fresh) if kept.mask is None else int(np.count_nonzero(kept.mask[fresh]))
        codes = entry.calibration.get("codes", {})
        return Stats(
            kept.count,
            entry.rows,
            kept.count - fresh_kept,
            self._points,
            entry.calibration.get("exact_micros_per_row", 0.25),
            operating_points(codes),
            codes.get("micros_per_row", 0.02),
        )

    @cached_property
    def _points(self) -> tuple[OperatingPoint, ...]:
        entry = self.attached.entry
        return operating_points(entry.calibration) if entry else ()

    # -- one query -------------------------------------------------------------------------------------------------------

    def search(self, query: Vectors, k: int, kept: RowSelection, recall: float, exactly: bool) -> Found:
        """The k best kept rows for one query (float32 (dim,), as stored: unit length for cosine)."""
        chosen = self.plan(k, recall, exactly, kept)
        if chosen.method == "index":
            index = self.attached.index
            assert index is not None
            if self.metric is not Metric.COSINE and not index.covers(query[None])[0]:
                return self._exact(query, k, kept, self._far(kept))
            compiled = LOADER.after_queries()
            if compiled is not None and index.walk is not None and self.scorer.table is not None:
                return self._walked(compiled, query, k, kept, chosen)
            rows, _ = index.candidates(query[None], chosen.depth, chosen.effort, 1, self.attached.row_map)
            return self._finish(query, rows[0], k, kept, chosen)
        if chosen.method == "scan":
            return self._scanned(query, k, kept, chosen)
        return self._exact(query, k, kept, chosen)

    def _far(self, kept: RowSelection) -> Plan:
        return exact_plan(self.stats(kept), "the query is longer or farther than anything the index was trained on")

    def _walked(self, compiled: ModuleType, query: Vectors, k: int, kept: RowSelection, chosen: Plan) -> Found:
        """What `candidates` and `_finish` do, in one compiled call."""
        index = self.attached.index
        assert index is not None and index.walk is not None
        found = index.walk.search(compiled, query, k, self._request(k, kept, chosen))
        if found is None:
            return self._exact(query, k, kept, self._not_enough(chosen, k, kept))
        return Found(*found, chosen)

    def _scanned(self, query: Vectors, k: int, kept: RowSelection, chosen: Plan) -> Found:
        """Codes of all kept rows choose candidates, and their vectors decide."""
        index = self.attached.index
        compiled = LOADER.module
        assert index is not None and index.walk is not None and compiled is not None
        if self.metric is Metric.L2 and not index.covers(query[None])[0]:
            return self._exact(query, k, kept, self._far(kept))
        return Found(*index.walk.scan(compiled, query, k, self._nodes(kept), self._request(k, kept, chosen)), chosen)

    def _request(self, k: int, kept: RowSelection, chosen: Plan) -> Request:
        """The plan, and where things lie, for compiled code."""
        assert self.scorer.table is not None
        return Request(
            self.attached.row_map,
            NO_MASK if kept.mask is None else kept.mask,
            self._fresh(kept) if chosen.fresh_rows else NOTHING,
            *self.scorer.table,
            self.metric is Metric.L2,
            chosen.effort,
            chosen.depth,
            chosen.depth if kept.mask is None else chosen.reach,
            min(k, self.stats(kept).indexed_kept),
        )

    def _nodes(self, kept: RowSelection) -> npt.NDArray[np.int32]:
        """The index's own rows that are kept, ascending."""
        known = self._known(kept)
        if known.nodes is None:
            assert self.attached.row_map is not None
            places = self.attached.row_map[:-1]
            there = places >= 0
            if kept.mask is not None:
                there &= kept.mask[places]
            known.nodes = np.flatnonzero(there).astype(np.int32)
        return known.nodes

    def _finish(self, query: Vectors, rows: Positions, k: int, kept: RowSelection, chosen: Plan) -> Found:
        """Re-score what the index proposed, or turn exact when too little of it matches."""
        if kept.mask is None:
            if self.attached.has_gaps or rows[-1] < 0:
                rows = rows[rows >= 0]
            if len(rows) < k and len(rows) < self.stats(kept).indexed_kept:
                return self._exact(query, k, kept, self._not_enough(chosen, k, kept))
        else:
            matching = kept.mask[rows] & (rows >= 0)
            if np.count_nonzero(matching[: chosen.reach]) < min(k, self.stats(kept).indexed_kept):
                return self._exact(query, k, kept, self._not_enough(chosen, k, kept))
            rows = rows[matching]
        if chosen.fresh_rows:
            rows = np.concatenate([rows, self._fresh(kept)])
        scores, rows = self.scorer.best(query, rows, k)
        return Found(rows, scores, chosen)

    def _not_enough(self, chosen: Plan, k: int, kept: RowSelection) -> Plan:
        why = f"fewer than {k} of the first {chosen.reach:,} candidates match the filter, so every matching row was scored"
        return replace(exact_plan(self.stats(kept), why), steps=(f"index tried first (effort {chosen.effort})",))

    def _exact(self, query: Vectors, k: int, kept: RowSelection, chosen: Plan) -> Found:
        scores, rows = self.scorer.search(query[None], min(k, kept.count), kept, 1)
        return Found(rows[0], scores[0], chosen)

    def _fresh(self, kept: RowSelection) -> Positions:
        fresh = self.attached.unindexed_rows
        return fresh if kept.mask is None else fresh[kept.mask[fresh]]

    # -- exact, and batches ----------------------------------------------------------------------------------------------

    def within(self, query: Vectors, min_score: float, kept: RowSelection) -> Found:
        """Every kept row that scores at least `min_score`, best first: exact."""
        scores = self.scorer.score(query, kept.rows)
        hit = np.flatnonzero(scores >= min_score)
        scores, rows = best(scores[hit], kept.rows[hit], len(hit))
        return Found(rows, scores, exact_plan(self.stats(kept), f"every row that scores at least {min_score:g} was asked for"))

    def batch(
        self, queries: Vectors, k: int, kepts: Sequence[RowSelection], recall: float, exactly: bool, threads: int | None = None
    ) -> list[Found]:
        """Search many queries (float32 (nq, dim)), each with its own kept rows, using all cores."""
        threads = threads or os.cpu_count() or 1
        found: list[Found | None] = [None] * len(queries)
        groups: dict[int, list[int]] = {}
        for number, kept in enumerate(kepts):
            groups.setdefault(id(kept), []).append(number)
        for numbers in groups.values():
            kept = kepts[numbers[0]]
            for at in range(0, len(numbers), BATCH_QUERIES):
                some = numbers[at : at + BATCH_QUERIES]
                for number, item in zip(some, self._group(queries[some], k, kept, recall, exactly, threads), strict=True):
                    found[number] = item
        return [item for item in found if item is not None]

    def _group(self, queries: Vectors, k: int, kept: RowSelection, recall: float, exactly: bool, threads: int) -> list[Found]:
        """Queries that share their kept rows: by the index those that it can answer, the others exactly, each kind at once."""
        chosen = self.plan(k, recall, exactly, kept, batch=True)
        found: list[Found] = [Found(NOTHING, NO_SCORES, chosen)] * len(queries)
        left = np.arange(len(queries))
        plans = dict.fromkeys(left.tolist(), chosen)
        if chosen.method == "index":
            answered, rows, scores, far = self._by_index(queries, k, kept, chosen, threads)
            for at, row, score in zip(np.flatnonzero(answered).tolist(), rows, scores, strict=True):
                found[at] = Found(row, score, chosen)
            left = np.flatnonzero(~answered)
            for at in left.tolist():
                plans[at] = self._far(kept) if far[at] else self._not_enough(chosen, k, kept)
        if len(left):
            scores, rows = self.scorer.search(queries[left], min(k, kept.count), kept, threads)
            for at, row, score in zip(left.tolist(), rows, scores, strict=True):
                found[at] = Found(row, score, plans[at])
        return found

    def _by_index(
        self, queries: Vectors, k: int, kept: RowSelection, chosen: Plan, threads: int
    ) -> tuple[Mask, Positions, Scores, Mask]:
        """What `_finish` does, for many queries: which were answered, their rows and scores, and which lie too far."""
        index = self.attached.index
        assert index is not None
        far = np.zeros(len(queries), bool) if self.metric is Metric.COSINE else ~index.covers(queries)
        compiled = LOADER.after_queries(len(queries))
        if compiled is not None and index.walk is not None and self.scorer.table is not None:
            k = min(k, kept.count)
            request = self._request(k, kept, chosen)
            rows, scores, counts = index.walk.search_many(compiled, queries, k, request, threads)
            answered = (counts >= 0) & ~far
            return answered, rows[answered], scores[answered], far
        rows, _ = index.candidates(queries, chosen.depth, chosen.effort, threads, self.attached.row_map)
        matching = rows >= 0
        if kept.mask is not None:
            matching &= kept.mask[rows]
        enough = np.count_nonzero(matching[:, : chosen.reach], axis=1) >= min(k, self.stats(kept).indexed_kept)
        answered = enough & ~far
        rows = np.where(matching, rows, -1)[answered]
        if chosen.fresh_rows:
            fresh = self._fresh(kept)
            rows = np.concatenate([rows, np.broadcast_to(fresh, (len(rows), len(fresh)))], axis=1)
        scores = self.scorer.score_lists(queries[answered], rows, threads)
        scores, rows = exact.merge([(scores, rows)], min(k, kept.count))
        return answered, rows, scores, far

    # -- one hit a document ----------------------------------------------------------------------------------------------

    def documents(self, query: Vectors, k: int, kept: RowSelection, recall: float, exactly: bool) -> Found:
        """The k best documents, each by its best passage: fetch passages until they come from k documents."""
        width = min(k * OVERFETCH, kept.count)
        while True:
            found = self.search(query, max(width, 1), kept, recall, exactly)
            first: dict[object, int] = {}
            for at, name in enumerate(self.snapshot.ids_at(found.positions)):
                first.setdefault(name, at)
            if len(first) >= k or width >= kept.count:
                chosen = np.array(list(first.values())[:k], np.int64)
                return Found(found.positions[chosen], found.scores[chosen], found.plan)
            width = min(width * OVERFETCH, kept.count)
