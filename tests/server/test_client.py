"""`vs.connect` against a server in a process of its own, which is also killed."""

from __future__ import annotations

import datetime as dt
import decimal
import inspect
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.server.run import serve

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

        assert remote.add([{"id": "车", "text": "汽车", "year": 1}]).added == 1
        table = pa.table({"id": ["z"], "text": ["zeppelin"], "year": [2]})
        assert remote.add(table).version == 4
        assert remote.delete(["z", "no"]).missing == 1
        assert remote.delete(where="year = 1", dry_run=True).deleted == 1
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


def test_named_vectors_over_http(tmp_path: Path) -> None:
    root, rng = tmp_path / "notes.vs", np.random.default_rng(0)
    kinds = {"picture": 3, "tokens": vs.NamedVector(dim=2, multi=True), "short": "toy:8"}
    rows = [
        {"id": n, "text": f"ship {n}", "short": f"boat {n % 7}", "year": n % 5}
        | {"picture": rng.normal(size=3), "tokens": rng.normal(size=(n % 4 + 1, 2))}
        for n in range(60)
    ]
    vs.create(root, embedder="toy:8", vectors=kinds).add(rows, progress=False)
    server = Server(root)
    picture, tokens = rng.normal(size=(2, 3)), [rng.normal(size=(n, 2)) for n in (3, 2)]
    queries: dict[str, Any] = {"picture": picture, "tokens": tokens, "short": ["boat 3", "boat 5"]}
    shape = {"where": "year < 4", "exclude": np.array([3, 8]), "min_score": -0.9}
    with vs.connect(server.address) as remote, vs.open(root) as c:
        for using, asked in queries.items():
            for more in ({}, {**shape, "group_by": "year"}, {"order_by": "year desc", "k": 4}):
                found = remote.search_batch(asked, using=using, **more)
                listed = c.search_batch(asked, using=using, **more)
                for hits, expected, query in zip(found, listed, asked, strict=True):
                    one = remote.search(query, using=[using], **more)
                    assert hits.ids == one.ids == expected.ids, (using, more)
                    assert hits.scores == one.scores == expected.scores.tolist()
        assert "'picture'" in remote.search(picture[0], using="picture").plan
        assert remote.info()["vector_indexes"] == {}
        for wrong in ({"using": "pictures"}, {"using": "picture", "diversity": 0.5}):
            with pytest.raises(vs.InvalidInputError):
                remote.search(picture[0], **wrong)
        with pytest.raises(vs.InvalidInputError):
            remote.search(tokens[0], using="picture")
        for positive in (picture[0] @ np.eye(3, 8), [{"id": 5}, {"text": "ship 7"}], np.int64(4)):
            found, expected = remote.recommend(positive, k=4), c.recommend(positive, k=4)
            assert (found.ids, found.scores) == (expected.ids, expected.scores.tolist())
        assert remote.similar(np.int64(4), 3).ids == c.similar(4, 3).ids
        stored = c.get(4, ["picture", "tokens"])[0]
        assert remote.get(4, ["picture", "tokens"]) == [
            {name: np.asarray(value).tolist() for name, value in stored.items()}
        ]
    server.stop()


