"""The tests of object storage with gs:// URLs.

There is no free server that speaks the XML language of Google Cloud Storage. It is S3's language
but for the names of a few headers. So moto's S3 server answers, behind a translation of those.
"""

from __future__ import annotations

import json
import logging
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from storage import test_object_storage
from storage.test_object_storage import *  # noqa: F403  the tests, with other fixtures
from werkzeug.serving import make_server

import vecsearch as vs

NUMBERS = test_object_storage.NUMBERS
Start = Callable[..., Any]
# moto reads nothing from it but the service.
SIGNED = "AWS4-HMAC-SHA256 Credential=somebody/20260101/us-east-1/s3/aws4_request, Signature=0"


class Translated:
    """An S3 server that is asked in the language of Google Cloud Storage.

    `x-goog-if-generation-match: 0` is S3's `If-None-Match: *`, and each answer names a generation.
    """

    def __init__(self) -> None:
        self._s3 = DomainDispatcherApplication(create_backend_app)
        self.conditional = 0

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        environ["HTTP_AUTHORIZATION"] = SIGNED
        generation = environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None)
        if generation is not None:
            assert generation == "0", "only new names are asked for"
            environ["HTTP_IF_NONE_MATCH"] = "*"
            self.conditional += 1

        def answer(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start(status, [*headers, ("x-goog-generation", "1")], *rest)

        return self._s3(environ, answer)


@pytest.fixture(scope="session")
def translated() -> Translated:
    return Translated()


@pytest.fixture(scope="session")
def server(translated: Translated) -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = make_server("127.0.0.1", 0, translated, threaded=True)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{running.port}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT")).close()
    yield address
    running.shutdown()


@pytest.fixture(autouse=True)
def environment(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = tmp_path / "account.json"
    given = {"gcs_base_url": server, "disable_oauth": True, "client_email": "somebody"}
    account.write_text(json.dumps({**given, "private_key": "", "private_key_id": ""}))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(account))
    monkeypatch.setenv("GOOGLE_ALLOW_HTTP", "true")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "c.vs"


@pytest.fixture
def place() -> str:
    return f"gs://bucket/{next(NUMBERS)}/papers.vs"


@pytest.fixture
def url(place: str) -> str:
    return place


def test_a_commit_is_conditional(place: str, translated: Translated) -> None:
    before = translated.conditional
    with vs.create(place, dim=2) as c:
        c.add([[1.0, 0.0]], progress=False)
    assert translated.conditional - before >= 2


def test_there_is_no_bucket() -> None:
    with pytest.raises(vs.StorageError, match="there is no such bucket: make it first"):
        vs.create("gs://nowhere/papers.vs", dim=2)
    with pytest.raises(vs.StorageError, match="there is no such bucket"):
        vs.open("gs://nowhere/papers.vs")
