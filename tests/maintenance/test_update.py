"""`update`, `upsert`, `delete` and their dry runs, against plain dicts of the same documents."""

from __future__ import annotations

import hashlib
import random
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.embedders.toy import ToyEmbedder

WORDS = "apple river stone cloud lamp wheel bread glass music paper forest winter".split()


class Counting(ToyEmbedder):
    """The toy embedder, which notes what it embeds."""

    def __init__(self, meanwhile: Callable[[], Any] = lambda: None) -> None:
        super().__init__(64)
        self.seen: list[str] = []
        self.meanwhile = meanwhile

    def embed_documents(self, documents: Any) -> Any:
        self.meanwhile()
        self.seen += list(documents)
        return super().embed_documents(documents)


def halves(text: str) -> list[tuple[int, int]]:
    middle = len(text) // 2
    return [(0, middle), (middle, len(text))] if len(text) > 20 else [(0, len(text))]


def sentence(rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.choice([2, 3, 9])))


def stored(c: vs.Collection) -> dict[Any, dict[str, Any]]:
    ids = list(dict.fromkeys(c.to_arrow(["id"])["id"].to_pylist()))
    return {row["id"]: row for row in c.get(ids) if row is not None}


def require_own_vectors(c: vs.Collection, model: dict[Any, dict[str, Any]]) -> None:
    """Each passage has the vector of its own text."""
    table = c.to_arrow(["id", "text", "vector"])
    vectors = np.stack(table["vector"].to_numpy())
    expected = ToyEmbedder(64).embed_documents(table["text"].to_pylist())
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert set(table["id"].to_pylist()) == set(model)


@pytest.mark.parametrize("texts", [False, True], ids=["int", "str"])
@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_random_changes_are_those_of_plain_dicts(root: Path, chunked: bool, texts: bool) -> None:
    rng = random.Random(f"{chunked}{texts}")
    embedder = Counting()
    c = vs.create(root, embedder=embedder, chunker=halves if chunked else None)
    model: dict[Any, dict[str, Any]] = {}

    def name(number: int) -> Any:
        return f"doc-{number}" if texts else number

    def row(number: int) -> dict[str, Any]:
        return {
            "id": name(number),
            "text": sentence(rng),
            "year": rng.randrange(5),
            "tags": rng.sample(WORDS, rng.randrange(3)),
        }

    for part in range(3):
        rows = [row(number) for number in range(part * 20, part * 20 + 20)]
        c.add(rows)
        model |= {each["id"]: each for each in rows}
    for step in range(15):
        chosen = [name(number) for number in rng.sample(range(70), rng.choice([1, 3, 30]))]
        there = [each for each in chosen if each in model]
        action = rng.choice(["one", "each", "columns", "where", "upsert", "delete", "text"])
        missing = len(chosen) - len(there)
        if action == "one":
            year = rng.randrange(9)
            result = c.update(ids=chosen, values={"year": year})
            for each in there:
                model[each]["year"] = year
            assert (result.updated, result.missing) == (len(there), missing)
        elif action == "text":
            text = sentence(rng)
            result = c.update(ids=chosen, values={"text": text})
            for each in there:
                model[each]["text"] = text
            assert (result.updated, result.missing) == (len(there), missing)
        elif action == "each":
            values = [
                {
                    key: row(0)[key]
                    for key in rng.sample(["text", "year", "tags"], rng.randrange(1, 4))
                }
                for _ in chosen
            ]
            result = c.update(ids=chosen, values=values)
            for each, new in zip(chosen, values, strict=True):
                if each in model:
                    model[each] |= new
            assert (result.updated, result.missing) == (len(there), missing)
        elif action == "columns":
            columns = {"year": [rng.randrange(9) for _ in chosen], "tags": ["both"]}
            result = c.update("year > 1", columns, ids=np.array(chosen))
            matching = [each for each in there if (model[each]["year"] or 0) > 1]
            for each, year in zip(chosen, columns["year"], strict=True):
                if each in matching:
                    model[each] |= {"year": year, "tags": ["both"]}
            assert (result.updated, result.missing) == (len(matching), missing)
        elif action == "where":
            result = c.update("year <= 1", {"year": None})
            matching = [
                each
                for each in model
                if (model[each]["year"] or 2) <= 1 or model[each]["year"] == 0
            ]
            for each in matching:
                model[each]["year"] = None
            assert result.updated == len(matching)
        elif action == "upsert":
            rows = [
                {"id": each, "year": 7} if each in model else row(0) | {"id": each}
                for each in chosen
            ]
            added = c.upsert(rows)
            assert (added.added, added.replaced) == (missing, len(there))
            for each in rows:
                model[each["id"]] = {"year": None, "tags": None} | model.get(each["id"], {}) | each
        else:
            chosen = chosen[:3]
            there = [each for each in chosen if each in model]
            deleted = c.delete(chosen, where="year IS NOT NULL")
            gone = [each for each in there if model[each]["year"] is not None]
            assert (deleted.deleted, deleted.missing) == (len(gone), len(chosen) - len(there))
            for each in gone:
                del model[each]
        assert stored(c) == model, (step, action)
        assert len(c) == len(model) and c.check() == []
    require_own_vectors(c, model)
    c.close()
    assert stored(vs.open(root, embedder=embedder, chunker=halves if chunked else None)) == model


