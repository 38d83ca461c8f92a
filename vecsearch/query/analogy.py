"""Analogies: as man is to king, so is woman to what?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.gate import gated
from vecsearch.errors import InvalidInputError
from vecsearch.query.results import Hits
from vecsearch.query.selection import Where
from vecsearch.storage.ids import listed_ids
from vecsearch.types import Id, Metric

ZERO_LENGTH = 1e-6  # a sum of unit vectors shorter than this has no direction


@runtime_checkable
class HasAnalogy(Protocol):
    """A collection, as far as `analogy` needs it."""

    def analogy(
        self,
        positive: Iterable[Id] | Id,
        negative: Iterable[Id] | Id = (),
        k: int = 10,
        *,
        where: Where | None = None,
        recall: float | None = None,
        exact: bool = False,
    ) -> Hits: ...


@gated
def analogy(
    collection: HasAnalogy,
    positive: Iterable[Id] | Id,
    negative: Iterable[Id] | Id = (),
    k: int = 10,
    *,
    where: Where | None = None,
    recall: float | None = None,
    exact: bool = False,
) -> Hits:
    """`collection.analogy(positive, negative, k)`: see `Collection.analogy`.

    Example:
        >>> import vecsearch as vs
        >>> words = vs.create("words", dim=2)
        >>> vectors = {"man": [0, 1], "king": [2, 1], "woman": [0, 2], "queen": [2, 1.5]}
        >>> _ = words.add([{"id": word, "vector": vector} for word, vector in vectors.items()])
        >>> vs.analogy(words, positive=["king", "woman"], negative=["man"], k=1).ids
        ['queen']
    """
    return collection.analogy(positive, negative, k, where=where, recall=recall, exact=exact)


def analogy_query(
    metric: str,
    vectors_of: Callable[[Any], Vectors],
    positive: Iterable[Id] | Id,
    negative: Iterable[Id] | Id,
) -> tuple[Vectors, set[Id]]:
    """The vector that answers an analogy, and the documents it is made of.

    Args:
        metric: How the collection compares vectors.
        vectors_of: Gives the vectors of documents by id, float32 (number of ids, dim).
        positive: Ids of documents whose vectors are added, each with unit length.
        negative: Ids of documents whose vectors are subtracted.

    Returns:
        The sum, float32 (dim,), and all these ids.

    Raises:
        IdNotFoundError: If a document is missing.
        InvalidInputError: If the metric is not cosine, or the vectors cancel out.
    """
    if metric != Metric.COSINE:
        raise InvalidInputError(
            f"an analogy compares by cosine, and this collection compares by {metric}: "
            'create one with metric="cosine"'
        )
    added, subtracted = listed_ids(positive, "positive"), listed_ids(negative, "negative")
    if not added and not subtracted:
        raise InvalidInputError("an analogy needs at least one document: positive=[...]")
    vectors = vectors_of([*added, *subtracted])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not lengths.all():
        raise InvalidInputError("the passages of a document cancel out: it has no direction")
    signs = np.repeat(np.array([1, -1], np.float32), [len(added), len(subtracted)])
    target = signs @ (vectors / lengths)
    if np.linalg.norm(target) < ZERO_LENGTH:
        raise InvalidInputError("the documents cancel out: their sum has no direction")
    return target, {*added, *subtracted}
