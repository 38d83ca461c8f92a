"""Which function reads which kind of file, by suffix. See `vecsearch.ingest.sources` on adding one.

The text files among them may be gzipped (.csv.gz).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vecsearch.ingest.sources.arrow_files import read_arrow, read_parquet
from vecsearch.ingest.sources.base import Part, SourceFile
from vecsearch.ingest.sources.csv import read_csv
from vecsearch.ingest.sources.document import Reader
from vecsearch.ingest.sources.ebook import read_epub
from vecsearch.ingest.sources.h5ad import read_h5ad
from vecsearch.ingest.sources.json_files import read_json
from vecsearch.ingest.sources.jsonl import read_jsonl
from vecsearch.ingest.sources.mail import read_eml, read_mbox
from vecsearch.ingest.sources.markup import read_html
from vecsearch.ingest.sources.office import read_docx, read_pptx
from vecsearch.ingest.sources.pdf import read_pdf
from vecsearch.ingest.sources.sequences import read_fasta, read_fastq
from vecsearch.ingest.sources.spreadsheets import read_xlsx
from vecsearch.ingest.sources.structures import read_structure
from vecsearch.ingest.sources.texts import (
    read_markdown,
    read_notebook,
    read_subtitles,
    read_text,
)
from vecsearch.ingest.sources.vectors import read_faiss, read_hdf5, read_npy

# Files of rows: each is a table.
TABLES: dict[str, Callable[[SourceFile], Part]] = {
    ".parquet": read_parquet,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".json": read_json,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".xlsx": read_xlsx,
    ".npy": read_npy,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".faiss": read_faiss,
    ".index": read_faiss,
    ".h5ad": read_h5ad,
    **dict.fromkeys((".fasta", ".fa", ".fna", ".ffn", ".faa", ".frn"), read_fasta),
    **dict.fromkeys((".fastq", ".fq"), read_fastq),
    **dict.fromkeys((".pdb", ".ent", ".cif", ".mmcif"), read_structure),
}
# Files of which a part can be named: cells.h5ad::X.
WITH_PARTS = (".h5", ".hdf5", ".h5ad", ".csv", ".tsv", ".pdb", ".ent", ".cif", ".mmcif")
INSIDE = "::"
# Source code: text that is split at functions and classes.
CODE = tuple(
    ".py .pyi .js .mjs .cjs .jsx .ts .tsx .vue .svelte .java .kt .kts .scala .groovy .c .h .cc "
    ".cpp .cxx .hh .hpp .hxx .m .mm .cs .fs .go .rs .swift .zig .nim .dart .rb .php .pl .pm .lua "
    ".r .jl .ex .exs .erl .hs .ml .clj .el .sh .bash .zsh .ps1 .sql".split()
)
# Files of documents, which may also be given as a folder.
DOCUMENTS: dict[str, Reader] = {
    ".txt": read_text,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".rst": read_markdown,
    ".adoc": read_markdown,
    ".tex": read_text,
    ".org": read_text,
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
    ".pdf": read_pdf,
    ".docx": read_docx,
    ".pptx": read_pptx,
    ".epub": read_epub,
    ".eml": read_eml,
    ".mbox": read_mbox,
    ".ipynb": read_notebook,
    ".srt": read_subtitles,
    ".vtt": read_subtitles,
    **dict.fromkeys(CODE, read_text),
}
PICTURES = tuple(".png .jpg .jpeg .gif .webp .bmp .tif .tiff".split())
ARCHIVES = tuple(".zip .tar .tgz .gz .bz2 .xz .zst .7z .rar".split())
# Those of DOCUMENTS that hold several: their number is known only when they are read.
MANY = (".mbox",)


def suffixes() -> tuple[str, ...]:
    """The suffixes of all files that can be read."""
    return (*TABLES, *DOCUMENTS)


def main_suffixes() -> tuple[str, ...]:
    """The same without those of source code, which are many."""
    return tuple(suffix for suffix in suffixes() if suffix not in CODE)


def split_inside(path: Path) -> tuple[Path, str | None]:
    """`vectors.h5::train` -> the file and the part of it, which is None for other paths."""
    file, mark, inside = str(path).rpartition(INSIDE)
    named = bool(mark) and suffix_of(Path(file)) in WITH_PARTS
    return (Path(file), inside) if named else (path, None)


def suffix_of(path: Path) -> str:
    """The suffix that tells the kind of file, in lower case and without .gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix
