"""Backups that are taken while others write, and Parquet files that restore a collection."""

from __future__ import annotations

import copy
import datetime
import decimal
import errno
import os
import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.data import clustered
from support.faults import Disk, failing, recorded

import vecsearch as vs
from vecsearch.maintenance.backup import write_backup
from vecsearch.maintenance.check import find_damage
from vecsearch.maintenance.parquet import export_parquet, import_parquet
from vecsearch.storage import log


def everything(path: Path) -> pa.Table:
    with vs.open(path) as c:
        return c.to_arrow([*c.info().columns])


def test_a_backup_is_a_collection(texts: vs.Collection, tmp_path: Path) -> None:
    texts.delete([4])
    with vs.open(texts.path, limits=vs.Limits(smallest_index_rows=2)) as c:
        c.build_index("Flat")
    texts.refresh()
    target = tmp_path / "backups" / "monday.vs"
    version = write_backup(texts.path, target)
    assert version == texts.info().version and find_damage(target) == []
    assert everything(target).equals(everything(texts.path))
    assert log.load(target) == log.load(texts.path)
    assert not any((target / "staging").iterdir()) and [
        path.name for path in target.parent.iterdir()
    ] == ["monday.vs"]
    shared = [path for path in target.rglob("*") if path.is_file() and path.stat().st_nlink > 1]
    assert shared == []  # copies: damage to one is not damage to the other
    with vs.open(target) as copy:
        assert copy.search("cats chase mice", k=1).ids == [3]
        copy.add([{"id": 9, "text": "only in the copy"}])
    texts.refresh()
    assert len(texts) == 3


def test_an_older_version_can_be_backed_up(texts: vs.Collection, tmp_path: Path) -> None:
    version = texts.info().version
    before = everything(texts.path)
    texts.delete([1, 2])
    assert write_backup(texts.path, tmp_path / "b.vs", version) == version
    assert everything(tmp_path / "b.vs").equals(before)
    with pytest.raises(vs.VersionNotFoundError):
        write_backup(texts.path, tmp_path / "c2.vs", 99)
    assert not (tmp_path / "c2.vs").exists()


def test_restoring_tells_how_many_rows_are_live(root: Path, tmp_path: Path) -> None:
    with vs.create(root, dim=2, metric="l2") as c:
        c.add([{"id": n, "vector": [1.0, n]} for n in range(5)])
        c.delete([1, 3])
        c.backup(tmp_path / "copy.vs")
    assert vs.restore(tmp_path / "copy.vs", tmp_path / "again.vs") == 3
    assert len(vs.open(tmp_path / "again.vs")) == 3


def test_a_backup_restores_a_lost_collection(texts: vs.Collection, tmp_path: Path) -> None:
    before = everything(texts.path)
    write_backup(texts.path, tmp_path / "b.vs")
    entry = log.load(texts.path).segments[0]
    (texts.path / entry.name).unlink()
    assert [damage.file for damage in find_damage(texts.path)] == [entry.name]
    write_backup(tmp_path / "b.vs", tmp_path / "again.vs")
    assert everything(tmp_path / "again.vs").equals(before)


def test_a_backup_while_others_write_is_one_version(root: Path, tmp_path: Path) -> None:
    """Each backup is exactly one of the versions that were committed."""
    c = vs.create(root, dim=4, keep_versions=1)
    c.add(clustered(50, 4))
    expected = {c.info().version: c.to_arrow()}
    stop = threading.Event()

    def write() -> None:
        number = 0
        with vs.open(root) as writer:
            while not stop.is_set():
                number += 1
                if number % 5 == 0:
                    writer.delete(writer.to_arrow(["id"])["id"].to_pylist()[:20])
                elif number % 7 == 0:
                    writer.compact()
                else:
                    writer.add(clustered(10, 4, seed=number))
                expected[writer.info().version] = writer.to_arrow()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        taken = {number: write_backup(root, tmp_path / f"{number}.vs") for number in range(8)}
    finally:
        stop.set()
        thread.join()
    for number, version in taken.items():
        with vs.open(tmp_path / f"{number}.vs") as copy:
            assert copy.to_arrow().equals(expected[version])
        assert find_damage(tmp_path / f"{number}.vs") == []


