"""Indexes as derived files: checked against the segments, and adapted to merged ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Positions
from vecsearch.errors import CorruptedError
from vecsearch.index.attached import AttachedIndex, attach
from vecsearch.index.faiss import DiskIndex, read_index
from vecsearch.index.labels import positions_after_merge, within_segments
from vecsearch.index.named import NamedSnapshot
from vecsearch.storage.calibration_file import read_calibration
from vecsearch.storage.derived import IDS, Comparison, DerivedFiles, FileWriter
from vecsearch.storage.disk import FileRef
from vecsearch.storage.layout import INDEXES
from vecsearch.storage.manifest import IndexEntry, Manifest, replace
from vecsearch.storage.open_files import read_rows
from vecsearch.storage.selection import RowSelection
from vecsearch.storage.snapshot import Snapshot
from vecsearch.storage.text_files import TEXTS

LABELS_SUFFIX = ".labels.arrow"


class IndexFiles:
    """The FAISS file of each index, its labels, and its calibration."""

    kind = "index"
    remedy = "repair builds it again; until then searches are exact"

    def files(self, manifest: Manifest) -> Iterator[FileRef]:
        for _, entry in manifest.located_indexes():
            yield from _files_of(entry)

    def check(self, root: Path, manifest: Manifest) -> Iterator[Comparison]:
        for _, entry in manifest.located_indexes():
            names = tuple(ref.name for ref in _files_of(entry))
            yield Comparison(names, partial(_compare, root, manifest, entry))

    def merge(
        self, latest: Snapshot, version: Manifest, writer: FileWriter, *, purge: bool
    ) -> Manifest:
        """The indexes stay, with labels that point to the merged rows.

        With `purge`, an index that holds codes of deleted rows is dropped; without the main index,
        so are the others.
        """
        after = positions_after_merge(latest, version)
        return relabeled(latest, version, after, writer, purge=purge)

    def repair(
        self,
        root: Path,
        versions: Mapping[int, Manifest],
        latest: Manifest,
        damaged: Collection[str],
        writer: FileWriter,
    ) -> tuple[Manifest, list[str]]:
        """Damaged indexes are dropped. Building them again takes long, so it follows the commit.

        Tails serve beside the main index only, so they are dropped with it.
        """
        before = {"": latest.indexes, **latest.vector_indexes}
        groups = {name: _whole(group, damaged) for name, group in before.items()}
        return (latest if groups == before else _with_groups(latest, groups)), []


DERIVED: tuple[DerivedFiles, ...] = (IDS, TEXTS, IndexFiles())
"""Every kind of derived file that a collection has."""


def relabeled(
    latest: Snapshot,
    version: Manifest,
    after: Positions,
    writer: FileWriter,
    *,
    purge: bool = False,
) -> Manifest:
    """A version with the indexes of `latest`, whose rows were moved to other segments.

    after: the position in `version` of each row of `latest`, -1 for deleted rows. purge: whether
    indexes that hold codes of deleted rows are dropped.
    """
    groups = {
        name: tuple(
            _relabel(part, after, version, writer)
            for part in _kept(NamedSnapshot(latest, name) if name else latest, purge)
        )
        for name in ("", *latest.manifest.vector_indexes)
    }
    return _with_groups(version, groups)


def _files_of(entry: IndexEntry) -> tuple[FileRef, ...]:
    others = (entry.labels, entry.calibration)
    return (*entry.files, *(ref for ref in others if ref is not None))


def _kept(snapshot: Snapshot, purge: bool) -> tuple[AttachedIndex, ...]:
    """The indexes that stay when segments are merged."""
    parts, live = attach(snapshot).parts, snapshot.live
    if purge:
        unclean = [part for part in parts if _holds_deleted(part, live)]
        parts = () if parts[:1] == tuple(unclean[:1]) else parts
        parts = tuple(part for part in parts if part not in unclean)
    return parts


def _whole(group: tuple[IndexEntry, ...], damaged: Collection[str]) -> tuple[IndexEntry, ...]:
    """The indexes of some vectors that are not damaged; none without the main one."""
    whole = tuple(
        entry for entry in group if not {ref.name for ref in _files_of(entry)} & set(damaged)
    )
    return whole if whole[:1] == group[:1] else ()


def _with_groups(version: Manifest, groups: Mapping[str, tuple[IndexEntry, ...]]) -> Manifest:
    """A version with these indexes, by the column of their vectors."""
    named = {name: group for name, group in groups.items() if name and group}
    return replace(version, indexes=groups[""], vector_indexes=named)


def _holds_deleted(part: AttachedIndex, live: RowSelection) -> bool:
    """Whether an index holds codes of deleted rows."""
    return part.has_gaps or live.count_in(part.own_rows) < len(part.own_rows)


def _relabel(
    part: AttachedIndex, after: Positions, version: Manifest, writer: FileWriter
) -> IndexEntry:
    """An index after segments were merged; `after` says where each row is then."""
    entry = part.entry
    assert entry is not None
    if set(entry.covers) <= {segment.name for segment in version.segments}:
        return entry
    before = np.arange(entry.rows) if part.labels is None else part.labels
    labels = np.where(before < 0, -1, after[before])
    covers, labels = within_segments(version, labels)
    if np.array_equal(labels, np.arange(entry.rows)):
        return replace(entry, covers=covers, labels=None)
    return replace(entry, covers=covers, labels=writer.write_rows(INDEXES, LABELS_SUFFIX, labels))


def _compare(root: Path, manifest: Manifest, entry: IndexEntry) -> None:
    rows = {segment.name: segment.rows for segment in manifest.segments}
    _require(set(entry.covers) <= set(rows), "it covers segments that the version does not have")
    covered = sum(rows[name] for name in entry.covers)
    read_calibration(root, entry)
    index = read_index(root / entry.files[0].name)
    if isinstance(index, DiskIndex):
        index.require_whole()
    _require(index.n == entry.rows, f"it has {index.n} rows where the manifest says {entry.rows}")
    if entry.labels is None:
        _require(entry.rows <= covered, "it has more rows than the segments it covers")
        return
    labels = read_rows(root, entry.labels, pa.int64())
    _require(
        len(labels) == entry.rows,
        f"{entry.labels.name} has {len(labels)} labels where the index has {entry.rows}",
    )
    present = labels[labels >= 0]
    _require(
        bool((labels >= -1).all() and (present < covered).all()),
        f"{entry.labels.name} names rows that do not exist",
    )
    _require(
        len(np.unique(present)) == len(present), f"{entry.labels.name} names the same row twice"
    )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CorruptedError(message)
