"""Open text files in any of a few encodings, plain or gzipped, as a stream.

A file is in the encoding that is given (`encoding=`). Without one it is UTF-8, with or without a
byte order mark; UTF-16 or UTF-32 with one; or, where that is sure (chinese.py), GB18030 (which
includes GBK and GB2312) or Big5. All of a file must decode, and no character is replaced. Other
files are refused, with the first byte that is not UTF-8. The report names each file that is not
UTF-8 with its encoding.
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
from vecsearch.ingest.sources.chinese import EURO, chinese_encoding, unusual
from vecsearch.ingest.sources.reading import Reading

# The longest line, cell or document, in characters: a bound on memory for damaged or hostile files.
MAX_TEXT = 64 * 2**20
_BLOCK = 2**20
# This many valid multi-byte sequences cannot occur by chance in a file of another encoding.
_CLEARLY_UTF8 = 8
_JUDGED = 2**20  # bytes of lines beyond ASCII that tell whether a file is Chinese
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
    def find(cls, path: Path, name: str, reading: Reading | None = None) -> TextFile:
        """Read the file once to find its encoding, or to check the one that is given.

        Raises:
            InvalidInputError: The file is in no encoding that is sure; the message names file and
                byte.
        """
        reading = reading or Reading()
        with open_binary(path, name) as file:
            state = _state(file)
            head = file.read(4)
        marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
        if reading.encoding is not None and marked != "utf-8-sig":
            encoding = _checked(path, name, reading.encoding)
        elif marked is not None:
            encoding = _checked_mark(path, name, marked)
        else:
            encoding = _found(path, name)
        if encoding not in ("utf-8", "utf-8-sig"):
            reading.note_encoding(name, SHOWN.get(encoding, encoding.upper()))
        return cls(path, name, encoding, state)

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
                cast(IO[bytes], file), encoding=self.encoding, errors=EURO, newline=""
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
SHOWN = {"gb18030": "GB18030 (GBK)", "cp950": "Big5", "big5hkscs": "Big5-HKSCS"}


def _checked(path: Path, name: str, encoding: str) -> str:
    """The encoding that is given, if the whole file is in it."""
    bad = _first_bad_byte(path, name, encoding)[0]
    if bad is not None:
        raise InvalidInputError(
            f"{name}: byte {bad} is not {encoding}, the encoding that was given"
        )
    return codecs.lookup(encoding).name


def _checked_mark(path: Path, name: str, marked: str) -> str:
    encoding = marked.removesuffix("-sig")
    bad = _first_bad_byte(path, name, encoding)[0]
    if bad is not None:
        raise InvalidInputError(
            f"{name}: byte {bad} is not {encoding.upper()}, though the file begins with the "
            "byte order mark of it"
        )
    return marked


def _found(path: Path, name: str) -> str:
    """The encoding of a file without a mark: UTF-8, or that of a text that is surely Chinese."""
    bad, letters = _first_bad_byte(path, name, "utf-8")
    if bad is None:
        return "utf-8"
    lines = _lines_beyond_ascii(path, name)
    if letters >= _CLEARLY_UTF8 or _is_damaged_utf8(lines):
        raise InvalidInputError(
            f"{name}: byte {bad} is not UTF-8, though the {letters} letters before it are; "
            "the file is damaged there",
            **_HINTS,
        )
    encoding = chinese_encoding(lines)
    if encoding is None or not _is_whole_text(path, name, encoding):
        raise InvalidInputError(
            f"{name}: byte {bad} is not UTF-8, and the file is not surely GB18030 or Big5 either",
            **_HINTS,
        )
    return encoding


_HINTS = {
    "hint": 'name its encoding, such as encoding="latin-1", or save the file as UTF-8',
    "command_hint": "name its encoding, such as --encoding latin-1, or save the file as UTF-8",
}


def _lines_beyond_ascii(path: Path, name: str) -> bytes:
    """The first lines that are not ASCII, about _JUDGED bytes of them."""
    found: list[bytes] = []
    size = 0
    with open_binary(path, name) as file:
        while size < _JUDGED and (line := file.readline(_JUDGED)):
            if not line.isascii():
                found.append(line)
                size += len(line)
    return b"".join(found)


def _is_damaged_utf8(lines: bytes) -> bool:
    """Whether there are at least as many characters of three bytes as faults."""
    text = lines.decode("utf-8", "replace")
    faults = text.count("\ufffd")
    return 0 < faults <= sum("\u0800" <= letter != "\ufffd" for letter in text)


def _is_whole_text(path: Path, name: str, encoding: str) -> bool:
    """Whether all of the file decodes, to no private-use or control character."""
    decoder = codecs.getincrementaldecoder(encoding)(EURO)
    with open_binary(path, name) as file:
        while True:
            block = file.read(_BLOCK)
            try:
                if unusual(decoder.decode(block, final=not block)) is not None:
                    return False
            except UnicodeDecodeError:
                return False
            if not block:
                return True


def _state(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def _first_bad_byte(path: Path, name: str, encoding: str) -> tuple[int | None, int]:
    """The offset in the decompressed file of the first byte that does not decode, None if all do;
    and the number of characters beyond ASCII before it."""
    decoder = codecs.getincrementaldecoder(encoding)(EURO)
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
