"""Vectors of an add that is not committed yet, kept on disk under the text they belong to.

After an interruption, the same add finds the vectors embedded so far by their texts, whatever the
source, and embeds no text twice. The folder is named after the embedder's fingerprint. Each file
is named after the digest of its bytes: one torn by a crash is recognized before Arrow reads it.
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
from vecsearch.storage.arrow_header import require_uncompressed
from vecsearch.storage.layout import STAGING, VECTOR_CACHE
from vecsearch.storage.manifest import EmbedderEntry
from vecsearch.storage.own_files import Removal, folder_name
from vecsearch.storage.schema import vector_array, vector_view


class VectorCache:
    """Vectors by text, for adds that take seconds: a shorter one is quickly repeated.

    Args:
        root: The collection's folder.
        entry: The embedder that the vectors are of.
        dim: The dimension of the vectors.
    """

    def __init__(self, root: Path, entry: EmbedderEntry, dim: int) -> None:
        self.folder = root / STAGING / f"{VECTOR_CACHE}{folder_name(entry.fingerprint)}"
        self._vectors: dict[bytes, Vectors] = {}
        self._files: list[Path] = []
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob("*.arrow")):
            with contextlib.suppress(OSError, ValueError):
                self._load(path, dim)
            self._files.append(path)

    def _load(self, path: Path, dim: int) -> None:
        if not path.stat().st_size:
            return
        # Mapped, not read: the files may be larger than the memory.
        with pa.memory_map(str(path)) as file:
            content = file.read_buffer()
        if digest(memoryview(content)) != path.stem:
            return  # torn by a crash: its texts are embedded again
        require_uncompressed(content)
        batch = pa.ipc.open_file(content).get_batch(0)
        vectors = vector_view(batch.column("vector"), dim)
        self._vectors.update(zip(batch.column("key").to_pylist(), vectors, strict=True))

    def find(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """The cached vectors of some of the texts."""
        if not self._vectors:
            return {}
        keys = ((text, text_key(text)) for text in texts)
        return {text: self._vectors[key] for text, key in keys if key in self._vectors}

    @property
    def is_used(self) -> bool:
        """Whether there are files of this add, or of an interrupted one."""
        return bool(self._files)

    def put(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Write vectors to the cache.

        Args:
            texts: What was embedded.
            vectors: float32 (texts, dim).

        Raises:
            StorageError: The file could not be written.
        """
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
        """Remove the cached vectors after the commit; a warning names those that stay."""
        removal = Removal()
        for path in self._files:
            removal.remove(path)
        removal.warn()
        with contextlib.suppress(OSError):  # absent, or in use by another add
            self.folder.rmdir()


def text_key(text: str | bytes) -> bytes:
    """The 16 bytes that stand for a text, or a picture."""
    content = text.encode() if isinstance(text, str) else text
    return blake2b(content, digest_size=16).digest()


def digest(content: bytes | memoryview) -> str:
    """The name of a file with this content."""
    return blake2b(content, digest_size=16).hexdigest()
