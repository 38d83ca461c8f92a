"""Searches any index of FAISS: FAISS lists candidates, and their vectors decide.

Of each query, the candidates say what follows: its hits, a search with a larger effort, or that
there is no answer. `judge` of the kernels says it compiled, for float32 vectors in memory, and
`NumpyJudge` for all.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.index.attached import AttachedIndex
from vecsearch.index.faiss import FaissIndex
from vecsearch.index.kernels.arguments import AGAIN, NONE_FOUND
from vecsearch.index.kernels.loader import LOADER
from vecsearch.index.kernels.misses import first_depth
from vecsearch.index.kernels.numpy_hnsw import rank_candidates
from vecsearch.index.kernels.numpy_scores import Wide
from vecsearch.index.kernels.stages import next_stage, stage_after
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.paths import Answer, Found, Unanswered
from vecsearch.query.selection_state import SelectionState, SelectionStates, efforts_of
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Plan

# Of one query, an array of one, at a stage: its candidates, their distances, and mean and deviation
# of its scores with all rows, the latter 0 if not known. The answer, or the stage that follows.
Judge = Callable[[Vectors, int, Positions, Wide, float, float], "Answer | int"]


class FaissSearch:
    """FAISS's search of any index proposes candidates; their vectors decide.

    Args:
        index: The index.
        attached: The rows that it holds.
        scorer: What scores rows.
        states: What is known of each selection.
        compiled: Whether compiled code may judge: for float32 vectors in memory.
    """

    def __init__(
        self,
        index: FaissIndex,
        attached: AttachedIndex,
        scorer: VectorScorer,
        states: SelectionStates,
        *,
        compiled: bool = False,
    ) -> None:
        self._index = index
        self._attached = attached
        self._scorer = scorer
        self._states = states
        self._compiled = compiled

    def run(self, query: Vectors, k: int, selection: RowSelection, plan: Plan) -> Answer:
        return self.run_many(query[None], k, selection, plan, 1)[0]

    def run_many(
        self, queries: Vectors, k: int, selection: RowSelection, plan: Plan, threads: int
    ) -> list[Answer]:
        ladder, count = plan.ladder, len(queries)
        efforts = (plan.effort,) if ladder is None else ladder.efforts
        at_large = None if ladder is None else self._index.scores_at_large(queries)
        means, deviations = np.zeros((2, count)) if at_large is None else at_large
        judge = self._judge(count, k, self._states.of(selection), plan)
        answers: list[Answer] = [Unanswered.UNSURE] * count
        stages = np.zeros(count, np.int64)
        for stage, effort in enumerate(efforts):
            numbers = np.flatnonzero(stages == stage)
            if not len(numbers):
                continue
            rows, distances = self._candidates(queries[numbers], plan, effort, threads)
            for place, number in enumerate(numbers.tolist()):
                query = queries[number : number + 1]
                known = float(means[number]), float(deviations[number])
                found = judge(query, stage, rows[place], distances[place], *known)
                stages[number] = found if isinstance(found, int) else len(efforts)
                if not isinstance(found, int):
                    answers[number] = found
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

    def _judge(self, count: int, k: int, state: SelectionState, plan: Plan) -> Judge:
        if self._compiled:
            kernels = LOADER.kernels(count)
            if kernels is not None and kernels is LOADER.module:
                return _compiled_judge(kernels, self._index.n, k, state, plan)
        return NumpyJudge(self._index, self._scorer, k, state, plan)


def _compiled_judge(
    kernels: ModuleType, n: int, k: int, state: SelectionState, plan: Plan
) -> Judge:
    (request,) = state.requests(k, plan)

    def judge(
        query: Vectors, stage: int, rows: Positions, distances: Wide, mean: float, deviation: float
    ) -> Answer | int:
        hits, scores = np.empty(k, np.int64), np.empty(k)
        given = query[0], rows, distances, stage, n, mean, deviation, request
        found = kernels.judge(*given, np.empty_like(rows), np.empty_like(distances), hits, scores)
        if found >= 0:
            return Found(hits[:found], scores[:found].astype(np.float32), plan)
        return AGAIN - found if found <= AGAIN else Unanswered(found)

    return judge


class NumpyJudge:
    """Judges the candidates of one query after the other, as `numba_judge.judge`."""

    def __init__(
        self, index: FaissIndex, scorer: VectorScorer, k: int, state: SelectionState, plan: Plan
    ) -> None:
        self._index = index
        self._scorer = scorer
        self._k = k
        self._state = state
        self._plan = plan
        (self._effort,) = efforts_of(plan, k)

    def __call__(
        self,
        query: Vectors,
        stage: int,
        rows: Positions,
        distances: Wide,
        mean: float,
        deviation: float,
    ) -> Answer | int:
        following = next_stage(stage, self._effort.sizes)
        score, contrast = np.inf, np.inf
        if deviation > 0:
            score, contrast = self._contrast(query, rows, mean, deviation)
        after = stage_after(stage, following, score, contrast, self._effort)
        if after < 0:
            return Unanswered(after)
        if after > stage:
            return int(after)
        answer = self._rank(query, rows, distances)
        return following if answer is Unanswered.UNSURE else answer

    def _contrast(
        self, query: Vectors, rows: Positions, mean: float, deviation: float
    ) -> tuple[float, float]:
        """Score and contrast of the candidate of the ladder's rank, or the next not deleted."""
        tail = rows[self._effort.rank - 1 :]
        tail = tail[tail >= 0]
        if not len(tail):  # fewer than that were found: of many rows, or are they all?
            whole = np.count_nonzero(rows >= 0) == self._index.n
            return np.inf, np.inf if whole else -np.inf
        score = float(self._scorer.final_scores(query, tail[None, :1])[0, 0])
        return score, (score - mean) / deviation

    def _rank(self, query: Vectors, rows: Positions, distances: Wide) -> Answer:
        """Score the candidates until no more hits are expected among the others."""
        state, k, effort = self._state, self._k, self._effort
        passing = state.passing(rows)
        if np.count_nonzero(passing[: state.window(self._plan)]) < state.enough(k):
            return Unanswered.TOO_FEW
        count = int(np.count_nonzero(distances < NONE_FOUND))
        complete = count == self._index.n
        outside = state.uncoded
        if len(state.outside[1]):
            assert self._index.graph_search is not None
            limit = distances[-1] if count == len(rows) and not complete else np.inf
            near = self._index.graph_search.near_outside(query[0], limit, state.outside)
            outside = np.concatenate([outside, near])
        if self._plan.ladder is None:
            listed = np.concatenate([rows[passing], outside])
            scores, positions = self._scorer.best_final(query[0], listed, k)
            return Found(positions, scores, self._plan)
        best = rank_candidates(
            lambda listed: self._scorer.final_scores(query, listed[None])[0],
            *(rows[passing], distances[passing], outside, complete),
            *(effort.misses, first_depth(k), k),
        )
        if best is None:
            return Unanswered.UNSURE
        return Found(best[0], best[1].astype(np.float32), self._plan)
