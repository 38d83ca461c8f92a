"""Interrupted builds: a process is killed, and the next build resumes to the very same index."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.data import clustered
from test_crash import Scenario, make_indexed, place, record, try_crash

import vecsearch as vs
from vecsearch.index import checkpoint as checkpoints
from vecsearch.index.calibration import OperatingPoint
from vecsearch.index.faiss import DiskIndex, FaissIndex, graph
from vecsearch.index.faiss import train as faiss_build
from vecsearch.storage.garbage import collect, remove_build_checkpoints
from vecsearch.storage.layout import BUILD_INFO
from vecsearch.storage.own_files import Removal

ROWS, DIM = 33_000, 8  # some blocks of 10,000 rows
RECIPES = {
    "bytes in a graph": vs.IndexRecipe("graph", "hnsw", code="sq8", M=8, ef_construction=24),
    "floats in a graph": vs.IndexRecipe("graph", "hnsw", code="float32", M=8, ef_construction=24),
    "inverted file": vs.IndexRecipe("lists", "ivf", code="sq8", nlist=64),
    "factory": vs.IndexRecipe("factory", "factory", factory="PCA6,HNSW8_SQ8"),
    "lists on disk": vs.IndexRecipe("disk", "disk", code="sq8", nlist=64),
}

KILLED = """
import os, signal, sys
import vecsearch as vs
from vecsearch.index import checkpoint
from vecsearch.index.build import build_index
checkpoint.EVERY_SECONDS, checkpoint.SHORT_SECONDS, checkpoint.WRITING_SHARE = 0, {short}, 1e9
left = {calls}
def progress(rows):
    global left
    left -= rows > 0
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
c = vs.open({root!r})
recipe = vs.IndexRecipe(**{recipe!r})
build_index(
    c._store, recipe, recall=None, memory=None, queries=None, seed=3, threads=1, progress=progress
)
"""


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints after every block."""
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHORT_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "WRITING_SHARE", 1e9)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows that go into FAISS while an index is filled, by call."""
    counts: list[int] = []

    class Counting:
        def __init__(self, index: Any) -> None:
            self.index, self.ntotal = index, index.ntotal

        def add(self, rows: npt.NDArray[np.float32]) -> None:
            counts.append(len(rows))
            self.index.add(rows)

    original = faiss_build._Filling.__init__
    monkeypatch.setattr(
        faiss_build._Filling, "__init__", lambda self, index: original(self, Counting(index))
    )
    add = DiskIndex.add

    def counted(self: DiskIndex, rows: npt.NDArray[np.float32], *, threads: int = 1) -> None:
        counts.append(len(rows))
        add(self, rows, threads=threads)

    monkeypatch.setattr(DiskIndex, "add", counted)
    return counts


@pytest.fixture
def same_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """One operating point for every index, so that all are searched by the same plan."""
    monkeypatch.setattr(
        "vecsearch.index.measurer.calibrate_index",
        lambda *arguments, **named: [OperatingPoint(16, 40, 30, 0.99, 0.99, 1.0)],
    )


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("resume") / "c.vs"
    with vs.create(root, dim=DIM, auto_index=False) as c:
        c.add(clustered(ROWS, DIM, seed=5))
    return root


@pytest.fixture
def copy(collection: Path, root: Path) -> Path:
    shutil.copytree(collection, root)
    return root


def kill_while_building(root: Path, recipe: vs.IndexRecipe, calls: int) -> None:
    given = {
        name: getattr(recipe, name)
        for name in recipe.__slots__
        if getattr(recipe, name) is not None
    }
    code = KILLED.format(root=str(root), recipe=given, calls=calls, short=0)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def answers(root: Path) -> tuple[npt.NDArray[np.int64], list[list[int | str]]]:
    """What the index proposes, and what searches find."""
    queries = clustered(40, DIM, seed=9)
    with vs.open(root) as c:
        index = c._searching().attached.index
        assert index is not None
        hits = [c.search(query, k=10) for query in queries]
        assert all(item.plan.method == "index" for item in hits)
        return index.candidates(queries, 30, 16)[0], [item.ids for item in hits]


def left_over(root: Path) -> list[Path]:
    return sorted((root / "staging").glob("build-*"))


@pytest.mark.parametrize("name", RECIPES)
def test_a_killed_build_resumes_to_the_same_index(
    name: str,
    collection: Path,
    tmp_path: Path,
    eager: None,
    same_calibration: None,
    added: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = RECIPES[name]
    killed, whole = tmp_path / "killed.vs", tmp_path / "whole.vs"
    shutil.copytree(collection, killed)
    shutil.copytree(collection, whole)
    kill_while_building(killed, recipe, 3)
    (folder,) = [path for path in left_over(killed) if (path / BUILD_INFO).exists()]
    manifest = json.loads((folder / BUILD_INFO).read_text())
    assert (
        manifest["rows_added"] == 20_000
        and manifest["seed"] == 3
        and manifest["recipe"]["kind"] == recipe.kind
    )
    with vs.open(killed) as c:
        assert c.info().version == 2 and not c.info().indexes  # as it was
        done = c.build_index(recipe, seed=3, threads=1)
        assert (
            "an interrupted build at row 20,000" in done.why
            and done.how == "built"
            and done.rows == ROWS
        )
    assert sum(added) == ROWS - 2000 - 20_000 and not left_over(killed)
    monkeypatch.setattr(checkpoints.Checkpoint, "offer", lambda self, index, rows: None)
    with vs.open(whole) as c:
        assert "interrupted" not in c.build_index(recipe, seed=3, threads=1).why
    proposed, found = answers(killed)
    proposed_whole, found_whole = answers(whole)
    assert np.array_equal(proposed, proposed_whole) and found == found_whole
    written = [next((root / "indexes").glob("*.faiss")).read_bytes() for root in (killed, whole)]
    assert written[0] == written[1]


def test_a_filled_index_that_was_not_calibrated_is_reused(
    copy: Path,
    eager: None,
    same_calibration: None,
    added: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = RECIPES["bytes in a graph"]

    def interrupted(*args: object, **named: object) -> None:
        raise KeyboardInterrupt

    with vs.open(copy) as c:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("vecsearch.index.measurer.calibrate_index", interrupted)
            patch.setattr(checkpoints, "EVERY_SECONDS", 1e9)  # a fill that takes little time
            c.build_index(recipe, threads=1)
        assert sum(added) == ROWS - 2000 and not c.refresh().info().indexes
        added.clear()
        assert "an interrupted build at row 31,000" in c.build_index(recipe, threads=1).why
        assert added == [] and not left_over(copy)


@pytest.mark.parametrize("name", ["bytes in a graph", "lists on disk"])
def test_an_interrupted_extension_resumes(
    name: str,
    collection: Path,
    tmp_path: Path,
    eager: None,
    same_calibration: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = vs.Limits(index_batch_rows=700)
    recipe = RECIPES[name]
    base, more = tmp_path / "base.vs", clustered(3000, DIM, seed=5)
    shutil.copytree(collection, base)
    with vs.open(base, limits=limits) as c:
        c.delete(where="id >= 8000")
        c.build_index(recipe, threads=1)
        c.add(more)
    found = []
    for interrupted in (False, True):
        root = tmp_path / f"{interrupted}.vs"
        shutil.copytree(base, root)
        with vs.open(root, limits=limits) as c:
            if interrupted:
                with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                    patch.setattr(checkpoints.Checkpoint, "offer", interrupted_after(2))
                    c.build_index(recipe, threads=1)
                (folder,) = left_over(root)
                manifest = json.loads((folder / BUILD_INFO).read_text())
                assert (
                    manifest["extends"] == c.info().indexes[0].name
                    and manifest["rows_added"] == 8000 + 700  # two would be more than the index
                )
            done = c.build_index(recipe, threads=1)
            assert (
                done.how == "extended"
                and ("interrupted build at row 700" in done.why) == interrupted
                and not left_over(root)
            )
        found.append(answers(root))
    assert np.array_equal(found[0][0], found[1][0]) and found[0][1] == found[1][1]


def interrupted_after(calls: int) -> Callable[[checkpoints.Checkpoint, FaissIndex, int], None]:
    """A `Checkpoint.offer` that Ctrl-C follows."""
    original, left = checkpoints.Checkpoint.offer, calls

    def offer(self: checkpoints.Checkpoint, index: FaissIndex, rows: int) -> None:
        nonlocal left
        original(self, index, rows)
        left -= 1
        if not left:
            raise KeyboardInterrupt

    return offer


def test_only_the_same_build_resumes(
    copy: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another seed, other rows, another recipe, or a damaged checkpoint: built from the start."""
    recipe = RECIPES["inverted file"]

    def cut(calls: int, **options: Any) -> None:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(checkpoints.Checkpoint, "offer", interrupted_after(calls))
            c.build_index(recipe, threads=1, **options)

    with vs.open(copy) as c:
        cut(2)
        (folder,) = left_over(copy)
        (file,) = folder.glob("*.faiss")
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))
        cut(1)  # damaged: from the start again
        assert json.loads((folder / BUILD_INFO).read_text())["rows_added"] == 10_000
        cut(1, seed=1)
        assert len(left_over(copy)) == 2
        c.delete([0])
        cut(1)
        assert len(left_over(copy)) == 3
        with c._store.locked():
            collect(c.path, c._store.files, 16)
        (still,) = left_over(copy)  # that of the rows there are now
        assert json.loads((still / BUILD_INFO).read_text())["rows"] == ROWS - 1 - 2000
        c.compact(purge=True)
        assert not left_over(copy)


