"""The columns of a collection, and how vectors are stored in them.

A cosine collection stores unit vectors, and the length each had in the column `_norm`. Only
`encode_vectors`, `decode_vectors` and `check_encoded` know this.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vecsearch.common.arrays import Vectors, numbers_in_numpy
from vecsearch.common.json_column import JSON, NotJsonError, as_json, is_json, type_name
from vecsearch.common.plain_types import plain_type
from vecsearch.common.show import shown
from vecsearch.errors import CorruptedError, InvalidInputError
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.named_vectors import convert_vectors, vector_column
from vecsearch.storage.widening import MisfitError, exact_cast, first_misfit, resolve
from vecsearch.types import (
    CHUNK,
    END,
    HEAD,
    NORM,
    RESERVED,
    START,
    TEXT_NUMBER,
    TO_END,
    VECTOR,
    WHOLE,
    Metric,
)

ID_TYPES: Final = (pa.int64(), pa.large_string())
TEXT_TYPES: Final = (pa.large_string(), pa.large_binary())  # texts, paths of pictures; pictures
ID_DECLARED: Final = "id_declared"  # a setting: the type of the ids is stated, not found
# Of a column whose only cells so far were markers such as NA in CSV: where the column holds texts,
# they are texts, and where it holds anything else they are missing values.
MARKED: Final = {b"vecsearch.marked": b"1"}
DTYPES: Final = {"float32": pa.float32(), "float16": pa.float16()}
UNIT_TOLERANCE: Final = 0.01  # how far float16 can move the squared length of a unit vector from 1
WHOLE_DOCUMENT: Final = {CHUNK: 0, START: 0, END: TO_END, TEXT_NUMBER: WHOLE}
CHECKED_ROWS: Final = 65_536  # vectors converted to float32 at a time


def metadata_schema(schema: pa.Schema) -> pa.Schema:
    """The user's columns: all but the vector and vecsearch's own."""
    return pa.schema(
        [field for field in schema if field.name != VECTOR and field.name not in RESERVED]
    )


def id_name(schema: pa.Schema) -> str:
    """The column of ids: the first one."""
    return str(schema.names[0])


def source_schema(manifest: Manifest, id_column: str | None, text_column: str | None) -> pa.Schema:
    """The user's columns as the data names them, for readers that must guess types."""
    names = {
        manifest.id_column: id_column or manifest.id_column,
        manifest.text_column: text_column or manifest.text_column,
    }
    settings = manifest.settings
    id_is_open = settings.get("open_schema") and not settings.get(ID_DECLARED)
    return pa.schema(
        [
            field.with_name(names.get(field.name, field.name))
            for field in metadata_schema(manifest.schema)
            if (field.name != manifest.id_column or not id_is_open)
            # The data's column of this name holds the ids or the texts.
            and (field.name in names or field.name not in names.values())
        ]
    )


def is_marked(field: pa.Field) -> bool:
    """Whether a column held nothing so far but markers such as NA, which became missing values."""
    return pa.types.is_null(field.type) and (field.metadata or {}).items() >= MARKED.items()


