"""Documents whose id is the key of a trained vector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.common.keyed import keyed, split_keyed
from vecsearch.embedders.items import ItemEmbedder
from vecsearch.embedders.keyed import KeyedEmbedder
from vecsearch.errors import IdNotFoundError, InvalidInputError


def pens() -> KeyedEmbedder:
    vectors = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    return KeyedEmbedder(["10", "11", "12", "pen"], vectors)


def one_way() -> ItemEmbedder:
    """After 0 comes 1, then 2, then 3."""
    documents = np.eye(4)
    return ItemEmbedder(["0", "1", "2", "3"], documents, np.roll(documents, -1, axis=0))


@pytest.mark.parametrize("ids", [[10, 11], ["10", "11"]])
def test_an_id_is_the_key(tmp_path: Path, ids: list[Any]) -> None:
    with vs.create(tmp_path / "c.vs", embedder=pens()) as c:
        result = c.add([{"id": each, "title": "x"} for each in ids])
        assert (result.added, result.embedded) == (2, 2)
        assert c.get(ids[1]) == [{"id": ids[1], "text": None, "title": "x"}]
        assert c.search(ids[0], k=1).ids == [ids[0]]
        np.testing.assert_allclose(c.vector(ids[1]), [1, 1, 0])
        c.add(pa.table({"id": pa.array([12 if isinstance(ids[0], int) else "12"])}))
        assert len(c) == 3
    with vs.open(tmp_path / "c.vs") as c:
        assert c.similar(ids[0], k=1).ids == [ids[1]]
        assert c.check() == []


def test_the_text_is_the_key_where_the_id_is_none(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", embedder=pens()) as c:
        c.add([{"id": "a", "text": "pen"}, {"id": "10", "text": "pen"}])
        np.testing.assert_allclose(c.vector("a"), [0, 0, 1])
        np.testing.assert_allclose(c.vector("10"), [1, 0, 0])  # the id comes first
        c.update(values=[{"id": "a", "text": "11"}])
        np.testing.assert_allclose(c.vector("a"), [1, 1, 0])
        c.add([{"id": "a", "text": "12"}], on_conflict="replace")
        np.testing.assert_allclose(c.vector("a"), [0, 1, 0])


def test_unknown_keys_are_named_or_left_out(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", embedder=pens()) as c:
        with pytest.raises(InvalidInputError, match=r"no vector for 'pem'.*'pen'"):
            c.add([{"id": "10"}, {"id": "pem"}])
        assert len(c) == 0
        result = c.add([{"id": "10"}, {"id": "pem"}, {"id": "11"}], on_error="skip")
        assert (result.added, len(c)) == (2, 2)
        assert "pem" in str(result.report)
        c.add([{"id": "own", "vector": [1.0, 2.0, 3.0]}])  # brings its own
        assert c.recommend(["own"], k=1).ids == ["11"]


def test_vectors_as_queries_differ_from_those_stored(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", embedder=one_way()) as c:
        c.add([{"id": n} for n in range(4)])
        assert c.info().metric == "ip"
        assert c.similar(0, k=1).ids == [1]
        assert c.recommend(history=[2], k=1).ids == [3]
        assert c.recommend([1], k=1).ids == [2]
        assert c.recommend([1], negative=[0], k=1).ids == [2]
        assert c.search("2", k=1).ids == [3]
        assert c.search_batch([["0", "1"]], k=2)[0].ids == [1, 2]
        hit = c.recommend(history=[0, 2], k=1, exact=True)[0]
        assert {reason.id: round(reason.score, 6) for reason in hit.explain().because} in (
            {0: 1.0, 2: 0.0},
            {0: 0.0, 2: 1.0},
        )
        assert hit.explain().because[0].score == 1.0  # the item that carried it comes first


def test_a_history_is_weighed_by_place_or_by_age(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    documents, queries = random.normal(size=(9, 4)), random.normal(size=(9, 4))
    half_lives = np.array([1.0, 1.0, 3.0, np.inf])
    model = ItemEmbedder([str(n) for n in range(9)], documents, queries, half_life=half_lives)
    with vs.create(tmp_path / "c.vs", embedder=model) as c:
        c.add([{"id": n} for n in range(9)])

        def expect(query: Any, left_out: list[int], hits: Any) -> None:
            scores = documents @ query
            scores[left_out] = -np.inf
            order = np.argsort(-scores)[: len(hits)]
            assert hits.ids == order.tolist()
            np.testing.assert_allclose(hits.scores, scores[order], rtol=1e-5, atol=1e-6)

        history = [3, 1, 3, 5]
        decay = 0.5 ** (np.arange(4)[::-1, None] / half_lives)
        query = (queries[history] * decay).sum(axis=0) / decay.sum(axis=0)
        expect(query, history, c.recommend(history=history, k=5))
        np.testing.assert_allclose(
            model.embed_queries([[str(n) for n in history]])[0], query, rtol=1e-6
        )
        # Weights multiply the places.
        weights = np.array([2.0, 1.0, 0.5, 1.0])
        placed = queries[history] * decay * 4 / decay.sum(axis=0)
        query = weights @ placed / weights.sum()
        given = list(zip(history, weights.tolist(), strict=True))
        expect(query, history, c.recommend(history=given, k=5))
        # Ages take the place of places.
        ages = [40.0, 30.0, 10.0, 0.0]
        aged = 0.5 ** (np.array(ages) / 10)
        query = aged @ queries[history] / aged.sum()
        given_ages = [(n, 1.0, age) for n, age in zip(history, ages, strict=True)]
        expect(query, history, c.recommend(history=given_ages, half_life=10, k=5))
        # What was seen may be wanted again.
        found = c.recommend(history=[3], k=9, exclude_seen=False)
        expect(queries[3], [], found)


def test_a_history_may_name_items_that_only_the_model_knows(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", embedder=one_way()) as c:
        c.add([{"id": n} for n in (1, 3)])
        assert c.recommend(history=[0], k=1).ids == [1]
        with pytest.raises(IdNotFoundError, match="history: no document has the id 77"):
            c.recommend(history=[0, 77], k=1)
        with pytest.raises(InvalidInputError, match="history: 'a' is no id"):
            c.recommend(history=["a"], k=1)


def test_the_metric_is_the_models_unless_given(tmp_path: Path) -> None:
    for given, found in ((None, "ip"), ("cosine", "cosine"), ("l2", "l2")):
        with vs.create(tmp_path / f"{given}.vs", embedder=one_way(), metric=given) as c:  # type: ignore[arg-type]
            assert c.info().metric == found
    assert vs.create(tmp_path / "toy.vs", embedder="toy:8").info().metric == "cosine"
    with vs.open_or_create(tmp_path / "None.vs", embedder=one_way()) as c:
        assert c.info().metric == "ip"


def test_reembed_to_keys_and_back(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", embedder="toy:8") as c:
        c.add([{"id": "10", "text": "one"}, {"id": "11", "text": "two"}])
        c.reembed(pens())
        np.testing.assert_allclose(c.vector("11"), [1, 1, 0])
        c.add([{"id": "12"}])
        c.delete(["12"])
        c.reembed("toy:8")
        with pytest.raises(InvalidInputError, match="text"):
            c.add([{"id": "13"}])
        assert c.search("two", k=1).ids == ["11"]


def test_ids_and_texts_in_one_string() -> None:
    assert keyed(3, None) == "3\x1f"
    assert split_keyed(keyed("a", "x\x1fy")) == ("a", "x\x1fy")
    assert split_keyed("a") == ("a", "a")
