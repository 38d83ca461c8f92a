"""Filters against DuckDB as the oracle, hand-computed cases, and what must be refused."""

from __future__ import annotations

import datetime as dt
import math
import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vecsearch.errors import FilterError
from vecsearch.query.filter import Filter, compile_filter
from vecsearch.query.filter.syntax import (
    ALLOWED,
    MAX_NESTING,
    MAX_SYNTAX,
    MAX_TERMS,
    MAX_TEXT,
)

NAN = math.nan
UTC = dt.UTC


def kept(where: str | pc.Expression, batch: pa.RecordBatch) -> list[int]:
    """The numbers of the rows a filter keeps."""
    return [int(row) for row in np.flatnonzero(compile_filter(where, batch.schema).mask(batch))]


def column(values: list[Any], dtype: pa.DataType | None = None, name: str = "x") -> pa.RecordBatch:
    return pa.record_batch({name: pa.array(values, dtype)})


# --- DuckDB as the oracle -------------------------------------------------------------------------

INTEGERS = [-7, -2, -1, 0, 1, 2, 3, 5, 100, 255, 2**31, 2**53, 2**53 + 1, -(2**63), 2**63 - 1]
FLOATS = [NAN, math.inf, -math.inf, -0.0, 0.0, 0.25, 1.0, 2.5, -2.5, 3.0, 100.0, 2.0**53]
TEXTS = [
    "",
    "a",
    "b",
    "A",
    "ab",
    "a%b",
    "a_b",
    "a\nb",
    "中文",
    "中",
    "文中文",
    "it's",
    "É",
    "é",
    "\\",
    'x"y',
]
DATES = [
    dt.date(1969, 12, 31),
    dt.date(1970, 1, 1),
    dt.date(2020, 2, 29),
    dt.date(2024, 6, 1),
    dt.date(9999, 12, 31),
]
TIMES = [
    dt.datetime(1969, 12, 31, 23, 59, 59, 999999),
    dt.datetime(2020, 2, 29),
    dt.datetime(2020, 2, 29, 10, 0, 0, 1),
]
TAGS = [[], ["a"], ["a", "中文"], [None], ["b", None], ["x", "x", "A"]]
CODES = [[], [1], [2, None], [None], [-7, 2], [3, 1, 1]]
PRICES = [Decimal("-1.50"), Decimal("0.00"), Decimal("2.50"), Decimal("9.99"), Decimal("123456.78")]
NAMES = {
    "number": ["i", "u", "f", "p"],
    "text": ["s", '"T t"'],
    "boolean": ["b"],
    "naive": ["d", "n"],
    "aware": ["z"],
    "list": ["l"],
}


@cache
def data() -> pa.Table:
    """400 rows of every type, values drawn from small pools so that comparisons often hit, a fifth
    of them NULL.
    """
    draw = random.Random(20260101)

    def drawn(pool: list[Any], dtype: pa.DataType) -> pa.Array:
        return pa.array(
            [None if draw.random() < 0.2 else draw.choice(pool) for _ in range(400)], dtype
        )

    return pa.table(
        {
            "i": drawn(INTEGERS, pa.int64()),
            "u": drawn([value for value in INTEGERS if 0 <= value < 256], pa.uint8()),
            "f": drawn(FLOATS, pa.float64()),
            "p": drawn(PRICES, pa.decimal128(10, 2)),
            "s": drawn(TEXTS, pa.string()),
            "T t": drawn(TEXTS, pa.large_string()),
            "b": drawn([True, False], pa.bool_()),
            "d": drawn(DATES, pa.date32()),
            "n": drawn(TIMES, pa.timestamp("us")),
            "z": drawn([time.replace(tzinfo=UTC) for time in TIMES], pa.timestamp("us", "UTC")),
            "l": drawn(TAGS, pa.list_(pa.string())),
            "k": drawn(CODES, pa.list_(pa.int32())),
            "row": pa.array(range(400)),
        }
    )


@cache
def duck() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    arrow = data()
    connection.register("arrow_table", arrow)
    # Into DuckDB's own storage, so that Arrow's kernels play no part in the answer.
    connection.execute("CREATE TABLE t AS SELECT * FROM arrow_table")
    return connection


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def constants(kind: str) -> st.SearchStrategy[str]:
    """Literals that the columns of a kind compare with, some between and beyond the columns'
    values.
    """
    times = [
        *(str(date) for date in DATES),
        *(str(time) for time in TIMES),
        "2020-02-29 00:00:00.5",
    ]
    pools: dict[str, list[str]] = {
        "number": [
            "-3",
            "0",
            "1",
            "2",
            "2.5",
            "-1.5",
            "2.505",
            "99.99",
            "100",
            "255",
            "256",
            "-0.0",
            "1e3",
            "1e30",
            "-1e30",
        ],
        "text": [quoted(text) for text in TEXTS],
        "boolean": ["TRUE", "FALSE"],
        "naive": [f"TIMESTAMP '{time}'" for time in times] + [f"DATE '{date}'" for date in DATES],
        "aware": [f"'{time}'" for time in times]
        + [f"TIMESTAMPTZ '{time}+08:00'" for time in times[-4:]],
    }
    return st.sampled_from([*pools[kind], "NULL"])


def arithmetic() -> st.SearchStrategy[str]:
    """Arithmetic that stays within 64 bits, without parentheses so that precedence is tried too."""
    small = st.sampled_from(["(i % 1000)", "2", "3", "-7", "(i % 10)", "abs(i % 7)"])
    exact = st.lists(small, min_size=2, max_size=4).flatmap(
        lambda terms: st.lists(
            st.sampled_from(["+", "-", "*"]), min_size=len(terms) - 1, max_size=len(terms) - 1
        ).map(
            lambda ops: " ".join(
                [terms[0], *(f"{op} {term}" for op, term in zip(ops, terms[1:], strict=True))]
            )
        )
    )
    fractional = st.sampled_from(
        ["f / 2", "f - 0.25", "i % 8 / 2", "f / f", "-f", "abs(f)", "f * -2 + 1", "i % 5 / 0"]
    )
    return st.one_of(exact, fractional, st.sampled_from(["length(s)", "length(l)", "-(i % 100)"]))


