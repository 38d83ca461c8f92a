"""Only what vecsearch made is removed, nothing outside the folder; purge proves what it says."""

from __future__ import annotations

import errno
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.evaluation.query_sample import read_sample
from vecsearch.storage import locks
from vecsearch.storage.folders import removed_on_error

FOLDERS = ["manifests", "segments", "indexes", "models", "staging", "queries", "damaged"]


def fill(root: Path, times: int = 3) -> vs.Collection:
    c = vs.create(root, dim=4, keep_versions=2)
    for n in range(times):
        c.add([{"id": 1, "vector": [1.0, n, 0, 0]}], on_conflict="replace")
    return c


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_linked_inner_folder_is_refused_and_its_target_untouched(
    root: Path, tmp_path: Path, folder: str
) -> None:
    c = fill(root)
    outside = tmp_path / "outside"
    if (root / folder).exists():
        (root / folder).rename(outside)
    outside.mkdir(exist_ok=True)
    (outside / "mine.txt").write_text("mine")
    (root / folder).symlink_to(outside)
    before = sorted(outside.iterdir())
    for refused in (
        lambda: c.compact(purge=True),
        lambda: c.sample_queries(0),
        lambda: c.add([{"id": 2, "vector": [1.0, 0, 0, 0]}]),
        lambda: vs.open(root),
    ):
        with pytest.raises(vs.StorageError, match=f"{folder} is a symbolic link"):
            refused()
    assert sorted(outside.iterdir()) == before
    if folder not in ("segments", "manifests", "staging"):
        assert folder in [damage.file for damage in c.check()]


def test_stray_files_and_folders_stop_nothing_and_stay(root: Path) -> None:
    c = fill(root)
    c.sample_queries(3)
    (root / "models").mkdir()
    (root / "queries").mkdir(exist_ok=True)
    strays = [
        root / place / name / "x" if name != ".DS_Store" else root / place / name
        for place in ("segments", "indexes", "models", "staging", "queries")
        for name in (".DS_Store", "@eaDir", ".ipynb_checkpoints")
    ]
    for path in strays:
        path.parent.mkdir(exist_ok=True)
        path.write_text("stray")
    for n in range(40):
        c.add([{"id": 1, "vector": [2.0, n, 0, 0]}], on_conflict="replace")
    assert len(list((root / "segments").glob("*.arrow"))) < 60
    c.compact(purge=True)
    assert len(list((root / "segments").glob("*.arrow"))) == 2
    assert all(path.exists() for path in strays)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may remove anything")
def test_a_purge_names_what_it_could_not_remove_by_permission(root: Path) -> None:
    c = fill(root)
    (root / "segments").chmod(0o500)
    with pytest.raises(vs.StorageError):
        c.compact(purge=True)


