"""Recall, intervals, nDCG, MRR and latencies against hand-computed cases and plain oracles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecsearch.errors import InvalidInputError
from vecsearch.evaluation.metrics import (
    bootstrap_interval,
    mrr_at_k,
    ndcg_at_k,
    recall_at_k,
    summarize_latency,
)


def recall_oracle(found: list[int], scores: list[float], matching: list[int], k: int) -> float:
    """The best overlap with any set of min(k, matching) rows that have the highest scores."""
    size = min(k, len(matching))
    if size == 0:
        return 1.0
    best = max(sum(scores[row] for row in rows) for rows in itertools.combinations(matching, size))
    answers = [
        set(rows)
        for rows in itertools.combinations(matching, size)
        if sum(scores[row] for row in rows) == best
    ]
    return max(len(answer & set(found[:k])) for answer in answers) / size


@st.composite
def searches(draw: st.DrawFn) -> tuple[list[int], list[float], list[int], int]:
    n = draw(st.integers(1, 8))
    scores = [float(value) for value in draw(st.lists(st.integers(-2, 3), min_size=n, max_size=n))]
    matching = draw(st.lists(st.integers(0, n - 1), unique=True).map(sorted))
    found = draw(st.lists(st.sampled_from([*matching, -1]), max_size=9))
    return found, scores, matching, draw(st.integers(1, 9))


@settings(deadline=None, max_examples=300)
@given(searches(), st.booleans())
def test_recall_is_the_best_overlap_with_any_right_answer(
    search: tuple[list[int], list[float], list[int], int], say_matching: bool
) -> None:
    found, scores, matching, k = search
    exact = sorted(matching, key=lambda row: -scores[row])[:k]
    exact_rows = np.full((1, k), -1)
    exact_scores = np.full((1, k), -np.inf)
    exact_rows[0, : len(exact)] = exact
    exact_scores[0, : len(exact)] = [scores[row] for row in exact]
    found_rows = np.array([found], dtype=np.int64).reshape(1, len(found))
    found_scores = np.array([[scores[row] if row >= 0 else np.nan for row in found]]).reshape(
        1, len(found)
    )
    recall = recall_at_k(
        found_rows,
        found_scores,
        exact_rows,
        exact_scores,
        k,
        len(matching) if say_matching else None,
    )
    assert recall.shape == (1,)
    assert recall[0] == pytest.approx(recall_oracle(found, scores, matching, k))


def test_recall_by_hand() -> None:
    exact_rows = np.array([[4, 7, 9], [1, 2, 3], [5, 6, -1]])
    exact_scores = np.array([[0.9, 0.8, 0.7], [0.9, 0.5, 0.5], [0.4, 0.3, -np.inf]])
    found_rows = np.array([[9, 4, 0], [8, 1, 2], [6, -1, -1]])
    found_scores = np.array([[0.7, 0.9, 0.1], [0.5, 0.9, 0.5], [0.3, -np.inf, -np.inf]])
    recall = recall_at_k(
        found_rows, found_scores, exact_rows, exact_scores, 3, np.array([100, 100, 2])
    )
    assert recall.tolist() == pytest.approx(
        [2 / 3, 1.0, 1 / 2]
    )  # row 8 ties with 3; two rows match the third query's filter


def test_ties_do_not_make_up_for_a_missed_better_row() -> None:
    exact_rows, exact_scores = [[0, 1]], [[1.0, 0.5]]
    assert recall_at_k([[2, 3]], [[0.5, 0.5]], exact_rows, exact_scores, 2).tolist() == [0.5]
    assert recall_at_k([[0, 3]], [[1.0, 0.5]], exact_rows, exact_scores, 2).tolist() == [1.0]


def test_without_found_scores_only_the_exact_rows_count() -> None:
    assert recall_at_k([[2, 3]], None, [[2, 1]], [[0.5, 0.5]], 2).tolist() == [0.5]


def test_a_row_found_twice_counts_once_and_padding_never() -> None:
    assert recall_at_k(
        [[0, 0, -1]], [[1.0, 1.0, 9.0]], [[0, 1, 2]], [[1.0, 1.0, 1.0]], 3
    ).tolist() == pytest.approx([1 / 3])


def test_scores_within_float_error_tie() -> None:
    scores = np.array([[0.7, 0.7]], dtype=np.float32)
    nearly = np.nextafter(scores[:, :1], np.float32(0))
    assert recall_at_k([[9]], nearly, [[0, 1]], scores, 1).tolist() == [1.0]
    assert recall_at_k([[9]], scores[:, :1] - 1e-4, [[0, 1]], scores, 1).tolist() == [0.0]


def test_ties_hold_for_scores_of_any_size() -> None:
    for scale in (1e-6, 1e6):
        exact = np.array([[-1.0, -2.0]]) * scale  # squared distances, negative
        assert recall_at_k(
            [[5, 0]], np.array([[-2.0, -1.0]]) * scale, [[0, 1]], exact, 2
        ).tolist() == [1.0]
        assert recall_at_k(
            [[5, 0]], np.array([[-2.1, -1.0]]) * scale, [[0, 1]], exact, 2
        ).tolist() == [0.5]


def test_recall_is_1_where_nothing_matches() -> None:
    empty = np.zeros((2, 0))
    assert recall_at_k(empty, empty, empty, empty, 10, 0).tolist() == [1.0, 1.0]
    assert recall_at_k([[-1]], [[0.0]], [[-1]], [[np.nan]], 1, [0]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0]], [[1.0]], [[0]], [[1.0]], 0), "k must be"),
        (([[0]], [[1.0]], [[0], [1]], [[1.0], [1.0]], 1), "1 query"),
        (([[0]], [[1.0]], [[0]], [[1.0, 2.0]], 1), "exact_scores has shape"),
        (([[0]], [[1.0, 2.0]], [[0]], [[1.0]], 1), "found_scores has shape"),
        (([0], [1.0], [[0]], [[1.0]], 1), "found_rows must be"),
        (([[0.5]], None, [[0]], [[1.0]], 1), "found_rows must be"),
        (([[0]], [[1.0]], [[0, -1]], [[1.0, 0.0]], 2, 2), "query 0"),
    ],
)
def test_recall_refuses_arrays_that_do_not_fit(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        recall_at_k(*arguments)


def test_bootstrap_interval_agrees_with_drawing_values_one_by_one() -> None:
    values = np.random.default_rng(3).choice(
        [0.7, 0.8, 0.9, 1.0], size=400, p=[0.05, 0.1, 0.25, 0.6]
    )
    rng = np.random.default_rng(4)
    means = np.array([rng.choice(values, size=len(values)).mean() for _ in range(4000)])
    expected = np.quantile(means, [0.005, 0.995])
    assert bootstrap_interval(values) == pytest.approx(tuple(expected), abs=0.002)
    low, high = bootstrap_interval(values, 0.5)
    assert (
        bootstrap_interval(values)[0] < low < values.mean() < high < bootstrap_interval(values)[1]
    )


def test_bootstrap_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = [
        low <= 0.9 <= high
        for low, high in (bootstrap_interval(rng.random(300) < 0.9, 0.9) for _ in range(300))
    ]
    assert 0.84 <= np.mean(covered) <= 0.96


def test_bootstrap_interval_is_reproducible_and_chunks_do_not_show() -> None:
    many = np.random.default_rng(6).random(2500)  # all distinct: several chunks of resamples
    assert bootstrap_interval(many, seed=1, resamples=900) == bootstrap_interval(
        many, seed=1, resamples=900
    )
    assert bootstrap_interval(many, seed=1, resamples=900) != bootstrap_interval(
        many, seed=2, resamples=900
    )
    low, high = bootstrap_interval(many, 0.99, resamples=1500)
    assert (high - low) / 2 == pytest.approx(2.576 * many.std() / math.sqrt(len(many)), rel=0.1)


def test_bootstrap_interval_without_spread() -> None:
    assert bootstrap_interval(np.ones(500)) == (1.0, 1.0)


@pytest.mark.parametrize(
    "arguments",
    [([],), ([1.0, math.nan],), ([math.inf],), ([1.0], 1.0), ([1.0], 0.0)],
    ids=["none", "nan", "inf", "one", "zero"],
)
def test_bootstrap_interval_refuses_empty_or_infinite_values(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidInputError):
        bootstrap_interval(*arguments)


def test_bootstrap_interval_needs_a_resample() -> None:
    with pytest.raises(InvalidInputError, match="resamples"):
        bootstrap_interval([1.0], resamples=0)


def test_ndcg_by_hand() -> None:
    relevance = {"a": 3.0, "b": 2.0, "c": 1.0, "z": -1.0}
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    scores = ndcg_at_k(
        [["b", "x", "a"], ["a", "b", "c"], ["z", "x"], [], ["a", "a", "b"]],
        [relevance, relevance, relevance, relevance, relevance],
        3,
    )
    assert scores.tolist() == pytest.approx(
        [(2 + 3 / math.log2(4)) / ideal, 1.0, 0.0, 0.0, (3 + 2 / math.log2(4)) / ideal],
    )


def test_ndcg_cuts_the_ideal_at_k_and_scores_a_query_without_answers_zero() -> None:
    assert ndcg_at_k([["b"], ["a"], ["a"]], [{"a": 1, "b": 1}, {}, {"a": 0}], 1).tolist() == [
        1.0,
        0.0,
        0.0,
    ]


def test_ndcg_does_not_look_below_rank_k() -> None:
    assert ndcg_at_k([["x", "y", "a"]], [{"a": 1}], 2).tolist() == [0.0]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 12), unique=True, max_size=10),
    st.dictionaries(st.integers(0, 12), st.integers(0, 3), max_size=10),
    st.integers(1, 12),
)
def test_ndcg_agrees_with_scikit_learn(
    ranking: list[int], relevance: dict[int, int], k: int
) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    everything = sorted({*ranking, *relevance, 13, 14})
    truth = [[relevance.get(document, 0) for document in everything]]
    # What was not found scores below everything found, and gains nothing: it is cut off by giving
    # it no relevance in the DCG.
    shown = [
        [relevance.get(document, 0) if document in ranking[:k] else 0 for document in everything]
    ]
    scores = [
        [-ranking.index(document) if document in ranking else -1000 for document in everything]
    ]
    ideal = metrics.dcg_score(truth, truth, k=k)
    expected = metrics.dcg_score(shown, scores, k=k, ignore_ties=True) / ideal if ideal else 0.0
    assert ndcg_at_k([ranking], [relevance], k)[0] == pytest.approx(expected)


def test_mrr_by_hand() -> None:
    relevance = [{"a": 1.0, "b": 2.0, "z": 0.0}] * 5
    found = [["a", "b"], ["x", "b", "a"], ["x", "y", "a"], ["z", "x"], []]
    assert mrr_at_k(found, relevance, 2).tolist() == [1.0, 0.5, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("measure", [ndcg_at_k, mrr_at_k])
def test_rankings_and_judgements_must_pair_up(measure: Callable[..., Any]) -> None:
    with pytest.raises(InvalidInputError, match="1 rankings but 2"):
        measure([["a"]], [{}, {}], 10)
    with pytest.raises(InvalidInputError, match="k must be"):
        measure([["a"]], [{}], 0)


def test_latency_summary_by_hand() -> None:
    summary = summarize_latency([0.001, 0.002, 0.003, 0.004, 0.010])
    assert summary.queries == 5
    assert (summary.mean_ms, summary.p50_ms, summary.qps) == pytest.approx((4.0, 3.0, 250.0))
    assert (summary.p95_ms, summary.p99_ms) == pytest.approx((8.8, 9.76))


@pytest.mark.parametrize("seconds", [[], [0.1, math.nan], [0.1, 0.0], [-1.0]])
def test_latency_summary_refuses_values_that_are_not_latencies(seconds: list[float]) -> None:
    with pytest.raises(InvalidInputError):
        summarize_latency(seconds)