def test_it_has_the_methods_of_a_collection(server: Server, root: Path) -> None:
    with vs.connect(server.address) as remote, vs.open(root) as c:
        assert remote.upsert([{"id": "boat", "year": 2000}]).replaced == 1
        remote.add([{"id": n, "text": f"{n} red cars", "year": int(n) % 3} for n in "012345678"])
        c.refresh()

        def same(found: vs.RemoteHits, expected: vs.Hits) -> None:
            assert (found.ids, found.scores) == (expected.ids, expected.scores.tolist())

        asked = {"where": "year < 2", "exclude": ["1"], "group_by": "year", "group_size": 2}
        same(remote.search("cars", 4, **asked), c.search("cars", 4, **asked))
        vector = c.vector("3")
        hybrid = {"text": "ship", "vector": vector, "mode": "hybrid", "fusion": "rrf"}
        same(remote.search(**hybrid), c.search(**hybrid))
        same(remote.search("red", mode="text", using=["text"]), c.search("red", mode="text"))
        for queries in (["a car", "ship"], np.stack([vector, -vector])):
            many = remote.search_batch(queries, 3, min_score=-0.5)
            for one, other in zip(many, c.search_batch(queries, 3, min_score=-0.5), strict=True):
                same(one, other)
        ways: list[dict[str, Any]] = [
            {"queries": ["red cars", "ship"], "mode": "text", "using": "text"},
            {"queries": ["red", "ship"], "mode": "hybrid", "using": ["text"], "fusion": "rrf"},
            {"texts": ["red", "ship"], "vectors": np.stack([vector, -vector]), "mode": "hybrid"},
            {"queries": ["red"], "mode": "hybrid", "fusion": "dbsf", "passages": True},
        ]
        for way in ways:
            for one, other in zip(
                remote.search_batch(k=3, **way), c.search_batch(k=3, **way), strict=True
            ):
                same(one, other)
        had = [("3", 2.0, 10.0), ("ship", -1.0), "4"]
        for more in ({}, {"half_life": 1.0}, {"strategy": "sum_scores", "exclude_seen": False}):
            same(remote.recommend(history=had, k=4, **more), c.recommend(history=had, k=4, **more))
        asked = {"query": "red", "mode": "text", "using": "text", "exclude": ["1"]}
        assert remote.facets("year", **asked) == c.facets("year", **asked)
        assert remote.facets("year", passages=True) == c.facets("year", passages=True)
        same(remote.similar("3", 4, exclude=["4"]), c.similar("3", 4, exclude=["4"]))
        for examples in (("3", "ship"), (["3", "4"], [vector]), (["3"], None)):
            same(remote.recommend(*examples, k=3), c.recommend(*examples, k=3))
        assert remote.facets("year", where="year < 3") == c.facets("year", where="year < 3")
        assert remote.facets(["year"], bins=[0, 2, 3000]) == c.facets(["year"], bins=[0, 2, 3000])
        assert remote.count() == 11 and remote.count("year < 2", ids=["0", "2", "9"]) == 1
        assert (remote.vector("3") == vector).all()
        assert (remote.vector(text="a ship") == c.vector(text="a ship")).all()
        assert remote.to_arrow().equals(c.to_arrow())
        some = {"where": "year = 2", "ids": ["2", "5", "6"]}
        assert remote.to_arrow(["id"], **some).equals(c.to_arrow(["id"], **some))
        assert sum(len(batch) for batch in remote.scan(["id"])) == 11
        assert remote.refresh() is remote
        assert remote.update("year = 2", {"year": 7}) == vs.UpdateResult(3, c.info().version + 1)
        assert remote.update(ids=["0", "x"], values=[{"year": 8}, {"year": 9}]).missing == 1
        assert remote.get("0", ["year"]) == [{"year": 8}]
        with pytest.raises(vs.FilterError):
            list(remote.scan(where="yeer = 1"))
        with pytest.raises(vs.IdNotFoundError):
            remote.vector("none")
        with pytest.raises(vs.InvalidInputError, match="which documents"):
            remote.update(values={"year": 1})


OF_READING = {"id_column", "text_column", "encoding", "csv", "auto_index", "progress"}
ONLY_LOCAL = {  # arguments that a request has not
    "add": OF_READING | {"engine", "on_error", "exclude", "on_duplicate", "duplicate_score"},
    "upsert": OF_READING | {"engine"},
    "scan": {"batch_rows"},
}


