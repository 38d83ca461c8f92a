"""Doc2Vec: train document vectors on a corpus of one's own, and infer those of new texts (gensim, the extra `train`).

Method: paragraph vectors (Le and Mikolov, ICML 2014), by default the distributed bag of words. Inference starts from a
vector seeded by the text itself, so the same text always has the same vector, in every process.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.optional import gensim_models
from vecsearch.embedders import tokens
from vecsearch.embedders.inputs import strings
from vecsearch.embedders.saved import Saved, write_saved

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


class Doc2VecEmbedder:
    """Texts by inference, documents and queries alike. A text without a known word is all zeros."""

    def __init__(
        self,
        model: Any,
        cutting: tokens.Tokenizer,
        infer_epochs: int,
        name: str = "doc2vec:unsaved",
    ) -> None:
        """`model` is a gensim Doc2Vec; `infer_epochs` the passes over a text whose vector is inferred."""
        self.name = name
        self.dim = int(model.vector_size)
        self.cutting: tokens.Tokenizer = cutting
        self.infer_epochs = infer_epochs
        self._model = model
        self._tokenize = tokens.tokenizer(cutting)
        self._lock = threading.Lock()
        self._fingerprint: str | None = None

    def fingerprint(self) -> str:
        """sha256 over words, weights and settings."""
        if self._fingerprint is None:
            self._fingerprint = self._saved().fingerprint()
        return self._fingerprint

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32, shape (len(documents), dim). Raises InvalidInputError for a document that is not a string."""
        out = np.zeros((len(documents), self.dim), dtype=np.float32)
        with self._lock:
            for row, text in enumerate(strings(documents, self.name)):
                words = [word for word in self._tokenize(text) if word in self._model.wv]
                if words:
                    out[row] = self._infer(words)
        return out

    def embed_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed_documents(queries)

    def _infer(self, words: list[str]) -> npt.NDArray[np.float32]:
        """Gradient descent on one vector, the model held still. gensim's own `infer_vector` starts from Python's hash of the
        text, which differs from process to process; this starts from its CRC, and seeds the draws anew for each text."""
        model, steps = self._model, gensim_models("Doc2Vec").doc2vec
        random = np.random.default_rng([model.seed, zlib.crc32(" ".join(words).encode("utf-8"))])
        vector = ((random.random((1, self.dim)) - 0.5) / self.dim).astype(np.float32)
        lock, work, neurons = (
            np.ones(1, np.float32),
            np.zeros(self.dim, np.float32),
            np.zeros(self.dim, np.float32),
        )
        frozen = {
            "learn_words": False,
            "learn_hidden": False,
            "doctag_vectors": vector,
            "doctags_lockf": lock,
        }
        model.random.seed(model.seed)
        for alpha in np.linspace(model.alpha, model.min_alpha, self.infer_epochs):
            if model.dm:
                steps.train_document_dm(model, words, [0], float(alpha), work, neurons, **frozen)
            else:
                steps.train_document_dbow(model, words, [0], float(alpha), work, **frozen)
        first: npt.NDArray[np.float32] = vector[0]
        return first

    def save(self, folder: str | Path) -> Path:
        """Write into a new folder, without pickle; the name becomes `saved:FOLDER`. Raises InvalidInputError."""
        path = write_saved(self._saved(), folder)
        self.name = f"saved:{path}"
        return path

    def _saved(self) -> Saved:
        model = self._model
        settings = {
            "cutting": self.cutting,
            "infer_epochs": self.infer_epochs,
            "documents": int(model.corpus_count),
            "parameters": {key: _plain(getattr(model, key)) for key in _PARAMETERS},
        }
        counts = np.array(
            [model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key], dtype=np.int64
        )
        arrays = {
            "counts": counts,
            "words": np.asarray(model.wv.vectors),
            "output": np.asarray(model.syn1neg),
        }
        return Saved("doc2vec", settings, list(model.wv.index_to_key), arrays)


def from_saved(saved: Saved, name: str) -> Doc2VecEmbedder:
    """Rebuild the model from its vocabulary and weights. Raises MissingExtraError."""
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
    """gensim keeps some parameters as numpy scalars or booleans."""
    return (
        value.item()
        if isinstance(value, np.generic)
        else int(value)
        if isinstance(value, bool)
        else value
    )
