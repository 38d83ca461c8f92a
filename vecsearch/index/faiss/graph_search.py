"""Search of one FAISS graph of signed bytes by the kernels, compiled or in numpy."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Labels, Positions, Scores, StoredVectors, Vectors
from vecsearch.common.engines import engine_for
from vecsearch.index.faiss.graph import links_of
from vecsearch.index.faiss.projection import Projection
from vecsearch.index.kernels import numpy_hnsw
from vecsearch.index.kernels.arguments import CHUNK, Codes, Graph, Request, Scratch, new_scratch

QUERIES_A_THREAD = 16  # of a batch at least, for a thread to be worth its start
T = TypeVar("T")
RowMap = npt.NDArray[np.int32] | npt.NDArray[np.int64] | None
Nodes = npt.NDArray[np.int32]


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

    def __init__(self, index: Any, projection: Projection) -> None:
        """index: an IndexHNSWSQ for which `fits` is true."""
        assert projection.matrix is not None
        matrix = np.require(projection.matrix, np.float32, ["C", "W"])
        self._index = index
        self._codes = Codes(
            matrix,
            np.require(projection.offset, np.float32, ["C", "W"]),
            *projection.precision,
            codes_of(index),
        )
        self._graph = graph_of(index)
        self._width = int(index.hnsw.nb_neighbors(0))
        self._threads = threading.local()

    @staticmethod
    def fits(index: Any) -> bool:
        """Whether the kernels can search an index: a graph of signed bytes with rows in it."""
        return is_byte_graph(index) and index.ntotal > 0

    def search(
        self, kernels: ModuleType, query: Vectors, k: int, request: Request
    ) -> tuple[Positions, Scores] | None:
        """The k best rows for one query, float32 (dim,), best first, with their final scores.

        Returns at most k positions (int64) and scores (float32), or None if fewer than
        `request.enough` of the first `request.candidate_window` candidates match.
        """
        rows, scores = np.empty(k, np.int64), np.empty(k)
        size = request.effort if request.effort > request.depth else request.depth
        size += len(request.outside_rows)
        found = kernels.search(
            query, self._codes, self._graph, request, self._scratch_for(size), rows, scores
        )
        if found == k:
            return rows, scores.astype(np.float32)
        return (rows[:found], scores[:found].astype(np.float32)) if found >= 0 else None

    def scan(
        self, kernels: ModuleType, query: Vectors, k: int, nodes: Nodes, request: Request
    ) -> tuple[Positions, Scores]:
        """The k best of listed nodes, all of which have a position.

        Codes choose `request.depth` of them, which the vectors rank. Returns what `search` returns.
        """
        rows, scores = np.empty(k, np.int64), np.empty(k)
        scratch = self._scratch_for(request.depth + len(request.outside_rows))
        found = kernels.scan(query, self._codes, nodes, request, scratch, rows, scores)
        return rows[:found], scores[:found].astype(np.float32)

    def search_many(
        self,
        kernels: ModuleType,
        queries: Vectors,
        k: int,
        request: Request,
        threads: int,
        nodes: Nodes | None = None,
    ) -> tuple[Positions, Scores, Positions]:
        """`search` for many queries, float32 (nq, dim), on threads; `scan` if nodes are given.

        Returns positions int64 and scores float32, (nq, k), and how many were found for each query,
        -1 where `search` returns None.
        """
        rows = np.full((len(queries), k), -1, np.int64)
        scores = np.full((len(queries), k), -np.inf)
        counts = np.empty(len(queries), np.int64)
        run = kernels.search_many if nodes is None else kernels.scan_many
        source = self._graph if nodes is None else nodes

        def run_part(part: slice) -> None:
            size = max(request.effort, request.depth) + len(request.outside_rows)
            scratch = self._scratch_for(size)
            found = rows[part], scores[part], counts[part]
            run(queries[part], self._codes, source, request, scratch, *found)

        _in_parts(run_part, len(queries), threads)
        return rows, scores.astype(np.float32), counts

    def nearest_codes(self, query: Vectors, count: int, nodes: Nodes) -> Labels:
        """The `count` of listed nodes whose codes are nearest to a query, without numba."""
        return numpy_hnsw.scan_nodes(query, self._codes, nodes, count)

    def candidates(
        self,
        kernels: ModuleType,
        queries: Vectors,
        depth: int,
        effort: int,
        threads: int,
        row_map: RowMap,
    ) -> tuple[Positions, int]:
        """Candidates before they are scored, as `FaissIndex.candidates`.

        Returns what `row_map` makes of the nodes, int64 (nq, depth), nearest first, padded with -1;
        and how many nodes were compared in all.
        """
        rows = np.empty((len(queries), depth), np.int64)

        def run_part(part: slice) -> int:
            scratch = self._scratch_for(max(effort, depth))
            arguments = self._codes, self._graph, row_map, effort, scratch
            return int(kernels.propose(queries[part], *arguments, rows[part]))

        return rows, sum(_in_parts(run_part, len(queries), threads))

    def _scratch_for(self, size: int) -> Scratch:
        """This thread's working memory, grown to hold `size` candidates."""
        scratch: Scratch | None = getattr(self._threads, "scratch", None)
        if scratch is None or len(scratch.pool) < size + 2 * CHUNK:
            scratch = self._threads.scratch = new_scratch(self._codes.codes, size, self._width)
        return scratch


def parts_of(count: int, threads: int, least: int) -> list[slice]:
    """Consecutive parts of `count` items, one for each thread, but of at least `least` items."""
    threads = max(1, min(threads, count // least))
    edges = np.linspace(0, count, threads + 1).astype(int).tolist()
    return [slice(first, last) for first, last in itertools.pairwise(edges)]


def _in_parts(run: Callable[[slice], T], count: int, threads: int) -> list[T]:
    """Run over parts of `count` queries side by side, and return their results in order."""
    parts = parts_of(count, threads, QUERIES_A_THREAD)
    return engine_for(len(parts)).map(run, parts)


def table_of(vectors: list[StoredVectors], starts: Positions) -> tuple[Positions, Positions] | None:
    """First position and address of each segment's vectors; None if some are not float32."""
    if not vectors or any(
        part.dtype != np.float32 or not part.flags.c_contiguous for part in vectors
    ):
        return None
    return np.ascontiguousarray(starts[: len(vectors)]), np.array(
        [part.ctypes.data for part in vectors], np.int64
    )
