"""Entities of a knowledge graph: head + relation lies near the tail (TransE).

`vecsearch.training.transe` trains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arguments import check_whole
from vecsearch.common.arrays import Vectors
from vecsearch.common.gate import gated
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.embedders.keyed import KeyedEmbedder
from vecsearch.embedders.saved import Saved
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.triples import HEAD, TAIL, Triples, translation_scores


class TripleEmbedder(KeyedEmbedder):
    """Embeds the entities of a knowledge graph, and answers questions about its relations.

    Args:
        entities: The entities, in row order.
        vectors: float32, shape (entities, dim).
        relations: The relations.
        relation_vectors: float32, shape (relations, dim).
        triples: Those it was trained on, by number.
        name: The embedder's name.
        about: How the vectors were trained; saved with them.
    """

    def __init__(
        self,
        entities: Sequence[str],
        vectors: Vectors,
        relations: Sequence[str],
        relation_vectors: Vectors,
        triples: Triples,
        name: str = "transe:unsaved",
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(entities, vectors, name, about)
        self.relations = list(relations)
        self.relation_vectors: Vectors = np.ascontiguousarray(relation_vectors, dtype=np.float32)
        self.triples = triples

    @gated
    def predict(
        self,
        head: str | int | None,
        relation: str | int,
        tail: str | int | None = None,
        *,
        k: int = 10,
        known: bool = True,
    ) -> list[tuple[str, float]]:
        """The entities that fit best as the tail of a head and a relation, or as the head.

        Args:
            head: The head, or None to ask for heads.
            relation: The relation.
            tail: The tail, where heads are asked for.
            k: How many entities to return.
            known: Whether to return those that make a triple the model was trained on, too.

        Returns:
            (entity, score) pairs, best first; a score is minus the length of head + relation -
            tail.

        Raises:
            InvalidInputError: An entity or the relation is unknown, or not one of head and tail
                is None.

        Example:
            >>> from vecsearch.training.transe import train_transe
            >>> capitals = [("Paris", "capital", "France"), ("Rome", "capital", "Italy")]
            >>> rows = [dict(zip(("source", "type", "target"), each)) for each in capitals]
            >>> model = train_transe(rows, dim=8, epochs=20)
            >>> model.predict(None, "capital", "Italy", k=1)[0][0]
            'Rome'
        """
        check_whole("k", k, 1)
        if (head is None) == (tail is None):
            raise InvalidInputError("give the head or the tail, and None for the other")
        side = HEAD if head is None else TAIL
        given = self._entity(tail if head is None else head)
        number = self._relation(relation)
        triple = np.array([[given, number, given]], dtype=np.int64)
        scores = translation_scores(self.vectors, self.relation_vectors)(triple, side)[0]
        scores[given] = -np.inf
        if not known:
            same = (self.triples[:, TAIL - side] == given) & (self.triples[:, 1] == number)
            scores[self.triples[same, side]] = -np.inf
        best = np.argsort(-scores, kind="stable")[:k]
        return [(self.keys[row], float(scores[row])) for row in best if scores[row] > -np.inf]

    @gated
    def triple_scores(self, triples: Sequence[Sequence[Any]]) -> npt.NDArray[np.float64]:
        """How well triples fit: minus the length of head + relation - tail, so 0 is best.

        Args:
            triples: (head, relation, tail) each.

        Returns:
            float64, shape (triples,).

        Raises:
            InvalidInputError: An entity or a relation is unknown, or something is no triple.

        Example:
            >>> from vecsearch.training.transe import train_transe
            >>> capitals = [("Paris", "capital", "France"), ("Rome", "capital", "Italy")]
            >>> rows = [dict(zip(("source", "type", "target"), each)) for each in capitals]
            >>> train_transe(rows, dim=8, epochs=20).triple_scores(capitals).shape
            (2,)
        """
        numbers = np.empty((len(triples), 3), dtype=np.int64)
        for row, triple in enumerate(triples):
            if isinstance(triple, str | bytes) or len(triple) != 3:
                raise InvalidInputError(
                    f"triple {row} is {shown(triple)}; it must be (head, relation, tail)"
                )
            head, relation, tail = triple
            numbers[row] = self._entity(head), self._relation(relation), self._entity(tail)
        head, relation, tail = numbers.T
        difference = self.vectors[head] + self.relation_vectors[relation] - self.vectors[tail]
        return np.asarray(-np.linalg.norm(difference.astype(np.float64), axis=1))

    def _entity(self, entity: object) -> int:
        self.vector(str(entity))  # raises, and names a similar key
        return self.row[str(entity)]

    def _relation(self, relation: object) -> int:
        if str(relation) not in self.relations:
            raise InvalidInputError(
                f"there is no relation {shown(relation)}"
                f"{did_you_mean(str(relation), self.relations)}"
            )
        return self.relations.index(str(relation))

    def _saved(self) -> Saved:
        settings = {"about": self.about, "relations": self.relations}
        arrays: dict[str, npt.NDArray[Any]] = {
            "vectors": self.vectors,
            "relations": self.relation_vectors,
            "triples": self.triples,
        }
        return Saved("transe", settings, self.keys, arrays)


def from_saved(saved: Saved, name: str) -> TripleEmbedder:
    """The embedder that `TripleEmbedder.save` wrote."""
    arrays, settings = saved.arrays, saved.settings
    return TripleEmbedder(
        saved.keys,
        arrays["vectors"],
        settings["relations"],
        arrays["relations"],
        arrays["triples"],
        name,
        settings["about"],
    )
