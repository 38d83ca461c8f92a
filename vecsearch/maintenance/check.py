"""Look for damage in every file of a collection.

Segments, tombstones and manifests are the data: if one is damaged, only a backup or an older
version has its content. Derived files (ids, indexes) can be rebuilt, see `repair`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.json_column import NotJsonError, as_json, is_json
from vecsearch.display import Shown
from vecsearch.errors import CorruptedError, VecsearchError, VersionNotFoundError
from vecsearch.index.derived import DERIVED
from vecsearch.storage import disk, locks, log, manifest_json
from vecsearch.storage.column_files import open_segment
from vecsearch.storage.derived import Comparison
from vecsearch.storage.disk import CheckedFile, FileRef
from vecsearch.storage.layout import MANIFESTS
from vecsearch.storage.manifest import Manifest, SegmentEntry
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.own_files import linked_folders
from vecsearch.storage.schema import check_encoded, count_documents
from vecsearch.storage.segment import Segment, can_read_as
from vecsearch.storage.shards import shard_of_ids
from vecsearch.storage.snapshot import open_snapshot
from vecsearch.storage.tombstones import read_tombstones
from vecsearch.types import CHUNK

MODEL_REMEDY = "restore a backup, or open the collection with the model itself: embedder=..."
MANIFEST_REMEDY = (
    "its content is whole: make a backup, and check the disk; later versions replace it"
)
REMEDIES: Mapping[str, str] = {derived.kind: derived.remedy for derived in DERIVED} | {
    "model": MODEL_REMEDY,
    "manifest": MANIFEST_REMEDY,
}
_ADVICE = re.compile("[;:] restore it from a backup.*")  # of a reader; `remedy` knows more


@dataclass(frozen=True, slots=True)
class Damage(Shown):
    """Something wrong with a file.

    Attributes:
        file: Its name below the collection.
        what: What is wrong.
        versions: The versions that need the file.
        remedy: What to do.

    Example:
        >>> import vecsearch as vs
        >>> from pathlib import Path
        >>> c = vs.create("c.vs", dim=2)
        >>> _ = c.add([[1.0, 0.0]])
        >>> for ids in Path("c.vs/segments").glob("*.ids.arrow"):
        ...     _ = ids.write_bytes(b"")
        >>> [(damage.versions, damage.remedy) for damage in c.check()]
        [((2,), 'repair makes it again')]
    """

    file: str
    what: str
    versions: tuple[int, ...]
    remedy: str

    def __str__(self) -> str:
        versions = ", ".join(map(str, self.versions))
        return f"{self.file}: {self.what} (in version {versions}); {self.remedy}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Damage of a file, before it is known which versions need the file.

    `kind` is "segment", "tombstones", "model", "manifest", or a kind of derived file.
    """

    kind: str
    file: str
    what: str


@dataclass(frozen=True, slots=True)
class HeldVersions:
    """The versions on disk, held against removal.

    Attributes:
        good: The readable versions, by number.
        bad: The numbers of the others, and why they cannot be read.
    """

    good: dict[int, Manifest]
    bad: dict[int, str]


def find_damage(root: Path) -> list[Damage]:
    """Read every file of every version, and compare it with its checksums and related files.

    Searching and changing may go on meanwhile.

    Raises:
        CollectionNotFoundError: There is no collection at `root`.
        StorageError: A file could not be read.
    """
    with held_versions(root) as held:
        findings = look_for_damage(root, held.good)
        needing = {item.file: _versions_needing(held.good, item.file) for item in findings}
        otherwise = _other_remedy(held.good, findings)
        damages = [
            Damage(
                item.file,
                _ADVICE.sub("", item.what),
                needing[item.file],
                REMEDIES.get(item.kind, otherwise),
            )
            for item in findings
        ]
        return damages + _bad_manifests(root, held) + _linked_folders(root, held)


