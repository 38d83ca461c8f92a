"""A collection of several shards, with one of the same rows in one piece as the oracle."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.index import shards as index_shards
from vecsearch.index import updating
from vecsearch.index.policy import Rules
from vecsearch.ingest.add import AddTransaction
from vecsearch.storage.shards import by_shard, runs_of_shards, shard_of_ids
from vecsearch.storage.store import Store

SHARDS = 5
LIMITS = vs.Limits(window_rows=64, segment_rows=200, smallest_index_rows=50)
WORDS = "light food plant night cat mouse river stone bridge tower glass paper".split()


def documents(first: int, count: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng([seed, first])
    return [
        {
            "id": f"doc-{number}",
            "text": " ".join(rng.choice(WORDS, rng.integers(3, 12))) + f" w{number}",
            "year": int(rng.integers(1990, 2020)),
            "kind": str(rng.choice(["a", "b", "c"])),
        }
        for number in range(first, first + count)
    ]


@pytest.fixture(autouse=True, scope="module")
def no_syncing() -> Iterator[None]:
    """Nothing here is about crashes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[vs.Collection, vs.Collection]:
    """The same changes made to both: added in parts, replaced, updated, deleted."""
    folder = tmp_path_factory.mktemp("pair")
    made = []
    for name, shards in (("one", 1), ("five", SHARDS)):
        c = vs.create(folder / f"{name}.vs", embedder="toy:32", shards=shards, limits=LIMITS)
        for first in range(0, 600, 120):
            c.add(documents(first, 120), progress=False)
        c.add(documents(100, 30, seed=1), on_conflict="replace", progress=False)
        c.add(documents(590, 30), on_conflict="skip", progress=False)
        c.upsert([{"id": f"doc-{n}", "kind": "d"} for n in range(20, 60)], progress=False)
        c.update("year < 1995", {"kind": "old"})
        c.update(ids=["doc-7", "doc-8"], values={"text": "a text of its own"})
        c.delete(where="year = 2001")
        c.delete(["doc-3", "nothing"])
        made.append(c)
    return made[0], made[1]


def by_id(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: row["id"])


def ranked(hits: Any) -> list[tuple[float, Any]]:
    """Scores and ids; documents of equal score by id, for ties are in another order."""
    return sorted(((hit.score, hit.id) for hit in hits), key=lambda pair: (-pair[0], pair[1]))


def test_the_rows_are_the_same(pair: tuple[vs.Collection, vs.Collection]) -> None:
    one, five = pair
    assert (one.info().shards, five.info().shards) == (1, SHARDS)
    assert len(one) == len(five) > 500
    assert by_id(one.to_arrow()) == by_id(five.to_arrow())
    assert by_id(pa.Table.from_batches(five.scan(["id", "year"]))) == by_id(
        one.to_arrow(["id", "year"])
    )
    assert one.get(["doc-9", "doc-3", "doc-8"]) == five.get(["doc-9", "doc-3", "doc-8"])
    for where in ("year > 2010", "kind = 'old' AND year < 1993", "text LIKE '%tower%'"):
        assert one.count(where) == five.count(where) > 0
    assert (
        one.features(["doc-1", "doc-500"]).tobytes()
        == five.features(["doc-1", "doc-500"]).tobytes()
    )
    assert five.check() == []


def test_every_row_is_in_the_shard_of_its_id(pair: tuple[vs.Collection, vs.Collection]) -> None:
    snapshot = pair[1]._snapshot
    found = [entry.shard for entry in snapshot.manifest.segments]
    assert found == sorted(found) and set(found) == set(range(SHARDS))
    for shard in range(SHARDS):
        part = snapshot.of_shards([shard])
        ids = part.take(["id"], part.live.rows).column(0)
        assert len(ids) and (shard_of_ids(ids, SHARDS) == shard).all()


QUERIES = ["light for a plant", "the cat at night", "glass tower bridge", "w77 paper"]


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
@pytest.mark.parametrize("where", [None, "year > 2005", "kind = 'c'"])
def test_searches_find_the_same_with_the_same_scores(
    pair: tuple[vs.Collection, vs.Collection], mode: Any, where: str | None
) -> None:
    one, five = pair
    for query in QUERIES:
        expected = one.search(query, 600, mode=mode, where=where, exact=mode == "vector")
        found = five.search(query, 600, mode=mode, where=where, exact=mode == "vector")
        assert ranked(found) == ranked(expected) and len(found) > 10
    batches = [c.search_batch(QUERIES, 600, mode=mode, where=where) for c in pair]
    assert [ranked(hits) for hits in batches[0]] == [ranked(hits) for hits in batches[1]]


