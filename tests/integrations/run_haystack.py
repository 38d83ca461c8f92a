"""Haystack's own tests of a document store, sync and async, and more of ours."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.testing import document_store as sync
from haystack.testing import document_store_async as later
from support.doc_blocks import run_page
from support.doctests import run_examples

import vecsearch as vs
from vecsearch.integrations import haystack as adapter
from vecsearch.integrations.haystack import VecsearchDocumentStore
from vecsearch.integrations.haystack_retrievers import (
    VecsearchBM25Retriever,
    VecsearchEmbeddingRetriever,
    VecsearchHybridRetriever,
)


class Store:
    """What the suites ask for: a store, and how documents are compared (float32 embeddings)."""

    @pytest.fixture()
    def document_store(self, tmp_path: Path) -> VecsearchDocumentStore:
        return VecsearchDocumentStore(tmp_path / "c.vs")

    @staticmethod
    def assert_documents_are_equal(received: list[Document], expected: list[Document]) -> None:
        assert len(received) == len(expected)
        for ours, theirs in zip(received, expected, strict=True):
            mine, wanted = ours.to_dict(flatten=False), theirs.to_dict(flatten=False)
            embedding, right = mine.pop("embedding"), wanted.pop("embedding")
            assert mine == wanted
            assert (embedding is None) == (right is None)
            if right is not None:
                assert embedding == pytest.approx(right, rel=1e-5)


class TestOwnSuite(
    Store,
    sync.DocumentStoreBaseExtendedTests,
    sync.CountDocumentsByFilterTest,
    sync.CountUniqueMetadataByFilterTest,
    sync.GetMetadataFieldsInfoTest,
    sync.GetMetadataFieldMinMaxTest,
    sync.GetMetadataFieldUniqueValuesTest,
):
    def test_write_documents(self, document_store: VecsearchDocumentStore) -> None:
        document = Document(content="test doc")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(sync.DuplicateDocumentError):
            document_store.write_documents([document])


class TestOwnAsyncSuite(
    Store,
    later.CountDocumentsAsyncTest,
    later.WriteDocumentsAsyncTest,
    later.DeleteDocumentsAsyncTest,
    later.FilterDocumentsAsyncTest,
    later.DeleteAllAsyncTest,
    later.DeleteByFilterAsyncTest,
    later.UpdateByFilterAsyncTest,
    later.CountDocumentsByFilterAsyncTest,
    later.CountUniqueMetadataByFilterAsyncTest,
    later.GetMetadataFieldsInfoAsyncTest,
    later.GetMetadataFieldMinMaxAsyncTest,
    later.GetMetadataFieldUniqueValuesAsyncTest,
):
    @pytest.mark.asyncio
    async def test_write_documents_async(self, document_store: VecsearchDocumentStore) -> None:
        document = Document(content="test doc")
        assert await document_store.write_documents_async([document]) == 1
        with pytest.raises(sync.DuplicateDocumentError):
            await document_store.write_documents_async([document])


META: list[dict[str, Any]] = [
    {"n": 1, "when": "2024-01-01", "deep": {"a": {"b": "x"}}, "l": [1, 2]},
    {"n": 2.5, "when": "2024-01-01T00:00:00", "s": "it's"},
    {"n": "1", "when": "2024-03-01T00:00:00+00:00", "deep": {"a": 1}},
    {"s": None, "ok": True},
]
FILTERS: list[dict[str, Any]] = [
    {"field": field, "operator": operator, "value": value}
    for field, values in {
        "meta.n": [1, 2.5, "1", None],
        "n": [1],
        "meta.when": ["2024-01-01", "2024-03-01", "2024-03-01T00:00:00"],
        "meta.deep.a.b": ["x", "y", None],
        "meta.deep.a": [1, {"b": "x"}],
        "meta.l": [[1, 2]],
        "meta.s": ["it's", None],
        "meta.ok": [True, False],
        "content": ["text 1", None],
        "id": ["2"],
        "nobody.knows": [1],
    }.items()
    for value in values
    for operator in ("==", "!=")
] + [
    {"field": "meta.n", "operator": "in", "value": [1, "1", None]},
    {"field": "meta.n", "operator": "not in", "value": [1, "1"]},
    {"field": "meta.n", "operator": "in", "value": []},
    {"field": "meta.when", "operator": ">=", "value": "2024-02-01"},
    {"field": "meta.when", "operator": "<", "value": "2024-01-01T00:00:01"},
    {
        "operator": "NOT",
        "conditions": [
            {"field": "meta.n", "operator": "==", "value": 1},
            {
                "operator": "OR",
                "conditions": [{"field": "meta.s", "operator": "==", "value": None}],
            },
        ],
    },
]


@pytest.fixture()
def stores(tmp_path: Path) -> tuple[VecsearchDocumentStore, InMemoryDocumentStore]:
    vectors: list[Any] = [[1.0, 0.0], [0.6, 0.8], [0.0, -2.0], None]
    documents = [
        Document(id=str(i), content=f"text {i}", meta=META[i], embedding=vectors[i])
        for i in range(len(META))
    ]
    ours, theirs = VecsearchDocumentStore(tmp_path / "c.vs"), InMemoryDocumentStore()
    assert ours.write_documents(documents) == theirs.write_documents(documents) == 4
    return ours, theirs


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_beside_the_store_in_memory(stores: Any, filters: dict[str, Any]) -> None:
    ours, theirs = ([d.id for d in store.filter_documents(filters)] for store in stores)
    assert ours == theirs
    assert stores[0].count_documents_by_filter(filters) == len(theirs)


@pytest.mark.parametrize(
    "filters",
    [
        {"field": "meta.n", "operator": "~", "value": 1},
        {"field": "embedding", "operator": "==", "value": None},
        {"operator": "XOR", "conditions": []},
    ],
)
def test_wrong_filters_are_errors(stores: Any, filters: dict[str, Any]) -> None:
    with pytest.raises(FilterError):
        stores[0].filter_documents(filters)


def test_retrieval(stores: Any) -> None:
    store = stores[0]
    found = store.embedding_retrieval([1.0, 0.1], top_k=9, return_embedding=True)
    assert [document.id for document in found] == ["0", "1", "2"]  # 3 has no embedding
    assert found[2].embedding == pytest.approx([0.0, -2.0])
    assert found[0].score == pytest.approx(1 / 1.01**0.5)
    only = {"field": "meta.n", "operator": "!=", "value": 1}
    assert [d.id for d in store.embedding_retrieval([1.0, 0.1], filters=only)] == ["1", "2"]
    assert [d.id for d in store.bm25_retrieval("3")] == ["3"]
    assert store.hybrid_retrieval("1", [0.6, 0.8], top_k=1)[0].id == "1"
    assert store.embedding_retrieval([1.0, 0.1], top_k=0) == []


def test_pipelines_with_the_retrievers(stores: Any) -> None:
    store = stores[0]
    pipeline = Pipeline()
    pipeline.add_component("dense", VecsearchEmbeddingRetriever(store, top_k=1))
    pipeline.add_component("words", VecsearchBM25Retriever(store))
    pipeline.add_component(
        "both",
        VecsearchHybridRetriever(
            store,
            filters={"field": "meta.n", "operator": "!=", "value": 1},
            filter_policy="merge",
        ),
    )
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["vecsearch"])
    both = {"query": "text", "query_embedding": [1.0, 0.0], "top_k": 1}
    questions = {"dense": {"query_embedding": [1, 0]}, "words": {"query": "2"}, "both": both}
    for one in (pipeline, again):
        answer = one.run(questions)
        ids = {name: [d.id for d in part["documents"]] for name, part in answer.items()}
        assert ids == {"dense": ["0"], "words": ["2"], "both": ["1"]}
    answer = asyncio.run(VecsearchBM25Retriever(store).run_async("2"))
    assert [document.id for document in answer["documents"]] == ["2"]
    for arguments in ({"document_store": None}, {"document_store": store, "top_k": 0}):
        with pytest.raises(vs.InvalidInputError):
            VecsearchEmbeddingRetriever(**arguments)


def test_documents_come_back_whole_and_a_call_is_one_commit(tmp_path: Path) -> None:
    store = VecsearchDocumentStore(tmp_path / "c.vs", embedding_dim=2)
    documents = [
        Document(
            id="a",
            blob=ByteStream(b"\x00\xff", mime_type="image/png", meta={"x": 1}),
            sparse_embedding=SparseEmbedding(indices=[1, 5], values=[0.5, 0.25]),
            embedding=[3.0, 4.0],
        ),
        Document(id="b", content="", meta={"content": "c", "id": 7, "embedded": "no"}),
    ]
    store.write_documents(documents)
    assert store.filter_documents() == documents
    version = store.collection.info().version
    again = Document(id="b", content="new")
    with pytest.raises(sync.DuplicateDocumentError):
        store.write_documents([Document(id="c"), again])
    assert store.collection.info().version == version
    assert store.write_documents([Document(id="c"), again], policy=DuplicatePolicy.SKIP) == 1
    assert store.write_documents([again, documents[1]], policy=DuplicatePolicy.OVERWRITE) == 1
    assert store.collection.info().version == version + 2
    assert VecsearchDocumentStore(tmp_path / "c.vs").count_documents() == 3
    assert store.update_by_filter({"field": "id", "operator": "==", "value": "a"}, {"y": 2}) == 1
    changed = store.filter_documents({"field": "meta.y", "operator": "==", "value": 2})
    assert changed[0].embedding == [3.0, 4.0] and changed[0].blob == documents[0].blob


def test_a_declared_column(tmp_path: Path) -> None:
    store = VecsearchDocumentStore(tmp_path / "c.vs", columns={"year": "int64"})
    store.write_documents(
        [Document(id="a", meta={"year": 2000, "x": 1}), Document(id="b", meta={"x": 2})]
    )
    assert [document.meta for document in store.filter_documents()] == [
        {"year": 2000, "x": 1},
        {"x": 2},
    ]
    late = {"field": "meta.year", "operator": "!=", "value": 2000}
    assert [document.id for document in store.filter_documents(late)] == ["b"]


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_examples(adapter)


def test_the_page_prints_what_it_shows(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "haystack.md"
    result = run_page(page.read_text(encoding="utf-8"), tmp_path)
    assert not result.mismatches, "\n\n".join(map(str, result.mismatches))
