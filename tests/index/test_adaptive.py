"""Which effort a query needs: expected misses by simulation, contrast by moments, ladders."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.index import simulation
from vecsearch.index.adaptive import best_point, lent_point
from vecsearch.index.calibration import Calibration, OperatingPoint, merge_points
from vecsearch.index.faiss.projection import fit_projection
from vecsearch.index.kernels.arguments import COSINE, EUCLIDEAN, INNER_PRODUCT
from vecsearch.index.kernels.misses import (
    allowed_misses,
    crowding,
    expected_misses,
    first_depth,
    next_depth,
)
from vecsearch.index.kernels.stages import next_stage
from vecsearch.index.outcomes import Outcome, Tried, _fit_logistic, outcome_of
from vecsearch.index.recipe import IndexRecipe
from vecsearch.index.ruler import Truth
from vecsearch.index.simulation import Asked, promise
from vecsearch.index.unlike import unlike_queries

FULL_CALIBRATION = True


def expected_after(distances: np.ndarray, scores: np.ndarray, k: int) -> float:
    """`expected_misses` behind some candidates, by sums in numpy."""
    count, near = len(distances), distances - distances[0]
    high = scores - scores[0]
    sums = [float(np.sum(part)) for part in (near, high, near * near, near * high, high * high)]
    kth = float(np.sort(high)[::-1][k - 1])
    x, y, xx, xy, yy = sums
    crowded = crowding(distances, count)
    return float(expected_misses(count, x, y, xx, xy, yy, float(near[-1]), crowded, kth))


@pytest.mark.parametrize("noise", [0.5, 2.0, 8.0])
def test_expected_misses_are_those_of_rows_that_differ_by_noise(noise: float) -> None:
    """Rows at distances 0, 1, 2, ...: how many of the 10 best lie behind the first 40, on average
    over a thousand collections, beside what each collection's first 40 say."""
    rng, k, depth = np.random.default_rng(1), 10, 40
    distances = np.arange(400.0)
    missed, expected = [], []
    for _ in range(1000):
        scores = -distances + rng.normal(0, noise, 400)
        kth = np.sort(scores[:depth])[::-1][k - 1]
        missed.append(np.count_nonzero(scores[depth:] > kth))
        expected.append(expected_after(distances[:depth], scores[:depth], k))
    assert np.mean(expected) == pytest.approx(np.mean(missed), rel=0.35, abs=0.02)


def test_rows_behind_a_group_are_expected_where_the_group_is_smaller_than_k() -> None:
    """75 rows are near, the others as far as 5,000 more: codes hardly tell those apart."""
    rng, k, depth = np.random.default_rng(3), 100, 106
    missed, expected = [], []
    for _ in range(300):
        far = np.sort(rng.normal(1000, 20, 5000))
        distances = np.concatenate([np.sort(rng.normal(10, 1, 75)), far])
        scores = -distances + np.where(distances > 500, rng.normal(0, 8, 5075), 0)
        kth = np.sort(scores[:depth])[::-1][k - 1]
        missed.append(np.count_nonzero(scores[depth:] > kth))
        expected.append(expected_after(distances[:depth], scores[:depth], k))
    assert np.mean(missed) > 15
    assert np.mean(expected) > np.mean(missed) / 3  # by the second half alone: 0.2


def test_rows_that_codes_tell_apart_need_few_candidates_and_others_all() -> None:
    rng = np.random.default_rng(2)
    distances = np.sort(rng.random(100))
    assert expected_after(distances[:16], -distances[:16], 10) == 0.0
    blind = rng.normal(size=100)  # the scores have nothing to do with the codes
    assert expected_after(distances[:50], blind[:50], 10) > 5
    equal = np.zeros(50)
    assert expected_after(equal, blind[:50], 10) > 1e6  # codes of copies say nothing at all


def test_depths_and_stages_grow_by_shares() -> None:
    assert [first_depth(k) for k in (1, 10, 11, 100)] == [16, 16, 17, 106]
    assert [next_depth(depth) for depth in (16, 40, 100)] == [21, 51, 126]
    sizes = np.array([16, 20, 24, 32, 48, 512])
    assert [next_stage(stage, sizes) for stage in range(6)] == [2, 3, 4, 4, 5, 6]
    assert allowed_misses(1, 0.9) == pytest.approx(0.01)  # a tenth of what the recall allows
    assert allowed_misses(100, 0.9) == pytest.approx(10 * 0.5 * 100 / 104)


