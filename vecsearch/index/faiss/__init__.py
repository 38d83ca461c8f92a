"""FAISS indexes: build from a stream, propose candidates, extend, write, read.

An index proposes candidates; the caller ranks them by the full vectors. Vectors are float32
(rows, dim), unit length for cosine. Cosine and Euclidean collections search by squared Euclidean
distance, inner product by inner product: turning it into a distance with one more coordinate spoils
the graph (recall .37 instead of .99 at efSearch 256 where lengths vary).

projection.py    what FAISS stores of a vector, and which vectors it was fitted to
graph.py         the order rows enter a graph in, and links back to nodes that are hard to find
index.py         FaissIndex: candidates, add, write
disk_lists.py    an inverted file whose lists stay on disk
inside.py        the index inside FAISS's wrappers, and what each kind takes to search
reading.py       reads an index from its file
writing.py       writes what the file has beside FAISS's own part
size.py          how many bytes an index takes
grow.py          adding rows to a graph of signed bytes
sound.py         whether the parts of an index file fit together
graph_search.py  the compiled search of a graph of signed bytes
near.py          codes of neighbors beside the nodes of a graph
regions.py       clusters of the data, to measure recall in each of them
train.py         recipe + stream of vectors -> FaissIndex
"""

from __future__ import annotations

from vecsearch.index.faiss.disk_lists import DiskIndex
from vecsearch.index.faiss.graph_search import RowMap, table_of
from vecsearch.index.faiss.index import FaissIndex
from vecsearch.index.faiss.reading import read_index
from vecsearch.index.faiss.train import resume_growing, train_index
from vecsearch.index.kernels.arguments import (
    NO_MASK,
    NOTHING_OUTSIDE,
    Effort,
    Request,
    fixed_effort,
)
from vecsearch.index.kernels.loader import LOADER

__all__ = [
    "LOADER",
    "NOTHING_OUTSIDE",
    "NO_MASK",
    "DiskIndex",
    "Effort",
    "FaissIndex",
    "Request",
    "RowMap",
    "fixed_effort",
    "read_index",
    "resume_growing",
    "table_of",
    "train_index",
]