@pytest.fixture
def counted(root: Path) -> tuple[vs.Collection, Counting]:
    embedder = Counting()
    c = vs.create(root, embedder=embedder)
    c.add([{"id": i, "text": f"text {i}", "year": i, "price": i} for i in range(20)])
    embedder.seen.clear()
    return c, embedder


def test_only_changed_texts_are_embedded(counted: tuple[vs.Collection, Counting]) -> None:
    c, embedder = counted
    before = c.to_arrow(["id", "vector"], ids=[1])
    result = c.update(ids=[1, 2], values=[{"text": "text 1", "year": 5}, {"text": "new"}])
    assert (result.updated, result.embedded, embedder.seen) == (2, 1, ["new"])
    assert c.to_arrow(["id", "vector"], ids=[1]).equals(before)  # to the last bit
    assert c.search("new", k=1).ids == [2]
    embedder.seen.pop()  # the query
    result = c.update(ids=[1, 3], values={"text": ["text 1", "text 3"], "year": [8, 9]})
    assert (result.updated, result.embedded, embedder.seen) == (2, 0, ["new"])
    assert [row["year"] for row in c.get([1, 3]) if row] == [8, 9]
    done = c.upsert([{"id": 4, "text": "text 4", "year": 1}, {"id": 5, "year": 2}])
    assert (done.added, done.replaced, done.embedded) == (0, 2, 0) and embedder.seen == ["new"]
    assert c.get([5]) == [{"id": 5, "text": "text 5", "year": 2, "price": 5}]


@pytest.mark.parametrize(
    "table",
    [
        lambda rows: pa.Table.from_pylist(rows),
        lambda rows: pd.DataFrame(rows),
        lambda rows: pl.DataFrame(rows),
        lambda rows: rows,
        lambda rows: tuple(rows),
        lambda rows: iter(rows),
        lambda rows: {key: [row[key] for row in rows] for key in rows[0]},
        lambda rows: {key: np.array([row[key] for row in rows]) for key in rows[0]},
        lambda rows: {key: pa.array([row[key] for row in rows]) for key in rows[0]},
        lambda rows: {key: pd.Series([row[key] for row in rows]) for key in rows[0]},
        lambda rows: {key: pl.Series([row[key] for row in rows]) for key in rows[0]},
    ],
)
def test_values_may_be_any_table(
    counted: tuple[vs.Collection, Counting], table: Callable[[list[dict[str, Any]]], Any]
) -> None:
    c, embedder = counted
    rows = [{"year": 70, "text": "seventy"}, {"year": 80, "text": "text 8"}]
    assert c.update(ids=[7, 8], values=table(rows)).updated == 2
    assert [row and row["year"] for row in c.get([7, 8])] == [70, 80]
    assert embedder.seen == ["seventy"]
    rows = [{"id": 9, "year": 90}, {"id": 3, "year": 30}, {"id": 99, "year": 1}]
    result = c.update(values=table(rows))
    assert (result.updated, result.missing) == (2, 1)
    assert [row and row["year"] for row in c.get([9, 3])] == [90, 30]


