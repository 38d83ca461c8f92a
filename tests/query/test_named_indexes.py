"""Indexes of named vectors: against all pairs in float64, through every change of a collection."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.errors import InvalidInputError
from vecsearch.index import updating
from vecsearch.index.policy import Rules
from vecsearch.maintenance.check import find_damage
from vecsearch.maintenance.repair import repair
from vecsearch.storage import log

WIDE_CALIBRATION = True
ROWS, DIM = 420, 12
GRAPH = vs.IndexRecipe("graph", "hnsw", code="sq8", reduced=None, M=8, ef_construction=40)
WIDE = vs.IndexRecipe("wide", "hnsw", code="sq8", reduced=128, M=8, ef_construction=40)
SMALL = vs.Limits(smallest_index_rows=50)
CENTERS = np.random.default_rng(1).standard_normal((20, DIM))


def tokens(rng: np.random.Generator) -> np.ndarray:
    chosen = CENTERS[rng.integers(0, len(CENTERS), rng.integers(2, 6))]
    return (chosen + 0.4 * rng.standard_normal(chosen.shape)).astype(np.float32)


def rows(first: int, count: int) -> list[dict[str, Any]]:
    """Every seventh row has no picture, every ninth no tokens."""
    rng = np.random.default_rng(first + 5)
    made = []
    for n in range(first, first + count):
        picture = (CENTERS[n % 20] + 0.5 * rng.standard_normal(DIM)).astype(np.float32)
        row = {"id": n, "vector": [1.0, n], "year": n % 10, "tokens": None, "picture": None}
        row |= {"picture": picture.tolist()} if n % 7 else {}
        row |= {"tokens": tokens(rng).tolist()} if n % 9 else {}
        made.append(row)
    return made


def made(root: Path, using: list[str]) -> vs.Collection:
    vectors = {"picture": DIM, "tokens": vs.NamedVector(DIM, multi=True)}
    c = vs.create(root, dim=2, vectors=vectors, limits=SMALL, auto_index=False)
    c.add(rows(0, ROWS))
    for name in using:
        c.build_index(GRAPH if name == "picture" else WIDE, using=name)
    return c


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("named") / "c.vs"
    made(root, ["picture", "tokens"]).close()
    return root


@pytest.fixture
def c(original: Path, tmp_path: Path) -> vs.Collection:
    shutil.copytree(original, tmp_path / "c.vs")
    return vs.open(tmp_path / "c.vs", limits=SMALL)


def unit(vectors: Any) -> np.ndarray:
    wide = np.asarray(vectors, np.float64)
    return wide / np.linalg.norm(wide, axis=-1, keepdims=True)


def oracle(c: vs.Collection, name: str, query: np.ndarray, where: Callable[[Any], bool]) -> Any:
    """Ids and scores by all pairs, best first."""
    table = c.to_arrow(["id", "year", name]).to_pylist()
    scored = []
    for row in table:
        if row[name] and where(row):
            pairs = unit(query) @ unit(row[name]).T
            value = pairs.max(axis=1).sum() if name == "tokens" else pairs
            scored.append((-float(value), row["id"]))
    return [(id, -score) for score, id in sorted(scored)]


def query_of(name: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng([77, seed])
    if name == "tokens":
        return tokens(rng)
    return (CENTERS[seed % 20] + 0.5 * rng.standard_normal(DIM)).astype(np.float32)


def recall_of(
    c: vs.Collection, name: str, recall: float, count: int = 25
) -> tuple[float, set[str]]:
    """Mean recall@10 against the oracle, and the ways that were taken."""
    found, ways = [], set()
    for seed in range(count):
        query = query_of(name, seed)
        wanted = oracle(c, name, query, lambda row: True)[:10]
        hits = c.search(query, 10, using=name, recall=recall)
        ways.add(hits.plan.method)
        scores = dict(oracle(c, name, query, lambda row: True))
        np.testing.assert_allclose(hits.scores, [scores[id] for id in hits.ids], rtol=1e-5)
        assert list(hits.scores) == sorted(hits.scores, reverse=True)
        found.append(len({id for id, _ in wanted} & set(hits.ids)) / 10)
    return float(np.mean(found)), ways


@pytest.mark.parametrize("name", ["picture", "tokens"])
def test_an_index_keeps_the_contract(c: vs.Collection, name: str) -> None:
    (index,) = c.info().vector_indexes[name]
    assert index.rows == sum(1 for row in rows(0, ROWS) if row[name])
    assert c.info().indexes == () and f"{name}: " in str(c.info())
    recall, ways = recall_of(c, name, 0.8)
    assert "index" in ways and recall >= 0.8
    query = query_of(name, 99)
    wanted = oracle(c, name, query, lambda row: True)
    for options in ({"exact": True}, {"recall": 1.0}):
        hits = c.search(query, 15, using=name, **options)
        assert hits.ids == [id for id, _ in wanted[:15]] and hits.plan.method == "exact"
    report = c.measure_recall(10, 40, using=name, recall=0.8, regions=2)
    assert report.high >= 0.8 and report.queries == 40 and report.regions
    given = c.measure_recall(5, using=name, recall=0.8, queries=[query, query_of(name, 3)])
    assert given.queries == 2 and given.query_source == "the user's own queries"


@pytest.mark.parametrize("name", ["picture", "tokens"])
def test_filters_and_options_with_an_index(c: vs.Collection, name: str) -> None:
    query = query_of(name, 5)
    best = [id for id, _ in oracle(c, name, query, lambda row: True)]
    excluded = best[:50]  # outrank all others
    hits = c.search(query, 10, using=name, exclude=excluded, recall=0.8)
    assert len(hits) == 10 and not set(hits.ids) & set(excluded)
    kept = oracle(c, name, query, lambda row: row["year"] < 3)
    assert c.search(query, 10, using=name, where="year < 3", exact=True).ids == [
        id for id, _ in kept[:10]
    ]
    hits = c.search(query, 10, using=name, where="year < 3", recall=0.8)
    assert len(hits) == 10 and all(id % 10 < 3 for id in hits.ids)
    few = c.search(query, 10, using=name, ids=[1, 2, 3, 7, 9])
    assert few.ids == [id for id in best if id in (1, 2, 3, 7, 9)]
    groups = c.search(query, 4, using=name, group_by="year", group_size=2).groups
    assert [len(group.hits) for group in groups] == [2] * 4
    pages = [id for page in c.pages(query, 50, using=name) for id in page.ids]
    assert len(pages) == len(set(pages)) and set(pages) == set(best)
    least = oracle(c, name, query, lambda row: True)[6][1] - 1e-6
    assert c.search(query, 50, using=name, min_score=least, exact=True).ids == best[:7]
    batch = c.search_batch([query, query_of(name, 6)], 5, using=name)
    assert batch[0].ids == c.search(query, 5, using=name).ids
    assert c.search(query, 3, using=name, where="year > 99").ids == []


def test_an_index_follows_every_change(c: vs.Collection, tmp_path: Path) -> None:
    both = ("picture", "tokens")

    def holds(indexed: tuple[str, ...] = both) -> None:
        assert set(c.info().vector_indexes) == set(indexed) and find_damage(c.path) == []
        for name in both:
            query = query_of(name, 8)
            wanted = [id for id, _ in oracle(c, name, query, lambda row: True)]
            assert c.search(query, 1000, using=name, exact=True).ids == wanted
            recall, ways = recall_of(c, name, 0.8, 8)
            assert recall >= 0.8 and (name in indexed or ways == {"exact"})

    c.add(rows(1000, 30))
    c.delete([1, 2, 3])
    holds()
    c.update("year = 4", {"year": 40})  # metadata: a file of its own
    c.compact()
    holds()
    c.update("id = 11", {"picture": CENTERS[0].tolist()})  # few: the row is written again
    holds()
    c.backup(tmp_path / "copy.vs")
    with vs.open(tmp_path / "copy.vs") as copied:
        assert set(copied.info().vector_indexes) == set(both)
        assert copied.search(query_of("tokens", 1), 5, using="tokens").plan.method == "index"
    version = c.info().version
    c.update("id >= 0", {"picture": CENTERS[1].tolist()})  # all of them are others now
    assert set(c.info().vector_indexes) == {"tokens"}
    found = c.search(CENTERS[1], 3, using="picture")
    np.testing.assert_allclose(found.scores, 1, rtol=1e-6)
    del found  # it holds its version, and a purge removes all but the last
    c.rollback(version)
    holds()
    c.compact(purge=True)  # deleted rows were in both
    holds(())
    c.build_index(GRAPH, using="picture")
    assert c.build_index(GRAPH, using="picture").why == "up to date"
    c.drop_column("picture")
    assert c.info().vector_indexes == {} and find_damage(c.path) == []


@pytest.mark.slow
def test_changes_index_what_they_add(c: vs.Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = Rules(first=50, least=10, share=0.01, most=10, join=0.1, without_codes=10)
    monkeypatch.setattr(updating, "RULES", rules)
    before = {name: group[0].rows for name, group in c.info().vector_indexes.items()}
    result = c.add(rows(1000, 63), auto_index=True)
    after = {name: sum(each.rows for each in group) for name, group in _indexes(c).items()}
    assert after == {"picture": before["picture"] + 54, "tokens": before["tokens"] + 56}
    # Many of the new lists are unlike the few that the projection was fitted to: all are indexed
    # again. The collection's own vectors are too few for an index.
    assert result.indexed_rows == 54 + after["tokens"]
    for name in before:
        assert recall_of(c, name, 0.8, 8)[0] >= 0.8
    c.build_index("exact", using="picture")  # asked for: later changes make none
    c.add(rows(2000, 63), auto_index=True)
    assert set(c.info().vector_indexes) == {"tokens"}


def _indexes(c: vs.Collection) -> dict[str, tuple[vs.IndexInfo, ...]]:
    return dict(c.info().vector_indexes)


@pytest.mark.parametrize("name", ["picture", "tokens"])
def test_a_damaged_index_means_exact_search(c: vs.Collection, name: str) -> None:
    c.close()
    (entry,) = log.load(c.path).vector_indexes[name]
    refs = [ref for ref in (*entry.files, entry.labels, entry.calibration) if ref]
    query = query_of(name, 4)
    with vs.open(c.path) as opened:
        wanted = [id for id, _ in oracle(opened, name, query, lambda row: True)[:10]]
    assert len(refs) == 3
    for ref in refs:
        path = c.path / ref.name
        content = path.read_bytes()
        spoiled = bytearray(content)
        spoiled[len(content) // 2] ^= 0xFF
        for wrong in (bytes(spoiled), content[:-9], None):
            if wrong is None:
                path.unlink()
            else:
                path.write_bytes(wrong)
            assert [damage.file for damage in find_damage(c.path)] == [ref.name]
            with vs.open(c.path) as opened, pytest.warns(RuntimeWarning, match="are exact"):
                hits = opened.search(query, 10, using=name)
                assert hits.plan.method == "exact" and hits.ids == wanted
        if ref is not refs[-1]:
            path.write_bytes(content)
    if name == "tokens":  # built again in the same way, and slower
        return
    done = repair(c.path)
    assert any("built again" in line for line in done.done)
    with vs.open(c.path) as opened, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(opened.info().vector_indexes) == {"picture", "tokens"}
        assert opened.search(query, 5, using=name, recall=0.8).ids


def test_shards_have_one_index_of_named_vectors(tmp_path: Path) -> None:
    vectors = {"picture": DIM}
    c = vs.create(tmp_path / "c.vs", dim=2, vectors=vectors, limits=SMALL, shards=2)
    given = [{key: row[key] for key in ("id", "vector", "year", "picture")} for row in rows(0, 150)]
    c.add(given)
    c.build_index(GRAPH, using="picture")
    (index,) = c.info().vector_indexes["picture"]
    assert index.rows == sum(row["picture"] is not None for row in given)
    c.delete([1, 2])
    c.compact()
    for seed in range(3):
        query = query_of("picture", seed)
        wanted = [id for id, _ in oracle(c, "picture", query, lambda row: True)]
        assert c.search(query, 200, using="picture", exact=True).ids == wanted
        hits = c.search(query, 5, using="picture", recall=0.8)
        assert set(hits.ids) <= set(wanted[:12])
    assert set(c.info().vector_indexes) == {"picture"} and find_damage(c.path) == []
    c.reshard(3)
    assert set(c.info().vector_indexes) == {"picture"} and find_damage(c.path) == []
    assert c.search(query, 200, using="picture", exact=True).ids == wanted


def test_wrong_arguments(c: vs.Collection) -> None:
    with pytest.raises(InvalidInputError, match="no vectors called 'pictur'"):
        c.build_index(using="pictur")
    with pytest.raises(InvalidInputError, match="no vectors called 'pictur'"):
        c.measure_recall(using="pictur")
    with pytest.raises(InvalidInputError, match="sampled queries are those of"):
        c.measure_recall(using="picture", queries="sampled")
    with pytest.raises(InvalidInputError, match="query 0"):
        c.build_index(using="tokens", queries=[[1.0, 2.0]])


def test_queries_to_calibrate_with(c: vs.Collection) -> None:
    for name, recipe in (("picture", GRAPH), ("tokens", WIDE)):
        queries = [query_of(name, seed) for seed in range(30)]
        result = c.build_index(recipe, using=name, queries=queries)
        assert "the user's own queries" in result.calibrated_on
        assert result.rows == sum(1 for row in rows(0, ROWS) if row[name])


def test_commands(tmp_path: Path) -> None:
    from test_cli import fails, ok  # type: ignore[import-not-found]

    data, folder = tmp_path / "rows.jsonl", tmp_path / "shop.vs"
    lines = [
        {"id": n, "text": f"text {n}", "title": title, "picture": [1, n, 0]}
        for n, title in enumerate(("cup", "plate", "fork"))
    ]
    data.write_text("\n".join(map(json.dumps, lines)))
    vectors = ["--vectors", "title=toy:16,metric=ip", "--vectors", "picture=3"]
    vectors += ["--vectors", "body=toy:8,of=text"]
    ok("ingest", data, folder, "--embedder", "toy:32", *vectors)
    with vs.open(folder) as c:
        columns = c.info().columns
        assert {"title_vector", "picture", "body"} <= set(columns)
        assert c.search("fork", 1, using="title").ids == [2]
    assert "exact" in ok("build", folder, "--using", "picture").out
    assert "recall@10 1.0000" in ok("measure", folder, "--using", "title").out
    questions = tmp_path / "questions.txt"
    questions.write_text("[1, 2, 0]\n")
    assert "1 query" in ok("measure", folder, "--using", "picture", "--queries", questions).out
    assert "exists already" in fails("ingest", data, folder, "--vectors", "more=3", code=2)
    for wrong in ("title", "=3", "a=3,b", "a=3,metric"):
        assert "--vectors" in fails("ingest", data, tmp_path / "x.vs", "--vectors", wrong, code=2)
    assert not (tmp_path / "x.vs").exists()
