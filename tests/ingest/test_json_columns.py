"""JSON columns: what goes in, in any way, comes back equal, and what is no JSON is refused."""

from __future__ import annotations

import datetime as dt
import json
import math
import pickle
import random
import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import vecsearch as vs
from vecsearch.errors import CorruptedError, InvalidInputError

JSON = pa.json_(pa.large_string())
VALUES: list[Any] = [
    {"lang": "en", "year": 2020, "source": {"url": "u", "tags": ["a", 1, None, [True]]}},
    {"lang": ["de", "fr"], "a.b": {}, "": 0.1},
    {},
    [],
    "text",
    "5",
    "null",
    5,
    10**40,
    -(2**63) - 1,
    1e-300,
    True,
    False,
    None,
    {"z": 1, "a": 2, "m": 3},
    {"text": 'tab\t quote" back\\slash \u0000 \u2028 é 夜 😀'},
]


def rows(values: list[Any] = VALUES) -> list[dict[str, Any]]:
    return [{"id": at, "vector": [1, at], "m": value} for at, value in enumerate(values)]


def same(found: Any, wanted: Any) -> bool:
    """Equal, with keys in the same order, and 1 apart from 1.0 and True."""
    return json.dumps(found) == json.dumps(wanted)


def stored(collection: vs.Collection) -> list[Any]:
    found = collection.get(sorted(set(collection.to_arrow(["id"])["id"].to_pylist())))
    return [row["m"] for row in found if row is not None]


@pytest.fixture
def c(root: Path) -> vs.Collection:
    return vs.create(root, dim=2, metric="l2", json_columns=["m"])


# -- In


def texts() -> list[str | None]:
    return [None if value is None else json.dumps(value) for value in VALUES]


def table(column: Any) -> pa.Table:
    ids = range(len(VALUES))
    return pa.table({"id": ids, "vector": [[1.0, at] for at in ids], "m": column})


def as_jsonl(folder: Path) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return str(path)


def as_csv(folder: Path) -> str:
    path = folder / "rows.csv"
    frame = pd.DataFrame({"id": range(len(VALUES)), "vector": "[1, 2]", "m": texts()})
    frame.drop(15).to_csv(path, index=False)  # a NUL character is not for CSV
    return str(path)


def as_parquet(folder: Path) -> str:
    path = str(folder / "rows.parquet")
    pq.write_table(table(pa.array(texts(), pa.string()).cast(pa.json_())), path)
    return path


def as_duckdb(folder: Path) -> str:
    path = folder / "duck.parquet"
    json_rows = table(texts())
    assert len(json_rows)
    duckdb.sql(f"COPY (SELECT id, vector, m::JSON AS m FROM json_rows) TO '{path}'")
    return str(path)


SOURCES: dict[str, Callable[[Path], Any]] = {
    "dicts": lambda folder: rows(),
    "an iterator": lambda folder: iter(rows()),
    "JSON lines": as_jsonl,
    "CSV": as_csv,
    "Parquet": as_parquet,
    "DuckDB's Parquet": as_duckdb,
    "Arrow text": lambda folder: table(pa.array(texts())),
    "Arrow text as a dictionary": lambda folder: table(pa.array(texts()).dictionary_encode()),
    "Arrow text views": lambda folder: table(pa.array(texts(), pa.string_view())),
    "Arrow JSON": lambda folder: table(pa.array(texts(), pa.string()).cast(pa.json_())),
    "pandas objects": lambda folder: pd.DataFrame(rows()),
    "pandas text": lambda folder: table(pa.array(texts())).to_pandas(),
    "polars objects": lambda folder: pl.DataFrame(
        {
            "id": range(len(VALUES)),
            "vector": [[1.0, 2.0]] * len(VALUES),
            "m": pl.Series(VALUES, dtype=pl.Object),
        }
    ),
    "polars JSON": lambda folder: pl.from_arrow(table(pa.array(texts()).cast(JSON))),
    "polars text": lambda folder: pl.from_arrow(table(pa.array(texts()))),
    "frames": lambda folder: [pd.DataFrame(rows()[:9]), pd.DataFrame(rows()[9:])],
}


