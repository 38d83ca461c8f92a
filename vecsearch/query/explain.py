"""Why a hit was found: what carried its score, what the plan did, which examples speak for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.common.scripts import CJK_LETTERS
from vecsearch.display import html_text
from vecsearch.ingest.sentences import sentence_spans
from vecsearch.query.examples import Examples
from vecsearch.query.highlight import Passage, Question
from vecsearch.query.searcher import Searcher
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Id, Metric, Plan, Span

MOST_SENTENCES, MOST_WORDS = 60, 80  # that are left out in turn
SHARED = 20  # neighbors of query and hit that are compared
SHOWN = 5
_UNIT = rf"[{CJK_LETTERS}]{{1,2}}|[^\W{CJK_LETTERS}]+"  # compiled when it is first used


@dataclass(frozen=True, slots=True)
class Part:
    """A hit in one of the lists that an answer was made of, in `Explanation.parts`.

    Attributes:
        rank: Its rank by that list's scores, from 1; None if it is not among the first ones.
        score: Its score there.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:256")
        >>> _ = c.add(["We met at noon. The wifi password is on the door.", "Bring cake."])
        >>> c.search("wifi password")[0].explain().parts["vector"].rank
        1
    """

    rank: int | None
    score: float


@dataclass(frozen=True, slots=True)
class Carrier:
    """A sentence or word that carried a score, in `Explanation`.

    Attributes:
        text: The sentence or word.
        span: Where it is in the whole text of its column.
        weight: By how much the score falls without it.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:256")
        >>> _ = c.add(["We met at noon. The wifi password is on the door.", "Bring cake."])
        >>> c.search("wifi password")[0].explain().sentences[0].span.start
        16
    """

    text: str
    span: Span
    weight: float


@dataclass(frozen=True, slots=True)
class TermScore:
    """A word of a search by words, in `Explanation.terms`.

    Attributes:
        text: The word without its ending; with `*` it stands for all words that begin so, with `~1`
            for words with an edit, with `title:` for what is in that column.
        score: What it adds to the score by words.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:256")
        >>> _ = c.add(["We met at noon. The wifi password is on the door.", "Bring cake."])
        >>> [term.text for term in c.search("wifi doors", mode="text")[0].explain().terms]
        ['wifi', 'door']
    """

    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Reason:
    """An example that speaks for a hit, in `Explanation.because`.

    Attributes:
        id: The document's id; None for a text or a vector.
        weight: The weight of the example; below 0 for one that is not wanted.
        score: The hit's score with it.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:256")
        >>> _ = c.add(["We met at noon. The wifi password is on the door.", "Bring cake."])
        >>> c.similar(0)[0].explain().because[0].id
        0
    """

    id: Id | None
    weight: float
    score: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a hit was found, from `Hit.explain`. `str` says it; notebooks show it with marks.

    Attributes:
        id: The hit's id.
        rank: Its rank in the answer.
        score: Its score.
        parts: The lists that the answer was made of -> rank and score there.
        plan: How the search ran.
        filter: The filter, or None.
        sentences: The sentences of the text, those that carried most of the score first.
        words: The words of the first of these in the same order. Of Chinese and Japanese, pairs of
            characters.
        because: The examples of a recommendation, those that speak most for the hit first.
        shared: Ids of documents that are among the 20 nearest of both the query and the hit, where
            there is no text to explain.
        matches: Of a search by words: where they are, column -> spans of characters.
        terms: Of a search by words: what each adds to the score by words, which is their sum; those
            that add most first. Of a sparse encoder, its terms.
        text: The text that was explained.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:256")
        >>> _ = c.add(["We met at noon. The wifi password is on the door.", "Bring cake."])
        >>> why = c.search("wifi password")[0].explain()
        >>> why.sentences[0].text, sorted(word.text for word in why.words[:2])
        ('The wifi password is on the door.', ['password', 'wifi'])
    """

    id: Id
    rank: int
    score: float
    parts: Mapping[str, Part]
    plan: str
    filter: str | None = None
    sentences: tuple[Carrier, ...] = ()
    words: tuple[Carrier, ...] = ()
    because: tuple[Reason, ...] = ()
    shared: tuple[Id, ...] = ()
    matches: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    terms: tuple[TermScore, ...] = ()
    text: str = field(default="", repr=False)

    def __str__(self) -> str:
        lines = [f"{self.id} is hit {self.rank}, score {self.score:.4f}"]
        lines += [
            f"  {name}: rank {part.rank or 'beyond the first'}, score {part.score:.4f}"
            for name, part in self.parts.items()
        ]
        for reason in self.because[:SHOWN]:
            lines.append(f"  because of {self._named(reason)}: score {reason.score:.4f}")
        for sentence in self.sentences[:SHOWN]:
            lines.append(f"  {sentence.weight:+.4f}  {' '.join(sentence.text.split())}")
        if self.words:
            listed = ", ".join(f"{word.text} {word.weight:+.4f}" for word in self.words[:SHOWN])
            lines.append(f"  words: {listed}")
        if self.shared:
            lines.append(f"  neighbors in common: {', '.join(map(str, self.shared[:SHOWN]))}")
        found = {column: spans for column, spans in self.matches.items() if spans}
        if found:
            counts = ", ".join(f"{len(spans)} in {column}" for column, spans in found.items())
            lines.append(f"  words of the query: {counts}")
        if self.terms:
            listed = ", ".join(f"{term.text} {term.score:.4f}" for term in self.terms[:SHOWN])
            more = len(self.terms) - SHOWN
            lines.append(f"  score by words: {listed}{f', {more} more' if more > 0 else ''}")
        if self.filter is not None:
            lines.append(f"  filter: {self.filter}")
        lines.append(f"  {self.plan}")
        return "\n".join(lines)

    @staticmethod
    def _named(reason: Reason) -> str:
        name = "an example" if reason.id is None else str(reason.id)
        return name if reason.weight == 1 else f"{name} (weight {reason.weight:g})"

    def _repr_html_(self) -> str:
        best = max((word.weight for word in self.words), default=0.0)
        head, _, rest = str(self).partition("\n")
        lines = "<br>".join(html_text(line.strip()) for line in rest.split("\n"))
        marked = []
        if self.sentences:
            sentence = self.sentences[0]
            at = 0
            for word in sorted(self.words, key=lambda it: it.span.start):
                start = word.span.start - sentence.span.start
                strength = max(word.weight, 0.0) / best if best > 0 else 0.0
                marked.append(html_text(sentence.text[at:start]))
                style = f"background: rgba(255, 200, 0, {strength:.2f})"
                marked.append(f'<mark style="{style}">{html_text(word.text)}</mark>')
                at = start + len(word.text)
            marked.append(html_text(sentence.text[at:]))
        quoted = f"<blockquote>{''.join(marked)}</blockquote>" if marked else ""
        return f"<div><b>{html_text(head)}</b>{quoted}<small>{lines}</small></div>"


