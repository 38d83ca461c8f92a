"""The folder of a collection, for writers: staging, the writer's lock, and commits.

    papers.vs/
      LOCK                   held by the one writer during a commit
      manifests/             one numbered JSON file for each version
      segments/              Arrow files: segments, their sorted ids, tombstones
      indexes/               FAISS files and label maps
      models/<name>/         a trained embedder, as it saves itself
      staging/<name>/        files being written; the writer locks its folder while it is alive
      queries/               a sample of the queries, in collections that keep one
      damaged/               what `repair` moved out of the way

Long work (embedding, training) happens in staging without the writer's lock. A commit takes the
lock, reads the latest version again, moves the staged files to their places, and publishes the next
manifest.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

from vecsearch.common.arguments import check_seconds
from vecsearch.common.deadline import check_time, seconds_left
from vecsearch.common.fork import Lock
from vecsearch.errors import (
    CollectionNotFoundError,
    ConflictError,
    CorruptedError,
    LockTimeoutError,
)
from vecsearch.storage import disk, garbage, locks, log
from vecsearch.storage.calibration_file import put_calibrations_apart
from vecsearch.storage.large_merges import LargeMerges
from vecsearch.storage.layout import INDEXES, SEGMENTS, STAGING
from vecsearch.storage.limits import DEFAULT_LIMITS, Limits, check_limits
from vecsearch.storage.locks import FileLock
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.origins import origin_of, pull, shown
from vecsearch.storage.own_files import Removal, require_real_folders
from vecsearch.storage.shards import in_shard_order
from vecsearch.storage.snapshot import Snapshot, open_snapshot
from vecsearch.storage.staging import Staging

SLACK_VERSIONS = 8  # a commit collects garbage once this many versions are past the retention rule


class _Turns(Lock):
    """Whose turn it is among the threads of one Store. Only the thread that has it can end it."""

    def release(self) -> None:
        with contextlib.suppress(RuntimeError):  # this thread does not have it
            super().release()


class _Turn:
    """One turn. It ends with this object, so that Ctrl-C at any moment ends it, too."""

    def __init__(self, turns: _Turns) -> None:
        self._turns: _Turns | None = turns

    def take(self, timeout: float) -> bool:
        return self._turns is not None and self._turns.acquire(timeout=timeout)

    def end(self) -> None:
        if self._turns is not None:
            self._turns.release()
            self._turns = None

    def __del__(self) -> None:
        self.end()


class Store:
    """A collection's folder, with the files this process has open."""

    def __init__(self, root: Path, lock_timeout: float, limits: Limits = DEFAULT_LIMITS) -> None:
        self.root = root
        self.files = OpenFiles(root)
        self.lock_timeout = check_seconds("lock_timeout", lock_timeout)
        self.limits = check_limits(limits)
        self._opened: Callable[[], Snapshot | None] = lambda: None  # the latest version, as opened
        self._warned = False  # that garbage cannot be removed
        self._threads = _Turns()  # flock would have threads of one Store poll for it
        # An upload at a time that nobody chose would be a surprise.
        self.large_merges = LargeMerges(inline=origin_of(root) is not None)

    def latest_version(self, *, pulled: bool = False) -> int | None:
        """The number of the latest version; None if there is none. `pulled`: as of `snapshot`."""
        if not pulled:
            pull(self.root)
        return next(iter(log.versions(self.root)[-1:]), None)

    def snapshot(self, version: int | None = None, *, pulled: bool = False) -> Snapshot:
        """Open one version, or the latest; the same object while it is in use and is the latest.

        Args:
            version: Its number; None for the latest.
            pulled: Whether a local copy was brought up to date just now.
        """
        if not pulled:
            pull(self.root)
        require_real_folders(self.root)
        opened = self._opened() if version is None else None
        if opened is None or not opened.is_latest():
            opened = open_snapshot(self.root, self.files, version)
        self.files.folder.check(opened.manifest)
        if version is None:
            self._opened = weakref.ref(opened)
        return opened

    @contextlib.contextmanager
    def staging(self) -> Iterator[Staging]:
        """A locked folder for files being written; what was not published is removed at the end."""
        self.files.folder.check()
        require_real_folders(self.root)
        removal = Removal()
        garbage.remove_dead_work(self.root, removal)
        folder, lock = self._new_staging_folder()
        try:
            yield Staging(self.root, folder, self._latest_manifest())
        finally:
            with lock:
                removal.remove(folder)
            self._warn_of(removal)

    def _latest_manifest(self) -> Manifest | None:
        """The latest version that can be read; None in a folder without one."""
        opened = self._opened()
        if opened is not None and opened.is_latest():
            return opened.manifest
        with contextlib.suppress(CorruptedError, CollectionNotFoundError):
            return log.load(self.root)
        return None

    def _new_staging_folder(self) -> tuple[Path, FileLock]:
        """A new folder with its lock; garbage collection may remove one that is not locked yet."""
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
    def locked(self, most: float = threading.TIMEOUT_MAX) -> Iterator[Snapshot]:
        """Hold the writer's lock. Yields the latest version, which stays the latest.

        most: Wait at most so many seconds, if that is less than `lock_timeout`.

        Raises LockTimeoutError; OperationTimeoutError if a time limit of the operation is shorter.
        """
        self.files.folder.check()
        timeout = min(self.lock_timeout, most)
        left = seconds_left()
        if left is not None:
            timeout = min(timeout, left + 0.001)
        deadline = time.monotonic() + timeout
        turn = _Turn(self._threads)
        if not turn.take(timeout):
            check_time()
            raise LockTimeoutError(
                f"another thread has been writing to {shown(self.root)} for {timeout:g} s",
                hint="wait for it, or pass a longer lock_timeout",
                command_hint="wait for it, then run the command again",
            )
        try:
            # Entered by `with` itself, in C: Ctrl-C inside an ExitStack would leave it locked.
            with locks.lock_exclusive(self.root / "LOCK", max(deadline - time.monotonic(), 0)):
                origin = origin_of(self.root)
                left = max(deadline - time.monotonic(), 0)
                with contextlib.nullcontext() if origin is None else origin.exclusive(left):
                    latest = self.snapshot()
                    for place in (SEGMENTS, INDEXES, STAGING):  # a copy may lack empty folders
                        (self.root / place).mkdir(exist_ok=True)
                    yield latest
        finally:
            turn.end()

    def commit(self, staging: Staging | None, version: Manifest) -> None:
        """Publish a version, all of it or nothing. The caller holds the lock."""
        self.files.folder.check(version)
        version = in_shard_order(version)
        if staging is not None:
            version = put_calibrations_apart(version, staging.write)
            version = staging.with_texts(version)
        try:
            changed = staging.publish(version) if staging is not None else set()
            log.commit(self.root, version, changed)
        except BaseException:
            if staging is not None and not log.path_of(self.root, version.version).exists():
                staging.withdraw()
            raise
        if len(log.versions(self.root)) > version.keep_versions + SLACK_VERSIONS:
            self._collect_or_warn(version.keep_versions)

    def _collect_or_warn(self, keep_versions: int) -> None:
        """The version is committed; garbage that cannot be removed waits for a later commit."""
        removal = Removal()
        try:
            garbage.collect(self.root, self.files, keep_versions, removal)
        except (OSError, CorruptedError) as error:
            removal.failures.append(str(error))
        self._warn_of(removal)

    def _warn_of(self, removal: Removal) -> None:
        """Name what could not be removed, once for each collection that is open."""
        if removal.failures and not self._warned:
            self._warned = True
            removal.warn()

    def purge(self) -> None:
        """Remove every version but the latest, interrupted work, and whatever only they needed.

        Raises:
            StorageError: Something could not be removed; the message names it.
            ConflictError: Readers hold older versions. Purge again when they are done.
        """
        self.large_merges.wait()  # it reads an older version
        with self.locked():
            gc.collect()  # what nobody uses any more holds no version: frames of an exception, say
            held = garbage.purge(self.root, self.files)
        if held:
            raise ConflictError(
                f"readers still hold version {', '.join(map(str, held))} of {shown(self.root)}, "
                "so their files could not be removed",
                hint="close them and call compact(purge=True) again",
                command_hint="close them and run `vecsearch compact --purge` again",
            )