@pytest.mark.parametrize("source", SOURCES)
def test_what_goes_in_comes_back_equal(source: str, c: vs.Collection, tmp_path: Path) -> None:
    c.add(SOURCES[source](tmp_path))
    found = stored(c)
    assert same(found, VALUES[: len(found)])
    assert len(found) == len(VALUES) - (source == "CSV")
    assert c.info().columns["m"] == "json"


@pytest.mark.parametrize("source", ["Arrow JSON", "Parquet", "DuckDB's Parquet", "polars JSON"])
def test_the_type_of_the_data_makes_a_json_column(source: str, root: Path, tmp_path: Path) -> None:
    with vs.create(root, dim=2) as c:
        c.add(SOURCES[source](tmp_path))
        assert c.info().columns["m"] == "json"
        assert same(stored(c), VALUES)


def test_files_of_several_kinds_go_into_one_json_column(c: vs.Collection, tmp_path: Path) -> None:
    parts = [tmp_path / name for name in ("a.jsonl", "b.csv", "c.parquet")]
    parts[0].write_text('{"id": 1, "vector": [1, 1], "m": {"a": 1}}\n')
    parts[1].write_text('id,vector,m\n2,"[1, 2]","{""a"": ""x""}"\n')
    structs = pa.table({"id": [3], "vector": [[1.0, 3.0]], "m": [{"b": [1]}]})
    pq.write_table(structs, parts[2])
    c.add([str(part) for part in parts])
    assert stored(c) == [{"a": 1}, {"a": "x"}, {"b": [1]}]


def test_arrow_values_that_are_no_text_are_values(c: vs.Collection) -> None:
    arrays = [
        (pa.array([{"a": 1, "b": [None, 0.5]}, None]), [{"a": 1, "b": [None, 0.5]}, None]),
        (pa.array([[1, None], []]), [[1, None], []]),
        (pa.array([1, None]), [1, None]),
        (pa.array([0.5, 2.0]), [0.5, 2.0]),
        (pa.array([True, None]), [True, None]),
        (pa.nulls(2), [None, None]),
        (pa.array([None, None], pa.timestamp("s")), [None, None]),
    ]
    for number, (array, _) in enumerate(arrays):
        ids = [2 * number, 2 * number + 1]
        c.add(pa.table({"id": ids, "vector": [[1.0, 0.0]] * 2, "m": array}))
    assert same(stored(c), [value for _, values in arrays for value in values])


def test_a_struct_of_polars_has_all_its_keys(c: vs.Collection) -> None:
    kind = pl.Struct({"a": pl.Int64, "b": pl.String})
    column = pl.Series([{"a": 1}, {"b": "x"}], dtype=kind)
    frame = pl.DataFrame({"id": [0, 1], "vector": [[1.0, 0.0]] * 2, "m": column})
    c.add(frame)
    assert same(stored(c), [{"a": 1, "b": None}, {"a": None, "b": "x"}])


def random_value(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(8 if depth else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.choice([-1, 1]) * rng.getrandbits(rng.choice([1, 31, 53, 63, 64, 65, 200]))
    if kind == 2:
        return struct.unpack("d", struct.pack("Q", rng.getrandbits(62)))[0]
    if kind in (3, 4):
        return "".join(chr(rng.choice([0, 9, 34, 92, 233, 0x591C, 0x1F600, 65])) for _ in range(4))
    if kind == 5:
        return round(rng.uniform(-1e6, 1e6), 3)
    if kind == 6:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {str(rng.random()): random_value(rng, depth - 1) for _ in range(rng.randrange(4))}


@pytest.mark.parametrize("way", ["dicts", "JSON lines", "text"])
def test_random_values_come_back_equal(way: str, c: vs.Collection, tmp_path: Path) -> None:
    rng = random.Random(5)
    values = [random_value(rng, 4) for _ in range(400)]
    if way == "dicts":
        c.add(rows(values))
    elif way == "JSON lines":
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(values)))
        c.add(str(path))
    else:
        ids = range(len(values))
        vectors = [[1.0, float(at)] for at in ids]
        c.add(pa.table({"id": ids, "vector": vectors, "m": list(map(json.dumps, values))}))
    assert same(stored(c), values)
    column = c.to_arrow(["m"])["m"].cast(pa.large_string()).to_pylist()
    assert same([None if text is None else json.loads(text) for text in column], values)


