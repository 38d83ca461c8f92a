"""The collection under evaluation, as far as an evaluation needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from vecsearch.embedders.stored import Model
from vecsearch.ingest.sentences import Span
from vecsearch.query.results import Hits
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot

Split: TypeAlias = Callable[[str], Sequence[Span]]


@dataclass(frozen=True, slots=True)
class Subject:
    """snapshot and kept: one version, and its rows that may be found. search: queries (texts or vectors), k -> hits, as people
    get them. get: documents by ids and columns. model: None in a collection without one. splitter: makes what splits texts
    (None without a chunker); asked only when it is needed."""

    snapshot: Snapshot
    selection: RowSelection
    search: Callable[[Any, int], Sequence[Hits]]
    get: Callable[[Any, Sequence[str]], Sequence[dict[str, Any] | None]]
    model: Model | None
    splitter: Callable[[], Split | None]
