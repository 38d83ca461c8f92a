"""Whole graphs as vectors: their subtree words, read as a document (graph2vec).

`vecsearch.training.graph2vec` trains it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.gate import gated
from vecsearch.common.show import shown
from vecsearch.embedders.doc2vec import Doc2VecEmbedder
from vecsearch.embedders.keyed import KeyedEmbedder
from vecsearch.embedders.saved import Saved, load_saved, write_saved
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.graph import Graph
from vecsearch.graphs.subtrees import degrees, subtree_words


@dataclass(frozen=True)
class LabeledGraph:
    """A graph with labels of its nodes.

    Attributes:
        graph: The graph.
        labels: The label of each node; None takes the numbers of neighbors.
        kinds: The type of each edge, in the order of `graph.neighbors`; None without.
    """

    graph: Graph
    labels: list[str] | None = None
    kinds: list[str] | None = None

    def words(self, rounds: int) -> list[str]:
        """The subtree words, in an order that depends on nothing but the words."""
        labels = self.labels if self.labels is not None else degrees(self.graph)
        words = subtree_words(self.graph, labels, rounds, self.kinds)
        counts: dict[str, int] = {}
        keyed = []
        for word in words:
            counts[word] = number = counts.get(word, 0) + 1
            keyed.append((hashlib.blake2b(f"{word} {number}".encode()).digest(), word))
        return [word for _, word in sorted(keyed)]


class GraphEmbedder(KeyedEmbedder):
    """Embeds whole graphs: known ones by their names, new ones by their subtree words.

    Args:
        names: The names of the graphs it was trained on.
        vectors: float32, shape (graphs, dim).
        documents: The model of documents of subtree words.
        rounds: The rounds of relabeling.
        labeled: Whether nodes have labels; else their numbers of neighbors are these.
        name: The embedder's name.
        about: How the vectors were trained; saved with them.
    """

    def __init__(
        self,
        names: Sequence[str],
        vectors: Vectors,
        documents: Doc2VecEmbedder,
        rounds: int,
        labeled: bool,
        name: str = "graph2vec:unsaved",
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(names, vectors, name, about)
        self.documents = documents
        self.rounds = rounds
        self.labeled = labeled

    @gated
    def embed(self, graphs: Sequence[Any] | object) -> Vectors:
        """The vectors of graphs.

        Args:
            graphs: Names, or new networkx graphs, whose nodes have the attribute `label` and edges
                `type` if those of the training had them. A single one gives a single vector.

        Returns:
            float32, shape (graphs, dim), or (dim,) for a single one.

        Raises:
            InvalidInputError: A name is unknown, or a node of a graph has no label.

        Example:
            >>> import networkx as nx
            >>> from vecsearch.training.graph2vec import train_graph2vec
            >>> graphs = [nx.path_graph(4), nx.cycle_graph(4), nx.star_graph(3)]
            >>> train_graph2vec(graphs, dim=4).embed(nx.path_graph(5)).shape
            (4,)
        """
        if isinstance(graphs, str | int) or hasattr(graphs, "adj"):
            return np.asarray(self.embed_queries([graphs])[0])
        if not isinstance(graphs, Sequence):
            raise InvalidInputError(
                f"graphs is {shown(graphs)}; it must be names or networkx graphs"
            )
        return self.embed_queries(graphs)

    def embed_queries(self, queries: Sequence[Any]) -> Vectors:
        """Embed graphs, as `embed` does; a list of names is averaged.

        Args:
            queries: Names, lists of names, or networkx graphs.

        Returns:
            float32, shape (len(queries), dim).

        Raises:
            InvalidInputError: A name is unknown, or a node of a graph has no label.
        """
        new = [row for row, query in enumerate(queries) if hasattr(query, "adj")]
        if not new:
            return super().embed_queries(queries)
        vectors = np.empty((len(queries), self.dim), dtype=np.float32)
        old = sorted(set(range(len(queries))) - set(new))
        if old:
            vectors[old] = super().embed_queries([queries[row] for row in old])
        read = [from_networkx(queries[row], self.labeled, f"graph {row}") for row in new]
        vectors[new] = self.documents.embed_words([graph.words(self.rounds) for graph in read])
        return vectors

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """Embed graphs: names or networkx graphs; float32, shape (len(documents), dim)."""
        return self.embed_queries(documents)

    def _write(self, folder: str | Path) -> Path:
        return write_saved(self._saved(), folder, self.documents, report=self.report)

    def _saved(self) -> Saved:
        settings = {"about": self.about, "rounds": self.rounds, "labeled": self.labeled}
        return Saved("graph2vec", settings, self.keys, {"vectors": self.vectors})

    def _compute_fingerprint(self) -> str:
        own = Saved("graph2vec", {"rounds": self.rounds}, self.keys, {"vectors": self.vectors})
        both = own.fingerprint() + self.documents.fingerprint()
        return hashlib.sha256(both.encode()).hexdigest()


def from_networkx(graph: Any, labeled: bool | None, where: str) -> LabeledGraph:
    """Read a networkx graph.

    Args:
        graph: The graph.
        labeled: Whether nodes have the attribute `label`; None finds out.
        where: What to call the graph in errors.

    Raises:
        InvalidInputError: A node has no label.
    """
    names = list(graph.nodes)
    row = {name: number for number, name in enumerate(names)}
    directed = bool(graph.is_directed())
    edges = [(row[a], row[b], data) for a, b, data in graph.edges(data=True)]
    tail = np.array([a for a, _, _ in edges], dtype=np.int64)
    head = np.array([b for _, b, _ in edges], dtype=np.int64)
    read = Graph.from_links(
        [str(name) for name in names], tail, head, np.ones(len(edges)), directed
    )
    kinds = None
    if edges and all("type" in data for _, _, data in edges):
        types = {(a, b): str(data["type"]) for a, b, data in edges}
        pairs = zip(read.tails.tolist(), read.neighbors.tolist(), strict=True)
        kinds = [types.get((a, b), types.get((b, a), "")) for a, b in pairs]
    values = [graph.nodes[name].get("label") for name in names]
    if labeled is None:
        labeled = bool(values) and all(value is not None for value in values)
    if not labeled:
        return LabeledGraph(read, None, kinds)
    if None in values:
        node = names[values.index(None)]
        raise InvalidInputError(f"{where}: the node {node!r} has no 'label'")
    return LabeledGraph(read, [str(value) for value in values], kinds)


def from_saved(saved: Saved, name: str) -> GraphEmbedder:
    """The embedder that `GraphEmbedder.save` wrote."""
    documents = load_saved(Path(name.removeprefix("saved:")) / "inner")
    if not isinstance(documents, Doc2VecEmbedder):
        raise ValueError("the model of the subtree words is of another kind")
    settings = saved.settings
    return GraphEmbedder(
        saved.keys,
        saved.arrays["vectors"],
        documents,
        settings["rounds"],
        settings["labeled"],
        name,
        settings["about"],
    )
