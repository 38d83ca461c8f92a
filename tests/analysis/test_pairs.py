"""Neighbors, duplicates, joins and outliers against all pairs in plain numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.neighbors import LocalOutlierFactor

import vecsearch as vs
from tests.support.data import brute_force, clustered
from tests.support.packages import matrix, packages, packages_table

METRICS = ("cosine", "ip", "l2")


@pytest.fixture(scope="module")
def table(shared_data: Path) -> pa.Table:
    return packages_table(shared_data, 900)


@pytest.fixture(scope="module")
def collection(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    return packages(tmp_path_factory.mktemp("pairs") / "c.vs", table)


def all_pairs(vectors: np.ndarray, metric: str) -> np.ndarray:
    scores = np.stack([brute_force(vectors, row, metric) for row in vectors])
    np.fill_diagonal(scores, -np.inf)
    return scores


@pytest.mark.parametrize("metric", METRICS)
def test_neighbors_are_those_of_all_pairs(metric: str, tmp_path: Path) -> None:
    vectors = clustered(300, 12)
    c = vs.create(tmp_path / "c.vs", dim=12, metric=metric)
    c.add(vectors[:120])
    c.add(vectors[120:])
    c.delete([7, 130])
    scores = all_pairs(vectors, metric)
    gone = [7, 130]
    scores[:, gone] = -np.inf
    for k in (1, 6, 400):
        found = c.neighbors(k)
        assert found.column_names == ["id", "neighbor", "rank", "score"]
        assert found.recall == 1.0 and found.measured_on == 0
        lines = found.to_pydict()
        width = min(k, 297)
        left = [n for n in range(300) if n not in gone]
        assert lines["id"] == [n for n in left for _ in range(width)]
        assert lines["rank"] == list(range(1, width + 1)) * len(left)
        order = np.argsort(-scores[left], axis=1, kind="stable")[:, :width]
        np.testing.assert_allclose(
            np.array(lines["score"]).reshape(-1, width),
            np.take_along_axis(scores[left], order, 1),
            rtol=1e-5,
            atol=1e-5,
        )
        same = np.array(lines["neighbor"]).reshape(-1, width) == order
        assert same.mean() > 0.999
    narrowed = c.neighbors(3, where="id < 50", ids=range(20, 80))
    assert set(narrowed.to_pydict()["neighbor"]) <= set(range(20, 50))


def test_neighbors_by_an_index_have_their_recall(tmp_path: Path) -> None:
    vectors = clustered(6000, 24, clusters=100)
    c = vs.create(tmp_path / "c.vs", dim=24)
    c.add(vectors)
    c.build_index("HNSW16", progress=False)
    found = c.neighbors(5, recall=0.9)
    assert "index" in found.plan
    assert found.measured_on == 200
    exact = c.neighbors(5, exact=True)
    assert exact.recall == 1.0
    pairs = set(zip(*[found.to_pydict()[name] for name in ("id", "neighbor")], strict=True))
    true = set(zip(*[exact.to_pydict()[name] for name in ("id", "neighbor")], strict=True))
    share = len(pairs & true) / len(true)
    assert share >= 0.9
    assert found.recall == pytest.approx(share, abs=0.05)
    assert "measured on 200 documents" in str(found)


@pytest.mark.parametrize("metric", METRICS)
def test_duplicates_are_all_pairs_that_score_enough(metric: str, tmp_path: Path) -> None:
    vectors = clustered(250, 6, clusters=12)
    vectors[40] = vectors[3]
    vectors[60:80] = vectors[10]
    c = vs.create(tmp_path / "c.vs", dim=6, metric=metric)
    c.add(vectors[:100])
    c.add(vectors[100:])
    scores = np.triu(all_pairs(vectors, metric), 1)
    least = float(np.sort(scores[np.triu_indices(250, 1)])[-600])
    found = c.duplicates(least - 1e-4)
    places = np.argwhere(np.triu(scores >= least - 1e-4, 1)).tolist()
    wanted = {(a, b) for a, b in places}
    lines = found.to_pydict()
    assert set(zip(lines["id"], lines["duplicate"], strict=True)) == wanted
    assert lines["score"] == sorted(lines["score"], reverse=True)
    assert len(found) == len(wanted) >= 600
    for a, b, score in zip(*lines.values(), strict=True):
        assert score == pytest.approx(scores[a, b], rel=1e-5, abs=1e-5)
    top = 1.0 - 1e-6 if metric == "cosine" else -1e-6 if metric == "l2" else None
    if top is not None:
        copies = c.duplicates(top)
        assert len(copies) == 1 + 21 * 20 // 2
        assert copies.groups == 2


def test_documents_are_compared_by_their_best_passages(tmp_path: Path, shared_data: Path) -> None:
    plain = vs.create(tmp_path / "plain.vs", embedder="toy:64")
    plain.add(shared_data / "beir" / "xquad-zh" / "corpus.jsonl")
    rows = plain.to_arrow(["id", "text"]).to_pylist()[:40]
    rows.append({"id": "copy", "text": rows[4]["text"]})
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", chunker=60)
    c.add(rows)
    stored = c.to_arrow(["id", "vector"]).to_pylist()
    owners = np.array([row["id"] for row in stored])
    vectors = np.array([row["vector"] for row in stored])
    names = list(dict.fromkeys(owners.tolist()))
    by_row = np.stack([brute_force(vectors, row, "cosine") for row in vectors])
    best = np.array(
        [[by_row[np.ix_(owners == a, owners == b)].max() for b in names] for a in names]
    )
    np.fill_diagonal(best, -np.inf)
    found = c.neighbors(4).to_pydict()
    assert found["id"] == [name for name in names for _ in range(4)]
    np.testing.assert_allclose(
        np.array(found["score"]).reshape(-1, 4), -np.sort(-best, axis=1)[:, :4], atol=1e-6
    )
    pairs = c.duplicates(0.9).to_pydict()
    wanted = {
        (names[a], names[b])
        for a in range(len(names))
        for b in range(a + 1, len(names))
        if best[a, b] >= 0.9
    }
    assert set(zip(pairs["id"], pairs["duplicate"], strict=True)) == wanted
    assert (rows[4]["id"], "copy") in wanted
    passages = c.neighbors(2, passages=True)
    assert passages.num_rows == 2 * len(stored)
    other = vs.create(tmp_path / "other.vs", embedder="toy:64", chunker=200)
    other.add(rows[10:20])
    joined = c.join(other, k=1).to_pydict()
    assert joined["id"] == names
    assert joined["other"][10:20] == names[10:20]


@pytest.mark.parametrize("metric", METRICS)
def test_a_join_finds_the_nearest_of_the_other(metric: str, tmp_path: Path) -> None:
    left, right = clustered(80, 8), clustered(150, 8, seed=1)
    a = vs.create(tmp_path / "a.vs", dim=8, metric=metric)
    b = vs.create(tmp_path / "b.vs", dim=8, metric=metric)
    a.add(left)
    b.add([{"id": f"b{n}", "vector": row, "odd": n % 2 == 1} for n, row in enumerate(right)])
    scores = np.stack([brute_force(right, row, metric) for row in left])
    scores[:, ::2] = -np.inf
    found = a.join(tmp_path / "b.vs", k=3, other_where="odd", where="id < 60")
    lines = found.to_pydict()
    order = np.argsort(-scores[:60], axis=1)[:, :3]
    assert lines["other"] == [f"b{n}" for n in order.ravel()]
    assert lines["rank"] == [1, 2, 3] * 60
    least = float(np.median(lines["score"]))
    fewer = a.join(b, k=3, other_where="odd", where="id < 60", min_score=least)
    assert fewer.num_rows == sum(score >= np.float32(least) for score in lines["score"])
    assert fewer.matched == len(set(fewer.to_pydict()["id"]))


def test_collections_that_do_not_fit_are_not_joined(tmp_path: Path) -> None:
    a = vs.create(tmp_path / "a.vs", dim=3)
    a.add([[1, 0, 0]])
    others: list[tuple[dict[str, Any], str]] = [
        ({"dim": 4}, "the dimension of this collection is 3, of the other 4"),
        ({"dim": 3, "metric": "l2"}, "the metric of this collection is cosine"),
        ({"embedder": "toy:3"}, "the model of this collection is None"),
    ]
    for number, (options, words) in enumerate(others):
        other = vs.create(tmp_path / f"{number}.vs", **options)
        with pytest.raises(vs.InvalidInputError, match=words):
            a.join(other)
    empty = vs.create(tmp_path / "empty.vs", dim=3)
    assert len(a.join(empty)) == 0
    assert len(empty.join(a)) == 0
    assert len(empty.neighbors()) == 0
    assert len(empty.duplicates(0.5)) == 0
    assert len(a.neighbors()) == 0


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_outliers_are_those_of_the_local_outlier_factor(metric: str, tmp_path: Path) -> None:
    vectors = clustered(200, 10, clusters=4)
    vectors[17] = -vectors[17] * 3
    c = vs.create(tmp_path / "c.vs", dim=10, metric=metric)
    c.add(vectors)
    points = vectors.astype(np.float64)
    if metric == "cosine":
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    model = LocalOutlierFactor(n_neighbors=12).fit(points)
    wanted = -model.negative_outlier_factor_
    found = c.outliers(12).to_pydict()
    np.testing.assert_allclose(found["score"], wanted[found["id"]], rtol=1e-4)
    assert found["score"] == sorted(found["score"], reverse=True)
    assert len(found["id"]) == 200


def test_outliers_say_what_they_cannot_do(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2, metric="ip")
    c.add([[1, 0], [0, 1], [1, 1]])
    with pytest.raises(vs.InvalidInputError, match="inner products are none"):
        c.outliers()
    few = vs.create(tmp_path / "few.vs", dim=2)
    few.add([[1, 0], [0, 1]])
    with pytest.raises(vs.InvalidInputError, match="needs 3 documents"):
        few.outliers()


def test_tables_are_arrow_tables(collection: vs.Collection) -> None:
    import duckdb

    found = collection.neighbors(2)
    assert pa.table(found).equals(found.table)
    best = duckdb.sql("select count(*) from found where rank = 1").fetchall()
    assert best == [(900,)]
    assert len(found.to_pandas()) == 1800
    assert matrix(collection.to_arrow(["vector"])).shape == (900, 384)
