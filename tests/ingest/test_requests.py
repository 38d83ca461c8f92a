"""An add that has a key is done once, however often it is sent."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import vecsearch as vs
from vecsearch.ingest.requests import MOST_REQUESTS

ROWS = [{"text": "no id of its own", "n": 1}]


@pytest.fixture
def c(tmp_path: Path) -> vs.Collection:
    return vs.create(tmp_path / "c.vs", embedder="toy:8")


def test_the_same_key_adds_once(c: vs.Collection) -> None:
    first = c.add(ROWS, idempotency_key="a")
    again = c.add([{"text": "something else", "n": 7}], idempotency_key="a")
    assert (again.added, again.version, len(c)) == (first.added, first.version, 1) == (1, 2, 1)
    assert c.add(ROWS, idempotency_key="b").added == 1 and c.add(ROWS).added == 1
    assert len(c) == 3
    with vs.open(c.path) as other:  # by another process, after other changes
        other.delete([0])
        other.compact()
        assert other.add(ROWS, idempotency_key="a").version == 2
    assert len(c.refresh()) == 2


def test_a_failed_add_leaves_no_key(c: vs.Collection) -> None:
    with pytest.raises(vs.InvalidInputError):
        c.add([*ROWS, {"text": "", "n": 2}], idempotency_key="a")
    assert c.add(ROWS, idempotency_key="a").added == 1 == len(c)


def test_of_rivals_with_one_key_one_adds(c: vs.Collection) -> None:
    results: list[vs.AddResult] = []
    threads = [
        threading.Thread(
            target=lambda: results.append(vs.open(c.path).add(ROWS, idempotency_key="same"))
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(c.refresh()) == 1 and {result.version for result in results} == {2}


def test_the_oldest_keys_go(c: vs.Collection) -> None:
    for n in range(MOST_REQUESTS + 1):
        c.add(ROWS, idempotency_key=f"{n}")
    assert c.add(ROWS, idempotency_key="1").version == 3
    assert c.add(ROWS, idempotency_key="0").version == MOST_REQUESTS + 3


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", 7])
def test_wrong_keys(c: vs.Collection, key: object) -> None:
    with pytest.raises(vs.InvalidInputError, match="idempotency_key"):
        c.add(ROWS, idempotency_key=key)  # type: ignore[arg-type]
