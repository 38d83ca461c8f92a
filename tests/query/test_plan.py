"""The planner: a pure function, checked on thousands of generated situations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecsearch.index.calibrate import KS
from vecsearch.index.calibration import OperatingPoint
from vecsearch.index.costs import exact_micros, window_for
from vecsearch.query.plan import Stats, plan

POINTS = tuple(
    OperatingPoint(effort, depth, k, low + 0.002, low, effort * 2.0 + depth)
    for k in (1, 10, 100, 1000)
    for effort, low in ((32, 0.90), (128, 0.96), (1024, 0.995))
    for depth in (max(k, 10), 4 * k)
    if depth <= effort * 4
)

CODES = tuple(
    OperatingPoint(0, width, k, low, low, float(width))
    for k in (1, 10, 100)
    for width, low in ((k, 0.9), (2 * k, 0.99))
)


def test_few_rows_are_searched_by_their_codes() -> None:
    stats = Stats(5000, 50_000, 5000, POINTS, codes=CODES)
    chosen = plan(10, 0.95, False, stats)
    assert (chosen.method, chosen.depth, chosen.rows) == ("scan", 58, 5000)
    assert "codes of 5,000 rows (58 candidates)" in str(
        chosen
    ) and "10.00% of the indexed rows match" in str(chosen)
    assert plan(10, 0.999, False, stats).method == plan(200, 0.95, False, stats).method == "exact"
    assert plan(10, 0.95, False, Stats(20, 50_000, 20, POINTS, codes=CODES)).method == "exact"
    assert (
        plan(10, 0.95, False, Stats(50_000, 50_000, 50_000, POINTS, codes=CODES)).method == "index"
    )


def test_plans_give_their_reasons() -> None:
    stats = Stats(kept=50_000, indexed_rows=50_000, indexed_kept=50_000, points=POINTS)
    assert plan(10, 0.95, False, Stats(0)).method == "empty"
    assert "asked for" in str(plan(10, 0.95, True, stats)) and "asked for" in str(
        plan(10, 1.0, False, stats)
    )
    assert "there is no index" in str(plan(10, 0.95, False, Stats(kept=50_000)))
    assert "not measured to reach recall 0.999" in str(plan(10, 0.999, False, stats))
    assert "cheaper here" in str(plan(10, 0.95, False, Stats(100, 100, 100, POINTS)))
    chosen = plan(10, 0.95, False, stats)
    assert (chosen.method, chosen.effort, chosen.depth, chosen.candidate_window) == (
        "index",
        128,
        10,
        10,
    )
    assert "effort 128, 10 candidates, measured recall 0.960" in str(chosen)


def test_without_an_index_nothing_is_known_of_one() -> None:
    assert Stats(5) == Stats(5, 0, 0, (), 0.25, (), 0.02) and Stats(5).unindexed == 5
    assert Stats(7, 10, 4).unindexed == 3


def test_a_k_between_calibrated_ones_takes_the_next() -> None:
    stats = Stats(50_000, 50_000, 50_000, POINTS)
    assert plan(11, 0.9, False, stats).depth >= 100
    assert plan(2000, 0.9, False, stats).method == "exact"
    assert "k=2,000 is more than the 1,000 the index was measured for" in str(
        plan(2000, 0.9, False, stats)
    )
    few = Stats(500, 50_000, 500, POINTS)
    assert "50 matching rows may lie among the first" in str(plan(50, 0.9, False, few))


def test_the_candidate_window_covers_k_independent_matches() -> None:
    rng = np.random.default_rng(0)
    for k, share in ((1, 0.5), (10, 0.1), (10, 0.01), (100, 0.5)):
        candidate_window = window_for(k, int(1e6 * share), 10**6)
        enough = rng.binomial(candidate_window, share, 20_000) >= k
        assert enough.mean() > 0.97, (k, share)
        assert candidate_window < 6 * (k + 3) / share  # and not far more than that


@settings(deadline=None, max_examples=500)
@given(
    st.integers(1, 3000),
    st.floats(0.5, 1.0),
    st.booleans(),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.floats(0.0, 1.0),
    st.sampled_from([(), POINTS]),
    st.sampled_from([(), CODES]),
)
def test_every_plan_has_the_calibrated_recall(
    k: int,
    recall: float,
    exactly: bool,
    indexed: int,
    unindexed: int,
    share: float,
    points: tuple[OperatingPoint, ...],
    codes: tuple[OperatingPoint, ...],
) -> None:
    matching = int(indexed * share)
    stats = Stats(matching + unindexed, indexed, matching, points, codes=codes)
    chosen = plan(k, recall, exactly, stats)
    assert str(chosen)
    assert chosen.rows == stats.kept or chosen.method == "empty"
    if chosen.method not in ("index", "scan"):
        assert chosen.expected_recall == 1.0
        return
    assert (
        not exactly
        and recall < 1
        and chosen.expected_recall >= recall
        and chosen.unindexed_rows == unindexed
    )
    if chosen.method == "scan":
        assert any(
            point.k >= k
            and point.low >= recall
            and chosen.depth >= min(2.5 * point.depth, matching)
            for point in codes
        )
        return
    assert chosen.candidate_window >= k and chosen.depth >= chosen.candidate_window
    needed = k if k * (indexed - matching) <= 0.01 * matching else chosen.candidate_window
    used = [
        point
        for point in points
        if (point.effort, point.depth) == (chosen.effort, chosen.depth) and point.k >= needed
    ]
    assert used and min(point.micros for point in used) < exact_micros(
        matching, stats.exact_micros_per_row
    )


def test_what_was_measured_for_more_rows_does_not_serve_fewer() -> None:
    """They cost less, and say nothing of the 10 best. Between two numbers the next one serves."""
    graph = (
        OperatingPoint(64, 10, 10, 0.97, 0.96, 900.0),
        OperatingPoint(32, 20, 20, 0.99, 0.98, 300.0),
    )
    codes = (OperatingPoint(0, 60, 20, recall=0.99, low=0.98, micros=10.0),)
    whole = Stats(50_000, 50_000, 50_000, graph)
    assert [plan(k, 0.95, False, whole).effort for k in (9, 10, 11, 20)] == [64, 64, 32, 32]
    assert plan(10, 0.97, False, whole).method == "exact"
    scanned = Stats(50_000, 50_000, 50_000, codes=codes, points=graph, code_micros_per_row=1e-9)
    assert plan(11, 0.95, False, scanned).method == "scan"
    both = Stats(
        *(50_000, 50_000, 50_000, graph),
        codes=(*codes, OperatingPoint(0, 90, 10, recall=0.9, low=0.9, micros=10.0)),
        code_micros_per_row=1e-9,
    )
    assert plan(10, 0.95, False, both).method == "index"
    assert plan(10, 0.9, False, both).method == "scan"


def test_a_plan_relies_on_the_lower_bound_not_on_the_mean() -> None:
    """Mean recall .99, but at least .90 only: for the graph, and for the scan of all codes."""
    graph = (OperatingPoint(64, 10, 10, recall=0.99, low=0.90, micros=100.0),)
    codes = (OperatingPoint(0, 10, 10, recall=0.99, low=0.90, micros=10.0),)
    whole = Stats(50_000, 50_000, 50_000, graph)
    assert plan(10, 0.95, False, whole).method == "exact"
    assert plan(10, 0.90, False, whole).method == "index"
    assert plan(10, 0.90, False, whole).expected_recall == 0.90
    filtered = Stats(5000, 50_000, 5000, graph, codes=codes)
    assert plan(10, 0.95, False, filtered).method == "exact"
    assert plan(10, 0.90, False, filtered).method == "scan"
    assert plan(10, 0.90, False, filtered).expected_recall == 0.90


def test_a_filtered_search_stops_by_what_was_measured_for_the_hits_it_keeps() -> None:
    """10 of the first 21, if half of the rows match: not by the contrast that 40 rows need.

    With what was measured for 40 rows, a search of 40,000 rows found .9475 of the hits, not .95. An
    unfiltered search for 40 rows needs more than 40 candidates to be sure of the 40th. One for 10
    of them stops there.
    """
    ladders = {
        25: ((32, 3.6), (48, 4.1), (64, 4.0)),
        40: ((40, 2.7), (48, 4.0), (64, 3.9)),
    }
    points = [
        OperatingPoint(steps[0][0], k, k, 0.97, 0.96, 90.0 + k, aim=0.95, steps=steps)
        for k, steps in ladders.items()
    ]
    chosen = plan(10, 0.95, False, Stats(25_000, 50_000, 25_000, points))
    assert chosen.method == "index" and chosen.candidate_window == 34
    assert chosen.ladder is not None and chosen.ladder.rank == 25
    assert (chosen.ladder.efforts, chosen.ladder.contrasts) == ((48, 64), (4.1, 4.0))


def test_few_rows_are_missing_only_if_k_queries_rarely_meet_one() -> None:
    """With 400 of 50,000 rows filtered out, 8% of the queries have one in their top 10."""
    many = Stats(49_600, 50_000, 49_600, POINTS)
    chosen = plan(10, 0.95, False, many)
    assert chosen.candidate_window > 10 and chosen.depth >= 100  # planned as k=100
    assert plan(1, 0.95, False, many).depth == 4  # planned as k=1
    few = Stats(49_951, 50_000, 49_951, POINTS)  # 49 rows: 1% of the queries
    assert plan(10, 0.95, False, few).depth == 10


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 900), st.integers(0, 600), st.sampled_from([0.9, 0.96, 0.99]))
def test_a_filter_that_drops_few_rows_is_planned_for_the_candidate_window(
    k: int, missing: int, recall: float
) -> None:
    matching = 50_000 - missing
    chosen = plan(k, recall, False, Stats(matching, 50_000, matching, POINTS))
    if chosen.method != "index":
        return
    window = window_for(k, matching, 50_000)
    expected_missing = k * missing / matching  # among the first k rows of a query
    promised = max(
        point.k
        for point in POINTS
        if (point.effort, point.depth) == (chosen.effort, chosen.depth) and point.low >= recall
    )
    assert promised >= (k if expected_missing <= 0.01 else window)


@pytest.mark.parametrize("missing", [0, 11, 347, 10_000, 100_000])
def test_a_thousand_rows_are_found_by_index_where_some_are_missing(missing: int) -> None:
    """What is calibrated reaches beyond 1,000, for deleted rows and those outside the index."""
    rows = 1_000_000
    points = [OperatingPoint(2048, 2 * k, k, 0.97, 0.96, 900.0 + k) for k in KS]
    chosen = plan(1000, 0.95, False, Stats(rows, rows, rows - missing, points))
    window = window_for(1000, rows - missing, rows)
    assert chosen.method == "index"
    assert chosen.depth >= window and chosen.depth in (2000, 2500)
    assert (chosen.depth == 2500) == (1000 * missing > 0.01 * (rows - missing))
