"""Results -> JSON or an Arrow stream."""

from __future__ import annotations

import base64
import datetime
import decimal
import io
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa

    from vecsearch.query.results import Hits

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"


def wants_arrow(accept: str | None) -> bool:
    """Whether a client asks for Arrow."""
    return any(part.partition(";")[0].strip() == ARROW for part in (accept or "").split(","))


def as_json(value: Any) -> bytes:
    """A value as JSON. Dates are in ISO 8601, bytes in base64, NaN and infinities are null."""
    return msgspec.json.encode(_plain(value))


def as_arrow(table: pa.Table) -> bytes:
    """A table as an Arrow IPC stream."""
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def hits_as_json(
    hits: Hits, columns: Sequence[str] | None, *, plan: bool, highlight: bool
) -> bytes:
    """Rank, score and columns of each hit, and the plan and highlights if they are wanted."""
    rows = [hit.to_dict(columns) for hit in hits]
    shown: dict[str, Any] = {"hits": rows}
    if plan:
        shown["plan"] = hits.plan.to_dict() | {"text": str(hits.plan)}
    if highlight:
        shown["highlights"] = [
            each and {"text": each.text, "sentence": each.sentence, "words": each.words}
            for each in hits.highlights()
        ]
    return as_json(shown)


def _plain(value: Any) -> Any:
    """A value of types that JSON has."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if hasattr(value, "tolist"):  # numpy
        return _plain(value.tolist())
    return str(value)
