"""Collections of Chroma, LanceDB and Qdrant become collections of vecsearch.

The tests of real stores run where the package is installed (`pip install ".[chroma]"` and so on, in
an environment of its own); the others use a stand-in with the same calls.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from test_cli import fails, ok

import vecsearch as vs

VECTORS = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
ABOUT = [{"n": n, "mixed": n if n % 2 else str(n), "text": "own"} for n in range(30)]


@pytest.fixture
def c(tmp_path: Path) -> vs.Collection:
    return vs.create(tmp_path / "c.vs", dim=8)


def check(c: vs.Collection, ids: list[Any], expected: dict[str, Any]) -> None:
    assert len(c) == 30
    assert c.get(ids[7]) == [expected]
    found = np.array(c.to_arrow(["vector"], ids=ids)["vector"].to_pylist(), np.float32)
    order = c.to_arrow(["id"], ids=ids)["id"].to_pylist()
    assert np.allclose(found, VECTORS[[ids.index(each) for each in order]], atol=1e-6)


def fill_chroma(path: Path) -> None:
    import chromadb

    made = chromadb.PersistentClient(str(path)).create_collection("docs", embedding_function=None)
    made.add(
        ids=[f"d{n}" for n in range(30)],
        embeddings=VECTORS,
        documents=[f"text {n}" for n in range(30)],
        metadatas=ABOUT,
    )


def fill_qdrant(path: Path) -> None:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(path))
    size = models.VectorParams(size=8, distance=models.Distance.EUCLID)
    client.create_collection("docs", vectors_config=size)
    points = [
        models.PointStruct(
            id=n,
            vector=VECTORS[n].tolist(),
            payload={"page_content": f"text {n}", "metadata": {"n": n}},
        )
        for n in range(30)
    ]
    client.upsert("docs", points)
    client.close()


def fill_lancedb(path: Path) -> None:
    import lancedb

    opened = lancedb.connect(str(path))
    rows = [{"id": f"d{n}", "text": f"text {n}", "n": n, "vector": VECTORS[n]} for n in range(30)]
    opened.create_table("docs", rows)


@pytest.mark.skipif(importlib.util.find_spec("chromadb") is None, reason="chromadb")
def test_a_store_of_chroma(c: vs.Collection, tmp_path: Path) -> None:
    fill_chroma(tmp_path / "store")
    assert c.add(f"chroma:{tmp_path}/store").added == 30
    expected = {"id": "d7", "mixed": "7", "n": 7, "text": "text 7", "text_": "own"}
    check(c, [f"d{n}" for n in range(30)], expected)
    with pytest.raises(vs.InvalidInputError, match="no collection 'x'; there are: docs"):
        c.add(f"chroma:{tmp_path}/store::x")


@pytest.mark.skipif(importlib.util.find_spec("qdrant_client") is None, reason="qdrant-client")
def test_a_store_of_qdrant(c: vs.Collection, tmp_path: Path) -> None:
    fill_qdrant(tmp_path / "store")
    assert c.add(f"qdrant:{tmp_path}/store::docs").added == 30
    check(c, list(range(30)), {"id": 7, "text": "text 7", "metadata": {"n": 7}})


@pytest.mark.skipif(importlib.util.find_spec("lancedb") is None, reason="lancedb")
def test_a_store_of_lancedb(c: vs.Collection, tmp_path: Path) -> None:
    fill_lancedb(tmp_path / "store")
    assert c.add(f"lancedb:{tmp_path}/store").added == 30
    check(c, [f"d{n}" for n in range(30)], {"id": "d7", "text": "text 7", "n": 7})


class StandInOfChroma:
    """The calls of a Chroma collection that are used; it gives vectors in an order of its own."""

    def __init__(self, name: str = "docs") -> None:
        self.name = name
        self.ids = [f"d{n}" for n in range(30)]

    def count(self) -> int:
        return len(self.ids)

    def get(
        self,
        ids: list[str] | None = None,
        limit: int = 0,
        offset: int = 0,
        include: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        at = list(range(offset, min(offset + limit, 30)))
        if ids is not None:
            at = sorted((int(each[1:]) for each in ids), reverse=True)
        return {
            "ids": [self.ids[n] for n in at],
            "documents": [f"text {n}" for n in at] if "documents" in include else None,
            "metadatas": [ABOUT[n] for n in at] if "metadatas" in include else None,
            "embeddings": VECTORS[at] if "embeddings" in include else None,
        }


@pytest.fixture
def chroma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[StandInOfChroma]:
    collections = [StandInOfChroma()]

    def client(path: str, settings: Any = None) -> Any:
        def get_collection(name: str, embedding_function: Any) -> StandInOfChroma:
            return next(each for each in collections if each.name == name)

        return SimpleNamespace(list_collections=lambda: collections, get_collection=get_collection)

    module = SimpleNamespace(
        PersistentClient=client,
        config=SimpleNamespace(Settings=lambda **options: options),
        __spec__=importlib.util.spec_from_loader("chromadb", None),
    )
    monkeypatch.setitem(sys.modules, "chromadb", module)  # type: ignore[arg-type]
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "chroma.sqlite3").touch()
    return collections


def test_ids_texts_metadata_and_vectors_come_along(
    c: vs.Collection, tmp_path: Path, chroma: list[StandInOfChroma]
) -> None:
    assert c.add(f"chroma:{tmp_path}/store").added == 30
    expected = {"id": "d7", "mixed": "7", "n": 7, "text": "text 7", "text_": "own"}
    check(c, [f"d{n}" for n in range(30)], expected)
    again = c.add(f"chroma:{tmp_path}/store", on_conflict="refresh")
    assert (again.added, again.unchanged) == (0, 30)


def test_metadata_called_as_other_columns_is_kept(
    c: vs.Collection,
    tmp_path: Path,
    chroma: list[StandInOfChroma],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("text", "text_", "id", "vector")
    about = [{name: f"{name} {n}" for name in names[n % 2 :]} for n in range(30)]
    monkeypatch.setattr(sys.modules[__name__], "ABOUT", about)
    assert c.add(f"chroma:{tmp_path}/store").added == 30
    expected = {"id": "d4", "text": "text 4", "text_": "text_ 4", "text__": "text 4"}
    assert c.get("d4") == [expected | {"id_": "id 4", "vector_": "vector 4"}]
    assert c.get("d5", ["text_", "text__"]) == [{"text_": "text_ 5", "text__": None}]


def test_a_store_in_the_home_folder(
    c: vs.Collection,
    tmp_path: Path,
    chroma: list[StandInOfChroma],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no shell expands ~ after a colon
    assert c.add("chroma:~/store").added == 30


def test_one_of_several_collections_is_named(
    c: vs.Collection, tmp_path: Path, chroma: list[StandInOfChroma]
) -> None:
    chroma.append(StandInOfChroma("zoo"))
    with pytest.raises(vs.InvalidInputError, match=r"2 collections \(docs, zoo\).*store::docs"):
        c.add(f"chroma:{tmp_path}/store")
    assert c.add(f"chroma:{tmp_path}/store::zoo").added == 30


def test_the_command_line_moves_a_store(tmp_path: Path, chroma: list[StandInOfChroma]) -> None:
    shown = ok("ingest", f"chroma:{tmp_path}/store", tmp_path / "new.vs").out
    assert "30 documents added" in shown
    with vs.open(tmp_path / "new.vs") as c:
        assert (c.info().dim, c.info().embedder, len(c)) == (8, None, 30)


def test_vectors_of_another_length_are_refused(
    tmp_path: Path, chroma: list[StandInOfChroma]
) -> None:
    c = vs.create(tmp_path / "five.vs", dim=5)
    with pytest.raises(vs.InvalidInputError, match="8 numbers"):
        c.add(f"chroma:{tmp_path}/store")
    assert len(c) == 0


def test_what_cannot_be_moved_says_why(
    c: vs.Collection, tmp_path: Path, chroma: list[StandInOfChroma]
) -> None:
    with pytest.raises(vs.InvalidInputError, match=r"nowhere' does not exist"):
        c.add(f"chroma:{tmp_path}/nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(vs.InvalidInputError, match=r"no chroma\.sqlite3"):
        c.add(f"chroma:{tmp_path}/empty")
    (tmp_path / "file").touch()
    with pytest.raises(vs.InvalidInputError, match="is no folder"):
        c.add(f"qdrant:{tmp_path}/file")
    chroma[0].count = lambda: 1 // 0  # type: ignore[method-assign]
    with pytest.raises(vs.InvalidInputError, match="cannot be read: integer division"):
        c.add(f"chroma:{tmp_path}/store")
    assert "'nope' does not exist" in fails("ingest", "qdrant:nope", tmp_path / "x.vs")
    assert not (tmp_path / "x.vs").exists()


def test_a_missing_package_is_named(
    c: vs.Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vecsearch.common.optional as optional

    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    for kind in ("chroma", "lancedb", "qdrant"):
        with pytest.raises(vs.MissingExtraError, match=rf"vecsearch\[{kind}\]"):
            c.add(f"{kind}:{tmp_path}")


def test_a_file_of_such_a_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chroma:x.txt").write_text("a text")
    with vs.create("t.vs", embedder="toy:8") as c:
        assert c.add("chroma:x.txt").added == 1


def test_a_table_of_lancedb_may_call_its_vectors_otherwise(
    c: vs.Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = pa.list_(pa.float32(), 8)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), type=kind)
    rows = pa.table({"id": [f"d{n}" for n in range(30)], "emb": flat})
    search = SimpleNamespace(to_batches=lambda size: rows.to_batches(size))
    table = SimpleNamespace(schema=rows.schema, search=lambda: search, count_rows=lambda: 30)
    opened = SimpleNamespace(table_names=lambda: ["docs"], open_table=lambda name: table)
    module = SimpleNamespace(
        connect=lambda path: opened, __spec__=importlib.util.spec_from_loader("lancedb", None)
    )
    monkeypatch.setitem(sys.modules, "lancedb", module)  # type: ignore[arg-type]
    assert c.add(f"lancedb:{tmp_path}").added == 30
    check(c, [f"d{n}" for n in range(30)], {"id": "d7"})
    loose = pa.array(list(VECTORS), pa.list_(pa.float64()))  # of any length
    rows = pa.table({"id": [f"e{n}" for n in range(30)], "emb": loose})
    table.schema = rows.schema
    assert c.add(f"lancedb:{tmp_path}").added == 30
    assert np.allclose(c.vector("e7"), c.vector("d7"))
    table.schema = pa.schema([("id", pa.string())])
    with pytest.raises(vs.InvalidInputError, match="columns of vectors are none"):
        c.add(f"lancedb:{tmp_path}")
