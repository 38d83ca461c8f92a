"""What the fusion of two lists gives: candidates, and their ranks and scores in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, overload

import numpy as np

from vecsearch.common.arrays import Positions
from vecsearch.query.fusion import Doubles, ListScores
from vecsearch.query.hit import ListPlace
from vecsearch.query.paths import Found
from vecsearch.types import Plan


class Fused(NamedTuple):
    """What a fusion made of two lists: places of the candidates, best first, and their scores."""

    candidates: Positions
    order: Positions
    scores: Doubles
    by_vector: ListScores
    by_text: ListScores

    def best(self, width: int, plan: Plan) -> Found:
        """The first of them."""
        chosen = self.order[:width]
        return Found(self.candidates[chosen], self.scores[chosen].astype(np.float32), plan)


class Parts(Sequence[Mapping[str, ListPlace]]):
    """The ranks and scores of hits in both lists, made when they are looked at."""

    def __init__(self, found: Sequence[Fused], positions: Positions) -> None:
        self._found = list(found)
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, at: int) -> Mapping[str, ListPlace]: ...
    @overload
    def __getitem__(self, at: slice) -> list[Mapping[str, ListPlace]]: ...
    def __getitem__(
        self, at: int | slice
    ) -> Mapping[str, ListPlace] | list[Mapping[str, ListPlace]]:
        if isinstance(at, slice):
            return [self[number] for number in range(len(self))[at]]
        for fused in self._found:
            for number in np.flatnonzero(fused.candidates == self._positions[at]).tolist():
                lists = {"vector": fused.by_vector, "text": fused.by_text}
                return {name: _place(part, number) for name, part in lists.items()}
        raise IndexError(at)


def _place(part: ListScores, at: int) -> ListPlace:
    rank = int(part.ranks[at])
    return ListPlace(rank or None, float(part.scores[at]))