def test_vectors_can_be_updated(root: Path) -> None:
    c = vs.create(root, dim=3, metric="l2")
    c.add([{"id": i, "vector": [i, i, i], "x": i} for i in range(10)])
    c.update(ids=[1, 2], values=[{"vector": [9, 0, 0]}, {"vector": [8, 0, 0]}])
    c.update(ids=[3, 4], values={"vector": np.array([[7, 0, 0], [6, 0, 0]]), "x": 5})
    c.update(ids=[5], values={"vector": [5, 0, 0]})
    expected = [[9, 0, 0], [8, 0, 0], [7, 0, 0], [6, 0, 0], [5, 0, 0], [6, 6, 6]]
    assert c.features(range(1, 7)).tolist() == expected
    assert [row["x"] for row in c.get(range(1, 7)) if row] == [1, 2, 5, 5, 5, 6]
    for bad, message in (
        ([{"vector": [1, 2]}], "row 0.*3"),
        ([{"vector": [1, 2, np.inf]}], "row 0.*infinite"),
        ([{"vector": None}, {"vector": [1, 2, 3]}], "row 0.*missing"),
    ):
        with pytest.raises(vs.InvalidInputError, match=message):
            c.update(ids=range(len(bad)), values=bad)
    with pytest.raises(vs.InvalidInputError, match=r"row 1.*id 77 is new.*vector"):
        c.upsert([{"id": 1, "x": 1}, {"id": 77, "x": 2}])
    assert c.get([1])[0] == {"id": 1, "x": 1}


