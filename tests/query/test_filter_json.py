"""Filters over JSON columns: each keeps the rows that DuckDB keeps with paths of one type."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import vecsearch as vs
from vecsearch.errors import FilterError
from vecsearch.query.filter import compile_filter

JSON = pa.json_(pa.large_string())
VALUES: list[Any] = [
    {"lang": "en", "n": 1, "a.b": [1, 2], "tags": ["x", 1, None], "on": True, "type": "p"},
    {"lang": "fr", "n": "1", "d": {"e": [{"f": 5}, {"f": "5"}]}},
    {"lang": 5, "n": 2.5, "a.b": [2], "on": "true", "type": None},
    {"lang": None, "on": False, "tags": []},
    None,
    "en",
    [3, {"k": "v"}, 5],
    {"n": 10**30, "tags": "x", "lang": "EN", "Lang": "en"},
    {"n": True, "tags": {"x": 1}, "a.b": {"0": 1}},
    {},
]


def batch(values: list[Any], **more: Any) -> pa.RecordBatch:
    texts = [None if value is None else json.dumps(value) for value in values]
    return pa.record_batch({"m": pa.array(texts, pa.large_string()).cast(JSON), **more})


def kept(where: Any, rows: pa.RecordBatch) -> list[int]:
    return np.flatnonzero(compile_filter(where, rows.schema).mask(rows)).tolist()


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("m.lang = 'en'", [0]),
        ("M.lang = 'en'", [0]),  # a column in any case, a key as it is
        ("m.Lang = 'en'", [7]),
        ("m['lang'] = 'en'", [0]),
        ("m.\"lang\" = 'en'", [0]),
        ("m.lang <> 'en'", [1, 7]),
        ("NOT m.lang = 'en'", [1, 7]),
        ("m.lang IS NULL", [3, 4, 5, 6, 8, 9]),
        ("m.lang IS NOT NULL", [0, 1, 2, 7]),
        ("m IS NULL", [4]),
        ("m = 'en'", [5]),
        ("m.n = 1", [0]),
        ("m.n = '1'", [1]),
        ("m.n = 1 OR m.n = '1'", [0, 1]),
        ("m.n = 1.0", [0]),
        ("m.n >= 1", [0, 2, 7]),
        ("m.n <> 1", [2, 7]),
        ("m.n = 1000000000000000000000000000000", [7]),
        ("m.n > 999999999999999999999999999999", [7]),
        ("m.n = 1000000000000000000000000000001", []),
        ("m.n BETWEEN 0.5 AND 2.5", [0, 2]),
        ("m.n IN (1, 2.5, '1')", [0, 1, 2]),
        ("m.n NOT IN (1, 3)", [2, 7]),
        ("m.n NOT IN (1, 'x')", []),  # each value is of another type than one of the items
        ("m.n NOT IN (1, NULL)", []),
        ("m.n IN [1, NULL]", [0]),
        ("m.lang IN ('en', 'fr')", [0, 1]),
        ("'en' IN (m.lang, m)", [0, 5]),
        ("m.on", [0]),
        ("NOT m.on", [3]),
        ("m.on = FALSE", [3]),
        ("m.on IS TRUE", [0]),
        ("m.on IS NOT TRUE", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("m['a.b'][0] = 1", [0]),
        ("m['a.b'][1] = 2", [0]),
        ("m['a.b'][-1] = 2", [0, 2]),
        ("m['a.b'][-2] = 1", [0]),
        ("m['a.b']['0'] = 1", [8]),
        ("m['a.b'][2] IS NULL", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("m[0] = 3", [6]),
        ("m[1].k = 'v'", [6]),
        ("m[2] = 5", [6]),
        ("m.d.e[0].f = 5", [1]),
        ("m.d.e[1]['f'] = '5'", [1]),
        ("m['d']['e'][0].f BETWEEN 5 AND 5", [1]),
        ("m.d.e.f IS NOT NULL", []),
        ("m.type = 'p'", [0]),  # a word of SQL is a key after a dot
        ("m.lang LIKE 'e%'", [0]),
        ("m.lang ILIKE 'e%'", [0, 7]),
        ("m.lang NOT LIKE 'e%'", [1, 7]),
        ("lower(m.lang) = 'en'", [0, 7]),
        ("length(m.lang) = 2", [0, 1, 7]),
        ("length(m.tags) = 3", [0]),
        ("array_contains(m.tags, 'x')", [0]),
        ("NOT array_contains(m.tags, 'y')", [0, 3]),
        ("array_contains(m.tags, NULL) IS NULL", [0, 1, 2, 4, 5, 6, 7, 8, 9]),
        ("1 IN m.tags", [0]),
        ("'1' IN m.tags", []),
        ("array_has_any(m.tags, ['q', 1])", [0]),
        ("array_has_all(m.tags, ['x', 1])", [0]),
        ("array_has_all(m.tags, ['x', 2])", []),
        ("array_has_all(m.tags, [])", [0, 3]),
        ("'x' = ANY(m.tags)", [0]),
        ("NOT 'y' = ANY(m['a.b'])", [1, 3, 4, 5, 6, 7, 8, 9]),
        ("NOT 3 = ANY(m['a.b'])", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("m.n * 2 = 5", [2]),
        ("m.n % 2 = 1", [0]),
        ("abs(-m.n) = 1", [0]),
        ("m.lang = m.lang", [0, 1, 2, 7]),
        ("m.n = y", [0]),
        ("y <= m.n", [0, 2, 7]),
        ("m.n > f", [7]),  # NaN is greater than every number
        ("m.n < f", [0, 2]),
        ("m.lang = s", [0, 1]),
        ("1 = 1", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("1 = 1 OR m.n = 1", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_what_is_kept(where: str, rows: list[int]) -> None:
    data = batch(
        VALUES,
        y=[1, 1, 2, 0, 0, 0, 0, 3, 1, 0],
        f=[float("nan"), 0, 9.5, 0, 0, 0, 0, 1e29, 0, 0],
        s=["en", "fr", "5", *["en"] * 4, "en", "x", "y"],
    )
    assert kept(where, data) == rows


@pytest.mark.parametrize("name", ["list", "text", "json", "date", "value", "map", "timestamp"])
def test_words_of_sql_are_columns_before_a_bracket_and_keys_after_a_dot(name: str) -> None:
    column = batch([{name: [{name: 1}]}, {"x": 1}]).column("m")
    rows = pa.record_batch({name: column, "m": column})
    for where in (
        f"{name}['{name}'][0]['{name}'] = 1",
        f"m.{name}[0].{name} = 1",
        f"m['{name}'][0].{name} = 1",
        f'"{name}".{name}[0].{name} = 1',
        f"m.select IS NULL AND m.not IS NULL AND m.{name} IS NOT NULL",
    ):
        assert kept(where, rows) == [0], where


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("m.n = DATE '2020-01-01'", "JSON has no dates"),
        ("m.n IN (1, DATE '2020-01-01')", "JSON has no dates"),
        ("m.n = tags", "JSON has strings, numbers and booleans"),
        ("m[lang] = 1", "a key goes in single quotes, ['lang']"),
        ("m[1.5] = 1", "a key in single quotes, or a position from 0"),
        ("m['a', 'b'] = 1", "a key in single quotes, or a position from 0"),
        ("m->>'lang' = 'en'", "write metadata.key or metadata['key'][0]"),
        ("tags[0] = 'x'", "tags (list<item: string>) is not a JSON column"),
        ("m.lang::int = 1", "a cast to int"),
        ("m.count(1)", "the function count(...)"),
        ("m.in (1)", "(1) is not allowed"),
        ("isnan(m.n)", "a column of floats"),
        ("m.lang LIKE m.n", "LIKE needs a pattern"),
        (pc.field("m") == "x", "'m' is JSON"),
        (pc.field("m", "lang") == "x", "'m' is JSON"),
    ],
)
def test_what_is_refused_is_named(where: Any, message: str) -> None:
    rows = batch([{}], tags=[["x"]])
    with pytest.raises(FilterError) as caught:
        compile_filter(where, rows.schema).mask(rows)
    assert message in str(caught.value)


def test_a_pyarrow_expression_can_ask_for_missing_values_and_read_other_columns() -> None:
    rows = batch([{}, None, 1], y=[1, 2, 3])
    assert kept(pc.field("m").is_null(), rows) == [1]
    assert kept(pc.field("y") > 1, rows) == [1, 2]


# -- DuckDB says what is kept: a path in each of three types, in conditions with AND, OR and NOT


PATHS = {
    "m.lang": '$."lang"',
    "m['a.b'][0]": '$."a.b"[0]',
    "m.n": '$."n"',
    "m.d.e": '$."d"."e"',
    "m.tags[-1]": '$."tags"[#-1]',
    "m[1].n": '$[1]."n"',
    "m": "$",
}
NUMBER_TYPES = "'BIGINT', 'UBIGINT', 'DOUBLE'"


def typed(path: str, kind: str) -> str:
    """A path as DuckDB reads it in one type; NULL where the value is of another."""
    found = f"json_extract(m, '{PATHS[path]}')"
    if kind == "number":
        return f"CASE WHEN json_type({found}) IN ({NUMBER_TYPES}) THEN {found}::DOUBLE END"
    if kind == "text":
        text = f"json_extract_string(m, '{PATHS[path]}')"
        return f"CASE WHEN json_type({found}) = 'VARCHAR' THEN {text} END"
    return f"CASE WHEN json_type({found}) = 'BOOLEAN' THEN {found}::BOOLEAN END"


def leaf(rng: random.Random) -> tuple[str, str]:
    """A condition, and the same for DuckDB."""
    path = rng.choice(list(PATHS))
    shape = rng.choice(["compare", "in", "between", "like", "null", "truth", "flipped"])
    if shape == "null":
        found = f"json_extract(m, '{PATHS[path]}')"
        return f"{path} IS NULL", f"coalesce(json_type({found}), 'NULL') = 'NULL'"
    if shape == "truth":
        return path, typed(path, "boolean")
    if shape == "like":
        return f"{path} LIKE 'e%'", f"{typed(path, 'text')} LIKE 'e%'"
    kind = rng.choice(["number", "text"])
    constants = {"number": ["-1", "0", "1", "2.5", "1e3"], "text": ["''", "'1'", "'en'", "'é'"]}
    a, b = rng.choice(constants[kind]), rng.choice(constants[kind])
    cast = typed(path, kind)
    if shape == "in":
        word = rng.choice(["IN", "NOT IN"])
        return f"{path} {word} ({a}, {b})", f"{cast} {word} ({a}, {b})"
    if shape == "between":
        return f"{path} BETWEEN {a} AND {b}", f"{cast} BETWEEN {a} AND {b}"
    op = rng.choice(["=", "<>", "<", "<=", ">", ">="])
    if shape == "flipped":
        return f"{a} {op} {path}", f"{a} {op} {cast}"
    return f"{path} {op} {a}", f"{cast} {op} {a}"


def condition(rng: random.Random, depth: int) -> tuple[str, str]:
    if depth == 0:
        return leaf(rng)
    shape = rng.choice(["NOT", "AND", "OR", "leaf"])
    if shape == "leaf":
        return leaf(rng)
    left = condition(rng, depth - 1)
    if shape == "NOT":
        return f"NOT ({left[0]})", f"NOT ({left[1]})"
    right = condition(rng, depth - 1)
    return f"({left[0]}) {shape} ({right[0]})", f"({left[1]}) {shape} ({right[1]})"


def json_value(rng: random.Random, depth: int) -> Any:
    plain = [None, True, False, -1, 0, 1, 2.5, 1000, 1e3, "", "1", "en", "é", "1.0", "true"]
    if depth == 0 or rng.random() < 0.4:
        return rng.choice(plain)
    if rng.random() < 0.4:
        return [json_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    keys = rng.sample(["lang", "a.b", "n", "d", "e", "tags", "0"], rng.randrange(6))
    return {key: json_value(rng, depth - 1) for key in keys}


def test_random_conditions_keep_what_duckdb_keeps() -> None:
    rng = random.Random(8)
    values = [json_value(rng, 3) if rng.random() < 0.3 else None for _ in range(20)]
    for _ in range(280):
        row = {key: json_value(rng, 2) for key in ("lang", "a.b", "n", "d", "tags")}
        values.append({key: row[key] for key in rng.sample(list(row), rng.randrange(6))})
    rows = batch(values)
    table = duckdb.connect().from_arrow(
        pa.table({"m": rows.column("m"), "row_": range(len(values))})
    )
    matched = 0
    for _ in range(150):
        ours, theirs = condition(rng, 3)
        wanted = table.filter(theirs).order("row_").project("row_").fetchall()
        assert kept(ours, rows) == [at for (at,) in wanted], (ours, theirs)
        matched += len(wanted)
    assert matched > 3_000


def test_numbers_compare_as_python_compares_them() -> None:
    """Integers exactly, at any size; with fractions as float64."""
    numbers = [2**53, 2**53 + 1, -(2**63), 2**64, 10**40, 0.1, 1e308, -0.0, 3, 3.0, 2.9999999999]
    rows = batch([{"n": number} for number in numbers])
    literals = [0, 3, 0.1, 2**53, 2**53 + 1, -(2**63), 2**64, 10**40, 2.5, 1e308]
    for literal in literals:
        for op, test in {"=": "__eq__", "<": "__lt__", ">=": "__ge__", "<>": "__ne__"}.items():
            wanted = []
            for at, number in enumerate(numbers):
                pair = (number, literal)
                if any(isinstance(item, float) for item in pair):
                    pair = (float(number), float(literal))
                if getattr(pair[0], test)(pair[1]):
                    wanted.append(at)
            assert kept(f"m.n {op} {literal!r}", rows) == wanted, (op, literal)


def test_blocks_of_many_rows_are_put_together_and_slices_read() -> None:
    rows = batch([{"n": number} for number in range(20_000)])
    assert kept("m.n % 5000 = 4999", rows) == [4999, 9999, 14999, 19999]
    assert kept("m.n > 19997", rows.slice(10_000)) == [9998, 9999]
    assert kept("m.n = 1", rows.slice(0, 0)) == []


def test_each_text_is_decoded_once_for_a_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    from vecsearch.common import json_column

    calls: list[str] = []
    load = json_column.load
    monkeypatch.setattr(json_column, "load", lambda text: calls.append(text) or load(text))
    rows = batch([{"n": 1, "s": "a"}, None, {"n": 2}], y=[1, 2, 3])
    assert kept("m.n = 1 AND (m.s = 'a' OR m['n'] IN (1, 2)) AND m IS NOT NULL", rows) == [0]
    assert len(calls) == 2
    calls.clear()
    assert kept("y > 1", rows) == [1, 2]
    assert not calls


def test_every_verb_with_a_filter_reads_json(root: Path) -> None:
    with vs.create(root, dim=2, json_columns=["m"]) as c:
        rows = [{"id": at, "vector": [1, at], "m": value} for at, value in enumerate(VALUES)]
        c.add(rows[:5])
        c.add(rows[5:])
        assert c.count("m.n >= 1") == 3
        assert sorted(c.search([1, 0], where="m.lang = 'en' OR m = 'en'").ids) == [0, 5]
        assert c.delete(where="m.lang = 5").deleted == 1
        assert c.count("m.n >= 1") == 2
        assert c.update("m.d.e[0].f = 5", {"m": {"lang": "de"}}).updated == 1
        assert c.count("m.lang = 'de'") == 1
        assert c.to_arrow(["id"], where="m[0] = 3")["id"].to_pylist() == [6]
    with vs.open(root) as c:
        assert c.count("m.lang IN ('de', 'EN')") == 2