def test_numpy_values_and_missing_ones_in_rows(c: vs.Collection) -> None:
    given = [
        {"a": np.int32(3), "b": np.float64(0.5), "c": np.array([[1, 2]]), "d": (1, "x")},
        np.array(["x", "y"]),
        math.nan,
        pd.NA,
        np.bool_(True),
    ]
    c.add(rows(given))
    assert same(
        stored(c), [{"a": 3, "b": 0.5, "c": [[1, 2]], "d": [1, "x"]}, ["x", "y"], None, None, True]
    )


def test_text_is_kept_as_it_was_written(c: vs.Collection) -> None:
    written = ' {"n": 0.10000000000000000555, "a" : 1E2}'
    c.add(pa.table({"id": [1], "vector": [[1.0, 2.0]], "m": [written]}))
    assert c.to_arrow(["m"])["m"].cast(pa.large_string()).to_pylist() == [written]
    assert stored(c) == [{"n": 0.1, "a": 100.0}]


def test_a_later_column_and_a_column_without_a_value_become_json(root: Path) -> None:
    with vs.create(root, dim=2) as c:
        c.add([{"id": 1, "vector": [1, 0], "m": None}])
        c.add(pa.table({"id": [2], "vector": [[1.0, 2.0]], "m": pa.array(['{"a": 1}'], JSON)}))
        assert c.info().columns["m"] == "json"
        with pytest.raises(InvalidInputError, match="row 0, column 'm'"):
            c.add(pa.table({"id": [3], "vector": [[1.0, 2.0]], "m": pa.array(["{a"], JSON)}))
        c.add_column("more", pa.json_(), {"x": [1]})
        c.add_column("empty", "json")
        c.add([{"id": 4, "vector": [1, 0], "more": "s", "empty": [{}]}])
        assert [(row["m"], row["more"], row["empty"]) for row in c.get([1, 2, 4])] == [
            (None, {"x": [1]}, None),
            ({"a": 1}, {"x": [1]}, None),
            (None, "s", [{}]),
        ]


def test_json_goes_into_a_column_of_text_as_its_text(root: Path) -> None:
    with vs.create(root, dim=2, schema={"m": "string"}) as c:
        c.add(pa.table({"id": [1], "vector": [[1.0, 2.0]], "m": pa.array(['{"a": 1}'], JSON)}))
        assert stored(c) == ['{"a": 1}']


# -- Refused


REFUSED: list[tuple[Any, str]] = [
    ({"a": math.nan}, "JSON has no nan"),
    ([math.inf], "JSON has no inf"),
    ({"a": dt.date(2020, 1, 1)}, "JSON has no date"),
    ({"a": Decimal("0.1")}, "JSON has no Decimal"),
    ({"a": b"x"}, "JSON has no bytes"),
    ({1: "x"}, "the key 1 of a dict is not a str"),
    ({"a": "\ud800"}, "half a character"),
    ({"a": {1, 2}}, "JSON has no set"),
    (np.datetime64("2020-01-01"), "JSON has no datetime64"),
]


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(("value", "message"), [*REFUSED, (deep(201), "more than 200 deep")])
@pytest.mark.parametrize("kind", ["dicts", "iterator", "pandas", "update", "add_column"])
def test_a_value_that_json_has_not_is_refused(
    value: Any, message: str, kind: str, c: vs.Collection
) -> None:
    c.add(rows([{}]))
    before = c.info().version
    data = [{"id": at, "vector": [1, at], "m": m} for at, m in ((7, {"a": 1}), (8, value))]
    with pytest.raises(InvalidInputError) as caught:
        if kind == "update":
            c.update(None, {"m": value})
        elif kind == "add_column":
            c.add_column("other", "json", value)
        else:
            c.add({"dicts": data, "iterator": iter(data), "pandas": pd.DataFrame(data)}[kind])
    assert message in str(caught.value)
    assert kind in ("update", "add_column") or "row 1, column 'm'" in str(caught.value)
    assert c.info().version == before
    assert stored(c) == [{}]