def test_the_other_questions_have_the_same_answers(
    pair: tuple[vs.Collection, vs.Collection],
) -> None:
    one, five = pair

    def same(ask: Any) -> None:
        assert ask(one) == ask(five)

    same(lambda c: ranked(c.search_range(QUERIES[0], 0.2)))
    same(lambda c: ranked(c.similar("doc-77", 1000)))
    same(lambda c: ranked(c.recommend(["doc-1", "doc-2"], ["doc-4"], k=1000)))
    same(lambda c: ranked(c.discover("doc-1", [("doc-2", "doc-4")], k=1000)))
    same(lambda c: ranked(c.search(QUERIES[0], 1000, min_score=0.1, exclude=["doc-5"])))
    same(lambda c: c.facets(["kind", "year"], where="year > 2000"))
    same(lambda c: c.facets("kind", query=QUERIES[1], min_score=0.1))
    same(
        lambda c: [
            (group.value, ranked(group.hits))
            for group in c.search(QUERIES[0], 5, group_by="kind", group_size=2).groups
        ]
    )
    same(
        lambda c: [
            hit.score for page in c.pages(QUERIES[0], 50, where="year > 2000") for hit in page
        ]
    )
    same(lambda c: [hit.id for hit in c.search(QUERIES[0], 9, order_by=["year", "text"])])
    same(lambda c: c.measure_recall(n_queries=50).recall)
    same(lambda c: c.to_arrow(["year"], ids=["doc-1", "doc-2"]).num_rows)
    same(lambda c: sorted(c.duplicates(0.9).table.column("score").to_pylist()))


def test_the_life_of_a_collection(pair: tuple[vs.Collection, vs.Collection], root: Path) -> None:
    one, five = pair
    five.backup(root)
    with vs.open(root, limits=LIMITS) as c:
        before, versions = by_id(c.to_arrow()), len(c.versions())
        assert c.info().shards == SHARDS and before == by_id(one.to_arrow())
        c.compact()
        assert c.info().segments == SHARDS and c.info().deleted_rows == 0
        assert c.check() == [] and by_id(c.to_arrow()) == before
        c.add_column("seen", "bool", value=True)
        c.alter_column("year", "double")
        c.drop_column("seen")
        kept = c.info().version
        c.delete(where="kind = 'a'")
        assert len(c) < len(before) and len(c.versions()) == versions + 5
        c.rollback(kept)
        assert len(c) == len(before) and c.check() == []
        c.reembed("toy:48", progress=False)
        assert c.info().dim == 48 and c.info().shards == SHARDS and c.check() == []
        parquet = root.with_name("all.parquet")
        assert c.export(parquet) == len(before)
        vs.restore(parquet, root.with_name("again.vs"))
        with vs.open(root.with_name("again.vs")) as again:
            assert again.info().shards == SHARDS and again.check() == []
            assert by_id(again.to_arrow()) == by_id(c.to_arrow())
        with c.reduce(root.with_name("small.vs"), 8, progress=False) as small:
            assert small.info().shards == SHARDS and small.check() == []
            small.add(documents(5000, 20), progress=False)
            small.reshard(1)
            assert small.check() == [] and small.info().shards == 1


def test_resharding_changes_nothing_but_the_shards(
    pair: tuple[vs.Collection, vs.Collection], root: Path
) -> None:
    pair[0].backup(root)
    with vs.open(root, limits=LIMITS) as c, vs.open(root) as reader:
        c.build_index("HNSW8,Flat", progress=False)
        reader.refresh()
        expected, rows = ranked(c.search(QUERIES[0], 1000, exact=True)), by_id(c.to_arrow())
        for shards in (3, 2):
            c.reshard(shards)
            assert c.info().shards == shards and c.check() == []
            assert by_id(c.to_arrow()) == rows
            assert ranked(c.search(QUERIES[0], 1000, exact=True)) == expected
            assert sum(index.rows for index in c.info().indexes) == len(rows)
            assert len(c.info().indexes) == shards
            assert ranked(reader.search(QUERIES[0], 1000, exact=True)) == expected
        latest = c.info().version
        assert c.reshard(2) == latest
        c.rollback(latest - 2)
        assert c.info().shards == 3 and c.check() == []


