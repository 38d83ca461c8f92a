"""Recommendations, similar documents and discovery against the formulas in float64."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import vecsearch as vs
from tests.support.data import brute_force
from tests.support.packages import matrix, packages, packages_table

METRICS = ("cosine", "ip", "l2")
POSITIVE, NEGATIVE = [3, 700, 1501], [40, 900]


@pytest.fixture(scope="module")
def table(shared_data: Path) -> pa.Table:
    return packages_table(shared_data)


@pytest.fixture(scope="module")
def collections(
    table: pa.Table, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, vs.Collection]:
    root = tmp_path_factory.mktemp("recommend")
    return {metric: packages(root / metric, table, metric) for metric in METRICS}


def unit(vectors: np.ndarray, metric: str) -> np.ndarray:
    if metric != "cosine":
        return vectors
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def each(table: pa.Table, ids: list[int], metric: str) -> np.ndarray:
    """Scores of all rows with each of some, float64 (rows, examples)."""
    vectors = matrix(table)
    return np.stack([brute_force(vectors, vectors[which], metric) for which in ids], axis=1)


def formula(
    table: pa.Table,
    metric: str,
    strategy: str,
    positive: list[int],
    negative: list[int],
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """The score of every row, written down once more."""
    weights = np.ones(len(positive)) if weights is None else weights
    if strategy == "average":
        vectors = unit(matrix(table), metric)
        mean = weights @ vectors[positive] / weights.sum()
        target = mean + mean - vectors[negative].mean(axis=0) if negative else mean
        return brute_force(matrix(table), target, metric)
    liked = each(table, positive, metric) * weights if positive else np.empty((2000, 0))
    disliked = each(table, negative, metric) if negative else np.empty((2000, 0))
    if strategy == "sum_scores":
        return liked.sum(axis=1) - disliked.sum(axis=1)
    best = liked.max(axis=1, initial=-np.inf)
    worst = disliked.max(axis=1, initial=-np.inf)
    return np.where(best > worst, best, -(np.where(np.isinf(worst), 0, worst) ** 2))


def check(hits: vs.Hits, scores: np.ndarray, left_out: list[int], k: int) -> None:
    """The hits are the best by these scores, up to rounding."""
    allowed = scores.copy()
    allowed[left_out] = -np.inf
    order = np.argsort(-allowed, kind="stable")[:k]
    assert len(hits) == k
    assert not set(hits.ids) & set(left_out)
    np.testing.assert_allclose(hits.scores, allowed[order], rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(hits.scores, allowed[hits.ids], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("strategy", ["average", "best_score", "sum_scores"])
@pytest.mark.parametrize("negative", [[], NEGATIVE])
def test_recommendations_are_those_of_the_formula(
    collections: dict[str, vs.Collection],
    table: pa.Table,
    metric: str,
    strategy: str,
    negative: list[int],
) -> None:
    if metric == "l2" and strategy == "best_score" and negative:
        with pytest.raises(vs.InvalidInputError, match="negative distances"):
            collections[metric].recommend(POSITIVE, negative, strategy=strategy)
        return
    scores = formula(table, metric, strategy, POSITIVE, negative)
    for k in (1, 10, 200):
        hits = collections[metric].recommend(POSITIVE, negative, strategy=strategy, k=k)
        check(hits, scores, POSITIVE + negative, k)
        seen = collections[metric].recommend(
            POSITIVE, negative, strategy=strategy, k=k, exclude_seen=False, exclude=[5, 6]
        )
        check(seen, scores, [5, 6], k)


@pytest.mark.parametrize("strategy", ["best_score", "sum_scores"])
def test_only_negative_examples(
    collections: dict[str, vs.Collection], table: pa.Table, strategy: str
) -> None:
    scores = formula(table, "cosine", strategy, [], NEGATIVE)
    hits = collections["cosine"].recommend(negative=NEGATIVE, strategy=strategy, k=30)
    check(hits, scores, NEGATIVE, 30)
    with pytest.raises(vs.InvalidInputError, match="needs a positive example"):
        collections["cosine"].recommend(negative=NEGATIVE)


@pytest.mark.parametrize("strategy", ["average", "best_score", "sum_scores"])
def test_a_history_has_weights_that_age(
    collections: dict[str, vs.Collection], table: pa.Table, strategy: str
) -> None:
    history = [3, (700, 2.0), (1501, 1.0, 60), (40, -1.0), (900, 0.0)]
    weights = np.array([1.0, 2.0, 0.25])
    scores = formula(table, "cosine", strategy, POSITIVE, [40], weights)
    hits = collections["cosine"].recommend(history=history, strategy=strategy, k=25)
    check(hits, scores, [*POSITIVE, *NEGATIVE], 25)
    slower = np.array([1.0, 2.0, 0.5])
    scores = formula(table, "cosine", strategy, POSITIVE, [40], slower)
    hits = collections["cosine"].recommend(history=history, strategy=strategy, k=25, half_life=60)
    check(hits, scores, [*POSITIVE, *NEGATIVE], 25)


@pytest.mark.parametrize("metric", METRICS)
def test_similar_documents_are_the_nearest_without_itself(
    collections: dict[str, vs.Collection], table: pa.Table, metric: str
) -> None:
    for which in (0, 699, 1999):
        scores = each(table, [which], metric)[:, 0]
        check(collections[metric].similar(which, k=20), scores, [which], 20)
        hits = collections[metric].similar(which, 5, where="words > 5", exclude=[1, 2])
        words = table.column("words").to_pylist()
        out = [n for n in range(2000) if (words[n] or 0) <= 5]
        check(hits, scores, [which, 1, 2, *out], 5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("has_target", [True, False])
def test_discovery_and_context_are_those_of_the_formulas(
    collections: dict[str, vs.Collection], table: pa.Table, metric: str, has_target: bool
) -> None:
    pairs = [(3, 40), (700, 900), (1501, 1200)]
    liked = each(table, [a for a, _ in pairs], metric)
    disliked = each(table, [b for _, b in pairs], metric)
    seen = [which for pair in pairs for which in pair]
    if has_target:
        target = each(table, [77], metric)[:, 0]
        scores = np.sign(liked - disliked).sum(axis=1) + (1 + target / (1 + abs(target))) / 2
        hits = collections[metric].discover(77, pairs, k=50)
        seen = [*seen, 77]
    else:
        scores = np.minimum(liked - disliked, 0).sum(axis=1)
        hits = collections[metric].discover(context=pairs, k=50)
    check(hits, scores, seen, 50)
    assert "exact" in str(hits.plan)
    limit = float(hits.scores[20])
    options: dict[str, Any] = {"context": pairs, "k": 50, "min_score": limit}
    again = collections[metric].discover(77 if has_target else None, **options)
    assert len(again) == int((hits.scores >= np.float32(limit)).sum())


def test_an_index_finds_the_best_of_each_example(tmp_path: Path, table: pa.Table) -> None:
    c = packages(tmp_path / "c.vs", table)
    c.build_index(progress=False)
    found = []
    for first in range(0, 300, 10):
        positive, negative = [first, first + 1000, first + 3], [first + 5]
        for strategy in ("average", "best_score", "sum_scores"):
            wanted = c.recommend(positive, negative, strategy=strategy, k=10, exact=True)
            hits = c.recommend(positive, negative, strategy=strategy, k=10, recall=0.95)
            found.append(len(set(hits.ids) & set(wanted.ids)) / 10)
            same = [which for which in hits.ids if which in wanted.ids]
            scores = dict(zip(wanted.ids, wanted.scores, strict=True))
            assert all(hits.scores[hits.ids.index(which)] == scores[which] for which in same)
    assert np.mean(found) >= 0.95


def test_examples_may_be_ids_texts_or_vectors(texts: vs.Collection) -> None:
    vector = texts.vector(text="cats and mice")
    by_text = texts.recommend("cats and mice", k=4)
    as_given: list[Any] = [
        ["cats and mice"],
        {"text": "cats and mice"},
        [{"text": "cats and mice"}],
        vector,
        [vector],
        vector.tolist(),
        [vector.tolist()],
        {"vector": vector},
        pa.array([vector.tolist()]),
    ]
    for example in as_given:
        assert texts.recommend(example, k=4).ids == by_text.ids
    assert len(by_text) == 4
    ids: list[Any] = [1, [1], np.int64(1), np.array([1]), {"id": 1}, [{"id": 1}], pa.array([1])]
    for example in ids:
        hits = texts.recommend(example, k=4)
        assert hits.ids == texts.similar(1, k=4).ids
        assert 1 not in hits.ids
    mixed = texts.recommend([1, "cats", vector], {"id": 4}, k=4)
    assert set(mixed.ids) == {2, 3}


def test_a_text_that_is_an_id_is_the_document(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64")
    c.add([{"id": name, "text": f"{name} by the sea"} for name in ("boat", "ship", "bus")])
    assert "boat" not in c.recommend("boat").ids
    assert "boat" in c.recommend({"text": "boat"}).ids
    assert len(c.recommend("a trip to the sea")) == 3
    plain = vs.create(tmp_path / "plain.vs", dim=2)
    plain.add([{"id": "a", "vector": [1, 0]}, {"id": "b", "vector": [1, 1]}])
    with pytest.raises(vs.IdNotFoundError, match="no document has the id 'c'"):
        plain.recommend(["a", "c"])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c: c.recommend(), vs.InvalidInputError, "needs an example"),
        (lambda c: c.recommend([]), vs.InvalidInputError, "needs an example"),
        (lambda c: c.recommend([1], strategy="best"), vs.InvalidInputError, "strategy is 'best'"),
        (lambda c: c.recommend([10**6]), vs.IdNotFoundError, "positive: no document has the id"),
        (lambda c: c.recommend(1, [10**6]), vs.IdNotFoundError, "negative: no document"),
        (lambda c: c.recommend(history=[10**6]), vs.IdNotFoundError, "history: no document"),
        (lambda c: c.recommend(history=[(1, "x")]), vs.InvalidInputError, "entry 0 is"),
        (lambda c: c.recommend(history=[1, (1, 1, -3)]), vs.InvalidInputError, "age of entry 1"),
        (lambda c: c.recommend(history=[(1, 2, 3, 4)]), vs.InvalidInputError, "entry 0"),
        (lambda c: c.recommend(history=5), vs.InvalidInputError, "history is 5"),
        (lambda c: c.recommend(1, half_life=0), vs.InvalidInputError, "half_life is 0"),
        (lambda c: c.recommend([None]), vs.InvalidInputError, "is no example"),
        (lambda c: c.recommend({"ids": 1}), vs.InvalidInputError, "is no example"),
        (lambda c: c.recommend([1], [1], strategy="sum_scores"), vs.InvalidInputError, "cancel"),
        (lambda c: c.recommend([[0.1, 0.2]]), vs.InvalidInputError, "shape"),
        (lambda c: c.similar(10**6), vs.IdNotFoundError, "no document has the id"),
        (lambda c: c.similar("a"), vs.InvalidInputError, "ids of this collection are int"),
        (lambda c: c.discover(), vs.InvalidInputError, "needs a target"),
        (lambda c: c.discover(1, [3]), vs.InvalidInputError, "entry 0 is 3"),
        (lambda c: c.discover(1, context=7), vs.InvalidInputError, "context is 7"),
    ],
)
def test_wrong_examples_say_what_is_wrong(
    collections: dict[str, vs.Collection],
    call: Callable[[vs.Collection], object],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        call(collections["cosine"])


def test_documents_of_several_passages(tmp_path: Path, shared_data: Path) -> None:
    plain = vs.create(tmp_path / "plain.vs", embedder="toy:64")
    plain.add(shared_data / "beir" / "xquad-en" / "corpus.jsonl")
    rows = plain.to_arrow(["id", "text"]).to_pylist()[:60]
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", chunker=200)
    c.add(rows)
    ids = [row["id"] for row in rows]
    passages = c.to_arrow(["id", "vector"]).to_pylist()
    vectors = np.array([row["vector"] for row in passages])
    owners = np.array([row["id"] for row in passages])
    mean = vectors[owners == ids[0]].astype(np.float64).mean(axis=0)
    scores = brute_force(vectors, mean, "cosine")
    best = {which: scores[owners == which].max() for which in ids[1:]}
    hits = c.similar(ids[0], k=20)
    assert hits.ids == sorted(best, key=best.__getitem__, reverse=True)[:20]
    best_of = c.recommend(ids[:2], ids[2], strategy="best_score", k=10)
    examples = [vectors[owners == which].astype(np.float64).mean(axis=0) for which in ids[:3]]
    each = np.stack([brute_force(vectors, example, "cosine") for example in examples])
    wanted, unwanted = each[:2].max(axis=0), each[2]
    by_row = np.where(wanted > unwanted, wanted, -(unwanted**2))
    best = {which: by_row[owners == which].max() for which in ids[3:]}
    assert best_of.ids == sorted(best, key=best.__getitem__, reverse=True)[:10]
    assert len(set(c.similar(ids[0], k=30, passages=True).ids)) < 30


def test_ids_of_other_libraries_are_examples(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2, metric="l2")
    c.add([{"id": i, "vector": [1, i]} for i in range(6)])
    for one in (np.int64(1), np.uint8(1), np.array(1), pa.scalar(1), torch.tensor(1)):
        assert c.similar(one, k=2).ids == c.similar(1, k=2).ids == [0, 2]
        assert c.recommend([one, 2], k=2).ids == c.recommend([1, 2], k=2).ids
        named = c.recommend(3, negative={"id": one}, history=[one, (one, 0.5)], k=3)
        assert named.ids == c.recommend(3, negative={"id": 1}, history=[1, (1, 0.5)], k=3).ids
        assert (
            c.discover(one, context=[(one, 0)], k=2).ids == c.discover(1, context=[(1, 0)], k=2).ids
        )
    keys = [uuid.UUID(int=i) for i in range(3)]
    texts = vs.create(tmp_path / "t.vs", dim=2, metric="l2")
    texts.add([{"id": key, "vector": [1, key.int]} for key in keys])
    assert texts.similar(keys[0], k=1).ids == [str(keys[1])]
    for wrong in (np.float64(1), np.bool_(True), np.str_("1"), pa.scalar("1"), uuid.UUID(int=1)):
        with pytest.raises(vs.VecsearchError):
            c.similar(wrong, k=1)