BAD_TEXTS = [
    ("{a: 1}", "Expecting property name"),
    ("", "Expecting value"),
    ("hello", "Expecting value"),
    ('{"a": 1, "a": 2}', "duplicate key 'a'"),
    ('{"a": NaN}', "JSON has no NaN"),
    ("-Infinity", "JSON has no -Infinity"),
    ("1e400", "larger than float64"),
    ('"\\ud800"', "half a character"),
    ("[" * 201 + "]" * 201, "more than 200 deep"),
    ("[" * 100_000, "more than 200 deep"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS)
def test_a_text_that_is_no_json_is_refused(text: str, message: str, c: vs.Collection) -> None:
    data = pa.table({"id": [1, 2], "vector": [[1.0, 2.0]] * 2, "m": ['{"a": 1}', text]})
    for column in (data["m"], data["m"].cast(pa.json_())):
        with pytest.raises(InvalidInputError) as caught:
            c.add(data.set_column(2, "m", column))
        assert "row 1, column 'm'" in str(caught.value)
        assert message in str(caught.value)
    assert len(c) == 0


def test_the_line_of_a_file_is_named_and_can_be_left_out(c: vs.Collection, tmp_path: Path) -> None:
    lines, cells = tmp_path / "a.jsonl", tmp_path / "b.csv"
    lines.write_text(
        '{"id": 1, "vector": [1, 1], "m": {"a": 1}}\n{"id": 2, "vector": [1, 1], "m": [NaN]}\n'
    )
    cells.write_text('id,vector,m\n3,"[1, 2]",{a}\n4,"[1, 2]",[1]\n5,"[1, 2]",\n')
    for path, where in ((lines, "a.jsonl, line 2"), (cells, "b.csv, line 2")):
        with pytest.raises(InvalidInputError, match=f"{where}, column 'm'"):
            c.add(str(path))
        (failure,) = c.add(str(path), on_error="skip").report.failures
        assert where in str(failure)
    bad = pa.table({"id": [6, 7], "vector": [[1.0, 2.0]] * 2, "m": ["[", "6"]})
    assert c.add(bad, on_error="skip").added == 1
    mixed = [{"id": 8, "vector": [1, 2], "m": {1: 2}}, {"id": 9, "vector": [1, 2], "m": 8}]
    assert c.add(mixed, on_error="skip").added == 1
    assert stored(c) == [{"a": 1}, [1], None, 6, 8]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"json_columns": "m"}, "it must be a list of names"),
        (
            {"json_columns": ["id"]},
            "ids: integers or strings; it cannot be json",
        ),
        ({"json_columns": ["vector"]}, "column 'vector' holds the vectors"),
        ({"json_columns": [""]}, "cannot be the name"),
        ({"json_columns": ["m"], "schema": {"m": "int64"}}, "its declared type is int64"),
        ({"schema": {"m": pa.list_(pa.json_())}}, "JSON cannot be a part"),
        ({"schema": {"m": pa.struct([("a", pa.json_())])}}, "JSON cannot be a part"),
        (
            {"schema": {"text": "json"}, "embedder": "toy:8", "dim": None},
            "texts to embed; it cannot be",
        ),
    ],
)
def test_what_cannot_be_a_json_column(arguments: dict[str, Any], message: str, root: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        vs.create(root, **{"dim": 2, **arguments})
    assert message in str(caught.value)
    assert not root.exists()


@pytest.mark.parametrize(
    "schema",
    [{"m": "json"}, {"m": pa.json_()}, {"m": JSON}, pa.schema([("m", pa.json_())]), None],
)
def test_each_way_to_declare_it(schema: Any, root: Path) -> None:
    names = ["m"] if schema is None else None
    with vs.create(root, dim=2, schema=schema, json_columns=names) as c:
        c.add(rows())
        assert c.info().columns["m"] == "json"
        assert c.to_arrow(["m"]).schema.field("m").type == JSON
        assert same(stored(c), VALUES)


def test_a_column_is_declared_once(root: Path) -> None:
    twice = pa.schema([("a", pa.int64()), ("a", pa.string())])
    for names in (None, ["m"]):
        with pytest.raises(InvalidInputError, match="column 'a' comes 2 times"):
            vs.create(root, dim=2, schema=twice, json_columns=names)
    assert not root.exists()


def test_the_error_about_mixed_types_names_the_way_out(root: Path) -> None:
    with vs.create(root, dim=2) as c:
        with pytest.raises(InvalidInputError) as caught:
            c.add(rows([{"a": 1}, "x"]))
        assert "json_columns=" in str(caught.value)
        assert "--json-column" in caught.value.for_terminal()


# -- Out, and through every change


def test_each_way_out(c: vs.Collection) -> None:
    c.add(rows())
    hits = c.search([1, 0], k=len(VALUES))
    assert same([hit["m"] for hit in hits], VALUES)
    assert same([hit["m"] for hit in pickle.loads(pickle.dumps(hits))], VALUES)
    assert same(hits.fetch(["m"]).column("m"), VALUES)
    assert same([hit.to_dict()["m"] for hit in hits], VALUES)
    for frame in (hits.to_pandas(), c.to_pandas(), c.to_pandas(["m"])):
        assert same(list(frame["m"]), VALUES)
    for found in (hits.to_arrow(["m"]), c.to_arrow(), pa.Table.from_batches(c.scan(["m"]))):
        assert found["m"].type == JSON
        parsed = [None if text is None else json.loads(text) for text in found["m"].to_pylist()]
        assert same(parsed, VALUES)
    assert c.to_pandas(where="m = 'none'")["m"].tolist() == []
    assert c.search([1, 0], where="m = 'none'").to_pandas()["m"].tolist() == []
    c.add(c.to_pandas(), on_conflict="replace")
    assert same(stored(c), VALUES)


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "arrow", "csv"])
def test_an_exported_file_gives_the_same_values(
    ending: str, c: vs.Collection, tmp_path: Path
) -> None:
    values = VALUES[: len(VALUES) - (ending == "csv")]
    c.add(rows(values))
    path = str(tmp_path / f"out.{ending}")
    c.export(path)
    with vs.create(tmp_path / "again.vs", dim=2, metric="l2", json_columns=["m"]) as again:
        again.add(path)
        assert same(stored(again), values)
    if ending == "parquet":
        vs.restore(path, tmp_path / "restored.vs")
        with vs.open(tmp_path / "restored.vs") as it:
            assert same(stored(it), values)
            assert it.info().columns["m"] == "json"


