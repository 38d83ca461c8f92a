"""What a collection is, and its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vecsearch.display import Shown, text_fields
from vecsearch.types.indexes import IndexInfo
from vecsearch.types.names import VECTOR, counted, shown_bytes


@dataclass(frozen=True, slots=True)
class VersionInfo(Shown):
    """One committed version of a collection, as `Collection.versions` lists them.

    Attributes:
        version: Its number, counted from 1.
        created: When it was committed: ISO 8601, UTC.
        operation: What made it, such as "add" or "compact".
        documents: Documents in it.
        bytes: Size of its files; versions share most of them.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> [(each.version, each.operation, each.documents) for each in c.versions()]
        [(1, 'create', 0)]
    """

    version: int
    created: str
    operation: str
    documents: int
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class CollectionInfo(Shown):
    """A collection's documents, columns, embedder and indexes at one version.

    Attributes:
        path: The collection's folder.
        version: The version described.
        documents: Number of documents.
        rows: Number of rows: passages in a collection with a chunker, or else documents.
        deleted_rows: Deleted rows still in files; `compact` drops them.
        segments: Number of segment files.
        bytes: Size of all files of this version.
        dim: Dimension of the vectors.
        metric: "cosine", "ip" or "l2".
        dtype: How vectors are stored: "float32" or "float16".
        embedder: Name of the model; None in a collection of ready-made vectors.
        fingerprint: Digest of the model's weights and settings; None without a model.
        text_column: The column that is embedded, the last one of several; None without a model of
            texts.
        text_columns: All columns that are embedded, in the order in which they are joined.
        id_column: The column of ids.
        chunker: The chunker's parameters; None without a chunker.
        columns: Arrow type of each column, by name.
        recall: The recall that searches deliver by default.
        indexes: The indexes; empty if every search is exact.
        full_text: The columns that are searched by words; empty if none are.
        vector_indexes: The indexes of named vectors, by the name of their column; those without
            one are searched exactly.
        shards: How many shards the rows are in.

    Example:
        >>> import vecsearch as vs
        >>> info = vs.create("c.vs", dim=2, metric="l2").info()
        >>> info.documents, info.dim, info.metric, info.columns["vector"][:15]
        (0, 2, 'l2', 'fixed_size_list')
    """

    path: str
    version: int
    documents: int
    rows: int
    deleted_rows: int
    segments: int
    bytes: int
    dim: int
    metric: str
    dtype: str
    embedder: str | None
    fingerprint: str | None
    text_column: str | None
    text_columns: tuple[str, ...]
    id_column: str
    chunker: Mapping[str, Any] | None
    columns: Mapping[str, str]
    recall: float
    indexes: tuple[IndexInfo, ...]
    full_text: tuple[str, ...] = ()
    vector_indexes: Mapping[str, tuple[IndexInfo, ...]] = field(default_factory=dict)
    shards: int = 1

    def __repr__(self) -> str:
        return text_fields(self.fields())

    def _shown_fields(self) -> dict[str, object]:
        return self.fields()

    def fields(self) -> dict[str, object]:
        """What is shown of it: names and values for people; None where there is nothing to say.

        Example:
            >>> info.fields()["vectors"]
            '2 × float32, l2'
        """
        segments = counted(self.segments, "segment")
        if self.shards > 1:
            segments += f" of {self.shards} shards"
        return {
            "collection": self.path,
            "version": self.version,
            "documents": self.documents,
            "rows": f"{self.rows:,} in {segments}, {self.deleted_rows:,} deleted",
            "on disk": shown_bytes(self.bytes),
            "embedder": self.embedder,
            "vectors": f"{self.dim} × {self.dtype}, {self.metric}",
            "chunker": None if self.chunker is None else _chunker_words(self.chunker),
            "columns": ", ".join(self._shown_columns()),
            "recall target": self.recall,
            "index": "; ".join(map(str, self.indexes)) or "none: every search is exact",
            "named vectors": "; ".join(
                f"{name}: {index}" for name, group in self.vector_indexes.items() for index in group
            )
            or None,
        }

    def _shown_columns(self) -> list[str]:
        """The user's columns with their types, without Arrow's "large_" prefix."""
        return [
            f"{name} ({kind.removeprefix('large_')})"
            for name, kind in self.columns.items()
            if name != VECTOR and not name.startswith("_")
        ]


def _chunker_words(chunker: Mapping[str, Any]) -> str:
    """A chunker's kind, and its other parameters in parentheses."""
    others = ", ".join(f"{name} {value}" for name, value in chunker.items() if name != "kind")
    kind = str(chunker.get("kind", "chunker"))
    return f"{kind} ({others})" if others else kind
