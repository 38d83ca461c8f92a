"""Word vectors as an embedder: a word is looked up, a longer text is the mean of its words' vectors.

Specs: `words:PATH` (word2vec text or binary, GloVe, fastText .vec or .bin), `words:glove-6b-50d` (English; extra `glove`),
`words:synonyms-zh` (Chinese; extra `synonyms`). Vectors trained here (`word2vec.py`, `fasttext.py`) are of the same kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vecsearch.embedders import tokens
from vecsearch.embedders.inputs import strings
from vecsearch.embedders.keyed import KeyedVectors
from vecsearch.embedders.saved import Saved, write_saved

Cutting = Literal["vocabulary", "words", "jieba"]
_LONGEST = 8  # characters of the longest Chinese word looked for


class WordEmbedder(KeyedVectors):
    """Texts as the mean of their words' vectors; words without a vector are passed over, a text of none is all zeros.

    A word is looked up as it is written, then in lower case. `cutting` says how Chinese runs become words: by the longest
    match in this vocabulary, into characters ("words"), or by jieba, as the vectors were trained.
    """

    kind = "words"

    def __init__(
        self,
        keys: Sequence[str],
        vectors: npt.NDArray[np.float32],
        name: str = "words:unsaved",
        *,
        cutting: Cutting = "vocabulary",
        about: dict[str, Any] | None = None,
    ) -> None:
        """`about`: how the vectors were made, kept with them when saved. Raises MissingExtraError when jieba is needed."""
        super().__init__(keys, vectors)
        self.name = name
        self.cutting = cutting
        self.about = dict(about or {})
        self._tokenize = (
            tokens.tokenizer(cutting) if cutting != "vocabulary" else self._by_vocabulary
        )
        self._fingerprint: str | None = None

    def fingerprint(self) -> str:
        """sha256 over words, vectors and the way texts are cut."""
        if self._fingerprint is None:
            saved = self._saved()
            self._fingerprint = Saved(
                saved.kind, {"cutting": self.cutting}, saved.keys, saved.arrays
            ).fingerprint()
        return self._fingerprint

    def embed_documents(self, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32, shape (len(documents), dim). Raises InvalidInputError for a document that is not a string."""
        out = np.zeros((len(documents), self.dim), dtype=np.float32)
        for row, text in enumerate(strings(documents, self.name)):
            found = self.text_vectors(text)
            if len(found):
                out[row] = found.mean(axis=0)
        return out

    def embed_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed_documents(queries)

    def text_vectors(self, text: str) -> npt.NDArray[np.float32]:
        """The vectors of a text's known words in order, shape (words, dim). A text that is one known key is that word."""
        if text in self.row:
            return self.vectors[[self.row[text]]]
        rows = (self.row.get(word, self.row.get(word.lower())) for word in self._tokenize(text))
        found: npt.NDArray[np.float32] = self.vectors[[row for row in rows if row is not None]]
        return found

    def save(self, folder: str | Path) -> Path:
        """Write into a new folder, without pickle; the name becomes `saved:FOLDER`. Raises InvalidInputError."""
        path = write_saved(self._saved(), folder)
        self.name = f"saved:{path}"
        return path

    def _saved(self) -> Saved:
        settings = {"cutting": self.cutting, "about": self.about}
        return Saved(self.kind, settings, self.keys, {"vectors": self.vectors})

    def _by_vocabulary(self, text: str) -> list[str]:
        return tokens.split(
            text, lambda run: tokens.longest_match(run, self.row, _LONGEST), lower=False
        )


def from_saved(saved: Saved, name: str) -> WordEmbedder:
    settings = saved.settings
    return WordEmbedder(
        saved.keys,
        saved.arrays["vectors"],
        name,
        cutting=settings["cutting"],
        about=settings["about"],
    )
