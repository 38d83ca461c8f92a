"""The commands about whole collections, and explanations."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from test_cli import fails, ok

import vecsearch as vs


@pytest.fixture
def place(tmp_path: Path) -> Path:
    c = vs.create(tmp_path / "c.vs", embedder="toy:128")
    texts = ["red apple", "ripe apple", "sour apple", "fast car", "old car", "new car", "old car"]
    kinds = ["fruit", "fruit", None, "car", "car", None, None]
    c.add(
        [
            {"id": n, "text": text, "kind": kind}
            for n, (text, kind) in enumerate(zip(texts, kinds, strict=True))
        ]
    )
    return tmp_path / "c.vs"


def test_tables_are_those_of_the_methods(place: Path, tmp_path: Path) -> None:
    c = vs.open(place)
    (tmp_path / "labels.csv").write_text("0,fruit\n1,fruit\n3,car\n4,car\n")
    labels = {0: "fruit", 1: "fruit", 3: "car", 4: "car"}
    calls = [
        (("neighbors", place, "-k", "2"), c.neighbors(2)),
        (
            ("neighbors", place, "-k", "1", "--where", "kind = 'car'"),
            c.neighbors(1, where="kind = 'car'"),
        ),
        (("duplicates", place, "0.9"), c.duplicates(0.9)),
        (("join", place, place, "-k", "2"), c.join(c, 2)),
        (("outliers", place, "-k", "2"), c.outliers(2)),
        (("cluster", place, "--clusters", "2"), c.cluster(2)),
        (("classify", place, "kind"), c.classify("kind")),
        (("classify", place, tmp_path / "labels.csv"), c.classify(labels)),
        (("map", place), c.map()),
    ]
    for words, found in calls:
        answer = json.loads(ok(*words, "--json").out)
        assert answer["rows"] == found.to_pylist(), words
        assert answer["report"] == str(found)
        assert str(found).splitlines()[0] in ok(*words).out
        ok(*words, "--output", tmp_path / "out.parquet")
        assert pq.read_table(tmp_path / "out.parquet").num_rows == found.num_rows
    assert len(c.duplicates(0.9)) == 1
    shown = ok("neighbors", place, "-k", "3", "--most", "4").out
    assert "and 17 more rows" in shown
    ok("neighbors", place, "-o", tmp_path / "out.csv")
    ok("neighbors", place, "-o", tmp_path / "out.jsonl")
    first = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert first == c.neighbors().head(1)[0]


def test_a_map_is_drawn(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ("--picture", tmp_path / "map.png", "--color", "kind", "--title", "Things")
    ok("map", place, *words, "--atlas", tmp_path / "map.parquet")
    assert (tmp_path / "map.png").stat().st_size > 1000
    assert "neighbors" in pq.read_table(tmp_path / "map.parquet").column_names


def test_hits_are_explained(place: Path) -> None:
    assert "words: apple" in ok("search", place, "apple", "-k", "1", "--explain").out
    answer = json.loads(ok("search", place, "red apple", "-k", "1", "--explain", "--json").out)
    assert answer["explanations"][0]["sentences"][0]["text"] == "red apple"
    assert "because of 0" in ok("recommend", place, "--like", "0", "-k", "1", "--explain").out


def test_errors_speak_of_commands(place: Path, tmp_path: Path) -> None:
    assert "no column" in fails("classify", place, "nothing")
    assert "--clusters is 99" in fails("cluster", place, "--clusters", "99")
    assert "method is 'tsne'" in fails("map", place, "--method", "tsne")
    assert ".parquet, .csv" in fails("neighbors", place, "-o", tmp_path / "out.txt")
    assert not list(tmp_path.glob("out*"))
