"""Filters compiled without sqlglot against the same ones compiled with it."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from sqlglot.dialects.duckdb import DuckDB

import vecsearch as vs
from vecsearch.query.filter import compile_filter, sql
from vecsearch.query.filter.compare import bits
from vecsearch.query.filter.simple import WORDS, compile_simple

BATCH = pa.record_batch(
    {
        "year": pa.array([1999, 2000, None, -5, 2**63 - 1], pa.int64()),
        "small": pa.array([0, 1, None, 255, 7], pa.uint8()),
        "f": pa.array([0.1, None, float("nan"), float("-inf"), 2000.0], pa.float32()),
        "d": pa.array([0.1, -0.0, None, 1e300, 2000.5], pa.float64()),
        "lang": pa.array(["en", "fr", None, "", "2000"], pa.large_string()),
        "_n1": pa.array(["AND", "x AND y = 1", None, "2024-01-01", "中文"], pa.large_string()),
        "day": pa.array([dt.date(2024, 1, 1), None, dt.date(1, 1, 1)] + [None] * 2, pa.date32()),
        "at": pa.array([dt.datetime(2024, 1, 1), None, None, None, None], pa.timestamp("us")),
        "money": pa.array([Decimal("1.50"), None, None, Decimal("-5"), None], pa.decimal128(9, 2)),
        "flag": pa.array([True, None, False, True, False]),
        "tags": pa.array([["a"], None, [], ["b"], [None]], pa.large_list(pa.large_string())),
        "s": pa.array([{"a": 1}, None, {"a": None}, {"a": 3}, {"a": 4}]),
        "nothing": pa.nulls(5),
        "two words": pa.array([1, 2, 3, None, 5], pa.int16()),
        "date": pa.array([1, 2, 3, None, 5], pa.int16()),
        "Year": pa.array([1, 2, 3, None, 5], pa.int16()),
    }
)
NAMES = [
    *BATCH.schema.names,
    '"year"',
    '"two words"',
    '"date"',
    '"Year"',
    '"s"',
    "YEAR",
    "none",
    "e",
    *("lower(lang)", "UPPER ( _n1 )", "lower(year)", "lower(tags)", 'upper("lang")', "lower(lang"),
]
CONSTANTS = [
    *("0", "1", "-5", "- 5", "007", "2000", "2000.0", "0.1", "-0.0", "1e3", "5.", ".5", "1_000"),
    *("9223372036854775807", "99999999999999999999", "256", "-1", "1" * 500, "0x10", "5a"),
    *("''", "'en'", "'x AND y = 1'", "'it''s'", "'2024-01-01'", "'a\\b'", "'中文'", "'-- ; $1 {'"),
    *("'2024-01-01 10:00'", "'1'", "true", "NULL", "year", "E'x'", "'a' 'b'", '"lang"', "(1)"),
    *(
        "(1, 2)",
        "( 'en','fr' )",
        "('en')",
        "(1, 'en')",
        "(1,)",
        "()",
        "(NULL, 1)",
        "(-5, 255, 0.5)",
    ),
    *("(1, 2, 3, 4, 5, 6, 7, 8, 9, 2000)", "('a', 'b', 'c', 'en')", "(1 2)", "(year)", "['en']"),
    *("'%e%'", "'e_'", "'%'", "'_'", "'%e' ESCAPE '!'", "'e%'escape'!'", "'%f%r%'", "(('en'))"),
]
OPERATORS = ["=", "!=", "<>", "<", "<=", ">", ">=", "==", " = ", " >", "<\t", "< =", "=-", "->"]
OPERATORS += [" LIKE ", " ilike", "LIKE ", " IN ", " in", "IN", " NOT IN ", " NOT LIKE "]
OPERATORS += [" not\tilike ", "NOT IN", " NOTIN ", " BETWEEN ", " IS ", " IS NOT "]
OPERATORS += [" L\u0131KE ", " \u0131n "]  # which re takes for an i


def require_equal(text: str) -> bool:
    """Whether the text was compiled without sqlglot, and then as with it."""
    fast = compile_simple(text, BATCH.schema)
    if fast is None:
        return False
    slow = sql.compile_text(text, BATCH.schema)
    assert fast[1] == slow[1], text
    results = [value.run(BATCH) for value in (fast[0], slow[0])]
    lists = [
        result.to_pylist() if isinstance(result, pa.Array) else result.as_py() for result in results
    ]
    assert lists[0] == lists[1], text
    assert (fast[0].label, fast[0].cost) == (slow[0].label, slow[0].cost), text
    return True


def test_each_comparison_is_compiled_as_by_sqlglot() -> None:
    taken = sum(
        require_equal(f"{name}{operator}{constant}")
        for name in NAMES
        for operator in OPERATORS
        for constant in CONSTANTS
    )
    assert taken > 1000


@pytest.mark.parametrize("name", ["array_contains", "ARRAY_HAS", "list_contains ", "list_has"])
def test_array_contains_is_compiled_as_by_sqlglot(name: str) -> None:
    columns = [*NAMES, "", "tags, tags"]
    texts = [f"{name}({column}, {constant})" for column in columns for constant in CONSTANTS]
    taken = [text for text in texts if require_equal(text)]
    assert f"{name}(tags, 'en')" in taken and all("(tags, '" in text for text in taken)
    for text in (f"{name} ( tags\t,'en' )", f"NOT {name}(\"tags\", 'a') AND lower(lang) = 'en'"):
        assert require_equal(text)


SIMPLE = [
    *("year >= 2000", "lang='en'", "_n1 LIKE '%AND%'", "f<0.5", "small IN (1, 7)", '"date" = 5'),
    *("year BETWEEN 1 AND 2000", "f not between -1 and 0.5", "lang IS NULL", "d is not null"),
    *("lang BETWEEN 'a' AND 'f'", "NOT flag IS NULL", "(year = 1 OR small = 7)", "tags IS NULL"),
    *("NOT lang = 'en'", "NOT(small IN (0, 7))", "small NOT IN (0, 7)", "lang NOT LIKE 'e%'"),
    *("not not year > 1", "((year > 1))", "money NOT BETWEEN 1 AND 2", 'NOT "date" = 5'),
    *("lower(lang) LIKE '%e%'", "upper(_n1) IN ('AND', 'X')", "array_contains(tags, 'a')"),
    *("day > '2023-01-01'", "money != 1.5", "lang in ('en', 'fr', 'x')", '"two words"<>3'),
]


def test_texts_of_random_words_are_compiled_as_by_sqlglot() -> None:
    rng = random.Random(7)
    joins = [" AND ", " and ", "\nAnd\t", " OR ", " AND", "AND ", " AND NOT ", ") AND (", " = "]
    joins += [" OR ", " or ", " OR NOT ", " OR (", ") OR ", " AND (NOT "]
    taken = 0
    for _ in range(2000):
        text = ""
        for number in range(rng.randint(1, 4)):
            text += (rng.choice(joins) if number and rng.random() < 0.4 else " AND ") * bool(number)
            term = rng.choice(NAMES) + rng.choice(OPERATORS) + rng.choice(CONSTANTS)
            text += rng.choice(SIMPLE) if rng.random() < 0.8 else term
        if rng.random() < 0.2:
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(" ;'\"-\\(),.\u00a0\u3000\x00") + text[at:]
        taken += require_equal(text)
    assert taken > 200


def tree(rng: random.Random, depth: int) -> str:
    """A condition of nested AND, OR, NOT and parentheses."""
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(SIMPLE)
    if rng.random() < 0.3:
        return f"NOT ({tree(rng, depth - 1)})"
    text = tree(rng, depth - 1)
    for _ in range(rng.randint(0, 3)):
        text += rng.choice([" AND ", " or ", " OR NOT "]) + tree(rng, depth - 1)
    return f"({text})" if rng.random() < 0.7 else text


def test_trees_of_conditions_are_compiled_as_by_sqlglot() -> None:
    rng = random.Random(8)
    texts = [tree(rng, 4) for _ in range(500)]
    taken = [require_equal(text) for text in texts if len(text) <= 1000]
    assert len(taken) > 200 and all(taken)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "year = 1 OR",
            "NOT",
            "(year = 1",
            "year = 1)",
            "year = '1'",
            "date = 1",
            "YEAR = 1",
            "year",
        ),
        *("year = 1 AND", "AND year = 1", "", "   ", "year = 1;", "year = 1 -- x", "s = 1"),
        *(
            "tags = 'a'",
            "nothing = 1",
            "\u3000year = 1",
            "year\u00a0= 1",
            "year = 1 AND\u00a0f = 1",
        ),
        *("lang = '\ud800'", "year = 1 " + "AND year = 1 " * 100, "year = 1AND f = 1"),
    ],
)
def test_all_else_is_left_to_sqlglot(text: str) -> None:
    assert compile_simple(text, BATCH.schema) is None


def test_every_word_of_sqlglot_is_left_to_it() -> None:
    words = {
        word
        for key in DuckDB.Tokenizer.KEYWORDS
        for word in re.findall(r"[A-Z_][A-Z0-9_]*", key.upper())
    }
    words |= {name for name in DuckDB.Parser.NO_PAREN_FUNCTION_PARSERS if name.isidentifier()}
    words |= {kind.name for kind in DuckDB.Parser.NO_PAREN_FUNCTIONS}
    assert words <= WORDS


def test_a_simple_filter_does_not_import_sqlglot() -> None:
    program = """if True:
        import json, sys
        import pyarrow as pa
        from vecsearch.query.filter import compile_filter
        batch = pa.record_batch({"year": [1999, 2000, None], "lang": ["en", "fr", "en"]})
        def kept(where):
            return compile_filter(where, batch.schema).mask(batch).tolist()
        simple = kept("year >= 2000 AND NOT lower(lang) = 'x'")
        early = "sqlglot" in sys.modules
        other = kept("year < 2000 AND length(lang) > 1")
        print(json.dumps([simple, early, other, "sqlglot" in sys.modules]))"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stdout) == [[False, True, False], False, [True, False, False], True]


