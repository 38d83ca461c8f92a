"""Models behind a server, against a fake one on this machine that misbehaves as it is told."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.embedders import requests, resolve_embedder
from vecsearch.embedders.network import SWITCH, this_machine_only
from vecsearch.embedders.server import PROBES, SAME_MODEL, ServerEmbedder
from vecsearch.embedders.toy import ToyEmbedder
from vecsearch.errors import (
    EmbedderError,
    EmbedderMismatchError,
    InvalidInputError,
    MissingExtraError,
    OperationTimeoutError,
)

pytest.importorskip("httpx")
KEY = "sk-secret-1234567890"
Reply = tuple[int, dict[str, str], bytes]
Answer = Callable[[list[str]], Any]
VARIABLES = (
    "OPENAI_BASE_URL OPENAI_API_KEY OLLAMA_HOST VLLM_BASE_URL VLLM_API_KEY LMSTUDIO_BASE_URL "
    "OTHER_KEY HTTP_PROXY HTTPS_PROXY ALL_PROXY"
).split()


class Fake:
    """A server whose vectors are those of the toy model, unless a script says otherwise."""

    def __init__(self, dim: int = 32) -> None:
        self.toy = ToyEmbedder(dim)
        self.script: list[Any] = []  # what the next requests get: a Reply, an Answer, or None
        self.always: Any = None  # the same for all requests after the script
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                fake.bodies.append(body)
                fake.headers.append({name.lower(): it for name, it in self.headers.items()})
                fake.paths.append(self.path)
                planned = fake.script.pop(0) if fake.script else fake.always
                # The client may not have waited.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.reply(*fake.answer(planned, body["input"]))

            def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}/v1"

    def answer(self, planned: Any, texts: list[str]) -> Reply:
        if isinstance(planned, tuple):
            return planned
        found = self.rows(texts) if planned is None else planned(texts)
        body = found if isinstance(found, bytes) else json.dumps({"data": found}).encode()
        return 200, {"content-type": "application/json"}, body

    def rows(self, texts: list[str]) -> list[dict[str, Any]]:
        vectors = self.toy.embed_documents(texts).tolist()
        return [{"index": row, "embedding": vector} for row, vector in enumerate(vectors)]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def error(status: int, message: str, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps({"error": {"message": message}}).encode()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    server = Fake()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses before further attempts, which are not waited for."""
    taken: list[float] = []
    monkeypatch.setattr(requests, "_sleep", taken.append)
    return taken


def test_texts_become_the_servers_vectors(fake: Fake) -> None:
    embedder = ServerEmbedder("some-model", endpoint=fake.endpoint)
    assert (embedder.name, embedder.dim) == ("openai:some-model", 32)
    texts = [f"text {number % 300}" for number in range(400)]
    fake.bodies.clear()
    got = embedder.embed_documents(texts)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, fake.toy.embed_documents(texts), atol=1e-6)
    assert sorted(len(body["input"]) for body in fake.bodies) == [44, 128, 128]  # each text once
    assert {(body["model"], body["encoding_format"]) for body in fake.bodies} == {
        ("some-model", "float")
    }
    assert set(fake.paths) == {"/v1/embeddings"}
    assert embedder.embed_queries([]).shape == (0, 32)
    fake.bodies.clear()
    embedder.embed_documents(["a" * 60_000, "b" * 60_000, "c"])  # characters, too, are limited
    assert sorted(len(body["input"]) for body in fake.bodies) == [1, 2]
    with pytest.raises(InvalidInputError, match="row 1"):
        embedder.embed_queries(["a", 1])  # type: ignore[list-item]


def test_prompts_of_the_family(fake: Fake) -> None:
    fake.always = None
    embedder = ServerEmbedder("nomic-embed-text:v1.5", "ollama", endpoint=fake.endpoint)
    fake.bodies.clear()
    embedder.embed_queries(["a"])
    embedder.embed_documents(["a"])
    assert [body["input"] for body in fake.bodies] == [["search_query: a"], ["search_document: a"]]
    assert (
        ServerEmbedder("x/multilingual-e5-base", endpoint=fake.endpoint).query_prompt == "query: "
    )
    own = ServerEmbedder("bge-base-en", endpoint=fake.endpoint, query_prompt="q ")
    assert (own.query_prompt, own.document_prompt) == ("q ", "")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_fails_for_a_while_is_tried_again(
    fake: Fake, pauses: list[float], status: int
) -> None:
    embedder = ServerEmbedder("m", endpoint=fake.endpoint)
    fake.script = [error(status, "busy"), error(status, "busy")]
    got = embedder.embed_queries(["a"])
    np.testing.assert_allclose(got, fake.toy.embed_documents(["a"]), atol=1e-6)
    assert pauses == [0.5, 1.0]


