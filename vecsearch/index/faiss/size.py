"""How many bytes an index of a FAISS factory string takes, before it is built."""

from __future__ import annotations

from typing import Any

import faiss

LINK_BYTES, NODE_BYTES = 4, 12  # of a graph: a link; the level of a node and where its links are
NSG_LINKS = 64


def factory_bytes(factory: str, n: int, dim: int) -> int:
    """About how many bytes an index of `n` rows takes; 0 if FAISS does not know the string."""
    try:
        index = faiss.index_factory(dim, factory)  # holds its parts while they are looked at
        return round(_bytes(index, n))
    except RuntimeError:
        return 0


def _bytes(index: Any, n: int) -> float:
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        steps = [index.chain.at(number) for number in range(index.chain.size())]
        return sum(4 * int(step.d_in) * int(step.d_out) for step in steps) + _bytes(index.index, n)
    if isinstance(index, faiss.IndexRefine):
        return _bytes(index.base_index, n) + _bytes(index.refine_index, n)
    if isinstance(index, faiss.IndexHNSW):
        lowest, above = index.hnsw.nb_neighbors(0), index.hnsw.nb_neighbors(1)
        links = lowest + above / max(1, above - 1)
        return float(n * (LINK_BYTES * links + NODE_BYTES)) + _bytes(index.storage, n)
    if isinstance(index, faiss.IndexNSG):
        return n * LINK_BYTES * NSG_LINKS + _bytes(index.storage, n)
    if isinstance(index, faiss.IndexIVF):
        return float(n * (index.code_size + 8) + index.nlist * index.d * 4)
    return float(n * index.sa_code_size())
