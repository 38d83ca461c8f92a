"""Embedders by name, and the toy embedder against counts made by hand."""

from __future__ import annotations

import subprocess
import sys
import zlib
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from vecsearch.embedders import Embedder, embedder_kinds, registry, resolve_embedder
from vecsearch.embedders.toy import ToyEmbedder
from vecsearch.errors import EmbedderError, InvalidInputError


def bucket(gram: str, dim: int) -> int:
    return zlib.crc32(gram.encode()) % dim


def test_toy_vector_is_the_count_of_characters_and_pairs() -> None:
    expected = np.zeros(64, dtype=np.float32)
    for gram in ["a", "b", "a", "ab", "ba"]:
        expected[bucket(gram, 64)] += 1
    (vector,) = ToyEmbedder().embed_documents(["Aba"])
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, expected)


def test_toy_finds_the_nearest_string_in_english_and_chinese() -> None:
    toy = ToyEmbedder(256)
    documents = ["parse a date", "open a socket", "解析日期字符串", "打开网络套接字"]
    queries = ["parsing dates", "socket opened", "日期的解析", "网络"]
    d, q = toy.embed_documents(documents), toy.embed_queries(queries)
    cosine = (q @ d.T) / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(d, axis=1)
    assert cosine.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_toy_embedder_takes_empty_texts_and_refuses_other_types() -> None:
    assert ToyEmbedder(8).embed_documents([]).shape == (0, 8)
    assert not ToyEmbedder(8).embed_documents([""]).any()
    assert (
        ToyEmbedder(8).fingerprint() == ToyEmbedder(8).fingerprint() != ToyEmbedder(9).fingerprint()
    )
    with pytest.raises(InvalidInputError, match=r"row 1.*int"):
        ToyEmbedder(8).embed_documents(cast(Any, ["a", 3]))
    with pytest.raises(EmbedderError, match="1 or more"):
        ToyEmbedder(0)


def test_a_name_comes_back_as_the_same_embedder() -> None:
    toy = resolve_embedder("toy:32")
    assert isinstance(toy, Embedder) and toy.dim == 32
    assert toy.name == "toy:32"
    assert resolve_embedder(toy.name).fingerprint() == toy.fingerprint()
    assert resolve_embedder("toy:").dim == 64
    assert resolve_embedder(toy) is toy


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "empty"),
        ("toy:many", "whole number"),
        ("toi:64", r"no embedder kind 'toi' .*; did you mean 'toy'\?"),
        ("zzz:64", "entry point group 'vecsearch.embedders'"),
        ("zzz:64", "; known are: clip, esm, image, .*, toy, use, vllm, words"),
    ],
)
def test_a_wrong_name_says_what_to_do(spec: str, message: str) -> None:
    with pytest.raises(EmbedderError, match=message):
        resolve_embedder(spec)


def test_an_object_that_is_not_an_embedder_is_refused_with_what_it_lacks() -> None:
    half: Any = SimpleNamespace(name="half", dim=3)
    with pytest.raises(
        EmbedderError,
        match="SimpleNamespace, which lacks fingerprint, embed_documents, embed_queries",
    ):
        resolve_embedder(half)


def make_third_party(name: str) -> object:
    if name == "broken":
        raise RuntimeError("no such thing")
    if name == "half":
        return object()
    toy = ToyEmbedder(5)
    toy.name = f"third:{name}"
    return toy


def test_third_parties_register_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("third", f"{__name__}:make_third_party", registry.ENTRY_POINT_GROUP)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    monkeypatch.setattr(registry, "_entry_points", lambda: [point])
    assert "third" in embedder_kinds()
    made = resolve_embedder("third:x:y")
    assert (made.name, made.dim) == ("third:x:y", 5)
    with pytest.raises(EmbedderError, match=r"'third:broken'.*no such thing"):
        resolve_embedder("third:broken")
    with pytest.raises(
        EmbedderError, match=r"'third:half'.*returned is of type object, which lacks name"
    ):
        resolve_embedder("third:half")


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, vecsearch.embedders; "
        "print([m for m in ('numpy', 'torch', 'pyarrow', 'gensim') if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
