"""Sampled queries are a fair sample and cost no search; the watch warns of low recall."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data import clustered
from typer.testing import CliRunner

import vecsearch as vs
from vecsearch.cli.app import app
from vecsearch.evaluation import query_sample, recall_watch
from vecsearch.evaluation.query_sample import read_sample
from vecsearch.evaluation.recall_watch import RecallWatch
from vecsearch.evaluation.reservoir import Reservoir
from vecsearch.index.calibration import OperatingPoint
from vecsearch.maintenance import backup

DIM = 6


@pytest.fixture
def data() -> npt.NDArray[np.float32]:
    return clustered(1500, DIM, seed=2)


@pytest.fixture
def c(root: Path, data: npt.NDArray[np.float32]) -> vs.Collection:
    made = vs.create(root, dim=DIM, metric="l2", sample_queries=50)
    made.add(data)
    return made


def kept(root: Path, kind: str = f"{DIM} l2 ") -> tuple[int, npt.NDArray[np.float32]]:
    return read_sample(root / "queries", DIM, kind)


def numbered(first: int, count: int) -> npt.NDArray[np.float32]:
    """Queries that can be told apart."""
    return np.repeat(np.arange(first, first + count, dtype=np.float32)[:, None], DIM, axis=1)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 20), st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_merging_keeps_count_and_size(capacity: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    whole = Reservoir(capacity, rng)
    first = 0
    for size in sizes:
        part = Reservoir(capacity, rng)
        for vector in numbered(first, size):
            part.offer(vector)
        whole, first = part.merged(whole), first + size
    values = whole.matrix(DIM)[:, 0].tolist()
    assert whole.seen == sum(sizes) and len(values) == min(capacity, sum(sizes))
    assert len(set(values)) == len(values) and set(values) <= set(range(sum(sizes)))


def test_every_query_is_equally_likely_to_be_sampled() -> None:
    """300 queries by one process, 100 by another, capacity 40: each is in a tenth of all runs."""
    rng = np.random.default_rng(1)
    times = np.zeros(400)
    for _ in range(400):
        parts = []
        for first, count in ((0, 300), (300, 100)):
            part = Reservoir(40, rng)
            for vector in numbered(first, count):
                part.offer(vector)
            parts.append(part)
        times[parts[0].merged(parts[1]).matrix(DIM)[:, 0].astype(int)] += 1
    assert times.sum() == 400 * 40
    for share in (
        times[:50],
        times[250:300],
        times[300:350],
        times[350:],
    ):  # early, late, of the other process
        assert share.mean() / 400 == pytest.approx(
            0.1, abs=0.01
        )  # four standard errors of 50 × 400 draws


def test_sampling_is_off_by_default(root: Path, data: npt.NDArray[np.float32]) -> None:
    with vs.create(root, dim=DIM) as c:
        c.add(data)
        c.search(data[0])
        with pytest.raises(
            vs.InvalidInputError, match=r"no queries were sampled.*switches sampling on"
        ):
            c.measure_recall(queries="sampled")
    assert not (root / "queries").exists()
    with pytest.raises(vs.InvalidInputError, match="cannot sample -1 queries"):
        vs.create(root.with_suffix(".other"), dim=DIM, sample_queries=-1)
    assert not root.with_suffix(".other").exists()


def test_queries_are_sampled_used_to_measure_and_removed(
    c: vs.Collection, root: Path, tmp_path: Path
) -> None:
    queries = numbered(0, 30)
    for query in queries[:20]:
        c.search(query, k=3)
    c.search_batch(queries[20:], k=3)
    report = c.measure_recall(3, queries="sampled")
    assert (
        report.query_source == "queries sampled from searches"
        and report.queries == 30
        and report.recall == 1
    )
    seen, vectors = kept(root)
    assert seen == 30 and np.array_equal(np.sort(vectors[:, 0]), np.arange(30))
    with vs.open(root) as other:  # another process, as far as files go
        for query in numbered(30, 70):
            other.search(query, k=1)
    seen, vectors = kept(root)
    assert seen == 100 and len(vectors) == 50 and {*vectors[:, 0]} <= {*range(100)}
    backup.write_backup(root, tmp_path / "copy.vs")
    assert not (tmp_path / "copy.vs" / "queries").exists()
    result = c.build_index("IVF16,Flat", queries="sampled")
    assert (
        result.calibrated_on == "queries sampled from searches and held-out rows"
    )  # 50 alone show too little
    assert c.info().indexes[0].calibration["queries"] == 50 + 150
    assert c.info().indexes[0].calibration["calibrated_on"] == result.calibrated_on
    c.search(queries[0])
    c.compact(purge=True)
    assert kept(root)[0] == 0
    c.search(queries[0])
    assert c.measure_recall(queries="sampled").queries == 1  # it goes on
    c.sample_queries(0)
    c.search(queries[0])
    c.close()
    assert kept(root)[0] == 0 and not list((root / "queries").glob("*.npz"))


def test_switching_sampling_on_later_is_seen_by_others(
    root: Path, data: npt.NDArray[np.float32]
) -> None:
    with vs.create(root, dim=DIM, metric="l2") as c, vs.open(root) as other:
        c.add(data)
        version = c.info().version
        assert c.sample_queries(10) == version + 1 == c.sample_queries(10)
        other.refresh()
        other.search(data[0])
        assert other.measure_recall(queries="sampled").queries == 1
        with vs.open(root, version=version) as before:
            before.search(data[1])
        c.add(data[:5])  # a later version samples still
        c.search(data[2])
    assert kept(root)[0] == 2


def test_cosine_queries_are_stored_normalized(root: Path, data: npt.NDArray[np.float32]) -> None:
    with vs.create(root, dim=DIM, sample_queries=5) as c:
        c.add(data)
        c.search(data[0] * 7)
    (vector,) = kept(root, f"{DIM} cosine ")[1]
    np.testing.assert_allclose(vector, data[0] / np.linalg.norm(data[0]), rtol=1e-6)


def test_another_models_queries_are_not_used(c: vs.Collection, root: Path) -> None:
    c.search(numbered(1, 1)[0])
    c.close()
    assert kept(root)[0] == 1
    assert kept(root, f"{DIM} l2 another model")[0] == 0


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", None])
def test_a_damaged_sample_is_ignored(c: vs.Collection, root: Path, content: bytes | None) -> None:
    c.search(numbered(1, 1)[0])
    c.measure_recall(queries="sampled")
    path = root / "queries" / "sample.npz"
    if content is None:
        torn = bytearray(path.read_bytes())
        at = torn.index(np.float32(1).tobytes())
        torn[at] ^= 255
        content = bytes(torn)
    path.write_bytes(content)
    with pytest.raises(vs.InvalidInputError, match="no queries were sampled"):
        c.measure_recall(queries="sampled")
    c.search(numbered(2, 1)[0])
    assert c.measure_recall(queries="sampled").queries == 1


def test_a_failed_write_warns_once_and_keeps_the_queries(
    c: vs.Collection, monkeypatch: pytest.MonkeyPatch, data: npt.NDArray[np.float32]
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(30, "read-only file system")

    monkeypatch.setattr(np, "savez", full)
    assert c.search(data[3], k=1).ids == [3]
    with pytest.warns(RuntimeWarning, match="sampled queries cannot be written: .*read-only"):
        c._monitor.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        c.search(data[4])
        c._monitor.flush()
    monkeypatch.undo()
    assert c.measure_recall(queries="sampled").queries == 2  # they were kept in memory until then


def test_a_search_does_not_wait_for_the_file(
    c: vs.Collection, root: Path, data: npt.NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread writes; while a rival holds the lock, writing is put off."""
    from vecsearch.storage import locks

    monkeypatch.setattr(query_sample, "FLUSH_SECONDS", -1.0)
    (root / "queries").mkdir()
    with locks.lock_exclusive(root / "queries" / "LOCK", 1):
        c.search(data[0])
        join_writers()
        assert kept(root)[0] == 0
    c.search(data[1])
    join_writers()
    assert kept(root)[0] == 2


