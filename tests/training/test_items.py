"""Items and table rows: against counts and steps by hand, and on constructed data."""

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
