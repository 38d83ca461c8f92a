"""Adds: repeated ids, generated ids beside other writers, stored passages, interrupted adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vecsearch as vs
from vecsearch.embedders.toy import ToyEmbedder
from vecsearch.errors import EmbedderError
from vecsearch.ingest import conflicts
from vecsearch.ingest.conflicts import SeenKeys
from vecsearch.ingest.embedding import check_model_vectors
from vecsearch.ingest.passages import covering_spans
from vecsearch.storage import ids as ids_module
from vecsearch.types import Metric

Row = dict[str, Any]


def rows_of(*pairs: tuple[int | str, str]) -> list[Row]:
    return [{"id": name, "text": text} for name, text in pairs]


def then(rows: list[Row], action: Callable[[], object]) -> pa.RecordBatchReader:
    """A stream of rows that does something once they are read, while the add is running."""
    batch = pa.RecordBatch.from_pylist(rows)

    def batches() -> Iterator[pa.RecordBatch]:
        yield batch
        action()

    return pa.RecordBatchReader.from_batches(batch.schema, batches())


def stored(collection: vs.Collection) -> dict[int | str, str]:
    """What the collection holds, by id; fails where an id is stored more than once."""
    table = collection.to_arrow(["id", "text"])
    ids, texts = table["id"].to_pylist(), table["text"].to_pylist()
    assert len(set(ids)) == len(ids) == len(collection)
    return dict(zip(ids, texts, strict=True))


@pytest.fixture(params=[4096, 4, 1], ids=lambda rows: f"windows of {rows}")
def window(request: pytest.FixtureRequest) -> vs.Limits:
    """The same add in one window, in several, and in one per row."""
    return vs.Limits(window_rows=request.param, segment_rows=8)


@pytest.fixture(params=["int", "str"])
def key(request: pytest.FixtureRequest) -> Any:
    """A function that turns a number into an id."""
    return int if request.param == "int" else "id-{}".format


REPEATED = [(1, "a"), (2, "b"), (1, "c"), (3, "d"), (4, "e"), (2, "f"), (5, "g"), (1, "h")]


def test_replace_keeps_the_last_row_of_an_id(root: Path, window: vs.Limits, key: Any) -> None:
    data = rows_of(*((key(number), text) for number, text in REPEATED))
    with vs.create(root, embedder="toy:16", limits=window) as c:
        result = c.add(data, on_conflict="replace", progress=False)
        assert stored(c) == {row["id"]: row["text"] for row in data}
        assert (result.added, result.replaced, result.skipped) == (5, 0, 3)
        again = c.add(data, on_conflict="replace", progress=False)
        assert stored(c) == {row["id"]: row["text"] for row in data}
        assert (again.added, again.replaced, again.skipped) == (0, 5, 3)


def test_skip_keeps_the_first_row_of_an_id(root: Path, window: vs.Limits, key: Any) -> None:
    data = rows_of(*((key(number), text) for number, text in REPEATED))
    with vs.create(root, embedder="toy:16", limits=window) as c:
        c.add(rows_of((key(4), "stored before")), progress=False)
        result = c.add(data, on_conflict="skip", progress=False)
        first = {row["id"]: row["text"] for row in reversed(data)}
        assert stored(c) == {**first, key(4): "stored before"}
        assert (result.added, result.replaced, result.skipped) == (4, 0, 4)


def test_error_names_both_rows_of_a_repeated_id(root: Path, window: vs.Limits, key: Any) -> None:
    data = rows_of(*((key(number), f"text {number}") for number in range(10, 22)))
    data[9]["id"] = data[5]["id"]
    with vs.create(root, embedder="toy:16", limits=window) as c:
        with pytest.raises(vs.DuplicateIdError) as caught:
            c.add(data, progress=False)
        expected = f"duplicate id {key(15)!r} in the data: rows 5 and 9, column 'id'"
        assert expected in str(caught.value)
        assert len(c) == 0 and len(c.versions()) == 1


def test_error_counts_documents_not_passages(root: Path) -> None:
    limits = vs.Limits(window_rows=2)
    data = rows_of(*((number, "one two three") for number in range(7)))
    data[6]["id"] = 3
    with (
        vs.create(root, embedder="toy:16", chunker=str.split, limits=limits) as c,
        pytest.raises(vs.DuplicateIdError, match="duplicate id 3 in the data: rows 3 and 6"),
    ):
        c.add(data, progress=False)


def test_error_names_the_row_of_an_id_in_the_collection(root: Path, window: vs.Limits) -> None:
    with vs.create(root, embedder="toy:16", limits=window) as c:
        c.add(rows_of((7, "seven")), progress=False)
        data = [{"key": number, "text": "x"} for number in (1, 2, 3, 4, 5, 7)]
        message = "row 5, column 'key': id 7 is already in the collection"
        with pytest.raises(vs.DuplicateIdError, match=message):
            c.add(data, id_column="key", progress=False)


@pytest.mark.parametrize("on_conflict", ["replace", "skip"])
def test_text_ids_with_the_same_key_are_different_ids(
    root: Path, window: vs.Limits, on_conflict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of text ids are digests: here all but four bits are cut off, so that many collide."""
    original = ids_module.id_keys

    def colliding(ids: pa.Array) -> Any:
        return original(ids) % 4

    for module in (ids_module, conflicts, "vecsearch.storage.snapshot"):
        name = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(f"{name}.id_keys", colliding)
    data = rows_of(*((f"id-{number}", text) for number, text in REPEATED))
    data += rows_of(*((f"more-{number}", "m") for number in range(20)))
    with vs.create(root, embedder="toy:16", limits=window) as c:
        c.add(data, on_conflict=on_conflict, progress=False)
        ordered = data if on_conflict == "replace" else data[::-1]
        assert stored(c) == {row["id"]: row["text"] for row in ordered}


