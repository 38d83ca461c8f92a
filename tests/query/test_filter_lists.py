"""Filters over lists, empty lists and NULL: each keeps the rows that DuckDB keeps, NOT included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.errors import FilterError
from vecsearch.query.filter import compile_filter

TAGS = [None, [], ["a"], [None], ["b", None], ["a", "b"], ["z", None], ["z"], [None, "a", "z"]]
SCORES = [[], None, [1, None], [2], [None], [3, 2], [1], [2, None, 3], []]
LANGS = ["a", "b", None, "q", "z", "a", "q", None, ""]
TABLE = pa.table(
    {
        "tags": pa.array(TAGS, pa.list_(pa.string())),
        "scores": pa.array(SCORES, pa.list_(pa.int32())),
        "lang": pa.array(LANGS, pa.string()),
    }
)
CONDITIONS = {
    "contains a text": "list_contains(tags, 'z')",
    "contains NULL": "list_contains(tags, NULL)",
    "contains NULL, by each other name": (
        "array_contains(tags, NULL) AND list_has(tags, NULL) AND array_has(tags, NULL)"
    ),
    "NULL contains a text": "list_contains(NULL, 'z')",
    "NULL contains NULL": "list_contains(NULL, NULL)",
    "contains a number": "list_contains(scores, 2)",
    "contains a fraction": "list_contains(scores, 2.5)",
    "a text in a list": "'z' IN tags",
    "a text not in a list": "'z' NOT IN tags",
    "NULL in a list": "NULL IN tags",
    "NULL not in a list": "NULL NOT IN tags",
    "a text in NULL": "'z' IN NULL",
    "equals any": "'z' = ANY(tags)",
    "equals any, written ==": "'z' == ANY(tags)",
    "equals any, without parentheses": "'z' = ANY tags",
    "equals any, compared with a truth": "'z' = ANY(tags) = TRUE",
    "equals any number": "2 = ANY(scores)",
    "equals any number, of a fraction": "2.5 = ANY(scores)",
    "equals any number, beyond the type": "3000000000 = ANY(scores)",
    "NULL equals any": "NULL = ANY(tags)",
    "NULL equals any number": "NULL = ANY(scores)",
    "equals any of NULL": "'z' = ANY(NULL)",
    "NULL equals any of NULL": "NULL = ANY(NULL)",
    "equals any, or has any": "'z' = ANY(tags) OR list_has_any(tags, ['b'])",
    "has any": "list_has_any(tags, ['z'])",
    "has any of two": "array_has_any(tags, ['z', 'b'])",
    "has any of none": "list_has_any(tags, [])",
    "has any, constants first": "list_has_any(['z', 'b'], tags)",
    "has any, nothing first": "list_has_any([], tags)",
    "overlaps": "tags && ['z']",
    "overlaps, constants first": "['z'] && tags",
    "NULL has any": "list_has_any(NULL, ['z'])",
    "has all": "list_has_all(tags, ['z'])",
    "has all of two": "array_has_all(tags, ['b', 'a'])",
    "has all of none": "list_has_all(tags, [])",
    "has all, as an operator": "tags @> ['a', 'z']",
    "NULL has all": "list_has_all(NULL, ['z'])",
    "in a list of constants": "lang IN ['a', 'z']",
    "in a list of constants with NULL": "lang IN ['a', NULL]",
    "in a long list of constants with NULL": "lang IN ['a', 'b', 'c', 'd', 'e', 'f', NULL]",
    "not in a list of constants with NULL": "lang NOT IN ['a', NULL]",
    "in a list of NULL": "lang IN [NULL]",
    "in a list of columns": "lang IN ['q', lang]",
    "in an array of constants with NULL": "lang IN ARRAY['a', NULL]",
    "NULL in a list of constants": "NULL IN ['a']",
    "a text in a list of constants with NULL": "'z' IN ['q', NULL]",
    "in constants in parentheses with NULL": "lang IN ('a', NULL)",
    "not in constants in parentheses with NULL": "lang NOT IN ('a', NULL)",
    "length": "length(tags) = 0",
    "length of NULL": "length(NULL) = 0",
    "array_length": "array_length(tags) > 1 OR len(scores) = 0",
    "is NULL": "tags IS NULL",
}
FORMS = {
    "as it is": "{}",
    "NOT": "NOT ({})",
    "IS NULL": "({}) IS NULL",
    "IS FALSE": "({}) IS FALSE",
}


@cache
def duck() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    arrow = TABLE.append_column("row", pa.array(range(len(TAGS))))
    connection.register("arrow_table", arrow)
    connection.execute("CREATE TABLE t AS SELECT * FROM arrow_table")
    return connection


def kept_by_duckdb(where: str) -> list[int]:
    found = duck().execute(f"SELECT row FROM t WHERE {where} ORDER BY row").fetchall()
    return [row for (row,) in found]


def kept(where: str, batch: pa.RecordBatch) -> list[int]:
    return [int(row) for row in np.flatnonzero(compile_filter(where, batch.schema).mask(batch))]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[vs.Collection]:
    """The rows of TABLE in two segments, their numbers as ids."""
    path: Path = tmp_path_factory.mktemp("lists") / "c.vs"
    vectors = np.random.default_rng(5).standard_normal((len(TAGS), 4)).astype(np.float32)
    with vs.create(path, dim=4) as made:
        for rows in (range(5), range(5, len(TAGS))):
            made.add(
                [
                    {"id": row, "vector": vectors[row], "tags": TAGS[row]}
                    | {"scores": SCORES[row], "lang": LANGS[row]}
                    for row in rows
                ]
            )
        yield made


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_a_condition_on_lists_keeps_the_rows_duckdb_keeps(
    condition: str, form: str, collection: vs.Collection
) -> None:
    where = form.format(condition)
    rows = kept_by_duckdb(where)
    assert kept(where, TABLE.to_batches()[0]) == rows
    assert collection.count(where=where) == len(rows)
    hits = collection.search(np.ones(4, np.float32), k=len(TAGS), where=where)
    assert sorted(hits.ids) == rows


LIST_TYPES: dict[str, Callable[[pa.DataType], pa.DataType]] = {
    "list": pa.list_,
    "large_list": pa.large_list,
    "list_view": pa.list_view,
    "large_list_view": pa.large_list_view,
}


@pytest.mark.parametrize("make", LIST_TYPES.values(), ids=LIST_TYPES)
@pytest.mark.parametrize(
    "where",
    [
        "list_contains(tags, NULL)",
        "'z' = ANY(tags)",
        "NULL = ANY(tags)",
        "list_has_any(tags, ['z', 'b'])",
    ],
)
def test_every_kind_of_list_gives_the_same_answer(
    where: str, make: Callable[[pa.DataType], pa.DataType]
) -> None:
    batch = pa.record_batch({"tags": pa.array(TAGS, make(pa.string()))})
    for form in FORMS.values():
        rows = kept_by_duckdb(form.format(where))
        assert kept(form.format(where), batch) == rows
        middle = [row - 2 for row in rows if 2 <= row < 7]
        assert kept(form.format(where), batch.slice(2, 5)) == middle


def test_elements_of_a_dictionary_give_the_same_answer() -> None:
    """Here a NULL may stand in the dictionary, or among the indices."""
    flat = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None, 2]), pa.array(["a", None, "z"], pa.string())
    )
    batch = pa.record_batch({"tags": pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4, 4]), flat)})
    assert kept("'z' = ANY(tags)", batch) == [3]
    assert kept("NOT 'z' = ANY(tags)", batch) == [0, 4]
    assert kept("NOT list_contains(tags, 'z')", batch) == [0, 1, 2, 4]


def test_lists_of_a_fixed_size_give_the_same_answer() -> None:
    batch = pa.record_batch(
        {"tags": pa.array([["a", "b"], None, ["z", None], ["a", None]], pa.list_(pa.string(), 2))}
    )
    assert kept("'z' = ANY(tags)", batch) == [2]
    assert kept("NOT ('z' = ANY(tags))", batch) == [0, 1]
    assert kept("('z' = ANY(tags)) IS NULL", batch) == [3]
    assert kept("list_contains(tags, NULL) IS NULL", batch) == [0, 1, 2, 3]
    assert kept("NOT (NULL = ANY(tags))", batch) == [1]


def test_what_lies_under_a_null_list_does_not_count() -> None:
    """Arrow lets a NULL list have elements in the array below it."""
    tags = pa.ListArray.from_arrays(
        pa.array([0, 2, 4, 5], pa.int32()),
        pa.array(["z", "a", "b", None, "z"]),
        mask=pa.array([True, True, False]),
    )
    batch = pa.record_batch({"tags": tags})
    assert kept("'z' = ANY(tags)", batch) == [2]
    assert kept("NOT ('z' = ANY(tags))", batch) == [0, 1]
    assert kept("NOT ('q' = ANY(tags))", batch) == [0, 1, 2]
    assert kept("list_contains(tags, 'z') IS NULL", batch) == [0, 1]
    assert kept("NOT (NULL = ANY(tags))", batch) == [0, 1]


@pytest.mark.parametrize(
    "where",
    [
        "list_has_all(['a'], tags)",
        "array_has_all(['a', 'z'], tags)",
        "list_has_all([], tags)",
        "['a'] @> tags",
        "['a'] <@ tags",
        "list_contains(['a'], 'a')",
        "list_contains([], NULL)",
        "'z' = ANY(['z', NULL])",
        "'z' <> ANY(tags)",
        "'z' = ALL(tags)",
        "'z' IN []",
        "'z' IN (tags)",
        "lang = ANY(tags)",
        "lang IN 'abc'",
        "list_has_any(tags, ['z', NULL])",
        "list_has_all(tags, [NULL])",
        "tags = ['a']",
        "tags[1] = 'a'",
        "tags IN [['a']]",
    ],
)
def test_what_a_filter_cannot_ask_of_lists_is_refused(where: str) -> None:
    """DuckDB computes most of these: an answer that is not DuckDB's would be worse than none."""
    with pytest.raises(FilterError):
        compile_filter(where, TABLE.schema)


@pytest.mark.parametrize("where", ["NULL = ANY(lang)", "list_contains(lang, NULL)"])
def test_only_lists_can_hold_null(where: str) -> None:
    with pytest.raises(FilterError, match=r"lang \(string\) is not a list column"):
        compile_filter(where, TABLE.schema)


def test_a_list_column_without_any_element_is_asked_like_others(root: Path) -> None:
    vector = np.ones(2, np.float32)
    rows: list[dict[str, Any]] = [{"id": 0, "tags": None}, {"id": 1, "tags": []}]
    with vs.create(root, dim=2) as made:
        made.add([row | {"vector": vector} for row in [*rows, {"id": 2, "tags": [None]}]])
        assert made.count(where="'a' = ANY(tags)") == 0
        assert made.count(where="NOT ('a' = ANY(tags))") == 2
        assert made.count(where="NOT list_contains(tags, 'a')") == 2
        assert made.count(where="NOT list_contains(tags, NULL)") == 1
