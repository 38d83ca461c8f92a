"""Collections at URLs at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vecsearch.cli.app import app
from vecsearch.cli.options import Place

pytest.importorskip("obstore", reason="obstore is not installed (extra object-storage)")


def test_commands_take_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECSEARCH_CACHE", str(tmp_path / "cache"))
    url, copy = f"file://{tmp_path}/bucket/notes.vs", f"file://{tmp_path}/bucket/copy.vs"
    data = tmp_path / "p.csv"
    data.write_text("id,text\n1,Leaves turn light into sugar\n2,Bees dance to show the way\n")

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, list(words))
        assert done.exit_code == code, done.output
        return done.output

    assert f"added to {url}" in run("ingest", str(data), url, "--embedder", "toy:64")
    hits = json.loads(run("search", url, "sugar from light", "--json"))
    assert "Leaves" in json.dumps(hits)
    assert json.loads(run("info", url, "--json"))["path"] == url
    assert "no damage in 2 versions" in run("check", url)
    run("backup", url, copy)
    assert "holds the 2 rows" in run("restore", copy, str(tmp_path / "back.vs"))
    run("export", url, f"file://{tmp_path}/bucket/all.csv", "--columns", "id")
    assert (tmp_path / "bucket" / "all.csv").read_text() == '"id"\n1\n2\n'
    assert "no collection at file:///nowhere/c.vs" in run("info", "file:///nowhere/c.vs", code=1)
    assert "nothing is repaired" in run("repair", url, code=1)


def test_messages_keep_the_slashes_of_a_url() -> None:
    written = ("s3://bucket/a.vs", "gs://b/c.vs", "notes.vs", "/data/c.vs", "a:/b", "c:d.vs")
    assert [str(Place(each)) for each in written] == list(written)
    assert str(Place("file:///tmp/c.vs")) == "file:///tmp/c.vs"
