"""The rows that a filter selects, remembered over commits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import vecsearch as vs
from vecsearch.query.filter import Filter
from vecsearch.storage.segment_masks import SegmentMasks

TEXT = "title LIKE '%7%'"


@pytest.fixture
def filtered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each filter looked at, one number for each batch."""
    seen: list[int] = []
    mask = Filter.mask

    def counting(self: Filter, batch: pa.RecordBatch) -> Any:
        seen.append(batch.num_rows)
        return mask(self, batch)

    monkeypatch.setattr(Filter, "mask", counting)
    return seen


def rows(numbers: range) -> list[dict[str, Any]]:
    return [{"id": n, "title": f"title {n}", "n": n, "vector": [n, 1.0]} for n in numbers]


@pytest.mark.parametrize("where", [TEXT, pc.match_substring(pc.field("title"), "7")], ids=str)
def test_a_commit_costs_a_filter_its_new_rows(root: Path, filtered: list[int], where: Any) -> None:
    def require(c: vs.Collection, wanted: set[int]) -> None:
        assert c.count(where) == len(wanted)
        assert {*c.to_arrow(["id"], where=where)["id"].to_pylist()} == wanted

    with vs.create(root, dim=2, metric="l2") as c:
        c.add(rows(range(1000)))
        wanted = {n for n in range(1000) if "7" in str(n)}
        require(c, wanted)
        assert filtered == [1000]
        c.add(rows(range(1000, 1010)))
        require(c, wanted | {1007})
        assert filtered == [1000, 10]
        c.delete([7, 1007, 1008])
        require(c, wanted - {7})
        assert filtered == [1000, 10]
        c.update("id = 17", {"title": "none"})
        require(c, wanted - {7, 17})
        assert filtered[:2] == [1000, 10] and sum(filtered) < 2100  # and the filter of the update
        c.compact()
        require(c, wanted - {7, 17})
        c.rollback(2)
        require(c, wanted)


def test_a_filter_of_a_column_that_became_wider_is_computed_again(
    root: Path, filtered: list[int]
) -> None:
    with vs.create(root, dim=2, metric="l2") as c:
        table = pa.Table.from_pylist(rows(range(100)))
        c.add(table.set_column(2, "n", table["n"].cast(pa.int8())))
        assert c.count("n > 98") == 1
        c.alter_column("n", pa.float64())
        c.update("id = 99", {"n": 98.5})
        assert c.count("n > 98") == 1 and c.count("n > 98.6") == 0
        assert len(filtered) > 2


def test_an_error_of_a_filter_is_not_remembered(root: Path) -> None:
    with vs.create(root, dim=2, metric="l2") as c:
        c.add(rows(range(10)))
        for _ in range(2):
            with pytest.raises(vs.FilterError, match="overflow"):
                c.count("n * 9223372036854775807 > 1")
        c.delete(where="n > 1")
        c.compact()
        assert c.count("n * 9223372036854775807 > 1") == 1


def test_the_filters_used_last_are_remembered_a_bit_a_row() -> None:
    masks = SegmentMasks(most_filters=2)
    mask = np.arange(13) % 3 == 0
    masks.put("a", "one", mask)
    masks.put("b", "one", ~mask)
    found = masks.get("a", "one", 13)
    assert found is not None and found.dtype == bool and found.tolist() == mask.tolist()
    assert masks.get("a", "two", 13) is None and masks.get("z", "one", 13) is None
    masks.put("c", "one", mask)
    assert masks.get("b", "one", 13) is None and masks.get("a", "one", 13) is not None
    masks.put("a", "two", mask)
    masks.keep_only({"two"})
    assert masks.get("a", "one", 13) is None and masks.get("a", "two", 13) is not None
