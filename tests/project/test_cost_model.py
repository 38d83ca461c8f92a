"""The cost model: its table in the documentation, and counts that are right by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cost_model import MEASURED, SIZES, Inputs, cost, probes_of, size, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "large.md"


def test_the_page_has_the_table_that_the_program_prints() -> None:
    assert table([cost(rows) for rows in SIZES]) in PAGE.read_text(encoding="utf-8")


def test_bytes_follow_from_the_format() -> None:
    one = cost(1_000_000, Inputs(dim=64))
    assert one.shards == 1
    assert one.vector_bytes == 1_000_000 * (128 + 24)  # float16, id, key and length
    assert one.index_bytes == 1_000_000 * (32 + 8)  # half a byte a component, and the label
    rows_a_list = 1_000_000 / (4 * math.sqrt(1_000_000))
    assert one.compared == pytest.approx(one.probes * rows_a_list)
    assert one.read_bytes == pytest.approx(one.compared * 40 + 24 * 4096)
    assert one.reads == pytest.approx(one.probes + 24)


def test_money_follows_from_the_prices() -> None:
    free = cost(10**8, Inputs(gb_month=0, core_hour=0))
    assert (free.month, free.build_price) == (0, 0)
    inputs = Inputs(gb_month=1, core_hour=0)
    stored = (free.vector_bytes + free.index_bytes) / 1e9
    assert cost(10**8, inputs).month == pytest.approx(stored)
    worked = cost(10**8, replace(inputs, gb_month=0, core_hour=3600, queries_month=1))
    assert worked.month == pytest.approx(worked.warm_seconds)
    assert worked.build_price == pytest.approx(worked.build_hours * 2 * 3600)


def test_shards_hold_a_build_within_bounds() -> None:
    large = cost(10**9)
    assert large.shards == 20 and large.build_memory == cost(50_000_000).build_memory
    assert large.probes == pytest.approx(20 * cost(50_000_000).probes)


def test_probes_begin_with_what_was_measured() -> None:
    rows, lists = MEASURED
    assert [probes_of(rows), probes_of(16 * rows)] == pytest.approx([lists, 2 * lists])


def test_sizes_have_three_digits() -> None:
    assert [size(count) for count in (999, 1.5e6, 2.345e9, 7e12)] == [
        "0.999 KB",
        "1.5 MB",
        "2.35 GB",
        "7 TB",
    ]
