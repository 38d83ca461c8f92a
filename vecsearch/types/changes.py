"""What reading files and changing a collection did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from vecsearch.display import Shown
from vecsearch.types.names import Id

_LINE = 160  # characters of a line of a report
_KINDS = 10  # of files left out that a report names


@dataclass(frozen=True, slots=True)
class Failure(Shown):
    """A row or file that `add(..., on_error="skip")` left out, in `ReadReport.failures`.

    Attributes:
        file: The file; None for data in memory.
        line: The line of a text file, from 1; None for other data, or for a whole file.
        row: The row of a file of another kind, or of data in memory, from 0; or None.
        reason: The message that `on_error="raise"` would have given.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> rows = [{"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [0, 0]}]
        >>> failure = c.add(rows, on_error="skip").report.failures[0]
        >>> failure.row
        1
    """

    file: str | None
    line: int | None
    row: int | None
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class SkippedFile(Shown):
    """A file or folder that was not read, in `ReadReport.skipped_files`.

    Attributes:
        file: Its path from the folder that was given.
        reason: Why it was not read, such as "hidden", or what is wrong with it.

    Example:
        >>> from vecsearch.types import SkippedFile
        >>> print(SkippedFile("notes.zip", "archive"))
        notes.zip (archive)
    """

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file} ({self.reason})"


@dataclass(frozen=True, slots=True)
class ReadReport(Shown):
    """What `Collection.add` left out, and in which encodings it read files. `str` says it.

    Attributes:
        failed: Rows and files left out because of `on_error="skip"`.
        failures: The first 100 of them.
        empty: Empty files in folders; they are always left out.
        empty_files: The names of the first 100 of them.
        skipped: Files in folders, and folders in them, that were left out: hidden, excluded by a
            pattern, larger than 100 MB, archives, and those that cannot be read.
        skipped_files: The first 100 of them, with the reason.
        unread: Files in folders of a kind that is not read there: suffix -> number of files.
        encodings: The files that are not UTF-8 -> the encoding they were read in; at most 100.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> rows = [{"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [0, 0]}]
        >>> c.add(rows, on_error="skip").report.failed
        1
    """

    failed: int = 0
    failures: tuple[Failure, ...] = ()
    empty: int = 0
    empty_files: tuple[str, ...] = ()
    skipped: int = 0
    skipped_files: tuple[SkippedFile, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)
    encodings: Mapping[str, str] = field(default_factory=dict)

    def lines(self, shown: int = 5) -> list[str]:
        """The report for people, one subject a line; at most `shown` names of each."""
        lines = [
            f"{file} was read as {name}" for file, name in list(self.encodings.items())[:shown]
        ]
        if len(self.encodings) > shown:
            lines.append(f"and {len(self.encodings) - shown:,} more files that are not UTF-8")
        lines += _skipped_lines(
            [*(SkippedFile(name, "empty") for name in self.empty_files), *self.skipped_files],
            self.empty + self.skipped,
            shown,
        )
        if self.unread:
            kinds = sorted(self.unread.items(), key=lambda kind: -kind[1])
            names = [f"{count:,} {suffix}" for suffix, count in kinds[:_KINDS]]
            if len(kinds) > _KINDS:
                rest = sum(count for _, count in kinds[_KINDS:])
                names.append(f"and {rest:,} of {len(kinds) - _KINDS:,} more kinds")
            lines.append(f"files of other kinds left out: {', '.join(names)}")
        if self.failed:
            lines.append(f"rows or files left out because of errors ({self.failed:,}):")
            lines += [f"  {failure.reason}" for failure in self.failures[:shown]]
            if self.failed > shown:
                lines.append(f"  and {self.failed - shown:,} more")
        return lines

    def one_line(self) -> str:
        """The report inside a sentence."""
        return "; ".join(line.strip() for line in self.lines()).replace(":; ", ": ")

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _skipped_lines(files: Sequence[SkippedFile], total: int, shown: int) -> list[str]:
    """The files that were not read: on one line if they are few, else a line for each reason."""
    line = f"skipped: {', '.join(map(str, files))}"
    if total <= shown and len(line) <= _LINE:
        return [line] if files else []
    by_reason: dict[str, list[str]] = {}
    for file in files:
        by_reason.setdefault(file.reason, []).append(file.file)
    lines = [f"skipped ({total:,}):"]
    for reason, names in list(by_reason.items())[: 2 * shown]:
        more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
        lines.append(f"  {', '.join(names[:shown])}{more} ({reason})")
    left = total - sum(len(names) for names in list(by_reason.values())[: 2 * shown])
    return [*lines, f"  and {left:,} more"] if left else lines


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """A new document and the one that it is nearly the same as, in `AddResult.duplicates`.

    Attributes:
        id: The document that was there, or came earlier in the same call.
        duplicate: The new document.
        score: Their similarity.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64")
        >>> rows = [{"id": "a", "text": "a small boat"}, {"id": "b", "text": "a small boat"}]
        >>> c.add(rows, on_duplicate="skip").duplicates
        (DuplicatePair(id='a', duplicate='b', score=1.0),)
    """

    id: Id
    duplicate: Id
    score: float


@dataclass(frozen=True, slots=True, repr=False)
class AddResult(Shown):
    """What `Collection.add` did.

    Attributes:
        added: Documents that are new.
        replaced: Documents that took the place of one with the same id.
        skipped: Documents left out because their id was already there.
        embedded: Passages (without a chunker: documents) embedded by the model.
        version: The version that was committed.
        report: Rows and files that were left out for other reasons, and encodings.
        unchanged: Documents left out because they are the same as before (`"refresh"`).
        indexed_rows: Rows that entered an index before the call returned; rows that were added
            earlier may be among them.
        index_bytes: Bytes of the index files that were written for that.
        duplicates: With `on_duplicate`, a `DuplicatePair` for each new document that is nearly the
            same as another; with "skip" these were left out.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64")
        >>> c.add(["a boat", "a ship"])
        AddResult(added=2, replaced=0, skipped=0, embedded=2, version=2)
        >>> print(c.add([{"text": "a car"}, {"text": ""}], on_error="skip").report)
        rows or files left out because of errors (1):
          row 1, column 'text': the text is empty
    """

    added: int
    replaced: int
    skipped: int
    embedded: int
    version: int
    report: ReadReport = field(default_factory=ReadReport)
    unchanged: int = 0
    indexed_rows: int = 0
    index_bytes: int = 0
    duplicates: tuple[DuplicatePair, ...] = ()

    @property
    def failed(self) -> int:
        """Rows and files left out because of `on_error="skip"`."""
        return self.report.failed

    def __repr__(self) -> str:
        failed = f", unchanged={self.unchanged}" if self.unchanged else ""
        failed += f", failed={self.failed}" if self.failed else ""
        failed += f", indexed_rows={self.indexed_rows}" if self.indexed_rows else ""
        failed += f", duplicates={len(self.duplicates)}" if self.duplicates else ""
        return (
            f"AddResult(added={self.added}, replaced={self.replaced}, skipped={self.skipped}, "
            f"embedded={self.embedded}, version={self.version}{failed})"
        )


@dataclass(frozen=True, slots=True)
class SyncResult(Shown):
    """What `Collection.sync` did; with `dry_run=True`, what it would do.

    Attributes:
        added: Documents that are new. In a dry run, files.
        replaced: Documents that changed. In a dry run, files.
        deleted: Documents whose file was removed, or no longer contains them.
        unchanged: Documents that the folder brought in and that stay. In a dry run, files.
        embedded: Passages embedded by the model.
        version: The version after it.
        report: Files that were left out, and encodings.
        new_files: In a dry run, the files that are new.
        changed_files: In a dry run, those that changed.
        gone_files: In a dry run, those that are gone.

    Example:
        >>> import vecsearch as vs
        >>> from pathlib import Path
        >>> Path("memos").mkdir()
        >>> _ = Path("memos/a.txt").write_text("buy bread")
        >>> c = vs.create("memos.vs", embedder="toy:16")
        >>> c.sync("memos", dry_run=True).new_files
        ('a.txt',)
    """

    added: int
    replaced: int
    deleted: int
    unchanged: int
    embedded: int
    version: int
    report: ReadReport = field(default_factory=ReadReport, repr=False)
    new_files: tuple[str, ...] = ()
    changed_files: tuple[str, ...] = ()
    gone_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class DeleteResult(Shown):
    """What `Collection.delete` did.

    Attributes:
        deleted: Documents deleted.
        missing: Ids that no document has.
        version: The version that was committed; of a dry run the one that was looked at.
        ids: Of a dry run, the ids of the first 10 documents that would be deleted.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([{"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [0, 1]}])
        >>> c.delete([1, 7], dry_run=True)
        DeleteResult(deleted=1, missing=1, version=2, ids=(1,))
        >>> c.delete([1, 7])
        DeleteResult(deleted=1, missing=1, version=3)
    """

    deleted: int
    missing: int
    version: int
    ids: tuple[Id, ...] = ()

    def __repr__(self) -> str:
        return _shown_result(self, ("ids",))


@dataclass(frozen=True, slots=True, repr=False)
class UpdateResult(Shown):
    """What `Collection.update` did.

    Attributes:
        updated: Documents whose columns were set.
        version: The version that was committed; of a dry run the one that was looked at.
        missing: Ids that no document has.
        embedded: Passages (without a chunker: documents) embedded because their text changed.
        ids: Of a dry run, the ids of the first 10 documents that would be updated.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([{"id": 1, "vector": [1, 0], "year": 1999}])
        >>> c.update("year < 2000", {"year": 2000})
        UpdateResult(updated=1, version=3)
    """

    updated: int
    version: int
    missing: int = 0
    embedded: int = 0
    ids: tuple[Id, ...] = ()

    def __repr__(self) -> str:
        return _shown_result(self, ("missing", "embedded", "ids"))


def _shown_result(result: Any, optional: tuple[str, ...]) -> str:
    """A result as its class would be shown, without the optional fields that say nothing."""
    values = {each.name: getattr(result, each.name) for each in fields(result)}
    shown = [f"{name}={value!r}" for name, value in values.items() if value or name not in optional]
    return f"{type(result).__name__}({', '.join(shown)})"


@dataclass(frozen=True, slots=True)
class ReembedResult(Shown):
    """What `Collection.reembed` did.

    Attributes:
        documents: Documents in the collection.
        embedded: Passages (without a chunker: documents) embedded by the new model in this call;
            0 if the collection already had the model.
        version: The version that was committed.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64")
        >>> _ = c.add(["boat", "ship"])
        >>> c.reembed("toy:32")
        ReembedResult(documents=2, embedded=2, version=3)
    """

    documents: int
    embedded: int
    version: int
