"""CSV and TSV files -> record batches, in two passes: one over the whole file to find the columns' types, one to convert.

Types are never guessed from a file's beginning: a column is an integer (or number, bool, date, time) only if each of its cells
is one, written as one would write it out again. "007", "+86", and numbers with more digits than a type holds are text, as
is everything mixed. An empty cell is null. NA, NaN, null, None and #N/A are null in a column that otherwise is not
text, and in text columns are what they say. Columns `id` and the text column are never bent: ids are integers only if
they all are, the text column is always text.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import MAX_BATCH_CHARS, Batches, Part, is_text
from vecsearch.ingest.sources.encoding import MAX_TEXT, TextFile

ID = "id"
VECTOR = "vector"


def delimited_part(
    path: Path, name: str, batch_rows: int, text_column: str, known: pa.Schema | None
) -> Part:
    """Columns in `known` take their types from there. Raises InvalidInputError, naming file and line, for a cell that does not
    fit such a type, rows of uneven length, repeated column names, stray quotes and NUL characters.

    Cells of CSV may be quoted. A TSV file in which quotes do not pair up is read as one without quoting. Where a CSV
    file's header has no comma but semicolons or tabs, those are what separates its cells.
    """
    file = TextFile.find(path, name)
    tsv = Path(name.lower().removesuffix(".gz")).suffix == ".tsv"
    table = _Table(file, "\t" if tsv else _delimiter(file), quoting=True, batch_rows=batch_rows)
    try:
        return _part(table, text_column, known)
    except InvalidInputError:
        if not tsv:
            raise
        try:
            return _part(
                _Table(file, "\t", quoting=False, batch_rows=batch_rows), text_column, known
            )
        except InvalidInputError:
            pass  # the first reading's complaint is the one to show
        raise


def _delimiter(file: TextFile) -> str:
    with file.open() as text:
        header = next(file.lines(text), "")
    return next((mark for mark in ",;\t" if mark in header), ",")


def _part(table: _Table, text_column: str, known: pa.Schema | None) -> Part:
    names = table.names()
    columns = []
    for name in names:
        if (
            known is not None
            and name in known.names
            and not pa.types.is_null(known.field(name).type)
        ):
            columns.append(_Column([_Candidate(known.field(name).type)], stated=True))
        elif name == text_column:
            columns.append(_Column([]))
        else:
            columns.append(
                _Column({ID: [_INT], VECTOR: [_JSON]}.get(name, _CANDIDATES), markers=name != ID)
            )
    total = 0
    for cells in table.blocks(names):
        total += len(cells.lines)
        for name, column, values in zip(names, columns, cells.columns, strict=True):
            column.see(values, f"column {name!r}", cells, table.file.name)
    schema = pa.schema(
        [pa.field(name, column.type()) for name, column in zip(names, columns, strict=True)]
    )

    def read(wanted: pa.Schema) -> Batches:
        for cells in table.blocks(names):
            arrays = [
                _converted(values, field.type, f"column {field.name!r}", cells, table.file.name)
                for field, values in zip(wanted, cells.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=wanted)

    return Part(table.file.name, total, schema, read, untyped=True)


@dataclass
class _Cells:
    """Some rows of a file: the line each ends in, and its cells by column; None for an empty cell."""

    lines: list[int]
    columns: list[list[str | None]]


@dataclass(frozen=True)
class _Table:
    """A delimited file and how its cells are told apart."""

    file: TextFile
    delimiter: str
    quoting: bool
    batch_rows: int

    def names(self) -> list[str]:
        """The header's names; a nameless column is called by its position. None for an empty file."""
        with closing(self._rows()) as rows:
            _, header = next(rows, (0, []))
        names = [name.strip() or f"column_{at}" for at, name in enumerate(header, 1)]
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise InvalidInputError(
                f"{self.file.name}: the column name {repeated[0]!r} stands twice; rename one of them"
            )
        return names

    def blocks(self, names: Sequence[str]) -> Generator[_Cells, None, None]:
        """The rows below the header. Raises InvalidInputError for one that has not as many cells as the header."""
        lines: list[int] = []
        rows: list[list[str]] = []
        chars = 0
        with closing(self._rows()) as numbered:
            next(numbered, None)
            for line, row in numbered:
                if len(row) != len(names):
                    raise InvalidInputError(
                        f"{self.file.name}, line {line}: {len(row)} cells where the header has {len(names)} "
                        f"(separated by {self.delimiter!r}); quote cells that hold the separator"
                    )
                lines.append(line)
                rows.append(row)
                chars += sum(map(len, row))
                if len(rows) == self.batch_rows or chars >= MAX_BATCH_CHARS:
                    yield _cells(lines, rows)
                    lines, rows, chars = [], [], 0
        if rows:
            yield _cells(lines, rows)

    def _rows(self) -> Generator[tuple[int, list[str]], None, None]:
        """Rows with the number of the line each ends in; blank lines are none."""
        if csv.field_size_limit() < MAX_TEXT:
            csv.field_size_limit(MAX_TEXT)  # a setting of the whole process; it is only ever raised
        with self.file.open() as text:
            lines = self.file.lines(text)
            reader = (
                csv.reader(lines, delimiter=self.delimiter, strict=True)
                if self.quoting
                else csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
            )
            started = 1
            try:
                for row in reader:
                    if row:
                        yield reader.line_num, row
                    started = reader.line_num + 1
            except csv.Error as error:
                raise InvalidInputError(
                    f"{self.file.name}, in the row that starts in line {started}: {error}; a quote inside a cell is doubled, "
                    f"every opened one is closed, and a cell has at most {MAX_TEXT:,} characters"
                ) from error


