"""Terms with weights, given or of a sparse encoder, against the dense product in float64."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from support.postings import places_of

import vecsearch as vs
from vecsearch.index.kernels import numpy_bm25
from vecsearch.index.kernels.loader import TEXT_LOADER
from vecsearch.storage import disk, log, manifest_json
from vecsearch.storage.disk import CheckedFile
from vecsearch.storage.manifest import replace
from vecsearch.storage.text_files import read_postings, write_postings
from vecsearch.text.postings import kept_postings, merged_postings, weighted_postings

TERMS = [f"term {number}" for number in range(50)]
needs_torch = pytest.mark.skipif(
    find_spec("sentence_transformers") is None, reason="sentence-transformers is not installed"
)


def random_weights(rng: np.random.Generator, most: int = 12) -> dict[str, float]:
    chosen = rng.choice(len(TERMS), size=rng.integers(0, most), replace=False)
    return {TERMS[at]: float(np.float32(rng.gamma(1.0))) for at in chosen}


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {"id": n, "vector": rng.normal(size=4), "n": n, "w": random_weights(rng)}
        for n in range(count)
    ]


def dense(weights: dict[str, float], terms: list[str] = TERMS) -> np.ndarray:
    found = np.zeros(len(terms))
    for term, weight in weights.items():
        if term in terms:
            found[terms.index(term)] = weight
    return found


def filled(root: Path, listed: list[dict[str, Any]]) -> vs.Collection:
    c = vs.create(root, dim=4, json_columns=["w"])
    for part in np.array_split(np.arange(len(listed)), 3):
        c.add([listed[n] for n in part.tolist()], progress=False)
    c.build_text_index("w", progress=False)
    return c


def assert_products(
    c: vs.Collection, listed: list[dict[str, Any]], query: dict[str, float], **options: Any
) -> None:
    products = {row["id"]: float(dense(row["w"]) @ dense(query)) for row in listed}
    wanted = sorted((-score, name) for name, score in products.items() if score > 0)
    hits = c.search(query, k=len(listed) + 1, mode="text", **options)
    assert len(hits) == len(wanted)
    np.testing.assert_allclose(hits.scores, [-score for score, _ in wanted], rtol=1e-6)
    for name, score in zip(hits.ids, hits.scores.tolist(), strict=True):
        assert score == pytest.approx(products[name], rel=1e-6)
    few = c.search(query, k=5, mode="text", **options)
    assert few.ids == hits.ids[:5]


@pytest.mark.parametrize("compiled", [False, True])
def test_scores_are_the_dense_products(root: Path, compiled: bool) -> None:
    if compiled and TEXT_LOADER.load() is None:
        pytest.skip("numba is not installed")
    listed, rng = rows(200), np.random.default_rng(5)
    queries = [random_weights(rng) | {"unknown": 2.0} for _ in range(8)]
    with (
        patch.object(TEXT_LOADER, "kernels", lambda *_: None)
        if not compiled
        else patch.object(TEXT_LOADER, "kernels", lambda *_: TEXT_LOADER.module)
    ):
        c = filled(root, listed)
        for query in queries:
            assert_products(c, listed, query)
        kept = [row for row in listed if row["n"] % 10 == 3]
        assert_products(c, kept, queries[0], where="n % 10 = 3")
        c.delete(where="n % 4 = 0")
        c.add([row | {"id": row["id"] + 1000} for row in rows(30, 9)], progress=False)
        now = [row for row in listed if row["n"] % 4]
        now += [row | {"id": row["id"] + 1000} for row in rows(30, 9)]
        for _ in range(2):
            for query in queries:
                assert_products(c, now, query)
            c.compact()
            assert c.check() == []
        with vs.open(root) as again:
            assert_products(again, now, queries[1])


def test_weights_are_the_text_side_of_a_hybrid_search(root: Path) -> None:
    listed, rng = rows(300), np.random.default_rng(6)
    c, query, vector = filled(root, listed), random_weights(rng, 30), rng.normal(size=4)
    hits = c.search(text=query, vector=vector, mode="hybrid", where="n < 250")
    lists = []
    for mode, given in (("text", query), ("vector", vector)):
        found = c.search(given, k=100, mode=mode, where="n < 250")  # type: ignore[arg-type]
        whole = c.search(given, k=300, mode=mode, where="n < 250")  # type: ignore[arg-type]
        scores = dict(zip(whole.ids, whole.scores.astype(float), strict=True))
        lists.append((found.scores.astype(float), scores))
    for name, score in zip(hits.ids, hits.scores.tolist(), strict=True):
        parts = [(scores.get(name, 0.0) - listed.mean()) / listed.std() for listed, scores in lists]
        assert score == pytest.approx(0.6 * parts[0] + 0.4 * parts[1], rel=1e-4)
    (batch,) = c.search_batch(texts=[query], vectors=[vector], mode="hybrid", where="n < 250")
    assert batch.ids == hits.ids
    assert "weights of" in hits.plan.reason and hits[0].matches() == {}
    assert set(hits[0].parts) == {"vector", "text"}
    groups = c.search(query, mode="text", group_by="n", min_score=0.1)
    assert groups.scores.min() >= 0.1


def test_explanations_name_terms_with_their_products(root: Path) -> None:
    listed, rng = rows(80), np.random.default_rng(7)
    c, query = filled(root, listed), random_weights(rng, 30)
    stored = {row["id"]: row["w"] for row in listed}
    hits = c.search(query, 20, mode="text")
    for hit in (*hits, *c.search(query, 20, mode="text", rerank=lambda q, hits: -hits.scores)):
        why = hit.explain()
        assert set(why.parts) - {"rerank"} == {"text"} and not why.matches
        wanted = {
            term: weight * stored[hit.id][term]
            for term, weight in query.items()
            if stored[hit.id].get(term)
        }
        found = {term.text: term.score for term in why.terms}
        assert found == pytest.approx(wanted, rel=1e-3)
        assert sum(found.values()) == pytest.approx(why.parts["text"].score, rel=1e-6)


def test_a_term_that_was_purged_is_in_no_file(root: Path) -> None:
    c = filled(root, [*rows(50), {"id": 99, "vector": [1, 0, 0, 0], "w": {"zanzibar": 3.0}}])
    assert c.search({"zanzibar": 1.0}, mode="text").ids == [99]
    c.delete(99)
    c.compact(purge=True)
    assert c.search({"zanzibar": 1.0}, mode="text").ids == []
    assert not [
        file for file in root.rglob("*") if file.is_file() and b"zanzi" in file.read_bytes()
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": -1.0}, "weight -1.0 for 'a'"),
        ({"a": "much"}, "weight 'much'"),
        ({"a": True}, "weight True"),
        ({"": 1.0}, "the term ''"),
        ([1, 2], "a dict of terms"),
        ("boat", "a dict of terms"),
    ],
)
def test_what_holds_no_weights_is_refused_and_nothing_is_added(
    root: Path, given: Any, message: str
) -> None:
    c = filled(root, rows(30))
    with pytest.raises(vs.InvalidInputError, match=message):
        c.add([{"id": 100, "vector": [1, 2, 3, 4], "w": given}])
    assert len(c) == 30 and c.check() == []
    if isinstance(given, dict):
        with pytest.raises(vs.InvalidInputError, match=message):
            c.search(given, mode="text")


def test_queries_that_are_no_weights(root: Path) -> None:
    c = filled(root, rows(30))
    for query, message in (("a text", "no encoder"), (["a"], "a dict of terms"), (" ", "empty")):
        with pytest.raises(vs.InvalidInputError, match=message):
            c.search(query, mode="text")  # type: ignore[arg-type]
    with pytest.raises(vs.InvalidInputError, match="leave out analyzer="):
        c.build_text_index("w", "german")
    assert c.search({}, mode="text").ids == []


def test_forged_weights_are_not_used(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    c = filled(root, rows(60))
    c.compact()
    right = c.search({"term 1": 1.0}, k=60, mode="text")
    c.close()
    version = log.load(root)
    (entry,) = version.segments
    assert entry.text is not None
    postings = read_postings(CheckedFile(root, entry.text), entry.rows, 1, weighted=True)
    assert postings.impacts is not None
    for value in (np.nan, np.inf, 0.0, -1.0, None):
        impacts = postings.impacts.copy()
        if value is None:
            impacts = impacts[:-1]
        else:
            impacts[3] = value
        path = root / entry.text.name
        path.unlink()
        write_postings(path, replace_impacts(postings, impacts))
        ref = disk.describe(root, path, entry.text.name)
        forged = replace(version, segments=(replace(entry, text=ref),))
        log.path_of(root, version.version).write_text(manifest_json.to_json(forged))
        caplog.clear()
        with vs.open(root) as again:
            found = again.search({"term 1": 1.0}, k=60, mode="text")
            assert (found.ids, found.scores.tolist()) == (right.ids, right.scores.tolist())
        assert "texts are read instead" in caplog.text


def replace_impacts(postings: Any, impacts: Any) -> Any:
    from dataclasses import replace as replaced

    return replaced(postings, impacts=impacts)


def test_merged_and_kept_postings_are_those_of_all_rows() -> None:
    rng = np.random.default_rng(2)
    columns = [[random_weights(rng) for _ in range(40)] for _ in range(2)]
    kept = rng.random(40) < 0.6

    def part(first: int, last: int) -> Any:
        return weighted_postings([column[first:last] for column in columns])

    def same(one: Any, other: Any) -> None:
        assert one.terms.equals(other.terms)
        for name in ("starts", "rows", "counts", "lengths", "impacts"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))

    same(merged_postings([part(0, 7), part(7, 7 + 20), part(27, 40)]), part(0, 40))
    left = [[each for each, keep in zip(column, kept, strict=True) if keep] for column in columns]
    same(kept_postings(part(0, 40), kept), weighted_postings(left))


def test_compiled_and_numpy_sums_are_equal_bit_by_bit() -> None:
    compiled = TEXT_LOADER.load()
    if compiled is None:
        pytest.skip("numba is not installed")
    rng = np.random.default_rng(3)
    postings = weighted_postings([[random_weights(rng) for _ in range(80)] for _ in range(2)])
    places = places_of(postings)[:20]
    groups = np.array([0, 2, 5, len(places)], np.int64)
    weights, factors = rng.random(len(places)), rng.random(3)
    for mask in (np.empty(0, bool), rng.random(80) < 0.4):
        answers = []
        for kernels in (compiled, numpy_bm25):
            found, scores, buffer = np.empty(9, np.int64), np.empty(9), np.zeros(80)
            lists = (places, weights, groups, factors)
            count = kernels.best_sums(*lists, mask, buffer, found, scores)
            own = np.empty(count)
            kernels.sums_of(*lists, found[:count].copy(), own)
            assert not buffer.any() and own.tolist() == scores[:count].tolist()
            answers.append((found[:count].tolist(), scores[:count].tolist()))
        assert answers[0] == answers[1] and len(answers[0][0]) == 9


# -- an encoder ------------------------------------------------------------------------------------

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ship", "sea", "boat", "bus", "town", "red"]
TEXTS = ["ship sea", "boat sea boat", "bus town red", "red ship", "town", "", "sea sea sea bus"]


def make_encoder(folder: Path, seed: int = 0) -> Path:
    """A small SPLADE with random weights, saved in a folder."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

    torch.manual_seed(seed)
    base = folder / "bert"
    base.mkdir(parents=True)
    (base / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    BertTokenizerFast(str(base / "vocab.txt")).save_pretrained(str(base))
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        initializer_range=0.5,
    )
    BertForMaskedLM(config).save_pretrained(str(base))
    encoder = SparseEncoder(modules=[MLMTransformer(str(base)), SpladePooling("max")], device="cpu")
    encoder.save_pretrained(str(folder / "splade"))
    return folder / "splade"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@needs_torch
