"""Two lists of rows or documents become one list of candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vecsearch.common.arrays import Positions
from vecsearch.index.kernels import numpy_fusion
from vecsearch.index.kernels.loader import TEXT_LOADER
from vecsearch.query.fusion import DEPTH, Doubles, ListScores, without_words
from vecsearch.query.paths import Found
from vecsearch.query.searcher import Searcher
from vecsearch.query.text.search import Ranking
from vecsearch.storage.selection import RowSelection


def keys_of(text: Positions, vector: Positions) -> tuple[Positions, int]:
    """The keys by which two lists of rows are merged: row, and place in both; and their shift."""
    room = len(text) + len(vector)
    shift = room.bit_length()
    keys = np.concatenate((text, vector))
    keys <<= shift
    keys |= np.arange(room)
    keys.sort()
    return keys, shift


class Merged:
    """The candidates of two lists. A document is in both lists by its best passages.

    Attributes:
        candidates: Where they are, each once: for a document, the passage that was found first; for
            rows ascending.
    """

    def __init__(self, searcher: Searcher, text: Ranking, vector: Found, by_document: bool) -> None:
        self._searcher = searcher
        self._numbers: dict[Any, int] | None = None
        self._lists = text.scores, vector.scores.astype(np.float64)
        if by_document:
            self._merge_documents(text.positions, vector.positions)
        else:
            self._merge_rows(text.positions, vector.positions)

    def _merge_rows(self, text: Positions, vector: Positions) -> None:
        keys, shift = keys_of(text, vector)
        room = len(keys)
        numbers, scores = np.empty((5, room), np.int64), np.empty((2, room))
        rows, ranks, missing = numbers[0], numbers[1:3], numbers[3:]
        kernels = TEXT_LOADER.kernels(0) or numpy_fusion
        count = kernels.merge(
            keys,
            shift,
            np.ascontiguousarray(self._lists[0]),
            self._lists[1],
            rows,
            ranks,
            scores,
            missing,
        )
        self.candidates = rows[:count]
        self._ranks = ranks[0, :count], ranks[1, :count]
        self._scores = scores[0, :count], scores[1, :count]
        self._missing = missing[0, : count - len(text)], missing[1, : count - len(vector)]

    def _merge_documents(self, text: Positions, vector: Positions) -> None:
        self._numbers = {}
        found: list[int] = []
        places = []
        for positions in (text, vector):
            ids = self._searcher.snapshot.ids_at(positions)
            for name, position in zip(ids, positions.tolist(), strict=True):
                if name not in self._numbers:
                    self._numbers[name] = len(found)
                    found.append(position)
            places.append(np.array([self._numbers[name] for name in ids], np.int64))
        self.candidates = np.array(found, np.int64)
        ranks, scores = np.zeros((2, len(found)), np.int64), np.zeros((2, len(found)))
        for which, (at, listed) in enumerate(zip(places, self._lists, strict=True)):
            ranks[which, at], scores[which, at] = np.arange(1, len(at) + 1), listed
        self._ranks, self._scores = (ranks[0], ranks[1]), (scores[0], scores[1])
        self._missing = np.flatnonzero(ranks[0] == 0), np.flatnonzero(ranks[1] == 0)

    def places_in(self, others: Positions) -> Positions:
        """Where each candidate is among others; -1 for one that is not."""
        if self._numbers is None:
            sorted_ = np.argsort(others)
            at = np.searchsorted(others, self.candidates, sorter=sorted_)
            at = sorted_[np.minimum(at, len(others) - 1)] if len(others) else at - 1
            return np.where(others[at] == self.candidates, at, -1) if len(others) else at
        ids = self._searcher.snapshot.ids_at(others)
        places = {name: at for at, name in enumerate(ids)}
        return np.array([places.get(name, -1) for name in self._numbers], np.int64)

    def order(self, scores: Doubles) -> Positions:
        """The candidates by scores, then by row."""
        if self._numbers is None:
            return (-scores).argsort(kind="stable")
        return np.lexsort((self.candidates, -scores))

    def part(
        self,
        which: int,
        score: Callable[[Positions], Doubles],
        selection: RowSelection,
    ) -> ListScores:
        """What a list says of all candidates; those that it lacks are scored.

        Args:
            which: The list: 0 for words, 1 for vectors.
            score: Scores rows.
            selection: The rows that may be found.
        """
        missing, scores = self._missing[which], self._scores[which]
        if len(missing):
            if self._numbers is None:
                scores[missing] = score(self.candidates[missing])
            else:
                scores[missing] = self._of_documents(missing, score, selection)
        listed = self._lists[which][:DEPTH]
        zeros = 0 if which else without_words(listed, selection.count)
        return ListScores(self._ranks[which], scores, listed, zeros)

    def _of_documents(
        self, missing: Positions, score: Callable[[Positions], Doubles], selection: RowSelection
    ) -> Doubles:
        """The scores of documents: those of their best selected passages."""
        snapshot = self._searcher.snapshot
        ids = snapshot.take([snapshot.manifest.id_column], self.candidates[missing]).column(0)
        owners, rows = snapshot.locate(ids)
        if selection.mask is not None:
            owners, rows = owners[selection.mask[rows]], rows[selection.mask[rows]]
        best = np.full(len(missing), -np.inf)
        np.maximum.at(best, owners, score(rows))
        return best
