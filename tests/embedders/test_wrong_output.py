"""Embedders of other packages that return something wrong: an EmbedderError, and nothing lands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecsearch as vs


class Given:
    """An embedder that returns what it is told to."""

    name = "mine"
    dim = 3

    def __init__(self, returns: Callable[[Sequence[str]], Any], **attributes: Any) -> None:
        self.returns = returns
        self.__dict__.update(attributes)

    def fingerprint(self) -> Any:
        return "f1"

    def embed_documents(self, documents: Sequence[str]) -> Any:
        return self.returns(documents)

    def embed_queries(self, queries: Sequence[str]) -> Any:
        return self.returns(queries)


def ones(texts: Sequence[str]) -> Any:
    return np.ones((len(texts), 3), np.float32)


def last(value: float) -> Callable[[Sequence[str]], Any]:
    def embed(texts: Sequence[str]) -> Any:
        vectors = ones(texts).astype(np.float64)
        vectors[-1, 1] = value
        return vectors

    return embed


def fail(texts: Sequence[str]) -> Any:
    raise KeyError("no such token")


WRONG: list[tuple[Callable[[Sequence[str]], Any], str]] = [
    (lambda texts: ones(texts)[1:], r"shape \(1, 3\) for 2 inputs, not \(2, 3\)"),
    (lambda texts: np.ones((len(texts), 4)), r"shape \(2, 4\) for 2 inputs, not \(2, 3\)"),
    (lambda texts: np.ones(3), r"shape \(3,\) for 2 inputs"),
    (last(np.nan), "row 1: the model returned a vector with a NaN.*for the text 'two'"),
    (last(np.inf), "row 1: the model returned a vector with an infinite number.*'two'"),
    (last(1e300), "row 1: the model returned a vector with an infinite number.*'two'"),
    (lambda texts: 0 * ones(texts), "row 0: the model returned a zero vector.*'one'"),
    (lambda texts: None, "returned None for 2 inputs, not an array"),
    (lambda texts: [[1, 2, 3], [1]], r"number 1 is \[1\]"),
    (lambda texts: ["a"] * len(texts), "number 0 is 'a'"),
    (lambda texts: [None] * len(texts), "number 0 is None"),
    (lambda texts: np.array([["a"] * 3] * 2), "an array of <U1 for 2 inputs"),
    (lambda texts: ones(texts).astype(complex), "an array of complex128 for 2 inputs"),
    (lambda texts: ones(texts).astype(bool), "an array of bool for 2 inputs"),
    (fail, "mine failed on 2 inputs, of which the first is 'one': KeyError: 'no such token'"),
]


@pytest.mark.parametrize("returns, message", WRONG)
def test_wrong_vectors_are_named_and_nothing_lands(
    root: Path, returns: Callable[[Sequence[str]], Any], message: str
) -> None:
    model = Given(ones)
    with vs.create(root, embedder=model) as c:
        c.add(["before"])
        version = c.info().version
        model.returns = returns
        with pytest.raises(vs.EmbedderError, match=message) as found:
            c.add(["one", "two"])
        if returns is fail:
            assert isinstance(found.value.__cause__, KeyError)
        assert c.refresh().info().version == version and len(c) == 1 and c.check() == []
        model.returns = ones
        assert c.add(["one", "two"]).added == 2


@pytest.mark.parametrize("returns, message", WRONG)
def test_wrong_vectors_of_a_query_are_an_error(
    root: Path, returns: Callable[[Sequence[str]], Any], message: str
) -> None:
    model = Given(ones)
    with vs.create(root, embedder=model) as c:
        c.add(["before"])
        model.returns = returns
        # A query without a direction may be the question's fault: no word of it is known.
        zero = "zero vector" in message
        with pytest.raises(vs.InvalidInputError if zero else vs.EmbedderError):
            c.search_batch(["one", "two"])


@pytest.mark.parametrize("returns", [last(2.5), lambda texts: ones(texts).tolist(), ones])
def test_lists_and_other_numbers_are_vectors_too(
    root: Path, returns: Callable[[Sequence[str]], Any]
) -> None:
    with vs.create(root, embedder=Given(returns)) as c:
        c.add(["one", "two"])
        wanted = np.asarray(returns(["one", "two"]), np.float64)
        np.testing.assert_allclose(c.features([0, 1]), wanted, rtol=1e-6)


def test_file_and_line_of_a_text_without_a_vector_are_named(root: Path, tmp_path: Path) -> None:
    lines = [f'{{"text": "text {number}"}}' for number in range(5)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines[:3]))
    (tmp_path / "b.jsonl").write_text("\n\n" + "\n".join(lines[3:]))
    with (
        vs.create(root, embedder=Given(last(np.nan))) as c,
        pytest.raises(vs.EmbedderError, match=r"b.jsonl, line 4: .*'text 4'"),
    ):
        c.add([str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")])


def test_reembed_names_the_document(root: Path) -> None:
    with vs.create(root, embedder="toy:8") as c:
        c.add([{"id": "x", "text": "one"}, {"id": "y", "text": "two"}])
        with pytest.raises(vs.EmbedderError, match="document 'y': the model returned a vector"):
            c.reembed(Given(last(np.nan)))
        assert c.info().embedder == "toy:8" and c.refresh().info().version == 2


@pytest.mark.parametrize("fingerprint", [None, 7, b"x", "\ud800", ""])
def test_a_fingerprint_that_cannot_be_stored_makes_no_collection(
    root: Path, fingerprint: Any
) -> None:
    model = Given(ones, fingerprint=lambda: fingerprint)
    with pytest.raises(vs.EmbedderError, match="the fingerprint of the embedder 'mine' is"):
        vs.create(root, embedder=model)
    assert not root.exists()


@pytest.mark.parametrize(
    "attribute, value", [("dim", "3"), ("dim", 0), ("dim", 3.0), ("name", None), ("name", "\ud800")]
)
def test_a_name_or_dimension_that_is_none_makes_no_collection(
    root: Path, attribute: str, value: Any
) -> None:
    with pytest.raises(vs.EmbedderError, match=f"{attribute} of this embedder"):
        vs.create(root, embedder=Given(ones, **{attribute: value}))
    assert not root.exists()


def test_a_class_in_place_of_an_object_is_named(root: Path) -> None:
    with pytest.raises(vs.EmbedderError, match="is the class Given, not an object"):
        vs.create(root, embedder=Given)  # type: ignore[arg-type]


def test_a_text_without_an_embedder_says_what_to_do(root: Path) -> None:
    with vs.create(root, dim=3) as c:
        c.add([[1.0, 0.0, 0.0]])
        for search in (
            c.search,
            lambda text: c.search_batch([text]),
            lambda text: c.vector(text=text),
        ):
            with pytest.raises(vs.EmbedderError, match="list or array of 3 numbers") as found:
                search("boat")
            assert "[0.1, 0.2, ...]" in found.value.for_terminal()
            assert "ingest --embedder" in found.value.for_terminal()
