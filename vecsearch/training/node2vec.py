"""node2vec and DeepWalk: vectors of a graph's nodes from random walks along its edges.

Grover and Leskovec, "node2vec: Scalable Feature Learning for Networks" (KDD 2016); with p = q = 1
it is DeepWalk (Perozzi, Al-Rfou and Skiena, KDD 2014). The walks are sentences on which word2vec's
skip-gram is trained (gensim, the extra `train`). All walks of a round advance together in numpy.
Second-order steps are sampled by rejection (Yang et al., "KnightKing", SOSP 2019), which needs no
table over pairs of edges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vecsearch.common.gate import gated
from vecsearch.common.show import shown
from vecsearch.embedders.keyed import KeyedEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.training.columns import id_column, require_column
from vecsearch.training.gensim import Progress, check_settings, skip_gram

if TYPE_CHECKING:
    import pyarrow as pa

Nodes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Graph:
    """A weighted graph as a compressed sparse row matrix.

    Attributes:
        nodes: The nodes' ids as strings; a node's number is its index here.
        start: int64, one longer than `nodes`: the neighbors of node i are
            `neighbors[start[i]:start[i + 1]]`, by rising number.
        neighbors: int64: where each edge leads.
        cumulative: float64, one longer than `neighbors`: the running sum of all edge weights, from
            0.
    """

    nodes: list[str]
    start: Nodes
    neighbors: Nodes
    cumulative: npt.NDArray[np.float64]

    @classmethod
    def from_table(
        cls, edges: pa.Table, source: str, target: str, weight: str | None, directed: bool
    ) -> Graph:
        """Read a table of edges; the weights of repeated edges are added up.

        Raises:
            InvalidInputError: A column is missing or contains a null, a weight is not above 0, or
                the table is empty.
        """
        ends = [id_column(edges, source), id_column(edges, target)]
        if not len(ends[0]):
            raise InvalidInputError("the edge table is empty")
        nodes, codes = np.unique(np.concatenate(ends), return_inverse=True)
        tail, head = codes[: len(ends[0])].astype(np.int64), codes[len(ends[0]) :].astype(np.int64)
        weights = _weights(edges, weight)
        if not directed:
            loop = tail == head
            tail, head = np.concatenate([tail, head[~loop]]), np.concatenate([head, tail[~loop]])
            weights = np.concatenate([weights, weights[~loop]])
        edge_keys, index = np.unique(tail * len(nodes) + head, return_inverse=True)
        total = np.bincount(index, weights=weights)
        start = np.searchsorted(edge_keys // len(nodes), np.arange(len(nodes) + 1))
        return cls(
            nodes.tolist(),
            start.astype(np.int64),
            edge_keys % len(nodes),
            np.concatenate([[0.0], np.cumsum(total)]),
        )

    def step(self, here: Nodes, random: np.random.Generator) -> Nodes:
        """A neighbor of each node, sampled by edge weight; every node must have a neighbor."""
        first, end = self.start[here], self.start[here + 1]
        low, high = self.cumulative[first], self.cumulative[end]
        target = low + random.random(len(here)) * (high - low)
        edge = np.searchsorted(self.cumulative, target, side="right") - 1
        return self.neighbors[np.clip(edge, first, end - 1)]  # against rounding at a row's end

    def has_edges(self, tail: Nodes, head: Nodes) -> npt.NDArray[np.bool_]:
        """Whether there is an edge from tail[i] to head[i], for each i."""
        keys = (
            np.repeat(np.arange(len(self.nodes)), np.diff(self.start)) * len(self.nodes)
            + self.neighbors
        )
        wanted = tail * len(self.nodes) + head
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.asarray(keys[found] == wanted)


def _weights(edges: pa.Table, weight: str | None) -> npt.NDArray[np.float64]:
    if weight is None:
        return np.ones(edges.num_rows)
    values = np.asarray(require_column(edges, weight).to_numpy(), dtype=np.float64)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(wrong):
        raise InvalidInputError(
            f"column '{weight}', row {wrong[0]}: {values[wrong[0]]} is not a weight above 0"
        )
    return values


def walk(graph: Graph, length: int, p: float, q: float, random: np.random.Generator) -> Nodes:
    """One random walk from every node.

    Where a walk came from node t to node v, the weight of an edge from v to x is multiplied by 1/p
    if x is t, by 1 if there is an edge from t to x, and by 1/q otherwise.

    Args:
        graph: The graph.
        length: Nodes of a walk, the first included.
        p: Return parameter: above 1, a walk seldom goes straight back.
        q: In-out parameter: above 1, a walk stays near its start; below 1, it moves away.
        random: The source of randomness.

    Returns:
        int64, shape (nodes, length), in random order of the start nodes; -1 after a node without
        neighbors.
    """
    walks = np.full((len(graph.nodes), length), -1, dtype=np.int64)
    walks[:, 0] = random.permutation(len(graph.nodes))
    degree = np.diff(graph.start)
    for step in range(1, length):
        previous = walks[:, step - 1]
        active = np.flatnonzero((previous >= 0) & (degree[previous] > 0))
        here = previous[active]
        if step == 1 or (p == 1 and q == 1):
            walks[active, step] = graph.step(here, random)
        else:
            walks[active, step] = _biased_step(graph, walks[active, step - 2], here, p, q, random)
    return walks


def _biased_step(
    graph: Graph, before: Nodes, here: Nodes, p: float, q: float, random: np.random.Generator
) -> Nodes:
    """A second-order step of each walk, from `here`, reached from `before`.

    A candidate sampled by edge weight is accepted with a probability proportional to its bias.
    """
    chosen = np.empty_like(here)
    largest = max(1.0, 1 / p, 1 / q)
    open_walks = np.arange(len(here))
    while len(open_walks):
        candidate, origin = graph.step(here[open_walks], random), before[open_walks]
        near = np.where(graph.has_edges(origin, candidate), 1.0, 1 / q)
        bias = np.where(candidate == origin, 1 / p, near)
        accepted = random.random(len(open_walks)) * largest < bias
        chosen[open_walks[accepted]] = candidate[accepted]
        open_walks = open_walks[~accepted]
    return chosen


@gated
def train_node2vec(
    edges: pa.Table,
    *,
    source: str = "source",
    target: str = "target",
    weight: str | None = None,
    directed: bool = False,
    p: float = 1.0,
    q: float = 1.0,
    walks: int = 10,
    length: int = 40,
    dim: int = 128,
    window: int = 5,
    epochs: int = 2,
    negative: int = 5,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> KeyedEmbedder:
    """Train vectors of the nodes of a graph.

    With one worker the same seed gives the same vectors.

    Args:
        edges: One row per edge.
        source: The column with the node where an edge starts.
        target: The column with the node where it ends.
        weight: The column with the edge's weight, above 0; None gives every edge the weight 1.
        directed: Whether edges lead one way only.
        p: Return parameter: above 1, a walk seldom goes straight back.
        q: In-out parameter: above 1, a walk stays near its start; below 1, it moves away.
        walks: Walks from each node.
        length: Nodes of a walk.
        dim: Length of the vectors.
        window: How many neighbors on each side in a walk count as seen together.
        epochs: Passes over the walks.
        negative: Negative samples for each pair.
        seed: Seed of all random choices.
        workers: Threads.
        progress: Called with the number of finished epochs and of all epochs.

    Returns:
        An embedder whose keys are the node ids as strings. Save it with `.save(folder)`.

    Raises:
        InvalidInputError: A column is missing or contains a null, a weight is not above 0, the
            table is empty, or p or q is not above 0.
        MissingExtraError: The extra `train` is not installed.

    Example:
        >>> import pyarrow as pa
        >>> edges = pa.table({"source": ["a", "b", "c"], "target": ["b", "c", "a"]})
        >>> train_node2vec(edges, dim=8).embed_documents(["a"]).shape
        (1, 8)
    """
    check_settings(
        dim=dim,
        window=window,
        epochs=epochs,
        negative=negative,
        seed=seed,
        workers=workers,
        walks=walks,
        length=length,
    )
    if not (0 < p < math.inf and 0 < q < math.inf):
        raise InvalidInputError(f"p is {shown(p)} and q is {shown(q)}; both must be above 0")
    graph = Graph.from_table(edges, source, target, weight, directed)
    random = np.random.default_rng(seed)
    sentences: list[list[str]] = []
    for _ in range(walks):
        paths = walk(graph, length, p, q, random)
        sentences.extend([graph.nodes[node] for node in path[path >= 0]] for path in paths)
    keys, vectors = skip_gram(
        sentences,
        dim=dim,
        window=window,
        epochs=epochs,
        min_count=1,
        negative=negative,
        seed=seed,
        workers=workers,
        progress=progress,
        sample=0.0,
        what_for="Training node2vec",
    )
    about = {
        "trained": "node2vec",
        "nodes": len(graph.nodes),
        "p": p,
        "q": q,
        "walks": walks,
        "length": length,
        "window": window,
        "epochs": epochs,
        "negative": negative,
        "directed": directed,
        "seed": seed,
    }
    return KeyedEmbedder(keys, vectors, "keyed:unsaved", about)
