"""Scores that calibration asks for at each effort again, where rows are read from disk."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.index.ruler import Wide

Scores = Callable[[Vectors, Positions], Wide]


class RememberedScores:
    """Maps queries and labels to scores, and computes the score of each pair once.

    Single queries are not remembered: calibration times them.
    """

    def __init__(self, score: Scores) -> None:
        """score: maps queries, float32 (nq, dim), and labels (nq, width) to scores (nq, width)."""
        self._score = score
        self._known: dict[bytes, tuple[Positions, Wide]] = {}

    def __call__(self, queries: Vectors, labels: Positions) -> Wide:
        if len(queries) == 1:
            return self._score(queries, labels)
        keys = [query.tobytes() for query in queries]
        missing = [self._missing(key, row) for key, row in zip(keys, labels, strict=True)]
        wanted = [number for number, row in enumerate(missing) if len(row)]
        if wanted:
            listed = np.full((len(wanted), max(len(missing[one]) for one in wanted)), -1, np.int64)
            for place, number in enumerate(wanted):
                listed[place, : len(missing[number])] = missing[number]
            scores = self._score(queries[wanted], listed)
            for place, number in enumerate(wanted):
                self._remember(keys[number], missing[number], scores[place])
        found = np.full(labels.shape, -np.inf)
        for place, (key, row) in enumerate(zip(keys, labels, strict=True)):
            present = row >= 0
            if present.any():
                known, values = self._known[key]
                found[place, present] = values[np.searchsorted(known, row[present])]
        return found

    def _missing(self, key: bytes, labels: Positions) -> Positions:
        labels = labels[labels >= 0]
        if key not in self._known:
            return labels
        known = self._known[key][0]
        places = np.minimum(np.searchsorted(known, labels), len(known) - 1)
        missing: Positions = labels[known[places] != labels]
        return missing

    def _remember(self, key: bytes, labels: Positions, scores: Wide) -> None:
        scores = scores[: len(labels)]
        if key in self._known:
            before, values = self._known[key]
            labels, scores = np.concatenate([before, labels]), np.concatenate([values, scores])
        order = np.argsort(labels, kind="stable")
        self._known[key] = labels[order], scores[order]
