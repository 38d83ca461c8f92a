"""The spec `clip:NAME`: see vecsearch.embedders.images."""

from __future__ import annotations

from vecsearch.embedders.images import ClipEmbedder


def load(name: str, device: str | None = None) -> ClipEmbedder:
    return ClipEmbedder(name, device)
