"""CSV and TSV files -> record batches.

A file is read twice: once as a whole to find the columns' types (csv_types.py), once to convert.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import (
    Batches,
    Located,
    Part,
    SourceFile,
    blocks_of,
    require_unique,
)
from vecsearch.ingest.sources.csv_quotes import MARK, QUOTED, QuotedEmpty
from vecsearch.ingest.sources.csv_types import Cells, ColumnType
from vecsearch.ingest.sources.encoding import MAX_TEXT, TextFile
from vecsearch.ingest.sources.reading import CsvOptions, Place, Reading
from vecsearch.types import counted

SNIFFED = 100  # lines that tell what separates the cells


def read_csv(file: SourceFile) -> Part:
    """A .csv or .tsv file.

    Cells of CSV may be quoted. A TSV file in which quotes do not pair up is read without quoting.
    The separator is found from the first rows unless `CsvOptions.delimiter` names it.

    Raises:
        InvalidInputError: A cell does not fit the known type of its column, a row has more or fewer
            cells than the header, a column name is used twice, or there is a stray quote or a NUL
            character. The message names file and line.
    """
    text = TextFile.find(file.path, file.name, file.reading)
    options = file.reading.csv
    is_tsv = file.name.lower().removesuffix(".gz").endswith(".tsv")
    delimiter, first = options.delimiter, 1
    if delimiter is None:
        delimiter, first = ("\t", 1) if is_tsv else _dialect(text, options)
    table = _Table(text, delimiter, options.quote != "", file.batch_rows, file.reading, first)
    try:
        return _part(table, file)
    except InvalidInputError:
        if not is_tsv or options.quote is not None:
            raise
        try:
            return _part(replace(table, quoting=False), file)
        except InvalidInputError:
            pass  # report what was wrong when quotes were read as quotes
        raise


def _dialect(file: TextFile, options: CsvOptions) -> tuple[str, int]:
    """What separates the cells, and the line of the header.

    A first line "sep=;" says it, as Excel writes it. Otherwise it is the mark of `,;tab|` that
    gives the most of the first rows as many cells as the header, the first of them if several do.
    """
    with file.open() as text:
        lines = list(islice(file.lines(text), SNIFFED))
    said = re.match("(?i)sep=(.)\\s*$", lines[0]) if lines else None
    if said:
        return said[1], 2
    if options.comment:
        lines = [line for line in lines if not line.startswith(options.comment)]
    best, best_share = ",", 0.0
    for mark in ",;\t|":
        rows = _lenient_rows(lines, mark, options.quote)
        widths = [len(row) for row in rows if row]
        if widths and widths[0] > 1:
            share = widths.count(widths[0]) / len(widths)
            if share > best_share:
                best, best_share = mark, share
    return best, 1


def _lenient_rows(lines: list[str], delimiter: str, quote: str | None) -> list[list[str]]:
    _allow_long_cells()
    if quote == "":
        return list(csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE))
    return list(csv.reader(lines, delimiter=delimiter, quotechar=quote or '"'))


def _part(table: _Table, file: SourceFile) -> Part:
    names = table.names()
    special = (file.reading.id_column, file.text_column)
    columns = [ColumnType(name, *special, file.known) for name in names]
    total = 0
    for cells in table.blocks(names, noting=True):
        cells = _fitting(cells, columns, file.reading)
        total += len(cells.lines)
        for number, column in enumerate(columns):
            if column.known is None:  # the others were seen above
                column.see(cells, number)
    schema = pa.schema([column.field() for column in columns])

    def read(wanted: pa.Schema) -> Batches:
        for cells in table.blocks(names, noting=False):
            if file.reading.skips:  # otherwise the first pass found that all fit
                cells = _fitting(cells, columns, None)
            arrays = [cells.converted(number, field) for number, field in enumerate(wanted)]
            yield Located(pa.RecordBatch.from_arrays(arrays, schema=wanted), cells.lines)

    return Part(table.file.name, total, schema, read, untyped=True)


def _fitting(cells: Cells, columns: Sequence[ColumnType], noting: Reading | None) -> Cells:
    """The rows whose cells fit the known types; `noting` is told of the others.

    Raises:
        InvalidInputError: A cell does not fit, and the reading does not skip.
    """
    faults: dict[int, InvalidInputError] = {}
    for number, column in enumerate(columns):
        if column.known is not None and not column.takes(cells, number):
            for row, error in cells.faults(number, column.known):
                faults.setdefault(row, error)
    if not faults:
        return cells
    for row in sorted(faults):
        if noting is not None:
            noting.fail(faults[row], Place(cells.file, line=cells.lines[row]))
    return cells.without(faults)


@dataclass(frozen=True)
class _Table:
    """A file and how its cells are separated."""

    file: TextFile
    delimiter: str
    quoting: bool
    batch_rows: int
    reading: Reading
    first_line: int

    def names(self) -> list[str]:
        """The header's names; a nameless column is called by its position."""
        with closing(self._rows(noting=False)) as rows:
            _, header = next(rows, (0, []))
        names = [name.strip() or f"column_{number}" for number, name in enumerate(header, 1)]
        require_unique(names, self.file.name)
        return names

    def blocks(self, names: Sequence[str], *, noting: bool) -> Generator[Cells, None, None]:
        """The rows below the header, in blocks of bounded size.

        `noting` adds what is left out to the report; it is true in one pass over the file.
        """
        null = {"", *(self.reading.csv.null or ())}
        # "" in quotes is an empty text, as PostgreSQL and Polars read it.
        kept = None if "" in (self.reading.csv.null or ()) else QUOTED
        with closing(self._rows(noting=noting)) as numbered:
            next(numbered, None)
            checked = self._checked(numbered, len(names), noting)
            for block in blocks_of(checked, self.batch_rows, lambda row: sum(map(len, row[1]))):
                cells = zip(*(row for _, row in block), strict=True)
                columns = [
                    [cell if cell not in null or cell is kept else None for cell in column]
                    for column in cells
                ]
                yield Cells(self.file.name, [line for line, _ in block], columns)

    def _checked(
        self, numbered: Iterable[tuple[int, list[str]]], width: int, noting: bool
    ) -> Iterator[tuple[int, list[str]]]:
        """The rows. Raises InvalidInputError for one with another number of cells."""
        for line, row in numbered:
            if len(row) == width:
                yield line, row
                continue
            error = InvalidInputError(
                f"{self.file.name}, line {line}: {counted(len(row), 'cell')} where the header "
                f"has {width} "
                f"(separated by {self.delimiter!r}); quote cells that contain the separator",
                hint='csv={"delimiter": ...} names another separator',
                command_hint="--delimiter names another separator",
            )
            self._leave_out(error, line, noting)

    def _leave_out(self, error: InvalidInputError, line: int, noting: bool) -> None:
        if noting or not self.reading.skips:
            self.reading.fail(error, Place(self.file.name, line=line))

    def _rows(self, *, noting: bool) -> Generator[tuple[int, list[str]], None, None]:
        """Rows with the number of the line that each ends in; blank lines are left out."""
        _allow_long_cells()
        options = self.reading.csv
        with self.file.open() as text:
            lines = _Lines(self.file.lines(text), options.comment)
            if self.quoting:
                lines.marks = QuotedEmpty(self.delimiter, options.quote or '"')
            for _ in range(1, self.first_line):
                next(lines, None)
            if self.quoting:
                quote = options.quote or '"'
                reader = csv.reader(lines, delimiter=self.delimiter, quotechar=quote, strict=True)
            else:
                reader = csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
            while True:
                first_line = self.first_line + reader.line_num
                lines.in_row = lines.is_marked = False
                try:
                    row = next(reader, None)
                except csv.Error as error:
                    problem = InvalidInputError(
                        f"{self.file.name}, in the row that starts in line {first_line}: {error}; "
                        "a quote inside a cell is doubled, every opened quote is closed, and a "
                        f"cell has at most {counted(MAX_TEXT, 'character')}"
                    )
                    problem.__cause__ = error
                    self._leave_out(problem, first_line, noting)
                    continue
                if row is None:
                    return
                if lines.is_marked:
                    row = [QUOTED if cell == MARK else cell for cell in row]
                if row:
                    yield self.first_line - 1 + reader.line_num, row


class _Lines:
    """The lines of a file; those with a comment, outside of rows of several lines, are blank."""

    def __init__(self, lines: Iterator[str], comment: str | None) -> None:
        self.lines = lines
        self.comment = comment
        self.marks: QuotedEmpty | None = None
        self.in_row = False
        self.is_marked = False  # whether the row has an empty cell in quotes

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        if self.comment and not self.in_row and line.startswith(self.comment):
            return "\n"
        if self.marks is not None:
            marked = self.marks.marked(line, self.in_row)
            self.is_marked = self.is_marked or marked is not line
            line = marked
        self.in_row = True
        return line


def _allow_long_cells() -> None:
    """Let Python's csv module read cells of MAX_TEXT characters; its default is 131,072.

    The module has one limit for the whole process and none per reader. It is only ever raised, and
    never set back, as readers in other threads may rely on it.
    """
    if csv.field_size_limit() < MAX_TEXT:
        csv.field_size_limit(MAX_TEXT)
