"""Write a manifest as JSON, and read it back.

A file holds `{"checksum": C, "body": {...}}`. C is the SHA-256 of the bytes of the body as they are
in the file. The body is compact, because Python's encoder is many times slower with an indent.
Older manifests have a body indented by one space; one of them that was formatted again has its
checksum, too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
import pyarrow as pa

from vecsearch.common.json_column import type_name
from vecsearch.errors import CorruptedError
from vecsearch.storage.disk import FileRef
from vecsearch.storage.layout import CALIBRATION_KEY
from vecsearch.storage.manifest import FORMAT, IndexEntry, Manifest, SegmentEntry
from vecsearch.storage.manifest_check import require_consistent

_WRITTEN = re.compile(
    r'\{"checksum": "(?P<checksum>[0-9a-f]{64})",\n"body": (?P<body>\{.*\})\}\n', re.DOTALL
)
MALFORMED = (
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    AttributeError,
    RecursionError,
    msgspec.MsgspecError,
    pa.ArrowException,
    OSError,
)


def to_json(manifest: Manifest) -> str:
    """The text of a manifest file."""
    types = {field.name: type_name(field.type) for field in manifest.schema}
    body = _plain(manifest) | {"schema_text": types}  # for people; `schema` decides
    if not manifest.identity:  # formats 1 and 2 have none
        del body["identity"]
    if not manifest.lead_columns:  # a field of collections with several columns of text
        del body["lead_columns"]
    if not manifest.vector_indexes:  # of named vectors
        del body["vector_indexes"]
    if not manifest.commit:  # a field of collections in object storage
        del body["commit"]
    if manifest.full_text is None:
        del body["full_text"]
    if manifest.shards == 1:
        del body["shards"]
    return sign(body)


def sign(body: Mapping[str, Any]) -> str:
    """The text of a manifest file with this body."""
    text = json.dumps(
        body,
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
        default=_plain,
    )
    return f'{{"checksum": "{_checksum(text)}",\n"body": {text}}}\n'


def is_as_written(text: str) -> bool:
    """Whether every byte of a readable manifest is as written."""
    found = _WRITTEN.fullmatch(text)
    return found is not None and _checksum(found["body"]) == found["checksum"]


def from_json(text: str, where: str) -> Manifest:
    """Read a manifest.

    Args:
        text: What `to_json` returned.
        where: The file, for error messages.

    Raises:
        CorruptedError: The checksum differs, the format is newer than this version of vecsearch
            reads, or a value is not what a manifest may hold.
    """
    try:
        outer = json.loads(text)
        body = outer["body"]
        if not is_as_written(text) and _checksum(_indented(body)) != outer["checksum"]:
            raise CorruptedError(
                f"{where} is damaged: its checksum differs; "
                "open an older version, or restore a backup"
            )
        if body["format"] > FORMAT:
            raise CorruptedError(
                f"{where} has format {body['format']}, which a newer vecsearch wrote: "
                "upgrade vecsearch to open it"
            )
        del body["schema_text"]
        manifest = msgspec.convert(body, Manifest, dec_hook=_decode_schema)
        try:
            require_consistent(manifest)
        except CorruptedError as error:  # of a column, which does not know the file
            raise CorruptedError(f"{where}: {error}") from error
    except MALFORMED as error:
        raise CorruptedError(
            f"{where} cannot be read: {_reason(error)}; open an older version, or restore a backup"
        ) from error
    return manifest


def _indented(body: Any) -> str:
    """The body as older versions wrote it and computed its checksum."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A struct or a schema as JSON has it."""
    if isinstance(value, pa.Schema):
        return base64.b64encode(value.serialize().to_pybytes()).decode()
    plain = {on_disk: getattr(value, name) for on_disk, name in _fields(value.__class__)}
    if isinstance(value, IndexEntry):  # it has one of the two
        del plain[CALIBRATION_KEY if value.inline_calibration is None else "calibration"]
    elif isinstance(value, FileRef) and not value.sums:
        del plain["sums"]
    elif isinstance(value, SegmentEntry):
        if not value.columns:  # of segments in several files
            del plain["columns"]
        if value.text is None:
            del plain["text"]
        if not value.shard:
            del plain["shard"]
    return plain


@cache
def _fields(kind: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """The names of a struct's fields on disk and in Python."""
    return [(field.encode_name, field.name) for field in msgspec.structs.fields(kind)]


def _decode_schema(_: type, text: Any) -> pa.Schema:
    """`Manifest.schema`, the one field that msgspec does not know."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))


def _reason(error: BaseException) -> str:
    """What is wrong, after the path of the value: "indexes[0].covers: expected `array`, ..."."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    text = str(error) or type(error).__name__
    found = re.fullmatch(r"(.*) - at `\$\.?(.*)`", text, re.DOTALL)
    if found is not None:
        text = f"{found[2]}: {found[1][:1].lower()}{found[1][1:]}"
    return text[:500]
