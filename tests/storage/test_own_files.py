"""Only what vecsearch made is removed, nothing outside the folder; purge proves what it says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.evaluation.query_sample import read_sample
from vecsearch.storage import locks

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