def _other_remedy(good: Mapping[int, Manifest], findings: Iterable[Finding]) -> str:
    """What to do about damaged data: use a backup, or the newest version that does not need it."""
    unusable = {
        number
        for item in findings
        if item.kind in ("segment", "tombstones")
        for number in _versions_needing(good, item.file)
    }
    whole = max(set(good) - unusable, default=None)
    if whole is None:
        return "restore a backup"
    return f"restore a backup, or roll back to version {whole}"


def _linked_folders(root: Path, held: HeldVersions) -> list[Damage]:
    """Inner folders that are symbolic links."""
    what, remedy = "it is a symbolic link", "replace it by the folder it leads to"
    return [Damage(name, what, tuple(held.good), remedy) for name in linked_folders(root)]


def _bad_manifests(root: Path, held: HeldVersions) -> list[Damage]:
    newest = max(held.good, default=0)
    damages = []
    for number, reason in held.bad.items():
        remedy = "repair moves it out of the way"
        if not newest:
            remedy = "restore a backup"
        elif number > newest:
            remedy = f"repair goes back to version {newest}"
        damages.append(Damage(_manifest_name(root, number), reason, (number,), remedy))
    return damages


@contextlib.contextmanager
def held_versions(root: Path) -> Iterator[HeldVersions]:
    """Read every manifest, and hold the versions against removal."""
    with contextlib.ExitStack() as stack:
        good: dict[int, Manifest] = {}
        bad: dict[int, str] = {}
        for number in log.required_versions(root):
            with contextlib.suppress(FileNotFoundError, VersionNotFoundError):  # removed just now
                stack.enter_context(locks.lock_shared(log.path_of(root, number)))
                try:
                    good[number] = log.load(root, number)
                except CorruptedError as error:
                    bad[number] = str(error)
        yield HeldVersions(good, bad)


def _manifest_name(root: Path, version: int) -> str:
    return f"{MANIFESTS}/{log.path_of(root, version).name}"


def _versions_needing(good: Mapping[int, Manifest], name: str) -> tuple[int, ...]:
    return tuple(
        number
        for number, manifest in good.items()
        if any(ref.name == name for ref in manifest.files())
        or log.path_of(Path(), number) == Path(name)
    )


# -- comparing ------------------------------------------------------------------------------------


def look_for_damage(root: Path, good: Mapping[int, Manifest]) -> list[Finding]:
    """What is wrong with the files these versions name: each file once."""
    findings: dict[str, Finding] = {}
    refs: set[FileRef] = set()
    comparisons: dict[tuple[str, tuple[str, ...]], Comparison] = {}
    for manifest in good.values():
        for kind, ref in _files(manifest):
            if ref not in refs:
                _run(kind, Comparison((ref.name,), partial(_verify, root, ref)), findings)
            refs.add(ref)
        comparisons |= {(kind, item.files): item for kind, item in _comparisons(root, manifest)}
    for (kind, _), comparison in comparisons.items():
        _run(kind, comparison, findings)
    if good and not any(item.kind in ("segment", "tombstones") for item in findings.values()):
        latest = good[max(good)]
        name = _manifest_name(root, latest.version)
        _run("segment", Comparison((name,), partial(_compare_all_ids, root, latest)), findings)
    for number in good:
        name = _manifest_name(root, number)
        _run("manifest", Comparison((name,), partial(_compare_text, root, number)), findings)
    return list(findings.values())


def _run(kind: str, comparison: Comparison, findings: dict[str, Finding]) -> None:
    """Add what a comparison finds, unless a file it reads is known to be damaged."""
    if findings.keys() & set(comparison.files):
        return
    try:
        comparison.run()
    except (VecsearchError, pa.ArrowException, KeyError, ValueError, IndexError) as error:
        file = comparison.files[0]
        findings[file] = Finding(kind, file, str(error))


def _files(manifest: Manifest) -> Iterator[tuple[str, FileRef]]:
    """Every file a version names, with its kind; those of checksums before what they are of."""
    for kind, ref in _described_files(manifest):
        if ref.checksum_file is not None:
            yield kind, ref.checksum_file
        yield kind, ref


