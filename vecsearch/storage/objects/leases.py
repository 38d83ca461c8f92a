"""Leases: objects that say that somebody is alive, in the place of file locks.

A lease is an object that its holder writes again at intervals. Whoever wants to know whether it is
still held compares two times of the storage's own clock: when the lease was last written, and when
an object was written just now. The clocks of the machines do not matter.

No lease decides what is committed: only the conditional write of a manifest does. A writer that
lost its lease unnoticed therefore gets a ConflictError, and harms nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import threading
import time
import uuid
import weakref
from collections.abc import Iterator
from datetime import datetime, timedelta

from vecsearch.common.deadline import check_time
from vecsearch.common.fork import Lock
from vecsearch.errors import LockTimeoutError, StorageError
from vecsearch.storage.objects.bucket import Bucket, Item, UnclearError

LEASES = "leases/"
WRITER = "LOCK"
READER_SECONDS = 600.0  # a lease that was last renewed so long ago has ended
WRITER_SECONDS = 30.0
RENEWALS = 3  # of a lease in its time
LONGEST_PAUSE = 0.5  # seconds between two looks at a lock that another holds


class Leases:
    """The leases of one collection that this process holds, renewed by a thread.

    A process that has no right to write reads without a lease. Then a version that is removed
    meanwhile is an error where one of its files is still missing, and never a wrong answer.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._lock = Lock()
        self._writing = Lock()  # what is released meanwhile is not written again
        self._held: dict[str, tuple[bytes, float]] = {}  # content, seconds between renewals
        self._done: list[str] = []
        self._wake = threading.Event()
        self._process = 0  # whose thread renews
        _LEASES.add(self)

    def hold(self, version: int) -> str:
        """Keep a version from being removed; the name of the lease."""
        name = f"{LEASES}{version:08d}-{uuid.uuid4().hex}"
        with contextlib.suppress(StorageError):
            content = _holder()
            self.bucket.put(name, content)
            self._renew(name, content, READER_SECONDS / RENEWALS)
        return name

    def release(self, name: str) -> None:
        """End a lease, soon: the thread removes the object."""
        with self._lock:
            if self._held.pop(name, None) is not None:
                self._done.append(name)
        self._wake.set()

    @contextlib.contextmanager
    def exclusive(self, timeout: float) -> Iterator[None]:
        """Be the only writer, if all goes well. Raises LockTimeoutError."""
        mine = _holder()
        self._take(mine, timeout)
        taken = time.monotonic()
        self._renew(WRITER, mine, WRITER_SECONDS / RENEWALS)
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(WRITER, None)
            with self._writing, contextlib.suppress(StorageError):  # it ends by itself
                alone = time.monotonic() - taken < WRITER_SECONDS / 2
                if alone or self.bucket.get(WRITER) == mine:
                    self.bucket.delete([WRITER])

    def _take(self, mine: bytes, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        pause = 0.01
        while True:
            try:
                self.bucket.create(WRITER, mine)
                return
            except (FileExistsError, UnclearError):
                if self.bucket.get(WRITER) == mine:  # the answer was lost
                    return
            item = self.bucket.head(WRITER)
            if item is None:
                if time.monotonic() < deadline:
                    continue
            elif not self._is_alive(item, WRITER_SECONDS):
                self.bucket.delete([WRITER])
                continue
            if time.monotonic() >= deadline:
                check_time()
                raise LockTimeoutError(
                    f"another writer has been writing to {self.bucket.url} for {timeout:g} s",
                    hint="wait for it, or pass a longer lock_timeout",
                    command_hint="wait for it, then run the command again",
                )
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _is_alive(self, item: Item, seconds: float) -> bool:
        return self.now() - item.modified < timedelta(seconds=seconds)

    def now(self) -> datetime:
        """The time of the storage's clock, after a short object was written to read it."""
        name = f"{LEASES}clock-{uuid.uuid4().hex}"
        self.bucket.put(name, b"{}")
        item = self.bucket.head(name)
        self.bucket.delete([name])
        if item is None:
            raise UnclearError(None, f"{self.bucket.url}/{name} was written and is not there")
        return item.modified

    def _renew(self, name: str, content: bytes, seconds: float) -> None:
        with self._lock:
            self._held[name] = content, seconds
            if self._process != os.getpid():  # no thread yet, or that of the parent
                self._process = os.getpid()
                threading.Thread(target=self._run, daemon=True, name="vecsearch leases").start()
        self._wake.set()

    def _run(self) -> None:
        """Renew what is held and remove what is not, until nothing is left to do."""
        due: dict[str, float] = {}
        while True:
            with self._lock:
                if not self._held and not self._done:
                    self._process = 0
                    return
                seconds = {name: every for name, (_, every) in self._held.items()}
            self.remove_released()
            now = time.monotonic()
            due = {name: due.get(name, now + every) for name, every in seconds.items()}
            for name in [name for name, at in due.items() if at <= now]:
                due[name] = now + seconds[name]
                self._write_again(name)
            self._wake.wait(max(0.01, min(due.values(), default=now + 1) - time.monotonic()))
            self._wake.clear()

    def _write_again(self, name: str) -> None:
        with self._writing, contextlib.suppress(StorageError):
            held = self._held.get(name)
            if held is not None and (name != WRITER or self.bucket.get(name) == held[0]):
                self.bucket.put(name, held[0])

    def remove_released(self) -> None:
        """Remove the leases that were ended; another thread that does it already has done it."""
        with self._writing:
            with self._lock:
                done, self._done = self._done, []
            if done:
                with contextlib.suppress(StorageError):
                    self.bucket.delete(done)

    def at_exit(self) -> None:
        """Remove the leases of a process that ends."""
        with self._lock:
            self._done += [name for name in self._held if name != WRITER]
            self._held.clear()
        if self._process in (0, os.getpid()):  # those of a parent go on
            self.remove_released()


_LEASES: weakref.WeakSet[Leases] = weakref.WeakSet()


def _end_leases() -> None:
    for leases in list(_LEASES):
        leases.at_exit()


atexit.register(_end_leases)


def _holder() -> bytes:
    """Who holds a lease, for people."""
    return json.dumps(
        {"host": socket.gethostname(), "process": os.getpid(), "id": uuid.uuid4().hex}
    ).encode()
