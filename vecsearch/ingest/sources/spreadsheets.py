"""Excel workbooks: each sheet with a line of headings is a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from vecsearch.common.optional import require
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Located, Part, SourceFile
from vecsearch.ingest.sources.dicts import rows_part
from vecsearch.ingest.sources.document import EXTRA, damage_named, open_zip
from vecsearch.ingest.sources.encoding import refuse_gzip
from vecsearch.ingest.sources.reading import Reading
from vecsearch.ingest.sources.values import unmixed

MAX_SHEET = 256 * 2**20  # bytes of a sheet, which is read row by row
MAX_CELLS = 20_000_000  # of a workbook, empty ones between others included


def read_xlsx(file: SourceFile) -> Part:
    """The rows of all sheets that have the columns of the first; the first line names them.

    Where a workbook has a sheet with the text column, sheets without it are left out. Where sheets
    share ids, an id is `Sheet/id`. A column of numbers and texts is text. Formulas count as the
    values that were saved with them.
    """
    refuse_gzip(file.path, file.name, "unpack it")
    openpyxl = require("openpyxl", "openpyxl", EXTRA, "Reading Excel files")
    with damage_named(file):
        open_zip(file, MAX_SHEET).close()
        book = openpyxl.load_workbook(file.path, read_only=True, data_only=True)
        try:
            sheets = dict(_sheets(book, file.name))
        finally:
            book.close()
    rows: list[dict[str, Any]] = []
    places: list[str] = []
    with_text = [
        name for name, found in sheets.items() if any(file.text_column in r for r in found)
    ]
    _qualify_ids(sheets, with_text, file.reading.id_column)
    for name in with_text or sheets:
        rows += sheets[name]
        places += [f"{file.name}, sheet {name!r}"] * len(sheets[name])
    unmixed(rows)
    if not rows:
        empty = pa.schema([])
        return Part(file.name, 0, empty, lambda wanted: iter(()))
    part = rows_part(rows, file.name, file.batch_rows, file.known, Reading())
    if len(sheets) == 1:
        return part

    def read(wanted: pa.Schema) -> Batches:
        done = 0
        for item in part.read(wanted):
            batch = item.batch if isinstance(item, Located) else item
            yield Located(batch, places[done : done + batch.num_rows])
            done += batch.num_rows

    return Part(file.name, len(rows), part.schema, read)


def _qualify_ids(
    sheets: dict[str, list[dict[str, Any]]], names: Sequence[str], id_column: str
) -> None:
    """Put the sheet before each id (`Sheet/id`) where sheets number their rows alike."""
    found = [{row.get(id_column) for row in sheets[name]} - {None} for name in names]
    if sum(map(len, found)) == len(set().union(*found)):
        return
    for name in names:
        for row in sheets[name]:
            if row.get(id_column) is not None:
                row[id_column] = f"{name}/{row[id_column]}"


def _sheets(book: Any, name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The rows of each sheet, by its name."""
    cells = 0
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what the file says of its size may be anything
        heads: list[str | None] | None = None
        rows: list[dict[str, Any]] = []
        for values in sheet.iter_rows(values_only=True):
            cells += len(values) + 1
            if cells > MAX_CELLS:
                raise InvalidInputError(
                    f"{name} has more than {MAX_CELLS:,} cells: save it as CSV or Parquet"
                )
            if all(value is None for value in values):
                continue
            if heads is None:
                heads = [None if value is None else str(value).strip() for value in values]
                continue
            rows.append(
                {
                    head: _plain(value)
                    for head, value in zip(heads, values, strict=False)
                    if head is not None
                }
            )
        if rows:
            yield sheet.title, rows


def _plain(value: Any) -> Any:
    if isinstance(value, (str, bool, int, float, dt.datetime, dt.date, dt.time, dt.timedelta)):
        return value
    return None if value is None else str(value)