def join_writers() -> None:
    for thread in threading.enumerate():
        if thread.name == "vecsearch-queries":
            thread.join(10)


def test_queries_are_written_at_the_end_of_the_process(c: vs.Collection, root: Path) -> None:
    code = (
        f"import vecsearch as vs\nc = vs.open({str(root)!r})\n"
        f"for n in range(7): c.search([float(n)] * {DIM})"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=os.environ)
    assert kept(root)[0] == 7


# -- the watch -------------------------------------------------------------------------------------
# --------------------------


@pytest.fixture
def missing_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index whose calibration promises far more than it finds, as after a drift of the data."""
    monkeypatch.setattr(
        "vecsearch.index.measurer.calibrate_index",
        lambda *arguments, **named: [OperatingPoint(1, 20, 15, 0.99, 0.99, 1.0)],
    )
    monkeypatch.setattr("vecsearch.index.measurer.row_micros", lambda dim: 50.0)


def ask_all(c: vs.Collection, queries: npt.NDArray[np.float32]) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for query in queries:
            c.search(query, k=10, recall=0.95)
    return [item for item in caught if issubclass(item.category, vs.RecallWarning)]


def test_low_recall_is_warned_of_once_per_version(
    c: vs.Collection,
    missing_some: None,
    monkeypatch: pytest.MonkeyPatch,
    data: npt.NDArray[np.float32],
) -> None:
    monkeypatch.setattr(recall_watch, "CHECK_ONE_IN", 1)
    monkeypatch.setattr(recall_watch, "CHECK_SHARE", 1e9)
    queries = data[:200] + np.float32(0.1)
    c.build_index("IVF64,Flat", recall=0.95)
    assert c.search(queries[0]).plan.method == "index"
    short = ask_all(c, queries)
    assert len(short) == 1 and 'build_index(queries="sampled")' in str(short[0].message)
    assert "version 3" in str(short[0].message)
    with pytest.warns(vs.RecallWarning, match="below the target of 0.95"):
        report = c.measure_recall(10, 200, queries=queries)
    watch = c._monitor.watch
    assert np.mean(watch.margins[-200:]) == pytest.approx(report.recall - 0.95, abs=0.02)
    c.delete([0])  # a new version: said again
    assert len(ask_all(c, queries)) == 1


def test_sufficient_recall_is_not_warned_of(
    c: vs.Collection, monkeypatch: pytest.MonkeyPatch, data: npt.NDArray[np.float32]
) -> None:
    monkeypatch.setattr(recall_watch, "CHECK_ONE_IN", 1)
    monkeypatch.setattr(recall_watch, "CHECK_SHARE", 1e9)
    c.build_index("IVF16,Flat", recall=0.9)
    assert ask_all(c, data[:150] + np.float32(0.1)) == []


def test_false_alarms_are_rare() -> None:
    """A mean recall exactly at its target, tested whenever the count doubles, in 300 runs."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(300):
        watch = RecallWatch()
        for recall in rng.binomial(10, 0.95, 1000) / 10:
            watch.margins.append(recall - 0.95)
            alarms += watch._warning() is not None
    assert alarms <= 6


