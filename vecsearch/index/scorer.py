"""True scores of a snapshot's rows, over all its segments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Mask, Positions, Scores, StoredVectors, Vectors
from vecsearch.common.lazy import lazy
from vecsearch.index import exact
from vecsearch.index.faiss import table_of
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric

# Rows fetched beyond k before the final scores order them: float32 may order near ties otherwise.
SPARE = 8
LENGTH_ROWS = 4096  # of stored vectors whose lengths are computed together
TINY = float(np.finfo(np.float64).tiny)
FINAL_BYTES = 8 * 1024 * 1024  # of float64 vectors that are scored together


class VectorScorer:
    """Scores stored vectors against queries, float32 and of unit length for cosine. Thread-safe."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.metric = snapshot.manifest.metric
        self.float32 = snapshot.manifest.dtype == "float32"

    @lazy
    def vectors(self) -> list[StoredVectors]:
        """The vectors of each segment."""
        return [segment.vectors for segment in self.snapshot.segments]

    @lazy
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

    def rounding_error(self, query: Vectors, score: float) -> float:
        """How far a float32 score near `score` may lie from the final score, at most.

        Summing n products in float32 loses at most n * eps of the sum of their absolute values.
        """
        loss = (len(query) + 8) * float(np.finfo(np.float32).eps)
        if self.metric is Metric.L2:  # a sum of squares: the loss is relative
            return loss * abs(score) + float(np.finfo(np.float32).tiny)
        if self.metric is Metric.COSINE:
            return loss * 1.01
        return loss * float(np.linalg.norm(query.astype(np.float64))) * self._longest

    @lazy
    def _longest(self) -> float:
        """The largest length of a stored vector."""
        longest = 0.0
        for vectors in self.vectors:
            for first in range(0, len(vectors), LENGTH_ROWS):
                block = vectors[first : first + LENGTH_ROWS].astype(np.float64)
                longest = max(longest, float(np.sqrt(np.vecdot(block, block).max())))
        return longest

    def search_final(
        self, queries: Vectors, k: int, selection: RowSelection, threads: int
    ) -> tuple[Scores, Positions]:
        """`search`, ordered by final scores."""
        rows = self.search(queries, min(k + SPARE, max(selection.count, 1)), selection, threads)[1]
        return self.final(queries, rows, k)

    def final(self, queries: Vectors, rows: Positions, k: int) -> tuple[Scores, Positions]:
        """The k best of each query's rows with the scores that users see.

        Whatever found the rows, this one function scores them: in float64, each row by itself, so
        that a row has the same score alone, in a batch, from an index and from exact search. Rows
        are ordered by that score, then by position; then scores are rounded to float32. Cosines of
        float32 vectors are divided by their lengths, which are near 1, and never exceed 1.

        Args:
            queries: float32 (nq, dim).
            rows: int64 (nq, width), -1 for no row.
            k: How many to keep.

        Returns:
            Scores, float32, and rows, int64, both (nq, min(k, width)), padded with -inf and -1.
        """
        width = rows.shape[1]
        k = min(k, width)
        scores, best = np.empty((len(rows), k), np.float32), np.empty((len(rows), k), np.int64)
        step = max(1, FINAL_BYTES // (8 * max(1, width) * queries.shape[1]))
        for first in range(0, len(rows), step):
            part = slice(first, first + step)
            listed = rows[part]
            wide = self.final_scores(queries[part], listed)
            order = np.lexsort((listed, -wide), axis=1)[:, :k]
            best[part] = np.take_along_axis(listed, order, 1)
            scores[part] = rounded(np.take_along_axis(wide, order, 1))
        return scores, best

    def final_one(self, query: Vectors, rows: Positions, k: int) -> tuple[Scores, Positions]:
        """`final` for one query: the same scores and rows, without padding."""
        rows = rows[rows >= 0]
        if not len(rows):
            return np.empty(0, np.float32), rows
        scores = self._compared(self._stored(rows), query.astype(np.float64))
        order = np.lexsort((rows, -scores))[:k]
        return rounded(scores[order]), rows[order]

    def final_scores(self, queries: Vectors, rows: Positions) -> npt.NDArray[np.float64]:
        """The scores of `final` before rounding: float64 (nq, width), -inf where a row is -1."""
        flat = rows.ravel()
        absent = flat < 0
        if absent.any():
            flat = np.where(absent, 0, flat)
        if not rows.size or not self.snapshot.rows:
            return np.full(rows.shape, -np.inf)
        vectors = self._stored(flat).reshape(*rows.shape, -1)
        scores = self._compared(vectors, queries.astype(np.float64)[:, None, :])
        if absent.any():
            scores[absent.reshape(rows.shape)] = -np.inf
        return scores

    def _stored(self, rows: Positions) -> npt.NDArray[np.float64]:
        """The stored vectors of rows: float64 (number of rows, dim)."""
        one = len(self.vectors) == 1
        stored = self.vectors[0][rows] if one else self.snapshot.stored_vectors(rows)
        return stored.astype(np.float64)

    def _compared(
        self, vectors: npt.NDArray[np.float64], query: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Final scores before rounding, each row by itself. Overwrites `vectors`.

        Args:
            vectors: (..., width, dim).
            query: (dim,), or (..., 1, dim).
        """
        if self.metric is Metric.L2:
            vectors -= query
            return np.asarray(0.0 - np.vecdot(vectors, vectors))  # 0.0 rather than -0.0
        scores = np.vecdot(vectors, query)
        if self.metric is Metric.COSINE:
            if self.float32:
                lengths = np.sqrt(np.vecdot(vectors, vectors) * np.vecdot(query, query))
                scores /= np.maximum(lengths, TINY)
            np.minimum(scores, 1, out=scores)  # np.clip takes four times as long
            np.maximum(scores, -1, out=scores)
        return np.asarray(scores)


def rounded(scores: npt.NDArray[np.float64]) -> Scores:
    """Final scores as float32; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return scores.astype(np.float32)