def values(kind: str) -> st.SearchStrategy[str]:
    names = st.sampled_from(NAMES[kind])
    if kind == "text":
        return st.one_of(names, names.map("lower({})".format), names.map("upper({})".format))
    return st.one_of(names, arithmetic()) if kind == "number" else names


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["number", "text", "boolean", "naive", "aware"]))
    left = draw(values(kind))
    form = draw(st.sampled_from(["compare", "flip", "columns", "in", "between", "null"]))
    constant, negated = constants(kind), draw(st.sampled_from(["", "NOT "]))
    op = draw(st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="]))
    if form == "compare":
        return f"{left} {op} {draw(constant)}"
    if form == "flip":
        return f"{draw(constant)} {op} {left}"
    if form == "columns":
        return f"{left} {op} {draw(values(kind))}"
    if form == "in":
        items = draw(st.lists(constant, min_size=1, max_size=12)) + draw(
            st.lists(values(kind), max_size=1)
        )
        return f"{left} {negated}IN ({', '.join(items)})"
    if form == "between":
        return f"{left} {negated}BETWEEN {draw(constant)} AND {draw(constant)}"
    return f"({left}) IS {negated}NULL"


@st.composite
def text_and_list_conditions(draw: st.DrawFn) -> str:
    negated = draw(st.sampled_from(["", "NOT "]))
    if draw(st.booleans()):
        pieces = st.sampled_from(["%", "_", "a", "B", "b", "中", "文", "!%", "!_", "\\", "\n"])
        pattern = "".join(draw(st.lists(pieces, max_size=5)))
        operator = draw(st.sampled_from(["LIKE", "ILIKE"]))
        escape = draw(st.sampled_from(["", " ESCAPE '!'"]))
        return f"{draw(values('text'))} {negated}{operator} {quoted(pattern)}{escape}"
    texts = st.sampled_from([quoted(item) for item in ("a", "b", "x", "A", "中文", "zz")])
    item = draw(st.one_of(texts, st.just("NULL")))
    number = draw(st.sampled_from(["1", "2", "2.0", "2.5", "-7", "1e10", "NULL"]))
    array = f"[{', '.join(draw(st.lists(texts, max_size=4)))}]"
    mixed = draw(
        st.lists(st.one_of(texts, st.just("NULL"), values("text")), min_size=1, max_size=4)
    )
    condition = draw(
        st.sampled_from(
            [
                f"list_contains(l, {item})",
                f"array_contains(l, {item})",
                f"list_has(k, {number})",
                f"array_has_any(l, {array})",
                f"array_has_any({array}, l)",
                f"list_has_all(l, {array})",
                f"{item} = ANY(l)",
                f"{item} = ANY(NULL)",
                f"{number} = ANY(k)",
                f"{item} IN l",
                f"{number} NOT IN k",
                f"{draw(values('text'))} IN [{', '.join(mixed)}]",
            ]
        )
    )
    return f"{negated}{condition}"


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """AND, OR and NOT with and without parentheses: whatever the text means, both must take it for
    the same.
    """
    joined = st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join)
    wrapped = inner.map("({})".format)
    truths = st.tuples(
        wrapped,
        st.sampled_from(["IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE", "IS NULL", "= b"]),
    )
    return st.one_of(joined, wrapped, wrapped.map("NOT {}".format), truths.map(" ".join))


CONDITIONS = st.recursive(
    st.one_of(comparisons(), text_and_list_conditions(), st.just("b")), combined, max_leaves=6
)


@settings(deadline=None, max_examples=400)
@given(where=CONDITIONS, start=st.integers(0, 20), size=st.integers(0, 400))
def test_agrees_with_duckdb(where: str, start: int, size: int) -> None:
    batch = data().to_batches()[0].slice(start, size)
    expected = duck().execute(
        f"SELECT row FROM t WHERE ({where}) "
        f"AND row BETWEEN {start} AND {start + size - 1} ORDER BY row"
    )
    rows = [row for (row,) in expected.fetchall()]
    assert [start + row for row in kept(where, batch)] == rows


# --- Cases computed by hand: what DuckDB does otherwise or has not, and every type on its own -----


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("x = 2", [2]),
        ("x = 2.0", [2]),
        ("x = 2.5", []),
        ("x <> 2.5", [0, 1, 2, 3, 5]),
        ("x < 2.5", [0, 1, 2]),
        ("x <= 2.5", [0, 1, 2]),
        ("x > 2.5", [3, 5]),
        ("x >= 2.5", [3, 5]),
        ("2.5 > x", [0, 1, 2]),
        ("x > -0.5", [1, 2, 3, 5]),
        ("x < 1e300", [0, 1, 2, 3, 5]),
        ("x = 9007199254740993", [5]),  # 2^53 + 1, which no float64 is
        ("x = 9007199254740993.0", [5]),
        ("x = 9007199254740992", []),
        ("x > 99999999999999999999999999", []),
        ("NOT x > 99999999999999999999999999", [0, 1, 2, 3, 5]),  # and NULL is still not TRUE
        ("x IN (2, 2.5, 3.0, 1e30)", [2, 3]),
        ("x NOT IN (2, 2.5)", [0, 1, 3, 5]),
        ("x NOT IN (2, NULL)", []),
        ("x IN (2, NULL)", [2]),
        ("x IN (x, 7)", [0, 1, 2, 3, 5]),
        ("x IN (1, 4, 5, 6, 7, 8, 9, 10, 11, 12, NULL, x + 0 * x, abs(x))", [0, 1, 2, 3, 5]),
        ("x NOT IN (1, 4, 5, 6, 7, 8, 9, 10, 11, 12, abs(x))", [0]),
        ("x % 2 = 0", [0, 2]),
        ("x % 0 = 0 OR x % 0 IS NULL", [0, 1, 2, 3, 4, 5]),
        ("x + 1 = 9007199254740994", [5]),
        ("x / 2 = 1.5", [3]),
        ("-x = 2", [0]),
        ("- -x = 2", [2]),
        ("abs(x) = 2", [0, 2]),
        ("1 + 1 = x", [2]),
        ("x = NULL", []),
        ("x <> NULL", []),
        ("x IS NULL", [4]),
        ("(x = 1) IS NULL", [4]),
        ("x ISNULL", [4]),
        ("x = 1 IS NOT TRUE", [0, 2, 3, 4, 5]),
        ("TRUE", [0, 1, 2, 3, 4, 5]),
        ("1 = 1 AND x = 1", [1]),
        ("'a' < 'b' AND 2 >= 1.5", [0, 1, 2, 3, 4, 5]),
        ("NULL", []),
        ("X = 1", [1]),  # unquoted names may differ in case
        ("`x` = 1", [1]),
    ],
)
def test_integers_and_nulls(where: str, rows: list[int]) -> None:
    assert kept(where, column([-2, 1, 2, 3, None, 2**53 + 1], pa.int64())) == rows


@pytest.mark.parametrize(
    "dtype",
    [
        pa.int8(),
        pa.uint8(),
        pa.int16(),
        pa.uint16(),
        pa.int32(),
        pa.uint32(),
        pa.int64(),
        pa.uint64(),
    ],
)
def test_the_ends_of_integer_types(dtype: pa.DataType) -> None:
    low, high = (
        (0, 2**dtype.bit_width - 1)
        if pa.types.is_unsigned_integer(dtype)
        else (-(2 ** (dtype.bit_width - 1)), 2 ** (dtype.bit_width - 1) - 1)
    )
    batch = column([low, high, None], dtype)
    assert kept(f"x = {high}", batch) == [1]
    assert kept(f"x <= {high - 1}", batch) == [0]
    for below in (low - 1, low - 0.5):
        assert kept(f"x > {below}", batch) == kept(f"x <> {below}", batch) == [0, 1]
        assert kept(f"x <= {below}", batch) == kept(f"x = {below}", batch) == []
    for above in (high + 1, f"{high}.5"):
        assert kept(f"x < {above}", batch) == kept(f"x <> {above}", batch) == [0, 1]
        assert kept(f"x >= {above}", batch) == kept(f"x = {above}", batch) == []
    assert kept(
        f"x IN ({high + 1}, {high}, {low - 1}, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5)", batch
    ) == [1]


