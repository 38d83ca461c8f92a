"""Searches several indexes of one snapshot, each over its own rows, as if they were one.

Each part is searched with the selected rows that it holds, so filters, plans and fallbacks work as
for a single index. A part that reaches the target recall for its own k best rows reaches it for
those of them that are among the k best of all.

A small part hardly holds all k: it is searched for as many rows as its share of the selected rows
makes likely, with `WANTED_SIGMAS` standard deviations to spare. If all of them are among the k best
of all, more may be, and it is searched again for k.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.common.fork import Lock
from vecsearch.index.attached import AttachedIndex
from vecsearch.index.scorer import VectorScorer
from vecsearch.query.paths import Found
from vecsearch.query.selection import CACHED_FILTERS
from vecsearch.storage.selection import RowSelection
from vecsearch.types import Plan

WANTED_SIGMAS = 3.0
PLANS = 256  # of the whole, remembered


class PartOfRows(NamedTuple):
    """One index, and the scorer that all parts of a snapshot share."""

    attached: AttachedIndex
    scorer: VectorScorer


class PartSearcher(Protocol):
    """What searches one part: a `Searcher` of it alone."""

    attached: AttachedIndex

    def plan(self, k: int, recall: float, exact_search: bool, selection: RowSelection) -> Plan: ...

    def search(
        self, query: Vectors, k: int, selection: RowSelection, recall: float, exact_search: bool
    ) -> Found: ...

    def group(
        self,
        queries: Vectors,
        k: int,
        selection: RowSelection,
        recall: float,
        exact_search: bool,
        threads: int,
    ) -> list[Found]: ...


class Share(NamedTuple):
    """The selected rows of one part, at least one."""

    searcher: PartSearcher
    selection: RowSelection
    share: float  # of all selected rows

    def wanted(self, k: int) -> int:
        """How many of the k best rows of all this part holds at most, with high probability."""
        return min(k, _likely(k, self.share), self.selection.count)

    def may_hold_more(self, k: int, found: Found, best: Positions) -> bool:
        """Whether all rows that were wanted are among the best, and more could have been."""
        wanted = self.wanted(k)
        if wanted == min(k, self.selection.count) or len(found.positions) < wanted:
            return False
        return bool((best == found.positions[-1]).any())


@functools.lru_cache(maxsize=1024)
def _likely(k: int, share: float) -> int:
    """The number of `Share.wanted`, rows apart."""
    spread = WANTED_SIGMAS * math.sqrt(k * share * (1 - share))
    return math.ceil(k * share + spread) + 1


class IndexUnion:
    """The indexes of one snapshot, searched together. Thread-safe."""

    def __init__(self, parts: Sequence[PartSearcher], scorer: VectorScorer) -> None:
        """parts: the main index first; together they take every row."""
        self._parts = tuple(parts)
        self._scorer = scorer
        self._shares: dict[RowSelection, list[Share]] = {}
        self._chosen: dict[tuple[int, float, RowSelection], Plan] = {}
        self._plans: dict[tuple[int, ...], tuple[tuple[Plan, ...], Plan]] = {}
        self._lock = Lock()

    def plan(self, k: int, recall: float, selection: RowSelection) -> Plan:
        """How a search for k rows runs. Without `parts` it is one exact search of all rows."""
        k = min(k, selection.count or 1)
        key = k, recall, selection
        chosen = self._chosen.get(key)
        if chosen is None:
            chosen = self._choose(k, recall, selection)
            with self._lock:
                if len(self._chosen) >= PLANS:
                    self._chosen = {}
                self._chosen[key] = chosen
        return chosen

    def _choose(self, k: int, recall: float, selection: RowSelection) -> Plan:
        shares = self.shares(selection)
        plans = [
            share.searcher.plan(share.wanted(k), recall, False, share.selection) for share in shares
        ]
        if all(plan.method in ("exact", "empty") for plan in plans):
            first = plans[0] if plans else Plan("empty", "no row matches", 0)
            return replace(first, rows=selection.count)
        return self._whole(plans)

    def search(self, query: Vectors, k: int, selection: RowSelection, recall: float) -> Found:
        """The k best selected rows for one query, float32 (dim,); k of them are selected."""
        shares = self.shares(selection)
        found = [
            share.searcher.search(query, share.wanted(k), share.selection, recall, False)
            for share in shares
        ]
        whole = self._merged(query, k, found)
        if whole.positions is found[0].positions:
            return whole
        for number, share in enumerate(shares):
            if share.may_hold_more(k, found[number], whole.positions):
                found[number] = share.searcher.search(query, k, share.selection, recall, False)
                whole = self._merged(query, k, found)
        return whole

    def search_many(
        self, queries: Vectors, k: int, selection: RowSelection, recall: float, threads: int
    ) -> list[Found]:
        """`search` for many queries, float32 (nq, dim)."""
        shares = self.shares(selection)
        found = [
            share.searcher.group(queries, share.wanted(k), share.selection, recall, False, threads)
            for share in shares
        ]
        whole = [
            self._merged(query, k, [answers[number] for answers in found])
            for number, query in enumerate(queries)
        ]
        for share, answers in zip(shares, found, strict=True):
            again = [
                number
                for number, (answer, best) in enumerate(zip(answers, whole, strict=True))
                if share.may_hold_more(k, answer, best.positions)
            ]
            if not again:
                continue
            more = share.searcher.group(queries[again], k, share.selection, recall, False, threads)
            for number, answer in zip(again, more, strict=True):
                answers[number] = answer
                parts = [others[number] for others in found]
                whole[number] = self._merged(queries[number], k, parts)
        return whole

    def shares(self, selection: RowSelection) -> list[Share]:
        """The parts that hold selected rows."""
        shares = self._shares.get(selection)
        if shares is None:
            shares = self._divide(selection)
            with self._lock:
                if len(self._shares) >= CACHED_FILTERS:
                    self._shares = {}
                shares = self._shares.setdefault(selection, shares)
        return shares

    def _divide(self, selection: RowSelection) -> list[Share]:
        rows, left = self._scorer.snapshot.rows, selection.count
        whole = np.ones(rows, bool) if selection.mask is None else selection.mask.copy()
        divided = []
        for searcher in self._parts[1:]:
            own = searcher.attached.own_rows
            own = own[whole[own]]
            mask = np.zeros(rows, bool)
            mask[own], whole[own] = True, False
            divided.append((searcher, RowSelection(mask, len(own))))
            left -= len(own)
        selections = [(self._parts[0], RowSelection(whole, left)), *divided]
        return [
            Share(searcher, part, part.count / selection.count)
            for searcher, part in selections
            if part.count
        ]

    def _merged(self, query: Vectors, k: int, found: Sequence[Found]) -> Found:
        """The k best rows of all parts, with the scores and in the order of `scorer.final`."""
        first = found[0]
        if len(first.scores) == k and all(
            not len(part.scores) or part.scores[0] < first.scores[-1] for part in found[1:]
        ):
            return Found(first.positions, first.scores, self._whole([part.plan for part in found]))
        ranked = sorted(  # Python is faster than numpy for so few
            (-score, row)
            for part in found
            for score, row in zip(part.scores.tolist(), part.positions.tolist(), strict=True)
        )[: k + 1]
        if any(one[0] == other[0] for one, other in itertools.pairwise(ranked)):
            # Rounded to float32 they are equal; before, they may have differed.
            every = np.concatenate([part.positions for part in found])
            scores, rows = self._scorer.final_one(query, every, k)
        else:
            rows = np.array([row for _, row in ranked[:k]], np.int64)
            scores = np.array([-score for score, _ in ranked[:k]], np.float32)
        return Found(rows, scores, self._whole([part.plan for part in found]))

    def _whole(self, plans: Sequence[Plan]) -> Plan:
        """One plan that stands for those of the parts."""
        key = tuple(map(id, plans))
        remembered = self._plans.get(key)
        if remembered is not None:
            return remembered[1]
        head = next((plan for plan in plans if plan.method in ("index", "scan")), plans[0])
        whole = replace(
            head,
            rows=sum(plan.rows for plan in plans),
            expected_recall=min(plan.expected_recall for plan in plans),
            unindexed_rows=sum(plan.unindexed_rows for plan in plans),
            steps=tuple(step for plan in plans for step in plan.steps),
            parts=tuple(plans),
        )
        with self._lock:
            if len(self._plans) >= PLANS:
                self._plans = {}
            self._plans[key] = (tuple(plans), whole)  # which keeps the ids from being used again
        return whole
