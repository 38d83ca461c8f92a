"""Searches of one snapshot: exact search alone and in batches, and queries as vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.query.encode import QueryEncoder

ROWS, DIM = 3000, 50


def with_copies(path: Path, metric: str) -> tuple[vs.Collection, np.ndarray]:
    """A collection in two segments whose rows have up to 40 copies, and queries."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(ROWS, DIM)).astype(np.float32)
    vectors[1000:2000] = vectors[rng.integers(0, 300, 1000)]
    vectors[2000:2400] = vectors[rng.integers(0, 10, 400)]
    c = vs.create(path, dim=DIM, metric=metric)
    for part in np.array_split(np.arange(ROWS), 2):
        c.add([{"id": int(row), "vector": vectors[row], "third": int(row) % 3} for row in part])
    return c, np.concatenate([vectors[:60], rng.normal(size=(60, DIM)).astype(np.float32)])


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_exact_batches_order_copies_of_a_row_as_single_calls_do(
    tmp_path: Path, metric: str
) -> None:
    c, queries = with_copies(tmp_path / "c", metric)
    for where in (None, "third = 1"):
        for k in (1, 3, 10, 50):
            batch = c.search_batch(queries, k, where=where, exact=True)
            for query, hits in zip(queries, batch, strict=True):
                alone = c.search(query, k, where=where, exact=True)
                assert hits.ids == alone.ids
                pairs = list(zip((-hits.scores).tolist(), hits.ids, strict=True))
                assert pairs == sorted(pairs)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_exact_search_among_near_duplicates_is_that_of_float64(
    tmp_path: Path, metric: str, dtype: str
) -> None:
    """Groups of 150 rows that float32 scores cannot order, over the vectors as they are stored."""
    rng = np.random.default_rng(3)
    groups = np.repeat(rng.normal(size=(12, 64)), 150, 0)
    spreads = np.repeat([0, 1e-4, 1e-3, 1e-2], 450)[:, None]
    vectors = (groups + spreads * rng.normal(size=groups.shape)).astype(np.float32)
    c = vs.create(tmp_path / "c", dim=64, metric=metric, dtype=dtype)
    for part in np.array_split(vectors, 2):
        c.add(part)
    snapshot = c._snapshot
    stored = np.concatenate([segment.vectors for segment in snapshot.segments]).astype(np.float64)
    queries = vectors[::75] + rng.normal(0, 1e-3, (24, 64)).astype(np.float32)
    encoded = QueryEncoder(snapshot.manifest, None).encode_many(queries).astype(np.float64)
    batches = {k: c.search_batch(queries, k, exact=True) for k in (1, 10, 100)}
    for number, query in enumerate(encoded):
        right = -((stored - query) ** 2).sum(axis=1) if metric == "l2" else stored @ query
        if metric == "cosine":
            right /= np.linalg.norm(stored, axis=1) * np.linalg.norm(query)
        ranked = np.sort(right)[::-1]
        for k, batch in batches.items():
            for hits in (c.search(queries[number], k, exact=True), batch[number]):
                rows = np.array(hits.ids)
                # Scores that differ by less than float64's own rounding may change places.
                np.testing.assert_allclose(right[rows], ranked[:k], rtol=1e-12, atol=1e-13)
                np.testing.assert_allclose(hits.scores, ranked[:k], rtol=1e-7)


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_one_query_and_a_batch_are_encoded_alike(tmp_path: Path, metric: str) -> None:
    c, queries = with_copies(tmp_path / "c", metric)
    encoder = QueryEncoder(c._snapshot.manifest, None)
    expected = queries.astype(np.float64)
    if metric == "cosine":
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for given in (queries, queries.tolist(), list(queries), queries.astype(np.float64)):
        many = encoder.encode_many(given)
        assert many.dtype == np.float32 and many.flags.c_contiguous
        np.testing.assert_allclose(many, expected, rtol=2e-7)
        assert np.array_equal(many, [encoder.encode(query) for query in given])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.0] * DIM, "query 2: the query is a zero vector"),
        ([np.nan] * DIM, "query 2: the query vector has a NaN"),
        ([1e39] * DIM, "query 2: the query vector has a NaN or an infinite number, or numbers too"),
        ([1.0] * 3, r"query 2 has shape \(3,\), query 0 \(50,\)"),
        ("text", "no embedder"),
    ],
)
def test_a_wrong_query_of_a_batch_is_named(
    tmp_path: Path, row: list[float] | str, message: str
) -> None:
    c, queries = with_copies(tmp_path / "c", "cosine")
    with pytest.raises(vs.VecsearchError, match=message):
        c.search_batch([*queries[:2].tolist(), row, *queries[2:4].tolist()])


def test_an_analogy_is_a_method_and_a_function(tmp_path: Path) -> None:
    c, _ = with_copies(tmp_path / "c", "cosine")
    by_method = c.analogy([0, 1], 2, k=5, where="third = 1")
    assert by_method.ids == vs.analogy(c, [0, 1], 2, k=5, where="third = 1").ids
    assert not {0, 1, 2} & set(by_method.ids)
