"""Arithmetic on the vectors of documents: as man is to king, so is woman to what?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.errors import InvalidInputError
from vecsearch.query.results import Hits
from vecsearch.query.selection import Where
from vecsearch.types import CollectionInfo, Id, Metric


class Searchable(Protocol):
    """What an analogy needs of a collection."""

    def info(self) -> CollectionInfo: ...

    def features(self, ids: Any) -> Vectors: ...

    def search(
        self,
        query: Any,
        k: int = 10,
        *,
        where: Where | None = None,
        recall: float | None = None,
        exact: bool = False,
    ) -> Hits: ...


def analogy(
    collection: Searchable,
    positive: Iterable[Id] | Id,
    negative: Iterable[Id] | Id = (),
    k: int = 10,
    *,
    where: Where | None = None,
    recall: float | None = None,
    exact: bool = False,
) -> Hits:
    """The k documents nearest to the sum of `positive` less `negative`, ids of documents, which are left out themselves.

    `analogy(c, positive=["king", "woman"], negative=["man"])` asks: as man is to king, so is woman to what? Each vector counts
    with unit length, and the score is the cosine with the sum (3CosAdd: Mikolov, Yih and Zweig, "Linguistic Regularities in
    Continuous Space Word Representations", NAACL 2013). where, recall, exact: as in `search`.

    Raises IdNotFoundError; InvalidInputError for a collection that does not compare by cosine, or terms that cancel out.
    """
    if collection.info().metric != Metric.COSINE:
        raise InvalidInputError(
            f"analogies are a matter of cosine, and this collection compares by {collection.info().metric}: make one with "
            'metric="cosine"'
        )
    added = [positive] if isinstance(positive, str | int) else list(positive)
    taken = [negative] if isinstance(negative, str | int) else list(negative)
    if not added and not taken:
        raise InvalidInputError(
            "an analogy needs at least one document to start from: positive=[...]"
        )
    vectors = collection.features([*added, *taken])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not lengths.all():
        raise InvalidInputError("the passages of a document cancel out: it has no direction")
    signs = np.repeat(np.array([1, -1], np.float32), [len(added), len(taken)])
    target = signs @ (vectors / lengths)
    if np.linalg.norm(target) < 1e-6:
        raise InvalidInputError("the documents cancel out: nothing is left to look for")
    asked = {*added, *taken}
    hits = collection.search(target, k + len(asked), where=where, recall=recall, exact=exact)
    return hits.without(asked, k)