def _cells(lines: list[int], rows: list[list[str]]) -> _Cells:
    return _Cells(lines, [[cell or None for cell in column] for column in zip(*rows, strict=True)])


@dataclass(frozen=True)
class _Candidate:
    """A type that a column may turn out to be, and the one way its cells are written."""

    type: pa.DataType
    pattern: str | None = None


_DAY, _TIME = r"\d{4}-\d{2}-\d{2}", r"\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?"
_INT = _Candidate(pa.int64(), r"^(0|-?[1-9]\d{0,18})$")
# At most 15 digits before the point: a double holds every integer of so many digits, and not every longer one.
_FLOAT = _Candidate(pa.float64(), r"^-?((0|[1-9]\d{0,14})(\.\d*)?|\.\d+)([eE][+-]?[12]?\d{1,2})?$")
_JSON = _Candidate(pa.list_(pa.float64()), r"^\s*\[(?s:.*)\]\s*$")
_CANDIDATES = [
    _INT,
    _FLOAT,
    _Candidate(pa.bool_(), r"^(true|True|TRUE|false|False|FALSE)$"),
    _Candidate(pa.date32(), f"^{_DAY}$"),
    _Candidate(pa.timestamp("us"), f"^{_DAY}[T ]{_TIME}$"),
    _Candidate(pa.timestamp("us", "UTC"), rf"^{_DAY}[T ]{_TIME}(Z|[+-]\d{{2}}:?\d{{2}})$"),
]
_MISSING = pa.array(["NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None"])


class _Column:
    """Which types a column of text can still have, having seen its cells so far."""

    def __init__(
        self, candidates: Sequence[_Candidate], markers: bool = True, stated: bool = False
    ) -> None:
        self.candidates = list(candidates)
        self.markers = markers
        self.stated = stated
        self.has_text = False  # any cell that is not empty
        self.has_value = False  # any that is not a marker either

    def see(self, values: Sequence[str | None], name: str, cells: _Cells, file: str) -> None:
        if self.stated:
            _converted(values, self.candidates[0].type, name, cells, file)
            return
        if self.has_text and not self.candidates:
            return
        array = pa.array(values, pa.large_string()).drop_null()
        self.has_text = self.has_text or len(array) > 0
        if self.markers:
            array = array.filter(pc.invert(pc.is_in(array, _MISSING)))
        self.has_value = self.has_value or len(array) > 0
        self.candidates = [
            candidate for candidate in self.candidates if _is_written_as(array, candidate)
        ]

    def type(self) -> pa.DataType:
        if self.stated:
            return self.candidates[0].type
        if not self.has_text:
            return pa.null() if self.candidates else pa.string()
        return self.candidates[0].type if self.candidates and self.has_value else pa.string()


def _is_written_as(array: pa.Array, candidate: _Candidate) -> bool:
    if not pc.all(pc.match_substring_regex(array, candidate.pattern), min_count=0).as_py():
        return False
    if candidate is _JSON:
        return True
    try:
        array.cast(candidate.type)
    except pa.ArrowInvalid:  # the 30th of February, or an integer beyond 64 bits
        return False
    return True


def _converted(
    values: Sequence[str | None], kind: pa.DataType, name: str, cells: _Cells, file: str
) -> pa.Array:
    """Cells as that type. Raises InvalidInputError naming the line of one that is not."""
    try:
        return _cast(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        for line, value in zip(cells.lines, values, strict=True):
            try:
                _cast([value], kind)
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                shown = value if value is None or len(value) <= 40 else value[:40] + "…"
                raise InvalidInputError(
                    f"{file}, line {line}, {name}: {shown!r} is no {_in_words(kind)}"
                ) from error
        raise


def _cast(values: Sequence[str | None], kind: pa.DataType) -> pa.Array:
    if pa.types.is_null(kind):
        return pa.nulls(len(values))
    if pa.types.is_nested(kind):
        return pa.array([None if value is None else json.loads(value) for value in values], kind)
    array = pa.array(values, pa.large_string())
    if not is_text(kind):
        array = pc.if_else(pc.is_in(array, _MISSING), pa.scalar(None, pa.large_string()), array)
    if pa.types.is_integer(kind) and not _is_written_as(array.drop_null(), _INT):
        raise ValueError("007 is not 7")
    return array.cast(kind)


def _in_words(kind: pa.DataType) -> str:
    return f"JSON text of {kind}, such as [0.1, 0.2]" if pa.types.is_nested(kind) else str(kind)
