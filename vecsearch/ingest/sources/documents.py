"""Files of documents, alone or in folders -> rows of `id`, text, and what is known of the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.deadline import check_time
from vecsearch.common.pictures import PictureInfo, picture_info
from vecsearch.errors import InvalidInputError, MissingExtraError
from vecsearch.ingest.sources.base import (
    Batches,
    Located,
    Part,
    SourceFile,
    blocks_of,
    conform,
    unified,
)
from vecsearch.ingest.sources.document import Document, address_of, digest_of, documents_of
from vecsearch.ingest.sources.encoding import open_binary
from vecsearch.ingest.sources.folder import files_to_read, is_collection
from vecsearch.ingest.sources.plain import is_text
from vecsearch.ingest.sources.reading import Place
from vecsearch.ingest.sources.registry import (
    DOCUMENTS,
    MANY,
    PICTURES,
    TABLES,
    suffix_of,
)
from vecsearch.types import (
    DIGEST,
    FOLDER,
    HEIGHT,
    MODIFIED,
    SOURCE,
    TAKEN_AT,
    THUMBNAIL,
    TITLE,
    VECTOR,
    WIDTH,
)

# What is known of a file, and what a collection stores of it beside its text.
FILE_COLUMNS = pa.schema(
    [
        (TITLE, pa.large_string()),
        (MODIFIED, pa.timestamp("us", "UTC")),
        (SOURCE, pa.large_string()),
        (DIGEST, pa.large_string()),
    ]
)
# And of a picture's, beside these.
PICTURE_COLUMNS = pa.schema(
    [
        (FOLDER, pa.large_string()),
        (TAKEN_AT, pa.timestamp("us")),
        (WIDTH, pa.int32()),
        (HEIGHT, pa.int32()),
        (THUMBNAIL, pa.large_binary()),
    ]
)

TAKEN = "the collection has a document with this id that did not come from the folder"


@dataclass(frozen=True)
class FileToRead:
    """A file, and what its rows say of it.

    Attributes:
        file: The file.
        key: What the ids of its documents begin with: its path from the folder, or its name.
        source: Where it is, for the column `source`.
    """

    file: SourceFile
    key: str
    source: str

    def columns(
        self, digest: str, title: str | None = None, info: PictureInfo | None = None
    ) -> dict[str, object]:
        """The values of FILE_COLUMNS, and of a picture those of PICTURE_COLUMNS."""
        modified = self.file.path.stat().st_mtime_ns // 1000
        known: dict[str, object] = {
            TITLE: title,
            MODIFIED: modified,
            SOURCE: self.source,
            DIGEST: digest,
        }
        if info is None:
            return known
        return known | {
            FOLDER: self.key.rpartition("/")[0] or None,
            TAKEN_AT: info.taken,
            WIDTH: info.width,
            HEIGHT: info.height,
            THUMBNAIL: info.thumbnail,
        }


class _Row(NamedTuple):
    name: str
    id: str
    text: str | bytes
    about: dict[str, object]


def folder_part(file: SourceFile) -> Part:
    """Every document and every table below the folder; ids begin with the path from the folder.

    The documents come in the order of their ids, then the rows of tables that have the text
    column: their ids are `path#` and their own id, or their number from 1. Links to folders are
    followed, and each real folder is read once. What is left out is noted in the report: hidden,
    excluded, empty, large and damaged files, and files of other kinds.

    Raises:
        InvalidInputError: The folder has no file that is read, or cannot be read itself.
    """
    folder = file.path
    if is_collection(folder):
        raise InvalidInputError(
            f"{str(folder)!r} is a collection, not data",
            hint="its `export` writes a file that `add` reads",
            command_hint="`vecsearch export` writes its rows into a file, which ingest reads",
        )
    found = files_to_read(folder, file.reading)
    if not found:
        if not any(folder.iterdir()):
            raise InvalidInputError(f"the folder {str(folder)!r} is empty")
        skipped = file.reading.report().one_line()
        kind = "picture" if file.reading.pictures else "file that is read"
        raise InvalidInputError(
            f"the folder {str(folder)!r} holds no {kind}" + f" ({skipped})" * bool(skipped)
        )
    name = f"{folder.name or folder}/"
    root = address_of(folder)
    files = [
        FileToRead(replace(file, path=path, name=str(path)), key, f"{root}/{key}")
        for key, path in found
    ]
    documents = [each for each in files if suffix_of(each.file.path) not in TABLES]
    parts = [documents_part(replace(file, name=name), documents, in_folder=True)]
    for each in files:
        if suffix_of(each.file.path) in TABLES:
            parts += _table_parts(each, parts)
    if len(parts) == 1:
        return parts[0]
    schema = unified(parts)

    def read(wanted: pa.Schema) -> Batches:
        for part in parts:
            own = pa.schema([wanted.field(column) for column in part.schema.names])
            for item in part.read(own):
                assert isinstance(item, Located)
                yield replace(item, batch=conform(item.batch, schema, part.name))

    return Part(name, None, schema, read, untyped=any(part.untyped for part in parts))


def documents_part(
    file: SourceFile, files: Sequence[FileToRead], *, in_folder: bool = False
) -> Part:
    """The documents of files. In a folder, those that cannot be read are skipped and noted."""
    reading = file.reading
    columns = [*FILE_COLUMNS, *(PICTURE_COLUMNS if reading.pictures else ())]
    kept = [field for field in columns if _may_have(file, field.name)]
    kind = pa.large_binary() if reading.pictures else pa.large_string()
    schema = pa.schema([(reading.id_column, pa.large_string()), (file.text_column, kind), *kept])

    def rows() -> Iterator[_Row]:
        for each in files:
            name = each.file.name if in_folder else file.name
            try:
                check_time()
                require_unicode(each.key, name)
                digest = digest_of(each.file)
                if _is_unchanged(each, digest):
                    continue
                if in_folder and not each.file.path.stat().st_size:
                    reading.note_empty(each.key)
                    reading.files[each.source] = digest
                    continue
                written = 0
                for document in _documents(each.file):
                    written += 1
                    if in_folder and not document.text.strip():
                        reading.note_empty(each.key)
                        continue
                    key = f"{each.key}#{document.key}" if document.key else each.key
                    if key in reading.taken:
                        reading.note_skipped(key, TAKEN)
                        continue
                    about = each.columns(digest, document.title, document.info)
                    yield _Row(name, key, document.text, about)
                if in_folder and not written:
                    reading.note_empty(each.key)
                reading.files[each.source] = digest
            except (InvalidInputError, MissingExtraError) as error:
                _skip(each, error, in_folder)

    def read(wanted: pa.Schema) -> Batches:
        for block in blocks_of(rows(), file.batch_rows, lambda row: len(row.text)):
            first = [[row.id for row in block], [row.text for row in block]]
            arrays = [
                pa.array(values, field.type) for values, field in zip(first, schema, strict=False)
            ]
            arrays += [pa.array([row.about[f.name] for row in block], f.type) for f in kept]
            yield Located(
                pa.RecordBatch.from_arrays(arrays, schema=schema), [row.name for row in block]
            )

    is_counted = not any(suffix_of(each.file.path) in MANY for each in files)
    return Part(file.name, len(files) if is_counted else None, schema, read)


def named_file(file: SourceFile, key: str | None = None, source: str | None = None) -> FileToRead:
    """A file that was given by itself."""
    return FileToRead(file, key or file.path.name, source or address_of(file.path))


class _Picture(NamedTuple):
    text: bytes
    info: PictureInfo
    title: None = None
    key: str = ""


def _documents(file: SourceFile) -> Iterator[Document | _Picture]:
    suffix = suffix_of(file.path)
    if suffix in PICTURES:
        with open_binary(file.path, file.name) as opened:
            content = opened.read()
        try:
            info = picture_info(content)
        except (OSError, SyntaxError, ValueError) as error:
            reason = str(error).partition(" <_io.")[0]  # an object of no meaning to users
            raise InvalidInputError(f"{file.name} is no picture, or damaged: {reason}") from error
        yield _Picture(content, info)
    else:
        yield from documents_of(DOCUMENTS[suffix], file)


def _table_parts(each: FileToRead, before: Sequence[Part]) -> list[Part]:
    """The part that reads a table of a folder; none if it is the same as before, or is no table of
    texts whose columns fit those of the others."""
    file, reading = each.file, each.file.reading
    try:
        require_unicode(each.key, file.name)
        digest = digest_of(file)
        if _is_unchanged(each, digest):
            return []
        if not file.path.stat().st_size:
            reading.note_empty(each.key)
            return []
        part = TABLES[suffix_of(file.path)](file)
        _require_texts(part, file)
        part = _in_folder(part, each, digest)
        unified([*before, part])
    except (InvalidInputError, MissingExtraError) as error:
        _skip(each, error, True)
        return []
    return [part]


def _require_texts(part: Part, file: SourceFile) -> None:
    """Raises InvalidInputError for a table that has no place among documents."""
    names = part.schema.names
    if file.text_column not in names:
        has = f"; it has {', '.join(names[:8])}" if names else ""
        raise InvalidInputError(f"{file.name} has no column {file.text_column!r} of texts{has}")
    if not is_text(part.schema.field(file.text_column).type) and not part.untyped:
        kind = part.schema.field(file.text_column).type
        raise InvalidInputError(f"{file.name}: its column {file.text_column!r} is {kind}, not text")
    if VECTOR in names:
        raise InvalidInputError(f"{file.name} has vectors of its own: give it by itself")
    for name in (MODIFIED, SOURCE, DIGEST):
        if name in names:
            raise InvalidInputError(
                f"{file.name} has a column {name!r}, which the rows of a folder have themselves: "
                "rename it, or give the file by itself"
            )
    columns = file.reading.columns
    for name in names:
        if columns is not None and name not in columns and name != file.reading.id_column:
            raise InvalidInputError(
                f"{file.name} has a column {name!r}, which is not in the collection"
            )


def _in_folder(part: Part, each: FileToRead, digest: str) -> Part:
    """The rows of a table with ids and columns of a folder's documents."""
    file = each.file
    id_column = file.reading.id_column
    own = [field for field in part.schema if field.name != id_column]
    kept = [
        field
        for field in FILE_COLUMNS
        if _may_have(file, field.name) and field.name not in part.schema.names
    ]
    schema = pa.schema([(id_column, pa.large_string()), *own, *kept])
    about = each.columns(digest)

    def batches(wanted: pa.Schema, note: bool) -> Batches:
        seen: set[object] = set()
        done = 0
        inner = pa.schema([f if f.name == id_column else wanted.field(f.name) for f in part.schema])
        for item in part.read(inner):
            batch = item.batch if isinstance(item, Located) else item
            rows = range(done, done + batch.num_rows)
            done += batch.num_rows
            keys: list[object] = [row + 1 for row in rows]
            if id_column in batch.schema.names:
                keys = batch.column(id_column).to_pylist()
                _require_unique(keys, seen, file.name)
            texts = batch.column(file.text_column)
            blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0).fill_null(True)
            names = [f"{each.key}#{key}" for key in keys]
            is_blank = blank.to_pylist()
            kept_rows = [
                row
                for row, name in enumerate(names)
                if not is_blank[row] and name not in file.reading.taken
            ]
            for row in sorted({*range(batch.num_rows)} - {*kept_rows}) if note else ():
                if is_blank[row]:
                    file.reading.note_empty(names[row])
                else:
                    file.reading.note_skipped(names[row], TAKEN)
            batch = batch.take(pa.array(kept_rows, pa.int64()))
            ids = pa.array([names[row] for row in kept_rows], pa.large_string())
            arrays = [ids, *(batch.column(field.name) for field in own)]
            arrays += [pa.array([about[f.name]] * len(kept_rows), f.type) for f in kept]
            fields = [schema.field(0), *(batch.schema.field(field.name) for field in own), *kept]
            places = [f"{file.name}, row {rows[row]}" for row in kept_rows]
            if kept_rows:
                yield Located(pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)), places)

    def read(wanted: pa.Schema) -> Batches:
        try:
            if not file.reading.skips:
                for _ in batches(wanted, False):  # a table that is damaged adds no row at all
                    pass
            yield from batches(wanted, True)
        except InvalidInputError as error:
            _skip(each, error, True)
        else:
            file.reading.files[each.source] = digest

    return Part(file.name, None, schema, read, untyped=part.untyped)


