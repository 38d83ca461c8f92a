"""Every filter operator, condition and mode beside LlamaIndex's store in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import BaseNode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.simple import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from support.doc_blocks import run_page
from support.doctests import run_examples

import vecsearch as vs
from vecsearch.integrations import llama_index as adapter
from vecsearch.integrations.llama_index import VecsearchVectorStore

METADATA: list[dict[str, Any]] = [
    {"n": 1, "s": "it's Red", "t": ["a", "b"], "ok": True},
    {"n": 2.5, "s": "100% blue", "t": []},
    {"n": -3, "s": "", "t": ["b", "c"]},
    {"s": None, "t": None, "a.b": 1, "n": None},
    {"nested": {"x": [1]}, "s": "a_b"},
    {"n": 10**12, "s": "Ünï", "t": ["x y"]},
]


def nodes() -> list[TextNode]:
    vectors = np.random.default_rng(0).normal(size=(len(METADATA), 4))
    return [
        TextNode(
            id_=f"n{i}",
            text=f"words number{i} " + ("boat" if i % 2 else "ship"),
            metadata=METADATA[i],
            embedding=vectors[i].tolist(),
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"d{i % 2}")},
        )
        for i in range(len(METADATA))
    ]


@pytest.fixture(params=[None, {"n": "double", "s": "string"}], ids=["json", "column"])
def stores(tmp_path: Path, request: Any) -> tuple[VecsearchVectorStore, SimpleVectorStore]:
    ours, theirs = (
        VecsearchVectorStore(tmp_path / "c.vs", columns=request.param),
        SimpleVectorStore(),
    )
    assert ours.add(nodes()) == theirs.add(nodes())
    return ours, theirs


Op = FilterOperator
ORDER = (Op.GT, Op.GTE, Op.LT, Op.LTE)
TABLE: list[tuple[str, Any, FilterOperator]] = [
    *[("n", value, operator) for value in (1, 2.5, -3, 0, 7) for operator in (Op.EQ, Op.NE)],
    *[("n", value, operator) for value in (1, 0.5, -9) for operator in ORDER],
    *[("n", value, operator) for value in ([1, 7], [-3], []) for operator in (Op.IN, Op.NIN)],
    *[("s", value, operator) for value in ("it's Red", "", "zz") for operator in (Op.EQ, Op.NE)],
    *[("s", value, operator) for value in ("a", "Z") for operator in ORDER],
    *[("s", value, operator) for value in (["", "a_b"], ["q"]) for operator in (Op.IN, Op.NIN)],
    *[("s", value, Op.TEXT_MATCH) for value in ("Red", "red", "%", "_", "'", "", "ï")],
    *[("s", value, Op.TEXT_MATCH_INSENSITIVE) for value in ("RED", "BLUE", "%", "A_", "ünï")],
    *[("s", value, Op.CONTAINS) for value in ("Red", "0%", "!")],
    *[("t", value, Op.CONTAINS) for value in ("a", "b", "x", "x y")],
    *[("t", value, operator) for value in (["a"], ["a", "c"], ["b", "c"], ["q"], [])
      for operator in (Op.ANY, Op.ALL)],
    *[("s", value, operator) for value in (["e", "R"], ["b"]) for operator in (Op.ANY, Op.ALL)],
    *[(key, None, Op.IS_EMPTY) for key in ("n", "s", "t", "a.b", "nested", "nowhere")],
    *[(key, None, operator) for key in ("n", "nowhere") for operator in (Op.EQ, Op.NE)],
    ("a.b", 1, Op.EQ), ("a.b", 1, Op.NE), ("nowhere", 1, Op.EQ), ("nowhere", 1, Op.NE),
    ("nowhere", [1], Op.NIN), ("nowhere", [1], Op.IN), ("nowhere", 1, Op.GT),
    ("doc_id", "d0", Op.EQ), ("ref_doc_id", "d1", Op.NE),
]  # fmt: skip


def ids_of(store: Any, filters: MetadataFilters, **query: Any) -> list[str]:
    vector = [0.3, -0.2, 0.9, 0.1]
    asked = VectorStoreQuery(query_embedding=vector, similarity_top_k=9, filters=filters, **query)
    return list(store.query(asked).ids)


@pytest.mark.parametrize(("key", "value", "operator"), TABLE)
def test_operators(stores: Any, key: str, value: Any, operator: FilterOperator) -> None:
    filters = MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])
    ours, theirs = (ids_of(store, filters) for store in stores)
    assert ours == theirs


def test_the_table_has_every_operator() -> None:
    assert {operator for _, _, operator in TABLE} == set(FilterOperator)


@pytest.mark.parametrize("condition", list(FilterCondition))
@pytest.mark.parametrize("size", [1, 2, 3])
def test_conditions(stores: Any, condition: FilterCondition, size: int) -> None:
    leaves = [
        MetadataFilter(key="n", value=1, operator=Op.GTE),
        MetadataFilter(key="s", value="", operator=Op.NE),
        MetadataFilter(key="t", value="b", operator=Op.CONTAINS),
    ]
    filters = MetadataFilters(filters=leaves[:size], condition=condition)
    ours, theirs = (ids_of(store, filters) for store in stores)
    assert ours == theirs


def test_nested_conditions(stores: Any) -> None:
    """The store in memory refuses these."""
    low = MetadataFilter(key="n", value=0, operator=Op.LT)
    text = MetadataFilter(key="s", value="Red", operator=Op.TEXT_MATCH)
    inner = MetadataFilters(filters=[low, text], condition=FilterCondition.OR)
    for condition, expected in ((FilterCondition.AND, "02"), (FilterCondition.NOT, "1345")):
        found = ids_of(stores[0], MetadataFilters(filters=[inner], condition=condition))
        assert sorted(found) == [f"n{i}" for i in expected]


@pytest.mark.parametrize(
    ("value", "operator"), [(3, Op.TEXT_MATCH), ("x", Op.IN), ("x", Op.ANY), (float("inf"), Op.EQ)]
)
def test_wrong_filters_are_errors(stores: Any, value: Any, operator: FilterOperator) -> None:
    leaf = MetadataFilter.model_construct(key="s", value=value, operator=operator)
    with pytest.raises(vs.FilterError):
        ids_of(stores[0], MetadataFilters(filters=[leaf]))


@pytest.mark.parametrize("mode", [VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR])
@pytest.mark.parametrize("chosen", [None, ["n1", "n4", "zz"]])
def test_modes(stores: Any, mode: VectorStoreQueryMode, chosen: Any) -> None:
    """From the third node on, MMR differs: the other store only looks at the node before."""
    k = 4 if mode is VectorStoreQueryMode.DEFAULT else 2
    query = VectorStoreQuery(
        query_embedding=[1.0, 0.2, 0, 0], similarity_top_k=k, mode=mode, node_ids=chosen
    )
    for options in ({}, {"mmr_threshold": 0.8}):
        if mode is VectorStoreQueryMode.DEFAULT and options:
            continue
        ours, theirs = (store.query(query, **options) for store in stores)
        assert ours.ids == theirs.ids
        if mode is VectorStoreQueryMode.DEFAULT:
            assert ours.similarities == pytest.approx(theirs.similarities, abs=1e-6)


def test_modes_of_words(stores: Any) -> None:
    ours = stores[0]
    for mode in (VectorStoreQueryMode.TEXT_SEARCH, VectorStoreQueryMode.SPARSE):
        asked = VectorStoreQuery(query_str="number3", mode=mode, sparse_top_k=2)
        assert ours.query(asked).ids == ["n3"]
    vector = nodes()[5].get_embedding()
    for mode in (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID):
        for alpha, first in ((1.0, "n5"), (0.0, "n2")):
            asked = VectorStoreQuery(
                query_embedding=vector, query_str="number2", mode=mode, alpha=alpha
            )
            assert ours.query(asked).ids[0] == first
    for mode in (VectorStoreQueryMode.SVM, VectorStoreQueryMode.LINEAR_REGRESSION):
        with pytest.raises(vs.InvalidInputError, match="not offered"):
            ours.query(VectorStoreQuery(query_embedding=vector, mode=mode))


def test_doc_ids(stores: Any) -> None:
    found = ids_of(stores[0], MetadataFilters(filters=[]), doc_ids=["d1"])
    assert sorted(found) == ["n1", "n3", "n5"]


def test_nodes_come_back(stores: Any) -> None:
    ours = stores[0]
    expected: list[BaseNode] = nodes()
    for node, original in zip(ours.get_nodes([f"n{i}" for i in range(6)]), expected, strict=True):
        original.embedding = None
        assert node == original
    assert [node.node_id for node in ours.get_nodes(["n3", "zz", "n0"])] == ["n3", "n0"]
    big = MetadataFilters(filters=[MetadataFilter(key="n", value=2, operator=Op.GT)])
    assert [node.node_id for node in ours.get_nodes(["n5", "n0"], big)] == ["n5"]
    assert [node.node_id for node in ours.get_nodes(filters=big)] == ["n1", "n5"]


def test_delete_and_clear(stores: Any, tmp_path: Path) -> None:
    ours, theirs = stores
    big = MetadataFilters(filters=[MetadataFilter(key="n", value=2, operator=Op.GT)])
    for store in stores:
        store.delete("d0")
        store.delete_nodes(["n1", "n3"], big)
    assert sorted(ids_of(ours, MetadataFilters(filters=[]))) == sorted(theirs.data.embedding_dict)
    with pytest.raises(vs.InvalidInputError):
        ours.delete_nodes()
    asyncio.run(ours.aclear())
    assert ids_of(ours, MetadataFilters(filters=[])) == []


def test_an_empty_store(tmp_path: Path) -> None:
    store = VecsearchVectorStore(tmp_path / "c.vs")
    assert ids_of(store, MetadataFilters(filters=[])) == []
    assert store.get_nodes(["x"]) == [] and store.add([]) == [] and store.client is None
    store.delete("x")
    store.clear()


def test_an_index_of_llama_index(tmp_path: Path) -> None:
    store = VecsearchVectorStore(tmp_path / "c.vs")
    context = StorageContext.from_defaults(vector_store=store)
    model = MockEmbedding(embed_dim=4)
    bare = [TextNode(id_="x", text="a boat"), TextNode(id_="y", text="a bus")]
    VectorStoreIndex(bare, storage_context=context, embed_model=model)
    again = VectorStoreIndex.from_vector_store(
        VecsearchVectorStore(tmp_path / "c.vs"), embed_model=model
    )
    assert {hit.node.get_content() for hit in again.as_retriever().retrieve("boat")} == {
        "a boat",
        "a bus",
    }


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_examples(adapter)


def test_the_page_prints_what_it_shows(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "llama-index.md"
    result = run_page(page.read_text(encoding="utf-8"), tmp_path)
    assert not result.mismatches, "\n\n".join(map(str, result.mismatches))
