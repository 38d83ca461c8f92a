"""Rows of a table as documents, in a collection whose model reads columns."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_cli import fails, ok

import vecsearch as vs

ROWS: list[dict[str, Any]] = [
    {"color": "red", "size": 1, "sold": dt.date(2024, 1, 5), "note": "a"},
    {"color": "blue", "size": 2, "sold": dt.date(2024, 2, 5), "note": "b"},
    {"color": "red", "size": 3, "sold": None, "note": "c"},
    {"color": "green", "size": 4, "sold": dt.date(2025, 1, 5), "note": "d"},
]
READ = ["color", "size", "sold"]


@pytest.fixture
def model() -> Any:
    return vs.train("tabular", pa.Table.from_pylist(ROWS).select(READ))


def by_hand(model: Any, rows: list[dict[str, Any]]) -> np.ndarray:
    return np.asarray(model.embed_documents([{name: row[name] for name in READ} for row in rows]))


def stored(c: vs.Collection) -> np.ndarray:
    return np.array(c.to_arrow(["vector"])["vector"].to_pylist(), np.float32)


@pytest.mark.parametrize("form", ["dicts", "pandas", "arrow", "csv"])
def test_a_table_is_added_as_it_is(model: Any, tmp_path: Path, form: str) -> None:
    table = pa.Table.from_pylist(ROWS)
    file = tmp_path / "rows.csv"
    table.to_pandas().to_csv(file, index=False)
    data = {"dicts": ROWS, "pandas": table.to_pandas(), "arrow": table, "csv": file}[form]
    c = vs.create(tmp_path / "c.vs", embedder=model)
    assert str(c.info().metric) == "l2" and c.add(data).embedded == 4
    np.testing.assert_allclose(stored(c), by_hand(model, ROWS), atol=1e-6)
    (third,) = c.get([2])
    assert third is not None and third["note"] == "c"
    c.close()
    with vs.open(tmp_path / "c.vs") as again:
        hits = again.search({"color": "green", "size": 4, "sold": dt.date(2025, 1, 5)}, k=2)
        assert hits.ids[0] == 3 and hits[0].score == pytest.approx(0, abs=1e-6)
        near = again.search({"color": "red"}, k=4, where="size > 1")
        assert near.ids[0] == 2
        again.add([{"color": "blue", "size": 9, "sold": None, "note": "new"}])
        assert again.count() == 5


def test_a_changed_column_that_is_read_is_embedded_again(model: Any, tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder=model)
    c.add(ROWS)
    assert c.update("id = 0", {"note": "z"}).embedded == 0
    assert c.update("id = 0", {"size": 4, "color": "green"}).embedded == 1
    assert c.update(values=[{"id": 1, "size": 2}, {"id": 2, "size": 5}]).embedded == 1
    now = c.to_arrow().sort_by("id").to_pylist()
    assert [row["size"] for row in now] == [4, 2, 5, 4] and now[0]["color"] == "green"
    np.testing.assert_allclose([row["vector"] for row in now], by_hand(model, now), atol=1e-6)
    replaced = [{"id": 3, **ROWS[0]}, {"id": 1, **ROWS[1]}]
    assert c.add(replaced, on_conflict="replace").embedded == 1  # the other one is the same
    c.add([{"id": 0, "note": "y", **{name: ROWS[1][name] for name in READ}}], on_conflict="update")
    now = c.to_arrow().sort_by("id").to_pylist()
    np.testing.assert_allclose([row["vector"] for row in now], by_hand(model, now), atol=1e-6)
    c.delete([0])
    c.compact()
    assert c.check() == []
    c.export(tmp_path / "out.parquet")
    copy = vs.create(tmp_path / "copy.vs", embedder=model)
    copy.add(pa.Table.from_pylist(now).drop_columns(["vector"]))
    np.testing.assert_allclose(stored(copy), by_hand(model, now), atol=1e-6)


def test_missing_values_are_averages_and_missing_columns_are_refused(
    model: Any, tmp_path: Path
) -> None:
    c = vs.create(tmp_path / "c.vs", embedder=model)
    with pytest.raises(vs.InvalidInputError, match=r"no column 'color', which the .* 'colour'"):
        c.add([{"colour": "red", "size": 1, "sold": None}])
    assert c.count() == 0
    c.add([{"color": None, "size": None, "sold": None}, ROWS[0]])
    expected = model.embed_documents([{}])[0]
    np.testing.assert_allclose(stored(c)[0], expected, atol=1e-6)
    with pytest.raises(vs.InvalidInputError, match="'size'"):
        c.add([{"color": "red", "size": "large", "sold": None}])
    with pytest.raises(vs.InvalidInputError, match="cannot be changed in place"):
        c.drop_column("size")
    for reembed in (lambda: c.reembed("toy:8"), lambda: c.search("red")):
        with pytest.raises(vs.InvalidInputError, match="table"):
            reembed()
    texts = vs.create(tmp_path / "t.vs", embedder="toy:8")
    texts.add(["a text"])
    with pytest.raises(vs.InvalidInputError, match="reads columns of a table"):
        texts.reembed(model)
    with pytest.raises(vs.InvalidInputError, match="and no text"):
        vs.create(tmp_path / "n.vs", embedder=model, text_column="row")
    with pytest.raises(vs.InvalidInputError, match="a chunker splits texts"):
        vs.create(tmp_path / "n.vs", embedder=model, chunker=100)


def test_a_value_that_cannot_be_embedded_is_named_by_its_line(model: Any, tmp_path: Path) -> None:
    """Models are given rows in an order of their own, the longest first."""
    c = vs.create(tmp_path / "c.vs", embedder=model)
    file = tmp_path / "rows.jsonl"
    sizes: list[Any] = ["1", f"{3:030}", "wide", "99"]
    rows = [{"color": "red", "size": size, "sold": None} for size in sizes]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(vs.InvalidInputError, match=r"rows.jsonl, line 3, column 'size': 'wide'"):
        c.add(file)
    result = c.add(file, on_error="skip")
    assert (result.added, result.failed) == (3, 1) and c.count() == 3
    other = vs.create(tmp_path / "dna.vs", embedder="kmer")
    fasta = tmp_path / "reads.fa"
    fasta.write_text(">a\nACGTACGT\n>b\nNNNN\n>c\nACGTACGTACGTACGT\n")
    with pytest.raises(vs.InvalidInputError, match=r"reads.fa, line 3: the sequence has no .*skip"):
        other.add(fasta)
    assert other.add(fasta, on_error="skip").added == 2


def test_questions_about_the_whole_work_on_rows(model: Any, tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder=model)
    c.add(pd.DataFrame(ROWS * 5))
    assert len(c.cluster(2)) == 20 and len(c.neighbors(1)) == 20
    found = c.classify("color", model="neighbors")
    assert found.predict(ROWS[:2])["label"].to_pylist() == ["red", "blue"]
    assert c.duplicates(-1e-6).groups == 4
    small = c.reduce(tmp_path / "small.vs", 1)
    assert small.info().dim == 1
    assert small.search(ROWS[0], k=1).scores[0] > -1e-3
    small.add(ROWS[:1])
    assert small.count() == 21


def test_at_the_command_line(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    file = tmp_path / "rows.csv"
    pd.DataFrame(ROWS).to_csv(file, index=False)
    ok("ingest", file, tmp_path / "c.vs", "--embedder", f"saved:{tmp_path / 'model'}")
    with vs.open(tmp_path / "c.vs") as c:
        np.testing.assert_allclose(stored(c), by_hand(model, ROWS), atol=1e-6)
    (tmp_path / "bad.csv").write_text("color,size\nred,1\n")
    said = fails("ingest", tmp_path / "bad.csv", tmp_path / "c.vs")
    assert "no column 'sold'" in said and "empty cells" in said
