"""What a file of documents is read as, and how much it may hold."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vecsearch.errors import InvalidInputError, VecsearchError
from vecsearch.ingest.sources.base import SourceFile
from vecsearch.ingest.sources.encoding import MAX_TEXT, open_binary

EXTRA = "documents"  # the extra of vecsearch that installs what readers need
MAX_UNPACKED = 512 * 2**20  # bytes that all files inside an office file or an e-book may have
MAX_PART = 32 * 2**20  # bytes of the largest one that is parsed; that takes about 50 times as many
MAX_RATIO = 500  # times that it may be larger than what it was packed into


@dataclass(frozen=True)
class Document:
    """One document of a file.

    Attributes:
        text: All of its text.
        title: What it calls itself; None where it does not.
        key: What tells it from other documents of the file; "" for the only one.
        info: What is known of a picture.
    """

    text: str
    title: str | None = None
    key: str = ""
    info: None = None


Reader = Callable[[SourceFile], Iterable[Document]]


def documents_of(reader: Reader, file: SourceFile) -> Iterator[Document]:
    """The documents of a file; any error of a library that reads it becomes InvalidInputError.

    Raises:
        InvalidInputError: The file is damaged, encrypted or too large; the message names it.
        MissingExtraError: A package that reads this kind of file is not installed.
    """
    with damage_named(file):
        for document in reader(file):
            if len(document.text) > MAX_TEXT:
                raise InvalidInputError(
                    f"{file.name} has more than {MAX_TEXT:,} characters, too many for one "
                    "document: split it"
                )
            yield document


@contextmanager
def damage_named(file: SourceFile) -> Iterator[None]:
    """Turns any error of a library that reads a file into InvalidInputError.

    Raises:
        InvalidInputError: The file is damaged or cannot be read; the message names it.
    """
    try:
        yield
    except VecsearchError:
        raise
    except OSError as error:
        raise InvalidInputError(f"{file.name} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # libraries raise anything for files that are damaged
        kind = "".join(Path(file.path.name.lower().removesuffix(".gz")).suffix)
        reason = str(error) or type(error).__name__
        raise InvalidInputError(
            f"{file.name} is damaged, or is no {kind} file: {reason}"
        ) from error


def digest_of(file: SourceFile) -> str:
    """The BLAKE2b digest (16 bytes, hexadecimal) of the bytes of a file, as they are packed.

    Raises:
        InvalidInputError: The file cannot be read.
    """
    found = hashlib.blake2b(digest_size=16)
    try:
        with file.path.open("rb") as opened:
            while block := opened.read(2**20):
                found.update(block)
    except OSError as error:
        raise InvalidInputError(f"{file.name} cannot be read: {error.strerror or error}") from error
    return found.hexdigest()


def address_of(path: Path) -> str:
    """The absolute path of a file as a text; what is not Unicode in it is replaced."""
    return os.fsencode(path.absolute()).decode("utf-8", "replace")


def open_zip(file: SourceFile, max_part: int | None = None) -> zipfile.ZipFile:
    """A file that is a ZIP archive inside, if it is not larger unpacked than it may be.

    Args:
        file: The file.
        max_part: The bytes of the largest part that is parsed; None for MAX_PART.

    Raises:
        InvalidInputError: It is no archive, is encrypted, or would take too much memory.
    """
    try:
        archive = zipfile.ZipFile(file.path)
    except zipfile.BadZipFile as error:
        with open_binary(file.path, file.name) as opened:
            head = opened.read(8)
        if head == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
            raise InvalidInputError(
                f"{file.name} is encrypted, or is of the old format of Office: save it again"
            ) from error
        raise InvalidInputError(f"{file.name} is damaged: {error}") from error
    try:
        _refuse_large(archive, file, MAX_PART if max_part is None else max_part)
    except BaseException:
        archive.close()
        raise
    return archive


def _refuse_large(archive: zipfile.ZipFile, file: SourceFile, max_part: int) -> None:
    """Raises InvalidInputError for an archive that is encrypted or unpacks to too much."""
    total = 0
    for item in archive.infolist():
        total += item.file_size
        is_parsed = item.filename.lower().endswith((".xml", ".rels", ".xhtml", ".html", ".htm"))
        packed = max(item.compress_size, 2**12)
        if item.flag_bits & 1:
            raise InvalidInputError(f"{file.name} is encrypted")
        if (
            total > MAX_UNPACKED
            or (is_parsed and item.file_size > max_part)
            or (item.file_size > 2**24 and item.file_size > MAX_RATIO * packed)
        ):
            raise InvalidInputError(
                f"{file.name} unpacks to too much ({item.filename!r} to {item.file_size:,} bytes)"
            )
        if is_parsed and not item.filename.lower().endswith((".xhtml", ".html", ".htm")):
            _refuse_entities(archive, item, file.name)


def _refuse_entities(archive: zipfile.ZipFile, item: zipfile.ZipInfo, name: str) -> None:
    """Raises InvalidInputError for XML that declares entities, which may stand for endless text."""
    with archive.open(item) as part:
        head = part.read(2**16)
    if b"<!ENTITY" in head.replace(b"\0", b""):
        raise InvalidInputError(f"{name} declares XML entities in {item.filename!r}: refused")