@pytest.mark.parametrize("metric", ["cosine", "ip"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vectors_that_stay_keep_their_bits(root: Path, metric: str, dtype: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 7)) * 3
    c = vs.create(root, dim=7, metric=metric, dtype=dtype)
    c.add(vectors)
    c.add_column("x", "int64")
    first = c._snapshot.take_stored(["vector"], np.arange(50))
    for step in range(5):
        c.upsert([{"id": i, "x": step} for i in range(50)])
    rows = c._snapshot.live.rows
    assert c._snapshot.take_stored(["vector"], rows).equals(first)


def test_types_widen_as_an_add_widens(counted: tuple[vs.Collection, Counting]) -> None:
    c, _ = counted
    c.update(ids=[1, 2], values={"price": [1.5, None]})
    assert c.info().columns["price"] == "double"
    assert [row["price"] for row in c.get([1, 2, 3]) if row] == [1.5, None, 3.0]
    c.upsert([{"id": 3, "year": 0.5}])
    assert c.info().columns["year"] == "double"
    before = c.to_arrow()
    for values in ([{"price": 1.0}, {"price": "dear"}], {"price": pa.array(["1", "2"])}):
        with pytest.raises(vs.InvalidInputError, match="price"):
            c.update(ids=[1, 2], values=values)
    with pytest.raises(vs.InvalidInputError, match=r"row 1, column 'year': 9007199254740993"):
        c.update(ids=[1, 2], values={"year": np.array([1, 2**53 + 1])})
    with pytest.raises(vs.InvalidInputError, match=r"row 1, column 'text': the text is empty"):
        c.update(ids=[1, 2], values={"text": ["fine", " "]})
    with pytest.raises(vs.InvalidInputError, match=r"row 1, column 'text': the text is missing"):
        c.upsert([{"id": 1, "text": "fine"}, {"id": 2, "text": None}])
    with pytest.raises(vs.InvalidInputError, match=r"did you mean 'price'"):
        c.update(ids=[1], values=[{"prize": 1}])
    assert c.to_arrow().equals(before)


def test_what_is_ambiguous_or_wrong_is_refused(counted: tuple[vs.Collection, Counting]) -> None:
    c, _ = counted
    before = c.info().version
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: c.update(ids=[1, 2], values=[{"year": 1}]), "1 row for 2 ids"),
        (lambda: c.update(ids=[1, 2], values={"year": [1, 2, 3]}), "3 values for 2 ids"),
        (lambda: c.update(values=[{"year": 1}]), "ids="),
        (lambda: c.update(ids=[1], values=[{"id": 2, "year": 1}]), "one of them"),
        (lambda: c.update(ids=[1], values="year"), "values is 'year'"),
        (lambda: c.update(ids=[1], values=[1]), "values is"),
        (lambda: c.update(ids=[1]), "values is None"),
        (lambda: c.update({"year": 1}, None), "values is None"),
        (lambda: c.update(ids=[1, 1], values={"year": [1, 2]}), "twice: rows 0 and 1"),
        (lambda: c.upsert([{"id": 1, "year": 1}, {"id": 1, "year": 2}]), "duplicate id 1"),
        (lambda: c.upsert([{"year": 1}]), "no column 'id'"),
        (lambda: c.upsert(["text only"]), "no column 'id'"),
        (lambda: c.add([{"id": 1, "year": 1}], on_conflict="update", on_error="skip"), "left out"),
        (lambda: c.delete(), "ids or a filter"),
    ]
    for call, message in wrong:
        with pytest.raises(vs.InvalidInputError, match=message):
            call()
    assert c.info().version == before
    assert c.update(ids=[1, 1], values={"year": 3}).updated == 1  # the same for both
    for nothing in (c.update(ids=[], values={"year": 3}), c.update(ids=[], values=[])):
        assert nothing.updated == 0
    assert c.delete([]).deleted == 0 and len(c) == 20


def test_lists_of_dicts_keep_what_they_lack(root: Path) -> None:
    c = vs.create(root, embedder="toy:64")
    c.add([{"id": i, "text": f"t{i}", "a": i, "b": i} for i in range(4)])
    c.update(ids=[0, 1], values=[{"a": None}, {"b": 7}])
    c.upsert(iter([{"id": 2, "a": 8}, {"id": 3, "b": 9}]))
    rows = [{"id": 0, "a": None, "b": 0}, {"id": 1, "a": 1, "b": 7}]
    rows += [{"id": 2, "a": 8, "b": 2}, {"id": 3, "a": 3, "b": 9}]
    assert c.to_arrow(["id", "a", "b"]).sort_by("id").to_pylist() == rows


def test_files_keep_what_their_lines_lack(root: Path, tmp_path: Path) -> None:
    c = vs.create(root, embedder="toy:64")
    c.add([{"id": i, "text": f"t{i}", "a": i, "b": i} for i in range(5)])
    lines = tmp_path / "rows.jsonl"
    lines.write_text('{"id": 0, "a": 10}\n{"id": 1, "b": null}\n')
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("id,a\n2,20\n")
    two.write_text("id,b\n3,30\n")
    done = c.upsert([str(lines), str(one), str(two)])
    assert (done.added, done.replaced, done.embedded) == (0, 4, 0)
    c.upsert([pd.DataFrame({"id": [4], "a": [40]}), pd.DataFrame({"id": [0], "b": [50]})])
    table = {row["id"]: (row["a"], row["b"]) for row in c.to_arrow(["id", "a", "b"]).to_pylist()}
    assert table == {0: (10, 50), 1: (1, None), 2: (20, 2), 3: (3, 30), 4: (40, 4)}


