"""Rows are found by the ids themselves, not by the 64-bit keys of strings, which may collide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.interrupted import Interrupted

import vecsearch as vs
from vecsearch.ingest import conflicts
from vecsearch.maintenance.check import find_damage
from vecsearch.storage import derived, ids, snapshot

NAMES = [f"name {number}" for number in range(20)]


@pytest.fixture
def colliding_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of two bits, so that five ids share one."""
    original = ids.id_keys

    def two_bits(values: pa.Array) -> ids.Keys:
        return np.asarray(original(values) & 3, np.int64)

    for module in (ids, derived, snapshot, conflicts):
        monkeypatch.setattr(module, "id_keys", two_bits)


def rows(names: list[str], word: str = "text") -> list[dict[str, Any]]:
    return [{"id": name, "text": f"{word} of {name}"} for name in names]


def content(c: vs.Collection) -> dict[str, str]:
    return {row["id"]: row["text"] for row in c.to_arrow(["id", "text"]).to_pylist()}


def test_ids_with_equal_keys_stay_apart(root: Path, colliding_keys: None) -> None:
    with vs.create(root, embedder="toy:8", limits=vs.Limits(window_rows=4)) as c:
        assert c.add(rows(NAMES)).added == 20
        assert c.get(["name 3", "unknown"], ["id"]) == [{"id": "name 3"}, None]
        assert c.delete(["name 3", "unknown"]).deleted == 1
        c.add(rows(["name 5", "name 3"], "new text"), on_conflict="replace")
        expected = {row["id"]: row["text"] for row in rows(NAMES)}
        expected |= {row["id"]: row["text"] for row in rows(["name 5", "name 3"], "new text")}
        assert content(c) == expected
        with pytest.raises(vs.DuplicateIdError, match="id 'name 7' is already"):
            c.add(rows(["name 30", "name 7"]))
        result = c.add(rows(["name 31", "name 7"]), on_conflict="skip")
        assert (result.added, result.skipped) == (1, 1)
        assert find_damage(root) == []


def test_ids_with_equal_keys_of_a_rival_are_no_conflict(root: Path, colliding_keys: None) -> None:
    with vs.create(root, embedder="toy:8", limits=vs.Limits(window_rows=4)) as rival:
        rival.add(rows(NAMES[:4]))

        def commit() -> None:
            rival.add(rows(NAMES[4:10]))
            rival.compact()

        with vs.open(root, embedder=Interrupted(8, commit)) as c:
            result = c.add(rows(NAMES[8:]), on_conflict="skip")
            assert (result.added, result.skipped) == (10, 2)
            assert content(c) == {row["id"]: row["text"] for row in rows(NAMES)}
            assert find_damage(root) == []


def test_a_long_id_is_shown_in_short(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:8")
    row = {"id": "x" * 1_000_000, "text": "a"}
    c.add([row])
    for data in ([row], [row | {"id": "y" * 1_000_000}] * 2):
        with pytest.raises(vs.DuplicateIdError) as caught:
            c.add(data)
        assert len(str(caught.value)) < 1_000
