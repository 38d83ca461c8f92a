"""CSV and TSV files -> record batches.

A file is read twice: once as a whole to find the columns' types (csv_types.py), once to convert.
"""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part, SourceFile, blocks_of, require_unique
from vecsearch.ingest.sources.csv_types import Cells, ColumnType
from vecsearch.ingest.sources.encoding import MAX_TEXT, TextFile


def read_csv(file: SourceFile) -> Part:
    """A .csv or .tsv file.

    Cells of CSV may be quoted. A TSV file in which quotes do not pair up is read without quoting.
    If a CSV file's header has no comma but semicolons or tabs, these separate its cells.

    Raises:
        InvalidInputError: A cell does not fit the known type of its column, a row has more or fewer
            cells than the header, a column name is used twice, or there is a stray quote or a NUL
            character. The message names file and line.
    """
    text = TextFile.find(file.path, file.name)
    is_tsv = file.name.lower().removesuffix(".gz").endswith(".tsv")
    delimiter = "\t" if is_tsv else _delimiter(text)
    try:
        return _part(_Table(text, delimiter, True, file.batch_rows), file)
    except InvalidInputError:
        if not is_tsv:
            raise
        try:
            return _part(_Table(text, delimiter, False, file.batch_rows), file)
        except InvalidInputError:
            pass  # report what was wrong when quotes were read as quotes
        raise


def _delimiter(file: TextFile) -> str:
    with file.open() as text:
        header = next(file.lines(text), "")
    return next((mark for mark in ",;\t" if mark in header), ",")


def _part(table: _Table, file: SourceFile) -> Part:
    names = table.names()
    columns = [ColumnType(name, file.text_column, file.known) for name in names]
    total = 0
    for cells in table.blocks(names):
        total += len(cells.lines)
        for number, column in enumerate(columns):
            column.see(cells, number)
    schema = pa.schema([(name, column.type()) for name, column in zip(names, columns, strict=True)])

    def read(wanted: pa.Schema) -> Batches:
        for cells in table.blocks(names):
            arrays = [cells.converted(number, field) for number, field in enumerate(wanted)]
            yield pa.RecordBatch.from_arrays(arrays, schema=wanted)

    return Part(table.file.name, total, schema, read, untyped=True)


@dataclass(frozen=True)
class _Table:
    """A file and how its cells are separated."""

    file: TextFile
    delimiter: str
    quoting: bool
    batch_rows: int

    def names(self) -> list[str]:
        """The header's names; a nameless column is called by its position."""
        with closing(self._rows()) as rows:
            _, header = next(rows, (0, []))
        names = [name.strip() or f"column_{number}" for number, name in enumerate(header, 1)]
        require_unique(names, self.file.name)
        return names

    def blocks(self, names: Sequence[str]) -> Generator[Cells, None, None]:
        """The rows below the header, in blocks of bounded size."""
        with closing(self._rows()) as numbered:
            next(numbered, None)
            checked = self._checked(numbered, len(names))
            for block in blocks_of(checked, self.batch_rows, lambda row: sum(map(len, row[1]))):
                cells = zip(*(row for _, row in block), strict=True)
                columns = [[cell or None for cell in column] for column in cells]
                yield Cells(self.file.name, [line for line, _ in block], columns)

    def _checked(
        self, numbered: Iterable[tuple[int, list[str]]], width: int
    ) -> Iterator[tuple[int, list[str]]]:
        """The rows. Raises InvalidInputError for one with another number of cells."""
        for line, row in numbered:
            if len(row) != width:
                raise InvalidInputError(
                    f"{self.file.name}, line {line}: {len(row)} cells where the header has {width} "
                    f"(separated by {self.delimiter!r}); quote cells that contain the separator"
                )
            yield line, row

    def _rows(self) -> Generator[tuple[int, list[str]], None, None]:
        """Rows with the number of the line that each ends in; blank lines are left out."""
        _allow_long_cells()
        with self.file.open() as text:
            lines = self.file.lines(text)
            if self.quoting:
                reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            else:
                reader = csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
            first_line = 1
            try:
                for row in reader:
                    if row:
                        yield reader.line_num, row
                    first_line = reader.line_num + 1
            except csv.Error as error:
                raise InvalidInputError(
                    f"{self.file.name}, in the row that starts in line {first_line}: {error}; a "
                    "quote inside a cell is doubled, every opened quote is closed, and a cell has "
                    f"at most {MAX_TEXT:,} characters"
                ) from error


def _allow_long_cells() -> None:
    """Let Python's csv module read cells of MAX_TEXT characters; its default is 131,072.

    The module has one limit for the whole process and none per reader. It is only ever raised, and
    never set back, as readers in other threads may rely on it.
    """
    if csv.field_size_limit() < MAX_TEXT:
        csv.field_size_limit(MAX_TEXT)
