"""Doc2Vec: document vectors that were trained on your own corpus, and inferred for new texts.

Paragraph vectors (Le and Mikolov, "Distributed Representations of Sentences and Documents", ICML
2014), by gensim (the extra `train`). Inference starts from a vector seeded by the text itself, so
the same text always has the same vector, in every process. `vecsearch.training.doc2vec` trains the
model.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.optional import gensim_models
from vecsearch.embedders import tokens
from vecsearch.embedders.inputs import strings
from vecsearch.embedders.saved import Saved, TrainedEmbedder

_PARAMETERS = (
    "vector_size",
    "window",
    "dm",
    "negative",
    "sample",
    "ns_exponent",
    "alpha",
    "min_alpha",
    "seed",
    "epochs",
)


class Doc2VecEmbedder(TrainedEmbedder):
    """Infers the vectors of texts; documents and queries alike.

    Args:
        model: A gensim Doc2Vec.
        cutting: How a run of Chinese characters becomes words; see `tokens.tokenizer`.
        infer_epochs: Passes over a text whose vector is inferred.
        name: The embedder's name.

    Raises:
        MissingExtraError: jieba is needed and not installed.
    """

    def __init__(
        self,
        model: Any,
        cutting: tokens.Tokenizer,
        infer_epochs: int,
        name: str = "doc2vec:unsaved",
    ) -> None:
        super().__init__(name, int(model.vector_size))
        self.cutting: tokens.Tokenizer = cutting
        self.infer_epochs = infer_epochs
        self._model = model
        self._tokenize = tokens.tokenizer(cutting)

    def embed_documents(self, documents: Sequence[str]) -> Vectors:
        """Infer the vectors of texts; a text without a known word gives the zero vector.

        Args:
            documents: Texts.

        Returns:
            float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: A document is not a string.
        """
        return self.embed_words([self._tokenize(text) for text in strings(documents, self.name)])

    def embed_words(self, documents: Sequence[Sequence[str]]) -> Vectors:
        """Infer the vectors of texts that are lists of words: float32, shape (texts, dim)."""
        out = np.zeros((len(documents), self.dim), dtype=np.float32)
        with self._lock:
            for row, document in enumerate(documents):
                words = [word for word in document if word in self._model.wv]
                if words:
                    out[row] = self._infer(words)
        return out

    def _infer(self, words: list[str]) -> Vectors:
        """Gradient descent on one document vector, with the model's weights frozen.

        gensim's own `infer_vector` starts from Python's hash of the text, which differs between
        processes. This starts from its CRC, and seeds the sampling for each text.
        """
        model, steps = self._model, gensim_models("Doc2Vec").doc2vec
        random = np.random.default_rng([model.seed, zlib.crc32(" ".join(words).encode("utf-8"))])
        vector = ((random.random((1, self.dim)) - 0.5) / self.dim).astype(np.float32)
        work, neurons = np.zeros(self.dim, np.float32), np.zeros(self.dim, np.float32)
        frozen = {
            "learn_words": False,
            "learn_hidden": False,
            "doctag_vectors": vector,
            "doctags_lockf": np.ones(1, np.float32),
        }
        model.random.seed(model.seed)
        for alpha in np.linspace(model.alpha, model.min_alpha, self.infer_epochs):
            if model.dm:
                steps.train_document_dm(model, words, [0], float(alpha), work, neurons, **frozen)
            else:
                steps.train_document_dbow(model, words, [0], float(alpha), work, **frozen)
        inferred: Vectors = vector[0]
        return inferred

    def _saved(self) -> Saved:
        model = self._model
        words = list(model.wv.index_to_key)
        settings = {
            "cutting": self.cutting,
            "infer_epochs": self.infer_epochs,
            "documents": int(model.corpus_count),
            "parameters": {key: _plain(getattr(model, key)) for key in _PARAMETERS},
        }
        arrays = {
            "counts": np.array(
                [model.wv.get_vecattr(word, "count") for word in words], dtype=np.int64
            ),
            "words": np.asarray(model.wv.vectors),
            "output": np.asarray(model.syn1neg),
        }
        return Saved("doc2vec", settings, words, arrays)


def from_saved(saved: Saved, name: str) -> Doc2VecEmbedder:
    """Rebuild the model from its vocabulary and weights.

    Raises:
        MissingExtraError: The extra `train` is not installed.
    """
    settings, arrays = saved.settings, saved.arrays
    model = gensim_models("A saved Doc2Vec embedder").Doc2Vec(
        **settings["parameters"], min_count=1, sorted_vocab=0, workers=1
    )
    counts = dict(zip(saved.keys, arrays["counts"].tolist(), strict=True))
    model.build_vocab_from_freq(counts, corpus_count=settings["documents"])
    model.wv.vectors = arrays["words"]
    model.syn1neg = arrays["output"]
    return Doc2VecEmbedder(model, settings["cutting"], settings["infer_epochs"], name)


def _plain(value: Any) -> Any:
    """A parameter as plain JSON: gensim stores some as numpy scalars or booleans."""
    if isinstance(value, np.generic):
        return value.item()
    return int(value) if isinstance(value, bool) else value
