"""Estimated costs, and the candidate window of a filter, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vecsearch.index import costs


def test_costs_by_hand() -> None:
    """The constants were measured: a change of one is a change of every plan."""
    assert costs.row_micros(100) == pytest.approx(0.038)
    assert costs.code_micros(100) == pytest.approx(0.014)
    assert costs.graph_micros(1000, 100) == pytest.approx(37)
    assert costs.graph_micros(0, 100) == 5
    assert costs.coded_micros(100, 1000) == pytest.approx(48.4)
    assert costs.coded_micros(0, 1000) == 12
    assert costs.list_micros(1000, 100) == pytest.approx(25)
    assert costs.list_micros(0, 100) == 20
    assert costs.exact_micros(1000, 0.5) == 520
    assert costs.exact_micros(0, 0.5) == 20


def test_a_window_by_hand() -> None:
    """Of every four rows one passes: the mean of the rank is 4 k, its deviation (12 k)^½."""
    assert costs.window_for(10, 25, 100) == math.ceil(40 + 3 * math.sqrt(10 * 0.75 / 0.25**2)) == 73
    assert costs.window_for(10, 100, 100) == costs.window_for(10, 101, 100) == 10
    assert costs.window_for(10, 99, 100) == math.ceil((10 + 3 * math.sqrt(0.1)) / 0.99) == 12
    assert costs.window_for(1, 1, 100) == math.ceil((1 + 3 * math.sqrt(0.99)) * 100) == 399


def test_the_rows_that_stand_for_the_hits_of_a_filter_by_hand() -> None:
    assert costs.first_for(10, 50, 100) == 21
    assert costs.first_for(1, 1, 100) == 199
    assert costs.first_for(10, 100, 100) == costs.first_for(10, 101, 100) == 10


@pytest.mark.parametrize(("k", "share"), [(1, 0.05), (3, 0.3), (10, 0.5), (40, 0.9)])
def test_hits_of_a_filter_are_found_as_often_as_the_rows_that_stand_for_them(
    k: int, share: float
) -> None:
    """Where a row is found less often the higher its rank is, drawn and compared."""
    rng = np.random.default_rng(7)
    first = costs.first_for(k, round(share * 1000), 1000)
    miss = np.arange(20 * first) * 0.01 / first  # of each rank
    ranks = [np.flatnonzero(rng.random(len(miss)) < share)[:k] for _ in range(20_000)]
    missed = np.mean([miss[each].mean() for each in ranks])
    assert 0.98 * miss[: first - 1].mean() < missed < 1.02 * miss[:first].mean()
