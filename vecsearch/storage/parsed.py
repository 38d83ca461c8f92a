"""Manifests that were parsed lately, by their bytes.

A change reads the latest manifest several times, and garbage collection reads all of them. Reading
the bytes takes microseconds, parsing and checking them milliseconds. A file that was changed has
other bytes, so what is remembered is never out of date.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from vecsearch.common.fork import Lock
from vecsearch.storage.manifest import Manifest

MOST_BYTES: Final = 16 * 1024 * 1024  # of text; a parsed manifest takes about as much


class ParsedManifests:
    """Manifests by the digest of their bytes, those used last. Thread-safe."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lock = Lock()
        self._parsed: OrderedDict[bytes, tuple[int, Manifest]] = OrderedDict()

    def get(self, content: bytes) -> Manifest | None:
        """The manifest of these bytes; None if it is not remembered."""
        key = hashlib.sha256(content).digest()
        with self._lock:
            found = self._parsed.get(key)
            if found is None:
                return None
            self._parsed.move_to_end(key)
            return found[1]

    def put(self, content: bytes, manifest: Manifest) -> None:
        """Remember a manifest, and forget those that were not used for the longest time."""
        key = hashlib.sha256(content).digest()
        with self._lock:
            if key in self._parsed:
                return
            self._parsed[key] = len(content), manifest
            self._bytes += len(content)
            while self._bytes > self._most_bytes:
                self._bytes -= self._parsed.popitem(last=False)[1][0]


PARSED: Final = ParsedManifests()
