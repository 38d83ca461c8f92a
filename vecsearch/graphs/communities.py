"""Communities: groups of nodes with more links inside than chance would give.

The Leiden algorithm (Traag, Waltman and van Eck, "From Louvain to Leiden: guaranteeing
well-connected communities", Scientific Reports 2019) for the largest modularity, from the package
graspologic-native (the extra `graphs`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.common.optional import require
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.graph import Graph
from vecsearch.graphs.near import nearest_links

ROUNDS = 5  # times that Leiden runs on its own result
SHARE = 0.5  # of the weight of links between near vectors, in parts of that of the given links


def communities_of(
    graph: Graph,
    vectors: Vectors | None = None,
    *,
    resolution: float = 1.0,
    neighbors: int = 10,
    share: float = SHARE,
    seed: int = 0,
) -> npt.NDArray[np.int32]:
    """The community of each node: 0 the largest, ties by the first node.

    Args:
        graph: The links, which count in both directions.
        vectors: float32, shape (nodes, dim): nodes are also linked to those with near vectors;
            None takes the links alone.
        resolution: Above 1 gives more communities, below 1 fewer.
        neighbors: To how many of the nearest nodes each node is linked.
        share: The total weight of these links, in parts of that of the graph's links.
        seed: Seed of the order in which nodes are visited.

    Raises:
        InvalidInputError: The resolution is not above 0, or the share below 0.
        MissingExtraError: graspologic-native is not installed.
    """
    for name, value, least in (("resolution", resolution, math.ulp(0)), ("share", share, 0.0)):
        if not isinstance(value, int | float) or not least <= value < math.inf:
            bound = "above 0" if least else "0 or more"
            raise InvalidInputError(f"{name} is {shown(value)}; it must be {bound}")
    matrix = _both_ways(graph, vectors, neighbors, share)
    size = len(graph.nodes)
    if not matrix.nnz:
        return np.arange(size, dtype=np.int32)
    native = require("graspologic_native", "graspologic-native", "graphs", "Finding communities")
    _, found = native.leiden_csr(
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int32),
        matrix.data.astype(np.float64),
        size,
        resolution=float(resolution),
        iterations=ROUNDS,
        seed=seed,
    )
    alone = iter(range(size, 2 * size))
    owners = [found[node] if node in found else next(alone) for node in range(size)]
    _, first, codes, counts = np.unique(
        owners, return_index=True, return_inverse=True, return_counts=True
    )
    numbers = np.empty(len(counts), dtype=np.int32)
    numbers[np.lexsort((first, -counts))] = np.arange(len(counts))
    return np.asarray(numbers[codes])


def modularity(graph: Graph, owners: npt.NDArray[np.int32]) -> float:
    """How many more of the links lie inside communities than chance gives (Newman, 2004).

    Links count in both directions by their weights, without loops; 0 without links.

    Example:
        >>> ends = np.array([0, 2]), np.array([1, 3])
        >>> graph = Graph.from_links(list("abcd"), *ends, np.ones(2), directed=False)
        >>> modularity(graph, np.array([0, 0, 1, 1], np.int32))
        0.5
    """
    matrix = _both_ways(graph, None, 0, 0.0).tocoo()
    total = float(matrix.data.sum())
    if total == 0:
        return 0.0
    inside = float(matrix.data[owners[matrix.row] == owners[matrix.col]].sum())
    degrees = np.bincount(owners[matrix.row], matrix.data, int(owners.max()) + 1)
    return inside / total - float(np.square(degrees / total).sum())


def _both_ways(graph: Graph, vectors: Vectors | None, neighbors: int, share: float) -> Any:
    """The weights of links in both directions, those of near vectors added, without loops."""
    from scipy.sparse import csr_matrix, diags

    own = csr_matrix(graph.matrix + graph.matrix.T) if graph.directed else graph.matrix
    if vectors is not None and share > 0:
        tail, head, cosines = nearest_links(vectors, neighbors)
        near = csr_matrix((cosines, (tail, head)), own.shape)
        near = csr_matrix(near + near.T)
        total = float(near.sum())
        if total > 0:
            own = own + near * (share * (float(own.sum()) or total) / total)
    own = csr_matrix(own - diags(own.diagonal()))
    own.eliminate_zeros()
    own.sort_indices()
    return own
