"""Result types and constants that all packages share: frozen, typed, without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from vecsearch.display import Shown, html_table, text_fields, text_table
from vecsearch.errors import InvalidInputError

Id = int | str
Mode = Literal["vector", "text", "hybrid"]
OnConflict = Literal["error", "skip", "replace", "update", "refresh"]
OnError = Literal["raise", "skip"]
ID = "id"  # what the column of ids is called where the user does not name it
TEXT = "text"  # the same for the column that is embedded
BEIR_ID = "_id"  # what BEIR's files call the id
# Columns that vecsearch adds to the user's. Names that begin with "_" are returned only on request.
VECTOR = "vector"
NORM = "_norm"  # length of the vector as given; cosine collections store the unit vector
CHUNK = "_chunk"  # ordinal of the passage in its document, from 0
START = "_start"  # span of the passage in its document, in characters
END = "_end"
TEXT_NUMBER = "_text_number"  # which of several text columns the passage is of, from 0
# Of rows that come from files: see `vecsearch.ingest.sources.documents`.
TITLE, MODIFIED, SOURCE, DIGEST = "title", "modified", "source", "digest"
FOLDER, TAKEN_AT, WIDTH, HEIGHT = "folder", "taken", "width", "height"  # of pictures
THUMBNAIL = "thumbnail"
PAGE_END = "\f"  # ends each page of a text that has pages, and each slide
HEAD = "_passage_head"  # what stands over the passage, and is embedded with it; null for nothing
RESERVED = (NORM, CHUNK, START, END, TEXT_NUMBER, HEAD)
AUTO = "auto"  # the kind of the chunker that splits only what a model does not read
WHOLE = -1  # the TEXT_NUMBER of a document of several texts that is one row
TO_END = -1  # the END of a document that is one row, where its length is not written

_LINE = 160  # characters of a line of a report
_KINDS = 10  # of files left out that a report names


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun.

    Example:
        >>> from vecsearch.types import counted
        >>> counted(1, "row"), counted(2000, "row"), counted(0, "query", "queries")
        ('1 row', '2,000 rows', '0 queries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def shown_bytes(count: int) -> str:
    """A size for people, in powers of 1024.

    Example:
        >>> from vecsearch.types import shown_bytes
        >>> shown_bytes(1), shown_bytes(1536)
        ('1 byte', '1.5 KB')
    """
    size = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1024:
            return counted(count, "byte") if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TB"


def were(number: int) -> str:
    """The verb after a number of things: "was" after one."""
    return "was" if number == 1 else "were"


class Metric(StrEnum):
    """How two vectors are compared. A larger score is always better.

    Attributes:
        COSINE: Cosine similarity, from -1 to 1.
        IP: Inner product.
        L2: Negative squared Euclidean distance, at most 0.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2, metric=vs.Metric.L2)
        >>> _ = c.add([[0.0, 0.0], [3.0, 4.0]])
        >>> c.search([0.0, 0.0]).scores.tolist()
        [0.0, -25.0]
    """

    COSINE = "cosine"
    IP = "ip"
    L2 = "l2"

    @classmethod
    def _missing_(cls, value: object) -> Metric:
        raise InvalidInputError(f"metric is {value!r}; it must be one of {', '.join(cls)}")


@dataclass(frozen=True, slots=True, order=True)
class Span(Shown):
    """Where a passage is in its document, in `Hit.span`.

    Attributes:
        column: The text column that the passage is of.
        start: Its first character in the whole text of that column, from 0.
        end: The character after its last one.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64", text_columns=["title", "text"], chunker=100)
        >>> _ = c.add([{"title": "Boats", "text": "A small boat on the lake."}])
        >>> c.search("Boats", k=1)[0].span
        Span(column='title', start=0, end=5)
    """

    column: str
    start: int
    end: int


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
        deleted: Documents whose file is gone, or does not hold them any more.
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


@dataclass(frozen=True, slots=True)
class DimensionPoint(Shown):
    """The size and quality of one way to reduce dimensions.

    Attributes:
        method: "full" (all dimensions), "pca" or "truncate".
        dim: Dimensions of the reduced vectors.
        bytes: Bytes of one vector.
        recall: Recall@k, where exact search in all dimensions is the truth.
        low: Lower end of recall's 99% bootstrap interval.
        ndcg: nDCG@k; None without relevance judgments.

    Example:
        >>> import numpy as np
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=8)
        >>> _ = c.add(np.random.default_rng(0).standard_normal((200, 8)))
        >>> point = c.dimensions([4]).points[0]
        >>> point.method, point.dim, point.bytes, point.recall
        ('full', 8, 32, 1.0)
    """

    method: str
    dim: int
    bytes: int
    recall: float
    low: float
    ndcg: float | None


@dataclass(frozen=True, slots=True)
class DimensionReport(Shown):
    """What fewer dimensions cost in quality, from `Collection.dimensions`. `str` makes a table.

    Attributes:
        points: One `DimensionPoint` for each method and dimension, the full one first.
        k: Depth of recall@k and nDCG@k.
        rows: Rows that recall was measured on.
        queries: Queries that recall was measured with.
        fitted_on: Rows that PCA was fitted on; none of them is among `rows`.
        query_source: What the queries were, in words.
        metric: The collection's metric.

    Example:
        >>> import numpy as np
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=8)
        >>> _ = c.add(np.random.default_rng(0).standard_normal((200, 8)))
        >>> [(point.method, point.dim) for point in c.dimensions([4]).points]
        [('full', 8), ('pca', 4), ('truncate', 4)]
    """

    points: tuple[DimensionPoint, ...]
    k: int
    rows: int
    queries: int
    fitted_on: int
    query_source: str
    metric: str

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Column names and rows of a table for people."""
        judged = self.points[0].ndcg is not None
        head = [
            "method",
            "dim",
            "bytes",
            "share",
            f"recall@{self.k}",
            "at least",
            *([f"nDCG@{self.k}"] if judged else []),
        ]
        full = self.points[0].bytes
        rows = []
        for point in self.points:
            gain = [] if point.ndcg is None else [f"{point.ndcg:.4f}"]
            quality = [f"{point.recall:.3f}", f"{point.low:.3f}", *gain]
            rows.append(
                [
                    point.method,
                    f"{point.dim:,}",
                    f"{point.bytes:,}",
                    f"{point.bytes / full:.0%}",
                    *quality,
                ]
            )
        return head, rows

    def cheapest(self, recall: float) -> int | None:
        """The number of the point with the fewest bytes whose recall reaches a target.

        The lower end of its interval counts. None if only all dimensions do.

        Example:
            >>> c.dimensions([4]).cheapest(0.999) is None
            True
        """
        enough = [
            at
            for at, each in enumerate(self.points)
            if each.method != "full" and each.low >= recall
        ]
        return min(enough, key=lambda at: self.points[at].bytes, default=None)

    def note(self) -> str:
        """How it was measured, in words."""
        judged = self.points[0].ndcg is not None
        return (
            f"{self.metric}; recall over {counted(self.rows, 'row')}, measured with "
            f"{self.queries:,} "
            f"{self.query_source}; components fitted on {counted(self.fitted_on, 'other row')}"
            + ("; nDCG over all rows, with components fitted on them" if judged else "")
        )

    def __str__(self) -> str:
        head, rows = self.table()
        return f"{text_table(head, rows, range(1, len(head)))}\n{self.note()}"

    def _repr_html_(self) -> str:
        head, rows = self.table()
        return html_table(head, rows, range(1, len(head)), self.note())


