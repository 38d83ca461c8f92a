"""Sessions: their order, ratings, and what is held out."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from vecsearch.errors import InvalidInputError
from vecsearch.training.item2vec import sessions_of
from vecsearch.training.item_measure import Scorer, gains, histories, hits, ranks
from vecsearch.training.sessions import Cases, Sessions, read_sessions, time_order


def made(seed: int = 0, sessions: int = 12, items: int = 9) -> Sessions:
    """Sessions of 1 to 8 rows; items repeat."""
    random = np.random.default_rng(seed)
    rows = [
        (number, int(random.integers(items)), place)
        for number in range(sessions)
        for place in range(int(random.integers(1, 9)))
    ]
    names = ("user", "item", "time")
    columns = zip(*rows, strict=True)
    table = pa.table({name: list(each) for name, each in zip(names, columns, strict=True)})
    return read_sessions(table, "user", "item", "time")


def listed(sessions: Sessions) -> list[list[str]]:
    """The items of each session."""
    return [
        [sessions.keys[item] for item in sessions.items[start:end]]
        for start, end in zip(sessions.starts[:-1], sessions.starts[1:], strict=True)
    ]


@pytest.mark.parametrize(
    "times",
    [
        ["9", "10", "11", "8"],
        ["2024-01-09", "2024-01-10", "2024-01-11", "2024-01-08"],
        [
            "2024-01-09T10:00:00",
            "2024-01-09T11:00:00",
            "2024-01-10T01:00:00",
            "2023-01-01T00:00:00",
        ],
        [dt.date(2024, 1, day) for day in (9, 10, 11, 8)],
        [dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (9, 10, 11, 8)],
        [9.5, 10.0, 11.0, -8.0],
        [2**62 + 1, 2**62 + 2, 2**62 + 3, 2**62],
    ],
)
def test_sessions_are_in_the_order_of_time_and_not_of_text(times: list[Any]) -> None:
    table = pa.table({"u": ["a"] * 4, "i": ["w", "x", "y", "z"], "t": times})
    assert listed(read_sessions(table, "u", "i", "t")) == [["z", "w", "x", "y"]]
    assert sessions_of(table, "u", "i", "t", 0)[0].tolist() == ["z", "w", "x", "y"]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([1, None], "column 't', row 1: the time is missing"),
        (["monday", "tuesday"], "column 't' holds texts such as 'monday', which sort as texts"),
        ([1.0, float("nan")], "column 't', row 1: nan is no time"),
        ([1.0, float("inf")], "column 't', row 1: inf is no time"),
        ([[1], [2]], r"column 't' holds list<.*>, which does not sort by time"),
        ([True, False], "column 't' holds bool, which does not sort by time"),
    ],
)
def test_what_does_not_sort_by_time_is_refused(times: list[Any], message: str) -> None:
    table = pa.table({"u": [1, 1], "i": ["a", "b"], "t": times})
    with pytest.raises(InvalidInputError, match=message):
        read_sessions(table, "u", "i", "t")
    with pytest.raises(InvalidInputError, match=message):
        sessions_of(table, "u", "i", "t", 0)


def test_decimals_and_categories_are_times_too() -> None:
    from decimal import Decimal

    assert time_order(pa.table({"t": [Decimal("9.5"), Decimal("10")]}), "t").tolist() == [9.5, 10.0]
    texts = pa.array(["9", "10"]).dictionary_encode()
    assert time_order(pa.table({"t": texts}), "t").tolist() == [9.0, 10.0]


def test_equal_times_are_said() -> None:
    table = pa.table({"u": [1, 1, 1], "i": ["a", "b", "c"], "t": [5, 5, 5]})
    (note,) = read_sessions(table, "u", "i", "t").notes
    assert note.startswith("100% of neighbors in a session have the same 't'")
    table = pa.table({"u": [1, 1, 1], "i": ["a", "b", "c"], "t": [5, 5, 6]})
    assert read_sessions(table, "u", "i", "t").notes == ()


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ([1.0, None], "column 'r', row 1: the rating is missing"),
        ([1.0, -2.0], r"column 'r', row 1: the rating is -2.0; it must be a number, 0 or more"),
        ([0, 0], "every rating is 0"),
        (["good", "bad"], "column 'r' holds string; ratings are numbers"),
    ],
)
def test_wrong_ratings_are_refused(ratings: list[Any], message: str) -> None:
    table = pa.table({"u": [1, 1], "i": ["a", "b"], "r": ratings})
    with pytest.raises(InvalidInputError, match=message):
        read_sessions(table, "u", "i", rating="r")


def test_ratings_are_weights_and_a_repeated_item_counts_once() -> None:
    table = pa.table(
        {"u": [1, 1, 1, 2], "i": ["a", "b", "a", "b"], "r": [2, 5, 4, 1], "t": [1, 2, 3, 1]}
    )
    found = read_sessions(table, "u", "i", "t", "r")
    np.testing.assert_allclose(found.weights, [0.4, 1.0, 0.8, 0.2])
    np.testing.assert_allclose(found.incidence().toarray(), [[0.8, 1.0], [0.0, 0.2]])


def test_rare_items_are_left_out() -> None:
    table = pa.table({"u": [1, 1, 1, 2, 2], "i": ["a", "b", "c", "c", "a"], "t": range(5)})
    found = read_sessions(table, "u", "i", "t", min_count=2)
    assert (found.keys, listed(found)) == (["a", "c"], [["a", "c"], ["c", "a"]])
    with pytest.raises(InvalidInputError, match=r"no session .* has two items .* occurs 3 times"):
        read_sessions(table, "u", "i", "t", min_count=3)


@pytest.mark.parametrize("some", [False, True])
def test_the_last_items_are_held_out(some: bool) -> None:
    sessions = made()
    left, cases = sessions.hold_out_some(1) if some else sessions.hold_out()
    whole, kept = listed(sessions), listed(left)
    expected, short = [], 0
    for number, items in enumerate(whole):
        count = min(1, len(items) - 1)
        if some and len(items) in (2, 3):
            short += 1
            count = short % 2
        assert kept[number] == items[: len(items) - count]
        expected += [
            (number, items[:place], items[place])
            for place in range(len(items) - count, len(items))
            if items[place] not in items[:place]  # else it was seen
        ]
    found = [
        (
            int(cases.units[at]),
            [sessions.keys[item] for item in cases.history(at)],
            sessions.keys[cases.targets[at]],
        )
        for at in range(len(cases))
    ]
    assert found == expected


def test_at_most_a_quarter_of_a_session_is_held_out() -> None:
    table = pa.table({"u": ["a"] * 40, "i": range(40), "t": range(40)})
    sessions = read_sessions(table, "u", "i", "t")
    assert [len(sessions.hold_out_some(most)[1]) for most in (1, 5, 99)] == [1, 5, 10]


@pytest.mark.parametrize("half_life", [None, 1.5])
def test_ranks_are_those_of_a_loop(half_life: float | None) -> None:
    sessions = made(1, 60, 15)
    _, cases = sessions.hold_out_some(2)
    matrix = np.random.default_rng(2).integers(0, 4, (15, 15)).astype(np.float64)  # with ties
    expected = []
    for at in range(len(cases)):
        history = cases.history(at).tolist()
        ages = range(len(history) - 1, -1, -1)
        weights = [1.0 if half_life is None else 0.5 ** (age / half_life) for age in ages]
        total = sum(weights)
        row = np.zeros(15)
        for item, weight in zip(history, weights, strict=True):
            row[item] += weight / total
        np.testing.assert_allclose(histories(cases, half_life).toarray()[at], row, rtol=1e-12)
        scores = row @ matrix
        order = sorted(set(range(15)) - set(history), key=lambda it: (-scores[it], it))
        expected.append(order.index(int(cases.targets[at])))
    half = Scorer(csr_array(matrix), half_life, 0.5)
    found = ranks(cases, half, half)
    # Scores in float32 may tie otherwise: the ranks of equal scores differ at most.
    assert np.mean(found == np.array(expected)) > 0.9
    np.testing.assert_array_equal(
        ranks(cases, Scorer(np.arange(15.0))),
        [
            sum(1 for other in range(15) if other > target and other not in history)
            for target, history in (
                (int(cases.targets[at]), cases.history(at).tolist()) for at in range(len(cases))
            )
        ],
    )


def test_measures_by_hand() -> None:
    table = pa.table({"u": [1, 1, 1, 2, 2], "i": ["a", "b", "c", "a", "b"], "t": [1, 2, 3, 1, 2]})
    sessions = read_sessions(table, "u", "i", "t")
    cases = Cases(sessions, np.array([1, 2, 4]))
    assert cases.units.tolist() == [0, 0, 1]
    found = np.array([0, 10, 2])
    assert hits(found, cases).tolist() == [0.5, 1.0]
    np.testing.assert_allclose(gains(found, cases), [0.5, 0.5])  # 1 / log2(2), 0; 1 / log2(4)
