"""What the parts of a manifest must have in common, beyond the type of each.

A checksum proves that a manifest is as it was written, not that it makes sense: one that was written by a program with a
mistake, or by somebody else, must not lead a search outside an array or ask for more memory than the collection is large.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from vecsearch.storage.disk import BLOCK, FileRef
from vecsearch.types import CHUNK, END, ID, NORM, START, VECTOR, Metric

if TYPE_CHECKING:
    from vecsearch.storage.manifest import IndexEntry, Manifest, SegmentEntry

LARGEST_DIM = 65_536
LARGEST_EFFORT = 1 << 24  # a search effort sizes a heap
POINT_VALUES = (6, 7)  # effort, depth, k, recall, low, micros, and mostly latency
WIDTH = {"float32": 4, "float16": 2}  # bytes


def require_consistent(manifest: Manifest) -> None:
    """Raises ValueError naming the field."""
    _require(manifest.dtype in WIDTH, f"dtype is {manifest.dtype!r}")
    _require(1 <= manifest.dim <= LARGEST_DIM, f"dim is {manifest.dim}")
    _require(0 < manifest.recall <= 1, f"recall is {manifest.recall!r}")
    _require(manifest.keep_versions >= 1, f"keep_versions is {manifest.keep_versions}")
    _require(manifest.next_id <= 2**63, f"next_id is {manifest.next_id}")
    _check_schema(manifest)
    for number, segment in enumerate(manifest.segments):
        _check_segment(segment, manifest, f"segments[{number}]")
    for number, index in enumerate(manifest.indexes):
        _check_index(index, f"indexes[{number}]")
    for number, ref in enumerate(manifest.files()):
        _check_file(ref, f"file {number}")


def _require(true: bool, message: str) -> None:
    if not true:
        raise ValueError(message)


def _check_schema(manifest: Manifest) -> None:
    schema = manifest.schema
    value = pa.float16() if manifest.dtype == "float16" else pa.float32()
    wanted = {VECTOR: pa.list_(pa.field("item", value, nullable=False), manifest.dim)}
    if manifest.metric is Metric.COSINE:
        wanted[NORM] = pa.float32()
    if manifest.chunker is not None:
        wanted |= dict.fromkeys((CHUNK, START, END), pa.int32())
    _require(len(set(schema.names)) == len(schema.names), "schema: a column stands twice")
    _require(ID in schema.names, f"schema: there is no column {ID!r}")
    _require(
        schema.field(ID).type in (pa.int64(), pa.large_string()),
        f"schema: column {ID!r} is {schema.field(ID).type}",
    )
    for name, kind in wanted.items():
        _require(name in schema.names, f"schema: there is no column {name!r}")
        _require(
            schema.field(name).type == kind,
            f"schema: column {name!r} is {schema.field(name).type}, not {kind}",
        )
        _require(not schema.field(name).nullable, f"schema: column {name!r} may have nulls")
    for name in {NORM, CHUNK} & set(schema.names):
        _require(name in wanted, f"schema: column {name!r} does not belong to such a collection")
    text = manifest.text_column
    _require(text is None or text in schema.names, f"text_column is {text!r}, which is no column")
    _require(
        text is None or schema.field(text).type == pa.large_string(),
        f"text_column: {text!r} does not hold texts",
    )


def _check_segment(entry: SegmentEntry, manifest: Manifest, where: str) -> None:
    least = entry.rows * manifest.dim * WIDTH[manifest.dtype]
    _require(
        least <= entry.file.bytes,
        f"{where}.rows: {entry.rows} rows do not fit into {entry.file.bytes} bytes",
    )
    _require(entry.deleted <= entry.rows, f"{where}.deleted: {entry.deleted} of {entry.rows} rows")
    _require(
        entry.documents <= entry.live, f"{where}.documents: {entry.documents} in {entry.live} rows"
    )
    _require(
        entry.tombstones is not None or not entry.deleted,
        f"{where}.deleted is {entry.deleted} without tombstones",
    )


def _check_index(entry: IndexEntry, where: str) -> None:
    _require(bool(entry.files), f"{where}.files is empty")
    _require(
        all(isinstance(name, str) for name in entry.covers),
        f"{where}.covers has something that is no name",
    )
    _check_calibration(entry.calibration, entry.rows, f"{where}.facts")


def _check_calibration(calibration: Mapping[str, Any], rows: int, where: str) -> None:
    """What was measured of an index: plans are made of it, and arrays of the sizes it says."""
    for name in ("seed", "queries", "threads"):
        value = calibration.get(name, 0)
        _require(type(value) is int and 0 <= value < 2**63, f"{where}.{name} is {value!r}")
    micros = calibration.get("exact_micros_per_row", 0.25)
    _require(_number(micros) and micros >= 0, f"{where}.exact_micros_per_row is {micros!r}")
    _check_surface(calibration, rows, 1, where)
    codes = calibration.get("codes", {})
    _require(isinstance(codes, dict), f"{where}.codes is {codes!r:.80}")
    micros = codes.get("micros_per_row", 0.02)
    _require(_number(micros) and micros >= 0, f"{where}.codes.micros_per_row is {micros!r}")
    _check_surface(codes, rows, 0, f"{where}.codes")


def _check_surface(
    calibration: Mapping[str, Any], rows: int, least_effort: int, where: str
) -> None:
    surface = calibration.get("surface", [])
    _require(isinstance(surface, list), f"{where}.surface is {surface!r:.80}")
    for number, point in enumerate(surface):
        at = f"{where}.surface[{number}]"
        _require(
            isinstance(point, list) and len(point) in POINT_VALUES and all(map(_number, point)),
            f"{at} is {point!r:.80}",
        )
        effort, depth, k = point[:3]
        _require(all(type(value) is int for value in (effort, depth, k)), f"{at} is {point!r:.80}")
        _require(
            least_effort <= effort <= LARGEST_EFFORT and 0 < k <= depth <= max(rows, 1),
            f"{at} is {point!r:.80}",
        )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_file(ref: FileRef, where: str) -> None:
    wanted = 8 * -(-ref.bytes // BLOCK)
    _require(
        len(ref.crc32) == wanted,
        f"{where} ({ref.name}): {ref.bytes} bytes have {wanted} digits of checksums",
    )
    _require(
        re.fullmatch("[0-9a-f]*", ref.crc32) is not None,
        f"{where} ({ref.name}): the checksums are not hexadecimal",
    )
