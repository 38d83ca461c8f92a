"""The sentence of a hit that answers, and the words it shares with the query."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import vecsearch as vs

TEXT = "We met at noon. The wifi password is on the fridge door! Bring cake.\nBudgets rose."


class Topics:
    """A model that knows three topics by their words, without any spelling in common."""

    name, dim = "topics", 3
    WORDS = (("wifi", "internet", "网络"), ("cake", "dessert", "蛋糕"), ("budget", "money", "预算"))

    def fingerprint(self) -> str:
        return "topics-1"

    def embed_documents(self, documents: list[str]) -> np.ndarray:
        rows = [
            [sum(w in text.lower() for w in words) for words in self.WORDS] for text in documents
        ]
        return np.array(rows, np.float32) + np.float32(0.01)

    embed_queries = embed_documents


def the_mark(folder: Path, text: str, query: str, **options: object) -> vs.Highlight:
    c = vs.create(folder / "c.vs", embedder=Topics(), chunker=None, **options)  # type: ignore[arg-type]
    c.add([{"id": 1, "text": text}])
    mark = c.search(query)[0].highlight()
    assert mark is not None
    return mark


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("the internet", "The wifi password is on the fridge door!"),
        ("dessert", "Bring cake."),
        ("money", "Budgets rose."),
    ],
)
def test_the_sentence_is_the_models_choice(
    tmp_path: Path, query: str, sentence: str, metric: str
) -> None:
    mark = the_mark(tmp_path, TEXT, query, metric=metric)
    assert mark.text == TEXT
    assert TEXT[slice(*mark.sentence)] == sentence
    assert TEXT[mark.span.start : mark.span.end] == sentence and mark.span.column == "text"


def test_words_are_those_that_say_something(tmp_path: Path) -> None:
    mark = the_mark(tmp_path, TEXT, "what is the Wifi passwords for the internet")
    words = [TEXT[slice(*each)] for each in mark.words]
    assert words == ["wifi", "password"]
    assert str(mark) == (
        "We met at noon. [The *wifi* *password* is on the fridge door!] Bring cake.\nBudgets rose."
    )
    assert mark.marked(mark.sentence, html=True) == (
        "<mark>The <b>wifi</b> <b>password</b> is on the fridge door!</mark>"
    )


def test_chinese_words_are_found_by_pairs_of_characters(tmp_path: Path) -> None:
    text = "我们在中午见面。公司网络密码贴在冰箱门上！记得带蛋糕。"
    mark = the_mark(tmp_path, text, "怎么找回网络密码")
    assert text[slice(*mark.sentence)] == "公司网络密码贴在冰箱门上！"
    assert [text[slice(*each)] for each in mark.words] == ["网络密码"]
    poem = "床前明月光，疑是地上霜。"
    assert [poem[slice(*w)] for w in the_mark(tmp_path / "2", poem, "明月光").words] == ["明月光"]


def test_html_of_a_mark_is_escaped(tmp_path: Path) -> None:
    mark = the_mark(tmp_path, "One <b>. The <i>wifi</i> & more\x1b. End.", "wifi")
    page = mark._repr_html_()
    assert "&lt;i&gt;<b>wifi</b>&lt;/i&gt; &amp; more\\x1b" in page
    assert page.count("<mark>") == page.count("</mark>") == 1


def test_spans_are_of_the_whole_text_with_a_chunker(tmp_path: Path) -> None:
    text = " ".join(f"Filler number {n} says nothing." for n in range(40))
    text += " The wifi is slow. " + "More filler here. " * 20
    c = vs.create(tmp_path / "c.vs", embedder=Topics(), chunker=120)
    c.add([{"id": 1, "text": text}])
    hit = c.search("internet")[0]
    mark = hit.highlight()
    assert mark is not None
    assert text[mark.span.start : mark.span.end] == "The wifi is slow."
    assert mark.text[slice(*mark.sentence)] == "The wifi is slow."
    assert hit.span is not None and mark.span.start >= hit.span.start


def test_hits_without_a_model_go_by_words(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder=Topics(), chunker=None)
    c.add([{"id": 1, "text": TEXT}])
    again = pickle.loads(pickle.dumps(c.search("the fridge, money")))
    mark = again[0].highlight()
    assert TEXT[slice(*mark.sentence)] == "The wifi password is on the fridge door!"
    (by_words,) = c.search("the fridge, money").highlights(most=1)
    assert by_words is not None and by_words.sentence == mark.sentence


def test_hits_without_a_text_have_no_mark(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", dim=2)
    c.add([{"id": 1, "vector": [1, 0]}])
    assert c.search([1, 0])[0].highlight() is None
    t = vs.create(tmp_path / "t.vs", embedder=Topics(), chunker=None)
    t.add([{"id": 1, "text": TEXT}])
    by_vector = t.search([0, 1, 0])[0].highlight()
    assert by_vector is not None and TEXT[slice(*by_vector.sentence)] == "Bring cake."
    assert by_vector.words == ()


def test_a_batch_and_pages_know_their_queries(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder=Topics(), chunker=None)
    c.add([{"id": 1, "text": TEXT}])
    first, second = c.search_batch(["internet", "money"])
    marks = [hits[0].highlight() for hits in (first, second, *c.pages("dessert", 1))]
    assert [TEXT[slice(*mark.sentence)] for mark in marks if mark] == [
        "The wifi password is on the fridge door!",
        "Budgets rose.",
        "Bring cake.",
    ]
    assert c.search_range("money", 0.1)[0].highlight() == marks[1]


def test_words_of_a_search_by_words_are_its_own_matches(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder=Topics(), chunker=None)
    c.add([{"id": 1, "text": "Cakes and pies. We were running late, he ran. The runner rests."}])

    def marked(query: str, mode: str = "text") -> list[str]:
        hit = c.search(query, mode=mode)[0]  # type: ignore[arg-type]
        mark = hit.highlight()
        assert mark is not None
        assert {*mark.words} <= {*hit.matches()["text"]}
        return [mark.text[start:stop] for start, stop in mark.words]

    assert marked("runs") == ["running"]
    assert marked("runn*") == ["running"] or marked("runn*") == ["runner"]
    assert marked("latr~ -boat") == ["late"]
    assert marked('"pies" OR dessert') == ["pies"]
    assert marked("dessert runs", "hybrid") in ([], ["running"])
    (batch,) = c.search_batch(["runs"], mode="text")
    (page,) = c.pages("runs", mode="text")
    for hits in (batch, page, pickle.loads(pickle.dumps(batch))):
        (mark,) = hits.highlights()
        assert mark is not None and [mark.text[a:b] for a, b in mark.words] == ["running"]


def test_only_searched_columns_are_marked(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="toy:16", text_columns=["title", "body"])
    c.add([{"id": 1, "title": "A ship", "body": "The ship leaves."}])
    hit = c.search("ship", mode="text", using="body")[0]
    mark = hit.highlight()
    assert mark is not None and mark.span.column == "body" and len(mark.words) == 1
