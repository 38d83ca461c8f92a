"""Whether the parts of a manifest fit together.

The types are checked when a manifest is decoded, and its checksum shows that it is as written. It
may still be wrong: written by a program with a bug, or by somebody else. Such a manifest must not
make a search read outside an array, or allocate more memory than the collection needs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from vecsearch.common.arguments import MOST_SHARDS
from vecsearch.common.json_column import is_json
from vecsearch.storage.disk import BLOCK, FileRef
from vecsearch.storage.layout import (
    CALIBRATION_KEY,
    INDEXES,
    LARGEST_SAMPLE,
    MODELS,
    REQUESTS_SETTING,
    ROW_COLUMNS,
    SAMPLE_SETTING,
    SEGMENTS,
)
from vecsearch.storage.manifest import IndexEntry, Manifest, SegmentEntry
from vecsearch.storage.named_vectors import vector_columns
from vecsearch.storage.schema import DTYPES, ID_TYPES, TEXT_TYPES, system_fields
from vecsearch.types import AUTO, CHUNK, HEAD, ID, NORM, TEXT_NUMBER

LARGEST_DIM = 65_536
LARGEST_EFFORT = 1 << 24  # a search effort sizes a heap
MOST_POINTS = 10_000  # operating points of an index; a build measures some hundred
POINT_VALUES = (6, 7, 9)  # effort, depth, k, recall, low, micros; latency; aim, farthest
MOST_STEPS = 100  # efforts of a point


def require_consistent(manifest: Manifest) -> None:
    """Raises ValueError naming the field."""
    _require(manifest.dtype in DTYPES, f"dtype is {manifest.dtype!r}")
    _require(1 <= manifest.dim <= LARGEST_DIM, f"dim is {manifest.dim}")
    _require(0 < manifest.recall <= 1, f"recall is {manifest.recall!r}")
    _require(manifest.keep_versions >= 1, f"keep_versions is {manifest.keep_versions}")
    _require(manifest.next_id <= 2**63, f"next_id is {manifest.next_id}")
    sample = manifest.settings.get(SAMPLE_SETTING, 0)
    _require(
        type(sample) is int and 0 <= sample <= LARGEST_SAMPLE,
        f"settings.{SAMPLE_SETTING} is {sample!r:.80}",
    )
    requests = manifest.settings.get(REQUESTS_SETTING, {})
    _require(
        isinstance(requests, Mapping)
        and all(
            isinstance(each, list) and len(each) == 5 and all(type(n) is int for n in each)
            for each in requests.values()
        ),
        f"settings.{REQUESTS_SETTING} is {requests!r:.80}",
    )
    read = manifest.settings.get(ROW_COLUMNS, [])
    _require(
        isinstance(read, list | tuple)
        and all(isinstance(name, str) for name in read)
        and not (read and manifest.text_columns),
        f"settings.{ROW_COLUMNS} is {read!r:.80}",
    )
    is_open = manifest.settings.get("open_schema") is True
    _require(
        is_open or set(read) <= set(manifest.schema.names),
        f"settings.{ROW_COLUMNS} names a column that is not there",
    )
    for path, ref in manifest.located_files():
        _check_file(ref, path)
    _check_schema(manifest)
    for number, segment in enumerate(manifest.segments):
        _check_segment(segment, manifest, f"segments[{number}]")
    for path, index in manifest.located_indexes():
        _check_index(index, path)
    strange = set(manifest.vector_indexes) - set(vector_columns(manifest.schema))
    _require(not strange, f"vector_indexes: {sorted(strange)!r:.80} hold no vectors")
    _check_full_text(manifest)
    _check_shards(manifest)
    models = (
        {ref.name.split("/")[1] for ref in manifest.embedder.files} if manifest.embedder else ()
    )
    _require(len(models) <= 1, "embedder.files are in several folders")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _check_schema(manifest: Manifest) -> None:
    schema = manifest.schema
    wanted = _system_fields(manifest)
    _require(len(set(schema.names)) == len(schema.names), "schema: two columns have the same name")
    _require(len(schema) > 0, "schema: there are no columns")
    own_names = manifest.format > 2  # of the user, for the ids
    _require(own_names or schema.names[0] == ID, f"schema: the first column is not {ID!r}")
    _require(
        manifest.id_type in ID_TYPES, f"schema: column {schema.names[0]!r} is {manifest.id_type}"
    )
    _require(not schema.field(0).nullable, f"schema: column {schema.names[0]!r} may have nulls")
    for name, kind in wanted.items():
        _require(name in schema.names, f"schema: there is no column {name!r}")
        _require(
            schema.field(name).type == kind,
            f"schema: column {name!r} is {schema.field(name).type}, not {kind}",
        )
        if name != HEAD:
            _require(not schema.field(name).nullable, f"schema: column {name!r} may have nulls")
    for name in {NORM, CHUNK, *((TEXT_NUMBER,) if own_names else ())} & set(schema.names):
        _require(name in wanted, f"schema: column {name!r} does not belong to such a collection")
    texts = manifest.text_columns
    _require(bool(texts) or not manifest.lead_columns, "lead_columns without text_column")
    _require(len({schema.names[0], *texts}) == len(texts) + 1, f"text columns repeat: {texts}")
    for name in texts:
        where = "text_column" if name == manifest.text_column else "lead_columns"
        _require(name in schema.names, f"{where} is {name!r}, which is no column")
        allowed = TEXT_TYPES if len(texts) == 1 else TEXT_TYPES[:1]
        _require(schema.field(name).type in allowed, f"{where}: {name!r} does not hold texts")


def _check_full_text(manifest: Manifest) -> None:
    entry = manifest.full_text
    if entry is None:
        _require(
            all(segment.text is None for segment in manifest.segments),
            "segments have postings without full_text",
        )
        return
    columns = manifest.text_columns if entry.columns is None else entry.columns
    _require(bool(columns) and len(set(columns)) == len(columns), f"full_text.columns: {columns!r}")
    for name in columns:
        fits = name in manifest.schema.names and (
            is_json(manifest.schema.field(name).type)
            if entry.analyzer.get("weights")
            else manifest.schema.field(name).type == pa.large_string()
        )
        _require(fits, f"full_text.columns: {name!r:.80} does not hold texts")
    options = {**entry.analyzer, **(entry.fusion or {})}
    for name, value in options.items():
        _require(
            isinstance(value, str | bool | int | float | type(None)),
            f"full_text.{name} is {value!r:.80}",
        )


def _check_shards(manifest: Manifest) -> None:
    numbers = [segment.shard for segment in manifest.segments]
    _require(1 <= manifest.shards <= MOST_SHARDS, f"shards is {manifest.shards}")
    last = max(numbers, default=0)
    _require(last < manifest.shards, f"a segment is in shard {last} of {manifest.shards}")
    _require(numbers == sorted(numbers), "segments are not in the order of their shards")


def _is_chunked(manifest: Manifest) -> bool:
    """Whether rows are passages; the chunker "auto" makes them so with the first long text."""
    chunker = manifest.chunker
    return chunker is not None and (chunker.get("kind") != AUTO or manifest.chunked)


def _system_fields(manifest: Manifest) -> dict[str, pa.DataType]:
    """The columns that are vecsearch's own."""
    return {
        field.name: field.type
        for field in system_fields(
            manifest.metric,
            manifest.dim,
            manifest.dtype,
            chunked=_is_chunked(manifest),
            texts=len(manifest.text_columns),
            heads=HEAD in manifest.schema.names,
        )
    }


