"""Crashes, failing disks, interrupts: at every operation a collection is exactly as before or
exactly as after.

VECSEARCH_SOAK=1 runs the long part, VECSEARCH_SEED chooses its random numbers.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from support.data import clustered
from support.faults import Disk, Op, failing, recorded

import vecsearch as vs
from vecsearch.embedders.fasttext import FastTextEmbedder
from vecsearch.index import updating
from vecsearch.index.merging import merge_newest
from vecsearch.index.policy import Rules
from vecsearch.storage import log, merge, segment_texts
from vecsearch.storage.garbage import collect
from vecsearch.storage.large_merges import merge_one
from vecsearch.storage.layout import place_of
from vecsearch.storage.manifest import Manifest
from vecsearch.storage.merge import FAN_OUT
from vecsearch.storage.open_files import OpenFiles
from vecsearch.storage.store import SLACK_VERSIONS

SOAK = bool(os.environ.get("VECSEARCH_SOAK"))
TURNS = 4 if SOAK else 2  # crashes at each operation: one kill, then power losses
SEED = int(os.environ.get("VECSEARCH_SEED", random.SystemRandom().randrange(10**6) if SOAK else 1))
KEEP = 2
MANY = KEEP + SLACK_VERSIONS + 2  # commits after which old versions were removed
SMALL = vs.Limits(window_rows=8, segment_rows=16, smallest_index_rows=20)
"""Segments of a few rows, so that a small add has several."""

Change = Callable[[Path], object]


@pytest.fixture(autouse=True)
def no_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No real syncing: the recorded journal stands for the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def rows(first: int, count: int, word: str = "document") -> list[dict[str, object]]:
    return [
        {"id": f"文-{n}", "text": f"{word} number {n}", "n": n} for n in range(first, first + count)
    ]


def trained() -> FastTextEmbedder:
    """A model that has to be kept inside the collection; it has a vector for every text."""
    vectors = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    return FastTextEmbedder(["document", "文"], vectors[:2], vectors[2:], min_n=1, max_n=2)


def make_base(root: Path) -> None:
    """Three segments with deleted rows, a few versions, and leftovers of nobody."""
    with vs.create(root, embedder="toy:8", keep_versions=KEEP, limits=SMALL) as c:
        c.add(rows(0, 20))
        c.add(rows(20, 5))
        c.delete(["文-3", "文-21"])


def make_columns(root: Path) -> None:
    """Segments with columns in files of their own, some of one value."""
    make_base(root)
    with vs.open(root, limits=SMALL) as c:
        c.add_column("tag", "string", "x")
        c.update("n > 5", {"n": -1})


def make_many_small(root: Path) -> None:
    with vs.create(root, embedder="toy:8", keep_versions=KEEP, limits=SMALL) as c:
        c.add(rows(0, 6))
        for n in range(6, 13):
            c.add(rows(n, 1))
    assert len(log.load(root).segments) >= FAN_OUT


def with_words(run: Callable[[Path], object]) -> Callable[[Path], None]:
    """The same where segments of little text have files of postings, too."""

    def patched(root: Path) -> None:
        with patch.object(segment_texts, "LITTLE_TEXT", 0):
            run(root)

    return patched


def make_words(root: Path) -> None:
    """Three segments with postings, and deleted rows."""
    with_words(make_base)(root)
    assert len([entry for entry in log.load(root).segments if entry.text]) == 3


def make_wordless(root: Path) -> None:
    """Rows that are not searched by words."""
    with vs.create(root, embedder="toy:8", keep_versions=KEEP, limits=SMALL, full_text=False) as c:
        c.add(rows(0, 20))
        c.add(rows(20, 5))
        c.delete(["文-3"])


def make_sharded(root: Path) -> None:
    """Rows in three shards, some deleted."""
    with vs.create(root, embedder="toy:8", keep_versions=KEEP, shards=3, limits=SMALL) as c:
        c.add(rows(0, 12))
        c.delete(["文-3", "文-11"])


def make_sharded_index(root: Path) -> None:
    with vs.create(root, dim=4, keep_versions=KEEP, shards=2, limits=SMALL) as c:
        c.add(clustered(60, 4, seed=3))
        c.delete([5])


def make_indexed(root: Path) -> None:
    with vs.create(root, dim=4, keep_versions=KEEP, limits=SMALL) as c:
        c.add(clustered(60, 4, seed=3))
        c.delete([5])


def make_outgrown(root: Path) -> None:
    """An index, and later rows in no index."""
    with vs.create(root, dim=4, keep_versions=KEEP, limits=SMALL, auto_index=False) as c:
        c.add(clustered(60, 4, seed=3))
        c.build_index("low-latency")
        c.add(clustered(12, 4, seed=4))


def make_named(root: Path) -> None:
    """Named vectors, one and several a row, with an index of each, and a deleted row."""
    vectors = {"other": 4, "tokens": vs.NamedVector(3, multi=True)}
    made = [
        {"id": n, "vector": one, "other": one[::-1], "tokens": [one[:3], one[1:]]}
        for n, one in enumerate(clustered(44, 4, seed=3))
    ]
    with vs.create(root, dim=4, keep_versions=KEEP, limits=SMALL, vectors=vectors) as c:
        c.add(made)
        c.build_index("HNSW8", using="other")
        c.build_index("HNSW8", using="tokens")
        c.delete([5])


def indexing(join: float) -> Change:
    """Index the later rows: they join the index if they are so large a share, or become a tail."""

    def index(c: vs.Collection) -> object:
        rules = Rules(first=10, least=10, share=0.01, most=10, join=join)
        # Merging the segments is a change of its own.
        with patch.multiple(updating, RULES=rules, merge_newest=lambda store: None):
            done = updating.index_changes(c._store, c._snapshot)
        assert done is not None and done.rows == 12
        return done

    return changing(index)


def make_due_for_collection(root: Path) -> None:
    """One commit more, and old versions are collected."""
    make_base(root)
    with vs.open(root, limits=SMALL) as c:
        while len(c.versions()) < KEEP + SLACK_VERSIONS:
            c.update("n = 1", {"n": 1})


def changing(change: Callable[[vs.Collection], object]) -> Change:
    def run(root: Path) -> object:
        with vs.open(root, limits=SMALL) as c:
            return change(c)

    return run


def beside(change: Callable[[vs.Collection], object]) -> Change:
    """What the thread for large merges does, with merges that are not large."""

    def run(root: Path) -> object:
        with patch.object(merge, "LATER_BYTES", 1):
            return changing(change)(root)

    return run


@dataclass(frozen=True)
class Scenario:
    prepare: Callable[[Path], None] | None
    change: Change


SCENARIOS = {
    "create": Scenario(
        None,
        lambda root: vs.create(root, embedder="toy:8", keep_versions=KEEP, limits=SMALL).close(),
    ),
    "create with a trained model": Scenario(
        None,
        lambda root: vs.create(root, embedder=trained(), keep_versions=KEEP, limits=SMALL).close(),
    ),
    "first add": Scenario(
        lambda root: vs.create(root, embedder="toy:8", limits=SMALL).close(),
        changing(lambda c: c.add(rows(0, 3))),
    ),
    "add one": Scenario(make_base, changing(lambda c: c.add(rows(100, 1)))),
    "add several segments": Scenario(make_base, changing(lambda c: c.add(rows(100, 44)))),
    "add vectors": Scenario(make_indexed, changing(lambda c: c.add(clustered(5, 4)))),
    "add and merge": Scenario(make_many_small, changing(lambda c: c.add(rows(100, 1)))),
    "delete": Scenario(make_base, changing(lambda c: c.delete(["文-1", "文-22"]))),
    "delete a segment": Scenario(make_base, changing(lambda c: c.delete(where="n >= 20"))),
    "replace": Scenario(
        make_base, changing(lambda c: c.add(rows(10, 30, "newer"), on_conflict="replace"))
    ),
    "update few": Scenario(make_base, changing(lambda c: c.update("n = 4", {"n": -1}))),
    "update all": Scenario(make_base, changing(lambda c: c.update(None, {"n": -1}))),
    "add a column": Scenario(make_base, changing(lambda c: c.add_column("tag", "string", "x"))),
    "update columns again": Scenario(
        make_columns, changing(lambda c: c.update(None, {"n": -2, "tag": "y"}))
    ),
    "purge columns": Scenario(make_columns, changing(lambda c: c.compact(purge=True))),
    "add to shards": Scenario(make_sharded, changing(lambda c: c.add(rows(100, 9)))),
    "replace in shards": Scenario(
        make_sharded, changing(lambda c: c.add(rows(8, 6, "newer"), on_conflict="replace"))
    ),
    "update in shards": Scenario(make_sharded, changing(lambda c: c.update(None, {"n": -1}))),
    "delete from shards": Scenario(make_sharded, changing(lambda c: c.delete(where="n < 6"))),
    "compact shards": Scenario(make_sharded, changing(lambda c: c.compact())),
    "split shards": Scenario(make_sharded, changing(lambda c: c.reshard(5))),
    "join shards": Scenario(make_sharded, changing(lambda c: c.reshard(1))),
    "build shards": Scenario(make_sharded_index, changing(lambda c: c.build_index("HNSW8"))),
    "compact": Scenario(make_base, changing(lambda c: c.compact())),
    "purge": Scenario(make_base, changing(lambda c: c.compact(purge=True))),
    "restore": Scenario(make_base, changing(lambda c: c.rollback(2))),
    "reembed": Scenario(make_base, changing(lambda c: c.reembed("toy:16"))),
    "reembed with a trained model": Scenario(make_base, changing(lambda c: c.reembed(trained()))),
    "collect": Scenario(make_due_for_collection, changing(lambda c: c.delete(["文-7"]))),
    "add words": Scenario(make_words, with_words(changing(lambda c: c.add(rows(100, 20))))),
    "replace words": Scenario(
        make_words,
        with_words(changing(lambda c: c.add(rows(10, 3, "newer"), on_conflict="replace"))),
    ),
    "build words": Scenario(
        make_wordless,
        with_words(changing(lambda c: c.build_text_index(["text"], progress=False))),
    ),
    "other words": Scenario(
        make_words,
        with_words(changing(lambda c: c.build_text_index(["text"], "german", progress=False))),
    ),
    "compact words": Scenario(make_words, with_words(changing(lambda c: c.compact()))),
    "purge words": Scenario(make_words, with_words(changing(lambda c: c.compact(purge=True)))),
    "build": Scenario(make_indexed, changing(lambda c: c.build_index("HNSW8"))),
    "build named": Scenario(make_named, changing(lambda c: c.build_index("HNSW4", using="other"))),
    "update named": Scenario(
        make_named, changing(lambda c: c.update("id >= 0", {"tokens": [[1, 0, 0]]}))
    ),
    "compact named": Scenario(make_named, changing(lambda c: c.compact())),
    "purge named": Scenario(make_named, changing(lambda c: c.compact(purge=True))),
    "join the index": Scenario(make_outgrown, indexing(0.1)),
    "make a tail": Scenario(make_outgrown, indexing(10)),
    "merge indexed segments": Scenario(make_outgrown, changing(lambda c: merge_newest(c._store))),
    "merge on a thread": Scenario(make_many_small, beside(lambda c: merge_one(c._store))),
}


@dataclass(frozen=True)
class Recording:
    """A change: the disk before it, what it did to the disk, and the state before and after."""

    world: Path
    journal: list[Op]
    before: State | None
    after: State


@dataclass(frozen=True)
class State:
    """All that a version says and holds."""

    manifest: Manifest
    table: pa.Table

    @classmethod
    def of(cls, root: Path, version: int | None = None) -> State:
        with vs.open(root, version=version, limits=SMALL) as c:
            table = c.to_arrow([*c.info().columns])
            hits = c.search(np.ones(c.info().dim), k=10**6)
            assert sorted(map(str, hits.ids)) == sorted(map(str, table["id"].to_pylist()))
            for name, query in (("other", np.ones(4)), ("tokens", np.ones((2, 3)))):
                if name in table.schema.names:
                    found = c.search(query, k=10**6, using=name).ids
                    assert sorted(found) == sorted(table["id"].to_pylist())
            if c._snapshot.manifest.full_text is not None:
                found = c.search("number", k=10**6, mode="text").ids
                texts = zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)
                assert sorted(found) == sorted(name for name, text in texts if "number" in text)
            return cls(c._snapshot.manifest, table)

    def same(self, other: State) -> bool:
        return self.manifest == other.manifest and self.table.equals(other.table)


def record(scenario: Scenario, tmp: Path) -> Recording:
    """Run a change in `tmp`/world, keeping what was there before in `tmp`/before."""
    world = tmp / "world"
    world.mkdir(parents=True)
    root = place(world)
    if scenario.prepare is not None:
        root.parent.mkdir(parents=True)
        scenario.prepare(root)
    before = State.of(root) if scenario.prepare is not None else None
    shutil.copytree(world, tmp / "before")
    with recorded(world) as journal:
        scenario.change(root)
    return Recording(tmp / "before", journal, before, State.of(root))


def place(world: Path) -> Path:
    """Where the collection lies in a world: below folders that `create` makes too."""
    return world / "data" / "papers" / "c.vs"


def judge(recording: Recording, world: Path, done: bool) -> State | None:
    """The state found after a crash; AssertionError when it is neither before nor after, or before
    although `done`.
    """
    root = place(world)
    try:
        found = State.of(root)
    except vs.CollectionNotFoundError:
        found = None
    if found is None:
        assert recording.before is None and not done, "the collection is gone"
        return None
    assert found.same(recording.after) or (
        recording.before is not None and found.same(recording.before)
    ), "a state in between"
    assert found.same(recording.after) or not done, "what was acknowledged is gone"
    for version in log.versions(root):
        assert (
            State.of(root, version).manifest.version == version
        )  # every version that is listed can be read
    return found


def use_again(world: Path, found: State | None, change: Change, commits: int = MANY) -> None:
    """A crash stops nothing: the change can be made (again), rows can be added, and leftovers
    go away, with `MANY` commits by themselves.
    """
    root = place(world)
    if found is None:
        change(root)
        found = State.of(root)
    with vs.open(root, limits=SMALL) as c:
        for n in range(commits):
            if found.manifest.embedder:
                row, name = {"id": f"after-{n}", "text": f"after the crash {n}"}, f"after-{n}"
            else:
                row, name = {"vector": [1.0, 2.0, 3.0, float(n)]}, found.manifest.next_id + n
            c.add([row])
            assert c.get([name]) != [None] and len(c) == found.manifest.documents + n + 1
        if found.manifest.keep_versions == KEEP:
            assert len(c.versions()) <= KEEP + SLACK_VERSIONS
            collect(root, OpenFiles(root), KEEP)
            assert_no_leftovers(root)


def assert_no_leftovers(root: Path) -> None:
    """Nothing is there but what the kept versions name; the vectors of an interrupted add may wait
    for its next try.
    """
    kept = [log.load(root, version) for version in log.versions(root)]
    named = {place_of(ref) for manifest in kept for ref in manifest.files()}
    assert {
        f"{at}/{path.name}"
        for at in ("segments", "indexes", "models")
        for path in (root / at).glob("*")
    } == named
    assert {path.name for path in (root / "manifests").iterdir()} == {
        f"{manifest.version:08d}.json" for manifest in kept
    }
    assert [
        path.name for path in (root / "staging").iterdir() if not path.name.startswith("vectors-")
    ] == []
    assert {path.name for path in root.iterdir()} <= {
        "LOCK",
        "manifests",
        "segments",
        "indexes",
        "models",
        "staging",
    }


def try_crash(
    recording: Recording, at: int, how: str, seed: str, target: Path, change: Change, again: bool
) -> State | None:
    """Crash after `at` operations and look at what is there; with `again`, use it."""
    rng, journal = random.Random(seed), recording.journal
    model = Disk(recording.world)
    for op in journal[:at]:
        model.apply(op)
    following = journal[at] if at < len(journal) else None
    if how == "kill":
        model.after_kill(target, following, rng)
    else:
        model.after_power_loss(target, rng)
    try:
        found = judge(recording, target, following is None)
        if again:
            use_again(target, found, change, MANY if SOAK or how == "kill" else 1)
    except (AssertionError, OSError, vs.VecsearchError) as error:
        raise AssertionError(
            f"{how} before operation {at} ({following or 'the end'}), seed {seed}: {error!r}"
        ) from error
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_leaves_the_state_before_or_after(name: str, tmp_path: Path) -> None:
    """The long part kills at every operation of every change, and cuts the power there in three
    ways.
    """
    scenario = SCENARIOS[name]
    recording = record(scenario, tmp_path)
    end = len(recording.journal)
    commits = [at for at, op in enumerate(recording.journal) if op.kind == "link"]
    points = (
        range(end + 1)
        if SOAK
        else sorted({*random.Random(f"{SEED} {name}").sample(range(end), 3), commits[0], end})
    )
    seen = set()
    for at in points:
        for turn in range(TURNS):
            how, again = "power" if turn else "kill", turn < 2 and (SOAK or at == points[1])
            found = try_crash(
                recording,
                at,
                how,
                f"{SEED}-{at}-{turn}",
                tmp_path / "crashed",
                scenario.change,
                again,
            )
            seen.add(
                "none" if found is None else "after" if found.same(recording.after) else "before"
            )
            shutil.rmtree(tmp_path / "crashed")
    assert "after" in seen and len(seen) == 2
    print(
        f"{name}: {len(points) * TURNS} crashes at {len(points)} points, seed {SEED}: no violation"
    )


def test_power_loss_after_a_removed_segment_brings_no_version_back(tmp_path: Path) -> None:
    """Removed manifests are synced before the files they name are removed."""
    recording = record(SCENARIOS["collect"], tmp_path)
    first = next(
        number
        for number, op in enumerate(recording.journal)
        if op.kind == "unlink" and "/segments/" in op.path
    )
    for turn in range(20):
        target = tmp_path / f"crashed-{turn}"
        seed = f"{SEED}-{turn}"
        try_crash(recording, first + 1, "power", seed, target, lambda root: None, False)
        shutil.rmtree(target)


CHANGES: list[Callable[[vs.Collection, random.Random], object]] = [
    lambda c, rng: c.add(
        rows(rng.randrange(40), rng.randrange(1, 20), f"v{rng.random()}"), on_conflict="replace"
    ),
    lambda c, rng: c.add(rows(rng.randrange(40), rng.randrange(1, 20)), on_conflict="skip"),
    lambda c, rng: c.delete([f"文-{rng.randrange(60)}" for _ in range(rng.randrange(1, 30))]),
    lambda c, rng: c.update(f"n % {rng.randrange(1, 9)} = 0", {"n": rng.randrange(99)}),
    lambda c, rng: c.compact(),
    lambda c, rng: c.compact(purge=True),
    lambda c, rng: c.build_index("HNSW8") if len(c) > 40 else None,
    lambda c, rng: c.reembed("toy:8" if c.info().embedder != "toy:8" else trained()),
    lambda c, rng: c.rollback(
        next(item.version for item in c.versions() if item.operation != "create")
    ),
]


def test_crash_after_crash(tmp_path: Path) -> None:
    """A long life of random changes, each cut short at a random moment; what a crash left is where
    the next change begins.
    """
    rng = random.Random(SEED)
    crashes = 1000 if SOAK else 25
    world = tmp_path / "0" / "world"
    place(world).parent.mkdir(parents=True)
    make_base(place(world))
    for number in range(crashes):
        choice, inner = rng.choice(CHANGES), rng.random()
        before = State.of(place(world))
        shutil.copytree(world, tmp_path / "before")
        with recorded(world) as journal, vs.open(place(world), limits=SMALL) as c:
            choice(c, random.Random(inner))
        recording = Recording(tmp_path / "before", journal, before, State.of(place(world)))
        at, how = rng.randrange(len(journal) + 1), rng.choice(["kill", "power"])
        following = tmp_path / str(number + 1) / "world"
        following.parent.mkdir()
        try_crash(recording, at, how, f"{SEED}-{number}", following, lambda root: None, False)
        shutil.rmtree(tmp_path / "before")
        shutil.rmtree(world)
        world = following
    use_again(world, State.of(place(world)), lambda root: None)
    print(f"{crashes} crashes in a row, seed {SEED}: no violation")


def points_to_fail(name: str, tmp_path: Path) -> list[int]:
    recording = record(SCENARIOS[name], tmp_path / "counting")
    count = len(recording.journal)
    return (
        list(range(count))
        if SOAK
        else sorted({0, *random.Random(f"{SEED} {name}").sample(range(count), 3)})
    )


def fresh_world(tmp_path: Path) -> Path:
    """What was there before the change that `points_to_fail` recorded."""
    world = tmp_path / "failing"
    shutil.rmtree(world, ignore_errors=True)
    shutil.copytree(tmp_path / "counting" / "before", world)
    return world


FAILURES = [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param(name, code, id=f"{name}-{errno.errorcode[code]}")
        for number, name in enumerate(
            name for name, scenario in SCENARIOS.items() if scenario.prepare is not None
        )
        for code in (FAILURES if SOAK else [FAILURES[number % 4]])
    ],
)
def test_a_failing_disk_loses_nothing(name: str, code: int, tmp_path: Path) -> None:
    """From some operation on, everything that writes fails: a clear error or a finished change, and
    reading goes on.
    """
    points = points_to_fail(name, tmp_path)
    for at in points:
        world = fresh_world(tmp_path)
        root = place(world)
        before = State.of(root)
        with vs.open(root, limits=SMALL) as reader:
            error: Exception | None = None
            with failing(
                world, at, lambda: OSError(code, os.strerror(code)), last=10**9, kinds=WRITING
            ) as faults:
                try:
                    SCENARIOS[name].change(root)
                except Exception as caught:
                    error = caught
                assert len(reader.search(np.ones(reader.info().dim), k=3)) == min(
                    3, len(before.table)
                )
                assert State.of(root, before.manifest.version).same(before)
            if error is not None:
                purged = name.startswith("purge") and isinstance(
                    error, vs.ConflictError
                )  # done, but for what `reader` holds
                assert isinstance(error, vs.StorageError) or purged, repr(error)
                assert str(root) in str(error) and (faults.failed or purged)
            after = State.of(root)
            if not after.same(
                before
            ):  # the failure came after the commit: at most its garbage is left
                assert error is None or after.manifest.version == before.manifest.version + 1
        many = SOAK or at == points[-1]
        use_again(world, after, lambda root: None, MANY if many else 1)


WRITING = ("create", "write", "rename", "link", "mkdir", "fsync")


@pytest.mark.parametrize("name", ["add several segments", "replace", "compact", "build"])
def test_an_interrupted_change_leaves_a_usable_process(name: str, tmp_path: Path) -> None:
    """Ctrl-C at some operation: the handlers run, and the same process goes on."""
    for at in points_to_fail(name, tmp_path):
        world = fresh_world(tmp_path)
        before = State.of(place(world))
        with failing(world, at, KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
            SCENARIOS[name].change(place(world))
        found = State.of(place(world))
        assert found.same(before) or found.manifest.version == before.manifest.version + 1
        use_again(world, found, lambda root: None)


def test_a_failed_commit_leaves_no_files_behind(tmp_path: Path) -> None:
    """When the disk is full, what cannot be used must not take room."""
    record(SCENARIOS["add several segments"], tmp_path / "counting")
    world = fresh_world(tmp_path)
    before = set(world.rglob("*"))
    for kind, at in (("write", 0), ("write", 3), ("rename", 0), ("rename", 2), ("link", 0)):
        with (
            failing(world, at, lambda: OSError(errno.ENOSPC, "full"), last=10**9, kinds=(kind,)),
            pytest.raises(vs.StorageError, match="the disk is full"),
        ):
            SCENARIOS["add several segments"].change(place(world))
        left = set(world.rglob("*")) - before
        assert all("vectors-" in str(path) for path in left), left


WORKER = """
import sys, vecsearch as vs
sys.path[:0] = {tests!r}
from test_crash import step
with vs.open({root!r}) as c:
    for number in range({first}, 10**6):
        step(c, number)
        print(number, flush=True)
