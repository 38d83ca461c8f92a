"""Requests made from the server's own description: none is a 500, all answers are as described."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from pathlib import Path

import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

import vecsearch as vs
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

LIMITS = ServerLimits(measure_seconds=0, seconds=20)
# A schema cannot say which columns and ids there are, so a request may fit it and be wrong.
BEYOND_SCHEMAS = [positive_data_acceptance]
SEEDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
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
@settings(SEEDED, max_examples=5)
def test_with_keys(case: schemathesis.Case) -> None:
    headers = {"Authorization": f"Bearer {WRITER}"}
    case.call_and_validate(headers=headers, excluded_checks=BEYOND_SCHEMAS)


def hash_free(case: schemathesis.Case) -> bool:
    """Whether a request is one of those that go to the collection: most of them."""
    return len(str(case.path_parameters["name"])) % 4 != 0
