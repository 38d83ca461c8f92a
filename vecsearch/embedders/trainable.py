"""The kinds of models that are trained on your own data: a table of names, imported by none.

`vecsearch.train` finds the trainer of a kind here, and messages about an embedder's name find out
that it is such a kind. How to add one: write `train_x(data, *, ..., seed=0, progress=None)` in a
module of `vecsearch.training`, and add a line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reads = Literal["texts", "rows", "edges"]
"""What the trainer is given: a list of texts or lists of words, an Arrow table, or the data."""


@dataclass(frozen=True, slots=True)
class Trainable:
    """A kind of model that is trained on data.

    Attributes:
        name: What `vecsearch.train` calls it.
        trainer: "module:function"; the function takes what `reads` says, and options.
        makes: What it makes, in a line.
        needs: What the data must hold, in a line.
        reads: What the trainer is given; one of edges reads graphs of all forms itself.
        extra: The extra of vecsearch that it needs, "" if none.
    """

    name: str
    trainer: str
    makes: str
    needs: str
    reads: Reads = "rows"
    extra: str = ""


_TEXTS = "texts: a column, lists of words, a file with a line each, a folder"
_ROWS = "a row for each thing: numbers, dates, categories"
_SESSIONS = "a row for each item of a session, basket or user: session=, item=, order="
_TRAINING = "vecsearch.training"
_EDGES = "a row for each edge (source, target), a networkx graph or a scipy matrix; nodes="
TRAINABLE: dict[str, Trainable] = {
    kind.name: kind
    for kind in (
        Trainable(
            "word2vec",
            f"{_TRAINING}.word2vec:train_word2vec",
            "vectors of words (skip-gram or continuous bag of words)",
            _TEXTS,
            "texts",
            "train",
        ),
        Trainable(
            "fasttext",
            f"{_TRAINING}.fasttext:train_fasttext",
            "vectors of words and of their parts, so of unknown words too",
            _TEXTS,
            "texts",
            "train",
        ),
        Trainable(
            "glove",
            f"{_TRAINING}.glove:train_glove",
            "vectors of words, from how often they occur near each other",
            _TEXTS,
            "texts",
        ),
        Trainable(
            "doc2vec",
            f"{_TRAINING}.doc2vec:train_doc2vec",
            "vectors of documents",
            _TEXTS,
            "texts",
            "train",
        ),
        Trainable(
            "item2vec",
            f"{_TRAINING}.item2vec:train_item2vec",
            "vectors of items that were bought, watched or played together",
            _SESSIONS,
            extra="train",
        ),
        Trainable(
            "items",
            f"{_TRAINING}.items:train_items",
            "recommendations: the best of item-knn, ease, sequence and item2vec on your sessions",
            _SESSIONS,
        ),
        Trainable(
            "item-knn",
            f"{_TRAINING}.items:train_item_knn",
            "items by the cosine of who had them",
            _SESSIONS,
        ),
        Trainable(
            "ease",
            f"{_TRAINING}.items:train_ease",
            "items by a linear autoencoder in closed form",
            _SESSIONS,
        ),
        Trainable(
            "sequence",
            f"{_TRAINING}.items:train_sequence",
            "items by what soon came after what",
            _SESSIONS,
        ),
        Trainable(
            "node2vec",
            f"{_TRAINING}.node2vec:train_node2vec",
            "vectors of the nodes of a graph, from random walks",
            _EDGES,
            "edges",
            extra="train",
        ),
        Trainable(
            "deepwalk",
            f"{_TRAINING}.node2vec:train_deepwalk",
            "vectors of the nodes of a graph, from plain random walks",
            _EDGES,
            "edges",
            extra="train",
        ),
        Trainable(
            "graph2vec",
            f"{_TRAINING}.graph2vec:train_graph2vec",
            "vectors of whole graphs, from the subtrees around their nodes",
            "networkx graphs, or a row for each edge: graph, source, target; nodes=, classes=",
            "edges",
            extra="train",
        ),
        Trainable(
            "transe",
            f"{_TRAINING}.transe:train_transe",
            "vectors of the entities and relations of a knowledge graph",
            "a row for each triple: source, type, target",
            "edges",
        ),
        Trainable(
            "tabular",
            f"{_TRAINING}.tabular:train_tabular",
            "vectors of table rows, on their main components",
            _ROWS,
        ),
        Trainable(
            "one-hot",
            f"{_TRAINING}.tabular:train_one_hot",
            "vectors of table rows, a dimension for each category",
            _ROWS,
        ),
        Trainable(
            "cells",
            f"{_TRAINING}.cells:train_cells",
            "vectors of single cells from the counts of their genes",
            "a column `vector` of counts, as from cells.h5ad::layers/counts",
        ),
    )
}


def trainable(name: str) -> Trainable | None:
    """The kind of that name, in any letter case; None if there is none.

    Example:
        >>> trainable("Word2Vec").name
        'word2vec'
    """
    return TRAINABLE.get(name.casefold().replace("_", "-"))