@pytest.mark.parametrize("metric", ["cosine", "l2", "ip"])
@pytest.mark.parametrize("code", ["sq8", "float32"])
def test_scores_at_large_are_mean_and_deviation_of_the_scores_with_all_rows(
    metric: str, code: str
) -> None:
    """Against the scores of 3,000 rows, computed one by one in float64."""
    rng = np.random.default_rng(4)
    rows = rng.normal(0, 1, (3000, 24)) @ np.diag(0.8 ** np.arange(24)) + 0.3
    queries = np.concatenate([rows[:20], rng.normal(0, 1, (20, 24))])
    if metric == "cosine":
        rows, queries = (part / np.linalg.norm(part, axis=1)[:, None] for part in (rows, queries))
    rows, queries = rows.astype(np.float32), queries.astype(np.float32)
    recipe = IndexRecipe("graph", "hnsw", code=code, M=8, ef_construction=40, reduced=16)
    projection = fit_projection(rows, recipe, metric)
    kind = {"cosine": COSINE, "l2": EUCLIDEAN, "ip": INNER_PRODUCT}[metric]
    means, spreads = projection.scores_at_large(queries, kind)
    wide = queries.astype(np.float64)
    if metric == "l2":
        scores = -((wide[:, None] - rows[None].astype(np.float64)) ** 2).sum(axis=2)
    else:
        scores = wide @ rows.T.astype(np.float64)
    np.testing.assert_allclose(means, scores.mean(axis=1), rtol=0.02, atol=0.01)
    np.testing.assert_allclose(spreads, scores.std(axis=1), rtol=0.2)


def test_the_fit_is_a_logistic_function_where_the_data_is_one() -> None:
    rng = np.random.default_rng(5)
    contrast = rng.normal(4, 1, 5000)
    share = 1 / (1 + np.exp(1.5 * contrast - 4.0))
    level, slope = _fit_logistic(contrast, (rng.random((5000, 10)) < share[:, None]).mean(axis=1))
    assert (level, slope) == (pytest.approx(4.0, abs=0.3), pytest.approx(1.5, abs=0.1))
    for missed in (np.zeros(200), np.ones(200)):  # nothing to fit: no error, and a slope
        level, slope = _fit_logistic(contrast[:200], missed)
        assert math.isfinite(level) and slope >= 0.1


def outcomes(queries: int, efforts: tuple[int, ...], k: int) -> list[Outcome]:
    """Rows at random scores; an effort misses each hit with a share that falls with contrast."""
    rng = np.random.default_rng(6)
    contrast = rng.normal(4, 0.8, queries)
    best = -np.sort(rng.random((queries, 600)), axis=1)
    truth = Truth(np.zeros((queries, k), np.int64), best[:, :k], np.full((queries, k), 2e-7))
    made = []
    for number, effort in enumerate(efforts):
        share = 1 / (1 + np.exp(1.5 * contrast - 4.5 + 0.8 * number))
        missed = rng.random((queries, 600)) < share[:, None]
        order = np.argsort(missed, axis=1, kind="stable")[:, :effort]  # those it finds, in order
        scores = np.take_along_axis(best, order, axis=1)
        tried = Tried(effort, 10.0 * effort, 0.0, 0.0, -scores, scores, complete=False)
        made.append(outcome_of(tried, truth, k, contrast))
    return made


def asked(kinds: np.ndarray, exact: float = 1e5) -> Asked:
    """Queries of these kinds, of one region, whose exact search costs so much."""
    return Asked(kinds, np.zeros_like(kinds), 0.0, exact)


@pytest.mark.parametrize("aim", [0.8, 0.9])
def test_a_search_that_starts_over_costs_what_it_did_before(aim: float) -> None:
    """Against plain Python: a query that needs a second effort pays for the first one, too."""
    made, kinds = outcomes(800, (32, 48, 64, 96, 128, 256), 10), np.zeros(800, np.int64)
    plain = best_point(made, asked(kinds), 10, aim)
    for one in made:
        one.tried.starts_over = True
    point = best_point(made, asked(kinds), 10, aim)
    assert plain is not None and point is not None and point.low >= aim
    assert point.micros > plain.micros
    by_effort, allowed = {one.tried.effort: one for one in made}, allowed_misses(10, aim)
    costs, first = [], by_effort[point.steps[0][0]].tried.micros
    for query in range(800):
        for effort, least in point.steps:
            one = by_effort[effort]
            assert one.contrast is not None
            if one.contrast[query] >= least and (one.misses[query] <= allowed).any():
                break
        again = effort != point.steps[0][0]
        costs.append(one.tried.micros + again * (first + simulation.STEP_MICROS))
    exact = point.micros - np.mean(costs)  # of who stops nowhere
    assert -0.01 < exact < 0.02 * 1e5


