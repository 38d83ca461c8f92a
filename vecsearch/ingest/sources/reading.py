"""How files are read, where each row came from, and what was left out on the way."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import pyarrow as pa

from vecsearch.common.arguments import check_one_of
from vecsearch.common.show import shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.patterns import Pattern, parsed_patterns
from vecsearch.storage.manifest import Manifest
from vecsearch.types import ID, Failure, Id, OnError, ReadReport, SkippedFile

MAX_LISTED = 100  # failures, empty files and encodings that a report names
MAX_RUNS = 100_000  # entries of `Places` before it forgets
MAX_REASON = 500  # characters of a failure's reason
PICTURE_KINDS = ("image", "clip")  # of embedders


class Place(NamedTuple):
    """Where a row came from: a line or a row of a file, a whole file, or a row of other data."""

    file: str | None = None
    line: int | None = None
    row: int | None = None

    def __str__(self) -> str:
        number = "" if self.line is None else f"line {self.line}"
        number = number if self.row is None else f"row {self.row}"
        return ", ".join(part for part in (self.file, number) if part)


@dataclass(frozen=True)
class CsvOptions:
    """How the cells of CSV files are written.

    Attributes:
        delimiter: What separates cells; None finds it.
        quote: What encloses cells that hold a delimiter; "" for nothing.
        comment: Lines that begin with it are left out; None for no comments.
        null: Cells that mean a missing value in every column; None for the usual ones in columns
            other than text.
    """

    delimiter: str | None = None
    quote: str | None = None
    comment: str | None = None
    null: tuple[str, ...] | None = None


@dataclass
class Reading:
    """The options of one `open_source`, and its report.

    Attributes:
        on_error: "raise", or "skip" to leave out what is wrong and report it.
        encoding: The encoding of all text files; None finds it for each.
        csv: How CSV files are written.
        id_column: The column of ids in the data.
        beir_id: Whether a column `_id` becomes `id` in data that has no `id`.
        given: The columns that each row of the stream has, if they are wanted: a dict may lack
            some that others have, and so may a file. None: they are not noted.
        exclude: Patterns of files in folders that are left out.
        columns: The columns that the data may have; None for any. Files then give those of theirs
            that are among them.
        pictures: Whether the texts are pictures: then folders give these, and no texts.
        stored: The files that need not be read if they are the same: path -> digest and number of
            documents.
        files: The files of folders that were met: path -> digest, None for one that was not read.
        taken: Ids that the documents of folders may not have.
        unchanged: Documents of files that were not read since they are the same.
    """

    on_error: OnError = "raise"
    encoding: str | None = None
    csv: CsvOptions = field(default_factory=CsvOptions)
    id_column: str = ID
    beir_id: bool = False
    given: list[frozenset[str]] | None = None
    exclude: tuple[Pattern, ...] = ()
    columns: frozenset[str] | None = None
    pictures: bool = False
    stored: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    files: dict[str, str | None] = field(default_factory=dict)
    taken: frozenset[Id] = frozenset()
    unchanged: int = 0
    _report: ReadReport = field(default_factory=ReadReport)
    _unread: Counter[str] = field(default_factory=Counter)
    _encodings: dict[str, str] = field(default_factory=dict)
    _columns: dict[frozenset[str], frozenset[str]] = field(default_factory=dict)

    @property
    def skips(self) -> bool:
        """Whether what is wrong is left out."""
        return self.on_error == "skip"

    def restarted(self) -> Reading:
        """The same options with an empty report."""
        return Reading(
            self.on_error,
            self.encoding,
            self.csv,
            exclude=self.exclude,
            taken=self.taken,
        )

    def fail(self, error: InvalidInputError, place: Place) -> None:
        """Note what is left out because of an error; raise the error unless asked to skip."""
        if not self.skips:
            raise error
        found = self._report
        failures = found.failures
        if found.failed < MAX_LISTED:
            reason = error.message
            reason = reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"
            failures = (*failures, Failure(place.file, place.line, place.row, reason))
        self._report = replace(found, failed=found.failed + 1, failures=failures)

    def note_given(self, columns: Iterable[Iterable[str]]) -> None:
        """Note the columns of the next rows, equal sets of them once."""
        assert self.given is not None
        sets = map(frozenset, columns)
        self.given.extend(self._columns.setdefault(each, each) for each in sets)

    def note_empty(self, name: str) -> None:
        """Note an empty file of a folder."""
        found = self._report
        names = found.empty_files
        names = (*names, name) if len(names) < MAX_LISTED else names
        self._report = replace(found, empty=found.empty + 1, empty_files=names)

    def note_skipped(self, name: str, reason: str) -> None:
        """Note a file or folder in a folder that is not read."""
        found = self._report
        files = found.skipped_files
        if len(files) < MAX_LISTED:
            reason = reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"
            files = (*files, SkippedFile(name, reason))
        self._report = replace(found, skipped=found.skipped + 1, skipped_files=files)

    def note_unread(self, suffix: str) -> None:
        """Note a file of a folder whose kind is not read there."""
        self._unread[suffix] += 1

    def note_encoding(self, name: str, encoding: str) -> None:
        """Note the encoding of a file that is not UTF-8."""
        if len(self._encodings) < MAX_LISTED:
            self._encodings[name] = encoding

    def report(self) -> ReadReport:
        """What was left out so far."""
        unread = dict(sorted(self._unread.items()))
        return replace(self._report, unread=unread, encodings=dict(self._encodings))


def takes_pictures(manifest: Manifest) -> bool:
    """Whether the texts of a collection are pictures."""
    text, embedder = manifest.text_column, manifest.embedder
    if text is None or embedder is None or len(manifest.text_columns) > 1:
        return False
    kind = manifest.schema.field(text).type
    is_open = manifest.settings.get("open_schema") and not manifest.chunked
    of_pictures = embedder.spec.partition(":")[0] in PICTURE_KINDS
    return bool(pa.types.is_large_binary(kind) or (is_open and of_pictures))


def reading_options(
    on_error: OnError,
    encoding: str | None,
    csv: Mapping[str, Any] | None,
    exclude: str | Sequence[str] = (),
) -> Reading:
    """The options of `Collection.add`, checked.

    Raises:
        InvalidInputError: An option is wrong.
    """
    check_one_of("on_error", on_error, ("raise", "skip"))
    if encoding is not None:
        try:
            "".encode(encoding)
            b"".decode(encoding)
        except (LookupError, TypeError, ValueError) as error:
            raise InvalidInputError(
                f"encoding is {shown(encoding)}; it must be one that Python knows, such as "
                '"utf-8", "latin-1", "gb18030", "big5" or "shift_jis"'
            ) from error
    patterns = [exclude] if isinstance(exclude, str) else list(exclude)
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise InvalidInputError(f"exclude is {shown(exclude)}; it must be a list of patterns, str")
    options = Reading(on_error, encoding, _csv_options(dict(csv or {})))
    options.exclude = tuple(parsed_patterns(patterns, "exclude"))
    return options


def _csv_options(csv: dict[str, Any]) -> CsvOptions:
    known = [option.name for option in fields(CsvOptions)]
    for name, value in csv.items():
        if name not in known:
            raise InvalidInputError(
                f"csv has {name!r}{did_you_mean(name, known)}; it may have {', '.join(known)}"
            )
        if name != "null" and value is not None and not isinstance(value, str):
            raise InvalidInputError(f"csv has {name!r} as {value!r}; it must be a str")
    for name in ("delimiter", "quote"):
        value = csv.get(name)
        if value is None or (value == "" and name == "quote"):
            continue
        if len(value) != 1 or value in "\r\n\0":
            raise InvalidInputError(
                f"{name} is {value!r}; it must be one character",
                command_hint="a tab is written '\\t'",
            )
    null = csv.get("null")
    if null is not None:
        null = (null,) if isinstance(null, str) else tuple(null)
        if not all(isinstance(marker, str) for marker in null):
            raise InvalidInputError(f"csv has 'null' as {null!r}; it must be a list of str")
    return CsvOptions(csv.get("delimiter"), csv.get("quote"), csv.get("comment") or None, null)


class Run(NamedTuple):
    """Consecutive rows of a stream that came from one file."""

    start: int
    file: str | None
    unit: str  # "line", "row" or "file"
    first: int  # the line or row of the first of them; the others follow one by one


class Places:
    """Where the rows of a stream came from. Lines that follow each other take one entry."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._rows = 0

    def note(self, rows: int, file: str | None, numbers: Sequence[int | str] | int) -> None:
        """Note that the next rows of the stream came from a file.

        Args:
            rows: How many rows.
            file: The file; None for data in memory.
            numbers: Their lines, the names of the files that they are, or the number of the first
                row in the file.
        """
        if isinstance(numbers, int):
            self._append(Run(self._rows, file, "row", numbers))
        else:
            for index, number in enumerate(numbers):
                if isinstance(number, str):
                    self._runs.append(Run(self._rows + index, number, "file", 0))
                else:
                    self._append(Run(self._rows + index, file, "line", number))
        self._rows += rows

    def _append(self, run: Run) -> None:
        last = self._runs[-1] if self._runs else None
        if (
            last is None
            or (last.file, last.unit) != (run.file, run.unit)
            or last.first + run.start - last.start != run.first
        ):
            self._runs.append(run)

    def place(self, row: int) -> Place:
        """Where a row of the stream came from."""
        found = bisect_right(self._runs, row, key=lambda run: run.start) - 1
        if found < 0:
            return Place(row=row)
        run = self._runs[found]
        if run.unit == "file":
            return Place(run.file)
        number = run.first + row - run.start
        is_line = run.unit == "line" and run.file is not None
        return Place(run.file, line=number) if is_line else Place(run.file, row=number)

    def forget(self, before: int) -> None:
        """Forget the places of rows before this one, if they take much memory."""
        found = bisect_right(self._runs, before, key=lambda run: run.start) - 1
        if found > 0 and len(self._runs) > MAX_RUNS:
            del self._runs[:found]