def test_the_server_says_how_long_to_wait(fake: Fake, pauses: list[float]) -> None:
    embedder = ServerEmbedder("m", endpoint=fake.endpoint)
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    fake.script = [
        error(429, "slow down", retry_after="7"),
        error(503, "later", retry_after=past),
        error(503, "later", retry_after="soon"),
    ]
    embedder.embed_queries(["a"])
    assert pauses == [7.0, 0.0, 2.0]
    fake.script = [error(429, "try tomorrow", retry_after="86400")]
    with pytest.raises(EmbedderError, match=r"asks to wait 86400 s .*429 Too Many.*tomorrow"):
        embedder.embed_queries(["a"])
    assert len(pauses) == 3


def test_it_gives_up_and_says_why(fake: Fake, pauses: list[float]) -> None:
    embedder = ServerEmbedder("m", endpoint=fake.endpoint, attempts=3)
    fake.always = error(500, "CUDA error")
    with pytest.raises(
        EmbedderError, match=r"no answer .* after 3 attempts: it answered 500 .*: CUDA error"
    ):
        embedder.embed_documents(["a"])
    assert pauses == [0.5, 1.0]
    fake.script = [error(429, "You exceeded your current quota (insufficient_quota)")]
    with pytest.raises(EmbedderError, match="exceeded your current quota"):  # waiting cannot help
        embedder.embed_documents(["a"])
    assert pauses == [0.5, 1.0]


def test_nobody_answers(fake: Fake) -> None:
    fake.stop()
    with pytest.raises(EmbedderError, match=r"no answer .* after 2 attempts.*OPENAI_BASE_URL"):
        ServerEmbedder("m", endpoint=fake.endpoint, attempts=2)


def test_a_slow_server_is_not_waited_for(fake: Fake) -> None:
    embedder = ServerEmbedder("m", endpoint=fake.endpoint, timeout=0.2, attempts=2)
    released = threading.Event()

    def slow(texts: list[str]) -> list[dict[str, Any]]:
        released.wait(10)
        return fake.rows(texts)

    fake.script = [slow, slow]
    with pytest.raises(EmbedderError, match=r"after 2 attempts: it took longer than 0\.2 s"):
        embedder.embed_queries(["a"])
    released.set()


@pytest.mark.parametrize(
    ("status", "message"),
    [(400, "This model's maximum context length is 8192 tokens"), (413, "Payload"), (422, "batch "
     "size 128 > maximum allowed batch size 32: too many inputs")],
)  # fmt: skip
def test_a_batch_that_is_too_large_is_halved(fake: Fake, status: int, message: str) -> None:
    embedder = ServerEmbedder("m", endpoint=fake.endpoint)
    texts = [f"text {number}" for number in range(100)]

    def picky(given: list[str]) -> Any:
        return fake.rows(given)

    real = fake.answer

    def answer(planned: Any, given: list[str]) -> Reply:
        return error(status, message) if len(given) > 32 else real(picky, given)

    fake.answer = answer  # type: ignore[method-assign]
    np.testing.assert_allclose(
        embedder.embed_documents(texts), fake.toy.embed_documents(texts), atol=1e-6
    )
    fake.answer = lambda planned, given: error(status, message)  # type: ignore[method-assign]
    with pytest.raises(EmbedderError, match=f"answered {status}"):
        embedder.embed_documents(["one text alone"])


