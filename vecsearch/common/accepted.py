"""The types of what users pass: data, queries, filters, ids and options.

They are for type checkers, and for messages about wrong arguments. Packages without types, such as
pyarrow and pandas, are described by what vecsearch asks of their objects, since a type checker lets
anything pass for a class that it does not know.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, SupportsFloat, TypeAlias, runtime_checkable

from vecsearch.types import Id, Metric


@runtime_checkable
class Expression(Protocol):
    """A condition such as `pyarrow.compute.field("year") > 2000`."""

    def is_valid(self) -> Any: ...
    def is_null(self) -> Any: ...
    def isin(self, values: Any) -> Any: ...


@runtime_checkable
class Array(Protocol):
    """What numpy can read: its own arrays, tensors, Series."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


@runtime_checkable
class ArrowArray(Protocol):
    """What holds an Arrow array."""

    def __arrow_c_array__(self, *args: Any, **kwargs: Any) -> Any: ...


@runtime_checkable
class ArrowStream(Protocol):
    """What holds Arrow data in batches: tables, readers, and frames of pandas and polars."""

    def __arrow_c_stream__(self, *args: Any, **kwargs: Any) -> Any: ...


@runtime_checkable
class LazyFrame(Protocol):
    """A frame that is computed when it is collected, as polars has it."""

    def collect(self, *args: Any, **kwargs: Any) -> Any: ...


@runtime_checkable
class Picture(Protocol):
    """A picture, as Pillow has it."""

    def convert(self, *args: Any, **kwargs: Any) -> Any: ...
    def resize(self, *args: Any, **kwargs: Any) -> Any: ...


@runtime_checkable
class VectorIndex(Protocol):
    """An index of FAISS. (Those of hnswlib have no types.)"""

    def reconstruct_n(self, *args: Any, **kwargs: Any) -> Any: ...


@runtime_checkable
class EmbeddingLayer(Protocol):
    """A `torch.nn.Embedding`."""

    num_embeddings: int


@runtime_checkable
class ArrowSchema(Protocol):
    """A `pyarrow.Schema`."""

    def field(self, *args: Any, **kwargs: Any) -> Any: ...
    def get_field_index(self, *args: Any, **kwargs: Any) -> Any: ...


@runtime_checkable
class ArrowType(Protocol):
    """A `pyarrow.DataType`."""

    def equals(self, *args: Any, **kwargs: Any) -> Any: ...
    def to_pandas_dtype(self) -> Any: ...


PathLike: TypeAlias = str | os.PathLike[str]
MetricName: TypeAlias = Literal["cosine", "ip", "l2"] | Metric
DtypeName: TypeAlias = Literal["float32", "float16"]
Where: TypeAlias = str | Expression
Ids: TypeAlias = Iterable[Id] | Id
Row: TypeAlias = Mapping[str, object]
Vector: TypeAlias = Sequence[SupportsFloat] | Array | ArrowArray | ArrowStream
Vectors: TypeAlias = Sequence[Vector | None] | Array | ArrowArray | ArrowStream
# A text, a vector, or several for MaxSim; and what an embedder may take instead: a key, a picture,
# a row of a table.
Query: TypeAlias = str | int | os.PathLike[str] | Vector | Sequence[Vector] | Picture | Row
Queries: TypeAlias = Iterable[Query] | Array | ArrowArray | ArrowStream
Data: TypeAlias = (
    PathLike
    | Iterable[str | os.PathLike[str] | Row | Vector]
    | Array
    | ArrowArray
    | ArrowStream
    | LazyFrame
    | VectorIndex
    | EmbeddingLayer
)
# Values for documents: one row for all, or rows, a table or a frame with one for each.
Values: TypeAlias = Row | Iterable[Row] | ArrowStream | LazyFrame
# Examples of what is wanted or not: one, or several.
Examples: TypeAlias = Query | Iterable[Query]
Schema: TypeAlias = ArrowSchema | Mapping[str, ArrowType | str]
TypeName: TypeAlias = ArrowType | str
CsvOptions: TypeAlias = Mapping[str, str | Sequence[str] | None]
# Questions with ids, or a file of them; judgments of their documents.
Questions: TypeAlias = PathLike | Mapping[str, Query] | Mapping[int, Query]
StorageOptions: TypeAlias = Mapping[str, str | bool | int | float]
Judgments: TypeAlias = PathLike | Mapping[str, Mapping[Any, int]] | Mapping[int, Mapping[Any, int]]