def test_a_purge_names_what_it_could_not_remove(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = fill(root)
    victim = sorted((root / "segments").glob("*.arrow"))[0]
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path == victim:
            raise PermissionError(13, "Permission denied")
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    c.delete([1])
    with pytest.raises(vs.StorageError, match=victim.name):
        c.compact(purge=True)
    assert not [path for path in (root / "segments").iterdir() if path != victim]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes files of some name impossible to remove, also for root."""
    real = os.unlink

    def hold(name: str) -> None:
        def unlink(path: str | Path, *, dir_fd: int | None = None) -> None:
            if name and name in Path(path).name:
                raise PermissionError(errno.EPERM, "Operation not permitted")
            real(path, dir_fd=dir_fd)

        monkeypatch.setattr(os, "unlink", unlink)

    return hold


def leftover(folder: Path) -> Path:
    """What a killed writer left in its folder."""
    folder.mkdir(parents=True)
    (folder / "good.arrow").write_bytes(b"x")
    (folder / "held.arrow").write_bytes(b"x")
    return folder


def test_a_change_names_what_it_could_not_remove(root: Path, held: Callable[[str], None]) -> None:
    c = fill(root)
    dead = leftover(root / "staging" / f"work-{'a' * 32}")
    held("held.arrow")
    with pytest.warns(RuntimeWarning, match=f"could not be removed: .*{dead.name}/held.arrow: Op"):
        c.add([{"id": 5, "vector": [1.0, 0, 0, 0]}])
    assert [path.name for path in dead.iterdir()] == ["held.arrow"]  # the others are gone
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # told once
        c.add([{"id": 6, "vector": [1.0, 0, 0, 0]}])
    held("")
    vs.open(root).add([{"id": 7, "vector": [1.0, 0, 0, 0]}])
    assert not dead.exists()


def test_a_folder_that_another_process_locks_meanwhile_is_left_to_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its LOCK is removed, another process may make a new one, and removes the folder then."""
    c = fill(root)
    real, locked = os.rmdir, []

    def rmdir(path: str, *, dir_fd: int | None = None) -> None:
        if Path(path).name.startswith("work-") and not locked:
            locked.append(Path(path))
            (Path(path) / "LOCK").touch()
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", rmdir)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        c.add([{"id": 5, "vector": [1.0, 0, 0, 0]}])
        assert len(locked) == 1 and locked[0].exists()
        c.add([{"id": 6, "vector": [1.0, 0, 0, 0]}])
    assert not list((root / "staging").glob("work-*"))


def test_old_versions_that_cannot_be_removed_are_named(
    root: Path, held: Callable[[str], None]
) -> None:
    c = fill(root)
    held("00000001.json")
    with pytest.warns(RuntimeWarning, match=r"00000001\.json: Operation not permitted"):
        for n in range(20):
            c.add([{"id": 1, "vector": [2.0, n, 0, 0]}], on_conflict="replace")
    assert (root / "manifests" / "00000001.json").exists()
    with pytest.raises(vs.StorageError, match=r"00000001\.json: Operation not permitted"):
        c.compact(purge=True)


def test_leftovers_of_a_backup_that_cannot_be_removed_are_named(
    root: Path, tmp_path: Path, held: Callable[[str], None]
) -> None:
    c = fill(root)
    left = leftover(tmp_path / f".copy.vs-{'b' * 32}.part")
    held("held.arrow")
    with pytest.warns(RuntimeWarning, match=f"{left.name}/held.arrow: Operation not permitted"):
        c.backup(tmp_path / "copy.vs")
    assert len(vs.open(tmp_path / "copy.vs")) == len(c)


def test_what_a_failed_first_add_leaves_is_named(
    tmp_path: Path, held: Callable[[str], None]
) -> None:
    held("LOCK")
    with (
        pytest.raises(vs.VecsearchError),
        pytest.warns(RuntimeWarning, match="LOCK: Operation not permitted"),
        removed_on_error(tmp_path / "c.vs", [1]),
    ):
        fill(tmp_path / "c.vs", 0)
        raise vs.InvalidInputError("stop")


def test_vectors_of_a_finished_add_that_cannot_be_removed_are_named(
    root: Path, held: Callable[[str], None]
) -> None:
    c = vs.create(root, embedder="toy:4", limits=vs.Limits(window_rows=2))
    held(".arrow")
    with pytest.warns(RuntimeWarning, match=r"staging/vectors-.*\.arrow: Operation not permitted"):
        c.add([{"id": n, "text": f"text {n}"} for n in range(6)])
    assert len(c) == 6


def test_folders_of_killed_writers_go_at_the_next_change(root: Path) -> None:
    c = fill(root)
    dead, alive = (root / "staging" / f"work-{digit * 32}" for digit in "ab")
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "large.arrow").write_bytes(b"x" * 1000)
    lock = locks.try_lock_exclusive(alive / "LOCK", create=True)
    assert lock is not None
    with lock:
        c.add([{"id": 5, "vector": [1.0, 0, 0, 0]}])
        assert not dead.exists() and alive.exists()
    shutil.rmtree(alive)


def test_a_fingerprint_is_no_path(root: Path) -> None:
    class Model:
        name, dim = "m", 2

        def fingerprint(self) -> str:
            return "a/../../../docs/"

        def embed_documents(self, documents: list[str]) -> np.ndarray:
            return np.ones((len(documents), 2), np.float32)

        embed_queries = embed_documents

    docs = root.parent / "docs"
    docs.mkdir()
    (docs / "mine.arrow").write_text("mine")
    c = vs.create(root, embedder=Model())
    (root / "staging" / "vectors-a").mkdir()
    c.add([{"id": 1, "text": "a"}])
    c.add([{"id": 1, "text": "a"}], on_conflict="replace")
    assert (docs / "mine.arrow").exists()


@pytest.mark.parametrize("seen", [np.arange(3), np.inf, np.zeros(2, "i4,i4")])
def test_a_damaged_sample_of_queries_is_as_good_as_none(tmp_path: Path, seen: object) -> None:
    np.savez(tmp_path / "sample.npz", seen=seen, vectors=np.ones((1, 2), "f4"), kind="k")
    assert read_sample(tmp_path, 2, "k")[0] == 0
