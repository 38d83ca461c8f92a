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
from collections.abc import Iterator
from pathlib import Path

from vecsearch.errors import ConflictError, CorruptedError, LockTimeoutError
from vecsearch.storage import disk, locks, log
from vecsearch.storage.layout import (
    BUILD_CACHE,
    BUILD_INFO,
    DAMAGED,
    INDEXES,
    MANIFESTS,
    MODELS,
    QUERIES,
    SEGMENTS,
    STAGING,
    VECTOR_CACHE,
)
from vecsearch.storage.locks import FileLock
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.snapshot import Snapshot, open_snapshot
from vecsearch.storage.staging import Staging, place_of

SLACK_VERSIONS = 8  # versions past the retention rule before a commit collects garbage, so that not every commit does


def rows_of(manifest: Manifest) -> list[list[str | None]]:
    """What says which rows a version has: each segment with its tombstones, as names, which are never used again."""
    return [
        [entry.name, entry.tombstones.name if entry.tombstones else None]
        for entry in manifest.segments
    ]


def _rows_in(folder: Path) -> object:
    """The rows an interrupted build was of; None when that cannot be read."""
    try:
        return json.loads((folder / BUILD_INFO).read_text(encoding="utf-8"))["segments"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Store:
    """A collection's folder, with the files this process has open."""

    def __init__(self, root: Path, lock_timeout: float) -> None:
        self.root = root
        self.files = OpenFiles(root)
        self.lock_timeout = lock_timeout
        self._threads = (
            threading.Lock()
        )  # flock is per open file; this orders the threads of one Store cheaply

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
                    lock = locks.try_lock_exclusive(folder / "LOCK", create=True)
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
                f"another thread has been writing to {self.root} for {timeout:g} s",
                hint="wait for it, or pass a longer lock_timeout",
                command_hint="wait for it, then run the command again",
            )
        try:
            with locks.lock_exclusive(self.root / "LOCK", max(deadline - time.monotonic(), 0)):
                for place in (
                    SEGMENTS,
                    INDEXES,
                    STAGING,
                ):  # a copy may have left out what was empty
                    (self.root / place).mkdir(exist_ok=True)
                yield self.snapshot()
        finally:
            self._threads.release()

    def commit(self, staging: Staging | None, version: Manifest) -> None:
        """Publish a version (the lock is held). Either all of it is there afterwards, or nothing of it."""
        try:
            changed = staging.publish(version) if staging is not None else set()
            log.commit(self.root, version, changed)
        except BaseException:
            if staging is not None and not log.path_of(self.root, version.version).exists():
                staging.withdraw()
            raise
        if len(log.versions(self.root)) > version.keep_versions + SLACK_VERSIONS:
            with contextlib.suppress(
                OSError, CorruptedError
            ):  # the version is made; its garbage waits for a later commit
                self.collect(version.keep_versions)

    def collect(self, keep_versions: int) -> list[int]:
        """Remove versions past the retention rule and files no version needs (the lock is held). What a reader holds
        stays; returns the versions that could not be removed for that reason."""
        present = log.versions(self.root)
        held = []
        for version in present[:-keep_versions]:
            path = log.path_of(self.root, version)
            lock = locks.try_lock_exclusive(path)
            if lock is None:
                held.append(version)
                continue
            with lock:
                disk.remove(path)
        disk.sync_folder(
            self.root / MANIFESTS
        )  # or a power loss could bring versions back whose files are gone
        kept = [log.load(self.root, version) for version in log.versions(self.root)]
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
        with locks.lock_exclusive(self.root / QUERIES / "LOCK", 10.0):
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
            held = [version for version in self.collect(1) if version != latest.manifest.version]
            shutil.rmtree(self.root / DAMAGED, ignore_errors=True)
            for place in (SEGMENTS, INDEXES, STAGING, MODELS):
                if place != MODELS or (self.root / place).exists():
                    disk.sync_folder(self.root / place)
        if held:
            raise ConflictError(
                f"readers still hold version {', '.join(map(str, held))} of {self.root}, "
                "so their files could not be removed",
                hint="close them and call compact(purge=True) again",
                command_hint="close them and run `vecsearch compact --purge` again",
            )

    @staticmethod
    def _remove_dead(folder: Path) -> None:
        """Remove a staging folder whose writer is gone: nobody holds its lock, or it died before it made one."""
        try:
            lock = locks.try_lock_exclusive(folder / "LOCK", create=True)
        except FileNotFoundError:
            return  # its owner removed it just now
        if lock is not None:
            with lock:
                shutil.rmtree(folder, ignore_errors=True)
