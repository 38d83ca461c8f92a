"""Data of any kind -> a stream of Arrow record batches.

How to add a kind of file:

1. Write one module here with one function.
   A file of rows: `read_x(file: SourceFile) -> Part`, as in jsonl.py. It raises InvalidInputError
   that names `file.name` and the line or row, and holds no more than a batch in memory.
   A file of documents: `read_x(file: SourceFile) -> Iterator[Document]`, as in office.py. Whatever
   a library raises for a damaged file becomes an InvalidInputError by itself.
2. Add one line per suffix to TABLES or DOCUMENTS in registry.py. Such files are then found in
   folders, too.
3. Import an optional package inside the function, by `common.optional.require`.
4. Add a file of that kind, and a damaged one, to tests/ingest.

Modules: kinds.py (which kind is it?), files.py (paths), web.py (addresses, standard input),
folder.py (which files of a folder?), ignore.py and patterns.py (those left out), documents.py
(files of documents, alone and in folders), document.py (what one is), texts.py, markup.py (HTML),
pdf.py, office.py, ebook.py, mail.py, csv.py, csv_types.py, json_files.py, jsonl.py,
spreadsheets.py, arrow_files.py, vectors.py, h5ad.py, matrix_files.py, sequences.py, structures.py,
memory.py (tables, texts, matrices), frames.py, huggingface.py, ray_data.py, dicts.py, row_types.py
and values.py (rows of Python values), encoding.py (text files), reading.py (options, places and the
report), base.py (parts -> one stream), plain.py (Arrow types).
"""

from __future__ import annotations

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Source, source_of, with_beir_id
from vecsearch.ingest.sources.kinds import Opener
from vecsearch.ingest.sources.reading import (
    Place,
    Places,
    Reading,
    reading_options,
    takes_pictures,
)
from vecsearch.types import BEIR_ID, ID

__all__ = [
    "Place",
    "Places",
    "Reading",
    "Source",
    "open_source",
    "reading_options",
    "takes_pictures",
]


def open_source(
    data: object,
    *,
    batch_rows: int = 4096,
    text_column: str = "text",
    schema: pa.Schema | None = None,
    reading: Reading | None = None,
) -> Source:
    """Open data of any kind as record batches of one schema; memory is bounded by a batch.

    `data` may be

    - a pyarrow Table, RecordBatch, RecordBatchReader, or anything with the Arrow C stream interface
    - a pandas.DataFrame (a named index is a column), a polars.DataFrame or LazyFrame
    - a list or iterator of dicts; all of a list is read for its types, of an iterator the first
      batch decides
    - a list or iterator of str: documents, which become the column `text_column`
    - a matrix of vectors (rows, dim), also a sparse one of scipy, an AnnData, a torch tensor, a
      torch.nn.Embedding, or a list or iterator of 1-D arrays, which become the column `vector`
    - a FAISS or hnswlib index: its ids become the column `id`, its vectors the column `vector`
    - one path, or a list of paths of mixed kinds: tables (.parquet, .csv, .tsv, .json, .jsonl,
      .ndjson, .arrow, .feather, .xlsx), documents (.txt, .md, .html, .pdf, .docx, source code, and
      others of `registry.DOCUMENTS`; columns `id`, `text_column`, `title`, `modified`, `source`
      and `digest`), those of text also as .gz; a folder of these, where `id` is the path from the
      folder; and of given vectors .npy, .h5 or .hdf5 (`file.h5::name` for one data set of several),
      .faiss or .index; of cells .h5ad (`cells.h5ad::X` for one matrix of several) and tables of
      numbers (`counts.csv::rows`, `::columns`); of sequences .fasta and .fastq, of structures .pdb
      and .cif. CSV and JSON lines are read once before the first batch, so that types hold
      for the whole file
    - an address, http:// or https://, of such a file

    A str alone is a path, never a text. A Path is always a path. A list of str is a list of texts,
    unless every one names an existing file of a known kind; where some do, or all look as if they
    did, it is an error that says how to be explicit.

    Args:
        data: See above.
        batch_rows: The most rows in a batch.
        text_column: The column that texts go to.
        schema: The types of columns that are known already, such as those of a collection. CSV
            cells are read as these types, and a column of dicts or JSON lines with nothing but None
            has its type from there.
        reading: What to do about errors, and how text files are written; None for the defaults.

    Returns:
        The stream, which can be read once.

    Raises:
        InvalidInputError: Here or while the batches are read. The message names the file and line,
            or the row (from 0) and column.

    Example:
        >>> from vecsearch.ingest.sources import open_source
        >>> source = open_source([{"id": 1, "text": "one"}, {"id": 2, "text": "two"}])
        >>> [batch.num_rows for batch in source.batches], source.total
        ([2], 2)
    """
    if batch_rows < 1:
        raise InvalidInputError(f"batch_rows is {batch_rows}; it must be at least 1")
    reading = reading or Reading()
    if reading.beir_id and schema is not None and ID in schema.names:
        schema = schema.append(schema.field(ID).with_name(BEIR_ID))
    parts = Opener(batch_rows, text_column, schema, reading).parts(data)
    if reading.beir_id:
        parts = [with_beir_id(part) for part in parts]
    name = parts[0].name if len(parts) == 1 else f"{len(parts)} files" if parts else "an empty list"
    return source_of(parts, name, batch_rows, reading)