@dataclass(frozen=True, slots=True)
class VersionInfo(Shown):
    """One committed version of a collection, as `Collection.versions` lists them.

    Attributes:
        version: Its number, counted from 1.
        created: When it was committed: ISO 8601, UTC.
        operation: What made it, such as "add" or "compact".
        documents: Documents in it.
        bytes: Size of its files; versions share most of them.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> [(each.version, each.operation, each.documents) for each in c.versions()]
        [(1, 'create', 0)]
    """

    version: int
    created: str
    operation: str
    documents: int
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class IndexInfo(Shown):
    """One index of a collection, as `CollectionInfo.indexes` lists them.

    Attributes:
        name: Name of its folder.
        recipe: The recipe it was built from, as `IndexRecipe.to_dict` gives it.
        rows: Rows in the index.
        bytes: Size of its files.
        calibration: What was measured at the build: the recall and cost of each search effort,
            and the number (`queries`) and kind (`calibrated_on`) of queries it was measured with.
        kernel: What searches it in this process: "numba" (compiled kernels) or "faiss".

    Example:
        >>> import numpy as np
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=8)
        >>> _ = c.add(np.random.default_rng(0).standard_normal((1500, 8)))
        >>> _ = c.build_index("HNSW8")
        >>> index = c.info().indexes[0]
        >>> index.rows, index.recipe["factory"], index.calibration["target"]
        (1500, 'HNSW8', 0.95)
    """

    name: str
    recipe: Mapping[str, Any]
    rows: int
    bytes: int
    calibration: Mapping[str, Any] = field(repr=False)
    kernel: Literal["numba", "faiss"] = "faiss"

    def __str__(self) -> str:
        name, rows = self.recipe.get("name"), counted(self.rows, "row")
        return f"{name}, {rows}, {shown_bytes(self.bytes)}, {self.measured}"

    @property
    def measured(self) -> str:
        """What its recall was measured with, in words."""
        if not self.calibration:
            return "its calibration is damaged"
        queries, source = self.calibration.get("queries"), self.calibration.get("calibrated_on")
        return f"measured with {queries:,} queries ({source})"

    def __repr__(self) -> str:
        measured = f"{self.calibration.get('queries')} {self.calibration.get('calibrated_on')}"
        return (
            f"IndexInfo(name={self.name!r}, recipe={self.recipe.get('name')!r}, "
            f"rows={self.rows}, bytes={self.bytes}, calibration=<measured with {measured}>, "
            f"kernel={self.kernel!r})"
        )


