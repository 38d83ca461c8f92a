"""Texts are embedded in batches: an interruption costs one of them, and progress follows them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_auto_chunker import MINUTES, Counts, FewWords, tokens

import vecsearch as vs
from vecsearch.embedders.toy import ToyEmbedder
from vecsearch.ingest import embedding, vector_cache


class Slow(ToyEmbedder):
    """Notes its calls, and is interrupted at one of them."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__(16)
        self.calls: list[list[str]] = []
        self.stop_at = stop_at

    def embed_documents(self, documents: Any) -> Any:
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        self.calls.append(list(documents))
        return super().embed_documents(documents)


@pytest.fixture
def small_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of 10 texts, none of which is so fast that the next one is larger."""
    monkeypatch.setattr(embedding, "FIRST_BATCH", 10)
    monkeypatch.setattr(embedding, "CALL_SECONDS", (0.0, 1e9))


ROWS = [{"id": n, "text": f"text number {n % 80}"} for n in range(95)]


@pytest.mark.usefixtures("small_calls")
def test_an_interruption_in_one_window_costs_one_batch(tmp_path: Path) -> None:
    path = tmp_path / "c.vs"
    first, second = Slow(stop_at=5), Slow()
    with vs.create(path, embedder=first) as c, pytest.raises(KeyboardInterrupt):
        c.add(ROWS)
    with vs.open(path, embedder=second) as c:
        assert len(c) == 0
        result = c.add(ROWS)
        assert (result.added, result.embedded) == (95, 30)
        vectors = c.features([row["id"] for row in ROWS])
        assert list((path / "staging").iterdir()) == []
    done = [text for call in first.calls for text in call]
    again = [text for call in second.calls for text in call]
    assert sorted({*done, *again}) == sorted({row["text"] for row in ROWS})
    assert len(done) == 50 and len(again) == 30 and not set(done) & set(again)
    expected = ToyEmbedder(16).embed_documents([row["text"] for row in ROWS])
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


@pytest.mark.usefixtures("small_calls")
def test_an_interrupted_reembed_goes_on_where_it_was(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", embedder="toy:8") as c:
        c.add(ROWS)
        with pytest.raises(KeyboardInterrupt):
            c.reembed(Slow(stop_at=3))
        again = Slow()
        assert c.reembed(again).embedded == 50
        assert len(again.calls) == 5


def test_a_short_add_keeps_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = []
    monkeypatch.setattr(vector_cache.VectorCache, "put", lambda self, *args: put.append(args))
    with vs.create(tmp_path / "c.vs", embedder=Slow()) as c:
        c.add(ROWS)
        assert put == []
        monkeypatch.setattr(embedding, "KEPT_SECONDS", 0.0)
        c.add([{"id": 1000, "text": "one more"}])
    assert [texts for texts, _ in put] == [["one more"]]


def test_equal_texts_are_embedded_once_and_similar_lengths_together(tmp_path: Path) -> None:
    model = Slow()
    texts = ["word " * (n % 7 + 1) for n in range(60)]
    with vs.create(tmp_path / "c.vs", embedder=model) as c:
        c.add(texts)
        assert c.search(texts[3], k=60).scores.tolist().count(1.0) == texts.count(texts[3])
    assert model.calls[0] == sorted(set(texts), key=len, reverse=True)


@pytest.mark.usefixtures("small_calls")
def test_progress_moves_with_each_batch_and_ends_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    steps: list[int] = []

    @contextmanager
    def bar(what: str, total: int | None, show: bool | None) -> Any:
        assert total == 95
        yield steps.append

    for module in ("changes", "upkeep"):
        monkeypatch.setattr(f"vecsearch.collection.{module}.progress_bar", bar)
    with vs.create(tmp_path / "c.vs", embedder=Slow()) as c:
        c.add(ROWS)
        assert sum(steps) == 95 and len(steps) == 8 and max(steps) <= 12
        steps.clear()
        c.reembed("toy:24")
        assert sum(steps) == 95 and len(steps) > 5


def test_calls_grow_for_fast_models_and_shrink_for_slow_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    class Timed(Slow):
        """Takes a hundredth of a second for each text, as the clock of the test says."""

        def embed_documents(self, documents: Any) -> Any:
            clock[0] += 0.01 * len(documents)
            return super().embed_documents(documents)

    monkeypatch.setattr(embedding.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(embedding, "FIRST_BATCH", 10)
    model = Timed()
    with vs.create(tmp_path / "c.vs", embedder=model) as c:
        c.add([f"text {n}" for n in range(600)])
    assert [len(call) for call in model.calls] == [10, 20, 40, 80, 80, 80, 80, 80, 80, 50]


class English(FewWords):
    """Knows words of letters only."""

    name = "english-only"

    def count_tokens(self, texts: Sequence[str]) -> Counts:
        unknown = [sum(not token.isascii() for token in tokens(text)) for text in texts]
        return Counts(super().count_tokens(texts).lengths, np.array(unknown))

    def fingerprint(self) -> str:
        return f"english {self.max_tokens}"


def warned(c: vs.Collection, rows: Any, **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        c.add(rows, **options)
    assert all(warning.filename == __file__ for warning in caught)
    assert all(warning.category is vs.ModelWarning for warning in caught)
    return [str(warning.message) for warning in caught]


def test_texts_that_are_cut_are_counted(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "text": MINUTES},
        {"id": 2, "text": "short"},
        {"id": 3, "text": MINUTES + "!"},
    ]
    with vs.create(tmp_path / "none.vs", embedder=FewWords(), chunker=None) as c:
        (message,) = warned(c, rows)
        assert message.startswith("2 of 3 texts are longer than few-words reads (22 tokens)")
        assert 'chunker="auto"' in message
        assert warned(c, [{"id": 4, "text": "another short one"}]) == []
    with vs.create(tmp_path / "large.vs", embedder=FewWords(), chunker=400) as c:
        (message,) = warned(c, rows)
        assert "longer than few-words reads" in message
    with vs.create(tmp_path / "auto.vs", embedder=FewWords()) as c:
        assert warned(c, rows) == []
    with vs.create(tmp_path / "all.vs", embedder=FewWords(None), chunker=None) as c:
        assert warned(c, rows) == []


def test_a_model_of_another_language_is_named_with_one_that_fits(tmp_path: Path) -> None:
    chinese = ["猫喜欢吃鱼", "飞机晚点怎么赔偿", "怎么重置密码", "如何找回密码"]
    with vs.create(tmp_path / "c.vs", embedder=English()) as c:
        (message,) = warned(c, chinese)
        assert "english-only does not know 100% of what it reads" in message
        assert "multilingual" in message
        assert warned(c, ["an English text", "another one", "and a third", "of many"]) == []
        mixed = [" ".join(["word"] * 19 + ["字"] * share) for share in (0, 1)]
        assert warned(c, mixed[:1]) == []
        assert warned(c, ["字 " + " ".join(["other"] * 18)]) != []
        # few texts among so many others that they are not 5% of all
        (message,) = warned(c, ["一 二 三 四 五", *(f"{n} " + "word " * 18 for n in range(40))])
        assert "most of what it reads in 1 of 41 texts" in message and "multilingual" in message
        # some among others, whatever their share of all tokens
        (message,) = warned(
            c, ["一 二 三 四 五 六", "七 八 九 十 百 千", *("a word " * n for n in (2, 3))]
        )
        assert "most of what it reads in 2 of 4 texts" in message


def test_a_failed_add_gives_no_warning_of_the_model(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder=English(), chunker=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", vs.ModelWarning)
        with pytest.raises(vs.InvalidInputError):
            c.add([{"id": 1, "text": MINUTES}, {"id": 2, "text": ""}])


def test_a_question_that_the_model_cannot_read_is_told(tmp_path: Path) -> None:
    def warned_of(queries: Any) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            c.search_batch(queries, k=1) if isinstance(queries, list) else c.search(queries, k=1)
        assert all(warning.category is vs.ModelWarning for warning in caught)
        return [str(warning.message) for warning in caught]

    with vs.create(tmp_path / "c.vs", embedder=English()) as c:
        c.add(["an English text", "another one"])
        (message,) = warned_of("怎么重置密码")
        assert message.startswith("english-only does not know most of what it reads in this ques")
        assert "multilingual" in message
        assert warned_of("a text about 字") == [] and warned_of("an English question") == []
        (message,) = warned_of(["one", "密码", "重置"])
        assert "2 of 3 questions" in message
        assert warned_of(np.ones(64, np.float32)) == []
