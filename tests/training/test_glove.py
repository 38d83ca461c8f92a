"""GloVe against the paper: counts, weights, loss and gradients, with loops in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.training.cloze import gaps
from vecsearch.training.cooccurrence import cooccurrences, ppmi_vectors
from vecsearch.training.doc_texts import TfIdf, halves
from vecsearch.training.glove import Factors, Pairs, loss, pairs_of, train_epoch, train_glove

DOCUMENTS = [list(row) for row in np.random.default_rng(0).integers(0, 7, (30, 9))] + [[3], []]


def counted(window: int) -> np.ndarray:
    """Section 4.2 of the paper: word pairs that are d words apart count 1/d."""
    counts = np.zeros((7, 7))
    for document in DOCUMENTS:
        for at, word in enumerate(document):
            for near, context in enumerate(document):
                if near != at and abs(near - at) <= window:
                    counts[word, context] += 1 / abs(near - at)
    return counts


def papers_loss(factors: Factors, counts: np.ndarray, x_max: float) -> float:
    """Equations 8 and 9, word by word."""
    total = 0.0
    for i in range(len(counts)):
        for j in range(len(counts)):
            x = counts[i, j]
            if x == 0:
                continue
            weight = (x / x_max) ** 0.75 if x < x_max else 1.0
            w, c = factors.words[i].astype(float), factors.contexts[j].astype(float)
            dot = sum(float(a) * float(b) for a, b in zip(w[:-1], c[:-1], strict=True))
            total += weight * (dot + w[-1] + c[-1] - math.log(x)) ** 2
    return total


def made(window: int = 4) -> tuple[Pairs, np.ndarray]:
    ids = [np.array(document, np.int64) for document in DOCUMENTS]
    return pairs_of(cooccurrences(ids, 7, window)), counted(window)


@pytest.mark.parametrize("window", [1, 4, 50])
def test_the_counts_are_those_of_the_paper(window: int) -> None:
    ids = [np.array(document, np.int64) for document in DOCUMENTS]
    np.testing.assert_allclose(cooccurrences(ids, 7, window).toarray(), counted(window))


def test_the_loss_is_that_of_the_paper_before_and_after_training() -> None:
    pairs, counts = made()
    random = np.random.default_rng(1)
    factors = Factors.at_random(7, 5, random)
    losses = [loss(factors, pairs, 10.0)]
    assert losses[0] == pytest.approx(papers_loss(factors, counts, 10.0), rel=1e-12)
    for _ in range(60):
        train_epoch(factors, pairs, 10.0, 0.05, random)
        losses.append(loss(factors, pairs, 10.0))
    assert losses[-1] == pytest.approx(papers_loss(factors, counts, 10.0), rel=1e-12)
    assert losses[-1] < 0.05 * losses[0] and losses[20] < losses[5] < losses[0]


def test_one_step_is_adagrad_on_the_slopes_of_the_loss() -> None:
    """With all squares at 1, a step moves by -rate * slope / sqrt(1 + slope ** 2), slope of J/2."""
    counts = np.zeros((7, 7))
    counts[2, [0, 1, 5]] = [3.0, 20.0, 0.5]
    pairs = Pairs(np.array([2, 2, 2]), np.array([0, 1, 5]), np.array([3.0, 20.0, 0.5]))
    factors = Factors.at_random(7, 3, np.random.default_rng(3))
    factors.words *= 4
    before = [factors.words.copy(), factors.contexts.copy()]
    train_epoch(factors, pairs, 10.0, 0.05, np.random.default_rng(0))
    for which, after in enumerate((factors.words, factors.contexts)):
        for place in np.ndindex(after.shape):
            moved = []
            for step in (1e-4, -1e-4):
                parts = [each.astype(np.float64) for each in before]
                parts[which][place] += step
                moved.append(papers_loss(Factors(*parts, *parts), counts, 10.0))
            slope = (moved[0] - moved[1]) / 4e-4
            expected = before[which][place] - 0.05 * slope / math.sqrt(1 + slope**2)
            assert after[place] == pytest.approx(expected, abs=1e-6), (which, place)


def test_the_model_says_its_loss_and_repeats_itself() -> None:
    random = np.random.default_rng(4)
    texts = [" ".join(f"w{word}" for word in random.integers(0, 12, 10)) for _ in range(60)]
    one, again, other = (
        train_glove(texts, dim=6, epochs=8, held_out=0, window=3, seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.vectors, again.vectors)
    assert not np.array_equal(one.vectors, other.vectors)
    assert one.about["epochs"] == 8 and 0 < one.about["loss"] < 200
    assert one.report is not None and "equation 8" in one.report.notes[-1]


def test_words_of_one_kind_are_near_each_other() -> None:
    themes = [["cat", "dog", "horse", "sheep"], ["red", "green", "blue", "white"]]
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(themes[row % 2], 8)) for row in range(300)]
    model = vs.train("glove", texts, dim=8, epochs=25, progress=False)
    for theme in themes:
        assert {key for key, _ in model.most_similar(theme[0], 3)} == set(theme[1:])  # type: ignore[attr-defined]


def test_chinese_is_cut_into_characters_or_words() -> None:
    texts = ["植物制造食物", "植物需要阳光", "动物寻找食物"] * 5
    assert set(train_glove(texts, dim=4, epochs=1, cutting="words").keys) == set("".join(texts))
    pytest.importorskip("jieba")
    assert {"植物", "食物", "阳光"} <= set(train_glove(texts, dim=4, epochs=1).keys)


def test_ppmi_vectors_multiply_to_the_ppmi_matrix() -> None:
    counts = counted(4)
    contexts = counts.sum(axis=0) ** 0.75
    share = counts / counts.sum()
    expected = np.outer(share.sum(axis=1), contexts / contexts.sum())
    with np.errstate(divide="ignore"):
        ppmi = np.maximum(0, np.log(share / expected))
    left, values, _ = np.linalg.svd(ppmi)
    ids = [np.array(document, np.int64) for document in DOCUMENTS]
    found = ppmi_vectors(cooccurrences(ids, 7, 4), 3)
    wanted = left[:, :3] * np.sqrt(values[:3])
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=1e-8)  # up to signs


def test_gaps_ask_for_the_word_and_score_by_cosine() -> None:
    texts = [np.array([0, 1, 2, 3]), np.array([1]), np.array([3, 2, 1, 0, 3])]
    asked = gaps(texts, np.array([5, 4, 3, 2]), window=2, seed=0)
    vectors = np.random.default_rng(0).standard_normal((4, 3))
    values: dict[int, list[float]] = {}
    for around, word, others, text in zip(
        asked.around, asked.word, asked.others, asked.text, strict=True
    ):
        assert word in texts[text] and text != 1
        mean = sum(vectors[near] for near in around if near >= 0)
        cosine = [
            float(mean @ vectors[each]) / np.linalg.norm(vectors[each]) for each in (word, *others)
        ]
        won = [1.0 if cosine[0] > c else 0.5 if abs(cosine[0] - c) < 1e-12 else 0.0 for c in cosine]
        values.setdefault(int(text), []).append(sum(won[1:]) / len(others))
    wanted = [np.mean(values[text]) for text in sorted(values)]
    np.testing.assert_allclose(asked.scores(vectors), wanted)


def test_halves_are_ranked_as_by_scikit_learn() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    random = np.random.default_rng(0)
    documents = [[f"w{word}" for word in random.zipf(1.5, 20) % 30] for _ in range(40)]
    asked = halves(documents)
    model = text.TfidfVectorizer(analyzer=lambda words: words, sublinear_tf=True).fit(documents)
    similar = (model.transform(asked.first) @ model.transform(asked.second).T).toarray()
    ranks = []
    for row, cosines in enumerate(similar):
        above = (cosines > cosines[row] + 1e-12).sum()
        equal = (np.abs(cosines - cosines[row]) <= 1e-12).sum() - 1
        ranks.append(1 / (1 + above + equal / 2))
    np.testing.assert_allclose(asked.scores(TfIdf(documents, 1)), ranks)
