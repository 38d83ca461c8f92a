"""Files of one document each, alone or in folders -> rows of `id` and text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part, blocks_of
from vecsearch.ingest.sources.registry import DOCUMENTS, TABLES, suffix_of
from vecsearch.types import ID


def folder_part(folder: Path, batch_rows: int, text_column: str) -> Part:
    """Every document below the folder; `id` is its path from the folder, with slashes.

    The documents come in the order of their ids. Hidden files and folders (a name that begins with
    a dot) are left out. Links to folders are followed, and each real folder is read once.

    Raises:
        InvalidInputError: The folder has no document, or cannot be read.
    """
    found = sorted(
        (path.relative_to(folder).as_posix(), path)
        for path in _files(folder)
        if suffix_of(path) in DOCUMENTS
    )
    if not found:
        others = sorted({suffix_of(path) for path in _files(folder)} & set(TABLES))
        advice = f"; it has {others[0]} files: give them as a list of paths" if others else ""
        kinds = " or ".join(DOCUMENTS)
        raise InvalidInputError(f"the folder {str(folder)!r} holds no {kinds} file{advice}")
    return documents_part(f"{folder.name or folder}/", found, batch_rows, text_column)


def documents_part(
    name: str, documents: Sequence[tuple[str, Path]], batch_rows: int, text_column: str
) -> Part:
    """Documents, each with its id."""
    schema = pa.schema([(ID, pa.string()), (text_column, pa.large_string())])
    for document_id, _ in documents:
        if any("\ud800" <= letter <= "\udfff" for letter in document_id):
            raise InvalidInputError(
                f"{name}: the file name {document_id!r} is not valid Unicode; rename the file"
            )

    def read(wanted: pa.Schema) -> Batches:
        rows = (
            (document_id, DOCUMENTS[suffix_of(path)](path, str(path)))
            for document_id, path in documents
        )
        for block in blocks_of(rows, batch_rows, lambda row: len(row[1])):
            yield pa.record_batch(list(zip(*block, strict=True)), schema=schema)

    return Part(name, len(documents), schema, read)


def _files(folder: Path) -> Iterator[Path]:
    """All files below the folder. Real folders come before linked ones, so that a new link does
    not change the paths of files that were found without it."""
    seen: set[str] = set()
    starts = [folder]
    for start in starts:  # grows on the way
        for base, folders, files in os.walk(start, onerror=_unreadable):
            real = os.path.realpath(base)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            starts += [path for name in folders if (path := Path(base, name)).is_symlink()]
            yield from (Path(base, name) for name in files if not name.startswith("."))


def _unreadable(error: OSError) -> None:
    raise InvalidInputError(
        f"the folder {error.filename!r} cannot be read: {error.strerror}"
    ) from error
