"""The manifest: one numbered JSON file that names everything a version of a collection consists of.

`manifests/00000007.json` holds {"checksum": sha256 of the body, "body": {...}}. A commit writes and syncs a temporary file and
hard-links it to the next number; a rival that took the number first makes the link fail instead of being overwritten.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from vecsearch import disk
from vecsearch.disk import FileRef
from vecsearch.errors import CollectionNotFoundError, ConflictError, CorruptedError, VersionNotFoundError
from vecsearch.manifest_check import require_consistent
from vecsearch.types import Metric

FORMAT = 2
MANIFESTS = "manifests"
SEGMENTS = "segments"
INDEXES = "indexes"
STAGING = "staging"
MODELS = "models"


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A segment and what is deleted of it. `rows` are passages; `documents` are live documents."""

    file: FileRef
    ids: FileRef
    rows: int
    documents: int
    deleted: int = 0
    tombstones: FileRef | None = None

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def live(self) -> int:
        return self.rows - self.deleted


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """An index derived from segments. Label i of the index is row i of the segments in `covers`, run together in that
    order; after a compaction `labels` (an Arrow file) says instead where each label's row is now, -1 for rows gone."""

    name: str
    files: tuple[FileRef, ...]
    covers: tuple[str, ...]
    rows: int
    recipe: Mapping[str, Any]
    facts: Mapping[str, Any]
    labels: FileRef | None = None


@dataclass(frozen=True, slots=True)
class EmbedderEntry:
    """The model that made the vectors: `spec` loads it again, `fingerprint` proves it is the same. A model with `files` lies
    inside the collection, and the folder in its spec is relative to that. `full_dim`: vectors of this many numbers are given,
    and projected to the collection's dimension; 0 where they are stored as they are given."""

    spec: str
    fingerprint: str
    files: tuple[FileRef, ...] = ()
    full_dim: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a collection. `schema` is the Arrow schema of its segments."""

    version: int
    schema: pa.Schema
    metric: Metric
    dim: int
    dtype: str
    text_column: str | None
    embedder: EmbedderEntry | None = None
    chunker: Mapping[str, Any] | None = None
    segments: tuple[SegmentEntry, ...] = ()
    indexes: tuple[IndexEntry, ...] = ()
    next_id: int = 0
    recall: float = 0.95
    keep_versions: int = 16
    created: str = ""
    operation: str = "create"
    format: int = FORMAT
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def documents(self) -> int:
        return sum(entry.documents for entry in self.segments)

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.segments)

    @property
    def deleted(self) -> int:
        return sum(entry.deleted for entry in self.segments)

    def files(self) -> list[FileRef]:
        """Every file this version needs."""
        refs = []
        for segment in self.segments:
            refs += [segment.file, segment.ids, *([segment.tombstones] if segment.tombstones else [])]
        for index in self.indexes:
            refs += [*index.files, *([index.labels] if index.labels else [])]
        return [*refs, *(self.embedder.files if self.embedder else ())]

    def next(self, operation: str, **changes: Any) -> Manifest:
        """The version that follows this one."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        return replace(self, version=self.version + 1, created=now, operation=operation, format=FORMAT, **changes)


def to_json(manifest: Manifest) -> str:
    body = {item.name: getattr(manifest, item.name) for item in fields(Manifest)}
    body["schema"] = base64.b64encode(manifest.schema.serialize().to_pybytes()).decode()
    body["schema_text"] = {field.name: str(field.type) for field in manifest.schema}  # for people; `schema` decides
    for name in ("segments", "indexes"):
        body[name] = [asdict(entry) for entry in body[name]]
    body["embedder"] = asdict(manifest.embedder) if manifest.embedder else None
    return _with_checksum(body)


def _with_checksum(body: Mapping[str, Any]) -> str:
    text = _canonical(body)
    return f'{{"checksum": "{hashlib.sha256(text.encode()).hexdigest()}",\n"body": {text}}}\n'


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)


def is_as_written(text: str) -> bool:
    """Whether every byte of a readable manifest is as it was written: reading does not look at white space."""
    return _with_checksum(json.loads(text)["body"]) == text


def from_json(text: str, where: str) -> Manifest:
    """Read a manifest. `where` names the file in errors. Raises CorruptedError."""
    try:
        outer = json.loads(text)
        body = outer["body"]
        if hashlib.sha256(_canonical(body).encode()).hexdigest() != outer["checksum"]:
            raise CorruptedError(f"{where} is damaged: its checksum differs; open an older version, or restore a backup")
        if body["format"] > FORMAT:
            raise CorruptedError(
                f"{where} has format {body['format']}, made by a newer vecsearch: upgrade vecsearch to open it"
            )
        body.pop("schema_text")
        body["schema"] = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(body["schema"], validate=True)))
        body["metric"] = Metric(body["metric"])
        with _within("embedder"):
            body["embedder"] = None if body["embedder"] is None else _embedder(body["embedder"])
        body["segments"] = tuple(_each(body["segments"], "segments", _segment))
        body["indexes"] = tuple(_each(body["indexes"], "indexes", _index))
        manifest = _typed(Manifest(**body))
        require_consistent(manifest)
    except MALFORMED as error:
        raise CorruptedError(f"{where} cannot be read: {_said(error)}; open an older version, or restore a backup") from error
    return manifest