@pytest.mark.parametrize("aim", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("k", [1, 10])
def test_a_point_delivers_what_it_promises(aim: float, k: int) -> None:
    """The ladder of the point is walked in plain Python for each query, and costs less than the
    smallest effort whose mean reaches the aim for all of them."""
    efforts = (32, 48, 64, 96, 128, 192, 256)
    made, kinds = outcomes(800, efforts, k), np.zeros(800, np.int64)
    point = best_point(made, asked(kinds), k, aim)
    assert point is not None and point.low >= aim and point.aim == aim
    ladder, by_effort = point.steps, {one.tried.effort: one for one in made}
    allowed = allowed_misses(k, aim)
    recalls, costs = [], []
    for query in range(800):
        recall, cost = 1.0, point.micros
        for effort, least in ladder:
            one = by_effort[effort]
            assert one.contrast is not None
            enough = [at for at in range(len(one.depths)) if one.misses[query, at] <= allowed]
            cost = one.tried.micros
            if one.contrast[query] >= least and enough:
                recall = one.recalls[query, enough[0]]
                break
        recalls.append(recall)
        costs.append(cost)
    assert np.mean(recalls) == pytest.approx(point.recall, abs=0.003)
    fixed = [one.tried.micros for one in made if simulation.promise(one.recalls[:, -1])[1] >= aim]
    assert np.mean(costs) < min(fixed)
    contrasts = [least for _, least in ladder]
    assert contrasts[1:] == sorted(contrasts[1:], reverse=True)  # first: its own tolerance
    assert [effort for effort, _ in ladder] == sorted(effort for effort, _ in ladder)


def test_hard_queries_get_their_recall_too() -> None:
    """Those of the lowest tenth of contrast, on which a fixed effort fails."""
    made, kinds = outcomes(2000, (32, 48, 64, 96, 128, 192, 256), 10), np.zeros(2000, np.int64)
    point = best_point(made, asked(kinds), 10, 0.9)
    assert point is not None
    contrast = made[0].contrast
    assert contrast is not None
    hard = contrast < np.quantile(contrast, 0.1)
    fixed = next(one for one in made if simulation.promise(one.recalls[:, -1])[1] >= 0.9)
    assert fixed.recalls[hard, -1].mean() < 0.85
    found = []
    for query in np.flatnonzero(hard):
        one = next(
            (one for one in made if contrast[query] >= dict(point.steps)[one.tried.effort]), None
        )
        found.append(1.0 if one is None else one.recalls[query, -1])
    assert np.mean(found) >= 0.89


def walked(point: OperatingPoint, made: list[Outcome], ranked: list[Outcome], k: int) -> Any:
    """What each query finds of the k best by the ladder of a point, in plain Python.

    made: the outcomes for k rows. ranked: those for the rank that tells where to stop.
    """
    steps, allowed = dict(point.steps), allowed_misses(k, point.aim)
    found = np.ones(len(made[0].kth))  # who stops nowhere is searched exactly
    for query in range(len(found)):
        for one, at_rank in zip(made, ranked, strict=True):
            enough = np.flatnonzero(one.misses[query] <= allowed)
            assert at_rank.contrast is not None
            least = steps.get(one.tried.effort, np.inf)
            if at_rank.contrast[query] >= least and len(enough):
                found[query] = one.recalls[query, enough[0]]
                break
    return found


def measured_with(outcome: Outcome, queries: int) -> Outcome:
    """An outcome of the first queries only."""
    first = {
        name: getattr(outcome, name)[:queries]
        for name in ("kth", "contrast", "last", "recalls", "misses")
    }
    return replace(outcome, **first)


@pytest.mark.parametrize("aim", [0.9, 0.95, 0.98])
def test_queries_that_large_efforts_were_not_measured_with_count_as_others_like_them(
    aim: float,
) -> None:
    """The last efforts are measured with 500 queries at random and the hardest 300 of 3,600. The
    ladder keeps its promise for all of them, and costs what it does where all were measured."""
    efforts, kinds = (32, 48, 64, 96, 128, 192, 256, 384), np.zeros(3600, np.int64)
    whole = outcomes(3600, efforts, 10)
    contrast = whole[0].contrast
    assert contrast is not None
    order = np.append(np.arange(500), 500 + np.argsort(contrast[500:]))
    for one in whole:
        assert one.contrast is not None
        one.kth, one.contrast, one.last = one.kth[order], one.contrast[order], one.last[order]
        one.recalls, one.misses = one.recalls[order], one.misses[order]
    few = [measured_with(one, 3600 if one.tried.effort < 96 else 800) for one in whole]
    best, point = (best_point(each, asked(kinds, 1e4), 10, aim) for each in (whole, few))
    assert best is not None and point is not None
    found = walked(point, whole, whole, 10)
    assert found.mean() == pytest.approx(point.recall, abs=0.006)
    assert found.mean() >= aim
    assert point.micros == pytest.approx(best.micros, rel=0.2)
    assert point.steps[0][0] < 96


def test_each_region_gets_nearly_the_aim() -> None:
    """In one region of ten, searches miss more than their contrast tells: all search deeper. One
    with too few queries says nothing."""
    made, kinds = outcomes(2200, (32, 48, 64, 96, 128, 192, 256), 10), np.zeros(2200, np.int64)
    kinds[2000:] = 1
    regions = np.arange(2200) % 10
    regions[2000:] = 3
    for one in made:
        one.recalls[regions == 3] *= 1 - 3 / one.tried.effort
        one.recalls[2000:] = 1.0
    plain = best_point(made, asked(kinds), 10, 0.9)
    point = best_point(made, Asked(kinds, regions, 0.0, 1e5), 10, 0.9)
    assert plain is not None and point is not None
    inside = (regions == 3) & (kinds == 0)
    before, after = (walked(each, made, made, 10)[inside].mean() for each in (plain, point))
    assert before < 0.87 and after >= 0.89
    assert point.micros > plain.micros and point.low >= 0.9
    rare = np.where(inside & (np.arange(2200) > 700), 4, regions)  # 70 of it are left
    assert np.count_nonzero((rare == 3) & (kinds == 0)) < simulation.REGION_QUERIES
    few = best_point(made, Asked(kinds, rare, 0.0, 1e5), 10, 0.9)
    assert few is not None and few.micros < point.micros


@pytest.mark.parametrize("count", [100, 36])
def test_made_queries_get_nearly_the_aim_in_each_region(count: int) -> None:
    """A kind that reaches the aim on average, but not in one region of ten: all search deeper. Of a
    region with few queries the mean of the kind says more."""
    made, kinds = outcomes(3000, (32, 48, 64, 96, 128, 192, 256), 10), np.zeros(3000, np.int64)
    kinds[2000:] = 1
    regions = np.arange(3000) % 10
    regions[(kinds == 1) & (regions == 3) & (np.arange(3000) >= 2000 + 10 * count)] = 4
    hard = (kinds == 1) & (regions == 3)
    assert np.count_nonzero(hard) == count
    for one in made:
        one.recalls[hard] *= 1 - 6 / one.tried.effort
    plain = best_point(made, asked(kinds), 10, 0.9)
    point = best_point(made, Asked(kinds, regions, 0.0, 1e5), 10, 0.9)
    assert plain is not None and point is not None
    before, after = (walked(each, made, made, 10) for each in (plain, point))
    assert before[kinds == 1].mean() >= 0.9 and before[hard].mean() < 0.86
    together = (after[hard].sum() + 40 * after[kinds == 1].mean()) / (count + 40)
    assert together >= 0.89 - 1e-9 and point.micros > plain.micros


@pytest.mark.parametrize(("k", "count"), [(1, 100), (10, 2)])
def test_few_made_queries_of_a_region_do_not_decide(k: int, count: int) -> None:
    """Two are outweighed by their kind; and one row is found or not, which says little."""
    made, kinds = outcomes(3000, (32, 48, 64, 96, 128, 192, 256), k), np.zeros(3000, np.int64)
    kinds[2000:] = 1
    hard = (kinds == 1) & (np.arange(3000) % 10 == 3) & (np.arange(3000) < 2000 + 10 * count)
    for one in made:
        one.recalls[hard] *= 1 - 6 / one.tried.effort
    plain, point = (
        best_point(made, Asked(kinds, regions, 0.0, 1e5), k, 0.9)
        for regions in (np.zeros(3000, np.int64), np.where(hard, 3, 0))
    )
    assert plain is not None and point is not None and plain.steps == point.steps


def test_the_bound_knows_queries_that_stand_for_others() -> None:
    """Four of each are no more evidence than one of each."""
    recalls = np.random.default_rng(11).random(300)
    assert promise(np.repeat(recalls, 4), np.repeat(np.arange(300), 4)) == promise(recalls)
    assert promise(recalls, np.arange(300)) == promise(recalls)
    assert promise(np.repeat(recalls, 4))[1] > promise(recalls)[1]


def test_a_ladder_for_more_rows_is_measured_for_fewer() -> None:
    """The first rows are missed more often here than the others: their point promises no more."""
    efforts, kinds = (32, 48, 64, 96, 128, 192), np.zeros(1600, np.int64)
    kinds[::4] = 1
    ten, twenty = outcomes(1600, efforts, 10), outcomes(1600, efforts, 20)
    for one, more in zip(ten, twenty, strict=True):
        one.recalls *= 0.98
        one.recalls[kinds == 1] *= 0.97
        assert more.contrast is not None
        more.contrast -= 0.2
    point = best_point(twenty, asked(kinds), 20, 0.9)
    assert point is not None
    lent = lent_point(point, ten, twenty, asked(kinds), 10)
    assert (lent.k, lent.rank, lent.stop_rank, lent.steps) == (10, 20, 20, point.steps)
    assert lent.ladder is not None and lent.ladder.rank == 20
    found = walked(point, ten, twenty, 10)
    assert lent.recall == pytest.approx(found[kinds == 0].mean(), abs=1e-3)
    assert lent.made == pytest.approx(found[kinds == 1].mean(), abs=1e-3)
    assert lent.low <= lent.made < lent.recall < point.recall


def test_no_point_promises_more_than_made_queries_get() -> None:
    """Rows get more than the aim where made queries need that effort. Who asks for what the rows
    get is not given a point at which made queries get less."""
    efforts = (32, 48, 64, 96, 128, 192, 256)
    made, kinds = outcomes(2000, efforts, 10), np.zeros(2000, np.int64)
    kinds[::3] = 1
    for one in made:  # more than their contrast tells
        one.recalls[kinds == 1] *= 0.97
    for aim in (0.85, 0.9):
        point = best_point(made, asked(kinds), 10, aim)
        assert point is not None and point.recall > point.low >= aim
        ladder, found = dict(point.steps), np.ones(2000)
        for query in range(2000):
            for one in made:
                enough = np.flatnonzero(one.misses[query] <= allowed_misses(10, aim))
                assert one.contrast is not None
                if one.contrast[query] >= ladder.get(one.tried.effort, np.inf) and len(enough):
                    found[query] = one.recalls[query, enough[0]]
                    break
        assert found[kinds == 0].mean() > found[kinds == 1].mean() + 0.02
        assert found[kinds == 1].mean() >= point.low - 1e-9
        assert point.made == pytest.approx(found[kinds == 1].mean(), abs=2e-3)


def test_queries_farther_than_all_others_are_not_searched_so() -> None:
    made, kinds = outcomes(400, (64, 128), 10), np.zeros(400, np.int64)
    kinds[::4] = 1
    for one in made:
        one.kth[kinds == 1] = -9.0
        one.recalls[kinds == 1] = 0.0
    point = best_point(made, asked(kinds), 10, 0.8)
    assert point is not None
    assert point.farthest == made[0].kth[kinds == 0].min() > -9
    assert point.low >= 0.8


def test_a_query_is_too_far_only_by_an_effort_that_finds_the_best_rows() -> None:
    """Smaller efforts find worse candidates of every third query, one in a thousand excepted."""
    made, kinds = outcomes(2000, (16, 24, 32, 48, 64, 96), 10), np.zeros(2000, np.int64)
    kinds[::2] = 1
    for one in made:
        one.last = one.kth.copy()
        one.last[kinds == 1] = -9.0  # made queries do not count

    def measured(exact: float = 5e3) -> OperatingPoint:
        point = best_point(made, asked(kinds, exact), 10, 0.8)
        assert point is not None and point.steps[0][0] == 16
        return point

    assert measured().far == 24
    for one in made[:4]:
        one.last[1::6] = -9.0
    point = measured()
    assert point.ladder is not None
    assert (point.far, point.ladder.far_from, point.ladder.efforts[4]) == (64, 4, 64)
    made[4].last[[1, 3]] = -9.0  # two of a thousand
    assert measured().far == 96
    made[4].last[1] = 0.0
    assert measured().far == 64
    assert measured(1e5).far == 96  # one in a thousand exact searches would take half of all time
    made[4].last[1::6] = made[5].last[1::6] = -9.0  # then the last one has to do
    assert measured().far == 96
    stored = Calibration((point,)).to_mapping()
    assert Calibration.from_mapping(stored).points == (point,)
    stored["surface"][0] = stored["surface"][0][:-2]  # of a version that did not measure it
    (older,) = Calibration.from_mapping(stored).points
    assert older == replace(point, far=0) and older.ladder is not None
    assert older.ladder.far_from == 1


@pytest.mark.parametrize("compiled", [True, False])
def test_ordinary_queries_of_hard_rows_are_not_searched_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    """Small efforts miss most of the best rows here, and yet it is not the query that is far."""
    monkeypatch.setenv("VECSEARCH_COMPILED", str(int(compiled)))
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 0.6, (300, 96))
    rows, queries = (
        (centers[rng.integers(0, 300, count)] + rng.normal(0, 1, (count, 96))).astype(np.float32)
        for count in (6000, 500)
    )
    unit = rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    with vs.create(tmp_path / "c.vs", dim=96, metric="cosine") as c:
        c.add(rows, auto_index=False)
        c.build_index(recall=0.9)
        for recall in (0.8, 0.9):
            hits = c.search_batch(queries, k=10, recall=recall)
            assert sum(each.plan.method == "exact" for each in hits) <= 2
            scores = queries.astype(np.float64) @ unit.T
            kth = np.sort(scores, axis=1)[:, -10] - 1e-6
            found = [
                np.count_nonzero(one[each.ids] >= least)
                for one, each, least in zip(scores, hits, kth, strict=True)
            ]
            assert np.mean(found) / 10 >= recall - 0.01


