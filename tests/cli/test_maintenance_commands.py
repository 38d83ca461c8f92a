"""The maintenance commands: exit codes, messages, and copies that are whole."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from test_cli import Answer, fails, ok

import vecsearch as vs
from vecsearch.maintenance.check import find_damage
from vecsearch.storage import log


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def rows_of(path: Path) -> list[dict[str, object]]:
    with vs.open(path) as c:
        return c.to_arrow(["id", "text", "lang", "year", "vector"]).to_pylist()


def test_check_finds_nothing(texts: vs.Collection) -> None:
    assert ok("check", texts.path).out == f"no damage in 2 versions of {texts.path}\n"
    assert ok("check", texts.path, "--json").json == {"damages": []}
    assert texts.check() == []


def test_check_names_the_file_and_exits_with_1(texts: vs.Collection) -> None:
    entry = log.load(texts.path).segments[0]
    spoil(texts.path / entry.name)
    answer = Answer("check", texts.path)
    assert (
        answer.code == 1
        and entry.name in answer.out
        and "restore a backup" in answer.out
        and answer.err == ""
    )
    answer = Answer("check", texts.path, "--json")
    assert answer.code == 1
    (damage,) = answer.json["damages"]
    assert damage["file"] == entry.name and damage["versions"] == [2]
    assert [item.file for item in texts.check()] == [entry.name]


def test_check_and_repair_work_where_open_fails(texts: vs.Collection, tmp_path: Path) -> None:
    """The commands that help must work where `open` does not."""
    spoil(log.path_of(texts.path, 2))
    assert "damaged" in fails("info", texts.path)
    answer = Answer("check", texts.path)
    assert answer.code == 1 and "manifests/00000002.json" in answer.out
    assert "version 1 is the latest again" in ok("repair", texts.path).out
    assert ok("check", texts.path).code == 0
    assert "no collection" in fails("check", tmp_path / "nothing.vs")
    assert not (tmp_path / "nothing.vs").exists()


def test_repair_rebuilds_ids_and_indexes(texts: vs.Collection) -> None:
    with vs.open(texts.path, limits=vs.Limits(smallest_index_rows=2)) as c:
        c.build_index("Flat")
    before = rows_of(texts.path)
    manifest = log.load(texts.path)
    spoil(texts.path / manifest.segments[0].ids.name)
    spoil(texts.path / manifest.indexes[0].files[0].name)
    assert Answer("check", texts.path).code == 1
    shown = ok("repair", texts.path).out
    assert "written again" in shown and "built again" in shown
    assert rows_of(texts.path) == before
    assert ok("repair", texts.path, "--json").json["done"] == []


def test_repair_lists_the_damage_it_cannot_repair(texts: vs.Collection) -> None:
    entry = log.load(texts.path).segments[0]
    spoil(texts.path / entry.name)
    answer = Answer("repair", texts.path)
    assert (
        answer.code == 1
        and "nothing to repair" in answer.out
        and f"left: {entry.name}" in answer.out
    )


def test_backup_and_restore(texts: vs.Collection, tmp_path: Path) -> None:
    before = rows_of(texts.path)
    assert ok("backup", texts.path, tmp_path / "monday.vs", "--json").json["version"] == 2
    texts.delete([1, 2])
    assert "holds the 4 rows" in ok("restore", tmp_path / "monday.vs", tmp_path / "again.vs").out
    assert rows_of(tmp_path / "again.vs") == before == rows_of(tmp_path / "monday.vs")
    assert "free" in fails(
        "restore", tmp_path / "monday.vs", texts.path
    )  # never over what is there
    assert len(rows_of(texts.path)) == 2
    assert "free" in fails("backup", texts.path, tmp_path / "monday.vs")
    assert "no collection" in fails("restore", tmp_path / "nothing.vs", tmp_path / "x.vs")
    assert "no version 9" in fails("backup", texts.path, tmp_path / "x.vs", "--version", "9")


def test_an_older_version_is_backed_up(texts: vs.Collection, tmp_path: Path) -> None:
    version = texts.info().version
    before = rows_of(texts.path)
    texts.delete([1])
    ok("backup", texts.path, tmp_path / "old.vs", "--version", version)
    assert rows_of(tmp_path / "old.vs") == before
    with vs.open(texts.path, version=version) as old:
        assert (
            old.backup(tmp_path / "old2.vs") == version
            and old.export(tmp_path / "old.parquet") == 4
        )
    assert rows_of(tmp_path / "old2.vs") == before


def test_export_of_a_part(texts: vs.Collection, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    given = ("--where", "lang = 'en'", "--columns", "year, id", "--json")
    assert ok("export", texts.path, path, *given).json == {"rows": 2, "file": str(path)}
    assert path.read_text() == '"year","id"\n1999,1\n2010,3\n'
    assert "did you mean 'lang'" in fails(
        "export", texts.path, tmp_path / "y.csv", "--columns", "lng"
    )
    assert not (tmp_path / "y.csv").exists()


def test_export_and_back(texts: vs.Collection, tmp_path: Path) -> None:
    path = tmp_path / "texts.parquet"
    assert ok("export", texts.path, path, "--json").json == {"rows": 4, "file": str(path)}
    assert pq.read_table(path)["year"].to_pylist() == [1999, 2005, 2010, None]
    ok("restore", path, tmp_path / "again.vs")
    assert rows_of(tmp_path / "again.vs") == rows_of(texts.path)
    assert find_damage(tmp_path / "again.vs") == []
    with vs.open(tmp_path / "again.vs") as again:  # the same model goes on
        assert again.search("植物", k=1).ids == texts.search("植物", k=1).ids
        again.add([{"id": 9, "text": "goes on", "lang": "en", "year": 2020}])
    assert "free" in fails("export", texts.path, path)
    path.write_bytes(b"PAR1 not quite PAR1")
    assert "texts.parquet" in fails("restore", path, tmp_path / "x.vs")
    assert not (tmp_path / "x.vs").exists()


def test_rollback_makes_an_older_version_the_latest(texts: vs.Collection) -> None:
    texts.delete([1, 2])
    assert "4 documents" in ok("rollback", texts.path, "2").out
    assert len(rows_of(texts.path)) == 4
    assert "no version 99" in fails("rollback", texts.path, "99")
    assert [item.documents for item in texts.versions()][-2:] == [2, 4]
