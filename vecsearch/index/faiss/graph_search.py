"""Search of one FAISS graph of signed bytes by the kernels, compiled or in numpy."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Positions, Scores, StoredVectors, Vectors
from vecsearch.common.engines import in_parts
from vecsearch.index.faiss.graph import links_of
from vecsearch.index.faiss.projection import Projection
from vecsearch.index.kernels import numpy_hnsw
from vecsearch.index.kernels.arguments import (
    CHUNK,
    Codes,
    Graph,
    Moments,
    Request,
    Scratch,
    new_scratch,
)

ZERO = 128  # what stands for 0 in FAISS's unsigned codes
RowMap = npt.NDArray[np.int32] | npt.NDArray[np.int64] | None
Nodes = npt.NDArray[np.int32]
NeighborCodes = npt.NDArray[np.uint8]


def is_byte_graph(index: Any) -> bool:
    """Whether a FAISS index is a graph of signed bytes in whole blocks, with Euclidean distance."""
    if not isinstance(index, faiss.IndexHNSWSQ) or index.metric_type != faiss.METRIC_L2:
        return False
    storage = faiss.downcast_index(index.storage)
    return bool(
        storage.sq.qtype == faiss.ScalarQuantizer.QT_8bit_direct_signed
        and storage.code_size % 32 == 0
    )


def codes_of(index: Any) -> npt.NDArray[np.uint8]:
    """The codes of such an index, uint8 (nodes, code bytes): a view of FAISS's memory."""
    storage = faiss.downcast_index(index.storage)
    size = storage.code_size
    codes: npt.NDArray[np.uint8] = faiss.rev_swig_ptr(storage.codes.data(), index.ntotal * size)
    return codes.reshape(-1, size)


def graph_of(index: Any) -> Graph:
    """The links of such an index. Links and offsets are views of FAISS's memory."""
    hnsw = index.hnsw
    levels = faiss.vector_to_array(hnsw.cum_nneighbor_per_level).astype(np.int64)
    return Graph(*links_of(hnsw), levels, int(hnsw.entry_point), int(hnsw.max_level))


