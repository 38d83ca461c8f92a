"""What the trainers of word vectors share: texts to train on, a held-out part, and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.lazy import lazy
from vecsearch.embedders.tokens import Tokenizer
from vecsearch.training.cloze import MEASURE, Gaps, gaps
from vecsearch.training.cooccurrence import (
    Ids,
    cooccurrences,
    ppmi_vectors,
    vocabulary,
    word_ids,
)
from vecsearch.training.gensim import tokenize_corpus
from vecsearch.training.report import MethodScore, TrainingReport, method_score
from vecsearch.training.stopping import Watch, held_out_rows, nothing_measured

LONGEST_PASSAGE = 1000  # words; gensim ignores what comes after the 10,000th word of a text
MOST_HELD_OUT = 4000  # passages
Matrix = npt.NDArray[np.floating]


@dataclass
class WordTexts:
    """Texts to train word vectors on.

    Attributes:
        documents: The passages to train on, as lists of words.
        cutting: How texts were cut into words.
        words: The words that get a vector, by falling frequency.
        counts: How often each occurs.
        stopping: Questions that decide when to stop; None if nothing was held out.
        reporting: Questions for the report; None if nothing was held out.
        held_out: The share that was to be held out.
        window: How many words on each side count as near.
        seed: Seed of the division.
    """

    documents: list[list[str]]
    cutting: Tokenizer
    words: list[str]
    counts: Ids
    stopping: Gaps | None
    reporting: Gaps | None
    held_out: float
    window: int
    seed: int

    @lazy
    def ids(self) -> list[Ids]:
        """The passages as numbers of words."""
        return word_ids(self.documents, self.words)

    def watch(
        self,
        keyed: Callable[[], tuple[Sequence[str], Matrix]],
        state: Callable[[], Any],
        patience: int,
    ) -> Watch[Any] | None:
        """What decides when to stop; None if nothing was held out.

        Args:
            keyed: Gives the keys and vectors of the present state.
            state: Gives a copy of the present state.
            patience: See `Watch`.
        """
        asked = self.stopping
        if asked is None:
            return None
        return Watch(lambda: float(asked.scores(self.in_order(*keyed())).mean()), state, patience)

    def in_order(self, keys: Sequence[str], vectors: Matrix) -> Matrix:
        """The vectors of the words, in the order of `words`."""
        row = {key: number for number, key in enumerate(keys)}
        return np.asarray(vectors[[row[word] for word in self.words]])

    def report(
        self,
        kind: str,
        keys: Sequence[str],
        vectors: Matrix,
        watch: Watch[Any] | None,
        epochs: int,
        notes: tuple[str, ...] = (),
    ) -> TrainingReport:
        """How good the vectors are, beside those of counting (PPMI and SVD) and chance."""
        trained_on = {
            "passages": len(self.documents),
            "words": int(self.counts.sum()),
            "distinct words": len(self.words),
        }
        if self.reporting is None or watch is None:
            note = nothing_measured(self.held_out, "texts")
            return TrainingReport(kind, trained_on, "", (), epochs, "", (note, *notes))
        scores = [self._score(kind, self.in_order(keys, vectors))]
        counted = cooccurrences(self.ids, len(self.words), self.window)
        scores.append(self._score("counts (PPMI, SVD)", ppmi_vectors(counted, vectors.shape[1])))
        scores.append(MethodScore("chance", 0.5, 0.5, 0.5))
        return TrainingReport(
            kind,
            trained_on,
            f"{MEASURE} ({len(self.reporting.word):,} gaps)",
            tuple(scores),
            watch.best_epoch,
            watch.reason(epochs),
            notes,
        )

    def _score(self, method: str, vectors: Matrix) -> MethodScore:
        assert self.reporting is not None
        return method_score(method, self.reporting.scores(vectors), seed=self.seed)


def word_texts(
    corpus: Iterable[str | Sequence[str]],
    cutting: Tokenizer | None,
    *,
    min_count: int,
    held_out: float,
    window: int,
    seed: int,
) -> WordTexts:
    """Cut a corpus into words, and hold a part out.

    Raises:
        InvalidInputError: No word occurs `min_count` times, or a setting is wrong.
        MissingExtraError: jieba is needed and not installed.
    """
    documents, cutting = tokenize_corpus(corpus, cutting, min_count)
    passages = [
        document[start : start + LONGEST_PASSAGE]
        for document in documents
        for start in range(0, len(document), LONGEST_PASSAGE)
    ]
    rows = held_out_rows(len(passages), held_out, seed, MOST_HELD_OUT)
    parts = [[passages[row] for row in part] for part in rows]
    words, counts = vocabulary(parts[0], min_count)
    asked = [gaps(word_ids(part, words), counts, window, seed) for part in parts[1:] if words]
    if len(asked) < 2 or any(not len(each.word) for each in asked):
        parts[0], asked = passages, []
        words, counts = vocabulary(passages, min_count)
    return WordTexts(
        parts[0],
        cutting,
        words,
        counts,
        asked[0] if asked else None,
        asked[1] if asked else None,
        held_out,
        window,
        seed,
    )