def _require_unique(keys: Sequence[object], seen: set[object], name: str) -> None:
    """Raises InvalidInputError for ids of a table that are missing or repeat."""
    for key in keys:
        if key is None or key in seen:
            fault = "is missing" if key is None else "is twice in it"
            raise InvalidInputError(f"{name}: the id {key!r} {fault}")
        seen.add(key)


def _may_have(file: SourceFile, name: str) -> bool:
    """Whether the rows of a file have this column of FILE_COLUMNS."""
    reading = file.reading
    is_taken = name in (reading.id_column, file.text_column)
    return not is_taken and (reading.columns is None or name in reading.columns)


def _is_unchanged(each: FileToRead, digest: str) -> bool:
    """Whether the collection has the file as it is; it is noted then."""
    reading = each.file.reading
    stored, count = reading.stored.get(each.source, ("", 0))
    if stored != digest:
        return False
    reading.files[each.source] = digest
    reading.unchanged += count
    return True


def _skip(each: FileToRead, error: InvalidInputError | MissingExtraError, in_folder: bool) -> None:
    """Note a file that cannot be read; raise if it was given by itself."""
    reading = each.file.reading
    reading.files[each.source] = None
    if in_folder:
        reason = error.message.removeprefix(each.file.name).lstrip(" ,:")
        reading.note_skipped(each.key, reason)
    elif isinstance(error, InvalidInputError):
        reading.fail(error, Place(each.file.name))
    else:
        raise error


def require_unicode(document_id: str, name: str) -> None:
    """Raises InvalidInputError for the name of a file that cannot be stored as text."""
    if any("\ud800" <= letter <= "\udfff" for letter in document_id):
        raise InvalidInputError(
            f"{name!r}: the file name {document_id!r} is not valid Unicode; rename the file"
        )