def _described_files(manifest: Manifest) -> Iterator[tuple[str, FileRef]]:
    for entry in manifest.segments:
        for ref in entry.files:
            yield "segment", ref
        if entry.tombstones is not None:
            yield "tombstones", entry.tombstones
    for derived in DERIVED:
        for ref in derived.files(manifest):
            yield derived.kind, ref
    for ref in manifest.embedder.files if manifest.embedder else ():
        yield "model", ref


def _comparisons(root: Path, manifest: Manifest) -> Iterator[tuple[str, Comparison]]:
    """How the files of a version must agree, each with the kind of file that is blamed."""
    for entry in manifest.segments:
        run = partial(_compare_segment, root, manifest, entry)
        files = tuple(ref.name for ref in reversed(entry.files))
        yield "segment", Comparison(files, run)
        if entry.tombstones is not None:
            names = (entry.tombstones.name, entry.file.name)
            yield "tombstones", Comparison(names, partial(_compare_tombstones, root, entry))
    for derived in DERIVED:
        for comparison in derived.check(root, manifest):
            yield derived.kind, comparison


def _verify(root: Path, ref: FileRef) -> None:
    CheckedFile(root, ref).verify_all()


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CorruptedError(message)


def _compare_segment(root: Path, manifest: Manifest, entry: SegmentEntry) -> None:
    segment = open_segment(root, entry)
    _require(
        can_read_as(segment.schema, manifest.schema),
        "its columns are not those the manifest names",
    )
    batch = segment.whole()
    batch.validate(full=True)
    for item in segment.schema:
        column = batch.column(item.name)
        _require(item.nullable or not column.null_count, f"column {item.name!r} has nulls")
        if is_json(item.type):
            _require_json(column, item.name)
    check_encoded(batch, manifest.metric)
    if manifest.shards > 1:
        live = np.ones(entry.rows, bool)
        if entry.tombstones is not None:
            live[read_tombstones(root, entry.tombstones, entry)] = False
        shards = shard_of_ids(batch.column(manifest.id_column), manifest.shards)
        _require(
            bool((shards[live] == entry.shard).all()),
            f"it has rows that are not of shard {entry.shard}",
        )
    if entry.tombstones is None:
        _require(
            entry.documents == count_documents(batch),
            "it has another number of documents than the manifest says",
        )


def _require_json(column: pa.Array, name: str) -> None:
    try:
        as_json(column)
    except NotJsonError as error:
        raise CorruptedError(f"column {name!r}, row {error.row}, is not JSON: {error}") from error


def _compare_tombstones(root: Path, entry: SegmentEntry) -> None:
    assert entry.tombstones is not None
    rows = read_tombstones(root, entry.tombstones, entry)
    live = np.ones(entry.rows, bool)
    live[rows] = False
    documents = count_documents(Segment(root, entry.file, entry.rows).batch, live)
    _require(
        documents == entry.documents, "it leaves another number of documents than the manifest says"
    )


def _compare_text(root: Path, number: int) -> None:
    path = log.path_of(root, number)
    with disk.storage_errors("reading", path):
        text = path.read_text(encoding="utf-8")
    _require(manifest_json.is_as_written(text), "white space in it is not as it was written")


def _compare_all_ids(root: Path, manifest: Manifest) -> None:
    """No two live rows have the same id, or where documents have passages, are the same passage."""
    names = [manifest.id_column, *([CHUNK] if manifest.chunked else [])]
    snapshot = open_snapshot(root, OpenFiles(root), manifest.version)
    rows = pa.table(snapshot.take(names, snapshot.live.rows))
    counts = rows.group_by(names).aggregate([([], "count_all")])
    duplicates = counts.filter(pc.greater(counts["count_all"], 1))
    if len(duplicates):
        raise CorruptedError(
            f"duplicate id {duplicates[names[0]][0].as_py()!r} in version {manifest.version}"
        )
