"""Named vectors at the command line and over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_cli import Answer, fails, ok

import vecsearch as vs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "shop.vs"
    vectors = {"picture": 3, "title": "toy:32", "colors": vs.NamedVector(2, multi=True)}
    with vs.create(root, embedder="toy:64", vectors=vectors) as c:
        c.add(
            [
                {"id": "cup", "text": "red", "title": "a cup", "picture": [0.9, 0.1, 0.0]},
                {"id": "plate", "text": "blue", "title": "a plate", "colors": [[1, 0], [0, 1]]},
            ]
        )
    return root


def test_search_by_named_vectors(folder: Path) -> None:
    def ids(*words: object) -> list[str]:
        answer = json.loads(ok("search", folder, *words, "--json").out)
        return [hit["id"] for hit in answer["hits"]]

    assert ids("a plate", "--using", "title", "-k", "1") == ["plate"]
    assert ids("[1, 0, 0]", "--using", "picture") == ["cup"]
    assert ids("[[1, 0]]", "--using", "colors") == ["plate"]
    assert ids("a plate", "--using", "title", "-k", "1", "--page", "2") == ["cup"]
    assert "no vectors called 'pictur'" in fails("search", folder, "x", "--using", "pictur")
    assert "searched by vectors" in fails("search", folder, "x", "--using", "picture")


def test_named_vectors_over_http(folder: Path) -> None:
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from vecsearch.server.app import ServerLimits, create_app

    with (
        TestClient(create_app([folder], limits=ServerLimits(measure_seconds=0))) as client,
        vs.open(folder) as c,
    ):
        for query, using in (("a plate", "title"), ([1.0, 0.0, 0.0], "picture")):
            asked = {"query": query, "using": [using]}
            answer = client.post("/v1/collections/shop/search", json=asked).json()
            assert answer == {"hits": [hit.to_dict() for hit in c.search(query, using=using)]}


def test_a_hybrid_search_of_given_vectors(tmp_path: Path) -> None:
    root = tmp_path / "points.vs"
    with vs.create(root, dim=2) as c:
        rows = {1: ("night train", [0, 1]), 2: ("day train", [1, 0]), 3: ("bus", [1, 1])}
        c.add([{"id": n, "title": title, "vector": v} for n, (title, v) in rows.items()])
        c.build_text_index("title")
        wanted = c.search(text="train", vector=[1, 0], mode="hybrid")
    hybrid = ("search", root, "train", "--mode", "hybrid", "--json")
    answer = json.loads(ok(*hybrid, "--vector", "[1, 0]").out)
    assert [hit["id"] for hit in answer["hits"]] == wanted.ids
    answer = json.loads(ok(*hybrid, "--vector", "[1, 0]", "-k", "1", "--page", "2").out)
    assert [hit["id"] for hit in answer["hits"]] == wanted.ids[1:2]
    assert "a vector is a list" in Answer(*hybrid, "--vector", "1 0").err
    assert "the collection has no model" in Answer(*hybrid).err
    assert "takes one text" in fails("search", root, "bus", "--mode", "text", "--vector", "[1, 0]")