# -- AND computes what costs much for few rows -----------------------------------------------------


SLOW = (
    "lang LIKE '%e%'",
    "lower(lang) LIKE 'f_'",
    "array_contains(tags, 'a')",
    "NOT lang LIKE 'e%'",
)
QUICK = ("year > 1999", "d = 0.1", "flag = true", "year IS NULL", "lang <> 'en'", "small IN (0, 1)")


def test_and_with_slow_conditions_keeps_the_logic_of_null() -> None:
    """Against each condition by itself, put together in plain Python."""
    rng = random.Random(3)
    rows = [rng.choices(BATCH.column(name).to_pylist(), k=200) for name in BATCH.schema.names]
    arrays = [pa.array(values, kind) for values, kind in zip(rows, BATCH.schema.types, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=BATCH.schema)

    def alone(text: str) -> list[bool | None]:
        result = sql.compile_text(text, batch.schema)[0].run(batch)
        return list(result.to_pylist())

    def conjunction(values: tuple[bool | None, ...]) -> bool | None:
        return False if False in values else None if None in values else True

    known = {text: alone(text) for text in (*SLOW, *QUICK)}
    for _ in range(150):
        texts = rng.sample(SLOW, rng.randint(1, 3)) + rng.sample(QUICK, rng.randint(0, 3))
        rng.shuffle(texts)
        wanted = [
            conjunction(values) for values in zip(*(known[text] for text in texts), strict=True)
        ]
        text = " AND ".join(texts)
        condition = sql.compile_text(text, batch.schema)[0]
        assert condition.run(batch).to_pylist() == wanted, text
        assert compile_filter(text, batch.schema).mask(batch).tolist() == [
            value is True for value in wanted
        ]
        other = f"NOT ({text}) OR ({text}) IS NULL"
        found = bits(sql.compile_text(other, batch.schema)[0].run(batch), 200).tolist()
        assert found == [value is not True for value in wanted], other


def test_slow_conditions_see_few_rows_and_errors_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.compute as pc

    seen = []
    match = pc.match_substring

    def counting(array: Any, pattern: str) -> Any:
        seen.append(len(array))
        return match(array, pattern)

    monkeypatch.setattr(pc, "match_substring", counting)
    batch = pa.record_batch({"n": range(1000), "t": [f"text {n}" for n in range(1000)]})
    filtered = compile_filter("t LIKE '%9%' AND n < 20", batch.schema)
    seen.clear()  # of the trial that compiling makes
    assert filtered.mask(batch).nonzero()[0].tolist() == [9, 19]
    assert seen == [20]
    seen.clear()
    assert not compile_filter("t LIKE '%9%' AND n < 0", batch.schema).mask(batch).any()
    assert 1000 not in seen[1:]
    for text in ("n < 0 AND n * 9223372036854775807 > 1", "n * 9223372036854775807 > 1 AND n < 0"):
        overflowing = compile_filter(f"t LIKE 'text%' AND {text}", batch.schema)
        with pytest.raises(vs.FilterError, match="overflow"):  # as before: for rows left out, too
            overflowing.mask(batch)
