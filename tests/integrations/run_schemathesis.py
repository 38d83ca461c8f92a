"""Requests made from the server's own description: none is a 500, all answers are as described."""

from __future__ import annotations

import io
import json
import socket
import tempfile
import threading
import time
from pathlib import Path

import pyarrow as pa
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

import vecsearch as vs
from vecsearch.common.media_types import ARROW, NDJSON
from vecsearch.server.app import ServerLimits, create_app
from vecsearch.server.keys import Keys

FOLDER = tempfile.TemporaryDirectory()
ROOT = Path(FOLDER.name, "notes.vs")
WRITER = "writer-0123456789"
DOCUMENTS = [
    {"id": "boat", "text": "a small boat. It is blue.", "year": 1999, "tags": ["a"], "meta": {}},
    {"id": "ship", "text": "a large ship", "year": 2021, "tags": ["a", "b"], "meta": {"x": [1]}},
    {"id": "车", "text": "一辆汽车", "year": None, "tags": None, "meta": None},
]
with vs.create(ROOT, embedder="toy:32", json_columns=["meta"]) as c:
    c.add(DOCUMENTS)

# Bodies as long as they come, for a refusal of their length says nothing of their content.
LIMITS = ServerLimits(body_bytes=64 << 20, measure_seconds=0, seconds=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=4,
)
NAMES = st.sampled_from(["id", "text", "year", "tags", "meta", "vector"]) | st.text(max_size=9)
LINES = st.dictionaries(NAMES, VALUES, max_size=5).map(lambda row: json.dumps(row) + "\n")
BODIES = st.lists(LINES, max_size=4).map("".join).map(str.encode) | st.binary(max_size=50)


def arrow(rows: list[dict[str, object]]) -> bytes:
    """Rows as an Arrow stream."""
    table = pa.Table.from_pylist(rows)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def bent(stream: bytes, at: int) -> bytes:
    """An Arrow stream with one byte changed."""
    at %= len(stream)
    return stream[:at] + bytes([stream[at] ^ 0x11]) + stream[at + 1 :]


STREAM = arrow([{"id": "new", "text": "from Arrow", "year": 1, "tags": ["x"]}])
schemathesis.openapi.media_type(NDJSON, BODIES)
schemathesis.openapi.media_type(ARROW, st.integers(0, 10_000).map(lambda at: bent(STREAM, at)))


@schemathesis.serializer(NDJSON, ARROW)
def as_it_is(context: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


# A schema cannot say which columns and ids there are, so a request may fit it and be wrong.
BEYOND_SCHEMAS = [positive_data_acceptance]
SEEDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=20,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def started(keys: Keys | None) -> str:
    """The address of a server in a thread that ends with this process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = create_app([ROOT], keys=keys, limits=LIMITS)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.02)
    return f"http://127.0.0.1:{port}/v1/openapi.json"


schema = schemathesis.openapi.from_url(started(None))
with_keys = schemathesis.openapi.from_url(
    started(Keys((), (WRITER,))), headers={"Authorization": f"Bearer {WRITER}"}
)


@schema.parametrize()
@SEEDED
def test_without_keys(case: schemathesis.Case) -> None:
    if "name" in case.path_parameters and hash_free(case):
        case.path_parameters["name"] = "notes"
    case.call_and_validate(excluded_checks=BEYOND_SCHEMAS)


@with_keys.parametrize()
@settings(SEEDED, max_examples=1)
def test_with_keys(case: schemathesis.Case) -> None:
    headers = {"Authorization": f"Bearer {WRITER}"}
    case.call_and_validate(headers=headers, excluded_checks=BEYOND_SCHEMAS)


def hash_free(case: schemathesis.Case) -> bool:
    """Whether a request is one of those that go to the collection: most of them."""
    return len(str(case.path_parameters["name"])) % 4 != 0
