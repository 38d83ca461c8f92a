"""One hit of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, Protocol

from vecsearch.common.arguments import check_names
from vecsearch.common.arrays import Positions
from vecsearch.common.gate import gate
from vecsearch.query import hits_display
from vecsearch.query.examples import Examples
from vecsearch.query.explain import Explanation, Part, explained
from vecsearch.query.highlight import FoundWords, Highlight, Passage, Question
from vecsearch.query.hits_display import hit_html, hit_line
from vecsearch.storage.snapshot import Snapshot
from vecsearch.types import Id, Span


class ListPlace(NamedTuple):
    """The rank and the score of a hit in one of the lists of a hybrid search.

    Attributes:
        rank: From 1; None if the hit is not among the first ones of the list.
        score: Its score there.
    """

    rank: int | None
    score: float


class Listed(hits_display.Hits, Protocol):
    """The hits of a search, as far as one of them asks: a `vecsearch.Hits`."""

    positions: Positions
    parts: Sequence[Mapping[str, ListPlace]] | None
    words: FoundWords | None
    before: int
    question: Question
    examples: Examples | None
    filter: str | None

    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def chunked(self) -> bool: ...
    @property
    def spans(self) -> list[Span]: ...
    @property
    def heads(self) -> list[str | None]: ...
    @property
    def pages_and_lines(self) -> list[tuple[int | None, int | None]]: ...
    def highlights(self, most: int | None = None) -> list[Highlight | None]: ...
    def _passages(self) -> list[list[Passage]]: ...
    def __getitem__(self, at: slice) -> Listed: ...


@gate
class Hit:
    """One hit of a search.

    `hit["title"]` is the value of a column. A column that is called `score`, `rank` or `span` is
    `hit["score"]`; `hit.score` is always the hit's own.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("films.vs", dim=2)
        >>> _ = c.add([{"id": 1, "vector": [1, 0], "score": 81}])
        >>> hit = c.search([1, 0], k=1)[0]
        >>> hit.score, hit["score"]
        (1.0, 81)
        >>> hit.to_dict()
        {'rank': 1, 'score': 1.0, 'id': 1, 'score_': 81}
    """

    __slots__ = ("_at", "_hits")

    def __init__(self, hits: Listed, at: int) -> None:
        self._hits = hits
        self._at = at

    @property
    def id(self) -> Id:
        """The document's id."""
        return self._hits.ids[self._at]

    @property
    def score(self) -> float:
        """Cosine similarity, inner product or negative squared distance; larger is better.

        In searches by words, hybrid ones and reranked ones, their own scores.
        """
        return float(self._hits.scores[self._at])

    @property
    def rank(self) -> int:
        """1 for the best hit; on later pages, counted from the first hit of the first page."""
        return self._hits.ranks[self._at]

    @property
    def parts(self) -> Mapping[str, ListPlace]:
        """Of a hybrid search: the hit's rank and score by "vector" and by "text".

        The rank is None for a hit that is not among the first ones of the list. A hit that was
        reranked has those of "rerank", too, and those that it had before: of "vector", "text" or
        "hybrid". Empty for other searches.
        """
        return {} if self._hits.parts is None else self._hits.parts[self._at]

    def matches(self) -> dict[str, list[tuple[int, int]]]:
        """Where the words of a search by words are: for each text column spans of characters.

        Spans are in the text that `hit[column]` gives. Empty for a search by vectors.

        Example:
            >>> c = vs.create("notes.vs", embedder="toy:64")
            >>> _ = c.add(["a large ship"])
            >>> c.search("ships", mode="text")[0].matches()
            {'text': [(8, 12)]}
        """
        words = self._hits.words
        if words is None:
            return {}
        texts = {name: self[name] for name in words.columns}
        found = {name: words.places(text) for name, text in texts.items() if text}
        return {name: places for name, places in found.items() if places}

    @property
    def span(self) -> Span | None:
        """Where the passage is: its column, start and end; None without a chunker."""
        if not self._hits.chunked:
            return None
        return self._hits.spans[self._at]

    @property
    def head(self) -> str | None:
        """What stands over the passage and was embedded with it; None for nothing.

        The headings of its section, and the header row of a table that was cut.
        """
        return self._hits.heads[self._at]

    @property
    def page(self) -> int | None:
        """The page, or slide, on which the passage begins, from 1; None in texts without pages.

        Pages of a text end with form feeds, as those of PDF files and presentations do.

        Example:
            >>> import vecsearch as vs
            >>> c = vs.create("pages.vs", embedder="toy:16", chunker=True)
            >>> _ = c.add(["The first page.\\fA second page."])
            >>> c.search("a second page", k=1)[0].page
            2
        """
        return self._hits.pages_and_lines[self._at][0]

    @property
    def line(self) -> int | None:
        """The line of the document's text in which the passage begins, from 1.

        It is the line of the file where the text is kept as it is in the file: plain text,
        Markdown and source code. None in texts with pages, and for pictures and given vectors.

        Example:
            >>> c = vs.create("lines.vs", embedder="toy:16")
            >>> _ = c.add(["one line"])
            >>> c.search("one line", k=1)[0].line
            1
        """
        return self._hits.pages_and_lines[self._at][1]

    def __getitem__(self, column: str) -> Any:
        """The value of a column, as a Python value.

        Raises:
            InvalidInputError: The column does not exist.
        """
        return self._hits.column(column)[self._at]

    def to_dict(self, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """The hit's rank and score, columns, and its span in a collection with a chunker.

        A column called `rank`, `score` or `span` becomes `rank_`, `score_` or `span_`.

        Args:
            columns: Columns to return. None: all but the vector.

        Example:
            >>> hit.to_dict(["id"])
            {'rank': 1, 'score': 1.0, 'id': 1}
        """
        names = self._hits.payload if columns is None else check_names("columns", columns)
        shown = self._hits.output_names(names)
        out: dict[str, Any] = {"rank": self.rank, "score": self.score}
        out |= {shown[name]: self[name] for name in names}
        if self.span is not None:
            out["span"] = asdict(self.span)
        return out

    def highlight(self) -> Highlight | None:
        """The sentence of the text that answers the query best, and the words they share.

        A model of texts compares each sentence with the query. Hits that were pickled, and those of
        a collection of ready-made vectors, go by the shared words.

        Returns:
            The text with marks; None for a hit without text.

        Raises:
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> notes = vs.create("notes.vs", embedder="toy:64")
            >>> _ = notes.add(["We met at noon. The wifi password is on the door. Bring cake."])
            >>> print(notes.search("wifi password")[0].highlight())
            We met at noon. [The *wifi* *password* is on the door.] Bring cake.
        """
        return self._hits[self._at : self._at + 1].highlights()[0]

    def explain(self) -> Explanation:
        """Why this hit was found: what carried its score, and how the search ran.

        A model of texts embeds the text again without each sentence, and without each word of the
        sentence that carried most: what the score loses is their weight. Without texts, the
        neighbors that query and hit have in common are listed. A recommendation names the examples
        that speak for the hit, a search by words what each word adds. Hits that were pickled have
        no model, so no sentences.

        Raises:
            EmbedderError: The model cannot be loaded or failed.

        Example:
            >>> why = hit.explain()
            >>> why.rank, why.parts["vector"].rank
            (1, 1)
        """
        hits, at = self._hits, self._at
        parts = {name: Part(*place) for name, place in self.parts.items()}
        if not parts:
            rank = 1 + int((hits.scores > hits.scores[at]).sum()) + hits.before
            parts = {"text" if hits.plan.method == "text" else "vector": Part(rank, self.score)}
        terms: list[tuple[str, float]] = []
        if hits.words is not None and "text" in parts:
            at_row = int(hits.positions[at])
            terms = hits.words.scores(hits.snapshot, at_row, parts["text"].score)
        return explained(
            hits.snapshot,
            int(hits.positions[at]),
            (self.id, self.rank, self.score),
            parts,
            self.matches(),
            terms,
            hits.plan,
            hits.filter,
            hits.question,
            hits.examples,
            hits[at : at + 1]._passages()[0],
        )

    def _ipython_key_completions_(self) -> list[str]:
        return self._hits.payload

    def __repr__(self) -> str:
        return hit_line(self._hits, self._at)

    def _repr_html_(self) -> str:
        return hit_html(self._hits, self._at)
