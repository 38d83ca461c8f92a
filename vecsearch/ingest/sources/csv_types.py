"""Find the type of a CSV column from all of its cells, and convert cells to it.

A column is an integer (or number, bool, date, time) only if each of its cells is one, written as it
would be written out again. "007", "+86" and numbers with more digits than a type holds are text, as
is everything mixed, except days among moments, which are midnights. An empty cell is null. NA, NaN,
null, None and #N/A are null in a column that otherwise is not text; in a text column they are text.
A column of nothing else has no type until its first value comes.
Where several files are read together, all their cells decide.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.json_arrays import from_json, is_binary
from vecsearch.common.json_column import as_json, is_json
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.plain import is_text
from vecsearch.storage.schema import MARKED
from vecsearch.types import BEIR_ID, VECTOR

Cell = str | None


@dataclass(frozen=True)
class Candidate:
    """A type that a column may turn out to have, and the one way in which its cells are written."""

    type: pa.DataType
    pattern: str | None = None


# 2024-03-05, and as people write it: 2024/3/5, 2024-3-5, 2024年3月5日.
_DAY = r"\d{4}(-\d{1,2}-\d{1,2}|/\d{1,2}/\d{1,2}|年\d{1,2}月\d{1,2}日)"
_TIME = r"\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?"
_MOMENT = rf"({_DAY}[T ]|\d{{4}}年\d{{1,2}}月\d{{1,2}}日){_TIME}"
_INT = Candidate(pa.int64(), r"^(0|-?[1-9]\d{0,18})$")
_WHOLE = r"^(0|-?[1-9]\d*)$"  # of any size: its type says how large it may be
_NUMBER = r"((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)"
_FLOAT = Candidate(pa.float64(), rf"^-?({_NUMBER}([eE][+-]?[0-9]+)?|(?i:inf|infinity))$")
# Digits before the point that a float of so many bits holds, whatever they are.
_SAFE_DIGITS = {16: 3, 32: 7, 64: 15}
_BOOL = Candidate(pa.bool_(), r"^(true|True|TRUE|false|False|FALSE)$")
_JSON = Candidate(pa.list_(pa.float64()), r"^\s*\[(?s:.*)\]\s*$")
_CANDIDATES = [
    _INT,
    _FLOAT,
    _BOOL,
    Candidate(pa.date32(), f"^{_DAY}$"),
    # Days among moments are their midnights, as where a column of days becomes wider.
    Candidate(pa.timestamp("us"), f"^({_DAY}|{_MOMENT})$"),
    Candidate(pa.timestamp("us", "UTC"), rf"^{_MOMENT}(Z|[+-]\d{{2}}:?\d{{2}})$"),
]
_MISSING = ["NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None"]
_CONVERSION_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)


@dataclass
class Cells:
    """Some rows of a file.

    Attributes:
        file: The file's name, for messages.
        lines: The line that each row ends in.
        columns: The cells by column; None for an empty cell, "" for an empty one in quotes.
    """

    file: str
    lines: list[int]
    columns: list[list[Cell]]

    def converted(self, number: int, field: pa.Field) -> pa.Array:
        """A column as that field's type.

        Raises:
            InvalidInputError: A cell is not of that type; the message names its line.
        """
        try:
            return _cast(self.columns[number], field.type)
        except _CONVERSION_ERRORS:
            for _, error in self.faults(number, field):
                raise error from None
            raise

    def faults(self, number: int, field: pa.Field) -> Iterator[tuple[int, InvalidInputError]]:
        """The rows whose cell in a column is not of that field's type, with the error of each."""
        values = self.columns[number]
        try:
            _cast(values, field.type)
        except _CONVERSION_ERRORS:
            for row, value in enumerate(values):
                try:
                    _cast([value], field.type)
                except _CONVERSION_ERRORS:
                    shown = value if value is None or len(value) <= 40 else value[:40] + "…"
                    yield (
                        row,
                        InvalidInputError(
                            f"{self.file}, line {self.lines[row]}, column {field.name!r}: "
                            f"{shown!r} is not {_in_words(field.type)}",
                            hint=f"start with create(..., schema={{{field.name!r}: 'string'}})",
                            command_hint=f"start with --schema {field.name}:string",
                        ),
                    )

    def without(self, rows: Container[int]) -> Cells:
        """The same cells without some rows."""
        kept = [row for row in range(len(self.lines)) if row not in rows]
        columns = [[column[row] for row in kept] for column in self.columns]
        return Cells(self.file, [self.lines[row] for row in kept], columns)


