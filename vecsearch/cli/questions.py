"""Questions in files: many to search with, or to measure with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vecsearch.collection import Collection


def read_queries(path: Path) -> list[tuple[str, str]]:
    """Ids and texts. A .jsonl line is an object with `text` and `id` (or `_id`, as in BEIR); else a line is a question."""
    from vecsearch.errors import InvalidInputError

    asked = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        if path.suffix != ".jsonl":
            asked.append((str(number), line.strip()))
            continue
        try:
            row = json.loads(line)
            asked.append((str(row.get("_id", row.get("id", number))), str(row["text"])))
        except (ValueError, KeyError, AttributeError) as error:
            raise InvalidInputError(
                f'{path}, line {number}: not a JSON object such as {{"id": 1, "text": "..."}}'
            ) from error
    return asked


def questions(collection: Collection, path: Path | None) -> list[Any] | str | None:
    """What to measure with: a file's questions (texts, or vectors where there is no embedder), "sampled", or nothing."""
    if path is None or path == Path("sampled"):
        return None if path is None else "sampled"
    embeds = collection.info().text_column is not None
    return [text if embeds else vector_of(text) for _, text in read_queries(path)]


def vector_of(text: str) -> list[float]:
    """A query of a collection that has no embedder: a JSON list of numbers."""
    from vecsearch.errors import InvalidInputError

    try:
        return [float(value) for value in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            "the collection has no embedder: search it by a vector, written [0.1, 0.2, ...]"
        ) from error
