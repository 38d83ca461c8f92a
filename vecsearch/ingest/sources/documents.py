"""Files of one document each, alone or in folders -> rows of `id` and text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Located, Part, SourceFile, blocks_of
from vecsearch.ingest.sources.reading import Place
from vecsearch.ingest.sources.registry import DOCUMENTS, TABLES, suffix_of


def folder_part(file: SourceFile) -> Part:
    """Every document below the folder; `id` is its path from the folder, with slashes.

    The documents come in the order of their ids. Hidden files and folders (a name that begins with
    a dot) are left out. Links to folders are followed, and each real folder is read once. Empty
    documents and files of other kinds are left out and counted in the report.

    Raises:
        InvalidInputError: The folder has no document, or cannot be read.
    """
    folder = file.path
    found: list[tuple[str, Path]] = []
    others: set[str] = set()
    for path in _files(folder):
        suffix = suffix_of(path)
        if suffix in DOCUMENTS:
            found.append((path.relative_to(folder).as_posix(), path))
        else:
            others.add(suffix)
            file.reading.note_unread(suffix or path.name)
    if not found:
        tables = sorted(others & set(TABLES))
        advice = f"; it has {tables[0]} files: give them as a list of paths" if tables else ""
        kinds = " or ".join(DOCUMENTS)
        raise InvalidInputError(f"the folder {str(folder)!r} holds no {kinds} file{advice}")
    name = f"{folder.name or folder}/"
    return documents_part(replace(file, name=name), sorted(found), in_folder=True)


def documents_part(
    file: SourceFile, documents: Sequence[tuple[str, Path]], *, in_folder: bool = False
) -> Part:
    """Documents, each with its id."""
    schema = pa.schema(
        [(file.reading.id_column, pa.string()), (file.text_column, pa.large_string())]
    )

    def texts() -> Iterator[tuple[str, str, str]]:
        """The name, id and text of each document."""
        for document_id, path in documents:
            name = str(path) if in_folder else file.name
            try:
                require_unicode(document_id, file.name)
                text = DOCUMENTS[suffix_of(path)](replace(file, path=path, name=name))
            except InvalidInputError as error:
                file.reading.fail(error, Place(name))
                continue
            if in_folder and not text.strip():
                file.reading.note_empty(document_id)
            else:
                yield name, document_id, text

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks_of(texts(), file.batch_rows, lambda row: len(row[2])):
            names, ids, contents = zip(*block, strict=True)
            yield Located(pa.record_batch([ids, contents], schema=schema), names)

    return Part(file.name, len(documents), schema, read)


def require_unicode(document_id: str, name: str) -> None:
    """Raises InvalidInputError for the name of a file that cannot be stored as text."""
    if any("\ud800" <= letter <= "\udfff" for letter in document_id):
        raise InvalidInputError(
            f"{name}: the file name {document_id!r} is not valid Unicode; rename the file"
        )


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
