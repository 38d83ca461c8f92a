"""`where`: SQL text or a pyarrow Expression, compiled once to a filter of record batches.

SQL text is the condition of DuckDB's WHERE, restricted to an allow-list (`ALLOWED` in syntax.py):

- A row is kept only when the condition is TRUE, with SQL's logic of NULL: `lang <> 'en'` drops rows
  without a lang, and `lang NOT IN ('en', NULL)` keeps none.
- Names: "quoted" or `backticked` names are exact; unquoted ones may differ in case if only one
  column matches. A field of a struct column is `a.b`.
- Types are never converted silently: a number is not a text, and `year = '2000'` on integers is an
  error. Numbers of all types compare by value, exactly (`year > 2.5` on integers is `year > 2`).
  With a float column they compare as float64; a literal compared with a float32 column is first
  rounded to float32, so that `score = 0.1` finds what was stored as 0.1. NaN equals NaN and is
  greater than all other numbers.
- Dates and times are ISO 8601: '2020-01-31', '2020-01-31 10:00:00', '2020-01-31T10:00:00+08:00',
  with or without DATE or TIMESTAMP before them; a date is its midnight. A column with a time zone
  holds instants: a literal with an offset is an instant too, and one without is the wall clock of
  the column's own zone. A column without a zone holds wall-clock times, and a literal with an
  offset is refused there.
- LIKE has no escape character unless ESCAPE gives one; ILIKE compares lower-cased text.
- `array_contains(tags, 'x')` and `'x' IN tags` are one thing: NULL for a NULL list, else TRUE or
  FALSE, as a NULL element equals nothing. `array_has_any(tags, ['x', 'y'])`, `array_has_all` and
  `lang IN ['x', 'y']` likewise. An empty list contains nothing: `array_contains([], NULL)` is
  FALSE; of any other list it is NULL.
- `'x' = ANY(tags)` compares with each element, so it is NULL where none is equal but one is NULL;
  a NULL list has no elements and is FALSE.
- A path into a JSON column is `m.lang` or `m['a.b'][0]`, positions from 0. Types are JSON's: a
  comparison with a value of another type is NULL, as is a path that leads nowhere.
- Arithmetic of integers is exact within 64 bits, and an overflow is an error; `/` and fractions
  give float64.

values.py      literals, typed values over columns, how a literal compares with a column's values
compare.py     SQL's logic of NULL, comparison, IN
functions.py   LIKE, lists, text, arithmetic
json_paths.py  the same for paths into JSON columns
path_syntax.py the names, keys and positions of a path
syntax.py      text -> sqlglot's tree, after checks of size and words
sql.py         tree -> condition, through an allow-list
simple.py      simple conditions joined by AND, without sqlglot

A pyarrow Expression follows Arrow's rules instead; there, for example, NaN equals nothing.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import bools_in_arrow
from vecsearch.common.json_column import is_json
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import FilterError
from vecsearch.query.filter.compare import bits
from vecsearch.query.filter.json_paths import DECODED_ROWS, DecodedRows
from vecsearch.query.filter.simple import compile_simple
from vecsearch.query.filter.values import is_vector, shorten

# Characters. Only a few filters longer than this are cached, as one may take megabytes.
LONG_TEXT = 20_000


@dataclass(frozen=True)
class Filter:
    """A compiled filter: immutable, and safe to use from several threads.

    Attributes:
        key: Equal only for filters that keep the same rows of the same batches.
        columns: The columns that it reads, in the schema's order. A batch needs these, and may have
            others.
        text: The filter as it was given.
    """

    key: str
    columns: tuple[str, ...]
    text: str
    _run: Callable[[pa.RecordBatch], Any] = field(repr=False, compare=False)

    def mask(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Which rows the filter keeps.

        Args:
            batch: Rows with at least the columns of the filter.

        Returns:
            bool, shape (batch.num_rows,).

        Raises:
            FilterError: A column is missing, or the computation fails (an integer overflow).
        """
        try:
            return bits(self._run(batch), batch.num_rows)
        except (pa.ArrowException, KeyError) as error:
            raise FilterError(
                f"the filter {shorten(self.text)!r} cannot be computed: {error}"
            ) from error


def compile_filter(where: str | pc.Expression, schema: pa.Schema) -> Filter:
    """Compile a filter, or return it from the cache.

    Args:
        where: SQL text or a pyarrow Expression.
        schema: The columns of the batches that it will filter.

    Returns:
        The compiled filter.

    Raises:
        FilterError: The filter cannot be parsed, uses what is not allowed, names an unknown column
            (the message suggests the nearest), or compares types that cannot be compared.

    Example:
        >>> import pyarrow as pa
        >>> from vecsearch.query.filter import compile_filter
        >>> batch = pa.record_batch({"year": [1999, 2005]})
        >>> compile_filter("year >= 2000", batch.schema).mask(batch).tolist()
        [False, True]
    """
    if isinstance(where, str):
        return (
            _from_long_text(where, schema) if len(where) > LONG_TEXT else _from_text(where, schema)
        )
    if isinstance(where, pc.Expression):
        return _from_expression(where, schema)
    raise FilterError(
        f"a filter is SQL text or a pyarrow.compute.Expression, not {type(where).__name__}"
    )


