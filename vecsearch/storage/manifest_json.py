"""Manifest to JSON and back."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

import pyarrow as pa

from vecsearch.errors import CorruptedError
from vecsearch.storage.disk import FileRef
from vecsearch.storage.layout import INDEXES, MODELS, SEGMENTS
from vecsearch.storage.manifest import FORMAT, EmbedderEntry, IndexEntry, Manifest, SegmentEntry
from vecsearch.storage.manifest_check import require_consistent
from vecsearch.types import Metric


def to_json(manifest: Manifest) -> str:
    body = {item.name: getattr(manifest, item.name) for item in fields(Manifest)}
    body["schema"] = base64.b64encode(manifest.schema.serialize().to_pybytes()).decode()
    body["schema_text"] = {
        field.name: str(field.type) for field in manifest.schema
    }  # for people; `schema` decides
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
            raise CorruptedError(
                f"{where} is damaged: its checksum differs; open an older version, or restore a backup"
            )
        if body["format"] > FORMAT:
            raise CorruptedError(
                f"{where} has format {body['format']}, made by a newer vecsearch: upgrade vecsearch to open it"
            )
        body.pop("schema_text")
        body["schema"] = pa.ipc.read_schema(
            pa.py_buffer(base64.b64decode(body["schema"], validate=True))
        )
        body["metric"] = Metric(body["metric"])
        with _within("embedder"):
            body["embedder"] = None if body["embedder"] is None else _embedder(body["embedder"])
        body["segments"] = tuple(_each(body["segments"], "segments", _segment))
        body["indexes"] = tuple(_each(body["indexes"], "indexes", _index))
        manifest = _typed(Manifest(**body))
        require_consistent(manifest)
    except MALFORMED as error:
        raise CorruptedError(
            f"{where} cannot be read: {_said(error)}; open an older version, or restore a backup"
        ) from error
    return manifest


MALFORMED = (
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    AttributeError,
    RecursionError,
    pa.ArrowException,
    OSError,
)
Entry = TypeVar("Entry", FileRef, SegmentEntry, IndexEntry, EmbedderEntry, Manifest)
Read = TypeVar("Read")
PLAIN: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "str | None": (str, type(None)),
    "Mapping[str, Any]": (dict,),
    "Mapping[str, Any] | None": (dict, type(None)),
}


def _said(error: BaseException) -> str:
    return (
        f"{error} is missing"
        if isinstance(error, KeyError)
        else f"{error}"[:500] or type(error).__name__
    )


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
    if (
        place not in places
        or not deep
        or {"", ".", ".."} & set(parts)
        or {"\\", "\0"} & set(ref.name)
    ):
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
    return _typed(
        SegmentEntry(
            file=_file(entry.pop("file")),
            ids=_file(entry.pop("ids")),
            tombstones=tombstones,
            **entry,
        )
    )


def _index(entry: dict[str, Any]) -> IndexEntry:
    entry["files"] = tuple(_file(item) for item in entry["files"])
    entry["covers"] = tuple(entry["covers"])
    entry["labels"] = None if entry["labels"] is None else _file(entry["labels"])
    return _typed(IndexEntry(**entry))