def test_a_list_is_one_value_where_the_column_holds_lists(root: Path) -> None:
    c = vs.create(root, dim=2)
    c.add([{"id": i, "vector": [1, i], "tags": ["x"]} for i in range(4)])
    c.update(ids=[0, 1], values={"tags": ["a", "b"]})
    c.update(ids=[2, 3], values={"tags": [["c"], ["d", "e"]]})
    assert [row["tags"] for row in c.get(range(4)) if row] == [
        ["a", "b"],
        ["a", "b"],
        ["c"],
        ["d", "e"],
    ]


def test_metadata_stays_in_the_index_and_texts_leave_it(root: Path) -> None:
    vectors = np.random.default_rng(1).normal(size=(1500, 8))
    c = vs.create(root, dim=8)
    c.add(vectors)
    c.add_column("x", "int64")
    c.build_index("HNSW8")
    c.update(ids=np.arange(1500), values={"x": np.arange(1500) * 2})
    assert c.index_advice().new == 0
    assert c.search(vectors[77], k=1, where="x = 154").ids == [77]
    c.update(ids=[5], values=[{"vector": (-vectors[5]).tolist()}])
    assert c.index_advice().new == 1 and c.search(-vectors[5], k=1).ids == [5]


def folder_digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        stat = file.lstat()
        digest.update(f"{file.relative_to(path)} {stat.st_mtime_ns} {stat.st_size}".encode())
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def test_a_dry_run_changes_no_file_and_takes_no_lock(root: Path) -> None:
    embedder = Counting()
    c = vs.create(root, embedder=embedder)
    c.add([{"id": i, "text": f"text {i}", "year": i} for i in range(40)])
    embedder.seen.clear()
    before = folder_digest(root)
    runs: list[tuple[Callable[[bool], Any], int, int]] = [
        (lambda dry: c.delete(range(5, 45), where="year > 9", dry_run=dry), 30, 5),
        (lambda dry: c.delete(where="year > 9", dry_run=dry), 0, 0),
        (lambda dry: c.update("year < 3", {"year": 0}, dry_run=dry), 3, 0),
        (lambda dry: c.update(ids=[1, 99], values={"year": [2, 3]}, dry_run=dry), 1, 1),
        (lambda dry: c.update(ids=[1, 99], values={"text": "changed"}, dry_run=dry), 1, 1),
        (lambda dry: c.update(ids=[1, 99], values=[{"text": "a"}, {}], dry_run=dry), 1, 1),
    ]
    with vs.open(root)._store.locked():  # another writer: a dry run does not wait for it
        pass
    before = folder_digest(root)
    version = c.info().version
    dry = [call(True) for call, _, _ in runs]
    with pytest.raises(vs.InvalidInputError, match="year"):
        c.update(ids=[1], values={"year": "soon"}, dry_run=True)
    assert folder_digest(root) == before and c.info().version == version and not embedder.seen
    assert dry[0].ids == tuple(range(10, 20)) and dry[2].ids == (0, 1, 2)
    assert dry[1].deleted == 30
    for (call, count, missing), result in zip(runs, dry, strict=True):
        done = call(False)
        number = done.deleted if isinstance(done, vs.DeleteResult) else done.updated
        said = result.deleted if isinstance(result, vs.DeleteResult) else result.updated
        assert (number, done.missing, result.missing) == (count, missing, missing)
        assert said == (30 if call is runs[1][0] else count)


def test_updates_of_two_writers_are_not_lost(root: Path) -> None:
    c = vs.create(root, embedder="toy:64")
    c.add([{"id": i, "text": f"text {i}", "a": 0, "b": 0} for i in range(10)])
    failures: list[Exception] = []

    def write(column: str) -> None:
        try:
            mine = vs.open(root)
            for step in range(1, 6):
                values = [{column: step, "text": f"text {i} {column} {step}"} for i in range(10)]
                mine.update(ids=range(10), values=values)
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(column,)) for column in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures
    rows = c.refresh().to_arrow(["a", "b"]).to_pylist()
    assert rows == [{"a": 5, "b": 5}] * 10