class ColumnType:
    """The type of one column, narrowed down cell by cell.

    The id is an integer only if all ids are, and the text column is always text.

    Args:
        name: The column.
        id_column: The name of the id column.
        text_column: The name of the text column.
        known: The types of columns that are known already; a cell that does not fit is an error.
    """

    def __init__(
        self, name: str, id_column: str, text_column: str, known: pa.Schema | None
    ) -> None:
        self.name = name
        self.known: pa.Field | None = None
        if known is not None and name in known.names:
            field = known.field(name)
            self.known = None if pa.types.is_null(field.type) else field
        self.wider = [] if self.known is None or name == id_column else _wider(self.known.type)
        candidates = {
            BEIR_ID: [_INT],
            VECTOR: [_JSON],
            text_column: [],
            id_column: [_INT],
        }.get(name, _CANDIDATES)
        self.candidates: list[Candidate] = list(candidates)
        self.allows_markers = name not in (
            id_column,
            BEIR_ID,
        )  # NA and the like stand for a missing value
        self.has_text = False  # any cell that is not empty, or is "" in quotes
        self.has_value = False  # any cell that is not a marker either

    def see(self, cells: Cells, number: int) -> None:
        """Look at a column of some rows.

        Raises:
            InvalidInputError: A cell does not fit the known type.
        """
        if self.known is not None:
            self._see_known(cells, number, self.known)
            return
        if self.has_text and not self.candidates:
            return
        array = pa.array(cells.columns[number], pa.large_string()).drop_null()
        self.has_text = self.has_text or len(array) > 0
        markers = ["", *(_MISSING if self.allows_markers else ())]
        array = array.filter(pc.invert(pc.is_in(array, pa.array(markers))))
        self.has_value = self.has_value or len(array) > 0
        self.candidates = [
            candidate for candidate in self.candidates if _is_written_as(array, candidate)
        ]

    def takes(self, cells: Cells, number: int) -> bool:
        """Whether the cells are of the known type, or of a wider one that the column takes then."""
        try:
            self.see(cells, number)
        except InvalidInputError:
            return False
        return True

    def _see_known(self, cells: Cells, number: int, known: pa.Field) -> None:
        """Let the column become wider where a cell asks for it, as one file with all rows would."""
        try:
            cells.converted(number, known)
        except InvalidInputError:
            for kind in self.wider:
                try:
                    cells.converted(number, known.with_type(kind))
                except InvalidInputError:
                    continue
                self.known = known.with_type(kind)
                return
            raise

    def field(self) -> pa.Field:
        """The column with the type that all cells have.

        It is null where every cell is empty or a marker such as NA: the first value that comes
        later decides.
        """
        if self.known is not None:
            return pa.field(self.name, self.known.type)
        if not self.candidates:
            return pa.field(self.name, pa.string())
        if self.has_value:
            return pa.field(self.name, self.candidates[0].type)
        return pa.field(self.name, pa.null(), metadata=MARKED if self.has_text else None)


class DateColumn:
    """Whether all texts of a column are dates or times, seen block by block."""

    def __init__(self) -> None:
        self.candidates = [each for each in _CANDIDATES if pa.types.is_temporal(each.type)]
        self.has_value = False

    def see(self, texts: Sequence[object]) -> None:
        """Look at some values; those that are None are left out."""
        if not self.candidates or all(text is None for text in texts):
            return
        if not all(text is None or isinstance(text, str) for text in texts):
            self.candidates = []
            return
        self.has_value = True
        try:
            array = pa.array(texts, pa.large_string()).drop_null()
        except UnicodeEncodeError:  # half a character, which the reader of rows refuses
            self.candidates = []
            return
        self.candidates = [each for each in self.candidates if _is_written_as(array, each)]

    def type(self) -> pa.DataType | None:
        """The type of the dates; None if the column is no column of dates."""
        return self.candidates[0].type if self.candidates and self.has_value else None


def _wider(kind: pa.DataType) -> list[pa.DataType]:
    """The types that a column of a collection becomes if its cells are of no narrower one."""
    if pa.types.is_integer(kind):
        return [pa.int64(), pa.float64()]
    if pa.types.is_date32(kind):
        return [pa.timestamp("us")]
    return [pa.float64()] if pa.types.is_floating(kind) else []