def test_values_of_all_types_and_data_of_all_forms(server: Server, root: Path) -> None:
    """What a collection takes and gives, its client takes and gives."""
    at = dt.datetime(2024, 3, 5, 7, 8, 9, 10, tzinfo=dt.UTC)
    row = {
        "id": "all",
        "text": "one of each",
        "vector": np.arange(1, 33, dtype=np.float16),
        "year": np.int64(7),
        "day": dt.date(2024, 3, 5),
        "at": at,
        "price": decimal.Decimal("1.50"),
        "bytes": b"\x00\xff",
        "days": [dt.date(1999, 1, 2)],
        "about": {"when": dt.date(2000, 1, 1), "tags": ["a", "b"]},
        "key": uuid.UUID(int=5),
        "took": dt.timedelta(days=400, microseconds=3),
        "odd": float("inf"),
        "inside": {"a": [float("-inf"), 1.0]},
    }
    kinds: dict[str, Any] = {
        "day": "date32",
        "at": pa.timestamp("us", "UTC"),
        "price": pa.decimal128(6, 2),
        "bytes": "large_binary",
        "days": pa.list_(pa.date32()),
        "about": pa.struct([("when", pa.date32()), ("tags", pa.list_(pa.large_string()))]),
        "key": "string",
        "took": pa.duration("us"),
        "odd": "double",
        "inside": pa.struct([("a", pa.list_(pa.float64()))]),
    }
    with vs.connect(server.address) as remote, vs.open(root) as c:
        for name, kind in kinds.items():
            c.add_column(name, kind)
        assert remote.add([row]).embedded == 0
        shown = [name for name in (*kinds, "id", "text", "year") if name not in ("odd", "inside")]
        got = remote.get(["all", "no", "boat"], shown)
        assert got == c.refresh().get(["all", "no", "boat"], shown)
        stored = remote.to_arrow(ids=["all"], columns=["odd", "inside"]).to_pylist()
        assert stored == [{"odd": row["odd"], "inside": row["inside"]}]  # in JSON they are null
        assert got[0] is not None and got[0]["at"] == at and got[0]["price"] == row["price"]
        hit = remote.search(row["vector"][None, :], k=3)[0]
        expected = c.search(row["vector"])[0].to_dict()
        unlike = {name for name in hit.columns if hit.columns[name] != expected[name]}
        assert hit.score == expected["score"] and unlike == {"odd", "inside"}

        # columns that become wider, and new ones, are seen by a client that is open
        c.add_column("new", kinds["at"])
        remote.add([{"id": "wide", "text": "later", "day": at.replace(tzinfo=None), "new": at}])
        assert remote.get("all", shown) == c.refresh().get("all", shown)
        assert remote.get(["wide"], ["day", "new"]) == c.get(["wide"], ["day", "new"])
        values = {"day": dt.date(2025, 1, 2), "bytes": b"\x01", "year": np.int64(3)}
        values |= {"took": dt.timedelta(seconds=-1), "at": at + dt.timedelta(days=1)}
        for wrong in (1j, {1}, Path("x"), float("inf"), range(2), dt.date(2025, 1, 2)):
            with pytest.raises(vs.InvalidInputError):
                remote.update(ids=["all"], values={"year": wrong})
            with pytest.raises(vs.InvalidInputError):
                remote.update(ids=["all"], values={"took": wrong})
        assert remote.update(ids=["all"], values=values).updated == 1
        frame = pd.DataFrame({"year": [4, 5], "price": [decimal.Decimal("2.25"), None]})
        assert remote.update(ids=["boat", "ship"], values=frame).updated == 2
        assert remote.get(["boat", "ship"], ["year", "price"]) == [
            {"year": 4, "price": decimal.Decimal("2.25")},
            {"year": 5, "price": None},
        ]
        changed = {"day": dt.datetime(2025, 1, 2), "bytes": b"\x01", "year": 3}
        changed |= {"took": dt.timedelta(seconds=-1)}
        assert remote.get("all", list(changed)) == [changed] == c.refresh().get("all", changed)

        assert remote.add(pd.DataFrame({"id": ["f1", "f2"], "text": ["a", "b"]})).added == 2
        assert remote.add({"id": f"g{n}", "text": "made"} for n in range(3)).added == 3
        assert remote.add(pl.DataFrame({"id": ["p1"], "text": ["polars"]})).added == 1
        (root.parent / "rows.csv").write_text("id,text\nc1,of a file\n")
        assert remote.add(root.parent / "rows.csv").added == 1
        # each row has the columns that it has
        mixed = [{"id": "f1", "year": 9}, {"id": "f2", "text": "bb"}]
        assert remote.upsert(mixed).replaced == 2
        assert remote.get(["f1", "f2"], ["text", "year"]) == [
            {"text": "a", "year": 9},
            {"text": "bb", "year": None},
        ]
        with pytest.raises(vs.InvalidInputError, match="different columns"):
            remote.upsert([{"id": "f1", "day": at}, {"id": "f2", "year": 1}])

        some = ["boat", "ship"]
        for ids in (np.array(some), pa.array(some), pd.Series(some), (each for each in some)):
            assert remote.count(ids=ids) == 2
        found = remote.recommend([{"id": "boat"}, {"text": "a ship"}], k=2).ids
        assert found == c.refresh().recommend([{"id": "boat"}, {"text": "a ship"}], k=2).ids
        for wrong in (np.ones((2, 32)), [float("nan")] * 32, {"a": 1}, b"x"):
            with pytest.raises(vs.InvalidInputError):
                remote.search(wrong)
        with pytest.raises(vs.InvalidInputError, match="as JSON"):
            remote.search("x", min_score=float("nan"))
        with pytest.raises(vs.InvalidInputError, match=r"for one row give \[row\]"):
            remote.add({"id": "x", "text": "y"})
    assert server.stop() == 0


