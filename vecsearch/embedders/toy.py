"""A toy embedder without weights, for users' own tests: hashed counts of character n-grams.

Each text is lower-cased, and every character and every pair of neighbouring characters adds 1 to one bucket:
`zlib.crc32(gram.encode()) % dim`. So a vector can be checked by hand, strings that share pieces are near each other,
and Chinese works as English does. It knows nothing of meaning.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vecsearch.errors import EmbedderError, InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class ToyEmbedder:
    """Counts of hashed characters and character pairs; not normalised, so `ToyEmbedder(dim).embed_documents(["a"])` is
    one 1.0 at `crc32(b"a") % dim`. An empty text gives the zero vector. Documents and queries are embedded alike."""

    def __init__(self, dim: int = 64) -> None:
        if dim < 1:
            raise EmbedderError(f"toy embedder: dim must be 1 or more, not {dim}")
        self.dim = dim
        self.name = f"toy:{dim}"

    def fingerprint(self) -> str:
        return hashlib.sha256(
            f"vecsearch toy 1: crc32 of characters and pairs, dim {self.dim}".encode()
        ).hexdigest()

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors, float32, shape (len(documents), dim). Raises InvalidInputError for a document that is not a string."""
        import numpy as np

        out = np.zeros((len(documents), self.dim), dtype=np.float32)
        for row, text in enumerate(documents):
            if not isinstance(text, str):
                raise InvalidInputError(
                    f"row {row}: the toy embedder takes strings, not {type(text).__name__}"
                )
            low = text.lower()
            for gram in [*low, *(low[i : i + 2] for i in range(len(low) - 1))]:
                out[row, zlib.crc32(gram.encode("utf-8", "surrogatepass")) % self.dim] += 1.0
        return out

    def embed_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed_documents(queries)


def load(name: str, device: str | None = None) -> ToyEmbedder:
    """The embedder for the spec `toy:DIM`; an empty name means 64."""
    if name and not (name.isascii() and name.isdigit() and len(name) < 10):
        raise EmbedderError(
            f"'toy:{name}': after the colon comes a whole number, the dimension, such as toy:64"
        )
    return ToyEmbedder(int(name or 64))