def change(**fields: Any) -> Answer:
    """Answers whose second row has other fields."""
    return lambda texts: [
        {"index": row, "embedding": [1.0] * 32} | (fields if row == 1 else {})
        for row in range(len(texts))
    ]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (change(embedding=[1.0] * 31), "vectors of several lengths"),
        (change(embedding=[]), "vectors of several lengths"),
        (change(embedding=None), "something else than vectors"),
        (change(embedding="AAAA"), "something else than vectors"),
        (change(embedding=[float("nan")] * 32), "NaN"),
        (change(embedding=[1e300] * 32), "NaN, infinite"),
        (change(embedding=[[1.0]] * 32), "other parts than numbers|NaN"),
        (change(embedding=["x"] * 32), "other parts than numbers"),
        (change(embedding=[None] * 32), "other parts than numbers|NaN"),
        (change(index=0), "numbers do not fit the texts"),
        (change(index=7), "numbers do not fit the texts"),
        (change(index="1"), "numbers do not fit the texts"),
        (lambda texts: [], "gave 0 vectors for 3 texts"),
        (lambda texts: [{"embedding": [1.0]}] * 2, "gave 2 vectors for 3 texts"),
        (lambda texts: [1, 2, 3], "no list of embeddings"),
        (lambda texts: b'{"data": {}}', "no list of embeddings"),
        (lambda texts: b"[]", "no list of embeddings"),
        (lambda texts: b"<html>Welcome</html>", "answered no JSON, but '<html>Welcome"),
        (lambda texts: b"", "answered no JSON"),
        (lambda texts: b"\xff\xfe", "answered no JSON"),
        (lambda texts: b"[" * 100_000, "answered no JSON"),
        (
            lambda texts: [{"index": n, "embedding": [1.0] * 16} for n in range(len(texts))],
            "vectors of 16 numbers, where it gave 32 before",
        ),
    ],
)
def test_an_answer_that_is_no_set_of_vectors_is_refused(
    fake: Fake, answer: Answer, message: str
) -> None:
    embedder = ServerEmbedder("m", endpoint=fake.endpoint)
    fake.always = answer
    with pytest.raises(EmbedderError, match=message):
        embedder.embed_documents(["a", "b", "c"])


def test_vectors_in_another_order_go_to_their_texts(fake: Fake) -> None:
    embedder = ServerEmbedder("m", endpoint=fake.endpoint)
    texts = ["a", "bb", "ccc", "dd"]
    fake.always = lambda given: fake.rows(given)[::-1]
    np.testing.assert_allclose(
        embedder.embed_documents(texts), fake.toy.embed_documents(texts), atol=1e-6
    )
    fake.always = lambda given: [{"embedding": row["embedding"]} for row in fake.rows(given)]
    np.testing.assert_allclose(  # without numbers the order is that of the texts
        embedder.embed_documents(texts), fake.toy.embed_documents(texts), atol=1e-6
    )