def explained(
    snapshot: Snapshot,
    position: int,
    hit: tuple[Id, int, float],
    parts: Mapping[str, Part],
    matches: Mapping[str, Sequence[tuple[int, int]]],
    terms: Sequence[tuple[str, float]],
    plan: Plan,
    filter_text: str | None,
    question: Question,
    examples: Examples | None,
    passages: Sequence[Passage],
) -> Explanation:
    """The explanation of a hit.

    Args:
        snapshot: What was searched.
        position: The hit's row.
        hit: Its id, rank and score.
        parts: Its places in the lists that were searched.
        matches: Where the words of the query are.
        terms: What each of them adds to the score by words.
        plan: How the search ran.
        filter_text: The filter, or None.
        question: What was searched for.
        examples: The examples of a recommendation, with weights below 0 for those not wanted.
        passages: The hit's texts.
    """
    searcher = Searcher(snapshot)
    because = () if examples is None else _reasons(searcher, position, examples)
    query = question.vector
    if query is None and examples is not None and len(examples):
        best = next((at for at, which in enumerate(examples.ids) if which == because[0].id), 0)
        query = examples.vectors[best]
    sentences: tuple[Carrier, ...] = ()
    words: tuple[Carrier, ...] = ()
    if query is not None and question.model is not None and passages:
        sentences, words = _carriers(question, np.asarray(query, np.float64), passages)
    shared: tuple[Id, ...] = ()
    if query is not None and not sentences:
        shared = _shared(searcher, position, np.asarray(query, np.float32), examples)
    return Explanation(
        *hit,
        parts,
        str(plan),
        filter_text,
        sentences,
        words,
        because,
        shared,
        matches,
        tuple(TermScore(*term) for term in terms),
        "\n\n".join(passage.text for passage in passages),
    )