def test_checks_take_a_small_share_of_the_time(
    c: vs.Collection, data: npt.NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two searches per second, ten seconds per check: the next one waits 100 times as long."""
    now = 0.0

    def slow(*arguments: object) -> list[float]:
        nonlocal now
        now += 10
        return np.array([1.0])

    monkeypatch.setattr(recall_watch, "recall_of_each", slow)
    monkeypatch.setattr(recall_watch.time, "monotonic", lambda: now)
    watch, searcher = RecallWatch(), c._searching()
    for _ in range(4000):
        now += 0.5
        watch.check(searcher, data[0], 10, searcher.snapshot.live, 0.95)
    assert len(watch.margins) == 3  # at 0.5, 1,000 and 2,000 seconds


# -- the commands ----------------------------------------------------------------------------------
# --------------------------


def command(*words: object) -> tuple[int, dict[str, object]]:
    done = CliRunner().invoke(app, [str(word) for word in (*words, "--json")])
    return done.exit_code, json.loads(done.stdout) if done.stdout else {}


def test_measuring_and_sampling_on_the_command_line(
    c: vs.Collection, root: Path, tmp_path: Path, missing_some: None
) -> None:
    c.sample_queries(0)
    c.close()
    assert command("sample", root, 20)[1]["sample_queries"] == 20
    questions = tmp_path / "questions.txt"
    questions.write_text(
        "\n".join(str(query.tolist()) for query in clustered(30, DIM, seed=4)), encoding="utf-8"
    )
    code, report = command("measure", root, "--queries", questions, "-k", 5)
    assert code == 0 and report["recall"] == 1 and report["queries"] == 30 and report["k"] == 5
    with vs.open(root) as again:
        for query in clustered(30, DIM, seed=4):
            again.search(query)
    code, report = command("measure", root, "--queries", "sampled")
    assert (
        code == 0
        and report["queries"] == 20
        and report["query_source"] == "queries sampled from searches"
    )
    assert (
        command("build", root, "--recipe", "IVF64,Flat", "--queries", "sampled", "--seed", 2)[1][
            "how"
        ]
        == "built"
    )
    code, report = command("measure", root, "--recall", 0.95)
    assert code == 1 and report["high"] < 0.95  # the index promises more than it finds
    shown = CliRunner().invoke(
        app, ["measure", str(root), "--where", "id < 5", "--queries", str(questions)]
    )
    assert (
        shown.exit_code == 0
        and "recall@10 1.0000 (99% interval 1.0000 to 1.0000), target 0.95; 30 queries (the user's"
        in shown.stdout
    )
    assert command("sample", root, 0)[0] == 0
    assert command("measure", root, "--queries", "sampled")[0] == 1  # there are none
