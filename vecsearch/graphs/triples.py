"""Triples (head, relation, tail) of a knowledge graph: ranks of true answers, and TransE's step.

Bordes et al., "Translating Embeddings for Modeling Multi-relational Data" (NIPS 2013).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.graphs.graph import Nodes

Triples = npt.NDArray[np.int64]
"""int64, shape (n, 3): head, relation, tail, by number."""
Scores = Callable[[Triples, int], npt.NDArray[np.float64]]
"""Takes triples and the side to exchange (0 the head, 2 the tail); gives a row of scores of all
entities on that side for each triple, higher is better."""
HEAD, RELATION, TAIL = 0, 1, 2
_BLOCK = 256  # triples whose entities are all scored at a time
_LEAST = 1e-8


def filtered_ranks(scores: Scores, triples: Triples, known: Triples) -> npt.NDArray[np.float64]:
    """The rank of the true entity among all, as head and as tail: float64, shape (n, 2).

    Other entities that make a known triple do not count ("filtered": Bordes et al., section 4.1).
    Entities with the same score count half, so that a constant score is chance.
    """
    ranks = np.empty((len(triples), 2))
    for column, side in enumerate((HEAD, TAIL)):
        others = _answers(known, side)
        for first in range(0, len(triples), _BLOCK):
            block = triples[first : first + _BLOCK]
            found = scores(block, side)
            for row, triple in enumerate(block):
                own = found[row, triple[side]]
                values = found[row].copy()
                values[others[_question(triple, side)]] = -np.inf
                better, equal = (values > own).sum(), (values == own).sum()
                ranks[first + row, column] = 1 + better + equal / 2
    return ranks


def _question(triple: Nodes, side: int) -> tuple[int, int]:
    return int(triple[TAIL - side]), int(triple[RELATION])


def _answers(known: Triples, side: int) -> dict[tuple[int, int], list[int]]:
    """The known entities on a side, by the entity on the other side and the relation."""
    found: dict[tuple[int, int], list[int]] = {}
    for triple in known:
        found.setdefault(_question(triple, side), []).append(int(triple[side]))
    return found


def translation_scores(entities: Vectors, relations: Vectors) -> Scores:
    """TransE's score of a triple: minus the length of head + relation - tail."""
    squares = np.vecdot(entities, entities).astype(np.float64)

    def scores(triples: Triples, side: int) -> npt.NDArray[np.float64]:
        other, moved = entities[triples[:, TAIL - side]], relations[triples[:, RELATION]]
        wanted = other + moved if side == TAIL else other - moved
        products = wanted.astype(np.float64) @ entities.T.astype(np.float64)
        lengths = np.vecdot(wanted, wanted).astype(np.float64)[:, None]
        return np.asarray(-np.sqrt(np.maximum(lengths - 2 * products + squares, 0)))

    return scores


def frequency_scores(triples: Triples, entities: int) -> Scores:
    """How often an entity is the head, or the tail, of a relation: an answer without the other."""
    counts: dict[int, dict[int, npt.NDArray[np.float64]]] = {HEAD: {}, TAIL: {}}
    for side, by_relation in counts.items():
        for relation in np.unique(triples[:, RELATION]).tolist():
            rows = triples[triples[:, RELATION] == relation]
            by_relation[relation] = np.bincount(rows[:, side], minlength=entities).astype(float)
    none = np.zeros(entities)

    def scores(wanted: Triples, side: int) -> npt.NDArray[np.float64]:
        return np.stack([counts[side].get(int(each), none) for each in wanted[:, RELATION]])

    return scores


class Translation:
    """Vectors of entities and relations under training.

    The loss of a triple and one with another head or tail is max(0, margin + |h + r - t| -
    |h' + r - t'|); its gradient moves both, with AdaGrad's step sizes (Duchi, Hazan and Singer,
    JMLR 2011). Entities are scaled to length 1 at most after each step.

    Args:
        entities: How many entities.
        relations: How many relations.
        dim: Length of the vectors.
        margin: How much farther an exchanged triple should be.
        rate: The size of the first steps.
        random: The source of randomness.
    """

    def __init__(
        self,
        entities: int,
        relations: int,
        dim: int,
        margin: float,
        rate: float,
        random: np.random.Generator,
    ) -> None:
        bound = 6 / np.sqrt(dim)
        self.entities = random.uniform(-bound, bound, (entities, dim))
        self.relations = random.uniform(-bound, bound, (relations, dim))
        self.relations /= np.linalg.norm(self.relations, axis=1, keepdims=True)
        self._shorten()
        self.margin = margin
        self.rate = rate
        self.random = random
        self._steps = [np.zeros_like(self.entities), np.zeros_like(self.relations)]

    def epoch(self, triples: Triples, batch: int, negative: int) -> None:
        """One pass over the triples in random order, each beside exchanged ones."""
        order = self.random.permutation(len(triples))
        for first in range(0, len(order), batch):
            true = np.repeat(triples[order[first : first + batch]], negative, axis=0)
            false = true.copy()
            side = np.where(self.random.random(len(true)) < 0.5, HEAD, TAIL)
            drawn = self.random.integers(len(self.entities), size=len(true))
            false[np.arange(len(true)), side] = drawn
            self.step(true, false)

    def step(self, true: Triples, false: Triples) -> None:
        """One step down the mean loss of pairs of a true and a false triple."""
        near, far = self.difference(true), self.difference(false)
        lengths = [np.linalg.norm(each, axis=1, keepdims=True) for each in (near, far)]
        lost = (self.margin + lengths[0] - lengths[1])[:, 0] > 0
        if not lost.any():
            return
        pull = (near / np.maximum(lengths[0], _LEAST))[lost]
        push = (far / np.maximum(lengths[1], _LEAST))[lost]
        true, false = true[lost], false[lost]
        places = np.concatenate([true[:, HEAD], true[:, TAIL], false[:, HEAD], false[:, TAIL]])
        self._move(0, self.entities, places, np.concatenate([pull, -pull, -push, push]))
        self._move(1, self.relations, true[:, RELATION], pull - push)
        self._shorten()

    def difference(self, triples: Triples) -> npt.NDArray[np.float64]:
        """head + relation - tail of each triple."""
        head, relation, tail = triples.T
        return np.asarray(self.entities[head] + self.relations[relation] - self.entities[tail])

    def _move(
        self,
        which: int,
        vectors: npt.NDArray[np.float64],
        places: Nodes,
        gradients: npt.NDArray[np.float64],
    ) -> None:
        from scipy.sparse import csr_matrix

        rows, index = np.unique(places, return_inverse=True)
        adds = csr_matrix((np.ones(len(index)), (index, np.arange(len(index)))))
        gradient = adds @ gradients
        self._steps[which][rows] += gradient**2
        vectors[rows] -= self.rate * gradient / np.sqrt(self._steps[which][rows] + _LEAST)

    def _shorten(self) -> None:
        lengths = np.linalg.norm(self.entities, axis=1, keepdims=True)
        self.entities /= np.maximum(lengths, 1)
