"""A sample of a collection's real queries, and a watch over what its searches reach. Off unless the collection asks for it.

Kept are query vectors as they are compared, never texts: a uniform sample of all queries asked (a reservoir, after Vitter,
"Random Sampling with a Reservoir", 1985). Queries gather in memory; now and then, in a thread of its own, and when a
collection is closed, they are merged into one file, `queries/sample.npz`. Losing some is no loss, so nothing is synced, no
search waits for the file, and where it cannot be written one warning says so.

While sampling, a few searches are run again both by plan and exactly. When their recall lies below what was asked for, by more
than chance, a RecallWarning says so, once for each version.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
import warnings
import weakref
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from vecsearch.common.arrays import Scores, Vectors
from vecsearch.errors import InvalidInputError
from vecsearch.evaluation.recall_watch import Watch
from vecsearch.query.searcher import Searcher
from vecsearch.storage import locks
from vecsearch.storage.garbage import remove_query_sample
from vecsearch.storage.layout import QUERIES
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.store import Store

SETTING = "sample_queries"
SAMPLE = "sample.npz"
MOST = 1_000_000
FLUSH_SECONDS = 60.0
CHECK_ONE_IN = 20  # searches, at most; and


def sampled(manifest: Manifest) -> int:
    """How many queries a collection keeps; 0: it does not sample."""
    return int(manifest.settings.get(SETTING, 0))


def set_sampling(store: Store, count: int) -> int:
    """Switch sampling on, at most `count` queries being kept, or off (0), which removes the sample; the version committed."""
    check_count(count)
    with store.locked() as latest:
        manifest = latest.manifest
        version = manifest.version
        if sampled(manifest) != count:
            rest = {name: value for name, value in manifest.settings.items() if name != SETTING}
            following = manifest.next(SETTING, settings=rest | ({SETTING: count} if count else {}))
            store.commit(None, following)
            version = following.version
    if not count:
        remove_query_sample(store.root)
    return version


def check_count(count: int) -> None:
    """Raises InvalidInputError."""
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MOST:
        raise InvalidInputError(
            f"cannot sample {count!r} queries; give a whole number from 0 (off) to {MOST:,}"
        )


def query_log(current: QueryLog | None, root: Path, manifest: Manifest) -> QueryLog | None:
    """The log for a version: the one there is where it fits, another, or none where the collection does not sample."""
    if current is not None and current.kept_for == (sampled(manifest), kind_of(manifest)):
        return current
    if current is not None:
        if not sampled(manifest):
            current.forget()
        current.close()
    return QueryLog(root, manifest) if sampled(manifest) else None


class Reservoir:
    """A uniform sample of what was offered: each of `seen` vectors is in it with the same chance."""

    def __init__(
        self, capacity: int, rng: np.random.Generator, seen: int = 0, vectors: Vectors | None = None
    ) -> None:
        self.capacity = capacity
        self.seen = seen
        self._rng = rng
        self._vectors: list[Scores] = [] if vectors is None else list(vectors)

    def offer(self, vector: Scores) -> None:
        self.seen += 1
        if len(self._vectors) < self.capacity:
            self._vectors.append(vector.copy())
            return
        place = int(self._rng.integers(self.seen))
        if place < self.capacity:
            self._vectors[place] = vector.copy()

    def merged(self, other: Reservoir) -> Reservoir:
        """A sample of what both have seen together: how many come from each is hypergeometric."""
        both = self.seen + other.seen
        wanted = min(self.capacity, both)
        mine = int(self._rng.hypergeometric(self.seen, other.seen, wanted)) if wanted else 0
        mine = min(
            max(mine, wanted - len(other._vectors)), len(self._vectors)
        )  # a smaller reservoir may hold fewer
        chosen = self._drawn(self._vectors, mine) + self._drawn(
            other._vectors, min(wanted - mine, len(other._vectors))
        )
        return Reservoir(
            self.capacity, self._rng, both, np.array(chosen, np.float32) if chosen else None
        )

    def _drawn(self, vectors: list[Scores], count: int) -> list[Scores]:
        return [vectors[place] for place in self._rng.permutation(len(vectors))[:count]]

    def matrix(self, dim: int) -> Scores:
        """float32 (count, dim)."""
        return np.array(self._vectors, np.float32).reshape(-1, dim)


class QueryLog:
    """The sample of one collection, as one process adds to it. Thread-safe; `flush` runs at the end of the process too."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.kept_for = (sampled(manifest), kind_of(manifest))
        self.watch = Watch()
        self._state = _State(root / QUERIES, manifest.dim, kind_of(manifest), sampled(manifest))
        self._end = weakref.finalize(self, self._state.flush)
        self._searches = 0

    def note(
        self,
        searcher: Searcher,
        queries: Vectors,
        k: int,
        kept: RowSelection,
        target: float,
        *,
        exact: bool,
    ) -> None:
        """Some queries (float32 (n, dim), as compared) were asked: sample them, and look now and then what a search reached."""
        self._state.offer(queries)
        self._searches += 1
        if not exact and kept.count and self._searches % CHECK_ONE_IN == 0:
            self.watch.look(searcher, queries[0], k, kept, target)

    def flush(self) -> None:
        self._state.flush()

    def forget(self) -> None:
        """Drop what is in memory."""
        self._state.forget()

    def close(self) -> None:
        """Write what is in memory."""
        self._end()


