"""A model of pictures without weights, and what tests of pictures share."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

import vecsearch as vs
from vecsearch.embedders.base import BaseEmbedder


class MeanColor(BaseEmbedder):
    """The mean of each channel and 1, of paths, bytes and PIL images."""

    def __init__(self) -> None:
        super().__init__("mean-color", 3)

    def embed_documents(self, documents: Any) -> Any:
        from vecsearch.embedders.images import open_picture

        means = [
            np.asarray(open_picture(item, row), np.float32).mean(axis=(0, 1)) + 1
            for row, item in enumerate(documents)
        ]
        return np.array(means, np.float32).reshape(-1, 3)

    def _compute_fingerprint(self) -> str:
        return "0c"


def create(root: Path, **options: Any) -> vs.Collection:
    """A collection of pictures by their colors."""
    return vs.create(root, embedder=MeanColor(), text_column="picture", metric="l2", **options)


BYTES = {"picture": "binary"}  # the schema of collections that get files


def opened(content: bytes) -> Any:
    """Bytes as a PIL image."""
    from PIL import Image

    return Image.open(io.BytesIO(content))
