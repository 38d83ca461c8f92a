"""When added rows are indexed: counts over many commits, and the limits one by one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from vecsearch.index.policy import RULES, PartSizes, Rules, Step, next_step, outside_limit

SMALL = Rules(first=500, least=8, share=1 / 50, most=16, beside_tails=8, join=1 / 4, ratio=4)


class Life:
    """The parts of a collection to which rows are added, by the rule alone."""

    def __init__(self, rules: Rules, most: int) -> None:
        self.rules = rules
        self.main = 0
        self.tails: list[int] = []
        self.outside = 0
        self.total = 0
        self._linked = np.zeros(most, np.int8)  # how often each row entered a graph
        self.written = 0  # rows of the index files that were written
        self.tails_at_most = self.outside_at_most = 0

    @property
    def linked(self) -> npt.NDArray[np.int8]:
        return self._linked[: self.total]

    def add(self, rows: int) -> None:
        self.total += rows
        self.outside += rows
        step = next_step(PartSizes(self.main, 0, self.tails, self.outside), self.rules)
        total = self.total
        if step.action == "build":
            self.linked[:] += 1
            self.main, self.tails, self.outside = total, [], 0
            self.written += total
        elif step.action == "join":
            self.linked[self.main :] += 1
            self.main, self.tails, self.outside = total, [], 0
            self.written += total
        elif step.action == "tail":
            kept = len(self.tails) - step.tails
            first = total - self.outside - sum(self.tails[kept:])
            taken = self.tails[kept:]
            entering = np.ones(total - first, bool)
            if taken:  # the largest is extended: its rows are not linked again
                at = int(np.argmax(taken))
                start = sum(taken[:at])
                entering[start : start + taken[at]] = False
            self.linked[first:] += entering
            self.tails = [*self.tails[:kept], total - first]
            self.written += total - first
            self.outside = 0
        self.tails_at_most = max(self.tails_at_most, len(self.tails))
        sizes = PartSizes(self.main, 0, self.tails, self.outside)
        if self.main:
            self.outside_at_most = max(self.outside_at_most, self.outside)
            assert self.outside < max(outside_limit(sizes, self.rules), 1)


@pytest.mark.parametrize("rules", [RULES, SMALL])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_a_row_enters_a_graph_a_few_times_in_a_thousand_commits(rules: Rules, rows: int) -> None:
    life = Life(rules, rules.first + 1000 * rows)
    life.add(rules.first)
    for _ in range(1000):
        life.add(rows)
    assert life.linked.max() <= 4 + np.log2(len(life.linked))
    assert life.linked.mean() < 3
    assert life.tails_at_most <= 4 and life.outside_at_most < max(rules.most, rows)


def test_a_large_collection_keeps_few_tails_and_writes_little() -> None:
    """Five million rows, then a million more, in hundreds and in tens of thousands."""
    for rows, written in ((100, 120), (20_000, 80)):
        life = Life(RULES, 6_000_000)
        life.add(5_000_000)
        before = life.written
        for _ in range(1_000_000 // rows):
            life.add(rows)
        assert life.tails_at_most <= 3
        assert life.linked.max() <= 6
        assert (life.written - before) / 1_000_000 < written


def test_the_limits_one_by_one() -> None:
    none = Step("none")
    assert next_step(PartSizes(0, outside=19_999)) == none
    assert next_step(PartSizes(0, outside=20_000)) == Step("build")
    assert next_step(PartSizes(20_000, outside=2_047)) == none
    assert next_step(PartSizes(20_000, outside=2048)) == Step("join")
    assert next_step(PartSizes(20_000, outside=9_999)) == Step("join")
    assert next_step(PartSizes(20_000, outside=10_000)) == Step("build")
    assert next_step(PartSizes(20_000, deleted=6_000)) == none
    assert next_step(PartSizes(20_000, deleted=6_001)) == Step("build")
    assert next_step(PartSizes(1_000, deleted=900)) == none  # exact search is fast there
    assert next_step(PartSizes(20_000, unlike=2_048)) == none
    assert next_step(PartSizes(20_000, unlike=2_049)) == Step("build")
    assert next_step(PartSizes(1_000_000, outside=4_095)) == none
    assert next_step(PartSizes(1_000_000, outside=4_096)) == Step("tail", 0)
    assert next_step(PartSizes(1_000_000, outside=15_625)) == Step("join")
    assert next_step(PartSizes(1_000_000, tails=[5_000], outside=1_023)) == none
    assert next_step(PartSizes(1_000_000, tails=[5_000], outside=1_024)) == Step("tail", 1)
    assert next_step(PartSizes(1_000_000, tails=[14_700], outside=1_024)) == Step("join")
    large = PartSizes(5_000_000, tails=[40_000, 2_000], outside=1_024)
    assert next_step(large) == Step("tail", 2)  # 40,000 <= 16 * 3,024
    large = PartSizes(5_000_000, tails=[50_000, 2_000], outside=1_024)
    assert next_step(large) == Step("tail", 1)


def test_kinds_without_codes_tails_or_growth() -> None:
    without = PartSizes(1_000_000, outside=511, has_codes=False)
    assert next_step(without) == Step("none")
    assert next_step(PartSizes(1_000_000, outside=512, has_codes=False)) == Step("tail", 0)
    lists = PartSizes(1_000_000, outside=15_624, has_codes=False, has_tails=False)
    assert next_step(lists) == Step("none")
    lists = PartSizes(1_000_000, outside=15_625, has_codes=False, has_tails=False)
    assert next_step(lists) == Step("join")
    fixed = PartSizes(10_000, outside=4_999, has_codes=False, has_tails=False, can_extend=False)
    assert next_step(fixed) == Step("none")
    fixed = PartSizes(10_000, outside=5_000, has_codes=False, has_tails=False, can_extend=False)
    assert next_step(fixed) == Step("build")
