"""Documents: train Doc2Vec, word2vec and fastText on Cranfield's abstracts, and search these.

pip install "vecsearch[train]";  python examples/document_vectors.py
"""

import time

from _data import QUICK, beir, need, retrieval_ndcg, words_ndcg

from vecsearch.training.doc2vec import train_doc2vec
from vecsearch.training.fasttext import train_fasttext
from vecsearch.training.word2vec import train_word2vec


def main() -> None:
    need("gensim", '"vecsearch[train]"')
    documents, queries, grades = beir("cranfield")
    score = words_ndcg(documents, queries, grades)
    print(f"search by words (BM25): nDCG@10 {score:.3f}", flush=True)
    texts = [row["text"] for row in documents]
    epochs = 2 if QUICK else 40
    for name, train in (
        ("Doc2Vec", lambda: train_doc2vec(texts, epochs=epochs, held_out=0)),
        ("word2vec", lambda: train_word2vec(texts, epochs=epochs, min_count=2, held_out=0)),
        (
            "fastText",
            lambda: train_fasttext(
                texts, epochs=epochs // 2, min_count=2, buckets=50_000, held_out=0
            ),
        ),
    ):
        start = time.perf_counter()
        embedder = train()
        seconds = time.perf_counter() - start
        score = retrieval_ndcg(embedder, documents, queries, grades)
        print(
            f"{name}: trained on {len(texts)} abstracts in {seconds:.0f} s; unseen questions: "
            f"nDCG@10 {score:.3f}"
        )


if __name__ == "__main__":
    main()
