"""What makes searches by words fast changes no hit and no score."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from functools import lru_cache

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.common import beside
from vecsearch.index.kernels.loader import TEXT_LOADER
from vecsearch.query import modes
from vecsearch.query.text import statistics
from vecsearch.query.text.skips import LONG, skips_of

ROWS, DIM = 1500, 8
WORDS = [f"w{number}" for number in range(60)]

pytestmark = pytest.mark.skipif(not TEXT_LOADER.available(), reason="numba is not installed")


def make_texts() -> list[list[str]]:
    """Texts of words that are the rarer the later they come: the first is in most of them."""
    rng = np.random.default_rng(5)
    shares = 1 / np.arange(1, len(WORDS) + 1)
    return [
        rng.choice(WORDS, int(rng.integers(1, 15)), p=shares / shares.sum()).tolist()
        for _ in range(ROWS)
    ]


TEXTS = make_texts()


@pytest.fixture(scope="module", params=[ROWS, 400], ids=["one segment", "segments"])
def c(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> vs.Collection:
    rng = np.random.default_rng(6)
    limits = vs.Limits(window_rows=request.param, segment_rows=request.param)
    c = vs.create(tmp_path_factory.mktemp("speed") / "c.vs", dim=DIM, limits=limits)
    c.add(
        [
            {"id": number, "text": " ".join(text), "n": number, "vector": vector}
            for number, (text, vector) in enumerate(
                zip(TEXTS, rng.normal(size=(ROWS, DIM)).astype(np.float32), strict=True)
            )
        ],
        progress=False,
    )
    c.build_text_index(["text"], progress=False)
    assert TEXT_LOADER.load() is not None
    assert c.info().segments == -(-ROWS // request.param)
    return c


@lru_cache
def by_formula(question: str) -> dict[int, float]:
    """BM25 of each row that has one of the words, by the formula."""
    words = [word.partition("^") for word in question.split()]
    query = {word: float(boost or 1) for word, _, boost in words}
    mean = sum(map(len, TEXTS)) / len(TEXTS)
    found: dict[int, float] = {}
    for word, boost in query.items():
        count = sum(word in text for text in TEXTS)
        idf = math.log(1 + (len(TEXTS) - count + 0.5) / (count + 0.5))
        for number, text in enumerate(TEXTS):
            times = Counter(text)[word]
            if times:
                length = 1.2 * (0.25 + 0.75 * len(text) / mean)
                score = boost * idf * times / (times + length)
                found[number] = found.get(number, 0.0) + score
    return found


QUESTIONS = [
    "w0",
    "w40 w0",
    "w0 w1 w2 w3",
    "w55 w30 w1 w0",
    "w50 w20 w9 w0 w1 w2 w3 w4",
    "w30 w1^3",
]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("k", [1, 10, 100, ROWS])
@pytest.mark.parametrize("below", [ROWS, 700, 100, 9])
def test_hits_are_those_of_the_formula(c: vs.Collection, question: str, k: int, below: int) -> None:
    expected = {row: score for row, score in by_formula(question).items() if row < below}
    hits = c.search(question, k, mode="text", where=None if below == ROWS else f"n < {below}")
    scores = np.array([expected[row] for row in hits.ids])
    assert np.allclose(hits.scores, scores, rtol=1e-5)
    best = np.sort(list(expected.values()))[::-1][:k]
    assert np.allclose(scores, best, rtol=1e-9)


@pytest.mark.parametrize("question", QUESTIONS)
def test_compiled_code_numpy_and_a_full_memory_give_equal_bits(
    c: vs.Collection, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [(k, where) for k in (10, 100, ROWS) for where in (None, "n < 700", "n < 90")]

    def answers() -> list[tuple[list[object], bytes]]:
        with vs.open(c.path) as fresh:
            hits = [fresh.search(question, k, mode="text", where=where) for k, where in wanted]
            return [(each.ids, each.scores.tobytes()) for each in hits]

    compiled = answers()
    monkeypatch.setattr(statistics, "ROOM", 0)
    assert answers() == compiled
    monkeypatch.setattr(TEXT_LOADER, "module", None)
    monkeypatch.setattr(TEXT_LOADER, "_failed", True)
    assert answers() == compiled


@pytest.mark.parametrize("fusion", ["weighted", "rrf", "dbsf"])
@pytest.mark.parametrize("where", [None, "n < 700", "n < 20"])
def test_one_compiled_call_fuses_as_single_steps_do(
    c: vs.Collection, fusion: str, where: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(7)
    # Of few hits, only rows that can be among them are looked up by words.
    for question, k in itertools.product(QUESTIONS, (1, 10, 60, 150)):
        vector = rng.normal(size=DIM).astype(np.float32)
        found = []
        for plain in (True, False):
            with monkeypatch.context() as changed:
                if not plain:
                    changed.setattr(modes, "fused_rows", lambda *_: None)
                given = None if fusion == "weighted" else fusion
                hits = c.search(
                    text=question, vector=vector, k=k, mode="hybrid", where=where, fusion=given
                )
                found.append((hits.ids, hits.scores.tobytes(), list(hits.parts or ()), hits.plan))
        assert found[0] == found[1]


@pytest.mark.parametrize("cores", [1, 2])
def test_plain_hybrid_is_the_same_as_with_an_option_that_changes_nothing(
    c: vs.Collection, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modes, "MANY_ROWS", 0)
    monkeypatch.setattr(beside, "cores", lambda: cores)
    monkeypatch.setattr(beside, "_idle", [])
    monkeypatch.setattr(beside, "_started", 0)
    vector = np.random.default_rng(8).normal(size=DIM).astype(np.float32)
    for question in QUESTIONS:
        plain = c.search(text=question, vector=vector, k=20, mode="hybrid")
        other = c.search(text=question, vector=vector, k=20, mode="hybrid", min_score=-1e9)
        assert plain.ids == other.ids and plain.scores.tobytes() == other.scores.tobytes()
        assert list(plain.parts or ()) == list(other.parts or ())


def test_a_search_whose_working_memory_another_thread_takes_finds_the_same(
    c: vs.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Taken(list[object]):  # between a look at it and the taking
        def __bool__(self) -> bool:
            return True

        def append(self, item: object) -> None:
            pass

    expected = c.search("w40 w0", mode="text")
    monkeypatch.setattr(c._searching().words.statistics, "buffers", Taken())
    found = c.search("w40 w0", mode="text")
    assert found.ids == expected.ids and found.scores.tobytes() == expected.scores.tobytes()


def test_the_scores_that_are_known_with_words_are_bounded(
    c: vs.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "ROOM", 9000)
    with vs.open(c.path) as fresh:
        for word in WORDS:
            fresh.search(word, mode="text")
        known = fresh._searching().words.statistics._known.values()
        arrays = [array for each in known for array in each.arrays]
        assert 0 < sum(array.nbytes for array in arrays) <= 9000


def test_skips_say_how_many_rows_come_before_each_block() -> None:
    rng = np.random.default_rng(9)
    for rows in (LONG, 1000, 70_000):
        for size in (1, LONG, rows):
            listed = np.sort(rng.choice(rows, min(size, rows), replace=False)).astype(np.uint32)
            skips, shift = skips_of(listed, rows)
            edges = np.arange(len(skips), dtype=np.int64) << shift
            assert skips.tolist() == np.searchsorted(listed.astype(np.int64), edges).tolist()
            assert skips[-1] == len(listed)
