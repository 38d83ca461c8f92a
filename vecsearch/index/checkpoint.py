"""Checkpoints: an interrupted build resumes from the partly filled index in staging.

`staging/build-<key>/` holds `rows-<n>.faiss`, an index of n rows, and `build.json`, which names it
with its checksum and says what it is part of: recipe, seed, segments, number of rows. The key is a
digest of all that decides what the index will be, so only a build of the same index finds it. An
incomplete or damaged checkpoint is ignored.

Each checkpoint holds at least twice the rows of the one before, and all together hold no more than
the index: so a build writes at most twice its index, and an interruption repeats at most half of
the longest part, and what comes after it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from vecsearch.errors import CorruptedError
from vecsearch.index.faiss import FaissIndex, read_index
from vecsearch.storage import disk, locks
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.layout import BUILD_CACHE, BUILD_INFO, STAGING
from vecsearch.storage.locks import FileLock

FORMAT = 1
EVERY_SECONDS = 30.0  # between two checkpoints of a long fill
SHORT_SECONDS = 5.0  # a shorter fill is quicker to repeat than to checkpoint
WRITING_SHARE = 0.1  # share of the build time that checkpoints may take


class Checkpoint:
    """The checkpoint of one build.

    A second build of the same index at the same time does without one.
    """

    def __init__(self, root: Path, identity: Mapping[str, Any]) -> None:
        """Find the folder of a checkpoint; nothing is written before the first `offer`.

        Args:
            root: Folder of the collection.
            identity: All that decides what the index will be, as JSON values.
        """
        self.root = root
        self.identity = dict(identity) | {"format": FORMAT}
        text = json.dumps(self.identity, sort_keys=True)
        key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        self.folder = root / STAGING / f"{BUILD_CACHE}{key}"
        self.saved_rows = 0
        self._written_rows = 0
        self._lock: FileLock | None = None
        self._started = self._last = time.monotonic()
        self._pause = EVERY_SECONDS

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def load(self) -> FaissIndex | None:
        """The partly filled index of an interrupted build; None if there is no usable one."""
        if not self.folder.is_dir() or not self._acquire():
            return None
        try:
            info = json.loads((self.folder / BUILD_INFO).read_text(encoding="utf-8"))
            if {name: info[name] for name in self.identity} != self.identity:
                return None
            ref = FileRef(**info["file"])
            CheckedFile(self.root, ref).verify_all()
            index = read_index(self.root / ref.name, mmap=False)
            if index.n != info["rows_added"]:
                return None
        except (OSError, ValueError, KeyError, TypeError, CorruptedError):
            return None
        self.saved_rows = index.n
        return index

    def offer(self, index: FaissIndex, rows: int) -> None:
        """Write a checkpoint if one is due. Write errors are ignored.

        Args:
            index: The index so far.
            rows: How many rows it will have; a complete index is always due.
        """
        now = time.monotonic()
        whole = index.n == rows and now - self._started >= SHORT_SECONDS
        doubled = index.n >= 2 * self.saved_rows and now - self._last >= self._pause
        if index.n <= self.saved_rows or not (whole or doubled):
            return
        if self._written_rows + index.n > rows:
            return
        with contextlib.suppress(OSError):  # StorageError is one
            self._write(index)
        self._last = time.monotonic()
        self._pause = max(EVERY_SECONDS, (self._last - now) / WRITING_SHARE)

    def _write(self, index: FaissIndex) -> None:
        if not self._acquire():
            return
        name = f"rows-{index.n}.faiss"
        disk.write_file(self.folder / f"{name}.part", index.write_part)
        ref = disk.describe(
            self.root, self.folder / f"{name}.part", f"{STAGING}/{self.folder.name}/{name}"
        )
        disk.move(self.folder / f"{name}.part", self.folder / name)
        disk.sync_folder(self.folder)
        info = self.identity | {"rows_added": index.n, "file": msgspec.structs.asdict(ref)}
        text = json.dumps(info, indent=1, sort_keys=True)
        part = self.folder / f"{BUILD_INFO}.part"
        disk.write_text(part, text)
        disk.move(part, self.folder / BUILD_INFO)
        disk.sync_folder(self.folder)
        self.saved_rows = index.n
        self._written_rows += index.n
        for path in self.folder.iterdir():
            if path.name not in (name, BUILD_INFO, "LOCK"):
                disk.remove(path)

    def _acquire(self) -> bool:
        """Lock the folder; False if another build holds it, or it cannot be created."""
        if self._lock is None:
            with contextlib.suppress(OSError):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = locks.try_lock_exclusive(self.folder / "LOCK", create=True)
        return self._lock is not None and (self.folder / "LOCK").exists()
