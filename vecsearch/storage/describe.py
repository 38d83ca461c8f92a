"""The first version of a collection, and descriptions of the versions there are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from vecsearch.common.json_column import type_name
from vecsearch.errors import CorruptedError, VersionNotFoundError
from vecsearch.storage import log
from vecsearch.storage.manifest import IndexEntry, Manifest
from vecsearch.storage.names import ID_NAMED, TEXT_DECLARED, TEXT_NAMED
from vecsearch.storage.origins import shown as shown_place
from vecsearch.storage.schema import ID_DECLARED, declare, system_fields
from vecsearch.types import (
    AUTO,
    ID,
    TEXT,
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
    id_column: str | None,
    text_columns: Sequence[str] | None,
    chunker: Mapping[str, Any] | None,
    recall: float,
    keep_versions: int,
    settings: Mapping[str, Any],
    columns: pa.Schema | Mapping[str, object] | None = None,
) -> Manifest:
    """The manifest of an empty collection.

    The first `add` decides the type of ids and of the metadata that `columns` does not declare, and
    what the ids and the text are called where the user has not named them.

    Args:
        id_column: The user's name for the ids; None leaves it to the first `add`.
        text_columns: The same for the texts; an empty sequence for a collection without them.
    """
    id_field, texts = id_column or ID, (TEXT,) if text_columns is None else tuple(text_columns)
    fields = [pa.field(id_field, pa.int64(), nullable=False)]
    fields += [pa.field(name, pa.large_string()) for name in texts]
    fields += system_fields(metric, dim, dtype, **_passages(chunker), texts=len(texts))
    schema = pa.schema(fields)
    declared = [] if columns is None else _names(columns)
    if columns is not None:
        schema = declare(schema, columns, texts)
    stated = {
        ID_DECLARED: id_field in declared,
        ID_NAMED: id_column is not None or id_field in declared,
        TEXT_NAMED: text_columns is not None or TEXT in declared,
        TEXT_DECLARED: bool(set(texts) & set(declared)),
    }
    return Manifest(
        version=0,
        schema=schema,
        metric=metric,
        dim=dim,
        dtype=dtype,
        text_column=texts[-1] if texts else None,
        lead_columns=texts[:-1],
        chunker=chunker,
        recall=recall,
        keep_versions=keep_versions,
        settings={
            "open_schema": True,
            **{name: True for name, is_stated in stated.items() if is_stated},
            **settings,
        },
    ).next("create")


def _passages(chunker: Mapping[str, Any] | None) -> dict[str, bool]:
    """Whether rows are passages from the start, and whether what stands over them is stored.

    "auto" adds these columns with the first document that it splits.
    """
    kind = None if chunker is None else chunker.get("kind")
    return {"chunked": kind not in (None, AUTO), "heads": kind == "sentences"}


def _names(columns: pa.Schema | Mapping[str, object]) -> list[str]:
    return columns.names if isinstance(columns, pa.Schema) else list(columns)


def describe(
    root: Path,
    manifest: Manifest,
    kernel: Callable[[IndexEntry], Literal["numba", "faiss"]],
    calibration: Callable[[IndexEntry], Mapping[str, Any]],
) -> CollectionInfo:
    """What one version of a collection holds.

    Args:
        root: The collection's folder.
        manifest: The version.
        kernel: What searches an index of the collection's own vectors in this process.
        calibration: What was measured of an index.
    """

    def described(entry: IndexEntry, kernel: Literal["numba", "faiss"]) -> IndexInfo:
        return IndexInfo(
            entry.name,
            deepcopy(entry.recipe),
            entry.rows,
            sum(ref.bytes for ref in entry.files),
            _measured(partial(calibration, entry)),
            kernel,
        )

    embedder = manifest.embedder
    return CollectionInfo(
        path=shown_place(root),
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
        text_columns=manifest.text_columns,
        id_column=manifest.id_column,
        chunker=deepcopy(manifest.chunker),  # manifests are shared: nobody may change them
        columns={field.name: type_name(field.type) for field in manifest.schema},
        recall=manifest.recall,
        indexes=tuple(described(entry, kernel(entry)) for entry in manifest.indexes),
        full_text=_searched_by_words(manifest),
        vector_indexes={
            name: tuple(described(entry, "faiss") for entry in group)
            for name, group in manifest.vector_indexes.items()
        },
        shards=manifest.shards,
    )


def _searched_by_words(manifest: Manifest) -> tuple[str, ...]:
    if manifest.full_text is None:
        return ()
    columns = manifest.full_text.columns
    return manifest.text_columns if columns is None else columns


def _measured(calibration: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """A copy of a calibration; empty, with a warning, if it is damaged."""
    try:
        return deepcopy(calibration())
    except CorruptedError as error:
        warnings.warn(str(error), RuntimeWarning, stacklevel=4)
        return {}


def list_versions(root: Path) -> list[VersionInfo]:
    """The versions that can be opened, oldest first."""
    versions = []
    for number in log.versions(root):
        try:
            manifest = log.load(root, number)
        except VersionNotFoundError:
            continue  # another process removed it since the folder was listed
        versions.append(
            VersionInfo(
                number,
                manifest.created,
                manifest.operation,
                manifest.documents,
                sum(ref.bytes for ref in manifest.files()),
            )
        )
    return versions
