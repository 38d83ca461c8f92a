"""JSON columns in a collection with the user's own names for ids and several text columns."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import vecsearch as vs
from vecsearch.embedders import resolve_embedder
from vecsearch.errors import InvalidInputError

BOAT = "A small boat on the lake. It has a white sail. It is slow."
DOCS: list[dict[str, Any]] = [
    {"doc": "a", "title": "Boats", "body": BOAT, "metadata": {"lang": "en", "n": 1}},
    {"doc": "b", "title": "Schiffe", "body": "Ein Schiff.", "metadata": {"lang": ["de", "fr"]}},
    {"doc": "c", "title": "", "body": "A tram in town.", "metadata": "no object"},
    {"doc": "d", "title": "Buses", "body": None, "metadata": None},
    {"doc": "e", "title": "Cars", "body": "Two red cars.", "metadata": {"id": 5, "text": {"x": 1}}},
]
IDS = [row["doc"] for row in DOCS]
CHUNKERS = pytest.mark.parametrize("chunker", [None, 32])


def collection(place: Path, chunker: int | None = None, **options: Any) -> vs.Collection:
    return vs.create(
        place,
        embedder="toy:64",
        id_column="doc",
        text_columns=["title", "body"],
        json_columns=["metadata"],
        chunker=chunker,
        **options,
    )


def as_data(kind: str, folder: Path) -> Any:
    if kind == "jsonl":
        file = folder / "docs.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in DOCS))
        return file
    texts = [row | {"metadata": row["metadata"] and json.dumps(row["metadata"])} for row in DOCS]
    if kind == "csv":
        file = folder / "docs.csv"
        pd.DataFrame(texts).to_csv(file, index=False)
        return file
    return {
        "dicts": DOCS,
        "iterator": iter(DOCS),
        "arrow": pa.Table.from_pylist(texts),
        "pandas": pd.DataFrame(DOCS),
        "polars": pl.DataFrame(texts),
    }[kind]


@CHUNKERS
@pytest.mark.parametrize("kind", ["dicts", "iterator", "jsonl", "csv", "arrow", "pandas", "polars"])
def test_rows_of_any_source_come_back(tmp_path: Path, kind: str, chunker: int | None) -> None:
    c = collection(tmp_path / "c.vs", chunker)
    c.add(as_data(kind, tmp_path))
    assert c.info().columns["metadata"] == "json"
    assert (c.info().id_column, c.info().text_columns) == ("doc", ("title", "body"))
    for one in (c, vs.open(tmp_path / "c.vs")):
        found = one.get(IDS)
        assert [row["metadata"] for row in found] == [row["metadata"] for row in DOCS]
        names = ["title", "body"]
        assert [[row[name] or None for name in names] for row in found] == [
            [row[name] or None for name in names] for row in DOCS
        ]


@CHUNKERS
def test_hits_give_whole_texts_and_values_of_json(tmp_path: Path, chunker: int | None) -> None:
    c = collection(tmp_path / "c.vs", chunker)
    c.add(DOCS)
    by_id = {row["doc"]: row for row in DOCS}
    hits = c.search("a small boat", k=5)
    assert sorted(hits.ids) == IDS
    for each in (hits, pickle.loads(pickle.dumps(hits))):
        for hit in each:
            row = hit.to_dict()
            assert hit["doc"] == hit.id == row["doc"]
            assert hit["metadata"] == row["metadata"] == by_id[hit.id]["metadata"]
            if hit.span is not None:
                (other,) = {"title", "body"} - {hit.span.column}
                assert hit[other] == by_id[hit.id][other]
        frame = each.to_pandas(["doc", "metadata"])
        for name, value in zip(frame["doc"], frame["metadata"], strict=True):
            assert value == by_id[name]["metadata"]
        assert each.to_arrow(["metadata"]).schema.field("metadata").type.extension_name == (
            "arrow.json"
        )


@CHUNKERS
@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ("metadata.lang = 'en'", "a"),
        ("metadata.n = 1 AND doc = 'a'", "a"),
        ("metadata.lang[1] = 'fr' AND body LIKE '%Schiff%'", "b"),
        ("metadata.id = 5", "e"),
        ("metadata.text.x = 1 AND title = 'Cars'", "e"),
        ("metadata IS NULL AND body IS NULL", "d"),
        ("metadata = 'no object' OR title = 'Boats'", "ac"),
        ("doc IN ('a', 'e') AND metadata['lang'] IS NULL", "e"),
    ],
)
def test_filters_read_paths_beside_ids_and_whole_texts(
    tmp_path: Path, where: str, wanted: str, chunker: int | None
) -> None:
    c = collection(tmp_path / "c.vs", chunker)
    c.add(DOCS)
    assert c.count(where) == len(wanted)
    assert sorted(c.search("boat", k=5, where=where).ids) == list(wanted)


@CHUNKERS
@pytest.mark.parametrize("ending", ["jsonl", "csv", "arrow", "parquet"])
def test_export_and_back(tmp_path: Path, ending: str, chunker: int | None) -> None:
    c = collection(tmp_path / "c.vs", chunker)
    c.add(DOCS)
    c.export(tmp_path / f"out.{ending}")
    if ending == "parquet":
        vs.restore(tmp_path / "out.parquet", tmp_path / "d.vs")
        back = vs.open(tmp_path / "d.vs")
        assert back.info().columns == c.info().columns
    else:
        back = collection(tmp_path / "d.vs", chunker)
        back.add(tmp_path / f"out.{ending}")
    assert back.get(IDS, ["doc", "metadata"]) == c.get(IDS, ["doc", "metadata"])
    np.testing.assert_allclose(back.features(IDS), c.features(IDS), atol=1e-6)


@CHUNKERS
def test_update_of_texts_and_json_together(tmp_path: Path, chunker: int | None) -> None:
    c = collection(tmp_path / "c.vs", chunker)
    c.add(DOCS)
    new = {"lang": "nl", "y": [1]}
    done = c.update("metadata.lang = 'en'", {"title": "Trams", "metadata": new})
    assert done.updated == 1
    assert c.get("a") == [{"doc": "a", "title": "Trams", "body": BOAT, "metadata": new}]
    assert c.get(IDS[1:], ["doc", "metadata"]) == [
        {"doc": row["doc"], "metadata": row["metadata"]} for row in DOCS[1:]
    ]
    if chunker is None:
        (vector,) = resolve_embedder("toy:64").embed_documents([f"Trams\n\n{BOAT}"])
        np.testing.assert_allclose(c.features(["a"])[0], vector, rtol=1e-5, atol=1e-6)
    before = c.features(["e"])
    assert c.update("doc = 'e'", {"metadata": None}).updated == 1  # embeds nothing
    assert c.update("doc = 'b'", {"body": "Ein Boot.", "metadata": None}).updated == 1
    assert c.get(["b", "e"], ["metadata"]) == [{"metadata": None}] * 2
    np.testing.assert_array_equal(c.features(["e"]), before)
    with pytest.raises(InvalidInputError, match="metadata"):
        c.update("doc = 'a'", {"title": "x", "metadata": {1, 2}})
    assert c.get("a", ["title"]) == [{"title": "Trams"}]


def test_a_text_column_that_becomes_json_names_the_document(tmp_path: Path) -> None:
    c = collection(tmp_path / "c.vs")
    notes = ["1", "{}", "{", None, ""]
    c.add([row | {"note": note} for row, note in zip(DOCS, notes, strict=True)])
    with pytest.raises(InvalidInputError, match=r"'note' cannot become json.* of id 'c'"):
        c.alter_column("note", "json")
    with pytest.raises(InvalidInputError, match="'title' cannot be changed"):
        c.alter_column("title", "json")


@pytest.mark.parametrize("name", ["doc", "title", "body"])
def test_ids_and_texts_cannot_be_json(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"column '{name}' holds the .* cannot be json"):
        vs.create(
            tmp_path / "c.vs",
            embedder="toy:64",
            id_column="doc",
            text_columns=["title", "body"],
            json_columns=[name],
        )
    assert not (tmp_path / "c.vs").exists()


@pytest.mark.parametrize("option", ["id_column", "text_column"])
def test_the_first_data_cannot_name_a_json_column(tmp_path: Path, option: str) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", json_columns=["m"])
    with pytest.raises(InvalidInputError, match="column 'm' was declared as json"):
        c.add([{"m": "a", "text": "b", "id": "c"}], **{option: "m"})
    assert len(c) == 0


def test_a_column_called_id_or_text_may_be_json(tmp_path: Path) -> None:
    c = vs.create(
        tmp_path / "c.vs",
        embedder="toy:64",
        id_column="doc",
        text_column="body",
        json_columns=["id", "text"],
    )
    rows = [
        {"doc": row["doc"], "body": row["body"], "id": {"n": at}, "text": row["metadata"]}
        for at, row in enumerate(DOCS)
        if row["body"]
    ]
    c.add(rows)
    assert c.get("e") == [rows[-1]]
    assert c.search("A tram in town.", k=1, where="id.n > 0 AND text = 'no object'").ids == ["c"]


def test_the_first_data_names_ids_and_text_beside_json(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", json_columns=["metadata"])
    rows = [row for row in DOCS if row["body"]]
    c.add(rows, id_column="doc", text_column="body")
    assert c.get("e") == [rows[-1]]
    assert c.search("A tram in town.", k=1, where="metadata = 'no object'").ids == ["c"]


@pytest.mark.parametrize("frame", [False, True])
def test_pictures_beside_json(tmp_path: Path, frame: bool) -> None:
    picture = Image.new("RGB", (3, 2), (200, 10, 10))
    rows = [
        {"doc": 1, "vector": [1.0, 0.0], "scan": picture, "metadata": {"a": [1, "x"]}},
        {"doc": 2, "vector": [0.0, 1.0], "scan": None, "metadata": {"a": "x"}},
    ]
    c = vs.create(tmp_path / "c.vs", dim=2, id_column="doc", json_columns=["metadata"])
    c.add(pd.DataFrame(rows) if frame else rows)
    found = c.get([1, 2])
    assert [row["metadata"] for row in found] == [{"a": [1, "x"]}, {"a": "x"}]
    assert found[0]["scan"].startswith(b"\x89PNG") and found[1]["scan"] is None
    bad = [rows[1] | {"doc": 3}, rows[1] | {"doc": 4, "metadata": {"scan": picture}}]
    with pytest.raises(InvalidInputError, match="row 1, column 'metadata': JSON has no Image"):
        c.add(pd.DataFrame(bad) if frame else bad)
    assert len(c) == 2


@pytest.mark.parametrize("kind", ["dicts", "iterator", "jsonl", "csv", "arrow", "pandas", "polars"])
def test_texts_that_the_data_calls_as_a_json_column_are_texts(tmp_path: Path, kind: str) -> None:
    c = vs.create(
        tmp_path / "c.vs",
        embedder="toy:64",
        id_column="doc",
        text_column="body",
        json_columns=["m"],
    )
    c.add([{"doc": "x", "body": "a tram", "m": {"a": 1}}])
    rows = [{"doc": "y", "m": "a small boat"}, {"doc": "z", "m": "{}"}]
    file = tmp_path / f"rows.{kind}"
    if kind == "csv":
        pd.DataFrame(rows).to_csv(file, index=False)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {
        "dicts": rows,
        "iterator": iter(rows),
        "arrow": pa.Table.from_pylist(rows),
        "pandas": pd.DataFrame(rows),
        "polars": pl.DataFrame(rows),
    }.get(kind, file)
    c.add(data, text_column="m")
    assert c.get(["y", "z"]) == [{"doc": row["doc"], "body": row["m"], "m": None} for row in rows]
    c.add([{"m": "k", "body": "a bus"}], id_column="m")
    assert c.get("k") == [{"doc": "k", "body": "a bus", "m": None}]


def test_beirs_metadata_and_ids(tmp_path: Path) -> None:
    rows = [
        {"_id": "1", "title": "Boats", "text": "A boat.", "metadata": {}},
        {"_id": "2", "title": "", "text": "A tram.", "metadata": {"url": "u", "year": "1990"}},
        {"_id": "3", "title": "Cars", "text": "A car.", "metadata": {"year": 1990}},
    ]
    file = tmp_path / "corpus.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    c = vs.create(
        tmp_path / "c.vs",
        embedder="toy:64",
        text_columns=["title", "text"],
        json_columns=["metadata"],
    )
    c.add(file)
    wanted = [{"id": row["_id"], **{k: v for k, v in row.items() if k != "_id"}} for row in rows]
    assert c.get(["1", "2", "3"]) == wanted
    assert c.search("car", where="metadata.year = 1990").ids == ["3"]


@CHUNKERS
def test_maintenance_keeps_names_and_json(tmp_path: Path, chunker: int | None) -> None:
    c = collection(tmp_path / "c.vs", chunker)
    for row in DOCS:
        c.add([row])
    wanted = c.get(IDS)
    c.delete(["d"])
    c.update("doc = 'a'", {"title": "Trams"})
    wanted[0] = {**(wanted[0] or {}), "title": "Trams"}
    wanted[3] = None
    c.compact()
    assert c.get(IDS) == wanted
    assert c.check() == []
    c.reembed("toy:32")
    assert c.get(IDS) == wanted
    c.alter_column("metadata", "string")
    assert json.loads(c.get("b")[0]["metadata"]) == DOCS[1]["metadata"]
    c.alter_column("metadata", "json")
    c.drop_column("metadata")
    c.add_column("metadata", "json", {"lang": "en"})
    assert c.count("metadata.lang = 'en' AND title = 'Cars'") == 1
    assert vs.open(tmp_path / "c.vs").check() == []
