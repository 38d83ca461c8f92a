"""The postings of a segment's texts in a file of their own, for search by words.

A file is derived from the texts of its segment. One that is missing or damaged costs time: the
postings are then made of the texts, and answers stay the same.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import numbers_in_numpy
from vecsearch.errors import CorruptedError
from vecsearch.storage import disk
from vecsearch.storage.arrow_file import read_batch
from vecsearch.storage.column_files import open_segment
from vecsearch.storage.derived import Comparison, FileWriter, written_again
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.layout import SEGMENTS
from vecsearch.storage.manifest import FullTextEntry, Manifest, SegmentEntry
from vecsearch.storage.segment import Segment
from vecsearch.storage.segment_file import write_batch
from vecsearch.storage.snapshot import Snapshot
from vecsearch.text.analyzer import stored_analyzer
from vecsearch.text.postings import MOST, Postings, postings_of, weighted_postings
from vecsearch.text.weights import stored_weigher

TEXT_SUFFIX = ".text.arrow"
_KINDS = {
    "terms": pa.large_string(),
    "starts": pa.int64(),
    "rows": pa.uint32(),
    "counts": pa.uint16(),
    "lengths": pa.uint32(),
    "forms": pa.large_string(),
    "form_terms": pa.uint32(),
}


def _kinds(*, weighted: bool) -> dict[str, pa.DataType]:
    return _KINDS | {"impacts": pa.float32()} if weighted else _KINDS


def write_postings(path: Path, postings: Postings) -> None:
    """Write postings as one Arrow row of lists, which numpy reads in place."""
    arrays, kinds = [], _kinds(weighted=postings.impacts is not None)
    for name, kind in kinds.items():
        values = getattr(postings, name)
        if isinstance(values, np.ndarray):
            values = pa.array(values.reshape(-1), kind)
        arrays.append(pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values))
    schema = pa.schema(
        [pa.field(name, pa.large_list(kind), nullable=False) for name, kind in kinds.items()]
    )
    arrays = [array.cast(field.type) for array, field in zip(arrays, schema, strict=True)]
    write_batch(path, pa.RecordBatch.from_arrays(arrays, schema=schema))


def read_postings(file: CheckedFile, rows: int, fields: int, *, weighted: bool = False) -> Postings:
    """The postings of a file, verified whole and consistent.

    Args:
        file: The file.
        rows: Rows of the segment.
        fields: Columns of texts.
        weighted: Whether terms have weights.

    Raises:
        CorruptedError: The file is damaged, or is not what vecsearch writes.
    """
    file.verify_all()
    batch = read_batch(file)
    kinds = _kinds(weighted=weighted)
    wanted = [(name, pa.large_list(kind)) for name, kind in kinds.items()]
    found = list(zip(batch.schema.names, batch.schema.types, strict=True))
    if found != wanted or batch.num_rows != 1:
        raise CorruptedError(f"{file.path} does not hold postings")
    try:
        batch.validate(full=True)
    except pa.ArrowException as error:
        raise CorruptedError(f"{file.path} is damaged: {error}") from error
    lists = {name: batch.column(name) for name in kinds}
    if any(column.null_count or column.flatten().null_count for column in lists.values()):
        raise CorruptedError(f"{file.path} has nulls")
    values = {name: column.flatten() for name, column in lists.items()}
    numbers = {
        name: numbers_in_numpy(values[name])
        for name, kind in kinds.items()
        if kind != pa.large_string()
    }
    if len(values["lengths"]) != rows * fields:
        raise CorruptedError(f"{file.path} has lengths of other texts than its segment's")
    postings = Postings(
        values["terms"],
        numbers["starts"],
        numbers["rows"],
        numbers["counts"],
        numbers["lengths"].reshape(fields, rows),
        values["forms"],
        numbers["form_terms"],
        numbers.get("impacts"),
    )
    _require_sound(postings, file.path)
    return postings


def _require_sound(postings: Postings, path: Path) -> None:
    """What compiled code relies on: each list has ascending rows of the segment."""
    starts, rows, terms = postings.starts, postings.rows, postings.terms
    lists, count = len(terms) * postings.fields, len(rows)
    sound = (
        len(starts) == lists + 1
        and starts[0] == 0
        and starts[-1] == count
        and bool((starts[1:] >= starts[:-1]).all())
        and len(postings.counts) == count
        and bool((postings.counts > 0).all())
        and (postings.impacts is None or _are_weights(postings.impacts, count))
        and len(postings.forms) == len(postings.form_terms)
        and (not count or int(rows.max()) < postings.lengths.shape[1])
        and (not len(postings.forms) or int(postings.form_terms.max()) < len(terms))
    )
    if sound and count:
        ascending = rows[1:] > rows[:-1]
        inner = starts[1:-1]
        ascending[inner[(inner > 0) & (inner < count)] - 1] = True
        sound = bool(ascending.all()) and _agree_with_lengths(postings)
    sound = sound and (count > 0 or not postings.lengths.any())
    for words in (terms, postings.forms):
        sound = sound and (len(words) < 2 or bool(pc.all(pc.less(words[:-1], words[1:])).as_py()))
    if not sound:
        raise CorruptedError(f"{path} holds postings that do not fit its segment")


def _are_weights(impacts: np.ndarray, count: int) -> bool:
    return len(impacts) == count and bool((np.isfinite(impacts) & (impacts > 0)).all())


def _agree_with_lengths(postings: Postings) -> bool:
    """Whether each text has as many terms as its length says; counts stop at a largest one."""
    fields, rows = postings.lengths.shape
    texts: np.ndarray = postings.rows
    if fields > 1:
        lists = np.repeat(np.arange(len(postings.starts) - 1), np.diff(postings.starts))
        texts = (lists % fields) * rows + postings.rows
    terms = np.bincount(texts, postings.counts, fields * rows)
    lengths = postings.lengths.reshape(-1)
    if int(postings.counts.max()) < MOST:
        return bool((terms == lengths).all())
    return bool((terms <= lengths).all())


def text_columns(manifest: Manifest) -> tuple[str, ...]:
    """The columns that are searched by words; none without full text."""
    if manifest.full_text is None:
        return ()
    named = manifest.full_text.columns
    return manifest.text_columns if named is None else named


def batch_columns(full_text: FullTextEntry, texts: int, schema: pa.Schema) -> list[str]:
    """The columns of a segment's schema that are searched by words.

    Those that are embedded follow the ids, whatever the data called them.
    """
    if full_text.columns is not None:
        return list(full_text.columns)
    return list(schema.names[1 : 1 + texts])


def postings_of_batch(
    batch: pa.RecordBatch, names: Sequence[str], full_text: FullTextEntry
) -> Postings:
    """The postings of some columns of a segment; a column that it lacks has no words."""
    here = batch.schema.names
    columns = [
        batch.column(name).to_pylist() if name in here else [None] * batch.num_rows
        for name in names
    ]
    weigher = stored_weigher(full_text.analyzer)
    if weigher is None:
        return postings_of(columns, stored_analyzer(full_text.analyzer))
    return weighted_postings([weigher.documents(column) for column in columns])


def postings_of_segment(segment: Segment, manifest: Manifest) -> Postings:
    """The postings of a segment, made of its texts."""
    assert manifest.full_text is not None
    names = text_columns(manifest)
    batch = segment.select([name for name in names if name in segment.schema.names])
    return postings_of_batch(batch, names, manifest.full_text)


def is_weighted(manifest: Manifest) -> bool:
    """Whether texts are searched by terms with weights, not by words that are counted."""
    return manifest.full_text is not None and "weights" in manifest.full_text.analyzer


def open_postings(snapshot: Snapshot, number: int) -> Postings:
    """The postings of a segment: those of its file, or made of its texts if that is no use."""
    entry = snapshot.manifest.segments[number]

    def read() -> Postings:
        if entry.text is not None:
            try:
                file = CheckedFile(snapshot.root, entry.text)
                manifest = snapshot.manifest
                fields, weighted = len(text_columns(manifest)), is_weighted(manifest)
                return read_postings(file, entry.rows, fields, weighted=weighted)
            except CorruptedError as error:
                snapshot.files.folder.check()
                logging.getLogger("vecsearch").warning(
                    "a file of words cannot be used, so texts are read instead, which is slower: "
                    "%s: see `vecsearch check`",
                    str(error),  # not the error itself, which holds this snapshot
                )
        return postings_of_segment(snapshot.segments[number], snapshot.manifest)

    full_text = snapshot.manifest.full_text
    assert full_text is not None
    key = entry.name, entry.text, full_text.columns, dict(full_text.analyzer)
    return snapshot.files.remembered(f"text of {entry.name}", key, read)


class TextFiles:
    """The postings that are written with each segment."""

    kind = "text"
    remedy = "repair makes it again; until then searches by words read the texts"

    def files(self, manifest: Manifest) -> Iterator[FileRef]:
        for entry in manifest.segments:
            if entry.text is not None:
                yield entry.text

    def check(self, root: Path, manifest: Manifest) -> Iterator[Comparison]:
        for entry in manifest.segments:
            if entry.text is not None:
                names = (entry.text.name, *(ref.name for ref in entry.files))
                yield Comparison(names, partial(_compare, root, manifest, entry))

    def merge(
        self, latest: Snapshot, version: Manifest, writer: FileWriter, *, purge: bool
    ) -> Manifest:
        return version  # merged segments were written with their postings

    def repair(
        self,
        root: Path,
        versions: Mapping[int, Manifest],
        latest: Manifest,
        damaged: Collection[str],
        writer: FileWriter,
    ) -> tuple[Manifest, list[str]]:
        return written_again(
            "text",
            versions,
            latest,
            damaged,
            lambda version, entry: (
                None
                if {ref.name for ref in entry.files} & set(damaged)
                else _rewrite(root, version, entry, writer)
            ),
        )


TEXTS = TextFiles()


def _opened(root: Path, manifest: Manifest, entry: SegmentEntry) -> Segment:
    return open_segment(root, entry).read_as(manifest.schema)


def _compare(root: Path, manifest: Manifest, entry: SegmentEntry) -> None:
    assert entry.text is not None
    if manifest.full_text is None:
        raise CorruptedError("the version has no full text")
    fields = len(text_columns(manifest))
    weighted = is_weighted(manifest)
    stored = read_postings(CheckedFile(root, entry.text), entry.rows, fields, weighted=weighted)
    if manifest.full_text.analyzer.get("encoder") is not None:
        return  # encoding all texts again would take as long as the first time
    made = postings_of_segment(_opened(root, manifest, entry), manifest)
    for name in _kinds(weighted=weighted):
        before, now = getattr(stored, name), getattr(made, name)
        same = np.array_equal(before, now) if isinstance(now, np.ndarray) else before.equals(now)
        if not same:
            raise CorruptedError(f"it does not agree with {entry.file.name}")


def _rewrite(root: Path, manifest: Manifest, entry: SegmentEntry, writer: FileWriter) -> FileRef:
    """Write postings again: in the old place if the bytes are those that were lost."""
    assert entry.text is not None
    postings = postings_of_segment(_opened(root, manifest, entry), manifest)
    new = writer.write(SEGMENTS, TEXT_SUFFIX, lambda path: write_postings(path, postings))
    if new.sums or (new.bytes, new.crc32) != (entry.text.bytes, entry.text.crc32):
        return new
    disk.move(writer.path_of(new), root / entry.text.name)
    disk.sync_folder(root / SEGMENTS)
    return entry.text
