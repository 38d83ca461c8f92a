"""Adding documents: repeated ids, generated ids, and writers that commit at the same time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.interrupted import Interrupted

import vecsearch as vs
from vecsearch.maintenance.check import find_damage


@pytest.mark.parametrize("window_rows", [4096, 1], ids=["one window", "a window for each row"])
def test_replace_keeps_the_last_row_of_a_repeated_id(root: Path, window_rows: int) -> None:
    limits = vs.Limits(window_rows=window_rows)
    with vs.create(root, embedder="toy:8", limits=limits) as c:
        rows = [{"id": 1, "text": "first"}, {"id": 2, "text": "other"}, {"id": 1, "text": "last"}]
        result = c.add(rows, on_conflict="replace")
        assert (result.added, result.skipped) == (2, 1)
        assert c.get([1, 2], ["text"]) == [{"text": "last"}, {"text": "other"}]
        assert len(c) == 2 and find_damage(root) == []


@pytest.mark.parametrize("window_rows", [4096, 1], ids=["one window", "a window for each row"])
def test_skip_keeps_the_first_row_of_a_repeated_id(root: Path, window_rows: int) -> None:
    limits = vs.Limits(window_rows=window_rows)
    with vs.create(root, embedder="toy:8", limits=limits) as c:
        result = c.add([{"id": 1, "text": "first"}, {"id": 1, "text": "last"}], on_conflict="skip")
        assert (result.added, result.skipped) == (1, 1)
        assert c.get([1], ["text"]) == [{"text": "first"}]


def test_explicit_ids_do_not_take_back_ids_generated_by_a_rival(root: Path) -> None:
    with vs.create(root, embedder="toy:8") as rival:

        def commit() -> None:
            rival.add([{"text": "first of the rival"}, {"text": "second of the rival"}])

        with vs.open(root, embedder=Interrupted(8, commit)) as c:
            c.add([{"id": -5, "text": "with an explicit id"}])
        rival.add([{"text": "third of the rival"}])
        assert sorted(rival.to_arrow(["id"])["id"].to_pylist()) == [-5, 0, 1, 2]


def test_segments_end_at_the_limits(root: Path) -> None:
    vectors = np.arange(40, dtype=np.float32).reshape(20, 2) + 1
    with vs.create(root, dim=2, limits=vs.Limits(window_rows=3, segment_rows=6)) as c:
        c.add(vectors)
        rows = [entry.rows for entry in c._snapshot.manifest.segments]
        assert rows == [6, 6, 6, 2]
    with vs.open(root, limits=vs.Limits(window_rows=5, segment_bytes=1)) as c:
        c.add(vectors)
        rows = [entry.rows for entry in c._snapshot.manifest.segments]
        assert rows == [6, 6, 6, 2, 5, 5, 5, 5]
        stored = np.stack(c.to_arrow(["vector"])["vector"].to_numpy())
        np.testing.assert_allclose(stored, np.concatenate([vectors, vectors]), rtol=1e-6)


@pytest.mark.parametrize("bad", [0, 3, 4, 9])
def test_an_empty_or_missing_id_is_named_in_any_window(tmp_path: Path, bad: int) -> None:
    c = vs.create(tmp_path / "c.vs", dim=1, metric="l2", limits=vs.Limits(window_rows=4))
    ids: list[str | None] = [f"id {n}" for n in range(10)]
    for fault, value in (("empty", ""), ("missing", None)):
        ids[bad] = value
        with pytest.raises(
            vs.InvalidInputError, match=f"row {bad}, column 'id': the id is {fault}"
        ):
            c.add([{"id": each, "vector": [1.0]} for each in ids])
        assert len(c) == 0
