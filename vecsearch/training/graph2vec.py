"""graph2vec: vectors of whole graphs.

Narayanan et al., "graph2vec: Learning Distributed Representations of Graphs" (2017): a graph is a
document of its subtree words (Weisfeiler-Lehman labels), on which Doc2Vec's distributed bag of
words is trained (gensim, the extra `train`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arguments import check_whole
from vecsearch.common.gate import gated
from vecsearch.common.show import shown
from vecsearch.embedders.graph2vec import GraphEmbedder, LabeledGraph, from_networkx
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.graph_tables import read_links
from vecsearch.ingest.table_columns import id_column
from vecsearch.ingest.whole_table import as_table
from vecsearch.training.doc2vec import train_doc2vec
from vecsearch.training.gensim import Progress, check_settings
from vecsearch.training.report import TrainingReport, method_score
from vecsearch.types import counted

if TYPE_CHECKING:
    import pyarrow as pa

FOLDS = 5
LEAST_OF_CLASS = 5


@gated
def train_graph2vec(
    edges: Any,
    *,
    nodes: Any = None,
    classes: Any = None,
    graph: str = "graph",
    source: str = "source",
    target: str = "target",
    type: str | None = "type",
    node: str = "node",
    label: str = "label",
    rounds: int = 2,
    dim: int = 64,
    epochs: int | None = None,
    min_count: int = 1,
    negative: int = 5,
    held_out: float = 0.1,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> GraphEmbedder:
    """Train vectors of whole graphs.

    With one worker the same seed gives the same vectors.

    Args:
        edges: A list of networkx graphs, or a dict of them by name, whose nodes may have the
            attribute `label` and edges `type`; or a table with a row for each edge of each graph,
            as anything that `Collection.add` takes.
        nodes: A table with the labels of nodes. Without labels, a node's is the number of its
            neighbors.
        classes: The class of each graph, to measure how well vectors tell it: a dict by name, a
            list in order, or a table with the columns `graph` and `class`.
        graph: The column with the graph's name.
        source: The column with the node where an edge starts.
        target: The column with the node where it ends.
        type: The column with the edge's type; there are none if there is no column `type`, or
            with None.
        node: The column of `nodes` with the node's id; names repeat in several graphs.
        label: The column of `nodes` with its label.
        rounds: Rounds of relabeling: words stand for subtrees of so many steps.
        dim: Length of the vectors.
        epochs: The most passes over the graphs; None takes more for few graphs than for many.
        min_count: Words that occur less often are ignored.
        negative: Negative samples for each word.
        held_out: The share of graphs that decide when to stop, and are measured without classes.
        seed: Seed of all random choices.
        workers: Threads.
        progress: Called with the number of finished epochs and of all epochs.

    Returns:
        An embedder whose keys are the graphs' names as strings.

    Raises:
        InvalidInputError: A column is missing or contains a null, there is no graph, or an option
            is out of range.
        MissingExtraError: The extra `train` is not installed.

    Example:
        >>> import networkx as nx
        >>> graphs = {"path": nx.path_graph(4), "ring": nx.cycle_graph(4)}
        >>> train_graph2vec(graphs, dim=4).keys
        ['path', 'ring']
    """
    check_settings(dim=dim, negative=negative, seed=seed, workers=workers)
    if check_whole("rounds", rounds, 0) > 10:
        raise InvalidInputError(f"rounds is {rounds:,}; it must be 10 or less")
    columns = {"source": source, "target": target, "type": type, "node": node, "label": label}
    read = _given(edges)
    if read is None:
        read = _from_tables(as_table(edges), nodes, graph, columns)
    if not read:
        raise InvalidInputError("there is no graph to train on")
    names, labeled = list(read), [each.labels is not None for each in read.values()]
    if not all(labeled):  # the same kind of label everywhere
        read = {name: replace(each, labels=None) for name, each in read.items()}
    known = None if classes is None else _classes(classes, names)
    words = [each.words(rounds) for each in read.values()]
    documents = train_doc2vec(
        words,
        dim=dim,
        epochs=epochs,
        min_count=min_count,
        negative=negative,
        dm=False,
        cutting="words",
        held_out=held_out,
        seed=seed,
        workers=workers,
        progress=progress,
    )
    vectors = documents.embed_words(words)
    about = {"trained": "graph2vec", "graphs": len(names), "rounds": rounds, "seed": seed}
    model = GraphEmbedder(names, vectors, documents, rounds, all(labeled), about=about)
    model.report = _report(documents.report, words, vectors, known, seed)
    return model


def _given(data: Any) -> dict[str, LabeledGraph] | None:
    """networkx graphs by name; None where the data is something else."""
    if hasattr(data, "adj"):
        raise InvalidInputError(
            "data is one graph; give several, as a list or as a dict from name to graph",
            hint='vectors of the nodes of one graph are of the kind "node2vec"',
        )
    if isinstance(data, Mapping):
        named = {str(name): graph for name, graph in data.items()}
    elif isinstance(data, list | tuple):
        named = {str(number): graph for number, graph in enumerate(data)}
    else:
        return None
    if not any(hasattr(graph, "adj") for graph in named.values()):
        return None
    for name, graph in named.items():
        if not hasattr(graph, "adj"):
            raise InvalidInputError(f"graph {name!r} is {shown(graph)}, no networkx graph")
    return {name: from_networkx(graph, None, f"graph {name!r}") for name, graph in named.items()}


def _from_tables(
    edges: pa.Table, nodes: Any, graph: str, columns: dict[str, Any]
) -> dict[str, LabeledGraph]:
    """The graphs of a table of edges and one of nodes; nodes without edges are in the latter."""
    names = id_column(edges, graph)
    described = None if nodes is None else as_table(nodes)
    owners = np.empty(0, np.str_) if described is None else id_column(described, graph)
    found = {}
    for name in np.unique(names).tolist():
        more, values = None, None
        if described is not None:
            own = described.filter(owners == name)
            more, values = id_column(own, columns["node"]), id_column(own, columns["label"])
        links = read_links(
            edges.filter(names == name),
            source=columns["source"],
            target=columns["target"],
            weight=None,
            type=columns["type"],
            more_nodes=more,
        )
        read = links.graph()
        labels = None
        if more is not None and values is not None:
            by_node = dict(zip(more.tolist(), values.tolist(), strict=True))
            missing = [node for node in read.nodes if node not in by_node]
            if missing:
                raise InvalidInputError(
                    f"graph {name!r}: the node {missing[0]!r} is not in the table of nodes"
                )
            labels = [by_node[node] for node in read.nodes]
        kinds = None
        if links.types:
            of_edge = {}
            for tail, head, kind in zip(links.tail, links.head, links.kinds, strict=True):
                of_edge[(tail, head)] = of_edge[(head, tail)] = links.types[kind]
            kinds = [of_edge[pair] for pair in zip(read.tails, read.neighbors, strict=True)]
        found[name] = LabeledGraph(read, labels, kinds)
    return found


def _classes(classes: Any, names: list[str]) -> list[str]:
    if isinstance(classes, list | tuple) and not any(isinstance(each, Mapping) for each in classes):
        if len(classes) != len(names):
            raise InvalidInputError(
                f"classes: {len(classes):,} are given for {counted(len(names), 'graph')}"
            )
        by_name: dict[str, Any] = dict(zip(names, classes, strict=True))
    elif isinstance(classes, Mapping):
        by_name = {str(name): value for name, value in classes.items()}
    else:
        table = as_table(classes)
        columns = id_column(table, "graph").tolist(), id_column(table, "class").tolist()
        by_name = dict(zip(*columns, strict=True))
    missing = [name for name in names if by_name.get(name) is None]
    if missing:
        raise InvalidInputError(f"classes: there is none of the graph {missing[0]!r}")
    return [str(by_name[name]) for name in names]


def _report(
    trained: TrainingReport | None,
    words: Sequence[Sequence[str]],
    vectors: Any,
    classes: list[str] | None,
    seed: int,
) -> TrainingReport | None:
    """How well the classes are told, or without classes, the other half of a graph's words."""
    if trained is None:
        return None
    counts = {"graphs": len(words), "subtree words": sum(map(len, words))}
    kinds, sizes = np.unique(classes or [], return_counts=True)
    if len(kinds) < 2 or sizes.min() < LEAST_OF_CLASS:
        scores = [
            replace(each, method=each.method.replace("doc2vec", "graph2vec"))
            for each in trained.scores
        ]
        measure = trained.measure.replace("text", "graph")
        if not scores:
            measure = ""
        notes = tuple(note.replace("texts", "graphs") for note in trained.notes)
        return replace(
            trained,
            kind="graph2vec",
            trained_on=counts,
            measure=measure,
            scores=tuple(scores),
            notes=notes,
        )
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.preprocessing import StandardScaler, normalize

    labels = np.array(classes)
    bags = [{word: each.count(word) for word in set(each)} for each in words]
    table = DictVectorizer().fit_transform(bags)
    common = kinds[np.argmax(sizes)]
    rows = (
        ("graph2vec", _right(StandardScaler().fit_transform(vectors), labels, seed)),
        ("counts of subtrees (Weisfeiler-Lehman)", _right(normalize(table), labels, seed)),
        ("most frequent class", labels == common),
    )
    return TrainingReport(
        "graph2vec",
        counts,
        f"share of {len(words):,} graphs whose class is told by logistic regression, {FOLDS} folds",
        tuple(method_score(name, right, seed=seed) for name, right in rows),
        trained.epochs,
        trained.stopped,
        ("The vectors are trained without the classes.",),
    )


def _right(rows: Any, labels: npt.NDArray[np.str_], seed: int) -> npt.NDArray[np.bool_]:
    """Which classes logistic regression tells rightly, each in the fold that was left out."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    told = cross_val_predict(LogisticRegression(max_iter=2000, C=10), rows, labels, cv=folds)
    return np.asarray(told == labels)
