"""Known nodes of a graph, new ones that are placed among them, and pairs of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.common.lazy import lazy
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.embedders.content import ContentEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.graph import Graph, Nodes
from vecsearch.graphs.links import PairFeatures

ALIKE = 10  # nodes of the most similar texts or columns that a new node is placed by
NEIGHBORS = "neighbors"
Pair = Sequence[Any]
"""Two nodes: ids, or new nodes as dicts."""


@dataclass(frozen=True)
class KnownNodes:
    """The nodes that a model was trained on.

    Attributes:
        graph: Their links.
        vectors: float32, shape (nodes, dim).
        content: The model of their texts and columns, and their vectors; None without.
        row: The number of each node.
    """

    graph: Graph
    vectors: Vectors
    content: tuple[ContentEmbedder, Vectors] | None
    row: Mapping[str, int]

    @lazy
    def features(self) -> PairFeatures:
        """What is known of pairs of them."""
        return PairFeatures(self.graph, self.vectors, self.content[1] if self.content else None)

    def row_of(self, node: object, where: str) -> int:
        """The number of a node; InvalidInputError, with `where` it was given, if there is none."""
        key = str(node)
        if key not in self.row:
            raise InvalidInputError(
                f"{where}: {shown(node)} is no node of the graph"
                f"{did_you_mean(key, self.graph.nodes)}"
            )
        return self.row[key]

    def placed(
        self, nodes: Sequence[Mapping[str, Any]], rows: Sequence[int]
    ) -> tuple[Vectors, Vectors | None, list[tuple[list[int], list[float]]]]:
        """The vectors of new nodes, those of their content, and their neighbors with weights."""
        neighbors = [self._neighbors(node, row) for node, row in zip(nodes, rows, strict=True)]
        content = self.content[0].embed_documents(nodes) if self.content else None
        placed = np.zeros((len(nodes), self.vectors.shape[1]), dtype=np.float64)
        for number, (linked, weights) in enumerate(neighbors):
            parts = [self._mean(linked, weights)] if linked else []
            if content is not None and self.content is not None:
                cosines = self.content[1] @ content[number]
                alike = np.argsort(-cosines, kind="stable")[:ALIKE]
                alike = alike[cosines[alike] > 0]
                if len(alike):
                    parts.append(self._mean(alike.tolist(), cosines[alike].tolist()))
            if not parts:
                has = "no neighbor"
                if self.content is not None:
                    columns = ", ".join(self.content[0].columns)
                    has = f"neither a neighbor nor a value of {columns}"
                raise InvalidInputError(
                    f"row {rows[number]}: the new node has {has} that is known, so it cannot be "
                    "placed",
                    hint='give {"neighbors": [...]}, or train with nodes= to place nodes by their '
                    "texts and columns",
                    command_hint="give its neighbors, or train with --nodes to place nodes by "
                    "their texts and columns",
                )
            placed[number] = np.mean(parts, axis=0)
        return np.asarray(placed, dtype=np.float32), content, neighbors

    def _mean(self, rows: list[int], weights: list[float]) -> npt.NDArray[np.float64]:
        """The weighted mean of some nodes' vectors, as long as these are on average."""
        share = np.array(weights) / sum(weights)
        vectors = self.vectors[rows].astype(np.float64)
        mean, length = share @ vectors, float(share @ np.linalg.norm(vectors, axis=1))
        norm = float(np.linalg.norm(mean))
        return np.asarray(mean * (length / norm) if norm > 0 else mean)

    def _neighbors(self, node: Mapping[str, Any], row: int) -> tuple[list[int], list[float]]:
        given = node.get(NEIGHBORS) or []
        if not isinstance(given, Mapping | list | tuple):
            raise InvalidInputError(
                f"row {row}: '{NEIGHBORS}' is {shown(given)}; it must be a list of nodes, or a "
                "dict of nodes and weights"
            )
        weighted = given if isinstance(given, Mapping) else dict.fromkeys(given, 1.0)
        rows, weights = [], []
        for key, weight in weighted.items():
            if str(key) not in self.row:
                raise InvalidInputError(
                    f"row {row}: the neighbor {key!r} is no node of the graph"
                    f"{did_you_mean(str(key), self.graph.nodes)}"
                )
            number = float(weight) if isinstance(weight, int | float) else np.nan
            if not (np.isfinite(number) and number > 0):
                raise InvalidInputError(
                    f"row {row}: the weight of the neighbor {key!r} is {shown(weight)}; it must be "
                    "above 0"
                )
            rows.append(self.row[str(key)])
            weights.append(number)
        return rows, weights

    def extended(self, pairs: Sequence[Pair]) -> tuple[PairFeatures, Nodes, Nodes]:
        """The features, and the two nodes of each pair; new nodes are added at the end."""
        new: list[Mapping[str, Any]] = []
        rows = np.empty((len(pairs), 2), dtype=np.int64)
        for number, pair in enumerate(pairs):
            for side, node in enumerate(pair):
                if isinstance(node, Mapping):
                    rows[number, side] = len(self.graph.nodes) + len(new)
                    new.append(node)
                else:
                    rows[number, side] = self.row_of(node, f"pair {number}")
        tail, head = np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1])
        if not new:
            return self.features, tail, head
        vectors, content, neighbors = self.placed(new, range(len(new)))
        graph, size = self.graph, len(self.graph.nodes)
        linked = np.array([row for rows_of, _ in neighbors for row in rows_of], dtype=np.int64)
        weights = np.array([each for _, given in neighbors for each in given])
        own = np.repeat(np.arange(len(new)) + size, [len(rows_of) for rows_of, _ in neighbors])
        names = [*graph.nodes, *(f"new {number}" for number in range(len(new)))]
        tails, heads, values = [graph.tails, own], [graph.neighbors, linked], [graph.weights]
        values.append(weights)
        if not graph.directed:
            tails.append(linked)
            heads.append(own)
            values.append(weights)
        larger = Graph.from_links(
            names, np.concatenate(tails), np.concatenate(heads), np.concatenate(values), True
        )
        larger = replace(larger, directed=graph.directed)
        wide = np.concatenate([self.vectors, vectors])
        if content is None or self.content is None:
            return PairFeatures(larger, wide), tail, head
        return (
            PairFeatures(larger, wide, np.concatenate([self.content[1], content])),
            tail,
            head,
        )


def pairs_of(pairs: object) -> Sequence[Pair]:
    """Pairs as a list: they may also be a table's first two columns, or `source` and `target`."""
    names = list(getattr(pairs, "column_names", getattr(pairs, "columns", [])))
    given: Any = pairs
    if names:
        chosen = ["source", "target"] if {"source", "target"} <= set(names) else names[:2]
        if len(chosen) < 2:
            raise InvalidInputError("pairs is a table of one column; it needs two, of nodes")
        sides = [
            each.to_pylist() if hasattr(each, "to_pylist") else list(each)
            for each in (given[name] for name in chosen)
        ]
        return list(zip(*sides, strict=True))
    if isinstance(pairs, np.ndarray):
        given = pairs.tolist()
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Sequence):
        raise InvalidInputError(
            f"pairs is {shown(pairs)}; it must be a list of pairs of nodes, or a table"
        )
    for number, pair in enumerate(given):
        if isinstance(pair, str | bytes) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise InvalidInputError(
                f"pair {number} is {shown(pair)}; it must be two nodes, such as ('a', 'b')"
            )
    return given