def test_generated_ids_continue_after_those_of_another_writer(root: Path) -> None:
    with vs.create(root, embedder="toy:16") as c, vs.open(root) as rival:
        rows = then(
            rows_of((-5, "minus five")),
            lambda: rival.add(["first", "second"], progress=False),
        )
        c.add(rows, progress=False)
        c.add(["third"], progress=False)
        assert stored(c) == {-5: "minus five", 0: "first", 1: "second", 2: "third"}


def test_generated_ids_move_past_explicit_ids_of_another_writer(
    root: Path, window: vs.Limits
) -> None:
    with (
        vs.create(root, embedder="toy:16", limits=window) as c,
        vs.open(root, limits=window) as rival,
    ):
        rows = then(
            [{"text": f"text {number}"} for number in range(9)],
            lambda: rival.add(rows_of((100, "hundred")), progress=False),
        )
        c.add(rows, progress=False)
        assert sorted(stored(c)) == list(range(100, 110))
        assert stored(c)[101] == "text 0"
        c.add(["one more"], progress=False)
        assert stored(c)[110] == "one more"


@pytest.mark.parametrize(
    ("on_conflict", "kept", "counts"),
    [("skip", "of the rival", (1, 0, 1)), ("replace", "of the add", (1, 1, 0))],
)
def test_ids_added_by_another_writer_meanwhile(
    root: Path, on_conflict: Any, kept: str, counts: tuple[int, int, int]
) -> None:
    with vs.create(root, embedder="toy:16") as c, vs.open(root) as rival:
        rows = then(
            rows_of((1, "of the add"), (2, "two")),
            lambda: rival.add(rows_of((1, "of the rival")), progress=False),
        )
        result = c.add(rows, on_conflict=on_conflict, progress=False)
        assert stored(c) == {1: kept, 2: "two"}
        assert (result.added, result.replaced, result.skipped) == counts


def test_an_id_added_by_another_writer_meanwhile_is_an_error(root: Path) -> None:
    with vs.create(root, embedder="toy:16") as c, vs.open(root) as rival:
        rows = then(
            rows_of((1, "of the add"), (2, "two")),
            lambda: rival.add(rows_of((2, "of the rival")), progress=False),
        )
        with pytest.raises(vs.DuplicateIdError, match="id 2 was added by another writer"):
            c.add(rows, progress=False)
        assert stored(c.refresh()) == {2: "of the rival"}


def test_a_column_added_meanwhile_is_a_conflict(root: Path) -> None:
    with vs.create(root, embedder="toy:16") as c, vs.open(root) as rival:
        c.add(rows_of((1, "one")), progress=False)
        rows = then(rows_of((2, "two")), lambda: rival.add_column("year", "int64"))
        with pytest.raises(vs.ConflictError, match="run it again"):
            c.add(rows, progress=False)
        assert stored(c.refresh()) == {1: "one"}


def test_stored_passages_overlap_as_the_chunker_says(root: Path) -> None:
    pytest.importorskip("chonkie")
    chunker = vs.Chunker(200, overlap=60)
    sentences = [f"Sentence number {number} is here for the test." for number in range(40)]
    text = "\n\n".join(" ".join(sentences[start : start + 8]) for start in range(0, 40, 8)) + "\n"
    spans = chunker.split(text)
    assert any(end > start for (_, end), (start, _) in pairwise(spans))
    expected = []
    for number, (start, end) in enumerate(spans):
        following = spans[number + 1][0] if number + 1 < len(spans) else len(text)
        expected.append((0 if number == 0 else start, max(end, following)))
    with vs.create(root, embedder="toy:32", chunker=chunker) as c:
        c.add(rows_of((1, text)), progress=False)
        hits = c.search("number", k=len(spans) + 5, passages=True)
        assert sorted(hit.span for hit in hits) == [vs.Span("text", *span) for span in expected]
        assert {hit.span: hit["text"] for hit in hits} == {
            vs.Span("text", start, end): text[start:end] for start, end in expected
        }
        assert c.get([1]) == [{"id": 1, "text": text}]


