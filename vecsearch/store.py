"""The folder of a collection, for writers: staging, the writer's lock, commits, and garbage collection.

    papers.vs/
      LOCK                   held by the one writer during a commit
      manifests/             one numbered JSON file a version
      segments/              Arrow files: segments, their sorted ids, tombstones
      indexes/               FAISS files and label maps
      models/<name>/         an embedder that was trained, as it saves itself
      staging/<name>/        files being written; each folder is locked by its writer, so a dead writer's is recognised
      queries/               a sample of the queries asked, where the collection keeps one
      damaged/               what `repair` set aside

Long work (embedding, training) happens in staging without the writer's lock. A commit takes the lock, looks at the latest
version again, moves the staged files to their places and publishes the next manifest.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch import disk, manifest
from vecsearch.disk import FileLock, FileRef
from vecsearch.errors import ConflictError, CorruptedError, LockTimeoutError
from vecsearch.ids import write_ids
from vecsearch.manifest import INDEXES, MANIFESTS, MODELS, SEGMENTS, STAGING, Manifest, SegmentEntry
from vecsearch.segment import Segment, write_batch
from vecsearch.snapshot import OpenFiles, Snapshot, open_snapshot, read_rows
from vecsearch.types import CHUNK, ID

VECTOR_CACHE = "vectors-"  # staging folders that keep an interrupted add's vectors: no lock, kept for its next try
BUILD_CACHE = "build-"  # staging folders that keep an interrupted build's index; each has a LOCK while it is being written
BUILD_FACTS = "build.json"
DAMAGED = "damaged"
QUERIES = "queries"  # a sample of the queries asked, in collections that keep one
SLACK_VERSIONS = 8  # versions past the retention rule before a commit collects garbage, so that not every commit does


class Staging:
    """Files written but not yet part of any version. Each already has the name it will be known by."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self._staged: dict[str, Path] = {}
        self._moved: list[Path] = []

    def write(self, place: str, suffix: str, write: Callable[[Path], None]) -> FileRef:
        """Write one file that will live below `place` ("segments", "indexes")."""
        name = f"{uuid.uuid4().hex}{suffix}"
        path = self.folder / name
        disk.write_file(path, write)
        final = f"{place}/{name}"
        self._staged[final] = path
        return disk.describe(self.root, path, final)

    def write_model(self, prefix: str, save: Callable[[Path], None]) -> tuple[FileRef, ...]:
        """Let `save` write a new folder, syncing what it writes; it will live below "models". Its files."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        path = self.folder / name
        save(path)
        self._staged[f"{MODELS}/{name}"] = path
        files = sorted(item for item in path.rglob("*") if item.is_file())
        return tuple(disk.describe(self.root, item, f"{MODELS}/{name}/{item.relative_to(path).as_posix()}") for item in files)

    def write_segment(self, batch: pa.RecordBatch) -> SegmentEntry:
        """Write a segment and its id file. Raises StorageError before writing when they will not fit."""
        disk.require_space(self.folder, batch.nbytes)
        file = self.write(SEGMENTS, ".arrow", lambda path: write_batch(path, batch))
        ids = self.write(SEGMENTS, ".ids.arrow", lambda path: write_ids(path, batch.column(ID)))
        return SegmentEntry(file, ids, batch.num_rows, count_documents(batch))

    def write_rows(self, place: str, suffix: str, rows: npt.NDArray[np.integer]) -> FileRef:
        """Write a file of row numbers (tombstones: uint32; labels: int64)."""
        return self.write(place, suffix, lambda path: write_batch(path, pa.record_batch({"row": rows})))

    def open_segment(self, entry: SegmentEntry) -> Segment:
        """Open a segment that is still in staging."""
        path = self._staged[entry.name]
        return Segment(path.parent, replace(entry.file, name=path.name), entry.rows)

    def path_of(self, ref: FileRef) -> Path:
        return self._staged[ref.name]

    def bury(self, entry: SegmentEntry, segment: Segment, rows: npt.NDArray[np.int64]) -> SegmentEntry:
        """The entry of a segment after some more of its rows are deleted."""
        before = np.empty(0, np.int64)
        if entry.tombstones is not None:
            staged = self._staged.get(entry.tombstones.name)
            home, ref = (
                (self.root, entry.tombstones)
                if staged is None
                else (staged.parent, replace(entry.tombstones, name=staged.name))
            )
            before = read_rows(home, ref)
        dead = np.union1d(before, rows)
        live = np.ones(entry.rows, bool)
        live[dead] = False
        documents = int(np.count_nonzero(live))
        if CHUNK in segment.schema.names:
            documents = int(np.count_nonzero(segment.column(CHUNK).to_numpy()[live] == 0))
        tombstones = self.write_rows(SEGMENTS, ".dead.arrow", dead.astype(np.uint32))
        return replace(entry, tombstones=tombstones, deleted=len(dead), documents=documents)

    def publish(self, version: Manifest) -> set[str]:
        """Move what this version names to its places; the folders that got something."""
        wanted = dict.fromkeys(place_of(ref) for ref in version.files())
        moved = [name for name in wanted if name in self._staged]
        changed = {name.split("/")[0] for name in moved}
        if MODELS in changed and not (self.root / MODELS).exists():  # most collections have none
            with disk.storage_errors("creating", self.root / MODELS):
                (self.root / MODELS).mkdir(exist_ok=True)
            changed.add(".")
        for name in moved:
            disk.move(self._staged.pop(name), self.root / name)
            self._moved.append(self.root / name)
        return changed

    def withdraw(self) -> None:
        """Remove what was moved to its place for a version that was not made after all."""
        for path in self._moved:
            with contextlib.suppress(OSError):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    disk.remove(path)


def place_of(ref: FileRef) -> str:
    """What is moved as one and removed as one: the file, or the folder of a model it belongs to."""
    return "/".join(ref.name.split("/")[:2])


def rows_of(facts: Manifest) -> list[list[str | None]]:
    """What says which rows a version has: each segment with its tombstones, as names, which are never used again."""
    return [[entry.name, entry.tombstones.name if entry.tombstones else None] for entry in facts.segments]


def _rows_in(folder: Path) -> object:
    """The rows an interrupted build was of; None when that cannot be read."""
    try:
        return json.loads((folder / BUILD_FACTS).read_text(encoding="utf-8"))["segments"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def count_documents(batch: pa.RecordBatch) -> int:
    if CHUNK not in batch.schema.names:
        return int(batch.num_rows)
    return int(np.count_nonzero(batch.column(CHUNK).to_numpy() == 0))


class Store:
    """A collection's folder, with the files this process has open."""

    def __init__(self, root: Path, lock_timeout: float) -> None:
        self.root = root
        self.files = OpenFiles(root)
        self.lock_timeout = lock_timeout
        self._threads = threading.Lock()  # flock is per open file; this orders the threads of one Store cheaply

    def snapshot(self, version: int | None = None) -> Snapshot:
        return open_snapshot(self.root, self.files, version)

    @contextlib.contextmanager
    def staging(self) -> Iterator[Staging]:
        """A locked folder for files being written; what was not published is removed at the end."""
        folder, lock = self._own_folder()
        try:
            yield Staging(self.root, folder)
        finally:
            with lock:
                shutil.rmtree(folder, ignore_errors=True)

    def _own_folder(self) -> tuple[Path, FileLock]:
        """A new folder in staging with its lock, which a collector may take first for that of a dead writer's folder."""
        while True:
            folder = self.root / STAGING / f"work-{uuid.uuid4().hex}"
            with disk.storage_errors("writing", folder):
                folder.mkdir(parents=True)
                with contextlib.suppress(FileNotFoundError):
                    lock = disk.try_lock_exclusive(folder / "LOCK", create=True)
                    if lock is not None:
                        if (folder / "LOCK").exists():
                            return folder, lock
                        lock.release()

    @contextlib.contextmanager
    def locked(self) -> Iterator[Snapshot]:
        """Hold the writer's lock; gives the latest version, which stays the latest. Raises LockTimeoutError."""
        timeout = min(max(self.lock_timeout, 0), threading.TIMEOUT_MAX)
        deadline = time.monotonic() + timeout
        if not self._threads.acquire(timeout=timeout):
            raise LockTimeoutError(
                f"another thread has been writing to {self.root} for {timeout:g} s: wait for it, or pass a longer lock_timeout"
            )
        try:
            with disk.lock_exclusive(self.root / "LOCK", max(deadline - time.monotonic(), 0)):
                for place in (SEGMENTS, INDEXES, STAGING):  # a copy may have left out what was empty
                    (self.root / place).mkdir(exist_ok=True)
                yield self.snapshot()
        finally:
            self._threads.release()

    def commit(self, staging: Staging | None, version: Manifest) -> None:
        """Publish a version (the lock is held). Either all of it is there afterwards, or nothing of it."""
        try:
            changed = staging.publish(version) if staging is not None else set()
            manifest.commit(self.root, version, changed)
        except BaseException:
            if staging is not None and not manifest.path_of(self.root, version.version).exists():
                staging.withdraw()
            raise
        if len(manifest.versions(self.root)) > version.keep_versions + SLACK_VERSIONS:
            with contextlib.suppress(OSError, CorruptedError):  # the version is made; its garbage waits for a later commit
                self.collect(version.keep_versions)

    def collect(self, keep_versions: int) -> list[int]:
        """Remove versions past the retention rule and files no version needs (the lock is held). What a reader holds
        stays; returns the versions that could not be removed for that reason."""
        present = manifest.versions(self.root)
        held = []
        for version in present[:-keep_versions]:
            path = manifest.path_of(self.root, version)
            lock = disk.try_lock_exclusive(path)
            if lock is None:
                held.append(version)
                continue
            with lock:
                disk.remove(path)
        disk.sync_folder(self.root / MANIFESTS)  # or a power loss could bring versions back whose files are gone
        kept = [manifest.load(self.root, version) for version in manifest.versions(self.root)]
        needed = {place_of(ref) for version in kept for ref in version.files()}
        for place in (SEGMENTS, INDEXES):
            for path in (self.root / place).iterdir():
                if f"{place}/{path.name}" not in needed:
                    disk.remove(path)
        for path in (self.root / MODELS).glob("*"):
            if f"{MODELS}/{path.name}" not in needed:
                with disk.storage_errors("removing", path):
                    shutil.rmtree(path)
        for path in (self.root / MANIFESTS).glob(".*.tmp"):
            disk.remove(path)
        for folder in (self.root / STAGING).glob("work-*"):
            self._remove_dead(folder)
        rows = rows_of(kept[-1]) if kept else []
        for folder in (self.root / STAGING).glob(f"{BUILD_CACHE}*"):
            if _rows_in(folder) != rows:  # another build of these rows may still go on from it
                self._remove_dead(folder)
        self.files.keep_only(kept)
        return held

    def drop_builds(self) -> None:
        """Remove what interrupted builds left; a build that is running keeps its own."""
        for folder in (self.root / STAGING).glob(f"{BUILD_CACHE}*"):
            self._remove_dead(folder)

    def drop_queries(self) -> None:
        """Remove the sample of queries. Its LOCK stays, for another process may be about to take it."""
        if not (self.root / QUERIES).is_dir():
            return
        with disk.lock_exclusive(self.root / QUERIES / "LOCK", 10.0):
            for path in (self.root / QUERIES).iterdir():
                if path.name != "LOCK":
                    disk.remove(path)
            disk.sync_folder(self.root / QUERIES)

    def purge(self) -> None:
        """Remove every version but the latest, interrupted work, and whatever only they needed.

        Raises ConflictError naming versions that readers still hold; run it again when they are done.
        """
        with self.locked() as latest:
            for folder in (self.root / STAGING).glob(f"{VECTOR_CACHE}*"):
                shutil.rmtree(folder, ignore_errors=True)
            self.drop_builds()
            self.drop_queries()
            held = [version for version in self.collect(1) if version != latest.facts.version]
            shutil.rmtree(self.root / DAMAGED, ignore_errors=True)
            for place in (SEGMENTS, INDEXES, STAGING, MODELS):
                if place != MODELS or (self.root / place).exists():
                    disk.sync_folder(self.root / place)
        if held:
            raise ConflictError(
                f"readers still hold version {', '.join(map(str, held))} of {self.root}, so their files could not be removed: "
                "close them and call compact(purge=True) again"
            )

    @staticmethod
    def _remove_dead(folder: Path) -> None:
        """Remove a staging folder whose writer is gone: nobody holds its lock, or it died before it made one."""
        try:
            lock = disk.try_lock_exclusive(folder / "LOCK", create=True)
        except FileNotFoundError:
            return  # its owner removed it just now
        if lock is not None:
            with lock:
                shutil.rmtree(folder, ignore_errors=True)
