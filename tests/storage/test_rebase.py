"""Rows of one version are found again in a later one, whatever became of their segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.data import clustered

import vecsearch as vs
from vecsearch.storage import rebase
from vecsearch.storage.store import Store

DIM = 8


def rebased(root: Path, before: int, rows: int) -> list[int]:
    """What became of all rows of a version, after a gap of no row."""
    store = Store(root, 10)
    old, new = store.snapshot(before), store.snapshot()
    positions = np.arange(-1, rows)
    return rebase.rebase_positions(old, new, positions).tolist()


@pytest.mark.parametrize("compared", [3, 16_384])
def test_rows_of_merged_segments_are_found_by_id_and_vector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compared: int
) -> None:
    monkeypatch.setattr(rebase, "COMPARED_ROWS", compared)
    root = tmp_path / "c.vs"
    vectors = clustered(10, DIM)
    with vs.create(root, dim=DIM) as c:
        c.add([{"id": f"n{n}", "vector": v} for n, v in enumerate(vectors[:6])])
        c.add([{"id": f"n{n}", "vector": v} for n, v in enumerate(vectors[6:], 6)])
        before = c.info().version
        c.delete(["n1", "n7"])
        c.upsert([{"id": "n3", "vector": -vectors[3]}])  # the same id, another vector
        c.compact()
        ids = c.to_arrow(["id"])["id"].to_pylist()
    gone = {"n1", "n7", "n3"}
    names = [f"n{n}" for n in range(10)]
    expected = [-1, *(-1 if name in gone else ids.index(name) for name in names)]
    assert rebased(root, before, 10) == expected


def test_passages_of_one_document_are_told_apart(tmp_path: Path) -> None:
    root = tmp_path / "c.vs"
    text = "\n\n".join(["The same words stand here again."] * 4)  # passages with equal vectors
    with vs.create(root, embedder="toy:8", chunker=vs.Chunker(max_chars=40)) as c:
        c.add([{"id": "a", "text": "short"}, {"id": "b", "text": text}])
        before = c.info().version
        c.add([{"id": "c", "text": text}])
        c.delete(["a"])
        c.compact()
    assert rebased(root, before, 5) == [-1, -1, 0, 1, 2, 3]


def test_segments_that_stay_keep_their_rows(tmp_path: Path) -> None:
    root = tmp_path / "c.vs"
    vectors = clustered(12, DIM)
    with vs.create(root, dim=DIM) as c:
        c.add([{"id": n, "vector": v} for n, v in enumerate(vectors)])
        before = c.info().version
        c.add([{"id": n, "vector": v} for n, v in enumerate(vectors, 100)])
    assert rebased(root, before, 12) == [-1, *range(12)]
