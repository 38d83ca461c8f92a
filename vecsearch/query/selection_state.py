"""What is remembered of a row selection, because many queries share it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Mask, Positions
from vecsearch.common.fork import Lock
from vecsearch.common.lazy import lazy
from vecsearch.index.attached import AttachedIndex
from vecsearch.index.faiss import NO_MASK, Effort, Request, fixed_effort
from vecsearch.index.kernels.arguments import NO_ROWS
from vecsearch.index.kernels.misses import allowed_misses, first_depth
from vecsearch.index.outside import Outside
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.plan import Stats
from vecsearch.query.selection import CACHED_FILTERS
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Plan

PLANS = 1024  # remembered for each selection


class SelectionState:
    """Statistics, plans and index rows of one row selection."""

    def __init__(
        self,
        selection: RowSelection,
        attached: AttachedIndex,
        scorer: VectorScorer,
        outside: Outside,
    ) -> None:
        self.selection = selection
        self.plans: dict[tuple[int, float, bool], Plan] = {}
        self.stats = _stats(selection, attached, scorer, outside.rows)
        self._outside = outside
        self._attached = attached
        self._scorer = scorer
        self._requests: dict[tuple[Any, ...], list[Request]] = {}
        self._latest: tuple[Plan | None, int, list[Request]] = (None, 0, [])

    @lazy
    def unindexed(self) -> Positions:
        """Positions of the selected rows outside the index."""
        rows, mask = self._outside.rows, self.selection.mask
        return rows if mask is None else rows[mask[rows]]

    @lazy
    def uncoded(self) -> Positions:
        """Those of `unindexed` without a code."""
        rows, mask = self._outside.codes.uncoded, self.selection.mask
        return rows if mask is None else rows[mask[rows]]

    @lazy
    def nodes(self) -> npt.NDArray[np.int32]:
        """The index's own numbers of the selected rows, ascending."""
        assert self._attached.row_map is not None
        row_map = self._attached.row_map[:-1]
        selected = row_map >= 0
        if self.selection.mask is not None:
            selected &= self.selection.mask[row_map]
        return np.flatnonzero(selected).astype(np.int32)

    def remember(self, key: tuple[int, float, bool], plan: Plan) -> None:
        if len(self.plans) >= PLANS:
            self.plans = {}
        self.plans[key] = plan

    def passing(self, rows: Positions) -> Mask:
        """Which candidates are selected; -1 stands for none."""
        passing = rows >= 0
        if self.selection.mask is not None:
            passing &= self.selection.mask[rows]
        return passing

    def window(self, plan: Plan) -> int:
        """How many of the first candidates must hold `enough(k)` selected ones."""
        if plan.ladder is None and self.selection.mask is None:
            return plan.depth
        return plan.candidate_window

    def enough(self, k: int) -> int:
        """How many candidates must be selected for the measured recall to hold."""
        return min(k, self.stats.indexed_kept)

    @lazy
    def outside(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
        """Codes of the rows outside the index, and the position of each, -1 if not selected."""
        return self._outside.codes.in_selection(self.selection.mask)

    def requests(self, k: int, plan: Plan) -> list[Request]:
        """The plan as the kernels take it: one request after the other, for harder queries."""
        latest = self._latest
        if latest[0] is plan and latest[1] == k:
            return latest[2]
        key = (k, plan.method, plan.effort, plan.depth, plan.candidate_window, plan.ladder)
        requests = self._requests.get(key)
        if requests is None:
            if len(self._requests) >= PLANS:
                self._requests = {}
            requests = self._requests[key] = self._new_requests(k, plan)
        self._latest = (plan, k, requests)
        return requests

    def _new_requests(self, k: int, plan: Plan) -> list[Request]:
        assert self._scorer.table is not None
        mask, row_map = self.selection.mask, self._attached.row_map
        if row_map is None or row_map.dtype != np.int32:  # of an index that FAISS searches
            row_map = NO_ROWS
        return [
            Request(
                row_map,
                NO_MASK if mask is None else np.require(mask, bool, ["C", "W"]),
                np.require(self.uncoded, np.int64, ["C", "W"]),
                *self.outside,
                *self._scorer.table,
                self._scorer.code,
                effort,
                plan.depth if plan.ladder is None else first_depth(k),
                self.window(plan),
                self.enough(k),
            )
            for effort in efforts_of(plan, k)
        ]


def efforts_of(plan: Plan, k: int) -> list[Effort]:
    """How far to search for k rows; a later one is for queries that one before does not settle."""
    ladder = plan.ladder
    if ladder is None:
        return [fixed_effort(max(plan.effort, plan.depth))]
    efforts, contrasts = np.array(ladder.efforts), np.array(ladder.contrasts)
    misses = allowed_misses(k, ladder.recall)
    rest = ladder.rank, ladder.farthest, ladder.far_from, misses
    if plan.method != "scan":
        return [Effort(efforts, contrasts, *rest)]
    return [
        Effort(efforts[at : at + 1], contrasts[at : at + 1], *rest) for at in range(len(efforts))
    ]


class SelectionStates:
    """The states of the selections that are in use. Thread-safe."""

    def __init__(self, attached: AttachedIndex, scorer: VectorScorer, outside: Outside) -> None:
        self._attached = attached
        self._scorer = scorer
        self._outside = outside
        self._states: dict[RowSelection, SelectionState] = {}
        self._lock = Lock()

    def of(self, selection: RowSelection) -> SelectionState:
        state = self._states.get(selection)
        return self._new(selection) if state is None else state

    def _new(self, selection: RowSelection) -> SelectionState:
        state = SelectionState(selection, self._attached, self._scorer, self._outside)
        with self._lock:
            if len(self._states) >= CACHED_FILTERS:
                self._states = {}
            return self._states.setdefault(selection, state)


def _stats(
    selection: RowSelection, attached: AttachedIndex, scorer: VectorScorer, unindexed: Positions
) -> Stats:
    entry = attached.entry
    if entry is None:
        return Stats(selection.count)
    calibration = attached.calibration
    return Stats(
        selection.count,
        entry.rows,
        selection.count - selection.count_in(unindexed),
        calibration.points,
        calibration.exact_micros_per_row,
        calibration.code_points if scorer.float32 else (),
        calibration.code_micros_per_row,
    )
