"""Export writes what the ending says, and what it wrote can be added and restored."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import itertools
import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import vecsearch as vs
from vecsearch.common.json_arrays import from_json, to_json

MASK = pa.array([False, True, False])
TIMES = [(pa.time32("s"), 1), (pa.time32("ms"), 1001), (pa.time64("us"), 10**6 + 1)]
TIMES += [(pa.time64("ns"), 10**9 + 1)]


def numbers(kind: pa.DataType, *values: int | None) -> pa.Array:
    """Integers reinterpreted as a type of time."""
    return pa.array(values, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)


def leaves() -> list[pa.Array]:
    """Three values of each type without an inner one, the middle or the last often null."""
    found = [pa.array([5, None, 0], kind) for kind in (pa.int8(), pa.uint64(), pa.float16())]
    found += [pa.array([0.1, None, -1e38], kind) for kind in (pa.float32(), pa.float64())]
    found += [pa.array([2**63 - 1, None, -(2**63)]), pa.array([True, None, False])]
    found += [pa.array(['a "b", \n\r', None, "007"]), pa.array([b"ab", None, b"\0\xff"])]
    found += [pa.array(["", None, '""']), pa.array([b"", None, b'"'])]
    found += [pa.array([2**64 - 1, None, 0], pa.uint64())]
    found += [pa.array([b"ab", None, b"\0\1"], pa.binary(2))]
    for unit in ("s", "ms", "us", "ns"):
        found += [
            pa.array([1577836801, -5000001, None], pa.timestamp(unit, zone))
            for zone in (None, "UTC", "Asia/Shanghai")
        ]
        found.append(pa.array([1577836801, -5000001, None], pa.duration(unit)))
    days = [dt.date(1, 1, 1), dt.date(9999, 12, 31), None]
    found += [pa.array(days, pa.date32()), pa.array(days, pa.date64())]
    found += [numbers(kind, 0, 3 * step, None) for kind, step in TIMES]
    values = [decimal.Decimal("1.5"), None, decimal.Decimal("-0.25")]
    kinds = [pa.decimal128(20, 4), pa.decimal256(60, 10)]
    return found + [pa.array(values, kind) for kind in kinds]


def nested(leaf: pa.Array) -> list[pa.Array]:
    """The values inside every nested type."""
    twice = pa.concat_arrays([leaf, leaf])
    return [
        pa.ListArray.from_arrays([0, 2, 2, 3], leaf, mask=MASK),
        pa.FixedSizeListArray.from_arrays(twice, 2, mask=MASK),
        pa.StructArray.from_arrays([leaf, leaf], names=["a", "b"], mask=MASK),
        pa.MapArray.from_arrays(pa.array([0, None, 1, 3], pa.int32()), pa.array(list("abc")), leaf),
    ]


def every_kind() -> list[pa.Array]:
    plain = leaves()
    empty = pa.array([{}, None, {}], pa.struct([]))
    return [*plain, *(array for leaf in plain for array in nested(leaf)), empty]


@pytest.fixture
def table() -> pa.Table:
    columns = {f"c{number}": array for number, array in enumerate(every_kind())}
    vectors = [[1.0, 2.0], [0.5, 3.0], [4.0, 0.1]]
    return pa.table({"id": [3, 1, 2], "vector": vectors, **columns})


@pytest.fixture
def source(tmp_path: Path, table: pa.Table) -> vs.Collection:
    c = vs.create(tmp_path / "a.vs", dim=2)
    c.add(table, progress=False)
    return c


def test_json_values_give_back_every_kind() -> None:
    for array in every_kind():
        for part in (array, array.slice(1), array.slice(1, 1), array.slice(0, 0)):
            text = json.dumps(to_json(part), allow_nan=False)
            found = from_json(json.loads(text), array.type)
            found.validate(full=True)
            assert found.equals(part), array.type


def same_rows(one: vs.Collection, other: vs.Collection) -> None:
    wanted, found = one.to_arrow().sort_by("id"), other.to_arrow().sort_by("id")
    assert wanted.schema == found.schema
    for name in wanted.column_names:
        assert wanted[name].combine_chunks().equals(found[name].combine_chunks()), (
            wanted[name].type,
            found[name].to_pylist(),
        )


@pytest.mark.parametrize("ending", ["parquet", "arrow", "jsonl", "csv"])
def test_every_kind_comes_back_where_the_types_are_known(
    source: vs.Collection, table: pa.Table, tmp_path: Path, ending: str
) -> None:
    assert source.export(tmp_path / f"x.{ending}") == 3
    again = vs.create(tmp_path / "b.vs", dim=2)
    again.add(table, progress=False)
    again.delete([1, 2, 3])
    again.add(tmp_path / f"x.{ending}", progress=False)
    same_rows(source, again)


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_typed_formats_give_a_new_collection_the_same_types(
    source: vs.Collection, tmp_path: Path, ending: str
) -> None:
    source.export(tmp_path / f"x.{ending}")
    again = vs.create(tmp_path / "b.vs", dim=2)
    again.add(tmp_path / f"x.{ending}", progress=False)
    same_rows(source, again)


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_text_formats_can_start_a_collection(
    source: vs.Collection, tmp_path: Path, ending: str
) -> None:
    source.export(tmp_path / f"x.{ending}")
    with vs.create(tmp_path / "b.vs", dim=2) as again:
        assert again.add(tmp_path / f"x.{ending}", progress=False).added == 3


def test_parquet_restores_every_kind(source: vs.Collection, tmp_path: Path) -> None:
    source.export(tmp_path / "x.parquet")
    assert vs.restore(tmp_path / "x.parquet", tmp_path / "b.vs") == 3
    with vs.open(tmp_path / "b.vs") as again:
        same_rows(source, again)


def test_the_file_is_of_the_format_of_its_ending(source: vs.Collection, tmp_path: Path) -> None:
    for ending in ("parquet", "arrow", "csv", "jsonl"):
        source.export(tmp_path / f"x.{ending}")
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 3
    assert pa.ipc.open_file(tmp_path / "x.arrow").read_all().num_rows == 3
    assert (tmp_path / "x.csv").read_text().startswith('"id","c0",')
    first = json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])
    assert first["id"] == 3 and first["c8"] == "YWI=" and first["vector"] == [1.0, 2.0]
    assert "_norm" not in first


@pytest.mark.parametrize("name", ["x.xlsx", "x", "x.json", "x.csv.gz", ".parquet"])
def test_another_ending_is_refused_with_the_list(
    source: vs.Collection, tmp_path: Path, name: str
) -> None:
    with pytest.raises(vs.InvalidInputError, match=r"\.parquet, \.csv, \.jsonl or \.arrow"):
        source.export(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.vs"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_a_number_that_text_cannot_hold_is_refused_by_column(
    tmp_path: Path, ending: str, value: float
) -> None:
    c = vs.create(tmp_path / "a.vs", dim=1)
    c.add(pa.table({"vector": [[1.0]], "price": [value], "deep": [[value]]}), progress=False)
    with pytest.raises(vs.InvalidInputError, match=r"'price'.*not finite"):
        c.export(tmp_path / f"x.{ending}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.vs"]


def test_json_lines_tell_none_from_empty_text(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "a.vs", dim=1)
    c.add([{"vector": [1], "t": ""}, {"vector": [1], "t": None}, {"vector": [1], "t": "NA"}])
    c.export(tmp_path / "x.jsonl")
    c.export(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text().splitlines()[1:3] == ['0,"","[1.0]"', '1,,"[1.0]"']
    with vs.create(tmp_path / "b.vs", dim=1) as again:
        again.add(tmp_path / "x.jsonl")
        assert [row and row["t"] for row in again.get([0, 1, 2])] == ["", None, "NA"]


def test_text_that_is_no_base64_is_refused_for_bytes(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "a.vs", dim=1)
    c.add(pa.table({"vector": [[1.0]], "b": [b"x"]}))
    (tmp_path / "x.jsonl").write_text('{"vector": [1], "b": "not base64!"}\n')
    (tmp_path / "x.csv").write_text("vector,b\n[1],not base64!\n")
    with pytest.raises(vs.InvalidInputError, match=r"x.jsonl, line 1, column 'b'.*base64"):
        c.add(tmp_path / "x.jsonl")
    with pytest.raises(vs.InvalidInputError, match=r"x.csv, line 2, column 'b'.*base64"):
        c.add(tmp_path / "x.csv")


def rows_of(path: Path) -> list[dict[str, Any]]:
    """What a file holds, by readers that share no code with the export."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".arrow":
        return pa.ipc.open_file(path).read_all().to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv", "arrow"])