def test_signed_and_unsigned_columns_compare_by_value() -> None:
    batch = pa.record_batch(
        {"s": pa.array([-1, 1, 2**62]), "u": pa.array([2**64 - 1, 1, 2**62 + 1], pa.uint64())}
    )
    assert kept("s = u", batch) == [1]
    assert kept("s < u", batch) == [0, 2]


def test_floats_order_nan_above_infinity() -> None:
    batch = pa.record_batch({"x": [NAN, math.inf, 1.0, None], "y": [NAN, NAN, NAN, NAN]})
    assert kept("x > 1e308", batch) == [0, 1]
    assert kept("x <= 1e308", batch) == [2]
    assert kept("x = y", batch) == [0]
    assert kept("x < y", batch) == [1, 2]
    assert kept("isnan(x)", batch) == [0]
    assert kept("NOT isnan(x)", batch) == [1, 2]
    assert kept("x = x", batch) == [0, 1, 2]


def test_a_float32_column_finds_the_literal_it_was_stored_from() -> None:
    batch = column([0.1, 0.2, None, math.inf], pa.float32())
    assert kept("x = 0.1", batch) == [0]
    assert kept("x < 0.1 OR x > 0.2", batch) == [3]
    assert kept("x IN (0.1, 0.2, 1, 2, 3, 4, 5, 6, 7, 8)", batch) == [0, 1]
    assert kept("x < 1e39", batch) == [0, 1]  # beyond float32, and not infinite
    assert kept("x = 1e39", batch) == []
    assert kept("x IN (1e39, 1, 2, 3, 4, 5, 6, 7, 8, 9)", batch) == []
    assert kept("x = 1.5", column([1.5, 2.5], pa.float16())) == [0]


def test_zero_has_no_sign() -> None:
    batch = column([0.0, -0.0, 1.0])
    assert (
        kept("x = 0", batch)
        == kept("x = -0.0", batch)
        == kept("x IN (0, 2, 3, 4, 5, 6, 7, 8, 9, 10)", batch)
        == [0, 1]
    )


@pytest.mark.parametrize(
    "dtype", [pa.decimal128(10, 2), pa.decimal256(50, 2), pa.decimal128(38, 2)]
)
def test_decimals_compare_exactly(dtype: pa.DataType) -> None:
    batch = column([Decimal("9.99"), Decimal("10.00"), None, Decimal("-3.50")], dtype)
    assert kept("x = 9.99", batch) == [0]
    assert kept("x < 9.995", batch) == [0, 3]
    assert kept("x = 9.995", batch) == []
    assert kept("x >= 10", batch) == [1]
    assert kept("x < 1e60", batch) == [0, 1, 3]
    assert kept("x IN (9.99, -3.5, 1.234, 10.0, 1e60, 1, 2)", batch) == [0, 1, 3]
    assert kept("x * 2 = -7", batch) == [3]
    other = pa.record_batch(
        {
            "x": batch.column(0),
            "y": pa.array([Decimal("9.9901"), 10, 1, -4], pa.decimal128(38, 30)),
            "i": [10, 10, 10, 10],
        }
    )
    assert kept("x < y", other) == [0]
    assert kept("x = y", other) == [1]
    assert kept("x >= i", other) == [1]


@pytest.mark.parametrize(
    "dtype",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
)
def test_every_kind_of_text(dtype: pa.DataType) -> None:
    batch = pa.record_batch(
        {"语言": pa.array(["中文", "英文", None, "en", ""], pa.string()).cast(dtype)}
    )
    assert kept("语言 = '中文'", batch) == [0]
    assert kept("\"语言\" <> '中文'", batch) == [1, 3, 4]
    assert kept("`语言` IN ('中文', 'en', 'xx')", batch) == [0, 3]
    assert kept("语言 LIKE '_文'", batch) == [0, 1]
    assert kept("语言 LIKE '%文%'", batch) == [0, 1]
    assert kept("语言 ILIKE 'E_'", batch) == [3]
    assert kept("语言 LIKE ''", batch) == [4]
    assert kept("语言 LIKE '%'", batch) == [0, 1, 3, 4]
    assert kept("语言 NOT LIKE '%'", batch) == []
    assert kept("length(语言) = 2", batch) == [0, 1, 3]
    assert kept("语言 = lower('EN')", batch) == [3]
    assert kept("语言 LIKE NULL", batch) == []


def test_like_escapes_only_where_told() -> None:
    batch = column(["50%", "50x", "a_b", "axb", "\\%", "(.*)"])
    assert kept("x LIKE '50!%' ESCAPE '!'", batch) == [0]
    assert kept("x NOT LIKE '50!%' ESCAPE '!'", batch) == [1, 2, 3, 4, 5]
    assert kept("x LIKE 'a\\_b' ESCAPE '\\'", batch) == [2]
    assert kept("x LIKE '\\%'", batch) == [4]
    assert kept("x LIKE '(.*)'", batch) == [5]
    assert kept("x LIKE '%.%'", batch) == [5]
    assert kept("x ILIKE 'A!_%' ESCAPE '!'", batch) == [2]


@pytest.mark.parametrize(
    "pattern", ["a%b", "a_b", "%b", "a%", "%a%b%", "_\n_", "a%%b", "a_%", "%_b", "__b", "a\n%"]
)
@pytest.mark.parametrize("operator", ["LIKE", "ILIKE"])
def test_like_wildcards_match_line_breaks(operator: str, pattern: str) -> None:
    texts = [
        "ab",
        "a\nb",
        "a\r\nb",
        "a\n\nb",
        "A\nB",
        "a\n",
        "\nb",
        "\n",
        "b\na",
        "a\u2028b",
        "x\na\nb",
    ]
    connection = duckdb.connect()
    found = connection.execute(
        f"SELECT row FROM (SELECT unnest($texts) AS x, generate_subscripts($texts, 1) - 1 AS row) "
        f"WHERE x {operator} $pattern ORDER BY row",
        {"texts": texts, "pattern": pattern},
    )
    rows = [row for (row,) in found.fetchall()]
    assert kept(f"x {operator} {quoted(pattern)}", column(texts)) == rows


def test_like_wildcards_match_line_breaks_in_the_simplest_case() -> None:
    batch = column(["a\nb", "ab", "a\nc"])
    assert kept("x LIKE 'a%b'", batch) == [0, 1]
    assert kept("x LIKE 'a_b'", batch) == [0]


@pytest.mark.parametrize("make", [pa.list_, pa.large_list, pa.list_view, pa.large_list_view])
def test_every_kind_of_list(make: Callable[[pa.DataType], pa.DataType]) -> None:
    batch = column([["x", "y"], [], None, ["y", None], ["中文"]], make(pa.string()), "tags").slice(
        0
    )
    assert kept("array_contains(tags, 'y')", batch) == [0, 3]
    assert kept("NOT array_contains(tags, 'y')", batch) == [1, 4]
    assert (
        kept("'y' = ANY(tags)", batch)
        == kept("ANY(tags) = 'y'", batch)
        == kept("'y' IN tags", batch)
        == [0, 3]
    )
    assert kept("array_contains(tags, NULL) IS NULL", batch) == [0, 2, 3, 4]
    assert (
        kept("array_has_any(tags, ['中文', 'x'])", batch)
        == kept("tags && ['中文', 'x']", batch)
        == [0, 4]
    )
    assert kept("array_has_all(tags, ['y', 'x'])", batch) == [0]
    assert kept("array_has_any(tags, [])", batch) == []
    assert kept("array_has_all(tags, [])", batch) == [0, 1, 3, 4]
    assert kept("length(tags) = 0 OR tags IS NULL", batch) == [1, 2]
    assert [row + 2 for row in kept("'y' = ANY(tags)", batch.slice(2, 2))] == [3]