@dataclass(frozen=True, slots=True)
class BuildResult(Shown):
    """What `Collection.build_index` did.

    Attributes:
        recipe: Name of the recipe; "exact" if no index is worthwhile.
        rows: Rows in the index.
        seconds: Duration of the whole build, calibration included.
        bytes: Size of the index's files.
        memory_bytes: Memory the index takes when it is loaded rather than memory-mapped.
        calibrated_on: Which queries its recall was measured with.
        promise: The recall it was measured to reach, in words.
        version: The version that was committed.
        how: "built"; "extended" (new rows were added to the existing index); or "none".
        why: The reason for `how`, in words.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([[1.0, 0.0], [0.0, 1.0]])
        >>> result = c.build_index()
        >>> result.recipe, result.rows, result.promise
        ('exact', 0, 'no index: exact search is fastest for few rows')
    """

    recipe: str
    rows: int
    seconds: float
    bytes: int
    memory_bytes: int
    calibrated_on: str
    promise: str
    version: int
    how: Literal["built", "extended", "none"] = "none"
    why: str = ""


@dataclass(frozen=True, slots=True)
class IndexAdvice(Shown):
    """Whether it is worthwhile to build the index now. `str` says it in words.

    Attributes:
        action: What `build_index` with the same recipe would do: "build" a first index, "extend"
            the existing one, "rebuild" it, or "none".
        pays: Whether that is worthwhile.
        reason: Why, in words.
        indexed: Rows in the index.
        new: Rows outside the index; every search scores all of them.
        gone: Deleted rows in the index.
        micros: Cost of a search for 10 rows now, in microseconds, estimated from the calibration;
            0 without an index.
        micros_after: Estimated cost after building; 0 without an index.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([[1.0, 0.0]])
        >>> advice = c.index_advice()
        >>> advice.action, advice.pays
        ('none', False)
    """

    action: Literal["build", "extend", "rebuild", "none"]
    pays: bool
    reason: str
    indexed: int
    new: int
    gone: int
    micros: float = 0.0
    micros_after: float = 0.0

    def __str__(self) -> str:
        if self.action == "none":
            return self.reason if self.indexed else f"no build is needed: {self.reason}"
        task = {
            "build": "building an index",
            "extend": "extending the index",
            "rebuild": "rebuilding the index",
        }[self.action]
        verdict = "is worthwhile" if self.pays else "is not worthwhile yet"
        return f"{task} {verdict}: {self.reason}"


@dataclass(frozen=True, slots=True)
class RegionRecall(Shown):
    """Recall of the queries in one region of the data: a cluster that k-means found.

    Attributes:
        recall: Mean recall@k over the region's queries.
        low: Lower end of its 99% bootstrap interval.
        high: Upper end of the interval.
        queries: Number of queries in the region.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> worst = c.measure_recall(k=1, regions=2).regions[0]
        >>> worst.recall
        1.0
    """

    recall: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, slots=True)
