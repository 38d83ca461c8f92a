"""Object storage that fails: requests that are refused, lost on the way, or slow."""

from __future__ import annotations

import errno
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

import vecsearch as vs
from vecsearch.storage.objects import bucket, places
from vecsearch.storage.objects.bucket import UnclearError

T = TypeVar("T")


class Faults:
    """What goes wrong with the requests of all buckets.

    Attributes:
        kinds: The kinds of requests that may fail; all if empty.
        lost: The share of requests whose answer is lost after they were carried out.
        refused: The share that is answered with 500 and not carried out.
        cut: The share of downloads that end early.
        slow: Seconds that a request takes at most.
        before: Called before each request with its kind and name.
        after: Called after each one that was carried out.
    """

    def __init__(self, seed: int = 1) -> None:
        self.kinds: tuple[str, ...] = ()
        self.lost = self.refused = self.cut = self.slow = 0.0
        self.before: Callable[[str, str], None] = lambda kind, name: None
        self.after: Callable[[str, str], None] = lambda kind, name: None
        self.injected = 0
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def strikes(self, share: float) -> bool:
        if not share:  # so that kinds of faults do not change each other's numbers
            return False
        with self._lock:
            struck = self._random.random() < share
            self.injected += struck
            return struck

    def request(self, kind: str, name: str, call: Callable[[], T]) -> T:
        self.before(kind, name)
        if self.kinds and kind not in self.kinds:
            result = call()
        else:
            if self.slow:
                time.sleep(self.slow * self._random.random())
            if self.strikes(self.refused):
                raise UnclearError(errno.EIO, f"500 {kind} {name}")
            result = call()
            if self.strikes(self.lost):
                raise UnclearError(errno.EIO, f"timed out {kind} {name}")
        self.after(kind, name)
        return result

    def shortened(self, path: Path) -> None:
        if path.exists() and self.strikes(self.cut):
            path.write_bytes(path.read_bytes()[:-1])


def faulty(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Let all requests pass through what is returned."""
    faults = Faults()

    class Faulty(bucket.Bucket):
        def _request(self, kind: str, name: str, call: Callable[[], T]) -> T:
            return faults.request(
                kind, name, lambda: super(Faulty, self)._request(kind, name, call)
            )

        def download(self, name: str, path: Path) -> None:
            super().download(name, path)
            faults.shortened(path)

    monkeypatch.setattr(places, "Bucket", Faulty)
    monkeypatch.setattr(bucket, "PAUSE", 0.001)
    return faults


def machine(url: str, folder: Path, **options: Any) -> vs.Collection:
    """Open a collection as another machine does: with a cache of its own."""
    return vs.open(url, cache_dir=folder, **options)
