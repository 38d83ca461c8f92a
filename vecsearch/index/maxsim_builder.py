"""Builds an index of rows with several vectors, and measures its recall of MaxSim.

The index holds the rows' encodings (`muvera.py`). Calibration is that of any index, but for what
counts as true: the score of a candidate is its MaxSim, and so is the order of the rows that are to
be found.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from vecsearch.common.arrays import Positions, Vectors
from vecsearch.index.builder import Builder
from vecsearch.index.calibrate import Answers, Sample, calibrate_index
from vecsearch.index.calibration import Calibration
from vecsearch.index.costs import row_micros
from vecsearch.index.faiss import LOADER, FaissIndex
from vecsearch.index.maxsim_scorer import AllPairs, EncodedIndex, MaxSimScorer, Queries, queries_of
from vecsearch.index.named import NamedSnapshot
from vecsearch.index.scorer import VectorScorer
from vecsearch.index.verify import still_holds
from vecsearch.storage.selection import RowSelection

HELD_OUT = 400  # rows: each is compared with all pairs of its vectors and those of all others
QUERY_VECTORS = 32  # of a held-out row that make a query: a question is shorter than a document
PRODUCT_MICROS = 0.0001  # of a dimension, where vectors are compared in large blocks


class MaxSimBuilder(Builder):
    """Builds and calibrates one index over rows with several vectors; commits nothing."""

    snapshot: NamedSnapshot

    def __init__(self, snapshot: NamedSnapshot, *arguments: Any, **options: Any) -> None:
        super().__init__(snapshot, *arguments, **options)
        self.held_out = HELD_OUT
        self._scorer = MaxSimScorer(snapshot)

    def queries_at(self, rows: Positions) -> Vectors:
        """Rows as queries: some of the vectors of each, in their order."""
        vectors, counts = self.snapshot.lists_of(rows)
        lists = np.split(vectors, np.cumsum(counts)[:-1]) if len(rows) else []
        rng = np.random.default_rng([self.seed, len(rows)])
        chosen = [
            each[np.sort(rng.permutation(len(each))[:QUERY_VECTORS])] for each in lists if len(each)
        ]
        return cast(Vectors, queries_of(self.snapshot, chosen))

    def calibrate(
        self, index: FaissIndex, labels: Positions, queries: Vectors, calibrated_on: str
    ) -> Calibration:
        LOADER.load()
        asked = _numbered(queries)
        pairs, selection = self._pairs(asked, labels)
        row_map = np.append(labels, -1)
        answers = Answers.of(
            cast(Vectors, asked),
            selection.count,
            lambda part, k: pairs.truth(cast(Queries, part), k, selection, self.threads),
        )
        per_row = self._row_micros(asked, selection)
        encoded = cast(FaissIndex, EncodedIndex(index))

        def timed(query: Any, depth: int, effort: int) -> object:
            found, _ = encoded.candidates(query[None], depth, effort)
            return self._scorer.best_final(query, row_map[found[0]][found[0] >= 0], 10)

        alike = np.zeros(len(asked), np.int64)
        points = calibrate_index(
            encoded,
            Sample(cast(Vectors, asked), alike, alike, answers),
            lambda part, found: pairs.final_scores(cast(Queries, part), row_map[found]),
            rows=selection.count,
            row_micros=per_row,
            threads=self.threads,
            timed_search=timed,
        )
        return Calibration(
            points=tuple(points),
            exact_micros_per_row=per_row,
            calibrated_on=calibrated_on,
            queries=len(asked),
        )

    def still_holds(
        self, index: FaissIndex, labels: Positions, queries: Vectors, calibration: Calibration
    ) -> bool:
        asked = _numbered(queries)
        pairs, _ = self._pairs(asked, labels)
        return still_holds(
            cast(VectorScorer, pairs),
            cast(FaissIndex, EncodedIndex(index)),
            labels,
            cast(Vectors, asked),
            calibration,
            self.target,
            self.threads,
        )

    def _pairs(self, queries: Queries, labels: Positions) -> tuple[AllPairs, RowSelection]:
        mask = np.zeros(self.snapshot.rows, bool)
        mask[labels[labels >= 0]] = True
        selection = RowSelection(mask, int(np.count_nonzero(mask)))
        return AllPairs(self._scorer, queries, selection.rows), selection

    def _row_micros(self, queries: Queries, selection: RowSelection) -> float:
        """The estimated cost of the MaxSim of a query with a row."""
        _, counts = self.snapshot.lists_of(selection.rows[:: max(1, selection.count // 1000)])
        asked = float(np.mean([len(each) for each in queries["vectors"]]))
        dim = self.snapshot.kind.dim
        each = row_micros(dim) + asked * dim * PRODUCT_MICROS
        return round(float(counts.mean()) * each, 4)


def _numbered(queries: Vectors) -> Queries:
    """Queries that were put together, with their places."""
    asked = cast(Queries, queries).copy()
    asked["number"] = np.arange(len(asked))
    return asked