def test_lists_of_other_types() -> None:
    assert kept("2 = ANY(x)", column([[1, 2], [3], [None]], pa.list_(pa.int16()))) == [0]
    assert kept("2.5 = ANY(x)", column([[1, 2], [3]], pa.list_(pa.int16()))) == []
    assert kept(
        "array_contains(x, 'b')", column([["a", "b"], ["c", "d"], None], pa.list_(pa.string(), 2))
    ) == [0]
    assert kept(
        "array_contains(x, DATE '2020-01-01')",
        column([[dt.date(2020, 1, 1)], []], pa.list_(pa.date32())),
    ) == [0]


def test_structs() -> None:
    rows = [{"a": 1, "B": {"c": "q"}}, {"a": 2, "B": None}, None, {"a": None, "B": {"c": "z"}}]
    batch = column(rows, name="s")
    assert kept("s.a = 1", batch) == [0]
    assert kept("S.b.C = 'z'", batch) == [3]
    assert kept("s.B IS NULL", batch) == [1, 2]
    assert kept('"s"."B".c = \'q\'', batch.slice(0, 3)) == [0]
    assert compile_filter("s.a = 1", batch.schema).columns == ("s",)
    with pytest.raises(FilterError, match="no column 'aa'; did you mean 'a'"):
        compile_filter("s.aa = 1", batch.schema)
    with pytest.raises(FilterError, match=r"s\.a \(int64\) has no field 'x'"):
        compile_filter("s.a.x = 1", batch.schema)


def test_a_column_without_any_value() -> None:
    batch = pa.record_batch({"x": pa.nulls(2), "y": [1, 2]})
    assert kept("x = 'a' OR y = 2", batch) == [1]
    assert kept("x IS NULL", batch) == [0, 1]
    assert (
        kept(
            "x NOT IN (1) OR x LIKE 'a' OR lower(x) = 'a' OR x + 1 = 2 OR array_contains(x, 'a')",
            batch,
        )
        == []
    )
    assert kept("x LIKE 'a' IS NULL AND length(x) IS NULL", batch) == [0, 1]


# --- Dates, times and time zones ------------------------------------------------------------------

NOON = dt.datetime(2020, 1, 1, 12)


@pytest.mark.parametrize("dtype", [pa.date32(), pa.date64()])
def test_dates(dtype: pa.DataType) -> None:
    batch = column(
        [dt.date(2019, 12, 31), dt.date(2020, 1, 1), None, dt.date(2020, 1, 2)], dtype, "d"
    )
    assert kept("d >= '2020-01-01'", batch) == kept("d >= DATE '2020-01-01'", batch) == [1, 3]
    assert (
        kept("d = CAST('2020-01-01' AS DATE)", batch)
        == kept("d = '2020-01-01'::date", batch)
        == [1]
    )
    assert kept("d > '2020-01-01 00:00:01'", batch) == [3]  # a date is its midnight
    assert kept("d = TIMESTAMP '2020-01-01 00:00:01'", batch) == []
    assert kept(
        "d IN ('2020-01-01', '2020-01-02', '2021-01-01', '2022-01-01', '2020-01-01 10:00')", batch
    ) == [1, 3]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_wall_clock_times_in_every_unit(unit: str) -> None:
    batch = column([NOON, NOON + dt.timedelta(seconds=1), None], pa.timestamp(unit), "t")
    assert (
        kept("t = '2020-01-01T12:00'", batch)
        == kept("t = TIMESTAMP '2020-01-01 12:00:00.000'", batch)
        == [0]
    )
    assert kept("t > '2020-01-01 12:00:00.000000001'", batch) == [1]
    assert kept("t <= '2020-01-01 12:00:00.999999999'", batch) == [0]
    assert kept("t < '9999-12-31'", batch) == [0, 1]  # beyond what nanoseconds hold
    assert kept("t < '0001-01-01'", batch) == []
    assert kept("t > DATE '2019-12-31'", batch) == [0, 1]


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "+08:00"])
def test_instants(zone: str) -> None:
    """The column holds 12:00 and 12:00:01 of its zone, which is 04:00 of UTC."""
    noon = NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=8)))
    batch = column([noon, noon + dt.timedelta(seconds=1), None], pa.timestamp("ms", zone), "t")
    assert kept("t = '2020-01-01 12:00:00+08:00'", batch) == [0]
    assert (
        kept("t = '2020-01-01 04:00:00Z'", batch)
        == kept("t = TIMESTAMPTZ '2020-01-01 04:00:00+00'", batch)
        == [0]
    )
    assert kept("t = TIMESTAMP '2020-01-01 05:30:00+0130'", batch) == [0]
    assert kept("t = '2020-01-01 12:00:00'", batch) == [0]  # the wall clock of the column's zone
    assert kept("t = '2020-01-01 12:00' AT TIME ZONE 'Asia/Shanghai'", batch) == [0]
    assert kept("t = TIMESTAMP '2019-12-31 23:00' AT TIME ZONE 'America/New_York'", batch) == [0]
    assert kept("t >= DATE '2020-01-01' AND t < DATE '2020-01-02'", batch) == [0, 1]


def test_clocks_put_back_and_forward() -> None:
    """Berlin had 02:30 twice on 2020-10-25, at 00:30 and 01:30 UTC: a literal is the earlier."""
    batch = column(
        [
            dt.datetime(2020, 10, 25, 0, 30, tzinfo=UTC),
            dt.datetime(2020, 10, 25, 1, 30, tzinfo=UTC),
        ],
        pa.timestamp("s", "Europe/Berlin"),
    )
    assert kept("x = '2020-10-25 02:30:00'", batch) == [0]
    assert kept("x = '2020-10-25 02:30:00+01:00'", batch) == [1]