def _require_exact(texts: pa.Array, floats: pa.Array) -> None:
    """Raises ValueError if a float is not the number that its cell writes, so far as it can be.

    Leading zeros and a plus make a code, not a number. A number beyond the range of floats is none,
    and one with many digits before the point must be a float's exactly.
    """
    more = _SAFE_DIGITS[floats.type.bit_width] - 1
    plain = rf"^-?((0|[1-9]\d{{0,{more}}})(\.\d*)?|\.\d+)$"
    if not _all_match(texts, _FLOAT.pattern):
        raise ValueError("a number has no leading zeros and no plus")
    unsure = pc.invert(pc.match_substring_regex(texts, plain)).fill_null(False)
    pairs = zip(texts.filter(unsure).to_pylist(), floats.filter(unsure).to_pylist(), strict=True)
    for text, value in pairs:
        if math.isinf(value) and "inf" not in text.lower():
            raise ValueError("a number is beyond the range of floats")
        mantissa, _, exponent = text.lower().partition("e")
        if text.lstrip("-").isdigit() and not -(2**63) <= int(text) < 2**63:
            raise ValueError("an integer beyond 64 bits does not become a float")
        if value == 0 and mantissa.strip("-0."):
            raise ValueError("a number is too close to zero for a float")
        if not exponent and math.isfinite(value) and Decimal(mantissa) != Decimal(value):
            raise ValueError("a float does not hold this number")


def _all_match(texts: pa.Array, pattern: str | None) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py())


def _is_written_as(array: pa.Array, candidate: Candidate) -> bool:
    if not _all_match(array, candidate.pattern):
        return False
    if candidate is _JSON:
        return True
    try:
        converted = iso_dates(array, candidate.type).cast(candidate.type)
        if candidate is _FLOAT:
            _require_exact(array, converted)
    except ValueError:  # the 30th of February, or a number beyond 64 bits
        return False
    return True


def cell_value(text: str, kind: pa.DataType) -> pa.Scalar:
    """The value of a cell as that type. Raises ValueError or one of Arrow's errors for another."""
    return _cast([text], kind)[0]


def _cast(values: Sequence[Cell], kind: pa.DataType) -> pa.Array:
    if pa.types.is_null(kind):
        return pa.nulls(len(values))
    if not is_text(kind) and not is_binary(kind):
        values = [None if value == "" else value for value in values]
    if pa.types.is_nested(kind):
        parsed = [None if value is None else json.loads(value) for value in values]
        return from_json(parsed, kind)
    if is_binary(kind):
        return from_json(list(values), kind)
    array = pa.array(values, pa.large_string())
    if is_json(kind):
        return as_json(array)
    if not is_text(kind):
        array = pc.if_else(
            pc.is_in(array, pa.array(_MISSING)), pa.scalar(None, pa.large_string()), array
        )
    whole = pa.types.is_integer(kind) or pa.types.is_duration(kind)
    if whole and not _all_match(array.drop_null(), _WHOLE):
        raise ValueError("an integer with a sign or leading zeros is not written out the same")
    if pa.types.is_duration(kind):
        return array.cast(pa.int64()).cast(kind)
    if pa.types.is_time(kind):
        return from_json(array.to_pylist(), kind)
    if pa.types.is_boolean(kind) and not _is_written_as(array.drop_null(), _BOOL):
        raise ValueError("a boolean is written true or false")
    converted = iso_dates(array, kind).cast(kind)
    if pa.types.is_floating(kind):
        _require_exact(array, converted)
    return converted


def iso_dates(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Dates as people write them, such as 2024/3/5, as Arrow reads them: 2024-03-05.

    Texts for a type that is no date are returned as they are.
    """
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        return texts
    for pattern, replacement in (
        (r"^(\d{4}年\d{1,2}月\d{1,2}日)[T ]*(\d)", r"\1 \2"),
        (r"^(\d{4})[-/年](\d{1,2})[-/月](\d{1,2})日?", r"\1-0\2-0\3"),
        (r"^(\d{4})-0?(\d{2})-0?(\d{2})", r"\1-\2-\3"),
        (r"^([-\d]{10})[T ]*(\d):", r"\1 0\2:"),
    ):
        texts = pc.replace_substring_regex(texts, pattern=pattern, replacement=replacement)
    return texts


def _in_words(kind: pa.DataType) -> str:
    if is_json(kind):
        return 'JSON, such as {"lang": "en"} or "text"'
    if pa.types.is_nested(kind):
        return f"JSON text of {kind}, such as [0.1, 0.2]"
    if is_binary(kind):
        return f"base64 of {kind}"
    return f"{'an' if str(kind)[0] in 'aeio' else 'a'} {kind}"
