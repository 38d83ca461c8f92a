"""Reranked searches: the scores are the reranker's, the candidates those of the search without."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sentence_transformers import make_model

import vecsearch as vs
from tests.support.rerankers import make_cross_encoder, make_multi_vector
from vecsearch.errors import EmbedderError, InvalidInputError, OperationTimeoutError

SUBJECTS = ["the plant", "a socket", "a date", "the string", "food"]
VERBS = ["parse", "open", "make", "query"]
ROWS = [
    {
        "id": f"{n:03}",
        "text": f"{VERBS[n % 4]} {SUBJECTS[n % 5]} {SUBJECTS[n % 3]} number{n}",
        "year": 1990 + n % 7,
        "lang": "en zh de fr".split()[n % 4],
    }
    for n in range(120)
]
MODES: list[Any] = ["vector", "text", "hybrid"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    bi_encoder = make_model(folder / "bi")
    return {
        "bi": bi_encoder,
        "cross": make_cross_encoder(bi_encoder, folder / "cross"),
        "multi": make_multi_vector(bi_encoder, folder / "multi"),
    }


@pytest.fixture(scope="module")
def notes(models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    collection = vs.create(tmp_path_factory.mktemp("notes") / "c.vs", embedder=models["bi"])
    collection.add(ROWS)
    return collection


def by_length(query: Any, hits: vs.Hits) -> list[float]:
    """A score that has nothing to do with the query: texts in another order than any search's."""
    return [float(int(id) * 37 % 101) for id in hits.ids]


def expected_order(hits: vs.Hits, scores: Sequence[float], k: int) -> list[Any]:
    places = sorted(range(len(hits)), key=lambda at: -scores[at])  # stable: first stays first
    return [hits.ids[at] for at in places][:k]


# -- A function ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_hits_are_the_best_of_the_first_ones_by_their_new_scores(
    notes: vs.Collection, mode: Any
) -> None:
    query = "open a socket"
    first = notes.search(query, k=30, mode=mode)
    hits = notes.search(query, k=10, mode=mode, rerank=by_length, rerank_top=30)
    scores = by_length(query, first)
    assert hits.ids == expected_order(first, scores, 10)
    assert hits.ids != first.ids[:10]
    assert hits.scores.tolist() == sorted(scores, reverse=True)[:10]
    assert [hit.rank for hit in hits] == list(range(1, 11))
    assert "30 hits scored again by by_length" in str(hits.plan)


@pytest.mark.parametrize("mode", MODES)
def test_ranks_and_scores_of_before_and_after_are_kept(notes: vs.Collection, mode: Any) -> None:
    query = "open a socket"
    first = notes.search(query, k=50, mode=mode)
    hits = notes.search(query, k=8, mode=mode, rerank=by_length)
    for hit in hits:
        at = first.ids.index(hit.id)
        before, after = hit.parts[mode], hit.parts["rerank"]
        assert before.rank == at + 1
        assert before.score == pytest.approx(float(first.scores[at]))
        assert (after.rank, after.score) == (hit.rank, hit.score)
    why = hits[0].explain()
    assert why.parts["rerank"].rank == 1 and why.parts[mode].rank == hits[0].parts[mode].rank
    assert f"rerank: rank 1, score {hits[0].score:.4f}" in str(why)
    if mode == "hybrid":
        assert {"vector", "text", "hybrid", "rerank"} == set(hits[0].parts)
        assert hits[0].parts["vector"] == first[first.ids.index(hits[0].id)].parts["vector"]


def test_equal_scores_keep_the_first_order(notes: vs.Collection) -> None:
    first = notes.search("make food", k=12)
    hits = notes.search("make food", k=12, rerank=lambda query, hits: [1] * len(hits))
    assert hits.ids == first.ids


