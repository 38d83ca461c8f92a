"""The MCP server, asked by the SDK's own client: in process, as a subprocess, and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, MCPError, StdioServerParameters
from support.doc_blocks import run_page
from support.doctests import run_examples

import vecsearch as vs
from vecsearch.integrations import mcp as adapter
from vecsearch.integrations.mcp import server

ROOT = Path(__file__).parents[2]
READING = {"search", "similar", "get", "facets", "describe"}
WRITING = {"add", "delete"}
COMMAND = [sys.executable, "-c", "from vecsearch.cli import main; main()"]


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "notes.vs"
    with vs.create(path, embedder="toy:64", json_columns=["meta"]) as c:
        c.add(
            [
                {"id": "boat", "text": "a small boat on the lake", "year": 1999, "meta": {"a": 1}},
                {"id": "ship", "text": "a large ship at sea", "year": 2021, "meta": None},
                {"id": "7", "text": "a red bus in town", "year": 2003, "meta": [1, "x"]},
            ]
        )
    return path


def asked(target: Any, talk: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Client(target) as client:
            return await talk(client)

    return asyncio.run(run())


def called(target: Any, tool: str, **arguments: Any) -> Any:
    """A tool's structured answer; its text must say the same."""

    async def call(client: Client) -> Any:
        return await client.call_tool(tool, arguments)

    result = asked(target, call)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


def refused(target: Any, tool: str, **arguments: Any) -> str:
    async def call(client: Client) -> Any:
        return await client.call_tool(tool, arguments)

    result = asked(target, call)
    assert result.is_error
    return str(result.content[0].text)


async def tools_of(client: Client) -> dict[str, Any]:
    return {tool.name: tool for tool in (await client.list_tools()).tools}


def test_tools_are_read_only_without_write(folder: Path) -> None:
    tools = asked(server([folder]), tools_of)
    assert set(tools) == READING
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    assert all(tool.output_schema and tool.description for tool in tools.values())
    try:
        message = refused(server([folder]), "delete", collection="notes", ids=["boat"])
    except MCPError as error:
        message = str(error)
    assert "delete" in message
    assert len(vs.open(folder)) == 3
    assert set(asked(server([folder], write=True), tools_of)) == READING | WRITING


def test_search(folder: Path) -> None:
    found = called(server([folder]), "search", collection="notes", query="a large ship", k=2)
    with vs.open(folder) as c:
        hits = c.search("a large ship", k=2)
    assert [hit["id"] for hit in found["hits"]] == hits.ids
    assert [hit["score"] for hit in found["hits"]] == pytest.approx([hit.score for hit in hits])
    assert found["hits"][0]["document"]["year"] == 2021
    assert found["plan"]
    only = called(
        server([folder]), "search", collection="notes", query="ship", where="year < 2000",
        columns=["year"],
    )  # fmt: skip
    assert [hit["document"] for hit in only["hits"]] == [{"year": 1999}]
    words = called(server([folder]), "search", collection="notes", query="bus", mode="text")
    assert [hit["id"] for hit in words["hits"]] == ["7"]


def test_get_similar_facets_describe(folder: Path) -> None:
    served = server([folder])
    got = called(served, "get", collection="notes", ids=["ship", 7, "plane"])
    assert [row["id"] for row in got["documents"]] == ["ship", "7"]
    assert got["documents"][1]["meta"] == [1, "x"] and got["missing"] == ["plane"]
    near = called(served, "similar", collection="notes", id="ship", k=1)
    assert [hit["id"] for hit in near["hits"]] == vs.open(folder).similar("ship", k=1).ids
    counts = called(served, "facets", collection="notes", columns=["year"], where="year > 2000")
    assert counts["columns"]["year"] == [{"value": 2003, "count": 1}, {"value": 2021, "count": 1}]
    assert counts["cut"] == []
    cut = called(served, "facets", collection="notes", columns=["year"], most=1)
    assert cut["cut"] == ["year"] and len(cut["columns"]["year"]) == 1
    (about,) = called(served, "describe")["collections"]
    assert about["documents"] == 3 and about["embedder"].startswith("toy")
    assert about["columns"] == {"id": "string", "text": "string", "year": "int64", "meta": "json"}


