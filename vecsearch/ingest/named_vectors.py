"""Texts of data become the named vectors of their documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from vecsearch.common.show import shown
from vecsearch.errors import EmbedderError, InvalidInputError
from vecsearch.ingest.sources import Reading
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.named_vectors import VectorColumn, convert_vectors, vector_columns
from vecsearch.types import Metric, counted

EMBEDDED_TOGETHER = 256  # texts whose vectors are made in one call


class MakesVectors(Protocol):
    """What ingest needs of the models."""

    def documents(self, column: VectorColumn, texts: Sequence[str]) -> list[Any]:
        """What a column holds of each text: float32 (dim,), or (number, dim)."""


def with_vectors(
    batches: Iterable[pa.RecordBatch],
    manifest: Manifest,
    models: MakesVectors,
    reading: Reading,
    text_source: str | None,
) -> Iterator[pa.RecordBatch]:
    """Batches of data with the named vectors of their texts.

    Args:
        batches: The data.
        manifest: The collection.
        models: Make the vectors.
        reading: Notes the columns that each row has; rows get those that are made of theirs.
        text_source: What the data calls the column that is embedded anyway.

    Raises:
        InvalidInputError: A text is none.
        EmbedderError: A model failed.
    """
    made = made_columns(manifest.schema)
    first = 0
    for batch in batches:
        for name, column in made.items():
            source = column.of or text_source
            if source is not None and source in batch.schema.names:
                batch = _embedded(batch, name, source, column, manifest, models, first)
                _note(reading, source, name, first, batch.num_rows)
        first += batch.num_rows
        yield batch


def made_columns(schema: pa.Schema) -> dict[str, VectorColumn]:
    """The columns of vectors that are made of texts."""
    return {name: each for name, each in vector_columns(schema).items() if each.of is not None}


def _note(reading: Reading, source: str, name: str, first: int, count: int) -> None:
    """Rows that give a text give its vector, too."""
    if reading.given is None:
        return
    for at in range(first, first + count):
        if source in reading.given[at]:
            reading.given[at] = reading.given[at] | {name}


def _embedded(
    batch: pa.RecordBatch,
    name: str,
    source: str,
    column: VectorColumn,
    manifest: Manifest,
    models: MakesVectors,
    first: int,
) -> pa.RecordBatch:
    """A batch with the vectors of its texts where none are given."""
    field = manifest.schema.field(name)
    texts = batch.column(source)
    if pa.types.is_dictionary(texts.type):
        texts = texts.cast(texts.type.value_type)
    listed = texts.to_pylist()
    given: list[Any] = [None] * len(listed)
    at = batch.schema.get_field_index(name)
    if at >= 0:
        given = convert_vectors(batch.column(at), field, column, first).to_pylist()
    wanted: dict[str, None] = {}
    for number, text in enumerate(listed):
        if text is not None and not isinstance(text, str):
            raise InvalidInputError(
                f"row {first + number}, column {source!r}: {shown(text)} is no text, and "
                f"{name!r} are vectors of texts"
            )
        if text is not None and text.strip() and given[number] is None:
            wanted[text] = None
    vectors = vectors_of(list(wanted), name, column, models)
    values = [
        old if old is not None or text is None else vectors.get(text)
        for old, text in zip(given, listed, strict=True)
    ]
    array = pa.array(values, field.type)
    if at >= 0:
        return batch.set_column(at, field, array)
    return batch.append_column(field, array)


def vectors_of(
    texts: Sequence[str], name: str, column: VectorColumn, models: MakesVectors
) -> dict[str, Any]:
    """Text -> what a column holds of it, as Arrow takes it. Raises EmbedderError."""
    found: dict[str, Any] = {}
    for start in range(0, len(texts), EMBEDDED_TOGETHER):
        part = texts[start : start + EMBEDDED_TOGETHER]
        for text, vectors in zip(part, models.documents(column, part), strict=True):
            matrix = np.atleast_2d(vectors)
            lengths = np.einsum("ij,ij->i", matrix, matrix)
            odd = ~np.isfinite(lengths) | ((lengths == 0) & (column.metric is Metric.COSINE))
            if matrix.shape[1] != column.dim or odd.any():
                raise EmbedderError(
                    f"{column.embedder} returned for {name!r} what cannot be compared (vectors of "
                    f"{counted(matrix.shape[1], 'number')}), for the text {shown(text)}"
                )
            found[text] = vectors.tolist()
    return found


def updated_values(
    values: Any, manifest: Manifest, vectors: Callable[[str, VectorColumn, str], Any]
) -> Any:
    """New values for all documents, with the vectors of new texts.

    Args:
        values: Column -> value.
        manifest: The collection.
        vectors: Gives what a column holds of a text.
    """
    more: dict[str, Any] = {}
    for name, column in made_columns(manifest.schema).items():
        source = column.of or manifest.text_column
        if source in values and name not in values:
            text = values[source]
            is_text = isinstance(text, str) and text.strip()
            more[name] = vectors(name, column, text) if is_text else None
    return {**values, **more} if more else values
