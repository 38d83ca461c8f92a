"""Documents that are nearly the same as others: found by an add, and left out if that is wanted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_cli import fails, ok

import vecsearch as vs
from tests.support.data import brute_force, clustered


def expected(
    stored: np.ndarray, new: np.ndarray, metric: str, least: float, skip: bool
) -> dict[int, tuple[int, float]]:
    """New row -> its best earlier row, by all pairs one after the other."""
    kept = list(stored.astype(np.float32))
    numbers = list(range(len(stored)))
    found = {}
    for number, row in enumerate(new, len(stored)):
        scores = brute_force(np.stack(kept), row, metric)
        best = int(scores.argmax())
        is_duplicate = scores[best] >= least
        if is_duplicate:
            found[number] = numbers[best], float(scores[best])
        if not (is_duplicate and skip):
            kept.append(row)
            numbers.append(number)
    return found


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("skip", [True, False])
def test_duplicates_are_those_of_all_pairs(metric: str, skip: bool, tmp_path: Path) -> None:
    vectors = clustered(300, 5, clusters=8)
    vectors[250] = vectors[20]
    vectors[260] = vectors[250]
    least = {"cosine": 0.99, "ip": 9.0, "l2": -0.6}[metric]
    c = vs.create(tmp_path / "c.vs", dim=5, metric=metric)
    c.add(vectors[:100])
    rows = [{"id": n, "vector": vectors[n]} for n in range(100, 300)]
    done = c.add(rows, on_duplicate="skip" if skip else "report", duplicate_score=least)
    wanted = expected(vectors[:100], vectors[100:], metric, least, skip)
    assert 10 < len(wanted) < 200
    assert [pair.duplicate for pair in done.duplicates] == list(wanted)
    for pair in done.duplicates:
        assert pair.id == wanted[pair.duplicate][0]
        assert pair.score == pytest.approx(wanted[pair.duplicate][1], rel=1e-5, abs=1e-5)
    assert done.added == (200 - len(wanted) if skip else 200)
    assert len(c) == 100 + done.added
    left_out = set(wanted) if skip else set()
    assert set(c.to_arrow(["id"])["id"].to_pylist()) == set(range(300)) - left_out


def test_a_document_is_no_duplicate_of_itself(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64", chunker=32)
    text = "a small boat sails on the lake. a red bus drives to the town. a tram to the sea."
    c.add([{"id": "a", "text": text}, {"id": "b", "text": "something else entirely"}])
    done = c.add([{"id": "a", "text": text}], on_conflict="replace", on_duplicate="skip")
    assert (done.replaced, done.duplicates) == (1, ())
    copy = {"id": "c", "text": "a red bus drives to the town."}
    done = c.add([copy], on_duplicate="skip")
    assert [(pair.id, pair.duplicate) for pair in done.duplicates] == [("a", "c")]
    assert (done.added, len(c), c.get("c")) == (0, 2, [None])
    done = c.add([{"id": "b", "text": text}], on_conflict="replace", on_duplicate="skip")
    assert [(pair.id, pair.duplicate) for pair in done.duplicates] == [("a", "b")]
    assert c.get("b", ["text"]) == [{"text": "something else entirely"}]


def test_generated_ids_and_later_adds(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64")
    done = c.add(["a boat", "a boat", "a bus"], on_duplicate="skip")
    assert (done.added, len(done.duplicates)) == (2, 1)
    assert "duplicates=1" in repr(done)
    done = c.add(["a bus", "a tram"], on_duplicate="skip")
    assert done.added == 1 and len(done.duplicates) == 1
    texts = c.to_arrow(["id", "text"]).to_pylist()
    assert [row["text"] for row in texts] == ["a boat", "a bus", "a tram"]
    assert len({row["id"] for row in texts}) == 3


def test_wrong_arguments_and_the_command(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:64")
    with pytest.raises(vs.InvalidInputError, match="on_duplicate is 'drop'"):
        c.add(["a"], on_duplicate="drop")  # type: ignore[arg-type]
    with pytest.raises(vs.InvalidInputError, match="does not go with"):
        c.add(["a"], on_duplicate="skip", on_conflict="update")
    with pytest.raises(vs.InvalidInputError, match="duplicate_score is 'x'"):
        c.add(["a"], on_duplicate="skip", duplicate_score="x")  # type: ignore[arg-type]
    file = tmp_path / "notes.jsonl"
    rows = [{"id": "a", "text": "a boat"}, {"id": "b", "text": "a boat"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = ok("ingest", file, tmp_path / "d.vs", "--embedder", "toy:64", "--on-duplicate", "skip")
    assert len(vs.open(tmp_path / "d.vs")) == 1
    assert "b is nearly the same as a" in shown.out + shown.err
    assert "--on-duplicate is 'x'" in fails(
        "ingest", file, tmp_path / "e.vs", "--embedder", "toy:64", "--on-duplicate", "x"
    )
