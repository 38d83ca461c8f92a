"""TransE: losses and ranks against a naive float64, and relations that are translations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.transe import TripleEmbedder
from vecsearch.errors import InvalidInputError
from vecsearch.graphs.triples import (
    Translation,
    filtered_ranks,
    frequency_scores,
    translation_scores,
)
from vecsearch.training.transe import train_transe


def calendar() -> list[dict[str, object]]:
    """Days of a week over 20 weeks: the next day, the same day a week later, and its name."""
    rows: list[dict[str, object]] = []
    for day in range(140):
        rows.append({"source": f"day {day}", "type": "is a", "target": f"weekday {day % 7}"})
        rows.append({"source": f"day {day}", "type": "in", "target": f"week {day // 7}"})
        if day < 139:
            rows.append({"source": f"day {day}", "type": "next", "target": f"day {day + 1}"})
    return rows


@pytest.fixture(scope="module")
def days() -> TripleEmbedder:
    return train_transe(calendar(), dim=16, epochs=60)


def test_relations_are_learned_beyond_frequency(days: TripleEmbedder) -> None:
    assert days.report is not None
    ours, frequency, chance = days.report.scores
    assert ours.low > frequency.high and frequency.value > chance.value
    assert "Hits@10" in days.report.notes[0]
    found = days.predict("day 30", "is a", k=3)
    assert "weekday 2" in [name for name, _ in found]
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert "day 30" in [name for name, _ in days.predict(None, "next", "day 31", k=5)]
    assert "weekday 2" not in [n for n, _ in days.predict("day 30", "is a", k=200, known=False)]


def test_scores_equal_the_formula_and_come_back_from_disk(
    days: TripleEmbedder, tmp_path: Path
) -> None:
    triple = ("day 3", "next", "day 4")
    h, t = (days.vector(name).astype(np.float64) for name in ("day 3", "day 4"))
    r = days.relation_vectors[days.relations.index("next")].astype(np.float64)
    assert days.triple_scores([triple])[0] == pytest.approx(-np.sqrt(((h + r - t) ** 2).sum()))
    best = days.predict("day 3", "next", k=5)
    scores = days.triple_scores([("day 3", "next", name) for name, _ in best])
    np.testing.assert_allclose(scores, [score for _, score in best], atol=1e-5)
    loaded = resolve_embedder(f"saved:{days.save(tmp_path / 'days')}")
    assert isinstance(loaded, TripleEmbedder) and loaded.fingerprint() == days.fingerprint()
    assert loaded.predict("day 3", "next") == days.predict("day 3", "next")
    assert loaded.report == days.report
    again = train_transe(calendar(), dim=16, epochs=60)
    np.testing.assert_array_equal(again.vectors, days.vectors)


def test_ranks_equal_counting_one_by_one() -> None:
    random = np.random.default_rng(0)
    entities = random.normal(size=(12, 3)).astype(np.float32)
    relations = random.normal(size=(2, 3)).astype(np.float32)
    known = np.unique(random.integers((0, 0, 0), (12, 2, 12), (60, 3)), axis=0)
    asked = known[::3]
    facts = {tuple(triple) for triple in known.tolist()}
    for scores, score in (
        (
            translation_scores(entities, relations),
            lambda h, r, t, side: (
                -np.linalg.norm(entities[h].astype(float) + relations[r] - entities[t])
            ),
        ),
        (
            frequency_scores(known, 12),
            lambda h, r, t, side: sum(
                fact[1] == r and fact[side] == (h if side == 0 else t) for fact in facts
            ),
        ),
    ):
        found = filtered_ranks(scores, asked, known)
        for (h, r, t), ranks in zip(asked.tolist(), found, strict=True):
            for side, rank in ((0, ranks[0]), (2, ranks[1])):
                own, wanted = score(h, r, t, side), 1.0
                for other in range(12):
                    new = (other, r, t) if side == 0 else (h, r, other)
                    if new in facts:
                        continue
                    value = score(*new, side)
                    near = np.isclose(value, own, atol=1e-6)
                    wanted += 0.5 if near else float(value > own)
                assert rank == wanted


def test_a_step_follows_the_gradient_of_the_loss() -> None:
    """The first AdaGrad step is `rate` against the sign of each number's numerical gradient."""
    random = np.random.default_rng(0)
    model = Translation(5, 2, 4, margin=5.0, rate=1e-3, random=random)
    model.entities *= 0.5  # so that none is shortened
    true, false = np.array([[0, 0, 1], [2, 1, 3]]), np.array([[0, 0, 4], [3, 1, 3]])

    def loss() -> float:
        total = 0.0
        for good, bad in zip(true.tolist(), false.tolist(), strict=True):
            lengths = [
                np.linalg.norm(model.entities[h] + model.relations[r] - model.entities[t])
                for h, r, t in (good, bad)
            ]
            total += max(0.0, model.margin + lengths[0] - lengths[1])
        return total

    wanted = []
    for matrix in (model.entities, model.relations):
        gradient = np.zeros_like(matrix)
        for place in np.ndindex(matrix.shape):
            kept = matrix[place]
            matrix[place] = kept + 1e-6
            above = loss()
            matrix[place] = kept - 1e-6
            gradient[place] = (above - loss()) / 2e-6
            matrix[place] = kept
        wanted.append(gradient)
    before = [model.entities.copy(), model.relations.copy()]
    model.step(true, false)
    for old, new, gradient in zip(before, (model.entities, model.relations), wanted, strict=True):
        clear = np.abs(gradient) > 1e-3
        assert clear.sum() > 5
        np.testing.assert_allclose((old - new)[clear], 1e-3 * np.sign(gradient[clear]), rtol=0.02)


def test_triples_come_under_the_usual_names_and_as_tuples() -> None:
    rows = calendar()[:60]
    tuples = [(row["source"], row["type"], row["target"]) for row in rows]
    wanted = train_transe(rows, dim=4, epochs=3)
    for names in (("head", "relation", "tail"), ("subject", "predicate", "object")):
        other = [dict(zip(names, each, strict=True)) for each in tuples]
        assert train_transe(other, dim=4, epochs=3).fingerprint() == wanted.fingerprint()
    for listed in (tuples, np.array(tuples)):
        assert train_transe(listed, dim=4, epochs=3).fingerprint() == wanted.fingerprint()
    for wrong in ([("a", "b")], [*tuples, ("a", "b", "c", "d")], [("a", None, "b")]):
        with pytest.raises(InvalidInputError, match=r"must be \(head, relation, tail\)"):
            train_transe(wrong)


def test_wrong_questions_and_tables_are_refused(days: TripleEmbedder) -> None:
    few = train_transe(calendar()[:9], dim=4, epochs=3).report
    assert few is not None and not few.scores and "too few triples" in few.notes[0]
    for call, message in (
        (lambda: days.predict("day 1", "nxt"), "no relation 'nxt'; did you mean 'next'"),
        (lambda: days.predict("day x", "next"), "no vector for 'day x'"),
        (lambda: days.predict("day 1", "next", "day 2"), "give the head or the tail"),
        (lambda: days.triple_scores([("a", "b")]), "triple 0 is"),
        (lambda: train_transe([{"source": "a", "target": "b"}]), "no column 'type'"),
        (lambda: train_transe(calendar(), margin=0), "margin is 0; it must be above 0"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()
