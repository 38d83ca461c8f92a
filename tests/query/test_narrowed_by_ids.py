"""`ids=` narrows every verb that reads, as a plain Python set of ids would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import vecsearch as vs
from vecsearch.query import selection as selection_module
from vecsearch.storage import snapshot as snapshot_module

ROWS = 400
VECTORS = np.random.default_rng(3).normal(size=(ROWS, 8)).astype(np.float32)


def name(number: int, texts: bool) -> Any:
    return f"doc {number} 文" if texts else number


@pytest.fixture(params=[False, True], ids=["int", "str"])
def filled(root: Path, request: pytest.FixtureRequest) -> tuple[vs.Collection, bool]:
    """Four segments, of which every seventh row is deleted."""
    c = vs.create(root, dim=8)
    for part in np.array_split(np.arange(ROWS), 4):
        c.add(
            [
                {"id": name(i, request.param), "vector": VECTORS[i], "year": i % 10}
                for i in part.tolist()
            ]
        )
    c.delete([name(i, request.param) for i in range(0, ROWS, 7)])
    return c, request.param


def nearest(query: np.ndarray, allowed: set[int]) -> list[int]:
    unit = VECTORS.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    scores = unit @ (query.astype(np.float64) / np.linalg.norm(query.astype(np.float64)))
    return sorted(allowed, key=lambda i: -scores[i])


@pytest.mark.parametrize("count", [0, 1, 3, 40, 390])
def test_ids_narrow_what_is_read(filled: tuple[vs.Collection, bool], count: int) -> None:
    c, texts = filled
    rng = np.random.default_rng(count)
    chosen = rng.choice(ROWS + 50, count, replace=False).tolist()  # some of them do not exist
    given = [name(i, texts) for i in chosen] * 2  # repetitions change nothing
    live = {i for i in range(ROWS) if i % 7}
    for where, holds in ((None, lambda i: True), ("year > 3", lambda i: i % 10 > 3)):
        allowed = {i for i in chosen if i in live and holds(i)}
        query = rng.normal(size=8).astype(np.float32)
        expected = [name(i, texts) for i in nearest(query, allowed)]
        assert c.search(query, 10, where=where, ids=given).ids == expected[:10]
        assert c.search(query, 10, where=where, ids=given, exact=True).ids == expected[:10]
        batch = c.search_batch(np.stack([query, query]), 500, where=where, ids=given)
        assert [hits.ids for hits in batch] == [expected, expected]
        assert c.search_range(query, -1.0, where=where, ids=given).ids == expected
        assert c.count(where, ids=given) == len(allowed)
        stored = [name(i, texts) for i in sorted(allowed)]
        assert c.to_arrow(["id"], where=where, ids=given)["id"].to_pylist() == stored
        assert c.to_pandas(["id"], where=where, ids=given)["id"].tolist() == stored
        scanned = c.scan(["id"], where=where, ids=given, batch_rows=7)
        assert [i for batch in scanned for i in batch.column(0).to_pylist()] == stored
        assert c.plan(where=where, ids=given).rows == len(allowed)
        if len(allowed) > 1:
            assert c.measure_recall(k=3, where=where, ids=given, n_queries=5).recall == 1
    both = c.search_batch(np.stack([query, query]), 500, where=["year > 3", None], ids=given)
    assert set(both[0].ids) <= set(both[1].ids)


def test_ids_narrow_as_an_expression_does(filled: tuple[vs.Collection, bool]) -> None:
    c, texts = filled
    array = pa.array([name(i, texts) for i in range(0, ROWS, 3)])
    isin = c.to_arrow(where=pc.field("id").isin(array))
    assert c.to_arrow(ids=array).equals(isin) and len(isin) > 50


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        set,
        iter,
        np.array,
        pa.array,
        pd.Series,
        lambda ids: pa.chunked_array([ids[:1], ids[1:]]),
        lambda ids: pa.array(ids).dictionary_encode(),
        lambda ids: pd.Series(ids, dtype="category"),
        lambda ids: [np.array(ids)[0], ids[1]],
        lambda ids: dict.fromkeys(ids).keys(),
    ],
)
def test_ids_may_be_any_collection(
    filled: tuple[vs.Collection, bool], convert: Callable[[list[Any]], Any]
) -> None:
    c, texts = filled
    ids = [name(5, texts), name(8, texts)]
    assert c.count(ids=convert(ids)) == 2
    assert sorted(c.search(VECTORS[5], ids=convert(ids)).ids) == sorted(ids)
    assert [row["id"] for row in c.get(convert(ids), ["id"]) if row] == ids or convert is set
    assert c.delete(convert(ids)).deleted == 2


def test_one_id_needs_no_list(filled: tuple[vs.Collection, bool]) -> None:
    c, texts = filled
    for one in (name(5, texts), np.array([name(5, texts)])[0], pa.scalar(name(5, texts))):
        assert c.search(VECTORS[1], ids=one).ids == [name(5, texts)] and c.count(ids=one) == 1


@pytest.mark.parametrize("wrong", [[1.5], [None], [True], [[1]], 2.5, b"x", {"a": 1}])
def test_wrong_ids_are_refused_by_every_verb(
    filled: tuple[vs.Collection, bool], wrong: Any
) -> None:
    c, texts = filled
    calls: list[Callable[[Any], Any]] = [
        lambda ids: c.search(VECTORS[0], ids=ids),
        lambda ids: c.search_batch(VECTORS[:2], ids=ids),
        lambda ids: c.search_range(VECTORS[0], 0.0, ids=ids),
        lambda ids: c.count(ids=ids),
        lambda ids: c.to_arrow(ids=ids),
        lambda ids: list(c.scan(ids=ids)),
        lambda ids: c.plan(ids=ids),
        lambda ids: c.measure_recall(ids=ids),
        lambda ids: c.get(ids),
        lambda ids: c.delete(ids),
        lambda ids: c.update(None, {"year": 1}, ids=ids),
    ]
    for call in calls:
        for bad in (wrong, [name(1, not texts)]):
            with pytest.raises(vs.InvalidInputError, match="id"):
                call(bad)
    assert len(c) == sum(1 for i in range(ROWS) if i % 7)


def test_a_table_is_no_list_of_ids(filled: tuple[vs.Collection, bool]) -> None:
    for table in (pd.DataFrame({"id": [1]}), pa.table({"id": [1]})):
        with pytest.raises(vs.InvalidInputError, match="id"):
            filled[0].count(ids=table)


def test_many_ids_and_few_find_the_same(
    filled: tuple[vs.Collection, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    c, texts = filled
    ids = [name(i, texts) for i in range(0, ROWS, 5)]
    masks = []
    for many in (0, 10**9):
        monkeypatch.setattr(snapshot_module, "MANY_IDS", many)
        masks.append(c._snapshot.select_ids(pa.array(ids, pa.large_string() if texts else None)))
    np.testing.assert_array_equal(masks[0].mask, masks[1].mask)
    assert masks[0].count == masks[1].count == c.count(ids=ids)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "jsonl", "csv"])
def test_ids_narrow_an_export(
    filled: tuple[vs.Collection, bool], tmp_path: Path, ending: str
) -> None:
    c, texts = filled
    file = tmp_path / f"some.{ending}"
    ids = [name(i, texts) for i in range(50, 80)] + [name(9999, texts)]
    assert c.export(file, where="year > 4", ids=ids) == len(c.to_arrow(where="year > 4", ids=ids))
    again = vs.create(tmp_path / "again.vs", dim=8)
    again.add(file)
    expected = [name(i, texts) for i in range(50, 80) if i % 7 and i % 10 > 4]
    assert again.to_arrow(["id"])["id"].to_pylist() == expected


def test_in_a_chunked_collection_ids_are_documents(root: Path) -> None:
    c = vs.create(root, embedder="toy:64", chunker=lambda text: [(0, 9), (9, len(text))])
    c.add([{"id": i, "text": f"first {i}; second part of krill {i}"} for i in range(6)])
    assert c.count(ids=[1, 2, 99]) == 2 and len(c.to_arrow(["id"], ids=[1, 2])) == 4
    assert sorted(c.search("second part", ids=[1, 2]).ids) == [1, 2]
    assert c.search("second part", k=9, ids=[1, 2], passages=True).ids.count(1) == 2
    assert c.count("text LIKE 'first 1%krill%'", ids=[1, 2]) == 1
    assert c.count("text LIKE 'first 1%krill%'", ids=[2]) == 0


def test_a_filter_is_the_same_in_pieces(
    filled: tuple[vs.Collection, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    c, _ = filled
    filters = ["TRUE", "1 = 0", "year IN (1, 2, 3, 4, 5, 6, 7, 8, 9)", "year % 3 = 1"]
    whole = [c.count(where) for where in [*filters, pc.field("year") > 3]]
    monkeypatch.setattr(selection_module, "FILTER_ROWS", 7)
    again = vs.open(c.path)
    assert [again.count(where) for where in [*filters, pc.field("year") > 3]] == whole


def test_the_same_ids_are_looked_up_once(
    filled: tuple[vs.Collection, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    c, texts = filled
    selector = c._searching().selector
    ids = [name(i, texts) for i in range(9)]
    first = selector.select("year > 1", ids)
    monkeypatch.setattr(snapshot_module.Snapshot, "select_ids", None)
    assert selector.select("year > 1", np.array(ids)) is first
    sliced = pa.array([name(77, texts), *ids]).slice(1)
    assert selector.select("year > 1", sliced) is first