def test_an_upsert_notices_what_another_writer_changed(root: Path) -> None:
    embedder = Counting()
    c = vs.create(root, embedder=embedder)
    c.add([{"id": i, "text": f"text {i}", "a": i} for i in range(10)])
    other = vs.open(root)
    rows = [{"id": 1, "text": "changed"}, {"id": 55, "text": "new"}]

    def once(change: Callable[[], Any]) -> None:
        def run() -> None:
            embedder.meanwhile = lambda: None
            change()

        embedder.meanwhile = run

    def elsewhere() -> None:
        other.update(ids=[2], values={"a": 8})
        other.compact()  # the rows move, but these documents stay the same

    for change in (
        lambda: other.update(ids=[1], values={"a": 7}),
        lambda: other.delete([1]),
        lambda: other.add([{"id": 55, "text": "theirs"}]),
    ):
        once(change)
        with pytest.raises(vs.ConflictError, match="another writer"):
            c.upsert(rows)
        c.refresh().delete([55])
        c.upsert([{"id": 1, "text": "text 1", "a": 1}])
    once(elsewhere)
    assert c.upsert(rows).added == 1
    once(lambda: other.update(ids=[1], values={"a": 3}))  # `update` does it again by itself
    assert c.update(ids=[1], values=[{"text": "last"}]).embedded == 1
    assert c.get([1, 2, 55], ["text", "a"]) == [
        {"text": "last", "a": 3},
        {"text": "text 2", "a": 8},
        {"text": "new", "a": None},
    ]


def test_series_of_objects_mean_what_they_mean_in_a_frame(tmp_path: Path) -> None:
    """A polars column of Python objects is one of addresses in Arrow; none is ever stored."""
    keys = [uuid.UUID(int=1), uuid.UUID(int=2)]
    paths = [Path("a/b"), Path("c")]
    for number, (kind, objects) in enumerate(
        [("string", keys), ("string", paths), ("binary", keys), (pa.binary(8), keys)]
    ):
        c = vs.create(tmp_path / str(number), dim=2, schema={"u": kind})
        c.add([{"id": i, "vector": [1, i]} for i in range(2)])
        for series in (pl.Series(objects, dtype=pl.Object), pd.Series(objects, index=[7, 9])):
            if kind != "string":
                with pytest.raises(vs.InvalidInputError, match="row 0, column 'u'"):
                    c.update(ids=[0, 1], values={"u": series})
                continue
            c.update(ids=[0, 1], values={"u": None})
            c.update(ids=[0, 1], values={"u": series})
            assert [row["u"] for row in c.get([0, 1])] == list(map(str, objects))
        assert c.count("u IS NULL") == (0 if kind == "string" else 2)
    for empty in (pl.Series([]), pd.Series([], dtype=object), pa.array([]), []):
        assert c.update(ids=[], values={"u": empty}).updated == 0
    with pytest.raises(vs.InvalidInputError, match="periods"):
        c.update(ids=[0], values={"u": pd.Series(pd.period_range("2020-01", periods=1, freq="M"))})


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("tags", 3, "column 'tags': 3 is no map"),
        ("facts", {"x": object()}, "column 'facts': JSON has no object"),
        ("facts", {1: 2}, "column 'facts': the key 1 of a dict is not a str"),
        ("n", "x", "column 'n'"),
    ],
)
def test_one_value_for_all_is_no_row(root: Path, column: str, value: Any, says: str) -> None:
    """A value that does not fit is not said to stand in a row, as there is none."""
    schema = pa.schema([("tags", pa.map_(pa.string(), pa.int64())), ("n", pa.int64())])
    with vs.create(root, dim=2, schema=schema, json_columns=["facts"]) as c:
        c.add([{"id": 1, "vector": [1, 0], "tags": {"a": 1}, "facts": {}, "n": 1}])
        with pytest.raises(vs.InvalidInputError) as caught:
            c.update("id = 1", {column: value})
        assert str(caught.value).startswith(says)
