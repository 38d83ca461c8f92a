"""The embedder protocol, and a base class for the embedders of this package.

An embedder is any object with the members of `Embedder`. Another package can write its own in a few
lines and pass the object to `vecsearch.create(..., embedder=...)`; it need not inherit anything.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from vecsearch.common.fork import Lock
from vecsearch.common.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class TokenCounts(NamedTuple):
    """What a tokenizer made of texts.

    Attributes:
        lengths: Tokens of each text before it is cut, special tokens included.
        unknown: How many of them the model does not know.
    """

    lengths: npt.NDArray[np.int64]
    unknown: npt.NDArray[np.int64]


@runtime_checkable
class Embedder(Protocol):
    """Maps documents and queries to dense vectors of one dimension.

    Attributes:
        name: The name under which `resolve_embedder` finds the embedder again; a collection stores
            it.
        dim: The length of its vectors.

    Example:
        An embedder of two dimensions, the numbers of letters and of digits:

        >>> import numpy as np
        >>> class Counts:
        ...     name = "counts"
        ...     dim = 2
        ...
        ...     def fingerprint(self):
        ...         return "counts-1"
        ...
        ...     def embed_documents(self, documents):
        ...         return np.array(
        ...             [[sum(map(str.isalpha, d)), sum(map(str.isdigit, d))] for d in documents],
        ...             dtype=np.float32,
        ...         )
        ...
        ...     embed_queries = embed_documents
        >>> from vecsearch.embedders import Embedder
        >>> isinstance(Counts(), Embedder)
        True
        >>> Counts().embed_documents(["ab1"])
        array([[2., 1.]], dtype=float32)
    """

    name: str
    dim: int

    def fingerprint(self) -> str:
        """Identify the model by a hex digest.

        The digest covers everything that decides the vectors (weights, tokenizer, pooling, maximum
        length, prompts) and nothing else: two copies of one model under different names or paths
        have the same fingerprint.
        """
        ...

    def embed_documents(self, documents: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Embed documents: float32, shape (len(documents), dim), in the given order."""
        ...

    def embed_queries(self, queries: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Embed queries: float32, shape (len(queries), dim), in the given order."""
        ...


class BaseEmbedder(ABC):
    """What the embedders of this package share: the name, a lock, and a fingerprint computed once.

    Subclasses implement `embed_documents` and `_compute_fingerprint`. Queries are embedded like
    documents unless `embed_queries` is overridden.

    Attributes:
        name: The name under which `resolve_embedder` finds the embedder again.
        dim: The length of its vectors.
    """

    def __init__(self, name: str, dim: int) -> None:
        self.name = name
        self.dim = dim
        self._lock = Lock()  # for models that cannot serve several threads at once

    @abstractmethod
    def embed_documents(self, documents: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Embed documents.

        Args:
            documents: What the embedder takes: texts, pictures, keys or table rows.

        Returns:
            float32, shape (len(documents), dim), in the given order.

        Raises:
            InvalidInputError: A document is not of the right type, or cannot be read; the message
                names its row.
        """

    def embed_queries(self, queries: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Embed queries; see `embed_documents`."""
        return self.embed_documents(queries)

    def fingerprint(self) -> str:
        """Hex digest of everything that decides the vectors; computed once."""
        return self._fingerprint

    @lazy
    def _fingerprint(self) -> str:
        return self._compute_fingerprint()

    @abstractmethod
    def _compute_fingerprint(self) -> str:
        """sha256 (hex) over everything that decides the vectors, and nothing else."""
