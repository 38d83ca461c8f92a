"""Arguments of the search kernels, for the compiled ones and for those in numpy.

Compiled code is called without a check of types (see `numba_hnsw.py`), so every array must be
C-contiguous and have the dtype given here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Mask, Positions, Vectors
from vecsearch.index.kernels.neighbor_codes import rotation_signs

INNER_PRODUCT, COSINE, EUCLIDEAN = 0, 1, 2  # of a request: what its scores are
LANES = 16  # partial sums of a score; see `numpy_scores.py`
CHUNK = 8  # entries of a pool that one vector instruction changes
TILE = 8  # rows whose products with all queries are compared at a time
SPARE = 1 << 15  # nodes without a place in the pool that a search remembers, to go on with them
FULL = 255  # the last mark of visited nodes; then the marks are cleared
NO_MASK = np.empty(0, bool)
NO_NEAR = np.empty((0, 0), np.uint8)
NOTHING_OUTSIDE = np.empty((0, 0), np.uint8), np.empty(0, np.int32)
TOO_FEW = -1  # what a search returns if too few of its candidates match,
UNSURE = -2  # if the query is too hard for the efforts it was given,
FAR = -3  # and if it is farther from the rows than any query of calibration
AGAIN = -16  # less a stage: what `judge` returns if the query is to be searched with that next
NONE_FOUND = float(np.finfo(np.float32).max)  # FAISS's distance where it has no candidate
NO_ROWS = np.empty(0, np.int32)


class Moments(NamedTuple):
    """Mean and variances of the rows, from which the contrast of a candidate is computed.

    Attributes:
        mean: float32 (dim,); empty if nothing is known, in indexes of older versions.
        variances: Along each axis of the projection, float64 (code bytes,).
        offsets: The code of a component of 0 (for l2: of the mean's), float64 (code bytes,).
        unit: The component that one step of a code stands for.
        rest: Mean variance along all other axes.
        own_mean, own_variance: Of the squared distance of rows from the mean.
    """

    mean: Vectors
    variances: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]
    unit: float
    rest: float
    own_mean: float
    own_variance: float


class Codes(NamedTuple):
    """The codes of an index, and how a query becomes one.

    Attributes:
        matrix: Rows of the projection, float32 (code bytes, dim).
        offset: Added after the projection, float32 (code bytes,).
        rounding: Bound of the float32 rounding error of a projection, for each unit of length.
        center_length: Length of the center of the data, which adds to that error.
        codes: uint8 (nodes, code bytes); 128 stands for 0.
        moments: Mean and variances of the rows.
    """

    matrix: Vectors
    offset: Vectors
    rounding: float
    center_length: float
    codes: npt.NDArray[np.uint8]
    moments: Moments


class Graph(NamedTuple):
    """The links of an HNSW graph, as FAISS stores them.

    Attributes:
        links: Neighbors of all nodes, int32; -1 marks an unused place at the end of a level.
        offsets: Where the links of each node begin, int64.
        levels: Where the links of each level begin within those of a node, int64.
        entry: The entry point.
        top: The highest level.
        near: Codes of the neighbors on the lowest level, uint8 (nodes, bytes), see
            `neighbor_codes.py`; (0, 0) if there are none.
    """

    links: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    levels: npt.NDArray[np.int64]
    entry: int
    top: int
    near: npt.NDArray[np.uint8] = NO_NEAR


class Effort(NamedTuple):
    """How far a search goes.

    Attributes:
        sizes: Sizes of the pool (efSearch) to search with, ascending, int64.
        contrasts: With which contrast a query may stop at each of them, float64.
        rank: Contrast is that of the candidate of this rank, counted from 1.
        farthest: A query whose candidate of that rank scores lower is given up,
        far_from: at this effort, by its place, or one after it, or the last.
        misses: Scoring stops when no more hits are expected among the other candidates; infinite
            to score `Request.depth` candidates, whatever they are.
    """

    sizes: npt.NDArray[np.int64]
    contrasts: npt.NDArray[np.float64]
    rank: int
    farthest: float
    far_from: int
    misses: float


def fixed_effort(size: int) -> Effort:
    """The same effort for every query, and a fixed number of candidates."""
    return Effort(np.array([size]), np.array([-np.inf]), 1, -np.inf, 1, np.inf)


class Request(NamedTuple):
    """What a search takes beside its query; the same for all queries with one plan.

    Attributes:
        row_map: Maps nodes to positions, int32; -1 marks a deleted row.
        mask: Which positions may be found, bool; NO_MASK for all.
        unindexed: Positions that are scored in any case, int64.
        outside_codes: Codes of rows outside the graph, uint8 (rows, code bytes). All that are as
            near as the last candidate of the graph are scored.
        outside_rows: Their positions, int32; -1 marks one that may not be found.
        starts: First position of each segment, int64.
        addresses: Address of each segment's float32 vectors, int64.
        metric: What the scores are: INNER_PRODUCT, COSINE or EUCLIDEAN.
        effort: How far to search.
        depth: Candidates that are scored by their vectors, at least.
        candidate_window: See `enough`.
        enough: A search gives up if fewer of its first `candidate_window` candidates match.
    """

    row_map: Any
    mask: Mask
    unindexed: Positions
    outside_codes: npt.NDArray[np.uint8]
    outside_rows: npt.NDArray[np.int32]
    starts: Positions
    addresses: Positions
    metric: int
    effort: Effort
    depth: int
    candidate_window: int
    enough: int


class Scratch(NamedTuple):
    """Working memory of one thread.

    Attributes:
        code: The query as a code, int16 (code bytes,).
        pool: Nearest nodes found so far, int64; see `numba_graph.py`.
        seen: A mark for each node, uint8; a node is visited if it has the mark in use.
        mark: The mark in use, int64 (1,).
        waiting: Neighbors of a node that are not visited yet, int32.
        positions, distances: Of the candidates that match, int64, as many as a pool.
        spare: Nodes that were compared and have no place in the pool, int64 (SPARE,).
        outside: Positions of rows outside that are scored, int64.
        turned: The query's code rotated, and room for that, float32 (2, code bytes).
        table: Of the rotated query, uint8 (4 * code bytes,); see `neighbor_codes.py`.
        signs: Of the rotation, float32 (rounds, code bytes).
        scale: The unit of the table's entries, and what stands for an entry of 0, float32 (2,).
    """

    code: npt.NDArray[np.int16]
    pool: npt.NDArray[np.int64]
    seen: npt.NDArray[np.uint8]
    mark: npt.NDArray[np.int64]
    waiting: npt.NDArray[np.int32]
    positions: Positions
    distances: Positions
    spare: npt.NDArray[np.int64]
    outside: npt.NDArray[np.int64]
    turned: npt.NDArray[np.float32]
    table: npt.NDArray[np.uint8]
    scale: npt.NDArray[np.float32]
    signs: npt.NDArray[np.float32]


def new_scratch(codes: npt.NDArray[np.uint8], size: int, width: int, outside: int = 0) -> Scratch:
    """Working memory for pools of `size` nodes, at most `width` links of a node on a level, and
    some rows `outside`.
    """
    return Scratch(
        np.empty(codes.shape[1], np.int16),
        np.empty(size + 2 * CHUNK, np.int64),
        np.zeros(len(codes), np.uint8),
        np.zeros(1, np.int64),
        np.empty(width, np.int32),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(SPARE, np.int64),
        np.empty(outside, np.int64),
        np.empty((2, codes.shape[1]), np.float32),
        np.empty(4 * codes.shape[1], np.uint8),
        np.empty(2, np.float32),
        rotation_signs(codes.shape[1]),
    )
