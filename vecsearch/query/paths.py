"""Access paths: how the rows for a query are found, ranked by their final scores.

`run` takes one query, float32 (dim,), `run_many` several, float32 (nq, dim); unit length for
cosine. They return None where too few of the candidates are selected: then the caller scores
every row.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from vecsearch.common.arrays import Positions, Scores, Vectors
from vecsearch.index.attached import AttachedIndex
from vecsearch.index.faiss import FaissIndex
from vecsearch.index.faiss.graph_search import GraphSearch
from vecsearch.index.kernels.loader import LOADER
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.selection_state import SelectionStates
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Plan


class Found(NamedTuple):
    """What was found for one query, best first: positions int64, scores float32."""

    positions: Positions
    scores: Scores
    plan: Plan


class AccessPath(Protocol):
    def run(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Found | None: ...

    def run_many(
        self, queries: Vectors, k: int, selection: RowSelection, plan: Plan, threads: int
    ) -> list[Found | None]: ...


class ExactScan:
    """Scores every selected row."""

    def __init__(self, scorer: VectorScorer) -> None:
        self._scorer = scorer

    def run(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Found:
        ((scores, rows),) = self._scorer.search_final(query[None], k, selection, 1)
        return Found(rows, scores, plan)

    def run_many(
        self, queries: Vectors, k: int, selection: RowSelection, plan: Plan, threads: int
    ) -> list[Found | None]:
        found = self._scorer.search_final(queries, k, selection, threads)
        return [Found(rows, scores, plan) for scores, rows in found]


class FaissSearch:
    """FAISS's search of any index proposes candidates; their vectors decide."""

    def __init__(
        self,
        index: FaissIndex,
        attached: AttachedIndex,
        scorer: VectorScorer,
        states: SelectionStates,
    ) -> None:
        self._index = index
        self._attached = attached
        self._scorer = scorer
        self._states = states

    def run(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Found | None:
        state = self._states.of(selection)
        rows = self._candidates(query[None], plan, 1)[0]
        passing = state.passing(rows)
        if np.count_nonzero(passing[: state.window(plan)]) < state.enough(k):
            return None
        listed = rows[passing]
        if plan.unindexed_rows:
            listed = np.concatenate([listed, state.unindexed])
        scores, positions = self._scorer.best_final(query, listed, k)
        return Found(positions, scores, plan)

    def run_many(
        self, queries: Vectors, k: int, selection: RowSelection, plan: Plan, threads: int
    ) -> list[Found | None]:
        state = self._states.of(selection)
        rows = self._candidates(queries, plan, threads)
        passing = state.passing(rows)
        early = np.count_nonzero(passing[:, : state.window(plan)], axis=1)
        enough = early >= state.enough(k)
        listed = np.where(passing, rows, -1)[enough]
        if plan.unindexed_rows:
            more = np.broadcast_to(state.unindexed, (len(listed), len(state.unindexed)))
            listed = np.concatenate([listed, more], axis=1)
        scores = self._scorer.score_lists(queries[enough], listed, threads)
        found: list[Found | None] = [None] * len(queries)
        for number, rows_of, scores_of in zip(
            np.flatnonzero(enough).tolist(), listed, scores, strict=True
        ):
            there = rows_of >= 0
            best, positions = self._scorer.best_final(
                queries[number], rows_of[there], k, scores_of[there]
            )
            found[number] = Found(positions, best, plan)
        return found

    def _candidates(self, queries: Vectors, plan: Plan, threads: int) -> Positions:
        row_map = self._attached.row_map
        return self._index.candidates(queries, plan.depth, plan.effort, threads, row_map)[0]


class KernelSearch:
    """The kernels search a graph of signed bytes and score its candidates in one call."""

    def __init__(self, graph: GraphSearch, states: SelectionStates, faiss: FaissSearch) -> None:
        self._graph = graph
        self._states = states
        self._faiss = faiss  # serves if numba turns out to be broken

    def run(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Found | None:
        kernels = LOADER.kernels()
        if kernels is None:
            return self._faiss.run(query, k, selection, plan)
        request = self._states.of(selection).request(k, plan)
        found = self._graph.search(kernels, query, k, request)
        return None if found is None else Found(found[0], found[1], plan)

    def run_many(
        self, queries: Vectors, k: int, selection: RowSelection, plan: Plan, threads: int
    ) -> list[Found | None]:
        kernels = LOADER.kernels(len(queries))
        if kernels is None:
            return self._faiss.run_many(queries, k, selection, plan, threads)
        request = self._states.of(selection).request(k, plan)
        found = self._graph.search_many(kernels, queries, k, request, threads)
        return _each(*found, plan)


class CodeScan:
    """The codes of all selected rows choose candidates; their vectors decide."""

    def __init__(
        self,
        graph: GraphSearch,
        attached: AttachedIndex,
        scorer: VectorScorer,
        states: SelectionStates,
        *,
        compiled: bool,
    ) -> None:
        self._graph = graph
        self._attached = attached
        self._scorer = scorer
        self._states = states
        self._compiled = compiled

    def run(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Found:
        state = self._states.of(selection)
        kernels = LOADER.kernels() if self._compiled else None
        if kernels is None:
            return self._by_numpy(query, k, selection, plan)
        request = state.request(k, plan)
        found = self._graph.scan(kernels, query, k, state.nodes, request)
        return Found(*found, plan)

    def run_many(
        self, queries: Vectors, k: int, selection: RowSelection, plan: Plan, threads: int
    ) -> list[Found | None]:
        state = self._states.of(selection)
        kernels = LOADER.kernels(len(queries)) if self._compiled else None
        if kernels is None:
            return [self._by_numpy(query, k, selection, plan) for query in queries]
        request = state.request(k, plan)
        found = self._graph.search_many(kernels, queries, k, request, threads, state.nodes)
        return _each(*found, plan)

    def _by_numpy(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Found:
        state, row_map = self._states.of(selection), self._attached.row_map
        assert row_map is not None
        nearest = self._graph.nearest_codes(query, plan.depth, state.nodes)
        listed = np.concatenate([row_map[nearest].astype(np.int64), state.unindexed])
        scores, positions = self._scorer.best_final(query, listed, k)
        return Found(positions, scores, plan)


def _each(rows: Positions, scores: Scores, counts: Positions, plan: Plan) -> list[Found | None]:
    return [
        None if count < 0 else Found(row[:count], score[:count], plan)
        for row, score, count in zip(rows, scores, counts.tolist(), strict=True)
    ]
