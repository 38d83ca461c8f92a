"""Explanations: weights are the scores that a text loses, whoever computes them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs
from tests.support.bm25 import bm25
from tests.support.data import brute_force, clustered
from vecsearch.embedders import resolve_embedder

ENGLISH = "We met at noon. The wifi password is on the door. Bring cake."
CHINESE = "南京市长江大桥是一座桥。光合作用需要阳光。我们明天见。"


@pytest.fixture
def notes(tmp_path: Path) -> vs.Collection:
    c = vs.create(tmp_path / "notes.vs", embedder="toy:256", chunker=None)
    c.add([{"id": "en", "text": ENGLISH, "n": 1}, {"id": "zh", "text": CHINESE, "n": 2}])
    return c


@pytest.mark.parametrize(
    ("query", "text", "best", "word"),
    [
        ("wifi password", ENGLISH, "The wifi password is on the door.", "password"),
        ("光合作用", CHINESE, "光合作用需要阳光。", "作用"),
    ],
)
def test_weights_are_what_the_score_loses(
    notes: vs.Collection, query: str, text: str, best: str, word: str
) -> None:
    why = notes.search(query, k=1)[0].explain()
    model = resolve_embedder("toy:256")
    target = np.asarray(notes.vector(text=query), np.float64)

    def score(text: str) -> float:
        (vector,) = model.embed_documents([text])
        return float(brute_force(np.asarray(vector)[None], target, "cosine")[0])

    assert why.sentences[0].text.strip() == best
    assert len(why.sentences) == 3
    for carrier in (*why.sentences, *why.words):
        span = carrier.span
        assert text[span.start : span.end] == carrier.text and span.column == "text"
        left = text[: span.start] + text[span.end :]
        assert carrier.weight == pytest.approx(score(text) - score(left), abs=1e-5)
    for carriers in (why.sentences, why.words):
        weights = [carrier.weight for carrier in carriers]
        assert weights == sorted(weights, reverse=True)
    assert word in [carrier.text for carrier in why.words[:2]]
    assert word in str(why) and f">{word}</mark>" in why._repr_html_()


def test_it_says_what_filter_plan_and_lists_did(notes: vs.Collection) -> None:
    hits = notes.search("wifi", where="n > 0", order_by="n desc")
    why = hits[0].explain()
    assert (why.id, why.rank, why.parts["vector"].rank) == ("zh", 1, 2)
    assert why.filter == "n > 0" and why.filter in str(why)
    assert why.plan == str(hits.plan)
    batch = notes.search_batch(["wifi", "桥"], where=["n = 1", None])
    assert [hits[0].explain().filter for hits in batch] == ["n = 1", None]


def test_passages_have_offsets_in_the_whole_text(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:256", chunker=40)
    c.add([{"id": 1, "text": ENGLISH}])
    for hit in c.search("wifi password", k=3, passages=True):
        for carrier in (*hit.explain().sentences, *hit.explain().words):
            assert ENGLISH[carrier.span.start : carrier.span.end] == carrier.text


def test_a_recommendation_names_its_reasons(tmp_path: Path) -> None:
    vectors = clustered(300, 8)
    c = vs.create(tmp_path / "c.vs", dim=8)
    c.add(vectors)
    history = [(3, 2.0), (50, 1.0), (90, -1.0)]
    hits = c.recommend(history=history, k=3)
    for hit in (hits[0], pickle.loads(pickle.dumps(hits))[0]):
        why = hit.explain()
        scores = {
            which: brute_force(vectors[[which]], vectors[hit.id], "cosine")[0]
            for which, _ in history
        }
        wanted = sorted(history, key=lambda each: -each[1] * scores[each[0]])
        assert [(reason.id, reason.weight) for reason in why.because] == wanted
        for reason in why.because:
            assert reason.score == pytest.approx(scores[reason.id], abs=1e-6)
        assert f"because of {wanted[0][0]}" in str(why)


def test_items_have_neighbors_in_common(tmp_path: Path) -> None:
    vectors = clustered(300, 8)
    c = vs.create(tmp_path / "c.vs", dim=8)
    c.add(vectors)
    query = vectors[7] + 0.01
    hit = c.search(query)[2]
    why = hit.explain()

    def nearest(vector: np.ndarray) -> list[int]:
        return np.argsort(-brute_force(vectors, vector, "cosine"))[:21].tolist()

    near = set(nearest(query))
    wanted = [which for which in nearest(vectors[hit.id]) if which in near and which != hit.id]
    assert list(why.shared) == wanted
    assert not why.sentences and "neighbors in common" in str(why)


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
def test_each_mode_names_its_lists(notes: vs.Collection, mode: str) -> None:
    hits = notes.search("wifi password", mode=mode, where="n > 0")  # type: ignore[arg-type]
    why = hits[0].explain()
    assert why.id == "en" and why.filter == "n > 0"
    assert set(why.parts) == ({"vector", "text"} if mode == "hybrid" else {mode})
    assert all(part.rank == 1 for part in why.parts.values())
    assert ("words of the query" in str(why)) == (mode != "vector")


@pytest.mark.parametrize("chunker", [None, 60])
def test_the_words_of_a_score_are_those_of_the_formula(tmp_path: Path, chunker: int | None) -> None:
    rng = np.random.default_rng(3)
    words = [f"w{n}" for n in range(12)]
    c = vs.create(
        tmp_path / "c.vs", embedder="toy:16", chunker=chunker, full_text=vs.Analyzer(language=None)
    )
    texts = [" ".join(rng.choice(words, size=rng.integers(3, 60))) for _ in range(40)]
    c.add([{"id": n, "text": text} for n, text in enumerate(texts)], progress=False)
    c.delete([3, 7])
    documents: dict[object, list[list[list[str]]]] = {}
    for row in c.to_arrow(["id", "text"]).to_pylist():
        documents.setdefault(row["id"], []).append([row["text"].split()])
    query = ["w1", "w4", "w9"]
    single = {word: bm25(documents, [word]) for word in query}
    for mode in ("text", "hybrid"):
        hits = c.search(" ".join(query), 30, mode=mode)  # type: ignore[arg-type]
        for hit, again in zip(hits, pickle.loads(pickle.dumps(hits)), strict=True):
            why = hit.explain()
            assert sum(term.score for term in why.terms) == pytest.approx(why.parts["text"].score)
            assert [term.score for term in why.terms] == sorted(
                (term.score for term in why.terms), reverse=True
            )
            if chunker is None:
                wanted = {word: each[hit.id] for word, each in single.items() if hit.id in each}
                assert {term.text: term.score for term in why.terms} == pytest.approx(wanted)
            assert again.explain().terms == why.terms
    reranked = c.search("w1 w4", 5, mode="text", rerank=lambda query, hits: hits.scores * -1)
    for hit in reranked:
        why = hit.explain()
        assert sum(term.score for term in why.terms) == pytest.approx(why.parts["text"].score)
    assert c.search("w1")[0].explain().terms == ()


def test_words_of_a_score_are_written_as_in_a_question(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2)
    rows = {1: ("Ships", "at sea, 密碼"), 2: ("Shop", "on the lake"), 3: ("sea", "ship")}
    c.add([{"id": n, "vector": [1, n], "a": a, "b": b} for n, (a, b) in rows.items()])
    c.build_text_index(["a", "b"])
    question = 'a:ships^2 "at sea" sho* laek~ 密码 码 -nothing'
    found = {
        hit.id: {t.text for t in hit.explain().terms} for hit in c.search(question, mode="text")
    }
    assert found[1] == {"a:ship", "at", "sea", "密码", "码*"}
    assert found[2] == {"sho*", "laek~1"}
    twice = c.search("ship^3", mode="text")[0].explain()
    assert twice.terms[0].score == pytest.approx(twice.score)
    assert f"score by words: ship {twice.score:.4f}" in str(twice)
