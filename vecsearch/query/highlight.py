"""Which sentence of a hit answers the query, and which words the two share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from vecsearch.common.arrays import Vectors
from vecsearch.display import html_text
from vecsearch.embedders.stored import Model
from vecsearch.ingest.sentences import sentence_spans
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Metric, Span

LONGEST_SENTENCE = 1000  # characters that are embedded of one
MOST_SENTENCES = 200  # of one hit that are embedded
# Scripts that write no spaces between words: words are compared by pairs of characters.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN = re.compile(f"[{_UNSPACED}]+")
_WORD = re.compile(f"[^\\W{_UNSPACED}]+")
_COMMON = frozenset(
    "a an and are as at be but by can did do does for from had has have how i if in into is it its "
    "me my no not of on or our so than that the their them there these they this to was we were "
    "what when where which who whom whose why will with would you your".split()
)
_COMMON_PAIRS = frozenset(
    "什么 怎么 如何 哪里 哪个 哪些 为什 多少 是否 可以 我们 你们 怎样".split()
)

Offsets = tuple[int, int]
"""Start and end in a text, in characters from 0."""


@dataclass(frozen=True, slots=True)
class Highlight:
    """The part of a hit that answers the query, from `Hit.highlight`. `str` marks it in the text.

    Attributes:
        text: The passage; in a collection without a chunker the whole text.
        span: Where the sentence is in the column's whole text.
        sentence: Start and end of the sentence in `text`.
        words: Start and end in `text` of each word that the query and the sentence share.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64")
        >>> _ = c.add(["We met at noon. The wifi password is on the door. Bring cake."])
        >>> mark = c.search("wifi password")[0].highlight()
        >>> print(mark)
        We met at noon. [The *wifi* *password* is on the door.] Bring cake.
        >>> mark.text[slice(*mark.sentence)]
        'The wifi password is on the door.'
    """

    text: str
    span: Span
    sentence: Offsets
    words: tuple[Offsets, ...] = ()

    def __str__(self) -> str:
        return self.marked()

    def marked(self, sentence: Offsets | None = None, *, html: bool = False) -> str:
        """The text with marks.

        Args:
            sentence: A part of the text to show instead of the whole.
            html: Whether to mark by <mark> and <b>, and to escape the text. Otherwise the sentence
                is in square brackets, and words are between asterisks.

        Example:
            >>> mark.marked(mark.sentence, html=True)
            '<mark>The <b>wifi</b> <b>password</b> is on the door.</mark>'
        """
        before, after = ("<mark>", "</mark>") if html else ("[", "]")
        left, right = ("<b>", "</b>") if html else ("*", "*")
        start, end = sentence or (0, len(self.text))
        marks = {self.sentence[0]: before}
        closing = {self.sentence[1]: after}
        for first, last in self.words:
            marks[first] = marks.get(first, "") + left
            closing[last] = right + closing.get(last, "")
        parts, at = [], start
        for position in sorted({*marks, *closing, end}):
            if not start <= position <= end:
                continue
            piece = self.text[at:position]
            parts.append(html_text(piece) if html else piece)
            parts.append(closing.get(position, "") if position > start else "")
            parts.append(marks.get(position, "") if position < end else "")
            at = position
        return "".join(parts)

    def _repr_html_(self) -> str:
        return f"<div>{self.marked(html=True)}</div>"


@dataclass(slots=True)
class Question:
    """What a search was for, as far as it is known: the text, its vector, and the model of both."""

    text: str = ""
    vector: Vectors | None = field(default=None, repr=False)
    model: Model | None = field(default=None, repr=False)
    metric: Metric = Metric.COSINE

    def __getstate__(self) -> tuple[Any, ...]:
        return (self.text, self.vector, None, self.metric)  # a model is not sent along

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        for name, value in zip(("text", "vector", "model", "metric"), state, strict=True):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class Passage:
    """A text of a hit: its column, and where it begins in the column's whole text."""

    text: str
    column: str
    start: int = 0


