"""Word vectors as an embedder: a text is the mean of its words' vectors.

Specs: `words:PATH` (word2vec text or binary, GloVe, fastText .vec or .bin), `words:glove-6b-50d`
(English; extra `glove`), `words:synonyms-zh` (Chinese; extra `synonyms`).
`vecsearch.training.word2vec` and `vecsearch.training.fasttext` train such embedders.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.embedders import tokens
from vecsearch.embedders.inputs import strings
from vecsearch.embedders.keyed import KeyedVectors
from vecsearch.embedders.saved import Saved, TrainedEmbedder

Cutting = Literal["vocabulary", "words", "jieba"]
_LONGEST = 8  # characters of the longest Chinese word that is looked for


class WordEmbedder(KeyedVectors, TrainedEmbedder):
    """Embeds a text as the mean of its words' vectors.

    A word is looked up as it is written, then in lower case. Words without a vector are ignored; a
    text without any known word gives the zero vector.

    Args:
        keys: The words, in row order.
        vectors: float32, shape (len(keys), dim).
        name: The embedder's name.
        cutting: How a run of Chinese characters becomes words: "vocabulary" takes the longest known
            word at each position, "words" single characters, "jieba" the words that jieba finds.
            It must match how the vectors were trained.
        about: How the vectors were trained; saved with them.

    Raises:
        InvalidInputError: A word is repeated, or words and rows differ in number.
        MissingExtraError: jieba is needed and not installed.

    Example:
        >>> import numpy as np
        >>> words = WordEmbedder(["sea", "sun"], np.array([[2, 0], [0, 4]], np.float32))
        >>> words.embed_documents(["Sea and sun"])
        array([[1., 2.]], dtype=float32)
    """

    kind = "words"

    def __init__(
        self,
        keys: Sequence[str],
        vectors: Vectors,
        name: str = "words:unsaved",
        *,
        cutting: Cutting = "vocabulary",
        about: dict[str, Any] | None = None,
    ) -> None:
        KeyedVectors.__init__(self, keys, vectors)
        TrainedEmbedder.__init__(self, name, self.dim)
        self.cutting = cutting
        self.about = dict(about or {})
        self._tokenize = (
            tokens.tokenizer(cutting) if cutting != "vocabulary" else self._by_vocabulary
        )

    def embed_documents(self, documents: Sequence[str]) -> Vectors:
        """Embed texts, queries and documents alike.

        Args:
            documents: Texts.

        Returns:
            float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: A document is not a string.
        """
        out = np.zeros((len(documents), self.dim), dtype=np.float32)
        for row, text in enumerate(strings(documents, self.name)):
            vectors = self.text_vectors(text)
            if len(vectors):
                out[row] = vectors.mean(axis=0)
        return out

    def text_vectors(self, text: str) -> Vectors:
        """The vectors of a text's known words in order: float32, shape (words, dim).

        A text that is itself a key gives that key's vector.
        """
        if text in self.row:
            return self.vectors[[self.row[text]]]
        rows = (self.row.get(word, self.row.get(word.lower())) for word in self._tokenize(text))
        vectors: Vectors = self.vectors[[row for row in rows if row is not None]]
        return vectors

    def _saved(self) -> Saved:
        settings = {"cutting": self.cutting, "about": self.about}
        return Saved(self.kind, settings, self.keys, {"vectors": self.vectors})

    def _compute_fingerprint(self) -> str:
        """Over words, vectors and the way texts are cut; how they were trained does not matter."""
        saved = self._saved()
        settings = {"cutting": self.cutting}
        return Saved(saved.kind, settings, saved.keys, saved.arrays).fingerprint()

    def _by_vocabulary(self, text: str) -> list[str]:
        return tokens.split(
            text, lambda run: tokens.longest_match(run, self.row, _LONGEST), lower=False
        )


def from_saved(saved: Saved, name: str) -> WordEmbedder:
    """The embedder that `WordEmbedder.save` wrote."""
    settings = saved.settings
    return WordEmbedder(
        saved.keys,
        saved.arrays["vectors"],
        name,
        cutting=settings["cutting"],
        about=settings["about"],
    )