def storage_type(kind: pa.DataType) -> pa.DataType:
    """The type a metadata column is stored as: long strings, dictionaries decoded.

    A column that has no value yet is stored as null, and takes its type from its first value.
    """
    types = pa.types
    if is_json(kind):
        return JSON
    if types.is_dictionary(kind):
        return storage_type(kind.value_type)
    if types.is_string(kind) or types.is_string_view(kind):
        return pa.large_string()
    if types.is_binary(kind) or types.is_binary_view(kind):
        return pa.large_binary()
    if types.is_list(kind) or types.is_large_list(kind):
        return pa.list_(storage_type(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([pa.field(field.name, storage_type(field.type)) for field in kind])
    return kind


def storable_type(name: str, kind: object) -> pa.DataType:
    """The stored type of a column that somebody declares.

    Args:
        name: The column.
        kind: A pyarrow type, or its name such as "int64".

    Raises:
        InvalidInputError: It is no type, or a column cannot have it.
    """
    if isinstance(kind, str):
        kind = _named_type(kind)
    if not isinstance(kind, pa.DataType):
        raise InvalidInputError(
            f"column {name!r}: {str(kind)[:60]!r} is not the name of an Arrow type such as "
            "'string', 'int64', 'date32', 'json'",
        )
    if has_json_within(kind):
        raise InvalidInputError(f"column {name!r}: JSON cannot be a part of another type")
    try:
        plain = plain_type(kind)
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise InvalidInputError(
            f"column {name!r}: a time zone of {kind} is unknown here (pip install tzdata)"
        ) from error
    if _holds(plain, pa.types.is_union) or _holds(plain, pa.types.is_interval):
        raise InvalidInputError(f"column {name!r}: a column cannot be {kind}")
    return storage_type(plain)


def _holds(kind: pa.DataType, is_such: Callable[[pa.DataType], bool]) -> bool:
    """Whether a type is such a one, or holds one at any depth."""
    inner = (kind.field(number).type for number in range(kind.num_fields))
    return is_such(kind) or any(_holds(each, is_such) for each in inner)


def has_json_within(kind: pa.DataType) -> bool:
    """Whether JSON is a part of a type: of a list, a struct or a dictionary."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return is_json(kind.value_type) or has_json_within(kind.value_type)
    fields = kind.num_fields if pa.types.is_nested(kind) else 0
    inner = [kind.field(number).type for number in range(fields)]
    return any(is_json(each) or has_json_within(each) for each in inner)


def declare(
    schema: pa.Schema, columns: pa.Schema | Mapping[str, object], text_columns: Sequence[str]
) -> pa.Schema:
    """The schema of an empty collection with declared columns.

    Args:
        schema: The schema without them.
        columns: The columns: names with Arrow types or their names. Ids and texts may be
            among them.
        text_columns: The columns of texts.

    Raises:
        InvalidInputError: A name is reserved or empty, or a type cannot be stored.
    """
    if isinstance(columns, pa.Schema):
        columns = _types_by_name(columns)
    if not isinstance(columns, Mapping):
        raise InvalidInputError(
            f"schema is a {type(columns).__name__}: give a pyarrow.Schema or a dict of column "
            "name -> type"
        )
    for name, kind in columns.items():
        check_column_name(name)
        stored = storable_type(name, kind)
        if name == VECTOR:
            raise InvalidInputError(
                "column 'vector' holds the vectors, whose type cannot be declared",
                hint="dim= and dtype= say what they are",
                command_hint="--dim says how many numbers each has",
            )
        if name in (id_name(schema), *text_columns):
            texts = TEXT_TYPES if len(text_columns) == 1 else TEXT_TYPES[:1]
            allowed = ID_TYPES if name == id_name(schema) else texts
            if stored not in allowed:
                what = "ids: integers or strings" if name == id_name(schema) else "texts to embed"
                raise InvalidInputError(
                    f"column {name!r} holds the {what}; it cannot be {type_name(stored)}"
                )
            at = schema.get_field_index(name)
            schema = schema.set(at, schema.field(at).with_type(stored))
        else:
            schema = schema.insert(len(metadata_schema(schema)), pa.field(name, stored))
    return schema


def _types_by_name(columns: pa.Schema) -> dict[str, object]:
    """Raises InvalidInputError for a name that comes twice."""
    for name, count in Counter(columns.names).items():
        if count > 1:
            raise InvalidInputError(f"schema: column {name!r} comes {count} times")
    return dict(zip(columns.names, columns.types, strict=True))


def with_json(
    columns: pa.Schema | Mapping[str, object] | None, names: object
) -> pa.Schema | Mapping[str, object] | None:
    """Declared columns, with those of some names as JSON.

    Raises:
        InvalidInputError: The names are no list of str, or one is declared as another type.
    """
    if names is None:
        return columns
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InvalidInputError(
            f"json_columns is {shown(names)}; it must be a list of names",
            hint=f"give [{names!r}]" if isinstance(names, str) else "",
        )
    declared: dict[str, object] = {}
    if isinstance(columns, pa.Schema):
        declared = _types_by_name(columns)
    elif isinstance(columns, Mapping):
        declared = dict(columns)
    elif columns is not None:
        return columns
    for name in names:
        check_column_name(name)
        if name in declared and storable_type(name, declared[name]) != JSON:
            raise InvalidInputError(
                f"column {name!r} is among the JSON columns, but its declared type is "
                f"{declared[name]}: give one of the two"
            )
        declared[name] = JSON
    return declared


def check_column_name(name: object) -> None:
    """Raises InvalidInputError for what cannot be a column's name."""
    if not isinstance(name, str) or not name or name in RESERVED:
        raise InvalidInputError(f"{str(name)[:60]!r} cannot be the name of a column")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"column name {name!r} is not valid Unicode") from error


def _named_type(name: str) -> object:
    """The type of that name; the name itself if there is none."""
    written = name.strip()
    if written in ("json", str(JSON)):
        return JSON
    if written.startswith("list<") and written.endswith(">"):
        inner = _named_type(written[5:-1].removeprefix("item: "))
        return pa.list_(inner) if isinstance(inner, pa.DataType) else name
    zoned = re.fullmatch(r"timestamp\[(s|ms|us|ns), *(?:tz=)?([^]]+)\]", written)
    if zoned:
        return pa.timestamp(zoned[1], zoned[2])
    decimal = re.fullmatch(r"decimal(?:128)?\((\d+), *(\d+)\)", written)
    try:
        if decimal:
            return pa.decimal128(int(decimal[1]), int(decimal[2]))
        aliases = {"int": "int64", "float": "double", "text": "string", "str": "string"}
        aliases |= {"timestamp": "timestamp[us]", "date": "date32", "boolean": "bool"}
        return pa.type_for_alias(aliases.get(written, written))
    except (ValueError, pa.ArrowException):
        return name


def convert(array: pa.Array, field: pa.Field, first: int) -> tuple[pa.Array, pa.Field]:
    """Bring a column to its stored type, or to a wider one, without changing a value.

    Args:
        array: The column as given.
        field: The column as stored.
        first: The number of the array's first row in the data, for error messages.

    Returns:
        The column, and the field with the type that it has from now on.

    Raises:
        InvalidInputError: A value cannot be stored; the message names its row.
    """
    vectors = vector_column(field)
    if vectors is not None:
        return convert_vectors(array, field, vectors, first), field
    given = storage_type(array.type)
    if is_json(field.type) or (is_json(given) and pa.types.is_null(field.type)):
        return _convert_json(array, field, first), field.with_type(JSON)
    if is_json(given):
        array = array.cast(pa.large_string()).cast(JSON)
    elif array.type != given and not pa.types.is_dictionary(array.type):
        array = array.cast(given)
    elif array.type != given:
        array = array.cast(array.type.value_type).cast(given)
    is_id = not field.nullable  # the vector apart, only the id has no missing values
    if is_id and pa.types.is_large_string(field.type) != pa.types.is_large_string(given):
        wanted = "strings" if pa.types.is_large_string(field.type) else "integers"
        found = type_name(array.type).replace("large_string", "strings")
        raise InvalidInputError(
            f"row {first}, column {field.name!r}: ids of this collection are {wanted}, not {found}"
        )
    if not len(array):
        return pa.nulls(0, field.type), field
    try:
        kind = field.type if is_id else resolve(field.type, array)
        return exact_cast(array, kind), field.with_type(kind)
    except MisfitError as error:
        raise _refused(array, field, first, fixed=is_id) from error


def _convert_json(array: pa.Array, field: pa.Field, first: int) -> pa.Array:
    """A column as JSON. Raises InvalidInputError that names the first row that is none."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    try:
        return as_json(array)
    except NotJsonError as error:
        raise InvalidInputError(
            f"row {first + error.row}, column {field.name!r}: "
            f"{shown(array[error.row].as_py())} cannot be stored as JSON: {error}"
        ) from error


def _refused(array: pa.Array, field: pa.Field, first: int, *, fixed: bool) -> InvalidInputError:
    """The error for a column that does not fit, naming the first row that does not."""

    def fits(part: pa.Array) -> object:
        return exact_cast(part, field.type) if fixed else resolve(field.type, part)

    row = first_misfit(array, fits)
    where, value = f"column {field.name!r}", "a value"
    if row is not None:
        where, value = f"row {first + row}, {where}", _shown(array[row])
    return InvalidInputError(
        f"{where}: {value} cannot be stored as {field.type} without a change (it comes as "
        f"{type_name(array.type)})",
        hint=f"convert it, or create the collection with schema={{{field.name!r}: type}} of a type "
        "that holds all values",
        command_hint=_other_column(field, array.type),
    )


def _shown(value: pa.Scalar) -> str:
    text = repr(value.as_py())
    return text if len(text) <= 60 else f"{text[:60]}…"


def _other_column(field: pa.Field, given: pa.DataType) -> str:
    """What to do at the command line about values that a column cannot hold."""
    if pa.types.is_nested(field.type) or pa.types.is_nested(given):
        return "convert it, or give it another column"
    return f"convert it, or start with a new collection and --schema {field.name}:string"


def system_fields(
    metric: Metric, dim: int, dtype: str, *, chunked: bool, texts: int = 1, heads: bool = False
) -> list[pa.Field]:
    """The columns that follow the user's own: vectors, and what vecsearch keeps about each row.

    Args:
        metric: How vectors are compared.
        dim: Their dimension.
        dtype: How they are stored.
        chunked: Whether rows are passages of documents.
        texts: How many columns are embedded.
        heads: Whether what stands over a passage is stored with it.
    """
    fields = [vector_field(dim, dtype)]
    if metric is Metric.COSINE:
        fields.append(pa.field(NORM, pa.float32(), nullable=False))
    return [*fields, *passage_fields(texts, heads=heads)] if chunked else fields


def passage_fields(texts: int, *, heads: bool) -> list[pa.Field]:
    """The columns that say which part of its document a passage is."""
    names = (CHUNK, START, END, *((TEXT_NUMBER,) if texts > 1 else ()))
    fields = [pa.field(name, pa.int32(), nullable=False) for name in names]
    return [*fields, pa.field(HEAD, pa.large_string())] if heads else fields


def absent_column(field: pa.Field, rows: int) -> pa.Array:
    """What rows hold of a column that was added after they were written.

    Documents of a collection in which no text was split until then are one row each.
    """
    value = WHOLE_DOCUMENT.get(field.name)
    if value is None or field.nullable:
        return pa.nulls(rows, field.type)
    return pa.repeat(pa.scalar(value, field.type), rows)


def count_documents(batch: pa.RecordBatch, live: npt.NDArray[np.bool_] | None = None) -> int:
    """Documents in a batch: its rows, or where rows are passages those that begin a document.

    Args:
        batch: Whole columns of a segment, or rows about to become one.
        live: Which rows count, bool (rows,); None counts all.
    """
    if CHUNK not in batch.schema.names:
        return int(batch.num_rows if live is None else np.count_nonzero(live))
    first = numbers_in_numpy(batch.column(CHUNK)) == 0
    return int(np.count_nonzero(first if live is None else first & live))


def encode_vectors(
    vectors: Vectors, metric: Metric, dtype: str, norms: Vectors | None = None
) -> dict[str, pa.Array]:
    """The columns that store vectors: `vector`, and `_norm` in a cosine collection.

    Args:
        vectors: As given, float32 (rows, dim).
        metric: The metric of the collection.
        dtype: The stored type, "float32" or "float16".
        norms: Their lengths, float32 (rows,), if they are known; computed otherwise.
    """
    columns: dict[str, pa.Array] = {}
    if metric is Metric.COSINE:
        if norms is None:
            vectors, norms = normalize(vectors)
        else:
            vectors = vectors / norms[:, None]
        columns[NORM] = pa.array(norms)
    columns[VECTOR] = vector_array(np.ascontiguousarray(vectors, np.dtype(dtype)))
    return columns


def decode_vectors(batch: pa.RecordBatch) -> Vectors:
    """Vectors as they were given: float32 (rows, dim).

    Args:
        batch: Rows as stored, with the columns that `encode_vectors` returned.
    """
    column = batch.column(VECTOR)
    vectors = vector_view(column, column.type.list_size).astype(np.float32, copy=False)
    if NORM in batch.schema.names:
        norms = numbers_in_numpy(batch.column(NORM))
        if not (norms == 1).all():
            return np.asarray(vectors * norms[:, None], np.float32)
    return vectors


def check_encoded(batch: pa.RecordBatch, metric: Metric) -> None:
    """Whether rows hold what `encode_vectors` writes. Raises CorruptedError."""
    column = batch.column(VECTOR)
    stored = vector_view(column, column.type.list_size)
    for start in range(0, len(stored), CHECKED_ROWS):
        vectors = stored[start : start + CHECKED_ROWS].astype(np.float32)
        squares = np.einsum("ij,ij->i", vectors, vectors)
        if not np.isfinite(squares).all():
            raise CorruptedError("a vector has a number that is not finite")
        if metric is Metric.COSINE and not (abs(squares - 1) < UNIT_TOLERANCE).all():
            raise CorruptedError("a vector is not of unit length")
    if metric is Metric.COSINE:
        norms = numbers_in_numpy(batch.column(NORM))
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise CorruptedError("the length of a vector is not a positive number")


def normalize(vectors: Vectors) -> tuple[Vectors, Vectors]:
    """Unit vectors and the lengths they had, both float32.

    A vector whose length is 1 as far as float32 can tell keeps its bits.
    """
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)).astype(np.float32)
    is_unit = np.abs(norms - 1) < 1e-6
    norms[is_unit] = 1
    return (vectors if is_unit.all() else vectors / norms[:, None]), norms


def vector_field(dim: int, dtype: str) -> pa.Field:
    """The vector column."""
    return pa.field(VECTOR, vector_type(dim, dtype), nullable=False)


def vector_type(dim: int, dtype: str) -> pa.DataType:
    """The type of the vector column: fixed-size list of non-null float32 or float16."""
    return pa.list_(pa.field("item", DTYPES[dtype], nullable=False), dim)


def vector_array(vectors: npt.NDArray[np.floating]) -> pa.FixedSizeListArray:
    """An Arrow vector column over a C-contiguous (rows, dim) array, without a copy."""
    rows, dim = vectors.shape
    values = pa.Array.from_buffers(
        pa.from_numpy_dtype(vectors.dtype), rows * dim, [None, pa.py_buffer(vectors)]
    )
    return pa.Array.from_buffers(
        vector_type(dim, vectors.dtype.name), rows, [None], children=[values]
    )


def vector_view(column: pa.Array, dim: int) -> npt.NDArray[np.floating]:
    """The (rows, dim) numpy view of a vector column, without a copy."""
    dtype = np.dtype(np.float16 if column.type.value_type == pa.float16() else np.float32)
    data = column.values.buffers()[1]
    if data is None:
        return np.empty((0, dim), dtype)
    start = (column.offset * dim + column.values.offset) * dtype.itemsize
    return np.frombuffer(data, dtype, count=len(column) * dim, offset=start).reshape(
        len(column), dim
    )
