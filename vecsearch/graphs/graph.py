"""A weighted graph as a compressed sparse row matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.lazy import lazy

Nodes = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Graph:
    """A weighted graph as a compressed sparse row matrix.

    Attributes:
        nodes: The nodes' ids as strings; a node's number is its index here.
        start: int64, one longer than `nodes`: the neighbors of node i are
            `neighbors[start[i]:start[i + 1]]`, by rising number.
        neighbors: int64: where each edge leads.
        weights: float64, as long as `neighbors`: each edge's weight, above 0.
        directed: Whether edges lead one way only; else each is here in both directions.
    """

    nodes: list[str]
    start: Nodes
    neighbors: Nodes
    weights: Weights
    directed: bool = False

    @classmethod
    def from_links(
        cls, nodes: list[str], tail: Nodes, head: Nodes, weights: Weights, directed: bool
    ) -> Graph:
        """Make a graph of links from node `tail[i]` to node `head[i]`.

        The weights of links between the same nodes are added up.

        Example:
            >>> import numpy as np
            >>> ends = np.array([0, 1]), np.array([1, 2])
            >>> Graph.from_links(["a", "b", "c"], *ends, np.ones(2), directed=False).neighbors
            array([1, 0, 2, 1])
        """
        if not directed:
            both = tail != head
            tail, head = np.concatenate([tail, head[both]]), np.concatenate([head, tail[both]])
            weights = np.concatenate([weights, weights[both]])
        keys, index = np.unique(tail * len(nodes) + head, return_inverse=True)
        start = np.searchsorted(keys // max(len(nodes), 1), np.arange(len(nodes) + 1))
        return cls(
            nodes,
            start.astype(np.int64),
            keys % max(len(nodes), 1),
            np.asarray(np.bincount(index, weights, len(keys)), dtype=np.float64),
            directed,
        )

    @lazy
    def tails(self) -> Nodes:
        """Where each edge starts: int64, as long as `neighbors`."""
        return np.repeat(np.arange(len(self.nodes), dtype=np.int64), np.diff(self.start))

    @lazy
    def cumulative(self) -> Weights:
        """The running sum of all weights, from 0: float64, one longer than `neighbors`."""
        return np.concatenate([[0.0], np.cumsum(self.weights)])

    @lazy
    def keys(self) -> Nodes:
        """`tail * nodes + head` of each edge, rising."""
        return np.asarray(self.tails * len(self.nodes) + self.neighbors)

    @lazy
    def matrix(self) -> Any:
        """The weights as a scipy matrix in compressed sparse rows."""
        from scipy.sparse import csr_matrix

        size = len(self.nodes)
        return csr_matrix((self.weights, self.neighbors, self.start), (size, size))

    @lazy
    def either(self) -> Any:
        """1 where there is an edge in either direction, no loops: a scipy matrix, float64."""
        from scipy.sparse import csr_matrix, diags

        both = csr_matrix(self.matrix + self.matrix.T)
        both = csr_matrix(both - diags(both.diagonal()))
        both.eliminate_zeros()
        both.data[:] = 1.0
        both.sort_indices()
        return both

    def has_edges(self, tail: Nodes, head: Nodes) -> npt.NDArray[np.bool_]:
        """Whether there is an edge from tail[i] to head[i], for each i."""
        if not len(self.keys):
            return np.zeros(len(tail), dtype=np.bool_)
        wanted = tail * len(self.nodes) + head
        found = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.asarray(self.keys[found] == wanted)
