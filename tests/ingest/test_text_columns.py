"""Several text columns: joined by an empty line, or split each for itself by a chunker."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.embedders import resolve_embedder

BEIR = [
    {"_id": "d1", "title": "Boats", "text": "A small boat on the lake.", "metadata": {"y": 1}},
    {"_id": "d2", "title": "", "text": "A large ship at sea.", "metadata": {"y": 2}},
    {"_id": "d3", "title": "Buses", "text": "", "metadata": {"y": 3}},
    {"_id": "d4", "title": None, "text": "  A tram.", "metadata": {"y": 4}},
    {"_id": "d5", "title": " \n", "text": "A train.", "metadata": {"y": 5}},
]
JOINED = [
    "Boats\n\nA small boat on the lake.",
    "A large ship at sea.",
    "Buses",
    "  A tram.",
    "A train.",
]


def documents() -> list[dict[str, Any]]:
    return [{"id": row["_id"], **{k: row[k] for k in row if k != "_id"}} for row in BEIR]


@pytest.mark.parametrize("source", ["dicts", "jsonl", "iterator"])
def test_texts_are_joined_by_an_empty_line_without_a_leading_blank(
    tmp_path: Path, source: str
) -> None:
    file = tmp_path / "corpus.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in BEIR))
    data: Any = {"dicts": BEIR, "jsonl": file, "iterator": iter(BEIR)}[source]
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", text_columns=["title", "text"])
    c.add(data)
    vectors = resolve_embedder("toy:64").embed_documents(JOINED)
    got = c.features([row["_id"] for row in BEIR])
    np.testing.assert_allclose(got, vectors, rtol=1e-5, atol=1e-6)
    assert c.get([row["_id"] for row in BEIR], ["id", "title", "text"]) == [
        {"id": row["_id"], "title": row["title"], "text": row["text"]} for row in BEIR
    ]
    assert c.count("title = 'Boats'") == 1 and c.count("text = ''") == 1
    assert c.info().text_columns == ("title", "text") and c.info().text_column == "text"
    assert vs.open(c.path).search("Buses", k=1)[0]["title"] == "Buses"


def test_the_order_of_the_columns_is_that_of_create(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", text_columns=["c", "a", "b"])
    c.add([{"id": 1, "a": "1", "b": "2", "c": "3"}])
    vector = resolve_embedder("toy:64").embed_documents(["3\n\n1\n\n2"])[0]
    np.testing.assert_allclose(c.vector(1), vector, rtol=1e-5, atol=1e-6)


def test_documents_without_any_text_are_refused(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:8", text_columns=["title", "text"])
    for row in ({"title": "", "text": " "}, {"title": None, "text": None}):
        with pytest.raises(vs.InvalidInputError, match=r"row 1, columns 'title' and 'text'"):
            c.add([{"title": "a", "text": "b"}, row])
    with pytest.raises(vs.InvalidInputError, match="no text column 'title'"):
        c.add([{"titel": "a", "text": "b"}])
    assert len(c) == 0
    c.add([{"id": 1, "title": "a", "text": "b"}])
    c.add([{"id": 2, "text": "only one of them"}])
    assert c.get(2) == [{"id": 2, "title": None, "text": "only one of them"}]
    for name in ("name", "title"):
        with pytest.raises(vs.InvalidInputError, match=f"and not '{name}' alone"):
            c.add([{name: "x"}], text_column=name)
    done = c.add([{"id": 3, "title": " ", "text": ""}, {"id": 4, "text": "x"}], on_error="skip")
    assert done.added == 1 and done.report.failures[0].row == 0


def test_texts_without_a_name_go_to_the_last_column(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:8", text_columns=["title", "text"])
    c.add([{"title": "a", "text": "b"}])
    c.add(["just a text"])
    assert c.get(1) == [{"id": 1, "title": None, "text": "just a text"}]


@pytest.mark.parametrize("names", ["title", [], ["a", "a"], ["id", "a"], ["a", ""], ["vector"], 3])
def test_names_of_texts_that_cannot_be(tmp_path: Path, names: Any) -> None:
    with pytest.raises(vs.InvalidInputError, match="text_columns"):
        vs.create(tmp_path / "c.vs", embedder="toy:8", text_columns=names)
    with pytest.raises(vs.InvalidInputError, match="one of them"):
        vs.create(tmp_path / "c.vs", embedder="toy:8", text_columns=["a"], text_column="b")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_update_of_either_text_embeds_again(tmp_path: Path, dtype: str) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", text_columns=["title", "text"], dtype=dtype)
    c.add(documents())
    assert c.update("id = 'd1'", {"title": "Canoes"}).updated == 1
    assert c.update("id = 'd2'", {"text": "A tanker.", "metadata": {"y": 9}}).updated == 1
    wanted = ["Canoes\n\nA small boat on the lake.", "A tanker.", *JOINED[2:]]
    vectors = resolve_embedder("toy:64").embed_documents(wanted)
    np.testing.assert_allclose(c.features(["d1", "d2", "d3", "d4", "d5"]), vectors, atol=2e-3)
    assert c.get(["d1", "d2"]) == [
        documents()[0] | {"title": "Canoes"},
        documents()[1] | {"text": "A tanker.", "metadata": {"y": 9}},
    ]
    assert c.versions()[-1].operation == "update" and c.update("id = 'no'", {"title": "x"}) == (
        vs.UpdateResult(0, c.info().version)
    )


LONG = "A story about the sea and ships. " * 4 + "Then it goes on land. " * 5
STORIES = [
    {"id": 1, "title": "Krill and other animals of the south", "text": LONG, "n": 1},
    {"id": 2, "title": "", "text": "A short one about mountains.", "n": 2},
    {"id": 3, "title": "Only a title about volcanoes", "text": None, "n": 3},
    {"id": 4, "title": "Long titles are split as well. " * 4, "text": LONG, "n": 4},
]


@pytest.fixture
def stories(tmp_path: Path) -> vs.Collection:
    c = vs.create(tmp_path / "s.vs", embedder="toy:64", text_columns=["title", "text"], chunker=60)
    c.add(STORIES)
    return c


def test_passages_of_each_column_are_found_and_name_it(stories: vs.Collection) -> None:
    assert stories.get([1, 2, 3, 4]) == STORIES and len(stories) == 4
    hits = stories.search("sea", k=100, passages=True)
    assert len(hits) == stories.info().rows > 8
    texts = {row["id"]: row for row in STORIES}
    for hit in hits:
        span, whole = hit.span, texts[hit.id]
        assert span is not None
        assert hit[span.column] == whole[span.column][span.start : span.end]
        other = "text" if span.column == "title" else "title"
        assert hit[other] == whole[other]  # the other column is whole
    assert {(hit.id, hit.span.column) for hit in hits if hit.span} == {
        (1, "title"), (1, "text"), (2, "text"), (3, "title"), (4, "title"), (4, "text"),
    }  # fmt: skip
    for column, rows in (("title", [1, 3, 4]), ("text", [1, 2, 4])):
        for number in rows:
            spans = sorted(
                (hit.span.start, hit.span.end)
                for hit in hits
                if hit.span and hit.id == number and hit.span.column == column
            )
            assert spans[0][0] == 0 and spans[-1][1] == len(texts[number][column])
    best = stories.search("volcanoes", k=1)[0]
    assert best.id == 3 and best.span == vs.Span("title", 0, len(STORIES[2]["title"]))
    assert best.to_dict()["span"] == {"column": "title", "start": 0, "end": best.span.end}
    table = stories.search("volcanoes", k=2).to_arrow()
    assert table["span"][0].as_py() == best.to_dict()["span"]
    assert pickle.loads(pickle.dumps(stories.search("volcanoes", k=1)))[0].span == best.span


def test_filters_on_texts_see_whole_documents(stories: vs.Collection) -> None:
    assert stories.search("mountains", where="title LIKE '%Krill%'", k=5).ids == [1]
    assert stories.count("title = ''") == 1 and stories.count("text IS NULL") == 1
    assert stories.count("title LIKE 'Krill%' AND text LIKE '%land.%' AND n = 1") == 1
    wanted = sum(len(row["text"] or "") > 100 for row in STORIES)
    assert stories.count("length(text) > 100") == wanted
    assert stories.delete(where="title LIKE '%Krill%'").deleted == 1
    assert stories.get([1, 2]) == [None, STORIES[1]]


def test_changes_of_split_texts(stories: vs.Collection, tmp_path: Path) -> None:
    embedded = stories.add([STORIES[0] | {"n": 7}], on_conflict="replace").embedded
    assert embedded == 0  # the passages are the same
    assert stories.update("id = 1", {"title": "Penguins"}).updated == 1
    assert stories.get(1) == [STORIES[0] | {"n": 7, "title": "Penguins"}]
    found = stories.search("Penguins", k=1)[0]
    assert (found.id, found.span) == (1, vs.Span("title", 0, 8))
    assert stories.update("id = 3", {"text": "Now it has a text."}).updated == 1
    assert stories.update("id = 4", {"title": None}).updated == 1
    assert stories.update("id = 2", {"n": 8}).updated == 1
    now = [
        STORIES[0] | {"n": 7, "title": "Penguins"},
        STORIES[1] | {"n": 8},
        STORIES[2] | {"text": "Now it has a text."},
        STORIES[3] | {"title": None},
    ]
    assert stories.get([1, 2, 3, 4]) == now
    stories.compact()
    stories.reembed("toy:32")
    assert stories.get([1, 2, 3, 4]) == now and stories.check() == []
    assert stories.search("Penguins", k=1)[0].span == vs.Span("title", 0, 8)
    for ending in ("jsonl", "arrow"):
        stories.export(tmp_path / f"out.{ending}")
        back = vs.create(
            tmp_path / f"{ending}.vs", embedder="toy:8", text_columns=["title", "text"]
        )
        back.add(tmp_path / f"out.{ending}")
        assert back.get([1, 2, 3, 4]) == now
    stories.export(tmp_path / "out.parquet")
    vs.restore(tmp_path / "out.parquet", tmp_path / "r.vs")
    restored = vs.open(tmp_path / "r.vs")
    assert restored.get([1, 2, 3, 4]) == now and restored.info().text_columns == ("title", "text")
    assert restored.search("Penguins", k=1)[0].span == vs.Span("title", 0, 8)
    with pytest.raises(vs.InvalidInputError, match="row 0, columns 'title' and 'text'"):
        stories.update("id = 2", {"text": ""})
    assert stories.get(2) == [now[1]]


def test_a_document_with_a_ready_made_vector_is_one_row_with_all_its_texts(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:2", text_columns=["a", "b"], chunker=50)
    c.add([{"id": 1, "a": "", "b": "y", "vector": [1.0, 0.0]}, {"id": 2, "vector": [0.0, 1.0]}])
    assert c.get([1, 2]) == [{"id": 1, "a": "", "b": "y"}, {"id": 2, "a": None, "b": None}]
    c.add([{"id": 3, "a": "x", "b": "yy", "vector": [-1.0, 0.0]}])
    found = c.search([-1.0, 0.0], k=1)[0]
    assert (found.id, found["a"], found["b"]) == (3, "x", "yy")
    assert found.span == vs.Span("b", 0, 2)
    assert c.get(3) == [{"id": 3, "a": "x", "b": "yy"}]
    assert c.info().rows == 3
    assert c.search([1.0, 0.0], k=1)[0].span == vs.Span("b", 0, 1)


def test_questions_are_made_from_all_texts(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", text_columns=["title", "text"])
    words = "an old and rusty tram with two doors that stops at every corner of the town"
    c.add([{"id": 1, "title": words, "text": ""}, {"id": 2, "title": "", "text": words[::-1]}])
    assert set(c.evaluate(n_queries=2).texts) == {"1", "2"}


def test_an_update_of_texts_keeps_what_another_writer_changed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64")
    c.add([{"id": 1, "text": "a boat", "n": 1}])
    other = vs.open(c.path)
    from vecsearch.embedders.stored import Model

    embed = Model.embed_documents

    def embed_slowly(self: Model, documents: Any) -> Any:
        if other.get(1)[0]["n"] == 1:
            other.update("id = 1", {"n": 2})
        return embed(self, documents)

    monkeypatch.setattr(Model, "embed_documents", embed_slowly)
    c.update("id = 1", {"text": "a ship"})
    monkeypatch.undo()
    assert c.refresh().get(1) == [{"id": 1, "text": "a ship", "n": 2}]
    with pytest.raises(vs.InvalidInputError, match="'text'"):
        c.update("id = 1", {"text": 5})
    with pytest.raises(vs.InvalidInputError, match="column 'm' is not in the collection"):
        c.update("id = 1", {"text": "x", "m": 5})
