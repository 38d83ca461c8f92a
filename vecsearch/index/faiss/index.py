"""An index in memory or mapped from its file."""

from __future__ import annotations

import contextlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Labels, Vectors
from vecsearch.common.lazy import lazy
from vecsearch.errors import InvalidInputError
from vecsearch.index.costs import coded_micros, graph_micros, list_micros
from vecsearch.index.exact import omp_threads, threads_for
from vecsearch.index.faiss.graph import BLOCK, link_back
from vecsearch.index.faiss.graph_search import GraphSearch, NeighborCodes, RowMap
from vecsearch.index.faiss.grow import growing
from vecsearch.index.faiss.inside import inner_index, search_parameters
from vecsearch.index.faiss.near import append_near, near_of, near_width
from vecsearch.index.faiss.projection import Projection
from vecsearch.index.faiss.size import index_bytes
from vecsearch.index.faiss.writing import append_trailer, write_errors
from vecsearch.index.kernels import numpy_hnsw
from vecsearch.index.kernels.arguments import COSINE, EUCLIDEAN, INNER_PRODUCT
from vecsearch.index.kernels.loader import LOADER
from vecsearch.index.recipe import IndexRecipe
from vecsearch.storage.layout import CALIBRATION_KEY

EFFORTS = (
    *(8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 104, 128, 160, 192, 256),
    *(384, 512, 768, 1024, 1536, 2048, 3072, 4096),
)
LISTED = 400  # candidates of an inverted file or a scan
METRICS = {"cosine": COSINE, "ip": INNER_PRODUCT, "l2": EUCLIDEAN}  # as the kernels take them
FORMAT = 1
Distances = npt.NDArray[np.float64]


