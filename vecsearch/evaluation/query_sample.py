"""A random sample of the queries that a collection is asked. Off unless the collection asks for it.

Query vectors are stored as they are compared, never texts. They are collected in memory, and merged
into one file, `queries/sample.npz`, by a thread of their own about once a minute and when a
collection is closed. Losing some does no harm, so nothing is synced, no search waits for the file,
and a file that cannot be written causes one warning.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
import warnings
import weakref
import zipfile
from pathlib import Path

import numpy as np

from vecsearch.common.arguments import is_whole
from vecsearch.common.arrays import Vectors
from vecsearch.common.fork import Lock
from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.evaluation.reservoir import Reservoir
from vecsearch.storage import locks
from vecsearch.storage.garbage import remove_query_sample
from vecsearch.storage.layout import LARGEST_SAMPLE, QUERIES, SAMPLE_SETTING
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.store import Store

SAMPLE = "sample.npz"
FLUSH_SECONDS = 60.0
LOCK_TRIES, LOCK_PAUSE = 10, 0.01  # for the file's lock, then it is left for the next time


def sample_size(manifest: Manifest) -> int:
    """How many queries a collection samples; 0 if it samples none."""
    return int(manifest.settings.get(SAMPLE_SETTING, 0))


def sample_kind(manifest: Manifest) -> str:
    """What queries must share to be used together: dimension, metric and model."""
    model = manifest.embedder.fingerprint if manifest.embedder else ""
    return f"{manifest.dim} {manifest.metric} {model}"


def set_sampling(store: Store, count: int) -> int:
    """Switch sampling on or off.

    Args:
        store: The collection.
        count: The most queries to store; 0 switches sampling off and removes the sample.

    Returns:
        The committed version.

    Raises:
        InvalidInputError: `count` is out of range.
    """
    count = check_count(count)
    with store.locked() as latest:
        manifest = latest.manifest
        version = manifest.version
        if sample_size(manifest) != count:
            settings = {
                name: value for name, value in manifest.settings.items() if name != SAMPLE_SETTING
            }
            if count:
                settings[SAMPLE_SETTING] = count
            following = manifest.next(SAMPLE_SETTING, settings=settings)
            store.commit(None, following)
            version = following.version
    if not count:
        remove_query_sample(store.root)
    return version


def check_count(count: int) -> int:
    """The sample size. Raises InvalidInputError unless it is a whole number from 0 to a million."""
    if not is_whole(count) or not 0 <= count <= LARGEST_SAMPLE:
        raise InvalidInputError(
            f"cannot sample {shown(count)} queries; give a whole number from 0 (off) to "
            f"{LARGEST_SAMPLE:,}"
        )
    return int(count)


def sampled_queries(root: Path, manifest: Manifest) -> Vectors:
    """The sample of a collection: float32, shape (n, dim).

    Raises:
        InvalidInputError: There is no sample.
    """
    _, vectors = read_sample(root / QUERIES, manifest.dim, sample_kind(manifest))
    if not len(vectors):
        off = not sample_size(manifest)
        raise InvalidInputError(
            f"no queries were sampled in {root} yet",
            hint="sample_queries(2000) switches sampling on" if off else "",
            command_hint=f"`vecsearch sample {root} 2000` switches sampling on" if off else "",
        )
    return vectors


def read_sample(folder: Path, dim: int, kind: str) -> tuple[int, Vectors]:
    """Read a sample.

    Args:
        folder: The folder `queries` of a collection.
        dim: The dimension of its vectors.
        kind: Its `sample_kind`.

    Returns:
        How many queries were asked, and the sample: float32, shape (n, dim). Nothing if the file is
        missing, damaged or of another kind.
    """
    with contextlib.suppress(Exception):  # a damaged file may raise anything
        with (
            (folder / SAMPLE).open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):
            parts = arrays.zip.infolist()
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
                return 0, np.empty((0, dim), np.float32)  # a forged one may unpack to anything
            seen, vectors = int(arrays["seen"]), arrays["vectors"]
            stored_kind = str(arrays["kind"])
        fits = (
            stored_kind == kind
            and vectors.dtype == np.float32
            and vectors.shape[1:] == (dim,)
            and seen >= len(vectors)
        )
        if fits and np.isfinite(vectors).all():
            return seen, vectors
    return 0, np.empty((0, dim), np.float32)


class QuerySampler:
    """Adds one process's queries to a collection's sample. Thread-safe.

    What is in memory is written when the object is closed or garbage-collected, and at the end of
    the process.
    """

    def __init__(self, root: Path, manifest: Manifest) -> None:
        folder, capacity = root / QUERIES, sample_size(manifest)
        self._pending = _PendingQueries(folder, manifest.dim, sample_kind(manifest), capacity)
        self._finalizer = weakref.finalize(self, self._pending.flush)

    def offer(self, queries: Vectors) -> None:
        """Offer queries, float32 (n, dim), as they are compared."""
        self._pending.offer(queries)

    def flush(self) -> None:
        """Write what is in memory."""
        self._pending.flush()

    def forget(self) -> None:
        """Drop what is in memory."""
        self._pending.forget()

    def close(self) -> None:
        """Write what is in memory, for the last time."""
        self._finalizer()


class _PendingQueries:
    """The queries that are not in the file yet; may outlive its sampler until they are written."""

    def __init__(self, folder: Path, dim: int, kind: str, capacity: int) -> None:
        self.folder = folder
        self.dim = dim
        self.kind = kind
        self.capacity = capacity
        self._rng = np.random.default_rng()
        self._reservoir = Reservoir(capacity, self._rng)
        self._lock = Lock()
        self._writing = Lock()
        self._written = time.monotonic()
        self._warned = False
        self._process = os.getpid()

    def offer(self, queries: Vectors) -> None:
        with self._lock:
            if self._process != os.getpid():  # a forked child: its parent writes what came before
                self._process = os.getpid()
                self._reservoir = Reservoir(self.capacity, self._rng)
            for query in queries:
                self._reservoir.offer(query)
            due = time.monotonic() - self._written > FLUSH_SECONDS
            if due:
                self._written = time.monotonic()
        if due:
            threading.Thread(target=self.flush, name="vecsearch-queries", daemon=True).start()

    def forget(self) -> None:
        self._take()

    def flush(self) -> None:
        """Merge the queries into the file, or keep them in memory if that is not possible now."""
        if self._process != os.getpid() or not self._writing.acquire(blocking=False):
            return
        queries = self._take()
        try:
            done = not queries.seen or self._write(queries)
        except OSError as error:
            done = False
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"sampled queries cannot be written: {error}", RuntimeWarning, stacklevel=2
                )
        finally:
            self._writing.release()
        if not done:
            with self._lock:
                self._reservoir = self._reservoir.merged(queries)

    def _take(self) -> Reservoir:
        """Empty the memory, and return what was in it."""
        with self._lock:
            queries, self._reservoir = self._reservoir, Reservoir(self.capacity, self._rng)
        return queries

    def _write(self, queries: Reservoir) -> bool:
        """Merge queries into the file; False while another process is writing it."""
        self.folder.mkdir(exist_ok=True)
        lock = self._try_lock()
        if lock is None:
            return False
        with lock:
            seen, vectors = read_sample(self.folder, self.dim, self.kind)
            stored = Reservoir(self.capacity, self._rng, seen, vectors[: self.capacity])
            self._replace_file(queries.merged(stored))
            for leftover in self.folder.glob(".*.tmp"):  # of a process that was killed here
                leftover.unlink(missing_ok=True)
        return True

    def _try_lock(self) -> locks.FileLock | None:
        for attempt in range(LOCK_TRIES):
            if attempt:
                time.sleep(LOCK_PAUSE)
            lock = locks.try_lock_exclusive(self.folder / "LOCK", create=True)
            if lock is not None:
                return lock
        return None

    def _replace_file(self, sample: Reservoir) -> None:
        part = self.folder / f".{uuid.uuid4().hex}.tmp"
        try:
            with part.open("wb") as file:
                np.savez(
                    file,
                    allow_pickle=False,
                    seen=np.int64(sample.seen),
                    vectors=sample.matrix(self.dim),
                    kind=np.str_(self.kind),
                )
            part.replace(self.folder / SAMPLE)
        finally:
            part.unlink(missing_ok=True)
