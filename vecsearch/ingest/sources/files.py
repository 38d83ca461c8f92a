"""A path -> the part of a source that reads it."""

from __future__ import annotations

from dataclasses import replace

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Part, SourceFile
from vecsearch.ingest.sources.documents import documents_part, folder_part, named_file
from vecsearch.ingest.sources.matrix_files import read_matrix
from vecsearch.ingest.sources.registry import (
    DOCUMENTS,
    PICTURES,
    TABLES,
    main_suffixes,
    split_inside,
    suffix_of,
)


def path_part(file: SourceFile, key: str | None = None, source: str | None = None) -> Part:
    """One file or folder.

    Args:
        file: The file or folder.
        key: The id of its document; None for its name.
        source: Where it is, for the column `source`; None for its path.

    Raises:
        FileNotFoundError: There is no such file or folder.
        InvalidInputError: It is of no known kind, or damaged; the message names it.
    """
    path, inside = split_inside(file.path)
    try:
        is_folder, is_file, exists = path.is_dir(), path.is_file(), path.exists()
    except (OSError, ValueError):  # too long a name, or a NUL in it
        is_folder = is_file = exists = False
    if not exists:
        raise FileNotFoundError(path)
    if is_folder:
        return folder_part(replace(file, path=path))
    if not is_file:
        raise InvalidInputError(
            f"{file.name} is a pipe or a device; files are read twice, so save it as a file"
        )
    suffix = suffix_of(path)
    if inside is not None and suffix in (".csv", ".tsv"):
        return read_matrix(replace(file, path=path, inside=inside))
    if suffix in TABLES:
        return TABLES[suffix](replace(file, path=path, inside=inside))
    if suffix in DOCUMENTS or (suffix in PICTURES and file.reading.pictures):
        file = replace(file, path=path)
        return documents_part(file, [named_file(file, key, source)])
    if suffix in PICTURES:
        raise InvalidInputError(
            f"{file.name} is a picture, and the model of the collection reads texts"
        )
    raise InvalidInputError(
        f"{file.name} is of an unknown kind; known are {', '.join(main_suffixes())}, source code, "
        "and folders of these"
    )