MALFORMED = (KeyError, TypeError, ValueError, OverflowError, AttributeError, RecursionError, pa.ArrowException, OSError)
Entry = TypeVar("Entry", FileRef, SegmentEntry, IndexEntry, EmbedderEntry, Manifest)
Read = TypeVar("Read")
PLAIN: dict[str, tuple[type, ...]] = {
    "int": (int,), "float": (float, int), "str": (str,), "str | None": (str, type(None)),
    "Mapping[str, Any]": (dict,), "Mapping[str, Any] | None": (dict, type(None)),
}  # fmt: skip


def _said(error: BaseException) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else f"{error}"[:500] or type(error).__name__


@contextlib.contextmanager
def _within(place: str) -> Iterator[None]:
    """Name the place in a manifest where something is wrong. Raises ValueError."""
    try:
        yield
    except MALFORMED as error:
        raise ValueError(f"{place}: {_said(error)}") from error


def _each(entries: Any, place: str, read: Callable[[dict[str, Any]], Read]) -> Iterator[Read]:
    for number, entry in enumerate(entries):
        with _within(f"{place}[{number}]"):
            yield read(entry)


def _typed(entry: Entry) -> Entry:
    """Hold what was read to its annotations. Raises ValueError."""
    for item in fields(entry):
        value, wanted = getattr(entry, item.name), PLAIN.get(str(item.type))
        if wanted is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            raise ValueError(f"{item.name} is {value!r:.80}, not {item.type}")
        if wanted == (int,) and not 0 <= value <= 2**63:
            raise ValueError(f"{item.name} is {value!r:.80}, which is out of range")
    return entry


def _file(entry: Any, places: tuple[str, ...] = (SEGMENTS, INDEXES)) -> FileRef:
    ref = _typed(FileRef(**entry))
    place, *parts = ref.name.split("/")
    deep = len(parts) >= 2 if place == MODELS else len(parts) == 1
    if place not in places or not deep or {"", ".", ".."} & set(parts) or {"\\", "\0"} & set(ref.name):
        raise ValueError(f"{ref.name!r} is not the name of a file in the collection")
    return ref


def _embedder(entry: dict[str, Any]) -> EmbedderEntry:
    files = tuple(_file(item, (MODELS,)) for item in entry.pop("files", ()))
    if len({ref.name.split("/")[1] for ref in files}) > 1:
        raise ValueError("the files of the embedder lie in several folders")
    return _typed(EmbedderEntry(files=files, **entry))


def _segment(entry: dict[str, Any]) -> SegmentEntry:
    tombstones = None if entry["tombstones"] is None else _file(entry["tombstones"])
    entry.pop("tombstones")
    return _typed(SegmentEntry(file=_file(entry.pop("file")), ids=_file(entry.pop("ids")), tombstones=tombstones, **entry))


def _index(entry: dict[str, Any]) -> IndexEntry:
    entry["files"] = tuple(_file(item) for item in entry["files"])
    entry["covers"] = tuple(entry["covers"])
    entry["labels"] = None if entry["labels"] is None else _file(entry["labels"])
    return _typed(IndexEntry(**entry))


def path_of(root: Path, version: int) -> Path:
    return root / MANIFESTS / f"{version:08d}.json"


def versions(root: Path) -> list[int]:
    """The versions on disk, oldest first."""
    folder = root / MANIFESTS
    with disk.storage_errors("reading", folder):
        try:
            return sorted(int(name[:-5]) for name in os.listdir(folder) if re.fullmatch(r"\d{8,}\.json", name))  # noqa: PTH208  hot
        except (FileNotFoundError, NotADirectoryError):
            return []


def required_versions(root: Path) -> list[int]:
    """The versions on disk, oldest first. Raises CollectionNotFoundError where there are none."""
    present = versions(root)
    if not present:
        raise CollectionNotFoundError(f"there is no collection at {root}: make one with vecsearch.create")
    return present


def load(root: Path, version: int | None = None) -> Manifest:
    """One version, or the latest. Raises CollectionNotFoundError, VersionNotFoundError, CorruptedError, StorageError."""
    for _ in range(100):
        number = _wanted(root, version)
        path = path_of(root, number)
        with disk.storage_errors("reading", path):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue  # collected since the folder was listed: look again
        return _read(content, path, number)
    raise CorruptedError(f"{path} is listed but cannot be found: is it a link to a file that is gone?")


def _wanted(root: Path, version: int | None) -> int:
    present = required_versions(root)
    if version is None:
        return present[-1]
    if version not in present:
        kept = f"{present[0]} to {present[-1]}"
        raise VersionNotFoundError(f"{root} has no version {version}; it keeps versions {kept} (see versions())")
    return version


def _read(content: bytes, path: Path, version: int) -> Manifest:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise CorruptedError(f"{path} is damaged: {error}; open an older version, or restore a backup") from error
    manifest = from_json(text, str(path))
    if manifest.version != version:
        raise CorruptedError(f"{path} says it is version {manifest.version}: it was renamed or replaced")
    return manifest


def commit(root: Path, manifest: Manifest, changed: Iterable[str] = ()) -> None:
    """Make a version the latest, durably. Every file it names is in place; the folders that got new ones are `changed`.

    Raises ConflictError when another writer committed the same number first.
    """
    for folder in changed:
        disk.sync_folder(root / folder)
    temporary = root / MANIFESTS / f".{manifest.version:08d}-{uuid.uuid4().hex}.tmp"
    disk.write_text(temporary, to_json(manifest))
    try:
        disk.publish(temporary, path_of(root, manifest.version))
    except FileExistsError as error:
        raise ConflictError(f"another writer committed version {manifest.version} of {root} first: try again") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