class FaissIndex:
    """An index over rows labeled 0, 1, 2, ... in the order they were added.

    Several threads can search it at once.

    Attributes:
        recipe: What was built.
        metric: "cosine", "ip" or "l2".
        dim: Dimensions of a vector.
        out_of_range: int64 labels, ascending, of rows unlike those the index was trained on (too
            long, too far, badly coded). It may not find them, so search them exactly.
        threads: Threads that make codes of neighbors, where they are wanted.
    """

    on_disk = False  # whether searches read the file of the index from disk

    def __init__(
        self,
        recipe: IndexRecipe,
        metric: str,
        projection: Projection,
        index: Any,
        order: npt.NDArray[np.int32] | None,
        out_of_range: Labels,
        *,
        mapped: bool = False,
        near: NeighborCodes | None = None,
    ) -> None:
        self.recipe = recipe
        self.metric = metric
        self.dim = len(projection.center)
        self.out_of_range = out_of_range
        self._projection = projection
        self._index = index
        self._order = order  # label of each FAISS row; a last -1, so that FAISS's -1 maps to itself
        self._mapped = mapped
        self._near = near  # codes of neighbors, if the recipe wants them and they are made
        self.threads = 1
        self._parameters: dict[int, Any] = {}

    @property
    def n(self) -> int:
        """Rows in the index."""
        return int(self._index.ntotal)

    @property
    def parts(self) -> tuple[Projection, Any]:
        """The projection, and FAISS's own index: for this package only."""
        return self._projection, self._index

    def share_projection(self, other: FaissIndex) -> None:
        """Use the arrays of another index if they are equal: they stay in the processor's cache."""
        own, theirs = self._projection, other._projection
        pairs = [(getattr(own, name.name), getattr(theirs, name.name)) for name in fields(own)]
        made = "graph_search" in self.__dict__  # it uses them already
        if not made and all(np.array_equal(one, two) for one, two in pairs):
            self._projection = theirs

    @property
    def kind(self) -> str:
        """The recipe's kind."""
        return self.recipe.kind

    @property
    def can_extend(self) -> bool:
        """Whether `add` works: not on a mapped index, nor on a kind that is built in one step."""
        return not self._mapped and self.grows

    @property
    def grows(self) -> bool:
        """Whether rows can be added to an index of this kind."""
        return not isinstance(inner_index(self._index), faiss.IndexNSG)

    @property
    def starts_over(self) -> bool:
        """Whether a query that needs a larger effort is searched again from the start."""
        return bool(self.recipe.neighbor_codes)

    def efforts(self) -> tuple[int, ...]:
        """Efforts worth measuring, cheapest first.

        efSearch of a graph, nprobe of an inverted file; (1,) for other kinds.
        """
        inner = inner_index(self._index)
        if isinstance(inner, faiss.IndexHNSW):
            return tuple(
                effort for effort in EFFORTS if effort == EFFORTS[0] or effort <= 2 * self.n
            )
        if isinstance(inner, faiss.IndexIVF):
            return (
                *(effort for effort in (1, 2, 3, 4, 6, *EFFORTS) if effort < inner.nlist),
                int(inner.nlist),
            )
        return (1,)

    def row_map(self, of_labels: Labels | None) -> RowMap:
        """Map FAISS row numbers to positions, for `candidates`.

        Args:
            of_labels: int64, the position of each label, -1 for a deleted row; None for labels
                that are positions themselves.
        """
        if self._order is None:
            return None if of_labels is None else np.append(of_labels, -1)
        return (
            self._order
            if of_labels is None
            else np.append(of_labels, -1)[self._order].astype(self._order.dtype)
        )

    def candidates(
        self, queries: Vectors, depth: int, effort: int, threads: int = 1, row_map: RowMap = None
    ) -> tuple[Labels, Vectors]:
        """Find the rows that seem nearest to each query.

        Args:
            queries: float32 (nq, dim).
            depth: Candidates for each query.
            effort: efSearch of a graph, nprobe of an inverted file; ignored by other kinds.
            threads: OpenMP threads to use; more than 1 helps with many queries only.
            row_map: Result of the method `row_map`, to get positions instead of labels.

        Returns:
            Labels, int64 (nq, depth), nearest first, padded with -1; and approximate distances,
            float32 (nq, depth), smaller is nearer, comparable within one query only.

        Raises:
            InvalidInputError: If the queries have another shape.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise InvalidInputError(
                f"queries have shape {queries.shape}; this index takes (queries, {self.dim})"
            )
        projected = np.ascontiguousarray(self._projection.queries(queries), np.float32)
        count = len(projected)
        distances = np.empty((count, depth), np.float32)
        labels = np.empty((count, depth), np.int64)
        parameters = self._parameters.get(effort)
        if parameters is None:
            parameters = self._parameters[effort] = search_parameters(self._index, effort)
        pointer = faiss.swig_ptr  # this frame keeps the arrays alive while FAISS uses them
        # A graph searches one query on one thread anyway, so the setting need not change.
        alone = count == 1 and self.kind == "hnsw"
        with contextlib.nullcontext() if alone else omp_threads(threads_for(count, threads)):
            self._index.search_c(
                count, pointer(projected), depth, pointer(distances), pointer(labels), parameters
            )
        if self._projection.inner_product:
            np.negative(distances, out=distances)
        row_map = self._order if row_map is None else row_map
        if row_map is not None:
            labels = row_map[labels].astype(np.int64)
        return labels, distances

    def by_codes(
        self, queries: Vectors, depth: int, threads: int = 1
    ) -> tuple[Labels, Distances] | None:
        """Find the rows with the nearest codes by comparing all codes.

        Returns:
            What `candidates` returns; None for kinds without a compiled search.
        """
        if self.graph_search is None or self._order is None:
            return None
        projected = np.ascontiguousarray(self._projection.queries(queries), np.float32)
        with omp_threads(threads_for(len(projected), threads)):
            storage = faiss.downcast_index(self._index.storage)
            distances, rows = storage.search(projected, min(depth, self.n))
        return self._order[rows].astype(np.int64), distances.astype(np.float64)

    def pool(self, effort: int) -> int:
        """How many candidates a search with this effort looks through."""
        graph = isinstance(inner_index(self._index), faiss.IndexHNSW)
        return min(self.n, effort if graph else max(effort, LISTED))

    def scores_at_large(self, queries: Vectors) -> tuple[Distances, Distances] | None:
        """Mean and standard deviation of the scores of queries with all rows, float64 (nq,).

        See `kernels/contrast.py`. None for indexes of older versions.

        Args:
            queries: float32 (nq, dim).
        """
        if self._projection.mean is None:
            return None
        return self._projection.scores_at_large(queries, METRICS[self.metric])

    @lazy
    def graph_search(self) -> GraphSearch | None:
        """The compiled search over this index as it is now, for kinds that have one."""
        if self._order is None or not GraphSearch.fits(self._index):
            return None
        metric = METRICS[self.metric]
        return GraphSearch(self._index, self._projection, metric, self._coded_neighbors())

    def _coded_neighbors(self) -> NeighborCodes | None:
        """Codes of all nodes' neighbors, made if they are not there; None if none are wanted."""
        if self.recipe.neighbor_codes and self._near is None:
            self._near = near_of(self._index, self.threads)
        return self._near

    def estimated(
        self, queries: Vectors, depth: int, effort: int, threads: int = 1
    ) -> tuple[Labels, Distances, float]:
        """What `candidates` returns, and the estimated cost of a query in microseconds.

        The estimate is made from the number of distances computed, which is the same in every run.
        FAISS counts a search by another thread at the same time too.
        """
        kernels = LOADER.for_rows(self.n)
        if self.starts_over and kernels is None:  # FAISS does not know the codes of neighbors
            kernels = LOADER.module or numpy_hnsw
        if self.graph_search is not None and kernels is not None:
            labels, wide, compared = self.graph_search.candidates(
                kernels, queries, depth, effort, threads, self._order
            )
            cost = graph_micros(compared / len(queries), self.code_bytes)
            if self.starts_over:
                cost += coded_micros(
                    self.pool(max(effort, depth)), self._near_bytes() // max(1, self.n)
                )
            return labels, wide, cost
        inner = inner_index(self._index)
        graph = isinstance(inner, faiss.IndexHNSW)
        counts = (
            faiss.cvar.hnsw_stats
            if graph
            else faiss.cvar.indexIVF_stats
            if isinstance(inner, faiss.IndexIVF)
            else None
        )
        if counts is not None:
            counts.reset()
        labels, near = self.candidates(queries, depth, effort, threads)
        compared = counts.ndis / len(queries) if counts is not None and counts.ndis else self.n
        cost = (graph_micros if graph else list_micros)(compared, self.code_bytes)
        return labels, near.astype(np.float64), cost

    @property
    def code_bytes(self) -> int:
        """Bytes the code of a row takes."""
        inner = inner_index(self._index)
        return int((inner.storage if isinstance(inner, faiss.IndexHNSW) else inner).sa_code_size())

    def covers(self, vectors: Vectors) -> npt.NDArray[np.bool_]:
        """Which rows or queries are like those the index was trained on: bool (rows,).

        The others need exact search.
        """
        return self._projection.covers(vectors)

    def codes(self, vectors: Vectors) -> npt.NDArray[np.uint8]:
        """Codes of rows as a graph of signed bytes holds them: uint8 (rows, code bytes).

        They can be compared with those of the index; 128 stands for 0.
        """
        return (self._projection.rows(vectors) + np.float32(128)).astype(np.uint8)

    def add(self, vectors: Vectors, *, threads: int = 1) -> None:
        """Append rows, labeled from `n` on.

        Args:
            vectors: float32 (rows, dim).
            threads: OpenMP threads to use.

        Raises:
            InvalidInputError: If `can_extend` is False, or the vectors have another shape.
        """
        if self._mapped:
            raise InvalidInputError(
                "this index is mapped from its file and cannot be extended: "
                "read it with mmap=False first"
            )
        if not self.can_extend:
            raise InvalidInputError(
                f"an index of recipe '{self.recipe.name}' cannot be extended: build it again"
            )
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise InvalidInputError(
                f"vectors have shape {vectors.shape}; this index takes (rows, {self.dim})"
            )
        self.__dict__.pop("graph_search", None)  # FAISS's memory moves when it grows
        self._near, self.threads = None, threads  # new links are made among the old rows, too
        first = self.n
        adding = growing(self._index, first + len(vectors), seed=self.recipe.seed, threads=threads)
        with omp_threads(threads):
            for start in range(0, len(vectors), BLOCK):
                adding.add(self._projection.rows(vectors[start : start + BLOCK]))
        outside = np.flatnonzero(~self.covers(vectors)) + first
        self.out_of_range = np.concatenate([self.out_of_range, outside])
        if self._order is not None:
            grown = np.arange(first, self.n + 1, dtype=np.int32)
            grown[-1] = -1
            self._order = np.concatenate([self._order[:-1], grown])
        if self.kind == "hnsw":
            link_back(self._index.hnsw, self.n, first)

    def memory_bytes(self) -> int:
        """Bytes the index takes in memory, or in the page cache when mapped."""
        arrays = (
            self._order,
            self.out_of_range,
            self._projection.matrix,
            self._projection.offset,
            self._projection.center,
            self._projection.mean,
            self._projection.variances,
        )
        own = sum(array.nbytes for array in arrays if array is not None)
        return index_bytes(self._index) + self._near_bytes() + own

    def _near_bytes(self) -> int:
        """Bytes of the codes of neighbors, made or not."""
        return self.n * near_width(self._index) if self.recipe.neighbor_codes else 0

    def write(self, path: Path) -> None:
        """Write one file: FAISS's own format, which FAISS alone can read too, then an npz.

        Codes of neighbors stand between them. The npz holds all else that FAISS does not know; its
        length and `TRAILER` follow.

        Raises:
            StorageError: If the disk is full or cannot be written.
        """
        self._write(path, self._coded_neighbors())

    def write_part(self, path: Path) -> None:
        """As `write`, for an index to which rows will be added: without codes of neighbors."""
        self._write(path, None)

    def _write(self, path: Path, near: NeighborCodes | None) -> None:
        with write_errors(path):
            faiss.write_index(self._index, str(path))
            more = {} if near is None else {"near": append_near(path, near)}
        self._write_trailer(path, **more)

    def _write_trailer(self, path: Path, **more: int) -> None:
        """Append all that FAISS does not know."""
        metadata = {"format": FORMAT, "metric": self.metric} | more
        metadata["recipe"] = self.recipe.to_mapping()
        arrays = {field.name: getattr(self._projection, field.name) for field in fields(Projection)}
        arrays |= {
            CALIBRATION_KEY: np.frombuffer(json.dumps(metadata).encode(), np.uint8),
            "order": self._order,
            "outliers": self.out_of_range,
        }
        append_trailer(path, arrays)