def test_old_indexes_serve_until_new_ones_are_built(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = np.random.default_rng(3).standard_normal((360, 12)).astype(np.float32)
    with vs.create(root, dim=12, shards=3, limits=LIMITS) as c:
        c.add(vectors, progress=False)
        c.build_index("HNSW8,Flat", progress=False)
        c.delete(range(0, 60))
        monkeypatch.setattr("vecsearch.maintenance.reshard.build_index", _fails)
        with pytest.raises(vs.StorageError):
            c.reshard(4)
        c.refresh()
        assert c.info().shards == 4 and len(c.info().indexes) == 3 and c.check() == []
        assert c.measure_recall(n_queries=100).recall > 0.9
        monkeypatch.undo()
        assert c.build_index("HNSW8,Flat", progress=False).rows == 300
        assert len(c.info().indexes) == 4


def _fails(*_: object, **__: object) -> None:
    raise vs.StorageError(None, "no")


def test_the_hash_is_the_documented_one() -> None:
    """SplitMix64 of the id's 64-bit key, here in Python's own numbers."""
    from hashlib import blake2b

    def expected(key: int, shards: int) -> int:
        mask = 2**64 - 1
        z = (key + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return (z ^ (z >> 31)) % shards

    numbers = [0, 1, -1, 2**62, -(2**63), 2**63 - 1]
    names = ["", "a", "文-1", "doc-7"]
    for shards in (1, 2, 16, 1000):
        found = shard_of_ids(pa.array(numbers, pa.int64()), shards)
        assert found.tolist() == [expected(n % 2**64, shards) for n in numbers]
        digests = [blake2b(name.encode(), digest_size=8).digest() for name in names]
        keys = [int.from_bytes(digest, "little") for digest in digests]
        found = shard_of_ids(pa.array(names, pa.large_string()), shards)
        assert found.tolist() == [expected(key, shards) for key in keys]
    sizes = [len(rows) for _, rows in by_shard(pa.array(range(16_000)), 16)]
    assert min(sizes) > 900 and max(sizes) < 1100
    assert [*runs_of_shards([0, 0, 2, 3, 3])] == [range(2), range(2, 3), range(3, 5)]
    assert [*runs_of_shards([])] == []


def test_generated_ids_move_to_their_shards(root: Path) -> None:
    """Two adds at once: the later one's ids are shifted, and so are in other shards."""
    vectors = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    with vs.create(root, dim=4, shards=4) as c, vs.open(root) as rival:
        commit = AddTransaction.commit

        def later(self: AddTransaction, *args: Any) -> Any:
            AddTransaction.commit = commit  # type: ignore[method-assign]
            rival.add(vectors[:7], progress=False)
            return commit(self, *args)

        AddTransaction.commit = later  # type: ignore[method-assign]
        try:
            c.add(vectors, progress=False)
        finally:
            AddTransaction.commit = commit  # type: ignore[method-assign]
        assert sorted(c.to_arrow(["id"]).column(0).to_pylist()) == list(range(57))
        assert c.check() == []
        assert np.allclose(c.features(range(7, 57)), vectors)


def test_an_add_while_the_shards_change_is_refused(root: Path) -> None:
    vectors = np.eye(4, dtype=np.float32)
    with vs.create(root, dim=4, shards=4) as c, vs.open(root) as rival:
        commit = AddTransaction.commit

        def later(self: AddTransaction, *args: Any) -> Any:
            AddTransaction.commit = commit  # type: ignore[method-assign]
            rival.reshard(2)
            return commit(self, *args)

        AddTransaction.commit = later  # type: ignore[method-assign]
        try:
            with pytest.raises(vs.ConflictError, match="other shards"):
                c.add(vectors, progress=False)
        finally:
            AddTransaction.commit = commit  # type: ignore[method-assign]
        assert len(c.refresh()) == 0
        c.add(vectors, progress=False)
        assert c.check() == []


def test_a_repeated_id_is_named_by_its_rows(root: Path) -> None:
    rows = [{"id": n % 150, "vector": [1.0, n]} for n in range(160)]
    with vs.create(root, dim=2, shards=4, limits=LIMITS) as c:
        with pytest.raises(vs.DuplicateIdError, match="rows 0 and 150"):
            c.add(rows, progress=False)
        assert len(c) == 0


def test_a_row_in_the_wrong_shard_is_damage(root: Path) -> None:
    with vs.create(root, dim=2, shards=2) as c:
        c.add(np.ones((20, 2), np.float32), progress=False)
    store = Store(root, 10)
    with store.locked() as latest:
        segments = latest.manifest.segments
        swapped = [vs_replace(entry, shard=1 - entry.shard) for entry in segments]
        store.commit(None, latest.manifest.next("swap", segments=tuple(swapped)))
    with vs.open(root) as c:
        assert "not of shard" in c.check()[0].what


def vs_replace(entry: Any, **changes: Any) -> Any:
    from vecsearch.storage.manifest import replace

    return replace(entry, **changes)


@pytest.mark.parametrize("shards", [0, 1025, 1.5, "4", True, None])
def test_a_wrong_number_of_shards_is_refused(root: Path, shards: Any) -> None:
    with pytest.raises(vs.InvalidInputError, match="shards is"):
        vs.create(root, dim=2, shards=shards)
    assert not root.exists()


def test_what_is_there_already_has_its_shards(root: Path) -> None:
    vs.create(root, dim=2, shards=3).close()
    assert vs.open_or_create(root, dim=2, shards=3).info().shards == 3
    assert vs.open_or_create(root, dim=2).info().shards == 3
    with pytest.raises(vs.InvalidInputError, match="with shards 3, not 4"):
        vs.open_or_create(root, dim=2, shards=4)


def test_changes_are_indexed_in_all_shards_by_one_commit(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updating, "RULES", Rules(first=600, least=100, most=200))
    monkeypatch.setattr(updating, "EXACT_BELOW", 100)
    monkeypatch.setattr("vecsearch.index.auto.EXACT_BELOW", 100)
    vectors = np.random.default_rng(4).standard_normal((1500, 16)).astype(np.float32)
    with vs.create(root, dim=16, shards=3, limits=LIMITS) as c:
        c.add(vectors[:500], progress=False)
        assert c.info().indexes == ()
        result = c.add(vectors[500:1000], progress=False)
        assert [index.rows for index in c.info().indexes] != [] and len(c.info().indexes) == 3
        assert sum(index.rows for index in c.info().indexes) == 1000
        assert result.version == c.info().version == 4  # created, two adds, one index
        c.add(vectors[1000:1050], progress=False)
        assert sum(index.rows for index in c.info().indexes) == 1000
        c.add(vectors[1050:], progress=False)
        assert sum(index.rows for index in c.info().indexes) == 1500
        assert c.check() == [] and c.info().version == 7
        again = c.build_index(c.info().indexes[0].recipe["name"], progress=False)
        assert again.rows == 1500


def test_a_task_that_runs_again_finds_what_it_made(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = np.random.default_rng(5).standard_normal((400, 8)).astype(np.float32)
    with vs.create(root, dim=8, shards=2, limits=LIMITS) as c:
        c.add(vectors, progress=False)
        folder = root.with_name("work")
        task = index_shards.ShardTask(
            *(str(root), 2, 1, str(folder), "HNSW8,Flat", 0.95, None, None, "", 0, 1, True, LIMITS)
        )
        first = index_shards.index_shard(task)
        made = {path.name: path.stat().st_mtime_ns for path in Path(first.folder).iterdir()}
        monkeypatch.setattr(index_shards, "Builder", _fails)
        assert index_shards.index_shard(task) == first
        assert made == {path.name: path.stat().st_mtime_ns for path in Path(first.folder).iterdir()}


def test_a_process_finds_the_same_shards(root: Path) -> None:
    with vs.create(root, embedder="toy:8", shards=7) as c:
        c.add(documents(0, 50), progress=False)
        expected = c.get(["doc-1", "doc-49"])
    script = (
        f"import vecsearch as vs; c = vs.open({str(root)!r}); "
        "assert c.check() == []; print(c.get(['doc-1', 'doc-49']))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert found.stdout.strip() == str(expected)
