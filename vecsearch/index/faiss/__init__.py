"""FAISS indexes: build from a stream, propose candidates, extend, write, read. With exact.py the only room that knows FAISS.

An index proposes candidates; the caller ranks them by the full vectors. Vectors are float32 (rows, dim), of unit length for
cosine. Cosine and Euclidean search by squared Euclidean distance, inner product by inner product: turning it into Euclidean
distance with one more coordinate loses the graph (recall .37 against .99 at efSearch 256 where lengths vary).

projection.py  vectors -> what FAISS stores: principal components, signed bytes; what lies outside what it was fitted for
graph.py       the order rows enter a graph in, and links back to nodes that are hard to reach
index.py       FaissIndex: candidates, add, write, read
grow.py        rows added to a graph of signed bytes, compiled where that pays
graph_search.py  search of a graph of signed bytes by the kernels (see vecsearch.index.kernels)
train.py       recipe + stream of vectors -> FaissIndex
"""

from __future__ import annotations

from vecsearch.index.faiss.graph_search import RowMap, table_of
from vecsearch.index.faiss.index import FaissIndex, read_index
from vecsearch.index.faiss.train import resume_growing, train_index
from vecsearch.index.kernels.arguments import NO_MASK, Request
from vecsearch.index.kernels.loader import LOADER

__all__ = [
    "LOADER",
    "NO_MASK",
    "FaissIndex",
    "Request",
    "RowMap",
    "read_index",
    "resume_growing",
    "table_of",
    "train_index",
]
