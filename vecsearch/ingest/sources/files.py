"""A path -> the part of a source that reads it."""

from __future__ import annotations

from dataclasses import replace

from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Part, SourceFile
from vecsearch.ingest.sources.documents import documents_part, folder_part
from vecsearch.ingest.sources.registry import DOCUMENTS, TABLES, suffix_of, suffixes
from vecsearch.ingest.sources.vectors import split_inside


def path_part(file: SourceFile) -> Part:
    """One file or folder.

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
    if suffix in TABLES:
        return TABLES[suffix](replace(file, path=path, inside=inside))
    if suffix in DOCUMENTS:
        return documents_part(replace(file, path=path), [(path.name, path)])
    advice = "; JSON is read one object per line, as .jsonl" if suffix == ".json" else ""
    raise InvalidInputError(
        f"{file.name} is of an unknown kind; known are {', '.join(suffixes())}, and folders of "
        f"{' and '.join(DOCUMENTS)}{advice}"
    )
