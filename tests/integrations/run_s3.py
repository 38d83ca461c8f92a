"""The tests of object storage against an S3 server in this process, and what only it can say."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from storage import test_object_storage
from storage.test_object_storage import *  # noqa: F403  the tests, with other fixtures
from support.objects import machine

import vecsearch as vs

NUMBERS = test_object_storage.NUMBERS


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    address = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT")).close()
    yield address
    running.stop()


@pytest.fixture(autouse=True)
def environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "c.vs"


@pytest.fixture
def place() -> str:
    return f"s3://bucket/{next(NUMBERS)}/papers.vs"


@pytest.fixture
def url(place: str) -> str:
    return place


def test_there_is_no_bucket(tmp_path: Path) -> None:
    with pytest.raises(vs.StorageError, match="there is no such bucket: make it first"):
        vs.create("s3://nowhere/papers.vs", dim=2)
    with pytest.raises(vs.StorageError, match="there is no such bucket"):
        vs.open("s3://nowhere/papers.vs")


def test_the_server_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(vs.StorageError, match=r"listing s3://bucket/x.vs.*did not answer"):
        vs.open("s3://bucket/x.vs")


def test_options_in_the_place_of_the_environment(
    place: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION", "ENDPOINT_URL"):
        monkeypatch.delenv(f"AWS_{name}")
    options = {
        "aws_access_key_id": "somebody",
        "aws_secret_access_key": "secret",
        "aws_region": "us-east-1",
        "aws_endpoint": server,
    }
    vs.create(place, dim=2, storage_options=options).close()
    with machine(place, tmp_path / "b", storage_options=options) as c:
        c.add([[1.0, 0.0]], progress=False)
    assert "secret" not in str(c.path)
