"""Limits are whole numbers of 1 or more."""

from __future__ import annotations

from pathlib import Path

import pytest

import vecsearch as vs


@pytest.mark.parametrize("value", [0, -1, 1.5, "8", True, None])
def test_a_limit_that_is_no_positive_whole_number_is_refused(value: object) -> None:
    with pytest.raises(vs.InvalidInputError, match="limits: segment_rows is"):
        vs.Limits(segment_rows=value)


def test_limits_are_given_by_create_and_by_open_and_kept_by_neither(root: Path) -> None:
    with vs.create(root, dim=2, limits=vs.Limits(window_rows=3)) as c:
        assert c._store.limits.window_rows == 3
    with vs.open(root) as c:
        assert c._store.limits == vs.Limits()
    with vs.open(root, limits=vs.Limits(segment_rows=7)) as c:
        assert c._store.limits.segment_rows == 7


def test_bench_and_build_obey_the_smallest_index(root: Path) -> None:
    vectors = [{"id": number, "vector": [1.0, number]} for number in range(60)]
    with vs.create(root, dim=2) as c:
        c.add(vectors)
        assert c.build_index("Flat").rows == 0
        with pytest.raises(vs.InvalidInputError, match="below 1,000"):
            c.bench(["low-latency"])
    with vs.open(root, limits=vs.Limits(smallest_index_rows=61)) as c:
        assert c.build_index("Flat").rows == 0
    with vs.open(root, limits=vs.Limits(smallest_index_rows=60)) as c:
        assert c.build_index("Flat").rows == 60