class _State:
    """What `QueryLog` holds and a finalizer may outlive: the queries that are not in the file yet."""

    def __init__(self, folder: Path, dim: int, kind: str, capacity: int) -> None:
        self.folder = folder
        self.dim = dim
        self.kind = kind
        self.capacity = capacity
        self._rng = np.random.default_rng()
        self._fresh = Reservoir(capacity, self._rng)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._written = time.monotonic()
        self._warned = False
        self._process = os.getpid()

    def offer(self, queries: Vectors) -> None:
        with self._lock:
            if self._process != os.getpid():  # a fork: the parent writes what it saw
                self._process, self._fresh = os.getpid(), Reservoir(self.capacity, self._rng)
            for query in queries:
                self._fresh.offer(query)
            due = time.monotonic() - self._written > FLUSH_SECONDS
            if due:
                self._written = time.monotonic()
        if due:
            threading.Thread(target=self.flush, name="vecsearch-queries", daemon=True).start()

    def forget(self) -> None:
        with self._lock:
            self._fresh = Reservoir(self.capacity, self._rng)

    def flush(self) -> None:
        """Merge what is new into the file. Not being able to is a warning, once; what another process is writing is waited for
        a moment at most, and else left for the next time."""
        if self._process != os.getpid() or not self._writing.acquire(blocking=False):
            return
        with self._lock:
            fresh, self._fresh = self._fresh, Reservoir(self.capacity, self._rng)
        try:
            done = not fresh.seen or self._write(fresh)
        except OSError as error:
            done = False
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"sampled queries cannot be kept: {error}", RuntimeWarning, stacklevel=2
                )
        finally:
            self._writing.release()
        if not done:
            with self._lock:
                self._fresh = self._fresh.merged(fresh)

    def _write(self, fresh: Reservoir) -> bool:
        self.folder.mkdir(exist_ok=True)
        lock = locks.try_lock_exclusive(self.folder / "LOCK", create=True)
        for _ in range(10):
            if lock is not None:
                break
            time.sleep(0.01)
            lock = locks.try_lock_exclusive(self.folder / "LOCK", create=True)
        if lock is None:
            return False
        with lock:
            seen, vectors = read_sample(self.folder, self.dim, self.kind)
            merged = fresh.merged(
                Reservoir(self.capacity, self._rng, seen, vectors[: self.capacity])
            )
            part = self.folder / f".{uuid.uuid4().hex}.tmp"
            try:
                with part.open("wb") as file:
                    kept, seen_by_all = merged.matrix(self.dim), np.int64(merged.seen)
                    np.savez(
                        file,
                        allow_pickle=False,
                        seen=seen_by_all,
                        vectors=kept,
                        kind=np.str_(self.kind),
                    )
                part.replace(self.folder / SAMPLE)
            finally:
                part.unlink(missing_ok=True)
            for left in self.folder.glob(".*.tmp"):  # of one that was killed here
                left.unlink(missing_ok=True)
        return True


def kind_of(manifest: Manifest) -> str:
    """What queries must share to be compared with the same rows: another model makes other vectors."""
    return f"{manifest.dim} {manifest.metric} {manifest.embedder.fingerprint if manifest.embedder else ''}"


def read_sample(folder: Path, dim: int, kind: str) -> tuple[int, Scores]:
    """How many queries were seen, and those kept: float32 (count, dim). Nothing where no file can be read, or it is of another
    model's queries."""
    with contextlib.suppress(OSError, ValueError, KeyError, EOFError, BadZipFile):
        with np.load(folder / SAMPLE, allow_pickle=False) as arrays:
            seen, vectors, of = int(arrays["seen"]), arrays["vectors"], str(arrays["kind"])
        fits = (
            of == kind
            and vectors.dtype == np.float32
            and vectors.shape[1:] == (dim,)
            and seen >= len(vectors)
        )
        if fits and np.isfinite(vectors).all():
            return seen, vectors
    return 0, np.empty((0, dim), np.float32)


def sampled_queries(root: Path, manifest: Manifest) -> Scores:
    """The sample of a collection: float32 (count, dim). Raises InvalidInputError where there is none."""
    _, vectors = read_sample(root / QUERIES, manifest.dim, kind_of(manifest))
    if not len(vectors):
        off = not sampled(manifest)
        raise InvalidInputError(
            f"no queries were sampled in {root} yet",
            hint="sample_queries(2000) switches sampling on" if off else "",
            command_hint=f"`vecsearch sample {root} 2000` switches sampling on" if off else "",
        )
    return vectors
