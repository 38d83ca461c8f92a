"""Access paths: how the rows for a query are found, ranked by their final scores.

`run` takes one query, float32 (dim,), `run_many` several, float32 (nq, dim); unit length for
cosine. They return why there is no answer where the candidates do not suffice: then the caller
scores every row.
"""

from __future__ import annotations

from enum import Enum
from types import ModuleType
from typing import NamedTuple, Protocol

import numpy as np

from vecsearch.common.arrays import Positions, Scores, Vectors
from vecsearch.index.faiss.graph_search import GraphSearch, Nodes
from vecsearch.index.kernels import numpy_hnsw
from vecsearch.index.kernels.arguments import FAR, TOO_FEW, UNSURE
from vecsearch.index.kernels.loader import LOADER
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.selection_state import SelectionState, SelectionStates
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Plan


class Found(NamedTuple):
    """What was found for one query, best first: positions int64, scores float32."""

    positions: Positions
    scores: Scores
    plan: Plan


class Unanswered(Enum):
    """Why a path has no answer for a query."""

    TOO_FEW = TOO_FEW  # of its candidates are selected
    UNSURE = UNSURE  # the query is too hard for the efforts of the plan
    FAR = FAR  # the query is farther from the rows than any that was measured


Answer = Found | Unanswered


class AccessPath(Protocol):
    def run(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Answer: ...

    def run_many(
        self, queries: Vectors, k: int, selection: RowSelection, plan: Plan, threads: int
    ) -> list[Answer]: ...


class ExactScan:
    """Scores every selected row."""

    def __init__(self, scorer: VectorScorer) -> None:
        self._scorer = scorer

    def run(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Found:
        ((scores, rows),) = self._scorer.search_final(query[None], k, selection, 1)
        return Found(rows, scores, plan)

    def run_many(
        self, queries: Vectors, k: int, selection: RowSelection, plan: Plan, threads: int
    ) -> list[Answer]:
        found = self._scorer.search_final(queries, k, selection, threads)
        return [Found(rows, scores, plan) for scores, rows in found]


class KernelSearch:
    """The kernels search a graph of signed bytes and score its candidates in one call."""

    def __init__(self, graph: GraphSearch, states: SelectionStates, faiss: AccessPath) -> None:
        self._graph = graph
        self._states = states
        self._faiss = faiss  # serves if numba turns out to be broken

    def run(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Answer:
        kernels = LOADER.kernels()
        if kernels is None:
            return self._faiss.run(query, k, selection, plan)
        return _search(self._graph, kernels, query, k, self._states.of(selection), plan, None)

    def run_many(
        self, queries: Vectors, k: int, selection: RowSelection, plan: Plan, threads: int
    ) -> list[Answer]:
        kernels = LOADER.kernels(len(queries))
        if kernels is None:
            return self._faiss.run_many(queries, k, selection, plan, threads)
        state = self._states.of(selection)
        return _search_many(self._graph, kernels, queries, k, state, plan, None, threads)


class CodeScan:
    """The codes of all selected rows choose candidates; their vectors decide."""

    def __init__(self, graph: GraphSearch, states: SelectionStates, *, compiled: bool) -> None:
        self._graph = graph
        self._states = states
        self._compiled = compiled

    def run(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Answer:
        state = self._states.of(selection)
        kernels = (LOADER.kernels() if self._compiled else None) or numpy_hnsw
        return _search(self._graph, kernels, query, k, state, plan, state.nodes)

    def run_many(
        self, queries: Vectors, k: int, selection: RowSelection, plan: Plan, threads: int
    ) -> list[Answer]:
        state = self._states.of(selection)
        kernels = (LOADER.kernels(len(queries)) if self._compiled else None) or numpy_hnsw
        arguments = k, state, plan, state.nodes, threads
        return _search_many(self._graph, kernels, queries, *arguments)


def _search(
    graph: GraphSearch,
    kernels: ModuleType,
    query: Vectors,
    k: int,
    state: SelectionState,
    plan: Plan,
    nodes: Nodes | None,
) -> Answer:
    found = UNSURE
    for request in state.requests(k, plan):
        rows, scores, found = graph.search(kernels, query, k, request, nodes)
        if found != UNSURE:
            break
    return Found(rows, scores, plan) if found >= 0 else Unanswered(found)


def _search_many(
    graph: GraphSearch,
    kernels: ModuleType,
    queries: Vectors,
    k: int,
    state: SelectionState,
    plan: Plan,
    nodes: Nodes | None,
    threads: int,
) -> list[Answer]:
    answers: list[Answer] = [Unanswered.UNSURE] * len(queries)
    hard = np.arange(len(queries))
    for request in state.requests(k, plan):
        found = graph.search_many(kernels, queries[hard], k, request, threads, nodes)
        for number, row, score, count in zip(hard.tolist(), *found, strict=True):
            if count >= 0:
                answers[number] = Found(row[:count], score[:count], plan)
            else:
                answers[number] = Unanswered(int(count))
        hard = hard[found[2] == UNSURE]
        if not len(hard):
            break
    return answers
