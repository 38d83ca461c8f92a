"""Vectors of an add that is not committed yet, kept on disk by the text they belong to.

An interrupted add is run again by giving the same data; the vectors made so far are found by text, whatever the source, so
nothing is embedded twice. The folder is keyed by the embedder's fingerprint; a text that is chunked otherwise is another text.
A file is named by the digest of its bytes: one torn by a crash is known before Arrow reads it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.storage import disk
from vecsearch.storage.layout import STAGING, VECTOR_CACHE
from vecsearch.storage.manifest import EmbedderEntry
from vecsearch.storage.schema import vector_array, vector_view


class VectorCache:
    """Only windows of a long add are kept: a short one is soon done again."""

    def __init__(self, root: Path, entry: EmbedderEntry, dim: int) -> None:
        self.folder = root / STAGING / f"{VECTOR_CACHE}{entry.fingerprint[:16]}"
        self._vectors: dict[bytes, Vectors] = {}
        self._files: list[Path] = []
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob("*.arrow")):
            with contextlib.suppress(OSError):
                self._load(path, dim)
            self._files.append(path)

    def _load(self, path: Path, dim: int) -> None:
        if not path.stat().st_size:
            return
        with pa.memory_map(
            str(path)
        ) as file:  # not read into memory: there may be more of them than that holds
            content = file.read_buffer()
        if digest(memoryview(content)) != path.stem:
            return  # torn: its texts are embedded again
        batch = pa.ipc.open_file(content).get_batch(0)
        vectors = vector_view(batch.column("vector"), dim)
        self._vectors.update(zip(batch.column("key").to_pylist(), vectors, strict=True))

    def find(self, texts: Sequence[str]) -> dict[str, Vectors]:
        if not self._vectors:
            return {}
        keys = ((text, text_key(text)) for text in texts)
        return {text: self._vectors[key] for text, key in keys if key in self._vectors}

    def put(self, texts: Sequence[str], vectors: Vectors, *, more_to_come: bool) -> None:
        if not more_to_come and not self._files:
            return
        with disk.storage_errors("writing", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        keys = pa.array([text_key(text) for text in texts], pa.binary(16))
        batch = pa.record_batch(
            {"key": keys, "vector": vector_array(np.ascontiguousarray(vectors, np.float32))}
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        content = memoryview(sink.getvalue())
        path = self.folder / f"{digest(content)}.arrow"
        if path not in self._files:
            disk.write_bytes(path, content)
            self._files.append(path)

    def clear(self) -> None:
        """After the commit nothing of it is needed. Cannot fail, for the commit stands."""
        for path in self._files:
            with contextlib.suppress(OSError):
                disk.remove(path)
        with contextlib.suppress(OSError):  # absent, or another add keeps vectors there
            self.folder.rmdir()


def text_key(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def digest(content: bytes | memoryview) -> str:
    return blake2b(content, digest_size=16).hexdigest()
