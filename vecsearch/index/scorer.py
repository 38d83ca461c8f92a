"""True scores of a snapshot's rows, over all its segments."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from vecsearch.common.arrays import Mask, Positions, Scores, StoredVectors, Vectors
from vecsearch.index import exact
from vecsearch.index.faiss import table_of
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot


class VectorScorer:
    """Scores stored vectors against queries, float32 and of unit length for cosine. Thread-safe."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.metric = snapshot.manifest.metric
        self.float32 = snapshot.manifest.dtype == "float32"

    @cached_property
    def vectors(self) -> list[StoredVectors]:
        """The vectors of each segment."""
        return [segment.vectors for segment in self.snapshot.segments]

    @cached_property
    def table(self) -> tuple[Positions, Positions] | None:
        """First position and address of each segment's vectors, for compiled code.

        None if it cannot read them.
        """
        return table_of(self.vectors, self.snapshot.starts)

    def score(self, query: Vectors, rows: Positions) -> Scores:
        """Scores of listed rows against one query: float32, one for each row."""
        if len(self.vectors) == 1:
            return exact.score_rows(self.vectors[0], query, rows, self.metric)
        scores = np.empty(len(rows), np.float32)
        for number, indices, local in self.snapshot.split(rows):
            scores[indices] = exact.score_rows(self.vectors[number], query, local, self.metric)
        return scores

    def best(self, query: Vectors, rows: Positions, k: int) -> tuple[Scores, Positions]:
        """The k best of listed rows for one query; equal scores in the order of their rows."""
        if len(self.vectors) == 1:
            return exact.best_of(self.vectors[0], query, rows, k, self.metric)
        return exact.best(self.score(query, rows), rows, k)

    def score_lists(self, queries: Vectors, rows: Positions, threads: int) -> Scores:
        """Scores of each query's own rows.

        queries: float32 (nq, dim). rows: int64 (nq, width), -1 for none.
        Returns float32 (nq, width), -inf where a row is -1.
        """
        scores = np.full(rows.shape, -np.inf, np.float32)
        for number, vectors in enumerate(self.vectors):
            start = int(self.snapshot.starts[number])
            here = (rows >= start) & (rows < start + len(vectors))
            if here.any():
                part = exact.score_lists(
                    vectors, queries, np.where(here, rows - start, -1), self.metric, threads
                )
                np.copyto(scores, part, where=here)
        return scores

    def search(
        self, queries: Vectors, k: int, selection: RowSelection, threads: int
    ) -> tuple[Scores, Positions]:
        """The k best selected rows for each query, by scoring all of them.

        A query gets the same rows alone and in a batch. Equal scores are in the order of rows.
        Returns scores and positions, both (nq, k), padded with -inf and -1.
        """
        if k < 1 or selection.count <= k:
            return self._search_segments(queries, k, selection, threads)
        # One row more shows whether the k-th is tied with a row that was left out.
        scores, rows = self._search_segments(queries, k + 1, selection, threads)
        for number in np.flatnonzero(scores[:, k - 1] == scores[:, k]).tolist():
            best = self.best(queries[number], selection.rows, k)
            scores[number, :k], rows[number, :k] = best
        return scores[:, :k], rows[:, :k]

    def _search_segments(
        self, queries: Vectors, k: int, selection: RowSelection, threads: int
    ) -> tuple[Scores, Positions]:
        """`search`, except that copies of the k-th row may take the place of earlier rows."""
        padding = (
            np.full((len(queries), k), -np.inf, np.float32),
            np.full((len(queries), k), -1, np.int64),
        )
        best: tuple[Scores, Positions] | None = (
            None  # merged segment by segment, which bounds the memory
        )
        for number, vectors in enumerate(self.vectors):
            start = int(self.snapshot.starts[number])
            mask: Mask | None = (
                None if selection.mask is None else selection.mask[start : start + len(vectors)]
            )
            if mask is not None and not mask.any():
                continue
            part = exact.search(vectors, queries, min(k, len(vectors)), self.metric, mask, threads)
            part[1][part[1] >= 0] += start
            best = part if best is None else exact.merge([best, part], k)
        if best is not None and best[0].shape[1] == k:
            return best
        return exact.merge([best or padding, padding], k)
