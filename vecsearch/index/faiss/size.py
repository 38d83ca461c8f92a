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
    return round(_bytes(index, None))


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


def _bytes(index: Any, n: int | None) -> float:
    """The bytes of an index: with `n` rows, or with those that it has if that is None."""
    index = faiss.downcast_index(index)
    rows = int(index.ntotal) if n is None else n
    if isinstance(index, faiss.IndexPreTransform):
        return transform_bytes(index) + _bytes(index.index, n)
    if isinstance(index, faiss.IndexRefine):
        return _bytes(index.base_index, n) + _bytes(index.refine_index, n)
    if isinstance(index, faiss.IndexHNSW):
        links = float(index.hnsw.neighbors.size() if n is None else n * _links_a_node(index.hnsw))
        return LINK_BYTES * links + NODE_BYTES * rows + _bytes(index.storage, n)
    if isinstance(index, faiss.IndexNSG):
        return rows * LINK_BYTES * NSG_LINKS + _bytes(index.storage, n)
    if isinstance(index, faiss.IndexIVF):
        coarse = _bytes(index.quantizer, None if n is None else index.nlist)
        codes = (_places(index) if n is None else n) * index.code_size
        return float(codes + 8 * rows) + coarse + codebook_bytes(index)
    return float(rows * index.sa_code_size()) + codebook_bytes(index)


def _links_a_node(hnsw: Any) -> float:
    """Places for links of a node, on average, on all of its levels."""
    lowest, above = hnsw.nb_neighbors(0), hnsw.nb_neighbors(1)
    return float(lowest + above / max(1, above - 1))


def _places(index: Any) -> int:
    """Codes that the lists of an inverted file have room for."""
    if not isinstance(index, faiss.IndexIVFFastScan):
        return int(index.ntotal)
    block = int(index.bbs)  # it fills each list up to whole blocks
    sizes = (index.invlists.list_size(number) for number in range(index.nlist))
    return sum(-(-size // block) * block for size in sizes)
