"""A toy embedder without weights, for tests: hashed counts of character n-grams.

Each text is lower-cased, and every character and every pair of neighboring characters adds 1 to one
bucket: `zlib.crc32(gram.encode()) % dim`. So a vector can be checked by hand, strings that share
pieces are near each other, and Chinese works as English does. It does not model meaning.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vecsearch.embedders.base import BaseEmbedder
from vecsearch.embedders.inputs import strings
from vecsearch.errors import EmbedderError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class ToyEmbedder(BaseEmbedder):
    """Counts of hashed characters and character pairs, not normalized. Spec: `toy:DIM`.

    Args:
        dim: The number of buckets.

    Raises:
        EmbedderError: `dim` is below 1.

    Example:
        >>> import zlib
        >>> vector = ToyEmbedder(64).embed_documents(["a"])[0]
        >>> float(vector[zlib.crc32(b"a") % 64]), float(vector.sum())
        (1.0, 1.0)
    """

    def __init__(self, dim: int = 64) -> None:
        if dim < 1:
            raise EmbedderError(f"toy embedder: dim must be 1 or more, not {dim}")
        super().__init__(f"toy:{dim}", dim)

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts, queries and documents alike; an empty text gives the zero vector.

        Args:
            documents: Texts.

        Returns:
            float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: A document is not a string.
        """
        import numpy as np

        out = np.zeros((len(documents), self.dim), dtype=np.float32)
        for row, text in enumerate(strings(documents, self.name)):
            lower = text.lower()
            for gram in [*lower, *(lower[i : i + 2] for i in range(len(lower) - 1))]:
                out[row, zlib.crc32(gram.encode("utf-8", "surrogatepass")) % self.dim] += 1.0
        return out

    def _compute_fingerprint(self) -> str:
        return hashlib.sha256(
            f"vecsearch toy 1: crc32 of characters and pairs, dim {self.dim}".encode()
        ).hexdigest()


def load(name: str, device: str | None = None) -> ToyEmbedder:
    """The embedder for the spec `toy:DIM`; an empty name means 64."""
    if name and not (name.isascii() and name.isdigit() and len(name) < 10):
        raise EmbedderError(
            f"'toy:{name}': give the dimension, a whole number, after the colon, such as toy:64"
        )
    return ToyEmbedder(int(name or 64))
