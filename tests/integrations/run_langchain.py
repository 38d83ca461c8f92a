"""LangChain's own tests of a vector store, and more of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore
from langchain_tests.integration_tests import VectorStoreIntegrationTests
from support.doc_blocks import run_page
from support.doctests import run_examples

import vecsearch as vs
from vecsearch.integrations import langchain as adapter
from vecsearch.integrations.langchain import VecsearchVectorStore

MODEL = DeterministicFakeEmbedding(size=6)
METADATA: list[dict[str, Any]] = [
    {"n": 1, "s": "it's", "t": ["a", "b"], "ok": True},
    {"n": 2.5, "s": "100%", "t": []},
    {"n": "1", "s": None},
    {"a.b": 1, "nested": {"x": [1, {"y": None}]}},
    {},
]


class TestOwnSuite(VectorStoreIntegrationTests):
    @pytest.fixture()
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        yield VecsearchVectorStore(self.get_embeddings(), path=tmp_path / "c.vs")


class TestOwnSuiteWithColumns(VectorStoreIntegrationTests):
    @pytest.fixture()
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        yield VecsearchVectorStore(
            self.get_embeddings(), path=tmp_path / "c.vs", columns={"some_other_field": "string"}
        )


@pytest.fixture()
def store(tmp_path: Path) -> VecsearchVectorStore:
    texts = [f"text {i}" for i in range(len(METADATA))]
    ids = [str(i) for i in range(len(METADATA))]
    return VecsearchVectorStore.from_texts(texts, MODEL, METADATA, ids=ids, path=tmp_path / "c.vs")


FILTERS = [
    ({"n": 1}, "0"),
    ({"n": {"$ne": 1}}, "1234"),
    ({"n": {"$gt": 1}}, "1"),
    ({"n": {"$gte": 1, "$lt": 2}}, "0"),
    ({"n": {"$lte": 2.5}}, "01"),
    ({"n": {"$in": [1, "1"]}}, "02"),
    ({"n": {"$nin": [1, "1"]}}, "134"),
    ({"n": {"$in": []}}, ""),
    ({"n": {"$nin": []}}, "01234"),
    ({"s": "it's"}, "0"),
    ({"s": None}, "234"),
    ({"s": {"$exists": True}}, "01"),
    ({"s": {"$exists": False}}, "234"),
    ({"s": {"$like": "100%"}}, "1"),
    ({"t": {"$contains": "a"}}, "0"),
    ({"ok": True}, "0"),
    ({"ok": {"$ne": True}}, "1234"),
    ({"a.b": 1}, "3"),
    ({"$or": [{"n": 1}, {"a.b": 1}]}, "03"),
    ({"$and": [{"n": 1}, {"a.b": 1}]}, ""),
    ({"$not": {"n": {"$gt": 0}}}, "234"),
    ({}, "01234"),
    ("metadata.n > 1", "1"),
    (lambda document: "nested" in document.metadata, "3"),
]


@pytest.mark.parametrize(("filter", "expected"), FILTERS)
def test_filters(store: VecsearchVectorStore, filter: Any, expected: str) -> None:
    found = store.similarity_search("text 0", k=9, filter=filter)
    assert sorted(str(document.id) for document in found) == list(expected)


@pytest.mark.parametrize("filter", [{"n": {"$foo": 1}}, {"$foo": 1}, {"n": float("nan")}, 3])
def test_wrong_filters_are_errors(store: VecsearchVectorStore, filter: Any) -> None:
    with pytest.raises(vs.FilterError):
        store.similarity_search("text 0", filter=filter)


def test_metadata_comes_back_as_it_was(store: VecsearchVectorStore) -> None:
    assert [d.metadata for d in store.get_by_ids(list("01234"))] == METADATA


def test_the_answers_are_those_of_the_store_in_memory(store: VecsearchVectorStore) -> None:
    memory = InMemoryVectorStore(MODEL)
    memory.add_texts([f"text {i}" for i in range(5)], METADATA, ids=list("01234"))
    for ours, theirs in zip(
        store.similarity_search_with_score("boat", k=5),
        memory.similarity_search_with_score("boat", k=5),
        strict=True,
    ):
        assert ours[0] == theirs[0]
        assert ours[1] == pytest.approx(theirs[1], abs=1e-6)
    for weight in (0.0, 0.3, 0.9):
        mine = store.max_marginal_relevance_search("boat", k=3, lambda_mult=weight)
        assert mine == memory.max_marginal_relevance_search("boat", k=3, lambda_mult=weight)


def test_one_commit_for_an_add_and_a_reopened_store(store: VecsearchVectorStore) -> None:
    assert store.collection is not None
    before = store.collection.info().version
    store.add_documents([Document("new", id="0", metadata={"x": 1}), Document("newer")])
    assert store.collection.info().version == before + 1
    again = VecsearchVectorStore(MODEL, path=store.collection.path)
    assert again.get_by_ids(["0"]) == [Document("new", id="0", metadata={"x": 1})]
    assert again.collection is not None and len(again.collection) == 6


def test_by_words_and_as_a_retriever(store: VecsearchVectorStore) -> None:
    assert store.similarity_search("3", k=1, mode="hybrid", fusion=vs.Fusion(text=1.0))[0].id == "3"
    found = store.as_retriever(search_kwargs={"k": 1}).invoke("text 2")
    assert [document.id for document in found] == ["2"]
    threshold = {"k": 5, "score_threshold": 0.999}
    retriever = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs=threshold
    )
    assert [document.id for document in asyncio.run(retriever.ainvoke("text 4"))] == ["4"]


def test_delete_by_filter(store: VecsearchVectorStore) -> None:
    assert store.delete(filter={"n": 1})
    assert store.delete(ids=["1", "2"], filter=lambda document: document.metadata.get("n") == "1")
    assert store.collection is not None
    assert store.collection.to_arrow(["id"])["id"].to_pylist() == ["1", "3", "4"]
    with pytest.raises(vs.InvalidInputError):
        store.delete()


def test_a_collection_of_your_own(tmp_path: Path) -> None:
    plain = vs.create(tmp_path / "plain.vs", dim=6)
    with pytest.raises(vs.InvalidInputError, match="metadata"):
        VecsearchVectorStore(MODEL, collection=plain)
    own = vs.create(
        tmp_path / "own.vs",
        dim=6,
        json_columns=["metadata"],
        schema={"id": "string", "text": "string"},
    )
    store = VecsearchVectorStore(MODEL, collection=own)
    store.add_texts(["a"], ids=["x"])
    assert own.get("x")[0] is not None
    with pytest.raises(vs.InvalidInputError, match="'id'"):
        VecsearchVectorStore(MODEL, path=tmp_path / "c.vs", columns={"id": "int64"})
    for arguments in ({}, {"path": tmp_path / "c.vs", "collection": own}):
        with pytest.raises(vs.InvalidInputError, match="path"):
            VecsearchVectorStore(MODEL, **arguments)


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_examples(adapter)


def test_the_page_prints_what_it_shows(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "langchain.md"
    result = run_page(page.read_text(encoding="utf-8"), tmp_path)
    assert not result.mismatches, "\n\n".join(map(str, result.mismatches))