def test_a_backup_is_refused_for_a_bad_source_or_target(
    texts: vs.Collection, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(vs.CollectionExistsError, match="free"):
        write_backup(texts.path, tmp_path / "taken")
    with pytest.raises(vs.InvalidInputError, match="inside the collection"):
        write_backup(texts.path, texts.path / "inside")
    with pytest.raises(vs.CollectionNotFoundError):
        write_backup(tmp_path / "nothing.vs", tmp_path / "b.vs")
    path = texts.path / log.load(texts.path).segments[0].name
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(vs.CorruptedError, match=path.name):
        write_backup(texts.path, tmp_path / "b.vs")
    with pytest.raises(vs.CorruptedError, match=path.name):
        export_parquet(texts.path, tmp_path / "b.parquet")
    assert {item.name for item in tmp_path.iterdir()} == {"c.vs", "taken"}


def test_damage_in_the_middle_of_the_vectors_is_not_copied(root: Path, tmp_path: Path) -> None:
    """Opening checks the first and the last block of a file only."""
    with vs.create(root, dim=64) as c:
        c.add(clustered(8000, 64))
    path = root / log.load(root).segments[0].name
    content = bytearray(path.read_bytes())
    assert len(content) > 2_000_000
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with vs.open(root) as c:
        assert len(c) == 8000
        for ending in ("parquet", "csv", "jsonl", "arrow"):
            with pytest.raises(vs.CorruptedError, match=path.name):
                c.export(tmp_path / f"b.{ending}")
        with pytest.raises(vs.CorruptedError, match=path.name):
            c.backup(tmp_path / "b.vs")
    assert {item.name for item in tmp_path.iterdir()} == {root.name}


def test_a_failed_backup_leaves_nothing(texts: vs.Collection, tmp_path: Path) -> None:
    """A full disk at every operation that can meet one."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    kinds = ("mkdir", "write", "fsync", "rename")
    (tmp_path / "whole").mkdir()
    with recorded(tmp_path / "whole") as journal:
        write_backup(texts.path, tmp_path / "whole" / "b.vs")
    steps = [op.kind for op in journal if op.kind in kinds]
    assert set(steps) == set(kinds)
    for at in range(len(steps) - 1):  # after the last, which syncs the new name, it is complete
        out = tmp_path / f"out-{at}"
        out.mkdir()
        with (
            failing(out, at, lambda: full, last=10**9, kinds=kinds) as faults,
            pytest.raises(vs.StorageError, match="full"),
        ):
            write_backup(texts.path, out / "b.vs")
        assert faults.failed and not any(out.iterdir()), (at, steps[at])


def test_a_power_loss_leaves_a_whole_backup_or_none(texts: vs.Collection, tmp_path: Path) -> None:
    """And a whole one, once `write_backup` has returned."""
    out = tmp_path / "out"
    out.mkdir()
    before, expected = Disk(out), everything(texts.path)
    with recorded(out) as journal:
        write_backup(texts.path, out / "b.vs")
    for at in range(len(journal) + 1):
        for turn in range(3):
            disk, rng = copy.deepcopy(before), random.Random(f"{at} {turn}")
            for op in journal[:at]:
                disk.apply(op)
            target = tmp_path / f"lost-{at}-{turn}"
            disk.after_power_loss(target, rng)
            if (target / "b.vs").exists():
                assert find_damage(target / "b.vs") == [], (at, turn)
                assert everything(target / "b.vs").equals(expected)
            else:
                assert at < len(journal), "a finished backup is gone"


# -- Parquet --------------------------------------------------------------------------------------


def test_parquet_restores_every_column_and_setting(root: Path, tmp_path: Path) -> None:
    c = vs.create(root, embedder="toy:16", recall=0.9, keep_versions=5)
    when = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
    c.add(
        pa.table(
            {
                "id": ["a", "b", "删除", "文"],
                "text": ["one", "two", "gone", "植物"],
                "when": pa.array([when, None, when, when], pa.timestamp("us", "Asia/Shanghai")),
                "day": pa.array([when.date(), None, None, when.date()]),
                "price": pa.array(
                    [decimal.Decimal("1.50"), None, None, decimal.Decimal("-3.25")],
                    pa.decimal128(10, 2),
                ),
                "tags": pa.array([["x", None], [], None, ["标签"]], pa.list_(pa.string())),
                "nested": pa.array([{"a": 1, "b": "y"}, None, None, {"a": None, "b": "文"}]),
                "raw": pa.array([b"\x00\xff", None, b"", b"x"], pa.binary()),
                "flag": [True, None, False, True],
                "small": pa.array([1, None, 3, 255], pa.uint8()),
            }
        )
    )
    c.delete(["删除"])
    path = tmp_path / "out.parquet"
    assert export_parquet(root, path) == 3 == import_parquet(path, tmp_path / "again.vs")
    same_collection(root, tmp_path / "again.vs")
    with vs.open(tmp_path / "again.vs") as again:
        assert again.search("植物", k=1).ids == ["文"]
        assert again.add([{"id": "new", "text": "goes on"}]).added == 1
        assert [item.operation for item in again.versions()] == ["create", "import", "add"]
    plain = pq.read_table(path)  # anybody reads it
    assert plain["id"].to_pylist() == ["a", "b", "文"] and len(plain["vector"][0].as_py()) == 16
    duckdb = pytest.importorskip("duckdb")
    assert duckdb.sql(f"select text from '{path}' where price < 0").fetchall() == [("植物",)]


def same_collection(one: Path, other: Path) -> None:
    first, second = everything(one), everything(other)
    assert first.schema.equals(second.schema)
    for name in first.column_names:
        if name in ("vector", "_norm"):
            np.testing.assert_allclose(
                matrix(first[name]), matrix(second[name]), rtol=1e-6, atol=1e-30
            )
        else:
            assert first[name].equals(second[name]), name
    with vs.open(one) as a, vs.open(other) as b:
        before, after = a._snapshot.manifest, b._snapshot.manifest
        for name in (
            "schema",
            "metric",
            "dim",
            "dtype",
            "text_column",
            "embedder",
            "chunker",
            "next_id",
            "recall",
            "keep_versions",
        ):
            assert getattr(before, name) == getattr(after, name), name
    assert find_damage(other) == []


def matrix(column: pa.ChunkedArray) -> Any:
    return np.array(column.to_pylist(), np.float64)


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_parquet_restores_vectors(root: Path, tmp_path: Path, metric: str, dtype: str) -> None:
    vectors = clustered(500, 12) * np.float32(100)
    c = vs.create(root, dim=12, metric=metric, dtype=dtype)
    c.add(vectors)
    export_parquet(root, tmp_path / "x.parquet")
    exported = np.stack(pq.read_table(tmp_path / "x.parquet")["vector"].to_pylist())
    np.testing.assert_allclose(
        exported, vectors, rtol=1e-6 if dtype == "float32" else 2e-3, atol=1e-2
    )
    import_parquet(tmp_path / "x.parquet", tmp_path / "y.vs")
    same_collection(root, tmp_path / "y.vs")
    assert vs.open(tmp_path / "y.vs").add(vectors[:1]).added == 1
    assert vs.open(tmp_path / "y.vs").to_arrow(["id"])["id"].to_pylist()[-1] == 500


def test_parquet_restores_long_float16_vectors(root: Path, tmp_path: Path) -> None:
    c = vs.create(
        root, dim=2, dtype="float16"
    )  # cosine: the unit vector fits float16, the vector itself does not
    c.add(np.array([[3e6, 4e6]], np.float32))
    export_parquet(root, tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet")["vector"].to_pylist()[0] == pytest.approx(
        [3e6, 4e6], rel=1e-3
    )


def test_parquet_restores_passages(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("chonkie")
    long = "Plants make food from light. " * 10 + "猫在夜里抓老鼠。" * 30
    c = vs.create(root, embedder="toy:8", chunker=120)
    c.add([{"id": 1, "text": long, "n": 1}, {"id": 2, "text": "short", "n": 2}])
    export_parquet(root, tmp_path / "x.parquet")
    import_parquet(tmp_path / "x.parquet", tmp_path / "y.vs")
    same_collection(root, tmp_path / "y.vs")
    with vs.open(tmp_path / "y.vs") as again:
        assert again.get([1, 2]) == c.get([1, 2]) and len(again) == 2


def test_parquet_restores_an_empty_collection(root: Path, tmp_path: Path) -> None:
    vs.create(root, dim=3).close()
    assert (
        export_parquet(root, tmp_path / "x.parquet")
        == 0
        == import_parquet(tmp_path / "x.parquet", tmp_path / "y.vs")
    )
    with vs.open(tmp_path / "y.vs") as again:
        again.add(
            [{"id": "text ids", "vector": [1, 2, 3], "anything": 1}]
        )  # its schema is as open as it was


VALUES = {
    "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
    "real": st.none() | st.floats(allow_nan=False),
    "text": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    "list": st.none()
    | st.lists(
        st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4
    ),
    "bytes": st.none() | st.binary(),
}
TYPES = {
    "whole": pa.int64(),
    "real": pa.float64(),
    "text": pa.large_string(),
    "list": pa.list_(pa.large_string()),
    "bytes": pa.large_binary(),
}


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=8), dead=st.integers(0, 7))
def test_parquet_restores_any_values(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], dead: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in TYPES.items()}
    c = vs.create(folder / "a.vs", dim=2)
    c.add(pa.table({"id": range(len(rows)), "vector": [[1.0, 2.0]] * len(rows), **columns}))
    c.delete([dead])
    export_parquet(folder / "a.vs", folder / "x.parquet")
    import_parquet(folder / "x.parquet", folder / "b.vs")
    same_collection(folder / "a.vs", folder / "b.vs")


def test_export_refuses_vectors_that_are_damaged_in_the_middle(root: Path, tmp_path: Path) -> None:
    """Opening a segment compares its first and last block only."""
    with vs.create(root, dim=256) as c:
        c.add(np.random.default_rng(0).standard_normal((2000, 256)).astype(np.float32))
    path = root / log.load(root).segments[0].name
    content = bytearray(path.read_bytes())
    assert len(content) > 2_000_000
    content[1_000_000] ^= 1
    path.write_bytes(content)
    for version in (None, 2):
        with pytest.raises(vs.CorruptedError, match="damaged in bytes"):
            export_parquet(root, tmp_path / "x.parquet", version)
    with pytest.raises(vs.CorruptedError, match="damaged in bytes"):
        write_backup(root, tmp_path / "y.vs")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.vs"]


def test_an_import_is_refused_for_a_bad_file_or_target(
    texts: vs.Collection, tmp_path: Path
) -> None:
    path = tmp_path / "x.parquet"
    export_parquet(texts.path, path)
    with pytest.raises(vs.CollectionExistsError):
        export_parquet(texts.path, path)
    with pytest.raises(vs.CollectionExistsError):
        import_parquet(path, texts.path)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({}), tmp_path / "foreign.parquet")
    with pytest.raises(vs.InvalidInputError, match="add the file"):
        import_parquet(tmp_path / "foreign.parquet", tmp_path / "y.vs")
    pq.write_table(table.drop_columns(["lang"]), tmp_path / "less.parquet")
    with pytest.raises(vs.InvalidInputError, match="'lang'"):
        import_parquet(tmp_path / "less.parquet", tmp_path / "y.vs")
    pq.write_table(pa.concat_tables([table, table]), tmp_path / "twice.parquet")
    with pytest.raises(vs.InvalidInputError, match="duplicate id"):
        import_parquet(tmp_path / "twice.parquet", tmp_path / "y.vs")
    content = path.read_bytes()
    for wrong in (
        b"",
        b"not parquet",
        content[: len(content) // 2],
        content[:-8] + b"\xff" * 4 + content[-4:],
    ):
        (tmp_path / "wrong.parquet").write_bytes(wrong)
        with pytest.raises(vs.VecsearchError, match=r"wrong\.parquet"):
            import_parquet(tmp_path / "wrong.parquet", tmp_path / "y.vs")
    with pytest.raises(vs.VecsearchError):
        import_parquet(tmp_path / "nothing.parquet", tmp_path / "y.vs")
    assert not (tmp_path / "y.vs").exists() and not list(tmp_path.glob(".*"))


def test_a_damaged_export_is_refused_or_the_same(texts: vs.Collection, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    export_parquet(texts.path, path)
    content = path.read_bytes()
    rng = random.Random(1)
    refused = 0
    for number in range(60):
        spoiled = bytearray(content)
        spoiled[rng.randrange(len(content))] ^= rng.randrange(1, 256)
        path.write_bytes(spoiled)
        try:
            import_parquet(path, tmp_path / f"{number}.vs")
        except vs.VecsearchError:
            refused += 1
        else:
            same_collection(texts.path, tmp_path / f"{number}.vs")
    assert refused > 30
