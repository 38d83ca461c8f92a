"""Rankings: what matches a query, best first, as deep as somebody asks.

Documents, groups, pages and the like do not know how deep they must look before they have enough.
A ranking is what they ask for more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from vecsearch.common.arrays import Mask, Positions
from vecsearch.common.deadline import check_time
from vecsearch.common.lazy import lazy
from vecsearch.query.paths import Found
from vecsearch.query.searcher import OVERFETCH
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Plan

NO_ROWS: Positions = np.empty(0, np.int64)
FEW_EXCLUDED = 64  # rows that a search fetches too many, to leave them out of what it found


class Ranking(Protocol):
    """Rows for one query, best first.

    Attributes:
        documents: Whether its rows are those of different documents already.
    """

    documents: bool

    @property
    def total(self) -> int:
        """How many rows there are at most."""

    def fetch(self, width: int) -> Found:
        """The `width` best; all there are if there are fewer."""

    def among(self, rows: Positions) -> Ranking:
        """The same ranking of some rows only."""

    def matches(self, min_score: float) -> Found:
        """All rows that score at least `min_score`."""


def first_of(found: Found, count: int) -> Found:
    """The first of what was found."""
    if len(found.positions) <= count:
        return found
    return Found(found.positions[:count], found.scores[:count], found.plan)


def chosen_of(found: Found, chosen: Positions | Mask) -> Found:
    """Some of what was found, in the order of `chosen`."""
    return Found(found.positions[chosen], found.scores[chosen], found.plan)


def at_least(found: Found, min_score: float | None) -> Found:
    """What scores at least `min_score`, of what was found."""
    if min_score is None:
        return found
    return chosen_of(found, found.scores.astype(np.float64) >= min_score)


class SearchesRows(Protocol):
    """What a ranking asks for rows."""

    @property
    def snapshot(self) -> Snapshot: ...

    def search(
        self, query: Any, k: int, selection: RowSelection, recall: float, exact_search: bool
    ) -> Found: ...

    def within(self, query: Any, min_score: float, selection: RowSelection) -> Found: ...


class VectorRanking:
    """Rows by the similarity of their vectors to a query.

    Args:
        searcher: What is searched.
        query: As the searcher takes it: float32 (dim,), as stored, of unit length for cosine.
        selection: The rows that may be found.
        recall: The target in 0..1.
        exact: Score every selected row.
        excluded: Positions of rows that are left out nevertheless.
    """

    documents = False

    def __init__(
        self,
        searcher: SearchesRows,
        query: Any,
        selection: RowSelection,
        recall: float,
        exact: bool,
        excluded: Positions | None = None,
    ) -> None:
        self._searcher = searcher
        self._query = query
        self._selection = selection
        self._recall = recall
        self._exact = exact
        self._excluded = NO_ROWS
        if excluded is not None:
            self._excluded = excluded
            if selection.mask is not None:
                self._excluded = excluded[selection.mask[excluded]]
        self.total = selection.count - len(self._excluded)
        self._deepest: tuple[int, Found] | None = None

    def fetch(self, width: int) -> Found:
        width = max(min(width, self.total), 1)
        if self._deepest is None or self._deepest[0] < width:
            self._deepest = width, self._search(width)
        return first_of(self._deepest[1], width)

    def _search(self, width: int) -> Found:
        excluded = self._excluded
        if not self.total and len(excluded):
            return _nothing("every matching row is excluded")
        if not len(excluded):
            return self._searcher.search(
                self._query, width, self._selection, self._recall, self._exact
            )
        if len(excluded) > max(width, FEW_EXCLUDED):
            return self._searcher.search(self._query, width, self._kept, self._recall, self._exact)
        # Excluded rows are often the nearest ones, so they are fetched and left out. Of so many
        # more rows, a greater share is to be found, so that no more of the others are missed.
        deeper = width + len(excluded)
        recall = 1.0 - (1.0 - self._recall) * width / deeper
        found = self._searcher.search(self._query, deeper, self._selection, recall, self._exact)
        return first_of(chosen_of(found, ~np.isin(found.positions, excluded)), width)

    @lazy
    def _kept(self) -> RowSelection:
        """The selected rows without the excluded ones."""
        if not len(self._excluded):
            return self._selection
        mask = np.ones(self._searcher.snapshot.rows, bool)
        if self._selection.mask is not None:
            mask = self._selection.mask.copy()
        mask[self._excluded] = False
        return RowSelection(mask, self.total)

    def among(self, rows: Positions) -> VectorRanking:
        mask = np.zeros(self._searcher.snapshot.rows, bool)
        mask[rows] = True
        if self._selection.mask is not None:
            mask &= self._selection.mask
        selection = RowSelection(mask, int(np.count_nonzero(mask)))
        return VectorRanking(
            self._searcher, self._query, selection, self._recall, self._exact, self._excluded
        )

    def matches(self, min_score: float) -> Found:
        return self._searcher.within(self._query, min_score, self._kept)

    def rows(self) -> Positions:
        return self._kept.rows

    def start_with(self, width: int, found: Found) -> None:
        """Take what a batch of searches found, which is what `fetch(width)` would."""
        self._deepest = width, found


class ScoredRanking:
    """Rows whose scores are all known.

    Args:
        found: All of them, best first.
    """

    documents = False

    def __init__(self, found: Found) -> None:
        self._found = found
        self.total = len(found.positions)

    def fetch(self, width: int) -> Found:
        return first_of(self._found, width)

    def among(self, rows: Positions) -> ScoredRanking:
        return ScoredRanking(chosen_of(self._found, np.isin(self._found.positions, rows)))

    def matches(self, min_score: float) -> Found:
        return at_least(self._found, min_score)


class DocumentRanking:
    """Documents, each by its best passage."""

    documents = True

    def __init__(self, passages: Ranking, snapshot: Snapshot) -> None:
        self._passages = passages
        self._snapshot = snapshot

    @property
    def total(self) -> int:
        return self._passages.total

    def fetch(self, width: int) -> Found:
        deep = width * OVERFETCH
        while True:
            check_time()
            found = self._passages.fetch(deep)
            documents = best_passages(self._snapshot, found)
            if len(documents.positions) >= width or deep >= self.total:
                return first_of(documents, width)
            deep *= OVERFETCH

    def among(self, rows: Positions) -> DocumentRanking:
        return DocumentRanking(self._passages.among(rows), self._snapshot)

    def matches(self, min_score: float) -> Found:
        return best_passages(self._snapshot, self._passages.matches(min_score))


def best_passages(snapshot: Snapshot, found: Found) -> Found:
    """The best passage of each document among passages that are ranked."""
    return chosen_of(found, first_rows(snapshot.ids_at(found.positions)))


def first_rows(values: Sequence[object]) -> Positions:
    """Where each value comes first, in the order of these places."""
    first: dict[object, int] = {}
    for rank, value in enumerate(values):
        first.setdefault(value, rank)
    return np.array(list(first.values()), np.int64)


def _nothing(reason: str) -> Found:
    return Found(np.empty(0, np.int64), np.empty(0, np.float32), Plan("empty", reason, 0))
