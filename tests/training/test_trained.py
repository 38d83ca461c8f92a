"""Trained embedders learn what constructed data contains, repeat, and survive a round trip."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.fasttext import (
    FastTextEmbedder,
    character_ngrams,
    ngram_hash,
    read_fasttext,
)
from vecsearch.errors import CorruptedError, InvalidInputError
from vecsearch.training.doc2vec import train_doc2vec
from vecsearch.training.fasttext import train_fasttext
from vecsearch.training.word2vec import train_word2vec

pytestmark = pytest.mark.skipif(
    find_spec("gensim") is None, reason="gensim (the extra 'train') is not installed"
)

THEMES = [["cat", "dog", "horse", "sheep", "goat"], ["red", "green", "blue", "white", "black"]]


def corpus(sentences: int = 400) -> list[str]:
    """Sentences of words of one theme each."""
    random = np.random.default_rng(0)
    return [" ".join(random.choice(THEMES[row % 2], 8)) for row in range(sentences)]


def test_word2vec_learns_which_words_keep_company_and_repeats_itself(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    first = train_word2vec(
        corpus(),
        dim=16,
        epochs=5,
        held_out=0,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, 5) for done in range(1, 6)]
    for theme in THEMES:
        assert {key for key, _ in first.most_similar(theme[0], 4)} == set(theme[1:])
    again = train_word2vec(corpus(), dim=16, epochs=5, held_out=0)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert first.fingerprint() == again.fingerprint()
    assert not np.array_equal(
        first.vectors, train_word2vec(corpus(), dim=16, epochs=5, held_out=0, seed=1).vectors
    )
    folder = first.save(tmp_path / "saved")
    np.testing.assert_array_equal(
        resolve_embedder(f"saved:{folder}").embed_documents(corpus(4)),
        first.embed_documents(corpus(4)),
    )


def test_an_exception_in_progress_stops_training() -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StopError

    with pytest.raises(StopError):
        train_word2vec(corpus(), dim=4, progress=stop)


def test_a_corpus_without_frequent_words_is_refused() -> None:
    for train in (train_word2vec, train_fasttext, train_doc2vec):
        with pytest.raises(
            InvalidInputError, match=r"of 2 distinct words in 1 document none occurs 5 times"
        ):
            train(["two words"], min_count=5)


@pytest.mark.skipif(find_spec("jieba") is None, reason="jieba is not installed")
def test_chinese_is_cut_into_words() -> None:
    texts = ["植物制造食物", "植物需要阳光", "动物寻找食物"] * 5
    embedder = train_word2vec(texts, dim=4, epochs=1)
    assert embedder.cutting == "jieba" and {"植物", "食物", "阳光"} <= set(embedder.keys)
    assert set(train_word2vec(texts, dim=4, epochs=1, cutting="words").keys) == set("".join(texts))


def test_fasttext_composes_unknown_words_like_gensim(tmp_path: Path) -> None:
    from gensim.models import FastText

    texts = [*corpus(), "日期 时间 " * 5]
    embedder = train_fasttext(
        texts, dim=8, epochs=2, buckets=500, cutting="words", min_n=2, max_n=4, held_out=0
    )
    words = [text.split() if "日" not in text else list(text.replace(" ", "")) for text in texts]
    gensim = FastText(
        words, vector_size=8, epochs=2, bucket=500, sg=1, seed=0, workers=1, min_n=2, max_n=4
    )
    for word in ("dog", "dogs", "greenish", "日期", "日", "ñandú"):
        got = embedder.word_vector(word)
        assert got is not None
        np.testing.assert_allclose(got, gensim.wv[word], atol=1e-6)
    np.testing.assert_allclose(embedder.embed_documents(["dogs"])[0], gensim.wv["dogs"], atol=1e-6)
    folder = embedder.save(tmp_path / "saved")
    again = resolve_embedder(f"saved:{folder}")
    assert isinstance(again, FastTextEmbedder)
    np.testing.assert_array_equal(
        again.embed_documents(["dogs and cats", "日期"]),
        embedder.embed_documents(["dogs and cats", "日期"]),
    )
    assert again.fingerprint() == embedder.fingerprint()


def test_fasttext_ngrams_by_hand() -> None:
    assert character_ngrams("日ab", 3, 4) == ["<日a", "日ab", "ab>", "<日ab", "日ab>"]
    assert character_ngrams("a", 1, 2) == ["a", "<a", "a>"]
    assert (
        ngram_hash("") == 2166136261 and ngram_hash("a") == 0xE40C292C
    )  # FNV-1a's published values


def test_fasttext_bin_files_are_read(tmp_path: Path) -> None:
    from gensim.models import FastText
    from gensim.models.fasttext import save_facebook_model

    model = FastText(
        [text.split() for text in corpus()],
        vector_size=8,
        epochs=1,
        bucket=100,
        min_n=2,
        max_n=3,
        seed=0,
        workers=1,
    )
    path = tmp_path / "model.bin"
    save_facebook_model(model, str(path))
    embedder = resolve_embedder(f"words:{path}")
    assert embedder.name == f"words:{path}"
    np.testing.assert_allclose(
        embedder.embed_documents(["dog", "dogs"]), model.wv[["dog", "dogs"]], atol=1e-6
    )
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(CorruptedError, match="cannot be read"):
        read_fasttext(path)


def test_doc2vec_puts_texts_of_a_theme_together(tmp_path: Path) -> None:
    embedder = train_doc2vec(corpus(), dim=16, epochs=40, held_out=0)
    texts = [
        10 * text
        for text in ("cat dog horse ", "red green blue ", "sheep goat cat ", "white black red ")
    ]
    vectors = embedder.embed_documents(texts)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T - 2 * np.eye(4)
    assert cosine.argmax(axis=1).tolist() == [2, 3, 0, 1]
    # a text's vector depends neither on the texts before it nor on the process that embeds it
    np.testing.assert_array_equal(embedder.embed_documents(texts[::-1]), vectors[::-1])
    folder = embedder.save(tmp_path / "saved")
    code = (
        "import sys, numpy as np; from vecsearch.embedders import resolve_embedder;"
        "e = resolve_embedder('saved:' + sys.argv[1]); "
        "np.save(sys.argv[2], e.embed_documents(sys.argv[3:]));"
        "print(e.fingerprint())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(tmp_path / "out.npy"), *texts],
        capture_output=True,
        text=True,
        check=True,
    )
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), vectors, atol=1e-6)
    assert ran.stdout.strip() == embedder.fingerprint()
    assert not embedder.embed_documents(["unheard of", ""]).any()
    again = train_doc2vec(corpus(), dim=16, epochs=40, held_out=0)
    assert again.fingerprint() == embedder.fingerprint()
    memory = train_doc2vec(corpus(), dim=16, epochs=10, held_out=0, dm=True)
    assert memory.fingerprint() != embedder.fingerprint()
    np.testing.assert_array_equal(
        memory.embed_documents(texts[1:2]), memory.embed_documents(texts)[1:2]
    )