def test_columns_of_times_compare_as_instants_or_wall_clocks() -> None:
    instants = [dt.datetime(2020, 1, 1, 4, tzinfo=UTC), dt.datetime(2020, 1, 1, tzinfo=UTC)]
    batch = pa.record_batch(
        {
            "utc": pa.array(instants, pa.timestamp("us", "UTC")),
            "cn": pa.array(instants, pa.timestamp("s", "Asia/Shanghai")),
            "naive": pa.array([NOON, dt.datetime(2020, 1, 1)], pa.timestamp("ns")),
            "d": pa.array([dt.date(2020, 1, 1)] * 2),
        }
    )
    assert kept("utc = cn", batch) == [0, 1]
    assert kept("naive = d", batch) == [1]
    far = pa.record_batch(
        {
            "d": [dt.date(9999, 1, 1)],
            "ns": pa.array([0], pa.timestamp("ns")),
            "s": pa.array([2**40], pa.timestamp("s")),
        }
    )
    assert kept("d > ns AND s > ns AND s > d", far) == [0]  # nanoseconds in 64 bits end in 2262
    for mixed in ("utc = naive", "d < utc"):
        with pytest.raises(FilterError, match="only one has a time zone"):
            compile_filter(mixed, batch.schema)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("n > '2020-01-01 10:00:00+08:00'", "n (timestamp[us]) has no time zone"),
        ("d > '2020-01-01 10:00:00Z'", "d (date32[day]) has no time zone"),
        ("d > '2021-02-29'", "day is out of range for month"),
        ("d > '2020-1'", "write it as '2020-01-31'"),
        ("d > 2020", "d (date32[day]) cannot be compared with the number 2020"),
        ("d > DATE '2020-01-01 10:00'", "'2020-01-01 10:00' is not a date"),
        ("n > '2020-01-01 24:00:00'", "hour must be in 0..23"),
        ("n > TIMESTAMPTZ '2020-01-01 10:00:00'", "needs its offset from UTC"),
        ("z > '2020-01-01 10:00:00+25:00'", "an offset is less than a day"),
        ("z > '2020-01-01' AT TIME ZONE 'Mars/Olympus'", "unknown time zone 'Mars/Olympus'"),
        ("z > '2020-01-01' AT TIME ZONE 'Asia'", "unknown time zone 'Asia'"),
        (
            "z > '2020-01-01 10:00Z' AT TIME ZONE 'UTC'",
            "AT TIME ZONE needs a time without an offset",
        ),
        (
            "i > DATE '2020-01-01'",
            "i (int64) cannot be compared with the date or time DATE '2020-01-01'",
        ),
        ("DATE '2020-01-01' > '2019-01-01'", "reads no column"),
        ("TIMESTAMP '2020-01-01' = TIMESTAMPTZ '2020-01-01 00:00Z'", "an offset with one"),
    ],
)
def test_dates_that_do_not_fit(where: str, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(where, data().schema)
    assert message in str(caught.value)


# --- Names ----------------------------------------------------------------------------------------

NAMED = pa.schema(
    {
        "year": pa.int64(),
        "Year": pa.int64(),
        "my col": pa.int64(),
        "年份": pa.int64(),
        "a.b": pa.int64(),
        "date": pa.int64(),
    }
)
NAMED = (
    NAMED.append(pa.field('tick`q"d', pa.int64()))
    .append(pa.field("order", pa.int64()))
    .append(pa.field("Lang", pa.string()))
)


@pytest.mark.parametrize(
    ("where", "columns"),
    [
        ("year = 1", ("year",)),
        ("Year = 1", ("Year",)),
        ("DATE = 1", ("date",)),
        ("lang = 'x'", ("Lang",)),
        ('"my col" = 1', ("my col",)),
        ("`my col` = 1", ("my col",)),
        ("年份 >= 2000 AND year = 1", ("year", "年份")),
        ('"a.b" = 1', ("a.b",)),
        ('"tick`q""d" = 1', ('tick`q"d',)),
        ('`tick``q"d` = 1', ('tick`q"d',)),
        ("order = 1", ("order",)),
        ("lang = 'year = 1 -- \"my col\"'", ("Lang",)),
        ("lang IN ('a IN (1, 2)', '年份')", ("Lang",)),
        ("TRUE", ()),
    ],
)
def test_names_and_the_columns_read(where: str, columns: tuple[str, ...]) -> None:
    assert compile_filter(where, NAMED).columns == columns


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("yeer = 1", "there is no column 'yeer'; did you mean 'year'?"),
        ("年分 = 1", "there is no column '年分'; did you mean '年份'?"),
        ("zzzzzzzz = 1", "known are: year, Year, my col"),
        ("YEAR = 1", 'the name YEAR fits several columns: write one of "year", "Year"'),
        ('"DATE" = 1', "there is no column 'DATE'; did you mean 'date'?"),
        ('lang = "en"', "there is no column 'en'"),
        ('lang = "en"', "a text goes in single quotes: 'en'"),
        ("lang = de", "a text goes in single quotes: 'de'"),
        ("lang IN ('en', de)", "a text goes in single quotes: 'de'"),
        ("a.b = 1", "the column 'a.b' is written \"a.b\""),
        ("“年份” = 1", 'the filter has a full-width “, where SQL has "'),
        ("年份 ＝ 1", "the filter has a full-width ＝, where SQL has ="),
    ],
)
def test_names_that_do_not_fit(where: str, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(where, NAMED)
    assert message in str(caught.value)


def test_full_width_text_within_quotes_is_no_mistake() -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter("lang = '（中文）' AND nix = 1", NAMED)
    assert "full-width" not in str(caught.value)


def test_two_columns_of_one_name() -> None:
    schema = pa.schema([("x", pa.int64()), ("x", pa.int64())])
    with pytest.raises(FilterError, match="there are 2 columns called 'x'"):
        compile_filter("x = 1", schema)
    with pytest.raises(FilterError, match="two columns of the data have the same name"):
        compile_filter(pc.field("x") == 1, schema)


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "the filter is empty"),
        (" \n", "the filter is empty"),
        ("i =", "cannot be parsed"),
        ("i = 1 i", "cannot be parsed at 'i'"),
        ("i = 1 AND", "cannot be parsed"),
        ("(i = 1", "cannot be parsed"),
        ("i = 1)", "cannot be parsed at ')'"),
        ("s = 'x", "is a quote not closed?"),
        ("i = 1; DROP TABLE t", "';' outside quotes"),
        ("i = 1;", "';' outside quotes"),
        ("i = 1 -- all", "a comment is not allowed"),
        ("i = 1 /* all */", "a comment is not allowed"),
        ("i = {# x #} 1", "'{' outside quotes"),
        ("i = ?", "'?' outside quotes"),
        ("i = $1", "'$' outside quotes"),
        ("i = :name", "':' outside quotes"),
        ("i = 1 \0", "outside quotes"),
        ("s = '\ud800'", "not valid Unicode"),
        ("WHERE i = 1", "WHERE is not allowed in a filter: leave out that word"),
        ("SELECT 1", "it has no sub-queries"),
        ("i IN (SELECT 1)", "it has no sub-queries"),
        ("i = (SELECT 1)", "it has no sub-queries"),
        ("EXISTS (SELECT 1)", "EXISTS is not allowed"),
        ("i = 1 UNION SELECT 1", "UNION is not allowed"),
        ("i = 1 LIMIT 2", "LIMIT is not allowed"),
        ("i = 1 ORDER BY i", "ORDER BY is not allowed"),
        ("CASE WHEN b THEN b END", "CASE is not allowed"),
        ("read_csv('/etc/passwd') = 1", "the function read_csv(...) is not allowed"),
        ("random() < 0.5", "the function random(...) is not allowed"),
        ("i (1) = 1", "the function i(...) is not allowed"),
        ("ROW(1) = 1", "the function ROW(...) is not allowed"),
        ("CAST(i AS TEXT) = '1'", "a cast to TEXT is not allowed"),
        ("i::TEXT = '1'", "a cast to TEXT is not allowed"),
        ("CAST(s AS DATE) = DATE '2020-01-01'", "CAST(s AS DATE) is not allowed"),
        ("i IS 3", "i IS 3 is not allowed"),
        ("i IS NOT DISTINCT FROM 3", "DISTINCT is not allowed"),
        ("(i, u) = (1, 2)", "(i, u) is not allowed"),
        ("s || 'x' = 'yx'", "|| is not allowed"),
        ("s ~ 'x'", "~ is not allowed"),
        ("s SIMILAR TO 'x'", "SIMILAR TO is not allowed"),
        ("s COLLATE de = 'x'", "COLLATE is not allowed"),
        ("s = 'a' 'b'", "is not allowed"),
        ("s = e'a'", "is not allowed"),
        ("s = n'a'", "is not allowed"),
        ("l[1] = 'x'", "l[1] is not allowed"),
        ("i <> ANY(l)", "is not allowed"),
        ("s LIKE ANY ('x', 'y')", "is not allowed"),
        ("* = 1", "is not allowed"),
        ("t.* = 1", "is not allowed"),
        ("i BETWEEN SYMMETRIC 2 AND 1", "is not allowed"),
        ("i IN ()", "empty list"),
        ("i", "i (int64) is not a condition"),
        ("5", "5 (number) is not a condition"),
        ("'x' AND b", "'x' (text) is not a condition"),
        ("NOT s", "s (string) is not a condition"),
        (
            "i = 'abc'",
            "i (int64) cannot be compared with the text 'abc': write a number without quotes",
        ),
        ("'2000' < i", "i (int64) cannot be compared with the text '2000'"),
        ("i IN (1, 'x')", "i (int64) cannot be compared with the text 'x'"),
        ("i IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 'x')", "i (int64) cannot be compared with the text 'x'"),
        ("f = TRUE", "f (double) cannot be compared with the boolean TRUE"),
        ("p = 'x'", "p (decimal128(10, 2)) cannot be compared with the text 'x'"),
        ("s > 5", "s (string) cannot be compared with the number 5: write a text in single quotes"),
        ("s IN ('a', 'b', 'c', 5)", "s (string) cannot be compared with the number 5"),
        ("b = 1", "b (bool) cannot be compared with the number 1: write TRUE or FALSE"),
        (
            "l = 'x'",
            "l (list<item: string>) cannot be compared with the text 'x': look for an element with "
            "array_contains",
        ),
        ("i = s", "i (int64) cannot be compared with s (string)"),
        ("l = l", "cannot be compared"),
        ("1 = 'x'", "compares a number with a text"),
        ("array_contains(l, 5)", "an element of l (string) cannot be compared with the number 5"),
        ("array_contains(l, s)", "only constants can be looked for in l, not s"),
        ("array_contains(i, 5)", "i (int64) is not a list column"),
        ("array_has_any(l, l)", "is not allowed"),
        ("array_has_any(l, ['a', NULL])", "has a NULL"),
        ("array_has_any(l)", "is not allowed"),
        ("list_has_all(['a'], l)", "LIST_HAS_ALL(['a'], l) is not allowed"),
        ("array_has_all(['a', 'b'], l)", "is not allowed"),
        ("['a'] @> l", "['a'] @> l is not allowed"),
        ("i LIKE 'x'", "LIKE needs a text column, not i (int64)"),
        ("s LIKE s", "LIKE needs a pattern in single quotes"),
        ("s LIKE 'x' ESCAPE 'ab'", "ESCAPE needs one character"),
        ("s LIKE 'x!' ESCAPE '!'", "must not end with its escape character"),
        ("length(i) = 3", "length() needs a text column, not i (int64)"),
        ("lower(i) = 'x'", "lower() needs a text column, not i (int64)"),
        ("isnan(i)", "isnan() needs a column of floats"),
        ("abs(s) = 1", "s (string) is not a number"),
        ("s + 1 = 2", "s (string) is not a number"),
        ("d - 1 = 2", "d (date32[day]) is not a number"),
        ("i + 'x' = 2", "the text 'x' is not a number"),
        ("i % 1.5 = 2", "% takes integers only"),
        ("i = 1 / 0", "(1 / 0) is not a number a filter can hold"),
        ("i = 1e999", "1e999 is not a number a filter can hold"),
        ("f > 1e-999999999", "is not a number a filter can hold"),
        ("i = " + "9" * 500, "is not a number a filter can hold"),
        ("i = 1e300 * 1e300", "is not a number a filter can hold"),
        ("i.x = 1", "i (int64) has no field 'x'"),
    ],
)
def test_what_is_refused_is_named(where: str, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(where, data().schema)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 800
    if "is not allowed in a filter." in str(caught.value):
        assert ALLOWED in str(caught.value)


@pytest.mark.parametrize(
    "where",
    [
        "vector = 1",
        "vector IS NULL",
        "array_contains(vector, 1)",
        pc.field("vector").is_null(),
        pc.list_value_length(pc.field("vector")) > 1,
    ],
)
def test_vectors_cannot_be_filtered(where: str | pc.Expression) -> None:
    with pytest.raises(
        FilterError, match="the column 'vector' holds vectors, which a filter cannot read"
    ):
        compile_filter(where, pa.schema({"vector": pa.list_(pa.float32(), 3), "x": pa.int64()}))


def test_types_without_an_order_can_only_be_null_or_not() -> None:
    batch = pa.record_batch({"x": [b"a", None], "t": pa.array([1, None], pa.time64("us"))})
    assert kept("x IS NULL", batch) == kept("t IS NULL", batch) == [1]
    assert kept("x IN (NULL" + ", NULL" * 20 + ") IS NULL", batch) == [0, 1]
    for where in ("x = 'a'", "t = '00:00:01'", "x IN (1, 2, 3, 4, 5, 6)"):
        with pytest.raises(FilterError, match="only IS NULL and IS NOT NULL"):
            compile_filter(where, batch.schema)


def test_a_row_that_cannot_be_computed_is_an_error_of_the_filter() -> None:
    batch = column([1, 2**63 - 1])
    with pytest.raises(FilterError, match=r"'x \+ 1 > 0' cannot be computed: overflow"):
        kept("x + 1 > 0", batch)
    with pytest.raises(FilterError, match="cannot be computed"):
        compile_filter("x = 1", batch.schema).mask(column([1], name="y"))


def test_only_text_and_expressions() -> None:
    number: Any = 5
    with pytest.raises(FilterError, match="not int"):
        compile_filter(number, data().schema)


# --- Size, depth and time -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    [
        "(" * 10_000 + "i = 1" + ")" * 10_000,
        "(" * (MAX_NESTING + 1) + "i = 1" + ")" * (MAX_NESTING + 1),
        "NOT " * 10_000 + "b",
        "i = " + "- " * 10_000 + "1",
        "i" + " + 1" * 10_000 + " > 3",
        "lower(" * 5_000 + "s" + ")" * 5_000 + " = 'x'",
        "i IN (" * 5_000 + "1" + ")" * 5_000,
        "ROW(" * 60 + "1" + ")" * 60 + " = 1",  # sqlglot would take longer than anyone lives
        "[" * 10_000,
        " OR ".join(["i = 1"] * 50_000),
        "s = '" + "x" * (MAX_SYNTAX + 1) + "'",
        "i IN (" + "1, " * (MAX_TEXT // 3) + "1)",
        "s LIKE '" + "_" * 100_000 + "'",
        "s LIKE '" + "a%" * 100_000 + "'",
    ],
    ids=range(14),
)
def test_texts_beyond_the_limits_are_refused(where: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(where, data().schema)
    assert len(str(caught.value)) < 800


def test_a_filter_compiled_deep_in_the_stack_is_refused_rather_than_crashing() -> None:
    def down(levels: int) -> list[int]:
        return (
            kept("(((((((((i + 0 = 1)))))))))", data().to_batches()[0])
            if levels == 0
            else down(levels - 1)
        )

    depth = 0
    frame = sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    with pytest.raises(FilterError, match="nested too deeply"):
        down(sys.getrecursionlimit() - depth - 100)


def test_within_the_limits_length_does_not_matter() -> None:
    batch = column(list(range(-5, 10)))
    assert kept("(" * MAX_NESTING + "x = 1" + ")" * MAX_NESTING, batch) == [6]
    assert kept(" OR ".join(f"x = {number}" for number in range(3_000)), batch) == list(
        range(5, 15)
    )
    assert kept(" AND ".join(f"x <> {number}" for number in range(3_000)), batch) == [0, 1, 2, 3, 4]
    assert kept("x" + " + 1" * 50 + " = 51", batch) == [6]


def test_long_lists() -> None:
    """A hundred thousand constants of every kind, more than sqlglot reads in a second."""
    numbers = ", ".join(str(2 * number) for number in range(100_000))
    assert kept(f"x IN ({numbers})", column([1, 2, 199_998, 199_999, None, 200_000])) == [1, 2]
    assert kept(f"x NOT IN ({numbers})", column([1, 2, None])) == [0]
    without_last = numbers.rpartition(",")[0]
    assert kept(f"x IN ({without_last}, NULL) IS NULL", column([1, 2, None])) == [0, 2]
    texts = ",".join(f"'it''s {number}, (中文)'" for number in range(100_000))
    assert kept(f"x in({texts})", column(["it's 99999, (中文)", "it's 5", None])) == [0]
    floats = ",".join(f"{number}.5e-1" for number in range(100_000))
    assert kept(f"x IN ({floats})", column([0.15, 0.1, 9999.95])) == [0, 2]


@pytest.mark.parametrize(
    "where",
    [
        "x IN (" + "1," * MAX_TERMS + "1)",
        "x IN (" + "1, " * MAX_TERMS + "NULL)",
        "x IN (" + "1," * (MAX_TERMS - 1) + "1) AND x = 3",
        "x IN (" + "1," * 60_000 + "1) OR x NOT IN (" + "2," * 50_000 + "1)",
        "x IN [" + "1," * MAX_TERMS + "1]",
    ],
    ids=["list", "null", "and", "two", "brackets"],
)
def test_more_than_the_most_constants_is_refused(where: str) -> None:
    schema = pa.schema([("x", pa.int64())])
    with pytest.raises(FilterError, match=r"100,000 constants.*ids=") as caught:
        compile_filter(where, schema)
    assert "--ids" in caught.value.for_terminal()
    texts = where.replace("1,", "'a,b',")
    if len(texts) < MAX_SYNTAX:
        with pytest.raises(FilterError):
            compile_filter(texts, schema)


def test_commas_in_texts_are_no_constants() -> None:
    texts = ",".join(["'a,b,c'"] * 50_000)
    assert kept(f"x IN ({texts})", column(["a,b,c", "a"])) == [0]
    with pytest.raises(FilterError, match="100,000 constants"):
        kept(f"x IN ({texts},{texts},'a')", column(["a"]))


def test_what_looks_like_a_list_within_quotes_is_left_alone() -> None:
    batch = pa.record_batch({"x IN (1, 2)": ["a", "x IN (1, 2)"], "y": [1, 2]})
    assert kept("\"x IN (1, 2)\" = 'x IN (1, 2)'", batch) == [1]
    assert kept("`x IN (1, 2)` = 'a' AND y IN (1, 3)", batch) == [0]
    assert kept("y IN (1) OR y IN (2) AND NOT y IN (1)", batch) == [0, 1]
    with pytest.raises(
        FilterError, match=r"in \"y IN \('a', 'b'\) y\""
    ):  # put back where a message quotes it
        compile_filter("y IN ('a', 'b') y", batch.schema)


# --- The Filter object ----------------------------------------------------------------------------


def test_a_filter_reads_its_columns_only() -> None:
    batch = data().to_batches()[0]
    compiled = compile_filter("u > 1 AND f < 3 OR s = 'a'", batch.schema)
    assert compiled.columns == ("u", "f", "s")
    whole = compiled.mask(batch)
    assert np.array_equal(compiled.mask(batch.select(compiled.columns)), whole)
    assert np.array_equal(compiled.mask(batch.select(["s", "f", "b", "u"])), whole)
    assert whole.dtype == np.bool_ and whole.shape == (400,) and 0 < whole.sum() < 400


def test_a_batch_of_another_storage_type_is_read_all_the_same() -> None:
    compiled = compile_filter("x = 'a'", pa.schema({"x": pa.large_string()}))
    for dtype in (pa.string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())):
        assert compiled.mask(
            column(["a", "b", None], pa.string()).set_column(
                0, "x", pa.array(["a", "b", None]).cast(dtype)
            )
        ).tolist() == [True, False, False]


