"""The manifest: one numbered JSON file that names everything a version of a collection consists of.

`manifests/00000007.json` holds {"checksum": sha256 of the body, "body": {...}}. A commit writes and syncs a temporary file and
hard-links it to the next number; a rival that took the number first makes the link fail instead of being overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from vecsearch.storage.disk import FileRef
from vecsearch.types import Metric

FORMAT = 2


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A segment and what is deleted of it. `rows` are passages; `documents` are live documents."""

    file: FileRef
    ids: FileRef
    rows: int
    documents: int
    deleted: int = 0
    tombstones: FileRef | None = None

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def live(self) -> int:
        return self.rows - self.deleted


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """An index derived from segments. Label i of the index is row i of the segments in `covers`, run together in that
    order; after a compaction `labels` (an Arrow file) says instead where each label's row is now, -1 for rows gone."""

    name: str
    files: tuple[FileRef, ...]
    covers: tuple[str, ...]
    rows: int
    recipe: Mapping[str, Any]
    calibration: Mapping[str, Any]
    labels: FileRef | None = None


@dataclass(frozen=True, slots=True)
class EmbedderEntry:
    """The model that made the vectors: `spec` loads it again, `fingerprint` proves it is the same. A model with `files` lies
    inside the collection, and the folder in its spec is relative to that. `full_dim`: vectors of this many numbers are given,
    and projected to the collection's dimension; 0 where they are stored as they are given."""

    spec: str
    fingerprint: str
    files: tuple[FileRef, ...] = ()
    full_dim: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a collection. `schema` is the Arrow schema of its segments."""

    version: int
    schema: pa.Schema
    metric: Metric
    dim: int
    dtype: str
    text_column: str | None
    embedder: EmbedderEntry | None = None
    chunker: Mapping[str, Any] | None = None
    segments: tuple[SegmentEntry, ...] = ()
    indexes: tuple[IndexEntry, ...] = ()
    next_id: int = 0
    recall: float = 0.95
    keep_versions: int = 16
    created: str = ""
    operation: str = "create"
    format: int = FORMAT
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def documents(self) -> int:
        return sum(entry.documents for entry in self.segments)

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.segments)

    @property
    def deleted(self) -> int:
        return sum(entry.deleted for entry in self.segments)

    def files(self) -> list[FileRef]:
        """Every file this version needs."""
        refs = []
        for segment in self.segments:
            refs += [
                segment.file,
                segment.ids,
                *([segment.tombstones] if segment.tombstones else []),
            ]
        for index in self.indexes:
            refs += [*index.files, *([index.labels] if index.labels else [])]
        return [*refs, *(self.embedder.files if self.embedder else ())]

    def next(self, operation: str, **changes: Any) -> Manifest:
        """The version that follows this one."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        return replace(
            self,
            version=self.version + 1,
            created=now,
            operation=operation,
            format=FORMAT,
            **changes,
        )
