"""Results -> JSON or an Arrow stream."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from vecsearch.common.json_values import plain
from vecsearch.common.media_types import ARROW

if TYPE_CHECKING:
    import pyarrow as pa

    from vecsearch.query.explain import Explanation
    from vecsearch.query.results import Hits


def wants_arrow(accept: str | None) -> bool:
    """Whether a client asks for Arrow."""
    return any(part.partition(";")[0].strip() == ARROW for part in (accept or "").split(","))


def as_json(value: Any) -> bytes:
    """A value as JSON. Dates are in ISO 8601, bytes in base64, NaN and infinities are null."""
    return msgspec.json.encode(plain(value))


def as_arrow(table: pa.Table) -> bytes:
    """A table as an Arrow IPC stream."""
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def arrow_parts(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """Batches as an Arrow IPC stream, part by part."""
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()


def hits_as_dict(
    hits: Hits, columns: Sequence[str] | None, *, plan: bool, highlight: bool
) -> dict[str, Any]:
    """Rank, score and columns of each hit, and the plan and highlights if they are wanted."""
    shown: dict[str, Any] = {"hits": [hit.to_dict(columns) for hit in hits]}
    if plan:
        shown["plan"] = hits.plan.to_dict() | {"text": str(hits.plan)}
    if highlight:
        shown["highlights"] = [
            each
            and {
                "text": each.text,
                "sentence": each.sentence,
                "words": each.words,
                "page": hit.page,
                "line": hit.line,
            }
            for hit, each in zip(hits, hits.highlights(), strict=True)
        ]
    return shown


def explanation(why: Explanation) -> dict[str, Any]:
    """All of an explanation; `says` is its text."""
    return asdict(why) | {"says": str(why)}
