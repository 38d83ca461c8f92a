"""The kinds of models that are trained on your own data: a table of names, imported by none.

`vecsearch.train` finds the trainer of a kind here, and messages about an embedder's name find out
that it is such a kind. How to add one: write `train_x(data, *, ..., seed=0, progress=None)` in a
module of `vecsearch.training`, and add a line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reads = Literal["texts", "rows", "edges"]
"""What the trainer is given: a list of texts or lists of words, or an Arrow table."""


@dataclass(frozen=True, slots=True)
class Trainable:
    """A kind of model that is trained on data.

    Attributes:
        name: What `vecsearch.train` calls it.
        trainer: "module:function"; the function takes what `reads` says, and options.
        makes: What it makes, in a line.
        needs: What the data must hold, in a line.
        reads: What the trainer is given.
        extra: The extra of vecsearch that it needs, "" if none.
    """

    name: str
    trainer: str
    makes: str
    needs: str
    reads: Reads = "rows"
    extra: str = ""


_TEXTS = "texts: a column, lists of words, a file with a line each, a folder"
_TRAINING = "vecsearch.training"
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
            "a row for each item of a session, basket or user: session=, item=, order=",
            extra="train",
        ),
        Trainable(
            "node2vec",
            f"{_TRAINING}.node2vec:train_node2vec",
            "vectors of the nodes of a graph, from random walks",
            "a row for each edge: source, target",
            "edges",
            extra="train",
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
