"""Nodes of graphs: graphs and walks by hand, vectors, links and communities against networkx."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest

from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.nodes import NodeEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.walks import steps_from, walk
from vecsearch.training.graphs import graph_tables, read_links
from vecsearch.training.node2vec import train_deepwalk, train_node2vec

needs_gensim = pytest.mark.skipif(
    find_spec("gensim") is None, reason="gensim (the extra 'train') is not installed"
)


def edges() -> pa.Table:
    """A square a-b-c-d with the diagonal a-c, one edge given twice, and a loop at d."""
    return pa.table(
        {
            "source": ["a", "b", "c", "d", "a", "b", "d"],
            "target": ["b", "c", "d", "a", "c", "a", "d"],
        }
    )


def test_graph_by_hand() -> None:
    graph = read_links(edges()).graph()
    assert graph.nodes == ["a", "b", "c", "d"]
    rows = [graph.neighbors[graph.start[i] : graph.start[i + 1]].tolist() for i in range(4)]
    assert rows == [[1, 2, 3], [0, 2], [0, 1, 3], [0, 2, 3]]
    assert np.diff(graph.cumulative).tolist() == [
        2,
        1,
        1,
        2,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
    ]  # a-b was given twice
    tail, head = np.array([0, 1, 3, 3]), np.array([2, 3, 1, 3])
    assert graph.has_edges(tail, head).tolist() == [True, False, False, True]
    directed = read_links(edges(), directed=True).graph()
    assert directed.neighbors[directed.start[2] : directed.start[3]].tolist() == [3]


def test_steps_follow_the_weights() -> None:
    table = pa.table({"source": ["hub"] * 3, "target": ["x", "y", "z"], "w": [1.0, 2.0, 5.0]})
    graph = read_links(table, weight="w").graph()
    steps = steps_from(graph, np.zeros(80_000, dtype=np.int64), np.random.default_rng(0))
    np.testing.assert_allclose(
        np.bincount(steps, minlength=4) / 80_000, [0, 1 / 8, 2 / 8, 5 / 8], atol=0.01
    )


def shares_of_third_nodes(
    edges: list[str], *, directed: bool, p: float, q: float
) -> dict[str, float]:
    """Where walks from a by way of c go next, over 20,000 copies of a graph walked at once.

    edges: pairs of letters, such as "ab".
    """
    copies = 20_000
    ends = [[f"{n:05}{edge[end]}" for n in range(copies) for edge in edges] for end in (0, 1)]
    table = pa.table({"source": ends[0], "target": ends[1]})
    graph = read_links(table, directed=directed).graph()
    letter = np.array([node[-1] for node in graph.nodes])
    path = walk(graph, 3, p, q, np.random.default_rng(0))
    third = letter[path[(letter[path[:, 0]] == "a") & (letter[path[:, 1]] == "c"), 2]]
    assert len(third) > copies / 4
    names, counts = np.unique(third, return_counts=True)
    return dict(zip(names.tolist(), (counts / counts.sum()).tolist(), strict=True))


@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.25, 4.0), (4.0, 0.5)])
def test_second_order_steps_have_node2vecs_odds(p: float, q: float) -> None:
    """Back to a (1/p), on to b or d, neighbors of a (1), or to e, which is not (1/q)."""
    shares = shares_of_third_nodes(["ab", "ac", "ad", "cb", "cd", "ce"], directed=False, p=p, q=q)
    odds = {"a": 1 / p, "b": 1.0, "d": 1.0, "e": 1 / q}
    total = sum(odds.values())
    assert shares == pytest.approx({node: value / total for node, value in odds.items()}, abs=0.02)


@pytest.mark.parametrize(("p", "q"), [(0.25, 4.0), (4.0, 0.5)])
def test_second_order_steps_of_a_directed_graph_follow_its_edges(p: float, q: float) -> None:
    """There is an edge from a to d (1); that from e to a does not make e a's neighbor (1/q)."""
    shares = shares_of_third_nodes(["ac", "ad", "ea", "ca", "cd", "ce"], directed=True, p=p, q=q)
    odds = {"a": 1 / p, "d": 1.0, "e": 1 / q}
    total = sum(odds.values())
    assert shares == pytest.approx({node: value / total for node, value in odds.items()}, abs=0.02)


def test_walks_stop_at_a_node_without_neighbors() -> None:
    graph = read_links(pa.table({"source": ["a", "b"], "target": ["b", "c"]}), directed=True).graph()
    paths = {path[0]: path.tolist() for path in walk(graph, 4, 1, 2, np.random.default_rng(0))}
    assert paths == {0: [0, 1, 2, -1], 1: [1, 2, -1, -1], 2: [2, -1, -1, -1]}


@needs_gensim
def test_node2vec_keeps_clusters_together() -> None:
    random = np.random.default_rng(0)
    pairs = [
        (f"{side}{i}", f"{side}{j}")
        for side in "xy"
        for i in range(12)
        for j in range(i)
        if random.random() < 0.6
    ]
    table = pa.table(
        {"source": [a for a, _ in pairs] + ["x0"], "target": [b for _, b in pairs] + ["y0"]}
    )
    nodes = train_node2vec(table, dim=16, walks=5, length=20, p=0.5, q=2.0)
    for node in ("x3", "y5"):
        assert sum(key[0] == node[0] for key, _ in nodes.most_similar(node, 10)) >= 9
    assert (
        train_node2vec(table, dim=16, walks=5, length=20, p=0.5, q=2.0).fingerprint()
        == nodes.fingerprint()
    )


def test_unusable_graphs_are_refused() -> None:
    table = pa.table({"source": ["a", "b"], "target": ["b", "c"], "w": [1.0, 0.0]})
    with pytest.raises(InvalidInputError, match=r"column 'w', row 1: 0\.0 is not a weight above 0"):
        train_node2vec(table, weight="w")
    with pytest.raises(InvalidInputError, match="no column 'from'; known are: source, target, w"):
        train_node2vec(table, source="from")
    with pytest.raises(InvalidInputError, match="p is 0; it must be above 0"):
        train_node2vec(table, p=0)
    with pytest.raises(InvalidInputError, match="is empty"):
        train_node2vec(table.slice(0, 0))
