"""fastText: word vectors that reach words never seen, by the pieces they are made of.

A word's vector is the mean of its own and those of its character n-grams, which are hashed into buckets; an unknown word
has its n-grams only (Bojanowski, Grave, Joulin and Mikolov, TACL 2017). Trained by gensim (the extra `train`), and read
from fastText's own .bin files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.optional import gensim_models
from vecsearch.embedders.saved import Saved
from vecsearch.embedders.words import Cutting, WordEmbedder
from vecsearch.errors import CorruptedError


class FastTextEmbedder(WordEmbedder):
    """A WordEmbedder with the vectors of n-grams, float32, shape (buckets, dim), for words it does not know."""

    kind = "fasttext"

    def __init__(
        self,
        keys: Sequence[str],
        vectors: npt.NDArray[np.float32],
        ngrams: npt.NDArray[np.float32],
        name: str = "words:unsaved",
        *,
        min_n: int,
        max_n: int,
        cutting: Cutting = "words",
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(keys, vectors, name, cutting=cutting, about=about)
        self.ngrams = np.ascontiguousarray(ngrams, dtype=np.float32)
        self.min_n, self.max_n = min_n, max_n

    def word_vector(self, word: str) -> npt.NDArray[np.float32] | None:
        """The vector of any word, shape (dim,); None only for a word too short to have an n-gram."""
        row = self.row.get(word)
        if row is not None:
            known: npt.NDArray[np.float32] = self.vectors[row]
            return known
        buckets = [
            ngram_hash(gram) % len(self.ngrams)
            for gram in character_ngrams(word, self.min_n, self.max_n)
        ]
        return np.asarray(self.ngrams[buckets].mean(axis=0), dtype=np.float32) if buckets else None

    def text_vectors(self, text: str) -> npt.NDArray[np.float32]:
        words = [text] if text in self.row else self._tokenize(text)
        found = [vector for vector in map(self.word_vector, words) if vector is not None]
        return np.stack(found) if found else np.empty((0, self.dim), dtype=np.float32)

    def _saved(self) -> Saved:
        settings = {
            "cutting": self.cutting,
            "about": self.about,
            "min_n": self.min_n,
            "max_n": self.max_n,
        }
        return Saved(
            self.kind, settings, self.keys, {"vectors": self.vectors, "ngrams": self.ngrams}
        )


def character_ngrams(word: str, min_n: int, max_n: int) -> list[str]:
    """The character n-grams of a word between "<" and ">", by rising length."""
    marked = f"<{word}>"
    grams = [marked[i : i + n] for n in range(min_n, max_n + 1) for i in range(len(marked) - n + 1)]
    return [gram for gram in grams if gram not in ("<", ">")]


def ngram_hash(gram: str) -> int:
    """FNV-1a, 32 bits, over UTF-8 bytes taken as signed, as the fastText reference implementation has it."""
    value = 2166136261
    for byte in gram.encode("utf-8"):
        value ^= byte if byte < 128 else byte | 0xFFFFFF00
        value = value * 16777619 & 0xFFFFFFFF
    return value


def read_fasttext(path: str | Path) -> FastTextEmbedder:
    """A model in fastText's own .bin format. Raises MissingExtraError, CorruptedError."""
    load_vectors = gensim_models(
        f"Reading the fastText model '{path}'"
    ).fasttext.load_facebook_vectors
    try:
        wv = load_vectors(str(path))
    except Exception as error:
        raise CorruptedError(f"the fastText model '{path}' cannot be read: {error}") from error
    about = {"read": "fasttext"}
    return FastTextEmbedder(
        wv.index_to_key,
        wv.vectors,
        wv.vectors_ngrams,
        f"words:{path}",
        min_n=wv.min_n,
        max_n=wv.max_n,
        cutting="vocabulary",
        about=about,
    )


def from_saved(saved: Saved, name: str) -> FastTextEmbedder:
    settings, arrays = saved.settings, saved.arrays
    return FastTextEmbedder(
        saved.keys,
        arrays["vectors"],
        arrays["ngrams"],
        name,
        min_n=settings["min_n"],
        max_n=settings["max_n"],
        cutting=settings["cutting"],
        about=settings["about"],
    )
