"""Look for damage in every file of a collection, and mend what can be made again.

Segments, tombstones and manifests are what a collection consists of: when one is damaged, only a backup or an older version has
its content. Id files and indexes are derived from segments, so `repair` makes them again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.errors import CorruptedError, VecsearchError, VersionNotFoundError
from vecsearch.index.faiss import read_index
from vecsearch.storage import disk, locks, log, manifest_json
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.ids import id_keys
from vecsearch.storage.layout import MANIFESTS
from vecsearch.storage.manifest import IndexEntry, Manifest, SegmentEntry
from vecsearch.storage.open_files import OpenFiles, read_rows
from vecsearch.storage.segment import Segment
from vecsearch.storage.snapshot import open_snapshot
from vecsearch.storage.staging import count_documents
from vecsearch.types import CHUNK, ID, NORM, Metric

LOCK_TIMEOUT = 60.0  # seconds
SLICE = 65_536  # rows looked at together
UNIT = 0.01  # how far the squared length of a stored unit vector may be from 1: float16 rounds


@dataclass(frozen=True, slots=True)
class Damage:
    """Something wrong with a file: its name below the collection, what is wrong, the versions that need it, what to do."""

    file: str
    what: str
    versions: tuple[int, ...]
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what} (in version {', '.join(map(str, self.versions))}); {self.remedy}"


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Damage before it is known which versions it concerns. `kind`: "segment", "ids", "tombstones", "index", "model" or
    "manifest"."""

    kind: str
    file: str
    what: str


@dataclass(frozen=True, slots=True)
class HeldVersions:
    """The versions on disk, held against removal, and the numbers of those whose manifest cannot be read, with why."""

    good: dict[int, Manifest]
    bad: dict[int, str]


def find_damage(root: Path) -> list[Damage]:
    """Read every file of every kept version whole, and compare it with its checksums and with the files it belongs to.

    Searching and changing go on meanwhile. Raises CollectionNotFoundError, StorageError.
    """
    with held_versions(root) as kept:
        wrong = look_for_damage(root, kept.good)
        versions = {item.file: _needing(kept.good, item.file) for item in wrong}
        unusable = {
            number
            for item in wrong
            if item.kind in ("segment", "tombstones")
            for number in versions[item.file]
        }
        whole = max(set(kept.good) - unusable, default=None)
        remedies = {
            "ids": "repair makes it again",
            "index": "repair builds it again; until then searches are exact",
            "manifest": "what it says is whole: make a backup, and look at the disk; later versions replace it",
            "model": "restore a backup, or open the collection with the model from elsewhere (in Python)",
        }
        otherwise = (
            "restore a backup"
            if whole is None
            else f"restore a backup, or roll back to version {whole}"
        )
        found = [
            Damage(item.file, item.what, versions[item.file], remedies.get(item.kind, otherwise))
            for item in wrong
        ]
        newest = max(kept.good, default=0)
        for number, why in kept.bad.items():
            remedy = (
                f"repair goes back to version {newest}"
                if number > newest
                else "repair sets it aside"
            )
            found.append(
                Damage(
                    _manifest_name(root, number),
                    why,
                    (number,),
                    remedy if newest else "restore a backup",
                )
            )
        return found


# -- looking ---------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def held_versions(root: Path) -> Iterator[HeldVersions]:
    with contextlib.ExitStack() as stack:
        good: dict[int, Manifest] = {}
        bad: dict[int, str] = {}
        for number in log.required_versions(root):
            with contextlib.suppress(FileNotFoundError, VersionNotFoundError):  # collected just now
                stack.enter_context(locks.lock_shared(log.path_of(root, number)))
                try:
                    good[number] = log.load(root, number)
                except CorruptedError as error:
                    bad[number] = str(error)
        yield HeldVersions(good, bad)


def _manifest_name(root: Path, version: int) -> str:
    return f"{MANIFESTS}/{log.path_of(root, version).name}"