def test_backup_compact_rollback_and_replacing(c: vs.Collection, tmp_path: Path) -> None:
    for row in rows():
        c.add([row])
    assert same(stored(c), VALUES)
    before = c.info().version
    c.delete([0, 3])
    c.compact()
    assert same(stored(c), [value for at, value in enumerate(VALUES) if at not in (0, 3)])
    c.rollback(before)
    assert same(stored(c), VALUES)
    turned = VALUES[::-1]
    c.add(rows(turned), on_conflict="replace")
    assert same(stored(c), turned)
    c.backup(tmp_path / "backup.vs")
    with vs.open(tmp_path / "backup.vs") as copy:
        assert same(stored(copy), turned)
        assert copy.check() == []


def test_update_sets_any_value(c: vs.Collection) -> None:
    c.add(rows())
    for number, value in enumerate(VALUES):
        c.update(f"id = {number}", {"m": VALUES[-1 - number]})
        assert value is None or c.count(f"id = {number}") == 1
    assert same(stored(c), VALUES[::-1])
    c.update(None, {"m": None})
    assert stored(c) == [None] * len(VALUES)
    c.update("id = 1", {"m": pa.scalar('{"a": [1]}', JSON)})
    assert c.count("m.a[0] = 1") == 1


def test_a_chunked_collection_and_another_model(root: Path, tmp_path: Path) -> None:
    text = "A sentence of some words. " * 20
    with vs.create(root, embedder="toy:16", chunker=100, json_columns=["m"]) as c:
        c.add([{"id": at, "text": text, "m": value} for at, value in enumerate(VALUES)])
        assert same(stored(c), VALUES)
        c.reembed("toy:8")
        assert same(stored(c), VALUES)
        c.export(tmp_path / "o.jsonl")
        lines = (tmp_path / "o.jsonl").read_text().strip().split("\n")
        assert same([json.loads(line)["m"] for line in lines], VALUES)