@pytest.mark.parametrize(
    "where",
    [
        "i = 1",
        "b",
        "TRUE",
        "l IS NULL",
        "array_contains(l, 'a')",
        "array_contains(l, NULL)",
        "'a' = ANY(l)",
        "NULL = ANY(l)",
        "s IN ['a', NULL]",
        "s LIKE 'a_%'",
        "f / 2 > 1",
        "u IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)",
    ],
)
def test_empty_batches_and_odd_offsets(where: str) -> None:
    batch = data().to_batches()[0]
    compiled = compile_filter(where, batch.schema)
    whole = compiled.mask(batch)
    assert compiled.mask(batch.slice(0, 0)).shape == (0,)
    for start in (1, 7, 8, 9, 100):
        assert np.array_equal(compiled.mask(batch.slice(start, 33)), whole[start : start + 33])


def test_keys_tell_filters_apart() -> None:
    schema = pa.schema({"x": pa.int64(), "y": pa.int64()})
    key = compile_filter("x = 1", schema).key
    assert compile_filter("x = 1", pa.schema({"x": pa.int64()})).key == key
    assert compile_filter(" x = 1\n", schema).key == key
    assert compile_filter("x = 2", schema).key != key
    texts = pa.schema({"x": pa.string()})
    assert compile_filter("x = 'en'", texts).key != compile_filter("x = 'EN'", texts).key
    assert compile_filter("x = 1", pa.schema({"x": pa.float32()})).key != key
    assert compile_filter(pc.field("x") == 1, schema).key != key
    assert len(key) < 100 and len(compile_filter("x = 1" + " OR x = 1" * 100, schema).key) < 100


