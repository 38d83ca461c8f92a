"""The commands and options that declare and change columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli.app import app

run = CliRunner().invoke


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