def test_an_encoder_weighs_texts_and_queries(root: Path, encoder: Path) -> None:
    from sentence_transformers import SparseEncoder

    c = vs.create(root, embedder="toy:8", chunker=None)
    c.add([{"id": n, "text": text} for n, text in enumerate(TEXTS) if text], progress=False)
    c.build_text_index(encoder=encoder, progress=False)
    c.add([{"id": 50, "text": "town boat"}], progress=False)
    texts = {n: text for n, text in enumerate(TEXTS) if text} | {50: "town boat"}
    model = SparseEncoder(str(encoder), device="cpu", local_files_only=True)

    def matrix(values: list[str], *, query: bool) -> np.ndarray:
        run = model.encode_query if query else model.encode_document
        found = run(values, convert_to_sparse_tensor=False, show_progress_bar=False)
        return np.asarray(found.cpu().numpy(), np.float64)

    for query in ("a red ship", "sea", "town bus"):
        scores = matrix(list(texts.values()), query=False) @ matrix([query], query=True)[0]
        wanted = {name: score for name, score in zip(texts, scores, strict=True) if score > 0}
        hits = c.search(query, k=20, mode="text")
        assert set(hits.ids) == set(wanted) and len(wanted) > 2
        for name, score in zip(hits.ids, hits.scores.tolist(), strict=True):
            assert score == pytest.approx(wanted[name], rel=1e-4)
        assert len(c.search(query, mode="hybrid", k=3)) == 3
    before = c.search("red sea", k=20, mode="text")
    c.delete(2)
    c.compact()
    assert c.check() == []
    with vs.open(root) as again:
        after = again.search("red sea", k=20, mode="text")
    kept = [(n, s) for n, s in zip(before.ids, before.scores.tolist(), strict=True) if n != 2]
    assert list(zip(after.ids, after.scores.tolist(), strict=True)) == kept


@needs_torch
def test_another_encoder_in_the_same_place_is_refused(root: Path, tmp_path: Path) -> None:
    from vecsearch.text import weights

    folder = make_encoder(tmp_path / "one")
    c = vs.create(root, embedder="toy:8", chunker=None)
    c.add(["ship sea", "boat"], progress=False)
    c.build_text_index(encoder=folder, progress=False)
    c.close()
    other = make_encoder(tmp_path / "two", seed=1)
    folder.rename(tmp_path / "away")
    other.rename(folder)
    weights._loaded.cache_clear()
    with vs.open(root) as c, pytest.raises(vs.EmbedderError, match="other weights"):
        c.search("ship", mode="text")
    with vs.open(root) as c, pytest.raises(vs.EmbedderError, match="cannot be loaded"):
        c.build_text_index(encoder=tmp_path / "nowhere")
    assert json.loads(manifest_json.to_json(log.load(root)))["body"]["full_text"]["analyzer"][
        "encoder"
    ] == str(folder)
