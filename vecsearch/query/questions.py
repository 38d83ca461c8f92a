"""What the arguments of searches ask for: words, vectors, or both."""

from __future__ import annotations

from typing import Any, NamedTuple

from vecsearch.common.arguments import check_one_of
from vecsearch.errors import InvalidInputError
from vecsearch.query.vectors import many_queries
from vecsearch.types import counted

MODES = ("vector", "text", "hybrid")


class Asked(NamedTuple):
    """One question, in the forms that its mode needs.

    Attributes:
        words: A text to search by its words; None if there is none.
        vector: A vector, or what is embedded; None if there is none.
    """

    words: Any = None
    vector: Any = None


def question_of(query: Any, text: Any, vector: Any, mode: str) -> Asked:
    """What the arguments of a search ask for.

    Raises InvalidInputError for arguments that do not go together.
    """
    check_one_of("mode", mode, MODES)
    if mode == "vector":
        given = [item for item in (query, vector, text) if item is not None]
        if len(given) != 1:
            raise InvalidInputError(
                "search by vectors takes one query"
                if given
                else "the query is missing: give a text or a vector",
                hint='mode="hybrid" takes a text and a vector',
                command_hint="--mode hybrid takes a text and a vector",
            )
        return Asked(vector=given[0])
    words = query if text is None else text
    if words is None or (text is not None and query is not None and vector is not None):
        raise InvalidInputError(
            "the query is missing: give a text"
            if words is None
            else "the query is given twice: leave out query, or text= or vector="
        )
    if mode == "text":
        if vector is not None or (text is not None and query is not None):
            raise InvalidInputError(
                "search by words takes one text",
                hint='mode="hybrid" takes a text and a vector',
                command_hint="--mode hybrid takes a text and a vector",
            )
        return Asked(words=words)
    if vector is None:
        vector = query if query is not None else text
    return Asked(words, vector)


def questions_of(queries: Any, texts: Any, vectors: Any, mode: str) -> list[Asked]:
    """What the arguments of a batch of searches ask for.

    Raises InvalidInputError for arguments that do not go together.
    """
    given = {"queries": queries, "texts": texts, "vectors": vectors}
    listed: dict[str, list[Any] | None] = {
        name: None if values is None else list(many_queries(values))
        for name, values in given.items()
    }
    counts = {name: len(values) for name, values in listed.items() if values is not None}
    if not counts:
        question_of(None, None, None, mode)
    if len(set(counts.values())) > 1:
        numbers = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise InvalidInputError(f"there are {numbers}: give as many of each")
    asked = []
    for at in range(next(iter(counts.values()))):
        query, text, vector = (None if each is None else each[at] for each in listed.values())
        asked.append(question_of(query, text, vector, mode))
    return asked


def only_one(queries: Any, texts: Any, vectors: Any) -> Any:
    """The queries of a batch of searches by vectors. Raises InvalidInputError."""
    given = [each for each in (queries, vectors, texts) if each is not None]
    if len(given) == 1:
        return given[0]
    query = "" if given else None
    return question_of(query, query, None, "vector")


def filters_for(where: Any, count: int) -> list[Any]:
    """The filter of each of so many queries.

    Raises InvalidInputError for another number of filters.
    """
    wheres = list(where) if isinstance(where, list | tuple) else [where] * count
    if len(wheres) != count:
        raise InvalidInputError(
            f"{counted(len(wheres), 'filter')} for {counted(count, 'query', 'queries')}: give one "
            "for all, or one a query"
        )
    return wheres


def only_with_words(**given: Any) -> None:
    """Raises InvalidInputError if an argument was given that search by vectors does not take."""
    for name, value in given.items():
        if value is not None:
            raise InvalidInputError(
                f"{name}= is for searches by words",
                hint='give mode="text" or mode="hybrid" too',
                command_hint="give --mode text or --mode hybrid too",
            )