"""


def step(c: vs.Collection, number: int) -> None:
    """The `number`-th change of a life that is the same each time."""
    rng = random.Random(number)
    if number % 6 == 5:
        c.delete([f"文-{rng.randrange(60)}" for _ in range(20)])
    elif number % 10 == 9:
        c.compact(purge=number % 20 == 19)
    else:
        c.add(rows(rng.randrange(60), 12, f"at {number}"), on_conflict="replace")


def model_step(content: dict[str, str], number: int) -> None:
    rng = random.Random(number)
    if number % 6 == 5:
        for _ in range(20):
            content.pop(f"文-{rng.randrange(60)}", None)
    elif number % 10 != 9:
        first = rng.randrange(60)
        content |= {f"文-{n}": f"at {number} number {n}" for n in range(first, first + 12)}


def test_kill_9(tmp_path: Path) -> None:
    """A real process, really killed at random moments."""
    root = tmp_path / "c.vs"
    vs.create(root, embedder="toy:8", keep_versions=KEEP, limits=SMALL).close()
    content: dict[str, str] = {}
    done = -1  # the last change that is in `content`
    rng = random.Random(SEED)
    for _ in range(100 if SOAK else 2):
        code = WORKER.format(
            tests=[str(Path(__file__).parent), str(Path(__file__).parents[1])],
            root=str(root),
            first=done + 1,
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
        ) as worker:
            assert worker.stdout is not None
            acknowledged = int(worker.stdout.readline())
            time.sleep(rng.uniform(0, 0.3))
            worker.send_signal(signal.SIGKILL)
            acknowledged = max([acknowledged, *map(int, worker.stdout.read().split())])
        while done < acknowledged:
            done += 1
            model_step(content, done)
        following = dict(content)
        model_step(following, done + 1)
        table = State.of(root).table
        found = dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
        assert found in (content, following), f"seed {SEED}, after change {done}"
        if found != content:
            done, content = done + 1, following
    with vs.open(root, limits=SMALL) as c:
        for number in range(KEEP + SLACK_VERSIONS + 1):
            c.add(rows(1000 + number, 1))
    collect(root, OpenFiles(root), KEEP)
    assert_no_leftovers(root)