class GraphSearch:
    """The kernels' search over one index. Thread-safe.

    It holds views of FAISS's memory, so the index must outlive it and must not grow.
    """

    def __init__(
        self, index: Any, projection: Projection, metric: int, near: NeighborCodes | None = None
    ) -> None:
        """Prepare to search an index.

        Args:
            index: An IndexHNSWSQ for which `fits` is true.
            projection: What made its codes.
            metric: COSINE or EUCLIDEAN.
            near: Codes of each node's neighbors, if it has them.
        """
        assert projection.matrix is not None
        matrix = np.require(projection.matrix, np.float32, ["C", "W"])
        self._index = index
        self._codes = Codes(
            matrix,
            np.require(projection.offset, np.float32, ["C", "W"]),
            *projection.precision,
            codes_of(index),
            moments_of(projection, metric),
        )
        self._graph = graph_of(index)
        if near is not None:
            self._graph = self._graph._replace(near=near)
        self._width = int(index.hnsw.nb_neighbors(0))
        self._threads = threading.local()

    @staticmethod
    def fits(index: Any) -> bool:
        """Whether the kernels can search an index: a graph of signed bytes with rows in it."""
        return is_byte_graph(index) and index.ntotal > 0

    def search(
        self,
        kernels: ModuleType,
        query: Vectors,
        k: int,
        request: Request,
        nodes: Nodes | None = None,
    ) -> tuple[Positions, Scores, int]:
        """The k best rows for one query, float32 (dim,), best first, with their final scores.

        With `nodes`, which all must have a position, their codes are compared instead of searching
        the graph.

        Returns at most k positions (int64) and scores (float32), and how many were found, or
        TOO_FEW or UNSURE.
        """
        rows, scores = np.empty(k, np.int64), np.empty(k)
        scratch = self._scratch_of(request)
        run = kernels.search if nodes is None else kernels.scan
        source = self._graph if nodes is None else nodes
        found = run(query, self._codes, source, request, scratch, rows, scores)
        if found == k:
            return rows, scores.astype(np.float32), found
        return rows[: max(found, 0)], scores[: max(found, 0)].astype(np.float32), found

    def search_many(
        self,
        kernels: ModuleType,
        queries: Vectors,
        k: int,
        request: Request,
        threads: int,
        nodes: Nodes | None = None,
    ) -> tuple[Positions, Scores, Positions]:
        """`search` for many queries, float32 (nq, dim), on threads.

        Returns positions int64 and scores float32, (nq, k), and how many were found for each query,
        int64 (nq,).
        """
        rows = np.full((len(queries), k), -1, np.int64)
        scores = np.full((len(queries), k), -np.inf)
        counts = np.empty(len(queries), np.int64)
        run = kernels.search_many if nodes is None else kernels.scan_many
        source = self._graph if nodes is None else nodes

        def run_part(part: slice) -> None:
            scratch = self._scratch_of(request)
            found = rows[part], scores[part], counts[part]
            run(queries[part], self._codes, source, request, scratch, *found)

        in_parts(run_part, len(queries), threads)
        return rows, scores.astype(np.float32), counts

    def candidates(
        self,
        kernels: ModuleType,
        queries: Vectors,
        depth: int,
        effort: int,
        threads: int,
        row_map: RowMap,
    ) -> tuple[Positions, npt.NDArray[np.float64], int]:
        """Candidates before they are scored, as `FaissIndex.candidates`.

        Returns what `row_map` makes of the nodes, int64 (nq, depth), nearest first, padded with -1;
        their distances; and how many nodes were compared in all.
        """
        rows, distances = np.empty((2, len(queries), depth), np.int64)

        def run_part(part: slice) -> int:
            scratch = self._scratch_for(max(effort, depth))
            arguments = self._codes, self._graph, row_map, effort, scratch
            return int(kernels.propose(queries[part], *arguments, rows[part], distances[part]))

        compared = sum(in_parts(run_part, len(queries), threads))
        return rows, distances.astype(np.float64), compared

    def near_outside(
        self,
        query: Vectors,
        limit: float,
        outside: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]],
    ) -> Positions:
        """Positions of the rows outside whose codes are near one query, float32 (dim,).

        The last two arguments are those of `numpy_hnsw.near_outside`.
        """
        return numpy_hnsw.near_outside(numpy_hnsw.encode(query, self._codes), limit, *outside)

    def _scratch_of(self, request: Request) -> Scratch:
        threads = self._threads
        if getattr(threads, "request", None) is not request:
            size = int(request.effort.sizes[-1])
            threads.scratch = self._scratch_for(size, len(request.outside_rows))
            threads.request = request  # the next query has the same, most often
        scratch: Scratch = threads.scratch
        return scratch

    def _scratch_for(self, size: int, outside: int = 0) -> Scratch:
        """This thread's working memory, grown to hold `size` candidates and rows `outside`."""
        scratch: Scratch | None = getattr(self._threads, "scratch", None)
        held = (0, 0) if scratch is None else (len(scratch.pool) - 2 * CHUNK, len(scratch.outside))
        if scratch is None or held[0] < size or held[1] < outside:
            size, outside = max(size, held[0]), max(outside, held[1])
            scratch = new_scratch(self._codes.codes, size, self._width, outside)
            self._threads.scratch = scratch
        return scratch


def moments_of(projection: Projection, metric: int) -> Moments:
    """What the kernels need to know of the rows; an empty mean if it is not known."""
    if projection.mean is None or projection.variances is None:
        return Moments(np.empty(0, np.float32), np.empty(0), np.empty(0), 0.0, 0.0, 0.0, 0.0)
    return Moments(
        np.require(projection.mean, np.float32, ["C", "W"]),
        projection.variances.astype(np.float64),
        projection.zero_codes(metric) + ZERO,
        1 / projection.scale,
        projection.rest,
        projection.own_mean,
        projection.own_variance,
    )


def table_of(vectors: list[StoredVectors], starts: Positions) -> tuple[Positions, Positions] | None:
    """First position and address of each segment's vectors; None if some are not float32."""
    if not vectors or any(
        part.dtype != np.float32 or not part.flags.c_contiguous for part in vectors
    ):
        return None
    return np.ascontiguousarray(starts[: len(vectors)]), np.array(
        [part.ctypes.data for part in vectors], np.int64
    )
