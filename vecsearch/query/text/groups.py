"""What the words of a question stand for: groups of terms, each of which counts as one word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from vecsearch.query.text.syntax import Clauses, Node, Word
from vecsearch.text.analyzer import Analyzer
from vecsearch.text.words import fold, is_run, pieces

REMEMBERED = 20_000  # words whose groups are known


class Group(NamedTuple):
    """Terms that count as one word.

    Attributes:
        kind: "term" is one term, "prefix" all words that begin so, "near" all that are written much
            alike.
        text: The term, the prefix or the word.
        edits: For "near": the most edits.
        field: The number of the only column to look in; None for all.
        factor: How much it counts.
    """

    kind: Literal["term", "prefix", "near"]
    text: str
    edits: int = 0
    field: int | None = None
    factor: float = 1.0

    @property
    def bare(self) -> Group:
        """The group without its factor, under which it is known."""
        return self if self.factor == 1 else self._replace(factor=1.0)


@dataclass(frozen=True)
class Phrase:
    """Words side by side.

    Attributes:
        pieces: The terms of words, and runs of characters as they are. The first run may end a
            longer one of a text, and the last may begin one.
        field: The number of the only column to look in; None for all.
    """

    pieces: tuple[str, ...]
    field: int | None

    def is_in(self, found: Sequence[str]) -> bool:
        """Whether the pieces of a text have it."""
        pieces, width = self.pieces, len(self.pieces)
        first, last = pieces[0], pieces[-1]
        if width == 1:
            return any(first in piece for piece in found if is_run(piece))
        inner = list(pieces[1:-1])
        for at in range(len(found) - width + 1):
            begin, end = found[at], found[at + width - 1]
            if (
                (begin == first or (is_run(first) and begin.endswith(first)))
                and (end == last or (is_run(last) and end.startswith(last)))
                and found[at + 1 : at + width - 1] == inner
            ):
                return True
        return False


class Groups:
    """Reads the words of a question with the collection's analyzer."""

    def __init__(self, analyzer: Analyzer, columns: Sequence[str]) -> None:
        self._analyzer = analyzer
        self._columns = list(columns)
        self._of_part = _OfPart(analyzer)

    def plain(self, text: str) -> list[Group]:
        """The groups of plain words, each once."""
        of_part = self._of_part
        if text.isascii():
            listed = [of_part[word] for word in pieces(fold(text))]
        else:
            listed = [of_part[part] for piece in self._analyzer.split(text) for part in piece]
        return listed if len(set(listed)) == len(listed) else _each_once(listed)

    def of_word(self, word: Word) -> list[Group]:
        """The groups of a word, or of the words of a phrase, in order."""
        field = None if word.column is None else self._columns.index(word.column)
        groups: list[Group] = []
        parts = list(self._analyzer.split(word.text))
        for number, piece in enumerate(parts):
            for part in piece:
                last = number == len(parts) - 1
                group = self._group(word, part, last=last)
                if field is not None or word.boost != 1:
                    group = group._replace(field=field, factor=word.boost)
                groups.append(group)
        return groups

    def _group(self, word: Word, part: str, *, last: bool) -> Group:
        if is_run(part):
            return Group("prefix" if len(part) == 1 else "term", part)
        if word.kind == "prefix" and last:
            return Group("prefix", part)
        if word.kind == "near":
            edits = word.edits if word.edits >= 0 else edits_for(len(part))
            if edits:
                return Group("near", part, edits)
        return Group("term", self._analyzer.stems[part])

    def phrase(self, word: Word) -> Phrase:
        """What documents with a phrase must have."""
        field = None if word.column is None else self._columns.index(word.column)
        return Phrase(tuple(self._analyzer.pieces(word.text)), field)

    def scored(self, node: Node) -> list[Group]:
        """All groups that count, each once: those of words that are not unwanted."""
        return _each_once(list(self._all(node)))

    def _all(self, node: Node) -> Iterator[Group]:
        if isinstance(node, Word):
            yield from self.of_word(node)
            return
        for each in (*node.should, *node.must):
            yield from self._all(each)


class _OfPart(dict[str, Group]):
    """The groups of plain words, which are remembered, as many as fit."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer

    def __missing__(self, part: str) -> Group:
        if len(self) >= REMEMBERED:
            self.clear()
        kind: Literal["term", "prefix"] = "prefix" if len(part) == 1 and is_run(part) else "term"
        group = self[part] = Group(kind, self._analyzer.stems[part])
        return group


def _each_once(listed: list[Group]) -> list[Group]:
    """Each group once; one that comes several times counts as often."""
    found: dict[Group, float] = {}
    for group in listed:
        key = group.bare
        found[key] = found.get(key, 0.0) + group.factor
    if len(found) == len(listed):
        return listed
    return [group._replace(factor=factor) for group, factor in found.items()]


def edits_for(length: int) -> int:
    """How many typos a word of so many letters may have."""
    return 0 if length < 3 else 1 if length < 6 else 2


def is_plain(clauses: Clauses) -> bool:
    """Whether every document with any of the words is wanted."""
    return (
        not clauses.must
        and not clauses.must_not
        and all(
            is_plain(each) if isinstance(each, Clauses) else each.kind != "phrase"
            for each in clauses.should
        )
    )
