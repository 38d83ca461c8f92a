"""The index inside FAISS's wrappers, and what each kind takes to search."""

from __future__ import annotations

from typing import Any

import faiss


def inner_index(index: Any) -> Any:
    """The index inside a transform or a refinement, which does the searching."""
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        return inner_index(index.index)
    if isinstance(index, faiss.IndexRefine):
        return inner_index(index.base_index)
    return index


def search_parameters(index: Any, effort: int) -> Any:
    """FAISS's search parameters for an effort; None if the kind takes none."""
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexHNSW):
        return faiss.SearchParametersHNSW(efSearch=effort)
    if isinstance(index, faiss.IndexIVF):
        nprobe = min(effort, index.nlist)
        coarse = faiss.downcast_index(index.quantizer)
        if isinstance(coarse, faiss.IndexHNSW):
            wide = faiss.SearchParametersHNSW(efSearch=max(64, 2 * nprobe))
            return faiss.SearchParametersIVF(nprobe=nprobe, quantizer_params=wide)
        return faiss.SearchParametersIVF(nprobe=nprobe)
    if isinstance(index, faiss.IndexPreTransform | faiss.IndexRefine):
        within = index.index if isinstance(index, faiss.IndexPreTransform) else index.base_index
        inner = search_parameters(within, effort)
        if inner is None:
            return None
        if isinstance(index, faiss.IndexPreTransform):
            return faiss.SearchParametersPreTransform(index_params=inner)
        return faiss.IndexRefineSearchParameters(k_factor=index.k_factor, base_index_params=inner)
    return None
