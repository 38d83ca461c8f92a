"""Open text files in any of a few encodings, plain or gzipped, as a stream.

A file is UTF-8, with or without a byte order mark; UTF-16 or UTF-32 with one; or GB18030, which
includes GBK and GB2312. A file without a mark is UTF-8 if all of it decodes as UTF-8, else GB18030
if all of it decodes as that and it does not begin like UTF-8 that is damaged further on. Nothing is
guessed from a sample, and no character is replaced. A file in an old European encoding may pass for
GB18030: save such files as UTF-8.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, TextIO, cast

from vecsearch.errors import InvalidInputError

# The longest line, cell or document, in characters: a bound on memory for damaged or hostile files.
MAX_TEXT = 64 * 2**20
_BLOCK = 2**20
# This many valid multi-byte sequences cannot occur by chance in a file of another encoding.
_CLEARLY_UTF8 = 8
_MARKS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]


@contextmanager
def open_binary(path: Path, name: str) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed if its name ends in .gz.

    Raises:
        InvalidInputError: The file cannot be read, or is not a whole gzip file.
    """
    try:
        with cast(BinaryIO, gzip.open(path) if is_gzip(path) else path.open("rb")) as file:
            yield file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{name}: not a whole gzip file: {error}") from error
    except OSError as error:
        raise InvalidInputError(f"{name} cannot be read: {error.strerror or error}") from error


def is_gzip(path: Path) -> bool:
    """Whether a file is compressed, by its name."""
    return path.suffix.lower() == ".gz"


def refuse_gzip(path: Path, name: str, advice: str) -> None:
    """Raises InvalidInputError for a compressed file of a kind that is read at any position."""
    if is_gzip(path):
        kind = Path(path.stem).suffix
        raise InvalidInputError(f"{name}: a gzipped {kind} file cannot be read; {advice}")


def read_text(path: Path, name: str) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        InvalidInputError: The file cannot be read, is in no known encoding, or is too long.
    """
    return TextFile.find(path, name).read()


@dataclass(frozen=True)
class TextFile:
    """A text file whose encoding is known.

    Attributes:
        path: The file.
        name: What messages call it.
        encoding: A name that Python knows.
        state: Its size and time of change when the encoding was found.
    """

    path: Path
    name: str
    encoding: str
    state: tuple[int, int]

    @classmethod
    def find(cls, path: Path, name: str) -> TextFile:
        """Read the file once to find its encoding.

        Raises:
            InvalidInputError: The file is in no known encoding; the message names file and byte.
        """
        with open_binary(path, name) as file:
            state = _state(file)
            head = file.read(4)
        marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
        if marked is None:
            bad, letters = _first_bad_byte(path, name, "utf-8")
            if bad is None:
                return cls(path, name, "utf-8", state)
            if letters >= _CLEARLY_UTF8:
                raise InvalidInputError(
                    f"{name}: byte {bad} is not UTF-8, though the {letters} letters before it are; "
                    "the file is damaged there"
                )
            if _first_bad_byte(path, name, "gb18030")[0] is None:
                return cls(path, name, "gb18030", state)
            raise InvalidInputError(
                f"{name}: byte {bad} is neither UTF-8 nor GB18030; save the file as UTF-8"
            )
        encoding = marked.removesuffix("-sig")
        bad, _ = _first_bad_byte(path, name, encoding)
        if bad is not None:
            raise InvalidInputError(
                f"{name}: byte {bad} is not {encoding.upper()}, though the file begins with the "
                "byte order mark of it"
            )
        return cls(path, name, marked, state)

    @contextmanager
    def open(self) -> Iterator[TextIO]:
        """The decoded text, with its line ends as they are.

        Raises:
            InvalidInputError: The file changed since `find`.
        """
        with open_binary(self.path, self.name) as file:
            if _state(file) != self.state:
                raise InvalidInputError(
                    f"{self.name} changed while it was being read; add it again"
                )
            with io.TextIOWrapper(
                cast(IO[bytes], file), encoding=self.encoding, newline=""
            ) as text:
                yield text

    def lines(self, file: TextIO) -> Iterator[str]:
        """The lines with their ends.

        Raises:
            InvalidInputError: A line is too long or has a NUL; the message names the line.
        """
        for number, line in enumerate(iter(partial(file.readline, MAX_TEXT), ""), 1):
            if len(line) == MAX_TEXT:
                raise InvalidInputError(
                    f"{self.name}, line {number} is longer than {MAX_TEXT:,} characters"
                )
            if "\0" in line:
                raise InvalidInputError(
                    f"{self.name}, line {number} has a NUL character; {_NOT_TEXT}"
                )
            yield line

    def read(self) -> str:
        """All of the text.

        Raises:
            InvalidInputError: It is longer than a document may be, or has a NUL.
        """
        with self.open() as file:
            text = file.read(MAX_TEXT + 1)
        if len(text) > MAX_TEXT:
            raise InvalidInputError(
                f"{self.name} is longer than {MAX_TEXT:,} characters, too long for one document: "
                "split it"
            )
        if "\0" in text:
            raise InvalidInputError(
                f"{self.name} has a NUL character at position {text.index(chr(0))}; {_NOT_TEXT}"
            )
        return text


_NOT_TEXT = "is it a binary file, or UTF-16 without a byte order mark?"


def _state(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def _first_bad_byte(path: Path, name: str, encoding: str) -> tuple[int | None, int]:
    """The offset in the decompressed file of the first byte that does not decode, None if all do;
    and the number of characters beyond ASCII before it."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    done = letters = 0
    with open_binary(path, name) as file:
        while True:
            block = file.read(_BLOCK)
            held = len(decoder.getstate()[0])
            try:
                letters += _beyond_ascii(decoder.decode(block, final=not block))
            except UnicodeDecodeError as error:
                return done - held + error.start, letters + _beyond_ascii(
                    error.object[: error.start].decode(encoding, "ignore")
                )
            if not block:
                return None, letters
            done += len(block)


def _beyond_ascii(text: str) -> int:
    return 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))
