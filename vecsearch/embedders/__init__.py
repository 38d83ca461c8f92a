"""Embedders: what turns texts, pictures, items, nodes and table rows into vectors.

`resolve_embedder` finds one by its name; `registry` says how names are read. Importing this package
is cheap: an adapter, and the library it needs, are imported when a name asks for them.
"""

from __future__ import annotations

from vecsearch.embedders.base import BaseEmbedder, Embedder
from vecsearch.embedders.registry import embedder_kinds, resolve_embedder

__all__ = ["BaseEmbedder", "Embedder", "embedder_kinds", "resolve_embedder"]
