"""What a table may hold where trainers look for ids, classes, times and rows: anything that cannot
be one is named, and what means the same is the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.errors import CallError, InvalidInputError
from vecsearch.ingest.table_columns import one_item_a_row
from vecsearch.ingest.whole_table import as_table

SIX = list(range(6))
WALKS: dict[str, Any] = {"dim": 2, "walks": 1, "length": 3}
TRAINED_ON_IDS: list[Callable[[pa.Array], Any]] = [
    lambda ids: vs.train("item-knn", pa.table({"s": SIX, "i": ids}), session="i", item="s"),
    lambda ids: vs.train("deepwalk", pa.table({"source": SIX, "target": ids}), **WALKS),
    lambda ids: vs.train("transe", pa.table({"source": SIX, "target": SIX, "type": ids})),
    lambda ids: vs.train("graph2vec", pa.table({"source": SIX, "target": SIX, "graph": ids})),
    lambda ids: vs.train(
        "item-knn",
        pa.table({"s": [1, 1, 2, 2], "i": [1, 2, 1, 2]}),
        session="s",
        item="i",
        items=pa.table({"i": ids, "title": ["a b"] * 6}),
    ),
]
NO_IDS = {
    "struct": pa.array([{"a": 1}] * 6),
    "bytes": pa.array([b"\xff"] * 6),
    "interval": pa.array([(1, 1, 1)] * 6, pa.month_day_nano_interval()),
    "map": pa.array([[("a", 1)]] * 6, pa.map_(pa.string(), pa.int64())),
}


@pytest.mark.parametrize("train", TRAINED_ON_IDS)
@pytest.mark.parametrize("kind", NO_IDS)
def test_what_cannot_be_an_id_is_named_by_its_column(
    train: Callable[[pa.Array], Any], kind: str
) -> None:
    with pytest.raises(InvalidInputError, match=r"column '\w+' holds .*cannot be an id"):
        train(NO_IDS[kind])


@pytest.mark.parametrize("train", TRAINED_ON_IDS)
def test_nan_is_no_id(train: Callable[[pa.Array], Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"column '\w+', row 2: nan is no id"):
        train(pa.array([1.0, 2.0, np.nan, 1.0, 2.0, 3.0]))


def test_a_whole_number_is_the_same_id_as_a_float() -> None:
    large = 10_000_000_000_000_000.0  # Arrow writes 1e+16
    table = pa.table({"s": [1, 1, 2, 2], "i": [large, 7.0, large, 2.5]})
    catalogue = [{"i": int(large), "title": "a b"}, {"i": 7, "title": "c d"}]
    model: Any = vs.train("item-knn", table, session="s", item="i")
    assert model.keys == ["10000000000000000", "2.5", "7"]
    described = pa.table({"s": [1, 1, 2, 2], "i": [large, 7.0, large, 7.0]})
    model = vs.train("item-knn", described, session="s", item="i", items=catalogue)
    assert model.cold is not None


def test_baskets_may_be_lists() -> None:
    lists = [["pen", "ink"], ["pen", "ink", "cup"], ["cup", "pen"]] * 3
    weights = [[1.0, 2.0], [3.0, 1.0, 2.0], [2.0, 2.0]] * 3
    together = pa.table({"basket": range(9), "item": lists, "stars": weights})
    rows = pa.table(
        {
            "basket": [n for n, each in enumerate(lists) for _ in each],
            "item": [item for each in lists for item in each],
            "stars": [value for each in weights for value in each],
        }
    )
    assert one_item_a_row(together, "item").to_pydict() == rows.to_pydict()
    for kind, options in (("item-knn", {"rating": "stars"}), ("item2vec", {"dim": 4, "epochs": 1})):
        models = [
            vs.train(kind, each, session="basket", item="item", **options)
            for each in (together, rows)
        ]
        first, second = (each.embed_documents(["pen", "ink", "cup"]) for each in models)
        np.testing.assert_array_equal(first, second)


def test_missing_items_of_baskets_are_named_by_their_row() -> None:
    for lists, row in (([["a"], None], 1), ([["a"], ["b"], ["c", None]], 2)):
        table = pa.table({"s": range(len(lists)), "i": lists})
        with pytest.raises(InvalidInputError, match=f"column 'i', row {row}: null"):
            vs.train("item-knn", table, session="s", item="i")


def test_encodings_of_arrow_do_not_matter() -> None:
    color = pa.array(["red", "blue", "red", "red"] * 5)
    plain = pa.table({"color": color, "size": list(range(20))})
    for encoded in (color.cast(pa.string_view()), color.dictionary_encode()):
        table = pa.table({"color": encoded, "size": list(range(20))})
        assert as_table(table)["color"].to_pylist() == color.to_pylist()
        for kind in ("tabular", "one-hot"):
            own, other = (
                vs.train(kind, each).embed_documents(plain.to_pylist()) for each in (table, plain)
            )
            np.testing.assert_array_equal(own, other)


def test_whole_numbers_beyond_2_53_are_ratings() -> None:
    table = pa.table(
        {"s": [1, 1, 2], "i": [1, 2, 1], "r": pa.array([2**63 + 1, 1, 1], pa.uint64())}
    )
    model: Any = vs.train("item-knn", table, session="s", item="i", rating="r")
    assert model.keys == ["1", "2"]


def test_a_question_about_rows_names_columns_that_the_model_reads() -> None:
    rows = [{"size": n, "city": "ab"[n % 2], "always": 1} for n in range(20)]
    model = vs.train("tabular", rows)
    assert model.embed_queries([{"size": 3, "note": "x"}]).shape == (1, model.dim)
    for query, message in (
        ({"note": "x"}, "row 1: it has no column that the model reads; these are size, city"),
        (
            {"size": 3, "citty": "a"},
            "row 1: the model reads no column 'citty'; did you mean 'city'",
        ),
    ):
        with pytest.raises(InvalidInputError, match=message):
            model.embed_queries([rows[0], query])


def test_a_table_says_what_is_not_in_its_vectors() -> None:
    rows = [
        {"id": n, "name": f"n{n}", "one": 1, "city": "abcabd"[n % 6], "size": n} for n in range(30)
    ]
    report = vs.train("tabular", rows, most_categories=2).report
    assert report is not None
    notes = " ".join(report.notes)
    assert "Not in the vectors: id, name, one." in notes
    assert "Column 'city' has 4 values; the 2 most frequent" in notes


def test_times_without_a_zone_are_the_same_on_every_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [{"at": datetime(2024, 3, 1 + n), "size": n % 3} for n in range(30)]
    vectors = []
    for zone in ("UTC", "Asia/Shanghai"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        vectors.append(vs.train("one-hot", rows, held_out=0).embed_documents(rows))
        vectors.append(
            vs.train("one-hot", rows, held_out=0).embed_documents(
                [{**row, "at": row["at"].replace(tzinfo=UTC)} for row in rows]  # type: ignore[attr-defined]
            )
        )
    monkeypatch.undo()
    time.tzset()
    for other in vectors[1:]:
        np.testing.assert_array_equal(vectors[0], other)


def test_numbers_that_cannot_be_scaled_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"column 'x' holds 1e\+300; numbers up to"):
        vs.train("tabular", [{"x": 1e300}, {"x": 1.0}])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a"], "1 are given for 2 graphs"),
        (["a", None], "none of the graph '1'"),
        ({"0": "a"}, "none of the graph '1'"),
    ],
)
def test_each_graph_has_a_class(classes: Any, message: str) -> None:
    networkx = pytest.importorskip("networkx")
    pytest.importorskip("gensim")
    with pytest.raises(InvalidInputError, match=message):
        vs.train("graph2vec", [networkx.path_graph(3)] * 2, classes=classes)
    with pytest.raises(InvalidInputError, match="data is one graph"):
        vs.train("graph2vec", networkx.path_graph(3))


@pytest.mark.parametrize(
    ("kind", "option", "message"),
    [
        ("ease", "shrinkage", "'ease' has no option 'shrinkage'; item-knn has it; its options are"),
        ("item2vec", "rating", "items, item-knn, ease, sequence have it"),
        ("ease", "reg", "did you mean 'penalty'"),
        ("sequence", "user", "did you mean 'session'"),
        ("items", "zzzz", "no option 'zzzz'; its options are session"),
    ],
)
def test_an_option_of_another_method_says_whose_it_is(kind: str, option: str, message: str) -> None:
    options: dict[str, Any] = {option: 1}
    with pytest.raises(CallError, match=message):
        vs.train(kind, [{"s": 1, "i": 1}], **options)


@pytest.mark.parametrize("kind", ["items", "tabular"])
def test_rows_without_names_of_columns_are_refused_in_words(kind: str) -> None:
    options: dict[str, Any] = {"session": "s", "item": "i"} if kind == "items" else {}
    with pytest.raises(InvalidInputError, match="row 0 is a list, whose values are in no column"):
        vs.train(kind, [["ann", "pen"], ["bob", "ink"]], **options)