def test_the_same_filter_is_compiled_once() -> None:
    assert compile_filter("i = 1", data().schema) is compile_filter("i = 1", data().schema)
    assert compile_filter(pc.field("i") == 1, data().schema) is compile_filter(
        pc.field("i") == 1, data().schema
    )


def test_filters_may_be_compiled_and_run_from_many_threads() -> None:
    batch = data().to_batches()[0]
    texts = [f"i > {number} AND s <> '{number}' OR array_contains(l, 'a')" for number in range(40)]
    expected = [kept(text, batch) for text in texts]
    schema = batch.schema.with_metadata({"fresh": "yes"})  # compiled again
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(
                lambda text: np.flatnonzero(compile_filter(text, schema).mask(batch)).tolist(),
                texts * 5,
            )
        )
    assert found == expected * 5


def test_sqlglot_is_loaded_by_the_first_text_that_needs_it_only() -> None:
    script = """
import sys, pyarrow as pa, pyarrow.compute as pc
from vecsearch.query.filter import compile_filter
compile_filter(pc.field("x") == 1, pa.schema({"x": pa.int64()}))
before = "sqlglot" in sys.modules
compile_filter("x + 1 = 2", pa.schema({"x": pa.int64()}))
print(before, "sqlglot" in sys.modules)
"""
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", "True"]


