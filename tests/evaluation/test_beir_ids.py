"""BEIR's `_id` is the id, and judgments of ids that the collection has not are never silent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vecsearch as vs

TEXTS = ["apples and pears", "ships at sea", "green mountains"]


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    documents = [{"_id": str(i), "title": "", "text": text} for i, text in enumerate(TEXTS, 1)]
    queries = [{"_id": f"q{i}", "text": text} for i, text in enumerate(TEXTS)]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "qrels" / "test.tsv").write_text("q\td\ts\n".replace("q\td", "query-id\tcorpus-id"))
    with (tmp_path / "qrels" / "test.tsv").open("a") as file:
        file.writelines(f"q{i}\t{i + 1}\t1\n" for i in range(3))
    return tmp_path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "dicts", "given"])
def test_beir_data_added_the_natural_way_is_judged_right(beir: Path, kind: str) -> None:
    c = vs.create(beir / "c.vs", embedder="toy:64")
    rows = [json.loads(line) for line in (beir / "corpus.jsonl").read_text().splitlines()]
    data: Any = {"jsonl": beir / "corpus.jsonl", "dicts": rows, "given": beir / "corpus.jsonl"}.get(
        kind
    )
    if kind == "csv":
        data = beir / "corpus.csv"
        data.write_text("_id,text\n" + "".join(f"{row['_id']},{row['text']}\n" for row in rows))
    if kind == "given":
        c.add(data, id_column="_id")
    else:
        c.add(data)
    assert [str(found) for found in c.search("ships at sea", k=1).ids] == ["2"]
    assert c.evaluate(beir).scores["nDCG@10"].mean == 1.0


def test_a_second_file_keeps_the_type_of_the_ids(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64")
    c.add([{"_id": "a", "text": "one"}])
    (tmp_path / "t.csv").write_text("_id,text\n007,two\n8,three\n")
    c.add(tmp_path / "t.csv")
    assert c.to_arrow(["id"])["id"].to_pylist() == ["a", "007", "8"]


def test_data_with_both_names_keeps_both(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64")
    c.add([{"id": 5, "_id": "x", "text": "one"}])
    assert (c.get([5])[0]["id"], c.get([5])[0]["_id"]) == (5, "x")


def test_judging_by_generated_ids_is_refused(beir: Path) -> None:
    c = vs.create(beir / "c.vs", embedder="toy:64")
    c.add([{"id": i, "_id": str(i + 1), "text": text} for i, text in enumerate(TEXTS)])
    with pytest.raises(vs.InvalidInputError, match="in the column '_id'"):
        c.evaluate(beir)


def test_few_judged_documents_in_the_collection_warn(beir: Path) -> None:
    c = vs.create(beir / "c.vs", embedder="toy:64")
    c.add([{"id": "2", "text": TEXTS[1]}])
    with pytest.warns(RuntimeWarning, match="2 of 3 relevant documents are not in the collection"):
        c.evaluate(beir)
