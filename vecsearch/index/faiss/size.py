"""How many bytes an index takes: one that is there, or that of a factory string, not yet built."""

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


def index_bytes(index: Any) -> int:
    """How many bytes an index takes in memory."""
    inner = faiss.downcast_index(index)
    if isinstance(inner, faiss.IndexPreTransform):
        return transform_bytes(inner) + index_bytes(inner.index)
    if isinstance(inner, faiss.IndexRefine):
        return index_bytes(inner.base_index) + index_bytes(inner.refine_index)
    if isinstance(inner, faiss.IndexHNSW | faiss.IndexNSG):
        links = (
            inner.hnsw.neighbors.size() * LINK_BYTES + inner.ntotal * NODE_BYTES
            if isinstance(inner, faiss.IndexHNSW)
            else inner.ntotal * LINK_BYTES * NSG_LINKS
        )
        return int(links + index_bytes(inner.storage))
    if isinstance(inner, faiss.IndexIVF):
        stored = int(inner.ntotal)
        if isinstance(inner, faiss.IndexIVFFastScan):  # it fills each list up to whole blocks
            block = int(inner.bbs)
            sizes = (inner.invlists.list_size(number) for number in range(inner.nlist))
            stored = sum(-(-size // block) * block for size in sizes)
        lists = stored * inner.code_size + inner.ntotal * 8
        return int(lists + index_bytes(inner.quantizer) + codebook_bytes(inner))
    return int(inner.ntotal * inner.sa_code_size() + codebook_bytes(inner))


def codebook_bytes(index: Any) -> int:
    """The bytes of what the codes of an index refer to: centroids, codewords, ranges of numbers."""
    found = 0
    if hasattr(index, "pq"):
        found += 4 * int(index.pq.d * index.pq.ksub)
    if hasattr(index, "sq"):
        found += 8 * int(index.sq.d)
    if isinstance(index, faiss.IndexAdditiveQuantizer):
        found += 4 * int(index.aq.total_codebook_size * index.aq.d)
    return found


def transform_bytes(index: Any) -> int:
    """The bytes of the matrices that an IndexPreTransform applies to vectors."""
    found = 0
    for number in range(index.chain.size()):
        step = faiss.downcast_VectorTransform(index.chain.at(number))
        # Principal components: FAISS keeps all of them beside those that it uses.
        kept = step.d_in if isinstance(step, faiss.PCAMatrix) else 0
        found += 4 * int(step.d_in) * int(step.d_out + kept)
    return found


def _bytes(index: Any, n: int) -> float:
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        return transform_bytes(index) + _bytes(index.index, n)
    if isinstance(index, faiss.IndexRefine):
        return _bytes(index.base_index, n) + _bytes(index.refine_index, n)
    if isinstance(index, faiss.IndexHNSW):
        lowest, above = index.hnsw.nb_neighbors(0), index.hnsw.nb_neighbors(1)
        links = lowest + above / max(1, above - 1)
        return float(n * (LINK_BYTES * links + NODE_BYTES)) + _bytes(index.storage, n)
    if isinstance(index, faiss.IndexNSG):
        return n * LINK_BYTES * NSG_LINKS + _bytes(index.storage, n)
    if isinstance(index, faiss.IndexIVF):
        coarse = _bytes(index.quantizer, index.nlist)
        return float(n * (index.code_size + 8)) + coarse + codebook_bytes(index)
    return float(n * index.sa_code_size()) + codebook_bytes(index)
