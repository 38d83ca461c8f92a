"""Subtree words of a graph: the labels of the Weisfeiler-Lehman relabeling.

Shervashidze et al., "Weisfeiler-Lehman Graph Kernels" (JMLR 2011): in each round, a node's new
label is its label with the sorted labels of its neighbors. A label of round r stands for the tree
of all walks of r steps from the node. Two graphs with the same counts of labels are not told apart
by the kernel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from vecsearch.graphs.graph import Graph, Nodes


def subtree_words(
    graph: Graph, labels: Sequence[str], rounds: int, kinds: Sequence[str] | None = None
) -> list[str]:
    """The labels of all nodes in all rounds, the first included.

    Args:
        graph: The graph; in a directed one, the labels of those that a node links to count.
        labels: The label of each node.
        rounds: How many rounds of relabeling.
        kinds: The type of each edge, in the order of `graph.neighbors`; None without types.

    Returns:
        `rounds + 1` words for each node: "0:" and its label, then the round and a hash.

    Example:
        >>> import numpy as np
        >>> path = Graph.from_links(
        ...     ["a", "b", "c"], np.array([0, 1]), np.array([1, 2]), np.ones(2), directed=False
        ... )
        >>> words = subtree_words(path, ["x", "x", "x"], 1)
        >>> words[:3], words[3] == words[5], words[3] == words[4]
        (['0:x', '0:x', '0:x'], True, False)
    """
    current = [f"0:{label}" for label in labels]
    words = list(current)
    edge = [""] * len(graph.neighbors) if kinds is None else list(kinds)
    for number in range(1, rounds + 1):
        following = []
        for node, own in enumerate(current):
            first, end = int(graph.start[node]), int(graph.start[node + 1])
            around = sorted(
                f"{edge[at]}>{current[graph.neighbors[at]]}" for at in range(first, end)
            )
            joined = "\0".join([own, *around])
            digest = hashlib.blake2b(joined.encode(), digest_size=8).hexdigest()
            following.append(f"{number}:{digest}")
        words += following
        current = following
    return words


def degrees(graph: Graph) -> list[str]:
    """The number of each node's neighbors, as a label."""
    counts: Nodes = np.diff(graph.start)
    return [str(count) for count in counts.tolist()]
