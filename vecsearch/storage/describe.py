"""The first version of a collection, and descriptions of the versions there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from vecsearch.common.json_column import type_name
from vecsearch.errors import VersionNotFoundError
from vecsearch.storage import log
from vecsearch.storage.manifest import IndexEntry, Manifest
from vecsearch.storage.schema import ID_DECLARED, declare, system_fields
from vecsearch.types import (
    ID,
    CollectionInfo,
    IndexInfo,
    Metric,
    VersionInfo,
)


def first_manifest(
    *,
    dim: int,
    metric: Metric,
    dtype: str,
    text_column: str | None,
    chunker: Mapping[str, Any] | None,
    recall: float,
    keep_versions: int,
    settings: Mapping[str, Any],
    columns: pa.Schema | Mapping[str, object] | None = None,
) -> Manifest:
    """The manifest of an empty collection.

    The first `add` decides the type of ids and of the metadata that `columns` does not declare.
    """
    fields = [pa.field(ID, pa.int64(), nullable=False)]
    if text_column is not None:
        fields.append(pa.field(text_column, pa.large_string()))
    fields += system_fields(metric, dim, dtype, chunked=chunker is not None)
    schema = pa.schema(fields)
    if columns is not None:
        schema = declare(schema, columns, text_column)
        settings = {**settings, **({ID_DECLARED: True} if ID in _names(columns) else {})}
    return Manifest(
        version=0,
        schema=schema,
        metric=metric,
        dim=dim,
        dtype=dtype,
        text_column=text_column,
        chunker=chunker,
        recall=recall,
        keep_versions=keep_versions,
        settings={"open_schema": True, **settings},
    ).next("create")


def _names(columns: pa.Schema | Mapping[str, object]) -> list[str]:
    return columns.names if isinstance(columns, pa.Schema) else list(columns)


def describe(
    root: Path, manifest: Manifest, kernel: Callable[[IndexEntry], Literal["numba", "faiss"]]
) -> CollectionInfo:
    """What one version of a collection holds.

    Args:
        root: The collection's folder.
        manifest: The version.
        kernel: What searches an index in this process.
    """
    embedder = manifest.embedder
    return CollectionInfo(
        path=str(root),
        version=manifest.version,
        documents=manifest.documents,
        rows=manifest.rows - manifest.deleted,
        deleted_rows=manifest.deleted,
        segments=len(manifest.segments),
        bytes=sum(ref.bytes for ref in manifest.files()),
        dim=manifest.dim,
        metric=str(manifest.metric),
        dtype=manifest.dtype,
        embedder=embedder.spec if embedder else None,
        fingerprint=embedder.fingerprint if embedder else None,
        text_column=manifest.text_column,
        chunker=manifest.chunker,
        columns={field.name: type_name(field.type) for field in manifest.schema},
        recall=manifest.recall,
        indexes=tuple(
            IndexInfo(
                entry.name,
                entry.recipe,
                entry.rows,
                sum(ref.bytes for ref in entry.files),
                entry.calibration,
                kernel(entry),
            )
            for entry in manifest.indexes
        ),
    )


def list_versions(root: Path) -> list[VersionInfo]:
    """The versions that can be opened, oldest first."""
    versions = []
    for number in log.versions(root):
        try:
            manifest = log.load(root, number)
        except VersionNotFoundError:
            continue  # another process removed it since the folder was listed
        versions.append(
            VersionInfo(number, manifest.created, manifest.operation, manifest.documents)
        )
    return versions