def test_the_function_gets_the_query_and_the_hits(notes: vs.Collection) -> None:
    seen: list[Any] = []

    def note(query: Any, hits: vs.Hits) -> Any:
        seen.append((query, hits.ids, hits.column("year"), hits[0].highlight() is not None))
        return np.arange(len(hits), dtype=np.int32)

    hits = notes.search("make food", k=3, rerank=note, rerank_top=20)
    first = notes.search("make food", k=20)
    assert seen == [("make food", first.ids, first.column("year"), True)]
    assert hits.ids == first.ids[::-1][:3]
    vector = notes.vector("003")
    notes.search(vector, k=3, rerank=note)
    assert isinstance(seen[1][0], np.ndarray)
    notes.search(vector, text="a text", k=3, rerank=note)
    assert seen[2][0] == "a text"
    notes.search(text="only a text", k=3, rerank=note)
    assert seen[3][0] == "only a text"


def test_the_first_hits_of_any_k_are_the_same(notes: vs.Collection) -> None:
    for mode in MODES:
        longest = notes.search("parse a date", k=20, mode=mode, rerank=by_length)
        for k in (1, 2, 7, 19):
            shorter = notes.search("parse a date", k=k, mode=mode, rerank=by_length)
            assert shorter.ids == longest.ids[:k]


def test_as_many_as_are_wanted_are_scored(notes: vs.Collection) -> None:
    seen: list[int] = []

    def count(query: Any, hits: vs.Hits) -> list[float]:
        seen.append(len(hits))
        return [0.0] * len(hits)

    for k, top in ((1, None), (50, None), (70, None), (1, 1), (3, 7), (500, None)):
        notes.search("date", k=k, rerank=count, rerank_top=top)
    assert seen == [50, 50, 70, 1, 7, 120]


# -- With the other options ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_filters_hold(notes: vs.Collection, mode: Any) -> None:
    options: dict[str, Any] = {"mode": mode, "where": "year > 1993 AND lang = 'zh'"}
    options["exclude"] = ["001", "005"]
    first = notes.search("open a socket", k=15, **options)
    hits = notes.search("open a socket", k=4, rerank=by_length, rerank_top=15, **options)
    assert hits.ids == expected_order(first, by_length(None, first), 4)
    assert all(hit["year"] > 1993 and hit["lang"] == "zh" for hit in hits)
    assert not {"001", "005"} & set(hits.ids)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [1, 3])
