"""Advisory file locks: for one writer at a time, and for readers that keep a version in use."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from vecsearch.common.deadline import check_time
from vecsearch.errors import LockTimeoutError
from vecsearch.storage.disk import storage_errors


class FileLock:
    """An advisory lock on an open file (flock). The system releases it when its holder dies.

    A forked child shares the locks of its parent. It may go on reading, so a shared lock holds
    until both have released it. It is not a second writer, so only the process that took an
    exclusive lock can release it. A lock that nothing refers to any more is released, so that
    Ctrl-C at any moment leaves none behind.
    """

    def __init__(self, path: Path, flags: int, operation: int) -> None:
        """Open a file and lock it. Raises BlockingIOError, or another OSError."""
        self.path = path
        self._descriptor: int | None = None
        self._writer = os.getpid() if operation & fcntl.LOCK_EX else None
        try:
            self._descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._descriptor, operation)
        except BaseException:
            self.release()
            raise

    def is_in_place(self) -> bool:
        """Whether the locked file is still the one at its path."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except OSError:
            return False

    def release(self) -> None:
        descriptor = self._descriptor
        if descriptor is not None:
            if self._writer == os.getpid():
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            self._descriptor = None
            os.close(descriptor)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


def lock_shared(path: Path) -> FileLock:
    """Mark a file as in use. Blocks only while garbage collection looks at the file.

    Raises FileNotFoundError, StorageError.
    """
    with storage_errors("locking", path):
        try:
            return FileLock(path, os.O_RDONLY, fcntl.LOCK_SH)
        except FileNotFoundError:
            pass
    raise FileNotFoundError(errno.ENOENT, "the file was removed", str(path))


def try_lock_exclusive(path: Path, *, create: bool = False) -> FileLock | None:
    """Take the lock if nobody else holds it; None otherwise, at once."""
    flags = os.O_RDWR | os.O_CREAT if create else os.O_RDONLY
    try:
        return FileLock(path, flags, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None


def lock_exclusive(path: Path, timeout: float) -> FileLock:
    """Take the lock within `timeout` seconds. Raises LockTimeoutError."""
    deadline = time.monotonic() + timeout
    pause = 0.001
    with storage_errors("locking", path):
        while (lock := try_lock_exclusive(path, create=True)) is None:
            if time.monotonic() >= deadline:
                check_time()
                raise LockTimeoutError(
                    f"another writer has held {path} for {timeout:g} s",
                    hint="wait for it, or pass a longer lock_timeout",
                    command_hint="wait for it, then run the command again",
                )
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
    return lock
