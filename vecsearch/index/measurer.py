"""Measures an index of rows of a snapshot: the queries, their exact answers, the scores of rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from vecsearch.common.arrays import Positions, Scores, Vectors
from vecsearch.index.calibrate import (
    Answers,
    Sample,
    ScoreLists,
    calibrate_codes,
    calibrate_index,
    query_regions,
)
from vecsearch.index.calibration import Calibration
from vecsearch.index.costs import code_micros, disk_micros, row_micros
from vecsearch.index.faiss import (
    LOADER,
    NO_MASK,
    NOTHING_OUTSIDE,
    FaissIndex,
    Request,
    fixed_effort,
)
from vecsearch.index.remembered_scores import RememberedScores
from vecsearch.index.ruler import Wide
from vecsearch.index.scorer import VectorScorer
from vecsearch.index.unlike import unlike_queries
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric

MADE_OF = 2000  # rows that made queries are made of


class Measurer:
    """Measures indexes of rows of a snapshot.

    Args:
        snapshot: The rows.
        scorer: Gives rows their scores.
        seed: Decides which rows queries are made of.
        threads: Threads to measure recall with.
    """

    def __init__(self, snapshot: Snapshot, scorer: VectorScorer, seed: int, threads: int) -> None:
        self.snapshot = snapshot
        self.scorer = scorer
        self.seed = seed
        self.threads = threads

    def calibrate(
        self, index: FaissIndex, labels: Positions, queries: Vectors, calibrated_on: str
    ) -> Calibration:
        """Measure recall and cost of an index whose labels are these positions."""
        LOADER.load()  # scores hundreds of thousands of candidates; the numbers do not depend on it
        mask = np.zeros(self.snapshot.rows, bool)
        mask[labels[labels >= 0]] = True
        present = int(np.count_nonzero(mask))
        selection = RowSelection(mask, present)
        promised = len(queries)
        queries, kinds = self._with_made(queries, np.flatnonzero(mask))
        truth = Answers.of(
            queries,
            present,
            lambda part, k: self.scorer.truth(part, k, selection, self.threads),
        )
        manifest = self.snapshot.manifest
        per_row, per_code = row_micros(manifest.dim), code_micros(index.code_bytes)
        if index.on_disk:
            per_row += disk_micros(manifest.dim * np.dtype(manifest.dtype).itemsize)
            per_code += disk_micros(index.code_bytes)
        self.scorer.scattered = index.on_disk
        score: ScoreLists = partial(self._scores, np.append(labels, -1))  # of the label -1 too
        if index.on_disk:
            score = RememberedScores(score)
        codes = calibrate_codes(index, queries, truth, score, self.threads)
        points = calibrate_index(
            index,
            Sample(queries, kinds, query_regions(queries, kinds), truth),
            score,
            rows=present,
            row_micros=per_row,
            threads=self.threads,
            timed_search=self._compiled_search(index, labels),
        )
        return Calibration(
            points=tuple(points),
            exact_micros_per_row=per_row,
            code_points=tuple(codes),
            code_micros_per_row=per_code,
            calibrated_on=calibrated_on,
            queries=promised,
        )

    def made(self, rows: Positions) -> list[Vectors]:
        """Queries made of some of the rows, by their kinds."""
        rng = np.random.default_rng(self.seed)
        sample = np.sort(rng.choice(rows, min(MADE_OF, len(rows)), replace=False))
        unit = self.scorer.metric is Metric.COSINE
        return unlike_queries(self.snapshot.stored_vectors(sample), unit, rng)

    def _with_made(self, queries: Vectors, rows: Positions) -> tuple[Vectors, Positions]:
        """These queries and made ones, evenly mixed, and the kind of each."""
        parts = [queries, *self.made(rows)]
        places = [(np.arange(len(part)) + 0.5) / max(len(part), 1) for part in parts]
        kinds = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        order = np.argsort(np.concatenate(places), kind="stable")
        return np.concatenate(parts)[order], kinds[order]

    def _scores(self, row_map: Positions, queries: Vectors, labels: Positions) -> Wide:
        return self.scorer.final_scores(queries, row_map[labels], self.threads)

    def _compiled_search(
        self, index: FaissIndex, labels: Positions
    ) -> Callable[[Scores, int, int], object] | None:
        """One compiled search, to be timed; None if FAISS will search."""
        compiled, graph_search, table = (
            LOADER.for_rows(len(labels)) or LOADER.module,
            index.graph_search,
            self.scorer.table,
        )
        if compiled is None or graph_search is None or table is None:
            return None
        row_map, none = index.row_map(labels), np.empty(0, np.int64)
        metric = self.scorer.code

        def search(query: Vectors, depth: int, effort: int) -> object:
            settings = fixed_effort(max(effort, depth))
            request = Request(
                *(row_map, NO_MASK, none, *NOTHING_OUTSIDE, *table),
                *(metric, settings, depth, depth, 0),
            )
            return graph_search.search(compiled, query, min(10, depth), request)

        return search