def test_a_hit_says_where_its_passage_is(tmp_path: Path) -> None:
    long = tmp_path / "notes.vs"
    with vs.create(long, embedder="toy:32", chunker=60) as c:
        c.add(
            [{"id": "a", "text": "Bees dance. " * 9 + "The key is under the mat. " + "Rain. " * 9}]
        )
        server = Server(long)
        with vs.connect(server.address) as remote:
            hit, expected = (
                remote.search("key under the mat", 1)[0],
                c.search("key under the mat", 1)[0],
            )
            assert hit.span == expected.span and hit["text"] == expected["text"]
        assert server.stop() == 0


def test_the_address_is_shown_when_it_can_be_reached(root: Path) -> None:
    shown: list[str] = []

    def started(place: str) -> None:
        with socket.create_connection(("127.0.0.1", int(place.rpartition(":")[2]))):
            shown.append(place)
        raise KeyboardInterrupt  # before it serves

    with pytest.raises(KeyboardInterrupt):
        serve([root], port=0, started=started)
    assert shown[0].startswith("http://127.0.0.1:")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(vs.InvalidInputError, match=rf"port {port}: .*in use"):
            serve([root], port=port, started=lambda place: shown.append(place))
    with pytest.raises(vs.InvalidInputError, match=r"listen at 127\.9\.9\.9, port 70000"):
        serve([root], host="127.9.9.9", port=70000)
    assert len(shown) == 1


def test_an_update_keeps_nanoseconds(root: Path, server: Server) -> None:
    at = pd.Timestamp("2024-01-02 03:04:05.123456789")
    new: dict[str, tuple[Any, Any]] = {
        "ns": (pa.timestamp("ns"), at),
        "zone": (pa.timestamp("ns", "UTC"), at.tz_localize("UTC")),
        "clock": (pa.time64("ns"), pa.scalar(123_456_789_123, pa.time64("ns"))),
        "span": (pa.duration("ns"), pd.Timedelta(1_234_567_891)),
        "listed": (pa.list_(pa.timestamp("ns")), [at, None]),
        "inside": (pa.struct([("x", pa.timestamp("ns"))]), {"x": at}),
    }
    with vs.connect(server.address) as remote, vs.open(root) as c:
        for name, (kind, value) in new.items():
            c.add_column(name, kind)
            remote.update(ids=["boat", "ship"], values={name: value})
            if name != "clock":  # rows of Python values have no time of day of nanoseconds
                remote.update(ids=["ship"], values=[{name: None}])
                remote.update(ids=["ship"], values=[{name: value}])
        with pytest.raises(vs.InvalidInputError, match="cannot be stored"):
            remote.update(ids=["ship"], values=[{"clock": new["clock"][1]}])
        found = c.refresh().to_arrow(list(new), ids=["boat", "ship"])
    whole = {name: found.column(name).cast(pa.int64()).to_pylist() for name in list(new)[:4]}
    assert whole == {
        "ns": [at.value] * 2,
        "zone": [at.value] * 2,
        "clock": [123_456_789_123] * 2,
        "span": [1_234_567_891] * 2,
    }
    assert found.column("listed").to_pylist() == [[at, None]] * 2
    assert found.column("inside").to_pylist() == [{"x": at}] * 2


def test_the_page_says_what_it_lacks() -> None:
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "serve.md").read_text()
    table = text.partition("| not over HTTP | instead |")[2].partition("\n\n")[0]
    told = {
        name
        for line in table.splitlines()
        for name in re.findall(r"`(\w+)`", line.partition("|")[2].partition("|")[0])
    }
    methods = {name for name in dir(vs.Collection) if name[0] != "_"}
    offered = {name for name in dir(vs.RemoteCollection) if name[0] != "_"}
    assert told == methods - offered
    assert offered - methods <= {"id_column"}
    for name in methods & offered:
        theirs = inspect.signature(getattr(vs.Collection, name)).parameters
        ours = inspect.signature(getattr(vs.RemoteCollection, name)).parameters
        assert set(ours) - set(theirs) <= {"columns"}, name
        assert set(theirs) - set(ours) <= ONLY_LOCAL.get(name, set()) | {"timeout"}, name
        for each in set(ours) & set(theirs):
            assert ours[each].kind == theirs[each].kind, (name, each)
            assert ours[each].default == theirs[each].default, (name, each)


