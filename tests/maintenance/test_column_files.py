"""Columns that are added or changed are written by themselves: vectors and labels stay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.maintenance.check import find_damage
from vecsearch.storage import log

ROWS, DIM = 6_000, 64


def _vectors(rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(rows, DIM)).astype(np.float32)


def _table(rows: int = ROWS) -> pa.Table:
    numbers = np.arange(rows)
    return pa.table(
        {
            "id": pa.array(numbers),
            "n": pa.array(numbers % 100),
            "name": pa.array([f"name {n}" for n in numbers], pa.large_string()),
            "vector": pa.FixedSizeListArray.from_arrays(_vectors(rows).ravel(), DIM),
        }
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    limits = vs.Limits(segment_rows=2_500, smallest_index_rows=100)
    vs.create(tmp_path / "c.vs", dim=DIM, metric="l2", limits=limits).add(_table())
    return tmp_path / "c.vs"


def _files(root: Path) -> dict[str, tuple[int, int]]:
    found = [path for path in root.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


class Written:
    """The bytes of the files that are new after a block."""

    def __init__(self, root: Path) -> None:
        self.root, self.bytes, self.new = root, 0, []

    def __enter__(self) -> Written:
        self.before = _files(self.root)
        return self

    def __exit__(self, *_: object) -> None:
        after = _files(self.root)
        self.new = [name for name in after if after[name] != self.before.get(name)]
        self.bytes = sum(after[name][0] for name in self.new)


def _rows(c: vs.Collection) -> list[dict[str, Any]]:
    return sorted(c.to_arrow(c.to_arrow().column_names[:-1]).to_pylist(), key=lambda row: row["id"])


def test_a_column_is_added_without_writing_vectors(root: Path) -> None:
    with vs.open(root) as c:
        with Written(root) as written:
            c.add_column("flag", pa.int64(), 7)
        assert written.bytes < 20_000, written.new  # manifests, and a value a segment
        with Written(root) as written:
            c.add_column("label", "string", "värde")
        assert written.bytes < 30_000, written.new
        expected = _table().drop_columns(["vector"]).to_pylist()
        for row in expected:
            row |= {"flag": 7, "label": "värde"}
        assert _rows(c) == expected
        assert c.count("flag = 7 AND label = 'värde'") == ROWS and c.count("flag <> 7") == 0
    assert find_damage(root) == []


def test_an_update_of_a_third_writes_its_column_only(root: Path) -> None:
    data = sum(path.stat().st_size for path in (root / "segments").iterdir())
    with vs.open(root) as c:
        with Written(root) as written:
            assert c.update(where="n < 30", values={"n": -1}).updated == ROWS * 0.3
        assert written.bytes < ROWS * 8 + 30_000 < data / 8, written.new
        numbers = np.arange(ROWS) % 100
        expected = np.where(numbers < 30, -1, numbers).tolist()
        assert [row["n"] for row in _rows(c)] == expected
        np.testing.assert_array_equal(
            np.stack(c.to_arrow(["vector"])["vector"].to_numpy()), _vectors()
        )
    assert find_damage(root) == []


def test_an_index_still_covers_the_rows(root: Path) -> None:
    with vs.open(root) as c:
        c.build_index("HNSW8")
        labels = log.load(root).indexes[0].labels
        c.add_column("flag", pa.int64(), 7)
        c.update(where="n < 50", values={"n": 1, "flag": 8})
        entry = log.load(root).indexes[0]
        assert (entry.labels, entry.rows) == (labels, ROWS)
        assert entry.covers == tuple(segment.name for segment in log.load(root).segments)
        hits = c.search(_vectors()[5], k=3, recall=0.5, where="flag = 8")
        assert hits[0].id == 5 and hits[0]["n"] == 1
        assert c.info().indexes[-1].rows == ROWS
    assert find_damage(root) == []


def test_files_that_nobody_reads_are_left_out_of_the_version(root: Path) -> None:
    with vs.open(root) as c:
        for value in range(5):
            with Written(root) as written:
                c.update(where=None, values={"n": value})
            assert written.bytes < 20_000, written.new  # one value a segment
        c.update(where=None, values={"name": "x"})
        c.update(where="id < 4000", values={"n": 9, "name": "y"})
        for segment in log.load(root).segments:
            assert len(segment.columns) <= 2
        assert _rows(c) == [
            {"id": n, "n": 9, "name": "y"} if n < 4000 else {"id": n, "n": 4, "name": "x"}
            for n in range(ROWS)
        ]


def test_a_purge_leaves_nothing_of_old_values(root: Path) -> None:
    with vs.open(root) as c:
        c.update(where=None, values={"name": "public"})
        c.add_column("secret", "string", "hush-hush")
        c.update(where=None, values={"secret": "told"})
        c.compact(purge=True)
        assert {row["name"] for row in _rows(c)} == {"public"}
        assert all(not segment.columns for segment in log.load(root).segments)
    for path in (root / "segments").iterdir():
        content = path.read_bytes()
        assert b"name 17" not in content and b"hush-hush" not in content, path


@pytest.fixture
def changed(root: Path) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    with vs.open(root) as c:
        c.add_column("flag", pa.int64(), 7)
        c.update(where="n < 30", values={"n": -1, "name": None})
        c.delete(where="id % 11 = 0")
        c.update(ids=range(1, 20), values={"flag": 1})  # few rows: copied to a new segment
        c.update(where="n = 50", values={"flag": 0.5})  # a wider column
        expected = _rows(c)
    assert len(expected) == ROWS - len(range(0, ROWS, 11))
    by_id = {row["id"]: row for row in expected}
    for n in range(ROWS):
        if n % 11:
            flag = 0.5 if n % 100 == 50 else 1 if 1 <= n < 20 else 7
            row = {"id": n, "n": n % 100, "name": f"name {n}", "flag": flag}
            assert by_id[n] == row | ({"n": -1, "name": None} if n % 100 < 30 else {})
    assert any(segment.columns for segment in log.load(root).segments)
    yield root, expected


def test_all_verbs_know_the_files(
    changed: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    root, expected = changed
    with vs.open(root) as c:
        c.backup(tmp_path / "copy.vs")
        c.export(tmp_path / "rows.parquet")
        c.export(tmp_path / "rows.jsonl", columns=["id", "n", "name", "flag"])
    with vs.open(tmp_path / "copy.vs") as copy:
        assert _rows(copy) == expected
    assert find_damage(tmp_path / "copy.vs") == [] == find_damage(root)
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert sorted(lines, key=lambda row: row["id"]) == expected
    vs.restore(tmp_path / "rows.parquet", tmp_path / "again.vs")
    with vs.open(tmp_path / "again.vs") as again:
        assert _rows(again) == expected
    with vs.open(root) as c:
        version = c.info().version
        assert c.get([1, 50, 200]) == [
            next((row for row in expected if row["id"] == n), None) for n in (1, 50, 200)
        ]
        c.drop_column("n")
        assert _rows(c) == [{k: v for k, v in row.items() if k != "n"} for row in expected]
        c.rollback(version)
        assert _rows(c) == expected
        c.compact()
        assert _rows(c) == expected
        assert all(not segment.columns for segment in log.load(root).segments)
    assert find_damage(root) == []


def test_a_column_is_dropped_without_writing_vectors(root: Path) -> None:
    everything = [{"id": n, "n": n % 100, "name": f"name {n}"} for n in range(ROWS)]
    without = [{"id": row["id"], "n": row["n"]} for row in everything]
    with vs.open(root) as c:
        c.build_index("HNSW8")
        before = c.info().version
        with Written(root) as written:
            c.drop_column("name")
        assert written.bytes < 16_000, written.new
        assert _rows(c) == without
        assert c.info().indexes[0].rows == ROWS  # still covered
        with pytest.raises(vs.FilterError, match="no column 'name'"):
            c.count("name = 'name 7'")

        c.add_column("name", "int64")
        c.add([{"id": ROWS, "n": 1, "name": 5, "vector": np.ones(DIM)}])  # now it holds numbers
        assert c.get(17)[0] == without[17] | {"name": None}
        assert (c.count("name = 5"), c.count("name IS NULL")) == (1, ROWS)
        c.delete([ROWS])
        c.drop_column("name")
        c.add_column("name", "string", "later")
        assert c.count("name = 'later'") == ROWS
        c.drop_column("name")
        c.add_column("name", "string")
        assert c.count("name IS NULL") == ROWS
        version = c.info().version
        c.rollback(before)
        assert _rows(c) == everything
        c.rollback(version)
        assert _rows(c) == [row | {"name": None} for row in without]
    assert find_damage(root) == []
    with vs.open(root) as c:
        assert _rows(c) == [row | {"name": None} for row in without]
        c.compact(purge=True)
        assert _rows(c) == [row | {"name": None} for row in without]
    assert all(b"name 17" not in path.read_bytes() for path in (root / "segments").iterdir())


def test_a_column_becomes_json_by_itself(root: Path) -> None:
    with vs.open(root) as c:
        with Written(root) as written:
            c.alter_column("n", "json")
        assert written.bytes < ROWS * 16, written.new
        assert c.count("n = 5") == ROWS / 100


@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "other"])
def test_a_damaged_file_is_named_and_other_columns_are_read(
    changed: tuple[Path, list[dict[str, Any]]], damage: str
) -> None:
    root, expected = changed
    entry = log.load(root).segments[0]
    assert entry.columns
    for part in entry.columns:
        path = root / part.file.name
        content = path.read_bytes()
        if damage == "gone":
            path.unlink()
        elif damage == "cut":
            path.write_bytes(content[:-8])
        elif damage == "flipped":
            path.write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
        else:
            shutil.copy(root / entry.ids.name, path)
        found = {item.file for item in find_damage(root)}
        assert found == {part.file.name}
        with vs.open(root) as c, pytest.raises(vs.CorruptedError, match=path.name):
            c.to_arrow(["id", *part.names])
        path.write_bytes(content)
    assert find_damage(root) == []
    with vs.open(root) as c:
        assert _rows(c) == expected


def test_a_forged_manifest_of_column_files_is_refused(
    changed: tuple[Path, list[dict[str, Any]]],
) -> None:
    from support.forge import change_manifest

    root, _ = changed
    path = log.path_of(root, log.load(root).version)
    whole = path.read_text()

    def forge(change: Any) -> None:
        change_manifest(root, change)
        with pytest.raises(vs.CorruptedError), vs.open(root) as c:
            c.to_arrow()
        assert find_damage(root)
        path.write_text(whole)

    def part(body: dict[str, Any]) -> dict[str, Any]:
        return body["segments"][0]["columns"][0]

    forge(lambda body: part(body).update(names=["vector"]))
    forge(lambda body: part(body).update(names=["id"]))
    forge(lambda body: part(body).update(names=[]))
    forge(lambda body: part(body).update(names=["n", "n"]))
    forge(lambda body: part(body).update(names=["nowhere"]))
    forge(lambda body: part(body).update(names=["name"]))
    forge(lambda body: body["segments"][0]["columns"].append(part(body)))
    forge(lambda body: part(body).update(file=body["segments"][0]["file"]))
    forge(lambda body: part(body).update(file=body["segments"][0]["ids"]))
    assert len({segment.rows for segment in log.load(root).segments[:2]}) == 2
    forge(lambda body: body["segments"][0].update(columns=body["segments"][1]["columns"]))


def test_a_crash_before_the_commit_leaves_the_version_before(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecsearch.storage import disk

    with vs.open(root) as c:
        before = _rows(c)

        def crash(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(disk, "publish", crash)
            with pytest.raises(KeyboardInterrupt):
                c.add_column("flag", pa.int64(), 7)
            with pytest.raises(KeyboardInterrupt):
                c.update(where=None, values={"n": 3})
    with vs.open(root) as c:
        assert _rows(c) == before
        c.compact(purge=True)
        assert not list((root / "segments").glob("*.columns.arrow"))
    assert find_damage(root) == []
