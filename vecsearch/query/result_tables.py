"""Hits and rows as tables and frames: the names of their columns, pandas and polars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from vecsearch.common.json_column import is_json, json_as_text, python_values
from vecsearch.common.optional import require
from vecsearch.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

HIT_NAMES = ("rank", "score", "span")  # of a hit itself, in dicts and tables
SPAN_TYPE = pa.struct([("column", pa.string()), ("start", pa.int64()), ("end", pa.int64())])


def output_names(columns: Sequence[str]) -> dict[str, str]:
    """The name of each column beside a hit's own rank, score and span: `score` becomes `score_`.

    Underscores are appended until no other column has the name.
    """
    names = {}
    for column in columns:
        name = column
        if column in HIT_NAMES:
            while name in HIT_NAMES or name in columns:
                name += "_"
        names[column] = name
    return names


def frame_of(table: pa.Table) -> pd.DataFrame:
    """A table as a frame of pandas, with integers exact and JSON as Python values.

    Raises:
        InvalidInputError: pandas cannot hold a value.
        MissingExtraError: pandas is not installed.
    """
    pandas = require("pandas", "pandas", "pandas", "to_pandas()")
    data: dict[str, Any] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        if is_json(field.type):
            data[field.name] = pandas.Series(python_values(column), dtype=object)
            continue
        nullable = {}
        if pa.types.is_integer(field.type) and column.null_count:
            width = f"Int{field.type.bit_width}"
            name = width if pa.types.is_signed_integer(field.type) else f"U{width}"
            nullable[field.type] = pandas.api.types.pandas_dtype(name)
        try:
            # As a table: a column by itself would make a Python object of each text.
            part = pa.table({"values": column}).to_pandas(types_mapper=nullable.get)
            data[field.name] = part["values"]
        except (pa.ArrowException, NotImplementedError) as error:
            raise InvalidInputError(
                f"column {field.name!r} is {field.type}, and pandas cannot hold its values: "
                f"{error}",
                hint="to_arrow() gives them",
                command_hint="",
            ) from error
    return pandas.DataFrame(data)


def polars_frame_of(table: pa.Table) -> pl.DataFrame:
    """A table as a frame of polars, with JSON as text.

    Raises:
        InvalidInputError: polars cannot hold a value.
        MissingExtraError: polars is not installed.
    """
    polars = require("polars", "polars", "polars", "to_polars()")
    try:
        frame: pl.DataFrame = polars.from_arrow(json_as_text(table))
    except Exception as error:  # of polars, and of its Rust code
        raise InvalidInputError(
            f"polars cannot hold these columns: {error}",
            hint="to_arrow() gives them",
            command_hint="",
        ) from error
    return frame
