"""What a search on a server found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from vecsearch.common.gate import gate
from vecsearch.types import Id, Span


@dataclass(frozen=True)
class RemoteHit:
    """A document that a search on a server found.

    Attributes:
        rank: 1 for the best.
        score: Its likeness, as of `Collection.search`.
        columns: Its columns.
        span: Where the passage is in its document; None without a chunker.

    Example:
        >>> from vecsearch import RemoteHit
        >>> hit = RemoteHit(1, 0.9, {"id": 7, "year": 2001})
        >>> hit.id, hit["year"]
        (7, 2001)
    """

    rank: int
    score: float
    columns: Mapping[str, Any]
    id_column: str = field(default="id", repr=False)
    span: Span | None = None

    @property
    def id(self) -> Id:
        """The id of the document."""
        found: Id = self.columns[self.id_column]
        return found

    def __getitem__(self, column: str) -> Any:
        """The value of a column."""
        return self.columns[column]


@gate
class RemoteHits(Sequence[RemoteHit]):
    """What a search on a server found, best first.

    Attributes:
        plan: How the search was done.

    Example:
        >>> from vecsearch import RemoteHit, RemoteHits
        >>> hits = RemoteHits([RemoteHit(1, 0.9, {"id": 7})], "exact search over 1 row")
        >>> hits.ids, hits.scores, hits[0].rank
        ([7], [0.9], 1)
    """

    def __init__(self, hits: Sequence[RemoteHit], plan: str) -> None:
        self._hits = list(hits)
        self.plan = plan

    @property
    def ids(self) -> list[Id]:
        """The ids, best first."""
        return [hit.id for hit in self._hits]

    @property
    def scores(self) -> list[float]:
        """The scores, best first."""
        return [hit.score for hit in self._hits]

    def __len__(self) -> int:
        return len(self._hits)

    @overload
    def __getitem__(self, at: int) -> RemoteHit: ...
    @overload
    def __getitem__(self, at: slice) -> RemoteHits: ...
    def __getitem__(self, at: int | slice) -> RemoteHit | RemoteHits:
        if isinstance(at, slice):
            return RemoteHits(self._hits[at], self.plan)
        return self._hits[at]

    def __repr__(self) -> str:
        return f"RemoteHits({len(self)}; {self.plan})"
