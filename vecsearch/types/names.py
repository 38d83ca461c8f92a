"""Names, constants and small values that all packages share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from vecsearch.display import Shown
from vecsearch.errors import InvalidInputError

Id = int | str
Mode = Literal["vector", "text", "hybrid"]
OnConflict = Literal["error", "skip", "replace", "update", "refresh"]
OnError = Literal["raise", "skip"]
ID = "id"  # what the column of ids is called where the user does not name it
TEXT = "text"  # the same for the column that is embedded
BEIR_ID = "_id"  # what BEIR's files call the id
# Columns that vecsearch adds to the user's. Names that begin with "_" are returned only on request.
VECTOR = "vector"
NORM = "_norm"  # length of the vector as given; cosine collections store the unit vector
CHUNK = "_chunk"  # ordinal of the passage in its document, from 0
START = "_start"  # span of the passage in its document, in characters
END = "_end"
TEXT_NUMBER = "_text_number"  # which of several text columns the passage is of, from 0
# Of rows that come from files: see `vecsearch.ingest.sources.documents`.
TITLE, MODIFIED, SOURCE, DIGEST = "title", "modified", "source", "digest"
FOLDER, TAKEN_AT, WIDTH, HEIGHT = "folder", "taken", "width", "height"  # of pictures
THUMBNAIL = "thumbnail"
PAGE_END = "\f"  # ends each page of a text that has pages, and each slide
HEAD = "_passage_head"  # what stands over the passage, and is embedded with it; null for nothing
RESERVED = (NORM, CHUNK, START, END, TEXT_NUMBER, HEAD)
AUTO = "auto"  # the kind of the chunker that splits only what a model does not read
WHOLE = -1  # the TEXT_NUMBER of a document of several texts that is one row
TO_END = -1  # the END of a document that is one row, where its length is not written


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun.

    Example:
        >>> from vecsearch.types import counted
        >>> counted(1, "row"), counted(2000, "row"), counted(0, "query", "queries")
        ('1 row', '2,000 rows', '0 queries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def shown_bytes(count: int) -> str:
    """A size for people, in powers of 1024.

    Example:
        >>> from vecsearch.types import shown_bytes
        >>> shown_bytes(1), shown_bytes(1536)
        ('1 byte', '1.5 KB')
    """
    size = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1024:
            return counted(count, "byte") if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TB"


def were(number: int) -> str:
    """The verb after a number of things: "was" after one."""
    return "was" if number == 1 else "were"


class Metric(StrEnum):
    """How two vectors are compared. A larger score is always better.

    Attributes:
        COSINE: Cosine similarity, from -1 to 1.
        IP: Inner product.
        L2: Negative squared Euclidean distance, at most 0.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2, metric=vs.Metric.L2)
        >>> _ = c.add([[0.0, 0.0], [3.0, 4.0]])
        >>> c.search([0.0, 0.0]).scores.tolist()
        [0.0, -25.0]
    """

    COSINE = "cosine"
    IP = "ip"
    L2 = "l2"

    @classmethod
    def _missing_(cls, value: object) -> Metric:
        raise InvalidInputError(f"metric is {value!r}; it must be one of {', '.join(cls)}")


@dataclass(frozen=True, slots=True, order=True)
class Span(Shown):
    """Where a passage is in its document, in `Hit.span`.

    Attributes:
        column: The text column that the passage is of.
        start: Its first character in the whole text of that column, from 0.
        end: The character after its last one.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64", text_columns=["title", "text"], chunker=100)
        >>> _ = c.add([{"title": "Boats", "text": "A small boat on the lake."}])
        >>> c.search("Boats", k=1)[0].span
        Span(column='title', start=0, end=5)
    """

    column: str
    start: int
    end: int
