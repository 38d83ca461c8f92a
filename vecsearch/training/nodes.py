"""Training of node vectors: reading, holding links out, walks, and the model of links."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.optional import gensim_models
from vecsearch.common.show import shown
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.content import ContentEmbedder
from vecsearch.embedders.known_nodes import ALIKE
from vecsearch.embedders.nodes import NodeEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.graph import Graph
from vecsearch.graphs.links import LinkModel
from vecsearch.graphs.near import nearest_links
from vecsearch.graphs.walks import walk
from vecsearch.ingest.graph_tables import Links, graph_tables, read_links
from vecsearch.ingest.table_columns import id_column
from vecsearch.ingest.whole_table import as_table
from vecsearch.training.content import fit_content
from vecsearch.training.gensim import Progress, check_settings, fit
from vecsearch.training.link_prediction import fit_links, link_report, split_links, vectors_auc
from vecsearch.training.report import MethodScore
from vecsearch.training.stopping import Watch

if TYPE_CHECKING:
    import pyarrow as pa

CONTENT_DIM = 128


@dataclass(frozen=True)
class Walking:
    """How walks are made and vectors trained on them."""

    p: float
    q: float
    walks: int
    length: int
    dim: int
    window: int
    epochs: int
    negative: int
    seed: int
    workers: int

    def check(self) -> None:
        """Raise InvalidInputError for what is out of range."""
        wanted = ("dim", "window", "epochs", "negative", "seed", "workers", "walks", "length")
        check_settings(**{name: getattr(self, name) for name in wanted})
        for name in ("p", "q"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 < value < math.inf):
                raise InvalidInputError(f"{name} is {shown(value)}; it must be above 0")


@dataclass(frozen=True)
class Reading:
    """Which columns of the tables are read as what."""

    source: str
    target: str
    weight: str | None
    type: str | None
    type_weights: Mapping[str, float] | str | None
    node: str
    directed: bool | None

    def links(
        self, edges: pa.Table, nodes: pa.Table | None, node: str, directed: bool | None
    ) -> Links:
        """The edges by the numbers of their nodes; `node` is the column of the nodes' ids."""
        return read_links(
            edges,
            source=self.source,
            target=self.target,
            weight=self.weight,
            type=self.type,
            type_weights=self.type_weights,
            directed=bool(directed if self.directed is None else self.directed),
            more_nodes=None if nodes is None else id_column(nodes, node),
        )


@dataclass(frozen=True)
class Contents:
    """Which columns say what about a node."""

    text: str | None
    columns: Sequence[str] | None
    embedder: str | Embedder | None


def train_nodes(
    kind: str,
    edges: Any,
    nodes: Any,
    reading: Reading,
    contents: Contents,
    settings: Walking,
    held_out: float,
    progress: Progress | None,
) -> NodeEmbedder:
    """Train vectors of nodes and the model of their links; see `train_node2vec`."""
    settings.check()
    if not (isinstance(held_out, int | float) and 0 <= held_out <= 0.4):
        raise InvalidInputError(f"held_out is {shown(held_out)}; it must be between 0 and 0.4")
    links, content = _read(edges, nodes, reading, contents, settings.seed)
    described = None if content is None else content[1]
    split = split_links(links, held_out, settings.seed)
    total = settings.epochs * (1 if split is None else 2)
    taken = settings.epochs
    models: dict[str, LinkModel] = {}
    scores: tuple[MethodScore, ...] = ()
    stopped = ""
    if split is not None:
        found = _vectors(
            split.training,
            described,
            settings,
            settings.epochs,
            _shifted(progress, 0, total),
            vectors_auc(split.fitting),
        )
        taken, stopped = found.epochs, found.stopped
        models, scores = fit_links(split, links, found.vectors, described)
    done = total - settings.epochs
    vectors = _vectors(links.graph(), described, settings, taken, _shifted(progress, done, total))
    about = {
        "trained": kind,
        "nodes": len(links.nodes),
        "edges": len(links.tail),
        "types": links.types,
        "directed": links.directed,
        **{name: getattr(settings, name) for name in Walking.__dataclass_fields__},
        "epochs": taken,
    }
    name = f"{kind}:unsaved"
    model = NodeEmbedder(links.graph(), vectors.vectors, content, models, name, about)
    model.report = link_report(
        kind,
        links,
        scores,
        epochs=taken,
        stopped=stopped,
        without=int((~model.vectors.any(axis=1)).sum()),
        measured=0 if split is None else int(split.measured.linked.sum()),
        share=held_out,
    )
    return model


