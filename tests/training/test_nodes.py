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
from vecsearch.ingest.graph_tables import graph_tables, read_links
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
    graph = read_links(
        pa.table({"source": ["a", "b"], "target": ["b", "c"]}), directed=True
    ).graph()
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
    with pytest.raises(InvalidInputError, match="the graph has no edge"):
        train_node2vec(table.slice(0, 0))


def karate() -> nx.Graph:
    """Zachary's karate club, weighted, with a text for each member by their faction."""
    graph = nx.karate_club_graph()
    words = {"Mr. Hi": "teacher lessons training", "Officer": "office money rules"}
    for number, attributes in graph.nodes(data=True):
        attributes["text"] = f"{words[attributes['club']]} member{number % 7}"
    graph.add_node("new office", club="Officer", text="office rules money")
    return graph


@pytest.fixture(scope="module")
def members() -> NodeEmbedder:
    return train_node2vec(karate(), dim=16, walks=5, length=10, held_out=0.2)


def test_graphs_of_every_form_are_the_same_graph() -> None:
    pairs = [("0", "1"), ("1", "2"), ("0", "2"), ("3", "0")]
    weights = [1.0, 2.0, 0.5, 4.0]
    graph = nx.Graph()
    graph.add_weighted_edges_from([(a, b, w) for (a, b), w in zip(pairs, weights, strict=True)])
    table = pa.table(
        {"source": [a for a, _ in pairs], "target": [b for _, b in pairs], "weight": weights}
    )
    matrix = nx.to_scipy_sparse_array(graph, nodelist=sorted(graph))
    forms = [
        table,
        table.to_pylist(),
        table.to_pandas(),
        [(*pair, w) for pair, w in zip(pairs, weights, strict=True)],
        graph,
        matrix,
        matrix.toarray(),
    ]
    wanted = nx.to_numpy_array(graph, nodelist=sorted(graph))
    for form in forms:
        tables = graph_tables(form)
        read = read_links(tables.edges, directed=bool(tables.directed)).graph()
        assert read.nodes == ["0", "1", "2", "3"], type(form)
        np.testing.assert_array_equal(read.matrix.toarray(), wanted)
    directed = nx.DiGraph([("a", "b"), ("c", "a")])
    tables = graph_tables(directed)
    assert tables.directed is True
    read = read_links(tables.edges, directed=True).graph()
    np.testing.assert_array_equal(read.matrix.toarray(), nx.to_numpy_array(directed, "abc"))
    one_way = graph_tables(nx.to_scipy_sparse_array(directed, nodelist="abc"))
    assert one_way.directed is True and one_way.edges["source"].to_pylist() == ["0", "2"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([("a", "b"), ("c",)], r"edge 1 is \('c',\)"),
        (np.zeros((2, 5)), "no column 'source'"),
        (7, "data is"),
        (nx.Graph(), "the graph has no edge"),
        (nx.empty_graph(3), "the graph has no edge"),
        (np.ones((3, 3)), "may be edges or the weights between nodes"),
        (np.ones((3, 4)), "no column 'source'"),
        ([{"from": "a", "to": "b"}], "no column 'source'; known are: from, to.*source= names"),
    ],
)
def test_what_is_no_graph_is_refused(data: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        train_node2vec(data)


def test_types_weigh_and_can_be_left_out() -> None:
    table = pa.table(
        {"source": ["a", "a", "b"], "target": ["b", "b", "c"], "type": ["x", "y", "y"]}
    )
    read = read_links(table, type_weights={"y": 0.5})
    assert read.types == ["x", "y"] and read.weights.tolist() == [1, 0.5, 0.5]
    assert read_links(table, type_weights="y=0").graph().weights.tolist() == [1, 1]
    with pytest.raises(InvalidInputError, match="no edge is of the type 'z'"):
        read_links(table, type_weights={"z": 1})


@needs_gensim
def test_every_node_has_a_vector_and_new_ones_get_one(members: NodeEmbedder) -> None:
    graph = karate()
    assert set(members.keys) == {str(node) for node in graph}
    assert members.vectors.any(axis=1).all()
    club = {str(node): graph.nodes[node]["club"] for node in graph}

    def near(vector: Any) -> list[str]:
        unit = members.unit @ (vector / np.linalg.norm(vector))
        best = np.argsort(-unit, kind="stable")[:8]
        return [club[members.keys[row]] for row in best]

    assert near(members.vector("new office")).count("Officer") >= 6  # it has no edge
    assert near(members.embed({"text": "training lessons"})).count("Mr. Hi") >= 6
    assert near(members.embed({"neighbors": [33, "32"]})).count("Officer") >= 6
    both = members.embed([{"text": "rules", "neighbors": {"33": 2.0}}, "0", 5])
    np.testing.assert_array_equal(both[1:], members.embed_documents(["0", "5"]))
    with pytest.raises(InvalidInputError, match="neither a neighbor nor a value of text"):
        members.embed({"text": "unheard"})
    with pytest.raises(InvalidInputError, match="the neighbor 99 is no node"):
        members.embed({"neighbors": [99]})


@needs_gensim
def test_features_of_pairs_equal_networkx(members: NodeEmbedder) -> None:
    graph = nx.relabel_nodes(karate(), str)
    pairs = [(a, b) for a in members.keys[:12] for b in members.keys[::3] if a != b]
    tail = np.array([members.row[a] for a, _ in pairs])
    head = np.array([members.row[b] for _, b in pairs])
    found = members._known.features.of(tail, head)
    degree = dict(graph.degree)

    def check(name: str, wanted: list[float]) -> None:
        np.testing.assert_allclose(found[name], wanted, atol=1e-9, err_msg=name)

    check("common neighbors", [len(list(nx.common_neighbors(graph, a, b))) for a, b in pairs])
    check("Adamic-Adar", [s for _, _, s in nx.adamic_adar_index(graph, pairs)])
    check("resource allocation", [s for _, _, s in nx.resource_allocation_index(graph, pairs)])
    check(
        "preferential attachment",
        [np.log1p(degree[a]) + np.log1p(degree[b]) for a, b in pairs],
    )
    step = nx.to_numpy_array(graph, nodelist=members.keys, weight=None)
    step /= np.maximum(step.sum(axis=1, keepdims=True), 1)
    thrice = step @ step @ step
    check("paths of 3", np.log(thrice[tail, head] + thrice[head, tail] + 1e-4).tolist())
    assert [members.shared_neighbors("0", "33")[0]] == [
        min(
            nx.common_neighbors(graph, "0", "33"),
            key=lambda node: (degree[node], members.row[node]),
        )
    ]


@needs_gensim
def test_scores_of_links_beat_chance_and_come_back_from_disk(
    members: NodeEmbedder, tmp_path: Path
) -> None:
    graph = nx.relabel_nodes(karate(), str)
    linked = members.link_scores(list(graph.edges))
    others = members.link_scores(list(nx.non_edges(graph)))
    assert ((linked >= 0) & (linked <= 1)).all() and linked.mean() > others.mean() + 0.2
    assert members.report is not None and members.report.scores[0].method == "link_scores"
    new = [({"text": "office money", "neighbors": ["33"]}, "32"), ("new office", "0")]
    loaded = resolve_embedder(f"saved:{members.save(tmp_path / 'members')}")
    assert isinstance(loaded, NodeEmbedder)
    np.testing.assert_array_equal(loaded.link_scores(new), members.link_scores(new))
    np.testing.assert_array_equal(loaded.edge_vectors(new), members.edge_vectors(new))
    assert loaded.fingerprint() == members.fingerprint()
    assert loaded.report == members.report
    table = pa.table({"source": ["0", "1"], "target": ["33", "2"], "rest": [1, 2]})
    wanted = members.link_scores([("0", "33"), (1, 2)])
    for form in (table, table.to_pandas(), np.array([["0", "33"], ["1", "2"]])):
        np.testing.assert_array_equal(members.link_scores(form), wanted)
    for wrong, message in (
        ([("0",)], "pair 0 is"),
        ([("0", "x")], "pair 0: 'x' is no node"),
        ("01", "it must be a list of pairs"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            members.link_scores(wrong)


@needs_gensim
def test_vectors_of_edges_by_hand(members: NodeEmbedder) -> None:
    a, b = members.vector("0"), members.vector("1")
    for operator, wanted in (
        ("hadamard", a * b),
        ("average", (a + b) / 2),
        ("l1", abs(a - b)),
        ("l2", (a - b) ** 2),
    ):
        found = members.edge_vectors([("0", "1")], operator=operator)  # type: ignore[arg-type]
        np.testing.assert_allclose(found[0], wanted, rtol=1e-6)


def two_types() -> pa.Table:
    """40 nodes: type "near" joins the next on a circle, "odd" those of the same parity."""
    random = np.random.default_rng(0)
    near = [(i, (i + d) % 40) for i in range(40) for d in (1, 2, 3)]
    odd = [
        (i, j) for i in range(40) for j in range(i) if (i - j) % 2 == 0 and random.random() < 0.4
    ]
    kinds = ["near"] * len(near) + ["odd"] * len(odd)
    ends = [*near, *odd]
    return pa.table({"source": [a for a, _ in ends], "target": [b for _, b in ends], "type": kinds})


@needs_gensim
def test_links_are_scored_by_type_and_direction() -> None:
    model = train_deepwalk(two_types(), dim=8, walks=3, length=10, held_out=0.2)
    assert {"", "near", "odd"} == set(model.links)
    pairs = [(0, 2), (0, 5)]
    near, odd = model.link_scores(pairs, type="near"), model.link_scores(pairs, type="odd")
    assert not np.allclose(near, odd)
    with pytest.raises(InvalidInputError, match="no links of the type 'nea'; did you mean 'near'"):
        model.link_scores(pairs, type="nea")
    random = np.random.default_rng(0)
    down = [
        (i, j) for i in range(40) for j in range(i) if random.random() < 0.3
    ]  # from high to low
    one_way = train_deepwalk(down, directed=True, dim=8, walks=3, length=10)
    scores = one_way.link_scores([(35, 3), (3, 35)])
    assert scores[0] > scores[1] + 0.3


@needs_gensim
def test_a_small_graph_is_scored_by_cosines() -> None:
    model = train_node2vec([("a", "b"), ("b", "c")], dim=4)
    assert not model.links and model.report is not None
    assert not model.report.scores and "too few links" in str(model.report).replace("\n", " ")
    wanted = (1 + model.similarity("a", "c")) / 2
    assert model.link_scores([("a", "c")])[0] == pytest.approx(wanted, abs=1e-6)


@needs_gensim
def test_a_node_that_nothing_is_known_of_has_a_zero_vector() -> None:
    nodes = [{"node": "d"}, {"node": "a"}]
    model = train_node2vec([("a", "b"), ("b", "c")], nodes=nodes, dim=4)
    assert model.keys == ["a", "b", "c", "d"]
    assert model.vectors.any(axis=1).tolist() == [True, True, True, False]
    with pytest.raises(InvalidInputError, match=r"column 'node' of the nodes, row 1: 'd' repeats"):
        train_node2vec([("a", "b")], nodes=[{"node": "d"}, {"node": "d"}])


@needs_gensim
def test_columns_place_nodes_without_links() -> None:
    random = np.random.default_rng(0)
    pairs = [
        (i, j) for i in range(30) for j in range(i) if (i - j) % 2 == 0 and random.random() < 0.4
    ]
    nodes = pa.table(
        {
            "node": range(32),
            "side": ["odd" if i % 2 else "even" for i in range(32)],
            "size": [float(i % 2) + 0.1 * float(random.random()) for i in range(32)],
        }
    )
    model = train_node2vec(pairs, nodes=nodes, dim=8, walks=5, length=10)
    for node in ("30", "31"):  # without an edge
        near = [int(key) for key, _ in model.most_similar(node, 8)]
        assert sum((int(node) - other) % 2 == 0 for other in near) >= 7
    placed = model.embed({"side": "odd", "size": 1.0})
    near = np.argsort(-(model.unit @ placed))[:6]
    assert sum(int(model.keys[row]) % 2 for row in near) >= 5


def test_auc_and_its_interval_equal_counting() -> None:
    from vecsearch.graphs.links import auc

    random = np.random.default_rng(0)
    linked, unlinked = random.integers(0, 9, 60) + 1.0, random.integers(0, 9, 80) + 0.0
    wins = [[(a > b) + (a == b) / 2 for b in unlinked] for a in linked]
    area, low, high = auc(linked, unlinked)
    assert area == pytest.approx(np.mean(wins))
    by_row, by_column = np.mean(wins, axis=1), np.mean(wins, axis=0)
    deviation = np.sqrt(np.var(by_row, ddof=1) / 60 + np.var(by_column, ddof=1) / 80)
    assert (high - low) / 2 == pytest.approx(1.959964 * deviation)
