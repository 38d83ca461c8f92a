"""fastText: word vectors that also cover unknown words, by their character n-grams.

A word's vector is the mean of its own vector and those of its character n-grams, which are hashed
into buckets; an unknown word has its n-grams only (Bojanowski, Grave, Joulin and Mikolov,
"Enriching Word Vectors with Subword Information", TACL 2017). `vecsearch.training.fasttext` trains
such an embedder; fastText's own .bin files can be read (the extra `train`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.common.optional import gensim_models
from vecsearch.embedders.saved import Saved
from vecsearch.embedders.words import Cutting, WordEmbedder
from vecsearch.errors import CorruptedError


class FastTextEmbedder(WordEmbedder):
    """A WordEmbedder that composes vectors of unknown words from their n-grams.

    Args:
        keys: The known words, in row order.
        vectors: float32, shape (len(keys), dim).
        ngrams: Vectors of the n-gram buckets: float32, shape (buckets, dim).
        name: The embedder's name.
        min_n: Characters of the shortest n-gram.
        max_n: Characters of the longest n-gram.
        cutting: How a run of Chinese characters becomes words; see WordEmbedder.
        about: How the vectors were trained; saved with them.

    Raises:
        InvalidInputError: A word is repeated, or words and rows differ in number.
        MissingExtraError: jieba is needed and not installed.

    Example:
        >>> import numpy as np
        >>> ones = np.ones((1, 2), np.float32)
        >>> words = FastTextEmbedder(["sea"], ones, 3 * ones, min_n=3, max_n=3)
        >>> words.embed_documents(["sea", "unknown"])
        array([[1., 1.],
               [3., 3.]], dtype=float32)
    """

    kind = "fasttext"

    def __init__(
        self,
        keys: Sequence[str],
        vectors: Vectors,
        ngrams: Vectors,
        name: str = "words:unsaved",
        *,
        min_n: int,
        max_n: int,
        cutting: Cutting = "words",
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(keys, vectors, name, cutting=cutting, about=about)
        self.ngrams: Vectors = np.ascontiguousarray(ngrams, dtype=np.float32)
        self.min_n, self.max_n = min_n, max_n

    def word_vector(self, word: str) -> Vectors | None:
        """The vector of any word: float32, shape (dim,).

        None only for an unknown word that is too short to have an n-gram.
        """
        row = self.row.get(word)
        if row is not None:
            known: Vectors = self.vectors[row]
            return known
        buckets = [
            ngram_hash(gram) % len(self.ngrams)
            for gram in character_ngrams(word, self.min_n, self.max_n)
        ]
        return np.asarray(self.ngrams[buckets].mean(axis=0), dtype=np.float32) if buckets else None

    def text_vectors(self, text: str) -> Vectors:
        """The vectors of a text's words in order: float32, shape (words, dim)."""
        words = [text] if text in self.row else self._tokenize(text)
        vectors = [vector for vector in map(self.word_vector, words) if vector is not None]
        return np.stack(vectors) if vectors else np.empty((0, self.dim), dtype=np.float32)

    def _saved(self) -> Saved:
        settings = {
            "cutting": self.cutting,
            "about": self.about,
            "min_n": self.min_n,
            "max_n": self.max_n,
        }
        arrays = {"vectors": self.vectors, "ngrams": self.ngrams}
        return Saved(self.kind, settings, self.keys, arrays)


def character_ngrams(word: str, min_n: int, max_n: int) -> list[str]:
    """The character n-grams of a word between "<" and ">", by rising length.

    Example:
        >>> character_ngrams("sea", 4, 5)
        ['<sea', 'sea>', '<sea>']
    """
    marked = f"<{word}>"
    grams = [marked[i : i + n] for n in range(min_n, max_n + 1) for i in range(len(marked) - n + 1)]
    return [gram for gram in grams if gram not in ("<", ">")]


def ngram_hash(gram: str) -> int:
    """FNV-1a (32 bits) over UTF-8 bytes read as signed, like fastText's own implementation."""
    value = 2166136261
    for byte in gram.encode("utf-8"):
        value ^= byte if byte < 128 else byte | 0xFFFFFF00
        value = value * 16777619 & 0xFFFFFFFF
    return value


def read_fasttext(path: str | Path) -> FastTextEmbedder:
    """Read a model in fastText's own .bin format.

    Args:
        path: The file.

    Returns:
        An embedder called `words:PATH`.

    Raises:
        MissingExtraError: The extra `train` is not installed.
        CorruptedError: The file cannot be read.
    """
    models = gensim_models(f"Reading the fastText model '{path}'")
    try:
        wv = models.fasttext.load_facebook_vectors(str(path))
    except Exception as error:
        raise CorruptedError(f"the fastText model '{path}' cannot be read: {error}") from error
    return FastTextEmbedder(
        wv.index_to_key,
        wv.vectors,
        wv.vectors_ngrams,
        f"words:{path}",
        min_n=wv.min_n,
        max_n=wv.max_n,
        cutting="vocabulary",
        about={"read": "fasttext"},
    )


def from_saved(saved: Saved, name: str) -> FastTextEmbedder:
    """The embedder that `FastTextEmbedder.save` wrote."""
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