def test_integers_beside_missing_values_are_exact_in_a_frame_of_a_collection(root: Path) -> None:
    with vs.create(root, dim=2) as c:
        c.add([{"id": at, "vector": [1, at], "n": n} for at, n in ((1, 2**53 + 1), (2, None))])
        assert c.to_pandas()["n"][0] == 2**53 + 1


# -- alter_column


def test_columns_become_json_and_text_again(root: Path) -> None:
    columns: dict[str, list[Any]] = {
        "text": ['{"a": 1}', '"x"', None],
        "struct": [{"a": 1, "b": None}, None, {"a": 2, "b": "y"}],
        "list": [[1, 2], [], None],
        "int": [1, None, 2**62],
        "float": [0.5, None, 2.0],
        "bool": [True, False, None],
        "none": [None, None, None],
    }
    wanted = {**columns, "text": [{"a": 1}, "x", None]}
    with vs.create(root, dim=2) as c:
        for at in range(3):
            row = {name: values[at] for name, values in columns.items()}
            c.add([{"id": at, "vector": [1, at], **row}])
        for name in columns:
            c.alter_column(name, "json")
            assert c.info().columns[name] == "json"
        for name, values in wanted.items():
            assert same([row[name] for row in c.get([0, 1, 2])], values)
        assert c.count("text.a = 1 OR struct.b = 'y' OR list[1] = 2") == 2
        version = c.info().version
        for name in columns:
            c.alter_column(name, pa.large_string())
        assert c.get(1)[0]["text"] == '"x"'
        assert json.loads(c.get(0)[0]["struct"]) == {"a": 1, "b": None}
        c.alter_column("text", "json")
        c.compact()
        assert same([row["text"] for row in c.get([0, 1, 2])], wanted["text"])
        c.rollback(version)
        assert same([row["list"] for row in c.get([0, 1, 2])], columns["list"])
        assert c.check() == []


def test_a_column_with_a_text_that_is_no_json_stays(root: Path) -> None:
    with vs.create(root, dim=2) as c:
        c.add(
            [
                {"id": at, "vector": [1, at], "t": t, "d": dt.date(2020, 1, 1)}
                for at, t in ((4, "1"), (5, "oops"), (6, "[2]"))
            ]
        )
        with pytest.raises(InvalidInputError, match="'oops' of id 5 is not JSON"):
            c.alter_column("t", "json")
        with pytest.raises(InvalidInputError, match="JSON has no date32"):
            c.alter_column("d", "json")
        assert c.info().columns["t"] == "large_string"
        c.delete([5])  # what is deleted is read by nobody
        c.alter_column("t", "json")
        assert [row["t"] for row in c.get([4, 6])] == [1, [2]]
        assert c.count("t = 1") == 1
        assert c.check() == []
        with pytest.raises(InvalidInputError, match="is json, which cannot become int64"):
            c.alter_column("t", "int64")


def test_text_that_was_damaged_is_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vecsearch.storage import schema

    with vs.create(root, dim=2, json_columns=["m"]) as c:
        monkeypatch.setattr(
            schema, "as_json", lambda array: array.cast(pa.large_string()).cast(JSON)
        )
        c.add(pa.table({"id": [1], "vector": [[1.0, 2.0]], "m": ["{oops"]}))
        with pytest.raises(CorruptedError, match="oops"):
            c.get(1)
        with pytest.raises(CorruptedError, match="oops"):
            c.count("m.a = 1")
        (damage,) = c.check()
        assert "column 'm', row 0, is not JSON" in damage.what
