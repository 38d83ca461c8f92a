"""One file, several files of one command, and several commands mean the same, or are refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import vecsearch as vs

Make = Callable[[], vs.Collection]
Write = Callable[[str, str], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    numbers = iter(range(100))
    return lambda: vs.create(tmp_path / f"{next(numbers)}.vs", dim=2, metric="l2")


def csv_text(cells: list[str], first: int) -> str:
    rows = [f'{first + number},"[1, 2]",{cell}\n' for number, cell in enumerate(cells)]
    return "id,vector,x\n" + "".join(rows)


def jsonl_text(values: list[Any], first: int) -> str:
    rows = [{"id": first + n, "vector": [1, 2], "x": value} for n, value in enumerate(values)]
    return "".join(json.dumps(row) + "\n" for row in rows)


def stored(collection: vs.Collection) -> tuple[str, list[Any]]:
    column = collection.to_arrow()["x"]
    return collection.info().columns["x"], column.to_pylist()


def by_one_file(make: Make, write: Write, files: list[list[str]]) -> tuple[str, list[Any]]:
    collection = make()
    collection.add(write("whole.csv", csv_text(list(chain.from_iterable(files)), 0)))
    return stored(collection)


def parts(write: Write, files: list[list[str]]) -> list[Path]:
    return [write(f"{n}.csv", csv_text(cells, 10 * n)) for n, cells in enumerate(files)]


def by_one_command(make: Make, write: Write, files: list[list[str]]) -> tuple[str, list[Any]]:
    collection = make()
    collection.add(parts(write, files))
    return stored(collection)


def by_commands(make: Make, write: Write, files: list[list[str]]) -> tuple[str, list[Any]]:
    collection = make()
    for path in parts(write, files):
        collection.add(path)
    return stored(collection)


INF = math.inf


@pytest.mark.parametrize(
    ("files", "kind", "values"),
    [
        ([["1.5"], ["inf"]], "double", [1.5, INF]),
        ([["inf"], ["1.5"]], "double", [INF, 1.5]),
        ([["1"], ["-Infinity"]], "double", [1.0, -INF]),
        ([["-INF"], ["2"]], "double", [-INF, 2.0]),
        ([["1.5"], ["1e308"]], "double", [1.5, 1e308]),
        ([["1e-300"], ["0e-999"]], "double", [1e-300, 0.0]),
        ([["1.5"], ["18014398509481984"]], "double", [1.5, 2.0**54]),
        ([["5e-324"], ["-0.0"]], "double", [5e-324, -0.0]),
        ([["NA"], ["5"]], "int64", [None, 5]),
        ([["NaN"], ["1.5"]], "double", [None, 1.5]),
        ([["null", ""], ["true"]], "bool", [None, None, True]),
        ([["NA", "None"], ["N/A"], ["7"]], "int64", [None, None, None, 7]),
        ([["NA"], ["nan"]], "null", [None, None]),
        ([[""], ["abc"]], "large_string", [None, "abc"]),
        ([["5"], ["NA"]], "int64", [5, None]),
        ([["abc"], ["NA"]], "large_string", ["abc", "NA"]),
    ],
)
def test_cells_mean_the_same_however_files_are_divided(
    make: Make, write: Write, files: list[list[str]], kind: str, values: list[Any]
) -> None:
    for way in (by_one_file, by_one_command, by_commands):
        assert way(make, write, files) == (kind, values), way.__name__


@pytest.mark.parametrize(
    ("files", "bad"),
    [
        ([["1.5"], ["1e400"]], "1e400"),
        ([["1.5"], ["-1e400"]], "-1e400"),
        ([["2"], ["1e-400"]], "1e-400"),
        ([["1.5"], ["12345678901234567.5"]], "12345678901234567.5"),
        ([["1"], ["+1"]], "+1"),
        ([["NA"], ["abc"]], "abc"),
        ([["NA", ""], ["[1, 2"]], "[1, 2"),
    ],
)
def test_what_makes_one_file_text_is_refused_by_a_later_command(
    make: Make, write: Write, files: list[list[str]], bad: str
) -> None:
    files = [[f'"{cell}"' if "," in cell else cell for cell in cells] for cells in files]
    cells = [cell.strip('"') or None for cell in list(chain.from_iterable(files))]
    for way in (by_one_file, by_one_command):
        assert way(make, write, files) == ("large_string", cells), way.__name__
    with pytest.raises(vs.InvalidInputError) as caught:
        by_commands(make, write, files)
    assert str(caught.value).startswith(f"1.csv, line 2, column 'x': {bad!r}")
    assert "--schema x:string" in caught.value.for_terminal()


def test_texts_after_markers_are_taken_once_the_column_is_one_of_texts(
    make: Make, write: Write
) -> None:
    collection = make()
    first, second = parts(write, [["NA"], ["abc"]])
    collection.add(first)
    with pytest.raises(vs.InvalidInputError, match="read as missing values"):
        collection.add([{"id": 9, "vector": [1, 2], "x": "abc"}])
    collection = vs.open(collection.path)  # the collection knows it, not the process
    with pytest.raises(vs.InvalidInputError, match="read as missing values"):
        collection.add(second)
    collection.alter_column("x", pa.string())
    collection.add(second)
    assert stored(collection) == ("large_string", [None, "abc"])


def test_markers_in_a_column_of_nothing_are_remembered(make: Make, write: Write) -> None:
    """A column may be empty at first, and get markers later."""
    collection = make()
    for path in parts(write, [[""], ["NA"]]):
        collection.add(path)
    with pytest.raises(vs.InvalidInputError, match="read as missing values"):
        collection.add(write("more.csv", csv_text(["abc"], 50)))
    collection.add(write("numbers.csv", csv_text(["5"], 50)))
    assert stored(collection) == ("int64", [None, None, 5])


@pytest.mark.parametrize("way", ["one", "command", "commands"])
def test_json_lines_take_the_type_of_their_first_value(make: Make, write: Write, way: str) -> None:
    values = [None, "2024-03-05", "2024-3-6"]
    collection = make()
    if way == "one":
        collection.add(write("whole.jsonl", jsonl_text(values, 0)))
    else:
        paths = [
            write("0.jsonl", jsonl_text(values[:1], 0)),
            write("1.jsonl", jsonl_text(values[1:], 5)),
        ]
        for data in [paths] if way == "command" else paths:
            collection.add(data)
    kind, found = stored(collection)
    assert kind == "date32[day]"
    assert [day and day.isoformat() for day in found] == [None, "2024-03-05", "2024-03-06"]


@pytest.mark.parametrize("number", ["1e400", "-1e999", "1e-400", "[1, 1e400]", '{"a": 1e400}'])
def test_json_numbers_beyond_floats_are_refused_by_line(
    make: Make, write: Write, number: str
) -> None:
    good = '{"id": 1, "vector": [1, 2], "x": %s}\n'
    path = write("a.jsonl", good % "1e300" + good % number)
    with pytest.raises(vs.InvalidInputError, match=r"a\.jsonl, line 2: .* outside the range"):
        make().add(path)


@pytest.mark.parametrize(
    ("kind", "cell"), [("float", "16777217"), ("float", "1e39"), ("halffloat", "2049")]
)
def test_numbers_that_a_narrow_float_does_not_hold_make_the_column_wider(
    tmp_path: Path, write: Write, kind: str, cell: str
) -> None:
    collection = vs.create(tmp_path / "c.vs", dim=2, metric="l2", schema={"x": kind})
    collection.add(write("a.csv", csv_text(["1.5", cell], 0)))
    assert stored(collection) == ("double", [1.5, float(cell)])