def _compile_text(text: str, schema: pa.Schema) -> Filter:
    compiled = compile_simple(text, schema)
    if compiled is None:
        from vecsearch.query.filter.sql import compile_text  # imports sqlglot: 0.2 s

        compiled = compile_text(text, schema)
    condition, names = compiled
    columns = tuple(name for name in schema.names if name in names)
    run = condition.run
    if any(is_json(schema.field(name).type) for name in columns):
        run = _decoding(run)
    return Filter(_key(text.strip().encode(), columns, schema), columns, text, run)


def _decoding(run: Callable[[Any], Any]) -> Callable[[pa.RecordBatch], Any]:
    """The condition over batches whose JSON is decoded, a number of rows at a time."""

    def run_decoded(batch: pa.RecordBatch) -> Any:
        masks = [
            bits(run(DecodedRows(part)), part.num_rows)
            for start in range(0, batch.num_rows, DECODED_ROWS)
            for part in [batch.slice(start, DECODED_ROWS)]
        ]
        return bools_in_arrow(np.concatenate(masks) if masks else np.zeros(0, np.bool_))

    return run_decoded


_from_text = lru_cache(maxsize=512)(_compile_text)
_from_long_text = lru_cache(maxsize=4)(_compile_text)


def _key(content: bytes, columns: tuple[str, ...], schema: pa.Schema) -> str:
    digest = hashlib.blake2b(content, digest_size=16)
    for name in columns:
        digest.update(repr((name, str(schema.field(name).type))).encode())
    return f"sql:{digest.hexdigest()}"


# Expressions compiled recently. They are compared by Arrow's own equality, since their text omits
# the middle of long lists.
_recent: deque[tuple[pc.Expression, pa.Schema, Filter]] = deque(maxlen=64)
_numbers = itertools.count()


def _from_expression(expression: pc.Expression, schema: pa.Schema) -> Filter:
    for known, known_schema, known_filter in list(_recent):
        if known.equals(expression) and known_schema.equals(schema):
            return known_filter
    compiled = _compile_expression(expression, schema)
    _recent.append((expression, schema, compiled))
    return compiled


def _compile_expression(expression: pc.Expression, schema: pa.Schema) -> Filter:
    text = shorten(str(expression), 200)
    if re.search(r"FieldPath\(\d", str(expression)):
        raise FilterError(
            f"the expression {text} cannot be used as a filter: it names a column by position; "
            "use pc.field('year')"
        )
    if len(set(schema.names)) < len(schema.names):
        raise FilterError(
            f"the expression {text} cannot be used: two columns of the data have the same name"
        )
    columns = _columns_of(expression, schema)
    vectors = [name for name in columns if is_vector(schema.field(name).type)]
    if vectors:
        raise FilterError(
            f"the column {vectors[0]!r} holds vectors, which a filter cannot read: search with "
            "a vector instead"
        )
    read = pa.schema([schema.field(name) for name in columns])

    def run(batch: pa.RecordBatch) -> Any:
        if not columns:
            return _evaluate(expression, pa.table({"": [0]}))[0]
        result = _evaluate(expression, pa.Table.from_batches([batch.select(columns)]).cast(read))
        return result.combine_chunks()

    return Filter(f"arrow:{next(_numbers)}", columns, text, run)


def _evaluate(expression: pc.Expression, table: pa.Table) -> pa.ChunkedArray:
    import pyarrow.acero as acero  # imports pandas, if that is installed

    source = acero.Declaration("table_source", acero.TableSourceNodeOptions(table))
    project = acero.Declaration("project", acero.ProjectNodeOptions([expression], ["mask"]))
    return acero.Declaration.from_sequence([source, project]).to_table(use_threads=False).column(0)


def _columns_of(expression: pc.Expression, schema: pa.Schema) -> tuple[str, ...]:
    """The columns that an expression reads: those without which it does not fit the schema.

    Arrow has no function that tells them.
    """
    readable = [field for field in schema if _can_be_read(field.type)]
    empty = pa.schema(readable).empty_table()
    try:
        result = _evaluate(expression, empty)
    except pa.ArrowException as error:
        raise _misfit(expression, schema, error) from error
    if not pa.types.is_boolean(result.type):
        raise FilterError(
            f"the expression {shorten(str(expression))} is of type {result.type}; a filter must be "
            "boolean"
        )
    columns = []
    for name in empty.column_names:
        try:
            _evaluate(expression, empty.drop_columns([name]))
        except pa.ArrowException:
            columns.append(name)
    return tuple(columns)


def _can_be_read(kind: pa.DataType) -> bool:
    """Whether Arrow makes an array of this type, which it does not of unions."""
    try:
        pa.array([], kind)
    except pa.ArrowNotImplementedError:
        return False
    return True


def _misfit(expression: pc.Expression, schema: pa.Schema, error: Exception) -> FilterError:
    missing = re.search(r"No match for FieldRef\.Name\((.*?)\) in", str(error))
    if missing is None:
        texts = [field.name for field in schema if is_json(field.type)]
        named = next((name for name in texts if name in str(expression)), None)
        advice = (
            f"; {named!r} is JSON, which pyarrow compares as little as it reads paths: write the "
            f"filter as SQL text, such as \"{named}.key = 'value'\""
        )
        return FilterError(
            f"the expression {shorten(str(expression), 200)} does not fit the columns: {error}"
            f"{advice if named else ''}"
        )
    name = missing[1]
    if name in schema.names:
        return FilterError(
            f"column {shown(name)} is {schema.field(name).type}, which no filter reads"
        )
    return FilterError(f"there is no column {shown(name)}{did_you_mean(name, schema.names)}")
