"""Which function reads which kind of file, by suffix. See `vecsearch.ingest.sources` on adding one.

The text files among them may be gzipped (.csv.gz).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vecsearch.ingest.sources.arrow_files import read_arrow, read_parquet
from vecsearch.ingest.sources.base import Part, SourceFile
from vecsearch.ingest.sources.csv import read_csv
from vecsearch.ingest.sources.encoding import TextFile
from vecsearch.ingest.sources.jsonl import read_jsonl
from vecsearch.ingest.sources.vectors import read_faiss, read_hdf5, read_npy


def read_text(file: SourceFile) -> str:
    """The text of a file, without a byte order mark."""
    return TextFile.find(file.path, file.name, file.reading).read()


# Files of rows: each is a table.
TABLES: dict[str, Callable[[SourceFile], Part]] = {
    ".parquet": read_parquet,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".npy": read_npy,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".faiss": read_faiss,
    ".index": read_faiss,
}
# Files of one document each, which may also be given as a folder: file -> text.
DOCUMENTS: dict[str, Callable[[SourceFile], str]] = {
    ".txt": read_text,
    ".md": read_text,
}


def suffixes() -> tuple[str, ...]:
    """The suffixes of all files that can be read."""
    return (*TABLES, *DOCUMENTS)


def suffix_of(path: Path) -> str:
    """The suffix that tells the kind of file, in lower case and without .gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix
