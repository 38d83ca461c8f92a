"""The command line keeps the user's names for ids and texts, and embeds several columns."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from test_cli import fails, ok

import vecsearch as vs

BOOKS = [
    {"isbn": "007", "title": "a small boat", "id": "70", "text": "about water"},
    {"isbn": "008", "title": "a large ship", "id": "80", "text": "about salt"},
]
NAMES = ("--id-column", "isbn", "--text-column", "title", "--embedder", "toy:64")


@pytest.fixture
def books(tmp_path: Path) -> Path:
    file = tmp_path / "books.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(BOOKS[0]))
        writer.writeheader()
        writer.writerows(BOOKS)
    return file


def test_columns_where_json_and_export_use_the_names(books: Path, tmp_path: Path) -> None:
    place = tmp_path / "c.vs"
    ok("ingest", books, place, *NAMES)
    assert list(vs.open(place).info().columns)[:4] == ["isbn", "title", "id", "text"]
    answer = ok(
        "search", place, "a large ship", "-k", "1", "--columns", "title,id",
        "--where", "title LIKE '%ship%' AND isbn = '008'", "--json",
    )  # fmt: skip
    (hit,) = json.loads(answer.out)["hits"]
    assert {name: hit[name] for name in ("isbn", "title", "id")} == {
        "isbn": "008", "title": "a large ship", "id": 80,
    }  # fmt: skip
    assert "a large ship" in ok("search", place, "ship", "-k", "1").out
    assert "isbn (string), title (string)" in " ".join(ok("info", place).out.split())
    ok("export", place, tmp_path / "out.jsonl")
    ok("ingest", tmp_path / "out.jsonl", tmp_path / "d.vs", *NAMES)
    assert vs.open(tmp_path / "d.vs").get(["007", "008"]) == vs.open(place).get(["007", "008"])
    ok("delete", place, "007")
    assert len(vs.open(place)) == 1
    ok("ingest", books, place, "--on-conflict", "skip")  # the names are known by now
    assert len(vs.open(place)) == 2


def test_declared_types_go_with_the_names(books: Path, tmp_path: Path) -> None:
    place = tmp_path / "c.vs"
    ok("ingest", books, place, *NAMES, "--schema", "isbn:string", "--schema", "text:string")
    assert vs.open(place).get("007") == [BOOKS[0] | {"id": 70}]
    twice = ("--schema", "x:int64", "--schema", "x:bool")
    message = fails("ingest", books, tmp_path / "d.vs", *twice, code=2)
    assert "x is declared as int64 and as bool" in message and not (tmp_path / "d.vs").exists()
    twice = ("--set", "name=a", "--set", "name=b")
    assert "name is set 2 times" in fails("update", place, "--all", *twice, code=2)


def test_a_later_file_with_other_names_gets_command_line_advice(
    books: Path, tmp_path: Path
) -> None:
    place, other = tmp_path / "c.vs", tmp_path / "other.jsonl"
    ok("ingest", books, place, *NAMES)
    other.write_text('{"isbn": "9", "name": "a bus"}\n')
    message = fails("ingest", other, place)
    assert "no text column 'title'" in message and "--text-column" in message
    ok("ingest", other, place, "--text-column", "name")
    assert vs.open(place).get("9", ["title"]) == [{"title": "a bus"}]


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_capitals_are_an_error_with_advice(tmp_path: Path, ending: str) -> None:
    file, place = tmp_path / f"x.{ending}", tmp_path / "c.vs"
    file.write_text('{"ID": 5, "TEXT": "x"}\n' if ending == "jsonl" else "ID,TEXT\n5,x\n")
    message = fails("ingest", file, place, "--embedder", "toy:8")
    assert "did you mean --id-column ID?" in message and "id_column=" not in message
    message = fails("ingest", file, place, "--embedder", "toy:8", "--id-column", "ID")
    assert "did you mean 'TEXT'?" in message and "--text-column" in message
    assert not place.exists()
    ok("ingest", file, place, "--embedder", "toy:8", "--id-column", "ID", "--text-column", "TEXT")
    assert vs.open(place).get(5) == [{"ID": 5, "TEXT": "x"}]


def test_several_text_columns(tmp_path: Path) -> None:
    file, place = tmp_path / "corpus.jsonl", tmp_path / "c.vs"
    rows = [
        {"_id": "d1", "title": "Boats", "text": "A small boat."},
        {"_id": "d2", "title": "", "text": "A large ship."},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    both = ("--text-column", "title", "--text-column", "text")
    ok("ingest", file, place, *both, "--embedder", "toy:64", "--chunker", "60")
    assert vs.open(place).info().text_columns == ("title", "text")
    (hit,) = json.loads(ok("search", place, "Boats", "-k", "1", "--json").out)["hits"]
    assert hit["span"] == {"column": "title", "start": 0, "end": 5} and hit["id"] == "d1"
    assert "A large ship." in ok("search", place, "large ship", "-k", "1").out
    ok("ingest", file, place, *both, "--on-conflict", "replace")
    swapped = (both[2], both[3], both[0], both[1])
    assert "embeds title, text" in fails("ingest", file, place, *swapped, code=2)
    plain = tmp_path / "plain.vs"
    ok("ingest", file, plain, *both, "--embedder", "toy:64")
    shown = ok("search", plain, "boat", "-k", "1").out
    assert "Boats" in shown and "A small boat." in shown
