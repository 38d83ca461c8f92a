"""DNA and proteins: FASTA and FASTQ files -> rows of `id`, the sequence, and the description.

Pearson and Lipman, "Improved tools for biological sequence comparison" (PNAS 1988); Cock et al.,
"The Sanger FASTQ file format" (Nucleic Acids Research 2010).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Located, Part, SourceFile, blocks_of
from vecsearch.ingest.sources.encoding import MAX_TEXT, open_binary
from vecsearch.ingest.sources.reading import Place

DESCRIPTION, QUALITY = "description", "quality"
_OFFSET = 33  # of the qualities' characters


class Record(NamedTuple):
    """A sequence: the line it begins at, its header, and its letters."""

    line: int
    id: str
    description: str | None
    letters: str
    quality: float | None = None


def read_fasta(file: SourceFile) -> Part:
    """A header is the id up to the first blank, and the description after it."""
    return _part(file, _fasta, [])


def read_fastq(file: SourceFile) -> Part:
    """Reads of four lines each; `quality` is the mean of a read's Phred scores."""
    return _part(file, _fastq, [pa.field(QUALITY, pa.float32())])


def _part(file: SourceFile, parse: object, more: list[pa.Field]) -> Part:
    fields = [
        pa.field(file.reading.id_column, pa.string()),
        pa.field(file.text_column, pa.large_string()),
        pa.field(DESCRIPTION, pa.string()),
        *more,
    ]
    schema = pa.schema(fields)
    if len(set(schema.names)) < len(schema.names):
        raise InvalidInputError(
            f"{file.name}: the columns of ids and texts cannot be called {DESCRIPTION!r} or "
            f"{QUALITY!r}, which hold other things"
        )

    def records() -> Iterator[Record]:
        with open_binary(file.path, file.name) as opened:
            lines = io.TextIOWrapper(opened, encoding="utf-8")
            try:
                yield from parse(lines, file)  # type: ignore[operator]
            except UnicodeDecodeError as error:
                raise InvalidInputError(f"{file.name} is not UTF-8: {error}") from error

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks_of(records(), file.batch_rows, lambda row: len(row.letters)):
            columns = [
                [row.id for row in block],
                [row.letters for row in block],
                [row.description for row in block],
                [row.quality for row in block],
            ]
            arrays = [
                pa.array(values, field.type) for values, field in zip(columns, schema, strict=False)
            ]
            batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            yield Located(batch, [row.line for row in block])

    return Part(file.name, None, schema, read)


def _header(text: str) -> tuple[str, str | None]:
    name, _, description = text.strip().partition(" ")
    return name, description.strip() or None


def _fault(file: SourceFile, line: int, reason: str) -> None:
    """Note a record that is wrong, or raise."""
    place = Place(file.name, line=line)
    file.reading.fail(InvalidInputError(f"{place}: {reason}"), place)


def _fasta(lines: io.TextIOWrapper, file: SourceFile) -> Iterator[Record]:
    start, header, parts, size = 0, "", [""], 0

    def record() -> Iterator[Record]:
        name, description = _header(header)
        letters = "".join(parts)
        if not name:
            _fault(file, start, "a header without a name: '>' is to be followed by the id")
        elif not letters:
            _fault(file, start, f"the sequence {name!r} is empty")
        elif size > MAX_TEXT:
            _fault(file, start, f"the sequence {name!r} has more than {MAX_TEXT:,} letters")
        else:
            yield Record(start, name, description, letters)

    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith(">"):
            if start:
                yield from record()
            start, header, parts, size = number, text[1:], [], 0
        elif text and not text.startswith(";"):
            if not start:
                raise InvalidInputError(
                    f"{file.name}, line {number}: a FASTA file begins with '>' and an id"
                )
            size += len(text)
            if size <= MAX_TEXT:
                parts.append("".join(text.split()))
    if start:
        yield from record()


def _fastq(lines: io.TextIOWrapper, file: SourceFile) -> Iterator[Record]:
    numbered = enumerate((line.rstrip("\r\n") for line in lines), 1)
    for number, line in numbered:
        if not line.strip():
            continue
        rest = [text for _, text in (next(numbered, (0, "")) for _ in range(3))]
        letters, plus, scores = rest
        name, description = _header(line[1:])
        if not line.startswith("@") or not plus.startswith("+"):
            raise InvalidInputError(
                f"{file.name}, line {number}: no read of four lines: '@' and an id, the letters, "
                "'+', the qualities"
            )
        if not name or not letters or len(letters) != len(scores):
            reason = f"{len(letters)} letters and {len(scores)} qualities" if name else "no id"
            _fault(file, number, f"a damaged read: {reason}")
            continue
        quality = sum(map(ord, scores)) / len(scores) - _OFFSET
        yield Record(number, name, description, letters, quality)
