"""Documents of several passages are the unit: of recall, neighbors, duplicates and examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecsearch as vs

WORDS = [f"word{n}" for n in range(120)]


def texts() -> list[dict[str, Any]]:
    rng = np.random.default_rng(4)
    made = []
    for n in range(24):
        count = int(rng.integers(4, 40))
        words = [WORDS[int(each)] for each in (rng.integers(0, 30, count) + 5 * (n % 6)) % 120]
        made.append({"id": f"d{n}", "text": " ".join(words), "group": n % 4})
    made.append({"id": "copy", "text": made[3]["text"], "group": 9})
    return made


@pytest.fixture(scope="module")
def c(tmp_path_factory: pytest.TempPathFactory) -> vs.Collection:
    made = vs.create(tmp_path_factory.mktemp("units") / "c.vs", embedder="toy:48", chunker=70)
    made.add(texts())
    assert made.info().rows > 2 * made.info().documents
    return made


class Passages:
    """The rows of a collection, read through its public door."""

    def __init__(self, c: vs.Collection) -> None:
        rows = c.to_arrow(["id", "vector"]).to_pylist()
        self.owners = np.array([row["id"] for row in rows])
        wide = np.array([row["vector"] for row in rows], np.float64)
        self.given = wide
        self.vectors = wide / np.linalg.norm(wide, axis=1, keepdims=True)
        self.ids = list(dict.fromkeys(self.owners.tolist()))

    def best(self, scores: np.ndarray) -> dict[str, float]:
        """Each document's best passage."""
        return {which: float(scores[self.owners == which].max()) for which in self.ids}

    def mean(self, which: str) -> np.ndarray:
        mean = self.given[self.owners == which].mean(axis=0)
        return mean / np.linalg.norm(mean)


def ranked(scores: dict[str, float], *without: str) -> list[tuple[str, float]]:
    kept = [(which, value) for which, value in scores.items() if which not in without]
    return sorted(kept, key=lambda item: -item[1])


def test_neighbors_are_those_of_the_best_pair_of_passages(c: vs.Collection) -> None:
    rows = Passages(c)
    table = c.neighbors(3).to_pylist()
    for which in rows.ids:
        own = rows.vectors[rows.owners == which]
        wanted = ranked(rows.best((rows.vectors @ own.T).max(axis=1)), which)[:3]
        found = [row for row in table if row["id"] == which]
        np.testing.assert_allclose(
            [row["score"] for row in found], [value for _, value in wanted], rtol=1e-5
        )
        assert [row["rank"] for row in found] == [1, 2, 3]


def test_duplicates_are_documents(c: vs.Collection) -> None:
    rows = Passages(c)
    pairs = {frozenset((row["id"], row["duplicate"])) for row in c.duplicates(0.999).to_pylist()}
    assert frozenset(("d3", "copy")) in pairs
    assert all(len(pair) == 2 and pair <= set(rows.ids) for pair in pairs)
    assert len(c.cluster(3)) == len(c.outliers()) == len(rows.ids)
    assert len(c.map()) == len(rows.ids)
    assert len(c.map(passages=True)) == len(rows.owners)


@pytest.mark.parametrize("passages", [False, True])
def test_discovery_scores_documents_by_their_best_passage(c: vs.Collection, passages: bool) -> None:
    rows = Passages(c)
    target, pairs = "d1", [("d2", "d7"), ("d9", "d4")]
    named = [target, *(each for pair in pairs for each in pair)]
    near = np.zeros(len(rows.owners))
    for positive, negative in pairs:
        near += np.sign(rows.vectors @ rows.mean(positive) - rows.vectors @ rows.mean(negative))
    own = rows.vectors @ rows.mean(target)
    hits = c.discover(target, pairs, k=8, passages=passages)
    order = [at for at in np.lexsort((-own, -near)) if rows.owners[at] not in named]
    wanted = [str(rows.owners[at]) for at in order]
    wanted = wanted if passages else list(dict.fromkeys(wanted))
    assert hits.ids == wanted[:8]


def test_recall_is_of_documents(c: vs.Collection) -> None:
    report = c.measure_recall(5, 40)
    assert report.recall == 1 and c.measure_recall(5, 40, passages=True).recall == 1


def test_recall_counts_documents_that_are_missed(
    c: vs.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that never finds the passages of a document misses it, and nothing else."""
    rows = Passages(c)
    query = rows.vectors[0].astype(np.float32)
    first = ranked(rows.best(rows.vectors @ rows.vectors[0]))[0][0]
    searcher = c._searching()
    right = searcher.search

    def blind(query: Any, k: int, selection: Any, recall: float, exact: bool) -> Any:
        found = right(query, k, selection, recall, exact)
        if exact:
            return found
        seen = np.array([which != first for which in searcher.snapshot.ids_at(found.positions)])
        return found._replace(positions=found.positions[seen], scores=found.scores[seen])

    monkeypatch.setattr(searcher, "search", blind)
    with pytest.warns(vs.RecallWarning):
        report = c.measure_recall(4, queries=[query])
    assert report.recall == 0.75 and report.queries == 1


def test_the_passages_of_a_query_row_do_not_count(tmp_path: Path) -> None:
    lone = vs.create(tmp_path / "one.vs", embedder="toy:16", chunker=70)
    lone.add([texts()[0] | {"text": " ".join(WORDS[:60])}])
    with pytest.raises(vs.InvalidInputError, match="only the query rows themselves match"):
        lone.measure_recall(3)
    assert lone.measure_recall(3, passages=True).recall == 1