class RecallReport(Shown):
    """Recall of a collection against exact search, from `Collection.measure_recall`.

    Recall@k of a query is the share of its exact top k that the search found. The exact answer is
    that of float64; scores that float32 cannot tell from the k-th are ties with it, and count as
    found. A mean hides what single queries get, so the report says that too.

    Attributes:
        recall: Mean recall@k over the queries.
        low: Lower end of its 99% bootstrap interval.
        high: Upper end of the interval.
        k: Number of hits of each search.
        queries: Number of queries.
        target: The recall that the searches were to reach.
        query_source: What the queries were, in words.
        below_target: Share of the queries whose recall is below the target, 0 to 1.
        worst_tenth: Mean recall of the tenth of the queries with the lowest recall.
        regions: Recall in each region of the data that has queries, the worst region first. A
            region with few queries says little: see its interval.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> c.measure_recall(k=1).recall  # exact search: there is no index
        1.0
    """

    recall: float
    low: float
    high: float
    k: int
    queries: int
    target: float
    query_source: str
    below_target: float = 0.0
    worst_tenth: float = 0.0
    regions: tuple[RegionRecall, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectionInfo(Shown):
    """A collection's documents, columns, embedder and indexes at one version.

    Attributes:
        path: The collection's folder.
        version: The version described.
        documents: Number of documents.
        rows: Number of rows: passages in a collection with a chunker, or else documents.
        deleted_rows: Deleted rows still in files; `compact` drops them.
        segments: Number of segment files.
        bytes: Size of all files of this version.
        dim: Dimension of the vectors.
        metric: "cosine", "ip" or "l2".
        dtype: How vectors are stored: "float32" or "float16".
        embedder: Name of the model; None in a collection of ready-made vectors.
        fingerprint: Digest of the model's weights and settings; None without a model.
        text_column: The column that is embedded, the last one of several; None without a model of
            texts.
        text_columns: All columns that are embedded, in the order in which they are joined.
        id_column: The column of ids.
        chunker: The chunker's parameters; None without a chunker.
        columns: Arrow type of each column, by name.
        recall: The recall that searches deliver by default.
        indexes: The indexes; empty if every search is exact.
        full_text: The columns that are searched by words; empty if none are.
        vector_indexes: The indexes of named vectors, by the name of their column; those without
            one are searched exactly.
        shards: How many shards the rows are in.

    Example:
        >>> import vecsearch as vs
        >>> info = vs.create("c.vs", dim=2, metric="l2").info()
        >>> info.documents, info.dim, info.metric, info.columns["vector"][:15]
        (0, 2, 'l2', 'fixed_size_list')
    """

    path: str
    version: int
    documents: int
    rows: int
    deleted_rows: int
    segments: int
    bytes: int
    dim: int
    metric: str
    dtype: str
    embedder: str | None
    fingerprint: str | None
    text_column: str | None
    text_columns: tuple[str, ...]
    id_column: str
    chunker: Mapping[str, Any] | None
    columns: Mapping[str, str]
    recall: float
    indexes: tuple[IndexInfo, ...]
    full_text: tuple[str, ...] = ()
    vector_indexes: Mapping[str, tuple[IndexInfo, ...]] = field(default_factory=dict)
    shards: int = 1

    def __repr__(self) -> str:
        return text_fields(self.fields())

    def _shown_fields(self) -> dict[str, object]:
        return self.fields()

    def fields(self) -> dict[str, object]:
        """What is shown of it: names and values for people; None where there is nothing to say.

        Example:
            >>> info.fields()["vectors"]
            '2 × float32, l2'
        """
        segments = counted(self.segments, "segment")
        if self.shards > 1:
            segments += f" of {self.shards} shards"
        return {
            "collection": self.path,
            "version": self.version,
            "documents": self.documents,
            "rows": f"{self.rows:,} in {segments}, {self.deleted_rows:,} deleted",
            "on disk": shown_bytes(self.bytes),
            "embedder": self.embedder,
            "vectors": f"{self.dim} × {self.dtype}, {self.metric}",
            "chunker": None if self.chunker is None else _chunker_words(self.chunker),
            "columns": ", ".join(self._shown_columns()),
            "recall target": self.recall,
            "index": "; ".join(map(str, self.indexes)) or "none: every search is exact",
            "named vectors": "; ".join(
                f"{name}: {index}" for name, group in self.vector_indexes.items() for index in group
            )
            or None,
        }

    def _shown_columns(self) -> list[str]:
        """The user's columns with their types, without Arrow's "large_" prefix."""
        return [
            f"{name} ({kind.removeprefix('large_')})"
            for name, kind in self.columns.items()
            if name != VECTOR and not name.startswith("_")
        ]


def _chunker_words(chunker: Mapping[str, Any]) -> str:
    """A chunker's kind, and its other parameters in parentheses."""
    others = ", ".join(f"{name} {value}" for name, value in chunker.items() if name != "kind")
    kind = str(chunker.get("kind", "chunker"))
    return f"{kind} ({others})" if others else kind


class Ladder(NamedTuple):
    """How far an index search goes on for one query; part of a `Plan`.

    A query may stop at an effort if its candidate of rank `rank` stands out from the rows at large
    by the contrast given there, and if so many candidates were scored that few hits are expected
    among the others. Otherwise it goes on with the next effort, in the end with exact search.

    Attributes:
        efforts: Efforts, ascending.
        contrasts: The least contrast at each of them, in standard deviations of the scores of the
            query with all rows.
        rank: The rank, counted from 1.
        farthest: A query whose candidate still scores lower at the second effort is unlike all that
            the index was measured with, and is not searched so.
        recall: The share of hits to be found, 0 to 1.
    """

    efforts: tuple[int, ...]
    contrasts: tuple[float, ...]
    rank: int
    farthest: float
    recall: float


@dataclass(frozen=True, slots=True)
class Plan(Shown):
    """How a search runs, and why. `str` says it in words.

    Attributes:
        method: "exact" (score every matching row), "index" (the index proposes candidates, which
            are scored by their true vectors), "scan" (as "index", but the candidates come from
            comparing the compressed codes of all matching rows), "empty" (no row matches), "text"
            (by words) or "hybrid" (by words and vectors).
        reason: Why this method, in words.
        rows: Rows that match the filter.
        expected_recall: Calibrated recall, a lower confidence bound; 1.0 for exact search.
        effort: Search effort of the index, such as nprobe or ef_search; 0 without an index.
        depth: Number of candidates the index proposes; 0 without an index.
        candidate_window: If fewer than k of the first `candidate_window` candidates match the
            filter, the search falls back to exact search. Equals k if every row matches.
        unindexed_rows: Matching rows outside the index; each of them is compared with the query.
        parts: Where the rows are in several indexes: the plan of each. The other attributes are
            those of the main index then, and `expected_recall` is the lowest.
        steps: What happened during the search, such as a fallback, in words.
        ladder: How far the search goes on for a hard query; None for exact search and for indexes
            of older versions.
        missing_shards: The shards that did not answer, in a partial answer that was asked for:
            hits of theirs are missing.

    Example:
        >>> import vecsearch as vs
        >>> c = vs.create("c.vs", embedder="toy:64")
        >>> _ = c.add(["a boat", "a ship"])
        >>> print(c.plan("boat"))
        exact search over 2 rows (an index pays from 4,096 rows on)
    """

    method: Literal["exact", "index", "scan", "empty", "text", "hybrid"]
    reason: str
    rows: int
    expected_recall: float = 1.0
    effort: int = 0
    depth: int = 0
    candidate_window: int = 0
    unindexed_rows: int = 0
    steps: tuple[str, ...] = field(default=())
    ladder: Ladder | None = field(default=None, repr=False)
    parts: tuple[Plan, ...] = field(default=())
    missing_shards: tuple[int, ...] = field(default=())

    def __str__(self) -> str:
        head = self.summary()
        if self.method in ("index", "scan") and self.unindexed_rows:
            outside = counted(self.unindexed_rows, "row")
            steps = (f"{outside} outside the index compared one by one", *self.steps)
            said = f"{head}: {self.reason}"
        else:
            steps = self.steps
            said = f"{head} ({self.reason})" if "(" not in head + self.reason else ""
            said = said or f"{head}: {self.reason}"
        if self.parts:
            more = ", ".join(f"{part.rows:,}" for part in self.parts[1:])
            said += f"; together with indexes of {more} other rows"
        if self.missing_shards:
            lost = ", ".join(map(str, self.missing_shards))
            steps = (*steps, f"partial answer: the shards {lost} are missing")
        return "; ".join((said, *steps))

    def summary(self) -> str:
        """How the search runs, without the reason.

        Example:
            >>> c.plan("boat").summary()
            'exact search over 2 rows'
        """
        rows = counted(self.rows, "row")
        if self.method == "empty":
            return "nothing to search"
        if self.method == "exact":
            return f"exact search over {rows}"
        if self.method in ("text", "hybrid"):
            return f"{'search by words' if self.method == 'text' else 'hybrid search'} over {rows}"
        candidates = counted(self.depth, "candidate")
        if self.method == "scan":
            return f"scan of the codes of {rows} ({candidates})"
        return (
            f"index search over {rows} (effort {self.effort}, {candidates}, "
            f"measured recall {self.expected_recall:.3f})"
        )

    def to_dict(self) -> dict[str, Any]:
        """The plan as a dict, for JSON: what does not apply to its method is left out.

        Example:
            >>> c.plan("boat").to_dict()["method"]
            'exact'
        """
        values: dict[str, Any] = {
            "method": self.method,
            "rows": self.rows,
            "recall": self.expected_recall,
            "reason": self.reason,
        }
        if self.method in ("index", "scan"):
            values |= {"effort": self.effort, "candidates": self.depth}
            values["unindexed_rows"] = self.unindexed_rows
        return values | ({"steps": list(self.steps)} if self.steps else {})

    def _shown_fields(self) -> dict[str, object]:
        return self.to_dict()