class FoundWords(Protocol):
    """The words of a question, to be found in texts."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns that were searched."""

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where a text has one of the words: spans of characters, in order."""

    def scores(self, snapshot: Snapshot, position: int, total: float) -> list[tuple[str, float]]:
        """What each word adds to the score of a row that scores so much in all."""


def highlights(
    question: Question,
    hits: Sequence[Sequence[Passage]],
    most: int | None = None,
    words: FoundWords | None = None,
) -> list[Highlight | None]:
    """The highlight of each hit; None for one without text.

    Args:
        question: What was searched for.
        hits: The texts of each hit.
        most: How many sentences may be embedded. Hits beyond that are judged by words, as all are
            without a model.
        words: The words of a search by words, which are then those that are marked.
    """
    found = [_sentences(passages) for passages in hits]
    wanted: list[int] = []
    left = most
    for number, sentences in enumerate(found):
        if question.model is None or question.vector is None or len(sentences) < 2:
            continue
        count = min(len(sentences), MOST_SENTENCES)
        if left is not None:
            if count > left:
                continue
            left -= count
        wanted.append(number)
    similar = _similarities(question, [found[number][:MOST_SENTENCES] for number in wanted])
    by_hit = dict(zip(wanted, similar, strict=True))
    terms: Terms | _Matches
    terms = shared_terms(question.text) if words is None else _Matches(words)
    if not wanted and not terms:  # nothing to compare with
        found = [sentences and [_whole(sentences[0].passage)] for sentences in found]
    return [
        _best(terms, sentences, by_hit.get(number)) if sentences else None
        for number, sentences in enumerate(found)
    ]


@dataclass(frozen=True, slots=True)
class _Sentence:
    passage: Passage
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.passage.text[self.start : self.end]


def _whole(passage: Passage) -> _Sentence:
    return _Sentence(passage, 0, len(passage.text))


def _sentences(passages: Sequence[Passage]) -> list[_Sentence]:
    return [
        _Sentence(passage, start, end)
        for passage in passages
        for start, end in sentence_spans(passage.text)
    ]


def _similarities(question: Question, groups: list[list[_Sentence]]) -> list[list[float]]:
    """The score of each sentence of each group with the query."""
    if not groups or question.model is None or question.vector is None:
        return []
    texts = [sentence.text[:LONGEST_SENTENCE] for group in groups for sentence in group]
    vectors = question.model.embed_documents(texts).astype(np.float64)
    query = np.asarray(question.vector, np.float64)
    if question.metric is Metric.L2:
        scores = -((vectors - query) ** 2).sum(axis=1)
    else:
        scores = vectors @ query
        if question.metric is Metric.COSINE:
            scores /= np.maximum(np.linalg.norm(vectors, axis=1), np.finfo(np.float64).tiny)
    ends = np.cumsum([len(group) for group in groups])[:-1]
    return [part.tolist() for part in np.split(scores, ends)]


def _best(
    terms: Terms | _Matches, sentences: Sequence[_Sentence], similar: Sequence[float] | None
) -> Highlight:
    """The sentence that is most similar, else the one that shares most with the query."""
    if similar is None:
        shared = [
            _weight(terms.found_in(sentence.text, sentence.passage.column), sentence.text)
            for sentence in sentences
        ]
        best = sentences[int(np.argmax(shared))]
    else:
        best = sentences[int(np.argmax(similar))]
    words = tuple(
        (best.start + first, best.start + last)
        for first, last in terms.found_in(best.text, best.passage.column)
    )
    begin = best.passage.start
    span = Span(best.passage.column, begin + best.start, begin + best.end)
    return Highlight(best.passage.text, span, (best.start, best.end), words)


def _weight(found: Sequence[Offsets], text: str) -> float:
    """How much of the query is in a sentence: different words, longer ones more."""
    return float(sum(len(word) for word in {text[first:last].casefold() for first, last in found}))


@dataclass(frozen=True, slots=True)
class Terms:
    """What of a query is looked for in texts: words, and pairs of characters."""

    words: frozenset[str]
    pairs: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.words or self.pairs)

    def found_in(self, text: str, column: str = "") -> list[Offsets]:
        """Where the terms are, in order, whatever the column."""
        found = [
            (match.start(), match.end())
            for match in (_WORD.finditer(text) if self.words else ())
            if _stem(match[0]) in self.words
        ]
        for match in _RUN.finditer(text) if self.pairs else ():
            run, start = match[0], match.start()
            hit = [False] * len(run)
            for at in range(len(run)):
                if run[at : at + 2] in self.pairs:
                    hit[at : at + 2] = [True] * len(run[at : at + 2])
                elif run[at] in self.pairs:
                    hit[at] = True
            at = 0
            while at < len(run):
                end = at
                while end < len(run) and hit[end]:
                    end += 1
                if end > at:
                    found.append((start + at, start + end))
                at = end + 1
        return sorted(found)


class _Matches:
    """What of a search by words is in texts, in the columns that it searched."""

    def __init__(self, words: FoundWords) -> None:
        self._words = words

    def found_in(self, text: str, column: str) -> list[Offsets]:
        return self._words.places(text) if column in self._words.columns else []


def shared_terms(query: str) -> Terms:
    """The words of a query that say what it is about.

    Example:
        >>> sorted(shared_terms("what is the Wifi password").words)
        ['password', 'wifi']
        >>> sorted(shared_terms("找回密码").pairs)
        ['回密', '密码', '找回']
    """
    words = {match[0] for match in _WORD.finditer(query)}
    telling = {word for word in words if word.casefold() not in _COMMON}
    pairs = set()
    for match in _RUN.finditer(query):
        run = match[0]
        pairs |= {run[at : at + 2] for at in range(len(run) - 1)} if len(run) > 1 else {run}
    return Terms(
        frozenset(_stem(word) for word in telling or words), frozenset(pairs - _COMMON_PAIRS)
    )


def _stem(word: str) -> str:
    """A word without the ending of its plural, so that "boats" is found for "boat"."""
    word = word.casefold()
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word
