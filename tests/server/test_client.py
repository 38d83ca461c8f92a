"""`vs.connect` against a server in a process of its own, which is also killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

import vecsearch as vs

KEY = "writer-0123456789"
DOCUMENTS = [
    {"id": "boat", "text": "a small boat", "year": 1999},
    {"id": "ship", "text": "a large ship", "year": 2021},
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    vs.create(tmp_path / "notes.vs", embedder="toy:32").add(DOCUMENTS)
    return tmp_path / "notes.vs"


class Server:
    """`vecsearch serve` at a free port."""

    def __init__(self, root: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        program = "from vecsearch.cli import main; main()"
        command = [sys.executable, "-c", program, "serve", str(root)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            if self.process.poll() is not None:
                raise AssertionError(self.process.communicate()[0])
            time.sleep(0.05)
        self.address = f"http://127.0.0.1:{self.port}/notes"

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture
def server(root: Path) -> Iterator[Server]:
    server = Server(root)
    yield server
    if server.process.poll() is None:
        server.stop(signal.SIGKILL)


def test_the_client_does_what_a_collection_does(server: Server, root: Path) -> None:
    with vs.connect(server.address) as remote, vs.open(root) as c:
        hits, expected = remote.search("a ship", k=2), c.search("a ship", k=2)
        assert (hits.ids, hits.scores) == (expected.ids, list(expected.scores))
        assert hits[0]["year"] == 2021 and hits[:1].ids == ["ship"] and "exact" in hits.plan
        assert remote.search("boat", where="year > 2000", columns=["year"])[0].columns == {
            "id": "ship",
            "year": 2021,
        }
        assert remote.search(c.vector("boat"), k=1).ids == ["boat"]
        assert remote.get(["ship", "no"], ["year"]) == [{"year": 2021}, None]
        assert len(remote) == 2 and remote.info()["recall"]["target"] == 0.95

        assert remote.add([{"id": "车", "text": "汽车", "year": 1}])["added"] == 1
        table = pa.table({"id": ["z"], "text": ["zeppelin"], "year": [2]})
        assert remote.add(table)["version"] == 4
        assert remote.delete(["z", "no"])["missing"] == 1
        assert remote.delete(where="year = 1", dry_run=True)["deleted"] == 1
        assert c.refresh().get("车")[0] is not None

        with pytest.raises(vs.FilterError, match="did you mean 'year'"):
            remote.search("x", where="yeer = 1")
        with pytest.raises(vs.DuplicateIdError, match="'boat'"):
            remote.add(DOCUMENTS)
        with pytest.raises(vs.InvalidInputError):
            remote.search("x", k=0)
        with pytest.raises(TypeError):
            list(remote)
        with ThreadPoolExecutor(8) as pool:
            many = list(pool.map(lambda _: remote.search("a ship", k=2).ids, range(40)))
        assert many == [c.search("a ship", k=2).ids] * 40
    with (
        vs.connect(server.address.replace("notes", "nothing")) as remote,
        pytest.raises(vs.CollectionNotFoundError, match="this server has notes"),
    ):
        remote.info()
    assert server.stop() == 0  # SIGTERM: all is closed
    with vs.connect(server.address) as remote, pytest.raises(vs.StorageError, match="reached"):
        remote.info()


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000/notes",
        "http://localhost:8000",
        "ftp://x/notes",
        "http://x/a/b",
        "http://user:pass@x/a",
        "http://x/a?key=1",
    ],
)
def test_wrong_addresses(address: str) -> None:
    with pytest.raises(vs.InvalidInputError, match="address"):
        vs.connect(address)


def test_a_key_goes_to_its_server_only(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"write {KEY}\n")
    keys.chmod(0o600)
    server = Server(root, "--api-key-file", str(keys))
    try:
        with (
            vs.connect(server.address) as remote,
            pytest.raises(vs.InvalidInputError, match="send a key"),
        ):
            remote.info()
        with vs.connect(server.address, key=KEY) as remote:
            assert len(remote) == 2
        monkeypatch.setenv("VECSEARCH_API_KEY", KEY)
        with vs.connect(server.address) as remote:
            assert len(remote) == 2 and KEY not in repr(remote)
    finally:
        server.stop()
    with pytest.raises(vs.InvalidInputError, match="use https"):
        vs.connect("http://example.org/notes")


def test_a_server_killed_while_it_adds_leaves_the_collection(server: Server, root: Path) -> None:
    before = vs.open(root).to_arrow()
    rows = [{"id": f"n{n}", "text": f"number {n} " * 50, "year": n} for n in range(20_000)]
    with vs.connect(server.address) as remote, ThreadPoolExecutor(1) as pool:
        adding = pool.submit(remote.add, rows)
        staging = root / "staging"
        for _ in range(3000):
            if staging.exists() and any(staging.iterdir()):
                break
            time.sleep(0.01)
        os.kill(server.process.pid, signal.SIGKILL)
        with pytest.raises(vs.StorageError):
            adding.result()
    with vs.open(root) as c:
        assert c.to_arrow().equals(before) and not c.check()
        assert c.add([{"id": "after", "text": "fine", "year": 1}]).added == 1