def test_groups_are_full_and_the_best_by_their_best_hit(
    notes: vs.Collection, mode: Any, size: int
) -> None:
    query = "open a socket make parse query food"
    hits = notes.search(
        query, k=3, mode=mode, group_by="year", group_size=size, rerank=by_length, rerank_top=10
    )
    groups = max(3, -(-10 // size))
    first = notes.search(query, k=groups, mode=mode, group_by="year", group_size=size)
    scores = dict(zip(first.ids, by_length(None, first), strict=True))
    best = sorted(
        ({group.value: max(scores[id] for id in group.hits.ids) for group in first.groups}).items(),
        key=lambda item: -item[1],
    )
    assert [group.value for group in hits.groups] == [value for value, _ in best[:3]]
    for group in hits.groups:
        assert len(group.hits) == size
        assert group.hits.scores.tolist() == sorted(group.hits.scores.tolist(), reverse=True)


def test_twelve_groups_are_found_though_the_first_hits_are_of_one(tmp_path: Path) -> None:
    collection = vs.create(tmp_path / "c.vs", dim=2)
    rows = [([1.0, n / 1000], "same") for n in range(80)]
    rows += [([0.0, 1.0], f"other{n}") for n in range(20)]
    collection.add([{"id": n, "vector": v, "kind": kind} for n, (v, kind) in enumerate(rows)])
    hits = collection.search(
        [1, 0], k=12, group_by="kind", rerank=lambda query, hits: [-each for each in hits.ids]
    )
    assert len(hits.groups) == 12


def test_min_score_and_order_are_of_the_reranked_hits(notes: vs.Collection) -> None:
    hits = notes.search("date", k=50, rerank=by_length, min_score=60)
    first = notes.search("date", k=50)
    assert sorted(hits.ids) == sorted(
        id for id, score in zip(first.ids, by_length(None, first), strict=True) if score >= 60
    )
    assert len(hits) > 3 and hits.scores.min() >= 60
    by_year = notes.search("date", k=10, rerank=by_length, order_by="year desc")
    plain = notes.search("date", k=10, rerank=by_length)
    assert sorted(by_year.ids) == sorted(plain.ids)
    assert by_year.column("year") == sorted(plain.column("year"), reverse=True)
    assert [hit.rank for hit in by_year] == list(range(1, 11))
    ranks = {hit.id: hit.rank for hit in plain}
    assert all(hit.parts["rerank"].rank == ranks[hit.id] for hit in by_year)


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_gives_what_searches_give(
    notes: vs.Collection, models: dict[str, str], mode: Any
) -> None:
    queries = ["open a socket", "make food", "parse the string"]
    wheres = [None, "year > 1992", "lang = 'en'"]
    for rerank in (by_length, "maxsim", models["cross"]):
        batch = notes.search_batch(queries, 6, mode=mode, where=wheres, rerank=rerank)
        for hits, query, where in zip(batch, queries, wheres, strict=True):
            one = notes.search(query, 6, mode=mode, where=where, rerank=rerank)
            assert hits.ids == one.ids and hits.scores.tolist() == one.scores.tolist()
            assert [hit.parts for hit in hits] == [hit.parts for hit in one]
            assert hits.filter == where


def test_a_batch_of_vectors_takes_texts_beside(
    notes: vs.Collection, models: dict[str, str]
) -> None:
    texts = ["open a socket", "make food"]
    vectors = np.stack([notes.vector("001"), notes.vector("002")])
    batch = notes.search_batch(vectors, 5, texts=texts, rerank=models["cross"])
    for hits, vector, text in zip(batch, vectors, texts, strict=True):
        one = notes.search(vector, 5, text=text, rerank=models["cross"])
        assert hits.ids == one.ids
    with pytest.raises(InvalidInputError, match="there are 1 text for 2 queries"):
        notes.search_batch(vectors, 5, texts=["a"], rerank=by_length)


def test_documents_are_read_by_their_best_passage(tmp_path: Path) -> None:
    collection = vs.create(tmp_path / "c.vs", embedder="toy:64", chunker=60)
    text = (
        "# Fish\n\nCod is a fish of the sea.\n\n# Bread\n\nRye bread keeps for a week at home.\n\n"
    )
    collection.add(
        [
            {"id": n, "text": text + f"More about {word}.\n\n" * 6}
            for n, word in enumerate(["tea", "milk", "rice"])
        ]
    )
    read: list[list[str | None]] = []

    def note(query: Any, hits: vs.Hits) -> list[float]:
        read.append(hits.texts)
        return [1.0] * len(hits)

    hits = collection.search("rye bread", k=2, rerank=note)
    assert len(hits) == 2 and len(set(hits.ids)) == 2
    assert all("Rye bread" in str(text) for text in read[0]) and len(read[0]) == 3
    passages = collection.search("rye bread", k=5, rerank=note, passages=True)
    assert len(read[1]) > 3 and len(passages) == 5


# -- Models ----------------------------------------------------------------------------------------


def test_a_cross_encoder_scores_as_the_library_does(
    notes: vs.Collection, models: dict[str, str]
) -> None:
    from sentence_transformers import CrossEncoder

    query = "open a socket"
    model = CrossEncoder(models["cross"], device="cpu")
    first = notes.search(query, k=25)
    expected = model.predict([(query, text) for text in first.column("text")])
    for rerank in (models["cross"], model):
        hits = notes.search(query, k=7, rerank=rerank, rerank_top=25)
        assert hits.ids == expected_order(first, expected.tolist(), 7)
        assert hits.scores.tolist() == sorted(expected.tolist(), reverse=True)[:7]


def test_maxsim_is_the_sum_of_the_best_tokens(notes: vs.Collection, models: dict[str, str]) -> None:
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer

    query, first = "open a socket", notes.search("open a socket", k=25)
    bi = SentenceTransformer(models["bi"], device="cpu")
    multi = MultiVectorEncoder(models["multi"], device="cpu")

    def tokens(texts: list[str]) -> list[np.ndarray]:
        found = bi.encode(texts, output_value="token_embeddings", convert_to_numpy=False)
        return [
            (each / each.norm(dim=1, keepdim=True)).numpy().astype(np.float64) for each in found
        ]

    def expected(queries: np.ndarray, documents: list[np.ndarray]) -> list[float]:
        return [float((queries @ each.T).max(axis=1).sum()) for each in documents]

    texts = first.column("text")
    own = expected(tokens([query])[0], tokens(texts))
    for rerank in ("maxsim", f"maxsim:{models['bi']}"):
        hits = notes.search(query, k=7, rerank=rerank, rerank_top=25)
        np.testing.assert_allclose(hits.scores, sorted(own, reverse=True)[:7], rtol=1e-5)
    theirs = multi.similarity(multi.encode_query([query]), multi.encode_document(texts))[0].tolist()
    for given in (models["multi"], f"maxsim:{models['multi']}", multi):
        hits = notes.search(query, k=7, rerank=given, rerank_top=25)
        np.testing.assert_allclose(hits.scores, sorted(theirs, reverse=True)[:7], rtol=1e-5)


def test_a_model_is_loaded_once(
    notes: vs.Collection, models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecsearch.query import rerank as module

    loaded: list[str] = []
    load = module.load_pair_scorer

    def counting(name: str) -> Any:
        loaded.append(name)
        return load(name)

    monkeypatch.setattr(module, "load_pair_scorer", counting)
    again = vs.open(notes.path)
    for _ in range(3):
        again.search("date", rerank=models["cross"])
    assert loaded == [models["cross"]]


def test_token_vectors_of_a_text_are_made_once_while_there_is_room(
    notes: vs.Collection, models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder
    from vecsearch.query import rerank as module

    again, seen = vs.open(notes.path), []
    embed = SentenceTransformerEmbedder.token_vectors

    def counting(self: Any, texts: Sequence[str], prompt: str = "") -> Any:
        seen.extend(texts)
        return embed(self, texts, prompt)

    monkeypatch.setattr(SentenceTransformerEmbedder, "token_vectors", counting)
    first = again.search("open a socket", k=10, rerank="maxsim", rerank_top=10)
    assert len(seen) == 11
    second = again.search("open a socket", k=10, rerank="maxsim", rerank_top=10)
    assert len(seen) == 12  # the query
    assert second.scores.tolist() == first.scores.tolist()
    monkeypatch.setattr(module, "REMEMBERED", 10)  # no room for one text
    third = again.search("open a socket", k=10, rerank="maxsim", rerank_top=10)
    assert len(seen) == 13  # what is known is used before it is forgotten
    again.search("open a socket", k=10, rerank="maxsim", rerank_top=10)
    assert len(seen) == 24
    assert third.scores.tolist() == first.scores.tolist()


def test_vectors_with_texts_to_search_by_words_can_be_read(
    models: dict[str, str], tmp_path: Path
) -> None:
    from sentence_transformers import CrossEncoder

    collection = vs.create(tmp_path / "c.vs", dim=2)
    rows = [
        {"id": n, "vector": [1, n], "body": f"open the socket {n % 2 * 'food'}"} for n in range(9)
    ]
    collection.add(rows)
    with pytest.raises(InvalidInputError, match="no texts that a model could read"):
        collection.search([1, 0], text="food", rerank=models["cross"])
    collection.build_text_index(["body"])
    hits = collection.search([1, 0], text="food", k=9, rerank=models["cross"])
    model = CrossEncoder(models["cross"], device="cpu")
    expected = model.predict([("food", text) for text in hits.column("body")])
    np.testing.assert_allclose(hits.scores, expected, rtol=1e-5)


# -- What does not go ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rerank_top": 5}, "rerank_top is 5, but there is no rerank"),
        ({"rerank": by_length, "rerank_top": 9}, "rerank_top is 9, and k is 10"),
        ({"rerank": by_length, "rerank_top": 0}, "rerank_top"),
        ({"rerank": by_length, "diversity": 0.5}, "a reranker gives other scores"),
        ({"rerank": int}, "rerank is <class 'int'>"),
        ({"rerank": 3}, "it must be the name or folder of a cross-encoder"),
        ({"rerank": len}, "len cannot be called with the query and the hits"),
        ({"rerank": lambda query: []}, "cannot be called with the query and the hits"),
        ({"rerank": lambda query, hits: None}, "must return one number for each hit"),
        ({"rerank": lambda query, hits: "x" * len(hits)}, "must return one number"),
        ({"rerank": lambda query, hits: [True] * len(hits)}, "must return one number"),
        ({"rerank": lambda query, hits: [1.0]}, r"scores of shape \(1,\) for 50 hits"),
        ({"rerank": lambda query, hits: np.ones((len(hits), 2))}, r"shape \(50, 2\)"),
        ({"rerank": lambda query, hits: [1.0, float("nan")] * 25}, "the score of hit 1 .* is nan"),
        ({"rerank": lambda query, hits: [float("inf")] * 50}, "must be finite"),
    ],
)
def test_wrong_arguments(notes: vs.Collection, options: dict[str, Any], message: str) -> None:
    for search in (
        lambda: notes.search("date", **options),
        lambda: notes.search_batch(["date"], **options),
    ):
        with pytest.raises(InvalidInputError, match=message):
            search()


def test_wrong_models(notes: vs.Collection, models: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(f"'{models['bi']}' is an embedding")):
        notes.search("date", rerank=models["bi"])
    with pytest.raises(EmbedderError, match="contains no model"):
        notes.search("date", rerank=str(tmp_path))
    with pytest.raises(EmbedderError, match="toy:8 gives one vector"):
        notes.search("date", rerank="maxsim:toy:8")
    with pytest.raises(InvalidInputError, match="the query is a vector"):
        notes.search(notes.vector("001"), rerank=models["cross"])
    with pytest.raises(InvalidInputError, match="the query is a vector"):
        notes.search(notes.vector("001"), rerank="maxsim")
    plain = vs.create(tmp_path / "p.vs", dim=2)
    plain.add([{"id": 1, "vector": [1, 0]}])
    with pytest.raises(InvalidInputError, match="it has none"):
        plain.search([1, 0], text="a", rerank="maxsim")
    assert plain.search([1, 0], rerank=lambda query, hits: [7.0])[0].score == 7.0


def test_what_a_function_raises_comes_out(notes: vs.Collection) -> None:
    def broken(query: Any, hits: vs.Hits) -> list[float]:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        notes.search("date", rerank=broken)

    def wrong_type(query: Any, hits: vs.Hits) -> list[float]:
        return len(3)  # type: ignore[arg-type]

    with pytest.raises(TypeError):
        notes.search("date", rerank=wrong_type)


def test_no_hits_are_fine(notes: vs.Collection, models: dict[str, str]) -> None:
    functions: list[Any] = [lambda query, hits: [], "maxsim", models["cross"]]
    for rerank in functions:
        assert len(notes.search("date", where="year = 3", rerank=rerank)) == 0


def test_a_search_that_lasts_too_long_ends(notes: vs.Collection) -> None:
    import time

    def slow(query: Any, hits: vs.Hits) -> list[float]:
        time.sleep(0.05)
        return [0.0] * len(hits)

    with pytest.raises(OperationTimeoutError):
        notes.search("date", rerank=slow, timeout=0.02)


def test_hits_can_be_pickled_and_cut(notes: vs.Collection) -> None:
    hits = notes.search("date", k=5, rerank=by_length, group_by="lang")
    back = pickle.loads(pickle.dumps(hits))
    assert back.ids == hits.ids and back.scores.tolist() == hits.scores.tolist()
    assert [hit.parts for hit in back] == [hit.parts for hit in hits]
    assert [group.hits.ids for group in back.groups] == [group.hits.ids for group in hits.groups]
    assert hits[1:3][0].parts == hits[1].parts


# -- Whether it pays -------------------------------------------------------------------------------


def test_evaluate_says_whether_reranking_pays(notes: vs.Collection) -> None:
    queries = {f"q{n}": ROWS[n]["text"].rsplit(" ", 1)[0] + f" {n}" for n in range(0, 120, 5)}
    qrels = {f"q{n}": {ROWS[n]["id"]: 1} for n in range(0, 120, 5)}
    right = {text: set(qrels[name]) for name, text in queries.items()}

    def oracle(query: str, hits: vs.Hits) -> list[float]:
        return [float(id in right[query]) for id in hits.ids]

    def worst(query: str, hits: vs.Hits) -> list[float]:
        return [-float(id in right[query]) for id in hits.ids]

    plain = notes.evaluate(queries, qrels, k=10)
    better = notes.evaluate(queries, qrels, rerank=oracle)
    gain = better.gains["nDCG@10"]
    assert better.before["nDCG@10"] == plain.scores["nDCG@10"]
    assert set(better.scores) == set(plain.scores)  # k is 10
    assert gain.mean == pytest.approx(better.scores["nDCG@10"].mean - plain.scores["nDCG@10"].mean)
    assert gain.low > 0 and gain.low <= gain.mean <= gain.high
    assert re.search(r"reranking nDCG@10: 0\.\d+ before, \+0\.\d+ .*: better", str(better))
    assert notes.evaluate(queries, qrels, rerank=worst).gains["nDCG@10"].high < 0
    same: Callable[..., Any] = lambda query, hits: [0] * len(hits)  # noqa: E731
    unchanged = notes.evaluate(queries, qrels, rerank=same, rerank_top=20)
    assert unchanged.gains["nDCG@10"].mean == 0 and "may be chance" in str(unchanged)
    assert not plain.gains and not plain.before and "reranking" not in str(plain)


@pytest.mark.parametrize("mode", MODES)
def test_evaluate_measures_searches_of_each_mode(notes: vs.Collection, mode: Any) -> None:
    queries = {f"q{n}": f"{VERBS[n % 4]} number{n}" for n in range(0, 120, 9)}
    qrels = {f"q{n}": {ROWS[n]["id"]: 1} for n in range(0, 120, 9)}
    report = notes.evaluate(queries, qrels, k=5, mode=mode)
    for name, query in queries.items():
        ids = notes.search(query, 5, mode=mode).ids
        (wanted,) = qrels[name]
        rank = ids.index(wanted) + 1 if wanted in ids else 0
        assert report.per_query[name]["MRR@5"] == pytest.approx(1 / rank if rank else 0.0)
    again = notes.evaluate(queries, qrels, k=5, mode=mode, rerank=by_length)
    assert again.before == report.scores


def test_evaluate_refuses_what_it_cannot_measure(notes: vs.Collection) -> None:
    with pytest.raises(InvalidInputError, match="measured with relevance judgments"):
        notes.evaluate(mode="hybrid")
    with pytest.raises(InvalidInputError, match="mode"):
        notes.evaluate({"q": "date"}, {"q": {"001": 1}}, mode="words")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"using= is for searches by words"):
        notes.evaluate({"q": "date"}, {"q": {"001": 1}}, using="text")
    with pytest.raises(InvalidInputError, match="measured with relevance judgments"):
        notes.evaluate(rerank=by_length)
    with pytest.raises(InvalidInputError, match="there is no rerank"):
        notes.evaluate(rerank_top=10)
    with pytest.raises(InvalidInputError, match="rerank_top is 50, and k is 100"):
        notes.evaluate({"q": "date"}, {"q": {"001": 1}}, k=100, rerank=by_length, rerank_top=50)