def test_at_a_socket(root: Path) -> None:
    place = root.parent / "s"
    place.write_text("a file")
    with pytest.raises(vs.InvalidInputError, match="no socket"):
        serve([root], uds=place)
    place.unlink()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))  # as a server that was killed leaves it
    program = "from vecsearch.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", str(root), "--uds", str(place)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        with vs.connect("http://localhost/notes", uds=place) as remote:
            for _ in range(600):
                try:
                    assert len(remote) == 2
                    break
                except vs.StorageError:
                    time.sleep(0.05)
            assert remote.search("a ship", k=1).ids == ["ship"]
        assert stat.S_IMODE(place.stat().st_mode) == 0o660
        with pytest.raises(vs.InvalidInputError, match="a server answers"):
            serve([root], uds=place)
    finally:
        process.terminate()
        assert str(place) in process.communicate(timeout=60)[1]
    assert process.returncode == 0 and not place.exists()


def test_what_runs_is_answered_before_it_stops(server: Server, root: Path) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as wire:
        line = b'{"id": "late", "text": "sent while it stops", "year": 3}\n'
        head = (
            f"POST /v1/collections/notes/documents HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/x-ndjson\r\nContent-Length: {len(line)}\r\n\r\n"
        )
        wire.sendall(head.encode() + line[:20])
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        refused = False
        for _ in range(600):  # it takes no new ones
            with socket.socket() as probe:
                refused = probe.connect_ex(("127.0.0.1", server.port)) != 0
            if refused:
                break
            time.sleep(0.05)
        wire.sendall(line[20:])
        wire.settimeout(60)
        answer = wire.recv(10_000)
        assert refused and answer.startswith(b"HTTP/1.1 200"), answer
    server.process.communicate(timeout=60)
    assert server.process.returncode == 0
    assert vs.open(root).count(ids=["late"]) == 1


def test_the_service_files_start_what_they_say(root: Path, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "serve.md").read_text()
    listed = re.search(r"^CMD (\[.*?\])$", page.replace("\\\n", ""), re.MULTILINE)
    assert listed is not None
    command = json.loads(listed[1])
    keys = tmp_path / "keys"
    keys.write_text(f"read {KEY}\n")
    keys.chmod(0o600)
    swapped = {"/data/notes.vs": str(root), "/run/secrets/keys": str(keys)}
    assert command[:2] == ["vecsearch", "serve"] and swapped.keys() <= set(command)
    options = [swapped.get(word, word) for word in command[3:]]
    server = Server(root, *options)
    try:
        names = {"Host": "search.example.org", "Authorization": f"Bearer {KEY}"}
        place = f"http://127.0.0.1:{server.port}/v1/collections"
        assert httpx.get(place, headers=names).json()["collections"][0]["documents"] == 2
        assert httpx.get(place, headers=names | {"Host": "evil.example"}).status_code == 400
        assert httpx.get(place, headers={"Host": "search.example.org"}).status_code == 401
    finally:
        assert server.stop() == 0
    unit = page.partition("vecsearch.service\n")[2].partition("```")[0]
    verify = shutil.which("systemd-analyze")
    if verify is not None:
        program = shutil.which("true")
        file = tmp_path / "vecsearch.service"
        unit = unit.replace("/opt/vecsearch/bin/vecsearch", str(program))
        file.write_text(unit.replace("User=vecsearch", "User=root"))
        done = subprocess.run([verify, "verify", str(file)], capture_output=True, text=True)
        assert not done.returncode and "vecsearch.service:" not in done.stderr, done.stderr


def test_several_readers_beside_one_writer(server: Server, root: Path) -> None:
    second = Server(root)
    try:
        with (
            vs.open(root) as c,
            vs.connect(server.address) as one,
            vs.connect(second.address) as two,
        ):
            for number in range(5):
                c.add([{"id": f"w{number}", "text": f"word{number} here", "year": number}])
                for reader in (one, two):
                    assert reader.search(f"word{number} here", k=1).ids == [f"w{number}"]
                    assert len(reader) == len(c)
            assert one.add([{"id": "r", "text": "by a reader", "year": 1}]).added == 1
            assert two.get("r")[0] is not None and c.refresh().count(ids=["r"]) == 1
    finally:
        assert second.stop() == 0


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
