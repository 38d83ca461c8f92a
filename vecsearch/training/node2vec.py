"""node2vec and DeepWalk: vectors of a graph's nodes from random walks over its edges.

Walks as in node2vec (Grover and Leskovec, KDD 2016); p = q = 1 is DeepWalk (Perozzi, Al-Rfou and Skiena, KDD 2014). The
walks are sentences for word2vec's skip-gram (gensim, the extra `train`). All walks of a round advance together in numpy; the
second-order steps are drawn by rejection (Yang et al., KnightKing, SOSP 2019), so no table over edge pairs is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vecsearch.embedders.keyed import KeyedEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.training.gensim import Progress, skip_gram
from vecsearch.training.item2vec import string_column

if TYPE_CHECKING:
    import pyarrow as pa

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Graph:
    """Neighbours in rows: those of node i are `neighbours[start[i]:start[i + 1]]`, by rising number.

    `reach` is the running sum of all edge weights, one longer than `neighbours`. `nodes` are the ids, as strings.
    """

    nodes: list[str]
    start: Rows
    neighbours: Rows
    reach: npt.NDArray[np.float64]

    @classmethod
    def from_table(
        cls, edges: pa.Table, source: str, target: str, weight: str | None, directed: bool
    ) -> Graph:
        """Repeated edges add up their weights. Raises InvalidInputError for a missing column, a null or a weight not > 0."""
        ends = [string_column(edges, source), string_column(edges, target)]
        if not len(ends[0]):
            raise InvalidInputError("the edge table is empty")
        nodes, codes = np.unique(np.concatenate(ends), return_inverse=True)
        tail, head = codes[: len(ends[0])].astype(np.int64), codes[len(ends[0]) :].astype(np.int64)
        weights = _weights(edges, weight)
        if not directed:
            loop = tail == head
            tail, head = np.concatenate([tail, head[~loop]]), np.concatenate([head, tail[~loop]])
            weights = np.concatenate([weights, weights[~loop]])
        pairs, place = np.unique(tail * len(nodes) + head, return_inverse=True)
        total = np.bincount(place, weights=weights)
        start = np.searchsorted(pairs // len(nodes), np.arange(len(nodes) + 1))
        return cls(
            nodes.tolist(),
            start.astype(np.int64),
            pairs % len(nodes),
            np.concatenate([[0.0], np.cumsum(total)]),
        )

    def step(self, here: Rows, random: np.random.Generator) -> Rows:
        """A neighbour of each node, drawn by edge weight; every node must have one."""
        low, high = self.reach[self.start[here]], self.reach[self.start[here + 1]]
        place = (
            np.searchsorted(self.reach, low + random.random(len(here)) * (high - low), side="right")
            - 1
        )
        return self.neighbours[
            np.clip(place, self.start[here], self.start[here + 1] - 1)
        ]  # rounding at a row's end

    def has_edges(self, tail: Rows, head: Rows) -> npt.NDArray[np.bool_]:
        keys = (
            np.repeat(np.arange(len(self.nodes)), np.diff(self.start)) * len(self.nodes)
            + self.neighbours
        )
        wanted = tail * len(self.nodes) + head
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.asarray(keys[place] == wanted)


def _weights(edges: pa.Table, weight: str | None) -> npt.NDArray[np.float64]:
    if weight is None:
        return np.ones(edges.num_rows)
    if weight not in edges.column_names:
        raise InvalidInputError(f"no column '{weight}'; there are {', '.join(edges.column_names)}")
    values = np.asarray(edges[weight].to_numpy(), dtype=np.float64)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(wrong):
        raise InvalidInputError(
            f"column '{weight}', row {wrong[0]}: {values[wrong[0]]} is not a weight above 0"
        )
    return values


def walk(graph: Graph, length: int, p: float, q: float, random: np.random.Generator) -> Rows:
    """One walk from every node in random order, shape (nodes, length); -1 after a node that leads nowhere.

    p: how loath a walk is to go straight back. q: how loath to leave the neighbourhood (above 1 stays near, below 1 roams).
    """
    walks = np.full((len(graph.nodes), length), -1, dtype=np.int64)
    walks[:, 0] = random.permutation(len(graph.nodes))
    degree = np.diff(graph.start)
    for at in range(1, length):
        going = np.flatnonzero((walks[:, at - 1] >= 0) & (degree[walks[:, at - 1]] > 0))
        here = walks[going, at - 1]
        if at == 1 or (p == 1 and q == 1):
            walks[going, at] = graph.step(here, random)
            continue
        before, top = walks[going, at - 2], max(1.0, 1 / p, 1 / q)
        left = np.arange(len(going))
        while len(left):
            drawn = graph.step(here[left], random)
            bias = np.where(
                drawn == before[left],
                1 / p,
                np.where(graph.has_edges(before[left], drawn), 1.0, 1 / q),
            )
            kept = random.random(len(left)) * top < bias
            walks[going[left[kept]], at] = drawn[kept]
            left = left[~kept]
    return walks


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
    """An embedder of nodes; keys are the node ids as strings. Save it with `.save(folder)`.

    walks: from each node; length: nodes in a walk. The same seed gives the same vectors with one worker.
    Raises InvalidInputError for a missing column, a null, a weight not above 0, p or q not above 0.
    """
    if p <= 0 or q <= 0:
        raise InvalidInputError(f"p is {p} and q is {q}; both must be above 0")
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