# --- pyarrow Expressions --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "columns"),
    [
        (pc.field("i") > 1, ("i",)),
        ((pc.field("s") == "中文") | (pc.field("f") < 0) & ~pc.field("b"), ("f", "s", "b")),
        (pc.field("u").isin([1, 2, 3]), ("u",)),
        (pc.field("T t").is_null(), ("T t",)),
        (pc.match_like(pc.field("s"), "a%"), ("s",)),
        (pc.field("z") > pa.scalar(TIMES[1], pa.timestamp("us", "UTC")), ("z",)),
        (pc.scalar(True), ()),
        (pc.scalar(False), ()),
    ],
)
def test_expressions_keep_what_arrow_keeps(
    expression: pc.Expression, columns: tuple[str, ...]
) -> None:
    batch = data().to_batches()[0].slice(3, 301)
    compiled = compile_filter(expression, batch.schema)
    assert compiled.columns == columns
    expected = data().slice(3, 301).filter(expression).column("row").to_pylist()
    assert [3 + int(row) for row in np.flatnonzero(compiled.mask(batch))] == expected
    assert np.array_equal(compiled.mask(batch.select(columns)), compiled.mask(batch))
    assert compiled.mask(batch.slice(0, 0)).shape == (0,)


def test_expressions_over_more_rows_than_arrow_takes_at_once() -> None:
    values = np.random.default_rng(1).integers(0, 10, 200_001)
    assert np.array_equal(
        compile_filter(pc.field("x") == 3, pa.schema({"x": pa.int64()})).mask(
            pa.record_batch({"x": values})
        ),
        values == 3,
    )


def test_nested_fields_of_expressions() -> None:
    batch = pa.record_batch({"y": [1, 2], "s": [{"a": 1}, {"a": 2}]})
    compiled = compile_filter(pc.field("s", "a") == 2, batch.schema)
    assert compiled.columns == ("s",)
    assert compiled.mask(batch).tolist() == [False, True]


def test_keys_of_expressions_whose_text_leaves_out_the_middle() -> None:
    first, second = list(range(1000)), [*range(500), -1, *range(501, 1000)]
    one, other = pc.field("i").isin(first), pc.field("i").isin(second)
    assert str(one) == str(other)
    assert compile_filter(one, data().schema).key != compile_filter(other, data().schema).key
    assert (
        compile_filter(one, data().schema).key
        == compile_filter(pc.field("i").isin(first), data().schema).key
    )


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (pc.field("yeer") == 1, "there is no column 'yeer'"),
        (pc.field("T_t") == "x", "there is no column 'T_t'; did you mean 'T t'?"),
        (pc.field("i") + 1, "is of type int64; a filter must be boolean"),
        (pc.field("i") == "abc", "does not fit the columns"),
        (pc.field(0) == 1, "cannot be used as a filter"),
    ],
)
def test_expressions_that_do_not_fit(expression: pc.Expression, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(expression, data().schema)
    assert message in str(caught.value)


# --- Anything at all ------------------------------------------------------------------------------

SOUP = [
    *(
        "i",
        "f",
        "s",
        '"T t"',
        "b",
        "d",
        "z",
        "l",
        "p",
        "1",
        "2.5",
        "-3",
        "'x'",
        "'%'",
        "NULL",
        "TRUE",
        "'2020-01-01'",
        "中文",
        "“",
    ),
    *(
        "=",
        "<>",
        "<",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        "::",
        "&&",
        "@>",
        "||",
        "->",
        "!",
        "~",
        "'",
        '"',
        "`",
    ),
    *(
        "AND",
        "OR",
        "NOT",
        "IN",
        "BETWEEN",
        "LIKE",
        "ILIKE",
        "ESCAPE",
        "IS",
        "ANY",
        "DATE",
        "TIMESTAMP",
        "AT",
        "TIME",
        "ZONE",
        "AS",
        "CAST",
    ),
    *(
        "lower",
        "length",
        "abs",
        "isnan",
        "array_contains",
        "array_has_any",
        "ARRAY",
        "WITH",
        "CASE",
        "SELECT",
        "INTERVAL",
        "e'",
        "--",
    ),
]


def compiles_or_is_refused(where: str) -> Filter | None:
    try:
        return compile_filter(where, data().schema)
    except FilterError:
        return None


@settings(deadline=None, max_examples=600)
@given(st.lists(st.sampled_from(SOUP), max_size=25).map(" ".join))
def test_words_in_any_order_only_raise_filter_errors(where: str) -> None:
    compiled = compiles_or_is_refused(where)
    if compiled is not None:
        try:
            mask = compiled.mask(data().to_batches()[0])
        except FilterError as error:
            assert "cannot be computed" in str(error)
        else:
            assert mask.shape == (400,)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(), st.text(alphabet="if'\"`()[]=<>,.;:%-+*/ \n0123456789eE中（＝\\$?{}#")))
def test_any_text_only_raises_filter_errors(where: str) -> None:
    compiles_or_is_refused(where)


@settings(deadline=None, max_examples=150)
@given(CONDITIONS.filter(lambda where: len(where) > 8), st.data())
def test_damaged_filters_only_raise_filter_errors(where: str, draw: st.DataObject) -> None:
    cut = draw.draw(st.integers(0, len(where) - 1))
    compiles_or_is_refused(where[:cut])
    compiles_or_is_refused(where[:cut] + where[cut + 1 :])
    compiles_or_is_refused(where[cut:] + where[:cut])


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(st.none(), st.text()), min_size=1, max_size=8), st.integers(0, 7))
def test_any_text_can_be_asked_for(texts: list[str | None], index: int) -> None:
    wanted = texts[index % len(texts)]
    assume(wanted is not None and "\0" not in wanted)
    assert wanted is not None
    batch = column(texts, pa.large_string())
    rows = [row for row, text in enumerate(texts) if text == wanted]
    assert kept(f"x = {quoted(wanted)}", batch) == rows
    assert kept(f"x IN ({quoted(wanted)}, 'and', 'other', 'texts')", batch) == [
        row for row, text in enumerate(texts) if text in (wanted, "and", "other", "texts")
    ]