def test_an_answer_without_end_is_cut_off(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = ServerEmbedder("m", endpoint=fake.endpoint)
    monkeypatch.setattr(requests, "LARGEST_ANSWER", 10_000)
    fake.always = (200, {}, b" " * 100_000)
    with pytest.raises(EmbedderError, match="larger than 0 MB"):
        embedder.embed_queries(["a"])


def test_a_key_goes_to_its_own_host_only(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    embedder = ServerEmbedder("m", endpoint=fake.endpoint)  # the key is api.openai.com's
    assert all("authorization" not in headers for headers in fake.headers)
    fake.always = error(401, "missing key")
    with pytest.raises(
        EmbedderError, match=r"401 .*OPENAI_API_KEY belongs to another host.*key_va"
    ):
        embedder.embed_queries(["a"])
    fake.always = None
    fake.headers.clear()
    monkeypatch.setenv("OPENAI_BASE_URL", fake.endpoint + "/")  # now the user says it is this one's
    embedder = ServerEmbedder("m")
    assert {headers["authorization"] for headers in fake.headers} == {f"Bearer {KEY}"}
    fake.always = error(401, f"Incorrect API key provided: {KEY}")
    with pytest.raises(EmbedderError, match="Incorrect API key provided") as caught:
        embedder.embed_queries(["a"])
    fake.always = (200, {}, f"no JSON {KEY}".encode())
    with pytest.raises(EmbedderError, match="answered no JSON") as other:
        embedder.embed_queries(["a"])
    fake.script, fake.always = [error(500, KEY)], None
    embedder.embed_queries(["a"])
    for text in (str(caught.value), str(other.value), caplog.text, repr(vars(embedder))):
        assert KEY not in text
    assert KEY not in repr(vars(embedder._requests))


def test_a_variable_for_another_hosts_key(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", "other")
    ServerEmbedder("m", endpoint=fake.endpoint, key_variable="OTHER_KEY")
    assert fake.headers[-1]["authorization"] == "Bearer other"
    with pytest.raises(EmbedderError, match="no such variable"):
        ServerEmbedder("m", endpoint=fake.endpoint, key_variable="NO_SUCH_VARIABLE")
    monkeypatch.setenv("OTHER_KEY", "two words")
    with pytest.raises(EmbedderError, match="holds no key"):
        ServerEmbedder("m", endpoint=fake.endpoint, key_variable="OTHER_KEY")


def test_a_redirect_is_not_followed(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", fake.endpoint)
    embedder = ServerEmbedder("m")
    thief = Fake()
    try:
        for status in (301, 302, 303, 307, 308):
            fake.always = (status, {"location": thief.endpoint + "/embeddings"}, b"")
            with pytest.raises(EmbedderError, match=r"redirects to 127\.0\.0\.1; that is not foll"):
                embedder.embed_queries(["a"])
        assert thief.bodies == []
    finally:
        thief.stop()


def test_a_key_is_not_sent_unencrypted_over_a_network(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://models.invalid/v1")
    with pytest.raises(EmbedderError, match=r"would be sent to http://models\.invalid/v1 unencr"):
        ServerEmbedder("m")


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("localhost:11434", "http://localhost:11434/v1"),
        ("0.0.0.0:11434", "http://127.0.0.1:11434/v1"),
        ("http://gpu-box:8000", "http://gpu-box:8000/v1"),
        ("https://example.org/api/v2/", "https://example.org/api/v2"),
        ("[::1]:9", "http://[::1]:9/v1"),
        # as Ollama reads its variable: without a scheme the port is its own
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("gpu-box", "http://gpu-box:11434/v1"),
        ("[::]", "http://127.0.0.1:11434/v1"),
        (":8080", "http://127.0.0.1:8080/v1"),
        ("http://gpu-box", "http://gpu-box/v1"),
    ],
)
def test_addresses_as_people_write_them(
    given: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(self: ServerEmbedder, texts: list[str]) -> Any:
        asked.append(self.endpoint)
        return np.eye(8, dtype=np.float32)

    monkeypatch.setattr(ServerEmbedder, "_ask", ask)
    monkeypatch.setenv("OLLAMA_HOST", given)
    ServerEmbedder("m", "ollama")
    ServerEmbedder("m", "ollama", endpoint=given)
    assert asked == [address] * 2


@pytest.mark.parametrize(
    "given",
    ["", "ftp://a/v1", "http://", "http://a b/v1", "http://a:99999/v1", "http://日本/v1",
     f"https://user:{KEY}@host/v1", f"https://host/v1?key={KEY}", f"{KEY}@host"],
)  # fmt: skip
def test_wrong_addresses_are_refused_without_repeating_a_key(given: str) -> None:
    with pytest.raises(InvalidInputError, match="endpoint is") as caught:
        ServerEmbedder("m", endpoint=given)
    assert KEY not in str(caught.value)


def test_wrong_arguments(fake: Fake) -> None:
    for options, message in (
        ({"kind": "nobody"}, "kind is 'nobody'; it must be one of openai, ollama"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"attempts": 0}, "attempts is 0"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            ServerEmbedder("m", **{"endpoint": fake.endpoint, **options})  # type: ignore[arg-type]
    with pytest.raises(EmbedderError, match="'ollama:' needs the name of a model"):
        resolve_embedder("ollama:")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from vecsearch.common import optional

    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'package \'httpx\'.*"vecsearch\[servers\]"'):
        resolve_embedder("ollama:m")


def test_a_collection_knows_its_model_again(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers of a server vary a little; a change of the model is noticed."""
    monkeypatch.setenv("OLLAMA_HOST", fake.endpoint)
    monkeypatch.setenv("VLLM_API_KEY", KEY)
    texts = ["ravens remember people", "bread rises because of yeast"]
    with vs.create(tmp_path / "c.vs", embedder="ollama:m") as collection:
        collection.add([{"id": n, "text": text} for n, text in enumerate(texts)])
        assert collection.info().embedder == "ollama:m"
    for manifest in (tmp_path / "c.vs" / "manifests").iterdir():
        assert KEY not in manifest.read_text() and fake.endpoint not in manifest.read_text()

    def noisy(size: float) -> Answer:
        def answer(given: list[str]) -> list[dict[str, Any]]:
            rows = fake.rows(given)
            for row, text in zip(rows, given, strict=True):
                vector = np.array(row["embedding"])
                noise = np.random.default_rng(len(text)).standard_normal(vector.shape)
                noise *= size * np.linalg.norm(vector) / np.linalg.norm(noise)
                row["embedding"] = (vector + noise).tolist()
            return rows

        return answer

    # A noise of this share of the length leaves a cosine of 1 - share**2 / 2.
    limit = np.sqrt(2 * (1 - SAME_MODEL))
    for share in (0.0, 0.001, 0.6 * limit):
        fake.always = noisy(float(share))
        with vs.open(tmp_path / "c.vs") as collection:
            assert collection.search("ravens remember people")[0].id == 0
            assert collection.reembed("ollama:m").embedded == 0  # it is the same model
    for share in (1.6 * limit, 0.5):
        fake.always = noisy(float(share))
        with (
            vs.open(tmp_path / "c.vs") as collection,
            pytest.raises(EmbedderMismatchError, match="is not the model"),
        ):
            collection.search("ravens remember people")
    fake.always = None
    with (
        vs.open(tmp_path / "c.vs", embedder=ServerEmbedder("other", "ollama")) as collection,
        pytest.raises(EmbedderMismatchError),
    ):
        collection.search("ravens")
    assert not ServerEmbedder("m", "ollama").is_same_model("0" * 64)
    assert not ServerEmbedder("m", "ollama").is_same_model("no fingerprint")


def test_the_sketches_tell_small_angles_as_well_as_the_vectors(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against cosines of the whole vectors, on models of several dimensions."""
    rng = np.random.default_rng(1)
    for dim in (7, 384, 3072):
        for size in (0.005, 0.02, 0.03, 0.06, 0.1, 0.3):
            first = rng.standard_normal((len(PROBES), dim))
            second = first + size * rng.standard_normal(first.shape)
            pair = []
            for vectors in (first, second):
                monkeypatch.setattr(
                    ServerEmbedder, "_ask", lambda self, texts, it=vectors: it.astype(np.float32)
                )
                pair.append(ServerEmbedder("m", endpoint=fake.endpoint))
            lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
            cosine = float(((first * second).sum(axis=1) / lengths).mean())
            if not 0.9985 < cosine < 0.9993:  # the sketches keep an angle within about a tenth
                assert pair[1].is_same_model(pair[0].fingerprint()) == (cosine >= SAME_MODEL)


def test_a_collection_alone_sends_nothing_over_the_network(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv(SWITCH, raising=False)
    embedder = ServerEmbedder("m", endpoint=fake.endpoint)
    with vs.create(tmp_path / "c.vs", embedder=embedder) as collection:
        collection.add([{"id": 1, "text": "a"}])

    def send(*_: Any) -> Any:
        raise AssertionError("nothing may be sent")

    with monkeypatch.context() as patch:
        patch.setattr(requests.Requests, "_send", send)
        with (
            vs.open(tmp_path / "c.vs") as collection,
            pytest.raises(
                EmbedderError,
                match=r"would send your texts to https://api\.openai\.com.*OPENAI_BASE_URL",
            ),
        ):
            collection.search("a")
    with vs.open(tmp_path / "c.vs", embedder=embedder) as collection:
        assert collection.search("a")[0].id == 1
    monkeypatch.setenv("OPENAI_BASE_URL", fake.endpoint)
    with vs.open(tmp_path / "c.vs") as collection:
        assert collection.search("a")[0].id == 1
    monkeypatch.setenv("OLLAMA_HOST", fake.endpoint)
    with this_machine_only():
        assert resolve_embedder("ollama:m").dim == 32


def test_a_time_limit_holds_between_requests(fake: Fake) -> None:
    from vecsearch.common.deadline import time_limit

    embedder = ServerEmbedder("m", endpoint=fake.endpoint)
    with pytest.raises(OperationTimeoutError), time_limit(0.05):
        while True:
            embedder.embed_documents([f"text {number}" for number in range(2000)])
