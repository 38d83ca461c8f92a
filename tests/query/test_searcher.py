"""Searches of one snapshot: exact search alone and in batches, and queries as vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

import vecsearch as vs
from vecsearch.ingest.chunking import FunctionChunker
from vecsearch.query import selection
from vecsearch.query.encode import QueryEncoder
from vecsearch.query.selection import CACHED_FILTERS, Selector

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
        ([1e39] * DIM, "query 2: the query vector has a NaN or an infinite number, or numbers or "),
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


def test_a_document_of_many_passages_leaves_room_for_the_others(root: Path) -> None:
    """The 200 passages nearest to the query are of one document; ten others lie farther away."""
    c = vs.create(root, embedder="toy:64", chunker=FunctionChunker(str.splitlines))
    texts = ["apple\n" * 200, *(f"apple and pear number {n}" for n in range(1, 11))]
    c.add([{"id": number, "text": text} for number, text in enumerate(texts)])
    best = {}  # each document's best passage, by the search for passages
    for hit in c.search("apple", k=210, passages=True, exact=True):
        best.setdefault(hit.id, hit.score)
    assert len(best) == 11 and min(best) == 0
    for k, wanted in ((1, 1), (2, 2), (5, 5), (11, 11), (20, 11)):
        (batched,) = c.search_batch(["apple"], k=k)
        for hits in (c.search("apple", k=k), batched):
            assert len(hits) == len(set(hits.ids)) == wanted and hits.ids[0] == 0
            assert hits.ids == list(best)[:wanted]
            assert hits.scores.tolist() == list(best.values())[:wanted]
    assert c.search("apple", k=5, where="id > 3").ids == [name for name in best if name > 3][:5]
    assert c.search("apple", k=3, where="id < 0").ids == []


def test_filters_that_differ_in_the_case_of_a_constant_are_two_filters(root: Path) -> None:
    with vs.create(root, dim=2) as c:
        c.add([{"vector": [1.0, n], "lang": lang} for n, lang in enumerate(["en", "en", "EN"])])
        for _ in range(2):  # now also from the cache
            assert [c.count(f"lang = '{lang}'") for lang in ("en", "EN", "En")] == [2, 1, 0]
            assert c.search([1.0, 0.0], where="lang = 'en'").ids == [0, 1]
            assert c.search([1.0, 0.0], where="lang = 'EN'").ids == [2]
            assert c.search([1.0, 0.0], where="LANG = 'EN'").ids == [2]
            assert c.search([1.0, 0.0], where=pc.field("lang") == "EN").ids == [2]
            assert c.search([1.0, 0.0], where=pc.field("lang") == "en").ids == [0, 1]


def test_the_oldest_filter_is_forgotten_first(root: Path) -> None:
    with vs.create(root, dim=2) as c:
        c.add([{"vector": [1.0, n], "n": n} for n in range(3)])
        selector = Selector(c._snapshot)
        first = selector.select("n >= 0")
        assert selector.select("n >= 0") is first and first.count == 3
        for number in range(CACHED_FILTERS - 1):
            selector.select(f"n = {number}")
        assert selector.select("n >= 0") is first  # and is now the newest
        one = selector.select("n = 1")
        selector.select("n = 1000")  # n = 0 goes
        assert selector.select("n >= 0") is first and selector.select("n = 1") is one
        for number in range(2000, 2000 + CACHED_FILTERS):
            selector.select(f"n = {number}")
        again = selector.select("n >= 0")
        assert again is not first and again.count == 3


def test_a_filter_on_the_text_sees_whole_documents_for_changes_and_counts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passages are lines. Some documents have their first and last word in different ones."""
    monkeypatch.setattr(selection, "DOCUMENTS", 3)
    c = vs.create(root, embedder="toy:16", chunker=FunctionChunker(str.splitlines))
    texts = ["\n".join(["first"] * (n % 3) + [f"line {n}"] + ["last"] * (n % 2)) for n in range(20)]
    c.add([{"id": n, "text": text, "n": n} for n, text in enumerate(texts)])
    c.delete([7])
    snapshot = c._snapshot
    ids = snapshot.take(["id"], np.arange(snapshot.rows)).column(0).to_pylist()

    def chosen(where: str) -> list[int]:
        found = selection.select_documents(snapshot, where)
        assert found.count == len(found.rows)
        return [ids[row] for row in found.rows.tolist()]

    def passages(documents: set[int]) -> list[int]:
        return [name for name in ids if name in documents - {7}]

    across = {n for n in range(20) if n % 3 and n % 2}
    assert chosen("text LIKE 'first%last'") == passages(across)
    assert chosen("text LIKE 'first%last' AND n > 8") == passages({n for n in across if n > 8})
    assert chosen("n > 8 AND text LIKE '%line%'") == passages(set(range(9, 20)))
    assert chosen("n > 8") == passages(set(range(9, 20)))
    assert chosen("text = 'nothing'") == []
    assert selection.select_documents(snapshot, None).count == len(passages(set(range(20))))
    assert c.count("text LIKE 'first%last'") == len(across - {7})
    assert c.search("first", k=20, where="text LIKE 'first%last'").ids == []  # sees passages
