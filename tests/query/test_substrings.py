"""Texts that contain a text, and in lower case, against Python's own `in`, `lower` and `upper`."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import vecsearch as vs
from vecsearch.query.filter import substrings
from vecsearch.query.filter.substrings import contains, lower, upper

ALPHABETS = ("ab", "abcdefgh ", "aé光a b", "Ab")


def texts(alphabet: str, rows: int = 3000, seed: int = 7) -> list[str | None]:
    rng = random.Random(seed)
    return [
        None if rng.random() < 0.05 else "".join(rng.choices(alphabet, k=rng.randrange(9)))
        for _ in range(rows)
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("piece", [1, 100, 1 << 18])
def test_contains_is_what_python_says(
    kind: pa.DataType, alphabet: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(substrings, "PIECE_BYTES", piece)
    rows = 400 if piece == 1 else 3000  # each row is a piece of its own, or many are
    array = pa.array(texts(alphabet, rows), kind)
    rng = random.Random(1)
    wanted = ["a", "aa", "aba", *("".join(rng.choices(alphabet, k=n)) for n in (1, 2, 3, 5, 30))]
    slices = (array.slice(13, 2 * rows // 3), array.slice(rows - 1), array.slice(5, 256))
    for part in (array, *slices):
        own = part.to_pylist()
        for text in wanted:
            found = contains(part, text)
            assert found.type == pa.bool_()
            assert found.to_pylist() == [None if each is None else text in each for each in own]


def test_a_place_across_two_texts_is_in_neither() -> None:
    array = pa.array(["ab", "cd", "", "abc", "d"] * 100)
    assert contains(array, "bc").to_pylist() == [False, False, False, True, False] * 100
    assert contains(array, "dab").to_pylist() == [False] * 500
    assert contains(array, "b").to_pylist() == [True, False, False, True, False] * 100


def test_garbage_under_a_null_is_not_looked_at() -> None:
    array = pa.array(["needle", "hay"] * 200)
    hidden = pc.if_else(pa.array([True, False] * 200), None, array)
    validity = pa.py_buffer(np.packbits([False, True] * 200, bitorder="little"))
    under = pa.Array.from_buffers(array.type, 400, [validity, *array.buffers()[1:]])
    assert under.to_pylist() == hidden.to_pylist()
    assert contains(under, "needle").to_pylist() == [None, False] * 200


@pytest.mark.parametrize("alphabet", [*ALPHABETS, "ßİıA", "ΑΣσ B"])
def test_cases_are_those_of_arrow_and_of_python_in_ascii(alphabet: str) -> None:
    values = texts(alphabet, 1000)
    array = pa.array(values, pa.large_string())
    for part in (array, array.slice(3, 500)):
        assert lower(part).equals(pc.utf8_lower(part))
        assert upper(part).equals(pc.utf8_upper(part))
    if alphabet.isascii():
        assert lower(array).to_pylist() == [None if v is None else v.lower() for v in values]


def test_other_kinds_are_left_to_arrow() -> None:
    chunks = pa.chunked_array([["abc"], ["b"]])
    assert contains(chunks, "b").to_pylist() == [True, True]
    assert contains(pa.array(["ab"] * 300, pa.string_view()).cast("string"), "b").to_pylist()[0]
    assert lower(pa.scalar("AB")).as_py() == "ab"


def test_first_filters_of_a_process_import_no_pandas(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", dim=2) as collection:
        collection.add(
            pa.table(
                {
                    "id": [1, 2, 3],
                    "vector": pa.array([[1.0, 0.0]] * 3, pa.list_(pa.float32(), 2)),
                    "year": [1999, 2000, None],
                    "price": [0.5, 1.5, 2.5],
                    "lang": ["en", "fr", None],
                    "good": [True, False, None],
                    "day": pa.array([0, 1, 2], pa.date32()),
                    "at": pa.array([0, 10**12, None], pa.timestamp("us", tz="UTC")),
                }
            )
        )
    wheres = [
        ("year > 1999", 1),
        ("price <= 1.5 AND year >= 1999", 2),
        ("lang = 'en'", 1),
        ("lang LIKE '%r%'", 1),
        ("lower(lang) LIKE 'e_'", 1),
        ("lang IN ('fr', 'de', 'es', 'it')", 1),
        ("good = true", 1),
        ("day > '1970-01-01'", 2),
        ("at < '1970-01-02'", 1),
        ("year BETWEEN 1990 AND 2000", 2),
        ("NOT lang = 'en'", 1),
    ]
    script = f"""
import sys
import vecsearch as vs
with vs.open({str(tmp_path / "c.vs")!r}) as collection:
    for where, rows in {wheres!r}:
        assert collection.count(where) == rows, where
        assert "pandas" not in sys.modules, where
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
