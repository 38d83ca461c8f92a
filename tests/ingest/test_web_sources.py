"""Addresses of the web and standard input, against a server of this machine."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.sources import refused, rows, texts
from test_cli import Answer, fails, ok
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli import app
from vecsearch.ingest.sources import web
from vecsearch.ingest.sources.web import StandardInput, WebAddress

PAGE = "<title>Whales</title><p>Whales sing in the deep sea."
ANSWERS = {
    "/page": ("text/html; charset=utf-8", PAGE),
    "/notes.txt": ("application/octet-stream", "plain words"),
    "/rows": ("application/json", '[{"id": 1, "text": "one"}, {"id": 2, "text": "two"}]'),
    "/picture": ("image/png", "x"),
    "/broken.pdf": ("application/pdf", "no pdf"),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/page")
        elif self.path == "/outside":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/x")
        elif self.path in ANSWERS:
            kind, body = ANSWERS[self.path]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body.encode())
            return
        else:
            self.send_response(404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_page_is_a_document(site: str) -> None:
    (row,) = rows(f"{site}/page")
    assert (row["id"], row["source"], row["title"]) == (f"{site}/page", f"{site}/page", "Whales")
    assert row["text"] == "Whales sing in the deep sea."
    assert texts(f"{site}/notes.txt") == [{"id": f"{site}/notes.txt", "text": "plain words"}]
    assert rows(f"{site}/moved")[0]["text"] == row["text"]


def test_a_table_of_the_web_is_a_table(site: str) -> None:
    assert rows(f"{site}/rows") == [{"id": 1, "text": "one"}, {"id": 2, "text": "two"}]
    found = rows([WebAddress(f"{site}/rows"), WebAddress(f"{site}/rows")])
    assert [row["id"] for row in found] == [1, 2, 1, 2]


def test_what_cannot_be_fetched_is_named(site: str) -> None:
    refused(f"{site}/nothing", f"{site}/nothing cannot be fetched: the server says 404")
    refused(f"{site}/picture", f"{site}/picture is image/png, which is not read")
    refused(f"{site}/outside", "cannot be fetched", "no page of the web")
    refused(f"{site}/broken.pdf", f"{site}/broken.pdf is no PDF file")
    refused("http://127.0.0.1:9/x", "http://127.0.0.1:9/x cannot be fetched")
    refused("https://", "cannot be fetched")


def test_size_and_time_are_limited(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(web, "MAX_BYTES", 10)
        refused(f"{site}/page", "larger than")
    monkeypatch.setattr(web, "SECONDS", -1)
    refused(f"{site}/page", "took longer")


def test_a_list_of_texts_is_never_fetched(site: str) -> None:
    assert rows([f"see {site}/page", f"{site}/page"])[1] == {"text": f"{site}/page"}


def test_a_copy_is_removed(site: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(web.tempfile, "tempdir", str(tmp_path))
    assert len(rows(f"{site}/page")) == 1
    refused(f"{site}/picture", "not read")
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_takes_pages(site: str, tmp_path: Path) -> None:
    place = tmp_path / "c.vs"
    assert "1 document added" in ok("ingest", f"{site}/page", place, "--embedder", "toy:8").out
    assert "1 unchanged" in ok("ingest", f"{site}/page", place).out
    assert "404" in fails("ingest", f"{site}/nothing", place)
    with vs.open(place) as c:
        assert c.to_arrow(["id"])["id"].to_pylist() == [f"{site}/page"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("some words\n", [{"id": "stdin", "text": "some words\n"}]),
        ('{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}\n', [1, 2]),
        ('[{"id": 1, "text": "a"}]', [1]),
        ("<!DOCTYPE html><p>a page", [{"id": "stdin", "text": "a page"}]),
    ],
)
def test_standard_input_is_what_it_begins_with(given: str, expected: list[object]) -> None:
    found = texts([StandardInput(io.BytesIO(given.encode()))])
    assert found == expected or [row["id"] for row in found] == expected


def test_the_command_line_reads_standard_input(tmp_path: Path) -> None:
    words = ["ingest", "-", str(tmp_path / "c.vs"), "--embedder", "toy:8"]
    answer = CliRunner().invoke(app.app, words, input="a piped text")
    assert answer.exit_code == 0 and "1 document added" in answer.output
    answer = CliRunner().invoke(app.app, words, input="")
    assert answer.exit_code == 1 and "empty" in answer.stderr
    assert Answer("ingest", "-", "-", tmp_path / "c.vs").code == 2