def test_a_full_disk_costs_the_checkpoint_not_the_build(
    copy: Path, eager: None, same_calibration: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = FaissIndex.write

    def full(self: FaissIndex, path: Path) -> None:
        if path.suffix == ".part":
            path.write_bytes(b"half of")
            raise OSError(28, "no space left on device")
        original(self, path)

    monkeypatch.setattr(FaissIndex, "write", full)
    with vs.open(copy) as c:
        assert c.build_index(RECIPES["inverted file"], threads=1).rows == ROWS
    assert not left_over(copy)


def test_two_builds_at_once_do_not_share_a_checkpoint(
    copy: Path, eager: None, same_calibration: None
) -> None:
    identity = {"seed": 1, "segments": []}
    with vs.open(copy) as c:
        c.build_index(RECIPES["inverted file"], threads=1)
        index = c._searching().attached.index
        assert index is not None
        with (
            checkpoints.Checkpoint(copy, identity) as mine,
            checkpoints.Checkpoint(copy, identity) as rival,
        ):
            mine.offer(index, index.n)
            rival.offer(index, index.n)
            assert (mine.saved_rows, rival.saved_rows) == (index.n, 0) and rival.load() is None
            remove_build_checkpoints(copy, Removal())
            assert left_over(copy)  # its owner is alive
        with checkpoints.Checkpoint(copy, identity) as later:
            again = later.load()
        assert again is not None and again.n == index.n
        remove_build_checkpoints(copy, Removal())
        assert not left_over(copy)


def test_a_crash_while_a_checkpoint_is_written_costs_nothing_but_time(
    tmp_path: Path, eager: None, same_calibration: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, or without power, while it writes: the same index is built afterwards."""
    limits = vs.Limits(smallest_index_rows=20)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # the model stands in for it
    for module in (faiss_build, graph):
        monkeypatch.setattr(module, "BLOCK", 10)
    recipe = vs.IndexRecipe("graph", "hnsw", code="sq8", M=4, ef_construction=20)

    def build(root: Path) -> vs.BuildResult:
        with vs.open(root, limits=limits) as c:
            return c.build_index(recipe, threads=1)

    def proposed(root: Path) -> npt.NDArray[np.int64]:
        with vs.open(root) as c:
            index = c._searching().attached.index
            assert index is not None
            return index.candidates(clustered(10, 4, seed=8), 20, 16)[0]

    recording = record(Scenario(make_indexed, build), tmp_path)
    whole = proposed(place(tmp_path / "world"))
    checkpointed = [
        n for n, op in enumerate(recording.journal) if "build-" in f"{op.path} {op.target}"
    ]
    assert (
        sum("rows-" in op.target for op in recording.journal if op.kind == "rename") == 2
    )  # 10 and 20 of 54 rows; with a third of 40 they would be more than the index
    resumed = set()
    rng = random.Random(4)
    for at in sorted(
        {
            *rng.sample(checkpointed, 12),
            checkpointed[0],
            checkpointed[-1],
            len(recording.journal) - 1,
        }
    ):
        for how in ("kill", "power"):
            target = tmp_path / "crashed"
            try_crash(recording, at, how, f"{at}", target, build, False)
            with vs.open(place(target)) as c:
                built = bool(c.info().indexes)
            if not built:
                resumed.add(build(place(target)).why.rpartition("; ")[2])
            assert np.array_equal(proposed(place(target)), whole), (at, how)
            shutil.rmtree(target)
    assert resumed >= {
        "resumed an interrupted build at row 10",
        "resumed an interrupted build at row 20",
        "there was no index",
    }
