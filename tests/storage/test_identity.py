"""A collection is the folder that was opened, whatever happens to its path or the process's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import vecsearch as vs
from vecsearch.storage import log

ROW = {"id": 9, "vector": [9.0, 1.0]}


def collection(path: Path | str, ids: range = range(3), **options: str) -> vs.Collection:
    c = vs.create(path, dim=2, **options)
    c.add([{"id": i, "vector": [1.0, i]} for i in ids])
    return c


def content(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


CHANGES = {
    "add": lambda c: c.add([ROW]),
    "delete": lambda c: c.delete([1]),
    "update": lambda c: c.update(None, {"x": 1}),
    "add_column": lambda c: c.add_column("x", "int64"),
    "compact": lambda c: c.compact(purge=True),
    "rollback": lambda c: c.rollback(1),
    "sample": lambda c: c.sample_queries(5),
    "refresh": lambda c: c.refresh(),
    "versions": lambda c: c.versions(),
    "check": lambda c: c.check(),
}


def test_a_collection_does_not_follow_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "b")
    other = collection("c.vs", range(100, 103))
    monkeypatch.chdir(tmp_path / "a")
    c = collection("c.vs")
    monkeypatch.chdir(tmp_path / "b")
    assert c.delete([101]).missing == 1
    c.add([ROW])
    assert c.get([0, 100, 9])[1] is None and len(c) == 4
    assert len(other.refresh()) == 3 and c.path == tmp_path / "a" / "c.vs"


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("how", ["remade", "emptied and remade"])
def test_a_collection_made_again_at_its_path_is_never_written_into(
    root: Path, change: str, how: str
) -> None:
    old = collection(root)
    if how == "remade":
        shutil.rmtree(root)
    else:
        for path in root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    new = collection(root, range(50), metric="l2")
    before = content(root)
    with pytest.raises(vs.ConflictError, match="was replaced"):
        CHANGES[change](old)
    assert content(root) == before and len(new.refresh()) == 50


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("removed", [False, True])
def test_a_moved_or_removed_collection_is_named_and_not_made_again(
    root: Path, change: str, removed: bool
) -> None:
    c = collection(root)
    shutil.rmtree(root) if removed else root.rename(root.with_name("moved"))
    with pytest.raises(vs.CollectionNotFoundError, match="moved or removed"):
        CHANGES[change](c)
    assert not root.exists()


@pytest.mark.parametrize("remade", [False, True])
def test_a_search_of_a_moved_collection_does_not_speak_of_backups(root: Path, remade: bool) -> None:
    collection(root).close()
    c = vs.open(root)
    root.rename(root.with_name("moved"))
    if remade:
        collection(root)
    with pytest.raises(vs.VecsearchError, match="was replaced" if remade else "moved or removed"):
        c.search([1.0, 0.0])


def test_an_identity_stays_through_versions_backups_and_rollbacks(root: Path) -> None:
    c = collection(root)
    identity = log.load(root).identity
    assert len(identity) == 32
    c.rollback(1)
    c.backup(root.with_name("copy"))
    assert log.load(root).identity == log.load(root.with_name("copy")).identity == identity


@pytest.mark.parametrize("name", ["format1", "format2"])
def test_the_first_commit_gives_an_older_collection_its_identity(name: str, root: Path) -> None:
    golden = Path(__file__).parents[1] / "golden" / name
    shutil.copytree(next(path for path in sorted(golden.iterdir()) if path.is_dir()), root)
    reader, writer = vs.open(root), vs.open(root)
    assert log.load(root).identity == ""
    writer.add_column("later", "int64")
    assert log.load(root).identity and log.load(root).format == 3
    assert "later" in reader.refresh().info().columns
    first = writer.versions()[0].version
    writer.rollback(first)
    assert log.load(root).identity == log.load(root, log.load(root).version - 1).identity


@pytest.mark.parametrize("keep", [2**64, 10**30])
def test_what_could_not_be_read_again_is_not_written(root: Path, keep: int) -> None:
    with pytest.raises(vs.InvalidInputError, match="keep_versions"):
        vs.create(root, dim=2, keep_versions=keep)
    assert not list(root.rglob("*.json")) if root.exists() else True
    vs.create(root, dim=2)


def test_a_manifest_named_with_other_digits_is_no_version(root: Path) -> None:
    c = collection(root)
    (root / "manifests" / "٠٠٠٠٠٠٩٩.json").write_text("{}")
    assert len(c.refresh()) == 3 and len(vs.open(root)) == 3
