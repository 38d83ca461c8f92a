"""The embedder protocol: what turns documents and queries into vectors.

An embedder is any object with these members. Nothing else is asked of one, so a third party can write its own in a few
lines and pass the object to `vecsearch.create(..., embedder=it)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@runtime_checkable
class Embedder(Protocol):
    """Maps documents and queries to dense vectors of one dimension.

    `name` is how a person would ask for it again (`vs.open` loads it from this name); `dim` is the length of its vectors.
    """

    name: str
    dim: int

    def fingerprint(self) -> str:
        """A hex digest of everything that decides the vectors (weights, tokenizer, pooling, maximum length, prompts),
        and of nothing else: two copies of one model under different names or paths have one fingerprint."""
        ...

    def embed_documents(self, documents: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Vectors of documents: float32, shape (len(documents), dim), in the order given."""
        ...

    def embed_queries(self, queries: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Vectors of queries: float32, shape (len(queries), dim), in the order given."""
        ...
