"""Access paths: how the rows for a query are found, ranked by their final scores.

`run` takes one query, float32 (dim,), `run_many` several, float32 (nq, dim); unit length for
cosine. They return why there is no answer where the candidates do not suffice: then the caller
scores every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from types import ModuleType
from typing import NamedTuple, Protocol

import numpy as np

from vecsearch.common.arrays import Positions, Scores, Vectors
from vecsearch.index.attached import AttachedIndex
from vecsearch.index.faiss import FaissIndex
from vecsearch.index.faiss.graph_search import GraphSearch, Nodes
from vecsearch.index.kernels import numpy_hnsw
from vecsearch.index.kernels.arguments import FAR, TOO_FEW, UNSURE
from vecsearch.index.kernels.loader import LOADER
from vecsearch.index.kernels.misses import allowed_misses, first_depth, next_stage
from vecsearch.index.kernels.numpy_hnsw import rank_candidates
from vecsearch.index.kernels.numpy_scores import Wide
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.selection_state import SelectionState, SelectionStates
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Plan

NONE_FOUND = float(np.finfo(np.float32).max)  # FAISS's distance where it has no candidate


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

    def run(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Answer:
        return self.run_many(query[None], k, selection, plan, 1)[0]

    def run_many(
        self, queries: Vectors, k: int, selection: RowSelection, plan: Plan, threads: int
    ) -> list[Answer]:
        ladder = plan.ladder
        efforts = (plan.effort,) if ladder is None else ladder.efforts
        answers: list[Answer] = [Unanswered.UNSURE] * len(queries)
        stages = np.zeros(len(queries), np.int64)
        for stage, effort in enumerate(efforts):
            numbers = np.flatnonzero(stages == stage)
            if not len(numbers):
                continue
            rows, distances = self._candidates(queries[numbers], plan, effort, threads)
            scores, contrasts = self._contrasts(queries[numbers], rows, plan)
            for place, number in enumerate(numbers.tolist()):
                near, contrast = distances[place], float(contrasts[place])
                stages[number] = len(efforts)
                if ladder is not None and scores[place] < ladder.farthest:
                    if stage >= ladder.far_from or stage == len(efforts) - 1:
                        answers[number] = Unanswered.FAR
                    else:
                        stages[number] = next_stage(stage, efforts)
                elif ladder is not None and contrast < ladder.contrasts[stage]:
                    stages[number] = _stage_for(stage, contrast, ladder.contrasts)
                else:
                    query = queries[number : number + 1]
                    answer = self._rank(query, rows[place], near, k, selection, plan)
                    answers[number] = answer
                    unsure = answer is Unanswered.UNSURE
                    stages[number] = next_stage(stage, efforts) if unsure else len(efforts)
        return answers

    def _candidates(
        self, queries: Vectors, plan: Plan, effort: int, threads: int
    ) -> tuple[Positions, Wide]:
        """Positions and distances of what the index proposes, (nq, candidates)."""
        depth = plan.depth if plan.ladder is None else self._index.pool(effort)
        if plan.ladder is not None:
            depth = max(depth, min(plan.ladder.rank, self._index.n))
        row_map = self._attached.row_map
        rows, distances = self._index.candidates(queries, depth, effort, threads, row_map)
        return rows, distances.astype(np.float64)

    def _contrasts(self, queries: Vectors, rows: Positions, plan: Plan) -> tuple[Wide, Wide]:
        """Score and contrast of the candidate of the ladder's rank, infinite if not known."""
        unknown = np.full(len(queries), np.inf)
        if plan.ladder is None:
            return unknown, unknown
        tail = rows[:, plan.ladder.rank - 1 :]
        present = tail >= 0  # the next candidate stands for one that is deleted
        first = tail[np.arange(len(tail)), present.argmax(axis=1)]
        scores = self._scorer.final_scores(queries, first[:, None])[:, 0]
        at_large = self._index.scores_at_large(queries)
        if at_large is None:
            return unknown, unknown
        contrasts = (scores - at_large[0]) / at_large[1]
        missing = ~present.any(axis=1)
        whole = np.count_nonzero(rows >= 0, axis=1) == self._index.n
        without = np.where(whole, np.inf, -np.inf)  # fewer than `rank` of many were found
        return np.where(missing, np.inf, scores), np.where(missing, without, contrasts)

    def _rank(
        self,
        query: Vectors,
        rows: Positions,
        distances: Wide,
        k: int,
        selection: RowSelection,
        plan: Plan,
    ) -> Answer:
        """Score the candidates of one query, an array of one."""
        state = self._states.of(selection)
        passing = state.passing(rows)
        if np.count_nonzero(passing[: state.window(plan)]) < state.enough(k):
            return Unanswered.TOO_FEW
        count = int(np.count_nonzero(distances < NONE_FOUND))
        complete = count == self._index.n
        outside = state.uncoded
        if len(state.outside[1]):
            assert self._index.graph_search is not None
            limit = distances[-1] if count == len(rows) and not complete else np.inf
            near = self._index.graph_search.near_outside(query[0], limit, state.outside)
            outside = np.concatenate([outside, near])
        if plan.ladder is None:
            listed = np.concatenate([rows[passing], outside])
            scores, positions = self._scorer.best_final(query[0], listed, k)
            return Found(positions, scores, plan)
        best = rank_candidates(
            lambda listed: self._scorer.final_scores(query, listed[None])[0],
            rows[passing],
            distances[passing],
            outside,
            complete,
            allowed_misses(k, plan.ladder.recall),
            first_depth(k),
            k,
        )
        if best is None:
            return Unanswered.UNSURE
        return Found(best[0], best[1].astype(np.float32), plan)


def _stage_for(stage: int, contrast: float, contrasts: Sequence[float]) -> int:
    """The next stage at which a query of this contrast may stop; else the last, then none."""
    last = len(contrasts) - 1
    if stage == last:
        return last + 1
    return next((at for at in range(stage + 1, last) if contrast >= contrasts[at]), last)


class KernelSearch:
    """The kernels search a graph of signed bytes and score its candidates in one call."""

    def __init__(self, graph: GraphSearch, states: SelectionStates, faiss: FaissSearch) -> None:
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
