"""Scores, names of hits, kinds of queries, and objects that travel between processes."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import vecsearch as vs

ROWS = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float32)


@pytest.fixture
def points(root: Path) -> vs.Collection:
    collection = vs.create(root, dim=16)
    collection.add(ROWS)
    return collection


@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
def test_a_score_finds_its_hits_again_alone_and_in_a_batch(root: Path, metric: str) -> None:
    c = vs.create(root, dim=16, metric=metric)
    c.add(ROWS)
    c.build_index("HNSW16,Flat")
    queries = ROWS[:100]
    batch, exact = c.search_batch(queries), c.search_batch(queries, exact=True)
    for query, together, wide in zip(queries, batch, exact, strict=True):
        alone = c.search(query)
        assert alone.ids == together.ids and np.array_equal(alone.scores, together.scores)
        assert set(alone.ids) <= set(c.search_range(query, alone.scores[-1]).ids)
        known = dict(zip(wide.ids, wide.scores.tolist(), strict=True))
        assert all(
            known.get(id, score) == score
            for id, score in zip(alone.ids, alone.scores.tolist(), strict=True)
        )
        if metric == "cosine":
            assert alone.scores[0] == 1 and alone.scores.max() <= 1


def test_a_positive_score_is_refused_for_distances(root: Path) -> None:
    c = vs.create(root, dim=2, metric="l2")
    c.add([[1.0, 2.0]])
    with pytest.raises(vs.InvalidInputError, match="negative squared distance"):
        c.search_range([1, 2], 3.0)
    with pytest.raises(vs.InvalidInputError, match="must be a number"):
        c.search_range([1, 2], "-5")  # type: ignore[arg-type]


def test_columns_called_as_a_hits_own_are_kept_under_another_name(root: Path) -> None:
    c = vs.create(root, dim=2)
    row = {"id": 1, "vector": [1, 0], "score": 81, "score_": 2, "rank": "x", "span": 3}
    c.add([row | {"distance": 4.5}])
    hits = c.search([1, 0])
    assert (hits[0].score, hits[0]["score"], hits[0].rank, hits[0]["rank"]) == (1.0, 81, 1, "x")
    shown = {"rank": 1, "score": 1.0, "id": 1, "score__": 81, "score_": 2, "rank_": "x"}
    shown |= {"span_": 3, "distance": 4.5}
    assert hits[0].to_dict() == shown
    assert hits.to_arrow().to_pylist() == [shown]
    assert hits.to_arrow(["score"]).column_names == ["rank", "score", "score__"]


def _kinds(vector: Any) -> list[Any]:
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(vector)
    return [
        tensor,
        tensor[None],
        list(tensor),
        pd.Series(vector),
        pl.Series(vector.tolist()),
        pa.array(vector),
        pa.chunked_array([pa.array(vector)]),
        pa.array([vector.tolist()]),
        np.ma.array(vector),
        np.asmatrix(vector),
        vector.astype(object),
        [vector.tolist()],
        vector.astype(np.float64) * 1e20,
        vector.astype(np.float64) * 1e-23,
    ]


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_whatever_holds_a_vector_is_a_query(points: vs.Collection, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for query in [mapped[3], *_kinds(ROWS[3])]:
        assert points.search(query, k=1).ids == [3], type(query)
    assert len(points.search([True] * 16)) == 10


def test_whatever_holds_vectors_is_a_batch(points: vs.Collection) -> None:
    torch = pytest.importorskip("torch")
    few = ROWS[:3]
    for queries in [
        torch.tensor(few),
        list(torch.tensor(few)),
        pd.DataFrame(few),
        pl.DataFrame(few),
        pd.Series(list(few)),
        pa.array(few.tolist()),
        pa.FixedSizeListArray.from_arrays(few.ravel(), 16),
        np.asmatrix(few),
    ]:
        found = points.search_batch(queries, k=1)
        assert [hits.ids for hits in found] == [[0], [1], [2]], type(queries)


def test_arrays_and_columns_of_texts_are_texts(texts: vs.Collection) -> None:
    words = ["cats and mice", "plants"]
    expected = [hits.ids for hits in texts.search_batch(words)]
    for queries in [
        np.array(words),
        np.array(words, object),
        pd.Series(words),
        pl.Series(words),
        pa.array(words),
        pd.DataFrame({"question": words}),
    ]:
        assert [hits.ids for hits in texts.search_batch(queries)] == expected, type(queries)
    assert texts.search(np.array(words[0])).ids == texts.search(words[0]).ids


@pytest.mark.parametrize(
    "query",
    [
        np.ones(16, complex),
        None,
        5,
        {},
        {"a": 1},
        b"ab",
        [],
        [1, 2],
        np.full(16, np.nan),
        np.full(16, 1e300),
        np.zeros(16),
        np.ma.array(ROWS[0], mask=[1] + [0] * 15),
        pa.array([1.0, None]),
        [[1, 2], [3]],
        1j,
        [None] * 16,
        object(),
    ],
    ids=lambda query: type(query).__name__,
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_what_is_no_vector_is_refused(points: vs.Collection, query: Any) -> None:
    with pytest.raises(vs.InvalidInputError):
        points.search(query)
    with pytest.raises(vs.InvalidInputError):
        points.search_batch([query])
    with pytest.raises(vs.InvalidInputError):
        points.search_range(query, 0.5)


def test_hits_can_be_pickled_and_copied(points: vs.Collection) -> None:
    hits = points.search(ROWS[3], k=5)
    for other in (pickle.loads(pickle.dumps(hits)), copy.deepcopy(hits)):
        assert other.ids == hits.ids and np.array_equal(other.scores, hits.scores)
        assert other.to_arrow().equals(hits.to_arrow()) and other.plan == hits.plan
        assert other[0]["vector"] == hits[0]["vector"]
    assert pickle.loads(pickle.dumps(hits[1])).to_dict() == hits[1].to_dict()


def test_a_pickled_collection_reads_the_same_version_and_can_be_written(
    texts: vs.Collection,
) -> None:
    state = pickle.dumps(texts)
    texts.delete(1)
    other = pickle.loads(state)
    assert len(other) == 4 and len(other.refresh()) == 3
    assert other.add([{"id": 9, "text": "new"}]).added == 1
    assert copy.deepcopy(texts).search("cats", k=1).ids == [3]


def test_errors_can_be_pickled(tmp_path: Path) -> None:
    for error in [
        vs.InvalidInputError("wrong", hint="do this", command_hint="do that"),
        vs.MissingExtraError("numba", "speed", "this"),
        vs.StorageError(28, "full", "x"),
        vs.CollectionNotFoundError("none"),
    ]:
        other = pickle.loads(pickle.dumps(error))
        assert type(other) is type(error) and str(other) == str(error)
        assert other.for_terminal() == error.for_terminal()


def _first(collection: vs.Collection, query: Any) -> vs.Hits:
    return collection.search(query, k=1)


def test_other_processes_search_a_collection(points: vs.Collection) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        hits = pool.submit(_first, points, ROWS[7]).result()
    assert hits.ids == [7] and hits[0].score == 1.0


def test_changes_and_counts_see_whole_documents(root: Path) -> None:
    c = vs.create(root, embedder="toy:64", chunker=60)
    text = "The sea is deep and wide today. Small fish swim in it at night. Whales eat krill."
    c.add([{"id": "keep", "text": text * 2}, {"id": "short", "text": "nothing here"}])
    assert c.count("length(text) > 100") == 1
    assert c.count("text LIKE '%sea%krill%'") == 1
    assert c.update("text LIKE '%krill%'", {}).updated == 0
    assert c.delete(where="text NOT LIKE '%krill%'").deleted == 1
    assert c.delete(where="length(text) < 100").deleted == 0
    assert c.get("keep") == [{"id": "keep", "text": text * 2}]


def test_numpy_and_arrow_ids_are_ids(points: vs.Collection) -> None:
    assert points.get(np.int64(1)) == points.get(1) == points.get(pa.array([1]))
    assert points.delete(np.int64(1)).deleted == 1
    assert points.delete(np.array([2, 3])).deleted == 2
    with pytest.raises(vs.InvalidInputError):
        points.get(1.5)  # type: ignore[arg-type]


def test_integers_beside_missing_values_stay_exact_in_pandas(root: Path) -> None:
    c = vs.create(root, dim=2)
    large = [2**53 + 1, None, 2**63 - 1]
    unsigned = pa.array([2**64 - 1, None, 0], pa.uint64())
    c.add(
        pa.table({"vector": [[1.0, i] for i in (0, 1, 2)], "n": large, "u": unsigned, "k": [1] * 3})
    )
    frame = c.search([1, 0]).to_pandas()
    assert [None if pd.isna(n) else int(n) for n in frame["n"]] == large
    assert [None if pd.isna(n) else int(n) for n in frame["u"]] == unsigned.to_pylist()
    assert list(map(str, frame.dtypes[["n", "u", "k", "score"]])) == [
        "Int64",
        "UInt64",
        "int64",
        "float32",
    ]
    assert list(c.search([1, 0], where="k = 0").to_pandas()) == list(frame)


def test_what_pandas_cannot_hold_is_an_input_error(root: Path) -> None:
    c = vs.create(root, dim=2)
    union = pa.UnionArray.from_sparse(
        pa.array([0], pa.int8()), [pa.array([1]), pa.array(["a"], pa.string())]
    )
    times = pa.array([1], pa.time64("ns"))
    c.add(pa.table({"id": [1], "vector": [[1.0, 2.0]], "t": times, "u": union, "y": [1]}))
    for name in "tu":
        with pytest.raises(vs.InvalidInputError, match=f"column '{name}'.*pandas cannot hold"):
            c.search([1, 2]).to_pandas([name])
    assert c.search([1, 2]).to_pandas(["y"])["y"].tolist() == [1]
    # The union stands beside the columns that a filter reads.
    for where in ("y = 1", pc.field("y") == 1):
        assert c.count(where) == len(c.search([1, 2], where=where)) == 1
    with pytest.raises(vs.FilterError, match=r"column 'u' is sparse_union.*no filter reads"):
        c.count(pc.field("u") == 1)