def _read(
    edges: Any, nodes: Any, reading: Reading, contents: Contents, seed: int
) -> tuple[Links, tuple[ContentEmbedder, Vectors] | None]:
    """The links, and the model and vectors of what is known of the nodes."""
    tables = graph_tables(edges, source=reading.source, target=reading.target)
    described = tables.nodes if nodes is None else as_table(nodes)
    node = reading.node if nodes is not None else "node"
    links = reading.links(tables.edges, described, node, tables.directed)
    if described is None:
        if any(each is not None for each in (contents.text, contents.columns, contents.embedder)):
            raise InvalidInputError(
                "text, columns and embedder are about the table of nodes, and there is none: give "
                "nodes="
            )
        return links, None
    ids = id_column(described, node)
    known, first = np.unique(ids, return_index=True)
    if len(known) < len(ids):
        row = int(np.setdiff1d(np.arange(len(ids)), first)[0])
        raise InvalidInputError(
            f"column '{node}' of the nodes, row {row}: {str(ids[row])!r} repeats"
        )
    model = fit_content(
        described,
        node=node,
        text=contents.text,
        columns=contents.columns,
        embedder=contents.embedder,
        dim=CONTENT_DIM,
        seed=seed,
    )
    if model is None:
        return links, None
    vectors = np.zeros((len(links.nodes), model.dim), dtype=np.float32)
    rows = described.select(model.columns).to_pylist()
    vectors[np.searchsorted(links.nodes, ids)] = model.embed_documents(rows)
    return links, (model, vectors)


def with_content(graph: Graph, content: Vectors | None) -> Graph:
    """A graph with a link from each node to the ten whose content is most like its own.

    Together these links weigh as much as the graph's own.
    """
    if content is None:
        return graph
    tail, head, cosines = nearest_links(content, ALIKE)
    own, total = float(graph.weights.sum()), float(cosines.sum())
    if not total:
        return graph
    weights = cosines * ((own or total) / total)
    if not graph.directed:
        weights = weights / 2  # each is in both directions, like the graph's own
    ends = (tail, head) if graph.directed else (np.r_[tail, head], np.r_[head, tail])
    both = weights if graph.directed else np.r_[weights, weights]
    joined = Graph.from_links(
        graph.nodes,
        np.concatenate([graph.tails, ends[0]]),
        np.concatenate([graph.neighbors, ends[1]]),
        np.concatenate([graph.weights, both]),
        directed=True,
    )
    return replace(joined, directed=graph.directed)


@dataclass(frozen=True)
class Trained:
    """Vectors of all nodes.

    Attributes:
        vectors: float32, shape (nodes, dim); zero for a node that no walk leaves or reaches.
        epochs: The passes over the walks that they are of.
        stopped: Why training ended there: a phrase.
    """

    vectors: Vectors
    epochs: int
    stopped: str


def _vectors(
    graph: Graph,
    content: Vectors | None,
    settings: Walking,
    epochs: int,
    progress: Progress | None,
    judge: Callable[[Vectors], float] | None = None,
) -> Trained:
    """Train vectors; with a judge, of the epoch after which its measure was best."""
    joined = with_content(graph, content)
    random = np.random.default_rng(settings.seed)
    sentences: list[list[str]] = []
    for _ in range(settings.walks):
        paths = walk(joined, settings.length, settings.p, settings.q, random)
        sentences.extend([joined.nodes[node] for node in path[path >= 0]] for path in paths)
    linked = np.zeros(len(joined.nodes), dtype=np.bool_)
    linked[joined.tails] = linked[joined.neighbors] = True
    row = {node: number for number, node in enumerate(joined.nodes)}
    model = gensim_models("Training node2vec").Word2Vec(
        vector_size=settings.dim,
        window=settings.window,
        epochs=epochs,
        min_count=1,
        sg=1,
        negative=settings.negative,
        seed=settings.seed,
        workers=settings.workers,
        sample=0.0,
    )

    def ordered() -> Vectors:
        vectors = np.zeros((len(joined.nodes), settings.dim), dtype=np.float32)
        vectors[[row[key] for key in model.wv.index_to_key]] = model.wv.vectors
        vectors[~linked] = 0
        return vectors

    if judge is None:
        fit(model, sentences, epochs, progress)
        return Trained(ordered(), epochs, "")
    watch = Watch(lambda: judge(ordered()), ordered, patience=1)
    fit(model, sentences, epochs, progress, watch)
    assert watch.best is not None
    return Trained(watch.best, watch.best_epoch, watch.reason(epochs))


def _shifted(progress: Progress | None, start: int, total: int) -> Progress | None:
    """Progress of one of two trainings, as part of the whole."""
    if progress is None:
        return None
    return lambda done, _: progress(start + done, total)
