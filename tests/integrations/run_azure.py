"""The tests of object storage against Azurite, Microsoft's emulator of Azure Blob Storage.

It is a program of Node.js: `azurite-blob` on the path, or installed by npm into build/envs/azurite.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from storage import test_object_storage
from storage.test_object_storage import *  # noqa: F403  the tests, with other fixtures
from support.objects import machine

import vecsearch as vs

NUMBERS = test_object_storage.NUMBERS
FOLDER = Path(__file__).parents[2] / "build" / "envs" / "azurite"
# The account that every Azurite has; Microsoft publishes its key.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def program() -> str:
    """The path of azurite-blob; skips the tests if it cannot be installed."""
    inside = FOLDER / "node_modules" / ".bin" / "azurite-blob"
    found = shutil.which("azurite-blob") or (str(inside) if inside.exists() else None)
    if found:
        return found
    if shutil.which("npm") is None:
        pytest.skip("Azurite cannot be installed: there is no npm")
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(FOLDER), "azurite@3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode or not inside.exists():
        pytest.skip(f"Azurite cannot be installed: {done.stderr[-300:]}")
    return str(inside)


def make_container(address: str, name: str) -> None:
    """Ask for a container, with the signature that the service wants (Shared Key)."""
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    version = "2021-08-06"
    signed = (
        "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n"
        f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    )
    digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
    headers = {
        "x-ms-date": date,
        "x-ms-version": version,
        "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}",
        "Content-Length": "0",
    }
    url = f"{address}/{ACCOUNT}/{name}?restype=container"
    urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers)).close()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    running = subprocess.Popen(
        [program(), *options, "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for attempt in range(100):
            try:
                make_container(address, "bucket")
                break
            except urllib.error.URLError:
                assert running.poll() is None, "Azurite ended"
                assert attempt < 99, "Azurite did not start"
                time.sleep(0.2)
        yield address
    finally:
        running.kill()
        running.wait()


@pytest.fixture(autouse=True)
def environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", server)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "c.vs"


@pytest.fixture
def place() -> str:
    return f"az://bucket/{next(NUMBERS)}/papers.vs"


@pytest.fixture
def url(place: str) -> str:
    return place


def test_there_is_no_container() -> None:
    with pytest.raises(vs.StorageError, match="there is no such bucket: make it first"):
        vs.create("az://nowhere/papers.vs", dim=2)
    with pytest.raises(vs.StorageError, match="there is no such bucket"):
        vs.open("az://nowhere/papers.vs")


def test_the_server_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", "http://127.0.0.1:9")
    with pytest.raises(vs.StorageError, match=r"listing az://bucket/x.vs.*did not answer"):
        vs.open("az://bucket/x.vs")


def test_a_wrong_key_is_named(place: str, server: str) -> None:
    options = {
        "account_name": ACCOUNT,
        "account_key": base64.b64encode(b"another key").decode(),
        "endpoint": f"{server}/{ACCOUNT}",
    }
    with pytest.raises(vs.StorageError, match=r"permission denied.*check the credentials"):
        vs.open(place, storage_options=options)


def test_options_in_the_place_of_the_environment(
    place: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_USE_EMULATOR")
    monkeypatch.delenv("AZURITE_BLOB_STORAGE_URL")
    options = {
        "account_name": ACCOUNT,
        "account_key": KEY,
        "endpoint": f"{server}/{ACCOUNT}",
    }
    vs.create(place, dim=2, storage_options=options).close()
    with machine(place, tmp_path / "b", storage_options=options) as c:
        c.add([[1.0, 0.0]], progress=False)
    assert KEY not in str(c.path)
