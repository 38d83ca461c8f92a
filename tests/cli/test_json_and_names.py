"""The command line with own names, several text columns and JSON columns together."""

from __future__ import annotations

import json
from pathlib import Path

from test_cli import fails, ok

import vecsearch as vs

DOCS = [
    {"doc": "a", "title": "Boats", "body": "A small boat.", "metadata": {"lang": "en", "n": [1]}},
    {"doc": "b", "title": "Trams", "body": "A tram.", "metadata": {"lang": ["de"], "id": 7}},
    {"doc": "c", "title": "Cars", "body": "Two cars.", "metadata": "none"},
]
OPTIONS = (
    "--id-column", "doc", "--text-column", "title", "--text-column", "body",
    "--json-column", "metadata", "--embedder", "toy:64",
)  # fmt: skip


def lines(file: Path, rows: list[dict[str, object]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_ingest_search_export_and_back(tmp_path: Path) -> None:
    data, place = lines(tmp_path / "docs.jsonl", DOCS), tmp_path / "c.vs"
    ok("ingest", data, place, *OPTIONS)
    info = json.loads(ok("info", place, "--json").out)
    assert info["id_column"] == "doc" and info["text_columns"] == ["title", "body"]
    assert info["columns"]["metadata"] == "json"
    where = ("--where", "metadata.lang[0] = 'de' AND doc <> 'a'")
    answer = json.loads(ok("search", place, "tram", *where, "--columns", "metadata", "--json").out)
    assert [(hit["doc"], hit["metadata"]) for hit in answer["hits"]] == [("b", DOCS[1]["metadata"])]
    table = ok("search", place, "tram", *where, "--columns", "metadata").out
    assert '"lang"' in table and "A tram." in table
    ok("export", place, tmp_path / "out.csv")
    ok("ingest", tmp_path / "out.csv", tmp_path / "d.vs", *OPTIONS)
    assert vs.open(tmp_path / "d.vs").get(["a", "b", "c"]) == DOCS
    ok("delete", place, "--where", "metadata.id = 7")
    assert vs.open(place).get(["a", "b", "c"]) == [DOCS[0], None, DOCS[2]]


def test_a_later_file_needs_no_options_and_has_ids(tmp_path: Path) -> None:
    place = tmp_path / "c.vs"
    ok("ingest", lines(tmp_path / "1.jsonl", DOCS[:2]), place, *OPTIONS)
    done = ok("ingest", lines(tmp_path / "2.jsonl", DOCS[2:]), place)
    assert "no ids" not in done.err
    assert vs.open(place).get(["a", "b", "c"]) == DOCS
    again = ("ingest", tmp_path / "2.jsonl", place, "--on-conflict", "replace")
    ok(*again, *OPTIONS)
    assert "add-column" in fails(*again, "--json-column", "title", code=2)
