"""graph2vec: subtree words against networkx's Weisfeiler-Lehman hashes, and kinds of graphs."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.graph2vec import GraphEmbedder, from_networkx
from vecsearch.errors import InvalidInputError
from vecsearch.training.graph2vec import train_graph2vec

needs_gensim = pytest.mark.skipif(
    find_spec("gensim") is None, reason="gensim (the extra 'train') is not installed"
)


def graphs() -> tuple[dict[str, nx.Graph], dict[str, str]]:
    """Rings with chords and trees, 30 each."""
    found, classes = {}, {}
    for number in range(60):
        size = 10 + number % 7
        if number % 2:
            graph = nx.watts_strogatz_graph(size, 4, 0.1, seed=number)
        else:
            graph = nx.random_labeled_tree(size, seed=number)
        found[f"g{number}"], classes[f"g{number}"] = graph, "ring" if number % 2 else "tree"
    return found, classes


@pytest.mark.parametrize("labeled", [False, True])
def test_words_tell_what_networkx_tells(labeled: bool) -> None:
    """Two nodes have the same word of a round exactly if networkx has the same hash."""
    for seed in range(3):
        graph = nx.gnp_random_graph(14, 0.25, seed=seed)
        for node in graph:
            graph.nodes[node]["label"] = str(node % 2) if labeled else str(graph.degree(node))
        words = from_networkx(graph, labeled, "it")
        labels = words.labels
        from vecsearch.graphs.subtrees import degrees, subtree_words

        own = subtree_words(words.graph, labels or degrees(words.graph), 3)
        wanted = nx.weisfeiler_lehman_subgraph_hashes(
            graph, node_attr="label", iterations=3, include_initial_labels=True
        )
        for number in range(4):
            ours = own[number * 14 : (number + 1) * 14]
            theirs = [wanted[node][number] for node in graph]
            pairs = set(zip(ours, theirs, strict=True))
            assert len(pairs) == len(set(ours)) == len(set(theirs))


@needs_gensim
def test_kinds_of_graphs_are_told_apart(tmp_path: Path) -> None:
    found, classes = graphs()
    model = train_graph2vec(found, classes=classes, dim=16)
    assert model.report is not None
    ours, counts, common = model.report.scores
    assert ours.value > 0.9 and counts.value > 0.9 and common.value == 0.5
    new = nx.random_labeled_tree(12, seed=99)
    near = np.argsort(-(model.unit @ model.embed(new)), kind="stable")[:9]
    assert sum(classes[model.keys[row]] == "tree" for row in near) >= 8
    loaded = resolve_embedder(f"saved:{model.save(tmp_path / 'graphs')}")
    assert isinstance(loaded, GraphEmbedder) and loaded.fingerprint() == model.fingerprint()
    np.testing.assert_array_equal(loaded.embed([new, "g3"]), model.embed([new, "g3"]))
    np.testing.assert_array_equal(train_graph2vec(found, dim=16).vectors, model.vectors)
    renamed = nx.relabel_nodes(new, {node: f"n{11 - node}" for node in new})
    np.testing.assert_array_equal(model.embed(renamed), model.embed(new))


@needs_gensim
def test_tables_are_read_like_networkx() -> None:
    found: dict[str, Any] = {
        "a": nx.path_graph(5),
        "b": nx.cycle_graph(5),
        "c": nx.star_graph(4),
    }
    edges, nodes = [], []
    for name, graph in found.items():
        for node in graph:
            graph.nodes[node]["label"] = "even" if node % 2 == 0 else "odd"
            nodes.append({"graph": name, "node": node, "label": graph.nodes[node]["label"]})
        for one, other in graph.edges:
            graph.edges[one, other]["type"] = f"t{(one + other) % 2}"
            row = {"graph": name, "source": one, "target": other}
            edges.append({**row, "type": f"t{(one + other) % 2}"})
    of_graphs = train_graph2vec(found, dim=8, epochs=5)
    of_tables = train_graph2vec(edges, nodes=nodes, dim=8, epochs=5)
    np.testing.assert_array_equal(of_graphs.vectors, of_tables.vectors)
    without = train_graph2vec(edges, nodes=nodes, type=None, dim=8, epochs=5)
    assert not np.array_equal(without.vectors, of_tables.vectors)


def test_words_are_as_many_as_nodes_and_rounds() -> None:
    words = from_networkx(nx.path_graph(3), None, "it").words(1)
    assert Counter(word.partition(":")[0] for word in words) == {"0": 3, "1": 3}
    assert Counter(words)["0:1"] == 2


@needs_gensim
def test_what_is_no_set_of_graphs_is_refused() -> None:
    found, _ = graphs()
    for data, options, message in (
        ([nx.path_graph(2), 5], {}, "graph '1' is 5, no networkx graph"),
        ([{"source": "a", "target": "b"}], {}, "no column 'graph'"),
        (found, {"classes": {"g0": "x"}}, "there is none of the graph 'g1'"),
        (found, {"rounds": 11}, "rounds is 11; it must be 10 or less"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            train_graph2vec(data, **options)
