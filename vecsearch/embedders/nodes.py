"""Nodes of a graph: vectors of known and new ones, scores of links, vectors of links, communities.

`vecsearch.training.node2vec` trains it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from vecsearch.common.arguments import check_whole
from vecsearch.common.arrays import Vectors
from vecsearch.common.gate import gated
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.embedders.content import ContentEmbedder
from vecsearch.embedders.keyed import KeyedEmbedder
from vecsearch.embedders.saved import Saved, load_saved, write_saved
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.communities import communities_of
from vecsearch.graphs.graph import Graph, Nodes
from vecsearch.graphs.links import LinkModel, PairFeatures
from vecsearch.graphs.near import unit_rows

if TYPE_CHECKING:
    import pyarrow as pa

ALIKE = 10  # nodes of the most similar texts or columns that a new node is placed by
NEIGHBORS = "neighbors"
Node = str | int | Mapping[str, Any]
"""A node's id, or a new node: its text and columns, and its `neighbors`."""
Pair = Sequence[Any]
"""Two nodes."""
Operator = Literal["hadamard", "average", "l1", "l2"]


class NodeEmbedder(KeyedEmbedder):
    """Embeds the nodes of a graph, and scores their links.

    A document or a query is a node's id, or a new node as a dict of its text, its columns and its
    `neighbors`.

    Args:
        graph: The links; its nodes are the keys.
        vectors: float32, shape (nodes, dim).
        content: The model of the nodes' texts and columns, and their vectors; None without.
        links: The models of links: "" for any, others by the link's type.
        name: The embedder's name.
        about: How the vectors were trained; saved with them.
    """

    def __init__(
        self,
        graph: Graph,
        vectors: Vectors,
        content: tuple[ContentEmbedder, Vectors] | None = None,
        links: Mapping[str, LinkModel] | None = None,
        name: str = "node2vec:unsaved",
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(graph.nodes, vectors, name, about)
        self.graph = graph
        self.content = content
        self.links = dict(links or {})

    @gated
    def embed(self, nodes: Node | Sequence[Node]) -> Vectors:
        """The vectors of nodes, known or new.

        A new node lies between its neighbors and the ten nodes whose text and columns are most
        like its own.

        Args:
            nodes: Ids, or new nodes such as `{"text": "...", "neighbors": ["a", "b"]}`, with the
                columns that the nodes were trained with. Neighbors are ids, or ids with weights. A
                single one gives a single vector.

        Returns:
            float32, shape (nodes, dim), or (dim,) for a single one.

        Raises:
            InvalidInputError: An id or a neighbor is unknown, or a new node has neither a text or
                column nor a neighbor.

        Example:
            >>> import pyarrow as pa
            >>> from vecsearch.training.node2vec import train_node2vec
            >>> edges = pa.table({"source": ["a", "b", "c"], "target": ["b", "c", "a"]})
            >>> model = train_node2vec(edges, dim=8)
            >>> model.embed({"neighbors": ["a", "b"]}).shape
            (8,)
        """
        if isinstance(nodes, str | int | Mapping):
            return np.asarray(self.embed_queries([nodes])[0])
        return self.embed_queries(nodes)

    def embed_queries(self, queries: Sequence[Any]) -> Vectors:
        """Embed nodes, as `embed` does; a list of nodes is averaged.

        Args:
            queries: Ids, new nodes as dicts, or lists of ids.

        Returns:
            float32, shape (len(queries), dim).

        Raises:
            InvalidInputError: A node is unknown, or a new node has nothing to be placed by.
        """
        new = [row for row, query in enumerate(queries) if isinstance(query, Mapping)]
        if not new:
            return super().embed_queries(queries)
        vectors = np.empty((len(queries), self.dim), dtype=np.float32)
        old = sorted(set(range(len(queries))) - set(new))
        if old:
            vectors[old] = super().embed_queries([queries[row] for row in old])
        vectors[new] = self._placed([queries[row] for row in new], new)[0]
        return vectors

    def _placed(
        self, nodes: Sequence[Mapping[str, Any]], rows: Sequence[int]
    ) -> tuple[Vectors, Vectors | None, list[tuple[list[int], list[float]]]]:
        """The vectors of new nodes, those of their content, and their neighbors with weights."""
        neighbors = [self._neighbors(node, row) for node, row in zip(nodes, rows, strict=True)]
        content = self.content[0].embed_documents(nodes) if self.content else None
        placed = np.zeros((len(nodes), self.dim), dtype=np.float64)
        for number, (linked, weights) in enumerate(neighbors):
            parts = [self._mean(linked, weights)] if linked else []
            if content is not None and self.content is not None:
                cosines = self.content[1] @ content[number]
                alike = np.argsort(-cosines, kind="stable")[:ALIKE]
                alike = alike[cosines[alike] > 0]
                if len(alike):
                    parts.append(self._mean(alike.tolist(), cosines[alike].tolist()))
            if not parts:
                columns = ""
                if self.content is not None:
                    columns = f" nor a value of {', '.join(self.content[0].columns)}"
                raise InvalidInputError(
                    f"row {rows[number]}: the new node has neither a neighbor{columns} that is "
                    "known, so it cannot be placed",
                    hint='give {"neighbors": [...]}, or train with nodes= to place nodes by their '
                    "texts and columns",
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
                    f"{did_you_mean(str(key), self.keys)}"
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

    @gated
    def link_scores(
        self, pairs: Sequence[Pair] | object, *, type: str | None = None
    ) -> npt.NDArray[np.float64]:
        """How likely each pair is to be linked, from 0 to 1: link prediction.

        A logistic regression of held-out links puts together shared neighbors (their number,
        Adamic-Adar, resource allocation), paths of three steps, the numbers of links, the cosine
        of the vectors, and the similarity of the nodes' texts and columns and of those around them.
        A score is the probability of a link, were half of the pairs linked. Pairs whose nodes have
        no links are scored by what is left.

        Args:
            pairs: Pairs of nodes, source first, each an id or a new node as for `embed`; or a table
                whose first two columns, or those called `source` and `target`, hold ids.
            type: Score links of this type, as the column `type` calls it. None, and a type with
                fewer than 20 held-out links, score links of any type.

        Returns:
            float64, shape (pairs,). Where the graph had too few links to hold some out, it is
            (1 + cosine of the vectors) / 2.

        Raises:
            InvalidInputError: A node or the type is unknown, or something is no pair.

        Example:
            >>> import pyarrow as pa
            >>> from vecsearch.training.node2vec import train_node2vec
            >>> edges = pa.table({"source": ["a", "b", "c"], "target": ["b", "c", "a"]})
            >>> train_node2vec(edges, dim=8).link_scores([("a", "b"), ("a", "c")]).shape
            (2,)
        """
        known = self.about.get("types", {})
        if type is not None and type not in known:
            raise InvalidInputError(
                f"there are no links of the type {shown(type)}{did_you_mean(str(type), known)}"
            )
        features, tail, head = self._extended(_pairs_of(pairs))
        found = features.of(tail, head)
        model = self.links.get(type or "", self.links.get(""))
        return (1 + found["cosine of the vectors"]) / 2 if model is None else model.scores(found)

    @gated
    def edge_vectors(
        self, pairs: Sequence[Pair] | object, *, operator: Operator = "hadamard"
    ) -> Vectors:
        """A vector of each pair of nodes, such as for a classifier of links.

        Args:
            pairs: Pairs of nodes, as for `link_scores`.
            operator: How two vectors become one (Grover and Leskovec, "node2vec", 2016, table 1):
                "hadamard" multiplies them number by number, "average" is their mean, "l1" the
                absolute and "l2" the squared difference.

        Returns:
            float32, shape (pairs, dim).

        Raises:
            InvalidInputError: A node or the operator is unknown, or something is no pair.

        Example:
            >>> import pyarrow as pa
            >>> from vecsearch.training.node2vec import train_node2vec
            >>> edges = pa.table({"source": ["a", "b", "c"], "target": ["b", "c", "a"]})
            >>> train_node2vec(edges, dim=8).edge_vectors([("a", "b")]).shape
            (1, 8)
        """
        features, tail, head = self._extended(_pairs_of(pairs))
        left, right = features.vectors[tail], features.vectors[head]
        if operator == "hadamard":
            return np.asarray(left * right)
        if operator == "average":
            return np.asarray((left + right) / 2)
        if operator == "l1":
            return np.asarray(np.abs(left - right))
        if operator == "l2":
            return np.asarray((left - right) ** 2)
        raise InvalidInputError(
            f"operator is {shown(operator)}; it must be 'hadamard', 'average', 'l1' or 'l2'"
        )

    @gated
    def shared_neighbors(self, one: str | int, other: str | int) -> list[str]:
        """The nodes that both nodes are linked to, those with the fewest links first.

        Such nodes say the most about a link (Adamic and Adar, 2003).

        Args:
            one: A node's id.
            other: Another node's id.

        Returns:
            The ids of the shared neighbors.

        Raises:
            InvalidInputError: A node is unknown.

        Example:
            >>> import pyarrow as pa
            >>> from vecsearch.training.node2vec import train_node2vec
            >>> edges = pa.table({"source": ["a", "b", "c"], "target": ["b", "c", "d"]})
            >>> train_node2vec(edges, dim=8).shared_neighbors("a", "c")
            ['b']
        """
        either = self.graph.either
        rows = [self._row_of(one, "one"), self._row_of(other, "other")]
        both = np.intersect1d(either[rows[0]].indices, either[rows[1]].indices)
        degree = np.diff(either.indptr)[both]
        return [self.keys[row] for row in both[np.argsort(degree, kind="stable")]]

    @gated
    def communities(
        self,
        *,
        vectors: bool | None = None,
        resolution: float = 1.0,
        neighbors: int = 10,
        share: float = 0.5,
        seed: int = 0,
    ) -> pa.Table:
        """Groups of nodes with many links inside: communities by Leiden, over links and vectors.

        Links count by their weights; each node is also linked to those with the nearest vectors.
        The communities are those of the largest modularity that the Leiden algorithm finds (Traag,
        Waltman and van Eck, "From Louvain to Leiden", Scientific Reports 2019).

        Args:
            vectors: Whether to link nodes with near vectors too, those of their texts and columns
                included. None does so if the nodes have any: vectors of links alone add nothing to
                the links.
            resolution: Above 1 gives more and smaller communities, below 1 fewer and larger ones.
            neighbors: To how many of the nearest nodes each node is linked.
            share: The total weight of these links, in parts of that of the graph's links.
            seed: Seed of the order in which nodes are visited.

        Returns:
            A table with the columns `node` (string) and `community` (int32, 0 the largest), in the
            order of `keys`.

        Raises:
            InvalidInputError: An argument is out of range.
            MissingExtraError: The extra `graphs` is not installed.

        Example:
            >>> import pyarrow as pa
            >>> from vecsearch.training.node2vec import train_node2vec
            >>> edges = pa.table({"source": ["a", "b", "d"], "target": ["b", "c", "e"]})
            >>> model = train_node2vec(edges, dim=8)
            >>> model.communities()["community"].to_pylist()
            [0, 0, 0, 1, 1]
        """
        import pyarrow as pa

        check_whole("neighbors", neighbors, 1)
        check_whole("seed", seed, 0)
        found = communities_of(
            self.graph,
            self._all_vectors() if vectors or (vectors is None and self.content) else None,
            resolution=resolution,
            neighbors=neighbors,
            share=share,
            seed=seed,
        )
        return pa.table({"node": pa.array(self.keys, pa.string()), "community": found})

    def _all_vectors(self) -> Vectors:
        """The vectors of walks, and those of texts and columns side by side."""
        parts = [self.unit, *([unit_rows(self.content[1])] if self.content else [])]
        return np.concatenate(parts, axis=1)

    def _row_of(self, node: object, where: str) -> int:
        key = str(node)
        if key not in self.row:
            raise InvalidInputError(
                f"{where}: {shown(node)} is no node of the graph{did_you_mean(key, self.keys)}"
            )
        return self.row[key]

    def _extended(self, pairs: Sequence[Pair]) -> tuple[PairFeatures, Nodes, Nodes]:
        """The features, and the two nodes of each pair; new nodes are added at the end."""
        new: list[Mapping[str, Any]] = []
        rows = np.empty((len(pairs), 2), dtype=np.int64)
        for number, pair in enumerate(pairs):
            for side, node in enumerate(pair):
                if isinstance(node, Mapping):
                    rows[number, side] = len(self.keys) + len(new)
                    new.append(node)
                else:
                    rows[number, side] = self._row_of(node, f"pair {number}")
        tail, head = np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1])
        if not new:
            return self._features(), tail, head
        vectors, content, neighbors = self._placed(new, range(len(new)))
        graph, size = self.graph, len(self.keys)
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

    def _features(self) -> PairFeatures:
        return PairFeatures(self.graph, self.vectors, self.content[1] if self.content else None)

    def _write(self, folder: str | Path) -> Path:
        inner = self.content[0] if self.content else None
        return write_saved(self._saved(), folder, inner, report=self.report)

    def _saved(self) -> Saved:
        arrays: dict[str, npt.NDArray[Any]] = {
            "vectors": self.vectors,
            "start": self.graph.start,
            "neighbors": self.graph.neighbors,
            "weights": self.graph.weights,
        }
        if self.content is not None:
            arrays["content"] = self.content[1]
        settings = {
            "about": self.about,
            "directed": self.graph.directed,
            "links": {kind: asdict(model) for kind, model in self.links.items()},
        }
        return Saved("nodes", settings, self.keys, arrays)

    def _compute_fingerprint(self) -> str:
        """Over all that decides the vectors of known and new nodes."""
        arrays = {"vectors": self.vectors}
        inner = ""
        if self.content is not None:
            arrays["content"] = self.content[1]
            inner = self.content[0].fingerprint()
        own = Saved("nodes", {}, self.keys, arrays).fingerprint()
        return hashlib.sha256((own + inner).encode()).hexdigest()


def _pairs_of(pairs: object) -> Sequence[Pair]:
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


def from_saved(saved: Saved, name: str) -> NodeEmbedder:
    """The embedder that `NodeEmbedder.save` wrote."""
    arrays, settings = saved.arrays, saved.settings
    graph = Graph(
        list(saved.keys),
        arrays["start"],
        arrays["neighbors"],
        arrays["weights"],
        settings["directed"],
    )
    content = None
    if "content" in arrays:
        inner = load_saved(Path(name.removeprefix("saved:")) / "inner")
        if not isinstance(inner, ContentEmbedder):
            raise ValueError("the model of the nodes' texts is of another kind")
        content = inner, arrays["content"]
    links = {
        kind: LinkModel(
            tuple(model["names"]),
            tuple(model["weights"]),
            tuple(model["means"]),
            tuple(model["deviations"]),
            model["intercept"],
        )
        for kind, model in settings["links"].items()
    }
    return NodeEmbedder(graph, arrays["vectors"], content, links, name, settings["about"])