def test_the_part_that_was_asked_for_is_exported(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    with vs.create(tmp_path / "a.vs", dim=2) as c:
        rows = [{"id": n, "n": n * n, "s": f"s{n}", "vector": [n, 1.0]} for n in range(20)]
        c.add(rows)
        c.delete(7)
        assert c.export(path, where="n >= 25 AND id < 10", columns=["s", "id"]) == 4
        found = rows_of(path)
        assert [list(row) for row in found] == [["s", "id"]] * 4
        assert [(row["s"], int(row["id"])) for row in found] == [
            ("s5", 5),
            ("s6", 6),
            ("s8", 8),
            ("s9", 9),
        ]
        path.unlink()
        assert c.export(path, where=pc.field("id") == 3) == 1
        with vs.create(tmp_path / "b.vs", dim=2) as again:
            if ending == "parquet":
                assert vs.restore(path, tmp_path / "restored.vs") == 1
                with vs.open(tmp_path / "restored.vs") as restored:
                    assert restored.get([3, 4]) == [{"id": 3, "n": 9, "s": "s3"}, None]
                    assert restored.add([{"n": 1, "s": "", "vector": [0, 1]}]).added == 1
                path.unlink()
                c.export(path, where="id = 3", columns=["id", "n", "s", "vector"])
            again.add(path)
            assert again.get(3) == c.get(3)
            assert again.features([3]) == pytest.approx(c.features([3]), rel=1e-6)
        path.unlink()
        assert c.export(path, where="id > 100", columns=["id"]) == 0
        assert rows_of(path) == []


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv", "arrow"])
@pytest.mark.parametrize(
    "given, message",
    [
        ({"columns": ["id", "yaer"]}, "no column 'yaer'; did you mean 'year'"),
        ({"columns": ["id", "id"]}, "columns has 'id' twice"),
        ({"columns": []}, "columns is empty"),
        ({"columns": "id"}, "columns is 'id'; it must be a list of names"),
        ({"columns": ["_norm"]}, "no column '_norm'"),
        ({"columns": [3]}, "it must be a list of names"),
        ({"where": "yaer > 3"}, "no column 'yaer'"),
        ({"where": "year >"}, "year >"),
    ],
)
def test_a_wrong_part_is_refused_and_writes_nothing(
    texts: vs.Collection, tmp_path: Path, ending: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(vs.InvalidInputError, match=message):
        texts.export(tmp_path / f"x.{ending}", **given)
    assert [path.name for path in tmp_path.iterdir()] == [texts.path.name]


def test_a_file_of_some_columns_is_not_restored(texts: vs.Collection, tmp_path: Path) -> None:
    texts.export(tmp_path / "x.parquet", columns=["id", "text", "vector"])
    with pytest.raises(vs.InvalidInputError, match="only some columns were"):
        vs.restore(tmp_path / "x.parquet", tmp_path / "b.vs")


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv", "arrow"])
def test_of_passages_the_documents_asked_for_are_exported(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("chonkie")
    long = "Plants make food from light. " * 10 + "Cats hunt mice at night. " * 10
    with vs.create(tmp_path / "a.vs", embedder="toy:8", chunker=120) as c:
        c.add([{"id": n, "text": long if n % 2 else "short", "n": n} for n in range(6)])
        path = tmp_path / f"x.{ending}"
        # Only whole documents hold both words.
        where = "text LIKE '%light%' AND text LIKE '%night%' AND n > 1"
        assert c.export(path, where=where, columns=["n", "text"]) == 2
        assert [(int(row["n"]), row["text"]) for row in rows_of(path)] == [(3, long), (5, long)]
        path.unlink()
        assert c.export(path, columns=["n"], where="n < 2") == 2
        assert [int(row["n"]) for row in rows_of(path)] == [0, 1]
        with pytest.raises(vs.InvalidInputError, match="has several vectors"):
            c.export(tmp_path / f"y.{ending}", columns=["id", "vector"])
        passages = c.export(tmp_path / "z.parquet", where=where)
        assert passages == len(c.to_arrow(["n"], where="n IN (3, 5)"))
        vs.restore(tmp_path / "z.parquet", tmp_path / "b.vs")
        with vs.open(tmp_path / "b.vs") as again:
            assert again.get([3, 5]) == c.get([3, 5]) and len(again) == 2


@pytest.mark.parametrize("ending", ["jsonl", "csv", "arrow"])
def test_of_passages_whole_documents_are_exported(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("chonkie")
    long = "Plants make food from light. " * 10 + "Cats hunt mice at night. " * 10
    c = vs.create(tmp_path / "a.vs", embedder="toy:8", chunker=120)
    c.add([{"id": 1, "text": long, "n": 1}, {"id": 2, "text": "short", "n": 2}])
    assert len(c.to_arrow()) > 2 == c.export(tmp_path / f"x.{ending}")
    with vs.create(tmp_path / "b.vs", embedder="toy:8", chunker=120) as again:
        again.add(tmp_path / f"x.{ending}")
        assert again.get([1, 2]) == c.get([1, 2])
    c.export(tmp_path / "x.parquet")
    with pytest.raises(vs.InvalidInputError, match=r"vecsearch\.restore"):
        c.add(tmp_path / "x.parquet")


def test_csv_tells_an_empty_text_from_a_missing_one(tmp_path: Path) -> None:
    """As DuckDB reads the same file, whatever is in cells."""
    texts = ["", None, '"', ",", ',"",', '\n"",\n', '""', "a", '\r\n""', ' ""']
    rows = [
        {"id": number, "vector": [1, 2], "s": text, "t": other}
        for number, (text, other) in enumerate(itertools.product(texts, texts))
    ]
    c = vs.create(tmp_path / "c.vs", dim=2)
    c.add(rows)
    c.export(tmp_path / "x.csv", columns=["id", "s", "t", "vector"])
    options = "all_varchar=true, allow_quoted_nulls=false, quote='\"', escape='\"', header=true"
    read = f"SELECT s, t FROM read_csv('{tmp_path}/x.csv', {options}) ORDER BY id::int"
    oracle = duckdb.sql(read).fetchall()
    assert oracle == list(itertools.product(texts, texts))
    again = vs.create(tmp_path / "again.vs", dim=2)
    again.add(tmp_path / "x.csv")
    assert [(row["s"], row["t"]) for row in again.get(range(len(rows)))] == oracle


def test_empty_quotes_are_no_value_where_a_column_holds_no_text(tmp_path: Path) -> None:
    head = '"id","vector","n","day","j","s"\n'
    first = head + '"1","[1, 2]","","","",""\n'
    (tmp_path / "a.csv").write_text(first + '"2","[1, 2]","5","2024-01-02","{}","x"\n')
    c = vs.create(tmp_path / "c.vs", dim=2, json_columns=["j"])
    c.add(tmp_path / "a.csv")
    assert c.get([1, 2]) == [
        {"id": 1, "n": None, "day": None, "j": None, "s": ""},
        {"id": 2, "n": 5, "day": dt.date(2024, 1, 2), "j": {}, "s": "x"},
    ]
    (tmp_path / "b.csv").write_text(first)
    (tmp_path / "d.csv").write_text(head + '"2","[1, 2]","5","","",""\n')
    apart = vs.create(tmp_path / "apart.vs", dim=2)
    apart.add(tmp_path / "b.csv")
    apart.add(tmp_path / "d.csv")
    assert apart.get([2])[0]["n"] == 5
    (tmp_path / "e.csv").write_text(head + '"3","[1, 2]","5","","","x"\n')
    with pytest.raises(vs.InvalidInputError, match=r"e\.csv, line 2, column 's': 'x' is a text"):
        apart.add(tmp_path / "e.csv")
