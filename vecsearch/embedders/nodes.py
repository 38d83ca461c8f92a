"""Nodes of a graph: vectors of known and new ones, scores of links, vectors of links, communities.

`vecsearch.training.node2vec` trains it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
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
from vecsearch.embedders.known_nodes import KnownNodes, Pair, pairs_of
from vecsearch.embedders.saved import Saved, load_saved, write_saved
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.communities import communities_of
from vecsearch.graphs.graph import Graph
from vecsearch.graphs.links import LinkModel
from vecsearch.graphs.near import unit_rows

if TYPE_CHECKING:
    import pyarrow as pa

Node = str | int | Mapping[str, Any]
"""A node's id, or a new node: its text and columns, and its `neighbors`."""
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
        self._known = KnownNodes(graph, self.vectors, content, self.row)

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
        return self._embedded(queries, super().embed_queries)

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """Embed nodes: ids, or new nodes as dicts; float32, shape (len(documents), dim).

        In a collection, a document whose id is no node is placed by its text.

        Raises:
            InvalidInputError: A node is unknown, or a new node has nothing to be placed by.
        """
        return self._embedded(documents, super().embed_documents)

    def _embedded(self, nodes: Sequence[Any], known: Callable[[Sequence[Any]], Vectors]) -> Vectors:
        """New nodes are placed, others embedded by `known`."""
        new = [row for row, node in enumerate(nodes) if isinstance(node, Mapping)]
        if not new:
            return known(nodes)
        vectors = np.empty((len(nodes), self.dim), dtype=np.float32)
        old = sorted(set(range(len(nodes))) - set(new))
        if old:
            vectors[old] = known([nodes[row] for row in old])
        vectors[new] = self._known.placed([nodes[row] for row in new], new)[0]
        return vectors

    def _takes(self, text: str) -> bool:
        """Whether a document whose id is no node has a text to be placed by."""
        return bool(self.content and self.content[0].text and text.strip())

    def _cold_documents(self, texts: list[str]) -> Vectors:
        """Vectors of documents whose ids are no nodes, from texts that `_takes`."""
        column = self.content[0].columns[0] if self.content else ""
        return self._known.placed([{column: text} for text in texts], range(len(texts)))[0]

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
        features, tail, head = self._known.extended(pairs_of(pairs))
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
        features, tail, head = self._known.extended(pairs_of(pairs))
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
        rows = [self._known.row_of(one, "one"), self._known.row_of(other, "other")]
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