def _check_segment(entry: SegmentEntry, manifest: Manifest, where: str) -> None:
    vector_bytes = entry.rows * manifest.dim * DTYPES[manifest.dtype].bit_width // 8
    _require(
        vector_bytes <= entry.file.bytes,
        f"{where}.rows: {entry.rows} rows do not fit into {entry.file.bytes} bytes",
    )
    names = [ref.name for ref in entry.files]
    _require(len(set(names)) == len(names), f"{where}.columns: {names[-1]!r} is there twice")
    fixed = {manifest.id_column, *_system_fields(manifest)}
    for number, part in enumerate(entry.columns):
        _require(
            bool(part.names)
            and len(set(part.names)) == len(part.names)
            and not set(part.names) & fixed,
            f"{where}.columns[{number}].names are {part.names!r:.80}",
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
    inline = entry.inline_calibration
    _require(
        (inline is None) != (entry.calibration is None),
        f"{where} has {'no' if inline is None else 'more than one'} calibration",
    )
    if inline is not None:
        check_calibration(inline, entry.rows, f"{where}.{CALIBRATION_KEY}.")


def check_calibration(calibration: Mapping[str, Any], rows: int, where: str) -> None:
    """The planner reads these values, and a search allocates arrays of the sizes they give.

    Raises ValueError naming the value, after `where`.
    """
    for name in ("seed", "queries", "threads", "memory_bytes"):
        value = calibration.get(name, 0)
        _require(type(value) is int and 0 <= value < 2**63, f"{where}{name} is {value!r}")
    target, words = calibration.get("target", 0.0), calibration.get("calibrated_on", "")
    _require(_is_number(target) and 0 <= target <= 1, f"{where}target is {target!r:.80}")
    _require(isinstance(words, str), f"{where}calibrated_on is {words!r:.80}")
    micros = calibration.get("exact_micros_per_row", 0.25)
    _require(_is_number(micros) and micros >= 0, f"{where}exact_micros_per_row is {micros!r}")
    _check_points(calibration, rows, 1, where)
    codes = calibration.get("codes", {})
    _require(isinstance(codes, dict), f"{where}codes is {codes!r:.80}")
    micros = codes.get("micros_per_row", 0.02)
    _require(_is_number(micros) and micros >= 0, f"{where}codes.micros_per_row is {micros!r}")
    _check_points(codes, rows, 0, f"{where}codes.")


def _check_points(calibration: Mapping[str, Any], rows: int, least_effort: int, where: str) -> None:
    """The operating points of an index."""
    points = calibration.get("surface", [])
    fits = isinstance(points, list) and len(points) <= MOST_POINTS
    _require(fits, f"{where}surface is {points!r:.80}")
    for number, point in enumerate(points):
        if not _is_point(point, rows, least_effort):
            raise ValueError(f"{where}surface[{number}] is {point!r:.80}")


def _is_point(point: Any, rows: int, least_effort: int) -> bool:
    """Whether a value is an operating point: numbers, its steps, a number, an effort, a rank."""
    if not isinstance(point, list):
        return False
    numbers, more = point[: POINT_VALUES[-1]], point[POINT_VALUES[-1] :]
    if len(numbers) not in POINT_VALUES or not all(map(_is_number, numbers)):
        return False
    effort, depth, k = numbers[:3]
    return (
        type(effort) is type(depth) is type(k) is int
        and least_effort <= effort <= LARGEST_EFFORT
        and 0 < k <= depth <= max(rows, 1)
        and len(more) <= 4
        and (not more or _are_steps(more[0], effort))
        and all(map(_is_number, more[1:2]))
        and all(type(far) is int and 0 <= far <= LARGEST_EFFORT for far in more[2:3])
        and all(type(rank) is int and (not rank or k <= rank <= rows) for rank in more[3:])
    )


def _are_steps(steps: Any, effort: int) -> bool:
    """Whether a value is efforts, ascending from one, each with a contrast; or none at all."""
    if not isinstance(steps, list) or len(steps) > MOST_STEPS:
        return False
    last = effort
    for step in steps:
        if not (isinstance(step, list) and len(step) == 2):
            return False
        larger, contrast = step
        if type(larger) is not int or not last <= larger <= LARGEST_EFFORT:
            return False
        if not _is_number(contrast):
            return False
        last = larger
    return True


def _is_number(value: Any) -> bool:
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) is float and math.isfinite(value)


def _check_file(ref: FileRef, where: str) -> None:
    """The name lies inside the collection, and there is a checksum for each block."""
    folder, *parts = ref.name.split("/")
    if where.startswith("embedder"):
        in_place = folder == MODELS and len(parts) >= 2
    else:
        in_place = folder in (SEGMENTS, INDEXES) and len(parts) == 1
    _require(
        in_place and not {"", ".", ".."} & set(parts) and not {"\\", "\0"} & set(ref.name),
        f"{where}: {ref.name!r} is not the name of a file in the collection",
    )
    _require(not (ref.crc32 and ref.sums), f"{where} ({ref.name}): it has checksums twice")
    wanted = 0 if ref.sums else 8 * -(-ref.bytes // BLOCK)
    _require(
        len(ref.crc32) == wanted,
        f"{where} ({ref.name}): {ref.bytes} bytes have {wanted} digits of checksums",
    )
    _require(
        re.fullmatch("[0-9a-f]*", ref.crc32) is not None,
        f"{where} ({ref.name}): the checksums are not hexadecimal",
    )
