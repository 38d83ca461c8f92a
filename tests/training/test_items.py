"""Items, nodes and table rows: against counts and steps by hand, and on constructed data."""

from __future__ import annotations

import datetime as dt
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.tabular import TableEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.training.item2vec import sessions_of, train_item2vec
from vecsearch.training.node2vec import Graph, train_node2vec, walk
from vecsearch.training.table import fit_table

needs_gensim = pytest.mark.skipif(
    find_spec("gensim") is None, reason="gensim (the extra 'train') is not installed"
)


def baskets() -> pa.Table:
    """Items 0 to 9 are bought together, and so are 10 to 19."""
    random = np.random.default_rng(0)
    rows = [
        (basket, int(item))
        for basket in range(300)
        for item in random.choice(10, 5, replace=False) + 10 * (basket % 2)
    ]
    return pa.table({"basket": [basket for basket, _ in rows], "item": [item for _, item in rows]})


@needs_gensim
def test_item2vec_finds_what_goes_together(tmp_path: Path) -> None:
    items = train_item2vec(baskets(), session="basket", item="item", dim=8, epochs=20, sample=0.0)
    assert sorted(map(int, items.keys)) == list(range(20))
    assert {int(key) for key, _ in items.most_similar("3", 9)} == set(range(10)) - {3}
    basket = items.embed_queries([[12, 15, "never sold"]])[0]
    np.testing.assert_allclose(basket, (items.vector("12") + items.vector("15")) / 2, rtol=1e-6)
    again = train_item2vec(baskets(), session="basket", item="item", dim=8, epochs=20, sample=0.0)
    assert again.fingerprint() == items.fingerprint()
    before = items.fingerprint()
    loaded = resolve_embedder(f"saved:{items.save(tmp_path / 'items')}")
    assert loaded.fingerprint() == before
    np.testing.assert_array_equal(
        loaded.embed_documents([3, "4"]), items.embed_documents(["3", "4"])
    )


def test_sessions_keep_the_order_of_rows_with_equal_times() -> None:
    """Three shuffled sessions of 40 rows, with few distinct times, against a stable sort."""
    random = np.random.default_rng(0)
    users = random.permutation(np.repeat(["x", "y", "z"], 40)).tolist()
    items = [f"item {row}" for row in range(120)]
    times = random.integers(0, 5, 120).tolist()
    table = pa.table({"user": users, "item": items, "when": times})
    by_time = sorted(range(120), key=lambda row: times[row])
    expected = [[items[row] for row in by_time if users[row] == user] for user in "xyz"]
    sessions = sessions_of(table, "user", "item", "when", 0)
    assert [session.tolist() for session in sessions] == expected


def test_sessions_are_sorted_by_the_order_column_or_shuffled() -> None:
    table = pa.table(
        {"user": ["b", "a", "b", "a"], "item": ["x", "y", "z", "w"], "when": [4, 3, 2, 1]}
    )
    assert [one.tolist() for one in sessions_of(table, "user", "item", "when", 0)] == [
        ["w", "y"],
        ["z", "x"],
    ]
    assert [sorted(one.tolist()) for one in sessions_of(table, "user", "item", None, 0)] == [
        ["w", "y"],
        ["x", "z"],
    ]


