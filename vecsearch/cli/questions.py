"""Questions from a file or the command line, as `search`, `build` and `measure` take them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from vecsearch.collection import Collection
    from vecsearch.query.results import Hits

# Of the words, where the vector means little: even a word of one document alone outweighs it.
WORDS_SHARE = 0.9


def read_questions(path: Path) -> dict[str, str]:
    """Question id -> text. A question without an id gets the number of its line."""
    from vecsearch.evaluation.qrels import read_queries

    return read_queries(path, number_lines=True)


def measuring_queries(
    collection: Collection, path: Path | None, using: str | None = None
) -> list[Any] | str | None:
    """Queries to measure with: those of a file, "sampled", or None for rows of the collection.

    using: The named vectors that are measured: a line is a text, or numbers.
    """
    if path is None:
        return None
    if path == Path("sampled"):
        return "sampled"
    texts = read_questions(path).values()
    if using is not None:
        return [json.loads(text) if is_json_list(text) else text for text in texts]
    has_embedder = collection.info().text_column is not None
    return [text if has_embedder else vector_of(text) for text in texts]


def is_json_list(text: str) -> bool:
    """Whether a text is a list in JSON, such as a vector."""
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


def vector_of(text: str) -> list[float]:
    """The query vector written as a JSON list of numbers."""
    from vecsearch.errors import NoEmbedderError
    from vecsearch.query.encode import VECTOR_HINT

    try:
        return [float(value) for value in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise NoEmbedderError(
            "this collection has no embedder, so it is searched by vector",
            command_hint=VECTOR_HINT,
        ) from error


def numbers_of(text: str, option: str) -> list[Any]:
    """The vector, or several, that an option holds as a list in JSON. Raises BadParameter."""
    if not is_json_list(text):
        raise typer.BadParameter(
            'a vector is a list of numbers in JSON, such as "[1, 0.5]"', param_hint=option
        )
    return list(json.loads(text))


def with_words_if_unread(
    ask: Callable[[list[str], dict[str, Any]], list[Hits]], questions: list[str]
) -> list[Hits]:
    """The hits of questions by vectors; by words above all for those that the model does not know.

    A warning says so once.

    Args:
        ask: Searches for questions with the options of a mode.
        questions: The questions, as texts.
    """
    from vecsearch.errors import ModelWarning

    def ask_model(some: list[str]) -> list[Hits]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ModelWarning)
            return ask(some, {"mode": "vector"})

    try:
        return ask_model(questions)
    except ModelWarning as unread:
        words = "searched by the words above all; --mode vector leaves them out"
        warnings.warn(ModelWarning(unread.message, command_hint=words), stacklevel=2)
    found: list[Hits] = []
    for question in questions:
        try:
            found += ask_model([question])
        except ModelWarning:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ModelWarning)
                found += ask([question], {"mode": "hybrid", "fusion": {"text": WORDS_SHARE}})
    return found