def _reasons(searcher: Searcher, position: int, examples: Examples) -> tuple[Reason, ...]:
    rows = np.full((len(examples), 1), position, np.int64)
    scores = searcher.scorer.final_scores(examples.vectors, rows)[:, 0]
    order = np.argsort(-(examples.weights * scores), kind="stable").tolist()
    return tuple(
        Reason(examples.ids[at], float(examples.weights[at]), float(scores[at])) for at in order
    )


def _carriers(
    question: Question, query: npt.NDArray[np.float64], passages: Sequence[Passage]
) -> tuple[tuple[Carrier, ...], tuple[Carrier, ...]]:
    """Sentences of the texts, and words of the best one, by what the score loses without them."""
    text, starts = "", []
    for passage in passages:
        text += "\n\n" if text else ""
        starts.append(len(text))
        text += passage.text
    spans = [
        (number, start, end)
        for number, passage in enumerate(passages)
        for start, end in sentence_spans(passage.text)
    ][:MOST_SENTENCES]
    if not spans:
        return (), ()
    cuts = [(starts[number] + start, starts[number] + end) for number, start, end in spans]
    weights = _losses(question, query, text, cuts)
    sentences = [
        _carrier(passages[number], start, end, weight)
        for (number, start, end), weight in zip(spans, weights, strict=True)
    ]
    best = int(np.argmax(weights))
    number, first, last = spans[best]
    found = [
        (match.start(), match.end())
        for match in re.compile(_UNIT).finditer(passages[number].text, first, last)
    ][:MOST_WORDS]
    losses = _losses(
        question, query, text, [(starts[number] + a, starts[number] + b) for a, b in found]
    )
    words = [
        _carrier(passages[number], start, end, weight)
        for (start, end), weight in zip(found, losses, strict=True)
    ]
    return _by_weight(sentences), _by_weight(words)


def _carrier(passage: Passage, start: int, end: int, weight: float) -> Carrier:
    span = Span(passage.column, passage.start + start, passage.start + end)
    return Carrier(passage.text[start:end], span, weight)


def _by_weight(carriers: list[Carrier]) -> tuple[Carrier, ...]:
    return tuple(sorted(carriers, key=lambda carrier: -carrier.weight))


def _losses(
    question: Question,
    query: npt.NDArray[np.float64],
    text: str,
    cuts: Sequence[tuple[int, int]],
) -> list[float]:
    """By how much the score of a text falls if a part is left out, for each of some parts.

    Where nothing else is left, the score of the whole.
    """
    assert question.model is not None
    texts = [text] + [text[:start] + text[end:] for start, end in cuts]
    full = [number for number, each in enumerate(texts) if each.strip()]
    vectors = question.model.embed_documents([texts[number] for number in full])
    scores = np.zeros(len(texts))
    scores[full] = _scores(np.asarray(vectors, np.float64), query, question.metric)
    return [float(scores[0] - score) for score in scores[1:]]


def _scores(
    vectors: npt.NDArray[np.float64], query: npt.NDArray[np.float64], metric: Metric
) -> npt.NDArray[np.float64]:
    if metric is Metric.L2:
        return np.asarray(-((vectors - query) ** 2).sum(axis=1))
    scores = vectors @ query
    if metric is Metric.COSINE:
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
        scores = scores / np.maximum(lengths, np.finfo(np.float64).tiny)
    return np.asarray(scores)


def _shared(
    searcher: Searcher, position: int, query: Vectors, examples: Examples | None
) -> tuple[Id, ...]:
    """Documents near both the query and the hit, those nearest to the hit first."""
    snapshot = searcher.snapshot
    hit = snapshot.stored_vectors(np.array([position]))[0]
    near = [
        snapshot.ids_at(searcher.search(vector, SHARED + 1, snapshot.live, 1.0, True).positions)
        for vector in (hit, query)
    ]
    left_out = {*snapshot.ids_at(np.array([position]))}
    left_out |= set() if examples is None else {each for each in examples.ids if each is not None}
    both = [which for which in dict.fromkeys(near[0]) if which in set(near[1])]
    return tuple(which for which in both if which not in left_out)


def all_examples(positive: Examples, negative: Examples) -> Examples:
    """Examples of both signs, with weights below 0 for those not wanted."""
    return Examples(
        np.concatenate([positive.vectors, negative.vectors]),
        np.concatenate([positive.weights, -negative.weights]),
        (*positive.ids, *negative.ids),
    )


def filter_words(where: Any) -> str | None:
    """A filter as it is shown."""
    return None if where is None else str(where)