def test_merged_ladders_take_the_larger_contrast() -> None:
    steps: Any = (((16, 5.0), (32, 3.0), (64, 2.0)), ((24, 4.0), (64, 2.5)))
    one, other = (
        OperatingPoint(step[0][0], 20, 10, 0.96, 0.95, 50.0, 0.0, aim, far, step)
        for step, aim, far in zip(steps, (0.9, 0.95), (0.3, 0.2), strict=True)
    )
    (merged,) = merge_points([one], [other])
    assert merged.steps == ((24, 5.0), (32, 4.0), (64, 2.5))
    assert (merged.effort, merged.aim, merged.farthest) == (24, 0.95, 0.2)
    (merged,) = merge_points([replace(one, made=0.9)], [replace(other, made=0.8)])
    assert merged.made == 0.8
    assert Calibration.from_mapping(Calibration((merged,)).to_mapping()).points == (merged,)


def test_made_queries_are_means_and_differences_of_rows() -> None:
    rows = np.random.default_rng(7).normal(0, 1, (300, 8)).astype(np.float32)
    means, differences = unlike_queries(rows, False, np.random.default_rng(8))
    assert means.shape == differences.shape == (300, 8) and means.dtype == np.float32
    assert np.linalg.norm(means, axis=1).mean() < np.linalg.norm(rows, axis=1).mean()
    sums = differences[:, None] + rows[None]  # each is one row minus another
    nearest = np.abs(sums[:, :, None] - rows[None, None]).max(axis=3).min(axis=(1, 2))
    assert nearest.max() < 1e-5
    for made in unlike_queries(rows, True, np.random.default_rng(8)):
        np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, rtol=1e-5)
    few = unlike_queries(rows[:1], True, np.random.default_rng(8))
    assert [len(part) for part in few] == [1, 0]  # a row minus itself has no direction
