"""The user's own names for ids and texts stay in every way in and out of a collection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import vecsearch as vs
from vecsearch.storage import log, manifest_json

BOOKS = [
    {"isbn": "007", "title": "a small boat", "id": 70, "text": "about water", "year": 1999},
    {"isbn": "008", "title": "a large ship", "id": 80, "text": "about salt", "year": 2003},
    {"isbn": "009", "title": "a red bus", "id": 90, "text": "about roads", "year": 2021},
]
NAMES = {"id_column": "isbn", "text_column": "title"}


def named_by_create(root: Path) -> vs.Collection:
    c = vs.create(root, embedder="toy:64", **NAMES)
    c.add(BOOKS)
    return c


def named_by_add(root: Path) -> vs.Collection:
    c = vs.create(root, embedder="toy:64")
    c.add(BOOKS, **NAMES)
    return c


@pytest.fixture(params=[named_by_create, named_by_add])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> vs.Collection:
    return request.param(tmp_path / "books.vs")


def test_the_names_are_stored_found_filtered_and_shown(books: vs.Collection) -> None:
    assert books.get([row["isbn"] for row in BOOKS]) == BOOKS
    hit = books.search("a large ship", k=1)[0]
    assert (hit.id, hit["isbn"], hit["title"], hit["id"]) == ("008", "008", "a large ship", 80)
    assert hit.to_dict() == {"rank": 1, "score": hit.score} | BOOKS[1]
    assert books.count("title = 'a red bus' AND isbn = '009' AND id = 90") == 1
    assert books.search("boat", where=pc.field("isbn") == "007").ids == ["007"]
    assert books.to_arrow().drop(["vector"]).to_pylist() == BOOKS
    assert books.to_pandas(["isbn", "title"]).to_dict("records") == [
        {"isbn": row["isbn"], "title": row["title"]} for row in BOOKS
    ]
    assert [batch.to_pylist() for batch in books.scan(["title"])] == [
        [{"title": row["title"]} for row in BOOKS]
    ]
    info = books.info()
    assert (info.id_column, info.text_column, info.text_columns) == ("isbn", "title", ("title",))
    assert list(info.columns)[:5] == ["isbn", "title", "id", "text", "year"]
    assert books.search("boat").to_arrow(["isbn"]).column_names == ["rank", "score", "isbn"]
    with pytest.raises(vs.InvalidInputError, match="there is no column 'name'"):
        hit["name"]


def test_the_names_hold_after_changes_and_reopening(books: vs.Collection, tmp_path: Path) -> None:
    books.add([{"isbn": "010", "title": "a fast train", "year": 1}])  # the collection's own names
    books.add([{"isbn": "007", "title": "a canoe"}], on_conflict="replace")
    assert books.update("isbn = '008'", {"year": 5}).updated == 1
    assert books.update("year = 5", {"title": "a tanker"}).updated == 1
    assert books.delete("009").deleted == 1
    books.compact()
    with pytest.raises(vs.InvalidInputError, match="'isbn'"):
        books.add_column("isbn", "int64")
    with pytest.raises(vs.InvalidInputError, match="'title'"):
        books.drop_column("title")
    again = vs.open(books.path)
    assert again.get(["007", "008", "009", "010"], ["isbn", "title", "year"]) == [
        {"isbn": "007", "title": "a canoe", "year": None},
        {"isbn": "008", "title": "a tanker", "year": 5},
        None,
        {"isbn": "010", "title": "a fast train", "year": 1},
    ]
    assert again.search("a tanker", k=1).ids == ["008"] and again.check() == []
    again.reembed("toy:32")
    assert again.search("a canoe", k=1)[0]["isbn"] == "007"
    assert again.vector("010").shape == (32,)
    again.rollback(2)
    assert again.get(["007", "008", "009"]) == BOOKS


def test_export_and_add_back_keep_the_names(books: vs.Collection, tmp_path: Path) -> None:
    for ending in ("parquet", "csv", "jsonl", "arrow"):
        file = tmp_path / f"out.{ending}"
        books.export(file)
        if ending == "jsonl":
            rows = [json.loads(line) for line in file.read_text().splitlines()]
            assert [{k: row[k] for k in BOOKS[0]} for row in rows] == BOOKS
        back = vs.create(tmp_path / f"{ending}.vs", embedder="toy:64")
        back.add(file, **NAMES)
        assert back.get(["007", "008", "009"]) == BOOKS
        assert back.search("a red bus", k=1).ids == ["009"]
    vs.restore(tmp_path / "out.parquet", tmp_path / "restored.vs")
    restored = vs.open(tmp_path / "restored.vs")
    assert restored.get("008") == [BOOKS[1]] and restored.info().id_column == "isbn"
    books.backup(tmp_path / "copy")
    assert vs.open(tmp_path / "copy").get("008") == [BOOKS[1]]


def test_judgments_and_layers_use_the_ids(books: vs.Collection, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"_id": "q", "text": "a red bus"}\n')
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\t009\t1\n")
    report = books.evaluate(queries=tmp_path / "q.jsonl", qrels=tmp_path / "qrels.tsv")
    assert report.scores["nDCG@10"].mean == 1.0
    assert list(books.torch_embedding()[1]) == ["007", "008", "009"]
    np.testing.assert_array_equal(books.features(["009"])[0], books.vector("009"))
    words = "a very old and rusty tram with two doors that stops at every corner of the town"
    books.add([{"isbn": "012", "title": words}])
    assert set(books.evaluate(n_queries=2).texts) == {"012"}  # a question is made from a title
    smaller = books.reduce(tmp_path / "small.vs", 8)
    assert smaller.get("008") == [BOOKS[1]] and smaller.info().id_column == "isbn"


def test_a_file_with_other_names_gets_advice_that_helps(books: vs.Collection) -> None:
    with pytest.raises(vs.InvalidInputError) as caught:
        books.add([{"isbn": "011", "name": "a plane"}])
    assert "no text column 'title'" in str(caught.value) and "text_column=" in str(caught.value)
    assert "add_column" not in str(caught.value)
    with pytest.raises(vs.InvalidInputError) as caught:
        books.add([{"key": "011", "title": "a plane"}])
    assert "no column 'isbn'" in str(caught.value) or "'key' is not in" in str(caught.value)
    with pytest.raises(vs.InvalidInputError, match=r"no column 'isbn'.*ISBN.*id_column='ISBN'"):
        books.add([{"ISBN": "011", "title": "a plane"}])
    books.add([{"key": "011", "name": "a plane"}], id_column="key", text_column="name")
    assert books.get("011", ["isbn", "title"]) == [{"isbn": "011", "title": "a plane"}]
    with pytest.raises(vs.InvalidInputError, match="no column 'nothing'"):
        books.add([{"isbn": "012", "title": "x"}], id_column="nothing")
    with pytest.raises(vs.InvalidInputError, match="'title' too: rename or drop"):
        books.add([{"isbn": "012", "title": "x", "name": "y"}], text_column="name")


def test_whole_number_ids_and_generated_ones_have_the_name_too(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2, metric="l2", id_column="key")
    c.add(np.array([[0, 1], [1, 0]], np.float32))
    c.add([{"key": 7, "vector": [5, 5]}])
    assert c.to_arrow(["key"]).to_pylist() == [{"key": 0}, {"key": 1}, {"key": 7}]
    assert c.search([5, 5], k=1, where="key > 1").ids == [7] and c.get(7) == [{"key": 7}]
    with pytest.raises(vs.InvalidInputError, match=r"'key'.*ids of this collection are int"):
        c.add([{"key": "x", "vector": [5, 5]}])
    with pytest.raises(vs.InvalidInputError, match=r"no column 'key'.*'id'.*id_column='id'"):
        c.add([{"id": 9, "vector": [5, 5]}])
    c.add([{"id": 9, "vector": [5, 5]}], id_column="id")
    assert c.get([9]) == [{"key": 9}]


def test_texts_paths_and_indexes_take_the_names(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", id_column="path", text_column="body")
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("a boat")
    (folder / "b.txt").write_text("a ship")
    c.add(folder)
    assert c.get(["a.md", "b.txt"], ["path", "body"]) == [
        {"path": "a.md", "body": "a boat"},
        {"path": "b.txt", "body": "a ship"},
    ]
    d = vs.create(tmp_path / "d.vs", embedder="toy:64", text_column="body")
    d.add(["one", "two"])
    assert d.get([0, 1]) == [{"id": 0, "body": "one"}, {"id": 1, "body": "two"}]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_files_keep_zeros_and_dates_in_ids_and_texts_of_any_name(
    tmp_path: Path, ending: str
) -> None:
    rows = [{"isbn": "007", "title": "2024/3/5"}, {"isbn": "8", "title": "1984"}]
    file = tmp_path / f"books.{ending}"
    if ending == "csv":
        pd.DataFrame(rows).to_csv(file, index=False)
    elif ending == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), file)
    for number, options in enumerate((NAMES, {})):
        c = vs.create(tmp_path / f"{number}.vs", embedder="toy:8", **({} if options else NAMES))
        c.add(file, **options)
        assert c.get(["007", "8"]) == rows


def test_the_first_add_with_declared_and_added_columns(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:8", schema={"isbn": "string", "title": "string"})
    c.add([{"isbn": "1", "title": "x", "id": 1, "text": "y"}], **NAMES)
    assert c.get("1") == [{"isbn": "1", "title": "x", "id": 1, "text": "y"}]
    d = vs.create(tmp_path / "d.vs", embedder="toy:8", schema={"title": "int64"})
    with pytest.raises(vs.InvalidInputError, match="'title' was declared as int64"):
        d.add([{"isbn": "1", "title": "x"}], **NAMES)
    e = vs.create(tmp_path / "e.vs", embedder="toy:8", id_column="isbn", schema={"isbn": "string"})
    e.add([{"isbn": "1", "text": "x"}])
    with pytest.raises(vs.InvalidInputError, match="strings"):
        e.add([{"isbn": 2, "text": "x"}])
    f = vs.create(tmp_path / "f.vs", embedder="toy:8", schema={"id": "string"})
    f.add([{"isbn": "1", "text": "x"}], id_column="isbn")  # named by the schema
    assert f.get("1") == [{"id": "1", "text": "x"}]


def test_names_that_cannot_be(tmp_path: Path) -> None:
    def create(**options: Any) -> vs.Collection:
        return vs.create(tmp_path / "c.vs", embedder="toy:8", **options)

    for name in ("", "vector", "_norm", "_text_number", 3):
        with pytest.raises(vs.InvalidInputError, match="must be the name of a column"):
            create(id_column=name)
    with pytest.raises(vs.InvalidInputError, match="holds the ids"):
        create(id_column="x", text_column="x")
    with pytest.raises(vs.InvalidInputError, match="holds the ids"):
        create(text_column="id")
    c = create()
    row = {"text": "a", "vector": [0.5] * 8}
    for name in ("vector", "_norm", 3):
        with pytest.raises(vs.InvalidInputError):
            c.add([row], id_column=name)
    with pytest.raises(vs.InvalidInputError, match="both the ids and the text"):
        c.add([{"x": "a"}], id_column="x", text_column="x")
    assert len(c) == 0
    c.add([{"text": "7", "title": "a boat"}], id_column="text", text_column="title")
    assert c.get("7") == [{"text": "7", "title": "a boat"}]


def test_the_first_writer_names_the_columns(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:8")

    batch = pa.RecordBatch.from_pylist([{"isbn": 2, "title": "second"}])

    def rows() -> Iterator[pa.RecordBatch]:
        yield batch
        vs.open(c.path).add([{"id": 1, "text": "first"}])

    with pytest.raises(vs.ConflictError, match="named the columns of ids and texts"):
        c.add(pa.RecordBatchReader.from_batches(batch.schema, rows()), **NAMES)
    assert c.refresh().get(1) == [{"id": 1, "text": "first"}] and c.check() == []


def test_after_the_first_version_is_restored_data_names_the_columns_again(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:8")
    c.add([{"id": 1, "text": "first"}])
    c.rollback(1)
    c.add([{"isbn": "2", "title": "second"}], **NAMES)
    assert c.get("2") == [{"isbn": "2", "title": "second"}]
    assert vs.open(c.path, version=2).get(1) == [{"id": 1, "text": "first"}]


def test_hits_that_were_pickled_know_the_names(books: vs.Collection) -> None:
    import pickle
    import shutil

    hits = pickle.loads(pickle.dumps(books.search("a red bus", k=1)))
    books.close()
    shutil.rmtree(books.path)
    assert hits.ids == ["009"] and hits[0]["isbn"] == "009"


def test_formats_1_and_2_must_call_the_ids_id(tmp_path: Path) -> None:
    c = named_by_create(tmp_path / "c.vs")
    body = json.loads(log.path_of(c.path, 2).read_text())["body"]
    assert manifest_json.from_json(manifest_json.sign(body), "x").id_column == "isbn"
    for number in (1, 2):
        with pytest.raises(vs.CorruptedError, match="the first column is not 'id'"):
            manifest_json.from_json(manifest_json.sign(body | {"format": number}), "x")


@pytest.mark.parametrize("name", ["ID", "Id", "iD"])
def test_ids_in_capitals_are_not_made_up(tmp_path: Path, name: str) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:8")
    rows = [{name: 5, "text": "a boat"}]
    frame = pd.DataFrame(rows)
    file = tmp_path / "x.csv"
    frame.to_csv(file, index=False)
    for data in (rows, frame, pa.Table.from_pylist(rows), file, iter(rows)):
        with pytest.raises(vs.InvalidInputError) as caught:
            c.add(data)
        assert f"did you mean id_column={name!r}?" in str(caught.value)
    assert len(c) == 0
    c.add(rows, id_column=name)
    assert c.get(5) == [{name: 5, "text": "a boat"}]
    d = vs.create(tmp_path / "d.vs", embedder="toy:8")
    d.add([{"id": 1, name: 5, "text": "both are there"}])
    assert d.get(1) == [{"id": 1, "text": "both are there", name: 5}]
    e = vs.create(tmp_path / "e.vs", embedder="toy:8", schema={name: "int64"})
    e.add(rows)  # declared as metadata: that is a choice
    assert e.get(0) == [{"id": 0, "text": "a boat", name: 5}]


@pytest.mark.parametrize("name", ["TEXT", "Text"])
def test_texts_in_capitals_are_not_metadata(tmp_path: Path, name: str) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:2")
    for extra in ({}, {"vector": [1.0, 0.0]}):
        with pytest.raises(vs.InvalidInputError) as caught:
            c.add([{"id": 5, name: "a boat", **extra}])
        assert f"did you mean {name!r}?" in str(caught.value)
        assert "text_column=" in str(caught.value)
    c.add([{"id": 5, name: "a boat"}], text_column=name)
    assert c.search("a boat")[0][name] == "a boat"
    d = vs.create(tmp_path / "d.vs", dim=2)  # without a model it is metadata like any other
    d.add([{"id": 5, name: "a boat", "vector": [1.0, 0.0]}])
    assert d.get(5) == [{"id": 5, name: "a boat"}]


def test_damaged_id_files_are_made_again(books: vs.Collection) -> None:
    from vecsearch.storage.manifest_json import from_json

    newest = log.path_of(books.path, books.info().version)
    (entry,) = from_json(newest.read_text(), "x").segments
    books.close()
    path = books.path / entry.ids.name
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    assert vs.repair(books.path).done
    with vs.open(books.path) as again:
        assert again.get("008") == [BOOKS[1]] and again.check() == []


def test_several_texts_take_the_name_of_the_last_alone(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:4", text_columns=["title", "body"])
    row = {"id": 1, "title": "a", "body": "b"}
    c.add([row], text_column="body")
    for name in ("title", "other"):
        with pytest.raises(vs.InvalidInputError, match=f"and not '{name}' alone"):
            c.add([row | {"id": 2, "other": "c"}], text_column=name)
    assert c.get([1]) == [row]
