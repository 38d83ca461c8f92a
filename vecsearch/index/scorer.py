"""True scores of a snapshot's rows, over all its segments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Mask, Positions, Scores, StoredVectors, Vectors
from vecsearch.common.engines import in_parts
from vecsearch.common.lazy import lazy
from vecsearch.index import exact, products, ruler
from vecsearch.index.faiss import LOADER, table_of
from vecsearch.index.kernels import numpy_scores
from vecsearch.index.kernels.arguments import COSINE, EUCLIDEAN, INNER_PRODUCT
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric

# Rows fetched beyond k before the final scores order them: float32 may order near ties otherwise.
SPARE = 8
PRODUCT_QUERIES = 1024  # of a batch whose candidates are in memory together
FINAL_QUERIES = 64  # whose candidates are given their final scores together
WIDE_BYTES = 16 * 1024 * 1024  # of vectors that are widened together
LENGTH_ROWS = 4096  # of stored vectors whose lengths are computed together
CODES = {Metric.IP: INNER_PRODUCT, Metric.COSINE: COSINE, Metric.L2: EUCLIDEAN}


class VectorScorer:
    """Scores stored vectors against queries, float32 and of unit length for cosine. Thread-safe."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.metric = snapshot.manifest.metric
        self.code = CODES[self.metric]  # as the kernels take it
        self.float32 = snapshot.manifest.dtype == "float32"
        self.scattered = False  # whether candidates are read from disk, which `final_scores` does

    @lazy
    def vectors(self) -> list[StoredVectors]:
        """The vectors of each segment."""
        return [self.snapshot.vectors_of(n) for n in range(len(self.snapshot.manifest.segments))]

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
        """The k best selected rows for each query by float32 scores, by scoring all of them.

        Copies of the k-th row may take each other's place. Returns scores and positions, both
        (nq, k), padded with -inf and -1.
        """
        if selection.mask is None and len(self.vectors) == 1 and k <= selection.count:
            return exact.search(self.vectors[0], queries, k, self.metric, None, threads)
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

        Summing n products loses at most n unit roundoffs of the sum of their absolute values,
        whatever the order (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
        """
        loss = (len(query) + 8) * 2.0**-24
        if self.metric is Metric.L2:  # a sum of squares: the loss is relative
            return loss * abs(score) + float(np.finfo(np.float32).tiny)
        if self.metric is Metric.COSINE:  # the float32 score is not divided by the length
            return loss * 1.01 + (0.0 if self.float32 else self._length_error)
        return loss * float(np.linalg.norm(query.astype(np.float64))) * self._longest

    @lazy
    def _longest(self) -> float:
        """A bound of the lengths of the stored vectors, damaged ones left out."""
        return 1.001 * float(max((np.fmax.reduce(part) for part in self._lengths()), default=0.0))

    @lazy
    def _length_error(self) -> float:
        """How far the length of a stored unit vector lies from 1, at most."""
        error = max((np.abs(lengths - 1).max() for lengths in self._lengths()), default=0.0)
        return float(error) + 1e-5

    def _lengths(self) -> Iterator[Scores]:
        """Lengths of the stored vectors, block by block, with the errors of float32."""
        for vectors in self.vectors:
            for first in range(0, len(vectors), LENGTH_ROWS):
                block = vectors[first : first + LENGTH_ROWS].astype(np.float32, copy=False)
                yield np.sqrt(np.vecdot(block, block))

    @lazy
    def _half_squares(self) -> list[Scores]:
        """Half of the squared length of each segment's vectors, with the errors of float32."""
        halves = [np.empty(len(vectors), np.float32) for vectors in self.vectors]
        for vectors, out in zip(self.vectors, halves, strict=True):
            for first in range(0, len(vectors), LENGTH_ROWS):
                block = vectors[first : first + LENGTH_ROWS].astype(np.float32, copy=False)
                out[first : first + LENGTH_ROWS] = np.vecdot(block, block) * np.float32(0.5)
        return halves

    # -- final scores --------------------------------------------------------------------------

    def search_final(
        self, queries: Vectors, k: int, selection: RowSelection, threads: int
    ) -> list[tuple[Scores, Positions]]:
        """The k best selected rows for each query by final scores, as `final_one` gives them.

        One by one, float32 scores choose k rows and SPARE more. If their errors might hide a better
        row, every row within the errors is given its final score. In a batch, all rows within the
        errors of products of matrices are (`products`). Both give the same rows and scores.
        """
        if not selection.count or not len(queries):
            return [(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in queries]
        many = len(queries) >= products.LEAST_QUERIES and k <= products.MOST_K
        if many and not exact.is_forked():  # a lock of OpenBLAS may be held there for ever
            return self._search_by_products(queries, k, selection, threads)
        return self._search_by_scores(queries, k, selection, threads)

    def _search_by_scores(
        self, queries: Vectors, k: int, selection: RowSelection, threads: int
    ) -> list[tuple[Scores, Positions]]:
        width = min(k + SPARE, selection.count)
        scores, rows = self.search(queries, width, selection, threads)
        found = self.final(queries, rows, k)
        if width == selection.count:
            return found
        return [
            self._proven(query, k, selection, best, float(last))
            for query, best, last in zip(queries, found, scores[:, -1], strict=True)
        ]

    def _search_by_products(
        self, queries: Vectors, k: int, selection: RowSelection, threads: int
    ) -> list[tuple[Scores, Positions]]:
        halves = self._half_squares if self.metric is Metric.L2 else [None] * len(self.vectors)
        starts = self.snapshot.starts.tolist()
        parts: list[products.Part] = []
        for vectors, start, less in zip(self.vectors, starts, halves, strict=False):
            mask = None if selection.mask is None else selection.mask[start : start + len(vectors)]
            if len(vectors) and (mask is None or mask.any()):
                parts.append((vectors, start, None if mask is None or mask.all() else mask, less))
        found: list[tuple[Scores, Positions] | None] = [None] * len(queries)
        for first in range(0, len(queries), PRODUCT_QUERIES):
            part = slice(first, first + PRODUCT_QUERIES)
            errors = self.product_errors(queries[part])
            listed = products.candidates(parts, queries[part], k, errors, threads)
            self._finish(queries[part], listed, k, found, first)
        alone = [number for number, answer in enumerate(found) if answer is None]
        if alone:
            answers = self._search_by_scores(queries[alone], k, selection, threads)
            for number, answer in zip(alone, answers, strict=True):
                found[number] = answer
        return [answer for answer in found if answer is not None]

    def _finish(
        self,
        queries: Vectors,
        listed: products.Candidates,
        k: int,
        found: list[tuple[Scores, Positions] | None],
        first: int,
    ) -> None:
        """The final scores of candidates; queries with like numbers of them together."""
        widths = np.array([-1 if rows is None else len(rows) for rows in listed])
        order = np.argsort(widths, kind="stable")
        order = order[widths[order] >= 0]
        for at in range(0, len(order), FINAL_QUERIES):
            chosen = order[at : at + FINAL_QUERIES]
            rows = np.full((len(chosen), int(widths[chosen[-1]])), -1, np.int64)
            for line, number in zip(rows, chosen.tolist(), strict=True):
                line[: widths[number]] = listed[number]
            answers = self.final(queries[chosen], rows, k)
            for number, answer in zip(chosen.tolist(), answers, strict=True):
                found[first + number] = answer

    def product_errors(self, queries: Vectors) -> npt.NDArray[np.float64]:
        """How far what `products.candidates` compares may lie from its true value, at most.

        The bound of `rounding_error` holds for any order of summation, so for products of matrices
        too. Half of a squared length has the same relative error; the subtraction adds one more.
        """
        if self.metric is Metric.COSINE:
            return np.full(len(queries), self.rounding_error(queries[0], 1.0))
        wide = queries.astype(np.float64)
        lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
        loss = (queries.shape[1] + 8) * 2.0**-24
        if self.metric is Metric.IP:
            return np.asarray(loss * lengths * self._longest)
        bound = loss * (lengths * self._longest + self._longest**2)
        return np.asarray(bound + float(np.finfo(np.float32).tiny))

    def _proven(
        self,
        query: Vectors,
        k: int,
        selection: RowSelection,
        found: tuple[Scores, Positions],
        last: float,
    ) -> tuple[Scores, Positions]:
        """The k best of all selected rows; those that were not scored for `found` have a float32
        score of at most `last`."""
        kth = float(found[0][-1])
        least = kth - self.rounding_error(query, kth)
        if least > last:
            return found
        rows = selection.rows
        return self.final_one(query, rows[self.score(query, rows) >= least], k)

    def truth(self, queries: Vectors, k: int, selection: RowSelection, threads: int) -> ruler.Truth:
        """The exact answers that recall is measured against, at most k rows for each query."""
        found = self.search_final(queries, k, selection, threads)
        width = max((len(rows) for _, rows in found), default=0)
        rows = np.full((len(queries), width), -1, np.int64)
        for number, (_, listed) in enumerate(found):
            rows[number, : len(listed)] = listed
        scores = self.final_scores(queries, rows)
        if self.metric is Metric.COSINE:
            return ruler.Truth(rows, scores, ruler.tolerances(self.metric, scores))
        lengths = np.zeros(rows.shape)
        for number, listed in enumerate(rows):
            stored = self._stored(listed[listed >= 0]).astype(np.float64)
            lengths[number, listed >= 0] = np.sqrt(np.vecdot(stored, stored))
        wide = queries.astype(np.float64)
        own = np.sqrt(np.vecdot(wide, wide))
        return ruler.Truth(rows, scores, ruler.tolerances(self.metric, scores, lengths, own))

    def best_final(
        self, query: Vectors, rows: Positions, k: int, scores: Scores | None = None
    ) -> tuple[Scores, Positions]:
        """`final_one` for many rows: those that float32 scores rule out are not scored again.

        scores: float32, of these rows, if they are known.
        """
        if len(rows) > 2 * (k + SPARE):
            scores = self.score(query, rows) if scores is None else scores
            kth = float(np.partition(scores, len(scores) - k)[len(scores) - k])
            if np.isfinite(kth):
                rows = rows[scores >= kth - 2.02 * self.rounding_error(query, kth)]
        return self.final_one(query, rows, k)

    def final(self, queries: Vectors, rows: Positions, k: int) -> list[tuple[Scores, Positions]]:
        """The k best of each query's rows with the scores that users see.

        Whatever found the rows, one rule scores them (`index/kernels/numpy_scores.py`): in float64,
        each row by itself, so that a row has the same score alone, in a batch, from an index and
        from exact search. Rows are ordered by that score, then by position; then scores are rounded
        to float32.

        Args:
            queries: float32 (nq, dim).
            rows: int64 (nq, width), -1 for no row.
            k: How many to keep.

        Returns:
            Scores, float32, and rows, int64, of each query, best first, at most k.
        """
        scores = self.final_scores(queries, rows)
        order = np.lexsort((rows, -scores), axis=1)[:, :k]
        number = np.arange(len(rows))[:, None]
        rows, best = rows[number, order], scores[number, order].astype(np.float32)
        if rows.size and rows.min() < 0:
            counts = np.count_nonzero(rows >= 0, axis=1).tolist()
            return [(best[at, :count], rows[at, :count]) for at, count in enumerate(counts)]
        return list(zip(best, rows, strict=True))

    def final_one(self, query: Vectors, rows: Positions, k: int) -> tuple[Scores, Positions]:
        """`final` for one query, float32 (dim,), and its rows, int64 (width,)."""
        if LOADER.module is not None:
            return self.final(query[None], rows[None], k)[0]
        if len(rows) and rows.min() < 0:
            rows = rows[rows >= 0]
        scores = numpy_scores.final_scores(self._stored(rows), query, self.code)
        order = np.lexsort((rows, -scores))[:k]
        return scores[order].astype(np.float32), rows[order]

    def final_scores(self, queries: Vectors, rows: Positions, threads: int = 1) -> ruler.Wide:
        """The scores of `final` before rounding: float64 (nq, width), -inf where a row is -1.

        threads: for many queries; rows that are read from disk are read by one.
        """
        if threads > 1 and not self.scattered:

            def part_scores(part: slice) -> ruler.Wide:
                return self.final_scores(queries[part], rows[part])

            return np.concatenate(in_parts(part_scores, len(queries), threads))
        kernels, table = LOADER.module, self.table
        scores = np.empty(rows.shape)
        scores.fill(-np.inf)
        if kernels is None:
            for query, listed, out in zip(queries, rows, scores, strict=True):
                present = listed >= 0
                out[present] = numpy_scores.final_scores(
                    self._stored(listed[present]), query, self.code
                )
        elif table is not None and not self.scattered:
            kernels.final(queries, np.ascontiguousarray(rows), *table, self.code, scores)
        else:  # the kernels read float32 from memory, so float16 is widened
            step = max(1, WIDE_BYTES // (4 * queries.shape[1] * max(1, rows.shape[1])))
            for first in range(0, len(rows), step):
                listed = rows[first : first + step]
                wide = self._read(np.maximum(listed, 0).ravel())
                places = np.where(listed < 0, -1, np.arange(listed.size).reshape(listed.shape))
                own = table_of([wide], np.zeros(1, np.int64))
                assert own is not None
                part = slice(first, first + step)
                kernels.final(queries[part], places, *own, self.code, scores[part])
        return scores

    def _stored(self, rows: Positions) -> StoredVectors:
        """The stored vectors of rows, (number of rows, dim)."""
        if self.scattered:
            return self._read(rows)
        one = len(self.vectors) == 1
        return self.vectors[0][rows] if one else self.snapshot.stored_vectors(rows)

    def _read(self, rows: Positions) -> Vectors:
        """The stored vectors of candidates: float32 (number of rows, dim)."""
        snapshot = self.snapshot
        return snapshot.scattered_vectors(rows) if self.scattered else snapshot.stored_vectors(rows)
