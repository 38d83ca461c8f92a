"""A first ingest leaves a whole collection or nothing, and records only what is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_cli import Answer, fails, ok

import vecsearch as vs
from vecsearch.embedders.toy import ToyEmbedder
from vecsearch.ingest import embedding


def vectors(path: Path, dim: int = 16) -> Path:
    np.save(path, np.random.default_rng(0).standard_normal((5, dim)).astype(np.float32))
    return path


@pytest.mark.parametrize("name", ["bad.jsonl", "page.odd", "rows.json", "empty"])
@pytest.mark.parametrize("place", ["x.vs", "new/deeper/x.vs"])
def test_a_failed_first_ingest_leaves_nothing(tmp_path: Path, name: str, place: str) -> None:
    data = tmp_path / name
    if name == "empty":
        data.mkdir()
    else:
        data.write_text('{"id": 1, "text": "good"}\n{"id": 2, "text": ""}\n')
    fails("ingest", data, tmp_path / place, "--embedder", "toy:8")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_right_command_works_after_a_wrong_one(tmp_path: Path) -> None:
    data, place = vectors(tmp_path / "v.npy"), tmp_path / "v.vs"
    fails("ingest", data, place, "--dim", "7")
    assert not place.exists()
    ok("ingest", data, place, "--dim", "16")
    assert len(vs.open(place)) == 5


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    data, place = vectors(tmp_path / "v.npy"), tmp_path / "v.vs"
    place.mkdir()
    fails("ingest", data, place, "--dim", "7")
    assert list(place.iterdir()) == []
    ok("ingest", data, place)
    fails("ingest", tmp_path / "v.npy", place, "--id-column", "nothing")
    assert len(vs.open(place)) == 5


@pytest.mark.parametrize("ending", ["npy", "parquet", "jsonl"])
def test_ready_made_vectors_have_no_embedder(tmp_path: Path, ending: str) -> None:
    data = tmp_path / f"v.{ending}"
    matrix = np.load(vectors(tmp_path / "v.npy", 384))
    if ending == "parquet":
        pq.write_table(pa.table({"vector": list(matrix)}), data)
    if ending == "jsonl":
        data.write_text("".join(json.dumps({"vector": row.tolist()}) + "\n" for row in matrix))
    answer = ok("ingest", data, tmp_path / "v.vs")
    assert "no embedder is recorded" in answer.err
    info = vs.open(tmp_path / "v.vs").info()
    assert (info.embedder, info.dim, info.documents) == (None, 384, 5)
    assert "no embedder" in fails("search", tmp_path / "v.vs", "how do plants make food")


def test_a_second_ingest_without_ids_warns(tmp_path: Path) -> None:
    data, place = vectors(tmp_path / "v.npy"), tmp_path / "v.vs"
    assert "no ids" not in ok("ingest", data, place).err
    answer = ok("ingest", data, place)
    assert "5 unchanged" in answer.out and answer.err == ""
    np.save(data, -np.load(data))
    answer = ok("ingest", data, place)
    assert "no ids" in answer.err and "5 documents" in answer.err and "rollback" in answer.err
    rows = tmp_path / "r.jsonl"
    rows.write_text(json.dumps({"id": 10, "vector": [1.0] * 16}) + "\n")
    assert ok("ingest", rows, place).err == ""


@pytest.mark.parametrize("question", ["", "  ", "\n"])
def test_an_empty_question_is_a_usage_error(tmp_path: Path, question: str) -> None:
    with vs.create(tmp_path / "t.vs", embedder="toy:8") as c:
        c.add(["a boat"])
    answer = Answer("search", tmp_path / "t.vs", question)
    assert answer.code == 2 and "empty" in answer.err and answer.out == ""


def test_the_info_of_an_index_is_short(tmp_path: Path) -> None:
    with vs.create(tmp_path / "t.vs", dim=2, limits=vs.Limits(smallest_index_rows=2)) as c:
        c.add(np.random.default_rng(0).standard_normal((50, 2)).astype(np.float32))
        c.build_index("Flat")
        assert "measured with" in repr(c.info()) and len(repr(c.info())) < 1500
    answer = ok("info", tmp_path / "t.vs", "--json")
    (index,) = answer.json["indexes"]
    assert index["calibration"]["queries"] > 0 and len(answer.out) < 2000


def test_a_first_ingest_of_nothing_leaves_nothing(tmp_path: Path) -> None:
    folder, place = tmp_path / "docs", tmp_path / "c.vs"
    folder.mkdir()
    (folder / "空.txt").write_text("\u3000\n")
    (folder / "a.odd").write_text("a")
    message = fails("ingest", folder, place, "--embedder", "toy:8")
    assert "no document to add" in message and "空.txt" in message and "1 .odd" in message
    (tmp_path / "no_rows.csv").write_text("id,text\n")
    fails("ingest", tmp_path / "no_rows.csv", place, "--embedder", "toy:8")
    assert not place.exists()
    (folder / "b.txt").write_text("你好")
    ok("ingest", folder, place, "--embedder", "toy:16")
    ok("ingest", tmp_path / "no_rows.csv", place)
    assert vs.open(place).get("b.txt")[0]["text"] == "你好"


def test_a_collection_is_no_data(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,text\na,one\n")
    ok("ingest", tmp_path / "t.csv", tmp_path / "c.vs", "--embedder", "toy:8")
    for target in ("c.vs", "new.vs"):
        answer = fails("ingest", tmp_path / "c.vs", tmp_path / target)
        assert "is a collection, not data" in answer and "vecsearch export" in answer
    assert not (tmp_path / "new.vs").exists()


def test_an_error_lists_in_one_sentence_what_was_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for number in range(7):
        (folder / f"{number}.txt").write_text("")
    answer = fails("ingest", folder, tmp_path / "c.vs", "--embedder", "toy:8")
    assert "no collection was made; skipped (7): 0.txt, 1.txt" in " ".join(answer.split())


def test_an_empty_standard_input_is_named_so(tmp_path: Path) -> None:
    answer = fails("ingest", "-", tmp_path / "c.vs", "--embedder", "toy:8")
    assert "standard input is empty" in answer and not (tmp_path / "c.vs").exists()


@pytest.mark.parametrize("command", ["ingest", "sync"])
def test_an_interrupted_first_ingest_keeps_only_what_was_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(embedding, "FIRST_BATCH", 10)
    monkeypatch.setattr(embedding, "CALL_SECONDS", (0.0, 1e9))
    calls: list[int] = []
    stop_at = 0
    embed = ToyEmbedder.embed_documents

    def slow(self: ToyEmbedder, documents: Any) -> Any:
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        calls.append(len(documents))
        return embed(self, documents)

    monkeypatch.setattr(ToyEmbedder, "embed_documents", slow)
    (tmp_path / "f").mkdir()
    for number in range(30):
        (tmp_path / "f" / f"{number}.txt").write_text(f"text number {number}")
    words = (command, tmp_path / "f", tmp_path / "c.vs")
    assert Answer(*words, "--embedder", "toy:8").code == 130
    assert not (tmp_path / "c.vs").exists()  # nothing was embedded
    stop_at = 2
    assert Answer(*words, "--embedder", "toy:8").code == 130
    assert Answer("count", tmp_path / "c.vs").out == "0\n"
    told = fails(*words, "--embedder", "toy:16")
    assert "holds no document: remove it with `rm -r" in " ".join(told.split())
    stop_at, calls[:] = -1, []
    assert "30 documents added" in ok(*words).out and sum(calls) == 10