def test_covering_spans_cover_the_text_without_a_chunker_and_with_blank_ends() -> None:
    assert covering_spans(None, "a text") == [(0, 6)]
    assert covering_spans(lambda text: [], "  ") == [(0, 2)]
    assert covering_spans(lambda text: [(1, 3)], " ab ") == [(0, 4)]
    assert covering_spans(lambda text: [(1, 3), (5, 7)], " ab  cd  ") == [(0, 5), (5, 9)]
    assert covering_spans(None, None) == [(0, 0)]


def test_a_document_with_a_given_vector_is_one_row_whatever_the_chunker(root: Path) -> None:
    with vs.create(root, embedder="toy:4", chunker=str.split) as c:
        vector = [1.0, 0.0, 0.0, 0.0]
        c.add(
            [
                {"id": 1, "text": "word", "vector": vector},
                {"id": 2, "text": "two words", "vector": [0.0, 1.0, 0.0, 0.0]},
            ],
            progress=False,
        )
        c.add([{"id": 3, "text": "two words"}], progress=False)
        assert [row and row["text"] for row in c.get([1, 2, 3])] == [
            "word",
            "two words",
            "two words",
        ]
        assert c.info().rows == 4
        hit = c.search([0.0, 1.0, 0.0, 0.0], k=1)[0]
        assert (hit.id, hit.score, hit.span) == (2, 1.0, vs.Span("text", 0, 9))


def test_ids_cannot_be_generated_past_the_largest_integer(root: Path) -> None:
    with vs.create(root, embedder="toy:16") as c:
        c.add(rows_of((2**63 - 1, "the last one")), progress=False)
        with pytest.raises(vs.InvalidInputError, match="cannot generate ids"):
            c.add(["one more"], progress=False)


class Interrupted(ToyEmbedder):
    """Stops at the n-th window, and counts the texts it embeds."""

    def __init__(self, dim: int, windows: int) -> None:
        super().__init__(dim)
        self.windows = windows
        self.texts: list[str] = []

    def embed_documents(self, documents: Any) -> Any:
        if self.windows == 0:
            raise KeyboardInterrupt
        self.windows -= 1
        self.texts += documents
        return super().embed_documents(documents)


def test_an_interrupted_add_embeds_no_text_twice(root: Path) -> None:
    """Windows of which rows are skipped are cached like the others."""
    limits = vs.Limits(window_rows=4)
    data = rows_of(*((number, f"text {number}") for number in range(20)))
    vs.create(root, embedder="toy:16").close()
    with vs.open(root, embedder="toy:16") as c:
        c.add(rows_of((1, "stored"), (6, "stored")), progress=False)
    first, second = Interrupted(16, 3), Interrupted(16, 99)
    with vs.open(root, embedder=first, limits=limits) as c, pytest.raises(KeyboardInterrupt):
        c.add(data, on_conflict="skip", progress=False)
    with vs.open(root, embedder=second, limits=limits) as c:
        result = c.add(data, on_conflict="skip", progress=False)
        assert (result.added, result.skipped, len(c)) == (18, 2, 20)
    assert len(first.texts) == 10 and not set(first.texts) & set(second.texts)
    assert len(second.texts) == 8 == result.embedded


def test_an_unusable_vector_of_the_model_names_the_text() -> None:
    vectors = np.array([[1, 0], [0, 0], [np.nan, 1]], np.float32)
    with pytest.raises(EmbedderError, match=r"^row 1: .*a zero vector.*for the text 'second'"):
        check_model_vectors(vectors[:2], Metric.COSINE, ["first", "second"], "row {}".format)
    with pytest.raises(EmbedderError, match=r"^row 1: .*a NaN.*for the text 'third'"):
        check_model_vectors(vectors[[0, 2]], Metric.IP, ["first", "third"], "row {}".format)


def test_seen_keys_agree_with_a_set() -> None:
    rng = np.random.default_rng(5)
    seen, expected = SeenKeys(), set[int]()
    for size in [1, 1, 2, 50, 0, 7, 300, 3, 3, 1]:
        keys = rng.integers(0, 2000, size).astype(np.uint64)
        assert seen.contains(keys).tolist() == [int(value) in expected for value in keys]
        seen.add(keys)
        expected.update(map(int, keys))