def test_add_and_delete_with_write(folder: Path) -> None:
    served = server([folder], write=True)
    new = [{"id": "car", "text": "a fast car"}]
    done = called(served, "add", collection="notes", documents=new)
    assert done["added"] == 1
    assert "car" in refused(served, "add", collection="notes", documents=new)
    more = [{"id": "car", "text": "a slow car"}]
    assert (
        called(served, "add", collection="notes", documents=more, on_conflict="replace")["replaced"]
        == 1
    )
    gone = called(served, "delete", collection="notes", ids=["car", "plane", 7])
    assert (gone["deleted"], gone["missing"]) == (2, 1)
    with vs.open(folder) as c:
        assert sorted(c.to_arrow(["id"])["id"].to_pylist()) == ["boat", "ship"]


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("search", {"collection": "nots", "query": "x"}, "did you mean 'notes'"),
        ("search", {"collection": "notes", "query": "x", "where": "yeer > 1"}, "'year'"),
        ("search", {"collection": "notes", "query": "x", "k": 0}, "k"),
        ("search", {"collection": "notes", "query": "x", "k": 10**6}, "k"),
        ("search", {"collection": "notes", "query": "x", "mode": "magic"}, "mode"),
        ("search", {"collection": "notes", "query": "x", "columns": ["zz"]}, "zz"),
        ("similar", {"collection": "notes", "id": "plane"}, "plane"),
        ("facets", {"collection": "notes", "columns": ["zz"]}, "zz"),
        ("get", {"collection": "notes"}, "ids"),
    ],
)
def test_errors_say_what_to_do(
    folder: Path, tool: str, arguments: dict[str, Any], says: str
) -> None:
    assert says in refused(server([folder]), tool, **arguments)


def test_resources(folder: Path) -> None:
    async def read(client: Client) -> list[Any]:
        templates = (await client.list_resource_templates()).resource_templates
        assert {each.uri_template for each in templates} == {
            "vecsearch://{collection}/schema",
            "vecsearch://{collection}/doc/{id}",
        }
        answers = [
            json.loads((await client.read_resource(uri)).contents[0].text)
            for uri in ("vecsearch://notes/schema", "vecsearch://notes/doc/boat")
        ]
        for uri in ("vecsearch://notes/doc/plane", "vecsearch://zz/schema"):
            with pytest.raises(MCPError):
                await client.read_resource(uri)
        return answers

    schema, boat = asked(server([folder]), read)
    assert schema["year"] == "int64"
    assert boat["text"] == "a small boat on the lake" and boat["meta"] == {"a": 1}


def test_what_others_add_is_seen_and_long_texts_are_cut(folder: Path) -> None:
    served = server([folder])
    with vs.open(folder) as other:
        other.add([{"id": "long", "text": "a whale " + "x" * 9000, "year": 1}])
    (hit,) = called(served, "search", collection="notes", query="whale", k=1, mode="text")["hits"]
    assert len(hit["document"]["text"]) < 4100 and "9,008 characters" in hit["document"]["text"]
    got = called(served, "get", collection="notes", ids=["long"])
    assert len(got["documents"][0]["text"]) == 9008


def test_ids_that_are_numbers(tmp_path: Path) -> None:
    with vs.create(tmp_path / "n.vs", embedder="toy:64") as c:
        c.add([{"id": 7, "text": "a boat"}, {"id": 8, "text": "a bus"}])
    served = server([tmp_path / "n.vs"])
    assert called(served, "get", collection="n", ids=["7", 8])["missing"] == []
    assert called(served, "similar", collection="n", id="7")["hits"][0]["id"] == 8


def test_wrong_collections_are_errors(folder: Path, tmp_path: Path) -> None:
    for folders in ([], [folder, folder]):
        with pytest.raises(vs.InvalidInputError):
            server(folders)
    with pytest.raises(vs.CollectionNotFoundError):
        server([tmp_path / "nowhere.vs"])


def test_as_a_subprocess(folder: Path) -> None:
    for extra, tools in (([], READING), (["--write"], READING | WRITING)):
        target = StdioServerParameters(
            command=COMMAND[0],
            args=[*COMMAND[1:], "mcp", str(folder), *extra],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

        async def talk(client: Client) -> Any:
            arguments = {"collection": "notes", "query": "a large ship", "k": 1}
            found = await client.call_tool("search", arguments)
            return set(await tools_of(client)), found.structured_content["hits"][0]["id"]

        assert asked(target, talk) == (tools, "ship")


@pytest.fixture()
def address(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*COMMAND, "mcp", str(folder), "--http", "--port", str(port)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(30)


def test_over_http(address: str) -> None:
    assert set(asked(address, tools_of)) == READING
    found = called(address, "search", collection="notes", query="a large ship", k=1)
    assert found["hits"][0]["id"] == "ship"
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        answer = httpx.post(address, json={}, headers=headers)
        assert answer.status_code in (403, 421)


def test_a_taken_port_is_an_error(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "mcp", str(folder), "--http", "--port", str(port)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1 and "another --port" in done.stderr
    assert f"port {port}" in done.stderr and "Ctrl-C" not in done.stderr


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_examples(adapter)


def test_the_page_prints_what_it_shows(tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "mcp.md"
    result = run_page(page.read_text(encoding="utf-8"), tmp_path)
    assert not result.mismatches, "\n\n".join(map(str, result.mismatches))
