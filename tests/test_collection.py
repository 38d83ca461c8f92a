"""The public methods of a collection, used as a user would."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support.data import brute_force, clustered

import vecsearch as vs


def test_text_is_found_in_both_languages(texts: vs.Collection) -> None:
    assert texts.search("cats and mice", k=1).ids == [3]
    hit = texts.search("光合作用", k=1)[0]
    assert (hit.id, hit.rank, hit["lang"], hit["year"]) == (2, 1, "zh", 2005)
    assert hit.to_dict()["text"] == "植物利用光合作用制造养分"
    with pytest.raises(vs.InvalidInputError, match="did you mean 'lang'"):
        hit["lnag"]


def test_results_have_python_ids_and_float32_scores(texts: vs.Collection) -> None:
    hits = texts.search("plants", k=10)
    assert len(hits) == 4 and all(type(name) is int for name in hits.ids)
    assert hits.scores.dtype == np.float32 and list(hits.scores) == sorted(
        hits.scores, reverse=True
    )
    assert hits[-1].rank == 4 and [hit.rank for hit in hits[1:3]] == [2, 3]
    with pytest.raises(IndexError):
        hits[4]
    table = hits.to_arrow(["lang"])
    assert table.column_names == ["rank", "score", "lang"] and table["rank"].to_pylist() == [
        1,
        2,
        3,
        4,
    ]
    assert hits.to_pandas()["id"].tolist() == hits.ids


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_exact_search_equals_brute_force(root: Path, metric: str, dtype: str) -> None:
    vectors = clustered(3000, 24)
    if dtype == "float16":
        vectors = vectors.astype(np.float16).astype(np.float32)
    c = vs.create(root, dim=24, metric=metric, dtype=dtype)
    for part in np.array_split(vectors, 3):  # several segments
        c.add(part)
    c.delete(range(0, 3000, 7))
    alive = np.arange(3000) % 7 != 0
    tolerance = (
        {"rtol": 2e-3, "atol": 2e-3}
        if dtype == "float16" and metric == "cosine"
        else {"rtol": 1e-4, "atol": 1e-4}
    )
    queries = clustered(20, 24, seed=5)
    batch = c.search_batch(queries, k=15)
    for query, many in zip(queries, batch, strict=True):
        expected = np.where(alive, brute_force(vectors, query, metric), -np.inf)
        one = c.search(query, k=15)
        for hits in (one, many):
            np.testing.assert_allclose(hits.scores, np.sort(expected)[::-1][:15], **tolerance)
            np.testing.assert_allclose(expected[hits.ids], hits.scores, **tolerance)


def test_original_vectors_come_back(root: Path) -> None:
    vectors = clustered(500, 16)
    c = vs.create(root, dim=16)
    c.add(vectors)
    back = np.stack(c.to_arrow()["vector"].to_pylist())
    np.testing.assert_allclose(back, vectors, rtol=1e-6, atol=1e-6)
    assert c.get([3], columns=["vector"])[0]["vector"] == pytest.approx(
        vectors[3].tolist(), rel=1e-6
    )


def test_filters_select_rows(texts: vs.Collection) -> None:
    assert set(texts.search("cats", k=10, where="lang = 'zh'").ids) == {2, 4}
    assert set(texts.search("cats", k=10, where=pc.field("year") > 2000).ids) == {2, 3}
    assert texts.count("year > 2000 OR year <= 2000") == 3  # NULL is neither
    assert texts.count("year IS NULL") == 1
    batch = texts.search_batch(["cats", "cats", "猫"], k=2, where=["lang = 'zh'", "id = 1", None])
    assert [set(hits.ids) for hits in batch] == [{2, 4}, {1}, set(texts.search("猫", k=2).ids)]
    assert texts.search("cats", where="year > 3000").ids == []
    with pytest.raises(vs.FilterError, match="did you mean 'year'"):
        texts.search("cats", where="yaer > 1")


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("TRUE", {1, 2, 4}),
        ("1 = 1 AND NOT FALSE", {1, 2, 4}),
        ("NULL IS NULL", {1, 2, 4}),
        (pc.scalar(True), {1, 2, 4}),
        ("FALSE", set()),
        ("NULL", set()),
        (pc.scalar(False), set()),
    ],
)
def test_a_filter_that_reads_no_column_keeps_all_rows_or_none(
    texts: vs.Collection, where: str | pc.Expression, ids: set[int]
) -> None:
    texts.add([{"id": 9, "text": "a second segment", "lang": "en"}])
    assert texts.count(where) == len(ids) + 2 * bool(ids)
    texts.delete([3, 9])
    assert texts.count(where) == len(ids)
    assert set(texts.search("cats", k=9, where=where).ids) == ids
    assert texts.delete(where=where).deleted == len(ids)


@pytest.mark.parametrize("first", ["en", "EN"])
def test_filters_that_differ_in_case_only_keep_their_own_rows(
    texts: vs.Collection, first: str
) -> None:
    """Answers are remembered by filter, within one version of the collection."""
    counts = {"en": 2, "EN": 0}
    for literal in (first, first.swapcase(), first):
        assert texts.count(f"lang = '{literal}'") == counts[literal]
        assert texts.count(pc.field("lang") == literal) == counts[literal]
        hits = texts.search("cats", k=4, where=f"lang IN ('{literal}')")
        assert len(hits.ids) == counts[literal]


def test_get_count_len_delete(texts: vs.Collection) -> None:
    assert texts.get([3, 77, 1], columns=["lang"]) == [{"lang": "en"}, None, {"lang": "en"}]
    assert texts.delete([1, 77]) == vs.DeleteResult(
        deleted=1, missing=1, version=texts.info().version
    )
    assert len(texts) == 3 and texts.get([1]) == [None]
    assert 1 not in texts.search("plants make food from light", k=10).ids
    assert texts.delete(where="lang = 'zh'").deleted == 2
    assert texts.to_arrow()["id"].to_pylist() == [3]
    with pytest.raises(vs.InvalidInputError, match="ids or a filter"):
        texts.delete()


def test_on_conflict_refuses_skips_or_replaces(texts: vs.Collection) -> None:
    before = texts.to_arrow()
    row = {"id": 3, "text": "dogs", "lang": "en", "year": 1}
    with pytest.raises(
        vs.DuplicateIdError, match=r"row 1, column 'id': id 3 is already in the collection"
    ):
        texts.add([{"id": 9, "text": "new", "lang": "en", "year": 1}, row])
    assert texts.to_arrow().equals(before)
    result = texts.add([row, {"id": 9, "text": "new", "lang": "en", "year": 1}], on_conflict="skip")
    assert (result.added, result.replaced, result.skipped) == (1, 0, 1)
    result = texts.add(
        [row, {"id": 10, "text": "newer", "lang": "en", "year": 1}], on_conflict="replace"
    )
    assert (result.added, result.replaced, result.skipped) == (1, 1, 0)
    assert texts.get([3])[0]["text"] == "dogs" and len(texts) == 6


def test_replacing_with_the_same_text_embeds_nothing(root: Path) -> None:
    class Counting:
        name, dim, calls = "counting", 8, 0

        def fingerprint(self) -> str:
            return "c"

        def embed_documents(self, documents: list[str]) -> np.ndarray:
            self.calls += len(documents)
            return np.array([[len(text), *[1.0] * 7] for text in documents], np.float32)

        embed_queries = embed_documents

    model = Counting()
    c = vs.create(root, embedder=model)
    c.add([{"id": 1, "text": "one", "n": 1}, {"id": 2, "text": "three", "n": 1}])
    assert model.calls == 2
    result = c.add(
        [{"id": 1, "text": "one", "n": 2}, {"id": 2, "text": "four", "n": 2}], on_conflict="replace"
    )
    assert model.calls == 3 and result.embedded == 1
    assert c.to_arrow(["n"])["n"].to_pylist() == [2, 2]
    np.testing.assert_allclose(
        np.stack(c.to_arrow()["vector"].to_pylist())[:, 0], [3, 4], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"id": 5, "text": None, "lang": "x", "year": 1}],
            "row 0, column 'text': the text is missing",
        ),
        (
            [{"id": 5, "text": "a"}, {"id": 6, "text": "  "}],
            "row 1, column 'text': the text is empty",
        ),
        (
            [{"id": 5, "text": "a"}, {"id": None, "text": "b"}],
            "row 1, column 'id': the id is missing",
        ),
        ([{"id": 5, "text": "a", "yeer": 1}], "did you mean 'year'"),
        (
            [{"id": 5, "text": "a", "year": "soon"}],
            "row 0, column 'year': 'soon' cannot be stored as int64",
        ),
        ([{"id": "5", "text": "a"}], "ids of this collection are integers"),
        (
            [{"id": 5, "text": "a"}, {"id": 5, "text": "b"}],
            "duplicate id 5 in the data: rows 0 and 1, column 'id'",
        ),
        ([{"id": 5, "texxt": "a"}], "did you mean 'texxt'"),
        ([{"id": 5, "text": "a", "_norm": 1.0}], "'_norm' is reserved for vecsearch"),
        (
            [{"id": 5, "text": "a", "vector": [1.0] * 3}],
            "3 numbers where the collection has dimension 64",
        ),
        ([{"id": 5, "text": "a", "vector": [0.0] * 64}], "row 0, column 'vector': a zero vector"),
        (
            [{"id": 5, "text": "a", "vector": [float("nan")] * 64}],
            "row 0, column 'vector': the vector has a NaN",
        ),
        ([{"id": 5, "text": "a", "vector": [float("inf")] * 64}], "infinite"),
        ([{"id": 5, "text": "a", "vector": [1e39] * 64}], "too large for float32"),
        (
            [{"id": 5, "text": "a", "vector": [None] + [1.0] * 63}],
            "row 0, column 'vector': a number is missing",
        ),
    ],
)
def test_bad_rows_change_nothing(
    texts: vs.Collection, rows: list[dict[str, object]], message: str
) -> None:
    before, version = texts.to_arrow(), texts.info().version
    with pytest.raises(vs.InvalidInputError) as caught:
        texts.add([{"id": 100, "text": "good"}, *rows][1:])
    assert message in str(caught.value)
    texts.refresh()
    assert texts.to_arrow().equals(before) and texts.info().version == version
    assert not list((texts.path / "staging").iterdir())


def test_bad_rows_late_in_a_long_add_change_nothing(root: Path) -> None:
    c = vs.create(root, dim=4)
    good = {"vector": [1.0, 2.0, 3.0, 4.0]}
    with pytest.raises(vs.InvalidInputError, match="row 9001, column 'vector'"):
        c.add([*[good] * 9001, {"vector": [0.0] * 4}])
    assert len(c) == 0 and c.search([1, 2, 3, 4]).ids == []


def test_ids_keep_their_type(root: Path) -> None:
    c = vs.create(root, embedder="toy:16")
    c.add(
        [
            {"id": "007", "text": "bond"},
            {"id": "7", "text": "seven"},
            {"id": "邦德", "text": "中文"},
        ]
    )
    assert c.search("bond", k=1).ids == ["007"] and c.get(["7", "邦德"], ["text"]) == [
        {"text": "seven"},
        {"text": "中文"},
    ]
    with pytest.raises(vs.InvalidInputError, match="ids of this collection are str"):
        c.get([7])
    with pytest.raises(vs.InvalidInputError, match="give an id to every row"):
        c.add(["no id"])


def test_generated_ids_continue_after_the_largest(root: Path) -> None:
    c = vs.create(root, dim=2)
    c.add(np.eye(2))
    c.add(np.eye(2))
    assert c.to_arrow(["id"])["id"].to_pylist() == [0, 1, 2, 3]
    c.delete([3])
    c.add([{"id": 10, "vector": [1, 1]}, {"id": 5, "vector": [1, 1]}])
    c.add(np.ones((1, 2)))
    assert c.to_arrow(["id"])["id"].to_pylist() == [0, 1, 2, 10, 5, 11]


def test_update_and_add_column_keep_order_and_types(texts: vs.Collection) -> None:
    assert texts.update("lang = 'zh'", {"year": 1}).updated == 2
    assert sorted(texts.to_arrow(["id", "year"]).to_pylist(), key=lambda row: row["id"]) == [
        {"id": 1, "year": 1999},
        {"id": 2, "year": 1},
        {"id": 3, "year": 2010},
        {"id": 4, "year": 1},
    ]
    texts.update(None, {"year": None})
    assert texts.count("year IS NULL") == 4
    texts.add_column("tags", pa.list_(pa.string()), ["a"])
    assert texts.count("array_contains(tags, 'a')") == 4
    texts.add([{"id": 9, "text": "new", "tags": ["b", "c"]}])
    assert texts.get([9])[0]["tags"] == ["b", "c"]
    for bad in (
        {"id": 1},
        {"vector": 1},
        {"text": " "},
        {"text": 5},
        {"yeer": 1},
        {"year": "x"},
        None,
    ):
        with pytest.raises(vs.InvalidInputError):
            texts.update(None, bad)
    with pytest.raises(vs.InvalidInputError, match="taken"):
        texts.add_column("year", "int64")


def test_rollback_and_reading_an_older_version(texts: vs.Collection) -> None:
    version = texts.info().version
    texts.delete([1, 2])
    with vs.open(texts.path, version=version) as old:
        assert len(old) == 4 and old.search("plants make food", k=1).ids == [1]
        with pytest.raises(vs.InvalidInputError, match="history"):
            old.delete([3])
    texts.rollback(version)
    assert len(texts) == 4 and [item.operation for item in texts.versions()] == [
        "create",
        "add",
        "delete",
        f"restore {version}",
    ]
    with pytest.raises(vs.VersionNotFoundError, match="keeps versions"):
        vs.open(texts.path, version=99)


def test_one_row_adds_leave_few_segments_and_versions(root: Path) -> None:
    c = vs.create(root, embedder="toy:512", keep_versions=3)
    for number in range(60):
        c.add([{"id": number, "text": f"row number {number}"}])
        if number % 5 == 0:
            c.delete([number])
    assert c.info().segments <= 2 * 7 + 1  # of 1 to 7 rows, and of 8 to 63
    assert len(c.versions()) <= 3 + 8
    assert len(c) == 48 and c.to_arrow(["id"])["id"].to_pylist() == [
        number for number in range(60) if number % 5
    ]
    assert all(c.search(f"row number {number}", k=1).ids == [number] for number in range(1, 60, 5))
    named = {ref for version in c.versions() for ref in _files(c.path, version.version)}
    assert {path.name for path in (root / "segments").iterdir()} == named


def _files(root: Path, version: int) -> set[str]:
    from vecsearch.storage import log

    return {ref.name.split("/")[1] for ref in log.load(root, version).files()}


def test_compact_keeps_results(root: Path) -> None:
    vectors = clustered(2000, 16)
    c = vs.create(root, dim=16, metric="l2")
    for part in np.array_split(vectors, 5):
        c.add(part)
    c.delete(range(0, 2000, 3))
    before = [(hits.ids, hits.scores.tolist()) for hits in c.search_batch(vectors[:50], k=20)]
    c.compact()
    assert c.info().segments == 1 and c.info().deleted_rows == 0
    assert [
        (hits.ids, hits.scores.tolist()) for hits in c.search_batch(vectors[:50], k=20)
    ] == before


def test_purge_leaves_no_trace(root: Path) -> None:
    c = vs.create(root, embedder="toy:32")
    c.add([{"id": f"key-{n}", "text": f"ordinary text {n}", "note": "plain"} for n in range(20)])
    c.add([{"id": "secret-key", "text": "the unlikely-secret-text", "note": "private-note"}])
    vector = np.array(c.get(["secret-key"], ["vector"])[0]["vector"], np.float32)
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    traces = [b"secret-key", b"unlikely-secret-text", b"private-note", unit.tobytes()[:32]]
    content = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert all(trace in content for trace in traces)
    c.delete(["secret-key"])
    c.compact(purge=True)
    content = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert not any(trace in content for trace in traces)
    assert len(c) == 20 and len(c.versions()) == 1


def test_purge_names_the_versions_readers_hold(texts: vs.Collection) -> None:
    version = texts.info().version
    with vs.open(texts.path, version=version) as reader:
        texts.delete([1])
        with pytest.raises(vs.ConflictError, match=f"version {version}"):
            texts.compact(purge=True)
        assert reader.get([1])[0]["text"].startswith("plants")
    del reader
    texts.compact(purge=True)
    assert len(texts.versions()) == 1


def test_documents_are_split_and_put_together_again(root: Path) -> None:
    pytest.importorskip("chonkie")
    long = (
        "# Plants\n\n"
        + "Plants make food from light. " * 8
        + "\n\n# 猫\n\n"
        + "猫在夜里抓老鼠，白天睡觉。" * 20
        + "\n"
    )
    c = vs.create(root, embedder="toy:64", chunker=120)
    c.add([{"id": "a", "text": long, "n": 1}, {"id": "b", "text": "short", "n": 2}])
    info = c.info()
    assert len(c) == 2 == info.documents and info.rows > 5
    assert c.get(["a", "b"]) == [
        {"id": "a", "text": long, "n": 1},
        {"id": "b", "text": "short", "n": 2},
    ]
    hits = c.search("老鼠", k=5)
    assert hits.ids == ["a", "b"]
    start, end = hits[0].span.start, hits[0].span.end
    assert hits[0]["text"] == long[start:end] and "老鼠" in long[start:end]
    passages = c.search("老鼠", k=5, passages=True)
    assert passages.ids.count("a") >= 4 and len({hit.span for hit in passages}) == 5
    c.add([{"id": "a", "text": "now it is short", "n": 3}], on_conflict="replace")
    assert c.get(["a"])[0]["text"] == "now it is short" and c.info().rows == 2 and len(c) == 2
    c.update("n = 3", {"n": 4})
    assert c.count("n = 4") == 1
    c.delete(["a"])
    assert len(c) == 1 and c.search("老鼠", k=5).ids == ["b"]


def test_deleting_by_filter_takes_whole_documents(root: Path) -> None:
    pytest.importorskip("chonkie")
    c = vs.create(root, embedder="toy:64", chunker=100)
    c.add(
        [
            {"id": 1, "text": "Only here: zebra. " + "Nothing else at all. " * 30},
            {"id": 2, "text": "Other words. " * 30},
        ]
    )
    assert c.delete(where="text LIKE '%zebra%'").deleted == 1
    assert c.to_arrow(["id"])["id"].unique().to_pylist() == [2]


def test_wrong_queries_are_refused(texts: vs.Collection, tmp_path: Path) -> None:
    for query, message in [
        ([1.0] * 3, "shape (3,)"),
        ([0.0] * 64, "zero vector"),
        ([float("nan")] * 64, "NaN"),
        ([[1.0] * 64] * 2, "(2, 64)"),
    ]:
        with pytest.raises(vs.InvalidInputError) as caught:
            texts.search(np.array(query))
        assert message in str(caught.value)
    for k in (0, -1, 1.5, "ten"):
        with pytest.raises(vs.InvalidInputError, match="k is"):
            texts.search("a", k=k)
    for recall in (0, 1.1, -3):
        with pytest.raises(vs.InvalidInputError, match="recall is"):
            texts.search("a", recall=recall)
    with pytest.raises(vs.InvalidInputError, match="empty"):
        texts.search(" ")
    with pytest.raises(vs.InvalidInputError, match="query 1: "):
        texts.search_batch(np.array([[1.0] * 64, [0.0] * 64]))
    with pytest.raises(vs.InvalidInputError, match="2 filters for 1"):
        texts.search_batch(["a"], where=[None, None])
    assert texts.search_batch([]) == [] and len(texts.search("a", k=10**12)) == 4
    plain = vs.create(tmp_path / "plain.vs", dim=3)
    with pytest.raises(vs.EmbedderError, match="no embedder"):
        plain.search("text")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("~/x.vs", "give '/home/ann/x.vs', or './~/x.vs'"),
        ("~", "give '/home/ann'"),
        (Path("~/x.vs"), "home folder"),
        ("https://example.org/x.vs", "is a URL"),
        ("C:\\data\\x.vs", "path of Windows"),
        ("", "the path is empty"),
    ],
)
def test_paths_that_mean_another_place_elsewhere_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | Path, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    for call in (lambda: vs.create(path, dim=2), lambda: vs.open(path)):
        with pytest.raises(vs.InvalidInputError, match=says):
            call()
    assert list(tmp_path.iterdir()) == []
    c = vs.create("./~/x.vs", dim=np.int64(2))  # a folder of that name
    assert c.info().dim == 2 and vs.open(tmp_path / "~" / "x.vs").path == c.path
    with pytest.raises(vs.InvalidInputError, match=says):
        c.backup(path)


def test_vectors_beyond_what_float32_can_square_are_named_as_such(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2)
    c.add([[1.0, 2.0]])
    for vector, says in (
        ([1e-23, 1e-23], "too small"),
        ([1e20, 1.0], "squares are too large for float32"),
        ([1e39, 1.0], "numbers too large for float32"),
        ([0.0, 0.0], "a zero vector"),
    ):
        with pytest.raises(vs.InvalidInputError, match=f"row 0, column 'vector'.*{says}"):
            c.add([vector])
    # A query needs its direction only.
    for query in ([1e-23, 1e-23], [1e20, 1e20]):
        assert c.search(query).scores == pytest.approx([3 / 10**0.5], abs=1e-6)


def test_numbers_and_flags_of_numpy_are_arguments_like_pythons(tmp_path: Path) -> None:
    options = {"dim": np.int64(4), "recall": np.float32(0.5), "keep_versions": np.uint8(9)}
    options |= {"sample_queries": np.int64(3), "auto_index": np.False_, "exist_ok": np.False_}
    made = vs.create(tmp_path / "a.vs", **options)
    made.add([{"id": n, "vector": [1, n, n * n, 2]} for n in range(200)])
    made.sample_queries(np.int32(5))
    made.build_index(recall=np.float32(0.5), seed=np.int64(1), threads=np.int64(1))
    assert made.search([1, 2, 3, 4], k=np.int64(2), recall=np.float32(0.5), exact=np.True_)
    assert vs.open(tmp_path / "a.vs", version=np.int64(2)).info().version == 2
    assert made.reduce(tmp_path / "b.vs", np.int64(2)).info().dim == 2
    assert made.rollback(np.int64(2)) == made.info().version
    manifest = vs.open(tmp_path / "a.vs")._snapshot.manifest
    assert (manifest.dim, manifest.recall, manifest.keep_versions) == (4, 0.5, 9)
    for version in (True, 2.0, Fraction(2)):
        with pytest.raises(vs.VecsearchError):
            made.rollback(version)
    exact = vs.create(tmp_path / "c.vs", dim=2, recall=Fraction(1, 2))
    assert exact._snapshot.manifest.recall == 0.5


def test_create_refuses_wrong_arguments_and_taken_paths(tmp_path: Path) -> None:
    for options in (
        {},
        {"dim": 0},
        {"dim": 3, "metric": "hamming"},
        {"dim": 3, "dtype": "int8"},
        {"dim": 3, "recall": 2},
        {"dim": 3, "chunker": True},
        {"dim": 3, "embedder": "toy:4"},
        {"dim": 3, "keep_versions": 0},
        {"dim": 3, "keep_versions": 2**63},
        {"dim": 3.0},
        {"dim": True},
        {"dim": "3"},
    ):
        with pytest.raises(vs.InvalidInputError):
            vs.create(tmp_path / "x.vs", **options)
        assert not (tmp_path / "x.vs").exists()
    vs.create(tmp_path / "x.vs", dim=3)
    with pytest.raises(vs.CollectionExistsError, match="already"):
        vs.create(tmp_path / "x.vs", dim=3)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    with pytest.raises(vs.CollectionExistsError, match="other files"):
        vs.create(tmp_path / "other", dim=3)
    with pytest.raises(vs.CollectionNotFoundError, match="no collection"):
        vs.open(tmp_path / "nothing.vs")


def test_another_model_is_refused_at_the_first_embedding(texts: vs.Collection) -> None:
    class Other:
        name, dim = "other", 64

        def fingerprint(self) -> str:
            return "different"

        def embed_documents(self, documents: list[str]) -> np.ndarray:
            return np.ones((len(documents), 64), np.float32)

        embed_queries = embed_documents

    with vs.open(texts.path, embedder=Other()) as c:
        assert len(c) == 4  # opening and reading do not need the model
        with pytest.raises(vs.EmbedderMismatchError, match="toy:64"):
            c.search("cats")
        with pytest.raises(vs.EmbedderMismatchError):
            c.add(["more"])
        assert len(c.search(np.ones(64))) == 4
    with (
        vs.open(texts.path, embedder="toy:32") as c,
        pytest.raises(vs.EmbedderMismatchError, match="32 numbers"),
    ):
        c.search("cats")


def test_a_closed_collection_refuses_searches(texts: vs.Collection) -> None:
    hits = texts.search("cats", k=1)
    texts.close()
    assert hits[0]["lang"] == "en"  # found before, still readable
    with pytest.raises(vs.CollectionClosedError, match="open it again"):
        texts.search("cats")
    assert "closed" in repr(texts)


def test_refresh_shows_what_others_committed(texts: vs.Collection) -> None:
    with vs.open(texts.path) as other:
        other.delete([1])
        assert len(texts) == 4 and texts.search("plants make food from light", k=1).ids == [1]
        assert len(texts.refresh()) == 3


def _add_many(path: Path, start: int) -> None:
    with vs.open(path) as c:
        for number in range(start, start + 10):
            c.add([{"id": number, "text": f"text number {number}"}])


def test_processes_and_threads_add_at_once(root: Path) -> None:
    vs.create(root, embedder="toy:16").close()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_many, args=(root, start)) for start in (0, 100)]
    threads = [threading.Thread(target=_add_many, args=(root, start)) for start in (200, 300)]
    for worker in (*processes, *threads):
        worker.start()
    for worker in (*processes, *threads):
        worker.join()
    with vs.open(root) as c:
        assert sorted(c.to_arrow(["id"])["id"].to_pylist()) == sorted(
            n + s for s in (0, 100, 200, 300) for n in range(10)
        )


def test_generated_ids_of_two_writers_do_not_collide(root: Path) -> None:
    c = vs.create(root, dim=2)
    c.add(np.ones((1, 2)))

    def rows():  # another writer commits while this add is running
        yield {"vector": [1.0, 2.0]}
        with vs.open(root) as other:
            other.add(np.ones((3, 2)))
        yield {"vector": [1.0, 3.0]}

    c.add(rows())
    assert c.to_arrow(["id"])["id"].to_pylist() == [0, 1, 2, 3, 4, 5]
    assert c.get([5], ["vector"])[0]["vector"] == pytest.approx([1, 3])


def test_interrupted_add_resumes_without_embedding_again(root: Path) -> None:
    class Counting:
        name, dim, calls = "counting", 4, 0

        def fingerprint(self) -> str:
            return "counting-1"

        def embed_documents(self, documents: list[str]) -> np.ndarray:
            self.calls += len(documents)
            return np.array([[len(text), 1, 2, 3] for text in documents], np.float32)

        embed_queries = embed_documents

    model = Counting()
    c = vs.create(root, embedder=model)

    def rows(stop: int | None):
        for number in range(10_000):
            if number == stop:
                raise KeyboardInterrupt
            yield {"text": f"document {number}"}

    with pytest.raises(KeyboardInterrupt):
        c.add(rows(9_000))
    assert len(c) == 0 and model.calls == 8192
    result = c.add(rows(None))
    assert model.calls == 10_000 and result.added == 10_000 and result.embedded == 10_000 - 8192
    assert c.to_arrow(["id"])["id"].to_pylist() == list(range(10_000))
    assert not list((root / "staging").iterdir())


def test_files_open_in_pyarrow_polars_and_duckdb(texts: vs.Collection) -> None:
    path = next(
        path for path in (texts.path / "segments").glob("*.arrow") if path.name.count(".") == 1
    )
    with pa.memory_map(str(path)) as file:
        rows = pa.ipc.open_file(file).read_all()
    assert rows["text"].to_pylist() == texts.to_arrow()["text"].to_pylist()
    polars = pytest.importorskip("polars")
    assert polars.read_ipc(path)["id"].to_list() == [1, 2, 3, 4]
    duckdb = pytest.importorskip("duckdb")
    assert duckdb.sql("select count(*), max(year) from rows where lang = 'en'").fetchall() == [
        (2, 2010)
    ]
    assert duckdb.sql("select len(vector) from rows limit 1").fetchall() == [(64,)]


def test_vectors_are_read_without_a_copy(texts: vs.Collection) -> None:
    segment = texts._snapshot.segments[0]
    view = segment.vectors
    start = segment.file.buffer.address
    assert start <= view.ctypes.data < start + segment.file.buffer.size
    assert not view.flags.owndata and not view.flags.writeable and view.flags.c_contiguous


def test_importing_is_cheap() -> None:
    heavy = ("numpy", "pyarrow", "faiss", "torch", "rich", "typer")
    code = f"import sys, vecsearch; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
