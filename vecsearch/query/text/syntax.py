"""The syntax of questions in words.

ship sea            documents with one of the words, best first
+ship sea           "ship" must be there
ship -sea           "sea" must not be there; also NOT sea
ship AND (sea OR lake)
"large ship"        the words side by side
shi*                words that begin so
shipp~              words that are written much alike (a typo or two)
title:ship          only in this column
ship^3              counts three times as much
title^3 ship        what is in this column counts three times as much
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from vecsearch.common.show import cut, shown
from vecsearch.errors import QueryError

DEEPEST = 40  # parentheses in parentheses
MOST_WORDS = 4096
LARGEST_BOOST = 1000.0
_QUOTES = '"“”„‟＂'
_OPEN, _CLOSE = "(（", ")）"
_ENDINGS = re.compile(r"(?P<word>.*?)(?P<prefix>\*)?(?P<near>~[0-9]?)?(?:\^(?P<boost>[0-9.]+))?")
_BOOST = re.compile(r"\^(?P<boost>[0-9.]+)")
_SPECIAL = re.compile(rf"[{_QUOTES}{_OPEN}{_CLOSE}+*~^:：-]|\b(?:AND|OR|NOT)\b")
OPERATORS = ("AND", "OR", "NOT")


@dataclass(frozen=True)
class Word:
    """A word, or several written together.

    Attributes:
        text: As it was written.
        kind: How it is looked for: as it is, in a phrase, by its beginning, or nearly.
        edits: For "near": how many, or -1 for what suits the length.
        column: The only column to look in; None for all.
        boost: How much it counts.
    """

    text: str
    kind: Literal["word", "phrase", "prefix", "near"] = "word"
    edits: int = -1
    column: str | None = None
    boost: float = 1.0


@dataclass(frozen=True)
class Clauses:
    """Conditions that belong together.

    Attributes:
        should: One of them must hold if `must` is empty; all of them count.
        must: All of them must hold.
        must_not: None of them may hold.
    """

    should: Sequence[Node] = ()
    must: Sequence[Node] = ()
    must_not: Sequence[Node] = ()


Node: TypeAlias = "Word | Clauses"


@dataclass
class _Token:
    kind: Literal["word", "phrase", "open", "close", "operator", "sign"]
    text: str
    at: int
    column: str | None = None
    boost: float = 1.0
    options: dict[str, str] = field(default_factory=dict)


def parse(text: str, columns: Sequence[str]) -> tuple[Clauses, dict[str, float]]:
    """Read a question.

    Args:
        text: The question.
        columns: The columns that are searched, which may stand before a colon.

    Returns:
        What is looked for, and the weights that were given to columns (`title^3`).

    Raises:
        QueryError: It cannot be read; the message says where.
    """
    if is_without_signs(text):
        return Clauses(should=(Word(text),)), {}
    reader = _Reader(_tokens(text, columns), text, columns)
    clauses = reader.clauses(0)
    if reader.token is not None:
        raise QueryError(f"the query has a ) at character {reader.token.at} that closes nothing")
    if not clauses.should and not clauses.must and clauses.must_not:
        raise QueryError(
            "the query only says what is not wanted",
            hint="add a word that documents are to have",
            command_hint="add a word that documents are to have",
        )
    return clauses, reader.weights


def is_without_signs(text: str) -> bool:
    """Whether a question has nothing in it that has a meaning of its own."""
    return _SPECIAL.search(text) is None


def _tokens(text: str, columns: Sequence[str]) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character.isspace():
            at += 1
        elif character in _OPEN:
            tokens.append(_Token("open", character, at))
            at += 1
        elif character in _CLOSE:
            token = _Token("close", character, at)
            at, token.boost = _boost_after(text, at + 1)
            tokens.append(token)
        elif character in _QUOTES:
            at = _phrase(text, at, tokens, None)
        elif character in "+-" and at + 1 < len(text) and not text[at + 1].isspace():
            tokens.append(_Token("sign", character, at))
            at += 1
        else:
            at = _word(text, at, tokens, columns)
        if len(tokens) > MOST_WORDS:
            raise QueryError(f"the query has more than {MOST_WORDS:,} words")
    return tokens


def _phrase(text: str, at: int, tokens: list[_Token], column: str | None) -> int:
    stop = next((end for end in range(at + 1, len(text)) if text[end] in _QUOTES), None)
    if stop is None:
        raise QueryError(f"the query has a quotation mark at character {at} without a second one")
    token = _Token("phrase", text[at + 1 : stop], at, column)
    after, token.boost = _boost_after(text, stop + 1)
    tokens.append(token)
    return after


def _boost_after(text: str, at: int) -> tuple[int, float]:
    found = _BOOST.match(text, at)
    return (found.end(), _boost(found["boost"])) if found else (at, 1.0)


def _word(text: str, at: int, tokens: list[_Token], columns: Sequence[str]) -> int:
    stop, column = at, None
    special = _QUOTES + _OPEN + _CLOSE
    while stop < len(text) and not text[stop].isspace() and text[stop] not in special:
        stop += 1
        if text[stop - 1] in ":：" and column is None and text[at : stop - 1] in columns:
            column, at = text[at : stop - 1], stop
    word = text[at:stop]
    if column is not None and not word:
        if stop < len(text) and text[stop] in _QUOTES:
            return _phrase(text, stop, tokens, column)
        raise QueryError(
            f"the query has no word after {column + ':'!r}",
            hint=f'write {column}:word, without a space, or {column}:"some words"',
            command_hint=f"write {column}:word, without a space",
        )
    if word in OPERATORS and column is None:
        tokens.append(_Token("operator", word, at))
        return stop
    found = _ENDINGS.fullmatch(word)
    assert found is not None  # all of it is optional
    token = _Token("word", found["word"], at, column, _boost(found["boost"] or "1"))
    token.options = {name: found[name] or "" for name in ("prefix", "near")}
    tokens.append(token)
    return stop


def _boost(text: str) -> float:
    try:
        boost = float(text)
    except ValueError:
        boost = 0.0
    if not 0 < boost <= LARGEST_BOOST:
        raise QueryError(
            f"the query has ^{cut(text, 20)}; a weight is a number above 0 and at most "
            f"{LARGEST_BOOST:g}, such as ^2"
        )
    return boost


class _Reader:
    """Reads tokens by recursive descent."""

    def __init__(self, tokens: list[_Token], text: str, columns: Sequence[str]) -> None:
        self._columns = columns if len(columns) > 1 else ()
        self._tokens = tokens
        self._at = 0
        self._text = text
        self.weights: dict[str, float] = {}

    @property
    def token(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def clauses(self, depth: int) -> Clauses:
        """Up to the end, or to the parenthesis that closes this one."""
        if depth > DEEPEST:
            raise QueryError(f"the query has more than {DEEPEST} parentheses in parentheses")
        should: list[Node] = []
        must: list[Node] = []
        must_not: list[Node] = []
        while self.token is not None and self.token.kind != "close":
            if self._takes("operator", "OR"):
                continue
            joined = [self._unary(depth)]
            while self._takes("operator", "AND"):
                joined.append(self._unary(depth))
            if len(joined) == 1:
                sign, node = joined[0]
                if node is not None:
                    {"-": must_not, "+": must}.get(sign, should).append(node)
                continue
            wanted = [node for sign, node in joined if node is not None and sign != "-"]
            unwanted = [node for sign, node in joined if node is not None and sign == "-"]
            if wanted:
                should.append(Clauses(must=wanted, must_not=unwanted))
            else:
                must_not += unwanted
        return Clauses(tuple(should), tuple(must), tuple(must_not))

    def _takes(self, kind: str, text: str) -> bool:
        token = self.token
        if token is None or token.kind != kind or token.text != text:
            return False
        self._at += 1
        return True

    def _unary(self, depth: int) -> tuple[str, Node | None]:
        """A word, a phrase or a parenthesis, and the sign before it."""
        sign = ""
        while True:
            token = self.token
            if token is not None and token.kind == "sign":
                sign = token.text
            elif token is not None and token.kind == "operator" and token.text == "NOT":
                sign = "" if sign == "-" else "-"
            else:
                break
            self._at += 1
        if token is None or token.kind == "close":
            raise QueryError(
                f"the query ends after {shown(self._text[-20:])} where a word is wanted"
            )
        self._at += 1
        if token.kind == "operator":
            raise QueryError(
                f"the query has {token.text} at character {token.at} where a word is wanted",
                hint=f'write {token.text.lower()} or "{token.text}" for the word itself',
                command_hint=f"write {token.text.lower()} for the word itself",
            )
        if token.kind == "open":
            inner = self.clauses(depth + 1)
            close = self.token
            if close is None:
                raise QueryError(f"the query has a ( at character {token.at} that is not closed")
            self._at += 1
            return sign, _boosted(inner, close.boost) if _says_something(inner) else None
        return sign, self._leaf(token)

    def _leaf(self, token: _Token) -> Word | None:
        if token.kind == "phrase":
            return Word(token.text, "phrase", column=token.column, boost=token.boost)
        if token.boost != 1 and token.column is None and token.text in self._columns:
            self.weights[token.text] = token.boost
            return None
        word = Word(token.text, column=token.column, boost=token.boost)
        if token.options["near"]:
            edits = token.options["near"][1:]
            if edits not in ("", "0", "1", "2"):
                raise QueryError(
                    f"the query has {token.text}~{edits}; a word is looked for with up to 2 edits"
                )
            return replace(word, kind="near", edits=int(edits or -1))
        return replace(word, kind="prefix") if token.options["prefix"] else word


def _says_something(clauses: Clauses) -> bool:
    return bool(clauses.should or clauses.must or clauses.must_not)


def _boosted(node: Node, boost: float) -> Node:
    if boost == 1:
        return node
    if isinstance(node, Word):
        return replace(node, boost=node.boost * boost)
    return Clauses(
        [_boosted(each, boost) for each in node.should],
        [_boosted(each, boost) for each in node.must],
        node.must_not,
    )
