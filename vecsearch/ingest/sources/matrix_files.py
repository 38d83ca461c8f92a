"""Tables of numbers in CSV files: `counts.csv::rows`, where each row is a vector, and `::columns`.

The first column and the first line hold names, as in tables of genes and cells.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part, SourceFile
from vecsearch.ingest.sources.memory import vector_column
from vecsearch.ingest.sources.registry import suffix_of
from vecsearch.types import VECTOR

ORIENTATIONS = ("rows", "columns")


def read_matrix(file: SourceFile) -> Part:
    """A table of numbers, all of it in memory.

    `rows`: each row is a document, the first cell its id; columns of text are metadata, the numbers
    are the vector. `columns`: each column is a document, the first line holds the ids.

    Raises:
        InvalidInputError: The file is no such table; the message names the column.
    """
    if file.inside not in ORIENTATIONS:
        raise InvalidInputError(
            f"{file.name}: '::{file.inside}' is neither '::rows', where each row is a vector, nor "
            "'::columns', where each column is one"
        )
    tab = file.reading.csv.delimiter or ("\t" if suffix_of(file.path) == ".tsv" else ",")
    try:
        table = pacsv.read_csv(file.path, parse_options=pacsv.ParseOptions(delimiter=tab))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file.name} is not a table of numbers: {error}") from error
    if table.num_columns < 2 or not table.num_rows:
        raise InvalidInputError(f"{file.name} has no numbers beside the column of names")
    names = table.column(0).cast(pa.string())
    if names.null_count:
        raise InvalidInputError(f"{file.name}: the first column has a row without a name")
    by_rows = file.inside == "rows"
    texts: list[int] = []
    numbers: list[int] = []
    for index in range(1, table.num_columns):
        kind = table.column(index).type
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if not is_number and not by_rows:
            raise InvalidInputError(
                f"{file.name}: column {table.column_names[index]!r} holds {kind}, not numbers"
            )
        (numbers if is_number else texts).append(index)
    if not numbers:
        raise InvalidInputError(f"{file.name} has no column of numbers")
    matrix = np.empty((table.num_rows, len(numbers)), np.float32)
    for place, index in enumerate(numbers):
        column = table.column(index)
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy()))
            raise InvalidInputError(
                f"{file.name}: column {table.column_names[index]!r} has no number in row {row + 1}"
            )
        matrix[:, place] = column.to_numpy()
    ids, columns = names.combine_chunks(), [table.column(index).combine_chunks() for index in texts]
    labels = [table.column_names[index] for index in texts]
    if not by_rows:
        ids = pa.array([table.column_names[index] for index in numbers], pa.string())
        matrix = np.ascontiguousarray(matrix.T)
    id_column = file.reading.id_column
    kinds = zip(labels, (column.type for column in columns), strict=True)
    vector = pa.field(VECTOR, pa.list_(pa.float32(), matrix.shape[1]))
    schema = pa.schema(
        [pa.field(id_column, pa.string()), *(pa.field(*each) for each in kinds), vector]
    )

    def read(wanted: pa.Schema) -> Batches:
        for start in range(0, len(ids), file.batch_rows):
            stop = start + file.batch_rows
            arrays = [each.slice(start, file.batch_rows) for each in (ids, *columns)]
            arrays.append(vector_column(matrix[start:stop]))
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return Part(file.name, len(ids), schema, read)
