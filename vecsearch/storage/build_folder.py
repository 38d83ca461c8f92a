"""A folder in staging for the files of a build that is under way."""

from __future__ import annotations

import shutil
import uuid
import weakref
from pathlib import Path

from vecsearch.errors import StorageError
from vecsearch.storage import locks
from vecsearch.storage.disk import storage_errors
from vecsearch.storage.layout import BUILD_CACHE, STAGING
from vecsearch.storage.locks import FileLock


class BuildFolder:
    """A new folder that is removed with this object. What a killed process leaves, the next commit
    removes.

    Attributes:
        path: The folder.

    Raises:
        StorageError: It cannot be made.
    """

    def __init__(self, root: Path) -> None:
        """root: the collection."""
        while True:
            self.path = root / STAGING / f"{BUILD_CACHE}{uuid.uuid4().hex}"
            with storage_errors("writing", self.path):
                self.path.mkdir(parents=True)
                try:
                    lock = locks.try_lock_exclusive(self.path / "LOCK", create=True)
                except FileNotFoundError:  # garbage collection was faster than the lock
                    continue
            if lock is not None and (self.path / "LOCK").exists():
                break
            if lock is None:
                raise StorageError(f"another process holds the new folder {self.path}")
            lock.release()
        weakref.finalize(self, _remove, self.path, lock)


def _remove(path: Path, lock: FileLock) -> None:
    shutil.rmtree(path, ignore_errors=True)
    lock.release()
