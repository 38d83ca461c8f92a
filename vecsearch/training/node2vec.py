"""node2vec and DeepWalk: vectors of a graph's nodes from random walks along its edges.

Grover and Leskovec, "node2vec: Scalable Feature Learning for Networks" (KDD 2016); with p = q = 1
it is DeepWalk (Perozzi, Al-Rfou and Skiena, "DeepWalk: Online Learning of Social Representations",
KDD 2014). The walks are sentences on which word2vec's skip-gram is trained (gensim, the extra
`train`).

What is known of the nodes joins in as links: each node is also linked to the ten whose text and
columns are most like its own. Walks lead over these links too, so that a node without an edge has
neighbors, and so a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vecsearch.common.gate import gated
from vecsearch.embedders.base import Embedder
from vecsearch.embedders.nodes import NodeEmbedder
from vecsearch.training.gensim import Progress
from vecsearch.training.nodes import Contents, Reading, Walking, train_nodes


@gated
def train_node2vec(
    edges: Any,
    *,
    nodes: Any = None,
    source: str = "source",
    target: str = "target",
    weight: str | None = "weight",
    type: str | None = "type",
    type_weights: Mapping[str, float] | str | None = None,
    node: str = "node",
    text: str | None = None,
    columns: Sequence[str] | None = None,
    embedder: str | Embedder | None = None,
    directed: bool | None = None,
    p: float = 1.0,
    q: float = 1.0,
    walks: int = 10,
    length: int = 40,
    dim: int = 128,
    window: int = 5,
    epochs: int = 5,
    negative: int = 5,
    held_out: float = 0.1,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> NodeEmbedder:
    """Train vectors of the nodes of a graph, and a model that scores links.

    Links are held out first, to fit `model.link_scores`, to stop in time and to measure; then the
    vectors are trained on all links. With one worker the same seed gives the same vectors.

    Args:
        edges: One row for each edge: anything that `Collection.add` takes, pairs, a networkx graph
            (its nodes and their attributes too), or a square scipy sparse matrix.
        nodes: One row for each node, with a text or other columns. Each gets a vector, if it has no
            edge too.
        source: The column with the node where an edge starts.
        target: The column with the node where it ends.
        weight: The column with the edge's weight, above 0. All are 1 if there is no column
            `weight`, or with None.
        type: The column with the edge's type, for `type_weights` and `link_scores`. There are none
            if there is no column `type`, or with None.
        type_weights: By what the weights of some types are multiplied; 0 leaves a type out.
        node: The column of `nodes` with the ids.
        text: The column of `nodes` with texts; None takes `text`, or else the one with the most
            words.
        columns: Other columns of `nodes` to use; None uses all others where there are no texts,
            else none.
        embedder: The model of the texts; None compares them by their words (tf-idf and latent
            semantic analysis).
        directed: Whether edges lead one way only; None asks the graph, and else means no.
        p: Return parameter: above 1, a walk seldom goes straight back.
        q: In-out parameter: above 1, a walk stays near its start; below 1, it moves away.
        walks: Walks from each node.
        length: Nodes of a walk.
        dim: Length of the vectors.
        window: How many neighbors on each side in a walk count as seen together.
        epochs: The most passes over the walks.
        negative: Negative samples for each pair.
        held_out: The share of links that are held out to measure; as many are to fit
            `link_scores`. 0 holds none out, and there is no report.
        seed: Seed of all random choices.
        workers: Threads.
        progress: Called with the number of finished epochs and of all epochs.

    Returns:
        An embedder whose keys are the node ids as strings. Save it with `.save(folder)`.

    Raises:
        InvalidInputError: A column is missing or contains a null, a weight is not above 0, the
            table is empty, or an option is out of range.
        MissingExtraError: The extra `train` is not installed.

    Example:
        >>> import pyarrow as pa
        >>> edges = pa.table({"source": ["a", "b", "c"], "target": ["b", "c", "a"]})
        >>> train_node2vec(edges, dim=8).embed_documents(["a"]).shape
        (1, 8)
    """
    settings = Walking(p, q, walks, length, dim, window, epochs, negative, seed, workers)
    reading = Reading(source, target, weight, type, type_weights, node, directed)
    about = Contents(text, columns, embedder)
    return train_nodes("node2vec", edges, nodes, reading, about, settings, held_out, progress)


@gated
def train_deepwalk(
    edges: Any,
    *,
    nodes: Any = None,
    source: str = "source",
    target: str = "target",
    weight: str | None = "weight",
    type: str | None = "type",
    type_weights: Mapping[str, float] | str | None = None,
    node: str = "node",
    text: str | None = None,
    columns: Sequence[str] | None = None,
    embedder: str | Embedder | None = None,
    directed: bool | None = None,
    walks: int = 10,
    length: int = 40,
    dim: int = 128,
    window: int = 5,
    epochs: int = 5,
    negative: int = 5,
    held_out: float = 0.1,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> NodeEmbedder:
    """Train vectors of nodes from plain random walks: `train_node2vec` with p = q = 1.

    Perozzi, Al-Rfou and Skiena, "DeepWalk: Online Learning of Social Representations" (KDD 2014),
    with negative sampling in place of the hierarchical softmax.

    Args:
        edges: One row for each edge, as `train_node2vec` takes them.
        nodes: One row for each node, with a text or other columns.
        source: The column with the node where an edge starts.
        target: The column with the node where it ends.
        weight: The column with the edge's weight, above 0. All are 1 if there is no column
            `weight`, or with None.
        type: The column with the edge's type. None takes none.
        type_weights: By what the weights of some types are multiplied; 0 leaves a type out.
        node: The column of `nodes` with the ids.
        text: The column of `nodes` with texts.
        columns: Other columns of `nodes` to use.
        embedder: The model of the texts.
        directed: Whether edges lead one way only; None asks the graph, and else means no.
        walks: Walks from each node.
        length: Nodes of a walk.
        dim: Length of the vectors.
        window: How many neighbors on each side in a walk count as seen together.
        epochs: The most passes over the walks.
        negative: Negative samples for each pair.
        held_out: The share of links that are held out to measure.
        seed: Seed of all random choices.
        workers: Threads.
        progress: Called with the number of finished epochs and of all epochs.

    Returns:
        An embedder whose keys are the node ids as strings.

    Raises:
        InvalidInputError: A column is missing or contains a null, a weight is not above 0, the
            table is empty, or an option is out of range.
        MissingExtraError: The extra `train` is not installed.

    Example:
        >>> train_deepwalk([("a", "b"), ("b", "c")], dim=8).keys
        ['a', 'b', 'c']
    """
    settings = Walking(1.0, 1.0, walks, length, dim, window, epochs, negative, seed, workers)
    reading = Reading(source, target, weight, type, type_weights, node, directed)
    about = Contents(text, columns, embedder)
    return train_nodes("deepwalk", edges, nodes, reading, about, settings, held_out, progress)
