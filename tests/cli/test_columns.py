"""The commands and options that declare and change columns."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli.app import app

run = CliRunner().invoke
NANOS = pa.timestamp("ns")


def write(path: Path, number: int, cell: str) -> str:
    path.write_text(f'id,vector,n\n{number},"[1, {number}]",{cell}\n')
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "c.vs")


def test_a_refused_second_file_names_line_and_option(tmp_path: Path, folder: str) -> None:
    first, second = write(tmp_path / "1.csv", 1, "10"), write(tmp_path / "2.csv", 2, "0x1F")
    assert run(app, ["ingest", first, folder, "--dim", "2"]).exit_code == 0
    answer = run(app, ["ingest", second, folder])
    assert answer.exit_code == 1
    said = " ".join(answer.stderr.split())
    for words in ("2.csv, line 2", "column 'n'", "'0x1F'", "--schema n:string"):
        assert words in said
    other = folder + "2"
    for options in ([first, other, "--dim", "2", "--schema", "n:string"], [second, other]):
        assert run(app, ["ingest", *options]).exit_code == 0
    with vs.open(other) as collection:
        assert [row["n"] for row in collection.get([1, 2])] == ["10", "0x1F"]


def test_columns_are_added_widened_and_dropped(tmp_path: Path, folder: str) -> None:
    run(app, ["ingest", write(tmp_path / "1.csv", 1, "10"), folder, "--dim", "2"])
    assert run(app, ["add-column", folder, "lang", "string"]).exit_code == 0
    answer = run(app, ["alter-column", folder, "n", "double", "--json"])
    assert json.loads(answer.stdout)["version"] == 4
    with vs.open(folder) as collection:
        assert collection.get([1])[0]["n"] == 10.0
        assert collection.info().columns["lang"] == "large_string"
    assert run(app, ["drop-column", folder, "n"]).exit_code == 0
    assert run(app, ["alter-column", folder, "n", "double"]).exit_code == 1
    with vs.open(folder) as collection:
        assert "n" not in collection.info().columns


def test_a_schema_option_without_a_type_is_explained(tmp_path: Path, folder: str) -> None:
    data = write(tmp_path / "1.csv", 1, "10")
    answer = run(app, ["ingest", data, folder, "--dim", "2", "--schema", "n"])
    assert answer.exit_code == 2
    assert "NAME:TYPE" in answer.stderr


def test_json_columns_are_declared_filtered_and_shown(tmp_path: Path, folder: str) -> None:
    data = tmp_path / "rows.jsonl"
    lines = [
        {"id": 1, "vector": [1, 0], "m": {"lang": "en", "n": [1, {"k": None}]}},
        {"id": 2, "vector": [0, 1], "m": "en"},
        {"id": 3, "vector": [1, 1]},
    ]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    refused = run(app, ["ingest", str(data), folder])
    assert refused.exit_code == 1
    assert "--json-column" in refused.stderr
    # That the vectors are ready-made is found, though the column has two kinds of values.
    done = run(app, ["ingest", str(data), folder, "--json-column", "m"])
    assert done.exit_code == 0, done.stderr
    shown = run(app, ["info", folder])
    assert "m (json)" in shown.stdout
    assert json.loads(run(app, ["info", folder, "--json"]).stdout)["columns"]["m"] == "json"
    where = ["--where", "m.n[0] = 1 OR m = 'en'"]
    answer = json.loads(run(app, ["search", folder, "[1, 0]", *where, "--json"]).stdout)
    assert [hit["m"] for hit in answer["hits"]] == [lines[0]["m"], "en"]
    table = run(app, ["search", folder, "[1, 0]", "--columns", "m"]).stdout
    assert '{"lang": "en",' in table
    again = ["ingest", str(data), folder, "--on-conflict", "replace", "--json-column"]
    assert run(app, [*again, "m"]).exit_code == 0
    assert run(app, [*again, "other"]).exit_code == 2


def test_columns_are_added_and_changed_to_json(tmp_path: Path, folder: str) -> None:
    run(app, ["ingest", write(tmp_path / "1.csv", 1, '"{""a"": 1}"'), folder, "--dim", "2"])
    assert run(app, ["alter-column", folder, "n", "json"]).exit_code == 0
    assert run(app, ["add-column", folder, "more", "json"]).exit_code == 0
    bad = run(app, ["ingest", write(tmp_path / "2.csv", 2, "{a"), folder])
    assert bad.exit_code == 1
    assert "2.csv, line 2, column 'n'" in " ".join(bad.stderr.split())
    with vs.open(folder) as collection:
        assert collection.get([1])[0] == {"id": 1, "n": {"a": 1}, "more": None}
        assert collection.count("n.a = 1") == 1


def test_a_column_cannot_be_json_and_another_type(tmp_path: Path, folder: str) -> None:
    data = write(tmp_path / "1.csv", 1, "10")
    options = ["--dim", "2", "--schema", "n:int64", "--json-column", "n"]
    answer = run(app, ["ingest", data, folder, *options])
    assert answer.exit_code == 2
    assert "--schema says that n is int64" in " ".join(answer.stderr.split())
    assert not Path(folder).exists()


TYPED = [
    ("date32", "2024/3/5", pa.scalar(dt.date(2024, 3, 5))),
    ("date32", '"2024-03-05"', pa.scalar(dt.date(2024, 3, 5))),
    ("timestamp[ns]", "2024-01-01T00:00:00.123456789", pa.scalar(1704067200123456789, NANOS)),
    ("time64[ns]", "01:02:03.000000001", pa.scalar(3723000000001, pa.time64("ns"))),
    ("duration[us]", "5", pa.scalar(5, pa.duration("us"))),
    ("decimal128(5,2)", "1.25", pa.scalar(Decimal("1.25"), pa.decimal128(5, 2))),
    ("decimal128(5,2)", '"1.25"', pa.scalar(Decimal("1.25"), pa.decimal128(5, 2))),
    ("uint64", "18446744073709551615", pa.scalar(2**64 - 1, pa.uint64())),
    ("double", "-0.0", pa.scalar(-0.0)),
    ("date32", "null", pa.scalar(None, pa.date32())),
]


@pytest.mark.parametrize(("kind", "text", "expected"), TYPED)
def test_a_typed_value_is_stored_as_it_was_typed(
    folder: str, kind: str, text: str, expected: pa.Scalar
) -> None:
    with vs.create(folder, dim=2, schema={"x": kind}) as c:
        c.add([{"id": 1, "vector": [1, 2]}])
        answer = run(app, ["update", folder, "--all", "--set", f"x={text}"])
        assert answer.exit_code == 0, answer.output
        assert c.refresh().to_arrow(["x"])["x"][0] == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("double", "1e400"),
        ("double", "1e-400"),
        ("json", '{"a": 1e400}'),
        ("decimal128(5,2)", "1.255"),
        ("date32", "2024/2/30"),
        ("date32", ""),
        ("duration[s]", "1.5"),
    ],
)
def test_a_typed_value_that_would_change_is_refused(folder: str, kind: str, text: str) -> None:
    with vs.create(folder, dim=2, schema={"x": kind}) as c:
        c.add([{"id": 1, "vector": [1, 2]}])
        answer = run(app, ["update", folder, "--all", "--set", f"x={text}"])
        assert (answer.exit_code, "column 'x'" in answer.stderr) == (1, True), answer.output
        assert c.refresh().get(1) == [{"id": 1, "x": None}]
