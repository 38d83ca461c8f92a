"""Vectors of an add that is not committed yet, kept on disk by the text they belong to.

An interrupted add is run again by giving the same data; the vectors made so far are found by text, whatever the source, so
nothing is embedded twice. The folder is keyed by the embedder's fingerprint; a text that is chunked otherwise is another text.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch import disk
from vecsearch.errors import CorruptedError
from vecsearch.manifest import STAGING, EmbedderEntry
from vecsearch.segment import vector_array, vector_view, write_batch
from vecsearch.store import VECTOR_CACHE

Vectors = npt.NDArray[np.float32]


class VectorCache:
    """Only windows of a long add are kept: a short one is soon done again."""

    def __init__(self, root: Path, entry: EmbedderEntry, dim: int) -> None:
        self.folder = root / STAGING / f"{VECTOR_CACHE}{entry.fingerprint[:16]}"
        self._vectors: dict[bytes, Vectors] = {}
        self._files: list[Path] = []
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob("*.arrow")):
            with contextlib.suppress(pa.ArrowException, OSError, CorruptedError, KeyError, ValueError):
                self._load(path, dim)  # one torn by a crash is passed over: its texts are embedded again
            self._files.append(path)

    def _load(self, path: Path, dim: int) -> None:
        with pa.memory_map(str(path)) as file:
            batch = pa.ipc.open_file(file).get_batch(0)
        vectors = vector_view(batch.column("vector"), dim).astype(np.float32, copy=False)
        if digest(vectors) != batch.schema.metadata[b"digest"]:
            raise CorruptedError(f"{path} is torn")
        self._vectors.update(zip(batch.column("key").to_pylist(), vectors, strict=True))

    def find(self, texts: Sequence[str]) -> dict[str, Vectors]:
        if not self._vectors:
            return {}
        keys = ((text, text_key(text)) for text in texts)
        return {text: self._vectors[key] for text, key in keys if key in self._vectors}

    def put(self, texts: Sequence[str], vectors: Vectors, *, more_to_come: bool) -> None:
        if not more_to_come and not self._files:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        keys = pa.array([text_key(text) for text in texts], pa.binary(16))
        batch = pa.record_batch({"key": keys, "vector": vector_array(np.ascontiguousarray(vectors))})
        batch = batch.replace_schema_metadata({"digest": digest(vectors)})
        path = self.folder / f"{uuid.uuid4().hex}.arrow"
        disk.write_file(path, lambda target: write_batch(target, batch))
        self._files.append(path)

    def clear(self) -> None:
        """After the commit nothing of it is needed."""
        for path in self._files:
            disk.remove(path)
        with contextlib.suppress(OSError):  # absent, or another add keeps vectors there
            self.folder.rmdir()


def text_key(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def digest(vectors: Vectors) -> bytes:
    return blake2b(np.ascontiguousarray(vectors).tobytes(), digest_size=16).digest()
