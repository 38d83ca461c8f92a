"""Random walks: all walks of a round advance together in numpy.

Second-order steps (Grover and Leskovec, "node2vec", KDD 2016) are sampled by rejection (Yang et
al., "KnightKing", SOSP 2019), which needs no table over pairs of edges.
"""

from __future__ import annotations

import numpy as np

from vecsearch.graphs.graph import Graph, Nodes


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
            walks[active, step] = steps_from(graph, here, random)
        else:
            walks[active, step] = _biased_step(graph, walks[active, step - 2], here, p, q, random)
    return walks


def steps_from(graph: Graph, here: Nodes, random: np.random.Generator) -> Nodes:
    """A neighbor of each node, sampled by edge weight; every node must have a neighbor."""
    first, end = graph.start[here], graph.start[here + 1]
    low, high = graph.cumulative[first], graph.cumulative[end]
    target = low + random.random(len(here)) * (high - low)
    edge = np.searchsorted(graph.cumulative, target, side="right") - 1
    return graph.neighbors[np.clip(edge, first, end - 1)]  # against rounding at a row's end


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
        candidate, origin = steps_from(graph, here[open_walks], random), before[open_walks]
        near = np.where(graph.has_edges(origin, candidate), 1.0, 1 / q)
        bias = np.where(candidate == origin, 1 / p, near)
        accepted = random.random(len(open_walks)) * largest < bias
        chosen[open_walks[accepted]] = candidate[accepted]
        open_walks = open_walks[~accepted]
    return chosen