def _needing(good: dict[int, Manifest], name: str) -> tuple[int, ...]:
    return tuple(
        number
        for number, manifest in good.items()
        if any(ref.name == name for ref in manifest.files())
        or log.path_of(Path(), number) == Path(name)
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """One thing to compare. `files`: the file it blames, then those it reads, which must be whole for it to mean anything."""

    kind: str
    files: tuple[str, ...]
    compare: Callable[[], None]


def look_for_damage(root: Path, good: dict[int, Manifest]) -> list[_Wrong]:
    """What is wrong with the files these versions name: each file once."""
    wrong: dict[str, _Wrong] = {}
    refs: set[FileRef] = set()
    looks: dict[tuple[str, tuple[str, ...]], _Look] = {}
    for manifest in good.values():
        for kind, ref in _files(manifest):
            if ref not in refs:
                _attempt(_Look(kind, (ref.name,), partial(_verify, root, ref)), wrong)
            refs.add(ref)
        looks |= {(look.kind, look.files): look for look in _looks(root, manifest)}
    for look in looks.values():
        _attempt(look, wrong)
    if good and all(item.kind in ("ids", "index", "model") for item in wrong.values()):
        latest = good[max(good)]
        _attempt(
            _Look(
                "segment",
                (_manifest_name(root, latest.version),),
                partial(_unique_ids, root, latest),
            ),
            wrong,
        )
    for number in good:
        _attempt(
            _Look("manifest", (_manifest_name(root, number),), partial(_as_written, root, number)),
            wrong,
        )
    return list(wrong.values())


def _attempt(look: _Look, wrong: dict[str, _Wrong]) -> None:
    if not wrong.keys() & set(look.files):
        try:
            look.compare()
        except (VecsearchError, pa.ArrowException, KeyError, ValueError, IndexError) as error:
            wrong[look.files[0]] = _Wrong(look.kind, look.files[0], str(error))


def _files(manifest: Manifest) -> Iterator[tuple[str, FileRef]]:
    for entry in manifest.segments:
        yield "segment", entry.file
        yield "ids", entry.ids
        if entry.tombstones is not None:
            yield "tombstones", entry.tombstones
    for index in manifest.indexes:
        for ref in index_files(index):
            yield "index", ref
    for ref in manifest.embedder.files if manifest.embedder else ():
        yield "model", ref


def index_files(entry: IndexEntry) -> tuple[FileRef, ...]:
    return entry.files if entry.labels is None else (*entry.files, entry.labels)


def _looks(root: Path, manifest: Manifest) -> Iterator[_Look]:
    """What the files of a version must have in common."""
    for entry in manifest.segments:
        yield _Look("segment", (entry.name,), partial(_check_segment, root, manifest, entry))
        yield _Look("ids", (entry.ids.name, entry.name), partial(_check_ids, root, entry))
        if entry.tombstones is not None:
            yield _Look(
                "tombstones",
                (entry.tombstones.name, entry.name),
                partial(_check_tombstones, root, entry),
            )
    for index in manifest.indexes:
        names = tuple(ref.name for ref in index_files(index))
        yield _Look("index", names, partial(_check_index, root, manifest, index))


def _verify(root: Path, ref: FileRef) -> None:
    CheckedFile(root, ref).verify_all()


def _require(true: bool, message: str) -> None:
    if not true:
        raise CorruptedError(message)


def _check_segment(root: Path, manifest: Manifest, entry: SegmentEntry) -> None:
    segment = Segment(root, entry.file, entry.rows)
    _require(segment.schema.equals(manifest.schema), "its columns are not those the manifest names")
    segment.batch.validate(full=True)
    for item in segment.schema:
        _require(
            item.nullable or not segment.batch.column(item.name).null_count,
            f"column {item.name!r} has nulls",
        )
    for at in range(0, entry.rows, SLICE):
        vectors = segment.vectors[at : at + SLICE].astype(np.float32)
        squares = np.einsum("ij,ij->i", vectors, vectors)
        _require(bool(np.isfinite(squares).all()), "a vector has a number that is not finite")
        if manifest.metric is Metric.COSINE:
            _require(bool((abs(squares - 1) < UNIT).all()), "a vector is not of unit length")
    if manifest.metric is Metric.COSINE:
        norms = segment.batch.column(NORM).to_numpy()
        _require(
            bool((np.isfinite(norms) & (norms > 0)).all()),
            "the length of a vector is not a positive number",
        )
    if entry.tombstones is None:
        _require(
            entry.documents == count_documents(segment.batch),
            "it has another number of documents than the manifest says",
        )


def _check_ids(root: Path, entry: SegmentEntry) -> None:
    ids = Segment(root, entry.file, entry.rows).batch.column(ID)
    batch = pa.ipc.open_file(CheckedFile(root, entry.ids).buffer).get_batch(0)
    keys = id_keys(ids)
    order = np.argsort(keys, kind="stable")
    same = np.array_equal(batch.column("key"), keys[order]) and np.array_equal(
        batch.column("row"), order
    )
    _require(same, f"it does not agree with {entry.name}")


def _check_tombstones(root: Path, entry: SegmentEntry) -> None:
    assert entry.tombstones is not None
    rows = read_rows(root, entry.tombstones)
    _require(bool((np.diff(rows) > 0).all()), "its rows are not ascending")
    _require(
        not len(rows) or bool(rows[0] >= 0 and rows[-1] < entry.rows),
        f"it names rows that {entry.name} does not have",
    )
    _require(
        len(rows) == entry.deleted,
        f"it has {len(rows)} rows where the manifest says {entry.deleted}",
    )
    batch = Segment(root, entry.file, entry.rows).batch
    live = np.ones(entry.rows, bool)
    live[rows] = False
    documents = int(np.count_nonzero(live))
    if CHUNK in batch.schema.names:
        documents = int(np.count_nonzero(batch.column(CHUNK).to_numpy()[live] == 0))
    _require(
        documents == entry.documents, "it leaves another number of documents than the manifest says"
    )


def _check_index(root: Path, manifest: Manifest, entry: IndexEntry) -> None:
    rows = {segment.name: segment.rows for segment in manifest.segments}
    _require(set(entry.covers) <= set(rows), "it covers segments that the version does not have")
    covered = sum(rows[name] for name in entry.covers)
    index = read_index(root / entry.files[0].name)
    _require(index.n == entry.rows, f"it has {index.n} rows where the manifest says {entry.rows}")
    if entry.labels is None:
        _require(entry.rows <= covered, "it has more rows than the segments it covers")
        return
    labels = read_rows(root, entry.labels)
    _require(
        len(labels) == entry.rows,
        f"{entry.labels.name} has {len(labels)} labels where the index has {entry.rows}",
    )
    present = labels[labels >= 0]
    _require(
        bool((labels >= -1).all() and (present < covered).all()),
        f"{entry.labels.name} names rows that are not there",
    )
    _require(len(np.unique(present)) == len(present), f"{entry.labels.name} names a row twice")


def _as_written(root: Path, number: int) -> None:
    path = log.path_of(root, number)
    with disk.storage_errors("reading", path):
        text = path.read_text(encoding="utf-8")
    _require(manifest_json.is_as_written(text), "white space in it is not as it was written")


def _unique_ids(root: Path, manifest: Manifest) -> None:
    """No id stands twice among the live rows; where there is a chunker, no passage of one."""
    names = [ID, CHUNK] if CHUNK in manifest.schema.names else [ID]
    snapshot = open_snapshot(root, OpenFiles(root), manifest.version)
    rows = pa.table(snapshot.take(names, snapshot.live.rows))
    counts = rows.group_by(names).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts["count_all"], 1))
    if len(twice):
        raise CorruptedError(
            f"id {twice[ID][0].as_py()!r} stands twice in version {manifest.version}"
        )
