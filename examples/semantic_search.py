"""Semantic text search: Cranfield's 225 questions over 1,400 abstracts, by vecsearch and by numpy.

pip install "vecsearch[offline]";  python examples/semantic_search.py [embedder]
"""

import sys

import numpy as np
from _data import beir, installed, retrieval_ndcg, words_ndcg

from vecsearch.embedders import resolve_embedder
from vecsearch.evaluation.metrics import ndcg_at_k


def main(name: str) -> None:
    documents, queries, grades = beir("cranfield")
    score = words_ndcg(documents, queries, grades)
    print(f"search by words (BM25): nDCG@10 {score:.4f}", flush=True)
    if not list(installed([name])):
        return
    embedder = resolve_embedder(name)
    score = retrieval_ndcg(embedder, documents, queries, grades)
    matrix = embedder.embed_documents([row["text"] for row in documents])
    vectors = embedder.embed_queries(list(queries.values()))
    scores = vectors @ (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).T
    best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    found = [[documents[row]["id"] for row in rows] for rows in best]
    numpy_score = ndcg_at_k(found, [grades[query] for query in queries], 10).mean()
    print(f"{name}: nDCG@10 {score:.4f} through vecsearch, {numpy_score:.4f} through numpy")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "all-MiniLM-L6-v2")