@needs_gensim
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"user": [1, 1]}, "no column 'item'; known are: user"),
        ({"user": [1, 1], "item": ["a", None]}, "column 'item', row 1: null"),
        ({"user": [1, 2], "item": ["a", "b"]}, "no session .* has two items"),
        ({"user": [1, 1], "item": ["a", "b"]}, "no item occurs 2 times"),
    ],
)
def test_unusable_sessions_are_refused(table: dict[str, list[object]], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        train_item2vec(pa.table(table), session="user", item="item")


def edges() -> pa.Table:
    """A square a-b-c-d with the diagonal a-c, one edge given twice, and a loop at d."""
    return pa.table(
        {
            "source": ["a", "b", "c", "d", "a", "b", "d"],
            "target": ["b", "c", "d", "a", "c", "a", "d"],
        }
    )


def test_graph_by_hand() -> None:
    graph = Graph.from_table(edges(), "source", "target", None, directed=False)
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
    directed = Graph.from_table(edges(), "source", "target", None, directed=True)
    assert directed.neighbors[directed.start[2] : directed.start[3]].tolist() == [3]


def test_steps_follow_the_weights() -> None:
    table = pa.table({"source": ["hub"] * 3, "target": ["x", "y", "z"], "w": [1.0, 2.0, 5.0]})
    graph = Graph.from_table(table, "source", "target", "w", directed=False)
    steps = graph.step(np.zeros(80_000, dtype=np.int64), np.random.default_rng(0))
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
    graph = Graph.from_table(table, "source", "target", None, directed=directed)
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
    graph = Graph.from_table(
        pa.table({"source": ["a", "b"], "target": ["b", "c"]}),
        "source",
        "target",
        None,
        directed=True,
    )
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
    with pytest.raises(InvalidInputError, match="both must be above 0"):
        train_node2vec(table, p=0)
    with pytest.raises(InvalidInputError, match="is empty"):
        train_node2vec(table.slice(0, 0))


def cars() -> pa.Table:
    return pa.table(
        {
            "id": ["a", "b", "c", "d"],
            "power": [50, 60, 200, None],
            "sold": [
                dt.date(2020, 1, 1),
                dt.date(2020, 1, 3),
                dt.date(2020, 1, 5),
                dt.date(2020, 1, 7),
            ],
            "fuel": ["petrol", "petrol", "electric", "electric"],
            "new": [True, False, True, False],
        }
    )


def test_table_rows_keep_their_distances_when_nothing_is_cut() -> None:
    embedder = fit_table(cars(), dim=5)
    power = (np.array([50, 60, 200]) - 310 / 3) / np.std([50, 60, 200])
    sold = np.array([-3, -1, 1, 3]) / np.sqrt(5)
    by_hand = np.array(
        [
            [power[0], sold[0], 0, 1, 1],
            [power[1], sold[1], 0, 1, -1],
            [power[2], sold[2], 1, 0, 1],
            [0, sold[3], 1, 0, -1],
        ]
    )
    got = embedder.embed_documents(cars().to_pylist())
    assert got.shape == (4, 5) and got.dtype == np.float32
    for i in range(4):
        np.testing.assert_allclose(
            np.linalg.norm(got - got[i], axis=1),
            np.linalg.norm(by_hand - by_hand[i], axis=1),
            atol=1e-5,
        )


def test_table_queries_may_lack_columns_and_the_embedder_survives_saving(tmp_path: Path) -> None:
    embedder = fit_table(cars(), columns=["power", "fuel"], dim=2)
    rows = embedder.embed_documents(cars().to_pylist())
    query = embedder.embed_queries([{"fuel": "electric", "power": 190}, {"fuel": "petrol"}, {}])
    assert np.linalg.norm(rows - query[0], axis=1).argmin() == 2
    assert query[1] @ rows[0] > 0 > query[1] @ rows[2]
    assert not query[2].any()
    before = embedder.fingerprint()
    again = resolve_embedder(f"saved:{embedder.save(tmp_path / 'table')}")
    assert isinstance(again, TableEmbedder) and again.fingerprint() == before
    np.testing.assert_array_equal(again.embed_documents(cars().to_pylist()), rows)
    assert fit_table(cars()).dim < 5  # 95 % of the variance


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ({"a": [1, 2]}, {"columns": ["b"]}, "no column 'b'; known are: a"),
        ({"a": [[1], [2]]}, {}, "column 'a' is list"),
        ({"a": [1, 1], "b": ["x", "x"]}, {}, "no column of a, b varies"),
        ({"a": [1.0, float("inf")]}, {}, "row 1, column 'a': inf is not a finite number"),
        ({"a": [1, 2]}, {"dim": 2}, "these columns have 1 dimension"),
    ],
)
def test_unusable_tables_are_refused(
    table: dict[str, list[object]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        fit_table(pa.table(table), **options)


def test_rows_with_a_wrong_value_are_refused() -> None:
    embedder = fit_table(pa.table({"a": [1, 2, 3]}))
    with pytest.raises(InvalidInputError, match="row 1, column 'a': 'many' is not a number"):
        embedder.embed_documents([{"a": 1}, {"a": "many"}])
