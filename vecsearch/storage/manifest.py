"""The manifest: what one version of a collection consists of.

The classes are decoded from JSON as they are declared here: a value of another type, a number out
of range or an unknown field is refused. `manifest_json` reads and writes them, and `manifest_check`
compares their parts with each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import uuid4

import msgspec
import pyarrow as pa
from msgspec.structs import replace as replace

from vecsearch.storage.disk import FileRef
from vecsearch.storage.layout import CALIBRATION_KEY, EMBEDS_IDS, ROW_COLUMNS
from vecsearch.types import CHUNK, Metric

FORMAT: Final = 3

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class ColumnsEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Columns of a segment that were added or changed after it was written.

    Attributes:
        file: An Arrow file of these columns: all rows of the segment, or one that stands for all.
        names: Its columns, in their order.
    """

    file: FileRef
    names: tuple[str, ...]


class SegmentEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A segment and what is deleted of it.

    Attributes:
        file: The Arrow file.
        ids: The sorted ids of the segment.
        rows: Rows in the file, deleted ones included. Each row is a passage of a document.
        documents: Documents that are not deleted.
        deleted: Deleted rows.
        tombstones: The file that lists the deleted rows; None if there are none.
        columns: Files of columns, oldest first. They take the place of columns in `file` and in
            earlier ones.
        text: The postings of its texts; None without full text, or if they are to be made of the
            texts.
        shard: The shard that its rows are in.
    """

    file: FileRef
    ids: FileRef
    rows: Count
    documents: Count
    deleted: Count = 0
    tombstones: FileRef | None = None
    columns: tuple[ColumnsEntry, ...] = ()
    text: FileRef | None = None
    shard: Count = 0

    @property
    def name(self) -> str:
        """The name of its newest file: two entries of a name hold the same values."""
        return self.columns[-1].file.name if self.columns else self.file.name

    @property
    def files(self) -> tuple[FileRef, ...]:
        """The files of its rows."""
        return (self.file, *(part.file for part in self.columns))

    @property
    def live(self) -> int:
        """Rows that are not deleted."""
        return self.rows - self.deleted


class IndexEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An index derived from segments.

    Attributes:
        name: The name of its first file.
        files: The files of the index.
        covers: Names of the segments it was built on, in order. Label i of the index is row i of
            these segments.
        rows: Rows in the index.
        recipe: How it was built.
        calibration: The file that says which recall and cost were measured; None in manifests that
            hold that themselves. `OpenFiles.calibration` reads both.
        inline_calibration: What older manifests hold themselves; None where there is a file.
        labels: An Arrow file that gives the row of each label, -1 for a deleted row; None if
            label i is row i.
    """

    name: str
    files: tuple[FileRef, ...]
    covers: tuple[str, ...]
    rows: Count
    recipe: Mapping[str, Any]
    labels: FileRef | None = None
    calibration: FileRef | None = None
    inline_calibration: Mapping[str, Any] | None = msgspec.field(name=CALIBRATION_KEY, default=None)


class EmbedderEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model that made the vectors.

    Attributes:
        spec: What loads the model again. A folder in it is relative to the collection if the model
            has `files`.
        fingerprint: What identifies the model.
        files: The files of a model that is stored inside the collection.
        full_dim: The length of the vectors that `add` takes if they are projected to the
            collection's dimension; 0 if they are stored as given.
    """

    spec: str
    fingerprint: str
    files: tuple[FileRef, ...] = ()
    full_dim: Count = 0


class FullTextEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a collection is searched by words.

    Attributes:
        analyzer: The full description of what makes terms of texts.
        columns: The columns searched; None for those that are embedded.
        fusion: How the two lists of a hybrid search become one; None for the default.
    """

    analyzer: Mapping[str, Any]
    columns: tuple[str, ...] | None = None
    fusion: Mapping[str, Any] | None = None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of a collection.

    `schema` is the Arrow schema of its segments; its first column holds the ids. `vector_indexes`
    are those of named vectors, by column. `text_column` is
    the column that is embedded, `lead_columns` those that are embedded before it. `identity` is the
    same in all versions and copies of a collection; it is "" in formats 1 and 2. `full_text` is
    None in a collection that is not searched by words. `shards` is how many shards the rows are in;
    the segments are in the order of their shards. `commit` is of one commit only, in a collection
    in object storage: who made it knows it again.
    """

    version: Count
    schema: pa.Schema
    metric: Metric
    dim: Count
    dtype: str
    text_column: str | None
    embedder: EmbedderEntry | None = None
    chunker: Mapping[str, Any] | None = None
    segments: tuple[SegmentEntry, ...] = ()
    indexes: tuple[IndexEntry, ...] = ()
    next_id: Annotated[int, msgspec.Meta(ge=0)] = 0
    recall: float = 0.95
    keep_versions: Count = 16
    created: str = ""
    operation: str = "create"
    format: Count = FORMAT
    settings: Mapping[str, Any] = {}
    identity: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{32})?$")] = ""
    lead_columns: tuple[str, ...] = ()
    full_text: FullTextEntry | None = None
    vector_indexes: Mapping[str, tuple[IndexEntry, ...]] = {}
    shards: Count = 1
    commit: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{32})?$")] = ""

    @property
    def covered(self) -> set[str]:
        """The names of the segments that an index covers, of whatever vectors."""
        groups = (self.indexes, *self.vector_indexes.values())
        return {name for group in groups for index in group for name in index.covers}

    @property
    def id_column(self) -> str:
        """The column of ids, under the user's name."""
        return str(self.schema.names[0])

    @property
    def id_type(self) -> pa.DataType:
        """int64 or large_string."""
        return self.schema.field(0).type

    @property
    def embeds_ids(self) -> bool:
        """Whether the model looks vectors up by id."""
        return self.settings.get(EMBEDS_IDS) is True

    @property
    def row_columns(self) -> tuple[str, ...]:
        """The columns of a document that a model of table rows reads; none with other models."""
        return tuple(self.settings.get(ROW_COLUMNS, ()))

    @property
    def read_columns(self) -> tuple[str, ...]:
        """The columns that the model reads: texts, or columns of a table."""
        return self.row_columns or self.text_columns

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns that are embedded, in this order; none without a model of texts."""
        return () if self.text_column is None else (*self.lead_columns, self.text_column)

    @property
    def documents(self) -> int:
        return sum(entry.documents for entry in self.segments)

    @property
    def rows(self) -> int:
        """Rows in the segments, deleted ones included."""
        return sum(entry.rows for entry in self.segments)

    @property
    def deleted(self) -> int:
        return sum(entry.deleted for entry in self.segments)

    @property
    def chunked(self) -> bool:
        """Whether rows are passages of documents."""
        return bool(self.schema.get_field_index(CHUNK) >= 0)

    @property
    def row_state(self) -> list[list[str | None]]:
        """Each segment with its tombstones, by name. Versions with the same state have equal rows,
        because a name is never used twice."""
        return [
            [entry.name, entry.tombstones.name if entry.tombstones else None]
            for entry in self.segments
        ]

    def located_indexes(self) -> Iterator[tuple[str, IndexEntry]]:
        """Every index, after the path of its entry in the manifest."""
        for number, index in enumerate(self.indexes):
            yield f"indexes[{number}]", index
        for column, group in self.vector_indexes.items():
            for number, index in enumerate(group):
                yield f"vector_indexes.{column}[{number}]", index

    def files(self) -> list[FileRef]:
        """Every file this version needs."""
        return [ref for _, ref in self.located_files()]

    def located_files(self) -> Iterator[tuple[str, FileRef]]:
        """Every file this version needs, each after the path of its entry in the manifest.

        The file of a large file's checksums follows it.
        """
        for path, ref in self._described_files():
            yield path, ref
            if ref.checksum_file is not None:
                yield f"{path}.sums", ref.checksum_file

    def _described_files(self) -> Iterator[tuple[str, FileRef]]:
        for number, segment in enumerate(self.segments):
            yield f"segments[{number}].file", segment.file
            for file_number, part in enumerate(segment.columns):
                yield f"segments[{number}].columns[{file_number}].file", part.file
            yield f"segments[{number}].ids", segment.ids
            if segment.text is not None:
                yield f"segments[{number}].text", segment.text
            if segment.tombstones is not None:
                yield f"segments[{number}].tombstones", segment.tombstones
        for path, index in self.located_indexes():
            for file_number, ref in enumerate(index.files):
                yield f"{path}.files[{file_number}]", ref
            if index.labels is not None:
                yield f"{path}.labels", index.labels
            if index.calibration is not None:
                yield f"{path}.calibration", index.calibration
        for file_number, ref in enumerate(self.embedder.files if self.embedder else ()):
            yield f"embedder.files[{file_number}]", ref

    def next(self, operation: str, **changes: Any) -> Manifest:
        """The version that follows this one."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        return replace(
            self,
            version=self.version + 1,
            created=now,
            operation=operation,
            format=FORMAT,
            identity=self.identity or uuid4().hex,
            commit="",
            **changes,
        )
